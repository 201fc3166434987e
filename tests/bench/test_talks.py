"""No wrong reply counts, whatever is wrong with it, and every right one does."""

import json
from collections.abc import Callable
from unittest import TestCase

from hypothesis import given, settings
from hypothesis import strategies as st

from bench.backends import Echo, Framed, OrionV1, OrionV2
from bench.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Frame,
    Len32Framing,
    Lost,
    WebSocketFraming,
    WrongReply,
    apply_mask,
    frame_head,
)
from bench.talks import (
    Closed,
    Cycle,
    EchoTalk,
    FrameTalk,
    OrionV1Talk,
    OrionV2Talk,
    StreamTalk,
    payloads_of,
    read_json,
)

FRAMING = WebSocketFraming()


def requests_in(data: bytes) -> list[Frame]:
    """Return the client's frames, unmasked; they have to be whole."""
    frames, at = [], 0
    while at < len(data):
        size, start = data[at + 1] & 0x7F, at + 2
        if size == 126:
            size, start = int.from_bytes(data[start : start + 2], "big"), start + 2
        elif size == 127:
            size, start = int.from_bytes(data[start : start + 8], "big"), start + 8
        key, start = data[start : start + 4], start + 4
        payload = apply_mask(data[start : start + size], key)
        frames.append(Frame(data[at] & 0x0F, data[at] & 0x80 != 0, payload))
        at = start + size
    return frames


def fragment(payload: bytes, opcode: int, *, last: bool) -> bytes:
    head = bytearray(frame_head(opcode, len(payload), 0))
    head[0] = opcode | (0x80 if last else 0)
    return bytes(head) + payload


def in_pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


class CycleTests(TestCase):
    def test_messages_differ(self) -> None:
        """All are different, and none is sent again while the first one may be under way."""
        for size, in_flight in ((64, 64), (1024, 64), (65_536, 2), (1_048_576, 1)):
            cycle = Cycle(FRAMING, size, in_flight)
            self.assertEqual(len({*cycle.payloads}), cycle.count)
            self.assertEqual({len(each) for each in cycle.payloads}, {size})
            self.assertGreaterEqual(cycle.count, 2 * in_flight)

    def test_messages_are_text(self) -> None:
        """They pass where only UTF-8 does, and in JSON without being escaped."""
        for payload in payloads_of(64, 20):
            self.assertEqual(json.dumps(payload.decode()), f'"{payload.decode()}"')


