"""What processes use is found, down to their children, and after these have ended."""

import os
import subprocess
import sys
from unittest import TestCase

from bench.measure import ProcessTree, Window, busy_time, cpu_clock

WORK = "sum(i * i for i in range(1_000_000))"
CHILD = f"import time; {WORK}; print(time.process_time(), flush=True); input()"
PARENT = f"""
import subprocess, sys
child = subprocess.Popen(
    [sys.executable, "-c", {CHILD!r}],
    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
)
print(child.stdout.readline(), end="", flush=True)
input()
child.communicate("\\n")
print("ended", flush=True)
input()
"""
HOLD = "data = b'x' * int(input()); print(len(data), flush=True); input()"

A_TICK = 1 / os.sysconf("SC_CLK_TCK")
MIB = 1024


class ProcessTests(TestCase):
    def start(self, code: str) -> "subprocess.Popen[str]":
        """Start Python with some code; it is ended by its own id, whatever happens."""
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        assert process.stdin is not None
        assert process.stdout is not None
        self.addCleanup(process.stdin.close)
        self.addCleanup(process.stdout.close)
        return process

    def ask(self, process: "subprocess.Popen[str]", line: str = "") -> str:
        """Send a line; return the one that comes back."""
        assert process.stdin is not None
        process.stdin.write(f"{line}\n")
        process.stdin.flush()
        return self.line(process)

    def line(self, process: "subprocess.Popen[str]") -> str:
        assert process.stdout is not None
        return process.stdout.readline().strip()


class ProcessTreeTests(ProcessTests):
    def test_children(self) -> None:
        """A child's time is its parent's cost, while it lives and after it was waited for."""
        parent = self.start(PARENT)
        tree = ProcessTree(parent.pid)
        used = float(self.line(parent))
        self.assertEqual(len(tree.pids()), 2)
        # The clock of another process is brought up to date when it is switched: it is idle now.
        self.assertGreaterEqual(tree.cpu(), used)
        self.assertGreater(tree.cpu(), cpu_clock(parent.pid))
        before = tree.cpu()
        self.assertEqual(self.ask(parent), "ended")
        self.assertEqual(tree.pids(), [parent.pid])
        self.assertGreaterEqual(tree.cpu(), before - 2 * A_TICK)

    def test_memory(self) -> None:
        """What a process takes is found, to the KiB or nearly so."""
        process = self.start(HOLD)
        tree = ProcessTree(process.pid)
        self.assertEqual(self.ask(process, "1"), "1")
        second = self.start(HOLD)
        more = ProcessTree(second.pid)
        self.assertEqual(self.ask(second, str(64 * 1024 * 1024)), str(64 * 1024 * 1024))
        difference = more.memory() - tree.memory()
        self.assertGreater(difference, 60 * MIB)
        self.assertLess(difference, 68 * MIB)

    def test_gone(self) -> None:
        """A tree without its top is empty, and no error."""
        process = self.start("")
        process.wait()
        tree = ProcessTree(process.pid)
        self.assertEqual((tree.pids(), tree.cpu(), tree.memory()), ([], 0.0, 0))
        with self.assertRaises(ProcessLookupError):
            cpu_clock(process.pid)


class WindowTests(ProcessTests):
    def test_what_was_used_before_is_not_in_it(self) -> None:
        """Only what is used between the beginning and the end of a window is its cost."""
        code = f"import time\nwhile True: {WORK}; print(time.process_time(), flush=True); input()"
        process = self.start(code)
        self.line(process)
        window = Window(ProcessTree(process.pid), [os.getpid()], os.sched_getaffinity(0))
        window.begin()
        all_of_it = float(self.ask(process))
        window.end()
        self.assertGreater(window.cpu, 0)
        self.assertLess(window.cpu, all_of_it)
        self.assertGreater(window.seconds, 0)
        self.assertGreaterEqual(window.others, 0)

    def test_busy_time_grows(self) -> None:
        cpus = os.sched_getaffinity(0)
        before = busy_time(cpus)
        self.assertGreater(before, 0)
        process = self.start(WORK)
        process.wait()
        self.assertGreaterEqual(busy_time(cpus), before)
        self.assertEqual(busy_time([]), 0)
