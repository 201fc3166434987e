"""Images of documents: what may be uploaded, and where it is kept."""

import hashlib
from io import BytesIO
from typing import Literal

from msgspec import Struct

from orion_twisted.demo.documents import CommandRefused, Document, Image
from orion_twisted.demo.libraries import LibraryMissing
from orion_twisted.demo.store import Store

MAX_ASSET = 960 * 1024
"""Bytes of one image: it has to fit into a frame."""
MAX_ASSETS = 16 * 1024 * 1024
"""Bytes of all images of a document."""
MAX_STORE = 512 * 1024 * 1024
"""Bytes of all images there are."""
MAX_PIXELS = 16_000_000
"""Pixels of one image: a small file may say that it has billions."""
ASSET_GRACE = 3_600.0
"""Seconds for which an image that no object shows is safe when room is needed: for an undo."""

ImageType = Literal["image/png", "image/jpeg", "image/gif", "image/webp"]
_FORMATS = {
    "image/png": "PNG",
    "image/jpeg": "JPEG",
    "image/gif": "GIF",
    "image/webp": "WEBP",
}


class Asset(Struct, frozen=True):
    """An image of a document; lengths are pixels."""

    id: str
    type: str
    width: int
    height: int


def measure(kind: ImageType, content: bytes) -> tuple[int, int]:
    """
    Return an image's width and height in pixels, from its head.

    Raises:
        CommandRefused: it is no image of this type, or too large.
        LibraryMissing: Pillow is not installed.
    """
    try:
        import PIL.Image
    except ImportError as error:
        raise LibraryMissing("images", "Pillow") from error
    if len(content) > MAX_ASSET:
        raise CommandRefused(f"the image has {len(content)} bytes; {MAX_ASSET} are the most")
    try:
        with PIL.Image.open(BytesIO(content), formats=[_FORMATS[kind]]) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise CommandRefused(
                    f"the image has {width} x {height} pixels; {MAX_PIXELS} are the most"
                )
            image.verify()
    except CommandRefused:
        raise
    except Exception as error:  # whatever a parser of strangers' bytes may come upon
        raise CommandRefused(f"this is no {kind} that can be read") from error
    return width, height


def upload(
    store: Store, document_id: int, document: Document, kind: ImageType, content: bytes
) -> Asset:
    """
    Keep an image for a document; one that it has already is not kept again.

    Raises:
        CommandRefused: it is no image, or there is no room for it.
    """
    width, height = measure(kind, content)
    asset = Asset(hashlib.sha256(content).hexdigest(), kind, width, height)
    with store.transaction():
        there = store.execute(
            "UPDATE assets SET added = ? WHERE document = ? AND id = ? RETURNING id",
            store.now(), document_id, asset.id,
        )  # fmt: skip
        if there:
            return asset
        room = MAX_ASSETS - len(content)
        if _size(store, document_id) > room:
            _drop_unused(store, document_id, document)
        if _size(store, document_id) > room:
            raise CommandRefused(f"the images of a document take {MAX_ASSETS} bytes at most")
        if _size(store) > MAX_STORE - len(content):
            raise CommandRefused(f"all images together take {MAX_STORE} bytes at most")
        store.execute(
            "INSERT INTO assets VALUES (?, ?, ?, ?, ?, ?, ?)",
            document_id, asset.id, kind, width, height, store.now(), content,
        )  # fmt: skip
    return asset


def _size(store: Store, document_id: int | None = None) -> int:
    # length() of a BLOB is in its row's head: the images themselves are not read.
    ((size,),) = store.execute(
        "SELECT coalesce(sum(length(content)), 0) FROM assets WHERE ?1 IS NULL OR document = ?1",
        document_id,
    )
    assert isinstance(size, int)
    return size


def _drop_unused(store: Store, document_id: int, document: Document) -> None:
    shown = {
        placed.asset
        for page in document.pages
        for placed in page.objects
        if isinstance(placed, Image)
    }
    for (asset,) in store.execute(
        "SELECT id FROM assets WHERE document = ? AND added < ?",
        document_id, store.now() - ASSET_GRACE,
    ):  # fmt: skip
        if asset not in shown:
            store.execute("DELETE FROM assets WHERE document = ? AND id = ?", document_id, asset)


def content(store: Store, document_id: int, asset: str) -> tuple[str, bytes]:
    """Return an image's type and bytes, or raise CommandRefused."""
    found = store.execute(
        "SELECT type, content FROM assets WHERE document = ? AND id = ?", document_id, asset
    )
    if not found:
        raise CommandRefused(f"there is no image {asset!r} in this document")
    ((kind, content),) = found
    assert isinstance(kind, str)
    assert isinstance(content, bytes)
    return kind, content


def assets(store: Store, document_id: int) -> dict[str, Asset]:
    """Return all images of a document by their ids."""
    rows = store.execute(
        "SELECT id, type, width, height FROM assets WHERE document = ?", document_id
    )
    return {asset.id: asset for row in rows if (asset := Asset(*row))}
