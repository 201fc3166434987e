"""
Autobahn's sockets, with less to do when one is made and less to hold while it is idle.

Autobahn copies every option of its factory into every socket, and formats them all for a line of
its debug log that nobody asks for: a quarter of a millisecond. Of the opening handshake it keeps
all that it has read and written, for as long as the socket lives.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from types import CodeType, FunctionType
from typing import Any

from autobahn.twisted.websocket import WebSocketServerProtocol

from orion_twisted.net.browser import BrowserFactory, BrowserProtocol


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
}
"""What does for all sockets, in place of what Autobahn makes for each."""

_AT_REST: dict[str, Any] = {
    "_perMessageCompress": None,
    "autoPingPending": None,
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
    kind = factory.browser_class
    heavy: type[BrowserProtocol] = getattr(kind, "heavy", kind)
    if why_not() is None:
        carried = {
            name: _as_attribute(getattr(factory, name))
            for name in heavy.CONFIG_ATTRS
            if not hasattr(heavy, name)
        }

        def onOpen(self: BrowserProtocol) -> None:
            heavy.onOpen(self)
            slim(self)

        own = {"CONFIG_ATTRS": [], "heavy": heavy, "onOpen": onOpen}
        factory.browser_class = type(
            heavy.__name__, (heavy,), {**_INSTEAD, **_AT_REST, **carried, **own}
        )
    return factory


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
    return None


def _names_in(code: CodeType) -> Iterator[str]:
    """Yield the attributes and globals that a function uses, and those inside it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_in(constant)
