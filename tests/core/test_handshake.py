"""From a request to a decision: RFC 6455 section 4.2.1, rule by rule."""

from base64 import b64encode
from http import HTTPStatus

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.handshake import (
    MAX_SUBPROTOCOLS,
    DialIn,
    Page,
    Refused,
    Request,
    Upgrade,
    decide,
    dial_in,
    routes_of,
    unauthorized,
    unavailable,
    upgrade_request,
)
from orion_twisted.core.settings import TokenSettings
from tests.core.requests import HEADERS, KEY, ROUTES, SHOP, DecideTestCase, request


class HandshakeRulesTests(DecideTestCase):
    """RFC 6455 section 4.2.1."""

    def test_the_example_of_the_rfc(self) -> None:
        """A handshake with all that is asked for is upgraded, with its own key."""
        upgrade = self.assertUpgrade(request())
        self.assertEqual(upgrade, Upgrade(SHOP, KEY, None, b""))

    def test_1_method(self) -> None:
        """Only GET opens a WebSocket; other methods are told so."""
        for method in ("POST", "HEAD", "OPTIONS", "PUT", "get", "CONNECT"):
            with self.subTest(method):
                headers = self.assertRefused(
                    request(method=method), HTTPStatus.METHOD_NOT_ALLOWED, "method"
                )
                self.assertEqual(headers, {b"Allow": b"GET"})

    def test_2_host(self) -> None:
        """There is one Host header, and it says a host name, perhaps with a port."""
        table: list[tuple[bytes | None, str]] = [
            (None, "host_missing"),
            (b"", "host_invalid"),
            (b"shop example", "host_invalid"),
            (b"shop.example:", "host_invalid"),
            (b"shop.example:http", "host_invalid"),
            (b"shop.example:0", "host_invalid"),
            (b"shop.example:65536", "host_invalid"),
            (b"shop.example:08889", "host_invalid"),
            (b"user@shop.example", "host_invalid"),
            (b"shop.example/", "host_invalid"),
            (b"*.example", "host_invalid"),
            (b"*", "host_invalid"),
            (b"..", "host_invalid"),
            ("bücher.example".encode(), "host_invalid"),
            (b"\xff", "host_invalid"),
            (b"[::1", "host_invalid"),
            (b"::1", "host_invalid"),
            (b"x" * 10_000, "host_invalid"),
        ]
        for host, reason in table:
            with self.subTest(f"{host!r:.30}"):
                self.assertRefused(request(host=host), HTTPStatus.BAD_REQUEST, reason)

    def test_2_two_hosts(self) -> None:
        """Two Host headers are refused, even if they agree: who is meant is for one to say."""
        for other in (b"shop.example", b"editor.example"):
            self.assertRefused(request((b"host", other)), HTTPStatus.BAD_REQUEST, "host_missing")

    def test_3_upgrade(self) -> None:
        """Upgrade has to have websocket in it, in any case, in any place of its list."""
        for value in (b"websocket", b"WebSocket", b"h2c, websocket", b"WEBSOCKET,h2c"):
            with self.subTest(repr(value)):
                self.assertUpgrade(request(upgrade=value))
        self.assertUpgrade(request((b"upgrade", b"websocket"), upgrade=b"h2c"))
        for bad in (
            None,
            b"",
            b"h2c",
            b"websockets",
            b"web socket",
            b"websocket/13",
            b'"websocket"',
        ):
            with self.subTest(repr(bad)):
                headers = self.assertRefused(
                    request(upgrade=bad), HTTPStatus.UPGRADE_REQUIRED, "not_websocket"
                )
                self.assertEqual(headers[b"Upgrade"], b"websocket")

    def test_4_connection(self) -> None:
        """Connection has to have Upgrade in it, in any case, in any place of its list."""
        for value in (
            b"Upgrade",
            b"upgrade",
            b"UPGRADE",
            b"keep-alive, Upgrade",  # Firefox
            b"Upgrade , keep-alive",
            b"keep-alive,\tupgrade",
            b",, upgrade,",
        ):
            with self.subTest(repr(value)):
                self.assertUpgrade(request(connection=value))
        self.assertUpgrade(request((b"connection", b"Upgrade"), connection=b"keep-alive"))
        for bad in (None, b"", b"keep-alive", b"close", b"upgraded", b"up grade"):
            with self.subTest(repr(bad)):
                headers = self.assertRefused(
                    request(connection=bad), HTTPStatus.UPGRADE_REQUIRED, "not_websocket"
                )
                self.assertIn(b"Upgrade", headers[b"Connection"])

    def test_4_the_answer_closes(self) -> None:
        """A 426 says that the connection is closed, beside what may be upgraded to."""
        for asked in (request(upgrade=None), request(sec_websocket_version=b"8")):
            decision = decide(asked, ROUTES)
            assert isinstance(decision, Refused)
            self.assertEqual(dict(decision.headers)[b"Connection"], b"Upgrade, close")

    def test_5_key(self) -> None:
        """The key is base64 of 16 bytes, once."""
        for nonce in (bytes(16), b"\xff" * 16, bytes(range(16))):
            self.assertEqual(
                self.assertUpgrade(request(sec_websocket_key=b64encode(nonce))).key,
                b64encode(nonce),
            )
        for bad in (
            None,
            b"",
            b"dGhlIHNhbXBsZSBub25jZQ",  # without its padding
            b"dGhlIHNhbXBsZSBub25jZQ=",
            b"dGhlIHNhbXBsZSBub25jZ===",
            b" dGhlIHNhbXBsZSBub25jZQ=",
            b64encode(bytes(15)),
            b64encode(bytes(17)),
            b64encode(bytes(18)),
            b64encode(bytes(1000)),
            b"dGhlIHNhbXBsZSBub25jZ!==",
            b"dGhlIHNhbXBsZSBub25-_Q==",
            b"dGhl\tHNhbXBsZSBub25jZQ==",
            b"=" * 24,
            b"\xff" * 24,
            b"dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==",
        ):
            with self.subTest(f"{bad!r:.40}"):
                self.assertRefused(
                    request(sec_websocket_key=bad), HTTPStatus.BAD_REQUEST, "websocket_key"
                )
        self.assertRefused(
            request((b"sec-websocket-key", KEY)), HTTPStatus.BAD_REQUEST, "websocket_key"
        )

    def test_6_version(self) -> None:
        """Another version than 13 is told which one is spoken."""
        twice = request((b"sec-websocket-version", b"13"))
        others = [
            request(sec_websocket_version=version)
            for version in (None, b"", b"8", b"12", b"14", b"013", b"13.0", b"13, 8", b"8, 13")
        ]
        for asked in (twice, *others):
            with self.subTest(repr(asked.values(b"sec-websocket-version"))):
                headers = self.assertRefused(
                    asked, HTTPStatus.UPGRADE_REQUIRED, "websocket_version"
                )
                self.assertEqual(headers[b"Sec-WebSocket-Version"], b"13")
                self.assertEqual(headers[b"Upgrade"], b"websocket")

    def test_7_origin(self) -> None:
        """A page of another host is refused, unless the tenant lists where it comes from."""
        foreign = request((b"origin", b"https://shop1.cafe24.com"))
        self.assertRefused(foreign, HTTPStatus.FORBIDDEN, "origin")
        self.assertUpgrade(request((b"origin", b"https://shop.example:8889")))
        listed = routes_of([evolve(SHOP, origins=("https://shop1.cafe24.com:443",))])
        self.assertIsInstance(decide(foreign, listed), Upgrade)
        # And no Origin at all: no browser, which here has no way to show who it is.
        refused = decide(request(), listed)
        assert isinstance(refused, Refused)
        self.assertEqual((refused.status, refused.reason), (403, "origin_missing"))

    def test_7_token(self) -> None:
        """A token is found, taken out, and asked for where the tenant or the Origin needs one."""
        offers = {
            "none": request(),
            "subprotocol": request((b"sec-websocket-protocol", b"orion.bearer.abc, orion.v1")),
            "query": request(query="a=1&token=abc"),
            "both": request((b"sec-websocket-protocol", b"orion.bearer.abc"), query="token=abc"),
        }
        token = TokenSettings(key_file="keys")
        optional = evolve(token, required=False)
        tenants = {
            "required": evolve(SHOP, token=token),
            "optional": evolve(SHOP, token=optional),
            "optional, origins": evolve(SHOP, token=optional, origins=("https://a.example:443",)),
            "not known": SHOP,
        }
        for name, expected in (
            ("required", ["token_missing", "abc", "abc", "token_malformed"]),
            ("optional", [None, "abc", "abc", "token_malformed"]),
            ("optional, origins", ["token_missing", "abc", "abc", "token_malformed"]),
            ("not known", [None, None, None, "token_malformed"]),
        ):
            for offer, outcome in zip(offers, expected, strict=True):
                with self.subTest(tenant=name, offer=offer):
                    decision = decide(offers[offer], routes_of([tenants[name]]))
                    if isinstance(decision, Refused):
                        self.assertEqual((decision.status, decision.reason), (401, outcome))
                        self.assertIn((b"WWW-Authenticate", b"Bearer"), decision.headers)
                    else:
                        assert isinstance(decision, Upgrade)
                        self.assertEqual(decision.token, outcome)
                        self.assertNotIn("abc", repr(decision))
                        self.assertIn(decision.subprotocol, (None, "orion.v1"))

    def test_other_refusals_of_tokens(self) -> None:
        """Only 401 asks for a token; a valid one for somewhere else is another matter."""
        refused = unauthorized("token_tenant", HTTPStatus.FORBIDDEN)
        self.assertEqual((refused.status, refused.headers), (403, ()))
        refused = unauthorized("token_store_full", HTTPStatus.SERVICE_UNAVAILABLE)
        self.assertEqual((refused.status, refused.headers), (503, ((b"Retry-After", b"5"),)))

    def test_8_subprotocols(self) -> None:
        """The browser's first choice that the tenant lists is taken; the tenant has no order."""
        table: list[tuple[list[bytes], str | None]] = [
            ([], None),
            ([b""], None),
            ([b"orion.v1"], "orion.v1"),
            ([b"orion.v1, orion.v2"], "orion.v1"),
            ([b"orion.v2, orion.v1"], "orion.v2"),
            ([b"mqtt, orion.v1"], "orion.v1"),
            ([b"orion.v9", b"orion.v2"], "orion.v2"),
            ([b"orion.bearer.e30.e30.c2ln,orion.v2"], "orion.v2"),
            ([b"mqtt"], None),
            ([b"ORION.V1"], None),
            ([b",, orion.v1,"], "orion.v1"),
            ([b"!#$%&'*+-.^_`|~, orion.v1"], "orion.v1"),
        ]
        for lines, chosen in table:
            with self.subTest(repr(lines)):
                more = [(b"sec-websocket-protocol", line) for line in lines]
                self.assertEqual(self.assertUpgrade(request(*more)).subprotocol, chosen)

    def test_8_bad_subprotocols(self) -> None:
        """An element that is no token, or comes twice, is refused."""
        for lines in (
            [b"orion v1"],
            [b"orion.v1;q=1"],
            [b'"orion.v1"'],
            [b"orion.v1/2"],
            ["örion".encode()],
            [b"orion\x85v1"],
            [b"orion.v1, orion.v1"],
            [b"orion.v1", b"mqtt", b"orion.v1"],
        ):
            with self.subTest(repr(lines)):
                more = [(b"sec-websocket-protocol", line) for line in lines]
                self.assertRefused(request(*more), HTTPStatus.BAD_REQUEST, "subprotocols")

    def test_8_how_many_subprotocols(self) -> None:
        """32 may be offered, 33 may not."""
        names = [b"p%d" % n for n in range(MAX_SUBPROTOCOLS - 1)]
        most = request((b"sec-websocket-protocol", b",".join([*names, b"orion.v1"])))
        self.assertEqual(self.assertUpgrade(most).subprotocol, "orion.v1")
        more = request((b"sec-websocket-protocol", b",".join([*names, b"p99", b"orion.v1"])))
        self.assertRefused(more, HTTPStatus.BAD_REQUEST, "subprotocols")

    def test_9_extensions(self) -> None:
        """What is offered is kept for the WebSocket library, which answers it."""
        one = request((b"sec-websocket-extensions", b"permessage-deflate; client_max_window_bits"))
        self.assertEqual(
            self.assertUpgrade(one).extensions, b"permessage-deflate; client_max_window_bits"
        )
        two = request(
            (b"sec-websocket-extensions", b"foo"), (b"sec-websocket-extensions", b'bar; x="1"')
        )
        self.assertEqual(self.assertUpgrade(two).extensions, b'foo, bar; x="1"')

    def test_9_extensions_with_odd_bytes(self) -> None:
        """Bytes at which a second parser might end the line never come so far."""
        for byte in (*range(0x09), *range(0x0A, 0x20), 0x7F, 0x85, 0xA0, 0xFF):
            with self.subTest(hex(byte)):
                value = b"foo" + bytes([byte]) + b"X-Forwarded-For: 10.0.0.1"
                self.assertRefused(
                    request((b"sec-websocket-extensions", value)),
                    HTTPStatus.BAD_REQUEST,
                    "extensions",
                )

    def test_no_body(self) -> None:
        """A handshake has no body, not even an empty one."""
        for name, value in (
            (b"content-length", b"0"),
            (b"content-length", b"5"),
            (b"transfer-encoding", b"chunked"),
        ):
            with self.subTest(repr(name)):
                self.assertRefused(
                    request((name, value)), HTTPStatus.BAD_REQUEST, "upgrade_with_body"
                )

    def test_cookies_and_the_like(self) -> None:
        """Other headers are of no interest."""
        self.assertUpgrade(request((b"cookie", b"a=b"), (b"cookie", b"\xff"), (b"x-odd", b"")))


