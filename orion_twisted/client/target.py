"""What is dialled: a ``ws:`` or ``wss:`` URL taken apart, and whom TLS trusts."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

from attrs import field, frozen
from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.error import ConnectionDone, ConnectionLost, DNSLookupError
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IStreamClientEndpoint
from twisted.internet.ssl import Certificate, optionsForClientTLS, trustRootFromCertificates
from twisted.python.failure import Failure

from orion_twisted.core.hostnames import normalise

DEFAULT_PORTS = {"ws": 80, "wss": 443}
ALPN = b"http/1.1"
"""What a WebSocket's TLS is for: without it some proxies would speak HTTP/2."""

_CERTIFICATE = re.compile(
    rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.DOTALL
)
_RESOURCE = re.compile(r"/[!-~]*")


@frozen
class Target:
    """
    A WebSocket to connect to.

    Attributes:
        is_secure: ``wss``.
        host: its normalised name, or its address, IPv6 without brackets.
        port: of TCP.
        resource: path and query. It may carry a token: never log it.
    """

    is_secure: bool
    host: str
    port: int
    resource: str = field(repr=False)

    @property
    def host_in_url(self) -> str:
        """The host as URLs and Host headers have it."""
        return f"[{self.host}]" if ":" in self.host else self.host

    def __str__(self) -> str:
        path = self.resource.partition("?")[0]
        return f"{'wss' if self.is_secure else 'ws'}://{self.host_in_url}:{self.port}{path}"


def parse_url(url: str) -> Target:
    """
    Take a URL apart.

    Raises:
        ValueError: it is not ``ws://HOST[:PORT][/PATH][?QUERY]`` or the same with ``wss``.
    """
    parts = urlsplit(url)
    if parts.scheme not in DEFAULT_PORTS:
        raise ValueError("a WebSocket's URL begins with wss:// or ws://")
    if parts.fragment or parts.username is not None or parts.password is not None:
        raise ValueError("a WebSocket's URL has no fragment and no user in it")
    host = normalise(parts.hostname or "")
    if host is None:
        raise ValueError(f"{parts.hostname!r} is no host name")
    port = DEFAULT_PORTS[parts.scheme] if parts.port is None else parts.port
    if port == 0:
        raise ValueError("port 0 cannot be connected to")
    resource = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if _RESOURCE.fullmatch(resource) is None:
        raise ValueError("path and query have to be percent-encoded")
    return Target(parts.scheme == "wss", host, port, resource)


def read_authorities(path: Path | str) -> list[Certificate]:
    """
    Return the certificates of a PEM file.

    Raises:
        ValueError: there is none in it, or a bad one; or it cannot be read.
    """
    try:
        found = _CERTIFICATE.findall(Path(path).read_bytes())
        certificates = [Certificate.loadPEM(each) for each in found]
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from None
    except Exception as error:
        raise ValueError(f"{path} has a certificate that cannot be read: {error}") from None
    if not certificates:
        raise ValueError(f"{path} has no certificate in it")
    return certificates


def verifying(host: str, ca_file: Path | str | None) -> IOpenSSLClientConnectionCreator:
    """
    Return TLS that checks chain and name.

    Args:
        host: the name that the certificate has to be for.
        ca_file: whom to trust, and nobody else; None: whom the system trusts.

    Raises:
        ValueError: see `read_authorities`.
    """
    trusted = None if ca_file is None else trustRootFromCertificates(read_authorities(ca_file))
    return optionsForClientTLS(host, trustRoot=trusted, acceptableProtocols=[ALPN])


def endpoint_of(
    target: Target,
    reactor: object,
    tls: IOpenSSLClientConnectionCreator | None,
    endpoint: IStreamClientEndpoint | None = None,
) -> IStreamClientEndpoint:
    """
    Return what connects to a target.

    Args:
        tls: for ``wss``; None for ``ws``.
        endpoint: what to dial instead of the target's host and port; TLS comes on top of it.
    """
    if endpoint is None:
        endpoint = HostnameEndpoint(reactor, target.host, target.port)
    return endpoint if tls is None else wrapClientTLS(tls, endpoint)


def why(failure: Failure) -> str:
    """Say for people why a connection failed, or ended."""
    error = failure.value
    if isinstance(error, VerificationError):
        return "TLS: the certificate is for other names"
    if isinstance(error, SSL.Error):
        # OpenSSL's queue of errors; `SSL.SysCallError` has a number there.
        queue = error.args[0] if error.args and isinstance(error.args[0], list) else []
        reasons = ", ".join(filter(None, (str(each[-1]) for each in queue)))
        return f"TLS: {reasons or 'the connection ended unexpectedly'}"
    if isinstance(error, DNSLookupError):
        return "the name does not resolve"
    if isinstance(error, ConnectionDone):
        return "the connection was closed"
    if isinstance(error, ConnectionLost):
        return "the connection was cut off"
    text = failure.getErrorMessage().rstrip(".")
    return text or type(error).__name__
