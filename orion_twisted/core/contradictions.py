"""
What settings say against each other.

It is looked at apart from what each of them may be, in what the file says, and only on those that
are right by themselves: so one mistake never hides another, and none is reported twice.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from attrs import fields

from orion_twisted.core.addresses import DIAL_IN, DialInPlace, Listener, parse_listener
from orion_twisted.core.fields import (
    Backend,
    DialectName,
    DialInField,
    FramingName,
    HostPattern,
    ListenerField,
    ModeName,
    SiteFolder,
    Token,
    UrlPath,
    Workers,
)
from orion_twisted.core.problems import BadValue, dotted, listing, near_miss, quoted
from orion_twisted.core.settings import SESSION_SUBPROTOCOLS, Settings, Tenant
from orion_twisted.core.structure import EXAMPLES, Mistake, Steps, sound

TENANT_NAME = re.compile(r"[a-z0-9_-]{1,64}", re.IGNORECASE | re.ASCII)

MODES_OF: Mapping[Steps, tuple[str, ...]] = {
    ("framing",): ("relay", "session"),
    ("message_type",): ("relay",),
    ("link_grace",): ("relay", "session"),
    ("text",): ("tunnel",),
    ("dialect",): ("session",),
    ("links",): ("session",),
    ("dial_in",): ("session",),
    ("session",): ("relay", "session"),
    ("session", "ttl"): ("session",),
    ("session", "window"): ("session",),
    ("session", "deadline"): ("session",),
    ("limits", "memory"): ("session",),
    ("limits", "held"): ("session",),
    ("limits", "sessions"): ("session",),
}
"""The settings of a tenant that mean something in some modes only."""

DELIMITED = ("line", "nul")
"""Framings whose frames cannot hold what ends them."""

DIAL_IN_FRAMING = "int32"
"""How backends that dial in frame, whoever they are: their first frame says who."""


def contradictions(raw: object) -> Iterator[Mistake]:
    """Yield every pair of settings in a table that cannot both be meant."""
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
    yield from _about_dial_in(raw, tenants)
    yield from _about_workers(raw, tenants)
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
    yield from _listened_twice(
        [
            *((("listen", index), listener) for index, listener in listeners.items()),
            *(
                (steps, parse_listener(place.description))
                for steps, place in _dial_in_places(raw)
                if place.kind != "ws"
            ),
        ]
    )
    if raw.get("certificates") == "":
        secure = Settings().listen if given is None else listeners.values()
        for listener in [each for each in secure if each.secure][:1]:
            text = f"is empty, and {quoted(str(listener))} needs a folder with certificates"
            yield ("certificates",), BadValue(text)


def _listened_twice(listeners: Iterable[tuple[Steps, Listener]]) -> Iterator[Mistake]:
    seen: dict[object, Steps] = {}
    for steps, listener in listeners:
        if listener.port == 0:  # whichever is free: no two are the same
            continue
        place = (
            listener.description
            if listener.kind == "systemd"
            else (listener.port, listener.interface or "0.0.0.0")
        )
        first = seen.setdefault(place, steps)
        if first != steps:
            yield steps, BadValue(f"is where {dotted(first)} listens already")


def _dial_in_places(raw: Mapping[str, Any]) -> Iterator[tuple[Steps, DialInPlace]]:
    """Yield the places where backends dial in that are right by themselves."""
    given = raw.get("dial_in")
    if isinstance(given, str):
        place = sound(DialInField, given)
        if place is not None:
            yield ("dial_in",), place
    for index, place in _elements(DialInField, given):
        yield ("dial_in", index), place


def _about_dial_in(raw: Mapping[str, Any], tenants: Mapping[str, Any]) -> Iterator[Mistake]:
    """Find WebSocket paths that no backend reaches or browsers have, and backends without any."""
    has_plain = _may_listen_plainly(raw)
    seen: dict[str, Steps] = {}
    for steps, place in _dial_in_places(raw):
        if place.kind != "ws":
            continue
        first = seen.setdefault(place.path, steps)
        if first != steps:
            yield steps, BadValue(f"{quoted(str(place))} is in the list twice")
            continue
        if not has_plain:
            text = "is a path on the listeners without TLS, and there is none"
            yield steps, BadValue(text, 'such as "tcp:8888:interface=127.0.0.1" in listen')
        for name, table in _tables(tenants):
            if sound(UrlPath, table.get("path", fields(Tenant).path.default)) == place.path:
                text = f"tenant {quoted(name)} has the path {quoted(place.path)} for browsers"
                yield steps, BadValue(text, "give one of them another path")
                break
    if raw.get("dial_in") in (None, [], ()):
        for name, table in _tables(tenants):
            if _dials_in(table) and table.get("mode") == "session":
                hint = 'such as dial_in = "tcp:8887" at the top, above the first [table]'
                yield (
                    ("tenant", name, "backend"),
                    BadValue("nothing says where backends dial in", hint),
                )


def _about_workers(raw: Mapping[str, Any], tenants: Mapping[str, Any]) -> Iterator[Mistake]:
    """Find several workers where one process has to know everything."""
    workers = sound(Workers, raw.get("workers", fields(Settings).workers.default))
    if workers is None or workers <= 1:  # that of AUTO is not known here
        return
    modes = {name: table.get("mode") for name, table in _tables(tenants)}
    sessions = [name for name, mode in modes.items() if mode == "session"]
    dials_in = next(_dial_in_places(raw), None) is not None
    mistake = why_one_worker(str(workers), sessions, dials_in)
    if mistake is not None:
        yield ("workers",), mistake


def why_one_worker(workers: str, sessions: Sequence[str], dials_in: bool) -> BadValue | None:
    """
    Return what is wrong with more than one worker, or None.

    Args:
        workers: how many, in words.
        sessions: the names of the tenants in session mode.
        dials_in: whether there is a place where backends dial in.
    """
    if sessions:
        name = quoted(sessions[0])
        return BadValue(
            f"{workers} do not go with tenant {name} in mode {quoted('session')}: a browser that"
            " comes back would not find its session in another process",
            "workers = 1, or a gateway of its own for that tenant",
        )
    if dials_in:
        return BadValue(
            f"{workers} do not go with dial_in: a backend that dials in reaches one process alone",
            "workers = 1, or a gateway of its own for such backends",
        )
    return None


def _may_listen_plainly(raw: Mapping[str, Any]) -> bool:
    """Say whether a listener is without TLS, or is too wrong to tell."""
    given = raw.get("listen")
    if given is None:
        return any(not listener.secure for listener in Settings().listen)
    listeners = dict(_elements(ListenerField, given))
    is_sound = isinstance(given, list | tuple) and len(listeners) == len(given)
    return not is_sound or any(not listener.secure for listener in listeners.values())


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
    backends = table.get("backend")
    if isinstance(backends, list | tuple) and DIAL_IN in backends and len(backends) > 1:
        text = f"{quoted(DIAL_IN)} stands alone: no address and no other beside it"
        yield ("backend", backends.index(DIAL_IN)), BadValue(text)
    mode = sound(ModeName, table.get("mode", fields(Tenant).mode.default))
    if mode is not None:
        yield from _about_mode(table, mode)
    if table.get("allow_no_origin") is True and "origins" not in table:
        text = "means nothing without origins: then such clients are let in"
        yield ("allow_no_origin",), BadValue(text)
    seen: set[str] = set()
    for index, subprotocol in _elements(Token, table.get("subprotocols")):
        if subprotocol in seen:
            yield ("subprotocols", index), BadValue(f"{quoted(subprotocol)} is in the list twice")
        elif mode == "session" and subprotocol not in SESSION_SUBPROTOCOLS:
            text = f"{quoted(subprotocol)} is no dialect of a session: it is one of"
            yield (
                ("subprotocols", index),
                BadValue(
                    f"{text} {listing(SESSION_SUBPROTOCOLS)}",
                    near_miss(subprotocol, SESSION_SUBPROTOCOLS),
                ),
            )
        seen.add(subprotocol)


def _about_mode(table: Mapping[str, Any], mode: str) -> Iterator[Mistake]:
    """Find what means nothing in a tenant's mode, or has to be otherwise in it."""
    for steps, modes in MODES_OF.items():
        if mode not in modes and _has(table, steps) and mode in MODES_OF.get(steps[:-1], (mode,)):
            theirs = " or ".join(map(quoted, modes))
            text = f"means nothing in mode {quoted(mode)}"
            yield steps, BadValue(text, f"it belongs to mode {theirs}")
    if mode == "session":
        yield from _about_session(table)
    elif _dials_in(table):
        text = f"{quoted(DIAL_IN)} means nothing in mode {quoted(mode)}"
        yield ("backend",), BadValue(text, 'it belongs to mode "session"')


