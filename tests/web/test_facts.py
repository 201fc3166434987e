"""What a tenant's pages may know of it, at an address of its own."""

from __future__ import annotations

import json

from attrs import evolve

from orion_twisted.core.settings import TokenSettings
from orion_twisted.web.facts import facts_of
from orion_twisted.web.site import PageSite
from tests.web.door import SHOP
from tests.web.test_site import SiteTestCase

FACTS = "/.well-known/orion-bridge.json"


class FactsTests(SiteTestCase):
    """The address on a tenant's host."""

    def assert_not_there(self, target: str) -> None:
        self.assertEqual(self.get(target).code, b"404", target)

    def test_what_it_says(self) -> None:
        """A page learns where the WebSocket is, its mode, and who may be around the page."""
        shops = ("https://shop.example", "https://*.shop.example")
        tenant = evolve(SHOP, path="/a%20b", mode="session", embed_in=shops)
        self.door.sites["shop"] = PageSite(self.folder, tenant, self.clock)
        answer = self.get(FACTS)
        self.assertEqual((answer.code, answer[b"content-type"]), (b"200", b"application/json"))
        self.assertEqual(
            json.loads(answer.body),
            {"path": "/a%20b", "mode": "session", "embed_in": list(shops)},
        )

    def test_nothing_else(self) -> None:
        """No setting that a stranger could not see by trying is told."""
        token = TokenSettings(key_file="keys/shop")
        facts = json.loads(facts_of(evolve(SHOP, token=token, client_ca="ca.pem")))
        self.assertEqual(facts, {"path": "/ws", "mode": "relay", "embed_in": []})

    def test_asked_for_each_time(self) -> None:
        """Caches ask each time, and one that has the facts already is told so."""
        first = self.get(FACTS)
        self.assertEqual(first[b"cache-control"], b"no-cache")
        tag = first[b"etag"].decode()
        for said, code in ((tag, b"304"), (f'"x", W/{tag}', b"304"), ('"another"', b"200")):
            for method in ("GET", "HEAD"):
                with self.subTest(said, method=method):
                    answer = self.get(FACTS, f"If-None-Match: {said}", method=method)
                    self.assertEqual((answer.code, answer[b"etag"].decode()), (code, tag))
                    self.assertEqual(b"content-length" in answer, code == b"200")

    def test_tag_of_what_it_says(self) -> None:
        """Other facts have another tag."""
        before = self.get(FACTS)[b"etag"]
        tenant = evolve(SHOP, mode="session")
        self.door.sites["shop"] = PageSite(self.folder, tenant, self.clock)
        self.assertNotEqual(self.get(FACTS)[b"etag"], before)

    def test_head(self) -> None:
        """HEAD says what GET would bring."""
        whole, top = self.get(FACTS), self.get(FACTS, method="HEAD")
        self.assertEqual(top.code, b"200")
        for name in (b"content-length", b"content-type", b"etag"):
            self.assertEqual(top[name], whole[name])

    def test_no_parts(self) -> None:
        """A range brings the whole: there is no part of it that makes sense."""
        answer = self.get(FACTS, "Range: bytes=0-3")
        self.assertEqual((answer.code, answer.body), (b"200", facts_of(SHOP)))

    def test_before_a_file(self) -> None:
        """A file of that name in the folder is not shown: the settings are what holds."""
        self.put(FACTS[1:], b"{}")
        self.assertEqual(self.get(FACTS).body, facts_of(SHOP))

    def test_one_address(self) -> None:
        """Only that address has it; others below ``.well-known`` are files, or not there."""
        for target in (f"{FACTS}/", f"{FACTS}/x", "/.well-known/", "/orion-bridge.json"):
            self.assert_not_there(target)
        self.put(".well-known/security.txt")
        self.assertEqual(self.get("/.well-known/security.txt").body, b"content")
