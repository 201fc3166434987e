"""
What a link speaks: ``orion.v1`` or ``orion.v2`` of docs/wire.md, from the backend's side. No I/O.

Requests are carried out in the order in which they come and answered in that order, all but `pdf`,
whose answer comes when it is printed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Annotated, Literal, Protocol

import msgspec
from msgspec import Meta
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from orion_twisted.core.backend_v2 import MAX_HEADER
from orion_twisted.core.errors import BackendError
from orion_twisted.core.members import MAX_NUMBER, Text
from orion_twisted.demo.commands import COMMANDS, MAX_PAYLOAD, Answer, Desk, carry_out
from orion_twisted.demo.documents import CommandRefused, EngineError
from orion_twisted.demo.live import Link, Session
from orion_twisted.demo.words import sayable

MAX_FRAME = MAX_PAYLOAD + MAX_HEADER
"""Bytes of one frame, either way."""
MAX_SILENCE = 60.0
"""Seconds after which a session on a link that others share is taken for gone, in orion.v1."""

Number = Annotated[int, Meta(ge=0, le=MAX_NUMBER)]
_encode = msgspec.json.encode
_UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)
_SESSION = Text("@SESSION")


class Speaker(Link, Protocol):
    """A link that frames are sent on."""

    def send(self, payload: bytes) -> None:
        """Send one frame, unless the link is lost."""
        ...


class Dialect(ABC):
    """
    One link's talk.

    Args:
        desk: what requests work on.
        link: where answers go.
    """

    _log = Logger()

    def __init__(self, desk: Desk, link: Speaker) -> None:
        self._desk = desk
        self._link = link

    @abstractmethod
    def receive(self, payload: bytes, now: float) -> None:
        """
        Do what a frame says; its answer, if it wants one, is sent now or later.

        Raises:
            BackendError: it breaks the contract, and the link with it.
        """

    @abstractmethod
    def event(self, sid: str, event: bytes) -> bytes:
        """Return the frame that tells a session of an event."""

    @abstractmethod
    def forget_silent(self, now: float) -> None:
        """Let go of sessions that have said nothing for MAX_SILENCE, if nobody else tells."""

    def _carry_out(
        self,
        session: Session,
        message: object,
        body: bytes | None,
        reply: Callable[[Answer], None],
    ) -> None:
        try:
            answer = carry_out(self._desk, session, message, body)
        except EngineError as error:
            reply(_refused(error))
            return
        except Exception as bug:  # others share the link: it costs this request, and no more
            self._log.failure("bug in {command}", command=_name_of(message))
            reply(_refused(bug))
            return
        if isinstance(answer, Answer):
            reply(answer)
        else:
            _reply_later(answer, reply, self._log)


def _name_of(message: object) -> str:
    return str(message.get("cmd"))[:40] if isinstance(message, dict) else "nothing"


def _reply_later(answer: Deferred[Answer], reply: Callable[[Answer], None], log: Logger) -> None:
    def failed(reason: Failure) -> Answer:
        if not isinstance(reason.value, EngineError):
            log.failure("bug in the printing thread", reason)
        return _refused(reason.value)

    answer.addErrback(failed).addCallback(reply)


def _refused(error: BaseException | None) -> Answer:
    message = str(error) if isinstance(error, EngineError) else "a bug in the engine"
    return Answer({"message": sayable(message)}, is_done=False)


def _result(answer: Answer, **more: object) -> bytes:
    """Return an answer's ApiResult as JSON; one that would be too large is a refusal."""
    encoded = _encode({**more, "success": answer.is_done, **answer.fields})
    if len(encoded) + len(answer.body or b"") > MAX_PAYLOAD:
        message = f"the answer would take {len(encoded)} bytes; {MAX_PAYLOAD} are the most"
        encoded = _encode({**more, "success": False, "message": message})
    return encoded


class _Header(msgspec.Struct, gc=False):
    type: Literal["open", "request", "notify", "gone", "ping"]
    id: Number = 0
    sid: str = ""
    bin: bool = False


_decode_header = msgspec.json.Decoder(_Header).decode


