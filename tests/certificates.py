"""
Real certificates for tests, made on the spot; no key of a test is ever kept.

    root = authority()
    issuing = authority("Issuing CA", issuer=root)
    shop = issue(["shop.example"], issuing)
    (folder / "shop.pem").write_bytes(shop.pem + issuing.certificate_pem)
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

from attrs import frozen
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.net.certfiles import CertificateFile, read_folder

Key: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey

A_DAY = timedelta(days=1)


@frozen
class Issued:
    """A certificate and its key, in the spellings that files have."""

    certificate: x509.Certificate
    key: Key

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def pem(self) -> bytes:
        return self.certificate_pem + self.key_pem

    def encrypted_key_pem(self, password: bytes, *, old_style: bool = False) -> bytes:
        form = PrivateFormat.TraditionalOpenSSL if old_style else PrivateFormat.PKCS8
        return self.key.private_bytes(Encoding.PEM, form, BestAvailableEncryption(password))

    def pfx(self, password: bytes | None = None, others: Sequence[x509.Certificate] = ()) -> bytes:
        encryption = BestAvailableEncryption(password) if password else NoEncryption()
        return pkcs12.serialize_key_and_certificates(
            b"a name", self.key, self.certificate, others, encryption
        )


def authority(
    name: str = "Root CA",
    issuer: Issued | None = None,
    *,
    key: Key | str = "ec",
    not_before: datetime | None = None,
    not_after: datetime | None = None,
    names: Sequence[str] = (),
) -> Issued:
    """
    Make a certificate authority: a root, or with an ``issuer`` an intermediate one.

    The arguments are those of `issue`; ``names`` makes it what ``openssl req -x509`` makes.
    """
    usage = _usage(signs=True)
    constraints = x509.BasicConstraints(ca=True, path_length=None)
    return _make(name, names, issuer, key, (not_before, not_after), [constraints, usage])


def issue(
    names: Sequence[str],
    ca: Issued | None = None,
    *,
    not_before: datetime | None = None,
    not_after: datetime | None = None,
    key: Key | str = "ec",
    common_name: str | None = None,
    for_servers: bool = True,
    bare: bool = False,
    extra: Sequence[x509.ExtensionType] = (),
) -> Issued:
    """
    Make a server's certificate.

    Args:
        names: its SANs, host names or addresses; with none of them there is no SAN extension.
        ca: who signs it; None: it signs itself.
        not_before, not_after: its life; by default from yesterday, for 90 days from now.
        key: ``ec``, ``rsa`` (one of 2048 bits for the whole run), ``rsa1024``, ``ed25519``,
            ``secp256k1``, or a key to use again.
        common_name: of its subject; by default the first name, or nothing.
        for_servers: its extended key usage is serverAuth; else clientAuth.
        bare: it says nothing of what it is for, as old certificates do.
        extra: more extensions.
    """
    if common_name is None and names:
        common_name = names[0]
    purpose = ExtendedKeyUsageOID.SERVER_AUTH if for_servers else ExtendedKeyUsageOID.CLIENT_AUTH
    uses: list[x509.ExtensionType] = [
        x509.BasicConstraints(ca=False, path_length=None),
        x509.ExtendedKeyUsage([purpose]),
        _usage(signs=False),
    ]
    extensions = [*([] if bare else uses), *extra]
    return _make(common_name, names, ca, key, (not_before, not_after), extensions)


def _make(
    common_name: str | None,
    names: Sequence[str],
    ca: Issued | None,
    key_kind: Key | str,
    life: tuple[datetime | None, datetime | None],
    extensions: Sequence[x509.ExtensionType],
) -> Issued:
    now = datetime.now(UTC)
    not_before, not_after = life
    key = _key(key_kind) if isinstance(key_kind, str) else key_kind
    public_key = key.public_key()
    subject = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else []
    )
    signing_key, issuer = (key, subject) if ca is None else (ca.key, ca.certificate.subject)
    signing_key_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key())
    builder = (
        x509.CertificateBuilder(issuer, subject, public_key, x509.random_serial_number())
        .not_valid_before(now - A_DAY if not_before is None else not_before)
        .not_valid_after(now + 90 * A_DAY if not_after is None else not_after)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(signing_key_id, critical=False)
    )
    if names:
        alternative = x509.SubjectAlternativeName([_general_name(name) for name in names])
        builder = builder.add_extension(alternative, critical=not common_name)
    for extension in extensions:
        is_critical = isinstance(extension, x509.BasicConstraints | x509.KeyUsage)
        builder = builder.add_extension(extension, critical=is_critical)
    digest = None if isinstance(signing_key, ed25519.Ed25519PrivateKey) else SHA256()
    return Issued(builder.sign(signing_key, digest), key)


def _key(kind: str) -> Key:
    match kind:
        case "ec":
            return ec.generate_private_key(ec.SECP256R1())
        case "secp256k1":
            return ec.generate_private_key(ec.SECP256K1())
        case "ed25519":
            return ed25519.Ed25519PrivateKey.generate()
        case "rsa":
            return _rsa_key(2048)
        case "rsa1024":
            return _rsa_key(1024)
    raise ValueError(kind)


@lru_cache
def _rsa_key(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)  # slow to make, so one serves all tests


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def empty_folder(case: SynchronousTestCase) -> Path:
    """Make a folder that goes when the test ends; unlike trial's, it is never in the checkout."""
    folder = TemporaryDirectory()
    case.addCleanup(folder.cleanup)
    return Path(folder.name)


class CertificateFolderTestCase(SynchronousTestCase):
    """A folder to put files into, and short ways to say what comes of them."""

    def setUp(self) -> None:
        self.now = datetime.now(UTC).replace(microsecond=0)
        self.folder = empty_folder(self)

    def put(self, name: str, *parts: bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"".join(parts))
        return path

    def read_only(self) -> CertificateFile:
        """Return the one certificate of the folder, which has no bad file."""
        good, bad = read_folder(self.folder, self.now)
        self.assertEqual(bad, ())
        (certificate,) = good
        return certificate

    def assert_bad(self, source: Path, *words: str) -> None:
        """Check that the folder has one bad file and nothing else, and what is said of it."""
        good, bad = read_folder(self.folder, self.now)
        self.assertEqual((good, [one.source for one in bad]), ((), [source]))
        for word in words:
            self.assertIn(word, bad[0].problem)

    def assert_nothing(self) -> None:
        self.assertEqual(read_folder(self.folder, self.now), ((), ()))
