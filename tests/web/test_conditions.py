"""What headers of a request ask of a file."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.web.conditions import (
    codings_in_order,
    is_unchanged,
    may_be_partial,
    wanted_part,
)

TAG = b'"5-1a"'
MODIFIED = 784111777
DATE = b"Sun, 06 Nov 1994 08:49:37 GMT"
BEFORE = b"Sun, 06 Nov 1994 08:49:36 GMT"
AFTER = b"Sun, 06 Nov 1994 08:49:38 GMT"

printable = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=40).map(
    str.encode
)


class UnchangedTests(SynchronousTestCase):
    """Whether a browser has what it asks for already."""

    def test_tags(self) -> None:
        """One of several tags is enough, weak or strong, and ``*`` is every tag."""
        for listed, unchanged in (
            (TAG, True),
            (b"W/" + TAG, True),
            (b'"x", ' + TAG, True),
            (b'"x",' + TAG + b',"y"', True),
            (b'W/"x" , W/' + TAG, True),
            (b'"a,b", ' + TAG, True),
            (b"*", True),
            (b'"x"', False),
            (b"5-1a", False),
            (b'"*"', False),
            (b'"5-1a', False),
            (b'"5-1A"', False),
            (b'"', False),
        ):
            with self.subTest(listed):
                self.assertEqual(is_unchanged(listed, None, TAG, MODIFIED), unchanged)

    def test_dates(self) -> None:
        """All three forms of a date are understood; what is none counts as absent."""
        for since, unchanged in (
            (DATE, True),
            (AFTER, True),
            (BEFORE, False),
            (b"Sunday, 06-Nov-94 08:49:37 GMT", True),
            (b"Sun Nov  6 08:49:37 1994", True),
            (b"yesterday", False),
            (b";", False),
            (b"Sun, 06 Nov 1994", False),
            (b"Sun, 06 Nov 1894 08:49:37 GMT", False),
            (b"Sun, 06 Now 1994 08:49:37 GMT", False),
            (b"Sun, " + b"8" * 50 + b" Nov 1994 08:49:37 GMT", False),
            (b"Sunday, 06-Nov-19940000 08:49:37 GMT", False),
            (b"Sun, 06 Nov 1994 08:49:9999999999 GMT", False),
            (b"06 Nov 1994 08:49:37 GMT", False),
        ):
            with self.subTest(since):
                self.assertEqual(is_unchanged(None, since, TAG, MODIFIED), unchanged)

    def test_tag_before_date(self) -> None:
        """Where a tag is given, the date does not count: two versions may be of one second."""
        self.assertFalse(is_unchanged(b'"x"', AFTER, TAG, MODIFIED))
        self.assertTrue(is_unchanged(TAG, BEFORE, TAG, MODIFIED))

    def test_neither(self) -> None:
        """Whoever asks for a file gets it."""
        self.assertFalse(is_unchanged(None, None, TAG, MODIFIED))

    @given(printable, printable)
    @settings(deadline=None)
    def test_anything(self, tags: bytes, date: bytes) -> None:
        """Whatever the headers say, there is an answer."""
        self.assertIsInstance(is_unchanged(None, date, TAG, MODIFIED), bool)
        self.assertIsInstance(is_unchanged(tags, date, TAG, MODIFIED), bool)


class PartialTests(SynchronousTestCase):
    """Whether the part that a browser has goes with another part of today's file."""

    def test_if_range(self) -> None:
        """It does for the same strong tag and for the very same date, and for nothing else."""
        for said, fits in (
            (None, True),
            (TAG, True),
            (b"W/" + TAG, False),
            (b'"x"', False),
            (TAG + b", " + TAG, False),
            (DATE, True),
            (BEFORE, False),
            (AFTER, False),
            (b"*", False),
            (b"5-1a", False),
        ):
            with self.subTest(said):
                self.assertEqual(may_be_partial(said, TAG, MODIFIED), fits)

    @given(printable)
    @settings(deadline=None)
    def test_anything(self, said: bytes) -> None:
        """Whatever the header says, there is an answer."""
        self.assertIsInstance(may_be_partial(said, TAG, MODIFIED), bool)


