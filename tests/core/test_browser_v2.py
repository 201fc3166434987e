"""Browser dialect ``orion.v2``: header lines, read and written, to the byte of docs/wire.md."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.browser_v2 import (
    MAX_HEADER,
    SUBPROTOCOL,
    WITH_PAYLOAD,
    Header,
    drain,
    read,
    welcome,
    write,
    write_ack,
)
from orion_twisted.core.errors import BadMessage, Outcome
from orion_twisted.core.outbox import PUSH, RECEIPT, RESULT, Item, failure
from tests.core.sessions import message
from tests.vectors import of, vector

SID = "AgICAgICAgICAgIC"

READ: dict[str, tuple[Header, bytes]] = {
    "hello": (Header("hello"), b""),
    "hello-again": (
        Header("hello", sid=SID, key="AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMD", seen=41),
        b"",
    ),
    "hello-token": (Header("hello", token="eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl"), b""),
    "request": (Header("request", n=1, ttl=5000), b'{"cmd":"render","page":1}'),
    "request-safe": (
        Header("request", n=2, ttl=5000, repeat="safe", ack=3),
        b'{"cmd":"open","id":"invoice"}',
    ),
    "notify": (Header("notify", n=2, ack=3), b'{"cmd":"move","id":"f1","x":20,"y":25}'),
    "notify-binary": (Header("notify", n=3), b"\x00\xff\x0a"),
    "ack": (Header("ack", ack=3), b""),
    "bye": (Header("bye"), b""),
}
"""What the vectors of a browser say."""


def numbered(item: Item, s: int) -> Item:
    item.s = s
    return item


def a_welcome(**changes: Any) -> bytes:
    terms: dict[str, Any] = {
        "sid": SID,
        "key": "BAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE",
        "epoch": "AQEBAQEB",
        "recovered": False,
        "lost": [],
        "ack": 0,
        "ttl": 120.0,
        "window": 64,
        "window_bytes": 1 << 20,
        "max_message": 1 << 20,
    }
    return welcome(**terms | changes)


WRITTEN: dict[str, bytes] = {
    "welcome": a_welcome(),
    "welcome-recovered": a_welcome(recovered=True, ack=7),
    "welcome-lost": a_welcome(lost=[[42, 57], [59, 59]], ack=7),
    "result": write(
        numbered(Item(RESULT, message(1), b'{"success":true,"message":"","page":1}'), 2), 0
    ),
    "result-not-ok": write(
        numbered(Item(RESULT, message(2), b"no such document", ok=False), 3), 2
    ),
    "receipt": write(numbered(Item(RECEIPT, message(2), code="sent"), 1), 0),
    "error": write(numbered(failure(message(7), Outcome.TIMEOUT), 4), 0),
    "push": write(numbered(Item(PUSH, None, b'{"event":"saved","id":"invoice"}'), 3), 0),
    "gateway-ack": write_ack(16),
    "drain": drain(20.0),
    "receipt-again": write(Item(RECEIPT, message(1), code="accepted"), 0),
    "error-reused": write(failure(message(1), Outcome.REUSED_ID), 0),
}
"""What the gateway writes where the vectors of the gateway stand."""


class VectorTests(SynchronousTestCase):
    """Byte for byte what the page says."""

    def test_what_a_browser_says(self) -> None:
        """Header and payload of each vector; only the binary one is not text."""
        vectors = [each for each in of("browser") if not each.name.startswith("v1-")]
        self.assertEqual({each.name for each in vectors}, set(READ))
        for each in vectors:
            with self.subTest(each.name):
                self.assertEqual(read(each.octets), READ[each.name])
                self.assertEqual(each.is_binary, each.name == "notify-binary")

    def test_what_the_gateway_says(self) -> None:
        """Each vector, to the byte."""
        vectors = [each for each in of("gateway") if not each.name.startswith("v1-")]
        self.assertEqual({each.name for each in vectors}, set(WRITTEN))
        for each in vectors:
            with self.subTest(each.name):
                self.assertEqual(WRITTEN[each.name], each.octets)

    def test_its_name(self) -> None:
        """The subprotocol."""
        self.assertEqual(SUBPROTOCOL, "orion.v2")


class ReadTests(SynchronousTestCase):
    """What is no message is refused, with a reason."""

    def refused(self, text: bytes, reason: str) -> None:
        with self.subTest(text[:60]):
            error = self.assertRaises(BadMessage, read, text)
            self.assertIn(reason, str(error))

    def test_not_a_header(self) -> None:
        """No JSON object, an unknown type, or members that are of another type."""
        for text in (
            b"",
            b"\n",
            b"hello",
            b"[]",
            b'"hello"',
            b"{}",
            b'{"type":"welcome"}',
            b'{"type":"result","s":1,"n":1}\n',
            b'{"type":7}',
            b'{"type":"hello"}x',
            b'{"type":"hello","sid":7}',
            b'{"type":"hello","sid":"%b"}' % (b"x" * 129),
            b'{"type":"hello","key":"%b"}' % (b"x" * 129),
            b'{"type":"hello","key":"\\ud800"}',
            b'{"type":"hello","sid":"\xff"}',
            b'{"type":"hello","seen":-1}',
            b'{"type":"hello","seen":"1"}',
            b'{"type":"hello","token":1}',
            b'{"type":"ack","ack":1.5}',
            b'{"type":"ack","ack":true}',
            b'{"type":"ack","ack":9007199254740992}',
            b'{"type":"request","n":1,"ttl":-1}\n',
            b'{"type":"request","n":1,"repeat":"always"}\n',
            b'{"type":"request","n":1,"repeat":true}\n',
            b'{"type":"ack","ack":1,"more":' + b"[" * 4000 + b"]" * 4000 + b"}",
        ):
            self.refused(text, "cannot be read")

    def test_without_a_number(self) -> None:
        """What has a payload has a number, from 1 on."""
        for text in (b'{"type":"request"}\n{}', b'{"type":"notify","n":0}\n{}'):
            self.refused(text, "without a number")

    def test_payload_or_none(self) -> None:
        """A type that has a payload has a line feed, even if nothing follows; no other has one."""
        for kind in ("request", "notify", "ack", "hello", "bye"):
            bare = b'{"type":"%b","n":1}' % kind.encode()
            if kind in WITH_PAYLOAD:
                self.refused(bare, f"{kind} without a payload")
                self.assertEqual(read(bare + b"\n")[1], b"")
            else:
                self.refused(bare + b"\n", f"{kind} with a payload")
                self.refused(bare + b"\nx", f"{kind} with a payload")
                self.assertEqual(read(bare)[1], b"")

    def test_long_headers(self) -> None:
        """8,192 bytes are a header, one more are none, whatever comes after them."""
        for kind, tail in ((b"ack", b""), (b"notify", b"\n" + b"x" * 20_000)):
            for size in (MAX_HEADER, MAX_HEADER + 1):
                bare = b'{"type":"%b","n":1,"x":""}' % kind
                header = bare[:-2] + b"x" * (size - len(bare)) + bare[-2:]
                self.assertEqual(len(header), size)
                if size == MAX_HEADER:
                    self.assertEqual(read(header + tail)[1], tail[1:])
                else:
                    self.refused(header + tail, f"a header of more than {MAX_HEADER} bytes")

    def test_members_that_nobody_knows(self) -> None:
        """They are passed over, however they look; of one that comes twice the last counts."""
        text = b'{"n":1,"ack":1,"colour":{"a":[1,{}]},"type":"notify","n":2, "ack" : 9}\nhi'
        self.assertEqual(read(text), (Header("notify", n=2, ack=9), b"hi"))

    @given(st.binary(max_size=60) | st.sampled_from([each.octets for each in of("browser")]))
    @settings(deadline=None)
    def test_nothing_else_is_raised(self, text: bytes) -> None:
        """Any bytes are a message or a `BadMessage`."""
        try:
            header, payload = read(text)
        except BadMessage:
            return
        self.assertEqual(payload, text.partition(b"\n")[2])
        self.assertEqual(json.loads(text.partition(b"\n")[0])["type"], header.type)

    @given(st.binary(max_size=60))
    @settings(deadline=None)
    def test_payloads_are_untouched(self, payload: bytes) -> None:
        """What follows the first line feed is the payload, whatever is in it; both ways."""
        self.assertEqual(read(b'{"type":"request","n":1}\n' + payload)[1], payload)
        for item in (Item(RESULT, message(1), payload), Item(PUSH, None, payload)):
            head, _, rest = write(item, 5).partition(b"\n")
            self.assertEqual((json.loads(head)["ack"], rest), (5, payload))


class WriteTests(SynchronousTestCase):
    """What goes out is JSON."""

    def test_ack_on_any_frame(self) -> None:
        """Where there is something to acknowledge, it stands in the header."""
        for item, told in (
            (Item(RESULT, message(1)), {"type": "result", "s": 9, "n": 1}),
            (Item(PUSH, None), {"type": "push", "s": 9}),
            (
                Item(RECEIPT, message(1), code="sent"),
                {"type": "receipt", "s": 9, "n": 1, "stage": "sent"},
            ),
            (
                failure(message(1), Outcome.EXPIRED, "late"),
                {"type": "error", "s": 9, "n": 1, "code": "EXPIRED", "message": "late"},
            ),
        ):
            for ack in (0, 16):
                with self.subTest(f"{told['type']} {ack}"):
                    header = write(numbered(item, 9), ack).partition(b"\n")[0]
                    self.assertEqual(json.loads(header), told | ({"ack": ack} if ack else {}))

    @given(st.text(st.characters(codec="utf-8"), max_size=30))
    @settings(deadline=None)
    def test_words_are_quoted(self, words: str) -> None:
        """Nothing in the words of an error can end its string, or its line."""
        said = write(failure(message(1), Outcome.BAD_MESSAGE, words or "x"), 0)
        self.assertEqual(json.loads(said)["message"], words or "x")
        self.assertNotIn(b"\n", said)

    def test_times(self) -> None:
        """Seconds become whole milliseconds."""
        self.assertEqual(json.loads(a_welcome(ttl=0.0015))["ttl"], 2)
        self.assertEqual(drain(0.5), b'{"type":"drain","within":500}')
        self.assertEqual(vector("drain").octets, drain(20))
