"""Where browsers go in: a port, with or without TLS, and a path."""

from __future__ import annotations

import ssl

from attrs import frozen
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

CLOSE_WITHIN = 1.0
"""Seconds that a socket has to end in good order."""


@frozen
class Door:
    """
    Where browsers go in.

    Attributes:
        port: of the gateway, or of a proxy before it.
        tls: the context, where TLS is spoken.
        path: of the WebSocket.
    """

    port: int
    tls: ssl.SSLContext | None = None
    path: str = "/ws"

    async def open(
        self, subprotocol: str | None, *, heartbeat: float | None = None
    ) -> ClientConnection:
        """
        Return an open WebSocket; see `websockets.asyncio.client.connect` for what it raises.

        Args:
            subprotocol: to ask for.
            heartbeat: seconds between two pings; None for none.
        """
        scheme = "ws" if self.tls is None else "wss"
        return await connect(
            f"{scheme}://localhost:{self.port}{self.path}",
            host="127.0.0.1",
            port=self.port,
            ssl=self.tls,
            proxy=None,
            compression=None,
            max_size=None,
            max_queue=None,
            subprotocols=None if subprotocol is None else [Subprotocol(subprotocol)],
            open_timeout=5,
            close_timeout=CLOSE_WITHIN,
            ping_interval=heartbeat,
            ping_timeout=heartbeat,
        )
