"""
What a report is: documents of pages of objects, the table that fills them, and their limits.

Everything here is frozen. An edit makes a new document that shares all untouched parts with the
old one, so whoever draws or prints a document has one that cannot change meanwhile.
Lengths are points (1/72 inch), y grows downwards, angles are degrees clockwise.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from orion_twisted.demo.words import in_words

MAX_DOCUMENTS = 200
"""Documents in one store."""
MAX_PAGES = 20
"""Pages of one document."""
MAX_OBJECTS_PER_PAGE = 500
MAX_TEXT = 256 * 1024
"""Characters of one text object."""
MAX_CODE_TEXT = 1_000
"""Characters of a QR code or a barcode, as written: with its placeholders."""
MAX_COLUMNS = 50
MAX_ROWS = 2_000
MAX_CELL = 2_000
"""Characters of one cell of the table, or of a column's name."""
MAX_DOCUMENT = 512 * 1024
"""Bytes of one document as JSON: it has to fit into one frame together with its envelope."""
MAX_LENGTH = 14_400
"""Points: 200 inches, the largest page a PDF reader has to open."""

Coordinate = Annotated[float, Meta(ge=-MAX_LENGTH, le=MAX_LENGTH)]
Size = Annotated[float, Meta(gt=0, le=MAX_LENGTH)]
PageSize = Annotated[float, Meta(ge=10, le=MAX_LENGTH)]
Degrees = Annotated[float, Meta(ge=-360, le=360)]
LineWidth = Annotated[float, Meta(ge=0, le=100)]
FontSize = Annotated[float, Meta(ge=1, le=500)]
# \Z and not $, which would let a trailing newline in.
Color = Annotated[str, Meta(pattern=r"^#(?:[0-9a-fA-F]{3}){1,2}\Z")]
Fill = Annotated[str, Meta(pattern=r"^(?:none|#(?:[0-9a-fA-F]{3}){1,2})\Z")]
Id = Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,31}\Z")]
AssetId = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
Name = Annotated[str, Meta(min_length=1, max_length=100)]
TextValue = Annotated[str, Meta(max_length=MAX_TEXT)]
CodeValue = Annotated[str, Meta(max_length=MAX_CODE_TEXT)]
Cell = Annotated[str, Meta(max_length=MAX_CELL)]
ColumnName = Annotated[str, Meta(min_length=1, max_length=MAX_CELL)]


class Placed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """What every object of a page has. The rotation turns it about the middle of its box."""

    id: Id
    x: Coordinate
    y: Coordinate
    width: Size
    height: Size
    rotation: Degrees = 0.0


class Text(Placed, frozen=True, kw_only=True, tag="text"):
    """Text, wrapped to the width of its box and cut at its height."""

    text: TextValue
    font: Literal["sans-serif", "serif", "monospace"] = "sans-serif"
    size: FontSize = 14.0
    weight: Literal["normal", "bold"] = "normal"
    italic: bool = False
    color: Color = "#1f2933"
    align: Literal["left", "center", "right"] = "left"


class Rectangle(Placed, frozen=True, kw_only=True, tag="rectangle"):
    """A box; a line width of 0 or the colour "none" leaves out the stroke or the fill."""

    fill: Fill = "none"
    stroke: Fill = "#1f2933"
    line_width: LineWidth = 1.0


class Line(Placed, frozen=True, kw_only=True, tag="line"):
    """A line from (x, y) to (x + width, y + height); both may be negative."""

    width: Coordinate
    height: Coordinate
    stroke: Color = "#1f2933"
    line_width: LineWidth = 1.0


class Image(Placed, frozen=True, kw_only=True, tag="image"):
    """A picture that was uploaded to the document: whole within its box, or stretched to it."""

    asset: AssetId
    fit: Literal["contain", "fill"] = "contain"


class QRCode(Placed, frozen=True, kw_only=True, tag="qrcode"):
    """A QR code, as large as fits into its box, in the middle."""

    text: CodeValue
    color: Color = "#000000"


class Barcode(Placed, frozen=True, kw_only=True, tag="barcode"):
    """A barcode as wide as its box; ``label`` writes below it what it says."""

    text: CodeValue
    symbology: Literal["code128", "ean13", "code39"] = "code128"
    color: Color = "#000000"
    label: bool = True


Placeable = Text | Rectangle | Line | Image | QRCode | Barcode
KINDS = ("text", "rectangle", "line", "image", "qrcode", "barcode")


class Page(Struct, frozen=True, forbid_unknown_fields=True):
    """One page; later objects lie above earlier ones."""

    id: Id
    width: PageSize = 595.0  # A4
    height: PageSize = 842.0
    objects: tuple[Placeable, ...] = ()


class Table(Struct, frozen=True, forbid_unknown_fields=True):
    """What fills the placeholders: a row of cells for each time that the pages are printed."""

    columns: Annotated[tuple[ColumnName, ...], Meta(min_length=1, max_length=MAX_COLUMNS)]
    rows: Annotated[tuple[tuple[Cell, ...], ...], Meta(max_length=MAX_ROWS)]

    def __post_init__(self) -> None:
        if len(set(self.columns)) < len(self.columns):
            raise ValueError("two columns have the same name")
        for number, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                raise ValueError(
                    f"row {number} has {len(row)} cells, and there are {len(self.columns)} columns"
                )


class Document(Struct, frozen=True, forbid_unknown_fields=True):
    """A whole report."""

    name: Name
    pages: tuple[Page, ...]
    data: Table | None = None

    def page(self, page_id: str) -> Page:
        """Return the page of this id, or raise CommandRefused."""
        for page in self.pages:
            if page.id == page_id:
                return page
        raise CommandRefused(f"there is no page {page_id!r} in this document")

    def row(self, number: int | None) -> dict[str, str] | None:
        """Return a row of the table by its columns, None for None, or raise CommandRefused."""
        if number is None:
            return None
        if self.data is None:
            raise CommandRefused("the document has no data")
        if not 0 <= number < len(self.data.rows):
            raise CommandRefused(f"there is no row {number}: the data has {len(self.data.rows)}")
        return dict(zip(self.data.columns, self.data.rows[number], strict=True))


class EngineError(Exception):
    """Base: its text is what the client reads in ``message``."""


class CommandRefused(EngineError):
    """The client asked for something that cannot be done."""


class UnknownDocument(EngineError):
    """There is no such document (any more)."""


class StoreFailed(EngineError):
    """The store itself is in trouble: a full disk, a damaged file, too many documents."""


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Document)


def to_json(document: Document) -> bytes:
    """
    Return a document as JSON bytes.

    Raises:
        CommandRefused: it is larger than MAX_DOCUMENT.
    """
    content = _encoder.encode(document)
    if len(content) > MAX_DOCUMENT:
        raise CommandRefused(
            f"the document would take {len(content)} bytes; at most {MAX_DOCUMENT} are allowed"
        )
    return content


def from_json(content: bytes) -> Document:
    """Return the document of ``to_json``, or raise msgspec.MsgspecError or ValueError."""
    return _decoder.decode(content)


def convert(value: object, kind: Any) -> Any:
    """
    Return decoded JSON as a checked Struct, or another type that msgspec knows.

    Raises:
        CommandRefused: it is none; the text names the place.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise CommandRefused(in_words(str(error), KINDS)) from None
    except UnicodeError:
        raise CommandRefused("there is half a surrogate pair in a string") from None
    except RecursionError:
        raise CommandRefused("it is nested too deeply") from None
