"""`twistd orion-bridge`: flags, the file, and both together."""

import subprocess
import tomllib
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.config import load_settings
from orion_twisted.core.fields import PER_BROWSER
from orion_twisted.core.problems import ConfigError
from orion_twisted.core.settings import Settings
from orion_twisted.core.units import format_duration, format_size
from orion_twisted.service.gateway import Gateway
from orion_twisted.service.startup import read_settings
from orion_twisted.tap import Options, makeService
from tests.certificates import empty_folder, issue
from tests.harness import environment, twistd

BACKEND = "--backend=tcp:127.0.0.1:7000"
SESSION = [BACKEND, "--mode=session"]
LEAST = '[tenant.default]\nhosts = ["*"]\nbackend = "tcp:127.0.0.1:7000"\n'

NODE: list[tuple[list[str], str]] = [
    (["--listen", "tcp:8888"], 'listen = ["tcp:8888"]'),
    (
        ["--listen", "tls:8889:interface=127.0.0.1", "--listen", "unix:/run/orion.sock"],
        'listen = ["tls:8889:interface=127.0.0.1", "unix:/run/orion.sock"]',
    ),
    (["--certificates", "keys"], 'certificates = "keys"'),
    (["--fallback", "localhost"], 'fallback = "localhost"'),
    (["--strict-sni"], "strict_sni = true"),
    (["--admin", "tcp:8890"], 'admin = "tcp:8890"'),
    (
        ["--proxy-protocol-from", "10.0.0.0/8", "--proxy-protocol-from=::1/128"],
        'proxy_protocol_from = ["10.0.0.0/8", "::1/128"]',
    ),
    (["--dial-in", "tcp:8887"], 'dial_in = "tcp:8887"'),
    (
        ["--dial-in=unix:/run/dial.sock", "--dial-in=ws:/orion", "--listen=tcp:0"],
        'dial_in = ["unix:/run/dial.sock", "ws:/orion"]\nlisten = ["tcp:0"]',
    ),
    (["--workers", "4"], "workers = 4"),
    (["--workers=auto"], 'workers = "auto"'),
    (["--performance", "stock"], 'performance = "stock"'),
    (["--limit", "message=16MiB"], 'limits = { message = "16 MiB" }'),
    (["--limit", "message = 1024"], "limits = { message = 1024 }"),
    (
        ["--limit", "connections=7", "--limit", "idle=90", "--limit=drain=1.5"],
        'limits = { connections = 7, idle = "90 s", drain = 1.5 }',
    ),
]
"""Flags of the node, and the lines that mean the same at the top of a file."""

TENANT: list[tuple[list[str], str]] = [
    ([BACKEND], ""),
    ([BACKEND, "--backend", "unix:/run/app"], 'backend = ["tcp:127.0.0.1:7000", "unix:/run/app"]'),
    ([BACKEND, "--path", "/orion/ws"], 'path = "/orion/ws"'),
    ([BACKEND, "--mode", "relay"], 'mode = "relay"'),
    ([BACKEND, "--mode", "tunnel"], 'mode = "tunnel"'),
    ([BACKEND, "--mode", "session"], 'mode = "session"'),
    ([*SESSION, "--dialect", "orion.v2"], 'mode = "session"\ndialect = "orion.v2"'),
    ([*SESSION, "--links", "per-browser"], 'mode = "session"\nlinks = "per-browser"'),
    ([*SESSION, "--links", "4"], 'mode = "session"\nlinks = 4'),
    (
        [*SESSION, "--session-ttl=5 min", "--window=100", "--deadline=90"],
        'mode = "session"\nsession = { ttl = "5 min", window = 100, deadline = 90 }',
    ),
    (
        [*SESSION, "--session-ttl=0", "--window-bytes=8MiB"],
        'mode = "session"\nsession = { ttl = 0, window_bytes = "8 MiB" }',
    ),
    ([BACKEND, "--framing", "netstring"], 'framing = "netstring"'),
    ([BACKEND, "--message-type", "tagged"], 'message_type = "tagged"'),
    ([BACKEND, "--mode", "tunnel", "--text", "utf-8"], 'mode = "tunnel"\ntext = "utf-8"'),
    ([BACKEND, "--link-grace", "1 min"], 'link_grace = "1 min"'),
    ([BACKEND, "--link-grace", "0"], "link_grace = 0"),
    ([BACKEND, "--dial-timeout", "2.5s"], "dial_timeout = 2.5"),
    ([BACKEND, "--window-bytes", "64 KiB"], 'session = { window_bytes = "64 KiB" }'),
    ([BACKEND, "--window-bytes", "4096"], "session = { window_bytes = 4096 }"),
    ([BACKEND, "--site", "pages"], 'site = "pages"'),
    (
        [BACKEND, "--subprotocol", "orion.v1", "--subprotocol", "orion.v2"],
        'subprotocols = ["orion.v1", "orion.v2"]',
    ),
    ([BACKEND, "--compression"], "compression = true"),
    (
        [BACKEND, "--origin", "https://a.example", "--origin=null", "--allow-no-origin"],
        'origins = ["https://a.example", "null"]\nallow_no_origin = true',
    ),
    ([BACKEND, "--embed-in", "https://a.example"], 'embed_in = ["https://a.example"]'),
    ([BACKEND, "--token-keys", "keys"], 'token = { key_file = "keys" }'),
    ([BACKEND, "--client-ca", "ca.pem"], 'client_ca = "ca.pem"'),
]
"""Flags of the tenant ``default``, and the lines that mean the same in its table."""

