"""A message's type across a link: said, understood, and the same on the way back."""

from __future__ import annotations

from fuzz.taking import Taking
from orion_twisted.core.errors import BackendError, InvalidPayload
from orion_twisted.core.messages import MESSAGE_TYPES, message_codec

SEEDS = tuple(
    bytes([number]) + payload
    for number, _ in enumerate(MESSAGE_TYPES)
    for payload in (b"", b"T", b"B\xff", "T안녕".encode(), b"T\xed\xa0\x80", b"{}")
)


def check(data: bytes) -> None:
    taking = Taking(data)
    message_type = MESSAGE_TYPES[taking.number(len(MESSAGE_TYPES))]
    payload = taking.rest
    assert from_frame(message_type, payload) == naive(message_type, payload)
    for is_binary in (False, True):
        if not is_binary and not is_utf8(payload):
            continue  # RFC 6455: no such message
        try:
            frame = message_codec(message_type).to_frame(payload, is_binary)
        except InvalidPayload:
            assert message_type == "text"
            assert not is_utf8(payload)
            continue
        assert len(frame) == len(payload) + message_codec(message_type).overhead
        arrives_binary = is_binary if message_type == "tagged" else message_type == "binary"
        assert from_frame(message_type, frame) == (payload, arrives_binary)


def from_frame(message_type: str, payload: bytes) -> tuple[bytes, bool] | None:
    try:
        return message_codec(message_type).from_frame(payload)
    except BackendError:
        return None


def naive(message_type: str, payload: bytes) -> tuple[bytes, bool] | None:
    is_binary = message_type == "binary"
    if message_type == "tagged":
        if payload[:1] not in (b"T", b"B"):
            return None
        payload, is_binary = payload[1:], payload[:1] == b"B"
    return (payload, is_binary) if is_binary or is_utf8(payload) else None


def is_utf8(payload: bytes) -> bool:
    # Backwards and forwards, so that it is not the same question as in the package.
    return payload.decode("utf-8", "ignore").encode() == payload
