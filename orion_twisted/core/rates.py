"""How fast: token buckets, on a clock that is handed in."""

MOST_WAIT_FOR_RATE = 10.0
"""Seconds. A message that makes its browser wait longer than that to be within its rate again is
far beyond it, and ends it."""


class TokenBucket:
    """
    So many units a second, with a burst of as many again as one second brings, or more.

    What is taken may go below zero once: a message that is here cannot be taken back, but the
    next one has to wait until the debt is paid.

    Args:
        rate: units per second, more than zero.
        burst: units that may be taken at once after a pause.
        now: the present instant, in seconds.
    """

    __slots__ = ("_at", "_burst", "_left", "_rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._left = burst
        self._at = now

    def take(self, units: float, now: float) -> float:
        """
        Take units.

        Returns:
            How many seconds to wait before any more are taken; 0 while the bucket is not empty.
        """
        self._fill(now)
        self._left -= units
        return max(-self._left / self._rate, 0.0)

    def try_take(self, units: float, now: float) -> bool:
        """Take units if they are there; say whether they were."""
        self._fill(now)
        if self._left < units:
            return False
        self._left -= units
        return True

    def is_full(self, now: float) -> bool:
        """Say whether a burst is there again: such a bucket is as good as a new one."""
        self._fill(now)
        return self._left >= self._burst

    def _fill(self, now: float) -> None:
        # A clock that was set back must not take units away.
        passed = max(now - self._at, 0.0)
        self._at = now
        self._left = min(self._burst, self._left + passed * self._rate)


class Seldom:
    """
    What happens often and is to be told seldom: at once, and then with a number now and then.

    Args:
        every: seconds between two tellings.
    """

    __slots__ = ("_every", "_next", "_untold")

    def __init__(self, every: float) -> None:
        self._every = every
        self._next: float | None = None
        self._untold = 0

    def happened(self, now: float) -> int:
        """Count once; return how many have not been told, if now is the time to tell, else 0."""
        self._untold += 1
        if self._next is not None and now < self._next:
            return 0
        self._next = now + self._every
        untold, self._untold = self._untold, 0
        return untold


class MessageRates:
    """
    How fast one browser may send: messages, and their bytes, each with a burst of one second.

    Args:
        messages: per second; 0 for no limit.
        bytes_: of payload per second; 0 for no limit.
        now: the present instant, in seconds.
    """

    __slots__ = ("_bytes", "_messages")

    def __init__(self, messages: int, bytes_: int, now: float) -> None:
        self._messages = TokenBucket(messages, messages, now) if messages else None
        self._bytes = TokenBucket(bytes_, bytes_, now) if bytes_ else None

    def take(self, size: int, now: float, messages: int = 1) -> float:
        """Count messages of so many bytes in all; return how many seconds to read no more."""
        wait = 0.0
        if self._messages is not None:
            wait = self._messages.take(messages, now)
        if self._bytes is not None:
            wait = max(wait, self._bytes.take(size, now))
        return wait


class AddressRates:
    """
    A bucket for each address that has come lately.

    Args:
        rate: arrivals per second of one address; 0 for no limit.
        most: how many addresses are remembered. Beyond it those are forgotten first whose bucket
            is full again, and then the one that came longest ago.
    """

    def __init__(self, rate: float, most: int) -> None:
        self._rate = rate
        self._most = most
        self._buckets: dict[str, TokenBucket] = {}

    def __len__(self) -> int:
        return len(self._buckets)

    def arrive(self, address: str, now: float) -> bool:
        """Say whether one more arrival of an address is within the rate; empty ones always are."""
        if not (self._rate and address):
            return True
        bucket = self._buckets.pop(address, None)
        if bucket is None:
            if len(self._buckets) >= self._most:
                self._forget(now)
            bucket = TokenBucket(self._rate, self._rate, now)
        self._buckets[address] = bucket  # at the end: the dict is ordered by the last arrival
        return bucket.try_take(1, now)

    def _forget(self, now: float) -> None:
        for address in [each for each, bucket in self._buckets.items() if bucket.is_full(now)]:
            del self._buckets[address]
        # Some more than one, or a crowd of new addresses would make each look at all of them.
        spare = len(self._buckets) - self._most + self._most // 10 + 1
        for address in list(self._buckets)[: max(spare, 0)]:
            del self._buckets[address]
