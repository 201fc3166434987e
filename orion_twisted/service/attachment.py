"""A browser's socket in session mode: it speaks a dialect, and has a session for a while."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall

from orion_twisted.core import browser_v1, browser_v2
from orion_twisted.core.bearer import Identity, TokenRefused
from orion_twisted.core.browser_v1 import NEW, REUSED
from orion_twisted.core.browser_v2 import MAX_TTL, Header
from orion_twisted.core.errors import BadMessage, CloseCode, Outcome
from orion_twisted.core.ledger import Entry
from orion_twisted.core.outbox import RESULT, Item, failure
from orion_twisted.core.session import Session
from orion_twisted.net.hotpath import HotBrowserProtocol
from orion_twisted.net.pump import READS_BEFORE_PUMPS, Tap, tap_browser
from orion_twisted.service.browser_end import BrowserEnd, cancel
from orion_twisted.service.line import AT_ONCE
from orion_twisted.service.sessions import LiveSession, Sessions

FORCED = 0.8
"""Part of the time for draining after which a browser is closed that still waits for outcomes."""

CheckToken = Callable[[str], Identity]


class Attachment(BrowserEnd):
    """
    One socket of a session.

    Args:
        sessions: those of the tenant.
        peer: the browser's address.
        ended: called once, when the socket is gone.
        identity: who a token has said that this is, if one came with the handshake.
    """

    def __init__(
        self,
        sessions: Sessions,
        peer: str,
        ended: Callable[[BrowserEnd], None],
        identity: Identity | None = None,
    ) -> None:
        super().__init__(sessions.around, peer, ended)
        self.is_full = False
        self._sessions = sessions
        self._identity = identity
        self._live: LiveSession | None = None
        self._draining: IDelayedCall | None = None
        self._tap: Tap | None = None
        self._reads_left = READS_BEFORE_PUMPS if sessions.around.has_pumps else 0

    def dial(self) -> Deferred[None]:
        """Let the browser in at once: its messages can wait for the backend, up to their time."""
        return succeed(None)

    @abstractmethod
    def _write(self, session: Session, item: Item) -> bytes | None:
        """Return the message that says an item, if the dialect says it."""

    def deliver(self) -> None:
        """Write what there is, for as long as the socket takes it."""
        live = self._live
        if live is None or self._closing:
            return
        session = live.session
        asides, unwritten = session.asides, session.outbox.unwritten
        while (unwritten or asides) and not self.is_full:
            self._write_some(session)
            if self._closing:
                return
        if not session.terms.own_link and session.outbox.is_clogged():
            self.close(CloseCode.SLOW_CONSUMER, "SLOW_CONSUMER")
            return
        if self._draining is not None and session.outbox.is_written and not session.ledger.pending:
            self._drained()
            return
        if self.is_full or not (live.had_room and session.has_room()):
            live.settle()
        if session.owes_ack and not self.is_full:
            self._tell_ack(session)

    def _write_some(self, session: Session) -> None:
        """Write what there is, or as much as goes in one piece."""
        messages: list[tuple[bytes, bool]] = []
        size = 0
        asides, unwritten = session.asides, session.outbox.unwritten
        while size < AT_ONCE and (unwritten or asides):
            item = session.next_for_browser()
            assert item is not None
            message = self._write(session, item)
            if item.kind is RESULT and not item.is_told:
                item.is_told = True
                self._traffic.results += 1
            elif item.s and item.entry is not None:
                self._sessions.outcome(item)
            if message is not None:
                messages.append((message, item.is_binary))
                size += len(message)
        if len(messages) == 1:
            self._send(*messages[0])
        elif messages:
            self._send_all(messages)

    def _tell_ack(self, session: Session) -> None:
        """Tell the browser that its messages are here, if that is due and no frame has."""

    def settle(self) -> None:
        live = self._live
        if live is None:
            self._read_browser(not self.is_full)
            return
        session = live.session
        # Who does not read its answers does not ask for more.
        welcome = session.may_read_browser and not self.is_full
        self._read_browser(welcome)

    def browser_rests(self) -> None:
        if self._reads_left:
            self._reads_left -= 1
            if not self._reads_left:
                self._be_tapped()
        live = self._live
        if live is not None:
            line, session = live.line, live.session
            if line is not None and session.ledger.waiting:
                line.wants(live)
            if session.has_news():
                self.deliver()
            elif not live.had_room:
                live.settle()  # there may be some now, by what the browser has acknowledged

    def _be_tapped(self) -> None:
        """Have the socket's messages read and written in one call each, where they can be."""
        browser, codec = self._browser, self._around.codec
        if isinstance(browser, HotBrowserProtocol) and codec is not None and not self._closing:
            self._tap = tap_browser(browser, codec)

    def _settle(self) -> None:
        if self._live is not None:
            self._live.settle_anew()
        else:
            self.settle()

    def browser_full(self, full: bool) -> None:
        self.is_full = full
        super().browser_full(full)
        if not full:
            self.deliver()

    # The end

    def close(self, code: CloseCode, reason: str) -> None:
        if self._closing:
            return
        if self._browser is None:
            self._stop()
            self._finish()
        else:
            self._close_browser(code, reason)

    def superseded(self) -> None:
        """Another socket has taken the session over."""
        self._live = None
        self.close(CloseCode.SUPERSEDED, "SUPERSEDED")

    def ended(self) -> None:
        """The session has ended under the socket: the gateway stops, or the browser said bye."""
        self._live = None
        self.close(CloseCode.GOING_AWAY, "draining")

    def drain(self, within: float) -> None:
        if self._closing or self._draining is not None:
            return
        self._draining = self._clock.callLater(within * FORCED, self._drained)
        self.deliver()

    def _drained(self) -> None:
        self.close(CloseCode.GOING_AWAY, "draining")

    def _let_go(self) -> None:
        tap, self._tap = self._tap, None
        if tap is not None:
            tap.part()
        cancel(self._draining)
        self._draining = None
        live, self._live = self._live, None
        if live is not None:
            live.pump()  # what came in the same read as the end counts, too
            self._part(live)

    @abstractmethod
    def _part(self, live: LiveSession) -> None:
        """Give the session back: the socket is gone, or about to go."""


