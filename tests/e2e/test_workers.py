"""Several worker processes behind one port: shared, killed, drained, reloaded, orphaned."""

from __future__ import annotations

import os
import random
import re
import signal
import socket
import ssl
import stat
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from websockets.exceptions import ConnectionClosed

from orion_twisted.core.settings import TokenSettings
from orion_twisted.web.token_keys import load_keys, signing_key
from orion_twisted.web.tokens import mint
from tests.browser import Browser
from tests.certificates import Issued, issue
from tests.e2e.answers import read_answer, upgrade
from tests.e2e.backends import Backend, echo
from tests.e2e.browsers import Ending, ending, receive
from tests.harness import (
    ENDED_IN_ORDER,
    PATIENCE,
    Gateway,
    GatewayTestCase,
    Process,
    eventually,
    free_port,
    twistd,
)

NOBODY = 65534
"""A user that may do nothing."""

RUNGS = {"stock": "EPollReactor", "portable": "LeanReactor", "full": "LeanReactor"}
"""What runs a worker, on each rung of ``performance``."""

ORPHANS_END = 10.0
"""Seconds that workers without a supervisor may take on a machine under load; they need two."""


def exists(pid: int) -> bool:
    """Say whether a process runs; one that only waits to be reaped does not."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return "State:\tZ" not in status


class WorkersTestCase(GatewayTestCase):
    """A gateway of two workers, with its admin pages."""

    def setUp(self) -> None:
        super().setUp()
        self.admin = free_port()
        self.backend = Backend(echo)
        self.backend.__enter__()
        self.addCleanup(self.backend.__exit__, None, None, None)

    def flags(self) -> list[str]:
        return ["--workers=2", f"--admin=tcp:{self.admin}:interface=127.0.0.1"]

    def begin(self, *flags: str, **options: Any) -> Gateway:
        """Start one, and wait until both workers are up."""
        gateway = self.start(
            *self.flags(), f"--backend={self.backend.endpoint}", *flags, **options
        )
        self.wait_until_ready()
        return gateway

    def begin_alone(self) -> Gateway:
        """Start one that the test itself ends, in another way than by SIGTERM."""
        gateway = Gateway(
            [*self.flags(), "--fallback=localhost", f"--backend={self.backend.endpoint}"],
            self.new_folder(),
            self.certificates,
        )
        self.addCleanup(gateway.kill)
        self.wait_until_ready()
        return gateway

    def page(self, path: str) -> tuple[int, str]:
        """Return an admin page: its status and what it says; 0 if nobody listens."""
        try:
            with urlopen(f"http://127.0.0.1:{self.admin}{path}", timeout=PATIENCE) as answer:
                return answer.status, str(answer.read(), "utf-8")
        except HTTPError as error:
            with error:
                return error.code, str(error.read(), "utf-8")
        except (URLError, ConnectionError):
            return 0, ""

    def wait_until_ready(self) -> None:
        """Wait until every worker is up; two interpreters start, on a machine under load."""
        eventually(lambda: self.page("/readyz")[0] == 200, "all are up", within=2 * PATIENCE)

    def metric(self, name: str, labels: str = "") -> float:
        """Return a sample of the metrics; 0 where there is none."""
        text = self.page("/metrics")[1]
        found = re.search(rf"^{name}{re.escape(labels)} (\S+)$", text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    @staticmethod
    def workers(gateway: Process) -> list[int]:
        """Return the ids of a gateway's workers."""
        children = Path(f"/proc/{gateway.pid}/task/{gateway.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    def browsers(self, gateway: Gateway, count: int) -> list[Browser]:
        """Return open browsers that have all been echoed."""
        browsers = []
        for _ in range(count):
            browsers.append(gateway.browser())
            self.addCleanup(self.close, browsers[-1])
        self.echo(browsers)
        return browsers

    @staticmethod
    def close(browser: Browser) -> None:
        with suppress(Exception):
            browser.close()

    def echo(self, browsers: list[Browser]) -> None:
        """Check that each gets its own message back."""
        for number, browser in enumerate(browsers):
            browser.send(f"{number} says hello")
        for number, browser in enumerate(browsers):
            self.assertEqual(receive(browser, 1), [f"{number} says hello"])

    def split(self, browsers: list[Browser]) -> tuple[list[Browser], list[Browser]]:
        """Return those that are still served, and those whose connection has been cut."""
        served, cut = [], []
        for browser in browsers:
            try:
                browser.send("still there?")
                self.assertEqual(browser.recv(), "still there?")
            except (ConnectionClosed, OSError):
                cut.append(browser)
            else:
                served.append(browser)
        return served, cut


class SharingTests(WorkersTestCase):
    def test_both_serve_one_port(self) -> None:
        """Connections to one TLS port are spread over the workers, and counted as one."""
        gateway = self.begin()
        browsers = self.browsers(gateway, 24)
        for _ in range(3):
            self.echo(browsers)
        eventually(
            lambda: self.metric("orion_open_browsers", '{tenant="default"}') == 24,
            "all browsers are in the sum",
        )
        self.assertEqual(self.metric("orion_messages_from_browsers_total"), 24 * 4)
        self.assertEqual(self.metric("orion_messages_to_browsers_total"), 24 * 4)
        self.assertEqual(self.metric("orion_open_links", '{tenant="default"}'), 24)
        self.assertEqual(self.metric("orion_workers", '{state="up"}'), 2)
        rows = re.findall(
            r'<tr><td>(\d)</td><td>up</td><td class="number">(\d+)</td>'
            r'<td class="number">[\d:]+</td><td class="number">(\d+)</td>',
            self.page("/")[1],
        )
        self.assertEqual([number for number, _, _ in rows], ["1", "2"])
        self.assertEqual(sorted(int(pid) for _, pid, _ in rows), sorted(self.workers(gateway)))
        self.assertEqual(sum(int(count) for _, _, count in rows), 24)
        self.assertTrue(all(int(count) for _, _, count in rows), rows)

    def test_the_log_of_all(self) -> None:
        """Each line of a worker is in the supervisor's log, with the worker's number."""
        gateway = self.begin()
        for _ in range(16):
            with gateway.dial_tls() as connection:
                connection.sendall(upgrade("/nothing"))
                self.assertEqual(read_answer(connection).status, 404)
        eventually(lambda: gateway.log.count("path_unknown") == 16, "all are in the log")
        lines = re.findall(r"worker (\d): refusing 127.0.0.1 of default: 404", gateway.log)
        self.assertEqual((len(lines), set(lines)), (16, {"1", "2"}))

    def test_a_unix_socket(self) -> None:
        """A UNIX socket is shared as well, with the mode that it was given, until the end."""
        path = self.new_folder() / "bridge.sock"
        gateway = self.begin(also=[f"unix:{path}:mode=660"])
        for number in range(6):
            local = socket.socket(socket.AF_UNIX)
            local.connect(str(path))
            with Browser("ws://localhost/ws", local, proxy=None) as browser:
                browser.send(f"{number}")
                self.assertEqual(receive(browser, 1), [f"{number}"])
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o660)
        os.kill(self.workers(gateway)[0], signal.SIGTERM)
        eventually(lambda: "has ended in order" in gateway.log, "one of them ends")
        self.wait_until_ready()
        self.assertTrue(path.exists())
        gateway.stop()
        self.assertFalse(path.exists())

    def test_a_token_for_a_single_use(self) -> None:
        """A token is good for one connection, whichever worker it comes to."""
        keys = self.new_folder()
        (keys / "k1").write_text("the first secret, of a length that is enough")
        gateway = self.begin(f"--token-keys={keys}")
        settings = TokenSettings(key_file=str(keys))
        key = signing_key(load_keys(keys, ["HS256"]), None, None)
        for _ in range(3):
            token = mint("default", settings, key, time.time(), 60.0)
            statuses = []
            for _ in range(10):
                with gateway.dial_tls() as connection:
                    connection.sendall(upgrade(f"/ws?token={token}"))
                    statuses.append(read_answer(connection).status)
            self.assertEqual(sorted(statuses), [101] + [401] * 9)
        eventually(
            lambda: self.metric("orion_refused_total", '{reason="token_replayed"}') == 27,
            "all refusals are in the sum",
        )


