"""
A raw WebSocket client: it sends any octets in any chops, and reads while it sends.

It works in one thread, and no server that echoes early can lock both sides up.
"""

import base64
import hashlib
import select
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from tests.conformance.frames import Close, FrameReader, Message, Opcode, Ping, Pong, frame

ACCEPT_SALT = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
READ_SIZE = 1 << 18  # octets
MAX_RESPONSE_HEAD = 1 << 16  # octets


class WireError(Exception):
    """The server could not be reached, or did not answer as a WebSocket server does."""


@dataclass(frozen=True, slots=True)
class Target:
    """
    Where the server under test is, and how to get there.

    Attributes:
        tls: the context to connect with; None means plain TCP.
        host: the name sent as SNI and as Host header.
        address: what to connect to, by default ``host``.
        source: the address to connect from; by default the system chooses.
        preface: octets to send before anything else, TLS included.
    """

    host: str
    port: int
    path: str = "/"
    tls: ssl.SSLContext | None = None
    address: str = ""
    source: str = ""
    preface: bytes = b""

    @classmethod
    def from_url(cls, url: str, ca_file: str | None = None) -> Self:
        """
        Read ``ws://`` or ``wss://``; without a CA file the server's certificate is not checked.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("ws", "wss") or not parts.hostname:
            raise WireError(f"not a WebSocket URL: {url}")
        context = None
        if parts.scheme == "wss":
            context = ssl.create_default_context(cafile=ca_file)
            if ca_file is None:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
        port = parts.port or (443 if context else 80)
        return cls(parts.hostname, port, parts.path or "/", context)

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        return f"{self.host}:{self.port}"


def accept_of(key: bytes) -> str:
    """What Sec-WebSocket-Accept must be for this Sec-WebSocket-Key."""
    return base64.b64encode(hashlib.sha1(key + ACCEPT_SALT).digest()).decode()


class Wire:
    """
    One TCP or TLS connection, from connect to the server's end of stream.

    Attributes:
        received: octets that came and have not been taken yet.
        ended: "" while the server's side is open, then "eof" or "reset".

    Args:
        target: where to connect.
        timeout: seconds that any single operation may take.
    """

    def __init__(self, target: Target, timeout: float = 10.0) -> None:
        self.target = target
        self.timeout = timeout
        self.received = bytearray()
        self.ended = ""
        self._unsent = bytearray()
        self._deaf = False
        self._tls: ssl.SSLObject | None = None
        try:
            self._socket = socket.create_connection(
                (target.address or target.host, target.port),
                timeout,
                (target.source, 0) if target.source else None,
            )
        except OSError as error:
            raise WireError(f"cannot connect to {target.authority}: {error}") from error
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(target.preface)
        self._socket.setblocking(False)
        if target.tls is not None:
            self._encrypted, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            self._tls = target.tls.wrap_bio(
                self._encrypted, self._outgoing, server_hostname=target.host
            )
            try:
                self._shake_hands(self._tls)
            except (ssl.SSLError, WireError) as error:
                self._socket.close()
                raise WireError(f"no TLS with {target.authority}: {error}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the socket, whatever its state."""
        self._socket.close()

    def send(self, octets: bytes, chop: int = 0) -> None:
        """
        Send, in pieces of ``chop`` octets if that is not 0, each a TLS record or a TCP push of its
        own.

        A server that has gone is no error here: its frames may still be there to be read.

        Raises:
            WireError: the server took nothing for ``timeout`` seconds.
        """
        view = memoryview(octets)
        for start in range(0, len(view), chop or len(view) or 1):
            piece = view[start : start + chop] if chop else view
            while len(piece) and not self._deaf:
                written = len(piece) if self._tls is None else self._tls.write(piece)
                self._unsent += piece[:written] if self._tls is None else self._outgoing.read()
                piece = piece[written:]
                self._flush()

    def read_until(self, condition: Callable[[], bool], timeout: float | None = None) -> bool:
        """
        Read until the condition holds; False if the time ran out or the stream ended before it
        did.
        """
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while not condition():
            if self.ended or not self._exchange(deadline):
                return condition()
        return True

    def _arrived(self) -> None:
        """Something new is in ``received``; a subclass takes it from there."""

    def _shake_hands(self, tls: ssl.SSLObject) -> None:
        deadline = time.monotonic() + self.timeout
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                self._unsent += self._outgoing.read()
                if self.ended or not self._exchange(deadline):
                    raise WireError(self.ended or "timed out") from None
            else:
                self._unsent += self._outgoing.read()
                return self._flush()

    def _flush(self) -> None:
        deadline = time.monotonic() + self.timeout
        while self._unsent and not self._deaf:
            before = len(self._unsent)
            if not self._exchange(deadline):
                raise WireError(f"server read nothing for {self.timeout:g} s")
            if len(self._unsent) < before:
                deadline = time.monotonic() + self.timeout

    def _exchange(self, deadline: float) -> bool:
        """Wait until the socket can be read or written, do that; False when the time is up."""
        wanted = [self._socket] if self._unsent and not self._deaf else []
        hearing = [] if self.ended else [self._socket]
        remaining = max(0.0, deadline - time.monotonic())
        readable, writable, _ = select.select(hearing, wanted, [], remaining)
        if writable:
            try:
                del self._unsent[: self._socket.send(self._unsent[:READ_SIZE])]
            except OSError:
                self._deaf = True
        if readable:
            try:
                octets = self._socket.recv(READ_SIZE)
            except OSError:
                self._end("reset")
            else:
                self._take(octets)
        return bool(readable or writable)

    def _take(self, octets: bytes) -> None:
        if self._tls is None:
            if octets:
                self.received += octets
                self._arrived()
            else:
                self._end("eof")
            return
        if octets:
            self._encrypted.write(octets)
        else:
            self._encrypted.write_eof()
        if self._tls.version() is None:
            if not octets:
                self._end("eof")
            return
        try:
            while plain := self._tls.read(READ_SIZE):
                self.received += plain
            self._arrived()
            self._end("eof")
        except ssl.SSLWantReadError:
            self._arrived()
        except ssl.SSLError as error:
            # A stream that ends without close_notify is a TLS matter, none of RFC 6455.
            self._arrived()
            self._end("eof" if isinstance(error, ssl.SSLEOFError) else f"TLS error: {error}")

    def _end(self, how: str) -> None:
        self.ended = self.ended or how
        self._deaf = True


