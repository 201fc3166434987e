"""Listening sockets that one process binds and others accept from, on real sockets."""

from __future__ import annotations

import os
import socket
import stat
import tempfile
from pathlib import Path
from typing import Any
from unittest import SkipTest

from twisted.internet import endpoints
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.python.systemd import ListenFDs
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.net.listening import HeldSocket, hold, inherited
from tests.net.sockets import Loop, Recorder

TCP = "tcp:{port}:interface=127.0.0.1:backlog=64"
BACKLOG = 64


class Accepting(Factory):
    """A worker's factory: keeps who has come."""

    noisy = False

    def __init__(self) -> None:
        self.came: list[Recorder] = []

    def buildProtocol(self, addr: object) -> Recorder:
        self.came.append(Recorder())
        return self.came[-1]

    @property
    def heard(self) -> list[bytes]:
        return [bytes(each.heard) for each in self.came]


class ListeningTestCase(SynchronousTestCase):
    """A supervisor's sockets, and workers in the same process."""

    def setUp(self) -> None:
        self.loop = Loop()
        self.addCleanup(self.loop.close)
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory(prefix="orion-")))

    def enterContext(self, context: Any) -> Any:
        value = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        return value

    def hold(self, where: str, **options: Any) -> tuple[HeldSocket, ...]:
        """Bind a place for two workers."""
        held = hold(self.loop.reactor, where, 2, **options)
        self.addCleanup(self.close, *held)
        return held

    def close(self, *held: HeldSocket) -> None:
        """Have the supervisor give descriptors up."""
        for each in dict.fromkeys(held):
            closed = each.close()
            if closed is not None:
                self.finish(closed)

    def finish(self, deferred: Any) -> None:
        done: list[object] = []
        deferred.addCallback(done.append)
        self.loop.until(lambda: done, "it is closed")

    def adopt(self, held: HeldSocket) -> tuple[Accepting, Any]:
        """Let a worker accept; return its factory and its port."""
        factory = Accepting()
        # The system hands a worker a copy of the descriptor.
        endpoint = inherited(self.loop.reactor, os.dup(held.fd), held.family, BACKLOG)
        listening: Deferred[Any] = endpoint.listen(factory)
        return factory, self.successResultOf(listening)

    def dial(self, address: Any, words: bytes = b"hello") -> socket.socket:
        """Connect, and say something at once."""
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        client = socket.socket(family)
        self.addCleanup(client.close)
        client.settimeout(5)
        client.connect(address)
        client.sendall(words)
        return client

    @staticmethod
    def place(held: HeldSocket) -> tuple[str, int]:
        address: Any = held.address
        return address.host, address.port


class SpreadTests(ListeningTestCase):
    """A socket for each worker, of one port."""

    def setUp(self) -> None:
        super().setUp()
        self.held = self.hold(TCP.format(port=0), spreads=True)

    def test_one_port(self) -> None:
        """Each worker has a socket of its own, and all have the port that was free."""
        first, second = self.held
        self.assertNotEqual(first.fd, second.fd)
        self.assertEqual(self.place(first), self.place(second))
        self.assertEqual(first.family, socket.AF_INET)

    def test_both_get_some(self) -> None:
        """The system spreads connections over the workers."""
        workers = [self.adopt(each)[0] for each in self.held]
        for _ in range(60):
            self.dial(self.place(self.held[0]))
        self.loop.until(lambda: sum(len(each.came) for each in workers) == 60, "all are in")
        self.assertGreater(min(len(each.came) for each in workers), 5)

    def test_before_anybody_accepts(self) -> None:
        """Who comes before the workers run waits for them, and is not refused."""
        for number in range(8):
            self.dial(self.place(self.held[0]), b"%d" % number)
        self.loop.turns(5)
        workers = [self.adopt(each)[0] for each in self.held]
        self.loop.until(
            lambda: sorted(workers[0].heard + workers[1].heard) == _numbers(8),
            "all are heard",
        )

    def test_a_worker_ends(self) -> None:
        """Who comes to a worker that has just ended is served by the one that follows."""
        other, _ = self.adopt(self.held[1])
        _, port = self.adopt(self.held[0])
        self.finish(port.stopListening())
        for number in range(40):
            self.dial(self.place(self.held[0]), b"%d" % number)
        self.loop.until(lambda: len(other.came) > 5, "the other one gets its own")
        self.loop.turns(5)
        self.assertLess(len(other.came), 40)
        following, _ = self.adopt(self.held[0])
        self.loop.until(
            lambda: sorted(other.heard + following.heard) == sorted(_numbers(40)), "all are heard"
        )

    def test_withdrawn(self) -> None:
        """While nobody accepts from a socket for long, the others get all who come; then it has
        its share again."""
        other, _ = self.adopt(self.held[1])
        for _ in range(2):
            self.held[0].withdraw()
            self.held[0].withdraw()
            other.came.clear()
            for _ in range(20):
                self.dial(self.place(self.held[0]))
            self.loop.until(lambda: len(other.came) == 20, "the other one has all")
            self.held[0].restore()
        worker, _ = self.adopt(self.held[0])
        for _ in range(40):
            self.dial(self.place(self.held[0]))
        self.loop.until(lambda: len(other.came) + len(worker.came) == 60, "all are served")
        self.assertGreater(len(worker.came), 5)

    def test_withdrawn_in_the_end(self) -> None:
        """A socket that was withdrawn at last is closed like any other."""
        self.held[0].withdraw()
        self.close(*self.held)
        self.assertRaises(ConnectionRefusedError, self.dial, self.place(self.held[0]))

    def test_the_end(self) -> None:
        """Closed here, the port goes on for as long as a worker accepts, and no longer."""
        worker, port = self.adopt(self.held[0])
        self.close(*self.held)
        self.dial(self.place(self.held[0]))
        self.loop.until(lambda: worker.heard == [b"hello"], "it is served")
        self.finish(port.stopListening())
        self.assertRaises(ConnectionRefusedError, self.dial, self.place(self.held[0]))

    def test_taken_by_us(self) -> None:
        """Another gateway of the same user does not slip in beside this one."""
        where = TCP.format(port=self.place(self.held[0])[1])
        self.assertRaises(CannotListenError, hold, self.loop.reactor, where, 2, spreads=True)

    def test_a_given_port(self) -> None:
        """A port that is free is had by all, also just after it was used."""
        _, port = self.place(self.held[0])
        workers = [self.adopt(each) for each in self.held]
        self.dial(self.place(self.held[0]))
        self.loop.until(lambda: any(each.came for each, _ in workers), "it is served")
        for _, listening in workers:
            self.finish(listening.stopListening())
        self.close(*self.held)
        held = self.hold(TCP.format(port=port), spreads=True)
        self.assertEqual({self.place(each) for each in held}, {("127.0.0.1", port)})

    def test_version_6(self) -> None:
        """IPv6 is no different."""
        try:
            held = self.hold(r"tcp:0:interface=\:\:1", spreads=True)
        except CannotListenError:
            raise SkipTest("there is no IPv6 here") from None
        self.assertEqual(held[0].family, socket.AF_INET6)
        worker, _ = self.adopt(held[0])
        other, _ = self.adopt(held[1])
        client = socket.create_connection(self.place(held[0]), 5)
        self.addCleanup(client.close)
        self.loop.until(lambda: worker.came or other.came, "it is served")


