"""
The codec of the data path in Python: what runs where there is no compiler.

`orion_twisted.core.wsframes` says what it promises, and chooses it or its twin in C. One test
suite and one fuzz target hold both, call by call: what changes here changes in ``wsframes_c``,
and `VERSION` with it if what a caller sees does.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from struct import Struct

from orion_twisted.core.errors import BackendError
from orion_twisted.core.frames import FrameTooLarge
from orion_twisted.core.messages import BINARY_TAG, TEXT_TAG, is_utf8, message_codec

VERSION = 1
"""What the two twins have agreed upon: another one in C is not used."""

ALONE = 16 * 1024
"""A message beyond this, in bytes, that came in pieces is returned alone, joined to nothing."""

_PREFIXES = {"int32": Struct("!I"), "int32le": Struct("<I"), "int16": Struct("!H")}

FRAMINGS: tuple[str, ...] = tuple(_PREFIXES)
"""The framings that the data path speaks: those with a length before the payload."""

_TEXT, _BINARY = 0x81, 0x82  # the first byte of a whole message in one frame, without extensions
_MASKED = 0x80
_LENGTH_16 = Struct("!H")
_LENGTH_64 = Struct("!Q")
_SHORT_HEAD = Struct("!BB")
_LONG_HEAD = Struct("!BBH")
_LONGEST_HEAD = Struct("!BBQ")

_SMALL = 1024
"""Bytes below which one exclusive-or of long integers is the quickest way to unmask."""
_XORED = tuple(bytes(byte ^ key for byte in range(256)) for key in range(256))
"""For each byte of a mask what becomes of each byte under it."""

_int = int.from_bytes


def unmasked(payload: bytes, mask: bytes) -> bytes:
    """
    Mask bytes, or unmask them: it is the same.

    Args:
        payload: any number of bytes.
        mask: four bytes.
    """
    size = len(payload)
    if size < _SMALL:
        key = (mask * ((size + 3) >> 2))[:size]
        return (_int(payload, "little") ^ _int(key, "little")).to_bytes(size, "little")
    changed = bytearray(payload)
    for place in range(4):
        changed[place::4] = changed[place::4].translate(_XORED[mask[place]])
    return bytes(changed)


def message_frame(payload: bytes, is_binary: bool, /) -> bytes:
    """Return a server's frame of a whole message."""
    return _server_head(len(payload), is_binary) + payload


def _server_head(length: int, is_binary: bool) -> bytes:
    first = _BINARY if is_binary else _TEXT
    if length < 126:
        return _SHORT_HEAD.pack(first, length)
    if length < 65536:
        return _LONG_HEAD.pack(first, 126, length)
    return _LONGEST_HEAD.pack(first, 127, length)


def _prefix(framing: str | None) -> Struct:
    prefix = None if framing is None else _PREFIXES.get(framing)
    if prefix is None:
        raise ValueError(f"{framing!r} has no length prefix: {', '.join(FRAMINGS)}")
    return prefix


def _check_size(max_payload: int) -> None:
    if max_payload < 0:
        raise ValueError("max_payload: less than nothing")


class _Held:
    """
    A frame that is not whole: its payload grows until it is.

    Attributes:
        head: its header, as it came.
        length: bytes of its payload.
        payload: what there is of it, unmasked.
        tail: where the last character of it begins that may not be whole, if it is text.
    """

    __slots__ = ("head", "is_binary", "is_text", "length", "mask", "payload", "tail")

    def __init__(
        self, head: bytes, length: int, mask: bytes, is_binary: bool, is_text: bool
    ) -> None:
        self.head = head
        self.length = length
        self.mask = mask
        self.is_binary = is_binary
        self.is_text = is_text
        self.payload = bytearray()
        self.tail = 0

    def take(self, piece: bytes) -> bool:
        """Take more of it; say whether it still may be what it has to be."""
        payload, mask = self.payload, self.mask
        turn = len(payload) & 3
        payload += unmasked(piece, mask[turn:] + mask[:turn])
        if not self.is_text:
            return True
        unseen = bytes(memoryview(payload)[self.tail :])
        if unseen.isascii():
            self.tail = len(payload)
            return True
        try:
            unseen.decode()
        except UnicodeDecodeError as error:
            # A character that is cut off is the one error that more bytes can mend.
            if error.end < len(unseen) or error.reason != "unexpected end of data":
                return False
            self.tail += error.start
            return len(payload) < self.length
        self.tail = len(payload)
        return True


