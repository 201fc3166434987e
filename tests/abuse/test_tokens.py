"""Tokens that must not let anybody in, and those that must."""

from __future__ import annotations

import hmac
import json
import time
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Callable
from secrets import token_urlsafe
from threading import Thread
from typing import Any, ClassVar

from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.abuse.attack import SOON, Act, Attack, add_tests
from tests.abuse.attacker import SERVED, Attacker, Outcome, refused
from tests.abuse.siege import MARK, SCHEMES, SiegeTestCase
from tests.e2e.answers import upgrade

SECRET = b"swordfish, which only attackers believe in"
HOST, RSA_HOST, FOLDER_HOST = "token.example", "rsa.example", "folder.example"
LENIENT, LISTED, OPEN = "lenient.example", "listed.example", "localhost"
"""Tenants: with one secret; with an RSA key; with a folder of keys; whose tokens are optional;
with ``origins`` and optional tokens; without tokens."""

_shown: set[str] = {MARK}
"""Every token that has been made, and its parts: what no log may show."""
_rsa = rsa.generate_private_key(65537, 2048)
_ed25519 = ed25519.Ed25519PrivateKey.generate()
_rsa_pem = _rsa.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
_ed25519_pem = _ed25519.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

Sign = Callable[[bytes], bytes]
Make = Callable[[], str]
"""Makes a token when the attack begins, so that it is never too old."""


def hs256(secret: bytes = SECRET, digest: str = "sha256") -> Sign:
    return lambda data: hmac.digest(secret, data, digest)


BY_SECRET = hs256()


def rs256(data: bytes) -> bytes:
    return _rsa.sign(data, padding.PKCS1v15(), SHA256())


