"""A session: its life across sockets, and what becomes of each message."""

from collections.abc import Callable
from itertools import product
from math import inf

from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.budget import Budget
from orion_twisted.core.errors import BadMessage, LocalError, Outcome
from orion_twisted.core.outbox import ERROR, RECEIPT
from orion_twisted.core.session import (
    ACK_EVERY,
    ACK_WITHIN,
    MOST_ASIDES,
    TRANSITIONS,
    Life,
    Session,
    Turn,
)
from tests.core.sessions import ROOMY, TERMS, message, roomy, say, send, session, told, written


def attached(*args: Budget, **terms: object) -> Session:
    """Return a session with a socket and a link."""
    one = session(*args, **terms)
    one.attach("key")
    one.link_up()
    return one


WAYS: dict[Life, list[Turn]] = {
    Life.DETACHED: [],
    Life.ATTACHED: [Turn.ATTACH],
    Life.ENDED: [Turn.END],
}
"""How a session comes into each state of its life."""

TURNS: dict[Turn, Callable[[Session], object]] = {
    Turn.ATTACH: lambda one: one.attach("key"),
    Turn.DETACH: lambda one: one.detach(1.0),
    Turn.END: lambda one: one.end(),
}


class TransitionTests(SynchronousTestCase):
    """The table of states and turns."""

    def test_every_state_with_every_turn(self) -> None:
        """What is in the table happens; all else is a bug of ours, and changes nothing."""
        allowed = {
            (Life.DETACHED, Turn.ATTACH): Life.ATTACHED,
            (Life.ATTACHED, Turn.ATTACH): Life.ATTACHED,
            (Life.ATTACHED, Turn.DETACH): Life.DETACHED,
            (Life.DETACHED, Turn.END): Life.ENDED,
            (Life.ATTACHED, Turn.END): Life.ENDED,
        }
        self.assertEqual(TRANSITIONS, allowed)
        self.assertEqual((set(WAYS), set(TURNS)), (set(Life), set(Turn)))
        for life, turn in product(Life, Turn):
            with self.subTest(f"{turn.name} while {life.name}"):
                one = session()
                for each in WAYS[life]:
                    TURNS[each](one)
                self.assertIs(one.life, life)
                before = (one.generation, one.wake_at)
                if (life, turn) in allowed:
                    TURNS[turn](one)
                    self.assertIs(one.life, allowed[life, turn])
                else:
                    error = self.assertRaises(LocalError, TURNS[turn], one)
                    self.assertEqual(str(error), f"{turn.name} while the session is {life.name}")
                    self.assertEqual((one.life, one.generation, one.wake_at), (life, *before))


class KeyTests(SynchronousTestCase):
    """Who may have a session."""

    def test_the_last_key_only(self) -> None:
        """A new session is nobody's; then it is for who shows the key that was given last."""
        one = session()
        self.assertFalse(one.knows_key(""))
        one.attach("first")
        self.assertTrue(one.knows_key("first"))
        for key in ("", "First", "first ", "firs", "second", "schlüssel"):
            self.assertFalse(one.knows_key(key))

    def test_the_one_before(self) -> None:
        """The key that was shown stays good until the browser is heard: the `welcome` with the
        new one may have been lost with its socket."""
        one = session()
        one.attach("first")
        one.heard()
        one.attach("second", shown="first")
        self.assertEqual([one.knows_key(key) for key in ("first", "second")], [True, True])
        one.attach("third", shown="first")
        self.assertEqual(
            [one.knows_key(key) for key in ("first", "second", "third")], [True, False, True]
        )
        one.heard()
        self.assertEqual(
            [one.knows_key(key) for key in ("first", "second", "third")], [False, False, True]
        )

    def test_a_session_without_a_key(self) -> None:
        """One that was given none, as in ``orion.v1``, is not to be had by showing none."""
        one = attached(keeps=False)
        one.attach("")
        self.assertEqual([one.knows_key(key) for key in ("", "key")], [False, False])


