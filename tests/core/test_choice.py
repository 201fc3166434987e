"""Which address is dialled next: least busy first, a failing one rested by its backoff."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.backoff import FIRST_WAIT, MOST_WAIT, Backoff
from orion_twisted.core.choice import Attempt, Choice


def choice(count: int) -> Choice:
    """Return one whose rests are as long as they can be: 0.1 s, 0.2 s, … 8 s."""
    return Choice(count, lambda: Backoff(FIRST_WAIT, MOST_WAIT, lambda: 1.0))


class LeastBusyTests(SynchronousTestCase):
    """Addresses that all work."""

    def test_in_turn(self) -> None:
        """Of addresses that are equally busy each has its turn, in the order of the list."""
        chosen = choice(3)
        self.assertEqual([chosen.pick(0.0).index for _ in range(7)], [0, 1, 2, 0, 1, 2, 0])
        self.assertEqual(chosen.links, [3, 2, 2])

    def test_in_turn_when_nobody_stays(self) -> None:
        """So does each if every link is gone before the next one is dialled."""
        chosen = choice(3)
        picked = []
        for _ in range(6):
            attempt = chosen.pick(0.0)
            picked.append(attempt.index)
            attempt.up()
            attempt.proved()
            attempt.leave()
        self.assertEqual(picked, [0, 1, 2, 0, 1, 2])

    def test_the_fewest(self) -> None:
        """Who has lost links gets the next ones, until all have as many."""
        chosen = choice(3)
        attempts = [chosen.pick(0.0) for _ in range(9)]
        for attempt in attempts:
            attempt.up()
        for attempt in (attempts[1], attempts[4], attempts[5]):
            attempt.leave()
        self.assertEqual(chosen.links, [3, 1, 2])
        self.assertEqual([chosen.pick(0.0).index for _ in range(4)], [1, 2, 1, 0])

    def test_one_alone(self) -> None:
        """Where there is one address it is always that, at rest or not."""
        chosen = choice(1)
        for now in (0.0, 0.0, 0.01, 5.0):
            attempt = chosen.pick(now)
            self.assertEqual(attempt.index, 0)
            attempt.fail(now)

    def test_told_twice(self) -> None:
        """The end of an attempt counts once, whatever it is told after it."""
        chosen = choice(2)
        attempt = chosen.pick(0.0)
        attempt.leave()
        attempt.up()
        attempt.proved()
        attempt.leave()
        attempt.fail(0.0)
        self.assertEqual(chosen.links, [0, 0])
        self.assertEqual([chosen.pick(0.0).index for _ in range(4)], [1, 0, 1, 0])

    def test_up_twice(self) -> None:
        """So does its coming up."""
        chosen = choice(2)
        attempt = chosen.pick(0.0)
        attempt.up()
        attempt.up()
        attempt.fail(0.0)
        chosen.pick(0.0)
        self.assertEqual([chosen.pick(1.0).index for _ in range(3)], [0, 1, 1])


class RestTests(SynchronousTestCase):
    """Addresses that fail."""

    def test_rests(self) -> None:
        """One that fails is left alone for the wait of its backoff, however idle it is."""
        chosen = choice(2)
        chosen.pick(0.0).fail(0.0)
        self.assertEqual([chosen.pick(0.09).index for _ in range(3)], [1, 1, 1])
        self.assertEqual(chosen.pick(0.1).index, 0)

    def test_longer_each_time(self) -> None:
        """Each failure in a row doubles its rest, up to 8 s."""
        chosen = choice(2)
        now, rests = 0.0, []
        for _ in range(9):
            attempt = chosen.pick(now)
            while attempt.index:
                attempt.leave()
                now += 0.01
                attempt = chosen.pick(now)
            rests.append(now)
            attempt.fail(now)
        waits = [later - sooner for sooner, later in pairwise(rests)]
        for wait, wanted in zip(waits, (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 8.0), strict=True):
            self.assertTrue(wanted - 0.001 < wait < wanted + 0.021, (wait, wanted))

    def test_short_again_after_proof(self) -> None:
        """A link that has proved itself makes its address's next rest a short one; one that only
        came up does not: who accepts and dies at once is no better than who refuses."""
        for proves, rest in ((True, FIRST_WAIT), (False, 4 * FIRST_WAIT)):
            chosen = choice(2)
            other = chosen.pick(0.0)
            chosen.pick(0.0).fail(0.0)
            again = chosen.pick(1.0)
            again.fail(1.0)
            third = chosen.pick(2.0)
            third.up()
            if proves:
                third.proved()
                third.fail(3.0)  # the end of a link that had proved itself is no failure
                third = chosen.pick(3.0)
            third.fail(3.0)
            self.assertEqual({again.index, third.index}, {1})
            self.assertEqual(chosen.pick(3.0 + rest - 0.01).index, 0)
            self.assertEqual(chosen.pick(3.0 + rest).index, 1)
            other.leave()

    def test_many_at_once(self) -> None:
        """A thousand links that fail with their address at the same time are one failure."""
        chosen = choice(2)
        attempts = [chosen.pick(0.0) for _ in range(2000)]
        for attempt in attempts:
            if attempt.index:
                attempt.up()
            else:
                attempt.fail(0.0)
        self.assertEqual(chosen.pick(0.1).index, 0)

    def test_one_at_a_time_on_trial(self) -> None:
        """After its rest one link tries it; nobody else is sent there until that one is up."""
        chosen = choice(2)
        chosen.pick(0.0).fail(0.0)
        chosen.pick(0.0).up()
        trial = chosen.pick(1.0)
        self.assertEqual(trial.index, 0)
        self.assertEqual([chosen.pick(2.0).index for _ in range(3)], [1, 1, 1])
        trial.up()
        self.assertEqual([chosen.pick(2.0).index for _ in range(3)], [0, 0, 0])

    def test_up_ends_the_rest(self) -> None:
        """One that is dialled while it rests, since all rest, and comes up, rests no more."""
        chosen = choice(2)
        for _ in range(2):
            chosen.pick(0.0).fail(0.0)
        chosen.pick(0.05).up()
        self.assertEqual([chosen.pick(0.06).index for _ in range(3)], [0, 0, 0])

    def test_a_trial_that_is_given_up(self) -> None:
        """If its browser goes meanwhile, the next one makes the trial."""
        chosen = choice(2)
        chosen.pick(0.0).fail(0.0)
        chosen.pick(0.0).up()
        for _ in range(2):
            trial = chosen.pick(1.0)
            self.assertEqual(trial.index, 0)
            trial.leave()

    def test_all_rest(self) -> None:
        """When all rest it is the one that is due first, and asking does not make it rest on."""
        chosen = choice(3)
        for now in (0.0, 0.01, 0.02):
            chosen.pick(now).fail(now)
        self.assertEqual(chosen.pick(0.05).index, 0)
        chosen.pick(0.05).fail(0.05)
        self.assertEqual(chosen.pick(0.1).index, 0)

    def test_given_up_is_no_failure(self) -> None:
        """A browser that goes away while its backend is dialled says nothing about the backend."""
        chosen = choice(1)
        for _ in range(5):
            chosen.pick(0.0).leave()
        chosen = choice(2)
        chosen.pick(0.0).leave()
        chosen.pick(0.0).leave()
        self.assertEqual([chosen.pick(0.0).index for _ in range(2)], [0, 1])


class ChoiceMachine(RuleBasedStateMachine):
    """Any order of events, beside what has to be true of every pick."""

    @initialize(count=st.integers(1, 4), share=st.sampled_from([0.0, 0.5, 1.0]))
    def begin(self, count: int, share: float) -> None:
        self.chosen = Choice(count, lambda: Backoff(FIRST_WAIT, MOST_WAIT, lambda: share))
        self.count = count
        self.now = 0.0
        self.attempts: list[Attempt] = []
        self.up: set[Attempt] = set()
        self.proved: set[Attempt] = set()
        self.first_rest = share * FIRST_WAIT
        self.rests: dict[int, float] = {}
        """Until when an address that has failed rests for sure."""
        self.rested: dict[int, float] = {}
        """From when on it does so no more, for sure."""
        self.failing: set[int] = set()

    @rule(seconds=st.sampled_from([0.0, 0.05, 0.1, 1.0, MOST_WAIT]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def pick(self) -> None:
        before = self.chosen.links
        dialling = Counter(each.index for each in self.attempts if each not in self.up)
        attempt = self.chosen.pick(self.now)
        index = attempt.index
        # Whoever has rested enough for sure, and is on nobody's trial, is not passed over for one
        # that is busier, or at rest for sure.
        free = [
            each
            for each in range(self.count)
            if self.rested.get(each, 0.0) <= self.now
            and not (each in self.failing and dialling[each])
        ]
        if free:
            assert before[index] <= min(before[each] for each in free), (index, before, free)
            assert self.rests.get(index, 0.0) <= self.now
        self.attempts.append(attempt)

    def one(self, number: int) -> Attempt:
        return self.attempts[number % len(self.attempts)]

    @precondition(lambda self: self.attempts)
    @rule(number=st.integers(0, 50))
    def comes_up(self, number: int) -> None:
        attempt = self.one(number)
        attempt.up()
        if attempt not in self.up:
            self.up.add(attempt)
            self.failing.discard(attempt.index)
            self.rests.pop(attempt.index, None)
            self.rested.pop(attempt.index, None)

    @precondition(lambda self: self.up)
    @rule(number=st.integers(0, 50))
    def proves(self, number: int) -> None:
        attempt = sorted(self.up, key=self.attempts.index)[number % len(self.up)]
        attempt.proved()
        self.proved.add(attempt)

    @precondition(lambda self: self.attempts)
    @rule(number=st.integers(0, 50), fails=st.booleans())
    def ends(self, number: int, fails: bool) -> None:
        attempt = self.one(number)
        was_failing = set(self.failing)
        if not fails:
            attempt.leave()
        else:
            attempt.fail(self.now)
            if attempt not in self.proved:
                self.failing.add(attempt.index)
                self.rested[attempt.index] = self.now + MOST_WAIT
                if attempt.index not in was_failing:
                    self.rests[attempt.index] = self.now + self.first_rest
        self.attempts.remove(attempt)
        self.up.discard(attempt)
        self.proved.discard(attempt)

    @invariant()
    def counts(self) -> None:
        if hasattr(self, "chosen"):
            counted = Counter(each.index for each in self.attempts)
            assert self.chosen.links == [counted[each] for each in range(self.count)]


class AnyOrderTests(SynchronousTestCase):
    """Hypothesis plays the links."""

    def test_any_order(self) -> None:
        """Whatever happens, no idle address that works is passed over, and none is forgotten."""
        options: Any = settings(max_examples=200, stateful_step_count=60, deadline=None)
        run_state_machine_as_test(ChoiceMachine, settings=options)
