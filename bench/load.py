"""
The load: one process and one epoll loop, with prepared messages and checked replies.

It stands on sockets and the standard library's `ssl`, so that it costs little beside the gateway,
and so that nothing of the gateway is in it. Its own time is not measured, but it is the reason
why throughput is not: it is often the limit.
"""

from __future__ import annotations

import gc
import os
import select
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from attrs import frozen

from bench.frames import Framing, LoadError, Lost, Upgrade, WrongReply
from bench.talks import Talk

READ = 256 * 1024
RECORD = 16_384
"""The most plaintext that one TLS record has."""

PATIENCE = 15.0
"""Seconds without any progress after which a run is given up."""
CLOSE_PATIENCE = 5.0
"""Seconds that connections have to close when a run is over; it counts all the same."""
OPENING_AT_ONCE = 32
"""Connections in their opening at a time; servers have short queues for those."""

TLS_1_2_CIPHER = "ECDHE-ECDSA-AES256-GCM-SHA384"
"""For gateways that cannot speak TLS 1.3: the cipher that all others agree to there."""


@frozen
class Door:
    """
    Where a gateway is, and how it is spoken to.

    Attributes:
        port: of 127.0.0.1.
        context: a client's, which trusts the gateway's certificate.
        framing: of the wire.
        path: of the WebSocket.
        subprotocol: the one that is offered, or None.
    """

    port: int
    context: ssl.SSLContext
    framing: Framing
    path: str = "/ws"
    subprotocol: str | None = None


