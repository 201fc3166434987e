"""
One person's desk: the document that is open on a connection, its unsaved edits, undo and redo.
"""

from msgspec.structs import replace

from orion_twisted.demo.documents import (
    MAX_OBJECTS_PER_PAGE,
    CommandRefused,
    Document,
    Page,
    Placeable,
    Stored,
    to_json,
)

MAX_UNDO = 50
"""Steps kept for undo. Documents share what an edit left alone, so a step is small."""


class Desk:
    """At most one open document, in memory until it is saved."""

    def __init__(self) -> None:
        self._stored: Stored | None = None
        self._document: Document | None = None
        self._undo: list[Document] = []
        self._redo: list[Document] = []

    @property
    def stored(self) -> Stored:
        """The open document as the store last had it, or CommandRefused."""
        if self._stored is None:
            raise CommandRefused("no document is open on this connection: send open or new first")
        return self._stored

    @property
    def document(self) -> Document:
        """The open document with all edits, or CommandRefused."""
        if self._document is None:
            raise CommandRefused("no document is open on this connection: send open or new first")
        return self._document

    @property
    def open_id(self) -> int | None:
        """The id of the open document, None when the desk is empty."""
        return None if self._stored is None else self._stored.id

    @property
    def unsaved(self) -> bool:
        """Whether there are edits that a close would lose."""
        return self._stored is not None and self._document is not self._stored.document

    def state(self) -> dict[str, object]:
        """Return what a client shows beside every edit."""
        return {"unsaved": self.unsaved, "undo": len(self._undo), "redo": len(self._redo)}

    def put(self, stored: Stored) -> None:
        """Lay a document on the desk; whatever lay there is gone."""
        self._stored, self._document = stored, stored.document
        self._undo, self._redo = [], []

    def saved(self, stored: Stored) -> None:
        """Note that the open document is in the store now; undo goes on working."""
        self._stored, self._document = stored, stored.document

    def clear(self) -> None:
        """Put the document away."""
        self._stored = self._document = None
        self._undo, self._redo = [], []

    def check_discard(self, discard: bool) -> None:
        """Raise CommandRefused if edits would be lost and the client did not say ``discard``."""
        if self.unsaved and not discard:
            raise CommandRefused(
                f"{self.document.name!r} has unsaved edits: save them, "
                'or repeat the command with "discard": true'
            )

    def page(self, number: int) -> Page:
        """Return a page by its number, 1 for the first, or raise CommandRefused."""
        pages = self.document.pages
        if not 1 <= number <= len(pages):
            raise CommandRefused(f"there is no page {number}: the document has 1 to {len(pages)}")
        return pages[number - 1]

    def find(self, object_id: str) -> tuple[int, Placeable]:
        """Return the page number and the object of this id, or raise CommandRefused."""
        for number, page in enumerate(self.document.pages, 1):
            for placed in page.objects:
                if placed.id == object_id:
                    return number, placed
        raise CommandRefused(f"there is no object {object_id!r} in this document")

    def add(self, number: int, placed: Placeable) -> Placeable:
        """Put an object on top of a page; one without an id gets one, as in "t4" or "r5"."""
        page = self.page(number)
        if len(page.objects) >= MAX_OBJECTS_PER_PAGE:
            raise CommandRefused(
                f"page {number} is full: it holds {MAX_OBJECTS_PER_PAGE} objects at most"
            )
        ids = {there.id for each in self.document.pages for there in each.objects}
        last_number = self.document.last_number
        if not placed.id:
            while True:
                last_number += 1
                object_id = f"{type(placed).__name__[0].lower()}{last_number}"
                if object_id not in ids:
                    break
            placed = replace(placed, id=object_id)
        elif placed.id in ids:
            raise CommandRefused(f"there is already an object {placed.id!r} in this document")
        self._set_page(number, (*page.objects, placed), last_number)
        return placed

    def change(self, number: int, placed: Placeable) -> None:
        """Put an object in the place of the one with the same id on that page."""
        objects = self.page(number).objects
        self._set_page(number, tuple(placed if o.id == placed.id else o for o in objects))

    def remove(self, number: int, object_id: str) -> None:
        """Take an object off a page."""
        objects = self.page(number).objects
        self._set_page(number, tuple(o for o in objects if o.id != object_id))

    def undo(self) -> None:
        """Go one edit back, or raise CommandRefused."""
        if not self._undo:
            raise CommandRefused("there is nothing to undo")
        self._redo.append(self.document)
        self._document = self._undo.pop()

    def redo(self) -> None:
        """Go one undone edit forward, or raise CommandRefused."""
        if not self._redo:
            raise CommandRefused("there is nothing to redo")
        self._undo.append(self.document)
        self._document = self._redo.pop()

    def _set_page(
        self, number: int, objects: tuple[Placeable, ...], last_number: int | None = None
    ) -> None:
        before = self.document
        pages = list(before.pages)
        pages[number - 1] = replace(pages[number - 1], objects=objects)
        after = replace(
            before,
            pages=tuple(pages),
            last_number=before.last_number if last_number is None else last_number,
        )
        to_json(after)  # raises when it has grown too large, before anything has changed
        self._undo = [*self._undo[-(MAX_UNDO - 1) :], before]
        self._redo = []
        self._document = after
