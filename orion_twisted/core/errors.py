"""
The error family, and the one table of what a browser hears when its socket ends.

An error says whose fault it is, what the browser is told, and whether it should come back::

    OrionError
    ├── LocalError            a bug or a misuse in this program
    ├── PeerError             the browser broke the contract
    │   └── BadMessage        ... with this one message
    │       ├── InvalidPayload      ... because its bytes are no UTF-8
    │       └── UnsupportedMessage  ... because of its type, text or binary
    ├── BackendError          the backend broke the contract
    └── BackendDown           there is no link to a backend

Close codes 4000-4499 tell the browser "come back", 4500-4999 "do not". The last digits echo the
registered code where one fits (4011 for 1011, 4014 for 1014).
"""

from enum import IntEnum, StrEnum
from typing import ClassVar


class CloseCode(IntEnum):
    """Close codes that the gateway sends: those of RFC 6455 section 7.4, and our own."""

    NORMAL = 1000
    GOING_AWAY = 1001
    UNSUPPORTED_DATA = 1003
    INVALID_PAYLOAD = 1007
    INTERNAL_ERROR = 1011
    TOO_SLOW = 4008
    TOO_FAST = 4009
    IDLE = 4010
    BACKEND_ERROR = 4011
    OVER_BUDGET = 4012
    SLOW_CONSUMER = 4013
    BACKEND_DOWN = 4014
    BAD_MESSAGE = 4500
    UNAUTHORIZED = 4508
    SUPERSEDED = 4510


class Outcome(StrEnum):
    """How a message of a session can end, other than with a result: named on the wire."""

    TIMEOUT = "TIMEOUT"
    EXPIRED = "EXPIRED"
    OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"
    BACKEND_DOWN = "BACKEND_DOWN"
    BACKEND_ERROR = "BACKEND_ERROR"
    BAD_MESSAGE = "BAD_MESSAGE"
    TOO_LARGE = "TOO_LARGE"
    OVER_BUDGET = "OVER_BUDGET"
    REUSED_ID = "REUSED_ID"


WHY: dict[Outcome, str] = {
    Outcome.TIMEOUT: "no answer in time",
    Outcome.EXPIRED: "its time was over before it could be sent",
    Outcome.OUTCOME_UNKNOWN: "the link broke before an answer: it may have been done or not",
    Outcome.BACKEND_DOWN: "there is no link to the backend",
    Outcome.BACKEND_ERROR: "the backend's answer cannot be used",
    Outcome.BAD_MESSAGE: "the message cannot be carried to this backend",
    Outcome.TOO_LARGE: "larger than what may be sent",
    Outcome.OVER_BUDGET: "there is no room for it",
    Outcome.REUSED_ID: "another payload under the number of an earlier message",
}
"""What an outcome's ``message`` says, where nothing more is known."""


class OrionError(Exception):
    """Base of the family."""

    close_code: ClassVar[CloseCode] = CloseCode.INTERNAL_ERROR
    code: ClassVar[str] = "INTERNAL_ERROR"
    """What counters, logs and the close reason call it."""


class LocalError(OrionError):
    """We misused our own code, or were configured wrongly: never a peer's doing."""


class PeerError(OrionError):
    """The browser broke the contract."""

    close_code = CloseCode.BAD_MESSAGE
    code = "BAD_MESSAGE"


class BadMessage(PeerError):
    """A message that cannot be carried on this tenant's link."""


class InvalidPayload(BadMessage):
    """A message that has to be UTF-8 and is not."""

    close_code = CloseCode.INVALID_PAYLOAD


class UnsupportedMessage(BadMessage):
    """A message of a type, text or binary, that this tenant does not take."""

    close_code = CloseCode.UNSUPPORTED_DATA


class BackendError(OrionError):
    """The backend sent what its framing or its message type does not allow."""

    close_code = CloseCode.BACKEND_ERROR
    code = "BACKEND_ERROR"


class BackendDown(OrionError):
    """No link to the backend, and none came in the time that the tenant allows."""

    close_code = CloseCode.BACKEND_DOWN
    code = "BACKEND_DOWN"
