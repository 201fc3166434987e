"""
What is said over one connection: messages made, replies checked, every one of them.

A talk is handed the bytes that came and hands out those to send; it knows no socket. A reply has
to have the content that belongs to its place in the order: a lost, doubled, damaged, reordered or
misdirected one raises `WrongReply`.
"""

from __future__ import annotations

import random
import zlib
from abc import ABC, abstractmethod
from typing import Any, Protocol

import msgspec

from bench.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Frame,
    Framing,
    Lost,
    WrongReply,
)

CYCLE_BYTES = 256 * 1024
"""About how much of prepared messages a cycle has: more than the caches would like."""
LEAST_CYCLE, MOST_CYCLE = 4, 4096
"""Messages of a cycle. It is longer than what is in flight, so no reply can pass for another."""

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"


class Closed(Lost):
    """The gateway sent a close frame."""


class Talk(Protocol):
    """
    One connection's conversation.

    Attributes:
        opening: what is sent first, before any message; empty if nothing is.
        is_open: whether messages may be sent yet.
        answers: what has to be sent although nobody asked for it, such as pongs; whoever sends it
            empties it.
    """

    opening: bytes
    is_open: bool
    answers: bytes

    def next(self, count: int) -> bytes:
        """Return the wire bytes of the next so many messages."""
        ...

    def receive(self, data: bytes) -> int:
        """
        Return how many right replies end in these bytes.

        Raises:
            WrongReply: something else than the next reply is in them.
            Closed: a close frame is in them.
        """
        ...


def payloads_of(size: int, count: int) -> list[bytes]:
    """
    Return so many different messages of one size, in bytes: letters that begin with a number.

    They are text, so that they pass where only text does. The same call returns the same ones.
    """
    source = random.Random(size)
    pool = "".join(source.choices(LETTERS, k=size + count * 7)).encode()
    return [(b"%08d:" % index + pool[index * 7 :])[:size] for index in range(count)]


