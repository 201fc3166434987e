"""
The WebSocket to a browser: Autobahn does the protocol, an owner does the rest.

A message comes in by `BrowserProtocol.dataReceived`, and goes out by `BrowserProtocol.send`. What
a socket does besides is in the classes that it stands upon: signs of life
(`orion_twisted.net.pings`), messages in pieces (`orion_twisted.net.fragments`), the end
(`orion_twisted.net.closing`). Every option of Autobahn's server is set in `browser_factory`, in
one call.
"""

from __future__ import annotations

from typing import Any
from typing import Protocol as Seam

from autobahn.twisted.websocket import WebSocketServerFactory
from autobahn.websocket.compress import PerMessageDeflateOffer, PerMessageDeflateOfferAccept
from autobahn.websocket.types import ConnectionRequest
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime, ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from orion_twisted.core.errors import CloseCode
from orion_twisted.core.settings import Limits
from orion_twisted.net.closing import FAILED_CLOSE_TIMEOUT
from orion_twisted.net.deflate import BoundedDeflate, deflated_at_worst
from orion_twisted.net.flow import Fullness
from orion_twisted.net.pings import LivelySocket
from orion_twisted.net.timers import Seconds

FRAMES_A_TURN = 16
"""How many frames of one browser are taken before it is the others' turn, about 1 ms of work."""
FIRST_CONTROL = 8
"""The opcodes of control frames begin here (RFC 6455 section 5.2)."""


class BrowserOwner(Seam):
    """Whom a browser's socket reports to."""

    def browser_opened(self, browser: BrowserProtocol) -> None:
        """The opening handshake is done: messages may go both ways."""

    def browser_message(self, payload: bytes, is_binary: bool) -> None:
        """One whole message."""

    def browser_rests(self) -> None:
        """All messages of one read have been told of: write what comes of them now."""

    def browser_full(self, full: bool) -> None:
        """The socket's send buffer has passed its mark (``True``), or has room again."""

    def browser_lost(self, code: int, reason: str) -> None:
        """
        The socket is gone. ``code`` is ours if we began the closing handshake; else it is the
        browser's, 1005 where it gave none, or 1006 if the connection ended without a close frame.
        """


@implementer(IPushProducer)
class BrowserProtocol(LivelySocket):
    """Carry one socket's messages to and from its owner; decide nothing."""

    owner: BrowserOwner | None
    subprotocol: str | None
    factory: BrowserFactory
    _perMessageCompress: Any

    # Of the class until they change: most sockets are idle most of the time.
    _delivering = False
    _resting: IDelayedCall | None = None
    _frames_left = FRAMES_A_TURN
    _messages = 0
    _unfinished: IDelayedCall | None = None

    def __init__(self, owner: BrowserOwner | None, subprotocol: str | None) -> None:
        super().__init__()
        self.owner = owner
        self.subprotocol = subprotocol

    # From Autobahn

    def connectionMade(self) -> None:
        super().connectionMade()
        # Autobahn asks for this before it knows its own options, and swallows the error.
        self._set_tcp_options()

    def _set_tcp_options(self) -> None:
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(self.tcpNoDelay)
            self.transport.setTcpKeepAlive(True)

    def onConnect(self, request: ConnectionRequest) -> str | None:
        return self.subprotocol

    def onOpen(self) -> None:
        if self._perMessageCompress is not None:
            self._perMessageCompress = BoundedDeflate.like(self._perMessageCompress)
        if self.owner is not None:
            Fullness(self.transport, self._tell_full)
            self.owner.browser_opened(self)

    def _tell_full(self, full: bool) -> None:
        super()._tell_full(full)
        if self.owner is not None:
            self.owner.browser_full(full)

    def dataReceived(self, data: bytes) -> None:
        if self.state == self.STATE_CLOSED:
            return  # Autobahn would keep it
        self._dataReceived(data)  # what Autobahn does beside that is to word a line of debugging
        if self._resting is None and self._frames_left != FRAMES_A_TURN:
            self._frames_left = FRAMES_A_TURN
        self._watch_message()
        self._rest()

    def _rest(self) -> None:
        if self.owner is not None:
            self.owner.browser_rests()

    def _watch_message(self) -> None:
        """Time a message that has begun and is not whole; one that is whole costs no timer."""
        if self.state != self.STATE_OPEN:
            return
        if self._unfinished is None and self._has_begun:
            self._unfinished = self.factory.reactor.callLater(
                self.factory.message_time, self._message_too_slow, self._whole_messages
            )

    @property
    def _whole_messages(self) -> int:
        """How many messages have come so far."""
        return self._messages

    @property
    def _has_begun(self) -> bool:
        """Whether a message has begun and is not whole, perhaps with the head of a frame only."""
        if self.inside_message:
            return True
        waits_for_us = self._paused or self._resting is not None
        if waits_for_us or self.current_frame is not None or not self.data:
            return False
        return bool(self.data[0] & 0x0F < FIRST_CONTROL)

    def _message_too_slow(self, messages: int) -> None:
        self._unfinished = None
        if self._whole_messages == messages and not self._paused:
            self._log.warn("closing {peer}: a message takes too long", peer=self.peer)
            self.close(CloseCode.TOO_SLOW, "TOO_SLOW")
        else:
            self._watch_message()  # it is another one by now, or waits for us

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self._messages += 1
        if self.owner is not None and not self._closing:
            self._delivering = True
            try:
                self.owner.browser_message(payload, isBinary)
            finally:
                self._delivering = False

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        owner, self.owner = self.owner, None  # also cuts a cycle of references
        if self.closedByMe:
            # Whatever the browser says to that, or nothing: this is why it is gone.
            code, reason = self.localCloseCode, (self.localCloseReason or b"").decode()
        if owner is not None:
            owner.browser_lost(1005 if code is None else code, reason or "")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        for call in (self._resting, self._unfinished):
            if call is not None and call.active():
                call.cancel()
        super().connectionLost(reason)

    def processData(self) -> bool:
        # One read can hold thousands of frames, each inflating to the limit: while paused they
        # stay what they are, bytes of one read.
        if self._paused or self._resting is not None:
            return False
        if self.current_frame is None:
            if not self._frames_left:
                # The same read would keep every other browser waiting for as long.
                self.transport.pauseProducing()
                self._resting = self.factory.reactor.callLater(0, self._go_on)
                return False
            self._frames_left -= 1
        return bool(super().processData())

    def _go_on(self) -> None:
        self._resting = None
        self._frames_left = FRAMES_A_TURN
        if not self._paused:
            self.consumeData()
            self._watch_message()
            self._rest()
            if not self._paused and self._resting is None:
                self.transport.resumeProducing()

    # From the owner

    def allow(self, max_message: int) -> None:
        """Take messages of another size from now on, in bytes."""
        self.maxFramePayloadSize = self.maxMessagePayloadSize = max_message

    def send(self, payload: bytes, is_binary: bool) -> None:
        """Send one message; one that comes after the close frame is dropped (RFC 6455 5.5.1)."""
        if self.state == self.STATE_OPEN:  # else Autobahn raises
            self.sendMessage(payload, is_binary, doNotCompress=self._may_outgrow(payload))

    def send_all(self, messages: list[tuple[bytes, bool]]) -> None:
        """Send messages, each a payload and whether it is binary."""
        for payload, is_binary in messages:
            self.send(payload, is_binary)

    def _may_outgrow(self, payload: bytes) -> bool:
        """Say whether a payload that does not compress might become larger than the limit."""
        limit: int = self.maxMessagePayloadSize
        return deflated_at_worst(len(payload)) > limit

    def pauseProducing(self) -> None:
        if not self._paused and self.state == self.STATE_OPEN:
            self._paused = True
            self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        if not self._paused:
            return
        self._paused = False
        if self._unfinished is not None:
            self._unfinished.reset(self.factory.message_time)  # until now it was waiting for us
        if self._resting is not None:
            return  # it goes on by itself
        if not self._delivering:  # else the message before it is still being delivered
            self._catch_up()  # what is already here goes first, and may pause us again
        if not self._paused and self._resting is None:
            # Even if that was the browser's close frame: TLS still waits for its close_notify.
            self.transport.resumeProducing()

    def _catch_up(self) -> None:
        self.consumeData()
        self._watch_message()
        self._rest()

    def stopProducing(self) -> None:
        self.close(CloseCode.GOING_AWAY, "")


