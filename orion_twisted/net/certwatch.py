"""
Certificates that renew without anyone noticing: what changes in their folder is put into service
within two seconds.

The folder is looked at once a second, which costs one system call for each file, and sooner when
the system says that something has changed. What differs from what was read is read, in a thread,
when it has been at rest for a moment. A bad file leaves its old certificate in service, is logged
and counted once for each change, and is in the table's ``bad``. A certificate whose file has gone
stays in service for names that no other answers, while it is valid; a reload forgets it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeAlias

from attrs import evolve, frozen
from twisted.internet.defer import Deferred, ensureDeferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from orion_twisted.core.counters import Counters
from orion_twisted.net.certchecks import problem_of
from orion_twisted.net.certfolder import FolderState, Outcome, Sight, catch_up, look
from orion_twisted.net.folderevents import FolderEvents
from orion_twisted.net.tls import CertificateTable, Prepared

POLL = 1.0
"""Seconds between two looks at a folder where nothing happens."""

SETTLE = 0.2
"""Seconds for which a file has to be at rest before it is read."""


@frozen
class _Found:
    """What a look at the folder has brought; no outcome if there was nothing to do."""

    sight: Sight
    outcome: Outcome | None = None
    prepared: Prepared | None = None
    next_date: datetime | None = None


InThread: TypeAlias = Callable[[Callable[[], _Found]], "Deferred[_Found]"]


class CertificateWatcher:
    """
    Keep a table as its folder is.

    Args:
        state: what has been read from the folder, and is in the table.
        table: where it goes.
        counters: where bad files are counted.
        reactor: for its time, its threads, and word of changes.
        in_thread: calls a function in a thread; by default in one of the reactor's.
        now: returns the present time, aware; by default the machine's.
    """

    _log = Logger()

    def __init__(
        self,
        state: FolderState,
        table: CertificateTable,
        counters: Counters,
        reactor: Any,
        *,
        in_thread: InThread | None = None,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self._state = state
        self._table = table
        self._counters = counters
        self._reactor = reactor
        self._in_thread = in_thread or self._in_thread_of_reactor
        self._now = now or partial(datetime.now, UTC)
        self._events = FolderEvents(reactor, partial(self._hurry, SETTLE))
        self._sight = Sight({}, {})  # the last one
        self._next_date: datetime | None = None
        self._has_work = True  # even if the folder looks as it did
        self._is_blind = False
        self._is_running = False
        self._watching: Deferred[None] = succeed(None)
        self._pause: tuple[IDelayedCall, Deferred[None]] | None = None
        self._longest_pause = POLL
        self._reloads: list[Deferred[None]] = []

    def start(self) -> None:
        """Begin to watch. The files that are bad already are counted."""
        for _ in self._state.bad:
            self._counters.add("certificates_bad")
        self._is_running = True
        self._watching = ensureDeferred(self._watch())

    def stop(self) -> Deferred[None]:
        """
        Stop watching.

        Returns:
            A Deferred that fires when no thread is at work any more; it is not to be cancelled.
        """
        self._is_running = False
        self._events.close()
        self._hurry(0)
        stopped: Deferred[None] = Deferred()
        self._watching.chainDeferred(stopped)
        return stopped

    def reload(self) -> Deferred[None]:
        """
        Read everything, at rest or not, and take out of service what is gone: for SIGHUP.

        Returns:
            A Deferred that fires when that is done, whatever came of it, or when the watcher is
            not running; it is not to be cancelled.
        """
        if not self._is_running:
            return succeed(None)
        done: Deferred[None] = Deferred()
        self._reloads.append(done)
        self._hurry(0)
        return done

    async def _watch(self) -> None:
        while self._is_running:
            reloads, self._reloads = self._reloads, []
            self._longest_pause = POLL
            try:
                await self._look(forget=bool(reloads))
                self._is_blind = False
                pause = SETTLE if self._has_work else POLL
            except OSError as error:
                self._cannot_look(error, is_asked=bool(reloads))
                pause = POLL
            except Exception:
                self._log.failure("bug while reading certificates")
                pause = POLL
            for each in reloads:
                each.callback(None)
            await self._pause_for(pause)
        for each in self._reloads:
            each.callback(None)

    async def _pause_for(self, seconds: float) -> None:
        if self._is_running:
            over: Deferred[None] = Deferred()
            wait = min(seconds, self._longest_pause)
            self._pause = self._reactor.callLater(wait, over.callback, None), over
            await over
            self._pause = None

    def _hurry(self, seconds: float) -> None:
        """Look again after some seconds at the latest."""
        self._longest_pause = min(self._longest_pause, seconds)
        if self._pause is None:
            return
        call, over = self._pause
        if not self._is_running:
            call.cancel()
            over.callback(None)
        elif call.getTime() > self._reactor.seconds() + seconds:
            call.reset(seconds)

    def _cannot_look(self, error: OSError, *, is_asked: bool) -> None:
        if is_asked or not self._is_blind:
            self._log.error(
                "cannot look into {folder}: {error}; its certificates stay in service",
                folder=str(self._state.folder),
                error=error.strerror,
            )
        self._is_blind = self._has_work = True

    def _in_thread_of_reactor(self, work: Callable[[], _Found]) -> Deferred[_Found]:
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), work)

    async def _look(self, *, forget: bool) -> None:
        now = self._now()
        is_due = self._next_date is not None and now > self._next_date
        has_work = self._has_work or is_due or forget
        found = await self._in_thread(
            partial(_work, self._state, self._table, self._sight, now, has_work, forget)
        )
        if not self._is_running:
            return
        self._sight = found.sight
        self._events.watch(found.sight.folders)
        if found.outcome is not None and found.prepared is not None:
            before, self._state = self._state, found.outcome.state
            self._has_work = bool(found.outcome.unsettled)
            self._next_date = found.next_date
            self._put_into_service(found.prepared, now)
            self._report(before, found.outcome, now)

    def _put_into_service(self, prepared: Prepared, now: datetime) -> None:
        try:
            self._table.install(prepared)
        except LookupError:
            # A gateway without its fallback would turn away clients that it has always served.
            fallback = self._table.fallback or ""
            kept = {one.source: one for one in self._table.certificates if one.covers(fallback)}
            self._log.error(
                "no certificate for the fallback {name} is left: {files} stays in service",
                name=fallback,
                files=", ".join(map(str, kept)),
            )
            self._state = evolve(self._state, gone={**self._state.gone, **kept})
            self._table.install(_prepared(self._state, self._table, now))

    def _report(self, before: FolderState, outcome: Outcome, now: datetime) -> None:
        after = outcome.state
        for source in (*outcome.read, after.folder):
            one, old = after.certificates.get(source), before.certificates.get(source)
            problem = after.bad.get(source)
            has_changed = before.marks.get(source) != after.marks.get(source)
            if problem is not None and (has_changed or before.bad.get(source) != problem):
                self._counters.add("certificates_bad")
                self._log.warn(
                    "certificate {file}: {problem}{consequence}",
                    file=str(source),
                    problem=problem.problem,
                    consequence="; the old one stays in service" if one is not None else "",
                )
            if one is not None and (one != old or (problem is None and source in before.bad)):
                self._log.info(
                    "certificate {file} for {names} is in service, {until}",
                    file=str(source),
                    names=", ".join(one.names),
                    until=problem_of(one, now) or f"valid until {one.not_after:%Y-%m-%d}",
                )
        for source in after.gone.keys() - before.gone.keys():
            self._log.warn(
                "certificate {file} is gone: it stays in service where no other answers",
                file=str(source),
            )
        served = {*after.certificates, *after.gone}
        for source in sorted({*before.certificates, *before.gone} - served):
            self._log.warn("certificate {file} is out of service", file=str(source))


def _work(
    state: FolderState,
    table: CertificateTable,
    before: Sight,
    now: datetime,
    has_work: bool,
    forget: bool,
) -> _Found:
    """Look, read and prepare: all that takes its time, for a thread."""
    sight = look(state.folder)
    if sight == before and not has_work:
        return _Found(sight)
    outcome = catch_up(state, sight, before, now, forget=forget)
    prepared = _prepared(outcome.state, table, now)
    return _Found(sight, outcome, prepared, outcome.state.next_date(now))


def _prepared(state: FolderState, table: CertificateTable, now: datetime) -> Prepared:
    certificates, bad = state.certificates.values(), state.bad.values()
    return table.prepare(certificates, now, gone=state.gone.values(), bad=bad)
