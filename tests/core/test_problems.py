"""Problems of settings: how values, paths and hints are written for an operator."""

from datetime import date

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.errors import LocalError
from orion_twisted.core.problems import ConfigError, Problem, dotted, near_miss, quoted, shown


class ProblemTests(SynchronousTestCase):
    """`Problem` and `ConfigError`."""

    def test_one_line(self) -> None:
        """A problem is one line: the path, what is wrong, and the hint in parentheses."""
        for problem, line in (
            (Problem("a.b", "is bad"), "a.b: is bad"),
            (Problem("a.b", "is bad", 'did you mean "c"?'), 'a.b: is bad (did you mean "c"?)'),
            (Problem("", "expected a table, got 1"), "expected a table, got 1"),
        ):
            with self.subTest(line):
                self.assertEqual(str(problem), line)

    def test_error(self) -> None:
        """The error is ours, holds every problem, and prints a line for each."""
        problems = [Problem("a", "is bad"), Problem("b", "is worse", "stop")]
        error = ConfigError(problems)
        self.assertIsInstance(error, LocalError)
        self.assertEqual(error.problems, tuple(problems))
        self.assertEqual(str(error), "a: is bad\nb: is worse (stop)")


class WordsTests(SynchronousTestCase):
    """`quoted`, `shown`, `near_miss` and `dotted`."""

    def test_values(self) -> None:
        """Values are shown as TOML has them; tables and lists only as such."""
        for value, words in (
            ("a b", '"a b"'),
            ('say "é"', r'"say \"é\""'),
            ("a\\b\n\x1b\u2028\ud800", r'"a\\b\n\x1b\u2028\ud800"'),
            ("x" * 61, f'"{"x" * 59}…"'),
            (True, "true"),
            (False, "false"),
            (-5, "-5"),
            (10**5000, "a very large number"),
            (1.5, "1.5"),
            (float("nan"), "nan"),
            ({"password": "secret"}, "a table"),
            (["secret"], "a list"),
            (("secret",), "a list"),
            (None, "nothing"),
            (date(2030, 1, 1), "a date"),
        ):
            with self.subTest(words):
                self.assertEqual(shown(value), words)

    @given(st.text() | st.text(st.characters(), max_size=200))
    @settings(deadline=None)
    def test_nothing_drives_a_terminal(self, text: str) -> None:
        """Whatever is quoted has printable characters only, and few of them."""
        self.assertTrue(quoted(text).isprintable())
        self.assertLess(len(quoted(text)), 62 * 10)

    def test_near_miss(self) -> None:
        """A word near to a known one is a hint; letter case does not matter."""
        for word, hint in (
            ("bakend", 'did you mean "backend"?'),
            ("BACKEND", 'did you mean "backend"?'),
            ("bindaddres", 'did you mean "bindAddress"?'),
            ("zzz", None),
            ("", None),
        ):
            with self.subTest(word):
                self.assertEqual(near_miss(word, ["backend", "hosts", "bindAddress"]), hint)

    def test_paths(self) -> None:
        """Paths have dots between keys, indices in brackets, and odd keys in quotes."""
        for steps, path in (
            ((), ""),
            (("listen", 1), "listen[1]"),
            (("tenant", "shop1", "hosts", 0), "tenant.shop1.hosts[0]"),
            (("tenant", "a.b", "hosts"), 'tenant."a.b".hosts'),
            (("",), '""'),
            (("a\nb",), r'"a\nb"'),
            (("k" * 61,), f'"{"k" * 59}…"'),
        ):
            with self.subTest(path):
                self.assertEqual(dotted(steps), path)
