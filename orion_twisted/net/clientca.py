"""
Whose certificates a tenant's clients have to show.

The file is PEM with one or more certificate authorities; each is trusted by itself, so that an
issuing authority may be named without its root. Any other certificate in it is a mistake: it
would be trusted as if its owner could issue some.
"""

from hashlib import sha256
from pathlib import Path

from attrs import field, frozen
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from orion_twisted.net.certchecks import UNREADABLE, Unusable, is_authority
from orion_twisted.net.certreaders import read_pem_blocks


@frozen
class ClientAuthority:
    """
    The authorities of one tenant.

    Two are equal if they are for the same tenant and have the same certificates: nothing that was
    shown to one counts for another.

    Attributes:
        tenant: whose it is.
        certificates: what is trusted.
        digest: of the certificates, as lower-case hexadecimal digits.
    """

    tenant: str
    certificates: tuple[x509.Certificate, ...] = field(repr=False, eq=False)
    digest: str = field(init=False, repr=False)

    @digest.default
    def _digest(self) -> str:
        encoded = sorted(each.public_bytes(Encoding.DER) for each in self.certificates)
        return sha256(b"".join(encoded)).hexdigest()


def read_client_ca(path: Path, tenant: str) -> ClientAuthority:
    """
    Read a tenant's ``client_ca``.

    Args:
        path: a PEM file; keys in it are not looked at.
        tenant: its name.

    Raises:
        Unusable: the file cannot be read, or holds something else than authorities.
    """
    certificates, _ = read_pem_blocks(path)
    if not certificates:
        raise Unusable(f"{path.name} holds no certificate in PEM form")
    try:
        others = [one.subject.rfc4514_string() for one in certificates if not is_authority(one)]
    except UNREADABLE as error:
        raise Unusable(f"{path.name} cannot be understood: {error}") from None
    if others:
        raise Unusable(f"{path.name} holds what is no certificate authority: {'; '.join(others)}")
    return ClientAuthority(tenant, tuple(dict.fromkeys(certificates)))
