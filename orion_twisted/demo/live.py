"""
Documents in use: who has which one open, edits in their order, and what everybody is told.

An edit is done once, and in its turn: the store keeps, in the transaction of the edit itself, how
far each client is. Nobody is told of anything that has not been written.
"""

from collections import OrderedDict
from typing import Any, Protocol

import msgspec
from attrs import define, field, frozen
from twisted.logger import Logger

from orion_twisted.demo.changes import Refused, apply_changes
from orion_twisted.demo.documents import CommandRefused, Document, StoreFailed
from orion_twisted.demo.store import FOLD_BYTES, FOLD_ROWS, Edit, Store
from orion_twisted.demo.words import sayable

MAX_EDIT = 768 * 1024
"""Bytes of an edit's changes as JSON: the event that tells of them has to fit into a frame."""
MAX_SYNC = 768 * 1024
"""Bytes of edits in one answer to `sync`; whoever is further behind loads the document anew."""
MAX_PEOPLE = 200
"""Sessions that have one document open."""
MAX_OPEN = 50
"""Documents that one session has open."""
MAX_LOADED = 20
"""Documents kept in memory, beside those that somebody has open."""

_encode = msgspec.json.encode


class Link(Protocol):
    """A connection to the engine, as seen from here."""

    def push(self, sid: str, event: bytes) -> None:
        """Tell one of its sessions of an event, or drop that if it reads too slowly."""
        ...


@frozen
class Session:
    """Somebody at the other end: a browser's session, or a link that is nobody else's."""

    link: Link
    sid: str


@define(eq=False)
class Live:
    """
    A document in memory.

    Attributes:
        people: the sessions that have it open, in the order in which they came.
        since_fold: rows and bytes of the journal since its snapshot.
    """

    id: int
    document: Document
    seq: int
    revision: int
    saved_seq: int
    since_fold: tuple[int, int]
    people: dict[Session, None] = field(factory=dict)

    @property
    def unsaved(self) -> bool:
        """Whether there are edits since the last save."""
        return self.seq != self.saved_seq

    def tell(self, event: dict[str, object], *others: Session) -> None:
        """Tell everybody who has the document open, and some more, of an event."""
        said = _encode(event)
        for session in {**self.people, **dict.fromkeys(others)}:
            session.link.push(session.sid, said)


