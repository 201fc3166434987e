"""The benchmark as anyone runs it: its command line, its gateways, and one short real run."""

import argparse
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import ClassVar
from unittest import TestCase

from attrs import evolve
from cryptography.hazmat.primitives.serialization import pkcs12

from bench.backends import BACKENDS
from bench.catalogue import GATEWAYS, Bridge, Orion, as_pkcs12
from bench.gateways import Gateway, Missing, Place, output
from bench.machine import Cpus
from bench.report import from_json
from bench.rounds import Plan, Run
from bench.run import DEFAULT_LEFT_OUT, parser, plan_of
from bench.scenarios import KIB, MIB, SCENARIOS, Kind
from tests.harness import REPOSITORY, make_certificates

CPUS = Cpus.choose()
RUN_TIMEOUT = 120.0


class CommandLineTests(TestCase):
    def plan(self, *arguments: str) -> Plan:
        return plan_of(parser().parse_args(arguments), CPUS)

    def names(self, plan: Plan) -> list[str]:
        return [each.name for each in plan.gateways]

    def test_help_teaches(self) -> None:
        """It names every scenario with its unit, and every gateway."""
        text = parser().format_help()
        for name, scenario in SCENARIOS.items():
            self.assertRegex(text, rf"(?m)^  {name} +{scenario.unit} ")
        for name in GATEWAYS:
            self.assertRegex(text, rf"(?m)^  {name} ")

    def test_everything(self) -> None:
        plan = self.plan()
        self.assertEqual([each.name for each in plan.scenarios], list(SCENARIOS))
        self.assertEqual({*self.names(plan)}, {*GATEWAYS} - DEFAULT_LEFT_OUT)
        self.assertEqual((plan.base, plan.seconds, plan.repeat), ("orion", 2.0, 5))

    def test_short(self) -> None:
        plan = self.plan("--short")
        self.assertEqual((plan.seconds, plan.repeat, plan.repeat_memory), (0.5, 3, 1))
        self.assertLess(len(plan.scenarios), len(SCENARIOS))
        named = self.plan("--short", "--seconds", "3", "--scenarios", "rr-1k")
        self.assertEqual(
            (named.seconds, [each.name for each in named.scenarios]), (3.0, ["rr-1k"])
        )

    def test_selection(self) -> None:
        """In the order in which they are named; the first gateway is the base."""
        plan = self.plan("--scenarios", "storm, rr-64", "--gateways", "node,orion")
        self.assertEqual([each.name for each in plan.scenarios], ["storm", "rr-64"])
        self.assertEqual((self.names(plan), plan.base), (["node", "orion"], "node"))
        self.assertEqual(self.plan("--gateways", "node,orion", "--base", "orion").base, "orion")

    def test_checkout(self) -> None:
        """This gateway can be compared with itself in another checkout."""
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "orion_twisted").mkdir()
            plan = self.plan("--checkout", f"main={folder}", "--gateways", "orion,main")
            main = plan.gateways[1]
            assert isinstance(main, Orion)
            self.assertEqual(main.environment(), {"PYTHONPATH": str(Path(folder).resolve())})

    def test_share(self) -> None:
        """Each process may be held to a share of the time."""
        self.assertIsNone(self.plan().share)
        self.assertEqual(self.plan("--share", "0.3").share, 0.3)

    def test_mistakes(self) -> None:
        for arguments in (
            ["--scenarios", "rr-65"],
            ["--scenarios", ","],
            ["--gateways", "nginx"],
            ["--gateways", "orion", "--base", "node"],
        ):
            with self.subTest(arguments), self.assertRaises(argparse.ArgumentTypeError):
                self.plan(*arguments)
        for arguments in (
            ["--seconds", "0"],
            ["--repeat", "-1"],
            ["--repeat", "some"],
            ["--share", "1"],
            ["--share", "half"],
            ["--checkout", "main=/nowhere"],
            ["--checkout", f"node={REPOSITORY}"],
        ):
            with (
                self.subTest(arguments),
                self.assertRaises(SystemExit),
                contextlib.redirect_stderr(io.StringIO()),
            ):
                self.plan(*arguments)


class ScenarioTests(TestCase):
    def test_units(self) -> None:
        """A cost is for a message, or for a MiB where messages are large."""
        self.assertEqual(SCENARIOS["rr-16k"].units_of(10), 10)
        self.assertEqual(SCENARIOS["bulk-64k"].units_of(32), 2)
        self.assertEqual(SCENARIOS["bulk-1m"].units_of(3), 3)
        self.assertEqual(SCENARIOS["storm"].units_of(7), 7)

    def test_names_say_the_size(self) -> None:
        for name, scenario in SCENARIOS.items():
            size = {"64": 64, "1k": KIB, "16k": 16 * KIB, "64k": 64 * KIB, "1m": MIB}
            if scenario.kind in (Kind.MESSAGES, Kind.BULK):
                self.assertEqual(scenario.size, size[name.partition("-")[2]], name)


