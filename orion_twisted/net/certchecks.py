"""
A certificate with its key, and what the two have to stand up to before they are served.

The checks ask what a client would ask: does the key belong to the certificate, does each
certificate lead to the next, is there a name, is it for servers. Its dates are looked at apart,
since a gateway goes on serving a certificate that has run out. There are no files here and no TLS
contexts.
"""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

from attrs import field, frozen
from cryptography import x509
from cryptography.exceptions import InternalError, InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.hashes import MD5, SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from orion_twisted.core.hostnames import EVERYTHING, normalise_pattern

SHORTEST_RSA = 2048
"""Bits of an RSA key; browsers, and Debian's OpenSSL, refuse shorter ones."""

CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
"""The curves that TLS knows for certificates, and what they are called."""

UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    InternalError,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What a damaged certificate is answered with, when it is loaded or when it is asked for a part:
what is inside is parsed only then, so these come from anywhere."""

PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


class Unusable(Exception):
    """What is wrong with a certificate, in words for the operator."""


@frozen
class CertificateFile:
    """
    A certificate with its key, fit to be served; it may be out of date (`problem_of`).

    Equal ones lead to equal TLS contexts: the key is left out of the comparison, since the
    certificate holds its public half.

    Attributes:
        source: the certificate's file.
        names: what it is valid for, each in the spelling of `core.hostnames`: host names,
            ``*.suffix``, addresses. The subject's common name only if there is no SAN extension.
        not_before, not_after: first and last instant of its life, aware, in UTC.
        key_type: such as ``EC P-256`` or ``RSA 2048``.
        issuer: what its issuer calls itself.
        chain: what a server sends: the leaf, then each one's issuer; without a self-signed root.
        private_key: the leaf's key.
        fingerprint: SHA-256 of the leaf, as lower-case hexadecimal digits.
    """

    source: Path
    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    key_type: str
    issuer: str
    chain: tuple[x509.Certificate, ...] = field(repr=False)
    private_key: PrivateKey = field(repr=False, eq=False)
    fingerprint: str

    @property
    def key_family(self) -> str:
        """What a client must be able to use: ``EC``, ``RSA`` or ``Ed25519``."""
        return self.key_type.partition(" ")[0]

    def days_left(self, now: datetime) -> int:
        """Return the whole days until it expires; below zero once it has."""
        return (self.not_after - now).days

    def covers(self, name: str) -> bool:
        """
        Say whether it is valid for a host name, an address or a ``*.suffix``.

        Args:
            name: any text, in any spelling.
        """
        pattern = normalise_pattern(name)
        if pattern is None:
            return False
        return pattern in self.names or f"*.{pattern.partition('.')[2]}" in self.names


def problem_of(certificate: CertificateFile, now: datetime) -> str | None:
    """
    Say which date a client would refuse the chain for, or None.

    Such a certificate is served all the same: a warning in the browser is better than no answer.
    """
    leaf, *intermediates = certificate.chain
    for one, who in [(leaf, ""), *((c, f"its issuer {_title(c)}: ") for c in intermediates)]:
        if now > one.not_valid_after_utc:
            return f"{who}expired on {one.not_valid_after_utc:%Y-%m-%d}"
        if now < one.not_valid_before_utc:
            return f"{who}not valid before {one.not_valid_before_utc:%Y-%m-%d %H:%M} UTC"
    return None


def rank(certificate: CertificateFile, now: datetime) -> tuple[bool, datetime]:
    """Order the certificates of one name: a valid one is greater, then one that lasts longer."""
    return problem_of(certificate, now) is None, certificate.not_after


def choose(
    certificates: Iterable[CertificateFile], name: str, now: datetime
) -> CertificateFile | None:
    """Return the certificate that answers a name (exact before wildcard, then `rank`), or None."""
    pattern = normalise_pattern(name)
    return max(
        (one for one in certificates if one.covers(name)),
        key=lambda one: (pattern in one.names, *rank(one, now)),
        default=None,
    )


def choose_all(
    certificates: Iterable[CertificateFile], name: str, now: datetime
) -> tuple[CertificateFile, ...]:
    """
    Return the certificates that answer a name side by side: of each key family what `choose` says.

    While some of them are valid the others are left out, as clients that can use both would come
    upon them.
    """
    families: dict[str, list[CertificateFile]] = {}
    for one in certificates:
        families.setdefault(one.key_family, []).append(one)
    found = (choose(families[each], name, now) for each in sorted(families))
    chosen = [one for one in found if one is not None]
    valid = [one for one in chosen if problem_of(one, now) is None]
    return tuple(valid or chosen)


def checked(
    source: Path, certificates: Iterable[x509.Certificate], key: object, now: datetime
) -> CertificateFile:
    """
    Put a certificate, its issuers and its key together.

    Args:
        source: the file they come from.
        certificates: in any order; one at least is no authority.
        key: the private key, of any kind.
        now: aware; of two issuers that fit, one that is valid now goes into the chain.

    Raises:
        Unusable: they do not fit together, or are of no use to a server.
    """
    unique = dict.fromkeys(certificates)
    leaf, *more = (one for one in unique if not is_authority(one))
    if more:
        titles = ", ".join(_title(one) for one in (leaf, *more))
        raise Unusable(
            f"holds {len(more) + 1} server certificates ({titles}): put one into a file"
        )
    key_type = _key_type(leaf.public_key())
    public_key = _encoded(leaf.public_key())
    if not isinstance(key, PrivateKey) or _encoded(key.public_key()) != public_key:
        raise Unusable("the private key belongs to another certificate")
    _check_purpose(leaf)
    _check_strength(unique)
    return CertificateFile(
        source=source,
        names=_names(leaf),
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
        key_type=key_type,
        issuer=_called(leaf.issuer),
        chain=_chain(leaf, [one for one in unique if one is not leaf], now),
        private_key=key,
        fingerprint=leaf.fingerprint(SHA256()).hex(),
    )


def only_authorities(certificates: Iterable[x509.Certificate]) -> bool:
    """
    Say whether there is no certificate for a server among them.

    Raises:
        Unusable: one is for both, as ``openssl req -x509`` makes them: to skip it in silence
            would leave its owner searching.
    """
    if not all(is_authority(one) for one in certificates):
        return False
    for one in certificates:
        if names := alternative_names(one):
            raise Unusable(
                f"is a certificate authority (CA:TRUE) with host names ({', '.join(names)}), which"
                " clients refuse for a server: make it with basicConstraints=critical,CA:FALSE"
            )
    return True


def is_authority(certificate: x509.Certificate) -> bool:
    """Say whether a certificate may sign others."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _key_type(key: object) -> str:
    match key:
        case ec.EllipticCurvePublicKey() if key.curve.name in CURVES:
            return f"EC {CURVES[key.curve.name]}"
        case rsa.RSAPublicKey() if key.key_size >= SHORTEST_RSA:
            return f"RSA {key.key_size}"
        case rsa.RSAPublicKey():
            raise Unusable(f"its RSA key has {key.key_size} bits, fewer than {SHORTEST_RSA}")
        case ed25519.Ed25519PublicKey():
            return "Ed25519"
    raise Unusable("its key is of a kind that TLS servers do not use")


