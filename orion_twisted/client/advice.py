"""What an answer of a gateway means, and what to do about it, in the words of its settings."""

from __future__ import annotations

from http import HTTPStatus

from orion_twisted.client.tlsprobe import EXPIRED, NO_CHAIN, NO_ISSUER, SELF_SIGNED, UNKNOWN_ROOT
from orion_twisted.core.errors import CloseCode

A_PROXY = "is there a proxy in between that does not pass WebSockets on?"
A_CA = (
    "--ca FILE trusts an authority of your own, such as the ca.pem that `orion-bridge certs dev` "
    "makes"
)
AN_INTERMEDIATE = "the certificate's file has to hold the intermediate certificates, too"

STATUSES: dict[int, tuple[str, str]] = {
    HTTPStatus.BAD_REQUEST: ("the request is malformed", A_PROXY),
    HTTPStatus.UNAUTHORIZED: (
        "the token is missing, or not valid",
        "--token-file or ORION_TOKEN gives one, and `orion-bridge token TENANT` makes one; the "
        "gateway's log has the reason",
    ),
    HTTPStatus.FORBIDDEN: (
        "the page's origin may not connect, or the token is for somewhere else",
        "--origin says a page's origin, and the tenant's `origins` who may connect; the "
        "gateway's log has the reason",
    ),
    HTTPStatus.NOT_FOUND: (
        "there is no such path on this host",
        "the path has to be the tenant's `path`, /ws where it has none",
    ),
    HTTPStatus.METHOD_NOT_ALLOWED: ("the method is not GET", A_PROXY),
    HTTPStatus.MISDIRECTED_REQUEST: (
        "this gateway does not serve this host",
        "a tenant has to have the name among its `hosts`; where it has a `client_ca`, it wants a "
        "certificate, which this command does not have",
    ),
    HTTPStatus.UPGRADE_REQUIRED: (
        "the path is a WebSocket, and the upgrade did not arrive",
        "a proxy in between has to pass the headers Upgrade and Connection on, by HTTP/1.1",
    ),
    HTTPStatus.TOO_MANY_REQUESTS: (
        "this address has too many connections, or opens them too fast",
        "see `connections_per_ip` and `connect_rate_per_ip`; behind a proxy all have its "
        "address, unless `proxy_protocol_from` names it",
    ),
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: (
        "the request's head is too large",
        "is the token very long? See `limits.header`",
    ),
    HTTPStatus.INTERNAL_SERVER_ERROR: ("a bug of the gateway", "its log has it: please report it"),
    HTTPStatus.BAD_GATEWAY: (
        "a proxy in between has no gateway behind it",
        "does the gateway run, and does the proxy know where?",
    ),
    HTTPStatus.SERVICE_UNAVAILABLE: (
        "no place, or no backend",
        "does the backend listen where the tenant's `backend` says? The gateway's log has the "
        "reason",
    ),
    HTTPStatus.GATEWAY_TIMEOUT: (
        "a proxy in between gets no answer from the gateway",
        "does the gateway run, and does the proxy know where?",
    ),
    HTTPStatus.HTTP_VERSION_NOT_SUPPORTED: ("the request was not HTTP/1.1", A_PROXY),
}
"""For each status: what it means, and what to do."""

CODES: dict[int, str] = {
    CloseCode.OVER_BUDGET: "the tenant has no room for another session",
    CloseCode.TOO_SLOW: "the handshake took longer than `limits.handshake`",
    CloseCode.UNAUTHORIZED: STATUSES[HTTPStatus.UNAUTHORIZED][1],
    CloseCode.BACKEND_DOWN: STATUSES[HTTPStatus.SERVICE_UNAVAILABLE][1],
    CloseCode.INTERNAL_ERROR: STATUSES[HTTPStatus.INTERNAL_SERVER_ERROR][1],
    CloseCode.GOING_AWAY: "the gateway is being stopped; try again",
}
"""For close codes that an examination may meet: what to do."""

CERTIFICATES: dict[int, str] = {
    EXPIRED: "`orion-bridge certs show` lists the gateway's; a new file is taken up at once",
    SELF_SIGNED: A_CA,
    UNKNOWN_ROOT: A_CA,
    NO_ISSUER: f"{A_CA}; or {AN_INTERMEDIATE}",
    NO_CHAIN: f"{A_CA}; or {AN_INTERMEDIATE}",
}
"""For OpenSSL's results of a verification: what to do."""


def status_means(status: int) -> tuple[str, str]:
    """Return what an HTTP status means, and what to do."""
    if status in STATUSES:
        return STATUSES[status]
    if 300 <= status < 400:
        return "a redirect, which no WebSocket follows", "give the address that it leads to"
    if 200 <= status < 300:
        return "a page, and no WebSocket", STATUSES[HTTPStatus.NOT_FOUND][1]
    return "no answer of this gateway", A_PROXY


def code_means(code: int) -> tuple[str, str]:
    """Return the name of a close code, and what to do."""
    try:
        name = CloseCode(code).name
    except ValueError:
        name = "unknown"
    return name, CODES.get(code, "docs/integrate.md has the close codes")
