"""Back-pressure: how a connection's full send buffer is felt by whoever writes to it, and whether
the peer takes anything out of it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from struct import Struct
from typing import Any

from twisted.internet.interfaces import INegotiated, IPushProducer
from zope.interface import implementer

_IPPROTO_TCP, _TCP_INFO = 6, 11
_BYTES = Struct("=Q")
_ACKED_AT, _RECEIVED_AT = 120, 128
"""Where Linux has them in ``struct tcp_info`` (``linux/tcp.h``), since 4.1: like the two numbers
above, they are nowhere else so."""


def acknowledged(transport: Any) -> int | None:
    """
    Return how many bytes the peer's system has taken since the connection began.

    Args:
        transport: plain or TLS; the bytes are those on the wire.

    Returns:
        None where the system does not tell: without TCP, or without Linux.
    """
    return _told(transport, _ACKED_AT)


def received(transport: Any) -> int | None:
    """Return likewise how many have come from the peer, whether they have been read or not."""
    return _told(transport, _RECEIVED_AT)


def _told(transport: Any, at: int) -> int | None:
    if sys.platform != "linux":
        return None
    is_tls = INegotiated.providedBy(transport)
    plain: Any = transport.transport if is_tls else transport
    try:
        info = plain.getHandle().getsockopt(_IPPROTO_TCP, _TCP_INFO, 256)
    except (AttributeError, OSError):
        return None
    if len(info) < at + _BYTES.size:
        return None
    (count,) = _BYTES.unpack_from(info, at)
    return int(count)


@implementer(IPushProducer)
class Fullness:
    """
    Told by a transport to pause when its buffer is full, it tells whoever writes there.

    Args:
        transport: plain or TLS; this becomes its producer.
        tell: called with ``True`` when the send buffer has passed its mark, perhaps several times,
            and with ``False`` when it is empty again.
    """

    __slots__ = ("_is_tls", "_tell", "_transport")  # there are two for each browser

    def __init__(self, transport: Any, tell: Callable[[bool], None]) -> None:
        self._transport = transport
        self._is_tls = bool(INegotiated.providedBy(transport))
        self._tell = tell
        transport.registerProducer(self, True)

    def pauseProducing(self) -> None:
        self._tell(True)

    def resumeProducing(self) -> None:
        plain = self._transport.transport if self._is_tls else self._transport
        if plain.disconnecting:
            # The end has begun while the buffer was full, by us, or by a peer that ended TLS.
            # Twisted would close now, but for a producer that it has to resume it forgets to.
            self._transport.unregisterProducer()
        else:
            self._tell(False)

    def stopProducing(self) -> None:
        """The connection is gone, which its protocol reports."""
        self._transport = None  # cuts a cycle of references
