"""Requests that are none, or that two parsers would read in two ways."""

from __future__ import annotations

from tests.abuse.attack import Attack, add_tests, says
from tests.abuse.attacker import SERVED, closed, refused
from tests.abuse.siege import MARK, SiegeTestCase
from tests.e2e.answers import head, upgrade

GET = f"GET /ws?{MARK} HTTP/1.1"
SMUGGLED = head(f"GET /{MARK} HTTP/1.1")
"""A second request, which nobody may ever answer."""
OTHER = "other.example"
"""The host of another tenant."""


def asked(*headers: str, behind: bytes = b"", host: str | None = "localhost") -> bytes:
    """Return an upgrade with further headers, and with bytes behind it."""
    return upgrade(f"/ws?{MARK}", *headers, host=host) + behind


def instead(old: str, new: str) -> bytes:
    """Return an upgrade with something else in the place of a part of it."""
    octets = asked()
    if old.encode() not in octets:
        raise ValueError(f"there is no {old!r} in an upgrade")
    return octets.replace(old.encode(), new.encode("latin-1"))


HEADS: dict[str, bytes] = {
    "no HTTP": MARK.encode() + b"\r\n\r\n",
    "zeros": bytes(200) + b"\r\n\r\n",
    "empty lines": b"\r\n" * 50,
    "an answer": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "a ClientHello after all": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "bare line feeds": asked().replace(b"\r\n", b"\n"),
    "a bare line feed in a header": asked(f"X: a\nY: {MARK}"),
    "a bare line feed before the end": asked().replace(b"\r\n\r\n", b"\n\r\n"),
    "a bare carriage return": asked(f"X: a\rY: {MARK}"),
    "two carriage returns": asked("X: a\r"),
    "a folded line": asked("X: a\r\n b"),
    "a line folded by a tab": asked("X: a\r\n\tb"),
    "a folded Transfer-Encoding": asked("Transfer-Encoding:\r\n chunked", behind=SMUGGLED),
    "a folded first header": instead("\r\nHost", "\r\n Host"),
    "NUL in a value": asked("X: a\0b"),
    "NUL in a name": asked("X\0: b"),
    "NUL in the target": instead("/ws", "/ws\0"),
    "a vertical tab": asked("X: a\x0bTransfer-Encoding: chunked"),
    "DEL": asked("X: \x7f"),
    "a space before the colon": asked("Transfer-Encoding : chunked", behind=SMUGGLED),
    "a tab before the colon": asked("Content-Length\t: 5", behind=b"hello"),
    "a space before a name": asked(" Content-Length: 5", behind=b"hello"),
    "a header without a colon": asked("Content-Length"),
    "a header without a name": asked(": 5"),
    "letters beyond ASCII in a name": asked("X-\xff: b"),
    "two lengths that differ": asked("Content-Length: 0", "Content-Length: 5", behind=b"hello"),
    "a list of lengths that differ": asked("Content-Length: 0, 5", behind=b"hello"),
    "a length with a sign": asked("Content-Length: +5", behind=b"hello"),
    "a negative length": asked("Content-Length: -1"),
    "a length in hexadecimal": asked("Content-Length: 0x5", behind=b"hello"),
    "a length with an underscore": asked("Content-Length: 1_0"),
    "an unknown coding": asked("Transfer-Encoding: xchunked", behind=b"0\r\n\r\n"),
    "identity": asked("Transfer-Encoding: identity"),
    "chunked twice": asked("Transfer-Encoding: chunked, chunked", behind=b"0\r\n\r\n"),
    "chunked in quotes": asked('Transfer-Encoding: "chunked"', behind=b"0\r\n\r\n"),
    "no host": asked(host=None),
    "two hosts": asked(f"Host: {OTHER}"),
    "the same host twice": asked("Host: localhost"),
    "two spaces in the first line": instead("GET ", "GET  "),
    "a tab in the first line": instead("GET ", "GET\t"),
    "a space in the target": instead("/ws", "/w s"),
    "no target": instead(f"GET /ws?{MARK}", "GET"),
    "no version": instead(" HTTP/1.1", ""),
    "a version in lower case": instead("HTTP/1.1", "http/1.1"),
    "a version with more behind it": instead("HTTP/1.1", "HTTP/1.1 x"),
    "HTTP/1.10": instead("HTTP/1.1", "HTTP/1.10"),
    "letters beyond ASCII in the target": instead("/ws", "/w\xffs"),
}
"""What is no head of HTTP/1.1, or a crooked one: 400, ``head_malformed``."""

