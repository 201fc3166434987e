"""
A page as drawing commands of an HTML5 canvas, each a list: a name and its arguments.

A name is either a method (``["fillRect", x, y, w, h]``) or a property to set
(``["fillStyle", "#fff"]``); METHODS and PROPERTIES have them all. Coordinates are
points from the page's top left corner. Text is broken into lines here, from the widths of
Helvetica, so that every client breaks it alike; letters themselves are the browser's.
"""

import math
from collections.abc import Iterator
from unicodedata import east_asian_width

from orion_twisted.demo.documents import Line, Page, Placeable, Rectangle, Text

MAX_COMMANDS = 8_000
"""Drawing commands of one page; what lies beyond is left out and the answer says so."""
LINE_HEIGHT = 1.25
"""From one baseline to the next, in font sizes."""
ASCENT = 0.95
"""From the top of a line to its baseline, in font sizes."""

# fmt: off
METHODS = frozenset([
    "save", "restore", "translate", "rotate", "fillRect", "strokeRect",
    "beginPath", "moveTo", "lineTo", "stroke", "fillText",
])
PROPERTIES = frozenset([
    "fillStyle", "strokeStyle", "lineWidth", "font", "textAlign", "textBaseline",
])
# fmt: on

Command = list[str | float]

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


class Drawing:
    """The commands of a page, and which of them draw which object."""

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.boxes: list[dict[str, object]] = []
        self.complete = True


def render(page: Page) -> Drawing:
    """
    Draw a page.

    Returns:
        ``commands``: at most MAX_COMMANDS of them; ``boxes``: for every object drawn its id, kind,
        box, rotation and ``commands`` as [first, count], so that a client can move it under the
        mouse before the engine has answered; ``complete``: False if objects were left out.
    """
    drawing = Drawing()
    drawing.commands += [
        ["fillStyle", "#ffffff"],
        ["fillRect", 0, 0, _short(page.width), _short(page.height)],
    ]
    for placed in page.objects:
        room = MAX_COMMANDS - len(drawing.commands)
        commands: list[Command] = []
        for command in _draw(placed):
            commands.append(command)
            if len(commands) > room:
                drawing.complete = False
                return drawing
        drawing.boxes.append(
            {
                "id": placed.id,
                "kind": type(placed).__name__.lower(),
                "x": placed.x,
                "y": placed.y,
                "width": placed.width,
                "height": placed.height,
                "rotation": placed.rotation,
                "commands": [len(drawing.commands), len(commands)],
            }
        )
        drawing.commands += commands
    return drawing


def _draw(placed: Placeable) -> Iterator[Command]:
    yield ["save"]
    left = top = 0.0
    if placed.rotation:
        left, top = -placed.width / 2, -placed.height / 2
        yield ["translate", _short(placed.x - left), _short(placed.y - top)]
        yield ["rotate", round(math.radians(placed.rotation), 6)]
    else:
        yield ["translate", _short(placed.x), _short(placed.y)]
    match placed:
        case Text():
            yield from _draw_text(placed, left, top)
        case Rectangle():
            box = (_short(left), _short(top), _short(placed.width), _short(placed.height))
            if placed.fill != "none":
                yield ["fillStyle", placed.fill]
                yield ["fillRect", *box]
            if placed.stroke != "none" and placed.line_width:
                yield ["strokeStyle", placed.stroke]
                yield ["lineWidth", _short(placed.line_width)]
                yield ["strokeRect", *box]
        case Line():
            # A canvas ignores a lineWidth of 0 and keeps the one before.
            if placed.line_width:
                yield ["strokeStyle", placed.stroke]
                yield ["lineWidth", _short(placed.line_width)]
                yield ["beginPath"]
                yield ["moveTo", _short(left), _short(top)]
                yield ["lineTo", _short(left + placed.width), _short(top + placed.height)]
                yield ["stroke"]
    yield ["restore"]


def _draw_text(text: Text, left: float, top: float) -> Iterator[Command]:
    yield ["fillStyle", text.color]
    yield ["font", f"{text.weight} {_short(text.size):g}px {text.font}"]
    yield ["textAlign", text.align]
    yield ["textBaseline", "alphabetic"]
    x = left + {"left": 0.0, "center": text.width / 2, "right": text.width}[text.align]
    # At least one line, so that a box made too small still shows that there is text.
    room = max(1, math.floor(text.height / (text.size * LINE_HEIGHT) + 0.001))
    for number, line in zip(range(room), wrap(text), strict=False):
        if line:
            baseline = top + text.size * (ASCENT + LINE_HEIGHT * number)
            yield ["fillText", line, _short(x), _short(baseline)]


def wrap(text: Text) -> Iterator[str]:
    """Yield the lines of a text object, broken at blanks, or anywhere in too long a word."""
    stretch = _STRETCH[text.font] * (1.06 if text.weight == "bold" else 1.0)
    room = text.width * 1000 / (text.size * stretch)
    mono = text.font == "monospace"
    for paragraph in text.text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
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


def _short(length: float) -> float:
    """Two decimals of a point are finer than any screen or printer, and shorter on the wire."""
    return round(length, 2)
