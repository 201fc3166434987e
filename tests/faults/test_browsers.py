"""The browsers by themselves, against servers that keep to a script, or break the rules."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from unittest import IsolatedAsyncioTestCase

from websockets.asyncio.server import ServerConnection, serve

from tests.faults.books import Wish
from tests.faults.browser_v1 import BrowserV1
from tests.faults.browser_v2 import BrowserV2
from tests.faults.doors import Door
from tests.faults.orders import Order, loads
from tests.faults.words_v2 import pack, unpack
from tests.harness import free_port

SID = "AgICAgICAgICAgIC"


class BrowserTests(IsolatedAsyncioTestCase):
    async def run_script(self, talk: Callable[[ServerConnection], Awaitable[None]]) -> int:
        port = free_port()
        server = await serve(talk, "127.0.0.1", port)
        self.addCleanup(server.close)
        return port

    async def test_v2_resumes(self) -> None:
        """It shows sid, key and what it has seen, and sends again what may be missing."""
        said: list[Any] = []

        async def talk(socket: ServerConnection) -> None:
            said.append(unpack(await socket.recv())[0])
            is_first = len(said) == 1
            await socket.send(
                pack(
                    {
                        "type": "welcome",
                        "sid": SID,
                        "key": "k1" if is_first else "k2",
                        "recovered": not is_first,
                        "ack": 0 if is_first else 1,
                        "window": 64,
                        "window_bytes": 10000,
                    }
                )
            )
            while True:
                header, _ = unpack(await socket.recv())
                said.append((header["type"], header.get("n")))
                if header.get("n") == 1:
                    await socket.send(
                        pack({"type": "result", "s": 1, "n": 1}, Order("x-1").text())
                    )
                if header.get("n") == 2 and is_first:
                    socket.transport.abort()
                    return
                if header.get("n") == 2:
                    await socket.send(pack({"type": "error", "s": 2, "n": 2, "code": "TIMEOUT"}))

        browser = BrowserV2("b", Door(await self.run_script(talk), path="/"))
        browser.start()
        browser.wish(Wish(), Wish())
        await browser.settled(5)
        await browser.vanish()
        again = said[3]
        self.assertEqual((again["sid"], again["key"]), (SID, "k1"))
        self.assertIn(again["seen"], (0, 1))
        self.assertEqual(said[:3], [{"type": "hello"}, ("request", 1), ("request", 2)])
        self.assertEqual(said[4], ("request", 2))
        self.assertEqual(
            [each.outcome.name for each in browser.book.messages if each.outcome],
            ["result", "TIMEOUT"],
        )
        (complaint,) = browser.book.complaints
        self.assertIn("b.1-1 got the result", complaint)

    async def test_v2_notices(self) -> None:
        """Each broken rule of the wire is written down."""
        welcome = {"type": "welcome", "sid": SID, "key": "k", "recovered": False, "ack": 0}
        welcome |= {"window": 4, "window_bytes": 1000}
        wrong: dict[str, list[str | bytes]] = {
            "has no s": [pack({"type": "result", "n": 1}, "{}")],
            "came after 0": [pack({"type": "push", "s": 2}, "{}")],
            "a second time": [pack({"type": "push", "s": 1}, "{}")] * 2,
            "waits for nothing": [pack({"type": "error", "s": 1, "n": 9, "code": "TIMEOUT"})],
            "an unreadable message": ["no header"],
            "answers to nothing": [pack({"type": "receipt", "n": 1, "stage": "sent"})],
            "acknowledges more": [pack({"type": "ack", "ack": 1})],
            "a push for 9.9": [
                pack({"type": "push", "s": 1}, '{"label":"9.9","link":"l","serial":1}')
            ],
        }
        for text, messages in wrong.items():

            async def talk(
                socket: ServerConnection, messages: list[str | bytes] = messages
            ) -> None:
                await socket.recv()
                await socket.send(pack(welcome))
                for message in messages:
                    await socket.send(message)
                await socket.wait_closed()

            complaints = await self.complaints_about(talk)
            self.assertTrue(any(text in each for each in complaints), text)

    async def complaints_about(
        self, talk: Callable[[ServerConnection], Awaitable[None]]
    ) -> list[str]:
        browser = BrowserV2("9", Door(await self.run_script(talk), path="/"))
        browser.start()
        await browser.until(lambda: browser.book.complaints, 5)
        await browser.vanish()
        return browser.book.complaints

    async def test_unanswered(self) -> None:
        """A socket that answers no ping is given up; whether that is a fault is for the audit."""
        ports: list[int] = []

        async def talk(socket: ServerConnection) -> None:
            ports.append(socket.remote_address[1])
            socket.transport.pause_reading()
            await socket.wait_closed()

        door = Door(await self.run_script(talk), path="/")
        browser = BrowserV1("1", door, heartbeat=0.05)
        browser.start()
        await browser.until(lambda: browser.book.unanswered, 5)
        await browser.vanish()
        self.assertEqual([port for _, port in browser.book.unanswered], ports[:1])
        self.assertEqual(browser.book.complaints, [])

    async def test_no_websocket(self) -> None:
        """What is none of RFC 6455 is a broken rule, as is any end that a browser has to make."""

        async def talk(socket: ServerConnection) -> None:
            socket.transport.write(b"\xf1\x00")
            await socket.wait_closed()

        browser = BrowserV1("1", Door(await self.run_script(talk), path="/"))
        browser.start()
        await browser.until(lambda: browser.book.complaints, 5)
        await browser.vanish()
        self.assertIn("given up with 1002", browser.book.complaints[0])

    async def test_v1(self) -> None:
        """One answer for each number; what its socket takes along has none."""

        async def talk(socket: ServerConnection) -> None:
            while True:
                content = loads(await socket.recv())
                assert content is not None
                if content["do"] == "drop":
                    socket.transport.abort()
                    return
                answer = {"msgID": content["@MSGID"], "success": True, "message": ""}
                answer |= {"id": content["id"], "serial": 1}
                await socket.send(pack(answer))
                if content["do"] == "twice":
                    await socket.send(pack(answer))

        browser = BrowserV1("1", Door(await self.run_script(talk), path="/"))
        browser.start()
        browser.wish(Wish(), Wish("twice"), Wish("drop"))
        await browser.until(lambda: len(browser.book.sessions) == 2, 5)
        browser.wish(Wish())
        await browser.settled(5)
        await browser.vanish()
        self.assertEqual(
            [each.order.id for each in browser.book.messages], ["1.1-1", "1.1-2", "1.1-3", "1.2-4"]
        )
        self.assertEqual(
            [each.lost_with for each in browser.book.messages], ["", "", "its socket", ""]
        )
        (complaint,) = browser.book.complaints
        self.assertIn("an answer to 2", complaint)
