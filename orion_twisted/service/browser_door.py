"""
The door for browsers: whom it lets in, and whom it does not.

A browser's way reads: `HttpGate` has its request, `decide` finds its tenant and a place, `admit`
finds it a backend; then a `BrowserEnd` owns the socket until it is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

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
from orion_twisted.core.settings import Settings
from orion_twisted.net.browser import browser_factory
from orion_twisted.net.eager import make_eager
from orion_twisted.net.tls import CertificateTable
from orion_twisted.service.attachment import AttachmentV1, AttachmentV2
from orion_twisted.service.bridge import Bridge
from orion_twisted.service.browser_end import BrowserEnd
from orion_twisted.service.dial_in import DialIns, SocketArrival
from orion_twisted.service.identities import Identities
from orion_twisted.service.performance import codec_of
from orion_twisted.service.relay import RelayBridge
from orion_twisted.service.sessions import Sessions
from orion_twisted.service.sockets import socket_factory
from orion_twisted.service.surroundings import Surroundings
from orion_twisted.service.tunnel import TunnelBridge
from orion_twisted.web.gate import Admission, HttpGate
from orion_twisted.web.site import PageChannel, PageSite

MOST_ADDRESSES = 10_000
"""How many addresses are remembered for the rate of their connections."""

DROPS_TOLD = 1.0
"""Seconds between two lines in the log about connections that are dropped unread."""

BRIDGES: Mapping[str, type[Bridge]] = {"relay": RelayBridge, "tunnel": TunnelBridge}
"""Which class carries a tenant's mode."""


