"""The gateway: who is let in, who keeps a place, and how it ends."""

from __future__ import annotations

import struct
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from attrs import evolve
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.internet import task
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.admission import Full
from orion_twisted.core.problems import ConfigError
from orion_twisted.core.settings import Limits, Settings, Tenant, TenantLimits
from orion_twisted.service.browser_door import full
from orion_twisted.service.gateway import Gateway
from orion_twisted.web.gate import STALLED_CLOSE_TIMEOUT
from tests.service.fakes import Backend
from tests.transports import Pipe

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
SHOP = Tenant(
    name="shop", hosts=("shop.example",), backend=("tcp:192.0.2.1:7000",), framing="line"
)
EDITOR = evolve(SHOP, name="editor", hosts=("editor.example",), path="/editor")
TEXT, CLOSE = 0x1, 0x8


class Port:
    """A listening port, in place of the system's."""

    def __init__(self) -> None:
        self.stopped = 0
        self.gone: Deferred[None] = Deferred()

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", 8889)

    def stopListening(self) -> Deferred[None]:
        self.stopped += 1
        return self.gone


class VisitorWire(Pipe):
    """A TCP connection from somewhere."""

    def __init__(self, clock: MemoryReactorClock, address: str) -> None:
        super().__init__(clock)
        self._address = address

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", self._address, 54321)


class Visitor:
    """A browser with one connection to the gateway."""

    def __init__(self, node: Node, address: str = "192.0.2.7") -> None:
        self._node = node
        self.wire = VisitorWire(node.clock, address)
        self.wire.connect(node.factory.buildProtocol(self.wire.getPeer()))

    def ask(self, path: str = "/", host: str = "shop.example", *more: str) -> None:
        """Send a request."""
        self.wire.hears(
            "\r\n".join([f"GET {path} HTTP/1.1", f"Host: {host}", *more, "", ""]).encode()
        )
        self._node.turn()

    def upgrade(self, path: str = "/ws", host: str = "shop.example", *more: str) -> None:
        """Ask for a WebSocket."""
        self.ask(
            path,
            host,
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {KEY}",
            *more,
        )

    @property
    def status(self) -> int | None:
        """The status of the first answer, if there is one."""
        return int(self.wire.taken.split(b" ", 2)[1]) if self.wire.taken else None

    @property
    def head(self) -> str:
        return self.wire.taken.partition(b"\r\n\r\n")[0].decode()

    @property
    def frames(self) -> list[tuple[int, bytes]]:
        """The frames after the answer: opcode and payload."""
        data = bytes(self.wire.taken.partition(b"\r\n\r\n")[2])
        found = []
        while data:
            assert data[1] < 126, "only short frames here"
            found.append((data[0] & 0xF, data[2 : 2 + data[1]]))
            data = data[2 + data[1] :]
        return found

    def send(self, opcode: int, payload: bytes) -> None:
        """Send one short frame; its mask changes nothing."""
        self.wire.hears(bytes([0x80 | opcode, 0x80 | len(payload), 0, 0, 0, 0]) + payload)
        self._node.turn()

    def say(self, text: str) -> None:
        self.send(TEXT, text.encode())

    def close(self, code: int = 1000) -> None:
        """Send a close frame."""
        self.send(CLOSE, struct.pack("!H", code))

    def vanish(self) -> None:
        """Be gone, without a word."""
        self.wire.hears_end()
        self._node.turn()

    @property
    def closed_with(self) -> int | None:
        """The code in the gateway's close frame, if there was one."""
        codes = [payload[:2] for opcode, payload in self.frames if opcode == CLOSE]
        return struct.unpack("!H", codes[0])[0] if codes else None

    @property
    def gone(self) -> bool:
        return self.wire.protocol is None