class DialInTests(SynchronousTestCase):
    """A backend's request for the path where backends dial in."""

    def assertRefused(self, asked: Request, status: HTTPStatus, reason: str) -> None:
        decision = dial_in(asked)
        assert isinstance(decision, Refused), decision
        self.assertEqual((decision.status, decision.reason), (status, reason))

    def test_by_any_name(self) -> None:
        """A backend calls the gateway by whatever name or address it has for it."""
        for host in (b"shop.example", b"gateway.internal:8888", b"10.1.0.1", b"[::1]:8888"):
            self.assertEqual(dial_in(request(host=host, path="/orion")), DialIn(KEY))

    def test_a_page(self) -> None:
        """A browser says which page it acts for, and none has any business here."""
        for origin in (b"https://shop.example", b"http://gateway.internal", b"null", b""):
            with self.subTest(repr(origin)):
                asked = request((b"origin", origin), host=b"gateway.internal")
                self.assertRefused(asked, HTTPStatus.FORBIDDEN, "origin")

    def test_the_rules_of_the_handshake(self) -> None:
        """RFC 6455 holds for backends, too."""
        for asked, status, reason in (
            (request(method="POST"), HTTPStatus.METHOD_NOT_ALLOWED, "method"),
            (request(upgrade=None), HTTPStatus.UPGRADE_REQUIRED, "not_websocket"),
            (request(connection=b"close"), HTTPStatus.UPGRADE_REQUIRED, "not_websocket"),
            (
                request(sec_websocket_version=b"8"),
                HTTPStatus.UPGRADE_REQUIRED,
                "websocket_version",
            ),
            (request(sec_websocket_key=b"short"), HTTPStatus.BAD_REQUEST, "websocket_key"),
            (
                request((b"content-length", b"5")),
                HTTPStatus.BAD_REQUEST,
                "upgrade_with_body",
            ),
            (
                request((b"sec-websocket-protocol", b"a,a")),
                HTTPStatus.BAD_REQUEST,
                "subprotocols",
            ),
        ):
            with self.subTest(reason):
                self.assertRefused(asked, status, reason)

    def test_nothing_is_agreed_to(self) -> None:
        """Its dialect is the tenant's, and nothing is compressed: an offer changes nothing."""
        asked = request(
            (b"sec-websocket-protocol", b"orion.v2, orion.v1"),
            (b"sec-websocket-extensions", b"permessage-deflate"),
        )
        self.assertEqual(dial_in(asked), DialIn(KEY))
        again = upgrade_request(DialIn(KEY), compression=True)
        self.assertNotIn(b"Protocol", again)
        self.assertNotIn(b"Extensions", again)


