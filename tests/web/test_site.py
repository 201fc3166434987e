"""A tenant's pages, as a browser gets them through the gate."""

from __future__ import annotations

import os
from errno import EACCES
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.testing import MemoryReactorClock
from twisted.web.static import File

from orion_twisted.core.handshake import Page
from orion_twisted.web.gate import HttpGate
from orion_twisted.web.site import PAGE_HEADERS
from tests.transports import Pipe
from tests.web.door import SHOP, Answer, PageTestCase, head

LARGEST = 1024 * 1024
FUTURE = "Fri, 31 Dec 2100 00:00:00 GMT"


class SiteTestCase(PageTestCase):
    """A folder of pages; every request is one for a page."""

    def setUp(self) -> None:
        super().setUp()
        self.patch(self.door, "decide", lambda request, gate: Page(SHOP))

    def put(self, name: str, content: bytes = b"content") -> None:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)

    def get(self, target: str, *headers: str, method: str = "GET") -> Answer:
        """Ask for a page on a connection of its own."""
        self.wire = Pipe(self.clock)
        self.gate = HttpGate(self.door, LARGEST, 5.0, self.clock)
        self.connect()
        self.say(head(target, *headers, method=method))
        answer = Answer(self.wire.taken, to_head=method == "HEAD")
        self.assertEqual(answer.rest, b"")
        self.wire.hears_end()
        return answer


class PagesTests(SiteTestCase):
    """What is there."""

    def test_index(self) -> None:
        """A folder is answered by its index."""
        self.put("editor/index.html", b"<h1>Editor</h1>")
        for target in ("/", "/index.html"):
            self.assertEqual(self.get(target).body, b"<h1>shop</h1>")
        for target in ("/editor/", "/editor/?lang=ko", "/editor/index.html"):
            self.assertEqual(self.get(target).body, b"<h1>Editor</h1>")

    def test_folder_without_its_slash(self) -> None:
        """A folder is found without the slash at its end, and a query stays with it."""
        self.put("editor/index.html")
        answer = self.get('/editor?x="><script>')
        self.assertEqual((answer.code, answer[b"location"]), (b"302", b'/editor/?x="><script>'))
        self.assertNotIn(b"<script", answer.body)

    def test_types(self) -> None:
        """What a build of web pages consists of is called by its type, on any machine."""
        for name, type_ in {
            "index.html": b"text/html",
            "assets/app-3f2a.js": b"text/javascript",
            "assets/worker.mjs": b"text/javascript",
            "assets/app.css": b"text/css",
            "assets/app.js.map": b"application/json",
            "logo.svg": b"image/svg+xml",
            "logo.PNG": b"image/png",
            "font.woff2": b"font/woff2",
            "render.wasm": b"application/wasm",
            "app.webmanifest": b"application/manifest+json",
            ".well-known/security.txt": b"text/plain",
        }.items():
            with self.subTest(name):
                self.put(name)
                answer = self.get(f"/{name}")
                self.assertEqual((answer.code, answer.body), (b"200", b"content"))
                self.assertEqual(answer[b"content-type"], type_)

    def test_unknown_types(self) -> None:
        """A file of a kind that nobody knows is not shown as a page."""
        for name in ("upload", "upload.xyzzy", "index.html~"):
            self.put(name, b"<script>alert(1)</script>")
            self.assertEqual(self.get(f"/{name}")[b"content-type"], b"application/octet-stream")

    def test_names_beyond_ascii(self) -> None:
        """File names are percent-encoded UTF-8."""
        self.put("글꼴 1.txt")
        self.assertEqual(self.get("/%EA%B8%80%EA%BC%B4%201.txt").body, b"content")

    def test_large_file(self) -> None:
        """A file of any size comes whole."""
        content = bytes(range(256)) * 4096
        self.put("large.bin", content)
        self.wire = Pipe(self.clock)
        self.connect()
        self.say(head("/large.bin"))
        for _ in range(200):
            self.turn()
        self.assertEqual(Answer(self.wire.taken).body, content)

    def test_head(self) -> None:
        """HEAD says what GET would bring."""
        self.put("app.js", b"x" * 1234)
        answer = self.get("/app.js", method="HEAD")
        self.assertEqual((answer.code, answer[b"content-length"]), (b"200", b"1234"))

    def test_not_modified(self) -> None:
        """A browser that has the page already is told to use it."""
        self.put("app.js")
        changed = self.get("/app.js")[b"last-modified"].decode()
        for since in (changed, FUTURE):
            answer = self.get("/app.js", f"If-Modified-Since: {since}")
            self.assertEqual((answer.code, answer[b"last-modified"].decode()), (b"304", changed))
            self.assertNotIn(b"content-length", answer)
        for since in ("Thu, 01 Jan 1970 00:00:00 GMT", "yesterday", "Fri, 99 Xyz"):
            self.assertEqual(self.get("/app.js", f"If-Modified-Since: {since}").code, b"200")

    def test_a_part(self) -> None:
        """A part of a file may be asked for; what is no such request brings the whole file."""
        self.put("video.webm", b"0123456789")
        for asked, code, body in (
            ("bytes=2-4", b"206", b"234"),
            ("bytes=7-", b"206", b"789"),
            ("bytes=9-99", b"206", b"9"),
            ("bytes=20-", b"416", b""),
            ("bytes=0-,0-,0-", b"200", b"0123456789"),
            ("bytes=4-2", b"200", b"0123456789"),
            ("bytes=-2", b"206", b"89"),
            ("bytes=-20", b"206", b"0123456789"),
            ("lines=1-2", b"200", b"0123456789"),
            ("bytes=" + "9" * 5000 + "-", b"200", b"0123456789"),
        ):
            with self.subTest(asked):
                answer = self.get("/video.webm", f"Range: {asked}")
                self.assertEqual((answer.code, answer.body), (code, body))

    def test_link_out_of_the_folder(self) -> None:
        """Symbolic links are followed, as web servers do: whoever put one there meant it."""
        (self.outside / "release.txt").write_text("release")
        (self.folder / "current.txt").symlink_to(self.outside / "release.txt")
        self.assertEqual(self.get("/current.txt").body, b"release")


