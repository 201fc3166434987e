"""Documents that several people have open: who is told of what, and what is done once."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.demo import live
from orion_twisted.demo import store as kept
from orion_twisted.demo.dialects import V1, V2
from tests.demo.visit import TEXT, Engine, Link, Visit, VisitV2, change, insert

RENAME = {"op": "rename", "name": "Other"}


def applied(seq: int, edit: int, *changes: Any, client: str = "c") -> dict[str, Any]:
    """Return the event of an edit that has been done."""
    return {
        "event": "applied", "document": 1, "seq": seq, "client": client, "edit": edit,
        "changes": list(changes),
    }  # fmt: skip


class LiveTestCase(SynchronousTestCase):
    """An engine with one document, that Kim and Lee have open."""

    def setUp(self) -> None:
        self.engine = Engine(self)
        self.kim = VisitV2(self, self.engine, "kim")
        self.lee = VisitV2(self, self.engine, "lee")
        self.kim.done("new")
        for each in (self.kim, self.lee):
            each.done("open", document=1, client="c")
        self.kim.told()

    def notify(self, visit: VisitV2, edit: int, *changes: Any, client: str = "c") -> None:
        fields = {"document": 1, "client": client, "edit": edit, "changes": list(changes)}
        visit.notify("apply", **fields)


class EditTests(LiveTestCase):
    """Edits that are notified."""

    def test_everybody_is_told(self) -> None:
        """An edit is told to everybody who has the document open, its author too, in order."""
        self.notify(self.kim, 1, insert(TEXT))
        self.notify(self.lee, 1, change("t1", x=5), client="d")
        told = [applied(1, 1, insert(TEXT)), applied(2, 1, change("t1", x=5), client="d")]
        self.assertEqual((self.kim.told(), self.lee.told()), (told, told))

    def test_an_author_need_not_have_it_open(self) -> None:
        """After a restart an author's edits are done and told to it, before it says sync."""
        park = VisitV2(self, self.engine, "park")
        self.notify(park, 1, RENAME)
        self.assertEqual(park.told(), [applied(1, 1, RENAME)])

    def test_the_same_edit_again_is_not_done_again(self) -> None:
        """An edit that comes twice is done once; its author alone hears how far things are."""
        for _ in range(2):
            self.notify(self.kim, 1, insert(TEXT))
        at = {"event": "at", "document": 1, "client": "c", "applied": 1, "seq": 1}
        self.assertEqual(self.kim.told(), [applied(1, 1, insert(TEXT)), at])
        self.assertEqual(self.lee.told(), [applied(1, 1, insert(TEXT))])

    def test_an_edit_too_far_ahead_waits_for_the_lost_one(self) -> None:
        """An edit whose predecessor was lost is not done until that has come."""
        self.notify(self.kim, 2, change("t1", x=5))
        at = {"event": "at", "document": 1, "client": "c", "applied": 0, "seq": 0}
        self.assertEqual((self.kim.told(), self.lee.told()), ([at], []))
        self.notify(self.kim, 1, insert(TEXT))
        self.notify(self.kim, 2, change("t1", x=5))
        self.assertEqual(
            self.lee.told(), [applied(1, 1, insert(TEXT)), applied(2, 2, change("t1", x=5))]
        )

    def test_a_refused_edit_uses_its_number_up(self) -> None:
        """An edit that cannot be done changes nothing; its author is told, and goes on."""
        self.notify(self.kim, 1, RENAME, change("gone", x=1))
        (refused,) = self.kim.told()
        self.assertIn("no object 'gone'", refused.pop("message"))
        self.assertEqual(refused, {"event": "refused", "document": 1, "client": "c", "edit": 1})
        self.assertEqual(self.lee.told(), [])
        self.notify(self.kim, 1, RENAME)
        self.notify(self.kim, 2, RENAME)
        self.assertEqual(self.lee.told(), [applied(1, 2, RENAME)])

    def test_what_is_no_edit_at_all_is_refused_alike(self) -> None:
        """Changes that are no list, or nonsense, use their number up, too."""
        for number, changes in enumerate((None, 5, [5], [{"op": "x"}], {"op": "rename"}), 1):
            fields = {"document": 1, "client": "c", "edit": number, "changes": changes}
            self.kim.notify("apply", **fields)
            (refused,) = self.kim.told()
            self.assertEqual((refused["event"], refused["edit"]), ("refused", number))

    def test_as_a_request(self) -> None:
        """A request to apply says how far things are, whatever has become of it."""
        for edit, changes, answer in (
            (1, [RENAME], (True, 1, 1)),
            (1, [RENAME], (True, 1, 1)),
            (3, [RENAME], (False, 1, 1)),
            (2, [change("gone", x=1)], (False, 1, 2)),
        ):
            found = self.kim.ask("apply", document=1, client="c", edit=edit, changes=changes)
            self.assertEqual((found["success"], found["seq"], found["applied"]), answer)

    def test_nobody_is_told_of_what_is_not_kept(self) -> None:
        """While the disk is full no edit is done; when there is room again it is."""
        self.engine.store.execute(
            "CREATE TRIGGER full BEFORE INSERT ON journal BEGIN SELECT raise(ABORT, 'x'); END"
        )
        self.notify(self.kim, 1, RENAME)
        self.assertIn(
            "store failed",
            self.kim.refused("apply", document=1, client="c", edit=1, changes=[RENAME]),
        )
        self.assertEqual((self.kim.told(), self.lee.told()), ([], []))
        self.assertEqual(self.kim.document()["name"], "Untitled")
        self.engine.store.execute("DROP TRIGGER full")
        self.notify(self.kim, 1, RENAME)
        self.assertEqual(self.lee.told(), [applied(1, 1, RENAME)])

    def test_an_edit_is_bounded(self) -> None:
        """An edit that no event could tell of is refused."""
        self.patch(live, "MAX_EDIT", 200)
        for edit, size in ((1, 100), (2, 200)):
            self.notify(self.kim, edit, {"op": "rename", "name": "x", "more": "y" * size})
        first, second = self.kim.told()
        self.assertIn("more", first["message"])
        self.assertIn("200 are the most", second["message"])


