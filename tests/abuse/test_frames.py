"""WebSocket frames that RFC 6455 forbids, and those that are only too much."""

from __future__ import annotations

import struct

from tests.abuse.attack import Attack, add_tests, talks
from tests.abuse.attacker import CLOSED, closed
from tests.abuse.siege import MARK, SiegeTestCase
from tests.conformance.frames import Opcode, close_frame, frame
from tests.harness import KIB

TEXT, BINARY, MORE, CLOSE, PING, PONG = (
    Opcode.TEXT,
    Opcode.BINARY,
    Opcode.CONTINUATION,
    Opcode.CLOSE,
    Opcode.PING,
    Opcode.PONG,
)
SECRET = MARK.encode()
LIMIT = 64 * KIB
"""The largest message of these tests' tenant."""


def announced(opcode: int, length: int, *, fin: bool = True) -> bytes:
    """Return a frame's head that announces so many bytes, with none of them behind it."""
    return bytes([fin << 7 | opcode, 0x80 | 127]) + struct.pack("!Q", length) + bytes(4)


FORBIDDEN: dict[str, tuple[bytes, ...]] = {
    "unmasked": (frame(TEXT, SECRET, mask=None),),
    "an unmasked ping": (frame(PING, mask=None),),
    "an unmasked close": (frame(CLOSE, b"\x03\xe8", mask=None),),
    **{f"reserved bits {bits}": (frame(TEXT, SECRET, rsv=bits),) for bits in range(1, 8)},
    "reserved bits in a ping": (frame(PING, SECRET, rsv=4),),
    "reserved bits in a continuation": (frame(TEXT, b"a", fin=False), frame(MORE, b"b", rsv=4)),
    **{f"opcode {opcode}": (frame(opcode, SECRET),) for opcode in (3, 4, 7, 11, 12, 15)},
    "a long ping": (frame(PING, b"p" * 126),),
    "a long pong": (frame(PONG, b"p" * 126),),
    "a long close": (close_frame(1000, b"r" * 124),),
    "a ping of 64 KiB": (frame(PING, b"p" * LIMIT),),
    "a ping in fragments": (frame(PING, b"p", fin=False),),
    "a close in fragments": (frame(CLOSE, b"\x03\xe8", fin=False),),
    "a continuation of nothing": (frame(MORE, SECRET),),
    "the end of nothing": (frame(TEXT, b"a"), frame(MORE, SECRET)),
    "a message inside a message": (frame(TEXT, b"a", fin=False), frame(TEXT, SECRET)),
    "16 bits for a short length": (frame(TEXT, b"a", length_octets=2),),
    "64 bits for a short length": (frame(TEXT, b"a" * 126, length_octets=8),),
    "a length beyond 63 bits": (announced(BINARY, 1 << 63),),
    "a close of one byte": (frame(CLOSE, b"\x03"),),
    **{
        f"close code {code}": (close_frame(code, SECRET),)
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
    },
    "HTTP": (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",),
    "255s": (b"\xff" * 5000,),
}
"""What RFC 6455 forbids: 1002."""

NO_UTF8: dict[str, tuple[bytes, ...]] = {
    "latin-1": (frame(TEXT, b"M\xfcller"),),
    "an overlong slash": (frame(TEXT, b"\xc0\xaf"),),
    "a surrogate": (frame(TEXT, b"\xed\xa0\x80"),),
    "beyond Unicode": (frame(TEXT, b"\xf4\x90\x80\x80"),),
    "half a character": (frame(TEXT, b"\xe2\x82"),),
    "half a character in the last fragment": (
        frame(TEXT, b"\xe2", fin=False),
        frame(MORE, b"\x82"),
    ),
    "a character that breaks across fragments": (
        frame(TEXT, b"\xe2", fin=False),
        frame(MORE, b"\x82", fin=False),
        frame(MORE, b"x" + SECRET),
    ),
    "a surrogate across fragments": (
        frame(TEXT, b"\xed", fin=False),
        frame(MORE, b"\xa0\x80", fin=False),
    ),
    "a message that never ends": (frame(TEXT, SECRET + b"\xff", fin=False),),
    "across an empty fragment and a ping": (
        frame(TEXT, b"\xf0\x9f", fin=False),
        frame(MORE, b"", fin=False),
        frame(PING),
        frame(MORE, b"\x98", fin=True),
    ),
    "a close reason": (close_frame(1000, b"\xff" + SECRET),),
}
"""Text that is none: 1007, as soon as it shows."""

TOO_LARGE: dict[str, tuple[bytes, ...]] = {
    "by a byte": (frame(TEXT, b"a" * (LIMIT + 1)),),
    "as announced": (announced(TEXT, LIMIT + 1),),
    "2 to the 62": (announced(BINARY, 1 << 62),),
    "in two fragments": (
        frame(TEXT, b"a" * LIMIT, fin=False),
        frame(MORE, b"a", fin=False),
    ),
    "as announced by a fragment": (
        frame(TEXT, b"a" * 100, fin=False),
        announced(MORE, LIMIT),
    ),
    "in 1025 fragments": (
        frame(TEXT, b"a" * 64, fin=False),
        frame(MORE, b"a" * 64, fin=False) * 1024,
    ),
    "4 MiB": (frame(TEXT, b"a" * 4_194_304),),
}
"""Messages beyond the limit: 1009, before they are held."""

OTHERS = [
    Attack("bytes where text is spoken", talks(frame(BINARY, b"\xff" + SECRET)), closed(1007)),
    Attack("text on a tunnel", talks(frame(TEXT, SECRET), host="tunnel.example"), closed(1003)),
    Attack("a close without a code", talks(frame(CLOSE)), CLOSED),
    Attack(
        "frames behind a close", talks(close_frame(1000) + frame(TEXT, SECRET) * 100), closed(1000)
    ),
    Attack("two closes", talks(close_frame(1000), close_frame(1001)), closed(1000)),
    Attack("garbage behind a close", talks(close_frame(1000) + b"\xff" * 5000), closed(1000)),
    Attack(
        "a close in the middle of a message",
        talks(frame(TEXT, SECRET, fin=False), close_frame(4999)),
        closed(4999),
    ),
    Attack("a close byte by byte", talks(close_frame(1000, b"bye"), chop=1), closed(1000)),
]


ATTACKS = [
    *(Attack(name, talks(*pieces), closed(1002)) for name, pieces in FORBIDDEN.items()),
    *(
        Attack(f"no UTF-8, {name}", talks(*pieces), closed(1007))
        for name, pieces in NO_UTF8.items()
    ),
    *(
        Attack(f"too large, {name}", talks(*pieces), closed(1009))
        for name, pieces in TOO_LARGE.items()
    ),
    *OTHERS,
]


class FrameTests(SiegeTestCase):
    """A frame that breaks a rule closes its own WebSocket, with the code of the rule."""

    settings = """
        [tenant.shop1]
        hosts = ["localhost"]
        backend = "{backend}"
        limits = { message = "64 KiB" }
        [tenant.shop2]
        hosts = ["tunnel.example"]
        backend = "{backend}"
        mode = "tunnel"
        """


add_tests(FrameTests, ATTACKS)
