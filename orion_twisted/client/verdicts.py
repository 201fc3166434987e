"""
Whether to come back after a socket has ended, or a connection been refused.

4000 to 4499 mean "come back", 4500 to 4999 "do not" (docs/integrate.md, "Close codes"). Of the
registered codes those are final that say the same would happen again.
"""

from __future__ import annotations

from http import HTTPStatus

FINAL_CODES = frozenset({1000, 1002, 1003, 1007, 1008, 1009})
"""Registered close codes (RFC 6455 section 7.4.1) after which there is no coming back."""

PASSING_STATUSES = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_EARLY,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
"""Answers to the upgrade that another try may not get; after any other it would."""


def may_come_back(code: int) -> bool:
    """Say whether a socket that ended with a close code is to be followed by another."""
    return code not in FINAL_CODES and not 4500 <= code <= 4999


def may_try_again(status: int) -> bool:
    """Say whether an upgrade that was answered with an HTTP status is to be tried again."""
    return status in PASSING_STATUSES
