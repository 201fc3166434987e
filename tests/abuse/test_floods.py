"""Crowds: sockets that never say anything, and browsers beyond every limit."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress

from tests.abuse.attack import SOON
from tests.abuse.attacker import CUT, SERVED, Attacker, refused
from tests.abuse.siege import SCHEMES, SiegeTestCase
from tests.conformance.wire import WireError
from tests.e2e.answers import upgrade
from tests.harness import PATIENCE, eventually

HANDSHAKE = 3.0
"""Seconds until a socket that says nothing is gone, or one that waits in line for so long."""
MOST_PENDING, MOST_OF_ONE = 512, 20
CROWD = 600
ELSEWHERE = "127.0.0.2"
"""Another address: all of 127.0.0.0/8 is this machine."""


class FloodTests(SiegeTestCase):
    """A crowd takes its own places, and nobody else's."""

    settings = f"""
        [limits]
        handshake = "{HANDSHAKE:g} s"
        connections_per_ip = {MOST_OF_ONE}
        pending_handshakes = {MOST_PENDING}
        connect_rate_per_ip = 0
        [tenant.shop1]
        hosts = ["localhost"]
        backend = "{{backend}}"
        [tenant.shop2]
        hosts = ["small.example"]
        backend = "{{backend}}"
        limits = {{ connections = 2 }}
        """

    @classmethod
    def warm_up(cls) -> None:
        """Be crowded once: what Python and OpenSSL have needed for so many, they keep in part."""
        super().warm_up()
        with cls.crowd([""] * CROWD):
            eventually(lambda: cls.pending() == MOST_PENDING, "a full line")
        eventually(lambda: cls.pending() == 0, "nobody")

    @classmethod
    @contextmanager
    def crowd(cls, sources: Iterable[str]) -> Iterator[None]:
        """Connect from each of these addresses, half to each port, and say nothing."""
        with ExitStack() as stack:
            began = time.monotonic()
            for number, source in enumerate(sources):
                target = cls.targets[SCHEMES[number % 2]]
                idle = stack.enter_context(socket.socket())
                idle.bind((source, 0))
                idle.connect((target.address, target.port))
            # A listener whose backlog is full makes the system try again after a second.
            if time.monotonic() - began > 1.0:
                raise AssertionError(f"{time.monotonic() - began:.1f} s to connect so many")
            yield

    def time_entry(self, scheme: str, source: str = "") -> float:
        began = time.monotonic()
        self.echo(scheme, source)
        return time.monotonic() - began

    @classmethod
    def pending(cls) -> int:
        """Return how many connections are in their handshake, by the gateway's own count."""
        (line,) = (
            line
            for line in cls.metrics().splitlines()
            if line.startswith("orion_pending_handshakes ")
        )
        return int(float(line.split()[1]))

    def test_idle_sockets_of_one_address(self) -> None:
        """600 of them hold up neither who is in, nor who comes from elsewhere."""
        with self.watched(), self.crowd([""] * CROWD):
            eventually(lambda: self.pending() == MOST_PENDING, "a full line")
            times = []
            for scheme in SCHEMES:
                self.witness(scheme)
                times.append(self.time_entry(scheme, ELSEWHERE))
            print(f"\na browser from elsewhere gets in beside 600 idle sockets: {times}")
            self.assertLess(max(times), 1.0)
            eventually(lambda: self.pending() == 0, "the end of all that are idle")
            self.witness("wss")
        news = self.news()
        # The first from elsewhere has taken the place of one that waited.
        self.assertEqual(news.refused["pending_handshakes"], CROWD - MOST_PENDING + 1)
        self.assertEqual(news.refused["handshake_timeout"], MOST_PENDING - 1)

    def test_idle_sockets_of_many_addresses(self) -> None:
        """From thirty addresses they keep newcomers out until the deadline, and nobody else."""
        everywhere = [f"127.0.1.{number % 30 + 1}" for number in range(CROWD)]
        with self.watched(), self.crowd(everywhere):
            eventually(lambda: self.pending() == MOST_PENDING, "no place")
            for scheme in SCHEMES:
                self.witness(scheme)
                with suppress(WireError), self.attacker(scheme, ELSEWHERE) as attacker:
                    attacker.send(upgrade())
                    self.assertEqual(attacker.outcome(SOON), CUT)
            eventually(lambda: self.pending() == 0, "the end of all that are idle")
            self.echo("wss", ELSEWHERE)
        news = self.news()
        self.assertEqual(news.refused["handshake_timeout"], MOST_PENDING)
        self.assertEqual(news.refused["pending_handshakes"], CROWD - MOST_PENDING + len(SCHEMES))

    def test_browsers_of_one_address(self) -> None:
        """Beyond its limit an address hears 429; another one gets in; a place that is given back
        is a place again."""
        with self.watched():
            with ExitStack() as stack:
                for number in range(MOST_OF_ONE - len(SCHEMES)):  # the witnesses are in, too
                    stack.enter_context(self.enter(SCHEMES[number % 2]))
                for scheme in SCHEMES:
                    with self.attacker(scheme) as attacker:
                        attacker.send(upgrade())
                        outcome = attacker.outcome(SOON)
                        self.assertEqual(outcome, refused(429))
                        self.assertEqual(dict(outcome.headers)["retry-after"], "5")
                    self.echo(scheme, ELSEWHERE)
            eventually(self.gets_in, "a place that was given back")
        self.assertEqual(self.news().refused["address_full"], 2)

    def gets_in(self) -> bool:
        with self.attacker("ws") as attacker:
            attacker.send(upgrade())
            return attacker.outcome(SOON, b"hello") == SERVED

    def test_browsers_of_one_tenant(self) -> None:
        """Beyond its limit a tenant's browsers hear 503, and another tenant's get in."""
        with self.watched(), ExitStack() as stack:
            for scheme in SCHEMES:
                browser = stack.enter_context(self.attacker(scheme, ELSEWHERE))
                browser.enter(upgrade(host="small.example"))
            for scheme in SCHEMES:
                attacker = stack.enter_context(self.attacker(scheme, ELSEWHERE))
                attacker.send(upgrade(host="small.example"))
                outcome = attacker.outcome(SOON)
                self.assertEqual(outcome, refused(503))
                self.assertEqual(dict(outcome.headers)["retry-after"], "5")
                self.echo(scheme)
        self.assertEqual(self.news().refused, {"tenant_full": 2})

    def test_coming_and_going(self) -> None:
        """Those who connect and leave at once, in order or not, leave nothing behind."""
        with self.watched():
            for number in range(300):
                self.leave(self.attacker(SCHEMES[number % 2]), number)
            for number in range(300):
                attacker = self.attacker(SCHEMES[number % 2])
                attacker.send(upgrade())
                self.leave(attacker, number)
            eventually(lambda: self.pending() == 0, "the end of all handshakes")

    @staticmethod
    def leave(attacker: Attacker, number: int) -> None:
        if number % 3 == 0:
            attacker.reset()
        elif number % 3 == 1:
            attacker.close()
        else:
            attacker.finish()
            attacker.read_until(lambda: False, PATIENCE)
            attacker.close()
