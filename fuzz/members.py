"""Numbers and names in other people's JSON: changed, and nothing else, to the byte of a number."""

from __future__ import annotations

import json
from typing import Any

from attrs import frozen

from fuzz.taking import Taking
from orion_twisted.core.backend_v1 import (
    ANSWER_ID,
    REQUEST_ID,
    SESSION,
    request_id,
    with_answer_id,
)
from orion_twisted.core.members import MAX_NUMBER, NoObject
from orion_twisted.core.messages import is_utf8

SEEDS = tuple(
    b"\x01\x02" + text
    for text in (
        b'{"@MSGID":1,"cmd":"render"}',
        b' { "a" : {"@MSGID":5} , "@MSGID" : 7 , "b" : [1.50, 1e400] } ',
        b'{"\\u0040MSGID":1,"@MSGID":2}',
        b'{"x\\"@MSGID":5,"@MSGID":1}',
        b'{"@MSGID":1,"a":"\\ud800","@MSGID":2}',
        b'{"cmd":"no number","@SESSION":"mine","\\u0040SESSION":"too"}',
        b'{"msgID":3,"success":true,"message":""}',
        b"{}",
        b"[1]",
        b'{"a":' * 300 + b"1" + b"}" * 300,
    )
)


def check(data: bytes) -> None:
    taking = Taking(data)
    number = taking.number(65536)
    payload = taking.rest
    if not is_utf8(payload):
        return  # no text: that is looked at before
    try:
        found = request_id(payload)
    except NoObject:
        return
    try:
        members = naive(payload)
    except RecursionError:
        return
    said = members.get("@MSGID")
    if found is None:
        assert said is None
    else:
        assert 0 <= found <= MAX_NUMBER
        assert isinstance(said, Number)
        assert float(said.text) == found  # 2**53 and below: no digit is lost
    change = REQUEST_ID.put if found is None else REQUEST_ID.replace
    for changed, name, value in (
        (lambda: change(payload, number), "@MSGID", Number(str(number))),
        (lambda: ANSWER_ID.put(payload, number), "msgID", Number(str(number))),
        (lambda: SESSION.put(payload, "a-session"), "@SESSION", "a-session"),
        (lambda: with_answer_id(payload, number), "msgID", Number(str(number))),
    ):
        try:
            octets = changed()
        except NoObject:
            continue  # half a surrogate pair somewhere, say: refused, and never carried on
        assert naive(octets) == {**members, name: value}, (payload, octets)


@frozen
class Number:
    """A number as it stands there."""

    text: str


def naive(payload: bytes) -> dict[str, Any]:
    """Read an object: of a name that stands there twice, the last value counts."""
    members: dict[str, Any] = json.loads(payload, parse_int=Number, parse_float=Number)
    assert isinstance(members, dict)
    return members
