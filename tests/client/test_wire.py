"""The dialect ``orion.v2`` as a client writes and reads it, against docs/wire.md."""

import contextlib  # not its `suppress`: trial would take that for its own
import json

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.client import wire
from orion_twisted.client.wire import (
    Drain,
    GatewayAck,
    GatewayError,
    GatewayPush,
    GatewayReceipt,
    GatewayResult,
    Header,
    Welcome,
    WireError,
    read,
)
from tests.vectors import of, vector

SID = "AgICAgICAgICAgIC"
KEY = "BAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE"

WELCOME = Welcome(SID, KEY, "AQEBAQEB", False, 0, 120_000, 64, 1 << 20, 1 << 20)

READ: dict[str, tuple[Header, bytes]] = {
    "welcome": (WELCOME, b""),
    "welcome-recovered": (
        Welcome(SID, KEY, "AQEBAQEB", True, 7, 120_000, 64, 1 << 20, 1 << 20),
        b"",
    ),
    "welcome-lost": (
        Welcome(
            SID, KEY, "AQEBAQEB", False, 7, 120_000, 64, 1 << 20, 1 << 20, [(42, 57), (59, 59)]
        ),
        b"",
    ),
    "result": (GatewayResult(2, 1), b'{"success":true,"message":"","page":1}'),
    "result-not-ok": (GatewayResult(3, 2, False, 2), b"no such document"),
    "receipt": (GatewayReceipt(2, "sent", 1), b""),
    "error": (GatewayError(7, "TIMEOUT", "no answer in time", 4), b""),
    "push": (GatewayPush(3), b'{"event":"saved","id":"invoice"}'),
    "gateway-ack": (GatewayAck(16), b""),
    "drain": (Drain(20_000), b""),
    "receipt-again": (GatewayReceipt(1, "accepted"), b""),
    "error-reused": (
        GatewayError(1, "REUSED_ID", "another payload under the number of an earlier message"),
        b"",
    ),
}
"""What the gateway's vectors say."""

WRITTEN = {
    "hello": wire.hello(),
    "hello-again": wire.hello(SID, "AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMD", 41),
    "hello-token": wire.hello(token="eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl"),
    "request": wire.request(1, 5000, False, None, b'{"cmd":"render","page":1}'),
    "request-safe": wire.request(2, 5000, True, 3, b'{"cmd":"open","id":"invoice"}'),
    "notify": wire.notify(2, None, 3, b'{"cmd":"move","id":"f1","x":20,"y":25}'),
    "notify-binary": wire.notify(3, None, None, b"\x00\xff\n"),
    "ack": wire.acknowledge(3),
    "bye": wire.BYE,
}


def is_v1(name: str) -> bool:
    return name.startswith("v1-")


class VectorTests(SynchronousTestCase):
    """Byte for byte what the page says."""

    def test_every_message_of_the_gateway_is_understood(self) -> None:
        """Header and payload of each vector."""
        vectors = {each.name: each for each in of("gateway") if not is_v1(each.name)}
        self.assertEqual(set(vectors), set(READ))
        for name, expected in READ.items():
            with self.subTest(name):
                self.assertEqual(read(vectors[name].octets, vectors[name].is_binary), expected)

    def test_every_message_of_ours_is_written_like_that(self) -> None:
        """Each vector, to the byte."""
        vectors = {each.name: each for each in of("browser") if not is_v1(each.name)}
        self.assertEqual(set(vectors), set(WRITTEN))
        for name, octets in WRITTEN.items():
            with self.subTest(name):
                self.assertEqual(octets, vectors[name].octets)


class WriteTests(SynchronousTestCase):
    """What goes out is JSON, whatever goes in."""

    def test_hello_quotes(self) -> None:
        """Nothing in a name, a key or a token can end its string."""
        said = json.loads(wire.hello('a"\n', "\\", 1, "tö"))
        self.assertEqual(
            said, {"type": "hello", "sid": 'a"\n', "key": "\\", "seen": 1, "token": "tö"}
        )

    def test_a_notification_has_its_time(self) -> None:
        """``ttl`` stands where a request has it."""
        self.assertEqual(
            wire.notify(2, 500, 3, b"x"), b'{"type":"notify","n":2,"ttl":500,"ack":3}\nx'
        )

    @given(st.binary(max_size=40))
    @example(b"\n")
    @example(b"")
    def test_payloads_are_untouched(self, payload: bytes) -> None:
        """What follows the first line feed is the payload, whatever is in it."""
        for message in (
            wire.request(1, 1, True, 5, payload),
            wire.notify(1, None, None, payload),
        ):
            header, _, rest = message.partition(b"\n")
            self.assertEqual(rest, payload)
            self.assertEqual(json.loads(header)["n"], 1)


