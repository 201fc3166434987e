"""
The targets of `make fuzz` hold for their seeds and for what hypothesis makes of them.

No fuzzer is needed for that, so that a target is mended together with what it looks at.
"""

import ast
import io
import os
import re
import sys
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from unittest import TestCase
from unittest.mock import patch

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz import TARGETS, sanitized
from fuzz import __main__ as runner

FOLDER = Path(runner.__file__).parent
MAKEFILE = FOLDER.parent / "Makefile"


def tops(path: Path) -> set[str]:
    """Return the names of a module's own functions and values."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names.update(each.id for each in node.targets if isinstance(each, ast.Name))
    return names


@st.composite
def altered(draw: st.DrawFn, seeds: tuple[bytes, ...]) -> bytes:
    """Draw a seed that is cut, repeated, or has some other bytes in it."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(0, 3))):
        begin = draw(st.integers(0, len(data)))
        end = draw(st.integers(begin, min(len(data), begin + 20)))
        data[begin:end] = draw(st.binary(max_size=6) | st.just(bytes(data[begin:end] * 2)))
    return bytes(data)


def hold(target: ModuleType) -> None:
    """Give a target some bytes, most of them almost right."""

    @settings(
        deadline=None,
        max_examples=60,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(st.binary(max_size=200) | altered(target.SEEDS))
    def check(data: bytes) -> None:
        target.check(data)

    check()


class TargetTests(TestCase):
    """What each target says of the package is so."""

    def test_each_is_named(self) -> None:
        """A module with a check and seeds is a target, and the fuzzer runs it."""
        found = {path.stem for path in FOLDER.glob("*.py") if tops(path) >= {"check", "SEEDS"}}
        self.assertEqual(found, set(TARGETS))
        self.assertEqual(len(TARGETS), len(set(TARGETS)))

    def test_seeds(self) -> None:
        """Every target holds for its own seeds, and needs no fuzzer for that."""
        for name in TARGETS:
            target = import_module(f"fuzz.{name}")
            for number, seed in enumerate(target.SEEDS):
                with self.subTest(name, number=number):
                    target.check(seed)
        self.assertNotIn("atheris", sys.modules)

    def test_anything(self) -> None:
        """Every target holds for any bytes, and for seeds that are not quite what they were."""
        for name in TARGETS:
            target = import_module(f"fuzz.{name}")
            with self.subTest(name):
                hold(target)


class RunnerTests(TestCase):
    """`python -m fuzz`, with a program of a few lines in place of the fuzzer."""

    def run_with(self, program: str, *arguments: str) -> tuple[int, str]:
        """Return the runner's exit status, and what it prints."""
        folder = Path(self.enterContext(TemporaryDirectory()))
        python = folder / "python"
        python.write_text(f"#!/bin/sh\n{program}\n")
        python.chmod(0o755)
        printed = io.StringIO()
        with (
            patch.object(runner, "FOLDER", folder),
            patch.object(runner, "SPARE", 1),
            patch.object(sys, "executable", str(python)),
            patch.object(sys, "argv", ["fuzz", *arguments]),
            redirect_stdout(printed),
        ):
            return runner.main(), printed.getvalue()

    def test_held(self) -> None:
        """Each target that is named has a line with what the fuzzer has tried."""
        program = "echo '#12\tNEW    cov: 3 ft: 4 corp: 5/6b lim: 4' >&2"
        status, printed = self.run_with(program, "heads", "names", "--seconds=1")
        self.assertEqual(status, 0)
        self.assertEqual(
            [line.split() for line in printed.splitlines()],
            [
                f"{name} held 0 s 12 inputs 3 edges 4 features 5 kept".split()
                for name in ("heads", "names")
            ],
        )

    def test_broken(self) -> None:
        """A target that breaks is named, with the reason, and the others are run all the same."""
        program = "case $3 in heads) echo '#7\tNEW'; echo AssertionError: why >&2; exit 77; esac"
        status, printed = self.run_with(program, "heads", "names", "--seconds=1")
        self.assertEqual(status, 1)
        self.assertRegex(printed, r"(?s)heads +BROKEN.*\nAssertionError: why\n.*\nnames +held")
        self.assertNotIn("#7", printed)
        self.assertTrue(printed.endswith("broken: heads\n"))

    def test_stuck(self) -> None:
        """A target that does not end is ended, and counts as broken."""
        status, printed = self.run_with("exec sleep 60", "heads", "--seconds=0")
        self.assertEqual(status, 1)
        self.assertIn("still running", printed)

    def test_no_such_target(self) -> None:
        """A name that is no target's is refused before anything runs."""
        with self.assertRaises(SystemExit), patch("sys.stderr", io.StringIO()) as told:
            self.run_with("exit 1", "heads", "nothing")
        self.assertIn("no such target: nothing", told.getvalue())

    def test_duration(self) -> None:
        """`make fuzz` as it stands takes about three minutes."""
        found = re.search(r"^SECONDS \?= (\d+)$", MAKEFILE.read_text(), re.MULTILINE)
        assert found is not None
        self.assertLessEqual(int(found[1]) * len(TARGETS), 180)


class SanitizedTests(TestCase):
    """`python -m fuzz.sanitized`, with programs of a few lines in place of compilers."""

    def run_with(self, **compilers: str) -> tuple[int, str]:
        """Return the exit status, and what is printed, where there are only these compilers."""
        folder = Path(self.enterContext(TemporaryDirectory()))
        for name, program in compilers.items():
            (folder / name).write_text(f"#!/bin/sh\n{program}\n")
            (folder / name).chmod(0o755)
        printed = io.StringIO()
        with (
            patch.object(sanitized, "FOLDER", folder),
            patch.dict(os.environ, PATH=str(folder)),
            patch.object(sys, "argv", ["sanitized", "--seconds=0"]),
            redirect_stdout(printed),
        ):
            return sanitized.main(), printed.getvalue()

    def test_no_compilers(self) -> None:
        """Where there is nothing to compile with, lines say so, and that is no failure."""
        status, printed = self.run_with()
        self.assertEqual(status, 0)
        self.assertEqual(
            printed.splitlines(),
            [
                "wsframes tests left out: there is no C compiler",
                "pump tests     left out: there is no C compiler",
                "wsframes in C  left out: there is no clang",
            ],
        )

    def test_no_sanitizers(self) -> None:
        """Nor is a compiler without its sanitizers, or a Python that cannot be linked with."""
        links = 'case "$*" in *-c*) ;; *) echo cannot find -lpython >&2; exit 1; esac'
        status, printed = self.run_with(cc="echo libasan.so", clang=links)
        self.assertEqual(status, 0)
        self.assertRegex(printed, r"^wsframes tests left out: .*/cc has no AddressSanitizer")
        self.assertRegex(printed, r"wsframes in C  left out: [^\n]*linked[^\n]*\ncannot find")

    def test_does_not_compile(self) -> None:
        """C that the compilers complain of is broken, and what they say is shown."""
        program = (
            'case "$1" in -print*) echo /lib/libasan.so;; *) echo warning: why >&2; exit 1; esac'
        )
        status, printed = self.run_with(cc=program, clang=program)
        self.assertEqual(status, 1)
        self.assertEqual(printed.count("BROKEN\nwarning: why"), 3)

    def test_broken(self) -> None:
        """Tests that fail under sanitizers, or a fuzzer that finds something, are told."""
        cc = 'case "$1" in -print*) echo /none/libasan.so; esac'
        clang = """
            while [ "$1" != -o ]; do shift; done
            printf '#!/bin/sh\\necho AddressSanitizer: why; exit 77\\n' > "$2"
            /bin/chmod +x "$2"
        """
        status, printed = self.run_with(cc=cc, clang=clang)
        self.assertEqual(status, 1)
        self.assertRegex(
            printed, r"(?s)wsframes tests BROKEN.*pump tests     BROKEN.*wsframes in C  BROKEN"
        )
        self.assertIn("AddressSanitizer: why", printed)
