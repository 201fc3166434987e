"""
What happened around something that must not be, as far as anybody has noted it.

    stories = Stories(evidence)
    for line in audit(evidence):
        print(line, *stories.about(line), sep="\\n")
"""

from __future__ import annotations

import re
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from attrs import frozen

from tests.faults.books import Book, Message
from tests.faults.evidence import Event, Evidence

NAME = re.compile(r"\w[\w./-]*\w|\d")
"""What may be a name in a line: of a message, a session, a browser, a link; or a serial."""

AROUND = 1.0
"""Seconds before and after what a line names within which its surroundings are told."""

MOST = 80
"""Lines of one story: of a longer one its end is told."""

LINK_EVENTS = {
    "up": "{link} is up, port {port}",
    "end": "{link} is ended by its engine",
    "break": "{link} is reset by its engine",
    "down": "{link} is down for its engine: {how}",
    "bad": "{link} brings its engine nonsense: {what}",
}
MESSAGE_EVENTS = {
    "got": "{id} comes to an engine on {link}, key {key}, ttl {ttl}, late {late}",
    "tries": "{id} is about to be answered with {serial} on {link}",
    "wrote": "{id} is answered with {serial} on {link}: the system has it, on time {on_time}",
}


@frozen
class _Happening:
    """Something at an instant; ``of`` is the name of what it happened to."""

    at: float
    of: str
    text: str


class Stories:
    """
    Everything that was noted in a run, in the order of time.

    Args:
        evidence: of the run.
    """

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._books = {book.name: book for book in evidence.books}
        self._related: defaultdict[str, set[str]] = defaultdict(set)
        for id_, arrivals in evidence.arrivals.items():
            for name in (id_, id_.rpartition("-")[0]):
                self._related[name] |= {arrival.link for arrival in arrivals}
        for label, pushes in evidence.pushes.items():
            for push in pushes:
                self._related[str(push.serial)] |= {label, push.link.name}
        self._all = sorted(self._happenings(), key=lambda each: each.at)
        self._began = self._all[0].at if self._all else 0.0

    def began(self) -> datetime:
        """Return when second 0 was, by the clock of logs."""
        return datetime.now(UTC) - timedelta(seconds=time.monotonic() - self._began)

    def about(self, line: str) -> list[str]:
        """Return what happened to what a line names, and around that, each with its second."""
        named = self._named(line)
        around = set().union(*(self._around(each) for each in {each.of for each in named}))
        moments = [each.at for each in named]
        told = [
            each
            for each in self._all
            if each in named
            or (each.of in around and any(abs(each.at - at) < AROUND for at in moments))
        ]
        return [f"{each.at - self._began:10.3f}  {each.text}" for each in told[-MOST:]]

    def _named(self, line: str) -> list[_Happening]:
        """Return what happened to what a line is about: to the least of what it names."""
        names = set(NAME.findall(line))
        messages = {name for name in names if "-" in name or name.isdecimal()}
        books = set(self._books)
        complaints = [each for each in self._all if each.text == line]
        for least in (messages, names - messages - books, names & books):
            found = complaints or [each for each in self._all if each.of in least]
            if found:
                return found
        return []

    def _around(self, name: str) -> set[str]:
        """Return the names of what has to do with something."""
        if name in self._related and name.isdecimal():
            return {name} | self._related[name]
        session = name.rpartition("-")[0] or name
        book = self._books.get(session.partition(".")[0])
        if book is None:
            return {name}
        found = {name, session, book.name} | self._related[name]
        if name == book.name:
            for each in book.sessions:
                found |= {each.label} | self._related[each.label]
            found |= {message.order.id for message in book.messages}
        return found

    # What happened

    def _happenings(self) -> Iterator[_Happening]:
        for book in self._evidence.books:
            yield from self._of_a_browser(book)
            for message in book.messages:
                yield from self._of_a_message(message)
        for event in self._evidence.events:
            yield from self._of_an_engine(event)
        yield from self._of_links()

    @staticmethod
    def _of_a_browser(book: Book) -> Iterator[_Happening]:
        for session in book.sessions:
            yield _Happening(session.began, session.label, f"{session.label} begins {session.sid}")
            if session.ended is not None:
                yield _Happening(session.ended, session.label, f"{session.label} is over")
        for since, until in book.sockets:
            yield _Happening(since, book.name, f"{book.name} is in")
            yield _Happening(until, book.name, f"{book.name} has lost its socket")
        for at, _ in book.unanswered:
            yield _Happening(at, book.name, f"{book.name} has given up an unanswered socket")
        for at, complaint in zip(book.complained, book.complaints, strict=True):
            yield _Happening(at, book.name, complaint)

    def _of_a_message(self, message: Message) -> Iterator[_Happening]:
        id_, wish, outcome = message.order.id, message.wish, message.outcome
        kind = "request" if wish.wants_result else "notification"
        safe = ", safe to repeat" if wish.is_safe else ""
        time = self._evidence.time_of(message)
        yield _Happening(
            message.handed,
            id_,
            f"{id_} is handed over: {kind} to {message.order.do} ({message.order.arg}),"
            f" {message.size} bytes, within {time} s{safe}; sent again {message.again} times",
        )
        if outcome is not None:
            serial = "" if outcome.serial is None else f" {outcome.serial}"
            yield _Happening(
                outcome.at, id_, f"{id_} ends for its browser: {outcome.name}{serial}"
            )

    @staticmethod
    def _of_an_engine(event: Event) -> Iterator[_Happening]:
        name, at = event["e"], event["t"]
        if name in LINK_EVENTS:
            yield _Happening(at, event["link"], LINK_EVENTS[name].format_map(event))
        elif name in MESSAGE_EVENTS:
            yield _Happening(at, str(event["id"]), MESSAGE_EVENTS[name].format_map(event))
        elif name == "push":
            text = f"{event['serial']} is pushed to {event['label']} on {event['link']}"
            yield _Happening(at, str(event["serial"]), text)

    def _of_links(self) -> Iterator[_Happening]:
        evidence = self._evidence
        for link in evidence.links.values():
            for trouble in link.troubles:
                text = f"{link.name} is in trouble: {trouble.kind}"
                yield _Happening(trouble.start, link.name, text)
                if trouble.kind == "stall":
                    yield _Happening(trouble.end, link.name, f"{link.name} goes on")
            for start, end in link.hangs:
                yield _Happening(start, link.name, f"{link.name} is not read by its engine")
                yield _Happening(end, link.name, f"{link.name} is read again by its engine")
        for book in evidence.books:
            for since, until, port in book.ports:
                for trouble in evidence.browser_troubles:
                    if port in trouble.ports and since <= trouble.start <= until:
                        text = f"{book.name}'s socket is in trouble: {trouble.kind}"
                        yield _Happening(trouble.start, book.name, text)
