"""The codec of the data path: the one in C and the one in Python, held by the same tests."""

from __future__ import annotations

import gc
import os
import struct
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from types import ModuleType
from typing import Any
from unittest.mock import patch

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core import wsframes, wsframes_py
from orion_twisted.core.errors import BackendError
from orion_twisted.core.frames import FrameTooLarge, encoder, largest_payload
from orion_twisted.core.messages import MESSAGE_TYPES
from orion_twisted.core.wsframes import FRAMINGS, PORTABLE, Codec, codec, load, why_not_c
from orion_twisted.core.wsframes_py import ALONE
from tests.conformance.frames import Opcode, close_frame, frame
from tests.conformance.utf8 import VALID
from tests.core.wsframes_models import (
    ENOUGH,
    Autobahn,
    Message,
    Said,
    ShortCut,
    browser_said,
    cut,
    drained,
    drained_framed,
    judged,
    link_frame,
    link_said,
    server_frame,
    told,
)

KiB = 1024
MiB = 1024 * KiB
SIZES = (0, 1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 125, 126, 127, 1000, 65535, 65536, 65537)
SHAPES = tuple(product(FRAMINGS, MESSAGE_TYPES))
EXTENSION = "orion_twisted.core._wsframes"

ANYTHING = settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.differing_executors]
)
PLACES = st.lists(st.integers(0, 10_000), max_size=12)
TEXTS = st.text(st.sampled_from('ab{"é한𝄞\u07ff\u0800\ud7ff\ue000\uffff\U0010ffff'), max_size=60)
MESSAGES = st.tuples(TEXTS.map(str.encode), st.just(False)) | st.tuples(
    st.binary(max_size=140), st.booleans()
)
"""Of which some text is none."""