class RestartTests(LiveTestCase):
    """What an engine knows that was started again."""

    def test_a_new_engine_on_the_same_file(self) -> None:
        """Documents, edits and what each client has done are there; who had it open is not."""
        path = self.mktemp()
        first = Visit(self, Engine(self, path))
        first.done("new")
        first.done("open", document=1)
        first.apply(insert(TEXT))
        first.ask("apply", document=1, client="c", edit=2, changes=[change("gone", x=1)])
        first.engine.store.close()
        second = Visit(self, Engine(self, path))
        self.assertEqual(
            second.ask("apply", document=1, client="c", edit=1, changes=[RENAME])["seq"], 1
        )
        synced = second.done("sync", document=1, client="c", seq=0)
        self.assertEqual((synced["applied"], synced["people"]), (2, 1))
        self.assertEqual(synced["edits"], [applied(1, 1, insert(TEXT))])

    def test_snapshots(self) -> None:
        """After FOLD_ROWS edits, or FOLD_BYTES of them, there is a snapshot; nothing is lost."""
        for name, value in (("FOLD_ROWS", 4), ("FOLD_BYTES", 200)):
            path = self.mktemp()
            visit = Visit(self, Engine(self, path))
            visit.done("new")
            visit.apply(insert(TEXT))
            with self.subTest(name):
                patched = self.patch(live, name, value)
                for number in range(9):
                    visit.apply(change("t1", x=number))
                    rows, _ = visit.engine.store.load(1).since_fold
                    self.assertLess(rows, 6)
                patched.restore()
            before = visit.document()
            visit.engine.store.close()
            self.assertEqual(Visit(self, Engine(self, path)).document(), before)

    def test_a_snapshot_that_fails_is_made_later(self) -> None:
        """An edit is done and told also when there is no room for a snapshot."""
        self.patch(live, "FOLD_ROWS", 2)
        self.engine.store.execute(
            "CREATE TRIGGER full BEFORE UPDATE ON snapshots BEGIN SELECT raise(ABORT, 'x'); END"
        )
        for edit in (1, 2, 3):
            self.notify(self.kim, edit, RENAME)
        self.assertEqual(len(self.lee.told()), 3)
        self.engine.store.execute("DROP TRIGGER full")
        self.notify(self.kim, 4, RENAME)
        self.assertEqual(self.engine.store.load(1).since_fold, (0, 0))


class SyncTests(LiveTestCase):
    """Catching up."""

    def test_what_was_missed(self) -> None:
        """Who asks what came after a seq gets exactly that."""
        for edit in (1, 2, 3):
            self.notify(self.kim, edit, {"op": "rename", "name": f"n{edit}"})
        told = self.lee.told()
        for seq in range(4):
            synced = self.lee.done("sync", document=1, client="c", seq=seq)
            self.assertEqual(synced["edits"], told[seq:])
            self.assertEqual((synced["seq"], synced["applied"]), (3, 3))
            self.assertNotIn("reload", synced)

    def test_what_is_not_kept_any_more(self) -> None:
        """Who is too far behind, or ahead of an engine with an older file, loads it all anew."""
        self.patch(live, "FOLD_ROWS", 3)
        self.patch(kept, "KEPT_ROWS", 2)
        for edit in range(1, 7):
            self.notify(self.kim, edit, RENAME)
        for seq, is_kept in ((0, False), (3, False), (4, True), (6, True), (7, False)):
            synced = self.lee.done("sync", document=1, client="c", seq=seq)
            self.assertEqual("edits" in synced, is_kept, seq)
            self.assertEqual(synced.get("reload"), None if is_kept else True)

    def test_an_answer_is_bounded(self) -> None:
        """More bytes of edits than fit into an answer are no list, but a reload."""
        self.patch(live, "MAX_SYNC", 1_000)
        for edit in range(1, 6):
            self.notify(self.kim, edit, RENAME)
        self.assertIn("edits", self.lee.done("sync", document=1, client="c", seq=2))
        self.assertTrue(self.lee.done("sync", document=1, client="c", seq=0)["reload"])

    def test_it_opens(self) -> None:
        """After a restart, sync is enough to be told of events again."""
        park = VisitV2(self, self.engine, "park")
        self.assertEqual(park.done("sync", document=1, client="d", seq=0)["people"], 3)
        self.notify(self.kim, 1, RENAME)
        self.assertEqual(park.told(), [applied(1, 1, RENAME)])


