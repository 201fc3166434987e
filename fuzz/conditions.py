"""What a request asks of a page: conditions, parts, codings."""

from __future__ import annotations

from fuzz.taking import Taking
from orion_twisted.web.conditions import (
    codings_in_order,
    is_unchanged,
    may_be_partial,
    wanted_part,
)
from orion_twisted.web.heads import PAGE_REQUEST_HEADERS

TAG, MODIFIED = b'"abc"', 1_700_000_000
AVAILABLE = (b"br", b"gzip")

SEEDS = (
    b"\x00\x64bytes=0-9",
    b"\x00\x64bytes=-5",
    b"\x00\x64bytes=5-",
    b"\x00\x64bytes=9-1",
    b'\x00\x01"abc", W/"def"',
    b"\x00\x01Tue, 14 Nov 2023 22:13:20 GMT",
    b"\x00\x01Tuesday, 14-Nov-23 22:13:20 GMT",
    b"\x00\x01gzip;q=0.5, br;q=1.0, identity;q=0, *;q=0",
)


def check(data: bytes) -> None:
    taking = Taking(data)
    size = taking.number(65536)
    value = taking.rest
    if PAGE_REQUEST_HEADERS[b"range"].fullmatch(value):
        part = wanted_part(value, size)
        if part is not None:
            assert part.step == 1
            assert not part or (part.start >= 0 and part.stop <= size), part
    if not PAGE_REQUEST_HEADERS[b"if-none-match"].fullmatch(value):
        return  # nothing else gets as far as here
    is_unchanged(value, None, TAG, MODIFIED)
    assert not is_unchanged(None, value, TAG, 2**40)
    if may_be_partial(value, TAG, MODIFIED):
        assert value == TAG or b'"' not in value
    codings = codings_in_order(value, AVAILABLE)
    assert len(set(codings)) == len(codings)
    assert set(codings) <= set(AVAILABLE)
