"""What every bridge promises, whatever its mode: each mode's tests take these up."""

from twisted.internet.defer import CancelledError

from orion_twisted.core.errors import BackendDown, CloseCode
from orion_twisted.net.links import FINISH_TIME
from tests.service.fakes import TENANT, BridgeTestCase


class DialPromises(BridgeTestCase):
    """Before the browser is let in."""

    def test_a_link_first(self) -> None:
        """A browser is let in when its link is up, not before."""
        scene = self.scene()
        dialled = scene.dial()
        self.assertNoResult(dialled)
        scene.backend.accept()
        self.assertIsNone(self.successResultOf(dialled))
        self.assertEqual((scene.ended, scene.counted("links")), (0, 1))
        scene.open()
        scene.finish()
        self.assertOver(scene)

    def test_a_backend_that_comes_late(self) -> None:
        """Within the time a refusal is not the end: the backend is dialled again."""
        scene = self.scene()
        dialled = scene.dial(opens=True)
        for _ in range(3):
            scene.backend.refuse()
            scene.clock.advance(0.8)
        scene.backend.accept()
        self.successResultOf(dialled)
        scene.clock.advance(TENANT.dial_timeout)
        assert scene.browser is not None
        self.assertIsNone(scene.browser.told)
        scene.finish()
        self.assertOver(scene)

    def test_refused_until_the_time_is_up(self) -> None:
        """A backend that refuses for ``dial_timeout`` is BACKEND_DOWN."""
        scene = self.scene()
        dialled = scene.dial()
        for _ in range(49):
            if scene.backend.dialling:
                scene.backend.refuse()
            scene.clock.advance(0.1)
        self.assertNoResult(dialled)
        scene.clock.advance(0.2)
        self.failureResultOf(dialled, BackendDown)
        self.assertGreater(len(scene.backend.attempts), 3)
        self.assertOver(scene)

    def test_no_answer(self) -> None:
        """A backend that does not even refuse is given up in the same time."""
        scene = self.scene(dial_timeout=2.0)
        dialled = scene.dial()
        scene.clock.advance(1.9)
        self.assertNoResult(dialled)
        scene.clock.advance(0.2)
        self.failureResultOf(dialled, BackendDown)
        self.assertTrue(scene.backend.attempts[0].cancelled)
        self.assertOver(scene)

    def test_cancelled(self) -> None:
        """When the browser goes away first, nobody goes on dialling."""
        for refusals in (0, 1):
            with self.subTest(f"after {refusals} refusals"):
                scene = self.scene()
                dialled = scene.dial()
                for _ in range(refusals):
                    scene.backend.refuse()
                dialled.cancel()
                self.failureResultOf(dialled, CancelledError)
                self.assertOver(scene)

    def test_closed_while_dialling(self) -> None:
        """A gateway that drains does not keep a browser waiting for its backend."""
        for end in (lambda b: b.close(CloseCode.GOING_AWAY, "draining"), lambda b: b.abort()):
            scene = self.scene()
            dialled = scene.dial()
            end(scene.bridge)
            self.failureResultOf(dialled, BackendDown)
            self.assertOver(scene)

    def test_an_endpoint_that_answers_at_once(self) -> None:
        """An endpoint may bring the link up before its ``connect`` returns."""
        scene = self.scene()
        scene.backend.eager = True
        dialled = scene.dial(opens=True)
        self.successResultOf(dialled)
        self.assertIsNotNone(scene.browser)
        scene.finish()
        self.assertOver(scene)

    def test_a_browser_that_never_opens(self) -> None:
        """A handshake that fails after all ends the bridge, and counts as no browser."""
        scene = self.scene()
        scene.dial()
        scene.backend.accept()
        scene.bridge.browser_lost(1006, "bad extension")
        self.assertEqual((scene.counted("browsers"), scene.counted("browsers_closed")), (0, 0))
        self.assertOver(scene)


