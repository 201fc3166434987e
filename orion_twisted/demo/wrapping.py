"""
Texts as they are drawn: with a row's cells in place of placeholders, and broken into lines.

Lines are broken from the widths of Helvetica, here and nowhere else, so that every browser and the
printer break a text alike.
"""

import re
from collections.abc import Iterator, Mapping
from unicodedata import east_asian_width

from orion_twisted.demo.documents import Text

_PLACEHOLDER = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
# What has no letter and is no end of a line: it would be drawn as a box, or break a PDF.
_CONTROLS = dict.fromkeys((*range(32), *range(127, 160), 0xFFFE, 0xFFFF), " ") | {
    ord("\n"): "\n",
    ord("\r"): "\r",
    ord("\t"): "\t",
}

# Helvetica's advance widths from its AFM file, U+0020 to U+007E, in thousandths of the font size.
# fmt: off
_WIDTHS = (
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556,
    556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667,
    611, 778, 722, 278, 500, 667, 556, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667,
    667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500,
    222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
)
# fmt: on
_STRETCH = {"sans-serif": 1.0, "serif": 0.94, "monospace": 1.0}


def fill(text: str, row: Mapping[str, str] | None, most: int) -> str:
    """
    Return a text with its placeholders filled, and no control characters but ends of lines.

    Args:
        text: what may have ``{{column}}`` in it; those that name no column stay.
        row: the cells by their columns; None leaves all placeholders as they are.
        most: characters of the result, at most; more are left out.
    """
    if row and "{{" in text:
        parts: list[str] = []
        end = length = 0
        for found in _PLACEHOLDER.finditer(text):
            cell = row.get(found[1], found[0])
            parts += text[end : found.start()], cell
            length += found.start() - end + len(cell)
            end = found.end()
            if length > most:
                break
        text = "".join((*parts, text[end:]))
    return text[:most].translate(_CONTROLS)


def wrap(text: Text, value: str) -> Iterator[str]:
    """Yield the lines of a text object that says this, broken at blanks or in too long words."""
    stretch = _STRETCH[text.font] * (1.06 if text.weight == "bold" else 1.0)
    room = text.width * 1000 / (text.size * stretch)
    mono = text.font == "monospace"
    for paragraph in value.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        yield from _wrap_paragraph(paragraph.replace("\t", "    "), room, mono)


def _wrap_paragraph(paragraph: str, room: float, mono: bool) -> Iterator[str]:
    start = 0  # of the line
    blank = -1  # the last blank on the line, where it may be broken
    used = after_blank = 0.0
    for index, letter in enumerate(paragraph):
        width = _advance(letter, mono)
        if letter == " ":
            used += width  # a blank may hang over the edge: nobody sees it
            blank, after_blank = index, 0.0
            continue
        if used + width > room and index > start:
            if blank >= start:
                yield paragraph[start:blank].rstrip(" ")
                start, used = blank + 1, after_blank
            if used + width > room and index > start:
                yield paragraph[start:index]
                start, used, after_blank = index, 0.0, 0.0
            blank = -1
        used += width
        after_blank += width
    yield paragraph[start:].rstrip(" ")


def _advance(letter: str, mono: bool) -> float:
    code = ord(letter)
    if 32 <= code < 127:
        return 600 if mono else _WIDTHS[code - 32]
    if east_asian_width(letter) in "WF":
        return 1000
    return 600 if mono else 556
