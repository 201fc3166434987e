"""Each command, used as meant and otherwise."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.demo.commands import COMMANDS, MAX_PAYLOAD
from orion_twisted.demo.documents import MAX_DOCUMENTS, MAX_OBJECTS_PER_PAGE
from orion_twisted.demo.words import MAX_COMPLAINT
from tests.demo.test_changes import CHANGES, JSON
from tests.demo.visit import BOX, LINE, TEXT, Engine, Visit, VisitV2, change, insert


class CommandTests(SynchronousTestCase):
    """What each command does when it is used as meant."""

    def setUp(self) -> None:
        self.engine = Engine(self)
        self.visit = Visit(self, self.engine)

    def test_hello_tells_version_commands_and_limits(self) -> None:
        """A client learns from one message what it is talking to and what it may send."""
        hello = self.visit.done("hello")
        self.assertEqual(hello["commands"], sorted(COMMANDS))
        self.assertEqual(hello["limits"]["objects_per_page"], MAX_OBJECTS_PER_PAGE)
        self.assertEqual(hello["limits"]["payload"], MAX_PAYLOAD)

    def test_new(self) -> None:
        """A new document is in the list at once, empty, with one page of the size asked for."""
        made = self.visit.done("new", name="Invoice", width=300, height=200, key="k")
        self.assertEqual(self.visit.done("new", key="k")["document"], made["document"])
        self.assertEqual(
            self.visit.done("documents")["documents"],
            [{"id": 1, "name": "Invoice", "pages": 1, "revision": 1, "saved": 1_000.0,
              "unsaved": False}],
        )  # fmt: skip
        self.assertEqual(
            self.visit.document(),
            {
                "id": 1,
                "name": "Invoice",
                "pages": [{"id": "p1", "width": 300, "height": 200, "objects": []}],
                "data": None,
            },
        )
        self.assertEqual(self.visit.done("new")["document"], 2)

    def test_open_says_where_edits_stand(self) -> None:
        """Who opens a document learns its edits so far, those of his own client, and who is in."""
        self.visit.done("new")
        self.visit.apply(insert(TEXT))
        self.visit.apply(change("t1", text="안녕"), client="c")
        other = Visit(self, self.engine)
        opened = other.done("open", document=1, client="c")
        document = opened.pop("document")
        self.assertEqual(document["pages"][0]["objects"][0]["text"], "안녕")
        opened.pop("message")
        self.assertEqual(
            opened,
            {"success": True, "seq": 2, "applied": 2, "revision": 1, "unsaved": True, "people": 1},
        )
        self.assertEqual(other.done("open", document=1, client="other")["applied"], 0)
        self.assertEqual(other.done("open", document=1)["applied"], 0)

    def test_save(self) -> None:
        """Saving counts a revision up, and once only where nothing has changed since."""
        self.visit.done("new")
        self.visit.apply({"op": "rename", "name": "x"})
        for _ in range(2):
            saved = self.visit.done("save", document=1)
            self.assertEqual((saved["revision"], saved["seq"]), (2, 1))
        self.assertFalse(self.visit.done("documents")["documents"][0]["unsaved"])

    def test_delete(self) -> None:
        """A deleted document is gone; deleting it again does no harm."""
        self.visit.done("new")
        for _ in range(2):
            self.visit.done("delete", document=1)
        self.assertEqual(self.visit.done("documents")["documents"], [])
        for cmd, fields in (
            ("open", {}),
            ("sync", {"seq": 0}),
            ("apply", {"client": "c", "edit": 1, "changes": []}),
            ("save", {}),
            ("render", {"page": "p1"}),
            ("pdf", {}),
        ):
            self.assertEqual(
                self.visit.refused(cmd, document=1, **fields), "there is no document 1"
            )

    def test_render(self) -> None:
        """A page is drawn with the seq that is in the drawing, and for a row with its cells."""
        self.visit.done("new", width=100, height=50)
        self.visit.apply(
            insert({**TEXT, "text": "Dear {{name}}"}),
            {"op": "data", "data": {"columns": ["name"], "rows": [["Kim"], ["이서연"]]}},
        )
        drawn = self.visit.done("render", document=1, page="p1")
        self.assertEqual(
            (drawn["page"], drawn["seq"], drawn["width"], drawn["height"], drawn["complete"]),
            ("p1", 1, 100, 50, True),
        )
        self.assertNotIn("row", drawn)
        self.assertIn(["fillText", "Dear {{name}}", 0, 13.3], drawn["commands"])
        ((first, count),) = [box["commands"] for box in drawn["boxes"]]
        self.assertEqual(drawn["commands"][first], ["save"])
        self.assertEqual(drawn["commands"][first + count - 1], ["restore"])
        drawn = self.visit.done("render", document=1, page="p1", row=1)
        self.assertEqual(drawn["row"], 1)
        self.assertIn(["fillText", "Dear 이서연", 0, 13.3], drawn["commands"])

    def test_bytes_need_orion_v2(self) -> None:
        """What carries bytes says in orion.v1 which dialect it needs."""
        self.visit.done("new")
        for cmd in ("upload", "asset", "pdf_part"):
            self.assertIn("orion.v2", self.visit.refused(cmd, document=1))

    def test_what_the_carrier_adds_is_passed_over(self) -> None:
        """A gateway may add fields with @ to any message."""
        self.visit.done("documents", **{"@TTL": 5})


class RefusalTests(SynchronousTestCase):
    """What is wrong is refused with a message that says what."""

    def test_messages(self) -> None:
        """Each mistake is named where it was made."""
        visit = VisitV2(self)
        visit.done("new")
        visit.apply(insert(TEXT))
        visit.apply({"op": "data", "data": {"columns": ["a"], "rows": [["1"]]}})
        page = {"document": 1, "page": "p1"}
        edit = {"document": 1, "client": "c", "edit": 3, "changes": []}
        for cmd, fields, complaint in (
            ("rendr", {}, "unknown command 'rendr'; did you mean 'render'?"),
            ("Save", {}, "unknown command 'Save'; did you mean 'save'?"),
            ("x" * 10_000, {}, f"unknown command '{'x' * 40}'; there are hello, documents,"),
            ("new", {"nmae": "x"}, "new has no field 'nmae'; did you mean 'name'?"),
            ("hello", {"page": 1}, "hello has no field 'page'"),
            ("new", {"name": ""}, "name: expected `str` of length >= 1"),
            ("new", {"key": "k" * 101}, "key: expected `str` of length <= 100"),
            ("new", {"width": 9}, "width: expected `float` >= 10.0"),
            ("open", {}, "misses `document`"),
            ("open", {"document": 2**70}, "document: expected `int` <="),
            ("open", {"document": "1"}, "document: expected `int`, got `str`"),
            ("open", {"document": 1, "client": ""}, "client: expected `str` of length >= 1"),
            ("open", {"document": 1, "client": "c" * 65}, "client: expected `str` of length <="),
            ("sync", {"document": 1, "client": "c"}, "misses `seq`"),
            ("sync", {"document": 1, "seq": -1}, "seq: expected `int` >= 0"),
            ("apply", {**edit, "client": None}, "client: expected `str`"),
            ("apply", {**edit, "edit": 0}, "edit: expected `int` >= 1"),
            ("apply", {"document": 1, "client": "c", "edit": 3}, "misses `changes`"),
            ("render", {"document": 1, "page": "p9"}, "there is no page 'p9'"),
            ("render", {"document": 1, "page": 1}, "page: expected `str`, got `int`"),
            ("render", {**page, "row": 1}, "there is no row 1: the data has 1"),
            ("render", {**page, "row": -1}, "row: expected `int` >= 0"),
            ("upload", {"document": 1, "type": "image/png"}, "upload wants bytes after it"),
            ("asset", {"document": 1, "asset": "x"}, "asset: must be the id of an uploaded"),
            ("asset", {"document": 1, "asset": "0" * 64}, "there is no image '000"),
            ("pdf", {"document": 1, "rows": "some"}, "rows: "),
            ("pdf", {"document": 1, "rows": []}, "rows: "),
            ("pdf", {"document": 1, "rows": [0, 1]}, "there is no row 1"),
            ("pdf_part", {"pdf": "x", "part": 0}, "this PDF is not kept any more"),
        ):
            with self.subTest(cmd=cmd[:20], fields=fields):
                message = visit.refused(cmd, **fields)
                self.assertTrue(message.startswith(complaint), message)
                self.assertLessEqual(len(message), MAX_COMPLAINT)
        self.assertEqual(visit.refused("hello", body=b"x"), "hello takes no bytes")
        self.assertEqual(visit.document()["pages"][0]["objects"][0]["text"], "hello")

    def test_documents_are_bounded(self) -> None:
        """There are MAX_DOCUMENTS documents at most, and the refusal says what to do."""
        visit = Visit(self)
        for _ in range(MAX_DOCUMENTS):
            visit.done("new")
        self.assertIn("delete one", visit.refused("new"))

    def test_no_data_no_rows(self) -> None:
        """A document without a table cannot be drawn for a row of it."""
        visit = Visit(self)
        visit.done("new")
        fields = {"document": 1, "page": "p1", "row": 0}
        self.assertEqual(visit.refused("render", **fields), "the document has no data")
        self.assertEqual(visit.refused("pdf", document=1, rows="all"), "the document has no rows")


class SizeTests(SynchronousTestCase):
    """What fits into a frame."""

    def test_a_crowded_document_is_drawn_and_opened(self) -> None:
        """The largest document there can be is still rendered, opened and told in full."""
        visit = Visit(self)
        visit.done("new", width=14_400, height=14_400)
        box = {**TEXT, "size": 1, "width": 14_400, "height": 14_400}
        visit.apply(insert({**box, "text": "\u0001 " * 50_000}))
        crowd = {**box, "text": "m\n" * 100, "rotation": 33.3}
        count = 1
        while visit.ask(
            "apply", document=1, client="c", edit=count + 1,
            changes=[insert({**crowd, "id": f"c{count}", "x": count + 0.123456789})],
        )["success"]:  # fmt: skip
            count += 1
        self.assertGreater(count, 100)
        visit.document()
        visit.done("render", document=1, page="p1")

    def test_cells_do_not_blow_a_page_up(self) -> None:
        """A short text that names a long cell many times is drawn up to a bound, and says so."""
        visit = Visit(self)
        visit.done("new", width=14_400, height=14_400)
        box = {**TEXT, "size": 1, "width": 14_400, "height": 14_400, "text": "{{a}} " * 5_000}
        visit.apply(
            {"op": "data", "data": {"columns": ["a"], "rows": [["x" * 2_000]]}},
            *(insert({**box, "id": f"t{number}"}) for number in range(5)),
        )
        drawn = visit.done("render", document=1, page="p1", row=0)
        self.assertFalse(drawn["complete"])

    def test_a_too_large_answer_is_a_refusal(self) -> None:
        """Should an answer outgrow a frame, the client hears that, under its number."""
        visit = Visit(self)
        visit.done("new", width=14_400, height=14_400)
        box = {**TEXT, "size": 1, "width": 14_400, "height": 14_400, "text": "{{a}}" * 255}
        visit.apply(
            {"op": "data", "data": {"columns": ["a"], "rows": [["가" * 2_000]]}}, insert(box)
        )
        fields = {"document": 1, "page": "p1", "row": 0}
        self.assertIn("the answer would take", visit.refused("render", **fields))


FIELDS = st.sampled_from(
    ["document", "client", "edit", "changes", "page", "row", "rows", "seq", "name", "key", "width",
     "type", "asset", "part"]
)  # fmt: skip
VALUES = JSON | st.sampled_from(["p1", "c", "all", 0, 1, 2, 3]) | st.lists(CHANGES, max_size=3)
NAMES = sorted(COMMANDS)
MESSAGES = st.builds(
    lambda number, cmd, fields: {"@MSGID": number, "cmd": cmd, **fields},
    st.integers(0, 9) | JSON,
    st.sampled_from(NAMES) | JSON,
    st.dictionaries(FIELDS, VALUES, max_size=5),
)


class AnythingTests(SynchronousTestCase):
    """Whatever comes in."""

    @settings(deadline=None, max_examples=150)
    @given(st.lists(MESSAGES | JSON, max_size=8))
    def test_any_json_gets_exactly_one_answer(self, messages: list[Any]) -> None:
        """Any JSON value, after any others, gets one answer that is JSON, never an exception."""
        visit = Visit(self)
        visit.done("new")
        visit.apply(insert(TEXT), insert(BOX), insert(LINE))
        for message in messages:
            visit.link.dialect.receive(json.dumps(message).encode(), 0.0)
            (answer,) = visit.hear()
            self.assertIn(answer["success"], (True, False))
            self.assertIsInstance(answer["message"], str)
            if answer["msgID"] is not None:
                self.assertEqual(answer["msgID"], message["@MSGID"])
