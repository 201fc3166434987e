"""
The engine killed in the middle of edits, behind a real gateway: nothing is lost, nothing doubled.

Authors follow docs/engine.md: they keep each edit until they have seen it applied, say sync when
they hear nothing, and send again what comes after `applied`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import LoopingCall
from twisted.trial.unittest import TestCase

from orion_twisted.client.failures import BackendDown, MessageFailed
from orion_twisted.client.limits import ClientLimits
from orion_twisted.client.orion import OrionClient
from orion_twisted.client.outcomes import Push
from orion_twisted.demo.changes import apply_changes
from orion_twisted.demo.documents import Document, Page, convert
from tests.harness import PATIENCE, GatewayTestCase, Process, free_port

reactor: Any = global_reactor

QUICK = ClientLimits(first_wait=0.1, most_wait=0.5)
SYNC_EVERY = 0.5
"""Seconds; the contract says 5 and 10, which a test need not wait for."""
AUTHORS = 4
EDITS = 150
"""Of each author; of all together no more than an engine keeps for `sync`."""
KILLS = 3
AT_ONCE = 24
"""Edits of one author that are under way, at most."""

SETTINGS = """
[tenant.shop1]
hosts = ["localhost"]
backend = "tcp:127.0.0.1:{port}"
mode = "session"
dialect = "{dialect}"
framing = "int32"
link_grace = "3 s"
{links}
session = {{ window = 64, window_bytes = "1 MiB", deadline = "5 s" }}
"""


class Author:
    """
    Somebody who makes many small edits of one document.

    Attributes:
        document: as this author has it, by what was told of edits.
        done: fires when all edits have been seen applied.
    """

    def __init__(self, url: str, ca_file: Path, name: str, document_id: int) -> None:
        self.name = name
        self.document = Document("Shared", (Page("p1"),))
        self.done: Deferred[None] = Deferred()
        self.resent = 0
        self._id = document_id
        self._seq = 0
        self._applied = 0  # of our own edits
        self._sent = 0
        self._is_syncing = False
        self.client = OrionClient(url, ca_file=ca_file, limits=QUICK)
        self.client.on_push(self._hear)
        self._looking = LoopingCall(self._sync)

    def start(self) -> None:
        """Connect, and begin."""
        self.client.start()
        self._looking.start(SYNC_EVERY)

    async def stop(self) -> None:
        """Leave."""
        if self._looking.running:
            self._looking.stop()
        await self.client.stop()

    def changes(self, edit: int) -> list[dict[str, Any]]:
        """Return an edit: some last, most only say that they were there."""
        changes = [{"op": "rename", "name": f"{self.name}.{edit}"}]
        if edit % 5 == 0:
            place = {"x": edit, "y": 0, "width": 5, "height": 5}
            placed = {"kind": "rectangle", "id": f"{self.name}-{edit}", **place}
            changes.append({"op": "insert", "page": "p1", "object": placed})  # type: ignore[dict-item]
        return changes

    def _send_on(self) -> None:
        while self._sent < min(EDITS, self._applied + AT_ONCE):
            self._sent += 1
            fields = {"document": self._id, "client": self.name, "edit": self._sent}
            message = {"cmd": "apply", **fields, "changes": self.changes(self._sent)}
            # Whatever becomes of the message: what counts is what the engine tells.
            self.client.notify(message).addErrback(lambda reason: reason.trap(MessageFailed))

    def _reached(self, applied: int, again: bool) -> None:
        """The engine has our edits up to here; what comes after, and was sent, may be lost."""
        self._applied = max(self._applied, applied)
        if again and self._sent > self._applied:
            self.resent += self._sent - self._applied
            self._sent = self._applied
        self._sent = max(self._sent, self._applied)
        self._send_on()
        if self._applied == EDITS and not self.done.called:
            self.done.callback(None)

    def _hear(self, push: Push) -> None:
        event = push.json()
        if event["event"] == "applied":
            if event["seq"] == self._seq + 1:
                self._take(event)
            elif event["seq"] > self._seq:
                self._sync()  # one is missing
        elif event["event"] == "at":
            assert event["client"] == self.name
            self._reached(event["applied"], again=True)
        else:
            assert event["event"] == "people", event

    def _take(self, event: dict[str, Any]) -> None:
        self.document = apply_changes(self.document, event["changes"])
        self._seq = event["seq"]
        if event["client"] == self.name:
            self._reached(event["edit"], again=False)

    def _sync(self) -> None:
        if self._is_syncing:
            return
        self._is_syncing = True
        fields = {"document": self._id, "client": self.name, "seq": self._seq}
        asked = self.client.request({"cmd": "sync", **fields}, timeout=3.0, repeat_safe=True)
        asked.addCallbacks(self._synced, self._not_synced)

    def _synced(self, result: Any) -> None:
        self._is_syncing = False
        answer = result.json()
        assert answer["success"], answer
        for event in answer["edits"]:
            if event["seq"] == self._seq + 1:
                self._take(event)
        self._reached(answer["applied"], again=True)

    def _not_synced(self, reason: Any) -> None:
        reason.trap(MessageFailed)
        self._is_syncing = False


class CrashTests(GatewayTestCase, TestCase):
    """An engine in a process of its own, that is killed again and again."""

    timeout = 6 * PATIENCE

    def start_engine(self) -> Process:
        command = [sys.executable, "-m", "orion_twisted.demo.engine", "--empty"]
        command += ["--port", str(self.port), "--database", str(self.database)]
        engine = Process(command, self.new_folder())
        engine.wait_for_port(self.port)
        return engine

    async def crash(self, dialect: str, links: str) -> None:
        self.port = free_port()
        self.database = self.new_folder() / "documents.sqlite"
        engine = self.start_engine()
        self.addCleanup(lambda: engine.kill())
        text = SETTINGS.format(port=self.port, dialect=dialect, links=links)
        gateway = self.start(f"--config={self.settings_file(text)}")
        maker = OrionClient(gateway.url(), ca_file=self.ca_file, limits=QUICK)
        maker.start()
        self.addCleanup(maker.stop)
        made = await maker.request({"cmd": "new", "name": "Shared", "key": "k"}, repeat_safe=True)
        document_id = made.json()["document"]
        authors = [
            Author(gateway.url(), self.ca_file, f"author{number}", document_id)
            for number in range(AUTHORS)
        ]
        for author in authors:
            self.addCleanup(author.stop)
            author.start()
        all_done = gatherResults([author.done for author in authors])
        for kill in range(1, KILLS + 1):
            # In the middle: when so much has been applied, of which author ever.
            await self.until(lambda: max(a._seq for a in authors) >= kill * 120)  # noqa: B023
            self.assertFalse(all_done.called)
            engine.kill()
            engine = self.start_engine()
        await all_done
        answer = await self.ask(maker, {"cmd": "sync", "document": document_id, "seq": 0})
        events = answer["edits"]
        # Each edit of each author is there once, in its author's order, with what was in it.
        self.assertEqual([each["seq"] for each in events], list(range(1, AUTHORS * EDITS + 1)))
        for author in authors:
            own = [each for each in events if each["client"] == author.name]
            self.assertEqual([each["edit"] for each in own], list(range(1, EDITS + 1)))
            for each in own:
                self.assertEqual(each["changes"], author.changes(each["edit"]))
        # And everybody has the same document in the end, without ever loading it.
        opened = await self.ask(maker, {"cmd": "open", "document": document_id})
        found = opened["document"]
        del found["id"]
        await self.until(lambda: all(a._seq == AUTHORS * EDITS for a in authors))
        for author in authors:
            self.assertEqual(author.document, convert(found, Document))
        self.assertGreater(sum(author.resent for author in authors), 0)  # it was no quiet time
        self.assertNotIn("Traceback", engine.log)

    async def ask(self, maker: OrionClient, question: dict[str, Any]) -> Any:
        """
        Ask until there is an answer; the test's own time bounds it.

        A session that was quiet over all the kills has a link of its own that may still be in a
        long wait between two dials, past link_grace: then it is told BACKEND_DOWN at once.
        """
        while True:
            try:
                return (await maker.request(question, repeat_safe=True)).json()
            except BackendDown:
                await self.pause(0.1)

    async def until(self, condition: Any) -> None:
        """Wait until something holds; the test's own time bounds it."""
        while not condition():
            await self.pause(0.01)

    async def pause(self, seconds: float) -> None:
        waited: Deferred[None] = Deferred()
        reactor.callLater(seconds, waited.callback, None)
        await waited

    async def test_links_of_their_own(self) -> None:
        """In orion.v2, each session on its own link."""
        await self.crash("orion.v2", "")

    async def test_shared_links(self) -> None:
        """In orion.v2, all sessions on two links."""
        await self.crash("orion.v2", "links = 2")

    async def test_shared_links_in_orion_v1(self) -> None:
        """In orion.v1, all sessions on two links."""
        await self.crash("orion.v1", "links = 2")
