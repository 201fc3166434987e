"""Every limit of the client, with its default. Times are seconds, sizes bytes."""

from __future__ import annotations

from attrs import field, frozen
from attrs.validators import ge, gt

KIB = 1024
MIB = 1024 * KIB

A_DAY = 24 * 3600.0
"""The longest time that a message may be given (docs/wire.md)."""


@frozen(kw_only=True)
class ClientLimits:
    """
    Limits of one client.

    Attributes:
        timeout: how long a message may take, where its call does not say.
        patience: how much longer an online client waits for the gateway's own word on a message
            whose time is over: it knows more, `Expired` or `TimedOut`.
        queue_messages, queue_bytes: what may wait to be sent, offline or for the window.
        window, window_bytes: what may be without an answer at a time in ``orion.v1``, whose
            gateway does not say; one message is always allowed. ``orion.v2`` is told.
        message: the largest message that is received.
        connect: from the first step of a connection to its first use.
        ping_every, ping_timeout: a gateway that is silent for both together is taken for dead.
        close: how long the gateway has to answer the end of a socket, before it is cut off.
        first_wait, most_wait: ceilings of the first wait between connections, and of any; the
            waits are random, from nothing to a ceiling that doubles each time.
    """

    timeout: float = field(default=30.0, validator=gt(0))
    patience: float = field(default=0.5, validator=ge(0))
    queue_messages: int = field(default=1000, validator=ge(0))
    queue_bytes: int = field(default=8 * MIB, validator=ge(0))
    window: int = field(default=64, validator=ge(1))
    window_bytes: int = field(default=1 * MIB, validator=ge(1))
    message: int = field(default=16 * MIB, validator=ge(1))
    connect: float = field(default=30.0, validator=gt(0))
    ping_every: float = field(default=20.0, validator=gt(0))
    ping_timeout: float = field(default=20.0, validator=gt(0))
    close: float = field(default=5.0, validator=gt(0))
    first_wait: float = field(default=0.5, validator=gt(0))
    most_wait: float = field(default=20.0, validator=gt(0))
