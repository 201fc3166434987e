"""The client as a program sees it, against a gateway made by hand; time is a clock's."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import txaio
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.client.failures import (
    Closed,
    Expired,
    MessageFailed,
    OfflineQueueFull,
    OutcomeUnknown,
    TimedOut,
)
from orion_twisted.client.limits import ClientLimits
from orion_twisted.client.orion import OrionClient
from orion_twisted.client.outcomes import Push, Receipt, Result
from orion_twisted.client.socket import MOST_PIECES
from orion_twisted.client.states import Closed as ClosedState
from orion_twisted.client.states import Connecting, Online, State, Waiting
from orion_twisted.core.errors import LocalError
from tests.client.model import split
from tests.client.peer import BINARY, CLOSE, MORE, PING, PONG, TEXT, Door, Peer, frame
from tests.transports import pending
from tests.vectors import vector


class ClientTestCase(SynchronousTestCase):
    """A client, a clock, and what it dials."""

    def setUp(self) -> None:
        self.clock: Any = MemoryReactorClock()
        self.patch(txaio.config, "loop", self.clock)
        self.door = Door(self.clock)
        self.chance = 1.0
        self.states: list[State] = []
        self.pushes: list[Push] = []

    def client(self, url: str = "ws://localhost:8888/ws", **options: Any) -> OrionClient:
        """Return a client that has been started."""
        client = self.new_client(url, **options)
        client.start()
        return client

    def new_client(self, url: str = "ws://localhost:8888/ws", **options: Any) -> OrionClient:
        client = OrionClient(
            url,
            endpoint=self.door,
            reactor=self.clock,
            random=lambda: self.chance,
            **options,
        )
        client.on_state(self.states.append)
        client.on_push(self.pushes.append)
        return client

    def welcome(self, **changes: Any) -> bytes:
        return json.dumps({**json.loads(vector("welcome").octets), **changes}).encode()

    def let_in(self, **changes: Any) -> Peer:
        """Welcome the client that has connected."""
        peer = self.door.accept()
        peer.upgrade("orion.v2")
        (hello,) = peer.messages()
        self.assertEqual(split(hello)[0]["type"], "hello")
        peer.send(self.welcome(**changes))
        return peer

    def online(self, **options: Any) -> tuple[OrionClient, Peer]:
        client = self.client(**options)
        peer = self.let_in()
        self.assertIsInstance(client.state, Online)
        self.states.clear()
        return client, peer

    def failure(self, deferred: Deferred[Any], kind: type[MessageFailed]) -> MessageFailed:
        error = self.failureResultOf(deferred, kind).value
        assert isinstance(error, kind)
        return error


class MessageTests(ClientTestCase):
    """What goes out and comes back."""

    def test_a_conversation(self) -> None:
        """Byte for byte as docs/wire.md has it, from hello to bye."""
        client = self.client()
        peer = self.door.accept()
        request = peer.upgrade("orion.v2")
        self.assertEqual(request[""], "GET /ws HTTP/1.1")
        self.assertEqual(request["Host"], "localhost:8888")
        self.assertEqual(request["Sec-WebSocket-Protocol"], "orion.v2")
        self.assertNotIn("Origin", request)
        self.assertNotIn("Sec-WebSocket-Extensions", request)
        self.assertEqual(peer.messages(), [vector("hello").octets])
        peer.send(vector("welcome").octets)

        answer = client.request('{"cmd":"render","page":1}', timeout=5.0)
        self.assertEqual(peer.messages(), [vector("request").octets])
        peer.send(b'{"type":"result","s":1,"n":1}\n{"success":true,"message":"","page":1}')
        result = self.successResultOf(answer)
        self.assertEqual(result, Result(b'{"success":true,"message":"","page":1}', False))
        self.assertEqual(result.json()["page"], 1)
        self.assertEqual(result.text, '{"success":true,"message":"","page":1}')

        peer.send(b'{"type":"push","s":2}\n{"event":"saved","id":"invoice"}')
        self.assertEqual(self.pushes, [Push(b'{"event":"saved","id":"invoice"}', False)])
        receipt = client.notify({"cmd": "move"})
        self.assertEqual(
            peer.messages(), [b'{"type":"notify","n":2,"ttl":30000,"ack":2}\n{"cmd":"move"}']
        )
        peer.send(b'{"type":"receipt","s":3,"n":2,"stage":"sent"}')
        self.assertEqual(self.successResultOf(receipt), Receipt("sent"))

        stopped = client.stop()
        bye, (opcode, code) = peer.frames()
        self.assertEqual(bye, (TEXT, vector("bye").octets))
        self.assertEqual((opcode, code), (CLOSE, b"\x03\xe8"))
        self.assertNoResult(stopped)
        peer.close(1000)
        peer.hang_up()
        self.assertIsNone(self.successResultOf(stopped))
        self.assertEqual(
            self.states,
            [Connecting(), Online(), ClosedState(1000, "the client was stopped")],
        )
        self.assertEqual(pending(self.clock), [])

    def test_text_and_binary(self) -> None:
        """``str`` goes as text, ``bytes`` as binary; an answer says what it is."""
        client, peer = self.online()
        for payload, opcode in (("é", 1), (b"\x00\xff\n", 2), ({"a": "é"}, 1)):
            client.request(payload)
            ((sent, _),) = peer.frames()
            self.assertEqual(sent, opcode)
        answer = client.request(b"\xff")
        peer.send(b'{"type":"result","s":1,"n":4,"ok":false}\n\xff', is_binary=True)
        self.assertEqual(self.successResultOf(answer), Result(b"\xff", True, ok=False))

    def test_what_is_no_message(self) -> None:
        """A mistake of the program is raised where it is made."""
        client, peer = self.online()
        for payload in (None, 7, ["a"]):
            self.assertRaises(TypeError, client.request, payload)
        self.assertRaises(ValueError, client.request, "\ud800")
        self.assertRaises(ValueError, client.request, "x", timeout=0)
        self.assertRaises(TypeError, client.request, {"a": object()})
        self.assertEqual(peer.frames(), [])

    def test_failure(self) -> None:
        """A named failure arrives as an exception with that code."""
        client, peer = self.online()
        answer = client.request("x")
        peer.send(b'{"type":"error","s":1,"n":1,"code":"TIMEOUT","message":"no answer in time"}')
        failure = self.failure(answer, TimedOut)
        self.assertEqual(str(failure), "TIMEOUT: no answer in time")

    def test_awaited(self) -> None:
        """Deferreds can be awaited."""
        client, peer = self.online()
        heard: list[object] = []

        async def talk() -> None:
            heard.append(await client.request("one"))
            heard.append(await client.notify("two"))

        done = Deferred.fromCoroutine(talk())
        peer.send(b'{"type":"result","s":1,"n":1}\n1')
        peer.send(b'{"type":"receipt","s":2,"n":2,"stage":"sent"}')
        self.successResultOf(done)
        self.assertEqual(heard, [Result(b"1", False), Receipt("sent")])

    def test_order_holds_whoever_calls_from_where(self) -> None:
        """Messages that are sent from inside a callback keep their numbers' order."""
        client, peer = self.online()
        for _ in range(64):
            client.request("").addErrback(lambda _: None)
        client.request("waits for the window")
        peer.frames()
        client._owners[1].addCallback(lambda _: client.request("from inside"))
        peer.send(b'{"type":"result","s":1,"n":1}\n')
        self.assertEqual([split(each)[0]["n"] for each in peer.messages()], [65])
        peer.send(b'{"type":"result","s":2,"n":2}\n')
        self.assertEqual([split(each)[0]["n"] for each in peer.messages()], [66])

    def test_cancel_before_it_is_sent(self) -> None:
        """A message that is taken back in time is never sent."""
        client = self.client()
        first, second = client.request("first"), client.request("second")
        first.cancel()
        self.failureResultOf(first, CancelledError)
        peer = self.let_in()
        self.assertEqual([split(each)[1] for each in peer.messages()], [b"second"])
        peer.send(b'{"type":"result","s":1,"n":1}\n2')
        self.assertEqual(self.successResultOf(second), Result(b"2", False))

    def test_cancel_after_it_was_sent(self) -> None:
        """Only the waiting is given up: the answer is dropped when it comes."""
        client, peer = self.online()
        answer = client.request("x")
        answer.cancel()
        self.failureResultOf(answer, CancelledError)
        peer.send(b'{"type":"result","s":1,"n":1}\n2')
        answer.cancel()
        self.assertEqual(self.states, [])

    def test_listeners_that_fail(self) -> None:
        """A mistake in a listener is logged; the others, and the client, go on."""
        client, peer = self.online()

        def broken(news: object) -> None:
            raise ZeroDivisionError

        client.on_push(broken)
        client.on_state(broken)
        heard: list[Push] = []
        client.on_push(heard.append)
        peer.send(b'{"type":"push","s":1}\nhi')
        peer.hang_up()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
        self.assertEqual(len(heard), 1)
        self.assertIsInstance(client.state, Waiting)

    def test_acknowledges(self) -> None:
        """After a second without another message to carry it."""
        _, peer = self.online()
        peer.send(b'{"type":"push","s":1}\n')
        self.clock.advance(0.99)
        self.assertEqual(peer.frames(), [])
        self.clock.advance(0.01)
        self.assertEqual(peer.messages(), [b'{"type":"ack","ack":1}'])

    def test_large_messages(self) -> None:
        """What is sent is bounded by the gateway's limit, not by that for what is received."""
        client, peer = self.online(limits=ClientLimits(message=1000))
        client.request(b"x" * 70_000)
        ((_, payload),) = peer.frames()
        self.assertEqual(len(payload.partition(b"\n")[2]), 70_000)

    def test_fragments(self) -> None:
        """A message may come in as many pieces as it has bytes, and be cut anywhere."""
        _, peer = self.online()
        message = b'{"type":"push","s":1}\n' + bytes(range(256)) * 2
        for at in range(len(message)):
            octets = frame(BINARY if at == 0 else MORE, message[at : at + 1], fin=False)
            peer.wire.hears(octets[:1])
            peer.wire.hears(octets[1:])
        self.assertEqual(self.pushes, [])
        peer.wire.hears(frame(MORE, b""))
        self.assertEqual(self.pushes, [Push(bytes(range(256)) * 2, True)])

    def test_fragments_without_end(self) -> None:
        """Neither tiny nor empty ones pile up."""
        client, peer = self.online()
        socket: Any = client._connection._socket
        peer.wire.hears(frame(TEXT, b"", fin=False))
        for _ in range(20):
            peer.wire.hears(frame(MORE, b"", fin=False) * 100 + frame(MORE, b"x", fin=False))
            self.assertLessEqual(len(socket.message_data), MOST_PIECES)
        head = frame(MORE, b"y" * 10_000)[:4]
        peer.wire.hears(head)
        for _ in range(200):
            peer.wire.hears(b"y")
            self.assertLessEqual(len(socket.frame_data), MOST_PIECES)


