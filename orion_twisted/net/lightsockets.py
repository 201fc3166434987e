"""
Autobahn's sockets, with less to do when one is made and less to hold while it is idle.

Autobahn copies every option of its factory into every socket, and formats them all for a line of
its debug log that nobody asks for: a quarter of a millisecond. Of the opening handshake it keeps
all that it has read and written, for as long as the socket lives. Here a handshake as the gate
writes it, and a close frame as browsers send it, are answered at one look.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from functools import cache
from hashlib import sha1
from types import CodeType, FunctionType
from typing import Any

from autobahn.twisted.util import peer2str
from autobahn.twisted.websocket import WebSocketServerProtocol
from autobahn.websocket.protocol import TrafficStats, WebSocketProtocol
from autobahn.websocket.utf8validator import Utf8Validator
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from orion_twisted.core.handshake import DialIn, upgrade_request
from orion_twisted.core.settings import Limits
from orion_twisted.net.browser import (
    BrowserFactory,
    BrowserOwner,
    BrowserProtocol,
    browser_factory,
)

_PLAIN_HANDSHAKE = re.compile(
    rb"GET / HTTP/1\.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    rb"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ([0-9A-Za-z+/]{22}==)\r\n"
    rb"(?:Sec-WebSocket-Protocol: ([!#$%&'*+\-.^_`|~0-9A-Za-z]+)\r\n)?\r\n"
)
"""What `upgrade_request` writes for a socket without extensions: key and subprotocol."""

_ANSWER = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3

_PLAIN_CLOSE = {b"\x88\x80": 6, b"\x88\x82": 8}
"""How a browser's close frame begins that gives no reason, and no code or one; and its length."""

_CLOSE_CODES = frozenset({1000, 1001, *range(3000, 5000)})
"""Those that are sent back. Of others, Autobahn knows which of them a browser may send."""


class _WhenAsked:
    """An attribute that a socket makes when it is first asked for it: most never are."""

    def __init__(self, make: Callable[[Any], object]) -> None:
        self._make = make

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, socket: object, kind: type) -> Any:
        if socket is None:
            return self
        made = self._make(socket)
        setattr(socket, self._name, made)
        return made


_ASKED_FOR = {
    "peer": _WhenAsked(lambda socket: peer2str(socket.transport)),  # for lines of the log
    "utf8validator": _WhenAsked(lambda _: Utf8Validator()),
}


class _Nobody:
    """Who waits for what Autobahn announces by a Deferred. Here nobody does."""

    def callback(self, result: object) -> None:
        """It is not kept: a Deferred would keep it, and that is the socket itself."""


_OF_THE_HANDSHAKE = frozenset(
    {
        "_wskey",
        "http_headers",
        "http_request_data",
        "http_request_host",
        "http_request_params",
        "http_request_path",
        "http_request_uri",
        "http_response_data",
        "http_status_line",
        "websocket_extensions",
        "websocket_extensions_in_use",
        "websocket_origin",
        "websocket_protocol_in_use",
        "websocket_protocols",
    }
)
"""What nobody reads once the opening handshake is done."""

_IN_THE_HANDSHAKE = frozenset({"processHandshake", "succeedHandshake"})
"""The methods of Autobahn's that read it before that."""

_INSTEAD: dict[str, Any] = {
    "_results": None,
    "_transport_details": None,
    "_valid_events": None,
    "is_closed": _Nobody(),
    "is_open": _Nobody(),
    "send_queue": (),  # of sends that are cut in pieces, or held back: nobody here asks for that
    "trafficStats": TrafficStats(),  # of all sockets together: nobody reads it
}
"""What does for all sockets, in place of what Autobahn makes for each."""

_AT_REST: dict[str, Any] = {
    "_perMessageCompress": None,
    "autoPingPending": None,
    "autoPingPendingCall": None,
    "autoPingPendingSent": None,
    "autoPingPendingSeq": 0,
    "autoPingTimeoutCall": None,
    "closeHandshakeTimeoutCall": None,
    "closedByMe": False,
    "current_frame": None,
    "data": b"",
    "droppedByMe": False,
    "failedByMe": False,
    "inside_message": False,
    "localCloseCode": None,
    "localCloseReason": None,
    "openHandshakeTimeoutCall": None,
    "remoteCloseCode": None,
    "remoteCloseReason": None,
    "send_state": 0,
    "trackedTimings": None,
    "triggered": False,
    "wasClean": False,
    "wasCloseHandshakeTimeout": False,
    "wasMaxFramePayloadSizeExceeded": False,
    "wasMaxMessagePayloadSizeExceeded": False,
    "wasNotCleanReason": None,
    "wasOpenHandshakeTimeout": False,
    "wasServerConnectionDropTimeout": False,
    "wasServingFlashSocketPolicyFile": False,
    "websocket_version": 13,
}
"""What an idle socket has here most of the time: it needs its own only if that is not so."""

