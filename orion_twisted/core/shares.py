"""
What each of several workers may have, of what the whole node may.

Workers do not ask each other before they let somebody in: each keeps to its share, rounded up. So
a node may go beyond a limit by less than its number of workers, and may refuse a little below it,
as browsers do not spread quite evenly.
"""

from typing import Any

from attrs import evolve

from orion_twisted.core.settings import Settings, Tenant

DIVIDED = (
    "connections",
    "connections_per_ip",
    "connect_rate_per_ip",
    "pending_handshakes",
    "pending_handshakes_per_ip",
    "memory",
    "held",
    "sessions",
)
"""The limits of the node that are; the others are of one browser, one message, one request."""

DIVIDED_OF_TENANT = ("connections", "memory", "held", "sessions")


def share_of(settings: Settings, workers: int) -> Settings:
    """Return the settings by which one of so many workers runs alone."""
    return evolve(
        settings,
        workers=1,
        limits=_divided(settings.limits, DIVIDED, workers),
        tenants=tuple(_tenant(each, workers) for each in settings.tenants),
    )


def _tenant(tenant: Tenant, workers: int) -> Tenant:
    return evolve(tenant, limits=_divided(tenant.limits, DIVIDED_OF_TENANT, workers))


def _divided(limits: Any, names: tuple[str, ...], workers: int) -> Any:
    """Return the limits with those named divided; none stays none, which 0 may say, too."""
    wholes = {name: getattr(limits, name) for name in names}
    shares = {name: -(-whole // workers) for name, whole in wholes.items() if whole is not None}
    return evolve(limits, **shares)