class CarriagePromises(BridgeTestCase):
    """While both sides are there."""

    def test_counts(self) -> None:
        """Messages, bytes, browsers and links are counted, by how they ended."""
        scene = self.scene(message_type="binary")
        browser, link = scene.begin()
        browser.say(b"four", b"more")
        link.answer(b"answer\n")
        browser.leave(1001)
        self.assertEqual(
            {name: scene.counted(name) for name in ("browsers", "links", "browsers_closed")},
            {"browsers": 1, "links": 1, "browsers_closed": 1},
        )
        self.assertEqual(scene.counted("messages_from_browsers"), 2)
        self.assertEqual(scene.counted("bytes_from_browsers"), 8)
        self.assertEqual(scene.counted("messages_to_browsers"), 1)
        self.assertEqual(
            scene.counted("bytes_to_browsers"), sum(len(payload) for payload, _ in browser.got)
        )
        self.assertEqual(scene.counted("browsers_closed", "1001"), 1)
        self.assertOver(scene)

    def test_close_codes_that_browsers_invent(self) -> None:
        """A peer that counts through all close codes does not fill the counters' memory."""
        for code, reason in ((3999, "other"), (4999, "other"), (4014, "4014"), (1005, "1005")):
            scene = self.scene()
            browser, _ = scene.begin()
            browser.leave(code)
            self.assertEqual(scene.counted("browsers_closed", reason), 1)
            self.assertOver(scene)

    def test_a_full_browser(self) -> None:
        """A browser that does not read stops the backend from being read, and nobody else."""
        scene = self.scene()
        browser, link = scene.begin()
        self.assertFalse(link.paused)
        scene.bridge.browser_full(True)
        self.assertTrue(link.paused)
        self.assertFalse(browser.paused)
        browser.say(b"still here")
        self.assertIn(b"still here", link.written)
        scene.bridge.browser_full(False)
        self.assertFalse(link.paused)
        browser.leave()
        self.assertOver(scene)

    def test_a_full_link(self) -> None:
        """A backend that does not read stops the browser from being read, and nobody else."""
        scene = self.scene()
        browser, link = scene.begin()
        link.stall()
        browser.say(b"x" * 101)
        self.assertTrue(browser.paused)
        self.assertFalse(link.paused)
        link.answer(b"still here\n")
        self.assertEqual(len(browser.got), 1)
        link.read()
        self.assertFalse(browser.paused)
        browser.leave()
        self.assertOver(scene)

    def test_both_full(self) -> None:
        """Two sides that do not read are both left alone, and both taken up again."""
        scene = self.scene()
        browser, link = scene.begin()
        link.stall()
        browser.say(b"x" * 101)
        scene.bridge.browser_full(True)
        self.assertEqual((browser.paused, link.paused), (True, True))
        link.read()
        self.assertEqual((browser.paused, link.paused), (False, True))
        scene.bridge.browser_full(False)
        self.assertEqual((browser.paused, link.paused), (False, False))
        browser.leave()
        self.assertOver(scene)

    def test_the_link_waits_for_the_browser(self) -> None:
        """What a backend says first is not read before there is a browser to read it."""
        scene = self.scene()
        scene.dial()
        link = scene.backend.accept()
        self.assertTrue(link.paused)
        link.answer_late(b"hello\n")
        scene.open()
        assert scene.browser is not None
        self.assertEqual(len(scene.browser.got), 1)
        self.assertFalse(link.paused)
        scene.finish()
        self.assertOver(scene)


class EndPromises(BridgeTestCase):
    """The end, from either side."""

    def test_the_browser_leaves(self) -> None:
        """The backend hears FIN after all that was said, and may end its side in peace."""
        scene = self.scene()
        browser, link = scene.begin()
        browser.say(b"last words")
        browser.leave()
        self.assertIn(b"last words", link.written)
        self.assertEqual((link.heard_end, link.aborted, scene.ended), (True, False, 1))
        link.answer(b"too late\n")
        link.fin()
        self.assertEqual((browser.got, scene.counted("links_lost")), ([], 0))
        self.assertOver(scene)

    def test_a_backend_that_does_not_end(self) -> None:
        """A backend that keeps its side open is cut off after a while."""
        scene = self.scene()
        browser, link = scene.begin()
        browser.leave()
        scene.clock.advance(FINISH_TIME - 0.1)
        self.assertFalse(link.aborted)
        scene.clock.advance(0.2)
        self.assertTrue(link.aborted)
        self.assertOver(scene)

    def test_closed_by_the_gateway(self) -> None:
        """The browser is told once; the link ends now, the bridge with the browser's socket."""
        scene = self.scene()
        browser, link = scene.begin()
        scene.bridge.close(CloseCode.GOING_AWAY, "draining")
        scene.bridge.close(CloseCode.IDLE, "IDLE")
        self.assertEqual(browser.told, (1001, "draining"))
        scene.turn()
        self.assertEqual((link.heard_end, scene.ended), (True, 0))
        browser.leave()
        self.assertEqual(scene.counted("browsers_closed", "1001"), 1)
        self.assertOver(scene)

    def test_nothing_after_the_close(self) -> None:
        """Once a browser has been told to go, nothing is carried either way."""
        scene = self.scene()
        browser, link = scene.begin()
        scene.bridge.close(CloseCode.GOING_AWAY, "draining")
        browser.say(b"too late")
        link.answer(b"too late\n")
        scene.bridge.browser_full(True)
        scene.bridge.browser_full(False)
        self.assertEqual((link.written, browser.got), (b"", []))
        self.assertEqual(scene.counted("messages_from_browsers"), 0)
        browser.leave()
        self.assertOver(scene)

    def test_cut_off(self) -> None:
        """A browser that does not answer its close frame can be cut off."""
        scene = self.scene()
        browser, _ = scene.begin()
        scene.bridge.close(CloseCode.GOING_AWAY, "draining")
        scene.bridge.abort()
        self.assertTrue(browser.aborted)
        browser.leave()
        self.assertOver(scene)

    def test_cut_off_before_it_opened(self) -> None:
        """Cutting off works once, also where the library never opened the socket."""
        scene = self.scene()
        scene.dial()
        scene.backend.accept()
        scene.bridge.abort()
        scene.bridge.abort()
        scene.bridge.browser_lost(1006, "")
        self.assertOver(scene)

    def test_cut_off_without_a_word(self) -> None:
        """Cutting off needs no close before it."""
        scene = self.scene()
        browser, _ = scene.begin()
        scene.bridge.abort()
        self.assertTrue(browser.aborted)
        browser.leave(1006)
        self.assertOver(scene)

    def test_the_link_dies_after_the_close(self) -> None:
        """A link that breaks while it ends is nobody's business any more."""
        scene = self.scene()
        browser, link = scene.begin()
        scene.bridge.close(CloseCode.GOING_AWAY, "draining")
        link.reset()
        scene.clock.advance(60)
        self.assertEqual(len(scene.backend.attempts), 1)
        browser.leave()
        self.assertOver(scene)

    def test_long_after_the_end(self) -> None:
        """A backend that is slow to end its side after the browser has gone does no harm."""
        scene = self.scene()
        browser, _ = scene.begin()
        browser.leave()
        scene.clock.advance(10)  # past the time after which a link counts as proved
        self.assertOver(scene)


