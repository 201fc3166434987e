"""
The forms that a certificate comes in: one reader for each, and where a secret one's password is.

The password of ``shop.pfx`` is looked for in ``shop.pfx.password``, then in ``shop.password``,
then in the environment as ``ORION_CERT_PASSWORD_SHOP``: the name in upper case, with ``_`` for all
but A to Z and digits. It is the same for encrypted keys; certbot's ``privkey.pem`` goes by its
folder's name.
"""

import os
import re
import stat
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key, pkcs12

from orion_twisted.net.certchecks import (
    UNREADABLE,
    CertificateFile,
    Unusable,
    checked,
    only_authorities,
)

MAX_FILE = 256 * 1024
"""Bytes of one file; a chain with a key takes about 8 KiB."""

CERTBOT_CHAIN = "fullchain.pem"
CERTBOT_KEY = "privkey.pem"

PASSWORD_VARIABLE = "ORION_CERT_PASSWORD_"

# No five dashes in the body: so a file of beginnings without an end costs no more than others.
_PEM_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----(?:[^-]|-(?!----))*-----END \1-----")
_PEM_BEGIN = b"-----BEGIN "
# What a damaged key is answered with; the last is for what OpenSSL finds out late.
_NO_KEY = (ValueError, UnsupportedAlgorithm, InternalError)
_CERTIFICATE_LABELS = (b"CERTIFICATE", b"X509 CERTIFICATE")
_KEY_LABEL_END = b"PRIVATE KEY"

Reader = Callable[[Path, datetime], CertificateFile | None]


def belongings(source: Path) -> tuple[Path, ...]:
    """Return the files that a certificate may be read from, its own one first."""
    key_file = _key_file_of(source)
    files = (source, key_file, *_password_files(source), *_password_files(key_file))
    return tuple(dict.fromkeys(files))


def password_variable(path: Path) -> str:
    """Return the environment variable that may have a file's password."""
    name = path.parent.name if path.name in (CERTBOT_CHAIN, CERTBOT_KEY) else path.stem
    return PASSWORD_VARIABLE + re.sub("[^A-Z0-9]", "_", name.upper())


def read_pem(source: Path, now: datetime) -> CertificateFile | None:
    """
    Read a certificate in PEM form, with its key in the file or beside it.

    Args:
        source: the certificate's file.
        now: see `certchecks.checked`.

    Returns:
        The certificate; None for an authority's.

    Raises:
        Unusable: it cannot be served.
    """
    certificates, keys = read_pem_blocks(source)
    if not certificates:
        raise Unusable(
            "holds a private key, but no certificate"
            if keys
            else "holds no certificate in PEM form"
        )
    if only_authorities(certificates):
        return None
    key_file = source
    if not keys:
        key_file = _key_file_of(source)
        if not key_file.exists():
            raise Unusable(f"has no private key: none in it, and there is no {key_file.name}")
        _, keys = read_pem_blocks(key_file)
    if len(keys) != 1:
        raise Unusable(f"{key_file.name} holds {len(keys)} private keys instead of one")
    return checked(source, certificates, _load_key(keys[0], key_file), now)


def read_pkcs12(source: Path, now: datetime) -> CertificateFile | None:
    """Read a certificate with its key in PKCS #12 form; otherwise as `read_pem`."""
    data = _read_bytes(source)
    where, password = _password_of(source)
    try:
        key, leaf, others = pkcs12.load_key_and_certificates(data, password)
    except _NO_KEY:
        reason = (
            f"the password in {where} does not open it, or it is damaged"
            if password
            else f"is damaged, or needs its password in {where}"
        )
        raise Unusable(reason) from None
    certificates = others if leaf is None else [leaf, *others]
    if not certificates:
        raise Unusable("holds no certificate")
    if only_authorities(certificates):
        return None
    if key is None:
        raise Unusable("holds no private key")
    return checked(source, certificates, key, now)


def read_pem_blocks(path: Path) -> tuple[list[x509.Certificate], list[bytes]]:
    """
    Return a file's certificates, and its private keys as they are; the rest is skipped.

    Raises:
        Unusable: the file cannot be read, or is not whole.
    """
    data = _read_bytes(path)
    blocks = list(_PEM_BLOCK.finditer(data))
    if len(blocks) != data.count(_PEM_BEGIN):
        raise Unusable(f"{path.name} is cut off or damaged: a BEGIN line lacks its END line")
    certificates = []
    for number, block in enumerate((b for b in blocks if b[1] in _CERTIFICATE_LABELS), start=1):
        try:
            certificates.append(x509.load_pem_x509_certificate(block[0]))
        except UNREADABLE as error:
            raise Unusable(f"certificate {number} in {path.name} is damaged") from error
    return certificates, [block[0] for block in blocks if block[1].endswith(_KEY_LABEL_END)]


READERS: dict[str, Reader] = {
    ".pem": read_pem,
    ".crt": read_pem,
    ".pfx": read_pkcs12,
    ".p12": read_pkcs12,
}
"""By the suffix in lower case."""


def _key_file_of(source: Path) -> Path:
    """Return the file that has a certificate's key if its own file does not."""
    if source.name == CERTBOT_CHAIN:
        return source.with_name(CERTBOT_KEY)
    return (
        source if READERS.get(source.suffix.lower()) is read_pkcs12 else source.with_suffix(".key")
    )


def _read_bytes(path: Path) -> bytes:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # to open a FIFO would wait for its writer
            raise Unusable(f"{path.name} is no regular file")
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
    except OSError as error:
        raise Unusable(f"{path.name} cannot be read: {error.strerror}") from error
    if len(data) > MAX_FILE:
        raise Unusable(f"{path.name} is larger than {MAX_FILE // 1024} KiB")
    if not data:
        raise Unusable(f"{path.name} is empty")
    return data


def _password_files(path: Path) -> tuple[Path, ...]:
    return path.with_name(f"{path.name}.password"), path.with_suffix(".password")


def _password_of(path: Path) -> tuple[str, bytes | None]:
    """Return where a file's password is, or should be, and the password if it is there."""
    files = _password_files(path)
    for file in files:
        if file.exists():
            return file.name, _read_bytes(file).rstrip(b"\r\n") or None
    variable = password_variable(path)
    if value := os.environ.get(variable):
        return variable, os.fsencode(value)
    return f"{files[-1].name} or {variable}", None


def _load_key(pem: bytes, path: Path) -> object:
    try:
        return load_pem_private_key(pem, None)
    except TypeError:
        pass  # it is encrypted
    except _NO_KEY:
        reason = f"the private key in {path.name} is damaged, or of an unknown kind"
        raise Unusable(reason) from None  # the details are those of a secret
    where, password = _password_of(path)
    if password is None:
        raise Unusable(f"the private key is encrypted, with no password in {where}")
    try:
        return load_pem_private_key(pem, password)
    except _NO_KEY:
        reason = f"the password in {where} does not open the private key"
        raise Unusable(reason) from None
