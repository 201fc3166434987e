"""Tokens: who gets in with one, and everything that does not."""

import hashlib
import hmac
import json
import traceback
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from typing import Any

import jwt
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.bearer import Identity, TokenRefused
from orion_twisted.core.fields import ALGORITHMS
from orion_twisted.core.settings import TokenSettings
from orion_twisted.core.spent_tokens import SpentTokens
from orion_twisted.web.token_keys import PrivateKey, SigningKey, TokenKey, TokenKeys
from orion_twisted.web.tokens import (
    LEEWAY,
    MAX_SUBJECT,
    MAX_TOKEN,
    MAX_TOKEN_ID,
    TokenCheck,
    mint,
)
from tests.web.signers import OTHER_SECRET, SECRET, private_key, public_pem

NOW = 1_800_000_000.0
SETTINGS = TokenSettings(key_file="keys/shop1", most_life=3600.0)
CLAIMS: dict[str, Any] = {"aud": "orion-bridge", "tenant": "shop1", "exp": NOW + 60}
PARENTS = ("https://shop1.cafe24.com", "https://*.shop1.example", "http://[::1]:8080")

NO_KEYS = TokenKeys(())
ONE_SECRET = TokenKeys((TokenKey(None, "HS256", SECRET),))


def verifying(name: str, key_id: str | None = None) -> TokenKey:
    """Return the verifying key of a name: ``HS256``, ``RS256 other``."""
    algorithm = name.split()[0]
    if algorithm == "HS256":
        return TokenKey(key_id, algorithm, SECRET)
    return TokenKey(key_id, algorithm, private_key(name).public_key())


def signing(name: str) -> bytes | PrivateKey:
    return SECRET if name == "HS256" else private_key(name)


def check_with(keys: TokenKeys = ONE_SECRET, **changes: Any) -> TokenCheck:
    """Return the check of the tenant shop1."""
    return TokenCheck("shop1", SETTINGS, keys, **{"parents": PARENTS, **changes})


def part(data: bytes | dict[str, Any]) -> str:
    """Return a part of a token, whatever is in it."""
    if isinstance(data, dict):
        data = json.dumps(data).encode()
    return urlsafe_b64encode(data).decode().rstrip("=")


def signed(claims: bytes | dict[str, Any], header: bytes | dict[str, Any] | None = None) -> str:
    """Return a token with a good signature by `SECRET`, whatever is in it."""
    text = f"{part({'alg': 'HS256'} if header is None else header)}.{part(claims)}"
    return f"{text}.{part(hmac.digest(SECRET, text.encode(), hashlib.sha256))}"


def saying(**changes: Any) -> str:
    """Return a signed token whose claims are those of a good one but for some."""
    claims = {**CLAIMS, **changes}
    return signed({name: value for name, value in claims.items() if value is not ...})


class TokensTestCase(SynchronousTestCase):
    """Tests of `TokenCheck`."""

    def refusal(self, check: TokenCheck, token: str, now: float = NOW) -> str:
        """Return why a token is refused; the error shows nothing of it and drags nothing along."""
        refused = self.assertRaises(TokenRefused, check.check, token, now)
        self.assertIsNone(refused.__context__)
        shown = "".join(traceback.format_exception(refused))
        for each in {token, *token.split(".")}:
            if len(each) > 8:
                self.assertNotIn(each, shown + repr(refused))
        return refused.reason

    def assert_refused(self, cases: Iterable[tuple[str, str, str]]) -> None:
        """Check that a fresh check refuses each token: what it is, reason, token."""
        for what, reason, token in cases:
            with self.subTest(what):
                check = check_with()
                self.assertEqual(self.refusal(check, token), reason)
                self.assertEqual(len(check.spent), 0, "a refused token is not used up")


