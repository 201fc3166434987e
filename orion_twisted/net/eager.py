"""
Connections that send at once what the system takes, and read more at a time when much comes.

Twisted queues what is written, asks the system to be woken when there is room, and sends then: two
system calls and a turn of the reactor for each message. Here what is written goes out at once if
nothing waits before it. All that the system does not take goes Twisted's own way, and with it
pausing of producers, closing, and every error.
"""

from __future__ import annotations

from collections.abc import Iterable
from errno import ENOBUFS
from functools import cache
from typing import Any, ClassVar

from twisted.internet import tcp, unix
from twisted.internet.abstract import FileDescriptor
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.main import CONNECTION_LOST
from twisted.protocols.policies import ProtocolWrapper
from twisted.python.failure import Failure

LEAST_READ = 64 * 1024
"""Bytes that are read at a time in the beginning, as Twisted does: with more, small messages
become dearer."""
MOST_READ = 256 * 1024
"""Bytes that are read at a time at most, however fast the peer sends."""
SMALL_READS = 16
"""After how many reads of less than half of it the buffer is halved again."""

Guards = tuple[tuple[object, str, object], ...]
"""
Attributes that have to be something for the plain case: objects, names, and ``True``, ``False``,
``None``, or what they have to be equal to. ``True`` and ``False`` stand for all that is like them.
"""


class _EagerWrites(tcp.Connection):
    """What is written goes out at once, if it may; mixed into a stock class."""

    stock: ClassVar[Any]
    """The class that it is mixed into."""

    _broken = False  # a send has met an error, which the system tells only once

    def write(self, data: bytes) -> None:
        if (
            self._tempDataBuffer
            or self.dataBuffer
            or not self.connected
            or self._writeDisconnected
            or self._aborting
            or type(data) is not bytes
            or not data
            or not (self.streamingProducer or self.producer is None)
        ):
            super().write(data)
            return
        try:
            sent = self.socket.send(data)
        except OSError as error:
            self.put_off(data, 0, error)
        else:
            if sent < len(data):
                self.put_off(data, sent, None)

    def guards_of_writing(self) -> Guards:
        """Return what has to be so for bytes to go out at once, but for who writes them."""
        return (
            (self, "_tempDataBuffer", False),
            (self, "dataBuffer", False),
            (self, "connected", True),
            (self, "_writeDisconnected", False),
            (self, "_aborting", False),
        )

    def put_off(self, data: bytes, sent: int, error: OSError | None) -> None:
        """
        Queue what the system has not taken.

        Args:
            data: what it was given.
            sent: how many bytes of it have gone.
            error: what it has raised instead.
        """
        if error is not None:
            # Nobody who writes expects to lose the connection on the way. The bytes are queued,
            # and the next attempt, from the reactor, finds it broken as well.
            self._broken = not _means_full(error)
        super().write(data[sent:])

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        pieces = list(iovec)
        if all(type(piece) is bytes for piece in pieces):
            self.write(b"".join(pieces))
        else:
            super().writeSequence(pieces)

    def _dataReceived(self, data: bytes | None) -> ConnectionDone | ConnectionLost | None:  # type: ignore[override]  # as `doRead` may return it
        if data or not self._broken:
            return super()._dataReceived(data)
        # The reset has been told to `write`: to a read the system says that the peer has ended.
        return CONNECTION_LOST

    def startTLS(self, *arguments: Any, **options: Any) -> None:
        # What is written has to pass through TLS from now on, which the stock class sees to.
        stock = self.__class__ = self.stock
        stock.startTLS(self, *arguments, **options)


class _AdaptiveReads(tcp.Connection):
    """
    As much is read at a time as the peer's speed is worth.

    When a producer is paused does not depend on it.
    """

    read_size = LEAST_READ
    _small_reads = 0

    def doRead(self) -> ConnectionDone | ConnectionLost | None:  # type: ignore[override]  # as in Connection
        try:
            data = self.socket.recv(self.read_size)
        except BlockingIOError:
            return None
        except OSError:
            return CONNECTION_LOST
        return self.has_read(data)

    def guards_of_reading(self) -> Guards:
        """Return what has to be so for a read of `LEAST_READ` bytes to be the right one."""
        return ((self, "read_size", LEAST_READ), (self, "_aborting", False))

    def has_read(self, data: bytes) -> ConnectionDone | ConnectionLost | None:
        """Go on with what a read of `read_size` bytes has brought; return what a read does."""
        size = self.read_size
        if len(data) == size:
            self.read_size = min(2 * size, MOST_READ)
            self._small_reads = 0
        elif size > LEAST_READ:
            self._fit(2 * len(data) < size)
        if not data:
            return self._dataReceived(data)  # the end
        self.protocol.dataReceived(data)
        return None

    def _fit(self, is_small: bool) -> None:
        self._small_reads = self._small_reads + 1 if is_small else 0
        if self._small_reads == SMALL_READS:
            self.read_size //= 2
            self._small_reads = 0


