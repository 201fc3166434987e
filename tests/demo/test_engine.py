"""The engine by table, and under anything that JSON can say."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.demo.commands import COMMANDS, MAX_FRAME
from orion_twisted.demo.desk import MAX_UNDO
from orion_twisted.demo.documents import (
    MAX_DOCUMENTS,
    MAX_OBJECTS_PER_PAGE,
    MAX_PAGES,
    MAX_TEXT,
)
from orion_twisted.demo.engine import MAX_COMPLAINT, MAX_MESSAGE_ID, Editor
from orion_twisted.demo.store import SqliteStore

TEXT = {"kind": "text", "x": 10, "y": 20, "text": "hello"}
RECTANGLE = {"kind": "rectangle", "x": 1, "y": 2, "width": 30, "height": 40}
LINE = {"kind": "line", "x": 0, "y": 0, "width": -50, "height": 10}


class EngineTestCase(SynchronousTestCase):
    """An engine over an empty store, and a short way to talk to it."""

    def setUp(self) -> None:
        self.store = SqliteStore(":memory:", now=lambda: 1_000.0)
        self.addCleanup(self.store.close)
        self.editor = Editor(self.store)
        self.number = 0

    def ask(self, cmd: str, /, **fields: Any) -> dict[str, Any]:
        self.number += 1
        answer = self.editor.answer({"@MSGID": self.number, "cmd": cmd, **fields})
        self.assertEqual(answer["msgID"], self.number)
        return answer

    def done(self, cmd: str, /, **fields: Any) -> dict[str, Any]:
        answer = self.ask(cmd, **fields)
        self.assertTrue(answer["success"], answer["message"])
        return answer

    def refused(self, cmd: str, /, **fields: Any) -> str:
        answer = self.ask(cmd, **fields)
        self.assertFalse(answer["success"], answer)
        self.assertEqual(set(answer), {"msgID", "success", "message"})
        return str(answer["message"])

    def objects(self, page: int = 1) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.done("objects", page=page)["objects"]
        return found


class CommandTests(EngineTestCase):
    """What each command does when it is used as meant."""

    def test_hello_tells_version_commands_and_limits(self) -> None:
        """A client learns from one message what it is talking to and what it may send."""
        hello = self.done("hello")
        self.assertEqual(hello["commands"], sorted(COMMANDS))
        self.assertEqual(hello["limits"]["objects_per_page"], MAX_OBJECTS_PER_PAGE)
        self.assertEqual(self.done("version")["version"], hello["version"])

    def test_new_is_listed_and_open(self) -> None:
        """A new document is in the list at once, and open for editing."""
        made = self.done("new", name="Invoice", pages=2, width=300, height=200)
        self.assertEqual(
            made["document"],
            {
                "id": 1,
                "name": "Invoice",
                "revision": 1,
                "pages": [{"width": 300, "height": 200, "objects": 0}] * 2,
            },
        )
        listed = self.done("documents")
        self.assertEqual(
            listed["documents"],
            [{"id": 1, "name": "Invoice", "pages": 2, "revision": 1, "saved": 1_000.0}],
        )
        self.assertEqual(listed["open"], 1)

    def test_insert_picks_ids_by_kind(self) -> None:
        """Objects get ids that tell what they are, and no id ever comes twice."""
        self.done("new")
        ids = [self.done("insert", object=each)["id"] for each in (TEXT, RECTANGLE, LINE)]
        self.assertEqual(ids, ["t1", "r2", "l3"])
        self.done("remove", id="l3")
        self.assertEqual(self.done("insert", object=LINE)["id"], "l4")

    def test_insert_takes_the_client_s_id(self) -> None:
        """A client that moves what it has just inserted need not wait for the answer's id."""
        self.done("new", pages=2)
        self.assertEqual(self.done("insert", page=2, object={**TEXT, "id": "t1"})["id"], "t1")
        self.assertEqual(self.done("insert", object=TEXT)["id"], "t2")
        self.assertIn(
            "already an object 't1'", self.refused("insert", object={**TEXT, "id": "t1"})
        )

    def test_move_resize_edit_remove(self) -> None:
        """Each edit changes what it names and nothing else."""
        self.done("new")
        self.done("insert", object=TEXT)
        self.done("insert", object=RECTANGLE)
        untouched = self.objects()[1]
        self.done("move", id="t1", x=5.5, y=-6)
        self.done("resize", id="t1", width=100, height=50)
        self.done("edit", id="t1", set={"text": "안녕", "weight": "bold", "rotation": 90})
        text, rectangle = self.objects()
        self.assertEqual(
            text,
            {
                "kind": "text",
                "id": "t1",
                "x": 5.5,
                "y": -6,
                "rotation": 90,
                "width": 100,
                "height": 50,
                "text": "안녕",
                "font": "sans-serif",
                "size": 14,
                "weight": "bold",
                "color": "#1f2933",
                "align": "left",
            },
        )
        self.assertEqual(rectangle, untouched)
        self.done("resize", id="r2", width=1, height=2, x=3, y=4)
        self.assertEqual(
            [self.objects()[1][key] for key in ("width", "height", "x", "y")], [1, 2, 3, 4]
        )
        self.assertEqual(self.done("remove", id="t1")["page"], 1)
        self.assertEqual([each["id"] for each in self.objects()], ["r2"])

    def test_only_a_line_may_go_backwards(self) -> None:
        """A line may point anywhere; a box with a negative width is refused."""
        self.done("new")
        for each in (TEXT, RECTANGLE, LINE):
            self.done("insert", object=each)
        self.done("resize", id="l3", width=-1, height=-2)
        for object_id in ("t1", "r2"):
            self.assertEqual(
                self.refused("resize", id=object_id, width=-1, height=2),
                "width: expected `float` > 0.0",
            )

    def test_save_close_open(self) -> None:
        """What is saved is there again for the next connection."""
        self.done("new", name="Kept")
        self.done("insert", object=TEXT)
        self.assertTrue(self.done("move", id="t1", x=1, y=1)["unsaved"])
        saved = self.done("save")
        self.assertEqual((saved["document"]["revision"], saved["unsaved"]), (2, False))
        before = self.objects()
        self.done("close")
        self.editor = Editor(self.store)
        self.assertEqual(self.done("open", document=1)["document"]["name"], "Kept")
        self.assertEqual(self.objects(), before)

    def test_edits_are_of_their_connection_until_saved(self) -> None:
        """Nobody else sees an edit before it is saved."""
        self.done("new")
        other = Editor(self.store)
        other.answer({"@MSGID": 1, "cmd": "open", "document": 1})
        self.done("insert", object=TEXT)
        seen = other.answer({"@MSGID": 2, "cmd": "objects"})
        self.assertEqual(seen["objects"], [])

    def test_unsaved_edits_are_not_lost_by_accident(self) -> None:
        """Opening, making or closing with unsaved edits needs a word that they may go."""
        self.done("new")
        self.done("insert", object=TEXT)
        for cmd, fields in (("new", {}), ("open", {"document": 1}), ("close", {})):
            self.assertIn("unsaved edits", self.refused(cmd, **fields))
        self.done("open", document=1, discard=True)
        self.assertEqual(self.objects(), [])

    def test_the_second_of_two_savers_is_told(self) -> None:
        """Two people save the same document: the later one decides, knowing it."""
        self.done("new")
        other = Editor(self.store)
        for number, message in enumerate(
            [{"cmd": "open", "document": 1}, {"cmd": "insert", "object": LINE}, {"cmd": "save"}], 1
        ):
            self.assertTrue(other.answer({"@MSGID": number, **message})["success"])
        self.done("insert", object=TEXT)
        self.assertIn("saved by somebody else", self.refused("save"))
        self.assertEqual(self.done("save", overwrite=True)["document"]["revision"], 3)

    def test_a_deleted_document_can_still_be_saved(self) -> None:
        """Deleted under one's hands: refused first, with overwrite kept as a new document."""
        self.done("new")
        self.done("insert", object=TEXT)
        Editor(self.store).answer({"@MSGID": 1, "cmd": "delete", "document": 1})
        self.assertIn("has been deleted", self.refused("save"))
        self.assertEqual(self.done("save", overwrite=True)["document"]["id"], 2)
        self.assertEqual(len(self.objects()), 1)

    def test_delete_clears_the_own_desk(self) -> None:
        """After deleting the open document none is open."""
        self.done("new")
        self.done("delete", document=1)
        self.assertIn("no document is open", self.refused("render"))
        self.assertIn("there is no document 1", self.refused("open", document=1))
        self.assertIn("there is no document 1", self.refused("delete", document=1))

    def test_undo_and_redo(self) -> None:
        """Edits go back and forth; a new edit ends the way forth; saving keeps the way back."""
        self.done("new")
        self.done("insert", object=TEXT)
        self.done("move", id="t1", x=99, y=99)
        self.done("save")
        undone = self.done("undo")
        self.assertEqual([undone[key] for key in ("undo", "redo", "unsaved")], [1, 1, True])
        self.done("undo")
        self.assertEqual(self.objects(), [])
        self.assertIn("nothing to undo", self.refused("undo"))
        self.done("redo")
        self.assertFalse(self.done("redo")["unsaved"])
        self.assertEqual(self.objects()[0]["x"], 99)
        self.assertIn("nothing to redo", self.refused("redo"))
        self.done("undo")
        self.assertEqual(self.done("move", id="t1", x=1, y=1)["redo"], 0)

    def test_undo_is_bounded(self) -> None:
        """A long day of editing keeps the last steps, not all of them."""
        self.done("new")
        self.done("insert", object=TEXT)
        for x in range(MAX_UNDO + 10):
            answer = self.done("move", id="t1", x=x, y=0)
        self.assertEqual(answer["undo"], MAX_UNDO)
        for _ in range(MAX_UNDO):
            self.done("undo")
        self.assertEqual(self.objects()[0]["x"], 9)

    def test_render_says_where_objects_are(self) -> None:
        """A client can find an object under the mouse, and its drawing commands."""
        self.done("new", width=100, height=50)
        self.done("insert", object=RECTANGLE)
        answer = self.done("render")
        self.assertEqual((answer["width"], answer["height"], answer["complete"]), (100, 50, True))
        (box,) = answer["boxes"]
        first, count = box.pop("commands")
        self.assertEqual(
            box,
            {"id": "r1", "kind": "rectangle", "x": 1, "y": 2, "width": 30, "height": 40,
             "rotation": 0},
        )  # fmt: skip
        drawn = answer["commands"][first : first + count]
        self.assertEqual((drawn[0], drawn[-1]), (["save"], ["restore"]))

    def test_what_the_carrier_adds_is_passed_over(self) -> None:
        """A gateway may add fields with @ to any message."""
        self.done("documents", **{"@SESSION": "s1", "@TTL": 5})


