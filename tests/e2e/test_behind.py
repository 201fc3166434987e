"""
The gateway behind nginx and HAProxy, with the very files that docs/behind.md shows.

Ports, folders and addresses are this machine's, and a minute is `CUT` seconds; all else is as on
the page. Each proxy stands before a gateway with the settings that the page shows above it.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import time
import unittest
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import ClassVar, NamedTuple

from websockets.exceptions import ConnectionClosed

from tests.browser import Browser
from tests.documents import Block, Page, read_page
from tests.e2e.answers import Answer, head, read_answer
from tests.e2e.backends import Backend, echo
from tests.harness import (
    BUGS,
    ENDED_IN_ORDER,
    PATIENCE,
    GatewayTestCase,
    Process,
    client_context,
    eventually,
    free_port,
    needs_package,
    twistd,
)

PAGE = read_page("docs/behind.md")
HOST = "webedit01.example.com"
BROWSER = "127.0.0.7"
"""The address that the test's browsers come from; the proxies' is 127.0.0.1."""

A_MINUTE = "60s"
"""What every proxy on the page waits for a byte."""
CUT = 3
"""What it is here, in seconds."""
NEVER = 600
"""A ``ping_every`` that no test sees the end of."""

INDEX = b"<!doctype html><title>editor</title>"
LARGE = bytes(range(256)) * 4096

NGINX = """
daemon off;
pid nginx.pid;
error_log stderr;
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
events {{}}
{text}
"""
NGINX_HTTP = """
http {{
access_log off;
client_body_temp_path body;
proxy_temp_path proxy;
fastcgi_temp_path fastcgi;
uwsgi_temp_path uwsgi;
scgi_temp_path scgi;
{text}
}}
"""
STREAM_MODULE = Path("/usr/lib/nginx/modules/ngx_stream_module.so")


class Proxy(NamedTuple):
    """A block of the page that is a proxy's file; whether the gateway hears who the browser is."""

    kind: str
    names_browser: bool

    @property
    def program(self) -> str:
        return self.kind.partition("-")[0]


PROXIES = (
    Proxy("nginx-pass", True),
    Proxy("haproxy-pass", True),
    Proxy("nginx-end", True),
    Proxy("haproxy-end", True),
    Proxy("nginx-http", False),
)


def program(name: str) -> str | None:
    """Return where a server is; Debian puts it where only root's PATH leads."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")


def block_of(kind: str) -> Block:
    """Return the page's one block of a kind."""
    (block,) = (each for each in PAGE.blocks if each.kind == kind)
    return block


def settings_above(block: Block) -> Block:
    """Return the settings of the gateway that a proxy's file is for."""
    return [each for each in PAGE.blocks if each.kind == "settings" and each.line < block.line][-1]


