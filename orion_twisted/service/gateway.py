"""
The gateway: lets browsers in, gives each a bridge to its backend, and drains at the end.

A browser's way reads: `HttpGate` has its request, `decide` finds its tenant, `admit` finds it a
place and a link; then a `Bridge` owns the socket and the link until both are gone.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, DeferredList, fail, maybeDeferred, succeed
from twisted.internet.interfaces import IListeningPort, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from orion_twisted import __version__
from orion_twisted.core.admission import Full, Handshakes, Place, Places, Verdict
from orion_twisted.core.bearer import Identity, TokenRefused
from orion_twisted.core.browser_v2 import SUBPROTOCOL as ORION_V2
from orion_twisted.core.counters import Counters
from orion_twisted.core.errors import BackendDown
from orion_twisted.core.handshake import (
    RETRY_AFTER,
    Decision,
    DialIn,
    Page,
    Refused,
    Request,
    Upgrade,
    decide,
    dial_in,
    routes_of,
    unauthorized,
    unavailable,
    upgrade_request,
)
from orion_twisted.core.rates import AddressRates, Seldom
from orion_twisted.core.report import CertificateStatus, Report, SessionStatus
from orion_twisted.core.settings import (
    Settings,
)
from orion_twisted.core.spent_tokens import Use
from orion_twisted.net.browser import browser_factory
from orion_twisted.net.certchecks import problem_of
from orion_twisted.net.certfiles import file_name
from orion_twisted.net.eager import make_eager
from orion_twisted.net.tls import CertificateTable
from orion_twisted.service.attachment import AttachmentV1, AttachmentV2
from orion_twisted.service.backends import SharedLinks
from orion_twisted.service.bridge import Bridge
from orion_twisted.service.browser_end import BrowserEnd
from orion_twisted.service.dial_in import DialInFactory, DialInPlaces, DialIns, SocketArrival
from orion_twisted.service.performance import codec_of
from orion_twisted.service.relay import RelayBridge
from orion_twisted.service.sessions import Sessions, sessions_of
from orion_twisted.service.sockets import socket_factory
from orion_twisted.service.surroundings import surroundings
from orion_twisted.service.tunnel import TunnelBridge
from orion_twisted.web.gate import Admission, GateFactory, HttpGate
from orion_twisted.web.site import PageChannel, PageSite
from orion_twisted.web.tokens import TokenCheck, first_use

MOST_ADDRESSES = 10_000
"""How many addresses are remembered for the rate of their connections."""

DROPS_TOLD = 1.0
"""Seconds between two lines in the log about connections that are dropped unread."""

BRIDGES: Mapping[str, type[Bridge]] = {"relay": RelayBridge, "tunnel": TunnelBridge}
"""Which class carries a tenant's mode."""

Endpoints = Sequence[tuple[str, IStreamClientEndpoint]]
Listen = Callable[[Factory], "Deferred[IListeningPort]"]
Spend = Callable[[str, str, float], "Deferred[Use]"]


