"""What a link speaks, byte by byte."""

import json

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.backend_v2 import MAX_HEADER
from orion_twisted.core.errors import BackendError
from orion_twisted.demo.commands import MAX_PAYLOAD, Desk
from orion_twisted.demo.dialects import MAX_FRAME, MAX_SILENCE, V1, V2, Dialect, dialect_of
from orion_twisted.demo.documents import CommandRefused
from orion_twisted.demo.prints import Prints
from tests.demo.visit import Engine, Link, Visit
from tests.vectors import of


class LatePrints(Prints):
    """Prints when the test says so."""

    def __init__(self) -> None:
        self.printed: list[Deferred[tuple[str, int, int]]] = []

    def make(self, *job: object) -> Deferred[tuple[str, int, int]]:
        self.printed.append(Deferred())
        return self.printed[-1]


class DialectTestCase(SynchronousTestCase):
    kind: type[Dialect]

    def setUp(self) -> None:
        self.engine = Engine(self)
        self.prints = LatePrints()
        self.link = Link(Desk(self.engine.documents, self.prints), self.kind)

    def say(self, payload: bytes, now: float = 0.0) -> list[bytes]:
        """Have a frame come in; return what goes out."""
        self.link.sent.clear()
        self.link.dialect.receive(payload, now)
        return list(self.link.sent)


class ChoiceTests(SynchronousTestCase):
    def test_the_first_frame_says_which(self) -> None:
        """A header of orion.v2 is told from an object of orion.v1, whatever its members are."""
        for payload, kind in (
            (b'{"type":"open","sid":"s","tenant":"t"}', V2),
            (b'{"type":"ping"}', V2),
            (b'{"type":"request","id":1,"sid":"s"}\n{"cmd":"hello"}', V2),
            (b'{"@MSGID":1,"cmd":"hello"}', V1),
            (b'{"@MSGID":1,"cmd":"upload","type":"image/png"}', V1),
            (b"nonsense", V1),
            (b"", V1),
        ):
            self.assertIs(dialect_of(payload), kind, payload)


class V1Tests(DialectTestCase):
    """orion.v1."""

    kind = V1

    def test_an_answer_has_the_request_s_number(self) -> None:
        """The answer is an object with msgID, success and message."""
        (answer,) = self.say(b'{"@MSGID":7,"cmd":"close","document":1}')
        self.assertEqual(answer, b'{"msgID":7,"success":true,"message":"document 1 closed"}')

    def test_no_usable_number(self) -> None:
        """A message whose answer could not be matched is answered with msgID null."""
        for payload in (
            b"", b"{", b"\xff", b'"\\ud800"', b"NaN", b"1e999", b"[" * 100_000, b"[]", b"7",
            b'{"cmd":"hello"}', b'{"@MSGID":"1","cmd":"hello"}', b'{"@MSGID":1.5,"cmd":"hello"}',
            b'{"@MSGID":true,"cmd":"hello"}', b'{"@MSGID":-1,"cmd":"hello"}',
            b'{"@MSGID":9007199254740992,"cmd":"hello"}', b'{"@MSGID":1,"cmd":"hello"} x',
        ):  # fmt: skip
            with self.subTest(payload=payload[:30]):
                (answer,) = map(json.loads, self.say(payload))
                self.assertEqual((answer["msgID"], answer["success"]), (None, False))
        (answer,) = self.say(b'{"@MSGID":9007199254740991,"cmd":"documents"}')
        self.assertTrue(json.loads(answer)["success"])

    def test_any_depth_is_answered(self) -> None:
        """A deeply nested message cannot overflow anything, just below the parser's limit too."""
        self.say(b'{"@MSGID":1,"cmd":"new"}')
        for depth in range(800, 1_100, 7):
            nested = b"[" * depth + b"]" * depth
            for payload in (
                b'{"@MSGID":1,"cmd":"new","name":%b}' % nested,
                b'{"@MSGID":1,"cmd":"apply","document":1,"client":"%d","edit":1,"changes":%b}'
                % (depth, nested),
            ):
                answer = self.say(payload)[-1]
                self.assertFalse(json.loads(answer)["success"])

    def test_pdf_is_answered_when_it_is_printed(self) -> None:
        """What comes after a pdf is answered before it; its answer has its own number."""
        self.say(b'{"@MSGID":1,"cmd":"new","name":"N"}')
        self.assertEqual(self.say(b'{"@MSGID":2,"cmd":"pdf","document":1}'), [])
        self.assertEqual(len(self.say(b'{"@MSGID":3,"cmd":"hello"}')), 1)
        self.say(b'{"@MSGID":4,"cmd":"pdf","document":1}')
        self.prints.printed[0].callback(("id", 300, 2))
        self.prints.printed[1].errback(CommandRefused("no"))
        done, refused = map(json.loads, self.link.sent)
        self.assertEqual(
            done,
            {"msgID": 2, "success": True, "message": "N.pdf: 300 bytes", "pdf": "id",
             "bytes": 300, "parts": 2, "name": "N.pdf"},
        )  # fmt: skip
        self.assertEqual(refused, {"msgID": 4, "success": False, "message": "no"})

    def test_a_bug_in_the_thread_is_answered_and_logged(self) -> None:
        """Who waits for a PDF gets an answer whatever happens, and the operator a traceback."""
        self.say(b'{"@MSGID":1,"cmd":"new","name":"N"}')
        self.say(b'{"@MSGID":2,"cmd":"pdf","document":1}')
        self.prints.printed[0].errback(ZeroDivisionError())
        self.assertIn(b"a bug in the engine", self.link.sent[0])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_the_silent_are_forgotten(self) -> None:
        """Nobody tells of ends on a shared link: who is silent for MAX_SILENCE is let go."""
        visits = [Visit(self, self.engine, sid, self.link) for sid in ("a", "b", "")]
        visits[0].done("new")
        for visit in visits:
            visit.done("open", document=1)
        visits[0].now = MAX_SILENCE
        visits[0].done("hello")
        self.link.dialect.forget_silent(MAX_SILENCE - 0.1)
        self.assertEqual(self.engine.documents.sessions_on(self.link), ["a", "b", ""])
        self.link.dialect.forget_silent(MAX_SILENCE)
        self.assertEqual(self.engine.documents.sessions_on(self.link), ["a", ""])


