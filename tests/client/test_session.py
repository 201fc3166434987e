"""A session of ``orion.v2`` case by case; time is a number."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.client.conversation import (
    Action,
    Attached,
    ComeBack,
    Deliver,
    Fault,
    Phase,
    Remark,
    Send,
    Settle,
)
from orion_twisted.client.failures import (
    Closed,
    Expired,
    MessageFailed,
    OfflineQueueFull,
    OutcomeUnknown,
    TimedOut,
    TooLarge,
)
from orion_twisted.client.limits import ClientLimits
from orion_twisted.client.outbound import Kind
from orion_twisted.client.outcomes import Push, Receipt, Result
from orion_twisted.client.session import Session
from orion_twisted.core.errors import LocalError
from tests.client.model import join, split
from tests.vectors import vector

SID = "AgICAgICAgICAgIC"


class SessionTestCase(SynchronousTestCase):
    """A session, and short ways to say what happens to it."""

    limits = ClientLimits(queue_messages=4, queue_bytes=100, timeout=30.0, patience=0.5)

    def setUp(self) -> None:
        self.session = Session(self.limits)
        self.now = 0.0

    def request(self, payload: bytes = b"x", **options: Any) -> tuple[int, list[Action]]:
        return self.session.submit(Kind.REQUEST, payload, False, self.now, **options)

    def notify(self, payload: bytes = b"x", **options: Any) -> tuple[int, list[Action]]:
        return self.session.submit(Kind.NOTIFY, payload, False, self.now, **options)

    def hear(self, header: dict[str, Any], payload: bytes | None = None) -> list[Action]:
        return self.session.received(join(header, payload), False, self.now)

    def open(self) -> list[Action]:
        return self.session.opened(self.now)

    def welcome(self, **changes: Any) -> list[Action]:
        return self.hear({**json.loads(vector("welcome").octets), **changes})

    def online(self, **changes: Any) -> None:
        self.open()
        self.welcome(**changes)

    def lost(self) -> list[Action]:
        return self.session.lost(self.now)

    def tick(self, now: float) -> list[Action]:
        self.now = now
        return self.session.tick(now)

    @staticmethod
    def headers(actions: Iterable[Action]) -> list[dict[str, Any]]:
        """Return the headers of what is sent."""
        return [split(each.payload)[0] for each in actions if isinstance(each, Send)]

    def settled(self, actions: Iterable[Action]) -> dict[int, object]:
        """Return outcomes by ticket."""
        settled = [each for each in actions if isinstance(each, Settle)]
        outcomes = {each.ticket: each.outcome for each in settled}
        self.assertEqual(len(outcomes), len(settled))
        return outcomes

    def assert_fails(self, actions: Iterable[Action], ticket: int, kind: type) -> MessageFailed:
        """Check that exactly one message has an outcome, a failure; return it."""
        outcomes = self.settled(actions)
        self.assertEqual(list(outcomes), [ticket])
        failure = outcomes[ticket]
        self.assertIs(type(failure), kind)
        assert isinstance(failure, MessageFailed)
        return failure

    def assert_fault(self, actions: list[Action], reason: str) -> None:
        (fault,) = actions
        assert isinstance(fault, Fault), fault
        self.assertIn(reason, fault.why)


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


class OutcomeTests(SessionTestCase):
    """What comes of a message."""

    def test_result(self) -> None:
        """A result, text or binary, well or not so."""
        self.online()
        one, _ = self.request()
        two, _ = self.request()
        self.assertEqual(
            self.hear({"type": "result", "s": 1, "n": 2, "ok": False}, b"no such document"),
            [Settle(two, Result(b"no such document", False, False))],
        )
        actions = self.session.received(b'{"type":"result","s":2,"n":1}\n\x00\xff', True, 0.0)
        self.assertEqual(actions, [Settle(one, Result(b"\x00\xff", True))])

    def test_receipt(self) -> None:
        """A notification ends with its receipt."""
        self.online()
        ticket, _ = self.notify()
        actions = self.hear({"type": "receipt", "s": 1, "n": 1, "stage": "sent"})
        self.assertEqual(actions, [Settle(ticket, Receipt("sent"))])

    def test_receipt_in_between(self) -> None:
        """A receipt without a number says how far it is, and settles nothing."""
        self.online()
        self.notify()
        for stage in ("accepted", "sent"):
            self.assertEqual(self.hear({"type": "receipt", "n": 1, "stage": stage}), [])

    def test_error(self) -> None:
        """A named failure, of either kind of message, with the gateway's words."""
        self.online()
        one, _ = self.request()
        two, _ = self.notify()
        failure = self.assert_fails(
            self.hear({"type": "error", "s": 1, "n": 1, "code": "TIMEOUT", "message": "slow"}),
            one,
            TimedOut,
        )
        self.assertEqual(str(failure), "TIMEOUT: slow")
        failure = self.assert_fails(
            self.hear({"type": "error", "s": 2, "n": 2, "code": "NEW_ONE", "message": ""}),
            two,
            MessageFailed,
        )
        self.assertEqual((failure.code, failure.was_done), ("NEW_ONE", None))

    def test_error_on_a_repetition(self) -> None:
        """An error without a number is for the log: the message's own outcome still comes."""
        self.online()
        ticket, _ = self.request()
        actions = self.session.received(vector("error-reused").octets, False, 0.0)
        (remark,) = actions
        assert isinstance(remark, Remark)
        self.assertIn("REUSED_ID", remark.text)
        actions = self.hear({"type": "result", "s": 1, "n": 1}, b"")
        self.assertEqual(self.settled(actions), {ticket: Result(b"", False)})

    def test_the_same_again(self) -> None:
        """What has been seen is passed over, outcome or push."""
        self.online()
        self.request()
        self.hear({"type": "result", "s": 1, "n": 1}, b"")
        self.hear({"type": "push", "s": 2}, b"")
        self.assertEqual(self.hear({"type": "result", "s": 1, "n": 1}, b""), [])
        self.assertEqual(self.hear({"type": "push", "s": 2}, b""), [])

    def test_faults(self) -> None:
        """Holes, answers to nothing, the wrong kind of answer, acknowledgements of nothing."""
        for header, payload, reason in (
            ({"type": "push", "s": 2}, b"", "message 2 after 0"),
            ({"type": "result", "s": 1, "n": 3}, b"", "none to come"),
            ({"type": "result", "s": 1, "n": 2}, b"", "a result for a notification"),
            ({"type": "receipt", "s": 1, "n": 1, "stage": "sent"}, None, "receipt for a request"),
            ({"type": "ack", "ack": 3}, None, "never sent"),
            ({"type": "push", "s": 1, "ack": 3}, b"", "never sent"),
            ({"type": "nonsense"}, None, "cannot be read"),
        ):
            with self.subTest(header):
                self.session = Session(self.limits)
                self.online()
                self.request()
                self.notify()
                self.assert_fault(self.hear(header, payload), reason)

    def test_push(self) -> None:
        """What the backend says on its own."""
        self.online()
        self.assertEqual(self.hear({"type": "push", "s": 1}, b"hi"), [Deliver(Push(b"hi", False))])


