"""
The factory that keeps a link to a backend, and brings it back.

When a link breaks, `LinkFactory` dials again, through any Twisted client endpoint, until its owner
stops it. It waits between the attempts as `orion_twisted.core.backoff` says, and starts over with
short waits only once a link has proved itself: a backend that accepts and dies at once is no
reason to hurry.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectBindError, TimeoutError
from twisted.internet.interfaces import (
    IAddress,
    IConnector,
    IDelayedCall,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, ReconnectingClientFactory
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from orion_twisted.core.backoff import Backoff
from orion_twisted.core.choice import Attempt, Choice
from orion_twisted.net.dialling import DirectClient, DirectEndpoint
from orion_twisted.net.links import BackendLink, LinkOwner, Loss

CONNECT_TIMEOUT = 5.0
"""Seconds that one attempt may take, name resolution and TLS handshake included."""


class LinkFactory(ReconnectingClientFactory):
    """
    Keep one link to one of some endpoints, from `start` to `stop`.

    Args:
        endpoints: where the backends are, each with the text that logs call it by.
        build: makes a link.
        owner: hears of the link.
        backoff: how long to wait after which failure.
        clock: the reactor, or a test's clock.
        choice: says which endpoint is the next; links to the same endpoints share it.
        lean_tls: whether links over TLS are to take its short way.
    """

    noisy = False
    clock: Any  # the reactor: Twisted's own annotation of it is too narrow
    jitter = 0.0  # the backoff has its own
    factor = 1.0
    _log = Logger()

    def __init__(
        self,
        endpoints: Sequence[tuple[str, IStreamClientEndpoint]],
        build: Callable[[], BackendLink],
        owner: LinkOwner,
        backoff: Backoff,
        clock: IReactorTime,
        choice: Choice,
        *,
        lean_tls: bool = False,
    ) -> None:
        self.clock = clock
        self.owner = owner
        self.lean_tls = lean_tls
        self._build = build
        self._backoff = backoff
        self.connector: EndpointConnector = EndpointConnector(self, endpoints, clock, choice)
        self.link: BackendLink | None = None
        # The owner knows them, and not yet their end. Of most there is one: a set would be larger.
        self._announced: tuple[BackendLink, ...] = ()
        self.reconnects = True
        self._dials_again = False
        self._is_over = False

    def start(self) -> None:
        """Dial."""
        self.connector.connect()

    def stop(self) -> None:
        """Never dial again; a link that stands is finished, one under way is given up."""
        self.stopTrying()
        if self.link is not None:
            self.link.finish()
            self.connector.left()
        self._be_over()

    def _be_over(self) -> None:
        """Cut the cycles of references, if nothing is left that could come."""
        is_waiting = self.continueTrying or self.connector.is_dialling
        if not (is_waiting or self._announced or self._is_over):
            self._is_over = True
            self.link = None
            self.connector.retire()
            del self.owner, self._build

    def build_link(self) -> BackendLink:
        """Return a link for one attempt."""
        link = self._build()
        link.factory = self
        return link

    def retry(self, connector: IConnector | None = None) -> None:
        self._dials_again = True
        self.delay = self._backoff.next_wait()
        super().retry(connector)

    # From the link

    def link_up(self, link: BackendLink) -> None:
        self.connector.succeeded()
        if not self.continueTrying:
            link.abort()
            self.connector.left()
            return
        self.link = link
        self._announced = (*self._announced, link)
        if self._dials_again:
            # Of one that came at once there is nothing to be said, and there are very many.
            self._dials_again = False
            self._log.debug(
                "link to {backend} is up again", backend=self.connector.getDestination()
            )
        self.owner.link_up(link)

    def link_proved(self) -> None:
        self._backoff.reset()
        self.connector.proved()
        self.owner.link_proved()

    def link_gone(self, link: BackendLink) -> None:
        if link in self._announced:
            self._announced = tuple(each for each in self._announced if each is not link)
            self.owner.link_gone()
        self._be_over()

    def link_lost(self, link: BackendLink, loss: Loss, reason: Failure) -> None:
        if self.link is not link:
            self.connector.failed(reason)
            return
        self.link = None
        self.connector.lost()
        if loss.error is not None:
            self._log.warn(
                "link to {backend} dropped: {error}",
                backend=self.connector.getDestination(),
                error=loss.error,
            )
        else:
            self._log.debug(
                "link to {backend} lost: {reason}",
                backend=self.connector.getDestination(),
                reason=reason.getErrorMessage(),
            )
        if not self.reconnects:
            self.stopTrying()
        self.owner.link_lost(loss)
        self.clientConnectionLost(self.connector, reason)


@implementer(IConnector)
class EndpointConnector:
    """
    What `ReconnectingClientFactory` calls to dial, over endpoints instead of plain sockets.

    Each attempt takes the endpoint that is chosen and has `CONNECT_TIMEOUT` to bring a link up.
    """

    _log = Logger()

    def __init__(
        self,
        factory: LinkFactory,
        endpoints: Sequence[tuple[str, IStreamClientEndpoint]],
        clock: IReactorTime,
        choice: Choice,
    ) -> None:
        self._factory = factory
        self._endpoints = endpoints
        self._clock = clock
        self._choice = choice
        self._chosen: Attempt | None = None
        self._attempt: Deferred[Any] | DirectClient | None = None
        self._protocol: BackendLink | None = None
        self._timeout: IDelayedCall | None = None
        self._timed_out = False
        self._unwanted = False

    def connect(self) -> None:
        self._timed_out = self._unwanted = False
        self._timeout = self._clock.callLater(CONNECT_TIMEOUT, self._give_up)
        self._chosen = self._choice.pick(self._clock.seconds())
        _, endpoint = self._endpoints[self._chosen.index]
        if isinstance(endpoint, DirectEndpoint):
            try:
                self._attempt = endpoint.dial(self)
            except ConnectBindError:
                self.failed(Failure())
        else:
            self._attempt = endpoint.connect(_OneLink(self.buildProtocol))
            self._attempt.addErrback(self.failed)

    def buildProtocol(self, addr: IAddress | None) -> Any:
        self._protocol = link = self._factory.build_link()
        return link

    def connectionFailed(self, reason: Failure) -> None:
        self.failed(reason)

    def _give_up(self) -> None:
        self._timed_out = True
        self._stop_attempt()

    def succeeded(self) -> None:
        """The attempt has brought a link up, which is the factory's from now on."""
        self._end_attempt()
        if self._chosen is not None:
            self._chosen.up()

    def proved(self) -> None:
        """The link has proved itself."""
        if self._chosen is not None:
            self._chosen.proved()

    def lost(self) -> None:
        """The link, or the attempt, is gone by no wish of ours."""
        if self._chosen is not None:
            self._chosen.fail(self._clock.seconds())

    def left(self) -> None:
        """The link, or the attempt, is not wanted any more."""
        if self._chosen is not None:
            self._chosen.leave()

    def failed(self, reason: Failure) -> None:
        """The attempt has failed: refused, unreachable, too slow, or not who it should be."""
        self._end_attempt()
        if self._unwanted:
            self.left()
        else:
            self.lost()
        if self._timed_out:
            reason = Failure(TimeoutError(f"no link within {CONNECT_TIMEOUT:g} s"))
        self._log.debug(
            "cannot reach {backend}: {reason}",
            backend=self.getDestination(),
            reason=reason.getErrorMessage(),
        )
        self._factory.clientConnectionFailed(self, reason)

    def _end_attempt(self) -> None:
        self._attempt = self._protocol = None
        timeout, self._timeout = self._timeout, None
        if timeout is not None and timeout.active():
            timeout.cancel()

    def stopConnecting(self) -> None:
        self._unwanted = True
        self._stop_attempt()

    def _stop_attempt(self) -> None:
        # A connection whose TLS handshake is under way counts as an attempt, too.
        if self._protocol is not None:
            self._protocol.abort()
        elif self._attempt is not None:
            self._attempt.cancel()

    def disconnect(self) -> None:
        self.stopConnecting()

    @property
    def is_dialling(self) -> bool:
        """Whether an attempt is under way."""
        return self._attempt is not None or self._protocol is not None

    def retire(self) -> None:
        """Let go of the factory: it will never dial again."""
        del self._factory

    def getDestination(self) -> Any:
        """Return the endpoint string of the last attempt, for logs."""
        name, _ = self._endpoints[0 if self._chosen is None else self._chosen.index]
        return name


class _OneLink(Factory):
    """What an endpoint is given: it builds the link of one attempt."""

    noisy = False

    def __init__(self, build: Callable[[IAddress | None], BackendLink]) -> None:
        self._build = build

    def buildProtocol(self, addr: IAddress | None) -> Any:
        return self._build(addr)
