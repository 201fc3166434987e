"""Sessions over several sockets: resume, keys, what was lost, who is newest, who goes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, ClassVar

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from tests.faults.books import Wish
from tests.faults.browser_v2 import BrowserV2
from tests.faults.doors import Door
from tests.faults.orders import Order, loads
from tests.faults.proxy import Blow, Proxy
from tests.faults.stage import Shape
from tests.faults.table import TableTestCase
from tests.faults.words_v2 import Header, hello, pack, unpack
from tests.harness import free_port

WINDOW = 64


class ResumeTests(TableTestCase):
    tenants: ClassVar[Mapping[str, Shape]] = {
        "own": Shape("orion.v2"),
        "shared": Shape("orion.v2", 2),
        "sharedv1": Shape("orion.v1", 1),
        "short": Shape("orion.v2", 1),
        "small": Shape("orion.v2", 1),
    }
    more: ClassVar[Mapping[str, str]] = {
        "short": 'session = { ttl = "0.5 s" }',
        "small": "session = { window = 8 }",
    }

    # A session by hand

    async def attach(self, tenant: str, *say: Any) -> tuple[ClientConnection, Header]:
        """Return a new socket and its welcome."""
        socket = await self.socket(tenant)
        await socket.send(hello(*say))
        header, payload = unpack(await asyncio.wait_for(socket.recv(), 5))
        self.assertEqual((header["type"], payload), ("welcome", None))
        return socket, header

    async def ask(self, socket: ClientConnection, n: int, **order: Any) -> None:
        text = Order(f"hand.{n}-{n}", **order).text()
        await socket.send(pack({"type": "request", "n": n, "ttl": 20_000}, text))

    async def ends_with(self, socket: ClientConnection, code: int) -> list[Any]:
        """Read to the end of a socket; return what came before."""
        got = []
        try:
            async with asyncio.timeout(5):
                while True:
                    got.append(unpack(await socket.recv()))
        except ConnectionClosed as error:
            self.assertEqual(None if error.rcvd is None else error.rcvd.code, code)
        return got

    async def test_64_results_waiting(self) -> None:
        """They are there, complete and in order, as soon as the new socket is."""
        for tenant in ("own", "shared", "sharedv1"):
            browser = await self.browser(tenant)
            browser.wish(*[Wish("keep", answer=500, ttl=20)] * WINDOW)
            engine = self.engines[tenant]
            await self.kept(tenant, WINDOW)
            sid, key, seen = browser.sid, browser.key, browser.seen
            label = browser.book.session.label
            await browser.vanish()
            engine.let_go()
            await asyncio.sleep(0.2)
            socket = await self.socket(tenant)
            began = time.monotonic()
            await socket.send(hello(sid, key, seen))
            welcome, _ = unpack(await socket.recv())
            got = [unpack(await socket.recv()) for _ in range(WINDOW)]
            took = time.monotonic() - began
            print(f"\n{tenant}: resumed with {WINDOW} results in {1000 * took:.1f} ms")
            self.assertEqual(
                (welcome["sid"], welcome["recovered"], welcome["ack"]), (sid, True, WINDOW)
            )
            numbers = [(header["type"], header["s"], header["n"]) for header, _ in got]
            first = seen + 1
            self.assertEqual(numbers, [("result", first + n, n + 1) for n in range(WINDOW)])
            ids = [(loads(payload or "") or {})["id"] for _, payload in got]
            self.assertEqual(ids, [f"{label}-{n}" for n in range(1, WINDOW + 1)])
            await socket.send(pack({"type": "bye"}))
            await self.ends_with(socket, 1000)

    async def test_resumes_again_and_again(self) -> None:
        """A socket may break at any moment: nothing is lost, nothing comes twice."""
        browsers = [await self.browser(tenant) for tenant in ("own", "shared", "sharedv1")]
        for times in range(25):
            for browser in browsers:
                browser.wish(Wish("push"), Wish("delay", 5), Wish(wants_result=False), Wish())
            await asyncio.sleep(0.002 * times)
            for browser in browsers:
                browser.drop_socket()
            for browser in browsers:
                await browser.saw("resumed", times + 1)
        for tenant, browser in zip(("own", "shared", "sharedv1"), browsers, strict=True):
            await browser.settled()
            self.assertEqual(len(browser.book.sessions), 1)
            names = {each.outcome.name for each in browser.book.messages if each.outcome}
            self.assertEqual(names, {"result", "sent"})
            await browser.pushed(25)
            self.assert_promise(tenant, browser)

    async def test_both_sides_at_once(self) -> None:
        """Link and socket break at the same moment: each message still has its one outcome."""
        for tenant in ("own", "shared"):
            browser, engine = await self.browser(tenant), self.engines[tenant]
            for times in range(15):
                browser.wish(
                    Wish("keep", ttl=20),
                    Wish("reset-once", is_safe=True, ttl=20),
                    Wish(wants_result=False, ttl=20),
                    Wish("delay", 10, is_safe=True, ttl=20),
                )
                await asyncio.sleep(0.001 * times)
                for link in list(engine.links):
                    link.break_off()
                browser.drop_socket()
                await browser.saw("resumed", times + 1)
                engine.let_go()
            while not browser.is_settled:
                engine.let_go()
                await asyncio.sleep(0.01)
            names = {each.outcome.name for each in browser.book.messages if each.outcome}
            self.assertLessEqual(names, {"result", "sent", "OUTCOME_UNKNOWN"})
            self.assertEqual(len(browser.book.sessions), 1)
            self.assert_promise(tenant, browser)

    async def test_lost_pushes_are_told(self) -> None:
        """Pushes that find no room go, the oldest first, and the next welcome says which."""
        browser = await self.browser("small")
        await browser.send(Wish())
        (link,) = self.engines["small"].links
        (sid,) = [sid for sid, label in link.labels.items() if label == browser.book.session.label]
        browser.is_leaving = True
        browser.drop_socket()
        await asyncio.sleep(0.2)
        for _ in range(20):
            link.push(sid)
        await asyncio.sleep(0.2)
        browser.is_leaving = False
        browser.start()
        await browser.until(lambda: browser.seen == 21)
        lost = browser.book.session.lost
        self.assertEqual(browser.welcome["recovered"], False)
        self.assertEqual(browser.welcome["lost"], [[2, 1 + lost]])
        # The result may have had one of the eight places.
        self.assertIn((lost, len(browser.book.session.pushes)), ((12, 8), (13, 7)))
        await browser.send(Wish())
        self.assertEqual(browser.book.complaints, [])
        self.assert_promise("small", browser)

    async def test_keys(self) -> None:
        """The key changes with each attach; the one before is good until something was sent."""
        first, welcome = await self.attach("own")
        sid, key = welcome["sid"], welcome["key"]
        first.transport.abort()
        _, second = await self.attach("own", sid, key, 0)  # its welcome might have been lost
        _, third = await self.attach("own", sid, key, 0)
        socket, fourth = await self.attach("own", sid, third["key"], 0)
        self.assertEqual({each["sid"] for each in (second, third, fourth)}, {sid})
        keys = {key, second["key"], third["key"], fourth["key"]}
        self.assertEqual(len(keys), 4)
        await self.ask(socket, 1)
        await socket.recv()
        for worn in keys - {fourth["key"]}:
            _, other = await self.attach("own", sid, worn, 0)
            self.assertNotEqual(other["sid"], sid)
            self.assertEqual((other["recovered"], other["ack"]), (False, 0))
        _, last = await self.attach("own", sid, fourth["key"], 0)
        self.assertEqual((last["sid"], last["recovered"], last["ack"]), (sid, True, 1))

    async def test_a_session_that_is_gone(self) -> None:
        """After its ttl, or a bye, a session is gone: the next hello begins a new one."""
        socket, welcome = await self.attach("short")
        await self.ask(socket, 1, do="keep")
        socket.transport.abort()
        before = await self.counts()
        await asyncio.sleep(0.8)
        self.assertEqual(await self.counted(before, "sessions_ended", "expired"), 1)
        socket, other = await self.attach("short", welcome["sid"], welcome["key"], 0)
        self.assertNotEqual(other["sid"], welcome["sid"])
        self.assertEqual((other["recovered"], other["ack"]), (False, 0))
        await socket.send(pack({"type": "bye"}))
        await self.ends_with(socket, 1000)
        _, third = await self.attach("short", other["sid"], other["key"], 0)
        self.assertNotEqual(third["sid"], other["sid"])

    @asynccontextmanager
    async def through_a_proxy(self, tenant: str) -> AsyncIterator[tuple[Proxy, Door]]:
        async with Proxy(free_port(), self.gateway.port) as proxy:
            yield proxy, Door(proxy.port, path=f"/{tenant}")

    async def test_the_newest_wins_at_once(self) -> None:
        """A half-open socket holds nobody up: the session goes on with the new one."""
        for tenant in ("own", "shared"):
            async with self.through_a_proxy(tenant) as (proxy, door):
                browser = await self.browser(tenant, door)
                await browser.send(Wish())
                browser.wish(Wish("delay", 500, ttl=20), Wish("delay", 600, ttl=20))
                await browser.handed_over(3)
                await asyncio.sleep(0.1)
                proxy.strike(Blow("stall", seconds=5.0))  # nobody hears that the browser goes
                browser.door = self.door(tenant)
                before = await self.counts()
                began = time.monotonic()
                browser.drop_socket()
                await browser.saw("resumed")
                took = time.monotonic() - began
                print(f"\n{tenant}: the newest had the session after {1000 * took:.0f} ms")
                await browser.settled()
                self.assertEqual(len(browser.book.sessions), 1)
                self.assertEqual(await self.counted(before, "resumes"), 1)
                self.assert_promise(tenant, browser)

    async def test_superseded(self) -> None:
        """The older socket is told why it ends, and hears nothing of the session any more."""
        for tenant in ("own", "shared"):
            old, welcome = await self.attach(tenant)
            await self.ask(old, 1, do="delay", arg=300)
            new, again = await self.attach(tenant, welcome["sid"], welcome["key"], 0)
            self.assertEqual((again["sid"], again["ack"]), (welcome["sid"], 1))
            self.assertEqual(await self.ends_with(old, 4510), [])
            header, _ = unpack(await asyncio.wait_for(new.recv(), 5))
            self.assertEqual((header["type"], header["s"], header["n"]), ("result", 1, 1))

    async def test_drain(self) -> None:
        """Who is in when the gateway stops is told, gets what is under way, and then 1001."""
        with self.start(
            f"--backend=tcp:127.0.0.1:{self.places['own'].port}",
            "--mode=session",
            "--dialect=orion.v2",
            scheme="tcp",
        ) as gateway:
            browser = BrowserV2(self.name(), Door(gateway.port), heartbeat=None)
            browser.start()
            await browser.send(Wish())
            browser.wish(Wish("delay", 1000, ttl=20))
            await browser.until(lambda: len(browser.book.messages) == 2)
            await asyncio.sleep(0.1)
            gateway.terminate()
            await browser.settled()
            self.assertEqual(browser.book.seen["drain"], 1)
            await browser.until(lambda: browser.book.seen["closed with 1001"])
            outcome = browser.book.messages[1].outcome
            self.assertEqual(outcome and outcome.name, "result")
            self.assertEqual(browser.book.complaints, [])
            await browser.vanish()
            await asyncio.to_thread(gateway.wait)