class IdlePromises(BridgeTestCase):
    """The limit ``idle``."""

    def test_silence(self) -> None:
        """A browser without a message either way for ``idle`` is closed, and may come back."""
        scene = self.scene({"idle": 60.0})
        browser, _ = scene.begin()
        scene.clock.advance(59.9)
        self.assertIsNone(browser.told)
        scene.clock.advance(0.2)
        self.assertEqual(browser.told, (4010, "IDLE"))
        browser.leave()
        self.assertOver(scene)

    def test_messages_are_life(self) -> None:
        """Each message starts the time anew, whoever sent it."""
        scene = self.scene({"idle": 60.0})
        browser, link = scene.begin()
        scene.clock.advance(50)
        browser.say(b"here")
        scene.clock.advance(50)
        link.answer(b"here\n")
        scene.clock.advance(50)
        self.assertIsNone(browser.told)
        scene.clock.advance(11)
        self.assertEqual(browser.told, (4010, "IDLE"))
        browser.leave()
        self.assertOver(scene)

    def test_none(self) -> None:
        """Without the limit a browser may be silent for ever."""
        scene = self.scene()
        browser, _ = scene.begin()
        scene.clock.advance(7 * 24 * 3600)
        self.assertIsNone(browser.told)
        browser.leave()
        self.assertOver(scene)

    def test_ends_with_the_browser(self) -> None:
        """Nobody waits for a browser that has gone."""
        scene = self.scene({"idle": 60.0})
        browser, _ = scene.begin()
        browser.leave()
        self.assertOver(scene)


class RatePromises(BridgeTestCase):
    """The limits ``message_rate`` and ``byte_rate``."""

    def test_within(self) -> None:
        """A browser within its rate is read without a pause."""
        scene = self.scene({"message_rate": 2})
        browser, _ = scene.begin()
        for _ in range(10):
            browser.say(b"one", b"two")
            scene.clock.advance(1)
        self.assertIsNone(browser.told)
        browser.leave()
        self.assertOver(scene)

    def test_beyond(self) -> None:
        """Beyond its rate a browser is not read until it is within it again; nothing is lost."""
        for limits in ({"message_rate": 2}, {"byte_rate": 20}):
            scene = self.scene(limits)
            browser, link = scene.begin()
            browser.say(b"0123456789", b"0123456789", b"0123456789")
            self.assertEqual((browser.paused, link.written.count(b"0123456789")), (True, 3))
            scene.clock.advance(0.4)
            self.assertTrue(browser.paused)
            scene.clock.advance(0.2)
            self.assertFalse(browser.paused)
            browser.leave()
            self.assertOver(scene)

    def test_a_full_link_at_the_same_time(self) -> None:
        """A browser is read again when both its rate and its backend allow it."""
        scene = self.scene({"message_rate": 1})
        browser, link = scene.begin()
        link.stall()
        browser.say(b"x" * 60, b"x" * 60)
        scene.clock.advance(1.1)
        self.assertTrue(browser.paused)
        link.read()
        self.assertFalse(browser.paused)
        browser.say(b"one")
        link.read()
        self.assertTrue(browser.paused)
        browser.leave()
        self.assertOver(scene)

    def test_far_beyond(self) -> None:
        """A message that is far beyond the rate ends its browser, and is not carried."""
        scene = self.scene({"byte_rate": 10})
        browser, link = scene.begin()
        browser.say(b"x" * 200)
        self.assertEqual((browser.told, link.written), ((4009, "TOO_FAST"), b""))
        browser.leave()
        self.assertOver(scene)

    def test_leaves_meanwhile(self) -> None:
        """A browser that leaves while it is held back leaves no timer."""
        scene = self.scene({"message_rate": 1})
        browser, _ = scene.begin()
        browser.say(b"one", b"two")
        self.assertTrue(browser.paused)
        browser.leave()
        self.assertOver(scene)
