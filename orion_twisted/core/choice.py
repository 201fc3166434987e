"""
Which of a tenant's addresses is dialled next: the least busy one of those that do not rest.

All links of the tenant choose from the same `Choice`, so that they spread over the addresses, and
what one of them has found out spares the others the same failure.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto

from orion_twisted.core.backoff import Backoff

NOT_AT_ALL = float("-inf")


class Stage(Enum):
    """How far an attempt has come."""

    DIALLING = auto()
    UP = auto()
    PROVED = auto()
    OVER = auto()


class _Address:
    """
    What is known of one address.

    Attributes:
        backoff: how long it rests after which failure.
        links: how many are up, or being dialled.
        dialling: how many of them are being dialled.
        is_failing: whether it has failed, and no link has come up since.
        rests_until: an instant in seconds.
        turn: when it was picked last, as the number of that pick.
    """

    __slots__ = ("backoff", "dialling", "is_failing", "links", "rests_until", "turn")

    def __init__(self, backoff: Backoff) -> None:
        self.backoff = backoff
        self.links = 0
        self.dialling = 0
        self.is_failing = False
        self.rests_until = NOT_AT_ALL
        self.turn = 0

    def is_welcome(self, now: float) -> bool:
        """Say whether one more link may be dialled here, if there is any choice."""
        # What was down a moment ago is tried by one at a time: that one may have to wait long.
        return self.rests_until <= now and not (self.is_failing and self.dialling)

    def fail(self, now: float) -> None:
        """Rest; whoever fails while it rests has nothing new to tell."""
        self.is_failing = True
        if self.rests_until <= now:
            self.rests_until = now + self.backoff.next_wait()


class Attempt:
    """
    One attempt to bring a link up, and then that link: it counts at its address until it is over.

    Attributes:
        index: the address's place in the tenant's list.
    """

    __slots__ = ("_address", "_stage", "index")

    def __init__(self, address: _Address, index: int) -> None:
        self.index = index
        self._address = address
        self._stage = Stage.DIALLING
        address.links += 1
        address.dialling += 1

    def up(self) -> None:
        """The link is up: whoever else asks for the address may have it again."""
        if self._stage is Stage.DIALLING:
            self._stage = Stage.UP
            self._address.dialling -= 1
            self._address.is_failing = False
            self._address.rests_until = NOT_AT_ALL

    def proved(self) -> None:
        """The link has proved itself: the address's next failure is its first again."""
        if self._stage is Stage.UP:
            self._stage = Stage.PROVED
            self._address.backoff.reset()

    def fail(self, now: float) -> None:
        """
        The attempt has failed, or the link is gone, by no wish of ours.

        The address rests, unless the link had proved itself: then the end of one link says little
        about the next.
        """
        is_its_fault = self._stage in (Stage.DIALLING, Stage.UP)
        self.leave()
        if is_its_fault:
            self._address.fail(now)

    def leave(self) -> None:
        """The link, or the attempt, is not wanted any more."""
        if self._stage is Stage.DIALLING:
            self._address.dialling -= 1
        if self._stage is not Stage.OVER:
            self._stage = Stage.OVER
            self._address.links -= 1


class Choice:
    """
    The addresses of one tenant.

    Args:
        count: how many there are.
        backoff: makes the backoff of one.
    """

    def __init__(self, count: int, backoff: Callable[[], Backoff]) -> None:
        self._addresses = [_Address(backoff()) for _ in range(count)]
        self._turn = 0

    def pick(self, now: float) -> Attempt:
        """
        Return an attempt at the address with the fewest links, of those equal the one whose turn
        was longest ago. If all rest, it is the one that is due first: whoever asks has waited.
        """
        self._turn += 1
        addresses = list(enumerate(self._addresses))
        welcome = [each for each in addresses if each[1].is_welcome(now)]
        if welcome:
            index, address = min(welcome, key=lambda each: (each[1].links, each[1].turn))
        else:
            index, address = min(addresses, key=lambda each: (each[1].rests_until, each[1].turn))
        address.turn = self._turn
        return Attempt(address, index)

    @property
    def links(self) -> list[int]:
        """How many links each address has, those included that are being dialled."""
        return [address.links for address in self._addresses]
