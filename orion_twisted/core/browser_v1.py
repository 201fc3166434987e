"""
Browser dialect ``orion.v1``, and browsers that name none (docs/wire.md): JSON with ``@MSGID``.

Their numbers are theirs to choose. A number that comes again is a retry, or a mistake; which, the
bytes tell.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

import msgspec

from orion_twisted.core.backend_v1 import REQUEST, is_answer
from orion_twisted.core.errors import Outcome
from orion_twisted.core.ledger import Entry
from orion_twisted.core.members import UNREADABLE, NoObject
from orion_twisted.core.outbox import ERROR, PUSH, RECEIPT, RESULT, Item

SUBPROTOCOL = "orion.v1"
REMEMBERED = 64
"""How many answered numbers are kept apart from new ones: a retry may cross its answer."""

NO_NUMBER = 'a message has to be a JSON object with a whole number "@MSGID"'

_decode = REQUEST.decode
_encode = msgspec.json.encode


class Repeat(Enum):
    """What a number is that may have come before."""

    NEW = auto()
    RETRY = auto()
    REUSED = auto()


NEW: Final = Repeat.NEW
RETRY: Final = Repeat.RETRY
REUSED: Final = Repeat.REUSED


class Numbers:
    """The numbers of one browser: those without an answer, and the last ones that have one."""

    def __init__(self) -> None:
        self._known: dict[int, Entry] = {}
        self._answered: dict[int, None] = {}  # which of these have one, in that order

    def take(self, entry: Entry) -> Repeat:
        """Say what a message's number is, and take note of a new one."""
        own_id = entry.own_id
        assert own_id is not None
        known = self._known.setdefault(own_id, entry)
        if known is entry:
            return NEW
        return RETRY if known.is_like(entry) else REUSED

    def answered(self, entry: Entry) -> None:
        """Take note that a message's answer has been written."""
        own_id, answered = entry.own_id, self._answered
        assert own_id is not None
        if self._known.get(own_id) is entry:
            answered[own_id] = None
            if len(answered) > REMEMBERED:
                oldest = next(iter(answered))
                del answered[oldest], self._known[oldest]


def read(message: bytes, is_binary: bool) -> int | None:
    """Return the number of a browser's message, or None if it has none that can be used."""
    if is_binary:
        return None
    try:
        return _decode(message).own_id
    except UNREADABLE:
        return _number_of_an_odd_one(message)


def _number_of_an_odd_one(message: bytes) -> int | None:
    try:
        return REQUEST.read(message).own_id
    except NoObject:
        return None


def write(item: Item) -> bytes | None:
    """Return the message that says an item; None for what this dialect does not say."""
    kind = item.kind
    if kind is RESULT:
        return item.payload
    if kind is RECEIPT:
        return None
    if kind is PUSH and (item.is_binary or is_answer(item.payload)):
        return None  # a backend of another dialect may push what is no push in this one
    if kind is ERROR:
        own_id = None if item.entry is None else item.entry.own_id
        return _encode(
            {
                "msgID": own_id,
                "success": False,
                "message": item.payload.decode(),
                "code": item.code,
            }
        )
    return item.payload


def no_number() -> Item:
    """Return what is said of a message without a number."""
    return Item(ERROR, None, NO_NUMBER.encode(), code=Outcome.BAD_MESSAGE.value)
