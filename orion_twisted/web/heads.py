"""
Heads of HTTP/1.1: a request's is read strictly, a page's is written anew, a refusal's is fixed.

The grammar is h11's; what h11 tolerates and we do not (bare line feeds, folded lines, control
bytes) is refused first. Heads that are as plain as those of browsers take one look: there is only
one way to read them.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from urllib.parse import urlsplit

import h11
from twisted.web.http import datetimeToString

from orion_twisted.core.handshake import Refused, Request, frame_ancestors

END_OF_HEAD = b"\r\n\r\n"
BARE_LINE_END = re.compile(rb"(?<!\r)\n|\r(?=[^\n])")
"""A CR that comes last is none: its LF may be under way."""
FORBIDDEN = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r\n[ \t]")
"""Control bytes, and lines folded in the way that RFC 9112 section 5.2 has withdrawn."""

_PLAIN_HEAD = re.compile(
    rb"GET (/[!-~]*) HTTP/1\.1\r\n"
    rb"((?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+: [!-~](?:[ -~]*[!-~])?\r\n)+)\r\n"
)
_PLAIN_FIELD = re.compile(rb"([^:]+): ([ -~]+)\r\n")
_FRAMING = (b"content-length", b"transfer-encoding")

PAGE_REQUEST_HEADERS: dict[bytes, re.Pattern[bytes]] = {
    b"host": re.compile(rb"[!-~]+"),
    b"connection": re.compile(rb"[ -~]+"),
    b"accept-encoding": re.compile(rb"[ -~]+"),
    b"if-modified-since": re.compile(rb"[ -~]+"),
    b"if-none-match": re.compile(rb"[ -~]+"),
    b"if-range": re.compile(rb"[ -~]+"),
    b"range": re.compile(rb"bytes=(\d{1,18}-\d{0,18}|-\d{1,18})"),
}
"""All that pages depend on, and its form. One range at most: many make a small request ask for
gigabytes."""


def read_head(head: bytes) -> Request | Refused:
    """
    Read a request's head, from its first byte to the empty line.

    A target in absolute form names the host, whatever the Host header says (RFC 9112 3.2.2).
    """
    plain = _PLAIN_HEAD.fullmatch(head)
    if plain is not None:
        fields = tuple([(name.lower(), value) for name, value in _PLAIN_FIELD.findall(plain[2])])
        names = [name for name, _ in fields]
        # What has a body, or no single host, is for h11 to judge.
        if names.count(b"host") == 1 and not any(each in names for each in _FRAMING):
            path, _, query = plain[1].decode("ascii").partition("?")
            return Request("GET", path, query, fields)
    if BARE_LINE_END.search(head) or FORBIDDEN.search(head):
        return Refused(HTTPStatus.BAD_REQUEST, "head_malformed")
    parser = h11.Connection(h11.SERVER, max_incomplete_event_size=len(head))
    try:
        parser.receive_data(head)
        event = parser.next_event()
    except h11.RemoteProtocolError:
        return Refused(HTTPStatus.BAD_REQUEST, "head_malformed")
    if not isinstance(event, h11.Request):
        return Refused(HTTPStatus.BAD_REQUEST, "head_malformed")
    if event.http_version != b"1.1":
        return Refused(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "http_version")
    headers = tuple((bytes(name), bytes(value)) for name, value in event.headers)
    target = event.target.decode("ascii")
    if not target.startswith("/"):
        try:
            parts = urlsplit(target)
        except ValueError:
            return Refused(HTTPStatus.BAD_REQUEST, "target")
        if parts.scheme not in ("http", "https", "ws", "wss") or not parts.netloc:
            return Refused(HTTPStatus.BAD_REQUEST, "target")
        others = tuple(header for header in headers if header[0] != b"host")
        if len(others) != len(headers) - 1:
            return Refused(HTTPStatus.BAD_REQUEST, "host_missing")
        headers = (*others, (b"host", parts.netloc.encode("ascii")))
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    path, _, query = target.partition("?")
    return Request(event.method.decode("ascii"), path, query, headers)


def page_request(request: Request) -> bytes:
    """
    Return a request for a page once more, for the library that answers it.

    Only what pages depend on is in it, so no other header, however odd, meets a second parser.
    """
    target = request.path + (f"?{request.query}" if request.query else "")
    lines = [f"{request.method} {target} HTTP/1.1".encode("ascii")]
    for name, form in PAGE_REQUEST_HEADERS.items():
        value = b", ".join(request.values(name))
        if form.fullmatch(value):
            lines.append(b"%s: %s" % (name, value))
    return b"\r\n".join([*lines, b"", b""])


def error_response(refusal: Refused, *, to_head: bool = False) -> bytes:
    """
    Return the whole answer of a refusal: fixed by its status, framed, reflecting nothing.

    Args:
        refusal: what to answer.
        to_head: the request was HEAD, whose answer has no body.
    """
    body = refusal.status.phrase.encode("ascii") + b"\n"
    lines = [
        b"HTTP/1.1 %d %s" % (refusal.status, refusal.status.phrase.encode("ascii")),
        b"Date: " + datetimeToString(),
        b"Content-Type: text/plain; charset=utf-8",
        b"Content-Length: %d" % len(body),
        b"Cache-Control: no-store",
        b"X-Content-Type-Options: nosniff",
        b"Content-Security-Policy: default-src 'none'; " + frame_ancestors(refusal.embed_in),
        *(b"%s: %s" % header for header in refusal.headers),
    ]
    if not any(name == b"Connection" for name, _ in refusal.headers):
        lines.append(b"Connection: close")
    return b"\r\n".join([*lines, b"", b"" if to_head else body])
