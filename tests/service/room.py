"""
A tenant in session mode: its sessions, with browsers and backends that are played by hand.

    room = Room(links=1)
    engine = room.engine()                  # the backend's end of a link that has come up
    browser = room.browser()                # an orion.v2 browser, which has said hello
    browser.request(1, "draw")
    self.assertEqual(engine.hears(), ["open", "request 1: draw"])
    engine.answers(1, "drawn")
    self.assertEqual(browser.hears(), ["welcome", "result 1: drawn"])

Links, their factories and framing are the gateway's own, over connections in memory.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, cast

from attrs import evolve
from twisted.internet.testing import MemoryReactorClock

from orion_twisted.core.backoff import Backoff
from orion_twisted.core.bearer import Identity
from orion_twisted.core.counters import Counters
from orion_twisted.core.settings import Limits, SessionSettings, Settings, Tenant
from orion_twisted.net.browser import BrowserProtocol
from orion_twisted.net.links import FINISH_TIME
from orion_twisted.service.attachment import Attachment, AttachmentV1, AttachmentV2
from orion_twisted.service.browser_end import BrowserEnd
from orion_twisted.service.sessions import Sessions, sessions_of
from orion_twisted.service.surroundings import Surroundings
from tests.service.fakes import Backend, Browser, LinkWire

MAX_MESSAGE = 1000

SHOP = Tenant(
    name="shop",
    hosts=("*",),
    backend=("tcp:127.0.0.1:7000",),
    mode="session",
    dialect="orion.v2",
    framing="nul",
    link_grace=10.0,
    dial_timeout=5.0,
    session=SessionSettings(ttl=60.0, window=4, window_bytes=2000, deadline=30.0),
)
"""Framed by NULs, so that tests can be read."""

NO_LIMITS: Mapping[str, Any] = {}


class Room:
    """
    Args:
        limits: of the node.
        around: changes to `Surroundings`.
        tenant: changes to `SHOP`.
    """

    def __init__(
        self,
        limits: Mapping[str, Any] = NO_LIMITS,
        around: Mapping[str, Any] = NO_LIMITS,
        **tenant: Any,
    ) -> None:
        self.clock: Any = MemoryReactorClock()
        self.counters = Counters()
        self.tenant = evolve(SHOP, **tenant)
        self.backend = Backend(self.clock)
        self.links = 0
        self.around = Surroundings(
            **{
                "tenant": self.tenant,
                "endpoints": [("tcp:127.0.0.1:7000", self.backend)],
                "max_message": MAX_MESSAGE,
                "idle": 0.0,
                "max_frame": MAX_MESSAGE + 1024,
                "backoff": lambda: Backoff(0.1, 8.0, lambda: 1.0),
                "counters": self.counters,
                "clock": self.clock,
                "link_count": self._count_links,
                **around,
            }
        )
        settings = Settings(tenants=(self.tenant,), limits=Limits(**limits))
        self.sessions: Sessions = sessions_of(settings, [self.around])["shop"]
        self.browsers: list[Speaker] = []
        self.engines: list[Engine] = []
        self.ended: list[BrowserEnd] = []
        self.sessions.backends.start()

    def _count_links(self, change: int) -> None:
        self.links += change

    def engine(self, stalls: bool = False) -> Engine:
        """Let the attempt to dial that waits succeed; return the backend's end."""
        self.backend.stalls = stalls
        waiting = [each for each in self.backend.attempts if not each.over]
        wire = waiting[0].accept(stalls)
        self.backend.wires.append(wire)
        engine = Engine(wire, self.tenant.dialect)
        self.engines.append(engine)
        self.turn()
        return engine

    def relink(self, wait: float = 0.1) -> Engine:
        """Wait for the next attempt to dial, and let it succeed."""
        self.clock.advance(wait)
        return self.engine()

    @property
    def is_dialling(self) -> bool:
        return any(not each.over for each in self.backend.attempts)

    def browser(self, **hello: Any) -> SpeakerV2:
        """Return a browser that speaks ``orion.v2`` and has said hello."""
        browser = self.stranger()
        browser.hello(**hello)
        return browser

    def stranger(self, address: str = "192.0.2.1", **attachment: Any) -> SpeakerV2:
        """Return one that has not said hello yet."""
        end = AttachmentV2(self.sessions, address, self.ended.append, **attachment)
        return self._opened(SpeakerV2, end)

    def v1(self, address: str = "192.0.2.1", identity: Identity | None = None) -> SpeakerV1:
        """Return a browser that speaks ``orion.v1``."""
        end = AttachmentV1(self.sessions, address, self.ended.append, identity)
        return self._opened(SpeakerV1, end)

    def _opened(self, kind: Any, end: Attachment) -> Any:
        browser = kind(end, self.turn)
        self.browsers.append(browser)
        end.browser_opened(cast(BrowserProtocol, browser))
        self.turn()
        return browser

    def turn(self) -> None:
        """Let the reactor turn for the links."""
        for wire in self.backend.wires:
            wire.turn()

    def passes(self, seconds: float) -> None:
        """Let time pass, for timers and for links."""
        self.clock.advance(seconds)
        self.turn()

    def counted(self, name: str, reason: str = "") -> int:
        return self.counters.get(name, reason)

    @property
    def held(self) -> tuple[int, int]:
        """Messages and bytes that all sessions hold."""
        return self.sessions.budget.messages, self.sessions.budget.bytes

    def close(self) -> None:
        """Let everybody leave, as the network would in the end, and the gateway stop."""
        for browser in self.browsers:
            if not browser.gone:
                browser.leave()
        self.sessions.stop()
        for wire in self.backend.wires:
            if not wire.lost:
                wire.read()
            if not wire.lost:
                wire.end()
        self.passes(0)
        self.passes(FINISH_TIME)
        self.passes(0)

    def leftovers(self) -> list[str]:
        """Say what is still there once all have left; nothing should be."""
        found = [f"timer {call}" for call in self.clock.getDelayedCalls()]
        found += [f"link {wire}" for wire in self.backend.wires if not wire.lost]
        for name, number in (
            ("sessions", len(self.sessions)),
            ("waiting sessions", self.sessions.waiting),
            ("messages", self.held[0]),
            ("bytes", self.held[1]),
            ("links", self.links),
            ("sockets", len(self.browsers) - len(self.ended)),
        ):
            if number:
                found.append(f"{number} {name}")
        return found


