"""The client as a program sees it: what it asks, and what it hears."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.client.failures import (
    Expired,
    OfflineQueueFull,
    OutcomeUnknown,
    TimedOut,
)
from orion_twisted.client.limits import ClientLimits
from orion_twisted.client.orion import OrionClient
from orion_twisted.client.outcomes import Push, Receipt, Result
from orion_twisted.client.socket import MOST_PIECES
from orion_twisted.client.states import Closed as ClosedState
from orion_twisted.client.states import Connecting, Online, Waiting
from tests.client.model import split
from tests.client.peer import BINARY, CLOSE, MORE, PING, PONG, TEXT, frame
from tests.client.programs import ClientTestCase
from tests.transports import pending
from tests.vectors import vector


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
