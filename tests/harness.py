"""
A real gateway for tests: the ``twistd`` process, certificates, and ways to look at both.

    class RelayTests(GatewayTestCase):
        def test_echo(self) -> None:
            gateway = self.start("--backend", "tcp:127.0.0.1:7000")
            with gateway.browser() as browser:
                ...

Nothing here shares code with the gateway but the maker of its certificates. Every wait is bounded,
and a process is only ever ended by its own id.
"""

from __future__ import annotations

import os
import random
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import unittest
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Self

from websockets.asyncio.client import connect as connect_async

from orion_twisted.net.devca import make_dev_certificates
from tests.browser import PATIENCE as PATIENCE
from tests.browser import Browser

REPOSITORY = Path(__file__).resolve().parent.parent

KIB = 1024
MIB = 1024 * KIB

START_TIMEOUT = 30.0
"""Seconds that a gateway has to listen: a machine under load imports slowly."""
STOP_TIMEOUT = 35.0
"""Seconds that a gateway has to end after SIGTERM, open browsers included: ``drain`` is 30, and 24
of them it may give to a message whose backend is gone."""
ENDED_IN_ORDER = -signal.SIGTERM
"""The exit status of a drained gateway: twistd shuts down, then ends by the signal it was sent."""

BUGS = re.compile(r"Traceback \(most recent call last\)|Unhandled|#critical")
"""What no log of a gateway ever has in it, whatever its peers did."""


_HANDED_OUT: set[int] = set()


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As in a job that a shell has put into the background. What we start would inherit that, and
    # never hear of a SIGINT.
    signal.signal(signal.SIGINT, signal.default_int_handler)


class HarnessError(Exception):
    """A process did not do what every test needs it to do."""


def free_port() -> int:
    """
    Return a TCP port on 127.0.0.1 that nobody listens on, and that this process has not had yet.

    It lies below the range that the system takes for outgoing connections, so that nobody gets it
    by accident while a backend is down, least of all the gateway that dials it.
    """
    for _ in range(1000):
        port = random.randrange(12_000, 32_000)
        if port in _HANDED_OUT:  # to somebody who may not listen yet
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            _HANDED_OUT.add(port)
            return port
    raise HarnessError("no free port between 12000 and 32000")


def make_certificates(folder: Path, *names: str) -> Path:
    """Make a CA and a certificate for each name in a folder; return the CA's file."""
    return make_dev_certificates(folder, names, datetime.now(UTC)).ca_file


def client_context(ca_file: Path) -> ssl.SSLContext:
    """Return a client's context that trusts this CA alone and checks host names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ca_file)
    return context


def memory(pid: int, what: str = "VmRSS") -> int:
    """Return how much memory a process has in use, in bytes, or had at most (``VmHWM``)."""
    status = Path(f"/proc/{pid}/status").read_text()
    match = re.search(rf"^{what}:\s+(\d+) kB$", status, re.MULTILINE)
    if match is None:
        raise HarnessError(f"process {pid} has no memory any more")
    return int(match[1]) * KIB


def eventually(condition: Callable[[], object], what: str, within: float = PATIENCE) -> None:
    """Wait until something holds; `AssertionError` if it does not within so many seconds."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within:g} s: {what}")
        time.sleep(0.01)


def steady(count: Callable[[], int], still: float = 1.0) -> int:
    """Wait until a growing number has stood still for so many seconds; return it."""
    deadline = time.monotonic() + 2 * PATIENCE
    last, since = count(), time.monotonic()
    while time.monotonic() - since < still:
        if time.monotonic() > deadline:
            raise AssertionError("it never stands still")
        time.sleep(0.02)
        now = count()
        if now != last:
            last, since = now, time.monotonic()
    return last


