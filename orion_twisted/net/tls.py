"""
TLS for many names behind one port.

A context is built once for each certificate, with one policy for all; a handshake finds its
context by a dict look-up of the name that the client asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from secrets import token_bytes
from typing import Any

from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from orion_twisted.core.hostnames import NameTable
from orion_twisted.net.certchecks import CertificateFile, choose, rank

ALPN = b"http/1.1"
"""The only application protocol: a WebSocket begins as HTTP/1.1."""

CIPHERS = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    b"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    b"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)
"""TLS 1.2 suites of Mozilla's "intermediate", those with ECDHE; TLS 1.3 has only good ones."""

OPTIONS = SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION


def server_context(certificate: CertificateFile | None) -> SSL.Context:
    """
    Return a context with this server's policy.

    Args:
        certificate: None makes a context that ends every handshake with ``handshake_failure``:
            the answer to a name that nobody serves.
    """
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_options(OPTIONS)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)  # an idle connection holds no record buffers
    context.set_cipher_list(CIPHERS)
    context.set_session_id(token_bytes(16))
    context.set_alpn_select_callback(_select_protocol)
    if certificate is not None:
        leaf, *rest = certificate.chain
        context.use_certificate(crypto.X509.from_cryptography(leaf))
        for issuer in rest:
            context.add_extra_chain_cert(crypto.X509.from_cryptography(issuer))
        context.use_privatekey(crypto.PKey.from_cryptography_key(certificate.private_key))
        context.check_privatekey()
    return context


def _select_protocol(connection: SSL.Connection, offered: list[bytes]) -> Any:
    # A client that offers only others is served without ALPN: what it says decides.
    return ALPN if ALPN in offered else SSL.NO_OVERLAPPING_PROTOCOLS


@implementer(IOpenSSLServerConnectionCreator)
class CertificateTable:
    """
    The certificates in service.

    Args:
        certificates: those that may be served.
        fallback: a name whose certificate answers clients that ask for an unknown name or for
            none; without it such handshakes fail.
        now: aware; where several certificates have the same name, it decides which are valid.

    Raises:
        LookupError: there is no certificate for ``fallback``.
    """

    def __init__(
        self, certificates: Iterable[CertificateFile], fallback: str | None, now: datetime
    ) -> None:
        best_last = sorted(certificates, key=lambda each: rank(each, now))
        contexts = {each.fingerprint: server_context(each) for each in best_last}
        self._contexts = NameTable(
            {name: contexts[each.fingerprint] for each in best_last for name in each.names}
        )
        if fallback is None:
            self._fallback = server_context(None)
        else:
            certificate = choose(best_last, fallback, now)
            if certificate is None:
                raise LookupError(fallback)
            self._fallback = contexts[certificate.fingerprint]
        # Every handshake begins here, and is sent on by the name in its first message.
        self._entrance = server_context(None)
        self._entrance.set_tlsext_servername_callback(self._choose_context)

    def context_for(self, name: str) -> SSL.Context:
        """Return the context that answers a name in any spelling; empty for no name."""
        return self._contexts.lookup(name) or self._fallback

    def _choose_context(self, connection: SSL.Connection) -> None:
        # OpenSSL calls this for every ClientHello, with a name in it or without.
        name = connection.get_servername() or b""
        connection.set_context(self.context_for(name.decode("ascii", "replace")))

    def serverConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """Return a connection that has no certificate yet."""
        return SSL.Connection(self._entrance, None)
