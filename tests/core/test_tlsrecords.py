"""Where records end, however their stream is cut."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.tlsrecords import MOST_ENCRYPTED, RecordCount


def record(length: int, kind: int = 23, version: int = 0x0303) -> bytes:
    """Return a record with so many bytes in it."""
    return bytes([kind]) + version.to_bytes(2, "big") + length.to_bytes(2, "big") + bytes(length)


def ends_of(pieces: Iterable[bytes], only_data: bool = True) -> list[int]:
    """Return where in the whole stream a count has seen records end."""
    count, at, found = RecordCount(), 0, []
    for piece in pieces:
        found += [at + end for end in count.feed(piece, only_data)]
        at += len(piece)
    return found


class CountTests(SynchronousTestCase):
    """Streams of good records."""

    def setUp(self) -> None:
        self.count = RecordCount()

    def test_one(self) -> None:
        """A record that is whole ends where its bytes do, and the next byte begins one."""
        self.assertEqual(self.count.feed(record(10), only_data=True), [15])
        self.assertEqual(self.count.left, 0)

    def test_several(self) -> None:
        """Several records in one read, empty ones as well."""
        data = record(10) + record(0) + record(1000)
        self.assertEqual(self.count.feed(data, only_data=True), [15, 20, 1025])
        self.assertEqual(self.count.left, 0)

    def test_nothing(self) -> None:
        """No bytes change nothing, in the middle of a header or of a record either."""
        for data in (b"", record(9)[:3], record(9)[3:7], record(9)[7:]):
            self.count.feed(data, only_data=True)
            left = self.count.left
            self.assertEqual(self.count.feed(b"", only_data=True), [])
            self.assertEqual(self.count.left, left)
        self.assertEqual(self.count.left, 0)

    def test_left(self) -> None:
        """It is known how much of a record is missing, as soon as its header is whole."""
        self.count.feed(record(10)[:7], only_data=True)
        self.assertEqual(self.count.left, 8)
        self.assertEqual(self.count.feed(record(10)[7:] + record(3)[:2], only_data=True), [8])
        self.assertLess(self.count.left, 0)

    def test_cut_everywhere(self) -> None:
        """Two cuts, wherever they are, change nothing."""
        stream = record(3) + record(0) + record(7) + record(1)
        expected = [8, 13, 25, 31]
        for first in range(len(stream) + 1):
            for second in range(first, len(stream) + 1):
                pieces = stream[:first], stream[first:second], stream[second:]
                self.assertEqual(ends_of(pieces), expected, (first, second))

    @given(st.lists(st.integers(0, 300)), st.lists(st.integers(0, 3000)))
    def test_any_cuts(self, lengths: list[int], cuts: list[int]) -> None:
        """Any records, cut anywhere, end where they end."""
        stream = b"".join(map(record, lengths))
        edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
        expected = [sum(length + 5 for length in lengths[: n + 1]) for n in range(len(lengths))]
        self.assertEqual(ends_of(stream[a:b] for a, b in pairwise(edges)), expected)


class DoubtTests(SynchronousTestCase):
    """What is not counted any more."""

    def lost(self, data: bytes, only_data: bool) -> bool:
        """Say whether the count is lost by this, which does not depend on how it is cut."""
        whole, byte_by_byte = RecordCount(), RecordCount()
        whole.feed(data, only_data)
        for each in data:
            byte_by_byte.feed(bytes([each]), only_data)
        self.assertEqual(whole.is_lost, byte_by_byte.is_lost)
        return whole.is_lost

    def test_types(self) -> None:
        """In a handshake there are records of four types; later only those with data."""
        for kind in range(256):
            self.assertEqual(self.lost(record(1, kind), False), kind not in (20, 21, 22, 23))
            self.assertEqual(self.lost(record(1, kind), True), kind != 23)

    def test_versions(self) -> None:
        """Old versions stand in the headers of a first message; later there is only one."""
        for version, in_handshake, later in (
            (0x0300, True, False),
            (0x0301, True, False),
            (0x0303, True, True),
            (0x0304, True, False),
            (0x0203, False, False),
            (0x0403, False, False),
        ):
            self.assertEqual(not self.lost(record(1, 22, version), False), in_handshake)
            self.assertEqual(not self.lost(record(1, 23, version), True), later)

    def test_lengths(self) -> None:
        """A record announces no more than the RFC allows."""
        for only_data in (False, True):
            self.assertFalse(self.lost(record(MOST_ENCRYPTED), only_data))
            self.assertTrue(self.lost(record(MOST_ENCRYPTED + 1), only_data))

    def test_as_soon_as_it_is_seen(self) -> None:
        """Nobody waits for the rest of what is no record."""
        self.assertTrue(self.lost(b"GET /", False))
        self.assertFalse(self.lost(b"\x17\x03\x03\xff", True))
        self.assertTrue(self.lost(b"\x17\x03\x03\xff\xff", True))

    def test_before_it(self) -> None:
        """What came before was counted; nothing is, after."""
        count = RecordCount()
        data = record(3) + record(2, 21) + record(3)
        self.assertEqual(count.feed(data, only_data=True), [8])
        self.assertEqual(count.feed(record(3), only_data=True), [])
        self.assertNotEqual(count.left, 0)
