"""
What may be pumped: a connection and what lies between it and its owner, if all of it is known.

Each part names what has to be so for a pump to read or to write past it: its guards
(`orion_twisted.net.eager.Guards`). They are put together here, and so are the methods that a pump
calls in place of the parts.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Generic, TypeVar
from typing import Protocol as Seam

from attrs import frozen

from orion_twisted.net import eager, leantls
from orion_twisted.net.eager import LEAST_READ, EagerClient, EagerServer, Guards
from orion_twisted.net.hotpath import HotBrowserProtocol, SplicedLink
from orion_twisted.net.leantls import LeanTLSProtocol
from orion_twisted.net.pumpload import fast, why_not_c

_SCRATCH = bytearray(LEAST_READ)
"""What is read, until it is copied, which is at once; all pumps share it."""


@cache
def why_not() -> str | None:
    """Say what pumps need that is not there; None if they can be had."""
    if fast is None:
        return why_not_c
    return eager.why_not() or leantls.why_not()


class Tappable(Seam):
    """A link that is read by itself (`orion_twisted.net.sessionlinks`)."""

    transport: Any

    def dataReceived(self, data: bytes) -> None:
        """Take what came."""

    def guards_of_reading(self) -> Guards:
        """Return what has to be so for `dataReceived` to be told."""

    def guards_of_writing(self) -> Guards:
        """Return what has to be so for frames to be sent."""


End = TypeVar("End", HotBrowserProtocol, SplicedLink, Tappable)


@frozen(eq=False)
class Side(Generic[End]):
    """
    One connection: of two that are to be joined, or by itself.

    Attributes:
        end: whose it is.
        connection: its socket's.
        tls: what lies between; None: nothing.
    """

    end: End
    connection: Any
    tls: Any

    @property
    def guards_of_reading(self) -> Guards:
        """What has to be so for a pump to read here."""
        between: Guards = () if self.tls is None else self.tls.guards_of_reading()
        return (
            *self.end.guards_of_reading(),
            *between,
            *self.connection.guards_of_reading(),
        )

    @property
    def guards_of_writing(self) -> Guards:
        """What has to be so for a pump to write here, without anything to wait for."""
        between: Guards = () if self.tls is None else self.tls.guards_of_writing()
        return (
            *self.connection.guards_of_writing(),
            *between,
            *self.end.guards_of_writing(),
        )

    def reading(self) -> dict[str, Any]:
        """Return what pumps call to read."""
        opening: Any = None if self.tls is None else self.tls.getHandle()
        return {
            "connection": self.connection,
            "receive": self.connection.socket.recv_into,
            "scratch": _SCRATCH,
            "give": None if opening is None else opening.bio_write,
            "open": None if opening is None else opening.recv,
        }

    def writing(self) -> dict[str, Any]:
        """Return what pumps call to send."""
        sealing: Any = None if self.tls is None else self.tls.getHandle()
        return {
            "seal": None if sealing is None else sealing.send,
            "sealed": None if sealing is None else sealing.bio_read,
            "send": self.connection.socket.send,
        }


def side_of(end: End) -> Side[End] | None:
    """
    Return a side, or None if it cannot be pumped.

    There are no pumps, or they do not know something in it, or something else reads there in the
    connection's place, as when it is cut off.
    """
    if why_not() is not None:
        return None
    transport: Any = end.transport
    tls = transport if type(transport) is LeanTLSProtocol else None
    connection = transport if tls is None else tls.transport
    if type(connection) not in (EagerServer, EagerClient) or "doRead" in vars(connection):
        return None
    return Side(end, connection, tls)
