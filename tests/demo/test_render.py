"""Pages as drawing commands."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.demo import render as module
from orion_twisted.demo.assets import Asset
from orion_twisted.demo.codes import QUIET, QUIET_BARS, barcode, qr
from orion_twisted.demo.documents import Barcode, Image, Line, Page, QRCode, Rectangle, Text
from orion_twisted.demo.render import MAX_COMMANDS, METHODS, PROPERTIES, render
from orion_twisted.demo.samples import sample, samples
from orion_twisted.demo.wrapping import fill, wrap

ASSET = Asset("a" * 64, "image/png", 40, 20)
BOX: dict[str, Any] = {"x": 0, "y": 0, "width": 240, "height": 40}
CROSS = ["strokeRect", 0, 0, 240, 40]


def drawn(*objects: Any, row: dict[str, str] | None = None) -> list[list[str | float]]:
    """Return the commands of a page of these objects, without its background."""
    return render(Page("p1", 100, 50, objects), row, {ASSET.id: ASSET}).commands[2:]


class RenderTests(SynchronousTestCase):
    """What is drawn for which object."""

    def test_a_page_is_white(self) -> None:
        """A page without objects is drawn as white paper of its size."""
        self.assertEqual(
            render(Page("p1", 100, 50)).commands,
            [["fillStyle", "#ffffff"], ["fillRect", 0, 0, 100, 50]],
        )

    def test_rectangle(self) -> None:
        """A rectangle is filled and stroked as it says."""
        self.assertEqual(
            drawn(Rectangle(id="r", x=5, y=6, width=20, height=10, fill="#abc")),
            [
                ["save"],
                ["translate", 5, 6],
                ["fillStyle", "#abc"],
                ["fillRect", 0, 0, 20, 10],
                ["strokeStyle", "#1f2933"],
                ["lineWidth", 1],
                ["strokeRect", 0, 0, 20, 10],
                ["restore"],
            ],
        )

    def test_nothing_is_drawn_of_what_is_none(self) -> None:
        """Fill "none", stroke "none" and a line width of 0 draw nothing."""
        nothing = [["save"], ["translate", 0, 0], ["restore"]]
        for placed in (
            Rectangle(id="r", **BOX, stroke="none"),
            Rectangle(id="r", **BOX, line_width=0),
            Line(id="l", **BOX, line_width=0),
        ):
            self.assertEqual(drawn(placed), nothing)

    def test_line(self) -> None:
        """A line goes from its place by its width and height."""
        self.assertEqual(
            drawn(Line(id="l", x=5, y=6, width=-20, height=10, stroke="#f00", line_width=2)),
            [
                ["save"],
                ["translate", 5, 6],
                ["strokeStyle", "#f00"],
                ["lineWidth", 2],
                ["beginPath"],
                ["moveTo", 0, 0],
                ["lineTo", -20, 10],
                ["stroke"],
                ["restore"],
            ],
        )

    def test_rotation_turns_about_the_middle(self) -> None:
        """A rotated object stays where it is and turns."""
        self.assertEqual(
            drawn(Rectangle(id="r", x=10, y=10, width=20, height=10, rotation=90, fill="#fff",
                            stroke="none")),
            [
                ["save"],
                ["translate", 20, 15],
                ["rotate", 1.570796],
                ["fillStyle", "#fff"],
                ["fillRect", -10, -5, 20, 10],
                ["restore"],
            ],
        )  # fmt: skip

    def test_text(self) -> None:
        """Each line of a text is one command, in its font, at its baseline."""
        text = Text(id="t", x=1, y=2, width=100, height=40, text="one\n\nthree", size=10,
                    weight="bold", align="right", color="#123456", font="serif")  # fmt: skip
        self.assertEqual(
            drawn(text),
            [
                ["save"],
                ["translate", 1, 2],
                ["fillStyle", "#123456"],
                ["font", "bold 10px serif"],
                ["textAlign", "right"],
                ["textBaseline", "alphabetic"],
                ["fillText", "one", 100, 9.5],
                ["fillText", "three", 100, 34.5],
                ["restore"],
            ],
        )

    def test_text_is_cut_at_its_box(self) -> None:
        """Lines that do not fit into the box are left out, but never the first one."""
        text = "a\nb\nc\nd"
        for height, lines in ((50, 4), (49, 3), (25, 2), (1, 1)):
            box = {**BOX, "height": height}
            commands = drawn(Text(id="t", text=text, size=10, **box))
            shown = [command for command in commands if command[0] == "fillText"]
            self.assertEqual(len(shown), lines)

    def test_a_crowded_page_is_drawn_in_part(self) -> None:
        """A page beyond the limit is drawn up to it, in whole objects, and says so."""
        text = Text(id="t", x=0, y=0, width=5, height=10_000, text="a\n" * 3_000, size=1)
        drawing = render(Page("p1", objects=(text, text, text)))
        self.assertFalse(drawing.complete)
        self.assertEqual(len(drawing.boxes), 2)
        self.assertLessEqual(len(drawing.commands), MAX_COMMANDS)
        self.assertEqual(drawing.commands[-1], ["restore"])

    def test_only_names_of_the_contract_are_used(self) -> None:
        """A client that knows the listed methods and properties can draw every page."""
        every = (
            *sample().pages[0].objects,
            Text(id="t", text="x", rotation=3, **BOX),
            Rectangle(id="r", fill="#fff", **BOX),
            Line(id="l", **BOX),
            Image(id="i", asset=ASSET.id, **BOX),
        )
        page = Page("p1", objects=every)
        used = {command[0] for command in render(page, None, {ASSET.id: ASSET}).commands}
        self.assertEqual(used, METHODS | PROPERTIES)

    def test_the_samples_are_whole(self) -> None:
        """The first documents one sees are drawn completely, and no text of them is cut."""
        for document in samples():
            (page,) = document.pages
            self.assertTrue(render(page).complete)
            for placed in page.objects:
                if isinstance(placed, Text):
                    shown = [c for c in drawn(placed) if c[0] == "fillText"]
                    self.assertEqual(len(shown), len(list(wrap(placed, placed.text))), placed.text)

    def test_italic(self) -> None:
        """An italic text says so in its font."""
        found = drawn(Text(id="t", text="x", italic=True, **BOX))
        self.assertIn(["font", "italic normal 14px sans-serif"], found)

    def test_image(self) -> None:
        """An image is whole within its box, in the middle of it, or fills it."""
        image = {"id": "i", "x": 5, "y": 6, "width": 100, "height": 100, "asset": ASSET.id}
        self.assertEqual(drawn(Image(**image))[2], ["drawImage", ASSET.id, 0, 25, 100, 50])
        self.assertEqual(
            drawn(Image(**image, fit="fill"))[2], ["drawImage", ASSET.id, 0, 0, 100, 100]
        )
        self.assertEqual(
            drawn(Image(**image, rotation=90))[3], ["drawImage", ASSET.id, -50, -25, 100, 50]
        )

    def test_what_cannot_be_drawn_is_crossed_out(self) -> None:
        """An image that is not there, or a code that cannot say its text, is a crossed box."""
        for placed in (
            Image(id="i", asset="b" * 64, **BOX),
            QRCode(id="q", text="", **BOX),
            Barcode(id="b", text="{{code}}", symbology="ean13", **BOX),
        ):
            found = drawn(placed)
            self.assertIn(CROSS, found)
            self.assertEqual((found[0], found[-1]), (["save"], ["restore"]))

    def test_qr_code(self) -> None:
        """A QR code is as large as its box allows, in the middle, with room around it."""
        code = QRCode(id="q", x=0, y=0, width=200, height=100, text="{{url}}", color="#123")
        found = drawn(code, row={"url": "https://shop.example"})
        matrix = qr("https://shop.example")
        rectangles = [command for command in found if command[0] == "fillRect"]
        self.assertEqual(len(rectangles), len(matrix.bars))
        module = 100 / matrix.size
        _, x, y, width, height = rectangles[0]
        self.assertAlmostEqual(float(x), 50 + QUIET * module, 2)
        self.assertAlmostEqual(float(y), QUIET * module, 2)
        self.assertAlmostEqual(float(width), 7 * module, 2)
        self.assertAlmostEqual(float(height), module, 2)
        self.assertIn(["fillStyle", "#123"], found)

    def test_barcode(self) -> None:
        """A barcode is as wide as its box, with what it says below it, if it is to say so."""
        code: dict[str, Any] = {"id": "b", **BOX, "text": "{{code}}"}
        bars = barcode("code128", "ABC")
        for label, height in ((True, 27.5), (False, 40)):
            found = drawn(Barcode(**code, label=label), row={"code": "ABC"})
            rectangles = [command for command in found if command[0] == "fillRect"]
            self.assertEqual(len(rectangles), len(bars.bars))
            self.assertAlmostEqual(float(rectangles[0][1]), QUIET_BARS * 240 / bars.width, 2)
            self.assertEqual({command[4] for command in rectangles}, {height})
            written = [command for command in found if command[0] == "fillText"]
            self.assertEqual(written, [["fillText", "ABC", 120, 37]] if label else [])

    def test_letters_are_bounded(self) -> None:
        """A page beyond MAX_LETTERS is drawn up to it, in whole objects, and says so."""
        self.patch(module, "MAX_LETTERS", 100)
        texts = [Text(id=f"t{n}", text="{{a}}", **{**BOX, "width": 9_000}) for n in range(3)]
        drawing = render(Page("p1", objects=tuple(texts)), {"a": "x" * 40})
        self.assertEqual((len(drawing.boxes), drawing.complete), (2, False))


class FillTests(SynchronousTestCase):
    """Placeholders."""

    def test_vectors(self) -> None:
        """Columns stand for their cells, once; what names no column stays as it is written."""
        row = {"name": "Kim", "a b": "{{name}}", "": "nothing", "이름": "김"}
        for text, filled in (
            ("", ""),
            ("Dear {{name}}!", "Dear Kim!"),
            ("{{name}}{{name}}", "KimKim"),
            ("{{a b}}", "{{name}}"),
            ("{{이름}}", "김"),
            ("{{}}", "nothing"),
            ("{{other}} {{Name}} {{ name }}", "{{other}} {{Name}} {{ name }}"),
            ("{name} {{name", "{name} {{name"),
            ("{{name}} }}", "Kim }}"),
        ):
            with self.subTest(text=text):
                self.assertEqual(fill(text, row, 1_000), filled)
                self.assertEqual(fill(text, None, 1_000), text)

    def test_bound(self) -> None:
        """However long a cell is and however often it is named, the result is bounded."""
        self.assertEqual(fill("{{a}}" * 10, {"a": "xyz"}, 7), "xyzxyzx")
        self.assertEqual(fill("abc", None, 2), "ab")

    def test_control_characters(self) -> None:
        """What has no letter is a blank; ends of lines and tabs stay."""
        self.assertEqual(fill("a\u0000\u001b\u0085b\r\n\tc", None, 99), "a   b\r\n\tc")


def lines_of(value: str, width: float, **style: Any) -> list[str]:
    """Return the lines of a text in a box of a width, at a font size of 10."""
    box = {**BOX, "width": width}
    return list(wrap(Text(id="t", text=value, size=10, **box, **style), value))


class WrapTests(SynchronousTestCase):
    """Where lines are broken."""

    def test_vectors(self) -> None:
        """Lines break at blanks, in too long words anywhere, and at newlines of any system."""
        for text, width, lines in (
            ("", 100, [""]),
            ("one two three", 1_000, ["one two three"]),
            ("one two three", 40, ["one two", "three"]),
            ("one  two", 20, ["one", "two"]),
            ("aaaaaaaaaa", 30, ["aaaaa", "aaaaa"]),
            ("ab aaaaaaaaaa", 30, ["ab", "aaaaa", "aaaaa"]),
            ("a\r\nb\rc\nd", 100, ["a", "b", "c", "d"]),
            ("가나다라", 25, ["가나", "다라"]),
            ("x", 0.5, ["x"]),
            ("xy", 0.5, ["x", "y"]),
            ("end   ", 100, ["end"]),
        ):
            with self.subTest(text=text, width=width):
                self.assertEqual(lines_of(text, width), lines)

    def test_fonts_have_their_widths(self) -> None:
        """A monospace text breaks after the same number of letters, whichever they are."""
        for letter in "iW":
            self.assertEqual(lines_of(letter * 20, 60, font="monospace"), [letter * 10] * 2)

    @settings(deadline=None, max_examples=150)
    @given(st.text(max_size=60), st.floats(0.5, 200))
    def test_no_letter_is_lost(self, value: str, width: float) -> None:
        """However a text is broken, all of its letters are there, in order."""
        lines = lines_of(value, width)

        def letters(text: str) -> str:
            return "".join(letter for letter in text if letter not in " \t\r\n")

        self.assertEqual(letters("".join(lines)), letters(value))
