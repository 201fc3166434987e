"""Who sends, or comes, faster than the limits say."""

from __future__ import annotations

import select
import socket
import time
from contextlib import ExitStack

from tests.abuse.attack import SOON, talks
from tests.abuse.attacker import closed
from tests.abuse.siege import MARK, SCHEMES, SiegeTestCase
from tests.conformance.frames import Opcode, frame
from tests.e2e.answers import upgrade
from tests.harness import KIB, MIB, PATIENCE

MESSAGES, BYTES, ARRIVALS = 50, 64 * KIB, 100
"""Per second, in these tests; as many may come at once after a pause."""
ELSEWHERE = "127.0.0.2"


class RateTests(SiegeTestCase):
    """Who is too fast waits, who is far too fast goes, and others notice nothing."""

    settings = f"""
        [limits]
        message_rate = {MESSAGES}
        byte_rate = {BYTES}
        connect_rate_per_ip = {ARRIVALS}
        ping_every = "1 s"
        ping_timeout = "1 s"
        [tenant.shop1]
        hosts = ["localhost"]
        backend = "{{backend}}"
        """

    def time_echoes(self, scheme: str, message: bytes, count: int) -> float:
        """Send the same message so often, at once; return how long it takes until all are back."""
        with self.attacker(scheme) as attacker:
            attacker.enter(upgrade())
            began = time.monotonic()
            attacker.send(frame(Opcode.TEXT, message) * count)
            attacker.read_until(lambda: len(attacker.messages) >= count, PATIENCE)
            self.assertEqual([each.payload for each in attacker.messages], [message] * count)
            return time.monotonic() - began

    def test_messages(self) -> None:
        """Messages beyond the rate are read later, none is lost, and none overtakes another."""
        for scheme in SCHEMES:
            with self.watched():
                seconds = self.time_echoes(scheme, b"m", 2 * MESSAGES)
                self.assertGreater(seconds, 0.6)
                self.assertLess(seconds, 1 + SOON)

    def test_bytes(self) -> None:
        """So are bytes beyond theirs."""
        for scheme in SCHEMES:
            with self.watched():
                seconds = self.time_echoes(scheme, b"b" * (BYTES // 4), 8)
                self.assertGreater(seconds, 0.6)
                self.assertLess(seconds, 1 + SOON)

    def test_far_beyond(self) -> None:
        """A message that would take its browser more than ten seconds to make up for ends it."""
        for scheme in SCHEMES:
            with self.watched(), self.attacker(scheme) as attacker:
                talks(frame(Opcode.TEXT, MARK.encode() * (MIB // len(MARK))))(attacker)
                self.assertEqual(attacker.outcome(SOON), closed(4009))
            news = self.news()
            self.assertEqual(news.closed["4009"], 1)
            self.assertIn("of shop1 is gone: 4009", news.log)

    def test_a_flood(self) -> None:
        """A flood of small messages stays where it is: in the sender's own system."""
        for scheme in SCHEMES:
            with self.watched(), self.attacker(scheme) as attacker:
                attacker.enter(upgrade())
                attacker.send(frame(Opcode.TEXT, b"f") * 20_000)
                began = time.monotonic()
                for _ in range(10):
                    self.witness(scheme)
                self.assertLess(time.monotonic() - began, 1.0)
                attacker.read_until(lambda: bool(attacker.ended), 1.0)
                self.assertLess(len(attacker.messages), 4 * MESSAGES)

    def test_arrivals(self) -> None:
        """An address that connects too often is dropped at once, until it has calmed down."""
        with self.watched(), ExitStack() as stack:
            began = time.monotonic()
            crowd = [stack.enter_context(socket.socket()) for _ in range(4 * ARRIVALS)]
            for raw in crowd:
                raw.connect_ex(("127.0.0.1", self.targets["ws"].port))
            time.sleep(0.2)
            dropped = len(select.select(crowd, [], [], 0.0)[0])  # nothing but an end can be read
            self.echo("wss", ELSEWHERE)
            print(f"\n{dropped} of {4 * ARRIVALS} dropped in {time.monotonic() - began:.2f} s")
            self.assertGreater(dropped, ARRIVALS)
            time.sleep(1.2)
        self.assertEqual(self.news().refused["connect_rate"], dropped)
