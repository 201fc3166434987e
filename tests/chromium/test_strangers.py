"""Pages that may not embed the editor, connect to its gateway, or speak with it."""

from __future__ import annotations

import json
import re
from typing import Any

from playwright.sync_api import Page

from orion_twisted.demo.run import EDITOR_HOST
from tests.chromium.case import ChromiumTestCase, expect
from tests.chromium.editor import ShopPage, open_alone
from tests.chromium.stranger import Stranger
from tests.harness import PATIENCE, Door, free_port

OTHER_SHOP = "other.localhost"

ABSENT_AFTER = 20_000
"""Milliseconds until the shop's page gives an editor up that says nothing."""

REFUSED_SOCKET = re.compile(
    r"^WebSocket connection to 'wss://editor\.localhost:\d+/ws' failed: "
    r"Error during WebSocket handshake: Unexpected response code: 403$"
)
REFUSED_FRAME = re.compile(
    r"violates the following Content Security Policy directive: \"frame-anc"
)

CONNECT = """
([url, token]) => new Promise((resolve) => {
  const socket = new WebSocket(url, ["orion.v2", `orion.bearer.${token}`]);
  socket.onopen = () => resolve("open");
  socket.onclose = ({ code }) => resolve(code);
})
"""

ADD_FRAME = """
(url) => {
  const frame = document.createElement("iframe");
  frame.src = url;
  document.body.append(frame);
}
"""

INTRUDER = """<!doctype html><title>third</title><script>
window.heard = [];
window.posted = 0;
const note = ({ data }) => heard.push(data);
addEventListener("message", note);
const config = { document: "DOCUMENT", lang: "ko" };
const session = { sid: "AAAAAAAAAAAAAAAA", key: "AAAAAAAAAAAAAAAA" };
const command = { type: "command", name: "order" };
setInterval(() => {
  for (let index = 0; index < parent.frames.length; index++) {
    const frame = parent.frames[index];
    if (frame === window) continue;
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = note;
    frame.postMessage({ orion: 1, type: "welcome", config, session }, "*", [port2]);
    port1.postMessage(command);
    frame.postMessage(command, "*");
    frame.postMessage({ type: "token", id: 1, token: "stolen" }, "*");
    posted++;
  }
  parent.postMessage({ orion: 1, type: "hello" }, "*");
  parent.postMessage({ type: "event", name: "ordered", detail: { document: 1 } }, "*");
}, 10);
</script>
"""
"""It plays the shop to the editor, and the editor to the shop, from before both are there."""


class StrangerTests(ChromiumTestCase):
    def stranger(self, body: str) -> str:
        """Serve a page of somebody else's until the test ends; return its origin."""
        certificate = self.parts.folder / "certs" / "localhost.pem"
        return self.enterContext(Stranger(certificate, body)).origin

    def connect(self, page: Page, token: str) -> Any:
        """Return what becomes of a WebSocket to the gateway: "open", or its close code."""
        return page.evaluate(CONNECT, [f"{self.parts.editor.replace('https', 'wss')}/ws", token])

    def test_a_shop_that_may_not_embed(self) -> None:
        """The policy keeps the editor out of another shop's frame, and its page says so."""
        port = free_port()
        self.parts.begin("shop", f"--shop-host={OTHER_SHOP}", shop_port=port)
        self.parts.wait_for(f"shop {port}")
        self.expected = [REFUSED_FRAME]
        page = self.context().new_page()
        page.clock.install()
        shop = ShopPage(page, f"https://{OTHER_SHOP}:{port}")
        with page.expect_event("console", lambda each: bool(REFUSED_FRAME.search(each.text))):
            page.click("#edit-here")
        expect(shop.status).to_have_attribute("data-state", "opening")
        page.clock.fast_forward(ABSENT_AFTER)
        expect(shop.status).to_have_attribute("data-state", "absent")
        self.assertFalse([each for each in page.frames if each.url.startswith(self.parts.editor)])
        self.keep(page, "shop-refused")

    def test_a_foreign_origin(self) -> None:
        """A page of another origin does not come to the engine, whatever token it has."""
        self.expected = [REFUSED_SOCKET]
        page = self.context().new_page()
        page.goto(self.stranger("<!doctype html><title>stranger</title>"))
        self.assertEqual(self.connect(page, self.parts.token()), 1006)
        # From the editor's own origin the same is let in: the page is what makes the difference.
        open_alone(page, self.parts.editor, self.parts.token())
        self.assertEqual(self.connect(page, self.parts.token()), "open")

    def refused(self, token: str, picture: str) -> None:
        """Expect the editor to say that it is not let in with a token."""
        editor = open_alone(self.context().new_page(), self.parts.editor, token)
        heading = editor.inside.get_by_role("heading", level=2)
        expect(heading).to_have_text("This editor is opened from a shop")
        expect(editor.badge).to_have_text("The gateway asks for a token, which the shop gives")
        expect(editor.badge).to_have_attribute("data-phase", "closed")
        self.keep(editor.page, picture)

    def test_an_expired_token(self) -> None:
        """With a token of yesterday the editor says that it is not let in."""
        self.refused(self.parts.token(life=60, age=24 * 3600), "refused")

    def test_a_used_token(self) -> None:
        """A token that lets in once has let in once."""
        token = self.parts.token(single_use=True)
        door = Door(self.parts.gateway_port, self.parts.ca_file)
        protocols: Any = ["orion.v2", f"orion.bearer.{token}"]
        with door.browser(host=EDITOR_HOST, subprotocols=protocols) as first:
            first.send(json.dumps({"type": "hello"}))
            self.assertEqual(json.loads(first.recv(timeout=PATIENCE))["type"], "welcome")
        self.refused(token, "refused-used")

    def test_a_third_page(self) -> None:
        """Another frame in the shop's page is nobody to the editor, nor the editor to the shop."""
        document = self.parts.engine.new("Ours")
        theirs = self.parts.engine.new("Theirs")
        third_origin = self.stranger(INTRUDER.replace("DOCUMENT", str(theirs)))
        # Without the shop's policy, which knows no frame but the editor's.
        shop = ShopPage(self.context(bypass_csp=True).new_page(), self.parts.shop, document)
        shop.page.evaluate(ADD_FRAME, third_origin)
        third = shop.page.frames[-1]
        third.wait_for_function("() => window.posted >= 0")
        editor = shop.open_editor()
        editor.expect_open("Ours")
        expect(editor.inside.locator("html")).to_have_attribute("lang", "en")
        begun = third.evaluate("() => posted")
        editor.add_text("undisturbed")
        editor.expect_settled()
        third.wait_for_function("begun => posted > begun + 20", arg=begun)
        editor.expect_open("Ours")
        self.assertEqual(third.evaluate("() => heard"), [])
        expect(shop.status).to_have_attribute("data-state", "ready")
        expect(shop.page.locator("#cart li")).to_have_count(0)
        texts = [each["text"] for each in self.parts.engine.objects(document)]
        self.assertEqual(texts, ["undisturbed"])
        self.assertEqual(self.parts.engine.objects(theirs), [])
