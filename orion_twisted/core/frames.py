"""
Framings of a link: where one payload ends and the next begins in a TCP stream.

========== ============================================ ====================
framing    a payload of ``hi`` on the wire              a payload may hold
========== ============================================ ====================
int32      ``00 00 00 02 h i``  (length, network order) up to 4 GiB - 1 byte
int32le    ``02 00 00 00 h i``  (length, little-endian) up to 4 GiB - 1 byte
int16      ``00 02 h i``        (length, network order) up to 64 KiB - 1 byte
netstring  ``2 : h i ,``        (length in digits)      anything
line       ``h i 0a``                                   anything but ``0a``
nul        ``h i 00``                                   anything but ``00``
========== ============================================ ====================

Decoders have never heard of a socket: bytes are pushed in, payloads are pulled out, and the cost
is linear in the bytes however they are cut. A limit is checked on the announcement, so that what
is too large is refused before it is buffered.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from functools import partial
from struct import Struct

from orion_twisted.core.errors import BackendError, BadMessage

Encoder = Callable[[bytes], bytes]


class FrameTooLarge(BackendError):
    """
    The backend announced, or sent, a payload beyond the limit.

    Args:
        size: bytes announced; where a delimiter ends the payload, bytes seen without one.
        max_payload: the limit, in bytes.
    """

    def __init__(self, size: int, max_payload: int) -> None:
        super().__init__(f"a frame of {size} bytes or more; the limit is {max_payload}")
        self.size = size
        self.max_payload = max_payload


class FrameMalformed(BackendError):
    """The backend's bytes are not what the framing's grammar allows."""


class FrameUnencodable(BadMessage):
    """A message that the framing cannot say: too long for its prefix, or with its delimiter."""


class FrameDecoder(ABC):
    """
    Turn a byte stream into payloads.

    Pull until `next_payload` returns None after each `receive_data`, and at most one incomplete
    frame is held. A caller that may not deliver just stops pulling (and reading).

    An error is for good: whole frames before the bad one are pulled first, then every call raises
    the error again, and the decoder holds no bytes.

    Args:
        max_payload: largest payload accepted, in bytes, what frames it excluded.
    """

    # Unpulled bytes are `_buffer[_at:]`. A chunk that arrives while none wait is kept as it is,
    # so that payloads are cut straight out of it; only what spans chunks is gathered in a
    # bytearray, which appends and drops its front in amortised constant time.
    # `next_payload` replaces the buffer but never changes it: a copy of the decoder shares it.
    __slots__ = ("_at", "_buffer", "_error", "_max_payload")

    def __init__(self, max_payload: int) -> None:
        self._max_payload = max_payload
        self._buffer: bytes | bytearray = b""
        self._at = 0
        self._error: Callable[[], BackendError] | None = None

    def receive_data(self, data: bytes) -> None:
        """
        Take bytes from the stream, any number of them.

        Raises:
            FrameTooLarge, FrameMalformed: the error that `next_payload` met before.
        """
        if self._error is not None:
            raise self._error()
        buffer, at = self._buffer, self._at
        if at == len(buffer):
            self._buffer = data
        elif isinstance(buffer, bytes):
            gathered = bytearray(memoryview(buffer)[at:])
            gathered += data
            self._buffer = gathered
        else:
            del buffer[:at]
            buffer += data
        self._at = 0

    def allow(self, max_payload: int) -> None:
        """Accept payloads of another size from now on."""
        self._max_payload = max_payload

    def only_payload(self, data: bytes) -> bytes | None:
        """
        Return the payload of the one whole frame that bytes from the stream are, if they are.

        Where nothing waits before it, this is the same as to take them and to pull it. It may
        return None, which leaves the decoder as it was, for any reason.
        """
        return None

    @abstractmethod
    def next_payload(self) -> bytes | None:
        """
        Return the next whole payload, or None until more bytes come.

        Raises:
            FrameTooLarge: the next payload is larger than ``max_payload``.
            FrameMalformed: the next frame breaks the grammar of the framing.
        """

    @property
    def pending(self) -> int:
        """Bytes held: whole frames not pulled yet, and an incomplete one."""
        return len(self._buffer) - self._at

    @property
    def mid_frame(self) -> bool:
        """
        Whether a frame has begun and is not complete, behind whole ones not pulled yet.

        A stream that ends now cuts that frame off. Asked once in a link's life: the cost is that
        of pulling all that is held. After an error it is False.
        """
        probe = copy(self)
        try:
            while probe.next_payload() is not None:
                pass
        except BackendError:
            return False
        return probe.pending > 0

    def _cut(self, begin: int, end: int, after: int) -> bytes:
        """Return the payload ``[begin:end]`` of the buffer; go on behind it, at ``after``."""
        self._at = after
        buffer = self._buffer
        if isinstance(buffer, bytes):
            return buffer[begin:end]
        return bytes(memoryview(buffer)[begin:end])

    def _wait(self) -> None:
        """No frame is complete: let go of the bytes that were pulled, or raise the old error."""
        if self._error is not None:
            raise self._error()
        if self._at:
            self._buffer = self._buffer[self._at :]
            self._at = 0

    def _fail(self, error: Callable[[], BackendError]) -> BackendError:
        """Let go of everything; return the error to raise, made anew for each raise."""
        # Kept, an error that was raised would hold the bytes by its traceback.
        self._error = error
        self._buffer = b""
        self._at = 0
        return error()


class _PrefixDecoder(FrameDecoder):
    """Frames that begin with their payload's length in a fixed number of bytes."""

    __slots__ = ("_prefix_size", "_unpack_from")

    def __init__(self, prefix: Struct, max_payload: int) -> None:
        super().__init__(max_payload)
        self._prefix_size = prefix.size
        self._unpack_from = prefix.unpack_from

    def only_payload(self, data: bytes) -> bytes | None:
        begin = self._prefix_size
        if self._buffer or self._error is not None or len(data) < begin:
            return None
        (length,) = self._unpack_from(data)
        if begin + length != len(data) or length > self._max_payload:
            return None
        return data[begin:]

    def next_payload(self) -> bytes | None:
        begin = self._at + self._prefix_size
        available = len(self._buffer)
        if begin > available:
            self._wait()
            return None
        (length,) = self._unpack_from(self._buffer, self._at)
        if length > self._max_payload:
            raise self._fail(partial(FrameTooLarge, length, self._max_payload))
        end = begin + length
        if end > available:
            self._wait()
            return None
        return self._cut(begin, end, end)