class V2(Dialect):
    """A header line, and the payload: text, or JSON and bytes with a line feed between them."""

    def receive(self, payload: bytes, now: float) -> None:
        end = payload.find(b"\n", 0, MAX_HEADER + 1)
        if end < 0 and len(payload) > MAX_HEADER:
            raise BackendError(f"a header of more than {MAX_HEADER} bytes")
        try:
            header = _decode_header(payload if end < 0 else payload[:end])
        except _UNREADABLE as error:
            raise BackendError(f"a header that cannot be read: {error}") from None
        session = Session(self._link, header.sid)
        match header.type:
            case "ping":
                self._link.send(b'{"type":"pong"}')
            case "gone":
                self._desk.documents.gone(session)
            case "request" | "notify":
                if end < 0:
                    raise BackendError(f"{header.type} without a payload")
                reply = self._replying(header) if header.type == "request" else _nobody
                self._ask(session, payload[end + 1 :], header.bin, reply)

    def _ask(
        self, session: Session, payload: bytes, is_binary: bool, reply: Callable[[Answer], None]
    ) -> None:
        body = None
        if is_binary:
            payload, _, body = payload.partition(b"\n")
        try:
            message = msgspec.json.decode(payload)
        except _UNREADABLE as error:
            reply(_refused(CommandRefused(f"not valid JSON: {error}")))
            return
        self._carry_out(session, message, body, reply)

    def _replying(self, header: _Header) -> Callable[[Answer], None]:
        def reply(answer: Answer) -> None:
            result = _result(answer)
            if answer.body is None:
                self._link.send(b'{"type":"result","id":%d}\n%b' % (header.id, result))
            else:
                self._link.send(
                    b'{"type":"result","id":%d,"bin":true}\n%b\n%b'
                    % (header.id, result, answer.body)
                )

        return reply

    def forget_silent(self, now: float) -> None:
        """The gateway tells of each session that is gone."""

    def event(self, sid: str, event: bytes) -> bytes:
        return b'{"type":"push","sid":%b}\n%b' % (_encode(sid), event)


def _nobody(answer: Answer) -> None:
    """Whoever notifies hears of what comes of it by events, and by `sync`."""


class V1(Dialect):
    """JSON objects with ``@MSGID``, and ``@SESSION`` where sessions share the link."""

    def __init__(self, desk: Desk, link: Speaker) -> None:
        super().__init__(desk, link)
        self._spoken: dict[str, float] = {}  # when each session said something last

    def receive(self, payload: bytes, now: float) -> None:
        try:
            message = msgspec.json.decode(payload)
        except _UNREADABLE as error:
            self._reply(None, _refused(CommandRefused(f"not valid JSON: {error}")))
            return
        if not isinstance(message, dict):
            self._reply(None, _refused(CommandRefused("a message must be a JSON object")))
            return
        number = message.get("@MSGID")
        if (
            not isinstance(number, int)
            or isinstance(number, bool)
            or not 0 <= number <= MAX_NUMBER
        ):
            wanted = f'"@MSGID" must be an integer from 0 to {MAX_NUMBER}'
            self._reply(None, _refused(CommandRefused(wanted)))
            return
        sid = message.get("@SESSION")
        sid = sid if isinstance(sid, str) else ""
        if sid:
            self._spoken[sid] = now
        name = message.get("cmd")
        command = COMMANDS.get(name) if isinstance(name, str) else None
        if command is not None and (command.takes_bytes or command.gives_bytes):
            why = f"{name} carries bytes, which needs the dialect orion.v2"
            self._reply(number, _refused(CommandRefused(why)))
            return
        self._carry_out(
            Session(self._link, sid), message, None, lambda answer: self._reply(number, answer)
        )

    def _reply(self, number: int | None, answer: Answer) -> None:
        self._link.send(_result(answer, msgID=number))

    def event(self, sid: str, event: bytes) -> bytes:
        return _SESSION.put(event, sid) if sid else event

    def forget_silent(self, now: float) -> None:
        for sid in self._desk.documents.sessions_on(self._link):
            if sid and now - self._spoken.get(sid, 0.0) >= MAX_SILENCE:
                self._desk.documents.gone(Session(self._link, sid))
        opened = set(self._desk.documents.sessions_on(self._link))
        self._spoken = {sid: at for sid, at in self._spoken.items() if sid in opened}


def dialect_of(payload: bytes) -> type[Dialect]:
    """Return what a link speaks whose first frame is this."""
    try:
        _decode_header(payload.partition(b"\n")[0])
    except _UNREADABLE:
        return V1
    return V2
