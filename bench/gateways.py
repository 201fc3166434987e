"""
What a gateway of a run is: where it runs, what it is given to do, what it is spoken to with.

All do the same: TLS with one P-256 certificate on one side, TCP to a backend on the other. One
that cannot be had on this machine says why, and is left out. Which there are: `bench.catalogue`.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

from bench.frames import Framing, WebSocketFraming
from bench.scenarios import KIB, Kind, Scenario
from bench.talks import Cycle, EchoTalk, OrionV1Talk, OrionV2Talk, StreamTalk, Talk

CHECKOUT = Path(__file__).resolve().parents[1]


@frozen
class Place:
    """
    Where a gateway is to run.

    Attributes:
        port: to listen on, of 127.0.0.1.
        backend: the port of its backend there.
        certificates: a folder with ``ca.pem`` and ``localhost.pem`` (certificate and key).
        folder: its own, for what it reads and writes.
    """

    port: int
    backend: int
    certificates: Path
    folder: Path

    @property
    def certificate(self) -> Path:
        return self.certificates / "localhost.pem"


class Missing(Exception):
    """A gateway cannot be had; the text says why, in a few words."""


@frozen(kw_only=True)
class Gateway(ABC):
    """
    One gateway.

    Attributes:
        name: as the command line has it.
        about: one line for readers.
        backend: of `bench.backends`.
        keeps_messages: whether a message stays one message, both ways.
        has_tls_1_3: whether it speaks that; otherwise it is measured with TLS 1.2.
        most_size: the largest message that it takes, in bytes.
        most_connections: how many it may be given at a time, for want of memory.
        subprotocol: that it is asked for.
        only: the names of its scenarios; empty: all.
    """

    name: str
    about: str
    backend: str = "echo"
    keeps_messages: bool = True
    has_tls_1_3: bool = True
    most_size: int | None = None
    most_connections: int | None = None
    subprotocol: str | None = None
    only: tuple[str, ...] = ()

    @abstractmethod
    def version(self) -> str:
        """
        Return what is measured, with its version.

        Raises:
            Missing: it is not on this machine.
        """

    @abstractmethod
    def command(self, place: Place) -> list[str]:
        """
        Return how it is started; what it reads is written before.

        Raises:
            Missing: it cannot run here.
        """

    def environment(self) -> Mapping[str, str]:
        """Return what its environment has besides."""
        return {}

    def framing(self) -> Framing:
        return WebSocketFraming()

    def cannot(self, scenario: Scenario) -> str | None:
        """Return why it has no part in a scenario, or None."""
        if self.only and scenario.name not in self.only:
            return ""
        if self.most_size is not None and scenario.size > self.most_size:
            return f"messages of at most {self.most_size // KIB} KiB"
        if (
            self.most_connections is not None
            and scenario.connections > self.most_connections
            and scenario.kind is not Kind.MEMORY
        ):
            return f"a process for each connection; {self.most_connections} at most"
        return None

    def connections(self, scenario: Scenario) -> int:
        """Return how many connections of a scenario it is given."""
        if self.most_connections is None:
            return scenario.connections
        return min(scenario.connections, self.most_connections)

    def talks(self, scenario: Scenario, framing: Framing) -> Talks:
        """Return the maker of a scenario's talks."""
        return Talks(self, scenario, framing)


class Talks:
    """Makes a talk for each connection of a scenario: its messages, and their check."""

    def __init__(self, gateway: Gateway, scenario: Scenario, framing: Framing) -> None:
        self._gateway = gateway
        self._size = scenario.size
        self._framing = framing
        self._cycle = (
            Cycle(framing, scenario.size, scenario.in_flight)
            if gateway.backend == "echo"
            else None
        )

    def __call__(self, number: int) -> Talk:
        if self._cycle is not None:
            start = number * 37  # connections that are neighbours say different things
            if self._gateway.keeps_messages:
                return EchoTalk(self._cycle, start)
            return StreamTalk(self._cycle, start)
        talk = OrionV1Talk if self._gateway.backend == "orion.v1" else OrionV2Talk
        return talk(self._framing, self._size, number)


def output(command: list[str], environment: Mapping[str, str] | None = None) -> str:
    """
    Return what a short command prints.

    Raises:
        Missing: it cannot be run, or fails.
    """
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        lines = f"{error.stdout}\n{error.stderr}".strip().splitlines()
        raise Missing(lines[0] if lines else f"{command[0]} fails") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(str(error)) from None
    return done.stdout


def program(name: str) -> str:
    """
    Return the path of a program: beside this Python, or where the shell finds it.

    Raises:
        Missing: there is none.
    """
    beside = str(Path(sys.executable).parent)
    found = shutil.which(name, path=os.pathsep.join([beside, os.environ.get("PATH", "")]))
    found = found or shutil.which(name, path="/usr/sbin")
    if found is None:
        raise Missing(f"there is no {name}")
    return found


def package_version(name: str) -> str:
    """
    Return a package of this Python, with its version.

    Raises:
        Missing: it is not installed.
    """
    try:
        return f"{name} {importlib.metadata.version(name)}"
    except importlib.metadata.PackageNotFoundError:
        raise Missing(f"there is no Python package {name}") from None
