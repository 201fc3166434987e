"""What a gateway is given to do; each scenario is one way in which applications use it."""

from __future__ import annotations

from enum import Enum

from attrs import frozen

KIB = 1024
MIB = 1024 * KIB


class Kind(Enum):
    """What a scenario is about; the value is the unit of its cost."""

    MESSAGES = "us/message"
    BULK = "us/MiB"
    CONNECTIONS = "us/connection"
    MEMORY = "KiB/connection"


@frozen
class Scenario:
    """
    One kind of work.

    Attributes:
        name: as the command line has it.
        about: one line for readers.
        kind: what is measured.
        size: bytes of a message.
        connections: how many are open, or, where they come and go, how many at a time.
        in_flight: messages that each of them sends ahead of their replies.
    """

    name: str
    about: str
    kind: Kind
    size: int
    connections: int
    in_flight: int = 1

    @property
    def unit(self) -> str:
        return self.kind.value

    def units_of(self, count: int) -> float:
        """
        Return how many units of its cost so many replies are.

        A message is one that went to the backend, and its reply that came back; so is each MiB.
        """
        return count * self.size / MIB if self.kind is Kind.BULK else count


_US, _MIB = Kind.MESSAGES, Kind.BULK

SCENARIOS = {
    each.name: each
    for each in (
        Scenario("rr-64", "8 connections, 64 bytes each way by turns", _US, 64, 8),
        Scenario("rr-1k", "8 connections, 1 KiB each way by turns", _US, KIB, 8),
        Scenario("rr-16k", "8 connections, 16 KiB each way by turns", _US, 16 * KIB, 8),
        Scenario("rr1-64", "1 connection, 64 bytes each way by turns", _US, 64, 1),
        Scenario("pipe-64", "4 connections, 64 messages of 64 bytes ahead", _US, 64, 4, 64),
        Scenario("pipe-1k", "4 connections, 64 messages of 1 KiB ahead", _US, KIB, 4, 64),
        Scenario("bulk-64k", "4 connections, 2 messages of 64 KiB ahead", _MIB, 64 * KIB, 4, 2),
        Scenario("bulk-1m", "2 connections, 1 MiB each way by turns", _MIB, MIB, 2),
        Scenario("fan-64", "400 connections, 64 bytes each way by turns", _US, 64, 400),
        Scenario("storm", "connect, TLS, upgrade, one echo, close", Kind.CONNECTIONS, 64, 8),
        Scenario("idle", "2,000 open connections after one echo each", Kind.MEMORY, 64, 2000),
    )
}
"""All scenarios by their names, in the order in which they are run and shown."""
