"""What a session has for its browser: numbered, kept, written again, and what goes when."""

from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.budget import Budget
from orion_twisted.core.errors import WHY, Outcome
from orion_twisted.core.outbox import (
    ERROR,
    ITEM_COST,
    PUSH,
    RECEIPT,
    RESULT,
    Item,
    Outbox,
    Passage,
    failure,
)
from tests.core.sessions import ROOMY, message, roomy, say

LARGE = 1000
"""Bytes of a payload that is worth letting go."""


def push(payload: bytes = b"") -> Item:
    return Item(PUSH, None, payload)


def result(n: int, size: int = LARGE) -> Item:
    return Item(RESULT, message(n), b"x" * size)


def receipt(n: int) -> Item:
    return Item(RECEIPT, message(n), code="sent")


def outbox(
    *items: Item,
    budget: Budget | None = None,
    most_messages: int = 4,
    most_bytes: int = 10_000,
    can_wait: bool = False,
    attached: bool = True,
) -> Outbox:
    """Return an outbox with these items in it, unwritten."""
    made = Outbox(most_messages, most_bytes, budget or roomy(), can_wait)
    if attached:
        made.attach()
    for item in items:
        made.add(item)
    return made


def write(one: Outbox, most: int = 1000) -> list[int]:
    """Write so many items, at the most, to the socket; return their numbers."""
    numbers = []
    while len(numbers) < most and (item := one.next_unwritten()) is not None:
        numbers.append(item.s)
    return numbers


def kept(one: Outbox) -> list[str]:
    """Say what would come on a new socket."""
    one.attach()
    items = []
    while (item := one.next_unwritten()) is not None:
        items.append(f"{item.s} {say(item)[:14]}")
    return items


class NumberTests(SynchronousTestCase):
    """Numbers, writing and acknowledging."""

    def test_in_order(self) -> None:
        """Everything gets the next number and is written once, in that order."""
        one = outbox(receipt(1), push(b"a"), failure(message(2), Outcome.TIMEOUT), result(3))
        self.assertFalse(one.is_written)
        self.assertEqual(write(one), [1, 2, 3, 4])
        self.assertEqual((one.is_written, one.highest, len(one)), (True, 4, 4))
        self.assertEqual(write(one), [])

    def test_failures_say_why(self) -> None:
        """A failure has the text of its kind, or a better one."""
        entry = message(1)
        self.assertEqual(failure(entry, Outcome.TIMEOUT).payload, b"no answer in time")
        one = failure(entry, Outcome.BAD_MESSAGE, "it is binary")
        self.assertEqual(
            (one.kind, one.entry, one.payload, one.code),
            (ERROR, entry, b"it is binary", "BAD_MESSAGE"),
        )

    def test_written_again(self) -> None:
        """A new socket begins with the oldest that is not acknowledged, under its old number."""
        one = outbox(push(b"a"), result(1), push(b"b"), most_messages=9)
        write(one, 2)
        one.detach()
        one.add(push(b"c"))
        one.attach()
        self.assertEqual(write(one), [1, 2, 3, 4])
        one.attach()
        entries = one.acknowledge(2)
        self.assertEqual([entry.n for entry in entries], [1])
        self.assertEqual(write(one), [3, 4])

    def test_what_has_been_written(self) -> None:
        """It is told apart, for this socket, from what is still to come."""
        items = [push(), push(), push()]
        one = outbox(*items)
        self.assertEqual([one.has_written(each) for each in items], [False, False, False])
        write(one, 2)
        self.assertEqual([one.has_written(each) for each in items], [True, True, False])
        write(one)
        self.assertEqual([one.has_written(each) for each in items], [True, True, True])
        one.attach()
        self.assertEqual([one.has_written(each) for each in items], [False, False, False])

    def test_acknowledged(self) -> None:
        """Up to the number all goes, written or not; what is above stays."""
        one = outbox(result(1), push(), result(2), push(), push(), most_messages=9)
        write(one, 3)
        self.assertEqual([entry.n for entry in one.acknowledge(4)], [1, 2])
        self.assertEqual((len(one), one.bytes, one.unwritten_bytes), (1, ITEM_COST, ITEM_COST))
        self.assertEqual(one.acknowledge(4), [])
        self.assertEqual(write(one), [5])
        self.assertEqual(one.acknowledge(0), [])

    def test_bytes(self) -> None:
        """An item counts its payload and `ITEM_COST`, here and in the budget; a push counts as a
        message, an outcome does not: its message has that place, and gives it back with it."""
        budget = roomy()
        budget.change(1, 0)  # the message
        one = outbox(result(1, 30), push(b"12345"), budget=budget)
        self.assertEqual((one.bytes, one.unwritten_bytes), (2 * ITEM_COST + 35,) * 2)
        self.assertEqual((budget.messages, budget.bytes), (2, 2 * ITEM_COST + 35))
        write(one, 1)
        self.assertEqual(one.unwritten_bytes, ITEM_COST + 5)
        one.acknowledge(1)
        self.assertEqual((one.bytes, budget.bytes, budget.messages), (ITEM_COST + 5,) * 2 + (1,))
        one.acknowledge(2)
        self.assertEqual((one.bytes, budget.bytes, budget.messages), (0, 0, 0))

    def test_cleared(self) -> None:
        """At the end of a session everything is given back."""
        budget = roomy()
        one = outbox(result(1), push(b"a"), receipt(2), push(b"b"), budget=budget)
        write(one, 2)
        one.clear()
        self.assertEqual((len(one), one.bytes, one.unwritten_bytes), (0, 0, 0))
        self.assertEqual((budget.messages, budget.bytes, write(one)), (0, 0, []))


