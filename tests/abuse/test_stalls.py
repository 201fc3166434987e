"""
Clients that begin something and do not end it.

All of them stall at the same time, each in a thread of its own, while browsers go on. What each
one saw, and when, is looked at afterwards.
"""

from __future__ import annotations

import ssl
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import ClassVar

from attrs import evolve, frozen

from tests.abuse.attack import Act, says, talks
from tests.abuse.attacker import CUT, LOST, Attacker, Outcome, closed, refused
from tests.abuse.siege import MARK, SCHEMES, News, SiegeTestCase
from tests.conformance.frames import Opcode, close_frame, frame
from tests.e2e.answers import head, upgrade
from tests.harness import PATIENCE

DEADLINE = 2.0
"""Seconds for a handshake, for a message, between two pings, and for a pong, in these tests."""
LATE = 4.0
"""Seconds by which a busy machine may be late."""

SECRET = MARK.encode()


@frozen
class Stall:
    """
    One way to stall.

    Attributes:
        act: what comes before the silence, if there is one.
        expected: how it ends.
        after: seconds after which it has to end, and not before: the gateway's deadlines.
        reason: what is counted.
        under_tls: it stalls TLS itself: the connection is a plain one to the port with TLS.
    """

    act: Act
    expected: Outcome
    after: float = 0.0
    reason: str = ""
    under_tls: bool = False


