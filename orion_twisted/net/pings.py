"""
Whether a browser is still there: our pings with their time, and its own.

Whoever still takes something from us, or waits for us to read, is not taken for gone.
"""

from __future__ import annotations

from orion_twisted.net.flow import acknowledged
from orion_twisted.net.fragments import PiecewiseSocket

MOST_OF_A_PING = 128
"""Bytes that a ping takes on the wire, TLS included: a browser that has taken no more than that
may be gone, and only its system be there."""


class LivelySocket(PiecewiseSocket):
    """A WebSocket that is asked for a sign of life where it gives none by itself."""

    # Of the class until they change: most sockets are idle most of the time.
    _paused = False
    _full = False
    _unanswered: bytes | None = None
    _taken: int | None = None

    # The browser's pings

    def onPing(self, payload: bytes) -> None:
        if self._full:
            # Who reads no pongs may still send pings: the last one alone is answered, once there
            # is room (RFC 6455 section 5.5.3).
            self._unanswered = payload
        else:
            super().onPing(payload)

    def _tell_full(self, full: bool) -> None:
        self._full = full
        if not full and self._unanswered is not None:
            payload, self._unanswered = self._unanswered, None
            super().onPing(payload)

    # Ours

    def sendPing(self, payload: bytes | None = None) -> None:
        self._taken = acknowledged(self.transport)
        super().sendPing(payload)

    def onAutoPingTimeout(self) -> None:
        # The ping stands behind what is waiting to be sent, and the pong behind what we do not
        # read: whoever still takes something is not gone.
        before, self._taken = self._taken, acknowledged(self.transport)
        taken = None if before is None or self._taken is None else self._taken - before
        if self._closing:
            # The closing handshake has its own time, and no ping has gone out in it.
            self.autoPingTimeoutCall = None
        elif self._paused and taken != 0:
            # We are the ones who do not read. Ask its system at least, by the same ping.
            self.sendPing(self.autoPingPending)
            self._wait_for_pong()
        elif taken is not None and taken > MOST_OF_A_PING:
            self._wait_for_pong()
        else:
            super().onAutoPingTimeout()

    def _wait_for_pong(self) -> None:
        self.autoPingTimeoutCall = self.factory.reactor.callLater(
            self.autoPingTimeout, self.onAutoPingTimeout
        )
