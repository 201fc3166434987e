"""Bytes through the gateway, and how a stream ends."""

from __future__ import annotations

import time
from typing import ClassVar

from tests.e2e.backends import Backend, Peer, Talk, echo_stream, silent_stream
from tests.e2e.browsers import Ending, Sender, ending, receive_bytes
from tests.harness import MIB, Gateway, GatewayTestCase, eventually, free_port

PATTERN = bytes(range(251))
"""Its length has no factor in common with any buffer's."""


def stream(size: int) -> bytes:
    return (PATTERN * (size // len(PATTERN) + 1))[:size]


class TunnelTests(GatewayTestCase):
    gateway: ClassVar[Gateway]
    port: ClassVar[int]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.port = free_port()
        cls.gateway = cls.start_for_class(
            f"--backend=tcp:127.0.0.1:{cls.port}", "--mode=tunnel", "--limit=message=16MiB"
        )

    def backend(self, talk: Talk) -> Backend:
        backend = Backend(talk, self.port).start()
        self.addCleanup(backend.stop)
        return backend

    def test_bytes_both_ways(self) -> None:
        """From 1 byte to 16 MiB: what goes in comes out, in order, nothing added."""
        backend = self.backend(echo_stream)
        sent = b""
        with self.gateway.browser() as browser:
            for size in (1, 2, 1000, 65_536, MIB, 16 * MIB):
                data = stream(size)
                sender = Sender(browser, [data])
                sender.start()
                self.assertTrue(receive_bytes(browser, size) == data, size)
                sender.finish()
                sent += data
        eventually(lambda: backend.peers[0].ended, "FIN at the backend")
        self.assertTrue(bytes(backend.stream) == sent)

    def test_boundaries_are_not_kept_and_nothing_is_added(self) -> None:
        """Many small messages, empty ones among them, are one stream of just their bytes."""
        backend = self.backend(silent_stream)
        with self.gateway.browser() as browser:
            for number in range(500):
                browser.send(b"%d," % number)
                browser.send(b"")
        eventually(lambda: backend.peers[0].ended, "FIN at the backend")
        self.assertEqual(bytes(backend.stream), b"".join(b"%d," % n for n in range(500)))

    def test_the_backend_speaks_first(self) -> None:
        """A greeting arrives without the browser having said a word."""

        def greets(peer: Peer) -> None:
            peer.send(b"SSH-2.0-x\r\n")
            silent_stream(peer)

        self.backend(greets)
        with self.gateway.browser() as browser:
            self.assertEqual(receive_bytes(browser, 11), b"SSH-2.0-x\r\n")

    def test_fin_of_the_backend(self) -> None:
        """A backend that ends in good order: all its bytes arrive, and then close 1000."""
        data = stream(4 * MIB)

        def says_and_ends(peer: Peer) -> None:
            peer.send(data)
            peer.finish()
            silent_stream(peer)

        self.backend(says_and_ends)
        with self.gateway.browser() as browser:
            end = ending(browser)
        self.assertTrue(b"".join(map(bytes, end.messages)) == data)  # type: ignore[arg-type]
        self.assertEqual((end.code, end.reason), (1000, ""))

    def test_a_backend_that_ends_at_once(self) -> None:
        """A backend that says one thing and hangs up is heard to the end."""

        def says_one_thing(peer: Peer) -> None:
            peer.send(b"sorry, full\n")

        self.backend(says_one_thing)
        with self.gateway.browser() as browser:
            self.assertEqual(ending(browser), Ending(1000, "", [b"sorry, full\n"]))

    def test_reset_of_the_backend(self) -> None:
        """A reset is no good order: close 1011."""

        def resets(peer: Peer) -> None:
            peer.read()
            peer.reset()

        backend = self.backend(resets)
        with self.gateway.browser() as browser:
            browser.send(b"anything")
            self.assertEqual(ending(browser).code, 1011)
        self.assertEqual(len(backend.peers), 1, "a broken stream was dialled again")

    def test_close_of_the_browser(self) -> None:
        """A browser's close becomes FIN, after every byte that it sent before."""
        backend = self.backend(silent_stream)
        data = stream(4 * MIB)
        with self.gateway.browser() as browser:
            browser.send(data)
            began = time.monotonic()
            browser.close()
            # A gateway that stopped reading for the backend's sake must read the end of TLS.
            self.assertLess(time.monotonic() - began, 4.5, "the socket had to be cut off")
        eventually(lambda: backend.peers[0].ended, "FIN at the backend")
        self.assertTrue(bytes(backend.stream) == data)

    def test_a_browser_that_vanishes(self) -> None:
        """A browser that is gone without a close frame ends its backend's connection, too."""
        backend = self.backend(silent_stream)
        browser = self.gateway.browser()
        browser.send(b"last words")
        eventually(lambda: backend.stream == b"last words", "the bytes at the backend")
        browser.vanish()
        eventually(lambda: backend.peers[0].ended, "FIN at the backend")

    def test_text_is_refused(self) -> None:
        """A text message is no bytes: close 1003, and the backend never sees it."""
        backend = self.backend(silent_stream)
        with self.gateway.browser() as browser:
            browser.send(b"bytes ")
            browser.send("text")
            self.assertEqual(ending(browser).code, 1003)
        eventually(lambda: backend.peers[0].ended, "FIN at the backend")
        self.assertEqual(bytes(backend.stream), b"bytes ")

    def test_text_where_it_is_allowed(self) -> None:
        """With text utf-8 a text message is its UTF-8; answers are binary all the same."""
        with Backend(echo_stream) as backend:
            gateway = self.start(f"--backend={backend.endpoint}", "--mode=tunnel", "--text=utf-8")
            with gateway.browser() as browser:
                browser.send("né")
                browser.send(b"\xff")
                self.assertEqual(receive_bytes(browser, 4), "né".encode() + b"\xff")

    def test_subprotocols(self) -> None:
        """binary and mqtt are agreed to, the browser's first choice wins, others are not."""
        self.backend(echo_stream)
        for offer, agreed in (
            (["binary"], "binary"),
            (["base64", "binary"], "binary"),
            (["mqtt", "binary"], "mqtt"),
            (["base64"], None),
            (None, None),
        ):
            with self.subTest(offer), self.gateway.browser(subprotocols=offer) as browser:
                self.assertEqual(browser.subprotocol, agreed)
                browser.send(b"works")
                self.assertEqual(receive_bytes(browser, 5), b"works")

    def test_a_listed_subprotocol(self) -> None:
        """What the tenant lists is agreed to, and nothing else is."""
        with Backend(echo_stream) as backend:
            gateway = self.start(
                f"--backend={backend.endpoint}", "--mode=tunnel", "--subprotocol=ssh.v1"
            )
            with gateway.browser(subprotocols=["binary", "ssh.v1"]) as browser:
                self.assertEqual(browser.subprotocol, "ssh.v1")
