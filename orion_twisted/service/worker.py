"""
What runs in each of several workers: a gateway that is told everything by its supervisor.

It is started as ``python -m orion_twisted.service.worker NUMBER PERFORMANCE``. The number is for
who looks at the list of processes; the rung of ``performance`` says which reactor runs it, and has
to be known before there is one. Messages (`orion_twisted.core.worker_wire`) come in on the
standard input and go out on a descriptor of their own; the sockets to accept from are further
descriptors. When the input ends, the supervisor is gone, and so is its worker, soon.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from typing import Any

from attrs import evolve
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.stdio import StandardIO
from twisted.logger import LogEvent, Logger, LogLevel, eventAsText, globalLogBeginner
from twisted.python.failure import Failure

from orion_twisted import __version__
from orion_twisted.core.config import load_settings
from orion_twisted.core.problems import ConfigError, Problem
from orion_twisted.core.shares import share_of
from orion_twisted.core.worker_wire import (
    TO_SUPERVISOR,
    TO_WORKER,
    Begin,
    Drain,
    FromWorker,
    Incoming,
    Reload,
    Spent,
    Status,
    ToWorker,
    WireError,
    encode,
    logged,
)
from orion_twisted.service.gateway import Gateway
from orion_twisted.service.performance import install_reactor
from orion_twisted.service.signals import OnSignal
from orion_twisted.service.spending import Spending
from orion_twisted.service.startup import prepare

REPORT_EVERY = 1.0
"""Seconds from one report to the next."""
REPORT_SHARE = 0.02
"""How much of its time a worker spends on reports: with ten thousand tenants they are rarer."""
RAREST_REPORT = 10.0
"""Seconds from one report to the next at most."""

ORPHAN_TIME = 2.0
"""Seconds that browsers have to hear that they are to go when the supervisor is gone."""
LAST_WORDS_TIME = 2.0
"""Seconds that the supervisor has to take what a worker says last."""

_OLD_NAMES = frozenset(
    {"debug", "failure", "format", "isError", "message", "system", "time", "why"}
)

Build = Callable[[Begin, Spending], Gateway]


class Worker(Protocol):
    """
    One gateway, and its supervisor at the other end of two pipes.

    What the supervisor does not take is not gathered: events of the log that find the pipe full
    are dropped, and how many is said; reports are left out; a token whose use cannot be asked
    about is refused.

    Args:
        build: makes the gateway of the first message.
        reactor: what runs it; it is stopped in the end.

    Attributes:
        exit_status: of the process.
    """

    _log = Logger()
    transport: Any  # two pipes, which is more than ITransport

    def __init__(self, build: Build, reactor: Any) -> None:
        self._build = build
        self._reactor = reactor
        self._incoming: Incoming[ToWorker] = Incoming(ToWorker)
        self._spending = Spending(self._send, reactor)
        self._gateway: Gateway | None = None
        self._next_report: IDelayedCall | None = None
        self._is_full = False
        self._dropped = 0
        self._is_connected = False
        self._is_ending = False
        self._has_ended = False
        self._has_stopped = False
        self.exit_status = 0

    # From the supervisor

    def connectionMade(self) -> None:
        self._is_connected = True
        self.transport.registerProducer(self, True)

    def dataReceived(self, data: bytes) -> None:
        try:
            for message in self._incoming.receive_data(data):
                self._obey(message)
        except WireError as error:
            self._log.error("the supervisor cannot be understood: {error}", error=error)
            self._end(1)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._is_connected = False
        if self._has_ended:
            self._stop()
            return
        self._reactor.callLater(ORPHAN_TIME, self._stop)
        self.drain()

    def _obey(self, message: ToWorker) -> None:
        match message:
            case Begin():
                self._begin(message)
            case Drain():
                self.drain()
            case Reload():
                if self._gateway is not None:
                    self._gateway.getServiceNamed("reload").reload()
            case Spent():
                self._spending.answered(message)

    def _begin(self, begin: Begin) -> None:
        if self._is_ending:  # it has been sent a signal first
            return
        try:
            if begin.version != __version__:
                text = f"this is version {__version__}, the supervisor's is {begin.version}"
                raise ConfigError([Problem("", text, "start the whole gateway again")])
            gateway = self._build(begin, self._spending)
            gateway.privilegedStartService()
        except ConfigError as error:
            for problem in error.problems:
                self._log.error("cannot start: {problem}", problem=problem)
            self._end(1)
            return
        except Exception:
            self._log.failure("cannot start")
            self._end(1)
            return
        self._gateway = gateway
        gateway.startService()
        self._report()

    # To the supervisor

    def _send(self, message: FromWorker) -> None:
        if self._is_connected and not self._is_full:
            self.transport.write(encode(message))

    def pauseProducing(self) -> None:
        self._is_full = True

    def resumeProducing(self) -> None:
        self._is_full = False
        dropped, self._dropped = self._dropped, 0
        if dropped:
            self._log.warn("{count} events of this log were dropped", count=dropped)

    def stopProducing(self) -> None:
        self._is_full = True

    def observe(self, event: LogEvent) -> None:
        """Pass an event of the log on."""
        if self._is_full:
            self._dropped += 1
            return
        text = eventAsText(event, includeTimestamp=False, includeSystem=False)
        if text:
            level = event.get("log_level", LogLevel.info).name
            fields = {name: event[name] for name in event if not _is_inner(name)}
            self._send(logged(level, str(event.get("log_namespace", "")), text, fields))

    def _report(self) -> None:
        assert self._gateway is not None
        if self._next_report is not None and self._next_report.active():
            self._next_report.cancel()
        before = self._reactor.seconds()
        counts, report = tuple(self._gateway.counters), self._gateway.report()
        took = self._reactor.seconds() - before
        wait = min(max(REPORT_EVERY, took / REPORT_SHARE), RAREST_REPORT)
        self._send(Status(counts, report, wait))
        self._next_report = self._reactor.callLater(wait, self._report)

    # The end

    def drain(self) -> None:
        """Accept nobody more, let everybody finish, and end; also if it is said twice."""
        if self._is_ending:
            return
        self._is_ending = True
        if self._gateway is None:
            self._end(0)
            return
        drained = self._gateway.stopService()
        self._report()  # it is not ready any more
        drained.addErrback(lambda failure: self._log.failure("while draining", failure))
        drained.addCallback(lambda _: self._end(0))

    def _end(self, exit_status: int) -> None:
        """Say the last words, and stop."""
        self._is_ending = self._has_ended = True
        self.exit_status = exit_status
        if self._gateway is not None:
            self._report()
        if self._next_report is not None:
            self._next_report.cancel()
        if not self._is_connected:
            self._stop()
            return
        self.transport.unregisterProducer()
        self.transport.loseConnection()  # once all is written, `connectionLost`
        self._reactor.callLater(LAST_WORDS_TIME, self._stop)

    def _stop(self) -> None:
        if not self._has_stopped:
            self._has_stopped = True
            self._reactor.stop()


def _is_inner(name: str) -> bool:
    """Say whether a field of an event belongs to Twisted's logging, the new or the old one."""
    return name.startswith("log_") or name in _OLD_NAMES


def main() -> None:
    """Run a worker until it ends, and exit."""
    # The supervisor of another version may say no rung; it will be told that it is another.
    install_reactor(sys.argv[2] if len(sys.argv) > 2 else "stock")
    from twisted.internet import reactor

    def build(begin: Begin, spending: Spending) -> Gateway:
        settings = share_of(load_settings(begin.settings), begin.workers)
        return prepare(
            evolve(settings, admin=None), reactor, sockets=begin.sockets, spend=spending.spend
        )

    worker = Worker(build, reactor)
    pipes: Any = StandardIO  # its types are those of another system's
    pipes(worker, stdin=TO_WORKER, stdout=TO_SUPERVISOR, reactor=reactor)
    # What is printed goes out as it is: it may be why the rest does not work.
    observe: Any = worker.observe
    globalLogBeginner.beginLoggingTo([observe], redirectStandardIO=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        OnSignal(number, worker.drain, reactor).start()
    running: Any = reactor
    # Its own handlers stop it at once, and may be called once only: from a terminal, SIGINT comes
    # to every process, and the supervisor passes it on as well.
    running.run(installSignalHandlers=False)
    sys.exit(worker.exit_status)


if __name__ == "__main__":
    main()
