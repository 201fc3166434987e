"""
From a request to what is done with it: upgraded, shown a page, or refused.

The HTTP grammar has been checked before (`orion_twisted.web.gate`); here are the rules of RFC 6455
section 4.2, the routing by host and path, and the rules on where a page comes from.
"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import TypeAlias

from attrs import evolve, field, frozen

from orion_twisted.core.bearer import TokenRefused, take_token
from orion_twisted.core.browser_v2 import SUBPROTOCOL as ORION_V2
from orion_twisted.core.hostnames import NameTable, host_of
from orion_twisted.core.origins import OriginVerdict, judge_origin
from orion_twisted.core.settings import Tenant

WEBSOCKET_VERSION = b"13"
MAX_SUBPROTOCOLS = 32
"""How many subprotocols one request may offer."""

TOKEN_CHARACTERS = frozenset(
    b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)
"""RFC 9110 section 5.6.2."""

PLAIN_CHARACTERS = frozenset(b"\t" + bytes(range(0x20, 0x7F)))
"""Of a header that goes on to the WebSocket library: its own parser ends a line at NEL (0x85)."""


RETRY_AFTER = 5
"""Seconds after which a browser that found no place, or no backend, may try again."""

_NONE: list[bytes] = []


@frozen
class Request:
    """
    A request's head, as the HTTP gate read it.

    Attributes:
        method: such as ``GET``.
        path: the target's path, percent-encoded as it came, without the query.
        query: what follows ``?``, or an empty string. It may carry a token: never log it.
        headers: pairs of lower-case name and value, in the order in which they came.
        host: the host's name, in its one spelling and without the port; None if it is no name.
    """

    method: str
    path: str
    query: str = field(repr=False)
    headers: tuple[tuple[bytes, bytes], ...] = field(repr=False)
    _by_name: Mapping[bytes, list[bytes]] = field(init=False, eq=False, repr=False)
    host: str | None = field(init=False, eq=False, repr=False)

    @_by_name.default
    def _sorted_by_name(self) -> Mapping[bytes, list[bytes]]:
        by_name: dict[bytes, list[bytes]] = {}
        for name, value in self.headers:
            by_name.setdefault(name, []).append(value)
        return by_name

    @host.default
    def _the_one_host(self) -> str | None:
        host = host_of(b",".join(self.values(b"host")).decode("ascii", "replace"))
        return None if host is None else host[0]

    def values(self, name: bytes) -> Sequence[bytes]:
        """Return the values of every header called ``name`` (lower case)."""
        return self._by_name.get(name, _NONE)

    def listed(self, name: bytes) -> list[bytes]:
        """Return the elements of a comma-separated header, over all its lines."""
        return [
            element
            for value in self.values(name)
            for part in value.split(b",")
            if (element := part.strip(b" \t"))
        ]


@frozen
class Refused:
    """
    No: a status, a reason that counters and logs use, and headers to send along.

    The answer's body is fixed by the status; nothing of the request is reflected.

    Attributes:
        embed_in: whose pages may show the answer in a frame, as in a tenant's settings; None
            where no tenant was found, and nobody may.
        tenant: the name of the tenant that was found, for logs.
    """

    status: HTTPStatus
    reason: str
    headers: tuple[tuple[bytes, bytes], ...] = ()
    embed_in: tuple[str, ...] | None = None
    tenant: str | None = None

    def by(self, tenant: Tenant) -> Refused:
        """Return the same refusal, given in a tenant's name."""
        return evolve(self, embed_in=tenant.embed_in, tenant=tenant.name)


@frozen
class Upgrade:
    """
    A WebSocket for ``tenant``: what is left of the handshake once it has been checked.

    Attributes:
        token: to be verified before anybody is let in; None where none came and none is wanted.
        token_later: whether one has to come in ``hello`` instead, as ``orion.v2`` has it.
    """

    tenant: Tenant
    key: bytes = field(repr=False)
    subprotocol: str | None = None
    extensions: bytes = b""
    token: str | None = field(default=None, repr=False)
    token_later: bool = False


@frozen
class DialIn:
    """A WebSocket for a backend that dials in; who it is, it says in its first message."""

    key: bytes = field(repr=False)
    subprotocol: str | None = None
    extensions: bytes = b""


