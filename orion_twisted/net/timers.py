"""
Timers of many sockets, gathered by the second in which they are due.

A socket has one for its next ping all its life: what each of them takes counts.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

CALLS_A_TURN = 1000
"""How many timers of sockets go off before it is the others' turn, such as those of pings."""


class Seconds:
    """
    Autobahn's timers: those that are due within one second go off together, at its end.

    Its own hold more for each of them, look through all others of a second to cancel one, and go
    off up to a second early: with a ping timeout of half a second it would be over before the
    ping is out.

    Args:
        reactor: whose time it is.
    """

    _log = Logger()

    def __init__(self, reactor: IReactorTime) -> None:
        self._reactor = reactor
        self._due: dict[int, tuple[IDelayedCall, dict[Call, None]]] = {}

    def call_later(self, delay: float, function: Callable[[], object]) -> Call:
        """Have a function called in so many seconds, or up to one second later."""
        now = self._reactor.seconds()
        second = int(now + delay) + 1
        if second not in self._due:
            timer = self._reactor.callLater(second - now, self._go_off, second)
            self._due[second] = timer, {}
        call = Call(self, second, function)
        self._due[second][1][call] = None
        return call

    def cancel(self, second: int, call: Call) -> None:
        """Forget a call, if it is still to come."""
        timer, calls = self._due.get(second, (None, {}))
        calls.pop(call, None)
        if timer is not None and not calls:
            del self._due[second]
            if timer.active():
                timer.cancel()

    def _go_off(self, second: int) -> None:
        _, calls = self._due[second]
        for call in list(calls)[:CALLS_A_TURN]:
            if call in calls:  # else one before it has cancelled it
                del calls[call]
                try:
                    call.function()
                except Exception:
                    self._log.failure("bug in a timer of a socket")
        self._due.pop(second, None)
        if calls:
            self._due[second] = self._reactor.callLater(0, self._go_off, second), calls


@define(eq=False, weakref_slot=False)
class Call:
    """A call that is to come; Autobahn cancels it."""

    _timers: Seconds
    _second: int
    function: Callable[[], object]

    def cancel(self) -> None:
        self._timers.cancel(self._second, self)
