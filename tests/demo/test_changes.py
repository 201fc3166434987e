"""Edits: the table that the Web Editor's tests run, too, and anything at all."""

import json
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.demo.changes import MAX_CHANGES, Refused, apply_changes
from orion_twisted.demo.documents import (
    KINDS,
    MAX_CELL,
    MAX_CODE_TEXT,
    MAX_DOCUMENT,
    MAX_OBJECTS_PER_PAGE,
    MAX_ROWS,
    MAX_TEXT,
    Document,
    Page,
    Placeable,
    convert,
    from_json,
    to_json,
)
from orion_twisted.demo.words import MAX_COMPLAINT, sayable
from tests.demo.visit import BOX, LINE, TEXT, change, insert

CASES = json.loads(Path(__file__).with_name("changes.json").read_text("utf-8"))
OPS = (
    *("insert", "set", "remove", "order"),
    *("insert_page", "remove_page", "resize_page", "rename", "data"),
)
EMPTY = Document("Empty", (Page("p1"),))


def read(case: dict[str, Any]) -> Document:
    """Return a document of the table, which has its id in it."""
    fields = {key: value for key, value in case.items() if key != "id"}
    document: Document = convert(fields, Document)
    return document


class TableTests(SynchronousTestCase):
    """The cases of changes.json."""

    def test_cases(self) -> None:
        """Each edit does what the table says, or is refused; the document before stays."""
        for case in CASES:
            with self.subTest(case["name"]):
                document = read(case["document"])
                if "refused" in case:
                    with self.assertRaises(Refused) as caught:
                        apply_changes(document, case["changes"])
                    self.assertEqual(str(caught.exception), case["refused"])
                else:
                    after = apply_changes(document, case["changes"])
                    self.assertEqual(after, read(case["result"]))
                    self.assertEqual(json.loads(to_json(after)), self.bare(case["result"]))
                self.assertEqual(document, read(case["document"]))

    def bare(self, document: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in document.items() if key != "id"}

    def test_the_table_is_whole(self) -> None:
        """Every change and every kind of object is in it, done and refused."""
        self.assertEqual(len({case["name"] for case in CASES}), len(CASES))
        for is_refused in (False, True):
            changes = [
                each
                for case in CASES
                if ("refused" in case) is is_refused
                for each in case["changes"]
                if isinstance(each, dict)
            ]
            self.assertLessEqual(set(OPS), {each.get("op") for each in changes})
        kinds = {
            each["object"]["kind"]
            for case in CASES
            for each in case["changes"]
            if "result" in case and each["op"] == "insert"
        }
        self.assertEqual(kinds, set(KINDS))


