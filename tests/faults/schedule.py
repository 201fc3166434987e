"""
The faults of a run, drawn from its seed: when, where, what.

They are an endless sequence that depends on the seed and the weights alone, so the same seed gives
the same faults. Which connection a fault meets is drawn, too, but which connections there are is
up to the moment.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Mapping
from itertools import islice

from attrs import frozen

from tests.faults.proxy import Blow

EVERY = 0.1
"""Seconds between two faults, on average."""

BLOWS: Mapping[str, float] = {"cut": 3, "reset": 3, "half": 1, "stall": 2}
"""How often a proxy does what, relative to each other."""

MOST_AFTER = 4000
"""Bytes after which a proxy's blow falls, at most."""

ENGINE_FAULTS: Mapping[str, float] = {
    "reset": 3,
    "end": 2,
    "cut": 3,
    "huge": 1,
    "push": 4,
    "push-all": 3,
    "hang": 1,
    "dribble": 2,
    "coalesce": 3,
    "refuse": 0.6,
    "leave": 0.6,
    "kill": 0.4,
}
"""What an engine does: commands of `places`, and ``kill``: the process dies, and comes back."""

SECONDS = {
    "stall": (0.05, 1.5),
    "hang": (0.2, 1.5),
    "dribble": (0.1, 0.5),
    "coalesce": (0.1, 0.5),
    "refuse": (0.1, 1.2),
    "leave": (0.1, 1.2),
    "kill": (0.1, 0.6),
}
"""How long what lasts lasts, at least and at most."""


@frozen
class Fault:
    """
    One fault.

    Attributes:
        at: seconds from the start of the run.
        place: ``browsers`` and ``links`` are the proxies on either side of the gateway, ``both``
            is both at once, ``engine`` an engine.
        blows: what the proxies do.
        do: what the engine does.
        pick: 0 to 1: which engine, and which of its links.
        seconds: how long that lasts.
    """

    at: float
    place: str
    blows: tuple[Blow, ...] = ()
    do: str = ""
    pick: float = 0.0
    seconds: float = 0.0


def _chosen(chance: random.Random, weights: Mapping[str, float]) -> str:
    return chance.choices(list(weights), list(weights.values()))[0]


def _seconds(chance: random.Random, what: str) -> float:
    least, most = SECONDS.get(what, (0.0, 0.0))
    return round(chance.uniform(least, most), 3)


def _blow(chance: random.Random) -> Blow:
    kind = _chosen(chance, BLOWS)
    return Blow(
        kind,
        pick=chance.random(),
        way=chance.choice(("in", "out")),
        after=chance.randrange(MOST_AFTER),
        seconds=_seconds(chance, kind),
    )


def faults(seed: int, places: Mapping[str, float], every: float = EVERY) -> Iterator[Fault]:
    """
    Yield faults without end, in order.

    Args:
        seed: of the run.
        places: how often each place is struck, relative to each other.
        every: seconds between two of them, on average.
    """
    chance = random.Random(seed)
    at = 0.0
    while True:
        at += chance.expovariate(1 / every)
        place = _chosen(chance, places)
        if place == "engine":
            do = _chosen(chance, ENGINE_FAULTS)
            yield Fault(at, place, (), do, chance.random(), _seconds(chance, do))
        else:
            count = 2 if place == "both" else 1
            yield Fault(at, place, tuple(_blow(chance) for _ in range(count)))


def fingerprint(seed: int, places: Mapping[str, float], count: int) -> str:
    """Return some digits that are the same whenever the first ``count`` faults are."""
    text = repr(list(islice(faults(seed, places), count)))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
