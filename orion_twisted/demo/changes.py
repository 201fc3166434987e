"""
Edits: lists of changes that are done to a document together, or not at all. No I/O.

docs/engine.md has the changes one by one; tests/demo/changes.json has a case for each thing that
they do and refuse, for this module and for the Web Editor's, which does the same in the browser.
"""

from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct, UnsetType
from msgspec.structs import replace

from orion_twisted.demo.documents import (
    MAX_OBJECTS_PER_PAGE,
    MAX_PAGES,
    CommandRefused,
    Document,
    Name,
    Page,
    PageSize,
    Placeable,
    Table,
    convert,
    to_json,
)

MAX_CHANGES = 500
"""Changes of one edit."""
Place = Annotated[int, Meta(ge=0)]


class Refused(CommandRefused):
    """An edit cannot be done; nothing of it has been. Its text is for a person."""


class Change(Struct, frozen=True, forbid_unknown_fields=True, tag_field="op"):
    """One change."""


class Insert(Change, frozen=True, tag="insert"):
    """Put an object on a page: at a place of its order, or on top."""

    page: str
    object: Placeable
    at: Place | UnsetType = msgspec.UNSET


class Set(Change, frozen=True, tag="set"):
    """Set properties of an object."""

    id: str
    set: dict[str, Any]


class Remove(Change, frozen=True, tag="remove"):
    """Take an object off its page."""

    id: str


class Order(Change, frozen=True, tag="order"):
    """Move an object within its page's order; 0 is the lowest."""

    id: str
    at: Place


class InsertPage(Change, frozen=True, tag="insert_page"):
    """Put a page, with the objects that it has, at a place among the pages, or at the end."""

    page: Page
    at: Place | UnsetType = msgspec.UNSET


class RemovePage(Change, frozen=True, tag="remove_page"):
    """Take a page away, with all that is on it."""

    id: str


class ResizePage(Change, frozen=True, tag="resize_page"):
    """Give a page another size; what is on it stays where it is."""

    id: str
    width: PageSize
    height: PageSize


class Rename(Change, frozen=True, tag="rename"):
    """Give the document another name."""

    name: Name


class Data(Change, frozen=True, tag="data"):
    """Put a table in place of the one there is, or take it away."""

    data: Table | None


AnyChange = Insert | Set | Remove | Order | InsertPage | RemovePage | ResizePage | Rename | Data
Changes = Annotated[tuple[AnyChange, ...], Meta(min_length=1, max_length=MAX_CHANGES)]


def apply_changes(document: Document, changes: object) -> Document:
    """
    Do an edit.

    Args:
        document: what it is done to; it stays as it is.
        changes: the edit as decoded JSON.

    Returns:
        The document with all changes done, in their order.

    Raises:
        Refused: one of them cannot be done, or the document would become too large.
    """
    try:
        for change in convert(changes, Changes):
            document = _apply(document, change)
        to_json(document)  # refuses what has become too large
    except Refused:
        raise
    except CommandRefused as error:
        raise Refused(str(error)) from None
    return document


def _apply(document: Document, change: AnyChange) -> Document:
    match change:
        case Insert():
            index = _page_index(document, change.page)
            _check_new(document, [change.object.id])
            objects = _put(document.pages[index].objects, change.object, change.at)
            if len(objects) > MAX_OBJECTS_PER_PAGE:
                raise Refused(f"the page is full: it holds {MAX_OBJECTS_PER_PAGE} objects at most")
            return _with_objects(document, index, objects)
        case Set():
            index, place = _find(document, change.id)
            objects = document.pages[index].objects
            placed = _with_properties(objects[place], change.set)
            return _with_objects(
                document, index, (*objects[:place], placed, *objects[place + 1 :])
            )
        case Remove():
            index, place = _find(document, change.id)
            objects = document.pages[index].objects
            return _with_objects(document, index, (*objects[:place], *objects[place + 1 :]))
        case Order():
            index, place = _find(document, change.id)
            objects = document.pages[index].objects
            others = (*objects[:place], *objects[place + 1 :])
            return _with_objects(document, index, _put(others, objects[place], change.at))
        case InsertPage():
            page = change.page
            if len(page.objects) > MAX_OBJECTS_PER_PAGE:
                raise Refused(f"a page holds {MAX_OBJECTS_PER_PAGE} objects at most")
            _check_new(document, [page.id, *(placed.id for placed in page.objects)])
            pages = _put(document.pages, page, change.at)
            if len(pages) > MAX_PAGES:
                raise Refused(f"a document has {MAX_PAGES} pages at most")
            return replace(document, pages=pages)
        case RemovePage():
            index = _page_index(document, change.id)
            if len(document.pages) == 1:
                raise Refused("the last page stays")
            return replace(document, pages=(*document.pages[:index], *document.pages[index + 1 :]))
        case ResizePage():
            index = _page_index(document, change.id)
            page = document.pages[index]
            return _with_page(
                document, index, replace(page, width=change.width, height=change.height)
            )
        case Rename():
            return replace(document, name=change.name)
        case Data():
            return replace(document, data=change.data)


def _put(items: tuple[Any, ...], item: object, at: int | UnsetType) -> tuple[Any, ...]:
    if at is msgspec.UNSET:
        return (*items, item)
    if at > len(items):
        raise Refused(f"at: there is no place {at}; the last one is {len(items)}")
    return (*items[:at], item, *items[at:])


def _page_index(document: Document, page_id: str) -> int:
    for index, page in enumerate(document.pages):
        if page.id == page_id:
            return index
    raise Refused(f"there is no page {page_id!r} in this document")


def _find(document: Document, object_id: str) -> tuple[int, int]:
    """Return the place of an object's page, and its own on that page."""
    for index, page in enumerate(document.pages):
        for place, placed in enumerate(page.objects):
            if placed.id == object_id:
                return index, place
    raise Refused(f"there is no object {object_id!r} in this document")


def _check_new(document: Document, ids: list[str]) -> None:
    there = set(_ids(document))
    for each in ids:
        if each in there:
            raise Refused(f"there is already something called {each!r} in this document")
        there.add(each)


def _ids(document: Document) -> Iterator[str]:
    for page in document.pages:
        yield page.id
        for placed in page.objects:
            yield placed.id


def _with_objects(document: Document, index: int, objects: tuple[Placeable, ...]) -> Document:
    return _with_page(document, index, replace(document.pages[index], objects=objects))


def _with_page(document: Document, index: int, page: Page) -> Document:
    pages = (*document.pages[:index], page, *document.pages[index + 1 :])
    return replace(document, pages=pages)


def _with_properties(placed: Placeable, new: dict[str, Any]) -> Placeable:
    """Return the object with some properties set, checked like a new one."""
    if not new:
        raise Refused("set: names no property to change")
    for fixed in ("id", "kind"):
        if fixed in new:
            raise Refused(f"set.{fixed}: cannot be changed")
    changed: Placeable = convert(msgspec.to_builtins(placed) | new, type(placed))
    return changed
