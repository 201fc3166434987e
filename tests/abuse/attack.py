"""A row of the table of attacks, and how rows become tests."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from attrs import frozen

from tests.abuse.attacker import SERVED, Attacker, Outcome
from tests.abuse.siege import MARK, SCHEMES, SiegeTestCase
from tests.e2e.answers import upgrade

Act = Callable[[Attacker], None]
"""What an attack does with a connection whose TLS, if it has any, is up."""

SOON = 5.0
"""Seconds for an answer that needs no waiting: a machine with other things to do is slow."""


OURS = frozenset({1002, 1003, 1007, 1009, 4008, 4009})
"""Close codes that say what the browser has done: each is counted and logged."""


@frozen
class Attack:
    """
    One way to be a nuisance.

    Attributes:
        name: what it does, in a few words.
        act: does it.
        expected: what must come of it.
        reason: what the refusal is counted and logged as; empty for what is no refusal.
        seconds: how soon, after the attacker has done all that it does.
    """

    name: str
    act: Act
    expected: Outcome
    reason: str = ""
    seconds: float = SOON


def says(octets: bytes, chop: int = 0) -> Act:
    """Send this in place of a request, so many bytes at a time."""
    return lambda attacker: attacker.send(octets, chop)


def talks(*pieces: bytes, host: str = "localhost", chop: int = 0) -> Act:
    """Open a WebSocket, then send this, each piece in a write of its own."""

    def act(attacker: Attacker) -> None:
        attacker.enter(upgrade(f"/ws?{MARK}", host=host))
        for piece in pieces:
            attacker.send(piece, chop)

    return act


def withstand(test: SiegeTestCase, attack: Attack, scheme: str) -> None:
    """Attack, and look whether what must come of it has come of it, and nothing else."""
    with test.watched(), test.attacker(scheme) as attacker:
        attack.act(attacker)
        probe = b"served" if attack.expected == SERVED else b""
        outcome = attacker.outcome(attack.seconds, probe)
        test.assertEqual(outcome, attack.expected)
        look_at_refusal(test, outcome, bytes(attacker.received))
    news = test.news()
    expected = {attack.reason: 1} if attack.reason else {}
    test.assertEqual((news.refused, news.logged), (expected, expected))
    if outcome.code in OURS:
        test.assertEqual(news.closed.get(str(outcome.code)), 1, news.closed)
        test.assertRegex(news.log, rf"browser 127.0.0.1 of \w+ is gone: {outcome.code}\b")


def look_at_refusal(test: SiegeTestCase, outcome: Outcome, octets: bytes) -> None:
    """Look at an answer for what every refusal has, and for what none has."""
    if outcome.status in (None, 101):
        return
    headers = dict(outcome.headers)
    test.assertEqual(len(headers), len(outcome.headers), "a header stands there twice")
    test.assertLess(len(octets), 1000)
    shown = octets.lower()
    for word in (MARK.lower(), "server:", "twisted", "autobahn", "python", "orion", "traceback"):
        test.assertNotIn(word.encode(), shown)
    test.assertEqual(headers["x-content-type-options"], "nosniff")
    test.assertEqual(headers["cache-control"], "no-store")
    test.assertIn("frame-ancestors", headers["content-security-policy"])
    test.assertIn("close", headers["connection"])
    test.assertIn("content-length", headers)


def add_tests(suite: type[SiegeTestCase], attacks: Iterable[Attack]) -> None:
    """Give a class two methods for each attack: over ``ws``, and over ``wss``."""
    for attack in attacks:
        for scheme in SCHEMES:
            name = re.sub(r"\W+", "_", f"test_{scheme}_{attack.name}").strip("_").lower()
            if hasattr(suite, name):
                raise ValueError(f"two attacks are called {attack.name!r}")
            setattr(suite, name, _test_of(attack, scheme, name))


def _test_of(attack: Attack, scheme: str, name: str) -> Callable[[SiegeTestCase], None]:
    def test(self: SiegeTestCase) -> None:
        withstand(self, attack, scheme)

    test.__name__ = name
    test.__doc__ = f"Over {scheme}: {attack.name}."
    return test
