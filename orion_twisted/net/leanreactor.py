"""
A reactor that calls whoever can read or write, and nothing else in between.

Twisted's own sets up the context of a log line around each event, and looks at each connection
anew before it is called. Here a read is a call, and so is a write; what is neither, or both, goes
Twisted's own way. What is lost is the name of the connection in legacy log lines: ours carry
theirs in fields.

A process that runs on Twisted's can go over to it (`take_over`); ``twistd --reactor=orion``
installs it from the start.
"""

from __future__ import annotations

import errno
import sys
from typing import Any, cast

from twisted.internet.epollreactor import EPOLLHUP, EPOLLIN, EPOLLOUT, EPollReactor
from twisted.internet.main import installReactor
from twisted.logger import Logger
from twisted.python import log

from orion_twisted.net.pumpload import fast

EVENTS = 1024
"""How many events are taken at a time, at most. Others have their turn after them."""

MOST_CANCELLED = 50
"""How many cancelled calls, and half of all that wait, Twisted keeps until they are due."""

_READS = frozenset({EPOLLIN, EPOLLIN | EPOLLHUP})
"""There is something to read; perhaps the last of it, since both sides have ended."""

_log = Logger()


class LeanReactor(EPollReactor):
    """
    Twisted's reactor on epoll(7), with a shorter loop over what can be read.

    Attributes:
        pumps: those of its connections (`orion_twisted.net.pump`), which run without any Python
            in between; None where there are none.
    """

    def __init__(self) -> None:
        super().__init__()
        self._get_pumps()

    def _get_pumps(self) -> None:
        self.pumps = None if fast is None else fast.Pumps()

    def runUntilCurrent(self) -> None:
        """Do what is due; where nothing is, no Python has run."""
        self._insertNewDelayedCalls()
        calls = self._pendingTimedCalls
        if (
            (calls and calls[0].time <= self.seconds())
            or self.threadCallQueue
            or self._justStopped
            or self._cancellations > max(MOST_CANCELLED, len(calls) >> 1)
        ):
            if self.pumps is not None:
                self.pumps.disturb()
            super().runUntilCurrent()

    def iterate(self, delay: float = 0.0) -> None:
        """Turn once for somebody who waits in the middle of something, and goes on with it."""
        if self.pumps is not None:
            self.pumps.disturb()
        super().iterate(delay)
        if self.pumps is not None:
            self.pumps.disturb()

    def doPoll(self, timeout: float | None) -> None:
        """
        Wait for events, and deal with them.

        Args:
            timeout: how many seconds it may take; None: until something happens.
        """
        try:
            events = self._poller.poll(-1 if timeout is None else timeout, EVENTS)
        except OSError as error:
            if error.errno == errno.EINTR:
                return
            raise
        selectables, pumps = self._selectables, self.pumps
        at = 0
        while at < len(events):
            if pumps is not None:
                try:
                    why = pumps.run(events, at, selectables)
                except BaseException:
                    at = pumps.at + 1
                    connection = pumps.connection
                    if connection is None:
                        raise
                    log.callWithLogger(connection, self._lose_for_a_bug, connection)
                    continue
                at = pumps.at
                if why is not None:
                    at += 1
                    self._end(pumps.connection, why, True)
                    continue
                if at == len(events):
                    return
            descriptor, event = events[at]
            at += 1
            # An earlier event may have closed it, and something new may have its number.
            selectable = selectables.get(descriptor)
            if selectable is None:
                continue
            reads = event in _READS
            try:
                if not (reads or event == EPOLLOUT) or selectable.fileno() != descriptor:
                    log.callWithLogger(
                        selectable, self._doReadOrWrite, selectable, descriptor, event
                    )
                    continue
                why = selectable.doRead() if reads else selectable.doWrite()
            except BaseException:
                log.callWithLogger(selectable, self._lose_for_a_bug, selectable)
                continue
            if why:
                self._end(selectable, why, reads)

    doIteration = doPoll

    def _end(self, selectable: Any, why: Any, has_read: bool) -> None:
        """End a connection for what its last read or write has returned."""
        try:
            self._disconnectSelectable(selectable, why, has_read)
        except KeyboardInterrupt:
            raise
        except BaseException:
            log.err()

    def _lose_for_a_bug(self, selectable: Any) -> None:
        """Log the exception that is being handled, and lose the connection that it comes from."""
        log.err()
        self._disconnectSelectable(selectable, sys.exc_info()[1], False)


def why_not(reactor: object) -> str | None:
    """Say what a reactor of this Twisted does not have that the loop needs; None if it has all."""
    for name in (
        "_poller",
        "_selectables",
        "_doReadOrWrite",
        "_disconnectSelectable",
        "_insertNewDelayedCalls",
        "_pendingTimedCalls",
        "_cancellations",
        "_justStopped",
        "threadCallQueue",
    ):
        if not hasattr(reactor, name):
            return f"EPollReactor has no {name}"
    return None


def take_over(reactor: object) -> None:
    """
    Have a reactor of Twisted's run as a `LeanReactor` from its next turn on.

    All that is registered with it stays: its class alone is another one. One that is not exactly
    an ``EPollReactor`` was chosen by somebody, and one that lacks a name cannot: both are left.
    """
    if type(reactor) is EPollReactor and why_not(reactor) is None:
        reactor.__class__ = LeanReactor
        cast(LeanReactor, reactor)._get_pumps()


def install() -> None:
    """Make it the process's reactor; where it cannot work, Twisted's own."""
    reactor = LeanReactor()
    reason = why_not(reactor)
    if reason is not None:
        _log.warn("the reactor is Twisted's own: {reason}", reason=reason)
        reactor.__class__ = EPollReactor  # type: ignore[assignment]
    installReactor(reactor)
