"""
From a settings file and flags to a gateway that can be started.

What can be wrong with the machine rather than with the file (no such folder, no certificate for
the fallback) is reported in the same form: every mistake at once, each with its setting's path.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString, serverFromString
from twisted.internet.interfaces import (
    IListeningPort,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory

from orion_twisted.core.addresses import Listener
from orion_twisted.core.config import advice, load_settings, merge
from orion_twisted.core.contradictions import why_one_worker
from orion_twisted.core.counters import Counters, SummedCounters
from orion_twisted.core.fields import AUTO, MOST_WORKERS
from orion_twisted.core.problems import ConfigError, Problem, quoted
from orion_twisted.core.report import Report
from orion_twisted.core.secrets import Secrets
from orion_twisted.core.settings import Settings
from orion_twisted.core.worker_wire import Socket
from orion_twisted.net.certchecks import Unusable
from orion_twisted.net.certfolder import FolderState, load_folder
from orion_twisted.net.certwatch import CertificateWatcher
from orion_twisted.net.clientca import ClientAuthority, read_client_ca
from orion_twisted.net.dialling import endpoint_of
from orion_twisted.net.leantls import make_lean
from orion_twisted.net.listening import hold, inherited
from orion_twisted.net.proxied import ProxiedFactory
from orion_twisted.net.tls import CertificateTable
from orion_twisted.service.dial_in import DialInPlaces
from orion_twisted.service.gateway import Gateway, Listen
from orion_twisted.service.identities import Spend
from orion_twisted.service.performance import Pace, codec_of, hasten, steps
from orion_twisted.service.reload import DialInFiles, Reload, TokenFiles, load_secrets
from orion_twisted.service.workers import Supervisor
from orion_twisted.web.admin import Counts, admin_site
from orion_twisted.web.token_keys import load_keys
from orion_twisted.web.tokens import TokenCheck

MAX_SETTINGS_FILE = 1024 * 1024
"""Bytes of a settings file; ten thousand tenants fit."""

FLAGS_TENANT = {"tenant": {"default": {"hosts": ["*"]}}}
"""What flags need not say of their tenant: it answers every host."""

BACKLOG = 1024
"""How many connections may wait to be accepted, where a listener does not say it. Beyond that the
system leaves out newcomers, and a browser tries again after a second."""

_log = Logger()


def read_settings(path: Path | None, flags: Mapping[str, object]) -> Settings:
    """
    Return the settings of a TOML file with flags laid over it.

    Args:
        path: the file; None where flags say everything. Folders in it are relative to its own
            folder, those in flags to the current one.
        flags: in the shape of the file. A tenant in them has the hosts that the file gives it,
            or else every host.

    Raises:
        ConfigError: with every mistake.
    """
    return load_settings(_read(path, flags))


def _read(path: Path | None, flags: Mapping[str, object]) -> dict[str, Any]:
    raw: dict[str, Any] = {} if path is None else _read_toml(path)
    if path is not None:
        _anchor(raw, path.parent)
    if "tenant" in flags:
        raw = merge(FLAGS_TENANT, raw)
    return merge(raw, flags)


def build(path: Path | None, flags: Mapping[str, object], reactor: Any) -> Gateway | Supervisor:
    """
    Return what twistd is to run: a gateway, or the supervisor of several that share its ports.

    Args:
        path: of the settings file, as for `read_settings`.
        flags: likewise.
        reactor: what runs it.

    Raises:
        ConfigError: with every mistake, also in what only the workers will need.
    """
    raw = _read(path, flags)
    settings = load_settings(raw)
    workers = workers_of(settings)
    if workers == 1:
        # twistd has chosen a reactor before it knew the settings.
        hasten(settings.performance, reactor)
    gateway = prepare(settings, reactor)
    if workers == 1:
        return gateway
    _anchor(raw, Path.cwd())  # twistd may go elsewhere before the workers start
    counters = SummedCounters()
    supervisor = Supervisor(
        settings,
        raw,
        workers,
        [partial(hold, reactor, _with_backlog(each), workers) for each in settings.listen],
        reactor,
        counters,
        _admin(settings, reactor, counters, lambda: supervisor.report()),
    )
    return supervisor


def workers_of(settings: Settings) -> int:
    """Return how many processes the settings come to on this machine."""
    if settings.workers:
        return settings.workers
    may_use = getattr(os, "sched_getaffinity", None)  # not everywhere
    count = os.cpu_count() or 1 if may_use is None else len(may_use(0))
    return min(count, MOST_WORKERS)


def _too_many_workers(settings: Settings) -> Iterator[Problem]:
    """Say what `contradictions` cannot: how many workers ``auto`` comes to."""
    count = workers_of(settings)
    if settings.workers or count == 1:
        return
    sessions = [tenant.name for tenant in settings.tenants if tenant.mode == "session"]
    words = f"{quoted(AUTO)}, which is {count} here,"
    mistake = why_one_worker(words, sessions, bool(settings.dial_in))
    if mistake is not None:
        yield Problem("workers", str(mistake), mistake.hint)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            text = file.read(MAX_SETTINGS_FILE + 1)
    except OSError as error:
        raise ConfigError([Problem("", f"cannot read {path}: {error.strerror}")]) from None
    if len(text) > MAX_SETTINGS_FILE:
        raise ConfigError([Problem("", f"{path} is larger than {MAX_SETTINGS_FILE} bytes")])
    try:
        return tomllib.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:  # of TOML, of UTF-8, of int, of depth
        raise ConfigError([Problem("", f"{path} is no TOML: {error}")]) from None


def _anchor(raw: dict[str, Any], folder: Path) -> None:
    """Make relative folders of a file relative to where the file is."""
    tables = [(raw, "certificates")]
    tenants = raw.get("tenant")
    for each in tenants.values() if isinstance(tenants, dict) else ():
        if isinstance(each, dict):
            tables += [(each, "site"), (each, "client_ca")]
            for inner, file in (("token", "key_file"), ("dial_in", "token_file")):
                if isinstance(each.get(inner), dict):
                    tables.append((each[inner], file))
    raw.setdefault("certificates", "certs")
    for table, key in tables:
        if isinstance(table.get(key), str) and table[key]:
            table[key] = str(folder / table[key])


def prepare(
    settings: Settings,
    reactor: Any,
    sockets: Sequence[Socket] | None = None,
    spend: Spend | None = None,
) -> Gateway:
    """
    Return the gateway that these settings describe; nothing listens yet.

    Args:
        settings: checked ones.
        reactor: what runs it.
        sockets: of a worker, what it has inherited: one for each of ``listen``.
        spend: of a worker, as `Gateway` has it.

    Raises:
        ConfigError: the machine does not have what the settings name; with every mistake.
    """
    for line in advice(settings) if sockets is None else ():  # the supervisor has said it
        _log.warn("{advice}", advice=line)
    for step in steps(settings.performance):
        if step.missing is not None:
            _log.warn("{step}: not in use, {missing}", step=step.name, missing=step.missing)
    problems: list[Problem] = [*_too_many_workers(settings)]
    certificates = _certificates(settings, problems)
    problems += _missing_sites(settings)
    tokens = list(_tokens(settings, problems))
    endpoints = _endpoints(settings, reactor, problems)
    secrets = dict(_dial_in_secrets(settings, problems))
    table = None if certificates is None else certificates.table
    counters = Counters()
    listeners = [
        _listener(reactor, listener, settings, table, counters)
        for listener in _available(settings, reactor, problems, sockets)
    ]
    if problems:
        raise ConfigError(problems)
    gateway = Gateway(
        settings,
        listeners,
        endpoints,
        reactor,
        tokens={each.tenant: each.check for each in tokens},
        table=table,
        counters=counters,
        admin=_admin(settings, reactor, counters, lambda: gateway.report()),
        dial_in=_dial_in_places(settings, reactor, secrets),
        spend=spend,
    )
    watcher = None
    if certificates is not None:
        watcher = CertificateWatcher(certificates.state, certificates.table, counters, reactor)
    dial_ins = [
        DialInFiles(tenant.name, Path(tenant.dial_in.token_file), gateway.dial_ins)
        for tenant in settings.tenants
        if tenant.dial_in is not None
    ]
    gateway.addService(Reload(watcher, tokens, counters, reactor, dial_ins))
    gateway.addService(Pace(settings.performance, reactor))
    return gateway


def _admin(
    settings: Settings, reactor: Any, counters: Counts, report: Callable[[], Report]
) -> Callable[[], Deferred[IListeningPort]] | None:
    if settings.admin is None:
        return None
    endpoint = serverFromString(reactor, settings.admin.description)
    return lambda: endpoint.listen(admin_site(counters, report, reactor))


def _endpoints(
    settings: Settings, reactor: Any, problems: list[Problem]
) -> dict[str, list[tuple[str, IStreamClientEndpoint]]]:
    endpoints = {}
    is_stock = codec_of(settings.performance) is None
    make = clientFromString if is_stock else endpoint_of
    for tenant in settings.tenants:
        if tenant.dials_in:
            continue
        try:
            endpoints[tenant.name] = [(each, make(reactor, each)) for each in tenant.backend]
        except Exception as error:
            # Twisted opens the files that a `tls:` string names, and has no common error for it.
            problems.append(Problem(f"tenant.{tenant.name}.backend", _why(error)))
    return endpoints


def _why(error: Exception) -> str:
    """Return what an operator can do something about."""
    cause = getattr(error, "originalException", error)  # that of a folder that cannot be listed
    if isinstance(cause, OSError):
        return f"cannot read {cause.filename}: {cause.strerror}"
    return f"a file that it names is of no use: {error}"


def _missing_sites(settings: Settings) -> Iterator[Problem]:
    for tenant in settings.tenants:
        if tenant.site is not None and not Path(tenant.site).is_dir():
            yield Problem(f"tenant.{tenant.name}.site", f"there is no folder {tenant.site}")


def _dial_in_secrets(settings: Settings, problems: list[Problem]) -> Iterator[tuple[str, Secrets]]:
    """Yield what the backends of each tenant have to show, by its name in lower case."""
    for tenant in settings.tenants:
        if tenant.dial_in is None:
            continue
        try:
            yield tenant.name.lower(), load_secrets(Path(tenant.dial_in.token_file))
        except ValueError as error:
            problems.append(Problem(f"tenant.{tenant.name}.dial_in.token_file", str(error)))


def _dial_in_places(
    settings: Settings, reactor: Any, secrets: Mapping[str, Secrets]
) -> DialInPlaces:
    return DialInPlaces(
        [
            serverFromString(reactor, place.description).listen
            for place in settings.dial_in
            if place.kind != "ws"
        ],
        frozenset(place.path for place in settings.dial_in if place.kind == "ws"),
        secrets,
    )


def _tokens(settings: Settings, problems: list[Problem]) -> Iterator[TokenFiles]:
    for tenant in settings.tenants:
        if tenant.token is None:
            continue
        try:
            keys = load_keys(tenant.token.key_file, tenant.token.algorithms)
        except ValueError as error:
            problems.append(Problem(f"tenant.{tenant.name}.token.key_file", str(error)))
            continue
        check = TokenCheck(tenant.name, tenant.token, keys, tenant.embed_in)
        yield TokenFiles(tenant.name, tenant.token, check)


@frozen
class _Certificates:
    """What has been read from the folder, and the table that it is in."""

    state: FolderState
    table: CertificateTable


def _certificates(settings: Settings, problems: list[Problem]) -> _Certificates | None:
    """Return the certificates; None where no listener needs any, or where something is wrong."""
    authorities = dict(_client_authorities(settings, problems))
    if not any(listener.secure for listener in settings.listen):
        return None
    now = datetime.now(UTC)
    folder = settings.certificates
    try:
        state = load_folder(Path(folder), now)
    except OSError as error:
        text = f"cannot read the folder {folder}: {error.strerror}"
        hint = "orion-bridge certs dev localhost makes certificates for trying"
        problems.append(Problem("certificates", text, hint))
        return None
    good, bad = tuple(state.certificates.values()), tuple(state.bad.values())
    for each in bad:
        _log.warn("certificate {file}: {problem}", file=str(each.source), problem=each.problem)
    if not good:
        what = "; ".join(f"{each.source.name}: {each.problem}" for each in bad)
        text = f"no usable certificate in {folder}"
        problems.append(Problem("certificates", text, what or None))
        return None
    try:
        table = CertificateTable(
            good,
            settings.fallback,
            now,
            strict_sni=settings.strict_sni,
            client_ca=authorities,
            bad=bad,
        )
    except LookupError:
        names = ", ".join(sorted({name for each in good for name in each.names}))
        text = f"no certificate for {settings.fallback} in {folder}"
        problems.append(Problem("fallback", text, f"there are some for {names}"))
        return None
    return _Certificates(state, table)


def _client_authorities(
    settings: Settings, problems: list[Problem]
) -> Iterator[tuple[str, ClientAuthority]]:
    """Yield the authority of each host pattern whose clients have to show a certificate."""
    for tenant in settings.tenants:
        if tenant.client_ca is None:
            continue
        path = f"tenant.{tenant.name}.client_ca"
        if not all(listener.secure for listener in settings.listen):
            text = "a listener without TLS would let clients in without a certificate"
            problems.append(Problem(path, text))
        try:
            authority = read_client_ca(Path(tenant.client_ca), tenant.name)
        except Unusable as error:
            problems.append(Problem(path, str(error)))
            continue
        for host in tenant.hosts:
            yield host, authority


def _with_backlog(listener: Listener) -> str:
    """Return a listener's endpoint string; Twisted's own backlog is 50."""
    _, *options = listener.description.split(":")
    if listener.kind == "systemd" or any(each.startswith("backlog=") for each in options):
        return listener.description
    return f"{listener.description}:backlog={BACKLOG}"


def _available(
    settings: Settings,
    reactor: Any,
    problems: list[Problem],
    sockets: Sequence[Socket] | None,
) -> Iterator[tuple[Listener, IStreamServerEndpoint]]:
    if sockets is not None:
        for listener, socket in zip(settings.listen, sockets, strict=True):
            yield listener, inherited(reactor, socket.fd, socket.family, BACKLOG)
        return
    for index, listener in enumerate(settings.listen):
        try:
            yield listener, serverFromString(reactor, _with_backlog(listener))
        except LookupError:
            problems.append(Problem(f"listen[{index}]", "systemd hands over no such socket"))


def _listener(
    reactor: Any,
    available: tuple[Listener, IStreamServerEndpoint],
    settings: Settings,
    table: CertificateTable | None,
    counters: Counters,
) -> Listen:
    listener, endpoint = available

    def refused(reason: str) -> None:
        counters.add("refused", reason=reason)

    def listen(factory: Any) -> Any:
        # From the inside out: HTTP in TLS, and in front of both a trusted proxy's header.
        if table is not None and listener.secure:
            factory = TLSMemoryBIOFactory(table, False, factory, reactor)
            if settings.performance != "stock":
                make_lean(factory)
        if settings.proxy_protocol_from:
            proxies, deadline = settings.proxy_protocol_from, settings.limits.handshake
            factory = ProxiedFactory(factory, proxies, deadline, refused, reactor)
        return endpoint.listen(factory)

    return listen
