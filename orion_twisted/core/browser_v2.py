"""Browser dialect ``orion.v2`` (docs/wire.md): header lines, read and written."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from orion_twisted.core.errors import BadMessage
from orion_twisted.core.outbox import ERROR, PUSH, RECEIPT, RESULT, Item

SUBPROTOCOL = "orion.v2"
MAX_HEADER = 8192
"""Bytes of a header line; the longest has a token in it."""
MAX_TTL = 24 * 60 * 60 * 1000
"""Milliseconds: a longer ``ttl`` is cut down to it."""

Number = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
Name = Annotated[str, msgspec.Meta(max_length=128)]


class Header(msgspec.Struct, gc=False):
    """What a browser says in front of a payload, or alone; what is not there has its default."""

    type: Literal["request", "notify", "ack", "hello", "bye"]
    n: Number = 0
    ack: Number | None = None
    ttl: Number | None = None
    repeat: Literal["", "safe"] = ""
    sid: Name = ""
    key: Name = ""
    seen: Number = 0
    token: str | None = None


WITH_PAYLOAD = frozenset({"request", "notify"})

_decode = msgspec.json.Decoder(Header).decode
_UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)
_encode = msgspec.json.encode


def read(message: bytes) -> tuple[Header, bytes]:
    """
    Take a browser's message apart.

    Returns:
        Its header, and its payload, empty where the type has none.

    Raises:
        BadMessage: it is not of the dialect.
    """
    head, newline, payload = message.partition(b"\n")
    if len(head) > MAX_HEADER:
        raise BadMessage(f"a header of more than {MAX_HEADER} bytes")
    try:
        header = _decode(head)
    except _UNREADABLE as error:
        raise BadMessage(f"a header that cannot be read: {error}") from None
    if newline:
        if header.type not in WITH_PAYLOAD:
            raise BadMessage(f"{header.type} with a payload")
        if not header.n:
            raise BadMessage(f"{header.type} without a number")
    elif header.type in WITH_PAYLOAD:
        raise BadMessage(f"{header.type} without a payload")
    return header, payload


def write(item: Item, ack: int) -> bytes:
    """Return the message that says an item, with an ``ack`` unless that is 0."""
    kind = item.kind
    if kind is RESULT and ack and item.ok:  # as nearly all are
        assert item.entry is not None
        return b'{"type":"result","s":%d,"n":%d,"ack":%d}\n%b' % (
            item.s,
            item.entry.n,
            ack,
            item.payload,
        )
    more = b',"ack":%d' % ack if ack else b""
    if kind is RESULT:
        assert item.entry is not None
        ok = b"" if item.ok else b',"ok":false'
        head = b'{"type":"result","s":%d,"n":%d%b%b}\n' % (item.s, item.entry.n, ok, more)
        return head + item.payload
    if kind is PUSH:
        return b'{"type":"push","s":%d%b}\n' % (item.s, more) + item.payload
    assert item.entry is not None
    number = b'"s":%d,' % item.s if item.s else b""
    if kind is RECEIPT:
        return b'{"type":"receipt",%b"n":%d,"stage":"%b"%b}' % (
            number,
            item.entry.n,
            item.code.encode(),
            more,
        )
    assert kind is ERROR
    return b'{"type":"error",%b"n":%d,"code":"%b","message":%b%b}' % (
        number,
        item.entry.n,
        item.code.encode(),
        _encode(item.payload.decode()),
        more,
    )


def welcome(
    *,
    sid: str,
    key: str,
    epoch: str,
    recovered: bool,
    lost: list[list[int]],
    ack: int,
    ttl: float,
    window: int,
    window_bytes: int,
    max_message: int,
) -> bytes:
    """Return the answer to ``hello``; ``ttl`` is in seconds."""
    told: dict[str, object] = {"type": "welcome", "sid": sid, "key": key, "epoch": epoch}
    told["recovered"] = recovered
    if lost:
        told["lost"] = lost
    told |= {
        "ack": ack,
        "ttl": round(ttl * 1000),
        "window": window,
        "window_bytes": window_bytes,
        "message": max_message,
    }
    return _encode(told)


def write_ack(ack: int) -> bytes:
    """Return the acknowledgement that goes alone."""
    return b'{"type":"ack","ack":%d}' % ack


def drain(within: float) -> bytes:
    """Return the notice that the gateway is about to stop; ``within`` is in seconds."""
    return b'{"type":"drain","within":%d}' % round(within * 1000)