class WelcomeTests(TokensTestCase):
    """Tokens that let in."""

    def test_every_algorithm(self) -> None:
        """A token signed with the key of each algorithm is taken, and says who is coming."""
        keys = TokenKeys(tuple(verifying(name, name) for name in ALGORITHMS))
        for name in ALGORITHMS:
            for key_id in (None, name):
                with self.subTest(name=name, key_id=key_id):
                    token = mint(
                        "shop1",
                        SETTINGS,
                        SigningKey(key_id, name, signing(name)),
                        NOW,
                        60,
                        parent_origin="https://Shop1.Cafe24.com",
                        subject="고객 7",
                    )
                    identity = check_with(keys).check(token, NOW)
                    parent = "https://shop1.cafe24.com:443"
                    self.assertEqual(identity, Identity("고객 7", parent, name, NOW + 60))

    def test_plain(self) -> None:
        """What is optional may be absent."""
        identity = check_with().check(saying(), NOW)
        self.assertEqual(identity, Identity(None, None, None, NOW + 60))

    def test_variants(self) -> None:
        """What else other libraries write is taken, too."""
        for changes in (
            {"aud": ["others", "orion-bridge"]},
            {"exp": int(NOW) + 60},
            {"exp": NOW + 60.5, "iat": NOW - 0.25, "nbf": NOW},
            {"iss": "https://shop1.example", "roles": [{"a": None}]},
            {"parent_origin": "https://shop1.cafe24.com:443"},
            {"parent_origin": "https://a.shop1.example"},
            {"parent_origin": "https://b.a.SHOP1.example"},
            {"parent_origin": "http://[0:0::1]:8080"},
            {"sub": "x" * MAX_SUBJECT, "jti": "y" * MAX_TOKEN_ID},
        ):
            with self.subTest(changes):
                check_with().check(saying(**changes), NOW)
        for header in ({"alg": "HS256", "typ": "JWT"}, {"alg": "HS256", "kid": "any", "x": [1]}):
            with self.subTest(header):
                check_with().check(signed(CLAIMS, header), NOW)

    def test_without_id_as_often_as_one_likes(self) -> None:
        """Single use is the issuer's choice: a token without jti may come again."""
        check = check_with()
        token = saying()
        check.check(token, NOW)
        check.check(token, NOW)
        self.assertEqual(len(check.spent), 0)