_BAD_LENGTH = partial(FrameMalformed, "a netstring begins with its length and a colon")
_NO_COMMA = partial(FrameMalformed, "a netstring ends with a comma")


class _NetstringDecoder(FrameDecoder):
    """Frames of D. J. Bernstein's netstrings: digits, a colon, the payload, a comma."""

    # https://cr.yp.to/proto/netstrings.txt: no leading zeros. The digits are bounded, or they
    # alone could fill the memory; 19 say any length that a machine can hold.
    _HEADER = re.compile(rb"(0|[1-9][0-9]{0,18}):")
    _HEADER_BEGUN = re.compile(rb"0|[1-9][0-9]{0,18}")

    __slots__ = ()

    def next_payload(self) -> bytes | None:
        buffer = self._buffer
        if self._at == len(buffer):
            self._wait()
            return None
        header = self._HEADER.match(buffer, self._at)
        if header is None:
            if self._HEADER_BEGUN.fullmatch(buffer, self._at) is None:
                raise self._fail(_BAD_LENGTH)
            self._wait()
            return None
        length = int(header[1])
        if length > self._max_payload:
            raise self._fail(partial(FrameTooLarge, length, self._max_payload))
        begin = header.end()
        end = begin + length
        if end >= len(buffer):
            self._wait()
            return None
        if buffer[end] != ord(","):
            raise self._fail(_NO_COMMA)
        return self._cut(begin, end, end + 1)


class _DelimiterDecoder(FrameDecoder):
    """Frames that end with a byte which no payload holds."""

    __slots__ = ("_delimiter", "_searched")

    def __init__(self, delimiter: bytes, max_payload: int) -> None:
        super().__init__(max_payload)
        self._delimiter = delimiter
        self._searched = 0  # bytes behind `_at` that hold no delimiter: never searched again

    def next_payload(self) -> bytes | None:
        buffer, begin = self._buffer, self._at
        stop = begin + self._max_payload + 1
        end = buffer.find(self._delimiter, begin + self._searched, stop)
        if end >= 0:
            self._searched = 0
            return self._cut(begin, end, end + 1)
        if len(buffer) >= stop:
            seen = self._max_payload + 1
            raise self._fail(partial(FrameTooLarge, seen, self._max_payload))
        self._searched = len(buffer) - begin
        self._wait()
        return None


@dataclass(frozen=True, slots=True)
class _Framing:
    """What one row of the table says."""

    encode: Encoder
    new_decoder: Callable[[int], FrameDecoder]
    largest_payload: int | None = None


def _prefixed(prefix: Struct) -> _Framing:
    pack = prefix.pack
    largest: int = 256**prefix.size - 1

    def encode(payload: bytes) -> bytes:
        length = len(payload)
        if length > largest:
            raise FrameUnencodable(f"{length} bytes; the framing's prefix says at most {largest}")
        return pack(length) + payload

    return _Framing(encode, partial(_PrefixDecoder, prefix), largest)


def _encode_netstring(payload: bytes) -> bytes:
    return b"%d:%b," % (len(payload), payload)


def _delimited(delimiter: bytes) -> _Framing:
    def encode(payload: bytes) -> bytes:
        if delimiter in payload:
            raise FrameUnencodable(f"a payload with {delimiter!r}, which ends it in this framing")
        return payload + delimiter

    return _Framing(encode, partial(_DelimiterDecoder, delimiter))


_TABLE: dict[str, _Framing] = {
    "int32": _prefixed(Struct("!I")),
    "int32le": _prefixed(Struct("<I")),
    "int16": _prefixed(Struct("!H")),
    "netstring": _Framing(_encode_netstring, _NetstringDecoder),
    "line": _delimited(b"\n"),
    "nul": _delimited(b"\0"),
}

FRAMINGS: tuple[str, ...] = tuple(_TABLE)
"""What a tenant's ``framing`` may be."""


def encoder(framing: str) -> Encoder:
    """
    Return the function that makes a frame of a payload.

    It raises `FrameUnencodable` for a payload that the framing cannot say.

    Args:
        framing: one of `FRAMINGS`.

    Raises:
        ValueError: it is none of them.
    """
    return _row(framing).encode


def decoder(framing: str, max_payload: int) -> FrameDecoder:
    """
    Return a new decoder, for one connection.

    Args:
        framing: one of `FRAMINGS`.
        max_payload: largest payload accepted, in bytes, what frames it excluded.

    Raises:
        ValueError: it is none of them.
    """
    return _row(framing).new_decoder(max_payload)


def largest_payload(framing: str) -> int | None:
    """
    Return how many bytes a frame's prefix can announce, or None where nothing bounds it.

    Args:
        framing: one of `FRAMINGS`.

    Raises:
        ValueError: it is none of them.
    """
    return _row(framing).largest_payload


def _row(framing: str) -> _Framing:
    row = _TABLE.get(framing)
    if row is None:
        raise ValueError(f"{framing!r} is no framing: {', '.join(FRAMINGS)}")
    return row
