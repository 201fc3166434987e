"""Which certificate answers which name, as Python's own TLS client sees it."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.net import tls
from orion_twisted.net.certchecks import CertificateFile, checked
from orion_twisted.net.tls import CertificateTable
from tests.certificates import A_DAY, Issued, authority, issue
from tests.transports import Pipe

NOW = datetime.now(UTC)


class Client:
    """
    A client of the standard library, joined in memory to a server with a table.

    Attributes:
        connection: what `ssl` says of the connection.
        sent: the certificates that the server has sent, in their order.
    """

    def __init__(self, table: CertificateTable, name: str | None, context: ssl.SSLContext) -> None:
        clock: Any = MemoryReactorClock()
        behind = Factory.forProtocol(Protocol)
        self._wire = Pipe(clock)
        self._wire.connect(TLSMemoryBIOFactory(table, False, behind, clock).buildProtocol(None))
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.connection = context.wrap_bio(self._in, self._out, server_hostname=name)
        while not self._shaken():
            self._exchange()
        self._exchange()

    def _shaken(self) -> bool:
        try:
            self.connection.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def _exchange(self) -> None:
        if self._out.pending:
            self._wire.hears(self._out.read())
        self._in.write(bytes(self._wire.taken))
        self._wire.taken.clear()
        if self._wire.heard_end or self._wire.disconnected:
            self._in.write_eof()

    @property
    def sent(self) -> list[x509.Certificate]:
        chain = self.connection._sslobj.get_unverified_chain()  # type: ignore[attr-defined]
        return [x509.load_pem_x509_certificate(each.public_bytes().encode()) for each in chain]

    @property
    def leaf(self) -> x509.Certificate:
        der = self.connection.getpeercert(binary_form=True)
        assert der is not None
        return x509.load_der_x509_certificate(der)


def as_file(issued: Issued, *issuers: Issued) -> CertificateFile:
    """Return a certificate as the table takes it."""
    chain = [issued.certificate, *(each.certificate for each in issuers)]
    return checked(Path("test.pem"), chain, issued.key, NOW)


def any_context() -> ssl.SSLContext:
    """Return the context of a client that takes every certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class TableTestCase(SynchronousTestCase):
    """A table of certificates from one authority."""

    def setUp(self) -> None:
        self.root = authority("Root CA")
        self.shop = issue(["shop.example", "www.shop.example"], self.root)
        self.wild = issue(["*.shop.example"], self.root)
        self.fallback = issue(["localhost"], self.root)
        self.table = self.build(self.shop, self.wild, self.fallback)

    def build(self, *issued: Issued, fallback: str | None = "localhost") -> CertificateTable:
        return CertificateTable(map(as_file, issued), fallback, NOW)

    def visit(self, name: str | None, **options: Any) -> Client:
        context = any_context()
        for option, value in options.items():
            setattr(context, option, value)
        return Client(self.table, name, context)

    def assert_answers(self, name: str | None, expected: Issued) -> None:
        self.assertEqual(self.visit(name).leaf, expected.certificate, name)


class NamesTests(TableTestCase):
    """Server name indication."""

    def test_exact(self) -> None:
        """Every name of a certificate is answered by it."""
        self.assert_answers("shop.example", self.shop)
        self.assert_answers("www.shop.example", self.shop)

    def test_wildcard(self) -> None:
        """A wildcard answers one label, and an exact name comes before it."""
        self.assert_answers("cafe.shop.example", self.wild)
        self.assert_answers("www.shop.example", self.shop)
        for name in ("a.b.shop.example", "shop.example.", "xshop.example"):
            self.assertNotEqual(self.visit(name).leaf, self.wild.certificate, name)

    def test_spellings(self) -> None:
        """The case of letters does not matter, nor does a dot at the end."""
        for name in ("SHOP.example", "Shop.Example", "shop.example.", "SHOP.EXAMPLE."):
            self.assert_answers(name, self.shop)
        self.assert_answers("CAFE.Shop.Example", self.wild)

    def test_international(self) -> None:
        """Names with letters beyond ASCII travel as A-labels."""
        korean = issue(["xn--ok0bw0e.example"], self.root)
        self.table = self.build(korean, self.fallback)
        self.assert_answers("xn--ok0bw0e.example", korean)
        self.assert_answers("XN--OK0BW0E.example", korean)

    def test_unknown(self) -> None:
        """Unknown names, odd ones, and none at all are answered by the fallback."""
        for name in ("other.example", "example", "localhost", None, "a" * 63 + ".example"):
            self.assert_answers(name, self.fallback)

    def test_unknown_without_fallback(self) -> None:
        """Without a fallback such handshakes end with an alert, and known names are answered."""
        self.table = self.build(self.shop, fallback=None)
        for name in ("other.example", None):
            with self.assertRaisesRegex(ssl.SSLError, "(?i)alert|unrecognized"):
                self.visit(name)
        self.assert_answers("shop.example", self.shop)

    def test_no_such_fallback(self) -> None:
        """A fallback that no certificate has is an error at the start, not at the first visit."""
        with self.assertRaises(LookupError):
            self.build(self.shop, fallback="localhost")
        with self.assertRaises(LookupError):
            self.build(fallback="localhost")

    def test_fallback_by_wildcard(self) -> None:
        """The fallback may be a name that a wildcard answers."""
        self.table = self.build(self.wild, fallback="any.shop.example")
        self.assert_answers("other.example", self.wild)

    def test_empty_table(self) -> None:
        """A table without certificates refuses everybody."""
        self.table = self.build(fallback=None)
        with self.assertRaises(ssl.SSLError):
            self.visit("shop.example")


