"""The sessions of a tenant: found again by name and key, bounded in number, ended in time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from math import inf
from secrets import token_urlsafe
from typing import Protocol as Seam

from attrs import evolve
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from orion_twisted.core import backend_v2
from orion_twisted.core.backend_v1 import BackendV1
from orion_twisted.core.backend_v2 import BackendV2
from orion_twisted.core.budget import Budget
from orion_twisted.core.conversation import Conversation, Push
from orion_twisted.core.ledger import Entry
from orion_twisted.core.outbox import RESULT, Item
from orion_twisted.core.session import Life, Session, Terms
from orion_twisted.core.settings import Limits, Settings
from orion_twisted.service.backends import Backends, OwnLinks, SharedLinks
from orion_twisted.service.browser_end import cancel
from orion_twisted.service.line import Line
from orion_twisted.service.surroundings import Surroundings

SID_BYTES = 12
KEY_BYTES = 24
EPOCH_BYTES = 6
"""How much chance is in the names of sessions, in the keys to them, and in the name of a run of
the gateway; in base64url it is 16, 32 and 8 characters."""
UNBOUNDED = 2**62
"""Bytes, of a budget that counts something else."""


class Socket(Seam):
    """A session's browser, while it is there (`orion_twisted.service.attachment`)."""

    is_full: bool
    """Whether the socket's send buffer is full."""

    def deliver(self) -> None:
        """There may be something to write."""

    def settle(self) -> None:
        """Whether the browser is read may have changed."""

    def superseded(self) -> None:
        """Another socket has taken the session over."""

    def ended(self) -> None:
        """The session has ended."""


class LiveSession:
    """
    A session with its line, its timer, and the socket that it may have.

    Args:
        session: what decides.
        sessions: those of the tenant.
        address: where it was opened from.
    """

    line: Line | None = None
    is_ready = False
    unread: Entry | None = None

    def __init__(self, session: Session, sessions: Sessions, address: str) -> None:
        self.session = session
        self.address = address
        self._sessions = sessions
        self._clock = sessions.around.clock
        self._backends = sessions.backends
        self._socket: Socket | None = None
        self._timer: IDelayedCall | None = None
        self._timer_at = inf
        self._look: IDelayedCall | None = None
        self.had_room = False
        """Whether there was room for all when that was last looked at, so that all are read."""

    def start(self) -> None:
        """Find a line: from now on messages may go both ways."""
        self._backends.seat(self)
        self.arm()

    # The socket

    def attach(self, socket: Socket, key: str, shown: str = "", seen: int = 0) -> bool:
        """
        Take a new socket, in place of any other.

        Returns:
            Whether nothing is missing of what the browser has not seen.

        Raises:
            BadMessage: the browser claims to have seen what was never sent.
        """
        recovered = self.session.attach(key, shown, seen)
        self._sessions.attached(self)
        before, self._socket = self._socket, socket
        self.had_room = False
        if before is not None:
            before.superseded()
        return recovered

    def detach(self, socket: Socket) -> None:
        """Take note that a socket is gone; one that was superseded is nobody's any more."""
        if self._socket is not socket:
            return
        self._socket = None
        self.had_room = False
        self.session.detach(self._clock.seconds())
        self._sessions.detached(self)
        self.settle()
        self.arm()

    # From the browser

    def take(self, entry: Entry, now: float) -> None:
        """
        Take a message of the browser, and read no more where there is no room for more.

        Raises:
            BadMessage: it cannot be of this session.
        """
        session = self.session
        if session.take(entry, now, self._timer_at):
            return
        self.arm()
        if not session.has_room():
            self.had_room = False  # the link is looked at when the whole read is here
            if not session.may_read_browser:
                self.settle()

    def pump(self) -> None:
        """Send the line what waits for it."""
        line = self.line
        if line is not None and self.session.ledger.waiting:
            line.wants(self)

    # From the line

    def link_up(self) -> None:
        self.session.link_up()

    def link_lost(self) -> None:
        self.session.link_lost(self._clock.seconds())
        self.deliver()
        self.arm()

    @property
    def may_read_link(self) -> bool:
        socket = self._socket
        return self.session.may_read_link and (socket is None or not socket.is_full)

    def deliver(self) -> None:
        """Write what there is for the browser, if it is there and takes it."""
        if self._socket is not None:
            self._socket.deliver()
        else:
            self.settle()

    def settle(self) -> None:
        """Read from each side only while there is room."""
        session, socket, line = self.session, self._socket, self.line
        # Asked after each message; nearly always there is room, and was before.
        has_room = session.has_room() and (socket is None or not socket.is_full)
        if has_room and self.had_room:
            return
        self.had_room = has_room
        if line is not None:
            line.settle(self)
        if socket is not None:
            socket.settle()
        budget = self._sessions.budget
        if budget.is_full and not (
            session.may_read_browser and (session.may_read_link or not session.terms.own_link)
        ):
            budget.when_room(self._has_room)

    def settle_anew(self) -> None:
        """Look once more at who is to be read, though nothing has changed for the session."""
        self.had_room = False
        self.settle()

    def _has_room(self) -> None:
        # It is said in the midst of what some session does, perhaps this one: not to be gone into.
        if self._look is None:
            self._look = self._clock.callLater(0, self._look_again)

    def _look_again(self) -> None:
        self._look = None
        self.settle()

    # Time

    def arm(self) -> None:
        """Be woken when the session has to be."""
        at = self.session.wake_at
        if at >= self._timer_at:
            return
        self._timer_at = at
        wait = max(at - self._clock.seconds(), 0.0)
        if self._timer is None:
            self._timer = self._clock.callLater(wait, self._wake)
        else:
            self._timer.reset(wait)

    def _wake(self) -> None:
        self._timer = None
        self._timer_at = inf
        now = self._clock.seconds()
        if self.session.is_over(now):
            self.end("expired")
            return
        line = self.line
        for entry in self.session.wake(now):
            if line is not None:
                line.forget(entry)
        self.deliver()
        self.settle()
        self.arm()

    # The end

    def end(self, reason: str) -> None:
        """End the session: whatever has no outcome gets none."""
        if self.session.life is Life.ENDED:
            return
        cancel(self._timer)
        cancel(self._look)
        self._timer = self._look = None
        self._sessions.budget.forget(self._has_room)
        self._backends.leave(self)
        pending = self.session.end()
        socket, self._socket = self._socket, None
        self._sessions.ended(self, reason, pending)
        if socket is not None:
            socket.ended()


