"""
A TLS connection that reads its client's first message before OpenSSL does.

OpenSSL asks which context a name has only after it has looked at the client's ticket, so that a
ticket for one name would be taken back under another. Here the context is there first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from OpenSSL import SSL

from orion_twisted.net.clienthello import ClientHelloReader, NoClientHello

UNRECOGNIZED_NAME = bytes.fromhex("15 0303 0002 02 70")
"""A fatal alert in its record: nobody here answers to that name (RFC 6066, section 3)."""

Choose: TypeAlias = "Callable[[ServerConnection, bytes], None]"


class ServerConnection(SSL.Connection):
    """
    A server's side of a connection, until the client's first message is whole.

    Args:
        entrance: a context without a certificate. It refuses what is no ClientHello.
        choose: is called with the connection and the name that the client asks for (as it came;
            nothing if there is none), to set a context or to refuse.
    """

    def __init__(self, entrance: SSL.Context, choose: Choose) -> None:
        super().__init__(entrance, None)
        self._choose = choose
        self._reader = ClientHelloReader()
        self._alert: bytes | None = None

    def refuse(self, alert: bytes) -> None:
        """End the handshake, which has not begun yet, with an alert."""
        self._alert = alert

    def bio_write(self, buf: bytes | bytearray | memoryview) -> int:
        """Take bytes from the network."""
        if self._alert is not None:
            return len(buf)
        try:
            name = self._reader.feed(bytes(buf))
            if name is None:
                return len(buf)
            self._choose(self, name)
        except NoClientHello:
            pass  # OpenSSL says what is wrong with it
        if self._alert is None:
            super().bio_write(bytes(self._reader.arrived))
            del self._reader, self._choose
            # From here on it is a plain connection: each read and write calls these methods.
            self.__class__ = SSL.Connection  # type: ignore[assignment]
        return len(buf)

    def do_handshake(self) -> None:
        """
        Go on with the handshake as far as what has arrived allows.

        Raises:
            SSL.Error: it has been refused, or is waiting for more.
        """
        if self._alert is not None:
            raise SSL.Error([("", "", "unrecognized name")])
        super().do_handshake()

    def bio_read(self, bufsiz: int) -> bytes:
        """Return bytes for the network: there is an alert at most."""
        if self._alert:
            alert, self._alert = self._alert, b""
            return alert
        return super().bio_read(bufsiz)
