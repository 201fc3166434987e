"""A browser's socket in session mode, with its session, its line and its backend."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.bearer import Identity, TokenRefused
from orion_twisted.core.errors import CloseCode
from orion_twisted.core.session import ACK_EVERY
from orion_twisted.core.settings import SessionSettings
from orion_twisted.service.attachment import FORCED
from tests.service.room import MAX_MESSAGE, Engine, Room, Speaker, SpeakerV1, SpeakerV2, said

ALICE = Identity(subject="alice", parent_origin=None, key_id=None, expires=0)
BOB = Identity(subject="bob", parent_origin=None, key_id=None, expires=0)


def check(token: str) -> Identity:
    """Stand in for the rules on tokens: each is its owner's name."""
    found = {"alice": ALICE, "bob": BOB}.get(token)
    if found is None:
        raise TokenRefused("token_signature")
    return found


class RoomTestCase(SynchronousTestCase):
    """Tests of one tenant; at the end of each nothing is left."""

    def room(self, *args: Any, **tenant: Any) -> Room:
        """Return a room, which is closed and looked through at the end."""
        room = Room(*args, **tenant)
        self.addCleanup(self._close, room)
        return room

    def _close(self, room: Room) -> None:
        room.close()
        self.assertEqual(room.leftovers(), [])

    def shared(self, **tenant: Any) -> tuple[Room, Engine]:
        """Return a room whose sessions share a link, which is up."""
        room = self.room(**{"links": 1, **tenant})
        return room, room.engine()

    def own(self, **tenant: Any) -> tuple[Room, SpeakerV2, Engine]:
        """Return a room with a browser that has a link of its own."""
        room = self.room(**tenant)
        browser = room.browser()
        browser.hears()
        return room, browser, room.engine()

    def assertClosed(self, browser: Speaker, code: CloseCode, reason: str) -> None:
        """Check that a browser was told to go, and let it go."""
        self.assertEqual(browser.told, (code, reason))
        browser.leave()


class HelloTests(RoomTestCase):
    """The first message."""

    def test_welcome(self) -> None:
        """A new session has a name, a key, and what it is allowed."""
        room, _ = self.shared()
        browser = room.stranger()
        welcome = browser.hello()
        expected = {
            "type": "welcome",
            "sid": browser.sid,
            "key": browser.key,
            "epoch": room.sessions.epoch,
            "recovered": False,
            "ack": 0,
            "ttl": 60_000,
            "window": 4,
            "window_bytes": 2000,
            "message": MAX_MESSAGE,
        }
        self.assertEqual(welcome, expected)
        self.assertEqual(
            [len(browser.sid), len(browser.key), len(room.sessions.epoch)], [16, 32, 8]
        )
        self.assertEqual(room.counted("sessions"), 1)

    def test_names_and_keys_are_chance(self) -> None:
        """No two are alike."""
        room, _ = self.shared()
        browsers = [room.browser() for _ in range(20)]
        self.assertEqual(
            len({each.sid for each in browsers} | {each.key for each in browsers}), 40
        )

    def test_no_hello_in_time(self) -> None:
        """A browser that says nothing is closed after the time of a handshake."""
        room = self.room(around={"hello_time": 5.0})
        browser = room.stranger()
        room.passes(4.9)
        self.assertIsNone(browser.told)
        room.passes(0.1)
        self.assertClosed(browser, CloseCode.TOO_SLOW, "TOO_SLOW")
        self.assertEqual(len(room.sessions), 0)

    def test_one_that_says_hello_is_not_timed(self) -> None:
        """After that it may be silent."""
        room = self.room(around={"hello_time": 5.0})
        browser = room.browser()
        room.passes(500.0)
        self.assertIsNone(browser.told)

    def test_anything_else_first(self) -> None:
        """It is a bad message, and opens no session."""
        room = self.room()
        for text in ('{"type":"ack","ack":0}', '{"type":"request","n":1}\n{}', "hello", "{}", ""):
            browser = room.stranger()
            browser.say(text)
            self.assertClosed(browser, CloseCode.BAD_MESSAGE, "BAD_MESSAGE")
        self.assertEqual(room.counted("sessions"), 0)

    def test_bad_messages_later(self) -> None:
        """A second hello, a wrong number, what cannot be read: the socket goes, the session is
        kept."""
        room, engine = self.shared()
        for text in (
            '{"type":"hello"}',
            '{"type":"request","n":3}\n{}',
            '{"type":"ack","ack":9}',
            '{"type":"request"}',
            "?",
        ):
            browser = room.browser()
            browser.request(1, "draw")
            browser.say(text)
            self.assertClosed(browser, CloseCode.BAD_MESSAGE, "BAD_MESSAGE")
            engine.hears()
            again = room.stranger()
            self.assertTrue(again.again(browser)["recovered"])
            engine.answers(1, "drawn")
            self.assertEqual(again.hears(), ["welcome", "result 1: drawn"])

    def test_what_came_before_a_bad_message(self) -> None:
        """In the same read, too: it has been taken, and goes to the backend."""
        room, engine = self.shared()
        browser = room.browser()
        browser.say(said("request", 1, "draw"), "?", said("request", 2, "never read"))
        self.assertClosed(browser, CloseCode.BAD_MESSAGE, "BAD_MESSAGE")
        self.assertEqual(engine.hears(), ["open", "request 1: draw"])

    def test_no_place(self) -> None:
        """Where there are as many sessions as may be, and all have their browser."""
        room = self.room({"sessions": 1})
        room.browser()
        for other in (room.stranger(), room.v1()):
            if isinstance(other, SpeakerV2):
                self.assertEqual(other.hello(), {})
            self.assertClosed(other, CloseCode.OVER_BUDGET, "OVER_BUDGET")


