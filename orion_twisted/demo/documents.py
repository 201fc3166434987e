"""
What a report is: documents of pages of objects, their limits, and the seam to whatever keeps them.

Everything here is frozen. An edit makes a new document that shares all untouched parts with the
old one, so undo is a list of documents and a saved copy can never change under its reader.
Lengths are points (1/72 inch), y grows downwards, angles are degrees clockwise.
"""

from typing import Annotated, Literal, Protocol

import msgspec
from msgspec import Meta, Struct

MAX_DOCUMENTS = 200
"""Documents in one store."""
MAX_PAGES = 20
"""Pages of one document."""
MAX_OBJECTS_PER_PAGE = 500
MAX_TEXT = 256 * 1024
"""Characters of one text object."""
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
ObjectId = Annotated[str, Meta(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,31}\Z")]
Name = Annotated[str, Meta(min_length=1, max_length=100)]
TextValue = Annotated[str, Meta(max_length=MAX_TEXT)]


class Placed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """What every object of a page has. The rotation turns it about the middle of its box."""

    id: ObjectId = ""  # empty on the way in: the engine picks one
    x: Coordinate
    y: Coordinate
    rotation: Degrees = 0.0


class Text(Placed, frozen=True, kw_only=True, tag="text"):
    """Text, wrapped to the width of its box and cut at its height."""

    width: Size = 240.0
    height: Size = 40.0
    text: TextValue
    font: Literal["sans-serif", "serif", "monospace"] = "sans-serif"
    size: FontSize = 14.0
    weight: Literal["normal", "bold"] = "normal"
    color: Color = "#1f2933"
    align: Literal["left", "center", "right"] = "left"


class Rectangle(Placed, frozen=True, kw_only=True, tag="rectangle"):
    """A box; a line width of 0 or the colour "none" leaves out the stroke or the fill."""

    width: Size = 120.0
    height: Size = 80.0
    fill: Fill = "none"
    stroke: Fill = "#1f2933"
    line_width: LineWidth = 1.0


class Line(Placed, frozen=True, kw_only=True, tag="line"):
    """A line from (x, y) to (x + width, y + height); both may be negative."""

    width: Coordinate = 120.0
    height: Coordinate = 0.0
    stroke: Color = "#1f2933"
    line_width: LineWidth = 1.0


Placeable = Text | Rectangle | Line
KINDS = ("text", "rectangle", "line")


class Page(Struct, frozen=True, forbid_unknown_fields=True):
    """One page; later objects lie above earlier ones."""

    width: PageSize = 595.0  # A4
    height: PageSize = 842.0
    objects: tuple[Placeable, ...] = ()


class Document(Struct, frozen=True, forbid_unknown_fields=True):
    """A whole report. ``last_number`` makes ids that no removed object ever had."""

    name: Name
    pages: tuple[Page, ...]
    last_number: int = 0


class Stored(Struct, frozen=True):
    """A document as the store has it; ``revision`` counts its saves."""

    id: int
    revision: int
    document: Document


class Listing(Struct, frozen=True):
    """One line of the list of documents; ``saved`` is in seconds since 1970."""

    id: int
    name: str
    pages: int
    revision: int
    saved: float


class EngineError(Exception):
    """Base: its text is what the client reads in ``message``."""


class CommandRefused(EngineError):
    """The client asked for something that cannot be done."""


class UnknownDocument(EngineError):
    """There is no such document (any more)."""


class StaleRevision(EngineError):
    """Somebody else saved the document since it was opened."""


class StoreFailed(EngineError):
    """The store itself is in trouble: a full disk, a damaged file, too many documents."""


class DocumentStore(Protocol):
    """Where documents are kept. Every method may raise StoreFailed."""

    def documents(self) -> list[Listing]:
        """Return all documents, the last saved first."""
        ...

    def create(self, document: Document) -> Stored:
        """Keep a new document and return it with its id and revision 1."""
        ...

    def load(self, document_id: int) -> Stored:
        """Return a document, or raise UnknownDocument."""
        ...

    def replace(self, document_id: int, document: Document, revision: int | None) -> Stored:
        """
        Keep a new state of a document.

        Args:
            document_id: which one.
            document: the new state.
            revision: the revision it is based on; None overwrites whatever is there.

        Raises:
            UnknownDocument: it has been deleted.
            StaleRevision: the store has another revision.
        """
        ...

    def delete(self, document_id: int) -> None:
        """Forget a document, or raise UnknownDocument."""
        ...


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
