"""
Tokens before anything is known about them: where a browser puts one, and how it may end.

A browser's WebSocket cannot set headers, so the token comes as a subprotocol beside the others,
``orion.bearer.TOKEN``, or as ``?token=TOKEN``. The characters of a token (base64url and dots) are
allowed in both places as they are. How it is verified is `orion_twisted.web.tokens`.
"""

from collections.abc import Iterable
from http import HTTPStatus

from attrs import field, frozen

BEARER_PREFIX = "orion.bearer."
QUERY_NAME = "token"

REFUSALS: dict[str, HTTPStatus] = {
    "token_missing": HTTPStatus.UNAUTHORIZED,
    "token_malformed": HTTPStatus.UNAUTHORIZED,
    "token_signature": HTTPStatus.UNAUTHORIZED,
    "token_expired": HTTPStatus.UNAUTHORIZED,
    "token_not_yet": HTTPStatus.UNAUTHORIZED,
    "token_life": HTTPStatus.UNAUTHORIZED,
    "token_audience": HTTPStatus.UNAUTHORIZED,
    "token_replayed": HTTPStatus.UNAUTHORIZED,
    "token_tenant": HTTPStatus.FORBIDDEN,
    "token_parent": HTTPStatus.FORBIDDEN,
    "token_store_full": HTTPStatus.SERVICE_UNAVAILABLE,
    "token_store_silent": HTTPStatus.SERVICE_UNAVAILABLE,
}
"""Every reason against a token, for counters and logs, and the status that it is answered with."""


class TokenRefused(Exception):
    """
    No, for a reason of `REFUSALS`; nothing of the token is in it.

    It has no close code: it comes before there is a WebSocket.

    Raises:
        KeyError: there is no such reason.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = REFUSALS[reason]


@frozen
class Identity:
    """
    Who a valid token says is coming.

    Attributes:
        subject: its ``sub``, printable and short enough for a log, or None.
        parent_origin: the page that embeds, normalised as by `normalise_origin`, or None.
        key_id: of the key that signed it, or None where the only key has no id.
        expires: its ``exp``, in seconds since 1970; the gateway's leeway comes on top.
    """

    subject: str | None
    parent_origin: str | None
    key_id: str | None
    expires: float


@frozen
class Offer:
    """
    What a handshake offers, taken apart.

    Attributes:
        subprotocols: those that carry no token, in the browser's order: one may be echoed.
        token: as it came, unverified and possibly empty; None where there is none.
    """

    subprotocols: tuple[str, ...]
    token: str | None = field(repr=False)


def take_token(subprotocols: Iterable[str], query: str) -> Offer:
    """
    Find the token of a handshake.

    Args:
        subprotocols: as the browser offers them.
        query: what follows ``?``, percent-encoded. A token has no character that needs encoding,
            so nothing is decoded: ``token=`` is looked for as it is.

    Raises:
        TokenRefused: there is more than one; which of them counts would be a guess.
    """
    kept: list[str] = []
    tokens: list[str] = []
    for each in subprotocols:
        if each.startswith(BEARER_PREFIX):
            tokens.append(each.removeprefix(BEARER_PREFIX))
        else:
            kept.append(each)
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if name == QUERY_NAME:
            tokens.append(value)
    if len(tokens) > 1:
        raise TokenRefused("token_malformed")
    return Offer(tuple(kept), tokens[0] if tokens else None)
