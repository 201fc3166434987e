"""
What a session has for its browser: kept until the browser says that it has it.

Everything gets a number ``s``, in order. What could not be written yet, or was written to a socket
that then broke, is written again on the next one. There is room for so many messages and bytes;
beyond that the oldest pushes go, and the browser is told which. Results never go without a word:
where a link cannot be held back for them, one that finds no room becomes OVER_BUDGET. While a
socket is there, what was not written to it yet does not go: a browser that does not read is
closed instead.
"""

from __future__ import annotations

from collections import deque
from enum import Enum, auto
from typing import Final

import msgspec

from orion_twisted.core.budget import Budget
from orion_twisted.core.errors import WHY, Outcome
from orion_twisted.core.ledger import Entry

ITEM_COST = 256
"""Bytes that an item counts beside its payload: empty ones take room, too."""


class Kind(Enum):
    """What an item is."""

    RESULT = auto()
    RECEIPT = auto()
    ERROR = auto()
    PUSH = auto()


RESULT: Final = Kind.RESULT
RECEIPT: Final = Kind.RECEIPT
ERROR: Final = Kind.ERROR
PUSH: Final = Kind.PUSH


class Item(msgspec.Struct, eq=False):
    """
    One thing for a browser.

    Attributes:
        entry: the message that it is the outcome of; None for a push.
        payload: of a result or a push; the text of an error.
        code: of an error; what a receipt says.
        ok: what the backend says of its result.
        s: its number; 0 for what is said on one socket only and not kept.
        is_told: whether it has been written to a socket; for whoever counts.
    """

    kind: Kind
    entry: Entry | None
    payload: bytes = b""
    is_binary: bool = False
    ok: bool = True
    code: str = ""
    s: int = 0
    is_told: bool = False


def failure(entry: Entry | None, outcome: Outcome, why: str = "") -> Item:
    """Return what a browser is told of a message that has failed."""
    return Item(ERROR, entry, (why or WHY[outcome]).encode(), code=outcome.value)