class AcknowledgementTests(SessionTestCase):
    """What we tell the gateway that we have."""

    def test_after_a_second(self) -> None:
        """Alone, a second after the first that is not acknowledged."""
        self.online()
        self.hear({"type": "push", "s": 1}, b"")
        self.now = 0.5
        self.hear({"type": "push", "s": 2}, b"")
        self.assertEqual(self.session.wake_at, 1.0)
        self.assertEqual(self.tick(0.9), [])
        self.assertEqual(self.headers(self.tick(1.0)), [{"type": "ack", "ack": 2}])
        self.assertIsNone(self.session.wake_at)

    def test_after_sixteen(self) -> None:
        """Alone, at once, with the sixteenth."""
        self.online()
        for s in range(1, 16):
            self.assertEqual(self.headers(self.hear({"type": "push", "s": s}, b"")), [])
        actions = self.hear({"type": "push", "s": 16}, b"")
        self.assertEqual(self.headers(actions), [{"type": "ack", "ack": 16}])
        self.assertIsNone(self.session.wake_at)

    def test_with_a_message(self) -> None:
        """It goes with whatever goes out, once."""
        self.online()
        self.hear({"type": "push", "s": 1}, b"")
        self.assertEqual(self.headers(self.request()[1])[0]["ack"], 1)
        self.assertNotIn("ack", self.headers(self.request()[1])[0])
        self.assertEqual(self.tick(1.0), [])

    def test_not_without_a_socket(self) -> None:
        """A hello says what has been seen; nothing is left to be said after it."""
        self.online()
        self.hear({"type": "push", "s": 1}, b"")
        self.lost()
        self.assertEqual(self.tick(1.0), [])
        self.open()
        self.welcome(recovered=True)
        self.assertNotIn("ack", self.headers(self.request()[1])[0])