class GatewayTests(TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        make_certificates(self.folder, "localhost")

    def place(self) -> Place:
        return Place(8889, 7000, self.folder, self.folder)

    def test_backends_exist(self) -> None:
        for gateway in GATEWAYS.values():
            self.assertIn(gateway.backend, BACKENDS)
            self.assertTrue({*gateway.only} <= {*SCENARIOS})

    def test_our_settings_are_good(self) -> None:
        """The gateway's own check accepts what it is started with."""
        gateway = GATEWAYS["orion"]
        command = gateway.command(self.place())
        self.assertIn(f"--config={self.folder / 'orion-bridge.toml'}", command)

    def test_settings_that_are_not(self) -> None:
        """What this version does not know is a reason to leave the gateway out."""
        orion = GATEWAYS["orion"]
        assert isinstance(orion, Orion)
        for changed, reason in (
            (evolve(orion, tenant=('mode = "carrier pigeon"',)), "mode"),
            (evolve(orion, flags=("--warp=9",)), "this version has no --warp"),
        ):
            with self.assertRaisesRegex(Missing, reason):
                changed.command(self.place())

    def test_version(self) -> None:
        self.assertRegex(GATEWAYS["orion"].version(), r"^\d+\.\d+")

    def test_what_is_not_there(self) -> None:
        """A package or program that is not on the machine is named."""
        bridge = Bridge(name="b", about="", module="b", packages=("no-such-package-here",))
        with self.assertRaisesRegex(Missing, "no-such-package-here"):
            bridge.version()
        with self.assertRaisesRegex(Missing, "no-such-program"):
            output(["no-such-program"])

    def test_what_failed_says_why(self) -> None:
        with self.assertRaisesRegex(Missing, "^the reason$"):
            output([sys.executable, "-c", "import sys; sys.exit('the reason')"])

    def test_too_large_or_too_many(self) -> None:
        """What a gateway cannot do, it is not given; memory is measured with what it can."""
        websocat, websockify = GATEWAYS["websocat"], GATEWAYS["websockify"]
        self.assertIn("16 KiB", websocat.cannot(SCENARIOS["bulk-1m"]) or "")
        self.assertIsNone(websocat.cannot(SCENARIOS["rr-16k"]))
        self.assertIn("100", websockify.cannot(SCENARIOS["fan-64"]) or "")
        self.assertIsNone(websockify.cannot(SCENARIOS["idle"]))
        self.assertEqual(websockify.connections(SCENARIOS["idle"]), 100)
        self.assertEqual(websocat.connections(SCENARIOS["idle"]), 2000)

    def test_session_mode_has_its_scenarios(self) -> None:
        sessions = GATEWAYS["orion-v2"]
        self.assertEqual(sessions.cannot(SCENARIOS["idle"]), "")
        self.assertIsNone(sessions.cannot(SCENARIOS["rr-64"]))

    def test_pkcs12(self) -> None:
        """The archive has the key and the certificate, and opens with its password."""
        pem = (self.folder / "localhost.pem").read_bytes()
        key, certificate, _ = pkcs12.load_key_and_certificates(as_pkcs12(pem), b"bench")
        assert key is not None
        assert certificate is not None
        self.assertEqual(
            key.public_key().public_numbers(),  # type: ignore[union-attr]
            certificate.public_key().public_numbers(),  # type: ignore[union-attr]
        )


class BrokenGateway(Gateway):
    """One that is there, and ends as soon as it is started."""

    def version(self) -> str:
        return "broken 1.0"

    def command(self, place: Place) -> list[str]:
        return [sys.executable, "-c", "import sys; sys.exit('out of order')"]


class LyingGateway(Gateway):
    """One that ends TLS, and echoes whatever comes: no upgrade, no frames."""

    lie: ClassVar[str] = """
import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2])
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    raw, _ = listener.accept()
    try:
        with context.wrap_socket(raw, server_side=True) as connection:
            while data := connection.recv(65536):
                connection.sendall(b"HTTP/1.1 200 OK\\r\\n\\r\\n")
    except OSError:
        pass
"""

    def version(self) -> str:
        return "lying 1.0"

    def command(self, place: Place) -> list[str]:
        return [sys.executable, "-c", self.lie, str(place.port), str(place.certificate)]


class RunTests(TestCase):
    """Real processes; nothing is asserted of how long anything takes."""

    def test_short_run(self) -> None:
        """One gateway, one scenario, started as a stranger would: figures, no visit dropped."""
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        figures, picture = folder / "run.json", folder / "run.svg"
        command = [
            *(sys.executable, str(REPOSITORY / "bench/run.py"), "--gateways=orion"),
            *("--scenarios=rr-64", "--seconds=0.3", "--repeat=1"),
            *(f"--json={figures}", f"--svg={picture}"),
        ]
        done = subprocess.run(
            command,
            cwd=folder,
            env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=RUN_TIMEOUT,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        results = from_json(figures.read_text())
        (series,) = results.series
        self.assertEqual(series.dropped, ())
        (visit,) = series.visits
        assert visit.cost is not None
        self.assertGreater(visit.cost, 0)
        self.assertGreater(visit.rate, 0)
        self.assertEqual(results.gateways["orion"].tls.split()[0], "TLSv1.3")
        self.assertIn("us/message", done.stdout)
        self.assertIn("<svg", picture.read_text())
        self.assertEqual(json.loads(figures.read_text())["series"][0]["median"], visit.cost)

    def test_what_does_not_count(self) -> None:
        """A gateway that does not start is left out; visits of one that lies are dropped."""
        told: list[str] = []
        plan = Plan(
            gateways=[
                BrokenGateway(name="broken", about=""),
                LyingGateway(name="lying", about=""),
            ],
            scenarios=[SCENARIOS["rr-64"]],
            seconds=0.1,
            repeat=2,
            repeat_memory=1,
            base="broken",
            cpus=CPUS,
        )
        with Run(plan, told.append) as run:
            results = run.results({})
        self.assertEqual(results.skipped, {"broken": "out of order"})
        self.assertIn("broken is left out: out of order", told)
        (series,) = results.series
        self.assertIsNone(series.cost)
        self.assertEqual(series.dropped, ("no upgrade: HTTP/1.1 200 OK",) * 2)
        self.assertEqual(results.base, "lying")