class NotFoundTests(SiteTestCase):
    """What is not there, and what is not to be had, in a folder without a page of its own."""

    def setUp(self) -> None:
        super().setUp()
        (self.folder / "index.html").unlink()

    def assert_not_found(self, target: str) -> None:
        answer = self.get(target)
        self.assertEqual((answer.code, answer.body), (b"404", b"Not Found\n"), target)
        self.assertEqual(answer[b"content-type"], b"text/plain; charset=utf-8")

    def test_not_there(self) -> None:
        """What is not there has one fixed answer, without the name that was asked for."""
        self.put("app.js")
        for target in ("/nothing", "/nothing/", "/app.js/", "/app.js/x", "/APP.JS", "/app", "//"):
            self.assert_not_found(target)

    def test_no_listing(self) -> None:
        """Folders without an index do not show what is in them."""
        self.put("assets/app.js")
        self.assert_not_found("/assets/")

    def test_no_way_out(self) -> None:
        """No spelling of a path leads out of the folder."""
        (self.outside / "secret.txt").write_text("secret")
        self.put("sub/index.html")
        for target in (
            "/../secret.txt",
            "/%2e%2e/secret.txt",
            "/..%2fsecret.txt",
            "/%2e%2e%2fsecret.txt",
            "/sub/../../secret.txt",
            "/sub/..%2f..%2fsecret.txt",
            "/..\\secret.txt",
            "/..%5csecret.txt",
            "/.",
            "/..",
            "/%2e%2e",
            "/./index.html",
            "//../secret.txt",
            "/%2fetc%2fpasswd",
            "//etc/passwd",
            "/etc/passwd",
            f"{self.outside}/secret.txt",
            "/~root",
            "/C:%5cwindows",
        ):
            self.assert_not_found(target)

    def test_odd_names(self) -> None:
        """Names that no file can have are not there, and are no reason for a traceback."""
        for target in ("/%00", "/index.html%00.txt", "/%ff", "/%c3", "/%ed%a0%80", "/%", "/%zz"):
            self.assert_not_found(target)
        self.assert_not_found("/" + "a" * 300)
        self.assert_not_found("/a" * 3000)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_hidden_files(self) -> None:
        """Names with a dot in front are not there: .git and .env are no pages."""
        self.put(".env")
        self.put(".git/config")
        self.put("sub/.htpasswd")
        for target in ("/.env", "/%2eenv", "/.git/config", "/.git/", "/sub/.htpasswd"):
            self.assert_not_found(target)

    def test_what_is_no_file(self) -> None:
        """A FIFO in the folder does not stop the gateway, which would wait for its other end."""
        os.mkfifo(self.folder / "fifo")
        self.assert_not_found("/fifo")

    def test_unreadable_file(self) -> None:
        """A file that may not be read is not there."""
        self.put("app.js")
        with patch.object(File, "openForReading", side_effect=PermissionError(EACCES, "denied")):
            self.assert_not_found("/app.js")


