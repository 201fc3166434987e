"""
A session: a browser's life across sockets, and the one outcome of each of its messages.

The shell tells what happens (a message, an answer, a link that came or went, a socket, the time)
and pulls what is to be written: `Session.next_for_link`, `Session.next_for_browser`. Nothing here
knows a socket, a dialect or a clock; time comes in as a number and leaves as `Session.wake_at`.
"""

from __future__ import annotations

from collections import deque
from enum import Enum, auto
from hmac import compare_digest
from math import inf

from attrs import frozen

from orion_twisted.core.budget import Budget
from orion_twisted.core.errors import BadMessage, LocalError, Outcome
from orion_twisted.core.ledger import DONE, SENT, Entry, Ledger
from orion_twisted.core.outbox import PUSH, RECEIPT, RESULT, Item, Outbox, Passage, failure

ACK_EVERY = 16
"""Messages after which the browser is told that they are here, if nothing else tells it."""
ACK_WITHIN = 1.0
"""Seconds after which it is told."""
MOST_ASIDES = 64
"""How many answers to repeated messages wait for the socket; the oldest go: they are to be had
again."""


class Life(Enum):
    """Whether the session has a socket, waits for one, or is over."""

    DETACHED = auto()
    ATTACHED = auto()
    ENDED = auto()


class Turn(Enum):
    """What changes that."""

    ATTACH = auto()
    DETACH = auto()
    END = auto()


TRANSITIONS: dict[tuple[Life, Turn], Life] = {
    (Life.DETACHED, Turn.ATTACH): Life.ATTACHED,
    (Life.ATTACHED, Turn.ATTACH): Life.ATTACHED,  # the newest socket wins
    (Life.ATTACHED, Turn.DETACH): Life.DETACHED,
    (Life.DETACHED, Turn.END): Life.ENDED,
    (Life.ATTACHED, Turn.END): Life.ENDED,
}


@frozen
class Terms:
    """
    What a session is allowed. Sizes are bytes, times seconds.

    Attributes:
        ttl: how long it outlives its socket.
        window: messages without an outcome; and items kept for the browser.
        window_bytes: their payload bytes; and those of the items.
        deadline: of a message that does not state one.
        grace: how long messages wait for a link that is away.
        first_grace: how long they wait for the first one.
        max_message: largest payload.
        own_link: whether the link is this session's alone, and may be held back for it.
        keeps: whether items are kept until they are acknowledged; else writing them is the end.
    """

    ttl: float
    window: int
    window_bytes: int
    deadline: float
    grace: float
    first_grace: float
    max_message: int
    own_link: bool
    keeps: bool


