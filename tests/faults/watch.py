"""The gateway's process seen from outside: memory, descriptors, wake-ups, and what it counts."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from http.client import HTTPConnection
from pathlib import Path

from attrs import frozen

from tests.harness import PATIENCE, memory

SAMPLE = re.compile(r"^orion_(\w+?)(?:_total)?(?:\{(.*)\})? ([-+.e\d]+)$", re.MULTILINE)
LABEL = re.compile(r'\w+="([^"]*)"')

IDLE_FOR = 1.0
"""Seconds over which wake-ups are counted."""


@frozen
class Counts:
    """
    What the gateway has counted.

    Attributes:
        by_reason: by name and reason, or labels with a slash between them; empty where there are
            none.
    """

    by_reason: dict[tuple[str, str], float]

    def get(self, name: str, reason: str | None = None) -> float:
        """Return a count; without a reason, the sum over all of them."""
        if reason is not None:
            return self.by_reason.get((name, reason), 0)
        return sum(count for (each, _), count in self.by_reason.items() if each == name)

    @property
    def sessions(self) -> float:
        """How many sessions there are."""
        return self.get("open_sessions")

    @property
    def is_sound(self) -> bool:
        """Whether what is counted as it comes and goes agrees with what there is."""
        return self.get("sessions") - self.get("sessions_ended") == self.sessions

    @property
    def links(self) -> float:
        """How many links are up."""
        return self.get("links") - self.get("links_lost")

    def reasons(self, name: str) -> Counter[str]:
        """Return a counter's reasons, and how often each was counted."""
        found = {reason: int(n) for (each, reason), n in self.by_reason.items() if each == name}
        return Counter(found)


class Watch:
    """
    Looks at a gateway.

    Args:
        pid: its process.
        admin: the port of its admin pages.
    """

    def __init__(self, pid: int, admin: int) -> None:
        self._pid = pid
        self._admin = admin

    @property
    def memory(self) -> int:
        """Bytes in use."""
        return memory(self._pid)

    @property
    def descriptors(self) -> int:
        """How many descriptors are open."""
        return len(list(Path(f"/proc/{self._pid}/fd").iterdir()))

    def counts(self) -> Counts:
        """Ask for its metrics."""
        connection = HTTPConnection("127.0.0.1", self._admin, timeout=PATIENCE)
        try:
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        finally:
            connection.close()
        return Counts(
            {
                (match[1], "/".join(LABEL.findall(match[2] or ""))): float(match[3])
                for match in SAMPLE.finditer(text)
            }
        )

    async def wakeups(self) -> int:
        """Return how often it woke up during a moment in which nobody asked anything of it."""
        before = self._switches()
        await asyncio.sleep(IDLE_FOR)
        return self._switches() - before

    def _switches(self) -> int:
        status = Path(f"/proc/{self._pid}/status").read_text()
        match = re.search(r"^voluntary_ctxt_switches:\s+(\d+)$", status, re.MULTILINE)
        assert match is not None
        return int(match[1])
