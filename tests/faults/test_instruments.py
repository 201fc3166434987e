"""The small instruments by themselves: orders, framings, speech, schedule, proxy."""

from __future__ import annotations

import asyncio
import time
from itertools import islice
from unittest import IsolatedAsyncioTestCase

from tests.e2e.backends import frame
from tests.faults.orders import Order, read_order
from tests.faults.proxy import Blow, Proxy
from tests.faults.pulse import PAUSE, Pulse
from tests.faults.schedule import faults, fingerprint
from tests.faults.speech import SpeechV2
from tests.faults.wires import MOST_CRUMBS, SINGLE_BYTES, Framed, crumbs_of
from tests.harness import free_port


class OrderTests(IsolatedAsyncioTestCase):
    def test_both_ways(self) -> None:
        """An order is read back as it was written, as text and as binary."""
        order = Order("3.1-17", "delay", 20, 300, 5)
        self.assertEqual(read_order(order.text(**{"@MSGID": 1})), order)
        self.assertEqual(read_order(order.binary()), order)
        self.assertEqual((order.session, order.n), ("3.1", 17))
        with self.assertRaises(UnicodeDecodeError):
            order.binary().decode()

    def test_framings(self) -> None:
        """Each framing is taken apart again, wherever it is cut."""
        payloads = [b"one", b"", b"three" * 100]
        for framing in ("int32", "int32le", "int16", "netstring", "line", "nul"):
            whole = b"".join(frame(payload, framing) for payload in payloads)
            for step in (1, 7, len(whole)):
                codec = Framed(framing)
                got = [
                    payload
                    for at in range(0, len(whole), step)
                    for payload in codec.receive(whole[at : at + step])
                ]
                self.assertEqual(got, payloads, (framing, step))

    def test_crumbs(self) -> None:
        """A frame in crumbs is the same frame, and its first bytes are crumbs by themselves."""
        for size in (0, 1, SINGLE_BYTES, MOST_CRUMBS, MOST_CRUMBS + 1, 16_000, 1 << 20):
            data = bytes(range(256)) * (size // 256 + 1)
            crumbs = crumbs_of(data[:size])
            self.assertEqual(b"".join(crumbs), data[:size])
            self.assertLessEqual(len(crumbs), MOST_CRUMBS)
            self.assertTrue(all(len(each) == 1 for each in crumbs[:SINGLE_BYTES]))
            self.assertTrue(size > MOST_CRUMBS or len(crumbs) == size)

    def test_schedule(self) -> None:
        """The same seed gives the same faults, another one gives others; so many a second."""
        places = {"browsers": 2.0, "links": 2.0, "both": 1.0, "engine": 1.0}
        first = list(islice(faults(7, places), 1000))
        self.assertEqual(first, list(islice(faults(7, places), 1000)))
        self.assertNotEqual(first, list(islice(faults(8, places), 1000)))
        self.assertEqual(fingerprint(7, places, 50), fingerprint(7, places, 50))
        self.assertAlmostEqual(first[-1].at, 100, delta=15)
        self.assertEqual({each.place for each in first}, set(places))


class SpeechTests(IsolatedAsyncioTestCase):
    def test_examples(self) -> None:
        """The engine reads what docs/wire.md sends to it."""
        speech = SpeechV2()
        heard = speech.hear(
            b'{"type":"request","id":17,"sid":"AgIC","key":"AgIC.1","ttl":4980}\n{"a":1}'
        )
        self.assertEqual(
            (heard.kind, heard.sid, heard.id, heard.key, heard.ttl, heard.body),
            ("request", "AgIC", 17, "AgIC.1", 4980, b'{"a":1}'),
        )


class PulseTests(IsolatedAsyncioTestCase):
    def test_pauses(self) -> None:
        """A pause begins before it is noticed; those that hardly leave time to breathe are one."""
        pulse = Pulse(0)
        pulse.paused(10.0, 10.2)
        pulse.paused(10.5, 11.0)
        pulse.paused(12.0, 12.2)
        self.assertEqual(pulse.pauses, [(10.0 - PAUSE, 11.0), (12.0 - PAUSE, 12.2)])
        self.assertIn(f"had 2, {1.2 + 2 * PAUSE:.1f} s in all", pulse.told())

    async def test_again(self) -> None:
        """It goes on where it was left: what was slow stays noted, and is asked for again."""
        asked = asyncio.Event()

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            asked.set()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            writer.close()

        port = free_port()
        server = await asyncio.start_server(answer, "127.0.0.1", port)
        self.addCleanup(server.close)
        pulse = Pulse(port)
        for _ in range(2):
            asked.clear()
            async with pulse, asyncio.timeout(5):
                await asked.wait()
        self.assertGreater(pulse.slowest, 0)


class ProxyTests(IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.endings.append(b"")
            try:
                while data := await reader.read(65536):
                    self.endings[-1] += data
                    writer.write(data)
                self.endings[-1] += b"|FIN"
            except ConnectionResetError:
                self.endings[-1] += b"|RST"
            writer.close()

        self.endings: list[bytes] = []
        port = free_port()
        server = await asyncio.start_server(echo, "127.0.0.1", port)
        self.addCleanup(server.close)
        self.proxy = Proxy(free_port(), port)
        await self.proxy.open()
        self.addAsyncCleanup(self.proxy.close)
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.proxy.port)
        self.addCleanup(self.writer.close)
        self.writer.write(b"warm")
        await self.reader.readexactly(4)

    async def ended(self, how: bytes) -> bytes:
        """Return what the server got before its end, which is like this."""
        async with asyncio.timeout(5):
            while not self.endings[0].endswith(how):
                await asyncio.sleep(0.01)
        return self.endings[0].removeprefix(b"warm").removesuffix(how)

    async def test_cut_at_a_byte(self) -> None:
        """So many bytes pass, not one more; then both sides see the end."""
        for kind, how in (("cut", b"|FIN"), ("reset", b"|RST"), ("half", b"|FIN")):
            with self.subTest(kind):
                self.proxy.strike(Blow(kind, way="in", after=10))
                self.writer.write(b"0123456789abcdef")
                self.assertEqual(await self.ended(how), b"0123456789")
                trouble = self.proxy.troubles[0]
                ours = self.writer.get_extra_info("sockname")[1]
                self.assertEqual((trouble.kind, trouble.ports[0]), (kind, ours))
            await self.doCleanups_and_begin_again()

    async def doCleanups_and_begin_again(self) -> None:
        self.writer.close()
        await self.proxy.close()
        await self.asyncSetUp()

    async def test_nobody_there(self) -> None:
        """Who is to be led to a port where nobody listens is reset, and that is noted."""
        self.proxy.target = free_port()
        reader, writer = await asyncio.open_connection("127.0.0.1", self.proxy.port)
        with self.assertRaises(ConnectionResetError):
            await asyncio.wait_for(reader.read(), 5)
        ours = writer.get_extra_info("sockname")[1]
        writer.close()
        self.assertEqual(
            [(each.kind, each.ports[0]) for each in self.proxy.troubles], [("ended", ours)]
        )

    async def test_stall(self) -> None:
        """Nothing passes for so long; then all of it does."""
        began = time.monotonic()
        self.proxy.strike(Blow("stall", way="in", after=3, seconds=0.3))
        self.writer.write(b"0123456789")
        self.assertEqual(await self.reader.readexactly(3), b"012")
        self.assertEqual(await self.reader.readexactly(7), b"3456789")
        self.assertGreater(time.monotonic() - began, 0.25)
        (trouble,) = self.proxy.troubles
        self.assertGreater(trouble.end - trouble.start, 0.25)

    async def test_stall_over_an_end(self) -> None:
        """What waited in a stall is lost if a side has ended meanwhile, and noted so."""
        self.proxy.strike(Blow("stall", seconds=0.2))
        self.writer.write(b"never arrives")
        self.writer.close()
        self.assertEqual(await self.ended(b"|RST"), b"")
        self.assertEqual([each.kind for each in self.proxy.troubles], ["stall", "reset"])