def environment() -> dict[str, str]:
    """Return the environment of a process that is to find the package in this checkout."""
    return {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": "1"}


def orion_bridge(*arguments: str) -> list[str]:
    """Return the command of the console script, without it being installed."""
    return [sys.executable, "-m", "orion_twisted.cli", *arguments]


def rung() -> list[str]:
    """Return the flag for the rung of ``performance`` that this run of the tests is to try."""
    performance = os.environ.get("PERFORMANCE")
    return [f"--performance={performance}"] if performance else []


def twistd() -> list[str]:
    """Return the command that starts twistd."""
    script = Path(sys.executable).with_name("twistd")
    if script.exists():
        return [str(script)]
    return [sys.executable, "-c", "from twisted.scripts.twistd import run; run()"]


def needs_package(test: unittest.TestCase, package: str) -> None:
    """End a test whose Debian package is missing: skipped with a line, but failed under CI."""
    text = f"Debian's {package} is not installed"
    if os.environ.get("CI") == "true":
        test.fail(text)
    test.skipTest(text)


def needs_pages(test: unittest.TestCase) -> None:
    """End a test that wants the Web Editor: skipped with a line, but failed under CI."""
    text = "the Web Editor is not built: make pages"
    if os.environ.get("CI") == "true":
        test.fail(text)
    test.skipTest(text)


class Process:
    """
    A program of ours, started on its own, with what it prints and logs in files.

    Args:
        command: the program and its arguments.
        folder: where it runs; its output is kept there.
    """

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        self._output = folder / "output.txt"
        self._log = folder / "twistd.log"
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log(self) -> str:
        """All that it has logged and printed so far."""
        files = [path for path in (self._output, self._log) if path.exists()]
        return "".join(path.read_text(errors="replace") for path in files)

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    @property
    def memory(self) -> int:
        """Bytes of memory in use now (RSS)."""
        return memory(self.pid)

    @property
    def peak_memory(self) -> int:
        """Bytes of memory in use at the worst moment so far."""
        return memory(self.pid, "VmHWM")

    def wait_for_port(self, port: int) -> None:
        """Wait until it listens on a port of 127.0.0.1."""
        self._wait_until(lambda: _answers(socket.AF_INET, ("127.0.0.1", port)), f"port {port}")

    def wait_for_socket(self, path: Path) -> None:
        """Wait until it listens on a UNIX socket."""
        self._wait_until(lambda: _answers(socket.AF_UNIX, str(path)), str(path))

    def _wait_until(self, listens: Callable[[], bool], where: str) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while not listens():
            if not self.is_running or time.monotonic() > deadline:
                self.kill()
                raise HarnessError(f"nothing listens on {where}:\n{self.log}")
            time.sleep(0.02)

    def terminate(self) -> None:
        """Send SIGTERM and return at once."""
        self._process.terminate()

    def wait(self, timeout: float = STOP_TIMEOUT) -> int:
        """Return its exit status, once it has ended; it is killed if it does not in time."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise HarnessError(f"still running after {timeout:g} s:\n{self.log}") from None

    def stop(self) -> int:
        """End it with SIGTERM; return its exit status."""
        if self.is_running:
            self.terminate()
        return self.wait()

    def kill(self) -> None:
        """End it without asking; for what will not end otherwise."""
        self._process.kill()
        self._process.wait()


def _answers(family: socket.AddressFamily, address: Any) -> bool:
    with socket.socket(family) as probe:
        probe.settimeout(5)
        try:
            probe.connect(address)
        except OSError:
            return False
        return True


class Door:
    """
    A port of 127.0.0.1 as its clients see it.

    Args:
        port: the number.
        ca_file: whom clients trust; None where there is no TLS.
    """

    def __init__(self, port: int, ca_file: Path | None) -> None:
        self.port = port
        self.ca_file = ca_file

    def url(self, path: str = "/ws", host: str = "localhost") -> str:
        return f"{'ws' if self.ca_file is None else 'wss'}://{host}:{self.port}{path}"

    def dial(self, receive_buffer: int | None = None) -> socket.socket:
        """Return a TCP connection to it, before TLS; a small receive buffer makes it slow."""
        raw = socket.socket()
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if receive_buffer is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        raw.settimeout(PATIENCE)
        raw.connect(("127.0.0.1", self.port))
        return raw

    def dial_tls(self, host: str = "localhost") -> socket.socket:
        """Return a TLS connection to it, verified, with SNI; a plain one if it has no TLS."""
        raw = self.dial()
        if self.ca_file is None:
            return raw
        return client_context(self.ca_file).wrap_socket(raw, server_hostname=host)

    def _options(self, **changes: Any) -> dict[str, Any]:
        options: dict[str, Any] = {
            "ssl": None if self.ca_file is None else client_context(self.ca_file),
            "proxy": None,
            "compression": None,
            "max_size": None,
            "open_timeout": PATIENCE,
            "close_timeout": PATIENCE,
            "ping_interval": None,
        }
        return {**options, **changes}

    def browser(
        self,
        path: str = "/ws",
        host: str = "localhost",
        receive_buffer: int | None = None,
        **changes: Any,
    ) -> Browser:
        """Return an open WebSocket; ``changes`` are options of `websockets`."""
        raw = self.dial(receive_buffer)
        try:
            return Browser(self.url(path, host), raw, **self._options(**changes))
        except BaseException:
            raw.close()
            raise

    def browser_async(
        self, path: str = "/ws", host: str = "localhost", **changes: Any
    ) -> connect_async:
        """Return what ``async with`` and ``await`` make an open WebSocket of."""
        where = {"host": "127.0.0.1", "port": self.port}
        return connect_async(self.url(path, host), **self._options(**where, **changes))


class Gateway(Process, Door):
    """
    A running ``twistd orion-bridge``, listening with TLS on a free port of 127.0.0.1.

    Args:
        flags: of ``orion-bridge``, without ``--listen`` and ``--certificates`` for this listener.
        folder: its own, for its log.
        certificates: the folder of certificates; ``ca.pem`` in it is what browsers trust.
        scheme: ``tls``, or ``tcp`` for a listener without TLS.
        also: further ``--listen`` values.
    """

    def __init__(
        self,
        flags: Sequence[str],
        folder: Path,
        certificates: Path,
        *,
        scheme: str = "tls",
        also: Sequence[str] = (),
    ) -> None:
        Door.__init__(self, free_port(), certificates / "ca.pem" if scheme == "tls" else None)
        listeners = [f"{scheme}:{self.port}:interface=127.0.0.1", *also]
        log = folder / "twistd.log"
        Process.__init__(
            self,
            [
                *twistd(),
                "-n",
                "--pidfile=",
                f"--logfile={log}",
                "orion-bridge",
                f"--certificates={certificates}",
                *rung(),
                *(f"--listen={each}" for each in listeners),
                *flags,
            ],
            folder,
        )
        self.wait_for_port(self.port)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class GatewayTestCase(unittest.TestCase):
    """
    Tests with gateways of their own: each is stopped, and its log looked at, in the end.

    Attributes:
        names: whose certificates are made; ``localhost`` is the fallback, if no other is named.
    """

    names: ClassVar[tuple[str, ...]] = ("localhost",)
    folder: ClassVar[Path]
    certificates: ClassVar[Path]
    ca_file: ClassVar[Path]
    _class_is_set_up: ClassVar[bool] = False

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls._class_is_set_up = True
        cls.addClassCleanup(setattr, cls, "_class_is_set_up", False)
        cls.folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory(prefix="orion-")))
        cls.certificates = cls.folder / "certs"
        cls.ca_file = make_certificates(cls.certificates, *cls.names)

    def setUp(self) -> None:
        super().setUp()
        if not self._class_is_set_up:
            # trial knows no set-up of a class: each test gets what its class would share.
            self.addCleanup(self._tear_class_down)
            self.setUpClass()

    def _tear_class_down(self) -> None:
        self.doClassCleanups()
        for _, error, _ in self.tearDown_exceptions:  # type: ignore[attr-defined]
            raise error

    def start(self, *flags: str, **options: Any) -> Gateway:
        """Return a gateway for one test; ``options`` are those of `Gateway`."""
        gateway = self._start(flags, **options)
        self.addCleanup(self._finish, gateway)
        return gateway

    @classmethod
    def start_for_class(cls, *flags: str, **options: Any) -> Gateway:
        """Return a gateway that all tests of the class share. Call it from `setUpClass`."""
        gateway = cls._start(flags, **options)
        cls.addClassCleanup(cls._finish, gateway)
        return gateway

    @classmethod
    def settings_file(cls, text: str) -> Path:
        """Write a settings file; return where it is."""
        path = cls.new_folder() / "orion-bridge.toml"
        path.write_text(text)
        return path

    def run_to_its_end(
        self, command: Sequence[str], *, patience: float = PATIENCE
    ) -> tuple[int, str]:
        """Run a command in an empty folder; return its exit status, and all that it printed."""
        done = subprocess.run(
            command,
            cwd=self.new_folder(),
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=patience,
            text=True,
            check=False,
        )
        self.assertNotIn("Traceback", done.stdout)
        return done.returncode, done.stdout

    @classmethod
    def new_folder(cls) -> Path:
        """Return an empty folder, which goes with the class."""
        return Path(tempfile.mkdtemp(dir=cls.folder))

    @classmethod
    def _start(
        cls, flags: Sequence[str], *, fallback: str | None = "localhost", **options: Any
    ) -> Gateway:
        if fallback is not None:
            flags = [f"--fallback={fallback}", *flags]
        return Gateway(flags, cls.new_folder(), cls.certificates, **options)

    @staticmethod
    def _finish(gateway: Gateway) -> None:
        """Stop a gateway; it must end in order, and its log must show no bug."""
        status = gateway.stop()
        bug = BUGS.search(gateway.log)
        if bug is not None:
            start = max(bug.start() - 500, 0)
            raise AssertionError(f"the gateway's log has a bug:\n{gateway.log[start:][:4000]}")
        if status != ENDED_IN_ORDER:
            raise AssertionError(f"the gateway ended with {status}:\n{gateway.log[-4000:]}")
