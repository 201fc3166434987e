"""
Backend dialect ``orion.v1`` (docs/wire.md): JSON objects with ``@MSGID``, answered with ``msgID``.

On a link of its own an ``orion.v1`` browser's messages pass byte for byte. In all other cases the
numbers are changed: browsers that share a link may well use the same ones.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from orion_twisted.core.conversation import Answer, Conversation, Push, Said, Stray
from orion_twisted.core.errors import BackendError, BadMessage
from orion_twisted.core.ledger import Entry
from orion_twisted.core.members import MAX_NUMBER, UNREADABLE, Member, NoObject, Reader, Text
from orion_twisted.core.messages import is_utf8
from orion_twisted.core.session import Session

NAME = "orion.v1"
REQUEST_ID = Member("@MSGID")
ANSWER_ID = Member("msgID")
SESSION = Text("@SESSION")

Number = Annotated[int, msgspec.Meta(ge=0, le=MAX_NUMBER)]


class _Request(msgspec.Struct, gc=False):
    own_id: Number | None = msgspec.field(name="@MSGID", default=None)


class _Answer(msgspec.Struct, gc=False):
    call: Number | None = msgspec.field(name="msgID", default=None)
    sid: object = msgspec.field(name="@SESSION", default=None)  # an answer may have any


REQUEST = Reader(_Request)
"""Reads what a browser's message has for its number: its `own_id`."""
_ANSWER = Reader(_Answer)
_decode_answer = _ANSWER.decode


def request_id(payload: bytes) -> int | None:
    """
    Return the ``@MSGID`` of a browser's message, or None if it has none.

    Raises:
        NoObject: it is no JSON object, or its ``@MSGID`` is no number of this dialect.
    """
    return REQUEST.read(payload).own_id


def is_answer(payload: bytes) -> bool:
    """Say whether a browser would take a text for an answer: it has a ``msgID``."""
    try:
        return _ANSWER.read(payload).call is not None
    except NoObject:
        return False


def with_answer_id(payload: bytes, number: int) -> bytes:
    """
    Return a JSON object with ``msgID`` set to a number, wherever it came from.

    Raises:
        NoObject: it is no JSON object, or its ``msgID`` is no number of this dialect.
    """
    found = _ANSWER.read(payload).call
    if found == number:
        return payload
    change = ANSWER_ID.put if found is None else ANSWER_ID.replace
    return change(payload, number)


class BackendV1(Conversation):
    """
    A conversation in ``orion.v1``.

    Args:
        shared: whether several sessions speak on the link.
    """

    is_text = True

    def __init__(self, shared: bool) -> None:
        super().__init__()
        self._shared = shared

    def order(self, session: Session, entry: Entry, now: float) -> bytes:
        payload = entry.payload
        if not self._shared and not session.terms.keeps:
            assert entry.own_id is not None
            entry.call = entry.own_id
            self._calls[entry.call] = (session, entry)
            self._last = max(self._last, entry.call)
            return payload
        try:
            own_id = entry.own_id if not session.terms.keeps else self._own_id(entry)
            has_id = own_id is not None
            entry.own_id = entry.n if own_id is None else own_id
            call = self._last + 1
            change = REQUEST_ID.replace if has_id else REQUEST_ID.put
            payload = change(payload, call)
            if self._shared:
                payload = SESSION.put(payload, session.sid)
        except NoObject as error:
            raise BadMessage(f"this backend takes JSON objects in text: {error}") from None
        self._asked(session, entry)
        return payload

    def _own_id(self, entry: Entry) -> int | None:
        if entry.is_binary:
            raise NoObject("the message is binary")
        return request_id(entry.payload)

    def read(self, payload: bytes) -> Said:
        if not payload.isascii() and not is_utf8(payload):
            raise BackendError("the backend sent text that is no UTF-8")
        try:
            said = _decode_answer(payload)
        except UNREADABLE:
            try:
                said = _ANSWER.read(payload)
            except NoObject:
                return Stray("shapeless") if self._shared else Push(payload)
        if said.call is None:
            if not self._shared:
                return Push(payload)
            if isinstance(said.sid, str):
                return Push(payload, sid=said.sid)
            return Stray("shapeless")
        asked = self._calls.pop(said.call, None)
        if asked is None:
            return self._stray(said.call)
        session, entry = asked
        if entry.own_id != said.call:
            assert entry.own_id is not None
            try:
                payload = ANSWER_ID.replace(payload, entry.own_id)
            except NoObject as error:
                return Answer(session, entry, b"", error=str(error))
        return Answer(session, entry, payload)
