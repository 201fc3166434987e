"""
Host names: one spelling for each, and the table that says whose a name is.

The same table answers which certificate serves an SNI name and which tenant serves a Host header.
Names arrive from strangers, so nothing here raises for any text, and a look-up costs the same
however many names there are.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import Generic, TypeVar

T = TypeVar("T")

LONGEST_NAME = 253
"""Characters of a whole name without its trailing dot (RFC 1035 section 2.3.4, as text)."""

MOST_SPELLINGS = 1024
"""How many spellings of names are remembered: most visitors ask for the same ones."""

EVERYTHING = "*"
"""The pattern that answers every name."""

# RFC 1123 section 2.1, and the underscore: no browser minds it, and private networks use it.
_LABEL = "[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_ENDS_IN_NUMBER = re.compile(r"(?:.*\.)?[0-9]+")

# Python's IDNA is that of 2003, which turns these into other letters or into nothing, while
# browsers keep them: "straße.example" would silently become another domain.
_TWO_MEANINGS = re.compile("[\u00df\u1e9e\u03c2\u200c\u200d]")

_HOST_HEADER = re.compile(r"(\[[^\[\]]*\]|[^\[\]:]+)(?::([1-9][0-9]{0,4}))?")


def normalise(name: str) -> str | None:
    """
    Bring a host name into its one spelling.

    Lower case, one trailing dot off, international labels as A-labels (``xn--…``), addresses as
    `ipaddress` writes them, IPv6 without brackets. A name with ``ß``, ``ς`` or a joiner has to
    be given as A-labels, since old and new IDNA disagree on what it means.

    Returns:
        The name, or None for what is no host name: empty, too long, with a bad label, with a
        wildcard, or ending in a number without being an IPv4 address.
    """
    # Before IDNA, whose cost is not linear, and before anything is remembered.
    return None if len(name) > LONGEST_NAME + 1 else _normalised(name)


@lru_cache(MOST_SPELLINGS)
def _normalised(name: str) -> str | None:
    if not name.isascii():
        if _TWO_MEANINGS.search(name):
            return None
        try:
            name = name.encode("idna").decode("ascii")
        except UnicodeError:
            return None
    name = name.lower()
    if ":" in name:
        return _ipv6(name)
    name = name.removesuffix(".")
    if len(name) > LONGEST_NAME or _NAME.fullmatch(name) is None:
        return None
    if _ENDS_IN_NUMBER.fullmatch(name):
        # Browsers read such a name as an address in one of its odd spellings, or refuse it.
        return _ipv4(name)
    return name


def normalise_pattern(text: str) -> str | None:
    """
    Bring a key of a `NameTable` into its one spelling.

    Returns:
        A name, ``*.`` and a name (not an address), or ``*``; None for anything else.
    """
    if text == EVERYTHING:
        return text
    if not text.startswith("*."):
        return normalise(text)
    # With a letter in the wildcard's place the whole is measured, and no address gets through.
    name = normalise("x" + text[1:])
    if name is None or not name.startswith("x."):  # the text was "*." alone
        return None
    return "*" + name[1:]


def host_of(host_header: str) -> tuple[str, int | None] | None:
    """
    Split a Host header, ``name[:port]``, strictly.

    Returns:
        The normalised name, and the port if one is written; None if anything is wrong: spaces, a
        port that is empty, zero, above 65535 or with leading zeros, an IPv6 address without
        brackets, international letters (which never travel as such).
    """
    match = _HOST_HEADER.fullmatch(host_header)
    if match is None or not host_header.isascii():
        return None
    text, port = match.groups()
    name = normalise(text)
    if name is None:
        return None
    if port is None:
        return name, None
    number = int(port)
    return (name, number) if number <= 65535 else None


class NameTable(Generic[T]):
    """
    Which value answers a name: the exact name, else its one-label wildcard, else ``*``.

    Args:
        values: by pattern: a name, ``*.suffix``, or ``*``; the values are never None.

    Raises:
        ValueError: a key is no pattern, or two keys say the same name.
    """

    __slots__ = ("_by_name", "_by_suffix", "_fallback")

    def __init__(self, values: Mapping[str, T]) -> None:
        self._by_name: dict[str, T] = {}
        self._by_suffix: dict[str, T] = {}
        patterns: dict[str, T] = {}
        for key, value in values.items():
            pattern = normalise_pattern(key)
            if pattern is None:
                raise ValueError(f"{key!r} is no host name, *.suffix or *")
            if pattern in patterns:
                raise ValueError(f"{key!r} is in the table twice, as {pattern!r}")
            patterns[pattern] = value
        self._fallback = patterns.pop(EVERYTHING, None)
        for pattern, value in patterns.items():
            if pattern.startswith("*."):
                self._by_suffix[pattern[2:]] = value
            else:
                self._by_name[pattern] = value

    def lookup(self, name: str) -> T | None:
        """
        Return the value that answers a name, or None.

        ``*.a.example`` answers ``x.a.example``, but neither ``a.example`` nor ``x.y.a.example``.

        Args:
            name: any text, in any spelling.
        """
        if not self._by_name and not self._by_suffix:
            return self._fallback
        value = self._by_name.get(name)  # most names arrive as they are kept
        if value is not None:
            return value
        normal = normalise(name)
        if normal is None:
            return self._fallback
        value = self._by_name.get(normal)
        if value is None:
            value = self._by_suffix.get(normal.partition(".")[2])
        return self._fallback if value is None else value


def _ipv4(text: str) -> str | None:
    try:
        return str(IPv4Address(text))
    except ValueError:
        return None


def _ipv6(text: str) -> str | None:
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    if "%" in text:  # a zone means something on one machine only
        return None
    try:
        return IPv6Address(text).compressed
    except ValueError:
        return None
