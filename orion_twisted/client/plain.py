"""
The browser dialect ``orion.v1``: JSON objects with ``"@MSGID"``, answered by ``"msgID"``.

There is no resume. What was sent and not answered when the socket breaks has an unknown outcome,
unless it is safe to repeat: then it goes out again on the next socket.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from orion_twisted.client.conversation import (
    Action,
    Attached,
    Conversation,
    Deliver,
    Happening,
    Remark,
    Send,
)
from orion_twisted.client.failures import (
    FAMILY,
    Closed,
    MessageFailed,
    OfflineQueueFull,
    failure_of,
)
from orion_twisted.client.outbound import Kind, Message
from orion_twisted.client.outcomes import Push, Receipt, Result, Success

MESSAGE_ID = "@MSGID"

GATEWAY_CODES = FAMILY.keys() - {OfflineQueueFull.code, Closed.code}
"""What the gateway itself may say in an answer's ``code``."""


class Answer(Struct, frozen=True):
    """What is read of a message: the rest is for whoever asked."""

    message_id: int | UnsetType | None = msgspec.field(default=UNSET, name="msgID")
    success: Any = True
    message: Any = ""
    code: Any = None


_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_answer = msgspec.json.Decoder(Answer).decode
_encode = msgspec.json.Encoder().encode


def object_of(text: bytes) -> bytes:
    """
    Return a JSON object in the form that `Plain.submit` takes: whole, without an ``"@MSGID"``.

    Raises:
        ValueError: it is no JSON object.
    """
    try:
        text.decode()  # inside of what it passes over msgspec does not look
        members = _decode_object(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"not a JSON object: {error}") from None
    members.pop(MESSAGE_ID, None)
    return _encode(members)


class Plain(Conversation):
    """The client's side of ``orion.v1``; payloads are those of `object_of`."""

    subprotocol = "orion.v1"

    def _attach(self, now: float, token: str | None) -> list[Action]:
        self._move(Happening.ATTACHED)
        return [Attached(replaced=False), *self._pump(now)]

    def _left_alone(self, now: float) -> list[Action]:
        return self._begin_again()

    def _farewell(self) -> list[Action]:
        return []

    def _write(self, message: Message, now: float) -> Send:
        rest = message.payload[1:]
        comma = b"" if rest == b"}" else b","
        return Send(b'{"@MSGID":%d%b%b' % (message.number, comma, rest))

    def _read(self, message: bytes, is_binary: bool, now: float) -> list[Action]:
        answer = None if is_binary else _answer(message)
        if answer is None:
            return [Deliver(Push(message, is_binary))]
        found = self._outbound.find_sent(answer.message_id or 0)
        if found is None:
            return [Remark(f"an answer that nobody waits for, msgID {answer.message_id}")]
        return self._settle(found, _outcome(found.kind, answer, message))


def _answer(message: bytes) -> Answer | None:
    """Return what a message says as an answer, or None if it is none."""
    try:
        answer: Answer = _decode_answer(message)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return None if answer.message_id is UNSET else answer


def _outcome(kind: Kind, answer: Answer, message: bytes) -> Success | MessageFailed:
    is_ok = answer.success is not False
    if not is_ok and isinstance(answer.code, str) and answer.code in GATEWAY_CODES:
        return failure_of(answer.code, str(answer.message))
    if kind is Kind.NOTIFY:
        return Receipt("answered", is_ok)
    return Result(message, False, is_ok)
