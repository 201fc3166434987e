"""
What pumps and writers are told that cannot go on by themselves.

A method of these is called where not all is plain any more, with what there is; it goes on as the
parts would have done without a pump. ``pump_c`` has the names, in ``pump.h``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import frozen
from twisted.internet.main import CONNECTION_LOST

from orion_twisted.net.hotpath import FRAMED_A_TURN
from orion_twisted.net.pumpsides import Side


@frozen(eq=False)
class ReadWay:
    """What a read goes on with."""

    source: Side[Any]

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
class MessageWay(ReadWay):
    """
    Likewise, where messages are handed over.

    Attributes:
        message: takes the one message of a read.
        first: takes a message, where the reader holds more.
    """

    message: Callable[[bytes, bool], None]
    first: Callable[[bytes, bool], None]


@frozen(eq=False)
class ContentWay(ReadWay):
    """
    Likewise, where nobody but the end knows what messages are.

    Attributes:
        content: takes what came, as TLS has opened it.
    """

    content: Callable[[bytes], None]

    def go_on(self, left: int) -> None:
        """The end has all."""


@frozen(eq=False, slots=False)  # it is mixed in
class Sink:
    """What a write goes on with."""

    sink: Side[Any]

    def not_sealed(self, frames: bytes, error: Any) -> None:
        """TLS has taken none of these frames."""
        self.sink.tls.not_sealed(frames, error)

    def partly_sealed(self, frames: bytes, size: int, sealed: bytes) -> None:
        """TLS has taken so much, and has made this of it; perhaps there is more."""
        self.sink.tls.partly_sealed(frames, size, sealed)

    def write(self, frames: bytes) -> None:
        """They are too much for a few records."""
        self.sink.tls.write(frames)

    def left(self, data: bytes, sent: int, error: OSError | None) -> None:
        """The socket has taken so much of this, or raised something."""
        self.sink.connection.put_off(data, sent, error)


@frozen(eq=False)
class WriteWay(Sink):
    """
    Likewise, of a writer.

    Attributes:
        otherwise: the method in whose place it stands.
    """

    otherwise: Callable[..., None]


@frozen(eq=False)
class Way(ReadWay, Sink):
    """The way from one side to the other."""

    sink: Side[Any]
