"""
The plan of the house: rooms, doors, and who may go through which.

Every import of the package is read from its source, also those inside functions, under
``if TYPE_CHECKING`` and written relatively, and compared with one table.
"""

import ast
import sys
from collections.abc import Iterable, Iterator, Sequence
from graphlib import CycleError, TopologicalSorter
from importlib.machinery import PathFinder
from pathlib import Path

from attrs import frozen
from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "orion_twisted"


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


PURE = words(
    """
    __future__ abc base64 binascii bisect collections collections.abc contextlib copy dataclasses
    datetime decimal difflib enum fractions functools hashlib heapq hmac http ipaddress itertools
    json keyword math numbers operator re string struct textwrap types typing unicodedata
    urllib.parse
    """
)
"""
What ``core`` takes from the standard library: things that compute.

Everything not named here is outside: sockets, files (``pathlib``, ``os``, ``io``, ``tomllib`` is
handed a dict), clocks (``time``), chance (``random``, ``secrets``, ``uuid``), processes, threads,
the interpreter's own state (``sys``, ``logging``, ``importlib``, ``warnings``). ``http`` is there
for its status codes: its submodules are not. ``datetime`` computes too, as long as nobody asks it
for the present time; `OUTSIDE_CALLS` sees to that.
"""

FOREIGN = words(
    """
    asyncio concurrent http.client http.server multiprocessing select selectors socket
    socketserver ssl subprocess threading urllib.request
    """
)
"""What nobody on the reactor's thread takes: the reactor has the sockets and the threads."""

OUTSIDE_CALLS = frozenset({"open", "input", "print", "breakpoint"})
OUTSIDE_METHODS = frozenset({"now", "utcnow", "today"})
"""What ``core`` does not call: built-in I/O, and the clocks of ``datetime``."""

DYNAMIC = frozenset({"__import__", "import_module", "exec", "eval"})
"""What nobody calls: an import that this test could not see."""


@frozen
class Room:
    """
    A room of the house.

    Attributes:
        lower: rooms of this project that it may import beside itself.
        doors: packages of others, each with all that is below it.
        stdlib: what it may take from the standard library; None: all but `FOREIGN`.
    """

    lower: tuple[str, ...]
    doors: tuple[str, ...]
    stdlib: frozenset[str] | None = None


EVERY = frozenset(sys.stdlib_module_names)
ATTRS = ("attr", "attrs")

ROOMS: dict[str, Room] = {
    "": Room((), (), frozenset()),
    "core": Room((), (*ATTRS, "cattrs", "msgspec"), PURE),
    "net": Room(
        ("core",),
        (
            *ATTRS,
            "twisted.internet",
            "twisted.logger",
            "twisted.python",
            "twisted.protocols",
            "twisted.application.internet",
            "autobahn",
            "OpenSSL",
            "cryptography",
            "service_identity",
            "zope.interface",
        ),
    ),
    "web": Room(
        ("core",),
        (
            *ATTRS,
            "twisted.web",
            "twisted.internet",
            "twisted.logger",
            "twisted.python",
            "twisted.protocols",
            "cryptography",
            "h11",
            "jwt",
            "prometheus_client",
            "zope.interface",
        ),
    ),
    "client": Room(
        ("core",),
        (
            *ATTRS,
            "msgspec",
            "twisted.internet",
            "twisted.logger",
            "twisted.python",
            "autobahn",
            "OpenSSL",
            "cryptography",
            "service_identity",
            "zope.interface",
        ),
    ),
    "service": Room(("", "core", "net", "web"), (*ATTRS, "twisted")),
    "tap": Room(("core", "net", "web", "service"), (*ATTRS, "twisted")),
    "demo": Room(
        ("", "core", "net", "web", "service", "tap"),
        (
            *ATTRS,
            "PIL",
            "cattrs",
            "click",
            "msgspec",
            "reportlab",
            "segno",
            "twisted",
            "websockets",
            "zope.interface",
        ),
        EVERY,
    ),
    "cli": Room(
        ("", "core", "net", "web", "client", "service", "tap", "demo"),
        (*ATTRS, "click", "rich", "twisted"),
    ),
    "plugins": Room(
        (), ("twisted.application.service", "twisted.application.reactors"), frozenset()
    ),
}
"""The table of rooms and doors; a room that is not here may not be built."""


@frozen
class Import:
    """One import: where it is written, and the module that it brings in."""

    line: int
    door: str


def is_module(name: str) -> bool:
    """Say whether a dotted name is a module. Only files are looked at, and nothing is imported."""
    parts = name.split(".")
    folders: Sequence[str] | None = [str(ROOT), *sys.path]
    for end in range(1, len(parts) + 1):
        spec = PathFinder.find_spec(".".join(parts[:end]), folders)
        if spec is None:
            return False
        folders = spec.submodule_search_locations
        if folders is None:
            return end == len(parts)
    return True


