"""
What is known of a run when it is over: books, ledgers and troubles, put together.

It answers one question that the ledgers alone cannot: was what an engine wrote sure to arrive?
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from attrs import Factory, define, field, frozen

from tests.faults.books import Book, Message, Session
from tests.faults.proxy import HALF_FOR, Trouble

ARRIVES_WITHIN = 1.0
"""Seconds after which the gateway has surely read what the system took for it."""

NOTICED_WITHIN = 2.0
"""Seconds after which an engine has noticed that the gateway has ended a link."""

AT_ONCE = 0.1
"""Seconds by which what two processes note at the same moment may differ."""

Event = dict[str, Any]


@define(eq=False)
class LinkLife:
    """
    A link, from an engine's side.

    Attributes:
        name: the engine's name for it.
        port: by which proxies know it.
        up, down: when it was there; ``down`` is None while it is.
        ended: when the engine itself ended it in good order, if it did.
        troubles: what a proxy did to it.
        hangs: from when to when its engine read nothing.
    """

    name: str
    port: int
    up: float
    down: float | None = None
    ended: float | None = None
    troubles: list[Trouble] = Factory(list)
    hangs: list[tuple[float, float]] = Factory(list)

    @property
    def broke_at(self) -> float | None:
        """When it broke: from then on nothing is sure to arrive. None if it never did."""
        cuts = [each.start for each in self.troubles if each.kind not in ("stall", "ended")]
        ends = [each.start for each in self.troubles if each.kind == "ended"]
        if self.down is not None:
            ends.append(self.down)
        # After an end in good order there is nothing to be lost in the end of the other side.
        cuts += [end for end in ends if self.ended is None or end < self.ended]
        return min(cuts, default=None)

    def is_given_up(self, at: float) -> bool:
        """Say whether the gateway may have known at an instant that the link is gone."""
        ends = [each.start for each in self.troubles if each.kind != "stall"]
        ends += [each for each in (self.down, self.ended) if each is not None]
        return any(end <= at + AT_ONCE for end in ends)

    def arrival(self, written: float, slack: float) -> float | None:
        """
        Return when what was written at an instant was surely on its way; None if it may not.

        Args:
            written: the instant.
            slack: seconds that the gateway may take for anything, beyond what it should.
        """
        for trouble in sorted(self.troubles, key=lambda each: each.start):
            if (
                trouble.kind == "stall"
                and trouble.start <= written + 0.1
                and written < trouble.end
            ):
                written = trouble.end
        # The gateway may have given it up by then, with a word that nobody reads.
        if any(start <= written <= end for start, end in self.hangs):
            return None
        broke = self.broke_at
        return None if broke is not None and broke < written + ARRIVES_WITHIN + slack else written


@frozen
class Arrival:
    """A message at an engine; ``late``: the gateway may have given its link up before."""

    at: float
    link: str
    key: str | None
    sid: str
    late: bool


@frozen
class Write:
    """An answer or a push that the system has taken whole from an engine."""

    at: float
    link: LinkLife
    serial: int
    is_first: bool


@define(eq=False)
class Evidence:
    """
    Args:
        books: of all browsers.
        events: of all engines, in any order.
        troubles: of the proxies between the gateway and the engines.
        browser_troubles: of those between the browsers and the gateway.
        deadline: seconds that a message may take that says nothing of it.
        limit: bytes of the largest payload.
        pauses: from when to when the proxies carried nothing at all.
        slack: seconds that the gateway took for its slowest answer to anything.

    Attributes:
        messages: all that were handed over, by id.
        links: by name.
        arrivals: at the engines, by the message's id, in the order of time.
        tried: the serials of all answers that the engines began to write, by the message's id.
        answers: those that the system took whole, by the message's id.
        pushes: of the engines, by the label that they were for.
    """

    books: Sequence[Book]
    events: Sequence[Event]
    troubles: Sequence[Trouble] = ()
    deadline: float = 30.0
    limit: int = 64 * 1024
    pauses: Sequence[tuple[float, float]] = ()
    slack: float = 0.0
    browser_troubles: Sequence[Trouble] = ()
    messages: dict[str, Message] = field(init=False)
    links: dict[str, LinkLife] = field(init=False, factory=dict)
    arrivals: dict[str, list[Arrival]] = field(init=False)
    tried: dict[str, set[int]] = field(init=False)
    answers: dict[str, list[Write]] = field(init=False)
    pushes: dict[str, list[Write]] = field(init=False)
    _breaks: list[tuple[float, float]] = field(init=False, factory=list)

    def __attrs_post_init__(self) -> None:
        self.messages = {each.order.id: each for book in self.books for each in book.messages}
        self.arrivals, self.answers = defaultdict(list), defaultdict(list)
        self.pushes, self.tried = defaultdict(list), defaultdict(set)
        self.events = sorted(self.events, key=lambda event: event["t"])
        self._read_links()
        for event in self.events:
            self._read(event)
        self._breaks = list(self._find_breaks())

    def _read_links(self) -> None:
        for event in self.events:
            match event["e"]:
                case "up":
                    link = LinkLife(event["link"], event["port"], event["t"])
                    self.links[link.name] = link
                case "end":
                    self.links[event["link"]].ended = event["t"]
                case "break":
                    self.links[event["link"]].ended = None
                case "down":
                    self.links[event["link"]].down = event["t"]
                case "hang":
                    for link in self._links_of(event["name"]):
                        link.hangs.append((event["t"], event["until"] + AT_ONCE))
                case "killed":
                    for link in self._links_of(event["name"]):
                        if link.down is None:
                            link.down, link.ended = event["t"], None
        for link in self.links.values():
            link.troubles += [Trouble((0, 0), "stall", *pause) for pause in self.pauses]
        by_port = defaultdict(list)
        for trouble in self.troubles:
            for port in trouble.ports:
                by_port[port].append(trouble)
        for link in self.links.values():
            for trouble in by_port[link.port]:
                is_over = link.down is not None and link.down + AT_ONCE < trouble.start
                if trouble.end >= link.up - AT_ONCE and not is_over:
                    link.troubles.append(trouble)

    def _links_of(self, life: str) -> list[LinkLife]:
        """Return the links of one life of an engine, so far."""
        return [each for name, each in self.links.items() if name.startswith(f"{life}/")]

    def _read(self, event: Event) -> None:
        at = event["t"]
        match event["e"]:
            case "got" if event["id"] is not None:
                late = event["late"] or self.links[event["link"]].is_given_up(at)
                self.arrivals[event["id"]].append(
                    Arrival(at, event["link"], event["key"], event["sid"], late)
                )
            case "tries":
                self.tried[event["id"]].add(event["serial"])
            case "wrote":
                write = Write(at, self.links[event["link"]], event["serial"], event["on_time"])
                self.answers[event["id"]].append(write)
            case "push":
                write = Write(at, self.links[event["link"]], event["serial"], True)
                self.pushes[event["label"]].append(write)

    def sessions(self) -> Iterable[tuple[Book, Session]]:
        return ((book, session) for book in self.books for session in book.sessions)

    def arrival(self, write: Write) -> float | None:
        """Return when what was written surely arrived; None if it may not have."""
        return write.link.arrival(write.at, self.slack)

    def time_of(self, message: Message) -> float:
        """Return the seconds that a message may take."""
        return self.deadline if message.wish.ttl is None else message.wish.ttl

    def some_link_broke(self, since: float, until: float) -> bool:
        """Say whether any link ended, or was about to, between two instants."""
        return any(start <= until and end >= since for start, end in self._breaks)

    def held_up(self, port: int, since: float, until: float) -> float:
        """
        Return for how many seconds nothing went on a browser's socket: all, if it was cut.

        Args:
            port: the browser's own.
            since, until: between which instants.
        """
        spans = list(self.pauses)
        for trouble in self.browser_troubles:
            # Of its end the proxy knows by the browser itself.
            if trouble.kind != "ended" and port in trouble.ports and trouble.start <= until:
                if trouble.kind != "stall":
                    return until - since
                spans.append((trouble.start, trouble.end))
        return sum(max(min(end, until) - max(start, since), 0.0) for start, end in spans)

    def _find_breaks(self) -> Iterator[tuple[float, float]]:
        """Yield between which instants the gateway has noticed that a link was gone."""
        for trouble in self.troubles:
            if trouble.kind != "stall" or trouble.end - trouble.start > ARRIVES_WITHIN:
                yield trouble.start, trouble.end + HALF_FOR
        for link in self.links.values():
            if link.down is not None:
                # An engine that hangs notices it late; a gateway under load does, too.
                yield link.down - NOTICED_WITHIN, link.down + ARRIVES_WITHIN
