"""
Backends that behave as told, well or badly, each connection in a thread of its own.

They share no code with the gateway: sockets, threads and a second hand-written framing.

    def greedy(peer: Peer) -> None:
        while peer.read_frame() is not None:
            pass

    with Backend(greedy) as backend:
        ...
"""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from io import BufferedReader
from pathlib import Path
from typing import Self, cast

from tests.harness import KIB, PATIENCE, eventually, free_port

Talk = Callable[["Peer"], None]
"""What a backend does with one connection; the connection is closed when it returns."""

PREFIXES = {"int32": ">I", "int32le": "<I", "int16": ">H"}
ENDINGS = {"line": b"\n", "nul": b"\0"}


def frame(payload: bytes, framing: str = "int32") -> bytes:
    """Return a payload as it stands on the wire."""
    if framing in PREFIXES:
        return struct.pack(PREFIXES[framing], len(payload)) + payload
    if framing == "netstring":
        return str(len(payload)).encode() + b":" + payload + b","
    return payload + ENDINGS[framing]


def _read_exactly(file: BufferedReader, size: int) -> bytes | None:
    data = file.read(size)
    return data if len(data) == size else None


def _read_until(file: BufferedReader, end: bytes) -> bytes | None:
    data = bytearray()
    while not data.endswith(end):
        byte = file.read(1)
        if not byte:
            return None
        data += byte
    return bytes(data[: -len(end)])


def _read_payload(file: BufferedReader, framing: str) -> bytes | None:
    """Return the next payload, or None if the stream ends before it is whole."""
    if framing in ENDINGS:
        return _read_until(file, ENDINGS[framing])
    if framing == "netstring":
        digits = _read_until(file, b":")
        payload = None if digits is None else _read_exactly(file, int(digits))
        return payload if payload is not None and file.read(1) == b"," else None
    prefix = _read_exactly(file, struct.calcsize(PREFIXES[framing]))
    if prefix is None:
        return None
    (size,) = struct.unpack(PREFIXES[framing], prefix)
    return _read_exactly(file, size)


class Peer:
    """
    The gateway, seen from a backend: one connection, blocking, for the thread of its talk.

    Attributes:
        number: 1 for the backend's first connection, and so on.
        ended: the gateway has sent its FIN, and all before it has been read.
    """

    def __init__(self, raw: socket.socket, backend: Backend, number: int) -> None:
        self._raw = raw
        self._file = cast(BufferedReader, raw.makefile("rb", buffering=256 * KIB))
        self._backend = backend
        self.number = number
        self.ended = False

    def shake_hands(self) -> None:
        """Bring TLS up, if the backend speaks it; `OSError` if the gateway does not like it."""
        if isinstance(self._raw, ssl.SSLSocket):
            self._raw.do_handshake()

    def read_frame(self) -> bytes | None:
        """Return the next payload, None at the stream's end; the backend keeps it in `frames`."""
        payload = _read_payload(self._file, self._backend.framing)
        if payload is None:
            self.ended = True
        else:
            self._backend.frames.append(payload)
        return payload

    def read(self, most: int = 256 * KIB) -> bytes:
        """Return some bytes, none at the end; the backend keeps them in `stream`."""
        data = self._file.read1(most)
        self._backend.stream += data
        self.ended = not data
        return data

    def send(self, data: bytes) -> None:
        self._raw.sendall(data)

    def send_frame(self, payload: bytes) -> None:
        self.send(frame(payload, self._backend.framing))

    def finish(self) -> None:
        """Send FIN, from any thread; reading goes on."""
        with suppress(OSError):  # it may have ended by itself
            socket.socket.shutdown(self._raw, socket.SHUT_WR)

    def reset(self) -> None:
        """End the connection with RST."""
        self._raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """Let go of the connection; what is not read yet turns this into a reset."""
        self._file.close()
        self._raw.close()

    def hang_up(self) -> None:
        """End both directions, from any thread: a blocked `read` or `send` returns."""
        with suppress(OSError):
            # Not the method of a TLS socket, which would change it under the reading thread.
            socket.socket.shutdown(self._raw, socket.SHUT_RDWR)


