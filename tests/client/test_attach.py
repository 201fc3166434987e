"""How a session of ``orion.v2`` comes, is resumed, drains and ends, case by case."""

from __future__ import annotations

import json

from orion_twisted.client.conversation import (
    Attached,
    ComeBack,
    Deliver,
    Phase,
    Send,
    Settle,
)
from orion_twisted.client.failures import (
    Closed,
    OutcomeUnknown,
)
from orion_twisted.client.outcomes import Push, Result
from orion_twisted.client.session import Session
from orion_twisted.core.errors import LocalError
from tests.client.model import split
from tests.client.sessions import SessionTestCase
from tests.vectors import vector


class AttachTests(SessionTestCase):
    """The beginning of a socket."""

    def test_hello_is_first(self) -> None:
        """A new client asks for no session, and says nothing else before the welcome."""
        self.request()
        self.assertEqual(self.open(), [Send(vector("hello").octets)])
        self.assertEqual(self.request()[1], [])

    def test_token(self) -> None:
        """A token goes into the hello, if it is to."""
        sent = self.session.opened(0.0, "eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl")
        self.assertEqual(sent, [Send(vector("hello-token").octets)])

    def test_welcome(self) -> None:
        """The first welcome brings the client online, and sends what waits."""
        self.request(b"one")
        self.notify(b"two")
        self.open()
        actions = self.welcome()
        self.assertEqual(actions[0], Attached(replaced=False))
        self.assertEqual(
            self.headers(actions),
            [
                {"type": "request", "n": 1, "ttl": 30_000},
                {"type": "notify", "n": 2, "ttl": 30_000},
            ],
        )
        self.assertEqual(len(actions), 3)

    def test_comes_back(self) -> None:
        """The next hello names the session, shows its last key and what has been seen."""
        self.online(key="AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMD")
        for s in range(1, 42):
            self.hear({"type": "push", "s": s}, b"")
        self.lost()
        self.assertEqual(self.open(), [Send(vector("hello-again").octets)])

    def test_a_lost_welcome_changes_no_key(self) -> None:
        """The key of a welcome that never came is not known, so the one before is shown."""
        self.online(key="first")
        self.lost()
        self.open()
        self.lost()
        (hello,) = self.headers(self.open())
        self.assertEqual(hello["key"], "first")
        self.welcome(recovered=True, key="second")
        self.lost()
        (hello,) = self.headers(self.open())
        self.assertEqual(hello["key"], "second")

    def test_resumes(self) -> None:
        """What the gateway has not got goes out again, in order, under its old number."""
        self.online()
        tickets = [self.request(b"%d" % each, timeout=10.0)[0] for each in range(4)]
        self.lost()
        self.now = 4.0
        late, _ = self.request(b"late")
        self.open()
        actions = self.welcome(recovered=True, ack=2)
        self.assertEqual(actions[0], Attached(replaced=False))
        self.assertEqual(
            [split(each.payload) for each in actions if isinstance(each, Send)],
            [
                ({"type": "request", "n": 3, "ttl": 6000}, b"2"),
                ({"type": "request", "n": 4, "ttl": 6000}, b"3"),
                ({"type": "request", "n": 5, "ttl": 30_000}, b"late"),
            ],
        )
        for number, ticket in enumerate([*tickets, late], 1):
            actions = self.hear({"type": "result", "s": number, "n": number}, b"done")
            self.assertEqual(self.settled(actions), {ticket: Result(b"done", False)})

    def test_another_session(self) -> None:
        """The old one is gone: what was never sent, or is safe, goes on; the rest is unknown."""
        self.online()
        unsafe, _ = self.request(b"unsafe")
        safe, _ = self.request(b"safe", repeat_safe=True)
        told, _ = self.notify(b"told")
        self.lost()
        waiting, _ = self.request(b"waiting")
        self.open()
        actions = self.welcome(sid="another")
        outcomes = self.settled(actions)
        self.assertEqual(list(outcomes), [unsafe, told])
        for failure in outcomes.values():
            assert isinstance(failure, OutcomeUnknown)
            self.assertIsNone(failure.was_done)
        self.assertIn(Attached(replaced=True), actions)
        self.assertEqual(
            [split(each.payload) for each in actions if isinstance(each, Send)],
            [
                ({"type": "request", "n": 1, "ttl": 30_000, "repeat": "safe"}, b"safe"),
                ({"type": "request", "n": 2, "ttl": 30_000}, b"waiting"),
            ],
        )
        self.assertEqual(
            self.settled(self.hear({"type": "result", "s": 1, "n": 2}, b"")),
            {waiting: Result(b"", False)},
        )
        self.assertEqual(
            self.settled(self.hear({"type": "result", "s": 2, "n": 1}, b"")),
            {safe: Result(b"", False)},
        )

    def test_another_session_is_acknowledged_anew(self) -> None:
        """Numbers of the gateway begin at 1 again, and so do our acknowledgements."""
        self.online()
        self.hear({"type": "push", "s": 1}, b"")
        self.assertEqual(self.headers(self.tick(1.0)), [{"type": "ack", "ack": 1}])
        self.lost()
        self.open()
        self.welcome(sid="another")
        actions = self.hear({"type": "push", "s": 1}, b"again")
        self.assertEqual(actions, [Deliver(Push(b"again", False))])
        self.assertEqual(self.headers(self.tick(2.0)), [{"type": "ack", "ack": 1}])

    def test_much_is_acknowledged_early(self) -> None:
        """A quarter of the bytes of a window is acknowledged at once: the gateway keeps them."""
        self.online(window_bytes=4000)
        self.assertEqual(self.headers(self.hear({"type": "push", "s": 1}, b"x" * 999)), [])
        actions = self.hear({"type": "push", "s": 2}, b"x")
        self.assertEqual(self.headers(actions), [{"type": "ack", "ack": 2}])
        self.assertEqual(self.headers(self.hear({"type": "push", "s": 3}, b"x")), [])

    def test_lost_pushes(self) -> None:
        """What the gateway could not keep is counted, and its numbers are passed over."""
        self.online()
        for s in range(1, 42):
            self.hear({"type": "push", "s": s}, b"")
        for _ in range(4):
            self.request(b"")
        self.lost()
        self.open()
        welcome = json.loads(vector("welcome-lost").octets)
        actions = self.hear({**welcome, "ack": 4})
        self.assertEqual(actions, [Attached(replaced=False, lost=17)])
        pushed, ack = self.hear({"type": "push", "s": 58}, b"58")
        self.assertEqual(pushed, Deliver(Push(b"58", False)))
        self.assertEqual(self.headers([ack]), [{"type": "ack", "ack": 59}])
        actions = self.hear({"type": "push", "s": 60}, b"60")
        self.assertEqual(actions, [Deliver(Push(b"60", False))])
        self.lost()
        (hello,) = self.headers(self.open())
        self.assertEqual(hello["seen"], 60)

    def test_lost_pushes_are_counted_once(self) -> None:
        """Those behind something unseen are told with the next welcome, too."""
        self.online()
        self.lost()
        self.open()
        self.assertEqual(self.welcome(lost=[[2, 3]]), [Attached(replaced=False, lost=2)])
        self.lost()
        self.open()
        self.assertEqual(self.welcome(lost=[[2, 5]]), [Attached(replaced=False, lost=2)])

    def test_welcomes_that_cannot_be(self) -> None:
        """A welcome that contradicts what was before is a fault."""
        for changes, reason in (
            ({"sid": "another", "recovered": True}, "goes on with an old one"),
            ({"sid": "another", "lost": [[1, 2]]}, "goes on with an old one"),
            ({"sid": "another", "ack": 1}, "never sent"),
            ({"ack": 2}, "never sent"),
            ({"lost": [[3, 2]]}, "out of order"),
            ({"lost": [[5, 6], [6, 7]]}, "out of order"),
            ({"lost": [[1, 1]]}, "out of order, or were seen"),
        ):
            with self.subTest(changes):
                self.session = Session(self.limits)
                self.online()
                self.request()
                self.hear({"type": "push", "s": 1}, b"")
                self.lost()
                self.open()
                self.assert_fault(self.welcome(**changes), reason)

    def test_nothing_before_the_welcome(self) -> None:
        """The welcome is the first message, and there is one."""
        self.open()
        self.assert_fault(self.hear({"type": "push", "s": 1}, b""), "before the welcome")
        self.session = Session(self.limits)
        self.online()
        self.assert_fault(self.welcome(recovered=True), "a second welcome")

    def test_misuse(self) -> None:
        """What a shell cannot mean is a bug of ours."""
        self.assertRaises(LocalError, self.lost)
        self.open()
        self.assertRaises(LocalError, self.open)


