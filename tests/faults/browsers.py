"""
What both kinds of browser do: sockets that come and go under one book.

They use the `websockets` library and share nothing with the gateway. A browser keeps on coming
back until it is told to leave; what it is to hand over is wished for::

    browser = BrowserV2("3", door)
    browser.start()
    browser.wish(Wish("delay", 20, ttl=5.0))
    await browser.settled()
    await browser.leave()
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import ClassVar

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.frames import CloseCode

from tests.faults.books import Book, Message, Wish
from tests.faults.doors import Door
from tests.harness import PATIENCE

COME_BACK_WITHIN = 0.2
"""Seconds within which a browser comes back after its socket is gone."""

HEARTBEAT = 1.5
"""Seconds between two pings, and after which a socket that does not answer is given up."""

NO_PONG = (CloseCode.INTERNAL_ERROR, "keepalive ping timeout")
"""What the `websockets` library says where a socket does not answer: no word of the gateway."""


class Browser(ABC):
    """
    A browser of one dialect.

    Args:
        name: the first part of its sessions' labels.
        door: where it goes in.
        heartbeat: how often it asks whether the other end is there; None for never.
        chance: gives a number from 0 to 1, for when it comes back.
    """

    subprotocol: ClassVar[str | None]

    def __init__(
        self,
        name: str,
        door: Door,
        *,
        heartbeat: float | None = HEARTBEAT,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.book = Book(name)
        self.door = door
        self.is_leaving = False
        self._heartbeat = heartbeat
        self._chance = chance
        self._wishes: deque[Wish] = deque()
        self._wake = asyncio.Event()
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._socket: ClientConnection | None = None

    # For whoever drives it

    def start(self) -> None:
        """Come in, and come back whenever the socket is gone."""
        self._task = asyncio.create_task(self._come_and_go())

    def wish(self, *wishes: Wish) -> None:
        """Hand messages over, as soon as there is room for them."""
        self._wishes.extend(wishes)
        self._wake.set()

    @property
    def waiting(self) -> int:
        """How many wishes have not been handed over yet."""
        return len(self._wishes)

    @property
    def is_settled(self) -> bool:
        """Whether all was handed over, and every message has an outcome that it can have."""
        return not self._wishes and not self._open

    async def until(self, condition: Callable[[], object], within: float = PATIENCE) -> None:
        """Wait until something holds that changes with what the browser hears."""
        async with asyncio.timeout(within):
            while not condition():
                if self._task is not None and self._task.done():
                    self._task.result()
                self._changed.clear()
                await self._changed.wait()

    async def settled(self, within: float = PATIENCE) -> None:
        await self.until(lambda: self.is_settled, within)

    async def handed_over(self, count: int) -> None:
        """Wait until so many messages have been written to a socket."""
        await self.until(lambda: len(self.book.messages) >= count)

    async def pushed(self, count: int) -> None:
        """Wait until the present session has got so many pushes."""
        await self.until(lambda: len(self.book.session.pushes) >= count)

    async def saw(self, what: str, times: int = 1) -> None:
        """Wait until something has been seen so often (`Book.seen`)."""
        await self.until(lambda: self.book.seen[what] >= times)

    async def send(self, wish: Wish, within: float = PATIENCE) -> Message:
        """Hand one message over; return it with its outcome."""
        count = len(self.book.messages) + len(self._wishes)
        self.wish(wish)
        await self.until(
            lambda: len(self.book.messages) > count and self.book.messages[count].outcome, within
        )
        return self.book.messages[count]

    async def leave(self) -> None:
        """Go for good, in good order."""
        self.is_leaving = True
        socket = self._socket
        if socket is not None:
            with suppress(ConnectionClosed):
                await self._say_goodbye(socket)
            await socket.close()
        await self._stop()

    async def vanish(self) -> None:
        """Go for good, without a word."""
        self.is_leaving = True
        self.drop_socket()
        await self._stop()

    def drop_socket(self) -> None:
        """Lose the socket, without a word."""
        if self._socket is not None:
            self._socket.transport.abort()

    def pause_reading(self) -> None:
        """Take nothing more from the socket."""
        if self._socket is not None:
            self._socket.transport.pause_reading()

    def resume_reading(self) -> None:
        if self._socket is not None:
            self._socket.transport.resume_reading()

    async def _stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    # Sockets

    async def _come_and_go(self) -> None:
        while not self.is_leaving:
            try:
                async with asyncio.timeout(5):
                    socket = await self.door.open(self.subprotocol, heartbeat=self._heartbeat)
            except (OSError, WebSocketException, EOFError):
                self.book.seen["refused or cut on the way in"] += 1
            else:
                await self._live(socket)
            self._changed.set()
            await asyncio.sleep(self._chance() * COME_BACK_WITHIN)

    async def _live(self, socket: ClientConnection) -> None:
        self._socket = socket
        began, port = time.monotonic(), socket.local_address[1]
        writer: asyncio.Task[None] | None = None
        try:
            await self._attach(socket)
            self.book.sockets.append((time.monotonic(), math.inf))
            self._wake.set()
            self._changed.set()
            writer = asyncio.create_task(self._write(socket))
            while True:
                self._take(await socket.recv())
                self._changed.set()
        except ConnectionClosed as error:
            self._note_close(error, port)
        finally:
            if writer is not None:
                writer.cancel()
                with suppress(asyncio.CancelledError, ConnectionClosed):
                    await writer
            # Whatever is left of it is not worth waiting for.
            socket.transport.abort()
            self._socket = None
            now = time.monotonic()
            self.book.ports.append((began, now, port))
            if self.book.sockets:
                since, until = self.book.sockets[-1]
                self.book.sockets[-1] = since, min(until, now)
            self._detached(now)

    def _note_close(self, error: ConnectionClosed, port: int) -> None:
        """Write down how a socket has ended: the `websockets` library closes some by itself."""
        sent, seen = error.sent, self.book.seen
        if sent is None or error.rcvd_then_sent or sent.code == CloseCode.NORMAL_CLOSURE:
            seen[f"closed with {None if error.rcvd is None else error.rcvd.code}"] += 1
        elif (sent.code, sent.reason) == NO_PONG:
            seen["gave up, unanswered"] += 1
            self.book.unanswered.append((time.monotonic(), port))
        else:
            # It has read what is no WebSocket, or met a bug of its own.
            self.book.complain(f"its socket was given up with {sent.code} {sent.reason!r}")

    async def _write(self, socket: ClientConnection) -> None:
        with suppress(ConnectionClosed):
            await self._write_old(socket)
            while True:
                self._wake.clear()
                while self._wishes and self._has_room(self._wishes[0]):
                    await self._hand_over(socket, self._wishes.popleft())
                    self._changed.set()
                await self._wake.wait()

    # What the dialects differ in

    @property
    @abstractmethod
    def _open(self) -> object:
        """Whatever has no outcome yet: empty if there is nothing."""

    @abstractmethod
    async def _attach(self, socket: ClientConnection) -> None:
        """Do what a new socket begins with."""

    @abstractmethod
    def _detached(self, now: float) -> None:
        """The socket is gone."""

    @abstractmethod
    async def _write_old(self, socket: ClientConnection) -> None:
        """Write again what the gateway may not have."""

    @abstractmethod
    def _has_room(self, wish: Wish) -> bool:
        """Say whether another message may be handed over now."""

    @abstractmethod
    async def _hand_over(self, socket: ClientConnection, wish: Wish) -> None: ...

    @abstractmethod
    def _take(self, message: str | bytes) -> None:
        """Take a message of the gateway."""

    @abstractmethod
    async def _say_goodbye(self, socket: ClientConnection) -> None:
        """Say that the session is over, where the dialect has a word for it."""
