"""
A folder of certificates, read and checked before any of them is put into service.

Each form that a certificate comes in has a reader in `certreaders`: ``NAME.pem`` (with the key in
it, or beside it in ``NAME.key``), ``NAME.crt`` + ``NAME.key``, ``NAME.pfx`` or ``NAME.p12``, and
certbot's ``NAME/fullchain.pem`` + ``privkey.pem``. What they read goes through the same checks.

Left alone are hidden files, keys without a certificate and certificate authorities, so that the
development CA may live in the same folder.

No file and no socket stays open, and nothing here knows of OpenSSL's contexts. Reading blocks: on
a running gateway, call it from a thread.
"""

import os
from collections.abc import Iterable
from datetime import datetime
from heapq import nsmallest
from pathlib import Path

from attrs import frozen

from orion_twisted.net.certchecks import (
    UNREADABLE,
    CertificateFile,
    Unusable,
    alternative_names,
    choose,
    choose_all,
    is_issued_by,
    problem_of,
    rank,
)
from orion_twisted.net.certreaders import CERTBOT_CHAIN, MAX_FILE, READERS, read_pem

__all__ = [
    "MAX_FILE",
    "MAX_FILES",
    "BadCertificateFile",
    "CertificateFile",
    "CertificateRow",
    "choose",
    "find_sources",
    "problem_of",
    "rank",
    "read_file",
    "read_folder",
    "read_sources",
    "show_table",
]

MAX_FILES = 10_000
"""Certificates of one folder; the first ones by name are read."""


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
    sources, too_many = find_sources(folder)
    good, bad = read_sources(sources, now)
    return good, (*bad, *too_many)


def find_sources(folder: Path) -> tuple[tuple[Path, ...], tuple[BadCertificateFile, ...]]:
    """
    Return the certificates' files of a folder in the order of their names, unread.

    Returns:
        The files, and the folder itself if it has more of them than are read.

    Raises:
        OSError: as `read_folder`.
    """
    with os.scandir(folder) as entries:
        sources = nsmallest(MAX_FILES + 1, filter(None, map(_source_of, entries)))
    if len(sources) <= MAX_FILES:
        return tuple(sources), ()
    del sources[MAX_FILES:]
    last = file_name(sources[-1])
    text = f"holds more than {MAX_FILES} certificates: those after {last} are not read"
    return tuple(sources), (BadCertificateFile(folder, text),)


def read_sources(
    sources: Iterable[Path], now: datetime
) -> tuple[tuple[CertificateFile, ...], tuple[BadCertificateFile, ...]]:
    """Read some files; see `read_file` and `read_folder`."""
    good: list[CertificateFile] = []
    bad: list[BadCertificateFile] = []
    for source in sources:
        match read_file(source, now):
            case CertificateFile() as certificate:
                good.append(certificate)
            case BadCertificateFile() as problem:
                bad.append(problem)
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
    read = READERS.get(source.suffix.lower(), read_pem)
    try:
        return read(source, now)
    except Unusable as problem:
        return BadCertificateFile(source, str(problem))
    except UNREADABLE as error:
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
    answer_unknown = () if fallback is None else choose_all(good, fallback, now)
    rows = [(one.source, _good_row(one, one in answer_unknown, now)) for one in good]
    rows += [
        (one.source, CertificateRow(file_name(one.source), (), "", None, (), one.problem))
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
        file=file_name(one.source),
        names=one.names,
        key_type=one.key_type,
        days_left=one.days_left(now),
        marks=tuple(mark for mark, holds in marks.items() if holds),
        problem=problem_of(one, now),
    )


def file_name(source: Path) -> str:
    """Return what people call a certificate's file: with certbot's folder before it."""
    return f"{source.parent.name}/{source.name}" if source.name == CERTBOT_CHAIN else source.name


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Say whether an entry is a folder, or a link to one; not for one that cannot be looked at."""
    try:
        return entry.is_dir()
    except OSError:  # such as a link to itself
        return False


def _source_of(entry: os.DirEntry[str]) -> Path | None:
    """Return the certificate's file behind an entry of the folder, if there is one."""
    path = Path(entry.path)
    if entry.name.startswith("."):
        return None
    if not is_folder(entry):
        return path if path.suffix.lower() in READERS else None
    chain = path / CERTBOT_CHAIN
    try:
        chain.lstat()
    except FileNotFoundError:
        return None
    except OSError:
        return chain  # something is there that may not be looked at: reading it says why
    return chain
