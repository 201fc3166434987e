"""
Mode ``relay``: one browser and its own link, which may break and come back under it.

The shell tells what happened to the link and hands over what the browser sends; it pulls what may
be written now, and asks whether the browser may be read. Time comes in as a number and leaves as
an instant to be woken at.

What the mode promises: messages reach the backend in order, and none is written twice. While the
link is down, or full, they wait here, in a window bounded in bytes; past it the browser is not
read. A message that was written to a link which then broke may or may not have arrived: nobody
can know, so it is not written again.
"""

from collections import deque
from enum import Enum, auto

from orion_twisted.core.errors import LocalError
from orion_twisted.core.frames import Encoder
from orion_twisted.core.messages import MessageCodec

MESSAGE_COST = 64
"""Bytes that a waiting message counts beside its payload: empty messages fill a window, too."""


class LinkState(Enum):
    """What is known of the link. PROVED: it has brought a frame, or stood for long enough."""

    DOWN = auto()
    UP = auto()
    PROVED = auto()
    STOPPED = auto()


class LinkEvent(Enum):
    """What happens to the link; STOP means that nobody wants it any more."""

    CONNECTED = auto()
    PROOF = auto()
    LOST = auto()
    STOP = auto()


TRANSITIONS: dict[tuple[LinkState, LinkEvent], LinkState] = {
    (LinkState.DOWN, LinkEvent.CONNECTED): LinkState.UP,
    (LinkState.UP, LinkEvent.PROOF): LinkState.PROVED,
    (LinkState.UP, LinkEvent.LOST): LinkState.DOWN,
    (LinkState.PROVED, LinkEvent.LOST): LinkState.DOWN,
    (LinkState.DOWN, LinkEvent.STOP): LinkState.STOPPED,
    (LinkState.UP, LinkEvent.STOP): LinkState.STOPPED,
    (LinkState.PROVED, LinkEvent.STOP): LinkState.STOPPED,
    (LinkState.STOPPED, LinkEvent.STOP): LinkState.STOPPED,
}


class Relay:
    """
    The messages of one browser on their way to a link, and the patience with that link.

    Args:
        codec: how a message's type, text or binary, is said inside a frame.
        encode: how a frame is said on the link.
        window_bytes: how much may wait for the link before the browser is no longer read. One
            message more than that can be held: the one whose arrival filled the window.
        grace: how long the browser is kept without a proved link, in seconds.
    """

    __slots__ = (
        "_codec",
        "_encode",
        "_grace",
        "_link_full",
        "_patience_ends",
        "_waiting",
        "_waiting_bytes",
        "_window_bytes",
        "state",
    )

    def __init__(
        self, codec: MessageCodec, encode: Encoder, *, window_bytes: int, grace: float
    ) -> None:
        self.state = LinkState.DOWN
        self._codec = codec
        self._encode = encode
        self._window_bytes = window_bytes
        self._grace = grace
        # None while it is empty, which it is in most relays: an empty deque takes 760 bytes.
        self._waiting: deque[tuple[bytes, int]] | None = None
        self._waiting_bytes = 0
        self._link_full = False
        self._patience_ends: float | None = None

    def feed(self, event: LinkEvent, now: float) -> None:
        """
        Take note of what happened to the link at ``now``, in seconds.

        Raises:
            LocalError: the event cannot happen in this state; the shell has a bug.
        """
        try:
            self.state = TRANSITIONS[self.state, event]
        except KeyError:
            raise LocalError(f"{event.name} while the link is {self.state.name}") from None
        match event:
            case LinkEvent.LOST:
                self._link_full = False
                # A backend that accepts and dies, again and again, must not hold a browser for
                # ever: only a proved link makes the patience whole again.
                if self._patience_ends is None:
                    self._patience_ends = now + self._grace
            case LinkEvent.PROOF:
                self._patience_ends = None
            case LinkEvent.STOP:
                self._waiting = None
                self._waiting_bytes = 0
                self._patience_ends = None

    @property
    def deadline(self) -> float | None:
        """The instant at which the browser is told BACKEND_DOWN; None while there is a link."""
        return self._patience_ends if self.state is LinkState.DOWN else None

    @property
    def waiting(self) -> int:
        """How many messages wait for the link."""
        return sum(count for _, count in self._waiting or ())

    @property
    def is_direct(self) -> bool:
        """Whether there is a link, and what comes now from the browser is written to it next."""
        is_up = self.state is LinkState.UP or self.state is LinkState.PROVED
        return is_up and not self._link_full and not self._waiting

    @property
    def may_read_browser(self) -> bool:
        """Whether more of the browser's messages are welcome now."""
        if self._link_full:
            return False
        return self._waiting_bytes < self._window_bytes

    def link_full(self, full: bool) -> None:
        """Note that the link's own buffer is full, or has room again."""
        self._link_full = full

    def from_browser(self, payload: bytes, is_binary: bool) -> None:
        """
        Take a message for the backend; `next_for_backend` hands it out when its time comes.

        Raises:
            BadMessage: this tenant's links cannot carry it.
        """
        if self.state is LinkState.STOPPED:
            return
        self.frames_from_browser(self._encode(self._codec.to_frame(payload, is_binary)), 1)

    def frames_from_browser(self, frames: bytes, count: int) -> None:
        """Take so many messages for the backend, framed already."""
        if self.state is LinkState.STOPPED:
            return
        if self._waiting is None:
            self._waiting = deque()
        self._waiting.append((frames, count))
        self._waiting_bytes += len(frames) + MESSAGE_COST * count

    def next_for_backend(self) -> bytes | None:
        """Return the next frames to write to the link now, or None."""
        if not self._waiting or self._link_full:
            return None
        if self.state is not LinkState.UP and self.state is not LinkState.PROVED:
            return None
        frames, count = self._waiting.popleft()
        if not self._waiting:
            self._waiting = None
        self._waiting_bytes -= len(frames) + MESSAGE_COST * count
        return frames

    def from_backend(self, payload: bytes) -> tuple[bytes, bool]:
        """
        Return the message in a frame's payload, and whether it is binary.

        Raises:
            BackendError: the payload is not of the tenant's message type.
        """
        return self._codec.from_frame(payload)
