"""
A TCP proxy that breaks connections: at a given byte, in a given way.

    async with Proxy(port, target) as proxy:
        proxy.strike(Blow("reset", pick=0.3, way="out", after=1234))

It keeps note of what it did to which connection, and when (`Trouble`): what was written on a
connection in trouble may be lost, what was written on any other may not.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from typing import Self, cast

from attrs import define, frozen

from tests.faults.wires import OPEN_STATES

HALF_FOR = 2.0
"""Seconds that a half-closed connection is left like that."""


@frozen
class Blow:
    """
    What is to happen to one connection.

    Attributes:
        kind: ``cut``: both sides get a FIN, and what is on its way is lost; ``reset``: both get
            RST; ``half``: the side that ``way`` leads to gets a FIN, and the other direction goes
            on for a while; ``stall``: nothing passes for ``seconds``, no end either. If a side has
            ended meanwhile, what waited is lost.
        pick: 0 to 1: which of the connections that are there.
        way: which direction's bytes are counted: ``in``, from the side that has dialled, or
            ``out``.
        after: so many bytes pass before it happens.
        seconds: how long a stall lasts.
    """

    kind: str
    pick: float = 0.0
    way: str = "in"
    after: int = 0
    seconds: float = 0.0


@define
class Trouble:
    """
    What was done to a connection, or what the proxy saw of its end.

    Attributes:
        ports: of the side that had dialled the proxy, and of the proxy where it dialled on.
        kind: of the blow; ``ended``: one of the sides has ended it, or was not there at all, and
            the proxy passes that on.
        start: when it happened.
        end: when the stall was over; for all else the same as ``start``.
    """

    ports: tuple[int, int]
    kind: str
    start: float
    end: float


class _Side(asyncio.Protocol):
    """One of the two sockets of a connection."""

    def __init__(self, pair: _Pair) -> None:
        self.pair = pair
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.pair.made(self)

    def data_received(self, data: bytes) -> None:
        self.pair.passed(self, data)

    def eof_received(self) -> bool:
        self.pair.finished(self)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self.pair.lost(self, exc)

    def pause_writing(self) -> None:
        self.pair.other(self).read(False)

    def resume_writing(self) -> None:
        self.pair.other(self).read(not self.pair.is_stalled)

    @property
    def has_peer(self) -> bool:
        """Whether the other end has not ended, as far as the system knows."""
        if self.transport is None:
            return False
        raw: socket.socket = self.transport.get_extra_info("socket")
        return raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] in OPEN_STATES

    def read(self, on: bool) -> None:
        if self.transport is not None and not self.transport.is_closing():
            if on:
                self.transport.resume_reading()
            else:
                self.transport.pause_reading()

    def write(self, data: bytes) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(data)

    def finish(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write_eof()

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()

    def reset(self) -> None:
        if self.transport is not None:
            raw: socket.socket = self.transport.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()


class _Pair:
    """A connection: the side that has dialled the proxy, and the one that the proxy dials."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self.sides = _Side(self), _Side(self)
        self._finished: set[_Side] = set()
        self._blow: Blow | None = None
        self._left = 0
        self._held: list[tuple[_Side, bytes]] = []
        self._is_dead = False
        self.is_stalled = False
        self._deaf: _Side | None = None  # whose bytes go nowhere any more
        self._dialling: asyncio.Task[None] | None = None
        self._has_ended = False
        self.ports = (0, 0)

    def other(self, side: _Side) -> _Side:
        return self.sides[1] if side is self.sides[0] else self.sides[0]

    def made(self, side: _Side) -> None:
        if side is self.sides[0]:
            side.read(False)
            self._dialling = asyncio.ensure_future(self._dial())
        else:
            self.ports = self._both_ports()
            self._proxy.pairs.append(self)
            self.sides[0].read(True)

    async def _dial(self) -> None:
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: self.sides[1], "127.0.0.1", self._proxy.target
            )
        except OSError:
            self.ports = self._both_ports()
            self._note_end()
            self.sides[0].reset()
            return
        if self.sides[0].transport is None:
            self.sides[1].close()

    def _both_ports(self) -> tuple[int, int]:
        first, second = (side.transport for side in self.sides)
        return (
            0 if first is None else first.get_extra_info("peername")[1],
            0 if second is None else second.get_extra_info("sockname")[1],
        )

    # What passes

    def passed(self, side: _Side, data: bytes) -> None:
        if self._is_dead or side is self._deaf:
            return
        if self.is_stalled:
            self._held.append((side, data))
            return
        way = "in" if side is self.sides[0] else "out"
        blow = self._blow
        if blow is not None and blow.way == way and self._left <= len(data):
            before, data = data[: self._left], data[self._left :]
            self.other(side).write(before)
            self._blow = None
            self._hit(blow)
            if data:
                self.passed(side, data)
            return
        if blow is not None and blow.way == way:
            self._left -= len(data)
        self.other(side).write(data)

    def finished(self, side: _Side) -> None:
        self._finished.add(side)
        if self.is_stalled or self._is_dead:
            return
        self._note_end()
        self.other(side).finish()
        if len(self._finished) == 2:
            for each in self.sides:
                each.close()

    def lost(self, side: _Side, exc: Exception | None) -> None:
        if self in self._proxy.pairs:
            self._proxy.pairs.remove(self)
        if self._is_dead:
            return
        self._note_end()
        other = self.other(side)
        if exc is not None or side not in self._finished:
            other.reset()
        else:
            other.close()

    def _note_end(self) -> None:
        if not self._has_ended:
            self._has_ended = True
            now = time.monotonic()
            self._proxy.troubles.append(Trouble(self.ports, "ended", now, now))

    # What is done to it

    def arm(self, blow: Blow) -> None:
        if blow.after == 0:
            self._hit(blow)
        elif self._blow is None:
            self._blow, self._left = blow, blow.after

    def disarm(self) -> None:
        self._blow = None

    def _hit(self, blow: Blow) -> None:
        if self._is_dead or self.is_stalled:
            return
        now = time.monotonic()
        trouble = Trouble(self.ports, blow.kind, now, now)
        self._proxy.troubles.append(trouble)
        loop = asyncio.get_running_loop()
        if blow.kind == "stall":
            self.is_stalled = True
            trouble.end = now + blow.seconds
            for side in self.sides:
                side.read(False)
            loop.call_later(blow.seconds, self._go_on, trouble)
        elif blow.kind == "half":
            to = self.sides[1] if blow.way == "in" else self.sides[0]
            self._deaf = self.other(to)
            to.finish()
            loop.call_later(HALF_FOR, self._die, "reset")
        else:
            self._die(blow.kind)

    def _die(self, kind: str) -> None:
        if self._is_dead:
            return
        self._is_dead = True
        for side in self.sides:
            if kind == "reset":
                side.reset()
            else:
                side.close()

    def _go_on(self, trouble: Trouble) -> None:
        now = trouble.end = time.monotonic()
        self.is_stalled = False
        if self._is_dead or not all(side.has_peer for side in self.sides):
            self._proxy.troubles.append(Trouble(trouble.ports, "reset", now, now))
            self._die("reset")
            return
        for side in self.sides:
            side.read(True)
        held, self._held = self._held, []
        for side, data in held:
            self.passed(side, data)


class Proxy:
    """
    A port of 127.0.0.1 that leads to another.

    Args:
        port: where it listens.
        target: where it leads.

    Attributes:
        troubles: all that it did.
    """

    def __init__(self, port: int, target: int) -> None:
        self.port = port
        self.target = target
        self.troubles: list[Trouble] = []
        self.pairs: list[_Pair] = []
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _Pair(self).sides[0], "127.0.0.1", self.port, backlog=512
        )

    async def close(self) -> None:
        """Listen no more, and end what is there."""
        if self._server is not None:
            self._server.close()
        for pair in list(self.pairs):
            for side in pair.sides:
                side.reset()
        await asyncio.sleep(0)

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def strike(self, blow: Blow) -> None:
        """Do something to one of the connections; nothing, if there is none."""
        if self.pairs:
            self.pairs[int(blow.pick * len(self.pairs))].arm(blow)

    def calm(self) -> None:
        """Let nothing more happen that was to come after so many bytes."""
        for pair in self.pairs:
            pair.disarm()
