"""A request's head: read strictly, judged, and written anew for pages."""

from __future__ import annotations

import re
from http import HTTPStatus

from orion_twisted.core.handshake import (
    DialIn,
    Page,
    Refused,
    Request,
    Upgrade,
    decide,
    dial_in,
    routes_of,
    upgrade_request,
)
from orion_twisted.core.settings import Tenant
from orion_twisted.web.heads import END_OF_HEAD, error_response, page_request, read_head

BACKEND = ("tcp:192.0.2.1:1",)
ROUTES = routes_of(
    [
        Tenant(name="shop1", hosts=("localhost",), backend=BACKEND, site="/nowhere"),
        Tenant(
            name="shop2",
            hosts=("*.shop.example",),
            backend=BACKEND,
            origins=("https://shop.example:443",),
            subprotocols=("orion.v1",),
        ),
    ]
)
HEADER = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+")
"""A name of a header, once it is in lower case (RFC 9110, section 5.6.2)."""
CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
TARGET = re.compile(r"/[!-~]*")

UPGRADE = (
    b"GET /ws?a=b HTTP/1.1\r\nHost: localhost:8889\r\nUpgrade: websocket\r\n"
    b"Connection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
SEEDS = (
    UPGRADE,
    UPGRADE.replace(b"/ws", b"https://a.shop.example/ws")
    + b"Origin: https://shop.example\r\nSec-WebSocket-Protocol: orion.v1, orion.bearer.a.b.c\r\n",
    UPGRADE + b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n",
    UPGRADE + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    b"GET /index.html HTTP/1.1\r\nHost: localhost\r\nRange: bytes=1-2\r\n"
    b'If-None-Match: "a"\r\nAccept-Encoding: br\r\n',
    b"PRI * HTTP/2.0\r\n",
    b"GET / HTTP/1.1\nHost: localhost\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\n",
)


def check(data: bytes) -> None:
    head = data.replace(END_OF_HEAD, b"\r\n") + END_OF_HEAD
    request = read_head(head)
    if isinstance(request, Refused):
        check_refusal(request)
        return
    check_request(request)
    check_dial_in(request)
    decision = decide(request, ROUTES)
    if isinstance(decision, Refused):
        check_refusal(decision)
    elif isinstance(decision, Upgrade):
        check_upgrade(request, decision)
    else:
        assert isinstance(decision, Page), decision
        check_page(request)


def check_refusal(refusal: Refused) -> None:
    assert refusal.status >= HTTPStatus.BAD_REQUEST
    answer = error_response(refusal)
    start, _, body = answer.partition(END_OF_HEAD)
    assert b"\r\nContent-Length: %d\r\n" % len(body) in start + b"\r\n"


def check_request(request: Request) -> None:
    assert TARGET.fullmatch(request.path), request.path
    assert len(request.values(b"host")) == 1
    for name, value in request.headers:
        assert HEADER.fullmatch(name), name
        assert not CONTROL.search(value), value
        assert value == value.strip(b" \t"), value


def check_page(request: Request) -> None:
    """What another library is given says the same, and nothing that the browser made up."""
    anew = page_request(request)
    assert anew.endswith(END_OF_HEAD)
    assert anew.count(END_OF_HEAD) == 1
    again = read_head(anew)
    assert isinstance(again, Request), again
    asked = (request.method, request.path, request.query)
    assert (again.method, again.path, again.query) == asked


def check_dial_in(request: Request) -> None:
    decision = dial_in(request)
    if isinstance(decision, Refused):
        check_refusal(decision)
    else:
        assert isinstance(decision, DialIn), decision
        assert not request.values(b"origin"), "a page"
        check_handshake(request, decision)


def check_upgrade(request: Request, upgrade: Upgrade) -> None:
    assert request.path == upgrade.tenant.path
    if upgrade.tenant.name == "shop2":
        assert request.values(b"origin"), "no origin and no token"
    check_handshake(request, upgrade)


def check_handshake(request: Request, upgrade: Upgrade | DialIn) -> None:
    assert request.method == "GET"
    assert not request.values(b"content-length")
    assert not request.values(b"transfer-encoding")
    for compression in (False, True):
        again = read_head(upgrade_request(upgrade, compression))
        assert isinstance(again, Request), again
        assert again.values(b"sec-websocket-key") == [upgrade.key]
        assert b"orion.bearer." not in b"".join(again.values(b"sec-websocket-protocol"))
