"""Dials that send at once, and of which nothing is left when they come to nothing."""

from __future__ import annotations

import gc
import socket
from typing import Any
from weakref import ref

from twisted.internet.address import IPv4Address
from twisted.internet.endpoints import clientFromString
from twisted.internet.error import (
    ConnectBindError,
    ConnectError,
    ConnectingCancelledError,
    ConnectionDone,
    ConnectionRefusedError,
)
from twisted.internet.interfaces import IReactorTCP, IReactorTime, IReactorUNIX
from twisted.internet.protocol import ClientFactory, Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.net import dialling
from orion_twisted.net.dialling import (
    DiallingReactor,
    DirectClient,
    DirectEndpoint,
    endpoint_of,
)
from orion_twisted.net.eager import EagerClient, EagerUNIXClient
from tests.certificates import empty_folder
from tests.net.sockets import Loop, Recorder, has_ended, reset, taken


class Watched:
    """A reactor that notes whoever dials by it."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self.dialled: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def _note(self, connector: Any) -> Any:
        self.dialled += [ref(connector), ref(connector.transport)]
        return connector

    def connectTCP(self, *arguments: Any, **options: Any) -> Any:
        return self._note(self._reactor.connectTCP(*arguments, **options))

    def connectUNIX(self, *arguments: Any, **options: Any) -> Any:
        return self._note(self._reactor.connectUNIX(*arguments, **options))


class DiallingTests(SynchronousTestCase):
    """Endpoints of Twisted's, and real sockets."""

    def setUp(self) -> None:
        self.loop = Loop()
        self.addCleanup(self.loop.close)
        self.there = socket.socket()
        self.addCleanup(self.there.close)
        self.there.bind(("127.0.0.1", 0))
        self.reactor = Watched(self.loop.reactor)
        self.path = empty_folder(self) / "socket"
        gc.disable()
        self.addCleanup(gc.enable)

    def dial(self, to: str | None = None) -> Any:
        factory = Factory.forProtocol(Protocol)
        factory.noisy = False
        to = to or f"tcp:127.0.0.1:{self.there.getsockname()[1]}"
        return clientFromString(DiallingReactor(self.reactor), to).connect(factory)

    def is_forgotten(self) -> bool:
        return bool(self.reactor.dialled) and all(each() is None for each in self.reactor.dialled)

    def outcome(self, dialled: Any) -> Any:
        results: list[Any] = []
        dialled.addBoth(results.append)
        self.loop.until(lambda: bool(results), "the dial has an outcome")
        return results.pop()

    def test_up(self) -> None:
        """What is dialled is eager from the start, over TCP and UNIX sockets."""
        unix = socket.socket(socket.AF_UNIX)
        self.addCleanup(unix.close)
        unix.bind(str(self.path))
        unix.listen()
        self.there.listen()
        for to, kind in ((None, EagerClient), (f"unix:{self.path}", EagerUNIXClient)):
            protocol = self.outcome(self.dial(to))
            self.assertIsInstance(protocol.transport, kind)
            self.addCleanup(protocol.transport.abortConnection)

    def test_refused(self) -> None:
        """Nobody listens: it is said, and forgotten."""
        for to in (None, f"unix:{self.path}"):
            self.outcome(self.dial(to)).trap(ConnectError)
            self.loop.turn()
            self.assertTrue(self.is_forgotten())

    def test_given_up_before_it_begins(self) -> None:
        """It is cancelled in the same turn."""
        self.there.listen()
        dialled = self.dial()
        dialled.cancel()
        self.failureResultOf(dialled, ConnectingCancelledError)
        self.loop.turn()
        self.assertTrue(self.is_forgotten())

    def test_given_up_under_way(self) -> None:
        """It is cancelled while it waits for an answer."""
        self.there.listen(0)
        others = [socket.socket() for _ in range(4)]  # there is no room for any more of them
        for each in others:
            self.addCleanup(each.close)
            each.setblocking(False)
            each.connect_ex(self.there.getsockname())
        dialled = self.dial()
        for _ in range(3):
            self.loop.turn()
        self.assertNoResult(dialled)
        dialled.cancel()
        self.failureResultOf(dialled, ConnectingCancelledError)
        self.loop.turn()
        self.assertTrue(self.is_forgotten())

    def test_like_the_reactor(self) -> None:
        """It is what its reactor is, and a dial without a socket is left as it is."""
        memory = MemoryReactorClock()
        reactor: Any = DiallingReactor(memory)
        for each in (IReactorTCP, IReactorTime, IReactorUNIX):
            self.assertEqual(each.providedBy(reactor), each.providedBy(memory))
        memory.advance(5)
        self.assertEqual(reactor.seconds(), 5)
        reactor.connectTCP("127.0.0.1", 1, ClientFactory())
        self.assertEqual(len(memory.tcpClients), 1)