_NOT_KEPT = _OF_THE_HANDSHAKE | _INSTEAD.keys()
_NOTHING = object()


def lighten(factory: BrowserFactory) -> BrowserFactory:
    """
    Have the class of a factory's sockets carry its options; return the factory.

    A socket is slim from when it is open. It is to be called again after the options have changed,
    or the class.
    """
    if why_not() is None:
        factory.browser_class = _light_class(factory)
    return factory


def _light_class(factory: BrowserFactory) -> type[BrowserProtocol]:
    kind = factory.browser_class
    heavy: type[BrowserProtocol] = getattr(kind, "heavy", kind)
    carried = {
        name: _as_attribute(getattr(factory, name))
        for name in heavy.CONFIG_ATTRS
        if not hasattr(heavy, name)
    }
    own = {"CONFIG_ATTRS": [], "heavy": heavy, **_ASKED_FOR}
    return type(
        heavy.__name__, (heavy,), {**_INSTEAD, **_AT_REST, **carried, **own, **_short_ways(heavy)}
    )


def _short_ways(heavy: type[BrowserProtocol]) -> dict[str, Any]:
    """Return how sockets of a class are opened, and end, where they are light."""

    def __init__(self: Any, owner: BrowserOwner | None, subprotocol: str | None) -> None:
        # What Autobahn would make is in the class.
        self.owner = owner
        self.subprotocol = subprotocol

    def connectionMade(self: Any) -> None:
        self._set_tcp_options()
        self.state = self.STATE_CONNECTING
        self.factory.countConnections += 1
        if self.openHandshakeTimeout:
            self.openHandshakeTimeoutCall = self.factory._batched_timer.call_later(
                self.openHandshakeTimeout, self.onOpenHandshakeTimeout
            )

    def processHandshake(self: Any) -> None:
        request = _PLAIN_HANDSHAKE.match(self.data)
        wanted = self.subprotocol
        if request is None or (wanted is not None and wanted.encode("ascii") != request[2]):
            heavy.processHandshake(self)
            return
        rest = self.data[request.end() :]
        self.data = rest
        subprotocol = b"" if wanted is None else b"Sec-WebSocket-Protocol: %s\r\n" % request[2]
        accept = b64encode(sha1(request[1] + _GUID).digest())
        self.transport.write(
            b"%s%sSec-WebSocket-Accept: %s\r\n\r\n" % (_ANSWER, subprotocol, accept)
        )
        self.state = self.STATE_OPEN
        if self.openHandshakeTimeoutCall is not None:
            self.openHandshakeTimeoutCall.cancel()
            self.openHandshakeTimeoutCall = None
        if self.autoPingInterval:
            self.autoPingPendingCall = self.factory._batched_timer.call_later(
                self.autoPingInterval, self._sendAutoPing
            )
        # Not our own `onOpen`: there is nothing of a handshake to be dropped.
        heavy.onOpen(self)
        if self.data:
            self.consumeData()
        else:
            del self.data

    def onOpen(self: BrowserProtocol) -> None:
        heavy.onOpen(self)
        slim(self)

    def _onOpen(self: BrowserProtocol) -> None:
        self.onOpen()  # and nobody is told what TLS knows of the browser: nobody asks

    def _dataReceived(self: Any, data: bytes) -> None:
        if (
            len(data) != _PLAIN_CLOSE.get(data[:2])
            or self.state != self.STATE_OPEN
            or self.data
            or self.current_frame is not None
            or self.inside_message
            or self._paused
            or self._resting is not None
        ):
            heavy._dataReceived(self, data)
            return
        code = None
        if len(data) == 8:
            code = (data[6] ^ data[2]) << 8 | data[7] ^ data[3]
            if code not in _CLOSE_CODES:
                heavy._dataReceived(self, data)
                return
        self.remoteCloseCode = self.localCloseCode = code
        self.transport.write(b"\x88\0" if code is None else b"\x88\2%c%c" % divmod(code, 256))
        self.state = self.STATE_CLOSING
        self.wasClean = True
        self.dropConnection()

    def _tell_end(self: Any, reason: Failure) -> None:
        if isinstance(reason.value, ConnectionDone):
            # What Autobahn does beside that is to word lines of debugging.
            WebSocketProtocol._connectionLost(self, reason)
            self.factory.countConnections -= 1
        else:
            heavy._tell_end(self, reason)

    return {
        each.__name__: each
        for each in (
            *(__init__, connectionMade, processHandshake, onOpen, _onOpen),
            *(_dataReceived, _tell_end),
        )
    }


def _as_attribute(option: Any) -> Any:
    # A function would become a method, and be given the socket.
    return staticmethod(option) if isinstance(option, FunctionType) else option