class TokenTests(RoomTestCase):
    """A token in hello."""

    def test_needed(self) -> None:
        """Without one, or with a bad one, there is no session; with a good one there is."""
        room = self.room()
        for hello, reason in (({}, "token_missing"), ({"token": "mallory"}, "token_signature")):
            browser = room.stranger(check_token=check, needs_token=True)
            self.assertEqual(browser.hello(**hello), {})
            self.assertClosed(browser, CloseCode.UNAUTHORIZED, "UNAUTHORIZED")
            self.assertEqual(room.counted("refused", reason), 1)
        browser = room.stranger(check_token=check, needs_token=True)
        self.assertTrue(browser.hello(token="alice"))
        self.assertEqual(browser.live.session.subject, "alice")

    def test_not_needed(self) -> None:
        """Then one may be missing, and is not to be bad."""
        room = self.room()
        browser = room.stranger(check_token=check)
        self.assertTrue(browser.hello())
        self.assertIsNone(browser.live.session.subject)
        browser = room.stranger(check_token=check)
        browser.hello(token="mallory")
        self.assertClosed(browser, CloseCode.UNAUTHORIZED, "UNAUTHORIZED")

    def test_known_already(self) -> None:
        """Who was known from the handshake need not say it again; nor where nobody is known."""
        room = self.room()
        browser = room.stranger(check_token=check, needs_token=True, identity=ALICE)
        self.assertTrue(browser.hello(token="mallory"))
        self.assertEqual(browser.live.session.subject, "alice")
        browser = room.stranger()
        self.assertTrue(browser.hello(token="mallory"))

    def test_the_backend_knows(self) -> None:
        """Whose session it is stands in ``open``."""
        room, engine = self.shared()
        browser = room.stranger(identity=ALICE)
        browser.hello()
        browser.request(1)
        told = json.loads(engine.frames[0])
        self.assertEqual((told["sid"], told["subject"]), (browser.sid, "alice"))

    def test_somebody_elses_session(self) -> None:
        """A session is for tokens of the same subject only, whatever key is shown."""
        room = self.room()
        for mine, theirs in ((ALICE, BOB), (ALICE, None), (None, BOB)):
            browser = room.stranger(identity=mine)
            browser.hello()
            other = room.stranger(identity=theirs)
            welcome = other.again(browser)
            self.assertNotEqual(welcome["sid"], browser.sid)
            self.assertIsNone(browser.told)
        self.assertEqual(room.counted("session_keys_wrong"), 3)
        again = room.stranger(identity=Identity("alice", None, "another key", 99))
        first = room.browsers[0]
        assert isinstance(first, SpeakerV2)
        self.assertEqual(again.again(first)["sid"], first.sid)


