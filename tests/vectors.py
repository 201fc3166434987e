"""
The examples of docs/wire.md, each a test vector: what goes over a socket or a link, to the byte.

    for each in of("gateway"):
        reader.read(each.octets, each.is_binary)
    self.assertEqual(b"...", vector("hello").octets)

A mark, ``<!-- vector: NAME, SENDER[, binary][, hex] -->``, stands on the line before a fence.
"""

import re
from functools import cache

from attrs import field, frozen

from tests.documents import read_page

PAGE = "docs/wire.md"

SENDERS = ("browser", "gateway", "to-backend", "backend")
"""Who sends it: the first two a WebSocket message, the others the payload of a link's frame."""

_LOOKS_LIKE_A_MARK = re.compile(r"(?m)^.*<!--\s*vector.*$")
_MARK = re.compile(
    r"<!-- vector: (?P<name>[a-z0-9]+(?:-[a-z0-9]+)*), "
    rf"(?P<sender>{'|'.join(SENDERS)})(?P<binary>, binary)?(?P<hex>, hex)? -->"
)
_FENCED = re.compile(r"\n```\n(?P<text>.*?)\n```(?:\n|\Z)", re.DOTALL)


@frozen
class Vector:
    """
    One example.

    Attributes:
        name: its own on the page.
        sender: one of `SENDERS`.
        is_binary: whether it is a binary WebSocket message; a link's frames know no such thing.
        octets: the whole message, or the payload of the frame.
    """

    name: str
    sender: str
    is_binary: bool
    octets: bytes = field(repr=False)

    @property
    def text(self) -> str:
        """What a text message says."""
        return self.octets.decode()


def read_vectors(page: str) -> list[Vector]:
    """
    Return the examples of a page's text, in their order.

    Raises:
        ValueError: a mark is not well-formed, stands before no fence, or a name comes twice.
    """
    vectors: dict[str, Vector] = {}
    for line in _LOOKS_LIKE_A_MARK.finditer(page):
        mark = _MARK.fullmatch(line[0])
        if mark is None:
            raise ValueError(f"not a well-formed mark: {line[0]}")
        fenced = _FENCED.match(page, line.end())
        if fenced is None or "```" in fenced["text"]:
            raise ValueError(f"no fence of its own after {line[0]}")
        if mark["name"] in vectors:
            raise ValueError(f"a name that comes twice: {line[0]}")
        vectors[mark["name"]] = Vector(
            mark["name"],
            mark["sender"],
            mark["binary"] is not None,
            _octets(fenced["text"], mark),
        )
    return list(vectors.values())


def _octets(text: str, mark: re.Match[str]) -> bytes:
    if not mark["hex"]:
        return text.encode()
    if not re.fullmatch(r"(?:[0-9a-f]{2})+", text):
        raise ValueError(f"not hexadecimal digits: {mark[0]}")
    return bytes.fromhex(text)


@cache
def vectors() -> dict[str, Vector]:
    """Return all of docs/wire.md, by name."""
    return {each.name: each for each in read_vectors(read_page(PAGE).text)}


def vector(name: str) -> Vector:
    """Return one; `KeyError` if there is no such name."""
    return vectors()[name]


def of(sender: str) -> list[Vector]:
    """Return all that one side sends, in the order of the page."""
    return [each for each in vectors().values() if each.sender == sender]