class OfflineTests(ClientTestCase):
    """Messages without a connection."""

    def test_waits_for_the_first_connection(self) -> None:
        """A message may be handed over before the start, even."""
        client = self.new_client()
        answer = client.request("early")
        client.start()
        peer = self.let_in()
        self.assertEqual([split(each)[1] for each in peer.messages()], [b"early"])
        self.assertNoResult(answer)

    def test_expires(self) -> None:
        """Its time runs without a connection as well; it is never sent after that."""
        client = self.new_client()
        answer = client.request("early", timeout=5.0)
        self.clock.advance(4.9)
        self.assertNoResult(answer)
        self.clock.advance(0.1)
        self.failure(answer, Expired)
        client.start()
        self.assertEqual(self.let_in().frames(), [])

    def test_queue_is_bounded(self) -> None:
        """What does not fit fails at once, by messages and by bytes."""
        client = self.new_client(limits=ClientLimits(queue_messages=2, queue_bytes=10))
        client.request("12345678")
        self.failure(client.request("123"), OfflineQueueFull)
        client.request("12")
        self.failure(client.request(""), OfflineQueueFull)

    def test_resumes(self) -> None:
        """A request that was under way when the socket broke gets its answer on the next one."""
        client, peer = self.online()
        answer = client.request("x")
        peer.frames()
        peer.reset()
        self.assertIsInstance(client.state, Waiting)
        self.clock.advance(0.5)
        peer = self.door.accept()
        peer.upgrade("orion.v2")
        (hello,) = peer.messages()
        self.assertEqual(
            split(hello)[0],
            {
                "type": "hello",
                "sid": "AgICAgICAgICAgIC",
                "key": "BAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE",
                "seen": 0,
            },
        )
        peer.send(self.welcome(recovered=True, ack=1, key="another"))
        peer.send(b'{"type":"result","s":1,"n":1}\nyes')
        self.assertEqual(self.successResultOf(answer), Result(b"yes", False))
        self.assertEqual(self.states[-1], Online())

    def test_another_session(self) -> None:
        """The listener hears that the session is another; what nobody can know is unknown."""
        client, peer = self.online()
        answer = client.request("x")
        peer.reset()
        self.clock.advance(0.5)
        self.let_in(sid="another")
        self.failure(answer, OutcomeUnknown)
        self.assertEqual(self.states[-1], Online(replaced=True))

    def test_lost_pushes(self) -> None:
        """The listener hears how many are missing."""
        _, peer = self.online()
        peer.reset()
        self.clock.advance(0.5)
        self.let_in(lost=[[1, 3]])
        self.assertEqual(self.states[-1], Online(lost=3))


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


