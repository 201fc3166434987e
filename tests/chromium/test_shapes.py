"""What the pointer pulls and turns, one object or several; and pages of another size."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Locator

from tests.chromium.case import ChromiumTestCase, expect
from tests.chromium.editor import Editor, open_alone

PLACE = ("x", "y", "width", "height", "rotation")


def box(identity: str, x: int, y: int, width: int, height: int, **more: Any) -> dict[str, Any]:
    kind = {"kind": "rectangle", "fill": "#cfe0ff", "id": identity}
    return {**kind, "x": x, "y": y, "width": width, "height": height, **more}


class ShapeTests(ChromiumTestCase):
    def open(self, *objects: dict[str, Any]) -> None:
        """Open the editor on a document with these objects."""
        self.document = self.parts.engine.new(self.id())
        inserts = [{"op": "insert", "page": "p1", "object": each} for each in objects]
        if inserts:
            self.parts.engine.apply(self.document, *inserts)
        page = self.context().new_page()
        self.editor = open_alone(page, self.parts.editor, self.parts.token(), self.document)
        self.editor.expect_page()

    def placed(self) -> list[dict[str, float]]:
        """Return where the engine has the objects, once it has all edits."""
        self.editor.expect_settled()
        objects = self.parts.engine.objects(self.document)
        return [{name: each[name] for name in PLACE} for each in objects]

    def edits(self) -> int:
        return len(self.parts.engine.edits(self.document))

    def choose_all(self) -> None:
        self.editor.texts.first.click()
        self.editor.page.keyboard.press("Control+a")
        chosen = self.editor.inside.locator("[data-object][aria-selected=true]")
        expect(chosen).to_have_count(self.editor.texts.count())

    def handle(self, name: str) -> Locator:
        return self.editor.inside.get_by_test_id(f"handle-{name}")

    def scale(self) -> float:
        """Return how many CSS pixels a point has."""
        paper = self.editor.inside.locator("canvas").bounding_box()
        assert paper is not None
        return paper["width"] / 595

    def test_several_are_resized_together(self) -> None:
        """A corner pulled to twice the size doubles every object and the gaps; one undo."""
        self.open(box("a", 60, 60, 80, 40), box("b", 180, 120, 20, 60))
        before, edits = self.placed(), self.edits()
        self.choose_all()
        self.keep(self.editor.page, "several")
        scale = self.scale()
        self.editor.drag(self.handle("se"), round(140 * scale), round(120 * scale))
        after = self.placed()
        doubled = [
            {"x": 60, "y": 60, "width": 160, "height": 80, "rotation": 0},
            {"x": 300, "y": 180, "width": 40, "height": 120, "rotation": 0},
        ]
        for one, other in zip(after, doubled, strict=True):
            for name in PLACE:
                self.assertAlmostEqual(one[name], other[name], delta=2, msg=f"{name} {after}")
        self.assertEqual(self.edits(), edits + 1)
        self.editor.page.keyboard.press("Control+z")
        self.assertEqual(self.placed(), before)

    def test_several_are_turned_together(self) -> None:
        """The handle above turns all about their common middle; what is askew keeps its shape."""
        self.open(box("a", 100, 200, 60, 40), box("b", 240, 200, 60, 40))
        before, edits = self.placed(), self.edits()
        self.choose_all()
        middle = self.editor.inside.locator(".outline").last.bounding_box()
        top = self.handle("turn").bounding_box()
        assert middle is not None
        assert top is not None
        mouse = self.editor.page.mouse
        center = (middle["x"] + middle["width"] / 2, middle["y"] + middle["height"] / 2)
        mouse.move(top["x"] + top["width"] / 2, top["y"] + top["height"] / 2)
        mouse.down()
        mouse.move(center[0] + 90, center[1] - 60, steps=3)
        mouse.move(center[0] + 120, center[1], steps=3)
        mouse.up()
        turned = self.placed()
        self.assertEqual([each["rotation"] for each in turned], [90, 90])
        middles = [
            (each["x"] + each["width"] / 2, each["y"] + each["height"] / 2) for each in turned
        ]
        for found, wanted in zip(middles, [(200, 150), (200, 290)], strict=True):
            self.assertAlmostEqual(found[0], wanted[0], delta=1)
            self.assertAlmostEqual(found[1], wanted[1], delta=1)
        self.assertEqual(self.edits(), edits + 1)
        self.editor.page.keyboard.press("Control+z")
        self.assertEqual(self.placed(), before)

    def test_a_text_is_turned(self) -> None:
        """A text has a handle that turns it, by steps of 15 degrees with Shift; one undo."""
        self.open()
        self.editor.add_text("turn me")
        (before,) = self.placed()
        turn = self.handle("turn").bounding_box()
        frame = self.editor.named("turn me").bounding_box()
        assert turn is not None
        assert frame is not None
        mouse = self.editor.page.mouse
        mouse.move(turn["x"] + turn["width"] / 2, turn["y"] + turn["height"] / 2)
        mouse.down()
        self.editor.page.keyboard.down("Shift")
        x, y = frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] / 2
        mouse.move(x + 97, y - 100, steps=4)
        mouse.up()
        self.editor.page.keyboard.up("Shift")
        (after,) = self.placed()
        self.assertEqual(after, {**before, "rotation": 45})
        expect(self.editor.field("Rotation")).to_have_value("45")
        self.keep(self.editor.page, "turned")
        self.editor.page.keyboard.press("Control+z")
        self.assertEqual(self.placed(), [before])

    def test_a_larger_text_is_not_cut_off(self) -> None:
        """A text whose letters get larger in the panel gets the height for its lines, and back."""
        self.open()
        self.editor.add_text("one two three four five six")
        (before,) = self.placed()
        self.editor.field("Size").fill("40")
        self.editor.field("Size").press("Enter")
        (after,) = self.placed()
        self.assertGreaterEqual(after["height"], 2 * 40 * 1.25)
        self.assertEqual({**after, "height": 0}, {**before, "height": 0})
        self.editor.texts.first.click()
        self.editor.page.keyboard.press("Control+z")
        self.assertEqual(self.placed(), [before])

    def page_size(self) -> tuple[float, float]:
        self.editor.expect_settled()
        (page,) = self.parts.engine.document(self.document)["pages"]
        return page["width"], page["height"]

    def test_page_size(self) -> None:
        """With nothing selected, the page's paper can be changed, turned, and measured out."""
        self.open(box("a", 60, 60, 80, 40))
        placed = self.placed()
        editor = self.editor
        editor.field("Paper").select_option("a5")
        self.assertEqual(self.page_size(), (420, 595))
        editor.field("Orientation").select_option("landscape")
        self.assertEqual(self.page_size(), (595, 420))
        editor.field("Height (mm)").fill("100")
        editor.field("Height (mm)").press("Enter")
        self.assertEqual(self.page_size(), (595, 283.46))
        expect(editor.field("Paper")).to_have_value("")
        canvas = editor.inside.locator("canvas").bounding_box()
        assert canvas is not None
        self.assertAlmostEqual(canvas["width"] / canvas["height"], 595 / 283.46, places=1)
        self.keep(editor.page, "page-size")
        self.assertEqual(self.placed(), placed)
        for size in ((595, 420), (420, 595), (595, 842)):
            editor.inside.locator(".desk").click(position={"x": 5, "y": 5})
            editor.page.keyboard.press("Control+z")
            self.assertEqual(self.page_size(), size)


