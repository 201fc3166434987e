"""
A browser's end of a conversation: its socket, how fast and how long it may talk, and its end.

What becomes of its messages is for a subclass: one for each mode.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from orion_twisted.core.errors import BadMessage, CloseCode, OrionError
from orion_twisted.core.rates import MOST_WAIT_FOR_RATE, MessageRates
from orion_twisted.net.browser import BrowserProtocol
from orion_twisted.service.surroundings import Surroundings


class BrowserEnd(ABC):
    """
    One browser's socket, and what it is allowed.

    Args:
        around: what it works with.
        peer: the browser's address, for logs.
        ended: called once, when the browser's socket is gone or was never opened.
    """

    _log = Logger()

    def __init__(
        self, around: Surroundings, peer: str, ended: Callable[[BrowserEnd], None]
    ) -> None:
        self._around = around
        self._clock = around.clock
        self._counters = around.counters
        self._traffic = around.counters.traffic
        self._peer = peer
        self._ended = ended
        self._browser: BrowserProtocol | None = None
        self._browser_full = False
        self._closing = False
        self._idle_timer: IDelayedCall | None = None
        self._last_message = 0.0
        self._rates: MessageRates | None = None
        self._is_timed = False  # whether it matters when messages come: a rate, or a limit `idle`
        self._slowed: IDelayedCall | None = None

    @property
    def tenant(self) -> str:
        """The name of the browser's tenant."""
        return self._around.tenant.name

    @property
    def is_open(self) -> bool:
        """Whether the browser is in."""
        return self._browser is not None

    # What the modes differ in

    @abstractmethod
    def dial(self) -> Deferred[None]:
        """
        Make ready for the browser.

        Returns:
            A Deferred that fires when its request may be answered, and fails with `BackendDown`
            if it has to be refused. Cancelling it is the end.
        """

    @abstractmethod
    def _opened(self) -> None:
        """The browser is in."""

    @abstractmethod
    def _from_browser(self, payload: bytes, is_binary: bool) -> None:
        """Carry a message; raise BadMessage if it cannot be carried."""

    @abstractmethod
    def browser_rests(self) -> None:
        """All messages of one read are here."""

    @abstractmethod
    def _settle(self) -> None:
        """Read from each side only while the other one takes it."""

    @abstractmethod
    def _let_go(self) -> None:
        """Nobody needs what was there for the browser any more; perhaps said several times."""

    @abstractmethod
    def drain(self, within: float) -> None:
        """End within so many seconds, in good order: the gateway stops."""

    # From the browser's socket

    def browser_opened(self, browser: BrowserProtocol) -> None:
        self._browser = browser
        self._counters.add("browsers")
        self._log.info(
            "browser {peer} of {tenant} is in", peer=self._peer, tenant=self._around.tenant.name
        )
        if self._around.message_rate or self._around.byte_rate:
            self._rates = MessageRates(
                self._around.message_rate, self._around.byte_rate, self._clock.seconds()
            )
        if self._around.idle:
            self._last_message = self._clock.seconds()
            self._idle_timer = self._clock.callLater(self._around.idle, self._look_for_life)
        self._is_timed = self._rates is not None or self._idle_timer is not None
        self._opened()

    def _came(self, count: int, size: int) -> bool:
        """Take note of messages and their bytes; say whether they are still to be carried."""
        if self._closing:
            return False
        self._traffic.messages_from_browsers += count
        self._traffic.bytes_from_browsers += size
        if self._is_timed:
            self._watch(count, size)
        return not self._closing

    def _watch(self, count: int, size: int) -> None:
        """Look at the time, since messages have come."""
        now = self._clock.seconds()
        if self._idle_timer is not None:
            self._last_message = now
        if self._rates is not None:
            self._slow_down(self._rates.take(size, now, count))

    def browser_message(self, payload: bytes, is_binary: bool) -> None:
        # As `_came`, which would be a call more for each message.
        if self._closing:
            return
        traffic = self._traffic
        traffic.messages_from_browsers += 1
        traffic.bytes_from_browsers += len(payload)
        if self._is_timed:
            self._watch(1, len(payload))
            if self._closing:
                return
        try:
            self._from_browser(payload, is_binary)
        except BadMessage as error:
            self._log.warn(
                "closing {peer} of {tenant}: {error}",
                peer=self._peer,
                tenant=self._around.tenant.name,
                error=error,
            )
            self.fail(error)

    def _slow_down(self, wait: float) -> None:
        """Read no more for so many seconds; a browser that owes too much is closed."""
        if wait > MOST_WAIT_FOR_RATE:
            self.close(CloseCode.TOO_FAST, "TOO_FAST")
        elif wait > 0:
            cancel(self._slowed)
            self._slowed = self._clock.callLater(wait, self._speed_up)
            self._settle()

    def _speed_up(self) -> None:
        self._slowed = None
        self._settle()

    def browser_full(self, full: bool) -> None:
        self._browser_full = full
        self._settle()

    def browser_lost(self, code: int, reason: str) -> None:
        self._log.info(
            "browser {peer} of {tenant} is gone: {code}",
            peer=self._peer,
            tenant=self._around.tenant.name,
            code=code,
        )
        if self._browser is not None:  # else its handshake has failed after all
            self._counters.add("browsers_closed", reason=_counted(code))
        self._browser = None
        self._stop()
        self._finish()

    def _read_browser(self, welcome: bool) -> None:
        """Read from the browser, or not: only if its messages are welcome, and not too fast."""
        if self._browser is not None and not self._closing:
            if self._slowed is None and welcome:
                self._browser.resumeProducing()
            else:
                self._browser.pauseProducing()

    def _send(self, payload: bytes, is_binary: bool) -> None:
        """Send the browser, which is there, a message."""
        assert self._browser is not None
        if self._idle_timer is not None:
            self._last_message = self._clock.seconds()
        self._traffic.messages_to_browsers += 1
        self._traffic.bytes_to_browsers += len(payload)
        self._browser.send(payload, is_binary)

    def _send_all(self, messages: list[tuple[bytes, bool]]) -> None:
        """Send the browser, which is there, messages."""
        assert self._browser is not None
        self._goes(len(messages), sum([len(payload) for payload, _ in messages]))
        self._browser.send_all(messages)

    def _goes(self, count: int, size: int) -> None:
        """Take note of messages to the browser, and their bytes."""
        if self._idle_timer is not None:
            self._last_message = self._clock.seconds()
        self._traffic.messages_to_browsers += count
        self._traffic.bytes_to_browsers += size

    def _look_for_life(self) -> None:
        left = self._last_message + self._around.idle - self._clock.seconds()
        if left > 0:
            self._idle_timer = self._clock.callLater(left, self._look_for_life)
        else:
            self.close(CloseCode.IDLE, "IDLE")

    # The end

    @abstractmethod
    def close(self, code: CloseCode, reason: str) -> None:
        """Tell the browser that it is over; or refuse it, if it is not in yet."""

    def fail(self, error: OrionError) -> None:
        """Close with the code of an error."""
        self.close(error.close_code, error.code)

    def abort(self) -> None:
        """Cut the browser off, closing handshake or not."""
        if self._browser is not None:
            self._browser.abort()
        elif not self._closing:
            self.close(CloseCode.GOING_AWAY, "")

    def _close_browser(self, code: CloseCode, reason: str) -> None:
        """Begin the closing handshake with the browser, which is there."""
        assert self._browser is not None
        self._stop()
        self._browser.close(code, reason)

    def _stop(self) -> None:
        self._closing = True
        cancel(self._idle_timer)
        cancel(self._slowed)
        self._idle_timer = self._slowed = None
        self._let_go()

    def _finish(self) -> None:
        ended, self._ended = self._ended, _nothing_left
        ended(self)


def cancel(call: IDelayedCall | None) -> None:
    """Cancel a timer that may have fired, or not be there."""
    if call is not None and call.active():
        call.cancel()


def _nothing_left(browser: Any) -> None:
    """Stand in for what has been called already."""


def _counted(code: int) -> str:
    """Return what a close code is counted as: a browser may choose from two thousand."""
    return str(code) if code < 3000 or code in _OUR_CODES else "other"


_OUR_CODES = frozenset(map(int, CloseCode))
