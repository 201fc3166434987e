"""
What both dialects have in common: messages in, outcomes out, over sockets that come and go.

The shell says what happened, and carries out the actions that come back, in their order. Nothing
here knows a socket or a clock: time comes in as a number, in seconds, and leaves as an instant to
be woken at. No action is carried out before the state is settled, so the shell may be called from
inside of what it calls.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum, auto

from attrs import field, frozen

from orion_twisted.client.failures import Closed, MessageFailed, OutcomeUnknown, TooLarge
from orion_twisted.client.limits import A_DAY, ClientLimits
from orion_twisted.client.outbound import Kind, Message, Outbound
from orion_twisted.client.outcomes import Push, Success
from orion_twisted.core.errors import LocalError


@frozen
class Send:
    """Send one message on the socket; if it is gone by now, drop it: `lost` is on its way."""

    payload: bytes = field(repr=False)
    is_binary: bool = False


@frozen
class Settle:
    """Tell an owner the one outcome of its message."""

    ticket: int
    outcome: Success | MessageFailed


@frozen
class Deliver:
    """Hand a push to whoever listens."""

    push: Push


@frozen
class Attached:
    """
    The conversation is online.

    Attributes:
        replaced: the session that we had is gone, with whatever it had for us: this is another.
        lost: how many pushes could not be kept while we were away.
    """

    replaced: bool
    lost: int = 0


@frozen
class ComeBack:
    """The gateway is about to stop: come back at a random moment, in so many seconds at most."""

    within: float


@frozen
class Fault:
    """The gateway broke the contract: end the socket, and do not come back to more of it."""

    why: str


@frozen
class Remark:
    """Something for the log that changes nothing."""

    text: str


Action = Send | Settle | Deliver | Attached | ComeBack | Fault | Remark


class Phase(Enum):
    """How the conversation stands. DRAINING: nothing new goes out on this socket."""

    OFFLINE = auto()
    ATTACHING = auto()
    ONLINE = auto()
    DRAINING = auto()
    ENDED = auto()


class Happening(Enum):
    """What moves it from one phase to another."""

    OPENED = auto()
    ATTACHED = auto()
    DRAIN = auto()
    LOST = auto()
    END = auto()


TRANSITIONS: dict[tuple[Phase, Happening], Phase] = {
    (Phase.OFFLINE, Happening.OPENED): Phase.ATTACHING,
    (Phase.OFFLINE, Happening.END): Phase.ENDED,
    (Phase.ATTACHING, Happening.ATTACHED): Phase.ONLINE,
    (Phase.ATTACHING, Happening.LOST): Phase.OFFLINE,
    (Phase.ATTACHING, Happening.END): Phase.ENDED,
    (Phase.ONLINE, Happening.DRAIN): Phase.DRAINING,
    (Phase.ONLINE, Happening.LOST): Phase.OFFLINE,
    (Phase.ONLINE, Happening.END): Phase.ENDED,
    (Phase.DRAINING, Happening.DRAIN): Phase.DRAINING,
    (Phase.DRAINING, Happening.LOST): Phase.OFFLINE,
    (Phase.DRAINING, Happening.END): Phase.ENDED,
    (Phase.ENDED, Happening.LOST): Phase.ENDED,
    (Phase.ENDED, Happening.END): Phase.ENDED,
}


class Conversation(ABC):
    """
    Base of the two dialects.

    Args:
        limits: of the client.

    Attributes:
        phase: how it stands.
    """

    subprotocol: str

    def __init__(self, limits: ClientLimits) -> None:
        self.phase = Phase.OFFLINE
        self._limits = limits
        self._outbound = Outbound(limits.queue_messages, limits.queue_bytes, limits.patience)
        self._last_ticket = 0
        self._window = limits.window
        self._window_bytes = limits.window_bytes
        self._most: int | None = None  # the largest payload that the gateway takes, once known

    # What the shell calls

    def submit(
        self,
        kind: Kind,
        payload: bytes,
        is_binary: bool,
        now: float,
        *,
        timeout: float | None = None,
        repeat_safe: bool = False,
    ) -> tuple[int, list[Action]]:
        """
        Take a message; a `Settle` with the ticket returned will come for it, exactly once.

        Raises:
            ValueError: the timeout is not in (0, a day].
            MessageFailed: it is not taken: `OfflineQueueFull`, `TooLarge` or `Closed`.
        """
        seconds = self._limits.timeout if timeout is None else timeout
        if not 0 < seconds <= A_DAY:
            raise ValueError(f"a timeout has to be more than 0 s and at most a day: {seconds} s")
        if self.phase is Phase.ENDED:
            raise Closed("the client has ended")
        if self._most is not None and len(payload) > self._most:
            raise self._too_large(len(payload), was_done=False)
        message = Message(
            self._last_ticket + 1, kind, payload, is_binary, now + seconds, repeat_safe
        )
        goes_at_once = self.phase is Phase.ONLINE and self._outbound.would_go(
            message.size, self._window, self._window_bytes
        )
        self._outbound.add(message, goes_at_once)
        self._last_ticket = message.ticket
        return message.ticket, self._pump(now)

    def cancel(self, ticket: int) -> None:
        """Forget a message's owner; if it has not been sent it never is. Nothing is settled."""
        self._outbound.cancel(ticket)

    def opened(self, now: float, token: str | None = None) -> list[Action]:
        """Take note of an open socket; ``token`` is for a dialect that says it in a message."""
        self._move(Happening.OPENED)
        return self._attach(now, token)

    def received(self, message: bytes, is_binary: bool, now: float) -> list[Action]:
        """Take one whole message of the gateway."""
        if self.phase is Phase.OFFLINE or self.phase is Phase.ENDED:
            return []
        return [*self._read(message, is_binary, now), *self._pump(now)]

    def lost(self, now: float) -> list[Action]:
        """Take note that the socket is gone."""
        self._move(Happening.LOST)
        return [] if self.phase is Phase.ENDED else self._left_alone(now)

    def tick(self, now: float) -> list[Action]:
        """Do what is due; call it at `wake_at`. Too early, or twice, does no harm."""
        overdue = self._outbound.expire(now)
        return [*_settled(overdue), *self._due(now), *self._pump(now)]

    @property
    def wake_at(self) -> float | None:
        """When `tick` is to be called, at the latest; None: not before something else happens."""
        return self._outbound.wake_at

    def leave(self, why: str) -> list[Action]:
        """End it from our side, and say so to the gateway; whatever has no outcome fails."""
        farewell = self._farewell() if self.phase in (Phase.ONLINE, Phase.DRAINING) else []
        return [*farewell, *self.end(why)]

    def end(self, why: str) -> list[Action]:
        """End it; what was sent fails as `OutcomeUnknown`, what waits as `Closed`."""
        self._move(Happening.END)
        return _settled(self._outbound.end(why))

    def __len__(self) -> int:
        """Return how many messages have no outcome yet."""
        return len(self._outbound)

    # What a dialect has to say

    @abstractmethod
    def _attach(self, now: float, token: str | None) -> list[Action]:
        """Return what a new socket begins with."""

    @abstractmethod
    def _read(self, message: bytes, is_binary: bool, now: float) -> list[Action]:
        """Take one message of the gateway."""

    @abstractmethod
    def _write(self, message: Message, now: float) -> Send:
        """Return a message as it goes over the wire, under its number."""

    @abstractmethod
    def _left_alone(self, now: float) -> list[Action]:
        """The socket is gone."""

    @abstractmethod
    def _farewell(self) -> list[Action]:
        """Return the last words on a socket."""

    def _due(self, now: float) -> list[Action]:
        """Do what else is due."""
        return []

    # What both need

    def _move(self, happening: Happening) -> None:
        try:
            self.phase = TRANSITIONS[self.phase, happening]
        except KeyError:
            raise LocalError(f"{happening.name} while {self.phase.name}") from None

    def _pump(self, now: float) -> list[Action]:
        """Send what may be sent; no message whose time is over is sent."""
        if self.phase is not Phase.ONLINE:
            return []
        actions = _settled(self._outbound.expire(now))
        while (waiting := self._outbound.next_waiting()) is not None:
            if self._most is not None and waiting.size > self._most:
                # It was taken when the gateway's limit was not known, or another one.
                self._outbound.cancel(waiting.ticket)
                done = None if waiting.was_sent else False
                failure = self._too_large(waiting.size, was_done=done)
                actions.append(Settle(waiting.ticket, failure))
                continue
            message = self._outbound.take_next(self._window, self._window_bytes)
            if message is None:
                break
            actions.append(self._write(message, now))
        return actions

    def _begin_again(self) -> list[Action]:
        """Begin a new session, and judge honestly what the old one leaves behind."""
        why = "the session ended after it was sent, before an answer"
        return [Settle(each.ticket, OutcomeUnknown(why)) for each in self._outbound.begin_again()]

    def _settle(self, message: Message, outcome: Success | MessageFailed) -> list[Action]:
        self._outbound.settle(message)
        return [] if message.is_ghost else [Settle(message.ticket, outcome)]

    def _too_large(self, size: int, was_done: bool | None) -> TooLarge:
        return TooLarge(f"{size} bytes, and the gateway takes {self._most}", was_done=was_done)


def _settled(failed: list[tuple[Message, MessageFailed]]) -> list[Action]:
    return [Settle(message.ticket, failure) for message, failure in failed]
