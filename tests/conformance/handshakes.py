"""Cases of the opening handshake: requests as they stand, and what a server must make of them."""

from dataclasses import dataclass

from tests.conformance.wire import STANDARD_REQUEST

REFUSALS = frozenset({400, 403, 404, 405, 426})


@dataclass(frozen=True, slots=True)
class Upgraded:
    """The server must answer 101, rightly, and may take one of the subprotocols."""

    subprotocols: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """
    The server must answer with one of these; ``version`` asks it to name the version it speaks.
    """

    statuses: frozenset[int] = REFUSALS
    version: bool = False


@dataclass(frozen=True, slots=True)
class HandshakeCase:
    """One HTTP request; the lines may contain ``{path}``, ``{host}`` and ``{key}``."""

    id: str
    description: str
    request: tuple[str, ...]
    want: Upgraded | Refused
    chop: int = 0


def _request(*more: str, without: str = "", first: str = "") -> tuple[str, ...]:
    """
    The standard request, without one of its headers, with another first line, with more headers.
    """
    line, *headers = STANDARD_REQUEST
    kept = [header for header in headers if header.partition(":")[0] != without]
    return (first or line, *kept, *more)


def _with(name: str, value: str) -> tuple[str, ...]:
    return _request(f"{name}: {value}", without=name)


_ACCEPTED: list[tuple[str, tuple[str, ...]]] = [
    ("a plain request gets the right Sec-WebSocket-Accept", STANDARD_REQUEST),
    (
        "header names in lower case",
        tuple(
            line if not index else line.partition(":")[0].lower() + ":" + line.partition(":")[2]
            for index, line in enumerate(STANDARD_REQUEST)
        ),
    ),
    (
        "header names in upper case",
        tuple(
            line if not index else line.partition(":")[0].upper() + ":" + line.partition(":")[2]
            for index, line in enumerate(STANDARD_REQUEST)
        ),
    ),
    ("Upgrade: WebSocket", _with("Upgrade", "WebSocket")),
    ("Upgrade: WEBSOCKET", _with("Upgrade", "WEBSOCKET")),
    ("Connection: upgrade", _with("Connection", "upgrade")),
    ("Connection: keep-alive, Upgrade", _with("Connection", "keep-alive, Upgrade")),
    ("Connection: Upgrade,keep-alive", _with("Connection", "Upgrade,keep-alive")),
    ("Connection in two headers", _request("Connection: keep-alive")),
    ("no blank after the colon", tuple(line.replace(": ", ":") for line in STANDARD_REQUEST)),
    ("blanks around a value", _with("Upgrade", "  websocket \t")),
    ("headers in reverse order", (STANDARD_REQUEST[0], *reversed(STANDARD_REQUEST[1:]))),
    ("headers that the server does not know", _request("X-Unknown: 1", "Cookie: a=b; c=d")),
    ("4 KiB of cookies", _request("Cookie: a=" + "x" * 4096)),
    ("a query after the path", _request(first="GET {path}?a=b&c=%20 HTTP/1.1")),
    ("an Origin of the same host", _request("Origin: https://{host}")),
]
_SUBPROTOCOLS: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = [
    ("one subprotocol", ("chat",), ("Sec-WebSocket-Protocol: chat",)),
    (
        "three subprotocols in one header",
        ("chat", "superchat", "v1.orion"),
        ("Sec-WebSocket-Protocol: chat, superchat,v1.orion",),
    ),
    (
        "three subprotocols in three headers",
        ("chat", "superchat", "v1.orion"),
        tuple(f"Sec-WebSocket-Protocol: {name}" for name in ("chat", "superchat", "v1.orion")),
    ),
    (
        "subprotocols that differ in case only",
        ("chat", "CHAT"),
        ("Sec-WebSocket-Protocol: chat, CHAT",),
    ),
]
_OFFERS = {
    "12.1": [
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; client_max_window_bits; server_max_window_bits=8",
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        "permessage-deflate; server_max_window_bits=15, permessage-deflate",
    ],
    "13.1": [
        "permessage-bzip2",
        "x-webkit-deflate-frame",
        "bbf-usp-protocol",
        'foo; bar="quoted value"; baz=1, bar',
        "permessage-deflate; no_such_parameter=1",
    ],
}
_REFUSED: list[tuple[str, tuple[str, ...], Refused]] = [
    *(
        (
            f"Sec-WebSocket-Version: {version}",
            _with("Sec-WebSocket-Version", version),
            Refused(frozenset({400, 426}), version=True),
        )
        for version in ("8", "0", "12", "14", "255")
    ),
    (
        "Sec-WebSocket-Version that is no number",
        _with("Sec-WebSocket-Version", "thirteen"),
        Refused(frozenset({400, 426})),
    ),
    ("no Sec-WebSocket-Version", _request(without="Sec-WebSocket-Version"), Refused()),
    ("no Sec-WebSocket-Key", _request(without="Sec-WebSocket-Key"), Refused()),
    ("an empty key", _with("Sec-WebSocket-Key", ""), Refused()),
    ("a key of 15 octets", _with("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25j"), Refused()),
    ("a key of 17 octets", _with("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZSE="), Refused()),
    (
        "a key that is not base64",
        _with("Sec-WebSocket-Key", "~~~~~~~~~~~~~~~~~~~~~~=="),
        Refused(),
    ),
    ("two keys", _request("Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEC=="), Refused()),
    ("no Upgrade", _request(without="Upgrade"), Refused()),
    ("Upgrade to something else", _with("Upgrade", "h2c"), Refused()),
    ("Upgrade: websockets", _with("Upgrade", "websockets"), Refused()),
    ("no Connection", _request(without="Connection"), Refused()),
    ("Connection: keep-alive alone", _with("Connection", "keep-alive"), Refused()),
    ("Connection: upgraded", _with("Connection", "upgraded"), Refused()),
    ("no Host", _request(without="Host"), Refused()),
    ("POST", _request("Content-Length: 0", first="POST {path} HTTP/1.1"), Refused()),
    ("HEAD", _request(first="HEAD {path} HTTP/1.1"), Refused()),
    (
        "HTTP/1.0",
        _request(first="GET {path} HTTP/1.0"),
        Refused(REFUSALS | {505}),
    ),
    (
        "a method that does not exist",
        _request(first="WEBSOCKET {path} HTTP/1.1"),
        Refused(REFUSALS | {501}),
    ),
    ("a first line that is not HTTP", _request(first="hello"), Refused()),
]

HANDSHAKE_CASES: list[HandshakeCase] = [
    *(
        HandshakeCase(f"{section}.{number}", f"offer of {offer}", request, Upgraded())
        for section, offers in _OFFERS.items()
        for number, offer in enumerate(offers, 1)
        for request in [_request(f"Sec-WebSocket-Extensions: {offer}")]
    ),
    *(
        HandshakeCase(f"14.1.{number}", description, request, Upgraded())
        for number, (description, request) in enumerate(_ACCEPTED, 1)
    ),
    HandshakeCase("14.2.1", "octet by octet", STANDARD_REQUEST, Upgraded(), chop=1),
    HandshakeCase("14.2.2", "in pieces of 7 octets", STANDARD_REQUEST, Upgraded(), chop=7),
    *(
        HandshakeCase(f"14.3.{number}", description, _request(*headers), Upgraded(names))
        for number, (description, names, headers) in enumerate(_SUBPROTOCOLS, 1)
    ),
    *(
        HandshakeCase(f"14.4.{number}", description, request, want)
        for number, (description, request, want) in enumerate(_REFUSED, 1)
    ),
]
