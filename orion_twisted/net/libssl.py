"""
What OpenSSL can do, and pyOpenSSL has no public way to ask for.

Here is the only place that reaches below pyOpenSSL: the functions are those of the OpenSSL that
comes with `cryptography`, the handle is the one that pyOpenSSL keeps in its `Context`. Both are
looked for, and the groups are tried out in a handshake, before they are trusted; without them the
server goes on, with the public means and less to offer.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from OpenSSL import SSL
from twisted.logger import Logger

GROUPS = b"X25519:P-256:P-384"
"""What keys may be agreed on with."""

_log = Logger()


def set_groups(context: SSL.Context) -> None:
    """Let a context agree on keys by `GROUPS` only; where they cannot be set, by P-256 only."""
    if groups_can_be_set():
        _lib().SSL_CTX_set1_curves_list(_handle(context), GROUPS)
    else:
        context.set_tmp_ecdh(ec.SECP256R1())


def bind_sessions(context: SSL.Context, *scope: str) -> None:
    """
    Bind the sessions of connections that get a context after this call to what they are made for.

    A ticket is taken back by connections of an equal scope; others go through a full handshake.
    Where it cannot be set, a session stays bound to its context.
    """
    if _has("SSL_CTX_set_session_id_context"):
        digest = sha256("\0".join(scope).encode()).digest()
        _lib().SSL_CTX_set_session_id_context(_handle(context), digest, len(digest))


@cache
def groups_can_be_set() -> bool:
    """
    Say whether the groups can be set, by trying it.

    It is tried once in a process. If it does not work, a warning says what is missing.
    """
    if not _has("SSL_CTX_set1_curves_list"):
        missing = "SSL_CTX_set1_curves_list is out of reach"
    elif not _only_groups_are_served():
        missing = "SSL_CTX_set1_curves_list has no effect"
    else:
        return True
    _log.warn(
        "TLS has no group but P-256: in this cryptography and pyOpenSSL, {missing}",
        missing=missing,
    )
    return False


@cache
def _has(function: str) -> bool:
    return hasattr(_lib(), function) and _handle(SSL.Context(SSL.TLS_METHOD)) is not None


@cache
def _lib() -> Any:
    try:
        from cryptography.hazmat.bindings.openssl.binding import Binding
    except ImportError:
        return None
    return Binding().lib


def _handle(context: SSL.Context) -> Any:
    return getattr(context, "_context", None)


def _only_groups_are_served() -> bool:
    """Try a handshake with one of the groups, and one with another group."""
    server = SSL.Context(SSL.TLS_SERVER_METHOD)
    _lib().SSL_CTX_set1_curves_list(_handle(server), GROUPS)
    certificate, key = _throwaway_certificate()
    server.use_certificate(certificate)
    server.use_privatekey(key)
    return _is_served(server, ec.SECP384R1()) and not _is_served(server, ec.SECP521R1())


def _is_served(server: SSL.Context, group: ec.EllipticCurve) -> bool:
    client = SSL.Context(SSL.TLS_CLIENT_METHOD)
    client.set_tmp_ecdh(group)
    near, far = SSL.Connection(client, None), SSL.Connection(server, None)
    near.set_connect_state()
    far.set_accept_state()
    # The client's hello, all that the server has to say to it, and what the client makes of that.
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
    name = x509.Name([])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, SHA256())
    ), key
