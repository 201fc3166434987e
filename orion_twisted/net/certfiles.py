"""
A folder of certificates, read and checked before any of them is put into service.

Each form that a certificate comes in is one reader: ``NAME.pem`` (with the key in it, or beside
it in ``NAME.key``), ``NAME.crt`` + ``NAME.key``, ``NAME.pfx`` or ``NAME.p12``, and certbot's
``NAME/fullchain.pem`` + ``privkey.pem``. What they read goes through the same checks. A password
is read from the file beside it: ``NAME.pfx.password``, or ``NAME.password``.

Left alone are hidden files, keys without a certificate and certificate authorities, so that the
development CA may live in the same folder.

No file and no socket stays open, and nothing here knows of OpenSSL's contexts. Reading blocks: on
a running gateway, call it from a thread.
"""

import os
import re
import stat
from collections.abc import Callable, Iterable
from datetime import datetime
from heapq import nsmallest
from pathlib import Path

from attrs import frozen
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key, pkcs12

from orion_twisted.net.certchecks import (
    CertificateFile,
    Unusable,
    alternative_names,
    checked,
    choose,
    is_issued_by,
    only_authorities,
    problem_of,
    rank,
)

__all__ = [
    "MAX_FILE",
    "MAX_FILES",
    "BadCertificateFile",
    "CertificateFile",
    "CertificateRow",
    "choose",
    "problem_of",
    "rank",
    "read_file",
    "read_folder",
    "show_table",
]

MAX_FILE = 256 * 1024
"""Bytes of one file; a chain with a key takes about 8 KiB."""

MAX_FILES = 10_000
"""Certificates of one folder; the first ones by name are read."""

# No five dashes in the body: so a file of beginnings without an end costs no more than others.
_PEM_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----(?:[^-]|-(?!----))*-----END \1-----")
_PEM_BEGIN = b"-----BEGIN "
_CERTIFICATE_LABELS = (b"CERTIFICATE", b"X509 CERTIFICATE")
_KEY_LABEL_END = b"PRIVATE KEY"

_CERTBOT_CHAIN = "fullchain.pem"
_CERTBOT_KEY = "privkey.pem"


@frozen
class BadCertificateFile:
    """
    A file, or the folder, that cannot be used as it is.

    Attributes:
        source: which one.
        problem: what is wrong with it, for the operator.
    """

    source: Path
    problem: str


@frozen
class CertificateRow:
    """
    One line of what ``orion-bridge certs show`` prints.

    Attributes:
        file: the file's name, with certbot's folder before it.
        names, key_type: as of the certificate; empty for a file that cannot be used.
        days_left: whole days; None for a file that cannot be used.
        marks: ``fallback`` (it answers unknown names), ``self-signed``, ``common name only``
            (browsers refuse a certificate without SAN).
        problem: what is wrong with it, or None.
    """

    file: str
    names: tuple[str, ...]
    key_type: str
    days_left: int | None
    marks: tuple[str, ...]
    problem: str | None


def read_folder(
    folder: Path, now: datetime
) -> tuple[tuple[CertificateFile, ...], tuple[BadCertificateFile, ...]]:
    """
    Read all certificates of a folder, in the order of their names.

    Args:
        folder: is not searched any deeper than certbot's ``NAME/fullchain.pem``.
        now: aware; see `read_file`.

    Returns:
        What can be served, expired certificates included, and what cannot.

    Raises:
        FileNotFoundError: there is no such folder.
        OSError: the folder cannot be listed.
    """
    with os.scandir(folder) as entries:
        sources = nsmallest(MAX_FILES + 1, filter(None, map(_source_of, entries)))
    good: list[CertificateFile] = []
    bad: list[BadCertificateFile] = []
    for source in sources[:MAX_FILES]:
        match read_file(source, now):
            case CertificateFile() as certificate:
                good.append(certificate)
            case BadCertificateFile() as problem:
                bad.append(problem)
    if len(sources) > MAX_FILES:
        last = _file_name(sources[-2])
        text = f"holds more than {MAX_FILES} certificates: those after {last} are not read"
        bad.append(BadCertificateFile(folder, text))
    return tuple(good), tuple(bad)


def read_file(source: Path, now: datetime) -> CertificateFile | BadCertificateFile | None:
    """
    Read one certificate and what belongs to it, and check that they fit together.

    Args:
        source: a file of one of the forms; for pairs the certificate's.
        now: aware; of two issuers that fit, one that is valid now goes into the chain.

    Returns:
        The certificate, or what is wrong with it; None for a certificate authority.
    """
    read = _READERS.get(source.suffix.lower(), _read_pem)
    try:
        return read(source, now)
    except Unusable as problem:
        return BadCertificateFile(source, str(problem))
    except (
        # What is inside a certificate is parsed when it is asked for, so these come from anywhere.
        ValueError,
        UnsupportedAlgorithm,
        x509.DuplicateExtension,
        x509.UnsupportedGeneralNameType,
    ) as error:
        return BadCertificateFile(source, f"cannot be understood: {error}")


