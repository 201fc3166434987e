"""
The pumps' part in C, if there is one.

The reactor needs it before anything else may be imported.
"""

from __future__ import annotations

from typing import Any

VERSION = 3
"""That of the C; another one is not used."""

fast: Any = None
"""The module, or None: `why_not_c` says why."""
why_not_c: str | None = None

try:
    from orion_twisted.net import _pump
except ImportError as error:
    why_not_c = str(error)
else:
    if _pump.VERSION == VERSION:
        fast = _pump
    else:
        why_not_c = f"it has version {_pump.VERSION}, not {VERSION}"
