"""The engine without a socket: links that keep what they are sent, and visitors who use them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.demo.assets import Asset
from orion_twisted.demo.commands import Desk
from orion_twisted.demo.dialects import V1, V2, Dialect
from orion_twisted.demo.live import LiveDocuments
from orion_twisted.demo.printing import Job, print_pdf
from orion_twisted.demo.prints import Prints
from orion_twisted.demo.store import Store

TEXT = {"kind": "text", "id": "t1", "x": 10, "y": 20, "width": 100, "height": 40, "text": "hello"}
BOX = {"kind": "rectangle", "id": "r1", "x": 1, "y": 2, "width": 30, "height": 40}
LINE = {"kind": "line", "id": "l1", "x": 0, "y": 0, "width": -50, "height": 10}


def insert(placed: Mapping[str, Any], page: str = "p1", **more: Any) -> dict[str, Any]:
    """Return the change that puts an object on a page."""
    return {"op": "insert", "page": page, "object": placed, **more}


def change(object_id: str, **properties: Any) -> dict[str, Any]:
    """Return the change that sets properties of an object."""
    return {"op": "set", "id": object_id, "set": properties}


class PromptPrints(Prints):
    """Prints at once, where it is asked."""

    def make(
        self, job: Job, assets: Mapping[str, Asset], contents: Mapping[str, bytes]
    ) -> Deferred[tuple[str, int, int]]:
        return maybeDeferred(print_pdf, job, assets, contents).addCallback(self._keep)


class StillTime:
    """A reactor on which nothing is ever due."""

    def seconds(self) -> float:
        return 0.0

    def callLater(self, wait: float, call: Any) -> StillTime:
        return self

    def cancel(self) -> None:
        pass


class Link:
    """A link that keeps its frames' payloads."""

    def __init__(self, desk: Desk, kind: type[Dialect]) -> None:
        self.dialect = kind(desk, self)
        self.sent: list[bytes] = []

    def send(self, payload: bytes) -> None:
        self.sent.append(payload)

    def push(self, sid: str, event: bytes) -> None:
        self.send(self.dialect.event(sid, event))


class Engine:
    """A desk with an empty store in memory, or with one that there is."""

    def __init__(self, test: SynchronousTestCase, path: str = ":memory:") -> None:
        self.time = 1_000.0
        self.store = Store(path, now=lambda: self.time)
        test.addCleanup(self.store.close)
        self.documents = LiveDocuments(self.store)
        self.desk = Desk(self.documents, PromptPrints(StillTime()))


class Visit:
    """
    Somebody who uses the engine, on a link of their own.

    Args:
        test: whose it is.
        engine: which engine; a new one if there is none.
        sid: the session's name.
        link: a link that others use, too.
    """

    kind: type[Dialect] = V1

    def __init__(
        self,
        test: SynchronousTestCase,
        engine: Engine | None = None,
        sid: str = "",
        link: Link | None = None,
    ) -> None:
        self.test = test
        self.engine = engine or Engine(test)
        self.sid = sid
        self.link = link or Link(self.engine.desk, self.kind)
        self.events: list[dict[str, Any]] = []
        self.edits = 0
        self.now = 0.0
        self._number = 0

    def ask(self, cmd: str, /, **fields: Any) -> dict[str, Any]:
        """Return the answer to a request; what is pushed meanwhile goes to ``events``."""
        self._number += 1
        message = {"@MSGID": self._number, "cmd": cmd, **fields}
        if self.sid:
            message["@SESSION"] = self.sid
        self.link.dialect.receive(json.dumps(message).encode(), self.now)
        (answer,) = self.hear()
        self.test.assertEqual(answer.pop("msgID"), self._number)
        return answer

    def hear(self) -> list[dict[str, Any]]:
        """Take what the link has been sent; return answers, and keep events."""
        answers = []
        for each in self.link.sent:
            said = json.loads(each)
            (answers if "msgID" in said else self.events).append(said)
        self.link.sent.clear()
        return answers

    def told(self) -> list[dict[str, Any]]:
        """Return the events since the last time."""
        self.test.assertEqual(self.hear(), [])
        told, self.events = self.events, []
        return told

    def done(self, cmd: str, /, **fields: Any) -> dict[str, Any]:
        answer = self.ask(cmd, **fields)
        self.test.assertTrue(answer["success"], answer["message"])
        return answer

    def refused(self, cmd: str, /, **fields: Any) -> str:
        answer = self.ask(cmd, **fields)
        self.test.assertFalse(answer["success"], answer)
        return str(answer["message"])

    def apply(self, *changes: Any, document: int = 1, client: str = "c") -> dict[str, Any]:
        """Make the next edit; it is done."""
        self.edits += 1
        return self.done(
            "apply", document=document, client=client, edit=self.edits, changes=list(changes)
        )

    def document(self, document: int = 1) -> dict[str, Any]:
        """Return the document as it is now."""
        found: dict[str, Any] = self.done("open", document=document)["document"]
        return found


class VisitV2(Visit):
    """As Visit, in orion.v2: with bytes, and notifications."""

    kind = V2

    def ask(self, cmd: str, /, body: bytes | None = None, **fields: Any) -> dict[str, Any]:
        self._number += 1
        self._say("request", {"cmd": cmd, **fields}, body, id=self._number)
        answers = self.hear()
        self.test.assertEqual(len(answers), 1, answers)
        answer = answers[0]
        self.test.assertEqual(answer.pop("id"), self._number)
        return answer

    def notify(self, cmd: str, /, **fields: Any) -> None:
        self._say("notify", {"cmd": cmd, **fields}, None)

    def _say(self, kind: str, message: object, body: bytes | None, **more: Any) -> None:
        header = {"type": kind, "sid": self.sid, "key": f"{self.sid}.1", "ttl": 1_000, **more}
        payload = json.dumps(message).encode()
        if body is not None:
            header["bin"] = True
            payload += b"\n" + body
        self.link.dialect.receive(json.dumps(header).encode() + b"\n" + payload, self.now)

    def hear(self) -> list[dict[str, Any]]:
        answers = []
        for each in self.link.sent:
            head, _, payload = each.partition(b"\n")
            header = json.loads(head)
            if header["type"] == "push":
                if header["sid"] == self.sid:
                    self.events.append(json.loads(payload))
                continue
            self.test.assertEqual(header["type"], "result")
            fields, feed, body = payload.partition(b"\n")
            answer = {**json.loads(fields), "id": header["id"]}
            self.test.assertEqual(bool(feed), header.get("bin", False))
            answers.append({**answer, "body": body} if feed else answer)
        self.link.sent.clear()
        return answers
