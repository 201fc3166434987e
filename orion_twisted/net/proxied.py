"""
Connections that come through a proxy, and say so in a PROXY header before anything else.

Only peers in the trusted networks are asked for the header, and they have to send it. For all
others the bytes go straight on, so that nobody else can lie about an address.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from zope.interface import directlyProvides, providedBy

from orion_twisted.core.proxy_header import BadProxyHeader, Behind, read_proxy_header

Networks = Sequence[IPv4Network | IPv6Network]


class ProxiedFactory(WrappingFactory):
    """
    Put a PROXY header in front of a factory's protocols, for the proxies that are trusted.

    Args:
        wrapped: makes the protocols behind it.
        trusted: networks of the proxies.
        deadline: seconds that the header may take.
        refused: called for each connection without a readable header, with the reason.
        clock: the reactor, or a test's clock.
    """

    noisy = False

    def __init__(
        self,
        wrapped: IProtocolFactory,
        trusted: Networks,
        deadline: float,
        refused: Callable[[str], None],
        clock: IReactorTime,
    ) -> None:
        super().__init__(wrapped)
        self.trusted = trusted
        self.deadline = deadline
        self.refused = refused
        self.clock = clock

    def buildProtocol(self, addr: IAddress | None) -> Any:
        if not self.trusts(addr):
            return self.wrappedFactory.buildProtocol(addr)
        return ProxiedProtocol(self)

    def trusts(self, addr: IAddress | None) -> bool:
        """Say whether a peer is one of the proxies."""
        if not isinstance(addr, IPv4Address | IPv6Address):
            return False
        host = ip_address(addr.host.partition("%")[0])
        mapped = getattr(host, "ipv4_mapped", None)
        return any((mapped or host) in network for network in self.trusted)


class ProxiedProtocol(Protocol):
    """Read the header, then hand the connection over with the address that it names."""

    _log = Logger()
    transport: Any

    def __init__(self, factory: ProxiedFactory) -> None:
        self._factory = factory
        self._begun = bytearray()
        self._ended = False
        self._timeout: IDelayedCall | None = None
        self._protocol: Any = None  # the one behind, once there is a header
        self._handed_over: _Proxied | None = None

    def connectionMade(self) -> None:
        self._timeout = self._factory.clock.callLater(self._factory.deadline, self._too_slow)

    def dataReceived(self, data: bytes) -> None:
        if self._protocol is not None:
            if self._begun:
                self._go_on()
            # Looked up each time: the gate puts its successor's methods in place of its own.
            self._protocol.dataReceived(data)
            return
        if self._ended:
            return
        self._begun += data
        try:
            behind = read_proxy_header(bytes(self._begun))
        except BadProxyHeader as error:
            self._refuse("proxy_header", str(error))
            return
        if behind is not None:
            self._hand_over(behind)

    def _hand_over(self, behind: Behind) -> None:
        self._stop_timer()
        peer = self.transport.getPeer()
        if behind.host is not None:
            kind = IPv6Address if ":" in behind.host else IPv4Address
            peer = kind("TCP", behind.host, behind.port)
        del self._begun[: behind.length]
        protocol: Any = self._factory.wrappedFactory.buildProtocol(peer)
        if protocol is None:
            self._ended = True
            self.transport.abortConnection()
            return
        self._protocol = protocol
        self._handed_over = _Proxied(self._factory, protocol, self.transport, peer, self._resumed)
        protocol.makeConnection(self._handed_over)
        self._go_on()

    def _go_on(self) -> None:
        """Deliver what came behind the header, unless the protocol has asked to wait with it."""
        if self._begun and not self._ended and not self._is_paused:
            rest = bytes(self._begun)
            self._begun.clear()
            self._protocol.dataReceived(rest)

    @property
    def _is_paused(self) -> bool:
        return self._handed_over is not None and self._handed_over.is_paused

    def _resumed(self) -> None:
        # Later: whoever resumes one connection may be in the middle of another one's data.
        if self._begun:
            self._factory.clock.callLater(0, self._go_on)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._ended = True
        self._stop_timer()
        self._begun.clear()
        protocol, self._protocol = self._protocol, None
        proxied, self._handed_over = self._handed_over, None
        if proxied is not None:
            proxied.wrappedProtocol = None  # type: ignore[assignment]  # cuts a cycle
            protocol.connectionLost(reason)

    def _too_slow(self) -> None:
        self._refuse("proxy_header_timeout", "no PROXY header in time")

    def _refuse(self, reason: str, text: str) -> None:
        self._ended = True
        self._stop_timer()
        self._begun.clear()
        self._log.warn("dropping {peer}: {text}", peer=self.transport.getPeer().host, text=text)
        self._factory.refused(reason)
        self.transport.abortConnection()

    def _stop_timer(self) -> None:
        timeout, self._timeout = self._timeout, None
        if timeout is not None and timeout.active():
            timeout.cancel()


class _Proxied(ProtocolWrapper):
    """The connection's transport, with the peer that the proxy has named."""

    transport: Any

    def __init__(
        self,
        factory: Any,
        protocol: IProtocol,
        transport: Any,
        peer: IAddress,
        resumed: Callable[[], None],
    ) -> None:
        super().__init__(factory, protocol)
        directlyProvides(self, providedBy(transport))
        self.transport = transport
        self._peer = peer
        self._resumed = resumed
        self.is_paused = False

    def getPeer(self) -> IAddress:
        return self._peer

    def pauseProducing(self) -> None:
        self.is_paused = True
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        self.is_paused = False
        self.transport.resumeProducing()
        self._resumed()
