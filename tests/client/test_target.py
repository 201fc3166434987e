"""URLs, authorities, and the words for what goes wrong."""

from pathlib import Path

from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.error import (
    ConnectionDone,
    ConnectionLost,
    ConnectionRefusedError,
    DNSLookupError,
)
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.client.target import Target, parse_url, read_authorities, verifying, why
from tests.certificates import authority, empty_folder


class UrlTests(SynchronousTestCase):
    """Where to connect to."""

    def test_good(self) -> None:
        """Scheme, host, port, path and query, with the defaults of a browser."""
        for url, target in (
            ("wss://localhost:8889/ws", Target(True, "localhost", 8889, "/ws")),
            ("ws://localhost", Target(False, "localhost", 80, "/")),
            ("wss://Shop1.Example", Target(True, "shop1.example", 443, "/")),
            ("wss://shop1.example.:1/a?b=c", Target(True, "shop1.example", 1, "/a?b=c")),
            ("wss://bücher.example", Target(True, "xn--bcher-kva.example", 443, "/")),
            ("ws://127.0.0.1:7/", Target(False, "127.0.0.1", 7, "/")),
            ("ws://[0:0::1]:7/", Target(False, "::1", 7, "/")),
        ):
            with self.subTest(url):
                self.assertEqual(parse_url(url), target)

    def test_bad(self) -> None:
        """What is no WebSocket's URL, or has what does not belong there."""
        for url in (
            "",
            "localhost:8889",
            "https://localhost/ws",
            "ws:///ws",
            "wss://a b/",
            "wss://localhost:0/",
            "wss://localhost:65536/",
            "wss://localhost:x/",
            "wss://user@localhost/",
            "wss://user:secret@localhost/",
            "wss://localhost/#part",
            "wss://localhost/a b",
            "wss://localhost/ä",
            "wss://[::1/",
        ):
            with self.subTest(url), self.assertRaises(ValueError):
                parse_url(url)

    def test_no_line_can_be_added_to_the_request(self) -> None:
        """Whatever a URL brings, the request's first line ends where it has to."""
        for url in ("ws://localhost/a\r\nX: y", "ws://localhost/\n", "ws://localhost/?\x85"):
            try:
                resource = parse_url(url).resource
            except ValueError:
                continue
            self.assertTrue(resource.isprintable() and resource.isascii(), url)

    def test_shown(self) -> None:
        """A query, which may hold a token, is never shown; IPv6 has its brackets."""
        target = parse_url("wss://[::1]:8889/ws?token=secret")
        self.assertEqual(str(target), "wss://[::1]:8889/ws")
        self.assertNotIn("secret", repr(target))


class AuthorityTests(SynchronousTestCase):
    """Whom TLS trusts."""

    def setUp(self) -> None:
        self.folder = empty_folder(self)

    def put(self, octets: bytes) -> Path:
        path = self.folder / "ca.pem"
        path.write_bytes(octets)
        return path

    def test_all_of_a_file(self) -> None:
        """A file may have several, with text around them."""
        one, two = authority("One"), authority("Two")
        path = self.put(b"# ours\n" + one.certificate_pem + b"# theirs\n" + two.certificate_pem)
        found = [each.dumpPEM() for each in read_authorities(path)]
        self.assertEqual(found, [one.certificate_pem, two.certificate_pem])

    def test_no_authorities(self) -> None:
        """Nothing there, nothing in it, something else in it."""
        broken = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
        for octets, words in ((b"", "no certificate"), (broken, "cannot be read")):
            with self.assertRaisesRegex(ValueError, words):
                verifying("localhost", self.put(octets))
        with self.assertRaisesRegex(ValueError, "cannot read .*missing"):
            read_authorities(self.folder / "missing")


class WhyTests(SynchronousTestCase):
    """What people are told."""

    def test_words(self) -> None:
        """Short, and without the names of classes."""
        broken = SSL.Error([("SSL routines", "", "certificate verify failed")])
        for error, text in (
            (broken, "TLS: certificate verify failed"),
            (SSL.SysCallError(-1, "Unexpected EOF"), "TLS: the connection ended unexpectedly"),
            (SSL.Error(), "TLS: the connection ended unexpectedly"),
            (VerificationError(errors=[]), "TLS: the certificate is for other names"),
            (DNSLookupError("no results"), "the name does not resolve"),
            (ConnectionDone(), "the connection was closed"),
            (ConnectionLost(), "the connection was cut off"),
            (RuntimeError(), "RuntimeError"),
        ):
            with self.subTest(repr(error)):
                self.assertEqual(why(Failure(error)), text)
        self.assertIn("refused", why(Failure(ConnectionRefusedError())))
