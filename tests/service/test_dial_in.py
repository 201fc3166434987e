"""Backends that dial in: who is let in, whom sessions go on with, and how it ends."""

from __future__ import annotations

import json
from typing import Any

from twisted.logger import capturedLogs

from orion_twisted.core.session import Session
from orion_twisted.net.links import PAYLOADS_A_TURN, Loss
from orion_twisted.service.backends import SharedLinks
from orion_twisted.service.dial_in import MOST_ARRIVALS
from tests.core.sessions import message, session
from tests.service import arrivals
from tests.service.arrivals import TOKEN, framed
from tests.service.dialling import (
    OTHER_SECRET,
    PATH,
    SECRET,
    Browser,
    SocketBackend,
    TcpBackend,
    WebSocket,
)


class TcpHelloTests(arrivals.HelloPromises):
    kind = TcpBackend

    def test_a_huge_frame(self) -> None:
        """A frame announced as huge is refused before any of it has come."""
        backend = self.come()
        backend.sends(b"\xff\xff\xff\xff")
        self.assert_refused(backend, "hello_malformed")

    def test_a_crowd_leaves_no_line(self) -> None:
        """Who is cut off because of a crowd is counted, and fills no log."""
        for _ in range(MOST_ARRIVALS):
            self.come()
        with capturedLogs() as logs:
            self.come()
        self.assertEqual((self.house.refused("crowd"), self.lines(logs)), (1, []))

    def test_byte_by_byte(self) -> None:
        """A hello may come in any pieces."""
        backend = self.come()
        for byte in framed(json.dumps(TOKEN).encode()):
            backend.sends(bytes([byte]))
        self.assertEqual(backend.heard, ["ping"])


class TcpLineTests(arrivals.LinePromises):
    kind = TcpBackend

    def test_breaks_behind_many_answers(self) -> None:
        """What had arrived when a write found the connection broken is heard, and it is lost."""
        backend = self.come_in()
        browser = Browser(self.house)
        numbers = range(1, 2 * PAYLOADS_A_TURN + 2)
        for number in numbers:
            browser.request(number, "x")
        answers = [backend.result(number, "done").encode() for number in numbers]
        backend.wire.hears(b"".join(map(framed, answers)))
        backend.wire.breaks()
        self.house.advance(1)
        self.assertEqual(browser.told, [f"result {number}: done" for number in numbers])
        browser.request(len(numbers) + 1, "for another one")
        other = self.come()
        other.hello()
        self.assertEqual(other.heard[-1], "request 1: for another one")


class TcpDrainTests(arrivals.DrainPromises):
    kind = TcpBackend

    def test_connects_while_it_drains(self) -> None:
        """A connection that was accepted just before is cut off."""
        self.house.stop()
        backend = self.come()
        self.house.turn()
        self.assertTrue(backend.gone)
        self.assertEqual(self.house.refused("draining"), 1)


class SocketHelloTests(arrivals.HelloPromises):
    kind = SocketBackend

    def test_a_page(self) -> None:
        """A request with an Origin comes from a page, which has no business here: 403."""
        url = f"ws://gateway.internal{PATH}"
        page = WebSocket(self.house, url, "192.0.2.7", origin="https://shop.example")
        self.assertEqual(page.status, 403)
        self.assertEqual(self.house.counted("refused", "origin"), 1)

    def test_no_browsers_place(self) -> None:
        """Backends take no browser's place, and have no tenant's host."""
        self.house = self.new_house(connections=1)
        Browser(self.house)
        self.come_in()
        self.come_in()

    def test_binary(self) -> None:
        """A hello, and all that follows, may be binary or text, whatever the dialect."""
        browser = Browser(self.house)
        browser.request(1, "draw")
        backend = self.come()
        backend.send(json.dumps(TOKEN).encode(), is_binary=True)
        backend.send(backend.result(1, "drawn").encode(), is_binary=True)
        self.assertEqual(browser.told, ["result 1: drawn"])

    def test_what_type_it_hears(self) -> None:
        """The gateway writes text in ``orion.v1`` and binary in ``orion.v2``."""
        for tenant, host, secret, is_binary in (
            ("shop", "shop.example", SECRET, True),
            ("depot", "depot.example", OTHER_SECRET, False),
        ):
            browser = Browser(self.house, host)
            browser.request(1, "{}")
            backend = self.come()
            backend.hello(tenant, secret)
            backend.pull()
            self.assertEqual({each for _, each in backend.frames}, {is_binary})


