"""The supervisor of several workers, whose processes are played by hand."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import (
    CannotListenError,
    ProcessDone,
    ProcessExitedAlready,
    ProcessTerminated,
)
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted import __version__
from orion_twisted.core.backoff import MOST_WAIT
from orion_twisted.core.counters import Counters, SummedCounters
from orion_twisted.core.problems import ConfigError
from orion_twisted.core.report import Report, WorkerState, WorkerStatus
from orion_twisted.core.settings import Limits, Settings, Tenant, TokenSettings
from orion_twisted.core.spent_tokens import Use
from orion_twisted.core.worker_wire import (
    FIRST_SOCKET,
    TO_SUPERVISOR,
    Begin,
    Drain,
    FromWorker,
    Incoming,
    Logged,
    Reload,
    Socket,
    Spend,
    Spent,
    Status,
    ToWorker,
    encode,
)
from orion_twisted.net.listening import HeldSocket
from orion_twisted.service.worker_process import MOST_LINE, PATIENCE
from orion_twisted.service.workers import LAST_TIME, PROVED_AFTER, Supervisor
from tests.service.test_gateway import Port

NOW = 1_800_000_000.0
DRAIN = 30.0
SHOP = Tenant(
    name="shop",
    hosts=("*",),
    backend=("tcp:127.0.0.1:7000",),
    token=TokenSettings(key_file="keys/shop"),
)
SETTINGS = Settings(tenants=(SHOP,), limits=Limits(drain=DRAIN), workers=2)
RAW: dict[str, Any] = {"workers": 2, "tenant": {"shop": {"hosts": ["*"]}}}
REPORT = Report("1", True, {"shop": 3}, {"shop": 2}, {}, 1, 5, 1.0, ())
NOT_READY = Report("1", False, {"shop": 3}, {"shop": 2}, {}, 1, 5, 1.0, ())


class Process:
    """A worker's process, in place of the system's."""

    def __init__(self, reactor: Machine, protocol: Any, options: dict[str, Any]) -> None:
        self._reactor = reactor
        self._incoming: Incoming[ToWorker] = Incoming(ToWorker)
        self._protocol = protocol
        self.options = options
        self.pid = 1000 + len(reactor.processes)
        self.told: list[ToWorker] = []
        self.signals: list[str] = []
        self.is_gone = False

    # What the supervisor calls

    def write(self, data: bytes) -> None:
        self.told += self._incoming.receive_data(data)

    def signalProcess(self, name: str) -> None:
        if self.is_gone:
            raise ProcessExitedAlready
        self.signals.append(name)

    # What the worker does

    @property
    def begin(self) -> Begin:
        begin = self.told[0]
        assert isinstance(begin, Begin)
        return begin

    def says(self, message: FromWorker) -> None:
        self._protocol.childDataReceived(TO_SUPERVISOR, encode(message))

    def reports(self, report: Report = REPORT, **counts: int) -> None:
        counters = Counters()
        for name, count in counts.items():
            counters.add(name, count)
        self.says(Status(tuple(counters), report, 1.0))

    def prints(self, data: bytes, descriptor: int = 2) -> None:
        self._protocol.childDataReceived(descriptor, data)

    def ends(self, status: int = 0, by: int | None = None) -> None:
        self.is_gone = True
        reason = ProcessTerminated(status, by) if status or by else ProcessDone(0)
        self._protocol.processEnded(Failure(reason))


class Machine(Clock):
    """A reactor that starts processes, and has not begun to run."""

    def __init__(self) -> None:
        super().__init__()
        self.processes: list[Process] = []
        self.waiting: list[Any] = []
        self.error: OSError | None = None

    def callWhenRunning(self, call: Any, *arguments: Any) -> None:
        self.waiting.append(lambda: call(*arguments))

    def run(self) -> None:
        for call in self.waiting:
            call()

    def callFromThread(self, call: Any) -> None:
        self.callLater(0, call)

    def spawnProcess(
        self, protocol: Any, program: str, arguments: list[str], **options: Any
    ) -> None:
        if self.error is not None:
            raise self.error
        options.update(program=program, arguments=arguments)
        process = Process(self, protocol, options)
        self.processes.append(process)
        protocol.makeConnection(process)


class WorkersTestCase(SynchronousTestCase):
    """A supervisor of two workers with two listeners: one socket each, and one for both."""

    def setUp(self) -> None:
        self.machine = Machine()
        self.closed: list[int] = []
        self.withdrawn: set[int] = set()
        self.sockets = [self.socket(21), self.socket(22)]
        self.shared = self.socket(23)
        self.admin_port: Any = Port()
        self.counters = SummedCounters()
        self.supervisor = self.make(
            [lambda: self.sockets, lambda: [self.shared] * 2],
            lambda: succeed(self.admin_port),
        )

    def make(self, listeners: Any, admin: Any) -> Supervisor:
        return Supervisor(
            SETTINGS,
            RAW,
            2,
            listeners,
            self.machine,
            self.counters,
            admin,
            wall_clock=lambda: NOW,
        )

    def socket(self, fd: int) -> HeldSocket:
        return HeldSocket(
            fd,
            2,
            f"socket {fd}",
            lambda: self.closed.append(fd),
            lambda: self.withdrawn.add(fd),
            lambda: self.withdrawn.discard(fd),
        )

    def begin(self) -> tuple[Process, Process]:
        """Start the service and the reactor; SIGHUP is given back in the end."""
        self.addCleanup(self.supervisor._hangup.stop)
        self.supervisor.privilegedStartService()
        self.supervisor.startService()
        self.machine.run()
        first, second = self.machine.processes
        return first, second

    def stop(self) -> Deferred[None]:
        return self.supervisor.stopService()

    def counted(self, name: str, reason: str = "") -> int:
        return {(each, why): count for each, why, count in self.counters}.get((name, reason), 0)

    @property
    def workers(self) -> tuple[WorkerStatus, ...]:
        return self.supervisor.report().workers

    @property
    def states(self) -> list[WorkerState]:
        return [each.state for each in self.workers]


class StartTests(WorkersTestCase):
    """From ports to processes."""

    def test_what_they_are_told(self) -> None:
        """Each worker gets the settings, its number, and its own sockets, in order."""
        first, second = self.begin()
        sockets = (Socket(FIRST_SOCKET, 2), Socket(FIRST_SOCKET + 1, 2))
        self.assertEqual(first.begin, Begin(__version__, 1, 2, RAW, sockets))
        self.assertEqual(second.begin, Begin(__version__, 2, 2, RAW, sockets))
        for process, own in ((first, 21), (second, 22)):
            descriptors = process.options["childFDs"]
            self.assertEqual(
                descriptors,
                {0: "w", 1: "r", 2: "r", TO_SUPERVISOR: "r", 4: own, 5: 23},
            )

    def test_nothing_private_in_sight(self) -> None:
        """A list of processes shows the program, a number and a rung, and no other settings."""
        first, _ = self.begin()
        self.assertEqual(
            first.options["arguments"],
            [sys.executable, "-P", "-m", "orion_twisted.service.worker", "1", "full"],
        )
        self.assertEqual(first.options["program"], sys.executable)

    def test_environment(self) -> None:
        """Workers find the same modules, whatever the folder; systemd's sockets are not theirs."""
        self.patch(sys, "path", ["", "here", "/there"])
        self.patch(os, "environ", {"LISTEN_FDS": "1", "LISTEN_PID": "7", "HOME": "/root"})
        first, _ = self.begin()
        self.assertEqual(
            first.options["env"],
            {"HOME": "/root", "PYTHONPATH": f"{os.path.abspath('here')}:/there"},
        )

    def test_not_before_the_reactor_runs(self) -> None:
        """A process is started by a reactor that will hear of its end."""
        self.supervisor.privilegedStartService()
        self.supervisor.startService()
        self.addCleanup(self.supervisor._hangup.stop)
        self.assertEqual(self.machine.processes, [])

    def test_taken(self) -> None:
        """Every place that cannot be had is named with its setting, and nothing starts."""

        def taken() -> Any:
            raise CannotListenError("127.0.0.1", 443, OSError(13, "Permission denied"))

        def locked() -> Any:
            raise CannotListenError(None, b"/run/orion.sock", "Cannot acquire lock")

        def busy() -> Any:
            return fail(CannotListenError("", 8890, OSError(98, "Address already in use")))

        self.supervisor = self.make([taken, lambda: self.sockets, locked], busy)
        error = self.assertRaises(ConfigError, self.supervisor.privilegedStartService)
        self.assertEqual(
            [str(problem) for problem in error.problems],
            [
                "listen[0]: cannot listen on 127.0.0.1:443: Permission denied",
                "listen[2]: cannot listen on /run/orion.sock: Cannot acquire lock",
                "admin: cannot listen on any:8890: Address already in use",
            ],
        )

    def test_another_error(self) -> None:
        """An error that is not about a place is not taken for one."""
        self.supervisor = self.make([], lambda: fail(ZeroDivisionError()))
        self.assertRaises(ZeroDivisionError, self.supervisor.privilegedStartService)

    def test_without_admin(self) -> None:
        """Nobody has to look at them."""
        self.supervisor = self.make([lambda: self.sockets], None)
        first, _ = self.begin()
        self.assertEqual(first.begin.sockets, (Socket(FIRST_SOCKET, 2),))
        stopped = self.stop()
        for process in self.machine.processes:
            process.ends()
        self.successResultOf(stopped)