class Cycle:
    """
    Messages that are made once and sent round and round, with the replies to them.

    Args:
        framing: of the wire.
        size: bytes of each payload; from 9 on, all are different.
        in_flight: how many one connection sends ahead.
    """

    def __init__(self, framing: Framing, size: int, in_flight: int = 1) -> None:
        few = min(MOST_CYCLE, max(LEAST_CYCLE, CYCLE_BYTES // size))
        self.count = max(few, 2 * in_flight)
        self.payloads = payloads_of(size, self.count)
        self.framing = framing
        self.size = size
        # Each twice, so that a slice never has to begin anew.
        self.requests = b"".join(framing.request(each) for each in self.payloads) * 2
        self.replies = b"".join(framing.reply(each) for each in self.payloads) * 2
        self.request_size = len(self.requests) // (2 * self.count)
        self.reply_size = len(self.replies) // (2 * self.count)


class FrameTalk(ABC):
    """What all talks have in common: frames as they come, and those of control."""

    def __init__(self, framing: Framing) -> None:
        self.opening = b""
        self.is_open = True
        self.answers = b""
        self._framing = framing
        self._reader = framing.reader()
        self._fragments: list[bytes] = []
        self._opcode: int | None = None

    @property
    def _is_at_rest(self) -> bool:
        return self._opcode is None and self._reader.is_at_rest

    def receive(self, data: bytes) -> int:
        return sum([self._frame(frame) for frame in self._reader.feed(data)])

    @abstractmethod
    def _frame(self, frame: Frame) -> int:
        """Return how many replies end with a frame."""

    def _control(self, frame: Frame) -> None:
        if frame.opcode == CLOSE:
            code = int.from_bytes(frame.payload[:2], "big") or 1005
            raise Closed(f"a connection was closed with {code}")
        if frame.opcode == PING:
            self.answers += self._framing.request(frame.payload, PONG)


class MessageTalk(FrameTalk):
    """A talk whose replies are messages, each in one frame or in fragments."""

    def _frame(self, frame: Frame) -> int:
        opcode = frame.opcode
        if opcode >= CLOSE:
            self._control(frame)
            return 0
        if (opcode == CONTINUATION) != (self._opcode is not None):
            raise WrongReply("fragments out of order")
        if self._opcode is None:
            if frame.is_last:
                return self._message(opcode, frame.payload)
            self._opcode = opcode
        self._fragments.append(frame.payload)
        if not frame.is_last:
            return 0
        whole, first = b"".join(self._fragments), self._opcode
        self._fragments, self._opcode = [], None
        return self._message(first, whole)

    @abstractmethod
    def _message(self, opcode: int, payload: bytes) -> int:
        """Return how many replies end with a message."""


class EchoTalk(MessageTalk):
    """
    The same message comes back, in one message.

    The replies can be foretold to the byte, so one comparison checks all that a read brought.
    What differs from it, such as a fragment or a ping, is taken apart before it is judged.

    Args:
        cycle: the messages.
        start: the index of the first one: connections that differ in it cannot be mixed up.
        opcode: of the replies.
    """

    def __init__(self, cycle: Cycle, start: int = 0, opcode: int = BINARY) -> None:
        super().__init__(cycle.framing)
        self._cycle = cycle
        self._replies = cycle.replies
        self._reply_size = cycle.reply_size
        self._end = cycle.reply_size * cycle.count
        self._next = start % cycle.count * cycle.request_size
        self._at = start % cycle.count * cycle.reply_size
        self._is_foretold = True
        self._expected_opcode = opcode

    def next(self, count: int) -> bytes:
        cycle = self._cycle
        start = self._next
        end = start + count * cycle.request_size
        self._next = end % (cycle.count * cycle.request_size)
        return cycle.requests[start:end]

    def receive(self, data: bytes) -> int:
        start = self._at
        if self._is_foretold:
            if self._replies.startswith(data, start):
                end = start + len(data)
                self._at = end if end < self._end else end - self._end
                return end // self._reply_size - start // self._reply_size
            begun = start % self._reply_size
            data = self._replies[start - begun : start] + data
            self._at = start - begun
            self._is_foretold = False
        count = super().receive(data)
        self._is_foretold = self._is_at_rest
        return count

    def _message(self, opcode: int, payload: bytes) -> int:
        index = self._at // self._reply_size
        if opcode != self._expected_opcode:
            raise WrongReply(f"a reply of opcode {opcode}, not {self._expected_opcode}")
        expect(payload, self._cycle.payloads[index])
        self._at = (index + 1) % self._cycle.count * self._reply_size
        return 1


class StreamTalk(FrameTalk):
    """
    The same bytes come back, in whatever messages the gateway makes of them.

    For gateways that carry a stream and no messages: several may come back in one, or one in
    several. A reply counts when its last byte has come.

    Args:
        cycle: the messages.
        start: the index of the first one.
    """

    def __init__(self, cycle: Cycle, start: int = 0) -> None:
        super().__init__(cycle.framing)
        self._cycle = cycle
        self._stream = b"".join(cycle.payloads)
        self._next = start % cycle.count * cycle.request_size
        self._at = start % cycle.count * cycle.size

    def next(self, count: int) -> bytes:
        cycle = self._cycle
        start = self._next
        end = start + count * cycle.request_size
        self._next = end % (cycle.count * cycle.request_size)
        return cycle.requests[start:end]

    def _frame(self, frame: Frame) -> int:
        if frame.opcode >= CLOSE:
            self._control(frame)
            return 0
        # A piece may go past the end of the cycle, and more than once.
        count, rest = 0, frame.payload
        while rest:
            piece = rest[: len(self._stream) - self._at]
            rest = rest[len(piece) :]
            if not self._stream.startswith(piece, self._at):
                expect(piece, self._stream[self._at : self._at + len(piece)])
            end = self._at + len(piece)
            count += end // self._cycle.size - self._at // self._cycle.size
            self._at = end % len(self._stream)
        return count


class OrionV1Talk(MessageTalk):
    """
    JSON objects with ``@MSGID``, answered in their order by objects with ``msgID``.

    Args:
        framing: of the wire.
        size: bytes of each request.
        start: sets what is said apart from what other connections say.
    """

    def __init__(self, framing: Framing, size: int, start: int = 0) -> None:
        super().__init__(framing)
        self._filling = payloads_of(size, 1)[0].decode()
        self._size = size
        self._start = start
        self._sent = 0
        self._answered = 0

    def next(self, count: int) -> bytes:
        numbers = range(self._sent + 1, self._sent + count + 1)
        self._sent += count
        framing = self._framing
        return b"".join([framing.request(self._request(number), TEXT) for number in numbers])

    def _request(self, number: int) -> bytes:
        # The same text as json.dumps would make, at a fraction of its time.
        return f'{{"@MSGID":{number},"cmd":"echo","data":"{self._data(number)}"}}'.encode()

    def _data(self, number: int) -> str:
        unique = f"{self._start:x}.{number:x}."
        taken = len(f'{{"@MSGID":{number},"cmd":"echo","data":""}}')
        return unique + self._filling[: max(self._size - taken - len(unique), 0)]

    def _message(self, opcode: int, payload: bytes) -> int:
        number = self._answered + 1
        reply = read_json(payload)
        if opcode != TEXT or reply.get("msgID") != number or reply.get("success") is not True:
            raise WrongReply(f"{excerpt(payload)}, not the result of {number}")
        expect(str(reply.get("data")).encode(), self._data(number).encode())
        self._answered = number
        return 1


class OrionV2Talk(MessageTalk):
    """
    A session of its own: numbered requests under a header line, answered in their order.

    Every request carries the receipt of what came before it, as a browser's client does.

    Args:
        framing: of the wire.
        size: bytes of each request's payload, its header aside.
        start: sets what is said apart from what other connections say.
    """

    def __init__(self, framing: Framing, size: int, start: int = 0) -> None:
        super().__init__(framing)
        self.opening = framing.request(b'{"type":"hello"}', TEXT)
        self.is_open = False
        self._payloads = payloads_of(size, 256)
        self._start = start
        self._sent = 0
        self._answered = 0

    def next(self, count: int) -> bytes:
        numbers = range(self._sent + 1, self._sent + count + 1)
        self._sent += count
        framing = self._framing
        return b"".join([framing.request(self._request(number), TEXT) for number in numbers])

    def _request(self, number: int) -> bytes:
        head = b'{"type":"request","n":%d,"ack":%d}\n' % (number, self._answered)
        return head + self._payload(number)

    def _payload(self, number: int) -> bytes:
        return self._payloads[(self._start + number) % len(self._payloads)]

    def _message(self, opcode: int, payload: bytes) -> int:
        head, _, rest = payload.partition(b"\n")
        header = read_json(head)
        kind = header.get("type")
        if kind == "welcome" and not self.is_open:
            self.is_open = True
            return 0
        if kind == "ack":
            return 0
        number = self._answered + 1
        # The gateway numbers nothing but results here, so both numbers are the same.
        numbers = header.get("n"), header.get("s")
        if opcode != TEXT or kind != "result" or numbers != (number, number):
            raise WrongReply(f"{excerpt(payload)}, not the result of {number}")
        expect(rest, self._payload(number))
        self._answered = number
        return 1


def expect(found: bytes, wanted: bytes) -> None:
    """Raise `WrongReply` if these are not the same."""
    if found != wanted:
        raise WrongReply(f"{excerpt(found)}, not {excerpt(wanted)}")


def excerpt(data: bytes) -> str:
    """Return a form of some bytes that is short enough to print and tells them apart."""
    text = repr(data if len(data) <= 48 else data[:40] + b"...")
    return f"{text} ({len(data)} bytes, CRC {zlib.crc32(data):08x})"


def read_json(text: bytes) -> dict[str, Any]:
    """
    Return a JSON object.

    Raises:
        WrongReply: it is none.
    """
    try:
        value = msgspec.json.decode(text)  # some five times as fast as json
    except msgspec.DecodeError:
        raise WrongReply(f"{excerpt(text)}, which is no JSON") from None
    if not isinstance(value, dict):
        raise WrongReply(f"{excerpt(text)}, which is no object")
    return value