class LimitTests(SynchronousTestCase):
    """What is bounded, at the limit and beyond it."""

    def refused(self, document: Document, *changes: object) -> str:
        with self.assertRaises(Refused) as caught:
            apply_changes(document, list(changes))
        return str(caught.exception)

    def test_changes(self) -> None:
        """An edit has MAX_CHANGES changes at most."""
        rename = {"op": "rename", "name": "x"}
        apply_changes(EMPTY, [rename] * MAX_CHANGES)
        self.assertIn(str(MAX_CHANGES), self.refused(EMPTY, *[rename] * (MAX_CHANGES + 1)))

    def test_objects(self) -> None:
        """A page has MAX_OBJECTS_PER_PAGE objects at most, however they come onto it."""
        objects = [{**LINE, "id": f"l{number}"} for number in range(MAX_OBJECTS_PER_PAGE + 1)]
        full = apply_changes(EMPTY, [insert(each) for each in objects[:-1]])
        self.assertIn("full", self.refused(full, insert(objects[-1])))
        page = {"op": "insert_page", "page": {"id": "p2", "objects": objects}}
        self.assertIn(str(MAX_OBJECTS_PER_PAGE), self.refused(EMPTY, page))
        page["page"] = {"id": "p2", "objects": objects[:-1]}
        apply_changes(EMPTY, [page])

    def test_texts(self) -> None:
        """A text and a code are as long as is said, and no longer."""
        for placed, most in (
            (TEXT, MAX_TEXT),
            ({**TEXT, "kind": "qrcode"}, MAX_CODE_TEXT),
            ({**TEXT, "kind": "barcode"}, MAX_CODE_TEXT),
        ):
            apply_changes(EMPTY, [insert({**placed, "text": "x" * most})])
            self.assertIn(
                str(most), self.refused(EMPTY, insert({**placed, "text": "x" * (most + 1)}))
            )

    def test_data(self) -> None:
        """A table has MAX_ROWS rows and cells of MAX_CELL characters at most."""

        def data(*rows: list[str]) -> dict[str, object]:
            return {"op": "data", "data": {"columns": ["a"], "rows": rows}}

        apply_changes(EMPTY, [data(*[["x"]] * MAX_ROWS)])
        self.assertIn(str(MAX_ROWS), self.refused(EMPTY, data(*[["x"]] * (MAX_ROWS + 1))))
        apply_changes(EMPTY, [data(["x" * MAX_CELL])])
        self.assertIn(str(MAX_CELL), self.refused(EMPTY, data(["x" * (MAX_CELL + 1)])))

    def test_the_whole_document(self) -> None:
        """A document takes MAX_DOCUMENT bytes at most; between two changes it may take more."""
        half = {**TEXT, "text": "x" * (MAX_DOCUMENT // 2)}
        document = apply_changes(EMPTY, [insert(half)])
        other = insert({**half, "id": "t2"})
        self.assertIn(str(MAX_DOCUMENT), self.refused(document, other))
        after = apply_changes(document, [other, {"op": "remove", "id": "t1"}])
        room = MAX_DOCUMENT - len(to_json(after))
        exact = {**BOX, "kind": "text", "id": "t3", "text": ""}
        room -= len(to_json(apply_changes(after, [insert(exact)]))) - len(to_json(after))
        filled = apply_changes(after, [insert({**exact, "text": "y" * room})])
        self.assertEqual(len(to_json(filled)), MAX_DOCUMENT)
        self.refused(after, insert({**exact, "text": "y" * (room + 1)}))

    def test_complaints_can_be_sent(self) -> None:
        """A complaint about a huge value is short; half a surrogate pair in it does no harm."""
        said = sayable(self.refused(EMPTY, {"op": "\ud800" + "x" * 100_000}))
        self.assertLessEqual(len(said), MAX_COMPLAINT)
        said.encode()


IDS = st.sampled_from(["t1", "r1", "l1", "p1", "p2", "q1", "zz"])
NUMBERS = st.integers(-2, 5) | st.floats(-20_000, 20_000) | st.none()
OBJECTS = st.fixed_dictionaries(
    {
        "kind": st.sampled_from([*KINDS, "blob"]),
        "id": IDS,
        "x": st.integers(-5, 5),
        "y": NUMBERS,
        "width": st.integers(0, 50),
        "height": st.integers(1, 50),
    },
    optional={"text": st.text(max_size=5), "asset": st.just("a" * 64), "rotation": NUMBERS},
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=8,
)
CHANGES = st.one_of(
    st.builds(insert, OBJECTS, IDS),
    st.builds(lambda each, at: insert(each, "p1", at=at), OBJECTS, NUMBERS),
    st.builds(change, IDS, x=NUMBERS),
    st.builds(lambda each, new: {"op": "set", "id": each, "set": new}, IDS, JSON),
    st.builds(lambda each: {"op": "remove", "id": each}, IDS),
    st.builds(lambda each, at: {"op": "order", "id": each, "at": at}, IDS, NUMBERS),
    st.builds(
        lambda each, objects: {"op": "insert_page", "page": {"id": each, "objects": objects}},
        IDS,
        st.lists(OBJECTS, max_size=2),
    ),
    st.builds(lambda each: {"op": "remove_page", "id": each}, IDS),
    st.builds(
        lambda each, width: {"op": "resize_page", "id": each, "width": width, "height": 200},
        IDS,
        NUMBERS,
    ),
    st.builds(lambda name: {"op": "rename", "name": name}, st.text(max_size=3)),
    st.builds(
        lambda columns, rows: {"op": "data", "data": {"columns": columns, "rows": rows}},
        st.lists(st.text(max_size=2), max_size=3),
        st.lists(st.lists(st.text(max_size=2), max_size=3), max_size=3),
    ),
    JSON,
)


def order(document: Document) -> list[Placeable]:
    return [placed for page in document.pages for placed in page.objects]


class AnythingTests(SynchronousTestCase):
    """Whatever an edit says."""

    START = apply_changes(EMPTY, [insert(TEXT), insert(BOX), insert(LINE)])

    @settings(deadline=None, max_examples=300)
    @given(st.lists(st.lists(CHANGES, max_size=4) | JSON, max_size=6))
    def test_a_document_stays_one(self, edits: list[Any]) -> None:
        """After any edits, done or refused, the document can be kept, and its ids are unique."""
        document = self.START
        for edit in edits:
            before = to_json(document)
            try:
                after = apply_changes(document, edit)
            except Refused as error:
                self.assertTrue(sayable(str(error)))
                after = document
            self.assertEqual(to_json(document), before)
            document = after
            self.assertEqual(from_json(to_json(document)), document)
            ids = [page.id for page in document.pages]
            ids += [placed.id for placed in order(document)]
            self.assertEqual(len(set(ids)), len(ids))
            self.assertTrue(document.pages)

    @settings(deadline=None, max_examples=200)
    @given(st.lists(CHANGES, min_size=2, max_size=6), st.data())
    def test_one_by_one_or_together(self, changes: list[Any], data: st.DataObject) -> None:
        """Changes that can be done one after the other do the same in one edit, and back."""
        cut = data.draw(st.integers(1, len(changes) - 1))
        try:
            parted = apply_changes(apply_changes(self.START, changes[:cut]), changes[cut:])
        except Refused:
            self.assertRaises(Refused, apply_changes, self.START, changes)
        else:
            self.assertEqual(apply_changes(self.START, changes), parted)

    @settings(deadline=None, max_examples=200)
    @given(st.integers(0, 2), st.integers(0, 2))
    def test_order_and_back(self, start: int, end: int) -> None:
        """What was moved within its order and moved back leaves all as it was."""
        moved = order(self.START)[start].id
        there = apply_changes(self.START, [{"op": "order", "id": moved, "at": end}])
        self.assertEqual(order(there)[end].id, moved)
        back = apply_changes(there, [{"op": "order", "id": moved, "at": start}])
        self.assertEqual(back, self.START)
