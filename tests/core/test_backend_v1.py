"""Backend dialect ``orion.v1``: whose numbers are on the link, and back again."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core import browser_v1
from orion_twisted.core.backend_v1 import NAME, BackendV1, request_id, with_answer_id
from orion_twisted.core.conversation import Answer, Push, Said, Stray
from orion_twisted.core.errors import BackendError, BadMessage
from orion_twisted.core.ledger import Entry
from orion_twisted.core.members import NoObject
from orion_twisted.core.outbox import RESULT, Item
from orion_twisted.core.session import Session
from tests.core.sessions import SID, message, session
from tests.vectors import of, vector

V1 = {"keeps": False}
"""The terms of a browser that speaks ``orion.v1``."""


def asked(
    talk: BackendV1, one: Session, payload: bytes, n: int = 1, **more: Any
) -> tuple[Entry, bytes]:
    """Ask; return the message, and what the backend is told."""
    if not one.terms.keeps:
        more["own_id"] = request_id(payload)
    entry = message(n, payload, **more)
    return entry, talk.order(one, entry, 0.0)


def answer_of(said: Said) -> bytes:
    assert isinstance(said, Answer), said
    assert not said.error, said.error
    return said.payload


class VectorTests(SynchronousTestCase):
    """Byte for byte what the page says."""

    WRITTEN = {"backend-v1-request"}
    READ = {"backend-v1-answer", "backend-v1-push"}

    def test_there_and_back(self) -> None:
        """A browser's vector becomes the backend's, and the answer's the browser's."""
        one = session(**V1)
        self.assertEqual(one.sid, SID)
        talk = BackendV1(shared=True)
        entry, told = asked(talk, one, vector("v1-request").octets)
        self.assertEqual(told, vector("backend-v1-request").octets)
        said = talk.read(vector("backend-v1-answer").octets)
        payload = answer_of(said)
        self.assertEqual(payload, vector("v1-answer").octets)
        self.assertEqual(said, Answer(one, entry, payload))
        self.assertEqual(browser_v1.write(Item(RESULT, entry, payload)), payload)

    def test_a_push(self) -> None:
        """It is for the session that it names."""
        octets = vector("backend-v1-push").octets
        self.assertEqual(BackendV1(shared=True).read(octets), Push(octets, sid=SID))

    def test_all_of_them(self) -> None:
        """No vector of this dialect is left out."""
        names = {each.name for each in (*of("to-backend"), *of("backend"))}
        self.assertEqual(
            {each for each in names if each.startswith("backend-v1-")}, self.WRITTEN | self.READ
        )
        self.assertEqual(NAME, "orion.v1")


class OwnLinkTests(SynchronousTestCase):
    """A link for each browser."""

    def test_byte_for_byte(self) -> None:
        """Of a browser that speaks ``orion.v1`` nothing is changed, there and back."""
        one = session(**V1)
        talk = BackendV1(shared=False)
        for payload, answer in (
            (b' { "@MSGID" : 7, "a" : 1.50 }\n', b'{"success":true, "msgID" : 7}'),
            (b'{"@\\u004dSGID":0}', b'{"\\u006dsgID":0,"x":"\\ud800"}'),
        ):
            entry, told = asked(talk, one, payload)
            self.assertEqual(told, payload)
            self.assertEqual(talk.read(answer), Answer(one, entry, answer))

    def test_what_it_says_on_its_own(self) -> None:
        """All that is no answer goes to the browser as it is, whatever it is."""
        talk = BackendV1(shared=False)
        for payload in (
            b'{"event":"saved"}',
            b'{"event":"saved","@SESSION":"s"}',
            b'{"msgID":null}',
            b'{"msgID":"7"}',
            b"[1, 2]",
            b"hello",
            b"",
        ):
            self.assertEqual(talk.read(payload), Push(payload))

    def test_strays(self) -> None:
        """Answers to what was answered, or given up, and to what was never asked."""
        one = session(**V1)
        talk = BackendV1(shared=False)
        asked(talk, one, b'{"@MSGID":7}')
        given_up, _ = asked(talk, one, b'{"@MSGID":9}', 2)
        talk.read(b'{"msgID":7}')
        talk.forget(given_up)
        self.assertEqual(talk.read(b'{"msgID":7}'), Stray("late"))
        self.assertEqual(talk.read(b'{"msgID":9}'), Stray("late"))
        self.assertEqual(talk.read(b'{"msgID":10}'), Stray("unknown"))

    def test_a_browser_of_the_other_dialect(self) -> None:
        """Its messages have the link's numbers, and the answers its own again."""
        one = session()
        talk = BackendV1(shared=False)
        for n, payload, told, answer in (
            (1, b'{"cmd":"x"}', b'{"@MSGID":1,"cmd":"x"}', b'{"msgID":1}'),
            (2, b'{"@MSGID":70}', b'{"@MSGID":2}', b'{"msgID":70}'),
            (3, b'{"a":1,"@MSGID":null}', b'{"a":1,"@MSGID":3}', b'{"msgID":3}'),
        ):
            self.assertEqual(asked(talk, one, payload, n)[1], told)
            self.assertEqual(answer_of(talk.read(b'{"msgID":%d}' % n)), answer)


