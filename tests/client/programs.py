"""A client of a program, against a gateway made by hand; time is a clock's."""

from __future__ import annotations

import json
from typing import Any

import txaio
from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.client.failures import (
    MessageFailed,
)
from orion_twisted.client.orion import OrionClient
from orion_twisted.client.outcomes import Push
from orion_twisted.client.states import Online, State
from tests.client.model import split
from tests.client.peer import Door, Peer
from tests.vectors import vector


class ClientTestCase(SynchronousTestCase):
    """A client, a clock, and what it dials."""

    def setUp(self) -> None:
        self.clock: Any = MemoryReactorClock()
        self.patch(txaio.config, "loop", self.clock)
        self.door = Door(self.clock)
        self.chance = 1.0
        self.states: list[State] = []
        self.pushes: list[Push] = []

    def client(self, url: str = "ws://localhost:8888/ws", **options: Any) -> OrionClient:
        """Return a client that has been started."""
        client = self.new_client(url, **options)
        client.start()
        return client

    def new_client(self, url: str = "ws://localhost:8888/ws", **options: Any) -> OrionClient:
        client = OrionClient(
            url,
            endpoint=self.door,
            reactor=self.clock,
            random=lambda: self.chance,
            **options,
        )
        client.on_state(self.states.append)
        client.on_push(self.pushes.append)
        return client

    def welcome(self, **changes: Any) -> bytes:
        return json.dumps({**json.loads(vector("welcome").octets), **changes}).encode()

    def let_in(self, **changes: Any) -> Peer:
        """Welcome the client that has connected."""
        peer = self.door.accept()
        peer.upgrade("orion.v2")
        (hello,) = peer.messages()
        self.assertEqual(split(hello)[0]["type"], "hello")
        peer.send(self.welcome(**changes))
        return peer

    def online(self, **options: Any) -> tuple[OrionClient, Peer]:
        client = self.client(**options)
        peer = self.let_in()
        self.assertIsInstance(client.state, Online)
        self.states.clear()
        return client, peer

    def failure(self, deferred: Deferred[Any], kind: type[MessageFailed]) -> MessageFailed:
        error = self.failureResultOf(deferred, kind).value
        assert isinstance(error, kind)
        return error
