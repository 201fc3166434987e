"""
The reactor with the shorter loop: it calls the same, in the same order, as Twisted's own.

Twisted's suites for reactors run on it, too: all that touch sockets, time and threads.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import Mock, patch

from twisted.application.reactors import getReactorTypes
from twisted.internet.abstract import FileDescriptor
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.main import CONNECTION_LOST
from twisted.internet.test import (
    test_core,
    test_fdset,
    test_newtls,
    test_posixbase,
    test_socket,
    test_tcp,
    test_threads,
    test_time,
    test_tls,
    test_udp,
    test_unix,
)
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.net import leanreactor
from orion_twisted.net.leanreactor import EVENTS, LeanReactor, install, take_over, why_not
from tests.certificates import empty_folder
from tests.harness import REPOSITORY
from tests.net.sockets import Loop, Recorder, reset


class _Named(LeanReactor):
    """The reactor, by the name that Twisted's tests know what to leave out for."""


_Named.__name__ = "EPollReactor"


def _without_prefixes(test: Any) -> None:
    """Nothing: that the log names connections is what this reactor does without."""


def _temporary_name(test: Any) -> str:
    """Return a name for a file that goes with the test; trial's own would stay in the checkout."""
    return str(empty_folder(test) / "it")


def _suites() -> Iterator[tuple[str, type]]:
    """Yield Twisted's suites, each for this reactor in place of the one that they are for."""
    modules = (
        test_core,
        test_fdset,
        test_newtls,
        test_posixbase,
        test_socket,
        test_tcp,
        test_threads,
        test_time,
        test_tls,
        test_udp,
        test_unix,
    )
    for module in modules:
        for name, suite in sorted(vars(module).items()):
            if not name.endswith("_EPollReactorTests"):
                continue
            changes: dict[str, Any] = {
                "__module__": __name__,
                "reactorFactory": _Named,
                "mktemp": _temporary_name,
            }
            if hasattr(suite, "test_logPrefix"):
                changes["test_logPrefix"] = _without_prefixes
            ours = name.replace("EPollReactor", "LeanReactor")
            yield ours, type(ours, (suite,), changes)


globals().update(_suites())


class Descriptor(FileDescriptor):
    """
    One end of a pipe that something can be read from.

    Args:
        reads: what is done then; what it returns is why the connection ends, or None.
    """

    def __init__(self, loop: Loop, reads: Callable[[], Any]) -> None:
        super().__init__(loop.reactor)
        self._end, self._other = os.pipe()
        os.write(self._other, b"x")
        self.doRead = reads  # type: ignore[method-assign]
        self.lost: list[Failure] = []
        self.connected = 1
        self.startReading()

    def fileno(self) -> int:
        return self._end

    def connectionLost(self, reason: Failure) -> None:
        super().connectionLost(reason)
        self.lost.append(reason)
        os.close(self._end)
        os.close(self._other)


def is_over(told: list[str]) -> bool:
    return any(each.startswith("Connection") for each in told)


