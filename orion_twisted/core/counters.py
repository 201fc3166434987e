"""What has happened since the process started, as plain integers that anyone may read."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

COUNTERS: dict[str, str] = {
    "connections": "connections accepted by a listener",
    "refused": "requests and connections refused, by reason",
    "browsers": "browsers whose WebSocket was opened",
    "browsers_closed": "browsers whose WebSocket has ended, by close code",
    "messages_from_browsers": "messages received from browsers",
    "messages_to_browsers": "messages sent to browsers",
    "bytes_from_browsers": "payload bytes received from browsers",
    "bytes_to_browsers": "payload bytes sent to browsers",
    "links": "links to backends that came up",
    "links_lost": "links to backends that ended, by what ended them",
    "frames_cut": "frames from backends dropped because the link broke inside them",
    "backend_errors": "links dropped because the backend broke the rules",
    "sessions": "sessions opened",
    "sessions_ended": "sessions that have ended, by reason",
    "session_keys_wrong": "attempts to take up a session with a wrong key, or as somebody else",
    "resumes": "sessions taken up again on a new socket, whole or lossy",
    "outcomes": "messages of sessions whose browser was told how they ended, by outcome",
    "answers_dropped": "answers from backends that nobody waited for, by reason",
    "pushes": "pushes from backends",
    "pushes_dropped": "pushes from backends that reached no session, by reason",
    "dial_ins": "backends that dialled in, and were let in",
    "dial_ins_refused": "backends that dialled in, and were not, by reason",
    "messages_undelivered": "messages of browsers without an outcome at the end",
    "token_keys_bad": "times that token keys, or backends' secrets, could not be read again",
    "certificates_bad": "certificate files that could not be used",
    "workers_lost": "worker processes that ended by themselves, by how",
}
"""Every counter, and what it counts."""

BY_REASON = frozenset(
    {
        "refused",
        "browsers_closed",
        "links_lost",
        "sessions_ended",
        "resumes",
        "outcomes",
        "answers_dropped",
        "pushes_dropped",
        "dial_ins_refused",
        "workers_lost",
    }
)
"""The counters that are added to with a reason or a code, which is counted beside the sum."""


_TRAFFIC = (
    "messages_from_browsers",
    "messages_to_browsers",
    "bytes_from_browsers",
    "bytes_to_browsers",
)


class Tally(Protocol):
    """What counts where there is no Python at all."""

    def take(self) -> tuple[int, int, int, int]:
        """Return messages and bytes from browsers, and to browsers, since the last call."""


class Traffic:
    """
    What is counted for each message: plain integers, since a call for each would be felt.

    Attributes:
        results: messages of sessions whose browser was told the backend's result.
        tally: has counted more of them, if there is one.
    """

    __slots__ = (
        "bytes_from_browsers",
        "bytes_to_browsers",
        "messages_from_browsers",
        "messages_to_browsers",
        "results",
        "tally",
    )

    def __init__(self) -> None:
        self.messages_from_browsers = 0
        self.messages_to_browsers = 0
        self.bytes_from_browsers = 0
        self.bytes_to_browsers = 0
        self.results = 0
        self.tally: Tally | None = None

    def add_tally(self) -> None:
        """Add what the tally has."""
        if self.tally is not None:
            messages_from, bytes_from, messages_to, bytes_to = self.tally.take()
            self.messages_from_browsers += messages_from
            self.bytes_from_browsers += bytes_from
            self.messages_to_browsers += messages_to
            self.bytes_to_browsers += bytes_to


class Counters:
    """
    Counters by name, and by name and reason.

    Reasons come from our own tables, never from a peer, so their number is bounded.

    Attributes:
        traffic: for whoever carries messages to add to; read it here, with all the rest.
    """

    __slots__ = ("_counts", "traffic")

    def __init__(self) -> None:
        self.traffic = Traffic()
        self._counts: dict[tuple[str, str], int] = {(name, ""): 0 for name in COUNTERS}

    def add(self, name: str, amount: int = 1, *, reason: str = "") -> None:
        """
        Count.

        Raises:
            KeyError: there is no such counter, or none that is counted by reason.
        """
        if not reason:
            self._counts[name, ""] += amount
        elif name not in BY_REASON:
            raise KeyError(name)
        else:
            self._counts[name, ""] += amount
            self._counts[name, reason] = self._counts.get((name, reason), 0) + amount

    def _fold(self) -> None:
        """Count what the traffic has come to since the last time."""
        traffic = self.traffic
        traffic.add_tally()
        for name in _TRAFFIC:
            self.add(name, getattr(traffic, name))
            setattr(traffic, name, 0)
        if traffic.results:
            self.add("outcomes", traffic.results, reason="RESULT")
            traffic.results = 0

    def take(self, counts: Iterable[tuple[str, str, int]]) -> None:
        """Add what others have counted, each sum beside its parts, as iterating yields them."""
        for name, reason, count in counts:
            key = (name, reason)
            self._counts[key] = self._counts.get(key, 0) + count

    def get(self, name: str, reason: str = "") -> int:
        """Return a count; a reason that has not occurred has been counted 0 times."""
        self._fold()
        return self._counts.get((name, reason), 0)

    def __iter__(self) -> Iterator[tuple[str, str, int]]:
        """Yield name, reason (empty for the sum) and count, in the order of `COUNTERS`."""
        self._fold()
        names = list(COUNTERS)
        for name, reason in sorted(self._counts, key=lambda key: (names.index(key[0]), key[1])):
            yield name, reason, self._counts[name, reason]


class SummedCounters:
    """
    What several processes have counted, as one: those that run, and those that are gone.

    Attributes:
        own: what this process counts itself, which belongs to the sums.
    """

    def __init__(self) -> None:
        self.own = Counters()
        self._gone = Counters()
        self._present: dict[int, Sequence[tuple[str, str, int]]] = {}

    def replace(self, number: int, counts: Sequence[tuple[str, str, int]]) -> None:
        """Take note of what a process has counted since its start."""
        self._present[number] = counts

    def keep(self, number: int) -> None:
        """Keep what a process has counted that is gone: the sums never go down."""
        self._gone.take(self._present.pop(number, ()))

    def __iter__(self) -> Iterator[tuple[str, str, int]]:
        """Yield name, reason (empty for the sum) and count, as `Counters` does."""
        sums = Counters()
        sums.take(self.own)
        sums.take(self._gone)
        for counts in self._present.values():
            sums.take(counts)
        return iter(sums)
