"""Certificates by name, ALPN and protocol versions, with the clients of Python and OpenSSL."""

from __future__ import annotations

import re
import shutil
import ssl
import subprocess
import warnings
from contextlib import suppress
from typing import Any, ClassVar

from tests.e2e.backends import Backend, echo
from tests.e2e.browsers import receive
from tests.harness import PATIENCE, Gateway, GatewayTestCase, client_context, needs_package

LOCALHOST = ["127.0.0.1", "::1", "localhost"]
SHOP1 = ["shop1.example"]
SHOP2 = ["*.shop2.example"]


class TlsTestCase(GatewayTestCase):
    """Three certificates behind one port."""

    names = ("localhost", "shop1.example", "*.shop2.example")
    gateway: ClassVar[Gateway]
    backend: ClassVar[Backend]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.backend = cls.enterClassContext(Backend(echo))
        cls.gateway = cls.start_for_class(f"--backend={cls.backend.endpoint}")

    def handshake(
        self,
        name: str | None,
        alpn: list[str] | None = None,
        context: ssl.SSLContext | None = None,
        gateway: Gateway | None = None,
    ) -> ssl.SSLSocket:
        """Return a TLS connection that asked for a name, whoever answered, but verified."""
        gateway = gateway or self.gateway
        context = context or client_context(self.ca_file)
        context.check_hostname = False
        if alpn is not None:
            context.set_alpn_protocols(alpn)
        raw = gateway.dial()
        self.addCleanup(raw.close)
        connection = context.wrap_socket(raw, server_hostname=name)
        self.addCleanup(connection.close)
        return connection

    def names_for(self, name: str | None, gateway: Gateway | None = None) -> list[str]:
        """Return whose certificate answers a client that asks for a name."""
        certificate: Any = self.handshake(name, gateway=gateway).getpeercert()
        # An IPv6 address comes as 0:0:0:0:0:0:0:1, with a line's end in some versions.
        found = [value.strip() for _, value in certificate["subjectAltName"]]
        return sorted("::1" if value == "0:0:0:0:0:0:0:1" else value for value in found)


class NameTests(TlsTestCase):
    def test_each_name_gets_its_own_certificate(self) -> None:
        """A client that asks for a name gets the certificate which is for exactly that name."""
        self.assertEqual(self.names_for("shop1.example"), SHOP1)
        self.assertEqual(self.names_for("localhost"), LOCALHOST)

    def test_a_wildcard_answers_one_label(self) -> None:
        """*.shop2.example is for any one label before it, not for two, and not for none."""
        self.assertEqual(self.names_for("a.shop2.example"), SHOP2)
        self.assertEqual(self.names_for("a.b.shop2.example"), LOCALHOST)
        self.assertEqual(self.names_for("shop2.example"), LOCALHOST)

    def test_the_fallback_answers_the_rest(self) -> None:
        """Unknown names and clients that name none get the fallback's certificate."""
        self.assertEqual(self.names_for("stranger.example"), LOCALHOST)
        self.assertEqual(self.names_for(None), LOCALHOST)

    def test_letter_case_means_nothing(self) -> None:
        """SHOP1.Example is shop1.example."""
        self.assertEqual(self.names_for("SHOP1.Example"), SHOP1)
        self.assertEqual(self.names_for("A.Shop2.EXAMPLE"), SHOP2)

    def test_browsers_get_through_by_every_name(self) -> None:
        """A browser that checks the certificate talks through the gateway under each name."""
        for name in ("shop1.example", "webedit.shop2.example", "localhost"):
            with self.subTest(name), self.gateway.browser(host=name) as browser:
                browser.send(name)
                self.assertEqual(receive(browser, 1), [name])

    def test_without_a_fallback_strangers_are_refused(self) -> None:
        """With no fallback set, an unknown name and no name end in a failed handshake."""
        gateway = self.start(f"--backend={self.backend.endpoint}", fallback=None)
        for name in ("stranger.example", None):
            with self.subTest(name), self.assertRaises(ssl.SSLError) as caught:
                self.handshake(name, gateway=gateway)
            self.assertRegex(caught.exception.reason, "HANDSHAKE_FAILURE|UNRECOGNIZED_NAME")
        self.assertEqual(self.names_for("shop1.example", gateway), SHOP1)


