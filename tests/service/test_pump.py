"""
Pumps between real sockets: the same as without them, with less in between.

A gateway, its backend and a browser are in one process, and the reactor turns when the test says
so. Every connection is joined, or tapped, as soon as it has brought anything.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from select import select
from typing import Any
from unittest import skipIf
from unittest.mock import patch

import txaio
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import capturedLogs
from twisted.protocols import tls
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.errors import CloseCode
from orion_twisted.core.tlsrecords import MOST_CONTENT
from orion_twisted.core.wsframes import PORTABLE
from orion_twisted.net import hotpath, pumpsides, sessionlinks
from orion_twisted.net.browser import FRAMES_A_TURN
from orion_twisted.net.eager import SMALL_READS
from orion_twisted.net.hotpath import FRAMED_A_TURN
from orion_twisted.net.leanreactor import LeanReactor
from orion_twisted.net.pump import Joint, Tap
from orion_twisted.service import attachment, performance, relay
from orion_twisted.service.startup import prepare, read_settings
from tests.certificates import empty_folder
from tests.harness import client_context, free_port, make_certificates
from tests.net.sockets import Loop, reset
from tests.net.test_browser import client_frame
from tests.service import test_survivors
from tests.service.test_survivors import REQUEST, listen

TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA
KIB = 1024
SHELLS = {
    *("hotpath.py", "sessionlinks.py", "eager.py", "leantls.py", "pump.py", "pumpways.py"),
    *("tls.py", "tcp.py", "endpoints.py"),
}
"""Files of which a message that is carried by pumps passes next to nothing."""

READS = 3 * SMALL_READS
"""After so many small ones a read has its first size again, and is a pump's."""

SETTINGS = """
listen = ["tls:{tls}:interface=127.0.0.1", "tcp:{tcp}:interface=127.0.0.1"]
certificates = "certs"
fallback = "localhost"
performance = "{performance}"

[limits]
message = "64 KiB"
connections_per_ip = 100000
connect_rate_per_ip = 0
{limits}

[tenant.shop]
hosts = ["*"]
backend = '{backend}'
{mode}
"""


class Engine(Protocol):
    """A backend that keeps what it hears, and says what the test says."""

    transport: Any

    def __init__(self, here: list[Engine]) -> None:
        self.heard = bytearray()
        self.lost: str | None = None
        here.append(self)

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)

    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = reason.type.__name__

    def say(self, *payloads: bytes) -> None:
        self.transport.write(b"".join(map(link_frame, payloads)))


class Browser:
    """
    A browser: its socket, and TLS if it has any.

    Attributes:
        heard: all bytes that came behind the answer to its request.
        ended: the gateway has ended the connection.
    """

    def __init__(self, port: int, context: ssl.SSLContext | None) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        self.socket.setblocking(False)
        self.heard = bytearray()
        self.ended = False
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls: Any = None
        if context is not None:
            self._tls = context.wrap_bio(self._in, self._out, server_hostname="localhost")
        self._waiting = b""

    def encrypted(self, *pieces: bytes) -> bytes:
        """Return what goes over the wire for some pieces: each is a record, if there is TLS."""
        if self._tls is None:
            return b"".join(pieces)
        for piece in pieces:
            self._tls.write(piece)
        return bytes(self._out.read())

    def say(self, *pieces: bytes) -> None:
        self.put(self.encrypted(*pieces))

    def put(self, data: bytes) -> None:
        """Send bytes as they are, if anybody takes them; what does not go now goes later."""
        self._waiting += data
        with contextlib.suppress(BlockingIOError, ConnectionError):
            while self._waiting:
                self._waiting = self._waiting[self.socket.send(self._waiting) :]

    def listens(self, most: int = 1 << 20) -> None:
        """Read what has come."""
        self.put(b"")
        with contextlib.suppress(BlockingIOError):
            try:
                data = self.socket.recv(most)
            except ConnectionError:
                data = b""
            if not data:
                self.ended = True
            elif self._tls is None:
                self.heard += data
            else:
                self._in.write(data)
        if self._tls is not None:
            self._listens_to_tls()

    def _listens_to_tls(self) -> None:
        with contextlib.suppress(ssl.SSLWantReadError):
            try:
                self._tls.do_handshake()
                while data := self._tls.read(1 << 16):
                    self.heard += data
            except (ssl.SSLZeroReturnError, ssl.SSLError) as error:
                if isinstance(error, ssl.SSLWantReadError):
                    raise
                self.ended = True
        self.put(self._out.read())


def link_frame(payload: bytes) -> bytes:
    return len(payload).to_bytes(4, "big") + payload


def server_frame(payload: bytes, opcode: int = TEXT) -> bytes:
    size = len(payload)
    head = bytes([0x80 | opcode, size]) if size < 126 else bytes([0x80 | opcode, 126])
    return head + (b"" if size < 126 else size.to_bytes(2, "big")) + payload


