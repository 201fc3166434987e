"""
The package's C under sanitizers: ``python -m fuzz.sanitized``, or `make fuzz-c`.

First its tests, with extensions that AddressSanitizer and UndefinedBehaviorSanitizer watch; then,
where there is clang, libFuzzer with both for the codec (``wsframes_fuzz.c``), led by what is
reached of the C. What cannot be done here is left out with a line that says so.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

from attrs import frozen

from fuzz.__main__ import FOLDER, SHOWN, watch


@frozen
class Extension:
    """
    One of the package's extensions in C.

    Attributes:
        room: that of the package.
        name: of its folder there, without the end of it.
        tests: those that are about it.
    """

    room: str
    name: str
    tests: tuple[str, ...]

    @property
    def source(self) -> Path:
        """The file that is compiled: the others are parts of it."""
        return Path("orion_twisted", self.room, f"{self.name}_c", "module.c")

    @property
    def module(self) -> str:
        return f"orion_twisted.{self.room}._{self.name}"


HARNESS = Path("fuzz/wsframes_fuzz.c")
EXTENSIONS = {
    each.name: each
    for each in (
        Extension(
            "core",
            "wsframes",
            tuple(
                f"tests/core/test_wsframes.py::{name}Tests"
                for name in ("CFrameReader", "CLinkReader", "CMessageFrame", "Twin", "Extension")
            ),
        ),
        Extension(
            "net",
            "pump",
            (
                "tests/net/test_pump.py",
                "tests/service/test_pump.py::MessageTests",
                "tests/service/test_pump.py::PressureTests",
                "tests/service/test_pump.py::EndTests",
                "tests/service/test_pump.py::SessionTests",
                "tests/service/test_pump.py::SessionPressureTests",
                "tests/service/test_pump.py::SessionEndTests",
            ),
        ),
    )
}
LEFT_OUT = "not leaks and not announcement and not nothing_is_kept"
"""Tests that weigh memory, which sanitizers take much of."""

STRICT = (
    *("-std=c11", "-g", "-O1", "-fno-omit-frame-pointer", "-Wall", "-Wextra", "-Werror"),
    *("-fno-sanitize-recover=all", "-DPy_LIMITED_API=0x030B0000"),
)
SANITIZERS = "address,undefined"
TESTS_TIMEOUT = 600.0
"""Seconds; they take one minute."""


def main() -> int:
    """Return the exit status: 1 if anything is broken."""
    arguments = argparse.ArgumentParser(
        prog="fuzz.sanitized", description="Give the C its tests, and a fuzzer, under sanitizers."
    )
    arguments.add_argument("--seconds", type=int, default=10, help="for the fuzzer")
    arguments.add_argument("--tests-of", metavar="NAME", help=argparse.SUPPRESS)
    arguments.add_argument("--with", metavar="FILE", dest="built", help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.tests_of:
        return run_tests(EXTENSIONS[options.tests_of], options.built)
    FOLDER.mkdir(exist_ok=True)
    held = [*map(check_tests, EXTENSIONS.values()), check_fuzzer(options.seconds)]
    return 0 if all(held) else 1


def build(compiler: str, *arguments: str) -> str | None:
    """Run a compiler; return what it complains of if it fails."""
    include = f"-I{sysconfig.get_path('include')}"
    command = [compiler, *STRICT, include, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stderr[-SHOWN:] or "it gives no reason" if done.returncode else None


def left_out(what: str, why: str) -> bool:
    print(f"{what:14} left out: {why}", flush=True)
    return True


def broken(what: str, output: str) -> bool:
    print(f"{what:14} BROKEN\n{output[-SHOWN:]}", flush=True)
    return False


def environment() -> dict[str, str]:
    """Return variables with which sanitizers see each object of Python by itself."""
    return {
        **os.environ,
        "PYTHONMALLOC": "malloc",
        "PYTHONPATH": os.getcwd(),
        "ASAN_OPTIONS": "detect_leaks=0",  # Python keeps much until its end
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }


def check_tests(extension: Extension) -> bool:
    """Run the tests of an extension with one under sanitizers; say whether they hold."""
    name = f"{extension.name} tests"
    compiler = shutil.which("cc")
    if compiler is None:
        return left_out(name, "there is no C compiler")
    asking = [compiler, "-print-file-name=libasan.so"]
    found = subprocess.run(asking, capture_output=True, text=True, check=False).stdout.strip()
    if not os.path.isabs(found):
        return left_out(name, f"{compiler} has no AddressSanitizer to load into Python")
    built = str(FOLDER / f"{extension.name}.so")
    options = (f"-fsanitize={SANITIZERS}", "-fPIC", "-shared", str(extension.source))
    complaint = build(compiler, *options, "-o", built)
    if complaint is not None:
        return broken(name, complaint)
    began = time.monotonic()
    command = [sys.executable, "-m", "fuzz.sanitized", "--tests-of", extension.name]
    done = subprocess.run(
        [*command, "--with", built],
        env={**environment(), "LD_PRELOAD": found},
        capture_output=True,
        text=True,
        errors="replace",
        timeout=TESTS_TIMEOUT,
        check=False,
    )
    if done.returncode:
        return broken(name, done.stdout + done.stderr)
    print(f"{name:14} held   {time.monotonic() - began:4.0f} s", flush=True)
    return True


def run_tests(extension: Extension, built: str) -> int:
    """Run the tests of an extension with another build of it in its place."""
    import pytest

    spec = importlib.util.spec_from_file_location(extension.module, built)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules[extension.module] = module
    options = ("--quiet", "-p", "no:cacheprovider", "-k", LEFT_OUT)
    return int(pytest.main([*options, *extension.tests]))


def check_fuzzer(seconds: int) -> bool:
    """Run libFuzzer on the C; say whether it holds."""
    name = "wsframes in C"
    clang = shutil.which("clang")
    if clang is None:
        return left_out(name, "there is no clang")
    sources = (EXTENSIONS["wsframes"].source, HARNESS)
    objects = [str(FOLDER / f"{source.stem}.o") for source in sources]
    for source, made in zip(sources, objects, strict=True):
        complaint = build(
            clang, f"-fsanitize=fuzzer-no-link,{SANITIZERS}", "-c", str(source), "-o", made
        )
        if complaint is not None:
            return broken(name, complaint)
    program = FOLDER / "wsframes_fuzz"
    complaint = build(
        clang, f"-fsanitize=fuzzer,{SANITIZERS}", *objects, *libpython(), "-o", str(program)
    )
    if complaint is not None:
        return left_out(name, f"it cannot be linked with libFuzzer and Python:\n{complaint}")
    corpus = FOLDER / "wsframes-c"
    corpus.mkdir(exist_ok=True)
    from fuzz.wsframes import SEEDS

    for number, seed in enumerate(SEEDS):
        (corpus / f"seed-{number}").write_bytes(seed)
    others = FOLDER / "wsframes"  # what the target in Python has learned
    command = [
        str(program),
        f"-max_total_time={seconds}",
        f"-artifact_prefix={FOLDER}/wsframes-c-",
        *("-timeout=10", "-rss_limit_mb=2048", "-max_len=4096", "-detect_leaks=0"),
        str(corpus),
        *([str(others)] if others.is_dir() else []),
    ]
    return watch(name, command, seconds, environment())


def libpython() -> list[str]:
    """Return the linker's arguments for the library of this Python."""
    folder = sysconfig.get_config_var("LIBDIR")
    version = sysconfig.get_config_var("LDVERSION")
    libraries = (sysconfig.get_config_var("LIBS") or "").split()
    return [f"-L{folder}", f"-Wl,-rpath,{folder}", f"-lpython{version}", *libraries, "-lm"]


if __name__ == "__main__":
    sys.exit(main())
