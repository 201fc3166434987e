"""
The shortest way: a message from socket to socket in one call.

A browser's socket and its link, on which whole frames go over both ways, may be joined by two
pumps, one for each direction. A pump stands where the reactor has a connection's ``doRead``. It
reads, has TLS and a reader of `orion_twisted.core.wsframes` do their part, and sends, all in C
(``_pump.c``), by calls of public methods. It runs only while all is plain: before each read it
looks at what the parts of the way name as their guards. All else goes the way that is there
without it, and whatever a pump cannot finish it hands over in the middle.

Guards are changed by Python alone. Our own reactor (`orion_twisted.net.leanreactor`) knows when it
has called any, and runs pumps without looking at guards that have held since.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Generic, TypeVar

from attrs import frozen
from twisted.internet.main import CONNECTION_LOST

from orion_twisted.net import eager, leantls
from orion_twisted.net.eager import LEAST_READ, EagerClient, EagerServer, Guards
from orion_twisted.net.hotpath import FRAMED_A_TURN, HotBrowserProtocol, SplicedLink
from orion_twisted.net.leantls import OVERHEAD, LeanTLSProtocol
from orion_twisted.net.pumpload import fast, why_not_c

_SCRATCH = bytearray(LEAST_READ)
"""What is read, until it is copied, which is at once; all pumps share it."""


@cache
def why_not() -> str | None:
    """Say what pumps need that is not there; None if they can be had."""
    if fast is None:
        return why_not_c
    return eager.why_not() or leantls.why_not()


End = TypeVar("End", HotBrowserProtocol, SplicedLink)


@frozen(eq=False)
class _Side(Generic[End]):
    """
    One connection of two that are to be joined.

    Attributes:
        end: whose it is.
        connection: its socket's.
        tls: what lies between; None: nothing.
    """

    end: End
    connection: Any
    tls: Any

    @property
    def guards_of_reading(self) -> Guards:
        """What has to be so for a pump to read here."""
        between: Guards = () if self.tls is None else self.tls.guards_of_reading()
        return (
            *self.end.guards_of_reading(),
            *between,
            *self.connection.guards_of_reading(),
        )

    @property
    def guards_of_writing(self) -> Guards:
        """What has to be so for a pump to write here, without anything to wait for."""
        between: Guards = () if self.tls is None else self.tls.guards_of_writing()
        return (
            *self.connection.guards_of_writing(),
            *between,
            *self.end.guards_of_writing(),
        )


def _side_of(end: End) -> _Side[End] | None:
    """Return a side, or None if anything in it is of a kind that pumps do not know."""
    transport: Any = end.transport
    tls = transport if type(transport) is LeanTLSProtocol else None
    connection = transport if tls is None else tls.transport
    if type(connection) not in (EagerServer, EagerClient):
        return None
    return _Side(end, connection, tls)


class Joint:
    """
    A browser's socket and a link, joined.

    Attributes:
        upwards: the pump that reads from the browser.
        downwards: the one that reads from the link.
    """

    def __init__(
        self,
        browser: _Side[HotBrowserProtocol],
        link: _Side[SplicedLink],
        tally: Any,
        seconds: Callable[[], float] | None,
    ) -> None:
        self._browser, self._link = browser, link
        self.upwards = _pump(browser, link, tally, seconds, is_upwards=True)
        self.downwards = _pump(link, browser, tally, seconds, is_upwards=False)
        for side, pump in self._pumps:
            side.connection.doRead = pump
            pump.is_open = True
            group = getattr(side.connection.reactor, "pumps", None)
            if group is not None:
                group.add(side.connection.fileno(), pump)
        browser.end.carried_by(self.upwards)

    @property
    def _pumps(self) -> tuple[tuple[_Side[Any], Any], ...]:
        return ((self._browser, self.upwards), (self._link, self.downwards))

    @property
    def last_message(self) -> float:
        """When the last message went, either way, in seconds; 0 if none has, or nobody asks."""
        return max(self.upwards.last or 0.0, self.downwards.last or 0.0)

    def part(self) -> None:
        """Let both go their own way again; said once."""
        self._browser.end.carried_by(None)
        for side, pump in self._pumps:
            # A connection that is being cut off has put something else there.
            if vars(side.connection).get("doRead") is pump:
                del side.connection.doRead
            pump.clear()
        del self._browser, self._link


def join(
    browser: HotBrowserProtocol,
    link: SplicedLink,
    tally: Any,
    seconds: Callable[[], float] | None,
) -> Joint | None:
    """
    Join a browser's socket and a link, both of which are up, and carry frames for each other.

    Nobody else may be told of what comes until `Joint.part`: not of messages, nor that a read is
    over. It is for a tenant without rates.

    Args:
        browser: whose owner writes all its frames to the link.
        link: whose owner writes all its frames to the browser.
        tally: counts what is carried.
        seconds: a clock, if anybody wants to know when the last message went.

    Returns:
        None if they are of other kinds than pumps know; they go on as they are.
    """
    if why_not() is not None or browser.reader is None:
        return None
    upper, lower = _side_of(browser), _side_of(link)
    if upper is None or lower is None:
        return None
    return Joint(upper, lower, tally, seconds)


def new_tally() -> Any:
    """Return what counts for pumps: messages and bytes upwards, messages and bytes downwards."""
    return fast.Tally()


def _pump(
    source: _Side[Any],
    sink: _Side[Any],
    tally: Any,
    seconds: Callable[[], float] | None,
    *,
    is_upwards: bool,
) -> Any:
    """Return a pump from one side to the other, whose gate is shut."""
    reader = source.end.reader
    opening: Any = None if source.tls is None else source.tls.getHandle()
    sealing: Any = None if sink.tls is None else sink.tls.getHandle()
    return fast.Pump(
        connection=source.connection,
        way=_Way(source, sink),
        guards=(*source.guards_of_reading, *sink.guards_of_writing),
        tally=tally,
        is_upwards=is_upwards,
        frames_a_turn=FRAMED_A_TURN,
        overhead=OVERHEAD,
        reader=reader,
        receive=source.connection.socket.recv_into,
        scratch=_SCRATCH,
        give=None if opening is None else opening.bio_write,
        open=None if opening is None else opening.recv,
        feed=reader.feed,
        take=reader.take_framed if is_upwards else reader.take,
        seal=None if sealing is None else sealing.send,
        sealed=None if sealing is None else sealing.bio_read,
        send=sink.connection.socket.send,
        seconds=seconds,
    )


@frozen(eq=False)
class _Way:
    """What a pump is told that cannot go on by itself: the way from one side to the other."""

    source: _Side[Any]
    sink: _Side[Any]

    # A read. It returns what a connection's `doRead` returns.

    def otherwise(self) -> Any:
        """Not all is plain: read, without a pump."""
        connection = self.source.connection
        return type(connection).doRead(connection)

    def arrived(self, data: bytes) -> Any:
        """This is what a read has brought: the end, very much, or no whole records."""
        return self.source.connection.has_read(data)

    def broken(self) -> Any:
        """The system has told that the connection is broken, which it does once."""
        return CONNECTION_LOST

    # In the middle

    def not_opened(self, error: Any, rest: bytes) -> None:
        """TLS has raised something in place of data; it was not given the rest of the read."""
        self.go_on(FRAMED_A_TURN)
        self.source.tls.not_opened(error, rest)

    def go_on(self, left: int) -> None:
        """The reader holds what is no whole message, or odd, or too much for a turn."""
        self.source.end.go_on_with(left)

    # On the way out

    def not_sealed(self, frames: bytes, error: Any) -> None:
        """TLS has taken none of these frames."""
        self.sink.tls.not_sealed(frames, error)

    def partly_sealed(self, frames: bytes, size: int, sealed: bytes) -> None:
        """TLS has taken so much, and has made this of it; perhaps there is more."""
        self.sink.tls.partly_sealed(frames, size, sealed)

    def write(self, frames: bytes) -> None:
        """They are too much for one record."""
        self.sink.tls.write(frames)

    def left(self, data: bytes, sent: int, error: OSError | None) -> None:
        """The socket has taken so much of this, or raised something."""
        self.sink.connection.put_off(data, sent, error)