class ClaimTests(TokensTestCase):
    """What a token says, signed well, and is refused for."""

    def test_times(self) -> None:
        """Every edge: expired on the instant, not yet before it, leeway on both sides."""
        for reason, changes in (
            ("token_expired", {"exp": NOW - LEEWAY}),
            (None, {"exp": NOW - LEEWAY + 0.5}),
            ("token_expired", {"exp": 0}),
            ("token_not_yet", {"nbf": NOW + LEEWAY + 0.5}),
            (None, {"nbf": NOW + LEEWAY}),
            ("token_not_yet", {"iat": NOW + LEEWAY + 0.5}),
            (None, {"iat": NOW + LEEWAY}),
            ("token_not_yet", {"nbf": NOW + 50, "exp": NOW + 90}),
            ("token_life", {"exp": ...}),
            (None, {"exp": NOW + 3600 + LEEWAY}),
            ("token_life", {"exp": NOW + 3600 + LEEWAY + 0.5}),
            ("token_life", {"exp": NOW * 1000}),  # in milliseconds, as JavaScript has it
            (None, {"iat": NOW - 3590, "exp": NOW + 10}),
            ("token_life", {"iat": NOW - 3591, "exp": NOW + 10}),
            ("token_life", {"iat": NOW, "nbf": NOW + 5, "exp": NOW + 3601}),
        ):
            with self.subTest(reason=reason, changes=changes):
                if reason is None:
                    check_with().check(saying(**changes), NOW)
                else:
                    self.assertEqual(self.refusal(check_with(), saying(**changes)), reason)

    def test_time_passes(self) -> None:
        """The instant is the caller's: one token is early, good, and late."""
        check = check_with()
        token = saying(nbf=NOW, exp=NOW + 60)
        self.assertEqual(self.refusal(check, token, NOW - LEEWAY - 1), "token_not_yet")
        check.check(token, NOW - LEEWAY)
        check.check(token, NOW + 60 + LEEWAY - 0.1)
        self.assertEqual(self.refusal(check, token, NOW + 60 + LEEWAY), "token_expired")

    def test_for_somebody_else(self) -> None:
        """A token counts only for this audience, this tenant and this tenant's parents."""
        self.assert_refused(
            [
                ("no audience", "token_audience", saying(aud=...)),
                ("another audience", "token_audience", saying(aud="orion")),
                ("a longer audience", "token_audience", saying(aud="orion-bridge ")),
                ("no audience of many", "token_audience", saying(aud=["a", "b"])),
                ("an empty list", "token_audience", saying(aud=[])),
                ("a list of lists", "token_audience", saying(aud=[["orion-bridge"]])),
                ("an object", "token_audience", saying(aud={"orion-bridge": 1})),
                ("no tenant", "token_tenant", saying(tenant=...)),
                ("another tenant", "token_tenant", saying(tenant="shop2")),
                ("other letters", "token_tenant", saying(tenant="Shop1")),
                ("several tenants", "token_tenant", saying(tenant=["shop1"])),
                ("null", "token_tenant", saying(tenant=None)),
                *(
                    (parent, "token_parent", saying(parent_origin=parent))
                    for parent in (
                        "https://shop2.cafe24.com", "http://shop1.cafe24.com",
                        "https://shop1.cafe24.com:8443", "https://shop1.cafe24.com/",
                        "https://shop1.cafe24.com.evil.example", "null", "*", "",
                        "https://*.shop1.example", "https://shop1.example",
                        "https://xshop1.example", "http://a.shop1.example",
                        "https://a.shop1.example:444", "https://.shop1.example",
                        "https://a.shop1.example@evil.example", "x" * 2000,
                    )
                ),
                ("a list of parents", "token_malformed", saying(parent_origin=[PARENTS[0]])),
                ("null as parent", "token_malformed", saying(parent_origin=None)),
            ]
        )  # fmt: skip

    def test_without_parents(self) -> None:
        """Where nobody may embed, a token for an embedding page is of no use."""
        check = check_with(parents=())
        token = saying(parent_origin="https://shop1.cafe24.com")
        self.assertEqual(self.refusal(check, token), "token_parent")
        self.assertRaises(ValueError, check_with, parents=["shop1.cafe24.com"])

    def test_wrong_types(self) -> None:
        """A claim that is no time, or no text for a log, is not guessed at."""
        times = ("1800000060", True, False, None, [NOW], {}, -1, 2**53 + 1, 10**400)
        texts = ("", 7, None, ["a"], "a\nb", "\x1b[2J", "a\0", "\u202e", "\ud800", "x" * 257)
        self.assert_refused(
            [
                *(
                    (f"{name}={value}"[:40], "token_malformed", saying(**{name: value}))
                    for name in ("exp", "nbf", "iat")
                    for value in times
                ),
                *(
                    (f"{name}={value!r}"[:40], "token_malformed", saying(**{name: value}))
                    for name in ("sub", "jti")
                    for value in texts
                ),
                ("a long id", "token_malformed", saying(jti="x" * (MAX_TOKEN_ID + 1))),
            ]
        )

    def test_what_is_no_object(self) -> None:
        """Signed bytes that are no JSON object are refused, bombs and doubles among them."""
        good = json.dumps(CLAIMS)
        self.assert_refused(
            [
                (repr(text)[:40], "token_malformed", signed(text.encode()))
                for text in (
                    "", "null", "[]", '"a"', "7", "{", good[:-1], good + good, f"[{good}]",
                    "\ufeff" + good, good[:-1] + ', "exp": 1}', good[:-1] + ', "x": NaN}',
                    good[:-1] + ', "exp": Infinity}', '{"exp": -Infinity}',
                    "[" * 2500, '{"a":' * 500, "[" * 1400 + "]" * 1400,
                    good[:-1] + ', "exp": ' + "[" * 1200 + "]" * 1200 + "}",
                )
            ]
            + [
                ("UTF-16", "token_malformed", signed(good.encode("utf-16"))),
                ("no UTF-8", "token_malformed", signed(good.encode()[:-1] + b', "x": "\xff"}')),
                ("inf", "token_malformed", signed(b'{"exp": 1e999}')),
            ]
        )  # fmt: skip


