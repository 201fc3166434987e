"""What breaks while somebody edits: nothing is lost, nothing is doubled, and the badge says so."""

from __future__ import annotations

import re
from itertools import takewhile

from tests.chromium.case import UNREACHABLE, ChromiumTestCase, expect
from tests.chromium.editor import Editor, ShopPage

OUTAGE = 30_000
"""Milliseconds without a network."""
SILENT = re.compile(r"No answer for (\d+) s · 5 changes wait")
SOON = 5
"""Seconds without an answer, until that is said, on a machine that is busy."""
NOTICED = 60_000
"""Milliseconds for noticing, or coming back: an editor asks every 10 s, and waits 20 s at most."""


class Pen:
    """
    Makes edits, and keeps a list of them.

    Attributes:
        texts: what was written, in its order.
        places: of what was dragged, by its text.
        edits: how many edits that were.
    """

    def __init__(self, editor: Editor) -> None:
        self.editor = editor
        self.texts: list[str] = []
        self.places: dict[str, tuple[float, float]] = {}
        self.edits = 0

    def write(self, count: int = 1) -> None:
        """Insert texts: two edits each."""
        for _ in range(count):
            text = f"word {len(self.texts) + 1}."
            self.editor.add_text(text)
            self.texts.append(text)
            self.edits += 2

    def drag(self) -> None:
        """Drag the text that was written last: one edit."""
        text = self.texts[-1]
        before = self.place
        self.editor.drag(self.editor.named(text), 20, 30)
        self.edits += 1
        self.places[text] = self.place
        assert self.place[0] > before[0]
        assert self.place[1] > before[1]

    @property
    def place(self) -> tuple[float, float]:
        """Where the selected object is, as the panel shows it."""
        x, y = (float(self.editor.field(name).input_value()) for name in "XY")
        return x, y


