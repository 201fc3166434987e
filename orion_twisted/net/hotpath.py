"""
The short way of a message: past Autobahn's frame loop.

Autobahn does the opening handshake, control frames, fragments, compression, errors and the end.
In between, plain data frames are read and written by `orion_twisted.core.wsframes`: whole
messages, or in mode ``relay`` all frames of one read at once, as they go on the link.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from typing import Protocol as Seam

from attrs import frozen

from orion_twisted.core.errors import BackendError, CloseCode
from orion_twisted.core.wsframes import Codec, FrameReader, LinkReader
from orion_twisted.net.browser import FRAMES_A_TURN, BrowserFactory, BrowserProtocol
from orion_twisted.net.eager import Guards, make_eager
from orion_twisted.net.links import BackendLink, LinkOwner

FRAMED_A_TURN = 256
"""How many frames of one side are carried over at once before it is the others' turn: less than
1 ms of work, as none of them is looked at alone."""


@frozen
class ShortWay:
    """
    How the plain frames of a tenant's browsers go.

    Attributes:
        codec: reads and writes them.
        max_message: largest message, in bytes.
        framing: of the tenant's links, if all frames of a read go there at once; else None, and
            the owner is told of each message.
        message_type: of those links.
    """

    codec: Codec
    max_message: int
    framing: str | None = None
    message_type: str = "binary"

    def reader(self) -> FrameReader:
        """Return what reads one browser's frames."""
        return self.codec.frame_reader(self.max_message, self.framing, self.message_type)


def shorten(factory: BrowserFactory, way: ShortWay) -> BrowserFactory:
    """Have a factory's sockets go the short way; returns the factory."""
    factory.browser_class = HotBrowserProtocol
    factory.way = way
    return factory


class FrameOwner(Seam):
    """Whom a browser's socket reports to that takes the frames of one read at once."""

    def browser_frames(self, frames: bytes, count: int, size: int) -> None:
        """So many whole messages, framed for the link, with so many bytes of payload in them."""


class Carrier(Seam):
    """
    Who carries a browser's frames in our place.

    Attributes:
        messages: how many it has carried.
    """

    messages: int


