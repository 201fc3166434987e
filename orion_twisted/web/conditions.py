"""
What a request asks of a file: whether it is wanted at all, which part of it, in which coding.

Values of headers come in, answers go out; nothing here knows of files or sockets. The rules are
those of RFC 9110, sections 12.5.3 (codings), 13 (conditions) and 14 (ranges). A value that makes
no sense counts as absent: the answer is then the whole file, which is never wrong.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from twisted.web.http import stringToDatetime

ENTITY_TAG = re.compile(rb'"[\x21\x23-\x7e]*"')
"""Without the ``W/`` of a weak one."""
ONE_RANGE = re.compile(rb"bytes=(\d*)-(\d*)")
CODING = re.compile(
    rb"([!#$%&'*+.^_`|~0-9a-z-]+)(?:[ \t]*;[ \t]*q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?))?"
)
"""One element of Accept-Encoding, in lower case."""
DATE = re.compile(
    rb"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT"
    rb"|[A-Z][a-z]{5,8}, \d\d-[A-Z][a-z]{2}-\d\d \d\d:\d\d:\d\d GMT"
    rb"|[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}"
)
"""The three forms of RFC 9110, section 5.6.7. twisted.web reads more: a day of fifty digits, say,
from which on nothing has ever changed."""
IDENTITY = b"identity"
SAME_CODING = {b"x-gzip": b"gzip"}
"""RFC 9110, section 8.4.1.3."""


def is_unchanged(
    if_none_match: bytes | None, if_modified_since: bytes | None, tag: bytes, modified: int
) -> bool:
    """
    Say whether the browser has what it asks for already.

    Args:
        if_none_match: the header's value. If there is one, the other header does not count.
        if_modified_since: the header's value.
        tag: the file's strong tag, quotes included.
        modified: when the file was changed, in seconds since 1970.
    """
    if if_none_match is not None:
        # The comparison is the weak one: only what stands in the quotes counts.
        return if_none_match == b"*" or tag in ENTITY_TAG.findall(if_none_match)
    since = None if if_modified_since is None else _seconds(if_modified_since)
    return since is not None and modified <= since


def may_be_partial(if_range: bytes | None, tag: bytes, modified: int) -> bool:
    """Say whether the part that a browser has is of this very file, so that another fits it."""
    if if_range is None:
        return True
    if b'"' in if_range:
        return if_range == tag  # strong: a weak tag never matches
    return _seconds(if_range) == modified


def wanted_part(asked: bytes, size: int) -> range | None:
    """
    Return which bytes a Range header asks for.

    Args:
        asked: the header's value.
        size: the file's, in bytes.

    Returns:
        An empty range where the file has no such part; None where not one part is asked for.
    """
    match = ONE_RANGE.fullmatch(asked)
    if match is None or asked == b"bytes=-":
        return None
    first, last = match.groups()
    if not first:
        return range(max(size - int(last), 0), size)
    if last and int(last) < int(first):
        return None
    return range(int(first), min(int(last) + 1, size) if last else size)


def codings_in_order(accepted: bytes | None, available: Sequence[bytes]) -> list[bytes]:
    """
    Return which codings a browser would rather have than the plain file, the best first.

    The plain file comes after them even where it is refused (``identity;q=0``): RFC 9110, section
    12.4.1, lets a server send what is not acceptable rather than nothing.

    Args:
        accepted: the value of Accept-Encoding.
        available: what there is, the one that the server prefers first.
    """
    weights: dict[bytes, float] = {}
    for element in (accepted or b"").lower().split(b","):
        match = CODING.fullmatch(element.strip(b" \t"))
        if match is not None:
            coding = SAME_CODING.get(match[1], match[1])
            weights[coding] = float(match[2] or 1)
    others = weights.get(b"*", 0.0)
    least = weights.get(IDENTITY, others)
    weighed = [(weights.get(coding, others), coding) for coding in available]
    weighed.sort(key=lambda pair: -pair[0])  # stable
    return [coding for weight, coding in weighed if weight > 0 and weight >= least]


def _seconds(date: bytes) -> int | None:
    """Return a date in seconds since 1970, or None if it is none."""
    if not DATE.fullmatch(date):
        return None
    try:
        seconds: int = stringToDatetime(date)
    except ValueError:  # no such month, or before 1970
        return None
    return seconds
