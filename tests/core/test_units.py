"""Sizes and durations, as settings spell them."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.units import format_duration, format_size, parse_duration, parse_size


class ParseSizeTests(SynchronousTestCase):
    """`parse_size`."""

    def test_reads_every_unit(self) -> None:
        """A size is a number and B, KiB, MiB or GiB; a number alone is bytes."""
        for text, size in {
            "64 B": 64,
            "16 KiB": 16_384,
            "1 MiB": 1_048_576,
            "1 GiB": 1_073_741_824,
            "1MiB": 1_048_576,
            "  2   KiB ": 2048,
            "1.5 KiB": 1536,
            "0 B": 0,
            "4096": 4096,
        }.items():
            with self.subTest(text):
                self.assertEqual(parse_size(text), size)

    def test_a_number_is_bytes(self) -> None:
        """A plain TOML number is a size in bytes, however large."""
        for number in (0, 1, 2**40):
            self.assertEqual(parse_size(number), number)

    def test_near_miss_is_told_the_unit(self) -> None:
        """KB and MB, which mean two things, are refused with the unit that is meant."""
        for text, meant in {
            "1 KB": "1 KiB",
            "1 kB": "1 KiB",
            "2 MB": "2 MiB",
            "2mib": "2 MiB",
            "2 m": "2 MiB",
            "3 G": "3 GiB",
            "8 bytes": "8 B",
        }.items():
            with self.subTest(text):
                error = self.assertRaises(ValueError, parse_size, text)
                self.assertIn(f"did you mean {meant}?", str(error))
                self.assertIn("B, KiB, MiB, GiB", str(error))

    def test_unknown_unit_is_told_the_units(self) -> None:
        """A unit that resembles none is answered with the list of them, and no guess."""
        error = self.assertRaises(ValueError, parse_size, "1 TiB")
        self.assertEqual(str(error), "'1 TiB': the unit is one of B, KiB, MiB, GiB")

    def test_what_is_no_size_is_told_the_format(self) -> None:
        """Anything else is refused by a message that shows how a size is written."""
        for wrong in (
            "", " ", "KiB", "-1", "-1 KiB", "1e3", "1,5 KiB", ".5 KiB", "1. KiB", "1 KiB 2", "٣ B",
            "1\u00a0000", "9" * 21, "9" * 5000, -1, -(10**5000), True, False, None,
            1.5, [1], b"1 B",
        ):  # fmt: skip
            with self.subTest(repr(wrong)[:20] if wrong != -(10**5000) else "huge"):
                error = self.assertRaises(ValueError, parse_size, wrong)
                self.assertIn('and one of B, KiB, MiB, GiB, as in "16 KiB"', str(error))

    def test_a_part_of_a_byte_is_refused(self) -> None:
        """A size is whole bytes: a fraction is read only if it comes out whole, exactly."""
        for wrong in ("0.5 B", "0.1 KiB", "1.0000000000000000000000000000000001 GiB"):
            error = self.assertRaises(ValueError, parse_size, wrong)
            self.assertIn("whole number of bytes", str(error))


class ParseDurationTests(SynchronousTestCase):
    """`parse_duration`."""

    def test_reads_every_unit(self) -> None:
        """A duration is a number and ms, s, min, h or d; a number alone is seconds."""
        for text, seconds in {
            "500 ms": 0.5,
            "20 s": 20.0,
            "2 min": 120.0,
            "1 h": 3600.0,
            "1 d": 86_400.0,
            "0.1 s": 0.1,
            "100ms": 0.1,
            " 1.5  min ": 90.0,
            "0 s": 0.0,
            "30": 30.0,
        }.items():
            with self.subTest(text):
                self.assertEqual(parse_duration(text), seconds)

    def test_a_number_is_seconds(self) -> None:
        """A plain TOML number is a duration in seconds, and comes out as a float."""
        for number in (0, 5, 0.25):
            seconds = parse_duration(number)
            self.assertEqual((seconds, type(seconds)), (number, float))

    def test_near_miss_is_told_the_unit(self) -> None:
        """A unit spelled in another way is refused with the one that is meant."""
        for text, meant in {
            "5 m": "5 min",
            "5 minutes": "5 min",
            "1 sec": "1 s",
            "1 S": "1 s",
            "7 MS": "7 ms",
            "1.5 hours": "1.5 h",
            "2 days": "2 d",
        }.items():
            with self.subTest(text):
                error = self.assertRaises(ValueError, parse_duration, text)
                self.assertIn(f"did you mean {meant}?", str(error))

    def test_what_is_no_duration_is_told_the_format(self) -> None:
        """Anything else, endless or negative times too, is refused with how one is written."""
        nan, inf = float("nan"), float("inf")
        wrongs: tuple[Any, ...] = (
            "", "s", "-1 s", "1e3 s", "nan", "inf", "1 h 30 min", "9" * 5000,
            nan, inf, -inf, -1, -0.5, True, None, [], b"1 s",
        )  # fmt: skip
        for wrong in wrongs:
            with self.subTest(repr(wrong)[:20]):
                error = self.assertRaises(ValueError, parse_duration, wrong)
                self.assertIn('and one of ms, s, min, h, d, as in "20 s"', str(error))

    def test_a_number_too_big_to_print_is_refused(self) -> None:
        """A number beyond what a float holds or Python prints is an error like the others."""
        error = self.assertRaises(ValueError, parse_duration, 10**5000)
        self.assertIn("a number that big is no duration", str(error))


class FormatTests(SynchronousTestCase):
    """`format_size` and `format_duration`."""

    def test_sizes(self) -> None:
        """A size is written in the largest unit that says it in whole numbers."""
        for size, text in {
            0: "0 B",
            1: "1 B",
            1023: "1023 B",
            1024: "1 KiB",
            1536: "1536 B",
            16_384: "16 KiB",
            1_048_576: "1 MiB",
            1_048_577: "1048577 B",
            3 * 2**30: "3 GiB",
            2**40: "1024 GiB",
        }.items():
            with self.subTest(text):
                self.assertEqual(format_size(size), text)

    def test_durations(self) -> None:
        """A duration is written in the largest unit that says it in whole numbers."""
        for seconds, text in {
            0.0: "0 s",
            0.1: "100 ms",
            0.0005: "0.5 ms",
            1e-7: "0.0001 ms",
            0.3337: "333.7 ms",
            1.0: "1 s",
            1.25: "1250 ms",
            1.23456: "1.23456 s",
            20: "20 s",
            90.0: "90 s",
            120.0: "2 min",
            5400.0: "90 min",
            86_400.0: "1 d",
            1e22: "10000000000000000000000 s",
        }.items():
            with self.subTest(text):
                self.assertEqual(format_duration(seconds), text)

    @settings(deadline=None)
    @given(st.integers(0, 10**19))
    def test_a_written_size_reads_back(self, size: int) -> None:
        """What is written of a size is read as the same size."""
        self.assertEqual(parse_size(format_size(size)), size)

    @settings(deadline=None)
    @given(st.floats(1e-9, 1e9) | st.integers(0, 10**6).map(float) | st.just(0.0))
    def test_a_written_duration_reads_back(self, seconds: float) -> None:
        """What is written of a duration is read as the same float."""
        self.assertEqual(parse_duration(format_duration(seconds)), seconds)