class DrainTests(SessionTestCase):
    """The gateway is about to stop."""

    def test_nothing_new_goes_out(self) -> None:
        """New messages wait for the next socket; what is under way may still end."""
        self.online()
        ticket, _ = self.request(b"before")
        actions = self.session.received(vector("drain").octets, False, 0.0)
        self.assertEqual(actions, [ComeBack(20.0)])
        self.assertEqual(self.request(b"after")[1], [])
        actions = self.hear({"type": "result", "s": 1, "n": 1}, b"")
        self.assertEqual(actions, [Settle(ticket, Result(b"", False))])
        self.assertEqual(self.headers(self.tick(1.0)), [{"type": "ack", "ack": 1}])
        self.assertEqual(self.hear({"type": "drain", "within": 5}), [ComeBack(0.005)])
        self.lost()
        self.open()
        self.assertEqual([each["n"] for each in self.headers(self.welcome(sid="next"))], [1])


class EndTests(SessionTestCase):
    """The last of it."""

    def test_leave(self) -> None:
        """A bye; then what was sent is unknown, and what waits has not been sent."""
        self.online(window=1)
        sent, _ = self.request()
        waits, _ = self.request()
        bye, *actions = self.session.leave("stopped")
        self.assertEqual(bye, Send(vector("bye").octets))
        outcomes = self.settled(actions)
        self.assertIsInstance(outcomes[sent], OutcomeUnknown)
        self.assertIsInstance(outcomes[waits], Closed)
        self.assertEqual(len(self.session), 0)
        self.assertIsNone(self.session.wake_at)

    def test_no_bye_without_a_session(self) -> None:
        """Offline, or before the welcome, there is nobody to say it to."""
        self.assertEqual(self.session.leave("stopped"), [])
        self.session = Session(self.limits)
        self.open()
        self.assertEqual(self.session.leave("stopped"), [])

    def test_after_the_end(self) -> None:
        """No message is taken, and nothing that still arrives is heard."""
        self.online()
        self.session.leave("stopped")
        self.assertIs(self.session.phase, Phase.ENDED)
        with self.assertRaises(Closed):
            self.request()
        self.assertEqual(self.hear({"type": "push", "s": 1}, b""), [])
        self.assertEqual(self.lost(), [])
        self.assertEqual(self.tick(100.0), [])
        self.assertEqual(self.session.end("again"), [])
        self.assertRaises(LocalError, self.open)
