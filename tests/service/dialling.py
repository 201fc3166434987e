"""
A gateway in memory with backends that dial in and browsers in session mode, all played by hand.

    house = House(MemoryReactorClock())
    engine = TcpBackend(house)
    engine.hello()
    browser = Browser(house)
    browser.request(1, "draw")
    self.assertEqual(engine.heard, ["ping", "open", "request 1: draw"])

What is between the two is the gateway's own, sockets and time excepted.
"""

from __future__ import annotations

import json
import struct
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from attrs import evolve
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import OPEN
from websockets.uri import parse_uri

from orion_twisted.core.secrets import read_secrets
from orion_twisted.core.settings import DialInSettings, Limits, Settings, Tenant
from orion_twisted.service.dial_in import DialInPlaces
from orion_twisted.service.gateway import Gateway
from tests.service.test_gateway import Port
from tests.transports import Pipe

SECRET = "an-engine-shows-this-3f1a"
OTHER_SECRET = "another-one-shows-that-77"
PATH = "/orion"

SHOP = Tenant(
    name="Shop",
    hosts=("shop.example",),
    backend=("dial-in",),
    mode="session",
    dialect="orion.v2",
    dial_in=DialInSettings(token_file="keys/shop"),
)
DEPOT = evolve(SHOP, name="depot", hosts=("depot.example",), dialect="orion.v1")
TUNNEL = Tenant(
    name="tunnel", hosts=("tunnel.example",), backend=("tcp:192.0.2.1:7000",), mode="tunnel"
)
SECRETS = {"shop": read_secrets(SECRET), "depot": read_secrets(OTHER_SECRET)}


class Wire(Pipe):
    """A TCP connection from somewhere."""

    def __init__(self, clock: MemoryReactorClock, address: str) -> None:
        super().__init__(clock)
        self._address = address

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", self._address, 54321)


class House:
    """
    The gateway, its clock, and everybody who has come.

    Args:
        clock: the reactor; Autobahn's timers take it from `txaio.config`.
        limits: of the node.
    """

    def __init__(self, clock: MemoryReactorClock, **limits: Any) -> None:
        self.clock: Any = clock
        self.browsers: Factory
        self.backends: Factory
        self.visitors: list[Visitor] = []
        self.ports = [Port(), Port()]
        self.gateway = Gateway(
            Settings(tenants=(SHOP, DEPOT, TUNNEL), limits=Limits(**limits)),
            [self._listen_for_browsers],
            {},
            self.clock,
            dial_in=DialInPlaces([self._listen_for_backends], frozenset({PATH}), SECRETS),
        )
        self.gateway.privilegedStartService()
        self.gateway.startService()

    def _listen_for_browsers(self, factory: Factory) -> Deferred[Any]:
        self.browsers = factory
        return succeed(self.ports[0])

    def _listen_for_backends(self, factory: Factory) -> Deferred[Any]:
        self.backends = factory
        return succeed(self.ports[1])

    def turn(self) -> None:
        """Let the reactor turn until nothing moves."""
        for _ in range(4):
            self.clock.advance(0)
            for each in self.visitors:
                each.wire.turn()

    def advance(self, seconds: float) -> None:
        """Let time pass, and everybody answer what wants an answer, a second at a time."""
        while seconds > 0:
            self.clock.advance(min(seconds, 1.0))
            seconds -= 1.0
            for each in self.visitors:
                each.look()

    def stop(self) -> Deferred[None]:
        """Let the gateway stop; its ports are closed at once."""
        stopped = self.gateway.stopService()
        for port in self.ports:
            if not port.gone.called:
                port.gone.callback(None)
        self.turn()
        return stopped

    def counted(self, name: str, reason: str = "") -> int:
        return self.gateway.counters.get(name, reason)

    def refused(self, reason: str = "") -> int:
        return self.counted("dial_ins_refused", reason)

    def empty(self) -> None:
        """Stop, and let everybody go."""
        self.stop()
        for each in self.visitors:
            each.breaks()
        self.advance(1.0)

    @property
    def at_the_door(self) -> int:
        return len(self.gateway.dial_ins._arrivals)


class Visitor:
    """Whoever has a connection to the gateway."""

    def __init__(self, house: House, factory: Factory, address: str) -> None:
        self.house = house
        self.wire = Wire(house.clock, address)
        house.visitors.append(self)
        protocol = factory.buildProtocol(self.wire.getPeer())
        assert protocol is not None
        self.wire.connect(protocol)

    @property
    def gone(self) -> bool:
        """Whether the connection has ended."""
        return self.wire.protocol is None

    def pull(self) -> None:
        """Hear what has come."""
        self.house.turn()

    def look(self) -> None:
        """Hear what has come, and answer what wants an answer."""
        self.pull()

    def sends(self, data: bytes) -> None:
        """Send bytes: one read."""
        self.wire.hears(data)
        self.house.turn()

    def breaks(self) -> None:
        """Have its connection break."""
        if not self.gone:
            self.wire.breaks()
            self.house.turn()


