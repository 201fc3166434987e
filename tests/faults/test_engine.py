"""The fault engine by itself: it does what it is told, and its ledger says so."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from unittest import IsolatedAsyncioTestCase

from websockets.asyncio.server import ServerConnection, serve

from tests.e2e.backends import frame
from tests.faults.engine import Engine
from tests.faults.orders import Order, answer_to, loads
from tests.faults.places import DiallingIn, Listening, tell
from tests.faults.process import EngineProcess
from tests.faults.wires import Framed
from tests.faults.words_v2 import pack, unpack
from tests.harness import PATIENCE, free_port

SID = "AgICAgICAgICAgIC"
NOBODY = {"type": "request", "id": 1, "sid": SID, "key": f"{SID}.1", "ttl": 5000}


def request(order: Order, number: int = 1) -> bytes:
    header = {**NOBODY, "id": number, "key": f"{SID}.{number}"}
    whole = pack(header, order.text())
    assert isinstance(whole, str)
    return whole.encode()


class EngineTests(IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.engine = Engine("e", "orion.v2", "shop1", self.events.append)
        port = free_port()
        self.place = Listening(self.engine, port)
        await self.place.open()
        self.addCleanup(self.place.close)
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", port)
        self.addCleanup(self.writer.close)
        self.framed = Framed("int32")

    async def ask(self, *orders: Order) -> None:
        for number, order in enumerate(orders, 1):
            self.writer.write(frame(request(order, number)))

    async def hear(self, count: int = 1) -> list[tuple[dict[str, Any], Any]]:
        """Return so many frames, in header and content."""
        got: list[bytes] = []
        async with asyncio.timeout(5):
            while len(got) < count:
                data = await self.reader.read(65536)
                if not data:
                    raise EOFError
                got += self.framed.receive(data)
        words = [unpack(payload) for payload in got]
        return [(header, loads(payload) if payload else None) for header, payload in words]

    async def kinds(self, count: int) -> list[Any]:
        return [header.get("id", header["type"]) for header, _ in await self.hear(count)]

    def noted(self, name: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["e"] == name]

    async def test_answers(self) -> None:
        """It answers as asked: late, twice, to nobody, out of order, with pushes before."""
        await self.ask(
            Order("1.1-1", "delay", 30),
            Order("1.1-2", "drop"),
            Order("1.1-3", "twice"),
            Order("1.1-4", "unknown"),
            Order("1.1-5", "swap"),
            Order("1.1-6"),
            Order("1.1-7", "push", 2),
            Order("1.1-8", "not-ok"),
            Order("1.1-9", "binary"),
        )
        ids = await self.kinds(12)
        self.assertEqual(ids, [3, 3, 1 << 40, 4, 6, 5, "push", "push", 7, 8, 9, 1])
        self.assertEqual(
            [each["id"] for each in self.noted("got")], [f"1.1-{n}" for n in range(1, 10)]
        )
        wrote = [each["id"] for each in self.noted("wrote")]
        self.assertEqual(wrote, [f"1.1-{n}" for n in (3, 3, 4, 6, 5, 7, 8, 9, 1)])
        self.assertEqual([each["label"] for each in self.noted("push")], ["1.1", "1.1"])
        serials = [each["serial"] for each in self.noted("tries") + self.noted("push")]
        self.assertEqual(len(serials), len(set(serials)))

    async def test_breaks(self) -> None:
        """What was half written when the link broke is not in the ledger as written."""
        await self.ask(Order("1.1-1"), Order("1.1-2", "end-mid-frame", answer=1000))
        rest = await asyncio.wait_for(self.reader.read(), 5)
        payloads = self.framed.receive(rest)
        self.assertEqual(len(payloads), 1)
        self.assertGreater(len(rest), len(frame(payloads[0])) + 400)
        self.assertEqual([each["id"] for each in self.noted("wrote")], ["1.1-1"])
        self.assertEqual(len(self.noted("end")), 1)

    async def test_resets(self) -> None:
        """A reset is a reset; a listener that refuses does so, and is back afterwards."""
        await self.ask(Order("1.1-1"))
        await self.hear()
        tell(self.engine, self.place, {"do": "refuse", "seconds": 0.2})
        with self.assertRaises(ConnectionResetError):
            await asyncio.wait_for(self.reader.read(), 5)
        self.assertEqual([each["how"] for each in self.noted("down")], ["ended"])

    async def test_resets_only(self) -> None:
        """Told to reset a link, and to end it before that is done, it resets it, and says so."""
        await self.ask(Order("1.1-1"))
        await self.hear()
        for do in ("reset", "end"):
            tell(self.engine, self.place, {"do": do, "pick": 0.0})
        with self.assertRaises(ConnectionResetError):
            await asyncio.wait_for(self.reader.read(), 5)
        self.assertEqual((len(self.noted("break")), self.noted("end")), (1, []))

    async def test_hangs(self) -> None:
        """It reads nothing while it hangs, then everything."""
        tell(self.engine, self.place, {"do": "hang", "seconds": 0.3})
        began = time.monotonic()
        await self.ask(Order("1.1-1"), Order("1.1-2"))
        self.assertEqual(await self.kinds(2), [1, 2])
        self.assertGreater(time.monotonic() - began, 0.2)

    async def test_crumbs_and_lumps(self) -> None:
        """Frames in crumbs, and many in one write, are the same frames."""
        await self.ask(Order("1.1-1", "dribble"), Order("1.1-2"), Order("1.1-3", "coalesce"))
        self.assertEqual(await self.kinds(3), [1, 2, 3])

    async def test_crumbs_end(self) -> None:
        """However much is dribbled, it is over soon: else a link would never come to rest."""
        orders = [Order(f"1.1-{n}", "dribble", answer=16_000) for n in range(1, 6)]
        began = time.monotonic()
        await self.ask(*orders)
        self.assertEqual(await self.kinds(5), [1, 2, 3, 4, 5])
        self.assertLess(time.monotonic() - began, 4.0)

    async def test_ends_behind_crumbs(self) -> None:
        """An end in good order, and a huge frame, come behind what was being dribbled."""
        for do in ("end", "huge"):
            await self.ask(Order("1.1-1", "dribble", answer=5_000))
            first = await asyncio.wait_for(self.reader.readexactly(10), 5)
            tell(self.engine, self.place, {"do": do, "pick": 0.0})
            self.framed.receive(first)
            self.assertEqual(await self.kinds(1), [1])
            self.assertEqual([each["id"] for each in self.noted("wrote")], ["1.1-1"])
            self.writer.close()
            await self.asyncSetUp()

    async def test_huge(self) -> None:
        """A huge frame is announced, and no more than announced."""
        await self.ask(Order("1.1-1", "huge"))
        data = b""
        while not data.endswith(b"x" * 100):
            data += await asyncio.wait_for(self.reader.read(1000), 5)
        self.assertEqual(data[-104:-100], b"\x7f\xff\xff\xff")


class OtherEngineTests(IsolatedAsyncioTestCase):
    async def test_killed(self) -> None:
        """A process that is killed leaves its ledger, and begins a new life with new numbers."""
        with tempfile.TemporaryDirectory() as folder:
            port = free_port()
            engine = EngineProcess(
                Path(folder), name="e", dialect="orion.v2", tenant="shop1", port=port
            )
            for life in (1, 2):
                engine.start()
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(frame(request(Order(f"1.1-{life}"))))
                await asyncio.wait_for(reader.readexactly(20), 5)
                while [each["e"] for each in engine.read_ledger()][-1] != "wrote":
                    await asyncio.sleep(0.01)
                (engine.kill if life == 1 else engine.stop)()
                writer.close()
            events = engine.read_ledger()
        names = [each["e"] for each in events]
        self.assertEqual(names[:6], ["up", "got", "tries", "wrote", "killed", "up"])
        self.assertEqual(events[4]["name"], "e1")
        serials = [each["serial"] for each in events if each["e"] == "wrote"]
        self.assertEqual(serials, [10_000_000, 20_000_000])

    async def test_killed_too_soon(self) -> None:
        """One that is still being started cannot be killed: it starts."""
        with tempfile.TemporaryDirectory() as folder:
            engine = EngineProcess(
                Path(folder), name="e", dialect="orion.v2", tenant="shop1", port=free_port()
            )
            self.addCleanup(engine.kill)
            starting = asyncio.create_task(asyncio.to_thread(engine.start))
            while not starting.done():
                engine.kill()
                await asyncio.sleep(0.01)
            await starting

    async def test_replies_behind_crumbs(self) -> None:
        """The pongs of a WebSocket stand between messages, one that is dribbled as well."""
        heard: list[str | bytes] = []

        async def talk(socket: ServerConnection) -> None:
            await socket.recv()
            await socket.send(request(Order("1.1-1", "dribble", answer=300)).decode())
            for _ in range(5):
                await asyncio.sleep(0.02)  # some crumbs are on their way
                await socket.ping()
            heard.append(await socket.recv())

        port = free_port()
        engine = Engine("e", "orion.v2", "shop1", lambda event: None)
        place = DiallingIn(engine, port, "secret", url=f"ws://127.0.0.1:{port}/orion")
        async with serve(talk, "127.0.0.1", port):
            await place.open()
            async with asyncio.timeout(PATIENCE):
                while not heard:
                    await asyncio.sleep(0.01)
            place.close()
        header, payload = unpack(heard[0])
        self.assertEqual(
            (header["id"], loads(payload or "")), (1, answer_to(Order("1.1-1", answer=300), 1))
        )

    async def test_dials_in(self) -> None:
        """It says hello over TCP and WebSocket, answers, and comes back when it is lost."""
        heard: list[bytes] = []

        async def talk(
            read: Callable[[], Awaitable[bytes]], write: Callable[[bytes], Awaitable[None]]
        ) -> None:
            heard.append(await read())
            await write(request(Order("1.1-1")))
            heard.append(await read())

        async def by_tcp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            async def read() -> bytes:
                return await reader.readexactly(int.from_bytes(await reader.readexactly(4)))

            async def write(payload: bytes) -> None:
                writer.write(frame(payload))

            await talk(read, write)
            writer.close()

        async def by_websocket(socket: ServerConnection) -> None:
            async def read() -> bytes:
                message = await socket.recv()
                return message.encode() if isinstance(message, str) else message

            async def write(payload: bytes) -> None:
                await socket.send(payload.decode())

            await talk(read, write)

        port = free_port()
        for url in (None, f"ws://127.0.0.1:{port}/orion"):
            heard.clear()
            engine = Engine("e", "orion.v2", "shop1", lambda event: None)
            place = DiallingIn(engine, port, "secret", url=url)
            server = await (
                asyncio.start_server(by_tcp, "127.0.0.1", port)
                if url is None
                else serve(by_websocket, "127.0.0.1", port)
            )
            await place.open()
            async with asyncio.timeout(5):
                while len(heard) < 4:
                    await asyncio.sleep(0.01)
            place.close()
            server.close()
            self.assertEqual(heard[0], b'{"type":"hello","tenant":"shop1","token":"secret"}')
            self.assertEqual(heard[2], heard[0])
            self.assertTrue(heard[1].startswith(b'{"type":"result","id":1}\n'))
