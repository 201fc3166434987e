"""Measure what a message costs in this gateway and in others, on the same work, in one run."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

if not __package__:  # started as a file: its folder is first on the path, not the checkout
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from attrs import evolve

from bench import chart, machine, report
from bench.catalogue import GATEWAYS, Orion
from bench.gateways import Gateway
from bench.rounds import Plan, Run, tell_on_stderr
from bench.scenarios import SCENARIOS

T = TypeVar("T")

SHORT = "rr-64,rr-16k,pipe-64,bulk-1m,fan-64,storm,idle"
"""The scenarios of a short run: what the others show lies between these."""

DEFAULT_LEFT_OUT = {"orion-tunnel", "orion-workers", "autobahn"}
"""Gateways that are measured only when they are named."""

EPILOG = """\
What is measured: user and system time of a gateway's processes, for each message that goes to the
backend and whose reply comes back (for each MiB in bulk, each connection in storm), and KiB of
memory (PSS) for each idle connection. Each reply is checked; a visit that loses a connection or
gets a wrong reply is dropped, and that is said. Only ratios within one run mean anything: the same
build differs by a fifth from one run to the next.

%(scenarios)s

%(gateways)s

Examples:
  python bench/run.py                                        everything, about half an hour
  python bench/run.py --short                                the main scenarios, 3 to 4 minutes
  python bench/run.py --scenarios rr-64,pipe-64 --gateways orion,picows,node
  python bench/run.py --json after.json && python bench/compare.py before.json after.json
  python bench/run.py --checkout main=../main --gateways orion,main --base main
"""


def names_in(text: str, known: Mapping[str, T], what: str) -> list[T]:
    """
    Return what the names in a list stand for, in the order of the list.

    Raises:
        argparse.ArgumentTypeError: a name is not known.
    """
    found = []
    for name in filter(None, (each.strip() for each in text.split(","))):
        if name not in known:
            raise argparse.ArgumentTypeError(
                f"there is no {what} {name!r}; there are {', '.join(known)}"
            )
        found.append(known[name])
    if not found:
        raise argparse.ArgumentTypeError(f"no {what} is named")
    return found


def _listing(title: str, lines: Mapping[str, str]) -> str:
    width = max(map(len, lines))
    return "\n".join([title, *(f"  {name:{width}}  {about}" for name, about in lines.items())])


def _positive(kind: type[Any]) -> Any:
    def convert(text: str) -> Any:
        value = kind(text)
        if not value > 0:
            raise argparse.ArgumentTypeError("it has to be above 0")
        return value

    convert.__name__ = kind.__name__  # argparse says "invalid float value"
    return convert


def _share(text: str) -> float:
    with suppress(ValueError):
        if 0 < (share := float(text)) < 1:
            return share
    raise argparse.ArgumentTypeError("it has to be between 0 and 1")


def _checkout(text: str) -> tuple[str, Path]:
    name, _, folder = text.partition("=")
    path = Path(folder).resolve()
    if not name or name in GATEWAYS or not (path / "orion_twisted").is_dir():
        raise argparse.ArgumentTypeError("it is NAME=FOLDER, a new name and a checkout of this")
    return name, path


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line; its help teaches."""
    scenarios = {name: f"{each.unit:15} {each.about}" for name, each in SCENARIOS.items()}
    gateways = {
        name: each.about + (" (only if named)" if name in DEFAULT_LEFT_OUT else "")
        for name, each in GATEWAYS.items()
    }
    epilog = EPILOG % {
        "scenarios": _listing("Scenarios:", scenarios),
        "gateways": _listing("Gateways (one that is not on this machine is left out):", gateways),
    }
    options = argparse.ArgumentParser(
        prog="bench/run.py",
        description=__doc__,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = options.add_argument
    add("--scenarios", metavar="NAME,...", help="which, and in which order (all)")
    add("--gateways", metavar="NAME,...", help="which, and in which order (all)")
    add("--base", metavar="NAME", help="the gateway that ratios are to (the first one)")
    add("--seconds", type=_positive(float), help="of one visit (2)")
    add("--repeat", type=_positive(int), help="visits of each gateway in each scenario (5)")
    add("--short", action="store_true", help=f"a look, no decision: 3 visits of 0.5 s, {SHORT}")
    add("--json", type=Path, metavar="FILE", help="write all figures there")
    add("--svg", type=Path, metavar="FILE", help="write a chart there")
    add(
        "--checkout",
        type=_checkout,
        action="append",
        default=[],
        metavar="NAME=FOLDER",
        help="one more gateway: this one as it is in another checkout",
    )
    add(
        "--real-time",
        action="store_true",
        help="put the run before all other processes of the machine (root; they will notice)",
    )
    add(
        "--share",
        type=_share,
        metavar="SHARE",
        help="let each process of a gateway run for so much of the time, such as 0.3: so several"
        " workers show what they bring where cores are few",
    )
    add("--same-network", action="store_true", help="do not enter a network namespace")
    return options


def plan_of(options: argparse.Namespace, cpus: machine.Cpus) -> Plan:
    """
    Return what the command line asks for.

    Raises:
        argparse.ArgumentTypeError: it names what there is not.
    """
    known: dict[str, Gateway] = dict(GATEWAYS)
    orion = GATEWAYS["orion"]
    assert isinstance(orion, Orion)
    for name, folder in options.checkout:
        about = f"this gateway, relay mode, of {folder.name}"
        known[name] = evolve(orion, name=name, about=about, checkout=folder)
    every = ",".join(name for name in known if name not in DEFAULT_LEFT_OUT)
    gateways = names_in(options.gateways or every, known, "gateway")
    base = options.base or gateways[0].name
    names_in(base, {each.name: each for each in gateways}, "gateway in this run called")
    repeat = options.repeat or (3 if options.short else 5)
    scenarios = SHORT if options.short else ",".join(SCENARIOS)
    return Plan(
        gateways=gateways,
        scenarios=names_in(options.scenarios or scenarios, SCENARIOS, "scenario"),
        seconds=options.seconds or (0.5 if options.short else 2.0),
        repeat=repeat,
        repeat_memory=1 if options.short else min(repeat, 3),
        base=base,
        cpus=cpus,
        real_time=options.real_time,
        share=options.share,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return the exit status: 1 if there is nothing to report."""
    options_parser = parser()
    options = options_parser.parse_args(arguments)
    cpus = machine.Cpus.choose()
    try:
        plan = plan_of(options, cpus)
    except argparse.ArgumentTypeError as error:
        options_parser.error(str(error))
    machine.allow_files()
    has_network = not options.same_network and machine.leave_network()
    machine.take_cpu(cpus.load, real_time=options.real_time)
    facts = machine.describe(cpus, has_network=has_network, real_time=options.real_time)
    if plan.share is not None:
        facts["each process runs"] = f"{plan.share:.0%} of the time"
    with Run(plan, tell_on_stderr) as run:
        results = run.results(facts)
    print(report.render(results), end="")
    if options.json:
        options.json.write_text(report.to_json(results))
    if options.svg:
        options.svg.write_text(chart.render(results))
    return 0 if any(series.cost for series in results.series) else 1


if __name__ == "__main__":
    sys.exit(main())
