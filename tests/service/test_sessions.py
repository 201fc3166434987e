"""The sessions of a tenant: how many there may be, how long they wait, who is pushed to."""

from __future__ import annotations

from attrs import evolve

from orion_twisted.core.errors import CloseCode
from orion_twisted.core.settings import Limits, SessionSettings, Settings, TenantLimits
from orion_twisted.service.backends import OwnLinks, SharedLinks
from orion_twisted.service.sessions import sessions_of
from tests.service.room import MAX_MESSAGE, SHOP, Room
from tests.service.test_attachment import RoomTestCase
from tests.transports import pending


class MakingTests(RoomTestCase):
    """What the settings say."""

    def test_terms(self) -> None:
        """What each session is allowed; the dialect without acknowledgements keeps nothing."""
        room = self.room(links=2)
        terms = room.sessions.terms
        self.assertEqual(
            (terms.ttl, terms.window, terms.window_bytes, terms.deadline), (60.0, 4, 2000, 30.0)
        )
        self.assertEqual(
            (terms.grace, terms.first_grace, terms.max_message), (10.0, 5.0, MAX_MESSAGE)
        )
        self.assertEqual((terms.own_link, terms.keeps), (False, True))
        self.assertEqual(evolve(terms, keeps=False), room.sessions.terms_v1)
        self.assertTrue(self.room().sessions.terms.own_link)

    def test_session_mode_only(self) -> None:
        """Tenants of other modes have none."""
        room = self.room()
        others = [evolve(SHOP, name=mode, mode=mode) for mode in ("relay", "tunnel")]
        around = [evolve(room.around, tenant=tenant) for tenant in (*others, SHOP)]
        made = sessions_of(Settings(tenants=(*others, SHOP)), around)
        self.assertEqual(list(made), ["shop"])

    def test_one_node(self) -> None:
        """Tenants share the node's memory and places, and each may have less of its own."""
        room = self.room()
        depot = evolve(SHOP, name="depot", limits=TenantLimits(memory=1000, held=3, sessions=1))
        around = [evolve(room.around, tenant=tenant) for tenant in (SHOP, depot)]
        limits = Limits(memory=5000, held=10, sessions=2)
        made = sessions_of(Settings(tenants=(SHOP, depot), limits=limits), around)
        shop, other = made["shop"], made["depot"]
        self.assertEqual(shop.epoch, other.epoch)
        other.budget.change(3, 0)
        self.assertEqual((other.budget.is_full, shop.budget.is_full), (True, False))
        shop.budget.change(7, 0)
        self.assertTrue(shop.budget.is_full)
        self.assertIsNotNone(other.open("", None, other.terms))
        self.assertIsNone(other.open("", None, other.terms))
        self.assertIsNotNone(shop.open("", None, shop.terms))
        self.assertIsNone(shop.open("", None, shop.terms))

    def test_alone_on_the_node(self) -> None:
        """One tenant has the node's memory, or what is its own, whichever is less."""
        room = self.room()
        for own, most in ((TenantLimits(), 10), (TenantLimits(held=3), 3)):
            shop = evolve(SHOP, limits=own)
            around = [evolve(room.around, tenant=shop)]
            budget = sessions_of(Settings(tenants=(shop,), limits=Limits(held=10)), around)[
                "shop"
            ].budget
            budget.change(most - 1, 0)
            self.assertFalse(budget.is_full)
            budget.change(1, 0)
            self.assertTrue(budget.is_full)

    def test_links(self) -> None:
        """A line for each session, or those that are shared, in the tenant's dialect."""
        self.assertIsInstance(self.room().sessions.backends, OwnLinks)
        self.assertIsInstance(self.room(links=1).sessions.backends, SharedLinks)


