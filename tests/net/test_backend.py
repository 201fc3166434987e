"""Links to backends: how they come up, are read and written, end, and come back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from twisted.internet import reactor as global_reactor
from twisted.internet import ssl
from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import TCP4ClientEndpoint, clientFromString, wrapClientTLS
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import LogLevel, capturedLogs
from twisted.protocols import tls
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import implementer

from orion_twisted.core.backoff import FIRST_WAIT, MOST_WAIT, Backoff
from orion_twisted.core.choice import Choice
from orion_twisted.core.errors import BackendError
from orion_twisted.core.frames import FrameTooLarge, decoder, encoder
from orion_twisted.net.backend import CONNECT_TIMEOUT, LinkFactory
from orion_twisted.net.leantls import LeanTLSProtocol
from orion_twisted.net.links import (
    FINISH_TIME,
    MOST_AFTER_FINISH,
    PAYLOADS_A_TURN,
    PROOF_TIME,
    BackendLink,
    FramedLink,
    Loss,
    StreamLink,
)
from tests.certificates import authority, issue
from tests.transports import Pipe, pending

reactor: Any = global_reactor

frame = encoder("int32")
MAX_PAYLOAD = 1000

CLEAN = Loss(clean=True)
BROKEN = Loss(clean=False)


def framed_link() -> FramedLink:
    return FramedLink(decoder("int32", MAX_PAYLOAD))


def stream_link() -> StreamLink:
    return StreamLink(MAX_PAYLOAD)


class Owner:
    """Whom links report to: it keeps what it hears, and reads what it is given."""

    def __init__(self) -> None:
        self.heard: list[object] = []
        self.rests: list[int] = []
        self.link: BackendLink | None = None
        self.reads = True
        self.gone = 0
        self.on_payload: Callable[[bytes], None] = lambda payload: None
        self.on_lost: Callable[[], None] = lambda: None

    def link_up(self, link: BackendLink) -> None:
        self.heard.append("up")
        self.link = link
        if self.reads:
            link.resumeProducing()

    def link_proved(self) -> None:
        self.heard.append("proved")

    def link_payload(self, payload: bytes) -> None:
        self.heard.append(payload)
        self.on_payload(payload)

    def link_rests(self) -> None:
        self.rests.append(len(self.heard))

    def link_full(self, full: bool) -> None:
        self.heard.append("full" if full else "room")

    def link_gone(self) -> None:
        self.gone += 1

    def link_lost(self, loss: Loss) -> None:
        self.heard.append(loss)
        self.link = None
        self.on_lost()

    def forget(self) -> list[object]:
        """Return what was heard since the last time."""
        heard, self.heard = self.heard, []
        return heard


class LinkTestCase(SynchronousTestCase):
    """A factory that dials through Twisted's own endpoints, and a backend in memory."""

    build: Callable[[], BackendLink] = staticmethod(framed_link)

    def setUp(self) -> None:
        self.clock: Any = MemoryReactorClock()
        self.owner = Owner()
        self.backoff = Backoff(FIRST_WAIT, MOST_WAIT, lambda: 1.0)
        self.use(self.endpoint(7000))

    def endpoint(self, port: int) -> IStreamClientEndpoint:
        return TCP4ClientEndpoint(self.clock, "192.0.2.1", port)

    def use(self, *endpoints: IStreamClientEndpoint) -> None:
        self.named = named = [(f"backend {number}", each) for number, each in enumerate(endpoints)]
        self.choice = Choice(len(named), lambda: Backoff(FIRST_WAIT, MOST_WAIT, lambda: 1.0))
        self.factory = self.build_factory(self.owner)

    def build_factory(self, owner: Owner) -> LinkFactory:
        """Return one more factory for the same endpoints."""
        backoff = self.backoff
        return LinkFactory(self.named, self.build, owner, backoff, self.clock, self.choice)

    def dialled(self) -> int:
        """Return the port of the attempt under way, which is the only one."""
        ((_, port, *_),) = self.clock.tcpClients
        return int(port)

    def accept(self) -> Pipe:
        """The backend accepts the attempt under way."""
        ((*_, wrapping, _, _),) = self.clock.tcpClients
        self.clock.tcpClients.clear()
        self.wire = Pipe(self.clock)
        self.wire.connect(wrapping.buildProtocol(None))
        return self.wire

    def refuse(self) -> None:
        """Nobody listens there."""
        ((*_, wrapping, _, _),) = self.clock.tcpClients
        self.clock.tcpClients.clear()
        wrapping.clientConnectionFailed(None, Failure(ConnectionRefusedError()))

    def bring_up(self) -> BackendLink:
        self.factory.start()
        self.accept()
        assert self.owner.link is not None
        self.owner.forget()
        return self.owner.link

    @property
    def waits(self) -> bool:
        """Whether the factory waits to dial again, and does nothing else."""
        return len(pending(self.clock)) == 1 and not self.clock.tcpClients


