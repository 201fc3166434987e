"""
A way to a port of this machine that can be cut, and stalled like a network that nobody misses yet.

It is what breaks sockets for those who cannot do so themselves.
"""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from typing import Self

from tests.browser import PATIENCE

PIECE = 64 * 1024
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of a socket whose close is an RST."""


class Detour:
    """
    Carries bytes to a port of 127.0.0.1 and back, for as many connections as come.

    A connection that the port does not take is reset, as if nobody had been between.

    Args:
        target: where to.

    Attributes:
        port: where to connect instead.
        count: how many connections have come.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.count = 0
        self._flows = threading.Event()
        self._flows.set()
        self._ends: list[socket.socket] = []
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def cut(self) -> None:
        """Break every connection that there is."""
        with self._lock:
            ends = list(self._ends)
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def stall(self) -> None:
        """Carry nothing from now on, neither bytes nor ends; new connections hear nothing."""
        self._flows.clear()

    def resume(self) -> None:
        """Carry on, with what has waited first."""
        self._flows.set()

    def _start(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return  # closed
            self.count += 1
            try:
                far = socket.create_connection(("127.0.0.1", self._target), PATIENCE)
            except OSError:
                near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                near.close()
                continue
            far.settimeout(None)
            with self._lock:
                self._ends += [near, far]
            self._start(self._carry, near, far)
            self._start(self._carry, far, near)

    def _carry(self, sender: socket.socket, receiver: socket.socket) -> None:
        with suppress(OSError):
            while data := sender.recv(PIECE):
                self._flows.wait()
                receiver.sendall(data)
        self._flows.wait()
        with suppress(OSError):
            receiver.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Break every connection, and take no more."""
        self._flows.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()
        for end in self._ends:
            end.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