class LossTests(WorkersTestCase):
    """A worker that ends by itself."""

    def wait_for(self, count: int) -> float:
        """Wait until so many processes have been started; return how long it took."""
        began = self.machine.seconds()
        while len(self.machine.processes) < count:
            self.machine.advance(0.01)
            self.assertLess(self.machine.seconds() - began, MOST_WAIT + 1)
        return self.machine.seconds() - began

    def test_started_again(self) -> None:
        """The one that follows has the same number and sockets; the others notice nothing."""
        first, second = self.begin()
        with capturedLogs() as events:
            first.ends(by=9)
        self.assertIn("ended by signal 9", _text(events[0]))
        self.assertEqual(events[0]["log_level"], LogLevel.error)
        self.wait_for(3)
        third = self.machine.processes[2]
        self.assertEqual(third.begin, first.begin)
        self.assertEqual(third.options["childFDs"], first.options["childFDs"])
        self.assertEqual((second.told, self.closed), ([second.begin], []))

    def test_counted(self) -> None:
        """How they have ended is counted, beside the sum."""
        first, second = self.begin()
        with capturedLogs() as events:
            first.ends(by=11)
            second.ends(status=1)
            self.wait_for(4)
            self.machine.processes[-1].ends()
        self.assertEqual(self.counted("workers_lost"), 3)
        for reason in ("crashed", "failed", "ended"):
            self.assertEqual(self.counted("workers_lost", reason), 1)
        self.assertIn("ended with status 1", _text(events[1]))
        # Somebody has asked that one to end.
        self.assertEqual(events[-1]["log_level"], LogLevel.info)
        self.assertEqual(sum(each.lost for each in self.workers), 3)

    def test_again_and_again(self) -> None:
        """One that always ends at once is started ever more rarely, but it is."""
        self.begin()
        ceiling, waits = 0.0, []
        for count in range(3, 23):
            last = max(self.machine.processes, key=lambda each: (each.begin.number == 1, each.pid))
            last.ends(status=1)
            waits.append(self.wait_for(count))
            ceiling = max(ceiling, waits[-1])
        self.assertLessEqual(ceiling, MOST_WAIT + 0.02)
        self.assertGreater(sum(waits[10:]), sum(waits[:5]))

    def test_proved(self) -> None:
        """One that has been up for a while is followed by the next one at once."""
        self.begin()
        for count in range(3, 13):
            self.machine.processes[-1].ends(status=1)
            self.wait_for(count)
        self.machine.advance(PROVED_AFTER + 0.01)  # no matter how it is rounded
        self.machine.processes[-1].ends(status=1)
        self.assertLess(self.wait_for(13), 0.12)

    def test_newcomers(self) -> None:
        """Who comes waits for the worker that follows; of one that fails again, nobody does."""
        first, _ = self.begin()
        first.ends(by=9)
        self.assertEqual(self.withdrawn, set())
        self.wait_for(3)
        self.machine.processes[2].ends(status=1)
        self.assertEqual(self.withdrawn, {21, 23})
        self.wait_for(4)
        self.assertEqual(self.withdrawn, set())
        self.machine.advance(PROVED_AFTER + 0.01)  # no matter how it is rounded
        self.machine.processes[3].ends(by=9)
        self.assertEqual(self.withdrawn, set())

    def test_cannot_be_started(self) -> None:
        """A system that has no process to spare is asked again."""
        first, _ = self.begin()
        self.machine.error = OSError(11, "Resource temporarily unavailable")
        first.ends(by=9)
        with capturedLogs() as events:
            self.machine.advance(1)
        self.assertIn("Resource temporarily unavailable", _text(events[0]))
        self.assertGreaterEqual(self.counted("workers_lost", "failed"), 1)
        self.assertEqual(self.workers[0].pid, None)
        self.machine.error = None
        self.wait_for(3)

    def test_what_it_had_counted(self) -> None:
        """The sums do not go down when a worker goes, and up again with the next one."""
        first, second = self.begin()
        first.reports(links=5)
        second.reports(links=1)
        first.reports(links=7)
        self.assertEqual(self.counted("links"), 8)
        first.ends(by=9)
        self.assertEqual(self.counted("links"), 8)
        self.wait_for(3)
        self.machine.processes[2].reports(links=2)
        self.assertEqual(self.counted("links"), 10)


