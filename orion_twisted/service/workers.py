"""
Several processes that serve the same ports: the supervisor, which twistd runs.

It binds the sockets, starts a worker for each CPU or however many are wanted, starts those again
that end, passes signals on, and shows all of them as one on the admin pages. It serves no browser
itself. What a worker is told and asks is `orion_twisted.core.worker_wire`, how sockets are shared
`orion_twisted.net.listening`.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from attrs import define, field
from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IDelayedCall, IListeningPort
from twisted.logger import Logger, LogLevel

from orion_twisted import __version__
from orion_twisted.core.backoff import FIRST_WAIT, MOST_WAIT, Backoff
from orion_twisted.core.counters import SummedCounters
from orion_twisted.core.problems import ConfigError, Problem
from orion_twisted.core.report import Report, WorkerState, WorkerStatus, together
from orion_twisted.core.settings import Settings
from orion_twisted.core.spent_tokens import SpentTokens
from orion_twisted.core.worker_wire import (
    FIRST_SOCKET,
    TO_SUPERVISOR,
    TO_WORKER,
    Begin,
    Socket,
    Spend,
    Spent,
    Status,
)
from orion_twisted.net.listening import HeldSocket, cannot_listen, occupy
from orion_twisted.service.signals import OnSignal
from orion_twisted.service.worker_process import Loss, WorkerProcess

PROGRAM = "orion_twisted.service.worker"
"""The module that a worker runs."""

PROVED_AFTER = 30.0
"""Seconds after which a worker counts as one that works: if it ends then, the next one may start
at once."""

LAST_TIME = 3.0
"""Seconds that a worker has beyond ``drain`` to end by itself; then it is killed."""

NOT_FOR_WORKERS = ("LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID")
"""What systemd says in the environment of sockets: workers have other descriptors there."""

Hold = Callable[[], Sequence[HeldSocket]]


@define
class _Post:
    """What one process after another is: the same number, the same sockets."""

    number: int
    backoff: Backoff
    sockets: tuple[HeldSocket, ...] = ()
    process: WorkerProcess | None = None
    restart: IDelayedCall | None = field(default=None, repr=False)
    lost: int = 0


class Supervisor(Service):
    """
    The processes that together are a gateway.

    Args:
        settings: checked ones.
        raw: the same in the shape of the file, folders absolute: what workers are told.
        workers: how many there are.
        listeners: functions that bind each of ``listen``, and give a socket for each worker.
        reactor: what starts processes and tells the time.
        counters: of all processes.
        admin: begins to listen for operators, and gives the port; it is open until the end.
        wall_clock: gives the seconds since 1970, by which tokens are dated.
    """

    _log = Logger()

    def __init__(
        self,
        settings: Settings,
        raw: dict[str, Any],
        workers: int,
        listeners: Sequence[Hold],
        reactor: Any,
        counters: SummedCounters,
        admin: Callable[[], Deferred[IListeningPort]] | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._raw = raw
        self._listeners = listeners
        self._reactor = reactor
        self._admin = admin
        self._wall_clock = wall_clock
        self._counters = counters
        self._posts = [
            _Post(number, Backoff(FIRST_WAIT, MOST_WAIT, random.random))
            for number in range(1, workers + 1)
        ]
        self._spent = {
            tenant.name: SpentTokens() for tenant in settings.tenants if tenant.token is not None
        }
        self._started = reactor.seconds()
        self._hangup = OnSignal(signal.SIGHUP, self.reload, reactor)
        self._held: list[HeldSocket] = []
        self._admin_ports: list[IListeningPort] = []
        self._kill_timer: IDelayedCall | None = None
        self._is_stopping = False
        self._ended: Deferred[None] = Deferred()
        self._stopped: Deferred[None] | None = None

    # From twistd

    def privilegedStartService(self) -> None:
        """
        Bind every socket; called before privileges are dropped, so ports below 1024 can be had.

        Raises:
            ConfigError: places are taken, or not for this user; with every one of them.
        """
        problems: list[Problem] = []
        sockets: list[Sequence[HeldSocket]] = []
        for index, hold in enumerate(self._listeners):
            try:
                sockets.append(hold())
            except CannotListenError as error:
                problems.append(cannot_listen(f"listen[{index}]", error))
        self._held = list(dict.fromkeys(each for group in sockets for each in group))
        if self._admin is not None:
            problems += occupy("admin", self._admin(), self._admin_ports.append)
        if problems:
            raise ConfigError(problems)
        for post in self._posts:
            post.sockets = tuple(group[post.number - 1] for group in sockets)
        for address in dict.fromkeys(str(held.address) for held in self._held):
            self._log.info("holding {address} for the workers", address=address)

    def startService(self) -> None:
        """Start the workers as soon as the reactor runs, which then hears of their end."""
        super().startService()
        self._hangup.start()
        for post in self._posts:
            self._reactor.callWhenRunning(self._start, post)

    def stopService(self) -> Deferred[None]:
        """
        Listen no more, have every worker drain, and kill those that do not end.

        Returns:
            A Deferred that fires when no worker runs any more, after ``drain`` seconds and a few
            at the latest. May be called again: each caller is told.
        """
        told: Deferred[None] = Deferred()
        if self._stopped is None:
            self._stopped = self._drain()
        self._stopped.chainDeferred(told)
        return told

    def _drain(self) -> Deferred[None]:
        self._is_stopping = True
        super().stopService()
        self._hangup.stop()
        # Before the workers close theirs: then nobody can come any more to a socket that no
        # process accepts from.
        closed = [maybeDeferred(held.close) for held in self._held]
        for post in self._posts:
            if post.restart is not None and post.restart.active():
                post.restart.cancel()
            if post.process is not None:
                post.process.drain()
        wait = self._settings.limits.drain + LAST_TIME
        self._kill_timer = self._reactor.callLater(wait, self._kill)
        self._look_whether_ended()

        def done(_: None) -> Deferred[None]:
            # Only now: who watches a drain is told that it goes on.
            last = [maybeDeferred(port.stopListening) for port in self._admin_ports]
            return DeferredList([*closed, *last]).addCallback(lambda _: None)

        return self._ended.addCallback(done)

    def _kill(self) -> None:
        for post in self._posts:
            if post.process is not None:
                self._log.warn("killing worker {worker}, which does not end", worker=post.number)
                post.process.kill()

    def _look_whether_ended(self) -> None:
        if self._is_stopping and all(post.process is None for post in self._posts):
            if self._kill_timer is not None and self._kill_timer.active():
                self._kill_timer.cancel()
            if not self._ended.called:
                self._ended.callback(None)

    def reload(self) -> None:
        """Have every worker read certificates and keys again."""
        self._log.info("passing SIGHUP on")
        for post in self._posts:
            if post.process is not None:
                post.process.reload()

    # One worker

    def _start(self, post: _Post) -> None:
        post.restart = None
        if self._is_stopping:
            return
        numbers = range(FIRST_SOCKET, FIRST_SOCKET + len(post.sockets))
        sockets = tuple(
            Socket(fd, each.family) for fd, each in zip(numbers, post.sockets, strict=True)
        )
        begin = Begin(__version__, post.number, len(self._posts), self._raw, sockets)
        process = WorkerProcess(begin, self, self._reactor)
        performance = self._settings.performance
        descriptors: dict[int, int | str] = {TO_WORKER: "w", 1: "r", 2: "r", TO_SUPERVISOR: "r"}
        descriptors.update(zip(numbers, (each.fd for each in post.sockets), strict=True))
        post.process = process
        try:
            for each in post.sockets:
                each.restore()
            self._reactor.spawnProcess(
                process,
                sys.executable,
                # Nothing is imported from where twistd happens to run (-P).
                [sys.executable, "-P", "-m", PROGRAM, str(post.number), performance],
                env=_environment(),
                childFDs=descriptors,
            )
        except OSError as error:
            self.ended(process, Loss.FAILED, f"before it began: {error.strerror}")
            return
        self._log.info("worker {worker} is process {pid}", worker=post.number, pid=process.pid)

    def reported(self, worker: WorkerProcess, status: Status) -> None:
        self._counters.replace(worker.number, status.counts)

    def spend(self, worker: WorkerProcess, spend: Spend) -> None:
        spent = self._spent[spend.tenant]
        use = spent.use(spend.token_id, spend.end, self._wall_clock())
        worker.send(Spent(spend.ask, use))

    def ended(self, worker: WorkerProcess, how: Loss, why: str) -> None:
        post = self._posts[worker.number - 1]
        post.process = None
        self._counters.keep(worker.number)
        said = {"worker": worker.number, "pid": worker.pid, "why": why}
        if self._is_stopping:
            self._log.info("worker {worker}, process {pid}, has ended {why}", **said)
            self._look_whether_ended()
            return
        post.lost += 1
        self._counters.own.add("workers_lost", reason=how)
        if self._reactor.seconds() - worker.started >= PROVED_AFTER:
            post.backoff.reset()
        if post.backoff.failures:  # the last one did not live long, either
            for each in post.sockets:
                each.withdraw()
        wait = post.backoff.next_wait()
        self._log.emit(
            LogLevel.info if how is Loss.ENDED else LogLevel.error,
            "worker {worker}, process {pid}, has ended {why}; the next one starts in {wait:.1f} s",
            wait=wait,
            **said,
        )
        post.restart = self._reactor.callLater(wait, self._start, post)

    # For operators

    def report(self) -> Report:
        """Return how the workers stand together, as each of them has said last."""
        reports = [
            post.process.status.report
            for post in self._posts
            if post.process is not None and post.process.status is not None
        ]
        return together(
            __version__,
            [tenant.name for tenant in self._settings.tenants],
            self._reactor.seconds() - self._started,
            [self._status(post) for post in self._posts],
            reports,
        )

    def _status(self, post: _Post) -> WorkerStatus:
        process = post.process
        if process is None:
            state = WorkerState.DRAINING if self._is_stopping else WorkerState.DOWN
            return WorkerStatus(post.number, None, state, 0, 0, 0.0, post.lost)
        report = None if process.status is None else process.status.report
        return WorkerStatus(
            post.number,
            process.pid,
            process.state,
            0 if report is None else sum(report.browsers.values()),
            0 if report is None else report.connections,
            self._reactor.seconds() - process.started,
            post.lost,
        )


def _environment() -> dict[str, str]:
    """Return the environment of a worker, which finds the same modules as this process."""
    environment = {
        name: value for name, value in os.environ.items() if name not in NOT_FOR_WORKERS
    }
    environment["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, filter(None, sys.path)))
    return environment