class Front:
    """
    A proxy, and the gateway behind it.

    Args:
        case: in whose folders they live.
        proxy: which.
        backend: where the gateway carries messages to.
        ping_every: seconds between the gateway's pings.
    """

    def __init__(
        self, case: type[GatewayTestCase], proxy: Proxy, backend: Backend, ping_every: int
    ) -> None:
        self.ca_file = case.ca_file
        self.port = free_port()
        self._certificates = case.certificates
        self._ports = {number: free_port() for number in (8888, 8889, 8890)}
        self._backend = backend
        block = block_of(proxy.kind)
        folder = case.new_folder()
        site = folder / "site"
        site.mkdir()
        (site / "index.html").write_bytes(INDEX)
        (site / "large.bin").write_bytes(LARGE)
        settings = folder / "orion-bridge.toml"
        text = self._here(settings_above(block).text).replace("/srv/orion/editor", str(site))
        settings.write_text(text)
        command = [*twistd(), "-n", "--pidfile=", "orion-bridge", f"--config={settings}"]
        self.gateway = Process([*command, f"--limit=ping_every={ping_every}"], folder)
        case.addClassCleanup(self._finish)
        self.gateway.wait_for_port(self._ports[8890])
        folder = case.new_folder()
        file = folder / "proxy.conf"
        file.write_text(getattr(self, f"_{proxy.program}_file")(self._here(block.text)))
        self.proxy = Process(self._command(proxy.program, file), folder)
        case.addClassCleanup(self.proxy.stop)
        self.proxy.wait_for_port(self.port)

    def _here(self, text: str) -> str:
        for number, port in self._ports.items():
            text = re.sub(rf"\b{number}\b", str(port), text)
        text = re.sub(r"(listen |bind (?=:))[:]?443\b", rf"\g<1>127.0.0.1:{self.port}", text)
        text = re.sub(r"/etc/(nginx|haproxy)/certs\b", str(self._certificates), text)
        text = text.replace("/etc/orion/certs", str(self._certificates))
        text = text.replace("tcp:10.1.0.5:7000", self._backend.endpoint)
        return re.sub(rf"\b{A_MINUTE}\b", f"{CUT}s", text)

    @staticmethod
    def _nginx_file(text: str) -> str:
        return NGINX.format(text=text if "stream {" in text else NGINX_HTTP.format(text=text))

    @staticmethod
    def _haproxy_file(text: str) -> str:
        return text

    @staticmethod
    def _command(name: str, file: Path) -> list[str]:
        where = program(name)
        assert where is not None
        if name == "nginx":
            return [where, "-p", str(file.parent), "-c", str(file), "-e", "stderr"]
        return [where, "-db", "-f", str(file)]

    def _finish(self) -> None:
        """Stop the gateway; it must end in order, and its log must show no bug."""
        status = self.gateway.stop()
        if status != ENDED_IN_ORDER or BUGS.search(self.gateway.log):
            raise AssertionError(f"the gateway ended with {status}:\n{self.gateway.log[-4000:]}")

    def dial(self) -> socket.socket:
        """Return a TCP connection to the proxy, from the browsers' address."""
        raw = socket.socket()
        raw.settimeout(PATIENCE)
        raw.bind((BROWSER, 0))
        raw.connect(("127.0.0.1", self.port))
        return raw

    def browser(self) -> Browser:
        """Return an open WebSocket."""
        return Browser(
            f"wss://{HOST}:{self.port}/ws",
            self.dial(),
            ssl=client_context(self.ca_file),
            origin=f"https://{HOST}:{self.port}",
            proxy=None,
            ping_interval=None,
            open_timeout=PATIENCE,
        )

    def get(self, path: str) -> Answer:
        """Ask for a page."""
        context = client_context(self.ca_file)
        with context.wrap_socket(self.dial(), server_hostname=HOST) as connection:
            connection.sendall(head(f"GET {path} HTTP/1.1", host=HOST))
            return read_answer(connection)