DIAL_IN = ["--backend=dial-in", "--mode=session", "--dial-in=tcp:8887", "--dial-in-token-file=k"]
"""Flags of a backend that dials in, which belong together."""


def options(*flags: str) -> Options:
    parsed = Options()
    parsed.parseOptions(list(flags))
    return parsed


class FlagsTestCase(SynchronousTestCase):
    """Flags, and what they come to."""

    def settings(self, *flags: str) -> Settings:
        return read_settings(None, options(*flags).settings())


class SameMeaningTests(FlagsTestCase):
    """Flags and the file mean the same."""

    def test_node(self) -> None:
        """Every flag of the node has its setting."""
        for flags, line in NODE:
            with self.subTest(line):
                self.assertEqual(
                    self.settings(BACKEND, *flags),
                    load_settings(tomllib.loads(f"{line}\n{LEAST}")),
                )

    def test_tenant(self) -> None:
        """Every flag of the tenant has its setting; they make a tenant that answers every host."""
        for flags, line in TENANT:
            with self.subTest(line):
                least = LEAST if "backend = " not in line else LEAST.rsplit("\n", 2)[0] + "\n"
                self.assertEqual(
                    self.settings(*flags), load_settings(tomllib.loads(f"{least}{line}\n"))
                )

    def test_dial_in(self) -> None:
        """Flags alone make a tenant whose backend dials in."""
        table = LEAST.replace("tcp:127.0.0.1:7000", "dial-in") + 'mode = "session"\n'
        self.assertEqual(
            self.settings(*DIAL_IN),
            load_settings(
                tomllib.loads(f'dial_in = "tcp:8887"\n{table}dial_in = {{ token_file = "k" }}')
            ),
        )

    def test_every_flag_is_in_the_tables(self) -> None:
        """No flag is without its test here."""
        tested = {
            flag.removeprefix("--").partition("=")[0]
            for flags in (*(flags for flags, _ in NODE + TENANT), DIAL_IN)
            for flag in flags
            if flag.startswith("--")
        }
        known = {name.removesuffix("=") for name in Options().longOpt}
        self.assertEqual(known - tested, {"config", "help", "version"})
        self.assertEqual(tested - known, set())

    def test_mistakes_have_the_same_paths(self) -> None:
        """A wrong flag is reported as the setting that it stands for."""
        parsed = options(
            "--workers=two",
            "--limit=mesage=1",
            "--mode=rely",
            "--window-bytes=much",
            "--session-ttl=long",
            "--window=many",
            "--deadline=never",
            "--links=two",
            "--dialect=orion",
            "--dial-in=8887",
            "--dial-in-token-file=",
            "--fallback=*",
        )
        error = self.assertRaises(ConfigError, read_settings, None, parsed.settings())
        self.assertEqual(
            {problem.path for problem in error.problems},
            {
                "workers",
                "limits.mesage",
                "tenant.default.mode",
                "tenant.default.session.window_bytes",
                "tenant.default.session.ttl",
                "tenant.default.session.window",
                "tenant.default.session.deadline",
                "tenant.default.links",
                "tenant.default.dialect",
                "tenant.default.dial_in.token_file",
                "tenant.default.backend",
                "dial_in[0]",
                "fallback",
            },
        )

    def test_numbers(self) -> None:
        """Numbers are read as in the file, and odd ones refused as there."""
        for value, text in (
            ("-5", "at least 1"),
            ("0", "at least 1"),
            ("²", "expected a whole number"),  # a digit to Python, and no number
            ("1.5", "expected a whole number"),
            ("9" * 5000, "whole number"),
            ("", "expected a whole number"),
        ):
            for flag, path in (("--workers=", "workers"), ("--limit=connections=", "limits.conn")):
                with self.subTest(f"{flag}{value:.10}"):
                    parsed = options(BACKEND, flag + value)
                    error = self.assertRaises(ConfigError, read_settings, None, parsed.settings())
                    (problem,) = error.problems
                    self.assertTrue(problem.path.startswith(path))
                    self.assertIn(text, problem.text)

    def test_a_limit_without_a_value(self) -> None:
        """A limit is a name and a value."""
        self.assertRaises(UsageError, options, "--limit", "message")
        self.assertRaises(UsageError, options, "--limit")

    def test_unknown_flags(self) -> None:
        """A flag that is none is refused by name."""
        error = self.assertRaises(UsageError, options, "--backends=tcp:a:1")
        self.assertIn("backends", str(error))