class V2Tests(DialectTestCase):
    """orion.v2."""

    kind = V2

    def test_the_contract_s_own_examples(self) -> None:
        """All that docs/wire.md sends to a backend is read, and answered where it says so."""
        answers = 0
        for each in of("to-backend"):
            if not each.name.startswith("backend-v1"):
                said = self.say(each.octets)
                answers += len(said)
                is_answered = "request" in each.name or "ping" in each.name
                self.assertEqual(len(said), is_answered, each.name)
        self.assertEqual(answers, 3)

    def test_a_request(self) -> None:
        """A result has the request's id, and the ApiResult as its payload."""
        (result,) = self.say(b'{"type":"request","id":17,"sid":"s"}\n{"cmd":"close","document":1}')
        self.assertEqual(
            result,
            b'{"type":"result","id":17}\n{"success":true,"message":"document 1 closed"}',
        )
        (result,) = self.say(b'{"type":"request","id":18,"sid":"s"}\n{')
        self.assertIn(b'"success":false,"message":"not valid JSON', result)

    def test_bytes(self) -> None:
        """Bytes follow a line feed, and may have line feeds in them."""
        self.say(b'{"type":"request","id":1,"sid":"s"}\n{"cmd":"new"}')
        head = b'{"type":"request","id":2,"sid":"s","bin":true}\n'
        (result,) = self.say(head + b'{"cmd":"upload","document":1,"type":"image/png"}\n\n\x00\n')
        self.assertIn(b"this is no image/png that can be read", result)
        (result,) = self.say(head + b'{"cmd":"upload","document":1,"type":"image/png"}')
        self.assertIn(b"this is no image/png that can be read", result)

    def test_a_notification_is_never_answered(self) -> None:
        """Whatever is notified, nothing comes back but events."""
        for payload in (b'{"cmd":"hello"}', b'{"cmd":"x"}', b"{", b""):
            self.assertEqual(self.say(b'{"type":"notify","sid":"s"}\n' + payload), [])

    def test_a_push(self) -> None:
        """An event is for one session, whose name may be anything."""
        self.assertEqual(
            self.link.dialect.event('a"b', b'{"event":"x"}'),
            b'{"type":"push","sid":"a\\"b"}\n{"event":"x"}',
        )

    def test_broken_headers_end_the_link(self) -> None:
        """What is no header of this dialect is no contract any more."""
        for payload in (
            b"", b"{", b"\xff\n", b'{"type":"result","id":1}\n', b'{"id":1}\nx', b"[" * 5_000,
            b'{"type":"request","id":-1}\n{}', b'{"type":"request","id":1}', b'{"type":"notify"}',
            b'{"type":"ping","sid":"' + b"x" * MAX_HEADER + b'"}\n',
        ):  # fmt: skip
            with self.subTest(payload=payload[:30]):
                self.assertRaises(BackendError, self.say, payload)

    def test_a_frame_has_room_for_any_answer(self) -> None:
        """A payload at its limit fits into a frame together with its header."""
        self.assertGreaterEqual(
            MAX_FRAME - MAX_PAYLOAD, len(b'{"type":"result","id":%d,"bin":true}\n' % 2**53)
        )
