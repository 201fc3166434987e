"""
What a gateway says to the Python client: bytes on its socket, or messages in its session.

Whatever they are, the client ends in order, and no message of its program has two outcomes.
"""

from __future__ import annotations

import json
from typing import Any
from unittest.mock import patch

import txaio
from twisted.internet.testing import MemoryReactorClock

from fuzz.failures import none_logged
from fuzz.taking import Taking, pieces
from orion_twisted.client.conversation import Action, Conversation, Fault, Settle
from orion_twisted.client.limits import ClientLimits
from orion_twisted.client.orion import OrionClient
from orion_twisted.client.outbound import Kind
from orion_twisted.client.plain import Plain
from orion_twisted.client.session import Session
from orion_twisted.client.wire import WireError, read
from tests.client.peer import TEXT, Door, frame
from tests.transports import pending

LIMITS = ClientLimits(message=1000)
WELCOME = (
    b'{"type":"welcome","sid":"a","key":"k","epoch":"e","recovered":false,"ack":0,"ttl":1000,'
    b'"window":4,"window_bytes":100,"message":100}'
)
BETWEEN = b"\x1e"
"""Between messages: it stands in none of them."""

_TALK = BETWEEN.join(
    (
        WELCOME,
        b'{"type":"receipt","s":1,"n":2,"stage":"sent"}',
        b'{"type":"push","s":2,"ack":3}\nhi',
        b'{"type":"result","s":3,"n":1,"ok":false}\n\xff',
        b'{"type":"error","s":4,"n":3,"code":"TIMEOUT","message":"no"}',
        b'{"type":"drain","within":20}',
        b'{"type":"ack","ack":3}',
    )
)
SEEDS = (
    b"\0" + _TALK,
    b"\0" + WELCOME + BETWEEN + b'{"type":"error","n":1,"code":"REUSED_ID"}',
    b"\0" + WELCOME[:-1] + b',"lost":[[1,3]]}' + BETWEEN + b'{"type":"push","s":4}\n',
    b"\1" + BETWEEN.join((b'{"msgID":1,"success":true}', b'{"event":1}', b'{"msgID":null}')),
    b'\1{"msgID":2,"success":false,"code":"TIMEOUT","message":7}' + BETWEEN + b"[",
    b"\2\7" + frame(TEXT, WELCOME) + frame(TEXT, b'{"type":"push","s":1}\nhi') + frame(8, b""),
    b"\2\7" + frame(TEXT, WELCOME) + frame(8, b"\x11\x94SUPERSEDED"),
    b"\3\7HTTP/1.1 503 No\r\nRetry-After: 5\r\n\r\n",
    b"\3\7HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
)


def check(data: bytes) -> None:
    taking = Taking(data)
    kind = taking.number(4)
    if kind == 0:
        check_read(taking.rest)
        check_conversation(Session(LIMITS), taking.rest)
    elif kind == 1:
        check_conversation(Plain(LIMITS), taking.rest)
    else:
        check_socket(taking.number(256), taking.rest, is_upgraded=kind == 2)


def check_read(said: bytes) -> None:
    for message in said.split(BETWEEN):
        try:
            header, payload = read(message, False)
        except WireError as error:
            str(error).encode()
            continue
        line, _, rest = message.partition(b"\n")
        assert payload == rest
        try:
            naive = json.loads(line)
        except UnicodeDecodeError:
            continue  # in a member that nobody reads
        assert naive["type"] == header.__struct_config__.tag


def check_conversation(conversation: Conversation, said: bytes) -> None:
    settled: set[int] = set()

    def note(actions: list[Action]) -> bool:
        for each in actions:
            if isinstance(each, Settle):
                assert each.ticket not in settled, "two outcomes"
                settled.add(each.ticket)
        return any(isinstance(each, Fault) for each in actions)

    tickets = []
    for kind in (Kind.REQUEST, Kind.NOTIFY, Kind.REQUEST):
        ticket, actions = conversation.submit(kind, b"{}", False, 0.0)
        tickets.append(ticket)
        note(actions)
    note(conversation.opened(0.0))
    for message in said.split(BETWEEN):
        if note(conversation.received(message, False, 0.0)):
            break
    note(conversation.tick(10.0))
    note(conversation.lost(10.0))
    note(conversation.end("the input is at its end"))
    assert settled == set(tickets)


def check_socket(size: int, said: bytes, *, is_upgraded: bool) -> None:
    clock: Any = MemoryReactorClock()
    with patch.object(txaio.config, "loop", clock), none_logged():
        door = Door(clock)
        client = OrionClient(
            "ws://localhost/ws", endpoint=door, reactor=clock, limits=LIMITS, random=lambda: 1.0
        )
        client.start()
        answer = client.request("hi")
        outcomes: list[object] = []
        answer.addBoth(outcomes.append)
        peer = door.accept()
        if is_upgraded:
            peer.upgrade("orion.v2")
        for piece in pieces(said, bytes([size])):
            peer.wire.hears(piece)
        stopped = client.stop()
        if peer.wire.protocol is not None:
            peer.hang_up()
        clock.advance(0)
        clock.advance(LIMITS.close)
        clock.advance(0)
        assert stopped.called
        assert len(outcomes) == 1
        assert pending(clock) == [], "a timer is left"