class PassageTests(SynchronousTestCase):
    """Where nothing is kept that has been written."""

    def passage(self, *items: Item, budget: Budget) -> Passage:
        made = Passage(4, 10_000, budget, False)
        self.assertTrue(made.has_room)
        made.attach()
        for item in items:
            made.add(item)
        return made

    def test_written_is_gone(self) -> None:
        """Writing an item gives back its bytes, and the place of its message."""
        budget = roomy()
        budget.change(1, 0)  # the message
        one = self.passage(result(1, 30), push(b"12345"), budget=budget)
        self.assertEqual((len(one), one.highest, one.bytes), (2, 2, 2 * ITEM_COST + 35))
        self.assertEqual((budget.messages, budget.bytes), (2, one.bytes))
        self.assertEqual(write(one, 1), [1])
        self.assertEqual((len(one), one.bytes, one.unwritten_bytes), (1,) + (ITEM_COST + 5,) * 2)
        self.assertEqual((budget.messages, budget.bytes), (1, one.bytes))
        self.assertEqual((write(one), one.is_written, one.lost), ([2], True, []))
        self.assertEqual((len(one), one.bytes, budget.messages, budget.bytes), (0, 0, 0, 0))

    def test_room(self) -> None:
        """What waits for the socket takes room: the link waits, or the browser is closed."""
        budget = Budget(ROOMY, 12_000)
        one = self.passage(*(push(b"x" * LARGE) for _ in range(7)), budget=budget)
        self.assertEqual((one.has_room, one.is_clogged()), (True, True))  # more than 4 of them
        one.add(push(b"x" * LARGE))
        self.assertEqual((one.has_room, one.is_within_its_own), (False, False))
        write(one, 4)
        self.assertEqual((one.has_room, one.is_clogged()), (True, False))
        budget.change(0, 12_000)  # of others
        self.assertEqual((one.has_room, one.is_within_its_own), (False, True))
        write(one)
        self.assertTrue(one.has_room)  # for one there always is

    def test_nothing_goes_to_make_room(self) -> None:
        """While there is a socket, all is told, as it was."""
        budget = Budget(ROOMY, 2 * LARGE)
        one = self.passage(push(b"a"), result(1), push(b"b"), result(2), budget=budget)
        self.assertTrue(budget.is_full)
        items = [one.next_unwritten() for _ in range(4)]
        self.assertEqual(
            [say(item)[:9] for item in items if item],
            ["push: a", "result 1:", "push: b", "result 2:"],
        )
        self.assertEqual((one.next_unwritten(), budget.bytes), (None, 0))

    def test_cleared(self) -> None:
        """At the end of a session everything is given back."""
        budget = roomy()
        one = self.passage(result(1), push(b"a"), push(b"b"), budget=budget)
        write(one, 2)
        one.clear()
        self.assertEqual((len(one), one.bytes, write(one)), (0, 0, []))
        self.assertEqual((budget.messages, budget.bytes), (-1, 0))  # the message had its place