class Dialler:
    """Who dials directly, and keeps what comes of it."""

    def __init__(self) -> None:
        self.protocol = Recorder(half_closes=True)
        self.failures: list[type] = []

    def buildProtocol(self, addr: Any) -> Recorder:
        self.address = addr
        return self.protocol

    def connectionFailed(self, reason: Any) -> None:
        self.failures.append(reason.type)


class DirectTests(SynchronousTestCase):
    """Dials with nobody in between, and real sockets."""

    def setUp(self) -> None:
        self.loop = Loop()
        self.addCleanup(self.loop.close)
        self.there = socket.socket()
        self.addCleanup(self.there.close)
        self.there.bind(("127.0.0.1", 0))
        self.port = self.there.getsockname()[1]
        self.dialler = Dialler()
        gc.disable()
        self.addCleanup(gc.enable)

    def endpoint(self) -> DirectEndpoint:
        endpoint = endpoint_of(self.loop.reactor, f"tcp:127.0.0.1:{self.port}")
        assert isinstance(endpoint, DirectEndpoint)
        return endpoint

    def dial(self) -> DirectClient:
        return self.endpoint().dial(self.dialler)

    def connect(self) -> tuple[Any, socket.socket]:
        """Return our side's transport, and the backend's socket."""
        self.there.listen()
        self.dial()
        self.loop.until(lambda: self.dialler.protocol.transport, "it is up")
        far, _ = self.there.accept()
        far.setblocking(False)
        self.addCleanup(far.close)
        return self.dialler.protocol.transport, far

    def test_up(self) -> None:
        """It is begun at once, told in a later turn, and then like any eager connection."""
        self.there.listen()
        self.dial()
        far, _ = self.there.accept()  # no turn has been taken
        self.addCleanup(far.close)
        self.assertIsNone(self.dialler.protocol.transport)
        self.loop.until(lambda: self.dialler.protocol.transport, "it is up")
        transport = self.dialler.protocol.transport
        self.assertIs(type(transport), EagerClient)
        self.assertEqual(self.dialler.address, IPv4Address("TCP", "127.0.0.1", self.port))
        self.assertEqual(transport.getPeer(), self.dialler.address)
        self.assertEqual(transport.getHost().port, far.getpeername()[1])
        self.assertEqual(self.loop.reactor.getDelayedCalls(), [])

    def test_read_when_resumed(self) -> None:
        """Nothing is read until the protocol says so; then all is, and what it writes arrives."""
        transport, far = self.connect()
        far.send(b"early")
        self.loop.turns(3)
        self.assertEqual(self.dialler.protocol.heard, b"")
        transport.resumeProducing()
        self.loop.until(lambda: self.dialler.protocol.heard == b"early", "it is read")
        transport.write(b"answer")
        self.assertEqual(taken(far), b"answer")

    def test_ends(self) -> None:
        """Each side may end first, in good order or not, and it is told once, and forgotten."""
        for end in ("ours", "theirs", "reset", "abort"):
            with self.subTest(end):
                self.dialler = Dialler()
                transport, far = self.connect()
                gone = ref(transport)
                transport.resumeProducing()
                self.end(end, transport, far)
                del transport
                self.loop.until(self.is_over, "it is over")
                last = {"reset": "ConnectionLost", "abort": "ConnectionAborted"}
                told = self.dialler.protocol.told
                self.assertEqual(told[-1], last.get(end, "ConnectionDone"))
                self.dialler.protocol.transport = None
                self.loop.turns(2)
                self.assertIsNone(gone())
                self.assertEqual(self.dialler.failures, [])

    def is_over(self) -> bool:
        return any(each.startswith("Connection") for each in self.dialler.protocol.told)

    def end(self, end: str, transport: Any, far: socket.socket) -> None:
        told = self.dialler.protocol.told
        if end == "ours":
            transport.loseWriteConnection()
            self.loop.until(lambda: has_ended(far), "our end arrives")
            far.close()
            self.loop.until(lambda: told, "theirs arrives")
            transport.loseConnection()
        elif end == "theirs":
            far.close()
            self.loop.until(lambda: told == ["read"], "their end arrives")
            transport.loseConnection()
        elif end == "reset":
            reset(far)
        else:
            transport.abortConnection()

    def test_lost_while_it_dials(self) -> None:
        """Where the reactor ends, an attempt does."""
        self.there.listen()
        self.dial().connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.dialler.failures, [ConnectionDone])
        self.loop.turns(2)
        self.assertEqual(len(self.dialler.failures), 1)

    def test_refused(self) -> None:
        """Nobody listens: it is said once, and forgotten."""
        gone = ref(self.dial())
        self.assertEqual(self.dialler.failures, [])
        self.loop.until(lambda: self.dialler.failures, "it is said")
        self.loop.turns(2)
        self.assertEqual(self.dialler.failures, [ConnectionRefusedError])
        self.assertIsNone(gone())

    def test_no_way(self) -> None:
        """What the system refuses at once is said in the next turn."""
        endpoint: Any = endpoint_of(self.loop.reactor, "tcp:255.255.255.255:1")
        gone = ref(endpoint.dial(self.dialler))
        self.assertEqual(self.dialler.failures, [])
        self.loop.until(lambda: self.dialler.failures, "it is said")
        (why,) = self.dialler.failures
        self.assertTrue(issubclass(why, ConnectError))
        self.assertIsNone(gone())

    def test_no_socket(self) -> None:
        """Where there is no socket to be had, nothing has begun."""

        def none_left(_: object) -> socket.socket:
            raise OSError(24, "Too many open files")

        self.patch(DirectClient, "createInternetSocket", none_left)
        error = self.assertRaises(ConnectBindError, self.dial)
        self.assertIn("Too many open files", str(error))
        self.assertEqual(self.dialler.failures, [])

    def test_given_up(self) -> None:
        """It may be given up before it begins, under way, and, without effect, once it is up."""
        self.there.listen()
        attempt = self.dial()
        attempt.cancel()
        self.assertEqual(self.dialler.failures, [ConnectingCancelledError])
        attempt.cancel()
        gone = ref(attempt)
        del attempt
        self.loop.turns(3)
        self.assertEqual(len(self.dialler.failures), 1)
        self.assertIsNone(gone())
        self.assertIsNone(self.dialler.protocol.transport)
        self.there.accept()[0].close()
        attempt = self.dial()
        self.loop.until(lambda: self.dialler.protocol.transport, "it is up")
        DirectClient.cancel(attempt)
        self.assertEqual((len(self.dialler.failures), attempt.connected), (1, 1))

    def test_given_up_with_an_event_left(self) -> None:
        """What the same turn still has for it comes to nothing."""
        attempt = self.dial()
        attempt.cancel()
        self.assertIsNone(attempt.doWrite())
        self.assertEqual(self.dialler.failures, [ConnectingCancelledError])

    def test_as_an_endpoint(self) -> None:
        """Who wants an endpoint of Twisted's has one."""
        self.there.listen()
        factory = Factory.forProtocol(Protocol)
        factory.noisy = False
        up: list[Any] = []
        self.endpoint().connect(factory).addCallback(up.append)
        self.loop.until(lambda: up, "it is up")
        self.assertIs(type(up[0].transport), EagerClient)

    def test_which(self) -> None:
        """Addresses alone are dialled so, on the system's own sockets; all else is Twisted's."""
        for description, is_direct in (
            ("tcp:127.0.0.1:7000", True),
            ("tcp:host=127.0.0.1:port=7000", True),
            ("tcp:localhost:7000", False),
            ("tcp:127.0.0.256:7000", False),
            ("tcp:127.0.0.1:7000:timeout=2", False),
            ("tcp:127.0.0.1:7000:bindAddress=127.0.0.2", False),
            ("unix:/run/engine", False),
        ):
            endpoint = endpoint_of(self.loop.reactor, description)
            self.assertEqual(isinstance(endpoint, DirectEndpoint), is_direct, description)
        endpoint = endpoint_of(MemoryReactorClock(), "tcp:127.0.0.1:7000")
        self.assertNotIsInstance(endpoint, DirectEndpoint)

    def test_another_twisted(self) -> None:
        """One that lacks something dials in its own way, and it is said what is missing."""
        self.assertIsNone(dialling.why_not())
        self.patch(dialling, "_names", None)
        self.assertEqual(dialling.why_not(), "twisted.internet.tcp has no socket")
        endpoint = endpoint_of(self.loop.reactor, "tcp:127.0.0.1:7000")
        self.assertNotIsInstance(endpoint, DirectEndpoint)
