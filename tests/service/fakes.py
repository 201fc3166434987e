"""
Both sides of a bridge, played by hand: a browser's socket, and the connections to a backend.

They behave as the real ones do where it matters: a transport that fills up says so in the middle
of the write, an aborted connection is lost in the next turn of the reactor, a closed browser is
gone only after its answer, and nobody who is paused hands anything over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from orion_twisted.core.backoff import Backoff
from orion_twisted.core.counters import Counters
from orion_twisted.core.errors import CloseCode
from orion_twisted.core.settings import SessionSettings, Tenant
from orion_twisted.net.browser import BrowserProtocol
from orion_twisted.net.links import FINISH_TIME
from orion_twisted.service.bridge import Bridge
from orion_twisted.service.surroundings import Surroundings
from orion_twisted.service.tunnel import TunnelBridge
from tests.transports import EVERYTHING, Pipe

TENANT = Tenant(
    name="shop",
    hosts=("*",),
    backend=("tcp:127.0.0.1:7000",),
    framing="line",
    link_grace=30.0,
    dial_timeout=5.0,
    session=SessionSettings(window_bytes=1000),
)
"""Framed by lines, so that tests can be read."""

NO_LIMITS: Mapping[str, Any] = {}


class Browser:
    """A browser's open socket, in place of `BrowserProtocol`."""

    def __init__(self, bridge: Bridge, turn: Callable[[], None]) -> None:
        self.bridge = bridge
        self._turn = turn
        self.got: list[tuple[bytes, bool]] = []
        self.paused = False
        self.told: tuple[int, str] | None = None
        self.aborted = False
        self.gone = False

    # What the bridge calls

    def send(self, payload: bytes, is_binary: bool) -> None:
        assert not self.gone, "sent to a browser that has gone"
        assert self.told is None, "sent after the close frame"
        self.got.append((payload, is_binary))

    def close(self, code: CloseCode, reason: str) -> None:
        assert not self.gone, "closed a browser that has gone"
        if self.told is None:
            self.told = (int(code), reason)
            self.paused = False  # its answer has to be read

    def abort(self) -> None:
        assert not self.gone, "aborted a browser that has gone"
        self.aborted = True

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False

    # What the browser does

    def say(self, *messages: str | bytes) -> None:
        """Send messages: text, or binary ones as bytes."""
        for message in messages:
            assert not self.paused, "a paused browser is not read"
            text = message.encode() if isinstance(message, str) else message
            self.bridge.browser_message(text, isinstance(message, bytes))
            self._turn()

    def leave(self, code: int = 1001) -> None:
        """Be gone: closed by itself, or in answer to what it was told."""
        self.gone = True
        self.bridge.browser_lost(self.told[0] if self.told else code, "")
        self._turn()


class LinkWire(Pipe):
    """One TCP connection to a backend, with both of its ends: ours, and the backend's."""

    bufferSize = 100
    """Bytes that may wait to be sent before the producer is paused."""

    def __init__(self, clock: MemoryReactorClock, stalls: bool) -> None:
        super().__init__(clock, 0 if stalls else EVERYTHING)
        self.written = b""
        self.written_too_late = b""

    def write(self, data: bytes) -> None:
        if self.lost or self.aborted or self.disconnecting or self.heard_end:
            self.written_too_late += data
        else:
            self.written += data
        super().write(data)

    @property
    def lost(self) -> bool:
        return self.protocol is None

    @property
    def paused(self) -> bool:
        """Whether our end does not read."""
        return not self.reading

    @property
    def is_full(self) -> bool:
        """Whether it has told its producer to pause."""
        return self.producer is not None and bool(self.producerPaused)

    @property
    def lines(self) -> list[str]:
        """What our end has written, line by line."""
        assert not self.written or self.written.endswith(b"\n"), "half a frame"
        return self.written.decode().splitlines()

    # What the backend does

    def answer(self, data: bytes) -> None:
        """Send bytes to the gateway, which reads them."""
        assert not self.paused, "a paused link is not read"
        self.hears(data)

    def answer_late(self, data: bytes) -> None:
        """Hand over what TLS had decrypted when it was paused."""
        self.protocol.dataReceived(data)

    def stall(self) -> None:
        """Read nothing more."""
        self.room = 0

    def read(self) -> None:
        """Read all that there is."""
        self.room = EVERYTHING
        self.turn()

    def fin(self) -> None:
        """End its side in good order."""
        self.hears_end()

    def end(self) -> None:
        """End the connection in good order, whether we read or not, as TLS does."""
        self.connectionLost(Failure(ConnectionDone()))

    def reset(self) -> None:
        """Cut the connection."""
        self.breaks()


