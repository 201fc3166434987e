"""
The strict HTTP/1.1 front of every connection.

Bytes reach Autobahn or twisted.web only after a whole request head has been accepted here
(`orion_twisted.web.heads`). One head at a time: the next one is looked at when the answer to this
one is out.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from http import HTTPStatus
from typing import Any
from typing import Protocol as Seam

from attrs import frozen
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionClosed
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    INegotiated,
    IProtocol,
    IReactorTime,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel

from orion_twisted.core.admission import Verdict
from orion_twisted.core.handshake import (
    Decision,
    DialIn,
    Page,
    Refused,
    Request,
    Upgrade,
)
from orion_twisted.web.heads import (
    BARE_LINE_END,
    END_OF_HEAD,
    error_response,
    page_request,
    read_head,
)

STALLED_CLOSE_TIMEOUT = 5.0
"""Seconds that a refused connection has to take its answer; then it is cut off."""
LINGER = 1.0
"""Seconds for which the rest of a refused request is read and dropped, so that the answer is not
lost to the reset that unread bytes would cause."""


class Doorkeeper(Seam):
    """Who decides. The gate only asks, in this order."""

    def arrived(self, gate: HttpGate) -> Verdict:
        """A connection has come. If it is to wait, the gate's `proceed` is called one day."""

    def handshaken(self, gate: HttpGate) -> None:
        """The connection's first request is whole."""

    def left(self, gate: HttpGate) -> None:
        """The connection has gone, or is somebody else's now."""

    def decide(self, request: Request, gate: HttpGate) -> Decision:
        """Say what becomes of a request."""

    def admit(self, upgrade: Upgrade | DialIn, gate: HttpGate) -> Deferred[Admission | Refused]:
        """
        Find a place and a backend for a browser, or let a backend dial in.

        Returns:
            A Deferred that fires with a protocol to hand the socket to, or with a refusal. It is
            cancelled when the browser goes away first.
        """

    def page_channel(self, page: Page, gate: HttpGate) -> HTTPChannel:
        """Return a channel that serves the tenant's pages, and calls the gate's `page_done`."""

    def refused(self, refusal: Refused, gate: HttpGate) -> None:
        """A request has been refused, or a connection dropped, for this reason."""


@frozen
class Admission:
    """A browser's way in: who owns its socket from now on, and the handshake that it answers."""

    protocol: IProtocol
    handshake: bytes


class Stage(Enum):
    """What the connection waits for."""

    HEAD = auto()
    ADMISSION = auto()
    PAGE = auto()
    END = auto()


