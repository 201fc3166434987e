"""
What a gateway costs: CPU time and memory of a process and all that it has started.

User and system time are taken together, from the kernel's own clock of each process.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable
from pathlib import Path

PROC = Path("/proc")
TICK = 1 / os.sysconf("SC_CLK_TCK")

_PSS = re.compile(r"^Pss:\s+(\d+) kB$", re.MULTILINE)
_CPU = re.compile(r"^cpu(\d+) (.+)$", re.MULTILINE)

# Places in /proc/PID/stat behind the name, which may have anything in it; see proc(5).
_PARENT, _CHILDREN_USER, _CHILDREN_SYSTEM = 1, 13, 14


def cpu_clock(pid: int) -> float:
    """
    Return the seconds of CPU that a process has used, all its threads together.

    Raises:
        ProcessLookupError: it is gone.
    """
    try:
        # The number that clock_getcpuclockid(3) returns; Python has no name for it.
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        raise ProcessLookupError(pid) from None


def _stat(pid: int) -> list[str]:
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        raise ProcessLookupError(pid) from None
    return text.rpartition(")")[2].split()


class ProcessTree:
    """
    A process, and those below it.

    Args:
        pid: of the one at the top.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def pids(self) -> list[int]:
        """Return all that live now; it is empty if the top is gone."""
        children: dict[int, list[int]] = {}
        for entry in os.listdir(PROC):
            if entry.isdecimal():
                try:
                    parent = int(_stat(int(entry))[_PARENT])
                except ProcessLookupError:
                    continue
                children.setdefault(parent, []).append(int(entry))
        if not (PROC / str(self.pid)).exists():
            return []
        found = [self.pid]
        for pid in found:  # it grows on the way
            found += children.get(pid, [])
        return found

    def cpu(self) -> float:
        """
        Return the seconds of CPU that they have used.

        Those that have ended count as soon as they were waited for, in steps of a tick (10 ms).
        """
        total = 0.0
        for pid in self.pids():
            try:
                fields = _stat(pid)
                total += cpu_clock(pid)
            except ProcessLookupError:
                continue
            total += (int(fields[_CHILDREN_USER]) + int(fields[_CHILDREN_SYSTEM])) * TICK
        return total

    def memory(self) -> int:
        """Return the KiB that they hold: what several share counts in parts (PSS)."""
        total = 0
        for pid in self.pids():
            try:
                text = (PROC / str(pid) / "smaps_rollup").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            found = _PSS.search(text)
            total += int(found[1]) if found else 0
        return total


class Window:
    """
    The clock of a run: what the gateway used between its beginning and its end.

    Attributes:
        cpu: seconds of CPU.
        seconds: that it was open.
        others: seconds of CPU that processes outside this benchmark took on its CPUs.

    Args:
        gateway: whose cost it is.
        ours: all other processes of the benchmark.
        cpus: on which it runs.
    """

    def __init__(self, gateway: ProcessTree, ours: Iterable[int], cpus: Iterable[int]) -> None:
        self._gateway = gateway
        self._ours = tuple(ours)
        self._cpus = frozenset(cpus)
        self.cpu = self.seconds = self.others = 0.0

    def begin(self) -> None:
        self._others = busy_time(self._cpus) - self._own_time()
        self._seconds = time.monotonic()
        self._cpu = self._gateway.cpu()

    def end(self) -> None:
        self.cpu = self._gateway.cpu() - self._cpu
        self.seconds = time.monotonic() - self._seconds
        others = busy_time(self._cpus) - self._own_time() - self._others
        self.others = max(others - self.cpu, 0.0)

    def _own_time(self) -> float:
        return sum(cpu_clock(pid) for pid in self._ours)


def busy_time(cpus: Iterable[int]) -> float:
    """Return the seconds that these CPUs were not idle since the machine has started."""
    wanted = frozenset(cpus)
    total = 0.0
    for number, text in _CPU.findall((PROC / "stat").read_text()):
        if int(number) in wanted:
            user, nice, system, _idle, _wait, irq, softirq, steal, *_ = map(int, text.split())
            total += (user + nice + system + irq + softirq + steal) * TICK
    return total
