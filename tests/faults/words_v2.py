"""The messages of browser dialect ``orion.v2``: a header line, and what stands behind it."""

from __future__ import annotations

import json
from typing import Any

from tests.faults.orders import dumps

Header = dict[str, Any]


class Unreadable(Exception):
    """A message of the gateway is none of this dialect."""


def pack(header: Header, payload: str | bytes | None = None) -> str | bytes:
    """Return a message: text if the payload is text or there is none, else binary."""
    if payload is None:
        return dumps(header)
    if isinstance(payload, str):
        return f"{dumps(header)}\n{payload}"
    return dumps(header).encode() + b"\n" + payload


def unpack(message: str | bytes) -> tuple[Header, str | bytes | None]:
    """
    Return header and payload, of the message's own type; the payload is None if there is none.

    Raises:
        Unreadable: there is no header with a type.
    """
    is_text = isinstance(message, str)
    whole = message.encode() if isinstance(message, str) else message
    line, feed, payload = whole.partition(b"\n")
    try:
        header = json.loads(line)
    except ValueError:
        raise Unreadable(repr(message[:100])) from None
    if not isinstance(header, dict) or not isinstance(header.get("type"), str):
        raise Unreadable(repr(message[:100]))
    if not feed:
        return header, None
    return header, payload.decode() if is_text else payload


def hello(sid: str = "", key: str = "", seen: int = 0, **more: Any) -> str | bytes:
    """Return the first message on a socket: for a new session, or for one that goes on."""
    header: Header = {"type": "hello"}
    if sid:
        header |= {"sid": sid, "key": key, "seen": seen}
    return pack({**header, **more})
