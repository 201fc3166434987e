"""
Documents in SQLite.

The calls block, which is meant: documents are small (MAX_DOCUMENT), the file is local, and an
engine that answers strictly in order would have to wait for them anyway.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from orion_twisted.demo.documents import (
    MAX_DOCUMENTS,
    Document,
    Listing,
    StaleRevision,
    Stored,
    StoreFailed,
    UnknownDocument,
    from_json,
    to_json,
)

SCHEMA_VERSION = 1
BUSY_TIMEOUT = 2.0
"""Seconds to wait for another process that is writing to the same file."""

_SCHEMA = """
CREATE TABLE documents (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- AUTOINCREMENT: an id is never given out twice
    name TEXT NOT NULL,
    pages INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    saved REAL NOT NULL,                   -- seconds since 1970
    content BLOB NOT NULL                  -- the document as JSON
)
"""


class SqliteStore:
    """
    A DocumentStore in one file.

    Args:
        path: the file, made when it is missing; ":memory:" for one that ends with the process.
        now: the time in seconds since 1970.

    Raises:
        StoreFailed: the file cannot be opened, is no database, or is of another version.
    """

    def __init__(self, path: str, now: Callable[[], float] = time.time) -> None:
        self._now = now
        with _as_store_failed():
            self._database = sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None)
            try:
                self._prepare(path)
            except BaseException:
                self._database.close()
                raise

    def _prepare(self, path: str) -> None:
        # WAL: a reader is never stopped by the writer, and a crash leaves the last whole save.
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")
        with self._transaction():
            (version,) = self._database.execute("PRAGMA user_version").fetchone()
            if version == 0:
                self._database.execute(_SCHEMA)
                self._database.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            elif version != SCHEMA_VERSION:
                raise StoreFailed(
                    f"{path} has documents of format {version}; this program reads "
                    f"format {SCHEMA_VERSION}"
                )

    def close(self) -> None:
        """Close the file; the store cannot be used any more."""
        self._database.close()

    def documents(self) -> list[Listing]:
        """See DocumentStore."""
        with _as_store_failed():
            rows = self._database.execute(
                "SELECT id, name, pages, revision, saved FROM documents"
                " ORDER BY saved DESC, id DESC LIMIT ?",
                (MAX_DOCUMENTS,),
            )
            return [Listing(*row) for row in rows]

    def create(self, document: Document) -> Stored:
        """See DocumentStore."""
        content = to_json(document)
        with _as_store_failed(), self._transaction():
            (count,) = self._database.execute("SELECT count(*) FROM documents").fetchone()
            if count >= MAX_DOCUMENTS:
                raise StoreFailed(
                    f"there are {count} documents already, the most that are kept: delete one"
                )
            cursor = self._database.execute(
                "INSERT INTO documents (name, pages, revision, saved, content)"
                " VALUES (?, ?, 1, ?, ?)",
                (document.name, len(document.pages), self._now(), content),
            )
            document_id = cursor.lastrowid
        if document_id is None:
            raise StoreFailed("the new document got no id")
        return Stored(document_id, 1, document)

    def load(self, document_id: int) -> Stored:
        """See DocumentStore."""
        with _as_store_failed():
            row = self._database.execute(
                "SELECT revision, content FROM documents WHERE id = ?", (document_id,)
            ).fetchone()
        if row is None:
            raise UnknownDocument(f"there is no document {document_id}")
        revision, content = row
        try:
            return Stored(document_id, revision, from_json(content))
        except (msgspec.MsgspecError, ValueError, TypeError) as error:
            raise StoreFailed(f"document {document_id} is damaged: {error}") from error

    def replace(self, document_id: int, document: Document, revision: int | None) -> Stored:
        """See DocumentStore."""
        content = to_json(document)
        with _as_store_failed(), self._transaction():
            row = self._database.execute(
                "SELECT revision FROM documents WHERE id = ?", (document_id,)
            ).fetchone()
            if row is None:
                raise UnknownDocument(f"document {document_id} has been deleted")
            if revision is not None and row[0] != revision:
                raise StaleRevision(
                    f"document {document_id} has been saved by somebody else since it was opened "
                    f"(revision {row[0]} there, {revision} here)"
                )
            self._database.execute(
                "UPDATE documents SET name = ?, pages = ?, revision = ?, saved = ?, content = ?"
                " WHERE id = ?",
                (
                    document.name,
                    len(document.pages),
                    row[0] + 1,
                    self._now(),
                    content,
                    document_id,
                ),
            )
        return Stored(document_id, row[0] + 1, document)

    def delete(self, document_id: int) -> None:
        """See DocumentStore."""
        with _as_store_failed():
            cursor = self._database.execute("DELETE FROM documents WHERE id = ?", (document_id,))
        if cursor.rowcount == 0:
            raise UnknownDocument(f"there is no document {document_id}")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        # IMMEDIATE: what is read inside cannot change before it is written back.
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:  # SQLite has ended it itself when the disk is full
                self._database.execute("ROLLBACK")
            raise


@contextmanager
def _as_store_failed() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreFailed(f"the document store failed: {error}") from error
