"""
The backends of a run, as fast as may be: each is a process of its own.

    python -m bench.backends echo PORT

An echo of length-prefixed frames is an echo of their bytes: one backend serves gateways that
keep messages and gateways that carry a stream. Those of session mode answer in their dialect.
"""

from __future__ import annotations

import gc
import json
import re
import select
import socket
import struct
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

READ = 256 * 1024
MOST_UNSENT = 4 * 1024 * 1024
"""Bytes of answers that may wait in one connection before it is read no further."""

_LENGTH = struct.Struct("!I")


class Echo:
    """Answers with the same bytes."""

    def receive(self, data: bytes) -> bytes:
        """Return what is to be sent for what came."""
        return data


class Framed(ABC):
    """Answers frame by frame; the frames begin with their length in four bytes."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def receive(self, data: bytes) -> bytes:
        buffer = self._buffer
        buffer += data
        at, answers = 0, []
        while len(buffer) - at >= 4:
            (size,) = _LENGTH.unpack_from(buffer, at)
            end = at + 4 + size
            if len(buffer) < end:
                break
            answer = self.answer(bytes(buffer[at + 4 : end]))
            if answer is not None:
                answers += [_LENGTH.pack(len(answer)), answer]
            at = end
        del buffer[:at]
        return b"".join(answers)

    @abstractmethod
    def answer(self, payload: bytes) -> bytes | None:
        """Return the answer to a frame, if it has one."""


class OrionV1(Framed):
    """
    Answers ``{"@MSGID": 7, "data": "x"}`` with a result that has the same data.

    An expression finds both, not a JSON parser: this backend shares its CPU with the generator,
    and its time is nobody's cost. What has another form is answered by way of `json`.
    """

    _plain = re.compile(rb'\{"@MSGID":(\d+),"cmd":"echo","data":"([\w.:-]*)"\}')

    def answer(self, payload: bytes) -> bytes | None:
        found = self._plain.fullmatch(payload)
        if found:
            return b'{"msgID":%b,"success":true,"message":"","data":"%b"}' % found.groups()
        request: dict[str, Any] = json.loads(payload)
        result = {
            "msgID": request["@MSGID"],
            "success": True,
            "message": "",
            "data": request.get("data"),
        }
        return json.dumps(result, separators=(",", ":")).encode()


class OrionV2(Framed):
    """Answers requests with their own payload, and pings; sessions come and go unremarked."""

    _plain = re.compile(rb'\{"type":"request","id":(\d+),[^{}]*\}')

    def answer(self, payload: bytes) -> bytes | None:
        head, _, rest = payload.partition(b"\n")
        found = self._plain.fullmatch(head)
        if found and b'"bin"' not in head:
            return b'{"type":"result","id":%b}\n%b' % (found[1], rest)
        header: dict[str, Any] = json.loads(head)
        match header["type"]:
            case "request":
                result = {"type": "result", "id": header["id"]}
                if header.get("bin"):
                    result["bin"] = True
                return json.dumps(result, separators=(",", ":")).encode() + b"\n" + rest
            case "ping":
                return b'{"type":"pong"}'
        return None


BACKENDS: dict[str, Callable[[], Echo | Framed]] = {
    "echo": Echo,
    "orion.v1": OrionV1,
    "orion.v2": OrionV2,
}


class Connection:
    """One gateway's connection: reads, answers, and reads no further while too much is unsent."""

    def __init__(self, raw: socket.socket, poll: select.epoll, answers: Echo | Framed) -> None:
        raw.setblocking(False)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = raw
        self._poll = poll
        self._answers = answers
        self._unsent = bytearray()
        self._interest = select.EPOLLIN
        poll.register(raw, self._interest)

    def ready(self, events: int) -> bool:
        """Do what can be done without waiting; return whether the connection goes on."""
        try:
            if events & select.EPOLLOUT:
                self._flush()
            if events & ~select.EPOLLOUT and len(self._unsent) < MOST_UNSENT:
                data = self._socket.recv(READ)
                if not data:
                    return False
                self._send(self._answers.receive(data))
        except BlockingIOError:
            pass
        except OSError:
            return False  # reset: gateways may end a connection so
        return True

    def _send(self, data: bytes) -> None:
        if not self._unsent:
            sent = self._try(data)
            if sent == len(data):
                return
            data = data[sent:]
        self._unsent += data
        self._watch()

    def _flush(self) -> None:
        del self._unsent[: self._try(self._unsent)]
        self._watch()

    def _try(self, data: bytes | bytearray) -> int:
        """Return how many bytes could be sent without waiting."""
        try:
            return self._socket.send(data) if data else 0
        except BlockingIOError:
            return 0

    def _watch(self) -> None:
        interest = select.EPOLLOUT if self._unsent else 0
        if len(self._unsent) < MOST_UNSENT:
            interest |= select.EPOLLIN
        if interest != self._interest:
            self._interest = interest
            self._poll.modify(self._socket, interest)

    def close(self) -> None:
        self._poll.unregister(self._socket)
        self._socket.close()


def serve(make: Callable[[], Echo | Framed], listener: socket.socket) -> None:
    """Serve until the process is ended."""
    poll = select.epoll()
    poll.register(listener, select.EPOLLIN)
    connections: dict[int, Connection] = {}
    while True:
        for number, events in poll.poll():
            if number == listener.fileno():
                raw, _ = listener.accept()
                connections[raw.fileno()] = Connection(raw, poll, make())
            elif not connections[number].ready(events):
                connections.pop(number).close()


def main(arguments: Sequence[str]) -> None:
    name, port = arguments
    listener = socket.create_server(("127.0.0.1", int(port)), backlog=4096)
    gc.freeze()
    serve(BACKENDS[name], listener)


if __name__ == "__main__":
    main(sys.argv[1:])