class ResumeTests(RoomTestCase):
    """The same session on another socket."""

    def test_whole(self) -> None:
        """What came while the browser was away is told, once, in order; nothing is missing."""
        room, engine = self.shared()
        browser = room.browser()
        browser.request(1, "a")
        browser.request(2, "b")
        engine.hears()
        engine.answers(1, "A")
        browser.hears()
        browser.leave()
        engine.pushes("news", sid=browser.sid)
        engine.answers(2, "B")
        again = room.stranger()
        welcome = again.again(browser)
        self.assertEqual(
            (welcome["sid"], welcome["recovered"], welcome["ack"]), (browser.sid, True, 2)
        )
        self.assertEqual(again.hears(), ["welcome", "push: news", "result 2: B"])
        self.assertEqual(room.counted("resumes", "whole"), 1)

    def test_lossy(self) -> None:
        """Pushes that had to go are named; the rest comes."""
        room, engine = self.shared()
        browser = room.browser()
        browser.leave()
        for i in range(6):
            engine.pushes(str(i), sid=browser.sid)
        again = room.stranger()
        welcome = again.again(browser)
        self.assertEqual((welcome["recovered"], welcome["lost"]), (False, [[1, 2]]))
        self.assertEqual(again.hears(), ["welcome"] + [f"push: {i}" for i in range(2, 6)])
        self.assertEqual(room.counted("resumes", "lossy"), 1)

    def test_unknown_or_wrong(self) -> None:
        """A new session, and no word of which it was."""
        room, _ = self.shared()
        browser = room.browser()
        for sid, key in (
            (browser.sid, "wrong"),
            (browser.sid, ""),
            (browser.sid, "schlüssel"),
            ("another", browser.key),
            ("", browser.key),
        ):
            other = room.stranger()
            welcome = other.hello(sid=sid, key=key, seen=0)
            self.assertEqual((welcome["recovered"], welcome["ack"]), (False, 0))
            self.assertNotEqual(welcome["sid"], browser.sid)
        self.assertIsNone(browser.told)
        self.assertEqual(room.counted("session_keys_wrong"), 3)

    def test_keys_change(self) -> None:
        """Each welcome has a new key; the one before is good until something has been said."""
        room, _ = self.shared()
        first = room.browser()
        second = room.stranger()
        second.again(first)
        self.assertNotEqual(second.key, first.key)
        third = room.stranger()  # it has not got the second welcome
        self.assertEqual(third.again(first)["sid"], first.sid)
        third.ack(0)
        for old in (first, second):
            self.assertNotEqual(room.stranger().again(old)["sid"], first.sid)
        self.assertEqual(room.stranger().again(third)["sid"], first.sid)

    def test_a_v1_session_is_nobodys(self) -> None:
        """Its name, which the backend knows, and no key at all do not give it away."""
        room, engine = self.shared()
        browser = room.v1()
        browser.ask(1)
        sid = json.loads(engine.frames[0])["sid"]
        other = room.stranger()
        self.assertNotEqual(other.hello(sid=sid, key="")["sid"], sid)
        self.assertIsNone(browser.told)

    def test_seen_what_never_was(self) -> None:
        """The new socket is wrong, and goes; the old one goes on."""
        room, _ = self.shared()
        browser = room.browser()
        other = room.stranger()
        self.assertEqual(other.again(browser, seen=1), {})
        self.assertClosed(other, CloseCode.BAD_MESSAGE, "BAD_MESSAGE")
        self.assertIsNone(browser.told)
        browser.request(1)

    def test_messages_again(self) -> None:
        """After a loss a browser says again what it has no outcome for: nothing is done twice,
        and what has an outcome has the same again."""
        room, engine = self.shared()
        browser = room.browser()
        for n in (1, 2, 3):
            browser.request(n, f"do {n}")
        engine.hears()
        engine.answers(1, "done 1")
        engine.answers(2, "done 2")
        browser.leave()
        again = room.stranger()
        again.again(browser, seen=1)
        again.say(*(said("request", n, f"do {n}") for n in (2, 3)), said("request", 4, "do 4"))
        self.assertEqual(engine.hears(), ["request 4: do 4"])
        self.assertEqual(again.hears(), ["welcome", *["result 2: done 2"] * 2, "receipt 3 sent"])

    def test_after_its_time(self) -> None:
        """A session waits ``ttl`` for its browser, and no longer."""
        room, engine = self.shared()
        browser = room.browser()
        browser.request(1)
        engine.hears()
        browser.leave()
        room.passes(59.9)
        self.assertEqual((len(room.sessions), room.sessions.waiting), (1, 1))
        room.passes(0.1)
        self.assertEqual((len(room.sessions), room.sessions.waiting), (0, 0))
        self.assertEqual(engine.hears()[-1], "gone")
        self.assertEqual(room.counted("sessions_ended", "expired"), 1)
        self.assertEqual(room.stranger().again(browser)["recovered"], False)


class SupersedeTests(RoomTestCase):
    """The newest socket wins."""

    def test_at_once(self) -> None:
        """The socket before is closed, and what it still says is not heard."""
        room, engine = self.shared()
        browser = room.browser()
        browser.request(1, "a")
        other = room.stranger()
        other.again(browser)
        self.assertEqual(browser.told, (CloseCode.SUPERSEDED, "SUPERSEDED"))
        browser.end.browser_message(said("request", 2, "late").encode(), False)
        browser.rest()
        engine.hears()
        engine.answers(1, "A")
        self.assertEqual(other.hears(), ["welcome", "result 1: A"])
        browser.leave()
        room.passes(19.0)
        self.assertEqual((len(room.sessions), room.sessions.waiting), (1, 0))
        other.request(2, "b")
        self.assertEqual(engine.hears(), ["request 2: b"])


