"""
What a server shows in a TLS handshake: version, cipher, certificates, and what is wrong with them.

A bad certificate does not end the handshake here: it is looked at, not trusted.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from ipaddress import ip_address
from typing import Any

from attrs import frozen
from cryptography import x509
from OpenSSL import SSL
from service_identity import CertificateError, VerificationError
from service_identity.pyopenssl import verify_hostname, verify_ip_address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import connectProtocol, wrapClientTLS
from twisted.internet.interfaces import (
    IHandshakeListener,
    IOpenSSLClientConnectionCreator,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.ssl import Certificate
from twisted.python.failure import Failure
from zope.interface import implementer

from orion_twisted.client.target import ALPN

EXPIRED, NOT_YET = 10, 9
SELF_SIGNED, UNKNOWN_ROOT, NO_ISSUER, NO_CHAIN = 18, 19, 20, 21

PROBLEMS: dict[int, str] = {
    NOT_YET: "not valid yet",
    EXPIRED: "expired",
    SELF_SIGNED: "self-signed",
    UNKNOWN_ROOT: "from an authority that is not trusted",
    NO_ISSUER: "from an authority that is not trusted, or its intermediate was not sent",
    NO_CHAIN: "from an authority that is not trusted, or its intermediate was not sent",
    23: "revoked",
    24: "signed by what is no authority",
    26: "not made for servers",
    66: "of a key that is too short",
    67: "signed with a digest that is too weak",
}
"""What OpenSSL's results of a verification mean (x509_vfy.h)."""


@frozen
class Shown:
    """
    What one handshake showed.

    Attributes:
        version: of TLS, as ``TLSv1.3``.
        cipher: the suite.
        alpn: the application protocol agreed to, or an empty string.
        chain: the certificates that were sent, the server's own first.
        problem: OpenSSL's first complaint about the chain; None if there is none.
        is_for_host: whether the server's certificate is for the name it was asked for.
    """

    version: str
    cipher: str
    alpn: str
    chain: tuple[x509.Certificate, ...]
    problem: int | None
    is_for_host: bool

    @property
    def names(self) -> tuple[str, ...]:
        """Names and addresses that the server's certificate is for."""
        with suppress(x509.ExtensionNotFound, IndexError, ValueError):
            extensions = self.chain[0].extensions
            found = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            addresses = found.get_values_for_type(x509.IPAddress)
            return (*found.get_values_for_type(x509.DNSName), *map(str, addresses))
        return ()

    @property
    def subjects(self) -> tuple[str, ...]:
        """The chain for people: each certificate's subject, at the end the last one's issuer."""
        if not self.chain:
            return ()
        names = [each.subject for each in self.chain]
        if self.chain[-1].issuer != self.chain[-1].subject:
            names.append(self.chain[-1].issuer)
        return tuple(map(_common_name, names))

    def days_left(self, now: datetime) -> int:
        """Return for how many more days the first certificate to expire is good."""
        return min((each.not_valid_after_utc - now).days for each in self.chain)


def _common_name(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(found[0].value) if found else name.rfc4514_string() or "(no name)"


def is_address(host: str) -> bool:
    """Say whether a host is an address: TLS names only names (RFC 6066 section 3)."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def probe(
    endpoint: IStreamClientEndpoint, host: str, trusted: Sequence[Certificate] | None
) -> Deferred[Shown]:
    """
    Hold one handshake, and hang up.

    Args:
        endpoint: TCP to the server.
        host: whom to ask for.
        trusted: the authorities to trust; None: those of the system.

    Returns:
        A Deferred that fires with what was shown, and fails as the connection does. Cancelling it
        ends the connection.
    """
    looking = _Looking(host)
    creator = _Unverified(host, trusted, looking)
    connecting = connectProtocol(wrapClientTLS(creator, endpoint), looking)
    connecting.addErrback(looking.failed)
    looking.connecting = connecting
    return looking.shown


@implementer(IHandshakeListener)
class _Looking(Protocol):
    """Looks at the handshake that has been held over it."""

    connecting: Deferred[Any]

    def __init__(self, host: str) -> None:
        self._host = host
        self._is_done = False
        self.problem: int | None = None
        self.shown: Deferred[Shown] = Deferred(self._cancel)

    def handshakeCompleted(self) -> None:
        transport: Any = self.transport
        connection: SSL.Connection = transport.getHandle()
        if not self._is_done:
            self._is_done = True
            shown = Shown(
                connection.get_protocol_version_name(),
                connection.get_cipher_name() or "none",
                connection.get_alpn_proto_negotiated().decode("ascii", "replace"),
                tuple(connection.get_peer_cert_chain(as_cryptography=True) or ()),
                self.problem,
                _is_for(connection, self._host),
            )
            transport.loseConnection()
            self.shown.callback(shown)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.failed(reason)

    def failed(self, reason: Failure) -> None:
        if not self._is_done:
            self._is_done = True
            self.shown.errback(reason)

    def _cancel(self, shown: Deferred[Shown]) -> None:
        self._is_done = True
        self.connecting.cancel()
        if self.transport is not None:
            transport: Any = self.transport
            transport.abortConnection()


def _is_for(connection: SSL.Connection, host: str) -> bool:
    check = verify_ip_address if is_address(host) else verify_hostname
    try:
        check(connection, host)
    except (VerificationError, CertificateError):
        return False
    return True


@implementer(IOpenSSLClientConnectionCreator)
class _Unverified:
    """TLS that takes note of what is wrong with a certificate, and goes on."""

    def __init__(
        self, host: str, trusted: Sequence[Certificate] | None, looking: _Looking
    ) -> None:
        self._host = host
        self._looking = looking
        self._context = context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        context.set_alpn_protos([ALPN])
        if trusted is None:
            context.set_default_verify_paths()
        else:
            store = context.get_cert_store()
            assert store is not None
            for each in trusted:
                store.add_cert(each.original)
        context.set_verify(SSL.VERIFY_PEER, self._note)

    def _note(
        self, connection: SSL.Connection, certificate: object, problem: int, depth: int, ok: int
    ) -> bool:
        if not ok and self._looking.problem is None:
            self._looking.problem = problem
        return True

    def clientConnectionForTLS(self, protocol: Any) -> SSL.Connection:
        connection = SSL.Connection(self._context, None)
        if not is_address(self._host):
            connection.set_tlsext_host_name(self._host.encode("ascii"))
        return connection


def unverified(host: str) -> IOpenSSLClientConnectionCreator:
    """Return TLS that checks nothing at all."""
    creator: IOpenSSLClientConnectionCreator = _Unverified(host, None, _Looking(host))
    return creator
