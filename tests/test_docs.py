"""
What the documents say is so: examples are carried out, tables are compared with the code.

The mark ``<!-- run: KIND -->`` before a block has the method ``run_KIND`` carry it out. The lines
marked ``install`` are for `tests.test_packaging`: they want an environment of their own.
"""

import ast
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from http import HTTPStatus
from itertools import groupby
from pathlib import Path
from typing import Any
from unittest import TestCase

from attrs import NOTHING, fields

from orion_twisted.client.limits import ClientLimits
from orion_twisted.core.admission import Full
from orion_twisted.core.bearer import REFUSALS
from orion_twisted.core.config import load_settings
from orion_twisted.core.contradictions import MODES_OF
from orion_twisted.core.errors import CloseCode
from orion_twisted.core.frames import FRAMINGS, encoder
from orion_twisted.core.messages import message_codec
from orion_twisted.core.settings import (
    DialInSettings,
    Limits,
    SessionSettings,
    Settings,
    Tenant,
    TenantLimits,
)
from orion_twisted.service.browser_door import full
from orion_twisted.service.startup import read_settings
from orion_twisted.tap import Options
from tests.browser import Browser
from tests.documents import CHECKOUT, Block, Page, all_pages, code_in, read_page
from tests.e2e.backends import Backend, Peer, echo
from tests.harness import (
    ENDED_IN_ORDER,
    PATIENCE,
    Gateway,
    Process,
    client_context,
    environment,
    eventually,
    free_port,
    make_certificates,
    orion_bridge,
    twistd,
)

SETTINGS_FILE = "orion-bridge.toml"
A_MESSAGE = "안녕, gateway"

LISTENER = re.compile(r"\b(tls|tcp):\d+(?=[\"\s])")
BACKEND = re.compile(r"\btcp:(?:10|127)\.\d+\.\d+\.\d+:\d+")
CERTIFICATES_FOLDER = "/etc/orion/certs"
PAGE_HOST = "wss://editor.shop1.example/"


def answer_v1(peer: Peer) -> None:
    """A talk of a backend that answers every message of ``orion.v1``."""
    while (payload := peer.read_frame()) is not None:
        answer = {"msgID": json.loads(payload)["@MSGID"], "success": True}
        peer.send_frame(json.dumps(answer).encode())


def skip_or_fail(case: TestCase, why: str) -> None:
    """Leave a test out for want of a program; where CI=true, that is a failure."""
    if os.environ.get("CI") == "true":
        case.fail(why)
    case.skipTest(why)


def temporary_folder(case: TestCase) -> Path:
    """Return a folder that goes when the test ends."""
    return Path(case.enterContext(tempfile.TemporaryDirectory(prefix="orion-docs-")))


def settings_of(block: Block) -> str:
    """Return the settings that a page shows last before a block."""
    before = [
        each.text
        for each in read_page(block.page).blocks
        if each.kind == "settings" and each.line < block.line
    ]
    return before[-1] if before else ""


