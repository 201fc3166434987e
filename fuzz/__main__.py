"""
Run targets, one after the other, each in a process of its own: ``python -m fuzz [TARGET]...``.

What a target has learned is kept in ``.fuzz/TARGET``, and is where its next run begins. An input
that breaks it is kept beside that folder; ``python -m fuzz.one TARGET FILE`` shows what it does.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from pathlib import Path

from fuzz import TARGETS

FOLDER = Path(".fuzz")
SPARE = 60
"""Seconds that a target may take beyond its time, for its start and its last input."""
SHOWN = 4000
"""Characters of a broken target's output."""

PROGRESS = re.compile(r"^#(\d+)\s.* cov: (\d+) ft: (\d+) corp: (\d+)/", re.MULTILINE)
CHATTER = re.compile(r"^(#\d+\s|INFO: |WARNING: Failed to find function|stat::).*\n", re.MULTILINE)
"""What libFuzzer says beside what has broken."""


def main() -> int:
    """Return the exit status: 1 if a target is broken."""
    arguments = argparse.ArgumentParser(
        prog="fuzz", description="Fuzz what reads strangers' bytes."
    )
    arguments.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(TARGETS))
    arguments.add_argument("--seconds", type=int, default=10, help="for each target")
    options = arguments.parse_args()
    unknown = set(options.targets) - set(TARGETS)
    if unknown:
        arguments.error(f"no such target: {', '.join(sorted(unknown))}")
    broken = [name for name in options.targets or TARGETS if not run(name, options.seconds)]
    if broken:
        print(f"broken: {', '.join(broken)}")
    return 1 if broken else 0


def run(name: str, seconds: int) -> bool:
    """Run a target for so many seconds, and print a line; say whether it held."""
    corpus = FOLDER / name
    corpus.mkdir(parents=True, exist_ok=True)
    command = [
        *(sys.executable, "-m", "fuzz.one", name),
        f"-max_total_time={seconds}",
        f"-artifact_prefix={FOLDER}/{name}-",
        *("-timeout=10", "-rss_limit_mb=1024", "-max_len=4096", "-print_final_stats=1"),
        str(corpus),
    ]
    return watch(name, command, seconds)


def watch(
    name: str, command: list[str], seconds: int, environment: dict[str, str] | None = None
) -> bool:
    """Run a fuzzer that ends by itself, and print a line; say whether what it tried has held."""
    began = time.monotonic()
    try:
        done = subprocess.run(
            command,
            env=environment,
            capture_output=True,
            timeout=seconds + SPARE,
            check=False,
            text=True,
            errors="replace",
        )
        output, held = done.stdout + done.stderr, done.returncode == 0
    except subprocess.TimeoutExpired:
        output, held = f"still running {SPARE} s after its time", False
    progress = PROGRESS.findall(output)
    inputs, edges, features, kept = progress[-1] if progress else ("0", "0", "0", "0")
    took = time.monotonic() - began
    print(
        f"{name:14} {'held' if held else 'BROKEN':6} {took:4.0f} s {int(inputs):>10,} inputs"
        f" {int(edges):>6,} edges {int(features):>6,} features {int(kept):>5,} kept",
        flush=True,
    )
    if not held:
        print(CHATTER.sub("", output)[-SHOWN:], flush=True)
    return held


if __name__ == "__main__":
    sys.exit(main())
