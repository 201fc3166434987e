"""The Python client and the real process: session mode from end to end, through broken sockets."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from orion_twisted.client.failures import BackendDown, Closed, OutcomeUnknown, TimedOut
from orion_twisted.client.limits import ClientLimits
from orion_twisted.client.orion import OrionClient
from orion_twisted.client.outcomes import Push, Receipt, Result
from orion_twisted.client.states import Closed as ClosedState
from orion_twisted.client.states import Online, State, Waiting
from orion_twisted.core.settings import TokenSettings
from orion_twisted.web.token_keys import load_keys, signing_key
from orion_twisted.web.tokens import mint
from tests.certificates import authority
from tests.client.model import join, split
from tests.e2e.backends import Backend, Peer
from tests.harness import PATIENCE, Gateway, GatewayTestCase

reactor: Any = global_reactor

QUICK = ClientLimits(first_wait=0.1, most_wait=0.5)
SECRET = "a secret of the tests, of a length that is enough"


class Engine:
    """
    A talk of a backend that speaks ``orion.v2``: it does what the payload says.

    Attributes:
        got: every message: type, payload, key.
    """

    def __init__(self) -> None:
        self.got: list[tuple[str, bytes, str]] = []
        self.holds = False
        self._held: list[tuple[dict[str, Any], bytes]] = []
        self._peer: Peer | None = None

    def __call__(self, peer: Peer) -> None:
        self._peer = peer
        while (frame := peer.read_frame()) is not None:
            header, payload = split(frame)
            if header["type"] == "ping":
                peer.send_frame(b'{"type":"pong"}')
            elif payload is not None:
                self.got.append((header["type"], payload, header["key"]))
                if payload == b"die":
                    peer.reset()
                    return
                if header["type"] == "request":
                    self._do(peer, header, payload)

    def _do(self, peer: Peer, header: dict[str, Any], payload: bytes) -> None:
        if self.holds:
            self._held.append((header, payload))
        elif payload == b"push":
            peer.send_frame(join({"type": "push", "sid": header["sid"]}, b"pushed"))
            self._answer(peer, header, payload)
        elif payload != b"be silent":
            self._answer(peer, header, payload)

    def _answer(self, peer: Peer, header: dict[str, Any], payload: bytes) -> None:
        answer: dict[str, Any] = {"type": "result", "id": header["id"]}
        if payload == b"refuse":
            answer["ok"] = False
        if header.get("bin"):
            answer["bin"] = True
        peer.send_frame(join(answer, payload))

    def let_go(self) -> None:
        """Answer what was held."""
        self.holds = False
        assert self._peer is not None
        for header, payload in self._held:
            self._answer(self._peer, header, payload)

    def times(self, payload: bytes) -> int:
        return sum(each[1] == payload for each in self.got)


def engine_v1(peer: Peer) -> None:
    """A talk of a backend that speaks ``orion.v1``."""
    while (frame := peer.read_frame()) is not None:
        message = json.loads(frame)
        if message.get("cmd") != "be silent":
            answer = {"msgID": message["@MSGID"], "success": True, "cmd": message.get("cmd")}
            peer.send_frame(json.dumps(answer).encode())


@implementer(IStreamClientEndpoint)
class Cable:
    """A client's way to a port of this machine, which can be cut."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._transports: list[Any] = []

    def connect(self, factory: Any) -> Deferred[Any]:
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.port)
        connecting: Deferred[Any] = endpoint.connect(factory)
        return connecting.addCallback(self._connected)

    def _connected(self, protocol: Any) -> Any:
        self._transports.append(protocol.transport)
        return protocol

    def cut(self) -> None:
        """Reset the connection that was made last."""
        self._transports[-1].abortConnection()


