"""Counters: by name, by reason, and nothing that a peer could grow."""

from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.counters import BY_REASON, COUNTERS, Counters, SummedCounters


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

    def test_traffic(self) -> None:
        """What is noted of each message is counted with the rest, however often it is read."""
        counters = Counters()
        counters.add("messages_to_browsers", 2)
        counters.add("outcomes", reason="TIMEOUT")
        traffic = counters.traffic
        for name in ("messages_from_browsers", "messages_to_browsers"):
            setattr(traffic, name, 3)
        traffic.bytes_from_browsers = 30
        traffic.bytes_to_browsers = 40
        traffic.results = 4
        for _ in range(2):
            listed = {(name, reason): count for name, reason, count in counters if count}
            self.assertEqual(
                listed,
                {
                    ("messages_from_browsers", ""): 3,
                    ("messages_to_browsers", ""): 5,
                    ("bytes_from_browsers", ""): 30,
                    ("bytes_to_browsers", ""): 40,
                    ("outcomes", ""): 5,
                    ("outcomes", "RESULT"): 4,
                    ("outcomes", "TIMEOUT"): 1,
                },
            )
        traffic.results += 1
        self.assertEqual(counters.get("outcomes", "RESULT"), 5)

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


class SummedCountersTests(SynchronousTestCase):
    """`SummedCounters`."""

    def counted(self, **amounts: int) -> list[tuple[str, str, int]]:
        counters = Counters()
        for name, amount in amounts.items():
            counters.add(name, amount, reason="why" if name in BY_REASON else "")
        return list(counters)

    def found(self, sums: SummedCounters) -> dict[tuple[str, str], int]:
        return {(name, reason): count for name, reason, count in sums if count}

    def test_sums(self) -> None:
        """What all have counted, with reasons, and what the supervisor has counted itself."""
        sums = SummedCounters()
        self.assertEqual(list(sums), list(Counters()))
        sums.own.add("workers_lost", reason="crashed")
        sums.replace(1, self.counted(refused=1, links=2))
        sums.replace(2, self.counted(refused=10))
        self.assertEqual(
            self.found(sums),
            {
                ("workers_lost", ""): 1,
                ("workers_lost", "crashed"): 1,
                ("refused", ""): 11,
                ("refused", "why"): 11,
                ("links", ""): 2,
            },
        )

    def test_the_latest_counts(self) -> None:
        """A process says what it has counted since its start: the last word replaces others."""
        sums = SummedCounters()
        for amount in (1, 5, 7):
            sums.replace(1, self.counted(links=amount))
        self.assertEqual(self.found(sums), {("links", ""): 7})

    def test_never_down(self) -> None:
        """What a process has counted that is gone stays in the sums."""
        sums = SummedCounters()
        sums.keep(1)
        sums.replace(1, self.counted(links=5))
        sums.keep(1)
        self.assertEqual(self.found(sums), {("links", ""): 5})
        sums.replace(1, self.counted(links=1))
        sums.keep(1)
        sums.keep(1)
        self.assertEqual(self.found(sums), {("links", ""): 6})
