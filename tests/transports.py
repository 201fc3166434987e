"""
Connections in memory that buffer, pause and close exactly as Twisted's TCP connections do.

    clock = MemoryReactorClock()
    wire = Pipe(clock, room=1000)       # the peer reads 1000 bytes, and then no more
    protocol.makeConnection(wire)
    wire.hears(b"...")                  # one read, kept back while the protocol has paused it
    wire.turn()                         # the reactor writes what the peer takes
"""

from __future__ import annotations

from typing import Any

from twisted.internet.abstract import FileDescriptor
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IConsumer,
    IHalfCloseableProtocol,
    IPushProducer,
    IReactorTime,
    ITCPTransport,
)
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from zope.interface import implementer

EVERYTHING = 1 << 60
"""Room for whatever is written."""


@implementer(ITCPTransport, IConsumer, IPushProducer)
class Pipe(FileDescriptor):
    """
    One end of a TCP connection; the test is the other end, and the reactor's turns.

    Buffering, producers and closing are Twisted's own code; what `twisted.internet.tcp.Connection`
    adds to it with a socket is done here in the same order, without one.

    Attributes:
        protocol: who is called; `None` once the connection is gone, as with a socket.
        taken: what the peer has received.
        room: how many more bytes the peer takes.
        heard_end: the peer has received our FIN.
        aborted: the connection was cut off.
        peer_ended: the peer's FIN has come, or is on its way.
    """

    def __init__(self, clock: MemoryReactorClock, room: int = EVERYTHING) -> None:
        super().__init__(reactor=clock)
        self.clock: Any = clock
        self.connected = 1
        self.protocol: Any = None
        self.options: dict[str, bool] = {}
        self.taken = bytearray()
        self.room = room
        self.heard_end = False
        self.aborted = False
        self.peer_ended = False
        self._unread: list[bytes] = []
        self._end: type[Exception] | None = None
        self.startReading()

    def connect(self, protocol: Any) -> None:
        """Give the connection to a protocol."""
        self.protocol = protocol
        protocol.makeConnection(self)

    # What the peer does

    def hears(self, data: bytes) -> None:
        """Bytes have come: all of them are one read."""
        self._unread.append(data)
        self.turn()

    def hears_end(self) -> None:
        """The peer's FIN has come."""
        self.peer_ended = True
        self._end = ConnectionDone
        self.turn()

    def breaks(self) -> None:
        """The peer's reset has come, and is noticed: by a read, or by a write."""
        self._unread.clear()
        self.connectionLost(Failure(ConnectionLost()))

    # The reactor

    @property
    def reading(self) -> bool:
        return self in self.clock.getReaders()

    def turn(self) -> None:
        """Read and write for as long as anything moves."""
        while self._read() or self._write():
            pass

    def _read(self) -> bool:
        if not self.reading:
            return False
        if self._unread:
            self.protocol.dataReceived(self._unread.pop(0))
            return True
        if self._end is None:
            return False
        self._end = None
        self.stopReading()
        half_closeable = IHalfCloseableProtocol(self.protocol, None)
        if half_closeable is None:
            self.connectionLost(Failure(ConnectionDone()))
        else:
            half_closeable.readConnectionLost()
        return True

    def _write(self) -> bool:
        if self not in self.clock.getWriters():
            return False
        before = self.room
        why = self.doWrite()
        if why is not None:
            self.connectionLost(Failure(why))
        return self.room < before

    def writeSomeData(self, data: bytes) -> int:
        size = min(len(data), self.room)
        self.taken += data[:size]
        self.room -= size
        return size

    def _closeWriteConnection(self) -> None:
        self.heard_end = True
        half_closeable = IHalfCloseableProtocol(self.protocol, None)
        if half_closeable is not None:
            half_closeable.writeConnectionLost()

    # What a protocol may call

    def connectionLost(self, reason: Failure) -> None:
        if self.protocol is None:
            return
        super().connectionLost(reason)
        protocol, self.protocol = self.protocol, None
        if not self.aborted:
            self.heard_end = True
        protocol.connectionLost(reason)

    def startWriting(self) -> None:
        if self.protocol is None:
            raise ValueError("file descriptor cannot be a negative integer (-1)")  # as epoll does
        super().startWriting()

    def abortConnection(self) -> None:
        if self.disconnected or self.aborted:
            return
        self.aborted = True
        self.stopReading()
        self.stopWriting()
        self.clock.callLater(0, self.connectionLost, Failure(ConnectionAborted()))

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", "192.0.2.1", 54321)

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", "192.0.2.2", 8889)

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.options["no_delay"] = enabled

    def getTcpNoDelay(self) -> bool:
        return self.options.get("no_delay", False)

    def setTcpKeepAlive(self, enabled: bool) -> None:
        self.options["keep_alive"] = enabled

    def getTcpKeepAlive(self) -> bool:
        return self.options.get("keep_alive", False)


def pending(clock: IReactorTime) -> list[float]:
    """Return in how many seconds each timer of a clock is due, the next one first."""
    return sorted(call.getTime() - clock.seconds() for call in clock.getDelayedCalls())


def carry(clock: MemoryReactorClock, one: Pipe, other: Pipe) -> None:
    """Join two ends of a connection: carry bytes, and ends, until nothing moves."""
    while True:
        clock.advance(0)
        one.turn()
        other.turn()
        moved = _carry_from(one, other) | _carry_from(other, one)
        if not moved:
            return


def _carry_from(sender: Pipe, receiver: Pipe) -> bool:
    data = bytes(sender.taken)
    sender.taken.clear()
    if data:
        receiver.hears(data)
        return True
    if receiver.protocol is None:
        return False
    if sender.aborted and sender.disconnected:
        receiver.breaks()
        return True
    if sender.heard_end and not receiver.peer_ended:
        receiver.hears_end()
        return True
    return False