class AttachTests(SynchronousTestCase):
    """Sockets come and go."""

    def test_whole(self) -> None:
        """What a browser has not seen comes again, under its old number; nothing is missing."""
        one = attached()
        for n in (1, 2, 3):
            one.take(message(n, notify=True), 0.0)
        send(one)
        self.assertEqual([item.s for item in written(one)], [1, 2, 3])
        one.detach(1.0)
        one.push(b"news", False)
        self.assertTrue(one.attach("other", "key", seen=2))
        self.assertEqual(
            [(item.s, say(item)) for item in written(one)],
            [(3, "receipt 3 sent"), (4, "push: news")],
        )
        self.assertEqual(one.generation, 2)

    def test_lossy(self) -> None:
        """Pushes that had to go are named, until the browser has seen what came after them."""
        one = attached()
        one.detach(1.0)
        for i in range(6):
            one.push(b"%d" % i, False)
        self.assertFalse(one.attach("other", "key", seen=0))
        self.assertEqual(one.outbox.lost, [[1, 2]])
        self.assertFalse(one.attach("other", "key", seen=1))
        self.assertEqual(one.outbox.lost, [[2, 2]])
        self.assertTrue(one.attach("other", "key", seen=2))
        self.assertEqual(told(one), [f"push: {i}" for i in range(2, 6)])

    def test_seen_what_never_was(self) -> None:
        """A browser that claims more than was ever sent is wrong, and changes nothing."""
        one = attached()
        one.push(b"news", False)
        error = self.assertRaises(BadMessage, one.attach, "other", "key", 2)
        self.assertEqual(str(error), "2 seen of 1")
        self.assertEqual((one.generation, one.knows_key("other"), len(one.outbox)), (1, False, 1))

    def test_the_newest_socket_wins(self) -> None:
        """A second socket begins where the browser stands, whatever the first was told."""
        one = attached()
        one.push(b"a", False)
        self.assertEqual(told(one), ["push: a"])
        one.attach("other", "key")
        self.assertEqual((told(one), one.generation), (["push: a"], 2))

    def test_how_long_it_waits(self) -> None:
        """A session waits ``ttl`` for its browser, from the beginning and from each loss."""
        one = session()
        self.assertEqual((one.is_over(119.9), one.is_over(120.0)), (False, True))
        one.attach("key")
        self.assertFalse(one.is_over(10_000.0))
        one.detach(500.0)
        self.assertEqual((one.is_over(619.9), one.is_over(620.0)), (False, True))
        self.assertEqual(one.wake_at, 620.0)

    def test_a_ttl_of_nothing(self) -> None:
        """With ``ttl`` 0 it goes with its socket."""
        one = attached(ttl=0.0)
        one.detach(7.0)
        self.assertTrue(one.is_over(7.0))


