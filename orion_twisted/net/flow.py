"""Back-pressure: how a connection's full send buffer is felt by whoever writes to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import INegotiated, IPushProducer
from zope.interface import implementer


@implementer(IPushProducer)
class Fullness:
    """
    Told by a transport to pause when its buffer is full, it tells whoever writes there.

    Args:
        transport: plain or TLS; this becomes its producer.
        tell: called with ``True`` when the send buffer has passed its mark, perhaps several times,
            and with ``False`` when it is empty again.
    """

    def __init__(self, transport: Any, tell: Callable[[bool], None]) -> None:
        self._transport = transport
        self._is_tls = bool(INegotiated.providedBy(transport))
        self._tell = tell
        transport.registerProducer(self, True)

    def pauseProducing(self) -> None:
        self._tell(True)

    def resumeProducing(self) -> None:
        if self._is_tls and self._transport.transport.disconnecting:
            # The peer has ended TLS while the buffer was full. Twisted would close now, but for a
            # producer that it has to resume it forgets to, and drops all that is written later.
            self._transport.unregisterProducer()
        else:
            self._tell(False)

    def stopProducing(self) -> None:
        """The connection is gone, which its protocol reports."""
        self._transport = None  # cuts a cycle of references
