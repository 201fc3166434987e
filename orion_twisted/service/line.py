"""
A line to a backend in session mode: a link that may come and go, and whose sessions use it.

The line of one session alone is held back when its browser does not read. On a line that many
share nobody is waited for: each session's messages are sent in their order, the sessions take
turns, and what comes back goes to whoever asked.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol as Seam

from twisted.internet.interfaces import IDelayedCall

from orion_twisted.core.conversation import Answer, Conversation, Push, Stray
from orion_twisted.core.errors import BackendError, BadMessage, Outcome
from orion_twisted.core.frames import Encoder
from orion_twisted.core.ledger import SENT, Entry
from orion_twisted.core.session import Session
from orion_twisted.net.links import Loss
from orion_twisted.service.browser_end import cancel
from orion_twisted.service.surroundings import Surroundings

AT_ONCE = 64 * 1024
"""Bytes of frames that are put together for one write."""


class Link(Seam):
    """A connection to a backend, whoever began it (`orion_twisted.net.links.BackendLink`)."""

    @property
    def is_open(self) -> bool:
        """Whether what is sent now may still arrive."""

    def send(self, data: bytes) -> None:
        """Write the bytes of a whole frame."""

    def send_all(self, frames: list[bytes]) -> None:
        """Write frames, at once where the link can."""

    def received(self) -> int | None:
        """Return how many bytes have come, read or not; None where that cannot be had."""

    def hurry(self) -> None:
        """Send from now on what is written at once, if that can be had."""

    def pauseProducing(self) -> None:
        """Deliver nothing until resumed."""

    def resumeProducing(self) -> None:
        """Deliver."""

    def finish(self) -> None:
        """Deliver what has been written, and end."""

    def fail(self, error: BackendError) -> None:
        """Drop the link: its backend has broken the rules."""

    def abort(self) -> None:
        """Cut the connection off at once."""


class Seat(Seam):
    """A session as its line sees it."""

    session: Session
    line: Line | None
    """The line that it is on; the line's own note."""
    is_ready: bool
    """Whether it stands in the line's queue; likewise."""
    unread: Entry | None
    """Its last message that the backend was sent, until an answer shows that it was read;
    likewise."""

    def link_up(self) -> None:
        """There is a link."""

    def link_lost(self) -> None:
        """The link is gone."""

    def deliver(self) -> None:
        """There may be something for the browser."""

    @property
    def may_read_link(self) -> bool:
        """Whether more from the link is welcome, if it is this session's own."""


class LineOwner(Seam):
    """Who has made the line, and places sessions on it."""

    def line_up(self, line: Line) -> None:
        """The line has a link."""

    def line_lost(self, line: Line) -> None:
        """Its link is gone, and its sessions know."""

    def push(self, push: Push) -> None:
        """The backend says something to a session of the tenant, or to all."""