class Node:
    """A gateway with its clock, its listener and the backends of its tenants."""

    def __init__(self, *tenants: Tenant, **limits: Any) -> None:
        self.clock: Any = MemoryReactorClock()
        self.settings = Settings(tenants=tenants or (SHOP,), limits=Limits(**limits))
        self.backends = {each.name: Backend(self.clock) for each in self.settings.tenants}
        self.port = Port()
        self.factory: Any = None
        self.gateway = Gateway(
            self.settings,
            [self._listen],
            {name: [(f"tcp:{name}", backend)] for name, backend in self.backends.items()},
            self.clock,
        )
        self.gateway.privilegedStartService()
        self.gateway.startService()
        self.visitors: list[Visitor] = []

    def _listen(self, factory: Any) -> Any:
        self.factory = factory
        return succeed(self.port)

    @property
    def backend(self) -> Backend:
        return next(iter(self.backends.values()))

    def visitor(self, address: str = "192.0.2.7") -> Visitor:
        visitor = Visitor(self, address)
        self.visitors.append(visitor)
        self.turn()
        return visitor

    def browser(self, address: str = "192.0.2.7") -> Visitor:
        """Return one that is in, with its link."""
        visitor = self.visitor(address)
        visitor.upgrade()
        self.backend.accept()
        self.turn()
        assert visitor.status == 101, visitor.wire.taken
        return visitor

    def turn(self) -> None:
        """Let the reactor turn until nothing moves."""
        for _ in range(3):
            self.clock.advance(0)
            for each in self.visitors:
                each.wire.turn()
            for backend in self.backends.values():
                for wire in backend.wires:
                    wire.turn()

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.turn()

    def refused(self, reason: str = "") -> int:
        return self.gateway.counters.get("refused", reason)

    def stop(self) -> Deferred[None]:
        stopped = self.gateway.stopService()
        self.turn()
        return stopped

    def empty(self) -> None:
        """Let everybody go, as they would in the end."""
        for each in self.visitors:
            if not each.gone:
                each.wire.breaks()
        for backend in self.backends.values():
            for wire in backend.wires:
                wire.end()
        self.turn()

    @property
    def left_over(self) -> dict[str, int]:
        """What the gateway still keeps, by name; nothing once everybody has gone."""
        kept = {
            "handshakes": len(self.gateway._door._handshakes),
            "places": len(self.gateway._door._places),
            "places of": len(self.gateway._door._place_of),
            "gates": len(self.gateway._door._gates),
            "bridges": len(self.gateway._door._browsers),
            "timers": len(self.clock.getDelayedCalls()),
        }
        return {name: count for name, count in kept.items() if count}


class GatewayTestCase(SynchronousTestCase):
    """A gateway without sockets."""

    def node(self, *tenants: Tenant, **limits: Any) -> Node:
        """Return a gateway; in the end nothing may be left of what it kept."""
        node = Node(*tenants, **limits)
        self.addCleanup(self._look_for_remains, node)
        return node

    def _look_for_remains(self, node: Node) -> None:
        node.empty()
        self.assertEqual(node.left_over, {})


