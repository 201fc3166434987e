"""Each fault of an engine by itself: what the browsers learn, and what stays untouched."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import ClassVar
from unittest.mock import patch

from tests.faults.books import Wish
from tests.faults.browser_v2 import BrowserV2
from tests.faults.places import tell
from tests.faults.stage import Shape
from tests.faults.table import TableTestCase

PING_EVERY = PING_TIMEOUT = 1.0
"""Seconds, as in the settings of these tests (`table.NODE`)."""


class EngineFaultTests(TableTestCase):
    """Tenants with a link for each browser, and with one or two that are shared."""

    tenants: ClassVar[Mapping[str, Shape]] = {
        "own": Shape("orion.v2"),
        "ownv1": Shape("orion.v1"),
        "one": Shape("orion.v2", 1),
        "onev1": Shape("orion.v1", 1, framing="netstring"),
        "two": Shape("orion.v2", 2),
    }

    def outcomes(self, browser: BrowserV2, do: str | None = None) -> list[str]:
        """Return how a browser's messages have ended: all, or those that asked for this."""
        return [
            message.outcome.name
            for message in browser.book.messages
            if message.outcome and do in (None, message.order.do)
        ]

    async def test_a_hung_engine(self) -> None:
        """An engine that reads nothing is noticed by its ping; other links take over."""
        browsers = [await self.browser("two") for _ in range(4)]
        for browser in browsers:
            await browser.send(Wish())
        # Only one of the two links hangs, as a thread of an engine may.
        first, _ = self.engines["two"].links
        hung = [each for each in browsers if each.book.session.label in first.labels.values()]
        self.assertTrue(0 < len(hung) < 4)
        first.wire.pause()
        before = await self.counts()
        began = time.monotonic()
        for browser in browsers:
            browser.wish(Wish(ttl=20), Wish(is_safe=True, ttl=20))
        for browser in browsers:
            await browser.settled()
        took = time.monotonic() - began
        print(f"\na hung engine was noticed after {took:.2f} s")
        self.assertLess(took, PING_EVERY + PING_TIMEOUT + 1.0)
        for browser in browsers:
            code = "OUTCOME_UNKNOWN" if browser in hung else "result"
            self.assertEqual(self.outcomes(browser), ["result", code, "result"])
        self.assertEqual(await self.counted(before, "backend_errors"), 1)
        first.wire.resume()
        await self.eventually(lambda: first not in self.engines["two"].links, "the link's end")
        self.assert_promise("two", *browsers)

    async def test_a_mute_engine(self) -> None:
        """One that answers everything but pings is alive."""
        self.engines["one"].is_mute = True
        self.addCleanup(setattr, self.engines["one"], "is_mute", False)
        browser = await self.browser("one")
        before = await self.counts()
        end = time.monotonic() + 2 * (PING_EVERY + PING_TIMEOUT) + 0.5
        while time.monotonic() < end:
            message = await browser.send(Wish())
            self.assertEqual(message.outcome and message.outcome.name, "result")
            await asyncio.sleep(0.1)
        # A last ping may be unanswered still: without a word after it, its link would be given up
        # in the middle of the next test.
        self.engines["one"].is_mute = False
        await browser.send(Wish())
        self.assertEqual(await self.counted(before, "links_lost"), 0)

    async def test_twice_and_to_nobody(self) -> None:
        """A second answer, and one to nobody, are counted, and harm nobody."""
        for tenant in ("own", "ownv1", "one", "onev1"):
            before = await self.counts()
            browser = await self.browser(tenant)
            other = await self.browser(tenant)
            for each in (browser, other):
                each.wish(Wish("twice"), Wish("unknown"), Wish(), Wish("twice"))
                await each.settled()
                self.assertEqual(self.outcomes(each), ["result"] * 4)
            self.assertEqual(await self.counted(before, "answers_dropped"), 6)
            self.assertEqual(await self.counted(before, "links_lost"), 0)
            self.assert_promise(tenant, browser, other)

    async def test_out_of_order(self) -> None:
        """Answers that change their order each find who asked."""
        for tenant in ("own", "onev1", "two"):
            browsers = [await self.browser(tenant), await self.browser(tenant)]
            for browser in browsers:
                browser.wish(*[Wish("swap"), Wish(), Wish("delay", 30), Wish("swap"), Wish()] * 4)
            for browser in browsers:
                await browser.settled()
                self.assertEqual(set(self.outcomes(browser)), {"result"})
            self.assert_promise(tenant, *browsers)

    async def test_crumbs_and_lumps(self) -> None:
        """Answers byte by byte, or many in one write, are answers."""
        for tenant in ("own", "onev1"):
            browser = await self.browser(tenant)
            browser.wish(*[Wish("dribble"), Wish(), Wish("coalesce"), Wish("push", 3)] * 3)
            await browser.settled()
            self.assertEqual(set(self.outcomes(browser)), {"result"})
            self.assertEqual(len(browser.book.session.pushes), 9)
            self.assert_promise(tenant, browser)

    async def test_a_slow_frame(self) -> None:
        """An engine whose pongs stand behind a frame that is still coming is not given up."""
        for tenant in ("own", "two"):
            before = await self.counts()
            browser = await self.browser(tenant)
            began = time.monotonic()
            with patch("tests.faults.wires.CRUMB_EVERY", 0.02):
                message = await browser.send(Wish("dribble", answer=100, ttl=20))
            self.assertGreater(time.monotonic() - began, PING_EVERY + PING_TIMEOUT)
            self.assertEqual(message.outcome and message.outcome.name, "result")
            self.assertEqual(await self.counted(before, "links_lost"), 0)
            self.assert_promise(tenant, browser)

    async def test_a_huge_frame(self) -> None:
        """A frame announced as 2 GiB ends its link, after what came before it; no more of it."""
        for tenant in ("own", "one", "ownv1", "onev1"):
            before = await self.counts()
            memory = self.watch.memory
            browser = await self.browser(tenant)
            browser.wish(Wish("drop", ttl=20), Wish("huge"))
            await browser.settled()
            self.assertEqual(self.outcomes(browser), ["OUTCOME_UNKNOWN", "result"], tenant)
            message = await browser.send(Wish(ttl=20))
            self.assertEqual(message.outcome and message.outcome.name, "result")
            self.assertEqual(await self.counted(before, "links_lost", "BACKEND_ERROR"), 1)
            self.assertLess(self.watch.memory - memory, 4 << 20)
            self.assert_promise(tenant, browser)

    async def test_a_cut_frame(self) -> None:
        """Half of an answer is none: its message is unknown, and the half is counted."""
        for tenant in ("own", "one", "ownv1", "onev1"):
            for do in ("cut", "end-mid-frame"):
                before = await self.counts()
                browser = await self.browser(tenant)
                browser.wish(Wish(), Wish(do, answer=2000))
                await browser.settled()
                self.assertEqual(self.outcomes(browser), ["result", "OUTCOME_UNKNOWN"])
                message = await browser.send(Wish(ttl=20))
                self.assertEqual(message.outcome and message.outcome.name, "result")
                self.assertEqual(await self.counted(before, "frames_cut"), 1, (tenant, do))
                self.assert_promise(tenant, browser)

    async def test_nonsense(self) -> None:
        """A frame whose header cannot be read ends its link; sessions go on with the next."""
        for tenant in ("own", "one", "onev1"):
            before = await self.counts()
            browser = await self.browser(tenant)
            browser.wish(Wish("nonsense"))
            await browser.settled()
            self.assertEqual(self.outcomes(browser), ["OUTCOME_UNKNOWN"])
            message = await browser.send(Wish(ttl=20))
            self.assertEqual(message.outcome and message.outcome.name, "result")
            self.assertEqual(await self.counted(before, "links_lost", "BACKEND_ERROR"), 1)

    async def test_an_orderly_end(self) -> None:
        """Of an engine that ends in good order every answer arrives that it had written."""
        for tenant in ("own", "one"):
            browser = await self.browser(tenant)
            browser.wish(*[Wish(answer=8000)] * 10, Wish("leave"), Wish(is_safe=True))
            await browser.settled()
            self.assertEqual(self.outcomes(browser), ["result"] * 12)
            self.assert_promise(tenant, browser)

    async def test_refuses_for_a_while(self) -> None:
        """What is handed over while the engine is away comes to it in order, each once."""
        for tenant in ("own", "two", "onev1"):
            browser = await self.browser(tenant)
            await browser.send(Wish())
            tell(self.engines[tenant], self.places[tenant], {"do": "refuse", "seconds": 0.5})
            browser.wish(*[Wish(ttl=20), Wish(wants_result=False, ttl=20)] * 10)
            await browser.settled()
            self.assertIn("result", self.outcomes(browser)[-2:])
            self.assert_promise(tenant, browser)

    async def test_pushes(self) -> None:
        """A push reaches its session and nobody else; one for all of a tenant, everybody."""
        for tenant in ("own", "one", "two"):
            browsers = [await self.browser(tenant) for _ in range(3)]
            for browser in browsers:
                await browser.send(Wish("push", 2))
            await browsers[0].send(Wish("push-all"))
            for browser in browsers:
                await browser.pushed(3)
            self.assert_promise(tenant, *browsers)
        await self._push_to_nobody()

    async def _push_to_nobody(self) -> None:
        before = await self.counts()
        link = self.engines["one"].links[0]
        link.labels["nobody"] = "x.1"
        link.push("nobody")
        browser = await self.browser("one")
        await browser.send(Wish())
        self.assertEqual(await self.counted(before, "pushes_dropped", "unknown_session"), 1)

    async def test_pushes_that_are_none(self) -> None:
        """Of what one dialect may push, a browser of the other gets only what it can take."""
        for tenant in ("own", "one"):
            old, new = await self.browser_v1(tenant), await self.browser(tenant)
            for browser in (old, new):
                await browser.send(Wish())
            link = self.engines[tenant].links[-1]
            old.wish(Wish("delay", 300))
            await old.handed_over(2)
            number = old.book.messages[-1].n
            for payload in (
                b'{"type":"push","tenant":"%b","bin":true}\n\x00\xff' % tenant.encode(),
                b'{"type":"push","tenant":"%b"}\n{"msgID":%d,"success":true}'
                % (tenant.encode(), number),
            ):
                link.wire.send(payload)
            link.push_to_all()
            await old.settled()
            self.assertEqual(len(old.book.session.pushes), 1)
            self.assertEqual(old.book.complaints, [])
            await new.pushed(1)
            self.assertEqual(new.seen, 4)  # its answer, and all three
