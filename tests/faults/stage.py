"""
Everything that a run needs: a gateway in one of several shapes, engines, and proxies between them.

    async with Stage(SHAPES["shared-v2"], folder, certificates) as stage:
        browser = BrowserV2("1", stage.doors[0])
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from attrs import frozen

from tests.faults.doors import Door
from tests.faults.evidence import Event
from tests.faults.process import EngineProcess
from tests.faults.proxy import Proxy, Trouble
from tests.faults.watch import Watch
from tests.harness import (
    BUGS,
    ENDED_IN_ORDER,
    Gateway,
    client_context,
    free_port,
)

TENANT = "shop1"
TOKEN = "an-engine-shows-this-3f1a"
MESSAGE = 64 * 1024
"""Bytes of the largest payload."""

SETTINGS = """
admin = "tcp:{admin}:interface=127.0.0.1"
{top}

[limits]
message = {message}
connections_per_ip = 10000
connect_rate_per_ip = 0
pending_handshakes_per_ip = 512
ping_every = "2 s"
ping_timeout = "1.5 s"

[tenant.{tenant}]
hosts = ["localhost"]
mode = "session"
dialect = "{dialect}"
framing = "{framing}"
link_grace = "3 s"
session = {{ ttl = "{ttl} s", window = 32, window_bytes = "256 KiB", deadline = "{deadline} s" }}
{more}
"""


@frozen
class Shape:
    """
    How the gateway and its engines meet.

    Attributes:
        dialect: of the engines.
        links: ``per-browser``, or how many are shared.
        dials_in: ``tcp`` or ``ws`` if the engines dial in; two of them do.
        framing: of TCP links.
    """

    dialect: str = "orion.v2"
    links: str | int = "per-browser"
    dials_in: str = ""
    framing: str = "int32"

    @property
    def places(self) -> Mapping[str, float]:
        """Where faults fall, relative to each other: what meets few links meets all browsers."""
        if self.dials_in or self.links != "per-browser":
            return {"browsers": 6.0, "links": 1.5, "both": 0.7, "engine": 1.0}
        return {"browsers": 5.0, "links": 4.0, "both": 1.0, "engine": 1.5}


SHAPES: Mapping[str, Shape] = {
    "own-v1": Shape("orion.v1"),
    "own-v2": Shape("orion.v2"),
    "shared-v1": Shape("orion.v1", 4, framing="netstring"),
    "shared-v2": Shape("orion.v2", 4),
    "dial-in-tcp": Shape("orion.v2", dials_in="tcp"),
    "dial-in-ws": Shape("orion.v2", dials_in="ws"),
    "dial-in-v1": Shape("orion.v1", dials_in="ws"),
}


class Stage:
    """
    A running gateway with all that is around it.

    Args:
        shape: how it meets its engines.
        folder: for files.
        certificates: the folder of certificates.
        ttl: seconds that a session waits for its browser.
        deadline: seconds that a message may take that says nothing of it.

    Attributes:
        doors: for browsers: one with TLS and one without, each through a proxy.
        browser_proxies, link_proxies: those on either side of the gateway.
        engines: one that is dialled, or two that dial in.
        admin: the port of the gateway's admin pages.
    """

    def __init__(
        self,
        shape: Shape,
        folder: Path,
        certificates: Path,
        *,
        ttl: float = 6.0,
        deadline: float = 6.0,
    ) -> None:
        self.shape = shape
        self._folder = folder
        plain, admin = free_port(), free_port()
        engine_port, link_port = free_port(), free_port()
        self.engines: list[EngineProcess] = []
        top, more = "", ""
        if shape.dials_in:
            token_file = folder / "token"
            token_file.write_text(TOKEN)
            target = engine_port if shape.dials_in == "tcp" else plain
            place = "ws:/orion" if target == plain else f"tcp:{target}:interface=127.0.0.1"
            top = f'dial_in = "{place}"'
            more = f'backend = "dial-in"\ndial_in = {{ token_file = "{token_file}" }}'
            self.link_proxies = [Proxy(link_port, target), Proxy(free_port(), target)]
            for number, proxy in enumerate(self.link_proxies):
                url = f"ws://localhost:{plain}/orion" if target == plain else None
                self._add_engine("ab"[number], port=proxy.port, token=TOKEN, url=url)
        else:
            links = f'"{shape.links}"' if isinstance(shape.links, str) else shape.links
            more = f'backend = "tcp:127.0.0.1:{link_port}"\nlinks = {links}'
            self.link_proxies = [Proxy(link_port, engine_port)]
            self._add_engine("e", port=engine_port)
        settings = folder / "orion-bridge.toml"
        settings.write_text(
            SETTINGS.format(
                admin=admin,
                top=top,
                more=more,
                message=MESSAGE,
                tenant=TENANT,
                dialect=shape.dialect,
                framing=shape.framing,
                ttl=ttl,
                deadline=deadline,
            )
        )
        self._settings, self._certificates = settings, certificates
        self._plain, self.admin = plain, admin
        # The first is told where to lead once the gateway has taken a port.
        self.browser_proxies = [Proxy(free_port(), 0), Proxy(free_port(), plain)]
        contexts = (client_context(certificates / "ca.pem"), None)
        self.doors = [
            Door(proxy.port, context)
            for proxy, context in zip(self.browser_proxies, contexts, strict=True)
        ]

    def _add_engine(self, name: str, **setup: Any) -> None:
        setup |= {"dialect": self.shape.dialect, "tenant": TENANT, "framing": self.shape.framing}
        self.engines.append(EngineProcess(self._folder, name=name, **setup))

    async def __aenter__(self) -> Self:
        for proxy in (*self.browser_proxies, *self.link_proxies):
            await proxy.open()
        for engine in self.engines:
            await asyncio.to_thread(engine.start)
        await asyncio.to_thread(self._start_gateway)
        return self

    def _start_gateway(self) -> None:
        self.gateway = Gateway(
            [f"--config={self._settings}", "--fallback=localhost"],
            self._folder,
            self._certificates,
            also=[f"tcp:{self._plain}:interface=127.0.0.1"],
        )
        self.gateway.wait_for_port(self._plain)
        self.gateway.wait_for_port(self.admin)
        self.watch = Watch(self.gateway.pid, self.admin)
        self.browser_proxies[0].target = self.gateway.port

    async def __aexit__(self, *_: object) -> None:
        try:
            status = await asyncio.to_thread(self.gateway.stop)
        finally:
            for engine in self.engines:
                engine.stop()
            for proxy in (*self.browser_proxies, *self.link_proxies):
                await proxy.close()
        bug = BUGS.search(self.gateway.log)
        if bug is not None:
            start = max(bug.start() - 500, 0)
            raise AssertionError(
                f"the gateway's log has a bug:\n{self.gateway.log[start:][:4000]}"
            )
        if status != ENDED_IN_ORDER:
            raise AssertionError(f"the gateway ended with {status}:\n{self.gateway.log[-4000:]}")

    @property
    def links(self) -> int:
        """How many links there are without any session."""
        if self.shape.dials_in:
            return len(self.engines)
        return 0 if isinstance(self.shape.links, str) else self.shape.links

    @property
    def troubles(self) -> list[Trouble]:
        """What was done to links."""
        return [trouble for proxy in self.link_proxies for trouble in proxy.troubles]

    @property
    def browser_troubles(self) -> list[Trouble]:
        """What was done to browsers' sockets."""
        return [trouble for proxy in self.browser_proxies for trouble in proxy.troubles]

    def events(self) -> list[Event]:
        """Return the ledgers of all engines."""
        return [event for engine in self.engines for event in engine.read_ledger()]

    def calm(self) -> None:
        """Let no more blows fall."""
        for proxy in (*self.browser_proxies, *self.link_proxies):
            proxy.calm()
