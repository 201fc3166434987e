"""What a conformance case is: octets to send, and every outcome that the RFC allows."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from functools import partial

from tests.conformance.frames import Message, Opcode, close_frame, frame

NOT_UTF8 = 1007
TOO_BIG = 1009
FAILURE_CODES = frozenset({1002, 1003, 1007, 1008, 1009, 1011})


class End(Enum):
    """How a case may end."""

    OPEN = "all is answered, and the client closes with 1000 when it has seen that"
    CLOSED = "the server answers the client's close frame and ends TCP"
    FAILED = "the server fails the connection: a close frame that says why, then the end of TCP"
    DROPPED = "the server ends TCP without a close frame, as RFC 6455, section 7.1.7 lets it"


@dataclass(frozen=True, slots=True)
class Send:
    """Send octets, ``chop`` of them at a time (0: all at once)."""

    octets: bytes
    chop: int = 0


@dataclass(frozen=True, slots=True)
class AwaitPongs:
    """Do not go on before that many pongs are here; not getting them fails the case."""

    count: int = 1


@dataclass(frozen=True, slots=True)
class AwaitMessages:
    """Do not go on before that many messages are here; not getting them fails the case."""

    count: int = 1


@dataclass(frozen=True, slots=True)
class ExpectFailureByNow:
    """The server could know by now that it must fail; one that waits for more is not strict."""


Step = Send | AwaitPongs | AwaitMessages | ExpectFailureByNow


@dataclass(frozen=True, slots=True)
class Outcome:
    """
    One way in which a case may go.

    Attributes:
        messages: the echoes, in order. Unless the end is OPEN, only some first ones need come, as
            an echo may be overtaken by the close.
        pongs: the payloads, in order. RFC 6455, section 5.5.3 lets a server answer the latest ping
            only.
        codes: what the server's close frame may say; None is an empty one.
        strict: False marks what the RFC allows but a good server does not do.
    """

    end: End
    messages: tuple[Message, ...] = ()
    pongs: tuple[bytes, ...] = ()
    codes: frozenset[int | None] = frozenset({1000, None})
    strict: bool = True


@dataclass(frozen=True, slots=True)
class Script:
    """What the client does in a case, and all that may come of it."""

    steps: tuple[Step, ...]
    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True, slots=True)
class Case:
    """
    One exchange after a plain opening handshake.

    Attributes:
        id: section and numbers, as in "5.3.1".
        description: what is sent and what must come of it.
        script: builds the script; bulky ones exist only while their case runs.
        patience: seconds within which the server must move on at every point.
    """

    id: str
    description: str
    script: Callable[[], Script]
    patience: float = 10.0


Entry = tuple[str, Iterable[Step], tuple[Outcome, ...]]
BulkyEntry = tuple[str, Callable[[], Script]]


def numbered(section: str, entries: Iterable[Entry]) -> Iterator[Case]:
    """Give the entries of a table their ids."""
    for number, (description, steps, outcomes) in enumerate(entries, 1):
        script = Script(tuple(steps), outcomes)
        yield Case(f"{section}.{number}", description, partial(_same, script))


def numbered_bulky(section: str, entries: Iterable[BulkyEntry], patience: float) -> Iterator[Case]:
    """The same for scripts that are built when they are needed, of ``patience`` seconds."""
    for number, (description, script) in enumerate(entries, 1):
        yield Case(f"{section}.{number}", description, script, patience)


def _same(script: Script) -> Script:
    return script


def text(payload: str | bytes) -> Message:
    """A text message; octets are taken as they are, so they can be wrong."""
    return Message(Opcode.TEXT, payload.encode() if isinstance(payload, str) else payload)


def binary(payload: bytes) -> Message:
    """A binary message."""
    return Message(Opcode.BINARY, payload)


def whole(message: Message) -> bytes:
    """The message in one frame."""
    return frame(message.opcode, message.payload)


def pieces(payload: bytes, size: int) -> list[bytes]:
    """Cut the payload; one empty piece for an empty one."""
    return [payload[start : start + size] for start in range(0, len(payload) or 1, size)]


def fragments(opcode: int, parts: Iterable[bytes]) -> list[bytes]:
    """One frame per part: the first with the opcode, the last with FIN."""
    parts = list(parts)
    last = len(parts) - 1
    return [
        frame(Opcode.CONTINUATION if index else opcode, part, fin=index == last)
        for index, part in enumerate(parts)
    ]


def answers(*messages: Message, pongs: Iterable[bytes] = ()) -> tuple[Outcome, ...]:
    """Everything comes back and the connection stays."""
    return (Outcome(End.OPEN, messages, tuple(pongs)),)


def closes(
    *messages: Message, code: int | None = 1000, pongs: Iterable[bytes] = ()
) -> tuple[Outcome, ...]:
    """The close frame is answered, with the same code or 1000 or none."""
    return (Outcome(End.CLOSED, messages, tuple(pongs), frozenset({code, 1000, None})),)


def fails(
    *messages: Message, codes: Iterable[int] = (1002,), pongs: Iterable[bytes] = ()
) -> tuple[Outcome, ...]:
    """
    The connection is failed, for this reason; for another one, or by a bare drop, is not strict.
    """
    before = (messages, tuple(pongs))
    return (
        Outcome(End.FAILED, *before, frozenset(codes)),
        Outcome(End.FAILED, *before, FAILURE_CODES, strict=False),
        Outcome(End.DROPPED, *before, strict=False),
    )


def close_steps(code: int | None = None, reason: bytes = b"") -> tuple[Step, ...]:
    """Just a close frame."""
    return (Send(close_frame(code, reason)),)


def sends(*frames: bytes, chop: int = 0) -> tuple[Step, ...]:
    """Just these frames, one after the other."""
    return tuple(Send(octets, chop) for octets in frames)


def _letters(size: int) -> bytes:
    """ASCII text without a period that a power of two divides, so that misplaced blocks show."""
    return (b"The quick brown fox jumps over the lazy dog. 0123456789" * (size // 55 + 1))[:size]


def octets_of(size: int) -> bytes:
    """All octet values, in a period of 251."""
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def of_size(opcode: Opcode, size: int) -> Message:
    """A message of so many octets, the same ones every time."""
    return Message(opcode, (_letters if opcode is Opcode.TEXT else octets_of)(size))


HELLO = text("Hello, world!")
PING = frame(Opcode.PING, b"here?")