class HttpGate(Protocol):
    """
    One connection, from its first byte until somebody else owns it.

    Args:
        doorkeeper: who decides.
        max_head: largest request head, in bytes.
        deadline: seconds from the connection's beginning, TLS handshake included, to the end of
            its first request head. One that has to wait in line first may wait for as long, too.
        clock: the reactor, or a test's clock.

    Attributes:
        address: the browser's IP address, or the proxy's before it; empty on a UNIX socket.
    """

    _log = Logger()
    address = ""
    transport: Any  # TCP, UNIX or TLS: Twisted has no one interface for what they share

    def __init__(
        self, doorkeeper: Doorkeeper, max_head: int, deadline: float, clock: IReactorTime
    ) -> None:
        self._doorkeeper = doorkeeper
        self._max_head = max_head
        self._deadline = deadline
        self._clock = clock
        self._stage = Stage.HEAD
        self._buffer = bytearray()
        self._looked_at = 0
        self._timer: IDelayedCall | None = None
        self._admission: Deferred[Admission | Refused] | None = None
        self._channel: HTTPChannel | None = None
        self._page: Page | None = None
        self._to_head = False

    @property
    def tls_connection(self) -> Any:
        """The connection's TLS, as its transport's ``getHandle`` has it; None if it is plain."""
        transport: Any = self.transport
        if INegotiated.providedBy(transport):
            return transport.getHandle()  # type: ignore[attr-defined]
        return None

    def connectionMade(self) -> None:
        peer = self.transport.getPeer()
        if isinstance(peer, IPv4Address | IPv6Address):
            self.address = peer.host
        verdict = self._doorkeeper.arrived(self)
        if verdict is Verdict.LEAVE:
            self.abort()
            return
        self._timer = self._clock.callLater(self._deadline, self._too_slow)
        if verdict is Verdict.WAIT:
            self.transport.pauseProducing()  # not even TLS begins

    def proceed(self) -> None:
        """The wait is over: read what the browser says. Its time begins now."""
        self._stop_timer()
        self._timer = self._clock.callLater(self._deadline, self._too_slow)
        self.transport.resumeProducing()

    def close(self) -> None:
        """End the connection, after the page under way. A browser being admitted stays."""
        if self._stage is Stage.HEAD:
            self._stage = Stage.END
            self._stop_timer()
            self._end_pages()
            self._close()
        elif self._channel is not None:
            self._channel.persistent = 0

    def abort(self) -> None:
        """Cut the connection off."""
        self._stage = Stage.END
        self._cut()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        is_new = self._stage is Stage.HEAD and self._timer is not None
        if is_new and not reason.check(ConnectionClosed):
            # OpenSSL's error: for a name that nobody has, a certificate that will not do, no TLS.
            self._doorkeeper.refused(Refused(HTTPStatus.BAD_REQUEST, "tls_handshake"), self)
        self._stage = Stage.END
        self._stop_timer()
        self._doorkeeper.left(self)
        if self._admission is not None:
            self._admission.cancel()
        if self._channel is not None:
            self._channel.connectionLost(reason)
            self._channel = None

    def dataReceived(self, data: bytes) -> None:
        if self._stage is Stage.END:
            return
        self._buffer += data
        if self._stage is Stage.HEAD:
            self._look()
        elif len(self._buffer) > self._max_head:
            # A browser that has not been answered yet has nothing to say; neither has one whose
            # page is on its way, and an error would land inside that page.
            refusal = Refused(HTTPStatus.BAD_REQUEST, "impatient")
            if self._stage is Stage.PAGE:
                self._doorkeeper.refused(refusal, self)
                self.abort()
            else:
                self._refuse(refusal, whole=False)

    def _look(self) -> None:
        """Look for the end of a head in what has come since the last look."""
        start = max(self._looked_at - len(END_OF_HEAD) + 1, 0)
        end = self._buffer.find(END_OF_HEAD, start)
        known = len(self._buffer) if end < 0 else end + len(END_OF_HEAD)
        # Looked for in this order, the answer is the same however the bytes are cut.
        if BARE_LINE_END.search(self._buffer, start, min(known, self._max_head)):
            self._refuse(Refused(HTTPStatus.BAD_REQUEST, "head_malformed"), whole=False)
            return
        if known > self._max_head:
            self._refuse(
                Refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "head_too_large"), whole=False
            )
            return
        self._looked_at = known
        if end < 0:
            return
        head = bytes(self._buffer[:known])
        del self._buffer[:known]
        self._looked_at = 0
        self._stop_timer()
        self._doorkeeper.handshaken(self)
        self._answer(head)

    def _answer(self, head: bytes) -> None:
        request = read_head(head)
        if isinstance(request, Refused):
            self._refuse(request, whole=False)
            return
        self._to_head = request.method == "HEAD"
        decision = self._doorkeeper.decide(request, self)
        if isinstance(decision, Refused):
            self._refuse(decision, whole=not self._has_body(request))
        elif isinstance(decision, Page):
            if self._has_body(request):
                self._refuse(Refused(HTTPStatus.BAD_REQUEST, "page_with_body"), whole=False)
            else:
                self._serve(decision, page_request(request))
        else:
            self._admit(decision)

    @staticmethod
    def _has_body(request: Request) -> bool:
        lengths = request.values(b"content-length")
        return bool(request.values(b"transfer-encoding")) or lengths not in ([], [b"0"])

    # A WebSocket

    def _admit(self, upgrade: Upgrade | DialIn) -> None:
        self._stage = Stage.ADMISSION
        self._end_pages()
        self._admission = self._doorkeeper.admit(upgrade, self)
        self._admission.addCallbacks(self._admitted, self._not_admitted)

    def _admitted(self, outcome: Admission | Refused) -> None:
        self._admission = None
        if isinstance(outcome, Refused):
            self._refuse(outcome, whole=True)
            return
        rest, self._buffer = bytes(self._buffer), bytearray()
        protocol = outcome.protocol
        self._doorkeeper.left(self)
        self._give_away(protocol)
        protocol.makeConnection(self.transport)
        protocol.dataReceived(outcome.handshake + rest)

    def _give_away(self, protocol: IProtocol) -> None:
        """Have the transport call the new owner from here on."""
        transport = self.transport
        if isinstance(transport, TLSMemoryBIOProtocol):
            transport.wrappedProtocol = protocol  # nothing is left of the gate
        elif getattr(transport, "protocol", None) is self:
            transport.protocol = protocol
        else:  # a PROXY header was before it, say
            self.dataReceived = protocol.dataReceived  # type: ignore[method-assign]
            self.connectionLost = protocol.connectionLost  # type: ignore[method-assign,assignment]

    def _not_admitted(self, failure: Failure) -> None:
        self._admission = None
        if failure.check(CancelledError):
            return
        self._log.failure("admission failed", failure=failure)
        self._refuse(Refused(HTTPStatus.INTERNAL_SERVER_ERROR, "bug"), whole=True)

    # A page

    def _serve(self, page: Page, head: bytes) -> None:
        self._stage = Stage.PAGE
        if self._channel is None or self._page is None or self._page.tenant is not page.tenant:
            # A proxy sends requests for several tenants down one connection.
            self._end_pages()
            self._page = page
            self._channel = self._doorkeeper.page_channel(page, self)
            self._channel.makeConnection(self.transport)
        self._channel.dataReceived(head)

    def page_done(self, more: bool) -> None:
        """
        The answer to the last request is out.

        Args:
            more: the next request may come, even if it is here; else the channel has begun to
                close the connection.
        """
        if not more and self._stage in (Stage.HEAD, Stage.PAGE):
            self._stage = Stage.END
            self._buffer.clear()
        elif self._stage is Stage.PAGE:
            self._stage = Stage.HEAD
            self._to_head = False
            if self._buffer:
                self._clock.callLater(0, self._next)

    def _end_pages(self) -> None:
        """Take the connection back from the channel that has served its pages."""
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.setTimeout(None)
            self.transport.unregisterProducer()

    def _next(self) -> None:
        if self._stage is Stage.HEAD:
            self._look()

    # A refusal

    def _refuse(self, refusal: Refused, *, whole: bool) -> None:
        """
        Answer with an error and end the connection.

        Args:
            refusal: what to answer.
            whole: nothing of the request is left to come.
        """
        self._stage = Stage.END
        self._buffer.clear()
        self._stop_timer()
        self._doorkeeper.refused(refusal, self)
        if self._admission is not None:
            self._admission.cancel()
        self._end_pages()
        self.transport.write(error_response(refusal, to_head=self._to_head))
        if whole:
            self._close()
        else:
            self._timer = self._clock.callLater(LINGER, self._close)

    def _close(self) -> None:
        self.transport.loseConnection()
        self._timer = self._clock.callLater(STALLED_CLOSE_TIMEOUT, self._cut)

    def _too_slow(self) -> None:
        self._stage = Stage.END
        self._doorkeeper.refused(Refused(HTTPStatus.REQUEST_TIMEOUT, "handshake_timeout"), self)
        self._cut()

    def _cut(self) -> None:
        self._stop_timer()
        self.transport.abortConnection()

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()


class GateFactory(Factory):
    """Make a gate for every connection of a listener."""

    noisy = False

    def __init__(self, build: Callable[[], HttpGate]) -> None:
        self._build = build

    def buildProtocol(self, addr: IAddress | None) -> HttpGate:
        return self._build()
