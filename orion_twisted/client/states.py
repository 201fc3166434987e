"""How a client stands, as `OrionClient.on_state` tells it."""

from __future__ import annotations

from attrs import frozen


@frozen
class Connecting:
    """On the way: name, TCP, TLS, upgrade, and in ``orion.v2`` up to the gateway's welcome."""


@frozen
class Online:
    """
    Messages go both ways.

    Attributes:
        replaced: the session before is gone, with the pushes that it had for us: this is another.
        lost: how many pushes the gateway could not keep while we were away.
    """

    replaced: bool = False
    lost: int = 0


@frozen
class Waiting:
    """
    There is no connection; the next try comes by itself.

    Attributes:
        seconds: until then.
        why: how the last one ended.
    """

    seconds: float
    why: str


@frozen
class Closed:
    """
    There will be no more connections.

    Attributes:
        code: the WebSocket's close code, 1000 after `OrionClient.stop`; None if there was no
            WebSocket, or the client has not been started.
        why: for people.
    """

    code: int | None
    why: str


State = Connecting | Online | Waiting | Closed
