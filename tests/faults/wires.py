"""
A socket of an engine: framed TCP or WebSocket, with every way to do it badly.

A wire knows which of its frames the system has taken whole, and says so then and not before: what
was still in the program when the socket broke has not been written.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import Protocol, cast

from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN
from websockets.uri import parse_uri

from tests.e2e.backends import ENDINGS, PREFIXES, frame

CRUMB_EVERY = 0.0005
"""Seconds between the crumbs of a frame that is dribbled; with what a loop takes, twice that."""

MOST_CRUMBS = 400
"""Crumbs of a frame, and how many may wait when another one is begun: together they take a second.
Without an end a busy link would dribble on long after those who asked have left."""

SINGLE_BYTES = 200
"""How many bytes of a frame are crumbs by themselves, at least: the head, and more."""

OPEN_STATES = (1, 4, 5)
"""TCP states in which the peer has not ended: ESTABLISHED, FIN_WAIT1, FIN_WAIT2 (linux/tcp.h)."""

HUGE = 0x7FFF_FFFF
"""Bytes that a huge frame is announced with."""


class Codec(Protocol):
    """How payloads travel on a wire."""

    def opening(self) -> bytes:
        """Return what is to be sent first."""

    def receive(self, data: bytes) -> list[bytes]:
        """Take bytes; return the payloads that are whole now."""

    def replies(self) -> bytes:
        """Return what the wire's own rules want to be sent after `receive`."""

    def encode(self, payload: bytes) -> bytes: ...

    def huge(self) -> bytes:
        """Return the beginning of a frame that is announced as huge."""

    def goodbye(self) -> bytes:
        """Return what says that no more will come; nothing, if FIN alone says so."""

    @property
    def is_ready(self) -> bool:
        """Whether payloads may be sent."""


class Framed:
    """A framing of ``relay`` and ``session`` links, taken apart from a stream."""

    is_ready = True

    def __init__(self, framing: str) -> None:
        self._framing = framing
        self._rest = b""

    def opening(self) -> bytes:
        return b""

    def replies(self) -> bytes:
        return b""

    def goodbye(self) -> bytes:
        return b""

    def receive(self, data: bytes) -> list[bytes]:
        data = self._rest + data
        payloads = []
        at = 0
        while (found := self._next(data, at)) is not None:
            payload, at = found
            payloads.append(payload)
        self._rest = data[at:]
        return payloads

    def _next(self, data: bytes, at: int) -> tuple[bytes, int] | None:
        """Return the payload that begins at a place, and where the next one begins."""
        if self._framing in ENDINGS:
            end = data.find(ENDINGS[self._framing], at)
            return None if end < 0 else (data[at:end], end + 1)
        if self._framing == "netstring":
            colon = data.find(b":", at)
            start, size, tail = colon + 1, int(data[at:colon]) if colon >= 0 else 0, 1
            if colon < 0:
                return None
        else:
            prefix = struct.Struct(PREFIXES[self._framing])
            start, tail = at + prefix.size, 0
            if len(data) < start:
                return None
            (size,) = prefix.unpack_from(data, at)
        end = start + size
        return None if len(data) < end + tail else (data[start:end], end + tail)

    def encode(self, payload: bytes) -> bytes:
        return frame(payload, self._framing)

    def huge(self) -> bytes:
        if self._framing in PREFIXES:
            most = (1 << 8 * struct.calcsize(PREFIXES[self._framing])) - 1
            return struct.pack(PREFIXES[self._framing], min(most, HUGE)) + b"x" * 100
        return b"999999999:" if self._framing == "netstring" else b"x" * (4 << 20)


