"""Two runs side by side: what has changed, and what only seems so."""

import contextlib
import io
import tempfile
from pathlib import Path
from unittest import TestCase

from bench import compare
from bench.figures import Results
from bench.report import to_json
from tests.bench.runs import run, series


def printed(*arguments: str) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as output:
        compare.main(arguments)
    return output.getvalue()


class ChangesTests(TestCase):
    def changes(self, before: Results, after: Results, yardstick: str | None) -> dict[str, str]:
        """Return the verdict for each gateway, and the change of its median in percent."""
        return {
            each.gateway: f"{'noise' if each.is_noise else 'real'} {each.ratio.median - 1:+.0%}"
            for each in compare.changes(before, after, yardstick)
        }

    def test_a_faster_machine_is_no_progress(self) -> None:
        """When all have become cheaper alike, nobody has."""
        before = run(series("orion", 100.0, 101.0, 102.0), series("node", 50.0, 50.5, 51.0))
        after = run(series("orion", 80.0, 80.8, 81.6), series("node", 40.0, 40.4, 40.8))
        self.assertEqual(self.changes(before, after, "node"), {"orion": "noise +0%"})
        self.assertEqual(
            self.changes(before, after, None), {"orion": "real -20%", "node": "real -20%"}
        )

    def test_progress(self) -> None:
        before = run(series("orion", 100.0, 101.0, 102.0), series("node", 50.0, 50.5, 51.0))
        after = run(series("orion", 50.0, 50.5, 51.0), series("node", 50.0, 50.5, 51.0))
        self.assertEqual(self.changes(before, after, "node"), {"orion": "real -50%"})

    def test_spread_that_hides_a_change(self) -> None:
        before = run(series("orion", 90.0, 100.0, 130.0), series("node", 50.0, 50.0, 50.0))
        after = run(series("orion", 80.0, 90.0, 95.0), series("node", 50.0, 50.0, 50.0))
        self.assertEqual(self.changes(before, after, "node"), {"orion": "noise -10%"})

    def test_one_visit(self) -> None:
        """Nobody knows the spread of one visit, so it proves nothing."""
        before, after = run(series("orion", 100.0)), run(series("orion", 50.0))
        self.assertEqual(self.changes(before, after, None), {"orion": "noise -50%"})

    def test_what_only_one_run_has(self) -> None:
        before = run(series("orion", 100.0, 100.0), series("node", 50.0, 50.0))
        after = run(series("orion", None, None), series("picows", 50.0, 50.0))
        self.assertEqual(self.changes(before, after, None), {})


class YardstickTests(TestCase):
    def test_same_version(self) -> None:
        """What was updated, or had changes that no commit has, measures nothing else."""
        figures = (series("orion", 1.0), series("node", 1.0), series("picows", 1.0))
        before = run(*figures, orion="0.1 (abc, changed)", node="20", picows="2.3")
        after = run(*figures, orion="0.1 (abc, changed)", node="22", picows="2.3")
        self.assertEqual(compare.yardsticks(before, after), ["picows"])


class CommandTests(TestCase):
    def setUp(self) -> None:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        figures = (series("orion", 100.0, 101.0, 102.0), series("node", 50.0, 50.5, 51.0))
        better = (series("orion", 50.0, 50.5, 51.0), figures[1])
        self.before, self.after = folder / "before.json", folder / "after.json"
        self.before.write_text(to_json(run(*figures, orion="0.1 (abc)")))
        self.after.write_text(to_json(run(*better, orion="0.1 (def)")))

    def test_table(self) -> None:
        text = printed(str(self.before), str(self.after))
        (line,) = [each for each in text.splitlines() if each.startswith("rr-64")]
        self.assertEqual(
            line.split(),
            ["rr-64", "orion", "2.00", "1.00", "-50.0%", "-50.0%..-50.0%", "cheaper"],
        )
        self.assertIn("ratio to node", text)
        self.assertIn("orion: 0.1 (abc) before, 0.1 (def) after", text)

    def test_bare_costs(self) -> None:
        text = printed(str(self.before), str(self.after), "--base", "none")
        self.assertIn("bare cost", text)
        self.assertEqual(len([line for line in text.splitlines() if line.startswith("rr-64")]), 2)

    def test_mistakes(self) -> None:
        """A wrong file or name ends with a sentence, not with a traceback."""
        nonsense = self.before.with_name("nonsense.json")
        nonsense.write_text("{}")
        files = [str(self.before), str(self.after)]
        for arguments, sentence in (
            ([str(nonsense), files[1]], "not the result of a run"),
            ([files[0], "/nowhere.json"], "No such file"),
            ([*files, "--base", "nobody"], "nobody is not in both runs"),
        ):
            errors = io.StringIO()
            with self.assertRaises(SystemExit) as ended, contextlib.redirect_stderr(errors):
                compare.main(arguments)
            self.assertEqual(ended.exception.code, 2)
            self.assertIn(sentence, errors.getvalue())
