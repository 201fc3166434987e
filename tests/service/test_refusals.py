"""What the log has of a refusal: who, of which tenant, and why."""

from __future__ import annotations

from typing import Any

from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from zope.interface import provider

from tests.service.test_gateway import GatewayTestCase

PEER = "192.0.2.7"


class RefusalEventTests(GatewayTestCase):
    """Each refusal is one event, with fields for programs and a line for people."""

    def setUp(self) -> None:
        super().setUp()
        self.events: list[LogEvent] = []

        @provider(ILogObserver)
        def observer(event: LogEvent) -> None:
            if str(event.get("log_format")).startswith(("refusing", "dropping")):
                self.events.append(event)

        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def assert_told(self, line: str, tenant: str | None, status: int, reason: str) -> None:
        (event,) = self.events
        self.events.clear()
        said: dict[str, Any] = {key: event[key] for key in ("peer", "tenant", "status", "reason")}
        self.assertEqual(
            said, {"peer": PEER, "tenant": tenant, "status": status, "reason": reason}
        )
        self.assertEqual(formatEvent(event), line)

    def test_of_a_tenant(self) -> None:
        """A refusal in a tenant's name says whose it is, by whichever rule it came."""
        node = self.node(connections=1)
        node.visitor(PEER).upgrade("/nothing")
        self.assert_told(f"refusing {PEER} of shop: 404 path_unknown", "shop", 404, "path_unknown")
        node.visitor(PEER).upgrade("/ws", "shop.example", "Origin: https://evil.example")
        self.assert_told(f"refusing {PEER} of shop: 403 origin", "shop", 403, "origin")
        node.browser()
        node.visitor(PEER).upgrade()
        self.assert_told(f"refusing {PEER} of shop: 503 node_full", "shop", 503, "node_full")

    def test_of_nobody(self) -> None:
        """One for a host that nobody has, or for what is no request, has no tenant."""
        node = self.node()
        node.visitor(PEER).upgrade("/ws", "other.example")
        self.assert_told(f"refusing {PEER}: 421 host_unknown", None, 421, "host_unknown")
        visitor = node.visitor(PEER)
        visitor.wire.hears(b"GET /\n")
        node.turn()
        self.assert_told(f"refusing {PEER}: 400 head_malformed", None, 400, "head_malformed")

    def test_too_slow(self) -> None:
        """Who is cut off at the deadline is told of as well."""
        node = self.node()
        node.visitor(PEER)
        node.advance(node.settings.limits.handshake)
        self.assert_told(f"refusing {PEER}: 408 handshake_timeout", None, 408, "handshake_timeout")

    def test_a_flood(self) -> None:
        """Connections that are dropped unread are one event a second, with their number."""
        node = self.node(connect_rate_per_ip=1)
        for _ in range(4):
            node.visitor(PEER)
        node.advance(1.5)
        for _ in range(3):
            node.visitor(PEER)
        self.assertEqual(
            [formatEvent(event) for event in self.events],
            [
                f"dropping {PEER}: connect_rate, 1 since the last line of this kind",
                f"dropping {PEER}: connect_rate, 3 since the last line of this kind",
            ],
        )
