"""Backend dialect ``orion.v2``: a header line, and the payload untouched."""

from __future__ import annotations

import contextlib
import json

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.backend_v2 import (
    MAX_HEADER,
    MAX_HELLO,
    NAME,
    BackendV2,
    Hello,
    read_hello,
)
from orion_twisted.core.conversation import Answer, Pong, Push, Stray
from orion_twisted.core.errors import BackendError
from orion_twisted.core.ledger import Entry
from orion_twisted.core.session import Session
from tests.core.sessions import SID, message, session
from tests.vectors import of, vector


def talk_from(call: int) -> BackendV2:
    """Return a conversation whose next message gets this number."""
    talk = BackendV2("shop1")
    for n in range(1, call):
        talk.order(session(), message(n), 0.0)
    return talk


WRITTEN = {
    "backend-open",
    "backend-open-subject",
    "backend-request",
    "backend-request-safe",
    "backend-notify",
    "backend-gone",
    "backend-ping",
}
READ = {
    "backend-result",
    "backend-result-binary",
    "backend-result-not-ok",
    "backend-push",
    "backend-push-tenant",
    "backend-pong",
    "backend-hello",
}
"""The vectors of this dialect."""


class VectorTests(SynchronousTestCase):
    """Byte for byte what the page says."""

    def setUp(self) -> None:
        self.one = session()
        self.assertEqual(self.one.sid, SID)

    def asked(self, number: int) -> tuple[BackendV2, Entry]:
        """Return a conversation in which this number has been asked."""
        talk = talk_from(number)
        entry = message(1)
        talk.order(self.one, entry, 0.0)
        return talk, entry

    def test_what_the_backend_is_told(self) -> None:
        """Each vector, to the byte."""
        talk = talk_from(17)
        payload = b'{"cmd":"render","page":1}'
        move = b'{"cmd":"move","id":"f1","x":20,"y":25}'
        written = {
            "backend-open": talk.opened(self.one),
            "backend-open-subject": talk.opened(session(subject="customer-17")),
            "backend-request": talk.order(self.one, message(1, payload, deadline=4.98), 0.0),
            "backend-request-safe": talk.order(
                self.one, message(2, b"\x00\xff", safe=True, binary=True, deadline=4.98), 0.0
            ),
            "backend-notify": talk.order(self.one, message(2, move, notify=True), 0.0),
            "backend-gone": talk.gone(SID),
            "backend-ping": talk.ping(),
        }
        self.assertEqual(written, {name: vector(name).octets for name in WRITTEN})
        names = {each.name for each in of("to-backend")}
        self.assertEqual({each for each in names if not each.startswith("backend-v1-")}, WRITTEN)

    def test_what_the_backend_says(self) -> None:
        """What each vector means."""
        first, one = self.asked(17)
        second, two = self.asked(18)
        third, three = self.asked(18)
        bad = b"no such document"
        saved = b'{"event":"saved","id":"invoice"}'
        expected = {
            "backend-result": (
                first,
                Answer(self.one, one, b'{"success":true,"message":"","page":1}'),
            ),
            "backend-result-binary": (second, Answer(self.one, two, b"\x00\xff", is_binary=True)),
            "backend-result-not-ok": (
                third,
                Answer(self.one, three, bad, ok=False),
            ),
            "backend-push": (first, Push(saved, sid=SID)),
            "backend-push-tenant": (first, Push(b'{"event":"news"}', to_all=True)),
            "backend-pong": (first, Pong()),
        }
        names = {each.name for each in of("backend")}
        self.assertEqual({each for each in names if not each.startswith("backend-v1-")}, READ)
        self.assertEqual({*expected, "backend-hello"}, READ)
        for name, (talk, said) in expected.items():
            with self.subTest(name):
                self.assertEqual(talk.read(vector(name).octets), said)

    def test_hello(self) -> None:
        """Who dials in."""
        self.assertEqual(
            read_hello(vector("backend-hello").octets), Hello("shop1", "3f1a-not-a-real-secret")
        )
        self.assertEqual(NAME, "orion.v2")


