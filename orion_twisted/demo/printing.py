"""
Documents as PDF: each page once for each row, by the drawing commands that a browser gets, too.

It computes and does no other I/O than to read font files; it is meant for a thread, one at a time.
"""

import math
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any, Literal

from attrs import frozen

from orion_twisted.demo.assets import Asset
from orion_twisted.demo.documents import CommandRefused, Document
from orion_twisted.demo.fonts import runs, standard
from orion_twisted.demo.libraries import LibraryMissing
from orion_twisted.demo.render import Command, render

MAX_SHEETS = 500
"""Pages of one PDF."""
MAX_WORK = 500_000
"""Drawing commands of one PDF: seconds of the printing thread."""
MAX_DECODED = 64_000_000
"""Pixels of all images of one PDF, which are decoded in that thread, each once."""


@frozen
class Job:
    """A document, and the rows that it is to be printed for; None: once, without data."""

    document: Document
    rows: tuple[int | None, ...]


def job(document: Document, rows: Literal["all"] | list[int] | None) -> Job:
    """
    Return what is to be printed.

    Raises:
        CommandRefused: there are no such rows, or too many.
    """
    chosen: tuple[int | None, ...]
    if rows == "all":
        chosen = tuple(range(len(document.data.rows) if document.data else 0))
        if not chosen:
            raise CommandRefused("the document has no rows")
    elif rows is None:
        chosen = (None,)
    else:
        chosen = tuple(rows)
        for number in rows:
            document.row(number)
    if len(chosen) * len(document.pages) > MAX_SHEETS:
        raise CommandRefused(
            f"{len(chosen)} rows on {len(document.pages)} pages each: "
            f"a PDF has {MAX_SHEETS} pages at most"
        )
    return Job(document, chosen)


def print_pdf(
    job: Job,
    assets: Mapping[str, Asset],
    contents: Mapping[str, bytes],
    may_go_on: Callable[[], bool] = lambda: True,
) -> bytes:
    """
    Print.

    Args:
        job: what.
        assets: the document's images by their ids.
        contents: their bytes.
        may_go_on: asked before each page.

    Raises:
        CommandRefused: it would take too long, or may not go on.
        LibraryMissing: reportlab is not installed.
    """
    try:
        from reportlab.pdfgen.canvas import Canvas
    except ImportError as error:
        raise LibraryMissing("PDFs", "reportlab") from error
    written = BytesIO()
    canvas = Canvas(written, pageCompression=1)
    canvas.setTitle(job.document.name)
    canvas.setCreator("Orion demo engine")
    printer = _Printer(canvas, contents)
    work = 0
    for number in job.rows:
        row = job.document.row(number)
        for page in job.document.pages:
            if not may_go_on():
                raise CommandRefused("the engine is being stopped")
            commands = render(page, row, assets).commands
            work += len(commands)
            if work > MAX_WORK:
                raise CommandRefused(f"a PDF has {MAX_WORK} drawing commands at most")
            canvas.setPageSize((page.width, page.height))
            canvas.transform(1, 0, 0, -1, 0, page.height)  # y grows downwards from here on
            printer.draw(commands)
            canvas.showPage()
    canvas.save()
    return written.getvalue()


@frozen
class _Style:
    """What a canvas keeps beside what PDF itself keeps."""

    font: str = "Helvetica"
    size: float = 10.0
    align: str = "left"