class Line:
    """
    One link at a time, and the sessions on it.

    Args:
        around: what it works with.
        owner: who has made it.
        converse: begins a conversation with a backend.
        encode: how a frame is said on the link.
        is_shared: whether several sessions use it.
    """

    def __init__(
        self,
        around: Surroundings,
        owner: LineOwner,
        converse: Callable[[], Conversation],
        encode: Encoder,
        is_shared: bool,
    ) -> None:
        self._around = around
        self._clock = around.clock
        self._counters = around.counters
        self._max_message = around.max_message
        self._owner = owner
        self._converse = converse
        self._encode = encode
        self._is_shared = is_shared
        self._link: Link | None = None
        self._talk: Conversation = converse()
        self._seats: dict[Session, Seat] = {}
        self._opened: set[str] = set()
        self._ready: deque[Seat] = deque()
        self._full = False
        self._heard = False
        self._had: int | None = None  # bytes that had come when it was asked last
        self._reads = False  # as links begin
        self._is_reading = False
        self._has_news: dict[Seat, None] = {}
        """Sessions that have something for their browser since this read began."""
        self._beat: IDelayedCall | None = None

    @property
    def is_up(self) -> bool:
        """Whether there is a link."""
        return self._link is not None

    @property
    def max_frame(self) -> int:
        """The largest payload of a frame, either way."""
        return self._around.max_frame

    @property
    def speaks_text(self) -> bool:
        """Whether every frame is text."""
        return self._talk.is_text

    @property
    def seats(self) -> list[Seat]:
        """The sessions on this line."""
        return list(self._seats.values())

    def __len__(self) -> int:
        return len(self._seats)

    # From sessions

    def join(self, seat: Seat) -> None:
        """Take a session on."""
        self._seats[seat.session] = seat
        seat.line = self
        seat.is_ready = False
        seat.unread = None
        if self._link is not None:
            seat.link_up()
            self._queue(seat)
            self._pump()

    def leave(self, seat: Seat) -> None:
        """Let a session go that has ended, or goes on elsewhere."""
        self._seats.pop(seat.session, None)
        seat.line = None
        if seat.is_ready:
            self._ready.remove(seat)
            seat.is_ready = False
        for entry in seat.session.ledger.sent():
            self._talk.forget(entry)
        sid = seat.session.sid
        if sid in self._opened:
            self._opened.remove(sid)
            self._notice(self._talk.gone(sid))

    def wants(self, seat: Seat) -> None:
        """Send a session's messages, of which there are some, when it is its turn."""
        if not seat.is_ready:
            seat.is_ready = True
            self._ready.append(seat)
        if not self._full:
            self._pump()

    def _queue(self, seat: Seat) -> None:
        if seat.session.ledger.waiting and not seat.is_ready:
            seat.is_ready = True
            self._ready.append(seat)

    def forget(self, entry: Entry) -> None:
        """Take note that nobody waits for an answer any more."""
        self._talk.forget(entry)

    def settle(self, seat: Seat) -> None:
        """Read from a session's own link only while its browser takes it."""
        link = self._link
        if self._is_shared or link is None or seat.may_read_link is self._reads:
            return
        self._reads = not self._reads
        if self._reads:
            link.resumeProducing()
        else:
            link.pauseProducing()
            self._heard = True  # while we do not read we cannot hear it

    def _pump(self) -> None:
        """Write what waits, for as long as the link takes it: a message of each, in turns."""
        link = self._link
        if link is None:
            return
        ready, now = self._ready, self._clock.seconds()
        while ready and not self._full and link.is_open:
            frames: list[bytes] = []
            size = 0
            while ready and size < AT_ONCE:
                seat = ready.popleft()
                size += self._order(frames, seat, now)
                session = seat.session
                if session.ledger.waiting:
                    ready.append(seat)
                else:
                    seat.is_ready = False
                if session.outbox.unwritten:
                    self._has_news[seat] = None
            if frames:
                link.send_all(frames)
        if self._has_news and not self._is_reading:
            self.link_rests()

    def _order(self, frames: list[bytes], seat: Seat, now: float) -> int:
        """
        Add the frame that says a session's next message, with a notice before it if one is due.

        Returns:
            The bytes of the frame, or 0 where there is none, or it cannot be said.
        """
        talk, session = self._talk, seat.session
        entry = session.next_for_link(now)
        if entry is None:
            return 0
        try:
            frame = self._encode(talk.order(session, entry, now))
        except BadMessage as error:
            talk.forget(entry)
            session.fail(entry, Outcome.BAD_MESSAGE, str(error))
            return 0
        if talk.has_notices and session.sid not in self._opened:
            self._opened.add(session.sid)
            frames.append(self._encode(talk.opened(session) or b""))
        frames.append(frame)
        seat.unread = entry
        session.sent(entry)
        return len(frame)

    def _notice(self, notice: bytes | None) -> None:
        if notice is not None and self._link is not None and self._link.is_open:
            self._link.send(self._encode(notice))

    # From the link

    def link_up(self, link: Link) -> None:
        self._counters.add("links")
        self._around.link_count(1)
        self._link = link
        if self._around.codec is not None:
            link.hurry()
        self._talk = self._converse()
        self._full = self._reads = False
        self._opened.clear()
        if self._talk.has_notices:
            self._beat = self._clock.callLater(self._around.ping_every, self._ping)
        self._owner.line_up(self)
        for seat in self.seats:
            seat.link_up()
            self._queue(seat)
        self._pump()
        if self._is_shared:
            link.resumeProducing()
        else:
            for seat in self.seats:
                self.settle(seat)

    def link_proved(self) -> None:
        """Of no use here: whoever dials again knows it."""

    def link_full(self, full: bool) -> None:
        self._full = full
        self._pump()

    def link_rests(self) -> None:
        self._is_reading = False
        while self._has_news:
            news, self._has_news = self._has_news, {}
            for seat in news:
                seat.deliver()

    def link_payload(self, payload: bytes) -> None:
        self._heard = self._is_reading = True
        said = self._talk.read(payload)
        if type(said) is Answer:
            self._answered(said.session, said.entry, said)
        elif isinstance(said, Push):
            self._counters.add("pushes")
            if said.sid is None and not said.to_all:
                for seat in self._seats.values():
                    seat.session.push(said.payload, said.is_binary)
                    self._has_news[seat] = None
            else:
                self._owner.push(said)
        elif isinstance(said, Stray):
            self._counters.add("answers_dropped", reason=said.reason)

    def _answered(self, session: Session, entry: Entry, answer: Answer) -> None:
        seat = self._seats.get(session)
        if seat is not None and seat.unread is entry:
            seat.unread = None
        if seat is None or entry.stage is not SENT:
            self._counters.add("answers_dropped", reason="late")
            return
        if answer.error:
            session.fail(entry, Outcome.BACKEND_ERROR, answer.error)
        elif len(answer.payload) > self._max_message:
            session.fail(entry, Outcome.TOO_LARGE)
        else:
            session.answered(entry, answer.payload, answer.is_binary, answer.ok)
        self._has_news[seat] = None

    def link_lost(self, loss: Loss) -> None:
        self._around.link_ended(loss, "sessions" if self._is_shared else "a session")
        self._unlink()
        for seat in self.seats:
            seat.link_lost()
        self._owner.line_lost(self)

    def link_gone(self) -> None:
        self._around.link_count(-1)

    def _unlink(self) -> None:
        self._link = None
        cancel(self._beat)
        self._beat = None
        for seat in self._ready:
            seat.is_ready = False
        self._ready.clear()
        self._opened.clear()

    # Whether the backend is alive

    @property
    def greeting(self) -> bytes | None:
        """The frame that answers a backend's hello, where the dialect has an answer."""
        ping = self._talk.ping()
        return None if ping is None else self._encode(ping)

    def _ping(self) -> None:
        # While we do not read we cannot hear it.
        self._heard = not (self._is_shared or all(seat.may_read_link for seat in self.seats))
        assert self._link is not None
        self._had = self._link.received()
        self._notice(self._talk.ping())
        self._beat = self._clock.callLater(self._around.ping_timeout, self._judge)

    def _judge(self) -> None:
        link = self._link
        assert link is not None
        wait = max(self._around.ping_every - self._around.ping_timeout, 0.0)
        self._beat = self._clock.callLater(wait, self._ping)
        # The pong may stand behind a large frame that is still on its way.
        if not self._heard and link.received() == self._had:
            link.fail(BackendError("the backend does not answer a ping"))

    # The end

    def finish(self) -> None:
        """Let the link deliver what it has, and end; its sessions have left."""
        link = self._link
        self._unlink()
        if link is not None:
            link.finish()