class OrderTests(SynchronousTestCase):
    """What the backend is told of messages and sessions."""

    def setUp(self) -> None:
        self.one = session()
        self.talk = BackendV2("shop1")

    def header(self, entry: Entry, now: float = 0.0) -> dict[str, object]:
        head, _, payload = self.talk.order(self.one, entry, now).partition(b"\n")
        self.assertEqual(payload, entry.payload)
        told: dict[str, object] = json.loads(head)
        return told

    def test_numbers_and_keys(self) -> None:
        """The number is the link's; the key is the same on every link."""
        first, second = message(1), message(2)
        self.header(first)
        self.assertEqual(self.header(second)["id"], 2)
        self.talk = BackendV2("shop1")
        told = self.header(second)
        self.assertEqual((told["id"], told["key"]), (1, f"{SID}.2"))

    def test_what_is_left(self) -> None:
        """`ttl` is what is left, in whole milliseconds, and never nothing."""
        for now, left in ((0.0, 30_000), (12.3456, 17_654), (29.9999, 1), (29.5, 500)):
            self.assertEqual(self.header(message(1), now)["ttl"], left)

    def test_what_applies(self) -> None:
        """`repeat` and `bin` stand there only where they apply; a notification has no number."""
        for binary in (False, True):
            for safe in (False, True):
                for notify in (False, True):
                    told = self.header(message(1, binary=binary, safe=safe, notify=notify))
                    self.assertEqual(told["type"], "notify" if notify else "request")
                    self.assertEqual(told.get("bin"), True if binary else None)
                    self.assertEqual(told.get("repeat"), "safe" if safe and not notify else None)
                    self.assertEqual("id" in told, not notify)

    def test_headers_have_room(self) -> None:
        """The longest header is below the room that a frame has for one."""
        self.talk._last = 2**63
        longest = message(2**53, b"", safe=True, binary=True, deadline=86_400.0)
        self.assertLess(len(self.talk.order(self.one, longest, 0.0)), MAX_HEADER)

    def test_subjects_are_quoted(self) -> None:
        """Nothing in a subject can end its string."""
        told = self.talk.opened(session(subject='a"\n\\'))
        assert told is not None
        self.assertEqual(json.loads(told)["subject"], 'a"\n\\')
        self.assertNotIn(b"\n", told)


