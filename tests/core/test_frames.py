"""Framings: payloads in, bytes across, the same payloads out, however the bytes are cut."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any, ClassVar
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core import frames
from orion_twisted.core.errors import BackendError, BadMessage
from orion_twisted.core.frames import (
    FRAMINGS,
    FrameDecoder,
    FrameMalformed,
    FrameTooLarge,
    FrameUnencodable,
    decoder,
    encoder,
    largest_payload,
)

MiB = 1024 * 1024
PREFIXED = ("int32", "int32le", "int16")
DELIMITED = {"line": b"\n", "nul": b"\0"}

# Bytes that mean something to one framing or another are drawn often.
STREAM = st.lists(
    st.binary(max_size=12)
    | st.sampled_from([b"\0", b"\n", b",", b":", b"0", b"7", b"12", b"\0\0"])
).map(b"".join)


def pull(pulled: FrameDecoder) -> list[bytes]:
    """Return the payloads that are whole."""
    return list(iter(pulled.next_payload, None))


def cut(stream: bytes, places: Iterable[int]) -> list[bytes]:
    """Cut a stream at places, which are taken modulo its length."""
    edges = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[a:b] for a, b in pairwise(edges)]


def outcome(decoding: FrameDecoder, chunks: Iterable[bytes]) -> tuple[list[bytes], str | None]:
    """Feed chunks and pull after each; return the payloads, and the error that ended it."""
    payloads: list[bytes] = []
    try:
        for chunk in chunks:
            decoding.receive_data(chunk)
            while (payload := decoding.next_payload()) is not None:
                payloads.append(payload)
    except BackendError as error:
        return payloads, repr(error)
    return payloads, None


class Huge(bytes):
    """A payload that claims a length which no test could hold."""

    length: ClassVar[int]

    def __len__(self) -> int:
        return self.length


class EncoderTests(SynchronousTestCase):
    """`encoder`, `largest_payload` and the table of framings."""

    def test_bytes_on_the_wire(self) -> None:
        """Each framing puts a payload on the wire as its row of the table says."""
        self.assertEqual(FRAMINGS, ("int32", "int32le", "int16", "netstring", "line", "nul"))
        for framing, payload, frame in (
            ("int32", b"hi", b"\0\0\0\2hi"),
            ("int32", b"", b"\0\0\0\0"),
            ("int32le", b"hi", b"\2\0\0\0hi"),
            ("int16", b"hi", b"\0\2hi"),
            ("int16", b"x" * 258, b"\1\2" + b"x" * 258),
            ("netstring", b"hi", b"2:hi,"),
            ("netstring", b"", b"0:,"),
            ("netstring", b"hello world!", b"12:hello world!,"),
            ("line", b"hi", b"hi\n"),
            ("line", b"hi\r", b"hi\r\n"),
            ("line", b"", b"\n"),
            ("nul", b"h\ni", b"h\ni\0"),
        ):
            with self.subTest(f"{framing} {payload[:12]!r}"):
                self.assertEqual(encoder(framing)(payload), frame)

    def test_delimiter_in_the_payload(self) -> None:
        """A message with the byte that would end it early is refused, as the browser's fault."""
        for framing, delimiter in DELIMITED.items():
            for payload in (
                delimiter,
                b"a" + delimiter,
                delimiter + b"a",
                b"a" + delimiter + b"b",
            ):
                error = self.assertRaises(FrameUnencodable, encoder(framing), payload)
                self.assertIsInstance(error, BadMessage)

    def test_longer_than_the_prefix_can_say(self) -> None:
        """A message is refused one byte after what its framing's prefix can announce."""
        for framing, largest in {
            "int32": 2**32 - 1,
            "int32le": 2**32 - 1,
            "int16": 65_535,
        }.items():
            with self.subTest(framing):
                self.assertEqual(largest_payload(framing), largest)
                payload = Huge(b"")
                Huge.length = largest
                self.assertNotEqual(encoder(framing)(payload), b"")
                Huge.length = largest + 1
                error = self.assertRaises(FrameUnencodable, encoder(framing), payload)
                self.assertIn(str(largest), str(error))

    def test_framings_without_a_bound(self) -> None:
        """Where no prefix bounds a payload, there is no largest one."""
        for framing in ("netstring", "line", "nul"):
            self.assertIsNone(largest_payload(framing))

    def test_unknown_framing(self) -> None:
        """A framing that does not exist is refused with the list of those that do."""
        calls: tuple[Callable[[], object], ...] = (
            lambda: encoder("int64"),
            lambda: decoder("int64", 1),
            lambda: largest_payload("int64"),
        )
        for call in calls:
            error = self.assertRaises(ValueError, call)
            self.assertEqual(
                str(error), "'int64' is no framing: int32, int32le, int16, netstring, line, nul"
            )


