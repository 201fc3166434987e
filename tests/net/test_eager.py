"""Connections that send at once: the same as Twisted's own in all but when bytes go out."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import Mock, patch

from attrs import frozen
from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.internet import tcp, unix
from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import IPullProducer
from twisted.internet.protocol import ClientFactory, Factory, Protocol
from twisted.internet.testing import StringTransport
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from orion_twisted.net import eager
from orion_twisted.net.eager import LEAST_READ, MOST_READ, SMALL_READS, make_eager, why_not
from orion_twisted.net.flow import Fullness
from tests.net.sockets import Loop, Recorder, Valve, has_ended, reset, taken

BUFFER = FileDescriptor.bufferSize
MIB = 1 << 20
MUCH = bytes(range(256)) * (4 * MIB // 256)
"""More than the buffers of both ends take."""


class LoopTestCase(SynchronousTestCase):
    """Connections over real sockets, whose reactor turns when the test says so."""

    def setUp(self) -> None:
        self.loop = Loop()
        self.addCleanup(self.loop.close)

    def serve(self, half_closes: bool = False, family: int = socket.AF_INET) -> None:
        """Connect, with an eager end of ours."""
        self.protocol = Recorder(half_closes)
        self.peer = self.loop.serve(self.protocol, family)
        self.received = bytearray()
        self.transport = self.protocol.transport
        self.assertTrue(make_eager(self.transport))

    def waits(self) -> bool:
        """Say whether the connection has asked the reactor for room."""
        return self.transport in self.loop.reactor.getWriters()

    def queued(self) -> int:
        """Return how many bytes Twisted keeps for it."""
        transport = self.transport
        return len(transport.dataBuffer) - transport.offset + transport._tempDataLen

    def peer_reads(self) -> bytes:
        """Return what has arrived at the peer since the last time."""
        data = taken(self.peer)
        self.received += data
        return data

    def arrives(self, expected: bytes) -> None:
        """Wait until the peer has read this, and no more, from the beginning."""

        def enough() -> bool:
            self.peer_reads()
            return len(self.received) >= len(expected)

        self.loop.until(enough, f"{len(expected)} bytes arrive")
        self.assertTrue(self.received == expected)

    def lost(self) -> str:
        """Wait until the connection is gone; return why."""

        def gone() -> bool:
            return bool(self.protocol.told) and self.protocol.told[-1].startswith("Connection")

        self.loop.until(gone, "the connection is lost")
        return self.protocol.told[-1]


class WriteTests(LoopTestCase):
    """What is written, and when it goes out."""

    def setUp(self) -> None:
        super().setUp()
        self.serve()

    def test_at_once(self) -> None:
        """A message is out before the reactor has turned, which is not asked for anything."""
        self.transport.write(b"one")
        self.assertEqual((self.peer_reads(), self.waits()), (b"one", False))
        self.transport.writeSequence([b"two", b"", b" and ", b"three"])
        self.assertEqual((self.peer_reads(), self.waits()), (b"two and three", False))

    def test_client(self) -> None:
        """So it is on a connection that we have dialled."""
        self.protocol = Recorder()
        self.peer = self.loop.dial(self.protocol)
        self.transport = self.protocol.transport
        self.assertIs(type(self.transport), tcp.Client)
        self.assertTrue(make_eager(self.transport))
        self.transport.write(b"one")
        self.assertEqual((self.peer_reads(), self.waits()), (b"one", False))
        self.peer.sendall(b"two")
        self.loop.until(lambda: self.protocol.heard == b"two", "it reads")

    def test_nothing(self) -> None:
        """What is empty is not sent."""
        with patch.object(self.transport, "socket", Mock()) as never:
            self.transport.write(b"")
            self.transport.writeSequence([])
            self.transport.writeSequence([b"", b""])
        never.send.assert_not_called()
        self.assertFalse(self.waits())

    def test_bytes_only(self) -> None:
        """All but bytes is refused as Twisted refuses it, and what comes before it is not sent."""
        for odd in ("text", bytearray(b"array"), memoryview(b"view"), None):
            with self.assertRaisesRegex(TypeError, "Data must be bytes"):
                self.transport.write(odd)
            with self.assertRaisesRegex(TypeError, "Data must be bytes"):
                self.transport.writeSequence([b"before", odd])
        self.loop.turns(3)
        self.assertEqual(self.peer_reads(), b"")

    def test_order(self) -> None:
        """What the system does not take goes out before anything that is written after it."""
        self.transport.write(MUCH)
        self.assertTrue(self.waits())
        self.transport.write(b"second")
        self.peer_reads()  # now there would be room for what comes
        self.transport.write(b"third")
        self.transport.writeSequence([b"fourth", b"fifth"])
        self.arrives(MUCH + b"secondthirdfourthfifth")
        self.assertFalse(self.waits())
        self.transport.write(b"last")
        self.assertEqual(self.peer_reads(), b"last")

    def test_full_by_surprise(self) -> None:
        """A send for which there is no room, or no memory, or that a signal stops, is none."""
        for number, error in enumerate((BlockingIOError(11, ""), InterruptedError(4, ""))):
            self._fails_once(error, b"%d" % number)
        self._fails_once(OSError(105, "ENOBUFS"), b"2")
        self.arrives(b"012")
        self.assertEqual(self.protocol.told, [])

    def _fails_once(self, error: OSError, data: bytes) -> None:
        broken = Mock(send=Mock(side_effect=error))
        with patch.object(self.transport, "socket", broken):
            self.transport.write(data)
        self.assertTrue(self.waits())
        self.loop.turns(2)

    def test_nagle(self) -> None:
        """A second small message does not wait for the first one's acknowledgement."""
        self.assertTrue(self.transport.getTcpNoDelay())


