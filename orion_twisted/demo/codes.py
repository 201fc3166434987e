"""QR codes and barcodes as bars: where they begin and how long they are, in modules."""

from functools import lru_cache
from typing import Any, Literal

from attrs import frozen

from orion_twisted.demo.libraries import LibraryMissing

MAX_QR = 600
"""Bytes of a QR code's text in UTF-8: beyond, its modules are too fine to be read."""
MAX_BARCODE = 80
"""Characters of a barcode."""
QUIET = 4
"""Modules of nothing around a QR code, which readers need."""
QUIET_BARS = 10
"""Modules of nothing at either end of a barcode."""


class Uncodable(ValueError):
    """A code cannot say this text."""


@frozen
class Matrix:
    """
    A QR code.

    Attributes:
        size: modules in a row, and rows, with the quiet zone.
        bars: of each run of dark modules in a row its row, its first module, and how many.
    """

    size: int
    bars: tuple[tuple[int, int, int], ...]


@frozen
class Bars:
    """
    A barcode.

    Attributes:
        width: modules in all, with the quiet zones.
        bars: of each its first module, and how many it is wide; a wide bar may have half a module.
        text: what it says, as it is written below: with a check digit.
    """

    width: float
    bars: tuple[tuple[float, float], ...]
    text: str


@lru_cache(128)
def qr(text: str) -> Matrix:
    """
    Return a QR code of medium error correction.

    Raises:
        Uncodable: the text is empty or too long.
        LibraryMissing: segno is not installed.
    """
    try:
        import segno
    except ImportError as error:
        raise LibraryMissing("QR codes", "segno") from error
    if not text or len(text.encode()) > MAX_QR:
        raise Uncodable(f"a QR code says 1 to {MAX_QR} bytes")
    try:
        # UTF-8 is what phones take bytes for, whatever the standard says.
        matrix = segno.make_qr(text, error="m", encoding=_encoding(text)).matrix
    except ValueError as error:
        raise Uncodable(str(error)) from None
    bars = []
    for number, row in enumerate(matrix):
        start = None
        for at, module in enumerate((*row, 0)):
            if module and start is None:
                start = at
            elif not module and start is not None:
                bars.append((number + QUIET, start + QUIET, at - start))
                start = None
    return Matrix(len(matrix) + 2 * QUIET, tuple(bars))


def _encoding(text: str) -> str | None:
    return None if text.isascii() else "utf-8"


@lru_cache(512)
def barcode(symbology: Literal["code128", "ean13", "code39"], text: str) -> Bars:
    """
    Return a barcode.

    Raises:
        Uncodable: its symbology has no sign for something in the text, or it is empty or too long.
        LibraryMissing: reportlab is not installed.
    """
    if not 0 < len(text) <= MAX_BARCODE:
        raise Uncodable(f"a barcode says 1 to {MAX_BARCODE} characters")
    if not text.isascii():
        raise Uncodable("a barcode says letters, digits and signs of ASCII only")
    try:
        return _ean13(text) if symbology == "ean13" else _linear(symbology, text)
    except ImportError as error:
        raise LibraryMissing("barcodes", "reportlab") from error


def _linear(symbology: str, text: str) -> Bars:
    from reportlab.graphics.barcode.code39 import Standard39
    from reportlab.graphics.barcode.code128 import Code128

    made: Any
    if symbology == "code128":
        made = Code128(text, barWidth=1, barHeight=1, quiet=0)
    else:
        text = text.upper()
        if "*" in text:  # it begins and ends each code
            raise Uncodable("code 39 has no *")
        made = Standard39(text, barWidth=1, barHeight=1, quiet=0, checksum=0, ratio=2.5)
    made.validate()
    if not made.valid:
        raise Uncodable(f"{symbology} has no sign for something in {text!r}")
    bars: list[tuple[float, float]] = []
    made.rect = lambda x, y, width, height: bars.append((x + QUIET_BARS, width))
    made.draw()
    return Bars(made.width + 2 * QUIET_BARS, tuple(bars), text)


def _ean13(text: str) -> Bars:
    from reportlab.graphics.barcode.eanbc import Ean13BarcodeWidget
    from reportlab.graphics.shapes import Rect

    if not (text.isdigit() and len(text) in (12, 13)):
        raise Uncodable("EAN-13 says 12 digits, or 13 with the check digit")
    digit = Ean13BarcodeWidget._checkdigit(text[:12])
    if text[12:] not in ("", digit):
        raise Uncodable(f"the check digit of {text[:12]} is {digit}")
    made: Any = Ean13BarcodeWidget(text[:12], barWidth=1, barHeight=1, humanReadable=0, quiet=0)
    _, *rectangles = (each for each in made.draw().contents if isinstance(each, Rect))
    bars = tuple((each.x + QUIET_BARS, each.width) for each in rectangles)
    return Bars(made.width + 2 * QUIET_BARS, bars, text[:12] + digit)
