"""
TLS that asks OpenSSL for no more than there is.

Twisted reads until OpenSSL says that there is no more, and looks after each read whether there is
anything to send: two exceptions for every message. Here the headers of records are read on their
way in, so that it is known how many are whole, and each is asked for once. Handshakes, ends, and
whatever looks odd go Twisted's own way. A wrong count costs speed only: the stock way reads all
that there is.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from OpenSSL import SSL
from OpenSSL.SSL import Error, WantReadError, ZeroReturnError
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer, providedBy
from zope.interface.declarations import Provides

from orion_twisted.core.tlsrecords import HEADER, MOST_CONTENT, MOST_ENCRYPTED, RecordCount
from orion_twisted.net.eager import Guards
from orion_twisted.net.tlsarrival import ServerConnection

PIECE = HEADER + MOST_ENCRYPTED
"""
Bytes that OpenSSL is given at a time, at most.

Its buffers never shrink: what they once held they take for as long as the connection lasts.
"""
OVERHEAD = 64
"""Bytes by which a record is longer than its content, and more: TLS 1.2 and 1.3 add 30 at most
with the suites in use, and an answer to the peer's key update takes 27."""
AT_ONCE = 4 * MOST_CONTENT
"""Bytes that are joined before they are handed on, either way. Longer blocks are dear: the C
library asks the system for each of them, and gives it back."""


