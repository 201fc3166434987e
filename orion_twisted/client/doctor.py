"""
Try a gateway from outside, step by step, and say of each step what it means and what to do.

    findings = []
    is_well = await examine(Patient(parse_url(url)), findings.append, reactor)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from enum import Enum, auto
from http import HTTPStatus
from typing import Any, TypeVar

from attrs import field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as TookTooLong
from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ClientEndpoint,
    TCP6ClientEndpoint,
    connectProtocol,
)
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Protocol
from twisted.internet.ssl import Certificate, optionsForClientTLS, trustRootFromCertificates
from twisted.python.failure import Failure

from orion_twisted.client import wire
from orion_twisted.client.advice import (
    A_PROXY,
    CERTIFICATES,
    code_means,
    status_means,
)
from orion_twisted.client.limits import ClientLimits
from orion_twisted.client.reconnect import End
from orion_twisted.client.socket import ABNORMAL, ClientSocket, Upgrade, socket_factory
from orion_twisted.client.target import ALPN, Target, endpoint_of, why
from orion_twisted.client.tlsprobe import PROBLEMS, Shown, is_address, probe, unverified
from orion_twisted.client.visits import Reading, Resolving, Visit

DIALECTS = ("orion.v2", "orion.v1")
"""What is offered, the best first."""
PINGS = 5
FEW_DAYS = 21
"""Days left from which on a certificate is worth a remark."""
NORMAL = 1000
UNKNOWN_NAME = "unknown-name.invalid"
"""A name that no gateway serves (RFC 6761 section 6.4)."""

T = TypeVar("T")


class Verdict(Enum):
    """How a step went; a NOTE is worth knowing, and no failure."""

    GOOD = auto()
    NOTE = auto()
    BAD = auto()


@frozen
class Finding:
    """
    What one step found.

    Attributes:
        step: its name, one word.
        verdict: how it went.
        text: what was found.
        advice: what to do about it; empty where there is nothing to do.
    """

    step: str
    verdict: Verdict
    text: str
    advice: str = ""


@frozen
class Patient:
    """
    Whom to examine, and as whom.

    Attributes:
        target: the WebSocket.
        trusted: the authorities to trust; None: those of the system.
        token: to show.
        origin: to say.
        is_insecure: go on where TLS says not to.
        patience: seconds for each step.

    Raises:
        ValueError: token or origin would not arrive as they are.
    """

    target: Target
    trusted: Sequence[Certificate] | None = None
    token: str | None = field(default=None, repr=False)
    origin: str | None = None
    is_insecure: bool = False
    patience: float = 10.0

    def __attrs_post_init__(self) -> None:
        self.upgrade()

    def upgrade(self) -> Upgrade:
        """Return what the WebSocket asks for."""
        return Upgrade(self.target, DIALECTS, self.token, self.origin)


def examine(patient: Patient, report: Callable[[Finding], object], reactor: Any) -> Deferred[bool]:
    """
    Go through the steps, up to the first after which there is no going on.

    Args:
        report: called with each finding, as it is found.

    Returns:
        A Deferred that fires with whether no step was bad. Cancelling it breaks off.
    """
    return Deferred.fromCoroutine(_Examination(patient, report, reactor).all_steps())


class _Stop(Exception):
    """There is no going on."""


class _Examination:
    def __init__(
        self, patient: Patient, report: Callable[[Finding], object], reactor: Any
    ) -> None:
        self._patient = patient
        self._target = patient.target
        self._report = report
        self._reactor = reactor
        self._is_well = True
        self._visit = Visit()

    async def all_steps(self) -> bool:
        try:
            await self._tcp(await self._name())
            await self._tls()
            await self._http()
            await self._websocket()
        except _Stop:
            pass
        finally:
            await self._visit.leave()
        return self._is_well

    # The words

    def _good(self, step: str, text: str) -> None:
        self._report(Finding(step, Verdict.GOOD, text))

    def _note(self, step: str, text: str, advice: str = "") -> None:
        self._report(Finding(step, Verdict.NOTE, text, advice))

    def _bad(self, step: str, text: str, advice: str) -> None:
        self._is_well = False
        self._report(Finding(step, Verdict.BAD, text, advice))

    def _stop(self, step: str, text: str, advice: str) -> _Stop:
        self._bad(step, text, advice)
        return _Stop()

    # Time

    def _soon(self, deferred: Deferred[T]) -> Deferred[T]:
        """Give something the time of a step; `TookTooLong` after it."""
        return deferred.addTimeout(self._patient.patience, self._reactor)

    def _since(self, start: float) -> str:
        return f"{(self._reactor.seconds() - start) * 1000:.1f} ms"

    # The steps

    async def _name(self) -> list[Any]:
        target = self._target
        resolving = Resolving()
        self._reactor.nameResolver.resolveHostName(resolving, target.host, target.port)
        try:
            addresses = await self._soon(resolving.done)
        except TookTooLong:
            addresses = []
        if not addresses:
            raise self._stop(
                "name",
                f"{target.host} does not resolve",
                "is it spelt right? It needs an A or AAAA record, or a line in /etc/hosts",
            )
        if not is_address(target.host):
            found = ", ".join(each.host for each in addresses)
            self._good("name", f"{target.host} is {found}")
        return addresses

    async def _tcp(self, addresses: list[Any]) -> None:
        complaints = []
        has_connected = False
        for address in addresses:
            kind = TCP6ClientEndpoint if ":" in address.host else TCP4ClientEndpoint
            start = self._reactor.seconds()
            try:
                endpoint = kind(self._reactor, address.host, address.port)
                protocol = await self._soon(connectProtocol(endpoint, Protocol()))
            except Exception:
                complaints.append(f"{address.host} port {address.port}: {why(Failure())}")
            else:
                transport: Any = protocol.transport
                transport.loseConnection()
                has_connected = True
                self._good("tcp", f"{address.host} port {address.port} in {self._since(start)}")
        if not has_connected:
            raise self._stop(
                "tcp",
                "; ".join(complaints),
                "does the gateway listen there (`listen`)? Does a firewall let the port through?",
            )
        for text in complaints:
            self._note("tcp", text, "clients that try this address first have to try another")

    async def _tls(self) -> None:
        target, patient = self._target, self._patient
        if not target.is_secure:
            self._note(
                "tls", "none: ws: is not encrypted", "pages that come by https: cannot use it"
            )
            return
        try:
            shown = await self._soon(probe(self._plainly(), target.host, patient.trusted))
        except Exception:
            raise self._stop(
                "tls",
                f"no TLS: {_reason()}",
                "does that port speak TLS (`listen`)? A plain one is reached by ws:",
            ) from None
        alpn = f", ALPN {shown.alpn}" if shown.alpn else ""
        self._good("tls", f"{shown.version}, {shown.cipher}{alpn}")
        is_trusted = self._certificate(shown)
        if not is_address(target.host):
            await self._unknown_name()
        if not is_trusted and not patient.is_insecure:
            raise _Stop

    def _certificate(self, shown: Shown) -> bool:
        """Judge the certificates; return whether they can be trusted."""
        complain = self._note if self._patient.is_insecure else self._bad
        host = self._target.host
        chain = " <- ".join(shown.subjects)
        if shown.problem is None:
            self._good("chain", chain)
        else:
            text = PROBLEMS.get(shown.problem, f"not valid (OpenSSL's {shown.problem})")
            advice = CERTIFICATES.get(shown.problem, "`orion-bridge certs show` may know more")
            complain("chain", f"{chain}: {text}", advice)
        names = ", ".join(shown.names) or "no name at all"
        if shown.is_for_host:
            self._good("names", f"for {names}")
        else:
            complain(
                "names",
                f"for {names}, and not for {host}",
                f"the gateway's folder of certificates needs one for {host}: its fallback "
                "answered",
            )
        days = shown.days_left(datetime.now(UTC))
        if days >= FEW_DAYS:
            self._good("expiry", f"{days} days left")
        elif days >= 0:
            self._note("expiry", f"{days} days left", "renew it; no restart is needed")
        return shown.problem is None and shown.is_for_host

    async def _unknown_name(self) -> None:
        """See what a name gets that the gateway cannot know; both answers are right."""
        try:
            shown = await self._soon(probe(self._plainly(), UNKNOWN_NAME, self._patient.trusted))
        except Exception:
            self._good("sni", f"an unknown name is refused ({_reason()})")
        else:
            names = ", ".join(shown.names) or "no name"
            self._good("sni", f"an unknown name gets the certificate for {names}")

    async def _http(self) -> None:
        target = self._target
        reading = Reading(target)
        try:
            await self._soon(connectProtocol(self._endpoint(), reading))
            status = await self._soon(reading.status)
        except Exception:
            raise self._stop(
                "http",
                f"no answer to a GET: {_reason()}",
                "does the gateway listen there, or another program? If the tenant has a "
                "`client_ca`, it wants a certificate, which this command does not have",
            ) from None
        finally:
            reading.leave()
        path = target.resource.partition("?")[0]
        if status == HTTPStatus.UPGRADE_REQUIRED:
            self._good("http", f"426 to a plain GET on {path}: a WebSocket is there")
        else:
            meaning, advice = status_means(status)
            self._bad("http", f"{status} to a plain GET on {path}: {meaning}", advice)

    async def _websocket(self) -> None:
        patient, visit = self._patient, self._visit
        limits = ClientLimits(close=patient.patience)
        socket = socket_factory(DIALECTS, limits, self._reactor).socket(visit, patient.upgrade())
        start = self._reactor.seconds()
        try:
            await self._soon(connectProtocol(self._endpoint(), socket))
            visit.socket = socket
            end = await self._soon(visit.opened)
        except Exception:
            raise self._stop("upgrade", f"no answer: {_reason()}", A_PROXY) from None
        if end is not None:
            meaning, advice = (
                (end.why, A_PROXY) if end.status is None else status_means(end.status)
            )
            status = "" if end.status is None else f"{end.status}: "
            raise self._stop("upgrade", f"{status}{meaning}", advice)
        self._good("upgrade", f"101 in {self._since(start)}")
        await self._subprotocol(socket)
        await self._pings(socket)
        await self._close(socket)

    async def _subprotocol(self, socket: ClientSocket) -> None:
        agreed = self._visit.subprotocol
        if agreed is None:
            self._good(
                "subprotocol",
                "none: mode relay or tunnel, or session mode without a name for its dialect",
            )
            return
        self._good("subprotocol", f"{agreed}, of {' and '.join(DIALECTS)}")
        if agreed == DIALECTS[0]:
            await self._hello(socket)

    async def _hello(self, socket: ClientSocket) -> None:
        start = self._reactor.seconds()
        socket.send(wire.hello(), False)
        try:
            heard = await self._soon(self._visit.heard.get())
        except TookTooLong:
            raise self._stop("hello", f"no welcome: {_reason()}", A_PROXY) from None
        if isinstance(heard, End):
            raise self._closed("hello", heard)
        try:
            welcome, _ = wire.read(*heard)
            if not isinstance(welcome, wire.Welcome):
                raise wire.WireError("something before the welcome")
        except wire.WireError as error:
            raise self._stop(
                "hello", f"no welcome: {error}", "is that an orion-twisted? Which version?"
            ) from None
        self._good(
            "hello",
            f"welcome in {self._since(start)}: {welcome.window} messages and "
            f"{welcome.window_bytes} bytes at a time, up to {welcome.message} bytes each; kept "
            f"{welcome.ttl / 1000:g} s for a lost client",
        )

    async def _pings(self, socket: ClientSocket) -> None:
        times = []
        for _ in range(PINGS):
            try:
                times.append(await self._soon(socket.ping()) * 1000)
            except TookTooLong:
                raise self._stop("ping", f"no pong: {_reason()}", A_PROXY) from None
            except Exception:
                raise self._closed("ping", await self._visit.end()) from None
        average = sum(times) / len(times)
        self._good(
            "ping",
            f"{PINGS} round trips: {min(times):.1f} ms at best, {average:.1f} on average, "
            f"{max(times):.1f} at worst",
        )

    async def _close(self, socket: ClientSocket) -> None:
        if self._visit.subprotocol == DIALECTS[0]:
            socket.send(wire.BYE, False)
        socket.close(NORMAL, "")
        end = await self._visit.end()
        await self._visit.gone  # both are bounded by the socket's own limit
        if end.code == NORMAL:
            self._good("close", "1000, answered with 1000")
        else:
            answer = "not answered" if end.code == ABNORMAL else f"answered with {end.code}"
            self._note(
                "close",
                f"1000, {answer}: {end.why}",
                "a proxy in between may cut connections off instead of closing them",
            )

    def _closed(self, step: str, end: End) -> _Stop:
        code = ABNORMAL if end.code is None else end.code
        name, advice = code_means(code)
        return self._stop(step, f"closed with {code} ({name}): {end.why}", advice)

    # Ways there

    def _plainly(self) -> IStreamClientEndpoint:
        endpoint: IStreamClientEndpoint = HostnameEndpoint(
            self._reactor, self._target.host, self._target.port
        )
        return endpoint

    def _endpoint(self) -> IStreamClientEndpoint:
        return endpoint_of(self._target, self._reactor, self._creator())

    def _creator(self) -> IOpenSSLClientConnectionCreator | None:
        host, patient = self._target.host, self._patient
        if not self._target.is_secure:
            return None
        if patient.is_insecure:
            return unverified(host)
        trusted = patient.trusted
        root = None if trusted is None else trustRootFromCertificates(list(trusted))
        return optionsForClientTLS(host, trustRoot=root, acceptableProtocols=[ALPN])


def _reason() -> str:
    """Say why the exception was raised that is being handled."""
    failure = Failure()
    if failure.check(TookTooLong):
        return "nothing came in time"
    return why(failure)