class Speaker(Browser):
    """A browser's socket, and what it has been told."""

    def __init__(self, end: Attachment, turn: Callable[[], None]) -> None:
        super().__init__(cast(Any, end), turn)
        self.end = end
        self.fills_after = 0
        """Messages after which the socket's send buffer is full; 0 for never."""
        self._heard = 0

    @property
    def live(self) -> Any:
        """The session that it has."""
        return self.end._live

    def send(self, payload: bytes, is_binary: bool) -> None:
        super().send(payload, is_binary)
        if self.fills_after:
            self.fills_after -= 1
            if not self.fills_after:
                self.end.browser_full(True)

    def send_all(self, messages: list[tuple[bytes, bool]]) -> None:
        for payload, is_binary in messages:
            self.send(payload, is_binary)

    def say(self, *messages: str | bytes) -> None:
        """Send messages, all in one read."""
        for message in messages:
            if self.told is not None:
                break
            assert not self.paused, "a paused browser is not read"
            text = message.encode() if isinstance(message, str) else message
            self.end.browser_message(text, isinstance(message, bytes))
        self.rest()

    def rest(self) -> None:
        self.end.browser_rests()
        self._turn()

    def drains(self) -> None:
        """Take what has been written."""
        self.end.browser_full(False)
        self._turn()

    def _new(self) -> list[tuple[bytes, bool]]:
        new = self.got[self._heard :]
        self._heard = len(self.got)
        return new


