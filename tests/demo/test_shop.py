"""The demo's shop: what its own page may have done, and nobody else's."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.bearer import TokenRefused
from orion_twisted.core.settings import TokenSettings
from orion_twisted.demo.shop_site import (
    MAX_BODY,
    MAX_CART,
    MAX_VISITS,
    TOKEN_LIFE,
    Mint,
    Shop,
    ShopSite,
    Visits,
)
from orion_twisted.web.token_keys import load_keys
from orion_twisted.web.tokens import LEEWAY, TokenCheck
from tests.web.door import Answer

ORIGIN = "https://shop.localhost:8891"
EDITOR = "https://editor.localhost:8889"
ITEM = {"design": "3", "title": "Invitation", "quantity": 50}


class Wire(StringTransport):
    """A transport that can be cut off."""

    aborted = False

    def abortConnection(self) -> None:
        self.aborted = True


class ShopTestCase(SynchronousTestCase):
    """The shop on connections in memory; the browser keeps its cookie."""

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(TemporaryDirectory()))
        self.key_file = self.folder / "key"
        self.key_file.write_text("k" * 40)
        mint = Mint("editor", self.key_file)
        self.clock: Any = MemoryReactorClock()
        self.site = ShopSite(Shop(ORIGIN, EDITOR, mint), self.clock)
        self.cookie = ""

    def ask(self, method: str, path: str, *headers: str, body: bytes = b"") -> Answer:
        wire = self.say(method, path, *headers, body=body)
        answer = Answer(wire.value(), to_head=method == "HEAD")
        self.assertEqual(answer.rest, b"")
        if b"set-cookie" in answer:
            self.cookie = answer[b"set-cookie"].decode().partition(";")[0]
        return answer

    def say(
        self,
        method: str,
        path: str,
        *headers: str,
        body: bytes = b"",
        host: str = "shop.localhost:8891",
    ) -> Wire:
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *headers]
        if self.cookie:
            lines.append(f"Cookie: {self.cookie}")
        if body:
            lines.append(f"Content-Length: {len(body)}")
        wire = Wire()
        channel = self.site.buildProtocol(wire.getPeer())
        assert channel is not None
        channel.makeConnection(wire)
        channel.dataReceived("\r\n".join([*lines, "", ""]).encode() + body)
        return wire

    def do(self, path: str, value: object = None, origin: str = ORIGIN) -> Answer:
        """Have something done, as the page of an origin would."""
        body = b"" if value is None else json.dumps(value).encode()
        return self.ask("POST", path, f"Origin: {origin}", body=body)


class PageTests(ShopTestCase):
    """What the shop shows."""

    def test_page(self) -> None:
        """The page loads the editor's script from the gateway, and may load nothing else."""
        page = self.ask("GET", "/")
        self.assertEqual((page.code, page[b"content-type"]), (b"200", b"text/html; charset=utf-8"))
        self.assertIn(f'<script src="{EDITOR}/embed.js"'.encode(), page.body)
        self.assertNotIn(b"{{", page.body)
        policy = page[b"content-security-policy"].decode().split("; ")
        self.assertIn(f"script-src 'self' {EDITOR}", policy)
        self.assertIn(f"frame-src {EDITOR}", policy)
        self.assertIn("default-src 'none'", policy)
        self.assertIn("frame-ancestors 'none'", policy)
        self.assertNotIn("unsafe", " ".join(policy))

    def test_what_it_loads(self) -> None:
        """Scripts, styles and pictures are there, by their types."""
        for path, type_ in {
            "/shop.js": b"text/javascript; charset=utf-8",
            "/words.js": b"text/javascript; charset=utf-8",
            "/shop.css": b"text/css; charset=utf-8",
            "/icon.svg": b"image/svg+xml",
            "/invitation-1.svg": b"image/svg+xml",
        }.items():
            answer = self.ask("GET", path)
            self.assertEqual((answer.code, answer[b"content-type"]), (b"200", type_))
            top = self.ask("HEAD", path)
            self.assertEqual(top[b"content-length"], answer[b"content-length"])

    def test_two_languages(self) -> None:
        """Whatever the page says, it says in English and in Korean."""
        page = self.ask("GET", "/").body.decode()
        english, korean = (
            set(re.findall(r"(?m)^    (\w+):", part))
            for part in self.ask("GET", "/words.js").body.decode().split("\n  ko: {")
        )
        self.assertEqual(english, korean)
        said = set(re.findall(r'data-(?:text|aria-label)="(\w+)"', page))
        said |= set(
            re.findall(r'(?:say|show)\("(\w+)"', self.ask("GET", "/shop.js").body.decode())
        )
        self.assertGreater(len(said), 20)
        self.assertLessEqual(said, english)

    def test_not_there(self) -> None:
        """There is nothing but that, and no way out of its folder."""
        for path in (
            "/index.html",
            "/nothing",
            "/../shop.py",
            "/%2e%2e/shop.py",
            "/shop.js/",
            "//",
        ):
            answer = self.ask("GET", path)
            self.assertEqual(answer.code, b"404", path)
            self.assertIn(b"content-security-policy", answer)

    def test_another_name(self) -> None:
        """A name of somebody else's that leads here gets nothing."""
        for host in ("shop.localhost", "evil.example:8891", ""):
            answer = Answer(self.say("GET", "/", host=host).value())
            self.assertEqual(answer.code, b"421", host)
            self.assertNotIn(b"set-cookie", answer)

    def test_cookie(self) -> None:
        """A visit's cookie is for this host alone, and no script sees it; one is enough."""
        page = self.ask("GET", "/")
        cookie = page[b"set-cookie"].decode()
        self.assertTrue(cookie.startswith("__Host-shop="))
        for word in ("Secure", "HttpOnly", "SameSite=lax", "Path=/"):
            self.assertIn(word, cookie.split("; "))
        self.assertNotIn(b"set-cookie", self.ask("GET", "/"))