class RoundTripTests(SynchronousTestCase):
    """What is encoded comes out of the decoder."""

    @settings(deadline=None)
    @given(
        st.sampled_from(FRAMINGS),
        st.lists(st.binary(max_size=40)),
        st.lists(st.integers(0, 10_000)),
    )
    def test_any_payloads_any_cuts(
        self, framing: str, payloads: list[bytes], places: list[int]
    ) -> None:
        """Payloads arrive whole, in order and once, wherever the network cuts the stream."""
        unsaid = DELIMITED.get(framing)
        if unsaid is not None:
            payloads = [payload.replace(unsaid, b"") for payload in payloads]
        stream = b"".join(map(encoder(framing), payloads))
        decoding = decoder(framing, 40)
        self.assertEqual(outcome(decoding, cut(stream, places)), (payloads, None))
        self.assertEqual((decoding.pending, decoding.mid_frame), (0, False))

    @settings(deadline=None, max_examples=300)
    @given(st.sampled_from(FRAMINGS), STREAM, st.lists(st.integers(0, 10_000)))
    def test_any_bytes_any_cuts(self, framing: str, stream: bytes, places: list[int]) -> None:
        """Nonsense gives the same payloads, then the same error, however it is cut."""
        whole, pieces, bytewise = (decoder(framing, 9) for _ in range(3))
        expected = outcome(whole, [stream])
        self.assertEqual(outcome(pieces, cut(stream, places)), expected)
        self.assertEqual(outcome(bytewise, cut(stream, range(len(stream)))), expected)
        self.assertEqual(pieces.pending, whole.pending)
        self.assertEqual(bytewise.mid_frame, whole.mid_frame)

    @settings(deadline=None)
    @given(
        st.sampled_from(FRAMINGS),
        st.lists(st.text("abc", max_size=9).map(str.encode)),
        st.lists(st.tuples(st.integers(0, 30), st.integers(0, 4))),
    )
    def test_pulled_late(
        self, framing: str, payloads: list[bytes], turns: list[tuple[int, int]]
    ) -> None:
        """A reader that pauses, with bytes still coming in, misses nothing afterwards."""
        stream = b"".join(map(encoder(framing), payloads))
        decoding = decoder(framing, 9)
        pulled: list[bytes | None] = []
        for size, pulls in turns:
            decoding.receive_data(stream[:size])
            stream = stream[size:]
            pulled += [decoding.next_payload() for _ in range(pulls)]
        decoding.receive_data(stream)
        pulled += pull(decoding)
        self.assertEqual([payload for payload in pulled if payload is not None], payloads)

    @settings(deadline=None, max_examples=300)
    @given(
        st.sampled_from(FRAMINGS),
        st.lists(st.lists(st.text("abc", max_size=12).map(str.encode), max_size=2)),
        STREAM,
        st.lists(st.integers(0, 10_000), max_size=4),
    )
    def test_a_frame_alone(
        self, framing: str, reads: list[list[bytes]], nonsense: bytes, places: list[int]
    ) -> None:
        """To ask first whether a read is one whole frame changes neither payloads nor errors."""
        encode = encoder(framing)
        chunks = [b"".join(map(encode, payloads)) for payloads in reads]
        chunks += cut(encode(b"cut") + nonsense, places)
        expected = outcome(decoder(framing, 9), chunks)
        decoding, payloads, error = decoder(framing, 9), [], None
        for chunk in chunks:
            alone = decoding.only_payload(chunk)
            found, error = ([alone], None) if alone is not None else outcome(decoding, [chunk])
            payloads += found
            if error is not None:
                self.assertIsNone(decoding.only_payload(encode(b"behind")))
                break
        self.assertEqual((payloads, error), expected)

    def test_which_are_alone(self) -> None:
        """A read that is one frame is known where its length is in front, unless others wait."""
        for framing in PREFIXED:
            frame = encoder(framing)(b"hi")
            decoding = decoder(framing, 2)
            for data, payload in (
                (frame, b"hi"),
                (encoder(framing)(b""), b""),
                (frame[:-1], None),
                (frame[:1], None),
                (b"", None),
                (frame + frame, None),
                (encoder(framing)(b"far"), None),
            ):
                self.assertEqual(decoding.only_payload(data), payload)
                self.assertEqual(decoding.pending, 0)
            decoding.receive_data(frame[:1])
            self.assertIsNone(decoding.only_payload(frame))

    def test_payloads_are_bytes(self) -> None:
        """A payload is of type bytes, whether its frame came in one piece or in many."""
        for framing in FRAMINGS:
            for size in (1, 2, 100):
                frame = encoder(framing)(b"hello")
                chunks = [frame[at : at + size] for at in range(0, len(frame), size)]
                ((payload,), _) = outcome(decoder(framing, 5), chunks)
                self.assertIs(type(payload), bytes)