class SingleUseTests(TokensTestCase):
    """Tokens with ``jti``."""

    def test_replayed(self) -> None:
        """A token with an id lets in once, as long as it lives; leeway does not change that."""
        check = check_with()
        token = saying(jti="a")
        check.check(token, NOW)
        self.assertEqual(self.refusal(check, token), "token_replayed")
        last = NOW + 60 + LEEWAY
        self.assertEqual(self.refusal(check, token, last - 0.1), "token_replayed")
        self.assertEqual(self.refusal(check, token, last), "token_expired")
        self.assertEqual(self.refusal(check, saying(jti="a", exp=NOW + 99)), "token_replayed")
        check.check(saying(jti="b"), NOW)

    def test_other_keys_same_memory(self) -> None:
        """Neither new keys nor new settings make a used token good again."""
        check = check_with()
        token = saying(jti="a")
        check.check(token, NOW)
        check.keys = TokenKeys((verifying("ES256", "new"), TokenKey("old", "HS256", SECRET)))
        self.assertEqual(self.refusal(check, token), "token_replayed")
        following = check_with(spent=check.spent)
        self.assertEqual(self.refusal(following, token), "token_replayed")

    def test_clock_set_back(self) -> None:
        """A used token stays used when the clock jumps ahead and back."""
        check = check_with()
        token = saying(jti="a")
        check.check(token, NOW)
        check.check(saying(jti="b", exp=NOW + 9000), NOW + 6000)
        self.assertEqual(self.refusal(check, token), "token_expired")

    def test_full(self) -> None:
        """When no more ids can be remembered, a token with one is refused, one without not."""
        check = check_with(spent=SpentTokens(most=1))
        check.check(saying(jti="a"), NOW)
        refused = self.assertRaises(TokenRefused, check.check, saying(jti="b"), NOW)
        self.assertEqual((refused.reason, refused.status), ("token_store_full", 503))
        check.check(saying(), NOW)


