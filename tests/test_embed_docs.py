"""
What docs/embed.md says is so: its page is opened in a real browser, behind it a real gateway.

The shop, Cafe24's script and the vendor's tokens are made here; the shop's markup, script and
policy, the gateway's settings and the client's example are those of the page, `embed.js` and the
client what `npm run build` has made.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, ClassVar
from unittest import TestCase

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Route, sync_playwright

from orion_twisted.core.settings import TokenSettings
from orion_twisted.web.token_keys import load_keys, signing_key
from orion_twisted.web.tokens import mint
from tests.documents import CHECKOUT, code_in, read_page
from tests.e2e.answers import head, read_answer
from tests.e2e.backends import Backend, Peer
from tests.harness import (
    ENDED_IN_ORDER,
    PATIENCE,
    Gateway,
    GatewayTestCase,
    eventually,
    needs_package,
)
from tests.test_docs import (
    CERTIFICATES_FOLDER,
    PAGE_HOST,
    SETTINGS_FILE,
    answer_v1,
    run_shell,
    skip_or_fail,
    start_page,
    temporary_folder,
)

PAGE = read_page("docs/embed.md")
DIST = CHECKOUT / "frontend" / "client" / "dist"
HOST = "editor.shop1.example"
SHOP = "https://shop1.cafe24.com"
STRANGER = "https://stranger.example"
TOKENS = "https://tokens.vendor.example/shop1"
SECRET = "a secret of more than thirty-two bytes\n"

MEMBER = "kim"
CAFE24 = """
window.CAFE24API = {
  init({ client_id }) {
    return {
      getEncryptedMemberId: (asked, callback) =>
        asked === client_id ? callback(null, { member_id: "KIM" }) : callback(new Error(asked)),
    };
  },
};
"""
"""As much of Cafe24's script as the page uses."""

EDITOR = """<!doctype html><title>editor</title>
<script type="module">
import { OrionClient } from "/index.js";
import { inFrame } from "/frame.js";
const facts = await (await fetch("/.well-known/orion-bridge.json")).json();
const frame = await inFrame({ shops: facts.embed_in });
const getToken = () => frame.getToken();
const client = new OrionClient(facts.path, { getToken });
const told = async (name) => frame.emit(name, (await client.request({ cmd: name })).json());
window.told = told;
await told("ready");
</script>
"""
"""An editor that tells the shop whatever it is asked to, once the engine has answered."""


def block(kind: str) -> str:
    """Return the page's one block of a kind."""
    (found,) = (each for each in PAGE.blocks if each.kind == kind)
    return found.text


def policy(kind: str) -> str:
    """Return the value of the one header that a block shows."""
    name, _, value = block(kind).strip().partition(": ")
    assert name == "Content-Security-Policy", name
    return value


def needs_dist(case: TestCase) -> None:
    """End a test for which the browser's side has not been built."""
    if not (DIST / "index.js").exists() or not (DIST / "embed.js").exists():
        skip_or_fail(case, "the client is not built: npm run build in frontend/")


def engine(peer: Peer) -> None:
    """A talk of a backend that has one document, and an opinion."""
    while (payload := peer.read_frame()) is not None:
        answer = {"msgID": json.loads(payload)["@MSGID"], "success": True}
        peer.send_frame(json.dumps({**answer, "document": "d7", "message": "enough"}).encode())


