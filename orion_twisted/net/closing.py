"""
How a browser's WebSocket ends: by a closing handshake that has its time, or by being cut off.

What Autobahn would do differently from us is overridden here, with the reason beside it.
"""

from __future__ import annotations

from typing import Any

from autobahn.twisted.websocket import WebSocketServerProtocol
from autobahn.util import encode_truncate
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from orion_twisted.core.errors import CloseCode

FAILED_CLOSE_TIMEOUT = 2.0
"""Seconds that a browser which broke the protocol, or is closed for another of `FAULTS`, has to
answer our close frame."""
ORDERLY_CLOSE_TIMEOUT = 30.0
"""Seconds that any other browser has to read what waits for it, and to answer our close frame."""
FAULTS = frozenset(
    {
        CloseCode.UNSUPPORTED_DATA,
        CloseCode.INVALID_PAYLOAD,
        CloseCode.TOO_SLOW,
        CloseCode.TOO_FAST,
        CloseCode.SLOW_CONSUMER,
        CloseCode.BAD_MESSAGE,
        CloseCode.UNAUTHORIZED,
        CloseCode.SUPERSEDED,
    }
)
"""What a browser is closed for that would stall, or flood, on and on; or that is not there any
more, since it has come back on another socket."""
STALLED_CLOSE_TIMEOUT = 5.0
"""Seconds that a dropped connection has to deliver its last bytes; then it is cut off."""
MAX_REASON = 123
"""Bytes of a close reason (RFC 6455 section 5.5: a control frame holds 125)."""


class ClosingSocket(WebSocketServerProtocol):
    """A WebSocket that ends, whatever the other side does about it."""

    _log = Logger()  # not `log`: Autobahn owns that name
    factory: Any
    closeHandshakeTimeoutCall: Any

    # Of the class until they change: most sockets are idle most of the time.
    _closing = False
    _stalled: IDelayedCall | None = None

    @property
    def may_send(self) -> bool:
        """Whether what is sent now goes out: not once either side has begun to close."""
        return bool(self.state == self.STATE_OPEN)

    @property
    def has_failed(self) -> bool:
        """Whether the other side has broken RFC 6455, or a limit, and was closed for it."""
        return bool(self.failedByMe)

    def close(self, code: CloseCode, reason: str) -> None:
        """Begin the closing handshake; messages that still arrive are dropped."""
        if self.state == self.STATE_OPEN:
            self._closing = True
            if code not in FAULTS:
                self.closeHandshakeTimeout = ORDERLY_CLOSE_TIMEOUT
            # Not `sendClose`: it would refuse 1001 and 1011.
            text = encode_truncate(reason, MAX_REASON)
            self.sendCloseFrame(int(code), text, isReply=False)
            self.resumeProducing()  # the browser's close frame has to be read

    def abort(self) -> None:
        """Cut the connection off, closing handshake or not."""
        self.dropConnection(abort=True)
        self._cut()  # even if the end has begun, for which Autobahn would wait

    def _cut(self) -> None:
        self.transport.abortConnection()

    # From Autobahn

    def failHandshake(
        self, reason: str, code: int = 400, responseHeaders: list[tuple[str, str]] | None = None
    ) -> None:
        # The gate has checked the request, so this is reached by a bad extension offer alone.
        # Autobahn's own answer would carry the offer back in its status line, without framing.
        self._log.warn("refusing the handshake of {peer}: {reason}", peer=self.peer, reason=reason)
        self.wasNotCleanReason = reason
        self.sendData(
            b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n"
            b"Connection: close\r\n\r\nBad Request\n"
        )
        self.dropConnection(abort=False)

    def dropConnection(self, abort: bool = False) -> None:
        # Once both close frames are out Autobahn cuts the connection with a reset, which can
        # overtake our close frame: an orderly end is enough.
        abort = abort and not self.wasClean
        if not abort and self._stalled is None:
            # TLS waits without end for the peer's close_notify, TCP for its acknowledgements.
            self._stalled = self.factory.reactor.callLater(STALLED_CLOSE_TIMEOUT, self._cut)
        super().dropConnection(abort=abort)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._stalled is not None and self._stalled.active():
            self._stalled.cancel()
        self._tell_end(reason)
        self.is_closed = None  # Autobahn's Deferred has fired with ourselves: a cycle
        if self.closeHandshakeTimeoutCall is not None:
            self.closeHandshakeTimeoutCall.cancel()  # the one timer that Autobahn forgets
            self.closeHandshakeTimeoutCall = None

    def _tell_end(self, reason: Failure) -> None:
        """Have Autobahn know that the connection is gone: it calls `onClose`."""
        super().connectionLost(reason)