def slim(socket: BrowserProtocol) -> None:
    """
    Drop what a socket does not need any more once it is open, if its factory is light.

    Those of `lighten` do it in the end of `onOpen`; it may be done at any time after that.
    """
    if not hasattr(socket, "heavy"):
        return
    kind = type(socket)
    # Another dict: one that only loses what is in it stays as large as it was.
    socket.__dict__ = {
        name: value
        for name, value in vars(socket).items()
        if name not in _NOT_KEPT and getattr(kind, name, _NOTHING) is not value
    }


@cache
def why_not() -> str | None:
    """
    Say what is in the way of light sockets in this Autobahn; None if nothing is.

    It is looked up once in a process.
    """
    if not getattr(WebSocketServerProtocol, "CONFIG_ATTRS", None):
        return "WebSocketServerProtocol has no CONFIG_ATTRS"
    for kind in WebSocketServerProtocol.__mro__:
        for name, method in vars(kind).items():
            if isinstance(method, FunctionType) and name not in _IN_THE_HANDSHAKE:
                late = _OF_THE_HANDSHAKE.intersection(_names_in(method.__code__))
                if late:
                    return f"{kind.__name__}.{name} uses {', '.join(sorted(late))}"
    try:
        return _otherwise_opened()
    except AttributeError as error:
        return str(error)


class _Wire:
    """A transport that leads nowhere."""

    def __init__(self) -> None:
        self.written = b""
        self.is_over = False

    def write(self, data: bytes) -> None:
        self.written += data

    def loseConnection(self) -> None:
        self.is_over = True

    def registerProducer(self, producer: object, streaming: bool) -> None:
        """There is never too much."""

    def unregisterProducer(self) -> None:
        """There is never too much."""

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", 0)


class _Owner:
    """Hears what a socket tells."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def browser_opened(self, browser: BrowserProtocol) -> None:
        self.heard.append("open")

    def browser_rests(self) -> None:
        """There are no messages."""

    def browser_lost(self, code: int, reason: str) -> None:
        self.heard.append((code, reason))


class _Trial:
    """A socket without a connection, and what comes of it."""

    def __init__(self, subprotocol: str | None, is_light: bool) -> None:
        self.factory = browser_factory(Limits(), 1, False, Clock())
        if is_light:
            self.factory.browser_class = _light_class(self.factory)
        self.wire: Any = _Wire()
        self.owner = _Owner()
        owner: Any = self.owner
        self.socket: Any = self.factory.connect(owner, subprotocol)
        self.socket.makeConnection(self.wire)
        self.names: set[str] = set()

    def say(self, data: bytes) -> bytes:
        """Have the socket receive something; return what it answers."""
        self.wire.written = b""
        self.socket.dataReceived(data)
        return bytes(self.wire.written)

    def end(self) -> tuple[object, ...]:
        """End the connection; return what else comes of it."""
        self.socket.connectionLost(Failure(ConnectionDone()))
        timers = self.factory.reactor.getDelayedCalls()
        return self.owner.heard, self.wire.is_over, timers, self.factory.countConnections

    def differs_in(self, other: _Trial) -> str | None:
        """
        Return an attribute that the other one's socket has otherwise, or None.

        What Autobahn keeps of the frame that it reads is no part of that: the other has read none.
        """
        self.names = self.names or vars(self.socket).keys() - _NOT_KEPT
        name: str
        for name in sorted(self.names):
            if not _is_alike(getattr(self.socket, name), getattr(other.socket, name)):
                return name
        return None


def _otherwise_opened() -> str | None:
    """Open and close a socket in both ways, and compare what comes of it."""
    for subprotocol, code in ((None, b""), ("chat", b"\3\xe8")):
        request = upgrade_request(DialIn(b"AAAAAAAAAAAAAAAAAAAAAA==", subprotocol), False)
        if _PLAIN_HANDSHAKE.fullmatch(request) is None:
            return "a handshake is written in another way"
        heavy, light = _Trial(subprotocol, False), _Trial(subprotocol, True)
        if heavy.say(request) != light.say(request):
            return "Autobahn answers a handshake in another way"
        if name := heavy.differs_in(light):
            return f"Autobahn opens a socket with another {name}"
        frame = b"\x88%c\0\0\0\0%s" % (0x80 | len(code), code)
        if heavy.say(frame) != light.say(frame):
            return "Autobahn answers a close frame in another way"
        if (name := heavy.differs_in(light)) or heavy.end() != light.end():
            return f"Autobahn closes a socket with another {name or 'end'}"
        if name := heavy.differs_in(light):
            return f"Autobahn ends a socket with another {name}"
    return None


def _is_alike(one: object, other: object) -> bool:
    """Compare what is the same in all sockets; of what each makes for itself, the type."""
    return type(one) is type(other) and (one is None or not _is_plain(one) or one == other)


def _is_plain(value: object) -> bool:
    return isinstance(value, bool | int | str | bytes | list | tuple)


def _names_in(code: CodeType) -> Iterator[str]:
    """Yield the attributes and globals that a function uses, and those inside it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_in(constant)
