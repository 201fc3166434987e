"""
A gateway made by hand, frame by frame, at the other end of connections in memory.

    door = Door(clock)
    client = OrionClient("ws://localhost/ws", endpoint=door, reactor=clock, random=lambda: 1.0)
    client.start()
    peer = door.accept()                # the client has connected
    peer.upgrade("orion.v2")
    peer.expect(vector("hello").octets)
    peer.send(vector("welcome").octets)
"""

from __future__ import annotations

import base64
import hashlib
import struct
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.testing import MemoryReactorClock
from zope.interface import implementer

from tests.transports import Pipe

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
MORE, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


@implementer(IStreamClientEndpoint)
class Door:
    """
    What the client dials. It is open, refuses, or keeps everybody waiting.

    Attributes:
        attempts: how often it was dialled.
        peers: every connection, in order.
    """

    def __init__(self, clock: MemoryReactorClock) -> None:
        self.clock = clock
        self.attempts = 0
        self.peers: list[Peer] = []
        self.refuses = False
        self.keeps_waiting = False
        self.waiting: list[Deferred[Any]] = []
        self.cancelled = 0
        self._accepted = 0

    def connect(self, factory: Any) -> Deferred[Any]:
        self.attempts += 1
        if self.refuses:
            raise ConnectionRefusedError()
        if self.keeps_waiting:
            deferred: Deferred[Any] = Deferred(self._cancel)
            self.waiting.append(deferred)
            return deferred
        protocol = factory.buildProtocol(IPv4Address("TCP", "192.0.2.1", 8889))
        peer = Peer(self.clock)
        self.peers.append(peer)
        peer.wire.connect(protocol)
        return succeed(protocol)

    def _cancel(self, deferred: Deferred[Any]) -> None:
        self.cancelled += 1

    def accept(self) -> Peer:
        """Return the next connection; `AssertionError` if there is none."""
        assert len(self.peers) > self._accepted, "nobody has connected"
        self._accepted += 1
        return self.peers[self._accepted - 1]

    @property
    def is_quiet(self) -> bool:
        """Whether nobody has connected that was not accepted."""
        return len(self.peers) == self._accepted


class Peer:
    """The gateway's end of one connection."""

    def __init__(self, clock: MemoryReactorClock) -> None:
        self.wire = Pipe(clock)
        self.head = b""
        self._read = 0

    # The upgrade

    def request(self) -> dict[str, str]:
        """Take the client's request; return its headers, and its first line under ``""``."""
        head, _, rest = self._taken().partition(b"\r\n\r\n")
        assert rest == b"", "nothing comes before the answer"
        self._read = len(self.wire.taken)
        first, *lines = head.decode("ascii").split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        assert len(headers) == len(lines)
        return {"": first, **headers}

    def upgrade(self, subprotocol: str | None, more: bytes = b"") -> dict[str, str]:
        """Let the client in; ``more`` follows in the same read. Return its request."""
        request = self.request()
        digest = hashlib.sha1(request["Sec-WebSocket-Key"].encode() + GUID).digest()
        agreed = "" if subprotocol is None else f"Sec-WebSocket-Protocol: {subprotocol}\r\n"
        self.wire.hears(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: "
            + base64.b64encode(digest)
            + b"\r\n"
            + agreed.encode()
            + b"\r\n"
            + more
        )
        return request

    def refuse(self, status: int, *headers: str) -> None:
        lines = [f"HTTP/1.1 {status} No", *headers, "Content-Length: 0", "", ""]
        self.wire.hears("\r\n".join(lines).encode())

    # Frames

    def frames(self) -> list[tuple[int, bytes]]:
        """Return what the client has sent since: opcode and payload of each frame, unmasked."""
        data, found = self._taken(), []
        while data:
            assert data[0] & 0x70 == 0, "no extension was agreed to"
            assert data[0] & 0x80, "not fragmented"
            assert data[1] & 0x80, "a client masks"
            size, at = data[1] & 0x7F, 2
            if size == 126:
                (size,), at = struct.unpack_from("!H", data, 2), 4
            elif size == 127:
                (size,), at = struct.unpack_from("!Q", data, 2), 10
            mask, body = data[at : at + 4], data[at + 4 : at + 4 + size]
            assert len(body) == size, "whole frames only"
            payload = bytes(byte ^ mask[number % 4] for number, byte in enumerate(body))
            found.append((data[0] & 0x0F, payload))
            data = data[at + 4 + size :]
        self._read = len(self.wire.taken)
        return found

    def messages(self) -> list[bytes]:
        """Return the messages that the client has sent since, and nothing else."""
        frames = self.frames()
        assert all(opcode in (TEXT, BINARY) for opcode, _ in frames), frames
        return [payload for _, payload in frames]

    def send(self, payload: bytes, is_binary: bool = False) -> None:
        self.wire.hears(frame(BINARY if is_binary else TEXT, payload))

    def close(self, code: int | None, reason: str = "") -> None:
        """Send a close frame."""
        body = b"" if code is None else struct.pack("!H", code) + reason.encode()
        self.wire.hears(frame(CLOSE, body))

    def closed_with(self) -> int | None:
        """Take the client's close frame; return its code. Nothing else may have come."""
        ((opcode, payload),) = self.frames()
        assert opcode == CLOSE, opcode
        return struct.unpack("!H", payload[:2])[0] if payload else None

    def hang_up(self) -> None:
        """End the connection in good order."""
        self.wire.hears_end()

    def reset(self) -> None:
        """End the connection by a reset."""
        self.wire.breaks()

    @property
    def is_gone(self) -> bool:
        """Whether the connection has ended, on the client's side."""
        return self.wire.protocol is None or self.wire.aborted

    def _taken(self) -> bytes:
        self.wire.turn()
        return bytes(self.wire.taken[self._read :])


def frame(opcode: int, payload: bytes, *, fin: bool = True) -> bytes:
    """Return a frame as a server sends it."""
    first = (0x80 if fin else 0) | opcode
    size = len(payload)
    if size < 126:
        return struct.pack("!BB", first, size) + payload
    if size < 65536:
        return struct.pack("!BBH", first, 126, size) + payload
    return struct.pack("!BBQ", first, 127, size) + payload
