"""The ladder of `performance`: which parts carry messages, and what is missing for them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from attrs import frozen
from twisted.application.service import Service
from twisted.logger import Logger

from orion_twisted.core import wsframes
from orion_twisted.core.wsframes import Codec
from orion_twisted.net import dialling, eager, garbage, heap, leantls, lightsockets, pumpsides

LEAN_REACTOR = "lean reactor"
"""The step that a process whose reactor somebody else has chosen does without."""


@frozen
class Step:
    """
    One part of the data path that may be our own.

    Attributes:
        name: what it is.
        missing: why it cannot be had, so that the part below it is used; None if it is in use.
    """

    name: str
    missing: str | None = None

    def __str__(self) -> str:
        return self.name if self.missing is None else f"{self.name}: not in use, {self.missing}"


def steps(performance: str) -> Iterator[Step]:
    """Yield the steps that a rung of the ladder has, each with what it lacks here."""
    if performance == "full":
        yield Step("frames read and written in C", wsframes.why_not_c())
        yield Step("pumps from socket to socket", pumpsides.why_not())
    if performance in ("full", "portable"):
        yield Step("frames past Autobahn's loop")
        yield Step("eager writes", eager.why_not())
        yield Step("direct dials", dialling.why_not())
        yield Step("lean TLS", leantls.why_not())
        yield Step("light sockets", lightsockets.why_not())
        yield Step("rare collections of cycles", garbage.why_not())
        yield Step("a heap kept for large messages", heap.why_not())
        yield Step(LEAN_REACTOR, why_not_lean_reactor())


def codec_of(performance: str) -> Codec | None:
    """Return what carries frames on a rung of the ladder, or None where Autobahn does."""
    if performance == "stock":
        return None
    return wsframes.codec(portable=performance == "portable")


def has_pumps(performance: str) -> bool:
    """Say whether a rung of the ladder has pumps, here."""
    return performance == "full" and pumpsides.why_not() is None


@cache
def why_not_lean_reactor() -> str | None:
    """
    Say why `orion_twisted.net.leanreactor` cannot be had here; None if it can.

    It is tried once in a process, with a reactor that is never run. None is installed by that.
    """
    try:
        from orion_twisted.net import leanreactor
    except ImportError:
        return "this system has no epoll(7)"

    class Trial(leanreactor.LeanReactor):
        def installWaker(self) -> None:
            """Without one there is nothing to close."""

    return leanreactor.why_not(Trial())


def install_reactor(performance: str) -> None:
    """
    Install the reactor of a rung in a process that twistd does not run.

    It is Twisted's own by default, and where the lean one cannot be had. To be called before
    anybody imports ``twisted.internet.reactor``.
    """
    if performance != "stock" and why_not_lean_reactor() is None:
        from orion_twisted.net import leanreactor

        leanreactor.install()


def hasten(performance: str, reactor: object) -> None:
    """
    Have the reactor of a process that runs already be that of a rung.

    Twisted's own on epoll(7) goes over to the lean loop; any other was chosen, and stays.
    """
    if performance != "stock" and why_not_lean_reactor() is None:
        from orion_twisted.net import leanreactor

        leanreactor.take_over(reactor)


class Pace(Service):
    """
    Has collector and heap settle when the process has started, and says what carries messages.

    Args:
        performance: the rung.
        reactor: what runs the process.
    """

    _log = Logger()
    name = "pace"

    def __init__(self, performance: str, reactor: Any) -> None:
        self._performance = performance
        self._reactor = reactor

    def startService(self) -> None:
        super().startService()
        self._reactor.callWhenRunning(self._settle)

    def _settle(self) -> None:
        if self._performance != "stock":
            if garbage.why_not() is None:
                garbage.settle()
            if heap.why_not() is None:
                heap.keep()
        in_use = [
            step.name
            for step in steps(self._performance)
            if step.missing is None and step.name != LEAN_REACTOR
        ]
        self._log.info(
            "performance {performance}, on {reactor}: {steps}",
            performance=self._performance,
            reactor=type(self._reactor).__name__,
            steps=", ".join(in_use) or "no steps of our own",
        )
