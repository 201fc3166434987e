"""
The commands of the engine: for each its fields, and one function that carries it out.

A command's function gets the desk, the store and the checked fields, and returns the fields of
the answer, ``message`` among them. What cannot be done it raises as an EngineError.
"""

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from orion_twisted import __version__
from orion_twisted.demo import documents as limits
from orion_twisted.demo.desk import MAX_UNDO, Desk
from orion_twisted.demo.documents import (
    MAX_PAGES,
    CommandRefused,
    Coordinate,
    Document,
    DocumentStore,
    Name,
    Page,
    PageSize,
    Placeable,
    UnknownDocument,
)
from orion_twisted.demo.render import MAX_COMMANDS, render

MAX_FRAME = 1024 * 1024
"""Bytes of one frame, request or answer."""

Fields = dict[str, object]
# JSON numbers beyond 2^53 do not survive a browser, and beyond 2^63 no SQLite.
DocumentId = Annotated[int, Meta(ge=1, le=2**53 - 1)]
PageNumber = Annotated[int, Meta(ge=1, le=MAX_PAGES)]
PageCount = Annotated[int, Meta(ge=1, le=MAX_PAGES)]


class NoFields(Struct, forbid_unknown_fields=True):
    """hello, version, documents, undo, redo."""


class New(Struct, forbid_unknown_fields=True):
    """new: ``width`` and ``height`` are those of every page."""

    name: Name = "Untitled"
    pages: PageCount = 1
    width: PageSize = 595.0
    height: PageSize = 842.0
    discard: bool = False


class Open(Struct, forbid_unknown_fields=True):
    """open: ``discard`` gives up unsaved edits of what is open now."""

    document: DocumentId
    discard: bool = False


class Save(Struct, forbid_unknown_fields=True):
    """save: ``overwrite`` replaces what somebody else has saved or deleted meanwhile."""

    overwrite: bool = False


class Close(Struct, forbid_unknown_fields=True):
    """close."""

    discard: bool = False


class Delete(Struct, forbid_unknown_fields=True):
    """delete: takes the document out of the store at once."""

    document: DocumentId


class Insert(Struct, forbid_unknown_fields=True):
    """insert."""

    object: Placeable
    page: PageNumber = 1


class Move(Struct, forbid_unknown_fields=True):
    """move: ``x`` and ``y`` are the object's new place."""

    id: str
    x: Coordinate
    y: Coordinate


class Resize(Struct, forbid_unknown_fields=True):
    """
    resize: with ``x`` and ``y`` when a handle at the left or the top is pulled.

    Only a line may get a negative width or height.
    """

    id: str
    width: Coordinate
    height: Coordinate
    x: Coordinate | None = None
    y: Coordinate | None = None


class Edit(Struct, forbid_unknown_fields=True):
    """edit: ``set`` names the properties that change."""

    id: str
    set: dict[str, Any]


class Remove(Struct, forbid_unknown_fields=True):
    """remove."""

    id: str


class OnPage(Struct, forbid_unknown_fields=True):
    """render, objects."""

    page: PageNumber = 1


def _hello(desk: Desk, store: DocumentStore, fields: NoFields) -> Fields:
    return {
        "message": f"Orion demo engine {__version__}",
        "version": __version__,
        "commands": sorted(COMMANDS),
        "limits": {
            "documents": limits.MAX_DOCUMENTS,
            "pages": limits.MAX_PAGES,
            "objects_per_page": limits.MAX_OBJECTS_PER_PAGE,
            "text": limits.MAX_TEXT,
            "document_bytes": limits.MAX_DOCUMENT,
            "frame_bytes": MAX_FRAME,
            "drawing_commands": MAX_COMMANDS,
            "undo": MAX_UNDO,
        },
    }


def _documents(desk: Desk, store: DocumentStore, fields: NoFields) -> Fields:
    found = store.documents()
    return {
        "message": f"{len(found)} of at most {limits.MAX_DOCUMENTS} documents",
        "documents": msgspec.to_builtins(found),
        "open": desk.open_id,
    }


def _new(desk: Desk, store: DocumentStore, fields: New) -> Fields:
    desk.check_discard(fields.discard)
    page = Page(fields.width, fields.height)
    stored = store.create(Document(fields.name, (page,) * fields.pages))
    desk.put(stored)
    return {"message": f"document {stored.id} made", **_opened(desk)}


def _open(desk: Desk, store: DocumentStore, fields: Open) -> Fields:
    desk.check_discard(fields.discard)
    desk.put(store.load(fields.document))
    return {"message": f"document {fields.document} opened", **_opened(desk)}


def _save(desk: Desk, store: DocumentStore, fields: Save) -> Fields:
    stored = desk.stored
    revision = None if fields.overwrite else stored.revision
    try:
        saved = store.replace(stored.id, desk.document, revision)
    except UnknownDocument:
        if not fields.overwrite:
            raise
        saved = store.create(desk.document)
    desk.saved(saved)
    return {
        "message": f"document {saved.id} saved as revision {saved.revision}",
        **_opened(desk),
    }


