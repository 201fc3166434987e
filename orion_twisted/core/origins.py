"""
Whose pages may connect: the rule on the Origin header (RFC 6454, RFC 6455 section 10.2).

A browser always says where a page that opens a WebSocket comes from; other clients say nothing, or
whatever they like. So the rule keeps foreign pages out, and is no proof of identity: that is what
tokens are for.
"""

from enum import Enum, auto

from orion_twisted.core.hostnames import host_of, normalise

ANY_ORIGIN = "*"
NULL_ORIGIN = "null"
"""What sandboxed frames and files send."""

DEFAULT_PORTS = {"https": 443, "http": 80}


def normalise_origin(text: str) -> str | None:
    """
    Return an origin in its one spelling, ``scheme://host:port`` with the port always there.

    Args:
        text: ``scheme://host[:port]`` and no more; the scheme is http or https.

    Returns:
        None for what is no such origin.
    """
    scheme, separator, rest = text.partition("://")
    scheme = scheme.lower()
    default = DEFAULT_PORTS.get(scheme)
    if not separator or default is None:
        return None
    parts = host_of(rest)
    if parts is None:
        return None
    host, port = parts
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}:{default if port is None else port}"


class OriginVerdict(Enum):
    """What the Origin header says about a request."""

    WELCOME = auto()
    """A page that may connect, or a client that needs to show nothing more."""
    NEEDS_TOKEN = auto()
    """No browser: it may connect if it brings a valid token."""
    FOREIGN = auto()
    """A page that may not connect, or a header that cannot be read."""


def judge_origin(
    origins: list[str],
    host: str,
    allowed: tuple[str, ...] | None,
    allow_no_origin: bool,
) -> OriginVerdict:
    """
    Apply a tenant's rule.

    Args:
        origins: the values of the Origin headers that came; there should be one at most.
        host: the request's host, normalised, without its port.
        allowed: the tenant's ``origins``, normalised; None where it has none: then the Origin's
            host has to be the request's own.
        allow_no_origin: the tenant's setting of that name.
    """
    if len(origins) > 1:
        return OriginVerdict.FOREIGN
    if not origins:
        if allowed is None or allow_no_origin:
            return OriginVerdict.WELCOME
        return OriginVerdict.NEEDS_TOKEN
    origin = origins[0]
    if allowed is None:
        return OriginVerdict.WELCOME if _host_of_origin(origin) == host else OriginVerdict.FOREIGN
    if ANY_ORIGIN in allowed:
        return OriginVerdict.WELCOME
    if origin == NULL_ORIGIN:
        is_listed = NULL_ORIGIN in allowed
    else:
        is_listed = normalise_origin(origin) in allowed
    return OriginVerdict.WELCOME if is_listed else OriginVerdict.FOREIGN


def _host_of_origin(origin: str) -> str | None:
    normal = normalise_origin(origin)
    if normal is None:
        return None
    return normalise(normal.partition("://")[2].rpartition(":")[0])
