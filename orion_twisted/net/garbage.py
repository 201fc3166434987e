"""
Python's collector of reference cycles, for a process with many connections and none in cycles.

Left alone it walks over all that every idle connection has, again and again, and finds nothing:
connections are freed by their reference counts, which `tests/service/test_survivors.py` holds.
"""

from __future__ import annotations

import gc

THRESHOLDS = (50_000, 20, 1_000)
"""How many more objects are made than freed before the youngest are looked at; how many times
that, before those that have survived it are; and how many times that, before all are."""


def settle() -> None:
    """
    Take what is there now for what stays: call it once, when the process has started.

    Whatever has been thrown away up to now is collected first.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
