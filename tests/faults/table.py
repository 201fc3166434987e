"""
Table tests of session mode: a gateway for the class, engines in the event loop of its tests.

    class OutcomeTests(TableTestCase):
        tenants = {"own": Shape("orion.v2")}

        async def test_timeout(self) -> None:
            browser = await self.browser("own")
            message = await browser.send(Wish("drop", ttl=0.3))

The loop lasts as long as the class, so that shared links stay up from one test to the next.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, ClassVar

from websockets.asyncio.client import ClientConnection

from tests.faults.audit import audit
from tests.faults.books import Book, Message
from tests.faults.browser_v1 import BrowserV1
from tests.faults.browser_v2 import BrowserV2
from tests.faults.browsers import Browser
from tests.faults.doors import Door
from tests.faults.engine import Engine
from tests.faults.evidence import Event, Evidence
from tests.faults.places import Listening
from tests.faults.stage import Shape
from tests.faults.watch import Counts, Watch
from tests.harness import PATIENCE, Gateway, GatewayTestCase, free_port

NODE = """
admin = "tcp:{admin}:interface=127.0.0.1"
{dial_in}
[limits]
message = "64 KiB"
connections_per_ip = 10000
connect_rate_per_ip = 0
ping_every = "1 s"
ping_timeout = "1 s"
"""

TENANT = """
[tenant.{name}]
hosts = ["*"]
path = "/{name}"
mode = "session"
dialect = "{dialect}"
framing = "{framing}"
{backend}
{more}
"""

TOKEN = "an-engine-shows-this-3f1a"
"""The secret of engines that dial in."""


class TableTestCase(GatewayTestCase):
    """
    Attributes:
        tenants: the shapes of those that there are, by name; each has an engine of its own.
        more: further settings of a tenant, by its name.
        engines, places: by tenant, of those that are dialled.
        events: the ledger of each engine; all of those that dial in have one.
    """

    tenants: ClassVar[Mapping[str, Shape]]
    more: ClassVar[Mapping[str, str]] = {}
    gateway: ClassVar[Gateway]
    watch: ClassVar[Watch]
    engines: ClassVar[dict[str, Engine]]
    places: ClassVar[dict[str, Listening]]
    events: ClassVar[dict[str, list[Event]]]
    dial_in_port: ClassVar[int]
    _runner: ClassVar[asyncio.Runner]
    _numbers: ClassVar[int]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls._runner = cls.enterClassContext(asyncio.Runner())
        cls._numbers = 0
        cls.engines, cls.places, cls.events = {}, {}, {}
        admin, cls.dial_in_port = free_port(), free_port()
        dial_in = f'dial_in = ["tcp:{cls.dial_in_port}:interface=127.0.0.1", "ws:/orion"]'
        any_dials_in = any(shape.dials_in for shape in cls.tenants.values())
        settings = NODE.format(admin=admin, dial_in=dial_in if any_dials_in else "")
        for name, shape in cls.tenants.items():
            cls.events[name] = []
            settings += TENANT.format(
                name=name,
                dialect=shape.dialect,
                framing=shape.framing,
                backend=cls._await_dialling(name) if shape.dials_in else cls._listen(name, shape),
                more=cls.more.get(name, ""),
            )
        cls.gateway = cls.start_for_class(f"--config={cls.settings_file(settings)}", scheme="tcp")
        cls.gateway.wait_for_port(admin)
        cls.watch = Watch(cls.gateway.pid, admin)

    @classmethod
    def _listen(cls, name: str, shape: Shape) -> str:
        """Start the engine of a tenant; return the settings that lead to it."""
        port = free_port()
        engine = Engine(name, shape.dialect, name, cls.events[name].append)
        engine.keeps_frames = True
        cls.engines[name] = engine
        cls.places[name] = Listening(engine, port, shape.framing)
        cls._runner.run(cls.places[name].open())
        cls.addClassCleanup(cls._runner.run, cls._close(name))
        links = f'"{shape.links}"' if isinstance(shape.links, str) else shape.links
        return f'backend = "tcp:127.0.0.1:{port}"\nlinks = {links}'

    @classmethod
    def _await_dialling(cls, name: str) -> str:
        """Return the settings of a tenant whose engines dial in."""
        token_file = cls.new_folder() / "token"
        token_file.write_text(TOKEN)
        return f'backend = "dial-in"\ndial_in = {{ token_file = "{token_file}" }}'

    @classmethod
    async def _close(cls, name: str) -> None:
        cls.places[name].close()
        for link in list(cls.engines[name].links):
            link.break_off()
        await asyncio.sleep(0)

    def _callTestMethod(self, method: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._runner.run(self._run(method))

    async def _run(self, method: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._browsers: list[Browser] = []
        self._sockets: list[ClientConnection] = []
        try:
            async with asyncio.timeout(2 * PATIENCE):
                await method()
        finally:
            for browser in self._browsers:
                await browser.vanish()
            for socket in self._sockets:
                socket.transport.abort()

    # What tests are made of

    def door(self, tenant: str) -> Door:
        return Door(self.gateway.port, path=f"/{tenant}")

    def name(self) -> str:
        """Return a name that no other browser of the class has."""
        type(self)._numbers += 1
        return f"t{self._numbers}"

    async def browser(self, tenant: str, door: Door | None = None) -> BrowserV2:
        """Return a browser of ``orion.v2`` that is in; it goes with the test."""
        browser = BrowserV2(self.name(), door or self.door(tenant), heartbeat=None)
        await self._enter(browser)
        return browser

    async def browser_v1(self, tenant: str) -> BrowserV1:
        """Return a browser of ``orion.v1`` that is in; it goes with the test."""
        browser = BrowserV1(self.name(), self.door(tenant), heartbeat=None)
        await self._enter(browser)
        return browser

    async def _enter(self, browser: Browser) -> None:
        self._browsers.append(browser)
        browser.start()
        await browser.until(lambda: browser.book.sessions)

    async def socket(self, tenant: str, subprotocol: str | None = "orion.v2") -> ClientConnection:
        """Return a bare WebSocket; it goes with the test."""
        socket = await self.door(tenant).open(subprotocol)
        self._sockets.append(socket)
        return socket

    async def eventually(
        self, condition: Callable[[], object], what: str, within: float = 10.0
    ) -> None:
        """Wait until something holds."""
        deadline = time.monotonic() + within
        while not condition():
            if time.monotonic() > deadline:
                self.fail(f"not within {within:g} s: {what}")
            await asyncio.sleep(0.005)

    async def linked(self, engine: Engine) -> None:
        """Wait until an engine has a link."""
        await self.eventually(lambda: engine.links, "a link")

    async def kept(self, tenant: str, count: int) -> None:
        """Wait until a tenant's engine keeps so many answers."""
        kept = self.engines[tenant].kept
        await self.eventually(lambda: len(kept) == count, f"{count} messages at the engine")

    def got(self, tenant: str, message: Message) -> list[Event]:
        """Return the arrivals of a message at the tenant's engine."""
        return [
            event
            for event in self.events[tenant]
            if event["e"] == "got" and event["id"] == message.order.id
        ]

    async def counts(self) -> Counts:
        return await asyncio.to_thread(self.watch.counts)

    async def counted(self, before: Counts, name: str, reason: str | None = None) -> int:
        """Return how much a counter has grown."""
        return int((await self.counts()).get(name, reason) - before.get(name, reason))

    def assert_promise(self, tenant: str, *browsers: Browser) -> None:
        """The browsers' books and the engine's ledger agree with the promise."""
        books: list[Book] = [browser.book for browser in browsers]
        names = tuple(f"{book.name}." for book in books)
        events = [
            event
            for event in self.events[tenant]
            if event["e"] in ("up", "down", "end", "break")
            or str(event.get("id")).startswith(names)
        ]
        self.assertEqual(audit(Evidence(books, events)), [])
