"""
The codec of the data path: WebSocket frames of a browser into frames of a link, and back.

It is for the plain case alone: messages in one frame each, over links with a length prefix. All
else comes out again byte for byte, for those who know the whole of RFC 6455. There are two of it,
in C (``wsframes_c``) and in Python (`orion_twisted.core.wsframes_py`), which do the same, call by
call; `codec` returns the quicker one that is there::

    reader = codec().frame_reader(1024 * 1024, "int32", "text")
    reader.feed(data)
    while True:
        frames, count, length = reader.take_framed(16)
        if not count:
            break
        link.write(frames)
    if reader.is_odd:
        others.receive(reader.release())

Both readers are fed and then asked until nothing more comes: `take` may return fewer messages than
are there. Who feeds again before that holds more than one incomplete frame and one read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from attrs import frozen

from orion_twisted.core import wsframes_py


class FrameReader(Protocol):
    """
    A browser's bytes in, messages out, or frames for a link.

    A message is taken if it is one frame: masked, FIN set, no RSV bit, text or binary, of a length
    that is said as shortly as can be and within the limit, UTF-8 if it has to be. The first frame
    that is anything else is odd, for good. Its header says so, before any of its payload has come,
    or the first byte of its payload that is no UTF-8. What came before it is taken all the same.

    Args:
        max_payload: largest message, in bytes. What is longer than the framing's prefix can say is
            odd, too.
        framing: one of `FRAMINGS`; None: there is no link, and `take_framed` raises ValueError.
        message_type: one of `orion_twisted.core.messages.MESSAGE_TYPES`. On links of ``text`` a
            binary message has to be UTF-8; on ``tagged`` ones a byte before it says what it is.

    Raises:
        ValueError: an argument is none of those.
    """

    def feed(self, data: bytes, /) -> None:
        """Take bytes as they came, any number of them."""

    def take(self, most: int, /) -> list[tuple[bytes, bool]]:
        """
        Return whole messages, each with whether it is binary.

        Args:
            most: how many at the most.
        """

    def take_framed(self, most: int, /) -> tuple[bytes, int, int]:
        """
        Return whole messages as frames for the link, joined; how many; and the bytes in them.

        Args:
            most: how many at the most. A large one that came in pieces is returned alone.
        """

    def release(self) -> bytes:
        """
        Give back all that is held, as it came: from the odd frame's first byte, if there is one.

        The reader is as new then.
        """

    @property
    def is_odd(self) -> bool:
        """Whether the frame behind all that was taken is for others; `take` finds that out."""

    @property
    def pending(self) -> int:
        """Bytes held: all that was fed, and neither taken nor released."""

    @property
    def mid_frame(self) -> bool:
        """
        Whether a frame has begun and is not complete, behind whole ones not taken yet.

        Only headers are looked at; an odd frame is none of ours.
        """


class LinkReader(Protocol):
    """
    A link's bytes in, a server's frames out.

    An error is for good, as with `orion_twisted.core.frames.FrameDecoder`: whole frames before the
    bad one are taken first, then every call raises the error again, and no bytes are held. What is
    too large is refused on its announcement, all else once the frame is whole.

    Args:
        max_payload: largest payload accepted on the link, in bytes, a tag included.
        framing: one of `FRAMINGS`.
        message_type: one of `orion_twisted.core.messages.MESSAGE_TYPES`.

    Raises:
        ValueError: an argument is none of those.
    """

    def feed(self, data: bytes, /) -> None:
        """
        Take bytes as they came, any number of them.

        Raises:
            BackendError: the one that `take` has met.
        """

    def take(self, most: int, /) -> tuple[bytes, int, int]:
        """
        Return whole messages as a server's frames, joined; how many; and the bytes in them.

        Args:
            most: how many at the most. A large one that came in pieces is returned alone.

        Raises:
            FrameTooLarge: the next payload is larger than ``max_payload``.
            BackendError: text that is no UTF-8, or a tag that is missing or unknown.
        """

    @property
    def pending(self) -> int:
        """Bytes held: all that was fed and not taken."""

    @property
    def mid_frame(self) -> bool:
        """Whether a frame has begun and is not complete, behind whole ones not taken yet."""


class NewFrameReader(Protocol):
    """How a `FrameReader` is made."""

    def __call__(
        self, max_payload: int, framing: str | None = None, message_type: str = "binary"
    ) -> FrameReader: ...


class NewLinkReader(Protocol):
    """How a `LinkReader` is made."""

    def __call__(self, max_payload: int, framing: str, message_type: str) -> LinkReader: ...


@frozen
class Codec:
    """
    One of the two.

    Attributes:
        name: ``c`` or ``python``.
        frame_reader: makes a `FrameReader`, for one browser.
        link_reader: makes a `LinkReader`, for one link.
        message_frame: returns a server's frame of a whole message: of its payload, and of whether
            it is binary.
    """

    name: str
    frame_reader: NewFrameReader
    link_reader: NewLinkReader
    message_frame: Callable[[bytes, bool], bytes]


FRAMINGS = wsframes_py.FRAMINGS
"""The framings of links that the data path speaks."""

PORTABLE = Codec(
    "python", wsframes_py.FrameReader, wsframes_py.LinkReader, wsframes_py.message_frame
)
"""The one that is always there."""


def load() -> tuple[Codec, str | None]:
    """Return the codec in C, or, with the reason, the one in Python."""
    try:
        import orion_twisted.core._wsframes as fast
    except ImportError as error:
        return PORTABLE, str(error)
    if fast.VERSION != wsframes_py.VERSION:
        return PORTABLE, f"it has version {fast.VERSION}, not {wsframes_py.VERSION}"
    return Codec("c", fast.FrameReader, fast.LinkReader, fast.message_frame), None


_BEST, _WHY_NOT_C = load()

IMPLEMENTATION = _BEST.name
"""Which one `codec` returns: ``c`` or ``python``."""


def why_not_c() -> str | None:
    """Return why there is no codec in C, or None if there is."""
    return _WHY_NOT_C


def codec(*, portable: bool = False) -> Codec:
    """
    Return a codec.

    Args:
        portable: whether it has to be the one in Python.
    """
    return PORTABLE if portable else _BEST
