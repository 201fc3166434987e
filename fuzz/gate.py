"""
The gate, with pages and a WebSocket behind it: whatever comes is answered, once and in order.

The same bytes are said three times, cut in three ways; the answers have to be the same.
"""

from __future__ import annotations

import atexit
import re
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from twisted.internet import task
from twisted.internet.defer import Deferred, succeed
from twisted.internet.protocol import Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.web.http import HTTPChannel

from fuzz.failures import none_logged
from fuzz.heads import ROUTES, UPGRADE
from fuzz.taking import Taking, pieces
from orion_twisted.core.admission import Verdict
from orion_twisted.core.handshake import (
    Decision,
    DialIn,
    Page,
    Refused,
    Request,
    Upgrade,
    decide,
)
from orion_twisted.core.settings import Tenant
from orion_twisted.web.gate import Admission, HttpGate
from orion_twisted.web.heads import END_OF_HEAD
from orion_twisted.web.site import KEEP_ALIVE, PageSite
from tests.transports import Pipe, pending

MAX_HEAD = 600
DEADLINE = 5.0
MARK = b"\x00a-WebSocket\x00"
"""What the gate hands on first, in place of a handshake."""
SECRET = b"nobody's business"
TENANT = Tenant(
    hosts=("localhost",), backend=("tcp:192.0.2.1:1",), embed_in=("https://*.shop.example",)
)

_folder = TemporaryDirectory(prefix="orion-fuzz-")
atexit.register(_folder.cleanup)
PAGES = {
    "index.html": b"<h1>shop</h1>",
    "assets/app-0aB1cD2e.js": b"'use strict'",
    "assets/app-0aB1cD2e.js.br": b"\x0bcompressed",
    "sub/index.html": b"<h1>sub</h1>",
    ".hidden": SECRET,
    "../secret.txt": SECRET,
}
for _name, _content in PAGES.items():
    _path = Path(_folder.name, "site", _name)
    _path.parent.mkdir(parents=True, exist_ok=True)
    _path.write_bytes(_content)


def page(target: bytes, *headers: bytes, method: bytes = b"GET") -> bytes:
    return b"\r\n".join(
        [method + b" %s HTTP/1.1" % target, b"Host: localhost", *headers, b"", b""]
    )


SEEDS = tuple(
    b"\x05\x09" + stream
    for stream in (
        UPGRADE + b"\r\nframes",
        page(b"/") + page(b"/assets/app-0aB1cD2e.js", b"Accept-Encoding: br") + UPGRADE + b"\r\n.",
        page(b"/sub?a=b") + page(b"/sub/", b"Range: bytes=2-3") + page(b"/route/7"),
        page(b"/.well-known/orion-bridge.json") + page(b"/.well-known/orion-bridge.json/"),
        page(b"/%2e%2e/secret.txt") + page(b"/.hidden") + page(b"/..%2fsecret.txt"),
        page(b"/", method=b"HEAD") + page(b"/nothing.js", method=b"HEAD") + b"GET /\n",
        page(b"/", b"Connection: close") + page(b"/"),
        page(b"/", b"Content-Length: 5") + b"hello",
        page(b"/", b"X: " + b"x" * MAX_HEAD),
        page(b"/ws", b"Upgrade: websocket") + page(b"/"),
        b"GET / HTTP/1.1\r\nHost: nobody.example\r\n\r\n" + page(b"/"),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    )
)
DATE = re.compile(rb"\r\nDate: [^\r]*")


class Owner(Protocol):
    """Whom the gate hands a WebSocket to."""

    def __init__(self) -> None:
        self.received = b""

    def dataReceived(self, data: bytes) -> None:
        self.received += data


class Door:
    """A doorkeeper who lets in whatever may come in, and takes down what it is told."""

    def __init__(self, clock: MemoryReactorClock) -> None:
        self.site = PageSite(Path(_folder.name, "site"), TENANT, clock)
        self.owner = Owner()
        self.methods: list[str] = []
        self.refusals: list[Refused] = []
        self.gone = 0

    def arrived(self, gate: HttpGate) -> Verdict:
        return Verdict.GO

    def handshaken(self, gate: HttpGate) -> None:
        pass

    def left(self, gate: HttpGate) -> None:
        self.gone += 1

    def decide(self, request: Request, gate: HttpGate) -> Decision:
        self.methods.append(request.method)
        return decide(request, ROUTES)

    def admit(self, upgrade: Upgrade | DialIn, gate: HttpGate) -> Deferred[Admission | Refused]:
        return succeed(Admission(self.owner, MARK))

    def page_channel(self, page: Page, gate: HttpGate) -> HTTPChannel:
        return self.site.channel(gate.page_done)

    def refused(self, refusal: Refused, gate: HttpGate) -> None:
        self.refusals.append(refusal)


def check(data: bytes) -> None:
    taking = Taking(data)
    sizes = bytes(taking.number(256) for _ in range(2))
    stream = taking.rest
    whole = told([stream])
    for cut in (pieces(stream, sizes), pieces(stream, b"")):
        assert told(cut) == whole


def told(cut: Iterable[bytes]) -> tuple[list[tuple[bytes, bytes]], list[str], bytes]:
    """Say something to a gate; return its answers, its refusals' reasons, and what it hands on."""
    clock: Any = MemoryReactorClock()
    door = Door(clock)
    wire = Pipe(clock)
    # Files are sent by a cooperator, which has a turn of the reactor for each piece.
    cooperator = task.Cooperator(scheduler=lambda call: clock.callLater(0, call))
    said = b""
    with none_logged(), patch.object(task, "_theCooperator", cooperator):
        wire.connect(HttpGate(door, MAX_HEAD, DEADLINE, clock))
        for piece in cut:
            said += piece
            wire.hears(piece)
            while any(wait <= 0 for wait in pending(clock)):
                clock.advance(0)
                wire.turn()
        taken = bytes(wire.taken)
        clock.pump([1.0] * (KEEP_ALIVE + 20))
        if wire.protocol is not None:
            assert door.owner.received or door.methods, "it waits for ever"
            wire.breaks()
        assert pending(clock) == [], "a timer outlives its connection"
        assert door.gone >= 1
    assert len(door.refusals) <= 1
    if door.owner.received:
        begin, mark, rest = door.owner.received.partition(MARK)
        assert (begin, mark) == (b"", MARK)
        assert said.endswith(rest)
        assert not door.refusals
    answers = list(taken_apart(DATE.sub(b"", taken), door.methods))
    if door.refusals and door.refusals[0].reason != "handshake_timeout":
        assert answers[-1][0].startswith(b"HTTP/1.1 %d " % door.refusals[0].status), answers
    return answers, [each.reason for each in door.refusals], door.owner.received


def taken_apart(taken: bytes, methods: list[str]) -> Iterable[tuple[bytes, bytes]]:
    """Read answers one after the other, each by its own length; yield heads and bodies."""
    number = 0
    while taken:
        head, found, taken = taken.partition(END_OF_HEAD)
        assert found, head
        lines = head.lower().split(b"\r\n")
        headers = dict(line.split(b": ", 1) for line in lines[1:])
        assert len(headers) == len(lines) - 1, "a header stands there twice"
        assert b"server" not in headers
        assert b"frame-ancestors" in headers[b"content-security-policy"]
        to_head = number < len(methods) and methods[number] == "HEAD"
        size = 0 if to_head or b" 304 " in lines[0] else int(headers[b"content-length"])
        body, taken = taken[:size], taken[size:]
        assert len(body) == size, "an answer is cut off"
        assert SECRET not in body
        number += 1
        yield head, body
