"""The Web Editor and the shop's page as somebody uses them who sits in front of them."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Frame, Locator, Page

from tests.chromium.case import expect

RECORD = """
() => {
  const badge = document.querySelector("[data-testid=connection]");
  const look = () => {
    const { phase, waiting } = badge.dataset;
    const now = { phase, waiting: Number(waiting), text: badge.textContent };
    const last = window.badges.at(-1);
    if (last?.phase !== phase || last.waiting !== now.waiting || last.text !== now.text)
      window.badges.push(now);
  };
  window.badges = [];
  look();
  const all = { attributes: true, characterData: true, childList: true, subtree: true };
  new MutationObserver(look).observe(badge, all);
}
"""
"""Keeps everything that the badge says from now on."""


class Editor:
    """
    The Web Editor in a page, or in the frame of a shop's page.

    Args:
        page: the page.
        frame: the window that the editor is in.
    """

    def __init__(self, page: Page, frame: Frame) -> None:
        self.page = page
        self.inside = frame

    # What is to be seen

    @property
    def badge(self) -> Locator:
        return self.inside.get_by_test_id("connection")

    @property
    def texts(self) -> Locator:
        """The objects on the page."""
        return self.inside.locator("[data-object]")

    @property
    def ids(self) -> list[str]:
        """The objects' ids, in the page's order."""
        ids: list[str] = self.texts.evaluate_all("all => all.map((one) => one.dataset.object)")
        return ids

    def button(self, name: str) -> Locator:
        return self.inside.get_by_role("button", name=name, exact=True)

    def field(self, name: str) -> Locator:
        fields = self.inside.locator("input, textarea, select")
        return self.inside.get_by_label(name, exact=True).and_(fields)

    def named(self, name: str) -> Locator:
        """The object that is announced with this in its name."""
        return self.inside.get_by_role("option", name=re.compile(re.escape(name)))

    # What the badge says

    def expect_open(self, name: str) -> None:
        """Expect a document to be there, and the link."""
        expect(self.field("Document name")).to_have_value(name)
        self.expect_settled()

    def expect_settled(self, timeout: float | None = None) -> None:
        """Expect the link to be there, and all edits with the engine."""
        expect(self.badge).to_have_attribute("data-phase", "online", timeout=timeout)
        expect(self.badge).to_have_attribute("data-waiting", "0", timeout=timeout)
        expect(self.badge).to_have_text("Connected", timeout=timeout)

    def expect_page(self) -> None:
        """Expect the link to be there, and a document's page to be worked on."""
        expect(self.inside.locator("canvas")).to_be_visible()
        self.expect_settled()

    def expect_waiting(self, count: int) -> None:
        """Expect so many edits not to be with the engine."""
        expect(self.badge).to_have_attribute("data-waiting", str(count))

    def evaluate(self, script: str, argument: object = None) -> Any:
        """Evaluate a function in the editor's window."""
        return self.inside.evaluate(script, argument)

    def record_badge(self) -> None:
        """Keep everything that the badge says from now on."""
        self.evaluate(RECORD)

    def said(self) -> list[dict[str, Any]]:
        """Return what it has said: ``phase``, ``waiting``, ``text``."""
        badges: list[dict[str, Any]] = self.evaluate("() => window.badges")
        return badges

    # What can be done

    def choose_tab(self, name: str) -> None:
        self.inside.get_by_role("tab", name=name, exact=True).click()

    def add_text(self, text: str) -> str:
        """Insert a text with these words: two edits. Return its id."""
        before = set(self.ids)
        self.button("Text").click()
        field = self.field("Text on the page")
        expect(field).to_be_focused()
        self.page.keyboard.insert_text(text)
        self.page.keyboard.press("Control+Enter")
        expect(field).to_have_count(0)
        (new,) = set(self.ids) - before
        return new

    def drag(self, target: Locator, right: int, down: int) -> None:
        """Drag an object's middle by so many CSS pixels, without snapping: one edit."""
        target.scroll_into_view_if_needed()
        box = target.bounding_box()
        assert box is not None
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        mouse = self.page.mouse
        mouse.move(x, y)
        mouse.down()
        self.page.keyboard.down("Alt")
        mouse.move(x + right / 2, y + down / 2, steps=3)
        mouse.move(x + right, y + down, steps=3)
        mouse.up()
        self.page.keyboard.up("Alt")

    def save(self) -> None:
        """Save by the keyboard; done when this returns."""
        self.page.keyboard.press("Control+s")
        expect(self.inside.get_by_test_id("saved-state")).to_have_attribute("data-state", "saved")


def open_alone(page: Page, origin: str, token: str, document: int | None = None) -> Editor:
    """Open the editor without a shop around it."""
    more = "" if document is None else f"&document={document}"
    page.goto(f"{origin}/#token={token}{more}")
    return Editor(page, page.main_frame)


class ShopPage:
    """
    The shop's product page.

    Args:
        page: an empty page.
        origin: the shop's.
        document: the design that this browser has worked on before; None: none.
    """

    def __init__(self, page: Page, origin: str, document: int | None = None) -> None:
        self.page = page
        page.goto(origin)
        self._editor = page.locator("body").get_attribute("data-editor") or ""
        if document is not None:
            page.evaluate("id => localStorage.setItem('design', id)", str(document))
            page.reload()
        expect(page.locator("#customer")).to_contain_text("guest-")

    @property
    def status(self) -> Locator:
        return self.page.locator("#status")

    def open_editor(self, modal: bool = False) -> Editor:
        """Open the editor by the page's button; it is ready when this returns."""
        self.page.click("#edit" if modal else "#edit-here")
        expect(self.status).to_have_attribute("data-state", "ready")
        # What is outside the window the mouse does not come to.
        self.page.locator("iframe").last.evaluate("one => one.scrollIntoView()")
        (frame,) = (each for each in self.page.frames if each.url.startswith(self._editor))
        return Editor(self.page, frame)