class NarrowTests(ChromiumTestCase):
    """A window as wide as a phone's."""

    def open(self, document: int) -> Editor:
        page = self.context(viewport={"width": 390, "height": 780}, has_touch=True).new_page()
        editor = open_alone(page, self.parts.editor, self.parts.token(), document)
        editor.expect_page()
        return editor

    def assert_inside(self, editor: Editor, *targets: Locator) -> None:
        """Assert that all of these can be seen and reached without scrolling sideways."""
        for each in targets:
            expect(each).to_be_in_viewport(ratio=1)
        width = editor.evaluate("() => document.documentElement.scrollWidth")
        self.assertEqual(width, 390)

    def test_narrow(self) -> None:
        """The page has the whole width; properties, data and dialogues come up from below."""
        engine = self.parts.engine
        document = engine.new("Narrow")
        editor = self.open(document)
        canvas = editor.inside.locator("canvas").bounding_box()
        assert canvas is not None
        self.assertGreater(canvas["width"], 300)
        switch = editor.button("Properties")
        self.assert_inside(editor, editor.badge, switch, editor.field("Zoom"))
        editor.add_text("on a phone")
        expect(editor.field("X")).to_be_hidden()
        switch.tap()
        self.assert_inside(editor, editor.field("X"), editor.button("Close"))
        editor.field("X").fill("20")
        editor.field("X").press("Enter")
        editor.expect_settled()
        self.keep(editor.page, "narrow-properties")
        (placed,) = engine.objects(document)
        self.assertEqual((placed["text"], placed["x"]), ("on a phone", 20))
        editor.button("Close").tap()
        expect(editor.field("X")).to_be_hidden()
        editor.button("Data grid").tap()
        self.assert_inside(editor, editor.inside.get_by_role("region", name="Data"))
        self.keep(editor.page, "narrow-data")
        editor.button("Data grid").tap()
        editor.button("Import CSV").tap(trial=True)  # the ribbon scrolls to it
        editor.choose_tab("File")
        editor.button("New").tap()
        self.assert_inside(editor, editor.field("Name"), editor.button("Create"))
        self.keep(editor.page, "narrow-new")
        editor.button("Close").tap()
        editor.button("Save").tap()
        state = editor.inside.get_by_test_id("saved-state")
        expect(state).to_have_attribute("data-state", "saved")

    def test_trouble_can_be_read(self) -> None:
        """What the badge says of trouble is there in full, and the button to try again."""
        editor = self.open(self.parts.engine.new("Narrow trouble"))
        self.parts.kill("engine")
        editor.add_text("not yet")
        expect(editor.badge).to_contain_text("No answer for")
        self.assert_inside(editor, editor.badge, editor.button("Now"))
        self.keep(editor.page, "narrow-trouble")
        self.parts.restart("engine")
        editor.expect_settled(timeout=60_000)
