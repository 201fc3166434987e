"""A relay's backend goes wrong in every way; what the browser sees of it."""

from __future__ import annotations

import threading
import time
from typing import ClassVar

from websockets.exceptions import InvalidStatus

from tests.e2e.backends import (
    Backend,
    Peer,
    Talk,
    echo,
    frame,
    resets,
    sends,
    silent,
    silent_stream,
)
from tests.e2e.browsers import Ending, ending, receive
from tests.harness import Gateway, GatewayTestCase, eventually, free_port

HALF = frame(b"half of this frame never comes")[:20]

SETTINGS = """
[tenant.patient]
hosts = ["*"]
path = "/patient"
backend = ["{0}"]
link_grace = "60 s"

[tenant.impatient]
hosts = ["*"]
path = "/impatient"
backend = ["{0}"]
link_grace = "1 s"
"""


class FaultTestCase(GatewayTestCase):
    """Two tenants with one backend between them, which each test makes to its liking."""

    gateway: ClassVar[Gateway]
    port: ClassVar[int]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.port = free_port()
        settings = cls.settings_file(SETTINGS.format(f"tcp:127.0.0.1:{cls.port}"))
        cls.gateway = cls.start_for_class(f"--config={settings}")

    def backend(self, talk: Talk) -> Backend:
        """Return a backend that is up until the test ends."""
        backend = Backend(talk, self.port).start()
        self.addCleanup(backend.stop)
        return backend


class ArrivalTests(FaultTestCase):
    def test_a_backend_that_refuses(self) -> None:
        """No backend for 5 s: the browser gets 503 with Retry-After, before any upgrade."""
        began = time.monotonic()
        with self.assertRaises(InvalidStatus) as caught:
            self.gateway.browser("/patient")
        response = caught.exception.response
        self.assertEqual((response.status_code, response.headers["Retry-After"]), (503, "5"))
        self.assertGreater(time.monotonic() - began, 4.5)
        self.assertLess(time.monotonic() - began, 15)

    def test_a_backend_that_comes_up_in_time(self) -> None:
        """A backend that is not there at first, but within the 5 s, is as good as any."""
        late = threading.Timer(1.0, lambda: self.backend(echo))
        late.start()
        self.addCleanup(late.join)
        with self.gateway.browser("/patient") as browser:
            browser.send("here at last")
            self.assertEqual(receive(browser, 1), ["here at last"])

    def test_the_second_backend_helps_out(self) -> None:
        """Of several backends the next one is tried when one refuses."""
        with Backend(echo) as second:
            gateway = self.start(
                f"--backend=tcp:127.0.0.1:{free_port()}", f"--backend={second.endpoint}"
            )
            with gateway.browser() as browser:
                browser.send("to whoever is there")
                self.assertEqual(receive(browser, 1), ["to whoever is there"])