class Outbox:
    """
    The items of one session.

    Args:
        most_messages, most_bytes: how much is kept.
        budget: of the tenant; what is kept here is taken there.
        can_wait: whether the link is held back while there is no room (it has no other browser).
    """

    __slots__ = (
        "_acknowledged",
        "_budget",
        "_found",
        "_items",
        "_lost",
        "_most_bytes",
        "_most_messages",
        "_pushes",
        "bytes",
        "can_wait",
        "highest",
        "is_attached",
        "unwritten",
    )

    def __init__(
        self, most_messages: int, most_bytes: int, budget: Budget, can_wait: bool
    ) -> None:
        self.highest = 0
        """The number of the last item."""
        self.bytes = 0
        self.unwritten: deque[Item] = deque()
        """Those that wait to be written."""
        self.is_attached = False
        self.can_wait = can_wait
        self._most_messages = most_messages
        self._most_bytes = most_bytes
        self._budget = budget
        self._acknowledged = 0
        self._items: dict[int, Item] = {}
        self._pushes: deque[int] = deque()  # the numbers of those that are kept
        self._lost: list[list[int]] = []
        self._found = (0, 0)

    def __len__(self) -> int:
        return len(self._items)

    @property
    def has_room(self) -> bool:
        """Whether there is room for more: else the link is held back, if it can be."""
        return not self.bytes or (self.is_within_its_own and not self._budget.is_full)

    @property
    def is_within_its_own(self) -> bool:
        """Whether what is kept is less than this session may keep, whatever others do."""
        return self.bytes < self._most_bytes

    @property
    def is_written(self) -> bool:
        """Whether nothing waits to be written."""
        return not self.unwritten

    @property
    def unwritten_bytes(self) -> int:
        """How much of what is kept waits to be written."""
        return sum([len(item.payload) + ITEM_COST for item in self.unwritten])

    def has_written(self, item: Item) -> bool:
        """Say whether an item that is kept has been written to the present socket."""
        return item.s < self._first_unwritten

    def is_clogged(self) -> bool:
        """
        Say whether more than there is room for waits to be written: the browser does not read.

        What it found here when it came counts only if it has grown since.
        """
        if self.bytes <= self._most_bytes and len(self.unwritten) <= self._most_messages:
            return False
        messages, size = self._found
        return len(self.unwritten) > max(
            self._most_messages, messages
        ) or self.unwritten_bytes > max(self._most_bytes, size)

    def add(self, item: Item, freed: int = 0) -> None:
        """
        Take an item, number it, and make room for it.

        Args:
            freed: bytes of the budget that its message had, and gives back for it.
        """
        items, budget = self._items, self._budget
        self.highest = item.s = s = self.highest + 1
        size = len(item.payload) + ITEM_COST
        items[s] = item
        self.unwritten.append(item)
        self.bytes += size
        if item.kind is PUSH:
            budget.change(1, size)
            self._pushes.append(s)
        else:
            # The message that it is the outcome of has its place already.
            budget.change(0, size - freed)
        if self.bytes > self._most_bytes or len(items) > self._most_messages or budget.is_full:
            self._make_room()

    def _make_room(self) -> None:
        unwritten = self._first_unwritten if self.is_attached else self.highest + 1
        while self._pushes and (self._is_over or len(self._items) > self._most_messages):
            if self._pushes[0] >= unwritten:
                break
            self._drop_push(self._items[self._pushes.popleft()])
        if not self.can_wait and self._is_over:
            self._shrink_results()

    @property
    def _first_unwritten(self) -> int:
        return self.unwritten[0].s if self.unwritten else self.highest + 1

    @property
    def _is_over(self) -> bool:
        return self.bytes > self._most_bytes or self._budget.is_full

    def _drop_push(self, item: Item) -> None:
        size = len(item.payload) + ITEM_COST
        if item.s >= self._first_unwritten:
            self.unwritten.remove(item)  # among the first: pushes go from the oldest on
        del self._items[item.s]
        self.bytes -= size
        self._budget.change(-1, -size)
        # Even one that was written: if its socket breaks, it may be missing.
        if self._lost and self._lost[-1][1] == item.s - 1:
            self._lost[-1][1] = item.s
        else:
            self._lost.append([item.s, item.s])

    def _shrink_results(self) -> None:
        """Let payloads go: first of what was written and may have arrived, then of the latest."""
        unwritten = self._first_unwritten
        written = [item for item in self._items.values() if item.s < unwritten]
        latest = () if self.is_attached else reversed(self.unwritten)
        for item in [*written, *latest]:
            if not self._is_over:
                return
            if item.kind is RESULT and len(item.payload) > len(WHY[Outcome.OVER_BUDGET]):
                self._shrink(item)

    def _shrink(self, item: Item) -> None:
        before = len(item.payload)
        item.kind, item.code, item.is_binary = ERROR, Outcome.OVER_BUDGET.value, False
        item.payload = WHY[Outcome.OVER_BUDGET].encode()
        less = before - len(item.payload)
        self.bytes -= less
        self._budget.change(0, -less)

    def next_unwritten(self) -> Item | None:
        """Return the next item to write to the socket; it is kept until it is acknowledged."""
        return self.unwritten.popleft() if self.unwritten else None

    def acknowledge(self, s: int) -> list[Entry]:
        """
        Drop what the browser has: everything up to number ``s``.

        Returns:
            The messages whose outcome it has now; the budget has their places back.
        """
        known: list[Entry] = []
        items = self._items
        count = freed = 0
        number = self._acknowledged
        while number < s:  # each number is looked at once, even where its push had to go
            number += 1
            item = items.pop(number, None)
            if item is not None:
                count += 1
                freed += len(item.payload) + ITEM_COST
                if item.entry is not None:
                    known.append(item.entry)
        self._acknowledged = number
        if count:
            self.bytes -= freed
            self._budget.change(-count, -freed)
        unwritten, pushes = self.unwritten, self._pushes
        while unwritten and unwritten[0].s <= s:
            unwritten.popleft()
        while pushes and pushes[0] <= s:
            pushes.popleft()
        if self._lost:
            self._forget_lost(s)
        return known

    def _forget_lost(self, s: int) -> None:
        """Forget which pushes had to go up to number ``s``."""
        if self._lost[0][0] <= s:
            self._lost = [[max(a, s + 1), b] for a, b in self._lost if b > s]

    def attach(self) -> None:
        """Begin again, on a new socket, with the oldest item that is not acknowledged."""
        self.is_attached = True
        self.unwritten = deque(self._items.values())
        self._found = (len(self.unwritten), self.bytes)

    def detach(self) -> None:
        """Take note that there is no socket: from now on there is only so much room."""
        self.is_attached = False
        self._make_room()

    @property
    def lost(self) -> list[list[int]]:
        """Numbers of pushes that had to go, and may never have arrived: pairs, first and last."""
        return [list(each) for each in self._lost]

    def clear(self) -> None:
        """Let everything go: the session has ended."""
        self._budget.change(-sum(item.kind is PUSH for item in self._items.values()), -self.bytes)
        self._items.clear()
        self.unwritten.clear()
        self._pushes.clear()
        self.bytes = 0


class Passage(Outbox):
    """
    An outbox whose items are not kept: writing one is its end, and its place is free again.

    It is for a session that ends with its socket, which is there before the first item.
    """

    __slots__ = ()

    def __len__(self) -> int:
        return len(self.unwritten)

    def add(self, item: Item, freed: int = 0) -> None:
        self.highest = item.s = self.highest + 1
        self.unwritten.append(item)
        size = len(item.payload) + ITEM_COST
        self.bytes += size
        self._budget.change(1 if item.kind is PUSH else 0, size - freed)

    def next_unwritten(self) -> Item | None:
        if not self.unwritten:
            return None
        item = self.unwritten.popleft()
        size = len(item.payload) + ITEM_COST
        self.bytes -= size
        self._budget.change(-1, -size)
        return item

    def acknowledge(self, s: int) -> list[Entry]:
        return []  # nobody says so

    def attach(self) -> None:
        self.is_attached = True

    def clear(self) -> None:
        self._budget.change(-sum(item.kind is PUSH for item in self.unwritten), -self.bytes)
        self.unwritten.clear()
        self.bytes = 0
