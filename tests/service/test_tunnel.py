"""Mode ``tunnel``: bytes both ways, and how a stream ends."""

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from orion_twisted.service.tunnel import TunnelBridge
from tests.service import common
from tests.service.fakes import BridgeTestCase
from tests.service.machine import BridgeMachine


class TunnelDialTests(common.DialPromises):
    """Before the browser is let in."""

    kind = TunnelBridge


class TunnelCarriageTests(common.CarriagePromises):
    """While both sides are there."""

    kind = TunnelBridge


class TunnelEndTests(common.EndPromises):
    """The end, from either side."""

    kind = TunnelBridge


class TunnelIdleTests(common.IdlePromises):
    """The limit ``idle``."""

    kind = TunnelBridge


class TunnelRateTests(common.RatePromises):
    """The limits ``message_rate`` and ``byte_rate``."""

    kind = TunnelBridge


class StreamTests(BridgeTestCase):
    """What is carried."""

    kind = TunnelBridge

    def test_bytes_both_ways(self) -> None:
        """Bytes go through as they are; messages have no boundaries on the link."""
        scene = self.scene()
        browser, link = scene.begin()
        browser.say(b"\x00\xff", b"", b"RFB 003.008\n")
        link.answer(b"\xff\x00")
        link.answer(b"more")
        self.assertEqual(link.written, b"\x00\xffRFB 003.008\n")
        self.assertEqual(browser.got, [(b"\xff\x00", True), (b"more", True)])
        browser.leave()
        self.assertOver(scene)

    def test_text_is_refused(self) -> None:
        """A text message on a tunnel is closed with 1003, and not carried."""
        scene = self.scene()
        browser, link = scene.begin()
        browser.say("text")
        self.assertEqual(browser.told, (1003, "BAD_MESSAGE"))
        self.assertEqual(link.written, b"")
        browser.leave()
        self.assertOver(scene)

    def test_text_where_the_tenant_says_so(self) -> None:
        """With ``text = "utf-8"`` text is carried as its bytes."""
        scene = self.scene(text="utf-8")
        browser, link = scene.begin()
        browser.say("größer", b"\xff")
        self.assertEqual(link.written, "größer".encode() + b"\xff")
        browser.leave()
        self.assertOver(scene)


class StreamEndTests(BridgeTestCase):
    """How the backend's end is told to the browser."""

    kind = TunnelBridge

    def test_fin(self) -> None:
        """A backend's FIN ends as close 1000, after all its bytes."""
        scene = self.scene()
        browser, link = scene.begin()
        link.answer(b"bye")
        link.fin()
        self.assertEqual((browser.got, browser.told), ([(b"bye", True)], (1000, "")))
        browser.leave()
        self.assertEqual(scene.counted("links_lost", "ended"), 1)
        self.assertOver(scene)

    def test_fin_behind_a_full_browser(self) -> None:
        """A browser that is slow to read gets all of the bytes before the FIN."""
        scene = self.scene()
        browser, link = scene.begin()
        scene.bridge.browser_full(True)
        link.answer_late(b"bye")
        link.end()
        self.assertEqual((browser.got, browser.told), ([], None))
        self.assertTrue(browser.paused)  # what it said could go nowhere
        scene.bridge.browser_full(False)
        self.assertEqual((browser.got, browser.told), ([(b"bye", True)], (1000, "")))
        browser.leave()
        self.assertOver(scene)

    def test_reset(self) -> None:
        """A reset ends as 1011: some bytes may be missing, and the browser should know."""
        scene = self.scene()
        browser, link = scene.begin()
        link.reset()
        self.assertEqual(browser.told, (1011, "the backend's connection broke"))
        self.assertEqual(scene.counted("links_lost", "broken"), 1)
        browser.leave()
        self.assertOver(scene)

    def test_nothing_reconnects(self) -> None:
        """A stream that broke cannot be continued: nobody is dialled again."""
        for end in ("fin", "reset"):
            scene = self.scene()
            browser, link = scene.begin()
            getattr(link, end)()
            scene.clock.advance(60)
            self.assertEqual(len(scene.backend.attempts), 1)
            browser.leave()
            self.assertOver(scene)

    def test_a_full_link_at_the_end(self) -> None:
        """What was said to a backend that reads slowly is delivered before the FIN."""
        scene = self.scene()
        browser, link = scene.begin()
        link.stall()
        browser.say(b"x" * 101)
        browser.leave()
        self.assertEqual((len(link.taken), link.heard_end), (0, False))
        link.read()
        self.assertEqual((len(link.taken), link.heard_end), (101, True))
        self.assertOver(scene)


class TunnelMachine(BridgeMachine):
    kind = TunnelBridge


class AnyOrderTests(BridgeTestCase):
    """No order of events breaks the bridge."""

    def test_any_order(self) -> None:
        """Whatever happens, in any order, the bridge ends once and leaves no timer behind."""
        run_state_machine_as_test(
            TunnelMachine,
            settings=settings(deadline=None, max_examples=100, stateful_step_count=40),
        )
