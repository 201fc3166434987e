"""The engine's socket side: frames, back-pressure, events for the slow, closing."""

import json
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.error import CannotListenError
from twisted.internet.error import ConnectionRefusedError as TwistedConnectionRefused
from twisted.internet.protocol import Protocol
from twisted.internet.testing import (
    MemoryReactorClock,
    StringTransport,
    StringTransportWithDisconnection,
)
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from orion_twisted.core.frames import decoder, encoder
from orion_twisted.demo import database, server
from orion_twisted.demo.dialects import MAX_FRAME
from orion_twisted.demo.documents import StoreFailed
from orion_twisted.demo.server import EngineFactory, EngineProtocol
from orion_twisted.demo.service import STOP_TIMEOUT, EngineService, engine_service
from tests.demo.visit import TEXT, Engine, change, insert

encode = encoder("int32")
reactor: Any = global_reactor


def request(number: int, cmd: str, **fields: Any) -> bytes:
    """Return one framed message."""
    return encode(json.dumps({"@MSGID": number, "cmd": cmd, **fields}).encode())


def answers(data: bytes) -> list[dict[str, Any]]:
    """Return the messages in a stream of whole frames."""
    frames = decoder("int32", MAX_FRAME)
    frames.receive_data(data)
    found = []
    while (payload := frames.next_payload()) is not None:
        found.append(json.loads(payload))
    return found


class FullTransport(StringTransport):
    """A transport whose buffer is full after every write, as if nobody read."""

    def write(self, data: bytes) -> None:
        super().write(data)
        if self.producer is not None:
            self.producer.pauseProducing()


class StuckTransport(StringTransportWithDisconnection):
    """A transport with unsent bytes: only an abort ends it."""

    def loseConnection(self) -> None:
        pass

    def abortConnection(self) -> None:
        super().loseConnection()


