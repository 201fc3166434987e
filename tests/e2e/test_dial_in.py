"""Backends that dial in to the real process: by TCP, on a UNIX socket, by WebSocket."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.browser import Browser
from tests.e2e.backends import frame
from tests.e2e.browsers import ending
from tests.harness import (
    ENDED_IN_ORDER,
    PATIENCE,
    Gateway,
    GatewayTestCase,
    eventually,
    free_port,
)

SECRET = "an-engine-shows-this-3f1a"
NEXT_SECRET = "the-next-one-shows-that-77"
PING = b'{"type":"ping"}'

SETTINGS = """
dial_in = ["tcp:{port}:interface=127.0.0.1", "unix:{path}", "ws:/orion"]

[tenant.shop]
hosts   = ["localhost"]
backend = "dial-in"
mode    = "session"
dialect = "orion.v2"
dial_in = {{ token_file = "engines" }}

[tenant.depot]
hosts   = ["depot.localhost"]
backend = "dial-in"
mode    = "session"
dial_in = {{ token_file = "engines" }}
"""


class Engine(ABC):
    """A backend that dials in, in the test's own thread."""

    @abstractmethod
    def say(self, payload: str | bytes) -> None:
        """Send a frame."""

    @abstractmethod
    def read(self) -> bytes | None:
        """Return the next frame's payload; None at the end."""

    @abstractmethod
    def leave(self) -> None:
        """Leave in good order; what still comes may be read."""

    @abstractmethod
    def close(self) -> None:
        """Be gone."""

    def hello(self, tenant: str = "shop", token: str = SECRET) -> None:
        self.say(json.dumps({"type": "hello", "tenant": tenant, "token": token}))

    def next(self, kind: str) -> tuple[dict[str, Any], str]:
        """Return the next frame of a type, header and payload; pings are answered."""
        while (payload := self.read()) is not None:
            head, _, body = payload.decode().partition("\n")
            header = json.loads(head)
            if header["type"] == kind:
                return header, body
            if header["type"] == "ping":
                self.say('{"type":"pong"}')
        raise AssertionError(f"the end, and no {kind}")

    def answer(self, payload: str) -> str:
        """Wait for a request, answer it; return what it was."""
        header, body = self.next("request")
        self.say(f'{{"type":"result","id":{header["id"]}}}\n{payload}')
        return body


class FramedEngine(Engine):
    """By TCP, or on a UNIX socket."""

    def __init__(self, family: socket.AddressFamily, address: Any) -> None:
        self._raw = socket.socket(family)
        self._raw.settimeout(PATIENCE)
        self._raw.connect(address)
        self._file = self._raw.makefile("rb")

    def say(self, payload: str | bytes) -> None:
        self._raw.sendall(frame(payload if isinstance(payload, bytes) else payload.encode()))

    def read(self) -> bytes | None:
        try:
            prefix = self._file.read(4)
            return self._file.read(struct.unpack(">I", prefix)[0]) if prefix else None
        except ConnectionResetError:
            return None

    def leave(self) -> None:
        self._raw.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._file.close()
        self._raw.close()


class SocketEngine(Engine):
    """By WebSocket."""

    def __init__(self, port: int, **options: Any) -> None:
        raw = socket.create_connection(("127.0.0.1", port), PATIENCE)
        url = f"ws://gateway.internal:{port}/orion"
        options = {"proxy": None, "ping_interval": None, "max_size": None, **options}
        self.socket = Browser(url, raw, **options)

    def say(self, payload: str | bytes) -> None:
        self.socket.send(payload)

    def read(self) -> bytes | None:
        try:
            message = self.socket.recv()
        except ConnectionClosed:
            return None
        return message.encode() if isinstance(message, str) else message

    def leave(self) -> None:
        self.socket.close()

    def close(self) -> None:
        self.socket.vanish()


WAYS = ("tcp", "unix", "ws")


class DialInTestCase(GatewayTestCase):
    """A gateway with two tenants whose backends dial in, in ``orion.v2`` and ``orion.v1``."""

    names = ("localhost", "depot.localhost")
    gateway: Gateway
    plain: int
    port: int
    path: Path
    secrets: Path

    @classmethod
    def begin(cls) -> tuple[list[str], dict[str, Any]]:
        """Write the settings; return what a gateway is started with."""
        cls.port, cls.plain = free_port(), free_port()
        folder = cls.new_folder()
        cls.path = folder / "engines.sock"
        settings = cls.settings_file(SETTINGS.format(port=cls.port, path=cls.path))
        cls.secrets = settings.with_name("engines")
        cls.secrets.write_text(f"{SECRET}\n")
        return [f"--config={settings}"], {"also": [f"tcp:{cls.plain}:interface=127.0.0.1"]}

    def start_gateway(self) -> None:
        flags, options = self.begin()
        type(self).gateway = self.start(*flags, **options)
        self.gateway.wait_for_port(self.plain)

    def come(self, way: str) -> Engine:
        """Return an engine that has connected."""
        engine: Engine
        if way == "ws":
            engine = SocketEngine(self.plain)
        elif way == "unix":
            engine = FramedEngine(socket.AF_UNIX, str(self.path))
        else:
            engine = FramedEngine(socket.AF_INET, ("127.0.0.1", self.port))
        self.addCleanup(engine.close)
        return engine

    def come_in(self, way: str, token: str = SECRET) -> Engine:
        """Return one that is in."""
        engine = self.come(way)
        engine.hello(token=token)
        self.assertEqual(engine.read(), PING)
        engine.say('{"type":"pong"}')
        return engine

    def browser(self, host: str = "localhost") -> Browser:
        """Return a browser that speaks ``orion.v2`` and has its session."""
        browser = self.gateway.browser(host=host, subprotocols=["orion.v2"])
        self.addCleanup(browser.vanish)
        browser.send('{"type":"hello"}')
        self.assertEqual(told(browser)[0]["type"], "welcome")
        return browser


