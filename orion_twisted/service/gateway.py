"""
The gateway: a door for browsers, one for backends, and all that is between them.

It listens when it starts, says how it stands, and drains at the end. Whom it lets in is said in
`orion_twisted.service.browser_door`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.interfaces import IListeningPort, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.logger import Logger

from orion_twisted import __version__
from orion_twisted.core.counters import Counters
from orion_twisted.core.problems import ConfigError, Problem
from orion_twisted.core.report import Report
from orion_twisted.core.settings import Settings
from orion_twisted.net.listening import occupy
from orion_twisted.net.tls import CertificateTable
from orion_twisted.service.backends import SharedLinks
from orion_twisted.service.browser_door import BrowserDoor
from orion_twisted.service.dial_in import DialInFactory, DialInPlaces, DialIns
from orion_twisted.service.identities import Identities, Spend
from orion_twisted.service.sessions import sessions_of
from orion_twisted.service.standing import certificate_statuses, session_status
from orion_twisted.service.surroundings import surroundings
from orion_twisted.web.gate import GateFactory, HttpGate
from orion_twisted.web.tokens import TokenCheck

Endpoints = Sequence[tuple[str, IStreamClientEndpoint]]
Listen = Callable[[Factory], "Deferred[IListeningPort]"]


class Gateway(MultiService):
    """
    All browsers and backends of a node.

    Args:
        settings: checked ones.
        listeners: functions that begin to listen, with a factory of gates, and give the port.
        endpoints: each tenant's backends, by the tenant's name.
        clock: the reactor, or a test's clock.
        tokens: the rules on tokens of those tenants that have some, by the tenant's name.
        table: the certificates, where a listener speaks TLS.
        counters: what to add to.
        wall_clock: gives the seconds since 1970, by which tokens are dated.
        admin: begins to listen for operators, and gives the port; it is open until the drain ends.
        dial_in: where backends dial in, and what they have to show.
        spend: uses a token's id up where others know which have been; None where this process
            knows. Its Deferred may fail with `TokenRefused`, and is cancelled when the browser
            goes away first.
    """

    _log = Logger()

    def __init__(
        self,
        settings: Settings,
        listeners: Sequence[Listen],
        endpoints: Mapping[str, Endpoints],
        clock: IReactorTime,
        tokens: Mapping[str, TokenCheck] | None = None,
        table: CertificateTable | None = None,
        counters: Counters | None = None,
        wall_clock: Callable[[], float] = time.time,
        admin: Callable[[], Deferred[IListeningPort]] | None = None,
        dial_in: DialInPlaces | None = None,
        spend: Spend | None = None,
    ) -> None:
        super().__init__()
        self._limits = settings.limits
        self._listeners = listeners
        self._admin = admin
        self._admin_ports: list[IListeningPort] = []
        self._clock = clock
        self._table = table
        self.counters = Counters() if counters is None else counters
        self._started = clock.seconds()
        self._around = {
            tenant.name: surroundings(
                settings,
                tenant,
                endpoints.get(tenant.name, ()),
                self.counters,
                clock,
                browsers=lambda: self._door.count,
                link_count=partial(self._count_links, tenant.name),
            )
            for tenant in settings.tenants
        }
        self._sessions = sessions_of(settings, self._around.values())
        self._dial_in = DialInPlaces() if dial_in is None else dial_in
        self.dial_ins = DialIns(
            {
                name.lower(): sessions.backends
                for name, sessions in self._sessions.items()
                if isinstance(sessions.backends, SharedLinks)
            },
            self._dial_in.secrets,
            self.counters,
            clock,
        )
        self._door = BrowserDoor(
            settings,
            self._around,
            self._sessions,
            self.dial_ins,
            self._dial_in.paths,
            Identities(tokens, wall_clock, spend),
            table,
            self.counters,
            clock,
            self._look_whether_drained,
        )
        self._links: Counter[str] = Counter()
        self._drained: Deferred[None] | None = None
        self._stopped: Deferred[None] | None = None
        self.ports: list[IListeningPort] = []

    def _count_links(self, tenant: str, change: int) -> None:
        self._links[tenant] += change
        self._look_whether_drained()

    def report(self) -> Report:
        """Return how the gateway stands, for its admin pages."""
        browsers = dict.fromkeys(self._around, 0)
        for browser in self._door.browsers:
            browsers[browser.tenant] += browser.is_open
        return Report(
            version=__version__,
            ready=bool(self.ports) and not self._door.is_shut,
            browsers=browsers,
            links={name: self._links[name] for name in self._around},
            sessions={name: session_status(each) for name, each in self._sessions.items()},
            pending=self._door.pending,
            connections=self._door.taken,
            uptime=self._clock.seconds() - self._started,
            certificates=() if self._table is None else tuple(certificate_statuses(self._table)),
        )

    # From whoever starts it

    def startService(self) -> None:
        """Dial what is there without any browser."""
        super().startService()
        for sessions in self._sessions.values():
            sessions.backends.start()

    def privilegedStartService(self) -> None:
        """
        Listen; called before privileges are dropped, so ports below 1024 can be had.

        Raises:
            ConfigError: places are taken, or not for this user; with every one of them.
        """
        problems: list[Problem] = []
        factory = GateFactory(self._build_gate)
        for index, listen in enumerate(self._listeners):
            problems += occupy(f"listen[{index}]", listen(factory), self._listening)
        for index, listen in enumerate(self._dial_in.listeners):
            door = DialInFactory(self.dial_ins)
            problems += occupy(f"dial_in[{index}]", listen(door), self._listening)
        if self._admin is not None:
            problems += occupy("admin", self._admin(), self._admin_ports.append)
        if problems:
            raise ConfigError(problems)

    def _build_gate(self) -> HttpGate:
        return HttpGate(self._door, self._limits.header, self._limits.handshake, self._clock)

    def _listening(self, port: IListeningPort) -> None:
        self.ports.append(port)
        self._log.info("listening on {address}", address=port.getHost())

    @property
    def port(self) -> int:
        """The TCP port of the first listener."""
        address: Any = self.ports[0].getHost()
        return int(address.port)

    # From whoever stops it

    def stopService(self) -> Deferred[None]:
        """
        Drain: accept nobody, tell every browser to go (1001), wait for them, cut off the rest.

        Returns:
            A Deferred that fires when nobody is left, after ``drain`` seconds at the latest. May
            be called again: each caller is told.
        """
        told: Deferred[None] = Deferred()
        if self._stopped is None:
            self._stopped = self._drain()
        self._stopped.chainDeferred(told)
        return told

    def _drain(self) -> Deferred[None]:
        others = maybeDeferred(super().stopService)
        self._door.shut()
        ports = [maybeDeferred(port.stopListening) for port in self.ports]
        closed = DeferredList([others, *ports])
        self.dial_ins.stop()
        self._door.drain(self._limits.drain)
        self._drained = Deferred()
        cut = self._clock.callLater(self._limits.drain, self._cut_off)
        self._look_whether_drained()

        def done(_: None) -> Deferred[None]:
            if cut.active():
                cut.cancel()
            # Only now: who watches a drain is told that it goes on.
            last: list[Deferred[Any]] = [
                maybeDeferred(port.stopListening) for port in self._admin_ports
            ]
            return DeferredList([closed, *last]).addCallback(lambda _: None)

        return self._drained.addCallback(done)

    def _cut_off(self) -> None:
        self._door.cut_off()
        self._links.clear()
        self._look_whether_drained()

    def _look_whether_drained(self) -> None:
        # Links count, too: what a browser has sent may still be on its way to the backend.
        if self._drained is None or not self._door.is_empty:
            return
        for sessions in self._sessions.values():
            sessions.stop()  # their links deliver what they have been given
        if self._links.total() <= 0 and not self._drained.called:
            self._drained.callback(None)
