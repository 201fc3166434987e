"""What docs/engine.md says is so: its examples are carried out, its tables compared."""

from __future__ import annotations

import json
import re
import shlex
from typing import Any, get_type_hints

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.demo.commands import COMMANDS
from orion_twisted.demo.documents import KINDS, Placeable, Placed
from tests.demo.test_process import COMMAND
from tests.demo.visit import TEXT, Visit, change, insert
from tests.documents import code_in, read_page

PAGE = read_page("docs/engine.md")
CLIENT = "c-8f21"
DOCUMENT = 3
DEFAULT = re.compile(r"`(\w+)`(?: (\"[^\"]*\"|[\d.]+|true|false))?")


def parsed(example: str) -> Any:
    """Return an example as JSON; what it leaves out is empty."""
    for gap, nothing in (("{…}", "{}"), ("[…]", "[]"), (",…]", "]")):
        example = example.replace(gap, nothing)
    return json.loads(example)


def examples(member: str) -> list[dict[str, Any]]:
    """Return the page's JSON objects that begin with this member."""
    text = re.sub(r"\n +(?=\")", "", PAGE.text)  # a line that goes on
    found = re.findall(rf'(?:`|^|    )(\{{"{member}".*?\}})(?:`|$|\n)', text, re.MULTILINE)
    return [parsed(each) for each in found if '"name":…' not in each]


def event(name: str) -> dict[str, Any]:
    """Return the one example of an event."""
    (found,) = (each for each in examples("event") if each["event"] == name)
    return found


class StoryTests(SynchronousTestCase):
    """The examples, told one after the other: the engine says the same, to the number."""

    def setUp(self) -> None:
        self.author = Visit(self)
        other = Visit(self, self.author.engine)
        for _ in range(DOCUMENT):
            self.author.done("new", name="Invoice")
        text = {**TEXT, "width": 240, "height": 40}
        table = {"op": "data", "data": {"columns": ["name"], "rows": [["Kim"]]}}
        other.apply(insert(text), table, document=DOCUMENT, client="other")
        for number in range(40 - 17):
            other.apply(change("t1", x=number), document=DOCUMENT, client="other")
        other.done("save", document=DOCUMENT)
        for number in range(17):
            self.author.apply(change("t1", y=number), document=DOCUMENT, client=CLIENT)
        other.done("close", document=DOCUMENT)
        self.author.told()

    def edit(self) -> dict[str, Any]:
        """Return the fields of the one example of `apply`."""
        (found,) = (each for each in examples("cmd") if each.pop("cmd") == "apply")
        return found

    def test_open(self) -> None:
        """An answer has what the example has, and a document what is shown of one."""
        (example,) = examples("cmd")[:1]
        answer = self.author.done(example.pop("cmd"), **example)
        (shown,) = examples("success")[:1]
        document = answer["document"]
        self.assertEqual({**answer, "document": {}}, shown)
        (whole,) = examples("id")
        self.assertEqual(list(document), list(whole))
        self.assertEqual({**document, "pages": []}, {**whole, "pages": []})
        (page,) = document["pages"]
        self.assertEqual({**page, "objects": []}, whole["pages"][0])

    def test_edits_and_events(self) -> None:
        """An edit's events, in each of its three cases, and those of what else happens."""
        author = self.author
        author.done("open", document=DOCUMENT, client=CLIENT)
        edit = self.edit()
        author.done("apply", **edit)
        applied = {**event("applied"), "changes": edit["changes"]}
        self.assertEqual(author.told(), [applied])
        author.done("apply", **edit)
        self.assertEqual(author.told(), [event("at")])
        author.ask("apply", **{**edit, "edit": 20})
        self.assertEqual(author.told(), [event("at")])
        author.ask("apply", **{**edit, "edit": 19, "changes": [{"op": "remove", "id": "gone"}]})
        (refused,) = author.told()
        self.assertEqual(
            {**refused, "edit": 18, "message": "…"}, {**event("refused"), "message": "…"}
        )
        author.done("save", document=DOCUMENT)
        self.assertEqual(author.told(), [event("saved")])
        other = Visit(self, author.engine)
        other.done("open", document=DOCUMENT)
        self.assertEqual(author.told(), [event("people")])
        other.done("delete", document=DOCUMENT)
        self.assertEqual(author.told(), [event("deleted")])

    def test_drawing(self) -> None:
        """A drawing begins as the example does, and its box is where the object is."""
        self.author.done("open", document=DOCUMENT, client=CLIENT)
        edit = self.edit()
        self.author.done("apply", **edit)
        drawn = self.author.done("render", document=DOCUMENT, page="p1", row=0)
        (shown,) = (each for each in examples("success") if "boxes" in each)
        first = len(shown["commands"])
        self.assertEqual(
            {**drawn, "commands": drawn["commands"][:first]},
            {**shown, "message": drawn["message"]},
        )