class AttachmentV1(Attachment):
    """A browser that speaks ``orion.v1``: its session is as long as its socket."""

    def __init__(
        self,
        sessions: Sessions,
        peer: str,
        ended: Callable[[BrowserEnd], None],
        identity: Identity | None = None,
    ) -> None:
        super().__init__(sessions, peer, ended, identity)
        self._numbers = browser_v1.Numbers()

    def _opened(self) -> None:
        subject = None if self._identity is None else self._identity.subject
        live = self._sessions.open(self._peer, subject, self._sessions.terms_v1)
        if live is None:
            self.close(CloseCode.OVER_BUDGET, "OVER_BUDGET")
            return
        self._live = live
        live.attach(self, "")
        live.start()

    def _from_browser(self, payload: bytes, is_binary: bool) -> None:
        live = self._live
        if live is None:
            return
        session = live.session
        own_id = browser_v1.read(payload, is_binary)
        now = self._clock.seconds()
        if own_id is None:
            session.aside(browser_v1.no_number())
            return
        entry = Entry(
            session.ledger.highest + 1,
            payload,
            len(payload),
            hash(payload),
            False,
            wants_result=True,
            is_safe=False,
            deadline=now + session.terms.deadline,
            own_id=own_id,
        )
        repeat = self._numbers.take(entry)
        if repeat is NEW:
            live.take(entry, now)
        elif repeat is REUSED:
            session.aside(failure(entry, Outcome.REUSED_ID))

    def _write(self, session: Session, item: Item) -> bytes | None:
        if item.s and item.entry is not None:
            self._numbers.answered(item.entry)
        return browser_v1.write(item)

    def _part(self, live: LiveSession) -> None:
        live.end("closed")


