"""Medians, ratios and what may be concluded from them."""

from unittest import TestCase

from attrs import evolve

from bench.figures import Series, Spread, Visit, is_noise
from tests.bench.runs import run, series


class SpreadTests(TestCase):
    def test_of_values(self) -> None:
        self.assertEqual(Spread.of([3.0, 1.0, 10.0]), Spread(3.0, 1.0, 10.0))
        self.assertEqual(Spread.of([4.0, 1.0]), Spread(2.5, 1.0, 4.0))
        self.assertIsNone(Spread.of([]))

    def test_quotient(self) -> None:
        """Nothing that was measured lies outside."""
        quotient = Spread(10.0, 8.0, 12.0) / Spread(5.0, 4.0, 6.0)
        self.assertEqual(quotient, Spread(2.0, 8 / 6, 3.0))


class SeriesTests(TestCase):
    def test_cost_leaves_out_what_was_dropped(self) -> None:
        found = series("orion", 10.0, None, 14.0)
        self.assertEqual(found.cost, Spread(12.0, 10.0, 14.0))
        self.assertEqual(found.dropped, ("a connection was lost",))

    def test_no_cost(self) -> None:
        self.assertIsNone(series("orion", None, None).cost)

    def test_ratio(self) -> None:
        """The median is that of the medians, the spread that of the rounds."""
        base = series("orion", 10.0, 20.0, 10.0)
        other = series("node", 20.0, 40.0, 30.0)
        # By rounds: 2, 2, 3. What slowed the second round down does not widen the spread.
        self.assertEqual(other.ratio(base), Spread(3.0, 2.0, 3.0))

    def test_ratio_of_common_rounds(self) -> None:
        """A round that one of them lost is nobody's least or most."""
        base = series("orion", 10.0, None, 10.0)
        other = series("node", 20.0, 500.0, 20.0)
        ratio = other.ratio(base)
        self.assertEqual(ratio, Spread(2.0, 2.0, 2.0))

    def test_no_ratio_without_common_rounds(self) -> None:
        self.assertIsNone(series("node", 20.0, None).ratio(series("orion", None, 10.0)))


class ResultsTests(TestCase):
    def test_base_of_a_scenario(self) -> None:
        """Where the base was dropped, the first one with figures takes its place."""
        results = run(series("orion", None), series("node", None), series("picows", 7.0))
        base = results.base_of("rr-64")
        assert base is not None
        self.assertEqual(base.gateway, "picows")
        self.assertIsNone(run(series("orion", None)).base_of("rr-64"))

    def test_others(self) -> None:
        """The load that others put on the machine is that of the visits that count."""
        busy = (Visit(1.0, 9.0, others=0.25), Visit(1.0, 9.0, others=0.75))
        visits = (*busy, Visit(None, dropped="lost"), Visit(40.0))  # memory takes no time
        results = run(Series("rr-64", "orion", "us/message", visits))
        self.assertEqual(results.others, Spread(0.5, 0.25, 0.75))

    def test_is_coarse(self) -> None:
        results = run(series("orion", 1.0))
        for repeat, seconds, wanted in ((3, 1.0, False), (2, 1.0, True), (3, 0.9, True)):
            self.assertEqual(evolve(results, repeat=repeat, seconds=seconds).is_coarse, wanted)


class NoiseTests(TestCase):
    def test_noise(self) -> None:
        cheaper, small = Spread(0.8, 0.75, 0.9), Spread(0.97, 0.96, 0.98)
        unclear = Spread(0.8, 0.7, 1.01)
        for change, visits, is_coarse, wanted in (
            (cheaper, 5, False, False),
            (small, 5, False, False),
            (unclear, 5, False, True),
            (cheaper, 2, True, False),
            (small, 2, True, True),
            (Spread(1.04, 1.03, 1.045), 5, True, True),
            (Spread(1.2, 1.1, 1.3), 5, True, False),
            (cheaper, 1, False, True),
        ):
            found = is_noise(change, visits=visits, is_coarse=is_coarse)
            self.assertEqual(found, wanted, (change, visits, is_coarse))
