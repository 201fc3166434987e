"""A browser of dialect ``orion.v1``: one answer for each ``@MSGID``, and no return."""

from __future__ import annotations

import time
from typing import Any, ClassVar

from websockets.asyncio.client import ClientConnection

from tests.faults.books import Message, Outcome, Wish
from tests.faults.browsers import Browser
from tests.faults.orders import loads

MOST_OPEN = 32
"""How many messages it has under way at a time."""


class BrowserV1(Browser):
    """
    Each socket is a session. Numbers go on from one to the next.

    Attributes:
        retry_every: every so-many-th message is sent twice, as an impatient page does; 0 is never.
    """

    subprotocol: ClassVar[str | None] = "orion.v1"
    retry_every = 0

    def __init__(self, *place: Any, **options: Any) -> None:
        super().__init__(*place, **options)
        self._pending: dict[int, Message] = {}

    @property
    def _open(self) -> object:
        return self._pending

    async def _attach(self, socket: ClientConnection) -> None:
        self.book.begin(time.monotonic())

    def _detached(self, now: float) -> None:
        if self.book.sessions and self.book.session.ended is None:
            self.book.end(now, "its socket")
        self._pending = {}

    async def _write_old(self, socket: ClientConnection) -> None:
        """Nothing is old: a session has one socket."""

    async def _say_goodbye(self, socket: ClientConnection) -> None:
        """There is no word for it."""

    def _has_room(self, wish: Wish) -> bool:
        return len(self._pending) < MOST_OPEN

    async def _hand_over(self, socket: ClientConnection, wish: Wish) -> None:
        n = len(self.book.messages) + 1
        order = wish.order(self.book.session.label, n)
        message = Message(order, wish, n, time.monotonic())
        self.book.messages.append(message)
        self._pending[n] = message
        text = order.text(**{"@MSGID": n})
        await socket.send(text)
        if self.retry_every and n % self.retry_every == 0:
            message.again += 1
            await socket.send(text)

    def _take(self, message: str | bytes) -> None:
        content = loads(message) if isinstance(message, str) else None
        if content is None:
            self.book.complain(f"{message[:100]!r} is no JSON object in text")
        elif "msgID" not in content:
            self.book.take_push(content)
        else:
            self._take_answer(content.get("msgID"), content)
            self._wake.set()

    def _take_answer(self, n: object, content: dict[str, object]) -> None:
        message = self._pending.pop(n, None) if isinstance(n, int) else None
        if message is None:
            self.book.complain(f"an answer to {n!r}, which waits for none: {str(content)[:200]}")
            return
        now = time.monotonic()
        code, serial, ok = content.get("code"), content.get("serial"), content.get("success")
        if isinstance(code, str):
            self.book.settle(message, Outcome("error", code, at=now))
        elif content.get("id") != message.order.id or not isinstance(serial, int):
            self.book.complain(f"{message.order.id} got the answer {str(content)[:200]}")
        else:
            self.book.settle(message, Outcome("result", serial=serial, ok=ok is True, at=now))


class PlainBrowser(BrowserV1):
    """The same, without a subprotocol: the Web Editor as it always was."""

    subprotocol = None