class LeanTLSProtocol(TLSMemoryBIOProtocol):
    """
    Twisted's TLS, with a short way for data on a connection that is neither new nor ending.

    What is written is not kept to be sent together with what follows in the same turn: whoever
    has much to write joins it.
    """

    transport: Any
    wrappedProtocol: Any

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._records = RecordCount()

    def makeConnection(self, transport: Any) -> None:
        declared = _declared(type(self), transport)
        if declared is None or not self._connectWrapped:
            super().makeConnection(transport)
            return
        # As Twisted does it, which declares the transport's interfaces one by one.
        self._tlsConnection = self.factory._creatorCallable(self)
        self._appSendBuffer = []
        self.__provides__ = declared
        self.connected = 1
        self.transport = transport
        self.factory.registerProtocol(self)
        self.wrappedProtocol.makeConnection(self)
        if not isinstance(self._tlsConnection, ServerConnection):  # that waits for its client
            self._checkHandshakeStatus()

    def dataReceived(self, data: bytes) -> None:
        size = len(data)
        records = self._records
        if not (
            self._handshakeDone
            and not self.disconnecting
            and not self._lostTLSConnection
            and not self._appSendBuffer
        ):
            records.feed(data, only_data=False)
            self._read_all(data)
        elif not records.left and size > HEADER and data[3] << 8 | data[4] == size - HEADER:
            # It is one record, and nothing else.
            connection = self._tlsConnection
            connection.bio_write(data)
            try:
                content = connection.recv(size)
            except Error as error:
                self._not_data(error)
            else:
                if not self._aborted:
                    self.wrappedProtocol.dataReceived(content)
        else:
            ends = records.feed(data, only_data=True)
            if records.is_lost:
                self._read_all(data)
            else:
                self._read_records(data, ends)

    def _read_records(self, data: bytes, ends: list[int]) -> None:
        """Give OpenSSL as many whole records at a time as a piece may have, and ask for each."""
        connection = self._tlsConnection
        contents: list[bytes] = []
        start = number = amount = 0
        has_other = False
        view = memoryview(data)
        while start < len(data):
            first = number
            while number < len(ends) and ends[number] - start <= PIECE:
                number += 1
            stop = ends[number - 1] if number > first else len(data)
            connection.bio_write(view[start:stop])
            amount += stop - start
            start = stop
            try:
                for _ in range(first, number):
                    contents.append(connection.recv(MOST_CONTENT))
            except WantReadError:
                has_other = True  # all of them are read, and not each was data
            except Error as error:
                self._deliver(contents)
                self._not_data(error)
                return
            if amount >= AT_ONCE:
                self._deliver(contents)
                if self._aborted or self._lostTLSConnection:
                    return
                contents.clear()
                amount = 0
        self._deliver(contents)
        if has_other:
            self._flushSendBIO()

    def _deliver(self, contents: list[bytes]) -> None:
        if contents and not self._aborted:
            self.wrappedProtocol.dataReceived(
                contents[0] if len(contents) == 1 else b"".join(contents)
            )

    def _not_data(self, error: Error) -> None:
        """Do what Twisted does where a read brings no data; it is being handled by the caller."""
        if isinstance(error, WantReadError):
            self._flushSendBIO()
        elif self._lostTLSConnection:
            pass
        elif isinstance(error, ZeroReturnError):
            self._shutdownTLS()
            self._tlsShutdownFinished(None)
        else:
            self._tlsShutdownFinished(Failure())

    def guards_of_reading(self) -> Guards:
        """Return what has to be so for the next byte to begin a record, which may be opened."""
        return (*self.guards_of_writing(), (self._records, "left", 0))

    def guards_of_writing(self) -> Guards:
        """Return what has to be so for data to be sealed at once."""
        return (
            (self, "disconnecting", False),
            (self, "_lostTLSConnection", False),
            (self, "_appSendBuffer", False),
        )

    def not_opened(self, error: Error, rest: bytes) -> None:
        """
        Go on where somebody else has asked OpenSSL for a record, and it has raised something.

        Args:
            error: what it has raised.
            rest: whole records that came with that one, and that OpenSSL was not given.
        """
        try:
            raise error
        except Error:
            self._not_data(error)
        finally:
            del error  # it knows this frame
        if rest:
            self._read_all(rest)

    def _read_all(self, data: bytes) -> None:
        """Read in Twisted's own way."""
        for start in range(0, len(data), PIECE):
            if self._aborted or self._lostTLSConnection:
                return
            super().dataReceived(data[start : start + PIECE])

    def _tlsShutdownFinished(self, reason: Failure | None) -> None:
        if reason is not None:
            # Twisted keeps it in a frame that its traceback holds: a cycle, for each browser that
            # goes without a close_notify.
            reason.cleanFailure()
        super()._tlsShutdownFinished(reason)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self._producer = None  # it may know whoever we are the transport of

    def write(self, data: bytes) -> None:
        if type(data) is not bytes:
            data = bytes(data + b"")  # raises what Twisted raises, for what it does not take
        size = len(data)
        if not self._handshakeDone or self.disconnecting or self._lostTLSConnection:
            super().write(data)
        elif 0 < size <= MOST_CONTENT:
            # It is one record, but for clients that have asked for smaller ones.
            connection = self._tlsConnection
            try:
                sent = connection.send(data)
            except Error as error:
                self._not_sent(data, error)
                return
            encrypted = connection.bio_read(size + OVERHEAD)
            if sent < size or len(encrypted) == size + OVERHEAD:
                self.partly_sealed(data, sent, encrypted)
            else:
                self.transport.write(encrypted)
        else:
            self._write_pieces(data)

    def not_sealed(self, data: bytes, error: Error) -> None:
        """Go on where somebody else has given OpenSSL data to send, and it has raised that."""
        try:
            raise error
        except Error:
            self._not_sent(data, error)
        finally:
            del error  # it knows this frame

    def partly_sealed(self, data: bytes, sent: int, encrypted: bytes) -> None:
        """
        Go on where OpenSSL did not send all in one record, or something besides.

        Args:
            data: at most the first `MOST_CONTENT` bytes of it were given to OpenSSL.
            sent: how many of them it has taken.
            encrypted: what it had for the peer up to then; there may be more.
        """
        self.transport.write(encrypted + self._encrypted(PIECE))
        if sent < len(data):
            self._write_pieces(data[sent:])

    def _write_pieces(self, data: bytes) -> None:
        ready: list[bytes] = []
        amount = at = 0
        view = memoryview(data)
        try:
            while at < len(data):
                sent = self._tlsConnection.send(view[at : at + MOST_CONTENT])
                at += sent
                amount += sent
                ready.append(self._encrypted(MOST_CONTENT + OVERHEAD))
                if amount >= AT_ONCE:
                    self._hand_on(ready)
                    amount = 0
        except Error as error:
            self._hand_on(ready)
            self._not_sent(data[at:], error)
        else:
            self._hand_on(ready)

    def _hand_on(self, ready: list[bytes]) -> None:
        if ready:
            self.transport.write(b"".join(ready))
            ready.clear()

    def _encrypted(self, expected: int) -> bytes:
        """Return what OpenSSL has for the peer; it should be less than so many bytes."""
        pieces = []
        try:
            while True:
                pieces.append(self._tlsConnection.bio_read(expected))
                if len(pieces[-1]) < expected:
                    break
        except WantReadError:
            pass  # there was no more
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _not_sent(self, data: bytes, error: Error) -> None:
        """Do what Twisted does with what OpenSSL does not take; it is called where it says so."""
        if isinstance(error, WantReadError):
            self._bufferedWrite(data)
        else:
            self._tlsShutdownFinished(Failure())


