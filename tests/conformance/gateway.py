"""Start the real `twistd orion-bridge` for the suite, listen to its log, and stop it again."""

import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from orion_twisted.net.devca import make_dev_certificates
from tests.conformance.wire import Target
from tests.harness import rung

START_TIMEOUT = 30.0  # seconds until the port must answer
STOP_TIMEOUT = 20.0  # seconds from SIGTERM to SIGKILL
EXCERPT = 4000  # characters of the log in a failure
POLL = 0.05  # seconds between two looks at another process
CHECKOUT = Path(__file__).resolve().parents[2]
BUG = re.compile(
    r"^.*(?:Traceback \(most recent call last\)|Unhandled|#critical\]|#error\]).*$", re.M
)


class GatewayError(Exception):
    """The gateway did not start, or did not stop."""


class Gateway:
    """
    One gateway in relay mode on a TLS port of its own, in a temporary folder.

    Args:
        backend_port: TCP port of the echo backend on 127.0.0.1.
        flags: more of the command line.
    """

    def __init__(self, backend_port: int, *flags: str) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="orion-conformance-"))
        self._log_path = self._folder / "twistd.log"
        self._log_read = 0
        made = make_dev_certificates(self._folder / "certs", ["localhost"], datetime.now(UTC))
        port = _free_port()
        self.target = Target(
            "localhost",
            port,
            "/ws",
            ssl.create_default_context(cafile=str(made.ca_file)),
            address="127.0.0.1",
        )
        command = [
            *(_twistd(), "-n", "--pidfile=", "--logfile=-", "orion-bridge"),
            *("--listen", f"tls:{port}:interface=127.0.0.1"),
            *("--certificates", str(self._folder / "certs"), "--fallback", "localhost"),
            *("--backend", f"tcp:127.0.0.1:{backend_port}"),
            *("--mode", "relay", "--framing", "int32", "--message-type", "tagged"),
            *rung(),
            *flags,
        ]
        path = [str(CHECKOUT), *filter(None, [os.environ.get("PYTHONPATH")])]
        with self._log_path.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self._folder,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            self._wait_for_port()
        except GatewayError:
            self.stop()
            raise

    def new_bugs(self) -> list[str]:
        """Return the log from the first bug on that came after the last call, if there is one."""
        with self._log_path.open("rb") as log:
            log.seek(self._log_read)
            fresh = log.read()
        self._log_read += len(fresh)
        text = fresh.decode(errors="replace")
        first = BUG.search(text)
        return [text[first.start() :][:EXCERPT]] if first else []

    def stop(self) -> list[str]:
        """
        End the process by its own id and remove its folder.

        Returns:
            What `new_bugs` found in the last lines of the log, and a line if it had to be killed.
        """
        self._process.terminate()
        complaints = []
        try:
            self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            complaints.append(f"twistd was still there {STOP_TIMEOUT:g} s after SIGTERM")
        complaints += self.new_bugs()
        shutil.rmtree(self._folder, ignore_errors=True)
        return complaints

    def _wait_for_port(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.target.port), 1.0).close()
            except OSError:
                time.sleep(POLL)
            else:
                return
        how = f"exit status {self._process.poll()}, log:\n{self._log_path.read_text()[-EXCERPT:]}"
        raise GatewayError(f"twistd did not answer on port {self.target.port}: {how}")


def _twistd() -> str:
    found = shutil.which("twistd", path=str(Path(sys.executable).parent)) or shutil.which("twistd")
    if found is None:
        raise GatewayError("there is no twistd beside this Python")
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
