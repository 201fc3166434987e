"""How much is held: of a tenant, within the node."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.budget import Budget


class BudgetTests(SynchronousTestCase):
    """What is taken, and when it is full."""

    def test_full_at_either_limit(self) -> None:
        """As many messages, or as many bytes, as the limit says are full; one less is not."""
        for messages, size, is_full in (
            (0, 0, False),
            (2, 99, False),
            (3, 0, True),
            (0, 100, True),
            (4, 101, True),
        ):
            with self.subTest(f"{messages} messages, {size} bytes"):
                one = Budget(3, 100)
                one.change(messages, size)
                self.assertEqual((one.messages, one.bytes, one.is_full), (messages, size, is_full))

    def test_taking_never_fails(self) -> None:
        """What has arrived is counted, whatever the limit; what is given back makes room."""
        one = Budget(1, 10)
        one.change(5, 1000)
        one.change(-5, -995)
        self.assertEqual((one.messages, one.bytes, one.is_full), (0, 5, False))

    def test_a_part_counts_in_the_whole(self) -> None:
        """What tenants take is taken from the node; a full node is full for each of them."""
        node = Budget(4, 1000)
        one, other = Budget(3, 1000, node), Budget(3, 1000, node)
        one.change(2, 20)
        other.change(2, 30)
        self.assertEqual((node.messages, node.bytes), (4, 50))
        self.assertEqual((one.is_full, other.is_full, node.is_full), (True, True, True))
        other.change(-1, -30)
        self.assertEqual((one.is_full, other.is_full, node.is_full), (False, False, False))

    def test_a_full_part_is_full_alone(self) -> None:
        """One tenant's load does not close the others' doors."""
        node = Budget(100, 1000)
        one, other = Budget(1, 1000, node), Budget(1, 1000, node)
        one.change(1, 0)
        self.assertEqual((one.is_full, other.is_full, node.is_full), (True, False, False))


class WaitingTests(SynchronousTestCase):
    """Who is told that there is room."""

    def setUp(self) -> None:
        self.told: list[str] = []
        self.node = Budget(4, 1000)
        self.one = Budget(2, 1000, self.node)
        self.other = Budget(4, 1000, self.node)

    def tell(self) -> None:
        self.told.append("a")

    def tell_b(self) -> None:
        self.told.append("b")

    def test_told_once(self) -> None:
        """When there is room again whoever asked is told, in turn, and once however often."""
        self.one.change(3, 0)
        for callback in (self.tell, self.tell_b, self.tell):
            self.one.when_room(callback)
        self.one.change(-1, 0)
        self.assertEqual(self.told, [])
        self.one.change(-1, 0)
        self.assertEqual(self.told, ["a", "b"])
        self.one.change(-1, 0)
        self.assertEqual(self.told, ["a", "b"])

    def test_forgotten(self) -> None:
        """Who takes it back is not told, whether it waited here or for the whole."""
        self.one.change(2, 0)
        self.one.when_room(self.tell)
        self.one.forget(self.tell)
        self.one.change(-2, 0)
        self.other.change(4, 0)
        self.one.when_room(self.tell)
        self.one.forget(self.tell)
        self.other.change(-4, 0)
        self.assertEqual(self.told, [])

    def test_room_that_others_make(self) -> None:
        """Who waits because the node is full is told when another tenant makes room."""
        self.other.change(4, 0)
        self.one.when_room(self.tell)
        self.other.change(-1, 0)
        self.assertEqual(self.told, ["a"])

    def test_room_here_but_not_in_the_whole(self) -> None:
        """Room at the tenant is none while the node is full; that of the node is told later."""
        self.one.change(2, 0)
        self.other.change(3, 0)
        self.one.when_room(self.tell)
        self.one.change(-1, 0)
        self.assertEqual((self.told, self.node.is_full), ([], True))
        self.other.change(-1, 0)
        self.assertEqual(self.told, ["a"])

    def test_room_in_the_whole_but_not_here(self) -> None:
        """And the other way: the node's room is none for a tenant that is full itself."""
        self.one.change(2, 0)
        self.other.change(2, 0)
        self.one.when_room(self.tell)
        self.other.change(-2, 0)
        self.assertEqual(self.told, [])
        self.one.change(-1, 0)
        self.assertEqual(self.told, ["a"])

    def test_room_for_one(self) -> None:
        """If the first who is told takes all the room, the next one goes on waiting."""

        def takes_it() -> None:
            self.told.append("greedy")
            self.one.change(1, 0)

        self.one.change(2, 0)
        self.one.when_room(takes_it)
        self.one.when_room(self.tell)
        self.one.change(-1, 0)
        self.assertEqual(self.told, ["greedy"])
        self.one.change(-1, 0)
        self.assertEqual(self.told, ["greedy", "a"])


class AnyOrderTests(SynchronousTestCase):
    """Any changes, in any order."""

    @given(
        st.lists(
            st.tuples(
                st.integers(0, 2), st.integers(0, 3), st.integers(0, 40), st.sampled_from("+-?")
            ),
            max_size=60,
        )
    )
    @settings(deadline=None)
    def test_sums_and_waiting(self, steps: list[tuple[int, int, int, str]]) -> None:
        """The node holds the sum; who has asked is told exactly when all it waits for has room."""
        node = Budget(6, 100)
        parts = [Budget(3, 80, node), Budget(4, 60, node), Budget(9, 200, node)]
        held: list[list[tuple[int, int]]] = [[], [], []]
        told: list[int] = []
        callbacks = [lambda i=i: told.append(i) for i in range(3)]
        waits: set[int] = set()
        for part, messages, size, what in steps:
            if what == "+":
                held[part].append((messages, size))
                parts[part].change(messages, size)
            elif what == "-" and held[part]:
                messages, size = held[part].pop(0)
                parts[part].change(-messages, -size)
            elif what == "?" and parts[part].is_full:
                parts[part].when_room(callbacks[part])
                waits.add(part)
            self.assertEqual(
                (node.messages, node.bytes),
                (
                    sum(m for each in held for m, _ in each),
                    sum(s for each in held for _, s in each),
                ),
            )
            with_room = {each for each in waits if not parts[each].is_full}
            self.assertEqual(sorted(told), sorted(with_room))
            waits -= with_room
            told.clear()
