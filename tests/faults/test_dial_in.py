"""Engines that dial in, several of a tenant, by TCP and by WebSocket; and those not let in."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, ClassVar

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.e2e.backends import frame
from tests.faults.books import Wish
from tests.faults.engine import Engine
from tests.faults.orders import dumps
from tests.faults.places import DiallingIn, tell
from tests.faults.stage import Shape
from tests.faults.table import TOKEN, TableTestCase

GOOD = {"type": "hello", "tenant": "v2", "token": TOKEN}


class DialInTests(TableTestCase):
    tenants: ClassVar[Mapping[str, Shape]] = {
        "v1": Shape("orion.v1", dials_in="both"),
        "v2": Shape("orion.v2", dials_in="both"),
    }

    async def asyncTearDown(self) -> None:
        for place, engine in self._instances:
            place.close()
            for link in list(engine.links):
                link.break_off()
        await asyncio.sleep(0)

    async def _run(self, method: Any) -> None:
        self._instances: list[tuple[DiallingIn, Engine]] = []
        try:
            await super()._run(method)
        finally:
            await self.asyncTearDown()

    def url(self) -> str:
        return f"ws://127.0.0.1:{self.gateway.port}/orion"

    async def instance(self, tenant: str, name: str, by: str) -> tuple[Engine, DiallingIn]:
        """Return an engine that has dialled in, and is in; it goes with the test."""
        dialect = self.tenants[tenant].dialect
        engine = Engine(f"{name}-{time.monotonic()}", dialect, tenant, self.events[tenant].append)
        if by == "tcp":
            place = DiallingIn(engine, self.dial_in_port, TOKEN)
        else:
            place = DiallingIn(engine, self.gateway.port, TOKEN, url=self.url())
        self._instances.append((place, engine))
        before = await self.counts()
        await place.open()
        while not await self.counted(before, "dial_ins"):
            await asyncio.sleep(0.01)
        return engine, place

    async def test_two_instances(self) -> None:
        """The sessions are spread over both; one that leaves hands its own to the other."""
        for tenant in self.tenants:
            for ways in (("tcp", "tcp"), ("ws", "ws"), ("tcp", "ws")):
                first, place = await self.instance(tenant, "first", ways[0])
                second, _ = await self.instance(tenant, "second", ways[1])
                browsers = [await self.browser(tenant) for _ in range(6)]
                for browser in browsers:
                    await browser.send(Wish())
                at_first = set(first.links[0].labels.values())
                at_second = set(second.links[0].labels.values())
                labels = {browser.book.session.label for browser in browsers}
                self.assertEqual((len(at_first & labels), len(at_second & labels)), (3, 3))
                for browser in browsers:
                    browser.wish(*[Wish("delay", 30)] * 5)
                await asyncio.sleep(0.01)
                tell(first, place, {"do": "leave", "seconds": 0.5})
                for browser in browsers:
                    browser.wish(*[Wish(is_safe=True), Wish(wants_result=False)] * 5)
                for browser in browsers:
                    await browser.settled()
                    last = [
                        each.outcome.name for each in browser.book.messages[-2:] if each.outcome
                    ]
                    self.assertEqual(last, ["result", "sent"])
                self.assertLessEqual(labels, set(second.links[0].labels.values()))
                await self.linked(first)
                self.assert_promise(tenant, *browsers)
                for browser in browsers:
                    await browser.leave()
                await self.asyncTearDown()
                self._instances.clear()
                await self.nobody_in()

    async def nobody_in(self) -> None:
        """Wait until the gateway has no link any more."""
        async with asyncio.timeout(10):
            while (await self.counts()).links:
                await asyncio.sleep(0.01)

    async def test_waits_for_one(self) -> None:
        """What is handed over before any engine is there waits for the first that comes."""
        for by in ("tcp", "ws"):
            await self.nobody_in()
            browser = await self.browser("v2")
            browser.wish(Wish("push", ttl=20), Wish(wants_result=False, ttl=20), Wish(ttl=20))
            await browser.handed_over(3)
            await self.instance("v2", "late", by)
            await browser.settled()
            self.assert_promise("v2", browser)
            names = [each.outcome.name for each in browser.book.messages if each.outcome]
            self.assertEqual(names, ["result", "sent", "result"])
            await self.asyncTearDown()
            self._instances.clear()

    async def refused_by_tcp(self, data: bytes, within: float = 2.0) -> None:
        """Send something; be cut off without a word."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.dial_in_port)
        writer.write(data)
        with suppress(ConnectionResetError):
            self.assertEqual(await asyncio.wait_for(reader.read(), within), b"")
        writer.close()

    async def refused_by_websocket(self, message: str | bytes) -> int | None:
        """Send something; return what the connection is closed with."""
        async with connect(self.url(), proxy=None, compression=None) as socket:
            await socket.send(message)
            try:
                await asyncio.wait_for(socket.recv(), 2)
            except ConnectionClosed as error:
                return None if error.rcvd is None else error.rcvd.code
        self.fail("it was let in")

    async def test_refused(self) -> None:
        """Who shows no good hello is not let in, and learns nothing but that."""
        bad: list[dict[str, Any]] = [
            {**GOOD, "token": "wrong"},
            {**GOOD, "token": ""},
            {**GOOD, "token": TOKEN + "x"},
            {**GOOD, "tenant": "nobody"},
            {"type": "hello", "tenant": "v2"},
            {"type": "hello", "token": TOKEN},
            {**GOOD, "token": 7},
            {"type": "push", "tenant": "v2"},
        ]
        before = await self.counts()
        words = [dumps(each) for each in bad]
        words += [
            "",
            "no JSON",
            "[]",
            json.dumps(GOOD) + "\npayload",
        ]
        for text in words:
            await self.refused_by_tcp(frame(text.encode()))
            self.assertEqual(await self.refused_by_websocket(text), 4508, text)
        large = dumps({**GOOD, "x": "y" * 9000})
        await self.refused_by_tcp(frame(large.encode()))
        self.assertEqual(await self.refused_by_websocket(large), 1009)
        await self.refused_by_tcp(b"\x7f\xff\xff\xff" + b"x" * 100)
        await self.refused_by_tcp(b"GET / HTTP/1.1\r\n\r\n")
        self.assertEqual(await self.counted(before, "dial_ins"), 0)
        self.assertEqual(await self.counted(before, "dial_ins_refused"), 2 * len(words) + 4)

    async def test_silent_at_the_door(self) -> None:
        """Who says nothing for 5 s is sent away."""
        began = time.monotonic()
        async with connect(self.url(), proxy=None, compression=None) as socket:
            await self.refused_by_tcp(frame(b"half")[:3], within=8)
            self.assertGreater(time.monotonic() - began, 4)
            with self.assertRaises(ConnectionClosed) as caught:
                await asyncio.wait_for(socket.recv(), 8)
        rcvd = caught.exception.rcvd
        self.assertEqual(rcvd and rcvd.code, 4008)

    async def test_a_second_hello(self) -> None:
        """Whoever is in and says hello again breaks the contract: its link ends, no other's."""
        engine, place = await self.instance("v2", "one", "tcp")
        browser = await self.browser("v2")
        await browser.send(Wish())
        before = await self.counts()
        (link,) = engine.links
        link.wire.send(engine.hello_for(TOKEN))
        await self.eventually(lambda: link not in engine.links, "the link's end")
        self.assertEqual(await self.counted(before, "links_lost", "BACKEND_ERROR"), 1)
        message = await browser.send(Wish(ttl=20))
        self.assertEqual(message.outcome and message.outcome.name, "result")
        place.close()
