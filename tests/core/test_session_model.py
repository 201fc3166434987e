"""
Sessions under any order of events, beside the simplest thing that could be right.

A browser that may lie, a backend that answers as it likes, links and sockets that break, time, and
memory that others take: whatever happens, every message has one outcome, and is told it.
"""

from __future__ import annotations

import json
from functools import partial
from math import inf
from typing import Any

from attrs import define, evolve
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.backend_v2 import BackendV2
from orion_twisted.core.budget import Budget
from orion_twisted.core.conversation import Answer, Stray
from orion_twisted.core.errors import BadMessage
from orion_twisted.core.ledger import SENT
from orion_twisted.core.outbox import ITEM_COST, Item
from orion_twisted.core.session import ACK_EVERY, ACK_WITHIN, MOST_ASIDES, Life, Session
from tests.core.sessions import SID, TERMS, message, say

HELD, MEMORY = 20, 4000
"""What the tenant may hold, in messages and bytes."""
NODE_HELD, NODE_MEMORY = 30, 5000
MAX_MESSAGE = 300
NEVER_DONE = {"EXPIRED", "BACKEND_DOWN", "TOO_LARGE"}
"""Failures that say that the backend never had the message."""
MOST_RESULT = 700
"""Bytes of the largest result."""


@define
class Asked:
    """A message, as the browser knows it."""

    payload: bytes
    notify: bool
    safe: bool
    binary: bool
    deadline: float


class Reference:
    """Lists of all that ever was: what was asked, what became of it, what was said of it."""

    def __init__(self, grace_ends: float, grace: float) -> None:
        self.asked: dict[int, Asked] = {}
        self.queue: list[int] = []
        self.on_link: list[int] = []
        self.was_sent: set[int] = set()
        self.items: list[str] = []  # the first has number 1
        self.outcomes: dict[int, int] = {}  # the number of a message: the number of its item
        self.grace = grace
        self.gives_up_at: float | None = grace_ends

    @property
    def pending(self) -> list[int]:
        return [n for n in self.asked if n not in self.outcomes]

    def say(self, text: str) -> None:
        self.items.append(text)

    def end(self, n: int, kind: str) -> None:
        """A message has its outcome: it has none yet, and never gets another."""
        assert n not in self.outcomes, f"a second outcome of {n}: {kind}"
        for those in (self.queue, self.on_link):
            if n in those:
                those.remove(n)
        self.say(kind)
        self.outcomes[n] = len(self.items)

    def fail(self, n: int, code: str) -> None:
        self.end(n, f"error {n} {code}")

    def code_of(self, n: int, unsent: str, sent: str) -> str:
        """Choose what is true: of what a link has had, nobody knows whether it was done."""
        return sent if n in self.was_sent else unsent

    def take(self, n: int, asked: Asked, is_full: bool, now: float) -> None:
        self.asked[n] = asked
        if len(asked.payload) > MAX_MESSAGE:
            self.fail(n, "TOO_LARGE")
        elif is_full:
            self.fail(n, "OVER_BUDGET")
        elif self.gives_up_at is not None and self.gives_up_at <= now:
            self.fail(n, "BACKEND_DOWN")
        else:
            self.queue.append(n)

    def pull(self, now: float) -> int | None:
        """Return the next message that the link is given."""
        while self.queue:
            n = self.queue[0]
            if self.asked[n].deadline > now:
                self.queue.remove(n)
                self.on_link.append(n)
                self.was_sent.add(n)
                return n
            self.fail(n, self.code_of(n, "EXPIRED", "TIMEOUT"))
        return None

    def sent(self, n: int) -> None:
        if self.asked[n].notify:
            self.end(n, f"receipt {n} sent")

    def link_lost(self, now: float) -> None:
        self.gives_up_at = now + self.grace
        back = []
        for n in sorted(self.on_link):
            if self.asked[n].safe:
                back.append(n)
            else:
                self.fail(n, "OUTCOME_UNKNOWN")
        self.on_link = []
        self.queue[:0] = back

    def time(self, now: float) -> list[int]:
        """Return which messages that the link has are given up."""
        late = [n for n in self.pending if self.asked[n].deadline <= now]
        given_up = [n for n in late if n in self.on_link]
        for n in late:
            self.fail(n, self.code_of(n, "EXPIRED", "TIMEOUT"))
        if self.gives_up_at is not None and self.gives_up_at <= now:
            for n in list(self.queue):
                self.fail(n, self.code_of(n, "BACKEND_DOWN", "OUTCOME_UNKNOWN"))
        return given_up

    @property
    def next_due(self) -> float | None:
        times = [self.asked[n].deadline for n in self.pending]
        if self.queue and self.gives_up_at is not None:
            times.append(self.gives_up_at)
        return min(times, default=None)


