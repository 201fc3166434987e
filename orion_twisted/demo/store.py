"""
Documents in SQLite: a snapshot of each, the edits made since, and how far its clients are.

The calls block, which is meant: documents are small (MAX_DOCUMENT), the file is local, and an
engine that tells of nothing before it is written would have to wait for it anyway. Whatever
belongs together is one transaction, so the file is right at any moment at which the process ends.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec
from msgspec import Struct

from orion_twisted.demo.changes import Refused, apply_changes
from orion_twisted.demo.documents import (
    MAX_DOCUMENTS,
    Document,
    StoreFailed,
    UnknownDocument,
    from_json,
    to_json,
)

SCHEMA_VERSION = 2
BUSY_TIMEOUT = 5.0
"""Seconds to wait for another process that has the same file: one that is just ending."""
FOLD_ROWS = 200
"""Edits since a document's snapshot, after which there is a new one."""
FOLD_BYTES = 2 * 1024 * 1024
"""Bytes of edits since a document's snapshot, after which there is a new one."""
KEPT_ROWS = 1_000
"""Edits of a document, beside those since its snapshot, that are kept for `sync`."""
KEPT_BYTES = 2 * 1024 * 1024
MAX_CLIENTS = 1_000
"""Clients whose edits are known apart in one document; then the longest silent is forgotten."""

_SCHEMA = """
CREATE TABLE documents (
    id INTEGER PRIMARY KEY AUTOINCREMENT,  -- AUTOINCREMENT: an id is never given out twice
    key TEXT UNIQUE,                       -- of the `new` that made it
    name TEXT NOT NULL,
    pages INTEGER NOT NULL,
    seq INTEGER NOT NULL,                  -- edits so far
    changed REAL NOT NULL,                 -- seconds since 1970, as all times here
    revision INTEGER NOT NULL,             -- saves so far, the making included
    saved REAL NOT NULL,
    saved_seq INTEGER NOT NULL
);
CREATE TABLE snapshots (
    document INTEGER PRIMARY KEY REFERENCES documents ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    content BLOB NOT NULL                  -- the document as JSON, after that many edits
);
CREATE TABLE journal (
    document INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    client TEXT NOT NULL,
    edit INTEGER NOT NULL,
    changes BLOB NOT NULL,                 -- as JSON
    PRIMARY KEY (document, seq)
);
CREATE TABLE clients (
    document INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
    client TEXT NOT NULL,
    edit INTEGER NOT NULL,                 -- the last of its edits that is done or refused
    used REAL NOT NULL,
    PRIMARY KEY (document, client)
);
CREATE TABLE assets (
    document INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
    id TEXT NOT NULL,
    type TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    added REAL NOT NULL,
    content BLOB NOT NULL,
    PRIMARY KEY (document, id)
);
"""


class Stored(Struct, frozen=True):
    """
    A document as the store has it.

    Attributes:
        seq: its edits so far.
        revision: its saves so far, the making included.
        saved_seq: its edits at the last save.
        since_fold: rows and bytes of the journal since its snapshot.
    """

    id: int
    document: Document
    seq: int
    revision: int
    saved_seq: int
    since_fold: tuple[int, int]


class Listing(Struct, frozen=True):
    """One line of the list of documents; ``saved`` is in seconds since 1970."""

    id: int
    name: str
    pages: int
    revision: int
    saved: float
    unsaved: bool


class Edit(Struct, frozen=True):
    """An edit that has been done; ``changes`` are JSON."""

    seq: int
    client: str
    edit: int
    changes: bytes


