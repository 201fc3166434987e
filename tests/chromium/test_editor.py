"""The editor by itself: what it makes, what it weighs, who can use it, and how it looks."""

from __future__ import annotations

import io
import re
from typing import Any

import segno
from PIL import Image
from playwright.sync_api import Frame, Locator
from pypdf import PdfReader

from tests.chromium.case import ChromiumTestCase, expect
from tests.chromium.editor import Editor, ShopPage, open_alone
from tests.harness import REPOSITORY, needs_pages

AXE = REPOSITORY / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
RUN_AXE = """
async () => {
  await Promise.all(document.getAnimations().map(({ finished }) => finished));
  const { violations } = await axe.run(document, { iframes: false });
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .flatMap(({ id, nodes }) => nodes.map((node) => [id, node.html, node.failureSummary]));
}
"""

MOST = 150_000
"""Bytes that the first visit may load."""

NOT_COMPRESSED = "make pages puts compressed files beside the pages; npm run build alone does not"

MOST_STOPS = 40
"""Presses of the Tab key to anywhere in the editor."""

QUIET = 4
"""Modules around a QR code: ISO/IEC 18004, section 6.3.8."""

TOO_WIDE = """
() => document.documentElement.scrollWidth - document.documentElement.clientWidth
"""

DRAWN = """
({ box, page, modules }) => {
  const canvas = document.querySelector("canvas");
  const context = canvas.getContext("2d");
  const factor = canvas.width / page;
  const count = modules.length;
  return modules.every((row, j) => row.every((dark, i) => {
    const x = (box.x + ((i + 0.5) / count) * box.width) * factor;
    const y = (box.y + ((j + 0.5) / count) * box.height) * factor;
    const [red] = context.getImageData(Math.floor(x), Math.floor(y), 1, 1).data;
    return dark ? red < 100 : red > 155;
  }));
}
"""
"""Whether these modules fill a box on the canvas; the box in points."""

COLORED = """
({ x, y, page, color }) => {
  const canvas = document.querySelector("canvas");
  const factor = canvas.width / page;
  const at = [x * factor, y * factor].map(Math.floor);
  const pixel = canvas.getContext("2d").getImageData(...at, 1, 1).data;
  return color.every((value, index) => Math.abs(value - pixel[index]) < 8);
}
"""
"""Whether the canvas has this colour at a point."""


