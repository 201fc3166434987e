"""What an examination does on the network: resolve a name, ask for a page, open one WebSocket."""

from __future__ import annotations

import re
from typing import Any

from twisted.internet.defer import Deferred, DeferredQueue
from twisted.internet.interfaces import IResolutionReceiver
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from orion_twisted.client.reconnect import End
from orion_twisted.client.socket import MAX_HEAD, ClientSocket
from orion_twisted.client.target import Target

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])(?: |\r\n)")


@implementer(IResolutionReceiver)
class Resolving:
    """Collects the addresses of a name."""

    def __init__(self) -> None:
        self._found: list[Any] = []
        self.done: Deferred[list[Any]] = Deferred()

    def resolutionBegan(self, resolutionInProgress: object) -> None:
        pass

    def addressResolved(self, address: Any) -> None:
        self._found.append(address)

    def resolutionComplete(self) -> None:
        if not self.done.called:
            self.done.callback(self._found)


class Reading(Protocol):
    """Asks for a page, and reads the status of the answer."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._data = b""
        self.status: Deferred[int] = Deferred()

    def connectionMade(self) -> None:
        target = self._target
        request = (
            f"GET {target.resource} HTTP/1.1\r\n"
            f"Host: {target.host_in_url}:{target.port}\r\n"
            "User-Agent: orion-twisted\r\n"
            "Accept: */*\r\n"
            "Connection: close\r\n\r\n"
        )
        transport: Any = self.transport
        transport.write(request.encode("ascii"))

    def dataReceived(self, data: bytes) -> None:
        if self.status.called:
            return
        self._data += data
        if b"\r\n" in self._data or len(self._data) > MAX_HEAD:
            found = _STATUS_LINE.match(self._data)
            if found is None:
                self.status.errback(ValueError("the answer is no HTTP"))
            else:
                self.status.callback(int(found[1]))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if not self.status.called:
            self.status.errback(reason)

    def leave(self) -> None:
        """Be done with it."""
        if not self.status.called:
            self.status.addErrback(lambda _: None)
            self.status.cancel()
        if self.transport is not None:
            transport: Any = self.transport
            transport.abortConnection()


class Visit:
    """
    The owner of the one socket that is opened.

    Attributes:
        socket: None before it is connected.
        subprotocol: what was agreed to.
        opened: fires with None when it is open, or with its end.
        heard: messages, and then the end.
        gone: fires when the connection has ended.
    """

    def __init__(self) -> None:
        self.socket: ClientSocket | None = None
        self.subprotocol: str | None = None
        self.opened: Deferred[End | None] = Deferred()
        self.gone: Deferred[None] = Deferred()
        self.heard: DeferredQueue[tuple[bytes, bool] | End] = DeferredQueue()

    async def end(self) -> End:
        """Pass over messages that still come; return how it ended."""
        while True:
            heard = await self.heard.get()
            if isinstance(heard, End):
                return heard

    async def leave(self) -> None:
        """End the connection, if it is there."""
        if self.socket is not None and not self.gone.called:
            self.socket.abort()
            await self.gone

    def socket_open(self, socket: ClientSocket, subprotocol: str | None) -> None:
        self.subprotocol = subprotocol
        self.opened.callback(None)

    def socket_message(self, socket: ClientSocket, payload: bytes, is_binary: bool) -> None:
        self.heard.put((payload, is_binary))

    def socket_ended(self, socket: ClientSocket, end: End) -> None:
        if self.opened.called:
            self.heard.put(end)
        else:
            self.opened.callback(end)

    def socket_gone(self, socket: ClientSocket) -> None:
        self.gone.callback(None)
