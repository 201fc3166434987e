"""PROXY headers, however they are cut: against a reading of the whole at once."""

from __future__ import annotations

import socket
import struct

from orion_twisted.core.proxy_header import (
    V1_LONGEST,
    V1_START,
    V2_LONGEST,
    V2_START,
    BadProxyHeader,
    Behind,
    read_proxy_header,
)

SEEDS = (
    b"PROXY TCP4 203.0.113.7 192.0.2.1 54321 443\r\nGET / HTTP/1.1\r\n",
    b"PROXY TCP6 2001:db8::7 2001:db8::1 54321 443\r\n",
    b"PROXY UNKNOWN\r\n",
    b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\nrest",
    V2_START + b"\x21\x11\x00\x0c\xcb\x00\x71\x07\xc0\x00\x02\x01\xd4\x31\x01\xbbrest",
    V2_START + b"\x21\x21\x00\x24" + bytes(range(36)),
    V2_START + b"\x20\x00\x00\x00",
    V2_START + b"\x21\x11\x00\x13\xcb\x00\x71\x07\xc0\x00\x02\x01\xd4\x31\x01\xbb\x03\x00\x04abcd",
)

Answer = Behind | None | type[BadProxyHeader]


def check(data: bytes) -> None:
    answers = [answer(data[:end]) for end in range(min(len(data), V2_LONGEST + 20) + 1)]
    decided = next((each for each in answers if each is not None), None)
    # Once there is an answer, more bytes do not change it; until then there is none.
    undecided = answers.index(decided) if decided is not None else len(answers)
    assert answers[:undecided] == [None] * undecided
    assert all(each == decided for each in answers[undecided:])
    assert undecided <= V2_LONGEST, "it waits for more than it reads"
    if isinstance(decided, Behind):
        assert decided.length == undecided, "an answer before the header is whole, or after"
        check_address(data, decided)


def answer(data: bytes) -> Answer:
    try:
        return read_proxy_header(data)
    except BadProxyHeader:
        return BadProxyHeader


def check_address(data: bytes, behind: Behind) -> None:
    """Let the system's own functions read the address."""
    header = data[: behind.length]
    if header.startswith(V1_START):
        assert len(header) <= V1_LONGEST
        words = header[:-2].split(b" ")
        if words[1] == b"UNKNOWN":
            assert behind.host is None
            return
        family = socket.AF_INET if words[1] == b"TCP4" else socket.AF_INET6
        said, port = words[2].decode("ascii"), int(words[4])
    else:
        if header[12] == 0x20:
            assert behind.host is None
            return
        family, size = (socket.AF_INET, 4) if header[13] == 0x11 else (socket.AF_INET6, 16)
        said = socket.inet_ntop(family, header[16 : 16 + size])
        (port,) = struct.unpack_from("!H", header, 16 + 2 * size)
    assert behind.host is not None
    assert socket.inet_pton(family, behind.host) == socket.inet_pton(family, said)
    assert behind.port == port
