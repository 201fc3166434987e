"""
WebSocket frames: building a client's, also forbidden ones, and reading a server's, strictly.

Made of the standard library alone, so that it shares no mistake with the code under test.
"""

import struct
from dataclasses import dataclass, field
from enum import IntEnum

MASK = b"\x37\xfa\x21\x3d"
MAX_CONTROL_PAYLOAD = 125
FORBIDDEN_CODES = frozenset({1004, 1005, 1006, 1015})


class Opcode(IntEnum):
    """What a frame is; the numbers of RFC 6455, section 5.2."""

    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


@dataclass(frozen=True, slots=True)
class Message:
    """One whole data message, its fragments joined."""

    opcode: Opcode
    payload: bytes

    def __repr__(self) -> str:
        return f"{self.opcode.name}[{len(self.payload)}] {self.payload[:24]!r}"


@dataclass(frozen=True, slots=True)
class Ping:
    """A ping of the server's own, which the client answers by itself."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Pong:
    """An answer to a ping."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """The server's close frame; ``code`` is None where the frame is empty."""

    code: int | None
    reason: str


Event = Message | Ping | Pong | Close


def masked(payload: bytes, mask: bytes) -> bytes:
    """XOR the payload with the repeated four octets of the mask."""
    if not payload or mask == bytes(4):
        return payload
    size = len(payload)
    pattern = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload) ^ int.from_bytes(pattern)).to_bytes(size)


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bytes | None = MASK,
    length_octets: int | None = None,
) -> bytes:
    """
    Build one client frame, also a forbidden one.

    Args:
        opcode: 0 to 15.
        payload: as it is before masking.
        fin: whether this is the last fragment.
        rsv: the three reserved bits as a number, 0 to 7.
        mask: four octets, or None for an unmasked frame.
        length_octets: 0, 2 or 8 octets after the first length octet; None means as few as will do.
    """
    size = len(payload)
    if length_octets is None:
        length_octets = 0 if size < 126 else 2 if size < 1 << 16 else 8
    short, packed = {
        0: (size, b""),
        2: (126, struct.pack("!H", size & 0xFFFF)),
        8: (127, struct.pack("!Q", size)),
    }[length_octets]
    head = bytes([fin << 7 | rsv << 4 | opcode, (mask is not None) << 7 | short]) + packed
    if mask is None:
        return head + payload
    return head + mask + masked(payload, mask)


def close_frame(code: int | None = None, reason: bytes = b"") -> bytes:
    """Build a masked close frame; None leaves the payload empty."""
    return frame(Opcode.CLOSE, b"" if code is None else struct.pack("!H", code) + reason)


@dataclass(slots=True)
class FrameReader:
    """
    Parse what a server sends, and write down each rule that it breaks.

    Attributes:
        events: what came, in order.
        violations: broken rules of RFC 6455, each in a few words.
    """

    events: list[Event] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    _buffer: bytearray = field(default_factory=bytearray)
    _parts: list[bytes] = field(default_factory=list)
    _opcode: Opcode | None = None
    _closed: bool = False

    def feed(self, octets: bytes) -> None:
        """Take what arrived; complete frames become events."""
        self._buffer += octets
        while not self.violations and self._take_frame():
            pass

    def finish(self) -> None:
        """The stream has ended: nothing may be left over."""
        if self._buffer and not self.violations:
            self.violations.append(f"stream ended inside a frame: {bytes(self._buffer[:16])!r}")

    def _take_frame(self) -> bool:
        buffer = self._buffer
        if len(buffer) < 2:
            return False
        fin, rsv, opcode = buffer[0] >> 7, buffer[0] >> 4 & 7, buffer[0] & 15
        size, start = buffer[1] & 127, 2
        if size > 125:
            start = 4 if size == 126 else 10
            if len(buffer) < start:
                return False
            least = 126 if size == 126 else 1 << 16
            size = int.from_bytes(buffer[2:start])
            if size < least or size >> 63:
                return self._violation(f"length {size} written in {start - 2} octets")
        if buffer[1] & 128:
            return self._violation("server frame is masked")
        if rsv:
            return self._violation(f"reserved bits {rsv:03b} set")
        if opcode not in Opcode.__members__.values():
            return self._violation(f"reserved opcode {opcode}")
        if opcode >= 8 and (not fin or size > MAX_CONTROL_PAYLOAD):
            return self._violation(f"control frame with fin={fin}, {size} octets")
        if len(buffer) < start + size:
            return False
        payload = bytes(buffer[start : start + size])
        del buffer[: start + size]
        if self._closed:
            return self._violation(f"{Opcode(opcode).name} frame after the close frame")
        if opcode >= 8:
            return self._control(Opcode(opcode), payload)
        return self._data(Opcode(opcode), payload, bool(fin))

    def _control(self, opcode: Opcode, payload: bytes) -> bool:
        if opcode is Opcode.PING:
            self.events.append(Ping(payload))
        elif opcode is Opcode.PONG:
            self.events.append(Pong(payload))
        else:
            return self._close(payload)
        return True

    def _close(self, payload: bytes) -> bool:
        self._closed = True
        if not payload:
            self.events.append(Close(None, ""))
            return True
        if len(payload) == 1:
            return self._violation("close frame with one octet")
        code = int.from_bytes(payload[:2])
        # 1012 to 1014 are in IANA's registry since the RFC.
        if not (1000 <= code <= 1014 or 3000 <= code <= 4999) or code in FORBIDDEN_CODES:
            return self._violation(f"close code {code} on the wire")
        try:
            self.events.append(Close(code, payload[2:].decode()))
        except UnicodeDecodeError:
            return self._violation("close reason is not UTF-8")
        return True

    def _data(self, opcode: Opcode, payload: bytes, fin: bool) -> bool:
        if (opcode is Opcode.CONTINUATION) is (self._opcode is None):
            return self._violation(f"{opcode.name} frame out of place")
        if self._opcode is None:
            self._opcode = opcode
        self._parts.append(payload)
        if not fin:
            return True
        message = Message(self._opcode, b"".join(self._parts))
        self._opcode = None
        self._parts.clear()
        if message.opcode is Opcode.TEXT:
            try:
                message.payload.decode()
            except UnicodeDecodeError:
                return self._violation("text message is not UTF-8")
        self.events.append(message)
        return True

    def _violation(self, text: str) -> bool:
        self.violations.append(text)
        return False