class SignatureTests(TokensTestCase):
    """Forgeries."""

    def test_algorithms(self) -> None:
        """The key decides the algorithm: none, others and unknown ones are refused."""
        good = saying()
        header, claims, signature = good.split(".")
        for what, alg in (
            ("none", "none"), ("None", "None"), ("NONE", "NONE"), ("empty", ""), ("null", None),
            ("HS384", "HS384"), ("HS512", "HS512"), ("lower case", "hs256"), ("space", "HS256 "),
            ("RS256", "RS256"), ("a list", ["HS256"]), ("number", 256), ("object", {}),
        ):  # fmt: skip
            with self.subTest(what):
                forged = part({"alg": alg})
                for end in (signature, part(b"\0" * 32)):
                    token = f"{forged}.{claims}.{end}"
                    self.assertEqual(self.refusal(check_with(), token), "token_signature")
                self.assertEqual(
                    self.refusal(check_with(), f"{forged}.{claims}."), "token_malformed"
                )
        missing = f"{part({'typ': 'JWT'})}.{claims}.{signature}"
        self.assertEqual(self.refusal(check_with(), missing), "token_signature")
        self.assertEqual(self.refusal(check_with(), f"{header}.{claims}"), "token_malformed")

    def test_another_secret(self) -> None:
        """Secrets that are nearly right are wrong."""
        for secret in (OTHER_SECRET, SECRET[:-1] + b"?", SECRET + b"\n", SECRET.upper()):
            token = jwt.encode(CLAIMS, secret, algorithm="HS256")
            self.assertEqual(self.refusal(check_with(), token), "token_signature")

    def test_public_key_as_secret(self) -> None:
        """A public key, which everybody has, never works as a secret, in any of its forms."""
        for name in ("RS256", "ES256", "EdDSA"):
            keys = TokenKeys((verifying(name, "public"), TokenKey("secret", "HS256", SECRET)))
            pem = public_pem(private_key(name))
            for secret in (pem, pem.strip(), pem.replace(b"\n", b"\r\n"), pem.split(b"\n")[1]):
                for header in (
                    {"alg": "HS256"},
                    {"alg": "HS256", "kid": "public"},
                    {"alg": "HS256", "kid": "secret"},
                ):
                    with self.subTest(name=name, header=header):
                        text = f"{part(header)}.{part(CLAIMS)}"
                        digest = hmac.digest(secret, text.encode(), "sha256")
                        token = f"{text}.{part(digest)}"
                        self.assertEqual(self.refusal(check_with(keys), token), "token_signature")
                        only = TokenKeys((verifying(name),))
                        self.assertEqual(self.refusal(check_with(only), token), "token_signature")

    def test_keys_of_other_kinds(self) -> None:
        """A token of each algorithm is refused by the keys of all others, and by other keys."""
        for name in ALGORITHMS:
            token = jwt.encode(CLAIMS, signing(name), algorithm=name)
            others = [verifying(each) for each in ALGORITHMS if each != name]
            if name != "HS256":
                others.append(verifying(f"{name} other"))
            for key in others:
                with self.subTest(name=name, key=key):
                    check = check_with(TokenKeys((key,)))
                    self.assertEqual(self.refusal(check, token), "token_signature")

    def test_key_ids(self) -> None:
        """A token that names its key is verified with that one; one that does not, with all."""
        keys = TokenKeys((TokenKey("a", "HS256", SECRET), TokenKey("b", "HS256", OTHER_SECRET)))
        for secret, key_id, found in (
            (SECRET, "a", "a"),
            (OTHER_SECRET, "b", "b"),
            (SECRET, "b", None),
            (OTHER_SECRET, "a", None),
            (SECRET, "c", None),
            (SECRET, "", None),
            (SECRET, "../a", None),
            (SECRET, None, "a"),
            (OTHER_SECRET, None, "b"),
            (SECRET[::-1], None, None),
        ):
            with self.subTest(secret=secret, key_id=key_id):
                header = {} if key_id is None else {"kid": key_id}
                token = jwt.encode(CLAIMS, secret, algorithm="HS256", headers=header)
                if found is None:
                    self.assertEqual(self.refusal(check_with(keys), token), "token_signature")
                else:
                    self.assertEqual(check_with(keys).check(token, NOW).key_id, found)

    def test_no_keys(self) -> None:
        """Without a key nobody gets in."""
        self.assertEqual(self.refusal(check_with(NO_KEYS), saying()), "token_signature")

    def test_headers(self) -> None:
        """Headers that are not understood, or said twice, are refused however well signed."""
        self.assert_refused(
            [
                (repr(header), "token_malformed", signed(CLAIMS, header))
                for header in (
                    {"alg": "HS256", "crit": ["exp"], "exp": 1},
                    {"alg": "HS256", "crit": ["b64"], "b64": False},
                    {"alg": "HS256", "crit": []},
                    {"alg": "HS256", "b64": False},
                    {"alg": "HS256", "kid": 1},
                    {"alg": "HS256", "kid": None},
                    {"alg": "HS256", "kid": ["a"]},
                    b'{"alg": "none", "alg": "HS256"}',
                    b'{"alg": "HS256", "alg": "HS256"}',
                    b'{"alg": "HS256", "x": NaN}',
                    b'{"alg": "HS256"} ' + b"{}",
                    b'["HS256"]',
                    b"HS256",
                    b"",
                    b"\xff",
                    '{"alg": "HS256"}'.encode("utf-16"),
                    b'{"alg": "HS256", "x": ' + b"[" * 2500,
                )
            ]
        )
        inside = {"alg": "HS256", "jwk": {"kty": "oct", "k": part(OTHER_SECRET)}}
        text = f"{part(inside)}.{part(CLAIMS)}"
        token = f"{text}.{part(hmac.digest(OTHER_SECRET, text.encode(), 'sha256'))}"
        self.assertEqual(self.refusal(check_with(), token), "token_signature")

    def test_shapes(self) -> None:
        """What is no token at all is refused before anything is computed."""
        good = saying()
        header, claims, signature = good.split(".")
        self.assert_refused(
            [
                (repr(token)[:40], "token_malformed", token)
                for token in (
                    "", ".", "..", "...", "a", "a.b", "a.b.c", "a.b.c.d.e", "한국.한국.한국",
                    good + ".", "." + good, good + "=", good + "\n", " " + good, good + "\0",
                    f"{header}.{claims}.{signature}.{signature}", f"{header}..{signature}",
                    f"{header}=.{claims}.{signature}", f"{header}. {claims}.{signature}",
                    f"{header}.{claims}.{signature[:-2]}+/", f"{header}.{claims}.{signature[:-2]}",
                    f"{header}\u2024{claims}\u2024{signature}", "\ud800" + good,
                    good.replace("J", "\uff2a"), f"Bearer {good}", f"orion.bearer.{good}",
                )
            ]
        )  # fmt: skip

    def test_size(self) -> None:
        """A token of exactly the limit is read, one that is longer is not."""
        size = MAX_TOKEN
        while len(token := saying(x="x" * size)) > MAX_TOKEN:
            size -= 1
        self.assertGreaterEqual(len(token), MAX_TOKEN - 2)
        check_with().check(token, NOW)
        longer = saying(x="x" * (size + 4))
        self.assertEqual(self.refusal(check_with(), longer), "token_malformed")
        self.assertEqual(self.refusal(check_with(), "a.b." + "c" * 10**7), "token_malformed")


