"""The client and its sockets: dialled, lost, shown a token, stopped."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed

from orion_twisted.client.failures import (
    Closed,
    OutcomeUnknown,
)
from orion_twisted.client.limits import ClientLimits
from orion_twisted.client.orion import OrionClient
from orion_twisted.client.states import Closed as ClosedState
from orion_twisted.client.states import Connecting, Online, Waiting
from orion_twisted.core.errors import LocalError
from tests.client.model import split
from tests.client.peer import CLOSE, PING, TEXT, frame
from tests.client.programs import ClientTestCase
from tests.transports import pending
from tests.vectors import vector


class ConnectionTests(ClientTestCase):
    """How it gets connected, and stays so."""

    def test_waits_longer_and_longer(self) -> None:
        """Each failure doubles the ceiling of the wait; a listener hears of each."""
        self.door.refuses = True
        self.client(limits=ClientLimits(first_wait=1.0, most_wait=4.0))
        waits = []
        for _ in range(5):
            waiting = self.states[-1]
            assert isinstance(waiting, Waiting), waiting
            self.assertIn("refused", waiting.why)
            waits.append(waiting.seconds)
            self.clock.advance(waiting.seconds)
        self.assertEqual(waits, [1.0, 2.0, 4.0, 4.0, 4.0])
        self.assertEqual(self.door.attempts, 6)

    def test_drained(self) -> None:
        """Told to come back within 20 s, it does so at a random moment of them."""
        client, peer = self.online()
        self.chance = 0.4
        peer.send(vector("drain").octets)
        answer = client.request("later")
        self.assertEqual(peer.frames(), [])
        peer.close(1001, "draining")
        waiting = client.state
        assert isinstance(waiting, Waiting)
        self.assertEqual((waiting.seconds, waiting.why), (8.0, "draining"))
        self.clock.advance(8.0)
        peer = self.let_in(sid="another")
        self.assertEqual([split(each)[1] for each in peer.messages()], [b"later"])
        self.assertNoResult(answer)

    def test_close_codes(self) -> None:
        """Some bring it back, others end it, with the gateway's code and words."""
        for code, comes_back in (
            (1001, True),
            (4011, True),
            (4013, True),
            (None, True),
            (4500, False),
            (4508, False),
            (4510, False),
            (1000, False),
            (1009, False),
        ):
            with self.subTest(code):
                self.setUp()
                client, peer = self.online()
                sent = client.request("x")
                peer.frames()
                peer.close(code, "WHY" if code else "")
                self.assertEqual(peer.closed_with(), code)
                if comes_back:
                    self.assertIsInstance(client.state, Waiting)
                    self.assertNoResult(sent)
                else:
                    self.assertEqual(client.state, ClosedState(code, "WHY"))
                    self.failure(sent, OutcomeUnknown)
                    self.failure(client.request("y"), Closed)
                    peer.hang_up()
                    self.clock.advance(100.0)
                    self.assertTrue(self.door.is_quiet)
                    self.assertEqual(pending(self.clock), [])

    def test_does_not_wait_for_the_old_connection(self) -> None:
        """The next socket comes as soon as the old one's close frame; that is cut in the end."""
        _, peer = self.online()
        peer.close(1001)
        self.clock.advance(0.5)
        self.let_in(recovered=True)
        self.assertFalse(peer.is_gone)
        self.clock.advance(4.5)
        self.assertTrue(peer.is_gone)
        self.assertIsInstance(self.states[-1], Online)

    def test_refused(self) -> None:
        """A status that may pass is tried again, with what the gateway asks for; others end it."""
        client = self.client()
        self.door.accept().refuse(503, "Retry-After: 5")
        self.assertEqual(client.state, Waiting(5.5, "the gateway refused, HTTP status 503"))
        self.clock.advance(5.5)
        self.door.accept().refuse(500)
        self.clock.advance(1.0)
        self.door.accept().refuse(403, "Retry-After: 5")
        self.assertEqual(client.state, ClosedState(None, "the gateway refused, HTTP status 403"))
        self.assertTrue(all(peer.is_gone for peer in self.door.peers))

    def test_answers_that_are_none(self) -> None:
        """What is no HTTP, endless, or wrong is not waited for."""
        for answer in (
            b"SSH-2.0-OpenSSH_9\r\n\r\n",
            b"HTTP/1.1 101 \xc3\xa9\r\n\r\n",
            b"HTTP/1.1 1\r\n\r\n",
            b"x" * 16_500,
        ):
            with self.subTest(answer[:20]):
                self.setUp()
                client = self.client()
                self.door.accept().wire.hears(answer)
                self.assertEqual(
                    client.state, Waiting(0.5, "the answer to the upgrade is no HTTP/1.1")
                )
                self.assertTrue(self.door.peers[0].is_gone)
        self.setUp()
        client = self.client()
        peer = self.door.accept()
        peer.request()
        peer.wire.hears(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n")
        assert isinstance(client.state, ClosedState)
        self.assertEqual(client.state.code, 1002)
        self.assertTrue(peer.is_gone)

    def test_another_subprotocol(self) -> None:
        """A gateway that does not speak the dialect there is of no use."""
        for agreed in (None, "orion.v2.1"):
            self.setUp()
            client = self.client()
            self.door.accept().upgrade(agreed)
            assert isinstance(client.state, ClosedState)
            self.assertEqual(client.state.code, 1002)

    def test_faults(self) -> None:
        """A gateway that breaks the contract is left, with all that had been sent to it."""
        client, peer = self.online()
        answer = client.request("x")
        peer.frames()
        peer.send(b'{"type":"push","s":7}\n')
        self.assertEqual(peer.closed_with(), 1002)
        self.assertEqual(client.state, ClosedState(1002, "message 7 after 0"))
        self.failure(answer, OutcomeUnknown)
        peer.hang_up()
        self.assertEqual(pending(self.clock), [])

    def test_too_large_a_message(self) -> None:
        """One above the limit is not read: it would come again with every socket."""
        limit = ClientLimits(message=100)
        client, peer = self.online(limits=limit)
        header = b'{"type":"push","s":1}\n'
        peer.send(header + b"x" * (100 + 8192 + 1 - len(header)))
        self.assertEqual(len(self.pushes), 1)
        peer.send(b'{"type":"push","s":2}\n' + b"x" * 8300)
        assert isinstance(client.state, ClosedState)
        self.assertEqual(client.state.code, 1009)
        self.assertEqual(peer.closed_with(), 1009)

    def test_bad_frames(self) -> None:
        """A gateway that breaks RFC 6455 is left as well."""
        for octets, code in (
            (frame(3, b""), 1002),
            (frame(TEXT, b"\xff"), 1007),
            (frame(PING, b"", fin=False), 1002),
        ):
            self.setUp()
            client, peer = self.online()
            peer.wire.hears(octets)
            assert isinstance(client.state, ClosedState)
            self.assertEqual((client.state.code, peer.closed_with()), (code, code))

    def test_what_comes_with_the_upgrade(self) -> None:
        """Messages that arrive in the same read as the answer are not lost."""
        client = self.client(dialect="orion.v1")
        self.door.accept().upgrade("orion.v1", frame(TEXT, b'{"event":"saved"}'))
        self.assertEqual([each.text for each in self.pushes], ['{"event":"saved"}'])
        self.assertEqual(client.state, Online())


class TokenTests(ClientTestCase):
    """How a client shows who it is."""

    def test_with_the_upgrade(self) -> None:
        """Among the subprotocols, behind the dialect; asked for anew for each connection."""
        tokens = iter(["first.token", "second.token"])
        self.client(token=lambda: next(tokens), origin="https://shop1.example")
        peer = self.door.accept()
        request = peer.upgrade("orion.v2")
        self.assertEqual(request["Sec-WebSocket-Protocol"], "orion.v2,orion.bearer.first.token")
        self.assertEqual(request["Origin"], "https://shop1.example")
        self.assertEqual(peer.messages(), [vector("hello").octets])
        peer.reset()
        self.clock.advance(0.5)
        request = self.door.accept().upgrade("orion.v2")
        self.assertIn("second.token", request["Sec-WebSocket-Protocol"])

    def test_in_hello(self) -> None:
        """Not in any head."""
        token = "eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl"
        self.client(token=token, token_in_hello=True)
        peer = self.door.accept()
        request = peer.upgrade("orion.v2")
        self.assertEqual(request["Sec-WebSocket-Protocol"], "orion.v2")
        self.assertEqual(peer.messages(), [vector("hello-token").octets])

    def test_awaitable(self) -> None:
        """A token may take its time to come."""

        async def from_coroutine() -> str:
            return "a.b.c"

        later: Deferred[str] = Deferred()
        sources: list[Callable[[], Awaitable[str]]] = [
            from_coroutine,
            lambda: succeed("a.b.c"),
            lambda: later,
        ]
        for source in sources:
            self.client(token=source)
        later.callback("a.b.c")
        for _ in sources:
            request = self.door.accept().request()
            self.assertIn("orion.bearer.a.b.c", request["Sec-WebSocket-Protocol"])

    def test_no_token(self) -> None:
        """A source that fails, or gives what is none, is asked again later; nothing is sent."""

        def broken() -> str:
            raise ZeroDivisionError("no key")

        sources: list[Any] = [
            broken,
            lambda: fail(ZeroDivisionError("no key")),
            lambda: "a\r\nX: y",
            lambda: "",
            lambda: None,
            lambda: b"a.b.c",
        ]
        for source in sources:
            client = self.client(token=source)
            self.assertIsInstance(client.state, Waiting)
        self.assertEqual(self.door.attempts, 0)

    def test_only_where_there_is_a_hello(self) -> None:
        """``orion.v1`` has none."""
        with self.assertRaises(ValueError):
            self.new_client(dialect="orion.v1", token="a", token_in_hello=True)


class StopTests(ClientTestCase):
    """The end, from whatever state."""

    def test_before_the_start(self) -> None:
        """What waits fails, and there is nothing to wait for."""
        client = self.new_client()
        answer = client.request("x")
        self.assertIsNone(self.successResultOf(client.stop()))
        self.failure(answer, Closed)
        self.assertRaises(LocalError, client.start)
        self.assertEqual(pending(self.clock), [])

    def test_started_once(self) -> None:
        """A client is started once."""
        client = self.client()
        self.assertRaises(LocalError, client.start)

    def test_in_every_state(self) -> None:
        """Waiting, dialling, asking for a token, upgrading, attaching: no timer stays behind."""

        def waiting() -> OrionClient:
            self.door.refuses = True
            return self.client()

        def dialling() -> OrionClient:
            self.door.keeps_waiting = True
            return self.client()

        def asking() -> OrionClient:
            return self.client(token=lambda: Deferred())

        def upgrading() -> OrionClient:
            return self.client()

        def attaching() -> OrionClient:
            client = self.client()
            self.door.accept().upgrade("orion.v2")
            return client

        def closing() -> OrionClient:
            client, peer = self.online()
            peer.close(4500)
            return client

        for state in (waiting, dialling, asking, upgrading, attaching, closing):
            with self.subTest(state.__name__):
                self.setUp()
                client = state()
                answer = client.request("x")
                stopped = client.stop()
                self.failure(answer, Closed)
                for peer in self.door.peers:
                    if not peer.is_gone:
                        peer.hang_up()
                self.clock.advance(0)
                self.assertIsNone(self.successResultOf(stopped))
                self.assertIsInstance(client.state, ClosedState)
                self.assertEqual(pending(self.clock), [])
                self.clock.advance(100.0)
                self.assertIsInstance(client.state, ClosedState)

    def test_a_gateway_that_does_not_let_go(self) -> None:
        """It is cut off in the end."""
        client, peer = self.online()
        stopped = client.stop()
        self.clock.advance(4.9)
        self.assertNoResult(stopped)
        self.clock.advance(0.1)
        self.clock.advance(0)
        self.assertIsNone(self.successResultOf(stopped))
        self.assertTrue(peer.is_gone)

    def test_twice(self) -> None:
        """Everybody who asks is told."""
        client, peer = self.online()
        first, given_up, last = client.stop(), client.stop(), client.stop()
        given_up.cancel()
        self.failureResultOf(given_up, CancelledError)
        peer.hang_up()
        for stopped in (first, last, client.stop()):
            self.assertIsNone(self.successResultOf(stopped))
        self.assertEqual(len(self.states), 1)

    def test_from_inside(self) -> None:
        """From a listener, and from a message's callback; the bye still goes out."""
        client, peer = self.online()
        client.on_push(lambda push: client.stop())
        peer.send(b'{"type":"push","s":1}\n')
        self.assertEqual([opcode for opcode, _ in peer.frames()], [TEXT, CLOSE])

        self.setUp()
        client, peer = self.online()
        client.request("x").addBoth(lambda _: client.stop())
        peer.frames()
        peer.send(b'{"type":"result","s":1,"n":1}\n')
        self.assertEqual([opcode for opcode, _ in peer.frames()], [TEXT, CLOSE])

        self.setUp()
        client = self.new_client()
        client.on_state(lambda state: client.stop() if state == Connecting() else None)
        client.start()
        self.assertEqual(self.door.attempts, 0)
        self.assertEqual(pending(self.clock), [])
