"""
An engine that does what messages and commands ask of it, well or badly, and keeps a ledger.

A message asks by the name of a deed (`DEEDS`) in its order; whoever runs the engine asks by a
command (`COMMANDS`). The ledger is a list of events, each a dictionary with the event's name ``e``
and the instant ``t`` in seconds of the system's monotonic clock, which all processes share:

    up    {link, port}                          a link is there
    got   {link, id, sid, key, ttl, late}       a message has come whole
    tries {link, id, serial}                    an answer is about to be written
    wrote {link, id, serial, on_time}           it has been taken whole by the system
    push  {link, label, serial}                 so has a push; ``label`` is the session's, or "*"
    hang  {until, name}                         the engine reads nothing until then
    bad   {link, what}                          a frame was no frame of the dialect
    end   {link}                                the engine ends a link in good order
    break {link}                                the engine breaks a link off, by reset
    down  {link, how}                           a link is gone: "ended" by FIN, or "broken"
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from functools import partial
from itertools import count
from typing import Any

from tests.faults.orders import Content, Order, answer_to, dumps, read_order
from tests.faults.speech import SPEECHES, Heard
from tests.faults.wires import Wire

Record = Callable[[dict[str, Any]], None]

SWAP_WITHIN = 0.05
"""Seconds that an answer waits for another one to go first."""

TOGETHER = 0.02
"""Seconds in which frames are kept to be written at once."""


class Link:
    """One connection with the gateway."""

    def __init__(self, engine: Engine, wire: Wire, name: str) -> None:
        self._engine = engine
        self._speech = engine.speech
        self._held: list[Callable[[], None]] = []
        self.wire = wire
        self.name = name
        self.labels: dict[str, str] = {}
        """The label of each session that has given an order here, by its sid."""
        self.frames: list[bytes] = []
        """Every payload that has come, if the engine keeps them."""
        engine.note("up", link=name, port=wire.port)

    # From the wire

    def wire_ready(self) -> None:
        self._engine.link_ready(self)

    def wire_payload(self, payload: bytes, late: bool) -> None:
        if self._engine.keeps_frames:
            self.frames.append(payload)
        heard = self._speech.hear(payload)
        if heard.kind == "ping":
            pong = self._speech.pong()
            if pong is not None and not self._engine.is_mute:
                self.wire.send(pong)
        elif heard.kind == "gone":
            self.labels.pop(heard.sid, None)
        elif heard.kind in ("request", "notify"):
            self._obey(heard, late)
        elif heard.kind != "open":
            self._engine.note("bad", link=self.name, what=repr(payload[:100]))

    def wire_lost(self, how: str) -> None:
        self._engine.note("down", link=self.name, how=how)
        self._engine.link_lost(self)

    # What messages ask for

    def _obey(self, heard: Heard, late: bool) -> None:
        order = read_order(heard.body)
        self._engine.note(
            "got",
            link=self.name,
            id=None if order is None else order.id,
            sid=heard.sid,
            key=heard.key,
            ttl=heard.ttl,
            late=late,
        )
        if order is None:
            return
        self.labels[heard.sid] = order.session
        DEEDS[order.do](self, heard, order)
        if order.do != "swap":
            self._let_go()

    def _let_go(self) -> None:
        held, self._held = self._held, []
        for each in held:
            each()

    def answer(
        self,
        heard: Heard,
        order: Order,
        *,
        ok: bool = True,
        binary: bool = False,
        crumbs: bool = False,
        on_time: bool = True,
    ) -> None:
        """Answer a request; nothing else is ever answered."""
        if heard.kind != "request":
            return
        content = answer_to(order, self._engine.next_serial())
        self._engine.note("tries", link=self.name, id=order.id, serial=content["serial"])
        note = partial(
            self._engine.note,
            "wrote",
            link=self.name,
            id=order.id,
            serial=content["serial"],
            on_time=on_time,
        )
        payload = self._speech.result(heard, content, ok=ok, binary=binary)
        if self._engine.is_coalescing:
            self.wire.coalesce(TOGETHER)
        self.wire.send(payload, note, crumbs=crumbs or self._engine.is_dribbling)

    def answer_later(self, heard: Heard, order: Order) -> None:
        self._engine.later(order.arg / 1000, partial(self.answer, heard, order))

    def answer_twice(self, heard: Heard, order: Order) -> None:
        self.answer(heard, order)
        self.answer(heard, order, on_time=False)

    def answer_unknown(self, heard: Heard, order: Order) -> None:
        """Answer a request that there never was, and then this one."""
        self.wire.send(self._speech.stray({"id": "nobody-0"}))
        self.answer(heard, order)

    def answer_after_the_next(self, heard: Heard, order: Order) -> None:
        self._held.append(partial(self.answer, heard, order))
        self._engine.later(SWAP_WITHIN, self._let_go)

    def answer_binary(self, heard: Heard, order: Order) -> None:
        self.answer(heard, order, binary=True)

    def refuse(self, heard: Heard, order: Order) -> None:
        self.answer(heard, order, ok=False)

    def answer_in_crumbs(self, heard: Heard, order: Order) -> None:
        self.answer(heard, order, crumbs=True)

    def answer_together(self, heard: Heard, order: Order) -> None:
        """Answer in one write with all that follows shortly."""
        self.wire.coalesce(TOGETHER)
        self.answer(heard, order)

    def drop(self, heard: Heard, order: Order) -> None:
        """Answer nothing."""

    def push_then_answer(self, heard: Heard, order: Order) -> None:
        for _ in range(order.arg or 1):
            self.push(heard.sid)
        self.answer(heard, order)

    def push_to_all_then_answer(self, heard: Heard, order: Order) -> None:
        self.push_to_all()
        self.answer(heard, order)

    def cut(self, heard: Heard, order: Order) -> None:
        """Write half of the answer's frame, and be gone."""
        self.wire.send_half(self._speech.result(heard, answer_to(order, 0)))
        self.break_off()

    def end_in_mid_frame(self, heard: Heard, order: Order) -> None:
        """Write half of the answer's frame, and end in good order."""
        self.wire.send_half(self._speech.result(heard, answer_to(order, 0)))
        self.end()

    def reset(self, heard: Heard, order: Order) -> None:
        self.break_off()

    def reset_once(self, heard: Heard, order: Order) -> None:
        """Break the link when the message comes for the first time; then answer."""
        if order.id in self._engine.known:
            self.answer(heard, order)
        else:
            self._engine.known.add(order.id)
            self.break_off()

    def answer_when_told(self, heard: Heard, order: Order) -> None:
        """Keep the answer until the engine is told to let go (`Engine.let_go`)."""
        self._engine.kept.append(partial(self.answer, heard, order))

    def answer_and_leave(self, heard: Heard, order: Order) -> None:
        self.answer(heard, order)
        self.end()

    def answer_and_announce_huge(self, heard: Heard, order: Order) -> None:
        self.answer(heard, order)
        self.wire.announce_huge()

    def talk_nonsense(self, heard: Heard, order: Order) -> None:
        self.wire.send(self._speech.nonsense())

    def say(self, heard: Heard, order: Order) -> None:
        """Send what the engine was told to say, whatever it is."""
        self.wire.send(self._engine.sayings[order.arg](heard, order))

    def hang(self, heard: Heard, order: Order) -> None:
        """Read nothing any more for so long, on any link, and answer nothing meanwhile."""
        self._engine.hang(order.arg / 1000)
        self.answer_later(heard, order)

    # What commands ask for

    def end(self) -> None:
        """End it in good order; what was written before arrives. One that is ending goes on so."""
        if self.wire.takes:
            self._engine.note("end", link=self.name)
            self.wire.finish()

    def break_off(self) -> None:
        """End it with a reset; what was written before may be lost."""
        self._engine.note("break", link=self.name)
        self.wire.reset()

    def _push_content(self, label: str, serial: int, pad: int = 0) -> Content:
        return {
            "event": "push",
            "label": label,
            "link": self.name,
            "serial": serial,
            "pad": "u" * pad,
        }

    def push(self, sid: str, pad: int = 0) -> None:
        label = self.labels[sid]
        serial = self._engine.next_serial()
        content = self._push_content(label, serial, pad)
        note = partial(self._engine.note, "push", link=self.name, label=label, serial=serial)
        self.wire.send(self._speech.push(sid, content), note)

    def push_to_all(self) -> None:
        serial = self._engine.next_serial()
        content = self._push_content("*", serial)
        payload = self._speech.push_to_all(self._engine.tenant, content)
        if payload is not None:
            note = partial(self._engine.note, "push", link=self.name, label="*", serial=serial)
            self.wire.send(payload, note)


