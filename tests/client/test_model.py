"""
The session against a gateway in memory, with sockets cut anywhere: one outcome for each message.

Hypothesis chooses what happens, in which order: messages, answers, pushes, time, cuts that lose
what is on its way, sessions that the gateway forgets, sockets that are replaced.
"""

from __future__ import annotations

from attrs import define
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from orion_twisted.client.conversation import (
    Action,
    Attached,
    ComeBack,
    Deliver,
    Fault,
    Remark,
    Send,
    Settle,
)
from orion_twisted.client.failures import MessageFailed, OfflineQueueFull, TooLarge
from orion_twisted.client.limits import ClientLimits
from orion_twisted.client.outbound import Kind
from orion_twisted.client.outcomes import Receipt, Result
from orion_twisted.client.session import ACK_AFTER, Session
from tests.client.model import ModelGateway, ModelSession, ModelSocket

LIMITS = ClientLimits(queue_messages=12, queue_bytes=400, timeout=60.0)


@define
class Sent:
    """A message of the test, and what its owner has heard."""

    name: str
    kind: Kind
    payload: bytes
    is_binary: bool
    is_safe: bool
    outcomes: list[object]
    is_cancelled: bool = False


class Faults(RuleBasedStateMachine):
    """One client, one gateway, and everything that can happen to them."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.session = Session(LIMITS)
        self.gateway = ModelGateway()
        self.socket: ModelSocket | None = None
        self.on_the_way: list[tuple[bytes, bool]] = []
        self.by_ticket: dict[int, Sent] = {}
        self.sent: list[Sent] = []
        self.pushed: dict[str, list[str]] = {}
        self.heard: list[str] = []
        self.told_loss = 0

    # The shell, in small

    def do(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Send(payload, is_binary):
                    if self.socket is not None:
                        self.on_the_way.append((payload, is_binary))
                case Settle(ticket, outcome):
                    self.by_ticket[ticket].outcomes.append(outcome)
                case Deliver(push):
                    self.heard.append(push.text)
                case Attached(replaced, lost):
                    self.told_loss = lost + (0 if replaced else self.told_loss)
                case Fault(why) | Remark(why):
                    raise AssertionError(why)
                case ComeBack():
                    pass

    def lose_socket(self) -> None:
        assert self.socket is not None
        self.gateway.cut(self.socket)
        self.socket = None
        self.on_the_way.clear()
        self.do(self.session.lost(self.now))

    def carry_up(self, count: int) -> None:
        for _ in range(min(count, len(self.on_the_way))):
            assert self.socket is not None
            message, is_binary = self.on_the_way.pop(0)
            self.socket.receive(message, is_binary, self.now)

    def carry_down(self, count: int) -> None:
        for _ in range(count):
            if self.socket is None or not self.socket.out:
                return
            message, is_binary = self.socket.out.pop(0)
            self.do(self.session.received(message, is_binary, self.now))

    # What happens

    @rule(
        kind=st.sampled_from(Kind),
        size=st.sampled_from([0, 0, 0, 10, 30, 76, 90]),
        is_binary=st.booleans(),
        is_safe=st.booleans(),
        timeout=st.sampled_from([None, None, 2.0, 20.0]),
    )
    def submit(
        self, kind: Kind, size: int, is_binary: bool, is_safe: bool, timeout: float | None
    ) -> None:
        name = f"m{len(self.sent)}"
        payload = name.encode() + b" " * size
        try:
            ticket, actions = self.session.submit(
                kind, payload, is_binary, self.now, timeout=timeout, repeat_safe=is_safe
            )
        except (OfflineQueueFull, TooLarge):
            return
        sent = Sent(name, kind, payload, is_binary, is_safe, [])
        self.by_ticket[ticket] = sent
        self.sent.append(sent)
        self.do(actions)

    @rule(data=st.data())
    @precondition(lambda self: any(not each.outcomes for each in self.sent))
    def cancel(self, data: st.DataObject) -> None:
        ticket = data.draw(
            st.sampled_from([key for key, sent in self.by_ticket.items() if not sent.outcomes])
        )
        self.by_ticket[ticket].is_cancelled = True
        self.session.cancel(ticket)

    @rule()
    @precondition(lambda self: self.socket is None)
    def connect(self) -> None:
        self.socket = self.gateway.connect()
        self.do(self.session.opened(self.now))

    @rule(count=st.integers(1, 12))
    @precondition(lambda self: self.on_the_way)
    def upwards(self, count: int) -> None:
        self.carry_up(count)

    @rule(count=st.integers(1, 12))
    @precondition(lambda self: self.socket is not None and self.socket.out)
    def downwards(self, count: int) -> None:
        self.carry_down(count)

    @rule()
    @precondition(lambda self: self.socket is not None)
    def flow(self) -> None:
        assert self.socket is not None
        for _ in range(3):
            self.carry_up(len(self.on_the_way))
            self.carry_down(len(self.socket.out))

    @rule()
    @precondition(lambda self: self.socket is not None)
    def cut(self) -> None:
        self.lose_socket()

    @rule(restarts=st.booleans(), up=st.integers(1, 5), down=st.integers(0, 5))
    def bounce(self, restarts: bool, up: int, down: int) -> None:
        """Come back at once, to the same gateway or to one that knows nothing any more."""
        if self.socket is not None:
            self.lose_socket()
        if restarts:
            self.forget()
        self.connect()
        self.carry_up(up)
        self.carry_down(down)

    @rule(data=st.data(), verdict=st.sampled_from(["ok", "ok", "not ok", "BACKEND_DOWN"]))
    @precondition(lambda self: self.gateway.pending())
    def answer(self, data: st.DataObject, verdict: str) -> None:
        pending = self.gateway.pending()
        session, entry = pending[data.draw(st.integers(0, len(pending) - 1))]
        if verdict == "BACKEND_DOWN":
            self.gateway.fail(session, entry, "OUTCOME_UNKNOWN")
        else:
            self.gateway.answer(session, entry, verdict == "ok")

    @rule(count=st.integers(1, 20))
    @precondition(lambda self: self.gateway.sessions)
    def push(self, count: int) -> None:
        for session in self.gateway.sessions.values():
            for _ in range(count):
                pushed = self.pushed.setdefault(session.sid, [])
                pushed.append(f"{session.sid} push {len(pushed)}")
                self.gateway.push(session, pushed[-1].encode())

    @rule()
    @precondition(lambda self: self.socket is not None and self.gateway.sessions)
    def repeat(self) -> None:
        for session in self.gateway.sessions.values():
            self.gateway.repeat(session)

    @rule()
    @precondition(lambda self: self.socket is None and self.gateway.sessions)
    def run_out_of_room(self) -> None:
        for session in self.gateway.sessions.values():
            self.gateway.lose_pushes(session)

    @rule()
    @precondition(lambda self: self.socket is None and self.gateway.sessions)
    def forget(self) -> None:
        for session in list(self.gateway.sessions.values()):
            self.gateway.forget(session)

    @rule(seconds=st.sampled_from([0.1, 1.0, 3.0, 30.0]))
    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        while self.session.wake_at is not None and self.session.wake_at <= until:
            self.now = max(self.now, self.session.wake_at)
            self.do(self.session.tick(self.now))
        self.now = until
        self.do(self.session.tick(self.now))

    # What always holds

    @invariant()
    def at_most_one_outcome(self) -> None:
        for sent in self.sent:
            assert len(sent.outcomes) <= (0 if sent.is_cancelled else 1), sent

    @invariant()
    def not_done_twice(self) -> None:
        for sent in self.sent:
            assert sent.is_safe or self.gateway.deliveries[sent.name] <= 1, sent

    def teardown(self) -> None:
        """Let everything arrive, then look at what is left."""
        if self.socket is not None:
            self.lose_socket()
        self.connect()
        assert self.socket is not None
        for _ in range(100):
            self.carry_up(len(self.on_the_way))
            self.carry_down(len(self.socket.out))
            for session, entry in self.gateway.pending():
                self.gateway.answer(session, entry)
        assert len(self.session) == 0
        for sent in self.sent:
            self.judge(sent)
        self.judge_pushes()
        self.judge_order()
        # The last acknowledgement comes by itself: the gateway has nothing more to keep.
        self.wait(ACK_AFTER)
        self.carry_up(len(self.on_the_way))
        assert self.socket.session is not None
        assert self.socket.session.outbox == []
        self.do(self.session.leave("the test is over"))
        self.carry_up(len(self.on_the_way))
        assert not self.socket.is_open

    def judge(self, sent: Sent) -> None:
        deliveries = self.gateway.deliveries[sent.name]
        if sent.is_cancelled:
            assert sent.outcomes == []
            return
        (outcome,) = sent.outcomes
        if isinstance(outcome, Result):
            assert sent.kind is Kind.REQUEST
            assert (outcome.payload, outcome.is_binary) == (sent.payload, sent.is_binary)
            assert deliveries >= 1
        elif isinstance(outcome, Receipt):
            assert sent.kind is Kind.NOTIFY
            assert outcome == Receipt("sent")
            assert deliveries >= 1
        else:
            assert isinstance(outcome, MessageFailed)
            if outcome.was_done is False:
                assert deliveries == 0, (sent, outcome)

    def judge_pushes(self) -> None:
        """In order, none twice; none missing from a session that lives but those told to be."""
        for session in self.sessions():
            heard = [each for each in self.heard if each.startswith(f"{session.sid} ")]
            pushed = self.pushed.get(session.sid, [])
            assert heard == [each for each in pushed if each in heard]
        current = self.socket.session if self.socket is not None else None
        assert session is current
        assert len(pushed) - len(heard) == self.told_loss

    def judge_order(self) -> None:
        """In each session first come, first served."""
        for session in self.sessions():
            numbers = [int(each.removeprefix("m")) for each in session.delivered]
            assert numbers == sorted(numbers)

    def sessions(self) -> list[ModelSession]:
        return [*self.gateway.ended, *self.gateway.sessions.values()]


Faults.TestCase.settings = settings(
    max_examples=200,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
FaultsTests = Faults.TestCase