class ReadTests(SynchronousTestCase):
    """What the backend says."""

    def setUp(self) -> None:
        self.talk = BackendV2("shop1")
        self.one = session()

    def ask(self, one: Session | None = None, own_id: int | None = None) -> Entry:
        entry = message(1, own_id=own_id)
        self.talk.order(one or self.one, entry, 0.0)
        return entry

    def test_broken(self) -> None:
        """A header that cannot be read, or without the payload that it announces, breaks the
        contract."""
        for payload in (
            b"",
            b"\n",
            b"pong",
            b"[]",
            b'{"type":"hello","tenant":"shop1","token":"x"}',
            b'{"type":"result","id":"1"}\n',
            b'{"type":"result","id":-1}\n',
            b'{"type":"result","id":1.5}\n',
            b'{"type":"result","id":1,"ok":1}\n',
            b'{"type":"result","id":1,"bin":null}\n',
            b'{"type":"push","sid":7}\n',
            b'{"type":"push","sid":"\\ud800"}\n',
            b'{"type":"result","id":1}',
            b'{"type":"push","sid":"s"}',
            b'{"type":"push","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}\n",
            b'{"type":"result","id":1,"x":"' + b"x" * MAX_HEADER + b'"}\n',
        ):
            with self.subTest(payload[:60]):
                self.assertRaises(BackendError, self.talk.read, payload)

    def test_the_longest_header(self) -> None:
        """As long as a frame has room for."""
        bare = b'{"type":"push","sid":"s","x":""}'
        header = bare[:-2] + b"x" * (MAX_HEADER - len(bare)) + bare[-2:]
        self.assertEqual(self.talk.read(header + b"\nhi"), Push(b"hi", sid="s"))
        self.assertRaises(BackendError, self.talk.read, b" " + header + b"\nhi")

    def test_strays(self) -> None:
        """Results that come twice, too late, or for nobody."""
        self.ask()
        given_up = self.ask()
        self.talk.read(b'{"type":"result","id":1}\n')
        self.talk.forget(given_up)
        reasons = []
        for number in (b"1", b"2", b"3", b"0"):
            said = self.talk.read(b'{"type":"result","id":%b}\n' % number)
            assert isinstance(said, Stray)
            reasons.append(said.reason)
        self.assertEqual(reasons, ["late", "late", "unknown", "unknown"])
        self.assertEqual(self.talk.read(b'{"type":"result"}\n'), Stray("unknown"))

    def test_pushes(self) -> None:
        """To a session, or to all of this tenant, whose name has no case; to others never."""
        for header, said in (
            (b'"sid":"s"', Push(b"\xc3\xbc", sid="s")),
            (b'"sid":"s","tenant":"shop2"', Push(b"\xc3\xbc", sid="s")),
            (b'"sid":"","bin":true', Push(b"\xc3\xbc", True, sid="")),
            (b'"tenant":"SHOP1","bin":true', Push(b"\xc3\xbc", True, to_all=True)),
            (b'"tenant":"shop2"', Stray("shapeless")),
            (b'"tenant":""', Stray("shapeless")),
            (b'"bin":true', Stray("shapeless")),
        ):
            with self.subTest(header):
                frame = b'{"type":"push",%b}\n\xc3\xbc' % header
                self.assertEqual(self.talk.read(frame), said)

    def test_text_that_is_none(self) -> None:
        """An answer that is neither text nor said to be binary is of no use; a push is dropped."""
        entry = self.ask()
        said = self.talk.read(b'{"type":"result","id":1}\n\xff')
        assert isinstance(said, Answer)
        self.assertEqual((said.entry, said.payload), (entry, b""))
        self.assertIn("UTF-8", said.error)
        self.assertEqual(self.talk.read(b'{"type":"push","sid":"s"}\n\xff'), Stray("shapeless"))

    def test_a_browser_of_the_other_dialect(self) -> None:
        """Its answer has its number; one that cannot have it is of no use."""
        one = session(keeps=False)
        for header, payload, back in (
            (b"", b'{"a":1}', b'{"msgID":7,"a":1}'),
            (b"", b'{"a":1,"msgID":7}', b'{"a":1,"msgID":7}'),
            (b',"ok":false', b"{}", b'{"msgID":7}'),
            (b"", b"done", None),
            (b"", b"", None),
            (b',"bin":true', b"{}", None),
        ):
            with self.subTest(payload):
                self.talk = BackendV2("shop1")
                entry = self.ask(one, own_id=7)
                said = self.talk.read(b'{"type":"result","id":1%b}\n%b' % (header, payload))
                assert isinstance(said, Answer)
                self.assertEqual((said.session, said.entry), (one, entry))
                if back is None:
                    self.assertIn("no JSON object", said.error)
                else:
                    self.assertEqual((said.payload, said.error), (back, ""))

    @given(st.binary(max_size=50) | st.sampled_from([each.octets for each in of("backend")]))
    @settings(deadline=None)
    def test_any_bytes(self, payload: bytes) -> None:
        """Any bytes mean something, or are a `BackendError`; nothing else is raised."""
        with contextlib.suppress(BackendError):
            BackendV2("shop1").read(payload)

    @given(st.binary(max_size=50))
    @settings(deadline=None)
    def test_payloads_are_untouched(self, payload: bytes) -> None:
        """What follows the first line feed is the payload, whatever is in it."""
        self.ask()
        said = self.talk.read(
            b'{"type":"result","id":%d,"bin":true}\n%b' % (self.talk._last, payload)
        )
        assert isinstance(said, Answer)
        self.assertEqual(said.payload, payload)


class HelloTests(SynchronousTestCase):
    """The first frame of a backend that dials in."""

    def test_what_is_none(self) -> None:
        """Anything else is refused, and its token is repeated nowhere."""
        for payload in (
            b"",
            b"hello",
            b'{"type":"hello"}',
            b'{"type":"hello","tenant":"shop1"}',
            b'{"type":"hello","tenant":"shop1","token":7}',
            b'{"type":"hello","tenant":"shop1","token":"\\ud800"}',
            b'{"type":"hello","tenant":"shop1","token":"secret"}\n{}',
            b'{"type":"result","id":1,"token":"secret"}\n',
            b'{"type":"hello","x":' + b"[" * 4000 + b"]" * 4000 + b"}",
        ):
            with self.subTest(payload[:60]):
                error = self.assertRaises(BackendError, read_hello, payload)
                self.assertNotIn("secret", str(error))

    def test_how_long(self) -> None:
        """A token may be long, up to a limit."""
        bare = b'{"type":"hello","tenant":"shop1","token":""}'
        for more, is_good in ((MAX_HELLO - len(bare), True), (MAX_HELLO - len(bare) + 1, False)):
            payload = bare[:-2] + b"x" * more + bare[-2:]
            if is_good:
                self.assertEqual(read_hello(payload), Hello("shop1", "x" * more))
            else:
                self.assertRaises(BackendError, read_hello, payload)

    def test_secrets_are_not_shown(self) -> None:
        """Nowhere that a `Hello` is printed."""
        self.assertNotIn("secret", repr(Hello("shop1", "secret")))