def _about_session(table: Mapping[str, Any]) -> Iterator[Mistake]:
    dialect = sound(DialectName, table.get("dialect", fields(Tenant).dialect.default))
    framing = sound(FramingName, table.get("framing", fields(Tenant).framing.default))
    if _dials_in(table):
        if "dial_in" not in table:
            text = f"is missing: backend {quoted(DIAL_IN)} needs it"
            yield ("dial_in",), BadValue(text, EXAMPLES["dial_in"])
        if "links" in table:
            text = f"means nothing with backend {quoted(DIAL_IN)}"
            yield ("links",), BadValue(text, "each backend that dials in is one shared link")
        if framing not in (None, DIAL_IN_FRAMING):
            text = f"{quoted(framing)} is not how backends that dial in frame"
            yield ("framing",), BadValue(text, f"it is {quoted(DIAL_IN_FRAMING)} for all of them")
        return
    if "dial_in" in table and _has_addresses(table):
        yield ("dial_in",), BadValue(f"means nothing without backend = {quoted(DIAL_IN)}")
    if dialect == "orion.v2" and framing in DELIMITED:
        text = f"{quoted(framing)} cannot carry dialect {quoted(dialect)}"
        yield ("framing",), BadValue(text, "its frames hold newlines and arbitrary bytes")


def _dials_in(table: Mapping[str, Any]) -> bool:
    return table.get("backend") in (DIAL_IN, [DIAL_IN], (DIAL_IN,))


def _has_addresses(table: Mapping[str, Any]) -> bool:
    """Say whether a tenant's backends are addresses, each right by itself."""
    given = table.get("backend")
    backends = given if isinstance(given, list | tuple) else (given,)
    known = [sound(Backend, each) for each in backends]
    return bool(known) and None not in known and DIAL_IN not in known


def _has(table: Mapping[str, Any], steps: Steps) -> bool:
    inner: Any = table
    for step in steps:
        if not isinstance(inner, Mapping) or step not in inner:
            return False
        inner = inner[step]
    return True
