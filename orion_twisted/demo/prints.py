"""PDFs that have been printed and are fetched part by part, and the thread that prints them."""

import secrets
from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from orion_twisted.demo.assets import Asset
from orion_twisted.demo.documents import CommandRefused
from orion_twisted.demo.printing import Job, print_pdf

PART = 256 * 1024
"""Bytes of one part of a PDF; the last one may have fewer."""
MAX_PDF = 24 * 1024 * 1024
"""Bytes of one PDF."""
MAX_KEPT = 16
"""PDFs kept; then the oldest one goes."""
MAX_KEPT_BYTES = 64 * 1024 * 1024
MAX_AGE = 300.0
"""Seconds that a PDF is kept."""
MAX_WAITING = 8
"""PDFs that are being printed, or wait for it."""


@frozen
class _Kept:
    content: bytes
    until: float


class Prints:
    """
    Print in a thread of its own, one PDF at a time, and keep what comes of it for a while.

    Args:
        reactor: where the thread hands back to, and the time (IReactorThreads and IReactorTime).
        print_: what prints, in the thread (`print_pdf`).
    """

    def __init__(
        self,
        reactor: Any,
        print_: Callable[..., bytes] = print_pdf,
    ) -> None:
        self._reactor = reactor
        self._print = print_
        self._pool = ThreadPool(0, 1, "printing")
        self._kept: dict[str, _Kept] = {}  # the oldest first
        self._waiting = 0
        self._is_closed = False
        self._timer: Any = None

    @property
    def kept_bytes(self) -> int:
        """Bytes of all PDFs that are kept."""
        return sum(len(each.content) for each in self._kept.values())

    def make(
        self, job: Job, assets: Mapping[str, Asset], contents: Mapping[str, bytes]
    ) -> Deferred[tuple[str, int, int]]:
        """
        Print.

        Returns:
            A Deferred that fires with the PDF's id, its bytes and its parts, or fails with an
            EngineError. It cannot be cancelled.

        Raises:
            CommandRefused: too many are waiting.
        """
        if self._waiting >= MAX_WAITING:
            raise CommandRefused("too much is being printed: try again in a while")
        self._waiting += 1
        if not self._pool.started:
            self._pool.start()

        def rest(outcome: Any) -> Any:
            self._waiting -= 1
            return outcome

        printed = deferToThreadPool(
            self._reactor, self._pool, self._print, job, assets, contents, self._may_go_on
        )
        return printed.addBoth(rest).addCallback(self._keep)

    def _may_go_on(self) -> bool:
        return not self._is_closed

    def _keep(self, content: bytes) -> tuple[str, int, int]:
        if self._is_closed:
            raise CommandRefused("the engine is being stopped")
        if len(content) > MAX_PDF:
            raise CommandRefused(f"the PDF has {len(content)} bytes; {MAX_PDF} are the most")
        while self._kept and (
            len(self._kept) >= MAX_KEPT or self.kept_bytes + len(content) > MAX_KEPT_BYTES
        ):
            del self._kept[next(iter(self._kept))]
        pdf = secrets.token_urlsafe(12)
        self._kept[pdf] = _Kept(content, self._reactor.seconds() + MAX_AGE)
        if self._timer is None:
            self._timer = self._reactor.callLater(MAX_AGE, self._expire)
        return pdf, len(content), -(-len(content) // PART)

    def _expire(self) -> None:
        self._timer = None
        now = self._reactor.seconds()
        while self._kept:
            pdf, oldest = next(iter(self._kept.items()))
            if oldest.until > now:
                self._timer = self._reactor.callLater(oldest.until - now, self._expire)
                return
            del self._kept[pdf]

    def part(self, pdf: str, part: int) -> bytes:
        """Return a part of a PDF, 0 for the first, or raise CommandRefused."""
        kept = self._kept.get(pdf)
        if kept is None:
            raise CommandRefused("this PDF is not kept any more: print it again")
        if part * PART >= len(kept.content):
            raise CommandRefused(f"there is no part {part}")
        return kept.content[part * PART : (part + 1) * PART]

    def close(self) -> None:
        """Forget all PDFs, and end the thread after the page that it is printing."""
        self._is_closed = True
        self._kept.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._pool.started:
            self._pool.stop()
