"""Links over TLS and UNIX sockets: who is trusted, and that they carry what TCP carries."""

from __future__ import annotations

import shutil
import ssl
from pathlib import Path
from typing import ClassVar

from websockets.exceptions import InvalidStatus

from tests.e2e.backends import Backend, Peer, echo
from tests.e2e.browsers import receive
from tests.harness import MIB, GatewayTestCase


class TlsBackendTests(GatewayTestCase):
    names = ("localhost", "other.example")
    trust_roots: ClassVar[Path]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.trust_roots = cls.new_folder()
        shutil.copy(cls.ca_file, cls.trust_roots)

    def context(self, name: str) -> ssl.SSLContext:
        """Return the context of a backend that is who a name says."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificates / f"{name}.pem")
        return context

    def assert_not_trusted(self, backend: Backend, endpoint: str) -> None:
        """A browser gets 503, and the backend hears nothing of what a browser might say."""
        gateway = self.start(f"--backend={endpoint}", "--dial-timeout=1s")
        with self.assertRaises(InvalidStatus) as caught:
            gateway.browser()
        self.assertEqual(caught.exception.response.status_code, 503)
        self.assertGreater(len(backend.peers), 0)
        self.assertEqual(backend.frames, [])

    def test_a_backend_that_is_trusted(self) -> None:
        """Messages of all sizes go through a verified TLS link, also after it has broken."""

        def dies_once(peer: Peer) -> None:
            if peer.number == 1:
                peer.read_frame()
            else:
                echo(peer)

        with Backend(dies_once, tls=self.context("localhost")) as backend:
            gateway = self.start(
                f"--backend=tls:localhost:{backend.port}:trustRoots={self.trust_roots}"
            )
            with gateway.browser() as browser:
                browser.send("the last thing it hears")
                backend.wait_for_peers(2)
                for size in (0, 1, 100_000, MIB):
                    browser.send("x" * size)
                    self.assertTrue(receive(browser, 1) == ["x" * size], size)

    def test_a_backend_of_a_stranger(self) -> None:
        """A certificate that nobody vouches for is refused."""
        with Backend(echo, tls=self.context("localhost")) as backend:
            self.assert_not_trusted(backend, f"tls:localhost:{backend.port}")

    def test_a_backend_of_another_name(self) -> None:
        """A certificate for another name is refused, whoever vouches for it."""
        with Backend(echo, tls=self.context("other.example")) as backend:
            self.assert_not_trusted(
                backend, f"tls:localhost:{backend.port}:trustRoots={self.trust_roots}"
            )


class UnixBackendTests(GatewayTestCase):
    def test_a_unix_socket(self) -> None:
        """A backend on a UNIX socket is one like any other."""
        with Backend(echo, path=self.new_folder() / "orion.sock") as backend:
            gateway = self.start(f"--backend={backend.endpoint}")
            with gateway.browser() as browser:
                for size in (0, 1, 100_000, MIB):
                    browser.send("x" * size)
                    self.assertTrue(receive(browser, 1) == ["x" * size], size)
