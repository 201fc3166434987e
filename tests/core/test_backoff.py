"""The waits between tries to reach a backend."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.backoff import FIRST_WAIT, MOST_WAIT, Backoff


def longest(first: float = FIRST_WAIT, most: float = MOST_WAIT) -> Backoff:
    """Return a backoff whose waits are their ceilings."""
    return Backoff(first, most, lambda: 1.0)


class BackoffTests(SynchronousTestCase):
    """`Backoff`."""

    def test_doubles_up_to_the_ceiling(self) -> None:
        """The longest waits of the project are 0.1, 0.2, … 6.4 and then 8 seconds."""
        backoff = longest()
        waits = [backoff.next_wait() for _ in range(9)]
        self.assertEqual(waits, [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 8.0, 8.0])

    def test_full_jitter(self) -> None:
        """A wait is anywhere from nothing to its ceiling, as the random number says."""
        numbers = iter([0.0, 0.5, 0.25])
        backoff = Backoff(1.0, 100.0, lambda: next(numbers))
        self.assertEqual([backoff.next_wait() for _ in range(3)], [0.0, 1.0, 1.0])

    def test_counts_failures(self) -> None:
        """The number of failures in a row is there to be shown."""
        backoff = longest()
        self.assertEqual(backoff.failures, 0)
        backoff.next_wait()
        backoff.next_wait()
        self.assertEqual(backoff.failures, 2)

    def test_reset(self) -> None:
        """A link that has proved itself begins again at the shortest wait."""
        backoff = longest()
        for _ in range(5):
            backoff.next_wait()
        backoff.reset()
        self.assertEqual((backoff.failures, backoff.next_wait()), (0, 0.1))

    def test_ten_thousand_failures(self) -> None:
        """A backend that is away for days costs a wait of 8 seconds, and no overflow."""
        backoff = longest()
        for _ in range(10_000):
            wait = backoff.next_wait()
        self.assertEqual((wait, backoff.failures), (8.0, 10_000))

    def test_one_ceiling(self) -> None:
        """First and most may be the same: then the ceiling never moves."""
        backoff = longest(2.0, 2.0)
        self.assertEqual([backoff.next_wait(), backoff.next_wait()], [2.0, 2.0])

    def test_ceilings_that_make_no_sense(self) -> None:
        """A first wait of nothing, or beyond the ceiling, is refused at once."""
        for first, most in ((0.0, 1.0), (-1.0, 1.0), (2.0, 1.0), (float("nan"), 1.0)):
            with self.subTest(f"{first} {most}"):
                self.assertRaises(ValueError, longest, first, most)

    @settings(deadline=None)
    @given(st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=60))
    def test_never_beyond_its_ceiling(self, numbers: list[float]) -> None:
        """No wait is negative or longer than first doubled for each failure, or than most."""
        source = iter(numbers)
        backoff = Backoff(0.1, 8.0, lambda: next(source))
        for n in range(len(numbers)):
            self.assertTrue(0 <= backoff.next_wait() <= min(8.0, 0.1 * 2**n))