class ReadingTests(LinkTestCase):
    """From the backend to the link's owner."""

    def test_starts_paused(self) -> None:
        """A new link delivers nothing, and reads nothing, until its owner asks for it."""
        self.owner.reads = False
        link = self.bring_up()
        self.assertFalse(self.wire.reading)
        self.wire.hears(frame(b"one"))
        self.assertEqual(self.owner.heard, [])
        link.resumeProducing()
        self.wire.turn()
        self.assertEqual(self.owner.heard, ["proved", b"one"])

    def test_frames_of_any_cut(self) -> None:
        """Frames are delivered whole, however the network cuts them."""
        self.bring_up()
        for byte in frame(b"one") + frame(b"") + frame(b"three"):
            self.wire.hears(bytes([byte]))
        self.assertEqual(self.owner.forget(), ["proved", b"one", b"", b"three"])

    def test_pause_holds_what_has_already_arrived(self) -> None:
        """A paused link delivers nothing, even from bytes already read."""
        link = self.bring_up()
        link.pauseProducing()
        link.dataReceived(frame(b"one") + frame(b"two"))
        self.assertEqual((self.owner.heard, self.wire.reading), ([], False))
        link.resumeProducing()
        self.assertEqual(self.owner.heard, ["proved", b"one", b"two"])
        self.assertTrue(self.wire.reading)

    def test_pause_within_one_read(self) -> None:
        """An owner that has enough in the middle of a read gets the rest when it asks for it."""
        link = self.bring_up()
        self.owner.on_payload = lambda _: link.pauseProducing()
        self.wire.hears(frame(b"one") + frame(b"two") + frame(b"three"))
        self.assertEqual((self.owner.forget(), self.wire.reading), (["proved", b"one"], False))
        link.resumeProducing()
        self.assertEqual((self.owner.forget(), self.wire.reading), ([b"two"], False))
        self.owner.on_payload = lambda _: None
        link.resumeProducing()
        self.assertEqual((self.owner.forget(), self.wire.reading), ([b"three"], True))

    def test_pause_and_resume_within_one_payload(self) -> None:
        """An owner that pauses and resumes while it takes a payload gets each one once."""
        link = self.bring_up()

        def blink(_: bytes) -> None:
            link.pauseProducing()
            link.resumeProducing()

        self.owner.on_payload = blink
        self.wire.hears(frame(b"one") + frame(b"two") + frame(b"three"))
        self.assertEqual(self.owner.forget(), ["proved", b"one", b"two", b"three"])

    def test_too_large_a_frame(self) -> None:
        """A frame beyond the limit ends the link at once; its owner hears why."""
        self.bring_up()
        self.wire.hears(frame(b"good") + b"\x00\x00\x03\xe9")
        self.assertTrue(self.wire.aborted)
        self.clock.advance(0)
        *heard, loss = self.owner.heard
        self.assertEqual(heard, ["proved", b"good"])
        assert isinstance(loss, Loss)
        self.assertEqual((loss.clean, loss.cut), (False, 0))
        self.assertIsInstance(loss.error, FrameTooLarge)
        self.assertTrue(self.waits)

    def test_payload_that_its_owner_cannot_take(self) -> None:
        """A payload that breaks the rules ends the link, and nothing after it is delivered."""
        link = self.bring_up()
        error = BackendError("no UTF-8")

        def reject(payload: bytes) -> None:
            raise error

        self.owner.on_payload = reject
        self.wire.hears(frame(b"\xff") + frame(b"two"))
        link.pauseProducing()  # as when the browser is full just then
        link.resumeProducing()
        self.wire.hears(frame(b"three"))
        self.clock.advance(0)
        self.assertEqual(self.owner.heard, ["proved", b"\xff", Loss(clean=False, error=error)])

    def test_cut_frame(self) -> None:
        """A frame that the break cuts off is dropped whole, and its bytes are counted."""
        for end, clean in ((self.break_, False), (self.end, True)):
            self.setUp()
            self.bring_up()
            self.wire.hears(frame(b"one") + frame(b"cut")[:-1])
            end()
            self.assertEqual(
                self.owner.heard, ["proved", b"one", Loss(clean, cut=len(frame(b"cut")) - 1)]
            )

    def break_(self) -> None:
        self.wire.breaks()

    def end(self) -> None:
        self.wire.hears_end()


class TurnsTests(LinkTestCase):
    """Reads with more frames than one link may deliver before it is the others' turn."""

    def setUp(self) -> None:
        super().setUp()
        self.payloads = [b"%d" % number for number in range(2 * PAYLOADS_A_TURN + 1)]
        self.read = b"".join(map(frame, self.payloads))

    def delivered(self) -> list[object]:
        return [each for each in self.owner.forget() if isinstance(each, bytes | Loss)]

    def test_a_turn_at_a_time(self) -> None:
        """A read full of small frames is delivered in turns, unread bytes waiting meanwhile."""
        self.bring_up()
        self.wire.hears(self.read)
        self.assertEqual(self.delivered(), self.payloads[:PAYLOADS_A_TURN])
        self.assertFalse(self.wire.reading)
        self.wire.protocol.dataReceived(frame(b"more"))  # TLS had it already
        self.assertEqual(self.delivered(), [])
        self.assertEqual(pending(self.clock), [0])
        self.clock.advance(0)
        self.assertEqual(self.delivered(), [*self.payloads[PAYLOADS_A_TURN:], b"more"])
        self.assertTrue(self.wire.reading)

    def test_told_when_a_turn_is_over(self) -> None:
        """The owner hears that there is no more for now: then it writes what comes of it all."""
        self.bring_up()
        self.delivered()
        self.owner.rests.clear()
        self.wire.hears(self.read)
        self.assertEqual(self.owner.rests, [len(self.owner.heard)])
        self.clock.advance(0)
        self.assertEqual(self.owner.rests[-1], len(self.owner.heard))

    def test_paused_between_turns(self) -> None:
        """An owner that is full between two turns gets the rest when it asks for it."""
        link = self.bring_up()
        self.wire.hears(self.read)
        self.delivered()
        link.pauseProducing()
        self.clock.advance(0)
        self.assertEqual(self.delivered(), [])
        link.resumeProducing()
        self.clock.advance(0)
        self.assertEqual(self.delivered(), self.payloads[PAYLOADS_A_TURN:])
        self.assertTrue(self.wire.reading)

    def test_paused_and_resumed_between_turns(self) -> None:
        """Asking for more does not bring the next turn earlier."""
        link = self.bring_up()
        self.wire.hears(self.read)
        self.delivered()
        link.pauseProducing()
        link.resumeProducing()
        self.assertEqual(self.delivered(), [])
        self.clock.pump([0, 0])
        self.assertEqual(self.delivered(), self.payloads[PAYLOADS_A_TURN:])

    def test_break_between_turns(self) -> None:
        """What had arrived before a break is delivered, turn by turn, before it is told."""
        self.bring_up()
        self.wire.hears(self.read)
        self.wire.breaks()
        self.clock.pump([0, 0])
        self.assertEqual(self.delivered(), [*self.payloads, BROKEN])
        self.assertTrue(self.waits)

    def test_stop_between_turns(self) -> None:
        """A link that nobody wants any more delivers nothing in its next turn."""
        self.bring_up()
        self.wire.hears(self.read)
        self.delivered()
        self.factory.stop()
        self.clock.advance(0)
        self.wire.hears_end()
        self.assertEqual((self.delivered(), pending(self.clock)), ([], []))

    def test_rejected_between_turns(self) -> None:
        """A link that is dropped for an error delivers nothing in its next turn."""
        link = self.bring_up()
        self.wire.hears(self.read)
        self.delivered()
        error = BackendError("no UTF-8")
        link.fail(error)
        self.clock.advance(0)
        self.assertEqual(self.delivered(), [Loss(clean=False, error=error)])


