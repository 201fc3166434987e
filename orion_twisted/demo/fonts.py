"""
Which font of a PDF shows which letter.

The three families are PDF's own Helvetica, Times and Courier, whose widths are those that lines
are broken by; they have the letters of Western Europe. For all others there are the files below,
where the machine has them; they are embedded. Korean that no file shows is left to a font that
every reader of PDF brings for Korean.
"""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

_FAMILIES = {
    "sans-serif": ("Helvetica", "Helvetica-Bold", "Helvetica-Oblique", "Helvetica-BoldOblique"),
    "serif": ("Times-Roman", "Times-Bold", "Times-Italic", "Times-BoldItalic"),
    "monospace": ("Courier", "Courier-Bold", "Courier-Oblique", "Courier-BoldOblique"),
}
FILES = (
    "/usr/share/fonts/truetype/nanum/NanumGothic.ttf",  # Debian's fonts-nanum
    "/usr/share/fonts/truetype/unfonts-core/UnDotum.ttf",  # Debian's fonts-unfonts-core
    "/Library/Fonts/NanumGothic.ttf",
    "/System/Library/Fonts/Supplemental/AppleGothic.ttf",
    "C:/Windows/Fonts/malgun.ttf",
    "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",  # Greek, Cyrillic, signs
    "/Library/Fonts/Arial Unicode.ttf",
    "C:/Windows/Fonts/seguisym.ttf",
)
KOREAN = "HYSMyeongJo-Medium"


def standard(family: str, bold: bool, italic: bool) -> str:
    """Return the name of a family's font in PDF."""
    return _FAMILIES[family][bold + 2 * italic]


def runs(text: str, font: str) -> Iterator[tuple[str, str]]:
    """
    Yield a text in pieces, each with the name of the font that shows it.

    Args:
        text: one line.
        font: one of PDF's own, for all letters that it has.
    """
    start, name = 0, font
    for index, letter in enumerate(text):
        shown_by = font if _is_western(letter) else _fallback(letter)
        if shown_by != name:
            if index > start:
                yield text[start:index], name
            start, name = index, shown_by
    if start < len(text):
        yield text[start:], name


def _is_western(letter: str) -> bool:
    if " " <= letter <= "~":
        return True
    try:
        letter.encode("cp1252")  # what PDF calls WinAnsiEncoding
    except UnicodeEncodeError:
        return False
    return letter >= " "


@lru_cache(4096)
def _fallback(letter: str) -> str:
    for name, glyphs in _embedded():
        if ord(letter) in glyphs:
            return name
    return _korean()


@lru_cache(1)
def _embedded() -> tuple[tuple[str, Any], ...]:
    """Return the name of each font file there is, and its glyphs by their letters."""
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFError, TTFont

    found = []
    for path in FILES:
        if not Path(path).is_file():
            continue
        try:
            font = TTFont(f"orion-{Path(path).stem}", path)
        except (TTFError, OSError):  # another file of that name, or one that may not be embedded
            continue
        pdfmetrics.registerFont(font)
        found.append((font.fontName, font.face.charToGlyph))
    return tuple(found)


@lru_cache(1)
def _korean() -> str:
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont

    pdfmetrics.registerFont(UnicodeCIDFont(KOREAN))
    return KOREAN
