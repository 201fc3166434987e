"""Browsers that come through a proxy with PROXY headers, over ws and wss, TLS inside."""

from __future__ import annotations

import re
import socket
import ssl
import struct
from contextlib import suppress
from ipaddress import ip_address
from typing import ClassVar

from websockets.exceptions import InvalidStatus

from tests.browser import Browser
from tests.e2e.answers import head, read_answer
from tests.e2e.backends import Backend, echo
from tests.e2e.browsers import receive
from tests.harness import (
    PATIENCE,
    Door,
    Gateway,
    GatewayTestCase,
    client_context,
    eventually,
    free_port,
)

PROXY, SOMEBODY = "127.0.0.2", "127.0.0.1"


def v1(source: str) -> bytes:
    kind = "TCP6" if ":" in source else "TCP4"
    other = "2001:db8::1" if ":" in source else "192.0.2.1"
    return f"PROXY {kind} {source} {other} 51234 8889\r\n".encode()


def v2(source: str) -> bytes:
    address = ip_address(source)
    other = ip_address("2001:db8::1" if address.version == 6 else "192.0.2.1")
    body = address.packed + other.packed + struct.pack("!HH", 51234, 8889)
    family = 0x21 if address.version == 6 else 0x11
    signature = b"\r\n\r\n\x00\r\nQUIT\n"
    return signature + struct.pack("!BBH", 0x21, family, len(body)) + body


LOCAL = b"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"


class ProxiedTests(GatewayTestCase):
    """A gateway that trusts one proxy, and lets each address have one browser."""

    gateway: ClassVar[Gateway]
    doors: ClassVar[dict[str, Door]]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        backend = cls.enterClassContext(Backend(echo))
        plain = free_port()
        settings = cls.settings_file(
            f"""
            proxy_protocol_from = ["{PROXY}/32"]
            limits = {{ connections_per_ip = 1, handshake = 1 }}
            [tenant.shop]
            hosts = ["localhost"]
            backend = "{backend.endpoint}"
            """
        )
        cls.gateway = cls.start_for_class(
            f"--config={settings}", also=[f"tcp:{plain}:interface=127.0.0.1"]
        )
        cls.doors = {"wss": cls.gateway, "ws": Door(plain, None)}

    def dial(self, scheme: str, source: str, header: bytes = b"") -> socket.socket:
        """Return a connection from an address, with something sent before anything else."""
        raw = socket.socket()
        self.addCleanup(raw.close)
        raw.settimeout(PATIENCE)
        raw.bind((source, 0))
        raw.connect(("127.0.0.1", self.doors[scheme].port))
        raw.sendall(header)
        return raw

    def browser(self, scheme: str, header: bytes) -> Browser:
        context = client_context(self.ca_file) if scheme == "wss" else None
        raw = self.dial(scheme, PROXY, header)
        return Browser(self.doors[scheme].url(), raw, ssl=context, proxy=None, compression=None)

    def read_to_end(self, connection: socket.socket) -> bytes:
        data = b""
        with suppress(ConnectionError):
            while more := connection.recv(4096):
                data += more
        return data

    def test_announced_addresses(self) -> None:
        """Each header's browser has its echo, and is in the log by its own address."""
        number = 0
        for scheme in self.doors:
            for make in (v1, v2):
                for prefix in ("203.0.113.", "2001:db8:1::"):
                    number += 1
                    source = f"{prefix}{number}"
                    with self.subTest(scheme, header=make.__name__, source=source):
                        with self.browser(scheme, make(source)) as browser:
                            browser.send("one")
                            browser.send("two " * 10_000)
                            self.assertEqual(receive(browser, 2), ["one", "two " * 10_000])
                        self.wait_for_log(rf"browser {re.escape(source)} of shop is gone: 1000")
                        self.assertIn(f"browser {source} of shop is in", self.gateway.log)

    def wait_for_log(self, pattern: str, count: int = 1) -> None:
        eventually(
            lambda: len(re.findall(pattern, self.gateway.log)) >= count, f"{pattern} in the log"
        )

    def test_limits_by_announced_address(self) -> None:
        """The limit per address is one for each address behind the proxy, not for the proxy."""
        for scheme, one, other in (
            ("ws", "198.51.100.1", "198.51.100.2"),
            ("wss", "198.51.100.3", "198.51.100.4"),
        ):
            with (
                self.subTest(scheme),
                self.browser(scheme, v2(one)),
                self.browser(scheme, v1(other)),
            ):
                with self.assertRaises(InvalidStatus) as refused:
                    self.browser(scheme, v1(one))
                self.assertEqual(refused.exception.response.status_code, 429)
                self.assertIn(f"refusing {one} of shop: 429", self.gateway.log)

    def test_health_check(self) -> None:
        """A proxy that looks for itself is answered, under its own address."""
        raw = self.dial("ws", PROXY, LOCAL + head("GET /nothing HTTP/1.1"))
        self.assertEqual(read_answer(raw).status, 404)
        self.wait_for_log(f"refusing {re.escape(PROXY)} of shop: 404")

    def test_the_proxy_without_a_header(self) -> None:
        """What comes from the proxy without a header is dropped, without a byte of an answer."""
        for scheme, begin in (("ws", head("GET / HTTP/1.1")), ("wss", b"\x16\x03\x01\x02\x00")):
            with self.subTest(scheme):
                self.assertEqual(self.read_to_end(self.dial(scheme, PROXY, begin)), b"")
        self.wait_for_log(f"dropping {re.escape(PROXY)}: the connection does not begin with")
        for begin in (b"", v1("203.0.113.99")[:-2]):
            self.assertEqual(self.read_to_end(self.dial("ws", PROXY, begin)), b"")
        self.wait_for_log(f"dropping {re.escape(PROXY)}: no PROXY header in time")

    def test_others_with_a_header(self) -> None:
        """A header from anybody else is no HTTP and no TLS: nobody chooses his own address."""
        for make in (v1, v2):
            begin = make("203.0.113.98") + head("GET /nothing HTTP/1.1")
            answer = read_answer(self.dial("ws", SOMEBODY, begin))
            self.assertEqual(answer.status, 400)
            raw = self.dial("wss", SOMEBODY, make("203.0.113.98"))
            with self.assertRaises((ssl.SSLError, ConnectionError)):
                client_context(self.ca_file).wrap_socket(raw, server_hostname="localhost")
        self.assertNotIn("203.0.113.98", self.gateway.log)

    def test_others_without_a_header(self) -> None:
        """Whoever does not come through the proxy is served as ever."""
        for number, (scheme, door) in enumerate(self.doors.items(), 1):
            with self.subTest(scheme), door.browser() as browser:
                browser.send("hello")
                self.assertEqual(receive(browser, 1), ["hello"])
            # It has to be gone: there is one place for each address here.
            self.wait_for_log("browser 127.0.0.1 of shop is gone", number)