class OutcomeTests(RoomTestCase):
    """Every code of docs/wire.md."""

    def outcome(self, room: Room, code: str) -> None:
        self.assertEqual(room.counted("outcomes", code), 1)

    def test_result_and_receipt(self) -> None:
        """A request has a result, a notification a receipt; both are counted."""
        room, engine = self.shared()
        browser = room.browser()
        browser.request(1, "a")
        browser.notify(2, "b")
        self.assertEqual(engine.hears(), ["open", "request 1: a", "notify 2: b"])
        engine.answers(1, "A", ok=False)
        self.assertEqual(browser.hears(), ["welcome", "receipt 2 sent", "result 1: A"])
        self.assertIn(b'"ok":false', browser.got[-1][0])
        self.outcome(room, "RESULT")
        self.outcome(room, "SENT")

    def test_binary(self) -> None:
        """A payload's type goes along, both ways."""
        room, engine = self.shared()
        browser = room.browser()
        browser.request(1, b"\xff\x01")
        self.assertIn(b'"bin":true', engine.frames[1])
        engine.hears()
        engine.answers(1, "text")
        engine.says(b'{"type":"push","sid":"%b","bin":true}\n\xff' % browser.sid.encode())
        self.assertEqual([is_binary for _, is_binary in browser.got], [False, False, True])

    def test_expired(self) -> None:
        """Its time is over before there is a link, or at once."""
        room = self.room(links=1)
        browser = room.browser()
        browser.request(1, ttl=2000)
        browser.request(2, ttl=0)
        room.passes(0)
        self.assertEqual(browser.hears(), ["welcome", "error 2 EXPIRED"])
        room.passes(2.0)
        self.assertEqual(browser.hears(), ["error 1 EXPIRED"])
        self.assertEqual(room.engine().hears(), [])
        self.assertEqual(room.counted("outcomes", "EXPIRED"), 2)

    def test_timeout(self) -> None:
        """No answer in time; a late one is dropped, and counted."""
        room, engine = self.shared()
        browser = room.browser()
        browser.request(1, ttl=2000)
        browser.request(2)
        engine.hears()
        room.passes(2.0)
        self.assertEqual(browser.hears(), ["welcome", "error 1 TIMEOUT"])
        engine.answers(1, "late")
        self.assertEqual(browser.hears(), [])
        self.assertEqual(room.counted("answers_dropped", "late"), 1)
        room.passes(28.0)
        self.assertEqual(browser.hears(), ["error 2 TIMEOUT"])

    def test_the_longest_time(self) -> None:
        """A day is the most that a message may take."""
        room, _ = self.shared()
        browser = room.browser()
        browser.request(1, ttl=2**50)
        (entry,) = browser.live.session.ledger.entries.values()
        self.assertEqual(entry.deadline, 86_400.0)

    def test_outcome_unknown(self) -> None:
        """The link breaks; what is safe is done again, under the same key."""
        room, engine = self.shared()
        browser = room.browser()
        browser.request(1, "a")
        browser.request(2, "b", repeat="safe")
        self.assertEqual(engine.hears(), ["open", "request 1: a", "request 2: b"])
        key = next(each for each in engine.calls if each.endswith(".2"))
        engine.wire.reset()
        self.assertEqual(browser.hears(), ["welcome", "error 1 OUTCOME_UNKNOWN"])
        engine = room.relink()
        self.assertEqual(engine.hears(), ["open", "request 2: b"])
        self.assertIn(key, engine.calls)
        engine.answers(2, "B")
        self.assertEqual(browser.hears(), ["result 2: B"])

    def test_backend_down(self) -> None:
        """No link within ``link_grace``; then messages fail at once, until there is one."""
        room, engine = self.shared()
        browser = room.browser()
        engine.wire.reset()
        browser.request(1)
        room.passes(9.9)
        self.assertEqual(browser.hears(), ["welcome"])
        room.passes(0.1)
        browser.request(2)
        self.assertEqual(browser.hears(), ["error 1 BACKEND_DOWN", "error 2 BACKEND_DOWN"])
        engine = room.engine()
        browser.request(3, "c")
        self.assertEqual(engine.hears(), ["open", "request 3: c"])

    def test_backend_error(self) -> None:
        """An answer that is no use."""
        room, engine = self.shared()
        browser = room.browser()
        browser.request(1)
        engine.hears()
        engine.says(b'{"type":"result","id":1}\n\xff')
        self.assertEqual(browser.hears(), ["welcome", "error 1 BACKEND_ERROR"])

    def test_bad_message(self) -> None:
        """What this backend cannot be told: binary, or no JSON, in ``orion.v1``; a delimiter."""
        room, engine = self.shared(dialect="orion.v1")
        browser = room.browser()
        browser.request(1, b"\xff")
        browser.request(2, "no JSON")
        browser.request(3, "{}")
        browser.request(4, '{"a":"\0"}')
        self.assertEqual(
            browser.hears(),
            ["welcome", "error 1 BAD_MESSAGE", "error 2 BAD_MESSAGE", "error 4 BAD_MESSAGE"],
        )
        self.assertEqual(len(engine.hears()), 1)
        room, engine = self.shared()
        browser = room.browser()
        browser.request(1, "a\0b")
        browser.request(2, "c")
        self.assertEqual(browser.hears(), ["welcome", "error 1 BAD_MESSAGE"])
        self.assertEqual(engine.hears(), ["open", "request 2: c"])
        engine.answers(2, "C")
        self.assertEqual(browser.hears(), ["result 2: C"])

    def test_too_large(self) -> None:
        """A payload above the limit, there or back."""
        room, engine = self.shared()
        browser = room.browser()
        browser.request(1, "x" * (MAX_MESSAGE + 1))
        browser.request(2, "x" * MAX_MESSAGE)
        engine.hears()
        engine.answers(2, "x" * (MAX_MESSAGE + 1))
        self.assertEqual(browser.hears(), ["welcome", "error 1 TOO_LARGE", "error 2 TOO_LARGE"])

    def test_over_budget(self) -> None:
        """No room at the tenant; or none for a result while the browser is away."""
        room = self.room({"memory": 3000}, links=1)
        engine = room.engine()
        browser, other = room.browser(), room.browser()
        room.sessions.budget.change(0, 3000)
        other.request(1)
        self.assertEqual(other.hears(), ["welcome", "error 1 OVER_BUDGET"])
        room.sessions.budget.change(0, -3000)
        for n in range(1, 4):
            browser.request(n)
        engine.hears()
        browser.leave()
        for n in range(1, 4):
            engine.answers(f"{browser.sid}.{n}", "x" * MAX_MESSAGE)
        again = room.stranger()
        again.again(browser)
        heard = again.hears()
        self.assertEqual(heard[0], "welcome")
        self.assertTrue(heard[1].startswith("result 1: xxx"))
        self.assertEqual(heard[2:], ["error 2 OVER_BUDGET", "error 3 OVER_BUDGET"])

    def test_reused(self) -> None:
        """Another payload under an old number: the first one's outcome comes nevertheless."""
        room, engine = self.shared()
        browser = room.browser()
        browser.request(1, "a")
        browser.request(1, "b")
        self.assertEqual(engine.hears(), ["open", "request 1: a"])
        self.assertEqual(browser.hears(), ["welcome", "error 1 REUSED_ID"])
        engine.answers(1, "A")
        self.assertEqual(browser.hears(), ["result 1: A"])
        self.assertEqual(room.counted("outcomes"), 1)

    def test_told_twice_counts_once(self) -> None:
        """An outcome that is told again, on this socket or another, is one outcome."""
        room, engine = self.shared()
        browser = room.browser()
        browser.request(1)
        engine.hears()
        engine.answers(1)
        browser.request(1)
        again = room.stranger()
        again.again(browser, seen=0)
        self.assertEqual(again.hears(), ["welcome", "result 1: {}"])
        self.assertEqual(room.counted("outcomes"), 1)


