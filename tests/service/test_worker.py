"""One worker, whose supervisor is played by hand."""

from __future__ import annotations

from typing import Any, cast

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.logger import Logger, LogLevel, capturedLogs
from twisted.python import log as old_log
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted import __version__
from orion_twisted.core.bearer import TokenRefused
from orion_twisted.core.counters import Counters
from orion_twisted.core.problems import ConfigError, Problem
from orion_twisted.core.report import Report
from orion_twisted.core.spent_tokens import Use
from orion_twisted.core.worker_wire import (
    Begin,
    Drain,
    FromWorker,
    Incoming,
    Logged,
    Reload,
    Spend,
    Spent,
    Status,
    ToWorker,
    encode,
)
from orion_twisted.service.gateway import Gateway
from orion_twisted.service.spending import ANSWER_TIME, MOST_ASKS, Spending
from orion_twisted.service.worker import (
    LAST_WORDS_TIME,
    ORPHAN_TIME,
    RAREST_REPORT,
    REPORT_EVERY,
    REPORT_SHARE,
    Worker,
)

BEGIN = Begin(__version__, 2, 4, {"tenant": {}}, ())
REPORT = Report("1", True, {"shop": 1}, {"shop": 1}, {}, 0, 1, 1.0, ())


class Reactor(Clock):
    """A clock that knows whether it has been stopped."""

    stopped = 0

    def stop(self) -> None:
        self.stopped += 1


class Pipes:
    """Both pipes to a supervisor, who reads all that comes."""

    def __init__(self) -> None:
        self.said = b""
        self.producer: Any = None
        self.closing = False

    def write(self, data: bytes) -> None:
        assert not self.closing, "said after the last words"
        self.said += data

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        assert streaming
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None

    def loseConnection(self) -> None:
        assert self.producer is None, "would never end"
        self.closing = True


class GatewayDouble:
    """What a worker asks of its gateway."""

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self.calls: list[str] = []
        self.counters = Counters()
        self.drained: Deferred[None] = Deferred()
        self.cost = 0.0
        self.error: Exception | None = None

    def privilegedStartService(self) -> None:
        self.calls.append("listen")
        if self.error is not None:
            raise self.error

    def startService(self) -> None:
        self.calls.append("start")

    def stopService(self) -> Deferred[None]:
        self.calls.append("stop")
        return self.drained

    def report(self) -> Report:
        self._reactor.rightNow += self.cost
        return evolve(REPORT, ready="stop" not in self.calls)

    def getServiceNamed(self, name: str) -> GatewayDouble:
        assert name == "reload"
        return self

    def reload(self) -> None:
        self.calls.append("reload")


