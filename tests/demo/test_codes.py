"""QR codes and barcodes, read back by hand."""

from itertools import pairwise
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.demo.codes import MAX_BARCODE, MAX_QR, QUIET, QUIET_BARS, Uncodable, barcode, qr
from orion_twisted.demo.libraries import INSTALL, LibraryMissing


def modules(symbology: str, text: str) -> str:
    """Return a barcode as a row of 0 and 1, without its quiet zones."""
    bars = barcode(symbology, text)  # type: ignore[arg-type]
    row = ["0"] * round(bars.width)
    for first, width in bars.bars:
        row[round(first) : round(first + width)] = "1" * round(width)
    return "".join(row)[QUIET_BARS:-QUIET_BARS]


class QRTests(SynchronousTestCase):
    """QR codes."""

    def test_the_finders_are_there(self) -> None:
        """A code has its three finder patterns in its corners, behind a quiet zone."""
        matrix = qr("https://shop.example/orders/2041")
        rows = [[False] * matrix.size for _ in range(matrix.size)]
        for line, first, count in matrix.bars:
            rows[line][first : first + count] = [True] * count
        finder = ["1111111", "1000001", "1011101", "1011101", "1011101", "1000001", "1111111"]
        near, far = QUIET, matrix.size - QUIET - 7
        for top, left in ((near, near), (near, far), (far, near)):
            found = [
                "".join("01"[each] for each in row[left : left + 7]) for row in rows[top : top + 7]
            ]
            self.assertEqual(found, finder)
        for line in (*range(QUIET), *range(matrix.size - QUIET, matrix.size)):
            self.assertFalse(any(rows[line]) or any(row[line] for row in rows))

    def test_the_bars_are_the_matrix(self) -> None:
        """Bars do not touch within a row, and are of at least one module."""
        bars = qr("안녕하세요").bars
        for (line, first, count), (next_line, next_first, _) in pairwise(bars):
            self.assertGreaterEqual(count, 1)
            self.assertTrue(next_line > line or next_first > first + count)

    def test_limits(self) -> None:
        """A code says 1 to MAX_QR bytes of UTF-8."""
        self.assertRaises(Uncodable, qr, "")
        qr("x" * MAX_QR)
        qr("가" * (MAX_QR // 3))
        self.assertRaises(Uncodable, qr, "x" * (MAX_QR + 1))
        self.assertRaises(Uncodable, qr, "가" * (MAX_QR // 3) + "x")

    def test_without_the_library(self) -> None:
        """Without segno the refusal says what to install."""
        qr.cache_clear()
        with (
            mock.patch.dict("sys.modules", {"segno": None}),
            self.assertRaises(LibraryMissing) as caught,
        ):
            qr("x")
        self.assertIn(INSTALL, str(caught.exception))


class BarcodeTests(SynchronousTestCase):
    """Barcodes."""

    def test_ean13(self) -> None:
        """An EAN-13 is made of its guards and the digits' patterns, with the check digit."""
        # 5901234123457, as the standard's parity tables have it for a first digit of 5.
        wanted = (
            "101" "0001011" "0100111" "0110011" "0010011" "0111101" "0011101"
            "01010" "1100110" "1101100" "1000010" "1011100" "1001110" "1000100" "101"
        )  # fmt: skip
        self.assertEqual(modules("ean13", "590123412345"), wanted)
        self.assertEqual(modules("ean13", "5901234123457"), wanted)
        self.assertEqual(barcode("ean13", "590123412345").text, "5901234123457")

    def test_code128(self) -> None:
        """A code 128 begins, checks and ends as it has to."""
        row = modules("code128", "PJJ123C")
        self.assertEqual((row[:11], row[-13:]), ("11010010000", "1100011101011"))
        # Start B, and the signs by their values: 104 + 48 + 2*42 + 3*42 + 4*17 + ... = 55 mod 103.
        self.assertEqual(row[-24:-13], "11101000110")
        self.assertEqual(len(modules("code128", "12345678")), 11 * 6 + 13)  # pairs of digits

    def test_code39(self) -> None:
        """A code 39 is framed by its stars, and takes small letters for large ones."""
        bars = barcode("code39", "a-1")
        self.assertEqual(bars.text, "A-1")
        self.assertEqual(bars, barcode("code39", "A-1"))
        self.assertEqual(len(bars.bars), 5 * 5)  # five bars for each sign, and the two stars
        self.assertEqual(
            [width for _, width in bars.bars[:5]], [width for _, width in bars.bars[-5:]]
        )

    def test_what_cannot_be_said(self) -> None:
        """What a symbology has no sign for is refused."""
        for symbology, text in (
            ("code128", ""), ("code128", "안녕"), ("code128", "x" * (MAX_BARCODE + 1)),
            ("code39", "a*b"), ("code39", "a_b"), ("code39", "é"),
            ("ean13", "12345"), ("ean13", "5901234123458"), ("ean13", "59012341234x"),
            ("ean13", "5901234123457 "), ("ean13", "{{code}}"),
        ):  # fmt: skip
            with self.subTest(symbology=symbology, text=text[:20]):
                self.assertRaises(Uncodable, barcode, symbology, text)
        barcode("code128", "x" * MAX_BARCODE)

    def test_without_the_library(self) -> None:
        """Without reportlab the refusal says what to install."""
        barcode.cache_clear()
        missing = {
            "reportlab.graphics.barcode.code128": None,
            "reportlab.graphics.barcode.code39": None,
            "reportlab.graphics.barcode.eanbc": None,
        }
        with mock.patch.dict("sys.modules", missing):
            for symbology, text in (("code128", "x"), ("code39", "x"), ("ean13", "1" * 12)):
                with self.assertRaises(LibraryMissing) as caught:
                    barcode(symbology, text)  # type: ignore[arg-type]
                self.assertIn(INSTALL, str(caught.exception))
