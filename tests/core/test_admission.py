"""Who may be here: connections in their handshake, and those that are through it."""

from collections import Counter

from attrs import define
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

from orion_twisted.core.admission import Full, Handshakes, Place, Places, Verdict

ADDRESSES = ("192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1", "")


def machine_settings(examples: int = 150, steps: int = 60) -> settings:
    return settings(deadline=None, max_examples=examples, stateful_step_count=steps)


class HandshakesTests(SynchronousTestCase):
    """`Handshakes`, in the order in which things happen to a gateway."""

    def arrivals(
        self, handshakes: Handshakes[str], *names: str, address: str
    ) -> list[tuple[Verdict, str | None]]:
        return [handshakes.arrive(name, address) for name in names]

    def test_go(self) -> None:
        """Who comes while there is room begins at once."""
        handshakes: Handshakes[str] = Handshakes(10, 2)
        self.assertEqual(
            self.arrivals(handshakes, "a", "b", address="192.0.2.1"), [(Verdict.GO, None)] * 2
        )
        self.assertEqual(len(handshakes), 2)

    def test_a_crowd_behind_one_address(self) -> None:
        """A crowd behind one address gets through, one after the other, in order of arrival."""
        handshakes: Handshakes[str] = Handshakes(10, 2)
        verdicts = self.arrivals(handshakes, *"abcde", address="192.0.2.1")
        self.assertEqual(
            [verdict for verdict, _ in verdicts], [Verdict.GO] * 2 + [Verdict.WAIT] * 3
        )
        self.assertEqual([handshakes.leave(name) for name in "baced"], ["c", "d", "e", None, None])
        self.assertEqual(len(handshakes), 0)

    def test_leaves_the_line(self) -> None:
        """Who goes away while waiting lets nobody begin, and is not called later."""
        handshakes: Handshakes[str] = Handshakes(10, 1)
        self.arrivals(handshakes, "a", "b", "c", address="192.0.2.1")
        self.assertIsNone(handshakes.leave("b"))
        self.assertEqual(handshakes.leave("a"), "c")
        self.assertIsNone(handshakes.leave("c"))

    def test_lines_are_apart(self) -> None:
        """Who leaves one address lets nobody of another begin."""
        handshakes: Handshakes[str] = Handshakes(10, 1)
        self.arrivals(handshakes, "a", "b", address="192.0.2.1")
        self.arrivals(handshakes, "x", "y", address="192.0.2.2")
        self.assertEqual(handshakes.leave("x"), "y")
        self.assertEqual(handshakes.leave("a"), "b")

    def test_leaves_twice(self) -> None:
        """A connection ends its handshake and is lost later: only the first counts."""
        handshakes: Handshakes[str] = Handshakes(10, 1)
        self.arrivals(handshakes, "a", "b", "c", address="192.0.2.1")
        self.assertEqual(handshakes.leave("a"), "b")
        self.assertIsNone(handshakes.leave("a"))
        self.assertIsNone(handshakes.leave("stranger"))
        self.assertEqual(len(handshakes), 2)

    def test_without_an_address(self) -> None:
        """Behind a UNIX socket there are no addresses: only the whole is limited."""
        handshakes: Handshakes[str] = Handshakes(3, 1)
        verdicts = self.arrivals(handshakes, "a", "b", "c", "d", address="")
        self.assertEqual([verdict for verdict, _ in verdicts], [Verdict.GO] * 3 + [Verdict.LEAVE])

    def test_full_without_a_line(self) -> None:
        """When all places are at work, nobody has to leave for a newcomer."""
        handshakes: Handshakes[str] = Handshakes(2, 2)
        self.arrivals(handshakes, "a", "b", address="192.0.2.1")
        self.assertEqual(handshakes.arrive("c", "192.0.2.2"), (Verdict.LEAVE, None))
        self.assertEqual(len(handshakes), 2)
        self.assertIsNone(handshakes.leave("c"))

    def test_a_flood_gives_way(self) -> None:
        """The last of the longest line makes room for another address."""
        handshakes: Handshakes[str] = Handshakes(6, 1)
        self.arrivals(handshakes, "a1", "a2", "a3", address="192.0.2.1")
        self.arrivals(handshakes, "b1", "b2", address="192.0.2.2")
        handshakes.arrive("c1", "192.0.2.3")
        self.assertEqual(handshakes.arrive("d1", "2001:db8::1"), (Verdict.GO, "a3"))
        self.assertEqual(len(handshakes), 6)

    def test_a_flood_pays_for_those_who_wait_elsewhere(self) -> None:
        """A newcomer that has to wait itself takes the place of one of a longer line."""
        handshakes: Handshakes[str] = Handshakes(5, 1)
        self.arrivals(handshakes, "a1", "a2", "a3", address="192.0.2.1")
        self.arrivals(handshakes, "b1", "b2", address="192.0.2.2")
        self.assertEqual(handshakes.arrive("b3", "192.0.2.2"), (Verdict.WAIT, "a3"))

    def test_a_flood_does_not_push_itself_on(self) -> None:
        """One more of the longest line leaves at once; those before it keep their turn."""
        handshakes: Handshakes[str] = Handshakes(3, 1)
        self.arrivals(handshakes, "a", "b", "c", address="192.0.2.1")
        self.assertEqual(handshakes.arrive("d", "192.0.2.1"), (Verdict.LEAVE, None))
        self.assertEqual(handshakes.leave("a"), "b")

    def test_a_flood_of_one_address(self) -> None:
        """A thousand connections of one address keep no other address out."""
        handshakes: Handshakes[int] = Handshakes(100, 10)
        for number in range(1000):
            handshakes.arrive(number, "192.0.2.1")
        self.assertEqual(len(handshakes), 100)
        for number in range(90):
            verdict, evicted = handshakes.arrive(-1 - number, f"198.51.100.{number}")
            self.assertEqual((verdict, evicted), (Verdict.GO, 99 - number))
        self.assertEqual(handshakes.arrive(-100, "203.0.113.1"), (Verdict.LEAVE, None))


