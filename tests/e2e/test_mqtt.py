"""A real MQTT broker behind a tunnel, spoken to by paho-mqtt over WebSocket."""

from __future__ import annotations

import shutil
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from tests.harness import (
    PATIENCE,
    Gateway,
    GatewayTestCase,
    Process,
    eventually,
    free_port,
    needs_package,
)

CONFIG = """
listener {port} 127.0.0.1
allow_anonymous true
persistence false
"""


def mosquitto() -> str | None:
    """Return where the broker is; Debian puts it where only root's PATH leads."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


class Subscriber:
    """
    An MQTT client on a page: its own thread, its own socket through the gateway.

    Attributes:
        messages: what has come, each as topic, payload and QoS.
    """

    def __init__(self, gateway: Gateway, name: str) -> None:
        self.messages: list[tuple[str, bytes, int]] = []
        self._acknowledged: set[int] = set()
        self._connected = threading.Event()
        self._granted = threading.Event()
        self._client = client = Client(
            CallbackAPIVersion.VERSION2, client_id=name, transport="websockets"
        )
        client.tls_set(str(gateway.ca_file), tls_version=ssl.PROTOCOL_TLS_CLIENT)
        client.ws_set_options(path="/ws")
        client.on_connect = self._set(self._connected)
        client.on_subscribe = self._set(self._granted)
        client.on_message = self._keep
        client.on_publish = self._note
        client.connect("localhost", gateway.port)
        client.loop_start()
        if not self._connected.wait(PATIENCE):
            raise AssertionError(f"{name} does not connect")

    @staticmethod
    def _set(event: threading.Event) -> Callable[..., None]:
        return lambda *_: event.set()

    def _keep(self, client: Client, _: Any, message: MQTTMessage) -> None:
        self.messages.append((message.topic, bytes(message.payload), message.qos))

    def _note(self, client: Client, _: Any, message_id: int, *more: Any) -> None:
        self._acknowledged.add(message_id)

    def subscribe(self, topic: str, qos: int) -> None:
        self._granted.clear()
        self._client.subscribe(topic, qos)
        if not self._granted.wait(PATIENCE):
            raise AssertionError(f"no subscription to {topic}")

    def publish(self, topic: str, payload: bytes, qos: int) -> int:
        return self._client.publish(topic, payload, qos).mid

    def wait_for_acknowledgement(self, message_ids: set[int]) -> None:
        eventually(lambda: message_ids <= self._acknowledged, "the broker's acknowledgements")

    def wait_for_messages(self, count: int) -> list[tuple[str, bytes, int]]:
        eventually(lambda: len(self.messages) >= count, f"{count} messages")
        return self.messages

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class MqttTests(GatewayTestCase):
    broker: ClassVar[Process | None] = None
    gateway: ClassVar[Gateway]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        program = mosquitto()
        if program is None:
            return  # setUp says so
        port = free_port()
        folder = cls.new_folder()
        config = Path(folder) / "mosquitto.conf"
        config.write_text(CONFIG.format(port=port))
        cls.broker = Process([program, "-c", str(config)], folder)
        cls.addClassCleanup(cls.broker.stop)
        cls.broker.wait_for_port(port)
        cls.gateway = cls.start_for_class(f"--backend=tcp:127.0.0.1:{port}", "--mode=tunnel")

    def setUp(self) -> None:
        super().setUp()
        if self.broker is None:
            needs_package(self, "mosquitto")

    def client(self, name: str) -> Subscriber:
        client = Subscriber(self.gateway, f"{name}-{self.id()[-20:]}")
        self.addCleanup(client.close)
        return client

    def test_publish_and_subscribe(self) -> None:
        """100 messages with QoS 0 and 100 with QoS 1 arrive in order, QoS 1 acknowledged."""
        for qos in (0, 1):
            with self.subTest(qos=qos):
                client = self.client(f"self-{qos}")
                topic = f"orders/{qos}"
                client.subscribe(topic, qos)
                ids = {client.publish(topic, b"order %d" % n, qos) for n in range(100)}
                expected = [(topic, b"order %d" % n, qos) for n in range(100)]
                self.assertEqual(client.wait_for_messages(100), expected)
                if qos:
                    client.wait_for_acknowledgement(ids)

    def test_two_clients(self) -> None:
        """What one page publishes another page gets, both ways at once, each on its own link."""
        shop, kitchen = self.client("shop"), self.client("kitchen")
        shop.subscribe("to/shop", 1)
        kitchen.subscribe("to/kitchen", 1)
        for number in range(100):
            shop.publish("to/kitchen", b"order %d" % number, 1)
            kitchen.publish("to/shop", b"ready %d" % number, 1)
        self.assertEqual(
            kitchen.wait_for_messages(100),
            [("to/kitchen", b"order %d" % number, 1) for number in range(100)],
        )
        self.assertEqual(
            shop.wait_for_messages(100),
            [("to/shop", b"ready %d" % number, 1) for number in range(100)],
        )

    def test_a_large_payload(self) -> None:
        """200 kB in one MQTT message, far beyond a read's size, arrive exactly."""
        payload = bytes(range(250)) * 800
        client = self.client("large")
        client.subscribe("large", 1)
        client.publish("large", payload, 1)
        self.assertTrue(client.wait_for_messages(1) == [("large", payload, 1)])