class Sessions:
    """
    The sessions of one tenant.

    Args:
        around: what they work with.
        terms: what each is allowed; those of ``orion.v1`` do not keep what was written.
        budget: what all of them may hold.
        places: how many there may be: its messages are sessions.
        most_per_address: how many may wait for a browser from one address.
        secret: gives so many bytes of chance as base64url.
        epoch: names this run of the gateway.
    """

    _log = Logger()

    def __init__(
        self,
        around: Surroundings,
        terms: Terms,
        budget: Budget,
        places: Budget,
        most_per_address: int,
        secret: Callable[[int], str],
        epoch: str,
    ) -> None:
        self.around = around
        self._traffic = around.counters.traffic
        self.terms = terms
        self.terms_v1 = evolve(terms, keeps=False)
        self.epoch = epoch
        self.backends: Backends
        self.budget = budget
        self._places = places
        self._most_per_address = most_per_address
        self._secret = secret
        self._by_sid: dict[str, LiveSession] = {}
        self._detached: dict[LiveSession, None] = {}  # those first that wait for longest
        self._waiting_from: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._by_sid)

    @property
    def waiting(self) -> int:
        """How many wait for their browser."""
        return len(self._detached)

    def new_key(self) -> str:
        """Return a key for a session."""
        return self._secret(KEY_BYTES)

    def open(self, address: str, subject: str | None, terms: Terms) -> LiveSession | None:
        """Open a session; None if there is no place for it, even by ending one that waits."""
        if self._places.is_full and self._detached:
            next(iter(self._detached)).end("evicted")
        if self._places.is_full:
            return None
        around = self.around
        sid = self._secret(SID_BYTES)
        session = Session(sid, terms, self.budget, around.clock.seconds(), subject)
        live = LiveSession(session, self, address)
        self._by_sid[sid] = live
        self._places.change(1, 0)
        around.counters.add("sessions")
        return live

    def find(self, sid: str, key: str, subject: str | None) -> LiveSession | None:
        """Return the session of this name, for whoever shows its key and is the same person."""
        live = self._by_sid.get(sid)
        if live is None:
            return None
        if not live.session.knows_key(key) or live.session.subject != subject:
            self.around.counters.add("session_keys_wrong")
            return None
        return live

    def attached(self, live: LiveSession) -> None:
        """Take note that a session has its browser."""
        if live in self._detached:
            self._forget_detached(live)

    def detached(self, live: LiveSession) -> None:
        """Take note that a session waits for its browser now."""
        self._detached[live] = None
        self._waiting_from[live.address] += 1
        if live.address and self._waiting_from[live.address] > self._most_per_address:
            next(each for each in self._detached if each.address == live.address).end("evicted")

    def _forget_detached(self, live: LiveSession) -> None:
        del self._detached[live]
        self._waiting_from[live.address] -= 1
        if not self._waiting_from[live.address]:
            del self._waiting_from[live.address]

    def ended(self, live: LiveSession, reason: str, pending: int) -> None:
        """Take note that a session has ended."""
        del self._by_sid[live.session.sid]
        if live in self._detached:
            self._forget_detached(live)
        self._places.change(-1, 0)
        self.around.counters.add("sessions_ended", reason=reason)
        self.around.counters.add("messages_undelivered", pending)

    def push(self, push: Push) -> None:
        """Give what a backend says to a session, or to all."""
        if push.to_all:
            for live in list(self._by_sid.values()):
                if live.session.life is not Life.ENDED:  # by what another one was told
                    live.session.push(push.payload, push.is_binary)
                    live.deliver()
            return
        found = self._by_sid.get(push.sid or "")
        if found is None:
            self.around.counters.add("pushes_dropped", reason="unknown_session")
        else:
            found.session.push(push.payload, push.is_binary)
            found.deliver()

    def outcome(self, item: Item) -> None:
        """Count how a message has ended."""
        if not item.is_told:  # else it is said again, on another socket
            item.is_told = True
            if item.kind is RESULT:
                self._traffic.results += 1
            else:
                self.around.counters.add("outcomes", reason=item.code.upper())

    def stop(self) -> None:
        """End all sessions, and the links."""
        for live in list(self._by_sid.values()):
            live.end("stopped")
        self.backends.stop()