class HotBrowserProtocol(BrowserProtocol):
    """A socket whose plain data frames go the short way."""

    _reader: FrameReader | None = None
    _frame: Callable[[bytes, bool], bytes]
    _is_spliced = False
    _carrier: Carrier | None = None

    def onOpen(self) -> None:
        make_eager(self.transport)
        if self._perMessageCompress is None:
            way: ShortWay = self.factory.way
            self._reader = way.reader()
            self._frame = way.codec.message_frame
            self._is_spliced = way.framing is not None
        super().onOpen()

    # From the browser

    def dataReceived(self, data: bytes) -> None:
        reader = self._reader
        if reader is None or not (reader.pending or self._is_at_rest):
            super().dataReceived(data)
            return
        reader.feed(data)
        if self.autoPingTimeoutCall is not None:
            self._cancelAutoPingTimeoutCall()  # whoever sends something is there
        if not self._paused and self._resting is None:
            self._take_turn(reader)

    @property
    def _is_at_rest(self) -> bool:
        """Whether Autobahn has nothing begun, so that the next byte begins a frame and message."""
        return (
            self.state == self.STATE_OPEN
            and not self._closing
            and not self.data
            and self.current_frame is None
            and not self.inside_message
        )

    # For those who feed the reader in our place (`orion_twisted.net.pump`)

    @property
    def reader(self) -> FrameReader | None:
        """Whoever reads our frames; None if Autobahn does."""
        return self._reader

    def carried_by(self, carrier: Carrier | None) -> None:
        """Note that somebody carries our frames from now on; None: nobody else does."""
        self._messages = self._whole_messages
        self._carrier = carrier

    @property
    def _whole_messages(self) -> int:
        return self._messages + (0 if self._carrier is None else self._carrier.messages)

    def guards_of_reading(self) -> Guards:
        """Return what has to be so for what comes to be the reader's alone."""
        return (
            (self, "_reader", self._reader),
            (self, "_paused", False),
            (self, "_resting", None),
            (self, "autoPingTimeoutCall", None),
            *self.guards_of_writing(),
            (self, "data", False),
            (self, "current_frame", None),
            (self, "inside_message", False),
        )

    def guards_of_writing(self) -> Guards:
        """Return what has to be so for frames to be sent."""
        return ((self, "state", self.STATE_OPEN),)

    def go_on_with(self, left: int) -> None:
        """Deliver what others have fed the reader, of `FRAMED_A_TURN` so many frames still."""
        reader = self._reader
        if reader is not None and not self._paused and self._resting is None:
            self._take_turn(reader, left)

    def take_message(self, payload: bytes, is_binary: bool) -> None:
        """Deliver the one message of a read, which the reader does not hold any more."""
        self._messages += 1
        owner = self.owner
        if owner is None:
            return
        self._delivering = True
        try:
            owner.browser_message(payload, is_binary)
        finally:
            self._delivering = False
        owner = self.owner
        if owner is not None:
            owner.browser_rests()

    def take_first(self, payload: bytes, is_binary: bool) -> None:
        """Deliver a message likewise, and what the reader holds behind it."""
        reader = self._reader
        if reader is not None:
            self._take_turn(reader, first=[(payload, is_binary)])

    def _take_turn(
        self,
        reader: FrameReader,
        left: int = FRAMED_A_TURN,
        first: list[tuple[bytes, bool]] | None = None,
    ) -> None:
        """Deliver what is here, for as long as the owner takes it and it is this one's turn."""
        self._delivering = True
        try:
            is_whole_turn = self._deliver_from(reader, left, first)
        finally:
            self._delivering = False
        if self._paused or self._reader is None:
            self._rest()
            return
        if is_whole_turn:
            # The same read would keep every other browser waiting for as long.
            self.transport.pauseProducing()
            self._resting = self.factory.reactor.callLater(0, self._go_on)
        elif reader.is_odd:
            # Autobahn goes on from this frame's first byte, until it is at rest again.
            super().dataReceived(reader.release())
            return
        elif reader.pending:
            self._watch_message()
        self._rest()

    def _deliver_from(
        self, reader: FrameReader, left: int, first: list[tuple[bytes, bool]] | None = None
    ) -> bool:
        """Deliver messages; say whether there are more, and it is the others' turn."""
        owner: Any = self.owner
        if owner is None:
            return False
        if self._is_spliced:
            while left > 0:
                frames, count, size = reader.take_framed(left)
                if not count:
                    return False
                left -= count
                self._messages += count
                owner.browser_frames(frames, count, size)
                if self._paused or self._closing:
                    return False
            return True
        for _ in range(FRAMES_A_TURN):
            messages, first = first or reader.take(1), None
            if not messages:
                return False
            ((payload, is_binary),) = messages
            self._messages += 1
            owner.browser_message(payload, is_binary)
            if self._paused or self._closing:
                return False
        return True

    @property
    def _has_begun(self) -> bool:
        reader = self._reader
        return super()._has_begun or (reader is not None and reader.mid_frame)

    def _go_on(self) -> None:
        reader = self._reader
        if reader is None or not reader.pending:
            super()._go_on()
            return
        self._resting = None
        if not self._paused:
            self._take_turn(reader)
            if not self._paused and self._resting is None:
                self.transport.resumeProducing()

    def _catch_up(self) -> None:
        reader = self._reader
        if reader is not None and reader.pending:
            self._take_turn(reader)
        else:
            super()._catch_up()

    def close(self, code: CloseCode, reason: str) -> None:
        reader, self._reader = self._reader, None
        if reader is not None and reader.pending and self.state == self.STATE_OPEN:
            # The browser's close frame may be among it; messages before that are dropped.
            self.data = reader.release()
            if self._resting is None:
                self._resting = self.factory.reactor.callLater(0, self._go_on)
        super().close(code, reason)

    # To the browser

    def send(self, payload: bytes, is_binary: bool) -> None:
        if self._reader is None:
            super().send(payload, is_binary)
        elif self.state == self.STATE_OPEN:
            self.transport.write(self._frame(payload, is_binary))

    def send_all(self, messages: list[tuple[bytes, bool]]) -> None:
        if self._reader is None:
            super().send_all(messages)
        elif self.state == self.STATE_OPEN:
            frame = self._frame
            frames = [frame(payload, is_binary) for payload, is_binary in messages]
            self.transport.write(frames[0] if len(frames) == 1 else b"".join(frames))

    def send_frames(self, frames: bytes) -> None:
        """Send whole frames, as they are."""
        if self.state == self.STATE_OPEN:
            self.transport.write(frames)


class SplicedOwner(LinkOwner, Seam):
    """Whom a link reports to that takes the frames of one read at once."""

    def link_frames(self, frames: bytes, count: int, size: int) -> None:
        """So many whole messages, as WebSocket frames, with so many bytes of payload in them."""


class SplicedLink(BackendLink):
    """
    A link whose frames become WebSocket frames as they come.

    Args:
        reader: of this connection.
    """

    def __init__(self, reader: LinkReader) -> None:
        super().__init__()
        self.reader = reader

    def _take(self, data: bytes) -> None:
        self.reader.feed(data)

    def guards_of_reading(self) -> Guards:
        """Return what has to be so for what comes to be the reader's alone."""
        return (
            (self, "_paused", False),
            (self, "_resting", None),
            (self, "_ended", False),
            (self, "_error", None),
        )

    def guards_of_writing(self) -> Guards:
        """Return what has to be so for frames to be sent."""
        return ((self, "_loss", None), (self, "_ended", False), (self, "_error", None))

    def go_on_with(self, left: int) -> None:
        """Deliver what others have fed the reader, of `FRAMED_A_TURN` so many frames still."""
        if not self._paused and self._resting is None and not self._ended and self._error is None:
            self._deliver(left)

    def _deliver(self, left: int = FRAMED_A_TURN) -> None:
        owner: Any = self.factory.owner
        try:
            while left > 0 and not self._paused and not self._ended:
                frames, count, size = self.reader.take(left)
                if not count:
                    break
                left -= count
                if not self._proved:
                    self._prove()
                owner.link_frames(frames, count, size)
            else:
                if not self._paused and not self._ended:
                    self._rest()
        except BackendError as error:
            self.fail(error)
        owner.link_rests()

    def _holds(self) -> bool:
        return self.reader.pending > 0

    def _unfinished(self) -> int:
        return self.reader.pending if self.reader.mid_frame else 0