class OutageTests(ChromiumTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.expected = [UNREACHABLE]
        self.document = self.parts.engine.new(self.id())
        page = self.context().new_page()
        self.shop = ShopPage(page, self.parts.shop, self.document)
        self.editor = self.shop.open_editor()
        self.editor.expect_settled()
        self.editor.record_badge()
        self.pen = Pen(self.editor)
        self.pen.write()
        self.pen.drag()
        self.editor.expect_settled()

    def compare(self) -> None:
        """Compare what the engine has, and how it got there, with the list of edits."""
        engine = self.parts.engine
        log = engine.edits(self.document)
        self.assertEqual(len({each["client"] for each in log}), 1)
        self.assertEqual([each["edit"] for each in log], list(range(1, self.pen.edits + 1)))
        objects = engine.objects(self.document)
        self.assertEqual([each["text"] for each in objects], self.pen.texts)
        self.assertEqual([each["id"] for each in objects], self.editor.ids)
        found = {each["text"]: each for each in objects}
        for text, (x, y) in self.pen.places.items():
            self.assertAlmostEqual(found[text]["x"], x, delta=0.01)
            self.assertAlmostEqual(found[text]["y"], y, delta=0.01)

    def assert_said(self, *stages: tuple[str, int | None, str]) -> None:
        """Assert that the badge has said these in this order: phase, how many wait, its text."""
        said = self.editor.said()
        at = 0
        for phase, waiting, text in stages:
            while at < len(said) and not (
                said[at]["phase"] == phase
                and waiting in (None, said[at]["waiting"])
                and re.fullmatch(text, said[at]["text"])
            ):
                at += 1
            self.assertLess(at, len(said), f"not said in its turn: {phase} {text!r}\n{said}")
        for each in said:
            self.assert_is_true(each)

    def assert_is_true(self, badge: dict[str, object]) -> None:
        """Assert that one state of the badge is not better than what was."""
        text = str(badge["text"])
        if badge["phase"] != "online" or "No answer" in text:
            self.assertNotIn("Connected", text)
            self.assertNotIn("Sending", text)
        if "wait" in text:
            self.assertEqual(re.search(r"(\d+) changes? waits?$", text)[1], str(badge["waiting"]))  # type: ignore[index]

    def assert_said_soon(self) -> None:
        """Assert that a missing answer was not kept to itself."""
        texts = [str(each["text"]) for each in self.editor.said()]
        first = next(each for each in texts if each.startswith("No answer for"))
        self.assertLessEqual(int(first.split()[3]), SOON, texts)

    def test_the_engine_dies(self) -> None:
        """An engine that is killed in the middle of edits has them all when it is back."""
        self.pen.write(2)
        self.editor.expect_settled()
        self.parts.kill("engine")
        self.pen.write(2)
        self.pen.drag()
        self.editor.expect_waiting(5)
        expect(self.editor.badge).to_have_text(SILENT)
        self.keep(self.editor.page, "badge-no-answer")
        self.parts.restart("engine")
        self.pen.write()
        self.editor.expect_settled(timeout=NOTICED)
        self.compare()
        self.assert_said(
            ("online", 0, "Connected"),
            ("online", None, r"Sending \d changes?"),
            ("online", 5, SILENT.pattern),
            ("online", 0, "Connected"),
        )
        self.assert_said_soon()

    def test_the_gateway_dies(self) -> None:
        """A gateway that is killed forgets every session, and no edit is lost with them."""
        self.pen.write(2)
        self.parts.kill("gateway")
        self.pen.write(2)
        self.pen.drag()
        expect(self.editor.badge).to_have_text(re.compile(r"^Reconnecting in \d+ s · \d changes"))
        self.keep(self.editor.page, "badge-reconnecting")
        waiting = int(self.editor.badge.get_attribute("data-waiting") or 0)
        self.assertGreaterEqual(waiting, 5)
        self.parts.restart("gateway")
        self.pen.write()
        self.editor.expect_settled(timeout=NOTICED)
        self.compare()
        self.assert_said(
            ("online", 0, "Connected"),
            ("waiting", waiting, rf"Reconnecting in \d+ s · {waiting} changes wait"),
            ("online", 0, "Connected"),
        )

    def test_the_way_is_stalled(self) -> None:
        """A network that takes everything and carries nothing is noticed, without being told."""
        self.parts.detour.stall()
        self.addCleanup(self.parts.detour.resume)
        self.pen.write(2)
        self.pen.drag()
        expect(self.editor.badge).to_have_text(SILENT)
        expect(self.editor.badge).not_to_have_attribute("data-phase", "online", timeout=NOTICED)
        self.pen.write()
        self.editor.expect_waiting(7)
        self.parts.detour.resume()
        self.editor.expect_settled(timeout=NOTICED)
        self.compare()
        self.assert_said(
            ("online", 0, "Connected"),
            ("online", None, r"Sending \d changes?"),
            ("online", 5, SILENT.pattern),
            ("waiting", 5, r"Reconnecting in \d+ s · 5 changes wait"),
            ("connecting", None, r"Connecting…"),
            ("online", 0, "Connected"),
        )
        self.assert_said_soon()

    def test_half_a_minute_offline(self) -> None:
        """Edits made without a network wait, are counted, and go out when it is back."""
        page = self.editor.page
        self.editor.record_badge()
        page.context.set_offline(True)
        self.assertIs(self.editor.evaluate("() => navigator.onLine"), False)
        self.parts.detour.stall()
        self.addCleanup(self.parts.detour.resume)
        since = self.editor.evaluate("() => performance.now()")
        self.pen.write(2)
        self.pen.drag()
        expect(self.editor.badge).to_have_text("Offline · 5 changes wait")
        expect(self.editor.badge).to_have_attribute("data-phase", "offline", timeout=NOTICED)
        self.pen.write()
        expect(self.editor.badge).to_have_text("Offline · 7 changes wait")
        self.editor.inside.wait_for_function(
            "until => performance.now() > until", arg=since + OUTAGE, timeout=OUTAGE
        )
        self.pen.write()
        self.editor.expect_waiting(9)
        expect(self.shop.status).to_have_attribute("data-state", "away")
        self.keep(page, "badge-offline")
        self.assertEqual(
            [each["text"] for each in self.parts.engine.objects(self.document)], self.pen.texts[:1]
        )
        self.parts.detour.resume()
        page.context.set_offline(False)
        self.editor.expect_settled(timeout=NOTICED)
        expect(self.shop.status).to_have_attribute("data-state", "ready")
        self.compare()
        self.assert_said(
            ("online", 0, "Connected"),
            ("online", 5, "Offline · 5 changes wait"),
            ("offline", 5, "Offline · 5 changes wait"),
            ("offline", 9, "Offline · 9 changes wait"),
            ("online", 0, "Connected"),
        )
        before = takewhile(lambda each: each["phase"] == "online", self.editor.said())
        texts = " ".join(each["text"] for each in before)
        self.assertNotIn("Sending", texts, "the browser had said it")

    def test_offline_by_the_browser_alone(self) -> None:
        """
        The badge says so at once, though no socket ends, and not a moment longer than it is so.

        What Chromium calls offline holds an open WebSocket back, too; the way itself is open.
        """
        page = self.editor.page
        page.context.set_offline(True)
        self.pen.write()
        expect(self.editor.badge).to_have_text("Offline · 2 changes wait")
        self.assertEqual(len(self.parts.engine.objects(self.document)), 1)
        page.context.set_offline(False)
        self.editor.expect_settled(timeout=NOTICED)
        self.assertEqual({each["phase"] for each in self.editor.said()}, {"online"})
        self.pen.drag()
        self.editor.expect_settled()
        self.compare()
