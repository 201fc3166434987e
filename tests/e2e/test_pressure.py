"""Whoever does not read stops whoever writes to him, and nobody's memory grows meanwhile."""

from __future__ import annotations

from collections.abc import Iterator

from tests.e2e.backends import Backend, Floods, NeverReads, Peer, echo, silent, silent_stream
from tests.e2e.browsers import Sender, receive_bytes
from tests.harness import KIB, MIB, Gateway, GatewayTestCase, eventually, steady

SIZE = 64 * KIB
COUNT = 1600
"""100 MiB in all: far more than sockets, windows and libraries hold together."""
SLACK = 8 * MIB
"""What a gateway's memory may grow beside its window: reads and writes under way, Python's own."""
SMALL = 64 * KIB
"""A receive buffer, in bytes, so that little is hidden in the system."""


def numbered() -> Iterator[bytes]:
    """Yield COUNT payloads, each with its number in it."""
    filler = b"." * (SIZE - 10)
    for number in range(COUNT):
        yield b"%010d" % number + filler


class PressureTestCase(GatewayTestCase):
    def assert_bounded(self, gateway: Gateway, before: int, window: int = 0) -> None:
        self.assertLess(gateway.memory - before, window + SLACK)

    def assert_blocked(self, count: int) -> None:
        self.assertLess(count, COUNT * 3 // 4, "nobody was stopped")


class RelayPressureTests(PressureTestCase):
    def gateway_for(self, backend: Backend, *flags: str) -> Gateway:
        return self.start(f"--backend={backend.endpoint}", "--message-type=binary", *flags)

    def test_a_backend_that_never_reads(self) -> None:
        """Its browser cannot send on, memory stays; once it reads, all arrives in order."""
        unwilling = NeverReads(then=silent)
        with Backend(unwilling, receive_buffer=SMALL) as backend:
            gateway = self.gateway_for(backend)
            with gateway.browser() as browser:
                before = gateway.memory
                sender = Sender(browser, numbered())
                sender.start()
                self.assert_blocked(steady(lambda: sender.sent))
                self.assert_bounded(gateway, before, window=MIB)
                unwilling.let_go()
                sender.finish()
                self.assertTrue(backend.wait_for_frames(COUNT) == list(numbered()))
                self.assert_bounded(gateway, before, window=MIB)

    def test_a_browser_that_does_not_read(self) -> None:
        """Its backend's writes block, memory stays; once it reads, all arrives in order."""
        flood = Floods(numbered())
        with Backend(flood) as backend:
            gateway = self.gateway_for(backend)
            with gateway.browser(receive_buffer=SMALL) as browser:
                before = gateway.memory
                self.assert_blocked(steady(lambda: flood.sent))
                self.assert_bounded(gateway, before)
                for number, expected in enumerate(numbered()):
                    self.assertTrue(browser.recv(timeout=30) == expected, number)
                self.assert_bounded(gateway, before)

    def test_a_window_that_is_full(self) -> None:
        """While the link is away a full window stops the browser; then all arrives, each once."""
        window = 256 * KIB
        with Backend(silent) as backend:
            gateway = self.gateway_for(backend, f"--window-bytes={window}")
            with gateway.browser() as browser:
                browser.send(b"before")
                backend.wait_for_frames(1)
                backend.leave()
                before = gateway.memory
                sender = Sender(browser, numbered())
                sender.start()
                self.assert_blocked(steady(lambda: sender.sent))
                self.assert_bounded(gateway, before, window)
                backend.start()
                sender.finish()
                self.assertTrue(backend.wait_for_frames(COUNT + 1)[1:] == list(numbered()))
            backend.leave()
            self.assertEqual(len(backend.frames), COUNT + 1)

    def test_a_break_while_all_is_full(self) -> None:
        """A link that breaks under pressure costs what was written to it; the rest has no hole."""

        def reads_a_little(peer: Peer) -> None:
            if peer.number > 1:
                silent(peer)
                return
            for _ in range(50):
                peer.read_frame()
            peer.reset()

        with Backend(reads_a_little, receive_buffer=SMALL) as backend:
            gateway = self.gateway_for(backend)
            with gateway.browser() as browser:
                sender = Sender(browser, numbered())
                sender.start()
                sender.finish()
                last = b"%010d" % (COUNT - 1)
                eventually(lambda: backend.frames[-1].startswith(last), "the last message")
        arrived = [int(each[:10]) for each in backend.frames]
        self.assertEqual(arrived[:50], list(range(50)))
        first_on_second_link = arrived[50]
        self.assertGreaterEqual(first_on_second_link, 50)
        self.assertEqual(arrived[50:], list(range(first_on_second_link, COUNT)))

    def test_others_go_on(self) -> None:
        """A browser that does not read holds up nobody else."""
        flood = Floods(numbered())

        def first_floods(peer: Peer) -> None:
            (flood if peer.number == 1 else echo)(peer)

        with Backend(first_floods) as backend:
            gateway = self.gateway_for(backend)
            with gateway.browser(receive_buffer=SMALL) as slow:
                steady(lambda: flood.sent)
                with gateway.browser() as other:
                    for number in range(100):
                        other.send(b"%d" % number)
                        self.assertEqual(other.recv(timeout=30), b"%d" % number)
                slow.vanish()


class TunnelPressureTests(PressureTestCase):
    def gateway_for(self, backend: Backend) -> Gateway:
        return self.start(f"--backend={backend.endpoint}", "--mode=tunnel")

    def test_a_backend_that_never_reads(self) -> None:
        """Its browser cannot send on, memory stays; once it reads, every byte arrives."""
        unwilling = NeverReads(then=silent_stream)
        with Backend(unwilling, receive_buffer=SMALL) as backend:
            gateway = self.gateway_for(backend)
            with gateway.browser() as browser:
                before = gateway.memory
                sender = Sender(browser, numbered())
                sender.start()
                self.assert_blocked(steady(lambda: sender.sent))
                self.assert_bounded(gateway, before)
                unwilling.let_go()
                sender.finish()
            backend.leave()
            self.assertTrue(bytes(backend.stream) == b"".join(numbered()))

    def test_a_browser_that_does_not_read(self) -> None:
        """Its backend's writes block, memory stays; once it reads, every byte arrives."""
        sent = 0

        def flood(peer: Peer) -> None:
            nonlocal sent
            for piece in numbered():
                peer.send(piece)
                sent += 1
            silent_stream(peer)

        with Backend(flood) as backend:
            gateway = self.gateway_for(backend)
            with gateway.browser(receive_buffer=SMALL) as browser:
                before = gateway.memory
                self.assert_blocked(steady(lambda: sent))
                self.assert_bounded(gateway, before)
                received = receive_bytes(browser, COUNT * SIZE)
                self.assertTrue(received == b"".join(numbered()))
                self.assert_bounded(gateway, before)