class RefusalTests(EngineTestCase):
    """What is wrong is refused with a message that says what."""

    def test_no_usable_number(self) -> None:
        """A message whose answer could not be matched is answered with msgID null."""
        for message in (
            None, True, 7, "hello", [], [1, {}], {}, {"cmd": "hello"},
            {"@MSGID": None, "cmd": "hello"}, {"@MSGID": "1", "cmd": "hello"},
            {"@MSGID": 1.0, "cmd": "hello"}, {"@MSGID": True, "cmd": "hello"},
            {"@MSGID": -1, "cmd": "hello"}, {"@MSGID": MAX_MESSAGE_ID + 1, "cmd": "hello"},
        ):  # fmt: skip
            with self.subTest(message=message):
                answer = self.editor.answer(message)
                self.assertEqual((answer["msgID"], answer["success"]), (None, False))
        for number in (0, MAX_MESSAGE_ID):
            self.assertTrue(self.editor.answer({"@MSGID": number, "cmd": "hello"})["success"])

    def test_messages(self) -> None:
        """Each mistake is named where it was made."""
        self.done("new")
        self.done("insert", object=TEXT)
        for fields, complaint in (
            ({"cmd": "rendr"}, "unknown command 'rendr'; did you mean 'render'?"),
            ({"cmd": "Save"}, "unknown command 'Save'; did you mean 'save'?"),
            ({"cmd": "x" * 10_000}, f"unknown command '{'x' * 40}'; there are hello, version,"),
            ({"cmd": 1}, '"cmd" must be the name of a command'),
            ({}, '"cmd" must be the name of a command'),
            ({"cmd": "new", "nmae": "x"}, "new has no field 'nmae'; did you mean 'name'?"),
            ({"cmd": "hello", "page": 1}, "hello has no field 'page'"),
            ({"cmd": "new", "name": ""}, "name: expected `str` of length >= 1"),
            ({"cmd": "new", "pages": MAX_PAGES + 1, "discard": True}, "pages: expected `int` <="),
            ({"cmd": "open"}, "misses `document`"),
            ({"cmd": "open", "document": 2**70}, "document: expected `int` <="),
            ({"cmd": "move", "id": "t1", "x": "1", "y": 2}, "x: expected `float`, got `str`"),
            ({"cmd": "move", "id": "t1", "x": 1e9, "y": 2}, "x: expected `float` <= 14400.0"),
            ({"cmd": "move", "id": "t9", "x": 1, "y": 2}, "there is no object 't9'"),
            ({"cmd": "render", "page": 2}, "there is no page 2: the document has 1 to 1"),
            ({"cmd": "render", "page": 0}, "page: expected `int` >= 1"),
            ({"cmd": "insert"}, "misses `object`"),
            ({"cmd": "insert", "object": 7}, "object: expected `object`, got `int`"),
            ({"cmd": "insert", "object": {"kind": "blob"}}, "object.kind: must be one of text, "),
            ({"cmd": "insert", "object": {"kind": "text", "x": 1, "y": 1}}, "object: misses `te"),
            ({"cmd": "insert", "object": {**TEXT, "colr": "#fff"}}, "object: has no field `colr`"),
            ({"cmd": "insert", "object": {**TEXT, "color": "red"}}, "object.color: must be a col"),
            ({"cmd": "insert", "object": {**TEXT, "color": "#fff\n"}}, "object.color: must be"),
            ({"cmd": "insert", "object": {**TEXT, "id": "1 x"}}, "object.id: must start with"),
            ({"cmd": "insert", "object": {**LINE, "stroke": "none"}}, "object.stroke: must be"),
            ({"cmd": "insert", "object": TEXT, "page": 2}, "there is no page 2"),
            ({"cmd": "edit", "id": "t1", "set": {}}, "set: names no property"),
            ({"cmd": "edit", "id": "t1", "set": {"id": "t2"}}, "set.id: cannot be changed"),
            ({"cmd": "edit", "id": "t1", "set": {"kind": "line"}}, "set.kind: cannot be changed"),
            ({"cmd": "edit", "id": "t1", "set": {"size": "9"}}, "set.size: expected `float`, got"),
            ({"cmd": "edit", "id": "t1", "set": {"fill": "none"}}, "has no field `fill`"),
            ({"cmd": "edit", "id": "t1", "set": {"text": "\ud800"}}, "the message has half a"),
        ):  # fmt: skip
            with self.subTest(fields=fields):
                before = self.objects()
                answer = self.editor.answer({"@MSGID": 1, **fields})
                self.assertFalse(answer["success"])
                message = str(answer["message"])
                self.assertTrue(message.startswith(complaint), message)
                self.assertLessEqual(len(message), MAX_COMPLAINT)
                self.assertEqual(self.objects(), before)

    def test_limits(self) -> None:
        """What has no bound of its own is bounded by a named limit, and refused unharmed."""
        self.done("new")
        self.assertIn(
            str(MAX_TEXT), self.refused("insert", object={**TEXT, "text": "x" * (MAX_TEXT + 1)})
        )
        self.done("insert", object={**TEXT, "text": "x" * MAX_TEXT})
        self.assertIn("at most", self.refused("insert", object={**TEXT, "text": "x" * MAX_TEXT}))
        self.done("undo")
        for _ in range(MAX_OBJECTS_PER_PAGE):
            self.done("insert", object=LINE)
        self.assertIn("page 1 is full", self.refused("insert", object=LINE))
        for _ in range(MAX_DOCUMENTS - 1):
            self.done("new", discard=True)
        self.assertIn("delete one", self.refused("new", discard=True))