class _Dialled(tcp.BaseClient):
    """A connection that we have dialled, or are dialling."""

    def connectionLost(self, reason: Failure) -> None:
        super().connectionLost(reason)
        # Who has dialled and who is called know each other, and an endpoint its dialler: cycles.
        # It may have dialled again by now.
        connector: Any = vars(self).pop("connector", None)
        if connector is not None and connector.transport is self:
            connector.transport = None
            _forget_dialler(connector)

    def doConnect(self) -> None:
        if "connector" in vars(self):  # else it was given up before it has begun
            super().doConnect()

    def failIfNotConnected(self, err: Any) -> None:
        connector: Any = vars(self).get("connector")
        super().failIfNotConnected(err)
        if connector is None or "connector" in vars(self):
            return  # it is connected, or has failed before
        # While it dials it knows itself. It may have an event left in this turn.
        self.doRead = self.doWrite = nothing_left  # type: ignore[method-assign]
        if connector.transport is None:
            _forget_dialler(connector)


def nothing_left() -> None:
    """Stand in for an attempt to connect that is over."""


def _forget_dialler(connector: Any) -> None:
    factory = connector.factory
    if getattr(factory, "_connector", None) is connector:
        factory._connector = None


class EagerServer(_EagerWrites, _AdaptiveReads, tcp.Server):
    stock = tcp.Server


class EagerClient(_EagerWrites, _AdaptiveReads, _Dialled, tcp.Client):
    stock = tcp.Client


class _EagerUNIX(_EagerWrites):
    """
    A UNIX socket, which can carry open files as well.

    A file goes with bytes that are written after it, or are still waiting.
    """

    _sendmsgQueue: list[int]

    def write(self, data: bytes) -> None:
        if self._sendmsgQueue:
            self.stock.write(self, data)
        else:
            super().write(data)


class EagerUNIXServer(_EagerUNIX, unix.Server):
    stock = unix.Server


class EagerUNIXClient(_EagerUNIX, _Dialled, unix.Client):
    stock = unix.Client


_EAGER = {
    each.stock: each for each in (EagerServer, EagerClient, EagerUNIXServer, EagerUNIXClient)
}


def make_eager(transport: Any) -> bool:
    """
    Have a connection send at once what the system takes.

    Small messages no longer wait for others to share a segment with, so that Nagle's algorithm is
    switched off: it would hold the second one back until the first is acknowledged.

    Args:
        transport: a connection of Twisted's reactor, or what wraps one: TLS, a PROXY header.

    Returns:
        Whether it does now; not if it is of another class than Twisted's own, or if `why_not`.
    """
    while isinstance(transport, ProtocolWrapper):
        transport = transport.transport
    eager = _EAGER.get(type(transport))
    if eager is None or transport.TLS or why_not() is not None:
        return isinstance(transport, _EagerWrites)
    transport.__class__ = eager
    if ITCPTransport.providedBy(transport):
        transport.setTcpNoDelay(True)
    return True


@cache
def why_not() -> str | None:
    """
    Say what this Twisted does not have that eager connections need; None if it has all.

    It is tried once in a process, without a socket.
    """
    for owner, names in _NAMES.items():
        for name in names:
            if not hasattr(owner, name):
                return f"{owner.__module__}.{owner.__qualname__} has no {name}"
    for each in _EAGER.values():
        try:
            each.stock.__new__(each.stock).__class__ = each
        except TypeError as error:
            return str(error)
    return _otherwise_queued()


_NAMES: dict[type, tuple[str, ...]] = {
    FileDescriptor: ("connected", "dataBuffer", "producer", "streamingProducer"),
    tcp.Connection: ("TLS", "startTLS", "_aborting", "_dataReceived", "_writeDisconnected"),
    unix.Server: ("sendFileDescriptor",),
    unix.Client: ("sendFileDescriptor",),
}


class _Trial(FileDescriptor):
    """A connection that takes one byte at a time, and whose reactor is itself."""

    bufferSize = 2

    def __init__(self) -> None:
        super().__init__(self)  # type: ignore[arg-type]  # a reactor as far as it is asked
        self.connected = 1
        self.asked = False
        self.paused = False

    def addWriter(self, _: object) -> None:
        self.asked = True

    def removeWriter(self, _: object) -> None:
        self.asked = False

    def writeSomeData(self, data: bytes) -> int:
        return min(len(data), 1)

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False


def _otherwise_queued() -> str | None:
    """Try out that what waits is where we look for it, and that the stock path does the rest."""
    trial = _Trial()
    trial.registerProducer(trial, True)
    seen = []
    try:
        trial.write(b"abc")
        seen.append((bool(trial._tempDataBuffer), trial.asked, trial.paused))
        for _ in range(3):
            trial.doWrite()
            seen.append((bool(trial.dataBuffer), trial.asked, trial.paused))
        seen.append((bool(trial._tempDataBuffer), trial.asked, trial.paused))
    except AttributeError as error:
        return str(error)
    waits, done = (True, True, True), (False, False, False)
    return None if seen == [waits, waits, waits, done, done] else "Twisted queues in another way"


def _means_full(error: OSError) -> bool:
    """Say whether a send would have worked if there were room, or no signal in between."""
    return isinstance(error, BlockingIOError | InterruptedError) or error.errno == ENOBUFS
