"""Whose pages may connect."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.origins import OriginVerdict, judge_origin, normalise_origin

WELCOME, NEEDS_TOKEN, FOREIGN = OriginVerdict


class SpellingTests(SynchronousTestCase):
    """`normalise_origin`."""

    def test_one_spelling(self) -> None:
        """Letter case, a trailing dot and a default port make no difference."""
        for text, normal in (
            ("https://shop.example", "https://shop.example:443"),
            ("HTTPS://Shop.Example.", "https://shop.example:443"),
            ("https://shop.example:443", "https://shop.example:443"),
            ("http://shop.example", "http://shop.example:80"),
            ("https://shop.example:8889", "https://shop.example:8889"),
            ("https://127.0.0.1:8889", "https://127.0.0.1:8889"),
            ("https://[::1]:8889", "https://[::1]:8889"),
        ):
            with self.subTest(text):
                self.assertEqual(normalise_origin(text), normal)

    def test_what_is_none(self) -> None:
        """A path, credentials, another scheme or a list make it no origin."""
        for text in (
            "",
            "null",
            "*",
            "shop.example",
            "//shop.example",
            "https://",
            "https://shop.example/",
            "https://user@shop.example",
            "https://shop.example https://other.example",
            "https://shop.example,https://other.example",
            "https://*.example",
            "https://shop.example:",
            "https://shop.example:99999",
            "chrome-extension://abc",
            "file://",
            "https://shop.example\x00",
        ):
            with self.subTest(text):
                self.assertIsNone(normalise_origin(text))

    @settings(deadline=None)
    @given(st.text(max_size=80))
    def test_any_text(self, text: str) -> None:
        """No text raises, and what is normal stays as it is."""
        normal = normalise_origin(text)
        if normal is not None:
            self.assertEqual(normalise_origin(normal), normal)


class RuleTests(SynchronousTestCase):
    """`judge_origin`."""

    def test_without_a_list(self) -> None:
        """Where a tenant lists no origins, a page has to come from the request's own host."""
        for origins, verdict in (
            ([], WELCOME),
            (["https://shop.example"], WELCOME),
            (["https://SHOP.example:8889"], WELCOME),
            (["http://shop.example"], WELCOME),
            (["https://evil.example"], FOREIGN),
            (["https://shop.example.evil.example"], FOREIGN),
            (["https://xshop.example"], FOREIGN),
            (["null"], FOREIGN),
            ([""], FOREIGN),
            (["garbage"], FOREIGN),
            (["https://shop.example", "https://shop.example"], FOREIGN),
        ):
            with self.subTest(origins):
                self.assertIs(judge_origin(origins, "shop.example", None, False), verdict)

    def test_own_address(self) -> None:
        """The rule on the own host holds for addresses, too."""
        self.assertIs(judge_origin(["https://[::1]:1"], "::1", None, False), WELCOME)
        self.assertIs(judge_origin(["https://127.0.0.1"], "127.0.0.1", None, False), WELCOME)

    def test_with_a_list(self) -> None:
        """Scheme, host and port have to be those of one that is listed."""
        allowed = ("https://shop.example:443", "http://localhost:3000")
        for origins, verdict in (
            ([], NEEDS_TOKEN),
            (["https://shop.example"], WELCOME),
            (["https://shop.example:443"], WELCOME),
            (["http://localhost:3000"], WELCOME),
            (["http://localhost"], FOREIGN),
            (["http://shop.example"], FOREIGN),
            (["https://shop.example:8443"], FOREIGN),
            (["https://gateway.example"], FOREIGN),
            (["null"], FOREIGN),
            (["*"], FOREIGN),
            ([""], FOREIGN),
        ):
            with self.subTest(origins):
                self.assertIs(judge_origin(origins, "gateway.example", allowed, False), verdict)

    def test_written_out(self) -> None:
        """`null` and `*` count only where the tenant writes them."""
        self.assertIs(judge_origin(["null"], "h", ("null",), False), WELCOME)
        self.assertIs(judge_origin(["https://x.example"], "h", ("null",), False), FOREIGN)
        for origin in ("https://x.example", "null", "garbage"):
            self.assertIs(judge_origin([origin], "h", ("*",), False), WELCOME)

    def test_no_origin_allowed(self) -> None:
        """Clients that are no browsers are let in where the tenant says so."""
        self.assertIs(judge_origin([], "h", ("https://shop.example:443",), True), WELCOME)
        self.assertIs(judge_origin(["null"], "h", ("https://shop.example:443",), True), FOREIGN)
