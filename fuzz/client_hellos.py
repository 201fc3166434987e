"""The name in a ClientHello, however its records are cut: against a second, naive reading."""

from __future__ import annotations

import ssl
from contextlib import suppress

from fuzz.taking import Taking, pieces
from orion_twisted.net.clienthello import MAX_HELLO, ClientHelloReader, NoClientHello

Answer = bytes | None | type[NoClientHello]


def hello(name: str | None, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> bytes:
    """Return what OpenSSL's client says first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.maximum_version = newest
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname=name).do_handshake()
    return outgoing.read()


def recut(octets: bytes, size: int) -> bytes:
    """Return the same message in records of another size."""
    body = octets[5:]
    return b"".join(
        octets[:3] + len(part).to_bytes(2) + part
        for part in (body[at : at + size] for at in range(0, len(body), size))
    )


SEEDS = tuple(
    b"\x00\x00" + each
    for each in (
        hello("localhost"),
        hello(None),
        hello("a.shop.example", ssl.TLSVersion.TLSv1_2),
        recut(hello("localhost"), 1),
        recut(hello("localhost"), 100),
        b"GET / HTTP/1.1\r\n\r\n",
    )
)


def check(data: bytes) -> None:
    taking = Taking(data)
    sizes = bytes(taking.number(256) for _ in range(2))
    stream = taking.rest
    expected = naive(stream)
    for cut in (sizes, b"", bytes([39] * 200)):
        reader = ClientHelloReader()
        got = feed(reader, stream, cut)
        if got != expected:
            # Only what is refused may depend on how it comes: how soon it is.
            assert NoClientHello in (got, expected), (got, expected)
            assert len(stream) > MAX_HELLO or {got, expected} == {None, NoClientHello}
        assert len(reader.arrived) <= MAX_HELLO + 40


def feed(reader: ClientHelloReader, stream: bytes, sizes: bytes) -> Answer:
    try:
        for piece in pieces(stream, sizes):
            name = reader.feed(piece)
            if name is not None:
                return name
    except NoClientHello:
        return NoClientHello
    return None


def naive(stream: bytes) -> Answer:
    """Read records, then the message, then its extensions, as RFC 8446 lists them."""
    message = b""
    while True:
        if message[:1] not in (b"", b"\x01"):
            return NoClientHello
        if len(message) >= 4 and len(message) >= 4 + int.from_bytes(message[1:4]):
            break
        if stream and stream[0] != 22:
            return NoClientHello
        if len(stream) < 5:
            return None
        kind, major, length = stream[0], stream[1], int.from_bytes(stream[3:5])
        if kind != 22 or major != 3 or length == 0:
            return NoClientHello
        if len(stream) < 5 + length:
            return None
        message += stream[5 : 5 + length]
        stream = stream[5 + length :]
    try:
        return naive_name(message[4 : 4 + int.from_bytes(message[1:4])])
    except (IndexError, ValueError):
        return NoClientHello


def naive_name(body: bytes) -> bytes:
    def vector(size: int) -> bytes:
        nonlocal body
        length = int.from_bytes(exactly(size))
        return exactly(length)

    def exactly(size: int) -> bytes:
        nonlocal body
        if len(body) < size:
            raise ValueError("cut off")
        taken, body = body[:size], body[size:]
        return taken

    exactly(34)
    vector(1)
    vector(2)
    vector(1)
    if not body:
        return b""
    body = vector(2)
    names = []
    while body:
        kind = int.from_bytes(exactly(2))
        content = vector(2)
        if kind == 0:
            names.append(content)
    if not names:
        return b""
    (listed,) = names
    if int.from_bytes(listed[:2]) > len(listed) - 2:
        raise ValueError("cut off")
    entry = listed[2 : 2 + int.from_bytes(listed[:2])]
    size = int.from_bytes(entry[1:3])
    if entry[0] != 0 or size == 0 or len(entry) != 3 + size:
        raise ValueError("no host name, or more than one")
    return entry[3:]