class PayloadTests(EngineTestCase):
    """From JSON bytes to JSON bytes."""

    def test_what_is_no_json_is_answered(self) -> None:
        """Nonsense gets one answer that says so."""
        for payload in (
            b"", b"{", b"\xff", b'"\\ud800"', b"NaN", b"1e999", b"[" * 100_000,
            b'{"@MSGID":1,"cmd":"hello"} x',
        ):  # fmt: skip
            with self.subTest(payload=payload[:20]):
                answer = json.loads(self.editor.answer_payload(payload))
                self.assertEqual((answer["msgID"], answer["success"]), (None, False))
                self.assertIn("not valid JSON", answer["message"])

    def test_any_depth_is_answered(self) -> None:
        """A deeply nested message cannot overflow anything, just below the parser's limit too."""
        self.done("new")
        self.done("insert", object=TEXT)
        for depth in range(800, 1_100):
            nested = b"[" * depth + b"]" * depth
            payload = b'{"@MSGID":1,"cmd":"edit","id":"t1","set":{"text":%b}}' % nested
            self.assertFalse(json.loads(self.editor.answer_payload(payload))["success"])

    def test_an_answer_fits_into_a_frame(self) -> None:
        """The largest document there can be is still rendered, listed and read."""
        self.done("new", width=14_400, height=14_400)
        box = {**TEXT, "size": 1, "width": 14_400, "height": 14_400}
        self.done("insert", object={**box, "text": "\u0001 " * 50_000})
        crowd = {**box, "text": "m\n" * 100, "rotation": 33.3}
        count = 1
        while self.ask("insert", object={**crowd, "x": count + 0.123456789})["success"]:
            count += 1
        self.assertGreater(count, 100)
        for cmd in (b"render", b"objects"):
            encoded = self.editor.answer_payload(b'{"@MSGID":1,"cmd":"%b"}' % cmd)
            self.assertLessEqual(len(encoded), MAX_FRAME)
            self.assertTrue(json.loads(encoded)["success"])

    def test_a_too_large_answer_is_an_error_answer(self) -> None:
        """Should an answer ever outgrow a frame, the client hears that, under its number."""
        self.patch(self.editor, "answer", lambda message: {"msgID": 5, "huge": "x" * MAX_FRAME})
        answer = json.loads(self.editor.answer_payload(b"{}"))
        self.assertEqual((answer["msgID"], answer["success"]), (5, False))
        self.assertIn("the answer would take", answer["message"])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
