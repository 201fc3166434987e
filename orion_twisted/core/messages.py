"""
The type of a message, text or binary, across a link whose frames have none.

A tenant's ``message_type`` decides: frames are all ``text``, all ``binary``, or ``tagged``, where
one byte before the payload says which: ``T`` or ``B``, both ways.
"""

from abc import ABC, abstractmethod

from orion_twisted.core.errors import BackendError, InvalidPayload

TEXT_TAG = b"T"
BINARY_TAG = b"B"


class MessageCodec(ABC):
    """Turn messages of a browser into frames of a link, and back."""

    __slots__ = ()

    overhead: int = 0
    """Bytes that a frame is longer than its message: a link adds it to its frame limit."""

    @abstractmethod
    def to_frame(self, payload: bytes, is_binary: bool) -> bytes:
        """
        Return what goes to the backend for a browser's message.

        Args:
            payload: the message; if it is not binary it is UTF-8, as RFC 6455 promises.
            is_binary: the type of the browser's message.

        Raises:
            InvalidPayload: the link carries text, and a binary message is no UTF-8.
        """

    @abstractmethod
    def from_frame(self, payload: bytes) -> tuple[bytes, bool]:
        """
        Return the message for the browser in a backend's frame: its payload, and is it binary.

        Raises:
            BackendError: text that is no UTF-8, or a tag that is missing or unknown.
        """


class _TextCodec(MessageCodec):
    __slots__ = ()

    def to_frame(self, payload: bytes, is_binary: bool) -> bytes:
        if is_binary and not is_utf8(payload):
            raise InvalidPayload("this tenant takes text: a binary message has to be UTF-8")
        return payload

    def from_frame(self, payload: bytes) -> tuple[bytes, bool]:
        if not is_utf8(payload):
            raise BackendError("the backend sent text that is no UTF-8")
        return payload, False


class _BinaryCodec(MessageCodec):
    __slots__ = ()

    def to_frame(self, payload: bytes, is_binary: bool) -> bytes:
        return payload

    def from_frame(self, payload: bytes) -> tuple[bytes, bool]:
        return payload, True


class _TaggedCodec(MessageCodec):
    __slots__ = ()

    overhead = 1

    def to_frame(self, payload: bytes, is_binary: bool) -> bytes:
        return (BINARY_TAG if is_binary else TEXT_TAG) + payload

    def from_frame(self, payload: bytes) -> tuple[bytes, bool]:
        tag, message = payload[:1], payload[1:]
        if tag == BINARY_TAG:
            return message, True
        if tag != TEXT_TAG:
            raise BackendError(f"a frame has to begin with T or B, not with {tag!r}")
        if not is_utf8(message):
            raise BackendError("the backend sent text that is no UTF-8")
        return message, False


_CODECS: dict[str, MessageCodec] = {
    "text": _TextCodec(),
    "binary": _BinaryCodec(),
    "tagged": _TaggedCodec(),
}

MESSAGE_TYPES: tuple[str, ...] = tuple(_CODECS)
"""What a tenant's ``message_type`` may be."""


def message_codec(message_type: str) -> MessageCodec:
    """
    Return the codec of a message type; it has no state, so links share it.

    Args:
        message_type: one of `MESSAGE_TYPES`.

    Raises:
        ValueError: it is none of them.
    """
    codec = _CODECS.get(message_type)
    if codec is None:
        raise ValueError(f"{message_type!r} is no message type: {', '.join(MESSAGE_TYPES)}")
    return codec


def is_utf8(payload: bytes) -> bool:
    """Say whether bytes may go as text."""
    if payload.isascii():  # far cheaper than decoding, and most JSON is ASCII
        return True
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True