class LiveDocuments:
    """
    All documents of a store, in memory as far as they are in use.

    Args:
        store: where they are kept; nobody else changes it.
    """

    _log = Logger()

    def __init__(self, store: Store) -> None:
        self.store = store
        self._loaded: OrderedDict[int, Live] = OrderedDict()  # the last used last
        self._open: dict[Link, dict[str, set[int]]] = {}

    def get(self, document_id: int) -> Live:
        """Return a document, or raise UnknownDocument or StoreFailed."""
        live = self._loaded.get(document_id)
        if live is None:
            stored = self.store.load(document_id)
            live = Live(
                stored.id,
                stored.document,
                stored.seq,
                stored.revision,
                stored.saved_seq,
                stored.since_fold,
            )
            self._loaded[document_id] = live
            self._shrink(live)
        self._loaded.move_to_end(document_id)
        return live

    def _shrink(self, keep: Live | None = None) -> None:
        idle = [each for each in self._loaded.values() if not each.people and each is not keep]
        for live in idle[: max(0, len(idle) - MAX_LOADED)]:
            del self._loaded[live.id]

    def join(self, live: Live, session: Session) -> None:
        """Have a session told of a document's changes, or raise CommandRefused."""
        if session in live.people:
            return
        if len(live.people) >= MAX_PEOPLE:
            raise CommandRefused(f"{MAX_PEOPLE} people have this document open: no more can")
        opened = self._open.get(session.link, {}).get(session.sid, set())
        if len(opened) >= MAX_OPEN:
            raise CommandRefused(f"{MAX_OPEN} documents are open already: close one")
        self._tell_people(live, len(live.people) + 1)  # whoever comes has it in the answer
        live.people[session] = None
        self._open.setdefault(session.link, {}).setdefault(session.sid, set()).add(live.id)

    def leave(self, document_id: int, session: Session) -> None:
        """Have a session told no more of a document, if it was."""
        live = self._loaded.get(document_id)
        if live is None or session not in live.people:
            return
        self._forget(live, session)
        self._tell_people(live, len(live.people))
        self._shrink()

    def _forget(self, live: Live, session: Session) -> None:
        del live.people[session]
        sessions = self._open[session.link]
        sessions[session.sid].discard(live.id)
        if not sessions[session.sid]:
            del sessions[session.sid]
        if not sessions:
            del self._open[session.link]

    def _tell_people(self, live: Live, people: int) -> None:
        live.tell({"event": "people", "document": live.id, "people": people})

    def gone(self, session: Session) -> None:
        """A session has ended, or goes on elsewhere."""
        for document_id in sorted(self._open.get(session.link, {}).get(session.sid, ())):
            self.leave(document_id, session)

    def lost(self, link: Link) -> None:
        """A link is lost, with all the sessions on it."""
        gone = [Session(link, sid) for sid in self._open.get(link, {})]
        left = [self._loaded[each] for each in self.opened_on(link)]
        for live in left:
            for session in gone:
                if session in live.people:
                    self._forget(live, session)
        for live in left:  # once for each, however many have gone
            self._tell_people(live, len(live.people))
        self._shrink()

    def opened_on(self, link: Link) -> list[int]:
        """Return the ids of the documents that sessions of a link have open."""
        return sorted(set().union(*self._open.get(link, {}).values()))

    def sessions_on(self, link: Link) -> list[str]:
        """Return the sids of a link's sessions that have something open."""
        return list(self._open.get(link, {}))

    def apply(self, live: Live, session: Session, client: str, edit: int, changes: Any) -> str:
        """
        Do a client's edit if it is the next one, and tell of it.

        Returns:
            Why it was not done; "" if it has been, now or before.
        """
        applied = self.store.applied(live.id, client)
        if edit != applied + 1:
            at: dict[str, object] = {"event": "at", "document": live.id, "client": client}
            session.link.push(session.sid, _encode({**at, "applied": applied, "seq": live.seq}))
            if edit <= applied:
                return ""
            return f"edit {edit} is too far ahead: {applied + 1} is the next one"
        mark = {"document": live.id, "client": client, "edit": edit}
        try:
            encoded = _encode(changes)
            if len(encoded) > MAX_EDIT:
                raise Refused(f"the edit takes {len(encoded)} bytes; {MAX_EDIT} are the most")
            after = apply_changes(live.document, changes)
        except (Refused, RecursionError) as error:
            self.store.use_up(live.id, client, edit)
            message = sayable(str(error))
            session.link.push(
                session.sid, _encode({"event": "refused", **mark, "message": message})
            )
            return message
        done = Edit(live.seq + 1, client, edit, encoded)
        self.store.append(live.id, done, after)
        live.document, live.seq = after, done.seq
        live.tell(applied_event(live.id, done), session)
        rows, size = live.since_fold
        live.since_fold = rows + 1, size + len(encoded)
        if live.since_fold[0] >= FOLD_ROWS or live.since_fold[1] >= FOLD_BYTES:
            self._fold(live)
        return ""

    def _fold(self, live: Live) -> None:
        try:
            self.store.fold(live.id, live.seq, live.document)
        except StoreFailed as error:  # the edit itself is kept; the next one tries again
            self._log.error("no snapshot of {document}: {error}", document=live.id, error=error)
            return
        live.since_fold = 0, 0

    def edits_after(self, live: Live, seq: int) -> list[dict[str, object]] | None:
        """Return the events `applied` after ``seq``; None if they are not kept, or too many."""
        edits = self.store.edits_after(live.id, seq, live.seq)
        if edits is None or sum(len(each.changes) + 200 for each in edits) > MAX_SYNC:
            return None
        return [applied_event(live.id, each) for each in edits]

    def save(self, live: Live) -> None:
        """Mark a document as saved, and tell of it; nothing if there is no edit since."""
        if not live.unsaved:
            return
        live.revision = self.store.save(live.id, live.seq)
        live.saved_seq = live.seq
        live.tell(
            {"event": "saved", "document": live.id, "revision": live.revision, "seq": live.seq}
        )

    def delete(self, document_id: int) -> None:
        """Forget a document, if it is there, and tell whoever has it open."""
        self.store.delete(document_id)
        live = self._loaded.pop(document_id, None)
        if live is None:
            return
        live.tell({"event": "deleted", "document": document_id})
        for session in list(live.people):
            self._forget(live, session)


def applied_event(document_id: int, edit: Edit) -> dict[str, object]:
    """Return what is told of an edit that has been done."""
    return {
        "event": "applied",
        "document": document_id,
        "seq": edit.seq,
        "client": edit.client,
        "edit": edit.edit,
        "changes": msgspec.Raw(edit.changes),
    }
