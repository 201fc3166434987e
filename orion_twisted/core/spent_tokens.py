"""
Which single-use tokens have been used: their ids, each remembered for the token's own life.

The store is bounded, and it fails closed: an id that it cannot remember, or may have forgotten, is
not let through. It lives in this process: after a restart, a token of before may be used once more
within what is left of its life.
"""

from enum import Enum, auto
from heapq import heappop, heappush

MOST_SPENT = 100_000
"""
How many ids are remembered at a time, of each tenant; with ids of 128 characters about 30 MiB.

At a life of one minute, that is 1,600 new browsers a second.
"""


class Use(Enum):
    """What the use of a token's id comes to."""

    FIRST = auto()
    """It is remembered now: the token may be taken."""
    AGAIN = auto()
    TOO_LATE = auto()
    """Its life is over, or was once, by a clock that has been set back since."""
    NO_ROOM = auto()
    """The store is full of tokens that still live."""


class SpentTokens:
    """
    The ids of one tenant's used tokens.

    Args:
        most: how many are remembered at a time.
    """

    def __init__(self, most: int = MOST_SPENT) -> None:
        self._most = most
        self._ids: set[str] = set()
        self._by_end: list[tuple[float, str]] = []
        self._forgotten_until = float("-inf")

    def __len__(self) -> int:
        return len(self._ids)

    def use(self, token_id: str, end: float, now: float) -> Use:
        """
        Use a token's id.

        Args:
            token_id: whose length the caller has bounded.
            end: the instant, in seconds, from which on the token is refused anyway.
            now: the present instant, by the same clock.
        """
        self._forget(now)
        if end <= self._forgotten_until:
            return Use.TOO_LATE
        if token_id in self._ids:
            return Use.AGAIN
        if len(self._ids) >= self._most:
            return Use.NO_ROOM
        self._ids.add(token_id)
        heappush(self._by_end, (end, token_id))
        return Use.FIRST

    def _forget(self, now: float) -> None:
        # What has been forgotten once stays so, or a clock set back would let it in again.
        self._forgotten_until = max(self._forgotten_until, now)
        while self._by_end and self._by_end[0][0] <= self._forgotten_until:
            _, token_id = heappop(self._by_end)
            self._ids.remove(token_id)