class AdmissionTests(GatewayTestCase):
    """A browser's way in."""

    def test_in(self) -> None:
        """A browser is answered once its link is up, and then talks to its backend."""
        node = self.node()
        visitor = node.visitor()
        visitor.upgrade()
        self.assertIsNone(visitor.status)
        link = node.backend.accept()
        node.turn()
        self.assertEqual(visitor.status, 101)
        visitor.say("hello")
        self.assertEqual(link.lines, ["hello"])
        link.answer(b"welcome\n")
        node.turn()
        self.assertEqual(visitor.frames, [(TEXT, b"welcome")])

    def test_an_impatient_browser(self) -> None:
        """What a browser says behind its handshake, before the answer, is not lost."""
        node = self.node()
        visitor = node.visitor()
        visitor.upgrade()
        visitor.say("first")
        link = node.backend.accept()
        node.turn()
        self.assertEqual(link.lines, ["first"])

    def test_subprotocol(self) -> None:
        """The browser's first choice that the tenant lists is what the answer says."""
        node = self.node(evolve(SHOP, subprotocols=("orion.v1", "orion.v2")))
        visitor = node.visitor()
        visitor.upgrade("/ws", "shop.example", "Sec-WebSocket-Protocol: x, orion.v2, orion.v1")
        node.backend.accept()
        node.turn()
        self.assertIn("Sec-WebSocket-Protocol: orion.v2", visitor.head)

    def test_no_backend(self) -> None:
        """No link within ``dial_timeout`` is 503, before the upgrade, with when to come back."""
        node = self.node()
        visitor = node.visitor()
        visitor.upgrade()
        node.advance(SHOP.dial_timeout)
        self.assertEqual(visitor.status, 503)
        self.assertIn("Retry-After: 5", visitor.head)
        self.assertEqual(node.refused("backend_down"), 1)
        self.assertTrue(visitor.gone)
        self.assertEqual(node.left_over, {})

    def test_gone_while_dialling(self) -> None:
        """A browser that goes away before its link is up takes its place and its dial along."""
        node = self.node()
        visitor = node.visitor()
        visitor.upgrade()
        visitor.vanish()
        self.assertTrue(node.backend.attempts[0].cancelled)
        self.assertEqual(node.left_over, {})

    def test_refusals_are_counted(self) -> None:
        """Unknown hosts and paths are refused, each with its status, and counted by reason."""
        node = self.node()
        for path, host, status, reason in (
            ("/ws", "other.example", 421, "host_unknown"),
            ("/other", "shop.example", 404, "path_unknown"),
            ("/ws", "shop.example", 426, "not_websocket"),
        ):
            visitor = node.visitor()
            visitor.ask(path, host)
            self.assertEqual((visitor.status, node.refused(reason)), (status, 1))
        self.assertEqual(node.refused(), 3)

    def test_counts_connections(self) -> None:
        """Connections are counted as they come, browsers once they are in."""
        node = self.node()
        node.visitor()
        node.browser()
        counters = node.gateway.counters
        self.assertEqual((counters.get("connections"), counters.get("browsers")), (2, 1))

    def test_a_bad_extension(self) -> None:
        """A handshake that the library refuses after all leaves nothing behind."""
        node = self.node(evolve(SHOP, compression=True))
        visitor = node.visitor()
        visitor.upgrade(
            "/ws", "shop.example", "Sec-WebSocket-Extensions: permessage-deflate; nonsense=1"
        )
        node.backend.accept()
        node.turn()
        self.assertEqual(visitor.status, 400)
        visitor.vanish()
        node.backend.wires[0].end()
        self.assertEqual(node.left_over, {})
        self.assertEqual(node.gateway.counters.get("browsers_closed"), 0)

    def test_slow_to_ask(self) -> None:
        """A connection that does not finish its request in ``handshake`` seconds is cut off."""
        node = self.node(handshake=2.0)
        visitor = node.visitor()
        node.advance(2)
        self.assertTrue(visitor.wire.aborted)
        self.assertEqual(node.refused("handshake_timeout"), 1)
        self.assertEqual(node.left_over, {})


class PlacesTests(GatewayTestCase):
    """Limits, and places that come back."""

    def test_full(self) -> None:
        """A full node or tenant is 503, a full address 429, each with when to come back."""
        for limit, reason, status in (
            (self.node(connections=1), "node_full", 503),
            (self.node(evolve(SHOP, limits=TenantLimits(connections=1))), "tenant_full", 503),
            (self.node(connections_per_ip=1), "address_full", 429),
        ):
            with self.subTest(reason):
                first = limit.browser()
                second = limit.visitor()
                second.upgrade()
                self.assertEqual((second.status, limit.refused(reason)), (status, 1))
                self.assertIn("Retry-After: 5", second.head)
                first.vanish()
                limit.browser()

    def test_the_words_of_full(self) -> None:
        """Each limit has its status."""
        statuses = {limit: full(limit).status for limit in Full}
        self.assertEqual(
            statuses,
            {
                Full.NODE: HTTPStatus.SERVICE_UNAVAILABLE,
                Full.TENANT: HTTPStatus.SERVICE_UNAVAILABLE,
                Full.ADDRESS: HTTPStatus.TOO_MANY_REQUESTS,
            },
        )

    def test_a_tenant_without_a_limit(self) -> None:
        """Where a tenant has no limit, that of the node holds."""
        node = self.node(connections=2)
        node.browser("192.0.2.1")
        node.browser("192.0.2.2")
        third = node.visitor("192.0.2.3")
        third.upgrade()
        self.assertEqual((third.status, node.refused("node_full")), (503, 1))

    def test_a_place_is_held_while_dialling(self) -> None:
        """Browsers that wait for their backend count: a flood of them fills no more than that."""
        node = self.node(connections=1)
        node.visitor().upgrade()
        second = node.visitor()
        second.upgrade()
        self.assertEqual((second.status, node.refused("node_full")), (503, 1))

    def test_idle_connections_take_no_place(self) -> None:
        """Connections that have not asked for anything keep nobody out."""
        node = self.node(connections=1)
        for _ in range(5):
            node.visitor()
        node.browser()

    def test_ways_out(self) -> None:
        """However a browser leaves, its place is free and nothing of it is kept."""
        ways: dict[str, Callable[[Node, Visitor], None]] = {
            "vanishes": lambda node, visitor: visitor.vanish(),
            "is reset": lambda node, visitor: visitor.wire.breaks(),
            "closes": lambda node, visitor: visitor.close(),
            "breaks the protocol": lambda node, visitor: visitor.send(0xF, b""),
            "is told to go": lambda node, visitor: visitor.say("two\nlines"),
            "loses its backend": lambda node, visitor: self.lose_backend(node),
        }
        for name, way in ways.items():
            with self.subTest(name):
                node = self.node(connections=1)
                visitor = node.browser()
                way(node, visitor)
                if not visitor.gone:
                    visitor.close()
                    visitor.vanish()
                for wire in node.backend.wires:
                    wire.end()
                self.assertTrue(visitor.gone)
                self.assertEqual(node.left_over, {})
                self.assertEqual(node.gateway.counters.get("browsers_closed"), 1)

    def lose_backend(self, node: Node) -> None:
        node.backend.wires[0].reset()
        for _ in range(400):
            if node.backend.dialling:
                node.backend.refuse()
            node.advance(0.1)


