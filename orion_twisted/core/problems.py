"""
What is wrong with the settings, said so that an operator can put it right.

A problem names the setting by its dotted path, says what was expected and what was found, and
hints at what was meant. Values are shown short and printable, tables and lists never: there may be
a secret in them.
"""

import re
from collections.abc import Iterable
from difflib import get_close_matches

from attrs import frozen

from orion_twisted.core.errors import LocalError

MOST_SHOWN = 60
"""How many characters of a value or a key are shown."""

BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
"""What TOML takes as a key without quotes."""

NOUNS = {dict: "a table", list: "a list", tuple: "a list", type(None): "nothing"}


@frozen
class Problem:
    """
    One mistake in the settings.

    Attributes:
        path: the setting, such as ``tenant.shop1.hosts[1]``; empty for the whole.
        text: what is wrong with it.
        hint: what may have been meant, or None.
    """

    path: str
    text: str
    hint: str | None = None

    def __str__(self) -> str:
        """Return the one line that an operator reads."""
        where = f"{self.path}: " if self.path else ""
        return f"{where}{self.text} ({self.hint})" if self.hint else f"{where}{self.text}"


class ConfigError(LocalError):
    """
    The settings cannot be used.

    Args:
        problems: every mistake, in the order of the file.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class BadValue(ValueError):
    """One value cannot be taken. ``hint`` says what may have been meant."""

    def __init__(self, text: str, hint: str | None = None) -> None:
        super().__init__(text)
        self.hint = hint


def quoted(text: str) -> str:
    """Return a text in double quotes: cut to ``MOST_SHOWN`` characters, every one printable."""
    short = text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 1]}…"
    # A terminal must not be driven by a settings file, nor a log line be broken by one.
    return '"' + "".join(map(_printable, short)) + '"'


def _printable(character: str) -> str:
    if character == '"':
        return '\\"'
    if character.isprintable() and character != "\\":
        return character
    return character.encode("unicode_escape").decode("ascii")


def shown(value: object) -> str:
    """Return how a value of any type is called in a problem's text."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return quoted(value)
        case int():
            # Python refuses to print very large integers.
            return str(value) if value.bit_length() <= 64 else "a very large number"
        case float():
            return repr(value)
    return NOUNS.get(type(value), f"a {type(value).__name__}")


def near_miss(word: str, known: Iterable[str]) -> str | None:
    """Return a hint that names the one of ``known`` that was probably meant, or None."""
    folded = {each.casefold(): each for each in known}
    close = get_close_matches(word[:MOST_SHOWN].casefold(), folded, n=1)
    return f"did you mean {quoted(folded[close[0]])}?" if close else None


def listing(words: Iterable[str]) -> str:
    """Return words in quotes with commas between them."""
    return ", ".join(map(quoted, words))


def dotted(steps: Iterable[str | int]) -> str:
    """Return a path: ``("tenant", "shop1", "hosts", 1)`` is ``tenant.shop1.hosts[1]``."""
    path = ""
    for step in steps:
        if isinstance(step, int):
            path += f"[{step}]"
        else:
            key = step if BARE_KEY.fullmatch(step) and len(step) <= MOST_SHOWN else quoted(step)
            path += f".{key}" if path else key
    return path
