"""A gateway under attack, and those who watch it: a browser that was there first, and /proc."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from http.client import HTTPConnection
from typing import ClassVar

from attrs import frozen

from tests.abuse.attacker import Attacker
from tests.conformance.wire import Target
from tests.e2e.answers import upgrade
from tests.e2e.backends import Backend, echo
from tests.harness import (
    BUGS,
    MIB,
    PATIENCE,
    Gateway,
    GatewayTestCase,
    client_context,
    eventually,
    free_port,
)

MARK = "Zq7-not-to-be-seen"
"""A word that stands in what attackers send, and must not stand in an answer or in the log."""

SCHEMES = ("ws", "wss")

MOST_GROWTH = 8 * MIB
"""What a process may have more than after its warm-up: Python keeps some of what it has used."""

WARM_UP = 10
"""Echoes over each scheme, each on a connection of its own, before memory is looked at."""

COUNTED = re.compile(r'^orion_(\w+)_total\{reason="([^"]+)"\} (\d+)', re.MULTILINE)
LOGGED = re.compile(r"refusing \S+(?: of \w+)?: (\d+) (\w+)$", re.MULTILINE)


@frozen
class News:
    """
    What the gateway has told since the last look.

    Attributes:
        log: the lines.
        refused: how many, by reason, by its metrics.
        closed: how many WebSockets have ended, by close code, by its metrics.
    """

    log: str
    refused: dict[str, int]
    closed: dict[str, int]

    @property
    def logged(self) -> dict[str, int]:
        """How many were refused with an answer, by reason, by its log."""
        return dict(Counter(reason for _, reason in LOGGED.findall(self.log)))


class SiegeTestCase(GatewayTestCase):
    """
    Tests that share a gateway, with a plain port and one with TLS, and look after it.

    Attributes:
        settings: the gateway's, but for its listeners; ``{NAME}`` is what `places` says.
        secrets: what the log must never show.
        schemes: what is spoken; without ``ws`` there is no plain port.
        fallback: whose certificate answers unknown names.
    """

    schemes: ClassVar[tuple[str, ...]] = SCHEMES
    settings: ClassVar[str] = '[tenant.shop1]\nhosts = ["localhost"]\nbackend = "{backend}"\n'
    fallback: ClassVar[str | None] = "localhost"
    gateway: ClassVar[Gateway]
    targets: ClassVar[dict[str, Target]]
    secrets: ClassVar[set[str]] = {MARK}
    _admin: ClassVar[int]
    _witnesses: ClassVar[dict[str, Attacker]]
    _memory: ClassVar[int]
    _log_read: ClassVar[int]
    _counted: ClassVar[Counter[tuple[str, str]]]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls._log_read, cls._counted = 0, Counter()
        plain, cls._admin = free_port(), free_port()
        text = f'admin = "tcp:{cls._admin}:interface=127.0.0.1"\n{cls.settings}'
        for name, value in cls.places().items():
            text = text.replace(f"{{{name}}}", value)
        also = [f"tcp:{plain}:interface=127.0.0.1"] if "ws" in cls.schemes else []
        cls.gateway = cls.start_for_class(
            f"--config={cls.settings_file(text)}", fallback=cls.fallback, also=also
        )
        if also:
            cls.gateway.wait_for_port(plain)
        here = Target("localhost", plain, address="127.0.0.1")
        cls.targets = {
            "ws": here,
            "wss": replace(here, port=cls.gateway.port, tls=client_context(cls.ca_file)),
        }
        cls.warm_up()
        # They are gone before the gateway is told to end, or it would wait for them.
        cls._witnesses = {
            scheme: cls.enterClassContext(cls.enter(scheme)) for scheme in cls.schemes
        }
        cls.news()
        cls._memory = cls.gateway.memory

    @classmethod
    def places(cls) -> dict[str, str]:
        """Start what the gateway needs, and return where it is, for the settings."""
        return {"backend": cls.enterClassContext(Backend(echo)).endpoint}

    @classmethod
    def warm_up(cls) -> None:
        """Bring the process to where its memory is measured from."""
        for _ in range(WARM_UP):
            for scheme in cls.schemes:
                cls.echo(scheme)

    def setUp(self) -> None:
        super().setUp()
        self.news()

    @classmethod
    def attacker(cls, scheme: str, source: str = "") -> Attacker:
        """
        Return a client that is connected, TLS included, and has said nothing yet.

        Args:
            scheme: ``ws`` or ``wss``.
            source: the address that it comes from.
        """
        return Attacker(replace(cls.targets[scheme], source=source), PATIENCE)

    @classmethod
    def enter(cls, scheme: str, source: str = "") -> Attacker:
        """Return a browser whose WebSocket is open."""
        browser = cls.attacker(scheme, source)
        browser.enter(upgrade())
        return browser

    @classmethod
    def echo(cls, scheme: str, source: str = "") -> None:
        """Come in like any browser, and have a message echoed."""
        with cls.enter(scheme, source) as browser:
            if not browser.echoes(b"hello", PATIENCE):
                raise AssertionError(f"a new browser gets no echo over {scheme}")

    @classmethod
    def witness(cls, scheme: str) -> None:
        """Have a message echoed on a connection that was open all along."""
        if not cls._witnesses[scheme].echoes(b"still here", PATIENCE):
            raise AssertionError(f"the browser that was there first gets no echo over {scheme}")

    @contextmanager
    def watched(self, growth: int = MOST_GROWTH) -> Iterator[None]:
        """
        Look after the process while something is done to it.

        Afterwards a new browser and one that was there before have to get their echoes; its
        files have to be as many as before; and its memory may have grown by so many bytes since
        its warm-up.
        """
        files = self.files()
        yield
        for scheme in self.schemes:
            self.echo(scheme)
            self.witness(scheme)
        eventually(lambda: self.files() <= files, f"{files} open files again")
        self.assertLess(self.gateway.memory - self._memory, growth)

    @classmethod
    def files(cls) -> int:
        """Return how many files and sockets the gateway has open."""
        return len(os.listdir(f"/proc/{cls.gateway.pid}/fd"))

    @classmethod
    def news(cls) -> News:
        """
        Return what it has told since the last look.

        Raises:
            AssertionError: its log shows a bug, or something of what was sent.
        """
        log = cls.gateway.log
        fresh, cls._log_read = log[cls._log_read :], len(log)
        wrong = BUGS.search(fresh)
        shown = [secret for secret in cls.secrets if secret in fresh]
        if wrong is not None or shown:
            start = max(fresh.find(wrong[0] if wrong else shown[0]) - 500, 0)
            raise AssertionError(f"in the log: {wrong or shown}\n{fresh[start:][:4000]}")
        counted = Counter(
            {(name, reason): int(count) for name, reason, count in COUNTED.findall(cls.metrics())}
        )
        new, cls._counted = counted - cls._counted, counted
        refused, closed = (
            {reason: count for (name, reason), count in new.items() if name == wanted}
            for wanted in ("refused", "browsers_closed")
        )
        return News(fresh, refused, closed)

    @classmethod
    def metrics(cls) -> str:
        """Return what the gateway has counted, as Prometheus would read it."""
        with closing(HTTPConnection("127.0.0.1", cls._admin, timeout=PATIENCE)) as connection:
            connection.request("GET", "/metrics")
            return connection.getresponse().read().decode()
