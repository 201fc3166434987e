"""Cases of framing: sections 1 to 5, 8, 10 and 12.2."""

from collections.abc import Iterator

from tests.conformance.case import (
    HELLO,
    PING,
    TOO_BIG,
    AwaitMessages,
    AwaitPongs,
    Case,
    Entry,
    Send,
    Step,
    answers,
    binary,
    fails,
    fragments,
    numbered,
    octets_of,
    of_size,
    pieces,
    sends,
    text,
    whole,
)
from tests.conformance.frames import Opcode, frame


def framing() -> Iterator[Case]:
    """Whole messages in one frame, at the sizes where the length field changes."""
    for part, opcode in enumerate((Opcode.TEXT, Opcode.BINARY), 1):
        messages = [of_size(opcode, size) for size in (0, 125, 126, 127, 128, 65535, 65536)]
        entries: list[Entry] = [
            (f"{opcode.name} of {len(m.payload)} octets", sends(whole(m)), answers(m))
            for m in messages
        ]
        big, small = messages[-1], messages[2]
        entries += [
            (
                f"{opcode.name} of 65536 octets in chops of 997",
                [Send(whole(big), 997)],
                answers(big),
            ),
            (
                f"{opcode.name} of 126 octets, octet by octet",
                [Send(whole(small), 1)],
                answers(small),
            ),
        ]
        yield from numbered(f"1.{part}", entries)