class FrameReader:
    """A browser's bytes in, messages out: see `orion_twisted.core.wsframes.FrameReader`."""

    # What waits is `_data[_at:]`, behind the frame in `_held` if there is one. A frame is held
    # once its header is whole; until then its bytes, few as they are, stay where they are.
    __slots__ = ("_at", "_data", "_held", "_limit", "_pack", "_tags", "_text_only", "is_odd")

    def __init__(
        self, max_payload: int, framing: str | None = None, message_type: str = "binary"
    ) -> None:
        _check_size(max_payload)
        self._pack = None
        self._limit = max_payload
        overhead = message_codec(message_type).overhead
        self._tags = (TEXT_TAG, BINARY_TAG) if overhead else (b"", b"")
        self._text_only = message_type == "text"
        if framing is not None:
            prefix = _prefix(framing)
            self._pack = prefix.pack
            self._limit = min(max_payload, 256**prefix.size - 1 - overhead)
        self._data = b""
        self._at = 0
        self._held: _Held | None = None
        self.is_odd = False

    def feed(self, data: bytes) -> None:
        if self._at == len(self._data):
            self._data = data
        else:
            self._data = self._data[self._at :] + data
        self._at = 0

    def take(self, most: int) -> list[tuple[bytes, bool]]:
        taken: list[tuple[bytes, bool]] = []
        if self.is_odd or most <= 0:
            return taken
        if self._held is not None:
            message = self._go_on(self._held)
            if message is None:
                return taken
            taken.append(message)
            if len(message[0]) > ALONE:
                return taken
        data, at, limit = self._data, self._at, self._limit
        size = len(data)
        while len(taken) < most and at < size:
            first = data[at]
            if first != _TEXT and first != _BINARY:
                self.is_odd = True
                break
            begin = at + 6
            if at + 2 > size:
                break
            length = data[at + 1] - _MASKED
            if length > 125:
                begin = at + (8 if length == 126 else 14)
                if begin - 4 > size:
                    break
                if length == 126:
                    (length,) = _LENGTH_16.unpack_from(data, at + 2)
                    least = 126
                else:
                    (length,) = _LENGTH_64.unpack_from(data, at + 2)
                    least = 65536
                if length < least:
                    self.is_odd = True
                    break
            if not 0 <= length <= limit:
                self.is_odd = True
                break
            if begin > size:
                break
            end = begin + length
            is_binary = first == _BINARY
            is_text = self._text_only or not is_binary
            mask = data[begin - 4 : begin]
            if end > size:
                self._held = _Held(data[at:begin], length, mask, is_binary, is_text)
                self.is_odd = not self._held.take(data[begin:])
                at = size
                break
            if length < _SMALL:  # `unmasked`, without a call
                key = (mask * ((length + 3) >> 2))[:length]
                payload = (_int(data[begin:end], "little") ^ _int(key, "little")).to_bytes(
                    length, "little"
                )
            else:
                payload = unmasked(data[begin:end], mask)
            if is_text and not payload.isascii() and not is_utf8(payload):
                self.is_odd = True
                break
            taken.append((payload, is_binary))
            at = end
        if at == size:
            self._data, self._at = b"", 0
        elif len(taken) < most:
            self._data, self._at = data[at:], 0  # of a long read only its end is kept
        else:
            self._at = at
        return taken

    def _go_on(self, held: _Held) -> tuple[bytes, bool] | None:
        """Give the frame that is held what has come of it; return its message if it is whole."""
        data, at = self._data, self._at
        end = at + held.length - len(held.payload)
        piece = data[at:end]
        if end >= len(data):
            self._data, self._at = b"", 0
        else:
            self._at = end
        if not held.take(piece):
            self.is_odd = True
            return None
        if len(held.payload) < held.length:
            return None
        self._held = None
        return bytes(held.payload), held.is_binary

    def take_framed(self, most: int) -> tuple[bytes, int, int]:
        pack = self._pack
        if pack is None:
            raise ValueError("this reader has no framing")
        taken = self.take(most)
        tags = self._tags
        overhead = len(tags[0])
        parts: list[bytes] = []
        total = 0
        for payload, is_binary in taken:
            length = len(payload)
            total += length
            parts += (pack(length + overhead), tags[is_binary], payload)
        return b"".join(parts), len(taken), total

    def release(self) -> bytes:
        rest = self._data[self._at :]
        held = self._held
        if held is not None:
            rest = held.head + unmasked(bytes(held.payload), held.mask) + rest
        self._data, self._at, self._held, self.is_odd = b"", 0, None, False
        return rest

    @property
    def pending(self) -> int:
        held = self._held
        before = 0 if held is None else len(held.head) + len(held.payload)
        return before + len(self._data) - self._at

    @property
    def mid_frame(self) -> bool:
        if self.is_odd:
            return False
        data, at = self._data, self._at
        if self._held is not None:
            at += self._held.length - len(self._held.payload)
        while at < len(data):
            head = data[at : at + 10]
            if head[0] not in (_TEXT, _BINARY):
                return False
            if len(head) < 2:
                return True
            length = head[1] - _MASKED
            extended, least = {126: (2, 126), 127: (8, 65536)}.get(length, (0, 0))
            if extended:
                if len(head) < 2 + extended:
                    return True
                length = _int(head[2 : 2 + extended], "big")
            if not least <= length <= self._limit:
                return False
            at += 6 + extended + length
        return at > len(data)


