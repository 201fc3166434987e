"""
Backends that dial in: let in by what their ``hello`` says, then a line of their tenant's.

By TCP their frames are ``int32``; by WebSocket a message is a frame. Nobody may stand at the door
for longer than `HELLO_TIME`, and only so many may stand there at a time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IDelayedCall, IListeningPort, IReactorTime
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from orion_twisted.core.backend_v2 import MAX_HELLO, read_hello
from orion_twisted.core.counters import Counters
from orion_twisted.core.errors import BackendError, CloseCode
from orion_twisted.core.frames import Encoder, decoder, encoder
from orion_twisted.core.secrets import Secrets
from orion_twisted.net.browser import BrowserProtocol
from orion_twisted.net.eager import make_eager
from orion_twisted.net.flow import received
from orion_twisted.net.links import BackendLink, LinkOwner, Loss
from orion_twisted.net.sessionlinks import SessionLink
from orion_twisted.service.backends import SharedLinks
from orion_twisted.service.browser_end import cancel
from orion_twisted.service.line import Line, Link

FRAMING = "int32"
"""How backends that dial in by TCP frame: before their hello nothing else is known of them."""
HELLO_TIME = 5.0
"""Seconds from the connection to the end of its hello."""
MOST_ARRIVALS = 64
"""How many may be on their way to their hello; further ones are dropped."""
MOST_INSTANCES = 256
"""How many instances of one tenant may be in; further ones are refused."""
REFUSALS: Mapping[str, CloseCode] = {
    "draining": CloseCode.GOING_AWAY,
    "hello_timeout": CloseCode.TOO_SLOW,
    "hello_malformed": CloseCode.UNAUTHORIZED,
    "unauthorized": CloseCode.UNAUTHORIZED,
    "too_many": CloseCode.OVER_BUDGET,
}
"""Why a backend may not be let in, and what it hears of it by WebSocket. In a ``crowd`` it is cut
off, or its request answered with 503: to listen to it is what there is no room for."""
ORDERLY = frozenset({1000, 1001, 1005})
"""Close codes of a backend that leaves in good order; 1005 stands for none at all."""


@frozen
class DialInPlaces:
    """
    Where backends dial in.

    Attributes:
        listeners: functions that begin to listen, with a factory of links, and give the port.
        paths: of WebSockets on the listeners without TLS.
        secrets: what backends have to show, by the tenant's name in lower case.
    """

    listeners: Sequence[Callable[[Factory], Deferred[IListeningPort]]] = ()
    paths: frozenset[str] = frozenset()
    secrets: Mapping[str, Secrets] = field(factory=dict, repr=False)


class DialIns:
    """
    The door for backends.

    Args:
        backends: those of the tenants that are dialled by their backends, by the tenant's name in
            lower case.
        secrets: what such a backend has to show, likewise; may be replaced, each whole.
        counters: what to add to.
        clock: the reactor, or a test's clock.
    """

    _log = Logger()

    def __init__(
        self,
        backends: Mapping[str, SharedLinks],
        secrets: Mapping[str, Secrets],
        counters: Counters,
        clock: IReactorTime,
    ) -> None:
        self.clock = clock
        self.secrets = dict(secrets)
        self._backends = backends
        self._counters = counters
        self._arrivals: set[Arrival] = set()
        self._stopped = False

    @property
    def has_room(self) -> bool:
        """Whether one more may say hello."""
        return not self._stopped and len(self._arrivals) < MOST_ARRIVALS

    def arrived(self, arrival: Arrival) -> bool:
        """Say whether a connection may say hello. One that may not is counted, without a line."""
        if not self.has_room:
            self._counters.add("dial_ins_refused", reason="draining" if self._stopped else "crowd")
            return False
        self._arrivals.add(arrival)
        return True

    def left(self, arrival: Arrival) -> None:
        """Take note that a connection is in, or gone."""
        self._arrivals.discard(arrival)

    def refuse(self, arrival: Arrival, reason: str) -> None:
        """Count, log and end a connection. Until it is gone it takes its place at the door."""
        self._counters.add("dial_ins_refused", reason=reason)
        self._log.warn(
            "refusing the backend at {peer}: {reason}", peer=arrival.peer, reason=reason
        )
        arrival.drop(REFUSALS[reason])

    def let_in(self, arrival: Arrival, payload: bytes) -> None:
        """Let a connection in, or refuse it, by what it has said first."""
        try:
            hello = read_hello(payload)
        except BackendError:
            self.refuse(arrival, "hello_malformed")
            return
        name = hello.tenant.lower()
        secrets = self.secrets.get(name)
        if secrets is None or not secrets.match(hello.token):
            self.refuse(arrival, "unauthorized")
            return
        backends = self._backends[name]
        if len(backends) >= MOST_INSTANCES:
            self.refuse(arrival, "too_many")
            return
        self._counters.add("dial_ins")
        self._log.info(
            "backend {peer} of {tenant} is in", peer=arrival.peer, tenant=backends.tenant
        )
        self.left(arrival)
        arrival.join(backends)

    def stop(self) -> None:
        """Let nobody in any more, and send away who stands at the door."""
        self._stopped = True
        for arrival in list(self._arrivals):
            if not arrival.is_over:
                self.refuse(arrival, "draining")


class Arrival(ABC):
    """
    One connection of a backend that dials in: the owner of its link, and then its line's herald.

    Args:
        door: who decides.
        peer: its address, for logs.

    Attributes:
        is_over: nothing that it says is listened to any more.
    """

    _log = Logger()
    _encode: Encoder

    def __init__(self, door: DialIns, peer: str) -> None:
        self.door = door
        self.peer = peer
        self._backends: SharedLinks | None = None
        self._line: Line | None = None
        self._counted: Line | None = None  # until all that was written to it is delivered
        self.is_over = False
        self._hello: IDelayedCall | None = None

    # To and from the door

    def _wait_for_hello(self) -> None:
        if self.door.arrived(self):
            self._hello = self.door.clock.callLater(
                HELLO_TIME, self.door.refuse, self, "hello_timeout"
            )
        else:
            self.is_over = True
            self._cut()

    def join(self, backends: SharedLinks) -> None:
        """Become a line of a tenant's."""
        cancel(self._hello)
        self._backends = backends
        self._line = self._counted = line = backends.new_line(self._encode)
        self._prepare(line)
        # Before anything else: it tells the backend that it is in.
        greeting = line.greeting
        if greeting is not None:
            self._as_link.send(greeting)
        line.link_up(self._as_link)

    def drop(self, code: CloseCode) -> None:
        """End the connection, which is not let in; what it still says is not listened to."""
        self.is_over = True
        cancel(self._hello)
        self._end(code)

    @property
    @abstractmethod
    def _as_link(self) -> Link:
        """What its line writes to."""

    @abstractmethod
    def _prepare(self, line: Line) -> None:
        """Take frames of the line's size, and send them as its backend wants them."""

    @abstractmethod
    def _end(self, code: CloseCode) -> None:
        """Say why, where the connection has a way to say it, and end."""

    @abstractmethod
    def _cut(self) -> None:
        """End at once."""

    # From the link

    def link_payload(self, payload: bytes) -> None:
        if self._line is not None:
            self._line.link_payload(payload)
        elif not self.is_over:
            self.door.let_in(self, payload)

    def link_rests(self) -> None:
        if self._line is not None:
            self._line.link_rests()

    def link_full(self, full: bool) -> None:
        if self._line is not None:
            self._line.link_full(full)

    def link_lost(self, loss: Loss) -> None:
        """Take note that nothing more comes; may be said again."""
        line, self._line = self._line, None
        if line is not None:
            self._lose(line, loss)
        elif loss.error is not None and not self.is_over:
            self.door.refuse(self, "hello_malformed")  # too large a frame, say
        self.is_over = True
        cancel(self._hello)
        self.door.left(self)

    def _lose(self, line: Line, loss: Loss) -> None:
        backends = self._backends
        assert backends is not None
        if loss.error is not None:
            self._log.warn(
                "dropping the backend {peer} of {tenant}: {error}",
                peer=self.peer,
                tenant=backends.tenant,
                error=loss.error,
            )
        self._log.info(
            "backend {peer} of {tenant} is gone", peer=self.peer, tenant=backends.tenant
        )
        line.link_lost(loss)
        backends.line_ended(line)

    def link_gone(self) -> None:
        line, self._counted = self._counted, None  # it may be said more than once
        if line is not None:
            line.link_gone()


