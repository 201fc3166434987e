"""The lines of a tenant in session mode: one for each session, or some that sessions share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from orion_twisted.core.conversation import Conversation, Push
from orion_twisted.core.frames import Encoder, decoder, encoder
from orion_twisted.net.backend import LinkFactory
from orion_twisted.net.sessionlinks import SessionLink
from orion_twisted.service.line import Line, Seat
from orion_twisted.service.surroundings import Surroundings


class Backends(ABC):
    """
    Where sessions are seated.

    Args:
        around: what the lines work with.
        converse: begins a conversation with a backend.
        push: takes what a backend says to a session, or to all.
    """

    def __init__(
        self,
        around: Surroundings,
        converse: Callable[[], Conversation],
        push: Callable[[Push], None],
    ) -> None:
        self._around = around
        self._converse = converse
        self.push = push

    @property
    def tenant(self) -> str:
        """The name of the tenant whose backends they are."""
        return self._around.tenant.name

    @abstractmethod
    def start(self) -> None:
        """Dial what is there without any session."""

    @abstractmethod
    def seat(self, seat: Seat) -> None:
        """Find a line for a session; it may have none for a while."""

    @abstractmethod
    def leave(self, seat: Seat) -> None:
        """Let a session go."""

    @abstractmethod
    def stop(self) -> None:
        """End all links, once what was written to them is delivered; the sessions have left."""

    @property
    @abstractmethod
    def links(self) -> int:
        """How many links are up."""

    def _line(self, is_shared: bool, encode: Encoder | None = None) -> Line:
        encode = encode or encoder(self._around.tenant.framing)
        return Line(self._around, self, self._converse, encode, is_shared)

    def _factory(self, line: Line) -> LinkFactory:
        around = self._around
        framing, most, has_pumps = around.tenant.framing, around.max_frame, around.has_pumps
        return LinkFactory(
            around.endpoints,
            lambda: SessionLink(decoder(framing, most), has_pumps),
            line,
            around.backoff(),
            around.clock,
            around.choice,
            lean_tls=around.codec is not None,
        )

    @abstractmethod
    def line_up(self, line: Line) -> None:
        """The line has a link."""

    @abstractmethod
    def line_lost(self, line: Line) -> None:
        """The line's link is gone, and its sessions know."""


class OwnLinks(Backends):
    """A line for each session, for as long as the session lasts."""

    def __init__(
        self,
        around: Surroundings,
        converse: Callable[[], Conversation],
        push: Callable[[Push], None],
    ) -> None:
        super().__init__(around, converse, push)
        self._lines: dict[Seat, tuple[Line, LinkFactory]] = {}

    def start(self) -> None:
        """Nothing is dialled without a session."""

    def seat(self, seat: Seat) -> None:
        line = self._line(is_shared=False)
        line.join(seat)
        links = self._factory(line)
        self._lines[seat] = (line, links)
        links.start()  # an endpoint may bring the link up before this returns

    def leave(self, seat: Seat) -> None:
        line, links = self._lines.pop(seat)
        line.leave(seat)
        line.finish()
        links.stop()

    def stop(self) -> None:
        for seat in list(self._lines):
            self.leave(seat)

    @property
    def links(self) -> int:
        return sum(line.is_up for line, _ in self._lines.values())

    def line_up(self, line: Line) -> None:
        """Its session is told by the line itself."""

    def line_lost(self, line: Line) -> None:
        """It is dialled again, and keeps its session."""


class SharedLinks(Backends):
    """
    Lines that sessions share: so many that are dialled, and those of backends that dial in.

    A session stays on its line while that has a link: its messages keep their order. It moves
    when the link is lost, or when another line comes up that has far less to do, and the backend
    has answered the last that it was sent: else that might be read after what follows it.
    """

    def __init__(
        self,
        around: Surroundings,
        converse: Callable[[], Conversation],
        push: Callable[[Push], None],
        count: int,
    ) -> None:
        super().__init__(around, converse, push)
        self._count = count
        self._lines: list[Line] = []
        self._dialled: list[LinkFactory] = []
        self._seats: dict[Seat, None] = {}

    def start(self) -> None:
        for _ in range(self._count):
            line = self._line(is_shared=True)
            links = self._factory(line)
            self._lines.append(line)
            self._dialled.append(links)
            links.start()

    def new_line(self, encode: Encoder) -> Line:
        """Return a line for a backend that has dialled in; it lasts as long as that link."""
        return self._line(True, encode)

    def __len__(self) -> int:
        """Return how many lines there are, with a link or without."""
        return len(self._lines)

    def seat(self, seat: Seat) -> None:
        self._seats[seat] = None
        self._place(seat)

    def _place(self, seat: Seat) -> None:
        if seat not in self._seats:
            return  # it has ended, by what was done for another one
        up = [line for line in self._lines if line.is_up]
        if up:
            min(up, key=len).join(seat)

    def leave(self, seat: Seat) -> None:
        del self._seats[seat]
        if seat.line is not None:
            seat.line.leave(seat)

    @property
    def links(self) -> int:
        return sum(line.is_up for line in self._lines)

    def line_up(self, line: Line) -> None:
        if line not in self._lines:
            self._lines.append(line)
        for seat in [each for each in self._seats if each.line is None]:
            self._place(seat)
        self._balance(line)

    def _balance(self, line: Line) -> None:
        """Bring sessions that have nothing under way to a new line, up to its fair share."""
        up = [each for each in self._lines if each.is_up]
        share = len(self._seats) // len(up)
        for other in sorted(up, key=len, reverse=True):
            for seat in other.seats if other is not line else ():
                if len(line) >= share or len(other) <= share:
                    break
                if not seat.session.ledger.pending and seat.unread is None:
                    other.leave(seat)
                    line.join(seat)

    def line_lost(self, line: Line) -> None:
        seats = line.seats
        for seat in seats:
            line.leave(seat)
        for seat in seats:
            self._place(seat)

    def line_ended(self, line: Line) -> None:
        """A backend that had dialled in is gone: its line goes with it."""
        if line in self._lines:
            self._lines.remove(line)

    def stop(self) -> None:
        lines, self._lines = self._lines, []
        for line in lines:
            line.finish()
        for links in self._dialled:
            links.stop()
