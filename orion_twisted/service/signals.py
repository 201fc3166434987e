"""Signals of the system, as calls on the reactor's thread."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

from twisted.logger import Logger


class OnSignal:
    """
    Call a function whenever a signal comes.

    Args:
        number: of the signal.
        call: takes nothing.
        reactor: on whose thread it is called.
    """

    _log = Logger()

    def __init__(self, number: signal.Signals, call: Callable[[], object], reactor: Any) -> None:
        self._number = number
        self._call = call
        self._reactor = reactor
        self._before: Any = None

    def start(self) -> None:
        """Take the signal over."""
        try:
            self._before = signal.signal(self._number, self._came)
        except ValueError:
            # Only the main thread may; whoever runs a gateway in another one has no signals.
            self._log.debug("no {signal} outside of the main thread", signal=self._number.name)

    def stop(self) -> None:
        """Give it back to whoever had it."""
        if self._before is not None:
            signal.signal(self._number, self._before)
            self._before = None

    def _came(self, number: int, frame: object) -> None:
        self._reactor.callFromThread(self._call)
