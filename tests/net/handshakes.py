"""
TLS handshakes in memory, between a table of certificates and clients of many kinds.

    visit(table, "shop.example").leaf              # what a browser would see
    visit(table, "shop.example", group="P-521")    # raises Refused, with the alert

The server's side is what the gateway has: Twisted's TLS over a transport without a socket. The
client's side is pyOpenSSL, or Python's own `ssl` with another OpenSSL below it.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from attrs import frozen
from cryptography import x509
from cryptography.hazmat.bindings.openssl.binding import Binding
from OpenSSL import SSL
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory

from orion_twisted.net.tls import CertificateTable
from tests.certificates import Issued

lib = Binding().lib

TLS12, TLS13 = SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION

GREETING = b"hello"


class Refused(Exception):
    """A handshake has failed; the text is the client's reason, such as the alert it was sent."""


class GreetingProtocol(Protocol):
    """What is behind TLS: it greets, and keeps what it hears."""

    def connectionMade(self) -> None:
        self.heard = b""
        self.transport.write(GREETING)

    def dataReceived(self, data: bytes) -> None:
        self.heard += data


class Server:
    """The gateway's end of one connection."""

    def __init__(self, table: CertificateTable) -> None:
        self.clock = Clock()
        factory = TLSMemoryBIOFactory(
            table, False, Factory.forProtocol(GreetingProtocol), self.clock
        )
        self.tls = factory.buildProtocol(None)
        self.wire = StringTransport()
        self.tls.makeConnection(self.wire)
        self.connection = self.tls.getHandle()

    def exchange(self, data: bytes) -> bytes:
        """Take bytes of the client's, and return the answer."""
        if data:
            self.tls.dataReceived(data)
        self.clock.advance(0)  # Twisted gathers small writes until the reactor's next turn
        answer = self.wire.value()
        self.wire.clear()
        return answer

    @property
    def is_closed(self) -> bool:
        return self.wire.disconnecting or self.wire.disconnected

    @property
    def heard(self) -> bytes:
        return self.tls.wrappedProtocol.heard


def client_context(
    *,
    version: int | None = None,
    ciphers: str | None = None,
    ciphers13: str | None = None,
    groups: str | None = None,
    signatures: str | None = None,
    certificate: Issued | None = None,
    alpn: Sequence[bytes] = (),
) -> SSL.Context:
    """Make the context of a client that can do what is asked for, and nothing else."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_cipher_list(b"ALL:@SECLEVEL=0")
    if version is not None:
        context.set_min_proto_version(version)
        context.set_max_proto_version(version)
    if ciphers is not None:
        context.set_cipher_list(f"{ciphers}:@SECLEVEL=0".encode())
    if ciphers13 is not None:
        context.set_tls13_ciphersuites(ciphers13.encode())
    if groups is not None:
        assert lib.SSL_CTX_set1_curves_list(context._context, groups.encode()) == 1
    if signatures is not None:
        assert lib.SSL_CTX_set1_sigalgs_list(context._context, signatures.encode()) == 1
    if certificate is not None:
        context.use_certificate(certificate.certificate)
        context.use_privatekey(certificate.key)
    if alpn:
        context.set_alpn_protos(list(alpn))
    return context


@frozen
class Visit:
    """What came of a handshake, as the client saw it."""

    client: SSL.Connection
    server: Server

    @property
    def version(self) -> str:
        return self.client.get_protocol_version_name()

    @property
    def cipher(self) -> str:
        return self.client.get_cipher_name()

    @property
    def group(self) -> str:
        return self.client.get_group_name()

    @property
    def chain(self) -> tuple[x509.Certificate, ...]:
        """What the server has sent, in that order; after a resumption, what it sent before."""
        return tuple(self.client.get_peer_cert_chain(as_cryptography=True) or ())

    @property
    def leaf(self) -> x509.Certificate:
        return self.chain[0]

    @property
    def is_resumed(self) -> bool:
        return bool(lib.SSL_session_reused(self.client._ssl))

    @property
    def alpn(self) -> bytes:
        return self.client.get_alpn_proto_negotiated()

    def pump(self) -> bytes:
        """See `pump`."""
        return pump(self.client, self.server)

    def leave(self) -> SSL.Session:
        """Close politely, without which OpenSSL calls a session bad, and return the session."""
        self.client.shutdown()
        pump(self.client, self.server)
        session = self.client.get_session()
        assert session is not None
        return session


def visit(
    table: CertificateTable,
    name: str | None,
    *,
    context: SSL.Context | None = None,
    session: SSL.Session | None = None,
    **abilities: Any,
) -> Visit:
    """
    Make a handshake, and read the greeting.

    Args:
        table: what the server has.
        name: asked for; None for a client without SNI.
        context: the client's; by default one with the ``abilities`` that `client_context` takes.
        session: one that another visit with the same context has left with.

    Raises:
        Refused: the handshake has failed.
    """
    client = SSL.Connection(context or client_context(**abilities), None)
    client.set_connect_state()
    if name is not None:
        client.set_tlsext_host_name(name.encode())
    if session is not None:
        client.set_session(session)
    server = Server(table)
    assert pump(client, server) == GREETING
    return Visit(client, server)


def pump(client: SSL.Connection, server: Server) -> bytes:
    """
    Carry bytes to and fro until nobody has any; return what the client has read.

    Raises:
        Refused: the client has met an error, or the server's end of the connection.
    """
    read = bytearray()
    for _ in range(30):
        try:
            read += client.recv(2**16)  # makes the handshake, too
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            break
        except SSL.SysCallError as error:
            raise Refused(str(error)) from None
        except SSL.Error as error:
            _carry(client, server)
            raise Refused("; ".join(reason for *_, reason in error.args[0])) from None
        if not _carry(client, server):
            break
    return bytes(read)


def _carry(client: SSL.Connection, server: Server) -> bool:
    try:
        sent = client.bio_read(2**16)
    except SSL.WantReadError:
        sent = b""
    answer = server.exchange(sent)
    if answer:
        client.bio_write(answer)
    elif server.is_closed:
        client.bio_shutdown()
    return bool(sent or answer)


class PlainClient:
    """A client of Python's own `ssl`."""

    def __init__(
        self,
        table: CertificateTable,
        context: ssl.SSLContext,
        name: str | None,
        session: ssl.SSLSession | None = None,
    ) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(
            self._incoming, self._outgoing, server_hostname=name, session=session
        )
        self.server = Server(table)
        self.read = b""
        for _ in range(30):
            with suppress(ssl.SSLWantReadError):
                self.read += self.tls.read(2**16)
            sent = self._outgoing.read()
            answer = self.server.exchange(sent)
            self._incoming.write(answer)
            if not sent and not answer:
                break


def plain_context(
    version: ssl.TLSVersion | None = None, trusted: Sequence[Issued] = ()
) -> ssl.SSLContext:
    """Make a context of Python's own `ssl`; without anyone to be trusted it trusts everyone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if version is not None:
        context.minimum_version = context.maximum_version = version
    if trusted:
        context.load_verify_locations(
            cadata="".join(one.certificate_pem.decode() for one in trusted)
        )
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
