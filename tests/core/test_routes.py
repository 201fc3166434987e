"""Which tenant a request is for, and whether it is for a page."""

from http import HTTPStatus

from attrs import evolve

from orion_twisted.core.handshake import (
    Page,
    Refused,
    Request,
    Upgrade,
    decide,
    frame_ancestors,
    routes_of,
)
from tests.core.requests import EDITOR, ROUTES, SHOP, DecideTestCase, request


class RoutingTests(DecideTestCase):
    """Which tenant a request is for, by host and path."""

    def test_host_in_any_spelling(self) -> None:
        """Letter case, a trailing dot and a port make no other host."""
        for host in (b"shop.example", b"SHOP.Example", b"shop.example.", b"Shop.Example.:8889"):
            with self.subTest(repr(host)):
                self.assertUpgrade(request(host=host))

    def test_unknown_host(self) -> None:
        """A host that nobody here has is 421, whatever is asked of it."""
        for host in (b"other.example", b"x.shop.example", b"example", b"127.0.0.1", b"[::1]:8889"):
            with self.subTest(repr(host)):
                self.assertRefused(
                    request(host=host), HTTPStatus.MISDIRECTED_REQUEST, "host_unknown"
                )
        page = Request("GET", "/", "", ((b"host", b"other.example"),))
        self.assertRefused(page, HTTPStatus.MISDIRECTED_REQUEST, "host_unknown")

    def test_unknown_path(self) -> None:
        """A path that the host does not have is 404; no spelling of /ws but /ws is /ws."""
        for path in ("/", "/ws/", "/WS", "//ws", "/%77s", "/ws%00", "/x/../ws", "*", ""):
            with self.subTest(path):
                self.assertRefused(request(path=path), HTTPStatus.NOT_FOUND, "path_unknown")

    def test_query(self) -> None:
        """A query is no part of the path."""
        self.assertUpgrade(request(query="token=secret"))

    def test_own_path(self) -> None:
        """A tenant may have its WebSocket elsewhere."""
        self.assertUpgrade(request(host=b"editor.example", path="/orion/ws"), EDITOR)

    def test_wildcards(self) -> None:
        """An exact host goes before its wildcard, that before ``*``; one label, never none."""
        tenants = [
            evolve(SHOP, name=name, hosts=(host,))
            for name, host in (("exact", "a.b.example"), ("one", "*.b.example"), ("all", "*"))
        ]
        routes = routes_of(tenants)
        for host, name in (
            (b"a.b.example", "exact"),
            (b"c.b.example", "one"),
            (b"c.a.b.example", "all"),
            (b"b.example", "all"),
            (b"127.0.0.1:8889", "all"),
            (b"[2001:DB8::1]", "all"),
        ):
            with self.subTest(repr(host)):
                decision = decide(request(host=host), routes)
                assert isinstance(decision, Upgrade)
                self.assertEqual(decision.tenant.name, name)

    def test_two_tenants_of_one_host(self) -> None:
        """Two tenants may share a host, each with its own path."""
        other = evolve(SHOP, name="other", hosts=("more.example", "shop.example"), path="/mqtt")
        routes = routes_of([SHOP, other])
        for host, path, name in (
            (b"shop.example", "/ws", "shop"),
            (b"shop.example", "/mqtt", "other"),
            (b"more.example", "/mqtt", "other"),
        ):
            decision = decide(request(host=host, path=path), routes)
            assert isinstance(decision, Upgrade)
            self.assertEqual(decision.tenant.name, name)
        refused = decide(request(host=b"more.example"), routes)
        self.assertEqual(refused, Refused(HTTPStatus.NOT_FOUND, "path_unknown").by(other))

    def test_embedding(self) -> None:
        """Whose pages may show an answer is the tenant's to say; without a tenant, nobody's."""
        embedded = evolve(SHOP, embed_in=("https://a.example", "https://*.b.example"))
        routes = routes_of([embedded])
        for asked, policy in (
            (request(path="/nothing"), b"frame-ancestors https://a.example https://*.b.example"),
            (request(upgrade=None), b"frame-ancestors https://a.example https://*.b.example"),
            (request(host=b"other.example"), b"frame-ancestors 'none'"),
            (request(host=b""), b"frame-ancestors 'none'"),
        ):
            refused = decide(asked, routes)
            assert isinstance(refused, Refused)
            self.assertEqual(frame_ancestors(refused.embed_in), policy)
        self.assertEqual(frame_ancestors(SHOP.embed_in), b"frame-ancestors 'self'")

    def test_addresses(self) -> None:
        """A host may be an address, in any of its spellings."""
        routes = routes_of([evolve(SHOP, hosts=("2001:db8::1", "10.0.0.1"))])
        for host in (b"[2001:db8:0::1]:8889", b"[2001:DB8::1]", b"10.0.0.1:8889", b"10.0.0.1"):
            self.assertIsInstance(decide(request(host=host), routes), Upgrade)


class PageTests(DecideTestCase):
    """Requests that are for no WebSocket."""

    def page(
        self, method: str = "GET", path: str = "/", host: bytes = b"editor.example"
    ) -> Request:
        return Request(method, path, "", ((b"host", host),))

    def test_pages(self) -> None:
        """Whatever is not the WebSocket's path is a page of the tenant that has a site."""
        for path in ("/", "/index.html", "/ws", "/orion/ws/", "/a%20b"):
            for method in ("GET", "HEAD"):
                with self.subTest(f"{method} {path}"):
                    self.assertEqual(decide(self.page(method, path), ROUTES), Page(EDITOR))

    def test_other_methods(self) -> None:
        """Pages are read only."""
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            headers = self.assertRefused(
                self.page(method), HTTPStatus.METHOD_NOT_ALLOWED, "method"
            )
            self.assertEqual(headers, {b"Allow": b"GET, HEAD"})

    def test_no_site(self) -> None:
        """A host without pages has none."""
        self.assertRefused(self.page(host=b"shop.example"), HTTPStatus.NOT_FOUND, "path_unknown")

    def test_a_websocket_elsewhere(self) -> None:
        """A WebSocket to a path that is none is not answered with a page."""
        self.assertRefused(
            request(host=b"editor.example", path="/ws"), HTTPStatus.NOT_FOUND, "path_unknown"
        )

    def test_the_websockets_path_without_one(self) -> None:
        """Whoever opens the WebSocket's address like a page is told what it is."""
        self.assertRefused(
            self.page(path="/orion/ws"), HTTPStatus.UPGRADE_REQUIRED, "not_websocket"
        )

    def test_the_site_of_another_tenant_of_the_host(self) -> None:
        """Where tenants share a host, its pages are those of the one with a site."""
        other = evolve(SHOP, name="other", hosts=("editor.example",), path="/mqtt")
        for tenants in ([EDITOR, other], [other, EDITOR]):
            decision = decide(self.page(), routes_of(tenants))
            self.assertEqual(decision, Page(EDITOR))