class BreakTests(FaultTestCase):
    def assert_lives_on(self, talk: Talk, answers: list[str]) -> None:
        """
        Break a link by a talk, bring the backend back, and talk on.

        Args:
            talk: for the first connection; it ends after one frame, which is "first".
            answers: what the browser hears before the backend is back.
        """

        def first_then_echo(peer: Peer) -> None:
            (talk if peer.number == 1 else echo)(peer)

        backend = self.backend(first_then_echo)
        with self.gateway.browser("/patient") as browser:
            browser.send("first")
            self.assertEqual(receive(browser, len(answers)), answers)
            backend.wait_for_peers(2)
            later = [f"{number} after the break" for number in range(100)]
            for message in later:
                browser.send(message)
            self.assertEqual(receive(browser, 100), later)
        self.assertEqual(backend.frames, [b"first", *map(str.encode, later)])

    def test_a_backend_that_dies_in_mid_frame(self) -> None:
        """Half a frame is never delivered; the browser stays and talks on with the next link."""

        def dies(peer: Peer) -> None:
            peer.read_frame()
            peer.send_frame(b"whole")
            peer.send(HALF)

        self.assert_lives_on(dies, ["whole"])

    def test_a_backend_that_resets(self) -> None:
        """A reset is a break like any other: the browser stays, nothing is written twice."""
        self.assert_lives_on(resets, [])

    def test_a_backend_that_resets_in_mid_frame(self) -> None:
        """A reset in the middle of a frame drops the frame, not the browser."""

        def dies(peer: Peer) -> None:
            peer.read_frame()
            peer.send(HALF)
            peer.reset()

        self.assert_lives_on(dies, [])

    def test_what_is_sent_meanwhile_waits(self) -> None:
        """Messages sent while there is no link arrive in order once there is one, each once."""
        backend = self.backend(silent)
        with self.gateway.browser("/patient") as browser:
            for round_number in range(3):
                so_far = len(backend.frames)
                before = [f"{round_number}: {number} before" for number in range(50)]
                meanwhile = [f"{round_number}: {number} meanwhile" for number in range(50)]
                for message in before:
                    browser.send(message)
                backend.wait_for_frames(so_far + 50)
                backend.leave()
                for message in meanwhile:
                    browser.send(message)
                backend.start()
                frames = backend.wait_for_frames(so_far + 100)[so_far:]
                self.assertEqual(frames, [each.encode() for each in before + meanwhile])
        backend.leave()
        self.assertEqual(len(backend.frames), 300)

    def test_other_browsers_do_not_notice(self) -> None:
        """A link that breaks breaks one browser's link: everybody has one of their own."""

        def odd_ones_die(peer: Peer) -> None:
            if peer.number == 1:
                resets(peer)
            else:
                echo(peer)

        backend = self.backend(odd_ones_die)
        with (
            self.gateway.browser("/patient") as unlucky,
            self.gateway.browser("/patient") as lucky,
        ):
            unlucky.send("first")
            backend.wait_for_peers(3)
            for browser in (lucky, unlucky):
                browser.send("still here")
                self.assertEqual(receive(browser, 1), ["still here"])

    def test_longer_than_link_grace(self) -> None:
        """A backend that stays away for longer than link_grace ends the browser with 4014."""
        backend = self.backend(silent)
        with self.gateway.browser("/impatient") as browser:
            browser.send("before")
            backend.wait_for_frames(1)
            backend.leave()
            browser.send("never delivered")
            self.assertEqual(ending(browser), Ending(4014, "BACKEND_DOWN", []))
        backend.start()
        with self.gateway.browser("/impatient") as browser:
            browser.send("after")
            self.assertEqual(backend.wait_for_frames(2), [b"before", b"after"])

    def test_a_backend_that_accepts_and_dies(self) -> None:
        """A backend that is only ever up for a moment is down: 4014 after link_grace."""

        def dies_at_once(peer: Peer) -> None:
            peer.reset()

        backend = self.backend(dies_at_once)
        with self.gateway.browser("/impatient") as browser:
            self.assertEqual(ending(browser), Ending(4014, "BACKEND_DOWN", []))
        self.assertLess(len(backend.peers), 50, "the gateway dials without pause")

    def test_a_browser_that_goes_meanwhile(self) -> None:
        """A browser that leaves while its backend is away takes its messages with it."""
        backend = self.backend(silent)
        with self.gateway.browser("/patient") as browser:
            browser.send("before")
            backend.wait_for_frames(1)
            backend.leave()
            browser.send("never delivered")
        backend.start()
        with self.gateway.browser("/patient") as browser:
            browser.send("another's")
            self.assertEqual(backend.wait_for_frames(2), [b"before", b"another's"])

    def test_nothing_is_lost_when_the_browser_closes(self) -> None:
        """What a browser sent before it closed reaches the backend, and then FIN does."""
        messages = [f"{number}" * 1000 for number in range(100)]
        backend = self.backend(silent)
        with self.gateway.browser("/patient") as browser:
            for message in messages:
                browser.send(message)
        self.assertEqual(backend.wait_for_frames(100), [each.encode() for each in messages])
        eventually(lambda: backend.peers[0].ended, "FIN at the backend")


class NonsenseTests(FaultTestCase):
    def test_a_huge_frame(self) -> None:
        """A frame announced as 2 GiB ends the browser with 4011, after what came before it."""
        self.backend(sends(frame(b"good") + b"\x7f\xff\xff\xff" + b"x" * 1000))
        with self.gateway.browser("/patient") as browser:
            self.assertEqual(ending(browser), Ending(4011, "BACKEND_ERROR", ["good"]))

    def test_text_that_is_none(self) -> None:
        """A frame that is no UTF-8, where text was agreed, ends the browser with 4011."""
        self.backend(sends(frame(b"good") + frame(b"\xff\xfe bad") + frame(b"unread")))
        with self.gateway.browser("/patient") as browser:
            self.assertEqual(ending(browser), Ending(4011, "BACKEND_ERROR", ["good"]))

    def test_crooked_framing_and_tags(self) -> None:
        """What the framing or the tag does not allow ends the browser with 4011."""
        for flags, data in (
            (["--framing=netstring"], b"4:good,3:bad;"),
            (["--framing=netstring"], b"4:good,007:x"),
            (["--framing=line", "--limit=message=1KiB"], b"good\n" + b"x" * 2000),
            (["--message-type=tagged"], frame(b"Tgood") + frame(b"Xbad")),
        ):
            with self.subTest(data), Backend(sends(data)) as backend:
                gateway = self.start(f"--backend={backend.endpoint}", *flags)
                with gateway.browser() as browser:
                    self.assertEqual(ending(browser), Ending(4011, "BACKEND_ERROR", ["good"]))

    def test_a_silent_backend(self) -> None:
        """A backend that never answers costs nothing: the browser stays, and is not told lies."""
        backend = self.backend(silent_stream)
        with self.gateway.browser("/patient") as browser:
            browser.send("hello?")
            with self.assertRaises(TimeoutError):
                browser.recv(timeout=1)
            self.assertEqual(bytes(backend.stream), frame(b"hello?"))
