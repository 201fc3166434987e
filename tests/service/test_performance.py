"""
The ladder of `performance`: what a gateway is made of on each rung, and what it says of that.

A gateway, its backend and a browser are in one process, over real sockets, both with TLS.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import txaio
from twisted.internet import tcp
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs
from twisted.protocols import tls
from twisted.protocols.tls import BufferingTLSTransport
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted import net
from orion_twisted.core import wsframes, wsframes_py
from orion_twisted.net import garbage, heap, leanreactor, leantls, lightsockets
from orion_twisted.net.browser import BrowserProtocol
from orion_twisted.net.eager import EagerClient, EagerServer
from orion_twisted.net.hotpath import HotBrowserProtocol, SplicedLink
from orion_twisted.net.leantls import LeanTLSProtocol
from orion_twisted.net.links import BackendLink, FramedLink, StreamLink
from orion_twisted.net.sessionlinks import SessionLink
from orion_twisted.service.gateway import Gateway
from orion_twisted.service.performance import (
    LEAN_REACTOR,
    Pace,
    install_reactor,
    steps,
    why_not_lean_reactor,
)
from orion_twisted.service.startup import prepare, read_settings
from tests.certificates import empty_folder
from tests.harness import REPOSITORY, client_context, free_port, make_certificates
from tests.net.sockets import Loop
from tests.service.test_survivors import MODES, Engine, Visitor, enters, listen

RUNGS = ("stock", "portable", "full")

SETTINGS = """
listen = ["tls:{port}:interface=127.0.0.1"]
certificates = "certs"
fallback = "localhost"
performance = "{performance}"

[tenant.shop]
hosts = ["*"]
backend = '{backend}'
{mode}
"""


STAYS = b"<it is in>"
"""What a visitor has received that is in, and will stay."""


def stays(visitor: Visitor) -> Iterator[bytes]:
    """Go in, and stay."""
    yield from enters(visitor)
    visitor.received += STAYS
    yield b"nothing that ever comes"


class InUseTests(SynchronousTestCase):
    """Which classes carry a browser's messages."""

    def setUp(self) -> None:
        self.loop = Loop()
        self.addCleanup(self.loop.close)
        self.patch(txaio.config, "loop", self.loop.reactor)
        self.patch(tls, "_get_default_clock", lambda: self.loop.reactor)
        self.folder = empty_folder(self)
        self.authority = make_certificates(self.folder / "certs", "localhost")
        self.links: list[BackendLink] = []
        come_up = BackendLink._come_up

        def comes_up(link: BackendLink) -> None:
            self.links.append(link)
            come_up(link)

        self.patch(BackendLink, "_come_up", comes_up)

    def serve(self, performance: str, mode: str) -> tuple[Any, Any]:
        """Have a browser come in; return its socket, and the link that has answered it."""
        engines = Factory.forProtocol(Engine)
        engines.noisy = False
        backend = listen(self.loop.reactor, engines, self.authority)
        port = free_port()
        file = Path(self.folder, "orion-bridge.toml")
        file.write_text(
            SETTINGS.format(port=port, backend=backend, performance=performance, mode=MODES[mode])
        )
        self.links.clear()
        gateway = prepare(read_settings(file, {}), self.loop.reactor)
        gateway.privilegedStartService()
        gateway.startService()
        self.addCleanup(gateway.stopService)
        visitor = Visitor(port, mode, client_context(self.authority), stays)
        self.addCleanup(visitor.socket.close)
        self.loop.until(lambda: visitor.go_on() or STAYS in visitor.received, "it is in")
        return self.browser_of(gateway), self.links[0]

    def browser_of(self, gateway: Gateway) -> Any:
        (end,) = gateway._door._browsers
        return end._browser

    def test_stock(self) -> None:
        """With ``stock`` all is Twisted's and Autobahn's, in every mode."""
        for mode, kind in (
            ("relay", FramedLink),
            ("tunnel", StreamLink),
            ("shared", SessionLink),
        ):
            browser, link = self.serve("stock", mode)
            self.assertIs(type(browser), BrowserProtocol)
            self.assertIn("http_headers", vars(browser))
            self.assertIs(type(link), kind)
            for each, socket in ((browser, tcp.Server), (link, tcp.Client)):
                self.assertIs(type(each.transport), BufferingTLSTransport)
                self.assertIs(type(each.transport.transport), socket)

    def test_our_own(self) -> None:
        """On the rungs above it all steps are taken, on both sides."""
        for performance in ("portable", "full"):
            for mode, kind in (
                ("relay", SplicedLink),
                ("tunnel", StreamLink),
                ("session", SessionLink),
                ("shared", SessionLink),
            ):
                browser, link = self.serve(performance, mode)
                self.assertIsInstance(browser, HotBrowserProtocol)
                self.assertIs(type(browser).heavy, HotBrowserProtocol)
                self.assertNotIn("http_headers", vars(browser))
                self.assertNotIn("autoPingSize", vars(browser))
                self.assertIs(type(link), kind)
                for each, socket in ((browser, EagerServer), (link, EagerClient)):
                    self.assertIs(type(each.transport), LeanTLSProtocol)
                    self.assertIs(type(each.transport.transport), socket)
                has_twin = isinstance(browser._reader, wsframes_py.FrameReader)
                is_portable = performance == "portable" or wsframes.why_not_c() is not None
                self.assertEqual(has_twin, is_portable)

    def test_what_cannot_be_had(self) -> None:
        """A step that cannot be had is told of once, and the part below it carries on."""
        self.patch(leantls, "why_not", lambda: "no records")
        self.patch(lightsockets, "why_not", lambda: "no options")
        with capturedLogs() as events:
            browser, link = self.serve("full", "relay")
        told = [(each["step"], each["missing"]) for each in events if "step" in each]
        missing = [(each.name, each.missing) for each in steps("full") if each.missing is not None]
        self.assertEqual(told, missing)
        self.assertIn(("lean TLS", "no records"), told)
        self.assertIn(("light sockets", "no options"), told)
        self.assertIs(type(browser), HotBrowserProtocol)
        self.assertIs(type(link), SplicedLink)
        for each, socket in ((browser, EagerServer), (link, EagerClient)):
            self.assertIs(type(each.transport), BufferingTLSTransport)
            self.assertIs(type(each.transport.transport), socket)