class EchoTalkTests(TestCase):
    def setUp(self) -> None:
        self.cycle = Cycle(FRAMING, 64, 4)

    def talk(self, start: int = 0) -> EchoTalk:
        return EchoTalk(self.cycle, start)

    def replies(self, count: int, start: int = 0) -> list[bytes]:
        """Return right replies, one frame each."""
        return [
            FRAMING.reply(self.cycle.payloads[(start + index) % self.cycle.count])
            for index in range(count)
        ]

    def test_requests(self) -> None:
        """What is sent are the messages of the cycle, from any start, past its end as well."""
        start = self.cycle.count - 2
        talk = self.talk(start)
        sent = requests_in(talk.next(3)) + requests_in(talk.next(1))
        wanted = [self.cycle.payloads[(start + index) % self.cycle.count] for index in range(4)]
        self.assertEqual([each.payload for each in sent], wanted)
        self.assertEqual({each.opcode for each in sent}, {BINARY})

    def test_right_replies_past_the_end_of_the_cycle(self) -> None:
        """However the reads cut them, each counts once."""
        start = self.cycle.count - 5
        data = b"".join(self.replies(12, start))
        for size in (1, 3, 65, 66, 67, 200, len(data)):
            talk = self.talk(start)
            counts = [talk.receive(piece) for piece in in_pieces(data, size)]
            self.assertEqual(sum(counts), 12, size)

    def test_a_reply_counts_when_it_is_whole(self) -> None:
        data = b"".join(self.replies(2))
        talk = self.talk()
        self.assertEqual(talk.receive(data[:65]), 0)
        self.assertEqual(talk.receive(data[65:66]), 1)
        self.assertEqual(talk.receive(data[66:]), 1)

    def test_wrong_replies(self) -> None:
        """Lost, doubled, reordered, damaged, longer, shorter, of another type or connection."""
        one, two, three, four = self.replies(4)
        damaged = one[:-1] + bytes([one[-1] ^ 1])
        for name, replies in (
            ("lost", [one, three, four]),
            ("doubled", [one, two, two]),
            ("reordered", [two, one]),
            ("damaged", [damaged]),
            ("longer", [FRAMING.reply(self.cycle.payloads[0] + b"x")]),
            ("shorter", [FRAMING.reply(self.cycle.payloads[0][:-1])]),
            ("merged", [FRAMING.reply(self.cycle.payloads[0] + self.cycle.payloads[1])]),
            ("of another type", [FRAMING.reply(self.cycle.payloads[0], TEXT)]),
            ("of a neighbour", self.replies(1, start=37)),
            ("split", [FRAMING.reply(self.cycle.payloads[0][:32])]),
            ("a continuation of nothing", [fragment(b"x", CONTINUATION, last=True)]),
        ):
            for size in (1, 50, 10_000):
                with self.subTest(name, size=size), self.assertRaises(WrongReply):
                    talk = self.talk()
                    for piece in in_pieces(b"".join(replies), size):
                        talk.receive(piece)

    def test_fragments_and_pings(self) -> None:
        """A right reply may come in fragments, and a ping between them gets its pong."""
        payload = self.cycle.payloads[1]
        data = b"".join(
            (
                *self.replies(1),
                fragment(payload[:10], BINARY, last=False),
                FRAMING.reply(b"are you there", PING),
                fragment(payload[10:], CONTINUATION, last=True),
                *self.replies(2, start=2),
            )
        )
        for size in (1, 7, 100, len(data)):
            talk = self.talk()
            self.assertEqual(sum(map(talk.receive, in_pieces(data, size))), 4, size)
            (pong,) = requests_in(talk.answers)
            self.assertEqual(pong, Frame(PONG, True, b"are you there"))

    def test_goes_back_to_foretelling(self) -> None:
        """After a ping the next replies are compared as a whole again, and still compared."""
        talk = self.talk()
        talk.receive(FRAMING.reply(b"", PING))
        one, two, three = self.replies(3)
        self.assertEqual(talk.receive(one + two), 2)
        with self.assertRaises(WrongReply):
            talk.receive(two)
        self.assertNotEqual(two, three)

    def test_closed(self) -> None:
        """A close frame ends the run, with its code."""
        with self.assertRaisesRegex(Closed, "1009"):
            self.talk().receive(FRAMING.reply(b"\x03\xf1too big", CLOSE))
        self.assertTrue(issubclass(Closed, Lost))

    def test_without_websocket(self) -> None:
        """Frames with a length are checked as well."""
        framing = Len32Framing()
        cycle = Cycle(framing, 64)
        talk = EchoTalk(cycle, 5)
        echo = talk.next(2)
        self.assertEqual(talk.receive(echo[:70]) + talk.receive(echo[70:]), 2)
        with self.assertRaises(WrongReply):
            talk.receive(echo)

    @settings(deadline=None)
    @given(
        st.lists(st.integers(1, 300), min_size=1, max_size=30),
        st.sets(st.integers(0, 40), max_size=5),
    )
    def test_cut_anywhere_with_pings_anywhere(self, sizes: list[int], pings: set[int]) -> None:
        """Every reply counts once, at its last byte."""
        parts = []
        for index, reply in enumerate(self.replies(20)):
            parts += [FRAMING.reply(b"p", PING)] * (index in pings) + [reply]
        data, talk, count = b"".join(parts), self.talk(), 0
        for size in [*sizes, len(data)]:
            count += talk.receive(data[:size])
            data = data[size:]
        self.assertEqual(count, 20)