class EditorTests(ChromiumTestCase):
    def open(self, document: int | None, **options: Any) -> Editor:
        """Open the editor alone, in a context with these options."""
        page = self.context(**options).new_page()
        editor = open_alone(page, self.parts.editor, self.parts.token(), document)
        editor.expect_page()
        return editor

    def sample(self) -> int:
        """Return the document that an engine begins with."""
        found: int = self.parts.engine.ask("documents")["documents"][-1]["id"]
        return found

    # What it makes

    def test_pdf(self) -> None:
        """What is exported is a PDF, with a page for each row, and their texts in it."""
        document = self.parts.engine.new("Papers")
        data = {"columns": ["name"], "rows": [["Kim Ji-woo"], ["Lee"]]}
        self.parts.engine.apply(document, {"op": "data", "data": data})
        editor = self.open(document)
        editor.add_text("Dear {{name}}, welcome")
        editor.expect_settled()
        editor.choose_tab("File")
        editor.button("Export PDF").click()
        with editor.page.expect_download() as download:
            editor.button("Export").click()
        messages = editor.inside.get_by_role("status", name="Messages")
        expect(messages).to_contain_text("exported")
        self.keep(editor.page, "pdf-exported")
        path = download.value.path()
        self.assertRegex(download.value.suggested_filename, r"\.pdf$")
        content = path.read_bytes()
        self.assertTrue(content.startswith(b"%PDF-"))
        pages = [page.extract_text() for page in PdfReader(io.BytesIO(content)).pages]
        self.assertEqual(len(pages), 2)
        self.assertIn("Dear Kim Ji-woo, welcome", pages[0])
        self.assertIn("Dear Lee, welcome", pages[1])

    def test_image(self) -> None:
        """An uploaded image is on the page, as the engine has it, and in its own colours."""
        document = self.parts.engine.new("Picture")
        editor = self.open(document)
        color = (200, 40, 120)
        picture = io.BytesIO()
        Image.new("RGB", (120, 80), color).save(picture, "PNG")
        editor.inside.get_by_label("Image file").set_input_files(
            {"name": "red.png", "mimeType": "image/png", "buffer": picture.getvalue()}
        )
        expect(editor.named("Image")).to_be_visible()
        editor.expect_settled()
        (placed,) = self.parts.engine.objects(document)
        self.assertEqual(placed["kind"], "image")
        self.assertAlmostEqual(placed["width"] / placed["height"], 120 / 80, places=2)
        self.expect_color(editor, placed, color)
        editor.page.reload()
        editor.expect_settled()
        self.expect_color(editor, placed, color)  # now it has come from the engine

    def expect_color(self, editor: Editor, placed: Any, color: tuple[int, int, int]) -> None:
        middle = {
            "x": placed["x"] + placed["width"] / 2,
            "y": placed["y"] + placed["height"] / 2,
        }
        argument = {**middle, "page": 595, "color": color}
        editor.inside.wait_for_function(COLORED, arg=argument)

    def test_qr_code(self) -> None:
        """A QR code on the canvas says what was written into it."""
        document = self.parts.engine.new("Code")
        editor = self.open(document)
        editor.button("QR code").click()
        text = "https://shop.localhost/p/42"
        editor.field("Text").fill(text)
        editor.field("Text").blur()
        editor.expect_settled()
        (placed,) = self.parts.engine.objects(document)
        self.assertEqual(placed["text"], text)
        code = segno.make_qr(text, error="m").matrix_iter(border=QUIET)
        modules = [[bool(module) for module in row] for row in code]
        box = {name: placed[name] for name in ("x", "y", "width", "height")}
        argument = {"box": box, "page": 595, "modules": modules}
        editor.inside.wait_for_function(DRAWN, arg=argument)
        argument["modules"] = [[not module for module in row] for row in modules]
        self.assertIs(editor.evaluate(DRAWN, argument), False)

    def test_small(self) -> None:
        """What is small on the screen, and selected, can still be moved, and is not pulled."""
        document = self.parts.engine.new("Small")
        editor = self.open(document)
        editor.add_text("small")
        editor.field("Zoom").select_option("50 %")
        editor.expect_settled()
        (before,) = self.parts.engine.objects(document)
        editor.drag(editor.named("small"), 40, 60)
        editor.expect_settled()
        (after,) = self.parts.engine.objects(document)
        self.assertGreater(after["x"], before["x"])
        self.assertGreater(after["y"], before["y"])
        place = {"x": 0, "y": 0}
        self.assertEqual({**after, **place}, {**before, **place})

    # What it weighs

    def test_size(self) -> None:
        """The first visit loads less than 150 kB, compressed."""
        page = self.context().new_page()
        network = page.context.new_cdp_session(page)
        kinds: dict[str, str] = {}
        answers: dict[str, Any] = {}
        sizes: dict[str, int] = {}
        network.on("Network.responseReceived", lambda event: note(event))
        network.on(
            "Network.loadingFinished",
            lambda event: sizes.update({event["requestId"]: event["encodedDataLength"]}),
        )

        def note(event: Any) -> None:
            kinds[event["requestId"]] = event["type"]
            answers[event["requestId"]] = event["response"]

        network.send("Network.enable")
        editor = open_alone(page, self.parts.editor, self.parts.token())
        editor.expect_settled()
        self.assertLessEqual({"Document", "Script", "Stylesheet"}, set(kinds.values()))
        for request, kind in kinds.items():
            if kind in ("Script", "Stylesheet"):
                headers = {key.lower(): each for key, each in answers[request]["headers"].items()}
                self.assertEqual(headers.get("content-encoding"), "gzip", NOT_COMPRESSED)
        self.assertEqual({answer["status"] for answer in answers.values()}, {200})
        self.assertLess(sum(sizes.values()), MOST, sizes)
        self.assertGreater(sum(sizes.values()), MOST / 10, "this is not all of it")

    # Who can use it

    def tab_to(self, editor: Editor, target: Locator) -> None:
        """Press Tab until something has the focus."""
        for _ in range(MOST_STOPS):
            editor.page.keyboard.press("Tab")
            if target.evaluate("one => one === document.activeElement"):
                return
        self.fail(f"the Tab key does not come to {target}")

    def test_by_keyboard_alone(self) -> None:
        """Somebody without a mouse inserts a text, types, moves it and saves."""
        document = self.parts.engine.new("Keys")
        revision, _ = self.parts.engine.listing(document)
        editor = self.open(document)
        keyboard = editor.page.keyboard
        self.tab_to(editor, editor.inside.get_by_role("tab", name="Insert"))
        keyboard.press("ArrowLeft")
        expect(editor.inside.get_by_role("tab", name="Edit")).to_be_focused()
        keyboard.press("ArrowRight")
        self.tab_to(editor, editor.button("Text"))
        keyboard.press("ArrowRight")
        expect(editor.button("Rectangle")).to_be_focused()
        keyboard.press("ArrowLeft")
        keyboard.press("Enter")
        expect(editor.field("Text on the page")).to_be_focused()
        keyboard.type("typed by hand")
        keyboard.press("Escape")
        typed = editor.named("typed by hand")
        expect(typed).to_be_focused()
        editor.expect_settled()
        (before,) = self.parts.engine.objects(document)
        for key in ("ArrowRight", "ArrowRight", "ArrowRight", "Shift+ArrowDown"):
            keyboard.press(key)
        editor.expect_settled()
        (after,) = self.parts.engine.objects(document)
        self.assertEqual(after["text"], "typed by hand")
        moved = (after["x"] - before["x"], after["y"] - before["y"])
        self.assertEqual(moved, (3, 10))
        keyboard.press("Enter")
        expect(editor.field("Text on the page")).to_be_focused()
        keyboard.press("End")
        keyboard.type(" again")
        keyboard.press("Control+Enter")
        expect(typed).to_be_focused()
        keyboard.press("Control+d")
        expect(editor.texts).to_have_count(2)
        keyboard.press("Control+z")
        expect(editor.texts).to_have_count(1)
        self.tab_to(editor, editor.inside.get_by_role("tab", name="Insert"))
        keyboard.press("Home")
        expect(editor.inside.get_by_role("tab", name="File")).to_be_focused()
        self.tab_to(editor, editor.button("New"))
        keyboard.press("ArrowRight")
        keyboard.press("ArrowRight")
        expect(editor.button("Save")).to_be_focused()
        keyboard.press("Enter")
        saved = editor.inside.get_by_test_id("saved-state")
        expect(saved).to_have_attribute("data-state", "saved")
        (object,) = self.parts.engine.objects(document)
        self.assertEqual(object["text"], "typed by hand again")
        self.assertEqual(self.parts.engine.listing(document), (revision + 1, False))

    def assert_accessible(self, frame: Frame) -> None:
        if not AXE.exists():
            needs_pages(self)
        frame.evaluate(AXE.read_text(encoding="utf-8") + "\n;undefined")
        found = frame.evaluate(RUN_AXE)
        self.assertEqual([], found)

    def test_axe_on_the_editor(self) -> None:
        """axe finds nothing serious in the editor, whatever is open: light, dark or narrow."""
        for scheme, options in (
            ("light", {}),
            ("dark", {"color_scheme": "dark"}),
            ("narrow", {"viewport": {"width": 390, "height": 780}}),
        ):
            editor = self.open(self.sample(), **options)
            with self.subTest(scheme, shown="document"):
                self.assert_accessible(editor.inside)
            with self.subTest(scheme, shown="object"):
                editor.named("Delivery note").click()
                if scheme == "narrow":
                    editor.button("Properties").click()
                self.assert_accessible(editor.inside)
            with self.subTest(scheme, shown="edit"):
                editor.choose_tab("Edit")
                self.assert_accessible(editor.inside)
            editor.choose_tab("File")
            for sheet in ("New", "Open", "Export PDF"):
                with self.subTest(scheme, shown=sheet):
                    editor.button(sheet).click()
                    expect(editor.inside.get_by_role("dialog")).to_be_visible()
                    self.assert_accessible(editor.inside)

    def test_axe_on_the_shop(self) -> None:
        """axe finds nothing serious in the shop's page, with the editor in it or around it."""
        page = self.context().new_page()
        shop = ShopPage(page, self.parts.shop, self.sample())
        self.assert_accessible(page.main_frame)
        shop.open_editor(modal=True)
        self.assert_accessible(page.main_frame)
        page.keyboard.press("Escape")
        editor = shop.open_editor()
        editor.expect_settled()
        self.assert_accessible(page.main_frame)
        self.assert_accessible(editor.inside)

    # How it looks

    def test_views(self) -> None:
        """Its views are kept as pictures: English and Korean, light and dark, wide and narrow."""
        number = re.compile("Connected|연결됨")
        for name, options in (
            ("editor", {}),
            ("editor-korean", {"locale": "ko-KR"}),
            ("editor-dark", {"color_scheme": "dark"}),
            ("editor-narrow", {"viewport": {"width": 390, "height": 780}}),
        ):
            page = self.context(**options).new_page()
            editor = open_alone(page, self.parts.editor, self.parts.token(), self.sample())
            expect(editor.badge).to_have_text(number)
            expect(editor.named("Delivery note")).to_be_visible()
            with self.subTest(name):
                self.assertEqual(editor.evaluate(TOO_WIDE), 0, "it scrolls sideways")
            if name == "editor-korean":
                self.assertEqual(editor.evaluate("() => document.documentElement.lang"), "ko")
            editor.named("Delivery note").click()
            self.keep(page, name)
            page.context.close()