def told(browser: Browser) -> tuple[dict[str, Any], str]:
    """Return the next message of the gateway, header and payload; acknowledgements apart."""
    while True:
        message = browser.recv()
        assert isinstance(message, str)
        head, _, body = message.partition("\n")
        header = json.loads(head)
        if header["type"] != "ack":
            return header, body


class WaysTests(DialInTestCase):
    """Messages to and from backends that have dialled in."""

    def setUp(self) -> None:
        super().setUp()
        self.start_gateway()

    def test_orion_v2(self) -> None:
        """However it has dialled in, a backend gets messages of any size, and answers them."""
        for way in WAYS:
            with self.subTest(way):
                engine, browser = self.come_in(way), self.browser()
                for n, size in enumerate((1, 100_000, 1_000_000), 1):
                    browser.send(f'{{"type":"request","n":{n}}}\n' + "x" * size)
                    self.assertTrue(engine.answer("y" * size) == "x" * size)
                    header, body = told(browser)
                    self.assertEqual((header["type"], header["n"]), ("result", n))
                    self.assertTrue(body == "y" * size)
                browser.send('{"type":"bye"}')
                engine.next("gone")
                engine.leave()
                self.assertIsNone(engine.read())

    def test_orion_v1(self) -> None:
        """A backend that speaks ``orion.v1`` is told nothing but messages, with whose they are."""
        for way in WAYS:
            with self.subTest(way):
                engine = self.come(way)
                engine.hello("Depot")
                with self.gateway.browser(host="depot.localhost") as browser:
                    browser.send('{"@MSGID":7,"cmd":"move"}')
                    asked = json.loads(engine.read() or b"")
                    self.assertEqual(set(asked), {"@SESSION", "@MSGID", "cmd"})
                    engine.say(f'{{"msgID":{asked["@MSGID"]},"success":true}}')
                    self.assertEqual(browser.recv(), '{"msgID":7,"success":true}')
                    engine.say(json.dumps({"@SESSION": asked["@SESSION"], "event": "saved"}))
                    self.assertEqual(json.loads(browser.recv())["event"], "saved")
                engine.leave()
                self.assertIsNone(engine.read())

    def test_one_of_two_leaves(self) -> None:
        """When an instance leaves its sessions go on with the other, whatever way they came."""
        for leaves, stays in (("tcp", "ws"), ("ws", "unix"), ("unix", "tcp")):
            with self.subTest(leaves=leaves, stays=stays):
                first, browser = self.come_in(leaves), self.browser()
                browser.send('{"type":"request","n":1}\nto the first')
                self.assertEqual(first.answer("done"), "to the first")
                self.assertEqual(told(browser)[1], "done")
                second = self.come_in(stays)
                browser.send('{"type":"request","n":2,"repeat":"safe","ack":1}\nlook')
                browser.send('{"type":"request","n":3}\ndo')
                key = first.next("request")[0]["key"]
                first.next("request")
                first.leave()
                header, body = second.next("request")
                self.assertEqual((header["key"], body), (key, "look"))
                self.assertEqual(told(browser)[0]["code"], "OUTCOME_UNKNOWN")
                second.say(f'{{"type":"result","id":{header["id"]}}}\nseen')
                self.assertEqual(told(browser)[1], "seen")
                browser.send('{"type":"request","n":4}\nmore')
                self.assertEqual(second.answer("done"), "more")
                self.assertEqual(told(browser)[1], "done")
                browser.send('{"type":"bye"}')
                second.next("gone")
                second.leave()
                self.assertIsNone(second.read())
        self.assertIn("backend 127.0.0.1 of shop is gone", self.gateway.log)

    def test_waits_for_one(self) -> None:
        """A browser may come, and ask, before any instance has."""
        browser = self.browser()
        browser.send('{"type":"request","n":1}\nearly')
        engine = self.come_in("tcp")
        self.assertEqual(engine.answer("done"), "early")
        self.assertEqual(told(browser)[1], "done")

    def test_new_secrets(self) -> None:
        """After SIGHUP the new secret lets in and the old one does not; who is in stays in."""
        engine, browser = self.come_in("tcp"), self.browser()
        self.secrets.write_text(f"{NEXT_SECRET}\n")
        os.kill(self.gateway.pid, signal.SIGHUP)
        line = "new secrets for the backends of shop"
        eventually(lambda: line in self.gateway.log, line)
        late = self.come("ws")
        late.hello()
        self.assertIsNone(late.read())
        other = self.come_in("ws", NEXT_SECRET)
        browser.send('{"type":"request","n":1}\nstill here')
        self.assertEqual(engine.answer("done"), "still here")
        self.assertEqual(told(browser)[1], "done")
        self.secrets.write_text("short\n")
        os.kill(self.gateway.pid, signal.SIGHUP)
        line = "the secrets for the backends of shop stay as they were"
        eventually(lambda: line in self.gateway.log, line)
        other.leave()
        self.come_in("unix", NEXT_SECRET)
        self.assertNotIn(NEXT_SECRET, self.gateway.log)

    def test_drain(self) -> None:
        """A gateway that stops lets instances answer what is under way, then ends their
        connections in good order; nobody is let in any more."""
        engines = [self.come_in("tcp"), self.come_in("ws")]
        waiting = self.come("unix")
        browsers = [self.browser() for _ in engines]
        calls = []
        for browser, engine in zip(browsers, engines, strict=True):
            browser.send('{"type":"request","n":1}\nthe last')
            calls.append(engine.next("request")[0]["id"])
        self.gateway.terminate()
        self.assertIsNone(waiting.read())
        for browser, engine, call in zip(browsers, engines, calls, strict=True):
            self.assertEqual(told(browser)[0]["type"], "drain")
            engine.say(f'{{"type":"result","id":{call}}}\ndone')
            end = ending(browser)
            self.assertEqual((end.code, len(end.messages)), (1001, 1))
            self.assertTrue(str(end.messages[0]).endswith("\ndone"))
        for engine in engines:
            engine.next("gone")
            self.assertIsNone(engine.read())
        framed, socketed = engines
        assert isinstance(socketed, SocketEngine)
        self.assertEqual(ending(socketed.socket).code, 1001)
        framed.close()
        self.assertEqual(self.gateway.wait(), ENDED_IN_ORDER)


