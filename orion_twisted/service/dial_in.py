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
from orion_twisted.net.links import BackendLink, FramedLink, LinkOwner, Loss
from orion_twisted.service.backends import SharedLinks
from orion_twisted.service.browser_end import cancel
from orion_twisted.service.line import Line

FRAMING = "int32"
"""How backends that dial in by TCP frame: before their hello nothing else is known of them."""
HELLO_TIME = 5.0
"""Seconds from the connection to the end of its hello."""
MOST_ARRIVALS = 64
"""How many may be on their way to their hello; further ones are dropped."""
MOST_INSTANCES = 256
"""How many instances of one tenant may be in; further ones are refused."""


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

    def arrived(self, arrival: Arrival) -> bool:
        """Say whether a connection may say hello."""
        if self._stopped or len(self._arrivals) >= MOST_ARRIVALS:
            self.refused(arrival, "crowd")
            return False
        self._arrivals.add(arrival)
        return True

    def left(self, arrival: Arrival) -> None:
        """Take note that a connection is in, or gone."""
        self._arrivals.discard(arrival)

    def refused(self, arrival: Arrival, reason: str) -> None:
        """Count and log that a connection is not let in."""
        self._counters.add("dial_ins_refused", reason=reason)
        self._log.warn(
            "refusing the backend at {peer}: {reason}", peer=arrival.peer, reason=reason
        )

    def line_for(self, arrival: Arrival, payload: bytes, encode: Encoder) -> Line | None:
        """Return the line of a backend that says hello, or None if it is refused."""
        try:
            hello = read_hello(payload)
        except BackendError:
            self.refused(arrival, "hello_malformed")
            return None
        name = hello.tenant.lower()
        secrets = self.secrets.get(name)
        if secrets is None or not secrets.match(hello.token):
            self.refused(arrival, "unauthorized")
            return None
        backends = self._backends[name]
        if len(backends) >= MOST_INSTANCES:
            self.refused(arrival, "too_many")
            return None
        self._counters.add("dial_ins")
        self._log.info("backend {peer} of {tenant} is in", peer=arrival.peer, tenant=name)
        arrival.let_in(backends)
        return backends.new_line(encode)

    def stop(self) -> None:
        """Let nobody in any more, and drop who stands at the door."""
        self._stopped = True
        for arrival in list(self._arrivals):
            arrival.drop()


class Arrival(ABC):
    """
    One connection of a backend that dials in: the owner of its link, and then its line's herald.

    Args:
        door: who decides.
        peer: its address, for logs.
    """

    _encode: Encoder

    def __init__(self, door: DialIns, peer: str) -> None:
        self.door = door
        self.peer = peer
        self._line: Line | None = None
        self._backends: SharedLinks | None = None
        self._hello: IDelayedCall | None = None

    def let_in(self, backends: SharedLinks) -> None:
        """Take note whose backend this is."""
        self._backends = backends

    @abstractmethod
    def drop(self) -> None:
        """End the connection: it is not let in."""

    @abstractmethod
    def _hand_over(self, line: Line) -> None:
        """Give the link to its line."""

    def _wait_for_hello(self) -> bool:
        if not self.door.arrived(self):
            return False
        self._hello = self.door.clock.callLater(HELLO_TIME, self._too_late)
        return True

    def _too_late(self) -> None:
        self.door.refused(self, "hello_timeout")
        self.drop()

    def link_payload(self, payload: bytes) -> None:
        if self._line is not None:
            self._line.link_payload(payload)
            return
        cancel(self._hello)
        self.door.left(self)
        line = self.door.line_for(self, payload, self._encode)
        if line is None:
            self.drop()
            return
        self._line = line
        self._hand_over(line)
        line.greet()

    def link_full(self, full: bool) -> None:
        if self._line is not None:
            self._line.link_full(full)

    def link_lost(self, loss: Loss) -> None:
        cancel(self._hello)
        self.door.left(self)
        line, backends = self._line, self._backends
        if line is not None and backends is not None:
            line.link_lost(loss)
            backends.line_ended(line)

    def link_gone(self) -> None:
        line, self._line = self._line, None  # it may be said more than once
        if line is not None:
            line.link_gone()


class FramedArrival(Arrival):
    """A backend that dials in by TCP."""

    _encode = staticmethod(encoder(FRAMING))

    def __init__(self, door: DialIns, peer: str) -> None:
        super().__init__(door, peer)
        self._decoder = decoder(FRAMING, MAX_HELLO)
        self.link = FramedLink(self._decoder)
        self.link.factory = _Keeper(self, door.clock)

    def link_up(self, link: BackendLink) -> None:
        if self._wait_for_hello():
            link.resumeProducing()
        else:
            link.abort()

    def link_proved(self) -> None:
        """Of no use here: nobody dials."""

    def drop(self) -> None:
        self.link.abort()

    def _hand_over(self, line: Line) -> None:
        self._decoder.allow(line.max_frame)
        line.link_up(self.link)


class _Keeper:
    """What a link that nobody has dialled has for a factory."""

    owner: LinkOwner

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
        self._error: BackendError | None = None

    # From the socket

    def browser_opened(self, browser: BrowserProtocol) -> None:
        self._socket = browser
        if not self._wait_for_hello():
            browser.close(CloseCode.OVER_BUDGET, "OVER_BUDGET")

    def browser_message(self, payload: bytes, is_binary: bool) -> None:
        if self._error is not None:
            return
        try:
            self.link_payload(payload)
        except BackendError as error:
            self.fail(error)

    def browser_full(self, full: bool) -> None:
        self.link_full(full)

    def browser_lost(self, code: int, reason: str) -> None:
        self._socket = None
        self.link_lost(Loss(code in (1000, 1001, 1005), error=self._error))
        self.link_gone()

    # As a link

    @property
    def is_open(self) -> bool:
        return self._socket is not None and self._error is None

    def send(self, data: bytes) -> None:
        if self._socket is not None:
            self._socket.send(data, self._is_binary)

    def pauseProducing(self) -> None:
        if self._socket is not None:
            self._socket.pauseProducing()

    def resumeProducing(self) -> None:
        if self._socket is not None:
            self._socket.resumeProducing()

    def finish(self) -> None:
        if self._socket is not None:
            self._socket.close(CloseCode.GOING_AWAY, "draining")

    def fail(self, error: BackendError) -> None:
        self._error = error
        if self._socket is not None:
            self._socket.close(error.close_code, error.code)

    def abort(self) -> None:
        if self._socket is not None:
            self._socket.abort()

    # At the door

    def drop(self) -> None:
        if self._socket is not None:
            self._socket.close(CloseCode.UNAUTHORIZED, "UNAUTHORIZED")

    def _hand_over(self, line: Line) -> None:
        self._is_binary = not line.speaks_text
        line.link_up(self)


def _text_of(address: Any) -> str:
    return str(getattr(address, "host", ""))
