"""The processes of a run: started on their CPU, waited for, and ended by their own ids."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Self

from bench.gateways import CHECKOUT
from bench.machine import take_cpu
from bench.measure import ProcessTree

START_TIMEOUT = 30.0
STOP_TIMEOUT = 10.0


class NotStarted(Exception):
    """A process ended, or listened nowhere in time; the text has its last words."""


def free_port() -> int:
    """
    Return a port of 127.0.0.1 that nobody listens on.

    It lies below those that the system takes for outgoing connections.
    """
    for _ in range(1000):
        port = random.randrange(12_000, 32_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return port
    raise NotStarted("there is no free port between 12000 and 32000")


class Process:
    """
    A program that listens on a port.

    Args:
        command: the program and its arguments.
        port: that it will listen on.
        folder: where it runs, and where its output is kept.
        cpu: its CPU.
        environment: what its environment has besides.
        real_time: whether it is in the real-time class.

    Raises:
        NotStarted: it does not listen in time.
    """

    def __init__(
        self,
        command: Sequence[str],
        port: int,
        folder: Path,
        cpu: int,
        environment: Mapping[str, str] | None = None,
        *,
        real_time: bool = False,
    ) -> None:
        self.port = port
        self._output = folder / "output.txt"
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # This process has one thread, so nothing can be locked in the child.
                preexec_fn=partial(take_cpu, cpu, real_time=real_time),
            )
        self.tree = ProcessTree(self._process.pid)
        try:
            self._wait_until_it_listens()
        except BaseException:
            self.stop()
            raise

    def _wait_until_it_listens(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while True:
            with socket.socket() as probe:
                probe.settimeout(START_TIMEOUT)
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise NotStarted(self.last_words())
            time.sleep(0.02)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def last_words(self) -> str:
        """Return the last line of its output and its log, or how it ended."""
        lines: list[str] = []
        for path in (self._output, self._output.with_name("twistd.log")):
            if path.exists():
                lines += path.read_text(errors="replace").strip().splitlines()
        status = self._process.poll()
        ended = "nothing is said" if status is None else f"it ended with {status}"
        return lines[-1] if lines else ended

    def stop(self) -> None:
        """End it, and whatever it has started."""
        # A number may be somebody else's by the time that it is used, a descriptor never.
        below = []
        for pid in self.tree.pids()[1:]:
            with suppress(ProcessLookupError):
                below.append(os.pidfd_open(pid))
        if self.is_running:
            self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for descriptor in below:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def start_backend(name: str, folder: Path, cpu: int, *, real_time: bool = False) -> Process:
    """Start one of `bench.backends`, on a free port."""
    port = free_port()
    command = [sys.executable, "-m", "bench.backends", name, str(port)]
    environment = {"PYTHONPATH": str(CHECKOUT)}
    return Process(command, port, folder, cpu, environment, real_time=real_time)
