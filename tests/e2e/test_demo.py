"""The demo: its scripted conversation, its console page, the shop, and its parts one by one."""

from __future__ import annotations

import gzip
import json
import re
import socket
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urljoin

from websockets.exceptions import InvalidStatus

from orion_twisted.demo.run import NOT_BUILT, is_built
from tests.browser import Browser
from tests.e2e.answers import Answer, head, read_answer
from tests.e2e.browsers import ending
from tests.harness import (
    PATIENCE,
    Door,
    GatewayTestCase,
    Process,
    eventually,
    free_port,
    needs_pages,
    orion_bridge,
)

CHECK_TIMEOUT = 60
"""Seconds for the whole conversation."""


class CheckTests(GatewayTestCase):
    def test_the_check_goes_well(self) -> None:
        """demo --check edits a document over wss, prints each step, and exits with 0."""
        command = orion_bridge("demo", "--check")
        status, said = self.run_to_its_end(command, patience=CHECK_TIMEOUT)
        self.assertEqual(status, 0, said)
        steps = re.findall(r"^ok +[0-9.]+ ms", said, re.MULTILINE)
        self.assertGreater(len(steps), 10, said)
        self.assertNotIn("FAIL", said)

    def test_a_port_that_is_taken(self) -> None:
        """It says which, and what to do about it; the status is 1."""
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            for flag in ("--port", "--shop-port", "--engine-port"):
                flags = {"--port": "0", "--shop-port": "0", "--engine-port": "0", flag: str(port)}
                words = [word for pair in flags.items() for word in pair]
                status, said = self.run_to_its_end(orion_bridge("demo", *words))
                self.assertEqual(status, 1, said)
                self.assertRegex(said, f"Error: .*127.0.0.1:{port}")
                self.assertIn(flag, said.splitlines()[-1])

    def test_a_folder_that_cannot_be_had(self) -> None:
        """A file that stands in its way is named."""
        taken = self.new_folder() / "a file"
        taken.touch()
        command = orion_bridge("demo", "--port=0", f"--folder={taken}")
        status, said = self.run_to_its_end(command)
        self.assertEqual((status, said.count(str(taken)) > 0), (1, True), said)

    def test_no_port(self) -> None:
        """A number that is no port is refused with its flag."""
        for number in ("-3", "65536"):
            status, said = self.run_to_its_end(orion_bridge("demo", "--port", number))
            self.assertEqual((status, "'--port'" in said), (2, True), said)


EDITOR = "editor.localhost"
SHOP = "shop.localhost"


def ask(door: Door, host: str, method: str, path: str, *headers: str) -> Answer:
    """Ask one of the demo's hosts for something, on a connection of its own."""
    with door.dial_tls(host) as connection:
        line = f"{method} {path} HTTP/1.1"
        connection.sendall(head(line, "Connection: close", *headers, host=f"{host}:{door.port}"))
        return read_answer(connection)


def bearer(token: str) -> list[str]:
    """Return the subprotocols that show a token."""
    return ["orion.v2", f"orion.bearer.{token}"]


def welcome(browser: Browser) -> dict[str, Any]:
    """Begin a session; return what the gateway says to that."""
    browser.send(json.dumps({"type": "hello"}))
    answer: dict[str, Any] = json.loads(browser.recv(timeout=PATIENCE))
    return answer


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
            browser.send(json.dumps({"@MSGID": 7, "cmd": "documents"}))
            answer = json.loads(browser.recv(timeout=PATIENCE))
            self.assertEqual((answer["msgID"], answer["success"]), (7, True))

    def test_it_prints_where_to_look(self) -> None:
        """The addresses are printed, and how to trust the certificates."""
        eventually(lambda: f"https://localhost:{self.door.port}/" in self.demo.log, "its address")
        self.assertIn("ca.pem", self.demo.log)
        self.assertNotIn("Traceback", self.demo.log)

    def test_the_editor_in_the_shop(self) -> None:
        """Where the Web Editor is built, the shop is shown, and an address of the editor alone."""
        if not is_built():
            eventually(lambda: NOT_BUILT in self.demo.log, "why there is no editor")
            needs_pages(self)
        door = self.door
        eventually(
            lambda: f"https://shop.localhost:{door.port + 2}\n" in self.demo.log, "the shop"
        )
        address = re.search(rf"https://editor\.localhost:{door.port}/#token=(\S+)", self.demo.log)
        assert address is not None, self.demo.log
        for _ in range(2):
            with door.browser(host=EDITOR, subprotocols=bearer(address[1])) as browser:
                self.assertEqual(welcome(browser)["type"], "welcome")
        editor = ask(door, EDITOR, "GET", "/")
        self.assertEqual(editor.status, 200)
        self.assertIn("text/html", editor.headers["content-type"])
        script = ask(door, EDITOR, "GET", "/embed.js")
        self.assertEqual((script.status, script.headers["content-type"]), (200, "text/javascript"))
        # Without these the shop's page may neither load the script nor show the editor.
        self.assertEqual(script.headers["cross-origin-resource-policy"], "cross-origin")
        self.assertIn(
            f"frame-ancestors https://shop.localhost:{door.port + 2}",
            editor.headers["content-security-policy"],
        )

    def test_a_short_first_load(self) -> None:
        """A browser that sees the editor for the first time has it after 150 kB."""
        if not is_built():
            needs_pages(self)
        accepted = "Accept-Encoding: gzip"
        page = ask(self.door, EDITOR, "GET", "/", accepted)
        assets = Assets()
        assets.feed(gzip.decompress(page.body).decode())
        answers = [ask(self.door, EDITOR, "GET", path, accepted) for path in assets.links]
        self.assertEqual([each.status for each in answers], [200] * len(answers))
        size = len(page.body) + sum(len(each.body) for each in answers)
        self.assertLess(size, 150_000)