class StopTests(WorkersTestCase):
    """The end of all."""

    def test_drain(self) -> None:
        """Sockets are closed, every worker told, and the supervisor ends last."""
        first, second = self.begin()
        stopped = self.stop()
        self.assertEqual(sorted(self.closed), [21, 22, 23])
        self.assertEqual((first.told[-1], second.told[-1]), (Drain(), Drain()))
        self.assertEqual(self.supervisor.report().state, "draining")
        first.ends()
        self.assertNoResult(stopped)
        self.assertEqual(self.supervisor.report().state, "draining")
        self.assertEqual(self.admin_port.stopped, 0)
        second.ends()
        self.assertEqual(self.admin_port.stopped, 1)
        self.assertNoResult(stopped)
        self.admin_port.gone.callback(None)
        self.successResultOf(stopped)
        self.assertEqual(self.machine.getDelayedCalls(), [])

    def test_nobody_is_started_again(self) -> None:
        """A worker that ends while all do is not replaced, nor is one that was about to be."""
        first, second = self.begin()
        first.ends(by=9)
        self.stop()
        second.ends(by=9)
        self.machine.advance(60)
        self.assertEqual(len(self.machine.processes), 2)
        self.assertEqual(self.counted("workers_lost"), 1)

    def test_stopped_before_the_reactor_ran(self) -> None:
        """A signal that comes before anything has begun begins nothing."""
        self.supervisor.privilegedStartService()
        self.supervisor.startService()
        self.stop()
        self.machine.run()
        self.assertEqual(self.machine.processes, [])

    def test_one_that_does_not_end(self) -> None:
        """What hangs is killed a few seconds after ``drain``, and the supervisor ends then."""
        first, second = self.begin()
        stopped = self.stop()
        second.ends()
        self.machine.advance(DRAIN + LAST_TIME - 0.1)
        self.assertEqual(first.signals, [])
        self.machine.advance(0.2)
        self.assertEqual(first.signals, ["KILL"])
        first.ends(by=9)
        self.admin_port.gone.callback(None)
        self.successResultOf(stopped)

    def test_one_that_ends_as_it_is_killed(self) -> None:
        """A worker that is gone but not yet heard of is no reason to fail."""
        first, _ = self.begin()
        self.stop()
        first.is_gone = True
        self.machine.advance(DRAIN + LAST_TIME)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_twice(self) -> None:
        """Whoever asks again is told at the same time."""
        first, second = self.begin()
        both = [self.stop(), self.stop()]
        self.assertEqual(first.told.count(Drain()), 1)
        first.ends()
        second.ends()
        self.admin_port.gone.callback(None)
        for stopped in both:
            self.successResultOf(stopped)


