"""
TLS by the short way: the same as Twisted's own, with fewer questions to OpenSSL.

Twisted's own tests of TLS run on it, too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from attrs import frozen
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.internet import ssl
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock
from twisted.protocols import tls as stock
from twisted.protocols.test import test_tls
from twisted.protocols.tls import (
    BufferingTLSTransport,
    TLSMemoryBIOFactory,
    TLSMemoryBIOProtocol,
)
from zope.interface import alsoProvides

from orion_twisted.core.tlsrecords import MOST_CONTENT
from orion_twisted.net import leantls
from orion_twisted.net.leantls import AT_ONCE, PIECE, LeanTLSProtocol, make_lean, why_not
from orion_twisted.net.tls import CertificateTable
from tests.certificates import CertificateFolderTestCase, authority, issue
from tests.net.handshakes import TLS12, TLS13, client_context
from tests.net.sockets import Recorder, Valve
from tests.transports import Pipe, carry

KIB = 1024
VERSIONS = (TLS12, TLS13)
GCM = "TLS_AES_128_GCM_SHA256"
TEXT = bytes(range(256)) * 4096
"""A megabyte that shows where in it a piece belongs."""


class OnLean:
    """Have what Twisted's tests make be lean."""

    def setUp(self: Any) -> None:
        super().setUp()  # type: ignore[misc]
        self.patch(test_tls, "TLSMemoryBIOProtocol", LeanTLSProtocol)
        self.patch(TLSMemoryBIOFactory, "protocol", LeanTLSProtocol)


class TwistedsDeterministicTests(OnLean, test_tls.DeterministicTLSMemoryBIOTests):
    def test_smallWriteBuffering(self) -> None:
        """Small writes are not kept for the next turn: it is the one thing that differs."""
        client, server, pump = test_tls.handshakingClientAndServer()
        pump.flush()
        client.write(b"hel")
        client.write(b"lo")
        pump.flush(advanceClock=False)
        self.assertEqual(server.wrappedProtocol.received, [b"hello"])


class TwistedsTests(OnLean, test_tls.TLSMemoryBIOTests):
    """Twisted's own."""


class TwistedsProducerTests(OnLean, test_tls.TLSProducerTests):
    """Twisted's own."""


class Counting:
    """
    An OpenSSL connection that counts what it is asked.

    Attributes:
        calls: the names of the methods that were called.
        raised: those that have raised something.
        sizes: how many bytes each was given, or asked for.
        takes: how much is sent at a time, at most.
        fails: after how many calls nothing is sent any more, and what is raised instead.
    """

    def __init__(self, connection: SSL.Connection) -> None:
        self._connection = connection
        self.takes = 1 << 30
        self.fails: tuple[int, SSL.Error] | None = None
        self.forget()

    def forget(self) -> None:
        self.calls: list[str] = []
        self.raised: list[str] = []
        self.sizes: dict[str, list[int]] = {"bio_write": [], "recv": [], "send": []}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def _count(self, name: str, argument: Any) -> Any:
        self.calls.append(name)
        if name in self.sizes:
            self.sizes[name].append(argument if name == "recv" else len(argument))
        try:
            return getattr(self._connection, name)(argument)
        except SSL.Error:
            self.raised.append(name)
            raise

    def bio_write(self, data: bytes) -> int:
        return self._count("bio_write", data)

    def bio_read(self, size: int) -> bytes:
        return self._count("bio_read", size)

    def recv(self, size: int) -> bytes:
        return self._count("recv", size)

    def send(self, data: bytes) -> int:
        if self.fails is not None and self.calls.count("send") >= self.fails[0]:
            raise self.fails[1]
        return self._count("send", data[: self.takes])


class Peer:
    """
    The client: pyOpenSSL, and the other end of our wire.

    Attributes:
        read: all that it has received.
        ended: it has received a close_notify.
        alert: what it has received in place of data, if it is an error.
    """

    def __init__(self, wire: Pipe, context: SSL.Context) -> None:
        self.wire = wire
        self.connection = SSL.Connection(context, None)
        self.connection.set_connect_state()
        self.connection.set_tlsext_host_name(b"shop.example")
        self.read = bytearray()
        self.ended = False
        self.alert = ""

    def shake_hands(self) -> None:
        for _ in range(10):
            with contextlib.suppress(SSL.WantReadError):
                self.connection.do_handshake()
            data = self.outgoing()
            if data:
                self.wire.hears(data)
            self.take()

    def encrypt(self, *messages: bytes) -> bytes:
        """Return the records of some messages, each of at most a record's content."""
        for message in messages:
            assert self.connection.send(message) == len(message)
        return self.outgoing()

    def outgoing(self) -> bytes:
        data = bytearray()
        with contextlib.suppress(SSL.WantReadError):
            while True:
                data += self.connection.bio_read(1 << 20)
        return bytes(data)

    def take(self) -> bytes:
        """Read what our side has sent; return it."""
        before = len(self.read)
        self.wire.turn()
        data = bytes(self.wire.taken)
        self.wire.taken.clear()
        if data:
            self.connection.bio_write(data)
        try:
            while not self.ended:
                self.read += self.connection.recv(1 << 20)
        except SSL.ZeroReturnError:
            self.ended = True
        except SSL.WantReadError:
            pass
        except SSL.Error as error:
            self.alert = str(error)
        return bytes(self.read[before:])


