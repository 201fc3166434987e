"""
The browser dialect ``orion.v2`` to the byte, as a client writes and reads it (docs/wire.md).

Read from the gateway is strict: what does not keep the contract raises `WireError`. Members that
are not known are passed over, so that a later gateway may say more.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

MAX_HEADER = 8192
"""Bytes of a header line."""
MAX_NUMBER = 2**53 - 1
"""The largest number: the largest integer that a browser's numbers hold exactly."""

Number = Annotated[int, Meta(ge=0, le=MAX_NUMBER)]
Counted = Annotated[int, Meta(ge=1, le=MAX_NUMBER)]


class WireError(Exception):
    """The gateway broke the contract of the wire."""


class Welcome(Struct, tag="welcome", frozen=True):
    """The answer to `hello`. ``ttl`` is in milliseconds, ``lost`` are pairs of first and last."""

    sid: str
    key: str
    epoch: str
    recovered: bool
    ack: Number
    ttl: Number
    window: Counted
    window_bytes: Counted
    message: Number
    lost: list[tuple[Counted, Counted]] = []


class GatewayResult(Struct, tag="result", frozen=True):
    """The answer to a request; its payload follows."""

    s: Counted
    n: Counted
    ok: bool = True
    ack: Number = 0


class GatewayReceipt(Struct, tag="receipt", frozen=True):
    """How far a message is. Without ``s`` it answers a repetition, and is no outcome."""

    n: Counted
    stage: str
    s: Counted | None = None
    ack: Number = 0


class GatewayError(Struct, tag="error", frozen=True):
    """A named failure. Without ``s`` it is about a repetition, and is no outcome."""

    n: Counted
    code: str
    message: str = ""
    s: Counted | None = None
    ack: Number = 0


class GatewayPush(Struct, tag="push", frozen=True):
    """What the backend says on its own; its payload follows."""

    s: Counted
    ack: Number = 0


class GatewayAck(Struct, tag="ack", frozen=True):
    """The gateway has all messages up to ``ack``."""

    ack: Number


class Drain(Struct, tag="drain", frozen=True):
    """The gateway stops: come back within so many milliseconds after the socket closes."""

    within: Number
    ack: Number = 0


Header = Welcome | GatewayResult | GatewayReceipt | GatewayError | GatewayPush | GatewayAck | Drain

_decode = msgspec.json.Decoder(Header).decode
_encode = msgspec.json.Encoder().encode


def read(message: bytes, is_binary: bool) -> tuple[Header, bytes]:
    """
    Return the header of a message of the gateway, and its payload, empty where it has none.

    Raises:
        WireError: it is not as docs/wire.md has it.
    """
    end = message.find(b"\n", 0, MAX_HEADER + 1)
    line = message if end < 0 else message[:end]
    if len(line) > MAX_HEADER:
        raise WireError(f"a header of more than {MAX_HEADER} bytes")
    try:
        header: Header = _decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"a header that cannot be read: {error}") from None
    if isinstance(header, GatewayResult | GatewayPush):
        if end < 0:
            raise WireError(f"{_type(header)} without a payload")
        return header, message[end + 1 :]
    if end >= 0:
        raise WireError(f"{_type(header)} with a payload")
    if is_binary:
        raise WireError(f"{_type(header)} in a binary message")
    return header, b""


def _type(header: Header) -> str:
    return str(header.__struct_config__.tag)


def hello(sid: str | None = None, key: str = "", seen: int = 0, token: str | None = None) -> bytes:
    """Return the first message of a socket; with ``sid`` it asks for that session."""
    members: dict[str, object] = {"type": "hello"}
    if sid is not None:
        members.update(sid=sid, key=key, seen=seen)
    if token is not None:
        members["token"] = token
    return _encode(members)


def request(n: int, ttl: int, repeat_safe: bool, ack: int | None, payload: bytes) -> bytes:
    """Return a request; ``ttl`` is what is left of its time, in milliseconds."""
    repeat = b',"repeat":"safe"' if repeat_safe else b""
    return b'{"type":"request","n":%d,"ttl":%d%b%b}\n%b' % (n, ttl, repeat, _ack(ack), payload)


def notify(n: int, ttl: int | None, ack: int | None, payload: bytes) -> bytes:
    """Return a message that wants no result; without ``ttl`` the tenant's deadline holds."""
    left = b"" if ttl is None else b',"ttl":%d' % ttl
    return b'{"type":"notify","n":%d%b%b}\n%b' % (n, left, _ack(ack), payload)


def _ack(seen: int | None) -> bytes:
    return b"" if seen is None else b',"ack":%d' % seen


def acknowledge(seen: int) -> bytes:
    """Return "I have all up to this one"."""
    return b'{"type":"ack","ack":%d}' % seen


BYE = b'{"type":"bye"}'
"""Ends the session."""
