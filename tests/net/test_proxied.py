"""Connections through a proxy: who is asked for a PROXY header, and what it changes."""

from __future__ import annotations

import struct
from ipaddress import ip_address, ip_network
from typing import Any

from OpenSSL import SSL
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress, ITCPTransport
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import LogLevel, capturedLogs
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.proxy_header import V2_LONGEST, V2_START
from orion_twisted.net.certfolder import load_folder
from orion_twisted.net.proxied import ProxiedFactory
from orion_twisted.net.tls import CertificateTable
from tests.certificates import CertificateFolderTestCase, issue
from tests.net.handshakes import client_context
from tests.service.test_gateway import Node, Visitor
from tests.transports import Pipe, pending

TRUSTED = tuple(ip_network(each) for each in ("10.1.0.0/16", "192.0.2.9/32", "2001:db8::/64"))
PROXY = IPv4Address("TCP", "10.1.2.3", 40000)
DEADLINE = 5.0

V1 = b"PROXY TCP4 203.0.113.7 10.1.0.1 51234 8889\r\n"
V1_INET6 = b"PROXY TCP6 2001:db8:1::7 2001:db8::1 51234 8889\r\n"
V1_UNKNOWN = b"PROXY UNKNOWN\r\n"


def v2(source: str, port: int = 51234, *, more: bytes = b"") -> bytes:
    """Return a version 2 header; what comes after the addresses is the proxy's own."""
    address = ip_address(source)
    other = ip_address("10.1.0.1" if address.version == 4 else "2001:db8::1")
    body = address.packed + other.packed + struct.pack("!HH", port, 8889) + more
    family = 0x11 if address.version == 4 else 0x21
    return V2_START + struct.pack("!BBH", 0x21, family, len(body)) + body


V2_LOCAL = V2_START + b"\x20\x00\x00\x00"

NAMED = {
    V1: ("203.0.113.7", 51234),
    V1_INET6: ("2001:db8:1::7", 51234),
    v2("203.0.113.7"): ("203.0.113.7", 51234),
    v2("2001:db8:1::7"): ("2001:db8:1::7", 51234),
    v2("203.0.113.7", more=b"\x04\x00\x02ab"): ("203.0.113.7", 51234),
}
"""Headers, and the address that each of them names."""

OWN = (V1_UNKNOWN, b"PROXY UNKNOWN ff:: ff:: 1 2\r\n", V2_LOCAL)
"""Headers of a proxy that speaks for itself, as when it looks whether we are there."""

BAD = (
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01",
    b"proxy TCP4 203.0.113.7 10.1.0.1 1 2\r\n",
    b"PROXY TCP4 203.0.113.256 10.1.0.1 1 2\r\n",
    b"PROXY TCP4 203.0.113.7 10.1.0.1 65536 2\r\n",
    b"PROXY TCP4 203.0.113.7 10.1.0.1 1\r\n",
    b"PROXY TCP4 " + b"1" * 100,
    V2_START + b"\x31\x11\x00\x0c",
    V2_START + b"\x21\x11\x00\x0b" + bytes(11),
    V2_START + b"\x21\x31\x00\xd8" + bytes(216),
    V2_START + struct.pack("!BBH", 0x21, 0x11, V2_LONGEST),
)


class Inner(Protocol):
    """Who is behind the header."""

    transport: Any

    def __init__(self, built_for: Any) -> None:
        self.built_for = built_for
        self.heard = b""
        self.lost: list[Failure] = []

    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost.append(reason)


class InnerFactory(Factory):
    """Makes them, and keeps them."""

    def __init__(self) -> None:
        self.made: list[Inner] = []
        self.full = False

    def buildProtocol(self, addr: IAddress | None) -> Any:
        if self.full:
            return None
        self.made.append(Inner(addr))
        return self.made[-1]


class Wire(Pipe):
    """A connection from an address."""

    def __init__(self, clock: MemoryReactorClock, peer: Any) -> None:
        super().__init__(clock)
        self._peer = peer

    def getPeer(self) -> Any:
        return self._peer


class ProxiedTestCase(SynchronousTestCase):
    """A factory that trusts some networks."""

    def setUp(self) -> None:
        self.clock: Any = MemoryReactorClock()
        self.inner = InnerFactory()
        self.refused: list[str] = []
        self.factory = ProxiedFactory(
            self.inner, TRUSTED, DEADLINE, self.refused.append, self.clock
        )

    def connect(self, peer: Any = PROXY) -> Wire:
        wire = Wire(self.clock, peer)
        wire.connect(self.factory.buildProtocol(peer))
        return wire

    def only(self) -> Inner:
        """Return the protocol behind, of which there is one by now."""
        (inner,) = self.inner.made
        return inner


