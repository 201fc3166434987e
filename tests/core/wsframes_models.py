"""
What the codec of the data path is compared with: naive readings, and Autobahn itself.

The naive ones look at all bytes at once, each frame by itself, and share nothing with the codec.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from attrs import frozen
from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.utf8validator import Utf8Validator
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from orion_twisted.core.errors import BackendError
from orion_twisted.core.frames import decoder, encoder, largest_payload
from orion_twisted.core.messages import message_codec
from orion_twisted.core.wsframes import FrameReader, LinkReader
from tests.conformance.frames import frame, masked

Message = tuple[bytes, bool]
"""A payload, and whether it is binary."""

ENOUGH = 1 << 30
"""More messages than any test has."""


def cut(stream: bytes, places: Iterable[int]) -> list[bytes]:
    """Cut a stream at places, which are taken modulo its length."""
    edges = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[a:b] for a, b in pairwise(edges)]


def server_frame(message: Message) -> bytes:
    """Return a message as a server sends it."""
    payload, is_binary = message
    return frame(2 if is_binary else 1, payload, mask=None)


def link_frame(message: Message, framing: str, message_type: str) -> bytes:
    """Return a message as it goes on a link."""
    return encoder(framing)(message_codec(message_type).to_frame(*message))


@frozen
class Said:
    """
    What some bytes of a stream say.

    Attributes:
        messages: the whole ones.
        rest: all bytes behind them.
        is_odd: whether the rest begins with a frame that is for others.
    """

    messages: list[Message]
    rest: bytes
    is_odd: bool

    @property
    def mid_frame(self) -> bool:
        return bool(self.rest) and not self.is_odd


def browser_said(
    stream: bytes, max_payload: int, framing: str | None = None, message_type: str = "binary"
) -> Said:
    """Read the frames of a browser."""
    most = largest_payload(framing) if framing is not None else None
    if most is not None:
        max_payload = min(max_payload, most - message_codec(message_type).overhead)
    messages: list[Message] = []
    while stream:
        parts = _parts(stream, max_payload)
        if isinstance(parts, bool):
            return Said(messages, stream, parts)
        is_binary, mask, begin, end = parts
        payload = masked(stream[begin:end], mask)
        is_whole = end <= len(stream)
        if not is_binary or message_type == "text":
            is_good, ends_well = judged(payload)
            if not is_good or (is_whole and not ends_well):
                return Said(messages, stream, True)
        if not is_whole:
            return Said(messages, stream, False)
        messages.append((payload, is_binary))
        stream = stream[end:]
    return Said(messages, b"", False)


def judged(text: bytes) -> tuple[bool, bool]:
    """Return whether bytes are the beginning of a text, and whether they end with a character."""
    # Python's incremental decoder would wait for more after the first half of a surrogate.
    is_good, ends_well, _, _ = Utf8Validator().validate(text)
    return is_good, is_good and ends_well


def _parts(stream: bytes, max_payload: int) -> tuple[bool, bytes, int, int] | bool:
    """
    Take apart the header of the first frame.

    Returns:
        Whether it is binary, its mask, where its payload begins and where it ends; or whether it
        is odd, where there is not enough of it.
    """
    if stream[:1] not in (b"\x81", b"\x82"):
        return True
    if len(stream) < 2:
        return False
    if stream[1] < 128:
        return True
    length = stream[1] - 128
    octets = {126: 2, 127: 8}.get(length, 0)
    if len(stream) < 2 + octets:
        return False
    if octets:
        length = int.from_bytes(stream[2 : 2 + octets])
        if length < (126 if octets == 2 else 65536):
            return True
    if length > max_payload:
        return True
    begin = 2 + octets + 4
    if len(stream) < begin:
        return False
    return stream[:1] == b"\x82", stream[begin - 4 : begin], begin, begin + length


def link_said(
    stream: bytes, max_payload: int, framing: str, message_type: str
) -> tuple[Said, BackendError | None]:
    """Read the frames of a link, as the way that is not the quick one does; and its error."""
    frames = decoder(framing, max_payload)
    types = message_codec(message_type)
    messages: list[Message] = []
    frames.receive_data(stream)
    try:
        while (payload := frames.next_payload()) is not None:
            messages.append(types.from_frame(payload))
    except BackendError as error:
        return Said(messages, b"", False), error
    return Said(messages, stream[len(stream) - frames.pending :], False), None


def drained(reader: FrameReader) -> list[Message]:
    """Take messages until none comes."""
    messages = []
    while taken := reader.take(ENOUGH):
        messages += taken
    return messages


def drained_framed(reader: FrameReader | LinkReader, most: int = ENOUGH) -> tuple[bytes, int, int]:
    """Take frames until none comes, and add everything up."""
    take = reader.take_framed if hasattr(reader, "take_framed") else reader.take
    frames, count, total = b"", 0, 0
    while (taken := take(most))[1]:
        assert taken[1] <= most
        frames, count, total = frames + taken[0], count + taken[1], total + taken[2]
    assert taken == (b"", 0, 0)
    return frames, count, total


HANDSHAKE = b"\r\n".join(
    (
        b"GET / HTTP/1.1",
        b"Host: shop.example",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        b"Sec-WebSocket-Version: 13",
        b"",
        b"",
    )
)


class Autobahn(WebSocketServerProtocol):
    """
    Autobahn's server, which tells what comes of a browser's bytes.

    Attributes:
        told: messages, pings, pongs and the first close frame that is sent, in their order.
    """

    def __init__(self, max_payload: int) -> None:
        super().__init__()
        self.told: list[tuple[Any, ...]] = []
        self.factory = WebSocketServerFactory(reactor=Clock())
        self.factory.setProtocolOptions(
            openHandshakeTimeout=0,
            closeHandshakeTimeout=0,
            failByDrop=False,
            maxFramePayloadSize=max_payload,
            maxMessagePayloadSize=max_payload,
        )
        self.makeConnection(StringTransport())
        super().dataReceived(HANDSHAKE)
        assert self.state == self.STATE_OPEN

    def _tell(self, *what: Any) -> None:
        if self.state == self.STATE_OPEN:
            self.told.append(what)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self._tell("message", payload, isBinary)

    def onPing(self, payload: bytes) -> None:
        self._tell("ping", payload)

    def onPong(self, payload: bytes) -> None:
        self._tell("pong", payload)

    def sendCloseFrame(
        self, code: int | None = None, reasonUtf8: bytes | None = None, isReply: bool = False
    ) -> None:
        self._tell("close", code, isReply)
        super().sendCloseFrame(code, reasonUtf8, isReply)

    def dropConnection(self, abort: bool = False) -> None:
        """Leave the connection as it is: nothing is told after a close frame."""


class ShortCut(Autobahn):
    """The same with a reader in front, which has the plain frames whenever Autobahn is at rest."""

    def __init__(self, max_payload: int, reader: FrameReader) -> None:
        self._reader: FrameReader | None = None
        super().__init__(max_payload)
        self._reader = reader

    @property
    def _is_at_rest(self) -> bool:
        return (
            self.state == self.STATE_OPEN
            and not self.data
            and self.current_frame is None
            and not self.inside_message
        )

    def dataReceived(self, data: bytes) -> None:
        reader = self._reader
        if reader is None or not self._is_at_rest:
            super().dataReceived(data)
            return
        reader.feed(data)
        while taken := reader.take(2):
            for payload, is_binary in taken:
                self.onMessage(payload, is_binary)
        if reader.is_odd:
            super().dataReceived(reader.release())


def told(protocol: Autobahn, pieces: Sequence[bytes]) -> list[list[tuple[Any, ...]]]:
    """Return what a protocol has told after each piece."""
    found = []
    for piece in pieces:
        protocol.dataReceived(piece)
        found.append(list(protocol.told))
    return found