class LinkReader:
    """A link's bytes in, a server's frames out: see `orion_twisted.core.wsframes.LinkReader`."""

    # What waits is `_data[_at:]`, behind the payload that is gathered in `_body` if there is one.
    __slots__ = (
        "_at",
        "_body",
        "_data",
        "_error",
        "_from_frame",
        "_length",
        "_max_payload",
        "_need",
        "_prefix",
    )

    def __init__(self, max_payload: int, framing: str, message_type: str) -> None:
        _check_size(max_payload)
        prefix = _prefix(framing)
        self._max_payload = max_payload
        self._prefix = prefix.size
        self._length = prefix.unpack_from
        self._from_frame = message_codec(message_type).from_frame
        self._data = b""
        self._at = 0
        self._body: bytearray | None = None
        self._need = 0
        self._error: Callable[[], BackendError] | None = None

    def feed(self, data: bytes) -> None:
        if self._error is not None:
            raise self._error()
        if self._at == len(self._data):
            self._data = data
        else:
            self._data = self._data[self._at :] + data
        self._at = 0

    def take(self, most: int) -> tuple[bytes, int, int]:
        if self._error is not None:
            raise self._error()
        parts: list[bytes] = []
        count = total = 0
        if self._body is not None and most > 0:
            payload = self._go_on(self._body)
            if payload is None:
                return b"", 0, 0
            total, error = self._turn(payload, parts)
            if error is not None:
                raise self._fail(error)
            count = 1
            if total > ALONE:
                return b"".join(parts), 1, total
        data, at, prefix = self._data, self._at, self._prefix
        size = len(data)
        while count < most:
            begin = at + prefix
            if begin > size:
                break
            (length,) = self._length(data, at)
            end = begin + length
            if length > self._max_payload:
                if not count:
                    raise self._fail(partial(FrameTooLarge, length, self._max_payload))
                break
            if end > size:
                self._body, self._need = bytearray(memoryview(data)[begin:]), length
                at = size
                break
            length, error = self._turn(data[begin:end], parts)
            if error is not None:
                if not count:
                    raise self._fail(error)
                break
            count += 1
            total += length
            at = end
        if at == size:
            self._data, self._at = b"", 0
        elif count < most:
            self._data, self._at = data[at:], 0  # of a long read only its end is kept
        else:
            self._at = at
        return b"".join(parts), count, total

    def _go_on(self, body: bytearray) -> bytes | None:
        """Give the frame that is begun what has come of it; return its payload if it is whole."""
        data, at = self._data, self._at
        end = at + self._need - len(body)
        body += memoryview(data)[at:end]
        if end >= len(data):
            self._data, self._at = b"", 0
        else:
            self._at = end
        if len(body) < self._need:
            return None
        self._body = None
        return bytes(body)

    def _turn(
        self, payload: bytes, parts: list[bytes]
    ) -> tuple[int, Callable[[], BackendError] | None]:
        """Add a frame for the browser; return its message's size, or what is wrong with it."""
        try:
            message, is_binary = self._from_frame(payload)
        except BackendError as error:
            # Kept, an error that was raised would hold the bytes by its traceback.
            return 0, partial(BackendError, str(error))
        length = len(message)
        parts += (_server_head(length, is_binary), message)
        return length, None

    def _fail(self, error: Callable[[], BackendError]) -> BackendError:
        """Let go of everything; return the error to raise, made anew for each raise."""
        self._error = error
        self._data, self._at, self._body = b"", 0, None
        return error()

    @property
    def pending(self) -> int:
        before = 0 if self._body is None else self._prefix + len(self._body)
        return before + len(self._data) - self._at

    @property
    def mid_frame(self) -> bool:
        data, at, prefix = self._data, self._at, self._prefix
        if self._body is not None:
            at += self._need - len(self._body)
        while at < len(data):
            if at + prefix > len(data):
                return True
            (length,) = self._length(data, at)
            if length > self._max_payload:
                return False
            at += prefix + length
        return at > len(data)