class Backend:
    """
    A server on 127.0.0.1, or on a UNIX socket.

    Args:
        talk: what it does with each connection.
        port: where it listens; by default a free port.
        path: of the UNIX socket on which it listens instead.
        tls: makes it speak TLS.
        framing: of `Peer.read_frame` and `Peer.send_frame`.
        receive_buffer: bytes that the system takes in for a talk that does not read.

    Attributes:
        frames: every payload ever received, in the order of arrival.
        stream: every byte received by `Peer.read`.
        peers: every connection ever accepted.
    """

    def __init__(
        self,
        talk: Talk,
        port: int | None = None,
        *,
        path: Path | None = None,
        tls: ssl.SSLContext | None = None,
        framing: str = "int32",
        receive_buffer: int | None = None,
    ) -> None:
        self.talk = talk
        self.port = port or free_port()
        self.framing = framing
        self.frames: list[bytes] = []
        self.stream = bytearray()
        self.peers: list[Peer] = []
        self._path = path
        self._tls = tls
        self._receive_buffer = receive_buffer
        self._listener: socket.socket | None = None
        self._threads: list[threading.Thread] = []
        self._bugs: list[Exception] = []

    @property
    def endpoint(self) -> str:
        """What the gateway is told to dial; with TLS there is more to say than this."""
        return f"tcp:127.0.0.1:{self.port}" if self._path is None else f"unix:{self._path}"

    def start(self) -> Self:
        """Listen; after `stop`, on the same port again."""
        self._listener = listener = socket.socket(
            socket.AF_INET if self._path is None else socket.AF_UNIX
        )
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self._receive_buffer is not None:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
        listener.bind(("127.0.0.1", self.port) if self._path is None else str(self._path))
        listener.listen(512)
        self._run(lambda: self._accept(listener))
        return self

    def stop(self) -> None:
        """Stop listening and end every connection. A bug of a talk is raised here."""
        self._stop_listening()
        for peer in self.peers:
            peer.hang_up()
        self._join()

    def _stop_listening(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
            listener.close()

    def _join(self) -> None:
        for thread in self._threads:
            thread.join(PATIENCE)
            if thread.is_alive():
                raise AssertionError("a backend's connection does not end")
        self._threads.clear()
        if self._bugs:
            raise self._bugs[0]

    def leave(self) -> None:
        """
        Stop listening, send FIN on every connection, and wait for the gateway's own.

        When this returns the gateway knows that the link is gone. The talks have to read on.
        """
        self._stop_listening()
        for peer in self.peers:
            peer.finish()
        self._join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def wait_for_frames(self, count: int) -> list[bytes]:
        """Wait until so many payloads have come; return all."""
        eventually(lambda: len(self.frames) >= count, f"{count} frames at the backend")
        return self.frames

    def wait_for_peers(self, count: int) -> Peer:
        """Wait for the connection of this number; return it."""
        eventually(lambda: len(self.peers) >= count, f"connection {count} at the backend")
        return self.peers[count - 1]

    def _run(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                raw, _ = listener.accept()
            except OSError:
                return  # stopped
            if self._path is None:
                raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                raw = self._tls.wrap_socket(raw, server_side=True, do_handshake_on_connect=False)
            peer = Peer(raw, self, len(self.peers) + 1)
            self.peers.append(peer)
            self._run(partial(self._talk, peer))

    def _talk(self, peer: Peer) -> None:
        try:
            peer.shake_hands()
            self.talk(peer)
        except OSError:
            pass  # the connection has ended, here or there, in the middle of a call
        except Exception as bug:
            self._bugs.append(bug)
        finally:
            peer.close()


# Talks


def echo(peer: Peer) -> None:
    """Send every frame back as it came."""
    while (payload := peer.read_frame()) is not None:
        peer.send_frame(payload)


def echo_stream(peer: Peer) -> None:
    """Send every byte back as it came, and FIN for FIN."""
    while data := peer.read():
        peer.send(data)


def silent(peer: Peer) -> None:
    """Read every frame, answer none."""
    while peer.read_frame() is not None:
        pass


def silent_stream(peer: Peer) -> None:
    """Read every byte, answer none."""
    while peer.read():
        pass


def resets(peer: Peer) -> None:
    """Answer the first frame by a reset."""
    peer.read_frame()
    peer.reset()


def sends(data: bytes) -> Talk:
    """Return a talk that sends these bytes as they are, then reads to the end."""

    def talk(peer: Peer) -> None:
        peer.send(data)
        silent_stream(peer)

    return talk


class NeverReads:
    """Leave all that comes where it is, until `let_go`; then do what another talk does."""

    def __init__(self, then: Talk) -> None:
        self._then = then
        self._gone_on = threading.Event()

    def __call__(self, peer: Peer) -> None:
        self._gone_on.wait(4 * PATIENCE)
        self._then(peer)

    def let_go(self) -> None:
        self._gone_on.set()


class Floods:
    """Send payload after payload, as fast as they are taken, then read to the end."""

    def __init__(self, payloads: Iterable[bytes]) -> None:
        self._payloads = payloads
        self.sent = 0
        """How many payloads the gateway's side has taken."""

    def __call__(self, peer: Peer) -> None:
        for payload in self._payloads:
            peer.send_frame(payload)
            self.sent += 1
        silent(peer)
