"""
What every mode has in common: one browser, its own link, and the end of both.

A bridge is asked to `dial` before the browser's request is answered. It then owns the browser's
socket and the link until both are gone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime, IStreamClientEndpoint
from twisted.logger import Logger

from orion_twisted.core.backoff import Backoff
from orion_twisted.core.counters import Counters
from orion_twisted.core.errors import BackendDown, BadMessage, CloseCode, OrionError
from orion_twisted.core.rates import MOST_WAIT_FOR_RATE, MessageRates
from orion_twisted.core.settings import Tenant
from orion_twisted.net.backend import LinkFactory
from orion_twisted.net.browser import BrowserProtocol
from orion_twisted.net.links import BackendLink, Loss


def _count_nothing(change: int) -> None:
    """Stand in for a gateway that waits for links when it stops."""


@frozen
class Surroundings:
    """
    What a bridge works with.

    Attributes:
        tenant: whose browser it is.
        endpoints: the tenant's backends, each with the text that logs call it by.
        max_message: largest message, in bytes.
        idle: seconds without a message after which a browser is closed; 0 means never.
        link_count: told of each link that comes up (1), and when it has delivered all (-1).
        message_rate, byte_rate: messages, and payload bytes, per second of one browser; 0 for no
            limit.
        backoff: makes the waits between attempts to dial.
        counters: what to add to.
        clock: the reactor, or a test's clock.
    """

    tenant: Tenant
    endpoints: Sequence[tuple[str, IStreamClientEndpoint]]
    max_message: int
    idle: float
    backoff: Callable[[], Backoff]
    counters: Counters
    clock: IReactorTime
    message_rate: int = 0
    byte_rate: int = 0
    link_count: Callable[[int], None] = _count_nothing


class Bridge(ABC):
    """
    One browser and its link.

    Args:
        around: what it works with.
        peer: the browser's address, for logs.
        ended: called once, when the browser's socket is gone or was never opened.
    """

    _log = Logger()

    def __init__(self, around: Surroundings, peer: str, ended: Callable[[Bridge], None]) -> None:
        self._around = around
        self._clock = around.clock
        self._counters = around.counters
        self._peer = peer
        self._ended = ended
        self._browser: BrowserProtocol | None = None
        self._browser_full = False
        self._closing = False
        self._link: BackendLink | None = None
        self._links = LinkFactory(
            around.endpoints, self._build_link, self, around.backoff(), around.clock
        )
        self._dialled: Deferred[None] | None = None
        self._dial_timeout: IDelayedCall | None = None
        self._idle_timer: IDelayedCall | None = None
        self._last_message = 0.0
        self._rates: MessageRates | None = None
        self._slowed: IDelayedCall | None = None

    @abstractmethod
    def _build_link(self) -> BackendLink:
        """Return a link of this mode, for one attempt to dial."""

    @property
    def tenant(self) -> str:
        """The name of the browser's tenant."""
        return self._around.tenant.name

    @property
    def is_open(self) -> bool:
        """Whether the browser is in."""
        return self._browser is not None

    # Before the browser is let in

    def dial(self) -> Deferred[None]:
        """
        Bring a link up.

        Returns:
            A Deferred that fires when there is one, and fails with `BackendDown` if none came
            within the tenant's ``dial_timeout``, or before `close`. Cancelling it ends the bridge.
        """
        dialled: Deferred[None] = Deferred(lambda _: self._abandon())
        self._dialled = dialled
        self._dial_timeout = self._clock.callLater(
            self._around.tenant.dial_timeout, self._dial_failed
        )
        self._links.start()  # an endpoint may bring the link up before this returns
        return dialled

    def _dial_failed(self) -> None:
        dialled, self._dialled = self._dialled, None
        self._abandon()
        if dialled is not None:
            dialled.errback(BackendDown("no link in time"))

    def _abandon(self) -> None:
        self._stop_link()
        self._finish()

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
        self._settle()

    def browser_message(self, payload: bytes, is_binary: bool) -> None:
        if self._closing:
            return
        self._counters.add("messages_from_browsers")
        self._counters.add("bytes_from_browsers", len(payload))
        if self._idle_timer is not None:
            self._last_message = self._clock.seconds()
        if self._rates is not None:
            self._slow_down(self._rates.take(len(payload), self._clock.seconds()))
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
            self.close(error.close_code, error.code)

    def _slow_down(self, wait: float) -> None:
        """Read no more for so many seconds; a browser that owes too much is closed."""
        if wait > MOST_WAIT_FOR_RATE:
            self.close(CloseCode.TOO_FAST, "TOO_FAST")
        elif wait > 0:
            self._cancel(self._slowed)
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
        self._stop_link()
        self._finish()

    # From the link

    def link_up(self, link: BackendLink) -> None:
        self._counters.add("links")
        self._around.link_count(1)
        self._link = link
        self._take_link()
        dialled, self._dialled = self._dialled, None
        if dialled is not None:
            self._cancel(self._dial_timeout)
            dialled.callback(None)
        self._settle()

    @abstractmethod
    def link_proved(self) -> None:
        """The link has brought something, or has stood for a while."""

    def link_payload(self, payload: bytes) -> None:
        if self._browser is None or self._closing:
            return
        message, is_binary = self._from_backend(payload)
        if self._idle_timer is not None:
            self._last_message = self._clock.seconds()
        self._counters.add("messages_to_browsers")
        self._counters.add("bytes_to_browsers", len(message))
        self._browser.send(message, is_binary)

    @abstractmethod
    def link_full(self, full: bool) -> None:
        """The link's send buffer has passed its mark, or has room again."""

    def link_gone(self) -> None:
        self._around.link_count(-1)

    def link_lost(self, loss: Loss) -> None:
        self._link = None
        if loss.error is not None:
            how = loss.error.code
            self._counters.add("backend_errors")
        else:
            how = "ended" if loss.clean else "broken"
        self._counters.add("links_lost", reason=how)
        if loss.cut:
            self._counters.add("frames_cut")
        self._log.info(
            "link of {peer} of {tenant} lost: {how}, {cut} bytes of a frame dropped",
            peer=self._peer,
            tenant=self._around.tenant.name,
            how=how,
            cut=loss.cut,
        )
        if not self._closing:
            self._lost_link(loss)

    # What the modes differ in

    @abstractmethod
    def _from_browser(self, payload: bytes, is_binary: bool) -> None:
        """Carry a message; raise BadMessage if it cannot be carried."""

    @abstractmethod
    def _from_backend(self, payload: bytes) -> tuple[bytes, bool]:
        """Return what the browser is sent, and whether as binary; raise BackendError."""

    @abstractmethod
    def _take_link(self) -> None:
        """A new link has come up."""

    @abstractmethod
    def _lost_link(self, loss: Loss) -> None:
        """The link is gone, and the browser is still there or on its way in."""

    @abstractmethod
    def _may_read_browser(self) -> bool:
        """Say whether more of the browser's messages are welcome."""

    # Who is read

    def _settle(self) -> None:
        """Read from each side only while the other one takes it."""
        link = self._link
        browser = self._browser
        if link is not None:
            if browser is None or self._browser_full or self._closing:
                link.pauseProducing()
            else:
                link.resumeProducing()
        if browser is not None and not self._closing:
            if self._slowed is None and self._may_read_browser():
                browser.resumeProducing()
            else:
                browser.pauseProducing()

    def _look_for_life(self) -> None:
        left = self._last_message + self._around.idle - self._clock.seconds()
        if left > 0:
            self._idle_timer = self._clock.callLater(left, self._look_for_life)
        else:
            self.close(CloseCode.IDLE, "IDLE")

    # The end

    def close(self, code: CloseCode, reason: str) -> None:
        """Tell the browser that it is over; the link ends now, the bridge with the socket."""
        if self._closing:
            return
        if self._browser is None:
            # Nobody is in yet: the request that waits for the dial is refused instead.
            self._dial_failed()
            return
        self._closing = True
        self._stop_link()
        self._browser.close(code, reason)

    def fail(self, error: OrionError) -> None:
        """Close with the code of an error."""
        self.close(error.close_code, error.code)

    def abort(self) -> None:
        """Cut the browser off, closing handshake or not."""
        if self._browser is not None:
            self._browser.abort()
        elif not self._closing:
            self._dial_failed()

    def _stop_link(self) -> None:
        self._closing = True
        self._cancel(self._dial_timeout)
        self._cancel(self._idle_timer)
        self._cancel(self._slowed)
        self._dial_timeout = self._idle_timer = self._slowed = None
        self._link = None
        self._links.stop()

    def _finish(self) -> None:
        ended, self._ended = self._ended, _nothing_left
        ended(self)

    @staticmethod
    def _cancel(call: IDelayedCall | None) -> None:
        if call is not None and call.active():
            call.cancel()


def _nothing_left(bridge: Bridge) -> None:
    """Stand in for what has been called already."""


def _counted(code: int) -> str:
    """Return what a close code is counted as: a browser may choose from two thousand."""
    return str(code) if code < 3000 or code in _OUR_CODES else "other"


_OUR_CODES = frozenset(map(int, CloseCode))
