"""
The load: one process and one epoll loop, with prepared messages and checked replies.

Its own time is not measured, but it is the reason why throughput is not: it is often the limit.
"""

from __future__ import annotations

import gc
import select
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from attrs import frozen

from bench.client import Connection, Door
from bench.frames import LoadError, Lost
from bench.talks import Talk

PATIENCE = 15.0
"""Seconds without any progress after which a run is given up."""
CLOSE_PATIENCE = 5.0
"""Seconds that connections have to close when a run is over; it counts all the same."""
OPENING_AT_ONCE = 32
"""Connections in their opening at a time; servers have short queues for those."""


class Clock(Protocol):
    """Whoever measures: told when the window begins and when it ends."""

    def begin(self) -> None: ...

    def end(self) -> None: ...


@frozen
class Outcome:
    """
    What a run came to.

    Attributes:
        count: replies, or whole connections, within the window.
        seconds: that the window was open.
        tls: version and cipher of the last connection.
    """

    count: int
    seconds: float
    tls: tuple[str, str]


class Load:
    """
    Connections to one gateway, and what is done with them.

    Every method that runs raises `LoadError` when the run does not count: a connection lost, a
    wrong reply, or nothing at all for so long. `close` is to be called in any case.

    Args:
        door: the gateway's.
        talk: makes what a connection says, from the number of the connection.
        in_flight: messages that each connection sends ahead.
        patience: seconds without any progress after which a run is given up.
    """

    def __init__(
        self,
        door: Door,
        talk: Callable[[int], Talk],
        in_flight: int,
        patience: float = PATIENCE,
    ) -> None:
        self.door = door
        self.poll = select.epoll()
        self.total = 0
        self._talk = talk
        self._in_flight = in_flight
        self._patience = patience
        self._connections: dict[int, Connection] = {}
        self._made = 0
        self._open: list[Connection] = []
        self._storm = 0
        self._is_stopping = False
        self._goes_on = True
        self._tls = ("", "")

    # What connections tell.

    def opened(self, connection: Connection) -> None:
        """A connection is ready for messages."""
        self._tls = connection.tls
        if self._storm:
            connection.begin()
        else:
            self._open.append(connection)

    def count(self, connection: Connection, count: int) -> bool:
        """Count right replies; return whether as many new messages are to be sent."""
        if self._storm:
            if connection.waiting == 0:
                connection.close()
            return False
        self.total += count
        return self._goes_on

    def closed(self, connection: Connection) -> None:
        """A connection has come to its end, as asked."""
        self._forget(connection)
        if self._storm:
            self.total += 1
            if not self._is_stopping:
                self._connect()

    # What the owner asks for.

    @property
    def under_way(self) -> int:
        """Messages without a reply so far."""
        return sum(each.waiting for each in self._open)

    def open(self, connections: int) -> None:
        """Open so many connections; none says anything yet."""
        with self._undisturbed():
            while len(self._open) < connections:
                while self._made < connections and self._made - len(self._open) < OPENING_AT_ONCE:
                    self._connect()
                self._turn_until(self._more_open_than(len(self._open)))

    def _more_open_than(self, count: int) -> Callable[[], bool]:
        return lambda: len(self._open) > count

    def run(self, warm_up: float, seconds: float, clock: Clock) -> Outcome:
        """Keep messages in flight on every open connection, then wait for the last replies."""
        with self._undisturbed():
            for connection in self._open:
                connection.begin()
            outcome = self._window(warm_up, seconds, clock)
            self._goes_on = False
            self._turn_until(lambda: self.under_way == 0)
            return outcome

    def echo_once(self) -> tuple[str, str]:
        """Send one window of messages on every open connection; return the TLS that is spoken."""
        self._goes_on = False
        with self._undisturbed():
            for connection in self._open:
                connection.begin()
            self._turn_until(lambda: self.under_way == 0)
        return self._tls

    def storm(self, at_once: int, warm_up: float, seconds: float, clock: Clock) -> Outcome:
        """Open, use and close connections, so many at a time, one after the other."""
        self._storm = at_once
        with self._undisturbed():
            for _ in range(at_once):
                self._connect()
            outcome = self._window(warm_up, seconds, clock)
            self._is_stopping = True
            self._turn_until(lambda: not self._connections)
            return outcome

    def close(self) -> None:
        """Close what is open, in order if that can be done soon."""
        deadline = time.monotonic() + CLOSE_PATIENCE
        for connection in set(self._connections.values()).difference(self._open):
            self._forget(connection)  # it has not come so far, or will be no more
        with suppress(LoadError, ssl.SSLError):
            for connection in self._open:
                connection.close()
            while self._connections and time.monotonic() < deadline:
                self._turn(0.1)
        for connection in list(self._connections.values()):
            self._forget(connection)
        self.poll.close()

    # The loop.

    def _connect(self) -> None:
        talk = self._talk(self._made)
        self._made += 1
        connection = Connection(self, talk, self._in_flight)
        self._connections[connection.number] = connection

    def _forget(self, connection: Connection) -> None:
        if self._connections.pop(connection.number, None):
            connection.abort()

    def _window(self, warm_up: float, seconds: float, clock: Clock) -> Outcome:
        self._turn_for(warm_up)
        clock.begin()
        begun, count = time.monotonic(), self.total
        self._turn_for(seconds)
        count, ended = self.total - count, time.monotonic()
        clock.end()
        if not count:
            raise Lost(f"nothing came back within {seconds:g} s")
        return Outcome(count, ended - begun, self._tls)

    def _turn_for(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        progress, total = time.monotonic() + self._patience, self.total
        while (now := time.monotonic()) < deadline:
            self._turn(min(deadline - now, 0.1))
            if self.total != total:
                progress, total = now + self._patience, self.total
            elif now > progress:
                raise Lost(f"nothing came back for {self._patience:g} s")

    def _turn_until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + self._patience
        while not condition():
            self._turn(0.1)
            if time.monotonic() > deadline:
                raise Lost(f"nothing came back for {self._patience:g} s")

    def _turn(self, timeout: float) -> None:
        """Let every connection do what it can."""
        events = self.poll.poll(timeout)
        connections = self._connections
        for number, event in events:
            connections[number].ready(event)

    @contextmanager
    def _undisturbed(self) -> Iterator[None]:
        """Keep the collector away: its pauses would be the gateway's wake-ups."""
        was_enabled = gc.isenabled()
        gc.disable()
        try:
            yield
        except ssl.SSLError as error:
            raise Lost(f"a connection was lost: {error}") from None
        finally:
            if was_enabled:
                gc.enable()