class WindowTests(SessionTestCase):
    """How much may be without an outcome."""

    def test_messages(self) -> None:
        """No more than ``window``; the next goes when one has its outcome."""
        self.online(window=2)
        for _ in range(2):
            self.assertEqual(len(self.request()[1]), 1)
        self.assertEqual(self.request()[1], [])
        actions = self.hear({"type": "result", "s": 1, "n": 2}, b"")
        (header,) = self.headers(actions)
        self.assertEqual((header["n"], header["ack"]), (3, 1))

    def test_bytes(self) -> None:
        """No more than ``window_bytes``, but one message always."""
        self.online(window_bytes=10)
        self.assertEqual(len(self.request(b"x" * 50)[1]), 1)
        self.assertEqual(self.request(b"x")[1], [])
        actions = self.hear({"type": "result", "s": 1, "n": 1}, b"")
        self.assertEqual(len(self.headers(actions)), 1)
        self.assertEqual(len(self.request(b"x" * 9)[1]), 1)
        self.assertEqual(self.request(b"x")[1], [])
        self.assertEqual(self.request(b"")[1], [], "an empty one would fit, and is not next")

    def test_given_up_messages_count(self) -> None:
        """One that nobody waits for takes its place until the gateway is done with it."""
        self.online(window=1)
        ticket, _ = self.request()
        self.session.cancel(ticket)
        self.assertEqual(self.request()[1], [])
        actions = self.hear({"type": "result", "s": 1, "n": 1}, b"")
        self.assertEqual(self.settled(actions), {})
        self.assertEqual(len(self.headers(actions)), 1)

    def test_a_message_for_which_the_queue_is_too_small(self) -> None:
        """What can go out at once needs no room in the queue."""
        self.online(message=1000, window_bytes=1000)
        self.assertEqual(len(self.request(b"x" * 101)[1]), 1)
        self.assertEqual(len(self.request(b"x" * 899)[1]), 1)
        with self.assertRaises(OfflineQueueFull):
            self.request(b"x" * 101)

    def test_too_large(self) -> None:
        """Above ``message``, it is refused at once; what was taken before that was known, then."""
        early, _ = self.request(b"x" * 11)
        follows, _ = self.request(b"x" * 10)
        self.open()
        actions = self.welcome(message=10)
        failure = self.assert_fails(actions, early, TooLarge)
        self.assertIs(failure.was_done, False)
        self.assertEqual([each["n"] for each in self.headers(actions)], [1])
        with self.assertRaises(TooLarge) as caught:
            self.request(b"x" * 11)
        self.assertIs(caught.exception.was_done, False)
        self.assertEqual(len(self.session), 1)
        self.assertEqual(follows, 2)

    def test_too_large_for_another_session(self) -> None:
        """One that was sent before may have been done, whatever the next session takes."""
        self.online()
        ticket, _ = self.request(b"x" * 11, repeat_safe=True)
        self.lost()
        self.open()
        failure = self.assert_fails(self.welcome(sid="another", message=10), ticket, TooLarge)
        self.assertIsNone(failure.was_done)


