"""
Floods of small frames, and what another browser notices of them.

Each of the two has a backend process of its own: what is measured is the gateway's doing, and that
of a machine with few cores.
"""

from __future__ import annotations

import statistics
import sys
import time
import zlib
from pathlib import Path

from tests.abuse.attacker import Attacker
from tests.abuse.siege import SCHEMES, SiegeTestCase
from tests.conformance.frames import Opcode, close_frame, frame
from tests.e2e.answers import upgrade
from tests.harness import PATIENCE, Process, free_port

COUNT = 10_000
WORST, MEDIAN = 0.25, 0.05
"""Seconds that another browser's echo may take meanwhile, on a machine with two shared cores."""

DEFLATE = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"


def deflated(payload: bytes) -> bytes:
    """Return a message as permessage-deflate sends it (RFC 7692, section 7.2.1)."""
    compressor = zlib.compressobj(wbits=-15)
    return (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


TINY = frame(Opcode.TEXT, b"x")

# What is sent in one write, and how many messages or pongs come back; 0 where there is no counting
# them, since they are compressed, and the end of the connection is what is waited for.
BURSTS: dict[str, tuple[bytes, int]] = {
    "messages": (TINY * COUNT, COUNT),
    "fragments": (
        frame(Opcode.TEXT, b"x", fin=False)
        + frame(Opcode.CONTINUATION, b"x", fin=False) * (COUNT - 2)
        + frame(Opcode.CONTINUATION, b"x"),
        1,
    ),
    "empty fragments": (
        frame(Opcode.TEXT, b"x", fin=False)
        + frame(Opcode.CONTINUATION, b"", fin=False) * (COUNT - 2)
        + frame(Opcode.CONTINUATION, b""),
        1,
    ),
    "pings": (frame(Opcode.PING, b"p") * COUNT, COUNT),
    "pongs": (frame(Opcode.PONG, b"p") * COUNT + TINY, 1),
    "compressed messages": (
        frame(Opcode.TEXT, deflated(b"x"), rsv=4) * COUNT + close_frame(1000),
        0,
    ),
}


class EchoProcess(Process):
    """An echoing backend that shares no interpreter with anybody."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        super().__init__([sys.executable, "-m", "tests.conformance.echo", str(self.port)], folder)
        self.wait_for_port(self.port)


class BurstTests(SiegeTestCase):
    """Ten thousand frames in one write delay no other browser by more than a few milliseconds."""

    settings = """
        [tenant.shop1]
        hosts = ["localhost"]
        backend = "{backend}"
        [tenant.shop2]
        hosts = ["attacker.example"]
        backend = "{other}"
        compression = true
        """

    @classmethod
    def places(cls) -> dict[str, str]:
        ports = {}
        for name in ("backend", "other"):
            backend = EchoProcess(cls.new_folder())
            cls.addClassCleanup(backend.stop)
            ports[name] = f"tcp:127.0.0.1:{backend.port}"
        return ports

    def time_echoes(self, scheme: str, count: int) -> list[float]:
        """Return the seconds that each of another browser's echoes takes."""
        times = []
        for _ in range(count):
            began = time.perf_counter()
            self.witness(scheme)
            times.append(time.perf_counter() - began)
        return times

    def time_burst(self, scheme: str, octets: bytes, answers: int) -> list[float]:
        """Send it, and time another browser's echoes until it is through."""
        offer = () if answers else (f"Sec-WebSocket-Extensions: {DEFLATE}",)
        with self.attacker(scheme) as attacker:
            attacker.enter(upgrade("/ws", *offer, host="attacker.example"))
            attacker.send(octets)
            times: list[float] = []
            deadline = time.monotonic() + PATIENCE
            while not self.is_through(attacker, answers):
                self.assertLess(time.monotonic(), deadline)
                times += self.time_echoes(scheme, 5)
                attacker.read_until(lambda: False, 0.0)
        return times

    @staticmethod
    def is_through(attacker: Attacker, answers: int) -> bool:
        if not answers:
            return bool(attacker.ended)
        return len(attacker.messages) + len(attacker.pongs) >= answers

    def test_bursts(self) -> None:
        """Whatever the frames are, the others' echoes hardly notice."""
        lines = ["others' echoes, median and worst in ms, without and with 10,000 frames at once"]
        for scheme in SCHEMES:
            lines.append(_line(f"{scheme}, nothing", self.time_echoes(scheme, 200)))
            for name, (octets, answers) in BURSTS.items():
                with self.subTest(name, scheme=scheme), self.watched():
                    times = self.time_burst(scheme, octets, answers)
                    lines.append(_line(f"{scheme}, {name}", times))
                    self.assertLess(max(times), WORST)
                    self.assertLess(statistics.median(times), MEDIAN)
        print("", *lines, sep="\n")


def _line(name: str, times: list[float]) -> str:
    median, worst = 1000 * statistics.median(times), 1000 * max(times)
    return f"{name:24} {median:8.2f} {worst:8.2f}   ({len(times)} echoes, {sum(times):.2f} s)"
