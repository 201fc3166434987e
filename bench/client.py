"""
One client of a gateway: TCP, TLS, the upgrade, a talk, and the end.

It stands on sockets and the standard library's `ssl`, so that it costs little beside the gateway,
and so that nothing of the gateway is in it.
"""

from __future__ import annotations

import os
import select
import socket
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from attrs import frozen

from bench.frames import Framing, Lost, Upgrade, WrongReply
from bench.talks import Talk

READ = 256 * 1024
RECORD = 16_384
"""The most plaintext that one TLS record has."""

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


class Owner(Protocol):
    """
    What a connection belongs to, and tells what becomes of it.

    Attributes:
        door: where the gateway is.
        poll: that says when its socket is ready.
    """

    door: Door
    poll: select.epoll

    def opened(self, connection: Connection) -> None:
        """It is ready for messages."""

    def count(self, connection: Connection, count: int) -> bool:
        """So many right replies came; return whether as many new messages are to be sent."""
        ...

    def closed(self, connection: Connection) -> None:
        """It has come to its end, as asked."""


class Connection:
    """
    One client.

    Its methods raise `bench.frames.LoadError` when what happens does not count.

    Args:
        owner: what it belongs to.
        talk: what it says.
        in_flight: messages that it sends ahead.
    """

    def __init__(self, owner: Owner, talk: Talk, in_flight: int) -> None:
        self._owner = owner
        self._talk = talk
        self._in_flight = in_flight
        self._unsent = bytearray()
        self.waiting = 0
        self._is_closing = False
        self._socket = socket.socket()
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        door = owner.door
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
        owner.poll.register(self.number, self._interest)
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
        self._owner.closed(self)

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
        door = self._owner.door
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
            self._owner.opened(self)

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
        if self._owner.count(self, count):
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
        if closing := self._owner.door.framing.closing:
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
            self._owner.closed(self)
            return
        with suppress(OSError):  # it has ended already
            self._socket.shutdown(socket.SHUT_WR)

    def _drop(self) -> None:
        self._incoming.read()

    def abort(self) -> None:
        """Close the socket, whatever goes on."""
        self._owner.poll.unregister(self.number)
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
            self._owner.poll.modify(self.number, interest)