class WorkerTestCase(SynchronousTestCase):
    """A worker that has just been started."""

    def setUp(self) -> None:
        self.reactor = Reactor()
        self.gateway = GatewayDouble(self.reactor)
        self.problems: list[Problem] = []
        self.spending: Spending | None = None
        self.worker = Worker(self._build, self.reactor)
        self.pipes = Pipes()
        self._incoming: Incoming[FromWorker] = Incoming(FromWorker)
        self.worker.makeConnection(cast(Any, self.pipes))

    def _build(self, begin: Begin, spending: Spending) -> Gateway:
        self.assertEqual(begin, BEGIN)
        self.spending = spending
        if self.problems:
            raise ConfigError(self.problems)
        return cast(Gateway, self.gateway)

    def tell(self, *messages: ToWorker) -> None:
        for message in messages:
            self.worker.dataReceived(encode(message))

    def said(self) -> list[FromWorker]:
        """Return what the worker has said since this was asked last."""
        data, self.pipes.said = self.pipes.said, b""
        return self._incoming.receive_data(data)

    def lose(self) -> None:
        """Let the supervisor be gone, or have taken the last words."""
        self.worker.connectionLost(Failure(ConnectionDone()))

    def assert_over(self, exit_status: int) -> None:
        """Check that the process ends now, with this status, and that no timer runs for long."""
        self.assertEqual((self.reactor.stopped, self.worker.exit_status), (1, exit_status))
        self.reactor.advance(100)
        self.assertEqual(self.reactor.stopped, 1)
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class BeginTests(WorkerTestCase):
    """The start."""

    def test_begins(self) -> None:
        """It listens, starts, and says at once how it stands, ready."""
        self.assertEqual(self.said(), [])
        self.tell(BEGIN)
        self.assertEqual(self.gateway.calls, ["listen", "start"])
        (status,) = self.said()
        assert isinstance(status, Status)
        self.assertTrue(status.report.ready)

    def test_another_version(self) -> None:
        """A program that was replaced under a running supervisor does not guess what it means."""
        with capturedLogs() as events:
            self.tell(Begin("0.0.1", 2, 4, {}, ()))
        self.assertIn("the supervisor's is 0.0.1", str(events[0]["problem"]))
        self.assertTrue(self.pipes.closing)
        self.lose()
        self.assertEqual(self.gateway.calls, [])
        self.assert_over(1)

    def test_mistakes(self) -> None:
        """What is wrong with the settings or the machine is logged, each by itself."""
        self.problems = [Problem("certificates", "cannot read"), Problem("fallback", "nobody's")]
        with capturedLogs() as events:
            self.tell(BEGIN)
        self.assertEqual([event["problem"] for event in events], self.problems)
        self.lose()
        self.assert_over(1)

    def test_a_bug(self) -> None:
        """So is anything else that keeps it from listening."""
        self.gateway.error = OSError("odd")
        self.tell(BEGIN)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.lose()
        self.assert_over(1)

    def test_told_to_end_first(self) -> None:
        """One that is to end before it has been told anything begins nothing."""
        self.worker.drain()
        self.tell(BEGIN)
        self.assertEqual(self.gateway.calls, [])
        self.lose()
        self.assert_over(0)

    def test_nonsense(self) -> None:
        """What cannot be understood ends it: it would not know what to do."""
        with capturedLogs() as events:
            self.worker.dataReceived(b"\0\0\0\1\xc1")
        self.assertEqual(events[0]["log_level"], LogLevel.error)
        self.lose()
        self.assert_over(1)


class ReportTests(WorkerTestCase):
    """How it stands, again and again."""

    def statuses(self) -> list[Status]:
        return [each for each in self.said() if isinstance(each, Status)]

    def test_every_second(self) -> None:
        """It says so every second, with all that it has counted."""
        self.tell(BEGIN)
        self.assertEqual([each.next_in for each in self.statuses()], [REPORT_EVERY])
        self.gateway.counters.add("links", 3)
        self.reactor.advance(REPORT_EVERY - 0.1)
        self.assertEqual(self.statuses(), [])
        self.reactor.advance(0.1)
        (status,) = self.statuses()
        self.assertEqual(status.counts, tuple(self.gateway.counters))

    def test_a_costly_report(self) -> None:
        """Where a report takes long they are rarer, and the supervisor is told so."""
        for cost, wait in ((0.1, 0.1 / REPORT_SHARE), (3.0, RAREST_REPORT)):
            self.setUp()
            self.gateway.cost = cost
            self.tell(BEGIN)
            self.assertAlmostEqual(self.statuses()[0].next_in, wait)
            self.reactor.advance(wait - 0.1)
            self.assertEqual(self.statuses(), [])
            self.reactor.advance(0.2)
            self.assertEqual(len(self.statuses()), 1)

    def test_nobody_reads(self) -> None:
        """A supervisor that does not read costs no memory: what it does not take is left out."""
        self.tell(BEGIN)
        self.said()
        self.pipes.producer.pauseProducing()
        for _ in range(10):
            self.reactor.advance(REPORT_EVERY)
        self.assertEqual(self.said(), [])
        self.pipes.producer.resumeProducing()
        self.reactor.advance(REPORT_EVERY)
        self.assertEqual(len(self.statuses()), 1)

    def test_the_other_end_is_closed(self) -> None:
        """Nothing is said to a pipe that has been closed."""
        self.tell(BEGIN)
        self.said()
        self.pipes.producer.stopProducing()
        self.reactor.advance(REPORT_EVERY)
        self.assertEqual(self.said(), [])


