"""What happened around something that must not be is told, and nothing else."""

from __future__ import annotations

from typing import Any
from unittest import TestCase

from tests.faults.audit import audit
from tests.faults.books import Book, Message, Outcome, Wish
from tests.faults.evidence import Evidence
from tests.faults.proxy import Trouble
from tests.faults.story import Stories


class StoryTests(TestCase):
    """Two browsers on two links; the first one's proxy stalls, and its link is reset."""

    def setUp(self) -> None:
        self.books = [Book("b1"), Book("b2")]
        for book in self.books:
            session = book.begin(1.0, f"SID-of-{book.name}").label
            book.sockets.append((1.0, 30.0))
            book.ports.append((1.0, 30.0, 4000 + int(book.name[1])))
            for n, at in ((1, 10.0), (2, 20.0)):
                outcome = Outcome("result", serial=10 * n, at=at + 0.5)
                wish = Wish(ttl=5.0)
                book.messages.append(Message(wish.order(session, n), wish, n, at, outcome))
        self.events: list[dict[str, Any]] = []
        for number in (1, 2):
            link = f"e1/{number}"
            self.note("up", 0.5, link, port=5000 + number)
            for n, at in ((1, 10.1), (2, 20.1)):
                id_ = f"b{number}.1-{n}"
                fields = {"sid": "", "key": id_, "ttl": 5000, "late": False}
                self.note("got", at, link, id=id_, **fields)
                self.note("tries", at, link, id=id_, serial=10 * n)
                self.note("wrote", at, link, id=id_, serial=10 * n, on_time=True)
            self.note("down", 25.0, link, how="broken")

    def note(self, event: str, at: float, link: str, **fields: Any) -> None:
        self.events.append({"e": event, "t": at, "link": link, **fields})

    def stories(self) -> Stories:
        return Stories(
            Evidence(
                self.books,
                self.events,
                [Trouble((5001, 9), "reset", 20.2, 20.2)],
                browser_troubles=[Trouble((4001, 8), "stall", 20.3, 20.4)],
            )
        )

    def test_a_message(self) -> None:
        """Of a message: its own way, and what befell its link and its browser meanwhile."""
        self.assertEqual(
            [line.split(None, 1) for line in self.stories().about("b1.1-2 has no outcome")],
            [
                [
                    "19.500",
                    "b1.1-2 is handed over: request to answer (0), 37 bytes, within 5.0 s;"
                    " sent again 0 times",
                ],
                ["19.600", "b1.1-2 comes to an engine on e1/1, key b1.1-2, ttl 5000, late False"],
                ["19.600", "b1.1-2 is about to be answered with 20 on e1/1"],
                [
                    "19.600",
                    "b1.1-2 is answered with 20 on e1/1: the system has it, on time True",
                ],
                ["19.700", "e1/1 is in trouble: reset"],
                ["19.800", "b1's socket is in trouble: stall"],
                ["20.000", "b1.1-2 ends for its browser: result 20"],
            ],
        )

    def test_a_complaint(self) -> None:
        """Of a complaint: all that its browser did and met at that moment."""
        self.books[1].complaints.append("browser b2: 7 came after 5")
        self.books[1].complained.append(10.2)
        (line,) = audit(Evidence(self.books, self.events))
        told = self.stories().about(line)
        self.assertIn("     9.700  browser b2: 7 came after 5", told)
        self.assertTrue(any("b2.1-1 is handed over" in each for each in told))
        self.assertFalse(any("b2.1-2" in each or "b1" in each for each in told))

    def test_a_push(self) -> None:
        """Of a push that never came: when it was written, and what became of its link."""
        self.note("push", 24.5, "e1/2", label="b2.1", serial=77)
        self.note("push", 24.6, "e1/1", label="b1.1", serial=78)
        told = self.stories().about("1 pushes for b2.1 of browser b2 never came: [77] on ['e1/2']")
        self.assertEqual(
            [line.split(None, 1)[1] for line in told],
            ["77 is pushed to b2.1 on e1/2", "e1/2 is down for its engine: broken"],
        )

    def test_nothing(self) -> None:
        """A line that names nothing of the run has no story."""
        self.assertEqual(self.stories().about("its memory has grown by 9.1 MiB"), [])