class PagePlacesTests(GatewayTestCase):
    """Connections that ask for pages."""

    def setUp(self) -> None:
        super().setUp()
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        (Path(folder.name) / "index.html").write_text("hello")
        self.home = evolve(SHOP, site=folder.name)

    def ask_for_a_page(self, node: Node, visitor: Visitor) -> int | None:
        """Return the status of the answer."""
        # Files are sent by a cooperator, which has a turn of the reactor for each piece.
        cooperator = task.Cooperator(scheduler=lambda call: node.clock.callLater(0, call))
        self.patch(task, "_theCooperator", cooperator)
        visitor.wire.taken.clear()
        visitor.ask("/")
        for _ in range(4):
            node.turn()
        status = visitor.status
        visitor.wire.taken.clear()
        return status

    def test_one_place(self) -> None:
        """A connection for pages has one place, however many it asks for."""
        node = self.node(self.home, connections=1)
        visitor = node.visitor()
        self.assertEqual([self.ask_for_a_page(node, visitor) for _ in range(3)], [200, 200, 200])
        self.assertEqual(self.ask_for_a_page(node, node.visitor()), 503)
        visitor.vanish()
        self.assertEqual(len(node.gateway._door._places), 0)

    def test_from_a_page_to_a_websocket(self) -> None:
        """A connection that has served a page may become a WebSocket, and keeps its one place."""
        node = self.node(self.home, connections=1)
        visitor = node.visitor()
        self.ask_for_a_page(node, visitor)
        visitor.upgrade()
        node.backend.accept()
        node.turn()
        self.assertEqual((visitor.status, len(node.gateway._door._places)), (101, 1))
        visitor.vanish()
        self.assertEqual(len(node.gateway._door._places), 0)

    def test_another_tenants_place(self) -> None:
        """A connection that asks one tenant, and then another, has its place with the last."""
        node = self.node(self.home, evolve(EDITOR, limits=TenantLimits(connections=1)))
        visitor = node.visitor()
        self.ask_for_a_page(node, visitor)
        places = node.gateway._door._places
        self.assertEqual((places.of_tenant("shop"), places.of_tenant("editor")), (1, 0))
        visitor.upgrade(EDITOR.path, "editor.example")
        self.assertEqual((places.of_tenant("shop"), places.of_tenant("editor")), (0, 1))
        node.backends["editor"].accept()
        node.turn()
        self.assertEqual(visitor.status, 101)

    def test_no_way_around_a_full_tenant(self) -> None:
        """A place with one tenant lets nobody into another that is full."""
        node = self.node(self.home, evolve(EDITOR, limits=TenantLimits(connections=1)))
        node.visitor().upgrade(EDITOR.path, "editor.example")
        visitor = node.visitor()
        self.ask_for_a_page(node, visitor)
        visitor.upgrade(EDITOR.path, "editor.example")
        self.assertEqual((visitor.status, node.refused("tenant_full")), (503, 1))
        self.assertEqual(node.gateway._door._places.of_tenant("shop"), 0)

    def test_a_page_under_way_is_finished(self) -> None:
        """A gateway that drains finishes the page that it is sending, and then closes."""
        node = self.node(self.home)
        node.port.gone.callback(None)
        visitor = node.visitor()
        visitor.wire.room = 0
        self.ask_for_a_page(node, visitor)
        stopped = node.stop()
        self.assertNoResult(stopped)
        visitor.wire.room = 10_000
        for _ in range(6):
            node.turn()
        self.assertEqual(visitor.wire.taken[-5:], b"hello")
        self.assertTrue(visitor.gone)
        self.successResultOf(stopped)


