"""How the gateway stands, as it tells its admin pages."""

from __future__ import annotations

from attrs import evolve
from twisted.internet.defer import succeed
from twisted.internet.testing import MemoryReactorClock

from orion_twisted.core.outbox import ITEM_COST
from orion_twisted.core.report import Report, SessionStatus
from orion_twisted.core.settings import Limits, Settings
from orion_twisted.service.gateway import Gateway
from tests.service.arrivals import DialInTestCase
from tests.service.dialling import OTHER_SECRET, Browser, TcpBackend
from tests.service.test_gateway import EDITOR, SHOP, GatewayTestCase, Port

NOTHING = SessionStatus(0, 0, 0, 0, 0)


class SessionTests(DialInTestCase):
    """Sessions, what they hold, and backends that have dialled in."""

    @property
    def report(self) -> Report:
        return self.house.gateway.report()

    def test_nothing_yet(self) -> None:
        """Every tenant in session mode is there from the start; others have no sessions."""
        self.assertEqual(self.report.sessions, {"Shop": NOTHING, "depot": NOTHING})
        self.assertEqual(self.report.links, {"Shop": 0, "depot": 0, "tunnel": 0})

    def test_a_visit(self) -> None:
        """A session is attached while its browser is there, and then waits for it; a message
        counts until its browser has acknowledged the outcome."""
        backend = TcpBackend(self.house)
        backend.hello()
        browser = Browser(self.house)
        self.assertEqual(self.report.sessions["Shop"], SessionStatus(1, 0, 0, 0, 1))
        browser.request(1, "x" * 100)
        self.assertEqual(self.report.sessions["Shop"], SessionStatus(1, 0, 1, 100, 1))
        backend.say(backend.result(1, "y" * 300))
        held = SessionStatus(1, 0, 1, 300 + ITEM_COST, 1)
        self.assertEqual(self.report.sessions["Shop"], held)
        browser.close()
        self.assertEqual(self.report.sessions["Shop"], evolve(held, attached=0, waiting=1))
        self.assertEqual((self.report.browsers["Shop"], self.report.links["Shop"]), (0, 1))
        self.house.advance(121)
        self.assertEqual(self.report.sessions["Shop"], SessionStatus(0, 0, 0, 0, 1))

    def test_acknowledged(self) -> None:
        """What the browser has is not held any more."""
        backend = TcpBackend(self.house)
        backend.hello()
        browser = Browser(self.house)
        browser.request(1, "x")
        backend.say(backend.result(1, "y"))
        browser.say({"type": "ack", "ack": 1})
        self.assertEqual(self.report.sessions["Shop"], SessionStatus(1, 0, 0, 0, 1))

    def test_each_tenant_on_its_own(self) -> None:
        """What one tenant has is not told of another."""
        for tenant, token in (("shop", None), ("depot", OTHER_SECRET), ("depot", OTHER_SECRET)):
            backend = TcpBackend(self.house)
            backend.hello(tenant, *([token] if token else []))
        Browser(self.house, "depot.example")
        self.assertEqual(self.report.sessions["Shop"], evolve(NOTHING, backends=1))
        self.assertEqual(self.report.sessions["depot"], evolve(NOTHING, attached=1, backends=2))
        self.assertEqual(self.report.links, {"Shop": 1, "depot": 2, "tunnel": 0})
        backend.leave()
        self.assertEqual(
            (self.report.sessions["depot"].backends, self.report.links["depot"]), (1, 1)
        )


class LinkTests(GatewayTestCase):
    """Connections to backends in the other modes."""

    def test_links(self) -> None:
        """A link counts from when it is up until all that was written to it is delivered."""
        node = self.node(SHOP, EDITOR)
        self.assertEqual(node.gateway.report().links, {"shop": 0, "editor": 0})
        visitor = node.visitor()
        visitor.upgrade()
        self.assertEqual(node.gateway.report().links["shop"], 0)
        link = node.backend.accept()
        node.turn()
        self.assertEqual(node.gateway.report().links, {"shop": 1, "editor": 0})
        self.assertEqual(node.gateway.report().sessions, {})
        link.stall()
        visitor.say("x" * 100)
        visitor.wire.breaks()  # while the link is full nobody reads its FIN
        report = node.gateway.report()
        self.assertEqual((report.browsers["shop"], report.links["shop"]), (0, 1))
        link.read()
        node.turn()
        self.assertEqual(node.gateway.report().links["shop"], 0)


class OwnLinksTests(DialInTestCase):
    """Sessions with links of their own."""

    def test_no_backends_are_counted(self) -> None:
        """Where the gateway dials, nobody dials in."""
        tenant = evolve(SHOP, mode="session", framing="int32", subprotocols=("orion.v1",))
        gateway = Gateway(
            Settings(tenants=(tenant,), limits=Limits()),
            [lambda factory: succeed(Port())],
            {},
            MemoryReactorClock(),  # type: ignore[arg-type]
        )
        self.assertEqual(gateway.report().sessions, {"shop": evolve(NOTHING, backends=None)})