class ClientTestCase(GatewayTestCase, TestCase):
    """Clients that run on this process's reactor; the gateway and the backend have their own."""

    timeout = 4 * PATIENCE

    def setUp(self) -> None:
        super().setUp()
        self.states: list[State] = []
        self.pushes: list[Push] = []

    def gateway(self, backend: str, more: str = "", dialect: str = "orion.v2") -> Gateway:
        settings = self.settings_file(
            f"""
            [tenant.shop1]
            hosts = ["localhost"]
            backend = "{backend}"
            mode = "session"
            dialect = "{dialect}"
            {more}
            """
        )
        return self.start(f"--config={settings}")

    def client(self, gateway: Gateway, **options: Any) -> tuple[OrionClient, Cable]:
        """Return a client that has been started, and its cable."""
        cable = Cable(gateway.port)
        client = OrionClient(
            gateway.url(),
            **{"ca_file": self.ca_file, "endpoint": cable, "limits": QUICK, **options},
        )
        client.on_state(self.states.append)
        client.on_push(self.pushes.append)
        client.start()
        self.addCleanup(client.stop)
        return client, cable

    async def until(self, condition: Callable[[], object], what: str) -> None:
        """Wait until something holds."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            self.assertLess(time.monotonic(), deadline, what)
            await deferLater(reactor, 0.01)

    async def until_state(self, client: OrionClient, kind: type[Any]) -> Any:
        await self.until(lambda: isinstance(client.state, kind), f"{kind}: {client.state}")
        return client.state

    async def until_waits(self, begin: Callable[[], None]) -> Waiting:
        """Do something; return the state in which the client waits for its next connection."""
        before = len(self.states)

        def waits() -> list[Waiting]:
            # It may be over before anybody looks.
            return [each for each in self.states[before:] if isinstance(each, Waiting)]

        begin()
        await self.until(waits, "a lost connection")
        return waits()[0]


class SessionTests(ClientTestCase):
    """``orion.v2`` at both ends."""

    def setUp(self) -> None:
        super().setUp()
        self.engine = Engine()
        self.backend = self.enterContext(Backend(self.engine))

    async def test_a_conversation(self) -> None:
        """Requests, text and binary; notifications; pushes; failures; the end."""
        client, _ = self.client(self.gateway(self.backend.endpoint))
        self.assertEqual(await client.request("안녕"), Result("안녕".encode(), False))
        self.assertEqual(await client.request(b"\x00\xff\n"), Result(b"\x00\xff\n", True))
        self.assertEqual(await client.request("refuse"), Result(b"refuse", False, ok=False))
        self.assertEqual(await client.notify("told"), Receipt("sent"))
        self.assertEqual(await client.request("push"), Result(b"push", False))
        self.assertEqual(self.pushes, [Push(b"pushed", False)])
        with self.assertRaises(TimedOut):
            await client.request("be silent", timeout=0.2)
        await self.until(lambda: len(self.engine.got) == 6, "all at the engine")
        self.assertEqual([each[0] for each in self.engine.got].count("notify"), 1)
        waiting = client.request("be silent")
        await client.stop()
        self.failureResultOf(waiting, OutcomeUnknown)
        self.assertEqual(client.state, ClosedState(1000, "the client was stopped"))
        self.failureResultOf(client.request("late"), Closed)

    async def test_many(self) -> None:
        """Far more than the window, at once: all are answered, in order."""
        client, _ = self.client(
            self.gateway(self.backend.endpoint, 'session = { window = 8, window_bytes = "1 KiB" }')
        )
        payloads = [f"{number} {'x' * (number % 300)}" for number in range(500)]
        order: list[bytes] = []
        answers = [client.request(each) for each in payloads]
        for answer in answers:
            answer.addCallback(lambda result: order.append(result.payload) or result)
        for payload, answer in zip(payloads, answers, strict=True):
            self.assertEqual((await answer).text, payload)
        self.assertEqual(order, [each.encode() for each in payloads])
        self.assertEqual([each[1] for each in self.engine.got], order)

    async def test_resumes(self) -> None:
        """A socket that is cut under a hundred messages costs none of them, and doubles none."""
        client, cable = self.client(self.gateway(self.backend.endpoint))
        await client.request("first")
        answers = []
        for number in range(100):
            answers.append(client.request(f"message {number}"))
            if number % 25 == 24:
                await deferLater(reactor, 0.005)
                await self.until_waits(cable.cut)
                await self.until_state(client, Online)
        for number, answer in enumerate(answers):
            self.assertEqual((await answer).text, f"message {number}")
        for number in range(100):
            self.assertEqual(self.engine.times(b"message %d" % number), 1)
        online = [each for each in self.states if isinstance(each, Online)]
        self.assertEqual(online, [Online()] * 5)

    async def test_answers_wait(self) -> None:
        """What is answered while the client is away is there when it comes back."""
        client, cable = self.client(self.gateway(self.backend.endpoint))
        await client.request("first")
        self.engine.holds = True
        answers = [client.request(f"message {number}") for number in range(60)]
        await self.until(lambda: len(self.engine.got) == 61, "all at the engine")
        cable.cut()
        self.engine.let_go()
        for number, answer in enumerate(answers):
            self.assertEqual((await answer).text, f"message {number}")
        self.assertEqual(len(self.engine.got), 61)

    async def test_a_session_that_is_gone(self) -> None:
        """After its ``ttl`` nobody knows what became of a message, and the client says so."""
        client, cable = self.client(
            self.gateway(self.backend.endpoint, 'session = { ttl = "1 s" }'),
            limits=ClientLimits(first_wait=2.5),
            random=lambda: 1.0,
        )
        await client.request("first")
        unsafe = client.request("be silent")
        safe = client.request("again", repeat_safe=True)
        await safe
        again = client.request("be silent", repeat_safe=True, timeout=8.0)
        await self.until(lambda: len(self.engine.got) == 4, "all at the engine")
        await self.until_waits(cable.cut)
        waiting = client.request("waiting")
        with self.assertRaises(OutcomeUnknown):
            await unsafe
        self.assertEqual((await waiting).text, "waiting")
        self.assertEqual(client.state, Online(replaced=True))
        self.assertEqual(self.engine.times(b"be silent"), 3)
        self.assertEqual(len({each[2] for each in self.engine.got}), len(self.engine.got))
        with self.assertRaises(TimedOut):
            await again

    async def test_a_backend_that_comes_and_goes(self) -> None:
        """Unknown, where it may have been done; a named failure without a link; then it works."""
        client, _ = self.client(self.gateway(self.backend.endpoint, 'link_grace = "0.5 s"'))
        await client.request("first")
        with self.assertRaises(OutcomeUnknown):
            await client.request("die")
        self.backend.stop()
        with self.assertRaises(BackendDown):
            await client.request("nobody there")
        self.assertIsInstance(client.state, Online)
        self.backend.start()
        while True:
            try:
                answer = await client.request("there again")
                break
            except BackendDown as failure:
                self.assertIs(failure.was_done, False)  # so it can be said again
                await deferLater(reactor, 0.05)
        self.assertEqual(answer.text, "there again")
        self.assertEqual(self.engine.times(b"nobody there"), 0)

    async def test_repeated_on_a_new_link(self) -> None:
        """What is safe to repeat survives the death of a link, with the key that it had."""
        client, _ = self.client(self.gateway(self.backend.endpoint))
        self.engine.holds = True
        answer = client.request("again", repeat_safe=True)
        await self.until(lambda: self.engine.times(b"again") == 1, "at the engine")
        self.engine.holds = False
        self.backend.peers[-1].hang_up()
        self.assertEqual((await answer).text, "again")
        (first, second) = [each for each in self.engine.got if each[1] == b"again"]
        self.assertEqual(first, second)

    async def test_drain(self) -> None:
        """Told that the gateway stops, the client comes back to the next one by itself."""
        gateway = self.gateway(self.backend.endpoint)
        client, cable = self.client(gateway, random=lambda: 0.01)
        await client.request("first")
        waiting = await self.until_waits(gateway.terminate)
        self.assertLess(waiting.seconds, 1.0)
        later = client.request("later", timeout=PATIENCE)
        await self.until(lambda: not gateway.is_running, "the gateway's end")
        cable.port = self.gateway(self.backend.endpoint).port
        self.assertEqual((await later).text, "later")
        self.assertEqual(client.state, Online(replaced=True))
        await client.stop()  # before the gateway, whose end would wait for it

    async def test_superseded(self) -> None:
        """A session that somebody else has taken over is not fought for."""
        gateway = self.gateway(self.backend.endpoint)
        client, _ = self.client(gateway)
        await client.request("first")
        session: Any = client._conversation
        hello = {"type": "hello", "sid": session._sid, "key": session._key, "seen": 1}
        with gateway.browser(subprotocols=["orion.v2"]) as browser:
            browser.send(join(hello).decode())
            header, _ = split(str(browser.recv()).encode())
            self.assertEqual((header["sid"], header["recovered"]), (session._sid, True))
            closed = await self.until_state(client, ClosedState)
        self.assertEqual(closed.code, 4510)


class TokenTests(ClientTestCase):
    """Who may come in."""

    async def test_tokens(self) -> None:
        """With the upgrade or in the hello; none, or a bad one, is final."""
        with Backend(Engine()) as backend:
            keys = self.new_folder() / "key"
            keys.write_text(SECRET)
            gateway = self.gateway(backend.endpoint, f'token = {{ key_file = "{keys}" }}')
            settings = TokenSettings(key_file=str(keys))
            key = signing_key(load_keys(str(keys), settings.algorithms), None, None)

            def token() -> str:
                return mint("shop1", settings, key, time.time(), 60.0, subject="customer-17")

            for in_hello in (False, True):
                client, cable = self.client(gateway, token=token, token_in_hello=in_hello)
                self.assertEqual((await client.request("hi")).text, "hi")
                await self.until_waits(cable.cut)
                self.assertEqual((await client.request("again")).text, "again")
                self.assertEqual(client.state, Online())
            client, _ = self.client(gateway, token="not.a.token")
            closed = await self.until_state(client, ClosedState)
            self.assertIn("401", closed.why)
            client, _ = self.client(gateway, token="not.a.token", token_in_hello=True)
            closed = await self.until_state(client, ClosedState)
            self.assertEqual(closed.code, 4508)


class TrustTests(ClientTestCase):
    """TLS."""

    async def test_whom_to_trust(self) -> None:
        """A certificate of an authority that is not trusted, or for another name, is refused."""
        with Backend(Engine()) as backend:
            gateway = self.gateway(backend.endpoint)
            other = self.new_folder() / "other.pem"
            other.write_bytes(authority("Somebody else").certificate_pem)
            client, _ = self.client(gateway, ca_file=other)
            waiting = await self.until_state(client, Waiting)
            self.assertIn("TLS: certificate verify failed", waiting.why)
            cable = Cable(gateway.port)
            client = OrionClient("wss://other.example/ws", ca_file=self.ca_file, endpoint=cable)
            client.start()
            waiting = await self.until_state(client, Waiting)
            self.assertEqual(waiting.why, "TLS: the certificate is for other names")
            await client.stop()


class PlainTests(ClientTestCase):
    """``orion.v1``."""

    async def test_a_conversation(self) -> None:
        """Requests, a failure of the gateway's own, a socket that is cut."""
        with Backend(engine_v1) as backend:
            gateway = self.gateway(
                backend.endpoint, 'session = { deadline = "1 s" }', dialect="orion.v1"
            )
            client, cable = self.client(gateway, dialect="orion.v1")
            answer = await client.request({"cmd": "version"})
            self.assertEqual(answer.json(), {"msgID": 1, "success": True, "cmd": "version"})
            with self.assertRaises(TimedOut):
                await client.request({"cmd": "be silent"})
            unknown = client.request({"cmd": "be silent"})
            await client.request({"cmd": "version"})
            cable.cut()
            with self.assertRaises(OutcomeUnknown):
                await unknown
            self.assertEqual((await client.request({"cmd": "save"})).json()["cmd"], "save")

    async def test_any_dialect_with_any(self) -> None:
        """A client of ``orion.v2`` with a backend of ``orion.v1``, and the other way round."""
        with Backend(engine_v1) as backend:
            gateway = self.gateway(backend.endpoint, dialect="orion.v1")
            client, _ = self.client(gateway)
            answer = await client.request({"cmd": "version"})
            self.assertEqual(answer.json()["cmd"], "version")
            self.assertEqual(await client.notify({"cmd": "move"}), Receipt("sent"))
        with Backend(Engine()) as backend:
            gateway = self.gateway(backend.endpoint)
            client, _ = self.client(gateway, dialect="orion.v1")
            answer = await client.request({"cmd": "version"})
            self.assertTrue(answer.ok)