class DoorTests(DialInTestCase):
    """Who is not let in."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        flags, options = cls.begin()
        cls.gateway = cls.start_for_class(*flags, **options)
        cls.gateway.wait_for_port(cls.plain)

    def assert_sent_away(self, engine: Engine) -> None:
        self.assertIsNone(engine.read())
        if isinstance(engine, SocketEngine):
            self.assertEqual(ending(engine.socket).code, 4508)

    def test_not_who_they_say(self) -> None:
        """A bad token, an unknown tenant, no hello: the end of the connection, and a line."""
        guess = "a-guess-of-sixteen-characters"
        for way in WAYS:
            for tenant, token in (("shop", guess), ("shop", ""), ("nobody", SECRET)):
                with self.subTest(way, tenant=tenant, token=token):
                    engine = self.come(way)
                    engine.hello(tenant, token)
                    self.assert_sent_away(engine)
            for first in ("", "hello", '{"type":"pong"}', "{}", "x" * 8000):
                with self.subTest(way, first=first[:20]):
                    engine = self.come(way)
                    engine.say(first)
                    self.assert_sent_away(engine)
        log = self.gateway.log
        for reason, count in (("unauthorized", 3), ("hello_malformed", 5)):
            lines = [line for line in log.splitlines() if line.endswith(f": {reason}")]
            self.assertEqual(len(lines), count * len(WAYS))
        self.assertNotIn(guess, log)

    def test_too_late(self) -> None:
        """Who says nothing is sent away after five seconds."""
        began = time.monotonic()
        engines = [self.come(way) for way in ("tcp", "ws")]
        for engine in engines:
            self.assertIsNone(engine.read())
        self.assertGreater(time.monotonic() - began, 4.9)
        self.assertLess(time.monotonic() - began, PATIENCE / 2)
        eventually(lambda: self.gateway.log.count("hello_timeout") == 2, "two lines")

    def test_a_crowd(self) -> None:
        """Sixty-four may stand at the door; others are sent away until one of them is through."""
        crowd = [self.come(("tcp", "ws")[number % 2]) for number in range(64)]
        self.assertIsNone(self.come("tcp").read())
        with self.assertRaises(InvalidStatus) as caught:
            self.come("ws")
        self.assertEqual(caught.exception.response.status_code, 503)
        self.assertEqual(caught.exception.response.headers["Retry-After"], "5")
        for engine in crowd[:2]:
            engine.hello()
            self.assertEqual(engine.read(), PING)
        self.come_in("ws").leave()
        self.come_in("tcp").leave()

    def test_a_page(self) -> None:
        """What comes from a page is refused, whichever page it is."""
        for origin in ("https://localhost", "http://gateway.internal", "null"):
            with self.subTest(origin), self.assertRaises(InvalidStatus) as caught:
                SocketEngine(self.plain, origin=origin)
            self.assertEqual(caught.exception.response.status_code, 403)

    def test_not_by_tls(self) -> None:
        """On a listener with TLS, where browsers come from anywhere, there is no such path."""
        with self.assertRaises(InvalidStatus) as caught:
            self.gateway.browser("/orion")
        self.assertEqual(caught.exception.response.status_code, 404)
