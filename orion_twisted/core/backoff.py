"""How long to wait before the next try to reach a backend: growing, jittered, with a ceiling."""

from collections.abc import Callable

FIRST_WAIT = 0.1
"""Seconds: the project's ceiling of the wait after one failure."""

MOST_WAIT = 8.0
"""Seconds: the project's ceiling of any wait."""


class Backoff:
    """
    Waits with full jitter: anywhere from nothing to a ceiling that doubles with each failure.

    Full jitter spreads the return of many links that were cut at the same instant, so that they
    do not come back at one instant too.

    Args:
        first: ceiling of the first wait, in seconds, more than zero.
        most: ceiling of any wait, in seconds, at least ``first``.
        random: gives a number from 0 to 1, as ``random.random`` does.

    Raises:
        ValueError: the ceilings are not as above.
    """

    __slots__ = ("_ceiling", "_first", "_most", "_random", "failures")

    failures: int
    """Waits handed out since the start or the last `reset`."""

    def __init__(self, first: float, most: float, random: Callable[[], float]) -> None:
        if not 0 < first <= most:
            raise ValueError(f"backoff: first ({first} s) must be in (0, most ({most} s)]")
        self._first = first
        self._most = most
        self._random = random
        self.failures = 0
        self._ceiling = first

    def next_wait(self) -> float:
        """Count one failure; return how many seconds to wait before the next try."""
        wait = self._random() * self._ceiling
        self.failures += 1
        # Kept doubled and capped: `first * 2**failures` outgrows a float after 1027 failures.
        self._ceiling = min(self._most, self._ceiling * 2)
        return wait

    def reset(self) -> None:
        """Begin again at the first wait: the link has proved itself."""
        self.failures = 0
        self._ceiling = self._first
