"""A session of ``orion.v2``, and short ways to say what happens to it; time is a number."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.client.conversation import (
    Action,
    Fault,
    Send,
    Settle,
)
from orion_twisted.client.failures import (
    MessageFailed,
)
from orion_twisted.client.limits import ClientLimits
from orion_twisted.client.outbound import Kind
from orion_twisted.client.session import Session
from tests.client.model import join, split
from tests.vectors import vector

SID = "AgICAgICAgICAgIC"


class SessionTestCase(SynchronousTestCase):
    """A session, and short ways to say what happens to it."""

    limits = ClientLimits(queue_messages=4, queue_bytes=100, timeout=30.0, patience=0.5)

    def setUp(self) -> None:
        self.session = Session(self.limits)
        self.now = 0.0

    def request(self, payload: bytes = b"x", **options: Any) -> tuple[int, list[Action]]:
        return self.session.submit(Kind.REQUEST, payload, False, self.now, **options)

    def notify(self, payload: bytes = b"x", **options: Any) -> tuple[int, list[Action]]:
        return self.session.submit(Kind.NOTIFY, payload, False, self.now, **options)

    def hear(self, header: dict[str, Any], payload: bytes | None = None) -> list[Action]:
        return self.session.received(join(header, payload), False, self.now)

    def open(self) -> list[Action]:
        return self.session.opened(self.now)

    def welcome(self, **changes: Any) -> list[Action]:
        return self.hear({**json.loads(vector("welcome").octets), **changes})

    def online(self, **changes: Any) -> None:
        self.open()
        self.welcome(**changes)

    def lost(self) -> list[Action]:
        return self.session.lost(self.now)

    def tick(self, now: float) -> list[Action]:
        self.now = now
        return self.session.tick(now)

    @staticmethod
    def headers(actions: Iterable[Action]) -> list[dict[str, Any]]:
        """Return the headers of what is sent."""
        return [split(each.payload)[0] for each in actions if isinstance(each, Send)]

    def settled(self, actions: Iterable[Action]) -> dict[int, object]:
        """Return outcomes by ticket."""
        settled = [each for each in actions if isinstance(each, Settle)]
        outcomes = {each.ticket: each.outcome for each in settled}
        self.assertEqual(len(outcomes), len(settled))
        return outcomes

    def assert_fails(self, actions: Iterable[Action], ticket: int, kind: type) -> MessageFailed:
        """Check that exactly one message has an outcome, a failure; return it."""
        outcomes = self.settled(actions)
        self.assertEqual(list(outcomes), [ticket])
        failure = outcomes[ticket]
        self.assertIs(type(failure), kind)
        assert isinstance(failure, MessageFailed)
        return failure

    def assert_fault(self, actions: list[Action], reason: str) -> None:
        (fault,) = actions
        assert isinstance(fault, Fault), fault
        self.assertIn(reason, fault.why)