def client_hello() -> bytes:
    """Return what OpenSSL's client says first."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise AssertionError("a handshake with nobody")


def drips(octets: bytes, pause: float = 0.2) -> Act:
    return lambda attacker: attacker.trickle(octets, pause)


def talks_slowly(octets: bytes, every: float = 0.2, chop: int = 1) -> Act:
    """Open a WebSocket, then send this in small pieces, and no pongs in between."""

    def act(attacker: Attacker) -> None:
        attacker.deaf = True
        attacker.enter(upgrade())
        for start in range(0, len(octets), chop):
            attacker.send(octets[start : start + chop])
            if attacker.read_until(lambda: bool(attacker.server_close or attacker.ended), every):
                return

    return act


def then(*acts: Act) -> Act:
    def act(attacker: Attacker) -> None:
        for each in acts:
            each(attacker)

    return act


def finishes(attacker: Attacker) -> None:
    attacker.finish()


def deaf(act: Act) -> Act:
    """Do something, but answer no ping: a pong would be part of what is not finished."""

    def deaf_act(attacker: Attacker) -> None:
        attacker.deaf = True
        act(attacker)

    return deaf_act


HELLO = client_hello()
FIRST_FRAGMENT = frame(Opcode.TEXT, SECRET, fin=False)
EMPTY_FRAGMENT = frame(Opcode.CONTINUATION, b"", fin=False)

HANDSHAKE: dict[str, Stall] = {
    "silence": Stall(says(b""), CUT, DEADLINE, "handshake_timeout"),
    "a byte of a head per 0.2 s": Stall(
        drips(upgrade("/ws", f"X: {MARK * 20}")), CUT, DEADLINE, "handshake_timeout"
    ),
    "a head without its end": Stall(says(upgrade()[:-2]), CUT, DEADLINE, "handshake_timeout"),
    "a head that stops in its first line": Stall(
        says(b"GET /ws HT"), CUT, DEADLINE, "handshake_timeout"
    ),
    "a FIN and no request": Stall(finishes, CUT),
    "a FIN in the middle of a head": Stall(then(says(b"GET /ws"), finishes), CUT),
    "a refusal and then silence": Stall(
        says(head("GET /ws HTTP/1.1")), refused(426), 0, "not_websocket"
    ),
}

UNDER_TLS: dict[str, Stall] = {
    name: Stall(act, CUT, after, reason, under_tls=True)
    for name, act, after, reason in (
        ("nothing at all", says(b""), DEADLINE, "handshake_timeout"),
        ("half a ClientHello", says(HELLO[: len(HELLO) // 2]), DEADLINE, "handshake_timeout"),
        ("a ClientHello and silence", says(HELLO), DEADLINE, "handshake_timeout"),
        ("a ClientHello byte by byte", drips(HELLO), DEADLINE, "handshake_timeout"),
        (
            "a record that is announced",
            says(b"\x16\x03\x01\x40\x00"),
            DEADLINE,
            "handshake_timeout",
        ),
        ("a FIN before TLS", finishes, 0.0, ""),
        ("a FIN in a ClientHello", then(says(HELLO[:50]), finishes), 0.0, ""),
        ("HTTP in place of TLS", says(upgrade()), 0.0, "tls_handshake"),
        ("garbage in place of TLS", says(b"\xff" * 2000), 0.0, "tls_handshake"),
        ("zeros in place of TLS", says(bytes(2000)), 0.0, "tls_handshake"),
        ("SSH in place of TLS", says(b"SSH-2.0-OpenSSH_9.2\r\n"), 0.0, "tls_handshake"),
        ("SSL 2 in place of TLS", says(b"\x80\x2e\x01\x00\x02" + bytes(60)), 0.0, "tls_handshake"),
        ("a huge record", says(b"\x16\x03\x01\xff\xff" + bytes(70_000)), 0.0, "tls_handshake"),
        (
            "a huge ClientHello",
            says(b"\x16\x03\x01\x40\x00\x01\xff\xff\xff" + bytes(20_000)),
            0.0,
            "tls_handshake",
        ),
        ("an alert first", says(b"\x15\x03\x01\x00\x02\x02\x28"), 0.0, "tls_handshake"),
        ("application data first", says(b"\x17\x03\x03\x00\x05hello"), 0.0, "tls_handshake"),
        ("heartbeats", says(b"\x18\x03\x02\x00\x03\x01\x40\x00"), 0.0, "tls_handshake"),
        (
            "HTTP 2 in place of TLS",
            says(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
            0.0,
            "tls_handshake",
        ),
    )
}

MESSAGES: dict[str, Stall] = {
    "a fragment and silence": Stall(deaf(talks(FIRST_FRAGMENT)), closed(4008), DEADLINE),
    "a frame without its end": Stall(
        deaf(talks(frame(Opcode.TEXT, SECRET * 50)[:100])), closed(4008), DEADLINE
    ),
    "a frame without its payload": Stall(
        deaf(talks(frame(Opcode.TEXT, SECRET * 50)[:8])), closed(4008), DEADLINE
    ),
    "a message byte by byte": Stall(
        talks_slowly(frame(Opcode.TEXT, SECRET * 5)), closed(4008), DEADLINE
    ),
    "empty fragments without end": Stall(
        talks_slowly(FIRST_FRAGMENT + EMPTY_FRAGMENT * 100, 0.2, len(EMPTY_FRAGMENT)),
        closed(4008),
        DEADLINE,
    ),
    "fragments and pings": Stall(
        talks_slowly(
            FIRST_FRAGMENT + (EMPTY_FRAGMENT + frame(Opcode.PING)) * 100,
            0.2,
            len(EMPTY_FRAGMENT + frame(Opcode.PING)),
        ),
        closed(4008),
        DEADLINE,
    ),
    "half the head of a frame": Stall(deaf(talks(b"\x81")), closed(4008), DEADLINE),
    "half a ping": Stall(deaf(talks(frame(Opcode.PING, SECRET)[:10])), LOST, DEADLINE),
    "a pong byte by byte": Stall(talks_slowly(frame(Opcode.PONG, b"p" * 125)), LOST, DEADLINE),
    "no pongs": Stall(deaf(talks()), LOST, DEADLINE),
    "pongs for nobody": Stall(
        talks_slowly(frame(Opcode.PONG, b"p" * 12) * 5, 0.2, 18), LOST, DEADLINE
    ),
    "no answer to a close": Stall(deaf(talks(b"\xff\xff")), closed(1002)),
    "a FIN after the upgrade": Stall(then(talks(), finishes), LOST),
    "a FIN in a message": Stall(then(talks(FIRST_FRAGMENT), finishes), LOST),
    "a close and no FIN": Stall(talks(close_frame(1000)), closed(1000)),
}


@frozen
class Seen:
    """What a stalling client saw, and how many seconds after its connection began."""

    outcome: Outcome
    seconds: float


class StallTests(SiegeTestCase):
    """Whoever stalls is gone when its time is up, and holds up nobody."""

    settings = """
        [limits]
        handshake = "2 s"
        message_time = "2 s"
        ping_every = "2 s"
        ping_timeout = "2 s"
        pending_handshakes_per_ip = 100
        [tenant.shop1]
        hosts = ["localhost"]
        backend = "{backend}"
        """
    seen: ClassVar[dict[tuple[str, str], Future[Seen]]]
    told: ClassVar[News]
    slowest: ClassVar[float]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.seen, cls.slowest = {}, 0.0
        with ThreadPoolExecutor(100) as threads:
            for scheme, name, stall in STALLS:
                cls.seen[scheme, name] = threads.submit(cls.stall, scheme, stall)
            while not all(each.done() for each in cls.seen.values()):
                for scheme in SCHEMES:
                    began = time.monotonic()
                    cls.echo(scheme)
                    cls.slowest = max(cls.slowest, time.monotonic() - began)
                    cls.witness(scheme)
                time.sleep(0.05)
        cls.told = cls.news()

    @classmethod
    def stall(cls, scheme: str, stall: Stall) -> Seen:
        target = cls.targets[scheme]
        began = time.monotonic()
        with Attacker(replace(target, tls=None) if stall.under_tls else target) as attacker:
            stall.act(attacker)
            outcome = attacker.outcome(PATIENCE, hang_up=False)
            if stall.under_tls:
                outcome = evolve(outcome, said="")  # an alert, or half a handshake
            return Seen(outcome, time.monotonic() - began)

    def look(self, scheme: str, name: str, stall: Stall) -> None:
        seen = self.seen[scheme, name].result()
        self.assertEqual(seen.outcome, stall.expected)
        self.assertGreater(seen.seconds, stall.after * 0.9)
        # The end of a WebSocket may wait for two of the deadlines, a ping's and its pong's, each
        # up to a second late.
        self.assertLess(seen.seconds, 2 * (DEADLINE + 1) + LATE)

    def test_reasons(self) -> None:
        """Each one is counted and logged by its reason, once."""
        reasons = Counter(stall.reason for _, _, stall in STALLS if stall.reason)
        self.assertEqual((self.told.refused, self.told.logged), (reasons, reasons))
        slow = [stall for _, _, stall in STALLS if stall.expected.code == 4008]
        self.assertEqual(self.told.closed["4008"], len(slow))

    def test_others_meanwhile(self) -> None:
        """New browsers get in at once, all the time."""
        print(f"\nslowest new browser while {len(STALLS)} clients stall: {self.slowest:.3f} s")
        self.assertLess(self.slowest, 2.0)

    def test_nothing_is_left(self) -> None:
        """Their sockets, links and memory are given back."""
        with self.watched():
            pass


STALLS: list[tuple[str, str, Stall]] = [
    *((scheme, name, each) for scheme in SCHEMES for name, each in HANDSHAKE.items()),
    *(("wss", name, each) for name, each in UNDER_TLS.items()),
    *((scheme, name, each) for scheme in SCHEMES for name, each in MESSAGES.items()),
]


def _test_of(scheme: str, name: str, stall: Stall) -> Callable[[StallTests], None]:
    def test(self: StallTests) -> None:
        self.look(scheme, name, stall)

    test.__doc__ = f"Over {scheme}: {name}."
    return test


for _scheme, _name, _stall in STALLS:
    _test = _test_of(_scheme, _name, _stall)
    _test.__name__ = f"test_{_scheme}_{_name}".replace(" ", "_").replace(".", "_").lower()
    setattr(StallTests, _test.__name__, _test)