DEEDS: dict[str, Callable[[Link, Heard, Order], None]] = {
    "answer": Link.answer,
    "delay": Link.answer_later,
    "drop": Link.drop,
    "twice": Link.answer_twice,
    "unknown": Link.answer_unknown,
    "swap": Link.answer_after_the_next,
    "binary": Link.answer_binary,
    "not-ok": Link.refuse,
    "dribble": Link.answer_in_crumbs,
    "coalesce": Link.answer_together,
    "push": Link.push_then_answer,
    "push-all": Link.push_to_all_then_answer,
    "cut": Link.cut,
    "end-mid-frame": Link.end_in_mid_frame,
    "reset": Link.reset,
    "reset-once": Link.reset_once,
    "keep": Link.answer_when_told,
    "leave": Link.answer_and_leave,
    "huge": Link.answer_and_announce_huge,
    "nonsense": Link.talk_nonsense,
    "say": Link.say,
    "hang": Link.hang,
}
"""What a message may ask for."""


class Engine:
    """
    All links of one engine.

    Args:
        name: its links are called ``NAME/1`` and so on.
        dialect: ``orion.v1`` or ``orion.v2``.
        tenant: whose engine it is.
        record: takes the events of the ledger.
        first_serial: where the numbers of answers and pushes begin.
    """

    def __init__(
        self, name: str, dialect: str, tenant: str, record: Record, first_serial: int = 1
    ) -> None:
        self.tenant = tenant
        self.speech = SPEECHES[dialect]()
        self.links: list[Link] = []
        self.ever: list[Link] = []
        """Every link that there ever was, if the engine keeps frames."""
        self.keeps_frames = False
        self.is_mute = False
        """Whether pings stay unanswered."""
        self.is_dribbling = False
        self.is_coalescing = False
        self.sayings: list[Callable[[Heard, Order], bytes]] = []
        """Frames for the deed ``say``, which takes one by ``arg``."""
        self.known: set[str] = set()
        """Ids of messages that have come once, where that matters."""
        self.kept: list[Callable[[], None]] = []
        """Answers that wait for `let_go`."""
        self.hello: bytes | None = None
        """What a link begins with, where the engine has dialled in."""
        self.is_away = False
        self._name = name
        self._record = record
        self._numbers = count(1)
        self._serials = count(first_serial)
        self._hanging_until = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    def build_link(self, wire: Wire) -> Link:
        link = Link(self, wire, f"{self._name}/{next(self._numbers)}")
        self.links.append(link)
        if self.keeps_frames:
            self.ever.append(link)
        if self.is_away:  # it came out of the listener's queue
            wire.reset()
        elif self._hanging_until > time.monotonic():
            wire.pause()
        return link

    def link_ready(self, link: Link) -> None:
        if self.hello is not None:
            link.wire.send(self.hello)

    def link_lost(self, link: Link) -> None:
        self.links.remove(link)

    def note(self, event: str, **fields: Any) -> None:
        self._record({"e": event, "t": time.monotonic(), **fields})

    def next_serial(self) -> int:
        return next(self._serials)

    @staticmethod
    def later(seconds: float, do: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_later(seconds, do)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Have something done; the loop itself would keep no more than a weak reference to it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def hang(self, seconds: float) -> None:
        """Read nothing for so long, on any link; what was asked before is answered."""
        self._hanging_until = max(self._hanging_until, time.monotonic() + seconds)
        self.note("hang", until=self._hanging_until, name=self._name)
        for link in self.links:
            link.wire.pause()
        self.later(seconds, self._look_whether_over)

    def _look_whether_over(self) -> None:
        if time.monotonic() >= self._hanging_until:
            for link in list(self.links):
                link.wire.resume()

    def let_go(self) -> None:
        """Write all answers that were kept, in the order of their messages."""
        kept = list(self.kept)
        self.kept.clear()
        for each in kept:
            each()

    def hello_for(self, token: str) -> bytes:
        """Return what an engine that dials in says first."""
        return dumps({"type": "hello", "tenant": self.tenant, "token": token}).encode()
