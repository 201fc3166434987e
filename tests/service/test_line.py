"""A line: one link at a time, and many sessions on it, each in its order."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
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

from orion_twisted.core.backend_v1 import BackendV1
from orion_twisted.core.backend_v2 import BackendV2
from orion_twisted.core.conversation import Conversation, Push
from orion_twisted.core.errors import BackendError, BadMessage
from orion_twisted.core.ledger import Entry
from orion_twisted.core.session import Session
from orion_twisted.net.links import Loss
from orion_twisted.service.line import AT_ONCE, Line
from tests.core.sessions import TERMS, message, roomy, told
from tests.service.room import MAX_MESSAGE, Engine, Room, SpeakerV2, said
from tests.transports import pending

PING = '{"type":"ping"}'


class FakeLink:
    """A connection whose every change the test sees."""

    def __init__(self) -> None:
        self.is_open = True
        self.frames: list[str] = []
        self.writes = 0
        self.reads: list[bool] = []
        self.error: BackendError | None = None
        self.finished = False
        self.bytes: int | None = None
        self.fills: Callable[[], None] | None = None

    def send(self, data: bytes) -> None:
        self.send_all([data])

    def send_all(self, frames: list[bytes]) -> None:
        assert self.is_open, "written to the dead"
        self.writes += 1
        self.frames += [frame.decode() for frame in frames]
        if self.fills is not None:
            self.fills()

    def received(self) -> int | None:
        return self.bytes

    def hurry(self) -> None:
        """There is nothing to be hurried."""

    def pauseProducing(self) -> None:
        self.reads.append(False)

    def resumeProducing(self) -> None:
        self.reads.append(True)

    def finish(self) -> None:
        self.finished = True

    def fail(self, error: BackendError) -> None:
        self.error = error
        self.is_open = False

    def abort(self) -> None:
        self.is_open = False

    def new(self) -> list[str]:
        """Say what was written since the last time."""
        frames, self.frames = self.frames, []
        return [words(frame) for frame in frames]


def words(frame: str) -> str:
    """Say what a frame says: ``a 1``, ``open a``, ``gone a``, ``ping``."""
    told = json.loads(frame.partition("\n")[0])
    if "key" in told:
        return str(told["key"].replace(".", " "))
    return f"{told['type']} {told.get('sid', '')}".strip()


class FakeSeat:
    """A session, and nobody behind it."""

    line: Line | None = None
    is_ready = False
    unread: Entry | None = None

    def __init__(self, scene: Scene, sid: str) -> None:
        self._scene = scene
        self.session = Session(sid, TERMS, roomy(), scene.now)
        self.session.attach("key")
        self.may_read_link = True
        self.delivered = 0
        self.heard: list[str] = []
        self.links: list[str] = []

    def link_up(self) -> None:
        self.links.append("up")
        self.session.link_up()

    def link_lost(self) -> None:
        self.links.append("lost")
        self.session.link_lost(self._scene.now)

    def deliver(self) -> None:
        self.delivered += 1
        self.heard += told(self.session)

    def take(self, *numbers: int, **more: Any) -> None:
        """Have messages that wait, without a word to the line."""
        for n in numbers:
            self.session.take(message(n, deadline=self._scene.now + 30.0, **more), self._scene.now)

    def new(self) -> list[str]:
        heard, self.heard = self.heard, []
        return heard


class Scene:
    """A line, its owner, and a clock."""

    def __init__(
        self,
        shared: bool = True,
        converse: Callable[[], Conversation] = lambda: BackendV2("shop"),
        encode: Callable[[bytes], bytes] = bytes,
        **around: Any,
    ) -> None:
        self.room = Room(around=around)
        self.clock = self.room.clock
        self.line = Line(self.room.around, self, converse, encode, shared)
        self.ups = self.losses = 0
        self.pushes: list[Push] = []
        self.link = FakeLink()

    @property
    def now(self) -> float:
        return float(self.clock.seconds())

    def line_up(self, line: Line) -> None:
        self.ups += 1

    def line_lost(self, line: Line) -> None:
        self.losses += 1

    def push(self, push: Push) -> None:
        self.pushes.append(push)

    def passes(self, seconds: float) -> None:
        """Let time pass, half a second at a time: a timer begun by another one is in its time."""
        self.clock.pump([0.5] * round(seconds * 2))

    def up(self) -> FakeLink:
        """Bring a new link up."""
        self.link = FakeLink()
        self.line.link_up(self.link)
        return self.link

    def lose(self) -> None:
        self.link.is_open = False
        self.line.link_lost(Loss(clean=False))
        self.line.link_gone()

    def seat(self, sid: str, *numbers: int) -> FakeSeat:
        """Take on a session with messages that wait."""
        seat = FakeSeat(self, sid)
        seat.take(*numbers)
        self.line.join(seat)
        return seat

    def reads(self, *frames: str) -> None:
        """Let the link bring frames, all in one read."""
        for frame in frames:
            self.line.link_payload(frame.encode())
        self.line.link_rests()


def answer(call: int, payload: str = "{}") -> str:
    return f'{{"type":"result","id":{call}}}\n{payload}'


class OrderTests(SynchronousTestCase):
    """What is written, and when."""

    def test_turns(self) -> None:
        """Each session's messages in their order; the sessions in turns, a message each."""
        scene = Scene()
        seats = [scene.seat(sid, 1, 2, 3) for sid in "ab"]
        seats.append(scene.seat("c", 1))
        link = scene.up()
        expected = ["open a", "a 1", "open b", "b 1", "open c", "c 1", "a 2", "b 2", "a 3", "b 3"]
        self.assertEqual(link.new(), expected)
        self.assertEqual([seat.links for seat in seats], [["up"]] * 3)

    def test_a_session_that_comes(self) -> None:
        """On a line that is up its messages go out at once; on another they wait."""
        scene = Scene()
        waiting = scene.seat("a", 1)
        self.assertEqual((waiting.links, waiting.session.ledger.pending), ([], 1))
        link = scene.up()
        seat = scene.seat("b", 1)
        self.assertEqual((seat.links, link.new()), (["up"], ["open a", "a 1", "open b", "b 1"]))

    def test_a_full_link(self) -> None:
        """While its buffer is full nothing more is written, and nobody loses their turn."""
        scene = Scene()
        link = scene.up()
        scene.line.link_full(True)
        seats = [scene.seat(sid, 1, 2) for sid in "ab"]
        for seat in seats:
            scene.line.wants(seat)
        self.assertEqual(link.new(), [])
        scene.line.link_full(False)
        self.assertEqual(link.new(), ["open a", "a 1", "open b", "b 1", "a 2", "b 2"])

    def test_a_link_that_fills(self) -> None:
        """Of very much only so much is written before the link is asked whether it takes more."""
        scene = Scene()
        link = scene.up()
        link.fills = lambda: scene.line.link_full(True)
        seat = FakeSeat(scene, "a")
        for n in range(1, 5):
            entry = message(n, b"x" * (AT_ONCE // 2))
            seat.session.ledger.accept(entry)
        scene.line.join(seat)
        self.assertEqual(link.new(), ["open a", "a 1", "a 2"])
        scene.line.link_full(False)
        self.assertEqual(link.new(), ["a 3", "a 4"])

    def test_one_write(self) -> None:
        """What goes out together is written together."""
        scene = Scene()
        for sid in "abc":
            scene.seat(sid, 1, 2)
        self.assertEqual(scene.up().writes, 1)

    def test_a_link_that_is_cut(self) -> None:
        """Between the cut and the news of it nothing is written; it waits for the next one."""
        scene = Scene()
        link = scene.up()
        seat = scene.seat("a", 1)
        link.abort()
        seat.take(2)
        scene.line.wants(seat)
        scene.line.leave(scene.seat("b", 1))
        self.assertEqual(link.new(), ["open a", "a 1"])
        scene.lose()
        self.assertEqual(scene.up().new(), ["open a", "a 2"])

    def test_what_cannot_be_said(self) -> None:
        """It fails, and holds nobody up: of the dialect, or of the framing."""

        def encode(payload: bytes) -> bytes:
            if b"long" in payload:
                raise BadMessage("too long")
            return payload

        scene = Scene(encode=encode)
        seat = FakeSeat(scene, "a")
        for n, payload in enumerate((b"long", b"{}"), 1):
            seat.session.take(message(n, payload), 0.0)
        scene.line.join(seat)
        other = scene.seat("b", 1)
        link = scene.up()
        self.assertEqual(sorted(link.new()), ["a 2", "b 1", "open a", "open b"])
        self.assertEqual(seat.new(), ["error 1 BAD_MESSAGE"])
        scene.reads(answer(1), answer(2), answer(3))
        self.assertEqual((seat.new(), other.new()), (["result 2: {}"], ["result 1: {}"]))

    def test_too_late(self) -> None:
        """What has become too late while it waited is not sent; its browser hears it."""
        scene = Scene()
        seat = FakeSeat(scene, "a")
        seat.session.take(message(1, deadline=0.0), 0.0)
        scene.line.join(seat)
        self.assertEqual((scene.up().new(), seat.new()), ([], ["error 1 EXPIRED"]))

    def test_receipts(self) -> None:
        """A notification's outcome is told at once, or at the end of a read."""
        scene = Scene()
        scene.up()
        seat = scene.seat("a")
        seat.take(1, notify=True)
        scene.line.wants(seat)
        self.assertEqual(seat.new(), ["receipt 1 sent"])
        scene.line.link_payload(b'{"type":"pong"}')
        seat.take(2, notify=True)
        scene.line.wants(seat)
        self.assertEqual(seat.new(), [])
        scene.line.link_rests()
        self.assertEqual(seat.new(), ["receipt 2 sent"])


class AnswerTests(SynchronousTestCase):
    """What comes back."""

    def setUp(self) -> None:
        self.scene = Scene()
        self.scene.up()
        self.a, self.b = self.scene.seat("a", 1, 2), self.scene.seat("b", 1)

    def dropped(self, reason: str) -> int:
        return self.scene.room.counted("answers_dropped", reason)

    def test_to_whoever_asked(self) -> None:
        """In any order, each to its session; told once for each read."""
        self.scene.reads(answer(3, "b1"), answer(2, "a2"), answer(1, "a1"))
        self.assertEqual(self.a.new(), ["result 2: a2", "result 1: a1"])
        self.assertEqual(self.b.new(), ["result 1: b1"])
        self.assertEqual((self.a.delivered, self.b.delivered), (1, 1))

    def test_twice_and_unknown(self) -> None:
        """They are counted, and harm nobody."""
        self.scene.reads(answer(1), answer(1), answer(99), answer(0))
        self.assertEqual((self.dropped("late"), self.dropped("unknown")), (1, 2))
        self.assertEqual(self.a.new(), ["result 1: {}"])

    def test_of_no_use(self) -> None:
        """Too large, or neither text nor binary."""
        self.scene.line.link_payload(b'{"type":"result","id":1}\n\xff')
        self.scene.reads(answer(2, "x" * (MAX_MESSAGE + 1)))
        self.assertEqual(self.a.new(), ["error 1 BACKEND_ERROR", "error 2 TOO_LARGE"])

    def test_of_a_session_that_has_left(self) -> None:
        """Nothing is kept for it on the link, and its answers are late."""
        self.scene.line.leave(self.a)
        self.scene.reads(answer(1), answer(2), answer(3))
        self.assertEqual((self.dropped("late"), self.a.new()), (2, []))
        self.assertEqual(self.b.new(), ["result 1: {}"])
        self.assertEqual(self.scene.link.new()[-1], "gone a")

    def test_that_nobody_waits_for(self) -> None:
        """A message that is given up is answered in vain."""
        entry = self.a.session.ledger.entries[1]
        self.scene.line.forget(entry)
        self.scene.reads(answer(1))
        self.assertEqual(self.dropped("late"), 1)

    def test_pushes(self) -> None:
        """Those with a name are for the owner to bring; others are for whoever is here."""
        self.scene.reads('{"type":"push","sid":"a"}\nx', '{"type":"push","tenant":"shop"}\ny')
        self.assertEqual(self.scene.pushes, [Push(b"x", sid="a"), Push(b"y", to_all=True)])
        scene = Scene(shared=False, converse=lambda: BackendV1(shared=False))
        scene.up()
        seat = scene.seat("a")
        scene.reads('{"event":1}', '{"event":2}')
        self.assertEqual(seat.new(), ['push: {"event":1}', 'push: {"event":2}'])
        self.assertEqual((seat.delivered, scene.room.counted("pushes")), (1, 2))

    def test_broken_rules(self) -> None:
        """The link's keeper hears of them."""
        self.assertRaises(BackendError, self.scene.line.link_payload, b"?")


class LossTests(SynchronousTestCase):
    """The link is gone."""

    def test_outcomes(self) -> None:
        """Its sessions know at once; what is safe goes to the next link first, as new."""
        scene = Scene()
        link = scene.up()
        seat = scene.seat("a", 1)
        seat.take(2, safe=True)
        seat.take(3)
        scene.line.wants(seat)
        self.assertEqual(link.new(), ["open a", "a 1", "a 2", "a 3"])
        scene.lose()
        self.assertEqual((seat.links, scene.losses, scene.line.is_up), (["up", "lost"], 1, False))
        self.assertEqual(
            told(seat.session), ["error 1 OUTCOME_UNKNOWN", "error 3 OUTCOME_UNKNOWN"]
        )
        seat.take(4)
        scene.line.wants(seat)
        link = scene.up()
        self.assertEqual(link.new(), ["open a", "a 2", "a 4"])
        scene.reads(answer(1, "again"))
        self.assertEqual(seat.new(), ["result 2: again"])

    def test_a_full_link_that_is_lost(self) -> None:
        """The next one is not full; who stood in line still does."""
        scene = Scene()
        scene.up()
        scene.line.link_full(True)
        seats = [scene.seat(sid, 1) for sid in "ab"]
        scene.lose()
        self.assertEqual([seat.is_ready for seat in seats], [False, False])
        self.assertEqual(scene.up().new(), ["open a", "a 1", "open b", "b 1"])

    def test_in_the_midst_of_a_read(self) -> None:
        """What the last read brought is told, and so is what comes after."""
        scene = Scene()
        scene.up()
        seat = scene.seat("a", 1)
        scene.line.link_payload(answer(1).encode())
        scene.lose()
        scene.line.link_rests()
        self.assertEqual(seat.new(), ["result 1: {}"])
        scene.up()
        seat.take(2, notify=True)
        scene.line.wants(seat)
        self.assertEqual(seat.new(), ["receipt 2 sent"])

    def test_counts(self) -> None:
        """Links that came up, and how they ended."""
        scene = Scene()
        scene.up()
        self.assertEqual((scene.room.links, scene.ups), (1, 1))
        scene.lose()
        self.assertEqual(scene.room.links, 0)
        self.assertEqual(scene.room.counted("links"), 1)
        self.assertEqual(scene.room.counted("links_lost", "broken"), 1)

    def test_finished(self) -> None:
        """In the end the link delivers what it has; no timer is left."""
        scene = Scene()
        link = scene.up()
        scene.line.finish()
        self.assertEqual((link.finished, scene.line.is_up), (True, False))
        self.assertEqual(pending(scene.clock), [])
        scene.line.finish()

    def test_leaving_in_line(self) -> None:
        """Who leaves while it stands in line is not written for; the others are."""
        scene = Scene()
        link = scene.up()
        scene.line.link_full(True)
        a, _ = scene.seat("a", 1), scene.seat("b", 1)
        scene.line.leave(a)
        self.assertEqual((a.line, a.is_ready, len(scene.line)), (None, False, 1))
        scene.line.link_full(False)
        self.assertEqual(link.new(), ["open b", "b 1"])


class ReadingTests(SynchronousTestCase):
    """Whether the backend is read."""

    def test_a_shared_link(self) -> None:
        """Always: it is never held back for one of many."""
        scene = Scene()
        link = scene.up()
        seat = scene.seat("a")
        seat.may_read_link = False
        scene.line.settle(seat)
        self.assertEqual(link.reads, [True])

    def test_its_own_link(self) -> None:
        """As long as its browser takes what comes; it is told when that changes."""
        scene = Scene(shared=False)
        seat = scene.seat("a")
        scene.line.settle(seat)
        link = scene.up()
        for may in (True, False, False, True, True):
            seat.may_read_link = may
            scene.line.settle(seat)
        self.assertEqual(link.reads, [True, False, True])
        seat.may_read_link = False
        scene.lose()
        self.assertEqual(scene.up().reads, [])


class HeartbeatTests(SynchronousTestCase):
    """Whether the backend is alive."""

    def test_asked(self) -> None:
        """Every ``ping_every``; one that answers stays."""
        scene = Scene(ping_every=20.0, ping_timeout=10.0)
        link = scene.up()
        for _ in range(4):
            scene.passes(20.0)
            self.assertEqual(link.new(), ["ping"])
            scene.reads('{"type":"pong"}')
        scene.passes(10.0)
        self.assertIsNone(link.error)

    def test_silent(self) -> None:
        """One that says nothing for ``ping_timeout`` after a ping is cut off."""
        scene = Scene(ping_every=20.0, ping_timeout=10.0)
        link = scene.up()
        scene.reads('{"type":"pong"}')
        scene.passes(20.0)
        scene.passes(9.5)
        self.assertIsNone(link.error)
        scene.passes(0.5)
        self.assertIsInstance(link.error, BackendError)
        scene.lose()
        self.assertEqual(pending(scene.clock), [])

    def test_anything_is_a_sign(self) -> None:
        """An answer shows as well as a pong that the backend is alive."""
        scene = Scene()
        link = scene.up()
        scene.passes(20.0)
        scene.reads(answer(77))
        scene.passes(10.0)
        self.assertIsNone(link.error)

    def test_in_the_midst_of_a_frame(self) -> None:
        """One whose pong stands behind a large frame is alive for as long as more of it comes."""
        scene = Scene(ping_every=20.0, ping_timeout=10.0)
        link = scene.up()
        link.bytes = 1_000
        scene.passes(20.0)
        for _ in range(3):
            link.bytes += 1
            scene.passes(10.0)
            self.assertIsNone(link.error)
            scene.passes(10.0)
        scene.passes(10.0)
        self.assertIsInstance(link.error, BackendError)

    def test_patience_longer_than_the_interval(self) -> None:
        """Then there is a ping when the one before has been judged."""
        scene = Scene(ping_every=5.0, ping_timeout=20.0)
        link = scene.up()
        scene.passes(5.0)
        scene.reads('{"type":"pong"}')
        scene.passes(20.0)
        scene.passes(0.0)
        self.assertEqual((link.new(), link.error), (["ping", "ping"], None))

    def test_while_we_do_not_read(self) -> None:
        """A backend that is held back cannot be heard, and is not judged: not even when it is
        read again just before the end of its time."""
        for held in ((20.0, 10.0), (15.0, 14.5), (21.0, 8.5)):
            with self.subTest(held):
                scene = Scene(shared=False)
                seat = scene.seat("a")
                link = scene.up()
                at, long = held
                scene.passes(at)
                seat.may_read_link = False
                scene.line.settle(seat)
                scene.passes(long)
                seat.may_read_link = True
                scene.line.settle(seat)
                scene.passes(30.0 - at - long)
                self.assertIsNone(link.error)
                scene.passes(20.0)
                self.assertIsInstance(link.error, BackendError)

    def test_a_dialect_without(self) -> None:
        """In ``orion.v1`` there is no such thing, nor an answer to a backend's hello."""
        scene = Scene(converse=lambda: BackendV1(shared=True))
        scene.up()
        self.assertEqual((pending(scene.clock), scene.line.greeting), ([], None))
        self.assertTrue(scene.line.speaks_text)
        self.assertEqual(Scene().line.greeting, PING.encode())
        self.assertFalse(Scene().line.speaks_text)


class MovingTests(SynchronousTestCase):
    """Sessions on several lines."""

    def setUp(self) -> None:
        self.room = Room(links=2)
        self.first = self.room.engine()
        self.browsers = [self.room.browser() for _ in range(4)]

    def tearDown(self) -> None:
        self.room.close()
        self.assertEqual(self.room.leftovers(), [])

    def test_a_fair_share(self) -> None:
        """A line that comes up gets as many sessions as the others have; its backend hears of
        each when it says something."""
        for browser in self.browsers:
            browser.request(1)
        self.first.hears()
        for browser in self.browsers:
            self.first.answers(f"{browser.sid}.1")
        second = self.room.engine()
        self.assertEqual(self.first.hears(), ["gone"] * 2)
        for browser in self.browsers:
            browser.request(2, "again")
        self.assertEqual(sorted(self.first.hears()), ["request 2: again"] * 2)
        self.assertEqual(sorted(second.hears()), ["open"] * 2 + ["request 2: again"] * 2)

    def test_who_stays(self) -> None:
        """Whose messages may still be unread: it could be overtaken by itself."""
        asking, telling, timed_out, answered = self.browsers
        asking.request(1)
        telling.notify(1)
        timed_out.request(1, ttl=1000)
        answered.notify(1)
        answered.request(2)
        self.first.hears()
        self.first.answers(f"{answered.sid}.2")
        self.room.passes(1.0)
        self.assertEqual(timed_out.hears(), ["welcome", "error 1 TIMEOUT"])
        second = self.room.engine()
        self.assertEqual(self.first.hears(), ["gone"])
        for browser in (asking, telling, timed_out):
            browser.notify(2, "more")
        answered.notify(3, "there")
        self.assertEqual(self.first.hears(), ["notify 2: more"] * 3)
        self.assertEqual(second.hears(), ["open", "notify 3: there"])

    def test_a_link_that_is_lost(self) -> None:
        """Its sessions go on with the other one, at once."""
        second = self.room.engine()
        browser = self.browsers[-1]
        browser.request(1, "once")
        browser.request(2, "safe", repeat="safe")
        lost, other = (second, self.first) if second.hears() else (self.first, second)
        lost.wire.reset()
        self.assertEqual(browser.hears(), ["welcome", "error 1 OUTCOME_UNKNOWN"])
        self.assertEqual(other.hears(), ["open", "request 2: safe"])
        other.answers(2, "done")
        self.assertEqual(browser.hears(), ["result 2: done"])

    def test_no_link_at_all(self) -> None:
        """They wait, and go on with the first that comes."""
        self.first.wire.reset()
        browser = self.browsers[0]
        browser.request(1, "later")
        engine = self.room.engine()
        self.assertEqual(engine.hears(), ["open", "request 1: later"])


class ManyMachine(RuleBasedStateMachine):
    """
    Browsers of one tenant on two links that they share, beside what must be true of each.

    What backends hear and browsers are told is looked at after every step.
    """

    @initialize(grace=st.sampled_from([0.0, 10.0]))
    def begin(self, grace: float) -> None:
        self.room = Room({"sessions": 6}, links=2, link_grace=grace)
        chance = count(10**11)  # names that are the same each time
        self.room.sessions._secret = lambda size: f"{next(chance)}{'k' * (size - 8)}"
        self.browsers: dict[str, SpeakerV2] = {}
        self.asked: dict[tuple[str, int], bool] = {}  # whether it is safe
        self.next: dict[str, int] = {}
        self.heard: dict[str, list[int]] = {}  # what backends have heard of a session, in order
        self.on: dict[Engine, set[str]] = {}
        self.calls: list[tuple[Engine, int, tuple[str, int]]] = []
        self.told: dict[tuple[str, int], str] = {}
        self.answered: dict[tuple[str, int], set[str]] = {}

    def engines(self) -> list[Engine]:
        return [each for each in self.room.engines if not (each.wire.lost or each.wire.aborted)]

    def here(self) -> list[SpeakerV2]:
        return [each for each in self.browsers.values() if each.told is None and not each.gone]

    @precondition(lambda self: self.room.is_dialling)
    @rule(stalls=st.sampled_from([False, False, True]))
    def backend_accepts(self, stalls: bool) -> None:
        self.room.engine(stalls)

    @precondition(lambda self: self.engines())
    @rule(data=st.data(), how=st.sampled_from(["reset", "stall", "read", "read", "end"]))
    def backend_does(self, data: st.DataObject, how: str) -> None:
        engine = data.draw(st.integers(0, len(self.engines()) - 1))
        getattr(self.engines()[engine].wire, how)()
        self.room.turn()

    @precondition(lambda self: len(self.browsers) < 5)
    @rule()
    def browser_comes(self) -> None:
        browser = self.room.browser()
        self.browsers[browser.sid] = browser

    @precondition(lambda self: self.here())
    @rule(
        data=st.data(),
        kinds=st.lists(st.sampled_from(["request", "notify", "safe"]), min_size=1, max_size=5),
    )
    def browser_says(self, data: st.DataObject, kinds: list[str]) -> None:
        self.says(self.here()[data.draw(st.integers(0, len(self.here()) - 1))], kinds)

    def says(self, browser: SpeakerV2, kinds: list[str]) -> None:
        messages = []
        for kind in kinds:
            n = self.next[browser.sid] = self.next.get(browser.sid, 0) + 1
            self.asked[browser.sid, n] = kind == "safe"
            more = {"repeat": "safe"} if kind == "safe" else {}
            messages.append(said("notify" if kind == "notify" else "request", n, str(n), **more))
        for text in messages:
            assert isinstance(text, str)
            browser.end.browser_message(text.encode(), False)  # paused or not: one read
        browser.rest()

    @precondition(lambda self: self.here())
    @rule(data=st.data(), full=st.booleans())
    def browser_reads_or_not(self, data: st.DataObject, full: bool) -> None:
        browser = self.here()[data.draw(st.integers(0, len(self.here()) - 1))]
        if full:
            browser.end.browser_full(True)
        else:
            browser.drains()

    @precondition(lambda self: self.browsers)
    @rule(data=st.data(), comes_back=st.booleans())
    def browser_leaves(self, data: st.DataObject, comes_back: bool) -> None:
        sid = sorted(self.browsers)[data.draw(st.integers(0, len(self.browsers) - 1))]
        before = self.browsers[sid]
        self.look()
        if not before.gone:
            before.leave()
        if comes_back:
            again = self.room.stranger()
            again.seen = before.seen
            again.again(before)
            if again.sid == sid:
                self.browsers[sid] = again
                return
            again.leave()
            del self.browsers[sid]

    @precondition(lambda self: self.calls)
    @rule(data=st.data(), payload=st.sampled_from(["yes", "no"]))
    def backend_answers(self, data: st.DataObject, payload: str) -> None:
        """Any call, answered before or not."""
        engine, call, key = self.calls[data.draw(st.integers(0, len(self.calls) - 1))]
        if engine in self.engines():
            self.answers(engine, call, key, payload)

    def answers(self, engine: Engine, call: int, key: tuple[str, int], payload: str) -> None:
        self.answered.setdefault(key, set()).add(payload)
        engine.says(answer(call, f"{key[0]} {key[1]} {payload}"))

    @rule(
        kinds=st.lists(st.sampled_from(["request", "request", "notify", "safe"]), max_size=4),
        last_first=st.booleans(),
    )
    def all_goes_well(self, kinds: list[str], last_first: bool) -> None:
        """A browser asks, or several do, and all is answered that backends have heard."""
        while self.room.is_dialling and len(self.engines()) < 2:
            self.room.engine()
        for browser in self.here():
            if kinds and browser.live is not None:
                self.says(browser, kinds)
        self.look()
        for engine, call, key in self.calls[:: -1 if last_first else 1]:
            if engine in self.engines() and key not in self.answered:
                self.answers(engine, call, key, "yes")

    @precondition(lambda self: self.engines() and self.browsers)
    @rule(data=st.data())
    def backend_pushes(self, data: st.DataObject) -> None:
        engine = self.engines()[data.draw(st.integers(0, len(self.engines()) - 1))]
        index = data.draw(st.integers(0, len(self.browsers) - 1))
        engine.pushes("news", sid=sorted(self.browsers)[index])

    @rule(seconds=st.sampled_from([0.0, 0.1, 0.3, 1.0, 9.0]))
    def time_passes(self, seconds: float) -> None:
        for engine in self.engines():
            if engine.wire.reading and engine.wire.room:
                engine.pongs()
        self.room.passes(seconds)

    # What must be true

    @invariant()
    def look(self) -> None:
        self.backends_hear()
        self.browsers_hear()

    def backends_hear(self) -> None:
        """Each message once, unless it is safe, and each session's in their order."""
        for engine in self.room.engines:
            assert not engine.wire.written_too_late
            opened = self.on.setdefault(engine, set())
            for frame in engine.new():
                head, _, payload = frame.partition(b"\n")
                told = json.loads(head)
                if told["type"] == "ping":
                    continue
                sid = told["sid"]
                if told["type"] == "open":
                    assert sid not in opened
                    opened.add(sid)
                elif told["type"] == "gone":
                    opened.remove(sid)
                else:
                    assert sid in opened
                    n = int(told["key"].rpartition(".")[2])
                    assert payload == str(n).encode()
                    before = self.heard.setdefault(sid, [])
                    if n in before:
                        assert self.asked[sid, n]
                    else:
                        assert all(each < n for each in before)
                    before.append(n)
                    if "id" in told:
                        self.calls.append((engine, told["id"], (sid, n)))

    def browsers_hear(self) -> None:
        """One outcome of each message, and it is its own."""
        for sid, browser in self.browsers.items():
            for text in browser.hears():
                kind, *more = text.replace(":", "").split()
                if kind not in ("result", "error", "receipt"):
                    continue
                number = more.pop(0)
                n = int(number)
                if kind == "result":
                    assert more[:2] == [sid, number]
                    assert more[2] in self.answered[sid, n]
                if kind == "receipt" and more == ["accepted"]:
                    continue
                assert self.told.setdefault((sid, n), text) == text

    @invariant()
    def everybody_has_a_line(self) -> None:
        """If any is up; and on one link only."""
        lines = [live.line for live in self.room.sessions._by_sid.values()]
        is_up = self.room.sessions.backends.links > 0
        assert all((line is not None) == is_up for line in lines)
        assert all(line is None or line.is_up for line in lines)

    @invariant()
    def nobody_is_held_back(self) -> None:
        """A shared link is always read."""
        assert not any(each.wire.paused for each in self.engines())

    def teardown(self) -> None:
        if not hasattr(self, "room"):
            return
        for wire in self.room.backend.wires:
            if not wire.lost:
                wire.read()
        self.room.passes(0)
        self.look()
        self.room.close()
        assert self.room.leftovers() == []


class ManyTests(SynchronousTestCase):
    """Many sessions on the links that they share."""

    def test_any_order(self) -> None:
        """Links and browsers may come, go, stall and lie: each message once, in order, and each
        answer to whoever asked."""
        run_state_machine_as_test(
            ManyMachine,
            settings=settings(deadline=None, max_examples=80, stateful_step_count=50),
        )