class Session:
    """
    One session.

    Args:
        sid: its name.
        terms: what it is allowed.
        budget: of its tenant.
        now: the present instant.
        subject: of the token that opened it, or None.
    """

    def __init__(
        self, sid: str, terms: Terms, budget: Budget, now: float, subject: str | None = None
    ) -> None:
        self.sid = sid
        self.sid_bytes = sid.encode("ascii")
        self.subject = subject
        self.terms = terms
        self.life = Life.DETACHED
        self.generation = 0
        """How often a socket has been attached."""
        self.ledger = Ledger()
        kind = Outbox if terms.keeps else Passage
        self.outbox = kind(terms.window, terms.window_bytes, budget, terms.own_link)
        self._budget = budget
        self._most_entries = 2 * terms.window + MOST_ASIDES
        self._keys: list[str] = []  # the last one given out, and the one before while it is good
        self.asides: deque[Item] = deque(maxlen=MOST_ASIDES)
        """What is to be said on this socket only."""
        self._told = 0  # the highest n that the browser knows to have arrived
        self._ack_is_due = False
        self.owes_ack = False
        """Whether the browser has to be told, sooner or later, that messages are here."""
        # Instants, as far as there are any.
        self._ack_at = inf  # from then on it is due
        self._ends_at = now + terms.ttl
        self._given_up_at = now + max(terms.grace, terms.first_grace)
        self._no_deadline_before = inf

    # The socket

    def _turn(self, turn: Turn) -> None:
        try:
            self.life = TRANSITIONS[self.life, turn]
        except KeyError:
            raise LocalError(f"{turn.name} while the session is {self.life.name}") from None

    def knows_key(self, key: str) -> bool:
        """Say whether a browser that shows this key may have the session."""
        shown = key.encode()
        # All of them are compared, so that the time tells nothing.
        return sum(compare_digest(each.encode(), shown) for each in self._keys) > 0

    def attach(self, key: str, shown: str = "", seen: int = 0) -> bool:
        """
        Take a new socket, in place of any other.

        Args:
            key: what the browser has to show the next time.
            shown: what it has shown now; it stays good until `heard`.
            seen: the highest ``s`` that it has.

        Returns:
            Whether nothing is missing of what it has not seen.

        Raises:
            BadMessage: it has seen what was never sent.
        """
        if seen > self.outbox.highest:
            raise BadMessage(f"{seen} seen of {self.outbox.highest}")
        self._turn(Turn.ATTACH)
        self.generation += 1
        # None of them is empty: a session without a key is not to be had by showing nothing.
        self._keys = [each for each in (key, shown) if each]
        self.asides.clear()
        self._ends_at = inf
        self.ack_to_tell()
        self.acknowledge(seen)
        self.outbox.attach()
        return not self.outbox.lost

    def heard(self) -> None:
        """Take note that the browser has the last key: the one before is worth nothing now."""
        del self._keys[1:]

    def detach(self, now: float) -> None:
        """Take note that the socket is gone."""
        self._turn(Turn.DETACH)
        self._ends_at = now + self.terms.ttl
        self._ack_at = inf
        self._ack_is_due = self.owes_ack = False
        self.asides.clear()
        self.outbox.detach()

    def end(self) -> int:
        """End for good; returns how many messages never got an outcome."""
        self._turn(Turn.END)
        pending = self.ledger.pending
        self._budget.change(-len(self.ledger.entries), -self.ledger.pending_bytes)
        for entry in self.ledger.entries.values():
            entry.outcome = None  # which knows its entry: a cycle, with all of its payload
        self.ledger = Ledger()
        self.outbox.clear()
        self.asides.clear()
        self._ends_at = self._given_up_at = self._ack_at = self._no_deadline_before = inf
        return pending

    # From the browser

    @property
    def may_read_browser(self) -> bool:
        """Whether more of the browser's messages are welcome now."""
        pending = self.ledger.pending
        if pending <= 1:
            return True  # there is always room for one: it could not wait for anything else
        return (
            pending <= self.terms.window
            and self.ledger.pending_bytes <= self.terms.window_bytes
            and not self._budget.is_full
        )

    def has_room(self) -> bool:
        """Say whether there is room everywhere: then browser and link may both be read."""
        ledger, terms = self.ledger, self.terms
        return (
            ledger.pending <= terms.window
            and ledger.pending_bytes <= terms.window_bytes
            and self.outbox.bytes < terms.window_bytes
            and not self._budget.is_full
        )

    def take(self, entry: Entry, now: float, until: float = -inf) -> bool:
        """
        Take a message of the browser. A new one is accepted; what is said of an old one waits.

        Args:
            until: when the session is woken anyway.

        Returns:
            Whether all goes on as it was: there is room everywhere, and `wake_at` is no sooner
            than that. Asked for each message, so it is said in one look.

        Raises:
            BadMessage: a new number that is not the next one; or the browser acknowledges nothing.
        """
        ledger, terms, budget = self.ledger, self.terms, self._budget
        if entry.n <= ledger.highest:
            known = ledger.entries.get(entry.n)
            if known is not None:
                self._again(known, entry)
            return False
        if len(ledger.entries) > self._most_entries:
            raise BadMessage("too many outcomes that are not acknowledged")
        was_full = budget.is_full
        ledger.accept(entry)
        budget.change(1, entry.size)
        if entry.size > terms.max_message:
            self.fail(entry, Outcome.TOO_LARGE)
            return False
        if was_full:
            self.fail(entry, Outcome.OVER_BUDGET)
            return False
        if self._given_up_at <= now:
            self.fail(entry, Outcome.BACKEND_DOWN)
            return False
        if entry.deadline < self._no_deadline_before:
            self._no_deadline_before = entry.deadline
        if terms.keeps and not self._ack_is_due:
            self.owes_ack = True
            if ledger.highest - self._told >= ACK_EVERY:
                self._ack_at, self._ack_is_due = inf, True
            elif self._ack_at == inf:
                self._ack_at = now + ACK_WITHIN
        return (
            self._no_deadline_before >= until
            and self._ack_at >= until
            and self._given_up_at == inf
            and ledger.pending <= terms.window
            and ledger.pending_bytes <= terms.window_bytes
            and self.outbox.bytes < terms.window_bytes
            and not budget.is_full
        )

    def _again(self, known: Entry, entry: Entry) -> None:
        if not known.is_like(entry):
            self.aside(failure(entry, Outcome.REUSED_ID))
        elif known.stage is DONE:
            assert isinstance(known.outcome, Item)
            # Out of its turn it would let the browser acknowledge what has not been written yet.
            if self.outbox.has_written(known.outcome):
                self.aside(known.outcome)
        else:
            is_sent = known.stage is SENT or known.was_sent
            stage = "sent" if is_sent else "accepted"
            self.aside(Item(RECEIPT, known, code=stage))

    def aside(self, item: Item) -> None:
        """Say something on this socket only."""
        if self.life is Life.ATTACHED:
            self.asides.append(item)

    def acknowledge(self, s: int) -> None:
        """
        Take note that the browser has everything up to number ``s``.

        Raises:
            BadMessage: that much was never sent.
        """
        if s > self.outbox.highest:
            raise BadMessage(f"{s} acknowledged of {self.outbox.highest}")
        for entry in self.outbox.acknowledge(s):
            self.ledger.forget(entry)

    # To the browser

    def has_news(self) -> bool:
        """Say whether there is anything to write to the socket."""
        return bool(self.outbox.unwritten or self.asides or self._ack_is_due)

    def next_for_browser(self) -> Item | None:
        """Return what is to be written to the socket next, or None."""
        if self.asides:
            return self.asides.popleft()
        item = self.outbox.next_unwritten()
        if item is not None and item.entry is not None and not self.terms.keeps:
            self.ledger.forget(item.entry)
        return item

    def ack_to_tell(self) -> int:
        """Return the number to tell the browser as ``ack`` on the next frame, or 0."""
        highest = self.ledger.highest
        if highest == self._told:
            return 0
        self._told = highest
        self._ack_at = inf
        self._ack_is_due = self.owes_ack = False
        return highest

    def is_ack_due(self, now: float) -> bool:
        """Say whether the browser has to be told alone, since no frame carries it."""
        return self._ack_is_due or self._ack_at <= now

    # To the link

    def link_up(self) -> None:
        """Take note that there is a link."""
        self._given_up_at = inf

    def link_lost(self, now: float) -> list[Item]:
        """Take note that the link is gone; returns the outcomes that come of it."""
        self._given_up_at = now + self.terms.grace
        return [self.fail(entry, Outcome.OUTCOME_UNKNOWN) for entry in self.ledger.broken()]

    def next_for_link(self, now: float) -> Entry | None:
        """Return the next message to send; what has become too late meanwhile has failed."""
        while True:
            entry = self.ledger.next_waiting()
            if entry is None or now < entry.deadline:
                return entry
            self._too_late(entry)

    def _too_late(self, entry: Entry) -> None:
        """Fail a message that still waits, and whose time is over."""
        self.fail(entry, Outcome.TIMEOUT if entry.was_sent else Outcome.EXPIRED)

    def sent(self, entry: Entry) -> None:
        """Take note that the link has a message: for a notification, that is its outcome."""
        if entry.wants_result:
            self.ledger.written(entry)
        else:
            self._done(entry, Item(RECEIPT, entry, code="sent"))

    # From the link

    @property
    def may_read_link(self) -> bool:
        """Whether more from the link is welcome, if the link is this session's own."""
        outbox = self.outbox
        # A full tenant gets room by the answers to what is pending, and by what browsers then
        # acknowledge; neither would ever be read if nobody were.
        is_waited_for = self.life is Life.ATTACHED and self.ledger.pending > 0
        return outbox.has_room or (is_waited_for and outbox.is_within_its_own)

    def answered(self, entry: Entry, payload: bytes, is_binary: bool, ok: bool) -> None:
        """Take the answer to a message, which is still SENT."""
        self.ledger.done(entry)
        entry.outcome = item = Item(RESULT, entry, payload, is_binary, ok)
        self.outbox.add(item, entry.size)

    def fail(self, entry: Entry, outcome: Outcome, why: str = "") -> Item:
        """Give a message a failure as its outcome."""
        item = failure(entry, outcome, why)
        self._done(entry, item)
        return item

    def _done(self, entry: Entry, item: Item) -> None:
        self.ledger.done(entry)
        entry.outcome = item
        self.outbox.add(item, entry.size)

    def push(self, payload: bytes, is_binary: bool) -> None:
        """Take what the backend says on its own."""
        self.outbox.add(Item(PUSH, None, payload, is_binary))

    # Time

    @property
    def wake_at(self) -> float:
        """The instant at which `wake` has something to do, or may have; infinity if none is."""
        given_up_at = self._given_up_at if self.ledger.waiting else inf
        return min(self._no_deadline_before, self._ack_at, self._ends_at, given_up_at)

    def is_over(self, now: float) -> bool:
        """Say whether the browser has stayed away for too long."""
        return self._ends_at <= now

    def wake(self, now: float) -> list[Entry]:
        """
        Fail what has waited for too long.

        Returns:
            The messages that a link still has, and whose answer nobody waits for any more.
        """
        abandoned = []
        if self._ack_at <= now:
            # Noted for when the socket has room: it is not to be woken for again until then.
            self._ack_at, self._ack_is_due = inf, True
        if self._no_deadline_before <= now:
            for entry in self.ledger.overdue(now):
                if entry.stage is SENT:
                    abandoned.append(entry)
                    self.fail(entry, Outcome.TIMEOUT)
                else:
                    self._too_late(entry)
            self._no_deadline_before = self.ledger.next_deadline()
        if self._given_up_at <= now:
            for entry in self.ledger.unsent():
                had = entry.was_sent
                self.fail(entry, Outcome.OUTCOME_UNKNOWN if had else Outcome.BACKEND_DOWN)
        return abandoned
