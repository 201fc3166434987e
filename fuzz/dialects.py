"""What browsers and backends say in sessions: read, or refused in the dialect's own words."""

from __future__ import annotations

import json
from typing import Any

from fuzz.taking import Taking
from orion_twisted.core import browser_v1, browser_v2
from orion_twisted.core.backend_v1 import BackendV1
from orion_twisted.core.backend_v2 import MAX_HELLO, BackendV2, read_hello
from orion_twisted.core.conversation import Answer, Conversation, Pong, Push, Stray
from orion_twisted.core.errors import BackendError, BadMessage
from orion_twisted.core.messages import is_utf8
from tests.core.sessions import message, session

OWN_ID = 4711
"""The number that a browser has given to its message, where the dialect lets it."""

SEEDS = (
    b'\x00{"@MSGID":1,"cmd":"version"}',
    b'\x01{"type":"request","n":1,"ttl":5000}\n{"cmd":"render"}',
    b'\x01{"type":"notify","n":2,"ack":3,"repeat":"safe"}\n\xff',
    b'\x01{"type":"hello","sid":"a","key":"b","seen":41}',
    b'\x01{"type":"ack","ack":3}',
    b'\x02{"type":"hello","tenant":"shop1","token":"t"}',
    b'\x03{"type":"result","id":1,"ok":false}\n{"success":true}',
    b'\x03{"type":"result","id":2}\n{"success":true,"msgID":1}',
    b'\x03{"type":"result","id":2,"bin":true}\n\xff',
    b'\x03{"type":"push","sid":"a"}\ntext',
    b'\x03{"type":"push","tenant":"shop1","bin":true}\n\xff',
    b'\x03{"type":"pong"}',
    b'\x04{"msgID":1,"success":true,"message":""}',
    b'\x04{"msgID":2,"@SESSION":"a"}',
    b'\x05{"msgID":4711,"success":true}',
    b'\x05{"event":"news"}',
)


def check(data: bytes) -> None:
    taking = Taking(data)
    kind = taking.number(6)
    (check_browser_v1, check_browser_v2, check_hello, check_v2, check_v1_shared, check_v1)[kind](
        taking.rest
    )


def check_browser_v1(said: bytes) -> None:
    assert browser_v1.read(said, True) is None
    if not is_utf8(said):
        return  # no text message
    number = browser_v1.read(said, False)
    assert number is None or json.loads(said)["@MSGID"] == number


def check_browser_v2(said: bytes) -> None:
    try:
        header, payload = browser_v2.read(said)
    except BadMessage as error:
        str(error).encode()
        return
    line, newline, rest = said.partition(b"\n")
    assert payload == rest
    assert bool(newline) == (header.type in browser_v2.WITH_PAYLOAD)
    assert header.n or not newline
    if is_utf8(line):  # what is not, in a member that nobody reads, is nobody's business
        assert json.loads(line)["type"] == header.type


def check_hello(said: bytes) -> None:
    try:
        hello = read_hello(said)
    except BackendError:
        return
    assert len(said) <= MAX_HELLO
    if is_utf8(said):
        assert hello.token == json.loads(said)["token"]
    assert "token" not in repr(hello) or "token" in hello.tenant


def check_v2(said: bytes) -> None:
    talk = BackendV2("shop1")
    talk.order(session(), message(1), 0.0)
    talk.order(session(), message(2, own_id=OWN_ID), 0.0)
    check_talk(talk, said)


def check_v1_shared(said: bytes) -> None:
    talk = BackendV1(shared=True)
    talk.order(session(), message(1), 0.0)
    talk.order(session(keeps=False), message(2, b'{"@MSGID":%d}' % OWN_ID, own_id=OWN_ID), 0.0)
    check_talk(talk, said)


def check_v1(said: bytes) -> None:
    talk = BackendV1(shared=False)
    talk.order(session(keeps=False), message(1, b'{"@MSGID":%d}' % OWN_ID, own_id=OWN_ID), 0.0)
    check_talk(talk, said)


def check_talk(talk: Conversation, said: bytes) -> None:
    waiting = len(talk)
    try:
        first, second = talk.read(said), talk.read(said)
    except BackendError as error:
        str(error).encode()
        return
    assert isinstance(first, Answer | Push | Stray | Pong)
    if not isinstance(first, Answer):
        assert len(talk) == waiting
        assert second == first
        return
    assert len(talk) == waiting - 1
    assert second == Stray("late"), "an answer is taken twice"
    if first.error:
        assert first.payload == b""
        return
    if not first.is_binary:
        first.payload.decode()
    if first.entry.own_id is not None:
        answer: Any = json.loads(first.payload)
        assert answer["msgID"] == first.entry.own_id
