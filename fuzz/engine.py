"""The demo's engine: each message has one answer, whatever was said before it."""

from __future__ import annotations

import json

from orion_twisted.demo.commands import MAX_FRAME
from orion_twisted.demo.engine import Editor
from orion_twisted.demo.store import SqliteStore

BEGIN = (
    b'{"@MSGID":1,"cmd":"new","pages":2}',
    b'{"@MSGID":2,"cmd":"insert","object":{"kind":"text","x":10,"y":20,"text":"hello"}}',
    b'{"@MSGID":3,"cmd":"insert","object":{"kind":"line","x":0,"y":0,"width":-5,"height":9}}',
)
SEEDS = (
    *BEGIN,
    b'{"@MSGID":4,"cmd":"move","id":"t1","x":1e3,"y":0}\n{"@MSGID":5,"cmd":"undo"}',
    b'{"@MSGID":4,"cmd":"edit","id":"t1","set":{"text":"x","color":"#1f6feb"}}',
    b'{"@MSGID":4,"cmd":"resize","id":"l2","width":-1,"height":2,"x":3}',
    b'{"@MSGID":4,"cmd":"save"}\n{"@MSGID":5,"cmd":"open","document":1}',
    b'{"@MSGID":4,"cmd":"render","page":1}\n{"@MSGID":5,"cmd":"objects"}',
    b'{"@MSGID":4,"cmd":"close","discard":true}\n{"@MSGID":5,"cmd":"delete","document":1}',
    b'{"@MSGID":4,"cmd":"helo"}',
    b'{"@MSGID":4,"cmd":"\\ud800"}',
    b"[" * 2000,
    b"{",
)


def check(data: bytes) -> None:
    store = SqliteStore(":memory:", now=lambda: 1_000.0)
    try:
        editor = Editor(store)
        for message in (*BEGIN, *data.split(b"\n")):
            check_answer(message, editor.answer_payload(message))
    finally:
        store.close()


def check_answer(message: bytes, encoded: bytes) -> None:
    assert len(encoded) <= MAX_FRAME
    answer = json.loads(encoded)
    assert answer["success"] in (True, False)
    assert isinstance(answer["message"], str)
    if answer["msgID"] is not None:
        assert answer["msgID"] == json.loads(message)["@MSGID"]
