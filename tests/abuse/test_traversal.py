"""Ways out of a folder of pages, in every spelling; and ways to be led astray by a redirect."""

from __future__ import annotations

from os import mkfifo
from typing import ClassVar

from tests.abuse.attack import SOON
from tests.abuse.siege import SCHEMES, SiegeTestCase
from tests.e2e.answers import head

HOST = "pages.example"
OUTSIDE = b"outside-of-the-folder"
"""What stands in all files that nobody may read."""
INDEX = b"<!doctype html><title>index</title>"

DOTS = [
    "..",
    "%2e%2e",
    "%2E.",
    ".%2e",
    "%252e%252e",
    "%25%32%65%25%32%65",
    "..%00",
    "..%20",
    "..;",
    "..;a=b",
    "....",
    ".%00.",
    "%c0%ae%c0%ae",
    "%e0%80%ae%e0%80%ae",
    "%uff0e%uff0e",
    "%u002e%u002e",
    "%ef%bc%8e%ef%bc%8e",
    "0x2e0x2e",
    "...",
    "..%0d",
    "..%0a",
    "..%09",
]
SLASHES = [
    "/",
    "%2f",
    "%2F",
    "%252f",
    "%5c",
    "%255c",
    "\\",
    "%c0%af",
    "%u2215",
    "//",
    "/./",
    "%2f%2f",
]

NAMES = ["secret.txt", "pages-other/secret.txt", "etc/passwd"]

TARGETS = [
    *(
        f"/{start}{dots}{slash}{name}"
        for dots in DOTS
        for slash in SLASHES
        for start, name in (("", NAMES[0]), ("sub/../" if slash == "/" else "sub/", NAMES[0]))
    ),
    *(f"/{'../' * count}{NAMES[2]}" for count in (1, 8, 500)),
    *(f"/{'%2e%2e%2f' * count}{NAMES[2]}" for count in (1, 8, 500)),
    f"/../{NAMES[1]}",
    "/../pages-other/",
    "/sub/..%2f..%2fpages-other%2fsecret.txt",
    "//etc/passwd",
    "///etc/passwd",
    "/%2fetc%2fpasswd",
    "/%2Fetc/passwd",
    "/sub//etc/passwd",
    "/sub/%2fetc%2fpasswd",
    "/file:///etc/passwd",
    "/C:%5cWindows%5cwin.ini",
    "/~root/",
    "/.hidden",
    "/%2ehidden",
    "/./.hidden",
    "/sub/.git/config",
    "/sub/%2egit/config",
    "/sub/%2egit%2fconfig",
    "/.%00hidden",
    "/.hidden%00.html",
    "/.hidden/",
    "/.hidden%20",
    "/.hidden.",
    "/%00",
    "/index.html%00.txt",
    "/index.html/../../secret.txt",
    "/index.html/..%2f..%2fsecret.txt",
    "/sub/../../secret.txt",
    "/sub%2f..%2f..%2fsecret.txt",
    "/%2e",
    "/%2e%2e",
    "/..",
    "/../",
    "/sub/..",
    "/%2e%2e/%2e%2e/",
    "/" + "a/" * 3000,
    "/" + "%2e/" * 3000,
    "/" + "a" * 5000,
    "/%ff%fe",
    "/%",
    "/%zz",
    "/proc/self/environ",
    "/pipe",
]

SPLITTERS = [
    "//evil.example/sub",
    "//evil.example/%2e%2e/sub",
    "/%2f%2fevil.example/sub",
    "/%5cevil.example/sub",
    "/\\evil.example/sub",
    "/sub%0d%0aLocation:%20https://evil.example",
    "/sub%0aSet-Cookie:%20a=b",
    "/sub?%0d%0aSet-Cookie:%20a=b",
    "/sub//evil.example",
    "/sub",
    "http://evil.example/sub",
    "http://pages.example//evil.example/..//sub",
]
"""Targets that may be answered by a redirect to a folder."""


class TraversalTests(SiegeTestCase):
    """Nothing outside of a tenant's folder can be read, and nothing in it whose name is hidden."""

    secrets: ClassVar[set[str]] = set()
    settings = """
        [tenant.pages]
        hosts = ["pages.example"]
        backend = "{backend}"
        site = "{pages}"
        [tenant.shop1]
        hosts = ["localhost"]
        backend = "{backend}"
        """

    @classmethod
    def places(cls) -> dict[str, str]:
        parent = cls.new_folder()
        for path, content in {
            "pages/index.html": INDEX,
            "pages/sub/index.html": INDEX,
            "pages/.hidden": OUTSIDE,
            "pages/sub/.git/config": OUTSIDE,
            "secret.txt": OUTSIDE,
            "pages-other/secret.txt": OUTSIDE,
            "pages-other/index.html": OUTSIDE,
        }.items():
            (parent / path).parent.mkdir(parents=True, exist_ok=True)
            (parent / path).write_bytes(content)
        mkfifo(parent / "pages" / "pipe")
        return {**super().places(), "pages": str(parent / "pages")}

    def ask(self, scheme: str, target: str, method: str = "GET") -> tuple[int, str, bytes]:
        """Return an answer's status, where it redirects to, and its body."""
        with self.attacker(scheme) as attacker:
            request = head(f"{method} {target} HTTP/1.1", "Connection: close", host=HOST)
            attacker.send(request)
            outcome = attacker.outcome(SOON)
            headers = dict(outcome.headers)
            self.assertEqual(len(headers), len(outcome.headers), "a header stands there twice")
            self.assertNotIn("set-cookie", headers)
            self.assertEqual(outcome.said, "", "something is behind the answer")
            self.assertIsNotNone(outcome.status, "no answer")
            return outcome.status or 0, headers.get("location", ""), attacker.body

    def assert_inside(self, scheme: str, target: str) -> None:
        status, location, body = self.ask(scheme, target)
        self.assertIn(status, (200, 301, 302, 307, 308, 400, 404, 421))
        for word in (OUTSIDE, b"root:", b"PATH=", b"secret", b"Traceback"):
            self.assertNotIn(word, body)
        if status == 200:
            self.assertEqual(body, INDEX)
        if location:
            self.assertRegex(location, r"\A/[^/\\\r\n][^\r\n]*\Z")

    def test_traversal(self) -> None:
        """Whatever leads out of the folder is not there, in all spellings."""
        with self.watched():
            for number, target in enumerate(TARGETS):
                with self.subTest(target[:100]):
                    self.assert_inside(SCHEMES[number % 2], target)

    def test_redirects(self) -> None:
        """A redirect leads to a folder of the same host, and says nothing of the attacker's."""
        with self.watched():
            for number, target in enumerate(SPLITTERS):
                with self.subTest(target):
                    self.assert_inside(SCHEMES[number % 2], target)

    def test_other_methods(self) -> None:
        """Pages are read, not written."""
        with self.watched():
            for method in ("PUT", "DELETE", "PATCH", "POST", "OPTIONS", "TRACE", "PROPFIND"):
                with self.subTest(method):
                    self.assertEqual(self.ask("wss", "/index.html", method)[0], 405)