class PerformanceTests(WorkersTestCase):
    """The rung of the supervisor is that of its workers."""

    def test_the_reactor(self) -> None:
        """Each worker runs on the lean reactor and says so; with ``stock`` none does."""
        for performance, reactor in RUNGS.items():
            gateway = self.begin(f"--performance={performance}")
            self.echo(self.browsers(gateway, 4))
            said = re.findall(r"worker (\d): performance (\w+), on (\w+): (.*)", gateway.log)
            self.assertEqual(
                {each[:3] for each in said},
                {(number, performance, reactor) for number in "12"},
            )
            for *_, steps in said:
                is_ours = performance != "stock"
                self.assertEqual("light sockets, rare collections" in steps, is_ours, steps)
                self.assertEqual("no steps of our own" in steps, not is_ours, steps)
            self.assertNotIn("not in use", gateway.log)
            gateway.stop()


class LossTests(WorkersTestCase):
    def test_one_is_killed(self) -> None:
        """Browsers of the other worker go on, nobody who comes is refused, and it comes back."""
        gateway = self.begin()
        browsers = self.browsers(gateway, 24)
        eventually(
            lambda: self.metric("orion_messages_from_browsers_total") == 24, "all is reported"
        )
        victim, survivor = self.workers(gateway)
        os.kill(victim, signal.SIGKILL)
        served, cut = self.split(browsers)
        self.assertTrue(served)
        self.assertTrue(cut)
        newcomers = self.browsers(gateway, 12)  # some of them wait for the next worker
        self.wait_until_ready()
        self.assertIn(survivor, self.workers(gateway))
        self.assertNotIn(victim, self.workers(gateway))
        self.assertEqual(len(self.workers(gateway)), 2)
        self.echo(served + newcomers)
        self.assertEqual(self.metric("orion_workers_lost_total", '{reason="crashed"}'), 1)
        total = 24 + len(served) * 2 + 12 * 2
        eventually(
            lambda: self.metric("orion_messages_from_browsers_total") == total,
            "what the lost one has counted stays in the sum",
        )
        self.assertIn(f"process {victim}, has ended by signal 9", gateway.log)

    def test_one_is_told_to_end(self) -> None:
        """SIGTERM to a worker drains that one, and another one takes its place."""
        gateway = self.begin()
        browsers = self.browsers(gateway, 16)
        victim, _ = self.workers(gateway)
        os.kill(victim, signal.SIGTERM)
        eventually(lambda: not exists(victim), "it ends")
        served, cut = self.split(browsers)
        self.assertEqual({ending(each).code for each in cut}, {1001})
        self.wait_until_ready()
        self.echo(served + self.browsers(gateway, 4))
        self.assertEqual(self.metric("orion_workers_lost_total", '{reason="ended"}'), 1)

    def test_one_hangs(self) -> None:
        """A worker that hangs is reported, keeps no page waiting, and is waited for at the end
        for no longer than any other."""
        gateway = self.begin("--limit=drain=1s")
        victim, other = self.workers(gateway)
        os.kill(victim, signal.SIGSTOP)
        try:
            eventually(lambda: self.metric("orion_workers", '{state="silent"}') == 1, "it shows")
            self.assertEqual(self.page("/healthz"), (200, "ok\n"))
            self.assertEqual(self.page("/readyz"), (503, "workers missing\n"))
            self.assertIn("<td>silent</td>", self.page("/")[1])
            os.kill(victim, signal.SIGCONT)
            self.wait_until_ready()
            os.kill(victim, signal.SIGSTOP)
            self.assertEqual(gateway.stop(), ENDED_IN_ORDER)
            self.assertFalse(exists(victim) or exists(other))
        finally:
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGCONT)

    def test_the_supervisor_is_killed(self) -> None:
        """Workers do not outlive it: browsers are told, the port is free, the processes gone."""
        gateway = self.begin_alone()
        browsers = self.browsers(gateway, 6)
        workers = self.workers(gateway)
        gateway.kill()
        self.assertEqual({ending(each).code for each in browsers}, {1001})
        eventually(lambda: not any(map(exists, workers)), "they end", within=ORPHANS_END)
        self.assertRaises(ConnectionRefusedError, gateway.dial)


