"""
What a browser writes down: what it handed over, what came of it, and every rule broken to it.

Instants are seconds of the system's monotonic clock, as in the ledgers of the engines.
"""

from __future__ import annotations

import time
from collections import Counter

from attrs import Factory, define, frozen

from tests.faults.orders import Content, Order


@frozen
class Wish:
    """
    A message that is still to be handed over: an order without an id, and how it is sent.

    Attributes:
        do, arg, answer, pad: as in `Order`.
        wants_result: a request; else a notification, where the dialect has any.
        is_safe: whether it may be repeated.
        ttl: seconds that it may take; None leaves it to the tenant's deadline.
        is_binary: whether its payload is binary.
    """

    do: str = "answer"
    arg: int = 0
    answer: int = 0
    pad: int = 0
    wants_result: bool = True
    is_safe: bool = False
    ttl: float | None = None
    is_binary: bool = False

    def order(self, session: str, n: int) -> Order:
        return Order(f"{session}-{n}", self.do, self.arg, self.answer, self.pad)


@frozen
class Outcome:
    """
    What became of a message.

    Attributes:
        kind: ``result``, ``receipt`` or ``error``.
        code: of an error; the stage of a receipt.
        serial: of the engine's answer.
        ok: what the engine said of its result.
        at: when the browser learned it.
    """

    kind: str
    code: str = ""
    serial: int | None = None
    ok: bool = True
    at: float = 0.0

    @property
    def name(self) -> str:
        """``result``, ``sent``, or the error's code."""
        return self.code or self.kind


@define(eq=False)
class Message:
    """
    A message that was handed over.

    Attributes:
        order: its payload.
        wish: how it was sent.
        n: its number.
        handed: when it was first written to a socket.
        outcome: what the browser has been told; None if nothing yet.
        lost_with: why it can have no outcome, if its session ended before it.
        again: on how many occasions it was sent again.
    """

    order: Order
    wish: Wish
    n: int
    handed: float
    outcome: Outcome | None = None
    lost_with: str = ""
    again: int = 0

    @property
    def session(self) -> str:
        return self.order.session

    @property
    def size(self) -> int:
        """Bytes of payload, at most."""
        return len(self.order.text()) + 8


@define(eq=False)
class Session:
    """
    One session of a browser.

    Attributes:
        label: what it is called in orders: ``BROWSER.COUNT``.
        began: when it was there.
        ended: when it was over for the browser; None while it lives.
        sid: what the gateway calls it, where the dialect says so.
        pushes: serials of the pushes, in the order of arrival.
        last_push: the highest of them, by link.
        lost: how many pushes the browser was told had to go.
    """

    label: str
    began: float
    ended: float | None = None
    sid: str = ""
    pushes: list[int] = Factory(list)
    last_push: dict[str, int] = Factory(dict)
    lost: int = 0


@define(eq=False)
class Book:
    """
    Everything that one browser knows.

    Attributes:
        name: the browser's.
        messages: all that it handed over, in order.
        sessions: all that it had, in order.
        sockets: from when to when it had each of its sockets; the last may not have ended.
        ports: likewise, and its own port of each, whether the gateway has let it in or not.
        unanswered: when it gave a socket up that did not answer a ping, and that one's own port.
        complaints: each broken rule that it noticed, in words.
        complained: when it noticed each of them.
        seen: how often things were seen that are no outcome: resumes, repeats, close codes.
    """

    name: str
    messages: list[Message] = Factory(list)
    sessions: list[Session] = Factory(list)
    sockets: list[tuple[float, float]] = Factory(list)
    ports: list[tuple[float, float, int]] = Factory(list)
    unanswered: list[tuple[float, int]] = Factory(list)
    complaints: list[str] = Factory(list)
    complained: list[float] = Factory(list)
    seen: Counter[str] = Factory(Counter)

    def complain(self, text: str) -> None:
        self.complaints.append(f"browser {self.name}: {text}")
        self.complained.append(time.monotonic())

    def had_socket(self, start: float, end: float) -> bool:
        """Say whether it had one and the same socket from one instant to another."""
        return any(since <= start and end <= until for since, until in self.sockets)

    def port_at(self, at: float) -> int:
        """Return its own port at an instant; 0 if it had none, as far as is known."""
        return next((port for since, until, port in self.ports if since <= at <= until), 0)

    @property
    def session(self) -> Session:
        """The present session."""
        return self.sessions[-1]

    def begin(self, now: float, sid: str = "") -> Session:
        """Begin a session."""
        session = Session(f"{self.name}.{len(self.sessions) + 1}", now, sid=sid)
        self.sessions.append(session)
        return session

    def end(self, now: float, why: str) -> None:
        """End the present session; what has no outcome in it will have none."""
        session = self.session
        session.ended = now
        for message in self.open_messages():
            message.lost_with = why

    def open_messages(self) -> list[Message]:
        """Return the messages of the present session that have no outcome, in order."""
        found = []
        for message in reversed(self.messages):
            if message.session != self.session.label:
                break
            if message.outcome is None and not message.lost_with:
                found.append(message)
        return found[::-1]

    def settle(self, message: Message, outcome: Outcome) -> None:
        """Write an outcome down; a second one is a broken rule."""
        if message.outcome is None:
            message.outcome = outcome
        else:
            self.complain(
                f"message {message.order.id} ends as {outcome.name}"
                f" after it had ended as {message.outcome.name}"
            )

    def take_push(self, content: Content) -> None:
        """Write a push down; one for somebody else, or out of order, is a broken rule."""
        session = self.session
        label, link, serial = (content.get(name) for name in ("label", "link", "serial"))
        if label not in (session.label, "*"):
            self.complain(f"a push for {label} came to {session.label}")
        if not isinstance(serial, int) or not isinstance(link, str):
            self.complain(f"{content} came as a push to {session.label}")
            return
        # What two links bring has no order between them.
        if serial <= session.last_push.get(link, 0):
            self.complain(f"push {serial} of {link} came after {session.last_push[link]}")
        session.last_push[link] = serial
        session.pushes.append(serial)