FIELDS = st.sampled_from(
    ["id", "x", "y", "width", "height", "page", "pages", "document", "object", "set", "discard",
     "overwrite", "name"]
)  # fmt: skip
VALUES = JSON | st.sampled_from(["t1", "r2", 1, 2, TEXT, RECTANGLE, LINE, {"text": "x"}, True])
MESSAGES = st.builds(
    lambda number, cmd, fields: {"@MSGID": number, "cmd": cmd, **fields},
    st.integers(0, MAX_MESSAGE_ID) | JSON,
    st.sampled_from(sorted(COMMANDS)) | JSON,
    st.dictionaries(FIELDS, VALUES, max_size=5),
)


class AnythingTests(SynchronousTestCase):
    """Whatever comes in."""

    @settings(deadline=None, max_examples=150)
    @given(st.lists(MESSAGES | JSON, max_size=8))
    def test_any_json_gets_exactly_one_answer(self, messages: list[Any]) -> None:
        """Any JSON value, after any others, gets one answer that is JSON, never an exception."""
        store = SqliteStore(":memory:")
        try:
            editor = Editor(store)
            editor.answer({"@MSGID": 1, "cmd": "new"})
            editor.answer({"@MSGID": 2, "cmd": "insert", "object": TEXT})
            editor.answer({"@MSGID": 3, "cmd": "insert", "object": RECTANGLE})
            for message in messages:
                encoded = editor.answer_payload(json.dumps(message).encode())
                answer = json.loads(encoded)
                self.assertIn(answer["success"], (True, False))
                self.assertIsInstance(answer["message"], str)
                if answer["msgID"] is not None:
                    self.assertEqual(answer["msgID"], message["@MSGID"])
        finally:
            store.close()

    @settings(deadline=None, max_examples=100)
    @given(st.binary(max_size=40))
    def test_any_bytes_get_an_answer(self, payload: bytes) -> None:
        """Bytes that are no message get an answer too."""
        store = SqliteStore(":memory:")
        try:
            self.assertIn("success", json.loads(Editor(store).answer_payload(payload)))
        finally:
            store.close()