class SignalTests(WorkersTestCase):
    def test_sigterm_drains(self) -> None:
        """On SIGTERM every browser of every worker hears 1001, and the supervisor ends last."""
        gateway = self.begin()
        browsers = self.browsers(gateway, 12)
        workers = self.workers(gateway)
        gateway.terminate()
        self.assertEqual(
            [ending(browser) for browser in browsers], [Ending(1001, "draining", [])] * 12
        )
        self.assertEqual(gateway.wait(), ENDED_IN_ORDER)
        self.assertFalse(any(map(exists, workers)))
        self.assertRaises(ConnectionRefusedError, gateway.dial)
        self.assertEqual(gateway.log.count("has ended in order"), 2)

    def test_sigint_to_all(self) -> None:
        """Ctrl-C at a terminal reaches every process, and is one drain."""
        gateway = self.begin_alone()
        browsers = self.browsers(gateway, 6)
        for pid in (*self.workers(gateway), gateway.pid):
            os.kill(pid, signal.SIGINT)
        self.assertEqual({ending(browser).code for browser in browsers}, {1001})
        self.assertEqual(gateway.wait(), -signal.SIGINT)
        self.assertNotRegex(gateway.log, r"Traceback|Unhandled|#critical")

    def test_drain_has_an_end(self) -> None:
        """A browser that stays holds the end up for ``drain``, and no longer."""
        gateway = self.begin("--limit=drain=1s")
        with gateway.dial_tls() as deaf:
            deaf.sendall(upgrade())
            self.assertEqual(deaf.recv(12), b"HTTP/1.1 101")
            gateway.terminate()
            self.assertEqual(self.page("/readyz"), (503, "draining\n"))
            self.assertEqual(gateway.wait(), ENDED_IN_ORDER)

    def test_certificates(self) -> None:
        """A renewed certificate is in service in all, on SIGHUP and because each one looks."""
        gateway = self.begin()
        key: Any = load_pem_private_key((self.certificates / "ca.key").read_bytes(), None)
        ca = Issued(x509.load_pem_x509_certificate(self.ca_file.read_bytes()), key)
        for hang_up in (True, False):
            renewed = issue(["localhost"], ca)
            fresh = self.certificates / "fresh"
            fresh.write_bytes(renewed.pem)
            fresh.rename(self.certificates / "localhost.pem")
            if hang_up:
                os.kill(gateway.pid, signal.SIGHUP)
            self.wait_for_serial(gateway, renewed.certificate.serial_number)
        self.assertEqual(gateway.log.count("reading certificates, token keys"), 2)

    def wait_for_serial(self, gateway: Gateway, number: int) -> None:
        eventually(lambda: self.serials(gateway) == {number}, "all have the new one")

    def serials(self, gateway: Gateway) -> set[int]:
        """Return the serial numbers that ten handshakes show."""
        found = set()
        for _ in range(10):
            with gateway.dial_tls() as connection:
                assert isinstance(connection, ssl.SSLSocket)
                der = connection.getpeercert(binary_form=True)
                found.add(x509.load_der_x509_certificate(der or b"").serial_number)
        return found


