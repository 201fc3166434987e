"""What would fill a gateway's memory: readers that never read, bombs, crumbs, floods of pings."""

from __future__ import annotations

import socket
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ClassVar

from tests.abuse.siege import SCHEMES, SiegeTestCase
from tests.conformance.frames import Opcode, frame
from tests.e2e.answers import head, upgrade
from tests.e2e.backends import Backend, Floods, NeverReads, silent
from tests.harness import KIB, MIB, PATIENCE

SLACK = 8 * MIB
"""What the gateway may need at its worst moment beyond what it had before."""
SMALL = 16 * KIB
"""A receive buffer, in bytes, so that little is hidden in the system."""
BLOCKED = 1.0
"""Seconds without progress after which a sender takes the gateway for one that does not read."""
SETTLE = 0.3
"""Seconds for the gateway to read what has been sent last."""
DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate"


def deflated(payload: bytes) -> bytes:
    """Return a message as permessage-deflate sends it (RFC 7692, section 7.2.1)."""
    compressor = zlib.compressobj(9, wbits=-15)
    return (compressor.compress(payload) + compressor.flush(zlib.Z_FULL_FLUSH))[:-4]


class MemoryTests(SiegeTestCase):
    """Nobody can make the process hold much more than its limits say."""

    settings = """
        [tenant.shop1]
        hosts = ["localhost"]
        backend = "{backend}"
        compression = true
        [tenant.shop2]
        hosts = ["flood.example"]
        backend = "{flood}"
        [tenant.shop3]
        hosts = ["stuck.example"]
        backend = "{stuck}"
        compression = true
        [tenant.shop4]
        hosts = ["pages.example"]
        backend = "{backend}"
        site = "{pages}"
        """
    stuck: ClassVar[Backend]
    lines: ClassVar[list[str]]

    @classmethod
    def places(cls) -> dict[str, str]:
        cls.lines = []
        cls.addClassCleanup(lambda: print("", *cls.lines, sep="\n"))
        pages = cls.new_folder()
        (pages / "index.html").write_bytes(b"<!doctype html>" + b"p" * 4 * MIB)
        flood = cls.enterClassContext(Backend(Floods(b"f" * 64 * KIB for _ in iter(int, 1))))
        cls.stuck = cls.enterClassContext(Backend(silent))
        return {
            **super().places(),
            "flood": flood.endpoint,
            "stuck": cls.stuck.endpoint,
            "pages": str(pages),
        }

    @contextmanager
    def bounded(self, what: str, most: int = SLACK) -> Iterator[None]:
        """Look at the worst moment of the process's memory while something is done to it."""
        with self.watched():
            Path(f"/proc/{self.gateway.pid}/clear_refs").write_text("5")  # forget the peak so far
            before, began = self.gateway.memory, time.monotonic()
            yield
            grown = self.gateway.peak_memory - before
            self.lines.append(
                f"{what:44} {grown / MIB:6.1f} MiB at most, {time.monotonic() - began:.1f} s"
            )
            self.assertLess(grown, most)

    def deaf(self, scheme: str, request: bytes) -> socket.socket:
        """Return a connection whose request has been answered, and that reads no further."""
        target = self.targets[scheme]
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
        raw.settimeout(PATIENCE)
        raw.connect((target.address, target.port))
        if target.tls is not None:
            raw = target.tls.wrap_socket(raw, server_hostname=target.host)
        raw.sendall(request)
        self.assertEqual(raw.recv(9), b"HTTP/1.1 ")
        raw.settimeout(BLOCKED)
        return raw

    @staticmethod
    def send_until_blocked(raw: socket.socket, octets: bytes, most: int) -> int:
        """Send the same again and again, up to so many bytes; return how many were taken."""
        sent = 0
        with suppress(OSError):  # of time, or of the connection
            while sent < most:
                raw.sendall(octets)
                sent += len(octets)
        time.sleep(SETTLE)
        return sent

    def test_pings_without_end(self) -> None:
        """Who pings and never reads the pongs does not make the gateway keep them."""
        pings = frame(Opcode.PING, b"p" * 125) * 500
        for scheme in SCHEMES:
            with self.bounded(f"{scheme}, pings, and no pong is read", 4 * MIB):
                raw = self.deaf(scheme, upgrade())
                self.send_until_blocked(raw, pings, 14 * MIB)
                raw.close()

    def test_an_echo_that_nobody_reads(self) -> None:
        """Who sends and never reads what comes back is soon not read either."""
        messages = frame(Opcode.TEXT, b"e" * 64 * KIB)
        for scheme in SCHEMES:
            with self.bounded(f"{scheme}, echoes, and none is read"):
                raw = self.deaf(scheme, upgrade())
                sent = self.send_until_blocked(raw, messages, 256 * MIB)
                self.assertLess(sent, 64 * MIB, "nobody was stopped")
                raw.close()

    def test_a_flood_that_nobody_reads(self) -> None:
        """What a backend sends to a browser that never reads stays with the backend."""
        for scheme in SCHEMES:
            with self.bounded(f"{scheme}, a backend's flood, and none is read"):
                raw = self.deaf(scheme, upgrade(host="flood.example"))
                time.sleep(BLOCKED)
                raw.close()

    def test_pages_that_nobody_reads(self) -> None:
        """Requests for large pages whose answers are not read do not pile up."""
        request = head("GET / HTTP/1.1", host="pages.example")
        for scheme in SCHEMES:
            with self.bounded(f"{scheme}, pages, and none is read"):
                raw = self.deaf(scheme, request)
                self.send_until_blocked(raw, request * 100, 8 * MIB)
                raw.close()

    def test_a_backend_that_reads_nothing(self) -> None:
        """What waits for a backend is bounded by its window, however it comes."""
        bomb = frame(Opcode.BINARY, deflated(bytes(MIB)), rsv=4)
        for what, octets in {
            "messages": frame(Opcode.TEXT, b"m" * MIB) * 16,
            "small messages": frame(Opcode.TEXT, b"m") * 5000,
            "bombs": bomb * 40,
        }.items():
            for scheme in SCHEMES:
                self.stuck.talk = talk = NeverReads(then=silent)
                with self.bounded(f"{scheme}, {what} for a stuck backend", SLACK + 2 * MIB):
                    raw = self.deaf(scheme, upgrade("/ws", DEFLATE, host="stuck.example"))
                    self.send_until_blocked(raw, octets, 4 * len(octets))
                    raw.close()
                    talk.let_go()  # or the gateway waits for it, for half a minute

    def test_a_bomb(self) -> None:
        """A message that inflates beyond the limit is refused before it does."""
        whole = deflated(bytes(200 * MIB))
        for what, octets in {
            "a bomb": frame(Opcode.TEXT, whole, rsv=4),
            "a bomb in fragments": frame(Opcode.TEXT, whole[:1000], rsv=4, fin=False)
            + frame(Opcode.CONTINUATION, whole[1000:]),
            "a thousand bombs": frame(Opcode.TEXT, deflated(bytes(4 * MIB)), rsv=4) * 1000,
        }.items():
            for scheme in SCHEMES:
                with self.bounded(f"{scheme}, {what}"), self.attacker(scheme) as attacker:
                    attacker.enter(upgrade("/ws", DEFLATE))
                    attacker.send(octets)
                    self.assertEqual(attacker.outcome(PATIENCE).code, 1009)

    def test_floods_behind_the_end(self) -> None:
        """Who has been told why it is over, and floods on, is neither inflated nor kept."""
        bomb = frame(Opcode.TEXT, deflated(bytes(4 * MIB)), rsv=4)
        for what, begin in {
            "a bomb": bomb,
            "a reserved opcode": frame(3, b""),
            "no UTF-8": frame(Opcode.TEXT, b"\xff"),
        }.items():
            for scheme in SCHEMES:
                with self.bounded(f"{scheme}, a flood of bombs behind {what}", 4 * MIB):
                    raw = self.deaf(scheme, upgrade("/ws", DEFLATE))
                    self.send_until_blocked(raw, begin, len(begin))
                    self.send_until_blocked(raw, bomb * 16, 50 * MIB)
                    raw.close()

    def test_crumbs(self) -> None:
        """A message that comes in very many fragments takes no more than it says."""
        for name, crumb, count in (("empty", b"", 100_000), ("2 bytes", b"cc", 60_000)):
            octets = frame(Opcode.TEXT, b"c", fin=False)
            octets += frame(Opcode.CONTINUATION, crumb, fin=False) * count
            for scheme in SCHEMES:
                what = f"{scheme}, fragments, {name}"
                with self.bounded(what, 2 * MIB), self.attacker(scheme) as attacker:
                    attacker.enter(upgrade())
                    attacker.send(octets + frame(Opcode.CONTINUATION, b"c"))
                    attacker.read_until(lambda: bool(attacker.messages), PATIENCE)
                    size = len(attacker.messages[0].payload)
                    self.assertEqual(size, 2 + count * len(crumb))
