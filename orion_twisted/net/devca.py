"""
A development CA, and the certificates that it signs, so that a browser on a developer's machine
trusts the gateway as it would a bought certificate.

In the folder: ``ca.pem`` (the CA's certificate, the file to trust), ``ca.key`` (whoever has it can
be any web site to a browser that trusts the CA: it never leaves the machine), and for each name
one ``NAME.pem`` with certificate and key, as `orion_twisted.net.certfiles` reads it.
"""

import os
import shlex
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from secrets import token_hex
from textwrap import dedent

from attrs import frozen
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from orion_twisted.core.errors import LocalError
from orion_twisted.core.hostnames import EVERYTHING, normalise_pattern
from orion_twisted.net.certchecks import UNREADABLE, CertificateFile, is_issued_by, problem_of
from orion_twisted.net.certfiles import read_file

CA_LIFE = timedelta(days=3650)

LEAF_LIFE = timedelta(days=365)
"""Browsers refuse certificates that live longer than 398 days, scanners those above 366."""

RENEW_BEFORE = timedelta(days=30)
"""What a certificate must have left to be kept."""

CLOCK_SKEW = timedelta(hours=1)
"""How far behind a client's clock may be."""

CA_FILE = "ca.pem"
CA_KEY_FILE = "ca.key"

_ORGANISATION = "orion-twisted development"
_LONGEST_COMMON_NAME = 64  # RFC 5280, appendix A.1
_LOCALHOST = ("localhost", "127.0.0.1", "::1")


class DevCertificatesError(LocalError):
    """The certificates cannot be made as asked; nothing that was there has been changed."""


@frozen
class DevCertificates:
    """
    What is in the folder now.

    Attributes:
        ca_file: the CA's certificate, to be trusted by browsers.
        is_new_ca: it was made now, so nothing trusts it yet.
        made: certificates made now, in the order of the names.
        kept: certificates that were good enough to be kept.
    """

    ca_file: Path
    is_new_ca: bool
    made: tuple[Path, ...]
    kept: tuple[Path, ...]


@frozen
class _Authority:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    key_id: x509.SubjectKeyIdentifier


def make_dev_certificates(
    folder: Path, names: Sequence[str], now: datetime, *, renew: bool = False
) -> DevCertificates:
    """
    Make sure that a folder holds a CA, and a certificate signed by it for every name.

    A certificate that covers its name and has more than `RENEW_BEFORE` left is kept. One that was
    made by someone else is never overwritten. The files are readable by their owner only, and
    appear whole or not at all.

    Args:
        folder: is made, with its parents, if it is not there.
        names: host names, addresses, or ``*.suffix``; ``localhost`` also gets its two addresses.
        now: aware.
        renew: make all certificates anew; the CA stays.

    Raises:
        DevCertificatesError: a name is no host name, or what is in the folder stands in the way.
        OSError: the folder cannot be read or written.
    """
    files = {_file_name(pattern): pattern for pattern in _patterns(names)}
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = _load_ca(folder, now)
    kept: list[Path] = []
    wanted: dict[Path, str] = {}
    for file_name, pattern in files.items():
        path = folder / file_name
        if _may_stay(path, pattern, found, now) and not renew:
            kept.append(path)
        else:
            wanted[path] = pattern
    ca = found or _make_ca(folder, now)
    for path, pattern in wanted.items():
        _make_leaf(path, pattern, ca, now)
    return DevCertificates(folder / CA_FILE, found is None, tuple(wanted), tuple(kept))


def trust_help(ca_file: Path) -> str:
    """
    Return how to trust a CA on the systems that people develop on, and how to undo it.

    Args:
        ca_file: its certificate; it is read, since some systems take it out by its fingerprint.
    """
    certificate = x509.load_pem_x509_certificate(ca_file.read_bytes())
    return _TRUST_HELP.format(
        path=shlex.quote(str(ca_file.absolute())),
        windows_path=f'"{ca_file.absolute()}"',
        sha1=certificate.fingerprint(SHA1()).hex().upper(),
        sha256=certificate.fingerprint(SHA256()).hex(":").upper(),
    )


_TRUST_HELP = dedent(
    """\
    To trust the development CA, run what fits your system, then restart the browser.
    Whoever holds ca.key can pretend to be any site to a browser that trusts the CA: keep the
    key on this machine, and take the CA out again when you no longer need it.

    Its file     {path}
    Its SHA-256  {sha256}

    Debian, Ubuntu (curl, Python and other programs; browsers have lists of their own)
      sudo cp {path} /usr/local/share/ca-certificates/orion-twisted-dev.crt
      sudo update-ca-certificates
    undo:
      sudo rm /usr/local/share/ca-certificates/orion-twisted-dev.crt
      sudo update-ca-certificates --fresh

    Chromium, Chrome on Linux (certutil is in Debian's package libnss3-tools)
      mkdir -p $HOME/.pki/nssdb
      certutil -d sql:$HOME/.pki/nssdb -A -t "C,," -n orion-twisted-dev -i {path}
    undo:
      certutil -d sql:$HOME/.pki/nssdb -D -n orion-twisted-dev

    macOS (Safari, Chrome)
      sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain {path}
    undo:
      sudo security remove-trusted-cert -d {path}
      sudo security delete-certificate -Z {sha1} /Library/Keychains/System.keychain

    Windows (Edge, Chrome), in a terminal opened as administrator
      certutil -addstore -f Root {windows_path}
    undo:
      certutil -delstore Root {sha1}

    Firefox, on any system
      Settings, Privacy & Security, Certificates, View Certificates, Authorities, Import:
      choose the file and tick "Trust this CA to identify websites".
    undo:
      the same list: choose "orion-twisted development", Delete or Distrust.
    """
)