LENGTHS: dict[str, bytes] = {
    "a length": asked("Content-Length: 5", behind=b"hello"),
    "a length of nothing": asked("Content-Length: 0"),
    "the same length twice": asked("Content-Length: 5", "Content-Length: 5", behind=b"hello"),
    "a request inside a body": asked(f"Content-Length: {len(SMUGGLED)}", behind=SMUGGLED),
    "chunked": asked("Transfer-Encoding: chunked", behind=b"0\r\n\r\n" + SMUGGLED),
    "length and chunked": asked(
        "Content-Length: 5", "Transfer-Encoding: chunked", behind=b"0\r\n\r\n" + SMUGGLED
    ),
    "chunked and length": asked(
        "Transfer-Encoding: chunked", "Content-Length: 5", behind=b"0\r\n\r\n" + SMUGGLED
    ),
    "chunked in upper case": asked("TRANSFER-ENCODING: CHUNKED", behind=b"0\r\n\r\n" + SMUGGLED),
}
"""An upgrade with a body, whose end two parsers might see at two places: ``upgrade_with_body``."""

TARGETS: dict[str, bytes] = {
    "an authority": instead("GET /ws", "CONNECT localhost:443"),
    "an asterisk": instead(f"/ws?{MARK}", "*"),
    "another scheme": instead("/ws", "file:///etc/passwd"),
    "a scheme without a host": instead("/ws", "http:///ws"),
    "half an IPv6 address": instead("/ws", "http://[::1/ws"),
    "a query alone": instead("/ws", ""),
    "a backslash": instead("/ws", "\\ws"),
}
"""Targets that are no path on this server: ``target``."""

HOSTS: dict[str, bytes] = {
    "no name": asked(host=""),
    "a list": asked(host=f"localhost, {OTHER}"),
    "a user": asked(host="localhost@other.example"),
    "a path": asked(host="localhost/ws"),
    "a port that is none": asked(host="localhost:http"),
    "port 0": asked(host="localhost:0"),
    "port 65536": asked(host="localhost:65536"),
    "two ports": asked(host="localhost:80:80"),
    "letters beyond ASCII": asked(host="l\xf6calhost"),
    "a name of 300 letters": asked(host="a" * 300),
    "two dots": asked(host="localhost.."),
    "a wildcard": asked(host="*"),
    "a user in the target": instead("/ws", "http://localhost@other.example/ws"),
}
"""Names that no host has: ``host_invalid``."""

UNKNOWN_HOSTS: dict[str, bytes] = {
    "another name": asked(host=f"{MARK}.example"),
    "an address": asked(host="127.0.0.1"),
    "an address as a number": asked(host="localhost.example"),
    "another name in the target": instead("/ws", f"http://{MARK}.example/ws"),
}

HUGE: dict[str, bytes] = {
    "a header of 20 KiB": asked(f"X: {MARK * 1200}"),
    "a header of 2 MiB": asked(f"X: {MARK * 120_000}"),
    "2000 headers": asked(*(f"X-{number}: {MARK}" for number in range(2000))),
    "a URI of 20 KiB": instead("/ws", f"/{'a' * 20_000}"),
    "a query of 1 MiB": instead("/ws", f"/ws?{'a' * 1_000_000}"),
    "a method of 20 KiB": b"G" * 20_000,
    "a key of 20 KiB": instead("Sec-WebSocket-Key: ", "Sec-WebSocket-Key: " + "k" * 20_000),
    "subprotocols of 20 KiB": asked(f"Sec-WebSocket-Protocol: {', '.join(['a'] * 10_000)}"),
}

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5)
"""RFC 9113, section 3.4, with an empty SETTINGS frame."""