class ScriptTests(TestCase):
    """What can be said of the examples without a browser."""

    def test_syntax(self) -> None:
        """Each script is JavaScript."""
        node = shutil.which("node")
        if node is None:
            needs_package(self, "nodejs")
        folder = temporary_folder(self)
        scripts = [each for each in PAGE.blocks if each.language == "js"]
        self.assertEqual(2, len(scripts))
        for number, script in enumerate(scripts):
            path = folder / f"{number}.mjs"
            path.write_text(script.text)
            done = subprocess.run(
                [str(node), "--check", path], capture_output=True, text=True, check=False
            )
            self.assertEqual((0, ""), (done.returncode, done.stderr))

    def test_script_tag(self) -> None:
        """What the app sends to Cafe24 is JSON, and names the script that the page loads."""
        request = json.loads(block("json"))["request"]
        self.assertIn(f'<script src="{request["src"]}"', block("shop-page"))
        self.assertEqual(["PRODUCT_DETAIL"], request["display_location"])

    def test_options(self) -> None:
        """The tables have options that the script knows, and what the example uses of them."""
        source = (CHECKOUT / "frontend/client/src/embed/index.ts").read_text(encoding="utf-8")
        _, _, interface = source.partition("interface EditorOptions")
        known = set(re.findall(r"(?m)^  (\w+)\??: ", interface))
        options = re.search(r"(?s)OrionEditor\.open\(\{\n(.*?)\n  \}\);", block("shop-script"))
        assert options is not None
        used = set(re.findall(r"(?m)^    (\w+)[:,]", options[1]))
        tables = [each.rows for each in PAGE.blocks if each.language == "table"]
        documented = {code_in(row[0])[0] for row in tables[0]}
        documented |= {code_in(row[1])[0] for row in tables[1]}
        self.assertLessEqual(documented, known)
        self.assertLessEqual(used, documented)
        sandbox = re.search(r'SANDBOX = "([^"]+)"', source)
        assert sandbox is not None
        self.assertIn(f'sandbox="{sandbox[1]}"', PAGE.text)

    def test_check(self) -> None:
        """The settings are what `orion-bridge check` likes, where its files are there."""
        folder = temporary_folder(self)
        write_settings(folder, "tcp:127.0.0.1:7000")
        run_shell(f"orion-bridge certs dev {HOST} && orion-bridge check {SETTINGS_FILE}", folder)

    def test_client(self) -> None:
        """The client's example has its answer from an engine behind a gateway."""
        needs_dist(self)
        folder = temporary_folder(self)
        backend = self.enterContext(Backend(answer_v1))
        run_shell("orion-bridge certs dev localhost", folder)
        settings = folder / SETTINGS_FILE
        settings.write_text(
            f'[tenant.shop1]\nhosts = ["localhost"]\nbackend = "{backend.endpoint}"\n'
            'mode = "session"\n'
        )
        gateway = Gateway([f"--config={settings}"], folder, folder / "certs")
        self.addCleanup(gateway.kill)
        package = folder / "node_modules" / "@orion-bridge" / "client"
        package.parent.mkdir(parents=True)
        package.symlink_to(DIST.parent)
        text = block("shop-client")
        self.assertIn(PAGE_HOST, text)
        text = text.replace(PAGE_HOST, gateway.url("/"))
        page, printed = start_page(self, text, folder, folder / "certs" / "ca.pem")
        self.assertEqual(0, page.wait(PATIENCE), printed.read_text())
        lines = printed.read_text().splitlines()
        for line in (
            "state: online",
            'answer: {"msgID": 1, "success": true}',
            "notification: sent",
            "state: closed",
        ):
            self.assertIn(line, lines)
        self.assertEqual(ENDED_IN_ORDER, gateway.stop())


def write_settings(folder: Path, backend: str) -> Path:
    """Write the page's settings for this machine, with the files that they name."""
    site, key = folder / "editor", folder / "shop1.key"
    site.mkdir()
    key.write_text(SECRET)
    text = block("settings").replace(CERTIFICATES_FOLDER, "certs")
    text = text.replace("/srv/orion/editor", str(site)).replace("/etc/orion/keys/shop1", str(key))
    text = text.replace("tcp:10.1.0.5:7000", backend)
    settings = folder / SETTINGS_FILE
    settings.write_text(text)
    return settings


