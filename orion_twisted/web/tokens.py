"""
Tokens: JSON Web Tokens (RFC 7519) that let a browser in, verified and made.

The signature is PyJWT's business; what a token says is checked here, at an instant that is handed
in. The rules are those of RFC 8725: the key decides the algorithm, every claim has one meaning,
and what is said twice or not understood is refused. Neither a token nor a part of one is ever in
an exception or a log.
"""

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Iterable
from secrets import token_urlsafe
from typing import Any

import jwt
from attrs import frozen

from orion_twisted.core.bearer import Identity, TokenRefused
from orion_twisted.core.origins import normalise_origin
from orion_twisted.core.settings import TokenSettings
from orion_twisted.core.spent_tokens import SpentTokens, Use
from orion_twisted.web.token_keys import SigningKey, TokenKeys

MAX_TOKEN = 4096
"""Characters; a usual token has 300, one with an RSA signature 700."""

MAX_SUBJECT = 256
MAX_TOKEN_ID = 128
"""Characters of ``sub`` and of ``jti``; a UUID has 36."""

LEEWAY = 30.0
"""
Seconds by which the clocks of the shop's server and of the gateway may differ.

Servers that ask a time server agree within one second; 30 forgive those that have not asked for
weeks, and add little to what a stolen token is good for.
"""

LATEST = 2**53
"""The last instant that a claim may name: beyond it a float does not tell seconds apart."""

_TOKEN = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_WILDCARD = "*."
_JWS = jwt.PyJWS(algorithms=["HS256", "RS256", "ES256", "EdDSA"])

_REFUSAL_OF_USE = {
    Use.AGAIN: "token_replayed",
    Use.TOO_LATE: "token_expired",
    Use.NO_ROOM: "token_store_full",
}


@frozen
class Verified:
    """
    What a token comes to before it is used up.

    Attributes:
        identity: who it says is coming.
        token_id: of a token that is for a single use; None for one that is not.
        end: the instant, in seconds since 1970, from which on it is refused anyway.
    """

    identity: Identity
    token_id: str | None
    end: float


def first_use(use: Use) -> None:
    """
    Let the first use of a token's id pass.

    Raises:
        TokenRefused: it is none.
    """
    if use is not Use.FIRST:
        raise TokenRefused(_REFUSAL_OF_USE[use])


class TokenCheck:
    """
    The rule on one tenant's tokens.

    Args:
        tenant: its name.
        settings: what its tokens have to be like.
        keys: that sign them.
        parents: its ``embed_in``: origins, and ``scheme://*.suffix`` for all below a name.
        spent: the ids of used tokens, where an earlier check of this tenant had some.

    Attributes:
        keys: may be replaced at any time, whole: what has been used stays so.
        spent: to be handed on to the check that takes over when the settings are read again.
    """

    def __init__(
        self,
        tenant: str,
        settings: TokenSettings,
        keys: TokenKeys,
        parents: Iterable[str] = (),
        spent: SpentTokens | None = None,
    ) -> None:
        self._tenant = tenant
        self._settings = settings
        self._parents: set[str] = set()
        self._parents_below: list[tuple[str, str]] = []
        for parent in parents:
            self._add_parent(parent)
        self.keys = keys
        self.spent = SpentTokens() if spent is None else spent

    def check(self, token: str, now: float) -> Identity:
        """
        Take a token, and use it up if it is for a single use.

        Ask it last, when nothing else can refuse the browser: a token that has been used is gone.

        Args:
            token: any text.
            now: seconds since 1970.

        Raises:
            TokenRefused: it is no valid token for this tenant and this instant.
        """
        verified = self.verify(token, now)
        if verified.token_id is not None:
            first_use(self.spent.use(verified.token_id, verified.end, now))
        return verified.identity

    def verify(self, token: str, now: float) -> Verified:
        """
        Look at a token as `check` does, and leave its use to whoever knows which are used up.

        Raises:
            TokenRefused: it is no valid token for this tenant and this instant.
        """
        key_id, claims = self._verified(token)
        expires = self._check_times(claims, now)
        self._check_place(claims)
        parent_origin = self._parent_origin(claims)
        subject = _text(claims, "sub", MAX_SUBJECT)
        token_id = _text(claims, "jti", MAX_TOKEN_ID)
        identity = Identity(subject, parent_origin, key_id, expires)
        return Verified(identity, token_id, expires + LEEWAY)

    def _add_parent(self, parent: str) -> None:
        scheme, _, rest = parent.partition("://")
        origin = normalise_origin(f"{scheme}://{rest.removeprefix(_WILDCARD)}")
        if origin is None:
            raise ValueError("a parent has to be scheme://host[:port] or scheme://*.suffix")
        if rest.startswith(_WILDCARD):
            scheme, _, suffix = origin.partition("://")
            self._parents_below.append((f"{scheme}://", f".{suffix}"))
        else:
            self._parents.add(origin)

    def _verified(self, token: str) -> tuple[str | None, dict[str, Any]]:
        """Return the id of the key that has signed a token, and its claims, unchecked."""
        header = _header(token)
        for key in self.keys.candidates(header.get("alg"), header.get("kid")):
            try:
                payload = _JWS.decode(token, key=key.material, algorithms=[key.algorithm])
            except jwt.PyJWTError:
                continue
            claims = _object(payload)
            if claims is None:
                raise TokenRefused("token_malformed")
            return key.key_id, claims
        raise TokenRefused("token_signature")

    def _check_times(self, claims: dict[str, Any], now: float) -> float:
        """Return when a token ends, before leeway."""
        expires = _instant(claims, "exp")
        not_before = _instant(claims, "nbf")
        issued = _instant(claims, "iat")
        if expires is None:
            raise TokenRefused("token_life")  # it would live for ever
        if now >= expires + LEEWAY:
            raise TokenRefused("token_expired")
        if any(begin is not None and begin > now + LEEWAY for begin in (not_before, issued)):
            raise TokenRefused("token_not_yet")
        most = self._settings.most_life
        # Its whole life counts, or a token for a year would be let in on its last day.
        if expires - now > most + LEEWAY or (issued is not None and expires - issued > most):
            raise TokenRefused("token_life")
        return expires

    def _check_place(self, claims: dict[str, Any]) -> None:
        audience = claims.get("aud")
        named = audience if isinstance(audience, list) else [audience]
        if self._settings.audience not in named:
            raise TokenRefused("token_audience")
        if claims.get("tenant") != self._tenant:
            raise TokenRefused("token_tenant")

    def _parent_origin(self, claims: dict[str, Any]) -> str | None:
        if "parent_origin" not in claims:
            return None
        parent = claims["parent_origin"]
        if not isinstance(parent, str):
            raise TokenRefused("token_malformed")
        origin = normalise_origin(parent)
        if origin is None or not (
            origin in self._parents
            or any(
                origin.startswith(scheme) and origin.endswith(suffix)
                for scheme, suffix in self._parents_below
            )
        ):
            raise TokenRefused("token_parent")
        return origin


