"""The WebSockets of a tenant's browsers: how large, how framed, and by which parts carried."""

from __future__ import annotations

from orion_twisted.core.browser_v2 import MAX_HEADER
from orion_twisted.core.settings import Limits
from orion_twisted.net.browser import BrowserFactory, browser_factory
from orion_twisted.net.hotpath import ShortWay, shorten
from orion_twisted.net.lightsockets import lighten
from orion_twisted.service.surroundings import Surroundings


def socket_factory(limits: Limits, around: Surroundings) -> BrowserFactory:
    """Return what makes the sockets of a tenant's browsers."""
    most, tenant = _socket_limit(around), around.tenant
    factory = browser_factory(limits, most, tenant.compression, around.clock)
    if around.codec is None:
        return factory
    if around.is_spliced:
        way = ShortWay(around.codec, most, tenant.framing, tenant.message_type)
    else:
        way = ShortWay(around.codec, most)
    return lighten(shorten(factory, way))


def _socket_limit(around: Surroundings) -> int:
    """Return the largest WebSocket message of a tenant: in session mode a header is in front."""
    return around.max_message + (MAX_HEADER if around.tenant.mode == "session" else 0)
