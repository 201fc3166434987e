"""The demo's engine: each request has one answer in its dialect, whatever was said before it."""

from __future__ import annotations

import json
from typing import Any

from orion_twisted.core.errors import BackendError
from orion_twisted.demo.commands import Desk
from orion_twisted.demo.dialects import MAX_FRAME, V2, dialect_of
from orion_twisted.demo.documents import CommandRefused
from orion_twisted.demo.live import LiveDocuments
from orion_twisted.demo.prints import Prints
from orion_twisted.demo.store import Store

INSERT = (
    b'{"@MSGID":2,"cmd":"apply","document":1,"client":"c","edit":1,"changes":[{"op":"insert",'
    b'"page":"p1","object":{"kind":"text","id":"t1","x":1,"y":2,"width":9,"height":9,"text":"{{a}}"}}]}'
)
BEGIN = (b'{"@MSGID":1,"cmd":"new","key":"k"}', INSERT)
EDIT = b'{"@MSGID":3,"cmd":"apply","document":1,"client":"c","edit":2,"changes":[%b]}'
SEEDS = (
    *BEGIN,
    EDIT
    % b'{"op":"set","id":"t1","set":{"x":1e3,"color":"#1f6feb"}},{"op":"order","id":"t1","at":0}',
    EDIT % b'{"op":"insert_page","page":{"id":"p2"}},{"op":"remove_page","id":"p1"}',
    EDIT % b'{"op":"data","data":{"columns":["a"],"rows":[["1"]]}},{"op":"rename","name":"x"}',
    EDIT % b'{"op":"remove","id":"t1"}',
    b'{"@MSGID":4,"cmd":"open","document":1,"client":"c"}\n{"@MSGID":5,"cmd":"save","document":1}',
    b'{"@MSGID":4,"cmd":"sync","document":1,"client":"c","seq":0}',
    b'{"@MSGID":4,"cmd":"render","document":1,"page":"p1","row":0}\n{"@MSGID":5,"cmd":"documents"}',
    b'{"@MSGID":4,"@SESSION":"s","cmd":"close","document":1}\n{"@MSGID":5,"cmd":"delete","document":1}',
    b'{"@MSGID":4,"cmd":"helo"}',
    b'{"@MSGID":4,"cmd":"\\ud800"}',
    b'{"type":"open","sid":"s"}\r{"type":"request","id":3,"sid":"s"}\n{"cmd":"hello"}',
    b'{"type":"ping"}\r{"type":"notify","sid":"s","bin":true}\n{"cmd":"upload"}\nx\r{"type":"gone"}',
    b"[" * 2000,
    b"{",
)


class Record:
    """A link that keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send(self, payload: bytes) -> None:
        self.sent.append(payload)

    def push(self, sid: str, event: bytes) -> None:
        json.loads(event)


class NoPrints(Prints):
    """What prints where there is no reactor to hand back to: nothing."""

    def make(self, job: Any, assets: Any, contents: Any) -> Any:
        raise CommandRefused("there is no printer here")


def check(data: bytes) -> None:
    store = Store(":memory:", now=lambda: 1_000.0)
    try:
        desk = Desk(LiveDocuments(store), NoPrints(None))
        frames = data.split(b"\r")
        if dialect_of(frames[0]) is V2:
            check_v2(desk, frames)
        else:
            check_v1(desk, [*BEGIN, *data.split(b"\n")])
    finally:
        store.close()


def check_v1(desk: Desk, messages: list[bytes]) -> None:
    for message in messages:
        link = Record()
        dialect_of(BEGIN[0])(desk, link).receive(message, 0.0)
        (encoded,) = link.sent
        check_result(encoded)
        answer = json.loads(encoded)
        if answer["msgID"] is not None:
            assert answer["msgID"] == json.loads(message)["@MSGID"]


def check_v2(desk: Desk, frames: list[bytes]) -> None:
    link = Record()
    dialect = V2(desk, link)
    for frame in frames:
        link.sent.clear()
        try:
            dialect.receive(frame, 0.0)
        except BackendError:
            return
        header = json.loads(frame.partition(b"\n")[0])
        assert len(link.sent) == (header["type"] in ("request", "ping"))
        for sent in link.sent:
            head, _, payload = sent.partition(b"\n")
            if header["type"] == "request":
                assert json.loads(head)["id"] == header.get("id", 0)
                check_result(payload)


def check_result(encoded: bytes) -> None:
    assert len(encoded) <= MAX_FRAME
    answer = json.loads(encoded.partition(b"\n")[0])
    assert answer["success"] in (True, False)
    assert isinstance(answer["message"], str)