def run_shell(script: str, folder: Path, timeout: float = 60.0) -> str:
    """
    Run lines of sh in which ``orion-bridge`` is that of this checkout.

    Returns:
        What they printed.

    Raises:
        AssertionError: a line did not exit with 0; what it printed is told.
    """
    with tempfile.TemporaryDirectory() as programs:
        program = Path(programs, "orion-bridge")
        program.write_text(f'#!/bin/sh\nexec {shlex.join(orion_bridge())} "$@"\n')
        program.chmod(0o755)
        path = f"{programs}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            ["sh", "-e", "-c", script],
            cwd=folder,
            env={**environment(), "PATH": path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    if done.returncode != 0:
        raise AssertionError(
            f"exit status {done.returncode} of\n{script}\n{done.stdout}{done.stderr}"
        )
    return done.stdout


def start_page(
    case: TestCase, text: str, folder: Path, ca_file: Path
) -> tuple[subprocess.Popen[bytes], Path]:
    """
    Run a page's script with node.

    Returns:
        Its process, and the file that has what it prints.
    """
    node = shutil.which("node")
    has_websocket = "process.exit(typeof WebSocket === 'function' ? 0 : 1)"
    command = [node or "node", "--experimental-websocket"]
    if node is None or subprocess.run([*command, "-e", has_websocket], check=False).returncode:
        skip_or_fail(case, "there is no node with WebSocket (20.10 or newer)")
    script, printed = folder / "page.mjs", folder / "printed.txt"
    script.write_text(text)
    with printed.open("wb") as output:
        page = subprocess.Popen(
            [*command, str(script)],
            env={**os.environ, "NODE_EXTRA_CA_CERTS": str(ca_file), "NODE_NO_WARNINGS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    case.addCleanup(page.wait)
    case.addCleanup(page.kill)
    return page, printed


class ExampleTests(TestCase):
    """What a reader is told to write or to type does what the page says."""

    def run_settings(self, block: Block) -> None:
        """Settings are read without a mistake."""
        path = temporary_folder(self) / SETTINGS_FILE
        path.write_text(block.text)
        self.assertTrue(read_settings(path, {}).tenants)

    def run_flags(self, block: Block) -> None:
        """Each line's flags are taken, and describe a tenant."""
        for line in block.text.splitlines():
            program, *flags = shlex.split(line)
            self.assertEqual(("twistd", ["-n", "orion-bridge"]), (program, flags[:2]))
            options = Options()
            options.parseOptions(flags[2:])
            (tenant,) = read_settings(None, options.settings()).tenants
            self.assertEqual(("*",), tenant.hosts)

    def run_check(self, block: Block) -> None:
        """Commands print what stands below them; more may follow."""
        folder = temporary_folder(self)
        settings = settings_of(block).replace(CERTIFICATES_FOLDER, "certs")
        (folder / SETTINGS_FILE).write_text(settings)
        make_certificates(folder / "certs", *self.names_in(folder / SETTINGS_FILE))
        prompts = re.split(r"(?m)^\$ (.*)$\n", block.text)
        self.assertEqual("", prompts[0])
        for command, wanted in zip(prompts[1::2], prompts[2::2], strict=True):
            printed = run_shell(command, folder)
            beginning = printed.splitlines()[: len(wanted.splitlines())]
            wanted = wanted.replace(CERTIFICATES_FOLDER, "certs")
            self.assertEqual(wanted.splitlines(), beginning, command)

    def run_serve(self, block: Block) -> None:
        """A gateway carries a message to a backend and back, over TLS, and ends when told to."""
        folder = temporary_folder(self)
        port = free_port()
        backend = self.enterContext(Backend(echo))

        def here(text: str) -> str:
            text = LISTENER.sub(rf"\1:{port}:interface=127.0.0.1", text)
            return BACKEND.sub(backend.endpoint, text).replace(CERTIFICATES_FOLDER, "certs")

        host = "localhost"
        if SETTINGS_FILE in block.text:
            (folder / SETTINGS_FILE).write_text(here(settings_of(block)))
            host = self.names_in(folder / SETTINGS_FILE)[0]
        ca_file = make_certificates(folder / "certs", host)
        program, *arguments = shlex.split(here(block.text).replace("\\\n", " "))
        self.assertEqual("twistd", program)
        gateway = Process([*twistd(), *arguments], folder)
        self.addCleanup(gateway.kill)
        gateway.wait_for_port(port)
        with Browser(
            f"wss://{host}:{port}/ws",
            socket.create_connection(("127.0.0.1", port), PATIENCE),
            ssl=client_context(ca_file),
            proxy=None,
        ) as browser:
            browser.send(A_MESSAGE)
            self.assertEqual(A_MESSAGE, browser.recv(PATIENCE))
        self.assertEqual([A_MESSAGE.encode()], backend.frames)
        self.assertEqual(ENDED_IN_ORDER, gateway.stop())
        self.assertNotIn("Traceback", gateway.log)

    def run_certs(self, block: Block) -> None:
        """Each line exits with 0, in a folder that was empty."""
        run_shell(block.text, temporary_folder(self))

    def run_framings(self, block: Block) -> None:
        """The table has every framing, and its bytes are those that go over the link."""
        documented = {code_in(name)[0]: code_in(octets)[0] for name, octets in block.rows}
        actual = {each: encoder(each)(b"hi").hex(" ") for each in FRAMINGS}
        self.assertEqual(actual, documented)

    def run_page(self, block: Block) -> None:
        """A page's script gets its answer from an Orion engine behind the gateway."""
        folder = temporary_folder(self)
        port = free_port()
        demo = Process(orion_bridge("demo", "--port", str(port), "--folder", "data"), folder)
        self.addCleanup(demo.kill)
        demo.wait_for_port(port)
        self.assertIn(PAGE_HOST, block.text)
        text = block.text.replace(PAGE_HOST, f"wss://localhost:{port}/")
        trusted = folder / "data" / "certs" / "ca.pem"
        page, printed = start_page(self, text, folder, trusted)
        eventually(lambda: b"\n" in printed.read_bytes(), "a line printed by the page")
        self.assertRegex(printed.read_text(), r'^\{"msgID":1,"success":true,')
        self.assertEqual(0, demo.stop())
        self.assertEqual(0, page.wait(PATIENCE), "the page's socket should be closed")

    def run_client(self, block: Block) -> None:
        """A program has its answer from an engine behind a gateway in session mode."""
        folder = temporary_folder(self)
        backend = self.enterContext(Backend(answer_v1))
        ca_file = make_certificates(folder / "certs", "localhost")
        settings = folder / SETTINGS_FILE
        settings.write_text(
            f'[tenant.shop1]\nhosts = ["localhost"]\nbackend = "{backend.endpoint}"\n'
            'mode = "session"\n'
        )
        gateway = Gateway([f"--config={settings}"], folder, folder / "certs")
        self.addCleanup(gateway.kill)
        self.assertIn(PAGE_HOST, block.text)
        done = subprocess.run(
            [sys.executable, "-c", block.text.replace(PAGE_HOST, gateway.url("/"))],
            env={**environment(), "SSL_CERT_FILE": str(ca_file)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        for line in (
            "Connecting()",
            "Online(replaced=False, lost=0)",
            "answer: {'msgID': 1, 'success': True}",
            "notification: sent",
            "Closed(code=1000, why='the client was stopped')",
        ):
            self.assertIn(line, done.stdout.splitlines())
        self.assertEqual(ENDED_IN_ORDER, gateway.stop())

    def run_doctor(self, block: Block) -> None:
        """The demo is in good health."""
        folder = temporary_folder(self)
        port = free_port()
        demo = Process(orion_bridge("demo", "--port", str(port)), folder)
        self.addCleanup(demo.kill)
        demo.wait_for_port(port)
        self.assertIn(":8889/", block.text)
        printed = run_shell(block.text.replace(":8889/", f":{port}/"), folder)
        self.assertRegex(printed, r"(?m) close +1000, answered with 1000$")
        self.assertEqual(0, demo.stop())

    @staticmethod
    def names_in(path: Path) -> list[str]:
        """Return the host names of a settings file that certificates are needed for."""
        settings = read_settings(path, {})
        hosts = [host for tenant in settings.tenants for host in tenant.hosts]
        return list(dict.fromkeys([*([settings.fallback] if settings.fallback else []), *hosts]))


def _add_examples() -> None:
    """Give ExampleTests a test for each marked block: ``test_readme_serve_1``."""
    for page in all_pages():
        marked = sorted((each for each in page.blocks if each.kind), key=lambda each: each.kind)
        for kind, blocks in groupby(marked, key=lambda each: each.kind):
            run = getattr(ExampleTests, f"run_{kind}", None)
            if run is None:
                continue  # PageTests complain
            for number, block in enumerate(blocks, 1):
                test = _test_of(run, block)
                test.__name__ = f"test_{Path(page.name).stem.lower()}_{kind}_{number}"
                test.__qualname__ = f"ExampleTests.{test.__name__}"
                setattr(ExampleTests, test.__name__, test)


def _test_of(run: Callable[[Any, Block], None], block: Block) -> Callable[[ExampleTests], None]:
    def test(self: ExampleTests) -> None:
        run(self, block)

    test.__doc__ = f"{block.page}, line {block.line}: {run.__doc__}"
    return test


_add_examples()


class PageTests(TestCase):
    """Nothing on a page is left unlooked at."""

    def test_every_block_is_run(self) -> None:
        """Each code block is carried out, or says why it is only shown."""
        kinds = {
            name.removeprefix("run_") for name in dir(ExampleTests) if name.startswith("run_")
        }
        kinds.add("install")  # tests.test_packaging
        kinds.add("deploy-hook")  # tests.net.test_certbot
        kinds.update(("mint-php", "mint-node", "mint-python", "token-keys"))  # web.test_minting
        kinds.update(("session", "secret", "dial-in"))  # tests.test_session_docs
        kinds.update(("nginx-pass", "nginx-end", "nginx-http"))  # tests.e2e.test_behind
        kinds.update(("haproxy-pass", "haproxy-end", "xml", "json"))  # tests.e2e.test_behind
        kinds.update(("shop-page", "shop-script", "shop-client"))  # tests.test_embed_docs
        kinds.update(("policy", "headers"))  # tests.test_embed_docs
        kinds.add("vector")  # tests.vectors
        for page in all_pages():
            for block in page.blocks:
                if block.kind is not None:
                    self.assertIn(block.kind, kinds, block)
                elif block.language != "table":
                    self.assertTrue(block.is_shown_only, f"{block} is not marked")

    def test_the_systemd_unit_is_right(self) -> None:
        """systemd knows every line of the unit that operators copy."""
        program = shutil.which("systemd-analyze")
        if program is None:
            self.skipTest("there is no systemd-analyze")
        (unit,) = [
            each.text for each in read_page("docs/operate.md").blocks if "[Service]" in each.text
        ]
        path = temporary_folder(self) / "orion-bridge.service"
        # It looks whether the program is there.
        path.write_text(re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/sh", unit))
        done = subprocess.run(
            [program, "verify", path], capture_output=True, text=True, check=False
        )
        complaints = [line for line in done.stderr.splitlines() if path.name in line]
        self.assertEqual([], complaints)

    def test_links_lead_somewhere(self) -> None:
        """Every linked file exists, and has the heading that the link names."""
        for page in all_pages():
            for link in page.links:
                if re.match(r"\w+:", link):
                    continue
                name, _, anchor = link.partition("#")
                target = (CHECKOUT / page.name).parent / name if name else CHECKOUT / page.name
                self.assertTrue(target.is_file(), f"{page.name}: {link}")
                if anchor:
                    text = target.read_text(encoding="utf-8")
                    self.assertIn(anchor, Page(name, text).anchors, f"{page.name}: {link}")

    def test_make_targets_exist(self) -> None:
        """What a reader is told to make is in the Makefile, variables included."""
        makefile = (CHECKOUT / "Makefile").read_text(encoding="utf-8")
        targets = set(re.findall(r"(?m)^([a-z-]+):", makefile))
        told = [code for page in all_pages() for code in page.code if code.startswith("make ")]
        self.assertTrue(told)
        for command in told:
            _, target, *rest = command.split()
            self.assertIn(target, targets, command)
            for variable in re.findall(r"\b([A-Z]+)=", " ".join(rest)):
                self.assertIn(f"$({variable})", makefile, command)

    def test_files_that_are_named_exist(self) -> None:
        """A contributor finds every file and folder of the tour."""
        roots = (CHECKOUT, CHECKOUT / "orion_twisted")
        for code in read_page("docs/contribute.md").code:
            if re.fullmatch(r"[\w/]+(\.py|/)", code):
                self.assertTrue(any((root / code).exists() for root in roots), code)


NODE = "The node"
LIMITS = "`[limits]`, of the whole node"
TENANT = "`[tenant.NAME]`"


class SettingsTests(TestCase):
    """docs/settings.md has every setting, with the default that the code has."""

    def setUp(self) -> None:
        page = read_page("docs/settings.md")
        self.defaults: dict[str, dict[str, str]] = {}
        self.rows: dict[str, str] = {}
        for heading in (NODE, LIMITS, TENANT):
            self.defaults[heading] = {}
            for names, defaults, meaning in page.table(heading):
                several = code_in(names)
                each_default = [defaults]
                if len(several) > 1:
                    each_default = [f"`{code}`" for code in code_in(defaults)]
                self.defaults[heading] |= zip(several, each_default, strict=True)
                self.rows |= dict.fromkeys(several, f"{defaults} {meaning}")

    def test_every_setting_is_there(self) -> None:
        """None is missing, and none has been invented."""
        for heading, settings, elsewhere in (
            (NODE, Settings, {"limits", "tenants"}),
            (LIMITS, Limits, set()),
            (TENANT, Tenant, {"name"}),
        ):
            names = {each.name for each in fields(settings)} - elsewhere
            with self.subTest(table=heading):
                self.assertEqual(names, set(self.defaults[heading]))
        for name, settings in (
            ("session", SessionSettings),
            ("limits", TenantLimits),
            ("dial_in", DialInSettings),
        ):
            for inner in fields(settings):
                self.assertRegex(self.rows[name], rf"\b{inner.name}\b", f"tenant: {name}")

    def test_defaults(self) -> None:
        """Writing a default into the file changes nothing."""
        for heading, defaults in self.defaults.items():
            for name, default in defaults.items():
                with self.subTest(setting=f"{heading}: {name}"):
                    self.check_default(heading, name, default)

    def check_default(self, heading: str, name: str, default: str) -> None:
        kind = {NODE: Settings, LIMITS: Limits, TENANT: Tenant}[heading]
        if default == "required":
            self.assertIs(NOTHING, getattr(fields(kind), name).default)
            return
        default, *others = default.split("; ")
        for other in others:
            match = re.fullmatch(r"(`.+`) for a (tunnel|session)", other)
            assert match is not None, other
            self.check_default_in(match[2], heading, name, match[1])
        # Of several modes the last one has all of a table.
        modes = MODES_OF.get((name,), ("",)) if heading == TENANT else ("",)
        self.check_default_in(modes[-1], heading, name, default)

    def check_default_in(self, mode: str, heading: str, name: str, default: str) -> None:
        usual = self.load(heading, {"mode": mode} if mode else {})
        if default == "none":
            part: Any = usual if heading == NODE else usual.limits
            part = usual.tenants[0] if heading == TENANT else part
            value = getattr(part, name)
            self.assertIn(value, (None, (), TenantLimits()))
        else:
            (written, *_) = code_in(default)
            more = f"{name} = {written}\n" + (f'mode = "{mode}"' if mode else "")
            self.assertEqual(usual, self.load(heading, tomllib.loads(more)), default)

    @staticmethod
    def load(heading: str, more: dict[str, Any]) -> Settings:
        """Return the settings of one plain tenant, with more in one of the tables."""
        tenant = {"hosts": ["shop.example"], "backend": "tcp:127.0.0.1:7000"}
        raw: dict[str, Any] = {"tenant": {"shop": tenant}}
        if heading == TENANT:
            tenant |= more
        elif heading == LIMITS:
            raw["limits"] = more
        else:
            raw |= more
        return load_settings(raw)

    def test_every_flag_is_a_setting(self) -> None:
        """What twistd takes as a flag is a setting by the same name, and documented as one."""
        for flag in Options().longOpt:
            name = flag.removesuffix("=")
            if name in ("config", "help", "version"):
                continue
            value = {"limit": "drain=1"}.get(name, "1")
            options = Options()
            options.parseOptions([f"--{name}", value] if flag.endswith("=") else [f"--{name}"])
            paths = [path for path in _paths(options.settings()) if path[-1] != "hosts"]
            self.assertEqual(1, len(paths), name)
            (path,) = paths
            match path:
                case ("tenant", "default", setting):
                    self.assertIn(setting, self.defaults[TENANT], name)
                case ("tenant", "default", setting, inner):
                    self.assertRegex(self.rows[setting], rf"\b{inner}\b", name)
                case ("limits", setting):
                    self.assertIn(setting, self.defaults[LIMITS], name)
                case (setting,):
                    self.assertIn(setting, self.defaults[NODE], name)
                case _:
                    self.fail(f"--{name} sets {path}")
            if name.replace("-", "_") != path[-1]:
                self.assertIn(f"`--{name}", read_page("docs/settings.md").text)


def _paths(table: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from ((key, *rest) for rest in _paths(value))
        else:
            yield (key,)


class CloseCodeTests(TestCase):
    """docs/integrate.md tells a page what each close code means."""

    def setUp(self) -> None:
        rows = read_page("docs/integrate.md").table("Close codes")
        self.documented = {int(code): (name, back) for code, name, _, back in rows}

    def test_every_code_is_there(self) -> None:
        """Whatever code the gateway sends, the table has it; it has none of our own too many."""
        self.assertLessEqual(set(CloseCode), set(self.documented))
        own = {code for code in self.documented if code >= 4000}
        self.assertLessEqual(own, set(CloseCode))

    def test_own_codes_say_whether_to_come_back(self) -> None:
        """4000 to 4499 are "come back", 4500 to 4999 are not; the name is the code's reason."""
        for code in CloseCode:
            if code >= 4000:
                wanted = (f"`{code.name}`", "yes" if code < 4500 else "no")
                self.assertEqual(wanted, self.documented[code])

    def test_tagged_example(self) -> None:
        """The bytes of a tagged message are those that go over the link."""
        section = read_page("docs/integrate.md").section("Mode `relay`")
        frame = encoder("int32")(message_codec("tagged").to_frame(b"hi", False))
        self.assertIn(f"`{frame.hex(' ')}`", section)


class ClientLimitsTests(TestCase):
    """docs/integrate.md has every limit of the Python client, with its default."""

    def test_every_limit_is_there(self) -> None:
        """None is missing, and the numbers are those of the code."""
        documented: dict[str, float] = {}
        for names, defaults, meaning in read_page("docs/integrate.md").table("Python client"):
            numbers = [float(each) for each in defaults.split(",")]
            documented |= zip(code_in(names), numbers, strict=True)
            self.assertTrue(meaning.endswith("."))
        actual = {each.name: float(each.default) for each in fields(ClientLimits)}
        self.assertEqual(actual, documented)


class Sources(ast.NodeVisitor):
    """
    What the code can refuse and log, read from its source.

    Attributes:
        refusals: the status of each reason.
        events: the formats of log events.
    """

    def __init__(self) -> None:
        self.refusals = {each.reason: each.status for each in map(full, Full)}
        self.refusals.update(REFUSALS)
        self.events: list[str] = []
        for path in sorted((CHECKOUT / "orion_twisted").rglob("*.py")):
            if "demo" not in path.parts:
                self.visit(ast.parse(path.read_text(encoding="utf-8")))

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        # They hand on the reasons of others.
        if node.name not in ("unavailable", "full", "unauthorized"):
            self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        match node:
            case ast.Call(
                func=ast.Name("Refused"),
                args=[ast.Attribute(ast.Name("HTTPStatus"), status), ast.Constant(reason), *_],
            ):
                self._add(reason, HTTPStatus[status])
            case ast.Call(func=ast.Name("unavailable"), args=[ast.Constant(reason), _]):
                self._add(reason, HTTPStatus.SERVICE_UNAVAILABLE)
            case ast.Call(func=ast.Name("Refused" | "unavailable")):
                raise AssertionError(f"cannot read the reason of {ast.unparse(node)}")
            case ast.Call(
                func=ast.Attribute(ast.Name("_log") | ast.Attribute(attr="_log")),
                args=[ast.Constant(str() as event), *_],
            ):
                self.events.append(event)
        self.generic_visit(node)

    def _add(self, reason: str, status: HTTPStatus) -> None:
        if self.refusals.setdefault(reason, status) is not status:
            raise AssertionError(f"{reason} has two statuses")


class RefusalTests(TestCase):
    """An operator finds each reason of a refusal, an integrator each status."""

    def setUp(self) -> None:
        self.sources = Sources()

    def test_every_reason_is_there(self) -> None:
        """The log's reasons stand in the table, each with its status, and no others."""
        documented = {
            reason: HTTPStatus(int(status))
            for status, reasons in read_page("docs/operate.md").table("Why a request was refused")
            for reason in code_in(reasons)
        }
        self.assertEqual(self.sources.refusals, documented)

    def test_every_status_is_there(self) -> None:
        """An integrator finds every status that is ever answered."""
        rows = read_page("docs/integrate.md").table("Answers before the upgrade")
        documented = {int(status) for row in rows for status in row[0].split(",")}
        # Whoever is too slow gets no answer: the status is for the log.
        answered = set(self.sources.refusals.values()) - {HTTPStatus.REQUEST_TIMEOUT}
        self.assertEqual(answered, documented)

    def test_events(self) -> None:
        """What the page shows of the log, the log can say."""
        rows = read_page("docs/operate.md").table("What the log says")
        forms = [
            re.sub(r"\\{\w+\\}", ".+", re.escape(event))
            for event in self.sources.events
            if re.sub(r"{\w+}", "", event)  # a form that fits everything proves nothing
        ]
        for event, _ in rows:
            for line in code_in(event):
                self.assertTrue(any(re.fullmatch(form, line) for form in forms), line)
