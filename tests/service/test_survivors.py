"""
A connection that is over leaves nothing behind, even without the collector of cycles.

A gateway, its backend and its browsers are in one process, over real sockets; the collector is
off. Whatever is then left of a thousand connections would stay for as long as the process runs.
"""

from __future__ import annotations

import contextlib
import gc
import json
import socket
import ssl
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import txaio
from OpenSSL import SSL
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import DefaultOpenSSLContextFactory
from twisted.logger import Logger
from twisted.protocols import tls
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.net.leanreactor import LeanReactor
from orion_twisted.net.leantls import make_lean
from orion_twisted.service.startup import prepare, read_settings
from tests.certificates import empty_folder
from tests.harness import client_context, free_port, make_certificates
from tests.net.sockets import PATIENCE, Loop, reset
from tests.net.test_browser import client_frame

TEXT, BINARY, CLOSE = 0x1, 0x2, 0x8

AT_A_TIME = 50

SETTINGS = """
listen = ["tls:{tls}:interface=127.0.0.1", "tcp:{tcp}:interface=127.0.0.1"]
certificates = "certs"
fallback = "localhost"

[limits]
connections_per_ip = 1000
pending_handshakes_per_ip = 1000

[tenant.shop]
hosts = ["*"]
backend = '{backend}'
{mode}
"""
MODES = {
    "relay": 'mode = "relay"',
    "tunnel": 'mode = "tunnel"',
    "session": 'mode = "session"\ndialect = "orion.v1"\nsession = {ttl = "0.1 s"}',
    "shared": 'mode = "session"\ndialect = "orion.v1"\nlinks = 2\nsession = {ttl = "0.1 s"}',
}

REQUEST = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
)


class Engine(Protocol):
    """A backend that echoes what it hears; if that is an Orion message, it answers it."""

    def __init__(self) -> None:
        self._heard = b""

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        if b"@MSGID" not in self._heard + data:
            self.transport.write(data)
            return
        self._heard += data
        while len(self._heard) >= 4:
            end = 4 + int.from_bytes(self._heard[:4], "big")
            if len(self._heard) < end:
                return
            message, self._heard = json.loads(self._heard[4:end]), self._heard[end:]
            answer = json.dumps({"msgID": message["@MSGID"], "success": True}).encode()
            self.transport.write(len(answer).to_bytes(4, "big") + answer)
            if message["cmd"] == "quit":
                self.transport.abortConnection()


Script = Callable[["Visitor"], Iterator[bytes]]
END = b"<the end>"
"""What a visitor has received when the gateway has ended the connection."""


class Visitor:
    """
    A browser that does what a script says, as far as it can without waiting.

    Args:
        port: of the gateway.
        mode: of the tenant.
        context: for TLS; None: it speaks plain TCP.
        script: yields what it has to receive before it goes on.
    """

    def __init__(
        self, port: int, mode: str, context: ssl.SSLContext | None, script: Script
    ) -> None:
        self.mode = mode
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setblocking(False)
        self.received = b""
        self._script = script(self)
        self._wanted = b""
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls: Any = None
        self._is_ready = context is None
        if context is not None:
            self._tls = context.wrap_bio(self._in, self._out, server_hostname="localhost")

    def go_on(self) -> bool:
        """Do what can be done; say whether that was all."""
        self._exchange()
        while self._is_ready and self._wanted in self.received:
            try:
                self._wanted = next(self._script)
            except StopIteration:
                self.socket.close()
                return True
            self._exchange()
        return False

    def say(self, data: bytes) -> None:
        with contextlib.suppress(ssl.SSLError, OSError):  # the gateway may have gone first
            if self._tls is None:
                self.socket.send(data)
            else:
                self._tls.write(data)
                self._exchange()

    def _exchange(self) -> None:
        try:
            data = self.socket.recv(1 << 16)
            if not data:
                self.received += END
            elif self._tls is None:
                self.received += data
            else:
                self._in.write(data)
        except BlockingIOError:
            pass
        except OSError:
            self.received += END
        if self._tls is not None:
            with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLZeroReturnError, OSError):
                self._exchange_tls()

    def _exchange_tls(self) -> None:
        try:
            self._tls.do_handshake()
            self._is_ready = True
            while data := self._tls.read(1 << 16):
                self.received += data
            self._tls.unwrap()  # the gateway has ended TLS, and waits for us
        finally:
            if self._out.pending:
                self.socket.send(self._out.read())