class TableTests(SynchronousTestCase):
    """The tables."""

    def test_commands(self) -> None:
        """Every command is there, with every field, and what it answers."""
        rows = PAGE.table("Commands")
        self.assertEqual({code_in(row[0])[0] for row in rows}, set(COMMANDS))
        for name, fields, _ in rows:
            command = COMMANDS[code_in(name)[0]]
            self.assertEqual(set(code_in(fields)), set(command.kind.__struct_fields__), name)
            self.assertEqual("bytes" in fields, command.takes_bytes, name)

    def test_kinds(self) -> None:
        """Every kind of object is there, with its members and their defaults."""
        rows = PAGE.table("Documents")
        self.assertEqual([code_in(row[0])[0] for row in rows], list(KINDS))
        kinds = dict(zip(KINDS, Placeable.__args__, strict=True))
        for name, text in rows:
            members, *_ = text.split(";")
            kind = kinds[code_in(name)[0]]
            own = {
                field.name: field
                for field in msgspec.structs.fields(kind)
                if field.name not in Placed.__struct_fields__
            }
            defaults = dict(DEFAULT.findall(re.sub(r"\([^)]*\)", "", members)))
            self.assertEqual(list(defaults), list(own), name)
            for member, default in defaults.items():
                if default:
                    self.assertEqual(json.loads(default), own[member].default, member)
                else:
                    self.assertTrue(own[member].required, member)
            self.assertLessEqual(set(own), set(get_type_hints(kind)))

    def test_changes(self) -> None:
        """Every change is there as it can be sent."""
        visit = Visit(self)
        visit.done("new")
        visit.apply(*(insert({**TEXT, "id": f"{name}1"}) for name in "tu"))
        for row in PAGE.table("Edits"):
            (example, *_) = code_in(row[0])
            made = parsed(example)
            match made["op"]:
                case "insert":
                    made["object"] = {**TEXT, "id": "new"}
                case "set":
                    made["set"] = {"x": 5}
                case "remove":
                    visit.apply(made, insert(TEXT))
                    continue
                case "remove_page":
                    visit.apply(made, {"op": "insert_page", "page": {"id": "p2"}})
                    continue
                case "data":
                    made["data"] = {"columns": ["name"], "rows": [["Kim"]]}
            visit.apply(made)
        self.assertEqual(visit.document()["name"], "Invoice 2")
        self.assertEqual(visit.document()["pages"][1]["width"], 842)

    def test_limits(self) -> None:
        """Every limit that `hello` tells of is there."""
        told = Visit(self).done("hello")["limits"]
        named = [name for row in PAGE.table("Bounds") for name in code_in(row[0])]
        self.assertEqual(named, list(told))

    def test_how_it_is_started(self) -> None:
        """The command line is the one that `tests.demo.test_process` starts."""
        (line,) = (each for each in PAGE.code if each.startswith("python -m"))
        self.assertEqual(shlex.split(line)[1:4], COMMAND[1:4])
        self.assertEqual(shlex.split(line)[5:6], ["--database"])