class TLSTestCase(CertificateFolderTestCase):
    """A server's end that is lean, and a client to talk to it, joined in memory."""

    def setUp(self) -> None:
        super().setUp()
        self.root = authority()
        self.put("shop.pem", issue(["shop.example"], self.root).pem)
        self.table = CertificateTable([self.read_only()], "shop.example", self.now)
        self.clock: Any = MemoryReactorClock()

    def connect(
        self,
        version: int | None = None,
        protocol: Recorder | None = None,
        context: SSL.Context | None = None,
        kind: type[TLSMemoryBIOProtocol] = LeanTLSProtocol,
        shakes_hands: bool = True,
    ) -> None:
        """Connect a client, of one version or of any, and shake hands."""
        self.protocol = protocol or Recorder()
        factory = TLSMemoryBIOFactory(
            self.table, False, Factory.forProtocol(lambda: self.protocol), self.clock
        )
        factory.protocol = kind
        self.tls: Any = factory.buildProtocol(None)
        self.wire = Pipe(self.clock)
        self.wire.connect(self.tls)
        self.peer = Peer(self.wire, context or client_context(version=version))
        if shakes_hands:
            self.peer.shake_hands()
            self.count()

    def count(self) -> Counting:
        """Count from now on what OpenSSL is asked on our side."""
        self.tls._tlsConnection = self.counting = Counting(self.tls._tlsConnection)
        return self.counting

    def hears(self, data: bytes) -> None:
        """Have some bytes arrive in one read."""
        if data:
            self.wire.hears(data)

    def settle(self) -> None:
        """Carry what there is, and let the turn pass."""
        for _ in range(2):
            self.clock.advance(0)
            self.peer.take()
            if self.wire.protocol is not None:
                self.hears(self.peer.outgoing())


