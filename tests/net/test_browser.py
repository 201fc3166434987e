"""A browser's WebSocket: a real Autobahn client at one end, a recording owner at the other."""

from __future__ import annotations

import gc
import inspect
import os
import struct
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch
from weakref import ref

import txaio
from autobahn.twisted.websocket import (
    WebSocketClientFactory,
    WebSocketClientProtocol,
    WebSocketServerProtocol,
)
from autobahn.websocket.compress import (
    PerMessageDeflateOffer,
    PerMessageDeflateResponse,
    PerMessageDeflateResponseAccept,
)
from autobahn.websocket.compress_deflate import PerMessageDeflate
from twisted.internet import ssl
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.errors import CloseCode
from orion_twisted.core.handshake import Upgrade, upgrade_request
from orion_twisted.core.settings import Limits, Tenant
from orion_twisted.net.browser import (
    FRAMES_A_TURN,
    BrowserFactory,
    BrowserProtocol,
    browser_factory,
)
from orion_twisted.net.closing import (
    FAILED_CLOSE_TIMEOUT,
    MAX_REASON,
    ORDERLY_CLOSE_TIMEOUT,
    STALLED_CLOSE_TIMEOUT,
)
from orion_twisted.net.fragments import MOST_PIECES
from orion_twisted.net.timers import CALLS_A_TURN
from tests.certificates import issue
from tests.transports import Pipe, carry, pending

MAX_MESSAGE = 100_000
LIMITS = Limits(ping_every=20.0, ping_timeout=10.0)
COARSE = 1.5
"""Seconds by which Autobahn's timers may be off: it gathers them in whole seconds."""

MASK = b"\x01\x02\x03\x04"


