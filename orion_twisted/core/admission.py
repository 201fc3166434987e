"""
How many may be here: connections in their handshake, and those that are through it.

The two are counted apart, so that connections which never say anything take no place from
browsers that do. Nothing here knows a socket: a connection is whatever hashable thing the shell
uses for it, and an address is a text, empty where there is none (a UNIX socket).
"""

from collections import Counter, OrderedDict
from collections.abc import Hashable, Mapping
from enum import Enum, auto
from typing import Generic, TypeVar

from attrs import frozen

Connection = TypeVar("Connection", bound=Hashable)


class Verdict(Enum):
    """What a connection that has just come is to do."""

    GO = auto()
    WAIT = auto()
    LEAVE = auto()


class Handshakes(Generic[Connection]):
    """
    Connections that have not finished their handshake.

    At most ``most_per_address`` of one address work on theirs at a time; others of that address
    wait in line, unread. A crowd behind one address gets through, one after the other, and a
    flood from it only blocks its own line. When ``most`` is reached, the address with the longest
    line loses the one that came last; with no line anywhere the newcomer leaves.
    """

    def __init__(self, most: int, most_per_address: int) -> None:
        self._most = most
        self._most_per_address = most_per_address
        self._working: dict[Connection, str] = {}
        self._at_work: Counter[str] = Counter()
        self._lines: dict[str, OrderedDict[Connection, None]] = {}
        self._waiting: dict[Connection, str] = {}

    def __len__(self) -> int:
        """Return how many there are, at work and waiting."""
        return len(self._working) + len(self._waiting)

    def arrive(self, connection: Connection, address: str) -> tuple[Verdict, Connection | None]:
        """
        Take note of a connection.

        Returns:
            What it is to do, and a waiting connection that has to leave for it, if any.
        """
        evicted = None
        if len(self) >= self._most:
            evicted = self._last_of_longest_line(address)
            if evicted is None:
                return Verdict.LEAVE, None
            self.leave(evicted)
        if address and self._at_work[address] >= self._most_per_address:
            self._waiting[connection] = address
            self._lines.setdefault(address, OrderedDict())[connection] = None
            return Verdict.WAIT, evicted
        self._start(connection, address)
        return Verdict.GO, evicted

    def leave(self, connection: Connection) -> Connection | None:
        """
        Take note that a connection's handshake has ended, well or badly, or that it has gone.

        Returns:
            The connection that may begin in its place, if any.
        """
        address = self._waiting.pop(connection, None)
        if address is not None:
            self._drop_from_line(connection, address)
            return None
        address = self._working.pop(connection, None)
        if address is None:
            return None
        self._at_work[address] -= 1
        if not self._at_work[address]:
            del self._at_work[address]
        line = self._lines.get(address)
        if not line:
            return None
        following = next(iter(line))
        del self._waiting[following]
        self._drop_from_line(following, address)
        self._start(following, address)
        return following

    def _start(self, connection: Connection, address: str) -> None:
        self._working[connection] = address
        self._at_work[address] += 1

    def _drop_from_line(self, connection: Connection, address: str) -> None:
        line = self._lines[address]
        del line[connection]
        if not line:
            del self._lines[address]

    def _last_of_longest_line(self, newcomer: str) -> Connection | None:
        """Return who leaves for a newcomer: nobody does for one of the longest line itself."""
        if not self._lines:
            return None
        address = max(self._lines, key=lambda each: len(self._lines[each]))
        if address == newcomer:
            return None
        return next(reversed(self._lines[address]))


class Full(Enum):
    """Which limit leaves no place."""

    NODE = "node_full"
    TENANT = "tenant_full"
    ADDRESS = "address_full"


@frozen
class Place:
    """One connection's place; `Places.give_back` takes it."""

    tenant: str
    address: str


class Places:
    """
    Connections that are through their handshake: browsers, and pages' connections.

    Args:
        most: on this node.
        most_per_address: of one address.
        most_per_tenant: of each tenant, by name; None where it has no limit of its own.
    """

    def __init__(
        self, most: int, most_per_address: int, most_per_tenant: Mapping[str, int | None]
    ) -> None:
        self._most = most
        self._most_per_address = most_per_address
        self._most_per_tenant = most_per_tenant
        self._taken = 0
        self._by_address: Counter[str] = Counter()
        self._by_tenant: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._taken

    def of_tenant(self, tenant: str) -> int:
        """Return how many places a tenant's connections have taken."""
        return self._by_tenant[tenant]

    def take(self, tenant: str, address: str) -> Place | Full:
        """Return a place for one more connection, or the limit that stands against it."""
        if self._taken >= self._most:
            return Full.NODE
        most = self._most_per_tenant[tenant]
        if most is not None and self._by_tenant[tenant] >= most:
            return Full.TENANT
        if address and self._by_address[address] >= self._most_per_address:
            return Full.ADDRESS
        self._taken += 1
        self._by_address[address] += 1
        self._by_tenant[tenant] += 1
        return Place(tenant, address)

    def give_back(self, place: Place) -> None:
        """Free a place that `take` has given; once only."""
        self._taken -= 1
        for counter, key in ((self._by_address, place.address), (self._by_tenant, place.tenant)):
            counter[key] -= 1
            if not counter[key]:
                del counter[key]
