"""Messages through the gateway and back: types, sizes, framings, limits, compression."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import ClassVar

from websockets.exceptions import ConnectionClosed

from tests.browser import Message
from tests.e2e.backends import Backend, echo
from tests.e2e.browsers import Sender, ending, receive
from tests.harness import MIB, Gateway, GatewayTestCase

LARGEST = 16 * MIB

BROWSERS = 200
"""As many as one address may have by default."""


def mixed(number: int) -> Message:
    """Return a message that no other is like: every third one binary, of all sorts of sizes."""
    size = (number * 37) % 1500
    return b"%d:" % number + b"\xff" * size if number % 3 == 0 else f"{number}:" + "é" * size


class MessageTests(GatewayTestCase):
    gateway: ClassVar[Gateway]
    backend: ClassVar[Backend]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.backend = cls.enterClassContext(Backend(echo))
        cls.gateway = cls.start_for_class(
            f"--backend={cls.backend.endpoint}",
            "--mode=relay",
            "--framing=int32",
            "--message-type=tagged",
            "--limit=message=16MiB",
        )

    def test_every_size_comes_back_as_it_went(self) -> None:
        """A message of 1 byte or 16 MiB, text or binary, comes back exactly, as what it was."""
        text = "Rechnung 2041 · 인보이스 · 🧾 "
        with self.gateway.browser() as browser:
            for size in (1, 2, 125, 126, 127, 65_535, 65_536, MIB, LARGEST):
                whole = "x" * size
                letters = (text * (size // len(text.encode()) + 1)).encode()[:size]
                for message in (whole, letters.decode(errors="ignore"), bytes(range(256)) * 8):
                    browser.send(message)
                    # Not assertEqual: it would print 16 MiB.
                    self.assertTrue(browser.recv(timeout=60) == message, size)
            binary = bytes(range(256)) * (LARGEST // 256)
            browser.send(binary)
            self.assertTrue(browser.recv(timeout=60) == binary)

    def test_empty_messages_are_messages(self) -> None:
        """A message without a byte in it arrives, as text or as binary."""
        with self.gateway.browser() as browser:
            for message in ("", b"", "", "after"):
                browser.send(message)
            self.assertEqual(receive(browser, 4), ["", b"", "", "after"])

    def test_fragments_arrive_as_one_message(self) -> None:
        """A message that a browser sends in pieces, empty ones too, reaches the backend whole."""
        with self.gateway.browser() as browser:
            browser.send(["in ", "", "four", " pieces"])
            browser.send([b"\x00", b"\xff" * 70_000, b""])
            browser.send("p" for _ in range(1000))
            self.assertEqual(
                receive(browser, 3),
                ["in four pieces", b"\x00" + b"\xff" * 70_000, "p" * 1000],
            )
        self.assertIn(b"Tin four pieces", self.backend.frames)

    def test_a_thousand_messages_keep_their_order(self) -> None:
        """What is sent in one order comes back in that order, nothing lost, nothing twice."""
        messages = [mixed(number) for number in range(1000)]
        with self.gateway.browser() as browser:
            sender = Sender(browser, messages)
            sender.start()
            self.assertEqual(receive(browser, 1000), messages)
            sender.finish()

    def test_a_message_beyond_the_limit_closes_with_1009(self) -> None:
        """One byte too many, at once or in fragments, and the browser hears 1009."""
        too_large: list[Message | list[str]] = [b"b" * (LARGEST + 1), ["f" * MIB] * 17]
        for message in too_large:
            with self.subTest(type(message)), self.gateway.browser() as browser:
                with suppress(ConnectionClosed):  # it need not be read to the end
                    browser.send(message)
                self.assertEqual(ending(browser).code, 1009)

    def test_200_browsers_at_once(self) -> None:
        """As many browsers as one address may have talk at the same time, each to its own link."""

        async def talk(number: int) -> bool:
            async with self.gateway.browser_async() as browser:
                mine = [mixed(number * 1000 + each) for each in range(10)]
                for message in mine:
                    await browser.send(message)
                answers = [await asyncio.wait_for(browser.recv(), 60) for _ in mine]
                here.add(number)
                if len(here) == BROWSERS:
                    everybody_is_here.set()
                await asyncio.wait_for(everybody_is_here.wait(), 60)
                return answers == mine

        async def all_of_them() -> list[bool]:
            return await asyncio.gather(*(talk(number) for number in range(BROWSERS)))

        here: set[int] = set()
        everybody_is_here = asyncio.Event()
        links = len(self.backend.peers)
        self.assertEqual(asyncio.run(all_of_them()), [True] * BROWSERS)
        self.assertEqual(len(self.backend.peers) - links, BROWSERS)


class MessageTypeTests(GatewayTestCase):
    gateway: ClassVar[Gateway]
    backends: ClassVar[dict[str, Backend]]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.backends = {
            name: cls.enterClassContext(Backend(echo)) for name in ("text", "binary", "tagged")
        }
        tenants = [
            f'[tenant.{name}]\nhosts = ["*"]\npath = "/{name}"\nmessage_type = "{name}"\n'
            f'backend = ["{backend.endpoint}"]\n'
            for name, backend in cls.backends.items()
        ]
        cls.gateway = cls.start_for_class(f"--config={cls.settings_file(''.join(tenants))}")

    def test_text_makes_text_of_everything(self) -> None:
        """With message_type text a backend's frame is a text message, whatever was sent."""
        with self.gateway.browser("/text") as browser:
            browser.send("te·xt")
            browser.send("as bytes ·".encode())
            self.assertEqual(receive(browser, 2), ["te·xt", "as bytes ·"])
        self.assertEqual(self.backends["text"].frames, ["te·xt".encode(), "as bytes ·".encode()])

    def test_text_refuses_what_is_no_utf8(self) -> None:
        """A binary message that is no UTF-8 cannot be text: 1007, and it goes no further."""
        with self.gateway.browser("/text") as browser:
            browser.send(b"\xff\xfe")
            self.assertEqual(ending(browser).code, 1007)
        self.assertNotIn(b"\xff\xfe", self.backends["text"].frames)

    def test_binary_makes_binary_of_everything(self) -> None:
        """With message_type binary a backend's frame is a binary message, whatever was sent."""
        with self.gateway.browser("/binary") as browser:
            browser.send("text")
            browser.send(b"\xff\x00")
            self.assertEqual(receive(browser, 2), [b"text", b"\xff\x00"])
        self.assertEqual(self.backends["binary"].frames, [b"text", b"\xff\x00"])

    def test_tagged_keeps_the_type(self) -> None:
        """With message_type tagged one byte before the payload says T or B, both ways."""
        with self.gateway.browser("/tagged") as browser:
            browser.send("text")
            browser.send(b"\xff\x00")
            self.assertEqual(receive(browser, 2), ["text", b"\xff\x00"])
        self.assertEqual(self.backends["tagged"].frames, [b"Ttext", b"B\xff\x00"])


