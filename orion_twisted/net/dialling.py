"""
A reactor whose dials send at once what the system takes, and leave nothing when they fail.

Twisted's endpoints do the rest: they are given this in place of the reactor.
"""

from __future__ import annotations

from typing import Any

from zope.interface import directlyProvides, providedBy

from orion_twisted.net.eager import make_eager


class DiallingReactor:
    """
    A reactor, in all but how it dials.

    Args:
        reactor: one that connects to TCP and UNIX sockets.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        directlyProvides(self, providedBy(reactor))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def connectTCP(self, *arguments: Any, **options: Any) -> Any:
        return _eager(self._reactor.connectTCP(*arguments, **options))

    def connectUNIX(self, *arguments: Any, **options: Any) -> Any:
        return _eager(self._reactor.connectUNIX(*arguments, **options))


def _eager(connector: Any) -> Any:
    transport = getattr(connector, "transport", None)
    if hasattr(transport, "socket"):  # else there was none to be had, which it will say
        make_eager(transport)
    return connector