class HandshakesTests(GatewayTestCase):
    """Connections that have not asked yet."""

    def test_a_line(self) -> None:
        """Beyond ``pending_handshakes_per_ip`` connections of one address are served in turn."""
        node = self.node(pending_handshakes_per_ip=1)
        first, second = node.visitor(), node.visitor()
        self.assertEqual((first.wire.reading, second.wire.reading), (True, False))
        other = node.visitor("198.51.100.1")
        self.assertTrue(other.wire.reading)
        first.ask("/other")
        self.assertTrue(second.wire.reading)
        second.ask("/other")
        self.assertEqual((first.status, second.status), (404, 404))

    def test_a_flood(self) -> None:
        """When all places are taken, the longest line loses its last, and is counted."""
        node = self.node(pending_handshakes=4, pending_handshakes_per_ip=1)
        flood = [node.visitor() for _ in range(4)]
        other = node.visitor("198.51.100.1")
        self.assertEqual([each.gone for each in flood], [False, False, False, True])
        self.assertTrue(other.wire.reading)
        self.assertEqual(node.refused("pending_handshakes"), 1)
        one_more = node.visitor()
        self.assertTrue(one_more.gone)
        self.assertEqual(node.refused("pending_handshakes"), 2)
        other.ask("/other")
        self.assertEqual(other.status, 404)

    def test_a_fast_address(self) -> None:
        """An address that comes more often than ``connect_rate_per_ip`` is dropped; others not."""
        node = self.node(connect_rate_per_ip=3)
        visitors = [node.visitor() for _ in range(4)]
        self.assertEqual([each.gone for each in visitors], [False, False, False, True])
        self.assertEqual(node.refused("connect_rate"), 1)
        self.assertFalse(node.visitor("198.51.100.1").gone)
        node.advance(1)
        self.assertFalse(node.visitor().gone)

    def test_who_waits_may_go(self) -> None:
        """Who leaves the line is forgotten; who is first when it gets short goes on."""
        node = self.node(pending_handshakes_per_ip=1)
        first, second, third = node.visitor(), node.visitor(), node.visitor()
        second.wire.breaks()
        first.vanish()
        self.assertTrue(third.wire.reading)
        self.assertEqual(len(node.gateway._door._handshakes), 1)

    def test_everybody_too_slow(self) -> None:
        """A line of connections that never say anything is gone after ``handshake`` seconds."""
        node = self.node(pending_handshakes_per_ip=2, handshake=3.0)
        visitors = [node.visitor() for _ in range(6)]
        node.advance(3)
        self.assertTrue(all(each.gone for each in visitors))
        self.assertEqual(node.left_over, {})


