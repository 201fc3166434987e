"""
Links: framed or plain connections to a backend, over TCP, TLS or a UNIX socket.

A link carries bytes and reports to its owner. It has one connection in its life; who dials, and
dials again, is `orion_twisted.net.backend`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any
from typing import Protocol as Seam

from attrs import frozen
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IDelayedCall,
    IHalfCloseableProtocol,
    IHandshakeListener,
    INegotiated,
    IPushProducer,
    ITCPTransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import alsoProvides, implementer

from orion_twisted.core.errors import BackendError
from orion_twisted.core.frames import FrameDecoder
from orion_twisted.net.eager import make_eager
from orion_twisted.net.flow import Fullness, received
from orion_twisted.net.garbage import untie_verifier
from orion_twisted.net.leantls import make_lean

PROOF_TIME = 5.0
"""Seconds after which a link that has brought nothing is taken for a working one."""
FINISH_TIME = 30.0
"""Seconds that a backend has to take the rest and to end its side, once nobody wants the link
any more; then it is cut."""
MOST_AFTER_FINISH = 64 * 1024 * 1024
"""Bytes that it may still send in that time. What was on its way is less: more than that is a
flood, which would keep the gateway busy for nobody."""
PAYLOADS_A_TURN = 16
"""How many payloads of one link are delivered before it is the others' turn: 1 ms of work."""


class LinkOwner(Seam):
    """Whom a link reports to."""

    def link_up(self, link: BackendLink) -> None:
        """The link may be written to. A link starts paused: it delivers once it is resumed."""

    def link_proved(self) -> None:
        """The link has brought its first frame, or has stood for `PROOF_TIME`."""

    def link_payload(self, payload: bytes) -> None:
        """A whole frame's payload, or, on a stream, some bytes."""

    def link_rests(self) -> None:
        """All frames of one read have been told of: write what comes of them now."""

    def link_full(self, full: bool) -> None:
        """The link's send buffer has passed its mark (``True``), or has room again."""

    def link_lost(self, loss: Loss) -> None:
        """The link is gone; the factory decides on its own whether to dial again."""

    def link_gone(self) -> None:
        """All that a link that was up could deliver is delivered; said once, perhaps long after
        nobody wanted the link any more."""


@frozen
class Loss:
    """
    How a link ended.

    Attributes:
        clean: the backend ended its side in good order (FIN, or TLS close_notify).
        cut: bytes of a frame that was under way and will never be whole.
        error: what the backend did against the rules, if that is why the link was dropped.
    """

    clean: bool
    cut: int = 0
    error: BackendError | None = None


class LinkKeeper(Seam):
    """Who has made a link: it knows the owner, and decides whether to dial again."""

    owner: LinkOwner
    clock: Any  # the reactor, or a test's clock
    lean_tls: bool  # whether TLS is to take the short way (`orion_twisted.net.leantls`)

    def link_up(self, link: BackendLink) -> None:
        """The link may be written to."""

    def link_proved(self) -> None:
        """The link has brought something, or has stood for `PROOF_TIME`."""

    def link_lost(self, link: BackendLink, loss: Loss, reason: Failure) -> None:
        """The link is gone; said once, unless it was finished before."""

    def link_gone(self, link: BackendLink) -> None:
        """All that could be delivered has been: our FIN is out, or the connection has ended."""


