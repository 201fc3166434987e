"""What the documents say of session mode is so: examples are run, tables are compared."""

import json
import re
import shutil
import socket
import sys
from http import HTTPStatus
from pathlib import Path
from unittest import TestCase

from orion_twisted.core.counters import Counters
from orion_twisted.service.dial_in import HELLO_TIME, MOST_ARRIVALS, MOST_INSTANCES, REFUSALS
from orion_twisted.service.reload import load_secrets
from orion_twisted.service.startup import read_settings
from orion_twisted.web.admin import MetricsCollector
from tests.browser import Browser
from tests.detour import Detour
from tests.documents import Block, all_pages, code_in, read_page
from tests.e2e.backends import Backend, Peer
from tests.harness import (
    ENDED_IN_ORDER,
    PATIENCE,
    Process,
    client_context,
    eventually,
    free_port,
    make_certificates,
    twistd,
)
from tests.test_docs import (
    CERTIFICATES_FOLDER,
    PAGE_HOST,
    SETTINGS_FILE,
    run_shell,
    settings_of,
    start_page,
    temporary_folder,
)
from tests.web.test_admin import REPORT

OPERATE = read_page("docs/operate.md")
INTEGRATE = read_page("docs/integrate.md")

MORE_OF_THE_PAGE = """
const say = (error) => console.log(error.code);
console.log(await session.request(JSON.stringify({ cmd: "cut" })));
await session.request(JSON.stringify({ cmd: "late" }), { ttl: 200 }).catch(say);
await session.request("no JSON").catch(say);
process.exit(0);
"""


def only(blocks: list[Block], kind: str) -> Block:
    """Return the one block of a kind."""
    (block,) = (each for each in blocks if each.kind == kind)
    return block


class PageTests(TestCase):
    """The client of docs/integrate.md, in node."""

    def engine(self, peer: Peer) -> None:
        """Answer in ``orion.v1``, push behind each answer, and cut the browser off when told."""
        while (payload := peer.read_frame()) is not None:
            message = json.loads(payload)
            self.asked.append(message["cmd"])
            if message["cmd"] == "cut":
                self.detour.cut()
            if message["cmd"] != "late":
                answer = f'{{"msgID":{message["@MSGID"]},"did":"{message["cmd"]}"}}'
                peer.send_frame(answer.encode())
                peer.send_frame(b'{"event":"saved"}')

    def test_a_visit(self) -> None:
        """It gets each answer once, though its socket breaks under a request, and each push; it
        learns by name what has failed."""
        self.asked: list[str] = []
        folder, port = temporary_folder(self), free_port()
        ca_file = make_certificates(folder / "certs", "localhost")
        backend = self.enterContext(Backend(self.engine))
        flags = ["--certificates=certs", "--fallback=localhost", "--mode=session"]
        flags += [f"--listen=tls:{port}:interface=127.0.0.1", f"--backend={backend.endpoint}"]
        gateway = Process([*twistd(), "-n", "--pidfile=", "orion-bridge", *flags], folder)
        self.addCleanup(gateway.kill)
        gateway.wait_for_port(port)
        self.detour = self.enterContext(Detour(port))
        text = only(INTEGRATE.blocks, "session").text
        self.assertIn(PAGE_HOST, text)
        text = text.replace(PAGE_HOST, f"wss://localhost:{self.detour.port}/") + MORE_OF_THE_PAGE
        page, printed = start_page(self, text, folder, ca_file)
        self.assertEqual(0, page.wait(PATIENCE), printed.read_text())
        self.assertEqual((["version", "cut", "late"], 2), (self.asked, self.detour.count))
        pushes = ['push {"event":"saved"}'] * 2
        results = ['{"msgID":1,"did":"version"}', '{"msgID":2,"did":"cut"}']
        lines = printed.read_text().splitlines()
        self.assertEqual(sorted([*pushes, *results, "TIMEOUT", "BAD_MESSAGE"]), sorted(lines))
        self.assertEqual(ENDED_IN_ORDER, gateway.stop())
        self.assertNotIn("Traceback", gateway.log)