class DrainTests(GatewayTestCase):
    """The end."""

    def test_nobody_there(self) -> None:
        """A gateway without browsers stops as soon as its ports have."""
        node = self.node()
        stopped = node.stop()
        self.assertNoResult(stopped)
        node.port.gone.callback(None)
        self.successResultOf(stopped)
        self.assertEqual(node.port.stopped, 1)
        self.assertEqual(node.left_over, {})

    def test_browsers_are_told(self) -> None:
        """Browsers are closed with 1001; the gateway stops once they have answered."""
        node = self.node()
        node.port.gone.callback(None)
        browsers = [node.browser(), node.browser()]
        stopped = node.stop()
        self.assertEqual([each.closed_with for each in browsers], [1001, 1001])
        browsers[0].close(1001)
        browsers[0].vanish()
        self.assertNoResult(stopped)
        browsers[1].close(1001)
        browsers[1].vanish()
        self.successResultOf(stopped)

    def test_cut_off(self) -> None:
        """Who has not gone after ``drain`` seconds is cut off."""
        node = self.node(drain=7.0)
        node.port.gone.callback(None)
        browser = node.browser()
        stopped = node.stop()
        node.advance(6.9)
        self.assertNoResult(stopped)
        node.advance(0.2)
        self.assertTrue(browser.wire.aborted)
        self.successResultOf(stopped)

    def test_cut_off_at_once(self) -> None:
        """With ``drain`` 0 nobody is waited for."""
        node = self.node(drain=0.0)
        node.port.gone.callback(None)
        browser = node.browser()
        stopped = node.stop()
        node.turn()
        self.assertTrue(browser.gone)
        self.successResultOf(stopped)

    def test_who_waits_for_a_backend(self) -> None:
        """A browser that waits for its backend is told at once: 503, draining."""
        node = self.node()
        node.port.gone.callback(None)
        visitor = node.visitor()
        visitor.upgrade()
        stopped = node.stop()
        self.assertEqual((visitor.status, node.refused("draining")), (503, 1))
        self.assertIn("Retry-After: 5", visitor.head)
        self.assertTrue(visitor.gone)
        self.successResultOf(stopped)

    def test_who_has_asked_nothing(self) -> None:
        """Connections that have not asked for anything are closed."""
        node = self.node(pending_handshakes_per_ip=1)
        node.port.gone.callback(None)
        visitors = [node.visitor() for _ in range(3)]
        stopped = node.stop()
        node.advance(STALLED_CLOSE_TIMEOUT)
        self.assertTrue(all(each.gone for each in visitors))
        self.successResultOf(stopped)

    def test_who_comes_late(self) -> None:
        """A connection that the system had accepted already is refused with 503."""
        node = self.node()
        node.browser()
        node.stop()
        late = node.visitor()
        late.upgrade()
        self.assertEqual((late.status, node.refused("draining")), (503, 1))
        self.assertIn("Retry-After: 5", late.head)

    def test_an_answer_under_way(self) -> None:
        """A refusal that is still on its way to a slow reader is waited for."""
        node = self.node()
        node.port.gone.callback(None)
        visitor = node.visitor()
        visitor.wire.room = 0
        visitor.ask("/other")
        stopped = node.stop()
        self.assertNoResult(stopped)
        visitor.wire.room = 10_000
        node.turn()
        self.assertEqual(visitor.status, 404)
        self.successResultOf(stopped)

    def test_an_answer_that_nobody_takes(self) -> None:
        """But not for longer than ``drain``."""
        node = self.node(drain=1.0)
        node.port.gone.callback(None)
        visitor = node.visitor()
        visitor.wire.room = 0
        visitor.ask("/other")
        stopped = node.stop()
        node.advance(1)
        self.assertTrue(visitor.wire.aborted)
        self.successResultOf(stopped)

    def test_stopped_twice(self) -> None:
        """Whoever stops the gateway is told when it has stopped, also the second one."""
        node = self.node()
        node.port.gone.callback(None)
        browser = node.browser()
        first = node.stop()
        second = node.stop()
        browser.close(1001)
        browser.vanish()
        self.successResultOf(first)
        self.successResultOf(second)
        self.successResultOf(node.stop())
        self.assertEqual(node.port.stopped, 1)
        self.assertEqual(len([each for each in browser.frames if each[0] == CLOSE]), 1)


class ListenTests(GatewayTestCase):
    """Where it listens."""

    def test_ports(self) -> None:
        """It knows its ports, the first of them by number."""
        node = self.node()
        self.assertEqual(node.gateway.ports, [cast(Any, node.port)])
        self.assertEqual(node.gateway.port, 8889)

    def test_a_port_that_is_taken(self) -> None:
        """A gateway that cannot listen does not start."""
        error = CannotListenError("127.0.0.1", 8889, OSError("Address already in use"))
        for first in (True, False):
            ports: list[Port] = []

            def listens(_: Any, ports: list[Port] = ports) -> Any:
                ports.append(Port())
                return succeed(ports[-1])

            listeners: list[Any] = [listens, lambda _: fail(error)]
            if first:
                listeners.reverse()
            clock: Any = MemoryReactorClock()
            gateway = Gateway(Settings(), listeners, {}, clock)
            failure = self.assertRaises(ConfigError, gateway.privilegedStartService)
            self.assertEqual(
                str(failure),
                f"listen[{int(not first)}]: "
                "cannot listen on 127.0.0.1:8889: Address already in use",
            )