class ProtocolTests(TlsTestCase):
    def test_alpn_is_http_1_1_or_nothing(self) -> None:
        """Whatever a client offers beside it, http/1.1 is chosen; without ALPN it works, too."""
        for name in ("shop1.example", "a.shop2.example", "stranger.example", None):
            for offer, chosen in (
                (["http/1.1"], "http/1.1"),
                (["h2", "http/1.1"], "http/1.1"),
                (["h2"], None),
                (None, None),
            ):
                with self.subTest(name=name, offer=offer):
                    connection = self.handshake(name, offer)
                    self.assertEqual(connection.selected_alpn_protocol(), chosen)
                    connection.sendall(b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    self.assertEqual(connection.recv(12), b"HTTP/1.1 404")

    def test_tls_1_2_and_1_3_are_spoken(self) -> None:
        """Both versions work, each with a suite that authenticates what it encrypts."""
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = client_context(self.ca_file)
            context.minimum_version = context.maximum_version = version
            with self.subTest(version):
                connection = self.handshake("shop1.example", context=context)
                self.assertEqual(connection.version(), version.name.replace("_", "."))
                self.assertRegex((connection.cipher() or ("",))[0], "GCM|CHACHA20")

    def test_old_tls_is_refused(self) -> None:
        """TLS 1.1 gets the alert that says why."""
        context = client_context(self.ca_file)
        context.set_ciphers("ALL:@SECLEVEL=0")  # or the client would not even ask
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # old is what it is meant to be
            context.minimum_version = ssl.TLSVersion.TLSv1_1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        with self.assertRaises(ssl.SSLError) as caught:
            self.handshake("shop1.example", context=context)
        self.assertEqual(caught.exception.reason, "TLSV1_ALERT_PROTOCOL_VERSION")

    def test_old_suites_are_refused(self) -> None:
        """A client of TLS 1.2 that has only CBC suites, or no forward secrecy, is refused."""
        for suites in ("ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA", "AES128-GCM-SHA256"):
            context = client_context(self.ca_file)
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            context.set_ciphers(suites)
            with self.subTest(suites), self.assertRaises(ssl.SSLError) as caught:
                self.handshake("shop1.example", context=context)
            self.assertIn("HANDSHAKE_FAILURE", caught.exception.reason)

    def test_plain_http_on_the_tls_port_harms_nobody(self) -> None:
        """Bytes that are no TLS end their own connection; the next client is served."""
        with self.gateway.dial() as raw:
            raw.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            with suppress(ConnectionError):
                while raw.recv(4096):
                    pass
        self.assertEqual(self.names_for("shop1.example"), SHOP1)


class OpensslTests(TlsTestCase):
    """``openssl s_client``, as an administrator would look at it."""

    def setUp(self) -> None:
        super().setUp()
        if shutil.which("openssl") is None:
            needs_package(self, "openssl")

    def s_client(self, *arguments: str) -> str:
        """Return what s_client prints; it ends as soon as the handshake is done."""
        command = [
            "openssl",
            "s_client",
            "-connect",
            f"127.0.0.1:{self.gateway.port}",
            "-CAfile",
            str(self.ca_file),
            "-verify_return_error",
            *arguments,
        ]
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
            text=True,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("Verify return code: 0 (ok)", done.stdout)
        return done.stdout

    def subject(self, *arguments: str) -> str:
        match = re.search(r"^subject=.*CN ?= ?(\S+)$", self.s_client(*arguments), re.MULTILINE)
        self.assertIsNotNone(match)
        return match[1] if match else ""

    def test_three_names_and_none(self) -> None:
        """-servername shows the exact, the wildcard and the fallback certificate; so does none."""
        self.assertEqual(self.subject("-servername", "shop1.example"), "shop1.example")
        self.assertEqual(self.subject("-servername", "SHOP1.Example"), "shop1.example")
        self.assertEqual(self.subject("-servername", "a.shop2.example"), "*.shop2.example")
        self.assertEqual(self.subject("-servername", "stranger.example"), "localhost")
        self.assertEqual(self.subject("-noservername"), "localhost")

    def test_alpn(self) -> None:
        """-alpn shows http/1.1 on the exact, the wildcard and the fallback certificate."""
        for name in ("shop1.example", "a.shop2.example", "stranger.example"):
            shown = self.s_client("-servername", name, "-alpn", "h2,http/1.1")
            self.assertIn("ALPN protocol: http/1.1", shown)
