"""
The shortest way: a message from socket to socket in one call.

A browser's socket and its link, on which whole frames go over both ways, may be joined by two
pumps, one for each direction. A pump stands where the reactor has a connection's ``doRead``. It
reads, has TLS and a reader of `orion_twisted.core.wsframes` do their part, and sends, all in C
(``_pump.c``), by calls of public methods. It runs only while all is plain: before each read it
looks at what the parts of the way name as their guards. All else goes the way that is there
without it, and whatever a pump cannot finish it hands over in the middle.

Where messages are looked at, as in session mode, there are two halves of it (`Tap`): what reads,
up to the message, and what writes, from there on.

Guards are changed by Python alone. Our own reactor (`orion_twisted.net.leanreactor`) knows when it
has called any, and runs pumps without looking at guards that have held since.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Generic, TypeVar
from typing import Protocol as Seam

from attrs import frozen
from twisted.internet.main import CONNECTION_LOST

from orion_twisted.core.wsframes import Codec
from orion_twisted.net import eager, leantls
from orion_twisted.net.eager import LEAST_READ, EagerClient, EagerServer, Guards
from orion_twisted.net.hotpath import FRAMED_A_TURN, HotBrowserProtocol, SplicedLink
from orion_twisted.net.leantls import OVERHEAD, LeanTLSProtocol
from orion_twisted.net.pumpload import fast, why_not_c

READS_BEFORE_PUMPS = 2
"""How many reads of a connection are done without pumps: these take up to 2 KiB and 15 us for each
connection, which is much for those of one message."""

_SCRATCH = bytearray(LEAST_READ)
"""What is read, until it is copied, which is at once; all pumps share it."""


@cache
def why_not() -> str | None:
    """Say what pumps need that is not there; None if they can be had."""
    if fast is None:
        return why_not_c
    return eager.why_not() or leantls.why_not()


class Tappable(Seam):
    """A link that is read by itself (`orion_twisted.net.sessionlinks`)."""

    transport: Any

    def dataReceived(self, data: bytes) -> None:
        """Take what came."""

    def guards_of_reading(self) -> Guards:
        """Return what has to be so for `dataReceived` to be told."""

    def guards_of_writing(self) -> Guards:
        """Return what has to be so for frames to be sent."""


End = TypeVar("End", HotBrowserProtocol, SplicedLink, Tappable)


@frozen(eq=False)
class _Side(Generic[End]):
    """
    One connection: of two that are to be joined, or by itself.

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
            _install(side.connection, pump)
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
            _take_out(side.connection, pump)
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


def _install(connection: Any, pump: Any) -> None:
    """Have a pump read there, from now on."""
    connection.doRead = pump
    pump.is_open = True
    group = getattr(connection.reactor, "pumps", None)
    if group is not None:
        group.add(connection.fileno(), pump)


def _take_out(connection: Any, pump: Any) -> None:
    """Have the connection read by itself again."""
    # One that is being cut off has put something else there.
    if vars(connection).get("doRead") is pump:
        del connection.doRead
    pump.clear()


class Tap:
    """
    A connection whose messages are read and written past what lies between it and its owner.

    Args:
        side: the connection.
        pump: reads there.
        writer: stands in the place of a method of the end.
        method: the name of that.
    """

    def __init__(self, side: _Side[Any], pump: Any, writer: Any, method: str) -> None:
        self._side, self._pump, self._writer, self._method = side, pump, writer, method
        _install(side.connection, pump)
        setattr(side.end, method, writer)

    def part(self) -> None:
        """Let all go its own way again; said once."""
        delattr(self._side.end, self._method)
        self._writer.clear()
        _take_out(self._side.connection, self._pump)
        del self._side, self._pump, self._writer


def tap_browser(browser: HotBrowserProtocol, codec: Codec) -> Tap | None:
    """
    Have the messages of a browser's socket, which is open, go past TLS and the reactor's loop.

    Its owner is told of each message, and of the end of each read, as ever; `Tap.part` has to be
    said before the socket is closed, or when it is lost.

    Args:
        browser: whose `send` is used, not only its transport.
        codec: that of its reader.

    Returns:
        None if it is of another kind than pumps know; it goes on as it is.
    """
    reader = browser.reader
    side = _side_of(browser) if why_not() is None else None
    if reader is None or side is None or not _is_free(side):
        return None
    way = _MessageWay(side, browser.take_message, browser.take_first)
    reads = {"reader": reader, "feed": reader.feed, "take": reader.take}
    return Tap(side, _half(side, way, reads), _writer(side, "send", codec.message_frame), "send")