class TrustTests(ProxiedTestCase):
    """Whose word is taken."""

    def test_who_is_asked(self) -> None:
        """A peer in the networks is asked for its header, also where IPv4 comes as IPv6."""
        for peer in (
            PROXY,
            IPv4Address("TCP", "192.0.2.9", 1),
            IPv6Address("TCP", "::ffff:10.1.2.3", 1),
            IPv6Address("TCP", "2001:db8::5", 1),
            IPv6Address("TCP", "2001:db8::5%eth0", 1),
        ):
            with self.subTest(peer=peer):
                self.inner.made.clear()
                wire = self.connect(peer)
                self.assertEqual(self.inner.made, [])
                wire.hears(V1)
                self.assertEqual(self.only().transport.getPeer().host, "203.0.113.7")

    def test_who_is_not(self) -> None:
        """For everyone else a PROXY header is nothing but bytes: nobody lies about an address."""
        for peer in (
            IPv4Address("TCP", "10.2.0.1", 1),
            IPv4Address("TCP", "192.0.2.8", 1),
            IPv6Address("TCP", "::ffff:192.0.2.8", 1),
            IPv6Address("TCP", "2001:db8:1::5", 1),
            IPv6Address("TCP", "fe80::1%eth0", 1),
            UNIXAddress(b"/run/x.sock"),
            None,
        ):
            with self.subTest(peer=peer):
                self.inner.made.clear()
                wire = self.connect(peer)
                wire.hears(V1)
                inner = self.only()
                self.assertEqual((inner.heard, inner.transport), (V1, wire))
                self.assertEqual((pending(self.clock), inner.built_for), ([], peer))


class HeaderTests(ProxiedTestCase):
    """What a proxy may say."""

    def test_addresses(self) -> None:
        """The connection has the address that the header names, for all that ask it."""
        for header, named in NAMED.items():
            with self.subTest(header=header):
                self.inner.made.clear()
                wire = self.connect()
                wire.hears(header)
                inner = self.only()
                for peer in (inner.transport.getPeer(), inner.built_for):
                    self.assertEqual((peer.host, peer.port), named)
                    kind = IPv6Address if ":" in named[0] else IPv4Address
                    self.assertIsInstance(peer, kind)
                self.assertEqual((inner.heard, pending(self.clock)), (b"", []))

    def test_any_cut(self) -> None:
        """However the network cuts the header, it is read, and what follows it goes on."""
        for header, (host, _) in NAMED.items():
            stream = header + b"\x16more"
            for cut in range(len(stream) + 1):
                self.inner.made.clear()
                wire = self.connect()
                wire.hears(stream[:cut])
                wire.hears(stream[cut:])
                self.assertEqual(self.only().heard, b"\x16more")
                self.assertEqual(self.only().transport.getPeer().host, host)
            self.inner.made.clear()
            wire = self.connect()
            for byte in stream:
                wire.hears(bytes([byte]))
            self.assertEqual(self.only().heard, b"\x16more")
        self.assertEqual((self.refused, pending(self.clock)), ([], []))

    def test_health_checks(self) -> None:
        """A proxy that speaks for itself keeps its own address."""
        for header in OWN:
            with self.subTest(header=header):
                self.inner.made.clear()
                wire = self.connect()
                wire.hears(header + b"more")
                inner = self.only()
                self.assertEqual((inner.transport.getPeer(), inner.heard), (PROXY, b"more"))

    def test_bad_headers(self) -> None:
        """Anything else drops the connection, is counted, and reaches nobody."""
        for header in BAD:
            with self.subTest(header=header), capturedLogs() as logs:
                self.refused.clear()
                wire = self.connect()
                wire.hears(header)
                self.assertTrue(wire.aborted)
                wire.protocol.dataReceived(V1)  # what was read already
                self.clock.advance(0)
                self.assertEqual((self.refused, self.inner.made), (["proxy_header"], []))
                self.assertEqual(pending(self.clock), [])
                (event,) = logs
                self.assertEqual((event["log_level"], event["peer"]), (LogLevel.warn, "10.1.2.3"))

    def test_too_slow(self) -> None:
        """A proxy that does not send it in time is dropped, and counted."""
        for begun in (b"", V1[:-1], v2("203.0.113.7")[:-1]):
            self.refused.clear()
            wire = self.connect()
            wire.hears(begun)
            self.clock.advance(DEADLINE - 0.1)
            self.assertFalse(wire.aborted)
            self.clock.advance(0.2)
            self.assertTrue(wire.aborted)
            self.assertEqual((self.refused, self.inner.made), (["proxy_header_timeout"], []))
            self.clock.advance(0)
            self.assertEqual(pending(self.clock), [])

    def test_gone_before_it(self) -> None:
        """A proxy that looks whether a port is open, and leaves, is no event."""
        for begun in (b"", V1[:9]):
            wire = self.connect()
            wire.hears(begun)
            wire.hears_end()
            self.assertEqual((self.refused, self.inner.made, pending(self.clock)), ([], [], []))