class SocketLineTests(arrivals.LinePromises):
    kind = SocketBackend

    def test_nothing_is_sent_behind_its_close(self) -> None:
        """Once an instance has said that it goes, a message is for another one, and not lost."""
        backend = self.come_in()
        browser = Browser(self.house)
        backend.wire.room = 0  # so that the gateway's answer, and the end, take their time
        backend.client.send_close(1000)
        backend.sends(b"".join(backend.client.data_to_send()))
        self.assertFalse(backend.gone)
        browser.say({"type": "notify", "n": 1}, "still to come")
        self.assertEqual(browser.told, [])
        self.house.advance(6)
        other = self.come_in_waited(0)
        self.assertEqual([each.split(" ")[0] for each in other.heard], ["ping", "open", "notify:"])
        self.assertEqual(browser.told, ["receipt 1 sent"])

    def test_breaks_the_rules_of_websocket(self) -> None:
        """A frame that RFC 6455 forbids drops the link, and that is counted."""
        backend = self.come_in()
        backend.sends(b"\x83\x80mask")  # a reserved opcode
        self.assertEqual(backend.closed_with, 1002)
        self.house.turn()
        self.assertEqual(self.house.counted("links_lost", "BACKEND_ERROR"), 1)


class SocketDrainTests(arrivals.DrainPromises):
    kind = SocketBackend

    def test_comes_while_it_drains(self) -> None:
        """A request for the path is answered with 503 while the gateway drains."""
        Browser(self.house)
        self.house.stop()
        self.assertEqual(self.come().status, 503)


class Link:
    """A connection to a backend that takes everything."""

    is_open = True

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def hurry(self) -> None:
        """Nothing is sent."""

    def send(self, data: bytes) -> None:
        self.sent.append(data)

    def send_all(self, frames: list[bytes]) -> None:
        self.sent += frames

    def resumeProducing(self) -> None:
        """It always delivers."""

    def finish(self) -> None:
        """It ends at once."""


class Seat:
    """A session on a line; what it does when it gets a link is for the test to say."""

    line: Any = None
    is_ready = False
    unread: Any = None
    may_read_link = True

    def __init__(self, one: Session) -> None:
        self.session = one
        self.ends: Any = None

    def link_up(self) -> None:
        self.session.link_up()
        if self.ends is not None:
            self.ends()

    def link_lost(self) -> None:
        self.session.link_lost(0.0)

    def deliver(self) -> None:
        """There is nobody to deliver to."""


class PlacesTests(arrivals.DialInTestCase):
    """Which session is on which line, in an order that only few would ever see."""

    def test_ends_while_others_move(self) -> None:
        """A session that ends by what another one does in the move is not placed again."""
        backends: Any = self.house.gateway._sessions["Shop"].backends
        assert isinstance(backends, SharedLinks)
        first, second = backends.new_line(bytes), backends.new_line(bytes)
        first.link_up(Link())
        mover, ended = Seat(session()), Seat(session())
        for seat in (mover, ended):
            seat.session.take(message(1), 0.0)  # else the second line would get its share at once
            backends.seat(seat)
        second.link_up(Link())
        self.assertEqual((len(first), len(second)), (2, 0))
        mover.ends = lambda: backends.leave(ended)
        first.link_lost(Loss(clean=True))
        backends.line_ended(first)
        self.assertEqual((second.seats, ended.line), ([mover], None))
        for line in (first, second):
            line.link_gone()
