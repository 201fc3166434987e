"""The console page: its files hang together, obey its policy, and its modules do their job."""

import json
import os
import re
import shutil
import subprocess
import tempfile
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.demo.render import METHODS, PROPERTIES
from tests.demo.visit import Visit

CONSOLE = Path(str(files("orion_twisted.demo") / "console"))
MODULES = sorted(CONSOLE.glob("*.js"))
NODE_TESTS = Path(__file__).with_name("connection.test.mjs")


def node() -> str:
    """Return Node's path; without it the test is skipped, in CI it fails."""
    found = shutil.which("node") or shutil.which("nodejs")
    if found is None:
        if os.environ.get("CI") == "true":
            raise AssertionError("the console's tests need Node: apt-get install nodejs")
        raise SkipTest("needs Node: apt-get install nodejs")
    return found


class Page(HTMLParser):
    """What index.html refers to and which ids it has."""

    def __init__(self) -> None:
        super().__init__()
        self.references: list[str] = []
        self.ids: list[str] = []
        self.pointed_at: list[str] = []
        self.inline: list[str] = []
        self._in_script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("src", "href"):
                self.references.append(value or "")
            elif name == "id":
                self.ids.append(value or "")
            elif name in ("for", "aria-labelledby", "aria-describedby"):
                self.pointed_at += (value or "").split()
            elif name == "style" or name.startswith("on"):
                self.inline.append(f"{tag} {name}")
        if tag == "style":
            self.inline.append("style")
        self._in_script = tag == "script"

    def handle_data(self, data: str) -> None:
        if self._in_script and data.strip():
            self.inline.append("script")

    def handle_endtag(self, tag: str) -> None:
        self._in_script = False


class PageTests(SynchronousTestCase):
    """The files as they are."""

    def setUp(self) -> None:
        self.page = Page()
        self.page.feed((CONSOLE / "index.html").read_text("utf-8"))

    def test_every_reference_exists(self) -> None:
        """Nothing that the page, its style or its modules name is missing or from elsewhere."""
        references = list(self.page.references)
        self.assertIn("console.js", references)
        for module in MODULES:
            text = module.read_text("utf-8")
            references += re.findall(r'from "\./([^"]+)"', text)
            self.assertEqual(len(re.findall(r"^import ", text, re.M)), text.count(' from "./'))
        style = (CONSOLE / "console.css").read_text("utf-8")
        self.assertNotIn("url(", style)
        self.assertNotIn("@import", style)
        for reference in references:
            self.assertTrue((CONSOLE / reference).is_file(), reference)

    def test_every_file_is_used(self) -> None:
        """The wheel carries no file that the page does not load."""
        used = {"index.html", *self.page.references}
        for module in MODULES:
            used |= set(re.findall(r'from "\./([^"]+)"', module.read_text("utf-8")))
        self.assertEqual({path.name for path in CONSOLE.iterdir()}, used)

    def test_nothing_is_inline(self) -> None:
        """The page works under Content-Security-Policy: default-src 'self'."""
        self.assertEqual(self.page.inline, [])
        for module in MODULES:
            text = module.read_text("utf-8")
            for danger in (
                "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(",
                "new Function", '"style"',
            ):  # fmt: skip
                self.assertNotIn(danger, text, module.name)

    def test_ids(self) -> None:
        """Every id that a label or a module names is in the page, once."""
        ids = set(self.page.ids)
        self.assertEqual(len(ids), len(self.page.ids))
        named = set(self.page.pointed_at)
        for module in MODULES:
            named |= set(re.findall(r'byId\("([^"]+)"\)', module.read_text("utf-8")))
        self.assertEqual(named - ids, set())

    def test_drawing_names_are_the_engine_s(self) -> None:
        """The console carries out the drawing commands that the engine makes, and no others."""
        text = (CONSOLE / "drawing.js").read_text("utf-8")
        self.assertIn('"drawImage"', text)  # whose first argument needs a way of its own
        methods = METHODS - {"drawImage"}
        for name, names in (("METHODS", methods), ("PROPERTIES", PROPERTIES)):
            found = re.search(rf"const {name} = new Set\(\[(.*?)\]\)", text, re.S)
            assert found is not None
            self.assertEqual(set(re.findall(r'"(\w+)"', found[1])), names)


class ModuleTests(SynchronousTestCase):
    """The modules under Node, each file as it is shipped."""

    def setUp(self) -> None:
        self.node = node()
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        self.folder = Path(folder)
        for path in (*MODULES, NODE_TESTS):
            shutil.copy(path, self.folder)
        (self.folder / "package.json").write_text('{"type": "module"}')

    def run_node(self, *arguments: str) -> str:
        done = subprocess.run(
            [self.node, *arguments], cwd=self.folder, capture_output=True, text=True, timeout=60
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def test_syntax(self) -> None:
        """Every module is valid JavaScript."""
        for module in MODULES:
            self.run_node("--check", module.name)

    def test_behaviour(self) -> None:
        """Connection, drawing and figures keep their promises (connection.test.mjs)."""
        printed = self.run_node("--test", "--test-reporter=tap", NODE_TESTS.name)
        self.assertRegex(printed, r"(?m)^# pass [1-9]")

    def test_examples(self) -> None:
        """The ready-made messages work one after the other, but for the two shown mistakes."""
        (self.folder / "list.js").write_text(
            'import { EXAMPLES } from "./examples.js"; console.log(JSON.stringify(EXAMPLES));'
        )
        visit = Visit(self)
        for label, message in json.loads(self.run_node("list.js")):
            answer = visit.ask(message.pop("cmd"), **message)
            self.assertEqual(answer["success"], not label.startswith("A mistake"), answer)