class SharedTests(ListeningTestCase):
    """One socket for all workers."""

    def test_tcp(self) -> None:
        """Where the system does not spread, whoever is quickest accepts; one is enough."""
        held = self.hold(TCP.format(port=0), spreads=False)
        self.assertIs(held[0], held[1])
        (first, port), (second, _) = map(self.adopt, held)
        self.finish(port.stopListening())
        held[0].withdraw()  # which would be to withdraw it from all
        for _ in range(5):
            self.dial(self.place(held[0]))
        self.loop.until(lambda: second.heard == [b"hello"] * 5, "all are served")
        self.assertEqual(first.came, [])

    def test_taken(self) -> None:
        """A port that somebody else has is an error at once."""
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            where = TCP.format(port=other.getsockname()[1])
            for spreads in (True, False):
                self.assertRaises(
                    CannotListenError, hold, self.loop.reactor, where, 2, spreads=spreads
                )

    def test_unix(self) -> None:
        """Workers come and go; the file has the mode of the settings, and stays until the end."""
        path = self.folder / "bridge.sock"
        held = self.hold(f"unix:{path}:mode=640")
        self.assertEqual(held[0].family, socket.AF_UNIX)
        (_, port), (second, other) = map(self.adopt, held)
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o640)
        self.finish(port.stopListening())
        self.dial(str(path))
        self.loop.until(lambda: second.heard == [b"hello"], "it is served")
        self.assertEqual(other.getHost().name, os.fsencode(path))
        self.finish(other.stopListening())
        self.dial(str(path), b"wait")
        third, _ = self.adopt(held[0])
        self.loop.until(lambda: third.heard == [b"wait"], "it is served by the next one")
        self.close(*held)
        self.assertFalse(path.exists())

    def test_many_wait(self) -> None:
        """A worker does not make the line shorter in which newcomers wait."""
        path = str(self.folder / "bridge.sock")
        held = self.hold(f"unix:{path}:backlog={BACKLOG}")
        _, port = self.adopt(held[0])
        port.stopReading()
        for _ in range(BACKLOG):
            client = socket.socket(socket.AF_UNIX)
            self.addCleanup(client.close)
            client.setblocking(False)
            client.connect(path)  # BlockingIOError where the line is full

    def test_systemd(self) -> None:
        """A socket that systemd has bound is held by a copy, which is all that is closed."""
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            bound.listen()
            held = self.of_systemd(bound)
            worker, _ = self.adopt(held[1])
            self.dial(bound.getsockname())
            self.loop.until(lambda: worker.heard == [b"hello"], "it is served")
            fd = held[0].fd
            self.assertNotEqual(fd, bound.fileno())
            self.assertIs(held[0], held[1])
            self.close(*held)
            self.assertRaises(OSError, os.fstat, fd)
            bound.getsockname()

    def of_systemd(self, bound: socket.socket) -> tuple[HeldSocket, ...]:
        """Hold a socket of systemd's; its descriptor would be 3, which the tests use."""
        (parser,) = (
            each
            for each in endpoints.getPlugins(endpoints.IStreamServerEndpointStringParser)
            if each.prefix == "systemd"
        )
        self.patch(parser, "_sddaemon", ListenFDs([os.dup(bound.fileno())]))
        return hold(self.loop.reactor, "systemd:domain=INET:index=0", 2)


def _numbers(most: int) -> list[bytes]:
    return [b"%d" % number for number in range(most)]