def sessions_of(settings: Settings, around: Iterable[Surroundings]) -> dict[str, Sessions]:
    """Return the sessions of each tenant in session mode, by its name; nothing is dialled yet."""
    limits = settings.limits
    those = [each for each in around if each.tenant.mode == "session"]
    # One alone holds what the node holds: to count that twice would be felt in each message.
    node = Budget(limits.held, limits.memory) if len(those) > 1 else None
    places = Budget(limits.sessions, UNBOUNDED)
    epoch = token_urlsafe(EPOCH_BYTES)
    return {each.tenant.name: _sessions(limits, each, node, places, epoch) for each in those}


def _sessions(
    limits: Limits, around: Surroundings, node: Budget | None, places: Budget, epoch: str
) -> Sessions:
    tenant = around.tenant
    own = tenant.limits
    held = min(own.held or limits.held, limits.held)
    memory = min(own.memory or limits.memory, limits.memory)
    terms = Terms(
        ttl=tenant.session.ttl,
        window=tenant.session.window,
        window_bytes=tenant.session.window_bytes,
        deadline=tenant.session.deadline,
        grace=tenant.link_grace,
        first_grace=tenant.dial_timeout,
        max_message=around.max_message,
        own_link=not tenant.shares_links,
        keeps=True,
    )
    sessions = Sessions(
        around,
        terms,
        Budget(held, memory, node),
        Budget(own.sessions or limits.sessions, UNBOUNDED, places),
        limits.connections_per_ip,
        token_urlsafe,
        epoch,
    )
    converse: Callable[[], Conversation]
    if tenant.dialect == backend_v2.NAME:
        converse = partial(BackendV2, tenant.name)
    else:
        converse = partial(BackendV1, tenant.shares_links)
    if tenant.shares_links:
        sessions.backends = SharedLinks(around, converse, sessions.push, tenant.links)
    else:
        sessions.backends = OwnLinks(around, converse, sessions.push)
    return sessions
