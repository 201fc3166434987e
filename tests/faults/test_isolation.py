"""One shared link, and browsers that misbehave on it: the others do not notice."""

from __future__ import annotations

import asyncio
import socket
import statistics
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import ClassVar

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from tests.faults.books import Wish
from tests.faults.browser_v2 import BrowserV2
from tests.faults.orders import Order, loads
from tests.faults.stage import Shape
from tests.faults.table import TableTestCase
from tests.faults.words_v2 import hello, pack, unpack

OTHERS = 5
"""How many well-behaved browsers share the link."""

WINDOW = 64
"""Messages that a browser may have under way: the default."""

PUSH = 60_000
"""Bytes of a push to somebody who does not read."""

PAUSE = 0.005
"""Seconds between two messages of each."""


class IsolationTests(TableTestCase):
    """Tenants with one shared link each: whoever disturbs it disturbs everybody."""

    tenants: ClassVar[Mapping[str, Shape]] = {
        "v1": Shape("orion.v1", 1),
        "v2": Shape("orion.v2", 1),
    }

    more: ClassVar[Mapping[str, str]] = {
        "v1": 'session = { window_bytes = "64 KiB" }',
        "v2": 'session = { window_bytes = "64 KiB" }',
    }

    @asynccontextmanager
    async def others(self, tenant: str, what: str) -> AsyncIterator[None]:
        """Have well-behaved browsers talk all the while, and look at what they got."""
        browsers = [await self.browser(tenant) for _ in range(OTHERS)]
        before = await self.counts()
        calm = await self._talk(browsers, 0.5)
        talking = asyncio.create_task(self._talk(browsers, None))
        await asyncio.sleep(0.05)
        try:
            yield
        finally:
            self._over.set()
            meanwhile = await talking
        print(
            f"\n{tenant}, {what}: answers to others after"
            f" {1000 * statistics.median(calm):.1f} ms before, at most {1000 * max(calm):.1f};"
            f" {1000 * statistics.median(meanwhile):.1f} ms meanwhile,"
            f" at most {1000 * max(meanwhile):.1f}"
        )
        for browser in browsers:
            names = {each.outcome.name for each in browser.book.messages if each.outcome}
            self.assertEqual(names, {"result"})
            at = [each.outcome.at for each in browser.book.messages if each.outcome]
            self.assertEqual(at, sorted(at), "answers have kept their order")
            self.assertEqual((len(browser.book.sessions), browser.book.seen["resumed"]), (1, 0))
        self.assertEqual(await self.counted(before, "links_lost"), 0)
        self.assert_promise(tenant, *browsers)

    async def _talk(self, browsers: list[BrowserV2], seconds: float | None) -> list[float]:
        """Have browsers ask one thing after the other; return how long the answers took."""
        self._over = asyncio.Event()
        took: list[float] = []

        async def talk(browser: BrowserV2) -> None:
            while not self._over.is_set():
                message = await browser.send(Wish(pad=50, answer=50))
                assert message.outcome is not None
                took.append(message.outcome.at - message.handed)
                await asyncio.sleep(PAUSE)

        async with asyncio.TaskGroup() as group:
            for browser in browsers:
                group.create_task(talk(browser))
            if seconds is not None:
                await asyncio.sleep(seconds)
                self._over.set()
        return took

    async def enter(self, tenant: str) -> ClientConnection:
        """Return a socket with a session of orion.v2."""
        connection = await self.socket(tenant)
        await connection.send(hello())
        await connection.recv()
        return connection

    async def waiting(self, tenant: str) -> float:
        """Return how many sessions wait for their browser."""
        return (await self.counts()).get("open_sessions", f"waiting/{tenant}")

    @staticmethod
    def raw(connection: ClientConnection) -> socket.socket:
        found: socket.socket = connection.transport.get_extra_info("socket")
        return found

    async def closed_with(self, connection: ClientConnection) -> int | None:
        """Read to the end; return the close code."""
        try:
            async with asyncio.timeout(10):
                while True:
                    await connection.recv()
        except ConnectionClosed as error:
            return None if error.rcvd is None else error.rcvd.code

    async def test_vanishes_inside_a_message(self) -> None:
        """Browsers that break off in the middle of a message are gone, and that is all."""
        text = Order("gone.1-1", pad=3000).text()
        whole = Frame(Opcode.TEXT, f'{{"type":"request","n":1}}\n{text}'.encode())
        for tenant in self.tenants:
            async with self.others(tenant, "some vanish inside a message"):
                for number in range(40):
                    connection = await self.enter(tenant)
                    connection.transport.write(whole.serialize(mask=True)[: 50 * number + 1])
                    await asyncio.sleep(0.005)
                    linger = struct.pack("ii", number % 2, 0)
                    self.raw(connection).setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    connection.transport.abort()
            ids = [event["id"] for event in self.events[tenant] if event["e"] == "got"]
            self.assertNotIn("gone.1-1", ids)

    async def test_vanishes_after_a_message(self) -> None:
        """Browsers that go before their answer is there leave it to nobody."""
        for tenant in self.tenants:
            async with self.others(tenant, "some do not wait for their answers"):
                for number in range(40):
                    connection = await self.enter(tenant)
                    order = Order(f"left.1-{number}", "delay", 20, answer=2000)
                    await connection.send(pack({"type": "request", "n": 1}, order.text()))
                    await asyncio.sleep(0.01)
                    connection.transport.abort()

    async def test_never_reads(self) -> None:
        """A browser that does not read is closed with 4013, and may come back to its session."""
        for tenant, engine in self.engines.items():
            async with self.others(tenant, "one never reads"):
                browser = await self.browser(tenant)
                await browser.send(Wish())
                (link,) = engine.links
                label = browser.book.session.label
                browser.pause_reading()
                before = await self.waiting(tenant)
                # More than the system takes for somebody who does not read.
                async with asyncio.timeout(20):
                    while await self.waiting(tenant) == before:
                        link.push(browser.sid, pad=PUSH)
                browser.resume_reading()
                await browser.saw("closed with 4013")
                message = await browser.send(Wish(ttl=20))
                self.assertEqual(message.outcome and message.outcome.name, "result")
                self.assertEqual(browser.book.session.label, label)
                pushed = [
                    e for e in self.events[tenant] if e["e"] == "push" and e["label"] == label
                ]
                came = len(browser.book.session.pushes)
                print(f"\n{tenant}: of {len(pushed)} pushes {came} came, the rest is told as lost")
                self.assertEqual(came + browser.book.session.lost, len(pushed))
                self.assert_promise(tenant, browser)

    async def test_beyond_the_window(self) -> None:
        """A browser that sends more than its window is read no further; nothing of it is lost."""
        for tenant, engine in self.engines.items():
            async with self.others(tenant, "one sends beyond its window"):
                connection = await self.enter(tenant)
                count = 3 * WINDOW

                async def send(to: ClientConnection = connection, count: int = count) -> None:
                    for n in range(1, count + 1):
                        order = Order(f"greedy.1-{n}", "keep", pad=500)
                        message = pack({"type": "request", "n": n, "ttl": 20_000}, order.text())
                        await to.send(message)

                sending = asyncio.create_task(send())
                await asyncio.sleep(0.5)
                # A read may have brought some more than the last one that was welcome.
                self.assertLess(len(engine.kept), 2 * WINDOW)
                self.assertGreaterEqual(len(engine.kept), WINDOW)
                got: list[int] = []
                while len(got) < count:
                    engine.let_go()
                    header, _ = unpack(await asyncio.wait_for(connection.recv(), 5))
                    if header["type"] == "result":
                        got.append(header["n"])
                        if len(got) % 16 == 0:
                            await connection.send(pack({"type": "ack", "ack": header["s"]}))
                await sending
                self.assertEqual(got, list(range(1, count + 1)))
                await connection.send(pack({"type": "bye"}))

    async def test_lies(self) -> None:
        """A browser that breaks the rules is closed with 4500, and nobody else is."""
        lies: list[str | bytes] = [
            pack({"type": "request", "n": 2}, "{}"),
            pack({"type": "request", "n": 0}, "{}"),
            pack({"type": "request", "n": -1}, "{}"),
            pack({"type": "request", "n": 1.5}, "{}"),
            pack({"type": "request", "n": 2**63}, "{}"),
            pack({"type": "request"}, "{}"),
            pack({"type": "request", "n": 1}),
            pack({"type": "request", "n": 1, "ttl": "soon"}, "{}"),
            pack({"type": "notify", "n": 3}, "{}"),
            pack({"type": "ack", "ack": 1}),
            pack({"type": "ack", "ack": 2**53 - 1}),
            pack({"type": "result", "id": 1}, "{}"),
            pack({"type": "push", "sid": "AgICAgICAgICAgIC"}, "{}"),
            pack({"type": "hello"}),
            pack({"type": "no such type"}),
            "no header",
            "",
            b"\xff\xfe\n{}",
            "[1,2]\n{}",
            '{"type":"request","n":1,"x":"' + "x" * 9000 + '"}\n{}',
        ]
        for tenant in self.tenants:
            async with self.others(tenant, "some lie"):
                for lie in lies:
                    connection = await self.enter(tenant)
                    await connection.send(lie)
                    self.assertEqual(await self.closed_with(connection), 4500, lie)
                for first in (pack({"type": "request", "n": 1}, "{}"), "{}", "x", b"\x00"):
                    connection = await self.socket(tenant)
                    await connection.send(first)
                    self.assertEqual(await self.closed_with(connection), 4500, first)

    async def test_anothers_session(self) -> None:
        """Nobody gets at a session with its sid alone, a wrong key, or a number too high."""
        for tenant in self.tenants:
            victim = await self.browser(tenant)
            await victim.send(Wish())
            async with self.others(tenant, "some claim a session"):
                before = await self.counts()
                for key in ("", "A" * 32, victim.key[:-1], victim.key.lower(), f"{victim.key} "):
                    connection = await self.socket(tenant)
                    await connection.send(hello(victim.sid, key, 0))
                    header, _ = unpack(await connection.recv())
                    self.assertNotEqual(header["sid"], victim.sid)
                    self.assertEqual((header["recovered"], header["ack"]), (False, 0))
                    connection.transport.abort()
                self.assertEqual(await self.counted(before, "session_keys_wrong"), 5)
                connection = await self.socket(tenant)
                await connection.send(hello("A" * 16, "A" * 32, 7))
                header, _ = unpack(await connection.recv())
                self.assertNotIn(header["sid"], ("A" * 16, victim.sid))
            message = await victim.send(Wish())
            self.assertEqual(message.outcome and message.outcome.name, "result")
            self.assertEqual((len(victim.book.sessions), victim.book.seen["resumed"]), (1, 0))

    async def test_speaks_for_another(self) -> None:
        """What a browser writes as ``@SESSION`` is replaced: it speaks for itself alone."""
        victim = await self.browser("v1")
        await victim.send(Wish())
        sid = victim.sid
        async with self.others("v1", "one writes another's @SESSION"):
            for subprotocol in ("orion.v1", "orion.v2"):
                connection = await self.socket("v1", subprotocol)
                n = 0
                for forged in (
                    f'{{"@SESSION":"{sid}",%s}}',
                    f'{{%s,"@SESSION":"{sid}"}}',
                    f'{{"@SESSION":"x","@SESSION":"{sid}",%s,"@SESSION":"{sid}"}}',
                    f'{{"\\u0040SESSION":"{sid}",%s}}',
                    f'{{ "@SESSION" : "{sid}" , %s }}',
                ):
                    n += 1
                    order = f'"@MSGID":{n},"id":"{subprotocol}-forged.1-{n}","do":"push"'
                    text = forged % order
                    if subprotocol == "orion.v2":
                        if n == 1:
                            await connection.send(hello())
                            await connection.recv()
                        await connection.send(pack({"type": "request", "n": n}, text))
                    else:
                        await connection.send(text)
                    answers = [await asyncio.wait_for(connection.recv(), 5) for _ in range(2)]
                    if subprotocol == "orion.v1":
                        push, answer = (loads(each) or {} for each in answers)
                        self.assertEqual((push["event"], answer["msgID"]), ("push", n))
                sids = [
                    event["sid"]
                    for event in self.events["v1"]
                    if event["e"] == "got" and str(event["id"]).startswith(f"{subprotocol}-forged")
                ]
                self.assertEqual(len(sids), n)
                self.assertNotIn(sid, sids)
        self.assertEqual(victim.book.session.pushes, [])
        self.assertEqual(victim.book.complaints, [])