class HandedOverTests(ProxiedTestCase):
    """The connection behind the header."""

    def test_it_is_the_connection(self) -> None:
        """Whoever is behind writes, pauses, closes and hears of the end as without a proxy."""
        wire = self.connect()
        wire.hears(V1)
        inner = self.only()
        transport = inner.transport
        self.assertTrue(ITCPTransport.providedBy(transport))
        transport.setTcpNoDelay(True)
        transport.write(b"hello")
        wire.turn()
        self.assertEqual((bytes(wire.taken), wire.options), (b"hello", {"no_delay": True}))
        transport.pauseProducing()
        self.assertFalse(wire.reading)
        transport.resumeProducing()
        self.assertTrue(wire.reading)
        transport.loseConnection()
        wire.turn()
        self.assertTrue(wire.heard_end)
        self.assertEqual((len(inner.lost), pending(self.clock)), (1, []))

    def test_paused_at_once(self) -> None:
        """What came behind the header waits for whoever does not want to read yet."""

        class Shy(Inner):
            def connectionMade(self) -> None:
                self.transport.pauseProducing()

        shy = Shy(None)
        self.patch(self.inner, "buildProtocol", lambda addr: shy)
        wire = self.connect()
        wire.hears(V1 + b"one")
        wire.hears(b"two")
        transport = shy.transport
        self.assertEqual(shy.heard, b"")
        transport.resumeProducing()
        self.assertEqual(shy.heard, b"")  # it may be in the middle of somebody else's turn
        self.clock.advance(0)
        wire.turn()
        self.assertEqual((shy.heard, pending(self.clock)), (b"onetwo", []))

    def test_order_after_a_pause(self) -> None:
        """What came first is heard first, even if the next read comes before the next turn."""

        class Shy(Inner):
            def connectionMade(self) -> None:
                self.transport.pauseProducing()

        shy = Shy(None)
        self.patch(self.inner, "buildProtocol", lambda addr: shy)
        wire = self.connect()
        wire.hears(V1 + b"one")
        transport = shy.transport
        transport.resumeProducing()
        wire.hears(b"two")
        self.clock.advance(0)
        self.assertEqual(shy.heard, b"onetwo")

    def test_gone_while_paused(self) -> None:
        """A connection that ends while it waits leaves nothing behind."""
        wire = self.connect()
        wire.hears(V1)
        transport = self.only().transport
        transport.pauseProducing()
        wire.breaks()
        self.assertEqual((len(self.only().lost), pending(self.clock)), (1, []))

    def test_nobody_wants_it(self) -> None:
        """A factory that makes no protocol ends the connection."""
        self.inner.full = True
        wire = self.connect()
        wire.hears(V1 + b"more")
        self.assertTrue(wire.aborted)
        self.clock.advance(0)
        self.assertEqual((self.refused, pending(self.clock)), ([], []))


