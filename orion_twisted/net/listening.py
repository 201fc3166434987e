"""
Listening sockets that one process binds and others accept from.

The supervisor of several workers binds every socket before it starts any of them: so ports below
1024 can be had before privileges are dropped, and one that is taken is known at once. It never
accepts, and each worker adopts what it inherits.

Where the system can spread connections over several sockets of one port (``SO_REUSEPORT`` on
Linux), each worker has one of its own: the system chooses by a hash of both addresses, evenly, and
wakes one process for one connection. Elsewhere, and for sockets that are not TCP or have been
bound by systemd, all workers accept from the same one.

What a connection may lose: one that no process has accepted yet waits in the queue of one socket,
and is reset when the last descriptor of that socket is closed. The supervisor keeps a descriptor
of each for as long as it runs. So when a worker ends, by a crash or in order, who waits for it
goes on waiting: the worker that follows adopts the same socket and finds him there. Only what a
worker had accepted goes with it. A worker that fails again and again would keep its share of
newcomers waiting for long: its own sockets are withdrawn until the next attempt; who waits there
is reset, and comes to another worker when he tries again. When the whole gateway stops, the
supervisor closes its descriptors first, then each worker its own, before it tells its browsers
anything: from then on the system refuses newcomers, and those that still waited are reset. Nothing
had been promised to them, and they would have been sent away in the same moment.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from attrs import evolve, field, frozen
from twisted.internet import fdesc, tcp, unix
from twisted.internet.defer import Deferred, execute
from twisted.internet.endpoints import AdoptedStreamServerEndpoint, serverFromString
from twisted.internet.error import CannotListenError, ConnectionDone
from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure
from zope.interface import implementer

from orion_twisted.core.problems import Problem

SPREADS = sys.platform == "linux"
"""Whether the system spreads connections over the sockets of one port. Others have the option as
well, and give all connections to one of the sockets."""

_READING = 0
"""Shutting this down is how a listening socket of Linux ceases to listen: it stays bound, so that
it may begin again, also below 1024 when privileges have been dropped."""


@frozen(eq=False)
class HeldSocket:
    """
    A listening socket that nobody accepts from in this process.

    Attributes:
        fd: its descriptor.
        family: its address family, a number of the system.
        address: where it is, for logs.
        close: gives the descriptor up; a Deferred, or None once it is done.
        withdraw: has the system bring nobody to this socket; nothing where all workers share it.
        restore: has it bring its share again.
    """

    fd: int
    family: int
    address: object
    close: Callable[[], Deferred[None] | None]
    withdraw: Callable[[], None] = field(default=lambda: None)
    restore: Callable[[], None] = field(default=lambda: None)


def hold(
    reactor: Any, description: str, count: int, spreads: bool = SPREADS
) -> tuple[HeldSocket, ...]:
    """
    Bind a place for so many processes.

    Args:
        reactor: that of this process; it watches none of the sockets.
        description: Twisted's server endpoint string.
        count: how many there are to be.
        spreads: whether each may have a socket of its own.

    Returns:
        One for each process: sockets of their own, or the same one for all.

    Raises:
        CannotListenError: the place is taken, or not for this user.
        LookupError: systemd hands over no such socket.
    """
    holder: Any = _Holder(reactor, count, spreads)
    held: list[tuple[HeldSocket, ...]] = []
    failures: list[Failure] = []
    listening: Any = serverFromString(holder, description).listen(_Nobody())
    listening.addCallbacks(held.append, failures.append)
    if failures:
        failures[0].raiseException()
    return held[0]


def cannot_listen(path: str, error: Any) -> Problem:
    """
    Return what an operator is told of a place that cannot be had.

    Args:
        path: that of its setting.
        error: Twisted's ``CannotListenError``.
    """
    why = getattr(error.socketError, "strerror", None) or str(error.socketError)
    port = error.port.decode() if isinstance(error.port, bytes) else error.port
    where = f"{error.interface or 'any'}:{port}" if error.interface is not None else port
    return Problem(path, f"cannot listen on {where}: {why}")


def occupy(
    path: str, listening: Deferred[IListeningPort], take: Callable[[IListeningPort], None]
) -> list[Problem]:
    """
    Take a port that has been asked for, or return what stands in the way.

    Args:
        path: that of its setting.
        listening: the port, which is there or not when it is asked for.
        take: is given it.
    """
    failures: list[Failure] = []
    listening.addCallbacks(take, failures.append)
    # Not raised from the errback: a Deferred would keep it, and the process run without a port.
    for failure in failures:
        failure.trap(CannotListenError)
    return [cannot_listen(path, failure.value) for failure in failures]


class _Nobody(Factory):
    """What stands at a port that is not read."""

    noisy = False


class _HeldPort(tcp.Port):
    # Others accept from the socket: it must end for them when they close it, not when we do.
    _shouldShutdown = False

    def startReading(self) -> None:
        """Leave who comes to the workers."""

    def withdraw(self) -> None:
        with suppress(OSError):  # it may be withdrawn already
            self.socket.shutdown(_READING)

    def restore(self) -> None:
        self.socket.listen(self.backlog)


class _HeldUNIXPort(unix.Port):
    _shouldShutdown = False

    def startReading(self) -> None:
        """Leave who comes to the workers."""


class _Holder:
    """What endpoints take for a reactor, and which listens without accepting."""

    def __init__(self, reactor: Any, count: int, spreads: bool) -> None:
        self._reactor = reactor
        self._count = count
        self._spreads = spreads

    def listenTCP(
        self, port: int, factory: Factory, backlog: int = 50, interface: str = ""
    ) -> tuple[HeldSocket, ...]:
        if not self._spreads:
            held = _HeldPort(port, factory, backlog, interface, self._reactor)
            held.startListening()
            return (_held(held),) * self._count
        # Another gateway of this user that shares the port, too, would only be let in beside us:
        # bound alone first, the port is either ours or taken. And each of the sockets has to ask
        # for its number, or it would not keep it while it is withdrawn.
        alone = _HeldPort(port, factory, backlog, interface, self._reactor)
        alone.startListening()
        port = alone.getHost().port
        alone.connectionLost(Failure(ConnectionDone()))
        where: Any = tcp.makeBinding(interface, port, reuseAddress=True, reusePort=True)
        sockets: list[HeldSocket] = []
        for _ in range(self._count):
            held = _HeldPort(where, factory, backlog, interface, self._reactor)
            held.startListening()
            own = _held(held)
            sockets.append(evolve(own, withdraw=held.withdraw, restore=held.restore))
        return tuple(sockets)

    def listenUNIX(
        self,
        address: str,
        factory: Factory,
        backlog: int = 50,
        mode: int = 0o666,
        wantPID: int = 0,
    ) -> tuple[HeldSocket, ...]:
        path: Any = address
        held = _HeldUNIXPort(path, factory, backlog, mode, self._reactor, wantPID)
        held.startListening()
        return (_held(held),) * self._count

    def adoptStreamPort(
        self, fileno: int, family: int, factory: Factory
    ) -> tuple[HeldSocket, ...]:
        fd = os.dup(fileno)  # the endpoint closes its own
        return (HeldSocket(fd, family, "systemd", lambda: os.close(fd)),) * self._count


def _held(port: tcp.Port) -> HeldSocket:
    return HeldSocket(port.fileno(), port.addressFamily, port.getHost(), port.stopListening)


def inherited(reactor: Any, fd: int, family: int, backlog: int) -> IStreamServerEndpoint:
    """Return an endpoint that accepts from a socket which another process has bound."""
    if family == unix.Port.addressFamily:
        return _InheritedUNIXSocket(reactor, fd, backlog)
    return AdoptedStreamServerEndpoint(reactor, fd, family)


class _InheritedUNIXPort(unix.Port):
    """A UNIX socket whose file is its binder's: neither mode nor name of it are touched."""

    _shouldShutdown = False

    def startListening(self) -> None:
        # Without a name in the file system, there is none whose mode Twisted would set.
        path, self._bindPath = self._bindPath, b"\0"
        super().startListening()
        self._bindPath = path

    def connectionLost(self, reason: Failure) -> None:
        tcp.Port.connectionLost(self, reason)


@implementer(IStreamServerEndpoint)
@frozen
class _InheritedUNIXSocket:
    reactor: Any
    fd: int
    backlog: int

    def listen(self, protocolFactory: Any) -> Deferred[IListeningPort]:
        return execute(self._listen, protocolFactory)

    def _listen(self, factory: Any) -> IListeningPort:
        fdesc.setNonBlocking(self.fd)
        port: Any = _InheritedUNIXPort._fromListeningDescriptor(self.reactor, self.fd, factory)
        port.backlog = self.backlog
        port.startListening()
        os.close(self.fd)  # the port has a copy
        result: IListeningPort = port
        return result
