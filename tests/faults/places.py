"""
Where an engine and the gateway meet, and what an engine does when it is told to from outside.

    place = Listening(engine, port, "int32")
    await place.open()
    tell(engine, place, {"do": "hang", "seconds": 1.5})
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from tests.faults.engine import Engine, Link
from tests.faults.orders import Order
from tests.faults.speech import Heard
from tests.faults.wires import Codec, Framed, WebSocketCodec, Wire

REDIAL_AFTER = 0.1
"""Seconds between two attempts of an engine that dials in."""


class Place(Protocol):
    """Where links come from."""

    async def open(self) -> None: ...

    def close(self) -> None:
        """Let no more links come; those that are there stay."""


class Listening:
    """
    A port of 127.0.0.1 where the gateway dials.

    Args:
        engine: whose links they are.
        port: a free one.
        framing: of the links.
    """

    def __init__(self, engine: Engine, port: int, framing: str = "int32") -> None:
        self._engine = engine
        self.port = port
        self._framing = framing
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        self._engine.is_away = False
        self._server = await asyncio.get_running_loop().create_server(
            lambda: Wire(Framed(self._framing), self._engine.build_link, is_dialled=False),
            "127.0.0.1",
            self.port,
            backlog=512,
        )

    def close(self) -> None:
        self._engine.is_away = True
        server, self._server = self._server, None
        if server is not None:
            server.close()


class DiallingIn:
    """
    Links that the engine itself makes, and makes again when they are lost.

    Args:
        engine: whose links they are.
        port: of the gateway.
        token: of the tenant.
        framing: of TCP links.
        url: of the WebSocket, where links are WebSockets.
        links: how many.
    """

    def __init__(
        self,
        engine: Engine,
        port: int,
        token: str,
        *,
        framing: str = "int32",
        url: str | None = None,
        links: int = 1,
    ) -> None:
        engine.hello = engine.hello_for(token)
        self._engine = engine
        self._port = port
        self._framing = framing
        self._url = url
        self._links = links
        self._tasks: list[asyncio.Task[None]] = []

    def _codec(self) -> Codec:
        return Framed(self._framing) if self._url is None else WebSocketCodec(self._url)

    async def open(self) -> None:
        self._engine.is_away = False
        self._tasks = [asyncio.create_task(self._keep_one()) for _ in range(self._links)]

    async def _keep_one(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            with suppress(OSError):
                _, wire = await loop.create_connection(
                    lambda: Wire(self._codec(), self._engine.build_link, is_dialled=True),
                    "127.0.0.1",
                    self._port,
                )
                await wire.gone.wait()
            await asyncio.sleep(REDIAL_AFTER)

    def close(self) -> None:
        self._engine.is_away = True
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()


Command = dict[str, Any]
"""``do``: a name in `COMMANDS`; ``pick``: 0 to 1, says which link; ``seconds``: how long."""


def _picked(engine: Engine, command: Command) -> list[Link]:
    """Return the link that a command is about: none, if there is none at all."""
    links = engine.links
    return [links[int(command["pick"] * len(links))]] if links else []


def _reset(engine: Engine, place: Place, command: Command) -> None:
    for link in _picked(engine, command):
        link.break_off()


def _end(engine: Engine, place: Place, command: Command) -> None:
    for link in _picked(engine, command):
        link.end()


def _cut(engine: Engine, place: Place, command: Command) -> None:
    """Break a link inside a frame: the answer to a request that there never was."""
    for link in _picked(engine, command):
        link.cut(Heard("request", id=0), Order("nobody-0"))


def _huge(engine: Engine, place: Place, command: Command) -> None:
    for link in _picked(engine, command):
        link.wire.announce_huge()


def _nonsense(engine: Engine, place: Place, command: Command) -> None:
    for link in _picked(engine, command):
        link.wire.send(engine.speech.nonsense())


def _push(engine: Engine, place: Place, command: Command) -> None:
    """Push to every session of a link."""
    for link in _picked(engine, command):
        for sid in list(link.labels):
            for _ in range(command.get("count", 1)):
                link.push(sid)


def _push_all(engine: Engine, place: Place, command: Command) -> None:
    for link in _picked(engine, command):
        link.push_to_all()


def _hang(engine: Engine, place: Place, command: Command) -> None:
    engine.hang(command["seconds"])


def _dribble(engine: Engine, place: Place, command: Command) -> None:
    engine.is_dribbling = True
    engine.later(command["seconds"], lambda: setattr(engine, "is_dribbling", False))


def _coalesce(engine: Engine, place: Place, command: Command) -> None:
    engine.is_coalescing = True
    engine.later(command["seconds"], lambda: setattr(engine, "is_coalescing", False))


def _back(engine: Engine, place: Place, command: Command) -> None:
    if not engine.is_away:
        place.close()
        engine.later(command["seconds"], lambda: engine.spawn(place.open()))


def _refuse(engine: Engine, place: Place, command: Command) -> None:
    """Be gone with all links, by reset, and refuse new ones for so long."""
    _back(engine, place, command)
    for link in list(engine.links):
        link.break_off()


def _leave(engine: Engine, place: Place, command: Command) -> None:
    """Be gone in good order, for so long."""
    _back(engine, place, command)
    for link in list(engine.links):
        link.end()


COMMANDS: dict[str, Callable[[Engine, Place, Command], None]] = {
    "reset": _reset,
    "end": _end,
    "cut": _cut,
    "huge": _huge,
    "nonsense": _nonsense,
    "push": _push,
    "push-all": _push_all,
    "hang": _hang,
    "dribble": _dribble,
    "coalesce": _coalesce,
    "refuse": _refuse,
    "leave": _leave,
}
"""What an engine may be told from outside."""


def tell(engine: Engine, place: Place, command: Command) -> None:
    """Have an engine obey a command."""
    COMMANDS[command["do"]](engine, place, command)