@frozen
class Page:
    """A page of ``tenant``'s site."""

    tenant: Tenant


Decision: TypeAlias = Upgrade | DialIn | Page | Refused
Routes: TypeAlias = NameTable[tuple[Tenant, ...]]


def routes_of(tenants: Iterable[Tenant]) -> Routes:
    """Return the table that answers which tenants share a host name."""
    by_host: dict[str, tuple[Tenant, ...]] = {}
    for tenant in tenants:
        for host in tenant.hosts:
            by_host[host] = (*by_host.get(host, ()), tenant)
    return NameTable(by_host)


def frame_ancestors(embed_in: tuple[str, ...] | None) -> bytes:
    """Return the directive that says whose pages may show ours (CSP level 3, section 6.4.2)."""
    if embed_in is None:
        return b"frame-ancestors 'none'"
    return b"frame-ancestors " + (" ".join(embed_in) or "'self'").encode("ascii")


def unauthorized(reason: str, status: HTTPStatus) -> Refused:
    """Return the refusal of a token, or of its absence (RFC 6750 section 3)."""
    if status is HTTPStatus.UNAUTHORIZED:
        return Refused(status, reason, ((b"WWW-Authenticate", b"Bearer"),))
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        return unavailable(reason, RETRY_AFTER)
    return Refused(status, reason)


def unavailable(reason: str, retry_after: int = RETRY_AFTER) -> Refused:
    """Return a refusal that asks to come back after so many seconds."""
    return Refused(
        HTTPStatus.SERVICE_UNAVAILABLE, reason, ((b"Retry-After", b"%d" % retry_after),)
    )


def decide(request: Request, routes: Routes) -> Decision:
    """Return what becomes of a request. Pure: it counts nothing and opens nothing."""
    if len(request.values(b"host")) != 1:
        return Refused(HTTPStatus.BAD_REQUEST, "host_missing")
    host = request.host
    if host is None:
        return Refused(HTTPStatus.BAD_REQUEST, "host_invalid")
    tenants = routes.lookup(host)
    if tenants is None:
        return Refused(HTTPStatus.MISDIRECTED_REQUEST, "host_unknown")
    tenant = next((each for each in tenants if each.path == request.path), None)
    home = next((each for each in tenants if each.site is not None), None)
    if tenant is not None:
        decision: Decision = _websocket(request, tenant, host)
    elif home is None or _wants_websocket(request):
        decision = Refused(HTTPStatus.NOT_FOUND, "path_unknown")
    elif request.method not in ("GET", "HEAD"):
        decision = Refused(HTTPStatus.METHOD_NOT_ALLOWED, "method", ((b"Allow", b"GET, HEAD"),))
    else:
        decision = Page(home)
    if isinstance(decision, Refused):
        return decision.by(tenant or home or tenants[0])
    return decision


def _wants_websocket(request: Request) -> bool:
    return any(each.lower() == b"websocket" for each in request.listed(b"upgrade"))


@frozen
class _Handshake:
    """What is left of a WebSocket's opening handshake that is as RFC 6455 has it."""

    key: bytes
    offered: tuple[str, ...]
    extensions: bytes


def dial_in(request: Request) -> Decision:
    """Return what becomes of a request for the path where backends dial in."""
    handshake = _handshake(request)
    if isinstance(handshake, Refused):
        return handshake
    if request.values(b"origin"):
        return Refused(HTTPStatus.FORBIDDEN, "origin")  # a page has no business here
    return DialIn(handshake.key)


