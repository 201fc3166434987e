"""Cases of the closing handshake: section 7."""

from collections.abc import Iterator
from dataclasses import replace

from tests.conformance.case import (
    HELLO,
    NOT_UTF8,
    PING,
    AwaitMessages,
    Case,
    Send,
    close_steps,
    closes,
    fails,
    fragments,
    numbered,
    of_size,
    sends,
    whole,
)
from tests.conformance.frames import Opcode, close_frame, frame


def closing() -> Iterator[Case]:
    """Close frames with all payloads, and what may still come behind them."""
    close, hello = close_frame(1000), whole(HELLO)
    big = of_size(Opcode.TEXT, 1 << 18)
    first, last = fragments(Opcode.TEXT, [b"fragment1", b"fragment2"])
    yield from numbered(
        "7.1",
        [
            ("close at once", sends(close), closes()),
            (
                "a message, its echo, close",
                [Send(hello), AwaitMessages(), Send(close)],
                closes(HELLO),
            ),
            ("a message and close at once", sends(hello + close), closes(HELLO)),
            ("two close frames", sends(close + close), closes()),
            ("ping after close", sends(close + PING), closes()),
            ("text after close", sends(close + hello), closes()),
            ("a fragment, close, the other fragment", sends(first + close + last), closes()),
            ("256 KiB, close, ping", sends(whole(big), close + PING), closes(big)),
            ("rubbish after close", sends(close + bytes(range(256))), closes()),
            ("close, octet by octet", sends(close_frame(1000, b"bye"), chop=1), closes()),
            ("ping and close at once", sends(PING + close), closes(pongs=[b"here?"])),
        ],
    )
    longest = b"r" * 123
    yield from numbered(
        "7.3",
        [
            ("close without a payload", close_steps(), closes(code=None)),
            ("close of 1 octet", sends(frame(Opcode.CLOSE, b"a")), fails()),
            ("close with a code alone", close_steps(1000), closes()),
            ("close with a reason", close_steps(1000, b"Hello World!"), closes()),
            ("close with the longest reason", close_steps(1000, longest), closes()),
            ("close of 126 octets", close_steps(1000, longest + b"r"), fails()),
            (
                "close with a reason in many scripts",
                close_steps(1000, "tschüß, Ж, 水".encode()),
                closes(),
            ),
        ],
    )
    bad_reason = "κόσμε".encode() + b"\xed\xa0\x80edited"
    yield from numbered(
        "7.5",
        [
            (
                "a reason that is not UTF-8",
                close_steps(1000, bad_reason),
                fails(codes=[1002, NOT_UTF8]),
            ),
            (
                "a reason cut inside a code point",
                close_steps(1000, b"a\xce"),
                fails(codes=[1002, NOT_UTF8]),
            ),
        ],
    )
    yield from _closing_by_code()


def _closing_by_code() -> Iterator[Case]:
    good = [1000, 1001, 1002, 1003, *range(1007, 1012), 3000, 3999, 4000, 4999]
    bad = [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999]
    registered_later, undefined = [1012, 1013, 1014], [5000, 65535]
    yield from numbered(
        "7.7", [(f"close with code {code}", close_steps(code), closes(code=code)) for code in good]
    )
    yield from numbered(
        "7.9", [(f"close with code {code}", close_steps(code), fails()) for code in bad]
    )
    # Unknown to RFC 6455, in IANA's registry today: both readings are right.
    yield from numbered(
        "7.11",
        [
            (f"close with code {code}", close_steps(code), (*closes(code=code), *fails()))
            for code in registered_later
        ],
    )
    # The RFC gives these no meaning and does not forbid them either.
    yield from numbered(
        "7.13",
        [
            (
                f"close with code {code}",
                close_steps(code),
                (*fails(), replace(closes(code=code)[0], strict=False)),
            )
            for code in undefined
        ],
    )
