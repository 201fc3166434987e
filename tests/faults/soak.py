"""
The soak: browsers, engines and faults against the real process, and the ledger at the end.

    python -m tests.faults.soak --messages 20000 --browsers 20 [--seed 7] [SHAPE ...]

The seed decides what each browser hands over, in which pieces and pauses, and which faults come
when. It ends with 1 if the promise was broken anywhere.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from attrs import Factory, define, frozen

from tests.faults.audit import audit, tally
from tests.faults.books import Book
from tests.faults.browser_v1 import BrowserV1, PlainBrowser
from tests.faults.browser_v2 import BrowserV2
from tests.faults.browsers import Browser
from tests.faults.evidence import Evidence
from tests.faults.process import EngineProcess
from tests.faults.pulse import Pulse
from tests.faults.schedule import Fault, faults, fingerprint
from tests.faults.stage import SHAPES, Stage
from tests.faults.story import Stories
from tests.faults.wishes import wishes
from tests.harness import MIB, make_certificates

MOST_GROWTH = 8 * MIB
"""What the process may have more than after the warm-up: Python keeps some of what it has used."""

SETTLE_WITHIN = 12.0
"""Seconds after its time is over within which every message has its outcome."""

REST_WITHIN = 10.0
"""Seconds after the last ttl within which all links are up again: their backoff goes to 8 s."""

MORE_WAKEUPS = 20
"""How much more often it may wake up in a second of rest: with every ping it does."""

PROGRESS_EVERY = 5.0
"""Seconds between two lines that say how far it is."""

MOST_TOLD = 50
"""How many of the things that must not be are told, at most."""

BURST = 12
"""Messages that a browser hands over at once, at most."""


@frozen
class Plan:
    """
    How much is done.

    Attributes:
        shape: the name of how gateway and engines meet.
        seed: decides everything that is left to chance here.
        browsers: how many.
        messages: how many they hand over together.
        rate: how many of them a second, on average.
        warm_up: how many before that, without faults.
        ttl: seconds that a session waits for its browser.
        deadline: seconds that a message may take, at most.
    """

    shape: str
    seed: int
    browsers: int = 20
    messages: int = 20_000
    rate: float = 400.0
    warm_up: int = 1000
    ttl: float = 6.0
    deadline: float = 6.0


@define
class Report:
    """
    How it ended.

    Attributes:
        lines: for people.
        wrong: everything that must not be.
        stories: what happened around the first of those, by their lines.
    """

    lines: list[str] = Factory(list)
    wrong: list[str] = Factory(list)
    stories: dict[str, list[str]] = Factory(dict)


@frozen
class Rest:
    """
    What the gateway's process has when nobody is there.

    Attributes:
        memory: bytes in use.
        descriptors: how many are open.
        wakeups: how often it woke up in a second.
    """

    memory: int
    descriptors: int
    wakeups: int


class Soak:
    """
    One run.

    Args:
        plan: how much.
        stage: where.
        say: takes lines on how far it is.
    """

    def __init__(self, plan: Plan, stage: Stage, say: Callable[[str], None]) -> None:
        self._plan = plan
        self._stage = stage
        self._say = say
        self._books: list[Book] = []
        self._faults: list[Fault] = []
        self._is_over = False
        self._returning: set[asyncio.Task[None]] = set()

    async def run(self) -> Report:
        report = Report()
        plan = self._plan
        pulse = Pulse(self._stage.admin)
        async with pulse:
            await self._session_of_all("w", plan.warm_up, with_faults=False)
        before = await self._at_rest(report)
        async with pulse:
            await self._session_of_all("b", plan.messages, with_faults=True)
        after = await self._at_rest(report, before)
        evidence = Evidence(
            self._books,
            self._stage.events(),
            self._stage.troubles,
            plan.deadline,
            pauses=pulse.pauses,
            slack=pulse.slowest,
            browser_troubles=self._stage.browser_troubles,
        )
        report.wrong += audit(evidence)
        stories = Stories(evidence)
        report.stories = {line: stories.about(line) for line in report.wrong[:MOST_TOLD]}
        self._compare(before, after, report)
        count = len(self._faults)
        took = self._faults[-1].at if self._faults else 0.0
        report.lines += [
            f"seed       {plan.seed}, shape {plan.shape}; {plan.browsers} browsers,"
            f" {took:.0f} s, {count} faults, one every {1000 * took / max(count, 1):.0f} ms;"
            f" the first 50 are {fingerprint(plan.seed, self._stage.shape.places, 50)}",
            f"began      at {stories.began():%H:%M:%S} UTC, which is second 0 of what happened",
            *tally(evidence),
            pulse.told(),
            *self._counted(),
        ]
        return report

    # Browsers

    def _browsers(self, kind: str, messages: int) -> list[Browser]:
        browsers: list[Browser] = []
        for number in range(self._plan.browsers):
            chance = random.Random(f"{self._plan.seed} {kind} {number}")
            door = self._stage.doors[number % 2]
            maker = (BrowserV2, BrowserV2, BrowserV1, BrowserV2, PlainBrowser)[number % 5]
            browser = maker(f"{kind}{number}", door, chance=chance.random)
            if isinstance(browser, BrowserV2):
                browser.again_every = 37
            else:
                assert isinstance(browser, BrowserV1)
                browser.retry_every = 41
            browsers.append(browser)
            self._books.append(browser.book)
        return browsers

    async def _session_of_all(self, kind: str, messages: int, with_faults: bool) -> None:
        """Have all browsers come, hand over their share, and leave."""
        plan = self._plan
        browsers = self._browsers(kind, messages)
        self._is_over = False
        for browser in browsers:
            browser.start()
        share = -(-messages // plan.browsers)
        watcher = asyncio.create_task(self._tell_progress(browsers))
        striker = asyncio.create_task(self._strike()) if with_faults else None
        async with asyncio.timeout(4 * messages / plan.rate + 60):
            await asyncio.gather(*(self._hand_over(each, kind, share) for each in browsers))
            if striker is not None:
                self._is_over = True
                await striker
                self._stage.calm()
        watcher.cancel()
        for browser in browsers:
            try:
                await browser.settled(plan.deadline + SETTLE_WITHIN)
            except TimeoutError:  # the audit says which message has no outcome
                continue
        await asyncio.sleep(0.1)  # pushes that are still on their way
        for number, browser in enumerate(browsers):
            # Who vanishes leaves a session behind, until its ttl is over.
            await (browser.vanish() if with_faults and number % 4 == 0 else browser.leave())

    async def _hand_over(self, browser: Browser, kind: str, count: int) -> None:
        plan = self._plan
        chance = random.Random(f"{plan.seed} wishes {browser.book.name}")
        is_v2 = isinstance(browser, BrowserV2)
        supply = wishes(chance, self._stage.shape.dialect, is_v2, plan.deadline)
        pause = (1 + BURST) / 2 * plan.browsers / plan.rate
        while count > 0:
            burst = min(chance.randint(1, BURST), count)
            count -= burst
            browser.wish(*(next(supply) for _ in range(burst)))
            await asyncio.sleep(chance.uniform(0, 2 * pause))
            while browser.waiting > 4 * BURST:  # it is away, or its window is full
                await asyncio.sleep(0.05)

    async def _tell_progress(self, browsers: list[Browser]) -> None:
        began = time.monotonic()
        while True:
            await asyncio.sleep(PROGRESS_EVERY)
            handed = sum(len(each.book.messages) for each in browsers)
            pending = sum(
                len(each.book.open_messages()) for each in browsers if each.book.sessions
            )
            self._say(
                f"{self._plan.shape}: {time.monotonic() - began:3.0f} s,"
                f" {handed} handed over, {pending} under way, {len(self._faults)} faults"
            )

    # Faults

    async def _strike(self) -> None:
        began = time.monotonic()
        for fault in faults(self._plan.seed, self._stage.shape.places):
            wait = began + fault.at - time.monotonic()
            while wait > 0 and not self._is_over:
                await asyncio.sleep(min(wait, 0.5))
                wait = began + fault.at - time.monotonic()
            if self._is_over:
                break
            self._faults.append(fault)
            self._fall(fault)
        if self._returning:
            await asyncio.wait(self._returning)

    def _fall(self, fault: Fault) -> None:
        stage = self._stage
        if fault.place == "engine":
            engine = stage.engines[int(fault.pick * len(stage.engines))]
            if fault.do == "kill":
                task = asyncio.create_task(self._kill(engine, fault.seconds))
                self._returning.add(task)
                task.add_done_callback(self._returning.discard)
            else:
                pick = fault.pick * len(stage.engines) % 1
                engine.tell({"do": fault.do, "pick": pick, "seconds": fault.seconds})
            return
        sides = {
            "browsers": [stage.browser_proxies],
            "links": [stage.link_proxies],
            "both": [stage.browser_proxies, stage.link_proxies],
        }[fault.place]
        for proxies, blow in zip(sides, fault.blows, strict=True):
            pairs = [pair for proxy in proxies for pair in proxy.pairs]
            if pairs:
                pairs[int(blow.pick * len(pairs))].arm(blow)

    @staticmethod
    async def _kill(engine: EngineProcess, seconds: float) -> None:
        """Kill an engine, unless it is dead already, and bring it back."""
        if engine.is_alive:
            await asyncio.to_thread(engine.kill)
            await asyncio.sleep(seconds)
            await asyncio.to_thread(engine.start)

    # The end

    async def _at_rest(self, report: Report, before: Rest | None = None) -> Rest:
        """
        Wait until no session is left: those whose browser vanished have their ttl.

        Args:
            report: told if there are some all the same.
            before: how it was the last time, where it is to be the same again.

        Returns:
            What the process has then.
        """
        watch, links = self._stage.watch, self._stage.links
        deadline = time.monotonic() + self._plan.ttl + REST_WITHIN
        while True:
            counts = await asyncio.to_thread(watch.counts)
            has_links = not links or counts.links == links
            is_as_before = before is None or watch.descriptors == before.descriptors
            if counts.sessions == 0 and has_links and is_as_before:
                break
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(0.1)
        for what in ("open_sessions", "open_browsers", "held_messages", "held_bytes"):
            if left := counts.get(what):
                report.wrong.append(f"{what} is {left:.0f}, though nobody is there")
        if not counts.is_sound:
            report.wrong.append("it has not ended as many sessions as it has opened")
        if links and counts.links != links:
            report.wrong.append(f"there are {counts.links:.0f} links, and should be {links}")
        wakeups = await watch.wakeups()
        return Rest(watch.memory, watch.descriptors, wakeups)

    @staticmethod
    def _compare(before: Rest, after: Rest, report: Report) -> None:
        grown = after.memory - before.memory
        report.lines.append(
            f"gateway    memory {before.memory / MIB:.1f} MiB, then {after.memory / MIB:.1f} MiB;"
            f" descriptors {before.descriptors}, {after.descriptors};"
            f" wake-ups a second at rest {before.wakeups}, {after.wakeups}"
        )
        if grown > MOST_GROWTH:
            report.wrong.append(f"its memory has grown by {grown / MIB:.1f} MiB")
        if after.descriptors != before.descriptors:
            had, has = before.descriptors, after.descriptors
            report.wrong.append(f"it had {had} descriptors, and has {has} now")
        if after.wakeups > before.wakeups + MORE_WAKEUPS:
            had, has = before.wakeups, after.wakeups
            report.wrong.append(f"at rest it woke up {had} times a second, and {has} times now")

    def _counted(self) -> list[str]:
        counts = self._stage.watch.counts()
        names = ("outcomes", "links_lost", "answers_dropped", "resumes", "browsers_closed")
        return [
            f"it counted {name}: "
            + ", ".join(f"{n} {why}" for why, n in counts.reasons(name).most_common() if why)
            for name in names
        ]


async def soak(plan: Plan, certificates: Path, say: Callable[[str], None]) -> Report:
    """
    Run one soak; return how it ended.

    If that was not well, the gateway's log and the engines' ledgers are kept.
    """
    folder = Path(tempfile.mkdtemp(prefix="orion-soak-"))
    is_kept = True
    try:
        stage = await asyncio.to_thread(
            Stage,
            SHAPES[plan.shape],
            folder,
            certificates,
            ttl=plan.ttl,
            deadline=plan.deadline,
        )
        async with stage:
            report = await Soak(plan, stage, say).run()
        is_kept = bool(report.wrong)
        if is_kept:
            report.lines.append(f"kept       log and ledgers are in {folder}")
    except asyncio.CancelledError:
        is_kept = False
        raise
    finally:
        if not is_kept:
            shutil.rmtree(folder)
    return report


async def _until_told(plan: Plan, certificates: Path) -> Report:
    """Run one soak; a SIGTERM ends it with its processes, as an interrupt does."""
    task = asyncio.ensure_future(soak(plan, certificates, lambda line: print(line, flush=True)))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak")
    parser.add_argument("shapes", nargs="*", choices=[[], *SHAPES], metavar="SHAPE")
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--browsers", type=int, default=20)
    parser.add_argument("--rate", type=float, default=400.0, help="messages a second")
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    # It warns of writes to a connection that has just been cut: here they are what all is about.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    seed = secrets.randbelow(10**6) if options.seed is None else options.seed
    print(f"seed {seed}", flush=True)
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="orion-") as folder:
        certificates = Path(folder)
        make_certificates(certificates, "localhost")
        for shape in options.shapes or SHAPES:
            plan = Plan(shape, seed, options.browsers, options.messages, options.rate)
            report = asyncio.run(_until_told(plan, certificates))
            print(*report.lines, sep="\n")
            for line in report.wrong[:MOST_TOLD]:
                print(f"WRONG      {shape}: {line}", *report.stories.get(line, ()), sep="\n")
            print(f"{shape}: {len(report.wrong) or 'nothing'} wrong\n", flush=True)
            wrong += len(report.wrong)
    print(f"seed {seed}: {'the promise was kept' if not wrong else f'{wrong} wrong'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