def message(size: int, is_binary: bool) -> Message:
    """Return a message of so many bytes, none of which is like its neighbours."""
    if is_binary:
        return bytes(number * 167 & 255 for number in range(size)), True
    text = "한글 and ASCII, é𝄞. ".encode()
    whole = text * (size // len(text))
    return whole + b"x" * (size - len(whole)), False


def browser_frame(spoken: Message, mask: bytes = b"\x37\xfa\x21\x3d") -> bytes:
    payload, is_binary = spoken
    return frame(2 if is_binary else 1, payload, mask=mask)


@st.composite
def browser_streams(draw: st.DrawFn) -> bytes:
    """Draw what a browser may send: most of it plain, some of it not, some of it nonsense."""
    plain = MESSAGES.map(browser_frame)
    other = st.builds(
        frame,
        st.integers(0, 15),
        st.binary(max_size=130),
        fin=st.booleans(),
        rsv=st.sampled_from([0, 0, 0, 1, 4]),
        mask=st.sampled_from([None, bytes(4), b"\1\2\3\4"]),
        length_octets=st.sampled_from([2, 8]),
    )
    control = st.sampled_from(
        [frame(Opcode.PING, b"p"), frame(Opcode.PONG), close_frame(1000, b"bye"), close_frame()]
    )
    parts = draw(st.lists(plain | plain | plain | other | control, max_size=8))
    stream = bytearray(b"".join(parts) + draw(st.just(b"") | st.binary(max_size=3)))
    if stream and draw(st.integers(0, 3)) == 0:
        stream[draw(st.integers(0, len(stream) - 1))] ^= 1 << draw(st.integers(0, 7))
    return bytes(stream[: draw(st.integers(0, len(stream)))] if draw(st.booleans()) else stream)


@st.composite
def link_streams(draw: st.DrawFn, framing: str, message_type: str) -> bytes:
    """Draw what a backend may send, some of it not in its message type."""
    payloads = []
    for payload, is_binary in draw(st.lists(MESSAGES, max_size=8)):
        if message_type == "tagged":
            payload = (
                draw(st.sampled_from([b"B", b"T"])) + payload
                if draw(st.integers(0, 9))
                else draw(st.sampled_from([b"", b"x", b"t" + payload]))
            )
        elif message_type == "text" and is_binary and draw(st.integers(0, 3)):
            payload = payload.hex().encode()
        payloads.append(payload)
    stream = b"".join(map(encoder(framing), payloads))
    return stream[: draw(st.integers(0, len(stream)))] if draw(st.booleans()) else stream


def counted(call: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a call returns, or the error that it raises, so that either can be compared."""
    try:
        return call(*arguments)
    except (BackendError, ValueError) as error:
        return repr(error), vars(error)


def memory_of(new_reader: Callable[[], Any], data: bytes) -> float:
    """Return how many bytes of memory a reader takes that was fed, on the average of many."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        readers = []
        for _ in range(200):
            readers.append(new_reader())
            readers[-1].feed(data)
            readers[-1].take(1)
        return (tracemalloc.get_traced_memory()[0] - before) / 200
    finally:
        tracemalloc.stop()


class Case(SynchronousTestCase):
    """A test of one codec."""

    codec: Codec


class InPython:
    codec = PORTABLE


class InC:
    codec: Codec

    def setUp(self) -> None:
        why = why_not_c()
        if why is not None:
            # A compiler is part of what `make test` needs; others may go without it.
            if os.environ.get("CI") == "true":
                self.fail(why)  # type: ignore[attr-defined]
            self.skipTest(why)  # type: ignore[attr-defined]
        self.codec = codec()


class FrameReaderTests:
    """A browser's bytes in, messages out."""

    codec: Codec
    assertEqual: Callable[..., None]
    assertIs: Callable[..., None]
    assertTrue: Callable[..., None]
    assertFalse: Callable[..., None]
    assertLess: Callable[..., None]
    assertRaises: Callable[..., Any]
    subTest: Callable[..., Any]

    def check(self, reader: Any, said: Said) -> None:
        """What a reader that was asked for all holds is what a naive reading says."""
        self.assertEqual(
            (reader.pending, reader.mid_frame, reader.is_odd),
            (len(said.rest), said.mid_frame, said.is_odd),
        )

    # What is taken

    def test_messages(self) -> None:
        """Messages of every size come out as they were, text or binary, whole or in pieces."""
        for size, is_binary, mask in product(
            SIZES, (False, True), (bytes(4), b"\xff\x00\x80\x7f", b"\1\2\3\4")
        ):
            spoken = message(size, is_binary)
            stream = browser_frame(spoken, mask)
            half = len(stream) // 2
            for pieces in ([stream], cut(stream, [half]), cut(stream, [13, half, half + 3])):
                reader = self.codec.frame_reader(65537)
                taken = []
                for piece in pieces:
                    reader.feed(piece)
                    taken += drained(reader)
                self.assertEqual(taken, [spoken])
                self.assertIs(type(taken[0][0]), bytes)
                self.check(reader, Said([], b"", False))

    def test_frames(self) -> None:
        """On every link, messages come out as they would be framed for it one by one."""
        for framing, message_type in SHAPES:
            spoken = [message(size, is_binary) for size, is_binary in product(SIZES, (0, 1))]
            if message_type == "text":
                spoken = [each for each in spoken if not each[1]]
            most = largest_payload(framing) or 0
            spoken = [each for each in spoken if len(each[0]) < min(most, MiB)]
            expected = b"".join(link_frame(each, framing, message_type) for each in spoken)
            stream = b"".join(map(browser_frame, spoken))
            for step in (7 * KiB, 50_000, len(stream)):
                with self.subTest(f"{framing} {message_type} {step}"):
                    reader = self.codec.frame_reader(MiB, framing, message_type)
                    frames = b""
                    count = total = 0
                    for at in range(0, len(stream), step):
                        reader.feed(stream[at : at + step])
                        found = drained_framed(reader, 3)
                        frames, count, total = (
                            frames + found[0],
                            count + found[1],
                            total + found[2],
                        )
                    self.assertTrue(frames == expected)
                    self.assertEqual(count, len(spoken))
                    self.assertEqual(total, sum(len(payload) for payload, _ in spoken))

    def test_headers_cut_anywhere(self) -> None:
        """A header may come in any two pieces, or byte by byte, in front of any size."""
        for size, is_binary in product((0, 1, 125, 126, 65535, 65536), (False, True)):
            spoken = [message(size, is_binary), message(3, not is_binary)]
            stream = b"".join(map(browser_frame, spoken))
            bytewise = [*(stream[at : at + 1] for at in range(15)), stream[15:]]
            for pieces in (bytewise, *(cut(stream, [place]) for place in range(15))):
                reader = self.codec.frame_reader(MiB, "int32", "tagged")
                taken = []
                for piece in pieces:
                    reader.feed(piece)
                    taken += drained(reader)
                self.assertEqual(taken, spoken)

    def test_as_many_as_asked_for(self) -> None:
        """No call returns more messages than it was asked for, and none is lost by asking."""
        spoken = [message(size, bool(size % 2)) for size in range(40)]
        stream = b"".join(map(browser_frame, spoken))
        for most in (1, 2, 7, 39, 40, 41):
            for place in (0, 5, 400, len(stream) - 1):
                reader = self.codec.frame_reader(100, "int16", "tagged")
                taken: list[Message] = []
                for piece in cut(stream, [place]):
                    reader.feed(piece)
                    while found := reader.take(most):
                        self.assertLess(len(found), most + 1)
                        taken += found
                self.assertEqual(taken, spoken)

    def test_asked_for_nothing(self) -> None:
        """Who asks for no messages gets none, and changes nothing."""
        for place in (0, 3, 20):
            reader = self.codec.frame_reader(100, "int32", "binary")
            stream = browser_frame((b"one", True)) + browser_frame((b"two" * 9, True))
            first, second = cut(stream, [place])
            reader.feed(first)
            taken = reader.take(9)
            reader.feed(second)
            for most in (0, -1):
                self.assertEqual(reader.take(most), [])
                self.assertEqual(reader.take_framed(most), (b"", 0, 0))
            self.assertEqual([*taken, *reader.take(9)], [(b"one", True), (b"two" * 9, True)])

    def test_large_ones_come_alone(self) -> None:
        """A large message that came in pieces is handed out as it is; small ones are joined."""
        for size, alone in ((ALONE, False), (ALONE + 1, True)):
            large, small = message(size, True), message(4, True)
            stream = browser_frame(large) + browser_frame(small) * 2
            for take_framed in (False, True):
                reader = self.codec.frame_reader(MiB, "int32", "binary")
                reader.feed(stream[:1000])
                self.assertEqual(reader.take(9), [])
                reader.feed(stream[1000:])
                expected = [large] if alone else [large, small, small]
                if take_framed:
                    frames, count, total = reader.take_framed(9)
                    self.assertTrue(
                        frames == b"".join(link_frame(one, "int32", "binary") for one in expected)
                    )
                    self.assertEqual(count, len(expected))
                    self.assertEqual(total, sum(len(payload) for payload, _ in expected))
                else:
                    self.assertEqual(reader.take(9), expected)
                self.assertEqual(reader.take(9), [small, small] if alone else [])

    # What is not

    def odd_streams(self) -> Iterator[tuple[str, bytes, int]]:
        """Yield what is for others, and after how many bytes that is known."""
        for opcode in (0, *range(3, 16)):
            yield f"opcode {opcode}", frame(opcode, b"hello"), 1
        for opcode in (1, 2):
            yield f"no FIN, {opcode}", frame(opcode, b"hello", fin=False), 1
            for rsv in range(1, 8):
                yield f"RSV {rsv}, {opcode}", frame(opcode, b"hello", rsv=rsv), 1
            for size in (0, 5, 126, 65536):
                yield f"unmasked {opcode} {size}", frame(opcode, bytes(size), mask=None), 2
            for size, octets in ((0, 2), (125, 2), (0, 8), (126, 8), (65535, 8)):
                known = 2 + octets
                name = f"{size} in {octets}"
                yield name, frame(opcode, bytes(size), length_octets=octets), known
            yield "beyond the limit", frame(opcode, bytes(66001)), 10
            for length in (1 << 31, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1):
                head = bytes([0x80 | opcode, 0xFF]) + struct.pack("!Q", length)
                yield f"announces {length:x}", head + b"mask and more", 10

    def test_odd_frames(self) -> None:
        """What is no plain message is known for it by its header, and comes out as it came."""
        good = [message(9, False), message(0, True)]
        before = b"".join(map(browser_frame, good))
        for name, odd, known in self.odd_streams():
            with self.subTest(name):
                stream = before + odd + before
                for place in (0, len(before), len(before) + known - 1, len(before) + known):
                    reader = self.codec.frame_reader(66000, "int32", "tagged")
                    reader.feed(stream[:place])
                    taken = drained(reader)
                    self.assertEqual(reader.is_odd, place >= len(before) + known)
                    reader.feed(stream[place:])
                    taken += drained(reader)
                    self.assertEqual(taken, good)
                    self.check(reader, Said([], odd + before, True))
                    self.assertEqual(reader.take_framed(9), (b"", 0, 0))
                    self.assertEqual(reader.release(), odd + before)
                    self.check(reader, Said([], b"", False))
                    reader.feed(before)
                    self.assertEqual(drained(reader), good)

    def test_odd_only_behind_the_others(self) -> None:
        """While whole messages wait before it, nothing is odd yet."""
        reader = self.codec.frame_reader(100, "int32", "binary")
        ping = frame(Opcode.PING, b"p")
        reader.feed(browser_frame((b"one", True)) * 3 + ping)
        for _ in range(3):
            self.assertFalse(reader.is_odd)
            self.assertEqual(reader.take_framed(1), (b"\0\0\0\3one", 1, 3))
        self.assertFalse(reader.is_odd)
        self.assertEqual(reader.take_framed(1), (b"", 0, 0))
        self.assertTrue(reader.is_odd)
        reader.feed(b"more")
        self.assertEqual(reader.release(), ping + b"more")

    def test_at_the_limit(self) -> None:
        """A message of exactly the limit is taken, and one byte more is not: not even begun."""
        for limit in (0, 1, 125, 126, 127, 65535, 65536):
            for is_binary in (False, True):
                reader = self.codec.frame_reader(limit)
                reader.feed(browser_frame(message(limit, is_binary)))
                self.assertEqual(drained(reader), [message(limit, is_binary)])
                stream = browser_frame(message(limit + 1, is_binary))
                reader.feed(stream[: -limit - 1])
                self.assertEqual(drained(reader), [])
                self.assertTrue(reader.is_odd)
                self.assertEqual(reader.pending, len(stream) - limit - 1)

    def test_more_than_the_prefix_can_say(self) -> None:
        """What the link's framing cannot say is for others to refuse, however large the limit."""
        for framing, message_type, most in (
            ("int16", "binary", 65535),
            ("int16", "tagged", 65534),
            ("int32", "binary", 2**32 - 1),
            ("int32le", "tagged", 2**32 - 2),
        ):
            for size in (most, most + 1):
                reader = self.codec.frame_reader(2**40, framing, message_type)
                is_short = size < 65536
                head = struct.pack("!BBH" if is_short else "!BBQ", 0x82, 255 - is_short, size)
                reader.feed(head + b"mask")
                self.assertEqual(reader.take(1), [])
                self.assertEqual(reader.is_odd, size > most)

    def test_text_links_take_text(self) -> None:
        """Where the link takes text, a binary message that is none is for others to refuse."""
        for payload in (b"\xff", b"ab\xc3", b"x" * 40 + b"\xed\xa0\x80" + b"y" * 40):
            stream = browser_frame((payload, True))
            for message_type, is_odd in (("text", True), ("binary", False), ("tagged", False)):
                for place in (0, len(stream) - 1):
                    reader = self.codec.frame_reader(100, "int32", message_type)
                    taken = []
                    for piece in cut(stream, [place]):
                        reader.feed(piece)
                        taken += drained(reader)
                    self.assertEqual(taken, [] if is_odd else [(payload, True)])
                    self.assertEqual(reader.is_odd, is_odd)
        reader = self.codec.frame_reader(100, "int32", "text")
        reader.feed(browser_frame(("한".encode(), True)))
        self.assertEqual(reader.take(1), [("한".encode(), True)])

    def test_bad_text_is_odd_at_once(self) -> None:
        """The first byte that is no UTF-8 makes a frame odd, though most of it is to come."""
        prefixes = (b"", b"x" * 31, "한".encode() * 12, b"x" * 9000, "𝄞".encode() * 3000)
        bad = (
            b"\x80", b"\xbf", b"\xc0", b"\xc1", b"\xf5", b"\xff", b"\xc2\x41", b"\xc3\xc3",
            b"\xe0\x9f", b"\xe1\x7f", b"\xed\xa0", b"\xef\xbf\xc0", b"\xf0\x8f", b"\xf4\x90",
            b"\xf1\x80\xc0", b"\xf3\xbf\xbf\x7f",
        )  # fmt: skip
        for prefix, octets in product(prefixes, bad):
            payload = prefix + octets + b"." * 90_000
            stream = browser_frame((payload, False))
            known = 14 + len(prefix) + len(octets)
            for place in (0, 14, known - 1):
                reader = self.codec.frame_reader(MiB)
                for piece, is_odd in zip(
                    cut(stream[:known], [place]), (place >= known, True), strict=True
                ):
                    reader.feed(piece)
                    self.assertEqual(reader.take(9), [])
                    self.assertEqual(reader.is_odd, is_odd)
                reader.feed(stream[known : known + 100])
                self.assertEqual(reader.take(9), [])
                self.check(reader, Said([], stream[: known + 100], True))
                self.assertTrue(reader.release() == stream[: known + 100])

    def test_any_text(self) -> None:
        """Text is what Autobahn takes for text, whichever three bytes follow a prefix."""
        bounds = bytes.fromhex("00 41 7f 80 8f 90 9f a0 bf c1 c2 df e0 e1 ec ed ee ef f0 f1 f4 f5")
        reader = self.codec.frame_reader(100)
        for prefix in (b"", b"\xf0\x90", b"\xf4", b"\xe0"):
            for octets in product(bounds, repeat=3):
                payload = prefix + bytes(octets)
                is_good, is_whole = judged(payload)
                stream = bytes([0x81, 0x80 + len(payload) + 1, 0, 0, 0, 0]) + payload
                reader.feed(stream)  # one byte is missing
                self.assertEqual(reader.take(1), [])
                self.assertEqual((reader.is_odd, payload), (not is_good, payload))
                self.assertEqual(reader.release(), stream)
                reader.feed(browser_frame((payload, False), bytes(4)))
                self.assertEqual(reader.take(1), [(payload, False)] if is_whole else [])
                reader.release()

    def test_torn_text(self) -> None:
        """The parts of a character do not find each other over other text between them."""
        for before, between in product((0, 1, 29, 30, 31, 8191), (1, 31, 32, 33, 64, 8192)):
            payload = b"x" * before + b"\xe1" + b"y" * between + b"\x80\x80"
            stream = browser_frame((payload, False))
            for place in (0, len(stream) - between - 2, len(stream) - 2):
                reader = self.codec.frame_reader(MiB)
                for piece in cut(stream, [place]):
                    reader.feed(piece)
                    self.assertEqual(reader.take(1), [])
                self.assertTrue(reader.is_odd)
                self.assertTrue(reader.release() == stream)

    def test_text_of_all_kinds(self) -> None:
        """Characters of every length are text wherever they stand, and wherever they are cut."""
        for name, octets in VALID:
            for before in (0, 1, 29, 30, 31, 32, 33):
                spoken = (b"x" * before + octets + b"y" * 33, False)
                stream = browser_frame(spoken)
                with self.subTest(name, before=before):
                    for place in range(before, min(before + 12, len(stream))):
                        reader = self.codec.frame_reader(1000, "int32", "text")
                        taken = []
                        for piece in cut(stream, [place]):
                            reader.feed(piece)
                            taken += drained(reader)
                        self.assertEqual(taken, [spoken])

    # What is held

    def test_release_at_any_time(self) -> None:
        """What is held comes out as it came, wherever the stream stands and however it was cut."""
        stream = browser_frame(message(20, False)) + browser_frame(message(70_000, True))
        for place in (
            0,
            1,
            2,
            5,
            6,
            20,
            26,
            27,
            28,
            35,
            39,
            40,
            41,
            1000,
            66_000,
            len(stream) - 1,
        ):
            for others in ([], [3], [30], [500, 501, 502], range(place)[:300]):
                reader = self.codec.frame_reader(MiB, "int32le", "tagged")
                taken = []
                for piece in cut(stream[:place], others):
                    reader.feed(piece)
                    taken += reader.take(9)
                said = browser_said(stream[:place], MiB, "int32le", "tagged")
                self.assertEqual(taken, said.messages)
                self.check(reader, said)
                reader.feed(b"and more")
                self.assertTrue(reader.release() == said.rest + b"and more")
                self.check(reader, Said([], b"", False))

    def test_released_before_anything_was_taken(self) -> None:
        """Whole messages that nobody has taken are released with what is behind them."""
        stream = browser_frame((b"one", True)) * 3
        reader = self.codec.frame_reader(100)
        self.assertEqual(reader.release(), b"")
        reader.feed(stream)
        self.assertEqual(reader.release(), stream)
        reader.feed(stream)
        reader.take(1)
        self.assertEqual(reader.release(), browser_frame((b"one", True)) * 2)
        self.assertEqual(reader.take(1), [])

    def test_mid_frame(self) -> None:
        """A frame is cut by a break after any of its bytes but the last, taken or not."""
        for size in (0, 5, 130, 66_000):
            stream = browser_frame((bytes(size), True))
            places = {*range(min(17, len(stream) + 1)), len(stream) - 1, len(stream)}
            for place, whole in product(sorted(places), (0, 2)):
                for first in (0, 1, 3, 16, 17):
                    reader = self.codec.frame_reader(MiB)
                    reader.feed(stream[:place][:first])
                    taken = len(reader.take(9))
                    reader.feed(stream[:place][first:])
                    reader.feed((stream * whole + stream[:place]) if place == len(stream) else b"")
                    expected = 0 < place < len(stream)
                    self.assertEqual(reader.mid_frame, expected)
                    taken += len(drained(reader))
                    self.assertEqual(reader.mid_frame, expected)
                    self.assertEqual(reader.pending, place if expected else 0)
                    self.assertEqual(
                        taken, (place == len(stream)) * (whole + 2)
                        if place == len(stream) and place else 0,
                    )  # fmt: skip

    def test_mid_frame_knows_headers(self) -> None:
        """An odd frame behind whole messages is not ours to wait for, even if nobody has asked."""
        one = browser_frame((b"one", True))
        begun = frame(2, bytes(70_000))
        for odd, is_ours in (
            (b"\x89", False),
            (b"\x82\x05", False),
            (b"\x82\xff" + bytes(8), False),
            (b"\x82\xfe\0\x05", False),
            (b"\x82\xff" + bytes(7), True),
            (b"\x82\xfe\x01", True),
            (b"\x82", True),
            (b"", False),
        ):
            reader = self.codec.frame_reader(MiB)
            reader.feed(one + odd)
            self.assertEqual(reader.mid_frame, is_ours)
            for before in (1, 2, 9, 13, 14, 15):
                reader = self.codec.frame_reader(MiB)
                reader.feed(begun[:before])
                reader.take(1)
                reader.feed(begun[before:] + one + odd)
                self.assertEqual(reader.mid_frame, is_ours)
                self.assertEqual(reader.pending, len(begun + one + odd))
            reader = self.codec.frame_reader(MiB)
            reader.feed(b"\x82\xff\0")
            reader.take(1)
            reader.feed(bytes(7))
            self.assertFalse(reader.mid_frame)
            reader.feed(b"mask")
            self.assertFalse(reader.mid_frame)

    def test_lets_go_of_what_was_read(self) -> None:
        """Of a long read nothing is kept once its messages are taken, but a frame's beginning."""
        for rest in (b"", browser_frame((b"xyz", True))[:-1], browser_frame((b"z", True))[:3]):
            data = browser_frame((b"one", True)) * 1000 + rest
            references = sys.getrefcount(data)
            reader = self.codec.frame_reader(100, "int32", "binary")
            reader.feed(data)
            self.assertEqual(drained_framed(reader)[1], 1000)
            self.assertEqual(sys.getrefcount(data), references)
            self.assertEqual(reader.pending, len(rest))

    def test_an_announcement_sets_nothing_aside(self) -> None:
        """Who announces much and sends little is given memory for what was sent."""
        stream = browser_frame((bytes(32 * MiB), True))
        for sent, most in ((15, 64 * KiB), (10_014, 2 * MiB)):
            tracemalloc.start()
            try:
                reader = self.codec.frame_reader(64 * MiB)
                reader.feed(stream[:sent])
                self.assertEqual(reader.take(1), [])
                self.assertLess(tracemalloc.get_traced_memory()[1], most)
            finally:
                tracemalloc.stop()
            self.assertEqual(reader.pending, sent)
        self.assertLess(memory_of(lambda: self.codec.frame_reader(64 * MiB), stream[:14]), KiB)
        reader.feed(stream[sent : 3 * MiB])
        self.assertEqual(reader.take(1), [])
        reader.feed(stream[3 * MiB :])
        ((payload, _),) = reader.take(1)
        self.assertTrue(payload == bytes(32 * MiB))

    # Anything at all

    @ANYTHING
    @given(
        browser_streams(),
        PLACES,
        st.sampled_from([(None, "binary"), (None, "text"), *SHAPES]),
        st.sampled_from([0, 5, 126, MiB]),
    )
    def test_any_bytes_any_cuts(
        self, stream: bytes, places: list[int], shape: tuple[str | None, str], limit: int
    ) -> None:
        """Whatever comes, and however it is cut, is what a naive reading of the whole says."""
        framing, message_type = shape
        for pieces in (cut(stream, places), cut(stream, range(len(stream)))):
            reader = self.codec.frame_reader(limit, framing, message_type)
            framed = self.codec.frame_reader(limit, framing, message_type)
            sent, taken, frames = b"", [], b""
            for piece in pieces:
                sent += piece
                said = browser_said(sent, limit, framing, message_type)
                reader.feed(piece)
                taken += drained(reader)
                self.assertEqual(taken, said.messages)
                self.check(reader, said)
                if framing is not None:
                    framed.feed(piece)
                    frames += drained_framed(framed, 2)[0]
                    self.check(framed, said)
            self.assertEqual(reader.release(), said.rest)
            if framing is not None:
                self.assertEqual(
                    frames,
                    b"".join(link_frame(each, framing, message_type) for each in said.messages),
                )
                self.assertEqual(framed.release(), said.rest)

    RECORDED = b"".join(
        (
            browser_frame(message(3, False)),
            frame(Opcode.PING, b"ping"),
            browser_frame(message(40, False)),
            browser_frame(message(0, True)),
            frame(Opcode.TEXT, "한".encode()[:2], fin=False),
            frame(Opcode.PING),
            frame(Opcode.CONTINUATION, "한글".encode()[2:]),
            browser_frame(message(130, True)),
            frame(Opcode.PONG, b"pong"),
            frame(Opcode.BINARY, b"", fin=False),
            frame(Opcode.CONTINUATION, b"end"),
            browser_frame(message(33, False)),
            browser_frame(message(2, True)) * 5,
            close_frame(1000, b"bye"),
            browser_frame(message(5, False)),
        )
    )

    def test_beside_autobahn(self) -> None:
        """Pings, fragments and closes among messages: Autobahn with a short cut, as without it."""
        stream = self.RECORDED
        self.assertEqual(browser_said(stream, 200).messages, [message(3, False)])
        endings = {
            "close": stream,
            "bad text": stream.replace(close_frame(1000, b"bye"), frame(1, b"ab\xffcd")),
            "too large": stream.replace(close_frame(1000, b"bye"), frame(2, bytes(201))),
            "unmasked": stream.replace(close_frame(1000, b"bye"), frame(2, b"x", mask=None)),
            "not minimal": stream.replace(
                close_frame(1000, b"bye"), frame(2, b"x", length_octets=8)
            ),
        }
        for name, ending in endings.items():
            whole = told(Autobahn(200), [ending])[-1]
            self.assertEqual((len(whole), whole[-1][0]), (16, "close"), name)
            cuts = [[], range(len(ending)), *([place] for place in range(len(ending)))]
            for places in cuts:
                pieces = cut(ending, places)
                short = ShortCut(200, self.codec.frame_reader(200))
                found = told(short, pieces)
                self.assertEqual(found[-1], whole)
                if len(pieces) > 2:
                    self.assertEqual(found, told(Autobahn(200), pieces))

    @ANYTHING
    @given(browser_streams(), PLACES)
    def test_anything_beside_autobahn(self, stream: bytes, places: list[int]) -> None:
        """Whatever comes, Autobahn tells the same with a short cut, and as soon."""
        pieces = cut(stream, places)
        short = ShortCut(130, self.codec.frame_reader(130))
        self.assertEqual(told(short, pieces), told(Autobahn(130), pieces))

    # What is refused

    def test_arguments(self) -> None:
        """A reader that could not work is refused when it is made."""
        for arguments, why in (
            ((-1,), "max_payload: less than nothing"),
            ((9, "line"), "'line' has no length prefix: int32, int32le, int16"),
            ((9, ""), "'' has no length prefix: int32, int32le, int16"),
            ((9, 5), "5 has no length prefix: int32, int32le, int16"),
            ((9, "int32", "json"), "'json' is no message type: text, binary, tagged"),
            ((9, None, ""), "'' is no message type: text, binary, tagged"),
        ):
            error = self.assertRaises(ValueError, self.codec.frame_reader, *arguments)
            self.assertEqual(str(error), why)
        self.assertRaises(TypeError, self.codec.frame_reader)
        reader = self.codec.frame_reader(max_payload=9, framing="int16", message_type="text")
        reader.feed(browser_frame((b"hi", False)))
        self.assertEqual(reader.take_framed(1), (b"\0\2hi", 1, 2))

    def test_no_link(self) -> None:
        """Without a framing there are no frames for a link."""
        reader = self.codec.frame_reader(9)
        reader.feed(browser_frame((b"hi", False)))
        error = self.assertRaises(ValueError, reader.take_framed, 1)
        self.assertEqual(str(error), "this reader has no framing")
        self.assertEqual(reader.take(1), [(b"hi", False)])


class PythonFrameReaderTests(InPython, FrameReaderTests, Case):
    pass


class CFrameReaderTests(InC, FrameReaderTests, Case):
    pass


class LinkReaderTests:
    """A link's bytes in, a server's frames out."""

    codec: Codec
    assertEqual: Callable[..., None]
    assertTrue: Callable[..., None]
    assertFalse: Callable[..., None]
    assertLess: Callable[..., None]
    assertIsInstance: Callable[..., None]
    assertRaises: Callable[..., Any]
    subTest: Callable[..., Any]

    def test_messages(self) -> None:
        """Frames of every size become those of a server, whole or cut in their headers."""
        for framing, message_type in SHAPES:
            for size in SIZES:
                spoken = [
                    message(size, message_type != "text"),
                    message(2, message_type == "binary"),
                ]
                if message_type == "binary":
                    spoken = [(payload, True) for payload, _ in spoken]
                if size + 1 > (largest_payload(framing) or 0):
                    continue
                stream = b"".join(link_frame(each, framing, message_type) for each in spoken)
                expected = b"".join(map(server_frame, spoken))
                for places in ([], *([place] for place in range(7)), [100, 200], range(9)):
                    reader = self.codec.link_reader(MiB, framing, message_type)
                    frames, count, total = b"", 0, 0
                    for piece in cut(stream, places):
                        reader.feed(piece)
                        found = drained_framed(reader)
                        frames, count, total = (
                            frames + found[0],
                            count + found[1],
                            total + found[2],
                        )
                    self.assertTrue(frames == expected)
                    self.assertEqual((count, total), (2, size + 2))
                    self.assertEqual((reader.pending, reader.mid_frame), (0, False))

    def test_as_many_as_asked_for(self) -> None:
        """No call returns more messages than it was asked for, and none is lost by asking."""
        spoken = [message(size, True) for size in range(40)]
        stream = b"".join(link_frame(each, "int16", "binary") for each in spoken)
        for most in (1, 2, 7, 39, 40, 41):
            for place in (0, 5, 400, len(stream) - 1):
                reader = self.codec.link_reader(100, "int16", "binary")
                frames = b""
                for piece in cut(stream, [place]):
                    reader.feed(piece)
                    for nothing in (0, -1):
                        self.assertEqual(reader.take(nothing), (b"", 0, 0))
                    frames += drained_framed(reader, most)[0]
                self.assertEqual(frames, b"".join(map(server_frame, spoken)))

    def test_large_ones_come_alone(self) -> None:
        """A large message that came in pieces is handed out as it is; small ones are joined."""
        for size, alone in ((ALONE, False), (ALONE + 1, True)):
            large, small = message(size, True), message(4, True)
            stream = b"".join(link_frame(one, "int32", "tagged") for one in (large, small, small))
            reader = self.codec.link_reader(MiB, "int32", "tagged")
            reader.feed(stream[:1000])
            self.assertEqual(reader.take(9), (b"", 0, 0))
            reader.feed(stream[1000:])
            expected = [large] if alone else [large, small, small]
            frames, count, total = reader.take(9)
            self.assertTrue(frames == b"".join(map(server_frame, expected)))
            self.assertEqual(count, len(expected))
            self.assertEqual(total, sum(len(payload) for payload, _ in expected))
            self.assertEqual(reader.take(9)[1], 3 - count)

    def bad_frames(self) -> Iterator[tuple[str, str, bytes, str]]:
        """Yield a framing, a message type, what breaks them, and the error that says so."""
        for framing in FRAMINGS:
            encode = encoder(framing)
            announced = encode(bytes(1001))
            for message_type in MESSAGE_TYPES:
                why = "a frame of 1001 bytes or more; the limit is 1000"
                yield framing, message_type, announced[:-1001], why
                yield framing, message_type, announced, why
            for text in (b"\xff", b"a\xed\xa0\x80", b"x" * 40 + b"\xe0", b"y" * 900 + b"\xc0z"):
                why = "the backend sent text that is no UTF-8"
                yield framing, "text", encode(text), why
                yield framing, "tagged", encode(b"T" + text), why
            for payload, tag in ((b"", b""), (b"x", b"x"), (b"tab", b"t"), (b"\xffab", b"\xff")):
                why = f"a frame has to begin with T or B, not with {tag!r}"
                yield framing, "tagged", encode(payload), why

    def test_errors(self) -> None:
        """Whole frames before a bad one come out, and then the error, for good."""
        for framing, message_type, bad, why in self.bad_frames():
            good = link_frame((b"one", message_type == "binary"), framing, message_type)
            for place in (0, 1, len(good), len(good) + 1, len(good) + len(bad) - 1):
                with self.subTest(f"{framing} {message_type} {bad[:12]!r} {place}"):
                    reader = self.codec.link_reader(1000, framing, message_type)
                    count, first = 0, None
                    for piece in cut(good + bad, [place]):
                        reader.feed(piece)
                        while (first := counted(reader.take, 9))[1] == 1:
                            count += 1
                        if first != (b"", 0, 0):
                            break
                    self.assertEqual(count, 1)
                    error = self.assertRaises(BackendError, reader.take, 9)
                    self.assertEqual(str(error), why)
                    self.assertEqual(first, (repr(error), vars(error)))
                    self.assertEqual((reader.pending, reader.mid_frame), (0, False))
                    for call in (lambda: reader.feed(good), lambda: reader.take(0)):  # noqa: B023
                        again = self.assertRaises(type(error), call)
                        self.assertEqual((str(again), vars(again)), (why, vars(error)))
                    if "limit" in why:
                        self.assertIsInstance(error, FrameTooLarge)
                        self.assertEqual((error.size, error.max_payload), (1001, 1000))

    def test_an_announced_gigabyte(self) -> None:
        """What is too large is refused before one byte of it arrives."""
        for framing, announcement in (("int32", b"\x40\0\0\0"), ("int32le", b"\0\0\0\x40")):
            for place in range(4):
                reader = self.codec.link_reader(1000, framing, "tagged")
                first, second = cut(announcement, [place])
                reader.feed(first)
                self.assertEqual(reader.take(1), (b"", 0, 0))
                reader.feed(second)
                error = self.assertRaises(FrameTooLarge, reader.take, 1)
                self.assertEqual(error.size, 1 << 30)

    def test_the_limit_counts_the_tag(self) -> None:
        """The limit is on what the link carries, as it is for its decoder."""
        for message_type, size in (("binary", 10), ("text", 10), ("tagged", 9)):
            spoken = (b"x" * size, message_type == "binary")
            reader = self.codec.link_reader(10, "int32", message_type)
            reader.feed(link_frame(spoken, "int32", message_type))
            self.assertEqual(reader.take(1), (server_frame(spoken), 1, size))

    def test_mid_frame(self) -> None:
        """A frame is cut by a break after any of its bytes but the last, taken or not."""
        for framing, message_type in SHAPES:
            whole = link_frame((b"payload", message_type == "binary"), framing, message_type)
            for place, first in product(range(len(whole) + 1), range(len(whole))):
                reader = self.codec.link_reader(100, framing, message_type)
                reader.feed(whole[:place][:first])
                reader.take(1)
                reader.feed(whole[:place][first:])
                expected = 0 < place < len(whole)
                self.assertEqual(reader.mid_frame, expected)
                reader.take(1)
                self.assertEqual(
                    (reader.pending, reader.mid_frame), (place if expected else 0, expected)
                )
                reader.feed(whole[place:] + b"\xff\xff\xff\xff")
                self.assertFalse(reader.mid_frame)

    def test_lets_go_of_what_was_read(self) -> None:
        """Of a long read nothing is kept once it is taken; and of a bad one nothing at all."""
        one = encoder("int32")(b"Bone")
        for rest, is_bad in (
            (b"", False),
            (one[:3], False),
            (one[:-1], False),
            (b"\xff\xff\xff\xff", True),
            (encoder("int32")(b"bad"), True),
        ):
            data = one * 1000 + rest
            references = sys.getrefcount(data)
            reader = self.codec.link_reader(100, "int32", "tagged")
            reader.feed(data)
            taken = reader.take(ENOUGH)
            self.assertEqual(taken[1], 1000)
            if is_bad:
                self.assertRaises(BackendError, reader.take, 1)
            self.assertEqual(sys.getrefcount(data), references)
            self.assertEqual(reader.pending, 0 if is_bad else len(rest))

    def test_an_announcement_sets_nothing_aside(self) -> None:
        """A backend that announces much and sends little is given memory for what was sent."""
        stream = encoder("int32")(bytes(32 * MiB))
        for sent, most in ((5, 64 * KiB), (10_004, 2 * MiB)):
            tracemalloc.start()
            try:
                reader = self.codec.link_reader(64 * MiB, "int32", "binary")
                reader.feed(stream[:sent])
                self.assertEqual(reader.take(1), (b"", 0, 0))
                self.assertLess(tracemalloc.get_traced_memory()[1], most)
            finally:
                tracemalloc.stop()
        new = partial(self.codec.link_reader, 64 * MiB, "int32", "binary")
        self.assertLess(memory_of(new, stream[:4]), KiB)
        reader.feed(stream[sent:])
        self.assertTrue(reader.take(1) == (server_frame((bytes(32 * MiB), True)), 1, 32 * MiB))

    @ANYTHING
    @given(st.data(), st.sampled_from(SHAPES), PLACES, st.sampled_from([0, 9, 100, MiB]))
    def test_any_bytes_any_cuts(
        self, data: st.DataObject, shape: tuple[str, str], places: list[int], limit: int
    ) -> None:
        """Whatever a backend sends is what the decoder and the message type make of it."""
        framing, message_type = shape
        stream = data.draw(link_streams(framing, message_type) | st.binary(max_size=40))
        for pieces in (cut(stream, places), cut(stream, range(len(stream)))):
            reader = self.codec.link_reader(limit, framing, message_type)
            sent, frames = b"", b""
            for piece in pieces:
                sent += piece
                said, error = link_said(sent, limit, framing, message_type)
                reader.feed(piece)
                found: Any = (b"", 1, 0)
                while found[1] == 1:
                    frames += found[0]
                    found = counted(reader.take, 1)
                expected = (b"", 0, 0) if error is None else (repr(error), vars(error))
                self.assertEqual(found, expected)
                self.assertEqual(frames, b"".join(map(server_frame, said.messages)))
                self.assertEqual(
                    (reader.pending, reader.mid_frame), (len(said.rest), said.mid_frame)
                )
                if error is not None:
                    break

    def test_arguments(self) -> None:
        """A reader that could not work is refused when it is made."""
        for arguments, why in (
            ((-1, "int32", "text"), "max_payload: less than nothing"),
            ((9, None, "text"), "None has no length prefix: int32, int32le, int16"),
            ((9, "netstring", "text"), "'netstring' has no length prefix: int32, int32le, int16"),
            ((9, "int32", "json"), "'json' is no message type: text, binary, tagged"),
        ):
            error = self.assertRaises(ValueError, self.codec.link_reader, *arguments)
            self.assertEqual(str(error), why)
        for missing in ((9,), (9, "int32")):
            self.assertRaises(TypeError, self.codec.link_reader, *missing)


class PythonLinkReaderTests(InPython, LinkReaderTests, Case):
    pass


class CLinkReaderTests(InC, LinkReaderTests, Case):
    pass


class MessageFrameTests:
    """A whole message as a server's frame."""

    codec: Codec
    assertTrue: Callable[..., None]

    def test_frames(self) -> None:
        """Header and payload are as RFC 6455 has them, at every change of the header's size."""
        for size, is_binary in product(SIZES, (False, True)):
            spoken = message(size, is_binary)
            self.assertTrue(self.codec.message_frame(*spoken) == server_frame(spoken))


class PythonMessageFrameTests(InPython, MessageFrameTests, Case):
    pass


class CMessageFrameTests(InC, MessageFrameTests, Case):
    pass


class TwinTests(InC, Case):
    """The two codecs do the same, call by call."""

    def same(self, one: Any, other: Any, name: str, *arguments: Any) -> None:
        self.assertEqual(
            counted(getattr(one, name), *arguments), counted(getattr(other, name), *arguments)
        )
        for what in ("pending", "mid_frame", "is_odd"):
            self.assertEqual(getattr(one, what, None), getattr(other, what, None), what)

    CALLS = st.lists(
        st.tuples(st.just("feed"), st.integers(0, 90))
        | st.tuples(st.sampled_from(["take", "take_framed"]), st.integers(-1, 4))
        | st.just(("release", 0))
    )

    @ANYTHING
    @given(browser_streams(), CALLS, st.sampled_from([(None, "binary"), (None, "text"), *SHAPES]))
    def test_frame_readers(
        self, stream: bytes, calls: list[tuple[str, int]], shape: tuple[str | None, str]
    ) -> None:
        """A browser's reader in C is the one in Python, whoever asks for what, and when."""
        one, other = (each.frame_reader(130, *shape) for each in (self.codec, PORTABLE))
        for name, number in [*calls, ("feed", len(stream)), ("take", ENOUGH)]:
            if name == "feed":
                self.same(one, other, name, stream[:number])
                stream = stream[number:]
            elif name == "release":
                self.same(one, other, name)
            else:
                self.same(one, other, name, number)
        self.same(one, other, "release")

    @ANYTHING
    @given(st.data(), CALLS, st.sampled_from(SHAPES))
    def test_link_readers(
        self, data: st.DataObject, calls: list[tuple[str, int]], shape: tuple[str, str]
    ) -> None:
        """And so is a link's."""
        stream = data.draw(link_streams(*shape) | st.binary(max_size=40))
        one, other = (each.link_reader(130, *shape) for each in (self.codec, PORTABLE))
        for name, number in [*calls, ("feed", len(stream)), ("take", ENOUGH), ("take", 1)]:
            if name == "feed":
                self.same(one, other, name, stream[:number])
                stream = stream[number:]
            else:
                self.same(one, other, "take", number)

    @settings(deadline=None, max_examples=25)
    @given(st.lists(st.sampled_from([0, 3, ALONE, ALONE + 1, 70_000]), max_size=5), PLACES)
    @example([ALONE + 1, ALONE + 1, ALONE + 1, 70_000], [273])  # cut within the second header
    def test_large_messages(self, sizes: list[int], places: list[int]) -> None:
        """Large messages come alone in both, or joined in both."""
        stream = b"".join(browser_frame(message(size, size % 2 == 0)) for size in sizes)
        places = [place * 7919 for place in places]
        one, other = (each.frame_reader(MiB, "int32", "tagged") for each in (self.codec, PORTABLE))
        frames = b""
        for piece in cut(stream, places):
            for reader in (one, other):
                reader.feed(piece)
            while True:
                taken = one.take_framed(3)
                self.assertTrue(taken == other.take_framed(3))
                if not taken[1]:
                    break
                frames += taken[0]
            self.assertEqual((one.pending, one.mid_frame), (other.pending, other.mid_frame))
        links = [each.link_reader(MiB + 1, "int32", "tagged") for each in (self.codec, PORTABLE)]
        for piece in cut(frames, places):
            for link in links:
                link.feed(piece)
            while True:
                taken, twin = (link.take(3) for link in links)
                self.assertTrue(taken == twin)
                if not taken[1]:
                    break
        self.assertEqual([link.pending for link in links], [0, 0])


class ExtensionTests(InC, Case):
    """What can only go wrong in C."""

    def frame_reader(self) -> Any:
        return self.codec.frame_reader(MiB, "int32", "tagged")

    def test_types(self) -> None:
        """What is not bytes, or no number, is refused and changes nothing."""
        for reader in (self.frame_reader(), self.codec.link_reader(MiB, "int32", "tagged")):
            calls: list[tuple[Any, Any]] = [
                *((reader.feed, wrong) for wrong in ("text", None, bytearray(b"x"), 5)),
                *((reader.take, wrong) for wrong in ("5", None, 1.5, b"5")),
            ]
            for call, wrong in calls:
                self.assertRaises(TypeError, call, wrong)
            self.assertRaises(OverflowError, reader.take, 1 << 70)
            self.assertEqual(reader.pending, 0)
        for wrong in ((), (b"x",), ("x", True), (b"x", True, True), (None, True)):
            self.assertRaises(TypeError, self.codec.message_frame, *wrong)

        class Neither:
            def __bool__(self) -> bool:
                raise KeyError("neither")

        self.assertRaises(KeyError, self.codec.message_frame, b"x", Neither())
        for make in (self.codec.frame_reader, self.codec.link_reader):
            self.assertRaises(OverflowError, make, 1 << 70, "int32", "text")

    def test_bytes_of_a_subclass(self) -> None:
        """Bytes of another class are copied: whatever they refer to, no cycle leads through."""

        class Other(bytes):
            reader: Any

        data = Other(browser_frame((b"one", True)))
        references = sys.getrefcount(data)
        data.reader = reader = self.frame_reader()
        reader.feed(data)
        self.assertEqual(sys.getrefcount(data), references)
        self.assertEqual(reader.take(1), [(b"one", True)])
        self.assertIs(type(self.codec.message_frame(data, True)), bytes)

    def test_nothing_leaks(self) -> None:
        """A thousand rounds of everything, errors too, take no more memory than ten."""
        large = browser_frame(message(70_000, False))
        odd = browser_frame((b"x" * 5000 + b"\xff" + b"x" * 90_000, False))
        spoken = b"".join(browser_frame(message(size, bool(size % 2))) for size in range(40))
        answers = [encoder("int32")(b"T" + bytes(size)) for size in (0, 5, 400, 70_000)]

        def everything() -> None:
            reader = self.frame_reader()
            for stream in (spoken, large, odd, spoken + odd, odd[:-1], frame(Opcode.PING)):
                for step in (1000, 50_000):
                    for at in range(0, len(stream), step):
                        reader.feed(stream[at : at + step])
                        reader.take(3)
                        reader.take_framed(7)
                    for name in ("take_framed", "take"):
                        reader.feed(spoken + browser_frame((b"\xff", False)))
                        getattr(reader, name)(ENOUGH)
                        reader.release()
            reader.feed(large[:20_000])
            reader.take(1)
            for bad in (b"\xff\xff\xff\xff", encoder("int32")(b"x"), encoder("int32")(b"T\xff")):
                link = self.codec.link_reader(MiB, "int32", "tagged")
                for piece in cut(b"".join(answers) + answers[0] + bad, [70_000, 5, 900]):
                    link.feed(piece)
                    counted(link.take, 3)
                for _ in range(4):
                    counted(link.take, 1)
                counted(link.feed, b"x")
            self.codec.message_frame(spoken, True)
            for arguments in ((-1,), (1, "line"), (1, "int32", "x")):
                counted(self.codec.frame_reader, *arguments)

        def used(times: int) -> int:
            for _ in range(times):
                everything()
            gc.collect()
            return tracemalloc.get_traced_memory()[0]

        tracemalloc.start()
        try:
            used(10)
            before = used(10)
            types = (self.codec.frame_reader, self.codec.link_reader, BackendError, FrameTooLarge)
            references = [*map(sys.getrefcount, types)]
            self.assertLess(used(1000) - before, 4096)
            self.assertEqual([*map(sys.getrefcount, types)], references)
        finally:
            tracemalloc.stop()

    def test_no_memory(self) -> None:
        """A call that finds no memory takes nothing: made again, it does what it had to do."""
        try:
            from _testcapi import remove_mem_hooks, set_nomemory
        except ImportError:
            self.skipTest("this Python has no _testcapi")
        spoken = [message(300, False), message(5, True), message(20_000, True)]
        stream = b"".join(map(browser_frame, spoken)) + browser_frame((b"x" * 900, True))[:500]
        frames = b"".join(link_frame(each, "int32", "tagged") for each in spoken)
        link = partial(self.codec.link_reader, MiB, "int32", "tagged")
        failures = 0
        gc.disable()  # it needs memory, too
        self.addCleanup(gc.enable)

        def tried(call: Callable[..., Any], argument: Any, nth: int | None) -> str:
            """Return what a call comes to in the end, if its nth allocation fails."""
            nonlocal failures
            result: Any = None
            if nth is not None:
                set_nomemory(nth, nth + 1)
            try:
                result = call(argument)
            except BackendError as error:
                result = error
            except MemoryError:
                result = MemoryError
            finally:
                remove_mem_hooks()
            if result is not MemoryError:
                return str(result)
            failures += 1
            return tried(call, argument, None)

        for make, name, data in (
            (self.frame_reader, "take", stream),
            (self.frame_reader, "take_framed", stream),
            (partial(self.codec.frame_reader, MiB), "take", stream),
            (link, "take", frames),
            (link, "take", frames + b"\xff" * 4),
            (link, "take", frames + encoder("int32")(b"x")),
            (link, "take", frames + encoder("int32")(b"T\xff")),
        ):
            for place in (0, 3, 100, 305, 5000):
                found = []
                for nth in (None, *range(12)):
                    reader: Any = make()
                    calls = []
                    for piece in cut(data, [place]):
                        for half in cut(piece, [len(piece) // 2]):
                            calls.append((reader.feed, half))
                        calls += [(getattr(reader, name), 2)] * 4
                    if make is not link:
                        calls.append((lambda _, reader=reader: reader.release(), None))
                    found.append([tried(call, argument, nth) for call, argument in calls])
                    found[-1].append(str((reader.pending, reader.mid_frame)))
                for each in found:
                    self.assertTrue(each == found[0])
        self.assertLess(100, failures)

    def test_called_by_the_collector(self) -> None:
        """Code that the garbage collector runs in the middle of a call is kept out."""
        if sys.version_info >= (3, 12):
            self.skipTest("the collector runs between calls here")
        spoken = [message(5, True)] * 5000  # more than there are tuples to use again
        stream = b"".join(map(browser_frame, spoken))
        reader = self.frame_reader()
        answers, held = [], []

        def intrude(phase: str, info: dict[str, int]) -> None:
            for call in (reader.release, lambda: reader.feed(b"x"), lambda: reader.take(1)):
                try:
                    call()
                    answers.append("done")
                except RuntimeError as error:
                    answers.append(str(error))
            held.append((reader.pending, reader.mid_frame))

        reader.feed(stream)
        threshold = gc.get_threshold()
        gc.callbacks.append(intrude)
        take = reader.take
        gc.set_threshold(1)
        try:
            taken = take(5000)
        finally:
            gc.set_threshold(*threshold)
            gc.callbacks.remove(intrude)
        self.assertEqual({*answers}, {"the reader is at work"})
        self.assertEqual({*held}, {(len(stream), False)})
        self.assertEqual(taken, spoken)

    def test_nothing_unfinished_is_seen(self) -> None:
        """A list that is not filled yet has places that are empty: nobody may come by it."""
        if sys.version_info >= (3, 12):
            self.skipTest("the collector runs between calls here")
        spoken = [message(5, True)] * 5000
        reader = self.frame_reader()
        seen: list[int] = []

        def look(phase: str, info: dict[str, int]) -> None:
            seen.extend(len(each) for each in gc.get_objects() if type(each) is list)

        reader.feed(b"".join(map(browser_frame, spoken)))
        threshold = gc.get_threshold()
        gc.callbacks.append(look)
        gc.set_threshold(1000)
        try:
            taken = reader.take(4321)
        finally:
            gc.set_threshold(*threshold)
            gc.callbacks.remove(look)
        self.assertIn(5000, seen)
        self.assertFalse(4321 in seen)
        self.assertEqual(taken, spoken[:4321])
        self.assertTrue(gc.is_tracked(taken))

    def test_of_one_class_for_good(self) -> None:
        """A reader of one direction cannot be made one of the other, nor its class be changed."""
        reader = self.frame_reader()
        with self.assertRaises(TypeError):
            reader.__class__ = self.codec.link_reader
        with self.assertRaises(TypeError):
            self.codec.frame_reader.take = None  # type: ignore[attr-defined]


class ChoiceTests(SynchronousTestCase):
    """Which codec there is."""

    def loaded(self, module: object) -> tuple[Codec, str | None]:
        """Choose with something else in the place of the extension."""
        with patch.dict(sys.modules, {EXTENSION: module}):
            core = sys.modules["orion_twisted.core"]
            with patch.object(core, "_wsframes", module, create=True):
                return load()

    def test_no_extension(self) -> None:
        """Where the extension was not built the one in Python is there, and says why."""
        found, why = self.loaded(None)
        self.assertEqual((found.name, found), ("python", PORTABLE))
        self.assertIn(EXTENSION, why or "")

    def test_another_version(self) -> None:
        """An extension that was built for another version is not used."""
        stale = ModuleType(EXTENSION)
        stale.VERSION = wsframes_py.VERSION + 1  # type: ignore[attr-defined]
        found, why = self.loaded(stale)
        self.assertEqual(found, PORTABLE)
        ours = wsframes_py.VERSION
        self.assertEqual(why, f"it has version {ours + 1}, not {ours}")

    def test_the_extension(self) -> None:
        """One of this version is used."""
        built = ModuleType(EXTENSION)
        vars(built).update(vars(wsframes_py))
        found, why = self.loaded(built)
        self.assertEqual((found.name, why), ("c", None))
        self.assertIs(found.frame_reader, wsframes_py.FrameReader)

    def test_asked_for(self) -> None:
        """Who asks for the one in Python gets it, whatever else is there."""
        self.assertEqual(codec(portable=True), PORTABLE)
        self.assertEqual(codec().name, wsframes.IMPLEMENTATION)
        self.assertEqual(wsframes.IMPLEMENTATION, "c" if why_not_c() is None else "python")