class PeopleTests(LiveTestCase):
    """Who has a document open."""

    def people(self, count: int) -> dict[str, Any]:
        return {"event": "people", "document": 1, "people": count}

    def test_coming_and_going(self) -> None:
        """Those who are there hear of each who comes and goes, and who has left hears nothing."""
        park = VisitV2(self, self.engine, "park")
        self.assertEqual(park.done("open", document=1, client="d")["people"], 3)
        self.assertEqual((self.kim.told(), park.told()), ([self.people(3)], []))
        park.done("open", document=1, client="d")
        self.assertEqual(self.kim.told(), [])
        park.done("close", document=1)
        park.done("close", document=1)
        self.notify(self.kim, 1, RENAME)
        self.assertEqual(self.kim.told(), [self.people(2), applied(1, 1, RENAME)])
        self.assertEqual(park.told(), [])

    def test_a_session_that_is_gone(self) -> None:
        """When the gateway says that a session has ended, it has nothing open any more."""
        self.lee.link.dialect.receive(b'{"type":"gone","sid":"lee"}', 0.0)
        self.assertEqual(self.kim.told(), [self.people(1)])
        self.notify(self.kim, 1, RENAME)
        self.assertEqual(self.lee.told(), [])

    def test_a_link_that_is_lost(self) -> None:
        """All sessions on a lost link are gone, and those who stay hear it once."""
        link = Link(self.engine.desk, V2)
        for name in ("a", "b", "c"):
            VisitV2(self, self.engine, name, link).done("open", document=1)
        self.kim.told()
        self.engine.documents.lost(link)
        self.assertEqual(self.kim.told(), [self.people(2)])
        self.engine.documents.lost(link)
        self.assertEqual(self.engine.documents.opened_on(link), [])

    def test_people_are_bounded(self) -> None:
        """MAX_PEOPLE sessions have one document open at most; one that leaves makes room."""
        self.patch(live, "MAX_PEOPLE", 3)
        park, choi = (VisitV2(self, self.engine, name) for name in ("park", "choi"))
        park.done("open", document=1)
        self.assertIn("no more can", choi.refused("open", document=1))
        self.assertIn("no more can", choi.refused("sync", document=1, seq=0))
        park.done("close", document=1)
        choi.done("open", document=1)

    def test_open_documents_are_bounded(self) -> None:
        """A session has MAX_OPEN documents open at most."""
        self.patch(live, "MAX_OPEN", 2)
        for _ in range(2):
            self.kim.done("new")
        self.kim.done("open", document=2)
        self.assertIn("close one", self.kim.refused("open", document=3))
        self.kim.done("close", document=1)
        self.kim.done("open", document=3)

    def test_documents_in_memory_are_bounded(self) -> None:
        """Documents that nobody has open are let go, and are there when they are asked for."""
        self.patch(live, "MAX_LOADED", 2)
        for _ in range(5):
            self.kim.done("new")
        for number in (2, 3, 4, 5, 6, 2):
            self.kim.done("save", document=number)
        self.assertEqual(list(self.engine.documents._loaded), [1, 5, 6, 2])
        for each in (self.kim, self.lee):
            each.done("close", document=1)
        self.assertEqual(list(self.engine.documents._loaded), [6, 2])


class OtherEventTests(LiveTestCase):
    """What else people are told."""

    def test_saved_and_deleted(self) -> None:
        """Everybody hears that a document was saved, and that it was deleted."""
        self.notify(self.kim, 1, RENAME)
        self.kim.done("save", document=1)
        self.kim.done("delete", document=1)
        told = [
            applied(1, 1, RENAME),
            {"event": "saved", "document": 1, "revision": 2, "seq": 1},
            {"event": "deleted", "document": 1},
        ]
        self.assertEqual((self.kim.told(), self.lee.told()), (told, told))
        self.assertEqual(self.engine.documents.opened_on(self.kim.link), [])

    def test_sessions_on_one_link_in_orion_v1(self) -> None:
        """On a link that sessions share each event says whose it is; on one's own none does."""
        link = Link(self.engine.desk, V1)
        park = Visit(self, self.engine, "park", link)
        choi = Visit(self, self.engine, "choi", link)
        alone = Visit(self, self.engine)
        for each in (park, choi, alone):
            each.done("open", document=1)
        for each in (park, alone):
            each.told()
        self.notify(self.kim, 1, RENAME)
        event = applied(1, 1, RENAME)
        self.assertEqual(park.told(), [{"@SESSION": sid, **event} for sid in ("park", "choi")])
        self.assertEqual(alone.told(), [event])
