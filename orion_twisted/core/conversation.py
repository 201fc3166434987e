"""
One link's talk with a backend about the messages of sessions: who asked what, and who is answered.

A conversation lasts as long as its connection. What is on the wire is for a dialect to say:
`orion_twisted.core.backend_v1`, `orion_twisted.core.backend_v2`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TypeAlias

import msgspec
from attrs import frozen

from orion_twisted.core.ledger import Entry
from orion_twisted.core.session import Session


class Answer(msgspec.Struct):
    """
    An answer to a message.

    Attributes:
        error: why it is of no use to the browser, if it is not.
    """

    session: Session
    entry: Entry
    payload: bytes
    is_binary: bool = False
    ok: bool = True
    error: str = ""


@frozen
class Push:
    """
    What the backend says on its own.

    Attributes:
        sid: to whom; None: to the one session of this link.
        to_all: whether it is for every session of the tenant.
    """

    payload: bytes
    is_binary: bool = False
    sid: str | None = None
    to_all: bool = False


@frozen
class Stray:
    """
    What nobody waits for.

    Attributes:
        reason: ``late``: its message was asked on this link, and is answered or given up;
            ``unknown``: it was not; ``shapeless``: it cannot be told what it is.
    """

    reason: str


@frozen
class Pong:
    """The backend is there."""


Said: TypeAlias = Answer | Push | Stray | Pong


class Conversation(ABC):
    """What has been asked on one link and is not answered, by numbers unique on that link."""

    is_text = False
    """Whether every frame is text."""
    has_notices = False
    """Whether the dialect speaks of sessions that come and go, and of the link's own health."""

    def __init__(self) -> None:
        self._calls: dict[int, tuple[Session, Entry]] = {}
        self._last = 0

    def __len__(self) -> int:
        return len(self._calls)

    @abstractmethod
    def order(self, session: Session, entry: Entry, now: float) -> bytes:
        """
        Return what the backend is told of a message, and remember who asked.

        Raises:
            BadMessage: the dialect cannot carry it; nothing is remembered.
        """

    @abstractmethod
    def read(self, payload: bytes) -> Said:
        """
        Return what the backend says.

        Raises:
            BackendError: it is not of the dialect.
        """

    def forget(self, entry: Entry) -> None:
        """Take note that nobody waits for the answer to a message any more."""
        _, asked = self._calls.get(entry.call, (None, None))
        if asked is entry:  # else it has its number from another link
            del self._calls[entry.call]

    def opened(self, session: Session) -> bytes | None:
        """Return the notice that a session's messages come next, where there is one."""
        return None

    def gone(self, sid: str) -> bytes | None:
        """Return the notice that a session has ended, where there is one."""
        return None

    def ping(self) -> bytes | None:
        """Return what a living backend answers, where there is such a thing."""
        return None

    def _asked(self, session: Session, entry: Entry) -> int:
        self._last = call = self._last + 1
        if entry.wants_result:  # what is said of a notification is dropped, if it ever comes
            entry.call = call
            self._calls[call] = (session, entry)
        return call

    def _stray(self, call: int) -> Stray:
        return Stray("late" if 0 < call <= self._last else "unknown")
