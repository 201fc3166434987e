"""
A gateway in small, in memory: the browser's side of docs/wire.md, and a backend to watch.

It shares no code with the client or with the gateway. Whatever the client does that the contract
does not allow is an `AssertionError` here. A message's payload is ``NAME`` or ``NAME ...``; each
name is one message of the test, whatever session it is delivered in.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from attrs import Factory, define

Wire = tuple[bytes, bool]
"""A WebSocket message, and whether it is binary."""


def split(message: bytes) -> tuple[dict[str, Any], bytes | None]:
    """Return a message's header, and its payload if it has a line feed."""
    line, feed, payload = message.partition(b"\n")
    return json.loads(line), payload if feed else None


def join(header: dict[str, Any], payload: bytes | None = None) -> bytes:
    line = json.dumps(header, separators=(",", ":")).encode()
    return line if payload is None else line + b"\n" + payload


def name_of(payload: bytes) -> str:
    return payload.split(b" ")[0].decode()


@define
class Entry:
    """A message that the gateway has; ``outcome`` is what it has said of it."""

    n: int
    type: str
    payload: bytes
    is_binary: bool
    is_safe: bool
    deadline: float | None
    is_done: bool = False


@define
class ModelSession:
    """What the gateway knows of a session."""

    sid: str
    keys: set[str] = Factory(set)
    entries: dict[int, Entry] = Factory(dict)
    last_n: int = 0
    last_s: int = 0
    acknowledged: int = 0
    outbox: list[tuple[int, Wire, bool]] = Factory(list)
    lost: list[int] = Factory(list)
    delivered: list[str] = Factory(list)


class ModelSocket:
    """One socket: what the client sends goes to `receive`, what it has to get is in `out`."""

    def __init__(self, gateway: ModelGateway) -> None:
        self._gateway = gateway
        self.session: ModelSession | None = None
        self.out: list[Wire] = []
        self.is_open = True
        self._key = ""
        self._is_heard = False

    def receive(self, message: bytes, is_binary: bool, now: float) -> None:
        """Take one message of the client."""
        header, payload = split(message)
        assert len(message.partition(b"\n")[0]) <= 8192
        if self.session is None:
            assert header["type"] == "hello", "hello comes first"
            assert payload is None
            assert not is_binary
            self._hello(header)
            return
        session = self.session
        if not self._is_heard:
            self._is_heard = True
            session.keys = {self._key}
        if "ack" in header:
            self._acknowledge(header["ack"])
        match header["type"]:
            case "request" | "notify":
                assert payload is not None
                self._take(header, payload, is_binary, now)
            case "ack":
                assert payload is None
            case "bye":
                self._gateway.forget(session)
                self.is_open = False
            case other:
                raise AssertionError(f"{other} in mid-session")

    def _hello(self, header: dict[str, Any]) -> None:
        gateway = self._gateway
        session = gateway.sessions.get(header.get("sid", ""))
        assert session is None or header["key"] in session.keys, "the newest key is shown"
        recovered = session is not None
        if session is None:
            session = gateway.new_session()
        else:
            assert session.acknowledged <= header["seen"] <= session.last_s
        self.session = session
        self._key = f"key {gateway.next_name()}"
        session.keys = {*([header["key"]] if recovered else []), self._key}
        welcome: dict[str, Any] = {
            "type": "welcome",
            "sid": session.sid,
            "key": self._key,
            "epoch": "an epoch",
            "recovered": recovered,
            "ack": session.last_n,
            "ttl": 120_000,
            "window": gateway.window,
            "window_bytes": gateway.window_bytes,
            "message": gateway.message,
        }
        if recovered:
            self._acknowledge(header["seen"])
            lost = [each for each in session.lost if each > header["seen"]]
            if lost:
                welcome["recovered"] = False
                welcome["lost"] = _pairs(lost)
        self.out.append((join(welcome), False))
        self.out += [wire for _, wire, _ in session.outbox]
        # The newest attach wins.
        for other in gateway.sockets:
            if other is not self and other.session is session:
                other.is_open = False

    def _acknowledge(self, ack: int) -> None:
        session = self.session
        assert session is not None
        assert ack <= session.last_s, "what was never sent cannot be acknowledged"
        assert ack >= session.acknowledged, "an acknowledgement is not taken back"
        session.acknowledged = ack
        session.outbox = [each for each in session.outbox if each[0] > ack]

    def _take(self, header: dict[str, Any], payload: bytes, is_binary: bool, now: float) -> None:
        session, gateway = self.session, self._gateway
        assert session is not None
        n = header["n"]
        ttl = header.get("ttl")
        known = session.entries.get(n)
        if known is not None:
            assert (known.payload, known.is_binary) == (payload, is_binary), "another payload"
            return
        assert n == session.last_n + 1, "numbers go on by one"
        session.last_n = n
        entry = Entry(
            n,
            header["type"],
            payload,
            is_binary,
            header.get("repeat") == "safe",
            None if ttl is None else now + ttl / 1000,
        )
        session.entries[n] = entry
        pending = [each for each in session.entries.values() if not each.is_done]
        assert len(pending) <= gateway.window, "the window is kept"
        octets = sum(len(each.payload) for each in pending)
        assert octets <= gateway.window_bytes or len(pending) == 1, "in bytes, too"
        assert len(payload) <= gateway.message
        if entry.deadline is not None and entry.deadline <= now:
            gateway.fail(session, entry, "EXPIRED")
            return
        name = name_of(payload)
        session.delivered.append(name)
        gateway.deliveries[name] += 1
        if entry.type == "notify":
            gateway.tell(session, {"type": "receipt", "n": n, "stage": "sent"}, None, False, entry)


