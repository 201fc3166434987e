"""
Compare two runs: which gateway has become cheaper or dearer, and which difference is noise.

    python bench/compare.py before.json after.json

The machine may have been faster in one of the runs. So each cost is first divided by that of a
gateway which is the same in both: the yardstick. Without one, bare costs are compared, and that
is said.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

if not __package__:  # started as a file: its folder is first on the path, not the checkout
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from attrs import frozen

from bench.figures import Results, Series, Spread, is_noise
from bench.report import FormatError, from_json, number, table, visits_text


@frozen
class Change:
    """
    What has become of a gateway in a scenario.

    Attributes:
        before: its cost, as a ratio to the yardstick if there is one.
        after: likewise.
        ratio: of after to before; below 1 it has become cheaper.
        is_noise: whether that says nothing.
    """

    scenario: str
    gateway: str
    before: Spread
    after: Spread
    ratio: Spread
    is_noise: bool


def yardsticks(before: Results, after: Results) -> list[str]:
    """Return the gateways that are the same in both runs, version and TLS included."""
    return [
        name
        for name, facts in before.gateways.items()
        if after.gateways.get(name) == facts and not facts.version.endswith("changed)")
    ]


def changes(before: Results, after: Results, yardstick: str | None) -> list[Change]:
    """Return what both runs have, scenario by scenario; the yardstick itself is not in it."""
    is_coarse = before.is_coarse or after.is_coarse
    found = []
    for scenario in before.scenarios:
        for series in before.of_scenario(scenario):
            other = after.find(scenario, series.gateway)
            old = _cost(before, series, yardstick)
            new = _cost(after, other, yardstick)
            if series.gateway == yardstick or other is None or old is None or new is None:
                continue
            ratio = new / old
            visits = min(len(series.costs), len(other.costs))
            noise = is_noise(ratio, visits=visits, is_coarse=is_coarse)
            found.append(Change(scenario, series.gateway, old, new, ratio, noise))
    return found


def _cost(results: Results, series: Series | None, yardstick: str | None) -> Spread | None:
    if series is None:
        return None
    if yardstick is None:
        return series.cost
    base = results.find(series.scenario, yardstick)
    return series.ratio(base) if base is not None else None


def render(before: Results, after: Results, yardstick: str | None) -> str:
    """Return the comparison as text."""
    found = changes(before, after, yardstick)
    unit = f"ratio to {yardstick}" if yardstick else "bare cost"
    rows = [["scenario", "gateway", "before", "after", "change", "min..max", ""]]
    for each in found:
        verdict = "cheaper" if each.ratio.median < 1 else "dearer"
        rows.append(
            [
                each.scenario,
                each.gateway,
                number(each.before.median),
                number(each.after.median),
                f"{each.ratio.median - 1:+.1%}",
                f"{each.ratio.least - 1:+.1%}..{each.ratio.most - 1:+.1%}",
                "within noise" if each.is_noise else verdict,
            ]
        )
    lines = [f"before: {_title(before)}", f"after:  {_title(after)}", f"figures: {unit}", ""]
    lines += table(rows, left=2) if found else ["The runs have no figures in common."]
    lines += ["", *_remarks(before, after, yardstick)]
    return "\n".join(lines).rstrip() + "\n"


def _title(results: Results) -> str:
    return f"{results.made}, {visits_text(results)}"


def _remarks(before: Results, after: Results, yardstick: str | None) -> list[str]:
    lines = []
    if yardstick is None:
        lines.append(
            "No gateway is the same in both runs: the machine's own changes are in these figures."
        )
    lines += [
        f"{name}: {before.machine.get(name)} before, {text} after"
        for name, text in after.machine.items()
        if before.machine.get(name) != text
    ]
    lines += [
        f"{name}: {before.gateways[name].version} before, {facts.version} after"
        for name, facts in after.gateways.items()
        if name in before.gateways and before.gateways[name].version != facts.version
    ]
    if before.is_coarse or after.is_coarse:
        lines.append("Few or short visits: changes below 5 % are taken for noise.")
    return lines


def read(path: Path) -> Results:
    """
    Read what `bench/run.py --json` wrote.

    Raises:
        argparse.ArgumentTypeError: it did not write this.
    """
    try:
        return from_json(path.read_text())
    except (OSError, UnicodeDecodeError, FormatError) as error:
        raise argparse.ArgumentTypeError(f"{path}: {error}") from None


def main(arguments: Sequence[str] | None = None) -> int:
    options_parser = argparse.ArgumentParser(
        prog="bench/compare.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options_parser.add_argument("before", type=Path)
    options_parser.add_argument("after", type=Path)
    options_parser.add_argument(
        "--base",
        metavar="NAME",
        help="the yardstick (the first gateway that is the same in both); none: bare costs",
    )
    options = options_parser.parse_args(arguments)
    try:
        before, after = read(options.before), read(options.after)
    except argparse.ArgumentTypeError as error:
        options_parser.error(str(error))
    same = yardsticks(before, after)
    yardstick = options.base or (same[0] if same else None)
    if yardstick == "none":
        yardstick = None
    elif yardstick is not None and not {yardstick} <= {*before.gateways} & {*after.gateways}:
        options_parser.error(f"{yardstick} is not in both runs")
    print(render(before, after, yardstick), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