def show_table(
    good: Iterable[CertificateFile],
    bad: Iterable[BadCertificateFile],
    fallback: str | None,
    now: datetime,
) -> list[CertificateRow]:
    """
    Lay out what `read_folder` found, in the order of the files.

    Args:
        good, bad: what it returned.
        fallback: the name whose certificate answers unknown names, or None.
        now: aware.
    """
    good = tuple(good)
    answers_unknown = None if fallback is None else choose(good, fallback, now)
    rows = [(one.source, _good_row(one, one is answers_unknown, now)) for one in good]
    rows += [
        (one.source, CertificateRow(_file_name(one.source), (), "", None, (), one.problem))
        for one in bad
    ]
    return [row for _, row in sorted(rows, key=lambda pair: pair[0])]


def _good_row(one: CertificateFile, is_fallback: bool, now: datetime) -> CertificateRow:
    leaf = one.chain[0]
    marks = {
        "fallback": is_fallback,
        "self-signed": is_issued_by(leaf, leaf),
        "common name only": alternative_names(leaf) is None,
    }
    return CertificateRow(
        file=_file_name(one.source),
        names=one.names,
        key_type=one.key_type,
        days_left=one.days_left(now),
        marks=tuple(mark for mark, holds in marks.items() if holds),
        problem=problem_of(one, now),
    )


def _file_name(source: Path) -> str:
    return f"{source.parent.name}/{source.name}" if source.name == _CERTBOT_CHAIN else source.name


def _source_of(entry: os.DirEntry[str]) -> Path | None:
    """Return the certificate's file behind an entry of the folder, if there is one."""
    path = Path(entry.path)
    if entry.name.startswith("."):
        return None
    if not entry.is_dir():
        return path if path.suffix.lower() in _READERS else None
    chain = path / _CERTBOT_CHAIN
    try:
        chain.lstat()
    except FileNotFoundError:
        return None
    except OSError:
        return chain  # something is there that may not be looked at: reading it says why
    return chain


# Readers: each takes the certificate's file and the time, and returns what `read_file` does.


def _read_pem(source: Path, now: datetime) -> CertificateFile | None:
    certificates, keys = _read_pem_blocks(source)
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
        is_certbot = source.name == _CERTBOT_CHAIN
        key_file = source.with_name(_CERTBOT_KEY) if is_certbot else source.with_suffix(".key")
        if not key_file.exists():
            raise Unusable(f"has no private key: none in it, and there is no {key_file.name}")
        _, keys = _read_pem_blocks(key_file)
    if len(keys) != 1:
        raise Unusable(f"{key_file.name} holds {len(keys)} private keys instead of one")
    return checked(source, certificates, _load_key(keys[0], key_file), now)


def _read_pkcs12(source: Path, now: datetime) -> CertificateFile | None:
    data = _read_bytes(source)
    password_file, password = _password_of(source)
    try:
        key, leaf, others = pkcs12.load_key_and_certificates(data, password)
    except ValueError:
        reason = (
            f"the password in {password_file.name} does not open it, or it is damaged"
            if password
            else f"is damaged, or needs its password in {password_file.name}"
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


_READERS: dict[str, Callable[[Path, datetime], CertificateFile | None]] = {
    ".pem": _read_pem,
    ".crt": _read_pem,
    ".pfx": _read_pkcs12,
    ".p12": _read_pkcs12,
}
"""By the suffix in lower case."""


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


def _read_pem_blocks(path: Path) -> tuple[list[x509.Certificate], list[bytes]]:
    """Return a file's certificates, and its private keys as they are; the rest is skipped."""
    data = _read_bytes(path)
    blocks = list(_PEM_BLOCK.finditer(data))
    if len(blocks) != data.count(_PEM_BEGIN):
        raise Unusable(f"{path.name} is cut off or damaged: a BEGIN line lacks its END line")
    certificates = []
    for number, block in enumerate((b for b in blocks if b[1] in _CERTIFICATE_LABELS), start=1):
        try:
            certificates.append(x509.load_pem_x509_certificate(block[0]))
        except ValueError as error:
            raise Unusable(f"certificate {number} in {path.name} is damaged") from error
    return certificates, [block[0] for block in blocks if block[1].endswith(_KEY_LABEL_END)]


def _password_of(path: Path) -> tuple[Path, bytes | None]:
    """Return the file that has, or should have, a file's password, and the password if it does."""
    for candidate in (path.with_name(f"{path.name}.password"), path.with_suffix(".password")):
        if candidate.exists():
            return candidate, _read_bytes(candidate).rstrip(b"\r\n") or None
    return candidate, None


def _load_key(pem: bytes, path: Path) -> object:
    try:
        return load_pem_private_key(pem, None)
    except TypeError:
        pass  # it is encrypted
    except (ValueError, UnsupportedAlgorithm):
        reason = f"the private key in {path.name} is damaged, or of an unknown kind"
        raise Unusable(reason) from None  # the details are those of a secret
    password_file, password = _password_of(path)
    if password is None:
        raise Unusable(f"the private key is encrypted, with no password in {password_file.name}")
    try:
        return load_pem_private_key(pem, password)
    except (ValueError, UnsupportedAlgorithm):
        reason = f"the password in {password_file.name} does not open the private key"
        raise Unusable(reason) from None