class ReadTests(SynchronousTestCase):
    """What is not of the contract is refused, with a reason."""

    def refused(self, message: bytes, reason: str, is_binary: bool = False) -> None:
        with self.subTest(message[:60]), self.assertRaisesRegex(WireError, reason):
            read(message, is_binary)

    def test_not_a_header(self) -> None:
        """No JSON object, no type, an unknown one, members that are missing or of another type."""
        for message in (
            b"",
            b"\n",
            b"[]",
            b'"ack"',
            b"{}",
            b'{"type":"hello"}',
            b'{"type":7}',
            b'{"type":"ack"}',
            b'{"type":"ack","ack":"1"}',
            b'{"type":"ack","ack":1.5}',
            b'{"type":"ack","ack":-1}',
            b'{"type":"ack","ack":true}',
            b'{"type":"ack","ack":null}',
            b'{"type":"ack","ack":9007199254740992}',
            b'{"type":"ack","ack":1}x',
            b'{"type":"push","s":0}\n',
            b'{"type":"result","s":1,"n":1,"ok":1}\n',
            b'{"type":"error","n":1,"code":"\xff"}',
            b'{"type":"drain"}',
            b"\xff",
            b'{"type":"ack","ack":1,"more":' + b"[" * 4000 + b"]" * 4000 + b"}",
        ):
            self.refused(message, "cannot be read")

    def test_welcome_in_full(self) -> None:
        """No member may be missing but ``lost``; whatever else is there is passed over."""
        complete = json.loads(vector("welcome").octets)
        for name in set(complete) - {"type"}:
            self.refused(
                json.dumps({key: complete[key] for key in complete if key != name}).encode(),
                f"`{name}`",
            )
        more = json.dumps({**complete, "colour": ["blue"]}).encode()
        self.assertEqual(read(more, False), (WELCOME, b""))

    def test_payload_or_none(self) -> None:
        """A type that has a payload has a line feed, even if nothing follows; no other has one."""
        self.refused(b'{"type":"push","s":1}', "push without a payload")
        self.refused(b'{"type":"result","s":1,"n":1}', "result without a payload")
        self.refused(b'{"type":"ack","ack":1}\n', "ack with a payload")
        self.refused(vector("welcome").octets + b"\nx", "welcome with a payload")
        self.assertEqual(read(b'{"type":"push","s":1}\n', False), (GatewayPush(1), b""))

    def test_binary(self) -> None:
        """What has a payload may be binary; what has none is text."""
        payload = b"\x00\xff\n"
        self.assertEqual(
            read(b'{"type":"push","s":1}\n' + payload, True), (GatewayPush(1), payload)
        )
        self.refused(b'{"type":"ack","ack":1}', "binary message", is_binary=True)

    def test_long_header(self) -> None:
        """8,192 bytes are a header, one more are none."""
        for size, is_good in ((wire.MAX_HEADER, True), (wire.MAX_HEADER + 1, False)):
            bare = b'{"type":"push","s":1,"x":""}'
            header = bare[:-2] + b"x" * (size - len(bare)) + bare[-2:]
            self.assertEqual(len(header), size)
            if is_good:
                self.assertEqual(read(header + b"\nhi", False), (GatewayPush(1), b"hi"))
            else:
                self.refused(header + b"\nhi", "more than 8192 bytes")
                self.refused(header, "more than 8192 bytes")

    @given(st.binary(max_size=60) | st.sampled_from([each.octets for each in of("gateway")]))
    def test_nothing_else_is_raised(self, message: bytes) -> None:
        """Any bytes are a message or a `WireError`."""
        for is_binary in (False, True):
            with contextlib.suppress(WireError):
                read(message, is_binary)
