"""What is no WebSocket, or not yet: the answers to requests, and deadlines for their lack."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from typing import ClassVar

from websockets.exceptions import InvalidStatus

from tests.browser import Browser
from tests.e2e.answers import Answer, head, read_answer, upgrade
from tests.e2e.backends import Backend, echo
from tests.e2e.browsers import receive
from tests.harness import Gateway, GatewayTestCase, eventually

SECRET = "Zq7-not-to-be-seen"
"""A word that stands in requests and must not stand in answers."""

SETTINGS = """
[tenant.shop1]
hosts = ["localhost", "*.shop1.example"]
backend = ["{0}"]

[tenant.small]
hosts = ["small.example"]
backend = ["{0}"]
limits = {{ connections = 1 }}
"""


class HttpTestCase(GatewayTestCase):
    gateway: ClassVar[Gateway]
    backend: ClassVar[Backend]
    flags: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.backend = cls.enterClassContext(Backend(echo))
        settings = cls.settings_file(SETTINGS.format(cls.backend.endpoint))
        cls.gateway = cls.start_for_class(f"--config={settings}", *cls.flags)

    def ask(self, request: bytes) -> Answer:
        """Send a request as it is; return the answer, which is checked for what all must keep."""
        with self.gateway.dial_tls() as connection:
            connection.sendall(request)
            answer = read_answer(connection)
        shown = f"{answer.headers} {answer.body!r}".lower()
        self.assertNotIn("server", answer.headers)
        for word in (SECRET.lower(), "twisted", "autobahn", "python", "orion", "traceback"):
            self.assertNotIn(word, shown)
        self.assertEqual(answer.headers["x-content-type-options"], "nosniff")
        self.assertEqual(answer.headers["content-length"], str(len(answer.body)))
        return answer


class RefusalTests(HttpTestCase):
    def test_unknown_path(self) -> None:
        """What is not there is 404, asked for as a page or as a WebSocket."""
        for request in (
            head(f"GET /{SECRET}?{SECRET} HTTP/1.1"),
            upgrade(f"/{SECRET}"),
            head("GET /ws/ HTTP/1.1"),
        ):
            self.assertEqual(self.ask(request).status, 404)

    def test_unknown_host(self) -> None:
        """A host that no tenant has is 421, so that a browser does not ask here again."""
        self.assertEqual(self.ask(upgrade(host=f"{SECRET}.example")).status, 421)
        self.assertEqual(self.ask(upgrade(host="a.b.shop1.example")).status, 421)

    def test_known_hosts(self) -> None:
        """Letter case, port and wildcard of the Host header find the tenant."""
        for host in (f"LOCALHOST:{self.gateway.port}", "a.shop1.example", "A.Shop1.Example."):
            with self.subTest(host), self.gateway.dial_tls() as connection:
                connection.sendall(upgrade(host=host))
                self.assertEqual(connection.recv(12), b"HTTP/1.1 101")

    def test_a_websockets_path_without_upgrade(self) -> None:
        """A page request for the WebSocket's path is 426, and told what to upgrade to."""
        answer = self.ask(head(f"GET /ws?{SECRET} HTTP/1.1"))
        self.assertEqual((answer.status, answer.headers["upgrade"]), (426, "websocket"))

    def test_another_websocket_version(self) -> None:
        """An old draft's version is 426, and told which one is spoken."""
        request = upgrade().replace(b"Version: 13", b"Version: 8")
        answer = self.ask(request)
        self.assertEqual((answer.status, answer.headers["sec-websocket-version"]), (426, "13"))

    def test_another_method(self) -> None:
        """A POST to the WebSocket's path is 405, and told what is allowed."""
        answer = self.ask(upgrade().replace(b"GET ", b"POST "))
        self.assertEqual((answer.status, answer.headers["allow"]), (405, "GET"))

    def test_garbage(self) -> None:
        """Bytes that are no HTTP/1.1 request, or a crooked one, are 400."""
        crooked = [
            f"{SECRET}\r\n\r\n".encode(),
            b"\x00\x01\x02\x03\r\n\r\n",
            head("GET /ws HTTP/1.1", host=None),
            head("GET /ws HTTP/1.1", "Host: other.example"),
            head("GET /ws HTTP/1.1", f"{SECRET} : x"),
            head("GET /ws HTTP/1.1", "Folded: a\r\n b"),
            head("GET /ws HTTP/1.1", "Bare: a\nLine: b"),
            upgrade().replace(b"Sec-WebSocket-Key: ", b"Sec-WebSocket-Key: short"),
            upgrade("/ws", "Content-Length: 5") + b"hello",
        ]
        for request in crooked:
            with self.subTest(request):
                self.assertEqual(self.ask(request).status, 400)

    def test_other_versions_of_http(self) -> None:
        """HTTP/1.0 has no upgrade, and is told so."""
        self.assertEqual(self.ask(head("GET /ws HTTP/1.0")).status, 505)

    def test_a_huge_header(self) -> None:
        """More than 16 KiB of header are 431, in one line or in many."""
        for request in (
            head("GET /ws HTTP/1.1", f"X-Big: {SECRET * 1000}"),
            head("GET /ws HTTP/1.1", *(f"X-{number}: {SECRET}" for number in range(1000))),
            head(f"GET /{'a' * 20_000} HTTP/1.1"),
            b"G" * 20_000,
        ):
            self.assertEqual(self.ask(request).status, 431)

    def test_a_refusal_ends_the_connection(self) -> None:
        """Nothing that stands behind a refused request is ever taken for another request."""
        for request in (head("GET /nothing HTTP/1.1"), b"no request\r\n\r\n"):
            with self.subTest(request), self.gateway.dial_tls() as connection:
                connection.sendall(request + upgrade())
                self.assertGreaterEqual(read_answer(connection).status, 400)
                self.assertEqual(connection.recv(1), b"")

    def test_a_header_just_below_the_limit(self) -> None:
        """15 KiB of cookies do no harm."""
        with self.gateway.dial_tls() as connection:
            connection.sendall(upgrade("/ws", f"Cookie: a={'c' * 15_000}"))
            self.assertEqual(connection.recv(12), b"HTTP/1.1 101")

    def test_a_full_tenant(self) -> None:
        """Beyond its connections a tenant is 503 with Retry-After; other tenants are not."""
        with self.gateway.browser(host="localhost") as other, self.small() as first:
            with self.assertRaises(InvalidStatus) as caught:
                self.small()
            response = caught.exception.response
            self.assertEqual((response.status_code, response.headers["Retry-After"]), (503, "5"))
            first.send("still here")
            other.send("here, too")
            self.assertEqual(receive(first, 1) + receive(other, 1), ["still here", "here, too"])
        eventually(self.is_there_room, "the place that was given back")

    def is_there_room(self) -> bool:
        try:
            with self.small() as browser:
                browser.send("again")
                return receive(browser, 1) == ["again"]
        except InvalidStatus:
            return False

    def small(self) -> Browser:
        """Return a browser of the tenant that has one place; its certificate is another's."""
        return self.gateway.browser(host="small.example", server_hostname="localhost")


