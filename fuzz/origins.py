"""Origins: nothing but the listed ones is ever welcome, however it is written."""

from __future__ import annotations

import re

from fuzz.taking import Taking
from orion_twisted.core.origins import OriginVerdict, judge_origin, normalise_origin

ALLOWED = ("https://shop.example:443", "http://other.example:8080", "null")
WRITTEN = re.compile(r"(?i:https://shop\.example\.?(:443)?|http://other\.example\.?:8080)|null")
"""All that says one of them."""
OWN = re.compile(r"(?i:https?://shop\.example\.?(:[1-9][0-9]{0,4})?)")
"""All that is a page of the host itself."""

SEEDS = tuple(
    bytes([number % 2]) + text
    for number, text in enumerate(
        (
            b"https://shop.example",
            b"https://SHOP.example.:443",
            b"http://other.example:8080",
            b"null",
            b"https://shop.example.evil.example",
            b"https://shop.example@evil.example",
            b"https://evil.example#shop.example",
            b"https://[::1]:443",
            b"https://shop.example https://shop.example",
            b"chrome-extension://abcdef",
        )
    )
)


def check(data: bytes) -> None:
    taking = Taking(data)
    allow_none = bool(taking.number(2))
    text = taking.rest.decode("ascii", "replace")
    normal = normalise_origin(text)
    if normal is not None:
        assert normalise_origin(normal) == normal
        assert re.fullmatch(r"https?://[a-z0-9_.:\[\]-]+:[1-9][0-9]{0,4}", normal), normal
    listed = judge_origin([text], "shop.example", ALLOWED, allow_none)
    assert (listed is OriginVerdict.WELCOME) == bool(WRITTEN.fullmatch(text)), (text, listed)
    own = judge_origin([text], "shop.example", None, allow_none)
    if own is OriginVerdict.WELCOME:
        assert OWN.fullmatch(text), text
    for several in ([text, text], [text, "https://shop.example"], ["null", text]):
        verdict = judge_origin(several, "shop.example", ALLOWED, allow_none)
        assert verdict is OriginVerdict.FOREIGN
