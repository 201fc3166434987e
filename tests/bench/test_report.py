"""What is printed, drawn and written down says what was measured."""

import json
from unittest import TestCase
from xml.etree import ElementTree

from attrs import evolve

from bench import chart, report
from bench.report import FormatError, from_json, number, ratio_text, render, table, to_json
from tests.bench.runs import run, series

SVG = "{http://www.w3.org/2000/svg}"


class NumberTests(TestCase):
    def test_digits(self) -> None:
        for value, text in (
            (0.651, "0.65"),
            (9.994, "9.99"),
            (26.66, "26.7"),
            (21_555.4, "21,555"),
        ):
            self.assertEqual(number(value), text)

    def test_ratios(self) -> None:
        for value, text in ((0.014, "0.01"), (1.0, "1.00"), (131.7, "132")):
            self.assertEqual(ratio_text(value), text)


class TableTests(TestCase):
    def test_columns(self) -> None:
        lines = table([["name", "cost"], ["a", "10.5"], ["longer", ""]])
        self.assertEqual(lines, ["name    cost", "a       10.5", "longer"])


class JsonTests(TestCase):
    def setUp(self) -> None:
        self.results = evolve(
            run(series("orion", 10.0, None, 12.0), series("node", 20.0, 20.0, 26.0)),
            skipped={"haproxy": "there is no haproxy"},
            left_out=[("bulk-1m", "websocat", "messages of at most 16 KiB")],
        )

    def test_there_and_back(self) -> None:
        self.assertEqual(from_json(to_json(self.results)), self.results)

    def test_medians_for_other_tools(self) -> None:
        orion, node = json.loads(to_json(self.results))["series"]
        self.assertEqual((orion["median"], orion["least"], orion["most"]), (11.0, 10.0, 12.0))
        self.assertEqual(node["median"], 20.0)

    def test_other_files(self) -> None:
        """Whatever else the file is, the error is the one that says so."""
        other_format = to_json(self.results).replace('"format": 1', '"format": 2')
        for text in ("", "[]", "{}", '{"format": 1}', "null", other_format):
            with self.assertRaises(FormatError):
                from_json(text)


class RenderTests(TestCase):
    def setUp(self) -> None:
        self.results = run(
            series("orion", 10.0, 11.0, 12.0),
            series("node", 20.0, 22.0, None),
            series("picows", None, None, None),
        )

    def rows(self) -> dict[str, list[str]]:
        """Return the cells of the scenario's table, by gateway."""
        text = render(self.results)
        section = text[text.index("rr-64: 8 connections") :].split("\n\n")[0]
        return {line.split()[0]: line.split()[1:] for line in section.splitlines()[2:]}

    def test_scenario(self) -> None:
        """Median, spread, ratio with its spread, rate, and how busy the gateway was."""
        rows = self.rows()
        self.assertEqual(
            rows["orion"], ["11.0", "10.0..12.0", "1.00", "1.00..1.00", "5,000", "90%"]
        )
        self.assertEqual(
            rows["node"], ["21.0", "20.0..22.0", "1.91", "1.91..2.00", "5,000", "90%"]
        )
        self.assertEqual(rows["picows"], ["dropped"])

    def test_what_was_dropped_is_said(self) -> None:
        lines = render(self.results).splitlines()
        self.assertEqual(lines.count("node, rr-64: dropped: a connection was lost"), 1)
        self.assertEqual(lines.count("picows, rr-64: dropped: a connection was lost"), 3)

    def test_what_was_left_out_is_said(self) -> None:
        results = evolve(
            self.results,
            skipped={"haproxy": "there is no haproxy"},
            left_out=[("fan-64", "websockify", "a process for each connection")],
        )
        text = render(results)
        self.assertIn("haproxy is left out: there is no haproxy", text)
        self.assertIn("websockify has no part in fan-64: a process for each connection", text)

    def test_short_runs_are_called_short(self) -> None:
        self.assertNotIn("below 5 %", render(self.results))
        self.assertIn("below 5 %", render(evolve(self.results, seconds=0.5)))

    def test_all_ratios(self) -> None:
        text = render(self.results)
        section = text[text.index("ratio to orion") :].split("\n\n")[0]
        cells = [line.split() for line in section.splitlines()[1:]]
        self.assertEqual(cells, [["orion", "1.00"], ["node", "1.91"], ["picows", "-"]])


class ChartTests(TestCase):
    def test_position(self) -> None:
        """Twice as dear and half as dear are equally far from the middle; nothing is outside."""
        self.assertEqual(chart.position(1.0), 0.5)
        self.assertAlmostEqual(chart.position(2.0) + chart.position(0.5), 1.0)
        for ratio, wanted in ((0.1, 0.0), (0.001, 0.0), (10.0, 1.0), (500.0, 1.0)):
            self.assertAlmostEqual(chart.position(ratio), wanted)

    def test_document(self) -> None:
        """It is XML whatever the machine is called, with each gateway's ratio in words."""
        results = run(
            series("orion", 10.0, 11.0, 12.0),
            series("node", 20.0, 22.0, None),
            series("picows", None, None, None),
            series("orion", 1.0, scenario="storm"),
        )
        root = ElementTree.fromstring(chart.render(results))
        texts = [element.text for element in root.iter(f"{SVG}text")]
        for text in (
            "rr-64",
            "storm",
            "node",
            "1.91",
            "picows",
            "dropped",
            "1.00 = 11.0 us/message",
        ):
            self.assertIn(text, texts)
        self.assertEqual(len(list(root.iter(f"{SVG}circle"))), 3)
        self.assertIn("A <fast> one", "".join(filter(None, texts)))

    def test_the_drawing_is_inside(self) -> None:
        """Nothing is drawn outside of its panel, however large a ratio is."""
        results = run(series("orion", 1.0, 1.0), series("websockify", 900.0, 0.001))
        root = ElementTree.fromstring(chart.render(results))
        for circle in root.iter(f"{SVG}circle"):
            self.assertLessEqual(float(circle.get("cx", "")), chart.PANEL_WIDTH)
            self.assertGreaterEqual(float(circle.get("cx", "")), chart.NAME_WIDTH)

    def test_nothing_to_draw(self) -> None:
        """A run without figures is an empty picture, not an error."""
        ElementTree.fromstring(chart.render(run(series("orion", None))))
        self.assertIn("dropped", report.render(run(series("orion", None))))