class PressureTests(LoopTestCase):
    """A peer that reads nothing, or slowly."""

    def setUp(self) -> None:
        super().setUp()
        self.serve()
        self.valve = Valve()

    def test_pauses(self) -> None:
        """A producer is paused as soon as Twisted's buffer has passed its mark, and not before."""
        self.transport.registerProducer(self.valve, True)
        written = 0
        while self.valve.open:
            self.assertLessEqual(self.queued(), BUFFER)
            self.transport.write(MUCH[:1000])
            written += 1000
            self.assertLess(written, 2 * MIB, "it never pauses")
        self.assertTrue(BUFFER < self.queued() <= BUFFER + 1000)
        self.assertEqual(self.valve.pauses, 1)
        self.loop.turns(5)
        self.assertFalse(self.valve.open)
        self.arrives(MUCH[:1000] * (written // 1000))
        self.loop.until(lambda: self.valve.open, "it is resumed")
        self.assertEqual((self.queued(), self.waits()), (0, False))

    def test_not_while_the_system_takes_it(self) -> None:
        """What goes out is not counted: a peer that reads all pauses nobody."""
        self.transport.registerProducer(self.valve, True)
        for _ in range(100):
            self.transport.write(MUCH[:20_000])
            self.assertEqual(len(self.peer_reads()), 20_000)
        self.assertEqual(self.valve.pauses, 0)

    def test_pull_producer(self) -> None:
        """A producer that waits to be asked is asked each time there is room, up to its end."""
        pieces = [b"one", b"two", b"three"]
        transport = self.transport

        @implementer(IPullProducer)
        class Pulled:
            def resumeProducing(self) -> None:
                if pieces:
                    transport.write(pieces.pop(0))
                else:
                    transport.unregisterProducer()

            def stopProducing(self) -> None:
                """It has nothing to stop."""

        self.transport.registerProducer(Pulled(), False)
        self.arrives(b"onetwothree")
        self.loop.until(lambda: transport.producer is None, "it has ended")

    def test_writes_when_resumed(self) -> None:
        """A producer that writes while it is being resumed keeps the order."""
        transport, valve = self.transport, self.valve
        more = [MUCH[:300_000], b"middle", MUCH[:300_000], b"end"]
        expected = MUCH + b"".join(more)

        def resume() -> None:
            valve.open = True
            while more and valve.open:
                transport.write(more.pop(0))

        valve.resumeProducing = resume  # type: ignore[method-assign]
        transport.registerProducer(valve, True)
        transport.write(MUCH)
        self.assertFalse(valve.open)
        self.arrives(expected)


class EndTests(LoopTestCase):
    """All the ways in which a connection ends."""

    def test_close_delivers(self) -> None:
        """All that was written before the close arrives, and then the end."""
        self.serve()
        self.transport.write(MUCH)
        self.transport.loseConnection()
        self.assertTrue(self.transport.disconnecting)
        self.arrives(MUCH)
        self.assertEqual(self.lost(), "ConnectionDone")
        self.assertTrue(has_ended(self.peer))

    def test_close_with_nothing_queued(self) -> None:
        """A close right after a message that is out already ends the connection."""
        self.serve()
        self.transport.write(b"last")
        self.transport.loseConnection()
        self.assertEqual(self.lost(), "ConnectionDone")
        self.assertEqual(self.peer_reads(), b"last")
        self.assertTrue(has_ended(self.peer))

    def test_close_waits_for_the_producer(self) -> None:
        """While a producer is registered the connection stays, and takes what it writes."""
        self.serve()
        self.transport.registerProducer(Valve(), True)
        self.transport.write(b"one")
        self.transport.loseConnection()
        self.transport.write(b"two")
        self.transport.unregisterProducer()
        self.assertEqual(self.lost(), "ConnectionDone")
        self.assertEqual(self.peer_reads(), b"onetwo")

    def test_close_with_a_full_buffer(self) -> None:
        """Who is told when there is room is no reason to stay: it ends behind all that waits."""
        self.serve()
        told: list[bool] = []
        Fullness(self.transport, told.append)
        self.transport.write(MUCH)
        self.transport.loseConnection()
        self.arrives(MUCH)
        self.assertEqual((self.lost(), told), ("ConnectionDone", [True]))
        self.assertTrue(has_ended(self.peer))

    def test_write_after_the_end(self) -> None:
        """What is written to a connection that is gone is dropped, without a word."""
        self.serve()
        self.transport.loseConnection()
        self.lost()
        self.transport.write(b"late")
        self.transport.writeSequence([b"late"])
        self.assertEqual(self.peer_reads(), b"")

    def test_abort(self) -> None:
        """What the system has not taken yet is dropped, and nothing is sent any more."""
        self.serve()
        self.transport.write(MUCH)
        self.peer_reads()
        self.transport.abortConnection()
        self.transport.write(b"late")
        self.assertEqual(self.lost(), "ConnectionAborted")
        with self.assertRaises(ConnectionResetError):
            while self.peer.recv(MIB):
                pass

    def test_abort_with_nothing_queued(self) -> None:
        """Not even what would have room is sent after an abort."""
        self.serve()
        self.transport.abortConnection()
        with patch.object(self.transport, "socket", Mock()) as never:
            self.transport.write(b"late")
            self.transport.writeSequence([b"late"])
        never.send.assert_not_called()
        self.assertEqual(self.lost(), "ConnectionAborted")

    def test_reset(self) -> None:
        """A peer that cuts the connection off is noticed by the next read, as a loss."""
        self.serve()
        reset(self.peer)
        self.assertEqual(self.lost(), "ConnectionLost")

    def test_reset_during_a_write(self) -> None:
        """If a write meets it nothing is raised there, and the loss is told once, by a turn."""
        for half_closes in (False, True):
            with self.subTest(half_closes=half_closes):
                self.serve(half_closes)
                valve = Valve()
                self.transport.registerProducer(valve, True)
                reset(self.peer)
                for _ in range(3):
                    self.transport.write(b"into the void")
                    self.assertEqual((self.protocol.told, valve.stopped), ([], False))
                self.assertEqual(self.lost(), "ConnectionLost")
                self.assertEqual((self.protocol.told, valve.stopped), (["ConnectionLost"], True))

    def test_reset_while_paused(self) -> None:
        """So it is while nobody reads."""
        self.serve(half_closes=True)
        self.transport.pauseProducing()
        reset(self.peer)
        self.transport.write(b"into the void")
        self.assertEqual(self.lost(), "ConnectionLost")
        self.assertEqual(self.protocol.told, ["ConnectionLost"])

    def test_reset_with_much_queued(self) -> None:
        """What was queued is dropped with the connection, and a paused producer is stopped."""
        self.serve()
        valve = Valve()
        self.transport.registerProducer(valve, True)
        self.transport.write(MUCH)
        self.assertFalse(valve.open)
        reset(self.peer)
        self.assertEqual(self.lost(), "ConnectionLost")
        self.assertTrue(valve.stopped)

    def test_our_half(self) -> None:
        """Our FIN comes after all that was written; nothing follows it, and we still read."""
        self.serve(half_closes=True)
        self.transport.write(MUCH)
        self.transport.loseWriteConnection()
        self.arrives(MUCH)
        self.loop.until(lambda: self.protocol.told == ["write"], "the FIN is out")
        self.assertTrue(has_ended(self.peer))
        self.transport.write(b"late")
        self.transport.writeSequence([b"late"])
        self.peer.sendall(b"still here")
        self.loop.until(lambda: self.protocol.heard == b"still here", "it reads")
        self.peer.close()
        self.loop.until(lambda: "read" in self.protocol.told, "the peer's FIN comes")
        self.transport.loseConnection()
        self.assertEqual(self.lost(), "ConnectionDone")
        self.assertEqual(self.protocol.told, ["write", "read", "ConnectionDone"])

    def test_their_half(self) -> None:
        """After a FIN of the peer's we still write, and it receives all of it."""
        self.serve(half_closes=True)
        self.peer.shutdown(socket.SHUT_WR)
        self.loop.until(lambda: self.protocol.told == ["read"], "the peer's FIN comes")
        self.transport.write(b"still here")
        self.assertEqual(self.peer_reads(), b"still here")
        self.transport.write(MUCH)
        self.transport.loseConnection()
        self.arrives(b"still here" + MUCH)
        self.assertEqual(self.lost(), "ConnectionDone")

    def test_their_end(self) -> None:
        """Whoever cannot be half-closed is lost with the peer's FIN, in good order."""
        self.serve()
        self.peer.shutdown(socket.SHUT_WR)
        self.assertEqual(self.lost(), "ConnectionDone")
        self.assertEqual(self.protocol.told, ["ConnectionDone"])

    def test_dialler(self) -> None:
        """Who has dialled may dial again in the moment of the loss; else it forgets us."""
        protocols = [Recorder(), Recorder()]
        peers = []
        left = protocols.copy()
        factory = ClientFactory()
        factory.noisy = False
        factory.buildProtocol = lambda _: left.pop(0)  # type: ignore[method-assign]

        def again(connector: Any, _: object) -> None:
            if left:
                connector.connect()

        factory.clientConnectionLost = again  # type: ignore[method-assign]
        with socket.create_server(("127.0.0.1", 0)) as listener:
            where = listener.getsockname()
            connector = self.loop.reactor.connectTCP(*where, factory)
            for protocol in protocols:
                self.loop.until(lambda each=protocol: each.transport is not None, "it connects")
                peers.append(listener.accept()[0])
                make_eager(protocol.transport)
                self.assertIs(connector.transport, protocol.transport)
                protocol.transport.write(b"hello")
                self.assertEqual(peers[-1].recv(10), b"hello")
                peers[-1].close()
                self.loop.until(lambda each=protocol: each.told, "it is lost")
        self.assertIsNone(connector.transport)
        self.assertEqual([each.told for each in protocols], [["ConnectionDone"]] * 2)

    def test_from_inside_a_read(self) -> None:
        """Messages that a protocol writes, and its close, while it is being read to."""

        def answer(data: bytes) -> None:
            self.transport.write(b"answer")
            self.transport.loseConnection()

        self.serve()
        self.protocol.on_data = answer
        self.peer.sendall(b"question")
        self.assertEqual(self.lost(), "ConnectionDone")
        self.assertEqual(self.peer_reads(), b"answer")


class ReadTests(LoopTestCase):
    """How much is read at a time."""

    def setUp(self) -> None:
        super().setUp()
        self.serve()

    def asks(self, *arrived: int) -> list[int]:
        """Have so many bytes arrive before each of some reads; return how many each asks for."""
        asked = []

        def recv(most: int) -> bytes:
            asked.append(most)
            return bytes(min(most, sizes.pop(0)))

        sizes = list(arrived)
        with patch.object(self.transport, "socket", Mock(recv=recv)):
            while sizes:
                self.transport.doRead()
        return asked

    def test_grows(self) -> None:
        """The buffer doubles with each read that fills it, up to its limit."""
        self.assertEqual(
            self.asks(LEAST_READ - 1, LEAST_READ, MIB, MIB, MIB),
            [LEAST_READ, LEAST_READ, 2 * LEAST_READ, MOST_READ, MOST_READ],
        )

    def test_shrinks(self) -> None:
        """It is halved after some small reads in a row, down to where it began."""
        self.asks(MIB, MIB)
        small = [100] * SMALL_READS
        self.assertEqual(
            self.asks(*small, *small, 100),
            [
                *[MOST_READ] * SMALL_READS,
                *[MOST_READ // 2] * SMALL_READS,
                LEAST_READ,
            ],
        )
        self.assertEqual(self.asks(*small, 100)[-1], LEAST_READ)

    def test_a_larger_read_counts(self) -> None:
        """A read of half of it, or one that fills it, among small ones keeps it as it is."""
        for larger in (MOST_READ // 2, MOST_READ):
            self.asks(MIB, MIB)
            few = [100] * (SMALL_READS - 1)
            self.assertEqual(set(self.asks(*few, larger, *few, 100)), {MOST_READ})
            self.asks(*[100] * 2 * SMALL_READS)

    def test_all_of_it(self) -> None:
        """However it is read, all that the peer sends arrives, in order."""
        left = MUCH

        def all_read() -> bool:
            nonlocal left
            with contextlib.suppress(BlockingIOError):
                left = left[self.peer.send(left) :]
            return len(self.protocol.heard) == len(MUCH)

        self.loop.until(all_read, "all of it is read")
        self.assertTrue(self.protocol.heard == MUCH)

    def test_mark_stays(self) -> None:
        """Reading more at a time does not mean keeping more for those who do not read."""
        self.asks(MIB, MIB)
        valve = Valve()
        self.transport.registerProducer(valve, True)
        while valve.open:
            self.transport.write(MUCH[:1000])
        self.assertTrue(BUFFER < self.queued() <= BUFFER + 1000)


class UNIXTests(LoopTestCase):
    """UNIX sockets, and the files that may travel over them."""

    def setUp(self) -> None:
        super().setUp()
        self.serve(family=socket.AF_UNIX)
        self.assertIsInstance(self.transport, unix.Server)

    def test_at_once(self) -> None:
        """What is written is out before the reactor has turned."""
        self.transport.write(b"one")
        self.assertEqual((self.peer_reads(), self.waits()), (b"one", False))
        self.peer.sendall(b"two")
        self.loop.until(lambda: self.protocol.heard == b"two", "it reads")

    def test_client(self) -> None:
        """So it is on a connection that we have dialled."""
        with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
            path = str(Path(folder, "socket"))
            listener.bind(path)
            listener.listen()
            protocol = Recorder()
            factory = Factory()
            factory.buildProtocol = lambda _: protocol  # type: ignore[method-assign]
            factory.doStart = factory.doStop = lambda: None  # type: ignore[method-assign]
            factory.startedConnecting = lambda _: None  # type: ignore[attr-defined]
            factory.clientConnectionLost = lambda *_: None  # type: ignore[attr-defined]
            self.loop.reactor.connectUNIX(path, factory)
            self.loop.until(lambda: protocol.transport is not None, "it connects")
            peer, _ = listener.accept()
            with peer:
                self.assertIs(type(protocol.transport), unix.Client)
                self.assertTrue(make_eager(protocol.transport))
                protocol.transport.write(b"one")
                self.assertEqual(peer.recv(10), b"one")

    def test_files(self) -> None:
        """An open file goes with the byte that is written after it, as with Twisted's own."""
        with tempfile.TemporaryFile() as file:
            self.transport.sendFileDescriptor(file.fileno())
            self.transport.write(b"it")
            self.loop.turns(2)
            data, (descriptor,), _, _ = socket.recv_fds(self.peer, 10, 1)
            try:
                self.assertTrue(os.path.sameopenfile(descriptor, file.fileno()))
            finally:
                os.close(descriptor)
            data += taken(self.peer)
        self.assertEqual(data, b"it")
        self.transport.write(b"on")
        self.assertEqual((self.peer_reads(), self.waits()), (b"on", False))

    def test_close_delivers(self) -> None:
        """All that was written before the close arrives."""
        self.transport.write(MUCH)
        self.transport.loseConnection()
        self.arrives(MUCH)
        self.assertEqual(self.lost(), "ConnectionDone")

    def test_gone(self) -> None:
        """A peer that is gone is noticed, by a turn and as a loss, also if a write meets it."""
        self.transport.registerProducer(Valve(), True)
        self.peer.close()
        self.transport.write(b"into the void")
        self.assertEqual(self.protocol.told, [])
        self.assertEqual(self.lost(), "ConnectionLost")


class SwitchTests(LoopTestCase):
    """What can be made eager, and what stays as it is."""

    def test_behind_wrappers(self) -> None:
        """TLS, and what reads a PROXY header, stand in front of the socket that is meant."""
        protocol = Recorder()
        self.loop.serve(protocol)
        socket_end = protocol.transport
        wrapper = ProtocolWrapper(WrappingFactory(Factory()), Protocol())
        wrapper.transport = ProtocolWrapper(WrappingFactory(Factory()), Protocol())
        wrapper.transport.transport = socket_end
        self.assertTrue(make_eager(wrapper))
        self.assertIs(type(socket_end), eager.EagerServer)
        self.assertTrue(make_eager(wrapper), "once more")

    def test_others(self) -> None:
        """Anything but Twisted's own classes is left alone: who knows what they do."""

        class Own(tcp.Server):
            """A class of somebody else's."""

        protocol = Recorder()
        self.loop.serve(protocol)
        protocol.transport.__class__ = Own
        self.assertFalse(make_eager(protocol.transport))
        self.assertIs(type(protocol.transport), Own)
        self.assertFalse(make_eager(StringTransport()))
        self.assertFalse(make_eager(None))

    def test_start_tls(self) -> None:
        """A connection that starts TLS by itself becomes Twisted's own again, for good."""
        self.serve()
        with patch.object(tcp.Server, "startTLS") as started:
            self.transport.startTLS("context", normal=False)
        started.assert_called_once_with(self.transport, "context", normal=False)
        self.assertIs(type(self.transport), tcp.Server)
        self.transport.TLS = True
        self.assertFalse(make_eager(self.transport))

    def test_missing(self) -> None:
        """Where Twisted has changed, connections stay as they are, and it can be said why."""
        protocol = Recorder()
        self.loop.serve(protocol)
        self.assertIsNone(why_not())
        with self.fresh(), patch.dict(eager._NAMES, {tcp.Connection: ("_of_old",)}):
            self.assertEqual(why_not(), "twisted.internet.tcp.Connection has no _of_old")
            self.assertFalse(make_eager(protocol.transport))
            self.assertIs(type(protocol.transport), tcp.Server)

    def test_queues_otherwise(self) -> None:
        """It is tried out, too: names alone say little."""

        def write(transport: Any, data: bytes) -> None:
            transport.elsewhere = data

        with self.fresh(), patch.object(FileDescriptor, "write", write):
            self.assertEqual(why_not(), "Twisted queues in another way")
        with self.fresh(), patch.object(FileDescriptor, "doWrite", lambda _: None):
            self.assertEqual(why_not(), "Twisted queues in another way")
        with self.fresh(), patch.object(FileDescriptor, "__init__", lambda *_: None):
            self.assertIn("_tempDataBuffer", why_not() or "")

    def fresh(self) -> Any:
        """Have it tried again now, and once more later."""
        why_not.cache_clear()
        self.addCleanup(why_not.cache_clear)
        return patch.object(eager, "why_not", why_not)


@frozen
class Seen:
    """What both ends have seen of a connection when all is over."""

    received: bytes
    heard: bytes
    told: tuple[str, ...]
    stopped: bool


SIZES = st.sampled_from([0, 1, 100, 5000, 70_000, 300_000])
STEPS = st.one_of(
    st.tuples(st.just("write"), SIZES),
    st.tuples(st.just("sequence"), SIZES),
    st.tuples(st.just("turn"), st.just(0)),
    st.tuples(st.just("peer reads"), st.sampled_from([10, 20_000, MIB])),
    st.tuples(st.just("peer writes"), st.sampled_from([1, 1000])),
    st.tuples(st.just("pause"), st.just(0)),
    st.tuples(st.just("resume"), st.just(0)),
    st.tuples(st.just("produce"), st.just(0)),
    st.tuples(st.just("no longer"), st.just(0)),
)
ENDS = st.sampled_from(
    ["we close", "we finish", "the peer finishes", "both finish", "the peer closes"]
)


class Pair:
    """One connection that goes through a schedule."""

    def __init__(self, loop: Loop, is_eager: bool, half_closes: bool) -> None:
        self.loop = loop
        self.half_closes = half_closes
        self.protocol = Recorder(half_closes)
        self.peer = loop.serve(self.protocol)
        self.transport = self.protocol.transport
        self.valve = Valve()
        self.received = bytearray()
        self.written = self.said = 0
        if is_eager:
            make_eager(self.transport)

    def step(self, what: str, size: int) -> None:
        if what == "write":
            self.transport.write(self._next(size))
        elif what == "sequence":
            self.transport.writeSequence([self._next(size), self._next(1), self._next(size)])
        elif what == "turn":
            self.loop.turn()
        elif what == "peer reads":
            self.received += taken(self.peer, size)
        elif what == "peer writes":
            self.said += self.peer.send(b"p" * size)
        elif what == "pause":
            self.transport.pauseProducing()
        elif what == "resume":
            self.transport.resumeProducing()
        elif what == "produce":
            if self.transport.producer is None:
                self.transport.registerProducer(self.valve, True)
        else:
            self.transport.unregisterProducer()

    def _next(self, size: int) -> bytes:
        start = self.written % 251
        self.written += size
        return MUCH[start : start + size]

    def end(self, how: str) -> None:
        """End the connection in some way, and wait until it is gone and all of it has arrived."""
        told = self.protocol.told
        self.transport.resumeProducing()
        self.transport.unregisterProducer()
        # The system answers a close with a reset if anything of the peer's was not read.
        self.loop.until(lambda: len(self.protocol.heard) == self.said, "all is read")
        if how == "we finish":
            self.transport.loseWriteConnection()
            self.loop.until(self._finished, "our FIN arrives")
        elif how == "the peer finishes":
            if not self.half_closes:  # it goes at once, with what it has not sent yet
                self.loop.until(self._all_out, "all is out")
            self.peer.shutdown(socket.SHUT_WR)
            self.loop.until(lambda: told and self._all_out(), "its FIN is told, and all is out")
        elif how == "both finish":
            self.peer.shutdown(socket.SHUT_WR)
        elif how == "the peer closes":
            self.loop.until(self._all_received, "all has arrived")
            self.peer.shutdown(socket.SHUT_RDWR)
            self.loop.until(lambda: told, "it is told")
        if not self._is_lost():
            self.transport.loseConnection()
        self.loop.until(self._is_over, "the connection is gone, and all has arrived")

    def _all_out(self) -> bool:
        self.received += taken(self.peer)
        return not self.transport.dataBuffer and not self.transport._tempDataBuffer

    def _all_received(self) -> bool:
        self.received += taken(self.peer)
        return len(self.received) == self.written

    def _finished(self) -> bool:
        return self._all_out() and has_ended(self.peer)

    def _is_over(self) -> bool:
        return self._all_received() and self._is_lost()

    def _is_lost(self) -> bool:
        return bool(self.protocol.told) and self.protocol.told[-1].startswith("Connection")

    def seen(self) -> Seen:
        told = tuple(self.protocol.told)
        return Seen(bytes(self.received), bytes(self.protocol.heard), told, self.valve.stopped)


class DifferentialTests(SynchronousTestCase):
    """Twisted's own connections and eager ones, through the same schedules."""

    @settings(max_examples=150, deadline=None)
    @given(st.lists(STEPS, max_size=20), ENDS, st.booleans())
    @example([("write", 300_000)] * 10, "we close", True)
    @example([("write", 300_000), ("peer reads", MIB), ("write", 1)] * 4, "we finish", True)
    def test_same(self, steps: Sequence[tuple[str, int]], end: str, half_closes: bool) -> None:
        """Both ends have seen the same when all is over, whatever has happened and however cut."""
        loop = Loop()
        try:
            pairs = [Pair(loop, is_eager, half_closes) for is_eager in (False, True)]
            for pair in pairs:
                for what, size in steps:
                    pair.step(what, size)
                pair.end(end)
            stock, ours = (pair.seen() for pair in pairs)
            self.assertEqual(ours.told, stock.told)
            self.assertTrue(ours == stock)
        finally:
            loop.close()