class Gateway(MultiService):
    """
    All browsers and backends of a node. It is what every gate asks (`Doorkeeper`).

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
        spend: uses a token's id up where others know which have been: tenant, id and end of its
            life; None where this process knows. Its Deferred may fail with `TokenRefused`, and
            is cancelled when the browser goes away first.
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
        limits = settings.limits
        self._limits = limits
        self._listeners = listeners
        self._admin = admin
        self._admin_ports: list[IListeningPort] = []
        self._clock = clock
        self._tokens = {} if tokens is None else tokens
        self._spend = self._spend_here if spend is None else spend
        self._wall_clock = wall_clock
        self._drops = {each: Seldom(DROPS_TOLD) for each in ("connect_rate", "pending_handshakes")}
        self._arrivals = AddressRates(limits.connect_rate_per_ip, MOST_ADDRESSES)
        self._table = table
        self.counters = Counters() if counters is None else counters
        self._started = clock.seconds()
        self._is_eager = codec_of(settings.performance) is not None
        self._routes = routes_of(settings.tenants)
        self._around = {
            tenant.name: surroundings(
                settings,
                tenant,
                endpoints.get(tenant.name, ()),
                self.counters,
                clock,
                browsers=lambda: len(self._bridges),
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
        most = max((around.max_frame for around in self._around.values()), default=1)
        self._dial_in_sockets = browser_factory(limits, most, False, clock)
        self._sockets = {
            name: socket_factory(limits, around) for name, around in self._around.items()
        }
        self._sites = {
            tenant.name: PageSite(Path(tenant.site), tenant, clock)
            for tenant in settings.tenants
            if tenant.site is not None
        }
        self._handshakes: Handshakes[HttpGate] = Handshakes(
            limits.pending_handshakes, limits.pending_handshakes_per_ip
        )
        self._places = Places(
            limits.connections,
            limits.connections_per_ip,
            {
                each.name: each.limits.connections or limits.connections
                for each in settings.tenants
            },
        )
        self._place_of: dict[HttpGate | BrowserEnd, Place] = {}
        self._gates: set[HttpGate] = set()
        self._bridges: set[BrowserEnd] = set()
        self._links: Counter[str] = Counter()
        self._draining = False
        self._drained: Deferred[None] | None = None
        self._stopped: Deferred[None] | None = None
        self.ports: list[IListeningPort] = []

    # From gates

    def arrived(self, gate: HttpGate) -> Verdict:
        self.counters.add("connections")
        self._gates.add(gate)
        if not self._arrivals.arrive(gate.address, self._clock.seconds()):
            self._dropped(gate, "connect_rate")
            return Verdict.LEAVE
        verdict, evicted = self._handshakes.arrive(gate, gate.address)
        if evicted is not None:
            self._dropped(evicted, "pending_handshakes")
            evicted.abort()
        if verdict is Verdict.LEAVE:
            self._dropped(gate, "pending_handshakes")
        elif self._is_eager:
            make_eager(gate.transport)  # TLS's handshake goes out at once as well
        return verdict

    def _dropped(self, gate: HttpGate, reason: str) -> None:
        """Count a connection that is dropped before it says anything; a flood is told seldom."""
        self.counters.add("refused", reason=reason)
        count = self._drops[reason].happened(self._clock.seconds())
        if count:
            self._log.warn(
                "dropping {peer}: {reason}, {count} since the last line of this kind",
                peer=gate.address,
                reason=reason,
                count=count,
                tenant=None,
            )

    def handshaken(self, gate: HttpGate) -> None:
        following = self._handshakes.leave(gate)
        if following is not None:
            following.proceed()

    def left(self, gate: HttpGate) -> None:
        self.handshaken(gate)
        self._gates.discard(gate)
        place = self._place_of.pop(gate, None)
        if place is not None:
            self._places.give_back(place)
        self._look_whether_drained()

    def decide(self, request: Request, gate: HttpGate) -> Decision:
        if self._draining:
            return unavailable("draining", RETRY_AFTER)
        if request.path in self._dial_in.paths and gate.tls_connection is None:
            return dial_in(request)
        decision = decide(request, self._routes)
        if isinstance(decision, Refused | DialIn):
            return decision
        if self._table is not None and not self._may_carry(gate, request):
            refusal = Refused(HTTPStatus.MISDIRECTED_REQUEST, "client_certificate")
            return refusal.by(decision.tenant)
        held = self._place_of.get(gate)
        if held is not None:
            if held.tenant == decision.tenant.name:
                return decision
            # A connection may ask one tenant after another: its place is with the last.
            self._places.give_back(self._place_of.pop(gate))
        place = self._places.take(decision.tenant.name, gate.address)
        if isinstance(place, Full):
            return full(place).by(decision.tenant)
        self._place_of[gate] = place
        return decision

    def _may_carry(self, gate: HttpGate, request: Request) -> bool:
        """Say whether the TLS handshake asked for what the request's host asks for."""
        assert self._table is not None
        return self._table.may_carry(gate.tls_connection, request.host or "")

    def admit(self, upgrade: Upgrade | DialIn, gate: HttpGate) -> Deferred[Admission | Refused]:
        if isinstance(upgrade, DialIn):
            if not self.dial_ins.has_room:
                return succeed(unavailable("crowd", RETRY_AFTER))
            socket = self._dial_in_sockets.connect(
                SocketArrival(self.dial_ins, gate.address), None
            )
            return succeed(Admission(socket, upgrade_request(upgrade, compression=False)))
        if upgrade.token is None:
            return self._let_in(upgrade, gate, None)
        tenant = upgrade.tenant

        def refused(failure: Failure) -> Refused | Failure:
            # Not `trap`: what it raises knows the frame that it was raised in, and so itself.
            if not failure.check(TokenRefused):
                return failure
            error: Any = failure.value
            return unauthorized(error.reason, error.status).by(tenant)

        let_in = partial(self._let_in, upgrade, gate)
        return self._identify(tenant.name, upgrade.token).addCallbacks(let_in, refused)

    def _identify(self, tenant: str, token: str) -> Deferred[Identity]:
        """Return who has a token, which is used up then; fails with `TokenRefused`."""
        try:
            verified = self._tokens[tenant].verify(token, self._wall_clock())
        except TokenRefused:
            return fail()
        if verified.token_id is None:
            return succeed(verified.identity)

        def used(use: Use) -> Identity:
            first_use(use)
            return verified.identity

        return self._spend(tenant, verified.token_id, verified.end).addCallback(used)

    def _spend_here(self, tenant: str, token_id: str, end: float) -> Deferred[Use]:
        return succeed(self._tokens[tenant].spent.use(token_id, end, self._wall_clock()))

    def _let_in(
        self, upgrade: Upgrade, gate: HttpGate, identity: Identity | None
    ) -> Deferred[Admission | Refused]:
        tenant = upgrade.tenant
        if self._draining:  # since its token was asked about
            return succeed(unavailable("draining", RETRY_AFTER).by(tenant))
        bridge = self._end_for(upgrade, gate.address, identity)
        self._bridges.add(bridge)

        def linked(_: None) -> Admission:
            # The place goes along with the socket, from the gate to the bridge.
            self._place_of[bridge] = self._place_of.pop(gate)
            socket = self._sockets[tenant.name].connect(bridge, upgrade.subprotocol)
            return Admission(socket, upgrade_request(upgrade, tenant.compression))

        def not_linked(failure: Failure) -> Refused | Failure:
            if not failure.check(BackendDown):
                return failure
            if self._draining:
                refusal = unavailable("draining", RETRY_AFTER)
            else:
                refusal = unavailable("backend_down", RETRY_AFTER)
            return refusal.by(tenant)

        return bridge.dial().addCallbacks(linked, not_linked)

    def _check_token(self, tenant: str, token: str) -> Identity:
        return self._tokens[tenant].check(token, self._wall_clock())

    def _end_for(self, upgrade: Upgrade, address: str, identity: Identity | None) -> BrowserEnd:
        """Return what a browser's socket reports to, by its tenant's mode and its dialect."""
        tenant = upgrade.tenant
        sessions = self._sessions.get(tenant.name)
        if sessions is None:
            bridge = BRIDGES[tenant.mode]
            return bridge(self._around[tenant.name], address, self._bridge_ended)
        if upgrade.subprotocol != ORION_V2:
            return AttachmentV1(sessions, address, self._bridge_ended, identity)
        check = None
        if tenant.name in self._tokens:
            check = partial(self._check_token, tenant.name)
        return AttachmentV2(
            sessions, address, self._bridge_ended, identity, check, upgrade.token_later
        )

    def _bridge_ended(self, bridge: BrowserEnd) -> None:
        self._bridges.discard(bridge)
        place = self._place_of.pop(bridge, None)
        if place is not None:
            self._places.give_back(place)
        self._look_whether_drained()

    def _count_links(self, tenant: str, change: int) -> None:
        self._links[tenant] += change
        self._look_whether_drained()

    def page_channel(self, page: Page, gate: HttpGate) -> PageChannel:
        return self._sites[page.tenant.name].channel(gate.page_done)

    def refused(self, refusal: Refused, gate: HttpGate) -> None:
        self.counters.add("refused", reason=refusal.reason)
        said = {"peer": gate.address, "status": int(refusal.status), "reason": refusal.reason}
        if refusal.tenant is None:
            self._log.warn("refusing {peer}: {status} {reason}", tenant=None, **said)
        else:
            self._log.warn(
                "refusing {peer} of {tenant}: {status} {reason}", tenant=refusal.tenant, **said
            )

    def report(self) -> Report:
        """Return how the gateway stands, for its admin pages."""
        browsers = dict.fromkeys(self._around, 0)
        for bridge in self._bridges:
            browsers[bridge.tenant] += bridge.is_open
        return Report(
            version=__version__,
            ready=bool(self.ports) and not self._draining,
            browsers=browsers,
            links={name: self._links[name] for name in self._around},
            sessions={name: _status(each) for name, each in self._sessions.items()},
            pending=len(self._handshakes),
            connections=len(self._places),
            uptime=self._clock.seconds() - self._started,
            certificates=() if self._table is None else tuple(_statuses(self._table)),
        )

    # From whoever starts and stops it

    def startService(self) -> None:
        """Dial what is there without any browser."""
        super().startService()
        for sessions in self._sessions.values():
            sessions.backends.start()

    def privilegedStartService(self) -> None:
        """
        Listen; called before privileges are dropped, so ports below 1024 can be had.

        Raises:
            CannotListenError: a place is taken, or not for this user; the process does not start.
        """
        factory = GateFactory(self._build_gate)
        failures: list[Failure] = []
        for listen in self._listeners:
            listen(factory).addCallbacks(self._listening, failures.append)
        for listen in self._dial_in.listeners:
            listen(DialInFactory(self.dial_ins)).addCallbacks(self._listening, failures.append)
        if self._admin is not None:
            self._admin().addCallbacks(self._admin_ports.append, failures.append)
        if failures:
            # Not from the errback: a Deferred would keep it, and the process run without a port.
            failures[0].raiseException()

    def _build_gate(self) -> HttpGate:
        return HttpGate(self, self._limits.header, self._limits.handshake, self._clock)

    def _listening(self, port: IListeningPort) -> None:
        self.ports.append(port)
        self._log.info("listening on {address}", address=port.getHost())

    @property
    def port(self) -> int:
        """The TCP port of the first listener."""
        address: Any = self.ports[0].getHost()
        return int(address.port)

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
        self._draining = True
        ports = [maybeDeferred(port.stopListening) for port in self.ports]
        closed = DeferredList([others, *ports])
        self.dial_ins.stop()
        for gate in list(self._gates):
            gate.close()
        for bridge in list(self._bridges):
            bridge.drain(self._limits.drain)
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
        for bridge in list(self._bridges):
            bridge.abort()
        for gate in list(self._gates):
            gate.abort()
        self._links.clear()
        self._look_whether_drained()

    def _look_whether_drained(self) -> None:
        # Gates count, too: an answer may still be on its way out of one. And links: what a
        # browser has sent may still be on its way to the backend.
        if self._drained is None or self._bridges or self._gates:
            return
        for sessions in self._sessions.values():
            sessions.stop()  # their links deliver what they have been given
        if self._links.total() <= 0 and not self._drained.called:
            self._drained.callback(None)


def _status(sessions: Sessions) -> SessionStatus:
    backends = sessions.backends
    return SessionStatus(
        attached=len(sessions) - sessions.waiting,
        waiting=sessions.waiting,
        messages=sessions.budget.messages,
        size=sessions.budget.bytes,
        backends=backends.links if sessions.around.tenant.dials_in else None,
    )


def _statuses(table: CertificateTable) -> Iterator[CertificateStatus]:
    now = datetime.now(UTC)
    for each in table.certificates:
        left = (each.not_after - now).total_seconds() / 86400
        yield CertificateStatus(file_name(each.source), each.names, left, problem_of(each, now))
    for bad in table.bad:
        yield CertificateStatus(file_name(bad.source), (), None, bad.problem)


def full(limit: Full) -> Refused:
    """Return what a browser hears for which there is no place."""
    if limit is Full.ADDRESS:
        return Refused(
            HTTPStatus.TOO_MANY_REQUESTS, limit.value, ((b"Retry-After", b"%d" % RETRY_AFTER),)
        )
    return unavailable(limit.value, RETRY_AFTER)
