"""Reading the server's name from a client's first message."""

from __future__ import annotations

import contextlib
import ssl

from hypothesis import example, given, settings
from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.net.clienthello import MAX_HELLO, ClientHelloReader, NoClientHello
from orion_twisted.net.tlspolicy import server_context
from tests.net.handshakes import TLS12, client_context, plain_context


def hello(name: str | None, **abilities: object) -> bytes:
    """Return the first message of pyOpenSSL's client."""
    client = SSL.Connection(client_context(**abilities), None)
    client.set_connect_state()
    if name is not None:
        client.set_tlsext_host_name(name.encode())
    try:
        client.do_handshake()
    except SSL.WantReadError:
        return client.bio_read(2**16)
    raise AssertionError("finished before it began")


def plain_hello(name: str) -> bytes:
    """Return the first message of Python's own `ssl`."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = plain_context().wrap_bio(incoming, outgoing, server_hostname=name)
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise AssertionError("finished before it began")


def records(message: bytes, *cuts: int) -> bytes:
    """Lay a handshake message into records, cut at some places."""
    places = sorted({cut % len(message) for cut in cuts} - {0})
    pieces = [message[a:b] for a, b in zip([0, *places], [*places, len(message)], strict=True)]
    return b"".join(b"\x16\x03\x01" + len(each).to_bytes(2) + each for each in pieces)


def name_in(data: bytes) -> bytes | None:
    return ClientHelloReader().feed(data)


def with_extensions(extensions: bytes) -> bytes:
    """Return a hello of TLS 1.2 with these extensions, in one record."""
    body = b"\x03\x03" + bytes(32) + b"\x00" + b"\x00\x02\xc0\x2b" + b"\x01\x00"
    body += len(extensions).to_bytes(2) + extensions
    return records(b"\x01" + len(body).to_bytes(3) + body)


def server_name_extension(names: bytes) -> bytes:
    content = len(names).to_bytes(2) + names
    return b"\x00\x00" + len(content).to_bytes(2) + content


def entry(name: bytes, kind: int = 0) -> bytes:
    return bytes([kind]) + len(name).to_bytes(2) + name


class ClientHelloTests(SynchronousTestCase):
    """What clients send."""

    def test_real_clients(self) -> None:
        """The name is found in what real clients send, of either version, with ALPN or without."""
        for abilities in ({}, {"version": TLS12}, {"alpn": [b"h2", b"http/1.1"]}):
            self.assertEqual(name_in(hello("shop.example", **abilities)), b"shop.example")
            self.assertEqual(name_in(hello(None, **abilities)), b"")
        self.assertEqual(name_in(plain_hello("shop.example")), b"shop.example")

    @settings(deadline=None, max_examples=50)
    @given(
        st.lists(st.integers(1, 2**16), max_size=8), st.lists(st.integers(0, 2**16), max_size=8)
    )
    def test_any_pieces(self, record_cuts: list[int], segment_cuts: list[int]) -> None:
        """Records and segments may be cut anywhere; nothing is said before the last byte."""
        message = hello("shop.example")[5:]
        data = records(message, *record_cuts)
        reader = ClientHelloReader()
        places = sorted({cut % len(data) for cut in segment_cuts})
        for begin, end in zip([0, *places], [*places, len(data) - 1], strict=True):
            self.assertIsNone(reader.feed(data[begin:end]))
        self.assertEqual(reader.feed(data[len(data) - 1 :] + b"more"), b"shop.example")
        self.assertEqual(bytes(reader.arrived), data + b"more")

    def test_no_extensions(self) -> None:
        """A hello that ends before its extensions asks for no name."""
        body = b"\x03\x03" + bytes(32) + b"\x00" + b"\x00\x02\xc0\x2b" + b"\x01\x00"
        self.assertEqual(name_in(records(b"\x01" + len(body).to_bytes(3) + body)), b"")

    def test_malformed(self) -> None:
        """What is no hello, or has a strange name in it, is told apart as soon as possible."""
        good = server_name_extension(entry(b"a.example"))
        for what, data in {
            "http": b"G",
            "another record": b"\x17\x03\x03\x00\x05hello",
            "another version": b"\x16\x02\x00\x00\x05hello",
            "an empty record": b"\x16\x03\x01\x00\x00",
            "another message": records(b"\x02\x00\x00\x01x"),
            "an empty hello": records(b"\x01\x00\x00\x00"),
            "two extensions": with_extensions(good + good),
            "two names": with_extensions(server_name_extension(entry(b"a") + entry(b"b"))),
            "another kind of name": with_extensions(server_name_extension(entry(b"a", 1))),
            "an empty name": with_extensions(server_name_extension(entry(b""))),
            "no name": with_extensions(server_name_extension(b"")),
            "a length too far": with_extensions(good[:-1]),
        }.items():
            with self.subTest(what), self.assertRaises(NoClientHello):
                name_in(data)

    def test_too_long(self) -> None:
        """A message that never ends is given up, whatever it announces."""
        endless = b"\x16\x03\x01\x40\x00" + b"\x01\x00\xff\xff" + bytes(MAX_HELLO - 4)
        reader = ClientHelloReader()
        with self.assertRaises(NoClientHello):
            for position in range(0, len(endless), 1000):
                reader.feed(endless[position : position + 1000])
        self.assertLessEqual(len(reader.arrived), MAX_HELLO + 1000)
        one_by_one = b"\x16\x03\x01\x00\x01\x01"
        reader = ClientHelloReader()
        with self.assertRaises(NoClientHello):
            for _ in range(MAX_HELLO):
                reader.feed(one_by_one)

    @settings(deadline=None, max_examples=300)
    @given(st.lists(st.tuples(st.integers(0, 2**10), st.integers(0, 255)), max_size=4))
    @example([])
    def test_agrees_with_openssl(self, changes: list[tuple[int, int]]) -> None:
        """However a hello is damaged: a name that OpenSSL sees is the one that is found here."""
        data = bytearray(hello("shop.example", version=TLS12))
        for position, value in changes:
            data[position % len(data)] = value
        seen: list[bytes | None] = []
        context = server_context()
        context.set_tlsext_servername_callback(lambda each: seen.append(each.get_servername()))
        server = SSL.Connection(context, None)
        server.set_accept_state()
        server.bio_write(bytes(data))
        with contextlib.suppress(SSL.Error):
            server.do_handshake()
        try:
            found = name_in(bytes(data))
        except NoClientHello:
            return  # such a connection gets no certificate
        if seen:
            self.assertEqual(found, seen[0] or b"")
