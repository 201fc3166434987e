"""
From what a file says to settings, with every mistake in it at once; and back to lines for people.

What each setting may be stands in its type. Here is what two settings say about each other: it is
looked at apart from that, on all that is right by itself, so that one mistake never hides another.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from attrs import asdict, fields

from orion_twisted.core.addresses import Listener
from orion_twisted.core.fields import (
    HostPattern,
    ListenerField,
    ModeName,
    SiteFolder,
    Token,
    UrlPath,
)
from orion_twisted.core.problems import BadValue, ConfigError, Problem, dotted, quoted
from orion_twisted.core.rates import MOST_WAIT_FOR_RATE
from orion_twisted.core.settings import (
    Limits,
    SessionSettings,
    Settings,
    Tenant,
    TenantLimits,
    TokenSettings,
    effective_message_limit,
)
from orion_twisted.core.structure import EXAMPLES, Mistake, Steps, sound, structure
from orion_twisted.core.units import format_duration, format_size

__all__ = [
    "ConfigError",
    "Limits",
    "Listener",
    "Problem",
    "SessionSettings",
    "Settings",
    "Tenant",
    "TenantLimits",
    "TokenSettings",
    "advice",
    "describe",
    "effective_message_limit",
    "load_settings",
    "merge",
]

TENANT_NAME = re.compile(r"[a-z0-9_-]{1,64}", re.IGNORECASE | re.ASCII)

MODE_OF = {
    "framing": "relay",
    "message_type": "relay",
    "link_grace": "relay",
    "session": "relay",
    "text": "tunnel",
}
"""The settings of a tenant that mean something in one mode only."""

SIZES = frozenset({"message", "header", "window_bytes", "byte_rate"})
"""The numbers that are bytes; those with a fraction are seconds, the others count something."""


def load_settings(raw: Mapping[str, object]) -> Settings:
    """
    Make settings of what a file says.

    Args:
        raw: what ``tomllib.loads`` gives, perhaps with flags merged in.

    Raises:
        ConfigError: with every mistake, in the order of ``raw``.
    """
    settings, mistakes = structure(raw)
    mistakes += _contradictions(raw)
    if settings is None or mistakes:
        mistakes.sort(key=lambda mistake: _place(raw, mistake[0]))
        raise ConfigError(
            Problem(dotted(steps), str(mistake), mistake.hint) for steps, mistake in mistakes
        )
    return settings


def merge(file: Mapping[str, object], flags: Mapping[str, object]) -> dict[str, object]:
    """
    Lay flags over a file: tables are merged, whatever else a flag says replaces the file's.

    Returns:
        A new dict; neither argument is changed.
    """
    merged: dict[str, object] = dict(file)
    for key, flag in flags.items():
        below = merged.get(key)
        if isinstance(below, Mapping) and isinstance(flag, Mapping):
            merged[key] = merge(below, flag)
        else:
            merged[key] = flag
    return merged


def describe(settings: Settings) -> list[str]:
    """Return what the settings come to, in lines of plain text for people."""
    lines = [
        f"listen          {listener} ({'TLS' if listener.secure else 'plain'})"
        for listener in settings.listen
    ]
    if any(listener.secure for listener in settings.listen):
        fallback = settings.fallback or "none"
        if settings.strict_sni:
            fallback = "none, strict_sni"
        lines.append(f"certificates    {settings.certificates} (fallback: {fallback})")
    if settings.proxy_protocol_from:
        proxies = ", ".join(map(str, settings.proxy_protocol_from))
        lines.append(f"proxies         {proxies} (with a PROXY header)")
    if settings.admin is not None:
        lines.append(f"admin           {settings.admin}")
    if changes := ", ".join(_changes(settings.limits)):
        lines.append(f"limits          {changes}")
    for tenant in settings.tenants:
        lines += _describe_tenant(tenant)
    return lines


def advice(settings: Settings) -> list[str]:
    """Return what is no mistake, but hardly what was meant: lines of plain text for people."""
    lines = [
        f"tenant.{tenant.name}.limits.{name}: the node's {_as_written(name, most)} is lower, and"
        f" holds (lower this one, or raise limits.{name})"
        for tenant in settings.tenants
        for name, own in asdict(tenant.limits).items()
        if own is not None and own > (most := getattr(settings.limits, name))
    ]
    limits = settings.limits
    if limits.pending_handshakes <= limits.pending_handshakes_per_ip:
        lines.append(
            f"limits.pending_handshakes_per_ip: one address may fill all"
            f" {limits.pending_handshakes} places of pending_handshakes, and keep others out"
        )
    most_at_once = int(limits.byte_rate * (1 + MOST_WAIT_FOR_RATE))  # a burst, and the wait
    if 0 < most_at_once < limits.message:
        lines.append(
            f"limits.byte_rate: no message above {most_at_once} bytes can arrive within it, though"
            f" limits.message is {format_size(limits.message)}"
        )
    return lines


def _describe_tenant(tenant: Tenant) -> Iterator[str]:
    yield f"tenant {tenant.name}"
    yield f"  hosts         {', '.join(tenant.hosts)}"
    yield f"  path          {tenant.path}"
    if tenant.mode == "relay":
        yield f"  mode          relay (framing {tenant.framing}, {tenant.message_type} messages)"
    else:
        yield f"  mode          tunnel (text messages: {tenant.text})"
    yield f"  backend       {', '.join(tenant.backend)}"
    if tenant.subprotocols:
        yield f"  subprotocols  {', '.join(tenant.subprotocols)}"
    if tenant.origins is not None:
        yield f"  origins       {', '.join(tenant.origins) or 'none'}"
    if tenant.embed_in:
        yield f"  embed in      {', '.join(tenant.embed_in)}"
    if tenant.token is not None:
        need = "required" if tenant.token.required else "optional"
        algorithms = ", ".join(tenant.token.algorithms)
        yield f"  token         {need}, {algorithms}, {tenant.token.key_file}"
    if tenant.client_ca is not None:
        yield f"  client CA     {tenant.client_ca}"
    if tenant.site is not None:
        yield f"  site          {tenant.site}"
    if tenant.compression:
        yield "  compression   permessage-deflate"
    changes = [
        *_changes(tenant, ("link_grace", "dial_timeout")),
        *_changes(tenant.session),
        *_changes(tenant.limits),
    ]
    if changes:
        yield f"  limits        {', '.join(changes)}"


def _changes(
    table: Limits | Tenant | TenantLimits | SessionSettings, names: Iterable[str] | None = None
) -> Iterator[str]:
    """Yield the settings of a table, or those named, that are not the default."""
    defaults = {each.name: each.default for each in fields(type(table))}
    for name in names or defaults:
        value = getattr(table, name)
        if value != defaults[name]:
            yield f"{name} {_as_written(name, value)}"


def _as_written(name: str, value: float) -> str:
    if name in SIZES:
        return format_size(int(value))
    return format_duration(value) if isinstance(value, float) else str(value)


def _place(raw: Any, steps: Steps) -> list[int]:
    """Return where a setting is, to sort by; what is missing comes last in its table."""
    place: list[int] = []
    for step in steps:
        if not isinstance(raw, Mapping):
            place.append(int(step))
        elif step in raw:
            place.append(list(raw).index(step))
        else:
            return [*place, len(raw)]
        raw = raw[step]
    return place


# What settings say about each other.


def _contradictions(raw: object) -> Iterator[Mistake]:
    if not isinstance(raw, Mapping):
        return
    yield from _about_listeners(raw)
    tenants = raw.get("tenant", {})
    if not isinstance(tenants, Mapping):
        return
    if not tenants:
        yield (
            ("tenant",),
            BadValue("no tenant is configured; add [tenant.NAME] or pass --backend"),
        )
    yield from _about_names(tenants)
    yield from _about_hosts(tenants)
    for name, table in _tables(tenants):
        for steps, mistake in _about_tenant(table):
            yield ("tenant", name, *steps), mistake


def _tables(tenants: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, table in tenants.items():
        if isinstance(table, Mapping):
            yield name, table


def _elements(kind: Any, raw: object) -> Iterator[tuple[int, Any]]:
    """Yield the elements of a list that are right by themselves, and where each is."""
    for index, each in enumerate(raw if isinstance(raw, list | tuple) else ()):
        element = sound(kind, each)
        if element is not None:
            yield index, element


def _is_empty_list(raw: object) -> bool:
    return isinstance(raw, list | tuple) and not raw


def _about_listeners(raw: Mapping[str, Any]) -> Iterator[Mistake]:
    given = raw.get("listen")
    if _is_empty_list(given):
        yield ("listen",), BadValue("names no listener", 'such as listen = ["tls:8889"]')
    listeners = dict(_elements(ListenerField, given))
    seen: dict[object, int] = {}
    for index, listener in listeners.items():
        if listener.port == 0:  # whichever is free: no two are the same
            continue
        place = (
            listener.description
            if listener.kind == "systemd"
            else (listener.port, listener.interface or "0.0.0.0")
        )
        first = seen.setdefault(place, index)
        if first != index:
            yield ("listen", index), BadValue(f"is where listen[{first}] listens already")
    if raw.get("certificates") == "":
        secure = Settings().listen if given is None else listeners.values()
        for listener in [each for each in secure if each.secure][:1]:
            text = f"is empty, and {quoted(str(listener))} needs a folder with certificates"
            yield ("certificates",), BadValue(text)


def _about_names(tenants: Mapping[str, Any]) -> Iterator[Mistake]:
    names: dict[str, str] = {}
    for name in tenants:
        if not TENANT_NAME.fullmatch(name):
            text = f"{quoted(name)} is no name for a tenant: 1 to 64 letters, digits, - and _"
            yield ("tenant", name), BadValue(text)
        first = names.setdefault(name.lower(), name)
        if first != name:
            text = f"differs from tenant {quoted(first)} in upper and lower case only"
            yield ("tenant", name), BadValue(text)


def _about_hosts(tenants: Mapping[str, Any]) -> Iterator[Mistake]:
    """Find hosts and paths that two tenants claim, and pages of a host that two would show."""
    sockets: dict[tuple[str, str], str] = {}
    sites: dict[str, str] = {}
    for name, table in _tables(tenants):
        path = sound(UrlPath, table.get("path", fields(Tenant).path.default))
        site = sound(SiteFolder, table.get("site"))
        seen: set[str] = set()
        for index, host in _elements(HostPattern, table.get("hosts")):
            steps = ("tenant", name, "hosts", index)
            if host in seen:
                yield steps, BadValue(f"{quoted(host)} is in the list twice")
                continue
            seen.add(host)
            if path is not None:
                first = sockets.setdefault((host, path), name)
                if first != name:
                    text = f"tenant {quoted(first)} has {quoted(host)} with path {quoted(path)}"
                    yield steps, BadValue(f"{text} already", "give one of them another path")
            if site is not None:
                first = sites.setdefault(host, name)
                if first != name:
                    text = f"tenant {quoted(first)} shows the pages of {quoted(host)} already"
                    yield ("tenant", name, "site"), BadValue(text)


def _about_tenant(table: Mapping[str, Any]) -> Iterator[Mistake]:
    """Find what one tenant's settings say against each other."""
    for key in ("hosts", "backend"):
        if _is_empty_list(table.get(key)):
            yield (key,), BadValue("is an empty list", EXAMPLES[key])
    mode = sound(ModeName, table.get("mode", fields(Tenant).mode.default))
    for key in table:
        other = MODE_OF.get(key)
        if mode is not None and other not in (None, mode):
            text = f"means nothing in mode {quoted(mode)}"
            yield (key,), BadValue(text, f"it belongs to mode {quoted(other)}")
    if table.get("allow_no_origin") is True and "origins" not in table:
        text = "means nothing without origins: then such clients are let in"
        yield ("allow_no_origin",), BadValue(text)
    seen: set[str] = set()
    for index, subprotocol in _elements(Token, table.get("subprotocols")):
        if subprotocol in seen:
            yield ("subprotocols", index), BadValue(f"{quoted(subprotocol)} is in the list twice")
        seen.add(subprotocol)