class GatewayTests(SynchronousTestCase):
    """The gate and the gateway behind it."""

    def node(self, **limits: Any) -> Node:
        node = Node(**limits)
        node.factory = ProxiedFactory(node.factory, TRUSTED, DEADLINE, self.fail, node.clock)
        return node

    def visit(self, node: Node, host: str, *, header: bytes | None = None) -> Visitor:
        """Come through the proxy."""
        visitor = node.visitor("10.1.2.3")
        visitor.wire.hears(v2(host) if header is None else header)
        return visitor

    def test_a_whole_conversation(self) -> None:
        """A browser behind a proxy talks to its backend as any other does, without TLS, too."""
        node = self.node()
        with capturedLogs() as logs:
            visitor = self.visit(node, "203.0.113.7")
            visitor.upgrade()
            link = node.backend.accept()
            node.turn()
            self.assertEqual(visitor.status, 101)
            for text in ("one", "two"):
                visitor.say(text)
            self.assertEqual(link.lines, ["one", "two"])
            link.answer(b"three\n")
            node.turn()
            self.assertEqual(visitor.frames, [(1, b"three")])
            visitor.close()
            node.turn()
            self.assertTrue(visitor.gone)
        peers = [event["peer"] for event in logs if "browser {peer}" in event["log_format"]]
        self.assertEqual(peers, ["203.0.113.7", "203.0.113.7"])
        self.assertEqual(node.gateway.report().connections, 0)

    def test_limits_are_those_of_the_browser(self) -> None:
        """The limit per address counts those behind the proxy, each on its own."""
        node = self.node(connections_per_ip=1)
        statuses = []
        for host in ("203.0.113.7", "203.0.113.8", "203.0.113.7", "2001:db8:1::7"):
            visitor = self.visit(node, host)
            visitor.upgrade()
            if node.backend.dialling:
                node.backend.accept()
                node.turn()
            statuses.append(visitor.status)
        self.assertEqual(statuses, [101, 101, 429, 101])

    def test_waiting_for_its_turn(self) -> None:
        """One that has to wait for a place in the handshake waits with all that it has sent."""
        node = self.node(pending_handshakes=8, pending_handshakes_per_ip=1)
        first = self.visit(node, "203.0.113.7")
        second = node.visitor("10.1.2.3")
        request = b"GET / HTTP/1.1\r\nHost: other.example\r\n\r\n"
        second.wire.hears(v2("203.0.113.7") + request)
        node.turn()
        self.assertIsNone(second.status)
        first.ask("/nothing")
        node.turn()
        self.assertEqual((first.status, second.status), (404, 421))

    def test_address_of_a_gate(self) -> None:
        """`HttpGate.address` is the browser's; for a health check it is the proxy's."""
        for header, address in (
            (V1, "203.0.113.7"),
            (V1_INET6, "2001:db8:1::7"),
            *((each, "10.1.2.3") for each in OWN),
        ):
            node = self.node()
            self.visit(node, "", header=header)
            (gate,) = node.gateway._door._gates
            self.assertEqual(gate.address, address)


class TlsTests(CertificateFolderTestCase):
    """TLS inside of it, which is what a proxy that does not terminate it sends."""

    def test_a_request(self) -> None:
        """The header is outside, TLS inside; the gate has the browser's address all the same."""
        one = issue(["shop.example"])
        self.put("shop.example.pem", one.pem)
        state = load_folder(self.folder, self.now)
        table = CertificateTable(state.certificates.values(), None, self.now)
        node = Node()
        inside = TLSMemoryBIOFactory(table, False, node.factory, node.clock)
        factory = ProxiedFactory(inside, TRUSTED, DEADLINE, self.fail, node.clock)
        for header, address in ((V1, "203.0.113.7"), (v2("2001:db8:1::7"), "2001:db8:1::7")):
            wire = Wire(node.clock, PROXY)
            wire.connect(factory.buildProtocol(PROXY))
            client = SSL.Connection(client_context(), None)
            client.set_connect_state()
            client.set_tlsext_host_name(b"shop.example")
            self.shake_hands(client, node, wire, header)
            (gate,) = node.gateway._door._gates
            self.assertEqual(gate.address, address)
            client.send(b"GET /nothing HTTP/1.1\r\nHost: shop.example\r\n\r\n")
            self.carry(client, node, wire)
            self.assertEqual(client.recv(12), b"HTTP/1.1 404")
            wire.breaks()

    def shake_hands(self, client: SSL.Connection, node: Node, wire: Wire, header: bytes) -> None:
        """Do the handshake, with the header in the same read as the client's first message."""
        for _ in range(10):
            try:
                client.do_handshake()
            except SSL.WantReadError:
                self.carry(client, node, wire, header)
                header = b""
            else:
                self.carry(client, node, wire)
                return
        self.fail("no handshake")

    def carry(self, client: SSL.Connection, node: Node, wire: Wire, before: bytes = b"") -> None:
        wire.hears(before + client.bio_read(2**16))
        for _ in range(3):
            node.clock.advance(0)
            wire.turn()
        if wire.taken:
            client.bio_write(bytes(wire.taken))
            wire.taken.clear()
