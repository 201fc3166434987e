"""
The commands of the engine: for each its fields, and one function that carries it out.

A command's function gets the desk, the session that asks and the checked fields, and returns an
answer. What cannot be done it raises as an EngineError. docs/engine.md has what each one means.
"""

from collections.abc import Callable

import msgspec
from attrs import frozen
from msgspec import Struct
from twisted.internet.defer import Deferred

from orion_twisted import __version__
from orion_twisted.demo import assets, documents, live, printing, prints, store
from orion_twisted.demo.changes import MAX_CHANGES
from orion_twisted.demo.documents import CommandRefused, Document, Page
from orion_twisted.demo.fields import (
    Apply,
    New,
    NoFields,
    OfAsset,
    OfDocument,
    Open,
    Pdf,
    PdfPart,
    Render,
    Sync,
    Upload,
)
from orion_twisted.demo.live import Live, LiveDocuments, Session
from orion_twisted.demo.prints import PART, Prints
from orion_twisted.demo.render import MAX_COMMANDS, render
from orion_twisted.demo.words import near

MAX_PAYLOAD = 1024 * 1024
"""Bytes of a request, or of an answer, without what its dialect puts around it."""


@frozen
class Desk:
    """What the commands work on."""

    documents: LiveDocuments
    prints: Prints


@frozen
class Answer:
    """
    What a command returns.

    Attributes:
        fields: of the ApiResult, ``message`` among them, and without ``success``.
        body: bytes that follow it, if there are any.
        is_done: whether the command was carried out.
    """

    fields: dict[str, object]
    body: bytes | None = None
    is_done: bool = True


def _hello(desk: Desk, session: Session, fields: NoFields) -> Answer:
    return Answer(
        {
            "message": f"Orion demo engine {__version__}",
            "version": __version__,
            "commands": sorted(COMMANDS),
            "limits": {
                "payload": MAX_PAYLOAD,
                "documents": documents.MAX_DOCUMENTS,
                "document": documents.MAX_DOCUMENT,
                "pages": documents.MAX_PAGES,
                "objects_per_page": documents.MAX_OBJECTS_PER_PAGE,
                "text": documents.MAX_TEXT,
                "code_text": documents.MAX_CODE_TEXT,
                "columns": documents.MAX_COLUMNS,
                "rows": documents.MAX_ROWS,
                "cell": documents.MAX_CELL,
                "changes": MAX_CHANGES,
                "edit": live.MAX_EDIT,
                "edits_kept": store.KEPT_ROWS,
                "clients": store.MAX_CLIENTS,
                "people": live.MAX_PEOPLE,
                "open": live.MAX_OPEN,
                "asset": assets.MAX_ASSET,
                "assets": assets.MAX_ASSETS,
                "pixels": assets.MAX_PIXELS,
                "drawing_commands": MAX_COMMANDS,
                "sheets": printing.MAX_SHEETS,
                "pdf": prints.MAX_PDF,
                "pdf_part": PART,
                "pdf_age": prints.MAX_AGE,
            },
        }
    )


def _documents(desk: Desk, session: Session, fields: NoFields) -> Answer:
    found = desk.documents.store.documents()
    return Answer(
        {
            "message": f"{len(found)} of at most {documents.MAX_DOCUMENTS} documents",
            "documents": msgspec.to_builtins(found),
        }
    )


def _new(desk: Desk, session: Session, fields: New) -> Answer:
    page = Page("p1", fields.width, fields.height)
    document_id = desk.documents.store.create(Document(fields.name, (page,)), fields.key)
    return Answer({"message": f"document {document_id} made", "document": document_id})


def _open(desk: Desk, session: Session, fields: Open) -> Answer:
    found = desk.documents.get(fields.document)
    desk.documents.join(found, session)
    return Answer(
        {
            "message": f"{found.document.name} opened",
            "document": {"id": found.id, **msgspec.to_builtins(found.document)},
            **_standing(desk, found, fields.client),
        }
    )


def _close(desk: Desk, session: Session, fields: OfDocument) -> Answer:
    desk.documents.leave(fields.document, session)
    return Answer({"message": f"document {fields.document} closed"})


def _sync(desk: Desk, session: Session, fields: Sync) -> Answer:
    found = desk.documents.get(fields.document)
    desk.documents.join(found, session)
    edits = desk.documents.edits_after(found, fields.seq)
    missed: dict[str, object]
    if edits is None:
        missed = {"message": "load the document anew", "reload": True}
    else:
        missed = {"message": f"{len(edits)} edits", "edits": edits}
    return Answer({**missed, **_standing(desk, found, fields.client)})


def _apply(desk: Desk, session: Session, fields: Apply) -> Answer:
    found = desk.documents.get(fields.document)
    why = desk.documents.apply(found, session, fields.client, fields.edit, fields.changes)
    applied = desk.documents.store.applied(found.id, fields.client)
    return Answer(
        {
            "message": why or f"edit {fields.edit} done",
            "seq": found.seq,
            "applied": applied,
        },
        is_done=not why,
    )


def _save(desk: Desk, session: Session, fields: OfDocument) -> Answer:
    found = desk.documents.get(fields.document)
    desk.documents.save(found)
    return Answer(
        {
            "message": f"{found.document.name} saved as revision {found.revision}",
            "revision": found.revision,
            "seq": found.seq,
        }
    )


def _delete(desk: Desk, session: Session, fields: OfDocument) -> Answer:
    desk.documents.delete(fields.document)
    return Answer({"message": f"document {fields.document} deleted"})


