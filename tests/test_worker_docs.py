"""What the documents say of workers is so."""

import re
from unittest import TestCase

from orion_twisted.core.backoff import MOST_WAIT
from orion_twisted.core.fields import MOST_WORKERS
from orion_twisted.core.report import WorkerState
from orion_twisted.core.shares import DIVIDED
from orion_twisted.service.spending import ANSWER_TIME
from orion_twisted.service.worker import ORPHAN_TIME
from orion_twisted.service.worker_process import PATIENCE, Loss
from tests.documents import read_page


def section(page: str, heading: str) -> str:
    """Return the text below a heading, in one line."""
    return " ".join(read_page(page).section(heading).split())


class WorkerDocsTests(TestCase):
    """docs/settings.md and docs/operate.md."""

    def test_what_is_divided(self) -> None:
        """The limits that workers divide are named, all of them and no others."""
        text = section("docs/settings.md", "`[limits]`, of the whole node")
        named = re.search(r"each has its share, rounded up, of (.*?), and of a tenant", text)
        assert named is not None
        self.assertEqual(set(re.findall(r"`(\w+)`", named[1])), set(DIVIDED))

    def test_the_most(self) -> None:
        """So is the largest number of workers."""
        self.assertIn(f"up to {MOST_WORKERS}, or", section("docs/settings.md", "The node"))

    def test_times(self) -> None:
        """The times that are told are those that hold."""
        text = section("docs/operate.md", "Workers")
        for words in (
            f"a wait that grows to {MOST_WAIT:g} s",
            f"does not answer** for {PATIENCE:g} s",
            f"and end within {ORPHAN_TIME:g} s",
            f"cannot be asked about within {ANSWER_TIME:g} s gets 503, `token_store_silent`",
        ):
            self.assertIn(words, text)

    def test_words(self) -> None:
        """States and reasons are called what the metrics call them."""
        text = section("docs/operate.md", "Workers")
        for word in (WorkerState.SILENT, *Loss):
            self.assertIn(f"`{word}`", text)
