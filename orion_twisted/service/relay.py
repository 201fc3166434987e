"""Mode ``relay``: whole messages, over a link that may come back under the browser."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall

from orion_twisted.core.errors import BackendDown
from orion_twisted.core.frames import decoder, encoder
from orion_twisted.core.messages import message_codec
from orion_twisted.core.relay import LinkEvent, Relay
from orion_twisted.net.hotpath import HotBrowserProtocol, SplicedLink
from orion_twisted.net.links import BackendLink, FramedLink, Loss
from orion_twisted.net.pump import READS_BEFORE_PUMPS, Joint, join, new_tally
from orion_twisted.service.bridge import Bridge
from orion_twisted.service.browser_end import BrowserEnd, cancel
from orion_twisted.service.surroundings import Surroundings


class RelayBridge(Bridge):
    """Carries what `orion_twisted.core.relay.Relay` decides."""

    def __init__(
        self, around: Surroundings, peer: str, ended: Callable[[BrowserEnd], None]
    ) -> None:
        super().__init__(around, peer, ended)
        tenant = around.tenant
        codec = message_codec(tenant.message_type)
        self._max_payload = around.max_message + codec.overhead
        self._relay = Relay(
            codec,
            encoder(tenant.framing),
            window_bytes=tenant.session.window_bytes,
            grace=tenant.link_grace,
        )
        self._grace_timer: IDelayedCall | None = None
        self._joint: Joint | None = None
        self._reads = 0

    def _build_link(self) -> BackendLink:
        tenant, codec = self._around.tenant, self._around.codec
        if codec is not None and self._around.is_spliced:
            reader = codec.link_reader(self._max_payload, tenant.framing, tenant.message_type)
            return SplicedLink(reader)
        return FramedLink(decoder(self._around.tenant.framing, self._max_payload))

    def _from_browser(self, payload: bytes, is_binary: bool) -> None:
        self._relay.from_browser(payload, is_binary)
        self._pump()
        self._settle()

    def browser_frames(self, frames: bytes, count: int, size: int) -> None:
        """Messages of the browser, framed for the link already."""
        if self._came(count, size):
            self._relay.frames_from_browser(frames, count)
            self._pump()
            self._settle()

    def link_frames(self, frames: bytes, count: int, size: int) -> None:
        """Messages of the backend, as WebSocket frames already."""
        browser = self._browser
        if isinstance(browser, HotBrowserProtocol) and not self._closing:
            self._goes(count, size)
            browser.send_frames(frames)
            self._reads += 1
            if self._reads == READS_BEFORE_PUMPS and self._around.has_pumps:
                self._join(browser)

    def _join(self, browser: HotBrowserProtocol) -> None:
        """Have pumps carry what is plain, past all that is here."""
        link, traffic = self._link, self._counters.traffic
        if isinstance(link, SplicedLink) and self._relay.is_direct:
            if traffic.tally is None:
                traffic.tally = new_tally()
            seconds = self._clock.seconds if self._around.idle else None
            self._joint = join(browser, link, traffic.tally, seconds)

    def _part(self) -> None:
        self._reads = 0
        joint, self._joint = self._joint, None
        if joint is not None:
            self._last_message = max(self._last_message, joint.last_message)
            joint.part()

    def _from_backend(self, payload: bytes) -> tuple[bytes, bool]:
        return self._relay.from_backend(payload)

    def _may_read_browser(self) -> bool:
        return self._relay.may_read_browser

    def _pump(self) -> None:
        """Write what waits, for as long as the link takes it."""
        link = self._link
        while link is not None and link.is_open:
            frame = self._relay.next_for_backend()
            if frame is None:
                return
            link.send(frame)

    def link_full(self, full: bool) -> None:
        if self._closing:
            return
        self._relay.link_full(full)
        self._pump()
        self._settle()
        if self._joint is not None:
            # What waits here goes first.
            self._joint.upwards.is_open = self._relay.is_direct

    def link_proved(self) -> None:
        self._relay.feed(LinkEvent.PROOF, self._clock.seconds())

    def _take_link(self) -> None:
        cancel(self._grace_timer)
        self._relay.feed(LinkEvent.CONNECTED, self._clock.seconds())
        self._pump()

    def _look_for_life(self) -> None:
        if self._joint is not None:
            self._last_message = max(self._last_message, self._joint.last_message)
        super()._look_for_life()

    def _lost_link(self, loss: Loss) -> None:
        self._part()
        self._relay.feed(LinkEvent.LOST, self._clock.seconds())
        if loss.error is not None:
            # A message from the backend is lost for sure, and what follows it is unknown.
            self.fail(loss.error)
            return
        deadline = self._relay.deadline
        assert deadline is not None
        left = max(deadline - self._clock.seconds(), 0.0)
        self._grace_timer = self._clock.callLater(left, self._out_of_patience)
        self._settle()

    def _out_of_patience(self) -> None:
        self.fail(BackendDown("the link did not come back within link_grace"))

    def _let_go(self) -> None:
        self._part()
        # What has been accepted goes out even if the link is full: the window bounds it.
        self._relay.link_full(False)
        self._pump()
        self._counters.add("messages_undelivered", self._relay.waiting)
        self._relay.feed(LinkEvent.STOP, self._clock.seconds())
        cancel(self._grace_timer)
        super()._let_go()
