"""Where a token comes from, and what may be said against it."""

from http import HTTPStatus

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.bearer import REFUSALS, Offer, TokenRefused, take_token
from orion_twisted.core.handshake import TOKEN_CHARACTERS

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.c2lnbmF0dXJl-_"

NAMES = st.text(st.sampled_from("abz.-_019"), min_size=1) | st.sampled_from(
    ["orion.bearer", "orion.bearer.a", "orion.bearer.", "orion.v1", "token", "tokens"]
)


class TakeTokenTests(SynchronousTestCase):
    """`take_token`."""

    def test_places(self) -> None:
        """A token is a subprotocol with a prefix, or ?token=; the rest is left as it was."""
        for subprotocols, query, kept, token in (
            ([], "", (), None),
            (["orion.v1"], "", ("orion.v1",), None),
            (["orion.v1", f"orion.bearer.{TOKEN}"], "", ("orion.v1",), TOKEN),
            ([f"orion.bearer.{TOKEN}", "b", "a"], "x=1", ("b", "a"), TOKEN),
            ([f"orion.bearer.{TOKEN}"], "", (), TOKEN),
            (["orion.v1"], f"token={TOKEN}", ("orion.v1",), TOKEN),
            ([], f"a=1&token={TOKEN}&b", (), TOKEN),
        ):
            with self.subTest(subprotocols=subprotocols, query=query):
                self.assertEqual(take_token(subprotocols, query), Offer(kept, token))

    def test_empty_is_not_absent(self) -> None:
        """Who offers an empty token is not treated as one who offers none."""
        self.assertEqual(take_token(["orion.bearer."], "").token, "")
        self.assertEqual(take_token([], "token=").token, "")
        self.assertEqual(take_token([], "token").token, "")

    def test_other_things_are_no_token(self) -> None:
        """Names that only look alike are left alone; nothing is decoded, nothing is folded."""
        names = ["orion.bearer", "Orion.Bearer.a", "x.orion.bearer.a", "bearer.a"]
        offer = take_token(names, "tokens=a&Token=b&%74oken=c&x=token=d&=token;token=e")
        self.assertEqual(offer, Offer(tuple(names), None))

    def test_two_are_refused(self) -> None:
        """Two tokens, wherever and even if they are the same, are refused: none is chosen."""
        bearer = f"orion.bearer.{TOKEN}"
        for subprotocols, query in (
            ([bearer], f"token={TOKEN}"),
            ([bearer, "orion.bearer.other"], ""),
            ([bearer, bearer], ""),
            ([], f"token={TOKEN}&token={TOKEN}"),
            ([], f"token={TOKEN}&token"),
            ([bearer], "token="),
        ):
            with self.subTest(subprotocols=subprotocols, query=query):
                refused = self.assertRaises(TokenRefused, take_token, subprotocols, query)
                self.assertEqual(refused.reason, "token_malformed")
                self.assertNotIn(TOKEN, repr(refused))

    def test_a_token_fits(self) -> None:
        """All that a token is made of may stand in a subprotocol (RFC 9110, token)."""
        alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."
        self.assertTrue(TOKEN_CHARACTERS.issuperset(alphabet.encode()))

    def test_repr_is_silent(self) -> None:
        """An offer that is printed by accident does not show its token."""
        self.assertNotIn(TOKEN, repr(take_token([], f"token={TOKEN}")))

    @settings(deadline=None)
    @given(st.lists(NAMES), st.text() | st.text(st.sampled_from("token=&ab%")))
    def test_nothing_is_lost(self, subprotocols: list[str], query: str) -> None:
        """Whatever is offered: what is kept was offered, in order, and carries no token."""
        try:
            offer = take_token(subprotocols, query)
        except TokenRefused:
            return
        self.assertEqual(
            list(offer.subprotocols),
            [each for each in subprotocols if not each.startswith("orion.bearer.")],
        )
        if offer.token is not None:
            self.assertTrue(f"orion.bearer.{offer.token}" in subprotocols or offer.token in query)


class TokenRefusedTests(SynchronousTestCase):
    """`TokenRefused` and its table."""

    def test_statuses(self) -> None:
        """No valid token is 401; one for somebody else or elsewhere 403; no room 503."""
        self.assertEqual(
            {reason for reason, status in REFUSALS.items() if status != HTTPStatus.UNAUTHORIZED},
            {"token_tenant", "token_parent", "token_store_full", "token_store_silent"},
        )
        for reason, status in REFUSALS.items():
            refused = TokenRefused(reason)
            self.assertEqual(
                (refused.reason, refused.status, str(refused)), (reason, status, reason)
            )

    def test_only_from_the_table(self) -> None:
        """Reasons are counted, so there are no others."""
        self.assertRaises(KeyError, TokenRefused, "because")
