"""What the browsers of a tenant work with."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from attrs import field, frozen
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.logger import Logger

from orion_twisted.core.backoff import FIRST_WAIT, MOST_WAIT, Backoff
from orion_twisted.core.choice import Choice
from orion_twisted.core.counters import Counters
from orion_twisted.core.settings import (
    Settings,
    Tenant,
    effective_message_limit,
    link_overhead,
)
from orion_twisted.core.wsframes import FRAMINGS, Codec
from orion_twisted.net.links import Loss
from orion_twisted.service.performance import codec_of, has_pumps

RETURNS_PER_SECOND = 200
"""How fast the browsers of a gateway that stops may come back, to the one that follows."""
LEAST_RETURN = 0.5
"""Seconds that even a few of them are spread over."""


def _nobody() -> int:
    """Stand in for a gateway that counts its browsers."""
    return 0


def _count_nothing(change: int) -> None:
    """Stand in for a gateway that waits for links when it stops."""


@frozen
class Surroundings:
    """
    What a browser's end works with.

    Attributes:
        tenant: whose browser it is.
        endpoints: the tenant's backends, each with the text that logs call it by.
        max_message: largest message, in bytes.
        idle: seconds without a message after which a browser is closed; 0 means never.
        max_frame: largest payload of a link's frame, in session mode.
        ping_every, ping_timeout: how often a link is asked whether it lives, and for how long an
            answer may take, in seconds; in session mode.
        hello_time: how long a browser may take to say hello, in seconds; in session mode.
        codec: carries frames past Autobahn; None: Autobahn does it all.
        has_pumps: whether frames go from socket to socket in one call, where they can.
        browsers: how many there are on the node.
        link_count: told of each link that comes up (1), and when it has delivered all (-1).
        message_rate, byte_rate: messages, and payload bytes, per second of one browser; 0 for no
            limit.
        backoff: makes the waits between attempts to dial.
        choice: says which of the endpoints is dialled next, to all links alike.
        counters: what to add to.
        clock: the reactor, or a test's clock.
    """

    _log = Logger()

    tenant: Tenant
    endpoints: Sequence[tuple[str, IStreamClientEndpoint]]
    max_message: int
    idle: float
    backoff: Callable[[], Backoff]
    counters: Counters
    clock: IReactorTime
    max_frame: int = 0
    ping_every: float = 20.0
    ping_timeout: float = 10.0
    hello_time: float = 5.0
    browsers: Callable[[], int] = _nobody
    codec: Codec | None = None
    has_pumps: bool = False
    message_rate: int = 0
    byte_rate: int = 0
    link_count: Callable[[int], None] = _count_nothing
    choice: Choice = field()

    @choice.default
    def _choice_of_the_tenant(self) -> Choice:
        return Choice(len(self.endpoints), self.backoff)

    @property
    def is_spliced(self) -> bool:
        """
        Whether frames of browsers become frames of links, and back, without being looked at.

        With a rate each message is: those of one read together may be far beyond it.
        """
        tenant = self.tenant
        return (
            self.codec is not None
            and tenant.mode == "relay"
            and tenant.framing in FRAMINGS
            and not tenant.compression
            and not self.message_rate
            and not self.byte_rate
        )

    def return_within(self, most: float) -> float:
        """Return over how many seconds the return of all browsers is to be spread."""
        return max(min(self.browsers() / RETURNS_PER_SECOND, most), LEAST_RETURN)

    def link_ended(self, loss: Loss, whose: str) -> None:
        """Count and log that a link is gone."""
        if loss.error is not None:
            how = loss.error.code
            self.counters.add("backend_errors")
        else:
            how = "ended" if loss.clean else "broken"
        self.counters.add("links_lost", reason=how)
        if loss.cut:
            self.counters.add("frames_cut")
        self._log.info(
            "link of {whose} of {tenant} lost: {how}, {cut} bytes of a frame dropped",
            whose=whose,
            tenant=self.tenant.name,
            how=how,
            cut=loss.cut,
        )


def surroundings(
    settings: Settings,
    tenant: Tenant,
    endpoints: Sequence[tuple[str, IStreamClientEndpoint]],
    counters: Counters,
    clock: IReactorTime,
    *,
    browsers: Callable[[], int],
    link_count: Callable[[int], None],
) -> Surroundings:
    """Return what a tenant's browsers work with, as the settings say."""
    limits = settings.limits
    max_message = effective_message_limit(settings, tenant)
    return Surroundings(
        tenant=tenant,
        endpoints=endpoints,
        max_message=max_message,
        idle=limits.idle,
        backoff=lambda: Backoff(FIRST_WAIT, MOST_WAIT, random.random),
        counters=counters,
        clock=clock,
        max_frame=max_message + link_overhead(tenant),
        ping_every=limits.ping_every,
        ping_timeout=limits.ping_timeout,
        hello_time=limits.handshake,
        codec=codec_of(settings.performance),
        has_pumps=has_pumps(settings.performance),
        browsers=browsers,
        message_rate=limits.message_rate,
        byte_rate=limits.byte_rate,
        link_count=link_count,
    )