class TogetherTests(FlagsTestCase):
    """A file, and flags that win over it."""

    def both(self, text: str, *flags: str) -> Settings:
        file = empty_folder(self) / "orion-bridge.toml"
        file.write_text(text)
        return read_settings(file, options(*flags).settings())

    def test_a_flag_wins(self) -> None:
        """A flag wins over the file; what it does not name stays."""
        settings = self.both(
            'fallback = "a.example"\nlisten = ["tcp:1", "tcp:2"]\n'
            f'{LEAST}path = "/a"\nmode = "relay"\n',
            "--listen=tcp:3",
            "--path=/b",
        )
        self.assertEqual([str(each) for each in settings.listen], ["tcp:3"])
        self.assertEqual(settings.fallback, "a.example")
        self.assertEqual((settings.tenants[0].path, settings.tenants[0].mode), ("/b", "relay"))

    def test_one_limit(self) -> None:
        """A limit given as a flag leaves the others of the file alone."""
        settings = self.both(
            f'limits = {{ message = "2 MiB", header = "2 KiB" }}\n{LEAST}', "--limit=message=1MiB"
        )
        self.assertEqual((settings.limits.message, settings.limits.header), (1 << 20, 2048))

    def test_other_tenants(self) -> None:
        """Flags of a tenant are those of ``default``: the tenants of the file stay as they are."""
        settings = self.both(
            LEAST.replace("default", "shop").replace("*", "shop.example"), BACKEND
        )
        self.assertEqual(
            {each.name: each.hosts for each in settings.tenants},
            {"shop": ("shop.example",), "default": ("*",)},
        )

    def test_hosts_of_the_file(self) -> None:
        """A flag for the tenant ``default`` of a file does not open it to other hosts."""
        settings = self.both(LEAST.replace("*", "shop.example"), "--link-grace=5s")
        (tenant,) = settings.tenants
        self.assertEqual((tenant.hosts, tenant.link_grace), (("shop.example",), 5.0))