class TokenTests(ShopTestCase):
    """Tokens for the editor."""

    def setUp(self) -> None:
        super().setUp()
        settings = TokenSettings(key_file=str(self.key_file))
        keys = load_keys(self.key_file, settings.algorithms)
        self.check = TokenCheck("editor", settings, keys, (ORIGIN,))

    def token(self) -> str:
        answer = self.do("/orion-token")
        self.assertEqual(answer[b"cache-control"], b"no-store")
        return str(json.loads(answer.body)["token"])

    def test_for_a_customer(self) -> None:
        """Who is signed in gets a token in their name, for this shop's page, for once."""
        self.ask("GET", "/")
        customer = json.loads(self.ask("GET", "/account").body)["customer"]
        token = self.token()
        identity = self.check.check(token, time.time())
        self.assertEqual((identity.subject, identity.parent_origin), (customer, ORIGIN))
        with self.assertRaises(TokenRefused) as caught:
            self.check.check(token, time.time())
        self.assertEqual(caught.exception.reason, "token_replayed")
        self.assertNotEqual(self.token(), token)

    def test_short_life(self) -> None:
        """A token that was not used is soon worth nothing."""
        self.ask("GET", "/")
        with self.assertRaises(TokenRefused) as caught:
            self.check.check(self.token(), time.time() + TOKEN_LIFE + LEEWAY)
        self.assertEqual(caught.exception.reason, "token_expired")

    def test_for_nobody_else(self) -> None:
        """Without a visit, and after signing out, there is none."""
        self.assertEqual(self.do("/orion-token").code, b"401")
        self.cookie = "__Host-shop=made-up"
        self.assertEqual(self.do("/orion-token").code, b"401")
        self.ask("GET", "/")
        self.assertEqual(self.do("/sign-out").code, b"200")
        self.assertEqual(self.do("/orion-token").code, b"401")
        self.assertEqual(self.do("/sign-in").code, b"200")
        self.assertEqual(self.do("/orion-token").code, b"200")

    def test_another_page(self) -> None:
        """No page of another origin can have one made, even if the browser sends the cookie."""
        self.ask("GET", "/")
        for origin in ("https://evil.example", EDITOR, "null", f"{ORIGIN}.evil.example"):
            for path in self.site.DEEDS:
                answer = self.do(f"/{path.decode()}", ITEM, origin)
                self.assertEqual(answer.code, b"403", origin)
        self.assertEqual(self.ask("POST", "/orion-token").code, b"403")
        self.assertEqual(self.ask("GET", "/orion-token").code, b"405")