class AckTests(RoomTestCase):
    """The gateway says what it has."""

    def test_on_any_frame(self) -> None:
        """Whatever goes out next carries it."""
        room, engine = self.shared()
        browser = room.browser()
        browser.request(1)
        browser.request(2)
        engine.hears()
        engine.answers(1)
        self.assertEqual(browser.hears(acks=True), ["welcome", "ack 2", "result 1: {}"])

    def test_alone(self) -> None:
        """After a second, or after 16 messages, if nothing carries it."""
        room, _ = self.shared(session=SessionSettings(window=100))
        browser = room.browser()
        browser.request(1)
        room.passes(0.9)
        self.assertEqual(browser.hears(acks=True), ["welcome"])
        room.passes(0.1)
        self.assertEqual(browser.hears(acks=True), ["ack 1"])
        for n in range(2, 2 + ACK_EVERY):
            self.assertEqual(browser.hears(acks=True), [])
            browser.request(n)
        self.assertEqual(browser.hears(acks=True), [f"ack {1 + ACK_EVERY}"])

    def test_a_full_socket(self) -> None:
        """It waits until there is room, and wakes nobody meanwhile."""
        room, _ = self.shared()
        browser = room.browser()
        browser.request(1)
        browser.end.browser_full(True)
        room.passes(1.0)
        before = len(room.clock.getDelayedCalls())
        self.assertTrue(
            all(each.getTime() > room.clock.seconds() for each in room.clock.getDelayedCalls())
        )
        self.assertEqual((browser.hears(acks=True), before > 0), (["welcome"], True))
        browser.drains()
        self.assertEqual(browser.hears(acks=True), ["ack 1"])