def _render(desk: Desk, session: Session, fields: Render) -> Answer:
    found = desk.documents.get(fields.document)
    page = found.document.page(fields.page)
    row = found.document.row(fields.row)
    drawing = render(page, row, assets.assets(desk.documents.store, found.id))
    answer: dict[str, object] = {
        "message": f"page {page.id}: {len(drawing.commands)} drawing commands",
        "page": page.id,
        "seq": found.seq,
        "width": page.width,
        "height": page.height,
        "commands": drawing.commands,
        "boxes": drawing.boxes,
        "complete": drawing.complete,
    }
    return Answer(answer if fields.row is None else {**answer, "row": fields.row})


def _upload(desk: Desk, session: Session, fields: Upload, body: bytes) -> Answer:
    found = desk.documents.get(fields.document)
    asset = assets.upload(desk.documents.store, found.id, found.document, fields.type, body)
    return Answer(
        {
            "message": f"image of {asset.width} x {asset.height} pixels",
            "asset": asset.id,
            "width": asset.width,
            "height": asset.height,
        }
    )


def _asset(desk: Desk, session: Session, fields: OfAsset) -> Answer:
    kind, content = assets.content(desk.documents.store, fields.document, fields.asset)
    return Answer({"message": f"{len(content)} bytes", "type": kind}, content)


def _pdf(desk: Desk, session: Session, fields: Pdf) -> Deferred[Answer]:
    found = desk.documents.get(fields.document)
    job = printing.job(found.document, fields.rows)
    images = assets.assets(desk.documents.store, found.id)
    contents = {
        asset: assets.content(desk.documents.store, found.id, asset)[1] for asset in images
    }
    name = f"{found.document.name}.pdf"

    def done(kept: tuple[str, int, int]) -> Answer:
        pdf, size, parts = kept
        fields: dict[str, object] = {"pdf": pdf, "bytes": size, "parts": parts, "name": name}
        return Answer({"message": f"{name}: {size} bytes", **fields})

    return desk.prints.make(job, images, contents).addCallback(done)


def _pdf_part(desk: Desk, session: Session, fields: PdfPart) -> Answer:
    part = desk.prints.part(fields.pdf, fields.part)
    return Answer({"message": f"{len(part)} bytes"}, part)


def _standing(desk: Desk, found: Live, client: str | None) -> dict[str, object]:
    """Return how far a document is, and its edits of a client."""
    applied = 0 if client is None else desk.documents.store.applied(found.id, client)
    return {
        "seq": found.seq,
        "applied": applied,
        "revision": found.revision,
        "unsaved": found.unsaved,
        "people": len(found.people),
    }


@frozen
class Command:
    """
    A command.

    Attributes:
        kind: its fields.
        carry_out: called with the desk, the session, the fields and, if it takes any, the bytes.
        takes_bytes: whether bytes follow its fields.
        gives_bytes: whether bytes follow its answer.
    """

    kind: type[Struct]
    carry_out: Callable[..., Answer | Deferred[Answer]]
    takes_bytes: bool = False
    gives_bytes: bool = False


COMMANDS: dict[str, Command] = {
    "hello": Command(NoFields, _hello),
    "documents": Command(NoFields, _documents),
    "new": Command(New, _new),
    "open": Command(Open, _open),
    "close": Command(OfDocument, _close),
    "sync": Command(Sync, _sync),
    "apply": Command(Apply, _apply),
    "save": Command(OfDocument, _save),
    "delete": Command(OfDocument, _delete),
    "render": Command(Render, _render),
    "upload": Command(Upload, _upload, takes_bytes=True),
    "asset": Command(OfAsset, _asset, gives_bytes=True),
    "pdf": Command(Pdf, _pdf),
    "pdf_part": Command(PdfPart, _pdf_part, gives_bytes=True),
}


def carry_out(
    desk: Desk, session: Session, message: object, body: bytes | None
) -> Answer | Deferred[Answer]:
    """
    Carry out one request.

    Args:
        desk: what it works on.
        session: who asks.
        message: the request as decoded JSON; members that begin with ``@`` are passed over.
        body: the bytes that follow it; None if there are none.

    Returns:
        Its answer; or, where that takes a thread, a Deferred that fires with it, or fails with an
        EngineError.

    Raises:
        EngineError: it cannot be done. Never anything else for bad input.
    """
    if not isinstance(message, dict):
        raise CommandRefused("a message must be a JSON object")
    name = message.get("cmd")
    if not isinstance(name, str):
        raise CommandRefused('"cmd" must be the name of a command, as in "cmd": "hello"')
    if name not in COMMANDS:
        raise CommandRefused(near(f"unknown command {name[:40]!r}", name, COMMANDS))
    command = COMMANDS[name]
    given = {
        key: value
        for key, value in message.items()
        if not (isinstance(key, str) and (key == "cmd" or key.startswith("@")))
    }
    for field in given:
        if field not in command.kind.__struct_fields__:
            complaint = f"{name} has no field {str(field)[:40]!r}"
            raise CommandRefused(near(complaint, str(field), command.kind.__struct_fields__))
    fields = documents.convert(given, command.kind)
    if (body is not None) != command.takes_bytes:
        raise CommandRefused(
            f"{name} wants bytes after it, in a binary message"
            if command.takes_bytes
            else f"{name} takes no bytes"
        )
    if command.takes_bytes:
        return command.carry_out(desk, session, fields, body)
    return command.carry_out(desk, session, fields)