def chromium() -> str | None:
    """Return where the browser is."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


class ShopTests(GatewayTestCase):
    """A shop's page, made as the document says, in Chromium."""

    names = (HOST,)
    gateway: ClassVar[Gateway]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        if not (DIST / "embed.js").exists() or chromium() is None:
            return  # setUp says so
        backend = cls.enterClassContext(Backend(engine))
        folder = cls.new_folder()
        path = write_settings(folder, backend.endpoint)
        path.write_text(re.sub(r"(?m)^(listen|dialect).*\n", "", path.read_text()))
        (folder / "editor" / "index.html").write_text(EDITOR)
        for script in DIST.glob("*.js"):
            shutil.copy(script, folder / "editor")
        cls.key_file = folder / "shop1.key"
        cls.gateway = cls.start_for_class(f"--config={path}", fallback=None)
        cls.browser_folder = cls.new_folder()

    key_file: ClassVar[Path]
    browser_folder: ClassVar[Path]

    def setUp(self) -> None:
        super().setUp()
        needs_dist(self)
        if chromium() is None:
            needs_package(self, "chromium")
        self.console: list[str] = []
        self.tokens = 0

    def test_headers(self) -> None:
        """The gateway's policy is the one that the page shows; it sets no cookie."""
        for path in ("/", "/embed.js", "/ws"):
            with self.subTest(path), closing(self.gateway.dial_tls(HOST)) as connection:
                connection.sendall(head(f"GET {path} HTTP/1.1", host=HOST))
                answer = read_answer(connection)
                self.assertNotIn("set-cookie", answer.headers)
                if answer.status == 200:
                    self.assertEqual(policy("headers"), answer.headers["content-security-policy"])

    def test_a_visit(self) -> None:
        """The button opens the editor, a token of the vendor's lets it in, events come back."""
        with self.shop(SHOP, policy("policy")) as page:
            page.click("#orion-open")
            self.wait_for(page, "The editor is open.")
            self.assertEqual(1, self.tokens)
            eventually(lambda: "of shop1 is in" in self.gateway.log, "the browser in the log")
            frame = page.frames[1]
            self.assertEqual(f"https://{HOST}/", frame.url)
            for event, told in (
                ("saved", "Design d7 is saved."),
                ("error", "The editor says: enough"),
                ("ordered", "Design d7 is ready to be ordered."),
            ):
                frame.evaluate("event => void told(event)", event)
                self.wait_for(page, told)
            page.wait_for_selector("iframe", state="detached", timeout=PATIENCE * 1000)
            self.assertEqual([], page.context.cookies())
            self.assertEqual([], self.console)

    def test_policies(self) -> None:
        """What a page forgets is in the console as the table says."""
        allowed = policy("policy")
        editor = f"https://{HOST}"
        for directive, origin, written in (
            ("script-src", SHOP, allowed.replace(f"'self' {editor}", "'self'")),
            ("frame-src", SHOP, allowed.replace(f"frame-src {editor}", "frame-src 'self'")),
            ("connect-src", SHOP, allowed.replace(" https://tokens.vendor.example", "")),
            ("frame-ancestors", STRANGER, allowed),
        ):
            with self.subTest(directive), self.shop(origin, written) as page:
                said = f'violates the following Content Security Policy directive: "{directive}'
                self.assertIn(f"`{said}`", PAGE.text)
                page.click("#orion-open")
                self.wait_for_console(page, said)
                if directive == "script-src":
                    self.assertIn("`OrionEditor is not defined`", PAGE.text)
                    self.wait_for_console(page, "OrionEditor is not defined")

    def wait_for(self, page: Page, text: str) -> None:
        page.wait_for_function(
            "text => document.querySelector('#orion-status').textContent === text",
            arg=text,
            timeout=PATIENCE * 1000,
        )

    def wait_for_console(self, page: Page, text: str) -> None:
        for _ in range(300):
            if any(text in each for each in self.console):
                return
            page.wait_for_timeout(100)
        self.fail(f"not in the console: {text}\n{self.console}")

    @contextmanager
    def shop(self, origin: str, written: str) -> Iterator[Page]:
        """Give the product page of a shop, with a policy of its own."""
        self.console.clear()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=chromium(),
                args=[
                    f"--host-resolver-rules=MAP {HOST}:443 127.0.0.1:{self.gateway.port}",
                    # The shop is a public one, and the gateway is not, here.
                    "--disable-features=LocalNetworkAccessChecks",
                ],
                chromium_sandbox=False,
            )
            try:
                context = browser.new_context(ignore_https_errors=True)
                self.serve(context, origin, written)
                page = context.new_page()
                page.on("console", self.hear)
                page.on("pageerror", lambda error: self.console.append(str(error)))
                page.goto(f"{origin}/product/detail.html")
                yield page
            finally:
                browser.close()

    def hear(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.console.append(message.text)

    def serve(self, context: BrowserContext, origin: str, written: str) -> None:
        """Be the shop, Cafe24 and the vendor; the gateway is itself."""
        markup = "<!doctype html><html lang=ko><script src=/cafe24.js></script>"
        answers = {
            "/product/detail.html": ("text/html", markup + block("shop-page")),
            "/cafe24.js": ("text/javascript", CAFE24),
            "/orion.js": ("text/javascript", block("shop-script")),
            "/favicon.ico": ("image/svg+xml", "<svg xmlns='http://www.w3.org/2000/svg'/>"),
        }

        def shop(route: Route) -> None:
            kind, body = answers[route.request.url.removeprefix(origin)]
            headers = {"Content-Security-Policy": written, "Content-Type": kind}
            route.fulfill(status=200, headers=headers, body=body)

        def vendor(route: Route) -> None:
            headers = {
                "Access-Control-Allow-Origin": SHOP,
                "Access-Control-Allow-Headers": "Content-Type",
                "Cache-Control": "no-store",
            }
            if route.request.method == "OPTIONS":
                route.fulfill(status=204, headers=headers)
                return
            asked: Any = route.request.post_data_json
            self.assertEqual({"member": "KIM"}, asked)
            self.tokens += 1
            route.fulfill(status=200, headers=headers, body=json.dumps({"token": self.token()}))

        context.route(f"{origin}/**", shop)
        context.route(f"{TOKENS}*", vendor)

    def token(self) -> str:
        settings = TokenSettings(key_file=str(self.key_file))
        key = signing_key(load_keys(self.key_file, settings.algorithms), None, None)
        return mint("shop1", settings, key, time.time(), 60, parent_origin=SHOP, subject=MEMBER)
