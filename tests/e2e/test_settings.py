"""Settings by file and by flags, mistakes in them, several listeners, start and end."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from pathlib import Path
from urllib.request import urlopen

from tests.browser import Browser
from tests.e2e.answers import head, read_answer, upgrade
from tests.e2e.backends import Backend, NeverReads, echo, silent, silent_stream
from tests.e2e.browsers import Ending, ending, receive
from tests.harness import (
    ENDED_IN_ORDER,
    KIB,
    MIB,
    PATIENCE,
    Gateway,
    GatewayTestCase,
    eventually,
    free_port,
    orion_bridge,
    twistd,
)

MISTAKES = """
listn = ["tls:8889"]
listen = ["tls:99999", "tsl:8889"]
fallback = "a b"

[limits]
message = "1 MoB"
conections = 5

[tenant.shop1]
hosts = "shop1.example"
backend = ["tcp:127.0.0.1"]
mode = "relai"
framing = "int23"
link_grace = "-1 s"

[tenant.shop2]
hosts = ["https://shop2.example/"]
path = "ws"
"""

COMPLAINTS = {
    "listn": 'did you mean "listen"?',
    "listen[0]": "99999",
    "listen[1]": 'did you mean "tls"?',
    "fallback": "a b",
    "limits.message": "MiB",
    "limits.conections": 'did you mean "connections"?',
    "tenant.shop1.hosts": 'write ["shop1.example"]',
    "tenant.shop1.backend[0]": "tcp:HOST:PORT",
    "tenant.shop1.mode": 'did you mean "relay"?',
    "tenant.shop1.framing": 'did you mean "int32"?',
    "tenant.shop1.link_grace": "20 s",
    "tenant.shop2.hosts[0]": "only the name",
    "tenant.shop2.path": 'did you mean "/ws"?',
    "tenant.shop2.backend": "is missing",
}
"""What an operator has to be told about MISTAKES: each setting's path, and part of the hint."""


class MistakeTests(GatewayTestCase):
    def run_in_folder(self, command: Sequence[str]) -> tuple[int, list[str]]:
        """Return a command's exit status and the lines it printed."""
        status, said = self.run_to_its_end(command)
        return status, said.splitlines()

    def start_in_folder(self, *flags: str) -> tuple[int, list[str]]:
        return self.run_in_folder([*twistd(), "-n", "--pidfile=", "orion-bridge", *flags])

    def assert_complains(self, lines: Sequence[str], complaints: dict[str, str]) -> None:
        said = dict(line.split(": ", 1) for line in lines if ": " in line)
        for path, hint in complaints.items():
            self.assertIn(hint, said.get(path, f"nothing about {path}"))

    def test_check_prints_every_mistake(self) -> None:
        """All mistakes are printed at once, each with its path and a hint; the status is 1."""
        path = self.settings_file(MISTAKES)
        status, lines = self.run_in_folder(orion_bridge("check", str(path)))
        self.assertEqual(status, 1)
        self.assert_complains(lines, COMPLAINTS)
        self.assertEqual(lines[-1], f"{len(COMPLAINTS)} mistakes.")

    def test_a_failing_start_prints_the_same(self) -> None:
        """twistd prints what check prints, and exits with 1."""
        path = self.settings_file(MISTAKES)
        _, checked = self.run_in_folder(orion_bridge("check", str(path)))
        status, lines = self.start_in_folder(f"--config={path}")
        self.assertEqual(status, 1)
        self.assertEqual(lines[1:], checked[:-1])

    def test_flags_are_checked_as_the_file_is(self) -> None:
        """A mistake in a flag is told by the path of its setting."""
        status, lines = self.start_in_folder(
            "--backend=tcp:127.0.0.1:70000", "--framing=int23", "--limit=mesage=1MiB"
        )
        self.assertEqual(status, 1)
        complaints = {
            "tenant.default.backend[0]": "70000",
            "tenant.default.framing": 'did you mean "int32"?',
            "limits.mesage": 'did you mean "message"?',
        }
        self.assert_complains(lines, complaints)

    def test_what_the_machine_lacks(self) -> None:
        """Folders that are missing are mistakes like others, for check and for twistd."""
        path = self.settings_file(
            'certificates = "nowhere"\n'
            '[tenant.shop1]\nhosts = ["*"]\nbackend = "tcp:127.0.0.1:7000"\nsite = "nowhere"\n'
        )
        complaints = {"certificates": "certs dev", "tenant.shop1.site": "nowhere"}
        for command in (
            orion_bridge("check", str(path)),
            [*twistd(), "-n", "--pidfile=", "orion-bridge", f"--config={path}"],
        ):
            status, lines = self.run_in_folder(command)
            self.assertEqual(status, 1)
            self.assert_complains(lines, complaints)

    def test_a_fallback_without_certificate(self) -> None:
        """A fallback that no certificate is for is a mistake, and the names there are are told."""
        status, lines = self.start_in_folder(
            "--backend=tcp:127.0.0.1:7000",
            f"--certificates={self.certificates}",
            "--fallback=shop1.example",
        )
        self.assertEqual(status, 1)
        self.assert_complains(lines, {"fallback": "localhost"})

    def test_a_good_file(self) -> None:
        """check says what the settings come to, and exits with 0."""
        path = self.settings_file(
            f'certificates = "{self.certificates}"\nfallback = "localhost"\n'
            '[tenant.shop1]\nhosts = ["shop1.example"]\nbackend = "tcp:127.0.0.1:7000"\n'
        )
        status, lines = self.run_in_folder(orion_bridge("check", str(path)))
        self.assertEqual(status, 0, lines)
        self.assertIn("shop1.example", "".join(lines))

    def test_a_port_that_is_taken(self) -> None:
        """A gateway that cannot listen does not run: it says where, and its status is not 0."""
        with Backend(echo) as other:
            status, lines = self.start_in_folder(
                f"--listen=tcp:{other.port}:interface=127.0.0.1",
                "--backend=tcp:127.0.0.1:7000",
            )
        self.assertNotEqual(status, 0)
        self.assertIn(f"127.0.0.1:{other.port}", "".join(lines))


