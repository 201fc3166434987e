"""The same attacks again and again on one process: nothing of them may stay behind."""

from __future__ import annotations

import time
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import count
from typing import ClassVar

from tests.abuse import test_frames, test_proxy, test_requests, test_stalls, test_tokens
from tests.abuse.attack import SOON, Attack
from tests.abuse.attacker import CUT, Attacker, closed
from tests.abuse.siege import SCHEMES, SiegeTestCase
from tests.abuse.test_memory import deflated
from tests.abuse.test_traversal import TARGETS
from tests.conformance.frames import Opcode, frame
from tests.conformance.wire import WireError
from tests.e2e.answers import head, upgrade
from tests.harness import KIB, MIB, eventually

SECONDS = 18.0
"""For all rounds together; a slow machine does fewer of them."""
MOST_ROUNDS, FEWEST_ROUNDS = 60, 9
MOST_GROWTH = 2 * MIB
"""Between the second third of the rounds and the last, of two thousand connections together."""
ROUND = 12
"""How many connections of each kind a round has."""
NOT_READ = 4000
"""How many messages are sent whose echoes nobody reads."""

DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate"

Nuisance = Callable[["LeakTests", str, int], None]
"""Makes one connection over a scheme, and ends it; the number says which of its kind it is."""


def rows(attacks: Sequence[Attack]) -> Nuisance:
    """Make attacks of a table, one after the other, and look at what comes of each."""

    def act(test: LeakTests, scheme: str, number: int) -> None:
        attack = attacks[number // len(SCHEMES) % len(attacks)]
        with test.attacker(scheme) as attacker:
            attack.act(attacker)
            probe = b"served" if attack.expected.code is None else b""
            test.assertEqual(attacker.outcome(SOON, probe), attack.expected, attack.name)

    return act


def no_tls(test: LeakTests, scheme: str, number: int) -> None:
    """Say something to the port with TLS that is none."""
    stalls = [each for each in test_stalls.UNDER_TLS.values() if not each.after]
    with Attacker(replace(test.targets["wss"], tls=None)) as attacker:
        stalls[number % len(stalls)].act(attacker)
        outcome = attacker.outcome(SOON, hang_up=False)
        test.assertEqual((outcome.status, outcome.ended), (None, True))


def no_proxy(test: LeakTests, scheme: str, number: int) -> None:
    """Come from a trusted proxy with a header that is none."""
    headers = [*test_proxy.BAD.values()]
    target = replace(
        test.targets[scheme], source=test_proxy.PROXY, preface=headers[number % len(headers)]
    )
    with suppress(WireError), Attacker(target, SOON) as attacker:
        attacker.finish()
        test.assertEqual(attacker.outcome(SOON), CUT)


def out_of_the_folder(test: LeakTests, scheme: str, number: int) -> None:
    """Ask for what is outside of a folder of pages."""
    target = TARGETS[number % len(TARGETS)]
    with test.attacker(scheme) as attacker:
        attacker.send(head(f"GET {target} HTTP/1.1", "Connection: close", host="pages.example"))
        test.assertIn(attacker.outcome(SOON).status, (200, 302, 400, 404))


BOMBS = (
    (deflated(bytes(MIB)), 1009),
    (zlib.compress(b"final", wbits=-15) + b"x" * 40 * KIB, 1007),
    (b"\xff" * 100, 1007),
)
"""What inflates beyond the limit, what goes on where it has ended, and what is not compressed."""


def bombs(test: LeakTests, scheme: str, number: int) -> None:
    """Send what cannot be inflated, or not within the limit."""
    bomb, code = BOMBS[number // len(SCHEMES) % len(BOMBS)]
    with test.attacker(scheme) as attacker:
        attacker.enter(upgrade("/ws", DEFLATE, host="deflate.example"))
        attacker.send(frame(Opcode.BINARY, bomb, rsv=4))
        test.assertEqual(attacker.outcome(SOON), closed(code))


LEFT_IN = (
    b"",
    b"GET /ws HT",
    upgrade(),
    upgrade() + b"\x81",
    upgrade() + frame(Opcode.TEXT, b"m" * 5000, fin=False),
    upgrade() + frame(Opcode.TEXT, b"m" * 500) * NOT_READ,
    upgrade("/ws", DEFLATE, host="deflate.example")
    + frame(Opcode.TEXT, deflated(b"m" * 5000), rsv=4, fin=False),
    head("GET / HTTP/1.1", host="pages.example") * 20,
)


def leaving(test: LeakTests, scheme: str, number: int) -> None:
    """Leave in the middle of something, in order or not."""
    with suppress(WireError), test.attacker(scheme) as attacker:
        attacker.timeout = 0.05  # who does not read is not read either
        attacker.send(LEFT_IN[number // len(SCHEMES) % len(LEFT_IN)])
        if number % 3 == 0:
            attacker.reset()
        elif number % 3 == 1:
            attacker.finish()


KINDS: dict[str, Nuisance] = {
    "malformed requests": rows(test_requests.ATTACKS),
    "forbidden frames": rows(test_frames.ATTACKS),
    "bad tokens": rows(test_tokens.REFUSED),
    "no TLS": no_tls,
    "no PROXY header": no_proxy,
    "ways out of a folder": out_of_the_folder,
    "bombs": bombs,
    "leaving": leaving,
}


class LeakTests(SiegeTestCase):
    """Whoever attacks a thousand times takes no more than who attacks a few times."""

    secrets: ClassVar[set[str]] = test_tokens.TokenTests.secrets
    settings = f"""
        proxy_protocol_from = ["{test_proxy.PROXY}/32"]
        [limits]
        connect_rate_per_ip = 0
        [tenant.open]
        hosts = ["localhost"]
        backend = "{{backend}}"
        limits = {{ message = "64 KiB" }}
        [tenant.bombs]
        hosts = ["deflate.example"]
        backend = "{{backend}}"
        compression = true
        limits = {{ message = "64 KiB" }}
        [tenant.other]
        hosts = ["other.example"]
        backend = "tcp:127.0.0.1:1"
        [tenant.tunnel]
        hosts = ["tunnel.example"]
        backend = "{{backend}}"
        mode = "tunnel"
        [tenant.shop1]
        hosts = ["token.example"]
        backend = "{{backend}}"
        token = {{ key_file = "{{keys}}/secret" }}
        [tenant.pages]
        hosts = ["pages.example"]
        backend = "{{backend}}"
        site = "{{pages}}"
        """

    @classmethod
    def places(cls) -> dict[str, str]:
        keys, pages = cls.new_folder(), cls.new_folder()
        (keys / "secret").write_bytes(test_tokens.SECRET)
        (pages / "index.html").write_bytes(b"<!doctype html>" + b"p" * 100 * KIB)
        return {**super().places(), "keys": str(keys), "pages": str(pages)}

    def test_again_and_again(self) -> None:
        """Between the second third of many rounds and the last, memory stays where it was."""
        numbers = {kind: count() for kind in KINDS}
        seconds: Counter[str] = Counter()
        samples: list[int] = []
        deadline = time.monotonic() + SECONDS
        with self.watched():
            while len(samples) < MOST_ROUNDS and (
                len(samples) < FEWEST_ROUNDS or time.monotonic() < deadline
            ):
                for kind, act in KINDS.items():
                    began = time.monotonic()
                    for _ in range(ROUND):
                        number = next(numbers[kind])
                        act(self, SCHEMES[number % len(SCHEMES)], number)
                    seconds[kind] += time.monotonic() - began
                samples.append(self.gateway.memory)
            eventually(lambda: "orion_pending_handshakes 0.0" in self.metrics(), "no handshake")
        third = len(samples) // 3
        growth = max(samples[-third:]) - max(samples[third:-third])
        print(
            f"\n{len(samples)} rounds of {ROUND} connections of each kind",
            *(f"{kind:24} {taken:5.1f} s" for kind, taken in seconds.items()),
            f"memory {samples[0] / MIB:.1f} to {samples[-1] / MIB:.1f} MiB,"
            f" grown by {growth / KIB:.0f} KiB in the end",
            sep="\n",
        )
        self.assertLess(growth, MOST_GROWTH)
