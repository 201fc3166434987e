"""
When to connect again after a socket has ended, or could not be had; or that there is no use in it.

Pure: time comes in as a number, chance as a function. A connection proves itself by standing for
a while; only then do the waits begin anew, so that a gateway which lets everybody in and then
throws them out is not stormed.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from orion_twisted.client.verdicts import may_come_back, may_try_again
from orion_twisted.core.backoff import Backoff

PROVED_AFTER = 5.0
"""Seconds online after which a connection has proved itself."""
MOST_ASKED = 300.0
"""Seconds: the longest wait that a gateway may ask for, by ``Retry-After`` or ``within``."""


@frozen
class End:
    """
    How a socket ended, or why there is none.

    Attributes:
        code: the close code; None if no WebSocket came to be.
        why: for people.
        status: the HTTP status that the upgrade was refused with.
        retry_after: what the gateway asked for with it, in seconds.
    """

    code: int | None
    why: str
    status: int | None = None
    retry_after: float = 0.0

    @property
    def is_final(self) -> bool:
        """Whether there is no use in another try."""
        if self.status is not None:
            return not may_try_again(self.status)
        return self.code is not None and not may_come_back(self.code)


class Reconnect:
    """
    The waits between one client's connections.

    Args:
        first, most: ceilings of the first wait and of any, in seconds.
        random: gives a number from 0 to 1.
    """

    def __init__(self, first: float, most: float, random: Callable[[], float]) -> None:
        self._backoff = Backoff(first, most, random)
        self._random = random
        self._online_since: float | None = None
        self._within: float | None = None

    def online(self, now: float) -> None:
        """Take note that a connection can be used, from ``now`` on, in seconds."""
        self._online_since = now

    def come_back(self, within: float) -> None:
        """Take note that the gateway stops, and wants us back within so many seconds."""
        self._within = min(within, MOST_ASKED)

    def wait_after(self, end: End, now: float) -> float | None:
        """Return how many seconds to wait for the next try, or None if there is to be none."""
        since, self._online_since = self._online_since, None
        within, self._within = self._within, None
        if end.is_final:
            return None
        if since is not None and now - since >= PROVED_AFTER:
            self._backoff.reset()
        if within is not None:
            return self._random() * within
        # All that were told the same time would come at the same instant: spread them from there.
        return min(end.retry_after, MOST_ASKED) + self._backoff.next_wait()