@implementer(IPushProducer, IHalfCloseableProtocol)
class BackendLink(Protocol, ABC):
    """
    One connection to a backend. What its bytes mean is for a subclass to say.

    It is a push producer for whoever reads from it, and starts paused.
    """

    _log = Logger()
    factory: LinkKeeper
    transport: Any  # TCP, UNIX or TLS: Twisted has no one interface for what they share

    def __init__(self) -> None:
        self._paused = True
        self.is_open = True
        """Whether what is sent now may still arrive: not once the link is cut, or was lost."""
        self._ended = False  # nothing more is delivered, and the owner knows it
        self._error: BackendError | None = None
        self._proved = False
        self._proof: IDelayedCall | None = None
        self._finish: IDelayedCall | None = None
        self._left_to_drop = MOST_AFTER_FINISH
        self._resting: IDelayedCall | None = None
        self._loss: Failure | None = None  # an end that waits for what came before it
        self._gone = False  # there is no connection any more

    # The connection's life

    def connectionMade(self) -> None:
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
            self.transport.setTcpKeepAlive(True)
        if INegotiated.providedBy(self.transport):
            if self.factory.lean_tls:
                make_lean(self.transport)  # now or never: the handshake begins after this
            # Nobody has been verified yet: the link is up when the handshake is. Said only here,
            # since Twisted's endpoints pass on one of a protocol's interfaces, the last: said of
            # the class, it would hide from plain connections that a link can be half-closed.
            alsoProvides(self, IHandshakeListener)
        else:
            self._come_up()

    def handshakeCompleted(self) -> None:
        self._come_up()

    def _come_up(self) -> None:
        self.transport.pauseProducing()
        Fullness(self.transport, self.factory.owner.link_full)
        self._proof = self.factory.clock.callLater(PROOF_TIME, self._prove)
        self.factory.link_up(self)

    def _prove(self) -> None:
        if not self._proved:
            self._proved = True
            self._stop_proof()
            self.factory.link_proved()

    def _stop_proof(self) -> None:
        proof, self._proof = self._proof, None
        if proof is not None and proof.active():
            proof.cancel()

    def readConnectionLost(self) -> None:
        # The backend's FIN. A link with one open side is of no use to anybody, so the owner
        # hears of its end now, while what was written before is still being delivered.
        if self._finish is None:
            self._finish = self.factory.clock.callLater(FINISH_TIME, self.abort)
        self.transport.unregisterProducer()
        self.transport.loseConnection()
        self._end(Failure(ConnectionDone()))

    def writeConnectionLost(self) -> None:
        # Our own FIN is out; what the backend still says is read, and dropped.
        self.factory.link_gone(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._gone = True
        if self._finish is not None and self._finish.active():
            self._finish.cancel()
        has_tls = INegotiated.providedBy(self.transport)
        if has_tls:
            untie_verifier(self.transport.getHandle())
        self._end(reason)
        self.factory.link_gone(self)

    def _end(self, reason: Failure) -> None:
        """Tell the factory, once."""
        self._stop_proof()
        self.is_open = False
        if self._ended:
            return
        if (self._paused or self._resting) and self._holds() and self._error is None:
            # TLS brings the end in the same read as the data before it, paused or not.
            if self._loss is None:
                self._loss = reason
                self.factory.owner.link_full(True)
            return
        self._ended = True
        clean = bool(reason.check(ConnectionDone)) and self._error is None
        self.factory.link_lost(self, Loss(clean, self._unfinished(), self._error), reason)
        self.factory.link_gone(self)  # what may still arrive there is anybody's guess

    # Towards the backend

    def hurry(self) -> None:
        """Send from now on what is written at once (`orion_twisted.net.eager`)."""
        make_eager(self.transport)

    def send(self, data: bytes) -> None:
        """Write bytes: those of a stream, or of a whole frame."""
        self.transport.write(data)

    def send_all(self, frames: list[bytes]) -> None:
        """Write whole frames, in one piece."""
        self.transport.write(frames[0] if len(frames) == 1 else b"".join(frames))

    def finish(self) -> None:
        """
        Say that no more is coming, let the backend end its side, and be gone.

        What has been written is delivered first. A backend that does not end within `FINISH_TIME`
        is cut off. Nothing more is delivered, and the owner is not told of the end.
        """
        if self._ended:
            return
        self.is_open, self._ended = False, True
        self._stop_proof()
        if self._gone:
            return
        self.transport.unregisterProducer()
        self._finish = self.factory.clock.callLater(FINISH_TIME, self.abort)
        if INegotiated.providedBy(self.transport):
            self.transport.loseConnection()
        else:
            # A full close would answer bytes still under way to us with a reset, and a reset
            # takes away from the backend what it has not read yet.
            self.transport.loseWriteConnection()
        self.transport.resumeProducing()

    def abort(self) -> None:
        """Cut the connection off at once; what was not sent yet is dropped."""
        if not self._gone:
            self.transport.abortConnection()

    def fail(self, error: BackendError) -> None:
        """Drop a link whose backend has broken the rules; its owner hears why."""
        self.is_open, self._error = False, error
        self.abort()
        if self._loss is not None:
            self._end(self._loss)

    # From the backend

    def received(self) -> int | None:
        """Return how many bytes have come, read or not; None where that cannot be had."""
        return received(self.transport)

    def dataReceived(self, data: bytes) -> None:
        if self._ended or self._error is not None:
            self._left_to_drop -= len(data)
            if self._left_to_drop < 0:
                self.abort()
            return
        self._take(data)
        if not self._paused and self._resting is None:
            self._deliver()

    def pauseProducing(self) -> None:
        if not self._paused and not self._ended:
            self._paused = True
            self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        if not self._paused or self._ended or self._error is not None:
            return
        self._paused = False
        if self._resting is None:
            self._go_on()

    def _go_on(self) -> None:
        """Deliver what is already here first, which may fill the consumer again; then read on."""
        self._resting = None
        if self._paused or self._ended or self._error is not None:
            return
        self._deliver()
        if self._paused or self._ended or self._resting is not None:
            return
        if self._loss is not None:
            self._end(self._loss)
        else:
            self.transport.resumeProducing()

    def _rest(self) -> None:
        """Let others have their turn: one read can hold thousands of frames."""
        self.transport.pauseProducing()
        self._resting = self.factory.clock.callLater(0, self._go_on)

    def stopProducing(self) -> None:
        self.finish()

    @abstractmethod
    def _take(self, data: bytes) -> None:
        """Keep what has arrived until `_deliver`. While paused this is one read at the most."""

    @abstractmethod
    def _deliver(self) -> None:
        """Hand over what is here to the owner, for as long as it does not pause the link."""

    @abstractmethod
    def _holds(self) -> bool:
        """Say whether anything waits for `_deliver`."""

    def _unfinished(self) -> int:
        """Return how many bytes of an unfinished frame die with this connection."""
        return 0


class StreamLink(BackendLink):
    """
    A link that carries a stream of bytes as they come (mode ``tunnel``).

    Args:
        max_payload: most bytes that the owner takes at once.
    """

    def __init__(self, max_payload: int) -> None:
        super().__init__()
        self._max_payload = max_payload
        self._held = b""

    def _take(self, data: bytes) -> None:
        self._held += data

    def _deliver(self) -> None:
        held, self._held = self._held, b""
        if held:
            self._prove()
        at = 0
        while at < len(held) and not self._paused and not self._ended:
            self.factory.owner.link_payload(held[at : at + self._max_payload])
            at += self._max_payload
        self._held = held[at:]

    def _holds(self) -> bool:
        return bool(self._held)


class FramedLink(BackendLink):
    """A link on which every message is one frame (mode ``relay``)."""

    def __init__(self, decoder: FrameDecoder) -> None:
        super().__init__()
        self._decoder = decoder

    def _take(self, data: bytes) -> None:
        self._decoder.receive_data(data)

    def _deliver(self) -> None:
        owner = self.factory.owner
        self._deliver_to(owner)
        owner.link_rests()

    def _deliver_to(self, owner: LinkOwner) -> None:
        try:
            for _ in range(PAYLOADS_A_TURN):
                if self._paused or self._ended:
                    return
                payload = self._decoder.next_payload()
                if payload is None:
                    return
                if not self._proved:
                    self._prove()
                owner.link_payload(payload)
            self._rest()
        except BackendError as error:
            self.fail(error)

    def _holds(self) -> bool:
        return self._decoder.pending > 0

    def _unfinished(self) -> int:
        return self._decoder.pending if self._decoder.mid_frame else 0
