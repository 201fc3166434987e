"""Tokens: found in a handshake, and verified; nothing but a good one is ever taken."""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64encode

from fuzz.taking import Taking
from orion_twisted.core.bearer import BEARER_PREFIX, REFUSALS, TokenRefused, take_token
from orion_twisted.core.settings import TokenSettings
from orion_twisted.core.spent_tokens import SpentTokens
from orion_twisted.web.token_keys import TokenKey, TokenKeys
from orion_twisted.web.tokens import LEEWAY, TokenCheck

SECRET = b"swordfish, which only fuzzers believe in"
NOW = 1_800_000_000
HEADER = b'{"alg":"HS256","typ":"JWT"}'
GOOD = {
    "aud": "orion-bridge",
    "tenant": "shop1",
    "iat": NOW,
    "exp": NOW + 60,
    "jti": "one",
    "sub": "customer-7",
    "parent_origin": "https://a.shop.example",
}
SETTINGS = TokenSettings(key_file="nowhere")
KEYS = TokenKeys((TokenKey(None, "HS256", SECRET),))


def text_of(header: bytes, payload: bytes, secret: bytes = SECRET) -> str:
    signed = b".".join(base64url(part) for part in (header, payload))
    return (signed + b"." + base64url(hmac.digest(secret, signed, "sha256"))).decode("ascii")


def base64url(data: bytes) -> bytes:
    return urlsafe_b64encode(data).rstrip(b"=")


SEEDS = (
    b"\x00" + text_of(HEADER, json.dumps(GOOD).encode()).encode(),
    b"\x00" + text_of(b'{"alg":"none"}', json.dumps(GOOD).encode()).encode(),
    b"\x01" + json.dumps(GOOD).encode(),
    b"\x01" + json.dumps({**GOOD, "nbf": NOW - 5, "aud": ["a", "orion-bridge"]}).encode(),
    b"\x01" + b'{"exp": 1e999, "exp": NaN}',
    b"\x01" + b'{"exp": ' + b"9" * 500 + b"}",
    b"\x01" + b"[" * 500,
    b"\x02" + HEADER,
    b"\x02" + b'{"alg":"HS256","kid":"a","crit":["b64"]}',
    b"\x03orion.v1\norion.bearer.a.b.c\na=b&token=a.b.c",
)


def check(data: bytes) -> None:
    taking = Taking(data)
    kind = taking.number(4)
    rest = taking.rest
    if kind == 0:
        # Whatever a stranger makes up: of these none but the good one is signed.
        refusals_of(rest.decode("latin-1"))
    elif kind == 1:
        check_claims(rest)
    elif kind == 2:
        refusals_of(text_of(rest, json.dumps(GOOD).encode()))
        assert refusals_of(text_of(HEADER, rest, b"another secret, just as long"))[0]
    else:
        check_places(rest.decode("latin-1"))


def refusals_of(text: str) -> list[str]:
    """Return why a token is not taken, the first time and the second time; nothing if it is."""
    check = TokenCheck("shop1", SETTINGS, KEYS, ["https://*.shop.example"], SpentTokens())
    return [refusal_by(check, text), refusal_by(check, text)]


def refusal_by(check: TokenCheck, text: str) -> str:
    try:
        check.check(text, NOW)
    except TokenRefused as error:
        refusal = error
    else:
        return ""
    assert refusal.reason in REFUSALS
    assert text not in str(refusal) or len(text) < 20
    return refusal.reason


def check_claims(payload: bytes) -> None:
    """Claims that are taken are those that the rules allow, read by a plain JSON parser."""
    first, second = refusals_of(text_of(HEADER, payload))
    if first:
        assert second == first
        return
    claims = json.loads(payload)
    assert second == ("token_replayed" if "jti" in claims else "")
    audience = claims["aud"]
    assert audience == "orion-bridge" or "orion-bridge" in list(audience)
    assert claims["tenant"] == "shop1"
    assert NOW - LEEWAY < claims["exp"] <= NOW + 3600 + LEEWAY
    for begin in ("nbf", "iat"):
        assert claims.get(begin, 0) <= NOW + LEEWAY
    for text in ("sub", "jti"):
        assert claims.get(text, "a").isprintable()


def check_places(text: str) -> None:
    *subprotocols, query = text.split("\n")
    written = [each for each in subprotocols if each.startswith(BEARER_PREFIX)]
    written += [part for part in query.split("&") if part.split("=")[0] == "token"]
    try:
        offer = take_token(subprotocols, query)
    except TokenRefused:
        assert len(written) > 1
        return
    assert len(written) == (offer.token is not None)
    assert not any(each.startswith(BEARER_PREFIX) for each in offer.subprotocols)
    if offer.token is not None:
        assert offer.token in text
