"""
The engine behind a TCP socket: frames of JSON in, frames of JSON out, in order.
"""

from typing import Any

import msgspec
from twisted.internet import interfaces
from twisted.internet.defer import Deferred, succeed
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from orion_twisted.core.errors import OrionError
from orion_twisted.core.frames import decoder, encoder
from orion_twisted.demo.commands import MAX_FRAME
from orion_twisted.demo.documents import DocumentStore
from orion_twisted.demo.engine import Editor

FRAMING = "int32"
MAX_CONNECTIONS = 1_000
"""Connections at one time; further ones are closed at once."""

_encode = encoder(FRAMING)


@implementer(interfaces.IPushProducer)
class EngineProtocol(Protocol):
    """
    One connection. It reads no further request while its peer does not read the answers.

    Args:
        editor: the engine for this connection.
        factory: told when the connection is up and when it is lost.
    """

    _log = Logger()
    transport: Any  # ITCPTransport; StringTransport in tests

    def __init__(self, editor: Editor, factory: "EngineFactory") -> None:
        self._editor = editor
        self._factory = factory
        self._decoder = decoder(FRAMING, MAX_FRAME)
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
        """Forget the connection; unsaved edits go with it."""
        self._closing = True
        self._factory.lost(self)

    def pauseProducing(self) -> None:
        """The peer does not read: hold requests, also those that are here already."""
        self._paused = True
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """The peer has read: go on with what is held, then with the socket."""
        self._paused = False
        self._answer()  # may fill the transport again
        if not self._paused and not self._closing:
            self.transport.resumeProducing()

    def stopProducing(self) -> None:
        """The transport is lost; connectionLost follows."""

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
                self.transport.write(_encode(self._editor.answer_payload(payload)))
        except OrionError as error:
            # The stream's boundaries are lost: say why, then close.
            self._log.warn("closing {peer}: {error}", peer=self._peer(), error=error)
            answer = {"msgID": None, "success": False, "message": str(error)}
            self.transport.write(_encode(msgspec.json.encode(answer)))
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
        store: the documents that all connections share.
        max_connections: how many may be up at one time.
    """

    noisy = False
    _log = Logger()

    def __init__(self, store: DocumentStore, max_connections: int = MAX_CONNECTIONS) -> None:
        self._store = store
        self._max_connections = max_connections
        self.connections: set[EngineProtocol] = set()
        self._empty: Deferred[None] | None = None

    def buildProtocol(self, addr: interfaces.IAddress | None) -> EngineProtocol:
        """Return the protocol of a new connection, with a desk of its own."""
        protocol = EngineProtocol(Editor(self._store), self)
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