class DialInTests(TestCase):
    """The engine of docs/operate.md, its secret and its settings."""

    def setUp(self) -> None:
        self.folder = temporary_folder(self)
        run_shell(only(OPERATE.blocks, "secret").text, self.folder)

    def test_secret(self) -> None:
        """The lines leave a file with one secret, which nobody else may read."""
        (file,) = (self.folder / "keys").iterdir()
        self.assertEqual(1, len(load_secrets(file).accepted))
        self.assertEqual(0o600, file.stat().st_mode & 0o777)

    def here(self, text: str) -> str:
        """Return a text of the page with ports and folders of this test."""
        text = text.replace("tls:443", "tls:443:interface=127.0.0.1")
        for number, port in self.ports.items():
            text = re.sub(rf"\b{number}\b", str(port), text)
        return text.replace(CERTIFICATES_FOLDER, "certs")

    def test_engine(self) -> None:
        """It dials in with the settings above it, and answers; so does the one after it."""
        self.ports = {number: free_port() for number in (443, 8888, 8887)}
        block = only(OPERATE.blocks, "dial-in")
        settings = self.folder / SETTINGS_FILE
        settings.write_text(self.here(settings_of(block)))
        (host,) = read_settings(settings, {}).tenants[0].hosts
        ca_file = make_certificates(self.folder / "certs", host)
        command = [*twistd(), "-n", "--pidfile=", "orion-bridge", "--config", SETTINGS_FILE]
        gateway = Process(command, self.folder)
        self.addCleanup(gateway.kill)
        gateway.wait_for_port(self.ports[443])
        for number in (1, 2):
            engine = self.start_engine(self.here(block.text), number)
            with Browser(
                f"wss://{host}:{self.ports[443]}/ws",
                socket.create_connection(("127.0.0.1", self.ports[443]), PATIENCE),
                ssl=client_context(ca_file),
                proxy=None,
            ) as browser:
                browser.send(f'{{"@MSGID":{number},"cmd":"move"}}')
                answer = {"msgID": number, "success": True, "message": "did move"}
                self.assertEqual(answer, json.loads(browser.recv(PATIENCE)))
            engine.kill()
            line = "backend 127.0.0.1 of shop3 is gone"
            eventually(lambda: gateway.log.count(line) == number, line)  # noqa: B023
        self.assertEqual(ENDED_IN_ORDER, gateway.stop())
        self.assertNotIn("Traceback", gateway.log)

    def start_engine(self, text: str, number: int) -> Process:
        folder = self.folder / f"engine-{number}"
        folder.mkdir()
        shutil.copytree(self.folder / "keys", folder / "keys")
        Path(folder, "engine.py").write_text(text)
        engine = Process([sys.executable, "engine.py"], folder)
        self.addCleanup(engine.kill)
        return engine

    def test_numbers(self) -> None:
        """The numbers on the page are those of the code."""
        text = OPERATE.section("Backends that dial in")
        self.assertIn(f"{MOST_ARRIVALS} connections may stand at the door", text)
        self.assertIn(f"{MOST_INSTANCES} instances of a tenant may be in", text)
        self.assertEqual(5.0, HELLO_TIME)
        self.assertIn("within five seconds", text)

    def test_every_refusal_is_there(self) -> None:
        """Each reason stands in the table with its close code, and no others."""
        rows = OPERATE.table("Why a backend was refused")
        documented = {code_in(reason)[0]: int(code) for reason, code, _ in rows}
        known = {reason: int(code) for reason, code in REFUSALS.items()}
        crowd = {"crowd": int(HTTPStatus.SERVICE_UNAVAILABLE)}
        self.assertEqual(known | crowd, documented)


class MetricTests(TestCase):
    """An operator finds in /metrics what the pages name."""

    def test_every_metric_that_is_named(self) -> None:
        """Each name that a page mentions is one that Prometheus reads there."""
        families = MetricsCollector(Counters(), lambda: REPORT).collect()
        known = {
            f"{each.name}_total" if each.type == "counter" else each.name for each in families
        }
        for page in all_pages():
            named = {code for code in page.code if re.fullmatch(r"orion_\w+", code)}
            self.assertLessEqual(named - {"orion_twisted"}, known, page.name)

    def test_the_table(self) -> None:
        """What session mode adds to them stands in the table, all of it."""
        rows = OPERATE.table("What they are doing")
        named = {code for names, _ in rows for code in code_in(names)}
        for name in (
            "open_sessions",
            "held_messages",
            "held_bytes",
            "open_links",
            "dialled_in_backends",
            "sessions_total",
            "sessions_ended_total",
            "session_keys_wrong_total",
            "resumes_total",
            "outcomes_total",
            "answers_dropped_total",
            "pushes_total",
            "pushes_dropped_total",
            "dial_ins_total",
            "dial_ins_refused_total",
            "messages_undelivered_total",
        ):
            self.assertIn(f"orion_{name}", named)
