"""The fields of each command, as they are checked before it is carried out."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from orion_twisted.demo.assets import ImageType
from orion_twisted.demo.documents import AssetId, Id, Name, PageSize
from orion_twisted.demo.printing import MAX_SHEETS

# JSON numbers beyond 2^53 do not survive a browser, and beyond 2^63 no SQLite.
Number = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Positive = Annotated[int, Meta(ge=1, le=2**53 - 1)]
Client = Annotated[str, Meta(min_length=1, max_length=64)]
Key = Annotated[str, Meta(min_length=1, max_length=100)]


class NoFields(Struct, forbid_unknown_fields=True):
    """hello, documents."""


class New(Struct, forbid_unknown_fields=True):
    """new: ``width`` and ``height`` are those of its page."""

    name: Name = "Untitled"
    width: PageSize = 595.0
    height: PageSize = 842.0
    key: Key | None = None


class OfDocument(Struct, forbid_unknown_fields=True):
    """close, save, delete."""

    document: Positive


class Open(Struct, forbid_unknown_fields=True):
    """open: without ``client`` for somebody who only looks."""

    document: Positive
    client: Client | None = None


class Sync(Struct, forbid_unknown_fields=True):
    """sync."""

    document: Positive
    seq: Number
    client: Client | None = None


class Apply(Struct, forbid_unknown_fields=True):
    """apply: what ``changes`` may be is for the document to say, which counts the edit."""

    document: Positive
    client: Client
    edit: Positive
    changes: Any


class Render(Struct, forbid_unknown_fields=True):
    """render."""

    document: Positive
    page: Id
    row: Number | None = None


class Upload(Struct, forbid_unknown_fields=True):
    """upload; the image's bytes follow."""

    document: Positive
    type: ImageType


class OfAsset(Struct, forbid_unknown_fields=True):
    """asset."""

    document: Positive
    asset: AssetId


class Pdf(Struct, forbid_unknown_fields=True):
    """pdf: for all rows, for some, or once without."""

    document: Positive
    rows: (
        Literal["all"] | Annotated[list[Number], Meta(min_length=1, max_length=MAX_SHEETS)] | None
    ) = None


class PdfPart(Struct, forbid_unknown_fields=True):
    """pdf_part."""

    pdf: str
    part: Number
