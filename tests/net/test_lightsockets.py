"""
Light sockets do all that others do, and hold less.

All tests of sockets run on them, too: messages, fragments, pings, pauses, closes and bugs.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

from autobahn.twisted.websocket import WebSocketServerProtocol
from autobahn.websocket.compress import PerMessageDeflateOffer
from autobahn.websocket.protocol import WebSocketProtocol
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.errors import CloseCode
from orion_twisted.core.handshake import DialIn, upgrade_request
from orion_twisted.net.browser import BrowserFactory, BrowserProtocol
from orion_twisted.net.lightsockets import lighten, slim, why_not
from tests.net import test_browser
from tests.net.test_browser import client_frame
from tests.transports import pending

CONTINUATION, TEXT, CLOSE, PING = 0x0, 0x1, 0x8, 0x9


class OnLightSockets:
    """Have the sockets of a test be light."""

    def factory(self: Any, *arguments: Any, **options: Any) -> BrowserFactory:
        return lighten(super().factory(*arguments, **options))  # type: ignore[misc]


class BehindTheGate(OnLightSockets):
    """Have them get their handshakes as the gate writes them."""

    def factory(self: Any, *arguments: Any, **options: Any) -> BrowserFactory:
        factory = super().factory(*arguments, **options)  # type: ignore[misc]
        connect, compression = factory.connect, factory.perMessageCompressionAccept([_OFFER])

        def behind_the_gate(owner: Any, subprotocol: str | None) -> BrowserProtocol:
            browser = connect(owner, subprotocol)

            def first_data(data: bytes) -> None:
                del browser.dataReceived  # type: ignore[attr-defined]
                head, _, rest = data.partition(b"\r\n\r\n")
                found = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
                upgrade = DialIn(
                    found[b"Sec-WebSocket-Key"],
                    subprotocol,
                    found.get(b"Sec-WebSocket-Extensions", b""),
                )
                handshake = upgrade_request(upgrade, compression is not None)
                browser.dataReceived(handshake + rest)

            browser.dataReceived = first_data  # type: ignore[method-assign]
            return browser

        factory.connect = behind_the_gate  # type: ignore[method-assign]
        return factory


_OFFER = PerMessageDeflateOffer()


def _suites() -> Iterator[tuple[str, type]]:
    """Yield all suites for sockets, on light ones."""
    for name, suite in vars(test_browser).items():
        if name.endswith("Tests") and issubclass(suite, test_browser.BrowserTestCase):
            for way, kind in (("Light", OnLightSockets), ("Gate", BehindTheGate)):
                ours = f"{way}{name}"
                yield ours, type(ours, (kind, suite), {"__module__": __name__})


globals().update(_suites())


class LightTests(OnLightSockets, test_browser.BrowserTestCase):
    """What is different."""

    def heavy(self) -> BrowserFactory:
        return super(OnLightSockets, self).factory()

    def test_options(self) -> None:
        """Options are in the class: a socket has none of its own."""
        factory = self.factory(compression=True)
        self.connect(factory, compression=True)
        for name in WebSocketServerProtocol.CONFIG_ATTRS:
            self.assertNotIn(name, vars(self.browser))
            self.assertEqual(getattr(self.browser, name), getattr(factory, name), name)

    def test_formats_nothing(self) -> None:
        """Nobody formats the options for a line that is not written."""
        formatted = []
        for factory in (self.heavy(), self.factory()):
            self.setUp()
            with patch("autobahn.websocket.protocol.pformat") as pformat:
                self.connect(factory)
            formatted.append([len(each.args[0]) for each in pformat.call_args_list])
        options = len(WebSocketServerProtocol.CONFIG_ATTRS)
        self.assertEqual(formatted[0], [options, *formatted[1]])  # these are the visitor's

    def test_changed(self) -> None:
        """Changed options, or another class, are carried once they have been lightened again."""

        class Other(BrowserProtocol):
            """Another one."""

        factory = self.factory()
        factory.setProtocolOptions(maxMessagePayloadSize=5)
        self.assertIs(lighten(factory), factory)
        self.assertIs(factory.browser_class.__mro__[1], BrowserProtocol)
        self.connect(factory)
        self.assertEqual(self.browser.maxMessagePayloadSize, 5)
        factory.browser_class = Other
        self.assertIs(lighten(factory).browser_class.__mro__[1], Other)

    def test_options_of_a_socket(self) -> None:
        """What a class, or a socket, has set for itself stays so."""

        class Own(BrowserProtocol):
            autoPingSize = 100

        factory = self.heavy()
        factory.browser_class = Own
        lighten(factory)
        self.assertEqual(factory.browser_class.autoPingSize, 100)
        self.connect(factory)
        self.browser.closeHandshakeTimeout = 77
        slim(self.browser)
        self.assertEqual(self.browser.closeHandshakeTimeout, 77)

    def test_heavy_ones(self) -> None:
        """A socket whose class does not carry what it would drop keeps it."""
        self.connect(self.heavy())
        slim(self.browser)
        self.assertIn("http_headers", vars(self.browser))
        self.assertIn("data", vars(self.browser))

    def test_what_is_left(self) -> None:
        """Nothing of the handshake is left, and nothing that is as the class has it."""
        self.connect()
        for name, value in vars(self.browser).items():
            self.assertFalse(name.startswith("http"), name)
            self.assertFalse(
                value is not None and value is getattr(type(self.browser), name, None)
            )

    def test_under_way(self) -> None:
        """It may be done at any time: what is not at rest stays."""
        self.connect()
        self.say(client_frame(TEXT, b"one", last=False), client_frame(CONTINUATION, b"two")[:3])
        slim(self.browser)
        self.say(client_frame(CONTINUATION, b"two")[3:])
        self.assertEqual(self.owner.forget(), ["onetwo"])
        self.browser.close(CloseCode.NORMAL, "bye")
        slim(self.browser)
        self.exchange()
        self.advance(1)
        self.assertEqual(self.owner.forget(), [(1000, "bye")])
        self.assertEqual(self.visitor.heard, [(True, 1000, "bye")])

    def test_memory(self) -> None:
        """An idle socket holds some thousand bytes less than it would."""
        held = []
        for factory in (self.heavy(), self.factory()):
            self.setUp()
            self.connect(factory)  # what is made once, for all of them
            tracemalloc.start()
            self.addCleanup(tracemalloc.stop)
            connections = []
            for _ in range(20):
                self.setUp()
                self.connect(factory)
                connections.append((self.browser, self.visitor))
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0] / len(connections))
            tracemalloc.stop()
        self.assertGreater(held[0] - held[1], 4000)


class CloseTests(OnLightSockets, test_browser.BrowserTestCase):
    """Close frames, of which the plain ones are answered at one look."""

    def heavy(self) -> BrowserFactory:
        return super(OnLightSockets, self).factory()

    def heard_of(self, factory: BrowserFactory, *reads: bytes) -> tuple[object, ...]:
        """Return what both sides hear of a browser's last words, and what is left of it."""
        self.setUp()
        self.connect(factory)
        for read in reads:
            self.say(read)
        said = self.sent()
        self.exchange()
        reason = self.wire.disconnected, self.wire.aborted
        self.wire.hears_end()
        self.advance(1)
        return said, reason, self.owner.heard, factory.countConnections, pending(self.clock)

    def assert_alike(self, *reads: bytes) -> None:
        """Whatever Autobahn makes of it, light sockets make of it."""
        with self.subTest(reads=reads):
            heavy = self.heard_of(self.heavy(), *reads)
            self.assertEqual(self.heard_of(self.factory(), *reads), heavy)

    def test_codes(self) -> None:
        """Every code is answered, or refused, as Autobahn does it."""
        known = (0, 999, *range(1000, 1020), 2999, 3000, 4000, 4999, 5000, 65535)
        self.assert_alike(client_frame(CLOSE))
        for code in known:
            self.assert_alike(client_frame(CLOSE, code.to_bytes(2)))

    def test_what_is_not_plain(self) -> None:
        """Reasons, half a code, other bits, no mask, and what comes before or behind."""
        close = client_frame(CLOSE, b"\3\xe8")
        for frame in (
            client_frame(CLOSE, b"\3"),
            client_frame(CLOSE, b"\3\xe8bye"),
            client_frame(CLOSE, b"\3\xe8\xff"),
            client_frame(CLOSE, last=False),
            client_frame(CLOSE, rsv=1),
            b"\x88\0",
            b"\x88\2\3\xe8",
            client_frame(PING, b"p") + close,
            client_frame(TEXT, b"t") + close,
            close + close,
            close + client_frame(TEXT, b"late"),
            client_frame(TEXT, b"half", last=False) + close,
        ):
            self.assert_alike(frame)
        for at in range(1, len(close)):
            self.assert_alike(close[:at], close[at:])
        self.assert_alike(client_frame(TEXT, b"half", last=False), close)
        self.assert_alike(client_frame(TEXT, b"cut short")[:5], close)
        self.assert_alike(close, close)

    def test_at_one_look(self) -> None:
        """Autobahn's loop does not see a plain one."""
        for frame, answer in (
            (client_frame(CLOSE), b"\x88\0"),
            (client_frame(CLOSE, b"\3\xe9"), b"\x88\2\3\xe9"),
        ):
            self.setUp()
            self.connect()
            with patch.object(WebSocketProtocol, "processData", None):
                self.say(frame)
            self.assertEqual(self.sent(), answer)

    def test_after_our_own(self) -> None:
        """The answer to our close frame is no close frame to be answered."""
        heard = []
        for factory in (self.heavy(), self.factory()):
            self.setUp()
            self.connect(factory)
            self.browser.close(CloseCode.NORMAL, "bye")
            self.say(client_frame(CLOSE, b"\3\xe8"))
            self.exchange()
            self.advance(1)
            heard.append((self.owner.heard, self.visitor.heard, pending(self.clock)))
        self.assertEqual(*heard)
        self.assertEqual(heard[0][0], [(1000, "bye")])

    def test_while_paused(self) -> None:
        """One that comes while nobody reads waits, as all does."""
        self.connect()
        self.browser.pauseProducing()
        self.browser.dataReceived(client_frame(CLOSE))
        self.assertEqual((self.sent(), self.owner.heard), (b"", []))
        self.browser.resumeProducing()
        self.assertEqual(self.sent(), b"\x88\0")


