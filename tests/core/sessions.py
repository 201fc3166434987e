"""
Sessions as tests want them: small ones, whose numbers are easy to reckon with.

    one = session(window=2)
    one.attach("key")
    one.take(message(1, b"hi"), 0.0)
    self.assertEqual(told(one), ["receipt 1 accepted"])
"""

from __future__ import annotations

from typing import Any

from attrs import evolve

from orion_twisted.core.budget import Budget
from orion_twisted.core.ledger import Entry
from orion_twisted.core.outbox import ERROR, PUSH, RECEIPT, Item
from orion_twisted.core.session import Session, Terms

SID = "AgICAgICAgICAgIC"

TERMS = Terms(
    ttl=120.0,
    window=4,
    window_bytes=2000,
    deadline=30.0,
    grace=10.0,
    first_grace=5.0,
    max_message=500,
    own_link=False,
    keeps=True,
)

ROOMY = 10**9


def roomy() -> Budget:
    """Return a budget that is never full."""
    return Budget(ROOMY, ROOMY)


def session(budget: Budget | None = None, *, subject: str | None = None, **terms: Any) -> Session:
    """Return a session that begins at second 0, with changes to `TERMS`."""
    return Session(SID, evolve(TERMS, **terms), budget or roomy(), 0.0, subject)


def message(
    n: int,
    payload: bytes = b"{}",
    *,
    notify: bool = False,
    safe: bool = False,
    binary: bool = False,
    deadline: float = 30.0,
    own_id: int | None = None,
) -> Entry:
    """Return a browser's message: a request, unless it is said to be a notification."""
    return Entry(
        n,
        payload,
        len(payload),
        hash(payload),
        binary,
        wants_result=not notify,
        is_safe=safe,
        deadline=deadline,
        own_id=own_id,
    )


def say(item: Item) -> str:
    """Return what an item says, in words: ``result 3: yes``, ``error 4 TIMEOUT``."""
    number = "" if item.entry is None else f" {item.entry.n}"
    if item.kind is ERROR:
        return f"error{number} {item.code}"
    if item.kind is RECEIPT:
        return f"receipt{number} {item.code}"
    payload = item.payload.decode()
    return f"push: {payload}" if item.kind is PUSH else f"result{number}: {payload}"


def written(one: Session) -> list[Item]:
    """Pull all that may be written to the browser now."""
    items = []
    while (item := one.next_for_browser()) is not None:
        items.append(item)
    return items


def told(one: Session) -> list[str]:
    """Pull likewise; return it in words."""
    return [say(item) for item in written(one)]


def send(one: Session, now: float = 0.0) -> list[Entry]:
    """Pull all that may be sent to the link now, and note that it is sent."""
    entries = []
    while (entry := one.next_for_link(now)) is not None:
        entries.append(entry)
        one.sent(entry)
    return entries