def _close(desk: Desk, store: DocumentStore, fields: Close) -> Fields:
    document_id = desk.stored.id
    desk.check_discard(fields.discard)
    desk.clear()
    return {"message": f"document {document_id} closed"}


def _delete(desk: Desk, store: DocumentStore, fields: Delete) -> Fields:
    store.delete(fields.document)
    if desk.open_id == fields.document:
        desk.clear()
    return {"message": f"document {fields.document} deleted"}


def _insert(desk: Desk, store: DocumentStore, fields: Insert) -> Fields:
    placed = desk.add(fields.page, fields.object)
    return _edited(desk, "inserted", fields.page, placed.id)


def _move(desk: Desk, store: DocumentStore, fields: Move) -> Fields:
    page, placed = desk.find(fields.id)
    desk.change(page, msgspec.structs.replace(placed, x=fields.x, y=fields.y))
    return _edited(desk, "moved", page, placed.id)


def _resize(desk: Desk, store: DocumentStore, fields: Resize) -> Fields:
    new: dict[str, Any] = {"width": fields.width, "height": fields.height}
    new |= {key: value for key, value in (("x", fields.x), ("y", fields.y)) if value is not None}
    page, placed = desk.find(fields.id)
    desk.change(page, _with(placed, new, "$."))
    return _edited(desk, "resized", page, placed.id)


def _edit(desk: Desk, store: DocumentStore, fields: Edit) -> Fields:
    page, placed = desk.find(fields.id)
    if not fields.set:
        raise CommandRefused("set: names no property to change")
    for fixed in ("id", "kind"):
        if fixed in fields.set:
            raise CommandRefused(f"set.{fixed}: cannot be changed")
    desk.change(page, _with(placed, fields.set, "$.set."))
    return _edited(desk, "changed", page, placed.id)


def _remove(desk: Desk, store: DocumentStore, fields: Remove) -> Fields:
    page, placed = desk.find(fields.id)
    desk.remove(page, placed.id)
    return _edited(desk, "removed", page, placed.id)


def _render(desk: Desk, store: DocumentStore, fields: OnPage) -> Fields:
    page = desk.page(fields.page)
    drawing = render(page)
    return {
        "message": f"page {fields.page}: {len(drawing.commands)} drawing commands",
        "page": fields.page,
        "width": page.width,
        "height": page.height,
        "commands": drawing.commands,
        "boxes": drawing.boxes,
        "complete": drawing.complete,
        **desk.state(),
    }


def _objects(desk: Desk, store: DocumentStore, fields: OnPage) -> Fields:
    objects = desk.page(fields.page).objects
    return {
        "message": f"page {fields.page}: {len(objects)} objects",
        "page": fields.page,
        "objects": [msgspec.to_builtins(placed) for placed in objects],
    }


def _undo(desk: Desk, store: DocumentStore, fields: NoFields) -> Fields:
    desk.undo()
    return {"message": "one edit undone", **desk.state()}


def _redo(desk: Desk, store: DocumentStore, fields: NoFields) -> Fields:
    desk.redo()
    return {"message": "one edit redone", **desk.state()}


def _with(placed: Placeable, new: dict[str, Any], path: str) -> Placeable:
    """Return the object with some properties set, checked like a new one."""
    try:
        return msgspec.convert(msgspec.to_builtins(placed) | new, type(placed))
    except msgspec.ValidationError as error:
        # The path has to name the field where the client wrote it.
        raise msgspec.ValidationError(str(error).replace("`$.", f"`{path}", 1)) from None


def _edited(desk: Desk, what: str, page: int, object_id: str) -> Fields:
    return {
        "message": f"{object_id} {what} on page {page}",
        "id": object_id,
        "page": page,
        **desk.state(),
    }


def _opened(desk: Desk) -> Fields:
    stored = desk.stored
    document = desk.document
    return {
        "document": {
            "id": stored.id,
            "name": document.name,
            "revision": stored.revision,
            "pages": [
                {"width": page.width, "height": page.height, "objects": len(page.objects)}
                for page in document.pages
            ],
        },
        **desk.state(),
    }


COMMANDS: dict[str, tuple[type[Struct], Callable[[Desk, DocumentStore, Any], Fields]]] = {
    "hello": (NoFields, _hello),
    "version": (NoFields, _hello),
    "documents": (NoFields, _documents),
    "new": (New, _new),
    "open": (Open, _open),
    "save": (Save, _save),
    "close": (Close, _close),
    "delete": (Delete, _delete),
    "insert": (Insert, _insert),
    "move": (Move, _move),
    "resize": (Resize, _resize),
    "edit": (Edit, _edit),
    "remove": (Remove, _remove),
    "render": (OnPage, _render),
    "objects": (OnPage, _objects),
    "undo": (NoFields, _undo),
    "redo": (NoFields, _redo),
}