class ShortWayTests(TLSTestCase):
    """What OpenSSL is asked, and given."""

    def test_a_message(self) -> None:
        """A message costs two calls each way, and nothing raises."""
        for version in VERSIONS:
            self.connect(version)
            for text in (b"question", TEXT[:MOST_CONTENT]):
                self.counting.forget()
                self.hears(self.peer.encrypt(text))
                self.assertEqual(self.counting.calls, ["bio_write", "recv"])
                self.tls.write(text)
                self.assertEqual(self.counting.calls[2:], ["send", "bio_read"])
                self.assertEqual(self.counting.raised, [])
                self.assertEqual(self.protocol.heard[-len(text) :], text)
                self.assertEqual(self.peer.take(), text)

    def test_messages_of_one_read(self) -> None:
        """Messages that come in one read are delivered in one piece, and asked for one by one."""
        self.connect()
        texts = [b"%d" % number * 50 for number in range(60)]
        self.hears(self.peer.encrypt(*texts))
        self.assertEqual(self.protocol.heard, b"".join(texts))
        self.assertEqual(len(self.protocol.reads), 1)
        self.assertEqual(self.counting.calls, ["bio_write", *["recv"] * 60])
        self.assertEqual(self.counting.raised, [])

    def test_large_both_ways(self) -> None:
        """As much as one record holds, a byte more, and a megabyte."""
        for version in VERSIONS:
            self.connect(version)
            for size in (MOST_CONTENT, MOST_CONTENT + 1, 1 << 20):
                self.counting.forget()
                text = TEXT[:size]
                pieces = [text[at : at + MOST_CONTENT] for at in range(0, size, MOST_CONTENT)]
                before = len(self.protocol.heard)
                self.hears(self.peer.encrypt(*pieces))
                self.assertTrue(self.protocol.heard[before:] == text)
                self.tls.write(text)
                self.assertTrue(self.peer.take() == text)
                self.assertEqual(self.counting.calls.count("recv"), len(pieces))
                self.assertEqual(self.counting.calls.count("send"), len(pieces))
                self.assertEqual(self.counting.raised, [])

    def test_buffers_stay_small(self) -> None:
        """OpenSSL's buffers, which never shrink, never hold more than a record or its pieces."""
        for cut in (0, 1, 4, 5, 6, 100, 20_000):
            self.connect()
            records = self.peer.encrypt(*[TEXT[:MOST_CONTENT]] * 16, *[b"small"] * 2000)
            self.hears(records[:cut])
            self.hears(records[cut:])
            self.assertEqual(len(self.protocol.heard), 16 * MOST_CONTENT + 10_000)
            self.assertLessEqual(max(self.counting.sizes["bio_write"]), PIECE)
            self.tls.write(TEXT)
            self.assertLessEqual(max(self.counting.sizes["send"]), MOST_CONTENT)

    def test_handed_on_in_blocks(self) -> None:
        """Much is handed on in blocks that are long, but not too long, either way."""
        self.connect()
        self.hears(self.peer.encrypt(*[TEXT[:MOST_CONTENT]] * 16))
        self.assertEqual(self.protocol.reads, [AT_ONCE] * 4)
        with patch.object(self.wire, "write") as written:
            self.tls.write(TEXT)
        self.assertEqual(written.call_count, len(TEXT) // AT_ONCE)

    def test_nothing(self) -> None:
        """What is empty is not sent, and what is not bytes is refused as Twisted refuses it."""
        self.connect()
        self.tls.write(b"")
        self.tls.writeSequence([b"", b""])
        for odd in ("text", None, memoryview(b"view")):
            with self.assertRaises(TypeError):
                self.tls.write(odd)
        self.assertEqual(self.counting.calls, [])
        self.tls.writeSequence([b"some", b"thing"])
        self.tls.write(bytearray(b" else"))
        self.assertEqual(self.peer.take(), b"something else")

    def test_small_records_agreed_on(self) -> None:
        """Where OpenSSL sends only a part at a time, all of it is sent, in order."""
        self.connect()
        self.counting.takes = 1000
        for size in (1000, 1001, MOST_CONTENT, 3 * AT_ONCE + 1):
            self.tls.write(TEXT[:size])
            self.assertTrue(self.peer.take() == TEXT[:size], size)

    def test_more_than_expected(self) -> None:
        """If OpenSSL has more to send than expected, all of it is sent."""
        for short in (-1000, 22, 23, 1000):
            self.connect(TLS13)
            for text in (TEXT[:5000], TEXT[:100_000]):
                with patch.object(leantls, "OVERHEAD", short):
                    self.tls.write(text)
                self.assertTrue(self.peer.take() == text)


def hears_byte_by_byte(wire: Pipe, data: bytes) -> None:
    """Have some bytes arrive, each in a read of its own."""
    for each in data:
        wire._unread.append(bytes([each]))
        wire.turn()


class CutTests(TLSTestCase):
    """Records that do not arrive in one piece."""

    def test_cut_at_every_byte(self) -> None:
        """A stream in two reads, cut wherever it may be, its end included."""
        for version in VERSIONS:
            self.connect(version)
            size = len(self.peer.encrypt(b"one", b"three", b"4" * 40)) + 60
            for cut in range(size):
                self.connect(version)
                stream = self.peer.encrypt(b"one", b"three", b"4" * 40)
                self.peer.connection.shutdown()
                stream += self.peer.outgoing()
                self.hears(stream[:cut])
                self.hears(stream[cut:])
                self.assertEqual(self.protocol.heard, b"onethree" + b"4" * 40, cut)
                self.settle()
                self.assertEqual(self.protocol.told, ["ConnectionDone"], cut)

    def test_byte_by_byte(self) -> None:
        """Every byte in a read of its own, handshake and end included."""
        for version in VERSIONS:
            with patch.object(Pipe, "hears", hears_byte_by_byte):
                self.connect(version)
                self.hears(self.peer.encrypt(b"one", TEXT[:1000]))
                self.assertEqual(self.protocol.heard, b"one" + TEXT[:1000])
                self.assertEqual(self.protocol.reads, [3, 1000])
                self.assertEqual(self.counting.raised, [])
                self.peer.connection.shutdown()
                self.settle()
            self.assertEqual(self.protocol.told, ["ConnectionDone"])

    def test_speed_comes_back(self) -> None:
        """After a record that came in pieces the next one takes the short way again."""
        self.connect()
        record = self.peer.encrypt(b"first")
        for cut in range(len(record)):
            self.hears(record[:cut])
            self.hears(record[cut:])
            self.counting.forget()
            self.hears(self.peer.encrypt(b"second"))
            self.assertEqual(self.counting.calls, ["bio_write", "recv"], cut)
            record = self.peer.encrypt(b"first")

    def test_first_data_with_the_handshake(self) -> None:
        """What a client says together with the end of its handshake is counted, too."""
        for cut in range(40):
            self.connect(TLS13, shakes_hands=False)
            client = self.peer.connection
            for _ in range(2):
                with contextlib.suppress(SSL.WantReadError):
                    client.do_handshake()
                    break
                self.hears(self.peer.outgoing())
                self.peer.take()
            stream = self.peer.encrypt(b"early bird", b"and more")
            self.hears(stream[: len(stream) - cut])
            self.hears(stream[len(stream) - cut :])
            self.assertEqual(self.protocol.heard, b"early birdand more")
            counting = self.count()
            self.hears(self.peer.encrypt(b"!"))
            self.assertEqual(counting.calls, ["bio_write", "recv"], cut)


class Forger:
    """
    A client's TLS 1.3 records, made by hand with the keys of a connection.

    What OpenSSL's client would never send can be sent so, from now on instead of by it.

    Args:
        secrets: of the client's and of the server's traffic.
        sent, received: how many records each side has sent with them so far.
    """

    def __init__(self, secrets: tuple[bytes, bytes], sent: int, received: int) -> None:
        self._ours, self._theirs = (_Keys(each) for each in secrets)
        self._ours.number, self._theirs.number = sent, received

    def record(self, content: bytes, kind: int = 23, padding: int = 0) -> bytes:
        return self._ours.seal(content + bytes([kind]) + bytes(padding))

    def key_update(self, asks: bool) -> bytes:
        """Return a key update; what follows it has new keys."""
        record = self.record(bytes([24, 0, 0, 1, int(asks)]), kind=22)
        self._ours = self._ours.next()
        return record

    def read(self, data: bytes) -> list[tuple[int, bytes]]:
        """Return type and content of each record of the server's; key updates are followed."""
        found = []
        while data:
            size = 5 + int.from_bytes(data[3:5], "big")
            content = self._theirs.open(data[:size]).rstrip(b"\0")
            data = data[size:]
            found.append((content[-1], content[:-1]))
            if content == bytes([24, 0, 0, 1, 0, 22]):
                self._theirs = self._theirs.next()
        return found


class _Keys:
    """Keys and record number of one direction (RFC 8446, section 7.3)."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._key = AESGCM(self._expand(b"key", 16))
        self._iv = int.from_bytes(self._expand(b"iv", 12), "big")
        self.number = 0

    def next(self) -> _Keys:
        return _Keys(self._expand(b"traffic upd", 32))

    def seal(self, content: bytes) -> bytes:
        header = bytes([23, 3, 3]) + (len(content) + 16).to_bytes(2, "big")
        return header + self._key.encrypt(self._nonce(), content, header)

    def open(self, record: bytes) -> bytes:
        return self._key.decrypt(self._nonce(), record[5:], record[:5])

    def _nonce(self) -> bytes:
        self.number += 1
        return (self._iv ^ (self.number - 1)).to_bytes(12, "big")

    def _expand(self, label: bytes, length: int) -> bytes:
        label = b"tls13 " + label
        info = length.to_bytes(2, "big") + bytes([len(label)]) + label + b"\0"
        return HKDFExpand(SHA256(), length, info).derive(self._secret)


class ForgedTests(TLSTestCase):
    """Records with anything but data in them, in the middle of data."""

    TICKETS = 2  # which the server sends before anything else

    def forge(self, kind: type[TLSMemoryBIOProtocol] = LeanTLSProtocol) -> None:
        secrets: dict[bytes, bytes] = {}

        def keep(_: object, line: bytes) -> None:
            name, _, secret = line.split()
            secrets[name] = bytes.fromhex(secret.decode())

        context = client_context(version=TLS13, ciphers13=GCM)
        context.set_keylog_callback(keep)
        self.connect(context=context, kind=kind)
        names = b"CLIENT_TRAFFIC_SECRET_0", b"SERVER_TRAFFIC_SECRET_0"
        self.forger = Forger((secrets[names[0]], secrets[names[1]]), 0, self.TICKETS)

    def sent(self) -> list[tuple[int, bytes]]:
        """Return what has been sent since the last time: type and content of each record."""
        self.clock.advance(0)
        self.wire.turn()
        data = bytes(self.wire.taken)
        self.wire.taken.clear()
        return self.forger.read(data)

    def is_short(self) -> bool:
        """Say whether the next message takes the short way."""
        self.counting.forget()
        self.hears(self.forger.record(b"next"))
        self.assertEqual(self.protocol.heard[-4:], b"next")
        return self.counting.calls == ["bio_write", "recv"]

    def test_forged(self) -> None:
        """The forger can write and read what OpenSSL reads and writes."""
        self.forge()
        self.hears(self.forger.record(b"question", padding=100))
        self.tls.write(b"answer")
        self.assertEqual(self.protocol.heard, b"question")
        self.assertEqual(self.sent(), [(23, b"answer")])

    def test_key_update(self) -> None:
        """New keys of the peer's, alone and between data, change nothing for anybody."""
        for alone in (True, False):
            self.forge()
            stream = [self.forger.record(b"before"), self.forger.key_update(asks=False)]
            stream.append(self.forger.record(b"after"))
            for each in stream if alone else [b"".join(stream)]:
                self.hears(each)
            self.assertEqual(self.protocol.heard, b"beforeafter")
            self.assertTrue(self.is_short())
            self.assertEqual(self.sent(), [])

    def test_key_update_that_asks(self) -> None:
        """A peer that asks for new keys of ours gets them, before our next data."""
        for together in (False, True):
            self.forge()
            stream = [self.forger.key_update(asks=True), self.forger.record(b"question")]
            for each in [b"".join(stream)] if together else stream:
                self.hears(each)
            self.tls.write(b"answer")
            self.tls.write(TEXT[:MOST_CONTENT])
            update = (22, bytes([24, 0, 0, 1, 0]))
            self.assertEqual(self.sent(), [update, (23, b"answer"), (23, TEXT[:MOST_CONTENT])])
            self.assertEqual(self.protocol.heard, b"question")
            self.assertTrue(self.is_short())

    def test_answer_of_openssl(self) -> None:
        """What OpenSSL has to say to a record that carries no data goes out at once."""
        for number in (0, 1, 2):
            self.forge()
            self.counting.send(b"as if it were an answer")
            data = [self.forger.record(b"data") for _ in range(number)]
            self.hears(b"".join([*data, self.forger.key_update(asks=False)]))
            self.assertEqual(self.sent(), [(23, b"as if it were an answer")])

    def test_empty_records(self) -> None:
        """Records without content are no messages."""
        self.forge()
        self.hears(self.forger.record(b""))
        self.hears(self.forger.record(b"", padding=10) + self.forger.record(b"x"))
        self.hears(self.forger.record(b"y") + self.forger.record(b""))
        self.assertEqual(self.protocol.heard, b"xy")
        self.assertTrue(self.is_short())

    def test_alert_in_place_of_data(self) -> None:
        """A fatal alert ends the connection with an error; what came before it is delivered."""
        for before in (b"", b"before"):
            self.forge()
            data = self.forger.record(before) if before else b""
            data += self.forger.record(bytes([2, 80]), kind=21)  # internal_error
            self.hears(data + self.forger.record(b"after"))
            self.clock.advance(0)
            self.wire.turn()
            self.assertEqual((self.protocol.heard, self.protocol.told), (before, ["Error"]))

    def test_close_in_place_of_data(self) -> None:
        """So does a close_notify, in good order, and it is answered."""
        for before in (b"", b"before"):
            self.forge()
            data = self.forger.record(before) if before else b""
            data += self.forger.record(bytes([1, 0]), kind=21)
            self.hears(data + self.forger.record(b"after"))
            self.assertEqual(self.sent(), [(21, bytes([1, 0]))])
            told = self.protocol.told
            self.assertEqual((self.protocol.heard, told), (before, ["ConnectionDone"]))

    def test_user_canceled(self) -> None:
        """An alert that means nothing means nothing."""
        self.forge()
        self.hears(self.forger.record(bytes([1, 90]), kind=21) + self.forger.record(b"x"))
        self.assertEqual(self.protocol.heard, b"x")
        self.assertTrue(self.is_short())

    def test_damaged(self) -> None:
        """A record that was changed under way ends the connection, with an alert."""
        for before in (b"", b"before"):
            self.forge()
            data = bytearray(self.forger.record(before) if before else b"")
            data += self.forger.record(b"damaged")
            data[-1] ^= 1
            self.hears(bytes(data) + self.forger.record(b"after"))
            self.assertEqual(self.sent(), [(21, bytes([2, 20]))])  # bad_record_mac
            self.assertEqual((self.protocol.heard, self.protocol.told), (before, ["Error"]))

    def test_no_records(self) -> None:
        """What cannot be a record is refused by OpenSSL as soon as it may be, as with Twisted."""
        for odd in (b"\x17\x03\x03\xff\xff", b"\x18\x03\x03\0\x10", b"GET / HTTP/1.1\r\n\r\n"):
            told = []
            for kind in (TLSMemoryBIOProtocol, LeanTLSProtocol):
                self.forge(kind)
                self.hears(self.forger.record(b"before") + odd)
                told.append((self.protocol.heard, self.protocol.told, self.sent()))
            self.assertEqual(told[0], told[1])
            self.assertEqual(told[0][:2], (b"before", ["Error"]))

    def test_count_lost(self) -> None:
        """Who cannot count any more reads all there is, in pieces, and goes on so."""
        for cut in (3, 100, 20_000):
            self.forge()
            self.tls._records.feed(b"\xff" * 5, only_data=True)
            self.assertFalse(self.is_short())
            self.counting.forget()
            stream = b"".join(self.forger.record(TEXT[:MOST_CONTENT]) for _ in range(10))
            self.hears(stream[:cut])
            self.hears(stream[cut:])
            self.assertTrue(self.protocol.heard == b"next" + TEXT[:MOST_CONTENT] * 10)
            self.assertLessEqual(max(self.counting.sizes["bio_write"]), PIECE)
            self.tls.write(b"answer")
            self.assertEqual(self.sent(), [(23, b"answer")])
            self.hears(self.forger.record(bytes([1, 0]), kind=21))
            self.assertEqual(self.sent(), [(21, bytes([1, 0]))])
            self.assertEqual(self.protocol.told, ["ConnectionDone"])

    def test_aborted_while_it_cannot_count(self) -> None:
        """Even then an abort inside a read is the end of that read."""
        self.forge()
        self.tls._records.feed(b"\xff" * 5, only_data=True)
        self.protocol.on_data = lambda _: self.tls.abortConnection()
        self.hears(b"".join(self.forger.record(TEXT[:MOST_CONTENT]) for _ in range(10)))
        self.assertEqual(len(self.protocol.heard), MOST_CONTENT)
        self.assertEqual(self.counting.sizes["bio_write"], [PIECE])


class RenegotiationTests(TLSTestCase):
    """TLS 1.2 lets a client ask for another handshake."""

    def test_refused(self) -> None:
        """It does not get one, and the connection goes on, at Twisted's speed."""
        self.connect(TLS12)
        client = self.peer.connection
        self.hears(self.peer.encrypt(b"before"))
        client.renegotiate()
        with contextlib.suppress(SSL.WantReadError):
            client.do_handshake()
        self.hears(self.peer.outgoing())
        answer = bytes(self.wire.taken)
        self.assertEqual((answer[0], len(answer)), (21, 5 + 2 + 24))  # an alert, encrypted
        self.peer.take()
        self.assertIn("no renegotiation", self.peer.alert)
        self.assertEqual((self.protocol.heard, self.protocol.told), (b"before", []))
        self.assertEqual(self.tls.getHandle().total_renegotiations(), 0)
        self.tls.write(b"still here")
        self.wire.turn()
        self.assertEqual(len(self.wire.taken), 5 + len(b"still here") + 24)


class EndTests(TLSTestCase):
    """All the ways in which a connection ends."""

    def test_peer_closes(self) -> None:
        """A peer's close_notify is answered, and the connection ends once, in good order."""
        for version in VERSIONS:
            self.connect(version)
            self.peer.connection.shutdown()
            self.settle()
            self.assertTrue(self.peer.ended)
            self.assertEqual(self.protocol.told, ["ConnectionDone"])
            self.assertTrue(self.wire.heard_end)
            self.tls.write(b"late")

    def test_we_close(self) -> None:
        """Ours goes out after all that was written; the peer's answer ends the connection."""
        for version in VERSIONS:
            self.connect(version)
            self.tls.write(TEXT)
            self.tls.loseConnection()
            self.tls.write(b"late")
            self.assertTrue(self.peer.take() == TEXT)
            self.assertTrue(self.peer.ended)
            self.assertEqual(self.protocol.told, [])
            self.hears(self.peer.encrypt(b"before my end"))
            self.peer.connection.shutdown()
            self.settle()
            self.assertEqual(self.protocol.heard, b"before my end")
            self.assertEqual(self.protocol.told, ["ConnectionDone"])

    def test_close_waits_for_the_producer(self) -> None:
        """With a producer registered the close waits until that is unregistered."""
        self.connect()
        self.tls.registerProducer(Valve(), True)
        self.tls.loseConnection()
        self.tls.write(b"last words")
        self.peer.take()
        self.assertFalse(self.peer.ended)
        self.tls.unregisterProducer()
        self.peer.take()
        self.assertEqual((self.peer.read, self.peer.ended), (b"last words", True))

    def test_cut_off_by_the_peer(self) -> None:
        """An end without close_notify is none in good order, in the middle of a record neither."""
        for version in VERSIONS:
            for begun in (b"", b"one"):
                self.connect(version)
                if begun:
                    self.hears(self.peer.encrypt(begun)[:-1])
                self.wire.hears_end()
                self.assertEqual(
                    (self.protocol.heard, self.protocol.told), (b"", ["ConnectionLost"])
                )

    def test_reset(self) -> None:
        """A reset is told as such."""
        self.connect()
        self.wire.breaks()
        self.assertEqual(self.protocol.told, ["ConnectionLost"])

    def test_abort(self) -> None:
        """After an abort nothing is sent, and nothing of the same read is delivered."""
        self.connect()
        self.protocol.on_data = lambda _: self.tls.abortConnection()
        self.hears(self.peer.encrypt(*[TEXT[:MOST_CONTENT]] * 16))
        self.assertEqual(self.protocol.reads, [AT_ONCE])
        self.tls.write(b"late")
        self.tls.dataReceived(self.peer.encrypt(b"late"))
        self.assertEqual(self.protocol.reads, [AT_ONCE])
        self.clock.advance(0)
        self.assertEqual(self.protocol.told, ["ConnectionLost"])  # as Twisted's TLS says

    def test_abort_inside_openssl(self) -> None:
        """Nor is the message delivered that OpenSSL was being asked for, by one way or another."""
        for count in (1, 3):
            self.connect()
            recv = self.counting.recv

            def read_and_abort(size: int, recv: Callable[[int], bytes] = recv) -> bytes:
                content = recv(size)
                self.tls.abortConnection()
                return content

            with patch.object(self.counting, "recv", read_and_abort):
                self.hears(self.peer.encrypt(*[b"message"] * count))
            self.assertEqual(self.protocol.reads, [])

    def test_close_inside_a_read(self) -> None:
        """Whoever only closes is still told what has come in the same read."""
        self.connect()
        self.protocol.on_data = lambda _: self.tls.loseConnection()
        self.hears(self.peer.encrypt(*[TEXT[:MOST_CONTENT]] * 16))
        self.assertEqual(sum(self.protocol.reads), 16 * MOST_CONTENT)
        self.peer.take()
        self.assertTrue(self.peer.ended)

    def test_write_fails(self) -> None:
        """If OpenSSL refuses to encrypt, the connection ends with its error, and not inside."""
        for text in (b"short", TEXT):
            self.connect()
            taken = TEXT[: 3 * MOST_CONTENT] if text == TEXT else b""
            self.counting.fails = len(taken) // MOST_CONTENT, SSL.Error([("", "", "a bug")])
            self.tls.write(text)
            self.assertEqual(self.protocol.told, [])
            self.tls.dataReceived(self.peer.encrypt(b"late"))
            self.assertEqual(self.protocol.heard, b"")
            self.clock.advance(0)
            self.peer.take()
            self.assertEqual(self.protocol.told, ["Error"])
            self.assertTrue(self.peer.read == taken)

    def test_write_fails_inside_a_read(self) -> None:
        """Then nothing more of that read is delivered."""
        self.connect()
        self.counting.fails = 0, SSL.Error([("", "", "a bug")])
        self.protocol.on_data = lambda _: self.tls.write(b"answer")
        self.hears(self.peer.encrypt(*[TEXT[:MOST_CONTENT]] * 16))
        self.assertEqual(self.protocol.reads, [AT_ONCE])

    def test_write_has_to_wait(self) -> None:
        """What OpenSSL cannot take yet is kept, pauses the producer, and goes out in order."""
        for text in (b"short", TEXT):
            self.connect()
            valve = Valve()
            self.tls.registerProducer(valve, True)
            self.counting.fails = 3 if text == TEXT else 0, SSL.WantReadError()
            self.tls.write(text)
            self.tls.write(b"second")
            self.counting.fails = None
            self.assertFalse(valve.open)
            self.hears(self.peer.encrypt(b"go on"))
            self.assertTrue(valve.open)
            self.assertEqual(self.protocol.heard, b"go on")
            self.assertTrue(self.peer.take() == text + b"second")


class PressureTests(TLSTestCase):
    """Producers, and pauses."""

    def test_producer_passes_through(self) -> None:
        """A full socket pauses whoever writes to TLS, and resumes it when there is room."""
        self.connect()
        valve = Valve()
        self.tls.registerProducer(valve, True)
        self.wire.room = 100_000
        while valve.open:
            self.tls.write(TEXT[:10_000])
            self.wire.turn()
        self.assertLess(len(self.wire.dataBuffer) + self.wire._tempDataLen, 100_000)
        self.wire.room = 1 << 60
        self.wire.turn()
        self.assertTrue(valve.open)
        self.tls.unregisterProducer()
        self.assertIsNone(self.wire.producer)

    def test_paused_while_it_is_decrypted(self) -> None:
        """A reader that pauses is handed what its read has brought, and nothing after that."""
        self.connect()
        self.protocol.on_data = lambda _: self.tls.pauseProducing()
        self.hears(self.peer.encrypt(*[TEXT[:MOST_CONTENT]] * 6))
        self.assertEqual(sum(self.protocol.reads), 6 * MOST_CONTENT)
        self.hears(self.peer.encrypt(b"later"))
        self.assertEqual(sum(self.protocol.reads), 6 * MOST_CONTENT)
        self.tls.resumeProducing()
        self.wire.turn()
        self.assertEqual(self.protocol.heard[-5:], b"later")


class SwitchTests(TLSTestCase):
    """What can be made lean, and what stays as it is."""

    def test_factory(self) -> None:
        """A factory's connections are lean from the beginning; those that it has made stay."""
        factory = TLSMemoryBIOFactory(self.table, False, Factory.forProtocol(Recorder), self.clock)
        before = factory.buildProtocol(None)
        self.assertTrue(make_lean(factory))
        self.assertTrue(make_lean(factory), "once more")
        self.assertIs(type(factory.buildProtocol(None)), LeanTLSProtocol)
        self.assertIs(type(before), BufferingTLSTransport)

    def test_others(self) -> None:
        """What is not Twisted's own is left alone."""

        class Own(TLSMemoryBIOProtocol):
            """A class of somebody else's."""

        factory = TLSMemoryBIOFactory(self.table, False, Factory.forProtocol(Recorder), self.clock)
        factory.protocol = Own
        self.assertFalse(make_lean(factory))
        self.assertIs(factory.protocol, Own)
        self.assertFalse(make_lean(factory.buildProtocol(None)))
        self.assertFalse(make_lean(Pipe(self.clock)))

    def test_too_late(self) -> None:
        """A connection that has begun stays as it is: its records were not counted."""
        for kind in (BufferingTLSTransport, TLSMemoryBIOProtocol):
            self.connect(kind=kind)
            self.assertFalse(make_lean(self.tls))
            self.assertIs(type(self.tls), kind)

    def link(self, name: str, kind: type, root: Any, greets: bool = False) -> tuple[Any, Any]:
        """Dial this server as a link does, which makes its own end lean; return both protocols."""

        class Link(Recorder):
            def connectionMade(self) -> None:
                alsoProvides(self, IHandshakeListener)
                if greets:
                    self.transport.write(b"greeting")
                self.is_lean = make_lean(self.transport)

            def handshakeCompleted(self) -> None:
                self.transport.write(b"hello")

        options = ssl.optionsForClientTLS(
            name,
            trustRoot=ssl.trustRootFromCertificates(
                [ssl.Certificate.loadPEM(root.certificate_pem)]
            ),
        )
        link, server = Link(), Recorder()
        ours = TLSMemoryBIOFactory(options, True, Factory.forProtocol(lambda: link), self.clock)
        ours.protocol = kind
        theirs = TLSMemoryBIOFactory(
            self.table, False, Factory.forProtocol(lambda: server), self.clock
        )
        make_lean(theirs)
        near, far = Pipe(self.clock), Pipe(self.clock)
        far.connect(theirs.buildProtocol(None))
        near.connect(ours.buildProtocol(None))
        carry(self.clock, near, far)
        self.near, self.far = near, far
        return link, server

    def test_links(self) -> None:
        """A link that dials out is lean as soon as it is told that there is a connection."""
        for kind in (BufferingTLSTransport, TLSMemoryBIOProtocol):
            link, server = self.link("shop.example", kind, self.root)
            self.assertIs(type(link.transport), LeanTLSProtocol)
            self.assertEqual((link.is_lean, server.heard), (True, b"hello"))
            server.transport.write(TEXT)
            carry(self.clock, self.near, self.far)
            self.assertTrue(link.heard == TEXT)
            link.transport.write(TEXT)
            link.transport.loseConnection()
            carry(self.clock, self.near, self.far)
            self.assertTrue(server.heard == b"hello" + TEXT)
            self.assertEqual((link.told, server.told), (["ConnectionDone"], ["ConnectionDone"]))

    def test_links_verify(self) -> None:
        """It still looks at who answers, and whether anybody vouches for that."""
        for name, root in (("other.example", self.root), ("shop.example", authority("Another"))):
            link, server = self.link(name, BufferingTLSTransport, root)
            self.assertTrue(link.is_lean)
            self.assertEqual((link.told == ["ConnectionDone"], server.heard), (False, b""))
            self.assertEqual(len(link.told), 1)

    def test_links_that_have_spoken(self) -> None:
        """What Twisted has kept to be sent is not lost: the link stays as it is."""
        link, server = self.link("shop.example", BufferingTLSTransport, self.root, greets=True)
        self.assertEqual((link.is_lean, server.heard), (False, b"greetinghello"))

    def test_missing(self) -> None:
        """Where Twisted has changed, all stays as it is, and it can be said why."""
        factory = TLSMemoryBIOFactory(self.table, False, Factory.forProtocol(Recorder), self.clock)
        self.assertIsNone(why_not())
        aggregator = stock._AggregateSmallWrites
        made, built = TLSMemoryBIOProtocol.makeConnection, TLSMemoryBIOFactory.__init__

        def made_with_more(self: Any, transport: Any) -> None:
            made(self, transport)
            self.something = 1

        def built_otherwise(self: Any, *arguments: Any, **options: Any) -> None:
            built(self, *arguments, **options)
            self.make = vars(self).pop("_creatorCallable")

        def made_by_another_name(self: Any, transport: Any) -> None:
            self.factory._creatorCallable = self.factory.make
            made(self, transport)
            del self.factory._creatorCallable

        @contextmanager
        def by_another_name() -> Iterator[None]:
            with (
                patch.object(TLSMemoryBIOFactory, "__init__", built_otherwise),
                patch.object(TLSMemoryBIOProtocol, "makeConnection", made_by_another_name),
            ):
                yield

        for reason, change in (
            (
                "made in another way",
                patch.object(TLSMemoryBIOProtocol, "makeConnection", made_with_more),
            ),
            ("no attribute '_creatorCallable'", by_another_name()),
            ("has no _bufferedWrite", patch.object(leantls, "TLSMemoryBIOProtocol", object)),
            ("another kind", patch.object(TLSMemoryBIOFactory, "protocol", TLSMemoryBIOProtocol)),
            ("no attribute '_buffer'", patch.object(aggregator, "__init__", lambda *_: None)),
        ):
            with self.subTest(reason), change:
                why_not.cache_clear()
                self.addCleanup(why_not.cache_clear)
                self.assertIn(reason, why_not() or "")
                self.assertFalse(make_lean(factory))


@frozen
class Seen:
    """What both ends have seen of a connection when all is over."""

    heard: bytes
    told: tuple[str, ...]
    read: bytes
    ended: bool
    alert: str
    is_open: bool
    stopped: bool


SIZES = st.sampled_from([0, 1, 100, MOST_CONTENT, MOST_CONTENT + 1, 200_000])
STEPS = st.one_of(
    st.tuples(st.just("peer says"), SIZES),
    st.tuples(st.just("arrives"), st.sampled_from([1, 4, 5, 30, 1000, 17_000, 1 << 20])),
    st.tuples(st.just("we say"), SIZES),
    st.tuples(st.just("peer reads"), st.just(0)),
    st.tuples(st.just("turn"), st.just(0)),
    st.tuples(st.just("pause"), st.just(0)),
    st.tuples(st.just("resume"), st.just(0)),
    st.tuples(st.just("produce"), st.just(0)),
    st.tuples(st.just("no longer"), st.just(0)),
    st.tuples(st.just("renegotiate"), st.just(0)),
)
ENDS = st.sampled_from(["peer closes", "we close", "we abort", "cut off", "reset", "nothing"])


class DifferentialTests(TLSTestCase):
    """Twisted's own TLS and ours, through the same schedules."""

    def go(
        self, kind: type[TLSMemoryBIOProtocol], version: int, steps: Sequence[Any], end: str
    ) -> Seen:
        self.connect(version, kind=kind)
        valve = Valve()
        wire, tls, peer = self.wire, self.tls, self.peer
        said = written = 0
        on_its_way = bytearray()

        def arrives(size: int) -> None:
            if wire.protocol is not None:
                self.hears(bytes(on_its_way[:size]))
                del on_its_way[:size]

        for what, size in [*steps, ("resume", 0), ("no longer", 0), ("arrives", 1 << 24)]:
            if what == "peer says":
                with contextlib.suppress(SSL.Error):
                    for at in range(said, said + size, MOST_CONTENT):
                        text = TEXT[at % KIB : at % KIB + min(MOST_CONTENT, said + size - at)]
                        on_its_way += peer.encrypt(text)
                said += size
            elif what == "arrives":
                arrives(size)
            elif what == "we say":
                tls.write(TEXT[written % KIB : written % KIB + size])
                written += size
            elif what == "peer reads":
                peer.take()
            elif what == "turn":
                self.clock.advance(0)
                wire.turn()
            elif what == "pause":
                tls.pauseProducing()
            elif what == "resume":
                tls.resumeProducing()
                wire.turn()
            elif what == "produce":
                if wire.producer is None:
                    tls.registerProducer(valve, True)
            elif what == "no longer":
                tls.unregisterProducer()
            elif version == TLS12 and not peer.alert:
                peer.connection.renegotiate()
                with contextlib.suppress(SSL.Error):
                    peer.connection.do_handshake()
                on_its_way += peer.outgoing()
        if end == "peer closes":
            with contextlib.suppress(SSL.Error):
                peer.connection.shutdown()
            on_its_way += peer.outgoing()
        elif end == "we close":
            tls.loseConnection()
        elif end == "we abort":
            tls.abortConnection()
        elif end == "cut off":
            wire.hears_end()
        elif end == "reset":
            wire.breaks()
        arrives(1 << 24)
        self.settle()
        told = tuple(self.protocol.told)
        return Seen(
            bytes(self.protocol.heard),
            told,
            bytes(peer.read),
            peer.ended,
            peer.alert,
            wire.protocol is not None,
            valve.stopped,
        )

    @settings(max_examples=60, deadline=None)
    @given(st.sampled_from(VERSIONS), st.lists(STEPS, max_size=15), ENDS)
    def test_same(self, version: int, steps: Sequence[Any], end: str) -> None:
        """Both ends have seen the same when all is over, whatever has happened and however cut."""
        self.setUp()
        theirs = self.go(TLSMemoryBIOProtocol, version, steps, end)
        ours = self.go(LeanTLSProtocol, version, steps, end)
        self.assertEqual(ours.told, theirs.told)
        self.assertEqual((len(ours.heard), len(ours.read)), (len(theirs.heard), len(theirs.read)))
        self.assertTrue(ours == theirs)