class MessageTests(SynchronousTestCase):
    """From the browser to the link and back."""

    def test_a_request(self) -> None:
        """It waits for the link, is sent once, and its result is told once."""
        one = attached()
        one.take(message(1, b"what?"), 0.0)
        self.assertTrue(bool(one.ledger.waiting))
        (entry,) = send(one)
        self.assertEqual((bool(one.ledger.waiting), told(one), send(one)), (False, [], []))
        one.answered(entry, b"that", False, True)
        self.assertEqual((told(one), told(one)), (["result 1: that"], []))

    def test_a_notification(self) -> None:
        """Its outcome is that it was sent."""
        one = attached()
        one.take(message(1, notify=True), 0.0)
        self.assertEqual(told(one), [])
        send(one)
        self.assertEqual(told(one), ["receipt 1 sent"])

    def test_what_a_result_says(self) -> None:
        """Its type, and what the backend thinks of it, go along."""
        one = attached()
        one.take(message(1), 0.0)
        one.answered(send(one)[0], b"\xff", True, False)
        (item,) = written(one)
        self.assertEqual((item.payload, item.is_binary, item.ok), (b"\xff", True, False))

    def test_numbers(self) -> None:
        """A new number that is not the next one is an error, and changes nothing."""
        budget = roomy()
        one = attached(budget)
        one.take(message(1), 0.0)
        self.assertRaises(BadMessage, one.take, message(3), 0.0)
        self.assertEqual((one.ledger.highest, budget.messages), (1, 1))

    def test_too_large(self) -> None:
        """A payload above the limit is never sent; at the limit it is."""
        one = attached()
        one.take(message(1, b"x" * 501), 0.0)
        one.take(message(2, b"x" * 500), 0.0)
        self.assertEqual(told(one), ["error 1 TOO_LARGE"])
        self.assertEqual([entry.n for entry in send(one)], [2])

    def test_no_room_at_the_tenant(self) -> None:
        """A message that comes while the tenant is full is refused, and takes no room."""
        budget = Budget(ROOMY, 1000)
        one = attached(budget)
        budget.change(0, 1000)
        self.assertFalse(one.take(message(1, b"12345"), 0.0))
        self.assertEqual((told(one), bool(one.ledger.waiting)), (["error 1 OVER_BUDGET"], False))
        one.acknowledge(1)
        self.assertEqual((budget.messages, budget.bytes), (0, 1000))

    def test_outcomes_that_pile_up(self) -> None:
        """A browser that acknowledges nothing at all is wrong, in the end: they take room."""
        one = attached()
        most = 2 * TERMS.window + MOST_ASIDES
        for n in range(1, most + 2):
            one.take(message(n, notify=True), 0.0)
            send(one)
        error = self.assertRaises(BadMessage, one.take, message(most + 2, notify=True), 0.0)
        self.assertIn("not acknowledged", str(error))
        one.acknowledge(1)
        one.take(message(most + 2, notify=True), 0.0)
        self.assertEqual(one.ledger.highest, most + 2)

    def test_whether_there_is_anything_to_write(self) -> None:
        """Something new, something said again, or an acknowledgement that is due."""
        one = attached()
        news = [one.has_news()]
        for n in range(1, ACK_EVERY + 1):
            one.take(message(n), 0.0)
        news.append(one.has_news())
        one.ack_to_tell()
        news.append(one.has_news())
        one.take(message(1), 0.0)
        news.append(one.has_news())
        written(one)
        news.append(one.has_news())
        one.push(b"news", False)
        news.append(one.has_news())
        written(one)
        news.append(one.has_news())
        self.assertEqual(news, [False, True, False, True, False, True, False])

    def test_pushes(self) -> None:
        """What the backend says on its own is told, with its type."""
        one = attached()
        one.push(b"\xff", True)
        (item,) = written(one)
        self.assertEqual(
            (item.s, item.payload, item.is_binary, item.entry), (1, b"\xff", True, None)
        )