class HangUpTests(WorkersTestCase):
    """SIGHUP."""

    def test_passed_on(self) -> None:
        """Every worker that runs is told to read its files again, on the reactor's thread."""
        first, second = self.begin()
        first.ends(by=9)
        os.kill(os.getpid(), signal.SIGHUP)
        self.assertNotIn(Reload(), second.told)
        self.machine.advance(0)
        self.assertEqual(second.told[-1], Reload())
        self.assertNotIn(Reload(), first.told)

    def test_given_back(self) -> None:
        """The signal is the supervisor's while it runs."""
        before = signal.getsignal(signal.SIGHUP)
        self.begin()
        self.assertNotEqual(signal.getsignal(signal.SIGHUP), before)
        self.stop()
        self.assertEqual(signal.getsignal(signal.SIGHUP), before)


class ReportTests(WorkersTestCase):
    """How they stand, together."""

    def test_from_start_to_up(self) -> None:
        """Ready when both have said that they are."""
        first, second = self.begin()
        self.assertEqual(self.states, ["starting", "starting"])
        first.reports()
        self.assertEqual(self.supervisor.report().state, "workers missing")
        second.reports()
        report = self.supervisor.report()
        self.assertTrue(report.ready)
        self.assertEqual(report.browsers, {"shop": 6})
        self.assertEqual((report.links, report.connections), ({"shop": 4}, 10))

    def test_one_of_them(self) -> None:
        """Each is there with its process, its browsers, and how long it runs."""
        first, _ = self.begin()
        self.machine.advance(2.0)
        first.reports()
        self.assertEqual(self.workers[0], WorkerStatus(1, 1000, WorkerState.UP, 3, 5, 2.0, 0))

    def test_down(self) -> None:
        """Without one there is no readiness, and its browsers are not counted."""
        first, second = self.begin()
        first.reports()
        second.reports()
        first.ends(by=9)
        report = self.supervisor.report()
        self.assertEqual((report.state, report.browsers), ("workers missing", {"shop": 3}))
        self.assertEqual(self.workers[0], WorkerStatus(1, None, WorkerState.DOWN, 0, 0, 0.0, 1))

    def test_silent(self) -> None:
        """One that hangs is reported as not answering, and not waited for; until it answers."""
        first, second = self.begin()
        first.reports()
        second.reports()
        with capturedLogs() as events:
            for _ in range(3):
                self.machine.advance((PATIENCE + 1.0) / 2)
                second.reports()
        self.assertEqual([_text(event) for event in events], ["worker 1 does not answer"])
        self.assertEqual(self.states, ["silent", "up"])
        self.assertEqual(self.supervisor.report().state, "workers missing")
        self.assertEqual(self.supervisor.report().browsers, {"shop": 6})
        with capturedLogs() as events:
            first.reports()
            first.reports()
        self.assertEqual([_text(event) for event in events], ["worker 1 answers again"])
        self.assertTrue(self.supervisor.report().ready)

    def test_gone_is_not_silent(self) -> None:
        """Nobody waits for the word of one that has gone."""
        first, _ = self.begin()
        first.reports()
        first.ends(by=9)
        self.stop()
        with capturedLogs() as events:
            self.machine.advance(PATIENCE + 2)
        self.assertEqual(events, [])

    def test_draining_on_its_own(self) -> None:
        """One that somebody has told to end is not up any more."""
        first, second = self.begin()
        first.reports(NOT_READY)
        second.reports()
        self.assertEqual(self.states, ["draining", "up"])
        self.assertFalse(self.supervisor.report().ready)


