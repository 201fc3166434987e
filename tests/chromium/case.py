"""A browser for tests: Chromium, which trusts the development CA, and who watches it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Page,
    sync_playwright,
)
from playwright.sync_api import expect as expect

from orion_twisted.demo.run import is_built
from tests.chromium.parts import Parts
from tests.harness import BUGS, REPOSITORY, GatewayTestCase, needs_package, needs_pages

SCREENSHOTS = REPOSITORY / "screenshots"
"""Where the pictures are kept; git ignores it."""

WAIT = 30_000
"""Milliseconds that a page may take for anything, on a machine that is busy."""

UNREACHABLE = re.compile(
    r"^WebSocket connection to 'wss://editor\.localhost:\d+/ws' failed"
    r"|^Failed to load resource: net::ERR_(CONNECTION_RESET|INTERNET_DISCONNECTED"
    r"|CONNECTION_CLOSED|EMPTY_RESPONSE|CONNECTION_REFUSED|NETWORK_CHANGED)"
)
"""What Chromium says of each try to reach a gateway that is not there, whatever the page does."""

expect.set_options(timeout=WAIT)


def find_chromium() -> str | None:
    """Return where the browser is."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


def trust(home: Path, ca_file: Path) -> None:
    """Put a CA into the trust store that a browser with this home looks into."""
    store = home / ".pki" / "nssdb"
    store.mkdir(parents=True)
    for arguments in (
        ["-N", "--empty-password"],
        ["-A", "-n", "orion development", "-t", "C,,", "-i", str(ca_file)],
    ):
        subprocess.run(["certutil", "-d", f"sql:{store}", *arguments], check=True, timeout=60)


class Watch:
    """
    Keeps what the pages of a context have complained about.

    Attributes:
        complaints: errors on the console, and exceptions that nobody has caught.
    """

    def __init__(self, context: BrowserContext) -> None:
        self.complaints: list[str] = []
        context.on("console", self._console)
        context.on("weberror", lambda error: self.complaints.append(f"uncaught: {error.error}"))

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    def others(self, *expected: re.Pattern[str]) -> list[str]:
        """Return those that none of these patterns expects."""
        return [each for each in self.complaints if not any(one.search(each) for one in expected)]


class ChromiumTestCase(GatewayTestCase):
    """
    Tests in a browser, before the demo's parts; both are shared by the class.

    A test ends with a look at the console of all contexts that it has opened. What it expects
    there it names in ``self.expected``.

    Attributes:
        trusts: whether the browser trusts the development CA.
    """

    trusts: ClassVar[bool] = True

    parts: ClassVar[Parts]
    browser: ClassVar[Browser]
    _lacks: ClassVar[str | None]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls._lacks = next(
            (
                package
                for package, found in (
                    ("chromium", find_chromium()),
                    ("libnss3-tools", shutil.which("certutil")),
                )
                if not found
            ),
            None,
        )
        if cls._lacks or not is_built():
            return  # setUp says so
        cls.parts = Parts(cls.new_folder(), cls.new_folder)
        cls.addClassCleanup(cls._stop_parts)
        cls.parts.start()
        home = cls.new_folder()
        if cls.trusts:
            trust(home, cls.parts.ca_file)
        cls.browser = cls.enterClassContext(cls.launch(home))

    @classmethod
    def _stop_parts(cls) -> None:
        for log in cls.parts.stop():
            bug = BUGS.search(log)
            if bug is not None:
                raise AssertionError(
                    f"a log has a bug:\n{log[max(bug.start() - 500, 0) :][:4000]}"
                )

    @classmethod
    @contextmanager
    def launch(cls, home: Path) -> Iterator[Browser]:
        """Give a browser with a home of its own."""
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=find_chromium(),
                env={**os.environ, "HOME": str(home)},
                chromium_sandbox=False,
            )
            try:
                yield browser
            finally:
                browser.close()

    def setUp(self) -> None:
        super().setUp()
        if self._lacks:
            needs_package(self, self._lacks)
        if not is_built():
            needs_pages(self)
        self.expected: list[re.Pattern[str]] = []
        self._watches: list[Watch] = []
        self._contexts: list[BrowserContext] = []
        self.addCleanup(self._look_at_consoles)

    def _look_at_consoles(self) -> None:
        for watch in self._watches:
            self.assertEqual([], watch.others(*self.expected), "on the console")

    def context(self, **options: Any) -> BrowserContext:
        """Return a fresh context, watched; it ends with the test."""
        options = {"locale": "en-US", "viewport": {"width": 1280, "height": 800}, **options}
        context = self.browser.new_context(**options)
        context.set_default_timeout(WAIT)
        self.addCleanup(context.close)
        self._contexts.append(context)
        self._watches.append(Watch(context))
        return context

    def _callTestMethod(self, method: Callable[[], None]) -> None:
        # unittest's own. In a cleanup, which is the next place, nobody knows any more what failed.
        try:
            method()
        except Exception:
            pages = [page for context in self._contexts for page in context.pages]
            for number, page in enumerate(pages):
                with suppress(Error):
                    self.keep(page, f"failed-{self._testMethodName}-{number}")
            raise

    def keep(self, page: Page, name: str) -> None:
        """Keep how a page looks now."""
        SCREENSHOTS.mkdir(exist_ok=True)
        page.screenshot(path=SCREENSHOTS / f"{name}.png", animations="disabled")
