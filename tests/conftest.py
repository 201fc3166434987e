"""What holds for every test, whichever room it is of."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def no_timers_of_autobahn() -> Iterator[None]:
    """
    Leave nothing of Autobahn's in the global reactor.

    Its timers go there, whatever reactor a factory was given: in a test whose time is a Clock's
    they never fire, and the next test that asks whether the reactor is clean would be blamed.
    """
    yield
    reactor = sys.modules.get("twisted.internet.reactor")
    for call in () if reactor is None else reactor.getDelayedCalls():
        if getattr(call.func, "__name__", "") == "_notify_bucket":
            call.cancel()
