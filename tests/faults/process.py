"""
An engine as a process of its own: it can be killed, and started again.

    python -m tests.faults.process '{"name": "e", "dialect": "orion.v2", "port": 7000, ...}'

It takes commands as lines of JSON on its standard input, ends when that ends, and appends its
ledger to a file, an event a line, each with one ``write``: what it has noted survives its death.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.faults.engine import Engine
from tests.faults.places import Command, DiallingIn, Listening, Place, tell
from tests.harness import PATIENCE, REPOSITORY, environment

SERIALS_APART = 10_000_000
"""How many numbers each life of an engine has for itself."""


def build_place(engine: Engine, setup: dict[str, Any]) -> Place:
    """Return where the engine of this set-up and the gateway meet; see `EngineProcess`."""
    framing = setup.get("framing", "int32")
    if "token" not in setup:
        return Listening(engine, setup["port"], framing)
    return DiallingIn(
        engine,
        setup["port"],
        setup["token"],
        framing=framing,
        url=setup.get("url"),
        links=setup.get("links", 1),
    )


async def _run(setup: dict[str, Any]) -> None:
    ledger = os.open(setup["ledger"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def record(event: dict[str, Any]) -> None:
        os.write(ledger, json.dumps(event).encode() + b"\n")

    engine = Engine(
        setup["name"], setup["dialect"], setup["tenant"], record, setup["first_serial"]
    )
    place = build_place(engine, setup)
    await place.open()
    print("ready", flush=True)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
        tell(engine, place, json.loads(line))


class EngineProcess:
    """
    The process, seen from the one that tests.

    Args:
        folder: for its ledger.
        setup: ``name``, ``dialect``, ``tenant``, ``port``; ``framing`` if it is not int32; and,
            if the engine dials in, ``token``, for a WebSocket ``url``, and ``links``.
    """

    def __init__(self, folder: Path, **setup: Any) -> None:
        self._setup = setup
        self._ledger = folder / f"{setup['name']}.ledger"
        self._lives = 0
        self._deaths: list[dict[str, Any]] = []
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until links may come. Until then it cannot be killed."""
        self._lives += 1
        setup = {
            **self._setup,
            "name": f"{self._setup['name']}{self._lives}",
            "first_serial": self._lives * SERIALS_APART,
            "ledger": str(self._ledger),
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.process", json.dumps(setup)],
            cwd=REPOSITORY,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert process.stdout is not None
        if process.stdout.readline() != b"ready\n":
            process.kill()
            self._end(process)
            raise AssertionError("the engine does not start")
        self._process = process

    @property
    def is_alive(self) -> bool:
        return self._process is not None

    def tell(self, command: Command) -> None:
        """Send a command; one that is dead hears nothing."""
        process = self._process
        if process is not None:
            assert process.stdin is not None
            with suppress(BrokenPipeError, ValueError):  # it is being killed
                process.stdin.write(json.dumps(command).encode() + b"\n")
                process.stdin.flush()

    def kill(self) -> None:
        """End it without a word; what was on its way to the gateway is lost."""
        process, self._process = self._process, None
        if process is not None:
            name = f"{self._setup['name']}{self._lives}"
            self._deaths.append({"e": "killed", "t": time.monotonic(), "name": name})
            process.kill()
            self._end(process)

    def stop(self) -> None:
        """End it by the end of its commands."""
        process, self._process = self._process, None
        if process is not None:
            assert process.stdin is not None
            process.stdin.close()
            self._end(process)

    @staticmethod
    def _end(process: subprocess.Popen[bytes]) -> None:
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError("the engine did not end by itself") from None
        finally:
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                pipe.close()

    def read_ledger(self) -> list[dict[str, Any]]:
        """Return all events so far, and the deaths: ``killed`` with the ``name`` of a life."""
        lines = self._ledger.read_bytes().split(b"\n")[:-1] if self._ledger.exists() else []
        events = [json.loads(line) for line in lines] + self._deaths
        return sorted(events, key=lambda event: event["t"])


if __name__ == "__main__":
    # It warns of writes to a connection that has just been cut.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    asyncio.run(_run(json.loads(sys.argv[1])))