def enters(visitor: Visitor) -> Iterator[bytes]:
    """Go in, say something, and have it answered."""
    if visitor.mode in ("relay", "tunnel"):
        visitor.say(REQUEST + b"\r\n")
        yield b" 101 "
        visitor.say(client_frame(BINARY, b"an echo"))
        yield b"an echo"
    else:
        visitor.say(REQUEST + b"Sec-WebSocket-Protocol: orion.v2\r\n\r\n")
        yield b" 101 "
        visitor.say(client_frame(TEXT, b'{"type":"hello"}'))
        yield b"welcome"
        visitor.say(client_frame(TEXT, b'{"type":"request","n":1}\n{"cmd":"go"}'))
        yield b'"result"'


def leaves(visitor: Visitor) -> Iterator[bytes]:
    """A closing handshake, and the end of TLS."""
    visitor.say(client_frame(CLOSE, b"\x03\xe8"))
    yield END


def vanishes(visitor: Visitor) -> Iterator[bytes]:
    """A FIN, and nothing else."""
    yield b""


def breaks(visitor: Visitor) -> Iterator[bytes]:
    """A reset."""
    yield b""
    reset(visitor.socket)


def loses_its_backend(visitor: Visitor) -> Iterator[bytes]:
    """The backend cuts the link, which others must not share, and the browser goes."""
    if visitor.mode in ("session", "shared"):
        visitor.say(client_frame(TEXT, b'{"type":"request","n":2}\n{"cmd":"quit"}'))
        yield b'"n":2'
    else:
        visitor.say(client_frame(BINARY, b"quit"))
        yield b""
    yield from leaves(visitor)


def breaks_the_rules(visitor: Visitor) -> Iterator[bytes]:
    """What is no frame, and what comes then."""
    visitor.say(b"\xff\x00")
    yield b"\x88"
    yield from leaves(visitor)


ENDS = (leaves, vanishes, breaks, loses_its_backend, breaks_the_rules)


