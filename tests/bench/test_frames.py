"""The generator's own half of the wire is right, or every figure would be of something else."""

from unittest import TestCase

from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame as OtherFrame
from websockets.frames import Opcode
from websockets.streams import StreamReader

from bench.frames import (
    BINARY,
    MOST_HEAD,
    PING,
    TEXT,
    Frame,
    Len32Framing,
    Upgrade,
    WebSocketFraming,
    WebSocketReader,
    WrongReply,
    apply_mask,
)

SIZES = (0, 1, 125, 126, 127, 65_535, 65_536, 100_000)
NONCE = bytes(range(16))
ACCEPT = "Bz3qJYTGdOe8gUSpLosEdiLKDrk="
"""What RFC 6455 makes of `NONCE`; worked out with another implementation."""


def read_with_websockets(data: bytes, *, masked: bool) -> OtherFrame:
    """Return what another implementation takes a frame for."""
    stream = StreamReader()
    stream.feed_data(data)
    parsing = OtherFrame.parse(stream.read_exact, mask=masked)
    try:
        next(parsing)
    except StopIteration as done:
        frame: OtherFrame = done.value
        return frame
    raise AssertionError("the frame is not whole")


class WebSocketFramingTests(TestCase):
    def setUp(self) -> None:
        self.framing = WebSocketFraming()

    def test_requests_are_read_by_another_implementation(self) -> None:
        """At every size where the head changes, masked, with opcode and payload intact."""
        for size in SIZES:
            with self.subTest(size):
                payload = bytes(index % 251 for index in range(size))
                frame = read_with_websockets(self.framing.request(payload, TEXT), masked=True)
                self.assertEqual((frame.opcode, frame.data), (Opcode.TEXT, payload))
                self.assertTrue(frame.fin)

    def test_replies_are_what_another_implementation_sends(self) -> None:
        """The foretold bytes are those that a server sends, or the fast check never matches."""
        for size in SIZES:
            payload = b"x" * size
            sent = OtherFrame(Opcode.BINARY, payload).serialize(mask=False)
            self.assertEqual(self.framing.reply(payload), sent, size)

    def test_masks_differ(self) -> None:
        """Each frame has a key of its own: no gateway meets the same bytes twice."""
        first, second = self.framing.request(b"payload"), self.framing.request(b"payload")
        self.assertNotEqual(first, second)

    def test_closing(self) -> None:
        """The last frame asks for a normal end."""
        frame = read_with_websockets(self.framing.closing, masked=True)
        self.assertEqual((frame.opcode, frame.data), (Opcode.CLOSE, b"\x03\xe8"))

    @given(st.binary(max_size=70), st.binary(min_size=4, max_size=4))
    def test_masks_as_the_standard_says(self, payload: bytes, key: bytes) -> None:
        """Octet i is combined with octet i mod 4 of the key."""
        wanted = bytes(octet ^ key[index % 4] for index, octet in enumerate(payload))
        self.assertEqual(apply_mask(payload, key), wanted)


class WebSocketReaderTests(TestCase):
    def test_cut_anywhere(self) -> None:
        """However the reads cut three frames, they come out whole and in order."""
        frames = [
            Frame(BINARY, True, b"a" * 130),
            Frame(PING, True, b""),
            Frame(TEXT, True, b"hi"),
        ]
        framing = WebSocketFraming()
        data = b"".join(framing.reply(each.payload, each.opcode) for each in frames)
        for cut in range(len(data) + 1):
            reader = WebSocketReader()
            found = reader.feed(data[:cut])
            self.assertEqual(reader.is_at_rest, cut in (0, 134, 136, len(data)), cut)
            self.assertEqual(found + reader.feed(data[cut:]), frames, cut)
            self.assertTrue(reader.is_at_rest)

    def test_byte_by_byte_with_every_length_form(self) -> None:
        """The longest head, 64 bits of length, may come in pieces, too."""
        for size in (125, 126, 65_536):
            reader, framing = WebSocketReader(), WebSocketFraming()
            data = framing.reply(b"z" * size)
            found = [frame for at in range(20) for frame in reader.feed(data[at : at + 1])]
            found += reader.feed(data[20:])
            self.assertEqual(found, [Frame(BINARY, True, b"z" * size)])

    def test_not_last(self) -> None:
        """A fragment is told from a whole message."""
        (frame,) = WebSocketReader().feed(b"\x02\x01a")
        self.assertEqual(frame, Frame(BINARY, False, b"a"))

    def test_refuses(self) -> None:
        """No server masks its frames or sets reserved bits."""
        for data in (b"\x82\x81aaaab", b"\xc2\x01a"):
            with self.assertRaises(WrongReply):
                WebSocketReader().feed(data)