class LimitTests(SynchronousTestCase):
    """The largest payload, and what is beyond it."""

    def test_at_the_limit(self) -> None:
        """A payload of exactly the limit is taken; the limit does not count the framing."""
        for framing in FRAMINGS:
            for limit in (0, 1, 10, 1000):
                payload = b"x" * limit
                stream = encoder(framing)(payload)
                for chunks in ([stream], cut(stream, range(len(stream)))):
                    self.assertEqual(outcome(decoder(framing, limit), chunks), ([payload], None))

    def test_one_over(self) -> None:
        """A payload of one byte more is refused, with both numbers in the error."""
        for framing in FRAMINGS:
            for limit in (0, 1, 10, 1000):
                decoding = decoder(framing, limit)
                decoding.receive_data(encoder(framing)(b"x" * (limit + 1)))
                error = self.assertRaises(FrameTooLarge, decoding.next_payload)
                self.assertIsInstance(error, BackendError)
                self.assertEqual((error.size, error.max_payload), (limit + 1, limit))
                self.assertIn(f"{limit + 1} bytes", str(error))

    def test_refused_on_the_announcement(self) -> None:
        """An announced gigabyte is refused before one byte of it arrives."""
        for framing, announcement in {
            "int32": b"\x40\0\0\0",
            "int32le": b"\0\0\0\x40",
            "int16": b"\xff\xff",
            "netstring": b"1073741824:",
        }.items():
            with self.subTest(framing):
                decoding = decoder(framing, 1000)
                decoding.receive_data(announcement[:-1])
                self.assertIsNone(decoding.next_payload())
                decoding.receive_data(announcement[-1:])
                self.assertRaises(FrameTooLarge, decoding.next_payload)

    def test_refused_without_a_delimiter(self) -> None:
        """A line that does not end is refused at the first byte beyond the limit."""
        for framing in DELIMITED:
            decoding = decoder(framing, 10)
            decoding.receive_data(b"x" * 10)
            self.assertIsNone(decoding.next_payload())
            decoding.receive_data(b"x")
            error = self.assertRaises(FrameTooLarge, decoding.next_payload)
            self.assertEqual(error.size, 11)


