"""
What is built installs, and works, where nothing else of this project is.

The distributions are built from a copy of the checkout, once; environments are made when the first
test asks for them. Every command runs elsewhere, without PYTHONPATH.
"""

import atexit
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path, PurePosixPath
from unittest import TestCase

from orion_twisted import __version__
from orion_twisted.demo.run import EDITOR, is_built
from tests.documents import CHECKOUT, all_pages
from tests.harness import needs_pages

A_SECRET = "a key that must not leave the machine"
NO_SOURCE = shutil.ignore_patterns(
    ".*", "__pycache__", "*.so", "*.egg-info",
    "build", "dist", "demo-data", "certs", "dropin.cache", "node_modules",
)  # fmt: skip
EXTENSION = re.compile(r"orion_twisted/(core/_wsframes|net/_pump)\.[\w.-]+\.so")
LISTED = re.compile(r"(?m)^ +orion-bridge ")
"""The plugin, in what `twistd --help` prints."""

PLUGINS = {"twisted/plugins/orion_bridge.py", "twisted/plugins/orion_reactor.py"}

TIMEOUT = 300.0
"""Seconds for one command; only a failing test ever waits so long."""


def run(command: Sequence[str], folder: Path, path: Path | None = None, **more: str) -> str:
    """
    Run a command with nothing of this checkout in its environment.

    Args:
        command: the program and its arguments.
        folder: where to run it.
        path: a folder of programs that come before those of the system.
        more: further environment variables.

    Returns:
        What it printed to its standard output.

    Raises:
        AssertionError: it did not exit with 0; what it printed is told.
    """
    ours = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    environment = {key: value for key, value in os.environ.items() if key not in ours}
    if path is not None:
        environment["PATH"] = f"{path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command,
        cwd=folder,
        env={**environment, **more},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    if done.returncode != 0:
        printed = f"{done.stdout[-4000:]}{done.stderr[-4000:]}"
        raise AssertionError(f"exit status {done.returncode} of {command}\n{printed}")
    return done.stdout


class Environment:
    """An empty virtual environment, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.programs = folder / "venv" / "bin"
        folder.mkdir()
        run([sys.executable, "-m", "venv", str(folder / "venv")], folder)

    def run(self, program: str, *arguments: str, folder: Path | None = None, **more: str) -> str:
        """Run a program of this environment; the other arguments are those of `run`."""
        command = [str(self.programs / program), *arguments]
        return run(command, folder or self.folder, self.programs, **more)

    def pip(self, *arguments: str) -> None:
        self.run("pip", "--quiet", "--disable-pip-version-check", *arguments)


class Workshop:
    """What the tests share: each part is made once, by the first who asks for it."""

    @cached_property
    def folder(self) -> Path:
        folder = tempfile.TemporaryDirectory(prefix="orion-packaging-")
        atexit.register(folder.cleanup)
        return Path(folder.name)

    @cached_property
    def source(self) -> Path:
        """A copy of the checkout, in which somebody has made certificates."""
        source = self.folder / "source"
        names = _files_of_the_checkout()
        if names is None:
            shutil.copytree(CHECKOUT, source, ignore=NO_SOURCE)
        else:
            for name in names:
                (source / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(CHECKOUT / name, source / name)
        if is_built():
            # Git leaves them alone, but `make build` builds them first.
            shutil.copytree(EDITOR, source / EDITOR.relative_to(CHECKOUT), dirs_exist_ok=True)
        (source / "certs").mkdir(exist_ok=True)
        for name in ("ca.key", "localhost.pem"):
            (source / "certs" / name).write_text(A_SECRET)
        return source

    @cached_property
    def distributions(self) -> Path:
        """The folder of what `python -m build` has built."""
        distributions = self.folder / "dist"
        command = [sys.executable, "-m", "build", "--outdir", str(distributions)]
        run(command, self.source)
        return distributions

    @cached_property
    def sdist(self) -> Path:
        (sdist,) = self.distributions.glob("*.tar.gz")
        return sdist

    @cached_property
    def wheel(self) -> Path:
        """It is built from the sdist, not from the checkout: so does `python -m build`."""
        (wheel,) = self.distributions.glob("*.whl")
        return wheel

    @cached_property
    def new(self) -> Environment:
        """An environment with nothing in it, until a test follows the install instructions."""
        return Environment(self.folder / "new")

    @cached_property
    def dependencies(self) -> Environment:
        """An environment with all that the gateway needs, but without the gateway."""
        environment = Environment(self.folder / "dependencies")
        environment.pip("install", str(self.wheel))
        environment.pip("uninstall", "--yes", "orion-twisted")
        return environment


def _files_of_the_checkout() -> list[str] | None:
    """Return the paths of files that are in git or could be; None where there is no git."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return [name for name in listed.stdout.split("\0") if name and (CHECKOUT / name).is_file()]


