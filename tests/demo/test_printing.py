"""PDFs, read by another library; and how many there may be."""

import os
import re
import shutil
import subprocess
from io import BytesIO
from pathlib import Path
from typing import Any
from unittest import SkipTest, mock

import pypdf
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from orion_twisted.demo import fonts, printing, prints
from orion_twisted.demo.changes import apply_changes
from orion_twisted.demo.documents import (
    KINDS,
    MAX_PAGES,
    CommandRefused,
    Document,
    Page,
)
from orion_twisted.demo.fonts import runs
from orion_twisted.demo.libraries import INSTALL, LibraryMissing
from orion_twisted.demo.printing import MAX_SHEETS, job, print_pdf
from orion_twisted.demo.prints import MAX_AGE, PART, Prints
from orion_twisted.demo.render import render
from orion_twisted.demo.samples import sample
from tests.demo.pictures import picture
from tests.demo.visit import BOX, LINE, TEXT, Engine, VisitV2, insert

reactor: Any = global_reactor
EMPTY = Document("Printed · 인쇄", (Page("p1", 300, 200),))
DATA = {"columns": ["name"], "rows": [["Kim"], ["이서연"], ["Łukasz Ωmega"]]}


def edited(*changes: Any) -> Document:
    return apply_changes(EMPTY, list(changes))


def pdf_of(document: Document, rows: Any = None, **images: bytes) -> bytes:
    return print_pdf(job(document, rows), {}, images)


def read(pdf: bytes) -> pypdf.PdfReader:
    return pypdf.PdfReader(BytesIO(pdf), strict=True)


def shown(page: pypdf.PageObject) -> list[str]:
    """Return the lines of text that a page shows."""
    return [line for line in page.extract_text().split("\n") if line]