class BrowserFactory(WebSocketServerFactory):
    """Options for the sockets of one tenant. `connect` makes a socket; nothing listens here."""

    noisy = False
    browser_class: type[BrowserProtocol] = BrowserProtocol
    way: Any = None
    """How the frames go, where not all of them through Autobahn (`orion_twisted.net.hotpath`)."""
    message_time: float
    """Seconds from the first byte of a message to its last."""

    def connect(self, owner: BrowserOwner | None, subprotocol: str | None) -> BrowserProtocol:
        """Return the protocol of a browser whose request has been accepted."""
        browser = self.browser_class(owner, subprotocol)
        browser.factory = self
        return browser


def browser_factory(
    limits: Limits, max_message: int, compression: bool, reactor: IReactorTime
) -> BrowserFactory:
    """
    Return the factory of a tenant's sockets.

    Args:
        limits: the node's; its times are in seconds.
        max_message: largest message in bytes, after inflation where it came compressed.
        compression: whether permessage-deflate is agreed to when a browser offers it.
        reactor: for timers.
    """
    factory = BrowserFactory(server="", reactor=reactor)
    factory.message_time = limits.message_time
    factory._batched_timer = Seconds(reactor)
    factory.setProtocolOptions(
        versions=[13],
        webStatus=False,
        utf8validateIncoming=True,
        requireMaskedClientFrames=True,
        maskServerFrames=False,
        applyMask=True,
        maxFramePayloadSize=max_message,
        maxMessagePayloadSize=max_message,
        autoFragmentSize=0,
        failByDrop=False,
        echoCloseCodeReason=True,
        openHandshakeTimeout=limits.handshake,
        closeHandshakeTimeout=FAILED_CLOSE_TIMEOUT,
        tcpNoDelay=True,
        perMessageCompressionAccept=_accept_deflate if compression else _accept_nothing,
        autoPingInterval=limits.ping_every,
        autoPingTimeout=limits.ping_timeout,
        autoPingSize=12,
        autoPingRestartOnAnyTraffic=True,
        serveFlashSocketPolicy=False,
        allowedOrigins=["*"],  # the gate has decided; two rules would be one too many
        allowNullOrigin=True,
        maxConnections=0,
        trustXForwardedFor=0,
    )
    return factory


def _accept_nothing(offers: list[Any]) -> None:
    return None


def _accept_deflate(offers: list[Any]) -> PerMessageDeflateOfferAccept | None:
    """Take the first offer as it stands. The inflated size is bounded by the message limit."""
    for offer in offers:
        if isinstance(offer, PerMessageDeflateOffer):
            return PerMessageDeflateOfferAccept(offer)
    return None
