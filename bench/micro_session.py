"""
What session mode costs by itself: ``python -m bench.micro_session``.

The gateway's own sockets, attachments, sessions, lines and links carry messages of 64 bytes by
turns, as in ``rr-64``, between transports that only take note of what is written: no TLS, no
system call, no reactor. Microseconds of CPU time a message, there and back, the least of several
rounds; calls a message, of Python's functions and of those in C. ``own`` is what session mode
costs beside relay mode, which carries the same messages in the same way: there, from the browser
to the backend, and back. With ``--cold`` the caches are filled with something else before each
read, as the system's own work does.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import pstats
import sys
from collections.abc import Callable
from functools import partial
from math import inf
from time import monotonic, thread_time_ns
from types import FrameType
from typing import Any

from attrs import frozen
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from zope.interface import implementer

from bench.backends import Echo, Framed, OrionV1, OrionV2
from bench.catalogue import RUNGS
from bench.frames import Upgrade, WebSocketFraming, WrongReply
from bench.talks import Cycle, EchoTalk, OrionV1Talk, OrionV2Talk, Talk
from orion_twisted.core.counters import Counters
from orion_twisted.core.fields import PerformanceName
from orion_twisted.core.settings import Limits, Settings, Tenant
from orion_twisted.service.attachment import AttachmentV1, AttachmentV2
from orion_twisted.service.browser_end import BrowserEnd
from orion_twisted.service.relay import RelayBridge
from orion_twisted.service.sessions import sessions_of
from orion_twisted.service.sockets import socket_factory
from orion_twisted.service.surroundings import surroundings

SIZE = 64
BROWSERS = 8
MESSAGES = 800
"""In a round, of all browsers together."""
SPOILED = 512 * 1024
"""Bytes that are copied to make caches cold: more than those next to the processor hold."""


Take = Callable[[bytes], None]


class Wire:
    """A connection that keeps what was written last, until it is taken."""

    disconnecting = False
    TLS = False

    def __init__(self) -> None:
        self._written: list[bytes] = []

    def write(self, data: bytes) -> None:
        self._written.append(data)

    def take(self) -> bytes:
        """Return what has been written since the last time."""
        written, self._written = self._written, []
        return b"".join(written)

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", 50000)

    getHost = getPeer

    def pauseProducing(self) -> None:
        """Nobody sends what is not asked for."""

    def resumeProducing(self) -> None:
        """Likewise."""

    def registerProducer(self, producer: object, streaming: bool) -> None:
        """It is never full."""

    def unregisterProducer(self) -> None:
        """Likewise."""

    def loseConnection(self) -> None:
        """The process ends before that matters."""

    abortConnection = loseWriteConnection = loseConnection


class Time(Clock):
    """Timers that never fire, by the clock that the reactor has."""

    seconds = staticmethod(monotonic)


@implementer(IStreamClientEndpoint)
class Backends:
    """Takes every call, at once."""

    def __init__(self) -> None:
        self.links: list[tuple[Protocol, Wire]] = []

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:
        wire = Wire()
        protocol: Any = protocolFactory.buildProtocol(wire.getPeer())
        self.links.append((protocol, wire))
        protocol.makeConnection(wire)
        return succeed(protocol)


@frozen
class Way:
    """
    How messages are carried.

    Attributes:
        name: what it is called in the table.
        tenant: what its settings say.
        subprotocol: that the browsers ask for.
        talk: makes what a browser says, and checks what it is told.
        backend: makes what answers.
    """

    name: str
    tenant: dict[str, Any]
    subprotocol: str | None
    talk: Callable[[int], Talk]
    backend: Callable[[], Echo | Framed]


def _v1(start: int) -> Talk:
    return OrionV1Talk(WebSocketFraming(), SIZE, start)


def _v2(start: int) -> Talk:
    return OrionV2Talk(WebSocketFraming(), SIZE, start)


def _echo(start: int) -> Talk:
    return EchoTalk(Cycle(WebSocketFraming(), SIZE), start)


def _session(dialect: str, links: int) -> dict[str, Any]:
    return {"mode": "session", "dialect": dialect, "links": links}


WAYS = (
    Way("relay", {"mode": "relay", "message_type": "binary"}, None, _echo, Echo),
    Way("v1, own links", _session("orion.v1", 0), "orion.v1", _v1, OrionV1),
    Way("v1, shared links", _session("orion.v1", 1), "orion.v1", _v1, OrionV1),
    Way("v2, own links", _session("orion.v2", 0), "orion.v2", _v2, OrionV2),
    Way("v2, shared links", _session("orion.v2", 1), "orion.v2", _v2, OrionV2),
)


class Stage:
    """Browsers, their gateway and its backends, in one process."""

    def __init__(
        self, way: Way, performance: PerformanceName, spoil: Callable[[], None] | None = None
    ) -> None:
        self._spoil = spoil
        backends = Backends()
        tenant = Tenant(name="bench", hosts=("*",), backend=("tcp:127.0.0.1:7000",), **way.tenant)
        settings = Settings(
            tenants=(tenant,),
            performance=performance,
            limits=Limits(connections_per_ip=BROWSERS),
        )
        around = surroundings(
            settings,
            tenant,
            [("tcp:127.0.0.1:7000", backends)],
            Counters(),
            Time(),
            browsers=lambda: BROWSERS,
            link_count=lambda change: None,
        )
        sessions = sessions_of(settings, [around]).get("bench")
        if sessions is not None:
            sessions.backends.start()
        sockets = socket_factory(settings.limits, around)
        self._browsers: list[tuple[Any, Wire, Talk]] = []
        for number in range(BROWSERS):
            end: BrowserEnd
            if sessions is None:
                end = RelayBridge(around, "127.0.0.1", _gone)
            elif way.subprotocol == "orion.v2":
                end = AttachmentV2(sessions, "127.0.0.1", _gone)
            else:
                end = AttachmentV1(sessions, "127.0.0.1", _gone)
            end.dial()
            self._browsers.append(_browser(sockets.connect(end, way.subprotocol), way, number))
        for browser, wire, talk in self._browsers:
            if not talk.is_open:
                browser.dataReceived(talk.opening)
                talk.receive(wire.take())
        self._links = [(link, wire, way.backend()) for link, wire in backends.links]
        self._turns = 0

    def run(self, messages: int) -> tuple[float, float]:
        """Carry messages; returns how many microseconds one took there, and how many back."""
        times: list[int] = []

        def timed(take: Take, data: bytes) -> None:
            if self._spoil is not None:
                self._spoil()
            began = thread_time_ns()
            take(data)
            times.append(thread_time_ns() - began)

        self._carry(messages, timed)
        there, back = sum(times[::2]), sum(times[1::2])
        return there / messages / 1000, back / messages / 1000

    def calls(self, messages: int) -> tuple[float, float]:
        """Return how many functions of Python and of C are called for a message."""
        counts = {"call": 0, "c_call": 0}

        def count(frame: FrameType, event: str, argument: object) -> None:
            if event in counts:
                counts[event] += 1

        # As partial objects: those are no functions, and not counted.
        on, off = partial(sys.setprofile, count), partial(sys.setprofile, None)
        self._carry(messages, partial(_between, on, off))
        return counts["call"] / messages, counts["c_call"] / messages

    def profile(self, messages: int) -> cProfile.Profile:
        """Return where the time goes."""
        profile = cProfile.Profile()
        self._carry(messages, partial(_between, profile.enable, profile.disable))
        return profile

    def _carry(self, messages: int, hand: Callable[[Take, bytes], None]) -> None:
        """Carry messages, each when the one before is answered; the gateway is handed them."""
        browsers, links = self._browsers, self._links
        for turn in range(self._turns, self._turns + messages):
            browser, wire, talk = browsers[turn % len(browsers)]
            link, link_wire, backend = links[turn % len(links)]
            hand(browser.dataReceived, talk.next(1))
            hand(link.dataReceived, backend.receive(link_wire.take()))
            if talk.receive(wire.take()) != 1:
                raise WrongReply("more than one reply, or none")
        self._turns += messages


def _between(
    begin: Callable[[], object], end: Callable[[], object], take: Take, data: bytes
) -> None:
    begin()
    try:
        take(data)
    finally:
        end()


def _spoiler() -> Callable[[], None]:
    source, target = bytearray(SPOILED), bytearray(SPOILED)

    def spoil() -> None:
        target[:] = source

    return spoil


def _gone(end: object) -> None:
    raise AssertionError(f"{end} has ended")


def _browser(protocol: Any, way: Way, number: int) -> tuple[Any, Wire, Talk]:
    """Let a browser in; returns its socket, its connection, and what it says."""
    wire = Wire()
    protocol.makeConnection(wire)
    upgrade = Upgrade("localhost:443", "/ws", way.subprotocol, bytes([number]) * 16)
    protocol.dataReceived(upgrade.request)
    assert upgrade.feed(wire.take()) == b""
    return protocol, wire, way.talk(number)


def main() -> None:
    """Print a table."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[2])
    arguments.add_argument("--rounds", type=int, default=40, help=f"of {MESSAGES} messages")
    arguments.add_argument("--performance", choices=RUNGS, default="full")
    arguments.add_argument("--cold", action="store_true", help="with cold caches")
    arguments.add_argument("--profile", choices=[way.name for way in WAYS], help="of one way")
    options = arguments.parse_args()
    if options.profile:
        (way,) = (each for each in WAYS if each.name == options.profile)
        stage = Stage(way, options.performance)
        stage.run(MESSAGES)
        pstats.Stats(stage.profile(MESSAGES)).sort_stats("tottime").print_stats(60)
        return
    spoil = _spoiler() if options.cold else None
    stages = {way.name: Stage(way, options.performance, spoil) for way in WAYS}
    for stage in stages.values():
        stage.run(MESSAGES)
    gc.collect()
    gc.freeze()
    least = dict.fromkeys(stages, (inf, inf))
    for _ in range(options.rounds):
        for name, stage in stages.items():
            there, back = stage.run(MESSAGES)
            least[name] = min(least[name][0], there), min(least[name][1], back)
    base_there, base_back = least[WAYS[0].name]
    print(f"{'':18}{'us a message':>14}{'own, there':>12}{'own, back':>12}{'calls':>8}{'in C':>8}")
    for name, stage in stages.items():
        there, back = least[name]
        python, c = stage.calls(MESSAGES // 4)
        own = f"{there - base_there:12.2f}{back - base_back:12.2f}"
        print(f"{name:18}{there + back:14.2f}{own}{python:8.1f}{c:8.1f}")


if __name__ == "__main__":
    main()
