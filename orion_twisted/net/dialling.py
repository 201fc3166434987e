"""
How backends are dialled: what is sent goes out at once, and what comes to nothing leaves nothing.

At an address that needs no look-up a link dials by itself (`DirectEndpoint`). All else is dialled
by Twisted's endpoints, which are given a `DiallingReactor` in place of the reactor.
"""

from __future__ import annotations

import re
from errno import EAGAIN, EINPROGRESS
from os import strerror
from typing import Any
from typing import Protocol as Seam

from twisted.internet import tcp
from twisted.internet.abstract import isIPAddress
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString
from twisted.internet.error import ConnectBindError, ConnectingCancelledError, getConnectError
from twisted.internet.interfaces import (
    IAddress,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from twisted.internet.posixbase import PosixReactorBase
from twisted.python.failure import Failure
from zope.interface import directlyProvides, implementer, providedBy

from orion_twisted.net import eager
from orion_twisted.net.eager import EagerClient, make_eager, nothing_left

_AN_ADDRESS = re.compile(r"tcp:(?:host=)?([0-9.]+):(?:port=)?([0-9]{1,5})")

_names: Any = vars(tcp).get("socket")  # Twisted's, who has the sockets


def endpoint_of(reactor: Any, description: str) -> IStreamClientEndpoint:
    """
    Return what dials a backend, by the string that settings have.

    Raises:
        ValueError, OSError and others: Twisted cannot make anything of the string, or of a file
            that it names.
    """
    endpoint: IStreamClientEndpoint = clientFromString(DiallingReactor(reactor), description)
    plain = _AN_ADDRESS.fullmatch(description)
    if plain is None or not isIPAddress(plain[1]) or why_not() is not None:
        return endpoint
    if not isinstance(reactor, PosixReactorBase):
        return endpoint  # it may dial in a way of its own
    return DirectEndpoint(reactor, (plain[1], int(plain[2])), endpoint)


class Dialler(Seam):
    """Who dials directly. Its names are those of a connector, as Twisted's transports call it."""

    def buildProtocol(self, addr: IAddress | None) -> IProtocol:
        """The connection is there. It is not read until its protocol resumes it."""

    def connectionFailed(self, reason: Failure) -> None:
        """There will be none."""


@implementer(IStreamClientEndpoint)
class DirectEndpoint:
    """
    A backend at an IPv4 address.

    Twisted's way there has a connector, two factories, a Deferred and a protocol around the link,
    and a timer of its own; what is read passes through one of these for good.

    Args:
        reactor: of the system's own sockets.
        address: host and port.
        endpoint: the same backend, as Twisted dials it.
    """

    def __init__(
        self, reactor: PosixReactorBase, address: tuple[str, int], endpoint: IStreamClientEndpoint
    ) -> None:
        self._reactor = reactor
        self._address = address
        self._endpoint = endpoint

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Dial in Twisted's way."""
        return self._endpoint.connect(protocolFactory)

    def dial(self, dialler: Dialler) -> DirectClient:
        """
        Begin to dial, at once; the dialler hears what comes of it, and not before the next turn.

        Raises:
            ConnectBindError: the system gives no socket.
        """
        return DirectClient(self._reactor, self._address, dialler)


class DirectClient(EagerClient):
    """A connection that is being dialled. Once it is up it is an `EagerClient` like others."""

    connector: Any

    def __init__(self, reactor: Any, address: tuple[str, int], dialler: Dialler) -> None:
        try:
            socket = self.createInternetSocket()
        except OSError as error:
            raise ConnectBindError(error.errno, error.strerror) from None
        tcp.Connection.__init__(self, socket, None, reactor)  # type: ignore[arg-type]  # as tcp has it
        self.connector = dialler
        self.addr = self.realAddress = address
        self.doRead = self.doWrite = self._answered  # type: ignore[method-assign]
        result = socket.connect_ex(address)
        if result in (0, EINPROGRESS, EAGAIN):
            self.startWriting()
        else:
            why = getConnectError((result, strerror(result)))
            reactor.callLater(0, self.failIfNotConnected, why)

    def _answered(self) -> None:
        """The system knows what has come of it."""
        result = self.socket.getsockopt(_names.SOL_SOCKET, _names.SO_ERROR)
        if result:
            self.failIfNotConnected(getConnectError((result, strerror(result))))
            return
        dialler, self.connector = self.connector, _NOBODY  # else they knew each other
        del self.doRead, self.doWrite
        self.stopWriting()
        self.__class__ = EagerClient  # type: ignore[assignment]
        self.connected = 1
        self.protocol = dialler.buildProtocol(self.getPeer())
        self.protocol.makeConnection(self)

    def cancel(self) -> None:
        """Give it up; the dialler hears so. Once it is up this does nothing."""
        self.failIfNotConnected(ConnectingCancelledError(self.getPeer()))

    def connectionLost(self, reason: Failure) -> None:
        # The reactor sees an error, and not which. While it dials it is not lost otherwise, but
        # for the reactor's own end.
        if "socket" in vars(self):
            result = self.socket.getsockopt(_names.SOL_SOCKET, _names.SO_ERROR)
            why = getConnectError((result, strerror(result))) if result else reason.value
            self.failIfNotConnected(why)

    def failIfNotConnected(self, err: Any) -> None:
        tcp.Client.failIfNotConnected(self, err)
        # While it dials it knows itself. It may have an event left in this turn.
        self.doRead = self.doWrite = nothing_left  # type: ignore[method-assign]


class _Nobody:
    """Who has dialled a connection that is up: nobody is told a second time of its end."""

    transport = None

    def connectionLost(self, reason: Failure) -> None:
        """Its protocol knows."""


_NOBODY = _Nobody()


def why_not() -> str | None:
    """Say what this Twisted does not have that direct dials need; None if it has all."""
    if _names is None:
        return "twisted.internet.tcp has no socket"
    for name in ("connectionLost", "createInternetSocket", "failIfNotConnected", "getPeer"):
        if not hasattr(tcp.Client, name):
            return f"twisted.internet.tcp.Client has no {name}"
    return eager.why_not()


class DiallingReactor:
    """
    A reactor, in all but how it dials.

    Args:
        reactor: one that connects to TCP and UNIX sockets.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        directlyProvides(self, providedBy(reactor))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def connectTCP(self, *arguments: Any, **options: Any) -> Any:
        return _eager(self._reactor.connectTCP(*arguments, **options))

    def connectUNIX(self, *arguments: Any, **options: Any) -> Any:
        return _eager(self._reactor.connectUNIX(*arguments, **options))


def _eager(connector: Any) -> Any:
    transport = getattr(connector, "transport", None)
    if hasattr(transport, "socket"):  # else there was none to be had, which it will say
        make_eager(transport)
    return connector
