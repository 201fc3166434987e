"""
The client's half of the wire: frames out, frames in, the opening handshake.

It shares no code with the gateway that it measures, and knows no socket.
"""

from __future__ import annotations

import base64
import hashlib
import random
import struct
from typing import NamedTuple, Protocol

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
FIN = 0x80
MASKED = 0x80

HEAD_END = b"\r\n\r\n"
MOST_HEAD = 16_384
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""RFC 6455, section 1.3."""

_NORMAL_CLOSURE = struct.pack("!H", 1000)
_LENGTH_16 = struct.Struct("!H")
_LENGTH_32 = struct.Struct("!I")
_LENGTH_64 = struct.Struct("!Q")


class LoadError(Exception):
    """A run that does not count: the gateway did not do the work."""


class Lost(LoadError):
    """A connection ended, or never began, without having been asked to end."""


class WrongReply(LoadError):
    """What came back is not what was sent, or not in the order in which it was sent."""


class Frame(NamedTuple):
    """
    A whole frame from the gateway.

    Attributes:
        opcode: of RFC 6455; `BINARY` where frames have none.
        is_last: whether the message ends with it.
        payload: its content.
    """

    opcode: int
    is_last: bool
    payload: bytes


class Reader(Protocol):
    """Turns what the gateway sends into frames."""

    @property
    def is_at_rest(self) -> bool:
        """Whether no part of a frame is held."""
        ...

    def feed(self, data: bytes) -> list[Frame]:
        """
        Return the frames that end in these bytes.

        Raises:
            WrongReply: they are no frames of a server.
        """
        ...


class Framing(Protocol):
    """
    How messages lie on the wire between client and gateway.

    Attributes:
        has_upgrade: whether an HTTP upgrade comes first.
        closing: the bytes that ask for the end; empty where only the connection can end.
    """

    has_upgrade: bool
    closing: bytes

    def request(self, payload: bytes, opcode: int = BINARY) -> bytes:
        """Return a message as the client sends it."""
        ...

    def reply(self, payload: bytes, opcode: int = BINARY) -> bytes:
        """Return a message as a gateway is expected to send it; any right form is accepted."""
        ...

    def reader(self) -> Reader: ...


def apply_mask(payload: bytes, key: bytes) -> bytes:
    """Return a payload masked, or unmasked, with four bytes (RFC 6455, section 5.3)."""
    size = len(payload)
    mask = (key * (size // 4 + 1))[:size]
    mixed = int.from_bytes(payload, "little") ^ int.from_bytes(mask, "little")
    return mixed.to_bytes(size, "little")


def frame_head(opcode: int, size: int, masked: int) -> bytes:
    """Return the head of a whole message in one frame; ``masked`` is `MASKED` or 0."""
    first = FIN | opcode
    if size < 126:
        return bytes((first, masked | size))
    if size < 65_536:
        return bytes((first, masked | 126)) + _LENGTH_16.pack(size)
    return bytes((first, masked | 127)) + _LENGTH_64.pack(size)


class WebSocketFraming:
    """
    Messages as WebSocket frames, each masked with a key of its own.

    Args:
        seed: of the masks; they need not be secret here, and a run can be had twice.
    """

    has_upgrade = True

    def __init__(self, seed: int = 6455) -> None:
        self._random = random.Random(seed)
        self.closing = self.request(_NORMAL_CLOSURE, CLOSE)

    def request(self, payload: bytes, opcode: int = BINARY) -> bytes:
        key = self._random.randbytes(4)
        return frame_head(opcode, len(payload), MASKED) + key + apply_mask(payload, key)

    def reply(self, payload: bytes, opcode: int = BINARY) -> bytes:
        return frame_head(opcode, len(payload), 0) + payload

    def reader(self) -> WebSocketReader:
        return WebSocketReader()


class WebSocketReader:
    """Takes server frames apart, wherever the reads cut them."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def is_at_rest(self) -> bool:
        return not self._buffer

    def feed(self, data: bytes) -> list[Frame]:
        buffer = self._buffer
        buffer += data
        frames: list[Frame] = []
        at = 0
        while len(buffer) - at >= 2:
            first, size = buffer[at], buffer[at + 1]
            start = at + 2
            if first & 0x70:
                raise WrongReply(f"a frame with reserved bits: {first:#04x}")
            if size & MASKED:
                raise WrongReply("a masked frame from a server")
            if size == 126:
                if len(buffer) < start + 2:
                    break
                (size,) = _LENGTH_16.unpack_from(buffer, start)
                start += 2
            elif size == 127:
                if len(buffer) < start + 8:
                    break
                (size,) = _LENGTH_64.unpack_from(buffer, start)
                start += 8
            if len(buffer) < start + size:
                break
            at = start + size
            frames.append(Frame(first & 0x0F, first & FIN != 0, bytes(buffer[start:at])))
        del buffer[:at]
        return frames


