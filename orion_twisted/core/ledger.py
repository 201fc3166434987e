"""
What a browser has handed over and has no outcome for yet, or has not said that it knows it.

A message goes from ACCEPTED (it waits for a link) to SENT (a link has it) to DONE (its outcome is
known); once the browser has acknowledged the outcome it is forgotten. Numbers only grow, so a
number that is not above the highest and not here has been forgotten.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from enum import Enum, auto
from math import inf
from typing import Final

import msgspec

from orion_twisted.core.errors import BadMessage


class Stage(Enum):
    """How far a message is."""

    ACCEPTED = auto()
    SENT = auto()
    DONE = auto()


ACCEPTED: Final = Stage.ACCEPTED
SENT: Final = Stage.SENT
DONE: Final = Stage.DONE


class Entry(msgspec.Struct, eq=False):
    """
    One message of a browser. It is a struct since one is made for each message: that is cheap.

    Attributes:
        n: its number in the session.
        payload: as it came.
        size: of that, in bytes.
        digest: its `hash`, which is keyed at random for each process (SipHash): nobody can make
            two payloads alike. Both outlive the payload.
        is_binary: its type.
        wants_result: a request; else a notification, whose outcome is that it was sent.
        is_safe: whether it may be sent again when a link breaks under it.
        deadline: the instant at which its time is over, in seconds.
        own_id: what the browser itself calls it, in dialect ``orion.v1``.
        was_sent: whether a link has had it that is gone: then it may have been done, though it
            waits.
        call: its number on the link that has it.
        outcome: what the browser is told of it, once that is known.
    """

    n: int
    payload: bytes
    size: int
    digest: int
    is_binary: bool
    wants_result: bool
    is_safe: bool
    deadline: float
    own_id: int | None = None
    stage: Stage = ACCEPTED
    was_sent: bool = False
    call: int = 0
    outcome: object = None

    def is_like(self, other: Entry) -> bool:
        """Say whether a message that comes under the same number is this one again."""
        return (
            self.digest == other.digest
            and self.size == other.size
            and self.is_binary == other.is_binary
            and self.wants_result == other.wants_result
        )


class Ledger:
    """The messages of one session, in the order of their numbers."""

    __slots__ = ("entries", "highest", "pending", "pending_bytes", "waiting")

    def __init__(self) -> None:
        self.highest = 0
        """The highest number that has come; all below it have, too."""
        self.entries: dict[int, Entry] = {}
        self.pending = 0
        """How many have no outcome."""
        self.pending_bytes = 0
        """Payload bytes of those."""
        self.waiting: deque[Entry] = deque()
        """Those that wait for a link, in their order."""

    def accept(self, entry: Entry) -> None:
        """
        Take a new message.

        Raises:
            BadMessage: its number is not the one after the highest.
        """
        if entry.n != self.highest + 1:
            raise BadMessage(f"message {entry.n} after {self.highest}")
        self.highest = entry.n
        self.entries[entry.n] = entry
        self.pending += 1
        self.pending_bytes += entry.size
        self.waiting.append(entry)

    def next_waiting(self) -> Entry | None:
        """Take the message out of the line that a link is given next; its payload is kept."""
        if not self.waiting:
            return None
        entry = self.waiting.popleft()
        entry.stage = SENT
        return entry

    def written(self, entry: Entry) -> None:
        """Let the payload of a message go that a link has, unless it may be sent again."""
        if not entry.is_safe:
            entry.payload = b""

    def done(self, entry: Entry) -> None:
        """Note that a message's outcome is known."""
        if entry.stage is ACCEPTED:
            self.waiting.remove(entry)
        entry.stage = DONE
        entry.payload = b""
        self.pending -= 1
        self.pending_bytes -= entry.size

    def forget(self, entry: Entry) -> None:
        """Drop a message whose outcome the browser has."""
        if self.entries.pop(entry.n, None) is not None:
            entry.outcome = None

    def broken(self) -> list[Entry]:
        """
        Take note that the link is gone.

        Returns:
            The messages that it had and that may not be sent again. The others wait again, in
            front of all that came after them.
        """
        had = self.sent()
        safe = [entry for entry in had if entry.is_safe]
        for entry in safe:
            entry.stage = ACCEPTED
            entry.was_sent = True
        self.waiting.extendleft(reversed(safe))
        return [entry for entry in had if not entry.is_safe]

    def sent(self) -> list[Entry]:
        """Return the messages that a link has, and whose answer is waited for."""
        return [entry for entry in self.entries.values() if entry.stage is SENT]

    def unsent(self) -> list[Entry]:
        """Return the messages that wait for a link."""
        return list(self.waiting)

    def overdue(self, now: float) -> list[Entry]:
        """Return the messages without an outcome whose time is over."""
        return [entry for entry in self._pending() if entry.deadline <= now]

    def next_deadline(self) -> float:
        """Return the earliest instant at which the time of a message is over, or infinity."""
        return min((entry.deadline for entry in self._pending()), default=inf)

    def _pending(self) -> Iterator[Entry]:
        return (entry for entry in self.entries.values() if entry.stage is not DONE)