def base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def claims(**changes: Any) -> dict[str, Any]:
    """Return good claims, with these in their place; None takes one out."""
    now = int(time.time())
    good = {
        "aud": "orion-bridge",
        "tenant": "shop1",
        "iat": now,
        "exp": now + 60,
        "jti": token_urlsafe(16),
        "sub": MARK[:-1],
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def signed(header: str | bytes, payload: str | bytes, sign: Sign) -> str:
    """Return a token of any header and payload at all."""
    parts = [
        base64url(each if isinstance(each, bytes) else each.encode()) for each in (header, payload)
    ]
    parts.append(base64url(sign(".".join(parts).encode())))
    whole = ".".join(parts)
    _shown.update(each for each in (whole, *parts[1:]) if len(each) > 20)
    return whole


def token(
    header: dict[str, Any] | None = None,
    sign: Sign = BY_SECRET,
    **changes: Any,
) -> Make:
    """Return what makes a token that is good but for this."""
    return lambda: signed(
        json.dumps({"alg": "HS256", "typ": "JWT", **(header or {})}),
        json.dumps(claims(**changes)),
        sign,
    )


def raw(header: str | None = None, payload: str | None = None) -> Make:
    """Return what makes a token, rightly signed, of JSON as it stands."""
    return lambda: signed(
        '{"alg":"HS256"}' if header is None else header,
        json.dumps(claims()) if payload is None else payload,
        hs256(),
    )


def with_claims(more: str) -> Make:
    """Return what makes a token with further JSON in its claims."""
    return lambda: signed('{"alg":"HS256"}', json.dumps(claims())[:-1] + f", {more}}}", hs256())


def changed(make: Make, change: Callable[[str], str]) -> Make:
    return lambda: change(make())


def in_subprotocol(make: Make, host: str = HOST, *headers: str) -> Act:
    def act(attacker: Attacker) -> None:
        protocols = f"Sec-WebSocket-Protocol: orion.v1, orion.bearer.{make()}"
        attacker.send(upgrade("/ws", protocols, *headers, host=host))

    return act


def in_query(make: Make, host: str = HOST) -> Act:
    return lambda attacker: attacker.send(upgrade(f"/ws?a=1&token={make()}&b=2", host=host))


def in_both(attacker: Attacker) -> None:
    """Offer two tokens, each of them good, one here and one there."""
    protocols = f"Sec-WebSocket-Protocol: orion.v1, orion.bearer.{token()()}"
    attacker.send(upgrade(f"/ws?token={token()()}", protocols, host=HOST))


def asks(*headers: str, host: str = HOST, path: str = "/ws") -> Act:
    return lambda attacker: attacker.send(upgrade(path, *headers, host=host))


UNAUTHORIZED = refused(401)
FORBIDDEN = refused(403)

# By the reason of the refusal: the names of attacks, and what makes their tokens.
BAD: dict[str, dict[str, Make]] = {
    "token_malformed": {
        "garbage": lambda: MARK,
        "nothing": lambda: "",
        "dots": lambda: "..",
        "two parts": changed(token(), lambda text: text.rpartition(".")[0]),
        "four parts": changed(token(), lambda text: f"{text}.{MARK}"),
        "five parts": changed(token(), lambda text: f"{text}..{MARK}"),
        "no signature": changed(token(), lambda text: text.rpartition(".")[0] + "."),
        "alg none without signature": token({"alg": "none"}, lambda _: b""),
        "5000 characters": token(pad="x" * 4000),
        "the header is a list": raw('["HS256"]'),
        "the header is no JSON": raw("alg"),
        "the header is cut off": raw('{"alg":"HS256"'),
        "the header is deep": raw("[" * 900 + "]" * 900),
        "the header twice": raw('{"alg":"HS256","alg":"none"}'),
        "an extension that is critical": raw('{"alg":"HS256","crit":["exp"],"exp":1}'),
        "an unencoded payload": raw('{"alg":"HS256","b64":false}'),
        "kid is a number": raw('{"alg":"HS256","kid":1}'),
        "kid is a list": raw('{"alg":"HS256","kid":["a"]}'),
        "claims are a list": raw(payload="[1]"),
        "claims are no JSON": raw(payload="claims"),
        "claims are cut off": raw(payload='{"aud":"orion-bridge"'),
        "claims are deep": raw(payload='{"a":' + "[" * 1200 + "]" * 1200 + "}"),
        "a claim twice": with_claims('"exp": 99999999999'),
        "NaN": with_claims('"nbf": NaN'),
        "infinity": with_claims('"nbf": -Infinity'),
        "exp in quotes": token(exp=str(int(time.time()) + 60)),
        "exp is true": token(exp=True),
        "exp is a list": token(exp=[1]),
        "exp below zero": token(exp=-1),
        "nbf of 400 digits": with_claims(f'"nbf": {"9" * 400}'),
        "nbf of 2000 digits": with_claims(f'"nbf": {"9" * 2000}'),
        "nbf beyond floats": with_claims('"nbf": 1e999'),
        "sub with a line end": token(sub="a\nrefusing 127.0.0.1"),
        "sub of 300 characters": token(sub="a" * 300),
        "sub is a number": token(sub=7),
        "jti of 200 characters": token(jti="a" * 200),
        "jti is nothing": token(jti=""),
        "parent is a list": token(parent_origin=["https://cafe.example"]),
    },
    "token_signature": {
        "alg none": token({"alg": "none"}),
        "alg none in capitals": token({"alg": "NONE"}),
        "alg none in both": token({"alg": "nOnE"}, lambda _: b"\0"),
        "no alg": raw("{}"),
        "alg is null": raw('{"alg":null}'),
        "alg is a list": raw('{"alg":["HS256"]}'),
        "alg HS512": token({"alg": "HS512"}, hs256(SECRET, "sha512")),
        "alg HS384 with a signature of HS256": token({"alg": "HS384"}),
        "alg RS256": token({"alg": "RS256"}, rs256),
        "alg ES256": token({"alg": "ES256"}),
        "another secret": token(sign=hs256(b"marlin, which is just as long as the other")),
        "no secret": token(sign=hs256(b"")),
        "the secret with a line end": token(sign=hs256(SECRET + b"\n")),
        "a signature of zeros": token(sign=lambda _: bytes(32)),
        "half a signature": token(sign=lambda data: hs256()(data)[:16]),
        "another's claims": lambda: ".".join(
            [*token()().split(".")[:2], token()().rpartition(".")[2]]
        ),
        "a kid of a path": token({"kid": "../../../../dev/null"}, hs256(b"")),
        "a kid of SQL": token({"kid": "' UNION SELECT ''"}, hs256(b"")),
        "a key of its own": token(
            {"jwk": {"kty": "oct", "k": base64url(b"mine" * 10)}}, hs256(b"mine" * 10)
        ),
        "a key to be fetched": token({"jku": "http://127.0.0.1:9/keys"}, hs256(b"mine" * 10)),
    },
    "token_expired": {
        "a minute ago": token(iat=1_700_000_000, exp=int(time.time()) - 61),
        "in 1970": token(exp=0),
        "a second after 1970": token(exp=1),
    },
    "token_not_yet": {
        "tomorrow": token(nbf=int(time.time()) + 86_400),
        "made tomorrow": token(iat=int(time.time()) + 86_400, exp=int(time.time()) + 86_460),
    },
    "token_life": {
        "for ever": token(exp=None),
        "for a day": token(exp=int(time.time()) + 86_400),
        "in milliseconds": token(exp=int(time.time() * 1000) + 60_000),
        "for a year, on its last day": token(iat=int(time.time()) - 31_000_000),
    },
    "token_audience": {
        "another": token(aud="another"),
        "none": token(aud=None),
        "a list of others": token(aud=["another", "third"]),
        "an empty list": token(aud=[]),
        "a longer one": token(aud="orion-bridge-2"),
        "an object": token(aud={"orion-bridge": 1}),
    },
    "token_tenant": {
        "another tenant": token(tenant="shop2"),
        "no tenant": token(tenant=None),
        "a list of tenants": token(tenant=["shop1"]),
        "in capitals": token(tenant="SHOP1"),
    },
    "token_parent": {
        "another page": token(parent_origin="https://evil.example"),
        "without TLS": token(parent_origin="http://cafe.example"),
        "below it": token(parent_origin="https://a.cafe.example"),
        "the bare name of a wildcard": token(parent_origin="https://malls.example"),
        "null": token(parent_origin="null"),
        "no origin": token(parent_origin="cafe.example"),
        "nothing": token(parent_origin=""),
    },
}
STATUS = {"token_tenant": FORBIDDEN, "token_parent": FORBIDDEN}

CONFUSED = [
    Attack(
        f"confusion, {name}",
        in_subprotocol(make, host),
        UNAUTHORIZED,
        "token_signature",
    )
    for name, host, make in (
        (
            "the public key as a secret",
            RSA_HOST,
            token({"alg": "HS256"}, hs256(_rsa_pem), tenant="shop2"),
        ),
        (
            "the public key without its line end as a secret",
            RSA_HOST,
            token({"alg": "HS256"}, hs256(_rsa_pem.rstrip()), tenant="shop2"),
        ),
        (
            "the key of another id",
            FOLDER_HOST,
            token({"alg": "EdDSA", "kid": "old"}, _ed25519.sign, tenant="shop3"),
        ),
        ("an unknown id", FOLDER_HOST, token({"kid": "other"}, tenant="shop3")),
        ("an id with NUL", FOLDER_HOST, token({"kid": "old\0"}, tenant="shop3")),
        ("an id of a file", FOLDER_HOST, token({"kid": "old.key"}, tenant="shop3")),
        (
            "RS256 signed by nobody",
            RSA_HOST,
            token({"alg": "RS256"}, lambda _: bytes(256), tenant="shop2"),
        ),
    )
]

PLACES = [
    Attack("no token", asks(), UNAUTHORIZED, "token_missing"),
    Attack(
        "a token in a header", asks("Authorization: Bearer a.b.c"), UNAUTHORIZED, "token_missing"
    ),
    Attack("a token in a cookie", asks("Cookie: token=a.b.c"), UNAUTHORIZED, "token_missing"),
    Attack(
        "a name in capitals in the query",
        asks(path="/ws?TOKEN=a.b.c"),
        UNAUTHORIZED,
        "token_missing",
    ),
    Attack("an encoded name", asks(path="/ws?%74oken=a.b.c"), UNAUTHORIZED, "token_missing"),
    Attack("two good tokens, here and there", in_both, UNAUTHORIZED, "token_malformed"),
    Attack(
        "two tokens in the query",
        asks(path=f"/ws?token={MARK}&token={MARK}"),
        UNAUTHORIZED,
        "token_malformed",
    ),
    Attack(
        "two tokens in subprotocols",
        asks(f"Sec-WebSocket-Protocol: orion.bearer.{MARK}, orion.bearer.a.b.c"),
        UNAUTHORIZED,
        "token_malformed",
    ),
    Attack(
        "a token in capitals",
        asks(f"Sec-WebSocket-Protocol: ORION.BEARER.{MARK}"),
        UNAUTHORIZED,
        "token_missing",
    ),
    Attack(
        "a bad one where tokens are optional",
        in_subprotocol(token(tenant="shop4", sign=hs256(b"m" * 40)), LENIENT),
        UNAUTHORIZED,
        "token_signature",
    ),
    Attack(
        "an empty one where tokens are optional",
        asks("Sec-WebSocket-Protocol: orion.bearer.", host=LENIENT),
        UNAUTHORIZED,
        "token_malformed",
    ),
    Attack("none, and no origin", asks(host=LISTED), UNAUTHORIZED, "token_missing"),
    Attack(
        "a good one from a foreign page",
        in_subprotocol(token(tenant="shop5"), LISTED, "Origin: https://evil.example"),
        FORBIDDEN,
        "origin",
    ),
]

GOOD = [
    Attack(f"good, {name}", act, SERVED)
    for name, act in {
        "in a subprotocol": in_subprotocol(token()),
        "in the query": in_query(token()),
        "one of several audiences": in_subprotocol(token(aud=["another", "orion-bridge"])),
        "without iat": in_subprotocol(token(iat=None)),
        "with fractions": in_subprotocol(token(exp=time.time() + 600.5, iat=None)),
        "a page that embeds": in_subprotocol(token(parent_origin="https://cafe.example")),
        "a page below a wildcard": in_subprotocol(
            token(parent_origin="https://a.malls.example:443")
        ),
        "RS256": in_subprotocol(token({"alg": "RS256"}, rs256, tenant="shop2"), RSA_HOST),
        "EdDSA by its id": in_subprotocol(
            token({"alg": "EdDSA", "kid": "new"}, _ed25519.sign, tenant="shop3"), FOLDER_HOST
        ),
        "HS256 by its id": in_subprotocol(token({"kid": "old"}, tenant="shop3"), FOLDER_HOST),
        "an id where there is one key": in_subprotocol(token({"kid": "any"})),
        "without an id": in_subprotocol(token(tenant="shop3"), FOLDER_HOST),
        "none where tokens are optional": asks(host=LENIENT),
        "a token and no origin": in_subprotocol(token(tenant="shop5"), LISTED),
        "an origin and no token": asks("Origin: https://shop.example", host=LISTED),
        "garbage where there are no tokens": in_subprotocol(lambda: MARK, OPEN),
    }.items()
]


def replay(attacker: Attacker, text: str) -> Outcome:
    """Come in with a token that somebody else may have used."""
    in_subprotocol(lambda: text)(attacker)
    return attacker.outcome(SOON, b"hello")


class TokenTests(SiegeTestCase):
    """A token lets its browser in once, if all of it is right, and never shows in the log."""

    secrets: ClassVar[set[str]] = _shown
    settings = """
        [tenant.shop1]
        hosts = ["token.example"]
        backend = "{backend}"
        subprotocols = ["orion.v1"]
        embed_in = ["https://cafe.example", "https://*.malls.example"]
        token = { key_file = "{keys}/secret" }
        [tenant.shop2]
        hosts = ["rsa.example"]
        backend = "{backend}"
        token = { key_file = "{keys}/rsa.pem", algorithms = ["RS256"] }
        [tenant.shop3]
        hosts = ["folder.example"]
        backend = "{backend}"
        token = { key_file = "{keys}/folder", algorithms = ["HS256", "EdDSA"] }
        [tenant.shop4]
        hosts = ["lenient.example"]
        backend = "{backend}"
        token = { key_file = "{keys}/secret", required = false }
        [tenant.shop5]
        hosts = ["listed.example"]
        backend = "{backend}"
        origins = ["https://shop.example"]
        token = { key_file = "{keys}/secret", required = false }
        [tenant.shop6]
        hosts = ["localhost"]
        backend = "{backend}"
        """

    @classmethod
    def places(cls) -> dict[str, str]:
        keys = cls.new_folder()
        (keys / "secret").write_bytes(SECRET + b"\n")
        (keys / "rsa.pem").write_bytes(_rsa_pem)
        (keys / "folder").mkdir()
        (keys / "folder" / "old.key").write_bytes(SECRET + b"\n")
        (keys / "folder" / "new.pem").write_bytes(_ed25519_pem)
        return {**super().places(), "keys": str(keys)}

    def test_used_twice(self) -> None:
        """The second browser with the same token stays outside, over whichever port it comes."""
        for first in SCHEMES:
            for second in SCHEMES:
                text = token()()
                with self.attacker(first) as one, self.attacker(second) as other:
                    self.assertEqual(replay(one, text), SERVED)
                    self.assertEqual(replay(other, text), UNAUTHORIZED)
        self.assertEqual(self.news().refused, {"token_replayed": 4})

    def test_used_in_another_place(self) -> None:
        """A token that came as a subprotocol is used up for the query, too."""
        text = token()()
        with self.attacker("wss") as one, self.attacker("wss") as other:
            self.assertEqual(replay(one, text), SERVED)
            in_query(lambda: text)(other)
            self.assertEqual(other.outcome(SOON), UNAUTHORIZED)

    def test_used_at_once(self) -> None:
        """Of ten browsers that come with one token at the same moment one gets in."""
        text = token()()
        outcomes: list[Outcome] = []

        def come(attacker: Attacker) -> None:
            outcomes.append(replay(attacker, text))

        with self.watched():
            attackers = [self.attacker("ws") for _ in range(10)]
            threads = [Thread(target=come, args=(each,)) for each in attackers]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            for each in attackers:
                each.close()
        self.assertEqual(Counter(outcomes), {SERVED: 1, UNAUTHORIZED: 9})
        self.assertEqual(self.news().refused["token_replayed"], 9)

    def test_without_an_id(self) -> None:
        """A token without `jti` may be used again until it ends."""
        text = token(jti=None)()
        for _ in range(3):
            with self.attacker("wss") as attacker:
                self.assertEqual(replay(attacker, text), SERVED)

    def test_what_is_echoed(self) -> None:
        """The answer names the other subprotocol, and nothing of the token."""
        text = token()()
        with self.attacker("wss") as attacker:
            self.assertEqual(replay(attacker, text), SERVED)
            assert attacker.response is not None
            self.assertEqual(attacker.response.values("sec-websocket-protocol"), ["orion.v1"])

    def test_a_token_alone(self) -> None:
        """Where nothing but a token is offered, no subprotocol is agreed to."""
        with self.attacker("wss") as attacker:
            asks(f"Sec-WebSocket-Protocol: orion.bearer.{token()()}")(attacker)
            self.assertEqual(attacker.outcome(SOON, b"hello"), SERVED)
            assert attacker.response is not None
            self.assertEqual(attacker.response.values("sec-websocket-protocol"), [])

    def test_a_challenge(self) -> None:
        """401 says what is wanted (RFC 9110, section 15.5.2)."""
        with self.attacker("wss") as attacker:
            asks()(attacker)
            outcome = attacker.outcome(SOON)
            self.assertEqual(dict(outcome.headers)["www-authenticate"], "Bearer")


REFUSED = [
    Attack(f"{reason}, {name}", in_subprotocol(make), STATUS.get(reason, UNAUTHORIZED), reason)
    for reason, named in BAD.items()
    for name, make in named.items()
]
IN_QUERY = [
    Attack(f"in query, {name}", in_query(make), UNAUTHORIZED, "token_malformed")
    for name, make in BAD["token_malformed"].items()
    if name in ("garbage", "nothing", "dots", "5000 characters")
]

add_tests(TokenTests, [*REFUSED, *IN_QUERY, *CONFUSED, *PLACES, *GOOD])
