"""The collector after the start."""

from __future__ import annotations

import gc

from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.net.garbage import THRESHOLDS, settle


class SettleTests(SynchronousTestCase):
    """`settle`."""

    def setUp(self) -> None:
        self.addCleanup(gc.set_threshold, *gc.get_threshold())
        self.addCleanup(gc.unfreeze)

    def test_looked_at_no_more(self) -> None:
        """What is there is not walked over again, and cycles made later still go."""

        class Later(list[object]):
            """Something that may be found again."""

        def later() -> int:
            return sum(type(each) is Later for each in gc.get_objects())

        before = len(gc.get_objects())
        settle()
        self.assertGreaterEqual(gc.get_freeze_count(), before // 2)
        self.assertLess(len(gc.get_objects()), before // 10)
        self.assertEqual(gc.get_threshold(), THRESHOLDS)
        cycle = Later()
        cycle.append(cycle)
        del cycle
        self.assertEqual(later(), 1)
        gc.collect()
        self.assertEqual(later(), 0)

    def test_collects_first(self) -> None:
        """Nothing is kept for ever that nobody can reach."""
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        for _ in range(1000):
            cycle: list[object] = []
            cycle.append(cycle)
        del cycle
        settle()
        gc.unfreeze()
        self.assertLess(gc.collect(), 1000)
