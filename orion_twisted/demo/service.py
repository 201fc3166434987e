"""
The engine as a service: opens its database, listens, and closes everything again.
"""

from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred, succeed
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from orion_twisted.demo.commands import Desk
from orion_twisted.demo.libraries import INSTALL, missing_libraries
from orion_twisted.demo.live import LiveDocuments
from orion_twisted.demo.prints import Prints
from orion_twisted.demo.samples import samples
from orion_twisted.demo.server import EngineFactory
from orion_twisted.demo.store import Store

LOOK_EVERY = 15.0
"""Seconds between two looks for sessions that have ended without a word."""
STOP_TIMEOUT = 2.0
"""Seconds that peers have to read their last answers when the engine stops."""


class EngineService(Service):
    """
    A demo Orion engine on a TCP port.

    Args:
        reactor: what listens, tells the time and hands back from threads (IReactorTCP,
            IReactorTime and IReactorThreads).
        port: where to listen; 0 takes a free port.
        interface: the address to listen on.
        database: the file of the documents, or ":memory:".
        with_sample: whether an empty database gets documents to look at.
        fsync: whether each edit is to survive a power failure, too.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        port: int,
        interface: str,
        database: str,
        with_sample: bool,
        fsync: bool = False,
    ) -> None:
        self._reactor = reactor
        self._wanted_port = port
        self._interface = interface
        self._database = database
        self._with_sample = with_sample
        self._fsync = fsync
        self._store: Store | None = None
        self._prints: Prints | None = None
        self._looking: LoopingCall | None = None
        self._factory: EngineFactory | None = None
        self._listening: Any = None

    @property
    def port(self) -> int:
        """The TCP port; RuntimeError while the service does not run."""
        if self._listening is None:
            raise RuntimeError("the engine is not listening: start the service first")
        port: int = self._listening.getHost().port
        return port

    def startService(self) -> None:
        """
        Open the database and listen; both are done when this returns.

        Raises:
            StoreFailed: the database cannot be used.
            twisted.internet.error.CannotListenError: the port is taken.
        """
        store = Store(self._database, fsync=self._fsync)
        try:
            if self._with_sample and not store.documents():
                for each in samples():
                    store.create(each)
            prints = Prints(self._reactor)
            desk = Desk(LiveDocuments(store), prints)
            factory = EngineFactory(desk, self._reactor.seconds)
            self._listening = self._reactor.listenTCP(
                self._wanted_port, factory, interface=self._interface
            )
        except BaseException:
            store.close()
            raise
        self._store, self._prints, self._factory = store, prints, factory
        self._looking = LoopingCall(factory.forget_silent)
        self._looking.clock = self._reactor
        self._looking.start(LOOK_EVERY, now=False)
        super().startService()
        for library in missing_libraries():
            self._log.warn(
                "without {library} the engine draws and prints less: {install}",
                library=library,
                install=INSTALL,
            )
        self._log.info("engine on {interface}:{port}", interface=self._interface, port=self.port)

    def stopService(self) -> Deferred[None]:
        """
        Stop listening and close all connections.

        Returns:
            A Deferred that fires with None when all is closed: at most STOP_TIMEOUT seconds
            later, as connections still open then are cut. It never fails.
        """
        super().stopService()
        if self._listening is None or self._factory is None:
            return succeed(None)
        listening, factory = self._listening, self._factory
        self._listening = self._factory = None
        if self._looking is not None and self._looking.running:
            self._looking.stop()
        stopped = maybeDeferred(listening.stopListening)
        closed = factory.close()
        timer = self._reactor.callLater(STOP_TIMEOUT, factory.abort)

        def done(_: object) -> None:
            if timer.active():
                timer.cancel()
            if self._prints is not None:
                self._prints.close()
                self._prints = None
            if self._store is not None:
                self._store.close()
                self._store = None

        return gatherResults([stopped, closed]).addBoth(done)


def engine_service(
    reactor: Any,
    port: int = 0,
    interface: str = "127.0.0.1",
    database: str = ":memory:",
    with_sample: bool = True,
    fsync: bool = False,
) -> EngineService:
    """Return an EngineService, not started yet."""
    return EngineService(reactor, port, interface, database, with_sample, fsync)
