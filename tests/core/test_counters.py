"""Counters: by name, by reason, and nothing that a peer could grow."""

from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.counters import BY_REASON, COUNTERS, Counters


class CountersTests(SynchronousTestCase):
    """`Counters`."""

    def test_all_begin_at_nothing(self) -> None:
        """Every counter is there from the start, in the order of the table."""
        self.assertEqual(list(Counters()), [(name, "", 0) for name in COUNTERS])

    def test_says_what_it_counts(self) -> None:
        """Every counter has a name for machines and a line for people, no two the same."""
        for name, line in COUNTERS.items():
            with self.subTest(name):
                self.assertRegex(name, r"\A[a-z]+(_[a-z]+)*\Z")
                self.assertRegex(line, r"\A[a-z].*[^.]\Z")
        self.assertEqual(len(set(COUNTERS.values())), len(COUNTERS))

    def test_adds(self) -> None:
        """One by default, any amount otherwise."""
        counters = Counters()
        counters.add("links")
        counters.add("links")
        counters.add("bytes_to_browsers", 1000)
        self.assertEqual((counters.get("links"), counters.get("bytes_to_browsers")), (2, 1000))

    def test_reasons(self) -> None:
        """A reason is counted beside the sum."""
        counters = Counters()
        counters.add("refused", reason="host_unknown")
        counters.add("refused", 2, reason="path_unknown")
        counters.add("refused")
        self.assertEqual(counters.get("refused"), 4)
        self.assertEqual(counters.get("refused", "host_unknown"), 1)
        self.assertEqual(counters.get("refused", "path_unknown"), 2)
        self.assertEqual(counters.get("refused", "tenant_full"), 0)

    def test_which_have_reasons(self) -> None:
        """Which counters have reasons is fixed; a reason elsewhere is found by the first test."""
        self.assertLessEqual(BY_REASON, COUNTERS.keys())
        for name in COUNTERS.keys() - BY_REASON:
            counters = Counters()
            self.assertRaises(KeyError, counters.add, name, reason="a")
            self.assertEqual(counters.get(name), 0)

    def test_iterates_in_order(self) -> None:
        """They are listed as in the table, the sum first and then its reasons."""
        counters = Counters()
        counters.add("refused", reason="z")
        counters.add("refused", reason="a")
        listed = list(counters)
        self.assertEqual(
            [each for each in listed if each[0] == "refused"],
            [("refused", "", 2), ("refused", "a", 1), ("refused", "z", 1)],
        )
        self.assertEqual(list(dict.fromkeys(name for name, _, _ in listed)), list(COUNTERS))

    def test_no_such_counter(self) -> None:
        """A misspelt counter is found by the first test that meets it."""
        self.assertRaises(KeyError, Counters().add, "browser")
        self.assertRaises(KeyError, Counters().add, "browser", reason="a")

    def test_each_has_its_own(self) -> None:
        """Two gateways in one process do not count for each other."""
        one, other = Counters(), Counters()
        one.add("links")
        self.assertEqual(other.get("links"), 0)