def tap_link(link: Tappable) -> Tap | None:
    """
    Have what a link brings go past TLS and the reactor's loop, and what `send_all` is given.

    `Tap.part` has to be said when the connection is lost.

    Returns:
        None if it is of another kind than pumps know; it goes on as it is.
    """
    side = _side_of(link) if why_not() is None else None
    if side is None or not _is_free(side):
        return None
    way = _ContentWay(side, link.dataReceived)
    reads = {"reader": None, "feed": None, "take": None}
    return Tap(side, _half(side, way, reads), _writer(side, "send_all", None), "send_all")


def _is_free(side: _Side[Any]) -> bool:
    """Say whether nothing reads there in the connection's place, as when it is cut off."""
    return "doRead" not in vars(side.connection)


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
    return fast.Pump(
        way=_Way(source, sink),
        guards=(*source.guards_of_reading, *sink.guards_of_writing),
        tally=tally,
        is_upwards=is_upwards,
        frames_a_turn=FRAMED_A_TURN,
        overhead=OVERHEAD,
        reader=reader,
        feed=reader.feed,
        take=reader.take_framed if is_upwards else reader.take,
        seconds=seconds,
        **_reading(source),
        **_writing(sink),
    )


def _half(source: _Side[Any], way: _ReadWay, reads: dict[str, Any]) -> Any:
    """Return a pump that hands over what it has read, whose gate is shut."""
    return fast.Pump(
        way=way,
        guards=source.guards_of_reading,
        tally=None,
        is_upwards=True,
        frames_a_turn=1,
        overhead=0,
        seconds=None,
        seal=None,
        sealed=None,
        send=None,
        **reads,
        **_reading(source),
    )


def _writer(sink: _Side[Any], method: str, frame: Callable[[bytes, bool], bytes] | None) -> Any:
    """Return what does the work of a method of the end."""
    return fast.Writer(
        way=_WriteWay(sink, getattr(sink.end, method)),
        guards=sink.guards_of_writing,
        overhead=OVERHEAD,
        frame=frame,
        **_writing(sink),
    )


def _reading(source: _Side[Any]) -> dict[str, Any]:
    """Return what pumps call to read."""
    opening: Any = None if source.tls is None else source.tls.getHandle()
    return {
        "connection": source.connection,
        "receive": source.connection.socket.recv_into,
        "scratch": _SCRATCH,
        "give": None if opening is None else opening.bio_write,
        "open": None if opening is None else opening.recv,
    }


def _writing(sink: _Side[Any]) -> dict[str, Any]:
    """Return what pumps call to send."""
    sealing: Any = None if sink.tls is None else sink.tls.getHandle()
    return {
        "seal": None if sealing is None else sealing.send,
        "sealed": None if sealing is None else sealing.bio_read,
        "send": sink.connection.socket.send,
    }


# What pumps and writers are told that cannot go on by themselves


@frozen(eq=False)
class _ReadWay:
    """What a read goes on with."""

    source: _Side[Any]

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


@frozen(eq=False)
class _MessageWay(_ReadWay):
    """
    Likewise, where messages are handed over.

    Attributes:
        message: takes the one message of a read.
        first: takes a message, where the reader holds more.
    """

    message: Callable[[bytes, bool], None]
    first: Callable[[bytes, bool], None]


@frozen(eq=False)
class _ContentWay(_ReadWay):
    """
    Likewise, where nobody but the end knows what messages are.

    Attributes:
        content: takes what came, as TLS has opened it.
    """

    content: Callable[[bytes], None]

    def go_on(self, left: int) -> None:
        """The end has all."""


@frozen(eq=False, slots=False)  # it is mixed in
class _Sink:
    """What a write goes on with."""

    sink: _Side[Any]

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


@frozen(eq=False)
class _WriteWay(_Sink):
    """
    Likewise, of a writer.

    Attributes:
        otherwise: the method in whose place it stands.
    """

    otherwise: Callable[..., None]


@frozen(eq=False)
class _Way(_ReadWay, _Sink):
    """The way from one side to the other."""

    sink: _Side[Any]
