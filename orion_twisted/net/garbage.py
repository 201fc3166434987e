"""
Python's collector of reference cycles, for a process with many connections and few cycles.

Left alone it walks over all that every idle connection has, again and again, and finds nothing:
connections are freed by their reference counts, which ``tests/service/test_survivors.py`` holds.
What comes to nothing (a request that is no HTTP, say) may still leave cycles, of Twisted's and of
h11's; they are young, and it is enough to look at the youngest.
"""

from __future__ import annotations

import gc
from typing import Any

THRESHOLDS = (10_000, 20, 1_000)
"""How many more objects are made than freed before the youngest are looked at; how many times
that, before those that have survived it are; and how many times that, before all are. With the
first at 50,000 a flood of nonsense takes 20 MiB until then."""


def untie_verifier(connection: Any) -> None:
    """
    Cut a cycle that pyOpenSSL makes of what verifies the peer of a connection.

    Whoever has lived for long would leave it to a collection that hardly ever comes. OpenSSL may
    still verify: the connection itself keeps what that needs.
    """
    verifier = getattr(connection, "_verify_helper", None)
    if verifier is not None and hasattr(connection, "_verify_callback"):
        vars(verifier).pop("callback", None)


def why_not() -> str | None:
    """Say what this Python's collector does not have that `settle` needs; None if it has all."""
    missing = [name for name in ("freeze", "set_threshold") if not hasattr(gc, name)]
    return f"gc has no {missing[0]}" if missing else None


def settle() -> None:
    """
    Take what is there now for what stays: call it once, when the process has started.

    Whatever has been thrown away up to now is collected first.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
