"""What tests do with a browser's socket: send until it blocks, receive, see how it ends."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from attrs import frozen
from websockets.exceptions import ConnectionClosed

from tests.browser import PATIENCE, Browser, Message


@frozen
class Ending:
    """
    How a socket ended, as the browser saw it.

    Attributes:
        code: the gateway's close code; 1006 if the connection ended without a close frame.
        reason: the gateway's close reason.
        messages: what still came before the end.
    """

    code: int
    reason: str
    messages: list[Message]


def ending(browser: Browser) -> Ending:
    """Receive until the socket ends."""
    messages: list[Message] = []
    try:
        while True:
            messages.append(browser.recv())
    except ConnectionClosed as closed:
        if closed.rcvd is None:
            return Ending(1006, "", messages)
        return Ending(closed.rcvd.code, closed.rcvd.reason, messages)


def receive(browser: Browser, count: int) -> list[Message]:
    """Return the next messages."""
    return [browser.recv() for _ in range(count)]


def receive_bytes(browser: Browser, count: int) -> bytes:
    """Return so many bytes of a tunnel, or more if the last message has more."""
    data = bytearray()
    while len(data) < count:
        message = browser.recv()
        if isinstance(message, str):
            raise AssertionError(f"a tunnel sent text: {message!r}")
        data += message
    return bytes(data)


class Sender(threading.Thread):
    """
    Send messages one after the other; it blocks where the gateway does not read.

    Attributes:
        sent: how many messages the socket has taken.
    """

    def __init__(self, browser: Browser, messages: Iterable[Message]) -> None:
        super().__init__(daemon=True)
        self._browser = browser
        self._messages = messages
        self._error: Exception | None = None
        self.sent = 0

    def run(self) -> None:
        try:
            for message in self._messages:
                self._browser.send(message)
                self.sent += 1
        except Exception as error:
            self._error = error

    def finish(self) -> None:
        """Wait until all is sent."""
        self.join(2 * PATIENCE)
        if self._error is not None:
            raise self._error
        if self.is_alive():
            raise AssertionError(f"still blocked after {self.sent} messages")