class LoopTests(SynchronousTestCase):
    """One turn of the loop."""

    def setUp(self) -> None:
        self.loop = Loop(LeanReactor)
        self.addCleanup(self.loop.close)
        self.called: list[object] = []

    def ready(self, name: object, then: Callable[[], Any] = lambda: None) -> Descriptor:
        def reads() -> Any:
            self.called.append(name)
            return then()

        return Descriptor(self.loop, reads)

    def test_reads(self) -> None:
        """Whoever has something to read is called, again in each turn until it is read."""
        for name in "ab":
            self.ready(name)
        self.loop.turns(2)
        self.assertEqual(self.called, ["a", "b", "a", "b"])

    def test_nothing(self) -> None:
        """Without anything to do it waits as long as it is told."""
        self.loop.turn(0.01)
        self.loop.reactor.callLater(0, self.called.append, "due")
        self.loop.reactor.doIteration(0)
        self.assertEqual(self.called, [])
        self.loop.turn()
        self.assertEqual(self.called, ["due"])

    def test_bug(self) -> None:
        """An exception is logged and costs its connection; the others have their turn."""
        error = ZeroDivisionError("a bug")

        def fail() -> None:
            raise error

        first, second = self.ready("first", fail), self.ready("second")
        self.loop.turns(2)
        self.assertEqual(self.called, ["first", "second", "second"])
        self.assertEqual([each.value for each in first.lost], [error])
        self.assertEqual(second.lost, [])
        (logged,) = self.flushLoggedErrors(ZeroDivisionError)
        self.assertIs(logged.value, error)

    def test_bug_at_the_end(self) -> None:
        """So it is with an exception of whoever is told of the end."""

        def fail(reason: Failure) -> None:
            raise ZeroDivisionError("a bug")

        first = self.ready("first", ConnectionDone)
        self.ready("second")
        told, first.connectionLost = first.connectionLost, fail  # type: ignore[method-assign]
        first.readConnectionLost = fail  # type: ignore[method-assign]
        self.loop.turn()
        self.assertEqual(self.called, ["first", "second"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        told(Failure(ConnectionDone()))

    def test_ends(self) -> None:
        """What a read returns ends the connection for this reason, and nobody is called again."""
        for why in (ConnectionDone(), ConnectionLost(), OSError("odd")):
            self.called.clear()
            each = self.ready("it", lambda why=why: why)
            self.loop.turns(2)
            self.assertEqual(self.called, ["it"])
            self.assertIsInstance(each.lost[0].value, type(why))

    def test_closed_by_another(self) -> None:
        """Whoever an earlier event has closed, or has stopped, is not called."""
        stops: list[Callable[[Descriptor], None]] = [
            lambda each: each.connectionLost(Failure(ConnectionDone())),
            lambda each: each.stopReading(),
        ]
        for stop in stops:
            self.called.clear()
            both: list[Descriptor] = []
            both.append(self.ready("first", lambda stop=stop, both=both: stop(both[1])))
            both.append(self.ready("second"))
            self.loop.turn()
            self.assertEqual(self.called, ["first"])
            both[0].stopReading()

    def test_number_used_again(self) -> None:
        """A number that an earlier event has freed is whose it is now."""

        def replace() -> None:
            number = second.fileno()
            second.connectionLost(Failure(ConnectionDone()))
            third.append(self.ready("third"))
            self.assertEqual(third[0].fileno(), number)
            first.stopReading()

        third: list[Descriptor] = []
        first = self.ready("first", replace)
        second = self.ready("second")
        self.loop.turn()
        self.assertEqual(self.called, ["first", "third"])
        self.assertEqual(len(second.lost), 1)

    def test_gone_under_it(self) -> None:
        """Whoever does not know its number any more is lost, not called."""
        for numbers in ([-1] * 9, [OSError("closed"), *[-1] * 9]):
            self.called.clear()
            each = self.ready("it")
            with patch.object(each, "fileno", Mock(side_effect=numbers)):
                self.loop.turn()
            self.assertEqual(self.called, [])
            self.assertEqual(len(each.lost), 1)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)

    def test_signal(self) -> None:
        """A wait that a signal breaks off is a turn without events; other errors are bugs."""
        with patch.object(self.loop.reactor, "_poller") as poller:
            poller.poll.side_effect = InterruptedError(4, "EINTR")
            self.loop.reactor.doIteration(None)
            poller.poll.assert_called_once_with(-1, EVENTS)
            poller.poll.side_effect = OSError(9, "EBADF")
            self.assertRaises(OSError, self.loop.reactor.doIteration, 0)

    def test_more_than_a_turn_takes(self) -> None:
        """With more events than one turn takes everybody has a turn, before anybody has many."""
        with patch.object(leanreactor, "EVENTS", 3):
            for name in range(8):
                self.ready(name)
            self.loop.turns(6)
        self.assertEqual(set(self.called), set(range(8)))
        self.assertEqual(len(self.called), 18)

    def test_reads_and_writes(self) -> None:
        """A read is a call, and so is a write; both at the same time go Twisted's own way."""
        protocol = Recorder(half_closes=True)
        peer = self.loop.serve(protocol)
        with patch.object(EPollReactor, "_doReadOrWrite", autospec=True) as stock:
            peer.sendall(b"x")
            self.loop.turn(1)
            self.assertEqual((protocol.heard, stock.call_count), (b"x", 0))
            protocol.transport.write(b"answer")
            self.loop.turn(1)
            self.assertEqual((peer.recv(10), stock.call_count), (b"answer", 0))
            protocol.transport.startWriting()
            peer.sendall(b"y")
            self.loop.turn(1)
            self.assertEqual((protocol.heard, stock.call_count), (b"x", 1))
        protocol.transport.stopWriting()
        self.loop.turn(1)
        self.assertEqual(protocol.heard, b"xy")

    def test_ends_as_stock(self) -> None:
        """Whoever ends first, and however, it is told as Twisted's own tells it."""
        told = []
        for make in (EPollReactor, LeanReactor):
            loop = Loop(make)
            self.addCleanup(loop.close)
            recorders = []
            for end in ("theirs", "ours", "both", "reset"):
                protocol = Recorder(half_closes=True)
                peer = loop.serve(protocol)
                if end == "theirs":
                    peer.shutdown(1)
                    loop.until(lambda told=protocol.told: told, "the FIN is told")
                    protocol.transport.loseConnection()
                elif end == "ours":
                    protocol.transport.write(b"last")
                    protocol.transport.loseConnection()
                elif end == "both":
                    protocol.transport.loseWriteConnection()
                    loop.until(lambda told=protocol.told: told, "our FIN is out")
                    peer.sendall(b"last")
                    peer.close()
                    loop.until(lambda told=protocol.told: len(told) > 1, "theirs is told")
                    protocol.transport.loseConnection()
                else:
                    reset(peer)
                loop.until(lambda told=protocol.told: is_over(told), "it is over")
                recorders.append((end, bytes(protocol.heard), protocol.told))
            told.append(recorders)
        self.assertEqual(*told)

    def test_a_bug_at_the_end(self) -> None:
        """Who raises when it hears of its end is logged, and nobody else is disturbed."""
        protocol, other = Recorder(), Recorder()
        peer, far = self.loop.serve(protocol), self.loop.serve(other)
        protocol.connectionLost = Mock(side_effect=ZeroDivisionError)  # type: ignore[method-assign]
        peer.close()
        far.sendall(b"x")
        self.loop.until(lambda: other.heard == b"x", "the other one is read")
        self.loop.until(lambda: protocol.connectionLost.called, "it hears")  # type: ignore[attr-defined]
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_all_but_reads(self) -> None:
        """Ends that are no reads are told as they are."""
        protocol = Recorder(half_closes=True)
        peer = self.loop.serve(protocol)
        peer.shutdown(1)
        self.loop.until(lambda: protocol.told == ["read"], "the FIN is told")
        protocol = Recorder()
        reset(self.loop.serve(protocol))
        self.loop.until(lambda: protocol.told == ["ConnectionLost"], "the reset is told")


class InstallTests(SynchronousTestCase):
    """How it becomes the process's reactor."""

    def test_plugin(self) -> None:
        """`twistd` knows it by its name, and the default stays as it is."""
        (ours,) = [each for each in getReactorTypes() if each.shortName == "orion"]
        self.assertIn("epoll", ours.description)
        for reactor, kind in (("orion", "LeanReactor"), ("default", "EPollReactor")):
            told = subprocess.run(
                [
                    sys.executable,
                    "-c",
                    "from twisted.application.reactors import installReactor\n"
                    f"installReactor({reactor!r})\n"
                    "from twisted.internet import reactor\n"
                    "reactor.callLater(0, reactor.stop)\n"
                    "reactor.run()\n"
                    "print(type(reactor).__name__)",
                ],
                env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
                capture_output=True,
                text=True,
                timeout=60,
                check=True,
            )
            self.assertEqual(told.stdout.strip(), kind)

    def test_missing(self) -> None:
        """Where Twisted has changed, its own reactor takes the place, and says so."""
        reactor = LeanReactor()
        self.addCleanup(Loop.close, Loop(lambda: reactor))
        self.assertIsNone(why_not(reactor))
        text = "EPollReactor has no _selectables"
        self.assertEqual(why_not(Mock(spec=["_poller"])), text)
        with (
            patch.object(leanreactor, "LeanReactor", lambda: reactor),
            patch.object(leanreactor, "why_not", lambda _: text),
            patch.object(leanreactor, "installReactor") as installed,
            patch.object(leanreactor, "_log") as log,
        ):
            install()
        installed.assert_called_once_with(reactor)
        self.assertIs(type(reactor), EPollReactor)
        self.assertIs(type(reactor).doIteration, EPollReactor.doPoll)
        log.warn.assert_called_once_with("the reactor is Twisted's own: {reason}", reason=text)


class TakeOverTests(SynchronousTestCase):
    """A reactor that runs already, or will, goes over to the lean loop."""

    def loop_on(self, make: Callable[[], Any]) -> Loop:
        loop = Loop(make)
        self.addCleanup(loop.close)
        return loop

    def test_in_mid_run(self) -> None:
        """Connections and calls that it has are its own afterwards."""
        loop = self.loop_on(EPollReactor)
        told: list[str] = []
        loop.reactor.callLater(0, told.append, "before")
        protocol = Recorder()
        sock = loop.serve(protocol)
        take_over(loop.reactor)
        self.assertIsInstance(loop.reactor, LeanReactor)
        loop.reactor.callLater(0, told.append, "after")
        with patch.object(EPollReactor, "_doReadOrWrite", autospec=True) as stock:
            sock.sendall(b"one")
            loop.until(lambda: protocol.heard == b"one", "it is read")
        stock.assert_not_called()
        loop.until(lambda: told == ["before", "after"], "the calls are made")

    def test_chosen(self) -> None:
        """One that is another's class, or lacks something, stays what it is."""

        class Theirs(EPollReactor):
            """Somebody else's."""

        theirs = self.loop_on(Theirs).reactor
        take_over(theirs)
        self.assertIs(type(theirs), Theirs)
        stock = self.loop_on(EPollReactor).reactor
        with patch.object(leanreactor, "why_not", lambda _: "it lacks something"):
            take_over(stock)
        self.assertIs(type(stock), EPollReactor)

    def test_by_twistd(self) -> None:
        """`twistd orion-bridge` runs on it above ``stock``, unless another one was chosen."""
        program = (
            "from twisted.application.reactors import installReactor\n"
            "installReactor({reactor!r})\n"
            "from twisted.internet import reactor\n"
            "from orion_twisted.tap import Options, makeService\n"
            "options = Options()\n"
            "options.parseOptions(['--listen=tcp:0', '--backend=tcp:127.0.0.1:1',"
            " '--performance={performance}'])\n"
            "makeService(options)\n"
            "print(type(reactor).__name__)"
        )
        for reactor, performance, kind in (
            ("default", "full", "LeanReactor"),
            ("default", "portable", "LeanReactor"),
            ("default", "stock", "EPollReactor"),
            ("orion", "full", "LeanReactor"),
            ("poll", "full", "PollReactor"),
        ):
            told = subprocess.run(
                [
                    sys.executable,
                    "-c",
                    program.format(reactor=reactor, performance=performance),
                ],
                env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
                capture_output=True,
                text=True,
                timeout=60,
                check=True,
            )
            self.assertEqual(told.stdout.strip(), kind, (reactor, performance))


class PumpsTests(SynchronousTestCase):
    """What the reactor does with pumps; what these do is tested in `tests.net.test_pump`."""

    def setUp(self) -> None:
        self.loop = Loop(LeanReactor)
        self.addCleanup(self.loop.close)
        self.pumps = self.loop.reactor.pumps = Mock()
        self.events: list[tuple[int, int]] = []
        self.patch(self.loop.reactor, "_poller", self)  # whose events are these
        self.outcomes: list[Any] = []
        self.pumps.run = self.run_pumps
        self.pumps.connection = None
        self.ran: list[int] = []

    def poll(self, timeout: float, most: int) -> list[tuple[int, int]]:
        return self.events

    def close(self) -> None:
        """There is nothing to close."""

    def run_pumps(self, events: list[tuple[int, int]], at: int, _: object) -> Any:
        """Run up to the next outcome: where the run ends, and what it returns or raises."""
        self.ran.append(at)
        self.pumps.at, outcome = self.outcomes.pop(0)
        if isinstance(outcome, ZeroDivisionError):
            raise outcome
        return outcome

    def is_disturbed(self) -> bool:
        """Let the reactor do what is due; say whether pumps are told that something has run."""
        self.pumps.disturb.reset_mock()
        self.loop.reactor.runUntilCurrent()
        return bool(self.pumps.disturb.called)

    def test_calls(self) -> None:
        """Pumps are told before any call that is due runs, and of nothing else."""
        reactor = self.loop.reactor
        now = 1000.0
        self.patch(reactor, "seconds", lambda: now)
        self.assertFalse(self.is_disturbed())
        told: list[bool] = []
        call = reactor.callLater(5, lambda: told.append(self.pumps.disturb.called))
        self.assertFalse(self.is_disturbed())
        now = 1005.0
        self.assertTrue(self.is_disturbed())
        self.assertEqual((told, call.active()), ([True], False))
        self.assertFalse(self.is_disturbed())
        # Two turns in a row: the second one is made by the first.
        reactor.callLater(0, reactor.callLater, 0, told.append, True)
        self.assertTrue(self.is_disturbed())
        self.assertTrue(self.is_disturbed())
        self.assertEqual(told, [True, True])

    def test_threads(self) -> None:
        """Nor is what other threads ask for overlooked."""
        asked: list[int] = []
        self.loop.reactor.threadCallQueue.append((asked.append, (1,), {}))
        self.assertTrue(self.is_disturbed())
        self.assertEqual(asked, [1])

    def test_cancelled(self) -> None:
        """Twisted still throws cancelled calls away, once they are very many."""
        for _ in range(60):
            self.loop.reactor.callLater(60, Mock()).cancel()
        kept = self.loop.reactor.callLater(60, Mock())
        self.is_disturbed()
        self.loop.reactor.callLater(60, Mock()).cancel()
        self.is_disturbed()
        self.assertLess(len(self.loop.reactor._pendingTimedCalls), 60)
        self.assertTrue(kept.active())

    def test_a_turn_within(self) -> None:
        """Who turns the reactor himself has run before that, and goes on after it."""
        self.events, self.outcomes = [(5, 1)], [(1, None)]
        told: list[bool] = []

        def runs(*arguments: Any) -> Any:
            told.append(self.pumps.disturb.called)
            self.pumps.disturb.reset_mock()
            return self.run_pumps(*arguments)

        self.pumps.run = runs
        self.loop.reactor.iterate()
        self.assertEqual((told, self.pumps.disturb.called), ([True], True))

    def test_a_turn(self) -> None:
        """Pumps run up to an event that is for others, and go on behind it."""
        other = Mock(**{"fileno.return_value": 7, "doRead.return_value": None})
        self.patch(self.loop.reactor, "_selectables", {7: other})
        self.events = [(5, 1), (7, 1), (5, 1)]
        self.outcomes = [(1, None), (3, None)]
        self.loop.reactor.doIteration(0)
        self.assertEqual((self.ran, other.doRead.call_count), ([0, 2], 1))

    def test_ends(self) -> None:
        """A pump whose read is the end, or a bug, loses its own connection and no other."""
        lost = []
        self.patch(
            self.loop.reactor, "_disconnectSelectable", lambda *found: lost.append(found[:2])
        )
        connection = self.pumps.connection = Mock()
        bug = ZeroDivisionError()
        self.events = [(5, 1), (6, 1), (7, 1)]
        self.outcomes = [(0, CONNECTION_LOST), (1, bug), (3, None)]
        self.loop.reactor.doIteration(0)
        self.assertEqual(lost, [(connection, CONNECTION_LOST), (connection, bug)])
        self.assertEqual(self.ran, [0, 1, 2])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_no_pumps(self) -> None:
        """Without them it is the loop that it was."""
        with patch.object(leanreactor, "fast", None):
            loop = Loop(LeanReactor)
        self.addCleanup(loop.close)
        self.assertIsNone(loop.reactor.pumps)
        protocol = Recorder()
        peer = loop.serve(protocol)
        peer.sendall(b"hello")
        loop.until(lambda: protocol.heard == b"hello", "it arrives")
