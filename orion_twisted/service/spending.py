"""Single-use tokens in a worker: which have been used, the supervisor of all workers knows."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from attrs import frozen
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from orion_twisted.core.bearer import TokenRefused
from orion_twisted.core.spent_tokens import Use
from orion_twisted.core.worker_wire import Spend, Spent

ANSWER_TIME = 2.0
"""Seconds that the supervisor has to answer; it computes microseconds."""

MOST_ASKS = 1024
"""How many may wait for an answer at a time. Further browsers are told to come back."""


@frozen
class _Ask:
    answer: Deferred[Use]
    timer: IDelayedCall


class Spending:
    """
    Ask about each token's id, and remember who waits for the answer.

    An answer that does not come refuses the browser: what is not known to be the first use is
    treated as if it were not.

    Args:
        send: sends a message to the supervisor.
        clock: the reactor, or a test's clock.
    """

    def __init__(self, send: Callable[[Spend], object], clock: IReactorTime) -> None:
        self._send = send
        self._clock = clock
        self._numbers = count(1)
        self._asks: dict[int, _Ask] = {}

    def __len__(self) -> int:
        """Return how many wait for an answer."""
        return len(self._asks)

    def spend(self, tenant: str, token_id: str, end: float) -> Deferred[Use]:
        """
        Use a token's id.

        Args:
            tenant: its name.
            token_id: whose length has been bounded.
            end: the instant, in seconds since 1970, from which on the token is refused anyway.

        Returns:
            A Deferred that fires with what its use comes to, or fails with `TokenRefused` if
            nobody answers in time. Cancelled, it forgets who asked; the token stays used up.
        """
        if len(self._asks) >= MOST_ASKS:
            return fail(TokenRefused("token_store_silent"))
        number = next(self._numbers)
        answer: Deferred[Use] = Deferred(lambda _: self._cancelled(number))
        timer = self._clock.callLater(ANSWER_TIME, self._no_answer, number)
        self._asks[number] = _Ask(answer, timer)
        self._send(Spend(number, tenant, token_id, end))
        return answer

    def answered(self, spent: Spent) -> None:
        """Pass an answer on; one that comes too late is nobody's any more."""
        ask = self._forget(spent.ask)
        if ask is not None:
            ask.answer.callback(spent.use)

    def _cancelled(self, number: int) -> None:
        self._forget(number)

    def _no_answer(self, number: int) -> None:
        self._asks.pop(number).answer.errback(TokenRefused("token_store_silent"))

    def _forget(self, number: int) -> _Ask | None:
        ask = self._asks.pop(number, None)
        if ask is not None:
            ask.timer.cancel()
        return ask
