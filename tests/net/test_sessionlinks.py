"""Links of session mode: all that framed links promise, and a frame alone in its read."""

from __future__ import annotations

from orion_twisted.core.frames import FrameDecoder, decoder
from orion_twisted.net.sessionlinks import SessionLink
from tests.net import test_backend
from tests.net.test_backend import MAX_PAYLOAD, frame


def session_link() -> SessionLink:
    return SessionLink(decoder("int32", MAX_PAYLOAD))


class ReadingTests(test_backend.ReadingTests):
    """Frames in, payloads out."""

    build = staticmethod(session_link)

    def test_one_frame_in_each_read(self) -> None:
        """Each is handed over by itself, and the owner told that this was all of the read."""
        self.bring_up()
        self.owner.forget()
        self.owner.rests.clear()
        for payload in (b"one", b"", b"three"):
            self.wire.hears(frame(payload))
        self.assertEqual(self.owner.heard, ["proved", b"one", b"", b"three"])
        self.assertEqual(self.owner.rests, [2, 3, 4])

    def test_what_is_left_goes_first(self) -> None:
        """A frame that comes whole behind the first bytes of another does not pass it."""
        self.bring_up()
        self.owner.forget()
        first = frame(b"first")
        self.wire.hears(first[:6])
        self.wire.hears(first[6:] + frame(b"second"))
        self.wire.hears(frame(b"third"))
        self.assertEqual(self.owner.heard, ["proved", b"first", b"second", b"third"])

    def test_half_a_frame_that_looks_like_a_whole_one(self) -> None:
        """The middle of a frame is no frame, whatever its bytes are."""
        self.bring_up()
        self.owner.forget()
        inner = frame(b"inner")
        outer = frame(inner + b"!")
        self.wire.hears(outer[:4])
        self.wire.hears(inner)
        self.wire.hears(b"!")
        self.assertEqual(self.owner.heard, ["proved", inner + b"!"])

    def test_the_decoder_is_not_asked_to_hold_it(self) -> None:
        """A frame that is alone in its read is cut out of it, and nothing is kept of it."""
        link = self.bring_up()
        assert isinstance(link, SessionLink)
        self.patch(FrameDecoder, "receive_data", None)
        self.wire.hears(frame(b"one"))
        self.assertEqual((self.owner.heard[-1], link._decoder.pending), (b"one", 0))


class TurnsTests(test_backend.TurnsTests):
    """Many frames in one read."""

    build = staticmethod(session_link)


class ProofTests(test_backend.ProofTests):
    """When a link has proved itself."""

    build = staticmethod(session_link)


class EndTests(test_backend.EndTests):
    """How links end."""

    build = staticmethod(session_link)


class StopTests(test_backend.StopTests):
    """A link that is not wanted any more."""

    build = staticmethod(session_link)
