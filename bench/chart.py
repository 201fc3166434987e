"""
A run as a picture, in SVG: how much dearer or cheaper than the base each gateway is.

One panel for each scenario; the way from 1.00 to a ratio is drawn on a logarithmic scale, so that
twice as dear and half as dear are equally long, with the spread as a thin line.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from html import escape

from bench.figures import Results, ScenarioFacts, Spread
from bench.report import number, ratio_text, visits_text

COLUMNS = 3
PANEL_WIDTH, NAME_WIDTH, VALUE_WIDTH = 316, 104, 56
ROW, HEAD, GAP = 20, 44, 26
MARGIN, TITLE = 24, 44
AT_END = f'x="{PANEL_WIDTH}" text-anchor="end"'
LONGEST = 10.0
"""The ratio at the ends of the scale; what is beyond is drawn there, and its figure tells."""

STYLE = """\
    text { fill: #334155 }
    .ground { fill: #f8fafc }
    .title { font-size: 15px; font-weight: 600; fill: #0f172a }
    .scenario { font-weight: 600; fill: #0f172a }
    .note { font-size: 11px; fill: #64748b }
    .base { font-weight: 600 }
    .one { stroke: #94a3b8 }
    .tenfold { stroke: #e2e8f0 }
    .cheaper { stroke: #0f766e; fill: #0f766e }
    .dearer { stroke: #b45309; fill: #b45309 }
    .way { stroke-width: 5 }
    .spread { stroke-width: 1 }
"""


def position(ratio: float) -> float:
    """Return where a ratio lies on the scale, from 0 to 1; 1.00 is in the middle."""
    share = math.log(ratio) / math.log(LONGEST)
    return (max(-1.0, min(1.0, share)) + 1) / 2


def render(results: Results) -> str:
    """Return a run as an SVG document."""
    names = [name for name in results.scenarios if results.base_of(name)]
    rows = [names[at : at + COLUMNS] for at in range(0, len(names), COLUMNS)]
    width = 2 * MARGIN + COLUMNS * PANEL_WIDTH + (COLUMNS - 1) * GAP
    body: list[str] = []
    top = MARGIN + TITLE
    for row in rows:
        heights = [HEAD + ROW * len(results.of_scenario(name)) for name in row]
        for column, name in enumerate(row):
            left = MARGIN + column * (PANEL_WIDTH + GAP)
            body.append(f'  <g transform="translate({left} {top})">')
            body += _panel(results, name, results.scenarios[name])
            body.append("  </g>")
        top += max(heights) + GAP
    base = escape(results.base)
    title = f"Cost of each gateway, as a ratio to {base}"
    visits = f"medians of {visits_text(results)}"
    cpu = escape(results.machine.get("cpu", ""))
    note = f"left of the line is cheaper, right is dearer; {visits}; thin lines: all visits; {cpu}"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top}"'
            ' font-family="system-ui, sans-serif" font-size="12.5" role="img"'
            f' aria-label="{title}">',
            f"  <style>\n{STYLE}  </style>",
            f'  <rect class="ground" width="{width}" height="{top}"/>',
            f'  <text class="title" x="{MARGIN}" y="{MARGIN + 12}">{title}</text>',
            f'  <text class="note" x="{MARGIN}" y="{MARGIN + 30}">{note}</text>',
            *body,
            "</svg>",
            "",
        ]
    )


def _panel(results: Results, name: str, facts: ScenarioFacts) -> Iterator[str]:
    scale = PANEL_WIDTH - NAME_WIDTH - VALUE_WIDTH
    series = results.of_scenario(name)
    base = results.base_of(name)
    assert base is not None
    assert base.cost is not None
    bottom = HEAD + ROW * len(series)
    yield f'    <text class="scenario" y="14">{escape(name)}</text>'
    cost = f"1.00 = {number(base.cost.median)} {facts.unit}"
    yield f'    <text class="note" {AT_END} y="14">{escape(cost)}</text>'
    yield f'    <text class="note" y="30">{escape(facts.about)}</text>'
    for share, kind in ((0.0, "tenfold"), (0.5, "one"), (1.0, "tenfold")):
        x = NAME_WIDTH + share * scale
        yield f'    <path class="{kind}" d="M{x:.1f} {HEAD - 6}V{bottom}"/>'
    for index, each in enumerate(series):
        middle = HEAD + ROW * index + ROW / 2
        style = ' class="base"' if each is base else ""
        yield f'    <text{style} y="{middle + 4:g}">{escape(each.gateway)}</text>'
        ratio = each.ratio(base)
        text = ratio_text(ratio.median) if ratio else "dropped"
        yield f'    <text{style} {AT_END} y="{middle + 4:g}">{text}</text>'
        if ratio:
            yield from _mark(ratio, middle, scale)


def _mark(ratio: Spread, y: float, scale: int) -> Iterator[str]:
    """Draw the way from 1.00 to a ratio, and its spread."""
    one, end, least, most = (
        NAME_WIDTH + position(each) * scale
        for each in (1.0, ratio.median, ratio.least, ratio.most)
    )
    kind = "cheaper" if ratio.median <= 1 else "dearer"
    yield f'    <path class="{kind} way" d="M{one:.1f} {y:g}H{end:.1f}"/>'
    yield f'    <path class="{kind} spread" d="M{least:.1f} {y:g}H{most:.1f}"/>'
    yield f'    <circle class="{kind}" cx="{end:.1f}" cy="{y:g}" r="3.5"/>'
