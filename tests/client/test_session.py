"""What becomes of the messages of a session of ``orion.v2``, case by case."""

from __future__ import annotations

from orion_twisted.client.conversation import (
    Deliver,
    Remark,
    Send,
    Settle,
)
from orion_twisted.client.failures import (
    Expired,
    MessageFailed,
    OfflineQueueFull,
    TimedOut,
    TooLarge,
)
from orion_twisted.client.outcomes import Push, Receipt, Result
from orion_twisted.client.session import Session
from tests.client.model import split
from tests.client.sessions import SessionTestCase
from tests.vectors import vector


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