class PlaceTests(RoomTestCase):
    """Not without end."""

    def test_one_that_waits_makes_place(self) -> None:
        """Who has waited for its browser for longest goes for a new session."""
        room = self.room({"sessions": 3})
        first, second, third = (room.browser() for _ in range(3))
        second.leave()
        first.leave()
        new = room.browser()
        self.assertIsNotNone(new.live)
        self.assertEqual(room.counted("sessions_ended", "evicted"), 1)
        self.assertEqual((len(room.sessions), room.sessions.waiting), (3, 1))
        self.assertNotEqual(room.stranger().again(second)["sid"], second.sid)
        self.assertIsNone(third.told)

    def test_none_that_waits(self) -> None:
        """Sessions that have their browser stay."""
        room = self.room({"sessions": 2})
        browsers = [room.browser() for _ in range(2)]
        late = room.stranger()
        self.assertEqual(late.hello(), {})
        self.assertEqual(late.told, (CloseCode.OVER_BUDGET, "OVER_BUDGET"))
        self.assertEqual([each.told for each in browsers], [None, None])

    def test_so_many_of_one_address(self) -> None:
        """Of one address only so many sessions wait; the one that has waited longest goes."""
        room = self.room({"connections_per_ip": 2})
        elsewhere = room.stranger("192.0.2.9")
        elsewhere.hello()
        elsewhere.leave()
        browsers = [room.browser() for _ in range(4)]
        for browser in browsers:
            browser.leave()
        self.assertEqual((len(room.sessions), room.sessions.waiting), (3, 3))
        back = [room.stranger().again(each)["sid"] == each.sid for each in browsers]
        self.assertEqual(back, [False, False, True, True])
        self.assertEqual(room.stranger().again(elsewhere)["sid"], elsewhere.sid)

    def test_an_address_that_is_not_known(self) -> None:
        """Browsers by a UNIX socket have none, and are not counted as one."""
        room = self.room({"connections_per_ip": 1})
        for _ in range(3):
            browser = room.stranger("")
            browser.hello()
            browser.leave()
        self.assertEqual(room.sessions.waiting, 3)

    def test_who_is_back_does_not_wait(self) -> None:
        """Coming and going does not use up an address's places."""
        room = self.room({"connections_per_ip": 1})
        browser = room.browser()
        for _ in range(5):
            browser.leave()
            again = room.stranger()
            self.assertTrue(again.again(browser)["recovered"])
            browser = again
        self.assertEqual((len(room.sessions), room.sessions.waiting), (1, 0))


class TimerTests(RoomTestCase):
    """One timer for each session, while it has something to wait for."""

    def test_as_few_as_can_be(self) -> None:
        """A session that waits for nothing has none; many messages have one."""
        room = self.room(links=1, dialect="orion.v1")
        engine = room.engine()
        room.passes(5.0)  # by then the link is taken for a working one
        browser = room.browser()
        self.assertEqual(pending(room.clock), [])
        for n in range(1, 4):
            browser.request(n, ttl=9000)
        self.assertEqual(pending(room.clock), [1.0])
        engine.says(*(f'{{"msgID":{n}}}' for n in range(1, 4)))
        room.passes(1.0)
        room.passes(8.0)
        self.assertEqual(pending(room.clock), [])
        browser.leave()
        self.assertEqual(pending(room.clock), [60.0])

    def test_an_earlier_deadline(self) -> None:
        """A message with less time is noticed in its time."""
        room = self.room(links=1)
        room.engine()
        browser = room.browser()
        browser.request(1, ttl=20_000)
        room.passes(1.0)
        browser.request(2, ttl=500)
        room.passes(0.5)
        self.assertEqual(browser.hears(), ["welcome", "error 2 TIMEOUT"])
        room.passes(18.5)
        self.assertEqual(browser.hears(), ["error 1 TIMEOUT"])

    def test_ended_in_the_midst(self) -> None:
        """What ends a session while it is told of something leaves no timer behind."""
        room = self.room(links=1, dialect="orion.v1", link_grace=0.0)
        engine = room.engine()
        browser = room.v1()
        browser.ask(1)
        browser.end.drain(30.0)
        engine.wire.reset()
        self.assertEqual([each["code"] for each in browser.hears()], ["OUTCOME_UNKNOWN"])
        self.assertEqual(browser.told, (CloseCode.GOING_AWAY, "draining"))
        self.assertEqual(len(room.sessions), 0)
        self.assertNotIn(30.0, pending(room.clock))

    def test_a_ttl_of_nothing(self) -> None:
        """With ``ttl`` 0 a session goes with its socket."""
        room = self.room(session=SessionSettings(ttl=0.0))
        browser = room.browser()
        browser.leave()
        room.passes(0)
        self.assertEqual(len(room.sessions), 0)


