"""The audit finds what it is there to find, and nothing else."""

from __future__ import annotations

from typing import Any
from unittest import TestCase

from attrs import evolve

from tests.faults.audit import audit, tally
from tests.faults.books import Book, Message, Outcome, Wish
from tests.faults.evidence import Evidence
from tests.faults.proxy import Trouble

RESULT = Outcome("result", serial=7, at=11.0)


class AuditTests(TestCase):
    """A browser with one session that began at 1, and an engine with two links, up since 0."""

    def setUp(self) -> None:
        self.book = Book("3")
        self.session = self.book.begin(1.0, "SID")
        self.events: list[dict[str, Any]] = []
        self.troubles: list[Trouble] = []
        for number in (1, 2):
            self.note("up", 0.0, f"e1/{number}", port=1000 + number)

    def note(self, event: str, at: float, link: str = "e1/1", **fields: Any) -> None:
        self.events.append({"e": event, "t": at, "link": link, **fields})

    def got(self, n: int, at: float, link: str = "e1/1", **fields: Any) -> None:
        defaults = {"sid": "SID", "key": f"SID.{n}", "ttl": 5000, "late": False}
        self.note("got", at, link, id=f"3.1-{n}", **{**defaults, **fields})

    def wrote(self, n: int, at: float, link: str = "e1/1", serial: int = 7) -> None:
        self.note("tries", at, link, id=f"3.1-{n}", serial=serial)
        self.note("wrote", at, link, id=f"3.1-{n}", serial=serial, on_time=True)

    def handed(self, n: int = 1, outcome: Outcome | None = RESULT, **wish: Any) -> Message:
        wished = Wish(**{"ttl": 5.0, **wish})
        message = Message(wished.order("3.1", n), wished, n, 10.0, outcome)
        self.book.messages.append(message)
        return message

    def found(self) -> list[str]:
        return audit(Evidence([self.book], self.events, self.troubles))

    def assert_found(self, *parts: str) -> None:
        """Exactly one line was found, with these words in it."""
        (line,) = self.found()
        for part in parts:
            self.assertIn(part, line)

    def test_nothing(self) -> None:
        """A run in which all is well."""
        self.handed()
        self.handed(2, Outcome("receipt", "sent", at=11), wants_result=False)
        self.got(1, 10.1)
        self.got(2, 10.2)
        self.wrote(1, 10.3)
        self.session.pushes = [5]
        self.note("push", 10.2, label="3.1", serial=5)
        self.assertEqual(self.found(), [])
        self.assertIn("2: 1 result, 1 sent", tally(Evidence([self.book], self.events))[0])

    def test_complaints(self) -> None:
        """What a browser noticed itself is found."""
        self.book.complain("something came twice")
        self.assert_found("browser 3: something came twice")

    def test_two_outcomes(self) -> None:
        """A message ends once."""
        self.book.settle(self.handed(), Outcome("error", "TIMEOUT", at=15))
        self.got(1, 10.1)
        self.wrote(1, 10.2)
        self.assert_found("3.1-1 ends as TIMEOUT after it had ended as result")

    def test_no_outcome(self) -> None:
        """A message ends."""
        self.handed(outcome=None)
        self.assert_found("3.1-1 (answer) has no outcome")

    def test_no_outcome_with_its_session(self) -> None:
        """A session that ended takes along what had no outcome."""
        self.handed(outcome=None)
        self.book.end(20.0, "its socket")
        self.assertEqual(self.found(), [])

    def test_unanswered(self) -> None:
        """A ping is answered in time on a socket that nothing holds up."""
        self.book.unanswered = [(20.0, 4001)]
        self.assert_found("browser 3: a ping was not answered", "held up for 0.00 s")
        for trouble, count in (
            (Trouble((4001, 2), "stall", 18.0, 19.2), 0),
            (Trouble((4001, 2), "stall", 19.0, 19.4), 1),  # short
            (Trouble((4001, 2), "stall", 15.0, 17.4), 1),  # long ago
            (Trouble((4002, 2), "stall", 18.0, 19.2), 1),  # of another one
            (Trouble((4001, 2), "half", 15.0, 15.0), 0),
            (Trouble((4001, 2), "ended", 19.9, 19.9), 1),  # by the browser
        ):
            evidence = Evidence([self.book], self.events, browser_troubles=[trouble])
            self.assertEqual(len(audit(evidence)), count, trouble)
        for pauses, slack, count in ((((18.0, 19.2),), 0.0, 0), ((), 1.1, 0), ((), 0.5, 1)):
            evidence = Evidence([self.book], self.events, pauses=pauses, slack=slack)
            self.assertEqual(len(audit(evidence)), count)

    def test_delivered_twice(self) -> None:
        """What may not be repeated comes once, on whatever link."""
        self.handed()
        self.got(1, 10.1)
        self.got(1, 10.2, "e1/2")
        self.wrote(1, 10.3)
        self.assert_found("3.1-1 came to an engine 2 times: on e1/1, e1/2")

    def test_safe_twice(self) -> None:
        """What may be repeated may come again, under the same key."""
        self.handed(is_safe=True)
        self.got(1, 10.1)
        self.got(1, 10.2, "e1/2")
        self.wrote(1, 10.3)
        self.assertEqual(self.found(), [])
        self.got(1, 10.4, "e1/2", key="SID.2")
        self.assertIn("came with the keys", " ".join(self.found()))

    def test_not_done_but_done(self) -> None:
        """What is said not to have been done has never come to an engine."""
        for code in ("EXPIRED", "BACKEND_DOWN", "BAD_MESSAGE", "REUSED_ID"):
            self.setUp()
            self.handed(outcome=Outcome("error", code, at=15.0))
            self.got(1, 10.1)
            self.assert_found(f"3.1-1 ended as {code}, but it came to an engine")

    def test_invented_result(self) -> None:
        """A result is one that the engine wrote for this message."""
        self.handed()
        self.got(1, 10.1)
        self.wrote(1, 10.2, serial=8)
        self.assert_found("3.1-1 has result 7, and the engine wrote {8}")

    def test_unknown_without_a_break(self) -> None:
        """Nothing is unknown as long as the links are whole."""
        self.handed(outcome=Outcome("error", "OUTCOME_UNKNOWN", at=11))
        self.got(1, 10.1)
        self.assert_found("though no link broke")
        self.note("down", 8.0, "e1/2", how="broken")
        self.assert_found("though no link broke")
        self.events[-1]["t"] = 10.5
        self.assertEqual(self.found(), [])
        self.events.pop()
        # One that the proxy took, and the engine refused, never came to the engine's ledger.
        self.troubles = [Trouble((7777, 0), "ended", 10.6, 10.6)]
        self.assertEqual(self.found(), [])

    def test_notification_lost_without_a_break(self) -> None:
        """What was sent comes, as long as the links are whole."""
        self.handed(outcome=Outcome("receipt", "sent", at=11), wants_result=False)
        self.assert_found("told as sent, and never came")

    def test_early(self) -> None:
        """Nobody's time is over before it is over."""
        self.handed(outcome=Outcome("error", "TIMEOUT", at=14.0))
        self.got(1, 10.1)
        self.assert_found("3.1-1 ended as TIMEOUT 1.00 s before its time was over")

    def test_late(self) -> None:
        """When a message's time is over its browser is told, if it is there."""
        message = self.handed(outcome=Outcome("error", "TIMEOUT", at=18.0))
        self.got(1, 10.1)
        self.assertEqual(self.found(), [])  # it was not there all the while
        self.book.sockets = [(2.0, 12.0), (12.5, 20.0)]
        self.assertEqual(self.found(), [])
        self.book.sockets = [(2.0, 20.0)]
        self.assert_found("3.1-1 ended as TIMEOUT 3.0 s after its time")
        self.book.ports = [(1.0, 20.0, 4001)]
        stalls = [
            Trouble((port, 2), "stall", start, start + 1.4)
            for port, start in ((4001, 10.0), (4001, 16.5), (4002, 16.5))
        ]
        for troubles, count in ((stalls, 0), (stalls[:1], 1), (stalls[::2], 1)):
            evidence = Evidence([self.book], self.events, browser_troubles=troubles)
            self.assertEqual(len(audit(evidence)), count)
        message.again = 1
        self.assertEqual(self.found(), [])

    def test_result_lost(self) -> None:
        """An answer on an unbroken link has to come, if it is in time and not about to break."""
        self.handed(outcome=Outcome("error", "TIMEOUT", at=15.1))
        self.got(1, 10.1)
        self.wrote(1, 12.0)
        self.assert_found("3.1-1 ended as TIMEOUT, but was answered on e1/1, 3.00 s before")
        for trouble in (
            Trouble((1001, 2), "reset", 12.5, 12.5),
            Trouble((1001, 2), "half", 11.5, 11.5),
            Trouble((1001, 2), "ended", 12.2, 12.2),
            Trouble((1001, 2), "stall", 11.9, 14.8),
        ):
            self.troubles = [trouble]
            self.assertEqual(self.found(), [], trouble)
        for trouble in (
            Trouble((1002, 2), "reset", 12.5, 12.5),  # of the other link
            Trouble((1001, 2), "cut", 14.0, 14.0),  # long afterwards
            Trouble((1001, 2), "stall", 11.9, 12.5),  # over early enough
            Trouble((1001, 2), "stall", 12.4, 16.0),  # it had passed before
        ):
            self.troubles = [trouble]
            self.assertEqual(len(self.found()), 1, trouble)

    def test_nothing_was_carried(self) -> None:
        """While the proxies themselves were held up, nothing arrived."""
        self.handed(outcome=Outcome("error", "TIMEOUT", at=15.1))
        self.got(1, 10.1)
        self.wrote(1, 12.0)
        for pauses, count in (((), 1), (((11.9, 14.8),), 0), (((11.9, 12.5),), 1)):
            evidence = Evidence([self.book], self.events, pauses=pauses)
            self.assertEqual(len(audit(evidence)), count)

    def test_a_slow_machine(self) -> None:
        """What the gateway takes for anything at all it may take for an answer, too."""
        self.handed(outcome=Outcome("error", "TIMEOUT", at=15.1))
        self.got(1, 10.1)
        self.wrote(1, 13.0)
        for slack, count in ((0.0, 1), (1.4, 1), (1.6, 0)):
            self.assertEqual(len(audit(Evidence([self.book], self.events, slack=slack))), count)

    def test_answered_while_it_hung(self) -> None:
        """An engine that reads nothing may have been given up, and not know it."""
        self.handed(outcome=Outcome("error", "TIMEOUT", at=15.1))
        self.got(1, 10.1)
        self.wrote(1, 12.0)
        self.note("hang", 11.5, until=12.5, name="e2")
        self.assertEqual(len(self.found()), 1)
        self.events[-1]["name"] = "e1"
        self.assertEqual(self.found(), [])

    def test_result_lost_with_an_orderly_end(self) -> None:
        """An engine that ends in good order has its answers delivered; a killed one may not."""
        self.handed(outcome=Outcome("error", "OUTCOME_UNKNOWN", at=12.3))
        self.got(1, 10.1)
        self.wrote(1, 12.0)
        self.note("down", 12.2, how="ended")
        self.assertEqual(self.found(), [])
        self.note("end", 12.1)
        self.assert_found("3.1-1 ended as OUTCOME_UNKNOWN, but was answered on e1/1")
        self.note("break", 12.15)
        self.assertEqual(self.found(), [])
        del self.events[-3:]
        self.note("killed", 12.1, name="e1")
        self.assertEqual(self.found(), [])

    def test_order(self) -> None:
        """What was handed over first comes first."""
        for n in (1, 2, 3):
            self.handed(n)
            self.wrote(n, 10.9)
        self.got(1, 10.1)
        self.got(3, 10.2)
        self.got(2, 10.3)
        self.assertEqual(len(self.found()), 2)  # on the link, and in time
        self.events[-1]["link"] = "e1/2"
        self.assert_found(
            "3.1-2, a request which ended as result, came on e1/2 0.10 s after 3.1-3 on e1/1"
        )
        self.events[-1]["late"] = True
        self.assertEqual(self.found(), [])
        self.events[-1]["late"] = False
        self.troubles = [Trouble((1002, 2), "ended", 10.2, 10.2)]
        self.assertEqual(self.found(), [])

    def test_same_key(self) -> None:
        """Two messages never have one key."""
        for n in (1, 2):
            self.handed(n)
            self.got(n, 10.0 + n, key="SID.1")
            self.wrote(n, 12.5)
        self.assert_found("3.1-2 and 3.1-1 came with the same key SID.1")

    def test_pushes(self) -> None:
        """A push that was sure to arrive has come, or was told as lost."""
        self.note("push", 10.0, label="3.1", serial=5)
        self.note("push", 10.1, label="*", serial=6)
        self.assert_found("2 pushes for 3.1", "[5, 6] on ['e1/1']")
        self.session.pushes = [6]
        self.assert_found("1 pushes for 3.1")
        self.session.lost = 1
        self.assertEqual(self.found(), [])
        self.session.lost = 0
        self.troubles = [Trouble((1001, 2), "reset", 10.2, 10.2)]
        self.assertEqual(self.found(), [])

    def test_pushes_in_disorder(self) -> None:
        """Pushes for others, and out of order on one link, are noticed as they come."""
        push = {"label": "3.1", "link": "e1/1", "serial": 5}
        for content in (push, {**push, "link": "e1/2", "serial": 4}, {**push, "serial": 6}):
            self.book.take_push(content)
        self.assertEqual(self.book.complaints, [])
        self.book.take_push({**push, "serial": 6})
        self.book.take_push({**push, "serial": 7, "label": "4.1"})
        self.assertEqual(len(self.book.complaints), 2)

    def test_strangers(self) -> None:
        """Nothing comes to an engine that nobody has handed over."""
        self.got(9, 10.0)
        self.assert_found("3.1-9 came to an engine, and nobody has handed it over")
        self.events[-1]["id"] = None
        self.assert_found("asks for nothing: key SID.9")
        self.events[-1] = {"e": "bad", "t": 10.0, "link": "e1/1", "what": "b'x'"}
        self.assert_found("none of the dialect")

    def test_outcomes_have_names(self) -> None:
        """An outcome is called what the wire calls it."""
        self.assertEqual(RESULT.name, "result")
        self.assertEqual(evolve(RESULT, kind="error", code="TIMEOUT").name, "TIMEOUT")
