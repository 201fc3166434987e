"""
Documents in SQLite: a snapshot of each, the edits made since, and how far its clients are.

The calls block, which is meant: documents are small (MAX_DOCUMENT), the file is local, and an
engine that tells of nothing before it is written would have to wait for it anyway. Whatever
belongs together is one transaction, so the file is right at any moment at which the process ends.
"""

import msgspec
from msgspec import Struct

from orion_twisted.demo.changes import Refused, apply_changes
from orion_twisted.demo.database import Database
from orion_twisted.demo.documents import (
    MAX_DOCUMENTS,
    Document,
    StoreFailed,
    UnknownDocument,
    from_json,
    to_json,
)

FOLD_ROWS = 200
"""Edits since a document's snapshot, after which there is a new one."""
FOLD_BYTES = 2 * 1024 * 1024
"""Bytes of edits since a document's snapshot, after which there is a new one."""
KEPT_ROWS = 1_000
"""Edits of a document, beside those since its snapshot, that are kept for `sync`."""
KEPT_BYTES = 2 * 1024 * 1024
MAX_CLIENTS = 1_000
"""Clients whose edits are known apart in one document; then the longest silent is forgotten."""


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


class Store(Database):
    """The documents of a file: what they are now, and what was done to them last."""

    def documents(self) -> list[Listing]:
        """Return all documents, the last changed first."""
        rows = self.execute(
            "SELECT id, name, pages, revision, saved, seq > saved_seq FROM documents"
            " ORDER BY changed DESC, id DESC LIMIT ?",
            MAX_DOCUMENTS,
        )
        return [
            Listing(document_id, name, pages, revision, saved, bool(unsaved))
            for document_id, name, pages, revision, saved, unsaved in rows
        ]

    def create(self, document: Document, key: str | None = None) -> int:
        """Keep a new document, or find the one that the same key has made; return its id."""
        content = to_json(document)
        with self.transaction():
            found = self.execute("SELECT id FROM documents WHERE key = ?", key)
            if found:
                return int(found[0][0])
            ((count,),) = self.execute("SELECT count(*) FROM documents")
            if count >= MAX_DOCUMENTS:
                raise StoreFailed(
                    f"there are {count} documents already, the most that are kept: delete one"
                )
            now = self.now()
            ((document_id,),) = self.execute(
                "INSERT INTO documents (key, name, pages, seq, changed, revision, saved,"
                " saved_seq) VALUES (?, ?, ?, 0, ?, 1, ?, 0) RETURNING id",
                key, document.name, len(document.pages), now, now,
            )  # fmt: skip
            self.execute("INSERT INTO snapshots VALUES (?, 0, ?)", document_id, content)
        return int(document_id)

    def load(self, document_id: int) -> Stored:
        """Return a document with all its edits, or raise UnknownDocument."""
        rows = self.execute(
            "SELECT documents.seq, revision, saved_seq, snapshots.seq, content FROM documents"
            " JOIN snapshots ON document = id WHERE id = ?",
            document_id,
        )
        if not rows:
            raise UnknownDocument(f"there is no document {document_id}")
        ((seq, revision, saved_seq, at, content),) = rows
        edits = self.execute(
            "SELECT changes FROM journal WHERE document = ? AND seq > ? ORDER BY seq",
            document_id, at,
        )  # fmt: skip
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
        rows = self.execute(
            "SELECT edit FROM clients WHERE document = ? AND client = ?", document_id, client
        )
        return int(rows[0][0]) if rows else 0

    def append(self, document_id: int, edit: Edit, after: Document) -> None:
        """Keep an edit, together with its number; ``after`` is the document with it."""
        with self.transaction():
            self.execute(
                "INSERT INTO journal VALUES (?, ?, ?, ?, ?)",
                document_id, edit.seq, edit.client, edit.edit, edit.changes,
            )  # fmt: skip
            self.execute(
                "UPDATE documents SET seq = ?, name = ?, pages = ?, changed = ? WHERE id = ?",
                edit.seq, after.name, len(after.pages), self.now(), document_id,
            )  # fmt: skip
            self._use_up(document_id, edit.client, edit.edit)

    def use_up(self, document_id: int, client: str, edit: int) -> None:
        """Note that an edit has been refused: its number will not come again."""
        with self.transaction():
            self._use_up(document_id, client, edit)

    def _use_up(self, document_id: int, client: str, edit: int) -> None:
        self.execute(
            "INSERT OR REPLACE INTO clients VALUES (?, ?, ?, ?)",
            document_id, client, edit, self.now(),
        )  # fmt: skip
        if edit == 1:  # the only one that makes a row more
            self.execute(
                "DELETE FROM clients WHERE document = ?1 AND client IN (SELECT client FROM clients"
                " WHERE document = ?1 ORDER BY used DESC, rowid DESC LIMIT -1 OFFSET ?2)",
                document_id, MAX_CLIENTS,
            )  # fmt: skip

    def fold(self, document_id: int, seq: int, document: Document) -> None:
        """Keep a snapshot in place of the one before, and of the edits what `sync` may ask for."""
        content = to_json(document)
        with self.transaction():
            self.execute(
                "UPDATE snapshots SET seq = ?, content = ? WHERE document = ?",
                seq, content, document_id,
            )  # fmt: skip
            self.execute(
                "DELETE FROM journal WHERE document = ?1 AND seq <= (SELECT max(seq) FROM ("
                "  SELECT seq, row_number() OVER latest AS rows,"
                "  sum(length(changes)) OVER latest AS bytes"
                "  FROM journal WHERE document = ?1 WINDOW latest AS (ORDER BY seq DESC)"
                ") WHERE rows > ?2 OR bytes > ?3)",
                document_id, KEPT_ROWS, KEPT_BYTES,
            )  # fmt: skip

    def edits_after(self, document_id: int, seq: int, last: int) -> list[Edit] | None:
        """Return the edits after ``seq`` up to ``last``; None if they are not all kept."""
        if seq > last:
            return None
        rows = self.execute(
            "SELECT seq, client, edit, changes FROM journal WHERE document = ? AND seq > ?"
            " ORDER BY seq",
            document_id, seq,
        )  # fmt: skip
        return [Edit(*row) for row in rows] if len(rows) == last - seq else None

    def save(self, document_id: int, seq: int) -> int:
        """Mark this state of a document as saved; return its new revision."""
        rows = self.execute(
            "UPDATE documents SET revision = revision + 1, saved = ?, saved_seq = ?"
            " WHERE id = ? RETURNING revision",
            self.now(), seq, document_id,
        )  # fmt: skip
        if not rows:
            raise UnknownDocument(f"there is no document {document_id}")
        return int(rows[0][0])

    def delete(self, document_id: int) -> None:
        """Forget a document and all that belongs to it, if it is there."""
        self.execute("DELETE FROM documents WHERE id = ?", document_id)
