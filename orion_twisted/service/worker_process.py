"""One worker, as its supervisor sees it, from its start to its end."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from typing import Any, Protocol

from twisted.internet.error import ProcessDone, ProcessExitedAlready
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

from orion_twisted.core.report import WorkerState
from orion_twisted.core.worker_wire import (
    TO_SUPERVISOR,
    Begin,
    Drain,
    FromWorker,
    Incoming,
    Logged,
    Reload,
    Spend,
    Status,
    ToWorker,
    WireError,
    encode,
)

PATIENCE = 5.0
"""Seconds by which a report may be late before its worker counts as silent."""

MOST_LINE = 4096
"""Bytes of one line that a worker prints; a longer one is cut into several."""


class Loss(StrEnum):
    """How a worker has ended; the values are reasons of a counter."""

    CRASHED = "crashed"
    """By a signal."""
    FAILED = "failed"
    """By itself, because of something."""
    ENDED = "ended"
    """In order, because somebody has told it to, and not its supervisor."""


class Owner(Protocol):
    """Whom a worker's process tells what happens to it."""

    def reported(self, worker: WorkerProcess, status: Status) -> None:
        """It has said how it stands."""

    def spend(self, worker: WorkerProcess, spend: Spend) -> None:
        """It asks about a token; `WorkerProcess.send` takes the answer."""

    def ended(self, worker: WorkerProcess, how: Loss, why: str) -> None:
        """It is gone, and all that it said has been heard; ``why`` is how people are told."""


class WorkerProcess(ProcessProtocol):
    """
    The supervisor's end of one process.

    Args:
        begin: what it is told first.
        owner: who is told of it.
        clock: the reactor, or a test's clock.

    Attributes:
        number: which worker it is.
        pid: its process, also once that is gone; None if it could not be started.
        status: what it has said last, or None.
        started: the instant of its start, by the clock.
    """

    _log = Logger()
    transport: Any  # IProcessTransport, and what its implementation has beside that

    def __init__(self, begin: Begin, owner: Owner, clock: IReactorTime) -> None:
        self._begin = begin
        self._owner = owner
        self._clock = clock
        self._incoming: Incoming[FromWorker] = Incoming(FromWorker)
        self._output = {1: _Lines(self._printed), 2: _Lines(self._printed)}
        self._lateness: IDelayedCall | None = None
        self._is_silent = False
        self._is_draining = False
        self._is_broken = False
        self.number = begin.number
        self.pid: int | None = None
        self.status: Status | None = None
        self.started = clock.seconds()

    @property
    def state(self) -> WorkerState:
        """What is known of it while it runs."""
        if self._is_draining:
            return WorkerState.DRAINING
        if self.status is None:
            return WorkerState.STARTING
        if self._is_silent:
            return WorkerState.SILENT
        return WorkerState.UP if self.status.report.ready else WorkerState.DRAINING

    # To the worker

    def send(self, message: ToWorker) -> None:
        """Say something; a worker that is just ending does not hear it."""
        if self.transport is not None:
            self.transport.write(encode(message))

    def drain(self) -> None:
        """Have it finish and end."""
        self._is_draining = True
        self.send(Drain())

    def reload(self) -> None:
        """Have it read its files again."""
        self.send(Reload())

    def kill(self) -> None:
        """End it without asking."""
        with suppress(ProcessExitedAlready):
            self.transport.signalProcess("KILL")

    # From the worker

    def connectionMade(self) -> None:
        self.pid = self.transport.pid
        self.send(self._begin)

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        if childFD != TO_SUPERVISOR:
            self._output[childFD].receive_data(data)
        elif not self._is_broken:
            try:
                for message in self._incoming.receive_data(data):
                    self._hear(message)
            except WireError as error:
                self._is_broken = True
                self._log.error(
                    "worker {worker} cannot be understood: {error}",
                    worker=self.number,
                    error=error,
                )
                self.kill()

    def _hear(self, message: FromWorker) -> None:
        match message:
            case Status():
                self.status = message
                self._expect_more(message.next_in)
                self._owner.reported(self, message)
            case Spend():
                self._owner.spend(self, message)
            case Logged():
                self._write(message)

    def _write(self, event: Logged) -> None:
        """Put an event into the supervisor's own log, the number in each of its lines."""
        said = event.text.replace("\n", f"\nworker {self.number}: ")
        fields: dict[str, Any] = {**event.fields, "worker": self.number, "said": said}
        fields.pop("level", None)  # which `emit` would take for an argument of its own
        level = LogLevel.lookupByName(event.level)
        Logger(namespace=event.namespace).emit(level, "worker {worker}: {said}", **fields)

    def _printed(self, line: str) -> None:
        self._log.warn("worker {worker}: {line}", worker=self.number, line=line)

    def _expect_more(self, within: float) -> None:
        if self._lateness is not None:
            self._lateness.cancel()
        self._lateness = self._clock.callLater(within + PATIENCE, self._fell_silent)
        if self._is_silent:
            self._is_silent = False
            self._log.info("worker {worker} answers again", worker=self.number)

    def _fell_silent(self) -> None:
        self._lateness = None
        self._is_silent = True
        self._log.error("worker {worker} does not answer", worker=self.number)

    def processEnded(self, reason: Failure) -> None:
        if self._lateness is not None:
            self._lateness.cancel()
        for lines in self._output.values():
            lines.end()
        if reason.check(ProcessDone):
            self._owner.ended(self, Loss.ENDED, "in order")
            return
        error: Any = reason.value  # ProcessTerminated
        if error.signal is not None:
            self._owner.ended(self, Loss.CRASHED, f"by signal {error.signal}")
        else:
            self._owner.ended(self, Loss.FAILED, f"with status {error.exitCode}")


class _Lines:
    """What is printed, line by line."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._rest = b""

    def receive_data(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._tell(line)
        if len(self._rest) > MOST_LINE:
            self.end()

    def end(self) -> None:
        rest, self._rest = self._rest, b""
        if rest:
            self._tell(rest)

    def _tell(self, line: bytes) -> None:
        for start in range(0, max(len(line), 1), MOST_LINE):
            self._say(line[start : start + MOST_LINE].decode("utf-8", "replace"))