workshop = Workshop()


def packaged_files() -> set[str]:
    """Return the paths of all files that make up the package, from the source's folder."""
    package = (workshop.source / "orion_twisted").rglob("*")
    files = {
        path.relative_to(workshop.source).as_posix()
        for path in package
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".so"
    }
    return {*files, *PLUGINS}


class WheelTests(TestCase):
    """The wheel has what the gateway is, and nothing else."""

    def setUp(self) -> None:
        with zipfile.ZipFile(workshop.wheel) as wheel:
            self.content = {name: wheel.read(name) for name in wheel.namelist()}
        self.files = {name for name in self.content if ".dist-info/" not in name}

    def test_exactly_the_package(self) -> None:
        """Modules, console page and type mark are in; tests, certificates and C are not."""
        compiled = {name for name in self.files if EXTENSION.fullmatch(name)}
        self.assertEqual(len(compiled), 2)
        sources = {name for name in packaged_files() if name.endswith((".c", ".h"))}
        self.assertEqual(packaged_files() - sources, self.files - compiled)
        for folder in ("core/wsframes_c", "net/pump_c"):
            self.assertIn(f"orion_twisted/{folder}/module.c", sources)
        self.assertIn("orion_twisted/py.typed", self.files)
        self.assertIn("orion_twisted/demo/console/index.html", self.files)
        self.assertIn("orion_twisted/demo/shop_pages/index.html", self.files)

    def test_the_web_editor(self) -> None:
        """The built editor is in, with the script that shops load and what is compressed."""
        if not is_built():
            needs_pages(self)
        pages = {name for name in self.files if name.startswith("orion_twisted/demo/pages/")}
        names = {name.removeprefix("orion_twisted/demo/pages/") for name in pages}
        built = {
            each.relative_to(EDITOR).as_posix() for each in EDITOR.rglob("*") if each.is_file()
        }
        self.assertEqual(names, built)
        scripts = {name for name in names if name.endswith((".js", ".css"))}
        self.assertLessEqual({"index.html", "embed.js"}, names)
        self.assertTrue(any(name.startswith("assets/") for name in scripts), names)
        self.assertLessEqual({f"{name}.gz" for name in scripts}, names)
        self.assertEqual([name for name in names if name.endswith((".ts", ".tsx"))], [])

    def test_one_for_all_pythons(self) -> None:
        """What was compiled keeps to the stable ABI: the wheel is for all Pythons from 3.11 on."""
        if not sysconfig.get_config_var("Py_GIL_DISABLED"):
            self.assertIn("-cp311-abi3-", workshop.wheel.name)

    def test_twisted_stays_twisteds(self) -> None:
        """The plugins lie beside Twisted's own, and do not make a second package of twisted."""
        ours = {name for name in self.files if name.startswith("twisted/")}
        self.assertEqual(PLUGINS, ours)

    def test_no_secrets(self) -> None:
        """A development key in the checkout goes into no wheel."""
        for name, content in self.content.items():
            self.assertNotIn(A_SECRET.encode(), content, name)

    def test_metadata(self) -> None:
        """pip knows the version, the oldest Python, the licence and the console script."""
        info = f"orion_twisted-{__version__}.dist-info"
        metadata = self.content[f"{info}/METADATA"].decode()
        for line in (f"Version: {__version__}", "Requires-Python: >=3.11", "# orion-twisted"):
            self.assertIn(line, metadata.splitlines())
        self.assertIn(f"{info}/licenses/LICENSE", self.content)
        scripts = self.content[f"{info}/entry_points.txt"].decode()
        self.assertIn("orion-bridge = orion_twisted.cli:main", scripts.splitlines())


class SdistTests(TestCase):
    """The source distribution can be built from, and gives nothing away."""

    def test_has_what_building_needs(self) -> None:
        """The settings of the build and the whole package are in; the wheel came from them."""
        names = self.files()
        needed = {"pyproject.toml", "setup.cfg", "setup.py", "README.md", "LICENSE", "PKG-INFO"}
        self.assertLessEqual(packaged_files() | needed, names)

    def test_no_secrets(self) -> None:
        """No key, no certificate and no cache is in it."""
        for name in self.files():
            path = PurePosixPath(name)
            self.assertNotIn(path.suffix, (".key", ".pem", ".pfx", ".p12", ".cache", ".pyc"), name)

    @staticmethod
    def files() -> set[str]:
        """Return the paths of its files, from its one folder."""
        with tarfile.open(workshop.sdist) as sdist:
            members = [member.name for member in sdist if member.isfile()]
        return {name.partition("/")[2] for name in members}


