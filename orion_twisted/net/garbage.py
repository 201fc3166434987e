"""
Python's collector of reference cycles, for a process with many connections and few cycles.

Left alone it walks over all that every idle connection has, again and again, and finds nothing:
connections are freed by their reference counts, which ``tests/service/test_survivors.py`` holds.
What comes to nothing (a dial that is given up, a request that is no HTTP) still leaves cycles, of
Twisted's and of h11's; they are young, and it is enough to look at the youngest.
"""

from __future__ import annotations

import gc

THRESHOLDS = (10_000, 20, 1_000)
"""How many more objects are made than freed before the youngest are looked at; how many times
that, before those that have survived it are; and how many times that, before all are. With the
first at 50,000 a flood of nonsense takes 20 MiB until then."""


def settle() -> None:
    """
    Take what is there now for what stays: call it once, when the process has started.

    Whatever has been thrown away up to now is collected first.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