class StreamTalkTests(TestCase):
    """A gateway without messages may merge and split them, and nothing else."""

    def setUp(self) -> None:
        self.cycle = Cycle(FRAMING, 1024, 4)
        self.talk = StreamTalk(self.cycle, self.cycle.count - 2)
        sent = requests_in(self.talk.next(4))
        self.stream = b"".join(each.payload for each in sent)

    def test_any_messages(self) -> None:
        for size in (1000, 1024, 3000, 4096):
            talk = StreamTalk(self.cycle, self.cycle.count - 2)
            replies = [FRAMING.reply(piece) for piece in in_pieces(self.stream, size)]
            self.assertEqual(sum(map(talk.receive, replies)), 4, size)

    def test_longer_than_the_cycle(self) -> None:
        """One message with all the stream in it, and more, is taken apart."""
        stream = b"".join(self.cycle.payloads)
        talk = StreamTalk(self.cycle)
        count = talk.receive(FRAMING.reply(stream * 2 + stream[:1024]))
        self.assertEqual(count, 2 * self.cycle.count + 1)

    def test_wrong_bytes(self) -> None:
        damaged = bytearray(self.stream)
        damaged[2000] ^= 1
        self.assertEqual(self.talk.receive(FRAMING.reply(bytes(damaged[:1024]))), 1)
        with self.assertRaises(WrongReply):
            self.talk.receive(FRAMING.reply(bytes(damaged[1024:])))


def answers_of(backend: Framed, talk: FrameTalk, count: int) -> list[bytes]:
    """Return the backend's answers to a talk's next messages, as `orion.v1` passes them on."""
    prefixed = Len32Framing()
    requests = [each.payload for each in requests_in(talk.next(count))]
    data = b"".join(map(prefixed.request, requests))
    return [each.payload for each in prefixed.reader().feed(backend.receive(data))]


class OrionV1TalkTests(TestCase):
    def test_goes_with_its_backend(self) -> None:
        """Every request has the size that was asked for, and every answer is right."""
        talk = OrionV1Talk(FRAMING, 64, start=7)
        self.assertEqual({len(each.payload) for each in requests_in(talk.next(12))}, {64})
        talk = OrionV1Talk(FRAMING, 64, start=7)
        for answer in answers_of(OrionV1(), talk, 12):
            self.assertEqual(talk.receive(FRAMING.reply(answer, TEXT)), 1)

    def test_requests_are_json(self) -> None:
        (first, second) = requests_in(OrionV1Talk(FRAMING, 200, start=3).next(2))
        self.assertEqual(first.opcode, TEXT)
        self.assertEqual(json.loads(first.payload)["@MSGID"], 1)
        self.assertEqual(json.loads(second.payload)["@MSGID"], 2)

    def test_wrong_answers(self) -> None:
        """Out of order, of another connection, failed, binary, or no JSON object at all."""
        talk = OrionV1Talk(FRAMING, 64)
        one, two = answers_of(OrionV1(), talk, 2)
        (foreign,) = answers_of(OrionV1(), OrionV1Talk(FRAMING, 64, start=9), 1)
        failed = b'{"msgID":1,"success":false,"message":"no answer in time","code":"TIMEOUT"}'
        for data in (
            FRAMING.reply(two, TEXT),
            FRAMING.reply(foreign, TEXT),
            FRAMING.reply(failed, TEXT),
            FRAMING.reply(one, BINARY),
            FRAMING.reply(b"[1]", TEXT),
            FRAMING.reply(b"{", TEXT),
        ):
            talk = OrionV1Talk(FRAMING, 64)
            with self.assertRaises(WrongReply):
                talk.receive(data)