class FramingTests(GatewayTestCase):
    FRAMINGS = ("int32", "int32le", "int16", "netstring", "line", "nul")

    gateway: ClassVar[Gateway]
    backends: ClassVar[dict[str, Backend]]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.backends = {
            name: cls.enterClassContext(Backend(echo, framing=name)) for name in cls.FRAMINGS
        }
        tenants = [
            f'[tenant.{name}]\nhosts = ["*"]\npath = "/{name}"\nframing = "{name}"\n'
            f'message_type = "binary"\nbackend = ["{backend.endpoint}"]\n'
            for name, backend in cls.backends.items()
        ]
        cls.gateway = cls.start_for_class(f"--config={cls.settings_file(''.join(tenants))}")

    def test_each_framing_speaks_with_its_backend(self) -> None:
        """Every framing carries messages to a backend that speaks it, and its answers back."""
        anything = bytes(range(256)) * 40
        but_endings = anything.replace(b"\n", b"").replace(b"\0", b"")
        for name in self.FRAMINGS:
            payload = but_endings if name in ("line", "nul") else anything
            messages = [b"", b"a", payload, b"12:34,", b"after"]
            with self.subTest(name), self.gateway.browser(f"/{name}") as browser:
                for message in messages:
                    browser.send(message)
                self.assertEqual(receive(browser, len(messages)), messages)
                self.assertEqual(self.backends[name].frames, messages)

    def test_a_delimiter_in_a_message_is_refused(self) -> None:
        """A message that would become two frames closes with 4500, and none of it arrives."""
        for name, delimiter in (("line", b"\n"), ("nul", b"\0")):
            with self.subTest(name), self.gateway.browser(f"/{name}") as browser:
                browser.send(b"two" + delimiter + b"frames")
                self.assertEqual(ending(browser).code, 4500)
                self.assertNotIn(b"two", self.backends[name].frames)

    def test_int16_bounds_the_message(self) -> None:
        """65,535 bytes pass; more than the framing can say closes with 1009."""
        with self.gateway.browser("/int16") as browser:
            browser.send(b"l" * 65_535)
            self.assertEqual(receive(browser, 1), [b"l" * 65_535])
            browser.send(b"l" * 65_536)
            self.assertEqual(ending(browser).code, 1009)


class CompressionTests(GatewayTestCase):
    gateway: ClassVar[Gateway]
    backend: ClassVar[Backend]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.backend = cls.enterClassContext(Backend(echo))
        cls.gateway = cls.start_for_class(
            f"--backend={cls.backend.endpoint}", "--message-type=tagged", "--compression"
        )

    def test_off_by_default(self) -> None:
        """A browser that offers permessage-deflate is served without it."""
        gateway = self.start(f"--backend={self.backend.endpoint}")
        with gateway.browser(compression="deflate") as browser:
            self.assertEqual(browser.extensions, [])
            browser.send("plain")
            self.assertEqual(receive(browser, 1), ["plain"])

    def test_on_by_setting(self) -> None:
        """With compression on, messages travel deflated and the backend sees them inflated."""
        messages: list[Message] = ["z" * 100_000, b"\x00" * 100_000, "", "after"]
        with self.gateway.browser(compression="deflate") as browser:
            self.assertEqual(browser.extensions, ["permessage-deflate"])
            for message in messages:
                browser.send(message)
            self.assertEqual(receive(browser, 4), messages)
        self.assertIn(b"T" + b"z" * 100_000, self.backend.frames)

    def test_on_is_no_duty(self) -> None:
        """A browser that does not offer compression is served without it."""
        with self.gateway.browser() as browser:
            browser.send("plain")
            self.assertEqual(receive(browser, 1), ["plain"])

    def test_a_bomb_does_not_go_off(self) -> None:
        """256 MiB of zeros in 256 KiB close with 1009, and the memory stays as it was."""
        with self.gateway.browser(compression="deflate") as browser:
            browser.send("warm")
            receive(browser, 1)
            before = self.gateway.peak_memory
            with suppress(ConnectionClosed):  # it need not be read to the end
                browser.send(bytes(256 * MIB))
            self.assertEqual(ending(browser).code, 1009)
        self.assertLess(self.gateway.peak_memory - before, 16 * MIB)
