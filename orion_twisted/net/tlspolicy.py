"""
What every TLS context of this server has in common, and how one is made.

The policy is Mozilla's "intermediate" without its finite-field suites: TLS 1.2 and 1.3, AEAD
only, X25519, P-256 and P-384, the client's order of preference, no compression, no renegotiation.

pyOpenSSL has no public way to name the groups. Here is the only place that reaches below it, for
that and for the session id context of a name; each is looked for, and tried out, before it is
trusted.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cryptography import x509
from cryptography.hazmat.bindings.openssl.binding import Binding
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL, crypto
from twisted.logger import Logger

from orion_twisted.net.certchecks import CertificateFile, PrivateKey
from orion_twisted.net.clientca import ClientAuthority

ALPN = b"http/1.1"
"""The only application protocol: a WebSocket begins as HTTP/1.1."""

CIPHERS = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    b"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    b"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)
"""TLS 1.2 suites of Mozilla's "intermediate", those with ECDHE."""

TLS13_CIPHERS = b"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

GROUPS = b"X25519:P-256:P-384"

TICKET_LIFE = 2 * 60 * 60
"""Seconds for which a client may come back with a ticket."""

OPTIONS = SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION

_NO_AUTO_CHAIN = 0x8  # SSL_MODE_NO_AUTO_CHAIN, for which pyOpenSSL has no name

_log = Logger()


def server_context(
    certificates: Sequence[CertificateFile] = (), authority: ClientAuthority | None = None
) -> SSL.Context:
    """
    Return a context with this server's policy.

    Args:
        certificates: at most one of each key type; each is sent with its own chain to clients
            that can use it. With none of them every handshake ends as ``handshake_failure``.
        authority: whose certificates clients have to show; the connection's verify mode decides
            whether they are asked (`asks_for`).

    Raises:
        SSL.Error: OpenSSL refuses a certificate.
    """
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_options(OPTIONS)
    # An idle connection holds no record buffers. Chains are sent as they are in the files, with
    # nothing added from the authorities for clients.
    context.set_mode(SSL.MODE_RELEASE_BUFFERS | _NO_AUTO_CHAIN)
    context.set_cipher_list(CIPHERS)
    context.set_tls13_ciphersuites(TLS13_CIPHERS)
    _set_groups(context)
    context.set_alpn_select_callback(_select_protocol)
    context.set_tlsext_servername_callback(_confirm_server_name)
    # What a session needs is in the client's ticket; nothing is kept here for clients without.
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_timeout(TICKET_LIFE)
    context.set_session_id(os.urandom(16))
    for certificate in certificates:
        _use(context, certificate.chain, certificate.private_key)
    if authority is not None:
        store = context.get_cert_store()
        assert store is not None
        store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)  # an issuing CA alone is enough
        for each in authority.certificates:
            store.add_cert(crypto.X509.from_cryptography(each))
        context.set_client_ca_list(
            [crypto.X509.from_cryptography(each).get_subject() for each in authority.certificates]
        )
        context.set_verify(asks_for(authority))
    return context


def asks_for(authority: ClientAuthority | None) -> int:
    """Return the verify mode of connections whose clients have to show a certificate, or not."""
    if authority is None:
        return SSL.VERIFY_NONE
    return SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT


def bind_sessions(context: SSL.Context, *scope: str) -> None:
    """
    Bind the tickets of connections that get a context after this call to what they are made for.

    A ticket is taken back by connections with an equal scope only; others go through a full
    handshake. Where OpenSSL cannot be reached, tickets stay bound to the context.
    """
    if _has("SSL_CTX_set_session_id_context"):
        digest = sha256("\0".join(scope).encode()).digest()
        _binding().SSL_CTX_set_session_id_context(_handle(context), digest, len(digest))


def refusal_of(certificate: CertificateFile) -> str | None:
    """Say why OpenSSL refuses to serve a certificate, or return None."""
    try:
        server_context([certificate])
    except SSL.Error as error:
        reasons = [reason for *_, reason in error.args[0]] if error.args else []
        return f"OpenSSL refuses it: {', '.join(reasons) or 'it does not say why'}"
    return None


def _select_protocol(connection: SSL.Connection, offered: list[bytes]) -> Any:
    # A client that offers only others is served without ALPN: what it says decides.
    return ALPN if ALPN in offered else SSL.NO_OVERLAPPING_PROTOCOLS


def _confirm_server_name(connection: SSL.Connection) -> None:
    """Do nothing: that there is a callback makes OpenSSL tell the client its name was heeded."""


def _use(
    context: SSL.Context, chain: Sequence[x509.Certificate], private_key: PrivateKey
) -> None:
    # Reading a file is the only public way to give each of several certificates its own chain.
    with _as_file(b"".join(each.public_bytes(Encoding.PEM) for each in chain)) as path:
        context.use_certificate_chain_file(path)
    context.use_privatekey(private_key)
    context.check_privatekey()


@contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """Lend a file with public content; in memory, where the system has such files."""
    if Path("/proc/self/fd").exists():
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


# Below pyOpenSSL


def _binding() -> Any:
    return Binding().lib


def _handle(context: SSL.Context) -> Any:
    return context._context  # type: ignore[attr-defined]


@cache
def _has(function: str) -> bool:
    return hasattr(_binding(), function) and hasattr(SSL.Context(SSL.TLS_METHOD), "_context")


def _set_groups(context: SSL.Context) -> None:
    if groups_can_be_set():
        _binding().SSL_CTX_set1_curves_list(_handle(context), GROUPS)
    else:
        context.set_tmp_ecdh(ec.SECP256R1())


@cache
def groups_can_be_set() -> bool:
    """
    Say whether the groups can be set, by trying it in a handshake.

    It is tried once in a process. If it does not work, P-256 is all that is offered, and a
    warning says what is missing.
    """
    if not _has("SSL_CTX_set1_curves_list"):
        missing = "SSL_CTX_set1_curves_list is not within reach"
    elif not _is_kept_to(ec.SECP384R1(), ec.SECP521R1()):
        missing = "SSL_CTX_set1_curves_list has no effect"
    else:
        return True
    _log.warn(
        "TLS offers the group P-256 only: with this pyOpenSSL and cryptography, {missing}",
        missing=missing,
    )
    return False


def _is_kept_to(wanted: ec.EllipticCurve, unwanted: ec.EllipticCurve) -> bool:
    """Say whether a server with `GROUPS` serves clients with the one group, but not the other."""
    server = SSL.Context(SSL.TLS_SERVER_METHOD)
    if _binding().SSL_CTX_set1_curves_list(_handle(server), GROUPS) != 1:
        return False
    certificate, key = _throwaway_certificate()
    server.use_certificate(certificate)
    server.use_privatekey(key)
    return _shakes_hands(server, wanted) and not _shakes_hands(server, unwanted)


def _shakes_hands(server: SSL.Context, group: ec.EllipticCurve) -> bool:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_tmp_ecdh(group)
    near, far = SSL.Connection(context, None), SSL.Connection(server, None)
    near.set_connect_state()
    far.set_accept_state()
    # The client's first message, the server's answer with all that it has, and the client's end.
    for sender, receiver in ((near, far), (far, near), (near, far)):
        try:
            sender.do_handshake()
        except SSL.WantReadError:
            pass
        except SSL.Error:
            return False
        receiver.bio_write(sender.bio_read(2**16))
    return True


def _throwaway_certificate() -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    name = x509.Name([])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now).not_valid_after(now + timedelta(hours=1))
    return builder.sign(key, SHA256()), key
