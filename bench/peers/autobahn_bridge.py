"""
The plain way on Twisted and Autobahn: python -m bench.peers.autobahn_bridge PORT BACKEND PEM

What this gateway would cost without what has been done about it.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet import reactor
from twisted.internet.endpoints import HostnameEndpoint, SSL4ServerEndpoint, connectProtocol
from twisted.internet.protocol import Factory
from twisted.internet.ssl import CertificateOptions, PrivateCertificate
from twisted.protocols.basic import Int32StringReceiver
from twisted.python.failure import Failure

MOST_MESSAGE = 4 * 1024 * 1024


class Link(Int32StringReceiver):
    """The backend's side of one browser."""

    MAX_LENGTH = MOST_MESSAGE
    transport: Any

    def __init__(self, browser: "Browser") -> None:
        self._browser = browser

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)
        self.transport.registerProducer(self._browser.transport, True)
        self._browser.transport.registerProducer(self.transport, True)

    def stringReceived(self, payload: bytes) -> None:
        self._browser.sendMessage(payload, isBinary=True)

    def connectionLost(self, reason: Failure | None = None) -> None:
        self._browser.transport.unregisterProducer()
        self._browser.sendClose()


class Browser(WebSocketServerProtocol):
    """One socket; what comes before the backend has answered waits."""

    link: Link | None = None

    def onOpen(self) -> None:
        self._waiting: list[bytes] = []
        self.transport.setTcpNoDelay(True)
        endpoint = HostnameEndpoint(reactor, "127.0.0.1", self.factory.backend)
        dialled = connectProtocol(endpoint, Link(self))
        dialled.addCallbacks(self._linked, lambda failure: self.sendClose())

    def _linked(self, link: Link) -> None:
        self.link = link
        for payload in self._waiting:
            link.sendString(payload)
        if self.state != self.STATE_OPEN:
            self._unlink()

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        if self.link is None:
            self._waiting.append(payload)
        else:
            self.link.sendString(payload)

    def onClose(self, wasClean: bool, code: int, reason: str) -> None:
        if self.link is not None:
            self._unlink()

    def _unlink(self) -> None:
        assert self.link is not None
        self.link.transport.unregisterProducer()
        self.link.transport.loseConnection()


class BrowserFactory(WebSocketServerFactory):
    protocol = Browser

    def __init__(self, backend: int) -> None:
        super().__init__()
        self.backend = backend
        self.setProtocolOptions(maxMessagePayloadSize=MOST_MESSAGE, autoPingInterval=20)


def main(arguments: Sequence[str]) -> None:
    port, backend, certificate = arguments
    factory: Factory = BrowserFactory(int(backend))
    pair = PrivateCertificate.loadPEM(Path(certificate).read_bytes())
    options = CertificateOptions(
        privateKey=pair.privateKey.original,
        certificate=pair.original,
        acceptableProtocols=[b"http/1.1"],
    )
    SSL4ServerEndpoint(reactor, int(port), options, 4096, "127.0.0.1").listen(factory)
    reactor.run()


if __name__ == "__main__":
    main(sys.argv[1:])