class RepeatTests(SynchronousTestCase):
    """The same number again: the table of docs/wire.md."""

    def test_the_message_without_an_outcome(self) -> None:
        """A receipt that says how far it is, without a number and not kept."""
        one = attached()
        one.take(message(1), 0.0)
        one.take(message(1), 0.0)
        self.assertEqual(
            [(item.s, say(item)) for item in written(one)], [(0, "receipt 1 accepted")]
        )
        send(one)
        one.take(message(1), 0.0)
        one.take(message(1), 0.0)
        self.assertEqual(
            [(item.s, say(item)) for item in written(one)], [(0, "receipt 1 sent")] * 2
        )
        self.assertEqual((len(one.outbox), bool(one.ledger.waiting)), (0, False))

    def test_the_outcome(self) -> None:
        """If it is not acknowledged yet, the same outcome comes again, under the same number."""
        one = attached()
        one.take(message(1), 0.0)
        one.answered(send(one)[0], b"yes", False, True)
        first = written(one)
        one.take(message(1), 0.0)
        self.assertEqual(written(one), first)

    def test_an_outcome_that_is_on_its_way(self) -> None:
        """It does not overtake what comes before it: a browser says `ack` for all up to it."""
        one = attached()
        one.push(b"before", False)
        one.take(message(1), 0.0)
        one.answered(send(one)[0], b"yes", False, True)
        one.take(message(1), 0.0)
        self.assertEqual([item.s for item in written(one)], [1, 2])
        one.attach("other", "key")
        one.take(message(1), 0.0)
        self.assertEqual([item.s for item in written(one)], [1, 2])

    def test_acknowledged(self) -> None:
        """Nothing."""
        one = attached()
        one.take(message(1), 0.0)
        one.answered(send(one)[0], b"yes", False, True)
        written(one)
        one.acknowledge(1)
        one.take(message(1), 0.0)
        one.take(message(1, b"another"), 0.0)
        self.assertEqual((told(one), bool(one.ledger.waiting)), ([], False))

    def test_another_payload(self) -> None:
        """An error without a number, at every stage; the first message goes on as if nothing had
        been."""
        one = attached()
        one.take(message(1, b"one"), 0.0)
        others = [
            message(1, b"two"),
            message(1, b"one", binary=True),
            message(1, b"one", notify=True),
        ]
        entry = one.ledger.entries[1]
        steps = [
            (lambda: None, []),
            (lambda: send(one), []),
            (lambda: one.answered(entry, b"yes", False, True), ["result 1: yes"]),
        ]
        for step, outcome in steps:
            step()
            self.assertEqual(told(one), outcome)
            for other in others:
                one.take(other, 0.0)
                self.assertEqual(
                    [(item.s, say(item)) for item in written(one)], [(0, "error 1 REUSED_ID")]
                )

    def test_only_so_many(self) -> None:
        """What is said of repeated messages waits for the socket up to a limit, and dies with
        it."""
        one = attached()
        one.take(message(1), 0.0)
        one.take(message(2), 0.0)
        for _ in range(MOST_ASIDES):
            one.take(message(1), 0.0)
        one.take(message(2), 0.0)
        one.push(b"last", False)
        said = told(one)
        self.assertEqual(len(said), MOST_ASIDES + 1)
        self.assertEqual(said[-2:], ["receipt 2 accepted", "push: last"])
        one.take(message(1), 0.0)
        one.attach("other", "key", 1)
        one.take(message(1), 0.0)
        one.detach(1.0)
        one.take(message(1), 1.0)  # cannot be; and would be said to nobody
        one.attach("other", "key", 1)
        self.assertEqual(told(one), [])


class AckTests(SynchronousTestCase):
    """Acknowledgements, both ways."""

    def test_what_was_never_sent(self) -> None:
        """A browser cannot have what it was never sent."""
        one = attached()
        one.push(b"a", False)
        written(one)
        one.acknowledge(1)
        error = self.assertRaises(BadMessage, one.acknowledge, 2)
        self.assertEqual(str(error), "2 acknowledged of 1")

    def test_forgotten(self) -> None:
        """What the browser has is forgotten, and its room given back."""
        budget = roomy()
        one = attached(budget)
        one.take(message(1, b"12345"), 0.0)
        one.take(message(2, b"12345"), 0.0)
        one.answered(send(one)[0], b"yes", False, True)
        self.assertEqual(budget.messages, 2)
        one.acknowledge(1)
        self.assertEqual((list(one.ledger.entries), budget.messages, budget.bytes), ([2], 1, 5))

    def test_on_the_next_frame(self) -> None:
        """The number stands once on whatever goes out next; then there is nothing to tell."""
        one = attached()
        self.assertEqual(one.ack_to_tell(), 0)
        one.take(message(1), 0.0)
        one.take(message(2), 0.0)
        self.assertEqual([one.ack_to_tell(), one.ack_to_tell()], [2, 0])
        self.assertFalse(one.is_ack_due(99.0))

    def test_alone_after_a_while(self) -> None:
        """`ACK_WITHIN` after the first message that nothing has told of."""
        one = attached()
        one.take(message(1), 5.0)
        one.take(message(2), 5.5)
        self.assertEqual(one.wake_at, 5.0 + ACK_WITHIN)
        self.assertEqual([one.is_ack_due(at) for at in (5.9, 6.0)], [False, True])
        one.ack_to_tell()
        one.take(message(3), 6.0)
        self.assertEqual([one.is_ack_due(at) for at in (6.9, 7.0)], [False, True])

    def test_alone_after_so_many(self) -> None:
        """The `ACK_EVERY`-th message makes it due at once."""
        one = attached()
        for n in range(1, ACK_EVERY):
            one.take(message(n), 0.0)
        self.assertFalse(one.is_ack_due(0.0))
        one.take(message(ACK_EVERY), 0.0)
        self.assertTrue(one.is_ack_due(0.0))
        one.take(message(ACK_EVERY + 1), 0.0)
        self.assertEqual((one.ack_to_tell(), one.is_ack_due(99.0)), (ACK_EVERY + 1, False))

    def test_due_and_no_room(self) -> None:
        """While the socket takes nothing a due acknowledgement stays due, and wakes nobody."""
        one = attached()
        one.take(message(1), 0.0)
        one.wake(ACK_WITHIN)
        self.assertEqual((one.is_ack_due(ACK_WITHIN), one.wake_at), (True, 30.0))
        for n in range(2, 2 * ACK_EVERY):
            one.take(message(n), ACK_WITHIN)
        self.assertEqual((one.is_ack_due(ACK_WITHIN), one.wake_at), (True, 30.0))

    def test_a_socket_that_comes_knows(self) -> None:
        """`welcome` says it all; and nobody is told where there is no socket."""
        one = attached()
        one.take(message(1), 0.0)
        one.attach("other", "key")
        self.assertEqual((one.ack_to_tell(), one.is_ack_due(99.0)), (0, False))
        one.take(message(2), 0.0)
        one.detach(0.5)
        self.assertFalse(one.is_ack_due(99.0))
        for n in range(3, 3 + ACK_EVERY):
            one.attach("other", "key")
            one.take(message(n), 1.0)
        self.assertFalse(one.is_ack_due(1.0))

    def test_a_dialect_without(self) -> None:
        """Where nothing is kept nothing is acknowledged: writing it is the end of it."""
        budget = roomy()
        one = attached(budget, keeps=False)
        for n in range(1, 3 * ACK_EVERY):
            one.take(message(n, own_id=n), 0.0)
            one.answered(send(one)[0], b"yes", False, True)
            self.assertEqual(told(one), [f"result {n}: yes"])
        self.assertEqual((one.is_ack_due(99.0), one.wake_at), (False, 30.0))
        self.assertEqual((len(one.ledger.entries), budget.messages, budget.bytes), (0, 0, 0))