class PressureTests(RoomTestCase):
    """Who is read, and who is not."""

    def test_the_window(self) -> None:
        """A browser with more than ``window`` messages under way is not read."""
        room, engine = self.shared()
        browser = room.browser()
        browser.say(*(said("request", n) for n in range(1, 5)))
        self.assertFalse(browser.paused)
        browser.request(5)
        self.assertTrue(browser.paused)
        engine.hears()
        engine.answers(1)
        self.assertFalse(browser.paused)

    def test_within_a_read(self) -> None:
        """Nor is the rest of what it had sent at once."""
        room, _ = self.shared()
        browser = room.browser()
        browser.end.browser_message(said("request", 1).encode(), False)
        for n in range(2, 6):
            self.assertFalse(browser.paused)
            browser.end.browser_message(said("request", n).encode(), False)
        self.assertTrue(browser.paused)
        browser.rest()
        self.assertTrue(browser.paused)

    def test_room_at_the_end_of_a_read(self) -> None:
        """If the backend has taken all of it by the end of the read, the browser is read on."""
        room, _ = self.shared()
        browser = room.browser()
        browser.notify(1)
        for n in range(2, 8):
            browser.end.browser_message(said("notify", n).encode(), False)
        self.assertTrue(browser.paused)
        browser.rest()
        self.assertFalse(browser.paused)

    def test_who_does_not_read_does_not_ask(self) -> None:
        """While a browser's buffer is full it is not read either."""
        room, _ = self.shared()
        browser = room.browser()
        browser.end.browser_full(True)
        self.assertTrue(browser.paused)
        browser.drains()
        self.assertFalse(browser.paused)
        stranger = room.stranger()
        stranger.end.browser_full(True)
        self.assertTrue(stranger.paused)
        stranger.drains()
        self.assertFalse(stranger.paused)

    def test_slow_consumer(self) -> None:
        """On a shared link a browser that does not read is closed, and told to come back; its
        session is kept, and nobody else notices."""
        room, engine = self.shared()
        browser, other = room.browser(), room.browser()
        other.request(1, "o")
        browser.end.browser_full(True)
        for i in range(4):
            engine.pushes(str(i), sid=browser.sid)
        self.assertIsNone(browser.told)
        engine.pushes("4", sid=browser.sid)
        self.assertClosed(browser, CloseCode.SLOW_CONSUMER, "SLOW_CONSUMER")
        self.assertFalse(engine.wire.paused)
        engine.hears()
        engine.answers(1, "O")
        self.assertEqual(other.hears(), ["welcome", "result 1: O"])
        again = room.stranger()
        self.assertEqual(again.again(browser)["lost"], [[1, 1]])

    def test_its_own_link(self) -> None:
        """A browser that does not read holds its own link back, and is not closed."""
        _, browser, engine = self.own()
        browser.end.browser_full(True)
        self.assertTrue(engine.wire.paused)
        browser.drains()
        self.assertFalse(engine.wire.paused)
        browser.fills_after = 2
        engine.says(*(f'{{"type":"push","sid":"{browser.sid}"}}\n{i}' for i in range(9)))
        self.assertTrue(engine.wire.paused)
        self.assertEqual(browser.hears(), ["push: 0", "push: 1"])
        browser.drains()
        self.assertEqual(browser.hears(), [f"push: {i}" for i in range(2, 9)])
        self.assertIsNone(browser.told)

    def test_its_own_link_while_it_is_away(self) -> None:
        """What a session keeps for a browser that is away holds its own link back: no result
        goes."""
        room, browser, engine = self.own()
        for n in (1, 2, 3):
            browser.request(n)
        engine.hears()
        browser.leave()
        for n in (1, 2):
            engine.answers(n, "x" * MAX_MESSAGE)
        self.assertTrue(engine.wire.paused)
        again = room.stranger()
        again.again(browser)
        self.assertEqual(
            [each[:10] for each in again.hears()], ["welcome", "result 1: ", "result 2: "]
        )
        self.assertTrue(engine.wire.paused)
        again.ack()
        self.assertFalse(engine.wire.paused)

    def test_room_that_others_make(self) -> None:
        """A browser that waits because the tenant is full is read when another makes room."""
        room = self.room({"memory": 5000}, links=1)
        room.engine()
        browser = room.browser()
        browser.request(1)
        browser.request(2)
        room.sessions.budget.change(0, 5000)
        browser.end.settle()
        browser.end._settle()
        self.assertTrue(browser.paused)
        room.sessions.budget.change(0, -5000)
        self.assertTrue(browser.paused)  # not in the midst of what another one does
        room.passes(0)
        self.assertFalse(browser.paused)

    def test_room_for_its_own_link(self) -> None:
        """So is the link of a session whose browser is away."""
        room = self.room({"memory": 5000})
        browser = room.browser()
        engine = room.engine()
        browser.request(1)
        engine.hears()
        browser.notify(2)
        room.sessions.budget.change(0, 5000)
        browser.leave()
        self.assertTrue(engine.wire.paused)
        room.sessions.budget.change(0, -5000)
        room.passes(0)
        self.assertFalse(engine.wire.paused)
        engine.answers(1, "in time")
        again = room.stranger()
        again.again(browser, seen=0)
        self.assertEqual(again.hears(), ["welcome", "receipt 2 sent", "result 1: in time"])

    def test_ended_while_it_waits_for_room(self) -> None:
        """A session that has ended is not told of room."""
        room = self.room({"memory": 5000}, links=1)
        room.engine()
        browser, other = room.v1(), room.v1()
        for each in (browser, other):
            each.ask(1)
            each.ask(2)
        room.sessions.budget.change(0, 5000)
        for each in (browser, other):
            each.end._settle()
        browser.leave()
        room.sessions.budget.change(0, -5000)
        other.leave()
        self.assertEqual(len(room.sessions), 0)