class WhyNotTests(SynchronousTestCase):
    """An Autobahn that is not as it was."""

    def setUp(self) -> None:
        why_not.cache_clear()
        self.addCleanup(why_not.cache_clear)

    def test_all_is_well(self) -> None:
        self.assertIsNone(why_not())

    def test_no_list_of_options(self) -> None:
        """Options are not carried if nobody says what they are; sockets stay as they are."""
        factory = BrowserFactory(server="", reactor=object())
        with patch.object(WebSocketServerProtocol, "CONFIG_ATTRS", []):
            self.assertIn("CONFIG_ATTRS", why_not() or "")
            self.assertIs(lighten(factory).browser_class, BrowserProtocol)

    def test_read_later(self) -> None:
        """Nothing is dropped that a method reads after the handshake, or a function inside one."""

        def direct(self: Any) -> Any:
            return self.http_headers

        def inside(self: Any) -> Any:
            return lambda: self.http_headers

        for method in (direct, inside):
            why_not.cache_clear()
            with patch.object(WebSocketServerProtocol, "onNews", method, create=True):
                self.assertEqual(why_not(), "WebSocketServerProtocol.onNews uses http_headers")

    def test_another_answer(self) -> None:
        """Who answers in Autobahn's place says what Autobahn says."""
        with patch.object(WebSocketProtocol, "_WS_MAGIC", b"another one"):
            self.assertEqual(why_not(), "Autobahn answers a handshake in another way")

    def test_another_state(self) -> None:
        """A socket is opened as Autobahn leaves it, or by Autobahn."""
        made = WebSocketServerProtocol._connectionMade

        def with_more(self: Any) -> None:
            made(self)
            self.something = 1

        with patch.object(WebSocketServerProtocol, "_connectionMade", with_more):
            self.assertIn("something", why_not() or "")
        why_not.cache_clear()

        def with_other(self: Any) -> None:
            made(self)
            self.triggered = True

        with patch.object(WebSocketServerProtocol, "_connectionMade", with_other):
            self.assertEqual(why_not(), "Autobahn opens a socket with another triggered")

    def test_another_end(self) -> None:
        """A close frame is answered, and a socket is left, as Autobahn does it, or by Autobahn."""
        answered = WebSocketServerProtocol.onCloseFrame

        def twice(self: Any, code: Any, reason: Any) -> Any:
            self.transport.write(b"!")
            return answered(self, code, reason)

        def unclean(self: Any, code: Any, reason: Any) -> Any:
            outcome = answered(self, code, reason)
            self.wasNotCleanReason = "why"
            return outcome

        for instead, why in (
            (twice, "Autobahn answers a close frame in another way"),
            (unclean, "Autobahn closes a socket with another wasNotCleanReason"),
        ):
            why_not.cache_clear()
            with patch.object(WebSocketServerProtocol, "onCloseFrame", instead):
                self.assertEqual(why_not(), why)
        lost = WebSocketServerProtocol._connectionLost

        def uncounted(self: Any, reason: Any) -> None:
            lost(self, reason)
            self.factory.countConnections += 1

        why_not.cache_clear()
        with patch.object(WebSocketServerProtocol, "_connectionLost", uncounted):
            self.assertEqual(why_not(), "Autobahn closes a socket with another end")