class Store:
    """
    The documents of one file, which no other process has open meanwhile.

    Args:
        path: the file, made when it is missing; ":memory:" for one that ends with the process.
        now: the time in seconds since 1970.
        fsync: whether to wait, after each change, until the disk itself has it. Without, a crash
            of the process loses nothing, and a power failure perhaps the last seconds.

    Raises:
        StoreFailed: the file cannot be opened, is no database, is of another version, or another
            process has it. Every method may raise it, too.
    """

    def __init__(
        self, path: str, now: Callable[[], float] = time.time, fsync: bool = False
    ) -> None:
        self.now = now
        self._fsync = fsync
        with self._failing():
            self._database = sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None)
            try:
                self._prepare(path)
            except BaseException:
                self._database.close()
                raise

    def _prepare(self, path: str) -> None:
        # What is told of documents is kept in memory, too: nobody else may change them meanwhile.
        self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
        self._database.execute("PRAGMA journal_mode = WAL")
        # NORMAL: the file is right in any case, and the system has what has been committed.
        level = "FULL" if self._fsync else "NORMAL"
        self._database.execute(f"PRAGMA synchronous = {level}")
        self._database.execute("PRAGMA foreign_keys = ON")
        with self.transaction():
            (version,) = self._database.execute("PRAGMA user_version").fetchone()
            if version == 0:
                for statement in _SCHEMA.split(";"):
                    self._database.execute(statement)
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
        """Return all documents, the last changed first."""
        with self._failing():
            rows = self._database.execute(
                "SELECT id, name, pages, revision, saved, seq > saved_seq FROM documents"
                " ORDER BY changed DESC, id DESC LIMIT ?",
                (MAX_DOCUMENTS,),
            )
            return [
                Listing(document_id, name, pages, revision, saved, bool(unsaved))
                for document_id, name, pages, revision, saved, unsaved in rows
            ]

    def create(self, document: Document, key: str | None = None) -> int:
        """Keep a new document, or find the one that the same key has made; return its id."""
        content = to_json(document)
        with self._failing(), self.transaction():
            found = self._database.execute(
                "SELECT id FROM documents WHERE key = ?", (key,)
            ).fetchone()
            if found is not None:
                return int(found[0])
            (count,) = self._database.execute("SELECT count(*) FROM documents").fetchone()
            if count >= MAX_DOCUMENTS:
                raise StoreFailed(
                    f"there are {count} documents already, the most that are kept: delete one"
                )
            now = self.now()
            cursor = self._database.execute(
                "INSERT INTO documents (key, name, pages, seq, changed, revision, saved,"
                " saved_seq) VALUES (?, ?, ?, 0, ?, 1, ?, 0)",
                (key, document.name, len(document.pages), now, now),
            )
            document_id = cursor.lastrowid
            self._database.execute(
                "INSERT INTO snapshots VALUES (?, 0, ?)", (document_id, content)
            )
        if document_id is None:
            raise StoreFailed("the new document got no id")
        return document_id

    def load(self, document_id: int) -> Stored:
        """Return a document with all its edits, or raise UnknownDocument."""
        with self._failing():
            row = self._database.execute(
                "SELECT documents.seq, revision, saved_seq, snapshots.seq, content FROM documents"
                " JOIN snapshots ON document = id WHERE id = ?",
                (document_id,),
            ).fetchone()
            if row is None:
                raise UnknownDocument(f"there is no document {document_id}")
            seq, revision, saved_seq, at, content = row
            edits = self._database.execute(
                "SELECT changes FROM journal WHERE document = ? AND seq > ? ORDER BY seq",
                (document_id, at),
            ).fetchall()
        try:
            document = from_json(content)
            for (changes,) in edits:
                document = apply_changes(document, msgspec.json.decode(changes))
        except (msgspec.MsgspecError, ValueError, TypeError, Refused) as error:
            raise StoreFailed(f"document {document_id} is damaged: {error}") from error
        if at + len(edits) != seq:
            raise StoreFailed(f"document {document_id} is damaged: edits are missing")
        since_fold = len(edits), sum(len(changes) for (changes,) in edits)
        return Stored(document_id, document, seq, revision, saved_seq, since_fold)

    def applied(self, document_id: int, client: str) -> int:
        """Return the number of a client's last edit that is done or refused; 0: there is none."""
        with self._failing():
            row = self._database.execute(
                "SELECT edit FROM clients WHERE document = ? AND client = ?",
                (document_id, client),
            ).fetchone()
        return 0 if row is None else int(row[0])

    def append(self, document_id: int, edit: Edit, after: Document) -> None:
        """Keep an edit, together with its number; ``after`` is the document with it."""
        with self._failing(), self.transaction():
            self._database.execute(
                "INSERT INTO journal VALUES (?, ?, ?, ?, ?)",
                (document_id, edit.seq, edit.client, edit.edit, edit.changes),
            )
            self._database.execute(
                "UPDATE documents SET seq = ?, name = ?, pages = ?, changed = ? WHERE id = ?",
                (edit.seq, after.name, len(after.pages), self.now(), document_id),
            )
            self._use_up(document_id, edit.client, edit.edit)

    def use_up(self, document_id: int, client: str, edit: int) -> None:
        """Note that an edit has been refused: its number will not come again."""
        with self._failing(), self.transaction():
            self._use_up(document_id, client, edit)

    def _use_up(self, document_id: int, client: str, edit: int) -> None:
        self._database.execute(
            "INSERT OR REPLACE INTO clients VALUES (?, ?, ?, ?)",
            (document_id, client, edit, self.now()),
        )
        if edit == 1:  # the only one that makes a row more
            self._database.execute(
                "DELETE FROM clients WHERE document = ?1 AND client IN (SELECT client FROM clients"
                " WHERE document = ?1 ORDER BY used DESC, rowid DESC LIMIT -1 OFFSET ?2)",
                (document_id, MAX_CLIENTS),
            )

    def fold(self, document_id: int, seq: int, document: Document) -> None:
        """Keep a snapshot in place of the one before, and of the edits what `sync` may ask for."""
        content = to_json(document)
        with self._failing(), self.transaction():
            self._database.execute(
                "UPDATE snapshots SET seq = ?, content = ? WHERE document = ?",
                (seq, content, document_id),
            )
            self._database.execute(
                "DELETE FROM journal WHERE document = ?1 AND seq <= (SELECT max(seq) FROM ("
                "  SELECT seq, row_number() OVER latest AS rows,"
                "  sum(length(changes)) OVER latest AS bytes"
                "  FROM journal WHERE document = ?1 WINDOW latest AS (ORDER BY seq DESC)"
                ") WHERE rows > ?2 OR bytes > ?3)",
                (document_id, KEPT_ROWS, KEPT_BYTES),
            )

    def edits_after(self, document_id: int, seq: int, last: int) -> list[Edit] | None:
        """Return the edits after ``seq`` up to ``last``; None if they are not all kept."""
        if seq > last:
            return None
        with self._failing():
            rows = self._database.execute(
                "SELECT seq, client, edit, changes FROM journal WHERE document = ? AND seq > ?"
                " ORDER BY seq",
                (document_id, seq),
            ).fetchall()
        return [Edit(*row) for row in rows] if len(rows) == last - seq else None

    def save(self, document_id: int, seq: int) -> int:
        """Mark this state of a document as saved; return its new revision."""
        with self._failing():
            row = self._database.execute(
                "UPDATE documents SET revision = revision + 1, saved = ?, saved_seq = ?"
                " WHERE id = ? RETURNING revision",
                (self.now(), seq, document_id),
            ).fetchone()
        if row is None:
            raise UnknownDocument(f"there is no document {document_id}")
        return int(row[0])

    def delete(self, document_id: int) -> None:
        """Forget a document and all that belongs to it, if it is there."""
        with self._failing():
            self._database.execute("DELETE FROM documents WHERE id = ?", (document_id,))

    def execute(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        """Run one statement of `orion_twisted.demo.assets`; return its rows."""
        with self._failing():
            return self._database.execute(statement, values).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is run inside is kept, or nothing of it."""
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
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreFailed(f"the document store failed: {error}") from error
