"""
How a gateway stands at one moment: what its admin pages show, of one process or of several.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

from attrs import frozen


@frozen
class CertificateStatus:
    """
    A certificate in service, or a file that cannot be.

    Attributes:
        file: its name.
        names: what it answers.
        days_left: until it expires; None for a file that cannot be used.
        problem: what is wrong with it, or None.
    """

    file: str
    names: tuple[str, ...]
    days_left: float | None
    problem: str | None


@frozen
class SessionStatus:
    """
    The sessions of one tenant.

    Attributes:
        attached: how many have their browser.
        waiting: how many wait for it to come back.
        messages: how many they hold: without an outcome, or not known to be with the browser.
        size: bytes of those.
        backends: how many have dialled in; None where the gateway dials.
    """

    attached: int
    waiting: int
    messages: int
    size: int
    backends: int | None


class WorkerState(StrEnum):
    """What the supervisor knows of a worker; the values are labels of a metric."""

    UP = "up"
    STARTING = "starting"
    """It runs, and does not accept browsers yet."""
    SILENT = "silent"
    """It runs, and has not said anything for too long."""
    DRAINING = "draining"
    DOWN = "down"
    """It does not run: the next one has not been started yet."""


@frozen
class WorkerStatus:
    """
    One of several processes.

    Attributes:
        number: from 1; the one that follows a lost one has the same.
        pid: of the process, or None.
        state: what is known of it.
        browsers: its open WebSockets, as it said last.
        connections: all of its connections that are through their handshake, likewise.
        uptime: seconds since it was started; 0 where it does not run.
        lost: how often a process of this number has ended by itself.
    """

    number: int
    pid: int | None
    state: WorkerState
    browsers: int
    connections: int
    uptime: float
    lost: int


@frozen
class Report:
    """
    How the gateway stands at one moment.

    Attributes:
        version: the program's.
        ready: whether new browsers are welcome.
        browsers: open WebSockets, by tenant.
        links: open connections to backends, by tenant.
        sessions: those of each tenant in session mode.
        pending: connections in their handshake.
        connections: all that are through it, pages included.
        uptime: seconds since the start.
        certificates: those in service, and files that cannot be.
        workers: the processes, where there are several.
    """

    version: str
    ready: bool
    browsers: dict[str, int]
    links: dict[str, int]
    sessions: dict[str, SessionStatus]
    pending: int
    connections: int
    uptime: float
    certificates: tuple[CertificateStatus, ...]
    workers: tuple[WorkerStatus, ...] = ()

    @property
    def state(self) -> str:
        """One word or two for people: whether it is ready, and why not."""
        if self.ready:
            return "ready"
        states = {each.state for each in self.workers}
        return "workers missing" if states and WorkerState.DRAINING not in states else "draining"


def together(
    version: str,
    tenants: Iterable[str],
    uptime: float,
    workers: Sequence[WorkerStatus],
    reports: Sequence[Report],
) -> Report:
    """
    Return one report of several processes.

    Args:
        version: the program's.
        tenants: the names of all of them.
        uptime: seconds since the supervisor's start.
        workers: every process that there should be.
        reports: what those that run have said last.

    Returns:
        Sums; ready when every worker is up. The certificates are those of one process, as all
        watch the same folder.
    """
    names = list(tenants)
    return Report(
        version=version,
        ready=all(each.state is WorkerState.UP for each in workers),
        browsers=_sums(names, (each.browsers for each in reports)),
        links=_sums(names, (each.links for each in reports)),
        sessions={},  # they live in one process, which has no supervisor
        pending=sum(each.pending for each in reports),
        connections=sum(each.connections for each in reports),
        uptime=uptime,
        certificates=reports[0].certificates if reports else (),
        workers=tuple(workers),
    )


def _sums(names: Sequence[str], parts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    sums: Counter[str] = Counter()
    for part in parts:
        sums.update(part)
    return {name: sums[name] for name in names}
