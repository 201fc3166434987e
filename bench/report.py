"""What a run came to: as a table for people, and as JSON for `bench/compare.py`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import cattrs

from bench.figures import Results, Series, Spread

FORMAT = 1


class FormatError(Exception):
    """A file is not of a run, or of a version that this one cannot read."""


def to_json(results: Results) -> str:
    """Return a run as JSON; medians are in it for whoever reads it with other tools."""
    document: dict[str, Any] = {"format": FORMAT, **cattrs.unstructure(results)}
    for entry, series in zip(document["series"], results.series, strict=True):
        if (cost := series.cost) is not None:
            entry |= {"median": cost.median, "least": cost.least, "most": cost.most}
    return json.dumps(document, indent=1) + "\n"


def from_json(text: str) -> Results:
    """
    Return the run that `to_json` wrote down.

    Raises:
        FormatError: it is none.
    """
    try:
        document = json.loads(text)
        if document.pop("format") != FORMAT:
            raise FormatError(f"it is not of format {FORMAT}")
        return cattrs.structure(document, Results)
    except (ValueError, KeyError, TypeError, AttributeError, cattrs.BaseValidationError):
        raise FormatError("it is not the result of a run") from None


def number(value: float) -> str:
    """Return a figure with three digits that mean something."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def ratio_text(value: float) -> str:
    """Return a ratio with two decimals, as long as they mean something."""
    return f"{value:.2f}" if value < 10 else number(value)


def visits_text(results: Results) -> str:
    """Return how often and how long each gateway was visited."""
    visits = "1 visit" if results.repeat == 1 else f"{results.repeat} visits"
    return f"{visits} of {results.seconds:g} s"


def _range(spread: Spread) -> str:
    return f"{number(spread.least)}..{number(spread.most)}"


def table(rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """
    Return rows as lines: columns of one width, two blanks between them.

    Args:
        rows: the first one is the head.
        left: how many columns begin at the left; the others end at the right.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if index < left else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def render(results: Results) -> str:
    """Return a run as text: a table for each scenario, all ratios together, and what to know."""
    lines = [f"{name}: {text}" for name, text in results.machine.items()]
    lines += ["", *_gateways(results)]
    for name in results.scenarios:
        lines += ["", *_scenario(results, name)]
    if len(results.gateways) > 1:
        lines += ["", *_ratios(results)]
    return "\n".join([*lines, "", *_remarks(results), ""])


def _gateways(results: Results) -> list[str]:
    rows = [["gateway", "what it is", "version", "TLS"]]
    rows += [
        [name, facts.about, facts.version, facts.tls] for name, facts in results.gateways.items()
    ]
    return table(rows, left=4)


def _scenario(results: Results, name: str) -> list[str]:
    facts = results.scenarios[name]
    base = results.base_of(name)
    rows = [["  gateway", facts.unit, "min..max", "ratio", "min..max", "per second", "busy"]]
    for series in results.of_scenario(name):
        cost = series.cost
        if cost is None:
            rows.append([f"  {series.gateway}", "dropped", "", "", "", "", ""])
            continue
        ratio = series.ratio(base) if base is not None else None
        rows.append(
            [
                f"  {series.gateway}",
                number(cost.median),
                _range(cost),
                ratio_text(ratio.median) if ratio else "",
                f"{ratio_text(ratio.least)}..{ratio_text(ratio.most)}" if ratio else "",
                *_rate(series),
            ]
        )
    return [f"{name}: {facts.about}", *table(rows)]


def _rate(series: Series) -> tuple[str, str]:
    kept = [each for each in series.visits if each.cost is not None]
    rate = Spread.of(each.rate for each in kept)
    busy = Spread.of(each.busy for each in kept)
    if rate is None or busy is None or not rate.median:
        return "", ""
    return number(rate.median), f"{busy.median:.0%}"


def _ratios(results: Results) -> list[str]:
    """Return the cost of every gateway in every scenario, as ratios to the base."""
    rows = [[f"ratio to {results.base}", *results.scenarios]]
    for gateway in results.gateways:
        row = [f"  {gateway}"]
        for scenario in results.scenarios:
            series, base = results.find(scenario, gateway), results.base_of(scenario)
            ratio = series.ratio(base) if series and base else None
            row.append(ratio_text(ratio.median) if ratio else "-")
        rows.append(row)
    return table(rows)


def _remarks(results: Results) -> list[str]:
    lines = [
        "Cost: user and system time of the gateway's processes (memory for idle), every reply",
        f"checked; medians of {visits_text(results)}. Below 1.00 is cheaper than {results.base}.",
        "Where a gateway is not busy, the load was the limit: each message paid for a wake-up.",
    ]
    if results.is_coarse:
        lines.append("Few or short visits: differences below 5 % mean nothing.")
    others = results.others
    if others is not None and others.most > 0:
        lines.append(
            f"Other processes took {others.median:.0%} of these CPUs"
            f" ({others.least:.0%}..{others.most:.0%})."
        )
    lines += [f"{name} is left out: {why}" for name, why in results.skipped.items()]
    lines += [f"{gateway} has no part in {name}: {why}" for name, gateway, why in results.left_out]
    lines += [
        f"{series.gateway}, {series.scenario}: dropped: {why}"
        for series in results.series
        for why in series.dropped
    ]
    return lines