class RoomTests(SynchronousTestCase):
    """What happens where there is no room."""

    def test_the_link_is_held_back(self) -> None:
        """There is room until as many bytes are kept as the limit says; one item always fits."""
        one = outbox(most_bytes=3 * ITEM_COST, can_wait=True)
        rooms = []
        for _ in range(3):
            rooms.append(one.has_room)
            one.add(receipt(1))
        self.assertEqual((rooms, one.has_room), ([True, True, True], False))
        one.acknowledge(1)
        self.assertTrue(one.has_room)

    def test_a_full_tenant(self) -> None:
        """While the tenant is full there is room for a session that keeps nothing, only."""
        budget = Budget(ROOMY, 5000)
        one = outbox(budget=budget, can_wait=True)
        budget.change(0, 5000)
        self.assertTrue(one.has_room)
        one.add(receipt(1))
        self.assertFalse(one.has_room)
        budget.change(0, -5000)
        self.assertTrue(one.has_room)

    def test_the_oldest_pushes_go(self) -> None:
        """While the browser is away, beyond the window: too many, or too many bytes."""
        for limits in ({"most_messages": 3}, {"most_bytes": 3 * ITEM_COST + 3}):
            with self.subTest(limits):
                one = outbox(*(push(b"%d" % i) for i in range(5)), attached=False, **limits)
                self.assertEqual(one.lost, [[1, 2]])
                self.assertEqual(kept(one), ["3 push: 2", "4 push: 3", "5 push: 4"])

    def test_outcomes_stay(self) -> None:
        """A receipt or an error is never dropped for a push, nor for anything else."""
        one = outbox(
            *(receipt(n) for n in range(1, 6)),
            push(b"a"),
            failure(message(6), Outcome.TIMEOUT),
            attached=False,
            most_bytes=100,
        )
        self.assertEqual(one.lost, [[6, 6]])
        self.assertEqual(len(kept(one)), 6)

    def test_what_is_lost_is_told_in_ranges(self) -> None:
        """Numbers of pushes that went, joined where they follow one another."""
        one = outbox(attached=False, most_messages=2)
        for i in range(1, 4):
            one.add(push())
            one.add(push())
            one.add(receipt(i))
        one.add(push())
        self.assertEqual(one.lost, [[1, 2], [4, 5], [7, 8], [10, 10]])
        one.acknowledge(3)
        self.assertEqual(one.lost, [[4, 5], [7, 8], [10, 10]])
        one.acknowledge(7)
        self.assertEqual(one.lost, [[8, 8], [10, 10]])
        one.acknowledge(10)
        self.assertEqual(one.lost, [])

    def test_the_list_is_the_callers(self) -> None:
        """Whoever is told what is lost may do with it what it likes."""
        one = outbox(push(), push(), attached=False, most_messages=1)
        one.lost[0][0] = 99
        one.lost.clear()
        self.assertEqual(one.lost, [[1, 1]])

    def test_unwritten_pushes_stay_while_a_socket_is_there(self) -> None:
        """A slow browser is closed, and does not lose in silence what it has not been sent."""
        one = outbox(*(push(b"%d" % i) for i in range(9)), most_messages=4)
        self.assertEqual((one.lost, len(one), one.is_clogged()), ([], 9, True))
        write(one, 6)
        self.assertFalse(one.is_clogged())
        one.add(push())
        self.assertEqual(one.lost, [[1, 6]])  # they may be under way, or missing
        self.assertEqual(write(one), [7, 8, 9, 10])

    def test_when_the_socket_goes(self) -> None:
        """Then there is only so much room, for what was not written, too."""
        budget = roomy()
        one = outbox(*(push() for _ in range(9)), budget=budget)
        write(one, 2)
        one.detach()
        self.assertEqual((one.lost, len(one)), ([[1, 5]], 4))
        self.assertEqual((one.unwritten_bytes, budget.messages), (4 * ITEM_COST, 4))
        self.assertEqual(budget.bytes, one.bytes)

    def test_clogged_by_bytes(self) -> None:
        """A browser that does not read holds up to ``window_bytes``, and no more."""
        one = outbox(push(b"x" * 400), most_bytes=2 * (ITEM_COST + 400))
        one.add(push(b"x" * 400))
        self.assertFalse(one.is_clogged())
        one.add(push())
        self.assertTrue(one.is_clogged())

    def test_what_waited_does_not_clog(self) -> None:
        """A browser that comes back to more than a window has the time to read it."""
        one = outbox(*(result(n) for n in range(1, 8)), attached=False, most_messages=4)
        one.attach()
        self.assertFalse(one.is_clogged())
        one.add(push())
        self.assertTrue(one.is_clogged())

    def test_results_become_over_budget(self) -> None:
        """While the browser is away the latest results have to go, where nobody can be held
        back; each is told."""
        one = outbox(*(result(n) for n in (1, 2, 3)), attached=False, most_bytes=3000)
        self.assertEqual([each[:9] for each in kept(one)], ["1 result ", "2 result ", "3 error 3"])

    def test_a_link_that_can_be_held_back(self) -> None:
        """There results are kept whole: not so many come."""
        one = outbox(
            *(result(n) for n in (1, 2, 3)), attached=False, most_bytes=2600, can_wait=True
        )
        self.assertEqual([each[:8] for each in kept(one)], ["1 result", "2 result", "3 result"])

    def test_what_a_socket_has_been_sent_goes_first(self) -> None:
        """A result that is probably there by now is let go before one that is not: and none that
        this socket is still to be sent."""
        one = outbox(result(1), result(2), most_bytes=2600)
        write(one, 1)
        one.add(result(3))
        self.assertEqual(write(one), [2, 3])
        self.assertEqual([each[:9] for each in kept(one)], ["1 error 1", "2 result ", "3 result "])

    def test_nothing_that_is_small_goes(self) -> None:
        """A result shorter than the failure in its place would be is left alone."""
        why = len(WHY[Outcome.OVER_BUDGET])
        one = outbox(result(1, why), result(2, why + 1), attached=False, most_bytes=1)
        self.assertEqual([each[:9] for each in kept(one)], ["1 result ", "2 error 2"])

    def test_a_full_tenant_lets_go(self) -> None:
        """What is kept goes also because the tenant is full."""
        budget = Budget(ROOMY, 5000)
        one = outbox(push(b"a"), result(1), push(b"b"), budget=budget, attached=False)
        budget.change(0, 5000)
        one.add(result(2))
        self.assertEqual(one.lost, [[1, 1], [3, 3]])
        self.assertEqual([each[:9] for each in kept(one)], ["2 error 1", "4 error 2"])
        self.assertEqual(budget.bytes, 5000 + one.bytes)

    def test_an_over_budget_says_so(self) -> None:
        """In words and in its code; a binary result is text then; its sizes are right."""
        item = Item(RESULT, message(7), b"\xff" * LARGE, True, ok=False)
        budget = roomy()
        one = outbox(item, attached=False, most_bytes=500, budget=budget)
        why = WHY[Outcome.OVER_BUDGET].encode()
        self.assertEqual(
            (item.kind, item.code, item.payload, item.is_binary),
            (ERROR, "OVER_BUDGET", why, False),
        )
        size = ITEM_COST + len(why)
        self.assertEqual((one.bytes, one.unwritten_bytes, budget.bytes), (size,) * 3)

    def test_acknowledged_pushes_are_not_lost(self) -> None:
        """A push that the browser has said it has is no longer among those that could go."""
        one = outbox(push(), push(), receipt(1), push(), most_messages=9)
        write(one)
        one.acknowledge(2)
        one.detach()
        one.acknowledge(3)
        self.assertEqual((one.lost, len(one)), ([], 1))
        for _ in range(9):
            one.add(push())
        self.assertEqual(one.lost, [[4, 4]])
