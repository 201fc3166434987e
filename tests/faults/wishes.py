"""What a browser of the soak hands over: an endless supply, drawn from its own seed."""

from __future__ import annotations

import random
from collections.abc import Iterator

from tests.faults.books import Wish

DEEDS = {
    "answer": 60.0,
    "delay": 12,
    "twice": 4,
    "unknown": 3,
    "swap": 5,
    "push": 5,
    "not-ok": 3,
    "dribble": 2,
    "coalesce": 3,
    "drop": 0.4,
}
"""What requests ask of an engine in any dialect, and how often, relative to each other."""

DEEDS_V2 = {"push-all": 0.5}
"""What they ask for beyond that in ``orion.v2``."""

MOST_DELAY = 80
"""Milliseconds that an answer is asked to take, at most."""

NOTIFIES, SAFE, BINARY, LARGE = 0.15, 0.3, 0.1, 0.03
"""Which part of the messages of ``orion.v2`` are notifications, safe to repeat, binary; large."""


def _size(chance: random.Random) -> int:
    return chance.randrange(2000, 16_000) if chance.random() < LARGE else chance.randrange(200)


def wishes(chance: random.Random, dialect: str, is_v2: bool, most_ttl: float) -> Iterator[Wish]:
    """
    Yield wishes without end.

    Args:
        chance: where they are drawn from.
        dialect: the engine's.
        is_v2: whether the browser speaks ``orion.v2``.
        most_ttl: seconds that a message of ``orion.v2`` may take, at most; at least a third of it.
    """
    deeds = {**DEEDS, **(DEEDS_V2 if dialect == "orion.v2" else {})}
    both_v2 = is_v2 and dialect == "orion.v2"
    while True:
        do = chance.choices(list(deeds), list(deeds.values()))[0]
        arg = 0
        if do == "delay":
            arg = chance.randrange(5, MOST_DELAY)
        elif do == "push":
            arg = chance.randrange(1, 4)
        pad, answer = _size(chance), _size(chance)
        notifies, safe, binary, ttl = (chance.random() for _ in range(4))
        if is_v2 and notifies < NOTIFIES:
            yield Wish(
                "answer", pad=pad, wants_result=False, is_binary=both_v2 and binary < BINARY
            )
            continue
        if both_v2 and do == "answer" and binary < BINARY:
            do = "binary"
        yield Wish(
            do,
            arg,
            answer,
            pad,
            is_safe=is_v2 and safe < SAFE,
            ttl=round(most_ttl * (1 + 2 * ttl) / 3, 3) if is_v2 else None,
            is_binary=both_v2 and binary < BINARY,
        )
