"""The generator against real sockets, with servers that keep to the contract and that do not."""

import ssl
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread
from unittest import TestCase

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from bench.client import Door, client_context
from bench.frames import Lost, WebSocketFraming, WrongReply
from bench.load import Load
from bench.talks import Cycle, EchoTalk, Talk
from tests.harness import make_certificates

PATIENCE = 20.0


class CountingClock:
    """Notes when the window was opened and closed."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def begin(self) -> None:
        self.events.append("begin")

    def end(self) -> None:
        self.events.append("end")


def echo(connection: ServerConnection) -> None:
    for message in connection:
        connection.send(message)


class LoadTests(TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory(prefix="bench-")))
        cls.ca_file = make_certificates(folder, "localhost")
        cls.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        cls.context.load_cert_chain(folder / "localhost.pem")

    def door(self, handler: Callable[[ServerConnection], None] = echo) -> Door:
        """Return the door of a server that does this with each connection."""

        def handle(connection: ServerConnection) -> None:
            with suppress(ConnectionClosed, OSError):  # its client has gone
                handler(connection)

        server = serve(
            handle, "127.0.0.1", 0, ssl=self.context, compression=None, ping_interval=None
        )
        self.addCleanup(server.shutdown)
        Thread(target=server.serve_forever, daemon=True).start()
        port = server.socket.getsockname()[1]
        return Door(port, client_context(self.ca_file), WebSocketFraming())

    def load(
        self, door: Door, in_flight: int = 1, size: int = 64, patience: float = PATIENCE
    ) -> Load:
        cycle = Cycle(door.framing, size, in_flight)

        def talk(number: int) -> Talk:
            return EchoTalk(cycle, number * 37)

        load = Load(door, talk, in_flight, patience)
        self.addCleanup(load.close)
        return load

    def test_messages(self) -> None:
        """Replies are counted within the window, and none is under way when it is over."""
        for connections, in_flight, size in ((3, 1, 64), (2, 16, 64), (2, 2, 300_000)):
            with self.subTest(connections=connections, in_flight=in_flight, size=size):
                load = self.load(self.door(), in_flight, size)
                clock = CountingClock()
                load.open(connections)
                outcome = load.run(0.05, 0.2, clock)
                self.assertEqual(clock.events, ["begin", "end"])
                self.assertGreater(outcome.count, 0)
                self.assertGreaterEqual(load.total, outcome.count)
                self.assertEqual(load.under_way, 0)
                self.assertEqual(outcome.tls[0], "TLSv1.3")

    def test_storm(self) -> None:
        """Connections come and go; each had its echo, and a server sees each one closed."""
        closed = []

        def counting_echo(connection: ServerConnection) -> None:
            echo(connection)
            closed.append(connection.close_code)

        load = self.load(self.door(counting_echo))
        outcome = load.storm(3, 0.05, 0.3, CountingClock())
        self.assertGreater(outcome.count, 0)
        self.assertEqual({*closed}, {1000})
        self.assertGreaterEqual(len(closed), outcome.count)

    def test_echo_once(self) -> None:
        """Each connection says one thing, and stays open."""
        seen = []

        def noting(connection: ServerConnection) -> None:
            for message in connection:
                seen.append(message)
                connection.send(message)

        load = self.load(self.door(noting))
        load.open(40)
        self.assertEqual(load.echo_once()[0], "TLSv1.3")
        self.assertEqual(len({*seen}), 40)

    def test_older_tls(self) -> None:
        """A gateway without TLS 1.3 is spoken to in TLS 1.2, with the same cipher."""
        door = self.door()
        context = client_context(self.ca_file, newest=False)
        load = self.load(Door(door.port, context, door.framing))
        load.open(1)
        self.assertEqual(load.echo_once(), ("TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384"))

    def test_wrong_reply(self) -> None:
        """One wrong reply among many, and the run does not count."""

        def lying(connection: ServerConnection) -> None:
            for index, message in enumerate(connection):
                assert isinstance(message, bytes)
                connection.send(message if index != 20 else message[::-1])

        load = self.load(self.door(lying))
        load.open(1)
        with self.assertRaises(WrongReply):
            load.run(0.0, PATIENCE, CountingClock())

    def test_too_many_replies(self) -> None:
        """The next reply before its message has been sent is wrong as well."""
        cycle = Cycle(WebSocketFraming(), 64)

        def eager(connection: ServerConnection) -> None:
            for message in connection:
                connection.send(message)
                connection.send(cycle.payloads[1])

        load = self.load(self.door(eager))
        load.open(1)
        with self.assertRaises(WrongReply):
            load.run(0.0, PATIENCE, CountingClock())

    def test_lost(self) -> None:
        """A connection that the server closes, in order or not, and the run does not count."""

        def closing(connection: ServerConnection) -> None:
            connection.send(connection.recv())
            connection.close(1001)

        def dropping(connection: ServerConnection) -> None:
            connection.recv()
            connection.socket.close()

        for handler, reason in ((closing, "closed with 1001"), (dropping, "lost")):
            load = self.load(self.door(handler))
            load.open(1)
            with self.assertRaisesRegex(Lost, reason):
                load.run(0.0, PATIENCE, CountingClock())

    def test_silence(self) -> None:
        """A server that says nothing is not waited for without end."""

        def silent(connection: ServerConnection) -> None:
            for _ in connection:
                pass

        load = self.load(self.door(silent), patience=0.2)
        load.open(1)
        with self.assertRaisesRegex(Lost, "nothing came back"):
            load.run(0.0, PATIENCE, CountingClock())

    def test_nobody_there(self) -> None:
        door = self.door()
        nowhere = Door(1, door.context, door.framing)
        with self.assertRaisesRegex(Lost, "no connection"):
            self.load(nowhere).open(1)

    def test_strangers_certificate(self) -> None:
        """The gateway's certificate is verified, as a browser would."""
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        door = self.door()
        stranger = client_context(make_certificates(folder, "localhost"))
        with self.assertRaisesRegex(Lost, "no TLS"):
            self.load(Door(door.port, stranger, door.framing)).open(1)
