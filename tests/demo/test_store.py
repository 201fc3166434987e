"""Documents, edits and clients in a real SQLite file."""

import sqlite3
from pathlib import Path
from typing import Any

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.demo import database
from orion_twisted.demo import store as bounds
from orion_twisted.demo.changes import apply_changes
from orion_twisted.demo.database import SCHEMA_VERSION
from orion_twisted.demo.documents import (
    MAX_DOCUMENTS,
    CommandRefused,
    Document,
    Page,
    StoreFailed,
    UnknownDocument,
    convert,
)
from orion_twisted.demo.samples import sample
from orion_twisted.demo.store import Edit, Listing, Store
from tests.demo.visit import TEXT, insert

EMPTY = Document("Empty", (Page("p1"),))


class StoreTestCase(SynchronousTestCase):
    """A store in a file."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.time = 100.0
        self.patch(database, "BUSY_TIMEOUT", 0.0)

    def open(self) -> Store:
        store = Store(str(self.path), now=lambda: self.time)
        self.addCleanup(store.close)
        return store

    def edit(self, store: Store, document_id: int, *changes: Any, client: str = "c") -> Document:
        """Do the next edit of a client."""
        stored = store.load(document_id)
        after = apply_changes(stored.document, list(changes))
        edit = store.applied(document_id, client) + 1
        encoded = msgspec.json.encode(changes)
        store.append(document_id, Edit(stored.seq + 1, client, edit, encoded), after)
        return after


class DocumentTests(StoreTestCase):
    """Documents as a whole."""

    def test_documents_survive_the_process(self) -> None:
        """A document, its edits and its clients are the same after the file was closed."""
        store = self.open()
        document_id = store.create(sample())
        after = self.edit(store, document_id, insert({**TEXT, "id": "x", "text": "안녕\u0000\n"}))
        store.close()
        again = self.open()
        stored = again.load(document_id)
        self.assertEqual((stored.document, stored.seq, stored.revision), (after, 1, 1))
        self.assertEqual(again.applied(document_id, "c"), 1)

    def test_the_last_changed_is_listed_first(self) -> None:
        """The list begins with what was worked on last, and says what is not saved."""
        store = self.open()
        for name in ("a", "b"):
            self.time += 1
            store.create(Document(name, (Page("p1"),)))
        self.time += 1
        self.edit(
            store, 1, {"op": "rename", "name": "a2"}, {"op": "insert_page", "page": {"id": "p2"}}
        )
        self.assertEqual(
            store.documents(),
            [Listing(1, "a2", 2, 1, 101.0, True), Listing(2, "b", 1, 1, 102.0, False)],
        )
        self.assertEqual(store.save(1, 1), 2)
        self.assertEqual(store.documents()[0], Listing(1, "a2", 2, 2, 103.0, False))

    def test_a_key_makes_one_document(self) -> None:
        """The same key finds what it has made; no key always makes another."""
        store = self.open()
        self.assertEqual([store.create(EMPTY, "k") for _ in range(2)], [1, 1])
        self.assertEqual([store.create(EMPTY) for _ in range(2)], [2, 3])
        store.delete(1)
        self.assertEqual(store.create(EMPTY, "k"), 4)

    def test_ids_are_never_given_out_twice(self) -> None:
        """The id of a deleted document stays unknown, and nothing of it is left."""
        store = self.open()
        store.create(EMPTY)
        self.edit(store, 1, {"op": "rename", "name": "x"})
        store.delete(1)
        store.delete(1)
        self.assertEqual(store.create(EMPTY), 2)
        self.assertRaises(UnknownDocument, store.load, 1)
        self.assertRaises(UnknownDocument, store.save, 1, 1)
        self.assertEqual(store.applied(1, "c"), 0)
        for table in ("snapshots", "journal", "clients"):
            rows = store.execute(f"SELECT count(*) FROM {table} WHERE document = 1")
            self.assertEqual(rows, [(0,)], table)

    def test_limits(self) -> None:
        """There is a most of documents, and of one document's size; deleting makes room."""
        store = self.open()
        texts = [{**TEXT, "text": "\u0001" * 90_000}]
        page = convert({"id": "p1", "objects": texts}, Page)
        self.assertRaises(CommandRefused, store.create, Document("big", (page,)))
        for _ in range(MAX_DOCUMENTS):
            store.create(EMPTY)
        self.assertRaises(StoreFailed, store.create, EMPTY)
        store.delete(7)
        store.create(EMPTY)