class InstallTests(TestCase):
    """After the lines under "install", in an empty environment, everything is there."""

    def setUp(self) -> None:
        self.environment = workshop.new

    def follow(self, page: str) -> None:
        """Do what a page says, in its order, with the wheel in the place of the checkout."""
        (block,) = [
            block
            for each in all_pages()
            for block in each.blocks
            if block.kind == "install" and block.page == page
        ]
        self.assertIn("pip install .\n", block.text)
        installs = f"pip install --quiet '{workshop.wheel}'\n"
        script = block.text.replace("pip install .\n", installs)
        folder = Path(self.enterContext(tempfile.TemporaryDirectory(dir=workshop.folder)))
        run(["sh", "-e", "-c", script], folder, self.environment.programs)

    def test_readme(self) -> None:
        """The README's lines install the gateway and make a certificate."""
        self.follow("README.md")

    def test_operators_page(self) -> None:
        """The operators' lines install it, and show that twistd and the script know it."""
        self.follow("docs/operate.md")

    def test_runs_what_was_installed(self) -> None:
        """The environment has its own copy; `twistd` lists it, the script says its version."""
        self.follow("docs/operate.md")
        where = self.environment.run(
            "python", "-c", "import orion_twisted as o; print(o.__file__)"
        )
        self.assertTrue(where.startswith(f"{self.environment.folder}{os.sep}"), where)
        self.assertRegex(self.environment.run("twistd", "--help"), LISTED)
        version = self.environment.run("orion-bridge", "version").splitlines()
        self.assertEqual(f"orion-twisted {__version__}", version[0])
        self.assertNotIn("missing", " ".join(version))

    def test_demo(self) -> None:
        """With the extra `demo`, the whole path works from what was installed."""
        self.environment.pip("install", f"{workshop.wheel}[demo]")
        printed = self.environment.run("orion-bridge", "demo", "--check")
        self.assertIn("all steps went well", printed)


class NoCompilerTests(TestCase):
    """A machine without a compiler."""

    WHICH = "import orion_twisted.core.wsframes as w; print(w.IMPLEMENTATION, w.why_not_c())"

    def test_installs_and_works(self) -> None:
        """What has to be compiled is left out, and its twin in Python is used, and says why."""
        environment = workshop.dependencies
        self.addCleanup(environment.pip, "uninstall", "--yes", "orion-twisted")
        install = ("--quiet", "--disable-pip-version-check", "install", "--no-deps")
        environment.run("pip", *install, str(workshop.sdist), CC="/bin/false")
        said = environment.run("python", "-c", self.WHICH)
        self.assertTrue(said.startswith("python "), said)
        self.assertIn("_wsframes", said)
        environment.run("orion-bridge", "version")

    def test_with_one(self) -> None:
        """The wheel brings what was compiled where there was one."""
        environment = workshop.dependencies
        self.addCleanup(environment.pip, "uninstall", "--yes", "orion-twisted")
        environment.pip("install", "--no-deps", str(workshop.wheel))
        self.assertEqual(environment.run("python", "-c", self.WHICH), "c None\n")


class CheckoutTests(TestCase):
    """twistd knows the plugin of a checkout."""

    def setUp(self) -> None:
        self.environment = workshop.dependencies

    def test_python_path(self) -> None:
        """From the checkout the plugin shows with PYTHONPATH=., and only then."""
        show = ("twistd", "--help")
        self.assertNotRegex(self.environment.run(*show, folder=workshop.source), LISTED)
        shown = self.environment.run(*show, folder=workshop.source, PYTHONPATH=".")
        self.assertRegex(shown, LISTED)

    def test_editable(self) -> None:
        """An editable installation shows the plugin from anywhere."""
        options = ("--no-deps", "--config-settings", "editable_mode=compat")
        self.environment.pip("install", *options, "--editable", str(workshop.source))
        self.addCleanup(self.environment.pip, "uninstall", "--yes", "orion-twisted")
        self.assertRegex(self.environment.run("twistd", "--help"), LISTED)
        self.assertIn(__version__, self.environment.run("orion-bridge", "version"))