@dataclass(frozen=True, slots=True)
class Response:
    """The head of an HTTP answer; header names are in lower case."""

    status: int
    headers: list[tuple[str, str]]

    def values(self, name: str) -> list[str]:
        """All values of one header."""
        return [value for key, value in self.headers if key == name]


class Client(Wire):
    """A wire that has, or is about to have, a WebSocket on it."""

    def __init__(self, target: Target, timeout: float = 10.0) -> None:
        self.frames = FrameReader()
        self._upgraded = False
        super().__init__(target, timeout)

    @property
    def messages(self) -> list[Message]:
        """The data messages so far."""
        return [event for event in self.frames.events if isinstance(event, Message)]

    @property
    def pongs(self) -> list[bytes]:
        """The payloads of the pongs so far."""
        return [event.payload for event in self.frames.events if isinstance(event, Pong)]

    @property
    def server_close(self) -> Close | None:
        """The server's close frame, once it is here."""
        events = self.frames.events
        return next((event for event in reversed(events) if isinstance(event, Close)), None)

    def request(self, octets: bytes, chop: int = 0) -> Response:
        """
        Send an HTTP request as it stands and read the head of the answer.

        Raises:
            WireError: no whole, well-formed head came in time.
        """
        self.send(octets, chop)
        self.read_until(lambda: b"\r\n\r\n" in self.received or self._head_is_too_long())
        head, separator, rest = bytes(self.received).partition(b"\r\n\r\n")
        if not separator:
            raise WireError(f"no HTTP response, {self.ended or 'timed out'}: {head[:80]!r}")
        response = _parse_head(head)
        if response.status == 101:
            self._upgraded = True
            self.received[:] = rest
            self._arrived()
        return response

    def open(self) -> None:
        """
        Do a plain opening handshake.

        Raises:
            WireError: the server refused it, or accepted it in the wrong way.
        """
        response = self.request(request_octets(self.target, STANDARD_REQUEST))
        if complaint := complaint_about_upgrade(response):
            raise WireError(complaint)

    def _head_is_too_long(self) -> bool:
        return len(self.received) > MAX_RESPONSE_HEAD

    def _arrived(self) -> None:
        if not self._upgraded or not self.received:
            return
        known = len(self.frames.events)
        self.frames.feed(bytes(self.received))
        self.received.clear()
        for event in self.frames.events[known:]:
            if isinstance(event, Ping):
                self._answer(event)

    def _answer(self, ping: Ping) -> None:
        octets = frame(Opcode.PONG, ping.payload)
        if self._tls is not None:
            self._tls.write(octets)
            octets = self._outgoing.read()
        self._unsent += octets


STANDARD_REQUEST = (
    "GET {path} HTTP/1.1",
    "Host: {host}",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: {key}",
    "Sec-WebSocket-Version: 13",
)


def request_octets(target: Target, lines: tuple[str, ...]) -> bytes:
    """Fill ``{path}``, ``{host}`` and ``{key}`` into the lines of a request and end it."""
    known = {"path": target.path, "host": target.authority, "key": KEY.decode()}
    return "\r\n".join([*(line.format_map(known) for line in lines), "", ""]).encode("latin-1")


def complaint_about_upgrade(response: Response, subprotocols: tuple[str, ...] = ()) -> str:
    """
    Say what is wrong with a 101 answer, or return "".

    Args:
        response: the server's answer to a request that carried ``KEY``.
        subprotocols: what the client offered; the server may take one of them or none.
    """
    if response.status != 101:
        return f"status {response.status} in place of 101"
    if [value.lower() for value in response.values("upgrade")] != ["websocket"]:
        return f"Upgrade: {response.values('upgrade')}"
    tokens = ",".join(response.values("connection")).lower().split(",")
    if "upgrade" not in [token.strip() for token in tokens]:
        return f"Connection: {response.values('connection')}"
    if response.values("sec-websocket-accept") != [accept_of(KEY)]:
        return f"Sec-WebSocket-Accept: {response.values('sec-websocket-accept')}"
    if response.values("sec-websocket-extensions"):
        return f"extensions accepted: {response.values('sec-websocket-extensions')}"
    chosen = response.values("sec-websocket-protocol")
    if len(chosen) > 1 or not set(chosen) <= set(subprotocols):
        return f"subprotocol {chosen} of {subprotocols}"
    return ""


def _parse_head(head: bytes) -> Response:
    status_line, *lines = head.decode("latin-1").split("\r\n")
    version, _, rest = status_line.partition(" ")
    if version not in ("HTTP/1.1", "HTTP/1.0") or not rest[:3].isdigit():
        raise WireError(f"not an HTTP status line: {status_line[:80]!r}")
    headers = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise WireError(f"not an HTTP header: {line[:80]!r}")
        headers.append((name.lower(), value.strip()))
    return Response(int(rest[:3]), headers)
