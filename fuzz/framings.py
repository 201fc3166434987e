"""The framings of links, however the bytes are cut: against a reading of the whole at once."""

from __future__ import annotations

from fuzz.taking import Taking, pieces
from orion_twisted.core.errors import BackendError
from orion_twisted.core.frames import (
    FRAMINGS,
    FrameMalformed,
    FrameTooLarge,
    FrameUnencodable,
    decoder,
    encoder,
)

Reading = tuple[list[bytes], type[BackendError] | None]
"""The payloads, and what is wrong behind them."""

PREFIXES = {"int32": (4, "big"), "int32le": (4, "little"), "int16": (2, "big")}
ENDINGS = {"line": b"\n", "nul": b"\0"}
MOST_DIGITS = 19

SEEDS = tuple(
    bytes([number, 0, 60, 1, 3])
    + b"".join(map(encoder(framing), (b"", b"one", b"two" * 10, b"x" * 59)))
    for number, framing in enumerate(FRAMINGS)
)


def check(data: bytes) -> None:
    taking = Taking(data)
    framing = FRAMINGS[taking.number(len(FRAMINGS))]
    limit = taking.number(65536) % 300
    sizes = bytes(taking.number(256) for _ in range(2))
    stream = taking.rest
    expected = read_whole(stream, framing, limit)
    assert read_in_pieces(stream, framing, limit, sizes) == expected
    assert read_in_pieces(stream, framing, limit, b"") == expected
    payloads, _ = expected
    check_encoding(framing, [*payloads, stream])


def check_encoding(framing: str, payloads: list[bytes]) -> None:
    """What is encoded is decoded to the same."""
    for payload in payloads:
        try:
            octets = encoder(framing)(payload)
        except FrameUnencodable:
            assert framing in ENDINGS
            assert ENDINGS[framing] in payload
            continue
        assert read_whole(octets, framing, len(payload)) == ([payload], None)


def read_in_pieces(stream: bytes, framing: str, limit: int, sizes: bytes) -> Reading:
    payloads: list[bytes] = []
    frames = decoder(framing, limit)
    try:
        for piece in pieces(stream, sizes):
            frames.receive_data(piece)
            while (payload := frames.next_payload()) is not None:
                assert type(payload) is bytes
                assert len(payload) <= limit
                payloads.append(payload)
    except BackendError as error:
        assert frames.pending == 0
        return payloads, type(error)
    assert frames.mid_frame == (frames.pending > 0)
    return payloads, None


def read_whole(stream: bytes, framing: str, limit: int) -> Reading:
    if framing in PREFIXES:
        return read_prefixed(stream, *PREFIXES[framing], limit)
    if framing in ENDINGS:
        return read_delimited(stream, ENDINGS[framing], limit)
    return read_netstrings(stream, limit)


def read_prefixed(stream: bytes, size: int, order: str, limit: int) -> Reading:
    payloads: list[bytes] = []
    while len(stream) >= size:
        length = int.from_bytes(stream[:size], "big" if order == "big" else "little")
        if length > limit:
            return payloads, FrameTooLarge
        if len(stream) < size + length:
            break
        payloads.append(stream[size : size + length])
        stream = stream[size + length :]
    return payloads, None


def read_delimited(stream: bytes, ending: bytes, limit: int) -> Reading:
    *payloads, rest = stream.split(ending)
    for number, payload in enumerate(payloads):
        if len(payload) > limit:
            return payloads[:number], FrameTooLarge
    return payloads, FrameTooLarge if len(rest) > limit else None


def read_netstrings(stream: bytes, limit: int) -> Reading:
    payloads: list[bytes] = []
    while stream:
        digits = 0
        while digits < len(stream) and stream[digits : digits + 1] in b"0123456789":
            digits += 1
        number = stream[:digits]
        if digits > MOST_DIGITS or (number.startswith(b"0") and digits > 1) or not digits:
            return payloads, FrameMalformed
        if digits == len(stream):
            break
        if stream[digits : digits + 1] != b":":
            return payloads, FrameMalformed
        length = int(number)
        if length > limit:
            return payloads, FrameTooLarge
        end = digits + 1 + length
        if len(stream) <= end:
            break
        if stream[end : end + 1] != b",":
            return payloads, FrameMalformed
        payloads.append(stream[digits + 1 : end])
        stream = stream[end + 1 :]
    return payloads, None
