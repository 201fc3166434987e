"""
What a supervisor and its workers say to each other: messages over pipes.

A message travels as a frame: four bytes of length, then msgpack. Both ends are of one version,
which is the first thing that is said.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Generic, TypeAlias, TypeGuard, TypeVar

import msgspec
from msgspec import Struct

from orion_twisted.core.errors import BackendError, LocalError
from orion_twisted.core.frames import decoder, encoder
from orion_twisted.core.report import Report
from orion_twisted.core.spent_tokens import Use

TO_WORKER = 0
TO_SUPERVISOR = 3
"""The descriptors of a worker's pipes. It does not speak on 1: a stray ``print`` would be a broken
frame."""
FIRST_SOCKET = 4
"""The descriptor of the first socket that a worker inherits."""

MAX_FRAME = 16 * 1024 * 1024
"""Bytes; settings and reports of ten thousand tenants have about two million."""

MOST_TEXT = 16 * 1024
"""Characters of one event of the log; a deep traceback fits."""
MOST_FIELDS = 16
MOST_FIELD_TEXT = 256
"""How many fields of an event travel with its text, and characters of each."""

LARGEST = 2**63 - 1
"""Of whole numbers on the wire."""

Field: TypeAlias = str | int | float | bool | None
Counts: TypeAlias = tuple[tuple[str, str, int], ...]
"""Name, reason (empty for the sum) and number, as `Counters` yields them."""


class WireError(LocalError):
    """The other end does not keep to the protocol: a bug, or a foreign program."""


class Socket(Struct, frozen=True):
    """A listening socket that a worker has inherited."""

    fd: int
    family: int


class Begin(Struct, frozen=True, tag=True):
    """The first message to a worker: who it is, and all it has to know."""

    version: str
    """The supervisor's; a worker of another one must not go on."""
    number: int
    workers: int
    """How many there are: what its share of the limits is."""
    settings: dict[str, Any]
    """File and flags, laid over each other, in the shape of the file."""
    sockets: tuple[Socket, ...]
    """One for each of ``listen``, in that order."""


class Drain(Struct, frozen=True, tag=True):
    """Accept nobody more, finish, and end."""


class Reload(Struct, frozen=True, tag=True):
    """Read certificates and keys again."""


class Spent(Struct, frozen=True, tag=True):
    """The answer to `Spend`."""

    ask: int
    use: Use


class Status(Struct, frozen=True, tag=True):
    """How a worker stands, and what it has counted since its start."""

    counts: Counts
    report: Report
    next_in: float
    """Seconds after which it says so again."""


class Logged(Struct, frozen=True, tag=True):
    """One event of a worker's log."""

    level: str
    namespace: str
    text: str
    fields: dict[str, Field]


class Spend(Struct, frozen=True, tag=True):
    """Use the id of a token, in the one store of all workers."""

    ask: int
    """A number, by which the answer is known."""
    tenant: str
    token_id: str
    end: float
    """Seconds since 1970."""


ToWorker: TypeAlias = Begin | Drain | Reload | Spent
FromWorker: TypeAlias = Status | Logged | Spend

Message = TypeVar("Message")

_encode_payload = msgspec.msgpack.Encoder().encode
_frame = encoder("int32")


def encode(message: ToWorker | FromWorker) -> bytes:
    """
    Return a message's frame.

    Raises:
        WireError: it is too large to be said.
    """
    payload = _encode_payload(message)
    if len(payload) > MAX_FRAME:
        raise WireError(f"a {type(message).__name__} of {len(payload)} bytes")
    return _frame(payload)


class Incoming(Generic[Message]):
    """
    Turn one end's bytes into messages.

    Args:
        kind: the union of what may come, `ToWorker` or `FromWorker`.
    """

    def __init__(self, kind: Any) -> None:
        self._frames = decoder("int32", MAX_FRAME)
        self._payloads: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(kind)

    def receive_data(self, data: bytes) -> list[Message]:
        """
        Take bytes; return the messages that are whole now.

        Raises:
            WireError: they are no such messages; there is no going on after that.
        """
        messages = []
        try:
            self._frames.receive_data(data)
            while (payload := self._frames.next_payload()) is not None:
                messages.append(self._payloads.decode(payload))
        except (BackendError, msgspec.MsgspecError) as error:
            raise WireError(str(error)) from None
        return messages


def logged(level: str, namespace: str, text: str, fields: Mapping[str, object]) -> Logged:
    """Return an event with bounds: a long text is cut, of the fields plain and short ones go."""
    if len(text) > MOST_TEXT:
        text = f"{text[:MOST_TEXT]}…"
    return Logged(level, namespace, _sayable(text), dict(_plain(fields)))


def _plain(fields: Mapping[str, object]) -> Iterator[tuple[str, Field]]:
    left = MOST_FIELDS
    for name, value in fields.items():
        if isinstance(value, str):
            value = _sayable(value[:MOST_FIELD_TEXT])
        if left and _is_plain(value):
            left -= 1
            yield name, value


def _is_plain(value: object) -> TypeGuard[Field]:
    if isinstance(value, int):
        return -LARGEST <= value <= LARGEST
    return value is None or isinstance(value, str | float)


def _sayable(text: str) -> str:
    """Return a text without halves of characters, such as names of files may have."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
