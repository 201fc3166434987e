"""The suite itself: what it lets pass, and that it lets nothing else pass."""

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance.case import Outcome, answers, closes, fails, text
from tests.conformance.cases import CASES, LARGE_CASES
from tests.conformance.frames import (
    Close,
    FrameReader,
    Message,
    Opcode,
    Ping,
    Pong,
    close_frame,
    frame,
    masked,
)
from tests.conformance.handshakes import REFUSALS
from tests.conformance.judge import Behaviour, Transcript, judge
from tests.conformance.utf8 import INVALID, VALID
from tests.conformance.wire import (
    STANDARD_REQUEST,
    Response,
    Target,
    accept_of,
    complaint_about_upgrade,
    request_octets,
)

A, B = text("a"), text("b")
OK, NON_STRICT, FAILED = Behaviour.OK, Behaviour.NON_STRICT, Behaviour.FAILED


def transcript(
    *messages: Message,
    pongs: tuple[bytes, ...] = (),
    code: int | None = 1000,
    close: bool = True,
    by_client: bool = False,
    ended: str = "eof",
) -> Transcript:
    """What a server did that closed with 1000, unless told otherwise."""
    return Transcript([*messages], [*pongs], Close(code, "") if close else None, by_client, ended)


class JudgeTests(SynchronousTestCase):
    """A server passes a case for what the RFC allows there, and for nothing else."""

    def check(
        self, outcomes: tuple[Outcome, ...], *verdicts: tuple[Transcript, Behaviour]
    ) -> None:
        for seen, behaviour in verdicts:
            with self.subTest(str(seen)):
                self.assertIs(behaviour, judge(outcomes, seen).behaviour)

    def test_answers(self) -> None:
        """Echoes must be all there, in order, of the same type, once."""
        self.check(
            answers(A, B),
            (transcript(A, B, by_client=True), OK),
            (transcript(A, B, by_client=True, code=None), OK),
            (transcript(A, by_client=True), FAILED),
            (transcript(B, A, by_client=True), FAILED),
            (transcript(A, B, B, by_client=True), FAILED),
            (transcript(A, Message(Opcode.BINARY, b"b"), by_client=True), FAILED),
            (transcript(A, B), FAILED),
            (transcript(A, B, by_client=True, code=1002), FAILED),
            (transcript(A, B, by_client=True, close=False), FAILED),
            (transcript(A, B, by_client=True, ended=""), FAILED),
            (transcript(A, B, by_client=True, ended="reset"), FAILED),
        )

    def test_pongs(self) -> None:
        """The last ping must be answered; earlier ones may be skipped, never answered twice."""
        self.check(
            answers(pongs=[b"1", b"2", b"3"]),
            (transcript(pongs=(b"1", b"2", b"3"), by_client=True), OK),
            (transcript(pongs=(b"1", b"3"), by_client=True), OK),
            (transcript(pongs=(b"3",), by_client=True), OK),
            (transcript(pongs=(b"1", b"2"), by_client=True), FAILED),
            (transcript(pongs=(b"2", b"1", b"3"), by_client=True), FAILED),
            (transcript(pongs=(b"1", b"3", b"3"), by_client=True), FAILED),
            (transcript(by_client=True), FAILED),
        )

    def test_closes(self) -> None:
        """A close frame is answered before TCP ends; echoes may be lost behind it."""
        self.check(
            closes(A, code=3000),
            (transcript(A, code=3000), OK),
            (transcript(code=1000), OK),
            (transcript(code=None), OK),
            (transcript(code=3000, ended="reset"), OK),
            (transcript(code=1002), FAILED),
            (transcript(B, code=3000), FAILED),
            (transcript(close=False), FAILED),
            (transcript(code=3000, ended=""), FAILED),
        )

    def test_fails(self) -> None:
        """A failed connection says why; another reason, or none, is only just allowed."""
        self.check(
            fails(A),
            (transcript(code=1002), OK),
            (transcript(A, code=1002, ended="reset"), OK),
            (transcript(code=1007), NON_STRICT),
            (transcript(close=False, ended="reset"), NON_STRICT),
            (transcript(close=False, ended=""), FAILED),
            (transcript(code=1000), FAILED),
            (transcript(code=1002, ended=""), FAILED),
            (transcript(A, B, code=1002), FAILED),
            (transcript(code=1002, pongs=(b"after the failure",)), FAILED),
        )

    def test_late(self) -> None:
        """A server that reads on after it could know is not strict."""
        seen = transcript(code=1002)
        seen.late = True
        self.check(fails(), (seen, NON_STRICT))

    def test_errors(self) -> None:
        """Broken framing fails a case whatever else was right."""
        seen = transcript(code=1002)
        seen.errors.append("server frame is masked")
        self.check(fails(), (seen, FAILED))


