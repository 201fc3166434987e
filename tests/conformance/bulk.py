"""Cases of limits and of traffic in bulk: section 9."""

from collections.abc import Iterator
from functools import partial

from tests.conformance.case import (
    TOO_BIG,
    AwaitMessages,
    BulkyEntry,
    Case,
    ExpectFailureByNow,
    Script,
    Send,
    Step,
    answers,
    binary,
    fails,
    fragments,
    numbered_bulky,
    octets_of,
    of_size,
    pieces,
    sends,
    text,
    whole,
)
from tests.conformance.frames import Opcode, frame

MESSAGE_LIMIT = 1 << 20
LARGE_MESSAGE_LIMIT = 16 << 20
PATIENCE = 30.0
HEAD = 14  # octets: opcode, length and mask of a frame of more than 65535 octets
KINDS = (Opcode.TEXT, Opcode.BINARY)


def limits() -> Iterator[Case]:
    """For a server whose messages may have 1 MiB."""
    for part, opcode in enumerate(KINDS, 1):
        yield from numbered_bulky(f"9.{part}", _up_to_the_limit(opcode), PATIENCE)
    yield from numbered_bulky("9.3", _over_the_limit(), PATIENCE)
    yield from numbered_bulky("9.4", _many_messages(), PATIENCE)


def large_messages() -> Iterator[Case]:
    """For a server whose limit is raised to 16 MiB."""
    for part, opcode in enumerate(KINDS, 5):
        entries: list[BulkyEntry] = [
            (f"{opcode.name} of {size} octets", partial(_echo, opcode, size))
            for size in (4 << 20, 8 << 20, LARGE_MESSAGE_LIMIT)
        ]
        entries.append(
            (
                f"{opcode.name} of 16 MiB in fragments of 64 KiB",
                partial(_echo, opcode, LARGE_MESSAGE_LIMIT, fragment=1 << 16),
            )
        )
        yield from numbered_bulky(f"9.{part}", entries, PATIENCE)
    over: BulkyEntry = (
        "one octet over 16 MiB",
        partial(_too_big, Opcode.BINARY, LARGE_MESSAGE_LIMIT + 1),
    )
    yield from numbered_bulky("9.7", [over], PATIENCE)


def _up_to_the_limit(opcode: Opcode) -> Iterator[BulkyEntry]:
    name = opcode.name
    for size in (1 << 16, 1 << 18, MESSAGE_LIMIT - 1, MESSAGE_LIMIT):
        yield f"{name} of {size} octets", partial(_echo, opcode, size)
    for size in (64, 256, 1 << 10, 1 << 12, 1 << 16, 1 << 18, MESSAGE_LIMIT - 1):
        script = partial(_echo, opcode, MESSAGE_LIMIT, fragment=size)
        yield f"{name} of 1 MiB in fragments of {size}", script
    for chop in (128, 1024, 4096):
        script = partial(_echo, opcode, MESSAGE_LIMIT, chop=chop)
        yield f"{name} of 1 MiB in chops of {chop}", script


def _over_the_limit() -> Iterator[BulkyEntry]:
    size = MESSAGE_LIMIT + 1
    yield "one octet over the limit, binary", partial(_too_big, Opcode.BINARY, size)
    yield "one octet over the limit, text", partial(_too_big, Opcode.TEXT, size)
    yield "one octet over the limit, seen from the frame's head", _too_big_by_its_head
    yield (
        "one octet over the limit in two fragments",
        partial(_too_big, Opcode.BINARY, size, fragment=MESSAGE_LIMIT),
    )
    yield (
        "one octet over the limit in fragments of 64 KiB",
        partial(_too_big, Opcode.BINARY, size, fragment=1 << 16),
    )
    yield "a message without end", _without_end
    yield "a message of the limit before", _too_big_after_a_good_one
    yield "2 GiB announced", _too_big_by_far


def _many_messages() -> Iterator[BulkyEntry]:
    for size in (0, 16, 125, 1024):
        yield f"1000 messages of {size} octets, at once", partial(_thousand, size)
    yield "1000 round trips", _round_trips
    yield "200 messages, text and binary by turns", _mixed


def _in_fragments(opcode: Opcode, size: int, fragment: int) -> bytes:
    message = of_size(opcode, size)
    if not fragment:
        return whole(message)
    return b"".join(fragments(opcode, pieces(message.payload, fragment)))


def _echo(opcode: Opcode, size: int, fragment: int = 0, chop: int = 0) -> Script:
    octets = _in_fragments(opcode, size, fragment)
    return Script(sends(octets, chop=chop), answers(of_size(opcode, size)))


def _too_big(opcode: Opcode, size: int, fragment: int = 0) -> Script:
    return Script(sends(_in_fragments(opcode, size, fragment)), fails(codes=[TOO_BIG]))


def _too_big_by_its_head() -> Script:
    octets = whole(of_size(Opcode.BINARY, MESSAGE_LIMIT + 1))
    steps = (Send(octets[:HEAD]), ExpectFailureByNow(), Send(octets[HEAD:]))
    return Script(steps, fails(codes=[TOO_BIG]))


def _too_big_by_far() -> Script:
    octets = b"\x82\xff" + (1 << 31).to_bytes(8) + bytes(4) + octets_of(1000)
    return Script(sends(octets), fails(codes=[TOO_BIG]))


def _too_big_after_a_good_one() -> Script:
    top = of_size(Opcode.BINARY, MESSAGE_LIMIT)
    over = of_size(Opcode.BINARY, MESSAGE_LIMIT + 1)
    return Script(sends(whole(top), whole(over)), fails(top, codes=[TOO_BIG]))


def _without_end() -> Script:
    first = frame(Opcode.BINARY, fin=False)
    more = frame(Opcode.CONTINUATION, octets_of(1 << 16), fin=False)
    count = MESSAGE_LIMIT // (1 << 16) + 1
    steps: tuple[Step, ...] = (*sends(first, *[more] * count), ExpectFailureByNow())
    return Script(steps, fails(codes=[TOO_BIG]))


def _thousand(size: int) -> Script:
    messages = [binary((b"%04d" % number * (size // 4 + 1))[:size]) for number in range(1000)]
    return Script(sends(b"".join(map(whole, messages))), answers(*messages))


def _round_trips() -> Script:
    messages = [text(f"message {number}") for number in range(1000)]
    steps: list[Step] = []
    for number, message in enumerate(messages, 1):
        steps += [Send(whole(message)), AwaitMessages(number)]
    return Script(tuple(steps), answers(*messages))


def _mixed() -> Script:
    messages = [of_size(KINDS[number % 2], number) for number in range(200)]
    return Script(sends(*map(whole, messages)), answers(*messages))
