"""The engine as a process of its own, and without its libraries."""

import re
import signal
import subprocess
import sys
from unittest import mock

from twisted.internet.testing import MemoryReactorClock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.demo.libraries import INSTALL, missing_libraries
from orion_twisted.demo.service import engine_service
from tests.harness import environment

COMMAND = [sys.executable, "-m", "orion_twisted.demo.engine", "--port"]
TIMEOUT = 60


class ProcessTests(SynchronousTestCase):
    """``python -m orion_twisted.demo.engine``."""

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

        def end() -> None:
            process.kill()
            process.communicate(timeout=TIMEOUT)

        self.addCleanup(end)
        return process

    def test_one_line_says_where(self) -> None:
        """It prints one line when it listens, and ends in order when it is told to."""
        process = self.start("0", "--database", self.mktemp())
        assert process.stdout is not None
        line = process.stdout.readline()
        self.assertRegex(line, r"^engine listening on 127\.0\.0\.1:\d+$")
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=TIMEOUT)
        self.assertEqual((rest, process.returncode), ("", 0))

    def test_what_prevents_it_is_said(self) -> None:
        """A taken port and a file that is no database are one line each, and status 1."""
        first = self.start("0")
        assert first.stdout is not None
        port = re.findall(r"\d+", first.stdout.readline())[-1]
        for arguments, words in (
            ([port], "listen on 127.0.0.1"),
            (["0", "--database", "/no/such/folder"], "unable to open"),
        ):
            said, _ = self.start(*arguments).communicate(timeout=TIMEOUT)
            self.assertTrue(said.startswith("Error: "), said)
            self.assertIn(words, said)


class LibraryTests(SynchronousTestCase):
    """An engine without the extra ``demo``."""

    def test_it_says_what_to_install(self) -> None:
        """It starts, and its log says which library is missing and how to get it."""
        self.assertEqual(missing_libraries(), [])
        logged: list[str] = []
        observer = lambda event: logged.append(str(event.get("library")))  # noqa: E731
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        service = engine_service(MemoryReactorClock())
        missing = dict.fromkeys(("PIL", "PIL.Image", "reportlab.pdfgen.canvas", "segno"))
        with mock.patch.dict("sys.modules", missing):
            self.assertEqual(missing_libraries(), ["Pillow", "reportlab", "segno"])
            service.startService()
        self.addCleanup(service.stopService)
        self.assertEqual(
            [each for each in logged if each != "None"], ["Pillow", "reportlab", "segno"]
        )
        self.assertIn("orion-twisted[demo]", INSTALL)