class OrderTests(WorkerTestCase):
    """What it does when it is told to."""

    def test_reload(self) -> None:
        """Files are read again."""
        self.tell(Reload(), BEGIN, Reload())
        self.assertEqual(self.gateway.calls, ["listen", "start", "reload"])

    def test_drain(self) -> None:
        """It says that it is not ready any more, and ends when everybody has gone."""
        self.tell(BEGIN)
        self.said()
        self.tell(Drain())
        (status,) = self.said()
        assert isinstance(status, Status)
        self.assertEqual((self.gateway.calls[-1], status.report.ready), ("stop", False))
        self.reactor.advance(REPORT_EVERY)
        self.assertEqual(len(self.said()), 1)
        self.assertFalse(self.pipes.closing)
        self.gateway.counters.add("browsers_closed", reason="1001")
        self.gateway.drained.callback(None)
        (last,) = self.said()
        assert isinstance(last, Status)
        self.assertIn(("browsers_closed", "1001", 1), last.counts)
        self.assertTrue(self.pipes.closing)
        self.assertEqual(self.reactor.stopped, 0)
        self.lose()
        self.assert_over(0)

    def test_twice(self) -> None:
        """A signal of the terminal and an order of the supervisor are one drain."""
        self.tell(BEGIN)
        self.worker.drain()
        self.tell(Drain())
        self.worker.drain()
        self.assertEqual(self.gateway.calls.count("stop"), 1)

    def test_a_drain_that_fails(self) -> None:
        """It ends in any case, and says what has failed."""
        self.tell(BEGIN, Drain())
        self.gateway.drained.errback(OSError("odd"))
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.lose()
        self.assert_over(0)

    def test_last_words_that_nobody_takes(self) -> None:
        """A supervisor that does not read does not keep it."""
        self.tell(BEGIN, Drain())
        self.gateway.drained.callback(None)
        self.reactor.advance(LAST_WORDS_TIME)
        self.assert_over(0)


class OrphanTests(WorkerTestCase):
    """A worker whose supervisor is gone."""

    def test_drains(self) -> None:
        """It drains, and ends as soon as nobody is left."""
        self.tell(BEGIN)
        self.lose()
        self.assertEqual(self.gateway.calls[-1], "stop")
        self.reactor.advance(ORPHAN_TIME / 2)
        self.assertEqual(self.reactor.stopped, 0)
        self.gateway.drained.callback(None)
        self.assert_over(0)

    def test_soon(self) -> None:
        """Whoever is left then is cut off, however long ``drain`` is."""
        self.tell(BEGIN)
        self.lose()
        self.reactor.advance(ORPHAN_TIME)
        self.assertEqual(self.reactor.stopped, 1)

    def test_while_draining(self) -> None:
        """A drain that has begun goes on for as long."""
        self.tell(BEGIN, Drain())
        self.lose()
        self.assertEqual(self.reactor.stopped, 0)
        self.reactor.advance(ORPHAN_TIME)
        self.assertEqual((self.reactor.stopped, self.gateway.calls.count("stop")), (1, 1))

    def test_before_it_began(self) -> None:
        """One that has not been told anything has nothing to finish."""
        self.lose()
        self.assert_over(0)


