"""Dials that send at once, and of which nothing is left when they come to nothing."""

from __future__ import annotations

import gc
import socket
from typing import Any
from weakref import ref

from twisted.internet.endpoints import clientFromString
from twisted.internet.error import ConnectError, ConnectingCancelledError
from twisted.internet.interfaces import IReactorTCP, IReactorTime, IReactorUNIX
from twisted.internet.protocol import ClientFactory, Factory, Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.net.dialling import DiallingReactor
from orion_twisted.net.eager import EagerClient, EagerUNIXClient
from tests.certificates import empty_folder
from tests.net.sockets import Loop


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
