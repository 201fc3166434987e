"""
Processes that run by turns, each for a share of the time.

A machine with as many CPUs as a gateway has workers has none left for the load, and what one
worker more brings does not show. So each gets slices of one CPU, which has room for those of
several; a gateway of one process gets those of one.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

PERIOD = 0.02
"""Seconds from one slice of a process to its next."""


@contextmanager
def held(pids: Sequence[int], share: float, period: float = PERIOD) -> Iterator[None]:
    """
    Have each process stand still but for its slices; all run again when this is over.

    Slices begin one after the other, evenly over the period. The caller may have one thread only.

    Args:
        pids: whose; one that ends is left alone.
        share: of the period that is a slice, from 0 to 1. Those of so many processes fit beside
            each other if it is at most 1 / ``len(pids)``.
        period: in seconds.
    """
    # A number may be somebody else's by the time that it is used, a descriptor never.
    processes = [os.pidfd_open(pid) for pid in pids]
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(theirs)
        with suppress(KeyboardInterrupt):
            _take_turns(processes, share, period, ours)
        os._exit(0)
    os.close(ours)
    try:
        yield
    finally:
        os.close(theirs)
        os.waitpid(child, 0)
        for process in processes:
            os.close(process)


def _take_turns(processes: Sequence[int], share: float, period: float, end: int) -> None:
    """Stop and continue them until the other end of a pipe is closed, be it by a crash."""
    if os.sched_getscheduler(0) != os.SCHED_OTHER:
        # Behind the load, whose CPU this is, it would always come too late.
        os.sched_setscheduler(
            0, os.SCHED_RR, os.sched_param(os.sched_getparam(0).sched_priority + 1)
        )
    turns = []
    for number, process in enumerate(processes):
        start = number / len(processes)
        turns += [(start, process, signal.SIGCONT), ((start + share) % 1, process, signal.SIGSTOP)]
    turns.sort(key=lambda turn: turn[0])
    begun = time.monotonic()
    try:
        for process in processes:
            _send(process, signal.SIGSTOP)
        while True:
            for offset, process, what in turns:
                left = begun + offset * period - time.monotonic()
                if select.select([end], [], [], max(left, 0))[0]:
                    return
                _send(process, what)
            begun += period
    finally:
        for process in processes:
            _send(process, signal.SIGCONT)


def _send(process: int, what: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(process, what)