class WebSocketCodec:
    """A WebSocket client, one message a frame: text where the payload is text."""

    def __init__(self, url: str) -> None:
        self._protocol = ClientProtocol(parse_uri(url), max_size=None)
        self._url = url

    @property
    def is_ready(self) -> bool:
        return self._protocol.state is OPEN

    @property
    def close_code(self) -> int | None:
        """What the other side has closed with."""
        received = self._protocol.close_rcvd
        return None if received is None else received.code

    def opening(self) -> bytes:
        self._protocol.send_request(self._protocol.connect())
        return self.replies()

    def receive(self, data: bytes) -> list[bytes]:
        self._protocol.receive_data(data)
        return [
            bytes(event.data)
            for event in self._protocol.events_received()
            if isinstance(event, Frame) and event.opcode in (Opcode.TEXT, Opcode.BINARY)
        ]

    def replies(self) -> bytes:
        return b"".join(self._protocol.data_to_send())

    def goodbye(self) -> bytes:
        if self.is_ready:
            self._protocol.send_close(1000)
        return self.replies()

    def encode(self, payload: bytes) -> bytes:
        try:
            payload.decode()
        except UnicodeDecodeError:
            return Frame(Opcode.BINARY, payload).serialize(mask=True)
        return Frame(Opcode.TEXT, payload).serialize(mask=True)

    def huge(self) -> bytes:
        # A final text frame, masked, with a 64-bit length (RFC 6455, section 5.2).
        return b"\x81\xff" + struct.pack(">Q", HUGE) + b"mask" + b"x" * 100


