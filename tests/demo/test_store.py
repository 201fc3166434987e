"""Documents in a real SQLite file."""

import sqlite3
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.demo.documents import (
    MAX_DOCUMENTS,
    CommandRefused,
    Document,
    Line,
    Page,
    Rectangle,
    StaleRevision,
    StoreFailed,
    Text,
    UnknownDocument,
)
from orion_twisted.demo.samples import sample
from orion_twisted.demo.store import SCHEMA_VERSION, SqliteStore

EMPTY = Document("Empty", (Page(),))


class StoreTests(SynchronousTestCase):
    """A store in a file."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.time = 100.0

    def open(self) -> SqliteStore:
        store = SqliteStore(str(self.path), now=lambda: self.time)
        self.addCleanup(store.close)
        return store

    def test_documents_survive_the_process(self) -> None:
        """A document is the same after the file was closed and opened again."""
        every = (
            Text(id="t1", x=1.5, y=-2, text="안녕\u0000\n", rotation=5),
            Rectangle(id="r2", x=0, y=0),
            Line(id="l3", x=0, y=0, width=-4),
        )
        document = Document("보고서", (Page(10, 20, every), Page()), 3)
        store = self.open()
        stored = store.create(document)
        store.close()
        self.assertEqual(self.open().load(stored.id), stored)

    def test_the_sample_can_be_kept(self) -> None:
        """The first document is one that the store takes."""
        store = self.open()
        self.assertEqual(store.load(store.create(sample()).id).document, sample())

    def test_the_last_saved_is_listed_first(self) -> None:
        """The list begins with what was worked on last."""
        store = self.open()
        for name in ("a", "b"):
            self.time += 1
            store.create(Document(name, (Page(),)))
        self.time += 1
        store.replace(1, Document("a2", (Page(), Page())), 1)
        self.assertEqual(
            [(each.id, each.name, each.pages, each.revision, each.saved)
             for each in store.documents()],
            [(1, "a2", 2, 2, 103.0), (2, "b", 1, 1, 102.0)],
        )  # fmt: skip

    def test_replace_looks_at_the_revision(self) -> None:
        """A save that is based on an old state is refused, unless it says otherwise."""
        store = self.open()
        store.create(EMPTY)
        self.assertEqual(store.replace(1, EMPTY, 1).revision, 2)
        self.assertRaises(StaleRevision, store.replace, 1, EMPTY, 1)
        self.assertEqual(store.replace(1, EMPTY, None).revision, 3)

    def test_ids_are_never_given_out_twice(self) -> None:
        """The id of a deleted document stays unknown."""
        store = self.open()
        store.create(EMPTY)
        store.delete(1)
        self.assertEqual(store.create(EMPTY).id, 2)
        self.assertRaises(UnknownDocument, store.load, 1)
        self.assertRaises(UnknownDocument, store.delete, 1)
        self.assertRaises(UnknownDocument, store.replace, 1, EMPTY, None)

    def test_limits(self) -> None:
        """There is a most of documents, and of one document's size; deleting makes room."""
        store = self.open()
        big = Text(id="t", x=0, y=0, text="\u0001" * 100_000)
        self.assertRaises(CommandRefused, store.create, Document("big", (Page(objects=(big,)),)))
        for _ in range(MAX_DOCUMENTS):
            store.create(EMPTY)
        self.assertRaises(StoreFailed, store.create, EMPTY)
        store.delete(7)
        store.create(EMPTY)

    def test_two_processes_share_the_file(self) -> None:
        """What one store saves, another on the same file sees."""
        one, two = self.open(), self.open()
        one.create(EMPTY)
        self.assertEqual(two.load(1).document, EMPTY)
        two.replace(1, EMPTY, 1)
        self.assertRaises(StaleRevision, one.replace, 1, EMPTY, 1)

    def test_the_file_is_in_wal_mode(self) -> None:
        """A crash leaves the last whole save."""
        self.open()
        with sqlite3.connect(self.path) as database:
            mode = database.execute("PRAGMA journal_mode").fetchone()
        database.close()
        self.assertEqual(mode, ("wal",))

    def test_a_damaged_document_is_named(self) -> None:
        """A document that cannot be read says so, and the others are there."""
        store = self.open()
        store.create(EMPTY)
        store.create(EMPTY)
        for content in (b"{", b"\xff", "text", 5, b'{"name":"x","pages":[{"a":1}]}'):
            with sqlite3.connect(self.path) as database:
                database.execute("UPDATE documents SET content = ? WHERE id = 1", (content,))
            database.close()
            with self.assertRaises(StoreFailed) as caught:
                store.load(1)
            self.assertIn("document 1 is damaged", str(caught.exception))
        self.assertEqual(store.load(2).document, EMPTY)

    def test_what_is_no_database_is_refused(self) -> None:
        """A file of something else is not overwritten."""
        self.path.write_bytes(b"something else entirely, not a database\n" * 50)
        before = self.path.read_bytes()
        self.assertRaises(StoreFailed, self.open)
        self.assertEqual(self.path.read_bytes(), before)
        self.path = self.path / "no" / "such" / "folder"
        self.assertRaises(StoreFailed, self.open)

    def test_another_format_is_refused(self) -> None:
        """A file of a later version is left alone, with both versions named."""
        self.open().close()
        with sqlite3.connect(self.path) as database:
            database.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
        database.close()
        with self.assertRaises(StoreFailed) as caught:
            self.open()
        self.assertIn(f"format {SCHEMA_VERSION + 1}", str(caught.exception))

    def test_trouble_with_the_file_is_a_failure_of_the_store(self) -> None:
        """A closed or locked file is a clear error, not an exception of the library."""
        store = self.open()
        store.close()
        for call in (store.documents, lambda: store.create(EMPTY), lambda: store.load(1)):
            self.assertRaises(StoreFailed, call)