class PrintTests(SynchronousTestCase):
    """What is in a PDF."""

    def test_pages_and_their_sizes(self) -> None:
        """There is a page for each page, as large as it is, under the document's name."""
        page = {"op": "insert_page", "page": {"id": "p2", "width": 595, "height": 842}}
        found = read(pdf_of(edited(page)))
        sizes = [(float(each.mediabox.width), float(each.mediabox.height)) for each in found.pages]
        self.assertEqual(sizes, [(300, 200), (595, 842)])
        assert found.metadata is not None
        self.assertEqual(found.metadata.title, EMPTY.name)

    def test_once_for_each_row(self) -> None:
        """The pages are printed for all rows, for chosen ones, or once without data."""
        document = edited(
            {"op": "data", "data": DATA},
            insert({**TEXT, "text": "Dear {{name}}", "width": 200}),
            {"op": "insert_page", "page": {"id": "p2", "width": 300, "height": 200}},
        )
        for rows, texts in (
            ("all", ["Dear Kim", "Dear 이서연", "Dear Łukasz Ωmega"]),
            ([1, 0, 1], ["Dear 이서연", "Dear Kim", "Dear 이서연"]),
            (None, ["Dear {{name}}"]),
        ):
            found = [shown(page) for page in read(pdf_of(document, rows)).pages]
            wanted = [[text] for text in texts]
            self.assertEqual(found[::2], wanted)
            self.assertEqual(found[1::2], [[]] * len(texts))

    def test_lines_are_those_of_the_screen(self) -> None:
        """A text is broken where the browser's is, and each line is at the same place."""
        text = {
            **TEXT,
            "text": "The quick brown fox jumps over the lazy dog. 다람쥐 헌 쳇바퀴에 타고파",
        }
        document = edited(insert({**text, "width": 90, "height": 180, "rotation": 0}))
        lines = [each for each in render(document.pages[0]).commands if each[0] == "fillText"]
        self.assertGreater(len(lines), 4)
        places: list[tuple[float, float]] = []
        page = read(pdf_of(document)).pages[0]

        def visit(text: str, cm: Any, tm: Any, font: Any, size: float) -> None:
            if text.strip():
                places.append((cm[4], 200 - cm[5]))

        page.extract_text(visitor_text=visit)
        self.assertEqual(shown(page), [str(line[1]) for line in lines])
        for _, _, x, y in lines:
            self.assertTrue(
                any(
                    abs(10 + float(x) - a) < 0.1 and abs(20 + float(y) - b) < 0.1
                    for a, b in places
                )
            )

    def test_every_kind(self) -> None:
        """Each kind of object gets into a PDF, turned or not, in every font and alignment."""
        engine = Engine(self)
        visit = VisitV2(self, engine, "s")
        visit.done("new")
        place = {"x": 50, "y": 50, "width": 80, "height": 60}
        asset = visit.done("upload", document=1, type="image/png", body=picture())["asset"]
        gone = "0" * 64
        objects: list[dict[str, Any]] = [
            {**place, "kind": "image", "asset": asset},
            {**place, "kind": "image", "asset": asset, "fit": "fill"},
            {**place, "kind": "image", "asset": gone},
            {**place, "kind": "qrcode", "text": "https://shop.example"},
            {**place, "kind": "barcode", "text": "590123412345", "symbology": "ean13"},
            {**place, "kind": "barcode", "text": "이"},
            {**BOX, "fill": "#abc"},
            LINE,
        ]
        for font in ("sans-serif", "serif", "monospace"):
            for weight, italic, align in (
                ("normal", False, "left"), ("bold", False, "center"), ("bold", True, "right"),
            ):  # fmt: skip
                style = {"font": font, "weight": weight, "italic": italic, "align": align}
                objects.append({**TEXT, **style})
        self.assertEqual({each["kind"] for each in objects}, set(KINDS))
        for turn in (0, 33.3):
            visit.apply(
                *(
                    insert({**each, "id": f"o{number}-{round(turn)}", "rotation": turn})
                    for number, each in enumerate(objects)
                )
            )
        printed = visit.done("pdf", document=1)
        parts = [
            visit.done("pdf_part", pdf=printed["pdf"], part=n)["body"]
            for n in range(printed["parts"])
        ]
        pdf = b"".join(parts)
        self.assertEqual((len(pdf), printed["name"]), (printed["bytes"], "Untitled.pdf"))
        (page,) = read(pdf).pages
        self.assertIn("5901234123457", page.extract_text())
        # The image is in there once, however often it is shown, with its transparency.
        self.assertEqual(len(re.findall(rb"/SMask", pdf)), 1)
        used = {str(font["/BaseFont"]) for font in self.fonts(page)}
        self.assertLessEqual(
            {"/Helvetica", "/Helvetica-Bold", "/Times-Roman", "/Times-BoldItalic", "/Courier"},
            used,
        )

    def fonts(self, page: pypdf.PageObject) -> list[Any]:
        return [each.get_object() for each in page["/Resources"]["/Font"].values()]  # type: ignore[index]

    def test_an_image_that_breaks_while_it_is_decoded(self) -> None:
        """An image whose head is good and whose rest is not is left out, and all else is there."""
        place = {"id": "i1", "x": 0, "y": 0, "width": 9, "height": 9}
        document = edited(insert(TEXT), insert({"kind": "image", "asset": "a" * 64, **place}))
        whole = picture("JPEG", 200, 200)
        assets = {"a" * 64: mock.Mock(id="a" * 64, width=200, height=200)}
        for content in (b"", whole[:300]):
            pdf = print_pdf(job(document, None), assets, {"a" * 64: content})
            self.assertEqual(shown(read(pdf).pages[0]), ["hello"])

    def test_pdftotext_reads_it(self) -> None:
        """Another reader of PDF finds the same words, Korean among them."""
        program = shutil.which("pdftotext")
        if program is None:
            if os.environ.get("CI") == "true":
                raise AssertionError("needs pdftotext: apt-get install poppler-utils")
            raise SkipTest("needs pdftotext: apt-get install poppler-utils")
        path = Path(self.mktemp())
        path.write_bytes(pdf_of(sample(), "all"))
        done = subprocess.run(
            [program, "-layout", str(path), "-"], capture_output=True, timeout=60, check=True
        )
        text = done.stdout.decode()
        wanted = ["Delivery note", "ON-2042", "1,670.00", "Marktstraße"]
        if fonts._fallback("예") != fonts.KOREAN:  # or it is up to the reader's own fonts
            wanted.append("예제 상점")
        for words in wanted:
            self.assertIn(words, text)

    def test_korean_is_embedded(self) -> None:
        """Where the machine has a font with Korean letters, they are in the PDF itself."""
        if fonts._fallback("예") == fonts.KOREAN:
            raise SkipTest("needs a font with Korean letters: apt-get install fonts-nanum")
        (page,) = read(pdf_of(edited(insert({**TEXT, "text": "예제"})))).pages
        embedded = [each["/FontDescriptor"] for each in self.fonts(page) if "/ToUnicode" in each]
        self.assertEqual(len(embedded), 1)
        self.assertIn("/FontFile2", embedded[0])

    def test_without_the_library(self) -> None:
        """An engine without reportlab says what to install."""
        with (
            mock.patch.dict("sys.modules", {"reportlab.pdfgen.canvas": None}),
            self.assertRaises(LibraryMissing) as caught,
        ):
            pdf_of(EMPTY)
        self.assertIn(INSTALL, str(caught.exception))

    @settings(deadline=None, max_examples=60)
    @given(st.text(max_size=40), st.sampled_from(["left", "center", "right"]))
    def test_any_text_can_be_printed(self, text: str, align: str) -> None:
        """Whatever a text says, there is a PDF that can be read."""
        document = edited(insert({**TEXT, "text": text, "align": align}))
        self.assertEqual(len(read(pdf_of(document)).pages), 1)