_declarations: dict[tuple[type, type], Any] = {}


def _declared(kind: type, transport: Any) -> Any:
    """Return the declaration of what a transport provides; None if it has some of its own."""
    if "__provides__" in getattr(transport, "__dict__", ()):
        return None
    key = kind, type(transport)
    if key not in _declarations:
        _declarations[key] = Provides(kind, providedBy(transport))
    return _declarations[key]


def make_lean(tls: Any) -> bool:
    """
    Have TLS take the short way.

    Args:
        tls: a factory of Twisted's, for all connections that it will make; or a connection that
            nothing has been received on: that is to say, in its protocol's ``connectionMade``.

    Returns:
        Whether it does; not if it is not Twisted's own, or has begun, or if `why_not`.
    """
    if isinstance(tls, LeanTLSProtocol):
        return True
    if why_not() is not None:
        return False
    if isinstance(tls, TLSMemoryBIOFactory):
        if tls.protocol not in _STOCK:
            return tls.protocol is LeanTLSProtocol
        tls.protocol = LeanTLSProtocol
        return True
    if type(tls) not in _STOCK or not _is_new(tls):
        return False
    if type(tls) is BufferingTLSTransport:
        # Of these it has its own; without them those of its class are found again.
        del tls.write, tls._aggregator
    tls.__class__ = LeanTLSProtocol
    tls._records = RecordCount()
    return True


_STOCK = (BufferingTLSTransport, TLSMemoryBIOProtocol)


def _is_new(tls: Any) -> bool:
    """Say whether nothing has been received, and nothing is kept to be sent."""
    buffering = getattr(tls, "_aggregator", None)
    if buffering is not None and (buffering._buffer or buffering._scheduled):
        return False
    state = tls.getHandle().get_state_string()
    return bool(state.startswith(b"before"))


@cache
def why_not() -> str | None:
    """
    Say what this Twisted does not have that lean TLS needs; None if it has all.

    It is tried once in a process: a connection is begun, without a socket and without a peer.
    """
    for name in (
        "_bufferedWrite",
        "_checkHandshakeStatus",
        "_flushSendBIO",
        "_handshakeDone",
        "_lostTLSConnection",
        "_shutdownTLS",
        "_tlsShutdownFinished",
    ):
        if not hasattr(TLSMemoryBIOProtocol, name):
            return f"TLSMemoryBIOProtocol has no {name}"
    try:
        return _try_out()
    except AttributeError as error:
        return str(error)


@implementer(IOpenSSLClientConnectionCreator)
class _Client:
    def clientConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        connection = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), None)
        connection.set_connect_state()
        return connection


class _Wire:
    """A transport that leads nowhere."""

    written = b""
    is_aborted = False

    def write(self, data: bytes) -> None:
        self.written += data

    def abortConnection(self) -> None:
        self.is_aborted = True


def _try_out() -> str | None:
    factory = TLSMemoryBIOFactory(_Client(), True, Factory.forProtocol(Protocol), Clock())
    wire = _Wire()
    tls: Any = factory.buildProtocol(None)
    tls.makeConnection(wire)
    if factory.protocol is not BufferingTLSTransport:
        return "Twisted makes TLS of another kind"
    aggregator = tls._aggregator
    if tls.write != aggregator.write or aggregator._buffer or aggregator._scheduled:
        return "small writes are joined in another way"
    if not wire.written:
        return "a handshake begins in another way"
    TLSMemoryBIOProtocol.write(tls, b"x")
    if tls._appSendBuffer != [b"x"] or type(tls.wrappedProtocol) is not Protocol:
        return "what cannot be encrypted yet is kept in another way"
    tls.abortConnection()
    if not (tls._aborted and tls.disconnecting and wire.is_aborted):
        return "it is cut off in another way"
    return _otherwise_made(factory)


def _otherwise_made(factory: TLSMemoryBIOFactory) -> str | None:
    """Make a connection in Twisted's way and in our own, and compare what comes of it."""
    wires = _Wire(), _Wire()
    stock = TLSMemoryBIOProtocol(factory, Protocol())
    lean = LeanTLSProtocol(factory, Protocol())
    for made, wire in zip((stock, lean), wires, strict=True):
        made.makeConnection(wire)  # as far as it is asked
    if vars(lean).keys() - {"_records"} != vars(stock).keys():
        return "a connection is made in another way"
    if len(wires[0].written) != len(wires[1].written):
        return "its handshake begins in another way"
    return None
