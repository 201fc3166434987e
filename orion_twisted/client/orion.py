"""
The client: one session with a gateway, over as many sockets as it takes.

    client = OrionClient("wss://shop1.example/ws", token=fetch_token)
    client.start()
    result = await client.request('{"cmd":"version"}', timeout=5.0)
    await client.stop()

It is to be used on the reactor's thread. Every message has exactly one outcome: its Deferred fires
with a `Result` or a `Receipt`, or fails with a `MessageFailed` that says what is known.
"""

from __future__ import annotations

import random as chance
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import (
    IDelayedCall,
    IOpenSSLClientConnectionCreator,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.logger import Logger

from orion_twisted.client.connection import NORMAL, Address, Connection, TokenSource, cancel
from orion_twisted.client.conversation import (
    Action,
    Attached,
    ComeBack,
    Conversation,
    Deliver,
    Fault,
    Phase,
    Remark,
    Send,
    Settle,
)
from orion_twisted.client.failures import MessageFailed
from orion_twisted.client.limits import ClientLimits
from orion_twisted.client.outbound import Kind
from orion_twisted.client.outcomes import Push, Receipt, Result
from orion_twisted.client.plain import Plain, object_of
from orion_twisted.client.session import Session
from orion_twisted.client.states import Closed, Online, State
from orion_twisted.client.target import endpoint_of, parse_url, verifying
from orion_twisted.core.errors import LocalError

Payload = str | bytes | Mapping[str, Any]
"""A message: text as ``str``, binary as ``bytes``, and what is to become a JSON object in text."""

DIALECTS: dict[str, type[Conversation]] = {kind.subprotocol: kind for kind in (Session, Plain)}


class OrionClient:
    """
    A client of session mode. Nothing is connected before `start`.

    Args:
        url: ``wss://HOST[:PORT]/PATH``, or ``ws:`` on a network that is private.
        dialect: ``orion.v2``, or ``orion.v1``, which has no resume.
        token: a token, or what returns one, or an awaitable of one: asked for each connection.
        token_in_hello: the token goes into the first message, not into the upgrade's head, which
            proxies on the way may log; ``orion.v2`` only.
        ca_file: PEM file of the authorities to trust, and no others; None: those of the system.
        tls: for more than that, such as a client certificate: what
            `twisted.internet.ssl.optionsForClientTLS` returns.
        origin: what to say as the page's origin.
        endpoint: what to dial instead of the URL's host and port; TLS comes on top of it.
        limits: see `ClientLimits`.
        reactor: the reactor; None: the global one.
        random: gives a number from 0 to 1, for the waits.

    Raises:
        ValueError: the URL, the dialect, the origin, the token or the CA file
            cannot be used.
    """

    _log = Logger()

    def __init__(
        self,
        url: str,
        *,
        dialect: str = "orion.v2",
        token: TokenSource | None = None,
        token_in_hello: bool = False,
        ca_file: Path | str | None = None,
        tls: IOpenSSLClientConnectionCreator | None = None,
        origin: str | None = None,
        endpoint: IStreamClientEndpoint | None = None,
        limits: ClientLimits | None = None,
        reactor: Any = None,
        random: Callable[[], float] = chance.random,
    ) -> None:
        if dialect not in DIALECTS:
            raise ValueError(f"there is no dialect {dialect!r}: {', '.join(DIALECTS)}")
        if token_in_hello and dialect != Session.subprotocol:
            raise ValueError(f"{dialect} has no message for a token")
        if reactor is None:
            from twisted.internet import reactor
        self._target = target = parse_url(url)
        if not target.is_secure:
            tls = None
        elif tls is None:
            tls = verifying(target.host, ca_file)
        address = Address(
            target,
            endpoint_of(target, reactor, tls, endpoint),
            subprotocol=dialect,
            may_be_silent=dialect == Plain.subprotocol,
            token=token,
            token_in_hello=token_in_hello,
            origin=origin,
        )
        # A bad origin or token is told now, and not to each try.
        address.upgrade(token if isinstance(token, str) else None)
        limits = ClientLimits() if limits is None else limits
        self._clock: IReactorTime = reactor
        self._conversation = DIALECTS[dialect](limits)
        self._connection = Connection(address, self, limits, reactor, random)

        self._is_started = False
        self._state: State = Closed(None, "not started")
        self._state_listeners: list[Callable[[State], object]] = []
        self._push_listeners: list[Callable[[Push], object]] = []
        self._owners: dict[int, Deferred[Any]] = {}
        self._work: deque[Action | Callable[[], None]] = deque()
        self._is_working = False
        self._wake: IDelayedCall | None = None

    # For the program

    @property
    def state(self) -> State:
        """How it stands."""
        return self._state

    def on_state(self, callback: Callable[[State], object]) -> None:
        """Call back with each new state."""
        self._state_listeners.append(callback)

    def on_push(self, callback: Callable[[Push], object]) -> None:
        """Call back with what the backend says on its own. What nobody listens for is dropped."""
        self._push_listeners.append(callback)

    def start(self) -> None:
        """
        Connect, and again after every loss, until `stop` or an end that is final.

        Raises:
            LocalError: it has been started before.
        """
        if self._is_started:
            raise LocalError("a client is started once")
        self._is_started = True
        self._connection.connect()

    def stop(self) -> Deferred[None]:
        """
        End the session; what has no outcome yet fails at once.

        Returns:
            A Deferred that fires with None when the last connection is gone, at most
            ``limits.close`` seconds from now. It does not fail; cancelling gives up waiting.
        """
        self._is_started = True
        if self._conversation.phase is not Phase.ENDED:
            stopped = Closed(NORMAL, "the client was stopped")
            self._do(
                *self._conversation.leave(stopped.why),
                self._connection.close,
                partial(self._enter, stopped),
            )
        return self._connection.wait_for_end()

    def request(
        self, payload: Payload, *, timeout: float | None = None, repeat_safe: bool = False
    ) -> Deferred[Result]:
        """
        Send a message that wants an answer; before there is a connection, it waits for one.

        Args:
            payload: in ``orion.v1`` a mapping, or the text of a JSON object; its ``@MSGID`` is
                the client's business.
            timeout: seconds for all of it; None: the limit of that name.
            repeat_safe: doing it twice does no harm, so it may be sent again where nobody knows
                whether it was done.

        Returns:
            A Deferred that fires with the `Result`, or fails with a `MessageFailed`. Cancelling
            it takes back a message that has not been sent; one that has been may still be done.
            Either way it fails with `CancelledError`.

        Raises:
            TypeError, ValueError: the payload cannot be sent in this dialect, or the timeout is
                not above 0 and at most a day.
        """
        return self._submit(Kind.REQUEST, payload, timeout, repeat_safe)

    def notify(
        self, payload: Payload, *, timeout: float | None = None, repeat_safe: bool = False
    ) -> Deferred[Receipt]:
        """
        Send a message that wants no answer; all else is as with `request`.

        Returns:
            A Deferred that fires with a `Receipt` when the message has been sent to the backend.
        """
        return self._submit(Kind.NOTIFY, payload, timeout, repeat_safe)

    # Messages

    def _submit(
        self, kind: Kind, payload: Payload, timeout: float | None, repeat_safe: bool
    ) -> Deferred[Any]:
        octets, is_binary = self._octets(payload)
        now = self._clock.seconds()
        try:
            ticket, actions = self._conversation.submit(
                kind, octets, is_binary, now, timeout=timeout, repeat_safe=repeat_safe
            )
        except MessageFailed as failure:
            return fail(failure)
        owner: Deferred[Any] = Deferred(lambda _: self._cancel(ticket))
        self._owners[ticket] = owner
        self._do(*actions)
        return owner

    def _octets(self, payload: Payload) -> tuple[bytes, bool]:
        if isinstance(payload, Mapping):
            octets, is_binary = msgspec.json.encode(payload), False
        elif isinstance(payload, str):
            octets, is_binary = payload.encode(), False
        elif isinstance(payload, bytes):
            octets, is_binary = payload, True
        else:
            raise TypeError(f"a message is str, bytes or a mapping, not {type(payload).__name__}")
        if isinstance(self._conversation, Plain):
            return object_of(octets), False
        return octets, is_binary

    def _cancel(self, ticket: int) -> None:
        del self._owners[ticket]
        self._conversation.cancel(ticket)

    # Doing what the conversation decides, one thing after the other, wherever it is called from

    def _do(self, *work: Action | Callable[[], None]) -> None:
        self._work.extend(work)
        if self._is_working:
            return
        self._is_working = True
        try:
            while self._work:
                self._act(self._work.popleft())
        finally:
            self._is_working = False
        self._set_alarm()

    def _act(self, action: Action | Callable[[], None]) -> None:
        match action:
            case Send(payload, is_binary):
                self._connection.send(payload, is_binary)
            case Settle(ticket, outcome):
                owner = self._owners.pop(ticket, None)
                if isinstance(outcome, MessageFailed) and owner is not None:
                    owner.errback(outcome)
                elif owner is not None:
                    owner.callback(outcome)
            case Deliver(push):
                self._tell(self._push_listeners, push)
            case Attached(replaced, lost):
                self._connection.online()
                self._enter(Online(replaced, lost))
            case ComeBack(within):
                self._connection.come_back(within)
            case Fault(text):
                self._log.error("{url} broke the contract: {why}", url=self._target, why=text)
                self._connection.give_up(text)
            case Remark(text):
                self._log.warn("{url}: {remark}", url=self._target, remark=text)
            case _:
                action()

    def _tell(self, listeners: list[Callable[[Any], object]], news: object) -> None:
        for listener in list(listeners):
            try:
                listener(news)
            except Exception:
                self._log.failure("a listener failed on {news}", news=type(news).__name__)

    def _enter(self, state: State) -> None:
        self._state = state
        self._tell(self._state_listeners, state)

    def _set_alarm(self) -> None:
        at = self._conversation.wake_at
        if at is None:
            if self._conversation.phase is Phase.ENDED:
                cancel(self._wake)
            return  # else one too early does no harm, and costs less than to cancel each
        wait = max(at - self._clock.seconds(), 0.0)
        if self._wake is None or not self._wake.active():
            self._wake = self._clock.callLater(wait, self._alarm)
        elif at < self._wake.getTime():
            self._wake.reset(wait)

    def _alarm(self) -> None:
        self._do(*self._conversation.tick(self._clock.seconds()))

    # From the connection

    def connection_open(self, token: str | None) -> None:
        self._do(*self._conversation.opened(self._clock.seconds(), token))

    def connection_message(self, payload: bytes, is_binary: bool) -> None:
        self._do(*self._conversation.received(payload, is_binary, self._clock.seconds()))

    def connection_lost(self) -> None:
        self._do(*self._conversation.lost(self._clock.seconds()))

    def connection_state(self, state: State) -> None:
        if isinstance(state, Closed):
            self._do(*self._conversation.end(state.why))
        self._do(partial(self._enter, state))
