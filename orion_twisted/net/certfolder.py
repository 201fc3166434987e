"""
What has been read from a folder of certificates, and what a second look at it changes.

A file that was good and is bad now keeps its old certificate in service. One that is gone keeps
it too, for names that no other certificate answers, and while it is valid.

Everything here blocks: on a running gateway, call it from a thread.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

from attrs import evolve, field, frozen

from orion_twisted.net.certchecks import CertificateFile, problem_of
from orion_twisted.net.certfiles import (
    MAX_FILES,
    BadCertificateFile,
    find_sources,
    is_folder,
    read_file,
)
from orion_twisted.net.certreaders import CERTBOT_CHAIN, READERS, belongings
from orion_twisted.net.tlspolicy import refusal_of

Mark: TypeAlias = tuple[int, int, int, int]
"""What changes when a file does: times of content and of inode in ns, bytes, inode."""

Marks: TypeAlias = tuple[Mark | None, ...]
"""Of all the files that a certificate may be read from; None for one that is not there."""

_SUFFIXES = (*READERS, ".key", ".password")
_CERTBOT_NAMES = ("fullchain.", "privkey.")


@frozen
class Sight:
    """
    A folder as it looks, with no file opened.

    Attributes:
        files: the mark of each file that may have to do with certificates, by path.
        folders: device and inode of each folder that they are in, by path.
    """

    files: Mapping[str, Mark] = field(repr=False)
    folders: Mapping[str, tuple[int, int]]

    def marks(self, source: Path) -> Marks:
        """Return the marks of a certificate's files."""
        return tuple(self.files.get(each) for each in _belongings(source))


@frozen
class FolderState:
    """
    What has been read from a folder.

    Attributes:
        folder: which one.
        certificates: what is in service, by the file that it was read from; the file may have
            become bad since.
        bad: what cannot be used as it is now, by file.
        gone: what was in service until its file went away, by that file.
        marks: of what has been read, by the certificate's file.
    """

    folder: Path
    certificates: Mapping[Path, CertificateFile]
    bad: Mapping[Path, BadCertificateFile]
    gone: Mapping[Path, CertificateFile]
    marks: Mapping[Path, Marks] = field(repr=False)

    def next_date(self, now: datetime) -> datetime | None:
        """Return when the first of its certificates, or of their issuers, begins or ends."""
        dates = (
            date
            for one in (*self.certificates.values(), *self.gone.values())
            for each in one.chain
            for date in (each.not_valid_before_utc, each.not_valid_after_utc)
        )
        return min((date for date in dates if date >= now), default=None)


@frozen
class Outcome:
    """
    What has come of catching up with a folder.

    Attributes:
        state: what has been read by now.
        read: the certificates' files that were read anew, or have gone.
        unsettled: those that have changed, and may be changing still.
    """

    state: FolderState
    read: tuple[Path, ...]
    unsettled: tuple[Path, ...]


def load_folder(folder: Path, now: datetime) -> FolderState:
    """
    Read a folder for the first time.

    Args:
        folder: see `certfiles.read_folder`.
        now: aware.

    Raises:
        OSError: the folder cannot be listed.
    """
    sight = look(folder)
    return catch_up(FolderState(folder, {}, {}, {}, {}), sight, sight, now).state


def look(folder: Path) -> Sight:
    """
    Return how a folder looks.

    Raises:
        OSError: it cannot be listed.
    """
    files: dict[str, Mark] = {}
    folders = {str(folder): _identity(os.stat(folder))}
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if is_folder(entry):
                _look_into(entry, files, folders)
            elif entry.name.lower().endswith(_SUFFIXES):
                files[entry.path] = _mark_of(entry)
    return Sight(files, folders)


def catch_up(
    state: FolderState, sight: Sight, before: Sight, now: datetime, *, forget: bool = False
) -> Outcome:
    """
    Read what has changed since it was read, and has come to rest.

    Args:
        state: what was read before.
        sight: a look at the folder from just now.
        before: an earlier one; a file that differs between the two is left for the next time.
        now: aware.
        forget: read everything, at rest or not, and take out of service what is gone.

    Raises:
        OSError: the folder cannot be listed.
    """
    found, too_many = find_sources(state.folder)
    sources = {source for source in found if str(source) in sight.files} | state.marks.keys()
    changed = [one for one in sources if forget or sight.marks(one) != state.marks.get(one)]
    read = [one for one in changed if forget or sight.marks(one) == before.marks(one)]
    state = _read_again(state, sight, read, now)
    bad = {source: one for source, one in state.bad.items() if source != state.folder}
    bad.update((one.source, one) for one in too_many)
    state = evolve(state, bad=bad, gone={} if forget else state.gone)
    return Outcome(state, tuple(sorted(read)), tuple(sorted({*changed} - {*read})))


def _read_again(
    state: FolderState, sight: Sight, sources: Iterable[Path], now: datetime
) -> FolderState:
    certificates, marks = dict(state.certificates), dict(state.marks)
    bad, gone = dict(state.bad), dict(state.gone)
    for source in sources:
        bad.pop(source, None)
        found: CertificateFile | BadCertificateFile | None = None
        if str(source) in sight.files:
            marks[source] = sight.marks(source)
            found = _read(source, now)
        else:
            marks.pop(source, None)
        match found:
            case CertificateFile():
                certificates[source] = found
                gone.pop(source, None)
            case BadCertificateFile():
                bad[source] = found
            case None if source in certificates:  # the file has gone, or is an authority's now
                gone[source] = certificates.pop(source)
    return evolve(
        state,
        certificates=certificates,
        bad=bad,
        gone={source: one for source, one in gone.items() if problem_of(one, now) is None},
        marks=marks,
    )


def _read(source: Path, now: datetime) -> CertificateFile | BadCertificateFile | None:
    found = read_file(source, now)
    if isinstance(found, CertificateFile) and (refusal := refusal_of(found)) is not None:
        return BadCertificateFile(source, refusal)
    return found


@lru_cache(MAX_FILES)
def _belongings(source: Path) -> tuple[str, ...]:
    return tuple(map(str, belongings(source)))


def _look_into(
    folder: os.DirEntry[str], files: dict[str, Mark], folders: dict[str, tuple[int, int]]
) -> None:
    """Take down certbot's files, if this is one of its folders."""
    found = {}
    try:
        status = folder.stat()
        with os.scandir(folder.path) as entries:
            for entry in entries:
                if entry.name.startswith(_CERTBOT_NAMES):
                    found[entry.path] = _mark_of(entry)
    except FileNotFoundError:
        return
    except OSError:
        # It may not be looked into: reading it says why, and its own mark says when to try again.
        found[os.path.join(folder.path, CERTBOT_CHAIN)] = _mark(status)
    if found:
        files.update(found)
        folders[folder.path] = _identity(status)


def _mark_of(entry: os.DirEntry[str]) -> Mark:
    try:
        return _mark(entry.stat())
    except OSError:  # a link that leads nowhere, or to where nobody may look
        return _mark(entry.stat(follow_symlinks=False))


def _mark(status: os.stat_result) -> Mark:
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
