"""How fast a browser may send: `message_rate` and `byte_rate`, to the second."""

from __future__ import annotations

from orion_twisted.core.errors import CloseCode
from orion_twisted.core.rates import MOST_WAIT_FOR_RATE
from orion_twisted.service.relay import RelayBridge
from tests.service.fakes import BridgeTestCase, Browser, Scene
from tests.transports import pending

MOMENT = 0.001


class RateTestCase(BridgeTestCase):
    """Browsers in mode ``relay``."""

    kind = RelayBridge

    def begin(self, **limits: int) -> tuple[Scene, Browser]:
        scene = self.scene(limits)
        browser, _ = scene.begin()
        scene.clock.advance(6)  # the timer that proves the link is over
        self.assertEqual(pending(scene.clock), [])
        return scene, browser

    def assert_paused_for(self, scene: Scene, seconds: float) -> None:
        """Check that a browser is not read for so many seconds from now, and then is."""
        assert scene.browser is not None
        self.assertTrue(scene.browser.paused)
        self.assertEqual(len(pending(scene.clock)), 1)
        scene.clock.advance(seconds - MOMENT)
        self.assertTrue(scene.browser.paused)
        scene.clock.advance(2 * MOMENT)
        self.assertFalse(scene.browser.paused)
        self.assertEqual(pending(scene.clock), [])

    def assert_over(self, scene: Scene) -> None:
        assert scene.browser is not None
        scene.browser.leave()
        self.assertEqual(scene.counted("frames_cut"), 0)
        self.assertOver(scene)


class MessageRateTests(RateTestCase):
    """Messages per second."""

    def test_a_burst_of_one_second(self) -> None:
        """As many messages as a second may bring are taken at once; the next has to wait."""
        scene, browser = self.begin(message_rate=4)
        browser.say("1", "2", "3", "4")
        self.assertFalse(browser.paused)
        browser.say("5")
        self.assert_paused_for(scene, 0.25)
        self.assert_over(scene)

    def test_on_and_on(self) -> None:
        """A browser that never waits gets its rate, and no more, and every message arrives."""
        scene, browser = self.begin(message_rate=4)
        begin, said = scene.clock.seconds(), 0
        while scene.clock.seconds() < begin + 10:
            while not browser.paused:
                browser.say(str(said))
                said += 1
            scene.clock.advance(0.05)
        self.assertIn(said, range(4 * 10, 4 * 10 + 4 + 2))
        self.assertEqual(scene.backend.wires[0].lines, [str(each) for each in range(said)])
        self.assertIsNone(browser.told)
        self.assert_over(scene)

    def test_silence_saves_up_a_burst(self) -> None:
        """A browser that has said nothing may send one burst, however long it was silent."""
        scene, browser = self.begin(message_rate=4)
        scene.clock.advance(3600)
        browser.say("1", "2", "3", "4", "5")
        self.assert_paused_for(scene, 0.25)
        self.assert_over(scene)

    def test_empty_messages_count(self) -> None:
        """Messages without a byte are messages."""
        scene, browser = self.begin(message_rate=1)
        browser.say("", "")
        self.assert_paused_for(scene, 1.0)
        self.assert_over(scene)


class ByteRateTests(RateTestCase):
    """Bytes per second."""

    def test_one_large_message(self) -> None:
        """A message that is larger than a second's bytes is taken; what it owes is waited for."""
        scene, browser = self.begin(byte_rate=100)
        browser.say("x" * 350)
        self.assert_paused_for(scene, 2.5)
        self.assertEqual(scene.backend.wires[0].lines, ["x" * 350])
        self.assert_over(scene)

    def test_many_small_ones(self) -> None:
        """Small messages add up."""
        scene, browser = self.begin(byte_rate=100)
        browser.say(*["x" * 10] * 10)
        self.assertFalse(browser.paused)
        browser.say("x" * 10)
        self.assert_paused_for(scene, 0.1)
        self.assert_over(scene)

    def test_bytes_not_letters(self) -> None:
        """What counts is the bytes on the wire."""
        scene, browser = self.begin(byte_rate=100)
        browser.say("글" * 40)
        self.assert_paused_for(scene, 0.2)
        self.assert_over(scene)