class ByeTests(RoomTestCase):
    """The browser ends its session."""

    def test_at_once(self) -> None:
        """Whatever has no outcome gets none; the backend hears that the session is gone."""
        room, engine = self.shared()
        browser = room.browser()
        browser.request(1, "a")
        browser.say('{"type":"bye","ack":0}')
        self.assertClosed(browser, CloseCode.NORMAL, "bye")
        self.assertEqual(engine.hears(), ["open", "request 1: a", "gone"])
        self.assertEqual((len(room.sessions), room.held), (0, (0, 0)))
        self.assertEqual(room.counted("sessions_ended", "bye"), 1)
        self.assertEqual(room.counted("messages_undelivered"), 1)
        engine.answers(1)
        self.assertEqual(room.counted("answers_dropped", "late"), 1)

    def test_in_the_same_read(self) -> None:
        """What was said before it is not taken back."""
        room, engine = self.shared()
        browser = room.browser()
        browser.say(said("notify", 1, "save"), '{"type":"bye"}')
        self.assertEqual(engine.hears(), ["open", "notify 1: save", "gone"])


class DrainTests(RoomTestCase):
    """The gateway stops."""

    def test_idle(self) -> None:
        """A browser with nothing under way is told when to come back, and closed."""
        room, _ = self.shared()
        browser = room.browser()
        browser.end.drain(30.0)
        self.assertEqual(browser.hears(), ["welcome", "drain"])
        self.assertEqual(json.loads(browser.got[-1][0])["within"], 500)
        self.assertClosed(browser, CloseCode.GOING_AWAY, "draining")

    def test_something_under_way(self) -> None:
        """It may end first; then the browser is closed."""
        room, engine = self.shared()
        browser = room.browser()
        browser.request(1)
        engine.hears()
        browser.end.drain(30.0)
        browser.end.drain(30.0)
        self.assertEqual((browser.hears(), browser.told), (["welcome", "drain"], None))
        browser.request(2, "more")
        engine.hears()
        engine.answers(1)
        self.assertIsNone(browser.told)
        engine.answers(2)
        self.assertEqual(browser.hears(), ["result 1: {}", "result 2: {}"])
        self.assertClosed(browser, CloseCode.GOING_AWAY, "draining")

    def test_what_waits_for_the_socket(self) -> None:
        """A result that is there is written before the end, if the browser takes it."""
        room, engine = self.shared()
        browser = room.browser()
        browser.request(1)
        engine.hears()
        browser.end.browser_full(True)
        engine.answers(1)
        browser.end.drain(30.0)
        self.assertIsNone(browser.told)
        browser.drains()
        self.assertEqual(browser.hears()[-1], "result 1: {}")
        self.assertClosed(browser, CloseCode.GOING_AWAY, "draining")

    def test_not_for_ever(self) -> None:
        """After most of the time the browser is closed all the same."""
        room, _ = self.shared()
        browser, stranger = room.browser(), room.stranger()
        browser.request(1)
        browser.end.drain(20.0)
        stranger.end.drain(20.0)
        room.passes(4.9)
        room.passes(20.0 * FORCED - 5.0)
        self.assertIsNone(browser.told)
        room.passes(0.1)
        self.assertClosed(browser, CloseCode.GOING_AWAY, "draining")

    def test_who_says_hello_meanwhile(self) -> None:
        """It is welcome, and sent away."""
        room, _ = self.shared()
        stranger = room.stranger()
        stranger.end.drain(30.0)
        self.assertTrue(stranger.hello())
        self.assertClosed(stranger, CloseCode.GOING_AWAY, "draining")

    def test_stopped(self) -> None:
        """When all sessions end, their sockets are closed."""
        room, _ = self.shared()
        browser, other = room.browser(), room.v1()
        room.sessions.stop()
        for each in (browser, other):
            self.assertClosed(each, CloseCode.GOING_AWAY, "draining")
        self.assertEqual(room.counted("sessions_ended", "stopped"), 2)

    def test_never_opened(self) -> None:
        """A socket whose handshake failed after all ends, too."""
        room = self.room()
        for kind in (room.stranger, room.v1):
            browser = kind()
            browser.leave()
        self.assertEqual(len(room.ended), 2)


