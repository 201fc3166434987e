"""
One WebSocket to the gateway: Autobahn does the protocol, an owner does the rest.

Every option of Autobahn's client is set in `socket_factory`, in one call. Its timers are all off:
they tell time by the global reactor, to whole seconds; those here use the clock that is handed in.
"""

from __future__ import annotations

import re
from typing import Any
from typing import Protocol as Seam

from attrs import field, frozen
from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from autobahn.util import encode_truncate
from autobahn.websocket.types import ConnectingRequest, ConnectionResponse
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IDelayedCall, IReactorTime, ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from orion_twisted.client.limits import ClientLimits
from orion_twisted.client.reconnect import End
from orion_twisted.client.target import Target, why
from orion_twisted.client.wire import MAX_HEADER

MAX_HEAD = 16 * 1024
"""Bytes of the gateway's answer to the upgrade."""
MAX_REASON = 123
"""Bytes of a close reason (RFC 6455 section 5.5: a control frame holds 125)."""
ABNORMAL = 1006
"""The close code of a socket that ended without a close frame (RFC 6455 section 7.4.1)."""
NO_CODE = 1005
"""That of a close frame without a code."""

MOST_PIECES = 64
"""How many pieces of a message are kept apart: each takes 35 bytes beside what is in it, and a
gateway that lies may send as many as there are bytes, or empty ones without end."""

BEARER_PREFIX = "orion.bearer."
"""Before a token, where it goes among the subprotocols."""

_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]+")
_ORIGIN = re.compile(r"[!-~]+")
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])(?: |\r\n)")
_RETRY_AFTER = re.compile(rb"\r\nretry-after:[ \t]*([0-9]{1,6})[ \t]*\r\n", re.IGNORECASE)


class SocketOwner(Seam):
    """Whom a socket reports to."""

    def socket_open(self, socket: ClientSocket, subprotocol: str | None) -> None:
        """The upgrade is done, and this subprotocol agreed to: messages may go both ways."""

    def socket_message(self, socket: ClientSocket, payload: bytes, is_binary: bool) -> None:
        """One whole message."""

    def socket_ended(self, socket: ClientSocket, end: End) -> None:
        """No message comes or goes any more; called once for each socket."""

    def socket_gone(self, socket: ClientSocket) -> None:
        """The connection is gone, too."""


@frozen
class Upgrade:
    """
    What a socket asks for.

    Attributes:
        target: where.
        subprotocols: what it offers, the best first.
        token: offered beside them.
        origin: what it says as its page's origin.

    Raises:
        ValueError: token or origin would not arrive as they are.
    """

    target: Target
    subprotocols: tuple[str, ...]
    token: str | None = field(default=None, repr=False)
    origin: str | None = None

    def __attrs_post_init__(self) -> None:
        # What they are is not repeated: this goes to logs.
        if self.token is not None and _TOKEN.fullmatch(self.token) is None:
            raise ValueError("the token has characters that none has")
        if self.origin is not None and _ORIGIN.fullmatch(self.origin) is None:
            raise ValueError("the origin has characters that none has")

    def request(self) -> ConnectingRequest:
        """Return it as Autobahn wants it."""
        bearer = [] if self.token is None else [BEARER_PREFIX + self.token]
        return ConnectingRequest(
            host=self.target.host_in_url,
            port=self.target.port,
            resource=self.target.resource,
            useragent="orion-twisted",
            origin=self.origin,
            protocols=[*self.subprotocols, *bearer],
        )


