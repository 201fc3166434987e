"""Backend dialect ``orion.v2`` (docs/wire.md): a header line, and the payload untouched."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from attrs import field, frozen

from orion_twisted.core.backend_v1 import with_answer_id
from orion_twisted.core.conversation import Answer, Conversation, Pong, Push, Said, Stray
from orion_twisted.core.errors import BackendError
from orion_twisted.core.ledger import Entry
from orion_twisted.core.members import NoObject
from orion_twisted.core.messages import is_utf8
from orion_twisted.core.session import Session
from orion_twisted.core.settings import MAX_LINK_HEADER

NAME = "orion.v2"
MAX_HEADER = MAX_LINK_HEADER
"""Bytes of a header line, either way; beyond a payload's limit, a frame has room for one."""
MAX_HELLO = 8192
"""Bytes of a ``hello``: there is a token in it."""

Number = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class _Header(msgspec.Struct, gc=False):
    type: Literal["result", "push", "pong"]
    id: Number = 0
    ok: bool = True
    bin: bool = False
    sid: str | None = None
    tenant: str | None = None


class _Hello(msgspec.Struct):
    type: Literal["hello"]
    tenant: str
    token: str


_decode = msgspec.json.Decoder(_Header).decode
_decode_hello = msgspec.json.Decoder(_Hello).decode
_encode = msgspec.json.encode
_UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)


@frozen
class Hello:
    """Who dials in: for which tenant, with which secret."""

    tenant: str
    token: str = field(repr=False)


def read_hello(payload: bytes) -> Hello:
    """
    Return what a backend that dials in says first.

    Raises:
        BackendError: it is something else.
    """
    if len(payload) > MAX_HELLO:
        raise BackendError(f"a hello of more than {MAX_HELLO} bytes")
    try:
        hello = _decode_hello(payload)
    except _UNREADABLE:
        raise BackendError("the first frame is no hello") from None
    return Hello(hello.tenant, hello.token)


class BackendV2(Conversation):
    """
    A conversation in ``orion.v2``.

    Args:
        tenant: whose backend it is.
    """

    has_notices = True

    def __init__(self, tenant: str) -> None:
        super().__init__()
        self._tenant = tenant

    def order(self, session: Session, entry: Entry, now: float) -> bytes:
        ttl = int((entry.deadline - now) * 1000.0 + 0.5) or 1
        more = b',"bin":true' if entry.is_binary else b""
        sid = session.sid_bytes
        if entry.wants_result:
            if entry.is_safe:
                more = b',"repeat":"safe"' + more
            self._last = entry.call = call = self._last + 1
            self._calls[call] = (session, entry)
            return b'{"type":"request","id":%d,"sid":"%b","key":"%b.%d","ttl":%d%b}\n%b' % (
                call,
                sid,
                sid,
                entry.n,
                ttl,
                more,
                entry.payload,
            )
        return b'{"type":"notify","sid":"%b","key":"%b.%d","ttl":%d%b}\n%b' % (
            sid,
            sid,
            entry.n,
            ttl,
            more,
            entry.payload,
        )

    def opened(self, session: Session) -> bytes | None:
        told = {"type": "open", "sid": session.sid, "tenant": self._tenant}
        if session.subject is not None:
            told["subject"] = session.subject
        return _encode(told)

    def gone(self, sid: str) -> bytes | None:
        return b'{"type":"gone","sid":"%b"}' % sid.encode("ascii")

    def ping(self) -> bytes | None:
        return b'{"type":"ping"}'

    def read(self, payload: bytes) -> Said:
        head, newline, body = payload.partition(b"\n")
        if len(head) > MAX_HEADER:
            raise BackendError(f"a header of more than {MAX_HEADER} bytes")
        try:
            header = _decode(head)
        except _UNREADABLE as error:
            raise BackendError(f"a header that cannot be read: {error}") from None
        kind = header.type
        if kind == "pong":
            return Pong()
        if not newline:
            raise BackendError(f"{kind} without a payload")
        is_text = header.bin or body.isascii() or is_utf8(body)
        if kind == "push":
            return self._push(header, body) if is_text else Stray("shapeless")
        asked = self._calls.pop(header.id, None)
        if asked is None:
            return self._stray(header.id)
        session, entry = asked
        if not is_text:
            return Answer(session, entry, b"", error="the answer is neither UTF-8 nor binary")
        if entry.own_id is not None:  # for a browser that speaks orion.v1
            try:
                if header.bin:
                    raise NoObject("it is binary")
                body = with_answer_id(body, entry.own_id)
            except NoObject as error:
                return Answer(session, entry, b"", error=f"the answer is no JSON object: {error}")
        return Answer(session, entry, body, header.bin, header.ok)

    def _push(self, header: _Header, body: bytes) -> Push | Stray:
        if header.sid is not None:
            return Push(body, header.bin, sid=header.sid)
        if header.tenant is not None and header.tenant.lower() == self._tenant.lower():
            return Push(body, header.bin, to_all=True)
        return Stray("shapeless")