class OrionV2TalkTests(TestCase):
    def open(self) -> OrionV2Talk:
        talk = OrionV2Talk(FRAMING, 64, start=4)
        (hello,) = requests_in(talk.opening)
        self.assertEqual(hello.payload, b'{"type":"hello"}')
        self.assertFalse(talk.is_open)
        welcome = b'{"type":"welcome","sid":"a","key":"b","epoch":"c","recovered":false,"ack":0}'
        self.assertEqual(talk.receive(FRAMING.reply(welcome, TEXT)), 0)
        self.assertTrue(talk.is_open)
        return talk

    def test_results(self) -> None:
        """Requests are numbered and carry the receipt of what came; each result counts."""
        talk = self.open()
        for number in range(1, 300):
            (request,) = requests_in(talk.next(1))
            head, _, payload = request.payload.partition(b"\n")
            wanted = {"type": "request", "n": number, "ack": number - 1}
            self.assertEqual(json.loads(head), wanted)
            self.assertEqual(len(payload), 64)
            result = b'{"type":"result","s":%d,"n":%d}\n%b' % (number, number, payload)
            self.assertEqual(talk.receive(FRAMING.reply(result, TEXT)), 1)

    def test_receipts_of_the_gateway_are_no_results(self) -> None:
        talk = self.open()
        self.assertEqual(talk.receive(FRAMING.reply(b'{"type":"ack","ack":16}', TEXT)), 0)

    def test_wrong_results(self) -> None:
        """Out of order, errors, other payloads, binary ones, and a second welcome."""
        (request,) = requests_in(self.open().next(1))
        payload = request.payload.partition(b"\n")[2]
        right = b'{"type":"result","s":1,"n":1}\n' + payload
        self.assertEqual(self.open().receive(FRAMING.reply(right, TEXT)), 1)
        for message, opcode in (
            (b'{"type":"result","s":1,"n":2}\n' + payload, TEXT),
            (b'{"type":"result","s":2,"n":1}\n' + payload, TEXT),
            (b'{"type":"result","s":1,"n":1}\n' + payload[:-1], TEXT),
            (right, BINARY),
            (b'{"type":"error","s":1,"n":1,"code":"TIMEOUT","message":"late"}', TEXT),
            (b'{"type":"welcome","sid":"a"}', TEXT),
        ):
            with self.subTest(message), self.assertRaises(WrongReply):
                self.open().receive(FRAMING.reply(message, opcode))


class BackendTests(TestCase):
    """The backends answer what the contract says, however the reads cut it."""

    def feed(self, make: Callable[[], Framed], *payloads: bytes) -> list[bytes]:
        prefixed = Len32Framing()
        data = b"".join(map(prefixed.request, payloads))
        answers = []
        for size in (1, 5, len(data)):
            backend = make()
            sent = b"".join(map(backend.receive, in_pieces(data, size)))
            answers.append([each.payload for each in prefixed.reader().feed(sent)])
        self.assertEqual(answers[0], answers[1])
        self.assertEqual(answers[0], answers[2])
        return answers[0]

    def test_echo(self) -> None:
        self.assertEqual(Echo().receive(b"\0\0\0\x01a"), b"\0\0\0\x01a")

    def test_orion_v1(self) -> None:
        """The same answer, whether the request is of the usual form or of any other."""
        usual = b'{"@MSGID":7,"cmd":"echo","data":"x"}'
        other = b'{ "@SESSION":"s", "@MSGID": 7, "data": "x" }'
        wanted = {"msgID": 7, "success": True, "message": "", "data": "x"}
        for answer in self.feed(OrionV1, usual, other):
            self.assertEqual(json.loads(answer), wanted)

    def test_orion_v2(self) -> None:
        """Requests are answered with their payload, pings with a pong, the rest with nothing."""
        answers = self.feed(
            OrionV2,
            b'{"type":"open","sid":"a","tenant":"t"}',
            b'{"type":"request","id":17,"sid":"a","key":"a.1","ttl":4980}\npay\nload',
            b'{"type":"request","id":18,"sid":"a","key":"a.2","ttl":1,"bin":true}\n\0\xff',
            b'{"type":"notify","sid":"a","key":"a.3","ttl":1}\nx',
            b'{"type":"ping"}',
            b'{"type":"gone","sid":"a"}',
        )
        self.assertEqual(
            answers,
            [
                b'{"type":"result","id":17}\npay\nload',
                b'{"type":"result","id":18,"bin":true}\n\0\xff',
                b'{"type":"pong"}',
            ],
        )


class ReadJsonTests(TestCase):
    def test_objects_only(self) -> None:
        self.assertEqual(read_json(b'{"a":1}'), {"a": 1})
        for text in (b"", b"[]", b"1", b"\xff"):
            with self.assertRaises(WrongReply):
                read_json(text)
