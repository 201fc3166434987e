"""
A browser's frames, however they are cut and whenever their reader has to wait.

Uncompressed ones are compared with a naive reading of RFC 6455, on each of the ways that they may
go; of compressed ones what is delivered, with what they inflate to where there is no limit.
"""

from __future__ import annotations

import codecs
import zlib
from collections.abc import Iterable
from functools import partial
from typing import Any
from unittest.mock import patch

import txaio
from attrs import field, frozen
from twisted.internet.testing import MemoryReactorClock

from fuzz.failures import none_logged
from fuzz.taking import Taking, pieces
from orion_twisted.core.frames import decoder
from orion_twisted.core.handshake import Upgrade, upgrade_request
from orion_twisted.core.messages import message_codec
from orion_twisted.core.settings import Limits, Tenant
from orion_twisted.core.wsframes import codec
from orion_twisted.net.browser import BrowserProtocol, browser_factory
from orion_twisted.net.hotpath import ShortWay, shorten
from orion_twisted.net.lightsockets import lighten
from tests.conformance.frames import Close, FrameReader, Opcode, Pong, close_frame, frame, masked
from tests.transports import Pipe, pending

LIMIT = 300
FRAMING, MESSAGE_TYPE = "int32", "tagged"
WAYS: tuple[ShortWay | None, ...] = (
    None,
    *(ShortWay(codec(portable=portable), LIMIT) for portable in (True, False)),
    *(
        ShortWay(codec(portable=portable), LIMIT, FRAMING, MESSAGE_TYPE)
        for portable in (True, False)
    ),
)
"""Through Autobahn alone, past its frame loop, and past single messages, too."""
LIMITS = Limits(ping_every=0.0)
TENANT = Tenant(hosts=("shop.example",), backend=("tcp:192.0.2.1:1",))
HANDSHAKE = {
    compression: upgrade_request(
        Upgrade(TENANT, b"dGhlIHNhbXBsZSBub25jZQ==", extensions=b"permessage-deflate"),
        compression,
    )
    for compression in (False, True)
}
CLOSE_CODES = {*range(1000, 1015), *range(3000, 5000)} - {1004, 1005, 1006}
"""Those that a browser may send (RFC 6455, section 7.4, and IANA's registry)."""


