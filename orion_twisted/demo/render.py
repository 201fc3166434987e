"""
A page as drawing commands of an HTML5 canvas, each a list: a name and its arguments.

A name is either a method (``["fillRect", x, y, w, h]``) or a property to set
(``["fillStyle", "#fff"]``); METHODS and PROPERTIES have them all. Coordinates are
points from the page's top left corner. The printer carries out the same commands
(`orion_twisted.demo.printing`), so a PDF has its lines and boxes where the screen has them.
"""

import math
from collections.abc import Iterator, Mapping

from orion_twisted.demo.assets import Asset
from orion_twisted.demo.codes import Uncodable, barcode, qr
from orion_twisted.demo.documents import (
    Barcode,
    Image,
    Line,
    Page,
    Placeable,
    QRCode,
    Rectangle,
    Text,
)
from orion_twisted.demo.libraries import LibraryMissing
from orion_twisted.demo.wrapping import fill, wrap

MAX_COMMANDS = 8_000
"""Drawing commands of one page; what lies beyond is left out and the answer says so."""
MAX_LETTERS = 512 * 1024
"""Characters of one page with its placeholders filled: a short text may name a long cell often."""
LINE_HEIGHT = 1.25
"""From one baseline to the next, in font sizes."""
ASCENT = 0.95
"""From the top of a line to its baseline, in font sizes."""
LABEL = 10.0
"""The font size of a barcode's label, in points, where its box has room for it."""
_UNDRAWABLE = "#c0392b"

# fmt: off
METHODS = frozenset([
    "save", "restore", "translate", "rotate", "fillRect", "strokeRect",
    "beginPath", "moveTo", "lineTo", "stroke", "fillText", "drawImage",
])
PROPERTIES = frozenset([
    "fillStyle", "strokeStyle", "lineWidth", "font", "textAlign", "textBaseline",
])
# fmt: on

Command = list[str | float]
Row = Mapping[str, str] | None


class Drawing:
    """The commands of a page, and which of them draw which object."""

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.boxes: list[dict[str, object]] = []
        self.complete = True


def render(page: Page, row: Row = None, assets: Mapping[str, Asset] | None = None) -> Drawing:
    """
    Draw a page.

    Args:
        page: the page.
        row: the cells that fill its placeholders; None leaves them as they are written.
        assets: the document's images by their ids.

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
    letters = MAX_LETTERS
    for placed in page.objects:
        room = MAX_COMMANDS - len(drawing.commands)
        commands: list[Command] = []
        for command in _draw(placed, row, assets or {}, letters):
            commands.append(command)
            if len(commands) > room:
                drawing.complete = False
                return drawing
            if command[0] == "fillText":
                letters -= len(str(command[1]))
        if letters <= 0:
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


def _draw(
    placed: Placeable, row: Row, assets: Mapping[str, Asset], letters: int
) -> Iterator[Command]:
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
            yield from _draw_text(placed, fill(placed.text, row, letters), left, top)
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
        case Image():
            yield from _draw_image(placed, assets.get(placed.asset), left, top)
        case QRCode() | Barcode():
            yield from _draw_code(placed, fill(placed.text, row, letters), left, top)
    yield ["restore"]


def _draw_text(text: Text, value: str, left: float, top: float) -> Iterator[Command]:
    style = "italic " if text.italic else ""
    yield ["fillStyle", text.color]
    yield ["font", f"{style}{text.weight} {_short(text.size):g}px {text.font}"]
    yield ["textAlign", text.align]
    yield ["textBaseline", "alphabetic"]
    x = left + {"left": 0.0, "center": text.width / 2, "right": text.width}[text.align]
    # At least one line, so that a box made too small still shows that there is text.
    room = max(1, math.floor(text.height / (text.size * LINE_HEIGHT) + 0.001))
    for number, line in zip(range(room), wrap(text, value), strict=False):
        if line:
            baseline = top + text.size * (ASCENT + LINE_HEIGHT * number)
            yield ["fillText", line, _short(x), _short(baseline)]


def _draw_image(image: Image, asset: Asset | None, left: float, top: float) -> Iterator[Command]:
    if asset is None:
        yield from _draw_cross(image, left, top)
        return
    width, height = image.width, image.height
    if image.fit == "contain":
        scale = min(width / asset.width, height / asset.height)
        width, height = asset.width * scale, asset.height * scale
    yield [
        "drawImage",
        asset.id,
        _short(left + (image.width - width) / 2),
        _short(top + (image.height - height) / 2),
        _short(width),
        _short(height),
    ]


def _draw_code(code: QRCode | Barcode, value: str, left: float, top: float) -> Iterator[Command]:
    try:  # lists: a code that cannot be drawn has not drawn half of itself
        match code:
            case QRCode():
                commands = list(_draw_qr(code, value, left, top))
            case Barcode():
                commands = list(_draw_barcode(code, value, left, top))
    except (Uncodable, LibraryMissing):
        commands = list(_draw_cross(code, left, top))
    yield from commands


def _draw_qr(code: QRCode, value: str, left: float, top: float) -> Iterator[Command]:
    matrix = qr(value)
    module = min(code.width, code.height) / matrix.size
    left += (code.width - module * matrix.size) / 2
    top += (code.height - module * matrix.size) / 2
    yield ["fillStyle", code.color]
    for line, first, count in matrix.bars:
        x, y = left + module * first, top + module * line
        yield ["fillRect", _fine(x), _fine(y), _fine(module * count), _fine(module)]


def _draw_barcode(code: Barcode, value: str, left: float, top: float) -> Iterator[Command]:
    bars = barcode(code.symbology, value)
    module = code.width / bars.width
    size = min(LABEL, code.height / 4, code.width / (0.6 * len(bars.text))) if code.label else 0.0
    height = code.height - size * LINE_HEIGHT
    yield ["fillStyle", code.color]
    for first, width in bars.bars:
        x = left + module * first
        yield ["fillRect", _fine(x), _short(top), _fine(module * width), _short(height)]
    if code.label:
        yield ["font", f"normal {_short(size):g}px monospace"]
        yield ["textAlign", "center"]
        yield ["textBaseline", "alphabetic"]
        baseline = top + height + size * ASCENT
        yield ["fillText", bars.text, _short(left + code.width / 2), _short(baseline)]


def _draw_cross(placed: Placeable, left: float, top: float) -> Iterator[Command]:
    """Draw what stands for something that cannot be drawn: a box with a cross."""
    right, bottom = _short(left + placed.width), _short(top + placed.height)
    yield ["strokeStyle", _UNDRAWABLE]
    yield ["lineWidth", 1]
    yield ["strokeRect", _short(left), _short(top), _short(placed.width), _short(placed.height)]
    yield ["beginPath"]
    yield ["moveTo", _short(left), _short(top)]
    yield ["lineTo", right, bottom]
    yield ["moveTo", right, _short(top)]
    yield ["lineTo", _short(left), bottom]
    yield ["stroke"]


def _short(length: float) -> float:
    """Two decimals of a point are finer than any screen or printer, and shorter on the wire."""
    return round(length, 2)


def _fine(length: float) -> float:
    """The bars of a code lie side by side: what rounding moves would show as gaps."""
    return round(length, 3)