class SamenessTests(GatewayTestCase):
    """A file and flags that say the same."""

    FILE = """
        listen = ["tls:{port}:interface=127.0.0.1"]
        [limits]
        message = "10 KiB"
        header = "4 KiB"
        [tenant.default]
        hosts = ["*"]
        path = "/orion"
        backend = ["{backend}"]
        mode = "relay"
        framing = "netstring"
        message_type = "tagged"
        subprotocols = ["orion.v1", "chat"]
        compression = true
        """

    FLAGS = (
        "--limit=message=10 KiB",
        "--limit=header=4 KiB",
        "--path=/orion",
        "--mode=relay",
        "--framing=netstring",
        "--message-type=tagged",
        "--subprotocol=orion.v1",
        "--subprotocol=chat",
        "--compression",
    )

    def test_both_behave_the_same(self) -> None:
        """The same settings make the same gateway, from a file, from flags, or from both."""
        with Backend(echo, framing="netstring") as backend:
            text = self.FILE.format(port=free_port(), backend=backend.endpoint)
            wrong = text.replace("10 KiB", "99 KiB").replace("/orion", "/other")
            by_file = self.start(f"--config={self.settings_file(text)}")
            by_flags = self.start(f"--backend={backend.endpoint}", *self.FLAGS)
            by_both = self.start(
                f"--config={self.settings_file(wrong)}",
                "--limit=message=10 KiB",
                "--path=/orion",
            )
            expected = self.behaviour(by_flags)
            self.assertEqual(self.behaviour(by_file), expected)
            self.assertEqual(self.behaviour(by_both), expected)
        self.assertEqual(
            expected,
            {
                "echo": ["text", b"binary", "x" * 10_240],
                "subprotocol": "chat",
                "extensions": ["permessage-deflate"],
                "too large": 1009,
                "other path": 404,
                "large header": 431,
            },
        )

    @staticmethod
    def behaviour(gateway: Gateway) -> dict[str, object]:
        """Return all that a browser can see of the settings."""
        seen: dict[str, object] = {}
        offer = ["mqtt", "chat", "orion.v1"]
        with gateway.browser("/orion", subprotocols=offer, compression="deflate") as browser:
            for message in ("text", b"binary", "x" * 10_240):
                browser.send(message)
            seen["echo"] = receive(browser, 3)
            seen["subprotocol"] = browser.subprotocol
            seen["extensions"] = browser.extensions
            browser.send("x" * 10_241)
            seen["too large"] = ending(browser).code
        for what, request in (
            ("other path", head("GET /other HTTP/1.1")),
            ("large header", upgrade("/orion", f"Cookie: {'c' * 5000}")),
        ):
            with gateway.dial_tls() as connection:
                connection.sendall(request)
                seen[what] = read_answer(connection).status
        return seen