class TimeTests(ClientTestCase):
    """Nothing is waited for without an end."""

    def test_never_connected(self) -> None:
        """A connection that does not come is given up."""
        self.door.keeps_waiting = True
        client = self.client()
        self.clock.advance(30.0)
        self.assertEqual(self.door.cancelled, 1)
        self.assertEqual(client.state, Waiting(0.5, "not online within 30 s"))

    def test_never_upgraded(self) -> None:
        """So is one that says nothing."""
        client = self.client()
        self.clock.advance(30.0)
        self.assertEqual(client.state, Waiting(0.5, "not online within 30 s"))
        self.assertTrue(self.door.accept().is_gone)

    def test_never_welcomed(self) -> None:
        """So is one that lets the client in, answers pings, and is silent."""
        client = self.client()
        peer = self.door.accept()
        peer.upgrade("orion.v2")
        for _ in range(30):
            self.clock.advance(1.0)
            peer.wire.hears(frame(PONG, b""))
        self.assertEqual(client.state, Waiting(0.5, "not online within 30 s"))
        self.assertTrue(peer.is_gone)

    def test_no_token_in_time(self) -> None:
        """So is a token that does not come."""
        cancelled: list[object] = []
        client = self.client(token=lambda: Deferred(cancelled.append))
        self.clock.advance(30.0)
        self.assertEqual(len(cancelled), 1)
        self.assertEqual(client.state, Waiting(0.5, "not online within 30 s"))

    def test_a_dead_gateway(self) -> None:
        """Silence for ``ping_every`` and ``ping_timeout`` together is noticed."""
        client, peer = self.online(limits=ClientLimits(ping_every=20.0, ping_timeout=10.0))
        self.clock.advance(20.0)
        ((opcode, payload),) = peer.frames()
        self.assertEqual(opcode, PING)
        peer.wire.hears(frame(PONG, payload))
        self.clock.advance(10.0)
        self.assertEqual(client.state, Online())
        self.clock.advance(20.0)
        self.clock.advance(9.9)
        self.assertEqual(client.state, Online())
        self.clock.advance(0.1)
        self.assertEqual(client.state, Waiting(0.5, "no sign of life for 10 s"))
        self.assertTrue(peer.is_gone)

    def test_a_busy_gateway(self) -> None:
        """Anything that is heard is a sign of life."""
        client, peer = self.online(limits=ClientLimits(ping_every=20.0, ping_timeout=10.0))
        for s in range(1, 100):
            self.clock.advance(5.0)
            peer.send(b'{"type":"push","s":%d}\n' % s)
        self.assertEqual(client.state, Online())

    def test_pings_are_answered(self) -> None:
        """The gateway finds out whether we are alive by the same means."""
        _, peer = self.online()
        peer.wire.hears(frame(PING, b"there?"))
        self.assertEqual(peer.frames(), [(PONG, b"there?")])

    def test_deadline(self) -> None:
        """A request that nobody answers fails by itself, shortly after its time."""
        client, _ = self.online()
        answer = client.request("x", timeout=5.0)
        self.clock.advance(5.4)
        self.assertNoResult(answer)
        self.clock.advance(0.1)
        self.failure(answer, TimedOut)


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


