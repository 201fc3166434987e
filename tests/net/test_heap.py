"""The heap keeps what one large message has needed for the next, and no more."""

from __future__ import annotations

import subprocess
import sys
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.net import heap
from orion_twisted.net.heap import MOST_KEPT, why_not
from tests.harness import KIB, MIB, PATIENCE, REPOSITORY

MESSAGES = 200
PAGES = MIB // (4 * KIB)
"""Of a message."""

PROGRAM = f"""
import resource, sys
from pathlib import Path
from orion_twisted.net.heap import keep

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def size():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

def messages():
    before = faults()
    for _ in range({MESSAGES}):
        pieces = [bytes(65_536) for _ in range(16)]
        message = b"".join(pieces)
        del pieces, message
    return faults() - before

if sys.argv[1] == "kept":
    keep()
messages()
print(messages())
before = size()
many = [bytes(65_536) for _ in range(1_600)]
del many
print(size() - before)
"""


class KeepTests(SynchronousTestCase):
    """`keep`, in a process of its own: there is no way back."""

    def run_it(self, how: str) -> tuple[int, int]:
        """Return how many pages many messages took, and how many bytes a flood has left."""
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, how],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
        pages, left = map(int, done.stdout.split())
        return pages, left

    def test_the_next_message(self) -> None:
        """It needs no page that the one before had not; left alone, nearly all are new."""
        self.assertLess(self.run_it("kept")[0], PAGES)
        self.assertGreater(self.run_it("left alone")[0], MESSAGES * PAGES // 4)

    def test_a_flood(self) -> None:
        """What is above the limit goes back to the system."""
        self.assertLess(self.run_it("kept")[1], MOST_KEPT + MIB)


class WhyNotTests(SynchronousTestCase):
    """A system whose C library is another one."""

    def test_it_is_glibc(self) -> None:
        self.assertIsNone(why_not())

    def test_it_is_not(self) -> None:
        """musl has neither of the names; some systems do not tell at all."""
        for library in (object(), OSError()):
            heap._glibc.cache_clear()
            self.addCleanup(heap._glibc.cache_clear)
            with patch("ctypes.CDLL", side_effect=[library]):
                self.assertEqual(why_not(), "the C library is not glibc")
