"""A browser of dialect ``orion.v2``: one session over all its sockets, with resume."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import suppress
from typing import Any, ClassVar

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from tests.faults.books import Message, Outcome, Wish
from tests.faults.browsers import Browser
from tests.faults.orders import loads
from tests.faults.words_v2 import Header, Unreadable, hello, pack, unpack

ACK_AFTER = 16
"""Messages after which it says what it has, if it has nothing else to say."""
ACK_WITHIN = 1.0
"""Seconds after which it does."""
TRANSIT = 2.0
"""Seconds that a message of the gateway may have been on its way, through a stall."""


class BrowserV2(Browser):
    """
    It numbers what it hands over, resumes with sid, key and the highest ``s``, and says nothing
    beyond its window.

    Attributes:
        again_every: so often it sends a message again that it has no outcome for; 0 is never.
        sid, key, seen: what it would resume with.
        welcome: the header of the last welcome.
    """

    subprotocol: ClassVar[str | None] = "orion.v2"
    again_every = 0

    def __init__(self, *place: Any, **options: Any) -> None:
        super().__init__(*place, **options)
        self.sid = self.key = ""
        self.seen = 0
        self.welcome: Header = {}
        self._n = 0
        self._heard_at = 0.0
        self._acknowledged = 0
        self._pending: dict[int, Message] = {}
        self._bytes = 0
        self._lost: deque[list[int]] = deque()
        self._frames: dict[int, str | bytes] = {}  # by s, those not acknowledged: to compare
        self._asked_again: set[int] = set()
        self._acker: asyncio.Task[None] | None = None

    @property
    def _open(self) -> object:
        return self._pending

    # Sockets

    async def _attach(self, socket: ClientConnection) -> None:
        self._asked_again.clear()
        await socket.send(hello(self.sid, self.key, self.seen))
        first = await socket.recv()
        header, payload = unpack(first)
        if header["type"] != "welcome" or payload is not None:
            raise Unreadable(f"{first[:100]!r} instead of a welcome")
        self.welcome = header
        if header["sid"] != self.sid:
            self._begin(header)
        else:
            self.book.seen["resumed"] += 1
            self._resume(header)
        self.key = header["key"]
        self._heard_at = time.monotonic()
        self._acker = asyncio.create_task(self._acknowledge_in_time(socket))

    def _begin(self, header: Header) -> None:
        now = time.monotonic()
        if self.sid:
            self.book.seen["sessions gone"] += 1
            left = self._heard_at + header["ttl"] / 1000 - TRANSIT - now
            if left > 0:
                self.book.complain(f"session {self.book.session.label} is gone {left:.1f} s early")
            self.book.end(now, "its session")
        if header["recovered"] or header["ack"] or header.get("lost"):
            self.book.complain(f"a new session begins with {header}")
        self.sid = header["sid"]
        self.seen = self._n = self._acknowledged = self._bytes = 0
        self._pending = {}
        self._lost.clear()
        self._frames.clear()
        self.book.begin(now, self.sid)

    def _resume(self, header: Header) -> None:
        lost = header.get("lost", [])
        if header["recovered"] == bool(lost):
            self.book.complain(f"recovered is not told truly: {header}")
        ends = [end for pair in lost for end in pair]
        if ends != sorted(ends) or any(end <= self.seen for end in ends):
            self.book.complain(f"lost is not in order, or was seen: {header}, seen {self.seen}")
        with_outcome = max(set(range(1, self._n + 1)) - set(self._pending), default=0)
        if not with_outcome <= header["ack"] <= self._n:
            self.book.complain(
                f"{header['ack']} acknowledged, of {self._n}; {with_outcome} has an outcome"
            )
        self._lost = deque([list(pair) for pair in lost])
        self._skip_lost()

    def _skip_lost(self) -> None:
        while self._lost and self._lost[0][0] == self.seen + 1:
            first, last = self._lost.popleft()
            self.seen = last
            self.book.session.lost += last - first + 1

    def _detached(self, now: float) -> None:
        acker, self._acker = self._acker, None
        if acker is not None:
            acker.cancel()
        if self.is_leaving and self.book.sessions:
            self.book.end(now, "its browser")

    async def _write_old(self, socket: ClientConnection) -> None:
        for n, message in list(self._pending.items()):
            if n > self.welcome["ack"]:
                message.again += 1
                await socket.send(self._packed(message))

    def _packed(self, message: Message) -> str | bytes:
        wish = message.wish
        header: Header = {"type": "request" if wish.wants_result else "notify", "n": message.n}
        if wish.ttl is not None:
            header["ttl"] = int(wish.ttl * 1000)
        if wish.is_safe:
            header["repeat"] = "safe"
        if self.seen > self._acknowledged:
            header["ack"] = self.seen
            self._note_acknowledged()
        order = message.order
        return pack(header, order.binary() if wish.is_binary else order.text())

    def _note_acknowledged(self) -> None:
        for s in range(self._acknowledged + 1, self.seen + 1):
            self._frames.pop(s, None)
        self._acknowledged = self.seen

    async def _acknowledge_in_time(self, socket: ClientConnection) -> None:
        with suppress(ConnectionClosed):
            while True:
                await asyncio.sleep(ACK_WITHIN)
                await self._acknowledge(socket)

    async def _acknowledge(self, socket: ClientConnection) -> None:
        if self.seen > self._acknowledged:
            self._note_acknowledged()
            await socket.send(pack({"type": "ack", "ack": self.seen}))

    async def _say_goodbye(self, socket: ClientConnection) -> None:
        await socket.send(pack({"type": "bye"}))

    # Messages

    def _has_room(self, wish: Wish) -> bool:
        if not self._pending:
            return True
        order = wish.order(self.book.session.label, self._n + 1)
        bytes_then = self._bytes + len(order.text()) + 8
        window, window_bytes = self.welcome["window"], self.welcome["window_bytes"]
        return bool(len(self._pending) < window and bytes_then <= window_bytes)

    async def _hand_over(self, socket: ClientConnection, wish: Wish) -> None:
        self._n += 1
        order = wish.order(self.book.session.label, self._n)
        message = Message(order, wish, self._n, time.monotonic())
        self.book.messages.append(message)
        self._pending[self._n] = message
        self._bytes += message.size
        await socket.send(self._packed(message))
        if self.again_every and self._n % self.again_every == 0:
            await self._send_again(socket, next(iter(self._pending.values()), message))
        if self.seen - self._acknowledged >= ACK_AFTER:
            await self._acknowledge(socket)

    async def _send_again(self, socket: ClientConnection, message: Message) -> None:
        """Send a message again that has no outcome, out of impatience."""
        message.again += 1
        self._asked_again.add(message.n)
        await socket.send(self._packed(message))

    def _take(self, message: str | bytes) -> None:
        self._heard_at = time.monotonic()
        try:
            header, payload = unpack(message)
        except Unreadable as error:
            self.book.complain(f"an unreadable message: {error}")
            return
        if "ack" in header and header["ack"] > self._n:
            self.book.complain(f"{header} acknowledges more than {self._n}")
        if "s" in header:
            self._take_numbered(header, payload, message)
        elif header["type"] == "receipt":
            self._take_answer_to_repetition(header)
        elif header["type"] in ("ack", "drain"):
            self.book.seen[header["type"]] += 1
        else:
            self.book.complain(f"{header} has no s")

    def _take_answer_to_repetition(self, header: Header) -> None:
        self.book.seen["told how far"] += 1
        if header["n"] not in self._asked_again or header["stage"] not in ("accepted", "sent"):
            self.book.complain(f"{header} answers to nothing")

    def _take_numbered(
        self, header: Header, payload: str | bytes | None, message: str | bytes
    ) -> None:
        s = header["s"]
        without_ack = pack({k: v for k, v in header.items() if k != "ack"}, payload)
        if s <= self.seen:
            self.book.seen["told again"] += 1
            if header.get("n") not in self._asked_again:
                self.book.complain(f"{header} came a second time, unasked")
            if self._frames.get(s, without_ack) != without_ack:
                self.book.complain(f"{header} is not what came as {s} before")
            return
        if s != self.seen + 1:
            self.book.complain(f"{s} came after {self.seen}")
        self.seen = s
        self._frames[s] = without_ack
        self._skip_lost()
        if header["type"] == "push":
            self.book.take_push(loads(payload or "") or {})
        else:
            self._take_outcome(header, payload)
            self._wake.set()

    def _take_outcome(self, header: Header, payload: str | bytes | None) -> None:
        message = self._pending.pop(header.get("n", 0), None)
        if message is None:
            self.book.complain(f"{header} is for a message that waits for nothing")
            return
        self._bytes -= message.size
        now = time.monotonic()
        match header["type"]:
            case "receipt" if header["stage"] == "sent" and not message.wish.wants_result:
                self.book.settle(message, Outcome("receipt", "sent", at=now))
            case "error":
                self.book.settle(message, Outcome("error", header["code"], at=now))
            case "result" if message.wish.wants_result:
                content = loads(payload or "") or {}
                if content.get("id") != message.order.id:
                    self.book.complain(f"{message.order.id} got the result {str(content)[:200]}")
                ok = header.get("ok", True)
                self.book.settle(
                    message, Outcome("result", serial=content.get("serial"), ok=ok, at=now)
                )
            case _:
                self.book.complain(f"{header} is no outcome of {message.order.id}")