class StreamTests(LinkTestCase):
    """A link whose bytes have no boundaries."""

    build = staticmethod(stream_link)

    def test_bytes_as_they_come(self) -> None:
        """What comes is delivered at once."""
        self.bring_up()
        self.wire.hears(b"abc")
        self.wire.hears(b"d")
        self.assertEqual(self.owner.heard, ["proved", b"abc", b"d"])

    def test_no_more_than_the_owner_takes(self) -> None:
        """A large read is delivered in pieces that fit into a message."""
        self.bring_up()
        self.wire.hears(b"x" * (2 * MAX_PAYLOAD + 1))
        self.assertEqual(
            self.owner.heard, ["proved", b"x" * MAX_PAYLOAD, b"x" * MAX_PAYLOAD, b"x"]
        )

    def test_pause_within_one_read(self) -> None:
        """What does not fit any more waits, in order."""
        link = self.bring_up()
        self.owner.on_payload = lambda _: link.pauseProducing()
        self.wire.hears(b"a" * MAX_PAYLOAD + b"b" * MAX_PAYLOAD)
        link.dataReceived(b"c")
        self.assertEqual(self.owner.forget(), ["proved", b"a" * MAX_PAYLOAD])
        link.resumeProducing()
        self.assertEqual(self.owner.forget(), [b"b" * MAX_PAYLOAD])
        link.resumeProducing()
        self.assertEqual(self.owner.forget(), [b"c"])

    def test_end(self) -> None:
        """The end comes after the last byte, and no byte counts as cut."""
        self.bring_up()
        self.wire.hears(b"last")
        self.wire.hears_end()
        self.assertEqual(self.owner.heard, ["proved", b"last", CLEAN])


class WritingTests(LinkTestCase):
    """From the owner to the backend."""

    def test_sends(self) -> None:
        """What is sent arrives."""
        link = self.bring_up()
        link.send(b"one")
        link.send(b"two")
        self.wire.turn()
        self.assertEqual(bytes(self.wire.taken), b"onetwo")

    def test_options(self) -> None:
        """Small messages are not held back, and a peer that vanishes is noticed."""
        self.bring_up()
        self.assertEqual(self.wire.options, {"no_delay": True, "keep_alive": True})

    def test_backend_that_does_not_read(self) -> None:
        """The owner hears when the send buffer is full, and when there is room again."""
        link = self.bring_up()
        self.wire.room = 0
        link.send(b"x" * 70_000)
        self.assertEqual(self.owner.forget(), ["full"])
        self.wire.room = 60_000
        self.wire.turn()
        self.assertEqual(self.owner.forget(), [])
        self.wire.room = 60_000
        self.wire.turn()
        self.assertEqual(self.owner.forget(), ["room"])

    def test_owner_is_read_and_written_apart(self) -> None:
        """A full send buffer does not stop the reading."""
        link = self.bring_up()
        self.wire.room = 0
        link.send(b"x" * 70_000)
        self.wire.hears(frame(b"one"))
        self.assertEqual(self.owner.forget(), ["full", "proved", b"one"])


class ProofTests(LinkTestCase):
    """When a link is taken for a working one."""

    def test_first_frame(self) -> None:
        """The first whole frame proves the link, once."""
        self.bring_up()
        self.wire.hears(frame(b"one")[:-1])
        self.assertEqual(self.owner.forget(), [])
        self.wire.hears(frame(b"one")[-1:] + frame(b"two"))
        self.assertEqual(self.owner.forget(), ["proved", b"one", b"two"])
        self.clock.advance(PROOF_TIME)
        self.assertEqual(self.owner.forget(), [])

    def test_standing(self) -> None:
        """So does standing for a while, for backends that say nothing first."""
        self.bring_up()
        self.clock.advance(PROOF_TIME - 0.01)
        self.assertEqual(self.owner.forget(), [])
        self.clock.advance(0.01)
        self.assertEqual(self.owner.forget(), ["proved"])

    def test_short_waits_again_only_after_proof(self) -> None:
        """A backend that accepts and dies at once is dialled ever more slowly."""
        self.factory.start()
        waits = []
        for _ in range(4):
            self.accept()
            self.wire.breaks()
            (wait,) = pending(self.clock)
            waits.append(wait)
            self.clock.advance(wait)
        self.accept()
        self.wire.hears(frame(b"proof"))
        self.wire.breaks()
        waits += pending(self.clock)
        for wait, expected in zip(waits, (0.1, 0.2, 0.4, 0.8, 0.1), strict=True):
            self.assertAlmostEqual(wait, expected)

    def test_no_proof_after_the_end(self) -> None:
        """A link that is lost, or no longer wanted, proves nothing later."""
        for end in (lambda: self.wire.breaks(), lambda: self.factory.stop()):
            self.setUp()
            self.bring_up()
            end()
            self.clock.advance(PROOF_TIME)
            self.assertNotIn("proved", self.owner.heard)


