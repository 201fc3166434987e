"""
The C library's heap, which keeps what a large message has needed for the next one.

A message is gathered before it goes on, and its memory is free again when it has gone. glibc would
give that back to the system at once, and be given it again, page by page and each of them emptied,
for the next message: a tenth and more of what a mebibyte costs.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

MOST_KEPT = 4 * 1024 * 1024
"""Bytes at the top of the heap that may be free and are kept all the same, for the process."""
FROM_THE_SYSTEM = 2 * 1024 * 1024
"""Whatever is as large as this has memory of its own, which goes back when it is freed. Left alone
glibc raises this to the largest that it has met, up to 32 MiB."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""As glibc's ``malloc.h`` has them; see mallopt(3)."""


@cache
def _glibc() -> Any:
    """Return the C library that the process runs on, if it is glibc; or None."""
    try:
        library = ctypes.CDLL(None)
        return library if library.gnu_get_libc_version and library.mallopt else None
    except (AttributeError, OSError, TypeError):
        return None


def why_not() -> str | None:
    """Say why the heap cannot be told; None if it can."""
    return None if _glibc() is not None else "the C library is not glibc"


def keep() -> None:
    """Have the heap keep `MOST_KEPT`: call it once, when the process has started."""
    library = _glibc()
    # Both, since one that is set has glibc leave the other as it was in the beginning.
    library.mallopt(_M_MMAP_THRESHOLD, FROM_THE_SYSTEM)
    library.mallopt(_M_TRIM_THRESHOLD, MOST_KEPT)
