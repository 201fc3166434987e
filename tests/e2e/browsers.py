"""What tests do with a browser's socket: send until it blocks, receive, see how it ends."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from attrs import frozen
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from tests.harness import PATIENCE

Message = str | bytes


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


def ending(browser: ClientConnection) -> Ending:
    """Receive until the socket ends."""
    messages: list[Message] = []
    try:
        while True:
            messages.append(browser.recv(timeout=PATIENCE))
    except ConnectionClosed as closed:
        if closed.rcvd is None:
            return Ending(1006, "", messages)
        return Ending(closed.rcvd.code, closed.rcvd.reason, messages)


def receive(browser: ClientConnection, count: int) -> list[Message]:
    """Return the next messages."""
    return [browser.recv(timeout=PATIENCE) for _ in range(count)]


def receive_bytes(browser: ClientConnection, count: int) -> bytes:
    """Return so many bytes of a tunnel, or more if the last message has more."""
    data = bytearray()
    while len(data) < count:
        message = browser.recv(timeout=PATIENCE)
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

    def __init__(self, browser: ClientConnection, messages: Iterable[Message]) -> None:
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