@define
class _Pending:
    """A connection of the model."""

    name: int
    address: str
    at_work: bool


class HandshakesMachine(RuleBasedStateMachine):
    """Any arrivals and departures, beside one list in order of arrival."""

    @initialize(most=st.integers(1, 12), most_per_address=st.integers(1, 5))
    def begin(self, most: int, most_per_address: int) -> None:
        self.most = most
        self.most_per_address = most_per_address
        self.handshakes: Handshakes[int] = Handshakes(most, most_per_address)
        self.here: list[_Pending] = []
        self.began: set[int] = set()
        self.gone: list[int] = []
        self.names = iter(range(10_000))

    def line(self, address: str) -> list[_Pending]:
        return [each for each in self.here if each.address == address and not each.at_work]

    def workers(self, address: str) -> list[_Pending]:
        return [each for each in self.here if each.address == address and each.at_work]

    def note_begin(self, name: int) -> None:
        assert name not in self.began, "began twice"
        self.began.add(name)

    @rule(address=st.sampled_from(ADDRESSES), again=st.integers(1, 4))
    def arrive(self, address: str, again: int) -> None:
        for _ in range(again):
            self.arrive_once(address)

    def arrive_once(self, address: str) -> None:
        name = next(self.names)
        full = len(self.here) >= self.most
        lengths = {each.address: len(self.line(each.address)) for each in self.here}
        longest = max(lengths.values(), default=0)
        verdict, evicted = self.handshakes.arrive(name, address)
        if verdict is Verdict.LEAVE:
            # Only where all are at work, or where it would itself be one of the longest line.
            assert full
            assert evicted is None
            assert longest == 0 or lengths.get(address, 0) == longest
            self.gone.append(name)
            return
        assert full == (evicted is not None)
        if evicted is not None:
            victim = next(each for each in self.here if each.name == evicted)
            assert not victim.at_work
            assert victim.address != address
            assert lengths[victim.address] == longest
            assert self.line(victim.address)[-1] is victim
            self.here.remove(victim)
            self.gone.append(evicted)
        may_begin = not address or len(self.workers(address)) < self.most_per_address
        assert verdict is (Verdict.GO if may_begin else Verdict.WAIT)
        self.here.append(_Pending(name, address, may_begin))
        if may_begin:
            self.note_begin(name)

    @precondition(lambda self: self.here)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        self.leave_one(data.draw(st.sampled_from(self.here)))

    def leave_one(self, leaving: _Pending) -> None:
        self.here.remove(leaving)
        self.gone.append(leaving.name)
        following = self.handshakes.leave(leaving.name)
        line = self.line(leaving.address)
        if leaving.at_work and line:
            assert following == line[0].name, "not the first of the line"
            line[0].at_work = True
            self.note_begin(line[0].name)
        else:
            assert following is None

    @precondition(lambda self: self.gone)
    @rule(data=st.data())
    def leave_again(self, data: st.DataObject) -> None:
        assert self.handshakes.leave(data.draw(st.sampled_from(self.gone))) is None

    @invariant()
    def within_the_limits(self) -> None:
        assert len(self.handshakes) == len(self.here) <= self.most
        for address in ADDRESSES:
            if address:
                assert len(self.workers(address)) <= self.most_per_address

    @invariant()
    def nobody_waits_without_need(self) -> None:
        for address in ADDRESSES:
            if self.line(address):
                assert len(self.workers(address)) == self.most_per_address

    def teardown(self) -> None:
        while self.here:
            self.leave_one(self.here[0])
        assert len(self.handshakes) == 0
        # Nothing of any address is remembered once its last connection has gone.
        for kept in ("_working", "_at_work", "_lines", "_waiting"):
            assert not getattr(self.handshakes, kept), kept


class AnyHandshakesTests(SynchronousTestCase):
    """No order of arrivals and departures breaks the rules."""

    def test_any_order(self) -> None:
        """Limits hold, lines are first come first served, nobody is forgotten or begins twice."""
        run_state_machine_as_test(HandshakesMachine, settings=machine_settings())