class ErrorTests(SynchronousTestCase):
    """A stream that broke its framing."""

    BAD: ClassVar[dict[str, bytes]] = {
        "int32": b"\xff\xff\xff\xff",
        "int32le": b"\xff\xff\xff\xff",
        "int16": b"\xff\xff",
        "netstring": b"99:",
        "line": b"x" * 20,
        "nul": b"x" * 20,
    }

    def test_netstring_grammar(self) -> None:
        """A netstring is digits without leading zeros, a colon, the payload and a comma."""
        for stream in (
            b":", b":,", b"a", b"-1:", b"+1:x,", b" 1:x,", b"1 :x,", b"01:x,", b"00:,", b"0x1:x,",
            b"1x", b"1,", b",", b"\n", b"1:x;", b"1:xx,", b"0:x", b"2:x,y", b"1:x,\n", b"\xb2:xx,",
            b"1" * 20, b"1" * 19 + b"1:", b"1_0:",
        ):  # fmt: skip
            for chunks in ([stream], cut(stream, range(len(stream)))):
                with self.subTest(f"{stream!r} in {len(chunks)}"):
                    _, error = outcome(decoder("netstring", 2**70), chunks)
                    self.assertIn("FrameMalformed", str(error))

    def test_netstring_is_judged_by_what_has_come(self) -> None:
        """Digits may be the beginning of a netstring; the first wrong byte ends the wait."""
        decoding = decoder("netstring", 2**70)
        for byte in (b"9",) * 19:
            decoding.receive_data(byte)
            self.assertIsNone(decoding.next_payload())
        decoding.receive_data(b"9")
        error = self.assertRaises(FrameMalformed, decoding.next_payload)
        self.assertIsInstance(error, BackendError)

    def test_frames_before_the_error_come_out(self) -> None:
        """What was whole before the bad frame is delivered, and then the error, for good."""
        for framing, bad in self.BAD.items():
            with self.subTest(framing):
                good = encoder(framing)(b"one") + encoder(framing)(b"two")
                decoding = decoder(framing, 10)
                decoding.receive_data(good + bad)
                self.assertEqual(decoding.next_payload(), b"one")
                self.assertEqual(decoding.next_payload(), b"two")
                first = self.assertRaises(FrameTooLarge, decoding.next_payload)
                for call in (
                    decoding.next_payload,
                    lambda decoding=decoding, good=good: decoding.receive_data(good),
                    decoding.next_payload,
                ):
                    again = self.assertRaises(FrameTooLarge, call)
                    self.assertEqual(repr(again), repr(first))
                self.assertEqual((decoding.pending, decoding.mid_frame), (0, False))

    def test_an_error_holds_no_bytes(self) -> None:
        """A link in error keeps nothing of what its backend sent, not even by a traceback."""
        freed: list[str] = []

        class Chunk(bytes):
            def __del__(self) -> None:
                freed.append("chunk")

        for framing, bad in {**self.BAD, "netstring": b"x"}.items():
            with self.subTest(framing):
                decoding = decoder(framing, 10)
                decoding.receive_data(Chunk(bad + b"x" * 1000))
                try:
                    decoding.next_payload()
                except BackendError:
                    pass
                else:
                    self.fail("no error")
                self.assertEqual(freed, ["chunk"])
                freed.clear()