class FrameReaderTests(SynchronousTestCase):
    """Nothing that a server must not send goes unnoticed."""

    def read(self, *frames: bytes) -> FrameReader:
        reader = FrameReader()
        for octet in b"".join(frames):
            reader.feed(bytes([octet]))
        reader.finish()
        return reader

    def plain(self, opcode: int, payload: bytes = b"", **options: bool | int) -> bytes:
        return frame(opcode, payload, mask=None, **options)  # type: ignore[arg-type]

    def test_good(self) -> None:
        """Fragments are joined, with control frames between them, and sizes of every kind."""
        sizes = (0, 125, 126, 65535, 65536)
        reader = self.read(
            self.plain(Opcode.TEXT, "κ".encode()[:1], fin=False),
            self.plain(Opcode.PING, b"ping"),
            self.plain(Opcode.PONG, b"pong"),
            self.plain(Opcode.CONTINUATION, "κ".encode()[1:]),
            *(self.plain(Opcode.BINARY, bytes(size)) for size in sizes),
            self.plain(Opcode.CLOSE, b"\x03\xe8bye"),
        )
        self.assertEqual([], reader.violations)
        self.assertEqual(
            [
                Ping(b"ping"),
                Pong(b"pong"),
                text("κ"),
                *(Message(Opcode.BINARY, bytes(size)) for size in sizes),
                Close(1000, "bye"),
            ],
            reader.events,
        )

    def test_bad(self) -> None:
        """Every rule for a server's frames is held."""
        first = self.plain(Opcode.TEXT, b"a", fin=False)
        close = self.plain(Opcode.CLOSE)
        bad = {
            "masked": frame(Opcode.TEXT, b"a"),
            "reserved bits": self.plain(Opcode.TEXT, b"a", rsv=4),
            "reserved opcode": self.plain(3),
            "long control frame": self.plain(Opcode.PING, bytes(126)),
            "fragmented control frame": self.plain(Opcode.PONG, fin=False),
            "length in too many octets": self.plain(Opcode.TEXT, b"a", length_octets=2),
            "length in far too many octets": self.plain(Opcode.TEXT, b"a", length_octets=8),
            "continuation out of nowhere": self.plain(Opcode.CONTINUATION),
            "message inside a message": first + first,
            "text that is not UTF-8": self.plain(Opcode.TEXT, b"\xff"),
            "close of one octet": self.plain(Opcode.CLOSE, b"a"),
            "close code 1005": self.plain(Opcode.CLOSE, b"\x03\xed"),
            "close code 999": self.plain(Opcode.CLOSE, b"\x03\xe7"),
            "close reason that is not UTF-8": self.plain(Opcode.CLOSE, b"\x03\xe8\xff"),
            "frame after close": close + self.plain(Opcode.PONG),
            "two close frames": close + close,
            "stream cut off": self.plain(Opcode.TEXT, b"abc")[:-1],
        }
        for name, octets in bad.items():
            with self.subTest(name):
                self.assertEqual(1, len(self.read(octets).violations))


class ClientFrameTests(SynchronousTestCase):
    """The octets that we send are those of the RFC's own examples."""

    def test_examples(self) -> None:
        """RFC 6455, sections 1.3 and 5.7."""
        self.assertEqual(
            bytes.fromhex("81 85 37 fa 21 3d 7f 9f 4d 51 58"), frame(Opcode.TEXT, b"Hello")
        )
        self.assertEqual(
            bytes.fromhex("89 85 37 fa 21 3d 7f 9f 4d 51 58"), frame(Opcode.PING, b"Hello")
        )
        self.assertEqual(bytes.fromhex("88 80 37 fa 21 3d"), close_frame())
        self.assertEqual(
            bytes.fromhex("82 7e 01 00"), frame(Opcode.BINARY, bytes(256), mask=None)[:4]
        )
        self.assertEqual("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", accept_of(b"dGhlIHNhbXBsZSBub25jZQ=="))

    def test_masking_undoes_itself(self) -> None:
        """Masking twice gives the payload, whatever its length."""
        for size in range(9):
            payload = bytes(range(size))
            self.assertEqual(
                payload, masked(masked(payload, b"\x80\x01\x02\xff"), b"\x80\x01\x02\xff")
            )


class HandshakeReadingTests(SynchronousTestCase):
    """A 101 that is not right in every part is no upgrade."""

    RIGHT = (
        ("upgrade", "WebSocket"),
        ("connection", "keep-alive, Upgrade"),
        ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
    )

    def complaint(self, *headers: tuple[str, str], status: int = 101) -> str:
        return complaint_about_upgrade(Response(status, [*headers]), ("chat",))

    def test_right(self) -> None:
        """The right answer, with and without one of the subprotocols."""
        self.assertEqual("", self.complaint(*self.RIGHT))
        self.assertEqual("", self.complaint(*self.RIGHT, ("sec-websocket-protocol", "chat")))

    def test_wrong(self) -> None:
        """Each header that is missing, doubled or wrong, and extensions nobody has asked for."""
        for index in range(len(self.RIGHT)):
            rest = self.RIGHT[:index] + self.RIGHT[index + 1 :]
            self.assertNotEqual("", self.complaint(*rest))
            self.assertNotEqual("", self.complaint(*rest, (self.RIGHT[index][0], "wrong")))
        for name, value in (
            ("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            ("sec-websocket-extensions", "permessage-deflate"),
            ("sec-websocket-protocol", "superchat"),
        ):
            self.assertNotEqual("", self.complaint(*self.RIGHT, (name, value)))
        self.assertNotEqual("", self.complaint(*self.RIGHT, status=200))
        self.assertNotIn(101, REFUSALS)

    def test_request(self) -> None:
        """The request carries host and path of the target."""
        octets = request_octets(Target("a.example", 8889, "/ws"), STANDARD_REQUEST)
        self.assertTrue(octets.startswith(b"GET /ws HTTP/1.1\r\nHost: a.example:8889\r\n"))
        self.assertTrue(octets.endswith(b"\r\n\r\n"))


class TableTests(SynchronousTestCase):
    """The tables say what they mean."""

    def test_ids_differ(self) -> None:
        """No case hides another one."""
        ids = [case.id for case in [*CASES, *LARGE_CASES]]
        self.assertEqual(len(ids), len(set(ids)))

    def test_utf8(self) -> None:
        """What the tables call valid is what Python's decoder takes."""
        for name, octets in VALID:
            with self.subTest(name):
                self.assertEqual(octets, octets.decode().encode())
        for name, octets in INVALID:
            with self.subTest(name):
                self.assertRaises(UnicodeDecodeError, octets.decode)