class SecretsTests(SynchronousTestCase):
    """What must not come into a log."""

    def test_repr(self) -> None:
        """Neither queries nor headers nor keys are printed with what holds them."""
        asked = request((b"cookie", b"s3cret"), query="token=s3cret")
        decision = decide(asked, ROUTES)
        self.assertNotIn("s3cret", repr(asked) + repr(decision))
        self.assertNotIn(KEY.decode(), repr(asked) + repr(decision) + repr(dial_in(asked)))


class UnavailableTests(SynchronousTestCase):
    """`unavailable`."""

    def test_says_when(self) -> None:
        """A 503 says after how many seconds to come back."""
        self.assertEqual(
            unavailable("backend_down", 5),
            Refused(HTTPStatus.SERVICE_UNAVAILABLE, "backend_down", ((b"Retry-After", b"5"),)),
        )


class NeverRaisesTests(SynchronousTestCase):
    """A stranger's request cannot bring the decision down."""

    @settings(deadline=None)
    @given(
        st.sampled_from(["GET", "HEAD", "POST"]),
        st.text(max_size=20),
        st.lists(
            st.tuples(
                st.sampled_from([*HEADERS, b"sec-websocket-protocol", b"content-length"]),
                st.one_of(st.binary(max_size=40), st.sampled_from(list(HEADERS.values()))),
            ),
            max_size=8,
        ),
    )
    def test_any_request(self, method: str, path: str, headers: list[tuple[bytes, bytes]]) -> None:
        """Any method, path and headers come to one of the known decisions."""
        for asked_path in (path, "/ws"):
            asked = Request(method, asked_path, "", tuple(headers))
            self.assertIsInstance(decide(asked, ROUTES), Upgrade | Page | Refused)
            self.assertIsInstance(dial_in(asked), DialIn | Refused)