class ClientSocket(WebSocketClientProtocol):
    """Carry messages to and from an owner; decide nothing."""

    _log = Logger()  # not `log`: Autobahn owns that name
    factory: SocketFactory

    def __init__(self, owner: SocketOwner, upgrade: Upgrade) -> None:
        super().__init__()
        self._owner: SocketOwner | None = owner
        self._upgrade = upgrade
        self._was_open = False
        self._has_ended = False
        self._heard = False
        self._beat: IDelayedCall | None = None
        self._cut: IDelayedCall | None = None
        self._pings: dict[bytes, tuple[Deferred[float], float]] = {}
        self._last_ping = 0

    # From Autobahn

    def connectionMade(self) -> None:
        super().connectionMade()
        if ITCPTransport.providedBy(self.transport):
            # Autobahn asks for this before it knows its own options, and swallows the error.
            self.transport.setTcpNoDelay(True)
            self.transport.setTcpKeepAlive(True)

    def onConnecting(self, transport_details: object) -> ConnectingRequest:
        return self._upgrade.request()

    def processHandshake(self) -> None:
        """Read a refusal ourselves: Autobahn has no limit for a head, and hides the status."""
        end = self.data.find(b"\r\n\r\n")
        if end < 0 and len(self.data) <= MAX_HEAD:
            return
        head = bytes(self.data[: end + 4])
        status = _STATUS_LINE.match(head)
        if not 0 <= end <= MAX_HEAD or status is None or not head.isascii():
            self._end(End(None, "the answer to the upgrade is no HTTP/1.1"))
            self.abort()
        elif status[1] != b"101":
            asked = _RETRY_AFTER.search(head)
            seconds = 0.0 if asked is None else float(asked[1])
            code = int(status[1])
            self._end(End(None, f"the gateway refused, HTTP status {code}", code, seconds))
            self.abort()
        else:
            super().processHandshake()

    def failHandshake(self, reason: str) -> None:
        # The status was 101, and what came with it makes no WebSocket of RFC 6455.
        self._end(End(1002, f"the answer to the upgrade is wrong: {reason}"))
        self.abort()

    def onConnect(self, response: ConnectionResponse) -> None:
        self._subprotocol = response.protocol

    def onOpen(self) -> None:
        self._was_open = True
        limits = self.factory.limits
        self._beat = self.factory.reactor.callLater(limits.ping_every, self._send_beat)
        if self._owner is not None:
            self._owner.socket_open(self, self._subprotocol)

    def dataReceived(self, data: bytes) -> None:
        self._heard = True
        if self.state != self.STATE_CLOSED:  # Autobahn would keep it
            self._dataReceived(data)

    def onMessageFrameData(self, payload: bytes) -> None:
        super().onMessageFrameData(payload)
        _gather(self.frame_data)

    def onMessageFrame(self, payload: list[bytes]) -> None:
        super().onMessageFrame(payload)
        _gather(self.message_data)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        if self._owner is not None and not self._has_ended:
            self._owner.socket_message(self, payload, isBinary)

    def onPong(self, payload: bytes) -> None:
        if payload in self._pings:
            answered, sent = self._pings.pop(payload)
            answered.callback(self.factory.reactor.seconds() - sent)

    def onCloseFrame(self, code: int | None, reasonRaw: bytes | None) -> bool | None:
        skip: bool | None = super().onCloseFrame(code, reasonRaw)
        if not self.failedByMe:
            number = NO_CODE if self.remoteCloseCode is None else self.remoteCloseCode
            self._end(End(number, self.remoteCloseReason or f"closed with {number}"))
        return skip

    def sendCloseFrame(
        self, code: int | None = None, reasonUtf8: bytes | None = None, isReply: bool = False
    ) -> None:
        # All ends come through here: ours, the answer to the gateway's, Autobahn's own verdicts.
        super().sendCloseFrame(code, reasonUtf8, isReply)
        if self.state == self.STATE_CLOSING and self._cut is None:
            self._cut = self.factory.reactor.callLater(self.factory.limits.close, self.abort)
        if self.failedByMe:
            number = NO_CODE if code is None else code
            self._end(End(number, (reasonUtf8 or b"").decode()))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        for call in (self._beat, self._cut):
            if call is not None and call.active():
                call.cancel()
        # Not the adapter's method: it logs what the owner is about to judge.
        self._connectionLost(reason)
        self.is_closed = None  # Autobahn's Deferred has fired with ourselves: a cycle
        self._end(End(ABNORMAL if self._was_open else None, why(reason)))
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.socket_gone(self)

    def _end(self, end: End) -> None:
        if not self._has_ended:
            self._has_ended = True
            pings, self._pings = self._pings, {}
            for answered, _ in pings.values():
                answered.errback(ConnectionLost(end.why))
            if self._owner is not None:
                self._owner.socket_ended(self, end)

    # The heartbeat: a gateway that says nothing, not even a pong, is gone.

    def _send_beat(self) -> None:
        self._heard = False
        if self.state == self.STATE_OPEN:
            self.sendPing(b"beat")
            limits = self.factory.limits
            self._beat = self.factory.reactor.callLater(limits.ping_timeout, self._judge_beat)

    def _judge_beat(self) -> None:
        limits = self.factory.limits
        if self._heard:
            self._beat = self.factory.reactor.callLater(limits.ping_every, self._send_beat)
        else:
            self._end(End(ABNORMAL, f"no sign of life for {limits.ping_timeout:g} s"))
            self.abort()

    # From the owner

    def send(self, payload: bytes, is_binary: bool) -> None:
        """Send one message; on a socket that is no longer open it is dropped."""
        if self.state == self.STATE_OPEN:
            # Not `sendMessage`: it would hold us to the limit for what we receive.
            self.sendFrame(opcode=2 if is_binary else 1, payload=payload)

    def ping(self) -> Deferred[float]:
        """
        Ask for a pong.

        Returns:
            A Deferred that fires with the seconds until it came, and fails with `ConnectionLost`
            if the socket ends first. Cancelling gives up waiting for it.
        """
        answered: Deferred[float] = Deferred()
        self._last_ping += 1
        name = b"%d" % self._last_ping
        self._pings[name] = (answered, self.factory.reactor.seconds())
        self.sendPing(name)
        return answered

    def close(self, code: int, reason: str) -> None:
        """Begin the closing handshake; before the upgrade is done, cut the connection off."""
        if self.state == self.STATE_OPEN:
            # Not `sendClose`: it would refuse 1002.
            self.sendCloseFrame(code, encode_truncate(reason, MAX_REASON), isReply=False)
        elif self.state != self.STATE_CLOSING:
            self.abort()

    def abort(self) -> None:
        """Cut the connection off."""
        self.transport.abortConnection()