class MutationTests(TokensTestCase):
    """No byte of a token may be another."""

    ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

    def test_every_byte_every_letter(self) -> None:
        """Changing one character to any other breaks a token: no two texts are the same one."""
        token = saying()
        check = check_with()
        for at, was in enumerate(token):
            for letter in f"{self.ALPHABET}.=+/ \n":
                if letter != was:
                    changed = f"{token[:at]}{letter}{token[at + 1 :]}"
                    self.assertRaises(TokenRefused, check.check, changed, NOW)

    def test_every_byte_of_every_algorithm(self) -> None:
        """So it is with public keys; and with a character left out, or doubled."""
        for name in ("RS256", "ES256", "EdDSA"):
            check = check_with(TokenKeys((verifying(name),)))
            token = jwt.encode(CLAIMS, signing(name), algorithm=name)
            check.check(token, NOW)
            for at, was in enumerate(token):
                following = self.ALPHABET[(self.ALPHABET.find(was) + 1) % 64]
                for changed in (
                    f"{token[:at]}{following}{token[at + 1 :]}",
                    f"{token[:at]}{token[at + 1 :]}",
                    f"{token[:at]}{was}{token[at:]}",
                ):
                    self.assertRaises(TokenRefused, check.check, changed, NOW)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
LIKELY = st.sampled_from(
    ["orion-bridge", "shop1", NOW, NOW + 60, int(NOW), "https://shop1.cafe24.com", "a"]
)
NAMES = st.sampled_from(
    ["aud", "tenant", "exp", "nbf", "iat", "sub", "jti", "parent_origin", "alg", "kid", "crit"]
)
OBJECTS = st.dictionaries(NAMES | st.text(), LIKELY | JSON)