def client_frame(opcode: int, payload: bytes = b"", *, last: bool = True, rsv: int = 0) -> bytes:
    """Return a frame as a browser sends it."""
    size = len(payload)
    first = (0x80 if last else 0) | rsv << 4 | opcode
    if size < 126:
        head = struct.pack("!BB", first, 0x80 | size)
    elif size < 65536:
        head = struct.pack("!BBH", first, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", first, 0x80 | 127, size)
    masked = bytes(byte ^ MASK[at % 4] for at, byte in enumerate(payload))
    return head + MASK + masked


def deflated(payload: bytes) -> bytes:
    """Return a message as permessage-deflate sends it (RFC 7692 section 7.2.1)."""
    compressor = zlib.compressobj(wbits=-15)
    return (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


class Owner:
    """Whom the socket reports to."""

    def __init__(self) -> None:
        self.heard: list[object] = []
        self.reads: list[int] = []
        self.browser: BrowserProtocol | None = None
        self.on_message: Callable[[bytes], None] = lambda payload: None
        self.on_open: Callable[[BrowserProtocol], None] = lambda browser: None

    def browser_opened(self, browser: BrowserProtocol) -> None:
        self.heard.append("open")
        self.browser = browser
        self.on_open(browser)

    def browser_message(self, payload: bytes, is_binary: bool) -> None:
        self.heard.append(payload if is_binary else payload.decode())
        self.on_message(payload)

    def browser_rests(self) -> None:
        self.reads.append(len(self.heard))

    def browser_full(self, full: bool) -> None:
        self.heard.append("full" if full else "room")

    def browser_lost(self, code: int, reason: str) -> None:
        self.heard.append((code, reason))
        self.browser = None

    def forget(self) -> list[object]:
        """Return what was heard since the last time."""
        heard, self.heard = self.heard, []
        return heard


class Visitor(WebSocketClientProtocol):
    """The browser."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[object] = []

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.heard.append(payload if isBinary else payload.decode())

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        self.heard.append((wasClean, code, reason or ""))


class BrowserTestCase(SynchronousTestCase):
    """A browser and a socket, joined in memory, with all timers on one clock."""

    def setUp(self) -> None:
        self.clock: Any = MemoryReactorClock()
        # Autobahn's own timers, which are not those of the reactor that it is given.
        self.patch(txaio.config, "loop", self.clock)
        self.owner = Owner()
        self.wire = Pipe(self.clock)
        self.their_wire = Pipe(self.clock)

    def factory(self, compression: bool = False, **limits: Any) -> BrowserFactory:
        evolved = Limits(**{"ping_every": 20.0, "ping_timeout": 10.0, **limits})
        return browser_factory(evolved, MAX_MESSAGE, compression, self.clock)

    def connect(
        self,
        factory: BrowserFactory | None = None,
        subprotocol: str | None = None,
        offered: Sequence[str] = (),
        compression: bool = False,
    ) -> None:
        """Bring a browser in."""
        factory = factory or self.factory(compression)
        visitors = WebSocketClientFactory(
            "ws://shop.example/ws",
            origin="https://shop.example",
            protocols=list(offered),
            reactor=self.clock,
        )
        visitors.setProtocolOptions(
            failByDrop=False,
            echoCloseCodeReason=True,  # as browsers do
            openHandshakeTimeout=0,
            closeHandshakeTimeout=0,
            serverConnectionDropTimeout=0,
            perMessageCompressionOffers=[PerMessageDeflateOffer()] if compression else [],
            perMessageCompressionAccept=_accept,
        )
        self.visitor = Visitor()
        self.visitor.factory = visitors
        self.browser = factory.connect(self.owner, subprotocol)
        self.wire.connect(self.browser)
        self.their_wire.connect(self.visitor)
        self.exchange()
        self.assertEqual(self.owner.heard[:1], ["open"])
        self.owner.heard.remove("open")

    def exchange(self) -> None:
        carry(self.clock, self.wire, self.their_wire)

    def advance(self, seconds: float) -> None:
        """Let time pass, with both ends alive."""
        for _ in range(round(seconds * 4)):
            self.clock.advance(0.25)
            self.exchange()

    def say(self, *frames: bytes) -> None:
        """The browser sends frames in one read, as they are."""
        self.wire.hears(b"".join(frames))

    def sent(self) -> bytes:
        """Return the last frame that was sent to the browser, whole."""
        self.wire.turn()
        return bytes(self.wire.taken)


def _accept(response: object) -> PerMessageDeflateResponseAccept:
    assert isinstance(response, PerMessageDeflateResponse)
    return PerMessageDeflateResponseAccept(response)


class HandshakeTests(BrowserTestCase):
    """How a browser gets in."""

    def test_subprotocol(self) -> None:
        """The subprotocol that was agreed on is the one that the browser hears."""
        self.connect(subprotocol="mqtt", offered=["binary", "mqtt"])
        self.assertEqual(self.visitor.websocket_protocol_in_use, "mqtt")

    def test_no_subprotocol(self) -> None:
        """None in common is no error: the browser hears of none."""
        self.connect(offered=["chat"])
        self.assertIsNone(self.visitor.websocket_protocol_in_use)

    def test_the_answer(self) -> None:
        """The answer names no program and no version."""
        self.wire.connect(self.factory().connect(self.owner, None))
        tenant = Tenant(hosts=("shop.example",), backend=("tcp:192.0.2.1:1",))
        key = b"dGhlIHNhbXBsZSBub25jZQ=="
        self.wire.hears(upgrade_request(Upgrade(tenant, key), compression=False))
        answer = self.sent()
        self.assertTrue(answer.startswith(b"HTTP/1.1 101 Switching Protocols\r\n"))
        self.assertIn(b"\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", answer)
        self.assertNotIn(b"server:", answer.lower())

    def test_compression_only_where_it_is_wanted(self) -> None:
        """A browser's offer to compress is taken up by the setting alone."""
        self.connect(self.factory(compression=False), compression=True)
        self.assertEqual(self.visitor.websocket_extensions_in_use, [])
        self.setUp()
        self.connect(self.factory(compression=True), compression=True)
        self.assertEqual(len(self.visitor.websocket_extensions_in_use), 1)
        self.setUp()
        self.connect(self.factory(compression=True), compression=False)
        self.assertEqual(self.visitor.websocket_extensions_in_use, [])

    def test_bad_offer(self) -> None:
        """An offer that makes no sense is answered by a fixed 400, which reflects none of it."""
        tenant = Tenant(hosts=("shop.example",), backend=("tcp:192.0.2.1:1",))
        for offer in (
            b"permessage-deflate; marker",
            b"permessage-deflate; server_max_window_bits=marker",
        ):
            self.setUp()
            self.wire.connect(self.factory(compression=True).connect(self.owner, None))
            upgrade = Upgrade(tenant, b"dGhlIHNhbXBsZSBub25jZQ==", extensions=offer)
            self.wire.hears(upgrade_request(upgrade, compression=True))
            answer = self.sent()
            self.assertTrue(answer.startswith(b"HTTP/1.1 400 Bad Request\r\n"))
            self.assertTrue(answer.endswith(b"\r\nConnection: close\r\n\r\nBad Request\n"))
            self.assertNotIn(b"marker", answer)
            self.assertEqual((self.wire.heard_end, self.wire.aborted), (True, False))
            ((code, _),) = self.owner.heard  # type: ignore[misc]
            self.assertEqual(code, 1006)
            self.assertEqual(pending(self.clock), [])

    def test_offers_without_a_match(self) -> None:
        """Extensions that nobody knows are passed over."""
        tenant = Tenant(hosts=("shop.example",), backend=("tcp:192.0.2.1:1",))
        self.wire.connect(self.factory(compression=True).connect(self.owner, None))
        upgrade = Upgrade(tenant, b"dGhlIHNhbXBsZSBub25jZQ==", extensions=b"x-unknown; a=b")
        self.wire.hears(upgrade_request(upgrade, compression=True))
        self.assertIn(b"101 Switching", self.sent())
        self.assertNotIn(b"Extensions", self.sent())

    def test_handshake_that_nobody_finishes(self) -> None:
        """A socket whose handshake does not come, by whatever bug, is cut off."""
        self.wire.connect(self.factory(handshake=5.0).connect(self.owner, None))
        self.clock.pump([0.5] * 14)
        self.assertTrue(self.wire.aborted)

    def test_socket_options(self) -> None:
        """Small messages are not held back, and a browser that vanishes is noticed."""
        self.connect()
        self.assertEqual(self.wire.options, {"no_delay": True, "keep_alive": True})

    def test_socket_options_over_tls(self) -> None:
        """The same holds for the TCP connection below TLS."""
        certificate = ssl.PrivateCertificate.loadPEM(issue(["shop.example"]).pem)
        browsers = self.factory()
        with patch.object(browsers, "buildProtocol", lambda _: browsers.connect(self.owner, None)):
            secured = TLSMemoryBIOFactory(certificate.options(), False, browsers, self.clock)
            self.wire.connect(secured.buildProtocol(None))
        self.assertEqual(self.wire.options, {"no_delay": True, "keep_alive": True})


class MessagesTests(BrowserTestCase):
    """Messages in both directions."""

    SIZES = (0, 1, 125, 126, 65_535, 65_536, MAX_MESSAGE)

    def test_from_browser(self) -> None:
        """Messages arrive whole, with their type, whatever their size."""
        for compression in (False, True):
            self.setUp()
            self.connect(compression=compression)
            expected: list[object] = []
            for size in self.SIZES:
                self.visitor.sendMessage(b"b" * size, True)
                self.visitor.sendMessage("글".encode() * (size // 3), False)
                expected += [b"b" * size, "글" * (size // 3)]
            self.exchange()
            self.assertEqual(self.owner.heard, expected)

    def test_to_browser(self) -> None:
        """So do those to the browser, of incompressible bytes up to the limit, too."""
        for compression in (False, True):
            self.setUp()
            self.connect(compression=compression)
            expected: list[object] = []
            for size in (*self.SIZES, MAX_MESSAGE - 1):
                noise = os.urandom(size)
                self.browser.send(noise, True)
                self.browser.send(b"t" * size, False)
                expected += [noise, "t" * size]
            self.exchange()
            self.assertEqual(self.visitor.heard, expected)

    def test_fragments(self) -> None:
        """A message in fragments is one message, with a ping inside it."""
        self.connect()
        self.say(
            client_frame(1, b"one ", last=False),
            client_frame(9, b"are you there?"),
            client_frame(0, b"two ", last=False),
        )
        self.say(client_frame(0, b"three"))
        self.assertEqual(self.owner.heard, ["one two three"])
        self.assertEqual(self.sent(), b"\x8a\x0eare you there?")

    def test_crumbs(self) -> None:
        """A message in very many pieces takes no more memory than what is in it."""
        for pieces in (
            [client_frame(0, b"cc", last=False)] * 5000,
            [client_frame(0, b"", last=False)] * 5000,
            [client_frame(0, b"c" * 10_000, last=False)[:14], *[b"cc"] * 4999],
        ):
            self.setUp()
            self.connect()
            self.say(client_frame(1, b"begin", last=False))
            for piece in pieces:
                self.say(piece)
                self.advance(0)
            held = [*self.browser.message_data, *(self.browser.frame_data or [])]
            self.assertLess(len(held), 2 * MOST_PIECES + 3)
            size = sum(map(len, held))
            self.assertLess(sum(map(sys.getsizeof, held)), 2 * size + 100 * MOST_PIECES)

    def test_crumbs_are_put_together(self) -> None:
        """Such a message arrives as it was sent, in order."""
        self.connect()
        payload = bytes(range(256)) * 30
        self.say(client_frame(2, b"", last=False))
        for at in range(0, len(payload), 3):
            self.say(client_frame(0, payload[at : at + 3], last=False))
        self.say(client_frame(0, b""))
        for byte in client_frame(2, payload):
            self.say(bytes([byte]))
        self.advance(1)
        self.assertEqual(self.owner.heard, [payload, payload])
        self.assertTrue(all(type(each) is bytes for each in self.owner.heard))

    def test_byte_by_byte(self) -> None:
        """Frames may be cut anywhere."""
        self.connect()
        for byte in client_frame(1, b"one") + client_frame(2, b"x" * 200):
            self.say(bytes([byte]))
        self.assertEqual(self.owner.heard, ["one", b"x" * 200])

    def test_pings_of_one_that_does_not_read(self) -> None:
        """Pongs that nobody reads do not pile up: once there is room the last ping is answered."""
        self.connect()
        self.wire.room = 0
        self.browser.send(b"x" * 70_000, True)
        for number in range(1000):
            self.say(client_frame(9, b"%d" % number))
            self.advance(0)
        self.wire.taken.clear()
        self.wire.room = 1_000_000
        self.wire.turn()
        self.assertEqual(self.sent()[-5:], b"\x8a\x03999")
        self.assertLess(len(self.wire.taken), 70_100)
        self.wire.taken.clear()
        self.say(client_frame(9, b"and now?"))
        self.assertEqual(self.sent(), b"\x8a\x08and now?")

    def test_browser_that_does_not_read(self) -> None:
        """The owner hears when the send buffer is full, and when there is room again."""
        self.connect()
        self.wire.room = 0
        self.browser.send(b"x" * 70_000, True)
        self.assertEqual(self.owner.forget(), ["full"])
        self.wire.room = 1_000_000
        self.exchange()
        self.assertEqual(self.owner.forget(), ["room"])
        self.assertEqual(self.visitor.heard, [b"x" * 70_000])


class PauseTests(BrowserTestCase):
    """An owner that has enough."""

    def test_pause_holds_what_has_already_arrived(self) -> None:
        """Frames of one read wait, in order, while the owner has paused the socket."""
        self.connect()
        self.owner.on_message = lambda _: self.browser.pauseProducing()
        self.say(*(client_frame(1, b"%d" % number) for number in range(4)))
        self.assertEqual((self.owner.forget(), self.wire.reading), (["0"], False))
        self.browser.resumeProducing()
        self.assertEqual((self.owner.forget(), self.wire.reading), (["1"], False))
        self.owner.on_message = lambda _: None
        self.wire.protocol.dataReceived(client_frame(1, b"4"))  # as TLS does, paused or not
        self.assertEqual(self.owner.forget(), [])
        self.browser.resumeProducing()
        self.assertEqual((self.owner.forget(), self.wire.reading), (["2", "3", "4"], True))

    def test_paused_from_the_beginning(self) -> None:
        """An owner may pause as soon as the socket is open."""
        self.owner.on_open = lambda browser: browser.pauseProducing()
        self.connect()
        self.visitor.sendMessage(b"one")
        self.exchange()
        self.assertEqual(self.owner.forget(), [])
        self.browser.resumeProducing()
        self.exchange()
        self.assertEqual(self.owner.forget(), ["one"])

    def test_frames_right_behind_the_handshake(self) -> None:
        """What comes with the handshake waits if the owner pauses, and is not lost."""
        self.owner.on_open = lambda browser: browser.pauseProducing()
        self.wire.connect(self.factory().connect(self.owner, None))
        tenant = Tenant(hosts=("shop.example",), backend=("tcp:192.0.2.1:1",))
        request = upgrade_request(Upgrade(tenant, b"dGhlIHNhbXBsZSBub25jZQ=="), compression=False)
        self.wire.hears(request + client_frame(1, b"one") + client_frame(1, b"two"))
        self.assertEqual(self.owner.forget(), ["open"])
        self.wire.protocol.resumeProducing()
        self.assertEqual(self.owner.forget(), ["one", "two"])

    def test_nothing_is_inflated(self) -> None:
        """Compressed frames stay compressed while the owner has paused the socket."""
        self.connect(compression=True)
        with patch.object(
            PerMessageDeflate,
            "decompress_message_data",
            autospec=True,
            side_effect=PerMessageDeflate.decompress_message_data,
        ) as inflate:
            self.owner.on_message = lambda _: self.browser.pauseProducing()
            for _ in range(5):
                self.visitor.sendMessage(b"x" * MAX_MESSAGE, True)
            self.exchange()
            inflated = inflate.call_count
            self.assertEqual(self.owner.forget(), [b"x" * MAX_MESSAGE])
            self.clock.pump([1.0] * 3)
            self.assertEqual(inflate.call_count, inflated)
            self.owner.on_message = lambda _: None
            self.browser.resumeProducing()
        self.assertEqual(self.owner.forget(), [b"x" * MAX_MESSAGE] * 4)

    def test_pause_and_resume_within_one_message(self) -> None:
        """An owner that pauses and resumes while it takes a message gets each one once."""
        self.connect()

        def blink(_: bytes) -> None:
            self.browser.pauseProducing()
            self.browser.resumeProducing()

        self.owner.on_message = blink
        self.say(*(client_frame(1, b"%d" % number) for number in range(4)))
        self.assertEqual((self.owner.forget(), self.wire.reading), (["0", "1", "2", "3"], True))

    def test_pause_twice(self) -> None:
        """Pausing what is paused, and resuming what is not, does nothing."""
        self.connect()
        self.browser.resumeProducing()
        self.browser.pauseProducing()
        self.browser.pauseProducing()
        self.browser.resumeProducing()
        self.assertTrue(self.wire.reading)

    def test_in_the_middle_of_a_frame(self) -> None:
        """A frame that is cut by the pause is whole afterwards."""
        self.connect()
        frame = client_frame(2, b"x" * 1000)
        self.say(frame[:500])
        self.browser.pauseProducing()
        self.say(frame[500:])
        self.assertEqual(self.owner.forget(), [])
        self.browser.resumeProducing()
        self.wire.turn()
        self.assertEqual(self.owner.forget(), [b"x" * 1000])


class TurnsTests(BrowserTestCase):
    """Reads with more frames than one browser may have handled before it is the others' turn."""

    def setUp(self) -> None:
        super().setUp()
        self.connect()
        self.frames = [client_frame(1, b"%d" % number) for number in range(3 * FRAMES_A_TURN)]
        self.messages = [str(number) for number in range(3 * FRAMES_A_TURN)]

    def test_a_turn_at_a_time(self) -> None:
        """A burst of small frames is handled in turns, and is not read on meanwhile."""
        self.say(*self.frames)
        self.assertEqual(self.owner.forget(), self.messages[:FRAMES_A_TURN])
        self.assertFalse(self.wire.reading)
        self.browser.dataReceived(client_frame(1, b"more"))  # TLS had it already
        self.assertEqual(self.owner.forget(), [])
        self.clock.advance(0)
        self.assertEqual(self.owner.forget(), [*self.messages[FRAMES_A_TURN:], "more"])
        self.assertTrue(self.wire.reading)

    def test_told_when_a_turn_is_over(self) -> None:
        """The owner hears that there is no more for now: then it writes what comes of it all."""
        self.owner.reads.clear()
        self.owner.forget()
        self.say(*self.frames)
        self.assertEqual(self.owner.reads, [FRAMES_A_TURN])
        self.clock.pump([0, 0])
        self.assertEqual(self.owner.reads[-1], len(self.messages))

    def test_paused_between_turns(self) -> None:
        """An owner that is full between two turns gets the rest when it asks for it."""
        self.say(*self.frames)
        self.browser.pauseProducing()
        self.clock.advance(0)
        self.assertEqual(self.owner.forget(), self.messages[:FRAMES_A_TURN])
        self.browser.resumeProducing()
        self.clock.advance(0)
        self.assertEqual(self.owner.forget(), self.messages[FRAMES_A_TURN:])
        self.assertTrue(self.wire.reading)

    def test_paused_and_resumed_between_turns(self) -> None:
        """Asking for more does not bring the next turn earlier."""
        self.say(*self.frames)
        self.owner.forget()
        self.browser.pauseProducing()
        self.browser.resumeProducing()
        self.assertEqual(self.owner.forget(), [])
        self.clock.advance(0)
        self.assertEqual(self.owner.forget(), self.messages[FRAMES_A_TURN:])

    def test_close_between_turns(self) -> None:
        """A browser that is closed between two turns is not heard any more, and gets its end."""
        self.say(*self.frames, client_frame(8, b"\x03\xe8"))
        self.owner.forget()
        self.browser.close(CloseCode.NORMAL, "")
        self.clock.advance(0)
        self.exchange()
        self.assertEqual((self.owner.heard, self.wire.aborted), ([(1000, "")], False))

    def test_gone_between_turns(self) -> None:
        """A browser that vanishes between two turns leaves nothing behind."""
        self.say(*self.frames)
        self.wire.breaks()
        self.assertEqual(pending(self.clock), [])


class CloseTests(BrowserTestCase):
    """How a socket ends in good order."""

    def test_codes(self) -> None:
        """Every close code and its reason reach the browser, and the end is no reset."""
        for code in CloseCode:
            self.setUp()
            self.connect()
            self.browser.send(b"last", False)
            self.browser.close(code, code.name)
            self.exchange()
            self.assertEqual(self.visitor.heard, ["last", (True, int(code), code.name)])
            self.assertEqual((self.wire.heard_end, self.wire.aborted), (True, False))
            self.assertEqual(self.owner.heard, [(int(code), code.name)])
            self.assertEqual(pending(self.clock), [])

    def test_long_reason(self) -> None:
        """A reason that is too long is cut between two letters."""
        self.connect()
        self.browser.close(CloseCode.NORMAL, "x" + "글" * 100)
        self.exchange()
        self.assertEqual(self.visitor.heard, [(True, 1000, "x" + "글" * ((MAX_REASON - 1) // 3))])

    def test_by_the_browser(self) -> None:
        """A browser's own code and reason are answered, and its owner hears them."""
        self.connect()
        self.visitor.sendClose(4321, "bye")
        self.exchange()
        self.assertEqual(self.owner.heard, [(4321, "bye")])
        self.assertEqual(self.visitor.heard, [(True, 4321, "bye")])
        self.assertEqual((self.wire.heard_end, self.wire.aborted), (True, False))
        self.assertEqual(pending(self.clock), [])

    def test_by_the_browser_without_a_code(self) -> None:
        """A close frame without a code is 1005 to its owner."""
        self.connect()
        self.visitor.sendClose()
        self.exchange()
        self.assertEqual(self.owner.heard, [(1005, "")])

    def test_gone_without_a_word(self) -> None:
        """A connection that ends without a close frame is 1006 to its owner."""
        for end in (lambda: self.wire.hears_end(), lambda: self.wire.breaks()):
            self.setUp()
            self.connect()
            end()
            ((code, _),) = self.owner.heard  # type: ignore[misc]
            self.assertEqual((code, pending(self.clock)), (1006, []))

    def test_messages_after_our_close_frame(self) -> None:
        """What the browser had sent before it read our close frame is dropped."""
        self.connect()
        self.visitor.sendMessage(b"late")
        self.browser.close(CloseCode.BACKEND_DOWN, "BACKEND_DOWN")
        self.exchange()
        self.assertEqual(self.owner.heard, [(4014, "BACKEND_DOWN")])

    def test_sending_into_a_closing_socket(self) -> None:
        """What is sent after a close frame, ours or the browser's, is dropped without an error."""
        self.connect()
        self.browser.close(CloseCode.NORMAL, "")
        self.browser.send(b"late", True)
        self.exchange()
        self.assertEqual(self.visitor.heard, [(True, 1000, "")])
        self.setUp()
        self.connect()
        self.say(client_frame(8, b"\x03\xe8"))
        self.browser.send(b"late", True)
        self.say(client_frame(2, b"x" * (MAX_MESSAGE + 1)))
        self.browser.send(b"late", True)

    def test_close_twice(self) -> None:
        """The first close counts."""
        self.connect()
        self.browser.close(CloseCode.GOING_AWAY, "")
        self.browser.close(CloseCode.NORMAL, "")
        self.exchange()
        self.assertEqual(self.visitor.heard, [(True, 1001, "")])

    def test_closed_while_paused(self) -> None:
        """A paused socket is read again, so that the browser's close frame is seen."""
        self.connect()
        self.browser.pauseProducing()
        self.visitor.sendMessage(b"waits")
        self.exchange()
        self.browser.close(CloseCode.GOING_AWAY, "draining")
        self.exchange()
        self.assertEqual(self.owner.heard, [(1001, "draining")])

    def test_stopped_as_a_producer(self) -> None:
        """A consumer that goes away sends the browser away."""
        self.connect()
        self.browser.stopProducing()
        self.exchange()
        self.assertEqual(self.visitor.heard, [(True, 1001, "")])

    def test_all_that_was_sent_before(self) -> None:
        """The close frame comes after every message, however long the browser takes."""
        self.connect()
        self.wire.room = 0
        for _ in range(10):
            self.browser.send(b"x" * 50_000, True)
        self.browser.close(CloseCode.NORMAL, "")
        for _ in range(10):
            self.advance(2)
            self.wire.room += 50_100
            self.exchange()
        self.assertEqual(self.visitor.heard, [b"x" * 50_000] * 10 + [(True, 1000, "")])
        self.assertFalse(self.wire.aborted)


class StalledCloseTests(BrowserTestCase):
    """Browsers that do not play their part at the end."""

    def test_no_close_frame_comes_back(self) -> None:
        """A browser that does not answer our close frame is cut off, but not too soon."""
        self.connect()
        self.wire.room = 0
        self.browser.send(b"x" * 1000, True)
        self.browser.close(CloseCode.NORMAL, "")
        self.advance(ORDERLY_CLOSE_TIMEOUT - COARSE)
        self.assertFalse(self.wire.aborted)
        self.advance(2 * COARSE)
        self.assertTrue(self.wire.aborted)
        ((code, _),) = (each for each in self.owner.heard if isinstance(each, tuple))
        self.assertEqual((code, pending(self.clock)), (1000, []))

    def test_who_has_itself_to_blame(self) -> None:
        """A browser that is closed because it stalls or floods cannot go on for much longer."""
        self.connect()
        self.their_wire.pauseProducing()
        self.browser.close(CloseCode.TOO_FAST, "")
        self.advance(FAILED_CLOSE_TIMEOUT + 2 * COARSE)
        self.assertTrue(self.wire.aborted)

    def test_pings_do_not_shorten_it(self) -> None:
        """A ping that is under way when the socket is closed does not end it before its time."""
        self.connect()
        self.their_wire.pauseProducing()
        self.advance(LIMITS.ping_every + COARSE)
        self.browser.close(CloseCode.NORMAL, "")
        self.advance(ORDERLY_CLOSE_TIMEOUT - 2 * COARSE)
        self.assertFalse(self.wire.aborted)
        self.their_wire.resumeProducing()
        self.exchange()
        self.assertEqual(self.owner.heard, [(1000, "")])

    def test_last_bytes_are_not_taken(self) -> None:
        """A browser that closes, but does not take the answer, is cut off."""
        self.connect()
        self.wire.room = 0
        self.say(client_frame(8, b"\x03\xe8"))
        self.clock.advance(STALLED_CLOSE_TIMEOUT - 0.01)
        self.assertFalse(self.wire.aborted)
        self.clock.advance(0.01)
        self.assertTrue(self.wire.aborted)
        self.clock.advance(0)
        self.assertEqual((self.owner.heard, pending(self.clock)), ([(1000, "")], []))

    def test_abort(self) -> None:
        """A browser that has to go is cut off at once, whatever it was doing."""
        for before in (
            lambda: None,
            lambda: self.browser.pauseProducing(),
            lambda: self.browser.close(CloseCode.NORMAL, ""),
            lambda: self.say(client_frame(8, b"\x03\xe8")),
        ):
            self.setUp()
            self.connect()
            self.wire.room = 0
            before()
            self.browser.abort()
            self.assertTrue(self.wire.aborted)
            self.clock.advance(0)
            self.assertEqual((len(self.owner.heard), pending(self.clock)), (1, []))


class PingTests(BrowserTestCase):
    """Browsers that have gone without a word."""

    def silence(self) -> None:
        """The browser does not read any more."""
        self.their_wire.pauseProducing()

    def test_pings(self) -> None:
        """A browser that answers pings stays."""
        self.connect()
        self.advance(200)
        self.assertEqual((self.owner.heard, self.wire.aborted), ([], False))
        self.assertGreater(self.browser.autoPingPendingSeq, 5)

    def test_no_answer(self) -> None:
        """A browser that does not answer is cut off."""
        self.connect()
        self.silence()
        self.advance(LIMITS.ping_every + LIMITS.ping_timeout - COARSE)
        self.assertFalse(self.wire.aborted)
        self.advance(3 * COARSE)
        self.assertTrue(self.wire.aborted)
        ((code, _),) = self.owner.heard  # type: ignore[misc]
        self.assertEqual((code, pending(self.clock)), (1006, []))

    def test_messages_count_as_an_answer(self) -> None:
        """A browser that sends messages is alive, even if its answer to the ping is late."""
        self.connect()
        self.silence()
        for _ in range(20):
            self.advance(5)
            self.say(client_frame(1, b"alive"))
        self.assertFalse(self.wire.aborted)

    def test_paused_by_us(self) -> None:
        """A browser that we do not read is not cut off: its answer may wait behind the rest."""
        self.connect()
        self.browser.pauseProducing()
        self.advance(100)
        self.assertFalse(self.wire.aborted)
        self.browser.resumeProducing()
        self.advance(100)
        self.assertEqual((self.owner.heard, self.wire.aborted), ([], False))

    def test_gone_while_paused(self) -> None:
        """A browser that has gone meanwhile is noticed once it is read again."""
        self.connect()
        self.browser.pauseProducing()
        self.silence()
        self.advance(100)
        self.assertFalse(self.wire.aborted)
        self.browser.resumeProducing()
        self.advance(LIMITS.ping_timeout + COARSE)
        self.assertTrue(self.wire.aborted)
        self.assertEqual(pending(self.clock), [])


class BrokenRulesTests(BrowserTestCase):
    """Browsers that break the protocol hear which rule."""

    def assert_closed(self, code: int, *frames: bytes) -> None:
        self.wire.taken.clear()
        self.say(*frames)
        sent = self.sent()
        self.assertEqual((sent[0], sent[2:4]), (0x88, struct.pack("!H", code)), sent)

    def test_rules(self) -> None:
        """Each broken rule has its close code, and nothing of it reaches the owner."""
        for code, *frames in (
            (1009, client_frame(2, b"x" * (MAX_MESSAGE + 1))),
            (1009, client_frame(2, b"x" * (MAX_MESSAGE + 1))[:14]),
            (1009, client_frame(2, b"x" * MAX_MESSAGE, last=False), client_frame(0, b"x")),
            (1007, client_frame(1, b"\xff")),
            (1007, client_frame(1, b"\xea\xb8", last=False), client_frame(0, b"x")),
            (1007, client_frame(1, b"\xea\xb8")),
            (1007, client_frame(8, b"\x03\xe8\xff")),
            (1002, b"\x81\x01x"),
            (1002, client_frame(1, b"x", rsv=4)),
            (1002, client_frame(3, b"x")),
            (1002, client_frame(11, b"x")),
            (1002, client_frame(0, b"x")),
            (1002, client_frame(9, b"x", last=False)),
            (1002, client_frame(9, b"x" * 126)),
            (1002, client_frame(8, b"x")),
            (1002, client_frame(8, b"\x03\xe7")),
        ):
            with self.subTest(code=code, frames=[frame[:8] for frame in frames]):
                self.setUp()
                self.connect()
                self.assert_closed(code, *frames)
                for each in self.owner.heard:
                    self.assertIsInstance(each, tuple)

    def test_the_owner_hears_why(self) -> None:
        """The owner hears the code of the rule, whatever the browser's own close frame says."""
        for *frames, code in (
            (client_frame(1, b"\xff"), client_frame(8, b"\x0f\x9f"), 1007),
            (client_frame(8, b"\x03\xe7"), 1002),
            (client_frame(8, b"x"), 1002),
            (client_frame(3, b"x"), 1002),
        ):
            with self.subTest(code=code):
                self.setUp()
                self.connect()
                self.say(*frames)
                self.advance(FAILED_CLOSE_TIMEOUT + 2 * COARSE)
                self.advance(2 * COARSE)
                heard = [each[0] for each in self.owner.heard if isinstance(each, tuple)]
                self.assertEqual(heard, [code])

    def test_bomb(self) -> None:
        """A message that is small only while it is compressed is refused as too large."""
        self.connect(compression=True)
        self.visitor.maxMessagePayloadSize = 0
        self.visitor.sendMessage(b"x" * (MAX_MESSAGE + 1), True)
        self.exchange()
        ((was_clean, code, _),) = self.visitor.heard  # type: ignore[misc]
        self.assertEqual((was_clean, code), (True, 1009))

    def test_what_comes_behind(self) -> None:
        """After it has failed, data is neither inflated nor kept; the close frame is read."""
        bomb = deflated(bytes(5 * MAX_MESSAGE))
        for begin, code in (
            (client_frame(2, bomb, rsv=4), 1009),
            (client_frame(1, deflated(b"\xff"), rsv=4), 1007),
            (client_frame(2, b"\xff" * 10, rsv=4), 1007),
            (client_frame(3, b"x"), 1002),
        ):
            with self.subTest(code=code):
                self.setUp()
                self.connect(compression=True)
                self.their_wire.pauseProducing()
                self.assert_closed(code, begin)
                with patch.object(PerMessageDeflate, "decompress_message_data") as inflate:
                    self.say(*[client_frame(2, bomb, rsv=4)] * 50, client_frame(1, b"\xff"))
                    for _ in range(10):
                        self.clock.advance(0)
                    self.assertEqual((self.browser.data, inflate.call_count), (b"", 0))
                    self.say(client_frame(8, struct.pack("!H", code)))
                self.assertEqual((self.wire.heard_end, self.wire.aborted), (True, False))
                self.assertEqual([each[0] for each in self.owner.heard], [code])

    def test_what_comes_behind_our_own_close(self) -> None:
        """Who is told to go floods in vain: nothing is inflated any more."""
        self.connect(compression=True)
        self.their_wire.pauseProducing()
        self.say(client_frame(2, deflated(b"x" * 1000), rsv=4, last=False))
        self.browser.close(CloseCode.TOO_FAST, "")
        with patch.object(PerMessageDeflate, "decompress_message_data") as inflate:
            self.say(client_frame(0, b"x"), client_frame(2, deflated(b"x" * 1000), rsv=4))
            self.say(client_frame(8, b"\x0f\xa9"))
        self.assertEqual((inflate.call_count, self.wire.heard_end), (0, True))
        self.assertEqual([each[0] for each in self.owner.heard], [4009])

    def test_bad_compression(self) -> None:
        """Bytes that cannot be inflated are refused."""
        self.connect(compression=True)
        self.assert_closed(1007, client_frame(2, b"\xff" * 10, rsv=4))

    def test_largest_compressed_message(self) -> None:
        """A message of the very limit is taken however it is cut, one more byte is not."""
        for content in (bytes(MAX_MESSAGE), os.urandom(MAX_MESSAGE)):
            octets = deflated(content)
            whole = client_frame(2, octets, rsv=4)
            halves = client_frame(2, octets[:9], rsv=4, last=False) + client_frame(0, octets[9:])
            for said in (whole, halves):
                for size in (len(said), 1000, len(said) - 1, len(said) - 4):
                    self.setUp()
                    self.connect(compression=True)
                    for at in range(0, len(said), size):
                        self.say(said[at : at + size])
                    self.assertEqual(self.owner.forget(), [content])
            self.assert_closed(1009, client_frame(2, deflated(content + b"x"), rsv=4))

    def test_more_than_the_limit_at_the_end(self) -> None:
        """A message whose last bytes do not fit is refused, and never delivered without them."""
        octets = deflated(bytes(MAX_MESSAGE + 100))
        for missing, code in enumerate((1009, 1007, 1007)):
            self.setUp()
            self.connect(compression=True)
            self.assert_closed(code, client_frame(2, octets[: len(octets) - missing], rsv=4))
            self.assertEqual([each for each in self.owner.heard if isinstance(each, bytes)], [])

    def test_a_huge_compressed_frame(self) -> None:
        """What would be too much even if nothing in it compressed is refused as announced."""
        self.connect(compression=True)
        announced = client_frame(2, b"x" * 2 * MAX_MESSAGE, rsv=4)[:14]
        self.assert_closed(1009, announced)

    def test_a_final_block(self) -> None:
        """A message may end with a final block (RFC 7692 7.2.3.4); the next one begins anew."""
        self.connect(compression=True)
        hello = b"\xf3\x48\xcd\xc9\xc9\x07\x00"
        for octets in (hello, hello + b"\0"):
            self.say(client_frame(1, octets, rsv=4) * 2)
            self.say(client_frame(1, octets[:-1], rsv=4, last=False), client_frame(0, octets[-1:]))
            self.say(client_frame(1, deflated(b"and so on"), rsv=4))
            self.assertEqual(self.owner.forget(), ["Hello"] * 3 + ["and so on"])

    def test_behind_a_final_block(self) -> None:
        """What goes on behind a final block is refused, and nothing of it is kept."""
        hello = b"\xf3\x48\xcd\xc9\xc9\x07\x00"
        for behind in (b"x", b"\0\0", hello, b"\0" * MAX_MESSAGE):
            for cut in (0, 1):
                self.setUp()
                self.connect(compression=True)
                self.assert_closed(
                    1007,
                    client_frame(1, hello + behind[:cut], rsv=4, last=False),
                    client_frame(0, behind[cut:]),
                )

    def test_browser_that_goes_on(self) -> None:
        """One that breaks the rules and does not answer our close frame is soon cut off."""
        self.connect()
        self.assert_closed(1002, client_frame(3, b"x"))
        self.their_wire.pauseProducing()
        self.advance(FAILED_CLOSE_TIMEOUT + 2 * COARSE)
        self.assertTrue(self.wire.aborted)
        self.assertEqual(pending(self.clock), [])


class SlowMessageTests(BrowserTestCase):
    """Messages that begin and do not end."""

    def test_too_slow(self) -> None:
        """A message that is not whole in time ends the socket."""
        self.connect(self.factory(message_time=30.0))
        for opcode in (1, 0, 0, 0):
            self.say(client_frame(opcode, b"x", last=False))
            self.advance(9)
        self.assertEqual(self.visitor.heard, [(True, int(CloseCode.TOO_SLOW), "TOO_SLOW")])

    def test_in_time(self) -> None:
        """Messages that are slow, but in time, are messages."""
        self.connect(self.factory(message_time=30.0))
        for _ in range(4):
            self.say(client_frame(1, b"x", last=False))
            self.advance(20)
            self.say(client_frame(0, b"y"))
        self.assertEqual(self.owner.heard, ["xy"] * 4)

    def test_waiting_for_us(self) -> None:
        """Time in which we do not read does not count."""
        self.connect(self.factory(message_time=30.0))
        self.say(client_frame(1, b"x", last=False))
        self.browser.pauseProducing()
        self.advance(100)
        self.browser.resumeProducing()
        self.say(client_frame(0, b"y"))
        self.assertEqual(self.owner.heard, ["xy"])


class OptionsTests(BrowserTestCase):
    """Autobahn's options: all of them are decided on here."""

    NOT_SET = {"self", "flashSocketPolicy"}
    """What needs no decision: the text of what is off."""
    LOGS = {"logOctets", "logFrames", "trackTimings"}
    """Off, and not to be set in the same way."""
    DERIVED = {"allowedOriginsPatterns"}

    def test_every_option_in_one_call(self) -> None:
        """One call sets every option, so that a new Autobahn has nothing to decide for us."""
        known = set(inspect.signature(BrowserFactory.setProtocolOptions).parameters)
        calls = []

        def record(factory: BrowserFactory, **options: Any) -> None:
            calls.append(set(options))

        with patch.object(BrowserFactory, "setProtocolOptions", record):
            self.factory()
        self.assertEqual(calls, [known - self.NOT_SET])

    def test_no_option_beside_them(self) -> None:
        """Whatever a protocol takes from its factory is among those options."""
        known = set(inspect.signature(BrowserFactory.setProtocolOptions).parameters)
        taken = set(WebSocketServerProtocol.CONFIG_ATTRS)
        self.assertEqual(taken - known, self.LOGS | self.DERIVED)
        factory = self.factory()
        for name in self.LOGS:
            self.assertFalse(getattr(factory, name))

    def test_values(self) -> None:
        """The settings arrive, and what is dangerous by default is off."""
        factory = self.factory(handshake=7.0, ping_every=11.0, ping_timeout=3.0)
        expected = {
            "versions": [13],
            "webStatus": False,
            "maxFramePayloadSize": MAX_MESSAGE,
            "maxMessagePayloadSize": MAX_MESSAGE,
            "failByDrop": False,
            "openHandshakeTimeout": 7.0,
            "autoPingInterval": 11.0,
            "autoPingTimeout": 3.0,
            "tcpNoDelay": True,
            "requireMaskedClientFrames": True,
            "utf8validateIncoming": True,
            "trustXForwardedFor": 0,
            "serveFlashSocketPolicy": False,
        }
        self.assertEqual({name: getattr(factory, name) for name in expected}, expected)


class SecondsTests(SynchronousTestCase):
    """Timers of sockets, of which there may be very many."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(100.5)
        self.timers = browser_factory(Limits(), 1, False, self.clock)._batched_timer
        self.called: list[str] = []

    def later(self, delay: float, name: str) -> Any:
        return self.timers.call_later(delay, lambda: self.called.append(name))

    def test_when(self) -> None:
        """None goes off early, none more than a second late, and those of a second together."""
        for delay in (0.4, 0.6, 1.4, 0.0):
            self.later(delay, str(delay))
        self.assertEqual(len(self.clock.getDelayedCalls()), 2)
        self.clock.advance(0.49)
        self.assertEqual(self.called, [])
        self.clock.advance(0.02)
        self.assertEqual(self.called, ["0.4", "0.0"])
        self.clock.advance(1)
        self.assertEqual(self.called, ["0.4", "0.0", "0.6", "1.4"])

    def test_cancelled(self) -> None:
        """What is cancelled does not come, not even by one that goes off with it."""
        first = self.timers.call_later(1, lambda: second.cancel())
        second = self.later(1, "second")
        third = self.later(1, "third")
        self.later(1, "fourth")
        third.cancel()
        self.clock.advance(2)
        self.assertEqual(self.called, ["fourth"])
        first.cancel()  # it has gone off
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_all_cancelled(self) -> None:
        """Where nothing is to come nobody waits for it."""
        calls = [self.later(5, "x"), self.later(5, "y")]
        for each in calls:
            each.cancel()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_very_many(self) -> None:
        """They take turns with everything else, and each goes off once."""
        for number in range(CALLS_A_TURN + 1):
            last = self.later(1, str(number))
        self.clock.callLater(1.5, self.called.append, "other")
        self.clock.advance(2)
        self.assertEqual(self.called.index("other"), CALLS_A_TURN)
        self.assertEqual(len(set(self.called)), CALLS_A_TURN + 2)
        last.cancel()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_bug(self) -> None:
        """A bug in one of them is logged, and the others go off."""
        self.timers.call_later(1, lambda: 1 / 0)
        self.later(1, "other")
        self.clock.advance(2)
        self.assertEqual(self.called, ["other"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class MemoryTests(BrowserTestCase):
    """Browsers that have gone are gone from memory, too."""

    @contextmanager
    def no_collector(self) -> Iterator[None]:
        gc.collect()
        gc.disable()
        try:
            yield
        finally:
            gc.enable()

    def test_freed_without_the_collector(self) -> None:
        """A closed browser is freed at once: no cycle of references waits for the collector."""
        for compression in (False, True):
            for end in ("by us", "by the browser", "by a break", "by a cut"):
                with self.subTest(end, compression=compression):
                    self.setUp()
                    self.connect(compression=compression)
                    self.visitor.sendMessage(b"hello", False)
                    self.browser.send(b"hello", False)
                    self.exchange()
                    gone = ref(self.browser)
                    with self.no_collector():
                        if end == "by us":
                            self.browser.close(CloseCode.NORMAL, "")
                        elif end == "by the browser":
                            self.visitor.sendClose(1000)
                        elif end == "by a break":
                            self.wire.breaks()
                        else:
                            self.browser.abort()
                        del self.browser
                        self.exchange()
                        self.clock.advance(0)
                        self.assertIsNone(gone())


class FailureTests(BrowserTestCase):
    """Ends with a reason that Autobahn does not know."""

    def test_any_reason(self) -> None:
        """Whatever the transport says, the owner hears of the end once."""
        self.connect()
        self.wire.connectionLost(Failure(ZeroDivisionError()))
        self.assertEqual(len(self.owner.heard), 1)
