"""
Real sockets on loopback, and a reactor that turns only when a test says so.

    loop = Loop()
    test.addCleanup(loop.close)
    protocol = Recorder()
    peer = loop.serve(protocol)         # the other end is a plain socket, for the test to use
    peer.sendall(b"...")
    loop.until(lambda: protocol.heard == b"...", "the bytes arrive")
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable
from typing import Any

from twisted.internet.epollreactor import EPollReactor
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.internet.protocol import ClientFactory, Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import alsoProvides, implementer

PATIENCE = 20.0
"""Seconds that anything may take on a busy machine; only a failing test waits so long."""


class Recorder(Protocol):
    """
    Keeps what it is told.

    Args:
        half_closes: it is told of the peer's FIN, and of its own, and stays.

    Attributes:
        heard: all bytes that have arrived.
        reads: how many at a time.
        told: names of the ends that it was told of, in order; the last is why it was lost.
    """

    transport: Any

    def __init__(self, half_closes: bool = False) -> None:
        self.heard = bytearray()
        self.reads: list[int] = []
        self.told: list[str] = []
        self.on_data: Callable[[bytes], None] | None = None
        if half_closes:
            alsoProvides(self, IHalfCloseableProtocol)

    def dataReceived(self, data: bytes) -> None:
        self.heard += data
        self.reads.append(len(data))
        if self.on_data is not None:
            self.on_data(data)

    def readConnectionLost(self) -> None:
        self.told.append("read")

    def writeConnectionLost(self) -> None:
        self.told.append("write")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.told.append(reason.type.__name__)


@implementer(IPushProducer)
class Valve:
    """A producer that keeps what it is told."""

    def __init__(self) -> None:
        self.open = True
        self.stopped = False
        self.pauses = 0

    def pauseProducing(self) -> None:
        self.open = False
        self.pauses += 1

    def resumeProducing(self) -> None:
        self.open = True

    def stopProducing(self) -> None:
        self.stopped = True


class Loop:
    """
    A reactor of one test.

    Args:
        make: its class; without arguments.
    """

    def __init__(self, make: Callable[[], Any] = EPollReactor) -> None:
        self.reactor = make()
        self._sockets: list[socket.socket] = []

    def turn(self, wait: float = 0.0) -> None:
        """Let it turn once: what is due, then what has happened on its sockets."""
        self.reactor.runUntilCurrent()
        self.reactor.doIteration(wait)

    def turns(self, number: int) -> None:
        for _ in range(number):
            self.turn()

    def until(self, condition: Callable[[], object], what: str) -> None:
        """Turn until something holds; `AssertionError` if it does not in time."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {PATIENCE:g} s: {what}")
            self.turn(0.005)

    def close(self) -> None:
        """Close all that is open."""
        for each in self.reactor.removeAll():
            each.connectionLost(Failure(ConnectionError("the test is over")))
        for call in self.reactor.getDelayedCalls():
            call.cancel()
        for reader in self.reactor._internalReaders.copy():
            self.reactor.removeReader(reader)
            reader.connectionLost(None)
        self.reactor._poller.close()
        for each in self._sockets:
            each.close()

    def serve(self, protocol: Protocol, family: int = socket.AF_INET) -> socket.socket:
        """Give a new connection to a protocol as its server; return the client's socket."""
        near, far = self.pair(family)
        factory = Factory()
        factory.buildProtocol = lambda _: protocol  # type: ignore[method-assign]
        self.reactor.adoptStreamConnection(near.fileno(), family, factory)
        near.close()
        return far

    def dial(self, protocol: Protocol) -> socket.socket:
        """Give a new connection to a protocol as its client; return the server's socket."""
        factory = ClientFactory()
        factory.noisy = False
        factory.buildProtocol = lambda _: protocol  # type: ignore[method-assign]
        with self._listener() as listener:
            self.reactor.connectTCP("127.0.0.1", listener.getsockname()[1], factory)
            self.until(lambda: protocol.transport is not None, "it connects")
            return self._kept(listener.accept()[0])

    def pair(self, family: int = socket.AF_INET) -> tuple[socket.socket, socket.socket]:
        """Return both ends of a connection, the reactor's one first."""
        if family == socket.AF_UNIX:
            near, far = socket.socketpair()
        else:
            with self._listener() as listener:
                far = _small(socket.socket())
                far.connect(listener.getsockname())
                near, _ = listener.accept()
        near.setblocking(False)
        return near, self._kept(far)

    def _listener(self) -> socket.socket:
        listener = _small(socket.socket())  # what is accepted has the listener's sizes
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        return listener

    def _kept(self, far: socket.socket) -> socket.socket:
        far.setblocking(False)
        self._sockets.append(far)
        return far


def _small(each: socket.socket) -> socket.socket:
    """Give a socket small buffers: the system's own grow, to some megabytes."""
    each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)
    each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    return each


def taken(peer: socket.socket, most: int = 1 << 30) -> bytes:
    """Return what has arrived at a peer, up to so many bytes; the end, or a reset, is empty."""
    found = bytearray()
    try:
        while len(found) < most:
            data = peer.recv(min(most - len(found), 1 << 20))
            if not data:
                break
            found += data
    except BlockingIOError:
        pass
    except ConnectionError:
        pass
    return bytes(found)


def has_ended(peer: socket.socket) -> bool:
    """Say whether our FIN has reached a peer that has read all that came before it."""
    try:
        return peer.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False


def reset(peer: socket.socket) -> None:
    """Have a peer cut its connection off, unread bytes or not."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()