class BothTests(RateTestCase):
    """Both limits, and what else holds a browser back."""

    def test_the_longer_wait_counts(self) -> None:
        """With both limits a browser waits until it is within each of them."""
        scene, browser = self.begin(message_rate=1, byte_rate=100)
        browser.say("1", "2")
        self.assert_paused_for(scene, 1.0)
        scene.clock.advance(10)
        browser.say("x" * 400)
        self.assert_paused_for(scene, 3.0)
        self.assert_over(scene)

    def test_messages_that_were_here_already(self) -> None:
        """What comes after the pause had begun is carried, and makes it longer."""
        scene, browser = self.begin(message_rate=4)
        browser.say("1", "2", "3", "4", "5")
        for text in (b"6", b"7"):
            scene.bridge.browser_message(text, False)
        self.assert_paused_for(scene, 0.75)
        self.assertEqual(scene.backend.wires[0].lines, list("1234567"))
        self.assert_over(scene)

    def test_a_backend_that_does_not_read(self) -> None:
        """Being within the rate again is no reason to read what nobody takes."""
        scene, browser = self.begin(message_rate=1)
        link = scene.backend.wires[0]
        link.stall()
        browser.say("x" * 60, "x" * 60)
        scene.clock.advance(5)
        self.assertTrue(browser.paused)
        link.read()
        self.assertFalse(browser.paused)
        self.assert_over(scene)

    def test_answers_go_on(self) -> None:
        """A browser that is held back still gets what its backend says."""
        scene, browser = self.begin(message_rate=1)
        browser.say("1", "2")
        self.assertTrue(browser.paused)
        scene.backend.wires[0].answer(b"answer\n")
        self.assertEqual(browser.got, [(b"answer", False)])
        self.assert_over(scene)

    def test_no_limit(self) -> None:
        """Without limits nobody is held back."""
        scene, browser = self.begin()
        browser.say(*["x" * 1000] * 100)
        self.assertEqual((browser.paused, pending(scene.clock)), (False, []))
        self.assert_over(scene)


class FarBeyondTests(RateTestCase):
    """Browsers that are closed."""

    def test_just_within(self) -> None:
        """A debt that is paid in `MOST_WAIT_FOR_RATE` is waited for."""
        scene, browser = self.begin(byte_rate=10)
        browser.say("x" * (10 + 10 * int(MOST_WAIT_FOR_RATE)))
        self.assertIsNone(browser.told)
        self.assert_paused_for(scene, MOST_WAIT_FOR_RATE)
        self.assert_over(scene)

    def test_a_message_that_is_far_too_large(self) -> None:
        """One byte more is TOO_FAST: the message is not carried, and the browser is told."""
        scene, browser = self.begin(byte_rate=10)
        browser.say("x" * (11 + 10 * int(MOST_WAIT_FOR_RATE)))
        self.assertEqual(browser.told, (int(CloseCode.TOO_FAST), "TOO_FAST"))
        self.assertEqual((int(CloseCode.TOO_FAST), scene.backend.wires[0].written), (4009, b""))
        self.assert_over(scene)
        self.assertEqual(scene.counted("browsers_closed", "4009"), 1)

    def test_messages_that_do_not_stop(self) -> None:
        """Messages that keep coming in spite of the pause end the same way."""
        scene, browser = self.begin(message_rate=1)
        for _ in range(12):
            self.assertIsNone(browser.told)
            scene.bridge.browser_message(b"x", False)
        self.assertEqual(browser.told, (4009, "TOO_FAST"))
        self.assertEqual(len(scene.backend.wires[0].lines), 11)
        self.assert_over(scene)


class EndTests(RateTestCase):
    """No timer is left, however it ends."""

    def test_leaves(self) -> None:
        """A browser that leaves while it is held back is gone at once."""
        scene, browser = self.begin(message_rate=1)
        browser.say("1", "2")
        self.assertEqual(len(pending(scene.clock)), 1)
        self.assert_over(scene)

    def test_drained(self) -> None:
        """A browser that is told to go while it is held back is read again, for its answer."""
        scene, browser = self.begin(message_rate=1)
        browser.say("1", "2")
        scene.bridge.close(CloseCode.GOING_AWAY, "draining")
        self.assertEqual((browser.told, browser.paused), ((1001, "draining"), False))
        scene.clock.advance(5)
        self.assertFalse(browser.paused)
        self.assert_over(scene)

    def test_cut_off(self) -> None:
        """One that is cut off leaves nothing, either."""
        scene, browser = self.begin(byte_rate=10)
        browser.say("x" * 50)
        scene.bridge.abort()
        self.assertTrue(browser.aborted)
        self.assert_over(scene)

    def test_link_lost_meanwhile(self) -> None:
        """A link that breaks meanwhile comes back, and the browser is read when both allow it."""
        scene, browser = self.begin(message_rate=1)
        browser.say("1", "2")
        scene.backend.wires[0].reset()
        scene.relink(0.2)
        self.assertTrue(browser.paused)
        scene.clock.advance(0.9)
        self.assertFalse(browser.paused)
        self.assert_over(scene)
