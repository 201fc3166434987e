"""Cases of UTF-8 in text messages: section 6."""

from collections.abc import Iterator

from tests.conformance.case import (
    HELLO,
    NOT_UTF8,
    PING,
    Case,
    Entry,
    ExpectFailureByNow,
    Send,
    answers,
    binary,
    fails,
    fragments,
    numbered,
    pieces,
    sends,
    text,
    whole,
)
from tests.conformance.frames import Opcode
from tests.conformance.utf8 import INVALID, VALID


def encoding() -> Iterator[Case]:
    """Valid text passes unchanged, however it is cut; anything else fails the connection."""
    yield from _utf8_by_hand()
    for section, table in (("6.5", VALID), ("6.6", INVALID)):
        entries: list[Entry] = []
        for name, octets in table:
            message = text(octets)
            outcomes = answers(message) if table is VALID else fails(codes=[NOT_UTF8])
            split = fragments(Opcode.TEXT, pieces(octets, 1))
            entries += [
                (f"{name}, in one frame", sends(whole(message)), outcomes),
                (f"{name}, one octet per fragment", sends(b"".join(split)), outcomes),
            ]
        yield from numbered(section, entries)


def _utf8_by_hand() -> Iterator[Case]:
    empty = text("")
    mixed = text("Hello-µ@ßöäüàá-UTF-8!!")
    half = [mixed.payload[:12], mixed.payload[12:]]
    inside = mixed.payload.index("µ".encode()) + 1
    cut = [mixed.payload[:inside], mixed.payload[inside:]]
    bad = "κόσμε".encode() + b"\xed\xa0\x80" + b"edited"
    octets = fragments(Opcode.TEXT, pieces(mixed.payload, 1))
    wrong = fails(codes=[NOT_UTF8])
    yield from numbered(
        "6.1",
        [
            ("empty text", sends(whole(empty)), answers(empty)),
            ("three empty fragments", sends(*fragments(1, [b""] * 3)), answers(empty)),
            (
                "empty, not empty, empty fragment",
                sends(*fragments(1, [b"", mixed.payload, b""])),
                answers(mixed),
            ),
        ],
    )
    yield from numbered(
        "6.2",
        [
            ("multi-octet text in one frame", sends(whole(mixed)), answers(mixed)),
            ("cut between code points", sends(*fragments(1, half)), answers(mixed)),
            ("cut inside a code point", sends(*fragments(1, cut)), answers(mixed)),
            ("one octet per fragment", sends(*octets), answers(mixed)),
            ("one frame, octet by octet", sends(whole(mixed), chop=1), answers(mixed)),
            (
                "a ping inside a code point",
                sends(*fragments(1, cut)[:1], PING, *fragments(1, cut)[1:]),
                answers(mixed, pongs=[b"here?"]),
            ),
            (
                "a message that ends well after one that does",
                sends(whole(mixed), whole(HELLO)),
                answers(mixed, HELLO),
            ),
            (
                "octets that are not UTF-8 are fine as binary",
                sends(whole(binary(bad))),
                answers(binary(bad)),
            ),
        ],
    )
    yield from numbered(
        "6.3",
        [
            ("a surrogate in one frame", sends(whole(text(bad))), wrong),
            ("one octet per fragment", sends(*fragments(1, pieces(bad, 1))), wrong),
            ("a message cut short by its end", sends(whole(text("κόσμε".encode()[:-1]))), wrong),
            (
                "a cut code point is not mended by the next message",
                sends(whole(text(b"\xce")), whole(text(b"\xba"))),
                wrong,
            ),
            (
                "a good message before",
                sends(whole(HELLO), whole(text(bad))),
                fails(HELLO, codes=[NOT_UTF8]),
            ),
        ],
    )
    yield from numbered("6.4", list(_fail_fast()))


def _fail_fast() -> Iterator[Entry]:
    """Poison in the middle of a message: a strict server does not wait for its end."""
    good, tail = "κόσμε".encode(), b"edited"
    outcomes = fails(codes=[NOT_UTF8])
    for name, poison in (("above U+10FFFF", b"\xf4\x90\x80\x80"), ("surrogate", b"\xed\xa0\x80")):
        three = fragments(Opcode.TEXT, [good, poison, tail])
        yield (
            f"{name}: in a fragment of its own",
            [*sends(*three[:2]), ExpectFailureByNow(), Send(three[2])],
            outcomes,
        )
        octets = whole(text(good + poison + tail))
        stop = len(octets) - len(tail)
        # The second octet of either sequence is the one that no valid sequence has there.
        for where, position in (("whole", stop), ("its second octet", stop - len(poison) + 2)):
            yield (
                f"{name}: one frame, stopped after the poison ({where})",
                [Send(octets[:position]), ExpectFailureByNow(), Send(octets[position:])],
                outcomes,
            )