def _gather(pieces: list[bytes | bytearray]) -> None:
    """Make one piece of very many; each byte is copied once, however many calls it takes."""
    if len(pieces) > MOST_PIECES:
        first = pieces[0]
        whole = first if isinstance(first, bytearray) else bytearray(first)
        for piece in pieces[1:]:
            whole += piece
        pieces[:] = [whole]


class SocketFactory(WebSocketClientFactory):
    """Options for a client's sockets, made once; `socket` makes each of them."""

    noisy = False
    limits: ClientLimits

    def socket(self, owner: SocketOwner, upgrade: Upgrade) -> ClientSocket:
        """Return a protocol for one connection."""
        socket = ClientSocket(owner, upgrade)
        socket.factory = self
        return socket


def socket_factory(
    subprotocols: tuple[str, ...], limits: ClientLimits, reactor: IReactorTime
) -> SocketFactory:
    """
    Return the factory of a client's sockets.

    Args:
        subprotocols: all that the gateway may agree to.
        limits: of the client.
        reactor: for timers.
    """
    factory: Any = SocketFactory(reactor=reactor, protocols=list(subprotocols))
    factory.limits = limits
    most = limits.message + MAX_HEADER + 1
    factory.setProtocolOptions(
        version=18,
        utf8validateIncoming=True,
        acceptMaskedServerFrames=False,
        maskClientFrames=True,
        applyMask=True,
        maxFramePayloadSize=most,
        maxMessagePayloadSize=most,
        autoFragmentSize=0,
        failByDrop=False,
        echoCloseCodeReason=True,
        serverConnectionDropTimeout=0,
        openHandshakeTimeout=0,
        closeHandshakeTimeout=0,
        tcpNoDelay=True,
        perMessageCompressionOffers=[],
        perMessageCompressionAccept=_accept_nothing,
        autoPingInterval=0,
        autoPingTimeout=0,
        autoPingSize=12,
        autoPingRestartOnAnyTraffic=True,
    )
    return factory  # type: ignore[no-any-return]


def _accept_nothing(response: object) -> None:
    """Compression was not offered."""