def imports_of(source: str, module: str, *, is_package: bool = False) -> Iterator[Import]:
    """
    Yield every import of a module, wherever it stands.

    Args:
        source: its text.
        module: its dotted name.
        is_package: whether it is an ``__init__.py``.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(node.lineno, alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".")
                above = parts[: len(parts) - node.level + is_package]
                base = ".".join([*above, *([base] if base else [])])
            names = [f"{base}.{alias.name}" for alias in node.names]
            doors = [name if is_module(name) else base for name in names]
            yield from (Import(node.lineno, door) for door in dict.fromkeys(doors))


def calls_of(source: str) -> Iterator[tuple[int, str, bool]]:
    """Yield the line and the last name of every call, and whether it is one of an object."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name):
                yield node.lineno, node.func.id, False
            elif isinstance(node.func, ast.Attribute):
                yield node.lineno, node.func.attr, True


def room_of(module: str) -> str:
    """Return the room of a module of this project: `orion_twisted.core.relay` is in ``core``."""
    return module.split(".")[1] if "." in module else ""


def is_below(name: str, doors: Iterable[str]) -> bool:
    return any(name == door or name.startswith(f"{door}.") for door in doors)


def offence(room: str, door: str) -> str | None:
    """Return what is wrong with importing a module from a room, or None."""
    if room not in ROOMS:
        return f"there is no room {room!r} in the table"
    plan = ROOMS[room]
    top = door.partition(".")[0]
    if top == PACKAGE:
        other = room_of(door)
        if other == room or other in plan.lower:
            return None
        return f"{room or PACKAGE} may not enter {other or PACKAGE}"
    if top in sys.stdlib_module_names:
        if plan.stdlib is None:
            allowed = not is_below(door, FOREIGN)
        elif plan.stdlib is EVERY:
            allowed = True
        else:
            allowed = door in plan.stdlib
    else:
        allowed = is_below(door, plan.doors)
    return None if allowed else f"{room or PACKAGE} has no door to it"


def modules() -> Iterator[tuple[str, Path]]:
    """Yield the dotted name of every module of the package, and its file."""
    for path in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imports_in(module: str, path: Path) -> list[Import]:
    source = path.read_text(encoding="utf-8")
    return list(imports_of(source, module, is_package=path.name == "__init__.py"))


