"""Who a browser is, by its token: verified as its tenant says, and used up if it is for once."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from twisted.internet.defer import Deferred, fail, succeed

from orion_twisted.core.bearer import Identity, TokenRefused
from orion_twisted.core.spent_tokens import Use
from orion_twisted.web.tokens import TokenCheck, first_use

Spend = Callable[[str, str, float], "Deferred[Use]"]
"""Uses a token's id up where others know which have been: tenant, id and end of its life."""


class Identities:
    """
    What says of tokens whose they are.

    Args:
        checks: the rules on tokens of those tenants that have some, by the tenant's name.
        wall_clock: gives the seconds since 1970, by which tokens are dated.
        spend: None where this process knows which ids have been used.
    """

    def __init__(
        self,
        checks: Mapping[str, TokenCheck] | None = None,
        wall_clock: Callable[[], float] = time.time,
        spend: Spend | None = None,
    ) -> None:
        self._checks = {} if checks is None else checks
        self._wall_clock = wall_clock
        self._spend = self._spend_here if spend is None else spend

    def has_rules(self, tenant: str) -> bool:
        """Say whether a tenant knows any tokens."""
        return tenant in self._checks

    def check(self, tenant: str, token: str) -> Identity:
        """Return who has a token, where it may be used at once, in this process; or raise
        `TokenRefused`."""
        return self._checks[tenant].check(token, self._wall_clock())

    def identify(self, tenant: str, token: str) -> Deferred[Identity]:
        """Return who has a token, which is used up then; fails with `TokenRefused`."""
        try:
            verified = self._checks[tenant].verify(token, self._wall_clock())
        except TokenRefused:
            return fail()
        if verified.token_id is None:
            return succeed(verified.identity)

        def used(use: Use) -> Identity:
            first_use(use)
            return verified.identity

        return self._spend(tenant, verified.token_id, verified.end).addCallback(used)

    def _spend_here(self, tenant: str, token_id: str, end: float) -> Deferred[Use]:
        return succeed(self._checks[tenant].spent.use(token_id, end, self._wall_clock()))
