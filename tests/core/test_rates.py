"""How fast, on a clock that the test holds."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.rates import AddressRates, MessageRates, Seldom, TokenBucket


class SeldomTests(SynchronousTestCase):
    """`Seldom`."""

    def test_at_once_then_with_a_number(self) -> None:
        """The first is told at once; those that follow are counted, and told once in a while."""
        seldom = Seldom(1.0)
        told = [seldom.happened(at) for at in (5.0, 5.1, 5.9, 6.0, 6.1, 99.0, 99.5)]
        self.assertEqual(told, [1, 0, 0, 3, 0, 2, 0])


class TokenBucketTests(SynchronousTestCase):
    """`TokenBucket`."""

    def test_a_burst_then_the_rate(self) -> None:
        """A burst goes through at once; after it, units come at the rate."""
        bucket = TokenBucket(10, 20, 0.0)
        self.assertEqual([bucket.take(1, 0.0) for _ in range(20)], [0.0] * 20)
        self.assertAlmostEqual(bucket.take(1, 0.0), 0.1)
        self.assertAlmostEqual(bucket.take(1, 0.1), 0.1)

    def test_a_debt_is_paid_by_waiting(self) -> None:
        """What is here is taken even beyond what is left, and the wait says for how long."""
        bucket = TokenBucket(100, 100, 0.0)
        self.assertAlmostEqual(bucket.take(350, 0.0), 2.5)
        self.assertAlmostEqual(bucket.take(0, 2.4), 0.1)
        self.assertEqual(bucket.take(0, 2.5), 0.0)

    def test_try_take(self) -> None:
        """Nothing is taken where there is not enough."""
        bucket = TokenBucket(1, 2, 0.0)
        self.assertEqual([bucket.try_take(1, 0.0) for _ in range(3)], [True, True, False])
        self.assertFalse(bucket.try_take(1, 0.5))
        self.assertTrue(bucket.try_take(1, 1.0))

    def test_a_clock_set_back(self) -> None:
        """Time that runs backwards takes nothing away and gives nothing."""
        bucket = TokenBucket(1, 2, 100.0)
        bucket.take(2, 100.0)
        self.assertFalse(bucket.try_take(1, 50.0))
        self.assertTrue(bucket.try_take(1, 51.0))

    @settings(deadline=None)
    @given(st.lists(st.tuples(st.floats(0, 5), st.integers(0, 30)), max_size=40))
    def test_never_more_than_rate_and_burst(self, steps: list[tuple[float, int]]) -> None:
        """Whoever waits as told sends at most the burst and what the rate has brought since."""
        rate, burst, now, sent = 10.0, 10.0, 0.0, 0.0
        bucket = TokenBucket(rate, burst, now)
        for pause, units in steps:
            now += pause
            wait = bucket.take(units, now)
            sent += units
            now += wait
            self.assertLessEqual(sent, burst + rate * now + 1e-6)


class MessageRatesTests(SynchronousTestCase):
    """`MessageRates`."""

    def test_the_longer_wait_counts(self) -> None:
        """Messages and bytes are counted apart, and each may hold a browser back."""
        self.assertEqual(MessageRates(0, 0, 0.0).take(10**9, 0.0), 0.0)
        rates = MessageRates(2, 100, 0.0)
        self.assertEqual(rates.take(50, 0.0), 0.0)
        self.assertEqual(rates.take(50, 0.0), 0.0)
        self.assertAlmostEqual(rates.take(0, 0.0), 0.5)
        self.assertAlmostEqual(rates.take(300, 0.5), 2.5)


class AddressRatesTests(SynchronousTestCase):
    """`AddressRates`."""

    def test_each_address_for_itself(self) -> None:
        """One address beyond its rate takes nothing from another."""
        rates = AddressRates(3, 10)
        self.assertEqual([rates.arrive("a", 0.0) for _ in range(4)], [True] * 3 + [False])
        self.assertTrue(rates.arrive("b", 0.0))
        self.assertTrue(rates.arrive("a", 1.0))

    def test_no_limit(self) -> None:
        """A rate of 0, and connections without an address, are not counted at all."""
        for rates, address in ((AddressRates(0, 10), "a"), (AddressRates(1, 10), "")):
            self.assertTrue(all(rates.arrive(address, 0.0) for _ in range(100)))
            self.assertEqual(len(rates), 0)

    def test_memory_is_bounded(self) -> None:
        """Those that are quiet are forgotten first; then those that came longest ago."""
        rates = AddressRates(2, 10)
        for number in range(10):
            rates.arrive(f"old{number}", 0.0)
        rates.arrive("new", 100.0)
        self.assertEqual(len(rates), 1)
        for number in range(100):
            rates.arrive(f"busy{number}", 100.0)
            self.assertLessEqual(len(rates), 10)
        self.assertFalse(all(rates.arrive("busy99", 100.0) for _ in range(2)))