def _handshake(request: Request) -> _Handshake | Refused:
    """Check RFC 6455 section 4.2.1, in the order in which it lists the parts of a handshake."""
    if request.method != "GET":
        return Refused(HTTPStatus.METHOD_NOT_ALLOWED, "method", ((b"Allow", b"GET"),))
    connection = [each.lower() for each in request.listed(b"connection")]
    if not _wants_websocket(request) or b"upgrade" not in connection:
        return Refused(
            HTTPStatus.UPGRADE_REQUIRED,
            "not_websocket",
            ((b"Upgrade", b"websocket"), (b"Connection", b"Upgrade, close")),
        )
    if request.values(b"transfer-encoding") or request.values(b"content-length"):
        return Refused(HTTPStatus.BAD_REQUEST, "upgrade_with_body")
    if request.values(b"sec-websocket-version") != [WEBSOCKET_VERSION]:
        return Refused(
            HTTPStatus.UPGRADE_REQUIRED,
            "websocket_version",
            (
                (b"Sec-WebSocket-Version", WEBSOCKET_VERSION),
                (b"Upgrade", b"websocket"),
                (b"Connection", b"Upgrade, close"),
            ),
        )
    key = request.values(b"sec-websocket-key")
    if len(key) != 1 or not _is_nonce(key[0]):
        return Refused(HTTPStatus.BAD_REQUEST, "websocket_key")
    offered = request.listed(b"sec-websocket-protocol")
    if (
        len(offered) > MAX_SUBPROTOCOLS
        or len(set(offered)) != len(offered)
        or not all(TOKEN_CHARACTERS.issuperset(each) for each in offered)
    ):
        return Refused(HTTPStatus.BAD_REQUEST, "subprotocols")
    extensions = b", ".join(request.values(b"sec-websocket-extensions"))
    if not PLAIN_CHARACTERS.issuperset(extensions):
        return Refused(HTTPStatus.BAD_REQUEST, "extensions")
    return _Handshake(key[0], tuple(each.decode("ascii") for each in offered), extensions)


def _websocket(request: Request, tenant: Tenant, host: str) -> Decision:
    """Decide on a request for a tenant's WebSocket."""
    handshake = _handshake(request)
    if isinstance(handshake, Refused):
        return handshake
    origins = [value.decode("ascii", "replace") for value in request.values(b"origin")]
    verdict = judge_origin(origins, host, tenant.origins, tenant.allow_no_origin)
    if verdict is OriginVerdict.FOREIGN:
        return Refused(HTTPStatus.FORBIDDEN, "origin")
    try:
        # Taken out for every tenant, so that no token is ever echoed.
        offer = take_token(handshake.offered, request.query)
    except TokenRefused as error:
        return unauthorized(error.reason, error.status)
    if tenant.token is None and verdict is OriginVerdict.NEEDS_TOKEN:
        return Refused(HTTPStatus.FORBIDDEN, "origin_missing")
    subprotocol = _first_common(offer.subprotocols, tenant.subprotocols)
    wanted = tenant.token is not None and tenant.token.required
    missing = offer.token is None and (wanted or verdict is OriginVerdict.NEEDS_TOKEN)
    token_later = missing and tenant.mode == "session" and subprotocol == ORION_V2
    if missing and not token_later:
        return unauthorized("token_missing", HTTPStatus.UNAUTHORIZED)
    return Upgrade(
        tenant=tenant,
        key=handshake.key,
        subprotocol=subprotocol,
        extensions=handshake.extensions,
        token=None if tenant.token is None else offer.token,
        token_later=token_later,
    )


def _is_nonce(key: bytes) -> bool:
    """Say whether a key is base64 of 16 bytes (RFC 6455 section 4.1, number 7)."""
    try:
        return len(key) == 24 and len(b64decode(key, validate=True)) == 16
    except Base64Error:
        return False


def _first_common(offered: Sequence[str], known: Sequence[str]) -> str | None:
    """Return the browser's first choice that the tenant lists; none in common is no error."""
    return next((each for each in offered if each in known), None)


def upgrade_request(upgrade: Upgrade | DialIn, compression: bool) -> bytes:
    """
    Return the handshake once more, for the WebSocket library that answers it.

    Only what has been checked is in it, so no other header, however odd, meets a second parser.
    """
    more = b""
    if upgrade.subprotocol:
        more = b"Sec-WebSocket-Protocol: %s\r\n" % upgrade.subprotocol.encode("ascii")
    if compression and upgrade.extensions:
        more += b"Sec-WebSocket-Extensions: %s\r\n" % upgrade.extensions
    # The host is checked already; the library only wants there to be one.
    return (
        b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: %s\r\nSec-WebSocket-Key: %s\r\n%s\r\n"
        % (WEBSOCKET_VERSION, upgrade.key, more)
    )