class HelpTests(SynchronousTestCase):
    """`twistd orion-bridge --help`."""

    def test_every_flag(self) -> None:
        """Every flag is in the help, with what it does."""
        text = options().getUsage()
        for name in Options().longOpt:
            with self.subTest(name):
                self.assertRegex(text, rf"--{name}\S*,?\s+\S+")

    def test_defaults(self) -> None:
        """The defaults that the help speaks of are the ones that hold."""
        text = " ".join(options().getUsage().split())
        settings = read_settings(None, options(BACKEND).settings())
        (tenant,) = settings.tenants
        for said, holds in (
            ("listen", str(settings.listen[0])),
            ("certificates", settings.certificates),
            ("workers", str(settings.workers)),
            ("path", tenant.path),
            ("mode", tenant.mode),
            ("dialect", tenant.dialect),
            ("links", tenant.links or PER_BROWSER),
            ("framing", tenant.framing),
            ("message-type", tenant.message_type),
            ("text", tenant.text),
            ("link-grace", f'"{tenant.link_grace:g} s"'),
            ("dial-timeout", f'"{tenant.dial_timeout:g} s"'),
            ("session-ttl", f'"{format_duration(tenant.session.ttl)}"'),
            ("window", str(tenant.session.window)),
            ("window-bytes", f'"{format_size(tenant.session.window_bytes)}"'),
            ("deadline", f'"{format_duration(tenant.session.deadline)}"'),
        ):
            with self.subTest(said):
                (default,) = (
                    part.partition("[default: ")[2].partition("]")[0]
                    for part in text.split(" --")
                    if part.startswith((f"{said}=", f"{said} "))
                )
                self.assertEqual(default, holds)


class MakeServiceTests(SynchronousTestCase):
    """`makeService`."""

    def setUp(self) -> None:
        self.folder = empty_folder(self)
        self.reactor: Any = MemoryReactorClock()

    def test_a_gateway(self) -> None:
        """Flags that describe a gateway make one; nothing listens before it is started."""
        (self.folder / "localhost.pem").write_bytes(issue(["localhost"]).pem)
        flags = options(BACKEND, f"--certificates={self.folder}", "--fallback=localhost")
        service = makeService(flags, self.reactor)
        assert isinstance(service, Gateway)
        self.assertEqual(self.reactor.tcpServers, [])
        service.privilegedStartService()
        self.assertEqual([server[0] for server in self.reactor.tcpServers], [8889])

    def test_a_file(self) -> None:
        """So does a file."""
        file = self.folder / "orion-bridge.toml"
        file.write_text(f'listen = ["tcp:8888"]\n{LEAST}')
        self.assertIsInstance(makeService(options("--config", str(file)), self.reactor), Gateway)
        self.assertIsInstance(makeService(options("-c", str(file)), self.reactor), Gateway)

    def test_every_mistake(self) -> None:
        """A failing start says every mistake with its path, and ends with status 1."""
        flags = options("--listen=tcp:0x1", "--mode=rely")
        error = self.assertRaises(SystemExit, makeService, flags, self.reactor)
        first, *lines = str(error.code).splitlines()
        self.assertEqual(first, "orion-bridge: cannot start")
        self.assertEqual(
            {line.partition(":")[0] for line in lines},
            {"listen[0]", "tenant.default.mode", "tenant.default.backend"},
        )

    def test_nothing_said(self) -> None:
        """Without a word of a backend the start says what is missing."""
        error = self.assertRaises(SystemExit, makeService, options())
        self.assertIn("tenant: no tenant is configured", str(error.code))
        self.assertIn("--backend", str(error.code))

    def test_the_machine(self) -> None:
        """What the machine does not have is said in the same way."""
        flags = options(BACKEND, f"--certificates={self.folder}/none")
        error = self.assertRaises(SystemExit, makeService, flags, self.reactor)
        self.assertIn("\ncertificates: cannot read the folder", str(error.code))

    def test_status(self) -> None:
        """The process ends with status 1 and the mistakes, without a traceback."""
        ended = subprocess.run(
            [*twistd(), "-n", "--pidfile=", "orion-bridge", "--mode=rely"],
            cwd=self.folder,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.assertEqual((ended.returncode, ended.stdout), (1, ""))
        self.assertRegex(ended.stderr, r"\Aorion-bridge: cannot start\ntenant\.default\.mode: ")
        self.assertNotIn("Traceback", ended.stderr)
