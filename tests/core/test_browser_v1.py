"""Browser dialect ``orion.v1``: the browser's own numbers, each answered once."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.browser_v1 import (
    NO_NUMBER,
    REMEMBERED,
    SUBPROTOCOL,
    Numbers,
    Repeat,
    no_number,
    read,
    write,
)
from orion_twisted.core.errors import Outcome
from orion_twisted.core.ledger import Entry
from orion_twisted.core.outbox import PUSH, RECEIPT, RESULT, Item, failure
from tests.core.sessions import message
from tests.vectors import of, vector

READ: dict[str, int] = {"v1-request": 7}
"""The numbers in the vectors of a browser."""

WRITTEN: dict[str, bytes | None] = {
    "v1-answer": write(
        Item(RESULT, message(1, own_id=7), b'{"msgID":7,"success":true,"message":"moved"}')
    ),
    "v1-error": write(failure(message(1, own_id=7), Outcome.TIMEOUT)),
    "v1-error-no-id": write(no_number()),
}
"""What the gateway writes where the vectors of the gateway stand."""


class VectorTests(SynchronousTestCase):
    """Byte for byte what the page says."""

    def test_what_a_browser_says(self) -> None:
        """The number of each vector; all are text."""
        vectors = [each for each in of("browser") if each.name.startswith("v1-")]
        self.assertEqual({each.name for each in vectors}, set(READ))
        for each in vectors:
            self.assertEqual(read(each.octets, each.is_binary), READ[each.name])

    def test_what_the_gateway_says(self) -> None:
        """Each vector, to the byte."""
        vectors = [each for each in of("gateway") if each.name.startswith("v1-")]
        self.assertEqual({each.name for each in vectors}, set(WRITTEN))
        for each in vectors:
            with self.subTest(each.name):
                self.assertEqual((WRITTEN[each.name], each.is_binary), (each.octets, False))

    def test_its_name(self) -> None:
        """The subprotocol."""
        self.assertEqual(SUBPROTOCOL, "orion.v1")


class ReadTests(SynchronousTestCase):
    """A number, or none that can be used."""

    def test_numbers(self) -> None:
        """Whole, from 0 to 2^53 - 1, in a JSON object that is a text message."""
        table: list[tuple[bytes, int | None]] = [
            (b'{"@MSGID":0}', 0),
            (b'{"a":{"@MSGID":1},"@MSGID" : 9007199254740991}', 2**53 - 1),
            (b'{"\\u0040MSGID":7,"x":"\\ud83d"}', 7),
            (b"{}", None),
            (b'{"@MSGID":null}', None),
            (b'{"@MSGID":9007199254740992}', None),
            (b'{"@MSGID":-1}', None),
            (b'{"@MSGID":1.0}', None),
            (b'{"@MSGID":"7"}', None),
            (b'{"@MSGID":true}', None),
            (b'{"@msgid":7}', None),
            (b'[{"@MSGID":7}]', None),
            (b"7", None),
            (b"", None),
            (b'{"@MSGID":7', None),
        ]
        for text, number in table:
            with self.subTest(text):
                self.assertEqual(read(text, False), number)
                self.assertIsNone(read(text, True))


class NumbersTests(SynchronousTestCase):
    """What a number is that may have come before."""

    def asked(self, numbers: Numbers, own_id: int, payload: bytes = b"{}") -> Entry:
        entry = message(1, payload, own_id=own_id)
        self.assertIs(numbers.take(entry), Repeat.NEW)
        return entry

    def test_open_and_answered(self) -> None:
        """The same bytes are a retry, others are not, before the answer and after it."""
        numbers = Numbers()
        entry = self.asked(numbers, 7)
        for another in (8, 9):
            self.assertIs(numbers.take(message(2, b"{}", own_id=7)), Repeat.RETRY)
            self.assertIs(numbers.take(message(2, b"{ }", own_id=7)), Repeat.REUSED)
            self.assertIs(numbers.take(message(2, b"{}", own_id=another)), Repeat.NEW)
            numbers.answered(entry)
            numbers.answered(entry)

    def test_an_answer_to_what_was_never_asked(self) -> None:
        """An outcome of another message under this number opens and closes nothing."""
        numbers = Numbers()
        self.asked(numbers, 7)
        numbers.answered(message(2, b"{ }", own_id=7))
        numbers.answered(message(3, b"{ }", own_id=8))
        self.assertIs(numbers.take(message(4, b"{}", own_id=7)), Repeat.RETRY)
        self.assertIs(numbers.take(message(4, b"{}", own_id=8)), Repeat.NEW)

    def test_how_many_are_remembered(self) -> None:
        """The last 64 answered; those without an answer always."""
        numbers = Numbers()
        self.asked(numbers, 0)
        for own_id in range(1, REMEMBERED + 3):
            numbers.answered(self.asked(numbers, own_id))
        looks = {own_id: numbers.take(message(9, own_id=own_id)) for own_id in range(5)}
        self.assertEqual(
            looks,
            {0: Repeat.RETRY, 1: Repeat.NEW, 2: Repeat.NEW, 3: Repeat.RETRY, 4: Repeat.RETRY},
        )


class WriteTests(SynchronousTestCase):
    """What the browser is told."""

    def test_what_is_not_said(self) -> None:
        """There are no receipts in this dialect."""
        self.assertIsNone(write(Item(RECEIPT, message(1, own_id=7), code="sent")))

    def test_what_passes(self) -> None:
        """Results and pushes are the backend's bytes."""
        for item in (Item(RESULT, message(1, own_id=7), b"{ }"), Item(PUSH, None, b"{ }")):
            self.assertEqual(write(item), b"{ }")

    def test_pushes_of_another_dialect(self) -> None:
        """A push that is binary, or looks like an answer, is none in this dialect."""
        for payload, is_binary in ((b'{"a":1}', True), (b'{"msgID":7}', False)):
            self.assertIsNone(write(Item(PUSH, None, payload, is_binary)))
        for payload in (b'{"a":{"msgID":7}}', b'{"msgID":null}', b"no object"):
            self.assertEqual(write(Item(PUSH, None, payload)), payload)

    @given(st.sampled_from(Outcome), st.none() | st.integers(0, 2**53 - 1), st.text(max_size=20))
    @settings(deadline=None)
    def test_errors(self, outcome: Outcome, own_id: int | None, words: str) -> None:
        """Each has the browser's number, a code, and words that are quoted."""
        words = words.encode(errors="replace").decode() or "x"
        entry = None if own_id is None else message(1, own_id=own_id)
        said = write(failure(entry, outcome, words))
        assert said is not None
        expected: dict[str, Any] = {
            "msgID": own_id,
            "success": False,
            "message": words,
            "code": outcome.value,
        }
        self.assertEqual(json.loads(said), expected)

    def test_without_a_number(self) -> None:
        """What is said of a message without one is not an outcome: it has no number either."""
        item = no_number()
        self.assertEqual((item.s, item.entry), (0, None))
        self.assertIn(NO_NUMBER, json.loads(vector("v1-error-no-id").text)["message"])
