"""How files become answers: tags, parts, codings, caches, addresses of a page, and streams."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from errno import EIO
from io import FileIO
from typing import Any, BinaryIO
from unittest.mock import patch

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL.SSL import TLS_METHOD, Connection, Context, WantReadError
from twisted.internet.protocol import Factory
from twisted.internet.ssl import PrivateCertificate
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.web.static import NoRangeStaticProducer

from orion_twisted.web import pages
from orion_twisted.web.gate import HttpGate
from orion_twisted.web.pages import ASK_FIRST, FOREVER, Form, cache_control, is_route
from orion_twisted.web.site import KEEP_ALIVE, PAGE_HEADERS, PageSite
from tests.certificates import authority, issue
from tests.transports import EVERYTHING, Pipe, pending
from tests.web.door import SHOP, Answer, head
from tests.web.test_site import FUTURE, LARGEST, SiteTestCase

PAST = "Thu, 01 Jan 1970 00:00:00 GMT"
PIECE = NoRangeStaticProducer.bufferSize
"""Bytes that are read from a file at once."""
SHOP_PAGE = b"<h1>shop</h1>"
FACTS = "/.well-known/orion-bridge.json"


class FileTestCase(SiteTestCase):
    """A folder of pages with compressed ones, and times as the test says."""

    def put_compressed(self, name: str, content: bytes = b"content", *, later: int = 0) -> None:
        """Put a file and its compressed siblings, which are later than it by nanoseconds."""
        self.put(name, content)
        status = (self.folder / name).stat()
        for suffix in (".br", ".gz"):
            self.put(name + suffix, content[:4] + suffix.encode())
            self.set_time(name + suffix, status.st_mtime_ns + later)

    def set_time(self, name: str, modified_ns: int) -> None:
        os.utime(self.folder / name, ns=(modified_ns, modified_ns))

    def tag(self, target: str, *headers: str) -> str:
        return self.get(target, *headers)[b"etag"].decode()


class TagTests(FileTestCase):
    """A file that a browser has already is not sent again."""

    def test_tag(self) -> None:
        """The tag is strong, and the same for as long as the file is; size and time are in it."""
        self.put("app.js", b"0123456789")
        self.set_time("app.js", 1_700_000_000_123_456_789)
        for method in ("GET", "HEAD"):
            answer = self.get("/app.js", method=method)
            self.assertEqual(answer[b"etag"], b'"a-%x"' % 1_700_000_000_123_456_789)
        before = self.tag("/app.js")
        self.set_time("app.js", 1_700_000_000_123_456_790)
        self.assertNotEqual(self.tag("/app.js"), before)

    def test_not_modified(self) -> None:
        """A browser with the tag is told to use what it has, and what caches need to know."""
        self.put("app.js")
        tag = self.tag("/app.js")
        for said in (tag, f"W/{tag}", f'"x", {tag}', "*"):
            for method in ("GET", "HEAD"):
                with self.subTest(said, method=method):
                    answer = self.get("/app.js", f"If-None-Match: {said}", method=method)
                    self.assertEqual((answer.code, answer.body), (b"304", b""))
                    self.assertEqual(answer[b"etag"].decode(), tag)
                    self.assertEqual(answer[b"cache-control"], b"no-cache")
                    self.assertIn(b"frame-ancestors 'self'", answer[b"content-security-policy"])
                    self.assertIn(b"date", answer)
                    for name in (b"content-length", b"content-type", b"transfer-encoding"):
                        self.assertNotIn(name, answer)

    def test_modified(self) -> None:
        """A browser with another one gets the file."""
        self.put("app.js")
        for said in ('"x"', 'W/"x"', '"x", "y"', "nonsense"):
            self.assertEqual(self.get("/app.js", f"If-None-Match: {said}").code, b"200")

    def test_tags_on_several_lines(self) -> None:
        """A header may be cut into several."""
        self.put("app.js")
        tag = self.tag("/app.js")
        answer = self.get("/app.js", 'If-None-Match: "x"', f"If-None-Match: {tag}")
        self.assertEqual(answer.code, b"304")

    def test_tag_before_date(self) -> None:
        """The tag decides where a date is given, too."""
        self.put("app.js")
        tag = self.tag("/app.js")
        for said, since, code in (('"x"', FUTURE, b"200"), (tag, PAST, b"304")):
            answer = self.get("/app.js", f"If-None-Match: {said}", f"If-Modified-Since: {since}")
            self.assertEqual(answer.code, code)

    def test_not_modified_before_part(self) -> None:
        """Whoever has the whole file needs no part of it."""
        self.put("app.js")
        tag = self.tag("/app.js")
        answer = self.get("/app.js", f"If-None-Match: {tag}", "Range: bytes=0-1")
        self.assertEqual(answer.code, b"304")

    def test_next_answer(self) -> None:
        """A connection goes on after an answer without a body."""
        self.connect()
        self.say(head("/"))
        tag = self.answer()[b"etag"].decode()
        self.say(head("/", f"If-None-Match: {tag}"))
        self.assertEqual(self.answer().code, b"304")
        self.say(head("/nothing.js", method="HEAD"))
        self.assertEqual(Answer(self.wire.taken, to_head=True).rest, b"")
        self.wire.taken.clear()
        self.say(head("/"))
        self.assertEqual(self.answer().body, SHOP_PAGE)

    def test_odd_dates(self) -> None:
        """A date that is none is no reason for a traceback."""
        for since in (";", "; length=12", "Sun, 99999999999999999999 Nov 1994 08:49:37 GMT"):
            answer = self.get("/", f"If-Modified-Since: {since}", "Range: bytes=0-")
            self.assertIn(answer.code, (b"206", b"304"))
        self.assertEqual(self.flushLoggedErrors(), [])


class PartTests(FileTestCase):
    """A part of a file."""

    def setUp(self) -> None:
        super().setUp()
        self.put("video.webm", b"0123456789")

    def test_a_part(self) -> None:
        """A part says which one it is, of what, and what its file is."""
        answer = self.get("/video.webm", "Range: bytes=2-4")
        self.assertEqual((answer.code, answer.body), (b"206", b"234"))
        self.assertEqual(answer[b"content-range"], b"bytes 2-4/10")
        self.assertEqual(answer[b"content-length"], b"3")
        self.assertEqual(answer[b"content-type"], self.get("/video.webm")[b"content-type"])
        self.assertEqual(answer[b"etag"], self.get("/video.webm")[b"etag"])
        self.assertEqual(answer[b"accept-ranges"], b"bytes")

    def test_from_the_end(self) -> None:
        """So many bytes at the end; more than there are is all of them."""
        for asked, body, part in (
            ("bytes=-3", b"789", b"bytes 7-9/10"),
            ("bytes=-10", b"0123456789", b"bytes 0-9/10"),
            ("bytes=-999999999999999999", b"0123456789", b"bytes 0-9/10"),
        ):
            answer = self.get("/video.webm", f"Range: {asked}")
            self.assertEqual((answer.code, answer.body), (b"206", body))
            self.assertEqual(answer[b"content-range"], part)

    def test_no_such_part(self) -> None:
        """Who asks for what is behind the end is told where the end is; no cache keeps that."""
        self.put("empty.bin", b"")
        for target, asked, size in (
            ("/video.webm", "bytes=10-", 10),
            ("/video.webm", "bytes=-0", 10),
            ("/video.webm", "bytes=999999999999999999-", 10),
            ("/empty.bin", "bytes=0-", 0),
        ):
            answer = self.get(target, f"Range: {asked}")
            self.assertEqual((answer.code, answer.body), (b"416", b""))
            self.assertEqual(answer[b"content-range"], b"bytes */%d" % size)
            self.assertEqual(answer[b"cache-control"], b"no-store")

    def test_head(self) -> None:
        """HEAD is about the whole file."""
        answer = self.get("/video.webm", "Range: bytes=2-4", method="HEAD")
        self.assertEqual((answer.code, answer[b"content-length"]), (b"200", b"10"))
        self.assertNotIn(b"content-range", answer)

    def test_part_of_the_same_file(self) -> None:
        """A part that goes with what the browser has is sent; else the whole file is."""
        whole = self.get("/video.webm")
        tag, date = whole[b"etag"].decode(), whole[b"last-modified"].decode()
        for said, code in (
            (tag, b"206"),
            (date, b"206"),
            (f"W/{tag}", b"200"),
            ('"x"', b"200"),
            (PAST, b"200"),
            (FUTURE, b"200"),
            ("nonsense", b"200"),
        ):
            with self.subTest(said):
                answer = self.get("/video.webm", "Range: bytes=2-4", f"If-Range: {said}")
                self.assertEqual(answer.code, code)
                self.assertEqual(answer.body, b"234" if code == b"206" else b"0123456789")
        answer = self.get("/video.webm", "Range: bytes=99-", 'If-Range: "x"')
        self.assertEqual((answer.code, answer.body), (b"200", b"0123456789"))

    def test_part_of_a_compressed_file(self) -> None:
        """A part is one of what is sent, not of what comes out of it; the tags tell them apart."""
        self.put_compressed("app.js", b"0123456789")
        plain = self.tag("/app.js")
        answer = self.get("/app.js", "Accept-Encoding: gzip", "Range: bytes=2-5")
        self.assertEqual((answer.code, answer.body), (b"206", b"23.g"))
        self.assertEqual(answer[b"content-range"], b"bytes 2-5/7")
        self.assertEqual(answer[b"content-encoding"], b"gzip")
        answer = self.get(
            "/app.js", "Accept-Encoding: gzip", "Range: bytes=2-5", f"If-Range: {plain}"
        )
        self.assertEqual((answer.code, answer.body), (b"200", b"0123.gz"))

    def test_large_part(self) -> None:
        """A part of many pieces comes whole."""
        content = bytes(range(256)) * (PIECE // 64)
        self.put("large.bin", content)
        self.connect()
        self.say(head("/large.bin", f"Range: bytes=100-{len(content) - 101}"))
        for _ in range(20):
            self.turn()
        self.assertEqual(Answer(self.wire.taken).body, content[100:-100])


class CompressedTests(FileTestCase):
    """Files that were compressed when they were made."""

    def test_forms(self) -> None:
        """A browser gets the form that it likes best, called by what the file is."""
        self.put_compressed("assets/app.js", b"plain bytes")
        for accepted, body, coding in (
            ("gzip, deflate, br, zstd", b"plai.br", b"br"),
            ("gzip, deflate", b"plai.gz", b"gzip"),
            ("gzip;q=1.0, br;q=0.5", b"plai.gz", b"gzip"),
            ("br;q=0, gzip", b"plai.gz", b"gzip"),
            ("*", b"plai.br", b"br"),
            ("identity;q=0, gzip;q=0.1", b"plai.gz", b"gzip"),
            ("identity", b"plain bytes", None),
            ("identity, gzip;q=0.5", b"plain bytes", None),
            ("gzip;q=0, br;q=0", b"plain bytes", None),
            ("*;q=0", b"plain bytes", None),
            ("deflate", b"plain bytes", None),
            ("", b"plain bytes", None),
        ):
            for method in ("GET", "HEAD"):
                with self.subTest(accepted, method=method):
                    answer = self.get(
                        "/assets/app.js", f"Accept-Encoding: {accepted}", method=method
                    )
                    self.assertEqual(answer.code, b"200")
                    self.assertEqual(answer.body, body if method == "GET" else b"")
                    self.assertEqual(answer[b"content-length"], b"%d" % len(body))
                    self.assertEqual(answer[b"content-type"], b"text/javascript")
                    self.assertEqual(answer[b"vary"], b"Accept-Encoding")
                    self.assertEqual(b"content-encoding" in answer, coding is not None)
                    if coding is not None:
                        self.assertEqual(answer[b"content-encoding"], coding)

    def test_only_one_coding(self) -> None:
        """A site that has gzip alone sends that."""
        self.put("app.js")
        self.put("app.js.gz", b"gz")
        answer = self.get("/app.js", "Accept-Encoding: br, gzip;q=0.1")
        self.assertEqual((answer.body, answer[b"content-encoding"]), (b"gz", b"gzip"))

    def test_no_other_form(self) -> None:
        """Where there is one form alone, caches need not tell browsers apart."""
        self.put("app.js")
        answer = self.get("/app.js", "Accept-Encoding: gzip, br")
        self.assertEqual(answer.body, b"content")
        self.assertNotIn(b"vary", answer)
        self.assertNotIn(b"content-encoding", answer)

    def test_tags(self) -> None:
        """Each form has a tag of its own, even where sizes and times are the same."""
        self.put("app.js", b"1234567")
        self.put_compressed("app.js", b"1234567")
        tags = {
            accepted: self.tag("/app.js", f"Accept-Encoding: {accepted}")
            for accepted in ("identity", "gzip", "br")
        }
        self.assertEqual(len(set(tags.values())), 3)
        for accepted, tag in tags.items():
            for other in tags:
                answer = self.get("/app.js", f"Accept-Encoding: {other}", f"If-None-Match: {tag}")
                self.assertEqual(answer.code, b"304" if other == accepted else b"200")
                self.assertEqual(answer[b"vary"], b"Accept-Encoding")
                if answer.code == b"304":
                    self.assertNotIn(b"content-encoding", answer)

    def test_older_form(self) -> None:
        """A compressed file that is older than the file is of another one: it is not sent."""
        self.put_compressed("app.js", later=-1)
        answer = self.get("/app.js", "Accept-Encoding: gzip, br")
        self.assertEqual(answer.body, b"content")
        self.assertNotIn(b"vary", answer)
        self.put_compressed("app.js", later=1)
        self.assertEqual(self.get("/app.js", "Accept-Encoding: gzip").body, b"cont.gz")

    def test_what_is_no_form(self) -> None:
        """Folders, FIFOs and broken links beside a file are not forms of it."""
        self.put("app.js")
        self.put("app.css")
        (self.folder / "app.js.br").mkdir()
        os.mkfifo(self.folder / "app.js.gz")
        (self.folder / "app.css.br").symlink_to("nothing")
        for name in ("app.js", "app.css"):
            answer = self.get(f"/{name}", "Accept-Encoding: gzip, br")
            self.assertEqual((answer.code, answer.body), (b"200", b"content"))

    def test_unreadable_form(self) -> None:
        """A compressed file that may not be read is as good as none."""
        self.put_compressed("app.js")
        with patch.object(pages, "open", side_effect=PermissionError, create=True):
            answer = self.get("/app.js", "Accept-Encoding: gzip, br")
        self.assertEqual((answer.code, answer.body), (b"200", b"content"))

    def test_form_of_nothing(self) -> None:
        """Without the file there is no form of it."""
        self.put("app.js.gz")
        self.assertEqual(self.get("/app.js", "Accept-Encoding: gzip").code, b"404")

    def test_asked_for_by_its_own_name(self) -> None:
        """A compressed file that is asked for itself is one, and nobody unpacks it."""
        self.put_compressed("app.js")
        self.put("data.tar.gz", b"archive")
        for target, type_ in (
            ("/app.js.gz", b"application/gzip"),
            ("/data.tar.gz", b"application/gzip"),
            ("/app.js.br", b"application/octet-stream"),
        ):
            answer = self.get(target, "Accept-Encoding: gzip, br")
            self.assertEqual((answer.code, answer[b"content-type"]), (b"200", type_))
            self.assertNotIn(b"content-encoding", answer)

    def test_index(self) -> None:
        """A folder's index and the page behind an address come compressed, too."""
        self.put_compressed("index.html", b"<h1>")
        for target in ("/", "/reports/7"):
            answer = self.get(target, "Accept-Encoding: br")
            self.assertEqual((answer.body, answer[b"content-encoding"]), (b"<h1>.br", b"br"))
            self.assertEqual(answer[b"content-type"], b"text/html")