class _Printer:
    """
    Carry out drawing commands on a PDF.

    Args:
        canvas: reportlab's.
        contents: images by their ids.
    """

    def __init__(self, canvas: Any, contents: Mapping[str, bytes]) -> None:
        self._canvas = canvas
        self._contents = contents
        self._style = _Style()
        self._saved: list[_Style] = []
        self._path: Any = None
        self._failed: set[str] = set()
        self._decoded = 0  # pixels

    def draw(self, commands: list[Command]) -> None:
        """Carry out the commands of one page."""
        for name, *values in commands:
            _DO[str(name)](self, *values)

    def _save(self) -> None:
        self._saved.append(self._style)
        self._canvas.saveState()

    def _restore(self) -> None:
        self._style = self._saved.pop()
        self._canvas.restoreState()

    def _translate(self, x: float, y: float) -> None:
        self._canvas.translate(x, y)

    def _rotate(self, radians: float) -> None:
        self._canvas.rotate(math.degrees(radians))

    def _fill_style(self, color: str) -> None:
        self._canvas.setFillColorRGB(*_rgb(color))

    def _stroke_style(self, color: str) -> None:
        self._canvas.setStrokeColorRGB(*_rgb(color))

    def _line_width(self, width: float) -> None:
        self._canvas.setLineWidth(width)

    def _fill_rect(self, x: float, y: float, width: float, height: float) -> None:
        self._canvas.rect(x, y, width, height, stroke=0, fill=1)

    def _stroke_rect(self, x: float, y: float, width: float, height: float) -> None:
        self._canvas.rect(x, y, width, height, stroke=1, fill=0)

    def _begin_path(self) -> None:
        self._path = self._canvas.beginPath()

    def _move_to(self, x: float, y: float) -> None:
        self._path.moveTo(x, y)

    def _line_to(self, x: float, y: float) -> None:
        self._path.lineTo(x, y)

    def _stroke(self) -> None:
        self._canvas.drawPath(self._path, stroke=1, fill=0)

    def _font(self, font: str) -> None:
        *style, size, family = font.split(" ")
        name = standard(family, "bold" in style, "italic" in style)
        self._style = _Style(name, float(size.removesuffix("px")), self._style.align)

    def _text_align(self, align: str) -> None:
        self._style = _Style(self._style.font, self._style.size, align)

    def _text_baseline(self, baseline: str) -> None:
        """It is always ``alphabetic``, which PDF has no other than."""

    def _fill_text(self, text: str, x: float, y: float) -> None:
        style, canvas = self._style, self._canvas
        pieces = list(runs(text, style.font))
        if style.align != "left":
            width = sum(canvas.stringWidth(piece, font, style.size) for piece, font in pieces)
            x -= width if style.align == "right" else width / 2
        canvas.saveState()
        canvas.transform(1, 0, 0, -1, x, y)  # letters stand upright
        drawn = canvas.beginText(0, 0)
        for piece, font in pieces:
            drawn.setFont(font, style.size)
            drawn.textOut(piece)
        canvas.drawText(drawn)
        canvas.restoreState()

    def _draw_image(self, asset: str, x: float, y: float, width: float, height: float) -> None:
        canvas = self._canvas
        # A form is drawn once, and its image decoded once, however often it is shown.
        if asset not in self._failed and not canvas.hasForm(asset):
            self._define_image(asset)
        if asset in self._failed:
            return
        canvas.saveState()
        canvas.transform(width, 0, 0, -height, x, y + height)
        canvas.doForm(asset)
        canvas.restoreState()

    def _define_image(self, asset: str) -> None:
        from reportlab.lib.utils import ImageReader

        try:
            reader = ImageReader(BytesIO(self._contents[asset]))
            width, height = reader.getSize()
            self._decoded += width * height
            if self._decoded > MAX_DECODED:
                raise CommandRefused(f"the images of a PDF have {MAX_DECODED} pixels at most")
            reader.getRGBData()  # decoded here, where nothing is begun yet
        except CommandRefused:
            raise
        except Exception:  # whatever a decoder of strangers' bytes may come upon
            self._failed.add(asset)
            return
        self._canvas.beginForm(asset, 0, 0, 1, 1)
        self._canvas.drawImage(reader, 0, 0, 1, 1, mask="auto")
        self._canvas.endForm()


_DO: dict[str, Any] = {
    "save": _Printer._save,
    "restore": _Printer._restore,
    "translate": _Printer._translate,
    "rotate": _Printer._rotate,
    "fillRect": _Printer._fill_rect,
    "strokeRect": _Printer._stroke_rect,
    "beginPath": _Printer._begin_path,
    "moveTo": _Printer._move_to,
    "lineTo": _Printer._line_to,
    "stroke": _Printer._stroke,
    "fillText": _Printer._fill_text,
    "drawImage": _Printer._draw_image,
    "fillStyle": _Printer._fill_style,
    "strokeStyle": _Printer._stroke_style,
    "lineWidth": _Printer._line_width,
    "font": _Printer._font,
    "textAlign": _Printer._text_align,
    "textBaseline": _Printer._text_baseline,
}


def _rgb(color: str) -> tuple[float, float, float]:
    digits = color[1:]
    if len(digits) == 3:
        digits = "".join(2 * each for each in digits)
    red, green, blue = (int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4))
    return red, green, blue