def mint(
    tenant: str,
    settings: TokenSettings,
    key: SigningKey,
    now: float,
    life: float,
    parent_origin: str | None = None,
    subject: str | None = None,
    single_use: bool = True,
) -> str:
    """
    Return a new token that `TokenCheck` takes.

    Args:
        tenant: its name.
        settings: of its tokens.
        key: see `orion_twisted.web.token_keys.signing_key`.
        now: seconds since 1970.
        life: in seconds; parts of one do not count.
        parent_origin: the page that embeds, as ``scheme://host[:port]``.
        subject: who it is for; logs show it.
        single_use: whether it has an id, and so can be used only once.

    Raises:
        ValueError: a token like this would be refused.
    """
    if not 1 <= life <= settings.most_life:
        raise ValueError(f"a token may live for 1 to {settings.most_life:g} seconds")
    claims: dict[str, Any] = {
        "aud": settings.audience,
        "tenant": tenant,
        "iat": int(now),
        "exp": int(now) + int(life),
    }
    if parent_origin is not None:
        if normalise_origin(parent_origin) is None:
            raise ValueError("the parent's origin has to be scheme://host[:port]")
        claims["parent_origin"] = parent_origin
    if subject is not None:
        if not _is_short_text(subject, MAX_SUBJECT):
            raise ValueError(f"the subject has to be 1 to {MAX_SUBJECT} printable characters")
        claims["sub"] = subject
    if single_use:
        claims["jti"] = token_urlsafe(16)
    header = None if key.key_id is None else {"kid": key.key_id}
    return jwt.encode(claims, key.material, algorithm=key.algorithm, headers=header)


def _header(token: str) -> dict[str, Any]:
    """Return the header of a token of which nothing has been verified."""
    if len(token) <= MAX_TOKEN and _TOKEN.fullmatch(token):
        parts = [_decoded(part) for part in token.split(".")]
        header = _object(parts[0]) if None not in parts else None
        # There is no extension that we understand, so one that is critical is refused.
        if (
            header is not None
            and not {"crit", "b64"} & header.keys()
            and isinstance(header.get("kid", ""), str)
        ):
            return header
    raise TokenRefused("token_malformed")


def _decoded(part: str) -> bytes | None:
    """Return what base64url stands for, or None; no two texts stand for the same."""
    try:
        data = urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except Base64Error:
        return None
    return data if urlsafe_b64encode(data).decode("ascii").rstrip("=") == part else None


def _object(data: bytes | None) -> dict[str, Any] | None:
    """Return a JSON object, or None for anything else."""
    try:
        value = json.loads(
            (data or b"").decode("utf-8"),
            object_pairs_hook=_without_repeats,
            parse_constant=_no_constant,
        )
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a name stands there twice")
    return value


def _no_constant(name: str) -> None:
    raise ValueError("NaN and Infinity are no JSON")


def _instant(claims: dict[str, Any], name: str) -> float | None:
    """Return a time in seconds since 1970, or None where the claim is not there."""
    if name not in claims:
        return None
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LATEST:
        raise TokenRefused("token_malformed")
    return float(value)


def _text(claims: dict[str, Any], name: str, most: int) -> str | None:
    """Return a text that may stand in a log, or None where the claim is not there."""
    if name not in claims:
        return None
    value = claims[name]
    if not _is_short_text(value, most):
        raise TokenRefused("token_malformed")
    return str(value)


def _is_short_text(value: object, most: int) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= most and value.isprintable()