class SharedLinkTests(SynchronousTestCase):
    """A link that several browsers share."""

    def test_the_same_numbers(self) -> None:
        """Browsers that use the same numbers each get their own answers."""
        sessions = [session(**V1), session(**V1)]
        talk = BackendV1(shared=True)
        entries = []
        for n, one in enumerate(sessions, 1):
            entry, told = asked(talk, one, b'{"@MSGID":1,"a":2}')
            entries.append(entry)
            self.assertEqual(told, b'{"@SESSION":"%b","@MSGID":%d,"a":2}' % (SID.encode(), n))
        for n in (2, 1):
            said = talk.read(b'{"msgID":%d,"success":true}' % n)
            self.assertEqual(
                said, Answer(sessions[n - 1], entries[n - 1], b'{"msgID":1,"success":true}')
            )

    def test_a_browser_that_lies(self) -> None:
        """Whatever session or number it writes, the backend reads the right ones."""
        one = session(**V1)
        for payload in (
            b'{"@SESSION":"another","@MSGID":7}',
            b'{"@MSGID":7,"@\\u0053ESSION":"another"}',
            b'{"@MSGID":7,"@SESSION":"a","@SESSION":"b"}',
            b'{"@MSGID":5,"@MSGID":7}',
        ):
            talk = BackendV1(shared=True)
            told = json.loads(asked(talk, one, payload)[1], object_pairs_hook=lambda pairs: pairs)
            self.assertEqual(told, [("@SESSION", SID), ("@MSGID", 1)])
            self.assertEqual(json.loads(answer_of(talk.read(b'{"msgID":1}'))), {"msgID": 7})

    def test_shapeless(self) -> None:
        """What is neither an answer nor a push to a session is for nobody."""
        talk = BackendV1(shared=True)
        for payload in (b"", b"hello", b"[]", b"{}", b'{"msgID":"1"}', b'{"@SESSION":7}'):
            self.assertEqual(talk.read(payload), Stray("shapeless"))

    def test_what_cannot_be_carried(self) -> None:
        """From a browser of the other dialect: binary, no object, an id that is no number."""
        one = session()
        talk = BackendV1(shared=True)
        deep = b"[" * 100_000 + b"]" * 100_000
        for payload, binary in (
            (b"{}", True),
            (b"hello", False),
            (b"[]", False),
            (b"", False),
            (b'{"@MSGID":"a"}', False),
            (b'{"@MSGID":-1}', False),
            (b'{"a":%b}' % deep, False),
        ):
            with self.subTest(payload[:20]):
                error = self.assertRaises(BadMessage, asked, talk, one, payload, binary=binary)
                self.assertIn("JSON objects in text", str(error))
        self.assertEqual(len(talk), 0)
        self.assertEqual(
            asked(talk, one, b"{}")[1], b'{"@SESSION":"%b","@MSGID":1}' % SID.encode()
        )

    def test_the_same_message_on_another_link(self) -> None:
        """Sent again, it has the new link's number, and its answer the browser's."""
        for payload, number in ((b'{"@MSGID":70}', 70), (b"{}", 3)):
            one = session()
            entry, _ = asked(BackendV1(shared=True), one, payload, 3, safe=True)
            talk = BackendV1(shared=True)
            asked(talk, one, b"{}", 1)
            told = json.loads(talk.order(one, entry, 1.0))
            self.assertEqual(told, {"@SESSION": SID, "@MSGID": 2})
            answer = json.loads(answer_of(talk.read(b'{"msgID":2}')))
            self.assertEqual(answer, {"msgID": number})

    def test_a_notification(self) -> None:
        """It is sent like a request; what answers it is dropped."""
        one = session()
        talk = BackendV1(shared=True)
        _, told = asked(talk, one, b'{"cmd":"move"}', notify=True)
        self.assertEqual(told, b'{"@SESSION":"%b","@MSGID":1,"cmd":"move"}' % SID.encode())
        self.assertEqual((len(talk), talk.read(b'{"msgID":1}')), (0, Stray("late")))

    @given(
        st.dictionaries(
            st.text(st.characters(codec="utf-8"), max_size=8)
            | st.sampled_from(["@MSGID", "msgID", "@SESSION", "a"]),
            st.recursive(
                st.none() | st.integers(0, 99) | st.sampled_from(["@MSGID", "msgID", "ü"]),
                lambda each: (
                    st.lists(each, max_size=2)
                    | st.dictionaries(st.sampled_from(["@MSGID", "msgID", "b"]), each, max_size=2)
                ),
                max_leaves=4,
            ),
            max_size=4,
        ),
        st.integers(0, 2**53 - 1),
        st.booleans(),
    )
    @settings(deadline=None)
    def test_any_object(self, said: dict[str, Any], number: int, ascii_only: bool) -> None:
        """Nothing but the numbers and the session changes, whatever else is said."""
        one = session(**V1)
        talk = BackendV1(shared=True)
        question = said | {"@MSGID": number}
        _, told = asked(talk, one, json.dumps(question, ensure_ascii=ascii_only).encode())
        self.assertEqual(json.loads(told), question | {"@SESSION": SID, "@MSGID": 1})
        answer = said | {"msgID": 1}
        back = answer_of(talk.read(json.dumps(answer, ensure_ascii=ascii_only).encode()))
        self.assertEqual(json.loads(back), answer | {"msgID": number})


