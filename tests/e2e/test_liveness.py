"""Browsers that take their time, and browsers that are gone: pings tell them apart."""

from __future__ import annotations

import contextlib
import socket
import time

from tests.e2e.answers import upgrade
from tests.e2e.backends import Backend, Floods, NeverReads, silent
from tests.harness import KIB, Gateway, GatewayTestCase, eventually

PINGS = ("--limit=ping_every=300ms", "--limit=ping_timeout=500ms")
PAYLOAD = b"." * 64 * KIB


class LivenessTests(GatewayTestCase):
    """By raw sockets, which answer no ping unless they read it."""

    def connect(self, gateway: Gateway) -> socket.socket:
        raw = gateway.dial(receive_buffer=16 * KIB)
        self.addCleanup(raw.close)
        raw.settimeout(10)
        raw.sendall(upgrade())
        head = b""
        while b"\r\n\r\n" not in head:
            head += raw.recv(1)
        self.assertTrue(head.startswith(b"HTTP/1.1 101"), head)
        return raw

    def test_slow_is_not_gone(self) -> None:
        """Whoever reads, however slowly, stays; whoever stops reading is cut off."""
        with Backend(Floods(PAYLOAD for _ in range(10_000))) as backend:
            gateway = self.start(
                f"--backend={backend.endpoint}", "--message-type=binary", *PINGS, scheme="tcp"
            )
            raw = self.connect(gateway)
            until = time.monotonic() + 3  # six times the patience with a silent browser
            while time.monotonic() < until:
                self.assertTrue(raw.recv(8 * KIB))
                time.sleep(0.02)
            self.assertNotIn("is gone", gateway.log)
            eventually(lambda: "is gone: 1006" in gateway.log, "the browser was cut off")

    def test_held_back_is_not_gone(self) -> None:
        """A browser whose messages nobody takes is not blamed for a pong behind them."""
        unwilling = NeverReads(then=silent)
        with Backend(unwilling) as backend:
            gateway = self.start(
                f"--backend={backend.endpoint}", "--message-type=binary", *PINGS, scheme="tcp"
            )
            raw = self.connect(gateway)
            raw.settimeout(1)
            header = b"\x82\xff" + len(PAYLOAD).to_bytes(8, "big") + bytes(4)
            with contextlib.suppress(TimeoutError):  # nobody takes any more
                for _ in range(2000):
                    raw.sendall(header + PAYLOAD)
            time.sleep(2)
            self.assertNotIn("is gone", gateway.log)
            raw.close()
            unwilling.let_go()