class LinkTests(SynchronousTestCase):
    """Links come and go."""

    def test_what_the_link_had(self) -> None:
        """A broken link leaves an outcome unknown, except that of what may be sent again."""
        one = attached()
        for n, safe in ((1, False), (2, True), (3, False)):
            one.take(message(n, safe=safe), 0.0)
        one.next_for_link(0.0)
        self.assertEqual([entry.n for entry in send(one)], [2, 3])
        one.take(message(4), 0.0)
        items = one.link_lost(1.0)
        self.assertEqual(
            [say(item) for item in items], ["error 1 OUTCOME_UNKNOWN", "error 3 OUTCOME_UNKNOWN"]
        )
        self.assertEqual(told(one), ["error 1 OUTCOME_UNKNOWN", "error 3 OUTCOME_UNKNOWN"])
        one.link_up()
        again = [one.next_for_link(1.0), one.next_for_link(1.0)]
        self.assertEqual(
            [(entry.n, entry.payload) for entry in again if entry], [(2, b"{}"), (4, b"{}")]
        )
        self.assertIsNone(one.next_for_link(1.0))

    def test_a_notification_is_over_when_sent(self) -> None:
        """It is not sent again, safe or not: its outcome has been told."""
        one = attached()
        one.take(message(1, notify=True, safe=True), 0.0)
        send(one)
        self.assertEqual(one.link_lost(1.0), [])
        self.assertEqual((told(one), bool(one.ledger.waiting)), (["receipt 1 sent"], False))

    def test_no_link_in_time(self) -> None:
        """Messages wait ``grace`` for a link that is away; then they, and those that come later,
        fail at once, until there is one."""
        one = attached()
        one.link_lost(100.0)
        one.take(message(1, deadline=500.0), 101.0)
        one.ack_to_tell()
        self.assertEqual(one.wake_at, 110.0)
        one.wake(109.9)
        self.assertEqual(told(one), [])
        one.wake(110.0)
        one.take(message(2, deadline=500.0), 111.0)
        self.assertEqual(told(one), ["error 1 BACKEND_DOWN", "error 2 BACKEND_DOWN"])
        self.assertEqual(one.wake_at, 500.0)
        one.link_up()
        one.take(message(3, deadline=500.0), 112.0)
        self.assertEqual([entry.n for entry in send(one, 112.0)], [3])

    def test_the_first_link(self) -> None:
        """For the first one they wait as long as a dial may take, if that is longer."""
        for grace, first_grace, until in ((10.0, 5.0, 10.0), (0.0, 5.0, 5.0)):
            one = session(grace=grace, first_grace=first_grace)
            one.attach("key")
            one.take(message(1), 0.0)
            one.wake(until - 0.1)
            self.assertTrue(bool(one.ledger.waiting))
            one.wake(until)
            self.assertEqual(told(one), ["error 1 BACKEND_DOWN"])

    def test_a_grace_of_nothing(self) -> None:
        """With ``link_grace`` 0 what may be sent again fails, too, when it is looked at."""
        one = attached(grace=0.0)
        one.take(message(1, safe=True), 0.0)
        send(one)
        self.assertEqual(one.link_lost(5.0), [])
        one.ack_to_tell()
        self.assertEqual(one.wake_at, 5.0)
        one.wake(5.0)
        self.assertEqual(told(one), ["error 1 OUTCOME_UNKNOWN"])

    def test_what_was_sent_once_may_have_been_done(self) -> None:
        """What waits to be sent again is never said to have been left undone."""
        one = attached(grace=10.0)
        for n, deadline in ((1, 3.0), (2, 4.0), (3, 50.0), (4, 3.0), (5, 50.0)):
            one.take(message(n, safe=True, deadline=deadline), 0.0)
            if n == 3:
                self.assertEqual([entry.n for entry in send(one)], [1, 2, 3])
        one.link_lost(1.0)
        one.take(message(3, safe=True, deadline=50.0), 2.0)
        self.assertEqual(told(one), ["receipt 3 sent"])
        one.wake(3.0)
        self.assertEqual(told(one), ["error 1 TIMEOUT", "error 4 EXPIRED"])
        one.link_up()
        self.assertEqual([entry.n for entry in send(one, 4.0)], [3, 5])
        self.assertEqual(told(one), ["error 2 TIMEOUT"])
        one.link_lost(5.0)
        one.take(message(6, deadline=50.0), 5.0)
        one.wake(15.0)
        self.assertEqual(
            told(one),
            ["error 3 OUTCOME_UNKNOWN", "error 5 OUTCOME_UNKNOWN", "error 6 BACKEND_DOWN"],
        )


