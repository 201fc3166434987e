"""Shared secrets that prove who dials in: several, so that one can replace another in peace."""

from __future__ import annotations

from hmac import compare_digest

from attrs import field, frozen

LEAST_SECRET = 16
"""Characters: a shorter one could be guessed."""
MOST_SECRET = 1024
"""Characters: a longer one might not find room in a ``hello``."""
MOST_SECRETS = 16
"""How many one file may have."""


@frozen
class Secrets:
    """The secrets of one tenant's backends."""

    accepted: tuple[bytes, ...] = field(repr=False)

    def match(self, shown: str) -> bool:
        """Say whether what a backend shows is one of them."""
        octets = shown.encode("utf-8", "surrogatepass")
        # All of them are compared, so that the time tells nothing.
        return sum(compare_digest(each, octets) for each in self.accepted) > 0


def read_secrets(text: str) -> Secrets:
    """
    Read what a file has: a secret on each line.

    Empty lines, and those that begin with ``#``, count for nothing.

    Raises:
        ValueError: there is none, one is too short or too long, or there are too many.
    """
    # Not by splitlines(): it would make two secrets of one with an odd character in it.
    lines = [line.strip() for line in text.split("\n")]
    found = [line for line in lines if line and not line.startswith("#")]
    if not found:
        raise ValueError("has no secret in it")
    if len(found) > MOST_SECRETS:
        raise ValueError(f"has more than {MOST_SECRETS} secrets")
    if min(map(len, found)) < LEAST_SECRET:
        raise ValueError(f"has a secret of less than {LEAST_SECRET} characters")
    if max(map(len, found)) > MOST_SECRET:
        raise ValueError(f"has a secret of more than {MOST_SECRET} characters")
    return Secrets(tuple(each.encode() for each in found))
