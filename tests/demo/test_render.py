"""Pages as drawing commands."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.demo.documents import Line, Page, Rectangle, Text
from orion_twisted.demo.render import MAX_COMMANDS, METHODS, PROPERTIES, render, wrap
from orion_twisted.demo.samples import sample


def drawn(*objects: Any) -> list[list[str | float]]:
    """Return the commands of a page of these objects, without its background."""
    return render(Page(100, 50, objects)).commands[2:]


class RenderTests(SynchronousTestCase):
    """What is drawn for which object."""

    def test_a_page_is_white(self) -> None:
        """A page without objects is drawn as white paper of its size."""
        self.assertEqual(
            render(Page(100, 50)).commands,
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
            Rectangle(id="r", x=0, y=0, stroke="none"),
            Rectangle(id="r", x=0, y=0, line_width=0),
            Line(id="l", x=0, y=0, line_width=0),
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
        text = Text(id="t", x=1, y=2, width=100, text="one\n\nthree", size=10, weight="bold",
                    align="right", color="#123456", font="serif")  # fmt: skip
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
            commands = drawn(Text(id="t", x=0, y=0, text=text, size=10, height=height))
            shown = [command for command in commands if command[0] == "fillText"]
            self.assertEqual(len(shown), lines)

    def test_a_crowded_page_is_drawn_in_part(self) -> None:
        """A page beyond the limit is drawn up to it, in whole objects, and says so."""
        text = Text(id="t", x=0, y=0, width=5, height=10_000, text="a\n" * 3_000, size=1)
        drawing = render(Page(objects=(text, text, text)))
        self.assertFalse(drawing.complete)
        self.assertEqual(len(drawing.boxes), 2)
        self.assertLessEqual(len(drawing.commands), MAX_COMMANDS)
        self.assertEqual(drawing.commands[-1], ["restore"])

    def test_only_names_of_the_contract_are_used(self) -> None:
        """A client that knows the listed methods and properties can draw every page."""
        every = (
            *sample().pages[0].objects,
            Text(id="t", x=0, y=0, text="x", rotation=3),
            Rectangle(id="r", x=0, y=0, fill="#fff"),
            Line(id="l", x=0, y=0),
        )
        used = {command[0] for command in render(Page(objects=every)).commands}
        self.assertEqual(used, METHODS | PROPERTIES)

    def test_the_sample_is_whole(self) -> None:
        """The first document one sees is drawn completely, and no text of it is cut."""
        (page,) = sample().pages
        self.assertTrue(render(page).complete)
        for placed in page.objects:
            if isinstance(placed, Text):
                shown = [c for c in drawn(placed) if c[0] == "fillText"]
                self.assertEqual(len(shown), len(list(wrap(placed))), placed.text)


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
                found = list(wrap(Text(id="t", x=0, y=0, width=width, text=text, size=10)))
                self.assertEqual(found, lines)

    def test_fonts_have_their_widths(self) -> None:
        """A monospace text breaks after the same number of letters, whichever they are."""
        for letter in "iW":
            text = Text(id="t", x=0, y=0, width=60, text=letter * 20, size=10, font="monospace")
            self.assertEqual(list(wrap(text)), [letter * 10] * 2)

    @settings(deadline=None, max_examples=150)
    @given(st.text(max_size=60), st.floats(0.5, 200))
    def test_no_letter_is_lost(self, value: str, width: float) -> None:
        """However a text is broken, all of its letters are there, in order."""
        lines = wrap(Text(id="t", x=0, y=0, width=width, text=value, size=10))

        def letters(text: str) -> str:
            return "".join(letter for letter in text if letter not in " \t\r\n")

        self.assertEqual(letters("".join(lines)), letters(value))
