"""
The WebSocket to a browser: Autobahn does the protocol, an owner does the rest.

Every option of Autobahn's server is set in `browser_factory`, in one call. What Autobahn would do
differently from us is overridden here, with the reason beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast
from typing import Protocol as Seam

from attrs import define
from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.util import encode_truncate
from autobahn.websocket.compress import PerMessageDeflateOffer, PerMessageDeflateOfferAccept
from autobahn.websocket.types import ConnectionRequest
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime, ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from orion_twisted.core.errors import CloseCode
from orion_twisted.core.settings import Limits
from orion_twisted.net.deflate import BoundedDeflate, deflated_at_worst
from orion_twisted.net.flow import Fullness, acknowledged

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
FRAMES_A_TURN = 16
"""How many frames of one browser are taken before it is the others' turn, about 1 ms of work."""
CALLS_A_TURN = 1000
"""How many timers of sockets go off before it is the others' turn, such as those of pings."""
MOST_OF_A_PING = 128
"""Bytes that a ping takes on the wire, TLS included: a browser that has taken no more than that
may be gone, and only its system be there."""
MOST_PIECES = 64
"""How many pieces of a message are kept apart, until they are put together: each takes 35 bytes
and more beside what is in it, and there may be as many of them as bytes."""
FIRST_CONTROL = 8
"""The opcodes of control frames begin here (RFC 6455 section 5.2)."""
MAX_REASON = 123
"""Bytes of a close reason (RFC 6455 section 5.5: a control frame holds 125)."""


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
class BrowserProtocol(WebSocketServerProtocol):
    """Carry one socket's messages to and from its owner; decide nothing."""

    _log = Logger()  # not `log`: Autobahn owns that name
    owner: BrowserOwner | None
    subprotocol: str | None
    factory: BrowserFactory
    closeHandshakeTimeoutCall: Any
    current_frame: Any
    message_data: Any
    message_data_total_length: int
    frame_data: Any
    _perMessageCompress: Any

    # Of the class until they change: most sockets are idle most of the time.
    _paused = False
    _delivering = False
    _resting: IDelayedCall | None = None
    _frames_left = FRAMES_A_TURN
    _messages = 0
    _unfinished: IDelayedCall | None = None
    _closing = False
    _full = False
    _unanswered: bytes | None = None
    _taken: int | None = None
    _stalled: IDelayedCall | None = None

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
        self._full = full
        if not full and self._unanswered is not None:
            payload, self._unanswered = self._unanswered, None
            super().onPing(payload)
        if self.owner is not None:
            self.owner.browser_full(full)

    def onPing(self, payload: bytes) -> None:
        if self._full:
            # Who reads no pongs may still send pings: the last one alone is answered, once there
            # is room (RFC 6455 section 5.5.3).
            self._unanswered = payload
        else:
            super().onPing(payload)

    def onMessageFrameBegin(self, length: int) -> None:
        if not self._isMessageCompressed:
            super().onMessageFrameBegin(length)
            return
        # Not counted before it is here, and then as what it inflates to: else a message close to
        # the limit would be too large, or not, by how its bytes are cut.
        super().onMessageFrameBegin(0)
        most = deflated_at_worst(self.maxMessagePayloadSize)
        if length > most and not self.failedByMe:
            self._max_message_size_exceeded(length, most, "a frame is too large")

    def onFrameData(self, payload: bytes) -> bool | None:
        if self._drops_data:
            return None
        if self.current_frame.opcode <= 7 and self._isMessageCompressed:
            self.message_data_total_length += len(payload)  # which Autobahn takes off again
        return cast("bool | None", super().onFrameData(payload))

    def onFrameEnd(self) -> bool | None:
        if not self._drops_data:
            return cast("bool | None", super().onFrameEnd())
        if self.current_frame.fin:
            self.inside_message = False
            self.message_data = None
        self.frame_data = None
        self.current_frame = None
        return None

    @property
    def _drops_data(self) -> bool:
        """
        Whether this is a data frame after the end has begun on our side.

        Autobahn would inflate it, and keep what it then cannot go on with.
        """
        return (self._closing or self.failedByMe) and bool(self.current_frame.opcode <= 7)

    def onMessageFrameData(self, payload: bytes) -> None:
        super().onMessageFrameData(payload)
        _put_together(self.frame_data)

    def onMessageFrame(self, payload: list[bytes]) -> None:
        super().onMessageFrame(payload)
        _put_together(self.message_data)

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
        for call in (self._stalled, self._resting, self._unfinished):
            if call is not None and call.active():
                call.cancel()
        super().connectionLost(reason)
        self.is_closed = None  # Autobahn's Deferred has fired with ourselves: a cycle
        if self.closeHandshakeTimeoutCall is not None:
            self.closeHandshakeTimeoutCall.cancel()  # the one timer that Autobahn forgets
            self.closeHandshakeTimeoutCall = None

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

    def _cut(self) -> None:
        self.transport.abortConnection()

    # From the owner

    @property
    def may_send(self) -> bool:
        """Whether what is sent now goes out: not once either side has begun to close."""
        return bool(self.state == self.STATE_OPEN)

    @property
    def has_failed(self) -> bool:
        """Whether the other side has broken RFC 6455, or a limit, and was closed for it."""
        return bool(self.failedByMe)

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