class CacheTests(FileTestCase):
    """What caches may keep without asking."""

    def test_hashed_names(self) -> None:
        """What Vite names after its content is kept for a year; nothing else is."""
        forever = (
            "assets/index-BX2k3a9_.js",
            "assets/index-BX2k3a9_.css",
            "assets/index-BX2k3a9_.js.map",
            "assets/vendor-react-D-k_m9Q7.js",
            "assets/logo--X2k3a9B.svg",
            "assets/font.latin-C4hq1Ydz.woff2",
            "editor/assets/index-BX2k3a9_.js",
            "assets/chunks/index-BX2k3a9_.js",
        )
        asked = (
            "index.html",
            "app.js",
            "index-BX2k3a9_.js",
            "assets/app.js",
            "assets/index-BX2k3a9_.html",
            "assets/report-overview.js",
            "assets/report-Overview.js",
            "assets/report-PageView.js",
            "assets/roboto-latin400.woff2",
            "assets/og-1200x630.png",
            "assets/report-20240101.pdf",
            "assets/index-BX2k3a9.js",
            "assets/index-BX2k3a9_x.js",
            "assets/index_BX2k3a9_.js",
            "assets/index-BX2k3a9_",
            "assets-old/index-BX2k3a9_.js",
        )
        for names, control in ((forever, FOREVER), (asked, ASK_FIRST)):
            for name in names:
                with self.subTest(name):
                    (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                    self.put(name)
                    answer = self.get(f"/{name}")
                    self.assertEqual((answer.code, answer[b"cache-control"]), (b"200", control))
        self.assertEqual(FOREVER, b"public, max-age=31536000, immutable")

    def test_every_answer_with_the_file(self) -> None:
        """A part and a 304 say the same; a compressed form does."""
        self.put_compressed("assets/index-BX2k3a9_.js")
        target = "/assets/index-BX2k3a9_.js"
        tag = self.tag(target)
        for headers in (
            ["Range: bytes=1-2"],
            ["Accept-Encoding: br"],
            [f"If-None-Match: {tag}"],
        ):
            self.assertEqual(self.get(target, *headers)[b"cache-control"], FOREVER)

    def test_what_is_wrong(self) -> None:
        """No cache keeps an error: the file may come with the next release."""
        self.put("sub/index.html")
        for target in ("/assets/index-BX2k3a9_.js", "/nothing.png", "/sub"):
            self.assertEqual(self.get(target)[b"cache-control"], b"no-store")

    def test_where_the_site_is(self) -> None:
        """Folders above the site do not count, whatever they are called."""
        self.assertEqual(cache_control([], "index-BX2k3a9_.js", "text/javascript"), ASK_FIRST)


class RouteTests(FileTestCase):
    """Addresses inside a page, which its own script reads."""

    def test_addresses(self) -> None:
        """An address that is no file's is answered by the site's page."""
        self.put("app.js")
        self.put("assets/app.css")
        for target in (
            "/reports",
            "/reports/",
            "/reports/7",
            "/reports/7?page=2",
            "/v1.2/reports",
            "/%EB%B3%B4%EA%B3%A0%EC%84%9C/7",
            "/a%20b",
            "/~root",
            "/app.js/",
            "/app.js/x",
            "/app",
            "/" + "a" * 300,
        ):
            for method in ("GET", "HEAD"):
                with self.subTest(target, method=method):
                    answer = self.get(target, method=method)
                    self.assertEqual(answer.code, b"200")
                    self.assertEqual(answer.body, SHOP_PAGE if method == "GET" else b"")
                    self.assertEqual(answer[b"content-length"], b"%d" % len(SHOP_PAGE))
                    self.assertEqual(answer[b"content-type"], b"text/html")
                    self.assertEqual(answer[b"cache-control"], b"no-cache")

    def test_it_is_the_page(self) -> None:
        """Under every address the page is the same one: it has the same tag."""
        tag = self.tag("/")
        self.assertEqual(self.tag("/reports/7"), tag)
        self.assertEqual(self.get("/reports/8", f"If-None-Match: {tag}").code, b"304")
        self.assertEqual(self.get("/reports/8", "Range: bytes=0-3").body, b"<h1>")

    def test_missing_files(self) -> None:
        """A missing script or picture is missing, and not a page that fails to be one."""
        for target in ("/app.js", "/assets/app.js", "/reports/7.png", "/reports/v1.2", "/APP.JS"):
            for method in ("GET", "HEAD"):
                answer = self.get(target, method=method)
                self.assertEqual((answer.code, answer[b"content-length"]), (b"404", b"10"))
                self.assertNotIn(b"etag", answer)

    def test_no_address(self) -> None:
        """What leads out of the folder, to hidden files or nowhere is no address of a page."""
        (self.outside / "secret").write_text("secret")
        self.put(".git/config")
        self.put("sub/index.html")
        for target in (
            "/../secret",
            "/%2e%2e/secret",
            "/sub/../secret",
            "/sub/%2e%2e/%2e%2e/secret",
            "/..%2fsecret",
            "/%2e%2e%2fsecret",
            "/%2fsecret",
            "/..%5csecret",
            "/C:%5csecret",
            "/.git/config",
            "/.git/",
            "/.ssh/id",
            "/.",
            "/..",
            "//",
            "//secret",
            "//evil.example/secret",
            "/sub//secret",
            f"/{self.outside}/secret",
            "/%00",
            "/a%0d%0ab",
            "/a%7f",
            "/%ff",
            "/%ed%a0%80",
            "/.well-known/change-password",
            "/.well-known/",
            "/.well-known",
        ):
            with self.subTest(target):
                answer = self.get(target)
                self.assertEqual((answer.code, answer.body), (b"404", b"Not Found\n"))
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_folder_without_a_page(self) -> None:
        """A folder without an index looks like no folder: nobody learns that it is there."""
        self.put("assets/app.css")
        for target in ("/assets", "/assets/", "/nothing", "/nothing/"):
            self.assertEqual(self.get(target).body, SHOP_PAGE)
        (self.folder / "index.html").unlink()
        for target in ("/assets", "/assets/", "/nothing", "/nothing/"):
            self.assertEqual(self.get(target).code, b"404")

    def test_no_page_at_all(self) -> None:
        """A site without an index has no addresses, even if something else is called that."""
        (self.folder / "index.html").unlink()
        for make in (lambda path: None, os.mkdir):
            make(self.folder / "index.html")
            for target in ("/", "/reports", "/reports/7"):
                self.assertEqual(self.get(target).code, b"404")

    def test_what_is_no_file(self) -> None:
        """A FIFO in the folder is not waited for."""
        os.mkfifo(self.folder / "fifo")
        os.mkfifo(self.folder / "fifo.bin")
        self.assertEqual(self.get("/fifo").body, SHOP_PAGE)
        self.assertEqual(self.get("/fifo.bin").code, b"404")

    @given(st.lists(st.binary(max_size=6), min_size=1, max_size=5))
    @settings(deadline=None)
    def test_any_address(self, names: list[bytes]) -> None:
        """Whatever is asked for, hidden names and separators are in no address."""
        if is_route(names):
            text = b"/".join(names).decode()
            self.assertNotIn("\\", text)
            self.assertNotIn("//", text)
            self.assertNotIn(".", names[-1].decode())
            self.assertFalse(any(name.startswith(b".") or b"/" in name for name in names))


class RedirectTests(FileTestCase):
    """From a folder to its page."""

    def test_folder_with_a_page(self) -> None:
        """The slash at the end is added, and the query stays, for GET and HEAD."""
        (self.folder / "apps").mkdir()
        self.put("apps/editor/index.html")
        for method in ("GET", "HEAD"):
            answer = self.get("/apps/editor?lang=ko&x=/", method=method)
            self.assertEqual(answer.code, b"302")
            self.assertEqual(answer[b"location"], b"/apps/editor/?lang=ko&x=/")
            self.assertEqual(answer.body, b"Found\n" if method == "GET" else b"")
            self.assertEqual(answer[b"content-type"], b"text/plain; charset=utf-8")

    def test_odd_folders(self) -> None:
        """Whatever a folder is called, its address is one on this host and not cut short."""
        for name, location in (
            ("글", b"/%EA%B8%80/"),
            ("a b", b"/a%20b/"),
            ("what?", b"/what%3F/"),
            ("#1", b"/%231/"),
            ("50%", b"/50%25/"),
            ("javascript:alert(1)", b"/javascript%3Aalert%281%29/"),
            ('"><script>', b"/%22%3E%3Cscript%3E/"),
            ("\\evil.example", b"/%5Cevil.example/"),
            ("a\r\nSet-Cookie: x", b"/a%0D%0ASet-Cookie%3A%20x/"),
        ):
            with self.subTest(name):
                self.put(f"{name}/index.html")
                answer = self.get(location.decode()[:-1])
                self.assertEqual((answer.code, answer[b"location"]), (b"302", location))
                self.assertEqual(answer.body, b"Found\n")
                self.assertEqual(self.get(location.decode()).body, b"content")

    def test_no_other_host(self) -> None:
        """No spelling makes the redirect lead to another host."""
        self.put("evil.example/index.html")
        self.put("sub/index.html")
        for target in (
            "//evil.example",
            "///evil.example",
            "/%2fevil.example",
            "/\\evil.example",
            "/./evil.example",
            "/sub/../evil.example",
            "/sub//evil.example",
        ):
            answer = self.get(target)
            self.assertEqual(answer.code, b"404", target)
            self.assertNotIn(b"location", answer)


class HeadersTests(FileTestCase):
    """What every answer says to the browser."""

    def answers(self) -> Iterator[Answer]:
        """Yield an answer of every status that there is."""
        self.put("sub/index.html")
        self.put("app.js")
        tag = self.tag("/app.js")
        for code, target, *headers in (
            (b"200", "/"),
            (b"200", "/app.js"),
            (b"200", "/reports/7"),
            (b"206", "/app.js", "Range: bytes=0-1"),
            (b"302", "/sub"),
            (b"304", "/app.js", f"If-None-Match: {tag}"),
            (b"200", FACTS),
            (b"304", FACTS, "If-None-Match: *"),
            (b"404", "/nothing.js"),
            (b"416", "/app.js", "Range: bytes=99-"),
        ):
            for method in ("GET", "HEAD"):
                if method == "GET" or code not in (b"206", b"416"):
                    answer = self.get(target, *headers, method=method)
                    self.assertEqual(answer.code, code)
                    yield answer

    def assert_headers(self, ancestors: bytes, sharing: bytes) -> None:
        for answer in self.answers():
            with self.subTest(answer.code):
                for name, value in PAGE_HEADERS:
                    self.assertEqual(answer[name.lower()], value)
                policy = answer[b"content-security-policy"]
                self.assertTrue(policy.endswith(b"; frame-ancestors " + ancestors), policy)
                self.assertEqual(answer[b"cross-origin-resource-policy"], sharing)
                self.assertNotIn(b"x-frame-options", answer)
                self.assertNotIn(b"server", answer)
                self.assertIn(b"date", answer)
                self.assertIn(b"cache-control", answer)

    def test_for_its_own_origin(self) -> None:
        """Without ``embed_in`` the pages are shown and used by those of their own origin."""
        self.assert_headers(b"'self'", b"same-origin")

    def test_for_a_shop(self) -> None:
        """With it, nothing keeps the shop from showing them in a frame, errors included."""
        shops = ("https://shop1.cafe24.com", "https://shop.example")
        self.door.sites["shop"] = PageSite(self.folder, evolve(SHOP, embed_in=shops), self.clock)
        self.assert_headers(" ".join(shops).encode(), b"cross-origin")

    def test_nothing_in_the_log(self) -> None:
        """No answer leaves its address in the log, where a token might be in it."""
        logged: list[dict[str, Any]] = []
        with patch("twisted.logger.Logger.emit", lambda self, *_, **event: logged.append(event)):
            for target in ("/?token=secret", "/nothing.js?token=secret", "/sub?token=secret"):
                for method in ("GET", "HEAD"):
                    self.get(target, method=method)
        self.assertEqual(logged, [])

    def test_our_own_fault(self) -> None:
        """A bug is answered by a fixed page, which no cache keeps, with the same headers."""
        with patch.object(pages, "is_unchanged", side_effect=ZeroDivisionError):
            answer = self.get("/?token=secret")
        self.assertEqual((answer.code, answer[b"cache-control"]), (b"500", b"no-store"))
        self.assertNotIn(b"secret", answer.body)
        self.assertIn(b"content-security-policy", answer)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class FailingFile(FileIO):
    """A file on a disk that breaks at the second piece."""

    def read(self, size: int | None = -1) -> bytes | None:
        if self.tell() >= PIECE:
            raise OSError(EIO, "Input/output error")
        return super().read(size)


class StreamTestCase(FileTestCase):
    """A large file, and what is open of any."""

    def setUp(self) -> None:
        super().setUp()
        self.content = bytes(range(256)) * (16 * PIECE // 256)
        self.put("large.bin", self.content)
        self.files: list[BinaryIO] = []
        real = Form.of

        def of(file: BinaryIO, coding: bytes = b"") -> Form:
            self.files.append(file)
            return real(file, coding)

        self.patch(Form, "of", of)


class StreamTests(StreamTestCase):
    """Files on their way, and browsers that leave."""

    def begin(self, *headers: str, room: int = 3 * PIECE) -> BinaryIO:
        """Ask for the large file, of which the browser takes so much; return what is open."""
        self.wire = Pipe(self.clock, room=room)
        self.gate = HttpGate(self.door, LARGEST, 5.0, self.clock)
        self.connect()
        self.say(head("/large.bin", *headers))
        (file,) = self.files
        self.assertFalse(file.closed)
        return file

    def test_closed_after_every_answer(self) -> None:
        """No answer leaves its file open, with a body or without."""
        tag = self.tag("/large.bin")
        self.put_compressed("app.js")
        for target, *headers in (
            ("/",),
            ("/app.js", "Range: bytes=1-2"),
            ("/app.js", "Range: bytes=99-"),
            ("/app.js", "Accept-Encoding: br"),
            ("/large.bin", f"If-None-Match: {tag}"),
            ("/large.bin", f"If-Modified-Since: {FUTURE}"),
            ("/reports",),
        ):
            self.get(target, *headers)
            self.get(target, *headers, method="HEAD")
        self.assertEqual(len(self.files), 15)
        self.assertTrue(all(file.closed for file in self.files))

    def test_read_as_it_is_taken(self) -> None:
        """No more of a file is in memory than a few pieces, however slowly it is taken."""
        for headers in ([], ["Range: bytes=0-"]):
            self.files.clear()
            file = self.begin(*headers, room=0)
            taken = 0
            while not file.closed:
                self.assertLessEqual(file.tell() - taken, 2 * PIECE)
                self.wire.room = PIECE // 2
                self.turn()
                taken += PIECE // 2
            self.wire.room = EVERYTHING
            self.turn()
            self.assertEqual(Answer(self.wire.taken).body, self.content)

    def test_browser_leaves(self) -> None:
        """A browser that leaves in the middle of a file leaves no file open, and no timer."""
        for headers in ([], ["Range: bytes=100-"]):
            for leave in (
                lambda: self.wire.hears_end(),
                lambda: self.wire.breaks(),
                lambda: self.gate.abort(),
            ):
                self.files.clear()
                file = self.begin(*headers)
                leave()
                self.turn()
                self.assertTrue(file.closed)
                self.assertEqual(pending(self.clock), [])
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_browser_leaves_while_it_reads(self) -> None:
        """The same, while nothing holds the file up."""
        self.connect()
        self.wire.hears(head("/large.bin"))
        (file,) = self.files
        self.assertFalse(file.closed)
        self.wire.hears_end()
        self.assertTrue(file.closed)
        self.turn()
        self.assertEqual(pending(self.clock), [])

    def test_browser_takes_nothing(self) -> None:
        """A browser that stays and takes nothing is cut off, and its file is closed."""
        file = self.begin()
        self.clock.pump([KEEP_ALIVE, 20.0])
        self.turn()
        self.assertEqual((self.wire.aborted, file.closed), (True, True))
        self.assertEqual(pending(self.clock), [])

    def test_longer_file(self) -> None:
        """Of a file that grows on its way as much is sent as was announced, and no more."""
        self.begin(room=PIECE)
        with (self.folder / "large.bin").open("ab") as file:
            file.write(b"more")
        self.wire.room = EVERYTHING
        for _ in range(30):
            self.turn()
        self.assertEqual(self.answer().body, self.content)
        self.assertEqual(self.wire.taken, b"")
        self.say(head("/"))
        self.assertEqual(self.answer().body, SHOP_PAGE)

    def test_shorter_file(self) -> None:
        """A file that shrinks on its way ends the connection: what is missing is not made up."""
        for headers in ([], ["Range: bytes=100-"]):
            self.put("large.bin", self.content)
            self.files.clear()
            file = self.begin(*headers, room=PIECE)
            os.truncate(self.folder / "large.bin", 4 * PIECE)
            self.wire.room = EVERYTHING
            for _ in range(30):
                self.turn()
            self.assertEqual((self.wire.aborted, file.closed), (True, True))
            self.assertLess(len(self.wire.taken), len(self.content))
            self.assertEqual(pending(self.clock), [])

    def test_unreadable_in_the_middle(self) -> None:
        """A disk that fails ends the connection, too."""
        self.patch(pages.File, "openForReading", lambda file: FailingFile(file.path))
        file = self.begin(room=0)
        self.wire.room = EVERYTHING
        for _ in range(5):
            self.turn()
        self.assertEqual((self.wire.aborted, file.closed), (True, True))
        self.assertEqual(pending(self.clock), [])

    def test_file_replaced_on_its_way(self) -> None:
        """A file that is replaced by a rename comes as it was when it was asked for."""
        self.begin(room=PIECE)
        self.put("new.bin", b"new")
        (self.folder / "new.bin").rename(self.folder / "large.bin")
        self.wire.room = EVERYTHING
        for _ in range(30):
            self.turn()
        self.assertEqual(self.answer().body, self.content)

    def test_out_of_files(self) -> None:
        """When no file can be opened for want of descriptors, that is our fault, and says so."""
        with patch.object(pages.File, "openForReading", side_effect=OSError(24, "too many")):
            self.assertEqual(self.get("/").code, b"500")
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.assertEqual(self.get("/").code, b"200")


class SecureStreamTests(StreamTestCase):
    """The same over TLS, which has its own way with producers."""

    def begin(self, *headers: str, room: int = 3 * PIECE) -> BinaryIO:
        self.wire = Pipe(self.clock)
        self.gate = HttpGate(self.door, LARGEST, 5.0, self.clock)
        certificate = PrivateCertificate.loadPEM(issue(["shop.example"], authority()).pem)
        gates = Factory.forProtocol(lambda: self.gate)
        secured = TLSMemoryBIOFactory(certificate.options(), False, gates, self.clock)
        self.wire.connect(secured.buildProtocol(None))
        self.browser = Connection(Context(TLS_METHOD), None)
        self.browser.set_connect_state()
        for _ in range(4):
            with contextlib.suppress(WantReadError):
                self.browser.do_handshake()
            self.exchange()
        self.wire.room = room
        self.browser.send(head("/large.bin", *headers))
        self.exchange()
        self.received = bytearray()
        (file,) = self.files
        self.assertFalse(file.closed)
        return file

    def exchange(self) -> None:
        with contextlib.suppress(WantReadError):
            self.wire.hears(self.browser.bio_read(1 << 20))
        for _ in range(4):
            self.turn()
        while self.wire.taken:
            size = self.browser.bio_write(bytes(self.wire.taken[:PIECE]))
            del self.wire.taken[:size]

    def test_whole_file(self) -> None:
        """A file comes whole, and is read no faster than it is taken."""
        file = self.begin(room=0)
        while len(self.received) < len(self.content):
            if not file.closed:
                self.assertLessEqual(file.tell() - len(self.received), 4 * PIECE)
            self.wire.room = PIECE
            self.exchange()
            with contextlib.suppress(WantReadError):
                while True:
                    self.received += self.browser.recv(PIECE)
        self.wire.room = EVERYTHING
        self.exchange()
        with contextlib.suppress(WantReadError):
            while True:
                self.received += self.browser.recv(PIECE)
        self.assertEqual(Answer(self.received).body, self.content)
        self.assertTrue(file.closed)

    def test_browser_leaves(self) -> None:
        """A browser that leaves in the middle of a file leaves no file open, and no timer."""
        for leave in (
            lambda: self.wire.hears_end(),
            lambda: self.wire.breaks(),
            lambda: self.gate.abort(),
        ):
            self.files.clear()
            file = self.begin()
            leave()
            self.turn()
            self.assertTrue(file.closed)
            self.assertEqual(pending(self.clock), [])
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_shorter_file(self) -> None:
        """A file that shrinks on its way ends the connection."""
        file = self.begin(room=PIECE)
        os.truncate(self.folder / "large.bin", 4 * PIECE)
        self.wire.room = EVERYTHING
        for _ in range(10):
            self.exchange()
        self.assertEqual((self.wire.aborted, file.closed), (True, True))
        self.assertEqual(pending(self.clock), [])