@skipIf(pumpsides.why_not() is not None and "CI" not in os.environ, "there are no pumps here")
class JoinedTestCase(SynchronousTestCase):
    """A gateway, and who comes to it."""

    secure = False
    secure_link = False
    mode = 'mode = "relay"\nlink_grace = "5 s"'
    reactor: type[EPollReactor] = LeanReactor

    def setUp(self) -> None:
        self.loop = Loop(self.reactor)
        self.addCleanup(self.loop.close)
        self.patch(txaio.config, "loop", self.loop.reactor)
        self.patch(tls, "_get_default_clock", lambda: self.loop.reactor)
        self.patch(relay, "READS_BEFORE_PUMPS", 1)
        self.folder = empty_folder(self)
        self.authority = make_certificates(self.folder / "certs", "localhost")
        self.context = client_context(self.authority)
        self.joints: list[Joint | None] = []
        join = relay.join

        def joins(*arguments: Any) -> Joint | None:
            self.joints.append(join(*arguments))
            return self.joints[-1]

        self.patch(relay, "join", joins)
        self.engines: list[Engine] = []

    def serve(self, rung: str = "full", limits: str = "") -> None:
        engines = Factory()
        engines.noisy = False
        engines.buildProtocol = lambda _: Engine(self.engines)  # type: ignore[method-assign]
        authority = self.authority if self.secure_link else None
        backend = listen(self.loop.reactor, engines, authority)
        self.ports = {True: free_port(), False: free_port()}
        file = Path(self.folder, "orion-bridge.toml")
        file.write_text(
            SETTINGS.format(
                tls=self.ports[True],
                tcp=self.ports[False],
                backend=backend,
                performance=rung,
                limits=limits,
                mode=self.mode,
            )
        )
        self.gateway = prepare(read_settings(file, {}), self.loop.reactor)
        self.gateway.privilegedStartService()
        self.gateway.startService()
        self.addCleanup(self.gateway.stopService)

    def knock(self) -> Browser:
        """Have a browser's request be answered."""
        context = self.context if self.secure else None
        self.browser = browser = Browser(self.ports[self.secure], context)
        self.addCleanup(browser.socket.close)
        if self.secure:
            self.until(lambda: browser._tls.version() is not None, "the handshake")
        browser.say(REQUEST + b"\r\n")
        self.until(lambda: b"\r\n\r\n" in browser.heard, "the answer")
        return browser

    def enter(self, joins: bool = True) -> Browser:
        """Have a browser come in, and be joined with its link."""
        browser = self.knock()
        self.engine.say(b"welcome")
        self.until(lambda: browser.heard.endswith(server_frame(b"welcome")), "a welcome")
        browser.heard.clear()
        if joins:
            self.assertIsNotNone(self.joint)
        return browser

    @property
    def joint(self) -> Joint:
        """The joint of the last browser and link."""
        joint = self.joints[-1]
        assert joint is not None
        return joint

    @property
    def engine(self) -> Engine:
        """The backend's end of the last link."""
        return self.engines[-1]

    def until(self, condition: Callable[[], object], what: str) -> None:
        def holds() -> object:
            self.browser.listens()
            return condition()

        self.loop.until(holds, what)

    def settle(self) -> None:
        """Wait until nothing moves any more."""
        still = 0
        while still < 4:
            before = (len(self.browser.heard), self.browser.ended, len(self.engine.heard))
            self.browser.listens()
            self.loop.turn(0.002)
            now = (len(self.browser.heard), self.browser.ended, len(self.engine.heard))
            still = still + 1 if now == before else 0

    def sides(self) -> tuple[Any, Any]:
        """Return the gateway's connections to the browser and to the backend."""
        return self.joint._browser.connection, self.joint._link.connection

    def read_seen(self, connection: Any) -> set[tuple[str, str]]:
        """Have a connection read what comes; return the file and name of each Python that ran."""
        seen: set[tuple[str, str]] = set()

        def look(frame: Any, event: str, _: object) -> None:
            if event == "call":
                seen.add((Path(frame.f_code.co_filename).name, frame.f_code.co_name))

        select([connection.socket], [], [], 10.0)
        sys.setprofile(look)
        try:
            connection.doRead()
        finally:
            sys.setprofile(None)
        return seen

    def counted(self, name: str) -> int:
        return self.gateway.counters.get(name)


class SecureTestCase(JoinedTestCase):
    """Browsers come over TLS, as they do."""

    secure = True


class MessageTests(SecureTestCase):
    """While all is well."""

    def test_nobody_in_between(self) -> None:
        """A message passes no Python but that of pyOpenSSL and of the reactor's loop."""
        self.serve()
        browser = self.enter()
        ours, link = self.sides()
        browser.say(client_frame(TEXT, b"question"))
        seen = self.read_seen(ours)
        self.until(lambda: bytes(self.engine.heard) == link_frame(b"question"), "it arrives")
        self.engine.transport.getHandle().send(link_frame(b"answer"))
        seen |= self.read_seen(link)
        self.until(lambda: browser.heard == server_frame(b"answer"), "the answer as well")
        self.assertEqual({file for file, _ in seen}, {"_util.py", "SSL.py"})
        self.assertEqual((self.joint.upwards.messages, self.joint.downwards.messages), (1, 1))

    def test_order_and_counts(self) -> None:
        """Very many at once arrive in order, and each is counted, whoever has carried it."""
        self.serve()
        browser = self.enter()
        payloads = [b"%d" % number for number in range(3 * FRAMED_A_TURN)]
        before = {
            name: self.counted(name) for name in ("messages_to_browsers", "bytes_to_browsers")
        }
        browser.say(b"".join(client_frame(TEXT, each) for each in payloads))
        self.engine.say(*payloads)
        size = sum(map(len, payloads))
        expected = b"".join(map(link_frame, payloads))
        self.until(lambda: len(self.engine.heard) >= len(expected), "all of them")
        self.assertEqual(bytes(self.engine.heard), expected)
        expected = b"".join(map(server_frame, payloads))
        self.until(lambda: len(browser.heard) >= len(expected), "all of them, back")
        self.assertEqual(bytes(browser.heard), expected)
        self.assertGreater(self.joint.upwards.messages, 0)
        self.assertGreater(self.joint.downwards.messages, 0)
        self.assertEqual(self.counted("messages_from_browsers"), len(payloads))
        self.assertEqual(self.counted("bytes_from_browsers"), size)
        self.assertEqual(
            self.counted("messages_to_browsers") - before["messages_to_browsers"], len(payloads)
        )
        self.assertEqual(self.counted("bytes_to_browsers") - before["bytes_to_browsers"], size)

    def test_others_have_their_turn(self) -> None:
        """A pump carries no more frames in one turn than there are in a turn."""
        self.serve()
        browser = self.enter()
        browser.say(client_frame(TEXT, b"") * (FRAMED_A_TURN * 3))
        turns = []
        while not turns or turns[-1] < FRAMED_A_TURN * 3:
            self.loop.turn(0.01)
            turns.append(self.counted("messages_from_browsers"))
        self.assertLessEqual(
            max(now - before for before, now in zip([0, *turns], turns, strict=False)),
            FRAMED_A_TURN,
        )

    def test_large_ones(self) -> None:
        """Messages of every size around a record's, both ways."""
        self.serve()
        browser = self.enter()
        for size in (0, 125, 126, 16_380, 16_384, 16_385, 65_535, 65_536):
            payload = b"x" * size
            self.engine.heard.clear()
            browser.heard.clear()
            frame = client_frame(TEXT, payload)
            browser.say(*[frame[at : at + 16 * KIB] for at in range(0, len(frame), 16 * KIB)])
            self.engine.say(payload)
            self.until(lambda: len(self.engine.heard) >= size + 4, f"{size} bytes")  # noqa: B023
            self.until(lambda: len(browser.heard) >= size + 2, f"{size} bytes back")  # noqa: B023
            self.assertEqual(bytes(self.engine.heard), link_frame(payload))
            self.assertTrue(browser.heard.endswith(payload))

    def test_idle(self) -> None:
        """A message that a pump has carried, either way, keeps a browser in."""
        self.serve(limits='idle = "0.6 s"')
        browser = self.enter()
        for number in range(6):
            if number % 2:
                browser.say(client_frame(TEXT, b"here"))
            else:
                self.engine.say(b"here")
            begun = time.monotonic()
            self.until(lambda: time.monotonic() > begun + 0.2, "some time passes")  # noqa: B023
            self.assertNotIn(CLOSE | 0x80, browser.heard[:1])
        self.assertGreater(self.joint.upwards.messages, 0)
        self.until(lambda: browser.heard.endswith(b"IDLE"), "it is idle")

    def test_rates(self) -> None:
        """With a rate every message is looked at: nobody is joined."""
        self.serve(limits="message_rate = 1000")
        self.enter(joins=False)
        self.assertEqual(self.joints, [])

    def test_pings(self) -> None:
        """A message is an answer to a ping that waits, and pings and pongs go on as ever."""
        self.serve()
        browser = self.enter()
        (end,) = self.gateway._door._browsers
        there: Any = end._browser  # type: ignore[attr-defined]
        there._sendAutoPing()
        self.assertIsNotNone(there.autoPingTimeoutCall)
        browser.say(client_frame(TEXT, b"I am here"))
        self.until(lambda: self.engine.heard, "it arrives")
        self.assertIsNone(there.autoPingTimeoutCall)
        self.assertEqual(self.joint.upwards.messages, 0)
        browser.say(client_frame(PING, b"you?"))
        self.until(lambda: browser.heard.endswith(server_frame(b"you?", PONG)), "a pong")
        browser.say(client_frame(TEXT, b"fine"))
        self.until(lambda: self.engine.heard.endswith(link_frame(b"fine")), "it goes on")
        self.assertEqual(self.joint.upwards.messages, 1)

    def test_slow_messages(self) -> None:
        """One that a pump makes whole in time is whole; one that nobody does is too slow."""
        self.serve(limits='message_time = "0.5 s"')
        browser = self.enter()
        frame = client_frame(TEXT, b"slow")
        for _ in range(5):
            browser.say(frame[:3])
            begun = time.monotonic()
            self.until(lambda: time.monotonic() > begun + 0.2, "some time passes")  # noqa: B023
            browser.say(frame[3:])
            self.settle()
        self.assertEqual(bytes(self.engine.heard), link_frame(b"slow") * 5)
        self.assertGreater(self.joint.upwards.messages, 0)
        self.assertEqual(browser.heard, b"")
        browser.say(frame[:3])
        self.until(lambda: browser.heard.endswith(b"TOO_SLOW"), "it is too slow")