def _put_together(pieces: Any) -> None:
    """Join the pieces of a message if they are very many; the cost is linear in its bytes."""
    if len(pieces) > MOST_PIECES:
        whole = pieces[0] if isinstance(pieces[0], bytearray) else bytearray(pieces[0])
        whole += b"".join(pieces[1:])
        pieces[:] = [whole]


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
    factory._batched_timer = _Seconds(reactor)
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


class _Seconds:
    """
    Autobahn's timers: those that are due within one second go off together, at its end.

    Its own hold more for each of them, look through all others of a second to cancel one, and go
    off up to a second early: with a ping timeout of half a second it would be over before the
    ping is out.

    Args:
        reactor: whose time it is.
    """

    _log = Logger()

    def __init__(self, reactor: IReactorTime) -> None:
        self._reactor = reactor
        self._due: dict[int, tuple[IDelayedCall, dict[_Call, None]]] = {}

    def call_later(self, delay: float, function: Callable[[], object]) -> _Call:
        """Have a function called in so many seconds, or up to one second later."""
        now = self._reactor.seconds()
        second = int(now + delay) + 1
        if second not in self._due:
            timer = self._reactor.callLater(second - now, self._go_off, second)
            self._due[second] = timer, {}
        call = _Call(self, second, function)
        self._due[second][1][call] = None
        return call

    def cancel(self, second: int, call: _Call) -> None:
        """Forget a call, if it is still to come."""
        timer, calls = self._due.get(second, (None, {}))
        calls.pop(call, None)
        if timer is not None and not calls:
            del self._due[second]
            if timer.active():
                timer.cancel()

    def _go_off(self, second: int) -> None:
        _, calls = self._due[second]
        for call in list(calls)[:CALLS_A_TURN]:
            if call in calls:  # else one before it has cancelled it
                del calls[call]
                try:
                    call.function()
                except Exception:
                    self._log.failure("bug in a timer of a socket")
        self._due.pop(second, None)
        if calls:
            self._due[second] = self._reactor.callLater(0, self._go_off, second), calls


@define(eq=False, weakref_slot=False)
class _Call:
    """A call that is to come; Autobahn cancels it."""

    _timers: _Seconds
    _second: int
    function: Callable[[], object]

    def cancel(self) -> None:
        self._timers.cancel(self._second, self)


def _accept_nothing(offers: list[Any]) -> None:
    return None


def _accept_deflate(offers: list[Any]) -> PerMessageDeflateOfferAccept | None:
    """Take the first offer as it stands. The inflated size is bounded by the message limit."""
    for offer in offers:
        if isinstance(offer, PerMessageDeflateOffer):
            return PerMessageDeflateOfferAccept(offer)
    return None
