"""Each outcome by itself: how a message comes to it, and that it says the truth."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import ClassVar

from tests.faults.books import Message, Wish
from tests.faults.browsers import Browser
from tests.faults.orders import Order, loads
from tests.faults.stage import Shape
from tests.faults.table import TableTestCase
from tests.faults.words_v2 import hello, pack, unpack

KIB = 1024


class OutcomeTests(TableTestCase):
    """Tenants whose links and budgets are short of something."""

    tenants: ClassVar[Mapping[str, Shape]] = {
        "own": Shape("orion.v2"),
        "ownv1": Shape("orion.v1"),
        "shared": Shape("orion.v2", 2),
        "patient": Shape("orion.v2"),
        "hasty": Shape("orion.v2"),
        "narrow": Shape("orion.v2", 1),
        "full": Shape("orion.v2"),
    }
    more: ClassVar[Mapping[str, str]] = {
        "own": 'link_grace = "10 s"',
        "ownv1": 'session = { deadline = "1 s" }',
        "hasty": 'link_grace = "0.3 s"\ndial_timeout = "0.3 s"',
        "narrow": 'session = { window_bytes = "16 KiB" }',
        "full": "limits = { held = 8 }",
    }

    @asynccontextmanager
    async def away(self, tenant: str) -> AsyncIterator[None]:
        """Have an engine refuse for a while, with all its links reset; the gateway knows both."""
        before = await self.counts()
        links = list(self.engines[tenant].links)
        self.places[tenant].close()
        for link in links:
            link.break_off()
        while await self.counted(before, "links_lost") < len(links):
            await asyncio.sleep(0.01)
        try:
            yield
        finally:
            before = await self.counts()
            await self.places[tenant].open()
            while await self.counted(before, "links") < len(links):
                await asyncio.sleep(0.01)

    async def ends(self, browser: Browser, wish: Wish, *, name: str) -> Message:
        """Hand a message over; return it once it has ended like this."""
        message = await browser.send(wish)
        assert message.outcome is not None
        self.assertEqual(message.outcome.name, name)
        return message

    @staticmethod
    def last_outcome(browser: Browser) -> str:
        outcome = browser.book.messages[-1].outcome
        return "" if outcome is None else outcome.name

    async def test_timeout(self) -> None:
        """No answer in time; the late one is dropped and counted, and harms nothing."""
        before = await self.counts()
        for browser in (await self.browser("own"), await self.browser_v1("ownv1")):
            tenant = "own" if browser.subprotocol == "orion.v2" else "ownv1"
            began = time.monotonic()
            late = Wish("delay", 1400, ttl=1.0)
            message = await self.ends(browser, late, name="TIMEOUT")
            self.assertGreater(time.monotonic() - began, 0.95)
            self.assertEqual(len(self.got(tenant, message)), 1)
            await self.ends(browser, Wish("delay", 600), name="result")
            self.assert_promise(tenant, browser)
        self.assertEqual(await self.counted(before, "answers_dropped", "late"), 2)
        self.assertEqual(await self.counted(before, "outcomes", "TIMEOUT"), 2)

    async def test_expired(self) -> None:
        """What could not be sent in its time is never delivered, whatever comes later."""
        browser = await self.browser("own")
        await self.ends(browser, Wish(), name="result")
        async with self.away("own"):
            message = await self.ends(browser, Wish(ttl=0.3), name="EXPIRED")
            told = Wish(wants_result=False, ttl=0.3)
            notice = await self.ends(browser, told, name="EXPIRED")
        await self.ends(browser, Wish(), name="result")
        self.assertEqual(self.got("own", message) + self.got("own", notice), [])
        self.assert_promise("own", browser)

    async def test_outcome_unknown(self) -> None:
        """A link that breaks under a message leaves it unknown: it is not sent again."""
        for browser, tenant in (
            (await self.browser("own"), "own"),
            (await self.browser("shared"), "shared"),
            (await self.browser_v1("ownv1"), "ownv1"),
        ):
            message = await self.ends(browser, Wish("reset"), name="OUTCOME_UNKNOWN")
            await self.ends(browser, Wish(), name="result")
            self.assertEqual(len(self.got(tenant, message)), 1)
            self.assert_promise(tenant, browser)

    async def test_safe_to_repeat(self) -> None:
        """What is safe to repeat is sent again on the next link, with the same key."""
        for tenant in ("own", "shared"):
            browser = await self.browser(tenant)
            safe = Wish("reset-once", is_safe=True)
            message = await self.ends(browser, safe, name="result")
            first, second = self.got(tenant, message)
            self.assertEqual(first["key"], second["key"])
            self.assertNotEqual(first["link"], second["link"])
            self.assertLessEqual(second["ttl"], first["ttl"])
            self.assert_promise(tenant, browser)

    async def test_safe_and_too_late(self) -> None:
        """What was sent once is never said not to have been done, though it waits again."""
        browser = await self.browser("own")
        await self.ends(browser, Wish(), name="result")
        browser.wish(Wish("keep", is_safe=True, ttl=0.8))
        await self.kept("own", 1)
        async with self.away("own"):
            await browser.settled()
        self.assertEqual(self.last_outcome(browser), "TIMEOUT")
        self.engines["own"].kept.clear()
        browser = await self.browser("hasty")
        await self.ends(browser, Wish(), name="result")
        browser.wish(Wish("keep", is_safe=True, ttl=20))
        await self.kept("hasty", 1)
        async with self.away("hasty"):
            await browser.settled()
        self.assertEqual(self.last_outcome(browser), "OUTCOME_UNKNOWN")
        self.engines["hasty"].kept.clear()

    async def test_backend_down(self) -> None:
        """Without a link for the tenant's link_grace what waits fails, long before its time."""
        for browser in (await self.browser("hasty"), await self.browser_v1("hasty")):
            await self.ends(browser, Wish(), name="result")
            async with self.away("hasty"):
                began = time.monotonic()
                message = await self.ends(browser, Wish(), name="BACKEND_DOWN")
                self.assertLess(time.monotonic() - began, 5)
                # Whoever comes after that is told at once.
                again = await self.ends(browser, Wish(), name="BACKEND_DOWN")
            await self.ends(browser, Wish(), name="result")
            self.assertEqual(self.got("hasty", message) + self.got("hasty", again), [])
            self.assert_promise("hasty", browser)

    async def test_backend_error(self) -> None:
        """An answer that the browser's dialect cannot carry is an error of the backend."""
        browser = await self.browser_v1("own")
        message = await self.ends(browser, Wish("binary"), name="BACKEND_ERROR")
        self.assertEqual(len(self.got("own", message)), 1)
        await self.ends(browser, Wish(), name="result")
        engine = self.engines["own"]
        engine.sayings = [lambda heard, order: b'{"type":"result","id":%d}\n\xff' % heard.id]
        for each in (browser, await self.browser("own")):
            message = await self.ends(each, Wish("say"), name="BACKEND_ERROR")
            await self.ends(each, Wish(), name="result")

    async def test_bad_message(self) -> None:
        """What a backend's dialect cannot carry is not sent to it."""
        browser = await self.browser("ownv1")
        message = await self.ends(browser, Wish(is_binary=True), name="BAD_MESSAGE")
        await self.ends(browser, Wish(), name="result")
        self.assertEqual(self.got("ownv1", message), [])
        socket = await self.socket("ownv1")
        await socket.send(hello())
        await socket.recv()
        await socket.send(pack({"type": "request", "n": 1}, '["no", "object"]'))
        header, _ = unpack(await socket.recv())
        self.assertEqual((header["type"], header["code"]), ("error", "BAD_MESSAGE"))

    async def test_bad_message_v1(self) -> None:
        """A message without a usable number is answered without one; what follows is well."""
        socket = await self.socket("ownv1", "orion.v1")
        for bad in (
            "{}",
            '{"@MSGID":"7"}',
            '{"@MSGID":1.5}',
            '{"@MSGID":-1}',
            "[]",
            "no JSON",
            b"{}",
        ):
            await socket.send(bad)
            answer = loads(await socket.recv())
            assert answer is not None
            found = (answer["msgID"], answer["success"], answer["code"])
            self.assertEqual(found, (None, False, "BAD_MESSAGE"), bad)
        await socket.send(Order("x.1-1").text(**{"@MSGID": 7}))
        answer = loads(await socket.recv())
        assert answer is not None
        self.assertEqual((answer["msgID"], answer["id"]), (7, "x.1-1"))

    async def test_too_large(self) -> None:
        """A message above the limit is not sent; an answer above it is not delivered."""
        browser = await self.browser("own")
        message = await self.ends(browser, Wish(pad=64 * KIB), name="TOO_LARGE")
        self.assertEqual(self.got("own", message), [])
        message = await self.ends(browser, Wish(answer=64 * KIB), name="TOO_LARGE")
        self.assertEqual(len(self.got("own", message)), 1)
        await self.ends(browser, Wish(answer=63 * KIB, pad=63 * KIB), name="result")
        browser_v1 = await self.browser_v1("own")
        await self.ends(browser_v1, Wish(answer=64 * KIB), name="TOO_LARGE")
        self.assert_promise("own", browser, browser_v1)

    async def test_over_budget(self) -> None:
        """A tenant that holds all that it may takes no more; with room again, it does."""
        first, second = await self.browser("full"), await self.browser("full")
        first.wish(*[Wish("keep", ttl=20)] * 8)
        engine = self.engines["full"]
        await self.kept("full", 8)
        message = await self.ends(second, Wish(), name="OVER_BUDGET")
        self.assertEqual(self.got("full", message), [])
        engine.let_go()
        await first.settled()
        await first.leave()
        await self.ends(second, Wish(), name="result")
        self.assert_promise("full", first, second)

    async def test_over_budget_while_away(self) -> None:
        """Results that find no room while their browser is away become failures, not silence."""
        browser = await self.browser("narrow")
        browser.wish(*[Wish("keep", answer=6 * KIB, ttl=20)] * 8)
        engine = self.engines["narrow"]
        await self.kept("narrow", 8)
        browser.is_leaving = True  # not to come back at once
        browser.drop_socket()
        await asyncio.sleep(0.2)
        engine.let_go()
        await asyncio.sleep(0.2)
        browser.is_leaving = False
        browser.start()
        await browser.settled()
        names = [each.outcome.name for each in browser.book.messages if each.outcome]
        self.assertEqual(set(names), {"result", "OVER_BUDGET"})
        self.assertEqual(len(names), 8)
        self.assertEqual(browser.book.complaints, [])

    async def test_reused_id(self) -> None:
        """Another payload under an old number is refused; the first goes on as if nothing was."""
        socket = await self.socket("own")
        await socket.send(hello())
        await socket.recv()
        order = Order("reused.1-1", "delay", 300)
        await socket.send(pack({"type": "request", "n": 1}, order.text()))
        await socket.send(pack({"type": "request", "n": 1}, Order("reused.1-9").text()))
        header, _ = unpack(await socket.recv())
        self.assertEqual(
            (header["type"], header["code"], header["n"], "s" in header),
            ("error", "REUSED_ID", 1, False),
        )
        await socket.send(pack({"type": "request", "n": 1}, order.text()))
        header, _ = unpack(await socket.recv())
        self.assertEqual(header, {"type": "receipt", "n": 1, "stage": "sent"})
        header, payload = unpack(await socket.recv())
        self.assertEqual((header["type"], header["s"], header["n"]), ("result", 1, 1))
        self.assertEqual((loads(payload or "") or {})["id"], "reused.1-1")
        ids = [event["id"] for event in self.events["own"] if event["e"] == "got"]
        self.assertEqual((ids.count("reused.1-1"), ids.count("reused.1-9")), (1, 0))

    async def test_reused_id_v1(self) -> None:
        """In orion.v1 the same bytes again are a retry, others a mistake."""
        socket = await self.socket("ownv1", "orion.v1")
        order = Order("again.1-1", "delay", 300)
        await socket.send(order.text(**{"@MSGID": 3}))
        await socket.send(order.text(**{"@MSGID": 3}))
        await socket.send(Order("again.1-2").text(**{"@MSGID": 3}))
        answers = [loads(await socket.recv()) or {} for _ in range(2)]
        self.assertEqual([each.get("code") for each in answers], ["REUSED_ID", None])
        self.assertEqual([each["msgID"] for each in answers], [3, 3])
        await socket.send(order.text(**{"@MSGID": 3}))  # it may have crossed its answer
        await socket.send(Order("again.1-4").text(**{"@MSGID": 4}))
        self.assertEqual((loads(await socket.recv()) or {})["msgID"], 4)
        ids = [event["id"] for event in self.events["ownv1"] if event["e"] == "got"]
        self.assertEqual(ids.count("again.1-1"), 1)