def where(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


class DoorsTests(SynchronousTestCase):
    """The package keeps to the plan."""

    def test_every_import_is_in_the_table(self) -> None:
        """No module imports what its room has no door to: nothing from a room above, above all."""
        offences = [
            f"{where(path, each.line)}: {each.door}: {wrong}"
            for module, path in modules()
            for each in imports_in(module, path)
            if (wrong := offence(room_of(module), each.door)) is not None
        ]
        self.assertEqual(offences, [], "\n".join(offences))

    def test_the_rooms_are_in_layers(self) -> None:
        """The table itself has no way up: no two rooms may enter each other."""
        TopologicalSorter({room: plan.lower for room, plan in ROOMS.items()}).prepare()

    def test_only_the_console_script_knows_the_demo(self) -> None:
        """The gateway runs without its demonstration."""
        self.assertEqual([room for room, plan in ROOMS.items() if "demo" in plan.lower], ["cli"])

    def test_no_cycles(self) -> None:
        """No two modules need each other: each can be read after those that it imports."""
        known = dict(modules())
        graph = {
            module: {each.door for each in imports_in(module, path) if each.door in known}
            - {module}
            for module, path in known.items()
        }
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            self.fail(" imports ".join(reversed(error.args[1])))

    def test_rooms_are_not_furnished_at_the_door(self) -> None:
        """An ``__init__.py`` imports nothing: entering a room does not load all that is in it."""
        for module, path in modules():
            if path.name == "__init__.py":
                self.assertEqual(imports_in(module, path), [], module)

    def test_core_computes(self) -> None:
        """Core reads no file, prints nothing and asks no clock: time is handed to it."""
        offences = [
            f"{where(path, line)}: {name}()"
            for module, path in modules()
            if room_of(module) == "core"
            for line, name, of_object in calls_of(path.read_text(encoding="utf-8"))
            if name in (OUTSIDE_METHODS if of_object else OUTSIDE_CALLS)
        ]
        self.assertEqual(offences, [], "\n".join(offences))

    def test_nobody_sleeps(self) -> None:
        """What runs on the reactor's thread waits by a timer, or everybody waits for it."""
        offences = [
            f"{where(path, line)}: {name}()"
            for module, path in modules()
            if room_of(module) != "demo"
            for line, name, _ in calls_of(path.read_text(encoding="utf-8"))
            if name == "sleep"
        ]
        self.assertEqual(offences, [], "\n".join(offences))

    def test_no_hidden_imports(self) -> None:
        """Nobody imports in a way that cannot be read."""
        offences = [
            f"{where(path, line)}: {name}()"
            for _, path in modules()
            for line, name, _ in calls_of(path.read_text(encoding="utf-8"))
            if name in DYNAMIC
        ]
        self.assertEqual(offences, [], "\n".join(offences))


class PluginTests(SynchronousTestCase):
    """``twisted/plugins``, which belongs to Twisted."""

    def test_no_package(self) -> None:
        """No ``__init__.py`` below ``twisted/``: it would hide Twisted itself."""
        self.assertEqual(list((ROOT / "twisted").rglob("__init__.py")), [])

    def test_light(self) -> None:
        """`twistd --help` loads the plugins: they name modules of ours, and import none."""
        found = sorted((ROOT / "twisted").rglob("*.py"))
        self.assertEqual([path.name for path in found], ["orion_bridge.py", "orion_reactor.py"])
        for path in found:
            for each in imports_in(f"twisted.plugins.{path.stem}", path):
                self.assertIsNone(offence("plugins", each.door), f"{where(path, each.line)}")


class GuardTests(SynchronousTestCase):
    """The guard sees what it has to see."""

    def doors(self, source: str, module: str = "orion_twisted.core.relay") -> list[str]:
        return [each.door for each in imports_of(source, module)]

    def test_every_form_of_import(self) -> None:
        """Plain, from, relative, renamed, inside functions and below conditions."""
        for source, door in (
            ("import twisted.internet.reactor", "twisted.internet.reactor"),
            ("import twisted.web as core", "twisted.web"),
            ("from twisted.internet import reactor", "twisted.internet.reactor"),
            ("from twisted.internet.defer import Deferred", "twisted.internet.defer"),
            ("def f():\n  async def g():\n    import socket", "socket"),
            ("if TYPE_CHECKING:\n  from socket import socket", "socket"),
            ("from http import client", "http.client"),
            ("from http import HTTPStatus", "http"),
            ("from . import errors", "orion_twisted.core.errors"),
            ("from .errors import LocalError", "orion_twisted.core.errors"),
            ("from .. import net", "orion_twisted.net"),
            ("from ..net import backend", "orion_twisted.net.backend"),
            ("from ..net.backend import Loss", "orion_twisted.net.backend"),
            ("from orion_twisted import net", "orion_twisted.net"),
            ("from orion_twisted import __version__", "orion_twisted"),
        ):
            with self.subTest(source):
                self.assertEqual(self.doors(source), [door])

    def test_relative_in_a_package(self) -> None:
        """In an ``__init__.py`` one dot is the package itself."""
        found = imports_of("from . import errors", "orion_twisted.core", is_package=True)
        self.assertEqual([each.door for each in found], ["orion_twisted.core.errors"])

    def test_says_where(self) -> None:
        """An offence is found on its line."""
        source = '"""A module."""\n\nimport re\n\n\ndef f():\n    from time import sleep\n'
        found = list(imports_of(source, "orion_twisted.core.relay"))
        self.assertEqual(found, [Import(3, "re"), Import(7, "time")])

    def test_offences(self) -> None:
        """What each room may not import."""
        for room, door in (
            ("core", "twisted.logger"),
            ("core", "twisted"),
            ("core", "pathlib"),
            ("core", "time"),
            ("core", "random"),
            ("core", "http.client"),
            ("core", "click"),
            ("core", "orion_twisted"),
            ("core", "orion_twisted.net.backend"),
            ("net", "orion_twisted.web.gate"),
            ("net", "orion_twisted.service.gateway"),
            ("net", "twisted.web.http"),
            ("net", "twisted.application.service"),
            ("net", "asyncio.events"),
            ("net", "autobahnish"),
            ("web", "orion_twisted.net.backend"),
            ("web", "autobahn.twisted"),
            ("client", "orion_twisted.net.tls"),
            ("client", "orion_twisted.service.gateway"),
            ("client", "twisted.web.http"),
            ("client", "ssl"),
            ("service", "orion_twisted.client.orion"),
            ("service", "orion_twisted.tap"),
            ("service", "orion_twisted.demo.run"),
            ("service", "subprocess"),
            ("tap", "orion_twisted.cli"),
            ("tap", "orion_twisted.demo.run"),
            ("demo", "orion_twisted.cli"),
            ("", "orion_twisted.core"),
            ("plugins", "twisted.application"),
            ("plugins", "orion_twisted.tap"),
            ("cellar", "re"),
        ):
            with self.subTest(f"{room}: {door}"):
                self.assertIsNotNone(offence(room, door))

    def test_no_offences(self) -> None:
        """What each room may import."""
        for room, door in (
            ("core", "collections.abc"),
            ("core", "cattrs.gen"),
            ("core", "orion_twisted.core.errors"),
            ("net", "twisted.application.internet"),
            ("net", "os"),
            ("web", "twisted.web.http"),
            ("service", "orion_twisted.web.gate"),
            ("demo", "time"),
            ("demo", "orion_twisted"),
            ("client", "orion_twisted.core.backoff"),
            ("client", "autobahn.twisted.websocket"),
            ("cli", "orion_twisted.client.doctor"),
            ("cli", "orion_twisted.demo.run"),
            ("plugins", "twisted.application.service"),
            ("plugins", "twisted.application.reactors"),
        ):
            with self.subTest(f"{room}: {door}"):
                self.assertIsNone(offence(room, door))

    def test_calls(self) -> None:
        """Calls of built-in names and of methods are told apart."""
        self.assertEqual(
            set(calls_of("open(x)\ny.open()\ndatetime.now(UTC)")),
            {(1, "open", False), (2, "open", True), (3, "now", True)},
        )