class AnythingTests(TokensTestCase):
    """Whatever comes, the answer is an identity or a refusal."""

    @settings(deadline=None)
    @given(st.text() | st.text(st.sampled_from("ab.-_=")) | st.binary().map(part))
    def test_any_text(self, token: str) -> None:
        """No text whatever raises anything else, nor gets in."""
        self.refusal(check_with(), token)

    @settings(deadline=None)
    @given(st.tuples(*[st.binary(max_size=40) | OBJECTS] * 2), st.booleans())
    def test_any_parts(self, parts: tuple[Any, Any], is_signed: bool) -> None:
        """Nor does anything in the form of a token, even if it has the secret's signature."""
        claims, header = parts
        token = signed(claims, header) if is_signed else f"{part(header)}.{part(claims)}.AAAA"
        with self.assertRaises(TokenRefused):
            check_with().check(token, NOW)

    @settings(deadline=None)
    @given(OBJECTS, st.sampled_from([None, "kid"]))
    def test_any_claims(self, claims: dict[str, Any], key_id: str | None) -> None:
        """What is signed well gets in only if it says what it has to say."""
        header = {"alg": "HS256"} if key_id is None else {"alg": "HS256", "kid": key_id}
        said = {**CLAIMS, **claims}
        try:
            identity = check_with().check(signed(said, header), NOW)
        except TokenRefused:
            return
        self.assertEqual(said["tenant"], "shop1")
        self.assertGreater(identity.expires, NOW - LEEWAY)
        self.assertLessEqual(identity.expires, NOW + 3600 + LEEWAY)
        self.assertTrue((identity.subject or "").isprintable())


class MintTests(TokensTestCase):
    """`mint`."""

    key = SigningKey("2026", "HS256", SECRET)

    def claims(self, token: str) -> dict[str, Any]:
        return jwt.decode(token, options={"verify_signature": False})

    def test_what_it_says(self) -> None:
        """A token says no more than it was told, and has an id unless it may come again."""
        token = mint("shop1", SETTINGS, self.key, NOW + 0.9, 60, single_use=False)
        self.assertEqual(jwt.get_unverified_header(token)["kid"], "2026")
        self.assertEqual(
            self.claims(token),
            {"aud": "orion-bridge", "tenant": "shop1", "iat": NOW, "exp": NOW + 60},
        )
        one, two = (mint("shop1", SETTINGS, self.key, NOW, 60) for _ in range(2))
        self.assertNotEqual(self.claims(one)["jti"], self.claims(two)["jti"])
        check = check_with()
        check.check(one, NOW)
        check.check(two, NOW)
        self.assertEqual(self.refusal(check, one), "token_replayed")

    def test_longest_life(self) -> None:
        """A token may live as long as the tenant allows."""
        check_with().check(mint("shop1", SETTINGS, self.key, NOW + 0.9, 3600), NOW)

    def test_refused(self) -> None:
        """What would be refused is not made."""
        for changes, text in (
            ({"life": 3601}, "a token may live for 1 to 3600 seconds"),
            ({"life": 0.5}, "a token may live for 1 to 3600 seconds"),
            ({"life": -60}, "a token may live for 1 to 3600 seconds"),
            ({"subject": ""}, "the subject has to be 1 to 256 printable characters"),
            ({"subject": "a\n"}, "the subject has to be 1 to 256 printable characters"),
            ({"parent_origin": "shop1"}, "the parent's origin has to be scheme://host[:port]"),
            ({"parent_origin": "null"}, "the parent's origin has to be scheme://host[:port]"),
        ):
            with self.subTest(changes):
                arguments: dict[str, Any] = {"now": NOW, "life": 60, **changes}
                with self.assertRaisesRegex(ValueError, text.replace("[", r"\[")):
                    mint("shop1", SETTINGS, self.key, **arguments)
