"""The demo: its scripted conversation, and the console page that it serves."""

from __future__ import annotations

import json
import re
import subprocess
from html.parser import HTMLParser
from typing import ClassVar
from urllib.parse import urljoin

from tests.e2e.answers import Answer, head, read_answer
from tests.harness import (
    PATIENCE,
    Door,
    GatewayTestCase,
    Process,
    environment,
    eventually,
    free_port,
    orion_bridge,
)

CHECK_TIMEOUT = 60
"""Seconds for the whole conversation."""


class CheckTests(GatewayTestCase):
    def test_the_check_goes_well(self) -> None:
        """demo --check edits a document over wss, prints each step, and exits with 0."""
        done = subprocess.run(
            orion_bridge("demo", "--check"),
            cwd=self.new_folder(),
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=CHECK_TIMEOUT,
            text=True,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stdout)
        steps = re.findall(r"^ok +[0-9.]+ ms", done.stdout, re.MULTILINE)
        self.assertGreater(len(steps), 10, done.stdout)
        self.assertNotIn("FAIL", done.stdout)
        self.assertNotIn("Traceback", done.stdout)


IMPORT = re.compile(r"""^\s*(?:import|export)\b[^;"']*["'](\.[^"']+)["']""", re.MULTILINE)
"""What a script of the page loads in its turn."""


class Assets(HTMLParser):
    """Gathers what a page loads from its own server."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        link = dict(attrs).get("href" if tag == "link" else "src")
        if tag in ("link", "script", "img") and link and not link.startswith("data:"):
            self.links.append(link)


class DemoTests(GatewayTestCase):
    demo: ClassVar[Process]
    door: ClassVar[Door]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        port = free_port()
        data = cls.new_folder()
        command = orion_bridge("demo", "--port", str(port), "--folder", str(data))
        cls.demo = Process(command, cls.new_folder())
        cls.addClassCleanup(cls.demo.stop)
        cls.demo.wait_for_port(port)
        cls.door = Door(port, data / "certs" / "ca.pem")

    def get(self, path: str) -> Answer:
        with self.door.dial_tls() as connection:
            connection.sendall(head(f"GET {path} HTTP/1.1", "Connection: close"))
            return read_answer(connection)

    def test_the_page_and_all_it_loads(self) -> None:
        """The console page comes over https, and so does everything that it refers to."""
        page = self.get("/")
        self.assertEqual(page.status, 200)
        self.assertIn("text/html", page.headers["content-type"])
        assets = Assets()
        assets.feed(page.body.decode())
        waiting = [urljoin("/", link) for link in assets.links]
        self.assertGreater(len(waiting), 1, "a page without script and style")
        found: dict[str, int] = {}
        while waiting:
            path = waiting.pop()
            if path in found:
                continue
            asset = self.get(path)
            found[path] = asset.status
            self.assertGreater(len(asset.body), 0, path)
            if path.endswith(".js"):
                self.assertIn("javascript", asset.headers["content-type"])
                waiting += [urljoin(path, link) for link in IMPORT.findall(asset.body.decode())]
        self.assertEqual(found, dict.fromkeys(found, 200))
        self.assertEqual(self.get("/index.html").body, page.body)

    def test_what_is_not_there(self) -> None:
        """A file that is not there is 404, and so is what lies beside the page's folder."""
        for path in ("/nothing.txt", "/../run.py", "/%2e%2e/run.py", "/..%2frun.py"):
            with self.subTest(path):
                self.assertEqual(self.get(path).status, 404)

    def test_the_console_talks_to_the_engine(self) -> None:
        """wss /ws answers a message with the result that has its number."""
        with self.door.browser() as browser:
            browser.send(json.dumps({"@MSGID": 7, "cmd": "version"}))
            answer = json.loads(browser.recv(timeout=PATIENCE))
            self.assertEqual((answer["msgID"], answer["success"]), (7, True))

    def test_it_prints_where_to_look(self) -> None:
        """The address is printed, and how to trust the certificate."""
        eventually(lambda: f"https://localhost:{self.door.port}/" in self.demo.log, "its address")
        self.assertIn("ca.pem", self.demo.log)
        self.assertNotIn("Traceback", self.demo.log)
