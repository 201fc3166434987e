"""A client that need not be polite, and what it sees of the gateway's answer."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from http import HTTPStatus

from attrs import field, frozen

from tests.conformance.frames import Opcode, Ping, frame
from tests.conformance.wire import Client, Response, WireError


@frozen
class Outcome:
    """
    How the gateway has answered.

    Attributes:
        status: of its HTTP answer; None where it said nothing.
        code: of its close frame, as a browser would tell it: 1005 if there is none in it, 1006 if
            the connection ended without one; None while the WebSocket is open.
        ended: it has ended the connection.
        headers: of the HTTP answer, for those who look closer.
        said: what it said beside these, such as a second answer; it should be nothing.
    """

    status: int | None
    code: int | None = None
    ended: bool = True
    headers: tuple[tuple[str, str], ...] = field(default=(), eq=False, repr=False)
    said: str = ""


CUT = Outcome(None)
"""The connection is ended without a word; behind TLS an alert may come first."""
SERVED = Outcome(101, ended=False)
"""The request is a good one, and the WebSocket echoes."""

CLOSED = Outcome(101, 1005)
"""A close frame without a code has come."""
LOST = Outcome(101, 1006)
"""The WebSocket has ended without a close frame."""


def refused(status: int) -> Outcome:
    """Return the outcome of a request that is answered with an error, and with nothing else."""
    return Outcome(int(HTTPStatus(status)))


def closed(code: int) -> Outcome:
    """Return the outcome of a WebSocket that is closed with a code."""
    return Outcome(101, code)


class Attacker(Client):
    """
    One connection, TLS included where there is any.

    Attributes:
        response: the HTTP answer, once it has been read.
        deaf: it answers no ping.
    """

    response: Response | None = None
    deaf = False

    def enter(self, octets: bytes) -> None:
        """
        Do an opening handshake that has to be accepted.

        Raises:
            WireError: it was not.
        """
        self.response = self.request(octets)
        if self.response.status != 101:
            raise WireError(f"status {self.response.status} in place of 101")

    def trickle(self, octets: bytes, pause: float) -> None:
        """Send one byte after the other, with so many seconds between, until it has ended."""
        for byte in octets:
            self.send(bytes([byte]))
            if self.read_until(lambda: bool(self.ended or self.received), pause):
                return

    def finish(self) -> None:
        """Say that nothing more will come (FIN), and go on reading."""
        with suppress(OSError):  # the gateway may have been faster
            self._socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """End the connection with RST."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def echoes(self, payload: bytes, seconds: float) -> bool:
        """Send a text message; say whether it comes back."""
        before = len(self.messages)
        self.send(frame(Opcode.TEXT, payload))
        came = self.read_until(lambda: len(self.messages) > before, seconds)
        self._flush()  # a pong, if a ping has come along
        return came and self.messages[before].payload == payload

    def outcome(self, seconds: float, probe: bytes = b"", hang_up: bool = True) -> Outcome:
        """
        Read how it ends.

        Args:
            seconds: how long to wait for each thing that must come.
            probe: a text to be echoed where a WebSocket should be open.
            hang_up: once the answer, or the close frame, is whole, end this side, and look whether
                anything else comes; else wait for the gateway to end its own.
        """
        self.timeout = seconds
        if self.response is None:
            try:
                self.response = self.request(b"")
            except WireError:
                return Outcome(None, None, bool(self.ended), said=_printable(self.received))
        response = self.response
        if response.status != 101:
            return self._refusal(response, hang_up)
        if probe and self.echoes(probe, seconds):
            return Outcome(101, None, bool(self.ended), said=self._violations)
        self.read_until(lambda: self.server_close is not None, seconds)
        close = self.server_close
        if close is None:
            return Outcome(101, 1006 if self.ended else None, bool(self.ended))
        self._await_end(hang_up)
        code = 1005 if close.code is None else close.code
        return Outcome(101, code, bool(self.ended), said=self._violations)

    def _refusal(self, response: Response, hang_up: bool) -> Outcome:
        size = int("".join(response.values("content-length")) or 0)
        whole = self.received.find(b"\r\n\r\n") + 4 + size
        self.read_until(lambda: len(self.received) >= whole)
        self._await_end(hang_up)
        extra, headers = _printable(self.received[whole:]), tuple(response.headers)
        return Outcome(response.status, None, bool(self.ended), headers, extra)

    def _await_end(self, hang_up: bool) -> None:
        if hang_up:
            self.finish()
        self.read_until(lambda: False)

    def _answer(self, ping: Ping) -> None:
        if not self.deaf:
            super()._answer(ping)

    @property
    def body(self) -> bytes:
        """The body of an HTTP answer that was no upgrade, as far as it is here."""
        return bytes(self.received).partition(b"\r\n\r\n")[2]

    @property
    def _violations(self) -> str:
        return "; ".join(self.frames.violations)


def _printable(octets: bytes | bytearray) -> str:
    return repr(bytes(octets[:80])) if octets else ""
