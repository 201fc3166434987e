"""Processes run by turns, and all of them run when that is over, whatever ends it."""

import subprocess
import sys
import time
from pathlib import Path
from unittest import TestCase

from tests.harness import PATIENCE, REPOSITORY, eventually

BUSY = "while True: pass"
PERIOD = 0.2
HOLDER = f"""
import sys
from bench.slices import held
with held([int(each) for each in sys.argv[1:]], 0.5, {PERIOD}):
    print("held", flush=True)
    input()
print("over", flush=True)
input()
"""
STOPPED = "T"


def state(process: "subprocess.Popen[str]") -> str:
    """Return what a process does, as proc(5) has it."""
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]


class SliceTests(TestCase):
    def start(self, code: str, *arguments: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            self.addCleanup(pipe.close)
        return process

    def hold(self) -> None:
        """Have two processes held."""
        self.busy = [self.start(BUSY) for _ in range(2)]
        self.holder = self.start(HOLDER, *(str(each.pid) for each in self.busy))
        self.assertEqual(self.line(), "held")

    def line(self) -> str:
        assert self.holder.stdout is not None
        return self.holder.stdout.readline().strip()

    def until(self, process: "subprocess.Popen[str]", *, stands: bool) -> None:
        """Wait until a process stands still, or runs."""
        eventually(lambda: (state(process) == STOPPED) is stands, "its turn")

    def assert_all_run(self) -> None:
        """From some moment on nobody stands still, for longer than a period."""
        stood = time.monotonic()

        def all_have_run() -> bool:
            nonlocal stood
            if any(state(each) == STOPPED for each in self.busy):
                stood = time.monotonic()
            return time.monotonic() - stood > 2 * PERIOD

        eventually(all_have_run, "all run")

    def test_by_turns(self) -> None:
        """While one runs the other stands still, and the other way round."""
        self.hold()
        first, second = self.busy
        for one, other in ((first, second), (second, first)):
            self.until(one, stands=False)
            self.until(other, stands=True)
        assert self.holder.stdin is not None
        self.holder.stdin.write("\n")
        self.holder.stdin.flush()
        self.assertEqual(self.line(), "over")
        self.assert_all_run()

    def test_whoever_holds_them_is_killed(self) -> None:
        """They are not left standing."""
        self.hold()
        self.holder.kill()
        self.holder.wait(PATIENCE)
        self.assert_all_run()

    def test_one_of_them_ends(self) -> None:
        """The other one has its turns all the same."""
        self.hold()
        self.busy[0].kill()
        self.busy[0].wait(PATIENCE)
        self.until(self.busy[1], stands=True)
        self.until(self.busy[1], stands=False)