class V1Tests(RoomTestCase):
    """Browsers that speak ``orion.v1``."""

    def ready(self, **tenant: Any) -> tuple[Room, SpeakerV1, Engine]:
        room = self.room(**{"dialect": "orion.v1", **tenant})
        if tenant.get("links"):
            engine = room.engine()
            return room, room.v1(), engine
        browser = room.v1()
        return room, browser, room.engine()

    def test_byte_for_byte(self) -> None:
        """On a link of its own everything passes as it is, both ways."""
        _, browser, engine = self.ready()
        text = ' { "@MSGID" : 7, "a" : 1.50 } '
        browser.say(text)
        self.assertEqual(engine.frames, [text.encode()])
        for answer in ('{"msgID" : 7,"success":true}', '{"event":"x"}', "anything"):
            engine.says(answer)
            self.assertEqual(browser.got[-1], (answer.encode(), False))

    def test_shared(self) -> None:
        """On a shared link each gets its own answers, under its own numbers."""
        room, browser, engine = self.ready(links=1)
        other = room.v1()
        for each in (browser, other):
            each.ask(1)
        told = [json.loads(frame) for frame in engine.new()]
        self.assertEqual([each["@MSGID"] for each in told], [1, 2])
        engine.says('{"msgID":2,"a":"other"}', '{"msgID":1,"a":"browser"}')
        self.assertEqual(browser.hears(), [{"msgID": 1, "a": "browser"}])
        self.assertEqual(other.hears(), [{"msgID": 1, "a": "other"}])
        engine.says(json.dumps({"@SESSION": told[1]["@SESSION"], "event": 1}), '{"event":2}')
        self.assertEqual((browser.hears(), len(other.hears())), ([], 1))
        self.assertEqual(room.counted("answers_dropped", "shapeless"), 1)

    def test_another_dialect_behind(self) -> None:
        """With an ``orion.v2`` backend the answer gets the browser's number."""
        room, engine = self.shared()
        browser = room.v1()
        browser.ask(7)
        self.assertEqual(engine.hears(), ["open", 'request 1: {"@MSGID": 7, "cmd": "x"}'])
        engine.answers(1, '{"success":true}')
        self.assertEqual(browser.hears(), [{"msgID": 7, "success": True}])

    def test_no_number(self) -> None:
        """It is told so, and stays."""
        _, browser, engine = self.ready()
        browser.say("{}", "hello", b'{"@MSGID":1}')
        self.assertEqual(
            [(each["msgID"], each["code"]) for each in browser.hears()],
            [(None, "BAD_MESSAGE")] * 3,
        )
        self.assertEqual((engine.frames, browser.told), ([], None))

    def test_retries(self) -> None:
        """The same bytes again change nothing; others are answered REUSED_ID; one answer each."""
        _, browser, engine = self.ready()
        for _ in range(3):
            browser.ask(7)
        browser.ask(7, "another")
        self.assertEqual(len(engine.new()), 1)
        self.assertEqual([each["code"] for each in browser.hears()], ["REUSED_ID"])
        engine.says('{"msgID":7}')
        browser.ask(7)
        self.assertEqual((browser.hears(), engine.new()), ([{"msgID": 7}], []))

    def test_one_answer_in_time(self) -> None:
        """Exactly one, within the deadline: TIMEOUT, and a late answer is dropped."""
        room, browser, engine = self.ready()
        browser.ask(7)
        room.passes(30.0)
        (told,) = browser.hears()
        self.assertEqual((told["msgID"], told["success"], told["code"]), (7, False, "TIMEOUT"))
        engine.says('{"msgID":7}')
        self.assertEqual(browser.hears(), [])
        self.assertEqual(room.counted("answers_dropped", "late"), 1)

    def test_a_broken_link(self) -> None:
        """Then nobody knows; the session goes on with the next link."""
        room, browser, engine = self.ready()
        browser.ask(1)
        engine.wire.reset()
        browser.ask(2)
        (told,) = browser.hears()
        self.assertEqual((told["msgID"], told["code"]), (1, "OUTCOME_UNKNOWN"))
        engine = room.relink()
        self.assertEqual([json.loads(each)["@MSGID"] for each in engine.new()], [2])

    def test_it_ends_with_its_socket(self) -> None:
        """There is no resume: nothing is kept, and the link goes."""
        room, browser, engine = self.ready()
        browser.ask(1)
        browser.leave()
        self.assertEqual((len(room.sessions), room.held), (0, (0, 0)))
        self.assertTrue(engine.wire.heard_end)
        self.assertEqual(room.counted("sessions_ended", "closed"), 1)
        self.assertEqual(room.counted("messages_undelivered"), 1)

    def test_many_messages(self) -> None:
        """However many there are, nothing is kept of what is answered, and no timer runs wild."""
        room, browser, engine = self.ready()
        for n in range(1, 200):
            browser.ask(n)
            engine.says(f'{{"msgID":{n}}}')
        self.assertEqual(len(browser.hears()), 199)
        self.assertEqual(room.held, (0, 0))
        soon = [
            each for each in room.clock.getDelayedCalls() if each.getTime() <= room.clock.seconds()
        ]
        self.assertEqual(soon, [])