class PaceTests(SynchronousTestCase):
    """What happens once, when the process has started."""

    def setUp(self) -> None:
        self.settled = self.kept = 0
        self.patch(garbage, "settle", self.settle)
        self.patch(heap, "keep", self.keep)

    def settle(self) -> None:
        self.settled += 1

    def keep(self) -> None:
        self.kept += 1

    def start(self, performance: str) -> str:
        """Start a process; return what it says."""
        reactor: Any = MemoryReactorClock()
        pace = Pace(performance, reactor)
        with capturedLogs() as events:
            pace.startService()
            self.assertEqual((self.settled, events), (0, []))
            reactor.run()
        (event,) = events
        self.assertEqual(event["performance"], performance)
        return str(event["steps"])

    def test_the_rungs(self) -> None:
        """Collector and heap settle once the reactor runs, but with ``stock``; what is in use is
        told."""
        for performance, times in (("stock", 0), ("portable", 1), ("full", 1)):
            self.settled = self.kept = 0
            said = self.start(performance)
            self.assertEqual((self.settled, self.kept), (times, times))
            names = [each.name for each in steps(performance) if each.missing is None]
            shown = ", ".join(name for name in names if name != LEAN_REACTOR)
            self.assertEqual(said, shown or "no steps of our own")

    def test_another_collector(self) -> None:
        """A Python whose collector is another one is left as it is."""
        self.patch(garbage, "why_not", lambda: "gc has no freeze")
        self.assertNotIn("collections", self.start("full"))
        self.assertEqual((self.settled, self.kept), (0, 1))

    def test_another_heap(self) -> None:
        """So is a C library whose heap is another one."""
        self.patch(heap, "why_not", lambda: "the C library is not glibc")
        self.assertNotIn("heap", self.start("full"))
        self.assertEqual((self.settled, self.kept), (1, 0))

    def test_of_every_gateway(self) -> None:
        """What twistd runs, and what a worker runs, has it, with the rung of the settings."""
        for performance in RUNGS:
            file = empty_folder(self) / "orion-bridge.toml"
            file.write_text(
                f'listen = ["tcp:8888"]\nperformance = "{performance}"\n'
                '[tenant.shop]\nhosts = ["*"]\nbackend = "tcp:127.0.0.1:7000"\n'
            )
            reactor: Any = MemoryReactorClock()
            gateway = prepare(read_settings(file, {}), reactor)
            gateway.startService()
            self.addCleanup(gateway.stopService)
            with capturedLogs() as events:
                reactor.run()
            said = [each for each in events if "steps" in each]
            self.assertEqual([each["performance"] for each in said], [performance])


INSTALL = """
import sys
if {blocked}:
    sys.modules["orion_twisted.net.leanreactor"] = None
from orion_twisted.service import worker
worker.install_reactor({performance!r})
from twisted.internet import reactor
print(type(reactor).__name__, reactor.__class__.__module__)
"""


class ReactorTests(SynchronousTestCase):
    """The lean reactor in workers."""

    def setUp(self) -> None:
        why_not_lean_reactor.cache_clear()
        self.addCleanup(why_not_lean_reactor.cache_clear)

    def installed(self, performance: str, blocked: bool = False) -> str:
        """Return which reactor a process has that installs its own, as a worker does."""
        return subprocess.run(
            [sys.executable, "-c", INSTALL.format(performance=performance, blocked=blocked)],
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout.split()[0]

    def test_installed(self) -> None:
        """It is installed on both rungs above ``stock``, where it can be had."""
        self.assertEqual(
            [self.installed(each) for each in RUNGS],
            ["EPollReactor", "LeanReactor", "LeanReactor"],
        )
        self.assertEqual(self.installed("full", blocked=True), "EPollReactor")

    def test_all_is_well(self) -> None:
        """To find out takes no descriptors, and installs nothing."""
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            why_not_lean_reactor.cache_clear()
            self.assertIsNone(why_not_lean_reactor())
        self.assertLessEqual(len(os.listdir("/proc/self/fd")), before + 3)  # until collected

    def test_no_epoll(self) -> None:
        """On a system without epoll(7) the reason is that."""
        blocked: dict[str, Any] = {"orion_twisted.net.leanreactor": None}
        with patch.dict(vars(net)), patch.dict(sys.modules, blocked):
            del vars(net)["leanreactor"]
            self.assertEqual(why_not_lean_reactor(), "this system has no epoll(7)")

    def test_changed(self) -> None:
        """With a Twisted that has changed nothing is installed; who prepares the gateway says
        why, and nobody else."""
        text = "EPollReactor has no _selectables"
        self.patch(leanreactor, "why_not", lambda _: text)
        with patch.object(leanreactor, "install") as install, capturedLogs() as events:
            for performance in RUNGS:
                install_reactor(performance)
        install.assert_not_called()
        self.assertEqual(events, [])
        *_, last = steps("full")
        self.assertEqual(str(last), f"{LEAN_REACTOR}: not in use, {text}")