def crumbs_of(data: bytes) -> list[bytes]:
    """Return bytes in pieces: one by one first, and never in more than `MOST_CRUMBS`."""
    if len(data) <= MOST_CRUMBS:
        return [data[at : at + 1] for at in range(len(data))]
    head, rest = data[:SINGLE_BYTES], data[SINGLE_BYTES:]
    step = -(-len(rest) // (MOST_CRUMBS - SINGLE_BYTES))
    return crumbs_of(head) + [rest[at : at + step] for at in range(0, len(rest), step)]


class Owner(Protocol):
    """Whose wire it is."""

    def wire_ready(self) -> None:
        """Payloads may be sent."""

    def wire_payload(self, payload: bytes, late: bool) -> None:
        """A frame has come; ``late``: the other side had ended already when it was read."""

    def wire_lost(self, how: str) -> None:
        """It is over: ``ended`` by FIN, or ``broken``."""


Note = Callable[[], None]
"""Called when the system has taken all of what was written with it."""


class Wire(asyncio.Protocol):
    """
    One socket.

    Args:
        codec: how payloads travel on it.
        own: builds the owner; called once the socket is there.
        is_dialled: whether this side has connected.
    """

    def __init__(self, codec: Codec, own: Callable[[Wire], Owner], *, is_dialled: bool) -> None:
        self._codec = codec
        self._own = own
        self._is_dialled = is_dialled
        self._owner: Owner | None = None
        self._ready = False
        self._held: list[bytes] = []
        self._is_paused = False
        self._notes: deque[Note] = deque()
        self._crumbs: deque[tuple[bytes, Note | None]] = deque()
        self._together: list[tuple[bytes, Note | None]] | None = None
        self._full = False
        self.port = 0
        """The port of the side that has dialled: what a proxy knows the connection by."""
        self.is_open = False
        self.is_finished = False
        """Whether this side has said that no more will come."""
        self.gone = asyncio.Event()
        """Set when it is over."""

    # From the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(0)
        self._raw: socket.socket = self._transport.get_extra_info("socket")
        name = "sockname" if self._is_dialled else "peername"
        self.port = self._transport.get_extra_info(name)[1]
        self.is_open = True
        self._owner = self._own(self)
        self._transport.write(self._codec.opening())
        self._look_whether_ready()

    def _look_whether_ready(self) -> None:
        if not self._ready and self._codec.is_ready and self._owner is not None:
            self._ready = True
            self._owner.wire_ready()

    def data_received(self, data: bytes) -> None:
        if self._is_paused:  # one more may come after a pause
            self._held.append(data)
            return
        late = self._raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] not in OPEN_STATES
        payloads = self._codec.receive(data)
        replies = self._codec.replies()
        if replies:
            self._write(replies, None, False)  # behind the crumbs of a frame, not among them
        self._look_whether_ready()
        for payload in payloads:
            if self._owner is not None:
                self._owner.wire_payload(payload, late)

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        self._taken()

    def _taken(self) -> None:
        while self._notes:
            self._notes.popleft()()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        self._notes.clear()
        self._crumbs.clear()
        self._together = None
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.wire_lost("ended" if exc is None else "broken")
        self.gone.set()

    # From the owner

    def send(self, payload: bytes, note: Note | None = None, *, crumbs: bool = False) -> None:
        """
        Send a frame.

        Args:
            payload: its payload.
            note: called when all of it has been taken.
            crumbs: send it byte by byte, or, beyond `SINGLE_BYTES`, in `MOST_CRUMBS` pieces, if
                there are not too many on their way already; what comes later waits.
        """
        self._write(self._codec.encode(payload), note, crumbs)

    def send_half(self, payload: bytes) -> None:
        """Send a frame's first half."""
        data = self._codec.encode(payload)
        self._write(data[: len(data) // 2], None, False)

    def announce_huge(self) -> None:
        """Begin a frame that would take all that is ever written: so nothing is, from now on."""
        self._hurry()
        self._write(self._codec.huge(), None, False)
        self.is_finished = True

    def _write(self, data: bytes, note: Note | None, crumbs: bool) -> None:
        if not self.takes:
            return
        if self._together is not None:
            self._together.append((data, note))
        elif crumbs or self._crumbs:
            is_first = not self._crumbs
            pieces = crumbs_of(data) if crumbs and len(self._crumbs) < MOST_CRUMBS else [data]
            self._crumbs.extend((piece, None) for piece in pieces[:-1])
            self._crumbs.append((pieces[-1], note))
            if is_first:
                self._next_crumb()
        else:
            self._transport.write(data)
            if note is not None:
                self._notes.append(note)
            if not self._full:
                self._taken()

    @property
    def takes(self) -> bool:
        """Whether what is written now may still go anywhere."""
        return self.is_open and not self.is_finished and not self._transport.is_closing()

    def _next_crumb(self) -> None:
        if not self._crumbs or not self.takes:
            return
        data, note = self._crumbs.popleft()
        self._transport.write(data)
        if note is not None:
            self._notes.append(note)
        if not self._full:
            self._taken()
        asyncio.get_running_loop().call_later(CRUMB_EVERY, self._next_crumb)

    def _hurry(self) -> None:
        """Write at once all that was to be written bit by bit, or later and together."""
        self._write_together()
        while self._crumbs and self.takes:
            data, note = self._crumbs.popleft()
            self._transport.write(data)
            if note is not None:
                self._notes.append(note)
        if not self._full:
            self._taken()

    def coalesce(self, seconds: float) -> None:
        """Keep what is sent for so long; then write it all at once."""
        if self._together is None:
            self._together = []
            asyncio.get_running_loop().call_later(seconds, self._write_together)

    def _write_together(self) -> None:
        together, self._together = self._together, None
        if not together:
            return
        data = b"".join(each for each, _ in together)

        def taken() -> None:
            for _, note in together:
                if note is not None:
                    note()

        self._write(data, taken, False)

    def pause(self) -> None:
        """Read no more."""
        self._is_paused = True
        if self.is_open:
            self._transport.pause_reading()

    def resume(self) -> None:
        self._is_paused = False
        if self.is_open:
            self._transport.resume_reading()
            held, self._held = self._held, []
            for data in held:
                self.data_received(data)

    def finish(self) -> None:
        """End it in good order, behind all that was written; reading goes on."""
        if self.takes:
            self._hurry()
            self.is_finished = True
            goodbye = self._codec.goodbye()
            if goodbye:
                self._transport.write(goodbye)
            else:
                self._transport.write_eof()

    def reset(self) -> None:
        """End it with RST, now."""
        if self.is_open:
            self._raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()
