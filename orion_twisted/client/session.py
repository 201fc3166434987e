"""
A session of ``orion.v2``, across its sockets: numbers, acknowledgements, resume.

Where a message of the gateway would leave a hole in its numbering, or answers what was never
asked, the contract is broken and the session cannot be trusted any more: `Fault`.
"""

from __future__ import annotations

from collections import deque

from orion_twisted.client import wire
from orion_twisted.client.conversation import (
    Action,
    Attached,
    ComeBack,
    Conversation,
    Deliver,
    Fault,
    Happening,
    Phase,
    Remark,
    Send,
)
from orion_twisted.client.failures import failure_of
from orion_twisted.client.limits import ClientLimits
from orion_twisted.client.outbound import Kind, Message
from orion_twisted.client.outcomes import Push, Receipt, Result
from orion_twisted.client.wire import WireError

ACK_MESSAGES = 16
"""How many messages of the gateway are acknowledged together, at most."""
ACK_SHARE = 4
"""The part of ``window_bytes`` after which they are acknowledged, however few they are: a gateway
that has so much to keep may hold its backend back."""
ACK_AFTER = 1.0
"""Seconds that an acknowledgement waits for a message that it can go with."""


class Session(Conversation):
    """The client's side of a session."""

    subprotocol = "orion.v2"

    def __init__(self, limits: ClientLimits) -> None:
        super().__init__(limits)
        self._sid: str | None = None
        self._key = ""
        self._seen = 0
        self._lost: deque[tuple[int, int]] = deque()
        self._last_lost = 0  # the highest number that a welcome has told to be lost
        self._acknowledged = 0
        self._bytes = 0  # of payload that is not acknowledged
        self._ack_at: float | None = None

    @property
    def wake_at(self) -> float | None:
        instants = [each for each in (self._outbound.wake_at, self._ack_at) if each is not None]
        return min(instants, default=None)

    def _attach(self, now: float, token: str | None) -> list[Action]:
        return [Send(wire.hello(self._sid, self._key, self._seen, token))]

    def _left_alone(self, now: float) -> list[Action]:
        self._ack_at = None
        return []

    def _farewell(self) -> list[Action]:
        self._ack_at = None
        return [Send(wire.BYE)]

    def _write(self, message: Message, now: float) -> Send:
        ack = self._take_ack()
        ttl = max(int((message.deadline - now) * 1000), 0)
        if message.is_ghost:
            ttl = 0  # nobody waits for it: if it has not been delivered, it need not be
        number, payload = message.number, message.payload
        if message.kind is Kind.NOTIFY:
            octets = wire.notify(number, ttl, ack, payload)
        else:
            octets = wire.request(number, ttl, message.repeat_safe, ack, payload)
        return Send(octets, message.is_binary)

    def _due(self, now: float) -> list[Action]:
        if self._ack_at is None or now < self._ack_at:
            return []
        return self._acknowledge_alone()

    def _read(self, message: bytes, is_binary: bool, now: float) -> list[Action]:
        try:
            header, payload = wire.read(message, is_binary)
            if self.phase is Phase.ATTACHING:
                if not isinstance(header, wire.Welcome):
                    raise WireError("something before the welcome")
                return self._welcomed(header, now)
            return self._heard(header, payload, is_binary, now)
        except WireError as error:
            return [Fault(str(error))]

    def _welcomed(self, welcome: wire.Welcome, now: float) -> list[Action]:
        is_new = welcome.sid != self._sid
        if welcome.ack > (0 if is_new else self._outbound.last_number):
            raise WireError("a welcome that acknowledges what was never sent")
        if is_new and (welcome.recovered or welcome.lost):
            raise WireError("a welcome to a new session that goes on with an old one")
        had_one = self._sid is not None
        self._sid, self._key = welcome.sid, welcome.key
        self._window, self._window_bytes = welcome.window, welcome.window_bytes
        self._most = welcome.message
        actions: list[Action] = []
        if is_new:
            self._seen = self._acknowledged = self._last_lost = 0
            self._lost.clear()
            actions += self._begin_again()
        else:
            self._acknowledged = self._seen  # `hello` has said so
            self._lost = _checked(welcome.lost, self._seen)
            self._pass_over_lost()
        self._move(Happening.ATTACHED)
        actions.append(Attached(is_new and had_one, self._newly_lost(welcome.lost)))
        # Even what nobody waits for any more: the numbers have to go on without a gap.
        actions += [self._write(each, now) for each in self._outbound.sent_above(welcome.ack)]
        return actions

    def _heard(
        self, header: wire.Header, payload: bytes, is_binary: bool, now: float
    ) -> list[Action]:
        if isinstance(header, wire.Welcome):
            raise WireError("a second welcome")
        if header.ack > self._outbound.last_number:
            raise WireError("an acknowledgement of what was never sent")
        match header:
            case wire.Drain(within=within):
                self._move(Happening.DRAIN)
                return [ComeBack(within / 1000)]
            case wire.GatewayAck() | wire.GatewayReceipt(s=None):
                return []
            case wire.GatewayError(s=None, code=code, message=text):
                return [Remark(f"the gateway on a repetition: {code}: {text}")]
        assert header.s is not None
        if not self._is_news(header.s):
            return []
        actions = self._note_arrival(len(payload), now)
        if isinstance(header, wire.GatewayPush):
            return [Deliver(Push(payload, is_binary)), *actions]
        return [*self._outcome(header, payload, is_binary), *actions]

    def _outcome(
        self,
        header: wire.GatewayResult | wire.GatewayReceipt | wire.GatewayError,
        payload: bytes,
        is_binary: bool,
    ) -> list[Action]:
        message = self._outbound.find_sent(header.n)
        if message is None:
            raise WireError("an outcome of what has none to come")
        match header, message.kind:
            case wire.GatewayResult(ok=ok), Kind.REQUEST:
                return self._settle(message, Result(payload, is_binary, ok))
            case wire.GatewayReceipt(stage=stage), Kind.NOTIFY:
                return self._settle(message, Receipt(stage))
            case wire.GatewayError(code=code, message=text), _:
                return self._settle(message, failure_of(code, text))
        raise WireError("a receipt for a request, or a result for a notification")

    # The gateway's numbers

    def _is_news(self, number: int) -> bool:
        """Take note of a number; say whether it has not been seen before."""
        if number <= self._seen:
            return False
        if number != self._seen + 1:
            raise WireError(f"message {number} after {self._seen}")
        self._seen = number
        self._pass_over_lost()
        return True

    def _pass_over_lost(self) -> None:
        while self._lost and self._lost[0][0] == self._seen + 1:
            self._seen = self._lost.popleft()[1]

    def _newly_lost(self, lost: list[tuple[int, int]]) -> int:
        """Return how many have been lost; those that stand behind unseen ones are told again."""
        told = self._last_lost
        self._last_lost = max([told, *(last for _, last in lost)])
        return sum(max(last - max(first, told + 1) + 1, 0) for first, last in lost)

    def _note_arrival(self, size: int, now: float) -> list[Action]:
        self._bytes += size
        is_much = self._bytes * ACK_SHARE >= self._window_bytes
        if is_much or self._seen - self._acknowledged >= ACK_MESSAGES:
            return self._acknowledge_alone()
        if self._ack_at is None:
            self._ack_at = now + ACK_AFTER
        return []

    def _acknowledge_alone(self) -> list[Action]:
        ack = self._take_ack()
        return [] if ack is None else [Send(wire.acknowledge(ack))]

    def _take_ack(self) -> int | None:
        """Return what is to be acknowledged with the message that goes out now."""
        self._ack_at = None
        self._bytes = 0
        if self._seen == self._acknowledged:
            return None
        self._acknowledged = self._seen
        return self._seen


def _checked(lost: list[tuple[int, int]], seen: int) -> deque[tuple[int, int]]:
    before = seen
    for first, last in lost:
        if not before < first <= last:
            raise WireError("lost messages that are out of order, or were seen")
        before = last
    return deque(lost)