class PlacesTests(SynchronousTestCase):
    """`Places`."""

    def places(self, most: int = 10, per_address: int = 10, tenant: int | None = None) -> Places:
        return Places(most, per_address, {"shop": tenant, "editor": None})

    def test_takes_and_gives_back(self) -> None:
        """A place is taken, counted, and free again."""
        places = self.places()
        place = places.take("shop", "192.0.2.1")
        self.assertEqual(place, Place("shop", "192.0.2.1"))
        self.assertEqual((len(places), places.of_tenant("shop")), (1, 1))
        self.assertEqual(places.of_tenant("editor"), 0)
        assert isinstance(place, Place)
        places.give_back(place)
        self.assertEqual((len(places), places.of_tenant("shop")), (0, 0))

    def test_limits(self) -> None:
        """The node, the tenant and the address each have theirs."""
        table = [
            (self.places(most=1), Full.NODE),
            (self.places(tenant=1), Full.TENANT),
            (self.places(per_address=1), Full.ADDRESS),
        ]
        for places, limit in table:
            with self.subTest(limit.name):
                first = places.take("shop", "192.0.2.1")
                assert isinstance(first, Place)
                self.assertIs(places.take("shop", "192.0.2.1"), limit)
                self.assertEqual(len(places), 1)
                places.give_back(first)
                self.assertIsInstance(places.take("shop", "192.0.2.1"), Place)

    def test_limits_are_apart(self) -> None:
        """A full tenant or address stands in nobody else's way."""
        places = self.places(tenant=1, per_address=1)
        places.take("shop", "192.0.2.1")
        self.assertIs(places.take("shop", "192.0.2.2"), Full.TENANT)
        self.assertIs(places.take("editor", "192.0.2.1"), Full.ADDRESS)
        self.assertIsInstance(places.take("editor", "192.0.2.2"), Place)

    def test_the_widest_limit_is_named(self) -> None:
        """Where several are full, the node goes before the tenant, that before the address."""
        places = self.places(most=1, tenant=1, per_address=1)
        places.take("shop", "192.0.2.1")
        self.assertIs(places.take("shop", "192.0.2.1"), Full.NODE)
        places = self.places(tenant=1, per_address=1)
        places.take("shop", "192.0.2.1")
        self.assertIs(places.take("shop", "192.0.2.1"), Full.TENANT)

    def test_without_an_address(self) -> None:
        """Behind a UNIX socket there are no addresses to limit."""
        places = self.places(per_address=1)
        self.assertEqual(
            [isinstance(places.take("shop", ""), Place) for _ in range(11)], [True] * 10 + [False]
        )

    def test_reasons(self) -> None:
        """Counters call the limits by these names."""
        self.assertEqual(
            [each.value for each in Full], ["node_full", "tenant_full", "address_full"]
        )


class PlacesMachine(RuleBasedStateMachine):
    """Any takers, beside one list of the places that are taken."""

    TENANTS = ("shop", "editor", "free")

    @initialize(
        most=st.integers(1, 12),
        per_address=st.integers(1, 6),
        shop=st.integers(1, 6),
        editor=st.integers(1, 6),
    )
    def begin(self, most: int, per_address: int, shop: int, editor: int) -> None:
        self.most, self.per_address = most, per_address
        self.per_tenant: dict[str, int | None] = {"shop": shop, "editor": editor, "free": None}
        self.places = Places(most, per_address, self.per_tenant)
        self.taken: list[Place] = []

    @rule(tenant=st.sampled_from(TENANTS), address=st.sampled_from(ADDRESSES))
    def take(self, tenant: str, address: str) -> None:
        most = self.per_tenant[tenant]
        of_tenant = Counter(each.tenant for each in self.taken)[tenant]
        of_address = Counter(each.address for each in self.taken)[address]
        full = {
            Full.NODE: len(self.taken) >= self.most,
            Full.TENANT: most is not None and of_tenant >= most,
            Full.ADDRESS: bool(address) and of_address >= self.per_address,
        }
        place = self.places.take(tenant, address)
        if isinstance(place, Place):
            assert not any(full.values())
            assert (place.tenant, place.address) == (tenant, address)
            self.taken.append(place)
        else:
            assert full[place]

    @precondition(lambda self: self.taken)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, len(self.taken) - 1))
        self.places.give_back(self.taken.pop(index))

    @invariant()
    def counts(self) -> None:
        assert len(self.places) == len(self.taken)
        for tenant in self.TENANTS:
            taken = sum(each.tenant == tenant for each in self.taken)
            assert self.places.of_tenant(tenant) == taken

    def teardown(self) -> None:
        for place in self.taken:
            self.places.give_back(place)
        assert len(self.places) == 0
        # An address that has been here once takes no memory afterwards.
        assert not self.places._by_address
        assert not self.places._by_tenant


class AnyPlacesTests(SynchronousTestCase):
    """No order of takers and leavers breaks the limits."""

    def test_any_order(self) -> None:
        """Limits hold, a place is refused only where one of them is full, counts go to zero."""
        run_state_machine_as_test(PlacesMachine, settings=machine_settings())
