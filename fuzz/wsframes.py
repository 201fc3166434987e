"""
The codec of the data path: in C, in Python, and in a naive reading that shares nothing with them.

What is held and what is handed out is compared after every call, whatever is asked for and when.
Where there is none in C it is the one in Python, twice.
"""

from __future__ import annotations

from itertools import product
from typing import Any

from fuzz.taking import Taking, pieces
from orion_twisted.core.errors import BackendError
from orion_twisted.core.frames import encoder
from orion_twisted.core.messages import MESSAGE_TYPES
from orion_twisted.core.wsframes import FRAMINGS, PORTABLE, FrameReader, LinkReader, codec
from tests.conformance.frames import Opcode, close_frame, frame
from tests.core.wsframes_models import (
    browser_said,
    drained,
    drained_framed,
    link_frame,
    link_said,
    server_frame,
)

Reader = FrameReader | LinkReader

SHAPES = tuple(product(FRAMINGS, MESSAGE_TYPES))
LIMITS = (300, 0, 125, 126, 65_535, 100_000)
SWOLLEN = b"~~~~"
"""What stands for a long piece of text: inputs are short, and large messages go their own way."""

CODECS = (codec(), PORTABLE)


def plain(opcode: int, payload: bytes) -> bytes:
    """Return a frame whose payload stands in it as it is, so that what is altered in it counts."""
    return frame(opcode, payload, mask=bytes(4))


def swollen(opcode: int, size: int) -> bytes:
    return plain(opcode, b"x" * size).replace(b"x" * size, SWOLLEN)


TEXT, BINARY = Opcode.TEXT, Opcode.BINARY
SPOKEN = frame(TEXT, b"hello") * 3 + frame(BINARY, b"\xff") + frame(TEXT, "안녕 é𝄞".encode())
OTHERS = frame(Opcode.PING, b"p") + frame(TEXT, b"a", fin=False) + close_frame(1000, b"bye")
SEEDS = (
    b"\0\0\0\0" b"\x27\x01\x03\x00" + SPOKEN + OTHERS + SPOKEN,
    b"\1\1\0\0" b"\x03\x27\x83\x01" + SPOKEN,
    b"\2\4\x4e\x20" b"\x27\x27\x27\x27" + swollen(TEXT, 20_000) + SPOKEN,
    b"\5\5\xea\x60" b"\x11\x03\x27\x0b" + swollen(BINARY, 60_000) + SPOKEN * 2,
    b"\0\0\0\0" b"\x01\x01\x01\x01" + plain(TEXT, "한글".encode() * 12 + b"\xed\xa0\x80"),
    b"\3\3\0\0" b"\x27\x05\x06\x07" + plain(TEXT, b"a" * 126) + plain(TEXT, b"a" * 127),
    *(
        bytes([number, 0, 0, 0]) + b"\x05\x27\x02\x03"
        + b"".join(map(encoder(framing), (b"Tone", b"B\xff", "T두".encode(), b"Tx" * 60, b"no")))
        for number, (framing, _) in enumerate(SHAPES)
    ),
    b"\0\5\x4e\x20" b"\x27\x27\x27\x27" + encoder("int32")(b"x" * 20_000)[:4] + SWOLLEN + SPOKEN,
)  # fmt: skip


def check(data: bytes) -> None:
    taking = Taking(data)
    shape = SHAPES[taking.number(len(SHAPES))]
    limit = LIMITS[taking.number(len(LIMITS))]
    swell = taking.number(65_536) % 24_000
    calls = bytes(taking.number(256) for _ in range(4))
    stream = taking.rest.replace(SWOLLEN, b"x" * swell, 1)
    check_browser(stream, calls, limit, *shape)
    check_link(stream, calls, limit, *shape)


def cut(stream: bytes, calls: bytes) -> list[bytes]:
    """Cut a stream into few pieces: of sizes that the calls say, and then of larger ones."""
    found = list(pieces(stream[:600], calls))
    return [*found, *(stream[at : at + 9000] for at in range(600, len(stream), 9000))]


def check_browser(
    stream: bytes, calls: bytes, limit: int, framing: str, message_type: str
) -> None:
    readers = [each.frame_reader(limit, framing, message_type) for each in CODECS]
    for number, piece in enumerate(cut(stream, calls)):
        call = calls[number % len(calls)]
        same(readers, "feed", piece)
        if call & 0x40:
            same(readers, "take", call & 3)
        if call & 0x20:
            same(readers, "take_framed", call & 3)
        if call & 0x80:
            same(readers, "release")
    same(readers, "release")
    said = browser_said(stream, limit, framing, message_type)
    frames = b"".join(link_frame(each, framing, message_type) for each in said.messages)
    for each in CODECS:
        reader = each.frame_reader(limit, framing, message_type)
        framed = each.frame_reader(limit, framing, message_type)
        messages, found = [], b""
        for piece in cut(stream, calls):
            reader.feed(piece)
            framed.feed(piece)
            messages += drained(reader)
            found += drained_framed(framed, 3)[0]
        assert messages == said.messages, (each.name, messages, said)
        assert found == frames, (each.name, found, frames)
        for one in (reader, framed):
            assert (one.is_odd, one.mid_frame) == (said.is_odd, said.mid_frame), (each.name, said)
            assert one.pending == len(said.rest)
            assert one.release() == said.rest
    if said.messages:
        spoken = said.messages[-1]
        assert {each.message_frame(*spoken) for each in CODECS} == {server_frame(spoken)}


def check_link(stream: bytes, calls: bytes, limit: int, framing: str, message_type: str) -> None:
    readers = [each.link_reader(limit, framing, message_type) for each in CODECS]
    for number, piece in enumerate(cut(stream, calls)):
        same(readers, "feed", piece)
        same(readers, "take", calls[number % len(calls)] & 3)
    said, error = link_said(stream, limit, framing, message_type)
    frames = b"".join(map(server_frame, said.messages))
    for each in CODECS:
        link = each.link_reader(limit, framing, message_type)
        found, met = b"", None
        try:
            for piece in cut(stream, calls):
                link.feed(piece)
                while (taken := link.take(1))[1]:
                    found += taken[0]
        except BackendError as why:
            met = why
        assert found == frames, (each.name, found, frames)
        assert repr(met) == repr(error), (each.name, met, error)
        assert (link.pending, link.mid_frame) == (len(said.rest), said.mid_frame), each.name


def same(readers: list[Any], name: str, *arguments: Any) -> None:
    """Make a call to each reader; all come to the same, and are in the same state then."""
    states = []
    for reader in readers:
        try:
            result = getattr(reader, name)(*arguments)
        except BackendError as error:
            result = repr(error)
        state = [reader.pending, reader.mid_frame, getattr(reader, "is_odd", None)]
        states.append((result, state))
    assert states[0] == states[1], (name, arguments, states)