class FontTests(SynchronousTestCase):
    """Which font shows what."""

    @settings(deadline=None, max_examples=100)
    @given(st.text(max_size=30))
    def test_no_letter_is_lost(self, text: str) -> None:
        """The pieces of a line make up the line."""
        pieces = list(runs(text, "Helvetica"))
        self.assertEqual("".join(piece for piece, _ in pieces), text)
        self.assertTrue(all(piece for piece, _ in pieces))

    def test_without_font_files(self) -> None:
        """Korean is shown by a font that readers bring, where the machine has no file for it."""
        for cached in (fonts._embedded, fonts._fallback):
            cached.cache_clear()
            self.addCleanup(cached.cache_clear)
        self.patch(fonts, "FILES", ("/no/such/font.ttf", __file__))
        self.assertEqual(
            list(runs("Preis: 5 € 한글 ok", "Helvetica")),
            [("Preis: 5 € ", "Helvetica"), ("한글", fonts.KOREAN), (" ok", "Helvetica")],
        )
        document = edited(insert({**TEXT, "text": "한글"}))
        self.assertEqual(shown(read(pdf_of(document)).pages[0]), ["한글"])


class BoundTests(SynchronousTestCase):
    """What may be asked for."""

    def test_sheets(self) -> None:
        """A PDF has MAX_SHEETS pages at most: rows times pages."""
        pages = [{"op": "insert_page", "page": {"id": f"q{n}"}} for n in range(MAX_PAGES - 1)]
        rows = [["x"]] * (MAX_SHEETS // MAX_PAGES)
        data = {"op": "data", "data": {"columns": ["a"], "rows": rows}}
        document = edited(*pages, data)
        self.assertEqual(len(job(document, "all").rows), len(rows))
        self.assertRaises(CommandRefused, job, document, [*range(len(rows)), 0])
        document = edited(
            *pages, {"op": "data", "data": {"columns": ["a"], "rows": [*rows, ["x"]]}}
        )
        self.assertRaises(CommandRefused, job, document, "all")

    def test_pixels(self) -> None:
        """All images of a PDF have MAX_DECODED pixels at most; one shown twice counts once."""
        place = {"kind": "image", "x": 0, "y": 0, "width": 9, "height": 9}
        ids = ["a" * 64, "b" * 64, "a" * 64]
        document = edited(
            *(insert({**place, "id": f"i{n}", "asset": each}) for n, each in enumerate(ids))
        )
        assets = {each: mock.Mock(id=each, width=40, height=20) for each in ids}
        contents = dict.fromkeys(ids, picture(width=40, height=20))
        self.patch(printing, "MAX_DECODED", 1_600)
        print_pdf(job(document, None), assets, contents)
        self.patch(printing, "MAX_DECODED", 1_599)
        with self.assertRaises(CommandRefused):
            print_pdf(job(document, None), assets, contents)

    def test_work(self) -> None:
        """A PDF that takes more than MAX_WORK drawing commands is not printed."""
        document = edited(insert(BOX))
        commands = len(render(document.pages[0]).commands)
        self.patch(printing, "MAX_WORK", commands)
        pdf_of(document)
        self.patch(printing, "MAX_WORK", commands - 1)
        self.assertRaises(CommandRefused, pdf_of, document)


class PrintsTests(SynchronousTestCase):
    """PDFs that wait to be fetched."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.prints = Prints(self.clock)
        self.addCleanup(self.prints.close)

    def keep(self, size: int) -> str:
        return self.prints._keep(bytes(size))[0]

    def test_parts(self) -> None:
        """A PDF is fetched in parts, of which the last one is shorter."""
        content = bytes(range(256)) * (2 * PART // 256) + b"end"
        pdf, size, parts = self.prints._keep(content)
        self.assertEqual((size, parts), (len(content), 3))
        found = [self.prints.part(pdf, part) for part in range(parts)]
        self.assertEqual(
            ([len(each) for each in found], b"".join(found)), ([PART, PART, 3], content)
        )
        self.assertRaises(CommandRefused, self.prints.part, pdf, 3)
        pdf, _, parts = self.prints._keep(bytes(PART))
        self.assertEqual(parts, 1)

    def test_age(self) -> None:
        """A PDF is kept for MAX_AGE, and leaves no timer behind."""
        first = self.keep(1)
        self.clock.advance(MAX_AGE / 2)
        second = self.keep(1)
        self.clock.advance(MAX_AGE / 2 - 1)
        self.prints.part(first, 0)
        self.clock.advance(1)
        self.assertRaises(CommandRefused, self.prints.part, first, 0)
        self.prints.part(second, 0)
        self.clock.advance(MAX_AGE / 2)
        self.assertRaises(CommandRefused, self.prints.part, second, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_count_and_bytes(self) -> None:
        """For one PDF more than MAX_KEPT, or than MAX_KEPT_BYTES hold, the oldest goes."""
        self.patch(prints, "MAX_KEPT", 3)
        self.patch(prints, "MAX_KEPT_BYTES", 100)
        kept = [self.keep(10) for _ in range(4)]
        self.assertRaises(CommandRefused, self.prints.part, kept[0], 0)
        self.prints.part(kept[1], 0)
        self.keep(90)
        self.assertRaises(CommandRefused, self.prints.part, kept[2], 0)
        self.prints.part(kept[3], 0)
        self.assertEqual(self.prints.kept_bytes, 100)

    def test_one_pdf(self) -> None:
        """A PDF of more than MAX_PDF bytes is refused, not kept."""
        self.patch(prints, "MAX_PDF", 100)
        self.keep(100)
        self.assertRaises(CommandRefused, self.keep, 101)

    def test_close(self) -> None:
        """A closed engine keeps nothing, and no timer."""
        pdf = self.keep(1)
        self.prints.close()
        self.assertRaises(CommandRefused, self.prints.part, pdf, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertRaises(CommandRefused, self.keep, 1)


class ThreadTests(TestCase):
    """The printing thread."""

    timeout = 60

    async def test_it_prints(self) -> None:
        """What the thread prints is kept, and what it refuses is heard."""
        made = Prints(reactor)
        self.addCleanup(made.close)
        pdf, size, parts = await made.make(job(EMPTY, None), {}, {})
        self.assertEqual((len(made.part(pdf, 0)), parts), (size, 1))
        self.patch(printing, "MAX_WORK", 0)
        with self.assertRaises(CommandRefused):
            await made.make(job(EMPTY, None), {}, {})

    async def test_what_waits_is_bounded(self) -> None:
        """Beyond MAX_WAITING PDFs being printed the next one is refused; one done makes room."""
        self.patch(prints, "MAX_WAITING", 2)
        made = Prints(reactor, lambda *job: b"pdf")
        self.addCleanup(made.close)
        waiting = [made.make(job(EMPTY, None), {}, {}) for _ in range(2)]
        self.assertRaises(CommandRefused, made.make, job(EMPTY, None), {}, {})
        for each in waiting:
            await each
        await made.make(job(EMPTY, None), {}, {})

    async def test_a_stop_does_not_wait_for_a_long_print(self) -> None:
        """When the engine stops, what is being printed ends after the page that it is at."""
        document = edited(many_rows(500))
        made = Prints(reactor)
        printing_: Deferred[Any] = made.make(job(document, "all"), {}, {})
        self.assertIsNone(made.close())
        with self.assertRaises(CommandRefused):
            await printing_


def many_rows(rows: int) -> dict[str, Any]:
    """Return the change that puts so many rows in."""
    return {"op": "data", "data": {"columns": ["a"], "rows": [["x"]] * rows}}