class BehindTests(GatewayTestCase):
    """A browser notices nothing of what is between it and the gateway."""

    names = (HOST,)
    backend: ClassVar[Backend]
    fronts: ClassVar[dict[str, Front]]
    others: ClassVar[dict[str, Front]]
    """Without pings; a test may stop their gateways."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.fronts, cls.others = {}, {}
        if any(program(each) is None for each in ("nginx", "haproxy")):
            return  # setUp says so
        if not STREAM_MODULE.exists():
            return
        cls.backend = cls.enterClassContext(Backend(echo))
        cls.fronts = {each.kind: Front(cls, each, cls.backend, 1) for each in PROXIES}

    def setUp(self) -> None:
        super().setUp()
        for name, package in (("nginx", "nginx-light"), ("haproxy", "haproxy")):
            if program(name) is None:
                needs_package(self, package)
        if not STREAM_MODULE.exists():
            needs_package(self, "libnginx-mod-stream")

    def other(self, proxy: Proxy) -> Front:
        """Return a proxy before a gateway that sends no pings."""
        front = self.others.get(proxy.kind)
        if front is None or not front.gateway.is_running:
            front = self.others[proxy.kind] = Front(type(self), proxy, self.backend, NEVER)
        return front

    def test_pages(self) -> None:
        """A page loads, a large file too, with the header that says who may embed it."""
        for kind, front in self.fronts.items():
            with self.subTest(kind):
                page = front.get("/")
                self.assertEqual((page.status, page.body), (200, INDEX))
                self.assertIn("frame-ancestors 'self'", page.headers["content-security-policy"])
                self.assertTrue(front.get("/large.bin").body == LARGE)

    def test_idle_sockets(self) -> None:
        """A WebSocket on which nobody speaks outlives the proxy's time-out: pings keep it."""
        browsers = {
            kind: self.enterContext(front.browser()) for kind, front in self.fronts.items()
        }
        silent = next(iter(browsers.values()))
        with self.assertRaises(TimeoutError):
            silent.recv(2.5 * CUT)
        for kind, browser in browsers.items():
            with self.subTest(kind):
                browser.send(kind)
                self.assertEqual(kind, browser.recv())

    def test_sockets_without_pings(self) -> None:
        """Without pings each proxy cuts it: what the page says of them is needed."""
        browsers = {}
        for proxy in PROXIES:
            browsers[proxy.kind] = (self.other(proxy).browser(), time.monotonic())
        for kind, (browser, began) in browsers.items():
            with self.subTest(kind):
                with self.assertRaises(ConnectionClosed) as closed:
                    browser.recv()
                self.assertIsNone(closed.exception.rcvd)  # a page would hear 1006
                self.assertGreater(time.monotonic() - began, CUT - 1)

    def test_addresses(self) -> None:
        """The log has the browser's address, or the proxy's where the page says so."""
        for proxy in PROXIES:
            front = self.fronts[proxy.kind]
            address = BROWSER if proxy.names_browser else "127.0.0.1"
            with self.subTest(proxy.kind), front.browser() as browser:
                browser.send("hello")
                self.assertEqual("hello", browser.recv())
                self.assertIn(f"browser {address} of shop1 is in", front.gateway.log)

    def test_dial_in(self) -> None:
        """The path where backends dial in ends at the proxies that read requests."""
        for kind in ("haproxy-end", "nginx-http"):
            with self.subTest(kind):
                before = self.fronts[kind].gateway.log.count("refusing")
                self.assertEqual(404, self.fronts[kind].get("/orion").status)
                self.assertEqual(before, self.fronts[kind].gateway.log.count("refusing"))

    def test_stop(self) -> None:
        """A gateway that is stopped tells its browsers through the proxy, and ends in order."""
        for proxy in PROXIES:
            with self.subTest(proxy.kind):
                front = self.other(proxy)
                browser = front.browser()
                front.gateway.terminate()
                with self.assertRaises(ConnectionClosed) as closed:
                    browser.recv()
                assert closed.exception.rcvd is not None
                self.assertEqual(1001, closed.exception.rcvd.code)
                self.assertEqual(ENDED_IN_ORDER, front.gateway.wait())

    def test_health_checks(self) -> None:
        """HAProxy notices by /readyz when a gateway has gone."""
        front = self.other(PROXIES[1])
        self.assertEqual(200, front.get("/").status)
        self.assertNotIn("is DOWN", front.proxy.log)
        self.assertEqual(ENDED_IN_ORDER, front.gateway.stop())
        eventually(
            lambda: "Server gateways/gateway1 is DOWN" in front.proxy.log, "HAProxy notices"
        )


class FormTests(unittest.TestCase):
    """What cannot be run here has at least the form of what it is."""

    def blocks(self, kind: str, page: Page = PAGE) -> list[Block]:
        found = [each for each in page.blocks if each.kind == kind]
        self.assertTrue(found)
        return found

    def test_xml(self) -> None:
        """IIS's configuration can be parsed, and leads to the listener of the settings above."""
        texts = [each.text for each in self.blocks("xml")]
        trees = [ElementTree.fromstring(text) for text in texts]
        (proxy,) = (found for each in trees if (found := each.find("proxy")) is not None)
        self.assertEqual("true", proxy.get("preserveHostHeader"))
        (url,) = (
            action.get("url", "")
            for each in trees
            for action in each.iter("action")
            if action.get("type") == "Rewrite"
        )
        self.assertEqual("http://127.0.0.1:8888/{R:0}", url)

    def test_json(self) -> None:
        """The clouds' templates can be parsed, and ask the settings' admin listener."""
        for block in self.blocks("json"):
            (group,) = json.loads(block.text).values()
            properties = group["Properties"]
            settings = settings_above(block).text
            self.assertIn(f":{properties['Port']}:", settings)
            self.assertRegex(settings, rf'admin += "tcp:{properties["HealthCheckPort"]}:')
            self.assertEqual("/readyz", properties["HealthCheckPath"])