class FramedArrival(Arrival):
    """A backend that dials in by TCP, or on a UNIX socket."""

    _encode = staticmethod(encoder(FRAMING))

    def __init__(self, door: DialIns, peer: str) -> None:
        super().__init__(door, peer)
        self._decoder = decoder(FRAMING, MAX_HELLO)
        self.link = SessionLink(self._decoder)
        self.link.factory = _Keeper(self, door.clock)

    def link_up(self, link: BackendLink) -> None:
        self._wait_for_hello()
        if not self.is_over:
            link.resumeProducing()

    def link_proved(self) -> None:
        """Of no use here: nobody dials."""

    @property
    def _as_link(self) -> Link:
        return self.link

    def _prepare(self, line: Line) -> None:
        self._decoder.allow(line.max_frame)

    def _end(self, code: CloseCode) -> None:
        self.link.abort()

    def _cut(self) -> None:
        self.link.abort()


class _Keeper:
    """What a link that nobody has dialled has for a factory."""

    owner: LinkOwner
    lean_tls = False  # there is no TLS

    def __init__(self, arrival: FramedArrival, clock: IReactorTime) -> None:
        self.owner = arrival
        self.clock = clock

    def link_up(self, link: BackendLink) -> None:
        self.owner.link_up(link)

    def link_proved(self) -> None:
        self.owner.link_proved()

    def link_lost(self, link: BackendLink, loss: Loss, reason: Failure) -> None:
        self.owner.link_lost(loss)

    def link_gone(self, link: BackendLink) -> None:
        self.owner.link_gone()


