"""The editor in a shop's page: opened, used, saved, ordered, and found again after a reload."""

from __future__ import annotations

from typing import ClassVar

from playwright.sync_api import Error

from tests.chromium.case import ChromiumTestCase, expect
from tests.chromium.editor import Editor, ShopPage


class ShopTests(ChromiumTestCase):
    def edit(self, editor: Editor, document: int, words: str) -> tuple[float, float]:
        """Insert a text, change it, drag it and save; return where it is in the engine then."""
        placed = editor.add_text("not yet the words")
        expect(editor.named("not yet the words")).to_be_visible()
        editor.field("Text").fill(words)
        editor.field("Size").fill("21")
        editor.field("Size").press("Enter")
        editor.expect_settled()
        (before,) = self.parts.engine.objects(document)
        editor.drag(editor.named(words), 60, 90)
        editor.expect_settled()
        editor.save()
        (after,) = self.parts.engine.objects(document)
        self.assertEqual((after["id"], after["text"], after["size"]), (placed, words, 21))
        self.assertGreater(after["x"], before["x"])
        self.assertGreater(after["y"], before["y"])
        return after["x"], after["y"]

    def find_again(self, editor: Editor, words: str, place: tuple[float, float]) -> None:
        """Expect the one text where it was left."""
        self.assertEqual(editor.texts.count(), 1)
        editor.named(words).click()
        for name, value in zip("XY", place, strict=True):
            shown = float(editor.field(name).input_value())
            self.assertAlmostEqual(shown, value, delta=0.01)
        self.assertEqual(editor.field("Size").input_value(), "21")

    def test_inline(self) -> None:
        """What is done in the page's frame is there after a reload, and in the engine."""
        document = self.parts.engine.new("Inline")
        revision, _ = self.parts.engine.listing(document)
        shop = ShopPage(self.context().new_page(), self.parts.shop, document)
        self.keep(shop.page, "shop")
        editor = shop.open_editor()
        editor.expect_open("Inline")
        place = self.edit(editor, document, "함께해 주세요, Kim & Lee")
        expect(shop.status).to_have_attribute("data-state", "saved")
        self.keep(shop.page, "shop-inline")
        editor.add_text("not yet saved")
        expect(shop.status).to_have_attribute("data-state", "changed")
        editor.page.keyboard.press("Delete")
        editor.save()
        expect(shop.status).to_have_attribute("data-state", "saved")
        revision += 1
        self.assertEqual(self.parts.engine.listing(document), (revision + 1, False))
        shop.page.reload()
        editor = shop.open_editor()
        editor.expect_open("Inline")
        self.find_again(editor, "함께해 주세요", place)

    def test_modal(self) -> None:
        """The same in a modal; what is ordered is in the cart, and the modal is gone."""
        document = self.parts.engine.new("Modal")
        shop = ShopPage(self.context().new_page(), self.parts.shop, document)
        editor = shop.open_editor(modal=True)
        editor.expect_open("Modal")
        place = self.edit(editor, document, "Save the date")
        self.keep(shop.page, "shop-modal")
        editor.button("Order").click()
        expect(shop.status).to_have_attribute("data-state", "ordered")
        expect(shop.page.locator("iframe")).to_have_count(0)
        expect(shop.page.locator("#cart li")).to_have_attribute("data-design", str(document))
        shop.page.reload()
        editor = shop.open_editor(modal=True)
        editor.expect_open("Modal")
        self.find_again(editor, "Save the date", place)
        editor.named("Save the date").press("Escape")
        editor.named("Save the date").press("Escape")
        expect(shop.page.locator("iframe")).to_have_count(0)

    def test_two_at_once(self) -> None:
        """Two browsers on one document see each other, and each other's changes."""
        document = self.parts.engine.new("Shared")
        one = ShopPage(self.context().new_page(), self.parts.shop, document).open_editor()
        other = ShopPage(self.context().new_page(), self.parts.shop, document).open_editor()
        for editor in (one, other):
            editor.expect_open("Shared")
            expect(editor.inside.get_by_test_id("people")).to_have_text("2")
        one.add_text("from one")
        expect(other.named("from one")).to_be_visible()
        other.add_text("from the other")
        expect(one.named("from the other")).to_be_visible()
        one.drag(one.named("from the other"), -50, 120)
        one.expect_settled()
        other.named("from the other").click()
        expect(other.field("X")).to_have_value(one.field("X").input_value())
        expect(other.field("Y")).to_have_value(one.field("Y").input_value())
        other.page.keyboard.press("Delete")
        expect(one.named("from the other")).to_have_count(0)
        self.assertEqual(one.ids, other.ids)
        texts = [each["text"] for each in self.parts.engine.objects(document)]
        self.assertEqual(texts, ["from one"])


class StrangersBrowserTests(ChromiumTestCase):
    """One of somebody who has not been told of the development CA."""

    trusts: ClassVar[bool] = False

    def test_certificate(self) -> None:
        """It refuses the shop: so the trust store is what lets the pages of all other tests in."""
        with self.assertRaises(Error) as caught:
            self.context().new_page().goto(self.parts.shop)
        self.assertIn("ERR_CERT_AUTHORITY_INVALID", str(caught.exception))