class ListenerTests(GatewayTestCase):
    def test_several_at_once(self) -> None:
        """One process listens with TLS, without, and on a UNIX socket, all at the same time."""
        plain_port = free_port()
        path = self.new_folder() / "bridge.sock"
        with Backend(echo) as backend:
            gateway = self.start(
                f"--backend={backend.endpoint}",
                also=[f"tcp:{plain_port}:interface=127.0.0.1", f"unix:{path}"],
            )
            gateway.wait_for_port(plain_port)
            gateway.wait_for_socket(path)
            plain = socket.create_connection(("127.0.0.1", plain_port), PATIENCE)
            local = socket.socket(socket.AF_UNIX)
            local.connect(str(path))
            with (
                gateway.browser() as by_tls,
                Browser("ws://localhost/ws", plain, proxy=None) as by_tcp,
                Browser("ws://localhost/ws", local, proxy=None) as by_unix,
            ):
                for number, browser in enumerate((by_tls, by_tcp, by_unix)):
                    browser.send(f"by {number}")
                for number, browser in enumerate((by_tls, by_tcp, by_unix)):
                    self.assertEqual(receive(browser, 1), [f"by {number}"])
        gateway.stop()
        self.assertFalse(Path(path).exists(), "the socket's file is left behind")


def metrics(port: int) -> str:
    """Return what the admin listener says for Prometheus."""
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE) as answer:
        return str(answer.read(), "utf-8")


class DrainTests(GatewayTestCase):
    def test_sigterm_waits_for_what_was_accepted(self) -> None:
        """A message that a slow backend has not taken yet is still delivered before the end."""
        unwilling, admin = NeverReads(then=silent), free_port()
        with Backend(unwilling, receive_buffer=64 * KIB) as backend:
            gateway = self.start(
                f"--backend={backend.endpoint}",
                "--message-type=binary",
                "--limit=message=16MiB",
                "--limit=drain=20s",
                f"--admin=tcp:{admin}:interface=127.0.0.1",
            )
            message = b"m" * 12 * MIB
            with gateway.browser() as browser:
                browser.send(message)
                # The link is full, so the browser is not read, and could not ask for a pong.
                eventually(
                    lambda: "orion_messages_from_browsers_total 1.0" in metrics(admin),
                    "the message is accepted",
                )
                gateway.terminate()
                self.assertEqual(ending(browser).code, 1001)
            unwilling.let_go()
            self.assertEqual(backend.wait_for_frames(1), [message])

    def test_sigterm_drains(self) -> None:
        """On SIGTERM every browser hears 1001, its backend the end, and the process ends."""
        with Backend(echo) as backend:
            gateway = self.start(f"--backend={backend.endpoint}")
            browsers = [gateway.browser() for _ in range(5)]
            for browser in browsers:
                browser.send("hello")
                self.assertEqual(receive(browser, 1), ["hello"])
            gateway.terminate()
            self.assertEqual(
                [ending(browser) for browser in browsers], [Ending(1001, "draining", [])] * 5
            )
            self.assertEqual(gateway.wait(), ENDED_IN_ORDER)
            eventually(lambda: all(peer.ended for peer in backend.peers), "FIN at the backend")
            with self.assertRaises(ConnectionRefusedError):
                gateway.dial()

    def test_what_was_accepted_is_delivered(self) -> None:
        """What the gateway took from a browser reaches the backend, although it reads slowly."""
        messages = [b"%d:" % number + b"x" * 10_000 for number in range(90)]
        slow = NeverReads(then=silent)
        with Backend(slow, receive_buffer=4096) as backend:
            gateway = self.start(f"--backend={backend.endpoint}", "--message-type=binary")
            with gateway.browser() as browser:
                for message in messages:
                    browser.send(message)
                browser.ping()
                gateway.terminate()
                self.assertEqual(ending(browser).code, 1001)
            slow.let_go()
            self.assertEqual(backend.wait_for_frames(90), messages)
            self.assertEqual(gateway.wait(), ENDED_IN_ORDER)

    def test_a_browser_that_stays_is_cut_off(self) -> None:
        """A browser that does not answer the close frame holds the end up for `drain` at most."""
        with Backend(echo) as backend:
            gateway = self.start(f"--backend={backend.endpoint}", "--limit=drain=1s")
            with gateway.dial_tls() as deaf:
                deaf.sendall(upgrade())
                self.assertEqual(deaf.recv(12), b"HTTP/1.1 101")
                gateway.terminate()
                self.assertEqual(gateway.wait(), ENDED_IN_ORDER)

    def test_a_browser_on_its_way_in(self) -> None:
        """A browser whose backend is still being dialled is told 503, not left hanging."""
        with Backend(silent_stream) as backend:
            # It takes connections and never answers the TLS handshake: the dial lasts.
            gateway = self.start(f"--backend=tls:localhost:{backend.port}")
            with gateway.dial_tls() as connection:
                connection.sendall(upgrade())
                backend.wait_for_peers(1)
                gateway.terminate()
                answer = read_answer(connection)
                self.assertEqual((answer.status, answer.headers["retry-after"]), (503, "5"))
            self.assertEqual(gateway.wait(), ENDED_IN_ORDER)