class BrowserDoor:
    """
    What every gate asks (`orion_twisted.web.gate.Doorkeeper`), and who is in.

    Args:
        settings: checked ones.
        around: what the browsers of each tenant work with, by the tenant's name.
        sessions: of the tenants in session mode, likewise.
        dial_ins: the door for backends.
        dial_in_paths: where they knock by WebSocket, on listeners without TLS.
        identities: who has a token.
        table: the certificates, where a listener speaks TLS.
        counters: what to add to.
        clock: the reactor, or a test's clock.
        someone_left: called whenever somebody has gone.
    """

    _log = Logger()

    def __init__(
        self,
        settings: Settings,
        around: Mapping[str, Surroundings],
        sessions: Mapping[str, Sessions],
        dial_ins: DialIns,
        dial_in_paths: frozenset[str],
        identities: Identities,
        table: CertificateTable | None,
        counters: Counters,
        clock: IReactorTime,
        someone_left: Callable[[], None],
    ) -> None:
        limits = settings.limits
        self._around = around
        self._sessions = sessions
        self._dial_ins = dial_ins
        self._dial_in_paths = dial_in_paths
        self._identities = identities
        self._table = table
        self._counters = counters
        self._clock = clock
        self._someone_left = someone_left
        self._is_eager = codec_of(settings.performance) is not None
        self._routes = routes_of(settings.tenants)
        self._drops = {each: Seldom(DROPS_TOLD) for each in ("connect_rate", "pending_handshakes")}
        self._arrivals = AddressRates(limits.connect_rate_per_ip, MOST_ADDRESSES)
        most = max((each.max_frame for each in around.values()), default=1)
        self._dial_in_sockets = browser_factory(limits, most, False, clock)
        self._sockets = {name: socket_factory(limits, each) for name, each in around.items()}
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
        self._browsers: set[BrowserEnd] = set()
        self._is_shut = False

    # A connection

    def arrived(self, gate: HttpGate) -> Verdict:
        self._counters.add("connections")
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
        self._counters.add("refused", reason=reason)
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
        self._someone_left()

    # Its request

    def decide(self, request: Request, gate: HttpGate) -> Decision:
        if self._is_shut:
            return unavailable("draining", RETRY_AFTER)
        if request.path in self._dial_in_paths and gate.tls_connection is None:
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

    def page_channel(self, page: Page, gate: HttpGate) -> PageChannel:
        return self._sites[page.tenant.name].channel(gate.page_done)

    def refused(self, refusal: Refused, gate: HttpGate) -> None:
        self._counters.add("refused", reason=refusal.reason)
        said = {"peer": gate.address, "status": int(refusal.status), "reason": refusal.reason}
        if refusal.tenant is None:
            self._log.warn("refusing {peer}: {status} {reason}", tenant=None, **said)
        else:
            self._log.warn(
                "refusing {peer} of {tenant}: {status} {reason}", tenant=refusal.tenant, **said
            )

    # Its WebSocket

    def admit(self, upgrade: Upgrade | DialIn, gate: HttpGate) -> Deferred[Admission | Refused]:
        if isinstance(upgrade, DialIn):
            if not self._dial_ins.has_room:
                return succeed(unavailable("crowd", RETRY_AFTER))
            socket = self._dial_in_sockets.connect(
                SocketArrival(self._dial_ins, gate.address), None
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
        identified = self._identities.identify(tenant.name, upgrade.token)
        return identified.addCallbacks(let_in, refused)

    def _let_in(
        self, upgrade: Upgrade, gate: HttpGate, identity: Identity | None
    ) -> Deferred[Admission | Refused]:
        tenant = upgrade.tenant
        if self._is_shut:  # since its token was asked about
            return succeed(unavailable("draining", RETRY_AFTER).by(tenant))
        browser = self._end_for(upgrade, gate.address, identity)
        self._browsers.add(browser)

        def ready(_: None) -> Admission:
            # The place goes along with the socket, from the gate to the browser's end.
            self._place_of[browser] = self._place_of.pop(gate)
            socket = self._sockets[tenant.name].connect(browser, upgrade.subprotocol)
            return Admission(socket, upgrade_request(upgrade, tenant.compression))

        def not_ready(failure: Failure) -> Refused | Failure:
            if not failure.check(BackendDown):
                return failure
            if self._is_shut:
                refusal = unavailable("draining", RETRY_AFTER)
            else:
                refusal = unavailable("backend_down", RETRY_AFTER)
            return refusal.by(tenant)

        return browser.dial().addCallbacks(ready, not_ready)

    def _end_for(self, upgrade: Upgrade, address: str, identity: Identity | None) -> BrowserEnd:
        """Return what a browser's socket reports to, by its tenant's mode and its dialect."""
        tenant = upgrade.tenant
        sessions = self._sessions.get(tenant.name)
        if sessions is None:
            bridge = BRIDGES[tenant.mode]
            return bridge(self._around[tenant.name], address, self._ended)
        if upgrade.subprotocol != ORION_V2:
            return AttachmentV1(sessions, address, self._ended, identity)
        check = None
        if self._identities.has_rules(tenant.name):
            check = partial(self._identities.check, tenant.name)
        return AttachmentV2(sessions, address, self._ended, identity, check, upgrade.token_later)

    def _ended(self, browser: BrowserEnd) -> None:
        self._browsers.discard(browser)
        place = self._place_of.pop(browser, None)
        if place is not None:
            self._places.give_back(place)
        self._someone_left()

    # Who is here

    @property
    def browsers(self) -> Iterable[BrowserEnd]:
        """Those that are in, or on their way in with a request that has been accepted."""
        return self._browsers

    @property
    def count(self) -> int:
        """How many `browsers` there are."""
        return len(self._browsers)

    @property
    def pending(self) -> int:
        """How many connections are in their handshake, or wait in line for it."""
        return len(self._handshakes)

    @property
    def taken(self) -> int:
        """How many places are taken."""
        return len(self._places)

    @property
    def is_empty(self) -> bool:
        """Whether nobody is here: also an answer may still be on its way out of a gate."""
        return not (self._browsers or self._gates)

    # The end

    @property
    def is_shut(self) -> bool:
        """Whether nobody is let in any more."""
        return self._is_shut

    def shut(self) -> None:
        """Let nobody in any more."""
        self._is_shut = True

    def drain(self, within: float) -> None:
        """Tell everybody who is here to go, within so many seconds."""
        for gate in list(self._gates):
            gate.close()
        for browser in list(self._browsers):
            browser.drain(within)

    def cut_off(self) -> None:
        """Cut off everybody who is still here."""
        for browser in list(self._browsers):
            browser.abort()
        for gate in list(self._gates):
            gate.abort()


def full(limit: Full) -> Refused:
    """Return what a browser hears for which there is no place."""
    if limit is Full.ADDRESS:
        return Refused(
            HTTPStatus.TOO_MANY_REQUESTS, limit.value, ((b"Retry-After", b"%d" % RETRY_AFTER),)
        )
    return unavailable(limit.value, RETRY_AFTER)