class PartsTests(GatewayTestCase):
    """Engine, gateway and shop as processes of their own, that begin at the same moment."""

    data: ClassVar[Path]
    engine_port: ClassVar[int]
    gateway_door: ClassVar[Door]
    shop_door: ClassVar[Door]
    parts: ClassVar[dict[str, Process]]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.data = cls.new_folder() / "data"
        cls.engine_port = free_port()
        ca_file = cls.data / "certs" / "ca.pem"
        cls.gateway_door, cls.shop_door = Door(free_port(), ca_file), Door(free_port(), ca_file)
        cls.parts = {part: cls.begin(part) for part in ("engine", "gateway", "shop")}
        for part, process in cls.parts.items():
            cls.wait_until_ready(part, process)

    @classmethod
    def begin(cls, part: str, *flags: str, shop_port: int | None = None) -> Process:
        ports = {
            "port": cls.gateway_door.port,
            "engine-port": cls.engine_port,
            "shop-port": shop_port or cls.shop_door.port,
        }
        command = orion_bridge(
            "demo",
            f"--only={part}",
            f"--folder={cls.data}",
            *(f"--{name}={port}" for name, port in ports.items()),
            *flags,
        )
        process = Process(command, cls.new_folder())
        cls.addClassCleanup(lambda: process.stop() if process.is_running else None)
        return process

    @staticmethod
    def wait_until_ready(part: str, process: Process) -> str:
        """Wait for the line that says so; return the address in it."""
        line = re.compile(rf"^{part} ready on (\S+)$", re.MULTILINE)
        eventually(
            lambda: line.search(process.log) or not process.is_running,
            f"{part}'s line",
            within=2 * PATIENCE,  # three processes begin at the same moment
        )
        found = line.search(process.log)
        assert found is not None, process.log
        return found[1]

    @classmethod
    def token(cls, door: Door, host: str = SHOP) -> str:
        """Visit a shop and return a token that it gives the visitor."""
        page = ask(door, host, "GET", "/")
        cookie = page.headers["set-cookie"].partition(";")[0]
        origin = f"https://{host}:{door.port}"
        answer = ask(door, host, "POST", "/orion-token", f"Cookie: {cookie}", f"Origin: {origin}")
        return str(json.loads(answer.body)["token"])

    def test_where_they_are(self) -> None:
        """Each says where it listens, in one line."""
        addresses = [self.wait_until_ready(*each) for each in self.parts.items()]
        self.assertEqual(
            addresses,
            [
                f"tcp:127.0.0.1:{self.engine_port}",
                f"https://{EDITOR}:{self.gateway_door.port}",
                f"https://{SHOP}:{self.shop_door.port}",
            ],
        )

    def test_the_shops_token(self) -> None:
        """The shop's token lets its customer in, once."""
        token = self.token(self.shop_door)
        with self.gateway_door.browser(host=EDITOR, subprotocols=bearer(token)) as browser:
            self.assertEqual(welcome(browser)["type"], "welcome")
        with self.assertRaises(InvalidStatus) as caught:
            self.gateway_door.browser(host=EDITOR, subprotocols=bearer(token))
        self.assertEqual(caught.exception.response.status_code, 401)

    def test_no_token(self) -> None:
        """Without a token nobody comes to the engine by the editor's name."""
        with self.gateway_door.browser(host=EDITOR, subprotocols=["orion.v2"]) as browser:
            browser.send(json.dumps({"type": "hello"}))
            self.assertEqual(ending(browser).code, 4508)

    def test_a_page_that_may_not_embed(self) -> None:
        """Under a name that is not in `embed_in` the same page is not let in."""
        door = Door(free_port(), self.shop_door.ca_file)
        other = self.begin("shop", "--shop-host=other.localhost", shop_port=door.port)
        address = self.wait_until_ready("shop", other)
        self.assertEqual(address, f"https://other.localhost:{door.port}")
        with self.assertRaises(InvalidStatus) as caught:
            token = self.token(door, "other.localhost")
            self.gateway_door.browser(host=EDITOR, subprotocols=bearer(token))
        self.assertEqual(caught.exception.response.status_code, 403)
        policy = ask(self.gateway_door, EDITOR, "GET", "/nothing.js").headers
        self.assertEqual(
            policy["content-security-policy"].rpartition("frame-ancestors ")[2],
            f"https://{SHOP}:{self.shop_door.port}",
        )

    def test_one_ends_and_comes_back(self) -> None:
        """Any part may be killed and started again, at the same place, while the others go on."""
        for part in self.parts:
            self.parts[part].kill()
            self.parts[part] = self.begin(part)
            self.wait_until_ready(part, self.parts[part])
        token = self.token(self.shop_door)
        with self.gateway_door.browser(host=EDITOR, subprotocols=bearer(token)) as browser:
            self.assertEqual(welcome(browser)["type"], "welcome")
            browser.send('{"type":"request","n":1}\n{"cmd":"hello"}')
            header, _, payload = str(browser.recv(timeout=PATIENCE)).partition("\n")
            self.assertEqual(json.loads(header)["type"], "result")
            self.assertIs(json.loads(payload)["success"], True)