class DeadlineTests(HttpTestCase):
    flags = ("--limit=handshake=1s",)

    def closed_after(self, connection: socket.socket) -> float:
        """Return how many seconds a connection stays open; nothing may be said on it."""
        began = time.monotonic()
        with suppress(ConnectionError):  # a reset is an end, too
            self.assertEqual(connection.recv(1), b"")
        return time.monotonic() - began

    def test_silent_before_tls(self) -> None:
        """A connection that does not even begin with TLS is closed at the deadline."""
        with self.gateway.dial() as raw:
            self.assertGreater(self.closed_after(raw), 0.8)

    def test_silent_after_tls(self) -> None:
        """A connection that asks for nothing is closed at the deadline."""
        with self.gateway.dial_tls() as connection:
            self.assertGreater(self.closed_after(connection), 0.5)

    def test_slow_headers(self) -> None:
        """A header that comes byte by byte does not push the deadline away."""
        with self.gateway.dial_tls() as connection:
            connection.settimeout(0.1)
            began = time.monotonic()
            for byte in upgrade("/ws", f"Cookie: {'c' * 2000}"):
                try:
                    connection.sendall(bytes([byte]))
                    if connection.recv(1) == b"":
                        break
                except TimeoutError:
                    pass  # nothing was said, as it should be
                except OSError:
                    break
                self.assertLess(time.monotonic() - began, 30)
            else:
                self.fail("the header was read to its end")

    def test_pings(self) -> None:
        """A browser that does not answer pings is gone; one that does may say nothing else."""
        gateway = self.start(
            f"--backend={self.backend.endpoint}",
            "--limit=ping_every=200ms",
            "--limit=ping_timeout=500ms",
        )
        with gateway.browser() as lively, gateway.dial_tls() as deaf:
            deaf.sendall(upgrade())
            came = b""
            with suppress(ConnectionError):
                while data := deaf.recv(4096):
                    came += data
            self.assertIn(b"\r\n\r\n\x89", came, "no ping came")
            lively.send("here")
            self.assertEqual(receive(lively, 1), ["here"])

    def test_in_time(self) -> None:
        """A browser that is through stays, however long it is silent."""
        with self.gateway.browser() as browser:
            time.sleep(1.5)
            browser.send("hello")
            self.assertEqual(receive(browser, 1), ["hello"])