class QueueTests(SessionTestCase):
    """What waits for a connection."""

    def test_rejects_what_does_not_fit(self) -> None:
        """By messages and by bytes; what is there stays, and a smaller one may still fit."""
        for payload in (b"x" * 60, b"x" * 40, b""):
            self.request(payload)
        with self.assertRaises(OfflineQueueFull) as caught:
            self.request(b"x")
        self.assertIs(caught.exception.was_done, False)
        self.request(b"")
        with self.assertRaises(OfflineQueueFull):
            self.request(b"")
        self.open()
        self.assertEqual(len(self.headers(self.welcome())), 4)

    def test_given_up(self) -> None:
        """A cancelled message is never sent, makes room, and leaves no hole in the numbers."""
        tickets = [self.request(b"x" * 25)[0] for _ in range(4)]
        self.session.cancel(tickets[1])
        self.session.cancel(tickets[1])
        self.request(b"y" * 25)
        self.open()
        sent = [split(each.payload) for each in self.welcome() if isinstance(each, Send)]
        self.assertEqual([header["n"] for header, _ in sent], [1, 2, 3, 4])
        self.assertEqual([payload[:1] for _, payload in sent if payload], [b"x"] * 3 + [b"y"])


class TimeTests(SessionTestCase):
    """Deadlines hold, connection or not."""

    def test_never_sent(self) -> None:
        """A message whose time is over before it could be sent has expired, on the dot."""
        ticket, _ = self.request(timeout=5.0)
        self.assertEqual(self.session.wake_at, 5.0)
        self.assertEqual(self.tick(4.999), [])
        failure = self.assert_fails(self.tick(5.0), ticket, Expired)
        self.assertIs(failure.was_done, False)
        self.assertIsNone(self.session.wake_at)
        self.open()
        self.assertEqual(self.headers(self.welcome()), [])

    def test_sent(self) -> None:
        """The gateway's own word is waited for a little; then it has timed out."""
        self.online()
        ticket, _ = self.request(timeout=5.0)
        self.assertEqual(self.tick(5.0), [])
        self.assertEqual(self.session.wake_at, 5.5)
        failure = self.assert_fails(self.tick(5.5), ticket, TimedOut)
        self.assertIsNone(failure.was_done)
        late = self.hear({"type": "error", "s": 1, "n": 1, "code": "TIMEOUT"})
        self.assertEqual(late, [], "its outcome is told once")

    def test_the_gateways_word(self) -> None:
        """It knows more."""
        self.online()
        ticket, _ = self.request(timeout=5.0)
        self.tick(5.2)
        actions = self.hear({"type": "error", "s": 1, "n": 1, "code": "EXPIRED"})
        self.assert_fails(actions, ticket, Expired)

    def test_not_sent_too_late(self) -> None:
        """A message that has waited is sent with the time that is left, or not at all."""
        short, _ = self.request(b"", timeout=1.0)
        self.request(b"", timeout=3.0)
        self.open()
        self.now = 2.5
        actions = self.welcome()  # before the alarm of the first has gone off
        self.assert_fails(actions, short, Expired)
        self.assertEqual([each["ttl"] for each in self.headers(actions)], [500])

    def test_numbers_go_on_without_a_gap(self) -> None:
        """A message that has timed out may have to be sent again; its time is then zero."""
        self.online()
        ticket, _ = self.request(timeout=1.0)
        self.request(timeout=60.0)
        gone, _ = self.request(timeout=60.0)
        self.session.cancel(gone)
        self.lost()
        self.assert_fails(self.tick(2.0), ticket, TimedOut)
        self.open()
        actions = self.welcome(recovered=True, ack=0)
        self.assertEqual(
            [(each["n"], each["ttl"]) for each in self.headers(actions)],
            [(1, 0), (2, 58_000), (3, 0)],
        )

    def test_repeated_in_another_session(self) -> None:
        """One that waits again times out: it may have been done in the session before."""
        self.online()
        self.request(repeat_safe=True)
        second, _ = self.request(timeout=5.0, repeat_safe=True)
        self.lost()
        self.open()
        self.welcome(sid="another", window=1)
        self.assert_fails(self.tick(5.0), second, TimedOut)

    def test_default_and_bounds(self) -> None:
        """Without a timeout the limit holds; none may be endless, or over."""
        self.online()
        (header,) = self.headers(self.request()[1])
        self.assertEqual(header["ttl"], 30_000)
        (header,) = self.headers(self.request(timeout=86_400)[1])
        self.assertEqual(header["ttl"], 86_400_000)
        for timeout in (0, -1.0, 86_400.1, float("nan"), float("inf")):
            with self.subTest(timeout), self.assertRaises(ValueError):
                self.request(timeout=timeout)


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
