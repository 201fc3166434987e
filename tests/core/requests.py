"""Requests of browsers, and what they come to."""

from http import HTTPStatus

from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.handshake import (
    Refused,
    Request,
    Upgrade,
    decide,
    routes_of,
)
from orion_twisted.core.settings import Tenant

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="  # that of RFC 6455
SHOP = Tenant(
    name="shop",
    hosts=("shop.example",),
    backend=("tcp:127.0.0.1:7000",),
    subprotocols=("orion.v2", "orion.v1"),
)
EDITOR = Tenant(
    name="editor",
    hosts=("editor.example",),
    path="/orion/ws",
    backend=("tcp:127.0.0.1:7000",),
    site="/srv/editor",
)
ROUTES = routes_of([SHOP, EDITOR])

HEADERS: dict[bytes, bytes] = {
    b"host": b"shop.example",
    b"upgrade": b"websocket",
    b"connection": b"Upgrade",
    b"sec-websocket-version": b"13",
    b"sec-websocket-key": KEY,
}
"""What every browser sends."""


def request(
    *more: tuple[bytes, bytes],
    method: str = "GET",
    path: str = "/ws",
    query: str = "",
    **changes: bytes | None,
) -> Request:
    """
    Return a handshake with changes.

    Args:
        more: headers to send beside those that every browser sends.
        method, path, query: of the request.
        changes: other values for those headers, with ``_`` for ``-``; None leaves one out.
    """
    changed = {name.replace("_", "-").encode(): value for name, value in changes.items()}
    headers = [
        (name, value) for name, value in {**HEADERS, **changed}.items() if value is not None
    ]
    return Request(method, path, query, (*headers, *more))


class DecideTestCase(SynchronousTestCase):
    """What a request comes to."""

    def assertUpgrade(self, asked: Request, tenant: Tenant = SHOP) -> Upgrade:
        """Check that it is a WebSocket of a tenant."""
        decision = decide(asked, ROUTES)
        assert isinstance(decision, Upgrade), decision
        self.assertEqual(decision.tenant.name, tenant.name)
        return decision

    def assertRefused(self, asked: Request, status: HTTPStatus, reason: str) -> dict[bytes, bytes]:
        """Check that it is refused; return the headers of the answer."""
        decision = decide(asked, ROUTES)
        assert isinstance(decision, Refused), decision
        self.assertEqual((decision.status, decision.reason), (status, reason))
        return dict(decision.headers)