class EndTests(LinkTestCase):
    """How a link ends that its owner still wants."""

    def test_end_in_good_order(self) -> None:
        """The backend's FIN is told once, as a clean end, and the link is dialled again."""
        self.bring_up()
        self.wire.hears_end()
        self.assertEqual(self.owner.heard, [CLEAN])
        self.clock.advance(0)
        self.wire.turn()
        self.assertTrue(self.wire.heard_end)
        self.assertEqual(self.owner.heard, [CLEAN])
        self.assertTrue(self.waits)

    def test_what_was_written_is_still_delivered(self) -> None:
        """A backend that ends its side first still gets all that was sent to it."""
        link = self.bring_up()
        self.wire.room = 0
        link.send(b"x" * 100_000)
        self.wire.hears_end()
        self.assertEqual(self.owner.heard, ["full", CLEAN])
        self.wire.room = 1_000_000
        self.wire.turn()
        self.assertEqual((len(self.wire.taken), self.wire.heard_end), (100_000, True))
        self.assertEqual(self.owner.heard, ["full", CLEAN])
        self.assertTrue(self.waits)

    def test_end_of_both_sides_at_once(self) -> None:
        """A backend that ends just as it is given up is closed, and not told of."""
        link = self.bring_up()
        self.wire.room = 0
        link.send(b"x" * 100_000)
        self.factory.stop()
        self.wire.hears_end()
        self.wire.room = 1_000_000
        self.wire.turn()
        self.assertEqual((len(self.wire.taken), self.wire.heard_end), (100_000, True))
        self.assertEqual((self.owner.heard, pending(self.clock)), (["full"], []))

    def test_backend_that_ends_and_never_reads(self) -> None:
        """A backend that ends its side, and does not take the rest, is cut off in the end."""
        link = self.bring_up()
        self.wire.room = 0
        link.send(b"x" * 100_000)
        self.wire.hears_end()
        self.factory.stop()
        self.clock.advance(FINISH_TIME)
        self.clock.advance(0)
        self.assertTrue(self.wire.aborted)
        self.assertEqual((self.owner.heard, pending(self.clock)), (["full", CLEAN], []))

    def test_reset(self) -> None:
        """A reset is no clean end."""
        self.bring_up()
        self.wire.breaks()
        self.assertEqual(self.owner.heard, [BROKEN])
        self.assertTrue(self.waits)

    def test_break_behind_what_waits(self) -> None:
        """What had arrived before the break is delivered before the break is told."""
        link = self.bring_up()
        self.owner.on_payload = lambda _: link.pauseProducing()
        self.wire.hears(frame(b"one") + frame(b"two") + frame(b"cut")[:-2])
        self.wire.breaks()
        self.assertEqual(self.owner.forget(), ["proved", b"one", "full"])
        self.assertFalse(link.is_open)
        link.resumeProducing()
        self.assertEqual(self.owner.forget(), [b"two"])
        link.resumeProducing()
        self.assertEqual(self.owner.forget(), [Loss(False, cut=len(frame(b"cut")) - 2)])
        self.assertTrue(self.waits)

    def test_break_behind_a_bad_frame(self) -> None:
        """A bad frame that waits is told as the reason, though the link has gone before."""
        link = self.bring_up()
        self.owner.on_payload = lambda _: link.pauseProducing()
        self.wire.hears(frame(b"one") + b"\xff" * 4)
        self.patch(self.wire, "abortConnection", self.fail)  # as TLS does, once it is gone
        self.wire.breaks()
        self.owner.forget()
        link.resumeProducing()
        (loss,) = self.owner.heard
        assert isinstance(loss, Loss)
        self.assertIsInstance(loss.error, FrameTooLarge)
        self.assertTrue(self.waits)

    def test_unwanted_after_its_break(self) -> None:
        """A link that broke while something waited can still be given up."""
        link = self.bring_up()
        self.owner.on_payload = lambda _: link.pauseProducing()
        self.wire.hears(frame(b"one") + frame(b"two"))
        self.wire.breaks()
        self.owner.forget()
        self.factory.stop()
        self.assertEqual((self.owner.heard, pending(self.clock)), ([], []))

    def test_no_reconnecting_for_those_who_want_none(self) -> None:
        """A stream that broke is not dialled again."""
        self.bring_up()
        self.factory.reconnects = False
        self.wire.hears_end()
        self.clock.advance(0)
        self.wire.turn()
        self.assertEqual((self.owner.heard, pending(self.clock)), ([CLEAN], []))

    def test_owner_may_stop_when_it_hears(self) -> None:
        """An owner that gives up as it hears of the loss is not dialled for."""
        self.bring_up()
        self.owner.on_lost = self.factory.stop
        self.wire.breaks()
        self.assertEqual((pending(self.clock), self.clock.tcpClients), ([], []))