class HeldTests(SynchronousTestCase):
    """What a decoder holds, and whether a break now would cut a frame off."""

    def test_pending(self) -> None:
        """Bytes are counted from their arrival until their payload is pulled."""
        for framing in FRAMINGS:
            with self.subTest(framing):
                frame = encoder(framing)(b"payload")
                decoding = decoder(framing, 10)
                self.assertEqual(decoding.pending, 0)
                decoding.receive_data(frame)
                decoding.receive_data(frame + frame[:3])
                self.assertEqual(decoding.pending, 2 * len(frame) + 3)
                decoding.next_payload()
                self.assertEqual(decoding.pending, len(frame) + 3)
                decoding.next_payload()
                self.assertEqual(decoding.pending, 3)
                self.assertIsNone(decoding.next_payload())
                self.assertEqual(decoding.pending, 3)

    def test_mid_frame(self) -> None:
        """A frame is cut by a break after any of its bytes but the last."""
        for framing in FRAMINGS:
            frame = encoder(framing)(b"payload")
            for size in range(len(frame) + 1):
                for whole in (0, 2):
                    with self.subTest(f"{framing} {size} {whole}"):
                        decoding = decoder(framing, 10)
                        decoding.receive_data(frame * whole + frame[:size])
                        expected = 0 < size < len(frame)
                        self.assertEqual(decoding.mid_frame, expected)
                        self.assertEqual(decoding.mid_frame, expected)
                        self.assertEqual(
                            pull(decoding), [b"payload"] * (whole + size // len(frame))
                        )
                        self.assertEqual(decoding.mid_frame, expected)

    def test_mid_frame_asks_without_taking(self) -> None:
        """To ask changes nothing: not what is held, not an error that is still to come."""
        for framing, bad in ErrorTests.BAD.items():
            with self.subTest(framing):
                frame = encoder(framing)(b"payload")
                decoding = decoder(framing, 10)
                for byte in cut(frame, range(len(frame))):
                    decoding.receive_data(byte)
                decoding.receive_data(bad)
                self.assertFalse(decoding.mid_frame)
                self.assertEqual(decoding.pending, len(frame) + len(bad))
                self.assertEqual(decoding.next_payload(), b"payload")
                self.assertRaises(FrameTooLarge, decoding.next_payload)

    def test_nothing_is_kept_of_what_was_pulled(self) -> None:
        """Once its payloads are pulled, a chunk is let go, though a frame's beginning stays."""
        freed: list[str] = []

        class Chunk(bytes):
            def __del__(self) -> None:
                freed.append("chunk")

        for framing in FRAMINGS:
            with self.subTest(framing):
                frame = encoder(framing)(b"payload")
                decoding = decoder(framing, 10)
                decoding.receive_data(Chunk(frame * 100 + frame[:2]))
                pull(decoding)
                self.assertEqual((freed, decoding.pending), (["chunk"], 2))
                freed.clear()


class CountingArray(bytearray):
    """A bytearray that counts the bytes which pass through its operations."""

    work: ClassVar[int] = 0

    def __init__(self, source: Any = b"") -> None:
        super().__init__(source)
        CountingArray.work += len(source)

    def __iadd__(self, other: Any) -> CountingArray:  # type: ignore[misc]
        CountingArray.work += len(other)
        return super().__iadd__(other)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            CountingArray.work += len(range(*key.indices(len(self))))
            return CountingArray(super().__getitem__(key))
        return super().__getitem__(key)

    def find(self, sub: Any, start: Any = None, end: Any = None) -> int:
        found = super().find(sub, start, end)
        CountingArray.work += max(0, (found if found >= 0 else min(end, len(self))) - start) + 1
        return found


class LinearCostTests(SynchronousTestCase):
    """The cost per byte does not depend on how the bytes are cut, or on a frame's size."""

    def work_per_byte(self, framing: str, payloads: list[bytes], size: int) -> float:
        """Send payloads in chunks; return bytes copied and searched, per byte of the stream."""
        stream = b"".join(map(encoder(framing), payloads))
        decoding = decoder(framing, 16 * MiB)
        CountingArray.work = 0
        at = 0
        with patch.object(frames, "bytearray", CountingArray, create=True):
            for start in range(0, len(stream), size):
                decoding.receive_data(stream[start : start + size])
                while (payload := decoding.next_payload()) is not None:
                    CountingArray.work += len(payload)
                    self.assertEqual(payload, payloads[at])
                    at += 1
        self.assertEqual((at, decoding.pending), (len(payloads), 0))
        return CountingArray.work / len(stream)

    def test_one_byte_at_a_time(self) -> None:
        """A frame of 256 KiB in chunks of a byte is gathered once, searched once, cut out once."""
        for framing in FRAMINGS:
            with self.subTest(framing):
                payload = b"x" * (65_535 if framing == "int16" else MiB // 4)
                self.assertLess(self.work_per_byte(framing, [payload], 1), 4)

    def test_large_frames(self) -> None:
        """Frames of 16 MiB in chunks of 64 KiB cost no more per byte than small ones."""
        for framing in FRAMINGS:
            with self.subTest(framing):
                size = 65_535 if framing == "int16" else 16 * MiB
                payloads = [b"x" * size] * 2
                self.assertLess(self.work_per_byte(framing, payloads, 65_536), 4)

    def test_many_tiny_frames_in_a_chunk(self) -> None:
        """100,000 frames that arrive at once are cut out of the chunk one after the other."""
        payloads = [b"%d" % n for n in range(100_000)]
        for framing in FRAMINGS:
            with self.subTest(framing):
                self.assertLess(self.work_per_byte(framing, payloads, 10 * MiB), 4)

    def test_tiny_frames_across_chunks(self) -> None:
        """Frames that lie across every chunk's edge cost their own length, not the chunk's."""
        payloads = [b"%d" % n for n in range(20_000)]
        for framing in FRAMINGS:
            for size in (3, 1000):
                with self.subTest(f"{framing} {size}"):
                    self.assertLess(self.work_per_byte(framing, payloads, size), 5)

    def test_a_paused_reader(self) -> None:
        """What arrives during a pause is gathered once, though frames are pulled one by one."""
        for framing in FRAMINGS:
            with self.subTest(framing):
                frame = encoder(framing)(b"payload")
                decoding = decoder(framing, 10)
                CountingArray.work = 0
                with patch.object(frames, "bytearray", CountingArray, create=True):
                    decoding.receive_data(frame * 10_000)
                    for _ in range(5000):
                        decoding.receive_data(frame)
                        self.assertEqual(decoding.next_payload(), b"payload")
                    self.assertEqual(len(pull(decoding)), 10_000)
                self.assertLess(CountingArray.work / (15_000 * len(frame)), 3)