class SpeakerV2(Speaker):
    """It keeps what the last ``welcome`` has said."""

    sid = key = ""
    seen = 0

    def hello(self, **members: Any) -> dict[str, Any]:
        """Say hello; return the welcome, or nothing if there is none."""
        before = len(self.got)
        self.say(json.dumps({"type": "hello", **members}))
        if len(self.got) == before:
            return {}
        welcome: dict[str, Any] = json.loads(self.got[before][0])
        self.sid, self.key = welcome["sid"], welcome["key"]
        return welcome

    def again(self, other: SpeakerV2, seen: int | None = None) -> dict[str, Any]:
        """Come back as another socket's browser."""
        return self.hello(sid=other.sid, key=other.key, seen=other.seen if seen is None else seen)

    def request(self, n: int, payload: str | bytes = "{}", **members: Any) -> None:
        self.say(said("request", n, payload, **members))

    def notify(self, n: int, payload: str | bytes = "{}", **members: Any) -> None:
        self.say(said("notify", n, payload, **members))

    def ack(self, s: int | None = None) -> None:
        self.say(json.dumps({"type": "ack", "ack": self.seen if s is None else s}))

    def hears(self, acks: bool = False) -> list[str]:
        """Say what has been told since the last time; acknowledgements only if wanted."""
        news = []
        for message, _ in self._new():
            head, _, payload = message.partition(b"\n")
            told = json.loads(head)
            self.seen = max(self.seen, told.get("s", 0))
            if acks and "ack" in told and told["type"] != "welcome":
                news.append(f"ack {told['ack']}")
            words = {
                "ack": "",
                "receipt": f"receipt {told.get('n')} {told.get('stage')}",
                "error": f"error {told.get('n')} {told.get('code')}",
                "result": f"result {told.get('n')}: {payload.decode(errors='replace')}",
                "push": f"push: {payload.decode(errors='replace')}",
            }.get(told["type"], told["type"])
            if words:
                news.append(words)
        return news


class SpeakerV1(Speaker):
    """It numbers as it likes."""

    def ask(self, own_id: int, command: str = "x") -> None:
        self.say(json.dumps({"@MSGID": own_id, "cmd": command}))

    def hears(self) -> list[dict[str, Any]]:
        """Return what has been told since the last time."""
        return [json.loads(message) for message, _ in self._new()]


def said(kind: str, n: int, payload: str | bytes = "{}", **members: Any) -> str | bytes:
    """Return a browser's message, for `Speaker.say`; binary if its payload is bytes."""
    head = json.dumps({"type": kind, "n": n, **members})
    if isinstance(payload, bytes):
        return head.encode() + b"\n" + payload
    return f"{head}\n{payload}"


class Engine:
    """The backend's end of one link."""

    def __init__(self, wire: LinkWire, dialect: str) -> None:
        self.wire = wire
        self._is_v2 = dialect == "orion.v2"
        self._heard = 0
        self.calls: dict[str, int] = {}
        """The number on the link of each request, by its key; the last one also by its ``n``."""

    @property
    def frames(self) -> list[bytes]:
        """All that the gateway has written."""
        assert not self.wire.written or self.wire.written.endswith(b"\0"), "half a frame"
        return self.wire.written.split(b"\0")[:-1]

    def new(self) -> list[bytes]:
        """Return what it has written since the last time."""
        frames = self.frames
        new, self._heard = frames[self._heard :], len(frames)
        return new

    def hears(self) -> list[str]:
        """Say what it has written since the last time; of ``orion.v1`` the objects."""
        if not self._is_v2:
            return [frame.decode() for frame in self.new()]
        news = []
        for frame in self.new():
            head, _, payload = frame.partition(b"\n")
            told = json.loads(head)
            number = told["key"].rpartition(".")[2] if "key" in told else ""
            if "id" in told:
                self.calls[told["key"]] = self.calls[number] = told["id"]
            words = f" {number}: {payload.decode(errors='replace')}" if number else ""
            news.append(told["type"] + words)
        return news

    def says(self, *frames: str | bytes) -> None:
        """Send frames, all in one read."""
        data = b""
        for frame in frames:
            data += (frame.encode() if isinstance(frame, str) else frame) + b"\0"
        self.wire.answer(data)

    def answers(self, n: int | str, payload: str = "{}", **members: Any) -> None:
        """Answer a request, by its ``n`` or its key, once it has been heard."""
        self.says(self.answer(n, payload, **members))

    def answer(self, n: int | str, payload: str = "{}", **members: Any) -> str:
        head = {"type": "result", "id": self.calls[str(n)], **members}
        return f"{json.dumps(head)}\n{payload}"

    def pushes(self, payload: str, **members: Any) -> None:
        self.says(f"{json.dumps({'type': 'push', **members})}\n{payload}")

    def pongs(self) -> None:
        self.says('{"type":"pong"}')