class VerifiedTests(TableTestCase):
    """Clients that check what they get, as browsers do."""

    def visit_verified(self, name: str) -> Client:
        context = ssl.create_default_context(cadata=self.root.certificate_pem.decode())
        return Client(self.table, name, context)

    def test_verified(self) -> None:
        """A client that trusts the authority is content with every name that it asks for."""
        for name in ("shop.example", "www.shop.example", "cafe.shop.example"):
            self.assertEqual(self.visit_verified(name).connection.version(), "TLSv1.3")

    def test_fallback_is_no_disguise(self) -> None:
        """A client that asked for another name sees that the fallback is not it."""
        with self.assertRaises(ssl.SSLCertVerificationError):
            self.visit_verified("other.example")

    def test_chain_is_sent_whole(self) -> None:
        """Every issuer but the root is sent, the leaf first."""
        between = authority("Intermediate CA", issuer=self.root)
        issuing = authority("Issuing CA", issuer=between)
        leaf = issue(["shop.example"], issuing)
        files = [as_file(leaf, self.root, between, issuing)]
        self.table = CertificateTable(files, None, NOW)
        client = self.visit_verified("shop.example")
        expected = [each.certificate for each in (leaf, issuing, between)]
        self.assertEqual(client.sent[:1], expected[:1])
        self.assertEqual(
            [each.public_bytes(Encoding.DER) for each in client.sent],
            [each.public_bytes(Encoding.DER) for each in expected],
        )


class SeveralTests(TableTestCase):
    """Several certificates for one name."""

    def test_later_expiry(self) -> None:
        """Of two that are valid the one that lasts longer answers, whatever their order."""
        short = issue(["shop.example"], self.root, not_after=NOW + 10 * A_DAY)
        long = issue(["shop.example"], self.root, not_after=NOW + 60 * A_DAY)
        for order in ((short, long), (long, short)):
            self.table = self.build(*order, fallback=None)
            self.assert_answers("shop.example", long)

    def test_valid_one(self) -> None:
        """One that is valid answers, and not one that has run out or has not begun."""
        valid = issue(["shop.example"], self.root, not_after=NOW + 10 * A_DAY)
        past = issue(
            ["shop.example"],
            self.root,
            not_before=NOW - 20 * A_DAY,
            not_after=NOW - A_DAY,
        )
        future = issue(
            ["shop.example"],
            self.root,
            not_before=NOW + A_DAY,
            not_after=NOW + 90 * A_DAY,
        )
        for order in ((valid, past, future), (future, past, valid)):
            self.table = self.build(*order, fallback="shop.example")
            self.assert_answers("shop.example", valid)
            self.assert_answers(None, valid)

    def test_other_names_of_the_older_one(self) -> None:
        """A certificate that is second for one name is still first for its others."""
        older = issue(["shop.example", "old.example"], self.root, not_after=NOW + 10 * A_DAY)
        newer = issue(["shop.example"], self.root, not_after=NOW + 60 * A_DAY)
        self.table = self.build(older, newer, fallback=None)
        self.assert_answers("shop.example", newer)
        self.assert_answers("old.example", older)


class PolicyTests(TableTestCase):
    """What every name has in common."""

    def test_protocols(self) -> None:
        """Every name speaks HTTP/1.1 to clients that ask what is spoken, and to those that do
        not, and to those that would rather speak something else."""
        for name in ("shop.example", "cafe.shop.example", "other.example", None):
            for offered, agreed in (
                (["h2", "http/1.1"], "http/1.1"),
                (["http/1.1"], "http/1.1"),
                (["h2"], None),
                ([], None),
            ):
                context = any_context()
                if offered:
                    context.set_alpn_protocols(offered)
                client = Client(self.table, name, context)
                self.assertEqual(client.connection.selected_alpn_protocol(), agreed)

    def test_versions(self) -> None:
        """TLS 1.2 and 1.3 are spoken under every name, with ciphers that authenticate."""
        version = ssl.TLSVersion
        for name in ("shop.example", None):
            for spoken, text in ((version.TLSv1_2, "TLSv1.2"), (version.TLSv1_3, "TLSv1.3")):
                client = self.visit(name, maximum_version=spoken, minimum_version=spoken)
                self.assertEqual(client.connection.version(), text)
                cipher = client.connection.cipher()
                assert cipher is not None
                self.assertRegex(cipher[0], "GCM|CHACHA20_?-?POLY1305")

    def test_contexts_are_built_once(self) -> None:
        """A handshake builds no context: however many come, there is one for a certificate."""
        built = []
        real = tls.server_context

        def count(*arguments: Any, **more: Any) -> Any:
            built.append(arguments)
            return real(*arguments, **more)

        with patch.object(tls, "server_context", count):
            self.table = self.build(self.shop, self.wild, self.fallback)
            names = ("shop.example", "www.shop.example", "a.shop.example", "b.example", None)
            for _ in range(2):
                for name in names:
                    self.visit(name)
            before = len(built)
            for number in range(20):
                for name in (*names, f"{number}.shop.example", f"{number}.other.example"):
                    self.visit(name)
        self.assertEqual(len(built), before)
        self.assertLessEqual(before, 4)  # three certificates, and the entrance

    def test_context_by_name(self) -> None:
        """Names of one certificate share its context; those of others do not."""
        table = self.table
        self.assertIs(table.context_for("shop.example"), table.context_for("WWW.Shop.Example."))
        self.assertIsNot(table.context_for("shop.example"), table.context_for("a.shop.example"))
        self.assertIs(table.context_for("unknown.example"), table.context_for(""))