class TimeTests(SynchronousTestCase):
    """Deadlines."""

    def test_expired(self) -> None:
        """What is too late before it is sent is never sent: found when pulled, or when woken."""
        one = attached()
        for n, deadline in ((1, 5.0), (2, 9.0), (3, 5.0), (4, 5.0)):
            one.take(message(n, deadline=deadline), 0.0)
        self.assertEqual([entry.n for entry in send(one, 5.0)], [2])
        self.assertEqual(told(one), [f"error {n} EXPIRED" for n in (1, 3, 4)])
        one.take(message(5, deadline=6.0), 5.0)
        self.assertEqual(one.wake(6.0), [])
        self.assertEqual((told(one), bool(one.ledger.waiting)), (["error 5 EXPIRED"], False))

    def test_no_time_at_all(self) -> None:
        """A message whose time is over as it comes is not sent."""
        one = attached()
        one.take(message(1, deadline=7.0), 7.0)
        self.assertEqual(one.wake_at, 7.0)
        self.assertEqual((send(one, 7.0), told(one)), ([], ["error 1 EXPIRED"]))

    def test_timeout(self) -> None:
        """What was sent and is not answered in time; the link need not remember it."""
        one = attached()
        one.take(message(1, deadline=5.0), 0.0)
        one.take(message(2, deadline=8.0), 0.0)
        entries = send(one)
        one.ack_to_tell()
        self.assertEqual((one.wake_at, one.wake(4.9)), (5.0, []))
        self.assertEqual(one.wake(5.0), entries[:1])
        self.assertEqual((told(one), one.wake_at), (["error 1 TIMEOUT"], 8.0))
        one.answered(entries[1], b"yes", False, True)
        self.assertEqual((one.wake_at, one.wake(8.0), one.wake_at), (8.0, [], inf))

    def test_a_later_message_with_less_time(self) -> None:
        """The earliest deadline wakes, whichever message's it is."""
        one = attached()
        one.take(message(1, deadline=20.0), 0.0)
        one.take(message(2, deadline=10.0), 0.0)
        one.take(message(3, deadline=15.0), 0.0)
        one.ack_to_tell()
        self.assertEqual(one.wake_at, 10.0)

    def test_which_comes_first(self) -> None:
        """It wakes for the earliest of: an acknowledgement, a deadline, the grace, the end."""
        one = session(ttl=40.0, grace=20.0)
        self.assertEqual(one.wake_at, 40.0)
        one.attach("key")
        self.assertEqual(one.wake_at, inf)
        one.take(message(1, deadline=30.0), 0.0)
        self.assertEqual(one.wake_at, ACK_WITHIN)
        one.ack_to_tell()
        self.assertEqual(one.wake_at, 20.0)
        one.link_up()
        self.assertEqual(one.wake_at, 30.0)
        one.detach(1.0)
        self.assertEqual(one.wake_at, 30.0)
        one.fail(one.ledger.entries[1], Outcome.BAD_MESSAGE)
        one.wake(30.0)
        self.assertEqual(one.wake_at, 41.0)
        one.link_lost(2.0)
        self.assertEqual(one.wake_at, 41.0)

    def test_all_goes_on_as_it_was(self) -> None:
        """There is room, and nothing to wake for before the instant when it will wake anyway."""
        one = session(window=3, keeps=False)
        one.attach("")
        takes = [one.take(message(1, deadline=30.0), 0.0, 30.0)]  # it waits for a link
        one.link_up()
        takes += [
            one.take(message(2, deadline=30.0), 0.0, 30.0),
            one.take(message(2, deadline=30.0), 0.0, 30.0),  # again
            one.take(message(3, deadline=29.0), 0.0, 30.0),
            one.take(message(4, deadline=29.0), 0.0, 29.0),  # no room
        ]
        self.assertEqual(takes, [False, True, False, False, False])
        one = attached()
        takes = [
            one.take(message(1, deadline=30.0), 0.0, ACK_WITHIN + 0.1),
            one.take(message(2, deadline=30.0), 0.5, ACK_WITHIN),
        ]
        self.assertEqual(takes, [False, True])

    def test_the_grace_alone(self) -> None:
        """Nothing else need be due for the grace to wake."""
        one = session(grace=20.0)
        one.attach("key")
        one.take(message(1, deadline=1.0, safe=True), 0.0)
        one.ack_to_tell()
        one.wake(0.5)
        self.assertEqual(one.wake_at, 1.0)