def pings() -> Iterator[Case]:
    """Pings and pongs, alone and in crowds."""
    payloads = [b"payload-%d" % number for number in range(10)]
    ten = b"".join(frame(Opcode.PING, payload) for payload in payloads)
    longest = octets_of(125)
    too_long = frame(Opcode.PING, octets_of(126))
    pong = frame(Opcode.PONG, b"unsolicited")
    yield from numbered(
        "2",
        [
            ("empty ping", [Send(frame(Opcode.PING)), AwaitPongs()], answers(pongs=[b""])),
            ("ping with text", [Send(PING), AwaitPongs()], answers(pongs=[b"here?"])),
            (
                "ping with octets that are not UTF-8",
                [Send(frame(Opcode.PING, b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff")), AwaitPongs()],
                answers(pongs=[b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff"]),
            ),
            ("ping of 125 octets", sends(frame(Opcode.PING, longest)), answers(pongs=[longest])),
            ("ping of 126 octets", sends(too_long), fails()),
            (
                "ping of 125 octets, octet by octet",
                sends(frame(Opcode.PING, longest), chop=1),
                answers(pongs=[longest]),
            ),
            ("empty unsolicited pong", sends(frame(Opcode.PONG)), answers()),
            ("unsolicited pong with a payload", sends(pong), answers()),
            ("unsolicited pong, then a ping", sends(pong, PING), answers(pongs=[b"here?"])),
            ("10 pings", sends(ten), answers(pongs=payloads)),
            ("10 pings, octet by octet", sends(ten, chop=1), answers(pongs=payloads)),
            (
                "pings around a message",
                sends(PING, whole(HELLO), PING),
                answers(HELLO, pongs=[b"here?"] * 2),
            ),
            ("pong of 126 octets", sends(frame(Opcode.PONG, octets_of(126))), fails()),
        ],
    )


def reserved_bits() -> Iterator[Case]:
    """Reserved bits that no extension has given a meaning."""
    hello = whole(HELLO)
    for part, (name, opcode, payload) in enumerate(
        [
            ("text", Opcode.TEXT, b"reserved"),
            ("binary", Opcode.BINARY, b"\x00\xff"),
            ("ping", Opcode.PING, b"reserved"),
            ("close", Opcode.CLOSE, b"\x03\xe8"),
        ],
        1,
    ):
        yield from numbered(
            f"3.{part}",
            [
                (
                    f"{name} with reserved bits {rsv}",
                    sends(frame(opcode, payload, rsv=rsv)),
                    fails(),
                )
                for rsv in range(1, 8)
            ],
        )
    bad, empty = frame(Opcode.TEXT, b"reserved", rsv=2), frame(Opcode.TEXT, rsv=4)
    both = b"".join([hello, bad, PING])
    continuation = frame(Opcode.CONTINUATION, b"b", rsv=4)
    yield from numbered(
        "3.5",
        [
            ("message, reserved bits 2, ping, at once", sends(both), fails(HELLO)),
            ("message, reserved bits 2, ping", sends(hello, bad, PING), fails(HELLO)),
            ("message, reserved bits 2, ping, octet by octet", [Send(both, 1)], fails(HELLO)),
            (
                "message, its echo, reserved bits 4",
                [Send(hello), AwaitMessages(), Send(empty)],
                fails(HELLO),
            ),
            ("empty text with reserved bits 4", sends(empty), fails()),
            (
                "continuation with reserved bits 4",
                sends(frame(Opcode.TEXT, b"a", fin=False), continuation),
                fails(),
            ),
        ],
    )


def reserved_opcodes() -> Iterator[Case]:
    """Opcodes that do not exist."""
    hello = whole(HELLO)
    for part, opcodes in enumerate((range(3, 8), range(11, 16)), 1):
        entries: list[Entry] = []
        for opcode in opcodes:
            bad = frame(opcode, b"reserved")
            entries += [
                (f"opcode {opcode}, empty", sends(frame(opcode)), fails()),
                (f"opcode {opcode} with a payload", sends(bad), fails()),
                (
                    f"message, opcode {opcode}, ping",
                    sends(b"".join([hello, bad, PING])),
                    fails(HELLO),
                ),
                (
                    f"message, opcode {opcode}, ping, octet by octet",
                    sends(b"".join([hello, bad, PING]), chop=1),
                    fails(HELLO),
                ),
                (
                    f"opcode {opcode} between two fragments",
                    sends(
                        frame(Opcode.TEXT, b"a", fin=False), bad, frame(Opcode.CONTINUATION, b"b")
                    ),
                    fails(),
                ),
            ]
        yield from numbered(f"4.{part}", entries)


def fragmentation() -> Iterator[Case]:
    """Messages in fragments, with control frames between them, and fragments out of place."""
    first, last = frame(Opcode.TEXT, b"fragment1", fin=False), frame(0, b"fragment2")
    middle = frame(0, b"fragment2", fin=False)
    joined = text("fragment1fragment2")
    five = [b"fragment%d" % number for number in range(1, 6)]
    one, two, three, four, end = fragments(Opcode.TEXT, five)
    all_five = text(b"".join(five))
    early, late = frame(Opcode.PING, b"early"), frame(Opcode.PING, b"late")
    split_ping = frame(Opcode.PING, b"fragment1", fin=False)
    split_pong = frame(Opcode.PONG, b"fragment1", fin=False)
    split_close = frame(Opcode.CLOSE, b"\x03\xe8", fin=False)
    pong = [b"here?"]
    pinged: list[Step] = [*sends(one, two, early), AwaitPongs(), *sends(three, four, late)]
    pongs = [b"early", b"late"]
    stray = frame(0, b"stray", fin=False)
    again = frame(Opcode.TEXT, b"again")
    yield from numbered(
        "5",
        [
            ("ping in two fragments", sends(split_ping, last), fails()),
            ("pong in two fragments", sends(split_pong, last), fails()),
            ("text in two fragments", sends(first, last), answers(joined)),
            ("text in two fragments, at once", sends(first + last), answers(joined)),
            (
                "text in two fragments, octet by octet",
                sends(first, last, chop=1),
                answers(joined),
            ),
            (
                "ping between two fragments is answered at once",
                [*sends(first, PING), AwaitPongs(), *sends(last)],
                answers(joined, pongs=pong),
            ),
            (
                "ping between two fragments, at once",
                sends(first + PING + last),
                answers(joined, pongs=pong),
            ),
            (
                "ping between two fragments, octet by octet",
                sends(first, PING, last, chop=1),
                answers(joined, pongs=pong),
            ),
            ("continuation with FIN out of nowhere", sends(last, whole(HELLO)), fails()),
            ("stray continuation and message at once", sends(last + whole(HELLO)), fails()),
            (
                "stray continuation and message, octet by octet",
                sends(last, whole(HELLO), chop=1),
                fails(),
            ),
            ("continuation without FIN out of nowhere", sends(middle, whole(HELLO)), fails()),
            (
                "stray continuation without FIN and message at once",
                sends(middle + whole(HELLO)),
                fails(),
            ),
            (
                "stray continuation without FIN and message, octet by octet",
                sends(middle, whole(HELLO), chop=1),
                fails(),
            ),
            (
                "two fragments, a continuation too many, a message",
                sends(first, last, stray, whole(HELLO)),
                fails(joined),
            ),
            (
                "continuation, text, continuation, twice",
                sends(*[stray, first, last] * 2),
                fails(),
            ),
            (
                "continuation with FIN, text, continuation, twice",
                sends(*[last, first, last] * 2),
                fails(),
            ),
            ("text inside a fragmented text", sends(first, again), fails()),
            (
                "five fragments with pings, one of them late",
                [*pinged, *sends(end)],
                answers(all_five, pongs=pongs),
            ),
            (
                "five fragments with pings, at once",
                sends(b"".join([one, two, early, three, four, late, end])),
                answers(all_five, pongs=pongs),
            ),
            (
                "five fragments with pings, octet by octet",
                sends(one, two, early, three, four, late, end, chop=1),
                answers(all_five, pongs=pongs),
            ),
            (
                "binary inside a fragmented text",
                sends(first, frame(Opcode.BINARY, b"again"), last),
                fails(),
            ),
            ("close in two fragments", sends(split_close, frame(0, b"bye")), fails()),
            (
                "empty fragments around one octet",
                sends(*fragments(Opcode.BINARY, [b"", b"", b"\x80", b"", b""])),
                answers(binary(b"\x80")),
            ),
            (
                "pong between two fragments",
                sends(first, frame(Opcode.PONG, b"unsolicited"), last),
                answers(joined),
            ),
            (
                "two fragmented messages in a row, the second binary",
                sends(first, last, *fragments(Opcode.BINARY, [b"\xff", b"\xfe"])),
                answers(joined, binary(b"\xff\xfe")),
            ),
        ],
    )


def masking_and_lengths() -> Iterator[Case]:
    """Client frames without a mask, and lengths written with too many octets."""
    hello = HELLO.payload
    yield from numbered(
        "8.1",
        [
            (f"unmasked {opcode.name}", sends(frame(opcode, payload, mask=None)), fails())
            for opcode, payload in (
                (Opcode.TEXT, hello),
                (Opcode.BINARY, hello),
                (Opcode.PING, hello),
                (Opcode.CLOSE, b"\x03\xe8"),
                (Opcode.TEXT, b""),
            )
        ]
        + [
            (
                "unmasked second fragment",
                sends(
                    frame(Opcode.TEXT, hello, fin=False),
                    frame(Opcode.CONTINUATION, hello, mask=None),
                ),
                fails(),
            )
        ],
    )
    split = frame(Opcode.TEXT, b"ab", fin=False, mask=b"\1\2\3\4") + frame(
        0, b"cd", mask=b"\xff" * 4
    )
    yield from numbered(
        "8.2",
        [
            ("a mask of zeros", sends(frame(Opcode.TEXT, hello, mask=bytes(4))), answers(HELLO)),
            ("another mask in each fragment", sends(split), answers(text("abcd"))),
            (
                "a fragment whose length no mask divides, chopped by 3",
                sends(whole(of_size(Opcode.TEXT, 1021)), chop=3),
                answers(of_size(Opcode.TEXT, 1021)),
            ),
        ],
    )
    lengths = ((0, 2), (125, 2), (0, 8), (125, 8), (126, 8), (65535, 8))
    huge = b"\x82\xff" + (1 << 63).to_bytes(8) + b"\0\0\0\0"
    yield from numbered(
        "8.3",
        [
            (
                f"length {size} written in {width} octets",
                sends(frame(Opcode.BINARY, octets_of(size), length_octets=width)),
                fails(),
            )
            for size, width in lengths
        ]
        + [("a length with the highest bit set", sends(huge), fails(codes=[1002, TOO_BIG]))],
    )


def auto_fragmentation() -> Iterator[Case]:
    """Messages as a client sends them that cuts them by itself."""
    for part, opcode in enumerate((Opcode.TEXT, Opcode.BINARY), 1):
        message = of_size(opcode, 65536)
        yield from numbered(
            f"10.{part}",
            [
                (
                    f"{opcode.name} of 65536 octets in fragments of {size}",
                    sends(*fragments(opcode, pieces(message.payload, size))),
                    answers(message),
                )
                for size in (1300, 65535)
            ],
        )


def reserved_bit_of_deflate() -> Iterator[Case]:
    """Nobody accepted permessage-deflate: what looks compressed is an error."""
    deflated = b"\xf2\x48\xcd\xc9\xc9\x07\x00"  # "Hello", RFC 7692, section 7.2.3.1
    yield from numbered(
        "12.2",
        [
            ("a compressed text", sends(frame(Opcode.TEXT, deflated, rsv=4)), fails()),
            ("a compressed binary", sends(frame(Opcode.BINARY, deflated, rsv=4)), fails()),
        ],
    )