LATE = client_frame(TEXT, b"late")
STREAMS = {
    "frames": client_frame(TEXT, b"one") + client_frame(TEXT, b"") + client_frame(TEXT, b"three"),
    "a ping": client_frame(TEXT, b"one") + client_frame(PING, b"?") + client_frame(TEXT, b"two"),
    "a frame in a ping": b"\x89\x8a\0\0\0\0" + client_frame(TEXT, b"fake") + LATE,
    "fragments": client_frame(TEXT, b"on", last=False)
    + client_frame(PING, b"?")
    + client_frame(0, b"e")
    + client_frame(TEXT, b"two"),
    "a frame among fragments": client_frame(TEXT, b"on", last=False) + LATE,
    "a close": client_frame(TEXT, b"one") + client_frame(CLOSE, b"\x03\xe8") + LATE,
    "no UTF-8": client_frame(TEXT, b"one") + client_frame(TEXT, b"\xc3\x28") + LATE,
    "too long": client_frame(TEXT, b"one") + b"\x81\xff" + (1 << 20).to_bytes(8, "big") + LATE,
    "no frame": client_frame(TEXT, b"one") + b"\xff\x00" + LATE,
}
ANSWERS = {
    "frames": link_frame(b"one") + link_frame(b"") + link_frame(b"three"),
    "no UTF-8": link_frame(b"one") + link_frame(b"\xc3\x28") + link_frame(b"late"),
    "too long": link_frame(b"one") + (1 << 20).to_bytes(4, "big") + b"late",
}


class StreamTests(SecureTestCase):
    """Streams of all kinds, cut anywhere: the same bytes arrive, and the same end."""

    from_browsers = STREAMS
    from_backends = ANSWERS
    late = LATE

    def outcome(self, pieces: list[bytes], from_browser: bool) -> tuple[Any, ...]:
        """Return what becomes of a stream that comes in these pieces."""
        browser = self.enter(joins=self.with_pumps)
        for piece in pieces:
            if from_browser:
                browser.say(piece)
            else:
                self.engine.transport.write(piece)
            for _ in range(3):
                self.loop.turn(0.0005)
                browser.listens()
        self.settle()
        if from_browser:
            # Both sides still have something to say, whether anybody is to hear it or not.
            self.engine.say(b"late")
            with contextlib.suppress(OSError, ssl.SSLError):
                browser.say(self.late)
            self.settle()
        # Once Autobahn has sent a close frame, what is cut how decides when it ends all.
        is_cut_off = browser.ended and b"\x88" not in browser.heard
        found = bytes(self.engine.heard), bytes(browser.heard), is_cut_off
        reset(browser.socket)
        self.loop.until(lambda: not self.gateway._door._browsers, "it is gone")
        return found

    def cuts(self, stream: bytes) -> Iterator[list[bytes]]:
        """Yield a stream whole, in two pieces, and in crumbs."""
        yield [stream]
        for cut in range(1, len(stream), 2 if self.secure_link else 1):
            yield [stream[:cut], stream[cut:]]
        yield [stream[at : at + 3] for at in range(0, len(stream), 3)]

    def ways(self) -> int:
        """Return how many connections have been joined."""
        return len(self.joints)

    def same(self, streams: dict[str, bytes], from_browser: bool) -> None:
        self.with_pumps = False
        with patch.object(performance.pumpsides, "why_not", lambda: "not now"):
            self.serve()
            expected = {
                name: self.outcome([stream], from_browser) for name, stream in streams.items()
            }
        self.with_pumps = True
        self.serve()
        carried = 0
        for name, stream in streams.items():
            for pieces in self.cuts(stream):
                found = self.outcome(pieces, from_browser)
                self.assertEqual(found, expected[name], (name, pieces))
                messages = self.counted("messages_from_browsers")
                carried += messages
        self.assertGreater(carried if from_browser else self.ways(), 0)

    def test_from_a_browser(self) -> None:
        """Frames, pings, fragments, closes, and what breaks the rules."""
        self.same(self.from_browsers, True)

    def test_from_a_backend(self) -> None:
        """Frames, and what breaks the rules."""
        self.same(self.from_backends, False)