class HeadersTests(SiteTestCase):
    """What every answer says."""

    def test_on_every_answer(self) -> None:
        """The headers that protect a page are on it, on its absence, and on what is cached."""
        self.put("sub/index.html")
        for answer in (
            self.get("/"),
            self.get("/nothing.js"),
            self.get("/", f"If-Modified-Since: {FUTURE}"),
            self.get("/", "Range: bytes=1-2"),
            self.get("/sub"),
            self.get("/", method="HEAD"),
        ):
            for name, value in PAGE_HEADERS:
                self.assertEqual(answer[name.lower()], value)
            self.assertNotIn(b"server", answer)
            self.assertNotIn(b"x-powered-by", answer)
            self.assertIn(b"date", answer)

    def test_access_log(self) -> None:
        """No access log is written, since addresses of pages may have tokens in them."""
        logged: list[str] = []
        with patch("twisted.web.http.log.msg", lambda *text, **_: logged.append(str(text))):
            self.get("/?token=secret")
        self.assertEqual(logged, [])


class AnythingTests(SiteTestCase):
    """Strangers' requests."""

    @given(st.data())
    @settings(deadline=None, max_examples=150)
    def test_any_request(self, data: st.DataObject) -> None:
        """Whatever is asked for, in whatever way, is a page or is not there: never an error."""
        self.setUp()
        (self.outside / "secret.txt").write_text("secret")
        self.put("sub/index.html")
        pieces = [
            "/",
            ".",
            "..",
            "sub",
            "secret.txt",
            "index.html",
            "%2e",
            "%2f",
            "%5c",
            "%00",
            "?",
        ]
        visible = st.characters(min_codepoint=0x21, max_codepoint=0x7E)
        target = "".join(
            data.draw(st.lists(st.sampled_from(pieces) | st.text(visible, max_size=3), max_size=8))
        )
        printable = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=30)
        asked = data.draw(st.from_regex(r"\A(bytes=)?[0-9, -]{0,12}\Z") | printable)
        date = st.from_regex(r"\A[A-Z][a-z]{2}, [0-9]{1,2} [A-Z][a-z]{2} [0-9 :-]{1,12} GMT\Z")
        since = data.draw(date | printable)
        answer = self.get(f"/{target}", f"Range: {asked}", f"If-Modified-Since: {since}")
        self.assertIn(answer.code, (b"200", b"206", b"302", b"304", b"404", b"416"))
        self.assertNotIn(b"secret", answer.body)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_one_site_for_all(self) -> None:
        """A site keeps no timer of its own."""
        self.assertIsInstance(self.clock, MemoryReactorClock)
        self.assertEqual(self.clock.getDelayedCalls(), [])