def _patterns(names: Sequence[str]) -> list[str]:
    """Return the names in their one spelling, each once."""
    patterns = {name: normalise_pattern(name) for name in names}
    wrong = [name for name, pattern in patterns.items() if pattern in (None, EVERYTHING)]
    if wrong:
        listed = ", ".join(map(repr, wrong))
        raise DevCertificatesError(f"no host name, address or *.suffix: {listed}")
    unique = [*dict.fromkeys(pattern for pattern in patterns.values() if pattern is not None)]
    for pattern in unique:
        if _file_name(pattern) == CA_FILE or pattern.startswith("_wildcard."):
            raise DevCertificatesError(f"{pattern!r} cannot have a file: its name has another use")
    return unique


def _file_name(pattern: str) -> str:
    name = f"_wildcard{pattern[1:]}" if pattern.startswith("*.") else pattern
    return f"{name.replace(':', '-')}.pem"  # colons are not for Windows


def _may_stay(path: Path, pattern: str, ca: _Authority | None, now: datetime) -> bool:
    """
    Say whether a name's certificate is good enough to be kept; there may be none.

    Raises:
        DevCertificatesError: the file is someone else's.
    """
    if not os.path.lexists(path):
        return False
    found = read_file(path, now)
    if not isinstance(found, CertificateFile):
        what = "a certificate authority" if found is None else found.problem
        raise DevCertificatesError(f"{path} was not made here ({what}): move it away first")
    if not _is_ours(found.chain[0], ca):
        issuer = f"its issuer is {found.issuer}"
        raise DevCertificatesError(f"{path} was not made here ({issuer}): move it away first")
    return (
        ca is not None
        and is_issued_by(found.chain[0], ca.certificate)
        and all(map(found.covers, _alternative_names(pattern)))
        and problem_of(found, now) is None
        and found.not_after - now > RENEW_BEFORE
    )


def _is_ours(leaf: x509.Certificate, ca: _Authority | None) -> bool:
    """Say whether this CA signed it, or one that was in the folder before."""
    organisations = leaf.issuer.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return any(one.value == _ORGANISATION for one in organisations) or (
        ca is not None and is_issued_by(leaf, ca.certificate)
    )


def _alternative_names(pattern: str) -> tuple[str, ...]:
    return _LOCALHOST if pattern == "localhost" else (pattern,)


def _load_ca(folder: Path, now: datetime) -> _Authority | None:
    """Return the folder's CA, or None if there is none."""
    certificate_file, key_file = folder / CA_FILE, folder / CA_KEY_FILE
    there = [path for path in (certificate_file, key_file) if os.path.lexists(path)]
    if not there:
        return None
    start_anew = (
        "move ca.pem and ca.key away to begin with a new CA, which has to be trusted again"
    )
    if len(there) == 1:
        raise DevCertificatesError(f"{there[0]} is there without the other half: {start_anew}")
    try:
        certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        key = load_pem_private_key(key_file.read_bytes(), None)
        is_ca = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        key_id = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        fits = is_ca and key.public_key() == certificate.public_key()
    except (*UNREADABLE, x509.ExtensionNotFound):
        fits = False
    if not fits or not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise DevCertificatesError(
            f"{certificate_file} and its key are no usable CA: {start_anew}"
        )
    if certificate.not_valid_after_utc - now <= RENEW_BEFORE:
        end = f"{certificate.not_valid_after_utc:%Y-%m-%d}"
        raise DevCertificatesError(f"{certificate_file} is valid until {end} only: {start_anew}")
    return _Authority(certificate, key, key_id)


def _make_ca(folder: Path, now: datetime) -> _Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    # Browsers tell CAs by their names, and a developer may come to have several of them.
    name = _subject(f"{_ORGANISATION} CA {token_hex(4)}")
    certificate = (
        _builder(name, key.public_key(), now, CA_LIFE)
        .issuer_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .sign(key, SHA256())
    )
    _write_whole(folder / CA_KEY_FILE, _key_pem(key))
    _write_whole(folder / CA_FILE, certificate.public_bytes(Encoding.PEM), mode=0o644)
    return _Authority(
        certificate, key, x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    )


def _make_leaf(path: Path, pattern: str, ca: _Authority, now: datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    life = min(LEAF_LIFE, ca.certificate.not_valid_after_utc - now + CLOCK_SKEW)
    names = [_general_name(name) for name in _alternative_names(pattern)]
    certificate = (
        _builder(_subject(pattern), key.public_key(), now, life)
        .issuer_name(ca.certificate.subject)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ca.key_id),
            critical=False,
        )
        .sign(ca.key, SHA256())
    )
    _write_whole(path, certificate.public_bytes(Encoding.PEM) + _key_pem(key))


def _builder(
    subject: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    """Begin a certificate; ``life`` counts from a little before ``now``."""
    begin = now.replace(microsecond=0) - CLOCK_SKEW
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + life - timedelta(seconds=1))  # both seconds belong to its life
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _subject(common_name: str) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, _ORGANISATION)]
    if len(common_name) <= _LONGEST_COMMON_NAME:  # clients read the SAN; this is for people
        attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name))
    return x509.Name(attributes)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write_whole(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Put a file in its place in one step: a reader sees the old one or the new one, and whole."""
    unfinished = path.with_name(f".{path.name}.{token_hex(8)}")
    try:
        with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            unfinished.unlink()
        raise
