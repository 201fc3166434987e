"""
From what a file says to settings, with every mistake in it at once; and back to lines for people.

What each setting may be stands in its type, what settings say against each other in
`orion_twisted.core.contradictions`.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from attrs import asdict, fields

from orion_twisted.core.addresses import DIAL_IN, DialInPlace, Listener
from orion_twisted.core.contradictions import contradictions
from orion_twisted.core.fields import AUTO, PER_BROWSER
from orion_twisted.core.problems import ConfigError, Problem, dotted
from orion_twisted.core.rates import MOST_WAIT_FOR_RATE
from orion_twisted.core.settings import (
    DialInSettings,
    Limits,
    SessionSettings,
    Settings,
    Tenant,
    TenantLimits,
    TokenSettings,
    effective_message_limit,
)
from orion_twisted.core.structure import Steps, structure
from orion_twisted.core.units import format_duration, format_size

__all__ = [
    "ConfigError",
    "DialInPlace",
    "DialInSettings",
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

SIZES = frozenset({"message", "header", "window_bytes", "byte_rate", "memory"})
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
    mistakes += contradictions(raw)
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
    if settings.dial_in:
        lines.append(f"dial-in         {', '.join(map(str, settings.dial_in))}")
    if settings.admin is not None:
        lines.append(f"admin           {settings.admin}")
    if settings.workers != 1:
        lines.append(f"workers         {settings.workers or f'{AUTO}, one for each CPU'}")
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
    if settings.dial_in and not any(tenant.dials_in for tenant in settings.tenants):
        lines.append(
            f'dial_in: no tenant has backend = "{DIAL_IN}", so whatever dials in is refused'
        )
    lines += _advice_on_memory(settings)
    return lines


def _advice_on_memory(settings: Settings) -> Iterator[str]:
    for tenant in settings.tenants:
        message = effective_message_limit(settings, tenant)
        own, node = tenant.limits.memory, settings.limits.memory
        memory = node if own is None else min(own, node)
        if tenant.mode == "session" and memory < message:
            name = "limits" if memory == node else f"tenant.{tenant.name}.limits"
            yield (
                f"{name}.memory: a message of tenant {tenant.name} may have"
                f" {format_size(message)}, and none above {format_size(memory)} is ever taken"
            )


def _describe_tenant(tenant: Tenant) -> Iterator[str]:
    yield f"tenant {tenant.name}"
    yield f"  hosts         {', '.join(tenant.hosts)}"
    yield f"  path          {tenant.path}"
    yield f"  mode          {tenant.mode} ({', '.join(_describe_mode(tenant))})"
    yield f"  backend       {', '.join(tenant.backend)}"
    if tenant.dial_in is not None:
        yield f"  dial-in       token in {tenant.dial_in.token_file}"
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


def _describe_mode(tenant: Tenant) -> Iterator[str]:
    if tenant.mode == "tunnel":
        yield f"text messages: {tenant.text}"
        return
    if tenant.mode == "session":
        yield f"dialect {tenant.dialect}"
    yield f"framing {tenant.framing}"
    if tenant.mode == "relay":
        yield f"{tenant.message_type} messages"
    elif not tenant.dials_in:
        yield f"links {tenant.links or PER_BROWSER}"


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