class GatewayMachine(RuleBasedStateMachine):
    """Visitors who come, ask, talk and go in any order, with limits on everything."""

    @initialize(
        connections=st.integers(1, 4), pending=st.integers(1, 5), per_address=st.integers(1, 3)
    )
    def begin(self, connections: int, pending: int, per_address: int) -> None:
        self.node = Node(
            SHOP,
            EDITOR,
            connections=connections,
            connections_per_ip=3,
            pending_handshakes=pending,
            pending_handshakes_per_ip=per_address,
        )
        self.node.port.gone.callback(None)
        self.most = connections
        self.stops: list[Deferred[None]] = []

    def anybody(self, data: st.DataObject) -> Visitor:
        return data.draw(st.sampled_from([each for each in self.node.visitors if not each.gone]))

    def somebody_is_here(self) -> bool:
        return any(not each.gone for each in self.node.visitors)

    @rule(address=st.sampled_from(["192.0.2.1", "192.0.2.2"]))
    def comes(self, address: str) -> None:
        self.node.visitor(address)

    @precondition(somebody_is_here)
    @rule(data=st.data(), tenant=st.sampled_from([SHOP, EDITOR]))
    def asks(self, data: st.DataObject, tenant: Tenant) -> None:
        self.anybody(data).upgrade(tenant.path, tenant.hosts[0])

    @precondition(somebody_is_here)
    @rule(data=st.data())
    def asks_for_nothing_that_there_is(self, data: st.DataObject) -> None:
        self.anybody(data).ask("/other")

    @precondition(somebody_is_here)
    @rule(data=st.data())
    def talks(self, data: st.DataObject) -> None:
        self.anybody(data).say("hello")

    @precondition(somebody_is_here)
    @rule(data=st.data(), way=st.sampled_from(["close", "vanish", "break"]))
    def goes(self, data: st.DataObject, way: str) -> None:
        visitor = self.anybody(data)
        if way == "close":
            visitor.close()
        elif way == "vanish":
            visitor.vanish()
        else:
            visitor.wire.breaks()
            self.node.turn()

    @rule(name=st.sampled_from(["shop", "editor"]), accepts=st.booleans())
    def backend_answers(self, name: str, accepts: bool) -> None:
        backend = self.node.backends[name]
        waiting = [each for each in backend.attempts if not each.over]
        if waiting and accepts:
            backend.wires.append(waiting[0].accept(stalls=False))
        elif waiting:
            waiting[0].refuse()
        self.node.turn()

    @rule(name=st.sampled_from(["shop", "editor"]), data=st.data())
    def backend_goes(self, name: str, data: st.DataObject) -> None:
        wires = [each for each in self.node.backends[name].wires if not each.lost]
        if wires:
            wire = data.draw(st.sampled_from(wires))
            data.draw(st.sampled_from([wire.fin, wire.reset]))()
            self.node.turn()

    @rule(seconds=st.sampled_from([0.1, 1.0, 6.0, 31.0]))
    def time_passes(self, seconds: float) -> None:
        self.node.advance(seconds)

    @precondition(lambda self: len(self.stops) < 2)
    @rule(sure=st.integers(0, 5))
    def stops_being(self, sure: int) -> None:
        if sure == 0:
            self.stops.append(self.node.stop())

    @invariant()
    def limits_hold(self) -> None:
        assert len(self.node.gateway._door._places) <= self.most
        inside = sum(each.status == 101 and not each.gone for each in self.node.visitors)
        assert inside <= self.most

    @invariant()
    def places_are_somebodys(self) -> None:
        gateway = self.node.gateway
        assert len(gateway._door._places) == len(gateway._door._place_of)
        assert set(gateway._door._place_of) <= gateway._door._gates | gateway._door._browsers

    def teardown(self) -> None:
        self.stops.append(self.node.stop())
        self.node.empty()
        self.node.advance(0)
        assert self.node.left_over == {}
        assert all(stopped.called for stopped in self.stops)


class AnyOrderTests(SynchronousTestCase):
    """No order of visitors leaves anything behind."""

    def test_any_order(self) -> None:
        """Limits hold, and when everybody has gone nothing is kept, and no timer runs."""
        run_state_machine_as_test(
            GatewayMachine,
            settings=hypothesis_settings(deadline=None, max_examples=100, stateful_step_count=40),
        )