class PlainTests(ClientTestCase):
    """The dialect ``orion.v1``, in the shell."""

    def setUp(self) -> None:
        super().setUp()
        self.orion = self.client(dialect="orion.v1")
        self.peer = self.door.accept()
        request = self.peer.upgrade("orion.v1")
        self.assertEqual(request["Sec-WebSocket-Protocol"], "orion.v1")

    def test_request(self) -> None:
        """A mapping, or the text of an object; the number is the client's business."""
        answers = [
            self.orion.request({"cmd": "version", "@MSGID": 99}),
            self.orion.request('{"cmd": "version"}'),
            self.orion.request(b'{"cmd":"version"}'),
        ]
        self.assertEqual(
            self.peer.frames(),
            [(TEXT, b'{"@MSGID":%d,"cmd":"version"}' % number) for number in (1, 2, 3)],
        )
        for number, answer in enumerate(answers, 1):
            text = b'{"msgID":%d,"success":true}' % number
            self.peer.send(text)
            self.assertEqual(self.successResultOf(answer), Result(text, False))

    def test_what_is_no_object(self) -> None:
        """Raised where the mistake is made."""
        for text in ("", "[]", b"\xff"):
            self.assertRaises(ValueError, self.orion.request, text)

    def test_no_resume(self) -> None:
        """What was under way is unknown; what waits goes out on the next socket."""
        answer = self.orion.request({})
        self.peer.reset()
        self.failure(answer, OutcomeUnknown)
        self.orion.request({"a": 1})
        self.clock.advance(0.5)
        peer = self.door.accept()
        peer.upgrade(None)  # a gateway that names no subprotocol speaks this one
        self.assertEqual(peer.messages(), [b'{"@MSGID":1,"a":1}'])

    def test_stop(self) -> None:
        """There is no bye, only the close."""
        self.orion.stop()
        self.assertEqual(self.peer.closed_with(), 1000)


class SettingsTests(SynchronousTestCase):
    """What a client cannot be made of."""

    def test_refused(self) -> None:
        """A dialect that there is not, a bad URL, a CA file that is none, limits of nothing."""
        for url, options in (
            ("ws://localhost/", {"dialect": "orion.v3"}),
            ("http://localhost/", {}),
            ("wss://localhost/", {"ca_file": "/nowhere/ca.pem"}),
            ("ws://localhost/", {"origin": "https://a\r\nX: y"}),
            ("ws://localhost/", {"token": "a\r\nX: y"}),
            ("ws://localhost/", {"token": ""}),
        ):
            with self.subTest(url), self.assertRaises(ValueError):
                OrionClient(url, reactor=MemoryReactorClock(), **options)  # type: ignore[arg-type]
        for limits in ({"timeout": 0}, {"window": 0}, {"queue_bytes": -1}, {"ping_every": 0}):
            with self.subTest(limits), self.assertRaises(ValueError):
                ClientLimits(**limits)  # type: ignore[arg-type]
