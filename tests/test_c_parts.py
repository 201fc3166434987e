"""
The parts that an extension in C is made of: each can be read after those above it in the list.

``module.c`` of a folder is all that is compiled. Its head lists the folder's parts in their order.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from unittest import TestCase, skipIf

from tests.harness import REPOSITORY

FOLDERS = sorted(REPOSITORY.glob("orion_twisted/*/*_c"))
COMPILER = shutil.which("cc")
LISTED = re.compile(r"(?m)^ \*     (\w+\.h) +\S")
INCLUDED = re.compile(r'(?m)^#include "(.+)"$')
LONGEST = 300
"""Lines of a part. One that grows beyond that has a second idea in it."""


def parts() -> Iterator[tuple[Path, list[str]]]:
    """Yield each file, and the names of those that it may include."""
    for folder in FOLDERS:
        listed = LISTED.findall((folder / "module.c").read_text(encoding="utf-8"))
        yield folder / "module.c", listed
        for path in folder.glob("*.h"):
            yield path, listed[: listed.index(path.name)]


class PartTests(TestCase):
    """What is written at the head of ``module.c`` is so."""

    def test_all_are_listed(self) -> None:
        """The list has each part once, and nothing else is in the folder."""
        self.assertEqual([folder.name for folder in FOLDERS], ["wsframes_c", "pump_c"])
        for folder in FOLDERS:
            listed = LISTED.findall((folder / "module.c").read_text(encoding="utf-8"))
            found = [path.name for path in folder.iterdir()]
            self.assertEqual(sorted([*listed, "module.c"]), sorted(found))

    def test_each_needs_those_above_it(self) -> None:
        """No part includes one that comes after it, or one of another folder."""
        for path, above in parts():
            included = INCLUDED.findall(path.read_text(encoding="utf-8"))
            self.assertEqual([each for each in included if each not in above], [], path)

    def test_none_is_long(self) -> None:
        """A part is short enough to be read in one go."""
        for path, _ in parts():
            lines = path.read_text(encoding="utf-8").count("\n")
            self.assertLessEqual(lines, LONGEST, path)

    @skipIf(COMPILER is None and "CI" not in os.environ, "there is no compiler here")
    def test_each_by_itself(self) -> None:
        """A part names all that it needs: a compiler takes it without the others."""
        assert COMPILER is not None
        options = ("-std=c11", "-fsyntax-only", "-DPy_LIMITED_API=0x030B0000", "-x", "c")
        include = f"-I{sysconfig.get_path('include')}"
        for path, _ in parts():
            command = [COMPILER, *options, include, str(path)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stderr[-2000:])