class Len32Tests(TestCase):
    def test_cut_anywhere(self) -> None:
        """However the reads cut two frames, they come out whole and in order."""
        framing = Len32Framing()
        data = framing.request(b"first") + framing.request(b"") + framing.request(b"second")
        self.assertTrue(data.startswith(b"\0\0\0\x05first"))
        wanted = [Frame(BINARY, True, each) for each in (b"first", b"", b"second")]
        for cut in range(len(data) + 1):
            reader = framing.reader()
            self.assertEqual(reader.feed(data[:cut]) + reader.feed(data[cut:]), wanted, cut)

    def test_refuses_nonsense(self) -> None:
        """A length that nobody sends is not waited for."""
        with self.assertRaises(WrongReply):
            Len32Framing().reader().feed(b"\xff\xff\xff\xff")


class UpgradeTests(TestCase):
    def upgrade(self, subprotocol: str | None = None) -> Upgrade:
        return Upgrade("localhost:8889", "/ws", subprotocol, NONCE)

    def answer(self, *lines: str, accept: str = ACCEPT) -> bytes:
        head = ("HTTP/1.1 101 Switching Protocols", f"sec-websocket-accept:{accept}", *lines)
        return "\r\n".join([*head, "", ""]).encode()

    def test_request(self) -> None:
        """It is what a browser on the gateway's own page sends."""
        head, *lines = self.upgrade("orion.v2").request.decode().split("\r\n")
        self.assertEqual(head, "GET /ws HTTP/1.1")
        for line in (
            "Host: localhost:8889",
            "Origin: https://localhost:8889",
            "Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==",
            "Sec-WebSocket-Protocol: orion.v2",
        ):
            self.assertIn(line, lines)
        self.assertEqual(lines[-2:], ["", ""])

    def test_accepted(self) -> None:
        """What follows the head belongs to the talk; however the reads cut it."""
        data = self.answer() + b"\x82\x00"
        for cut in range(len(data) - 2):
            upgrade = self.upgrade()
            self.assertIsNone(upgrade.feed(data[:cut]))
            self.assertEqual(upgrade.feed(data[cut:]), b"\x82\x00", cut)

    def test_refused(self) -> None:
        """Any other answer ends the run, with its reason."""
        for data, reason in (
            (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", "503 Service"),
            (self.answer(accept="AAAA"), "another key"),
            (self.answer("Sec-WebSocket-Extensions: permessage-deflate"), "compression"),
            (self.answer("Sec-WebSocket-Protocol: chat"), "chat"),
            (b"x" * (MOST_HEAD + 1), "without an end"),
        ):
            with self.assertRaisesRegex(WrongReply, reason):
                self.upgrade().feed(data)

    def test_the_subprotocol_is_agreed_to(self) -> None:
        """Session mode is measured in the dialect that was asked for, or not at all."""
        data = self.answer("Sec-WebSocket-Protocol: orion.v1")
        self.assertEqual(self.upgrade("orion.v1").feed(data), b"")
        with self.assertRaises(WrongReply):
            self.upgrade("orion.v1").feed(self.answer())
