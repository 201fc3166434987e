"""
A customer's shop with the Web Editor in its product page, as one on Cafe24 would have it.

It stands for a server of somebody else, under another origin: all that it shares with the gateway
is the key of the tokens.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attrs import frozen
from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.ssl import PrivateCertificate
from twisted.logger import Logger

from orion_twisted.demo.shop_site import Mint, Shop, ShopSite


def origin_of(host: str, port: int) -> str:
    """Return the origin of https on a port, in its one spelling."""
    return f"https://{host}" if port == 443 else f"https://{host}:{port}"


@frozen
class Stand:
    """
    Where a shop is, and what it has of its own.

    Attributes:
        host: its name.
        port: where to listen; 0 takes a free port.
        interface: the address to listen on.
        certificate: a PEM file with the certificate and the key for its name.
        tenant: what the gateway calls it.
        key_file: the secret of its tokens.
    """

    host: str
    port: int
    interface: str
    certificate: Path
    tenant: str
    key_file: Path


class ShopService(Service):
    """
    The shop on a TLS port.

    Args:
        reactor: what listens (IReactorSSL).
        stand: what it needs.

    Attributes:
        shop: what its site shares; there while the service runs.
    """

    _log = Logger()

    def __init__(self, reactor: Any, stand: Stand) -> None:
        self._reactor = reactor
        self._stand = stand
        self._listening: Any = None
        self.shop: Shop

    @property
    def port(self) -> int:
        """The TCP port; RuntimeError while the service does not run."""
        if self._listening is None:
            raise RuntimeError("the shop is not listening: start the service first")
        port: int = self._listening.getHost().port
        return port

    def startService(self) -> None:
        """
        Listen; this is done when it returns.

        Raises:
            OSError: the certificate or the pages cannot be read.
            ValueError: the key of the tokens cannot be used.
            twisted.internet.error.CannotListenError: the port is taken.
        """
        stand = self._stand
        pem = stand.certificate.read_bytes()
        options = PrivateCertificate.loadPEM(pem).options()
        shop = Shop("", "", Mint(stand.tenant, stand.key_file))
        site = ShopSite(shop, self._reactor)
        self._listening = self._reactor.listenSSL(
            stand.port, site, options, interface=stand.interface
        )
        shop.origin = origin_of(stand.host, self.port)
        self.shop = shop
        super().startService()
        self._log.info("shop on {origin}", origin=shop.origin)

    def stopService(self) -> Deferred[None]:
        """
        Stop listening.

        Returns:
            A Deferred that fires when the port is closed.
        """
        super().stopService()
        if self._listening is None:
            return succeed(None)
        listening, self._listening = self._listening, None
        return maybeDeferred(listening.stopListening).addCallback(lambda _: None)