class StreamsInTheClearTests(StreamTests):
    """The same without TLS."""

    secure = False


class StreamsOverTLSLinksTests(StreamTests):
    """The same with TLS on both sides."""

    secure_link = True


class RecordTests(SecureTestCase):
    """Records of TLS, cut anywhere."""

    def test_cut_at_every_byte(self) -> None:
        """Two messages and the end of TLS, in two reads: both arrive, and the end does."""
        self.serve()
        for size in range(1, 200):
            browser = self.enter()
            data = browser.encrypted(client_frame(TEXT, b"one"), client_frame(TEXT, b"two"))
            with contextlib.suppress(ssl.SSLWantReadError):
                browser._tls.unwrap()
            data += browser._out.read()
            if size > len(data):
                return
            for piece in (data[:size], data[size:]):
                browser.put(piece)
                for _ in range(3):
                    self.loop.turn(0.0005)
            self.until(lambda: browser.ended, "the end")  # noqa: B023
            self.loop.until(lambda: self.engine.lost, "the link ends as well")
            self.assertEqual(bytes(self.engine.heard), link_frame(b"one") + link_frame(b"two"))
        self.fail("the stream is longer than expected")

    def test_damaged(self) -> None:
        """A record that was changed under way ends the connection; what came before arrives."""
        self.serve()
        browser = self.enter()
        data = browser.encrypted(client_frame(TEXT, b"one"))
        bad = bytearray(browser.encrypted(client_frame(TEXT, b"two")))
        bad[-1] ^= 1
        browser.put(data + bad + browser.encrypted(client_frame(TEXT, b"three")))
        self.until(lambda: browser.ended, "the end")
        self.loop.until(lambda: self.engine.lost, "the link ends as well")
        self.assertEqual(bytes(self.engine.heard), link_frame(b"one"))


class PressureTests(SecureTestCase):
    """Sides that do not read, or read little."""

    MESSAGES = [b"%d:" % number + b"x" * 4000 for number in range(300)]

    def shrink(self) -> None:
        """Have the system take very little at a time from the gateway, on both sides."""
        for connection in self.sides():
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * KIB)

    def waiting(self, connection: Any) -> int:
        return len(connection.dataBuffer) - connection.offset + connection._tempDataLen

    def test_a_backend_that_does_not_read(self) -> None:
        """The browser is not read any more; what waits is bounded, and all of it arrives."""
        self.serve()
        browser = self.enter()
        self.shrink()
        ours, link = self.sides()
        self.engine.transport.stopReading()
        for each in self.MESSAGES:
            browser.say(client_frame(TEXT, each))
            self.loop.turn()
        most = 0
        for _ in range(50):
            self.loop.turn(0.002)
            browser.listens()
            most = max(most, self.waiting(link))
        self.assertNotIn(ours, self.loop.reactor.getReaders())
        self.assertGreater(most, 0)
        self.assertLess(most, 4 * 64 * KIB)
        self.engine.transport.startReading()
        expected = b"".join(map(link_frame, self.MESSAGES))
        self.until(lambda: len(self.engine.heard) >= len(expected), "all of it")
        self.assertEqual(bytes(self.engine.heard), expected)
        before = self.joint.upwards.messages
        for number in range(READS):
            browser.say(client_frame(TEXT, b"%d" % number))
            expected += link_frame(b"%d" % number)
            self.until(lambda: len(self.engine.heard) >= len(expected), "it goes on")  # noqa: B023
        self.assertEqual(bytes(self.engine.heard), expected)
        self.assertGreater(self.joint.upwards.messages, before)

    def test_a_browser_that_does_not_read(self) -> None:
        """The same the other way."""
        self.serve()
        browser = self.enter()
        self.shrink()
        ours, link = self.sides()
        most = 0
        for at in range(0, len(self.MESSAGES), 10):
            self.engine.say(*self.MESSAGES[at : at + 10])
            self.loop.turn()
            most = max(most, self.waiting(ours))
        for _ in range(50):
            self.loop.turn(0.002)
            most = max(most, self.waiting(ours))
        self.assertNotIn(link, self.loop.reactor.getReaders())
        self.assertGreater(most, 0)
        self.assertLess(most, 6 * 64 * KIB)
        expected = b"".join(map(server_frame, self.MESSAGES))
        self.until(lambda: len(browser.heard) >= len(expected), "all of it")
        self.assertEqual(bytes(browser.heard), expected)
        before = self.joint.downwards.messages
        for number in range(READS):
            self.engine.say(b"%d" % number)
            expected += server_frame(b"%d" % number)
            self.until(lambda: len(browser.heard) >= len(expected), "it goes on")  # noqa: B023
        self.assertEqual(bytes(browser.heard), expected)
        self.assertGreater(self.joint.downwards.messages, before)

    def test_both_in_crumbs(self) -> None:
        """Short writes on both sides, all the time: nothing is lost, and nothing out of order."""
        self.serve()
        browser = self.enter()
        self.shrink()
        for each in self.MESSAGES:
            browser.say(client_frame(TEXT, each))
            self.engine.say(each)
            self.loop.turn()
            browser.listens(3000)
        up = b"".join(map(link_frame, self.MESSAGES))
        down = b"".join(map(server_frame, self.MESSAGES))
        self.until(lambda: len(self.engine.heard) >= len(up), "all of it")
        self.until(lambda: len(browser.heard) >= len(down), "all of it, back")
        self.assertEqual((bytes(self.engine.heard), bytes(browser.heard)), (up, down))
        self.assertGreater(self.joint.upwards.messages, 0)
        self.assertGreater(self.joint.downwards.messages, 0)


class PressureInTheClearTests(PressureTests):
    """The same without TLS."""

    secure = False


