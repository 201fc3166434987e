"""A gate on a connection in memory, the doorkeeper whom it asks, and what a browser gets."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from attrs import evolve
from twisted.internet import task
from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http import HTTPChannel

from orion_twisted.core.admission import Verdict
from orion_twisted.core.handshake import Decision, Page, Refused, Request, Upgrade
from orion_twisted.core.settings import Tenant
from orion_twisted.web.gate import Admission, HttpGate
from orion_twisted.web.site import PageSite
from tests.transports import Pipe

MAX_HEAD = 1024
DEADLINE = 5.0

SHOP = Tenant(name="shop", hosts=("shop.example",), backend=("tcp:192.0.2.1:7000",))
OTHER = evolve(SHOP, name="other", hosts=("other.example",))

NOT_FOUND = Refused(HTTPStatus.NOT_FOUND, "path_unknown")


def head(
    target: str = "/", *headers: str, method: str = "GET", host: str = "shop.example"
) -> bytes:
    """Return a request's head."""
    return "\r\n".join([f"{method} {target} HTTP/1.1", f"Host: {host}", *headers, "", ""]).encode()


class Answer:
    """One response, taken from the front of what the browser received."""

    def __init__(self, received: bytes | bytearray, *, to_head: bool = False) -> None:
        top, found, rest = bytes(received).partition(b"\r\n\r\n")
        assert found, bytes(received)
        status, *lines = top.split(b"\r\n")
        self.version, self.code, self.phrase = status.split(b" ", 2)
        self.headers = [tuple(line.split(b": ", 1)) for line in lines]
        length = 0 if to_head or self.code in (b"304", b"101") else int(self[b"content-length"])
        self.body, self.rest = rest[:length], rest[length:]

    def __getitem__(self, name: bytes) -> bytes:
        (value,) = (value for key, value in self.headers if key.lower() == name)
        return value

    def __contains__(self, name: bytes) -> bool:
        return any(key.lower() == name for key, _ in self.headers)


class Door:
    """A doorkeeper who does as the test says, and remembers what it was told."""

    def __init__(self, clock: MemoryReactorClock) -> None:
        self.clock = clock
        self.verdict = Verdict.GO
        self.log: list[str] = []
        self.requests: list[Request] = []
        self.refusals: list[Refused] = []
        self.decisions: dict[str, Decision] = {"/ws": Upgrade(SHOP, b"k"), "/": Page(SHOP)}
        self.sites: dict[str, PageSite] = {}
        self.admissions: list[Deferred[Admission | Refused]] = []
        self.cancelled = 0

    def arrived(self, gate: HttpGate) -> Verdict:
        self.log.append("arrived")
        return self.verdict

    def handshaken(self, gate: HttpGate) -> None:
        self.log.append("handshaken")

    def left(self, gate: HttpGate) -> None:
        self.log.append("left")

    def decide(self, request: Request, gate: HttpGate) -> Decision:
        self.requests.append(request)
        decision = self.decisions.get(request.path, NOT_FOUND)
        if isinstance(decision, Page) and request.values(b"host") == [b"other.example"]:
            return Page(OTHER)
        return decision

    def admit(self, upgrade: Upgrade, gate: HttpGate) -> Deferred[Admission | Refused]:
        admission: Deferred[Admission | Refused] = Deferred(self._cancel)
        self.admissions.append(admission)
        return admission

    def _cancel(self, admission: Deferred[Admission | Refused]) -> None:
        self.cancelled += 1

    def page_channel(self, page: Page, gate: HttpGate) -> HTTPChannel:
        self.log.append(f"page of {page.tenant.name}")
        return self.sites[page.tenant.name].channel(gate.page_done)

    def refused(self, refusal: Refused, gate: HttpGate) -> None:
        self.refusals.append(refusal)


class GateTestCase(SynchronousTestCase):
    """A gate on a connection in memory."""

    def setUp(self) -> None:
        self.clock: Any = MemoryReactorClock()
        self.door = Door(self.clock)
        self.gate = HttpGate(self.door, MAX_HEAD, DEADLINE, self.clock)
        self.wire = Pipe(self.clock)

    def connect(self) -> None:
        self.wire.connect(self.gate)

    def say(self, data: bytes) -> None:
        """The browser says something; the reactor turns."""
        self.wire.hears(data)
        self.turn()

    def turn(self) -> None:
        self.clock.advance(0)
        self.wire.turn()

    def answer(self) -> Answer:
        """Return the first response, and forget it."""
        answer = Answer(self.wire.taken)
        del self.wire.taken[: len(self.wire.taken) - len(answer.rest)]
        return answer

    @property
    def reasons(self) -> list[str]:
        return [refusal.reason for refusal in self.door.refusals]


class PageTestCase(GateTestCase):
    """A gate before the pages of two tenants, in folders of their own."""

    def setUp(self) -> None:
        super().setUp()
        temporary = TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.outside = Path(temporary.name)
        self.folder = self.outside / "shop"
        for tenant in (SHOP, OTHER):
            root = self.outside / tenant.name
            root.mkdir()
            (root / "index.html").write_text(f"<h1>{tenant.name}</h1>")
            self.door.sites[tenant.name] = PageSite(root, tenant, self.clock)
        # Files are sent by a cooperator, which has a turn of the reactor for each piece.
        cooperator = task.Cooperator(scheduler=lambda call: self.clock.callLater(0, call))
        self.patch(task, "_theCooperator", cooperator)

    def say(self, data: bytes) -> None:
        super().say(data)
        for _ in range(8):
            self.turn()