class WebSocket(Visitor):
    """A WebSocket client: `websockets` without its I/O."""

    def __init__(self, house: House, url: str, address: str, **options: Any) -> None:
        super().__init__(house, house.browsers, address)
        self.client = ClientProtocol(parse_uri(url), max_size=None, **options)
        self.status = 0
        self.frames: list[tuple[bytes, bool]] = []
        self.client.send_request(self.client.connect())
        self.flush()

    def flush(self) -> None:
        """Send what the client has to say, and hear what comes of it."""
        while data := b"".join(self.client.data_to_send()):
            if not self.gone:
                self.sends(data)
            self.hear()

    def hear(self) -> None:
        data = bytes(self.wire.taken)
        self.wire.taken.clear()
        if not data:
            return
        self.client.receive_data(data)
        for event in self.client.events_received():
            if isinstance(event, Response):
                self.status = event.status_code
            elif isinstance(event, Frame) and event.opcode in (Opcode.TEXT, Opcode.BINARY):
                self.frames.append((bytes(event.data), event.opcode is Opcode.BINARY))

    def pull(self) -> None:
        super().pull()
        self.hear()
        self.flush()

    @property
    def closed_with(self) -> int | None:
        """The code of the gateway's close frame, if there was one."""
        self.pull()
        received = self.client.close_rcvd
        return None if received is None else received.code

    def send(self, payload: bytes, is_binary: bool = False) -> None:
        (self.client.send_binary if is_binary else self.client.send_text)(payload)
        self.flush()

    def close(self, code: int = 1000) -> None:
        self.pull()
        if self.client.state is OPEN:
            self.client.send_close(code)
        self.flush()


class Backend(Visitor):
    """A backend that dials in; what it hears is kept in words."""

    hangs = False
    """Whether it answers no ping."""
    _answered = 0

    @abstractmethod
    def say(self, *payloads: str | bytes | Mapping[str, Any]) -> None:
        """Send frames: objects are JSON."""

    @property
    @abstractmethod
    def payloads(self) -> list[bytes]:
        """Every payload that it has heard."""

    @abstractmethod
    def leave(self) -> None:
        """End in good order."""

    def hello(self, tenant: str = "shop", token: str = SECRET) -> None:
        """Say who it is."""
        self.say({"type": "hello", "tenant": tenant, "token": token})

    def look(self) -> None:
        pings = sum(each == b'{"type":"ping"}' for each in self.payloads)
        if pings > self._answered and not self.hangs and not self.gone:
            self._answered = pings
            self.say({"type": "pong"})

    @property
    def heard(self) -> list[str]:
        """What it has heard: ``ping``, ``open``, ``request 1: payload``, or else the payload."""
        return [_in_words(payload) for payload in self.payloads]

    @property
    def headers(self) -> list[dict[str, Any]]:
        """The headers of what it has heard."""
        return [json.loads(payload.partition(b"\n")[0]) for payload in self.payloads]

    def result(self, call: int, payload: str) -> str:
        """Return the frame that answers a request."""
        return f'{{"type":"result","id":{call}}}\n{payload}'


def _in_words(payload: bytes) -> str:
    head, _, body = payload.decode().partition("\n")
    header = json.loads(head)
    if "type" not in header:
        return head
    number = f" {header['id']}" if "id" in header else ""
    return header["type"] + number + (f": {body}" if body else "")


def _octets(payload: str | bytes | Mapping[str, Any]) -> bytes:
    if isinstance(payload, bytes):
        return payload
    return (payload if isinstance(payload, str) else json.dumps(payload)).encode()


class TcpBackend(Backend):
    """One that dials in by TCP; what it says at once is one read."""

    def __init__(self, house: House, address: str = "192.0.2.9") -> None:
        super().__init__(house, house.backends, address)
        self._heard = b""

    def say(self, *payloads: str | bytes | Mapping[str, Any]) -> None:
        octets = map(_octets, payloads)
        self.sends(b"".join(struct.pack(">I", len(each)) + each for each in octets))

    @property
    def payloads(self) -> list[bytes]:
        self.pull()
        self._heard += bytes(self.wire.taken)
        self.wire.taken.clear()
        found, at = [], 0
        while at < len(self._heard):
            (size,) = struct.unpack_from(">I", self._heard, at)
            found.append(self._heard[at + 4 : at + 4 + size])
            at += 4 + size
        return found

    def leave(self) -> None:
        self.wire.hears_end()
        self.house.turn()


class SocketBackend(WebSocket, Backend):
    """One that dials in by WebSocket."""

    def __init__(self, house: House, address: str = "192.0.2.9") -> None:
        super().__init__(house, f"ws://gateway.internal{PATH}", address)

    def say(self, *payloads: str | bytes | Mapping[str, Any]) -> None:
        if self.client.state is OPEN:
            for payload in payloads:
                self.client.send_text(_octets(payload))
        self.flush()

    @property
    def payloads(self) -> list[bytes]:
        self.pull()
        return [payload for payload, _ in self.frames]

    def leave(self) -> None:
        self.close()


class Browser(WebSocket):
    """A browser that speaks ``orion.v2``, and has said hello."""

    def __init__(
        self, house: House, host: str = "shop.example", address: str = "192.0.2.7"
    ) -> None:
        super().__init__(house, f"ws://{host}/ws", address, subprotocols=["orion.v2"])
        self.say({"type": "hello"})

    def say(self, header: Mapping[str, Any], payload: str | None = None) -> None:
        text = json.dumps(header) + ("" if payload is None else f"\n{payload}")
        self.send(text.encode())

    def request(self, n: int, payload: str, **more: Any) -> None:
        """Ask for something."""
        self.say({"type": "request", "n": n, **more}, payload)

    @property
    def told(self) -> list[str]:
        """What it has been told since the welcome: ``result 1: payload``, ``error 2 TIMEOUT``;
        without mere acknowledgements."""
        self.pull()
        told = [_told(payload) for payload, _ in self.frames[1:]]
        return [each for each in told if each != "ack"]


def _told(message: bytes) -> str:
    head, _, body = message.decode().partition("\n")
    header = json.loads(head)
    more = [str(header[name]) for name in ("n", "code", "stage") if name in header]
    words = [header["type"], *more]
    return " ".join(words) + (f": {body}" if body else "")