class EndTests(SecureTestCase):
    """The end, from either side, and from both at once."""

    def gone(self) -> None:
        """Wait until nothing is left of the browser; nothing may have been logged as a bug."""
        self.loop.until(lambda: not self.gateway._door._browsers, "the browser is gone")
        self.loop.until(lambda: self.engine.lost, "the link is gone")
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assertIsNone(self.joint.upwards())

    def vanish(self) -> None:
        """Have the browser cut its connection off, if it has not ended it before."""
        if self.browser.socket.fileno() >= 0:
            reset(self.browser.socket)

    def ends(self) -> Iterator[Callable[[], None]]:
        """Yield what each side may do: cut its connection, with data before that or without."""
        yield lambda: None
        yield self.vanish
        yield lambda: self.browser.socket.close()
        yield lambda: self.engine.transport.abortConnection()
        yield lambda: self.engine.transport.loseConnection()

    def test_both_in_mid_call(self) -> None:
        """Data is under way both ways, and both sides end, in the same turn of the reactor."""
        self.serve()
        ends = len(list(self.ends()))
        for one in range(ends):
            for other in range(ends):
                if one == other:
                    continue
                browser = self.enter()
                browser.say(client_frame(TEXT, b"question"))
                self.engine.say(b"answer", b"another")
                self.loop.turn(0)
                browser.say(client_frame(TEXT, b"last question"))
                self.engine.say(b"last answer")
                all_ends = list(self.ends())
                all_ends[one]()
                all_ends[other]()
                for _ in range(5):
                    self.loop.turn(0.001)
                self.vanish()
                self.gone()

    def test_a_close_frame(self) -> None:
        """A closing handshake in the middle: what came before it arrives, and it is answered."""
        self.serve()
        browser = self.enter()
        browser.say(client_frame(TEXT, b"one") + client_frame(CLOSE, b"\x03\xe8"))
        self.until(lambda: browser.ended, "the end")
        browser.socket.close()
        self.gone()
        self.assertEqual(bytes(self.engine.heard), link_frame(b"one"))
        self.assertEqual(bytes(browser.heard), b"\x88\x02\x03\xe8")

    def test_we_close(self) -> None:
        """Once we have begun to close, nothing is carried any more, either way."""
        self.serve()
        browser = self.enter()
        (end,) = self.gateway._door._browsers
        browser.say(client_frame(TEXT, b"too late"))
        self.engine.say(b"too late")
        end.drain(1)
        self.until(lambda: browser.heard[:1] == b"\x88", "a close frame")
        browser.say(client_frame(CLOSE, b"\x03\xe9"))
        self.until(lambda: browser.ended, "the end")
        browser.socket.close()
        self.gone()
        self.assertEqual((bytes(self.engine.heard), browser.heard.count(b"late")), (b"", 0))

    def test_closed_by_a_timer(self) -> None:
        """Nor is it if that has begun between two turns, while messages go both ways."""
        self.serve()
        for wait in (0.0, 0.001, 0.004):
            browser = self.enter()
            (end,) = self.gateway._door._browsers
            self.loop.reactor.callLater(wait, end.drain, 1)
            for _ in range(12):
                self.engine.say(b"still there")
                browser.say(client_frame(TEXT, b"still here"))
                self.loop.turn(0.001)
            self.until(lambda: b"\x88" in browser.heard, "a close frame")  # noqa: B023
            self.settle()
            self.assertEqual(browser.heard.split(b"\x88")[1][1:], b"\x03\xe9draining")
            reset(browser.socket)
            self.gone()

    def test_the_link_comes_back(self) -> None:
        """A link that breaks is another one afterwards, joined again; nothing sent is lost."""
        self.serve()
        browser = self.enter()
        first = self.joint
        browser.say(client_frame(TEXT, b"before"))
        self.until(lambda: self.engine.heard, "it arrives")
        self.engine.transport.abortConnection()
        self.loop.until(lambda: self.engine.lost, "the link breaks")
        self.until(lambda: first.upwards() is None and len(self.engines) >= 1, "it is noticed")
        browser.say(client_frame(TEXT, b"meanwhile"))
        self.until(lambda: len(self.engines) == 2, "another link")
        self.until(lambda: bytes(self.engine.heard) == link_frame(b"meanwhile"), "what has waited")
        self.engine.say(b"I am back")
        self.until(lambda: len(self.joints) == 2, "joined again")
        browser.say(client_frame(TEXT, b"after"))
        self.until(lambda: self.engine.heard.endswith(b"after"), "it goes on")
        self.assertEqual(self.joint.upwards.messages, 1)
        self.assertEqual(browser.heard, server_frame(b"I am back"))

    def test_a_half_closed_backend(self) -> None:
        """A backend's FIN behind its last frames: they arrive, and the link comes back."""
        self.serve()
        browser = self.enter()
        self.engine.say(b"last", b"words")
        self.engine.transport.loseWriteConnection()
        self.until(lambda: len(self.engines) == 2, "another link")
        self.assertEqual(browser.heard, server_frame(b"last") + server_frame(b"words"))


class MessageOnTwistedsReactorTests(MessageTests):
    """The same on Twisted's own reactor, which knows nothing of pumps."""

    reactor = EPollReactor


class PressureOnTwistedsReactorTests(PressureTests):
    """Likewise."""

    reactor = EPollReactor


class EndOnTwistedsReactorTests(EndTests):
    """Likewise."""

    reactor = EPollReactor


def question(number: int, more: bytes = b"") -> bytes:
    """Return a message of a browser of session mode, which goes to its backend as it is."""
    return b'{"@MSGID":%d,"more":"%b"}' % (number, more)


def answer(number: int, more: bytes = b"") -> bytes:
    return b'{"msgID":%d,"more":"%b"}' % (number, more)


class SessionTestCase(SecureTestCase):
    """A gateway in session mode; each session has a link of its own."""

    mode = 'mode = "session"\ndialect = "orion.v1"\nlinks = "per-browser"'

    def setUp(self) -> None:
        super().setUp()
        self.taps: list[Tap] = []
        for room, name in ((attachment, "tap_browser"), (sessionlinks, "tap_link")):
            self.patch(room, "READS_BEFORE_PUMPS", 1)
            self.patch(room, name, partial(self.note, getattr(room, name)))

    def note(self, taps: Callable[..., Tap | None], *arguments: Any) -> Tap | None:
        """Tap, and keep what is tapped."""
        tap = taps(*arguments)
        if tap is not None:
            self.taps.append(tap)
        return tap

    def enter(self, joins: bool = True) -> Browser:
        engines = len(self.engines)
        self.taps.clear()
        browser = self.knock()
        browser.heard.clear()
        browser.say(client_frame(TEXT, question(0)))
        self.until(lambda: len(self.engines) > engines and self.engine.heard, "a question")
        self.engine.say(answer(0))
        self.until(lambda: browser.heard == server_frame(answer(0)), "an answer")
        browser.heard.clear()
        self.engine.heard.clear()
        self.assertEqual(len(self.taps), 2 if joins else 0)
        return browser

    def sides(self) -> tuple[Any, Any]:
        first, second = (tap._side.connection for tap in self.taps)
        return first, second

    def answers(self, number: int) -> None:
        """Have a question asked and answered."""
        before = len(self.browser.heard)
        self.engine.heard.clear()
        self.browser.say(client_frame(TEXT, question(number)))
        self.until(lambda: bytes(self.engine.heard) == link_frame(question(number)), "a question")
        self.engine.say(answer(number))
        expected = server_frame(answer(number))
        self.until(lambda: self.browser.heard[before:] == expected, "its answer")


