"""
What a message asks of the engine, and what the engine answers: the payloads of these tests.

Both are JSON objects, so that every dialect carries them. As a binary payload they stand between
bytes that are no UTF-8.
"""

from __future__ import annotations

import json
from typing import Any

from attrs import frozen

BEFORE, AFTER = b"\x00\xff\n", b"\n\xfe"
"""What a binary payload has around its object: no UTF-8, with line feeds in it."""

Content = dict[str, Any]


def dumps(content: Content) -> str:
    return json.dumps(content, separators=(",", ":"))


def as_binary(text: str) -> bytes:
    return BEFORE + text.encode() + AFTER


def loads(payload: str | bytes) -> Content | None:
    """Return the object in a payload, text or binary, or None if there is none."""
    if isinstance(payload, bytes) and payload.startswith(BEFORE):
        payload = payload.removeprefix(BEFORE).removesuffix(AFTER)
    try:
        content = json.loads(payload)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


@frozen
class Order:
    """
    What one message asks for.

    Attributes:
        id: ``SESSION-N``, such as ``3.1-17``: its own in the whole run.
        do: a deed of the engine, see `engine.DEEDS`.
        arg: milliseconds, or how many, as the deed has it.
        answer: bytes of filling in the answer.
        pad: bytes of filling in the order itself.
    """

    id: str
    do: str = "answer"
    arg: int = 0
    answer: int = 0
    pad: int = 0

    @property
    def session(self) -> str:
        """The label of the session that gave it."""
        return self.id.rpartition("-")[0]

    @property
    def n(self) -> int:
        return int(self.id.rpartition("-")[2])

    def text(self, **first: Any) -> str:
        """Return it as text; ``first`` are members to stand before its own."""
        content: Content = {**first, "id": self.id, "do": self.do}
        if self.arg:
            content["arg"] = self.arg
        if self.answer:
            content["answer"] = self.answer
        if self.pad:
            content["pad"] = "p" * self.pad
        return dumps(content)

    def binary(self) -> bytes:
        return as_binary(self.text())


def read_order(payload: str | bytes) -> Order | None:
    """Return the order in a payload, or None if there is none."""
    content = loads(payload)
    if content is None or not isinstance(content.get("id"), str):
        return None
    return Order(
        content["id"],
        content.get("do", "answer"),
        content.get("arg", 0),
        content.get("answer", 0),
        len(content.get("pad", "")),
    )


def answer_to(order: Order, serial: int) -> Content:
    """
    Return what the engine answers.

    Args:
        order: what was asked.
        serial: the number of this answer in the engine's life: no two are the same.
    """
    return {"id": order.id, "serial": serial, "pad": "a" * order.answer}
