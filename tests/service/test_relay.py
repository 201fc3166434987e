"""Mode ``relay``: whole messages, in order, over a link that may come back."""

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from orion_twisted.core.errors import BackendDown
from orion_twisted.service.relay import RelayBridge
from tests.service import common
from tests.service.fakes import BridgeTestCase, Scene
from tests.service.machine import BridgeMachine


class RelayDialTests(common.DialPromises):
    """Before the browser is let in."""

    kind = RelayBridge


class RelayCarriageTests(common.CarriagePromises):
    """While both sides are there."""

    kind = RelayBridge


class RelayEndTests(common.EndPromises):
    """The end, from either side."""

    kind = RelayBridge


class RelayIdleTests(common.IdlePromises):
    """The limit ``idle``."""

    kind = RelayBridge


class RelayRateTests(common.RatePromises):
    """The limits ``message_rate`` and ``byte_rate``."""

    kind = RelayBridge


class MessageTests(BridgeTestCase):
    """What is carried."""

    kind = RelayBridge

    def test_frames(self) -> None:
        """One message is one frame, both ways, however the bytes are cut."""
        scene = self.scene()
        browser, link = scene.begin()
        browser.say("one", "two")
        for byte in b"three\nfour\nfi":
            link.answer(bytes([byte]))
        self.assertEqual(link.lines, ["one", "two"])
        self.assertEqual(browser.got, [(b"three", False), (b"four", False)])
        browser.leave()
        self.assertOver(scene)

    def test_tagged(self) -> None:
        """With ``tagged`` the type of a message survives the trip."""
        scene = self.scene(message_type="tagged")
        browser, link = scene.begin()
        browser.say("text", b"\xff")
        link.answer(b"Ttext\nB\xff\n")
        self.assertEqual(link.written, b"Ttext\nB\xff\n")
        self.assertEqual(browser.got, [(b"text", False), (b"\xff", True)])
        browser.leave()
        self.assertOver(scene)

    def test_a_message_that_cannot_be_carried(self) -> None:
        """The browser is told why, and not to come back with it; what came before goes out."""
        for message, told in ((b"\xff", (1007, "BAD_MESSAGE")), ("a\nb", (4500, "BAD_MESSAGE"))):
            scene = self.scene()
            browser, link = scene.begin()
            browser.say("before", message)
            self.assertEqual(browser.told, told)
            self.assertEqual(link.lines, ["before"])
            browser.leave()
            self.assertOver(scene)

    def test_a_frame_beyond_the_limit(self) -> None:
        """A backend's frame may be as long as a message, tag apart, and no longer."""
        scene = self.scene(message_type="tagged")
        browser, link = scene.begin()
        link.answer(b"B" + bytes(1024).replace(b"\0", b"x") + b"\n")
        self.assertEqual((len(browser.got), browser.told), (1, None))
        link.answer(b"B" + b"x" * 1025 + b"\n")
        scene.clock.advance(0)
        self.assertEqual((len(browser.got), browser.told), (1, (4011, "BACKEND_ERROR")))
        browser.leave()
        self.assertOver(scene)


class BackendErrorTests(BridgeTestCase):
    """A backend that breaks the rules."""

    kind = RelayBridge

    def test_closes_with_4011(self) -> None:
        """The browser is closed with 4011 and the link is cut; both are counted."""
        scene = self.scene()
        browser, link = scene.begin()
        link.answer(b"good\n\xff\n")
        scene.clock.advance(0)
        self.assertEqual(browser.got, [(b"good", False)])
        self.assertEqual(browser.told, (4011, "BACKEND_ERROR"))
        self.assertTrue(link.aborted)
        browser.leave()
        self.assertEqual(scene.counted("backend_errors"), 1)
        self.assertEqual(scene.counted("links_lost", "BACKEND_ERROR"), 1)
        scene.clock.advance(60)
        self.assertEqual(len(scene.backend.attempts), 1)
        self.assertOver(scene)

    def test_nothing_after_the_bad_frame(self) -> None:
        """Frames that follow a bad one are not delivered, whoever pauses whom meanwhile."""
        scene = self.scene()
        browser, link = scene.begin()
        link.answer(b"\xff\nlater\n")
        scene.bridge.browser_full(True)
        scene.clock.advance(0)
        scene.bridge.browser_full(False)
        self.assertEqual((browser.got, browser.told), ([], (4011, "BACKEND_ERROR")))
        browser.leave()
        self.assertOver(scene)

    def test_the_browser_leaves_first(self) -> None:
        """A browser that goes while the bad link is being cut is no trouble."""
        scene = self.scene()
        browser, link = scene.begin()
        link.answer(b"\xff\n")
        browser.leave()
        self.assertOver(scene)


