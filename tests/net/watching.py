"""A watcher of certificates, with a clock that the test turns."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography import x509
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.logger import LogEvent, formatEvent, globalLogPublisher

from orion_twisted.core.counters import Counters
from orion_twisted.net.certfolder import load_folder
from orion_twisted.net.certwatch import CertificateWatcher
from orion_twisted.net.tls import CertificateTable
from tests.certificates import CertificateFolderTestCase, Issued, issue
from tests.net.handshakes import Refused, visit

SHORTLY = 2.0
"""Seconds within which a change is in service."""


class WatcherTestCase(CertificateFolderTestCase):
    """A folder, a table, a watcher, and a clock that the test turns."""

    def setUp(self) -> None:
        super().setUp()
        self.clock = Clock()
        self.counters = Counters()
        self.time = self.now
        self._ticks = 10**18
        self.events: list[LogEvent] = []
        globalLogPublisher.addObserver(self.events.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)

    def put(self, name: str, *parts: bytes) -> Path:
        path = super().put(name, *parts)
        # Tests are faster than the clocks of file systems.
        self._ticks += 10**9
        os.utime(path, ns=(self._ticks, self._ticks))
        return path

    def add(self, name: str, file: str | None = None, **options: Any) -> Issued:
        one = issue([name], **options)
        self.put(file or f"{name}.pem", one.pem)
        return one

    def start(self, fallback: str | None = None) -> None:
        state = load_folder(self.folder, self.now)
        self.table = CertificateTable(
            state.certificates.values(), fallback, self.now, bad=state.bad.values()
        )
        self.watcher = CertificateWatcher(
            state,
            self.table,
            self.counters,
            self.clock,
            in_thread=self.in_thread,
            now=lambda: self.time,
        )
        self.watcher.start()
        self.addCleanup(lambda: self.successResultOf(self.watcher.stop()))
        self.wait()
        self.events.clear()

    def in_thread(self, work: Callable[[], Any]) -> Deferred[Any]:
        return maybeDeferred(work)

    def wait(self, seconds: float = SHORTLY) -> None:
        self.clock.pump([0.05] * round(seconds / 0.05))

    def served(self, name: str) -> x509.Certificate | None:
        try:
            return visit(self.table, name).leaf
        except Refused:
            return None

    def assert_serves(self, name: str, one: Issued | None) -> None:
        self.assertEqual(self.served(name), None if one is None else one.certificate)

    def said(self) -> list[str]:
        lines = [formatEvent(event) for event in self.events]
        return [line.replace(f"{self.folder}/", "") for line in lines]

    def bad_count(self) -> int:
        return self.counters.get("certificates_bad")
