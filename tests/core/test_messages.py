"""The type of a message across a link."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.errors import BackendError, InvalidPayload
from orion_twisted.core.messages import MESSAGE_TYPES, message_codec

KOREAN = "한글".encode()
NO_UTF8 = (b"\xff", b"a\xc3", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80", KOREAN[:-1])


class MessageCodecTests(SynchronousTestCase):
    """`message_codec` and what it gives."""

    def test_types(self) -> None:
        """There are three message types; only tagged frames are longer, by a byte."""
        self.assertEqual(MESSAGE_TYPES, ("text", "binary", "tagged"))
        overheads = {name: message_codec(name).overhead for name in MESSAGE_TYPES}
        self.assertEqual(overheads, {"text": 0, "binary": 0, "tagged": 1})

    def test_unknown_type(self) -> None:
        """Another type is refused with the list of them."""
        error = self.assertRaises(ValueError, message_codec, "json")
        self.assertEqual(str(error), "'json' is no message type: text, binary, tagged")

    def test_to_frame(self) -> None:
        """What a browser sends reaches the backend as the tenant's message type has it."""
        for name, payload, is_binary, frame in (
            ("text", b'{"@MSGID":1}', False, b'{"@MSGID":1}'),
            ("text", KOREAN, False, KOREAN),
            ("text", KOREAN, True, KOREAN),
            ("text", b"", True, b""),
            ("binary", b"\xff", True, b"\xff"),
            ("binary", b"a", False, b"a"),
            ("binary", b"", True, b""),
            ("tagged", b"a", False, b"Ta"),
            ("tagged", b"\xff", True, b"B\xff"),
            ("tagged", b"", False, b"T"),
            ("tagged", b"", True, b"B"),
        ):
            with self.subTest(f"{name} {payload!r} {is_binary}"):
                self.assertEqual(message_codec(name).to_frame(payload, is_binary), frame)

    def test_from_frame(self) -> None:
        """What the backend sends reaches the browser with the type that it is meant to have."""
        for name, frame, message in (
            ("text", b"{}", (b"{}", False)),
            ("text", KOREAN, (KOREAN, False)),
            ("text", b"", (b"", False)),
            ("binary", b"\xff", (b"\xff", True)),
            ("binary", b"", (b"", True)),
            ("tagged", b"T{}", (b"{}", False)),
            ("tagged", b"T" + KOREAN, (KOREAN, False)),
            ("tagged", b"T", (b"", False)),
            ("tagged", b"B\xff", (b"\xff", True)),
            ("tagged", b"B", (b"", True)),
        ):
            with self.subTest(f"{name} {frame!r}"):
                self.assertEqual(message_codec(name).from_frame(frame), message)

    def test_binary_that_is_no_text(self) -> None:
        """A binary message that is no UTF-8 cannot go where text is spoken: close code 1007."""
        for payload in NO_UTF8:
            with self.subTest(repr(payload)):
                error = self.assertRaises(
                    InvalidPayload, message_codec("text").to_frame, payload, True
                )
                self.assertEqual(error.close_code, 1007)

    def test_backend_that_sends_no_text(self) -> None:
        """Text from the backend that is no UTF-8 is its error, and reaches no browser."""
        for payload in NO_UTF8:
            with self.subTest(repr(payload)):
                self.assertRaises(BackendError, message_codec("text").from_frame, payload)
                self.assertRaises(BackendError, message_codec("tagged").from_frame, b"T" + payload)

    def test_backend_that_does_not_tag(self) -> None:
        """A frame without a tag, or with another, is the backend's error."""
        for frame in (b"", b"X", b"t{}", b"{}", b"\0T"):
            with self.subTest(repr(frame)):
                self.assertRaises(BackendError, message_codec("tagged").from_frame, frame)

    @settings(deadline=None)
    @given(st.text().map(str.encode), st.sampled_from(MESSAGE_TYPES))
    def test_text_survives(self, payload: bytes, name: str) -> None:
        """Text comes back from an echo as it was; only a binary tenant forgets its type."""
        codec = message_codec(name)
        echo = codec.from_frame(codec.to_frame(payload, False))
        self.assertEqual(echo, (payload, name == "binary"))

    @settings(deadline=None)
    @given(st.binary(), st.sampled_from(("binary", "tagged")))
    def test_binary_survives(self, payload: bytes, name: str) -> None:
        """Bytes come back from an echo as they were, and binary."""
        codec = message_codec(name)
        frame = codec.to_frame(payload, True)
        self.assertEqual(codec.from_frame(frame), (payload, True))
        self.assertEqual(len(frame), len(payload) + codec.overhead)