class PushTests(RoomTestCase):
    """What a backend says on its own."""

    def test_to_one(self) -> None:
        """It reaches the session that it names, whatever link it comes on."""
        room = self.room(links=2)
        engines = [room.engine(), room.engine()]
        browser, other = room.browser(), room.browser()
        for i, engine in enumerate(engines):
            engine.pushes(f"news {i}", sid=browser.sid)
        self.assertEqual(browser.hears(), ["welcome", "push: news 0", "push: news 1"])
        self.assertEqual(other.hears(), ["welcome"])
        self.assertEqual(room.counted("pushes"), 2)

    def test_to_all(self) -> None:
        """To those that wait for their browser, too."""
        room = self.room(links=1)
        engine = room.engine()
        browser, away, v1 = room.browser(), room.browser(), room.v1()
        away.leave()
        engine.pushes('{"event":"news"}', tenant="shop")
        self.assertEqual(browser.hears(), ["welcome", 'push: {"event":"news"}'])
        self.assertEqual(v1.hears(), [{"event": "news"}])
        again = room.stranger()
        again.again(away)
        self.assertEqual(again.hears(), ["welcome", 'push: {"event":"news"}'])

    def test_to_nobody(self) -> None:
        """It is counted, and harms nobody."""
        room = self.room(links=1)
        engine = room.engine()
        room.browser()
        for members in ({"sid": "another"}, {"sid": ""}):
            engine.pushes("x", **members)
        self.assertEqual(room.counted("pushes_dropped", "unknown_session"), 2)
        engine.pushes("x", tenant="depot")
        engine.pushes("x")
        self.assertEqual(room.counted("answers_dropped", "shapeless"), 2)

    def test_one_that_ends_another(self) -> None:
        """A push to all that closes a slow browser, whose waiting ends another session, holds
        nothing for that one."""
        room = self.room({"connections_per_ip": 1}, links=1)
        engine = room.engine()
        slow, waiting, other = (room.browser() for _ in range(3))
        waiting.leave()
        slow.end.browser_full(True)
        for i in range(4):
            engine.pushes(str(i), sid=slow.sid)
        engine.pushes("4", tenant="shop")
        self.assertEqual(slow.told, (CloseCode.SLOW_CONSUMER, "SLOW_CONSUMER"))
        self.assertEqual(room.counted("sessions_ended", "evicted"), 1)
        self.assertEqual(other.hears(), ["welcome", "push: 4"])
        slow.leave()
        other.say('{"type":"bye"}')
        room.passes(60.0)
        self.assertEqual(room.held, (0, 0))

    def test_on_a_link_of_its_own(self) -> None:
        """Without a name it is for the session of the link, in ``orion.v1``."""
        room = self.room(dialect="orion.v1")
        browser = room.browser()
        engine = room.engine()
        engine.says('{"event":"x"}', "anything")
        self.assertEqual(browser.hears(), ["welcome", 'push: {"event":"x"}', "push: anything"])


class StopTests(RoomTestCase):
    """The end of all of them."""

    def test_what_was_written_is_delivered(self) -> None:
        """Links end when they have delivered what they were given."""
        for links in (0, 2):
            with self.subTest(links=links):
                room = Room(links=links)
                engines = [room.engine(stalls=True) for _ in range(links)]
                browser = room.browser()
                engines = engines or [room.engine(stalls=True)]
                browser.notify(1, "save")
                room.sessions.stop()
                room.sessions.stop()
                heard = []
                for engine in engines:
                    engine.wire.read()
                    self.assertTrue(engine.wire.heard_end)
                    heard += engine.hears()
                self.assertEqual(heard, ["open", "notify 1: save", "gone"])
                self.assertFalse(room.is_dialling)
                room.close()
                self.assertEqual(room.leftovers(), [])

    def test_while_it_dials(self) -> None:
        """Nothing is dialled any more."""
        for links in (0, 2):
            room = Room(links=links)
            room.browser()
            self.assertTrue(room.is_dialling)
            room.close()
            self.assertFalse(room.is_dialling)
            self.assertEqual(room.leftovers(), [])