class SessionTests(SessionTestCase):
    """Messages of session mode: read and written in one call each, and looked at in between."""

    def test_between_socket_and_session(self) -> None:
        """Nobody, but for the two methods that take a message, and for pyOpenSSL."""
        self.serve()
        browser = self.enter()
        ours, link = self.sides()
        browser.say(client_frame(TEXT, question(1)))
        seen = self.read_seen(ours)
        self.until(lambda: self.engine.heard == link_frame(question(1)), "it arrives")
        self.engine.transport.getHandle().send(link_frame(answer(1)))
        seen |= self.read_seen(link)
        self.until(lambda: browser.heard == server_frame(answer(1)), "the answer as well")
        self.assertEqual(
            {each for each in seen if each[0] in SHELLS},
            {("hotpath.py", "take_message"), ("sessionlinks.py", "dataReceived")},
        )

    def test_many_at_once(self) -> None:
        """Many in one read arrive in order, and each is counted once."""
        self.serve()
        browser = self.enter()
        names = ("messages_from_browsers", "bytes_from_browsers", "messages_to_browsers")
        before = [self.counted(name) for name in names]
        questions = [question(number) for number in range(1, 2 * FRAMES_A_TURN + 2)]
        answers = [answer(number) for number in range(1, 2 * FRAMES_A_TURN + 2)]
        browser.say(b"".join(client_frame(TEXT, each) for each in questions))
        expected = b"".join(map(link_frame, questions))
        self.until(lambda: len(self.engine.heard) >= len(expected), "all of them")
        self.assertEqual(bytes(self.engine.heard), expected)
        self.engine.say(*answers)
        expected = b"".join(map(server_frame, answers))
        self.until(lambda: len(browser.heard) >= len(expected), "all of them, back")
        self.assertEqual(bytes(browser.heard), expected)
        counted = [self.counted(name) - old for name, old in zip(names, before, strict=True)]
        self.assertEqual(counted, [len(questions), sum(map(len, questions)), len(answers)])

    def test_others_have_their_turn(self) -> None:
        """No more messages of one read are delivered in one turn than there are in a turn."""
        self.serve()
        browser = self.enter()
        last = 3 * FRAMES_A_TURN
        browser.say(b"".join(client_frame(TEXT, question(n)) for n in range(1, last + 1)))
        turns = [self.counted("messages_from_browsers")]
        while turns[-1] < turns[0] + last:
            self.loop.turn(0.01)
            turns.append(self.counted("messages_from_browsers"))
        most = max(now - before for before, now in pairwise(turns))
        self.assertEqual(most, FRAMES_A_TURN)

    def test_large_ones(self) -> None:
        """Messages of every size around a record's, both ways."""
        self.serve()
        browser = self.enter()
        for number, size in enumerate((0, 16_350, 16_360, 16_384, 40_000, 65_400), start=1):
            asked, said = question(number, b"x" * size), answer(number, b"y" * size)
            self.engine.heard.clear()
            browser.heard.clear()
            frame = client_frame(TEXT, asked)
            browser.say(*[frame[at : at + 16 * KIB] for at in range(0, len(frame), 16 * KIB)])
            self.until(lambda: len(self.engine.heard) >= len(asked) + 4, f"{size} bytes")  # noqa: B023
            self.assertEqual(bytes(self.engine.heard), link_frame(asked))
            self.engine.say(said)
            self.until(lambda: browser.heard.endswith(said), f"{size} bytes back")  # noqa: B023

    def test_every_size(self) -> None:
        """Answers around the size at which TLS has to make two records of one."""
        self.serve()
        browser = self.enter()
        for size in range(MOST_CONTENT - 8, MOST_CONTENT + 3):
            browser.heard.clear()
            self.engine.say(b"z" * size)
            self.until(lambda: len(browser.heard) >= size + 4, f"{size} bytes")  # noqa: B023
            self.assertEqual(bytes(browser.heard), server_frame(b"z" * size))

    def test_idle(self) -> None:
        """A message, either way, keeps a browser in."""
        self.serve(limits='idle = "0.6 s"')
        browser = self.enter()
        for number in range(1, 5):
            self.answers(number)
            begun = time.monotonic()
            self.until(lambda: time.monotonic() > begun + 0.25, "some time passes")  # noqa: B023
        self.until(lambda: browser.heard.endswith(b"IDLE"), "it is idle")

    def test_rates(self) -> None:
        """Whoever is too fast is not read for a while, as without pumps."""
        self.serve(limits="message_rate = 20")
        browser = self.enter()
        begun = time.monotonic()
        for number in range(1, 31):
            browser.say(client_frame(TEXT, question(number)))
        expected = b"".join(link_frame(question(number)) for number in range(1, 31))
        self.until(lambda: len(self.engine.heard) >= len(expected), "all of them")
        self.assertEqual(bytes(self.engine.heard), expected)
        self.assertGreater(time.monotonic() - begun, 0.2)

    def test_pings(self) -> None:
        """A message is an answer to a ping that waits, and pings and pongs go on as ever."""
        self.serve()
        browser = self.enter()
        (end,) = self.gateway._door._browsers
        there: Any = end._browser  # type: ignore[attr-defined]
        there._sendAutoPing()
        self.assertIsNotNone(there.autoPingTimeoutCall)
        browser.say(client_frame(TEXT, question(1)))
        self.until(lambda: self.engine.heard, "it arrives")
        self.assertIsNone(there.autoPingTimeoutCall)
        browser.say(client_frame(PING, b"you?"))
        browser.say(client_frame(PING, b"you?"))
        self.until(lambda: browser.heard.endswith(server_frame(b"you?", PONG)), "a pong")
        self.answers(2)

    def test_slow_messages(self) -> None:
        """One that is whole in time is whole; one that is not is too slow."""
        self.serve(limits='message_time = "0.5 s"')
        browser = self.enter()
        for number in range(1, 4):
            frame = client_frame(TEXT, question(number))
            browser.say(frame[:3])
            begun = time.monotonic()
            self.until(lambda: time.monotonic() > begun + 0.2, "some time passes")  # noqa: B023
            browser.say(frame[3:])
            self.settle()
        asked = b"".join(link_frame(question(number)) for number in range(1, 4))
        self.assertEqual((bytes(self.engine.heard), browser.heard), (asked, b""))
        browser.say(client_frame(TEXT, question(9))[:3])
        self.until(lambda: browser.heard.endswith(b"TOO_SLOW"), "it is too slow")

    def test_a_damaged_record(self) -> None:
        """It ends the connection; what came before it arrives."""
        self.serve()
        browser = self.enter()
        data = browser.encrypted(client_frame(TEXT, question(1)))
        bad = bytearray(browser.encrypted(client_frame(TEXT, question(2))))
        bad[-1] ^= 1
        browser.put(data + bad + browser.encrypted(client_frame(TEXT, question(3))))
        self.until(lambda: browser.ended, "the end")
        self.loop.until(lambda: self.engine.lost, "the link ends as well")
        self.assertEqual(bytes(self.engine.heard), link_frame(question(1)))

    def test_rungs(self) -> None:
        """Only ``full`` has pumps, and only for what they know."""
        for rung in ("stock", "portable"):
            self.serve(rung)
            self.enter(joins=False)
        self.patch(pumpsides, "LeanTLSProtocol", type("Another", (), {}))
        self.serve()
        self.browser = self.knock()
        self.browser.heard.clear()
        self.answers(1)
        self.assertEqual(len(self.taps), 1)  # the link has no TLS
        self.answers(2)


