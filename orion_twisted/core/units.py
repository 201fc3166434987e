"""
Sizes and times as people write them in settings: ``"1 MiB"``, ``"20 s"``.

Inside the program a size is an ``int`` of bytes and a duration a ``float`` of seconds; only this
module knows the other spelling. A unit is spelled one way, and the error for a near miss names it.
"""

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class _Quantity:
    """One kind of number with a unit: how it is read, and what its errors teach."""

    name: str
    units: dict[str, Fraction]
    """Each unit in terms of the base unit, smallest first."""
    base: str
    example: str
    misspelt: dict[str, str]
    """What people write, in lower case, and the unit they mean."""


_SIZE = _Quantity(
    name="size",
    units={
        "B": Fraction(1),
        "KiB": Fraction(1024),
        "MiB": Fraction(1024**2),
        "GiB": Fraction(1024**3),
    },
    base="B",
    example="16 KiB",
    # KB is 1000 bytes to some and 1024 to others, so it is refused and not guessed.
    misspelt={
        **dict.fromkeys(("b", "byte", "bytes"), "B"),
        **dict.fromkeys(("k", "kb", "kib"), "KiB"),
        **dict.fromkeys(("m", "mb", "mib"), "MiB"),
        **dict.fromkeys(("g", "gb", "gib"), "GiB"),
    },
)

_DURATION = _Quantity(
    name="duration",
    units={
        "ms": Fraction(1, 1000),
        "s": Fraction(1),
        "min": Fraction(60),
        "h": Fraction(3600),
        "d": Fraction(86_400),
    },
    base="s",
    example="20 s",
    misspelt={
        **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), "ms"),
        **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "s"),
        **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), "min"),
        **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), "h"),
        **dict.fromkeys(("d", "day", "days"), "d"),
    },
)

# The digits are bounded because Python refuses to read thousands of them, with an error that
# says nothing of sizes.
_TEXT = re.compile(r"\s*([0-9]{1,20}(?:\.[0-9]{1,40})?)\s*([A-Za-z]*)\s*")


def parse_size(text: str | int) -> int:
    """
    Read a size.

    Args:
        text: a number and a unit, ``"16 KiB"``; a number alone, as text or ``int``, is bytes.

    Returns:
        The size in bytes, zero or more.

    Raises:
        ValueError: it is no size; the message says how one is written.
    """
    if isinstance(text, int) and not isinstance(text, bool):
        if text < 0:
            raise _refusal(_SIZE, text)
        return text
    size = _read(_SIZE, text)
    if size.denominator != 1:
        raise ValueError(f"{text!r} is not a whole number of bytes")
    return size.numerator


def parse_duration(text: str | int | float) -> float:
    """
    Read a length of time.

    Args:
        text: a number and a unit, ``"500 ms"``; a number alone, as text or number, is seconds.

    Returns:
        The duration in seconds, finite, zero or more.

    Raises:
        ValueError: it is no duration; the message says how one is written.
    """
    if isinstance(text, int | float) and not isinstance(text, bool):
        try:
            seconds = float(text)
        except OverflowError:  # an int beyond the largest float
            raise _refusal(_DURATION, text) from None
        if not (math.isfinite(seconds) and seconds >= 0):
            raise _refusal(_DURATION, text)
        return seconds
    return float(_read(_DURATION, text))


def format_size(size: int) -> str:
    """Write a size in bytes so that `parse_size` reads the same: ``1536`` is ``"1536 B"``."""
    for unit, factor in reversed(_SIZE.units.items()):
        if size and size % factor == 0:
            return f"{size // factor} {unit}"
    return f"{size} B"


def format_duration(seconds: float) -> str:
    """
    Write a duration so that `parse_duration` reads the same: ``90.0`` is ``"90 s"``.

    Args:
        seconds: a finite number, zero or more.
    """
    written = Decimal(repr(seconds))  # 0.1 as people write it, not the binary fraction behind it
    exact = Fraction(written)
    for unit, factor in reversed(_DURATION.units.items()):
        if exact and exact % factor == 0:
            return f"{exact // factor} {unit}"
    if 0 < exact < 1:
        return f"{written.scaleb(3).normalize():f} ms"
    return f"{written.normalize():f} s"


def _read(quantity: _Quantity, text: object) -> Fraction:
    match = _TEXT.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise _refusal(quantity, text)
    number, unit = match.groups()
    factor = quantity.units.get(unit or quantity.base)
    if factor is None:
        meant = quantity.misspelt.get(unit.lower())
        hint = f"; did you mean {number} {meant}?" if meant else ""
        raise ValueError(f"{text!r}: the unit is one of {', '.join(quantity.units)}{hint}")
    return Fraction(number) * factor


def _refusal(quantity: _Quantity, given: object) -> ValueError:
    # The huge int is the one value here that Python refuses to print.
    huge = isinstance(given, int) and given.bit_length() > 1000
    return ValueError(
        f"{'a number that big' if huge else repr(given)} is no {quantity.name}: write a number "
        f'and one of {", ".join(quantity.units)}, as in "{quantity.example}"'
    )