class JournalTests(StoreTestCase):
    """Edits since the snapshot, and what is kept of those before."""

    def rename(self, store: Store, count: int, size: int = 1) -> None:
        for _ in range(count):
            seq = store.load(1).seq + 1
            changes = msgspec.json.encode([{"op": "rename", "name": f"n{seq}"}])
            changes += b" " * (size - 1)
            after = Document(f"n{seq}", EMPTY.pages)
            store.append(1, Edit(seq, "c", seq, changes), after)

    def test_edits_after(self) -> None:
        """Who has missed edits gets them all in order, or hears that they are not kept."""
        store = self.open()
        store.create(EMPTY)
        self.rename(store, 3)
        found = store.edits_after(1, 1, 3)
        assert found is not None
        self.assertEqual([(each.seq, each.edit) for each in found], [(2, 2), (3, 3)])
        self.assertEqual(store.edits_after(1, 3, 3), [])
        self.assertIsNone(store.edits_after(1, 4, 3))

    def test_a_snapshot_keeps_a_bounded_journal(self) -> None:
        """Old edits go with a snapshot, all but the last KEPT_ROWS and KEPT_BYTES of them."""
        self.patch(bounds, "KEPT_ROWS", 5)
        self.patch(bounds, "KEPT_BYTES", 1_000)
        store = self.open()
        store.create(EMPTY)
        self.rename(store, 12)
        self.assertEqual(store.load(1).since_fold[0], 12)
        store.fold(1, 12, store.load(1).document)
        stored = store.load(1)
        self.assertEqual((stored.document.name, stored.since_fold), ("n12", (0, 0)))
        self.assertEqual(len(store.edits_after(1, 7, 12) or []), 5)
        self.assertIsNone(store.edits_after(1, 6, 12))
        self.rename(store, 3, 300)
        store.fold(1, 15, store.load(1).document)
        self.assertIsNone(store.edits_after(1, 11, 15))  # 3 x 330 bytes fit, and not 30 more
        self.assertEqual(len(store.edits_after(1, 12, 15) or []), 3)

    def test_a_refused_edit_uses_its_number_up(self) -> None:
        """What was refused once is known, without anything being in the journal."""
        store = self.open()
        store.create(EMPTY)
        store.use_up(1, "c", 1)
        self.assertEqual((store.applied(1, "c"), store.load(1).seq), (1, 0))

    def test_clients_are_bounded(self) -> None:
        """Of one client more than MAX_CLIENTS the one that is silent longest is forgotten."""
        self.patch(bounds, "MAX_CLIENTS", 3)
        store = self.open()
        store.create(EMPTY)
        store.create(EMPTY)
        store.use_up(2, "elsewhere", 1)
        for client in ("a", "b", "c"):
            self.time += 1
            store.use_up(1, client, 1)
        self.time += 1
        store.use_up(1, "a", 2)
        store.use_up(1, "d", 1)
        self.assertEqual([store.applied(1, each) for each in "abcd"], [2, 0, 1, 1])
        self.assertEqual(store.applied(2, "elsewhere"), 1)

    def test_an_edit_and_its_number_are_kept_together(self) -> None:
        """When the disk is full in the middle of an edit, nothing of it is there."""
        store = self.open()
        store.create(EMPTY)
        store.execute(
            "CREATE TRIGGER full BEFORE INSERT ON clients BEGIN SELECT raise(ABORT, 'x'); END"
        )
        self.assertRaises(StoreFailed, self.rename, store, 1)
        self.assertEqual((store.load(1).seq, store.edits_after(1, 0, 0)), (0, []))
        store.execute("DROP TRIGGER full")
        self.rename(store, 1)
        self.assertEqual(store.load(1).document.name, "n1")