class VisitTests(ShopTestCase):
    """Who visits, and what they buy."""

    def account(self) -> Any:
        return json.loads(self.ask("GET", "/account").body)

    def test_signing_in_again(self) -> None:
        """Signing in begins anew, under another cookie; the old one is still signed out."""
        self.ask("GET", "/")
        self.do("/sign-out")
        self.assertIsNone(self.account()["customer"])
        before = self.cookie
        self.do("/sign-in")
        self.assertIsNotNone(self.account()["customer"])
        self.cookie, after = before, self.cookie
        self.assertNotEqual(before, after)
        self.assertIsNone(self.account()["customer"])

    def test_cart(self) -> None:
        """What the editor has ordered is in the cart; the same design again has the new number."""
        self.ask("GET", "/")
        self.do("/cart", ITEM)
        self.do("/cart", {**ITEM, "design": "4"})
        answer = self.do("/cart", {**ITEM, "quantity": 70})
        self.assertEqual(answer.code, b"200")
        wanted = [{**ITEM, "design": "4"}, {**ITEM, "quantity": 70}]
        self.assertEqual(self.account()["cart"], wanted)

    def test_each_their_own(self) -> None:
        """Another browser has a cart of its own, and nobody's is shown without a cookie."""
        self.ask("GET", "/")
        self.do("/cart", ITEM)
        self.cookie = ""
        self.assertEqual(self.account(), {"customer": None, "cart": []})
        self.assertEqual(self.do("/cart", ITEM).code, b"401")
        self.ask("GET", "/")
        self.assertEqual(self.account()["cart"], [])

    def test_nonsense(self) -> None:
        """What is no order is none."""
        self.ask("GET", "/")
        for value in (
            None,
            [],
            {"design": "3"},
            {**ITEM, "quantity": 0},
            {**ITEM, "quantity": True},
            {**ITEM, "quantity": 10_001},
            {**ITEM, "design": ""},
            {**ITEM, "design": 3},
            {**ITEM, "title": "x" * 201},
        ):
            self.assertEqual(self.do("/cart", value).code, b"400", value)
        self.assertEqual(self.do("/cart", None).code, b"400")
        self.assertEqual(self.account()["cart"], [])

    def test_limits(self) -> None:
        """Carts, visits and bodies end somewhere."""
        self.ask("GET", "/")
        for number in range(MAX_CART):
            self.assertEqual(self.do("/cart", {**ITEM, "design": str(number)}).code, b"200")
        self.assertEqual(self.do("/cart", {**ITEM, "design": "more"}).code, b"409")
        self.assertEqual(self.do("/cart", {**ITEM, "design": "0"}).code, b"200")
        large = self.say("POST", "/cart", f"Origin: {ORIGIN}", body=b" " * (MAX_BODY + 1))
        self.assertTrue(large.aborted)
        endless = self.say("POST", "/cart", f"Origin: {ORIGIN}", "Transfer-Encoding: chunked")
        self.assertTrue(endless.aborted)

    def test_oldest_visit_goes(self) -> None:
        """The visit that was away longest is forgotten first."""
        visits = Visits()
        first, _ = visits.begin()
        second, _ = visits.begin()
        for _ in range(MAX_VISITS - 2):
            visits.begin()
        self.assertIsNotNone(visits.find(first))
        visits.begin()
        self.assertIsNone(visits.find(second))
        self.assertIsNotNone(visits.find(first))
