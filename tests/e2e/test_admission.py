"""Who is let in, at a real gateway over wss: origins, tokens, embedding, client certificates."""

from __future__ import annotations

import ssl
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from orion_twisted.core.settings import TokenSettings
from orion_twisted.web.token_keys import load_keys, signing_key
from orion_twisted.web.tokens import LEEWAY, mint
from tests.certificates import A_DAY, Issued, authority, issue
from tests.e2e.answers import Answer, head, read_answer, upgrade
from tests.e2e.backends import Backend, echo
from tests.e2e.browsers import receive
from tests.harness import Gateway, GatewayTestCase, client_context

OPEN, LISTED, GUARDED, SECURE = "localhost", "listed.example", "guarded.example", "mtls.example"
BOTH = "both.example"
SECRET = "a secret of the tests, of a length that is enough"
OTHER_SECRET = "another secret of the tests, as long as the first"


class AdmissionTestCase(GatewayTestCase):
    """One tenant for each rule, each with a name of its own."""

    names = (OPEN, LISTED, GUARDED, SECURE, BOTH)
    gateway: ClassVar[Gateway]
    clients: ClassVar[Issued]
    keys: ClassVar[Path]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        backend = cls.enterClassContext(Backend(echo))
        folder = cls.new_folder()
        cls.clients = authority("Clients of the shop")
        (folder / "clients.pem").write_bytes(cls.clients.certificate_pem)
        cls.keys = folder / "keys"
        cls.keys.mkdir()
        (cls.keys / "k1").write_text(SECRET)
        (folder / "pages").mkdir()
        (folder / "pages" / "index.html").write_text("<!doctype html><title>editor</title>")
        settings = folder / "orion-bridge.toml"
        settings.write_text(cls.toml(backend.endpoint))
        cls.gateway = cls.start_for_class(f"--config={settings}", **cls.options())

    @classmethod
    def options(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def toml(cls, backend: str) -> str:
        return f"""
            [tenant.open]
            hosts = ["{OPEN}"]
            backend = "{backend}"
            site = "pages"
            embed_in = ["https://shop1.cafe24.com", "https://*.shop.example"]
            [tenant.listed]
            hosts = ["{LISTED}"]
            backend = "{backend}"
            origins = ["https://shop.example", "http://other.example:8080"]
            embed_in = ["https://shop.example"]
            [tenant.both]
            hosts = ["{BOTH}"]
            backend = "{backend}"
            origins = ["https://shop.example"]
            token = {{ key_file = "keys", required = false }}
            [tenant.guarded]
            hosts = ["{GUARDED}"]
            backend = "{backend}"
            subprotocols = ["orion.v1"]
            token = {{ key_file = "keys" }}
            [tenant.other]
            hosts = ["{GUARDED}"]
            path = "/other"
            backend = "{backend}"
            token = {{ key_file = "keys" }}
            [tenant.secure]
            hosts = ["{SECURE}"]
            backend = "{backend}"
            client_ca = "clients.pem"
            """

    def context(self, certificate: Issued | None = None) -> ssl.SSLContext:
        context = client_context(self.ca_file)
        context.check_hostname = False
        if certificate is not None:
            file = self.new_folder() / "client.pem"
            file.write_bytes(certificate.pem)
            context.load_cert_chain(file)
        return context

    def ask(self, request: bytes, name: str = OPEN, certificate: Issued | None = None) -> Answer:
        """Send a request over a connection that was made for a name; return the answer."""
        with (
            self.gateway.dial() as raw,
            self.context(certificate).wrap_socket(raw, server_hostname=name) as connection,
        ):
            connection.sendall(request)
            return read_answer(connection)

    def upgrade(self, name: str, *headers: str, path: str = "/ws") -> Answer:
        return self.ask(upgrade(path, *headers, host=name), name)

    def token(self, tenant: str = "guarded", **changes: Any) -> str:
        settings = TokenSettings(key_file=str(self.keys))
        key = signing_key(load_keys(self.keys, ["HS256"]))
        arguments = {"now": time.time(), "life": 60.0, **changes}
        return mint(tenant, settings, key, **arguments)


class OriginTests(AdmissionTestCase):
    """Whose pages may connect."""

    def status(self, name: str, *origins: str) -> int:
        return self.upgrade(name, *(f"Origin: {each}" for each in origins)).status

    def test_without_a_list(self) -> None:
        """A tenant without ``origins`` takes its own pages, and clients that are no browsers."""
        for origins, status in (
            ([], 101),
            (["https://localhost"], 101),
            (["https://localhost:9000"], 101),
            (["http://LOCALHOST"], 101),
            (["https://evil.example"], 403),
            (["https://localhost.evil.example"], 403),
            (["null"], 403),
            (["https://localhost/"], 403),
            (["https://localhost", "https://localhost"], 403),
        ):
            with self.subTest(origins=origins):
                self.assertEqual(self.status(OPEN, *origins), status)

    def test_with_a_list(self) -> None:
        """A tenant with ``origins`` takes those, to the letter and the port, and nobody else."""
        for origins, status in (
            (["https://shop.example"], 101),
            (["https://SHOP.example:443"], 101),
            (["http://other.example:8080"], 101),
            ([], 403),
            (["null"], 403),
            (["http://shop.example"], 403),
            (["https://shop.example:444"], 403),
            (["http://other.example"], 403),
            (["https://a.shop.example"], 403),
            (["https://shop.example.evil.example"], 403),
            ([f"https://{LISTED}"], 403),
            (["https://shop.example", "https://evil.example"], 403),
            (["https://shop.example https://evil.example"], 403),
        ):
            with self.subTest(origins=origins):
                self.assertEqual(self.status(LISTED, *origins), status)

    def test_a_token_in_place_of_an_origin(self) -> None:
        """What is no browser may come with a token; a foreign page may not come with one."""
        self.assertEqual(self.upgrade(BOTH).status, 401)
        self.assertEqual(self.upgrade(BOTH, "Origin: https://shop.example").status, 101)
        bearer = f"Sec-WebSocket-Protocol: orion.bearer.{self.token('both')}"
        foreign = "Origin: https://evil.example"
        self.assertEqual(self.upgrade(BOTH, foreign, bearer).status, 403)
        self.assertEqual(self.upgrade(BOTH, bearer).status, 101)  # it was not used up


class TokenTests(AdmissionTestCase):
    """Tokens, in their two places."""

    def by_subprotocol(self, token: str, path: str = "/ws") -> Answer:
        offer = f"Sec-WebSocket-Protocol: orion.v1, orion.bearer.{token}"
        return self.upgrade(GUARDED, offer, path=path)

    def by_query(self, token: str) -> Answer:
        return self.upgrade(GUARDED, path=f"/ws?page=1&token={token}")

    def test_valid(self) -> None:
        """A valid token lets its browser in, from either place, and is never sent back."""
        answer = self.by_subprotocol(self.token())
        self.assertEqual(answer.status, 101)
        self.assertEqual(answer.headers["sec-websocket-protocol"], "orion.v1")
        self.assertEqual(self.by_query(self.token()).status, 101)

    def test_a_conversation(self) -> None:
        """Behind the token is a WebSocket as ever."""
        offer: Any = ["orion.v1", f"orion.bearer.{self.token()}"]
        with self.gateway.browser(host=GUARDED, subprotocols=offer) as browser:
            self.assertEqual(browser.subprotocol, "orion.v1")
            browser.send("hello")
            self.assertEqual(receive(browser, 1), ["hello"])

    def test_none(self) -> None:
        """Without one there is no way in, and the answer says what is missing."""
        answer = self.upgrade(GUARDED)
        self.assertEqual((answer.status, answer.headers["www-authenticate"]), (401, "Bearer"))

    def test_replayed(self) -> None:
        """A token for a single use is good once, whichever way it comes again."""
        for token in (self.token(), self.token()):
            self.assertEqual(self.by_subprotocol(token).status, 101)
            self.assertEqual(self.by_query(token).status, 401)
            self.assertEqual(self.by_subprotocol(token).status, 401)
        many = self.token(single_use=False)
        self.assertEqual([self.by_query(many).status for _ in range(3)], [101] * 3)

    def test_out_of_date(self) -> None:
        """An expired one, and one from the future, are refused."""
        now = time.time()
        self.assertEqual(self.by_query(self.token(now=now - LEEWAY - 70)).status, 401)
        self.assertEqual(self.by_query(self.token(now=now + LEEWAY + 60)).status, 401)
        self.assertEqual(self.by_query(self.token(now=now - 65)).status, 101)  # clocks differ

    def test_of_another_tenant(self) -> None:
        """A token of one tenant opens no other's door, even with the same keys."""
        token = self.token("other")
        self.assertEqual(self.by_subprotocol(token).status, 403)
        self.assertEqual(self.by_subprotocol(token, "/other").status, 101)

    def test_nonsense(self) -> None:
        """Other keys' tokens, cut ones, two at once: all are refused."""
        path = self.new_folder() / "k1"
        path.write_text(OTHER_SECRET)
        forged = signing_key(load_keys(path, ["HS256"]))
        settings = TokenSettings(key_file=str(path))
        good = self.token()
        for token in (
            mint("guarded", settings, forged, time.time(), 60.0),
            good[:-1],
            good.rpartition(".")[0] + ".",
            "e30.e30.e30",
            "x",
        ):
            with self.subTest(token):
                self.assertEqual(self.by_subprotocol(token).status, 401)
        twice = f"Sec-WebSocket-Protocol: orion.bearer.{good}"
        answer = self.upgrade(GUARDED, twice, path=f"/ws?token={good}")
        self.assertEqual(answer.status, 401)

    def test_never_in_the_log(self) -> None:
        """No part of a token is ever logged, let in or not."""
        tokens = [self.token(), self.token("other"), self.token(now=time.time() - 1000)]
        for token in tokens:
            self.by_query(token)
            self.by_subprotocol(token)
        log = self.gateway.log
        self.assertIn("refusing 127.0.0.1 of guarded: 401 token_expired", log)
        for token in tokens:
            for part in token.split("."):
                self.assertNotIn(part, log)


class EmbeddingTests(AdmissionTestCase):
    """Whose pages may show ours."""

    SHOPS = "frame-ancestors https://shop1.cafe24.com https://*.shop.example"

    def policy(self, answer: Answer) -> str:
        self.assertNotIn("x-frame-options", answer.headers)
        return answer.headers["content-security-policy"]

    def test_pages(self) -> None:
        """Pages say it, those that are not there too."""
        for path, status in (("/", 200), ("/nothing.js", 404), ("/route", 200)):
            answer = self.ask(head(f"GET {path} HTTP/1.1", "Accept: text/html"))
            self.assertEqual(answer.status, status, path)
            self.assertIn(self.SHOPS, self.policy(answer))

    def test_refusals(self) -> None:
        """So does every refusal of a tenant's."""
        for request, name, status, shops in (
            (head("POST / HTTP/1.1"), OPEN, 405, self.SHOPS),
            (head("GET /ws HTTP/1.1"), OPEN, 426, self.SHOPS),
            (upgrade("/ws", "Origin: https://evil.example"), OPEN, 403, self.SHOPS),
            (
                upgrade("/ws", host=LISTED),
                LISTED,
                403,
                "frame-ancestors https://shop.example",
            ),
            (head("GET / HTTP/1.1", host=LISTED), LISTED, 404, "https://shop.example"),
            (upgrade("/ws", host=GUARDED), GUARDED, 401, "frame-ancestors 'self'"),
        ):
            with self.subTest(status=status, name=name):
                answer = self.ask(request, name)
                self.assertEqual(answer.status, status)
                self.assertIn(shops, self.policy(answer))

    def test_nobody(self) -> None:
        """What belongs to no tenant may be shown nowhere."""
        for request, status in (
            (head("GET / HTTP/1.1", host="stranger.example"), 421),
            (b"nonsense\r\n\r\n", 400),
        ):
            answer = self.ask(request)
            self.assertEqual(answer.status, status)
            self.assertIn("frame-ancestors 'none'", self.policy(answer))


class ClientCertificateTests(AdmissionTestCase):
    """A tenant whose clients show certificates of an authority."""

    def client(self, ca: Issued | None = None, **options: Any) -> Issued:
        return issue(["client"], ca or self.clients, for_servers=False, **options)

    def test_of_the_authority(self) -> None:
        """With a certificate of the authority there is a WebSocket."""
        answer = self.ask(upgrade(host=SECURE), SECURE, self.client())
        self.assertEqual(answer.status, 101)

    def test_without(self) -> None:
        """Without one, or with a stranger's, or one that has run out, the handshake fails."""
        now = datetime.now(UTC)
        expired = self.client(not_before=now - 3 * A_DAY, not_after=now - A_DAY)
        for certificate in (None, self.client(authority("Clients of the shop")), expired):
            with self.subTest(certificate), self.assertRaises((ssl.SSLError, ConnectionError)):
                self.ask(upgrade(host=SECURE), SECURE, certificate)

    def test_over_another_name(self) -> None:
        """A connection that was made for another name carries no request for this one: 421."""
        for certificate in (None, self.client()):
            answer = self.ask(upgrade(host=SECURE), OPEN, certificate)
            self.assertEqual(answer.status, 421)
        self.assertIn("421 client_certificate", self.gateway.log)

    def test_others_are_not_asked(self) -> None:
        """Other names ask for no certificate, and take a client that has one."""
        self.assertEqual(self.ask(upgrade(), OPEN, self.client()).status, 101)

    def test_the_other_way_round(self) -> None:
        """A connection that has shown a certificate may carry requests for other tenants."""
        self.assertEqual(self.ask(upgrade(host=OPEN), SECURE, self.client()).status, 101)


class StrictSniTests(AdmissionTestCase):
    """``strict_sni``: unknown names, and none, end in the handshake."""

    @classmethod
    def toml(cls, backend: str) -> str:
        return f"""
            strict_sni = true
            [tenant.open]
            hosts = ["*"]
            backend = "{backend}"
            """

    def test_known_names(self) -> None:
        """Those that have a certificate are served."""
        for name in (OPEN, LISTED):
            self.assertEqual(self.ask(upgrade(host=name), name).status, 101)

    def test_unknown_names(self) -> None:
        """Others are told that the name is unknown, in spite of the fallback."""
        for name in ("stranger.example", None):
            with self.subTest(name), self.gateway.dial() as raw:
                with self.assertRaises(ssl.SSLError) as caught:
                    self.context().wrap_socket(raw, server_hostname=name)
                self.assertIn("UNRECOGNIZED_NAME", caught.exception.reason)
