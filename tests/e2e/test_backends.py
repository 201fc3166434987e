"""Links over TLS and UNIX sockets: who is trusted, and that they carry what TCP carries."""

from __future__ import annotations

import shutil
import ssl
from pathlib import Path
from typing import ClassVar

from websockets.exceptions import InvalidStatus

from tests.e2e.backends import Backend, Peer, echo
from tests.e2e.browsers import receive
from tests.harness import MIB, Gateway, GatewayTestCase, eventually


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


class SeveralBackendsTests(GatewayTestCase):
    """A tenant with two backends: the least busy one first, and one that fails is passed over."""

    def setUp(self) -> None:
        super().setUp()
        self.backends = [self.enterContext(Backend(echo)) for _ in range(2)]

    def start_with(self, *flags: str) -> Gateway:
        return self.start(*(f"--backend={each.endpoint}" for each in self.backends), *flags)

    def peers(self) -> list[int]:
        return [len(each.peers) for each in self.backends]

    def test_browsers_spread(self) -> None:
        """Browsers are spread over both; those of one that is gone go on with the other, and it
        gets the next ones when it is back."""
        first = self.backends[0]
        gateway = self.start_with()
        browsers = [self.enterContext(gateway.browser()) for _ in range(6)]
        self.assertEqual(self.peers(), [3, 3])
        browsers.pop(1).close()
        browsers.append(self.enterContext(gateway.browser()))
        self.assertEqual(self.peers(), [3, 4])
        first.stop()
        for browser in browsers:
            browser.send("still here?")
            self.assertEqual(browser.recv(), "still here?")
        self.assertEqual(self.peers(), [3, 7])
        late = self.enterContext(gateway.browser())
        late.send("who is it?")
        self.assertEqual((late.recv(), self.peers()), ("who is it?", [3, 8]))
        first.start()

        def gets_one() -> bool:
            gateway.browser().close()
            return len(first.peers) > 3

        eventually(gets_one, "a browser at the backend that has rested")

    def test_shared_links_spread(self) -> None:
        """So are the links that sessions share."""
        self.start_with("--mode=session", "--links=4")
        eventually(lambda: self.peers() == [2, 2], "two links to each backend")
