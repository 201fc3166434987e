"""Secrets of backends: how a file is read, and what lets in."""

from hypothesis import assume, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.secrets import (
    LEAST_SECRET,
    MOST_SECRET,
    MOST_SECRETS,
    Secrets,
    read_secrets,
)

ONE = "an-engine-shows-this-3f1a"
OTHER = "안녕-bütün-секрет-0123"

LINES = st.text(
    st.characters(exclude_characters="\n", exclude_categories=["Cs"]),
    min_size=LEAST_SECRET,
    max_size=2 * LEAST_SECRET,
)


class ReadTests(SynchronousTestCase):
    """`read_secrets`."""

    def test_what_is_one(self) -> None:
        """A secret is a line without the white space around it, wherever its end is from."""
        for text in (
            ONE,
            f"{ONE}\n",
            f"{ONE}\r\n",
            f"\n\n  {ONE}\t\n\n",
            f"# since November\n{ONE}\n#{OTHER}\n   # {OTHER}\n",
        ):
            with self.subTest(text):
                self.assertEqual(read_secrets(text), Secrets((ONE.encode(),)))

    def test_several(self) -> None:
        """Each line is one, so that a new one can be there before the old one goes."""
        self.assertEqual(
            read_secrets(f"{ONE}\n{OTHER}\n").accepted, (ONE.encode(), OTHER.encode())
        )

    def test_none(self) -> None:
        """A file without any is a mistake: nobody could dial in."""
        for text in ("", "\n", "  \n\t\n", "# " + ONE):
            with self.subTest(text), self.assertRaisesRegex(ValueError, "has no secret in it"):
                read_secrets(text)

    def test_how_long(self) -> None:
        """Sixteen characters at least, in whatever script, and so many that a hello has room."""
        for length in (LEAST_SECRET, MOST_SECRET):
            for character in "x안":
                read_secrets(f"{ONE}\n{character * length}")
        with self.assertRaisesRegex(ValueError, "less than 16 characters"):
            read_secrets(f"{ONE}\n" + "x" * (LEAST_SECRET - 1))
        with self.assertRaisesRegex(ValueError, "less than 16 characters"):
            read_secrets("안" * (LEAST_SECRET - 1))
        with self.assertRaisesRegex(ValueError, "more than 1024 characters"):
            read_secrets(f"{ONE}\n" + "x" * (MOST_SECRET + 1))

    def test_how_many(self) -> None:
        """Sixteen lines at the most: each costs a comparison."""
        lines = [f"secret-number-{number:04}" for number in range(MOST_SECRETS)]
        self.assertEqual(len(read_secrets("\n".join(lines)).accepted), MOST_SECRETS)
        with self.assertRaisesRegex(ValueError, "more than 16 secrets"):
            read_secrets("\n".join([*lines, ONE]))

    def test_odd_characters_divide_nothing(self) -> None:
        """Only a line feed ends a line: else one secret would be two shorter ones."""
        for odd in "\v\f\x1c\x1d\x1e\x85\u2028\u2029\r":
            whole = f"{ONE}{odd}{ONE}"
            with self.subTest(repr(odd)):
                secrets = read_secrets(whole)
                self.assertTrue(secrets.match(whole))
                self.assertFalse(secrets.match(ONE))

    def test_no_error_shows_one(self) -> None:
        """What is wrong is said without the secret."""
        for text in ("x" * 15, "y" * 2000, "\n".join([ONE] * 20)):
            error = self.assertRaises(ValueError, read_secrets, text)
            self.assertNotIn(text.split("\n")[0][:8], str(error))


class MatchTests(SynchronousTestCase):
    """`Secrets.match`."""

    def test_each(self) -> None:
        """Any of them lets in, and nothing else does, however close."""
        secrets = read_secrets(f"{ONE}\n{OTHER}\n")
        for shown in (ONE, OTHER):
            self.assertTrue(secrets.match(shown))
        for shown in (
            "",
            ONE[:-1],
            ONE + "x",
            ONE.upper(),
            f" {ONE}",
            f"{ONE}\n",
            f"{ONE}\n{OTHER}",
            ONE + "\0",
            "\ud800",
            "x" * 100_000,
        ):
            with self.subTest(shown[:40]):
                self.assertFalse(secrets.match(shown))

    @given(st.lists(LINES, min_size=1, max_size=4), LINES)
    def test_exactly_the_lines(self, lines: list[str], shown: str) -> None:
        """Exactly what stands on a line of the file lets in."""
        try:
            secrets = read_secrets("\n".join(lines))
        except ValueError:
            assume(False)
        wanted = {line.strip() for line in lines if line.strip()[:1] not in ("", "#")}
        for each in (*lines, shown):
            self.assertEqual(secrets.match(each), each in wanted)

    def test_nothing_shows_them(self) -> None:
        """Neither a log nor a traceback has them."""
        self.assertNotIn(ONE, repr(read_secrets(ONE)))