def client_context(ca_file: Path, *, newest: bool = True) -> ssl.SSLContext:
    """
    Return a context that verifies the gateway, and agrees to one version of TLS only.

    Args:
        ca_file: whom to trust.
        newest: TLS 1.3; otherwise TLS 1.2.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ca_file)
    version = ssl.TLSVersion.TLSv1_3 if newest else ssl.TLSVersion.TLSv1_2
    context.minimum_version = context.maximum_version = version
    if not newest:
        context.set_ciphers(TLS_1_2_CIPHER)
    context.set_alpn_protocols(["http/1.1"])
    return context


class Connection:
    """
    One client: TCP, TLS, the upgrade, a talk, and the end.

    Args:
        load: what it belongs to.
        talk: what it says.
        in_flight: messages that it sends ahead.
    """

    def __init__(self, load: Load, talk: Talk, in_flight: int) -> None:
        self._load = load
        self._talk = talk
        self._in_flight = in_flight
        self._unsent = bytearray()
        self.waiting = 0
        self._is_closing = False
        self._socket = socket.socket()
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        door = load.door
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        # A new object without a session: nothing is ever resumed.
        self._tls = door.context.wrap_bio(
            self._incoming, self._outgoing, server_hostname="localhost"
        )
        self._upgrade: Upgrade | None = None
        self._step = self._shaking_hands
        try:
            self._socket.connect(("127.0.0.1", door.port))
        except BlockingIOError:
            pass
        except OSError as error:
            self._socket.close()
            raise Lost(f"no connection: {error.strerror}") from None
        self.number = self._socket.fileno()
        self._interest = select.EPOLLIN | select.EPOLLOUT
        load.poll.register(self.number, self._interest)
        self._watch_for = self._connected

    @property
    def tls(self) -> tuple[str, str]:
        """The version and the cipher that were agreed to."""
        cipher = self._tls.cipher()
        return self._tls.version() or "", cipher[0] if cipher else ""

    def ready(self, events: int) -> None:
        """Do what can be done without waiting."""
        if events & select.EPOLLOUT:
            self._watch_for()
        if events & ~select.EPOLLOUT:
            try:
                data = self._socket.recv(READ)
            except BlockingIOError:
                return
            except OSError as error:
                self._ended(error.strerror or "reset")
                return
            if not data:
                self._ended("end of stream")
                return
            self._incoming.write(data)
            self._step()

    def _ended(self, why: str) -> None:
        if not self._is_closing:
            raise Lost(f"a connection was lost: {why}")
        self._load.closed(self)

    # The opening.

    def _connected(self) -> None:
        error = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise Lost(f"no connection: {os.strerror(error)}")
        self._watch_for = self._flush
        self._shaking_hands()
        self._flush()

    def _shaking_hands(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._send_records()
            return
        except ssl.SSLError as error:
            raise Lost(f"no TLS: {error}") from None
        door = self._load.door
        if not door.framing.has_upgrade:
            self._send_records()
            self._begin_talk(b"")
            return
        host = f"localhost:{door.port}"
        self._upgrade = Upgrade(host, door.path, door.subprotocol, os.urandom(16))
        self._step = self._upgrading
        self._send(self._upgrade.request)
        if self._incoming.pending:
            self._step()

    def _upgrading(self) -> None:
        assert self._upgrade is not None
        rest: bytes | None = None
        for data in self._plaintext():
            rest = self._upgrade.feed(data) if rest is None else rest + data
        if rest is not None:
            self._upgrade = None
            self._begin_talk(rest)

    def _begin_talk(self, rest: bytes) -> None:
        self._step = self._talking
        if self._talk.opening:
            self._send(self._talk.opening)
        self._said(rest)

    def _talking(self) -> None:
        for data in self._plaintext():
            self._said(data)

    def _said(self, data: bytes) -> None:
        if self._talk.receive(data):
            raise WrongReply("a reply before any message")
        self._answer()
        if self._talk.is_open:
            self._step = self._running
            self._load.opened(self)

    # The work.

    def begin(self) -> None:
        """Send the first messages."""
        self.waiting = self._in_flight
        self._send(self._talk.next(self._in_flight))

    def _running(self) -> None:
        tls, incoming, talk = self._tls, self._incoming, self._talk
        count = 0
        try:
            while True:
                data = tls.read(RECORD)
                if not data:
                    raise Lost("a connection was lost: end of TLS")
                count += talk.receive(data)
                # Asking once more would end in an exception, which is dear.
                if not incoming.pending and not tls.pending():
                    break
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            raise Lost(f"a connection was lost: {error}") from None
        self._answer()
        if count:
            self._count(count)

    def _count(self, count: int) -> None:
        self.waiting -= count
        if self.waiting < 0:
            raise WrongReply("more replies than messages")
        if self._load.count(self, count):
            self.waiting += count
            self._send(self._talk.next(count))

    def _answer(self) -> None:
        if self._talk.answers:
            answers, self._talk.answers = self._talk.answers, b""
            self._send(answers)

    # The end.

    def close(self) -> None:
        """Ask for the end: a close frame, or the end of TLS where there are none."""
        self._is_closing = True
        if closing := self._load.door.framing.closing:
            self._step = self._closing
            self._send(closing)
        else:
            self._end()

    def _closing(self) -> None:
        try:
            for data in self._plaintext():
                self._talk.receive(data)
        except Lost:  # its close frame, or the end of TLS
            self._end()

    def _end(self) -> None:
        """End TLS and our half of TCP; the gateway is to end the other one."""
        self._step = self._drop
        with suppress(ssl.SSLError):  # it would wait for the other side's end
            self._tls.unwrap()
        self._send_records()
        if self._unsent:
            self._load.closed(self)
            return
        with suppress(OSError):  # it has ended already
            self._socket.shutdown(socket.SHUT_WR)

    def _drop(self) -> None:
        self._incoming.read()

    def abort(self) -> None:
        """Close the socket, whatever goes on."""
        self._load.poll.unregister(self.number)
        self._socket.close()

    # Bytes.

    def _plaintext(self) -> list[bytes]:
        """
        Return what has been decrypted.

        Raises:
            Lost: TLS has ended.
        """
        pieces = []
        try:
            while data := self._tls.read(RECORD):
                pieces.append(data)
        except ssl.SSLWantReadError:
            return pieces
        except ssl.SSLError as error:
            if not pieces:
                raise Lost(f"a connection was lost: {error}") from None
            return pieces
        if not pieces:
            raise Lost("a connection was lost: end of TLS")
        return pieces

    def _send(self, data: bytes) -> None:
        self._tls.write(data)
        self._send_records()

    def _send_records(self) -> None:
        records = self._outgoing.read()
        if self._unsent:
            self._unsent += records
            return
        sent = self._try(records)
        if sent < len(records):
            self._unsent += records[sent:]
            self._watch(select.EPOLLIN | select.EPOLLOUT)

    def _flush(self) -> None:
        del self._unsent[: self._try(self._unsent)]
        if not self._unsent:
            self._watch(select.EPOLLIN)

    def _try(self, data: bytes | bytearray) -> int:
        """Return how many bytes could be sent without waiting."""
        if not data:
            return 0
        try:
            return self._socket.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            if self._is_closing:
                return len(data)  # nobody is left to take it
            raise Lost(f"a connection was lost: {error.strerror}") from None

    def _watch(self, interest: int) -> None:
        if interest != self._interest:
            self._interest = interest
            self._load.poll.modify(self.number, interest)


class Clock(Protocol):
    """Whoever measures: told when the window begins and when it ends."""

    def begin(self) -> None: ...

    def end(self) -> None: ...


@frozen
class Outcome:
    """
    What a run came to.

    Attributes:
        count: replies, or whole connections, within the window.
        seconds: that the window was open.
        tls: version and cipher of the last connection.
    """

    count: int
    seconds: float
    tls: tuple[str, str]


class Load:
    """
    Connections to one gateway, and what is done with them.

    Every method that runs raises `LoadError` when the run does not count: a connection lost, a
    wrong reply, or nothing at all for so long. `close` is to be called in any case.

    Args:
        door: the gateway's.
        talk: makes what a connection says, from the number of the connection.
        in_flight: messages that each connection sends ahead.
        patience: seconds without any progress after which a run is given up.
    """

    def __init__(
        self,
        door: Door,
        talk: Callable[[int], Talk],
        in_flight: int,
        patience: float = PATIENCE,
    ) -> None:
        self.door = door
        self.poll = select.epoll()
        self.total = 0
        self._talk = talk
        self._in_flight = in_flight
        self._patience = patience
        self._connections: dict[int, Connection] = {}
        self._made = 0
        self._open: list[Connection] = []
        self._storm = 0
        self._is_stopping = False
        self._goes_on = True
        self._tls = ("", "")

    # What connections tell.

    def opened(self, connection: Connection) -> None:
        """A connection is ready for messages."""
        self._tls = connection.tls
        if self._storm:
            connection.begin()
        else:
            self._open.append(connection)

    def count(self, connection: Connection, count: int) -> bool:
        """Count right replies; return whether as many new messages are to be sent."""
        if self._storm:
            if connection.waiting == 0:
                connection.close()
            return False
        self.total += count
        return self._goes_on

    def closed(self, connection: Connection) -> None:
        """A connection has come to its end, as asked."""
        self._forget(connection)
        if self._storm:
            self.total += 1
            if not self._is_stopping:
                self._connect()

    # What the owner asks for.

    def open(self, connections: int) -> None:
        """Open so many connections; none says anything yet."""
        with self._undisturbed():
            while len(self._open) < connections:
                while self._made < connections and self._made - len(self._open) < OPENING_AT_ONCE:
                    self._connect()
                self._turn_until(self._more_open_than(len(self._open)))

    def _more_open_than(self, count: int) -> Callable[[], bool]:
        return lambda: len(self._open) > count

    def run(self, warm_up: float, seconds: float, clock: Clock) -> Outcome:
        """Keep messages in flight on every open connection, then wait for the last replies."""
        with self._undisturbed():
            for connection in self._open:
                connection.begin()
            outcome = self._window(warm_up, seconds, clock)
            self._goes_on = False
            self._turn_until(lambda: not any(each.waiting for each in self._open))
            return outcome

    def echo_once(self) -> tuple[str, str]:
        """Send one window of messages on every open connection; return the TLS that is spoken."""
        self._goes_on = False
        with self._undisturbed():
            for connection in self._open:
                connection.begin()
            self._turn_until(lambda: not any(each.waiting for each in self._open))
        return self._tls

    def storm(self, at_once: int, warm_up: float, seconds: float, clock: Clock) -> Outcome:
        """Open, use and close connections, so many at a time, one after the other."""
        self._storm = at_once
        with self._undisturbed():
            for _ in range(at_once):
                self._connect()
            outcome = self._window(warm_up, seconds, clock)
            self._is_stopping = True
            self._turn_until(lambda: not self._connections)
            return outcome

    def close(self) -> None:
        """Close what is open, in order if that can be done soon."""
        deadline = time.monotonic() + CLOSE_PATIENCE
        for connection in set(self._connections.values()).difference(self._open):
            self._forget(connection)  # it has not come so far, or will be no more
        with suppress(LoadError, ssl.SSLError):
            for connection in self._open:
                connection.close()
            while self._connections and time.monotonic() < deadline:
                self._turn(0.1)
        for connection in list(self._connections.values()):
            self._forget(connection)
        self.poll.close()

    # The loop.

    def _connect(self) -> None:
        talk = self._talk(self._made)
        self._made += 1
        connection = Connection(self, talk, self._in_flight)
        self._connections[connection.number] = connection

    def _forget(self, connection: Connection) -> None:
        if self._connections.pop(connection.number, None):
            connection.abort()

    def _window(self, warm_up: float, seconds: float, clock: Clock) -> Outcome:
        self._turn_for(warm_up)
        clock.begin()
        begun, count = time.monotonic(), self.total
        self._turn_for(seconds)
        count, ended = self.total - count, time.monotonic()
        clock.end()
        if not count:
            raise Lost(f"nothing came back within {seconds:g} s")
        return Outcome(count, ended - begun, self._tls)

    def _turn_for(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        progress, total = time.monotonic() + self._patience, self.total
        while (now := time.monotonic()) < deadline:
            self._turn(min(deadline - now, 0.1))
            if self.total != total:
                progress, total = now + self._patience, self.total
            elif now > progress:
                raise Lost(f"nothing came back for {self._patience:g} s")

    def _turn_until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + self._patience
        while not condition():
            self._turn(0.1)
            if time.monotonic() > deadline:
                raise Lost(f"nothing came back for {self._patience:g} s")

    def _turn(self, timeout: float) -> None:
        """Let every connection do what it can."""
        events = self.poll.poll(timeout)
        connections = self._connections
        for number, event in events:
            connections[number].ready(event)

    @contextmanager
    def _undisturbed(self) -> Iterator[None]:
        """Keep the collector away: its pauses would be the gateway's wake-ups."""
        was_enabled = gc.isenabled()
        gc.disable()
        try:
            yield
        except ssl.SSLError as error:
            raise Lost(f"a connection was lost: {error}") from None
        finally:
            if was_enabled:
                gc.enable()
