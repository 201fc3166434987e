"""The waits between connections; time and chance are numbers."""

from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.client.reconnect import MOST_ASKED, PROVED_AFTER, End, Reconnect

CUT = End(1006, "cut")


class ReconnectTests(SynchronousTestCase):
    """With chance at its highest a wait is its ceiling."""

    def setUp(self) -> None:
        self.chance = 1.0
        self.reconnect = Reconnect(0.5, 4.0, lambda: self.chance)

    def waits(self, count: int, end: End = CUT, now: float = 0.0) -> list[float | None]:
        return [self.reconnect.wait_after(end, now) for _ in range(count)]

    def test_grows_to_a_ceiling(self) -> None:
        """Each failure doubles the ceiling, up to the highest."""
        self.assertEqual(self.waits(5, End(None, "refused")), [0.5, 1.0, 2.0, 4.0, 4.0])

    def test_full_jitter(self) -> None:
        """A wait is anywhere below its ceiling: many who were cut together come back apart."""
        self.chance = 0.25
        self.assertEqual(self.waits(3), [0.125, 0.25, 0.5])

    def test_begins_anew_when_proved(self) -> None:
        """A connection that has stood for a while makes the next wait short again."""
        self.waits(4)
        self.reconnect.online(100.0)
        self.assertEqual(self.waits(1, now=100.0 + PROVED_AFTER), [0.5])

    def test_not_before(self) -> None:
        """One that is let in and thrown out goes on to wait longer and longer."""
        for ceiling in (0.5, 1.0, 2.0, 4.0, 4.0):
            self.reconnect.online(100.0)
            self.assertEqual(self.waits(1, now=100.0 + PROVED_AFTER - 0.1), [ceiling])

    def test_time_offline_proves_nothing(self) -> None:
        """Each connection proves itself, not the one before it."""
        self.reconnect.online(100.0)
        self.assertEqual(self.waits(3, now=101.0), [0.5, 1.0, 2.0])
        self.assertEqual(self.waits(1, now=200.0), [4.0])

    def test_final(self) -> None:
        """After some ends there is no coming back."""
        for end in (End(4500, ""), End(1000, ""), End(1009, ""), End(None, "", status=404)):
            self.assertEqual(self.waits(1, end), [None])

    def test_refused_for_now(self) -> None:
        """``Retry-After`` is kept, and spread from there; a day is not waited for."""
        self.assertEqual(self.waits(2, End(None, "", 503, 5.0)), [5.5, 6.0])
        self.assertEqual(self.waits(1, End(None, "", 503, 86_400.0)), [MOST_ASKED + 2.0])

    def test_drained(self) -> None:
        """After a drain the return is at a random moment in the time that was told, once."""
        self.chance = 0.5
        self.reconnect.online(0.0)
        self.reconnect.come_back(20.0)
        self.assertEqual(self.waits(2, End(1001, "draining")), [10.0, 0.25])
        self.reconnect.come_back(1e9)
        self.assertEqual(self.waits(1), [MOST_ASKED / 2])