class LogTests(WorkerTestCase):
    """Its log, which is the supervisor's."""

    def events(self) -> list[Logged]:
        return [each for each in self.said() if isinstance(each, Logged)]

    def log(self) -> Logger:
        observe: Any = self.worker.observe
        return Logger(namespace="orion.test", observer=observe)

    def test_an_event(self) -> None:
        """An event goes with its level, where it comes from, its text and its fields."""
        self.log().warn("refusing {peer}", peer="::1", status=404, gate=self)
        self.assertEqual(
            self.events(),
            [Logged("warn", "orion.test", "refusing ::1", {"peer": "::1", "status": 404})],
        )

    def test_a_failure(self) -> None:
        """A failure goes with its traceback."""
        try:
            raise ValueError("what is wrong")
        except ValueError:
            self.log().failure("oh")
        (event,) = self.events()
        self.assertEqual(event.level, "critical")
        self.assertRegex(event.text, r"(?s)^oh\nTraceback .*ValueError: what is wrong")

    def test_an_old_event(self) -> None:
        """Twisted's old way of logging goes the same way, without its own fields."""
        observed: Any = self.worker.observe
        publisher = old_log.LogPublisher()
        publisher.addObserver(lambda event: observed(event))
        publisher.msg("Port closed", port=7)
        (event,) = self.events()
        self.assertEqual((event.text, event.fields), ("Port closed", {"port": 7}))

    def test_an_empty_event(self) -> None:
        """An event without a text is none."""
        self.log().info("")
        self.assertEqual(self.events(), [])

    def test_nobody_reads(self) -> None:
        """What the supervisor does not take is dropped, and how much is said."""
        self.pipes.producer.pauseProducing()
        for _ in range(1000):
            self.log().info("a flood")
        with capturedLogs() as events:
            self.pipes.producer.resumeProducing()
            self.pipes.producer.pauseProducing()
            self.pipes.producer.resumeProducing()
        self.assertEqual([event["count"] for event in events], [1000])
        self.assertEqual(self.events(), [])


class SpendingTests(WorkerTestCase):
    """Tokens, whose use the supervisor knows of."""

    def spend(self) -> Deferred[Use]:
        assert self.spending is not None
        return self.spending.spend("shop", "an id", 1_800_000_000.0)

    def asks(self) -> list[int]:
        return [each.ask for each in self.said() if isinstance(each, Spend)]

    def setUp(self) -> None:
        super().setUp()
        self.tell(BEGIN)
        self.said()

    def test_answers(self) -> None:
        """Each answer is that of its own question, in whatever order they come."""
        answers = [self.spend(), self.spend()]
        first, second = self.asks()
        self.tell(Spent(second, Use.AGAIN), Spent(first, Use.FIRST))
        self.assertEqual(list(map(self.successResultOf, answers)), [Use.FIRST, Use.AGAIN])

    def test_says_what(self) -> None:
        """The question has the tenant, the id and when its life ends."""
        self.spend().addErrback(lambda _: None)
        self.assertEqual(self.said(), [Spend(1, "shop", "an id", 1_800_000_000.0)])

    def test_no_answer(self) -> None:
        """Without an answer in time it counts as not the first; one that comes later is lost."""
        answer = self.spend()
        (number,) = self.asks()
        self.reactor.advance(ANSWER_TIME - 0.1)
        self.assertNoResult(answer)
        self.reactor.advance(0.1)
        refused = self.failureResultOf(answer, TokenRefused).value
        self.assertEqual((refused.reason, refused.status), ("token_store_silent", 503))
        self.tell(Spent(number, Use.FIRST))

    def test_too_many(self) -> None:
        """No more than so many wait at a time; further ones are refused at once."""
        waiting = [self.spend() for _ in range(MOST_ASKS)]
        self.failureResultOf(self.spend(), TokenRefused)
        self.tell(Spent(self.asks()[0], Use.FIRST))
        self.successResultOf(waiting[0])
        waiting.append(self.spend())
        self.assertNoResult(waiting[-1])
        self.reactor.advance(ANSWER_TIME)
        for each in waiting[1:]:
            self.failureResultOf(each, TokenRefused)

    def test_gone_meanwhile(self) -> None:
        """A browser that goes away leaves no timer and no question."""
        assert self.spending is not None
        answer = self.spend()
        answer.addErrback(lambda _: None)
        answer.cancel()
        self.assertEqual(len(self.spending), 0)
        self.tell(Spent(self.asks()[0], Use.FIRST))
        self.reactor.advance(ANSWER_TIME)