OTHERS = [
    Attack("HTTP 2 preface", says(PREFACE), refused(505), "http_version"),
    Attack("HTTP 1 0", says(instead("HTTP/1.1", "HTTP/1.0")), refused(505), "http_version"),
    Attack("HTTP 1 2", says(instead("HTTP/1.1", "HTTP/1.2")), refused(505), "http_version"),
    Attack("HTTP 0 9", says(b"GET /ws\r\n\r\n"), refused(400), "head_malformed"),
    Attack("h2c", says(instead("websocket", "h2c")), refused(426), "not_websocket"),
    Attack("POST", says(instead("GET", "POST")), refused(405), "method"),
    Attack("TRACE", says(instead("GET", "TRACE")), refused(405), "method"),
    Attack("another path", says(instead("/ws", f"/{MARK}")), refused(404), "path_unknown"),
    Attack("dots in the path", says(instead("/ws", "/../ws")), refused(404), "path_unknown"),
    Attack("an encoded path", says(instead("/ws", "/%77s")), refused(404), "path_unknown"),
    Attack(
        "version 8", says(instead("Version: 13", "Version: 8")), refused(426), "websocket_version"
    ),
    Attack(
        "two versions",
        says(asked("Sec-WebSocket-Version: 8")),
        refused(426),
        "websocket_version",
    ),
    Attack(
        "two keys",
        says(asked("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==")),
        refused(400),
        "websocket_key",
    ),
    Attack(
        "a short key",
        says(instead("Sec-WebSocket-Key: ", "Sec-WebSocket-Key: =")),
        refused(400),
        "websocket_key",
    ),
    Attack(
        "a subprotocol twice",
        says(asked("Sec-WebSocket-Protocol: a, a")),
        refused(400),
        "subprotocols",
    ),
    Attack(
        "a subprotocol in quotes",
        says(asked('Sec-WebSocket-Protocol: "a"')),
        refused(400),
        "subprotocols",
    ),
    Attack(
        "subprotocols beyond the limit",
        says(asked(f"Sec-WebSocket-Protocol: {', '.join(f'a{n}' for n in range(33))}")),
        refused(400),
        "subprotocols",
    ),
    Attack(
        "NEL in an extension",
        says(asked("Sec-WebSocket-Extensions: a\x85X: b")),
        refused(400),
        "extensions",
    ),
    Attack(
        "a request behind a refused one",
        says(head("GET /a HTTP/1.1") + asked()),
        refused(404),
        "path_unknown",
    ),
    Attack(
        "a request behind garbage",
        says(b"garbage\r\n\r\n" + asked()),
        refused(400),
        "head_malformed",
    ),
    Attack(
        "empty lines before a request", says(b"\r\n\r\n" + asked()), refused(400), "head_malformed"
    ),
    Attack("a request behind an upgrade", says(asked(behind=SMUGGLED)), closed(1002)),
    Attack("an upgrade behind an upgrade", says(asked(behind=asked())), closed(1002)),
    Attack(
        "a PROXY header from nobody",
        says(b"PROXY TCP4 1.2.3.4 1.2.3.4 1 1\r\n" + asked()),
        refused(400),
        "head_malformed",
    ),
]

GOOD = [
    Attack("absolute form", says(instead("/ws", "http://localhost/ws")), SERVED),
    Attack(
        "absolute form of this host and another Host",
        says(asked(host=OTHER).replace(b"GET /ws", b"GET http://localhost/ws")),
        SERVED,
    ),
    Attack("a port", says(asked(host="LOCALHOST.:8889")), SERVED),
    Attack("byte by byte", says(asked(), chop=1), SERVED),
    Attack("an odd header", says(asked("X: M\xfcller\x85x")), SERVED),
    Attack("15 KiB of cookies", says(asked(f"Cookie: a={'c' * 15_000}")), SERVED),
    Attack(
        "broken extensions",
        says(
            asked("Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=99, ;;,=")
        ),
        SERVED,
    ),
]
"""What looks odd, and is right."""


def refusals(named: dict[str, bytes], status: int, reason: str, prefix: str) -> list[Attack]:
    return [
        Attack(f"{prefix} {name}", says(octets), refused(status), reason)
        for name, octets in named.items()
    ]


ATTACKS = [
    *refusals(HEADS, 400, "head_malformed", "head"),
    *refusals(LENGTHS, 400, "upgrade_with_body", "body"),
    *refusals(TARGETS, 400, "target", "target"),
    *refusals(HOSTS, 400, "host_invalid", "host"),
    *refusals(UNKNOWN_HOSTS, 421, "host_unknown", "host"),
    *refusals(HUGE, 431, "head_too_large", "huge"),
    *OTHERS,
    *GOOD,
]


class RequestTests(SiegeTestCase):
    """A request that is not exactly right is answered once, and its connection is over."""

    settings = """
        [tenant.shop1]
        hosts = ["localhost"]
        backend = "{backend}"
        [tenant.shop2]
        hosts = ["other.example"]
        backend = "tcp:127.0.0.1:1"
        """


add_tests(RequestTests, ATTACKS)