class SessionInTheClearTests(SessionTests):
    """The same without TLS."""

    secure = False
    test_a_damaged_record = None  # type: ignore[assignment]

    def test_rungs(self) -> None:
        """Only ``full`` has pumps."""
        for rung in ("stock", "portable"):
            self.serve(rung)
            self.enter(joins=False)


class SessionOnTwistedsReactorTests(SessionTests):
    """The same on Twisted's own reactor."""

    reactor = EPollReactor


ONE, TWO, THREE = (client_frame(TEXT, question(number)) for number in (1, 2, 3))
LATER = client_frame(TEXT, question(9))


class SessionStreamTests(SessionTestCase, StreamTests):
    """Streams of all kinds, cut anywhere: the same bytes arrive, and the same end."""

    late = LATER
    tapped = 0

    def note(self, taps: Callable[..., Tap | None], *arguments: Any) -> Tap | None:
        self.tapped += 1
        return super().note(taps, *arguments)

    def ways(self) -> int:
        return self.tapped

    from_browsers = {
        "frames": ONE + TWO + THREE,
        "a ping": ONE + client_frame(PING, b"?") + TWO,
        "fragments": client_frame(TEXT, question(1)[:4], last=False)
        + client_frame(PING, b"?")
        + client_frame(0, question(1)[4:])
        + TWO,
        "a close": ONE + client_frame(CLOSE, b"\x03\xe8") + LATER,
        "no UTF-8": ONE + client_frame(TEXT, b"\xc3\x28") + LATER,
        "no frame": ONE + b"\xff\x00" + LATER,
    }
    from_backends = {
        "pushes": link_frame(b"one") + link_frame(b"") + link_frame(b"three"),
        "too long": link_frame(b"one") + (1 << 24).to_bytes(4, "big") + b"late",
    }


class SessionStreamsOverTLSLinksTests(SessionStreamTests):
    """The same with TLS on both sides, and cut less often."""

    secure_link = True


class SessionPressureTests(SessionTestCase):
    """Sides that do not read, or read little."""

    PUSHES = [b"%d:" % number + b"x" * 4000 for number in range(300)]

    def test_in_crumbs(self) -> None:
        """Short writes on both sides, all the time: nothing is lost, and nothing out of order."""
        self.serve()
        browser = self.enter()
        for connection in self.sides():
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * KIB)
        asked = [question(number, b"q" * 9000) for number in range(1, 31)]
        for number, each in enumerate(self.PUSHES):
            if number < len(asked):
                browser.say(client_frame(TEXT, asked[number]))
            self.engine.say(each)
            self.loop.turn()
            browser.listens(3000)
        up = b"".join(map(link_frame, asked))
        down = b"".join(map(server_frame, self.PUSHES))
        self.until(lambda: len(self.engine.heard) >= len(up), "all of it")
        self.until(lambda: len(browser.heard) >= len(down), "all of it, back")
        self.assertEqual((bytes(self.engine.heard), bytes(browser.heard)), (up, down))

    def test_a_browser_that_does_not_read(self) -> None:
        """Its link is not read any more; what waits is bounded, and all of it arrives."""
        self.serve()
        browser = self.enter()
        ours, link = self.sides()
        ours.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * KIB)
        most = 0
        for each in self.PUSHES:
            self.engine.say(each)
            self.loop.turn()
            most = max(most, len(ours.dataBuffer) - ours.offset + ours._tempDataLen)
        for _ in range(50):
            self.loop.turn(0.002)
        self.assertNotIn(link, self.loop.reactor.getReaders())
        self.assertGreater(most, 0)
        self.assertLess(most, 6 * 64 * KIB)
        expected = b"".join(map(server_frame, self.PUSHES))
        self.until(lambda: len(browser.heard) >= len(expected), "all of it")
        self.assertEqual(bytes(browser.heard), expected)
        self.answers(1)