class BrokenLinkTests(BridgeTestCase):
    """The link breaks, and the browser stays."""

    kind = RelayBridge

    def test_comes_back(self) -> None:
        """Messages wait while the link is away, and go on in order; none is written twice."""
        scene = self.scene()
        browser, first = scene.begin()
        browser.say("one", "two")
        first.reset()
        browser.say("three", "four")
        self.assertIsNone(browser.told)
        second = scene.relink()
        browser.say("five")
        second.answer(b"answer\n")
        self.assertEqual(first.lines, ["one", "two"])
        self.assertEqual(second.lines, ["three", "four", "five"])
        self.assertEqual(browser.got, [(b"answer", False)])
        self.assertEqual((scene.counted("links"), scene.counted("links_lost", "broken")), (2, 1))
        browser.leave()
        self.assertEqual(scene.counted("messages_undelivered"), 0)
        self.assertOver(scene)

    def test_a_backend_that_ends_in_order(self) -> None:
        """A backend that restarts politely is a broken link like any other."""
        scene = self.scene()
        browser, first = scene.begin()
        first.fin()
        browser.say("one")
        second = scene.relink()
        self.assertEqual((second.lines, browser.told), (["one"], None))
        self.assertEqual(scene.counted("links_lost", "ended"), 1)
        browser.leave()
        self.assertOver(scene)

    def test_a_frame_cut_off(self) -> None:
        """A frame cut off by the break is dropped whole and counted, never delivered in part."""
        scene = self.scene()
        browser, first = scene.begin()
        first.answer(b"whole\nhal")
        first.reset()
        second = scene.relink()
        second.answer(b"f\n")
        self.assertEqual(browser.got, [(b"whole", False), (b"f", False)])
        self.assertEqual(scene.counted("frames_cut"), 1)
        browser.leave()
        self.assertOver(scene)

    def test_whole_frames_before_the_break(self) -> None:
        """What a backend said before it broke reaches a browser that was slow to read it."""
        scene = self.scene()
        browser, first = scene.begin()
        scene.bridge.browser_full(True)
        first.answer_late(b"one\ntwo\nthr")
        first.reset()
        self.assertEqual(browser.got, [])
        scene.bridge.browser_full(False)
        self.assertEqual(browser.got, [(b"one", False), (b"two", False)])
        self.assertEqual(scene.counted("frames_cut"), 1)
        second = scene.relink()
        browser.say("still here")
        self.assertEqual(second.lines, ["still here"])
        browser.leave()
        self.assertOver(scene)

    def test_a_full_browser_while_the_link_is_away(self) -> None:
        """A link that comes back under a browser that does not read is not read either."""
        scene = self.scene()
        browser, first = scene.begin()
        scene.bridge.browser_full(True)
        first.reset()
        second = scene.relink()
        self.assertTrue(second.paused)
        scene.bridge.browser_full(False)
        self.assertFalse(second.paused)
        browser.leave()
        self.assertOver(scene)

    def test_the_window(self) -> None:
        """While the link is away a browser is read up to ``window_bytes``, then no further."""
        scene = self.scene()
        browser, first = scene.begin()
        first.reset()
        said = 0
        while not browser.paused:
            browser.say("x" * 100)
            said += 1
        self.assertEqual(said, -(-1000 // (100 + 1 + 64)))
        second = scene.relink()
        self.assertEqual(len(second.lines), said)
        self.assertFalse(browser.paused)
        browser.leave()
        self.assertOver(scene)

    def test_full_when_it_broke(self) -> None:
        """That the old link was full does not stop the new one."""
        scene = self.scene()
        browser, first = scene.begin()
        first.stall()
        browser.say("x" * 101)
        self.assertTrue(browser.paused)
        first.reset()
        self.assertFalse(browser.paused)
        browser.say("next")
        second = scene.relink()
        self.assertEqual(second.lines, ["next"])
        browser.leave()
        self.assertOver(scene)

    def test_full_again_at_once(self) -> None:
        """A new link that fills up in the middle of what waited gets the rest later."""
        scene = self.scene()
        browser, first = scene.begin()
        first.reset()
        browser.say(*("x" * 60 for _ in range(5)))
        scene.clock.advance(0.1)
        scene.backend.stalls = True
        second = scene.backend.accept()
        self.assertEqual((len(second.lines), browser.paused), (2, True))
        second.read()
        self.assertEqual((len(second.lines), browser.paused), (5, False))
        browser.leave()
        self.assertOver(scene)


class PatienceTests(BridgeTestCase):
    """How long a browser is kept without its link."""

    kind = RelayBridge

    def refuse_for(self, scene: Scene, seconds: float) -> None:
        """Let time pass in which the backend refuses."""
        for _ in range(round(seconds * 10)):
            if scene.backend.dialling:
                scene.backend.refuse()
            scene.clock.advance(0.1)

    def test_backend_down(self) -> None:
        """After ``link_grace`` without a link the browser is closed with BACKEND_DOWN."""
        scene = self.scene()
        browser, link = scene.begin()
        link.reset()
        browser.say("one", "two")
        self.refuse_for(scene, 29.9)
        self.assertIsNone(browser.told)
        self.refuse_for(scene, 0.2)
        self.assertEqual(browser.told, (4014, "BACKEND_DOWN"))
        browser.leave()
        self.assertEqual(scene.counted("browsers_closed", "4014"), 1)
        self.assertEqual(scene.counted("messages_undelivered"), 2)
        attempts = len(scene.backend.attempts)
        scene.clock.advance(60)
        self.assertEqual(len(scene.backend.attempts), attempts)
        self.assertOver(scene)

    def test_a_grace_of_nothing(self) -> None:
        """With ``link_grace`` 0 the browser goes with its link."""
        scene = self.scene(link_grace=0.0)
        browser, link = scene.begin()
        link.reset()
        scene.clock.advance(0)
        self.assertEqual(browser.told, (4014, "BACKEND_DOWN"))
        browser.leave()
        self.assertOver(scene)

    def test_back_in_time(self) -> None:
        """A link that comes back ends the wait for good."""
        scene = self.scene()
        browser, link = scene.begin()
        link.reset()
        scene.relink()
        scene.clock.advance(300)
        self.assertIsNone(browser.told)
        browser.leave()
        self.assertOver(scene)

    def test_flapping_does_not_extend_it(self) -> None:
        """A backend that accepts and dies, over and over, does not hold a browser for ever."""
        scene = self.scene(link_grace=10.0)
        browser, link = scene.begin()
        lost_at = scene.clock.seconds()
        link.reset()
        while browser.told is None:
            self.assertLess(scene.clock.seconds() - lost_at, 10.5)
            scene.clock.advance(0.1)
            if scene.backend.dialling:
                scene.backend.accept().reset()
        self.assertLess(abs(scene.clock.seconds() - lost_at - 10), 0.2)
        self.assertEqual(browser.told, (4014, "BACKEND_DOWN"))
        browser.leave()
        self.assertOver(scene)

    def test_a_link_that_outlives_it_unproved(self) -> None:
        """While there is a link nobody is closed; once it dies too late, the browser is."""
        scene = self.scene(link_grace=2.0)
        browser, link = scene.begin()
        link.reset()
        second = scene.relink()
        scene.clock.advance(4)
        self.assertIsNone(browser.told)
        second.reset()
        scene.clock.advance(0)
        self.assertEqual(browser.told, (4014, "BACKEND_DOWN"))
        browser.leave()
        self.assertOver(scene)

    def test_proof_makes_it_whole(self) -> None:
        """A link that brought a frame, or stood for 5 s, earns the next loss a whole grace."""
        for proof in ("frame", "time"):
            with self.subTest(proof):
                scene = self.scene(link_grace=10.0)
                browser, first = scene.begin()
                first.reset()
                self.refuse_for(scene, 3.2)
                second = scene.backend.accept()
                if proof == "frame":
                    second.answer(b"hello\n")
                else:
                    scene.clock.advance(5)
                second.reset()
                self.refuse_for(scene, 9.8)
                self.assertIsNone(browser.told)
                self.refuse_for(scene, 0.3)
                self.assertEqual(browser.told, (4014, "BACKEND_DOWN"))
                browser.leave()
                self.assertOver(scene)

    def test_the_browser_leaves_first(self) -> None:
        """A browser that goes while the link is away ends the dialling, and is counted."""
        scene = self.scene()
        browser, link = scene.begin()
        link.reset()
        browser.say("one", "two", "three")
        browser.leave()
        self.assertEqual(scene.counted("messages_undelivered"), 3)
        scene.clock.advance(60)
        self.assertEqual(len(scene.backend.attempts), 1)
        self.assertOver(scene)

    def test_closed_while_the_link_is_away(self) -> None:
        """A drained browser does not wait for its link."""
        scene = self.scene()
        browser, link = scene.begin()
        link.reset()
        browser.say("one")
        scene.bridge.fail(BackendDown("test"))
        self.assertEqual(scene.counted("messages_undelivered"), 1)
        browser.leave()
        self.assertEqual(scene.counted("messages_undelivered"), 1)
        self.assertOver(scene)


class LastWordsTests(BridgeTestCase):
    """What has been accepted from a browser that leaves."""

    kind = RelayBridge

    def test_a_full_link(self) -> None:
        """All that was accepted goes out behind what is stuck, in order, when a browser leaves."""
        scene = self.scene()
        browser, first = scene.begin()
        first.reset()
        browser.say(*(f"message {n} of many, and of some length".ljust(60) for n in range(5)))
        scene.clock.advance(0.1)
        scene.backend.stalls = True
        second = scene.backend.accept()
        self.assertEqual(len(second.lines), 2)
        browser.leave()
        self.assertEqual([line[:9] for line in second.lines], [f"message {n}" for n in range(5)])
        self.assertEqual(scene.counted("messages_undelivered"), 0)
        self.assertFalse(second.heard_end)
        second.read()
        self.assertEqual(second.taken, second.written)
        self.assertTrue(second.heard_end)
        self.assertOver(scene)

    def test_a_link_that_is_dead_already(self) -> None:
        """What waits for a link that has died is not written to it, but counted as undelivered."""
        for death in ("reset", "bad frame"):
            with self.subTest(death):
                scene = self.scene()
                browser, first = scene.begin()
                first.reset()
                browser.say(*("x" * 60 for _ in range(5)))
                scene.clock.advance(0.1)
                scene.backend.stalls = True
                second = scene.backend.accept()
                if death == "reset":
                    scene.bridge.browser_full(True)
                    second.answer_late(b"one more\n")
                    second.reset()
                else:
                    second.answer(b"\xff\n")
                browser.leave()
                self.assertEqual((len(second.lines), second.written_too_late), (2, b""))
                self.assertEqual(scene.counted("messages_undelivered"), 3)
                self.assertOver(scene)

    def test_a_full_link_and_a_close(self) -> None:
        """The same when it is the gateway that ends it."""
        scene = self.scene()
        browser, first = scene.begin()
        first.reset()
        browser.say(*("x" * 60 for _ in range(5)))
        scene.clock.advance(0.1)
        scene.backend.stalls = True
        second = scene.backend.accept()
        scene.bridge.fail(BackendDown("test"))
        self.assertEqual(len(second.lines), 5)
        self.assertEqual(scene.counted("messages_undelivered"), 0)
        browser.leave()
        self.assertOver(scene)


class RelayMachine(BridgeMachine):
    kind = RelayBridge


class AnyOrderTests(BridgeTestCase):
    """No order of events breaks the bridge."""

    def test_any_order(self) -> None:
        """Whatever happens, in any order: each message once, one end, no timer left behind."""
        run_state_machine_as_test(
            RelayMachine,
            settings=settings(deadline=None, max_examples=150, stateful_step_count=50),
        )