class AttachmentV2(Attachment):
    """
    A browser that speaks ``orion.v2``: it says hello, and its session outlives the socket.

    Args:
        check_token: verifies a token that comes in ``hello``; None where the tenant has none.
        needs_token: whether one has to come there.
    """

    def __init__(
        self,
        sessions: Sessions,
        peer: str,
        ended: Callable[[BrowserEnd], None],
        identity: Identity | None = None,
        check_token: CheckToken | None = None,
        needs_token: bool = False,
    ) -> None:
        super().__init__(sessions, peer, ended, identity)
        self._check_token = check_token
        self._needs_token = needs_token
        self._hello_timer: IDelayedCall | None = None
        self._is_heard = False

    def _opened(self) -> None:
        self._hello_timer = self._clock.callLater(self._around.hello_time, self._no_hello)

    def _no_hello(self) -> None:
        self.close(CloseCode.TOO_SLOW, "TOO_SLOW")

    def _from_browser(self, payload: bytes, is_binary: bool) -> None:
        header, body = browser_v2.read(payload)
        live = self._live
        if live is None:
            self._hello(header)
            return
        session = live.session
        if not self._is_heard:
            self._is_heard = True
            session.heard()
        if header.ack is not None:
            session.acknowledge(header.ack)
        kind = header.type
        if kind == "request" or kind == "notify":
            now = self._clock.seconds()
            ttl = header.ttl
            entry = Entry(
                header.n,
                body,
                len(body),
                hash(body),
                is_binary,
                wants_result=kind == "request",
                is_safe=header.repeat == "safe",
                deadline=now
                + (session.terms.deadline if ttl is None else min(ttl, MAX_TTL) / 1000.0),
            )
            live.take(entry, now)
        elif kind == "bye":
            live.pump()  # what came before it, perhaps in the same read, is not taken back
            self._live = None
            self.close(CloseCode.NORMAL, "bye")
            live.end("bye")
            return
        elif kind == "hello":
            raise BadMessage("a second hello")

    def _hello(self, header: Header) -> None:
        if header.type != "hello":
            raise BadMessage(f"{header.type} before hello")
        cancel(self._hello_timer)
        if not self._is_allowed(header):
            return
        sessions = self._sessions
        subject = None if self._identity is None else self._identity.subject
        live = sessions.find(header.sid, header.key, subject) if header.sid else None
        key = sessions.new_key()
        is_new = live is None
        if live is None:
            live = sessions.open(self._peer, subject, sessions.terms)
            if live is None:
                self.close(CloseCode.OVER_BUDGET, "OVER_BUDGET")
                return
            live.attach(self, key)
            recovered = False
        else:
            recovered = live.attach(self, key, header.key, header.seen)
            self._counters.add("resumes", reason="whole" if recovered else "lossy")
        self._live = live
        session = live.session
        terms = session.terms
        welcome = browser_v2.welcome(
            sid=session.sid,
            key=key,
            epoch=sessions.epoch,
            recovered=recovered,
            lost=session.outbox.lost,
            ack=session.ledger.highest,
            ttl=terms.ttl,
            window=terms.window,
            window_bytes=terms.window_bytes,
            max_message=terms.max_message,
        )
        self._send(welcome, False)
        if is_new:
            live.start()
        live.arm()
        self.deliver()

    def _is_allowed(self, header: Header) -> bool:
        """Verify the token in a hello, if one has to be there, or is."""
        if self._check_token is None or self._identity is not None:
            return True
        if header.token is None:
            reason = "token_missing" if self._needs_token else None
        else:
            try:
                self._identity = self._check_token(header.token)
                reason = None
            except TokenRefused as error:
                reason = error.reason
        if reason is None:
            return True
        self._counters.add("refused", reason=reason)
        self._log.warn(
            "refusing {peer} of {tenant}: {reason}",
            peer=self._peer,
            tenant=self.tenant,
            reason=reason,
        )
        self.close(CloseCode.UNAUTHORIZED, "UNAUTHORIZED")
        return False

    def _write(self, session: Session, item: Item) -> bytes | None:
        return browser_v2.write(item, session.ack_to_tell())

    def _tell_ack(self, session: Session) -> None:
        if session.is_ack_due(self._clock.seconds()):
            ack = session.ack_to_tell()
            if ack:
                self._send(browser_v2.write_ack(ack), False)

    def drain(self, within: float) -> None:
        if not self._closing and self._draining is None and self._live is not None:
            self._send(browser_v2.drain(self._around.return_within(within)), False)
        super().drain(within)

    def _let_go(self) -> None:
        cancel(self._hello_timer)
        super()._let_go()

    def _part(self, live: LiveSession) -> None:
        live.detach(self)