class AnswerTests(SynchronousTestCase):
    """Answers that are of no use, and those that come from elsewhere."""

    def test_no_utf8(self) -> None:
        """It breaks the contract of a link that carries text."""
        for shared in (False, True):
            self.assertRaises(BackendError, BackendV1(shared).read, b'{"msgID":1,"x":"\xff"}')

    def test_an_answer_that_cannot_be_changed(self) -> None:
        """It is an answer, and of no use: the browser is told so."""
        one = session(**V1)
        talk = BackendV1(shared=True)
        entry, _ = asked(talk, one, b'{"@MSGID":7}')
        said = talk.read(b'{"\\u006dsgID":1,"x":"\\ud800"}')
        assert isinstance(said, Answer)
        self.assertEqual((said.session, said.entry, said.payload), (one, entry, b""))
        self.assertTrue(said.error)

    def test_with_answer_id(self) -> None:
        """What another dialect's backend answers gets the browser's number."""
        for payload, expected in (
            (b'{"a":1}', b'{"msgID":7,"a":1}'),
            (b'{ "msgID" : 7 }', b'{ "msgID" : 7 }'),
            (b'{ "msgID" : 8 }', b'{ "msgID" : 7 }'),
            (b'{"a":1,"msgID":null}', b'{"a":1,"msgID":7}'),
        ):
            self.assertEqual(with_answer_id(payload, 7), expected)
        for payload in (b"", b"[]", b"no", b'{"msgID":"7"}'):
            self.assertRaises(NoObject, with_answer_id, payload, 7)