class ModelGateway:
    """
    Args:
        window, window_bytes, message: as `welcome` tells them.

    Attributes:
        deliveries: how often each message has been given to the backend, in all sessions.
    """

    def __init__(self, window: int = 4, window_bytes: int = 100, message: int = 80) -> None:
        self.window = window
        self.window_bytes = window_bytes
        self.message = message
        self.sessions: dict[str, ModelSession] = {}
        self.ended: list[ModelSession] = []
        self.sockets: list[ModelSocket] = []
        self.deliveries: Counter[str] = Counter()
        self._names = 0

    def next_name(self) -> int:
        self._names += 1
        return self._names

    def connect(self) -> ModelSocket:
        socket = ModelSocket(self)
        self.sockets.append(socket)
        return socket

    def cut(self, socket: ModelSocket) -> None:
        """End a socket; what is on its way, in both directions, is gone."""
        socket.is_open = False
        socket.out.clear()

    def new_session(self) -> ModelSession:
        sid = f"session {self.next_name()}"
        self.sessions[sid] = session = ModelSession(sid)
        return session

    def forget(self, session: ModelSession) -> None:
        """Let a session end."""
        if self.sessions.pop(session.sid, None) is not None:
            self.ended.append(session)

    def pending(self) -> list[tuple[ModelSession, Entry]]:
        """Return the requests that the backend has not answered."""
        return [
            (session, entry)
            for session in self.sessions.values()
            for entry in session.entries.values()
            if not entry.is_done
        ]

    def answer(self, session: ModelSession, entry: Entry, ok: bool = True) -> None:
        """Let the backend answer with what it was sent."""
        header: dict[str, Any] = {"type": "result", "n": entry.n}
        if not ok:
            header["ok"] = False
        self.tell(session, header, entry.payload, entry.is_binary, entry)

    def fail(self, session: ModelSession, entry: Entry, code: str) -> None:
        header = {"type": "error", "n": entry.n, "code": code, "message": "the model says so"}
        self.tell(session, header, None, False, entry)

    def push(self, session: ModelSession, payload: bytes) -> None:
        self.tell(session, {"type": "push"}, payload, False, None)

    def tell(
        self,
        session: ModelSession,
        header: dict[str, Any],
        payload: bytes | None,
        is_binary: bool,
        entry: Entry | None,
    ) -> None:
        """Number a message of the gateway, keep it, and send it if there is a socket."""
        session.last_s += 1
        header = {"type": header["type"], "s": session.last_s, **header}
        if session.last_n:
            header["ack"] = session.last_n
        wire = (join(header, payload), is_binary)
        session.outbox.append((session.last_s, wire, entry is None))
        if entry is not None:
            entry.is_done = True
        socket = self.socket_of(session)
        if socket is not None:
            socket.out.append(wire)

    def socket_of(self, session: ModelSession) -> ModelSocket | None:
        for socket in self.sockets:
            if socket.is_open and socket.session is session:
                return socket
        return None

    def repeat(self, session: ModelSession) -> None:
        """Say again what has not been acknowledged."""
        socket = self.socket_of(session)
        if socket is not None:
            socket.out += [wire for _, wire, _ in session.outbox]

    def lose_pushes(self, session: ModelSession) -> int:
        """Throw the pushes away that wait for an absent client; return how many."""
        gone = [s for s, _, is_push in session.outbox if is_push]
        session.lost += gone
        session.outbox = [each for each in session.outbox if not each[2]]
        return len(gone)


def _pairs(numbers: list[int]) -> list[list[int]]:
    pairs: list[list[int]] = []
    for number in sorted(numbers):
        if pairs and pairs[-1][1] == number - 1:
            pairs[-1][1] = number
        else:
            pairs.append([number, number])
    return pairs
