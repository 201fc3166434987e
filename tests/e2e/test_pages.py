"""A tenant's pages on the port of its WebSocket, by a real process, over TLS."""

from __future__ import annotations

import gzip
import json
import socket
from contextlib import closing
from typing import ClassVar

from tests.conformance.frames import FrameReader, Message, Opcode, frame
from tests.e2e.answers import Answer, head, read_answer, upgrade
from tests.e2e.backends import Backend, echo
from tests.harness import Gateway, GatewayTestCase

INDEX = b"<!doctype html><title>editor</title>" + b"." * 1000
SCRIPT = b"export const answer = 42;" * 100
SHOP = "https://shop1.cafe24.com"
ASSET = "/assets/index-BX2k3a9_.js"


class PageTests(GatewayTestCase):
    """One connection brings pages, parts of them, and a WebSocket in the end."""

    gateway: ClassVar[Gateway]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        site = cls.new_folder()
        for name, content in {
            "index.html": INDEX,
            ASSET[1:]: SCRIPT,
            f"{ASSET[1:]}.gz": gzip.compress(SCRIPT),
            "empty/file.txt": b"here",
            ".env": b"hidden",
        }.items():
            (site / name).parent.mkdir(exist_ok=True)
            (site / name).write_bytes(content)
        backend = cls.enterClassContext(Backend(echo))
        settings = cls.settings_file(
            f"""
            [tenant.shop1]
            hosts = ["localhost"]
            backend = "{backend.endpoint}"
            site = "{site}"
            embed_in = ["{SHOP}"]
            """
        )
        cls.gateway = cls.start_for_class(f"--config={settings}")

    def setUp(self) -> None:
        super().setUp()
        self.connection: socket.socket = self.enterContext(closing(self.gateway.dial_tls()))

    def get(self, path: str, *headers: str) -> Answer:
        """Ask for a page on the test's one connection; look for what all answers have."""
        self.connection.sendall(head(f"GET {path} HTTP/1.1", *headers))
        answer = read_answer(self.connection)
        self.assertNotIn("server", answer.headers)
        self.assertEqual(answer.headers["x-content-type-options"], "nosniff")
        self.assertIn("referrer-policy", answer.headers)
        self.assertIn(f"frame-ancestors {SHOP}", answer.headers["content-security-policy"])
        return answer

    def test_unchanged(self) -> None:
        """What a browser has already is not sent again."""
        first = self.get("/")
        self.assertEqual((first.status, first.body), (200, INDEX))
        self.assertEqual(first.headers["cache-control"], "no-cache")
        again = self.get("/", f"If-None-Match: {first.headers['etag']}")
        self.assertEqual((again.status, again.body), (304, b""))

    def test_parts(self) -> None:
        """A part of a file is one of what the browser has the rest of, or it gets the whole."""
        tag = self.get("/").headers["etag"]
        part = self.get("/", "Range: bytes=2-8", f"If-Range: {tag}")
        self.assertEqual((part.status, part.body), (206, INDEX[2:9]))
        self.assertEqual(part.headers["content-range"], f"bytes 2-8/{len(INDEX)}")
        whole = self.get("/", "Range: bytes=2-8", 'If-Range: "another"')
        self.assertEqual((whole.status, whole.body), (200, INDEX))
        self.assertEqual(self.get("/", "Range: bytes=99999-").status, 416)

    def test_compressed(self) -> None:
        """A file that was compressed beforehand goes to browsers that take it so."""
        small = self.get(ASSET, "Accept-Encoding: gzip, br")
        self.assertEqual(small.headers["content-encoding"], "gzip")
        self.assertEqual(gzip.decompress(small.body), SCRIPT)
        plain = self.get(ASSET)
        self.assertNotIn("content-encoding", plain.headers)
        self.assertEqual(plain.body, SCRIPT)
        for answer in (small, plain):
            self.assertEqual(answer.headers["content-type"], "text/javascript")
            self.assertEqual(answer.headers["vary"], "Accept-Encoding")
            self.assertIn("immutable", answer.headers["cache-control"])

    def test_facts(self) -> None:
        """A page asks its own host where the WebSocket is, and who may show the page."""
        address = "/.well-known/orion-bridge.json"
        answer = self.get(address)
        self.assertEqual(
            json.loads(answer.body), {"path": "/ws", "mode": "relay", "embed_in": [SHOP]}
        )
        self.assertEqual(answer.headers["cache-control"], "no-cache")
        again = self.get(address, f"If-None-Match: {answer.headers['etag']}")
        self.assertEqual((again.status, again.body), (304, b""))

    def test_addresses(self) -> None:
        """An address inside the application is its page; what is missing or hidden is 404."""
        for path in ("/reports/7", "/reports/7?token=x", "/empty/"):
            answer = self.get(path)
            self.assertEqual((answer.status, answer.body), (200, INDEX), path)
        for path in ("/assets/gone.js", "/.env", "/.git/config", "/empty/..%2f.env"):
            answer = self.get(path)
            self.assertEqual((answer.status, answer.body), (404, b"Not Found\n"), path)

    def test_websocket_after_pages(self) -> None:
        """The connection that has brought a page may become a WebSocket."""
        self.get("/")
        self.connection.sendall(upgrade())
        self.assertEqual(read_answer(self.connection).status, 101)
        self.connection.sendall(frame(Opcode.TEXT, b"hello"))
        reader = FrameReader()
        while not reader.events:
            reader.feed(self.connection.recv(1000))
        self.assertEqual(reader.events, [Message(Opcode.TEXT, b"hello")])