class PortTests(WorkersTestCase):
    def refused(self, *flags: str) -> str:
        """Return what a gateway says that cannot start: nothing of it may run."""
        status, said = self.run_to_its_end(
            [
                *(*twistd(), "-n", "--pidfile=", "orion-bridge", "--workers=2"),
                *("--backend=tcp:127.0.0.1:7000", *flags),
            ]
        )
        self.assertEqual(status, 1, said)
        self.assertNotIn("service.worker", said)
        return said

    def test_taken(self) -> None:
        """A port that somebody has, and be it another such gateway, is named with its setting."""
        gateway = self.begin()
        other = free_port()
        said = self.refused(
            f"--listen=tcp:{other}:interface=127.0.0.1",
            f"--listen=tcp:{gateway.port}:interface=127.0.0.1",
            f"--admin=tcp:{self.admin}:interface=127.0.0.1",
        )
        for path, port in (("listen[1]", gateway.port), ("admin", self.admin)):
            line = f"{path}: cannot listen on 127.0.0.1:{port}: Address already in use"
            self.assertIn(line, said)
        self.echo(self.browsers(gateway, 4))

    def test_sessions(self) -> None:
        """What workers cannot do yet is refused before anything starts."""
        said = self.refused("--listen=tcp:0:interface=127.0.0.1", "--mode=session")
        self.assertRegex(said, r"workers: 2 do not go with tenant \"default\" in mode \"session\"")

    def test_below_1024(self) -> None:
        """Ports that only root may have are had, also by a worker that follows; and workers run
        as the user that they should."""
        if os.geteuid() != 0:
            self.skipTest("only root has such ports")
        folder = self.new_folder()
        folder.chmod(0o777)
        folder.parent.chmod(0o755)
        user = NOBODY if _may_run_python(NOBODY) else 0
        port = _free_port_of_root()
        gateway = Process(
            [
                *(*twistd(), "-n", "--pidfile=", f"--logfile={folder / 'twistd.log'}"),
                *(*([f"--uid={user}", f"--gid={user}"] if user else []), "orion-bridge"),
                *self.flags(),
                f"--listen=tcp:{port}:interface=127.0.0.1",
                f"--backend={self.backend.endpoint}",
            ],
            folder,
        )
        self.addCleanup(gateway.kill)
        self.wait_until_ready()
        os.kill(self.workers(gateway)[0], signal.SIGKILL)
        eventually(lambda: "by signal 9" in gateway.log, "it is gone")
        self.wait_until_ready()
        for pid in self.workers(gateway):
            status = Path(f"/proc/{pid}/status").read_text()
            self.assertIn(f"Uid:\t{user}\t{user}\t{user}\t{user}\n", status)
        for _ in range(6):
            raw = socket.create_connection(("127.0.0.1", port), PATIENCE)
            with Browser(f"ws://localhost:{port}/ws", raw, proxy=None) as browser:
                browser.send("hello")
                self.assertEqual(receive(browser, 1), ["hello"])
        self.assertEqual(gateway.stop(), ENDED_IN_ORDER)
        self.assertNotIn("Traceback", gateway.log)


def _may_run_python(user: int) -> bool:
    """Say whether a user may run the interpreter, which may be in somebody's home."""
    try:
        subprocess.run([sys.executable, "-c", ""], user=user, timeout=PATIENCE, check=True)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def _free_port_of_root() -> int:
    for port in random.sample(range(600, 1024), 50):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no free port below 1024")