class StopTests(LinkTestCase):
    """How a link ends that nobody wants any more."""

    def assert_over(self) -> None:
        """Nothing is under way, and nothing comes back."""
        self.clock.pump([PROOF_TIME, FINISH_TIME, FINISH_TIME])
        self.assertEqual((pending(self.clock), self.clock.tcpClients), ([], []))

    def test_while_dialling(self) -> None:
        """An attempt under way is given up."""
        self.factory.start()
        (connector,) = self.clock.connectors
        self.factory.stop()
        self.assertTrue(connector.stoppedConnecting)
        self.clock.tcpClients.clear()
        self.assert_over()
        self.assertEqual(self.owner.heard, [])

    def test_while_waiting(self) -> None:
        """A wait before the next attempt is given up."""
        self.factory.start()
        self.refuse()
        self.assertTrue(self.waits)
        self.factory.stop()
        self.assert_over()

    def test_while_up(self) -> None:
        """A link is ended by FIN, after all bytes; what still comes is dropped."""
        link = self.bring_up()
        self.wire.room = 0
        link.send(b"x" * 100_000)
        self.owner.forget()
        self.factory.stop()
        self.wire.turn()
        self.assertFalse(self.wire.heard_end)
        self.assertEqual(self.owner.gone, 0)  # who stops the process waits for it
        self.wire.room = 1_000_000
        self.wire.turn()
        self.assertEqual((len(self.wire.taken), self.wire.heard_end), (100_000, True))
        self.assertEqual(self.owner.gone, 1)
        self.assertFalse(self.wire.disconnected)
        self.wire.hears(frame(b"late"))
        self.wire.hears_end()
        self.assertTrue(self.wire.disconnected)
        self.assertEqual((self.owner.heard, self.wire.aborted), ([], False))
        self.assertEqual(self.owner.gone, 1)
        self.assert_over()

    def test_while_paused(self) -> None:
        """A paused link is read again, so that the backend's end is noticed."""
        link = self.bring_up()
        link.pauseProducing()
        self.factory.stop()
        self.wire.hears(frame(b"late"))
        self.wire.hears_end()
        self.assertTrue(self.wire.disconnected)
        self.assertEqual(self.owner.heard, [])
        self.assert_over()

    def test_backend_that_does_not_end(self) -> None:
        """A backend that keeps its side open is cut off after a while."""
        self.bring_up()
        self.factory.stop()
        self.wire.turn()
        self.clock.advance(FINISH_TIME - 0.01)
        self.assertFalse(self.wire.aborted)
        self.clock.advance(0.01)
        self.assertTrue(self.wire.aborted)
        self.assert_over()

    def test_backend_that_floods(self) -> None:
        """A backend that sends on and on is cut off sooner, or it would be read for nobody."""
        self.bring_up()
        self.factory.stop()
        self.wire.turn()
        chunk = bytes(MOST_AFTER_FINISH // 64)
        for _ in range(64):
            self.wire.hears(chunk)
        self.assertFalse(self.wire.aborted)
        self.wire.hears(b"x")
        self.assertTrue(self.wire.aborted)
        self.assert_over()

    def test_stop_twice(self) -> None:
        """Stopping what has stopped does nothing."""
        self.bring_up()
        self.factory.stop()
        self.factory.stop()
        self.wire.hears_end()
        self.factory.stop()
        self.assert_over()

    def test_stopped_as_a_producer(self) -> None:
        """A consumer that goes away ends the link as a stop does."""
        link = self.bring_up()
        link.stopProducing()
        self.wire.turn()
        self.assertTrue(self.wire.heard_end)


class NeverEndpoint:
    """An endpoint whose attempt neither succeeds nor fails."""

    def connect(self, factory: IProtocolFactory) -> Deferred[Any]:
        return Deferred()


class RefusingEndpoint:
    """An endpoint that fails before its `connect` returns."""

    def connect(self, factory: IProtocolFactory) -> Deferred[Any]:
        return fail(ConnectionRefusedError())


@implementer(IStreamClientEndpoint)
class InstantEndpoint:
    """An endpoint that is connected before its `connect` returns."""

    def __init__(self, clock: MemoryReactorClock) -> None:
        self.clock = clock
        self.wires: list[Pipe] = []

    def connect(self, factory: Any) -> Deferred[Any]:
        self.wires.append(Pipe(self.clock))
        protocol = factory.buildProtocol(None)
        self.wires[-1].connect(protocol)
        connected: Deferred[Any] = Deferred()
        connected.callback(protocol)
        return connected


class DiallingTests(LinkTestCase):
    """Attempts to reach a backend."""

    def test_attempts_rotate(self) -> None:
        """Each attempt of one link takes the next backend, the one after a lost link, too."""
        self.use(self.endpoint(7001), self.endpoint(7002), self.endpoint(7003))
        self.factory.start()
        ports = []
        for end in (self.refuse, self.refuse, self.break_at_once, self.refuse, self.refuse):
            ports.append(self.dialled())
            end()
            self.clock.advance(max(pending(self.clock)))
        self.assertEqual(ports, [7001, 7002, 7003, 7001, 7002])

    def break_at_once(self) -> None:
        self.accept().breaks()

    def test_waits_grow_up_to_the_ceiling(self) -> None:
        """A hundred refusals in a row leave a wait of 8 s, not an hour."""
        self.factory.start()
        waits = []
        for _ in range(100):
            self.refuse()
            (wait,) = pending(self.clock)
            waits.append(wait)
            self.clock.advance(wait)
        for wait, expected in zip(waits[:7], (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4), strict=True):
            self.assertAlmostEqual(wait, expected)
        for wait in waits[7:]:
            self.assertAlmostEqual(wait, MOST_WAIT)

    def test_waits_have_full_jitter(self) -> None:
        """Each wait is what the backoff says, anywhere from nothing to its ceiling."""
        shares = [0.5, 0.0, 0.25, 1.0]
        self.backoff = Backoff(FIRST_WAIT, MOST_WAIT, iter(shares).__next__)
        self.use(self.endpoint(7000))
        self.factory.start()
        for share, ceiling in zip(shares, (0.1, 0.2, 0.4, 0.8), strict=True):
            self.refuse()
            (wait,) = pending(self.clock)
            self.assertAlmostEqual(wait, share * ceiling)
            self.clock.advance(wait)

    def test_too_slow(self) -> None:
        """An attempt has 5 s; then it is given up and the next one is waited for."""
        self.factory.start()
        (connector,) = self.clock.connectors
        self.clock.advance(CONNECT_TIMEOUT - 0.01)
        self.assertFalse(connector.stoppedConnecting)
        with capturedLogs() as logs:
            self.clock.advance(0.01)
        self.assertTrue(connector.stoppedConnecting)
        self.clock.tcpClients.clear()
        self.assertTrue(self.waits)
        self.assertIn("within 5 s", str([each.get("reason") for each in logs]))

    def test_endpoint_that_never_answers(self) -> None:
        """An endpoint that forgets to answer does not stop the dialling."""
        self.use(NeverEndpoint(), self.endpoint(7002))
        self.factory.start()
        self.clock.advance(CONNECT_TIMEOUT)
        self.assertTrue(self.waits)
        self.clock.advance(FIRST_WAIT)
        self.assertEqual(self.dialled(), 7002)
        self.accept()
        self.clock.advance(CONNECT_TIMEOUT)
        self.assertEqual(self.owner.heard, ["up", "proved"])

    def test_endpoint_that_fails_at_once(self) -> None:
        """An attempt that fails at once is followed by the next one, after a wait."""
        self.use(RefusingEndpoint(), self.endpoint(7002))
        self.factory.start()
        self.assertTrue(self.waits)
        self.clock.advance(FIRST_WAIT)
        self.assertEqual(self.dialled(), 7002)

    def test_endpoint_that_succeeds_at_once(self) -> None:
        """A link that is up before the dialling returns is a link like any other."""
        endpoint = InstantEndpoint(self.clock)
        self.use(endpoint)
        self.factory.start()
        self.assertEqual(self.owner.heard, ["up"])
        endpoint.wires[0].breaks()
        self.clock.advance(FIRST_WAIT)
        self.assertEqual(self.owner.forget(), ["up", BROKEN, "up"])
        self.factory.stop()
        endpoint.wires[1].turn()
        endpoint.wires[1].hears_end()
        self.assertEqual(pending(self.clock), [])

    def test_timeout_ends_with_the_attempt(self) -> None:
        """The time for an attempt does not run on into the link, or into the wait."""
        self.factory.start()
        self.clock.advance(CONNECT_TIMEOUT - 1)
        self.accept()
        self.clock.advance(2)
        self.assertFalse(self.wire.aborted)

    def test_up_after_stop(self) -> None:
        """A link that comes up after the stop, against all rules, is cut off and not told."""
        self.factory.start()
        with patch.object(self.factory.connector, "stopConnecting"):
            self.factory.stop()
        self.accept()
        self.clock.advance(0)
        self.assertTrue(self.wire.aborted)
        self.assertEqual((self.owner.heard, pending(self.clock)), ([], []))

    def test_what_logs_call_it(self) -> None:
        """Logs name the backend by its endpoint string, and a lost link by its reason."""
        self.use(self.endpoint(7001), self.endpoint(7002))
        with capturedLogs() as logs:
            self.factory.start()
            self.refuse()
            self.clock.advance(FIRST_WAIT)
            self.accept().hears(frame(b"x" * (MAX_PAYLOAD + 1)))
            self.clock.advance(0)
        ours = [each for each in logs if each["log_namespace"].startswith("orion_twisted")]
        self.assertEqual(
            [(each["backend"], each["log_level"]) for each in ours],
            [
                ("backend 0", LogLevel.debug),
                ("backend 1", LogLevel.debug),
                ("backend 1", LogLevel.warn),
            ],
        )

    def test_disconnected_as_a_connector(self) -> None:
        """What Twisted calls to end an attempt ends it."""
        self.factory.start()
        self.factory.connector.disconnect()
        self.clock.tcpClients.clear()
        self.assertTrue(self.waits)


class ChoosingTests(LinkTestCase):
    """Several links to the same backends: which of them each one dials."""

    def setUp(self) -> None:
        super().setUp()
        self.use(self.endpoint(7001), self.endpoint(7002))

    def start(self) -> int:
        """Start one more link; return the port that it dials."""
        self.owner = Owner()
        self.factory = self.build_factory(self.owner)
        self.factory.start()
        return int(self.clock.tcpClients[-1][1])

    def test_spread(self) -> None:
        """Links that are wanted at the same time spread over the backends."""
        self.assertEqual([self.start() for _ in range(4)], [7001, 7002, 7001, 7002])
        self.assertEqual(self.choice.links, [2, 2])

    def test_where_links_have_ended(self) -> None:
        """The next link goes to where some have ended, by the backend's wish or by ours."""
        for end in (lambda: self.factory.stop(), lambda: self.wire.breaks()):
            self.setUp()
            self.start()
            self.accept()
            self.start()
            self.accept()
            self.start()
            self.accept()
            self.clock.advance(PROOF_TIME)
            self.assertEqual(self.choice.links, [2, 1])
            end()
            self.assertEqual(self.choice.links, [1, 1])

    def test_what_one_has_found_out(self) -> None:
        """A backend that refuses one link is not dialled for another until it has rested."""
        self.start()
        self.refuse()
        self.assertEqual([self.start(), self.start()], [7002, 7002])
        self.clock.tcpClients.clear()
        self.clock.advance(FIRST_WAIT)  # which is the first one's wait, too
        self.assertEqual(self.dialled(), 7001)

    def test_too_slow(self) -> None:
        """So is one that does not answer in time."""
        self.start()
        self.clock.advance(CONNECT_TIMEOUT)
        self.clock.tcpClients.clear()
        self.assertEqual(self.start(), 7002)

    def test_accepts_and_dies(self) -> None:
        """So is one that accepts and ends, before its link has proved itself."""
        self.start()
        self.accept().breaks()
        self.assertEqual(self.start(), 7002)
        self.clock.tcpClients.clear()
        self.assertEqual(self.start(), 7002)

    def test_ends_after_proof(self) -> None:
        """A link that has served and ends says nothing against its backend."""
        self.start()
        self.accept().hears(frame(b"served"))
        self.start()
        self.clock.tcpClients.clear()
        self.wire.breaks()
        self.assertEqual(self.choice.links, [0, 1])
        self.assertEqual(self.start(), 7001)

    def test_given_up(self) -> None:
        """Nor does a browser that leaves while its backend is dialled, or waits to be."""
        self.start()
        self.factory.stop()
        self.clock.tcpClients.clear()
        self.assertEqual((self.choice.links, self.start()), ([0, 0], 7002))
        self.clock.tcpClients.clear()
        self.assertEqual(self.start(), 7001)
        self.refuse()
        self.factory.stop()
        self.assertEqual(self.choice.links, [0, 1])

    def test_up_after_stop(self) -> None:
        """A link that comes up too late, against all rules, is not counted."""
        self.start()
        with patch.object(self.factory.connector, "stopConnecting"):
            self.factory.stop()
        self.accept()
        self.clock.advance(0)
        self.assertEqual((self.choice.links, self.start()), ([0, 0], 7002))

    def test_a_link_of_its_own_goes_elsewhere(self) -> None:
        """One link alone, too, goes to the other backend when its own is gone."""
        self.start()
        self.accept().hears(frame(b"served"))
        self.wire.breaks()
        self.clock.advance(FIRST_WAIT)
        self.assertEqual(self.dialled(), 7002)


class Backend(Protocol):
    """The TLS backend's side: it keeps what it hears."""

    def __init__(self) -> None:
        self.heard = b""
        self.lost: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = reason


class TLSTestCase(LinkTestCase):
    """Links over TLS, joined to a TLS server in memory."""

    build = staticmethod(framed_link)

    def setUp(self) -> None:
        root = authority()
        self.root = ssl.Certificate.loadPEM(root.certificate_pem)
        self.certificate = ssl.PrivateCertificate.loadPEM(issue(["backend.example"], root).pem)
        self.patch(tls, "_get_default_clock", lambda: self.clock)
        super().setUp()

    def endpoint(self, port: int) -> IStreamClientEndpoint:
        options: Any = ssl.optionsForClientTLS(
            "backend.example", ssl.trustRootFromCertificates([self.root])
        )
        return wrapClientTLS(options, super().endpoint(port))

    def accept(self) -> Pipe:
        self.backend = Backend()
        factory = TLSMemoryBIOFactory(
            self.certificate.options(),
            False,
            Factory.forProtocol(lambda: self.backend),
            self.clock,
        )
        self.server: TLSMemoryBIOProtocol = factory.buildProtocol(None)
        self.server_wire = Pipe(self.clock)
        self.server_wire.connect(self.server)
        return super().accept()

    def exchange(self, *, to_link: bool = True) -> None:
        """Carry bytes between the two until nothing moves."""
        while True:
            self.clock.advance(0)
            for wire in (self.wire, self.server_wire):
                wire.turn()
            forth, back = bytes(self.wire.taken), bytes(self.server_wire.taken) if to_link else b""
            if not forth and not back:
                return
            self.wire.taken.clear()
            if forth:
                self.server_wire.hears(forth)
            if back:
                self.server_wire.taken.clear()
                self.wire.hears(back)

    def bring_up(self) -> BackendLink:
        self.factory.start()
        self.accept()
        self.assertEqual(self.owner.heard, [])
        self.exchange()
        assert self.owner.link is not None
        self.assertEqual(self.owner.forget(), ["up"])
        return self.owner.link


class TLSTests(TLSTestCase):
    """How links over TLS come up, are read, and end."""

    def test_up_when_the_handshake_is_done(self) -> None:
        """A link is up when the backend has been verified, not when it has been reached."""
        link = self.bring_up()
        link.send(b"hello")
        self.exchange()
        self.assertEqual(self.backend.heard, b"hello")
        self.assertEqual(self.wire.options, {"no_delay": True, "keep_alive": True})

    def test_handshake_that_never_completes(self) -> None:
        """A TLS handshake is part of the attempt, and of its 5 s."""
        self.factory.start()
        self.accept()
        self.clock.advance(CONNECT_TIMEOUT)
        self.assertTrue(self.wire.aborted)
        self.clock.advance(0)
        self.assertEqual(self.owner.heard, [])
        self.assertTrue(self.waits)

    def test_stop_during_the_handshake(self) -> None:
        """A handshake under way is given up with everything else."""
        self.factory.start()
        self.accept()
        self.factory.stop()
        self.assertTrue(self.wire.aborted)
        self.clock.advance(0)
        self.assertEqual((self.owner.heard, pending(self.clock)), ([], []))

    def test_other_name(self) -> None:
        """A backend with another name's certificate is not talked to."""
        self.certificate = ssl.PrivateCertificate.loadPEM(issue(["other.example"]).pem)
        self.factory.start()
        self.accept()
        self.exchange()
        self.assertEqual((self.owner.heard, self.backend.heard), ([], b""))
        self.assertTrue(self.waits)

    def test_data_and_end_in_one_read(self) -> None:
        """A paused link delivers what came before TLS's end, and only then tells of it."""
        link = self.bring_up()
        link.pauseProducing()
        self.server.write(frame(b"one") + frame(b"two"))
        self.server.loseConnection()
        self.exchange(to_link=False)
        self.wire.protocol.dataReceived(bytes(self.server_wire.taken))  # Twisted had read it
        self.server_wire.taken.clear()
        self.exchange()
        self.assertEqual(self.owner.forget(), ["full"])
        self.owner.on_payload = lambda _: link.pauseProducing()
        link.resumeProducing()
        self.assertEqual(self.owner.forget(), ["proved", b"one"])
        link.resumeProducing()
        self.assertEqual(self.owner.forget(), [b"two"])
        link.resumeProducing()
        self.assertEqual(self.owner.forget(), [CLEAN])
        self.assertTrue(self.waits)

    def test_data_with_the_handshake(self) -> None:
        """A backend that greets with the end of its handshake is heard."""
        self.owner.reads = False
        self.factory.start()
        self.accept()
        self.server.write(frame(b"hello"))
        self.exchange()
        assert self.owner.link is not None
        self.owner.link.resumeProducing()
        self.wire.turn()
        self.exchange()
        self.assertEqual(self.owner.forget(), ["up", "proved", b"hello"])

    def test_end_without_close_notify(self) -> None:
        """An end that anybody on the way could have made is no clean one."""
        self.bring_up()
        self.wire.hears_end()
        self.assertEqual(self.owner.heard, [BROKEN])

    def test_stop(self) -> None:
        """What was sent arrives, then TLS ends in good order, and nothing is told."""
        link = self.bring_up()
        link.send(b"x" * 100_000)
        self.factory.stop()
        self.exchange()
        self.assertEqual(len(self.backend.heard), 100_000)
        assert self.backend.lost is not None
        self.assertTrue(self.backend.lost.check(ConnectionDone))
        self.assertEqual((self.owner.forget()[-1:], self.wire.aborted), (["full"], False))
        self.assertEqual(pending(self.clock), [])

    def test_backend_that_ends_while_it_is_full(self) -> None:
        """A backend that ends TLS with our messages still on their way gets them, and the owner
        hears of the end: nothing is written into a connection that has ended."""
        link = self.bring_up()
        self.wire.room = 0
        link.send(b"x" * 200_000)
        self.assertEqual(self.owner.forget(), ["full"])
        self.server.loseConnection()
        self.server_wire.turn()
        self.wire.hears(bytes(self.server_wire.taken))
        self.server_wire.taken.clear()
        self.wire.room = 1_000_000
        self.exchange()
        self.assertEqual(self.owner.forget(), [CLEAN])
        self.assertEqual(len(self.backend.heard), 200_000)
        self.assertTrue(self.wire.disconnected)

    def test_break_behind_a_bad_frame(self) -> None:
        """A bad frame that waits is told as the reason, though TLS is gone before."""
        link = self.bring_up()
        self.owner.on_payload = lambda _: link.pauseProducing()
        self.server.write(frame(b"one") + b"\xff" * 4)
        self.exchange()
        self.wire.breaks()
        link.resumeProducing()
        loss = self.owner.heard[-1]
        assert isinstance(loss, Loss)
        self.assertIsInstance(loss.error, FrameTooLarge)


class LeanTLSTests(TLSTests):
    """The same over TLS's short way."""

    def build_factory(self, owner: Owner) -> LinkFactory:
        factory = super().build_factory(owner)
        factory.lean_tls = True
        return factory

    def test_lean_from_the_beginning(self) -> None:
        """It is taken before the handshake, and by each link that follows."""
        self.assertIs(type(self.bring_up().transport), LeanTLSProtocol)
        self.wire.breaks()
        self.clock.advance(MOST_WAIT)
        self.accept()
        self.exchange()
        assert self.owner.link is not None
        self.assertIs(type(self.owner.link.transport), LeanTLSProtocol)

    def test_not_asked_for(self) -> None:
        """A factory that is not told to leaves TLS as Twisted has it."""
        self.factory = super().build_factory(self.owner)
        self.assertIs(type(self.bring_up().transport), tls.BufferingTLSTransport)


class SocketTests(TestCase):
    """Endpoint strings as settings have them, over real sockets of this machine."""

    def setUp(self) -> None:
        self.owner = Owner()
        self.ended: Deferred[None] = Deferred()
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def dial(self, text: str) -> None:
        """Dial once; `ended` fires when the attempt has ended, or the link that it brought."""
        backoff = Backoff(FIRST_WAIT, MOST_WAIT, lambda: 1.0)
        endpoints = [(text, clientFromString(reactor, text))]
        choice = Choice(1, lambda: backoff)
        self.factory = LinkFactory(endpoints, framed_link, self.owner, backoff, reactor, choice)
        self.patch(self.factory, "retry", self._over)
        self.factory.start()

    def _over(self) -> None:
        self.ended.callback(None)

    def listen(self, listen: Callable[..., Any], *where: Any, **more: Any) -> Any:
        self.backends: list[Greeter] = []

        def build() -> Greeter:
            self.backends.append(Greeter())
            return self.backends[-1]

        factory = Factory.forProtocol(build)
        factory.noisy = False
        port = listen(where[0], factory, *where[1:], **more)
        self.addCleanup(port.stopListening)
        return port

    def listen_tls(self, names: Sequence[str], trusted: bool = True) -> str:
        root = authority()
        certificate = ssl.PrivateCertificate.loadPEM(issue(names, root).pem)
        (self.folder / "ca.pem").write_bytes(
            (root if trusted else authority("Another CA")).certificate_pem
        )
        port = self.listen(reactor.listenSSL, 0, certificate.options(), interface="127.0.0.1")
        return f"tls:localhost:{port.getHost().port}:trustRoots={self.folder}"

    async def test_unix(self) -> None:
        """A backend on a UNIX socket is a backend like any other."""
        path = self.folder / "socket"
        self.listen(reactor.listenUNIX, str(path))
        self.dial(f"unix:{path}")
        await self.ended
        self.assertEqual(self.owner.heard, ["up", "proved", b"hello", CLEAN])

    async def test_tcp(self) -> None:
        """A backend that ends its side at once is a clean end over TCP, too."""
        port = self.listen(reactor.listenTCP, 0, interface="127.0.0.1")
        self.dial(f"tcp:127.0.0.1:{port.getHost().port}")
        await self.ended
        self.assertEqual(self.owner.heard, ["up", "proved", b"hello", CLEAN])

    async def test_tls(self) -> None:
        """A backend whose name and authority are as expected is talked to."""
        self.dial(self.listen_tls(["localhost"]))
        await self.ended
        self.assertEqual(self.owner.heard, ["up", "proved", b"hello", CLEAN])

    async def test_tls_by_address(self) -> None:
        """So is one that is known by its address."""
        text = self.listen_tls(["127.0.0.1"])
        self.dial(text.replace("localhost", "127.0.0.1"))
        await self.ended
        self.assertEqual(self.owner.heard, ["up", "proved", b"hello", CLEAN])

    async def test_tls_wrong_name(self) -> None:
        """A backend with another name's certificate gets nothing from us."""
        self.dial(self.listen_tls(["other.example"]))
        await self.ended
        self.assertEqual(self.owner.heard, [])

    async def test_tls_unknown_authority(self) -> None:
        """A backend that an unknown authority vouches for gets nothing from us."""
        self.dial(self.listen_tls(["localhost"], trusted=False))
        await self.ended
        self.assertEqual(self.owner.heard, [])

    async def test_nobody_listens(self) -> None:
        """A backend that is not there is dialled again later."""
        self.dial(f"unix:{self.folder / 'nothing'}")
        await self.ended
        self.assertEqual(self.owner.heard, [])


class Greeter(Protocol):
    """A backend that says hello and ends."""

    def connectionMade(self) -> None:
        self.transport.write(frame(b"hello"))
        self.transport.loseConnection()
