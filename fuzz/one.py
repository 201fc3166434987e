"""
One target under atheris: ``python -m fuzz.one TARGET [libFuzzer's options] [FOLDER or FILE]``.

With a file in place of a folder the target is given that input, once.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import atheris

INSTRUMENTED = ["orion_twisted", "fuzz", "h11", "autobahn.websocket", "twisted.web.http"]
"""What guides the fuzzer: the package, and the libraries that read strangers' bytes for it."""


def main() -> None:
    """Fuzz until the time is up, or until the target breaks."""
    name, *options = sys.argv[1:]
    with atheris.instrument_imports(include=INSTRUMENTED):
        target = import_module(f"fuzz.{name}")
    for folder in map(Path, options):
        if folder.is_dir():
            for number, seed in enumerate(target.SEEDS):
                (folder / f"seed-{number}").write_bytes(seed)
    atheris.Setup([sys.argv[0], *options], target.check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