class DialInFactory(Factory):
    """What listens for backends that dial in by TCP, or on a UNIX socket."""

    noisy = False

    def __init__(self, door: DialIns) -> None:
        self._door = door

    def buildProtocol(self, addr: IAddress | None) -> Any:
        return FramedArrival(self._door, _text_of(addr)).link


class SocketArrival(Arrival):
    """A backend that dials in by WebSocket; to its line it is the link, too."""

    _encode = staticmethod(bytes)

    def __init__(self, door: DialIns, peer: str) -> None:
        super().__init__(door, peer)
        self._is_binary = True
        self._socket: BrowserProtocol | None = None

    # From the socket

    def browser_opened(self, browser: BrowserProtocol) -> None:
        self._socket = browser
        browser.allow(MAX_HELLO)
        self._wait_for_hello()

    def browser_message(self, payload: bytes, is_binary: bool) -> None:
        try:
            self.link_payload(payload)
        except BackendError as error:
            self.fail(error)

    def browser_rests(self) -> None:
        self.link_rests()

    def browser_full(self, full: bool) -> None:
        self.link_full(full)

    def browser_lost(self, code: int, reason: str) -> None:
        socket, self._socket = self._socket, None
        error = None
        if socket is not None and socket.has_failed:
            error = BackendError(f"it broke the rules of WebSocket: {code} {reason}")
        self.link_lost(Loss(code in ORDERLY and error is None, error=error))
        self.link_gone()

    # As a link

    @property
    def is_open(self) -> bool:
        return self._socket is not None and self._socket.may_send

    def hurry(self) -> None:
        if self._socket is not None:
            make_eager(self._socket.transport)

    def send(self, data: bytes) -> None:
        if self._socket is not None:
            self._socket.send(data, self._is_binary)

    def send_all(self, frames: list[bytes]) -> None:
        if self._socket is not None:
            self._socket.send_all([(frame, self._is_binary) for frame in frames])

    def received(self) -> int | None:
        return None if self._socket is None else received(self._socket.transport)

    def pauseProducing(self) -> None:
        if self._socket is not None:
            self._socket.pauseProducing()

    def resumeProducing(self) -> None:
        if self._socket is not None:
            self._socket.resumeProducing()

    def finish(self) -> None:
        self._line, self.is_over = None, True  # nobody waits to hear of its end
        self._end(CloseCode.GOING_AWAY)

    def fail(self, error: BackendError) -> None:
        # Cut, and not closed: its sessions go on elsewhere now, and what it has not read yet must
        # not be done after what others do for them.
        self._cut()
        self.link_lost(Loss(False, error=error))

    def abort(self) -> None:
        self._cut()

    # At the door

    @property
    def _as_link(self) -> Link:
        return self

    def _prepare(self, line: Line) -> None:
        assert self._socket is not None
        self._socket.allow(line.max_frame)
        self._is_binary = not line.speaks_text

    def _end(self, code: CloseCode) -> None:
        if self._socket is not None:
            self._socket.close(code, code.name)

    def _cut(self) -> None:
        if self._socket is not None:
            self._socket.abort()


def _text_of(address: Any) -> str:
    return str(getattr(address, "host", ""))
