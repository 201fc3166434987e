"""
What modes ``relay`` and ``tunnel`` have in common: one browser, its own link, and the end of both.

A bridge is asked to `dial` before the browser's request is answered. It then owns the browser's
socket and the link until both are gone.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from orion_twisted.core.errors import BackendDown, CloseCode
from orion_twisted.net.backend import LinkFactory
from orion_twisted.net.links import BackendLink, Loss
from orion_twisted.service.browser_end import BrowserEnd, cancel
from orion_twisted.service.surroundings import Surroundings


class Bridge(BrowserEnd):
    """One browser and its link."""

    def __init__(
        self, around: Surroundings, peer: str, ended: Callable[[BrowserEnd], None]
    ) -> None:
        super().__init__(around, peer, ended)
        self._link: BackendLink | None = None
        self._links = LinkFactory(
            around.endpoints,
            self._build_link,
            self,
            around.backoff(),
            around.clock,
            around.choice,
            lean_tls=around.codec is not None,
        )
        self._dialled: Deferred[None] | None = None
        self._dial_timeout: IDelayedCall | None = None

    @abstractmethod
    def _build_link(self) -> BackendLink:
        """Return a link of this mode, for one attempt to dial."""

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
        self._stop()
        self._finish()

    def _opened(self) -> None:
        self._settle()

    def browser_rests(self) -> None:
        """Each message has been carried on as it came."""

    # From the link

    def link_up(self, link: BackendLink) -> None:
        self._counters.add("links")
        self._around.link_count(1)
        self._link = link
        if self._around.codec is not None:
            link.hurry()
        self._take_link()
        dialled, self._dialled = self._dialled, None
        if dialled is not None:
            cancel(self._dial_timeout)
            self._dial_timeout = None  # else it would be kept for as long as the browser
            dialled.callback(None)
        self._settle()

    @abstractmethod
    def link_proved(self) -> None:
        """The link has brought something, or has stood for a while."""

    def link_payload(self, payload: bytes) -> None:
        if self._browser is None or self._closing:
            return
        self._send(*self._from_backend(payload))

    def link_rests(self) -> None:
        """Each payload has been carried on as it came."""

    @abstractmethod
    def link_full(self, full: bool) -> None:
        """The link's send buffer has passed its mark, or has room again."""

    def link_gone(self) -> None:
        self._around.link_count(-1)

    def link_lost(self, loss: Loss) -> None:
        self._link = None
        self._around.link_ended(loss, self._peer)
        if not self._closing:
            self._lost_link(loss)

    # What the modes differ in

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
        link = self._link
        if link is not None:
            if self._browser is None or self._browser_full or self._closing:
                link.pauseProducing()
            else:
                link.resumeProducing()
        self._read_browser(self._may_read_browser())

    # The end

    def drain(self, within: float) -> None:
        self.close(CloseCode.GOING_AWAY, "draining")

    def close(self, code: CloseCode, reason: str) -> None:
        """Tell the browser that it is over; the link ends now, the bridge with the socket."""
        if self._closing:
            return
        if self._browser is None:
            # Nobody is in yet: the request that waits for the dial is refused instead.
            self._dial_failed()
        else:
            self._close_browser(code, reason)

    def _let_go(self) -> None:
        cancel(self._dial_timeout)
        self._dial_timeout = None
        self._link = None
        self._links.stop()
