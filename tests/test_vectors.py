"""The examples of docs/wire.md can be trusted as test vectors."""

import json
from collections.abc import Collection
from unittest import TestCase

from tests.core import test_backend_v1, test_backend_v2, test_browser_v1, test_browser_v2
from tests.documents import read_page
from tests.vectors import PAGE, SENDERS, Vector, of, read_vectors, vector, vectors

A_FENCE = '```\n{"type":"ack"}\n```\n'


class PageTests(TestCase):
    """The page itself."""

    def test_every_example_is_a_vector(self) -> None:
        """No block of the page is without a mark, and no mark without its block."""
        fences = [each for each in read_page(PAGE).blocks if each.language != "table"]
        self.assertEqual(len(fences), len(vectors()))

    def test_every_sender_has_some(self) -> None:
        """Each side's reader, and each side's writer, has something to be held to."""
        for sender in SENDERS:
            with self.subTest(sender):
                self.assertTrue(of(sender))

    def test_headers_are_json_objects(self) -> None:
        """What stands before the first line feed can be read by any JSON library."""
        for each in vectors().values():
            with self.subTest(each.name):
                self.assertIsInstance(json.loads(each.octets.partition(b"\n")[0]), dict)

    def test_text_is_utf8(self) -> None:
        """A WebSocket text message is UTF-8, or nobody could send it."""
        for each in (*of("browser"), *of("gateway")):
            if not each.is_binary:
                with self.subTest(each.name):
                    self.assertEqual(each.octets, each.text.encode())

    def test_some_of_them(self) -> None:
        """Text is taken as it stands, without the last line's end; hex is decoded."""
        self.assertEqual(
            vector("request"),
            Vector(
                "request",
                "browser",
                False,
                b'{"type":"request","n":1,"ttl":5000}\n{"cmd":"render","page":1}',
            ),
        )
        self.assertEqual(
            vector("notify-binary"),
            Vector("notify-binary", "browser", True, b'{"type":"notify","n":3}\n\x00\xff\n'),
        )
        self.assertFalse(vector("backend-result-binary").is_binary)


class ReaderTests(TestCase):
    """What is wrong with a page is said, and not passed over."""

    def test_bad_marks(self) -> None:
        """A misspelt mark is an error: its example would be tested by nobody."""
        for mark in (
            "<!-- vector: ack -->",
            "<!-- vector: ack, somebody -->",
            "<!-- vector: a ck, browser -->",
            "<!-- vector: ack, browser, hex, binary -->",
            "<!-- vector: ack, browser, text -->",
            "<!-- vector:ack, browser -->",
            "<!--vector: ack, browser -->",
            " <!-- vector: ack, browser -->",
            "<!-- vector: ack, browser --> ",
            "<!-- vectors: ack, browser -->",
        ):
            with self.subTest(mark), self.assertRaisesRegex(ValueError, "well-formed"):
                read_vectors(f"{mark}\n{A_FENCE}")

    def test_no_fence(self) -> None:
        """The fence follows at once, and is closed."""
        for after in ("\n```\n{}\n```\n", "```json\n{}\n```\n", "```\n{}\n", "", "{}\n"):
            with self.subTest(after), self.assertRaisesRegex(ValueError, "no fence"):
                read_vectors(f"<!-- vector: ack, browser -->\n{after}")

    def test_a_name_twice(self) -> None:
        """A name means one example."""
        mark = "<!-- vector: ack, browser -->"
        with self.assertRaisesRegex(ValueError, "twice"):
            read_vectors(f"{mark}\n{A_FENCE}\n{mark}\n{A_FENCE}")

    def test_bad_hex(self) -> None:
        """Hexadecimal digits come in pairs, in lower case, on one line."""
        for text in ("0", "0g", "FF", "00 ff", "00\nff"):
            with self.subTest(text), self.assertRaisesRegex(ValueError, "hexadecimal"):
                read_vectors(f"<!-- vector: ack, browser, hex -->\n```\n{text}\n```\n")


class CheckedTests(TestCase):
    """None of them is there for show."""

    def test_no_vector_is_left_unchecked(self) -> None:
        """Each stands in a table of what the gateway reads, or of what it writes; and a test
        beside each table compares it with the page, to the byte."""
        v1 = test_backend_v1.VectorTests
        tables: list[Collection[str]] = [
            test_browser_v1.READ,
            test_browser_v1.WRITTEN,
            test_browser_v2.READ,
            test_browser_v2.WRITTEN,
            v1.READ,
            v1.WRITTEN,
            test_backend_v2.READ,
            test_backend_v2.WRITTEN,
        ]
        checked = [name for table in tables for name in table]
        self.assertEqual(sorted(checked), sorted(vectors()))
