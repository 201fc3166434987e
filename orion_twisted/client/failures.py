"""
How a message can end without a result: one class for each code, and what is known of its effect.

The codes are those of docs/wire.md, "Outcomes", and two of this client's own. Catch
`MessageFailed` for all of them; ``was_done`` says whether to try again is free of danger.
"""

from __future__ import annotations


class MessageFailed(Exception):
    """
    Base of the family; itself for a code that this version does not know.

    Args:
        message: for people.
        code: only where it is not that of the class.
        was_done: only where more is known of this message than of its code.

    Attributes:
        code: as docs/wire.md has it.
        was_done: whether the message took effect: False if it certainly did not, True if it
            certainly did, None if nobody can know.
    """

    code: str = "FAILED"
    was_done: bool | None = None

    def __init__(
        self, message: str, *, code: str | None = None, was_done: bool | None = None
    ) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code
        if was_done is not None:
            self.was_done = was_done

    def __str__(self) -> str:
        return f"{self.code}: {self.args[0]}"


class TimedOut(MessageFailed):
    """Sent, and no answer came in time."""

    code = "TIMEOUT"


class Expired(MessageFailed):
    """Its time was over before it could be sent; it is never delivered."""

    code = "EXPIRED"
    was_done = False


class OutcomeUnknown(MessageFailed):
    """The connection broke after it was sent, before an answer."""

    code = "OUTCOME_UNKNOWN"


class BackendDown(MessageFailed):
    """The gateway has no link to the backend, and got none in time."""

    code = "BACKEND_DOWN"
    was_done = False


class BackendBroke(MessageFailed):
    """The backend's answer broke its contract, or cannot be carried in this dialect."""

    code = "BACKEND_ERROR"
    was_done = True


class BadMessage(MessageFailed):
    """The message cannot be carried to this backend."""

    code = "BAD_MESSAGE"
    was_done = False


class TooLarge(MessageFailed):
    """The payload is above what the gateway takes (not done); or the answer is (done)."""

    code = "TOO_LARGE"


class OverBudget(MessageFailed):
    """The gateway had no room for the message (not done), or for its result (done)."""

    code = "OVER_BUDGET"


class ReusedId(MessageFailed):
    """Another message had its number: a bug, here or in the gateway."""

    code = "REUSED_ID"
    was_done = False


class OfflineQueueFull(MessageFailed):
    """It could not be sent at once, and there is no room to keep it until it can."""

    code = "OFFLINE_QUEUE_FULL"
    was_done = False


class Closed(MessageFailed):
    """The client has ended, and this message had not been sent."""

    code = "CLOSED"
    was_done = False


FAMILY: dict[str, type[MessageFailed]] = {
    kind.code: kind for kind in MessageFailed.__subclasses__()
}
"""The class of each code."""


def failure_of(code: str, message: str) -> MessageFailed:
    """Return what a code and its text come to; a code from a later version is no error."""
    kind = FAMILY.get(code)
    return MessageFailed(message, code=code) if kind is None else kind(message)