class PressureTests(SynchronousTestCase):
    """Who is read."""

    def test_the_window(self) -> None:
        """A browser is read until it has more than ``window`` messages without an outcome."""
        one = attached()
        for n in range(1, TERMS.window + 1):
            one.take(message(n), 0.0)
            self.assertTrue(one.may_read_browser)
        one.take(message(TERMS.window + 1), 0.0)
        self.assertFalse(one.may_read_browser)
        one.answered(send(one)[0], b"", False, True)
        self.assertTrue(one.may_read_browser)

    def test_the_window_in_bytes(self) -> None:
        """Or more than ``window_bytes``; but one message is always allowed."""
        one = attached(max_message=5000)
        one.take(message(1, b"x" * 3000), 0.0)
        self.assertTrue(one.may_read_browser)
        one.take(message(2), 0.0)
        self.assertFalse(one.may_read_browser)

    def test_a_full_tenant(self) -> None:
        """While the tenant is full nobody is read who has something under way."""
        budget = Budget(ROOMY, 1000)
        one = attached(budget)
        one.take(message(1), 0.0)
        one.take(message(2), 0.0)
        self.assertTrue(one.may_read_browser)
        budget.change(0, 1000)
        self.assertFalse(one.may_read_browser)
        one.fail(one.ledger.entries[1], Outcome.BAD_MESSAGE)
        self.assertTrue(one.may_read_browser)

    def test_room_everywhere(self) -> None:
        """There is, unless something of it is full: then it has to be looked at what."""
        for fill in (
            lambda one, _: [one.take(message(n), 0.0) for n in range(1, 11)],
            lambda one, _: [one.take(message(n, b"x" * 500), 0.0) for n in range(1, 6)],
            lambda one, _: one.push(b"x" * TERMS.window_bytes, False),
            lambda _, budget: budget.change(0, 9000),
        ):
            budget = Budget(ROOMY, 9000)
            one = attached(budget, window=9)
            self.assertTrue(one.has_room())
            fill(one, budget)
            self.assertFalse(one.has_room())

    def test_its_own_link(self) -> None:
        """A link that is this session's alone is read while there is room for what it brings."""
        one = attached(own_link=True)
        self.assertTrue(one.may_read_link)
        one.push(b"x" * 2000, False)
        self.assertFalse(one.may_read_link)
        one.acknowledge(1)
        self.assertTrue(one.may_read_link)

    def test_a_tenant_full_of_questions(self) -> None:
        """Answers are read though the tenant is full: they are what makes room."""
        budget = Budget(3, ROOMY)
        one = attached(budget, own_link=True)
        for n in (1, 2, 3):
            one.take(message(n), 0.0)
        first, second, third = send(one)
        one.answered(first, b"yes", False, True)
        self.assertTrue(budget.is_full)
        self.assertTrue(one.may_read_link)
        one.answered(second, b"yes", False, True)
        one.answered(third, b"x" * 2000, False, True)
        self.assertFalse(one.may_read_link)  # its own room is used up
        self.assertTrue(one.may_read_browser)  # its acknowledgements come this way
        one.acknowledge(3)
        self.assertTrue(one.may_read_link)

    def test_a_full_tenant_and_nobody_there(self) -> None:
        """For a browser that is away a full tenant's link is not read beyond one answer."""
        budget = Budget(3, ROOMY)
        one = attached(budget, own_link=True)
        for n in (1, 2, 3):
            one.take(message(n), 0.0)
        first, *_ = send(one)
        one.detach(1.0)
        self.assertTrue(one.may_read_link)
        one.answered(first, b"yes", False, True)
        self.assertFalse(one.may_read_link)


