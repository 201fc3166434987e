"""The collector after the start."""

from __future__ import annotations

import gc
from typing import Any
from unittest.mock import patch
from weakref import ref

from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.net.garbage import THRESHOLDS, settle, untie_verifier, why_not


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


class WhyNotTests(SynchronousTestCase):
    """A Python whose collector is another one."""

    def test_all_is_well(self) -> None:
        self.assertIsNone(why_not())

    def test_another_collector(self) -> None:
        """One that cannot set anything aside, or has no thresholds, is left alone."""
        for name in ("freeze", "set_threshold"):
            with patch.object(gc, name):
                delattr(gc, name)
                self.assertEqual(why_not(), f"gc has no {name}")


class UntieTests(SynchronousTestCase):
    """`untie_verifier`."""

    def connection(self) -> SSL.Connection:
        """Return one that verifies its peer."""
        connection = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), None)
        connection.set_verify(SSL.VERIFY_PEER, lambda *_: True)
        return connection

    def left_of(self, untie: bool) -> bool:
        """Say whether what verifies outlives its connection."""
        connection: Any = self.connection()
        verifier = ref(connection._verify_helper)
        if untie:
            untie_verifier(connection)
        del connection
        return verifier() is not None

    def test_cycle(self) -> None:
        """What verifies a peer goes with the connection, as it would not by itself."""
        gc.disable()
        self.addCleanup(gc.enable)
        self.assertEqual((self.left_of(untie=False), self.left_of(untie=True)), (True, False))

    def test_twice(self) -> None:
        """It may be done again, to what verifies nobody, and to what is no connection."""
        connection = self.connection()
        for each in (connection, connection, object()):
            untie_verifier(each)
        untie_verifier(SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), None))
