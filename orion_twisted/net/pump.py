"""
The shortest way: a message from socket to socket in one call.

A browser's socket and its link, on which whole frames go over both ways, may be joined by two
pumps, one for each direction. A pump stands where the reactor has a connection's ``doRead``. It
reads, has TLS and a reader of `orion_twisted.core.wsframes` do their part, and sends, all in C
(``pump_c``), by calls of public methods. It runs only while all is plain: before each read it
looks at what the parts of the way name as their guards (`orion_twisted.net.pumpsides`). All else
goes the way that is there without it, and whatever a pump cannot finish it hands over in the
middle (`orion_twisted.net.pumpways`).

Where messages are looked at, as in session mode, there are two halves of it (`Tap`): what reads,
up to the message, and what writes, from there on.

Guards are changed by Python alone. Our own reactor (`orion_twisted.net.leanreactor`) knows when it
has called any, and runs pumps without looking at guards that have held since.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from orion_twisted.core.wsframes import Codec
from orion_twisted.net.hotpath import FRAMED_A_TURN, HotBrowserProtocol, SplicedLink
from orion_twisted.net.leantls import OVERHEAD
from orion_twisted.net.pumpload import fast
from orion_twisted.net.pumpsides import Side, Tappable, side_of
from orion_twisted.net.pumpways import ContentWay, MessageWay, ReadWay, Way, WriteWay

READS_BEFORE_PUMPS = 2
"""How many reads of a connection are done without pumps: these take up to 2 KiB and 15 us for each
connection, which is much for those of one message."""


class Joint:
    """
    A browser's socket and a link, joined.

    Attributes:
        upwards: the pump that reads from the browser.
        downwards: the one that reads from the link.
    """

    def __init__(
        self,
        browser: Side[HotBrowserProtocol],
        link: Side[SplicedLink],
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
    def _pumps(self) -> tuple[tuple[Side[Any], Any], ...]:
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
        None if they cannot be pumped; they go on as they are.
    """
    if browser.reader is None:
        return None
    upper, lower = side_of(browser), side_of(link)
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

    def __init__(self, side: Side[Any], pump: Any, writer: Any, method: str) -> None:
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
        None if it cannot be pumped; it goes on as it is.
    """
    reader = browser.reader
    side = side_of(browser)
    if reader is None or side is None:
        return None
    way = MessageWay(side, browser.take_message, browser.take_first)
    reads = {"reader": reader, "feed": reader.feed, "take": reader.take}
    return Tap(side, _half(side, way, reads), _writer(side, "send", codec.message_frame), "send")


def tap_link(link: Tappable) -> Tap | None:
    """
    Have what a link brings go past TLS and the reactor's loop, and what `send_all` is given.

    `Tap.part` has to be said when the connection is lost.

    Returns:
        None if it cannot be pumped; it goes on as it is.
    """
    side = side_of(link)
    if side is None:
        return None
    way = ContentWay(side, link.dataReceived)
    reads = {"reader": None, "feed": None, "take": None}
    return Tap(side, _half(side, way, reads), _writer(side, "send_all", None), "send_all")


def new_tally() -> Any:
    """Return what counts for pumps: messages and bytes upwards, messages and bytes downwards."""
    return fast.Tally()


def _pump(
    source: Side[Any],
    sink: Side[Any],
    tally: Any,
    seconds: Callable[[], float] | None,
    *,
    is_upwards: bool,
) -> Any:
    """Return a pump from one side to the other, whose gate is shut."""
    reader = source.end.reader
    return fast.Pump(
        way=Way(source, sink),
        guards=(*source.guards_of_reading, *sink.guards_of_writing),
        tally=tally,
        is_upwards=is_upwards,
        frames_a_turn=FRAMED_A_TURN,
        overhead=OVERHEAD,
        reader=reader,
        feed=reader.feed,
        take=reader.take_framed if is_upwards else reader.take,
        seconds=seconds,
        **source.reading(),
        **sink.writing(),
    )


def _half(source: Side[Any], way: ReadWay, reads: dict[str, Any]) -> Any:
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
        **source.reading(),
    )


def _writer(sink: Side[Any], method: str, frame: Callable[[bytes, bool], bytes] | None) -> Any:
    """Return what does the work of a method of the end."""
    return fast.Writer(
        way=WriteWay(sink, getattr(sink.end, method)),
        guards=sink.guards_of_writing,
        overhead=OVERHEAD,
        frame=frame,
        **sink.writing(),
    )
