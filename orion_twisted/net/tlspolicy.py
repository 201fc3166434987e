"""
What every TLS context of this server has in common, and how one is made.

The policy is Mozilla's "intermediate" without its finite-field suites: TLS 1.2 and 1.3, AEAD
only, X25519, P-256 and P-384, the client's order of preference, no compression, no renegotiation,
and tickets in place of sessions kept in memory.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from secrets import token_bytes
from tempfile import TemporaryDirectory
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL, crypto

from orion_twisted.net.certchecks import CertificateFile
from orion_twisted.net.clientca import ClientAuthority
from orion_twisted.net.libssl import set_groups

ALPN = b"http/1.1"
"""The only application protocol: a WebSocket begins as HTTP/1.1."""

CIPHERS = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    b"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    b"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)
"""TLS 1.2 suites of Mozilla's "intermediate", those with ECDHE."""

TLS13_CIPHERS = b"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

TICKET_LIFE = 2 * 60 * 60
"""Seconds for which a client may come back with a ticket."""

OPTIONS = SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION

_NO_AUTO_CHAIN = 0x8  # SSL_MODE_NO_AUTO_CHAIN, for which pyOpenSSL has no name


def server_context(
    certificates: Sequence[CertificateFile] = (), authority: ClientAuthority | None = None
) -> SSL.Context:
    """
    Return a context with this server's policy.

    Args:
        certificates: at most one of each key type; each goes out with its own chain, to clients
            that can use it. With none of them every handshake ends as ``handshake_failure``.
        authority: whose certificates clients have to show. A connection that is switched to this
            context has to be told so as well (`asks_for`).

    Raises:
        SSL.Error: OpenSSL refuses a certificate.
    """
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_options(OPTIONS)
    # An idle connection holds no record buffers. Chains go out as they are in the files: nothing
    # is added from the authorities of clients.
    context.set_mode(SSL.MODE_RELEASE_BUFFERS | _NO_AUTO_CHAIN)
    context.set_cipher_list(CIPHERS)
    context.set_tls13_ciphersuites(TLS13_CIPHERS)
    set_groups(context)
    context.set_alpn_select_callback(_select_protocol)
    context.set_tlsext_servername_callback(_confirm_name)
    # Tickets hold what a session needs; for clients without them nothing is kept in memory.
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_timeout(TICKET_LIFE)
    context.set_session_id(token_bytes(16))
    for certificate in certificates:
        _use(context, certificate)
    if authority is not None:
        _ask_for_certificates(context, authority)
    return context


def asks_for(authority: ClientAuthority | None) -> int:
    """Return the verify mode of a connection whose client has to show a certificate, or not."""
    if authority is None:
        return SSL.VERIFY_NONE
    return SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT


def refusal_of(certificate: CertificateFile) -> str | None:
    """Say why OpenSSL refuses to serve a certificate, or return None. It takes about 0.5 ms."""
    try:
        server_context([certificate])
    except SSL.Error as error:
        return f"OpenSSL refuses it: {said_by(error)}"
    return None


def said_by(error: SSL.Error) -> str:
    """Return the reasons that an error of OpenSSL's gives."""
    reasons = error.args[0] if error.args and isinstance(error.args[0], list) else []
    return ", ".join(reason for *_, reason in reasons) or "for no reason given"


def _select_protocol(connection: SSL.Connection, offered: list[bytes]) -> Any:
    # A client that offers only others is served without ALPN: what it says decides.
    return ALPN if ALPN in offered else SSL.NO_OVERLAPPING_PROTOCOLS


def _confirm_name(connection: SSL.Connection) -> None:
    """Do nothing: with a callback, OpenSSL tells the client that its name was heeded."""


def _use(context: SSL.Context, certificate: CertificateFile) -> None:
    # To read a file is the only public way to give each of several certificates its own chain.
    with _as_file(b"".join(one.public_bytes(Encoding.PEM) for one in certificate.chain)) as path:
        context.use_certificate_chain_file(path)
    context.use_privatekey(certificate.private_key)
    context.check_privatekey()


@contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """Lend a file that holds something public; one in memory, where there is such a thing."""
    if sys.platform == "linux" and Path("/proc/self/fd").exists():
        descriptor = os.memfd_create("certificates")
        try:
            os.write(descriptor, content)
            yield f"/proc/self/fd/{descriptor}"
        finally:
            os.close(descriptor)
    else:
        with TemporaryDirectory() as folder:
            path = Path(folder, "certificates.pem")
            path.write_bytes(content)
            yield str(path)


def _ask_for_certificates(context: SSL.Context, authority: ClientAuthority) -> None:
    store = context.get_cert_store()
    assert (
        store is not None
    )  # pyOpenSSL's types know of contexts without a store; OpenSSL does not
    store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)  # an issuing authority needs no root
    for each in authority.certificates:
        store.add_cert(crypto.X509.from_cryptography(each))
        context.add_client_ca(each)
    context.set_verify(asks_for(authority))