def _encoded(key: CertificatePublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _check_purpose(leaf: x509.Certificate) -> None:
    try:
        uses = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return
    if not {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE} & {*uses}:
        raise Unusable("is not for servers: its extended key usage lacks serverAuth")


def _check_strength(certificates: Iterable[x509.Certificate]) -> None:
    """Refuse what OpenSSL would refuse to send (its security level 2), and clients to take."""
    for one in certificates:
        if one.subject == one.issuer:
            continue  # a root: clients have their own copy, and trust that as it is
        digest = one.signature_hash_algorithm
        if isinstance(digest, SHA1 | MD5):
            raise Unusable(f"{_title(one)} is signed with {digest.name}, which clients refuse")
        key = one.public_key()
        if isinstance(key, rsa.RSAPublicKey) and key.key_size < SHORTEST_RSA:
            raise Unusable(
                f"the RSA key of {_title(one)} has {key.key_size} bits, fewer than {SHORTEST_RSA}"
            )


def alternative_names(certificate: x509.Certificate) -> list[str] | None:
    """Return the names and addresses of the SAN extension, as they are; None without one."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None
    addresses = names.get_values_for_type(x509.IPAddress)
    return [*names.get_values_for_type(x509.DNSName), *map(str, addresses)]


def _names(leaf: x509.Certificate) -> tuple[str, ...]:
    written = alternative_names(leaf)
    if written is None:
        attributes = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        written = [str(attribute.value) for attribute in attributes]
    names = dict.fromkeys(filter(None, map(normalise_pattern, written)))
    names.pop(EVERYTHING, None)  # no client takes it, and here it would answer every name
    if not names:
        raise Unusable("names no host that it is valid for")
    return tuple(names)


def _chain(
    leaf: x509.Certificate, others: list[x509.Certificate], now: datetime
) -> tuple[x509.Certificate, ...]:
    chain = [leaf]
    left = list(others)
    while not is_issued_by(chain[-1], chain[-1]):
        issuers = [one for one in left if is_issued_by(chain[-1], one)]
        if not issuers:
            break  # the root, which clients have
        issuer = max(issuers, key=lambda one: _fitness(one, now))
        left.remove(issuer)
        if is_issued_by(issuer, issuer):
            break
        chain.append(issuer)
    for one in left:
        if any(is_issued_by(member, one) for member in chain):
            continue  # another way to a root, such as a cross-signed issuer: one way is enough
        if one.subject == chain[-1].issuer:
            raise Unusable(f"the chain breaks: its {_title(one)} did not sign {_title(chain[-1])}")
        raise Unusable(f"holds a certificate that is no part of the chain: {_title(one)}")
    return tuple(chain)


def _fitness(issuer: x509.Certificate, now: datetime) -> tuple[bool, bool, datetime]:
    is_valid = issuer.not_valid_before_utc <= now <= issuer.not_valid_after_utc
    return is_valid, not is_issued_by(issuer, issuer), issuer.not_valid_after_utc


def is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Say whether one certificate bears the other's name and signature as its issuer's."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _title(certificate: x509.Certificate) -> str:
    names = alternative_names(certificate) or ["one without a name"]
    return _called(certificate.subject) or ", ".join(names)


def _called(name: x509.Name) -> str:
    for kind in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME):
        for attribute in name.get_attributes_for_oid(kind):
            return str(attribute.value)
    return name.rfc4514_string()