class ServerTests(SynchronousTestCase):
    """One connection without a socket."""

    def setUp(self) -> None:
        self.engine = Engine(self)
        self.factory = EngineFactory(self.engine.desk, lambda: 0.0, max_connections=2)

    def connect(self, transport: StringTransport | None = None) -> tuple[EngineProtocol, Any]:
        protocol = self.factory.buildProtocol(None)
        transport = transport or StringTransport()
        protocol.makeConnection(transport)
        return protocol, transport

    def test_answers_in_order(self) -> None:
        """Messages that come together are answered one by one, in their order."""
        protocol, transport = self.connect()
        protocol.dataReceived(
            request(1, "new") + request(2, "nonsense") + request(3, "documents") + encode(b"{")
        )
        found = answers(transport.value())
        self.assertEqual([answer["msgID"] for answer in found], [1, 2, 3, None])
        self.assertEqual([answer["success"] for answer in found], [True, False, True, False])

    def test_bytes_one_by_one(self) -> None:
        """However the network cuts the stream, the answers are the same."""
        protocol, transport = self.connect()
        for byte in request(1, "new", name="조각") + request(2, "hello"):
            protocol.dataReceived(bytes([byte]))
        first, second = answers(transport.value())
        self.assertEqual((first["document"], second["msgID"]), (1, 2))

    def test_a_peer_that_does_not_read_is_not_read(self) -> None:
        """While answers wait, no request is carried out, and none is lost."""
        protocol, transport = self.connect(FullTransport())
        protocol.dataReceived(request(1, "new") + request(2, "documents") + request(3, "hello"))
        self.assertEqual(transport.producerState, "paused")
        for count in (1, 2, 3):
            self.assertEqual(len(answers(transport.value())), count)
            self.assertEqual(transport.producerState, "paused")
            protocol.resumeProducing()
        self.assertEqual(transport.producerState, "producing")

    def test_what_arrives_while_paused_waits(self) -> None:
        """Bytes that were under way when reading stopped are kept for later."""
        protocol, transport = self.connect()
        protocol.pauseProducing()
        protocol.dataReceived(request(1, "hello"))
        self.assertEqual(transport.value(), b"")
        protocol.resumeProducing()
        self.assertEqual(len(answers(transport.value())), 1)

    def edit(self, edit: int, size: int = 0) -> bytes:
        changes = [change("t1", text="x" * size)] if edit > 1 else [insert(TEXT)]
        fields = {"document": 1, "client": "c", "edit": edit, "changes": changes}
        return request(edit, "apply", **fields)

    def test_events_wait_for_a_slow_reader_up_to_a_bound(self) -> None:
        """Who does not read is kept MAX_HELD bytes of events; more is dropped, and seq tells."""
        self.patch(server, "MAX_HELD", 3_000)
        slow, transport = self.connect()
        other, _ = self.connect()
        slow.dataReceived(request(1, "new") + request(2, "open", document=1))
        transport.clear()
        slow.pauseProducing()
        for edit in range(1, 10):
            other.dataReceived(self.edit(edit, size=500))
        self.assertEqual(transport.value(), b"")
        slow.resumeProducing()
        events = answers(transport.value())
        seqs = [event["seq"] for event in events if event["event"] == "applied"]
        self.assertEqual(seqs, [1, 2, 3, 4, 5])  # 6 would make more than 3,000 bytes
        transport.clear()
        other.dataReceived(self.edit(10))
        self.assertEqual([event["seq"] for event in answers(transport.value())], [10])
        self.assertEqual(slow._held_bytes, 0)

    def test_held_events_come_one_by_one(self) -> None:
        """Events that waited are written while there is room, and before the next answer."""
        slow, transport = self.connect(FullTransport())
        other, _ = self.connect()
        slow.dataReceived(request(1, "new"))
        slow.resumeProducing()
        slow.dataReceived(request(2, "open", document=1) + request(3, "hello"))
        for edit in (1, 2):
            other.dataReceived(self.edit(edit))
        for count in (2, 3, 4, 5):
            self.assertEqual(len(answers(transport.value())), count)
            slow.resumeProducing()
        found = answers(transport.value())
        self.assertEqual([each.get("msgID") for each in found], [1, 2, None, None, 3])

    def test_a_lost_connection_is_told_nothing(self) -> None:
        """Nothing is written to a connection that is gone, and its sessions are."""
        lost, transport = self.connect()
        other, _ = self.connect()
        lost.dataReceived(request(1, "new") + request(2, "open", document=1))
        lost.connectionLost(Failure(ConnectionError()))
        transport.clear()
        other.dataReceived(self.edit(1))
        lost.send(b"late")
        lost.push("", b"{}")
        self.assertEqual(transport.value(), b"")
        self.assertEqual(self.engine.documents.opened_on(lost), [])

    def test_a_frame_beyond_the_limit_ends_the_connection(self) -> None:
        """An announced size beyond the limit is refused before it is sent."""
        protocol, transport = self.connect()
        protocol.dataReceived(request(1, "hello") + (MAX_FRAME + 1).to_bytes(4, "big"))
        self.assertEqual(len(answers(transport.value())), 1)
        self.assertTrue(transport.disconnecting)
        self.assertIsNone(transport.producer)
        protocol.dataReceived(request(2, "hello"))
        protocol.resumeProducing()
        self.assertEqual(len(answers(transport.value())), 1)

    def test_a_broken_contract_ends_the_connection(self) -> None:
        """A header that cannot be read ends a link in orion.v2."""
        protocol, transport = self.connect()
        protocol.dataReceived(encode(b'{"type":"ping"}') + encode(b"nonsense"))
        self.assertEqual(transport.value(), encode(b'{"type":"pong"}'))
        self.assertTrue(transport.disconnecting)

    def test_a_bug_costs_its_request_and_is_logged(self) -> None:
        """A bug in a command is answered, leaves a traceback, and its link lives on."""
        protocol, transport = self.connect()
        self.patch(self.engine.store, "documents", lambda: 1 // 0)
        protocol.dataReceived(request(1, "documents") + request(2, "hello"))
        bug, hello = answers(transport.value())
        self.assertEqual(bug, {"msgID": 1, "success": False, "message": "a bug in the engine"})
        self.assertTrue(hello["success"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_a_bug_in_a_dialect_ends_one_connection(self) -> None:
        """A bug elsewhere costs its connection, not the engine, and leaves a traceback."""
        protocol, transport = self.connect()
        _, other = self.connect()
        self.patch(server, "dialect_of", lambda payload: 1 // 0)
        protocol.dataReceived(request(1, "documents"))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertTrue(transport.disconnected)
        self.assertFalse(other.disconnected)

    def test_connections_are_bounded(self) -> None:
        """One connection too many is closed at once; when another goes there is room again."""
        first, _ = self.connect()
        self.connect()
        third, transport = self.connect()
        self.assertTrue(transport.disconnected)
        third.connectionLost(Failure(ConnectionError()))
        self.assertEqual(len(self.factory.connections), 2)
        first.connectionLost(Failure(ConnectionError()))
        self.assertFalse(self.connect()[1].disconnected)


class StopTests(SynchronousTestCase):
    """How long a stop may take, on a clock of the test's own."""

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.service = engine_service(self.reactor)
        self.service.startService()
        self.addCleanup(self.service.stopService)
        _, self.factory, _, self.interface = self.reactor.tcpServers[0]

    def connect(self, transport: StringTransport) -> None:
        protocol = self.factory.buildProtocol(None)
        transport.protocol = protocol
        protocol.makeConnection(transport)

    def test_it_listens_on_this_machine_only(self) -> None:
        """Nobody asked for a password: the engine is for this machine."""
        self.assertEqual(self.interface, "127.0.0.1")

    def test_stop_is_done_when_the_last_peer_is_gone(self) -> None:
        """With nothing left to send a stop takes no time, and leaves no timer."""
        for _ in range(3):
            self.connect(StringTransportWithDisconnection())
        self.successResultOf(self.service.stopService())
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_stop_does_not_wait_for_a_peer_that_never_reads(self) -> None:
        """Answers that nobody reads hold a stop up for STOP_TIMEOUT and no longer."""
        self.connect(StuckTransport())
        stopped = self.service.stopService()
        self.reactor.advance(STOP_TIMEOUT - 0.1)
        self.assertNoResult(stopped)
        self.reactor.advance(0.2)
        self.successResultOf(stopped)
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class Client(Protocol):
    """A peer that counts on Deferreds."""

    def __init__(self) -> None:
        self._frames = decoder("int32", MAX_FRAME)
        self._waiting: list[Deferred[dict[str, Any]]] = []
        self.events: list[dict[str, Any]] = []
        self.lost: Deferred[None] = Deferred()

    def ask(self, number: int, cmd: str, **fields: Any) -> Deferred[dict[str, Any]]:
        answer: Deferred[dict[str, Any]] = Deferred()
        self._waiting.append(answer)
        assert self.transport is not None
        self.transport.write(request(number, cmd, **fields))
        return answer

    def dataReceived(self, data: bytes) -> None:
        self._frames.receive_data(data)
        while (payload := self._frames.next_payload()) is not None:
            said = json.loads(payload)
            if "msgID" in said:
                self._waiting.pop(0).callback(said)
            else:
                self.events.append(said)

    def connectionLost(self, reason: Any = None) -> None:
        self.lost.callback(None)


class ServiceTests(TestCase):
    """The engine on a real port."""

    def start(self, **settings: Any) -> EngineService:
        service = engine_service(reactor, **settings)
        service.startService()
        self.addCleanup(service.stopService)
        return service

    async def connect(self, service: EngineService) -> Client:
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", service.port)
        client: Client = await connectProtocol(endpoint, Client())
        self.addCleanup(self.drop, client)
        return client

    def drop(self, client: Client) -> Deferred[None]:
        if client.transport is not None:
            client.transport.loseConnection()
        return client.lost

    async def test_two_connections_edit_over_tcp(self) -> None:
        """What one connection edits, the other one has, and is told of."""
        service = self.start(database=self.mktemp(), with_sample=False)
        one, two = await self.connect(service), await self.connect(service)
        await one.ask(1, "new", name="Over TCP")
        await two.ask(1, "open", document=1)
        edit = {"document": 1, "client": "c", "edit": 1, "changes": [insert(self.long("x"))]}
        self.assertTrue((await one.ask(2, "apply", **edit))["success"])
        found = (await two.ask(2, "open", document=1))["document"]["pages"][0]["objects"]
        self.assertEqual(found[0]["text"], "x" * 200_000)
        self.assertEqual([event["event"] for event in two.events], ["applied"])

    def long(self, letter: str) -> dict[str, Any]:
        return {**TEXT, "text": letter * 200_000}

    async def test_a_slow_reader_gets_every_answer(self) -> None:
        """Eight megabytes of answers wait for a late reader; others are served meanwhile."""
        service = self.start(with_sample=False)
        slow, other = await self.connect(service), await self.connect(service)
        await slow.ask(1, "new")
        edit = {"document": 1, "client": "c", "edit": 1, "changes": [insert(self.long("y"))]}
        await slow.ask(2, "apply", **edit)
        assert slow.transport is not None
        slow.transport.pauseProducing()
        waiting = [slow.ask(number, "open", document=1) for number in range(3, 43)]
        for number in range(20):
            await other.ask(number, "hello")
        slow.transport.resumeProducing()
        found = [(await each)["msgID"] for each in waiting]
        self.assertEqual(found, list(range(3, 43)))

    async def test_printing_does_not_hold_others_up(self) -> None:
        """While one PDF is printed, others are answered; a stop does not wait for all of it."""
        service = self.start()
        client, other = await self.connect(service), await self.connect(service)
        rows = [["1", "2", "3", "4"]] * 500
        data = {"columns": ["number", "name", "street", "city"], "rows": rows}
        edit = {"document": 1, "client": "c", "edit": 1, "changes": [{"op": "data", "data": data}]}
        await client.ask(1, "apply", **edit)
        printed = client.ask(2, "pdf", document=1, rows="all")
        for number in range(3):
            await other.ask(number, "hello")
        self.assertFalse(printed.called)
        printed.addBoth(lambda answer: None)
        await service.stopService()

    async def test_documents_survive_a_restart(self) -> None:
        """The engine started again on the same file has the same documents."""
        database = self.mktemp()
        service = self.start(database=database)
        client = await self.connect(service)
        listed = await client.ask(1, "documents")
        self.assertEqual(
            [each["name"] for each in listed["documents"]], ["Wedding invitation", "Delivery note"]
        )
        for each in listed["documents"]:
            await client.ask(2, "delete", document=each["id"])
        await client.ask(3, "new", name="Mine")
        await service.stopService()
        client = await self.connect(self.start(database=database))
        listed = await client.ask(1, "documents")
        self.assertEqual([each["name"] for each in listed["documents"]], ["Mine"])

    async def test_stop_closes_connections(self) -> None:
        """A stopped engine has no connection left and takes no new one."""
        service = self.start()
        client = await self.connect(service)
        await client.ask(1, "hello")
        port = service.port
        await service.stopService()
        await client.lost
        self.assertRaises(RuntimeError, lambda: service.port)
        with self.assertRaises(TwistedConnectionRefused):
            await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", port), Client())
        await service.stopService()

    async def test_a_database_has_one_engine(self) -> None:
        """The file of a running engine is not opened by a second one."""
        self.patch(database, "BUSY_TIMEOUT", 0.0)
        path = self.mktemp()
        self.start(database=path)
        second = engine_service(reactor, database=path)
        self.assertRaises(StoreFailed, second.startService)

    async def test_a_failed_start_leaves_nothing_open(self) -> None:
        """A taken port or an unusable database is an error at the start."""
        taken = self.start().port
        service = engine_service(reactor, port=taken)
        self.assertRaises(CannotListenError, service.startService)
        self.assertFalse(service.running)
        await service.stopService()
        unusable = engine_service(reactor, database=f"{self.mktemp()}/no/folder")
        self.assertRaises(StoreFailed, unusable.startService)
        await unusable.stopService()
