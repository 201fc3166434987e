"""
From a settings file and flags to a gateway that can be started.

What can be wrong with the machine rather than with the file (no such folder, no certificate for
the fallback) is reported in the same form: every mistake at once, each with its setting's path.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from twisted.internet.endpoints import clientFromString, serverFromString
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory

from orion_twisted.core.addresses import Listener
from orion_twisted.core.config import advice, load_settings, merge
from orion_twisted.core.problems import ConfigError, Problem
from orion_twisted.core.settings import Settings
from orion_twisted.net.certfiles import BadCertificateFile, CertificateFile, choose, read_folder
from orion_twisted.net.tls import CertificateTable
from orion_twisted.service.gateway import Gateway, Listen

MAX_SETTINGS_FILE = 1024 * 1024
"""Bytes of a settings file; ten thousand tenants fit."""

_log = Logger()


def read_settings(path: Path | None, flags: Mapping[str, object]) -> Settings:
    """
    Return the settings of a TOML file with flags laid over it.

    Args:
        path: the file; None where flags say everything. Folders in it are relative to its own
            folder, those in flags to the current one.
        flags: in the shape of the file.

    Raises:
        ConfigError: with every mistake.
    """
    raw: dict[str, Any] = {} if path is None else _read_toml(path)
    if path is not None:
        _anchor(raw, path.parent)
    return load_settings(merge(raw, flags))


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
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError([Problem("", f"{path} is no TOML: {error}")]) from None


def _anchor(raw: dict[str, Any], folder: Path) -> None:
    """Make relative folders of a file relative to where the file is."""
    tables = [(raw, "certificates")]
    tenants = raw.get("tenant")
    if isinstance(tenants, dict):
        tables += [(each, "site") for each in tenants.values() if isinstance(each, dict)]
    raw.setdefault("certificates", "certs")
    for table, key in tables:
        if isinstance(table.get(key), str) and table[key]:
            table[key] = str(folder / table[key])


def prepare(settings: Settings, reactor: Any) -> Gateway:
    """
    Return the gateway that these settings describe; nothing listens yet.

    Raises:
        ConfigError: the machine does not have what the settings name; with every mistake.
    """
    for line in advice(settings):
        _log.warn("{advice}", advice=line)
    problems = list(_missing_sites(settings))
    table = None
    if any(listener.secure for listener in settings.listen):
        try:
            table = _certificate_table(settings)
        except ConfigError as error:
            problems = [*error.problems, *problems]
    endpoints = {}
    for tenant in settings.tenants:
        try:
            endpoints[tenant.name] = [
                (each, clientFromString(reactor, each)) for each in tenant.backend
            ]
        except Exception as error:
            # Twisted opens the files that a `tls:` string names, and has no common error for it.
            problems.append(Problem(f"tenant.{tenant.name}.backend", str(error)))
    if problems:
        raise ConfigError(problems)
    listeners = [_listen(reactor, listener, table) for listener in settings.listen]
    return Gateway(settings, listeners, endpoints, reactor)


def _missing_sites(settings: Settings) -> Iterator[Problem]:
    for tenant in settings.tenants:
        if tenant.site is not None and not Path(tenant.site).is_dir():
            yield Problem(f"tenant.{tenant.name}.site", f"there is no folder {tenant.site}")


def load_certificates(
    settings: Settings, now: datetime
) -> tuple[tuple[CertificateFile, ...], tuple[BadCertificateFile, ...]]:
    """
    Read the folder of certificates.

    Raises:
        ConfigError: there is no such folder, or it cannot be read.
    """
    try:
        return read_folder(Path(settings.certificates), now)
    except OSError as error:
        text = f"cannot read the folder {settings.certificates}: {error.strerror}"
        hint = "orion-bridge certs dev localhost makes certificates for trying"
        raise ConfigError([Problem("certificates", text, hint)]) from None


def _certificate_table(settings: Settings) -> CertificateTable:
    now = datetime.now(UTC)
    good, bad = load_certificates(settings, now)
    for each in bad:
        _log.warn("certificate {file}: {problem}", file=str(each.source), problem=each.problem)
    if not good:
        text = f"no usable certificate in {settings.certificates}"
        what = "; ".join(f"{each.source.name}: {each.problem}" for each in bad)
        raise ConfigError([Problem("certificates", text, what or None)])
    if settings.fallback is not None and choose(good, settings.fallback, now) is None:
        names = ", ".join(sorted({name for each in good for name in each.names}))
        text = f"no certificate for {settings.fallback} in {settings.certificates}"
        raise ConfigError([Problem("fallback", text, f"there are some for {names}")])
    return CertificateTable(good, settings.fallback, now)


def _listen(reactor: Any, listener: Listener, table: CertificateTable | None) -> Listen:
    endpoint = serverFromString(reactor, listener.description)

    def listen(factory: Any) -> Any:
        if table is not None and listener.secure:
            factory = TLSMemoryBIOFactory(table, False, factory, reactor)
        return endpoint.listen(factory)

    return listen