class SpendTests(WorkersTestCase):
    """The one store of used tokens."""

    def test_once_for_all(self) -> None:
        """A token that one worker has let in is used up for the others."""
        first, second = self.begin()
        first.says(Spend(7, "shop", "an id", NOW + 60))
        second.says(Spend(7, "shop", "an id", NOW + 60))
        second.says(Spend(8, "shop", "another", NOW + 60))
        second.says(Spend(9, "shop", "old", NOW - 1))
        self.assertEqual(first.told[1:], [Spent(7, Use.FIRST)])
        self.assertEqual(
            second.told[1:],
            [Spent(7, Use.AGAIN), Spent(8, Use.FIRST), Spent(9, Use.TOO_LATE)],
        )

    def test_after_a_crash(self) -> None:
        """What has been used stays so when the worker that let it in is gone."""
        first, second = self.begin()
        first.says(Spend(1, "shop", "an id", NOW + 60))
        first.ends(by=9)
        second.says(Spend(1, "shop", "an id", NOW + 60))
        self.assertEqual(second.told[-1], Spent(1, Use.AGAIN))


class LogTests(WorkersTestCase):
    """The log of all."""

    def test_events(self) -> None:
        """An event keeps level, origin and fields, and has its worker's number in each line."""
        _, second = self.begin()
        fields: dict[str, Any] = {"peer": "::1", "level": 3, "said": "x", "worker": 9}
        with capturedLogs() as events:
            second.says(Logged("warn", "orion.gate", "refusing ::1\nbecause {so}", fields))
        (event,) = events
        self.assertEqual(_text(event), "worker 2: refusing ::1\nworker 2: because {so}")
        self.assertEqual(
            (event["log_level"], event["log_namespace"], event["peer"], event["worker"]),
            (LogLevel.warn, "orion.gate", "::1", 2),
        )

    def test_what_is_printed(self) -> None:
        """What a worker prints is logged line by line, however it comes, to its last line."""
        first, _ = self.begin()
        with capturedLogs() as events:
            first.prints(b"Fatal ")
            first.prints("Python error: größe\n\nThread".encode())
            first.prints(b"out\n", descriptor=1)
            first.prints(b"\xff")
            first.ends(by=6)
        self.assertEqual(
            [_text(event) for event in events[:4]],
            [
                "worker 1: Fatal Python error: größe",
                "worker 1: ",
                "worker 1: out",
                "worker 1: Thread\N{REPLACEMENT CHARACTER}",
            ],
        )

    def test_a_line_without_end(self) -> None:
        """A line that does not end is not gathered."""
        first, _ = self.begin()
        with capturedLogs() as events:
            for _ in range(10):
                first.prints(b"x" * MOST_LINE)
            first.prints(b"y" * (MOST_LINE + 1) + b"\n")
        texts = [_text(event) for event in events]
        self.assertEqual(sum(text.count("x") for text in texts), 10 * MOST_LINE)
        self.assertLessEqual(max(map(len, texts)), 2 * MOST_LINE + len("worker 1: "))

    def test_nonsense(self) -> None:
        """A worker that does not keep to the protocol is killed, once, and then heard no more."""
        first, _ = self.begin()
        with capturedLogs() as events:
            first._protocol.childDataReceived(TO_SUPERVISOR, b"\0\0\0\1\xc1")
            first.reports()
            first._protocol.childDataReceived(TO_SUPERVISOR, b"\0\0\0\1\xc1")
        self.assertIn("worker 1 cannot be understood", _text(events[0]))
        self.assertEqual((len(events), first.signals), (1, ["KILL"]))
        self.assertEqual(self.states[0], "starting")


def _text(event: Any) -> str:
    """Return what people read of an event."""
    text: str = event["log_format"].format(**event)
    return text
