"""What a browser has handed over, from ACCEPTED to forgotten."""

from math import inf

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.errors import BadMessage
from orion_twisted.core.ledger import ACCEPTED, DONE, SENT, Entry, Ledger
from tests.core.sessions import message


def ledger(*entries: Entry) -> Ledger:
    """Return a ledger that has accepted these."""
    made = Ledger()
    for entry in entries:
        made.accept(entry)
    return made


def numbers(entries: list[Entry]) -> list[int]:
    return [entry.n for entry in entries]


def drain(one: Ledger) -> list[int]:
    """Take all that waits for a link."""
    taken = []
    while (entry := one.next_waiting()) is not None:
        taken.append(entry.n)
    return taken


class EntryTests(SynchronousTestCase):
    """One message."""

    def test_the_same_again(self) -> None:
        """Payload, type and kind say whether it is the same message; its times do not."""
        one = message(1, b"abc")
        table = {
            "again": (message(1, b"abc"), True),
            "later": (message(1, b"abc", deadline=99.0), True),
            "now safe": (message(1, b"abc", safe=True), True),
            "another payload": (message(1, b"abd"), False),
            "longer": (message(1, b"abcd"), False),
            "binary": (message(1, b"abc", binary=True), False),
            "notification": (message(1, b"abc", notify=True), False),
        }
        for name, (other, is_like) in table.items():
            with self.subTest(name):
                self.assertEqual((one.is_like(other), other.is_like(one)), (is_like, is_like))

    def test_still_known_when_its_payload_is_gone(self) -> None:
        """What was let go after sending is still told from another payload."""
        one = message(1, b"abc")
        ledger(one).written(one)
        self.assertEqual((one.payload, one.size), (b"", 3))
        self.assertTrue(one.is_like(message(1, b"abc")))
        self.assertFalse(one.is_like(message(1, b"")))


class LedgerTests(SynchronousTestCase):
    """Their order and their stages."""

    def test_numbers_are_taken_in_order(self) -> None:
        """The next number is accepted, any other is an error and changes nothing."""
        one = Ledger()
        for n in (1, 2, 3):
            one.accept(message(n, b"12345"))
        for n in (0, 1, 3, 5, 2**53 - 1):
            error = self.assertRaises(BadMessage, one.accept, message(n))
            self.assertEqual(str(error), f"message {n} after 3")
        self.assertEqual((one.highest, one.pending, one.pending_bytes), (3, 3, 15))

    def test_the_way_of_a_message(self) -> None:
        """ACCEPTED, SENT, DONE, forgotten; its room is given back when its outcome is known."""
        entry = message(1, b"12345")
        one = ledger(entry)
        self.assertEqual((entry.stage, bool(one.waiting)), (ACCEPTED, True))
        self.assertIs(one.next_waiting(), entry)
        self.assertEqual((entry.stage, bool(one.waiting), one.pending), (SENT, False, 1))
        self.assertIsNone(one.next_waiting())
        one.done(entry)
        entry.outcome = "what it is told"
        self.assertEqual((entry.stage, one.pending, one.pending_bytes), (DONE, 0, 0))
        self.assertEqual(one.entries, {1: entry})
        one.forget(entry)
        self.assertEqual((one.entries, entry.outcome, one.highest), ({}, None, 1))
        one.forget(entry)
        self.assertEqual(one.highest, 1)

    def test_payloads_are_kept_as_long_as_they_are_needed(self) -> None:
        """Until sent; one that may be sent again until its outcome is known."""
        plain, safe = message(1, b"plain"), message(2, b"safe", safe=True)
        one = ledger(plain, safe)
        drain(one)
        self.assertEqual((plain.payload, safe.payload), (b"plain", b"safe"))
        one.written(plain)
        one.written(safe)
        self.assertEqual((plain.payload, safe.payload), (b"", b"safe"))
        one.done(safe)
        self.assertEqual(safe.payload, b"")

    def test_done_while_it_waits(self) -> None:
        """What failed before it was sent is not sent any more."""
        entries = [message(n) for n in (1, 2, 3)]
        one = ledger(*entries)
        one.done(entries[1])
        self.assertEqual(drain(one), [1, 3])

    def test_a_broken_link(self) -> None:
        """What the link had and is safe waits again, before what came later; the rest is named."""
        safe = {2, 4, 5}
        entries = [message(n, safe=n in safe) for n in range(1, 8)]
        one = ledger(*entries)
        for _ in range(5):
            one.next_waiting()
        one.done(entries[3])
        self.assertEqual(numbers(one.sent()), [1, 2, 3, 5])
        self.assertEqual(numbers(one.broken()), [1, 3])
        self.assertEqual(numbers(one.unsent()), [2, 5, 6, 7])
        self.assertEqual([entry.stage for entry in (entries[1], entries[4])], [ACCEPTED] * 2)
        self.assertEqual(drain(one), [2, 5, 6, 7])

    def test_deadlines(self) -> None:
        """Whose time is over, at the very instant, and when the next one's is; done ones have
        none."""
        entries = [message(n, deadline=at) for n, at in enumerate((5.0, 3.0, 9.0, 1.0), 1)]
        one = ledger(*entries)
        one.done(entries[3])
        self.assertEqual(one.next_deadline(), 3.0)
        self.assertEqual(numbers(one.overdue(2.9)), [])
        self.assertEqual(numbers(one.overdue(3.0)), [2])
        self.assertEqual(numbers(one.overdue(5.0)), [1, 2])
        for entry in entries[:3]:
            one.done(entry)
        self.assertEqual((one.next_deadline(), one.overdue(99.0)), (inf, []))

    @given(
        st.lists(st.tuples(st.sampled_from("aasdbf"), st.booleans(), st.integers(0, 9))),
    )
    @settings(deadline=None)
    def test_any_order(self, steps: list[tuple[str, bool, int]]) -> None:
        """Whatever happens, what waits is in order, and the sums are right."""
        one = Ledger()
        for what, safe, number in steps:
            entries = list(one.entries.values())
            pending = [entry for entry in entries if entry.stage is not DONE]
            done = [entry for entry in entries if entry.stage is DONE]
            if what == "a":
                one.accept(message(one.highest + 1, b"x" * number, safe=safe))
            elif what == "s":
                if (entry := one.next_waiting()) is not None:
                    one.written(entry)
            elif what == "d" and pending:
                one.done(pending[number % len(pending)])
            elif what == "b":
                for entry in one.broken():
                    one.done(entry)
            elif what == "f" and done:
                one.forget(done[number % len(done)])
            entries = list(one.entries.values())
            pending = [entry for entry in entries if entry.stage is not DONE]
            self.assertEqual(one.unsent(), [entry for entry in pending if entry.stage is ACCEPTED])
            self.assertEqual(
                (one.pending, one.pending_bytes, bool(one.waiting)),
                (len(pending), sum(entry.size for entry in pending), bool(one.unsent())),
            )
            for entry in one.unsent():
                self.assertEqual(len(entry.payload), entry.size)
