"""
The engine behind a TCP socket: frames in, frames out.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet import interfaces
from twisted.internet.defer import Deferred, succeed
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from orion_twisted.core.errors import OrionError
from orion_twisted.core.frames import decoder, encoder
from orion_twisted.demo.commands import Desk
from orion_twisted.demo.dialects import MAX_FRAME, Dialect, dialect_of

FRAMING = "int32"
MAX_CONNECTIONS = 1_000
"""Connections at one time; further ones are closed at once."""
MAX_HELD = 4 * 1024 * 1024
"""Bytes of events for a peer that does not read; what is more is dropped: it will miss a seq."""

_encode = encoder(FRAMING)


@implementer(interfaces.IPushProducer)
class EngineProtocol(Protocol):
    """
    One connection. It reads no further request while its peer does not read the answers.

    Args:
        desk: what requests work on.
        factory: told when the connection is up and when it is lost.
    """

    _log = Logger()
    transport: Any  # ITCPTransport; StringTransport in tests

    def __init__(self, desk: Desk, factory: "EngineFactory") -> None:
        self._desk = desk
        self._factory = factory
        self._decoder = decoder(FRAMING, MAX_FRAME)
        self._dialect: Dialect | None = None  # as its first frame speaks
        self._held: deque[bytes] = deque()
        self._held_bytes = 0
        self._paused = False
        self._closing = False

    def connectionMade(self) -> None:
        """Set the socket up, or send the peer away when there are too many."""
        if not self._factory.admit(self):
            self._closing = True
            self.transport.abortConnection()
            return
        if interfaces.ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
            # A peer whose machine vanished is noticed by the kernel: the engine has no pings.
            self.transport.setTcpKeepAlive(True)
        self.transport.registerProducer(self, True)

    def dataReceived(self, data: bytes) -> None:
        """Answer what is whole now."""
        if self._closing:
            return
        self._decoder.receive_data(data)
        self._answer()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Forget the connection, and that its sessions have anything open."""
        self._closing = True
        self._held.clear()
        self._desk.documents.lost(self)
        self._factory.lost(self)

    def pauseProducing(self) -> None:
        """The peer does not read: hold requests, also those that are here already."""
        self._paused = True
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """The peer has read: go on with what is held, then with the socket."""
        self._paused = False
        while self._held and not self._paused:  # a write may fill the transport again
            frame = self._held.popleft()
            self._held_bytes -= len(frame)
            self.transport.write(frame)
        self._answer()
        if not self._paused and not self._closing:
            self.transport.resumeProducing()

    def stopProducing(self) -> None:
        """The transport is lost; connectionLost follows."""

    def send(self, payload: bytes) -> None:
        """Send an answer, unless the connection is lost."""
        if not self._closing:
            self.transport.write(_encode(payload))

    def push(self, sid: str, event: bytes) -> None:
        """Tell a session of an event; while the peer does not read, up to MAX_HELD bytes wait."""
        if self._closing or self._dialect is None:
            return
        frame = _encode(self._dialect.event(sid, event))
        if not self._paused:
            self.transport.write(frame)
        elif self._held_bytes + len(frame) <= MAX_HELD:
            self._held.append(frame)
            self._held_bytes += len(frame)

    def forget_silent(self, now: float) -> None:
        """Let go of sessions that seem to have ended."""
        if self._dialect is not None:
            self._dialect.forget_silent(now)

    def close(self) -> None:
        """Send what is written, then close."""
        if not self._closing:
            self._closing = True
            self.transport.unregisterProducer()
            self.transport.loseConnection()

    def abort(self) -> None:
        """Close at once; what is not sent yet is lost."""
        self._closing = True
        self.transport.abortConnection()

    def _answer(self) -> None:
        try:
            while not self._paused and not self._closing:
                payload = self._decoder.next_payload()
                if payload is None:
                    return
                if self._dialect is None:
                    self._dialect = dialect_of(payload)(self._desk, self)
                self._dialect.receive(payload, self._factory.now())
        except OrionError as error:
            # The stream's boundaries are lost, or its contract is broken.
            self._log.warn("closing {peer}: {error}", peer=self._peer(), error=error)
            self.close()
        except Exception:
            self._log.failure("bug while answering {peer}", peer=self._peer())
            self.abort()

    def _peer(self) -> str:
        return str(self.transport.getPeer())


class EngineFactory(Factory):
    """
    Make a connection's protocol and know which are up.

    Args:
        desk: what all connections work on.
        now: the time in seconds, from any moment on.
        max_connections: how many may be up at one time.
    """

    noisy = False
    _log = Logger()

    def __init__(
        self, desk: Desk, now: Callable[[], float], max_connections: int = MAX_CONNECTIONS
    ) -> None:
        self._desk = desk
        self.now = now
        self._max_connections = max_connections
        self.connections: set[EngineProtocol] = set()
        self._empty: Deferred[None] | None = None

    def buildProtocol(self, addr: interfaces.IAddress | None) -> EngineProtocol:
        """Return the protocol of a new connection."""
        protocol = EngineProtocol(self._desk, self)
        protocol.factory = self
        return protocol

    def admit(self, protocol: EngineProtocol) -> bool:
        """Count a connection in; False if there are too many already."""
        if len(self.connections) >= self._max_connections:
            self._log.warn("refusing a connection: {count} are up", count=self._max_connections)
            return False
        self.connections.add(protocol)
        return True

    def lost(self, protocol: EngineProtocol) -> None:
        """Count a connection out."""
        self.connections.discard(protocol)
        if self._empty is not None and not self.connections:
            empty, self._empty = self._empty, None
            empty.callback(None)

    def forget_silent(self) -> None:
        """Let go of sessions that seem to have ended; to be called now and then."""
        for protocol in list(self.connections):
            protocol.forget_silent(self.now())

    def close(self) -> Deferred[None]:
        """
        Close all connections.

        Returns:
            A Deferred that fires with None when the last one is lost. It never fails.
        """
        if not self.connections:
            return succeed(None)
        self._empty = Deferred()
        # Kept aside: the last connection may be lost before the loop is through.
        empty = self._empty
        for protocol in list(self.connections):
            protocol.close()
        return empty

    def abort(self) -> None:
        """Cut all connections."""
        for protocol in list(self.connections):
            protocol.abort()