def is_refused(visitor: Visitor) -> Iterator[bytes]:
    """Something that is not there, and the end without a word."""
    visitor.say(b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n")
    yield b" 404 "


def says_nothing(visitor: Visitor) -> Iterator[bytes]:
    """A connection, and its end."""
    yield b""


def gives_up(visitor: Visitor) -> Iterator[bytes]:
    """A request, and the end while its answer is under way, before or after the dial."""
    visitor.say(REQUEST + b"\r\n")
    yield b""


def census() -> Counter[str]:
    """Count what may be part of a cycle, by its type: only that of some module, not ``list``."""
    kinds = (type(each) for each in gc.get_objects())
    counts = Counter(
        f"{kind.__module__}.{kind.__name__}"
        for kind in kinds
        if kind.__module__ not in ("builtins", "weakref")
    )
    del counts["twisted.internet.base.DelayedCall"]  # cancelled ones wait in the reactor's heap
    return counts


def listen(reactor: Any, engines: Factory, authority: Path | None) -> str:
    """
    Have a backend listen; return its endpoint.

    Args:
        authority: for TLS, beside its certificates; None: it speaks plain TCP.
    """
    if authority is None:
        port = reactor.listenTCP(0, engines, interface="127.0.0.1").getHost().port
        return f"tcp:127.0.0.1:{port}"
    file = str(authority.with_name("localhost.pem"))
    context = DefaultOpenSSLContextFactory(file, file, SSL.TLS_METHOD)
    secure = tls.TLSMemoryBIOFactory(context, False, engines, reactor)
    make_lean(secure)  # the stock one leaves a cycle behind each handshake that is cut off
    port = reactor.listenTCP(0, secure, interface="127.0.0.1").getHost().port
    roots = authority.parent.with_name("roots")
    roots.mkdir(exist_ok=True)
    (roots / "ca.pem").write_bytes(authority.read_bytes())
    # Without a name to be looked up, which takes threads.
    there = rf"tcp\:127.0.0.1\:{port}"
    return f"tls:localhost:{port}:trustRoots={roots}:endpoint={there}"


class SurvivorsTests(SynchronousTestCase):
    """One gateway, and very many browsers."""

    def setUp(self) -> None:
        self.loop = Loop(LeanReactor)
        self.addCleanup(self.loop.close)
        self.patch(txaio.config, "loop", self.loop.reactor)
        self.patch(tls, "_get_default_clock", lambda: self.loop.reactor)
        # Until somebody writes them down, Twisted keeps the events of the log, and who said them.
        self.patch(Logger, "emit", lambda *_, **__: None)
        self.folder = empty_folder(self)
        self.authority = make_certificates(self.folder / "certs", "localhost")
        self.context = client_context(self.authority)

    def serve(self, mode: str, secure_links: bool = False) -> None:
        self.mode = mode
        engines = Factory.forProtocol(Engine)
        engines.noisy = False
        backend = listen(self.loop.reactor, engines, self.authority if secure_links else None)
        self.tls, self.tcp = free_port(), free_port()
        file = Path(self.folder, "orion-bridge.toml")
        settings = SETTINGS.format(tls=self.tls, tcp=self.tcp, backend=backend, mode=MODES[mode])
        file.write_text(settings)
        gateway = prepare(read_settings(file, {}), self.loop.reactor)
        gateway.privilegedStartService()
        gateway.startService()
        self.addCleanup(gateway.stopService)

    def visit(self, scripts: list[tuple[Script, bool]]) -> None:
        """Have some browsers come and go, some at a time; with TLS, or without."""
        where, plain = (self.tls, self.mode, self.context), (self.tcp, self.mode, None)
        for start in range(0, len(scripts), AT_A_TIME):
            here = [
                Visitor(*(where if secure else plain), script)
                for script, secure in scripts[start : start + AT_A_TIME]
            ]
            deadline = time.monotonic() + PATIENCE
            while here:
                here = [each for each in here if not each.go_on()]
                self.loop.turn()
                self.assertLess(time.monotonic(), deadline, [each.received for each in here])

    def enters_and(self, end: Script) -> Script:
        def script(visitor: Visitor) -> Iterator[bytes]:
            yield from enters(visitor)
            yield from end(visitor)

        return script

    def scripts(self, number: int) -> list[tuple[Script, bool]]:
        """Return what so many browsers do: everything, in turns, with TLS and without."""
        ends = [end for end in ENDS if self.mode != "shared" or end is not loses_its_backend]
        scripts = [is_refused, says_nothing, gives_up, *(self.enters_and(end) for end in ends)]
        ways = [(script, secure) for script in scripts for secure in (True, False)]
        return [ways[at % len(ways)] for at in range(number)]

    def left_of(self, number: int) -> dict[str, int]:
        """Return what is left of so many browsers with the collector off, by its type."""
        self.visit(self.scripts(2 * len(ENDS) + 6))  # what is made once, for all of them
        self.rest()
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        before = census()
        self.visit(self.scripts(number))
        self.rest()
        after = census()
        # What is left behind is so by all that end in some way, and there are 16 ways.
        few = number // 20
        return {name: more for name in after if (more := after[name] - before[name]) > few}

    def rest(self) -> None:
        """Wait until nothing moves any more: links end, and sessions are forgotten."""
        end = time.monotonic() + 0.7
        while time.monotonic() < end:
            self.loop.turn(0.02)

    def test_relay(self) -> None:
        """Of a thousand browsers with a link each nothing is left, however they ended."""
        self.serve("relay")
        self.assertEqual(self.left_of(1000), {})

    def test_links_over_tls(self) -> None:
        """So it is where links go over TLS."""
        self.serve("relay", secure_links=True)
        # More than there are interfaces of a transport: zope notes again what has each of them.
        self.assertEqual(self.left_of(480), {})

    def test_other_modes(self) -> None:
        """Nor is anything in other modes, where links are shared, and sessions outlive sockets."""
        for mode in ("tunnel", "session", "shared"):
            self.serve(mode)
            self.assertEqual(self.left_of(320), {}, mode)
