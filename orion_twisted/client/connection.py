"""
A connection to the gateway, over as many sockets as it takes: dialled, lost, dialled again.

An owner is told what happens and decides what goes over it; how it ends, `Reconnect` judges.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol as Seam

from attrs import evolve, field, frozen
from twisted.internet.defer import Deferred, ensureDeferred, maybeDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import ClientFactory
from twisted.python.failure import Failure

from orion_twisted.client.limits import ClientLimits
from orion_twisted.client.reconnect import End, Reconnect
from orion_twisted.client.socket import ClientSocket, Upgrade, socket_factory
from orion_twisted.client.states import Closed, Connecting, State, Waiting
from orion_twisted.client.target import Target, why

NORMAL = 1000
PROTOCOL_ERROR = 1002

TokenSource = str | Callable[[], str | Awaitable[str]]


class ConnectionOwner(Seam):
    """Whom a connection reports to."""

    def connection_open(self, token: str | None) -> None:
        """A socket can be used. ``token`` is to be said on it, not having been said before."""

    def connection_message(self, payload: bytes, is_binary: bool) -> None:
        """One whole message."""

    def connection_lost(self) -> None:
        """The socket can be used no more; called once for each `connection_open`."""

    def connection_state(self, state: State) -> None:
        """It connects, waits, or has closed for good; `Online` is for the owner to know."""


@frozen
class Address:
    """
    Whom to connect to, and how to show who we are.

    Attributes:
        target: of the URL.
        endpoint: what connects to it, TLS included.
        subprotocol: what the gateway is to agree to.
        may_be_silent: a gateway that agrees to no subprotocol will do.
        token: a token, or where to get one for each socket.
        token_in_hello: it is not for the upgrade.
        origin: what to say as the page's origin.
    """

    target: Target
    endpoint: IStreamClientEndpoint
    subprotocol: str
    may_be_silent: bool
    token: TokenSource | None = field(default=None, repr=False)
    token_in_hello: bool = False
    origin: str | None = None

    def upgrade(self, token: str | None) -> Upgrade:
        """Return what a socket asks for; `ValueError` if it cannot be asked like that."""
        upgrade = Upgrade(self.target, (self.subprotocol,), token, self.origin)
        return evolve(upgrade, token=None) if self.token_in_hello else upgrade


class Connection:
    """
    Keeps a socket to one gateway.

    Args:
        address: whom to connect to.
        owner: whom to tell.
        limits: of the client.
        clock: for all timers.
        random: gives a number from 0 to 1, for the waits.
    """

    def __init__(
        self,
        address: Address,
        owner: ConnectionOwner,
        limits: ClientLimits,
        clock: IReactorTime,
        random: Callable[[], float],
    ) -> None:
        self._address = address
        self._owner = owner
        self._limits = limits
        self._clock = clock
        self._factory = socket_factory((address.subprotocol,), limits, clock)
        self._reconnect = Reconnect(limits.first_wait, limits.most_wait, random)
        self._is_closed = False
        self._is_open = False
        self._token: str | None = None
        self._dialling: Deferred[None] | None = None
        self._socket: ClientSocket | None = None
        self._not_gone: set[ClientSocket] = set()
        self._waiting_for_end: list[Deferred[None]] = []
        self._too_slow: IDelayedCall | None = None
        self._next_try: IDelayedCall | None = None

    # For the owner

    def connect(self) -> None:
        """Begin."""
        self._too_slow = self._clock.callLater(self._limits.connect, self._connect_too_slow)
        self._owner.connection_state(Connecting())
        if self._is_closed:
            return  # whoever was told has stopped us
        self._dialling = dialling = ensureDeferred(self._dial())
        dialling.addErrback(self._not_connected, dialling)

    def online(self) -> None:
        """The socket has come to the use that it is for."""
        cancel(self._too_slow)
        self._reconnect.online(self._clock.seconds())

    def come_back(self, within: float) -> None:
        """The gateway stops, and wants us back within so many seconds."""
        self._reconnect.come_back(within)

    def send(self, payload: bytes, is_binary: bool) -> None:
        """Send one message; without a socket it is dropped."""
        if self._socket is not None:
            self._socket.send(payload, is_binary)

    def give_up(self, text: str) -> None:
        """The gateway broke the contract: close the socket for it, and for good."""
        if self._socket is not None:
            self._socket.close(PROTOCOL_ERROR, text)
            self._over(End(PROTOCOL_ERROR, text))

    def close(self) -> None:
        """End it from our side; nothing is told any more."""
        self._is_closed = True
        for timer in (self._too_slow, self._next_try):
            cancel(timer)
        self._socket = None
        self._stop_dialling()
        for socket in list(self._not_gone):
            socket.close(NORMAL, "")
        self._tell_end()

    def wait_for_end(self) -> Deferred[None]:
        """Return a Deferred that fires with None when it is closed, and all sockets are gone."""
        gone: Deferred[None] = Deferred(self._waiting_for_end.remove)
        self._waiting_for_end.append(gone)
        self._tell_end()
        return gone

    # On the way

    async def _dial(self) -> None:
        address = self._address
        token = await self._next_token()
        self._token = token if address.token_in_hello else None
        self._socket = socket = self._factory.socket(self, address.upgrade(token))
        self._not_gone.add(socket)
        try:
            await address.endpoint.connect(_Once(socket))
        except BaseException:
            self._not_gone.discard(socket)
            raise

    async def _next_token(self) -> str | None:
        source = self._address.token
        if source is None:
            return None
        token = source if isinstance(source, str) else await maybeDeferred(source)
        if not isinstance(token, str):
            raise TypeError(f"a token is a str, not {type(token).__name__}")
        return token

    def _not_connected(self, failure: Failure, dialling: Deferred[None]) -> None:
        if dialling is self._dialling:
            self._over(End(None, why(failure)))

    def _connect_too_slow(self) -> None:
        socket = self._socket
        self._over(End(None, f"not online within {self._limits.connect:g} s"))
        if socket is not None and socket in self._not_gone:
            socket.abort()

    def _stop_dialling(self) -> None:
        dialling, self._dialling = self._dialling, None
        if dialling is not None:
            dialling.cancel()  # which does nothing where it has succeeded

    # The end of a socket, or of a try to have one

    def _over(self, end: End) -> None:
        cancel(self._too_slow)
        self._socket = None
        self._stop_dialling()
        if self._is_open:
            self._is_open = False
            self._owner.connection_lost()
        wait = self._reconnect.wait_after(end, self._clock.seconds())
        if self._is_closed:
            return
        if wait is None:
            self._is_closed = True
            self._owner.connection_state(Closed(end.code, end.why))
            self._tell_end()
        else:
            self._next_try = self._clock.callLater(wait, self.connect)
            self._owner.connection_state(Waiting(wait, end.why))

    def _tell_end(self) -> None:
        if self._is_closed and not self._not_gone:
            while self._waiting_for_end:
                self._waiting_for_end.pop().callback(None)

    # From the sockets

    def socket_open(self, socket: ClientSocket, subprotocol: str | None) -> None:
        if socket is not self._socket:
            return
        address = self._address
        if subprotocol == address.subprotocol or (subprotocol is None and address.may_be_silent):
            self._is_open = True
            self._owner.connection_open(self._token)
        else:
            self.give_up(f"the gateway does not speak {address.subprotocol} there")

    def socket_message(self, socket: ClientSocket, payload: bytes, is_binary: bool) -> None:
        if socket is self._socket:
            self._owner.connection_message(payload, is_binary)

    def socket_ended(self, socket: ClientSocket, end: End) -> None:
        if socket is self._socket:
            self._over(end)

    def socket_gone(self, socket: ClientSocket) -> None:
        self._not_gone.discard(socket)
        self._tell_end()


class _Once(ClientFactory):
    """Gives a connection the protocol that has been made for it."""

    noisy = False

    def __init__(self, socket: ClientSocket) -> None:
        self._socket = socket

    def buildProtocol(self, addr: object) -> ClientSocket:
        return self._socket


def cancel(call: IDelayedCall | None) -> None:
    """End a timer, if it runs."""
    if call is not None and call.active():
        call.cancel()