class PartTests(SynchronousTestCase):
    """Which bytes a Range header asks for."""

    def test_parts(self) -> None:
        """From one byte to another, from one byte on, or so many at the end."""
        for asked, part in (
            (b"bytes=0-0", range(1)),
            (b"bytes=2-4", range(2, 5)),
            (b"bytes=2-9", range(2, 10)),
            (b"bytes=2-10", range(2, 10)),
            (b"bytes=9-", range(9, 10)),
            (b"bytes=-3", range(7, 10)),
            (b"bytes=-10", range(10)),
            (b"bytes=-11", range(10)),
        ):
            with self.subTest(asked):
                self.assertEqual(wanted_part(asked, 10), part)

    def test_no_such_part(self) -> None:
        """A part behind the end is empty; so is every part of an empty file."""
        for asked, size in ((b"bytes=10-", 10), (b"bytes=10-20", 10), (b"bytes=-0", 10)):
            self.assertEqual(wanted_part(asked, size), range(0), asked)
        for asked in (b"bytes=0-", b"bytes=0-0", b"bytes=-1"):
            self.assertEqual(wanted_part(asked, 0), range(0), asked)

    def test_no_request_for_a_part(self) -> None:
        """What is no single range of bytes is ignored."""
        for asked in (b"bytes=-", b"bytes=4-2", b"bytes=1-2,4-5", b"lines=1-2", b"bytes=a-b", b""):
            self.assertIsNone(wanted_part(asked, 10), asked)

    @given(st.from_regex(rb"\Abytes=[0-9]{0,18}-[0-9]{0,18}\Z"), st.integers(0, 2**40))
    @settings(deadline=None)
    def test_inside_the_file(self, asked: bytes, size: int) -> None:
        """No part begins before the file or ends behind it."""
        part = wanted_part(asked, size)
        if part:
            self.assertTrue(0 <= part.start < part.stop <= size)


class CodingTests(SynchronousTestCase):
    """In which coding a browser would rather have a file."""

    def test_order(self) -> None:
        """By the browser's weights, then by the server's taste; never what it refuses."""
        for accepted, codings in (
            (None, []),
            (b"", []),
            (b"gzip", [b"gzip"]),
            (b"br", [b"br"]),
            (b"gzip, deflate, br, zstd", [b"br", b"gzip"]),
            (b"GZip , BR", [b"br", b"gzip"]),
            (b"x-gzip", [b"gzip"]),
            (b"gzip;q=1.0, br;q=0.9", [b"gzip", b"br"]),
            (b"gzip ; q=0.5,br\t;\tQ=0.9", [b"br", b"gzip"]),
            (b"br;q=0, gzip", [b"gzip"]),
            (b"br;q=0.000, gzip;q=0.001", [b"gzip"]),
            (b"*", [b"br", b"gzip"]),
            (b"*;q=0", []),
            (b"br, *;q=0", [b"br"]),
            (b"gzip;q=0, *", [b"br"]),
            (b"gzip;q=0.5, *", [b"br"]),
            (b"identity", []),
            (b"identity, gzip;q=0.5", []),
            (b"identity;q=0.5, gzip;q=0.5", [b"gzip"]),
            (b"identity;q=0", []),
            (b"identity;q=0, gzip;q=0.1", [b"gzip"]),
            (b"identity;q=0, *;q=0.1", [b"br", b"gzip"]),
            (b"deflate", []),
            (b"gzip;q=2", []),
            (b"gzip;q=x, br", [b"br"]),
            (b"gzip br", []),
            (b"gzipped", []),
        ):
            with self.subTest(accepted):
                self.assertEqual(codings_in_order(accepted, [b"br", b"gzip"]), codings)

    def test_only_what_there_is(self) -> None:
        """A coding that nobody has made is not sent, however much it is liked."""
        self.assertEqual(codings_in_order(b"br, gzip;q=0.1", [b"gzip"]), [b"gzip"])
        self.assertEqual(codings_in_order(b"br, gzip", []), [])

    @given(printable)
    @settings(deadline=None)
    def test_anything(self, accepted: bytes) -> None:
        """Whatever the header says, there is an answer."""
        self.assertLessEqual(set(codings_in_order(accepted, [b"br", b"gzip"])), {b"br", b"gzip"})
