"""
The messages of one client that have no outcome yet: those that wait, and those that were sent.

Numbers are given when a message is first sent, so a message that is given up before leaves no gap.
One that is given up after that stays here as a ghost: the gateway may still ask for it, and it
takes its room in the window until the gateway has told its outcome.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from enum import Enum, auto

from attrs import define

from orion_twisted.client.failures import (
    Closed,
    Expired,
    MessageFailed,
    OfflineQueueFull,
    OutcomeUnknown,
    TimedOut,
)


class Kind(Enum):
    """What is wanted for a message: a result, or a receipt."""

    REQUEST = auto()
    NOTIFY = auto()


@define(eq=False)
class Message:
    """
    One message on its way.

    Attributes:
        ticket: what its owner calls it.
        deadline: the instant at which its time is over, in seconds.
        repeat_safe: doing it twice does no harm.
        number: its ``n``; 0 while it waits.
        was_sent: it has been, in this session or in one before.
        is_ghost: its owner has got an outcome already.
    """

    ticket: int
    kind: Kind
    payload: bytes
    is_binary: bool
    deadline: float
    repeat_safe: bool
    number: int = 0
    was_sent: bool = False
    is_ghost: bool = False

    @property
    def size(self) -> int:
        return len(self.payload)


class Outbound:
    """
    Both lists, and who is whose.

    Args:
        queue_messages, queue_bytes: how much may wait.
        patience: seconds past its deadline after which a sent message is given up here.
    """

    def __init__(self, queue_messages: int, queue_bytes: int, patience: float) -> None:
        self._queue_messages = queue_messages
        self._queue_bytes = queue_bytes
        self._patience = patience
        self._waiting: OrderedDict[int, Message] = OrderedDict()
        self._waiting_bytes = 0
        self._sent: dict[int, Message] = {}
        self._sent_bytes = 0
        self._sent_by_ticket: dict[int, Message] = {}
        self._last_number = 0
        self.wake_at: float | None = None
        """When `expire` may have something to say, at the earliest."""

    @property
    def last_number(self) -> int:
        """The highest number given so far; 0 at the beginning of a session."""
        return self._last_number

    def __len__(self) -> int:
        """Return how many messages have an owner who waits."""
        return len(self._waiting) + len(self._sent_by_ticket)

    def add(self, message: Message, goes_at_once: bool) -> None:
        """
        Take a message; it waits behind all that wait already.

        Args:
            message: without a number.
            goes_at_once: it will be taken before anything else happens, so it needs no room.

        Raises:
            OfflineQueueFull: there is no room for it.
        """
        if not goes_at_once:
            count, octets = len(self._waiting) + 1, self._waiting_bytes + message.size
            if count > self._queue_messages or octets > self._queue_bytes:
                raise OfflineQueueFull(
                    f"{count - 1} messages with {self._waiting_bytes} bytes are waiting already"
                )
        self._waiting[message.ticket] = message
        self._waiting_bytes += message.size
        self._wake_by(message.deadline)

    def has_room(self, size: int, window: int, window_bytes: int) -> bool:
        """Say whether one more message may be sent; one is always allowed, however large."""
        if not self._sent:
            return True
        return len(self._sent) < window and self._sent_bytes + size <= window_bytes

    def would_go(self, size: int, window: int, window_bytes: int) -> bool:
        """Say whether a message that is added now may be sent now."""
        return not self._waiting and self.has_room(size, window, window_bytes)

    def next_waiting(self) -> Message | None:
        """Return the message whose turn it is, which stays where it is."""
        return next(iter(self._waiting.values()), None)

    def take_next(self, window: int, window_bytes: int) -> Message | None:
        """Return the next message to send now, with its number; None if none may be sent."""
        message = self.next_waiting()
        if message is None or not self.has_room(message.size, window, window_bytes):
            return None
        self._drop_waiting(message)
        self._last_number += 1
        message.number = self._last_number
        message.was_sent = True
        self._sent[message.number] = message
        self._sent_bytes += message.size
        self._sent_by_ticket[message.ticket] = message
        self._wake_by(message.deadline + self._patience)
        return message

    def find_sent(self, number: int) -> Message | None:
        """Return the message that was sent under a number and has no outcome, ghost or not."""
        return self._sent.get(number)

    def settle(self, message: Message) -> None:
        """Forget a sent message: its outcome has come."""
        del self._sent[message.number]
        self._sent_bytes -= message.size
        self._sent_by_ticket.pop(message.ticket, None)

    def sent_above(self, number: int) -> list[Message]:
        """Return what was sent under higher numbers, in order, ghosts included."""
        return [each for each in self._sent.values() if each.number > number]

    def cancel(self, ticket: int) -> None:
        """Give a message up: one that waits is never sent; of one that was sent a ghost stays."""
        message = self._waiting.get(ticket)
        if message is not None:
            self._drop_waiting(message)
            return
        message = self._sent_by_ticket.pop(ticket, None)
        if message is not None:
            message.is_ghost = True

    def expire(self, now: float) -> list[tuple[Message, MessageFailed]]:
        """Give up all whose time is over; return them, and how each has failed."""
        if self.wake_at is None or now < self.wake_at:
            return []
        over: list[tuple[Message, MessageFailed]] = []
        for message in [each for each in self._waiting.values() if each.deadline <= now]:
            self._drop_waiting(message)
            over.append((message, _overdue(message)))
        for message in list(self._sent_by_ticket.values()):
            if message.deadline + self._patience <= now:
                self.cancel(message.ticket)
                over.append((message, _overdue(message)))
        self.wake_at = min(self._instants(), default=None)
        return over

    def _instants(self) -> Iterator[float]:
        yield from (each.deadline for each in self._waiting.values())
        yield from (each.deadline + self._patience for each in self._sent_by_ticket.values())

    def begin_again(self) -> list[Message]:
        """
        Begin a new session: what is safe to repeat waits again, before all that waits.

        Returns:
            What was sent, in order, and is not safe to repeat: its outcome is unknown.
        """
        unknown = []
        for message in reversed(list(self._sent_by_ticket.values())):
            if message.repeat_safe:
                message.number = 0
                self._waiting[message.ticket] = message
                self._waiting.move_to_end(message.ticket, last=False)
                self._waiting_bytes += message.size
                self._wake_by(message.deadline)
            else:
                unknown.append(message)
        self._forget_sent()
        self._last_number = 0
        return unknown[::-1]

    def end(self, why: str) -> list[tuple[Message, MessageFailed]]:
        """Forget everything; return what somebody waits for, and how each has failed."""
        left = [*self._sent_by_ticket.values(), *self._waiting.values()]
        self._forget_sent()
        self._waiting.clear()
        self._waiting_bytes = 0
        self.wake_at = None
        return [(each, OutcomeUnknown(why) if each.was_sent else Closed(why)) for each in left]

    def _forget_sent(self) -> None:
        self._sent.clear()
        self._sent_by_ticket.clear()
        self._sent_bytes = 0

    def _drop_waiting(self, message: Message) -> None:
        del self._waiting[message.ticket]
        self._waiting_bytes -= message.size

    def _wake_by(self, instant: float) -> None:
        if self.wake_at is None or instant < self.wake_at:
            self.wake_at = instant


def _overdue(message: Message) -> MessageFailed:
    if message.was_sent:
        return TimedOut("no answer in time")
    return Expired("its time was over before it could be sent")