class Attempt:
    """One attempt to dial, which the test answers."""

    def __init__(self, factory: Any, clock: MemoryReactorClock) -> None:
        self._factory = factory
        self._clock = clock
        self.cancelled = False
        self.over = False
        self.connected: Deferred[Any] = Deferred(self._cancel)

    def _cancel(self, _: Deferred[Any]) -> None:
        self.cancelled = self.over = True

    def accept(self, stalls: bool) -> LinkWire:
        """Let the connection come up."""
        self.over = True
        link = self._factory.buildProtocol(None)
        wire = LinkWire(self._clock, stalls)
        wire.connect(link)
        self.connected.callback(link)
        wire.turn()
        return wire

    def refuse(self) -> None:
        self.over = True
        self.connected.errback(Failure(ConnectionRefusedError()))


@implementer(IStreamClientEndpoint)
class Backend:
    """An endpoint whose every attempt waits for the test."""

    def __init__(self, clock: MemoryReactorClock) -> None:
        self._clock = clock
        self.eager = False  # answers before `connect` returns
        self.stalls = False  # accepts, and reads nothing
        self.attempts: list[Attempt] = []
        self.wires: list[LinkWire] = []

    def connect(self, factory: Any) -> Deferred[Any]:
        attempt = Attempt(factory, self._clock)
        self.attempts.append(attempt)
        if self.eager:
            self.accept()
        return attempt.connected

    @property
    def dialling(self) -> bool:
        """Whether an attempt waits for its answer."""
        return bool(self.attempts) and not self.attempts[-1].over

    def accept(self) -> LinkWire:
        """Let the present attempt succeed."""
        assert self.dialling
        wire = self.attempts[-1].accept(self.stalls)
        self.wires.append(wire)
        return wire

    def refuse(self) -> None:
        assert self.dialling
        self.attempts[-1].refuse()


class Scene:
    """
    A bridge between a browser and a backend that are both played by hand.

    Args:
        kind: the bridge's class.
        limits: ``idle``, ``message_rate`` and ``byte_rate`` of `Surroundings`.
        tenant: changes to `TENANT`.
    """

    def __init__(
        self, kind: Callable[..., Bridge], limits: Mapping[str, Any] = NO_LIMITS, **tenant: Any
    ) -> None:
        self.clock: Any = MemoryReactorClock()
        self.counters = Counters()
        self.backend = Backend(self.clock)
        self.around = Surroundings(
            tenant=evolve(TENANT, **tenant),
            endpoints=[("tcp:127.0.0.1:7000", self.backend)],
            max_message=1024,
            **{"idle": 0.0, **limits},
            backoff=lambda: Backoff(0.1, 8.0, lambda: 1.0),
            counters=self.counters,
            clock=self.clock,
        )
        self.ended = 0
        self.bridge_is_a_stream = kind is TunnelBridge
        self.bridge = kind(self.around, "192.0.2.1", self._ended)
        self.dialled: Deferred[None] | None = None
        self.browser: Browser | None = None

    def _ended(self, bridge: Bridge) -> None:
        assert bridge is self.bridge
        self.ended += 1

    def dial(self, opens: bool = False) -> Deferred[None]:
        """Let the bridge dial; the browser's socket opens once there is a link, if wanted."""
        self.dialled = self.bridge.dial()
        if opens:
            self.dialled.addCallback(lambda _: self.open())
        return self.dialled

    def open(self) -> None:
        self.browser = Browser(self.bridge, self.turn)
        self.bridge.browser_opened(cast(BrowserProtocol, self.browser))

    def begin(self) -> tuple[Browser, LinkWire]:
        """Bring both sides up."""
        self.dial(opens=True)
        link = self.backend.accept()
        assert self.browser is not None
        return self.browser, link

    def turn(self) -> None:
        """Let the reactor turn for the links."""
        for wire in self.backend.wires:
            wire.turn()

    def relink(self, wait: float = 0.1) -> LinkWire:
        """Wait for the next attempt to dial, and let it succeed."""
        self.clock.advance(wait)
        return self.backend.accept()

    def counted(self, name: str, reason: str = "") -> int:
        return self.counters.get(name, reason)

    def finish(self) -> None:
        """Let everybody leave who is still there, as the network would in the end."""
        if self.browser is not None and not self.browser.gone:
            self.browser.leave()
        for wire in self.backend.wires:
            wire.read()
            wire.end()
        self.clock.advance(0)
        self.clock.advance(FINISH_TIME)
        self.clock.advance(0)


class BridgeTestCase(SynchronousTestCase):
    """Tests of one mode."""

    kind: Callable[..., Bridge]

    def scene(self, limits: Mapping[str, Any] = NO_LIMITS, **tenant: Any) -> Scene:
        """Return a scene of this mode; `assertOver` has to be called in the end."""
        return Scene(type(self).kind, limits, **tenant)

    def assertOver(self, scene: Scene) -> None:
        """Check that nothing is left of a bridge: it has ended once, no timer runs."""
        self.assertEqual(scene.ended, 1)
        scene.finish()
        self.assertEqual(scene.ended, 1)
        self.assertEqual([str(call) for call in scene.clock.getDelayedCalls()], [])
        self.assertTrue(all(each.lost for each in scene.backend.wires))
        self.assertFalse(scene.backend.dialling)