def deflated(payload: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


TEXT, BINARY, MORE, CLOSE, PING, PONG = (
    Opcode.TEXT,
    Opcode.BINARY,
    Opcode.CONTINUATION,
    Opcode.CLOSE,
    Opcode.PING,
    Opcode.PONG,
)
plain = partial(frame, mask=bytes(4))
"""A frame whose payload stands in it as it is, so that what is altered in it means something."""

FINAL = zlib.compress(b"final", wbits=-15)
_SEEDS = (
    b"\0\0\0" + frame(TEXT, b"hello") * 20 + close_frame(1000, b"bye"),
    b"\2\7\0" + plain(TEXT, "안녕".encode()) + plain(BINARY, b"\xff"),
    b"\2\3\1"
    + plain(TEXT, b"\xec\x95", fin=False)
    + plain(PING, b"p")
    + plain(MORE, b"\x88", fin=False)
    + plain(MORE),
    b"\0\0\0" + plain(BINARY, b"b" * LIMIT) + plain(TEXT, b"t" * (LIMIT + 1)),
    b"\0\0\0" + plain(TEXT, b"a", fin=False) + plain(MORE, fin=False) * 80 + plain(MORE),
    b"\0\0\0" + plain(PING, b"p" * 125) + plain(PONG) + close_frame() + plain(TEXT, b"late"),
    b"\0\0\0" + plain(CLOSE, b"\x03\xed"),
    b"\0\0\0" + plain(TEXT, b"\xff") + plain(TEXT, b"late") + plain(CLOSE, b"\x03\xef"),
    b"\1\0\0" + plain(TEXT, deflated(b"hello" * 9), rsv=4) * 3,
    b"\3\5\5" + plain(BINARY, deflated(bytes(LIMIT)), rsv=4),
    b"\1\5\5" + plain(BINARY, deflated(bytes(LIMIT + 1)), rsv=4) + plain(TEXT, b"late"),
    b"\1\0\0" + plain(TEXT, FINAL + b"\0", rsv=4) * 2,
    b"\1\0\0" + plain(TEXT, FINAL + b"\0\0", rsv=4),
    b"\1\0\0"
    + plain(TEXT, deflated(b"two frames")[:4], rsv=4, fin=False)
    + plain(MORE, deflated(b"two frames")[4:]),
)
SEEDS = (
    *_SEEDS,
    *(
        bytes([way << 3 | each[0] & 6]) + each[1:]
        for way in range(1, len(WAYS))
        for each in _SEEDS
        if not each[0] & 1
    ),
)


@frozen
class Heard:
    """
    What came of a browser's bytes.

    Attributes:
        messages: with whether they are binary.
        pongs: payloads.
        code: of our close frame; 0 for a frame without one, None for no frame.
    """

    messages: tuple[tuple[bytes, bool], ...]
    pongs: tuple[bytes, ...]
    code: int | None


@frozen
class Owner:
    """
    Whom the browser's socket reports to.

    Attributes:
        wait_after: how many messages it takes before it has to wait; 0: it never does.
    """

    wait_after: int
    messages: list[tuple[bytes, bool]] = field(factory=list)
    browsers: list[BrowserProtocol] = field(factory=list)
    lost: list[int] = field(factory=list)

    def browser_opened(self, browser: BrowserProtocol) -> None:
        self.browsers.append(browser)

    def browser_message(self, payload: bytes, is_binary: bool) -> None:
        assert type(payload) is bytes
        assert len(payload) <= LIMIT
        if not is_binary:
            payload.decode()
        assert not self.lost
        self.messages.append((payload, is_binary))
        if self.wait_after and len(self.messages) % self.wait_after == 0:
            self.browsers[0].pauseProducing()

    def browser_frames(self, frames: bytes, count: int, size: int) -> None:
        link = decoder(FRAMING, LIMIT + message_codec(MESSAGE_TYPE).overhead)
        link.receive_data(frames)
        before = len(self.messages)
        while (payload := link.next_payload()) is not None:
            self.browser_message(*message_codec(MESSAGE_TYPE).from_frame(payload))
        assert link.pending == 0
        arrived = self.messages[before:]
        assert (count, size) == (len(arrived), sum(len(payload) for payload, _ in arrived))

    def browser_rests(self) -> None:
        pass

    def browser_full(self, full: bool) -> None:
        raise AssertionError("the browser takes everything")

    def browser_lost(self, code: int, reason: str) -> None:
        self.lost.append(code)


def check(data: bytes) -> None:
    taking = Taking(data)
    options = taking.number(256)
    compression, wait_after = bool(options & 1), options >> 1 & 3
    sizes = bytes(taking.number(256) for _ in range(2))
    stream = taking.rest
    way = WAYS[0 if compression else options // 8 % len(WAYS)]
    whole = converse([stream], compression, 0)
    if compression:
        assert list(whole.messages) == inflated(stream)[: len(whole.messages)]
    else:
        assert whole == naive(stream), (whole, naive(stream))
    for cut in (pieces(stream, sizes), pieces(stream, b"")):
        other = converse(cut, compression, wait_after, way)
        assert other == whole, (other, whole)


def converse(
    cut: Iterable[bytes], compression: bool, wait_after: int, way: ShortWay | None = None
) -> Heard:
    """Let a browser say something, piece by piece, until it goes."""
    clock: Any = MemoryReactorClock()
    owner = Owner(wait_after)
    wire = Pipe(clock)
    with none_logged(), patch.object(txaio.config, "loop", clock):
        factory = browser_factory(LIMITS, LIMIT, compression, clock)
        if way is not None:
            lighten(shorten(factory, way))
        wire.connect(factory.connect(owner, None))
        wire.hears(HANDSHAKE[compression])
        for piece in cut:
            wire.hears(piece)
            settle(wire, owner)
        taken = bytes(wire.taken)
        clock.pump([0.5] * 20)  # an unfinished closing handshake has its time
        if wire.protocol is not None:
            wire.breaks()
        assert pending(clock) == [], "a timer outlives its connection"
        assert len(owner.lost) == 1
    reader = FrameReader()
    reader.feed(taken.partition(b"\r\n\r\n")[2])
    reader.finish()
    assert not reader.violations, reader.violations
    closes = [event.code or 0 for event in reader.events if isinstance(event, Close)]
    return Heard(
        tuple(owner.messages),
        tuple(event.payload for event in reader.events if isinstance(event, Pong)),
        closes[0] if closes else None,
    )


def settle(wire: Pipe, owner: Owner) -> None:
    """Let the reactor turn, and the owner take more, until nothing is left to do."""
    while wire.protocol is not None:
        wire.turn()
        (browser,) = owner.browsers
        due = [wait for wait in pending(wire.clock) if wait <= 0]
        if not due and wire.reading:
            return
        if not due and browser.state != browser.STATE_OPEN:
            return
        browser.resumeProducing()
        wire.clock.advance(0)


def naive(stream: bytes) -> Heard:
    """Read frames one after the other, as RFC 6455, section 5, lists their parts."""
    messages: list[tuple[bytes, bool]] = []
    pongs: list[bytes] = []
    opcode, message = 0, b""
    decoder = codecs.getincrementaldecoder("utf-8")()

    def end(code: int | None) -> Heard:
        return Heard(tuple(messages), tuple(pongs), code)

    while len(stream) >= 2:
        fin, kind, length = stream[0] >> 7, stream[0] & 15, stream[1] & 127
        is_control = kind >= 8
        if stream[0] >> 4 & 7 or not stream[1] >> 7 or kind not in (0, 1, 2, 8, 9, 10):
            return end(1002)
        if is_control and (not fin or length > 125 or (kind == 8 and length == 1)):
            return end(1002)
        if not is_control and bool(opcode) != (kind == 0):
            return end(1002)
        extended = {126: 2, 127: 8}.get(length, 0)
        begin = 2 + extended + 4
        if len(stream) < begin:
            break
        if extended:
            length = int.from_bytes(stream[2 : 2 + extended])
            if length >> 63 or length < (126 if extended == 2 else 65536):
                return end(1002)
        payload = stream[begin : begin + length]
        payload = masked(payload, stream[begin - 4 : begin])
        is_whole = len(stream) >= begin + length
        if not is_control:
            opcode = opcode or kind
            if len(message) + length > LIMIT:
                return end(1009)
            if opcode == 1:
                try:
                    decoder.decode(payload, final=bool(fin) and is_whole)
                except UnicodeDecodeError:
                    return end(1007)
            message += payload
        if not is_whole:
            break
        if is_control:
            if kind == 9:
                pongs.append(payload)
            if kind == 8:
                return end(naive_reply(payload))
        elif fin:
            messages.append((message, opcode == 2))
            opcode, message = 0, b""
            decoder.reset()
        stream = stream[begin + length :]
    return end(None)


def inflated(stream: bytes) -> list[tuple[bytes, bool]]:
    """Return the whole messages of a stream whose frames may be compressed, breaking no rule."""
    messages = []
    inflater = zlib.decompressobj(wbits=-15)
    parts: list[tuple[int, int, bytes]] = []
    while len(stream) >= 6:
        begin = 2 + {126: 2, 127: 8}.get(stream[1] & 127, 0) + 4
        length = int.from_bytes(stream[2 : begin - 4]) if begin > 6 else stream[1] & 127
        if len(stream) < begin + length:
            break
        payload = masked(stream[begin : begin + length], stream[begin - 4 : begin])
        if stream[0] & 15 < 8:
            parts.append((stream[0] & 15, stream[0] >> 6 & 1, payload))
            if stream[0] >> 7:
                (opcode, compressed, _), message = parts[0], b"".join(part[2] for part in parts)
                if compressed:
                    try:
                        message = inflater.decompress(message + b"\0\0\xff\xff")
                    except zlib.error:
                        break
                    if inflater.eof:
                        inflater = zlib.decompressobj(wbits=-15)
                messages.append((message, opcode == 2))
                parts.clear()
        stream = stream[begin + length :]
    return messages


def naive_reply(payload: bytes) -> int:
    """Return the code of the close frame that answers one."""
    if not payload:
        return 0
    code = int.from_bytes(payload[:2])
    if code not in CLOSE_CODES:
        return 1002
    try:
        payload[2:].decode()
    except UnicodeDecodeError:
        return 1007
    return code