class SessionMachine(RuleBasedStateMachine):
    """
    A session, and a shell around it that does what the real one does, and no more.

    The browser believes what it is told on a socket: `at` is the highest number it has, `gaps` are
    the numbers that `welcome` has named as lost.
    """

    @initialize(
        own_link=st.booleans(),
        keeps=st.sampled_from([True, True, True, False]),
        window=st.integers(1, 4),
        window_bytes=st.sampled_from([600, 1500]),
        ttl=st.sampled_from([0.0, 40.0, 40.0]),
        grace=st.sampled_from([0.0, 10.0]),
        is_well=st.booleans(),
        acks=st.booleans(),
    )
    def begin(self, is_well: bool, acks: bool, **terms: Any) -> None:
        self.is_well = is_well  # whether a session begins with a link and a socket
        self.acks = acks  # whether the browser acknowledges by itself, as it ought to
        self.node = Budget(NODE_HELD, NODE_MEMORY)
        self.budget = Budget(HELD, MEMORY, self.node)
        self.others = 0  # bytes that other sessions of the tenant hold
        self.elsewhere = 0  # and other tenants
        self.now = 100.0
        self.terms = evolve(TERMS, max_message=MAX_MESSAGE, **terms)
        self.open()

    def open(self) -> None:
        self.session = Session(SID, self.terms, self.budget, self.now)
        first = max(self.terms.grace, self.terms.first_grace)
        self.reference = Reference(self.now + first, self.terms.grace)
        self.n = 0
        self.keys = 0  # how many have been given out
        self.good_keys: set[str] = set()
        self.attached = self.stalled = self.heard = False
        self.at = self.acked = 0
        self.gaps: set[int] = set()
        self.received: dict[int, str] = {}
        self.asides: list[str] = []
        self.told_n = 0  # the highest number that the browser knows to have arrived
        self.untold_since: float | None = None
        self.ends_at: float | None = self.now + self.terms.ttl
        self.pressed = self.has_lied = False
        self.talk: BackendV2 | None = None
        self.calls: list[tuple[int, int]] = []  # numbers on this link, of which messages
        self.deliveries: dict[int, int] = {}
        if self.is_well or not self.terms.keeps:
            self.attach()
        if self.is_well:
            self.link_comes()

    # The shell

    def after(self) -> None:
        """Write what there is, if the socket takes it; close a browser that does not read."""
        if self.attached and not self.stalled:
            self.deliver(10**6)
            assert self.session.outbox.is_written
            if self.acks and self.terms.keeps and self.at > self.acked + 3:
                self.speaks()
                self.session.acknowledge(self.at)
                self.acked = self.at
        if self.attached and self.session.outbox.is_clogged() and not self.terms.own_link:
            self.detach()

    def deliver(self, most: int) -> None:
        for _ in range(most):
            item = self.session.next_for_browser()
            if item is None:
                break
            self.receive(item)
        else:
            return
        if self.session.is_ack_due(self.now):
            self.hear_ack(self.session.ack_to_tell())

    def receive(self, item: Item) -> None:
        """The browser gets a message: in its turn, or one that answers what it has said again."""
        text = say(item)
        if item.code in NEVER_DONE:
            assert item.entry is not None
            assert item.entry.n not in self.deliveries
        if item.s == 0 or item.s <= self.at:
            assert text == self.asides.pop(0) or self.is_let_go(item)
        else:
            self.at += 1
            while self.at in self.gaps:
                self.at += 1
            assert item.s == self.at, f"{item.s} told after {self.at - 1}"
            expected = self.reference.items[item.s - 1]
            assert text == expected or self.is_let_go(item), f"{text}, not {expected}"
            self.received[item.s] = text
            if not self.terms.keeps:
                self.acked = item.s
        self.hear_ack(self.session.ack_to_tell())

    def is_let_go(self, item: Item) -> bool:
        """Say whether it is a result that had to go because there was too much."""
        if not item.s or item.entry is None or self.terms.own_link:
            return False
        was = self.reference.items[item.s - 1].startswith(f"result {item.entry.n}:")
        return self.pressed and was and item.code == "OVER_BUDGET"

    def hear_ack(self, n: int) -> None:
        if n and self.terms.keeps:
            assert self.told_n < n == self.n
            self.told_n = n
            self.untold_since = None

    def attach(self, shown: str = "", seen: int = 0) -> None:
        self.keys += 1
        key = f"key {self.keys}" if self.terms.keeps else ""
        recovered = self.session.attach(key, shown, seen)
        lost = self.session.outbox.lost
        self.gaps = {s for first, last in lost for s in range(first, last + 1)}
        assert recovered == (not lost)
        assert lost == sorted(lost)
        assert all(first <= last for first, last in lost)
        assert all(s > seen and self.reference.items[s - 1].startswith("push") for s in self.gaps)
        assert self.pressed or not lost
        self.acked = max(self.acked, seen)
        self.at = self.acked
        self.good_keys = {key, shown} - {""}
        self.attached, self.stalled, self.heard = True, False, False
        self.asides = []
        self.told_n = self.n
        self.untold_since = self.ends_at = None
        assert self.session.ledger.highest == self.n
        self.after()

    def detach(self) -> None:
        self.attached = False
        if not self.terms.keeps:
            self.end()
            return
        self.session.detach(self.now)
        self.asides = []
        self.ends_at = self.now + self.terms.ttl
        self.untold_since = None

    def end(self) -> None:
        pending = self.session.end()
        assert pending == len(self.reference.pending)
        self.assert_nothing_held()
        assert self.session.wake_at == inf
        self.open()

    def assert_nothing_held(self) -> None:
        assert (self.budget.messages, self.budget.bytes) == (0, self.others)
        assert (self.node.messages, self.node.bytes) == (0, self.others + self.elsewhere)

    def speaks(self) -> None:
        if not self.heard:
            self.heard = True
            self.session.heard()
            self.good_keys -= {f"key {n}" for n in range(self.keys)}

    # The browser

    @precondition(lambda self: self.attached and self.session.may_read_browser)
    @rule(
        times=st.sampled_from([1, 1, 1, 3, ACK_EVERY, 40]),
        notify=st.booleans(),
        safe=st.booleans(),
        size=st.sampled_from([2, 20, 20, 20, 200, 300, MAX_MESSAGE + 1]),
        ttl=st.sampled_from([0.0, 2.0, 30.0, 30.0]),
    )
    def says(self, times: int, notify: bool, safe: bool, size: int, ttl: float) -> None:
        self.speaks()
        for _ in range(times):
            if not (self.attached and self.session.may_read_browser):
                return
            payload = f"message {self.n + 1}".ljust(size, ".").encode()[:size]
            asked = Asked(payload, notify, safe, size == 20, self.now + ttl)
            entry = self.entry(self.n + 1, asked)
            if len(self.session.ledger.entries) > 2 * self.terms.window + MOST_ASIDES:
                self.is_refused(partial(self.session.take, entry, self.now))
                return
            is_full = self.budget.is_full
            self.n += 1
            until = self.session.wake_at
            if self.session.take(entry, self.now, until):
                assert self.session.has_room()
                assert self.session.wake_at >= until
            self.reference.take(self.n, asked, is_full, self.now)
            assert (entry.outcome is None) == (self.n in self.reference.queue)
            if entry.outcome is None and self.untold_since is None:
                self.untold_since = self.now
            self.after()

    def entry(self, n: int, asked: Asked) -> Any:
        return message(
            n,
            asked.payload,
            notify=asked.notify,
            safe=asked.safe,
            binary=asked.binary,
            deadline=asked.deadline,
        )

    def is_refused(self, call: Any) -> None:
        try:
            call()
        except BadMessage:
            return
        raise AssertionError("taken")

    @precondition(lambda self: self.attached and self.terms.keeps and self.n)
    @rule(data=st.data(), change=st.sampled_from(["", "", "payload", "type", "kind", "deadline"]))
    def says_again(self, data: st.DataObject, change: str) -> None:
        self.repeats(data.draw(st.integers(1, self.n)), change)

    @precondition(lambda self: self.attached and self.terms.keeps)
    @rule()
    def says_all_again(self) -> None:
        """All that it knows no outcome for: it is impatient, or has come back."""
        for n in range(max(1, self.n - 9), self.n + 1):
            if self.attached and self.reference.outcomes.get(n, self.at + 1) > self.at:
                self.repeats(n, "")

    def repeats(self, n: int, change: str) -> None:
        self.speaks()
        asked = self.reference.asked[n]
        again = evolve(asked)
        if change == "payload":
            again.payload = again.payload[:-1] + b"!"
        elif change == "type":
            again.binary = not again.binary
        elif change == "kind":
            again.notify = not again.notify
        elif change == "deadline":
            again.deadline, again.safe = self.now + 99.0, not again.safe
        s = self.reference.outcomes.get(n)
        if s is not None and s <= self.acked:
            pass
        elif change in ("payload", "type", "kind"):
            self.asides.append(f"error {n} REUSED_ID")
        elif s is None:
            stage = "sent" if n in self.reference.was_sent else "accepted"
            self.asides.append(f"receipt {n} {stage}")
        elif s <= self.at:
            self.asides.append(self.reference.items[s - 1])
        entry = self.entry(n, again)
        assert not self.session.take(entry, self.now)
        assert entry.outcome is None
        self.after()

    @precondition(lambda self: self.attached)
    @rule(skipped=st.integers(1, 3))
    def says_out_of_turn(self, skipped: int) -> None:
        asked = Asked(b"{}", False, False, False, self.now + 5.0)
        entry = self.entry(self.n + 1 + skipped, asked)
        self.is_refused(lambda: self.session.take(entry, self.now))

    @precondition(lambda self: self.attached and self.terms.keeps)
    @rule(data=st.data(), honest=st.sampled_from([True, True, False]))
    def acknowledges(self, data: st.DataObject, honest: bool) -> None:
        self.speaks()
        highest = len(self.reference.items)
        s = self.at if honest else data.draw(st.integers(0, highest + 1))
        if s > highest:
            self.is_refused(lambda: self.session.acknowledge(s))
            return
        self.has_lied = self.has_lied or s > self.at  # then what would have told of it is gone
        self.session.acknowledge(s)
        self.acked = max(self.acked, s)
        self.at = max(self.at, s)
        self.after()

    @precondition(lambda self: self.attached)
    @rule()
    def does_not_read(self) -> None:
        self.stalled = True

    @precondition(lambda self: self.attached and self.stalled)
    @rule(most=st.integers(1, 9))
    def reads(self, most: int) -> None:
        self.deliver(most)
        self.after()

    @precondition(lambda self: self.attached and self.stalled)
    @rule()
    def reads_all(self) -> None:
        self.stalled = False
        self.after()

    @precondition(lambda self: self.attached)
    @rule(really=st.sampled_from([False, False, False, True]))
    def socket_is_lost(self, really: bool) -> None:
        if self.terms.keeps or really:
            self.detach()

    @precondition(lambda self: self.terms.keeps)
    @rule(
        data=st.data(),
        honest=st.sampled_from([True, True, True, False]),
        which=st.sampled_from(["last", "last", "last", "before", "wrong"]),
    )
    def comes(self, data: st.DataObject, honest: bool, which: str) -> None:
        """A new socket, perhaps beside one that is still there."""
        keys = {"last": f"key {self.keys}", "before": f"key {self.keys - 1}", "wrong": "no key"}
        highest = len(self.reference.items)
        seen = self.at if honest else data.draw(st.integers(0, highest + 1))
        key = keys[which] if self.keys else ""
        if self.keys:
            assert self.session.knows_key(key) == (key in self.good_keys)
            if key not in self.good_keys:
                return
        if seen > highest:
            before = self.session.generation
            self.is_refused(lambda: self.session.attach("no key", key, seen))
            assert self.session.generation == before
            return
        self.attach(key, seen)

    @rule(really=st.sampled_from([False] * 7 + [True]))
    def says_bye(self, really: bool) -> None:
        if really:
            self.end()

    # The link

    @precondition(lambda self: self.talk is None)
    @rule()
    def link_comes(self) -> None:
        self.talk = BackendV2("shop")
        self.calls = []
        self.session.link_up()
        self.reference.gives_up_at = None

    @precondition(lambda self: self.talk is not None)
    @rule()
    def link_goes(self) -> None:
        self.talk = None
        before = len(self.reference.items)
        items = self.session.link_lost(self.now)
        self.reference.link_lost(self.now)
        assert [say(item) for item in items] == self.reference.items[before:]
        self.after()

    @precondition(lambda self: self.talk is not None)
    @rule(most=st.sampled_from([1, 1, 2, 99]))
    def link_takes(self, most: int) -> None:
        assert self.talk is not None
        for _ in range(most):
            entry = self.session.next_for_link(self.now)
            n = self.reference.pull(self.now)
            assert (None if entry is None else entry.n) == n
            if entry is None or n is None:
                break
            frame = self.talk.order(self.session, entry, self.now)
            head, _, payload = frame.partition(b"\n")
            told = json.loads(head)
            asked = self.reference.asked[n]
            assert told["key"] == f"{SID}.{n}"
            assert payload == asked.payload
            assert told["ttl"] >= 1
            self.deliveries[n] = self.deliveries.get(n, 0) + 1
            assert self.deliveries[n] == 1 or (asked.safe and not asked.notify)
            if not asked.notify:
                self.calls.append((told["id"], n))
            self.session.sent(entry)
            self.reference.sent(n)
        self.after()

    @property
    def may_speak(self) -> bool:
        """Whether the backend is read: always, if others use its link, too."""
        full = self.attached and self.stalled
        return self.talk is not None and (
            not self.terms.own_link or (self.session.may_read_link and not full)
        )

    @precondition(lambda self: self.may_speak and self.calls)
    @rule(data=st.data(), size=st.sampled_from([0, 30, 300, MOST_RESULT]), last=st.booleans())
    def backend_answers(self, data: st.DataObject, size: int, last: bool) -> None:
        """In any order, perhaps twice, perhaps too late."""
        index = len(self.calls) - 1 if last else data.draw(st.integers(0, len(self.calls) - 1))
        self.answer(self.calls[index], size)

    def call_of(self, n: int) -> tuple[int, int]:
        """Return the last call of a message, and its number."""
        return max(each for each in self.calls if each[1] == n)

    def answer(self, asked: tuple[int, int], size: int) -> None:
        assert self.talk is not None
        call, n = asked
        payload = f"answer to {n}".ljust(size, ".").encode()[:size]
        said = self.talk.read(b'{"type":"result","id":%d}\n%b' % (call, payload))
        if n in self.reference.on_link:
            assert isinstance(said, Answer)
            assert (said.session, said.entry.n) == (self.session, n)
            assert said.entry.stage is SENT
            self.session.answered(said.entry, said.payload, said.is_binary, said.ok)
            self.reference.end(n, f"result {n}: {payload.decode()}")
        else:
            assert said == Stray("late")
        self.after()

    @precondition(lambda self: self.may_speak)
    @rule()
    def backend_answers_nobody(self) -> None:
        assert self.talk is not None
        assert self.talk.read(b'{"type":"result","id":99999}\n{}') == Stray("unknown")

    @precondition(lambda self: self.may_speak)
    @rule(times=st.integers(1, 4), size=st.sampled_from([0, 30, 300, MOST_RESULT]))
    def backend_pushes(self, times: int, size: int) -> None:
        for _ in range(times):
            if self.may_speak:
                payload = f"{len(self.reference.items)}".ljust(size, ".")
                self.reference.say(f"push: {payload}")
                self.session.push(payload.encode(), False)
                self.look_for_pressure()
                self.after()

    # The world

    @rule(seconds=st.sampled_from([0.0, 0.3, 0.3, ACK_WITHIN, ACK_WITHIN, 3.0, 11.0, 50.0]))
    def time_passes(self, seconds: float) -> None:
        until = self.now + seconds
        session = self.session
        for _ in range(1000):
            at = session.wake_at
            if at > until or at == inf:
                break
            self.now = max(self.now, at)
            if session.is_over(self.now):
                assert self.ends_at is not None
                assert self.ends_at <= self.now
                self.end()
                break
            abandoned = session.wake(self.now)
            given_up = self.reference.time(self.now)
            assert [entry.n for entry in abandoned] == given_up
            for entry in abandoned:
                assert self.talk is not None
                self.talk.forget(entry)
            at = session.wake_at
            assert at > self.now, "woken at once again"
            self.after()
            if session.life is Life.ENDED:
                break
        else:
            raise AssertionError("never at rest")
        self.now = until

    @rule(
        sizes=st.lists(st.sampled_from([0, 30, 300, MOST_RESULT]), min_size=1, max_size=9),
        safe=st.booleans(),
        answers=st.integers(0, 9),
        push=st.booleans(),
        stalled=st.booleans(),
    )
    def all_goes_well(
        self, sizes: list[int], safe: bool, answers: int, push: bool, stalled: bool
    ) -> None:
        """Much of what has to come together for anything to happen, in one step."""
        if self.talk is None:
            self.link_comes()
        if not self.attached:
            self.attach(f"key {self.keys}" if self.keys else "", self.at)
        self.stalled = stalled
        self.after()
        for size in sizes:
            if self.attached and self.session.may_read_browser:
                self.says(times=1, notify=False, safe=safe, size=20, ttl=30.0)
            if self.talk is None:
                return  # a browser that did not read was closed, and with it its session
            self.link_takes(most=1)
            if answers and self.may_speak and self.reference.on_link:
                self.answer(self.call_of(self.reference.on_link[0]), size)
                answers -= 1
            if push and self.may_speak:
                self.backend_pushes(times=1, size=size)

    @rule(much=st.sampled_from([0, 0, 0, 1000, 3500, MEMORY]), elsewhere=st.booleans())
    def others_take(self, much: int, elsewhere: bool) -> None:
        """Other sessions of the tenant, or other tenants, take memory or give it back."""
        if elsewhere:
            self.node.change(0, much - self.elsewhere)
            self.elsewhere = much
        else:
            self.budget.change(0, much - self.others)
            self.others = much

    # What must be true

    def look_for_pressure(self) -> None:
        """Note whether ever more was to be kept than there was room for."""
        unacked = self.reference.items[self.acked :]
        size = sum(ITEM_COST + len(text.encode()) for text in unacked)
        pending = self.reference.pending
        asked = sum(len(self.reference.asked[n].payload) for n in pending)
        self.pressed = self.pressed or (
            len(unacked) > self.terms.window
            or size > self.terms.window_bytes
            or len(unacked) + len(pending) >= HELD
            or self.others + self.elsewhere + size + asked >= MEMORY
        )

    @invariant()
    def pressure_is_noted(self) -> None:
        self.look_for_pressure()

    @invariant()
    def is_where_the_reference_is(self) -> None:
        session, reference = self.session, self.reference
        assert session.outbox.highest == len(reference.items)
        assert [entry.n for entry in session.ledger.unsent()] == reference.queue
        assert [entry.n for entry in session.ledger.sent()] == sorted(reference.on_link)
        assert (session.life is Life.ATTACHED) == self.attached
        kept = [n for n, s in reference.outcomes.items() if s > self.acked]
        assert set(session.ledger.entries) == {*reference.pending, *kept}

    @invariant()
    def is_woken_in_time(self) -> None:
        """For a deadline, for the end, and to tell the browser what has arrived."""
        at = self.session.wake_at
        due = [self.reference.next_due, self.ends_at]
        if self.untold_since is not None and self.terms.keeps and not self.stalled:
            due.append(self.untold_since + ACK_WITHIN)
        for each in due:
            assert each is None or at <= each

    @invariant()
    def who_is_read(self) -> None:
        pending = self.reference.pending
        size = sum(len(self.reference.asked[n].payload) for n in pending)
        has_room = (
            len(pending) <= self.terms.window
            and size <= self.terms.window_bytes
            and not self.budget.is_full
        )
        assert self.session.may_read_browser == (len(pending) <= 1 or has_room)

    @invariant()
    def all_is_told(self) -> None:
        """A browser that reads has all there is."""
        if self.attached and not self.stalled:
            missing = set(range(self.at + 1, len(self.reference.items) + 1)) - self.gaps
            assert not missing
            assert not self.asides
            told_of = self.n - self.told_n < ACK_EVERY
            assert told_of or self.has_lied or not self.terms.keeps

    @invariant()
    def memory_is_bounded(self) -> None:
        """By the window, one item more, and the little that says how a message has failed."""
        outbox, ledger = self.session.outbox, self.session.ledger
        outcomes = len(ledger.entries) - ledger.pending
        pushes = len(outbox) - outcomes
        most = self.terms.window_bytes + ITEM_COST + MOST_RESULT + outcomes * (ITEM_COST + 80)
        assert outcomes <= 2 * self.terms.window + MOST_ASIDES + 1
        if not self.attached:
            assert pushes <= self.terms.window
        assert pushes <= self.terms.window + 1 or self.stalled
        if self.terms.own_link or self.stalled:
            assert outbox.bytes <= most + self.terms.window_bytes
        else:
            assert outbox.bytes <= most

    @invariant()
    def budgets_are_kept(self) -> None:
        outbox, ledger = self.session.outbox, self.session.ledger
        outcomes = len(ledger.entries) - ledger.pending
        pushes = len(outbox) - outcomes
        assert self.budget.messages == len(ledger.entries) + pushes
        assert self.budget.bytes == self.others + ledger.pending_bytes + outbox.bytes
        assert self.node.bytes == self.budget.bytes + self.elsewhere
        assert self.node.messages == self.budget.messages

    def teardown(self) -> None:
        """In the end, when all is well again, every message has its one outcome."""
        if not hasattr(self, "session"):
            return
        self.others_take(0, False)
        self.others_take(0, True)
        if self.talk is None:
            self.link_comes()
        if not self.attached:
            self.attach(f"key {self.keys}" if self.keys else "", self.at)
        self.stalled = False
        self.after()
        for _ in range(200):
            if not self.reference.pending:
                break
            self.link_takes(1000)
            self.time_passes(31.0)
        asked, reference = self.reference.asked, self.reference
        assert set(reference.outcomes) == set(asked)
        assert len(set(reference.outcomes.values())) == len(asked)
        for n, s in reference.outcomes.items():
            assert s in self.received or s <= self.acked, f"{n} was never told {s}"
        if self.terms.keeps:
            self.session.acknowledge(self.at)
            self.session.acknowledge(len(reference.items))
        self.assert_nothing_held()
        self.time_passes(60.0)
        assert self.session.wake_at == inf
        assert self.told_n == self.n or self.has_lied or not self.terms.keeps
        self.end()


class AnyOrderTests(SynchronousTestCase):
    """No order of events breaks the promise."""

    def test_any_order(self) -> None:
        """Sockets, links, time, memory, honest browsers and others: one outcome for each
        message."""
        run_state_machine_as_test(
            SessionMachine,
            settings=settings(deadline=None, max_examples=200, stateful_step_count=60),
        )