class Len32Framing:
    """The backend's own frames, for gateways that pass bytes through: length in four bytes."""

    has_upgrade = False
    closing = b""

    def request(self, payload: bytes, opcode: int = BINARY) -> bytes:
        return _LENGTH_32.pack(len(payload)) + payload

    def reply(self, payload: bytes, opcode: int = BINARY) -> bytes:
        return self.request(payload)

    def reader(self) -> Len32Reader:
        return Len32Reader()


class Len32Reader:
    """
    Takes length-prefixed frames apart, wherever the reads cut them.

    Args:
        most: the longest payload that is waited for, in bytes.
    """

    def __init__(self, most: int = 64 * 1024 * 1024) -> None:
        self._buffer = bytearray()
        self._most = most

    @property
    def is_at_rest(self) -> bool:
        return not self._buffer

    def feed(self, data: bytes) -> list[Frame]:
        buffer = self._buffer
        buffer += data
        frames: list[Frame] = []
        at = 0
        while len(buffer) - at >= 4:
            (size,) = _LENGTH_32.unpack_from(buffer, at)
            if size > self._most:
                raise WrongReply(f"a frame of {size} bytes is announced")
            end = at + 4 + size
            if len(buffer) < end:
                break
            frames.append(Frame(BINARY, True, bytes(buffer[at + 4 : end])))
            at = end
        del buffer[:at]
        return frames


class Upgrade:
    """
    One opening handshake, with the headers that a browser sends.

    Args:
        host: with its port, as the Host header has it.
        path: of the WebSocket.
        subprotocol: the one that is offered, and has to be agreed to; None offers none.
        nonce: 16 bytes, for the key.
    """

    def __init__(self, host: str, path: str, subprotocol: str | None, nonce: bytes) -> None:
        key = base64.b64encode(nonce)
        self._accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
        self._subprotocol = subprotocol
        self._answer = bytearray()
        offer = f"Sec-WebSocket-Protocol: {subprotocol}\r\n" if subprotocol else ""
        self.request = (
            f"GET {path} HTTP/1.1\r\n"
            f"Host: {host}\r\n"
            "Connection: Upgrade\r\n"
            "Pragma: no-cache\r\n"
            "Cache-Control: no-cache\r\n"
            "User-Agent: Mozilla/5.0 (X11; Linux x86_64) bench/1\r\n"
            "Upgrade: websocket\r\n"
            f"Origin: https://{host}\r\n"
            "Sec-WebSocket-Version: 13\r\n"
            "Accept-Encoding: gzip, deflate, br\r\n"
            "Accept-Language: en-GB,en;q=0.9\r\n"
            f"Sec-WebSocket-Key: {key.decode()}\r\n"
            "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
            f"{offer}\r\n"
        ).encode()

    def feed(self, data: bytes) -> bytes | None:
        """
        Take a part of the answer; return what follows its head, or None until that is whole.

        Raises:
            WrongReply: the gateway refuses, or agrees to something else than was offered.
                Compression counts as that: no gateway of a run may have other work to do.
        """
        self._answer += data
        end = self._answer.find(HEAD_END)
        if end < 0:
            if len(self._answer) > MOST_HEAD:
                raise WrongReply("an upgrade's answer without an end")
            return None
        first, *lines = bytes(self._answer[:end]).split(b"\r\n")
        headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(b":") for line in lines)
        }
        if first.split(b" ")[1:2] != [b"101"]:
            raise WrongReply(f"no upgrade: {first.decode('latin-1')}")
        if headers.get(b"sec-websocket-accept") != self._accept:
            raise WrongReply("an upgrade with another key")
        if b"sec-websocket-extensions" in headers:
            raise WrongReply("an upgrade with compression")
        agreed = headers.get(b"sec-websocket-protocol", b"").decode("latin-1") or None
        if agreed != self._subprotocol:
            raise WrongReply(f"the subprotocol {agreed}, not {self._subprotocol}")
        return bytes(self._answer[end + len(HEAD_END) :])
