"""Whether this process and the gateway go on without a pause while something is measured."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import suppress
from http.client import HTTPConnection

TICK = 0.05
"""Seconds between two looks at the clock."""

PAUSE = 0.15
"""Seconds between two of them that are a pause: nothing was carried by a proxy meanwhile. What had
come for as long before it may not have been carried either."""

BREATH = 0.5
"""Seconds between two pauses that make them one: in less, not all is carried that has waited."""

ASK_EVERY = 0.25
"""Seconds between two requests to the gateway."""


class Pulse:
    """
    Notes pauses of this process's event loop, and how long the gateway takes to answer.

    It may be entered again, and goes on with what it had.

    Args:
        admin: the port of the gateway's admin pages.

    Attributes:
        pauses: of the event loop, from when to when; on a busy machine there are some.
        slowest: seconds that the gateway took for its slowest answer.
    """

    def __init__(self, admin: int) -> None:
        self.pauses: list[tuple[float, float]] = []
        self.slowest = 0.0
        self._admin = admin
        self._over = threading.Event()

    async def __aenter__(self) -> None:
        self._over.clear()
        self._ticking = asyncio.create_task(self._tick())
        self._asking = threading.Thread(target=self._ask, daemon=True)
        self._asking.start()

    async def __aexit__(self, *_: object) -> None:
        self._over.set()
        self._ticking.cancel()
        await asyncio.to_thread(self._asking.join)

    async def _tick(self) -> None:
        last = time.monotonic()
        while True:
            await asyncio.sleep(TICK)
            now = time.monotonic()
            if now - last > PAUSE:
                self.paused(last, now)
            last = now

    def paused(self, start: float, end: float) -> None:
        """Note a pause between two instants; later ones come later."""
        start -= PAUSE
        if self.pauses and start - self.pauses[-1][1] < BREATH:
            start, _ = self.pauses.pop()
        self.pauses.append((start, end))

    def _ask(self) -> None:
        while not self._over.wait(ASK_EVERY):
            began = time.monotonic()
            connection = HTTPConnection("127.0.0.1", self._admin, timeout=30)
            with suppress(OSError):
                connection.request("GET", "/healthz")
                connection.getresponse().read()
                self.slowest = max(self.slowest, time.monotonic() - began)
            connection.close()

    def told(self) -> str:
        """Return a line for people."""
        spans = [end - start for start, end in self.pauses]
        return (
            f"pauses     this process had {len(spans)}, {sum(spans):.1f} s in all, at most"
            f" {max(spans, default=0.0):.1f} s, for which nobody is blamed;"
            f" the gateway answered within {self.slowest:.2f} s"
        )