class FileTests(StoreTestCase):
    """The file itself."""

    def test_one_process_has_the_file(self) -> None:
        """A second engine on the same file is refused, until the first one has ended."""
        store = self.open()
        store.create(EMPTY)
        with self.assertRaises(StoreFailed) as caught:
            self.open()
        self.assertIn("another program has the documents open", str(caught.exception))
        store.close()
        self.assertEqual(self.open().load(1).document, EMPTY)

    def test_an_edit_is_in_the_file(self) -> None:
        """A file that is copied while it is open has every edit in it: as after a crash."""
        store = self.open()
        store.create(EMPTY)
        self.edit(store, 1, {"op": "rename", "name": "Kept"})
        copy = Path(self.mktemp())
        for end in ("", "-wal"):
            Path(f"{copy}{end}").write_bytes(Path(f"{self.path}{end}").read_bytes())
        self.path = copy
        self.assertEqual(self.open().load(1).document.name, "Kept")

    def test_fsync(self) -> None:
        """If it is asked to, the store waits for the disk after each change."""
        for fsync, level in ((False, 1), (True, 2)):
            store = Store(self.mktemp(), fsync=fsync)
            self.addCleanup(store.close)
            self.assertEqual(store.execute("PRAGMA synchronous"), [(level,)])

    def damage(self, statement: str, *values: object) -> None:
        with sqlite3.connect(self.path) as file:
            file.execute(statement, values)
        file.close()

    def test_a_damaged_document_is_named(self) -> None:
        """A document that cannot be read says so, and the others are there."""
        store = self.open()
        store.create(EMPTY)
        store.create(EMPTY)
        self.edit(store, 1, {"op": "rename", "name": "x"})
        store.close()
        good = sqlite3.connect(self.path)
        ((kept,),) = good.execute("SELECT content FROM snapshots WHERE document = 1")
        good.close()
        for statement, value in (
            ("UPDATE snapshots SET content = ? WHERE document = 1", b"{"),
            ("UPDATE snapshots SET content = ? WHERE document = 1", b"\xff"),
            ("UPDATE snapshots SET content = ? WHERE document = 1", "text"),
            ("UPDATE snapshots SET content = ? WHERE document = 1", 5),
            ("UPDATE snapshots SET content = ? WHERE document = 1", b'{"name":"x","pages":[5]}'),
            ("UPDATE journal SET changes = ? WHERE document = 1", b"[{]"),
            ("UPDATE journal SET changes = ? WHERE document = 1", b'[{"op":"remove","id":"z"}]'),
            ("DELETE FROM journal WHERE document = ?", 1),
        ):
            with self.subTest(statement=statement, value=value):
                self.damage(statement, value)
                store = self.open()
                with self.assertRaises(StoreFailed) as caught:
                    store.load(1)
                self.assertIn("document 1 is damaged", str(caught.exception))
                self.assertEqual(store.load(2).document, EMPTY)
                store.close()
                self.damage("UPDATE snapshots SET content = ? WHERE document = 1", kept)

    def test_what_is_no_database_is_refused(self) -> None:
        """A file of something else is not overwritten."""
        self.path.write_bytes(b"something else entirely, not a database\n" * 50)
        before = self.path.read_bytes()
        self.assertRaises(StoreFailed, self.open)
        self.assertEqual(self.path.read_bytes(), before)
        self.path = self.path / "no" / "such" / "folder"
        self.assertRaises(StoreFailed, self.open)

    def test_another_format_is_refused(self) -> None:
        """A file of another version is left alone, and it is said what to do with it."""
        self.open().close()
        for version, age in ((SCHEMA_VERSION - 1, "an earlier"), (SCHEMA_VERSION + 1, "a later")):
            self.damage(f"PRAGMA user_version = {version}")
            with self.assertRaises(StoreFailed) as caught:
                self.open()
            for words in (str(self.path), f"format {version}", f"{age} version", "Move it away"):
                self.assertIn(words, str(caught.exception))

    def test_trouble_with_the_file_is_a_failure_of_the_store(self) -> None:
        """A closed file is a clear error, not an exception of the library."""
        store = self.open()
        store.close()
        for call in (store.documents, lambda: store.create(EMPTY), lambda: store.load(1)):
            self.assertRaises(StoreFailed, call)