class EndTests(SynchronousTestCase):
    """The end, for good."""

    def test_everything_is_given_back(self) -> None:
        """Whatever was held is no longer; it is said how many messages have no outcome."""
        for detached in (False, True):
            budget = roomy()
            one = attached(budget)
            for n in range(1, 6):
                one.take(message(n, b"12345", safe=n == 2), 0.0)
            one.next_for_link(0.0)
            one.answered(one.ledger.entries[1], b"yes", False, True)
            send(one)
            one.push(b"news", False)
            one.take(message(2, b"12345"), 0.0)
            if detached:
                one.detach(0.5)
            self.assertEqual(one.end(), 4)
            self.assertEqual((budget.messages, budget.bytes), (0, 0))
            self.assertEqual((told(one), bool(one.ledger.waiting)), ([], False))

    def test_nothing_wakes_it(self) -> None:
        """No timer is needed for what has ended, whatever it was waiting for."""
        one = attached()
        one.take(message(1), 0.0)
        one.link_lost(0.0)
        one.end()
        self.assertEqual(one.wake_at, inf)
        one.link_lost(1.0)
        self.assertEqual((one.wake_at, one.wake(1000.0), one.is_over(1000.0)), (inf, [], False))

    def test_kinds_of_what_is_told(self) -> None:
        """A failure of each kind has its code and its words."""
        for outcome in Outcome:
            one = attached()
            one.take(message(1), 0.0)
            item = one.fail(one.ledger.entries[1], outcome)
            self.assertEqual((item.kind, item.code), (ERROR, outcome.value))
            self.assertEqual(written(one), [item])
            self.assertIsNot(item.kind, RECEIPT)
