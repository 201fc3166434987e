"""The ladder of `performance`: which parts carry messages, and what is missing for them."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from orion_twisted.core import wsframes
from orion_twisted.core.wsframes import Codec
from orion_twisted.net import eager, leantls


@frozen
class Step:
    """
    One part of the data path that may be our own.

    Attributes:
        name: what it is.
        missing: why it cannot be had, so that the part below it is used; None if it is in use.
    """

    name: str
    missing: str | None = None

    def __str__(self) -> str:
        return self.name if self.missing is None else f"{self.name}: not in use, {self.missing}"


def steps(performance: str) -> Iterator[Step]:
    """Yield the steps that a rung of the ladder has, each with what it lacks here."""
    if performance == "full":
        yield Step("frames read and written in C", wsframes.why_not_c())
    if performance in ("full", "portable"):
        yield Step("frames past Autobahn's loop")
        yield Step("eager writes", eager.why_not())
        yield Step("lean TLS", leantls.why_not())


def codec_of(performance: str) -> Codec | None:
    """Return what carries frames on a rung of the ladder, or None where Autobahn does."""
    if performance == "stock":
        return None
    return wsframes.codec(portable=performance == "portable")