class SessionEndTests(SessionTestCase):
    """The end, from either side, and from both at once."""

    def gone(self, taps: list[Tap]) -> None:
        """Wait until nothing is left of the browser; nothing may have been logged as a bug."""
        self.loop.until(lambda: not self.gateway._door._browsers, "the browser is gone")
        self.loop.until(lambda: self.engine.lost, "the link is gone")
        self.loop.until(lambda: _is_over(taps), "and its taps")
        self.assertEqual(self.flushLoggedErrors(), [])

    def vanish(self) -> None:
        if self.browser.socket.fileno() >= 0:
            reset(self.browser.socket)

    def ends(self) -> list[Callable[[], None]]:
        """Return what each side may do."""
        return [
            lambda: None,
            self.vanish,
            self.browser.socket.close,
            self.engine.transport.abortConnection,
            self.engine.transport.loseConnection,
        ]

    def test_both_in_mid_call(self) -> None:
        """Data is under way both ways, and both sides end, in the same turn of the reactor."""
        self.serve()
        for one in range(5):
            for other in range(5):
                if one == other:
                    continue
                browser = self.enter()
                taps = list(self.taps)
                browser.say(client_frame(TEXT, question(1)))
                self.engine.say(b"a push", b"another")
                self.loop.turn(0)
                browser.say(client_frame(TEXT, question(2)))
                self.engine.say(answer(1))
                ends = self.ends()
                ends[one]()
                ends[other]()
                for _ in range(5):
                    self.loop.turn(0.001)
                self.vanish()
                self.gone(taps)

    def test_a_close_frame(self) -> None:
        """A closing handshake in the middle: what came before it arrives, and it is answered."""
        self.serve()
        browser = self.enter()
        taps = list(self.taps)
        browser.say(client_frame(TEXT, question(1)) + client_frame(CLOSE, b"\x03\xe8"))
        self.until(lambda: browser.ended, "the end")
        browser.socket.close()
        self.gone(taps)
        self.assertEqual(bytes(self.engine.heard), link_frame(question(1)))
        self.assertEqual(bytes(browser.heard), b"\x88\x02\x03\xe8")

    def test_we_close(self) -> None:
        """Once we have begun to close, nothing is carried any more, either way."""
        self.serve()
        browser = self.enter()
        taps = list(self.taps)
        (end,) = self.gateway._door._browsers
        browser.say(client_frame(TEXT, question(1)))
        self.engine.say(b"too late")
        end.close(CloseCode.GOING_AWAY, "draining")
        self.until(lambda: browser.heard[:1] == b"\x88", "a close frame")
        browser.say(client_frame(CLOSE, b"\x03\xe9"))
        self.until(lambda: browser.ended, "the end")
        browser.socket.close()
        self.gone(taps)
        self.assertEqual((bytes(self.engine.heard), browser.heard.count(b"late")), (b"", 0))

    def test_the_link_comes_back(self) -> None:
        """A link that breaks is another one afterwards, tapped again."""
        self.serve()
        browser = self.enter()
        self.engine.transport.abortConnection()
        self.loop.until(lambda: self.engine.lost, "the link breaks")
        self.until(lambda: len(self.engines) == 2, "another link")
        for number in (1, 2, 3):
            browser.heard.clear()
            self.answers(number)
        self.assertEqual(len(self.taps), 3)

    def test_a_half_closed_backend(self) -> None:
        """A backend's FIN behind its last frames: they arrive, and the link comes back."""
        self.serve()
        browser = self.enter()
        self.engine.say(b"last", b"words")
        self.engine.transport.loseWriteConnection()
        self.until(lambda: len(self.engines) == 2, "another link")
        self.assertEqual(browser.heard, server_frame(b"last") + server_frame(b"words"))


def _is_over(taps: list[Tap]) -> bool:
    """Say whether all have been parted."""
    return not any(hasattr(tap, "_side") for tap in taps)


def _parted(case: SynchronousTestCase, kind: Any) -> list[int]:
    """Have a list grow by one whenever a joint, or a tap, is parted; it keeps none of them."""
    parted: list[int] = []
    part = kind.part

    def parts(each: Any) -> None:
        parted.append(1)
        part(each)

    case.patch(kind, "part", parts)
    return parted


class JoinedSurvivorsTests(test_survivors.SurvivorsTests):
    """Of browsers that were joined with their links nothing is left either."""

    def setUp(self) -> None:
        super().setUp()
        self.patch(relay, "READS_BEFORE_PUMPS", 1)
        self.joints = _parted(self, Joint)

    def test_relay(self) -> None:
        self.serve("relay")
        self.assertEqual(self.left_of(280), {})
        self.assertGreater(len(self.joints), 140)

    def test_links_over_tls(self) -> None:
        self.serve("relay", secure_links=True)
        self.assertEqual(self.left_of(480), {})
        self.assertGreater(len(self.joints), 240)

    test_other_modes = None  # type: ignore[assignment]  # see below


class TappedSurvivorsTests(test_survivors.SurvivorsTests):
    """Nor of those of session mode, which were tapped."""

    def setUp(self) -> None:
        super().setUp()
        for room in (attachment, sessionlinks):
            self.patch(room, "READS_BEFORE_PUMPS", 1)
        self.taps = _parted(self, Tap)

    def tearDown(self) -> None:
        self.assertGreater(len(self.taps), 0)

    def test_links_over_tls(self) -> None:
        self.serve("session", secure_links=True)
        self.assertEqual(self.left_of(480), {})

    test_relay = None  # type: ignore[assignment]


class LadderTests(SecureTestCase):
    """When there are pumps."""

    def test_rungs(self) -> None:
        """Only ``full`` has them."""
        for rung in ("stock", "portable", "full"):
            self.joints.clear()
            self.serve(rung)
            self.enter(joins=False)
            self.assertEqual(len(self.joints), int(rung == "full"), rung)
        self.assertIn(
            "pumps from socket to socket", [each.name for each in performance.steps("full")]
        )

    def test_not_to_be_had(self) -> None:
        """Without them messages go on as before, and it is said once why."""
        self.patch(pumpsides, "why_not", lambda: "there is no compiler")
        with capturedLogs() as events:
            self.serve()
            browser = self.enter(joins=False)
        told = [(each["step"], each["missing"]) for each in events if "step" in each]
        self.assertIn(("pumps from socket to socket", "there is no compiler"), told)
        self.assertEqual(self.joints, [])
        browser.say(client_frame(TEXT, b"on foot"))
        self.until(lambda: bytes(self.engine.heard) == link_frame(b"on foot"), "it arrives")

    def test_with_the_codec_in_python(self) -> None:
        """A pump takes readers in Python as well."""
        self.patch(hotpath, "FRAMED_A_TURN", 16)
        self.patch(performance.wsframes, "_BEST", PORTABLE)
        self.serve()
        browser = self.enter()
        browser.say(client_frame(TEXT, b"slowly") * 3)
        self.engine.say(b"but surely")
        self.until(lambda: bytes(self.engine.heard) == link_frame(b"slowly") * 3, "it arrives")
        self.until(lambda: browser.heard == server_frame(b"but surely"), "the answer as well")
        self.assertEqual((self.joint.upwards.messages, self.joint.downwards.messages), (3, 1))

    def test_others_transports(self) -> None:
        """Where anything in between is of another kind, nobody is joined, and all goes on."""
        self.patch(pumpsides, "LeanTLSProtocol", type("Another", (), {}))
        self.serve()
        browser = self.enter(joins=False)
        self.assertEqual(self.joints, [None])
        browser.say(client_frame(TEXT, b"as ever"))
        self.until(lambda: bytes(self.engine.heard) == link_frame(b"as ever"), "it arrives")
