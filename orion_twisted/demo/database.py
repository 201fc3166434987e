"""
The file of the store: its tables, its one owner, and transactions.

Every step fails with a StoreFailed, whatever SQLite has to say.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from orion_twisted.demo.documents import StoreFailed

SCHEMA_VERSION = 2
BUSY_TIMEOUT = 5.0
"""Seconds to wait for another process that has the same file: one that is just ending."""

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


class Database:
    """
    A file that no other process has open meanwhile.

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
        with _failing():
            self._database = sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None)
        try:
            self._prepare(path, fsync)
        except BaseException:
            self._database.close()
            raise

    def _prepare(self, path: str, fsync: bool) -> None:
        # What is told of documents is kept in memory, too: nobody else may change them meanwhile.
        self.execute("PRAGMA locking_mode = EXCLUSIVE")
        self.execute("PRAGMA journal_mode = WAL")
        # NORMAL: the file is right in any case, and the system has what has been committed.
        self.execute(f"PRAGMA synchronous = {'FULL' if fsync else 'NORMAL'}")
        self.execute("PRAGMA foreign_keys = ON")
        with self.transaction():
            ((version,),) = self.execute("PRAGMA user_version")
            if version == 0:
                for statement in _SCHEMA.split(";"):
                    self.execute(statement)
                self.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            elif version != SCHEMA_VERSION:
                age = "an earlier" if version < SCHEMA_VERSION else "a later"
                raise StoreFailed(
                    f"{path} was made by {age} version of this program: it is of format "
                    f"{version}, and this one reads format {SCHEMA_VERSION}. Move it away, "
                    "and a new one is made in its place."
                )

    def close(self) -> None:
        """Close the file; the store cannot be used any more."""
        self._database.close()

    def execute(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Run one statement; return its rows."""
        with _failing():
            return self._database.execute(statement, values).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is run inside is kept, or nothing of it."""
        # IMMEDIATE: what is read inside cannot change before it is written back.
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:  # SQLite has ended it itself when the disk is full
                self.execute("ROLLBACK")
            raise


@contextmanager
def _failing() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
            raise StoreFailed(
                f"another program has the documents open, perhaps another demo: {error}"
            ) from error
        raise StoreFailed(f"the document store failed: {error}") from error
    except sqlite3.Error as error:
        raise StoreFailed(f"the document store failed: {error}") from error
