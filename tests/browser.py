"""
A browser for tests: the ``websockets`` library's asyncio client, behind calls that block.

Its blocking client is not used. That one reads in one thread and writes in another, on one TLS
object, which OpenSSL forbids: about one request in five hundred was never sent. Here one thread
with an event loop serves all browsers of the process.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import socket
import threading
from collections.abc import Coroutine, Iterable
from functools import cache
from typing import Any, Self, TypeVar

from websockets.asyncio.client import ClientConnection, connect

T = TypeVar("T")

Message = str | bytes

PATIENCE = 30.0
"""Seconds for anything that should happen at once; only a failing test ever waits so long."""


@cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="browsers", daemon=True).start()
    return loop


def _run(work: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
    """Return what a coroutine returns, or raise what it raises; `TimeoutError` cancels it."""
    future = asyncio.run_coroutine_threadsafe(work, _loop())
    try:
        return future.result(timeout)
    except concurrent.futures.TimeoutError:
        future.cancel()
        raise


class Browser:
    """
    An open WebSocket.

    Args:
        url: what to connect to.
        raw: a TCP connection to there, before TLS.
        options: of `websockets.asyncio.client.connect`.

    Raises:
        websockets.exceptions.InvalidStatus: the gateway has answered with an error.
    """

    def __init__(self, url: str, raw: socket.socket, **options: Any) -> None:
        raw.setblocking(False)

        async def open_it() -> ClientConnection:
            return await connect(url, sock=raw, **options)

        self._connection = _run(open_it())

    @property
    def subprotocol(self) -> str | None:
        """What was agreed to."""
        return self._connection.subprotocol

    @property
    def extensions(self) -> list[str]:
        """The names of the extensions agreed to."""
        return [each.name for each in self._connection.protocol.extensions]

    def send(self, message: Message | Iterable[Message]) -> None:
        """Send a message, or one in fragments; it blocks while the gateway does not read."""
        _run(self._connection.send(message))

    def recv(self, timeout: float = PATIENCE) -> Message:
        """Return the next message; `TimeoutError` if none comes in so many seconds."""
        return _run(self._connection.recv(), timeout)

    def ping(self) -> None:
        """Return when the gateway has answered a ping, so has read all that was sent before."""

        async def ping_pong() -> None:
            await (await self._connection.ping())

        _run(ping_pong(), PATIENCE)

    def close(self) -> None:
        """Close in good order; return when the connection is gone."""
        _run(self._connection.close())

    def vanish(self) -> None:
        """Be gone, without a word to the gateway."""
        _loop().call_soon_threadsafe(self._connection.transport.abort)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
