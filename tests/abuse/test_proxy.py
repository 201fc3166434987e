"""PROXY headers: from proxies that are trusted and send nonsense, and from those who are not."""

from __future__ import annotations

import struct
from contextlib import ExitStack
from dataclasses import replace

from tests.abuse.attack import SOON
from tests.abuse.attacker import CUT, SERVED, Attacker, Outcome, refused
from tests.abuse.siege import MARK, SCHEMES, SiegeTestCase
from tests.conformance.wire import WireError
from tests.e2e.answers import upgrade
from tests.harness import PATIENCE

PROXY, OTHER = "127.0.0.9", "127.0.0.2"
"""A proxy that is trusted, and a client that only says to be one."""
CLIENT, CLIENT6 = "203.0.113.7", "2001:db8::7"
"""Who is behind the proxy (RFC 5737, RFC 3849)."""
MOST_OF_ONE = 20

START = b"\r\n\r\n\x00\r\nQUIT\n"
HTTP = upgrade(f"/ws?{MARK}")


def v1(client: str = CLIENT, kind: str = "TCP4", server: str = "192.0.2.1") -> bytes:
    return f"PROXY {kind} {client} {server} 54321 443\r\n".encode()


def v2(
    addresses: bytes | None = None,
    command: int = 0x21,
    family: int = 0x11,
    size: int | None = None,
) -> bytes:
    if addresses is None:
        addresses = bytes([203, 0, 113, 7, 192, 0, 2, 1]) + struct.pack("!HH", 54321, 443)
    size = len(addresses) if size is None else size
    return START + struct.pack("!BBH", command, family, size) + addresses


GOOD: dict[str, bytes] = {
    "version 1": v1(),
    "version 1, IPv6": v1(CLIENT6, "TCP6", "2001:db8::1"),
    "version 1, unknown": b"PROXY UNKNOWN\r\n",
    "version 1, unknown, with more": b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n",
    "version 2": v2(),
    "version 2, with more": v2(v2()[16:] + b"\x03\x00\x04abcd" * 20),
    "version 2, IPv6": v2(bytes(15) + b"\x01" + bytes(15) + b"\x02\x00\x01\x00\x02", family=0x21),
    "version 2, local": v2(b"", 0x20, 0x00),
}

BAD: dict[str, bytes] = {
    "HTTP": HTTP,
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "zeros": bytes(200),
    "version 1, bare LF": v1().replace(b"\r\n", b"\n") + b"x" * 110,
    "version 1, without an end": b"PROXY TCP4 " + b"1" * 200,
    "version 1, just too long": b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n",
    "version 1, in lower case": v1().lower(),
    "version 1, an address too few": b"PROXY TCP4 203.0.113.7 54321 443\r\n",
    "version 1, IPv6 for TCP4": v1(CLIENT6),
    "version 1, IPv4 for TCP6": v1(CLIENT, "TCP6", "2001:db8::1"),
    "version 1, another protocol": v1(kind="UDP4"),
    "version 1, leading zeros": v1("203.000.113.007"),
    "version 1, a number": v1("3405803783"),
    "version 1, a name": v1("localhost"),
    "version 1, a NUL": v1("203.0.113.7\0"),
    "version 1, two spaces": v1().replace(b"TCP4 ", b"TCP4  "),
    "version 1, a bad port": v1().replace(b"54321", b"65536"),
    "version 1, a negative port": v1().replace(b"54321", b"-1"),
    "version 1, letters beyond ASCII": v1("203.0.113.\xb2"),
    "version 2, version 1": v2(command=0x11),
    "version 2, another command": v2(command=0x22),
    "version 2, 64 KiB": v2(bytes(2000), size=65535),
    "version 2, addresses cut off": v2(bytes(8)),
    "version 2, no addresses": v2(b""),
    "version 2, a UNIX socket": v2(bytes(216), family=0x31),
    "version 2, UDP": v2(family=0x12),
    "version 2, unspecified": v2(family=0x00),
    "half of a start": START[:8] + b"GET / HTTP/1.1\r\n\r\n",
}

SLOW: dict[str, bytes] = {
    "silence": b"",
    "half a version 1": b"PROXY TCP4 203.0",
    "half a version 2": v2()[:20],
    "a version 2 without what it announces": v2(size=500),
}


class ProxyTests(SiegeTestCase):
    """A proxy says who is behind it, exactly; nobody else can."""

    settings = f"""
        proxy_protocol_from = ["{PROXY}/32", "fd00::/8"]
        [limits]
        handshake = "2 s"
        connections_per_ip = {MOST_OF_ONE}
        [tenant.shop1]
        hosts = ["localhost"]
        backend = "{{backend}}"
        """

    def behind(self, scheme: str, header: bytes, source: str = PROXY) -> Attacker:
        """Return a connection that begins with a header; `WireError` if TLS does not come up."""
        return Attacker(replace(self.targets[scheme], source=source, preface=header), PATIENCE)

    def outcome(self, scheme: str, header: bytes, source: str = PROXY) -> Outcome:
        try:
            with self.behind(scheme, header, source) as attacker:
                attacker.send(HTTP)
                return attacker.outcome(SOON, b"hello")
        except WireError:
            return CUT

    def test_good_headers(self) -> None:
        """Either version says who is coming, or that the proxy itself is, in TLS and without."""
        with self.watched():
            for scheme in SCHEMES:
                for name, header in GOOD.items():
                    with self.subTest(name, scheme=scheme):
                        self.assertEqual(self.outcome(scheme, header), SERVED)
        self.assertEqual(self.news().refused, {})

    def test_bad_headers(self) -> None:
        """A connection of a proxy that does not begin so is dropped at once, and counted."""
        with self.watched():
            for scheme in SCHEMES:
                for name, header in BAD.items():
                    with self.subTest(name, scheme=scheme):
                        self.assertEqual(self.outcome(scheme, header), CUT)
        self.assertEqual(self.news().refused, {"proxy_header": len(SCHEMES) * len(BAD)})

    def test_slow_headers(self) -> None:
        """A header that does not come is not waited for any longer than a handshake."""
        with self.watched(), ExitStack() as stack:
            attackers = [
                stack.enter_context(
                    Attacker(
                        replace(self.targets[scheme], source=PROXY, preface=header, tls=None),
                        PATIENCE,
                    )
                )
                for scheme in SCHEMES
                for header in SLOW.values()
            ]
            for attacker in attackers:
                self.assertEqual(attacker.outcome(2 + SOON, hang_up=False), CUT)
        self.assertEqual(self.news().refused, {"proxy_header_timeout": len(attackers)})

    def test_byte_by_byte(self) -> None:
        """A header may come in pieces, as anything on TCP."""
        for header in (v1(), v2()):
            with Attacker(replace(self.targets["ws"], source=PROXY), PATIENCE) as attacker:
                attacker.send(header + HTTP, chop=1)
                self.assertEqual(attacker.outcome(SOON, b"hello"), SERVED)

    def test_from_others(self) -> None:
        """For anybody else a header is no header, but a request that is none."""
        with self.watched():
            for header in (v1(), v2()):
                self.assertEqual(self.outcome("ws", header, OTHER), refused(400))
                self.assertEqual(self.outcome("wss", header, OTHER), CUT)
            self.assertEqual(self.outcome("ws", b"", OTHER), SERVED)
            self.assertEqual(self.outcome("wss", b"", OTHER), SERVED)
        self.assertEqual(self.news().refused["head_malformed"], 2)

    def test_two_headers(self) -> None:
        """The second header of a connection is none."""
        self.assertEqual(self.outcome("ws", v1() + v1("192.0.2.99")), refused(400))
        self.assertEqual(self.outcome("wss", v2() + v2()), CUT)
        self.assertNotIn("192.0.2.99", self.news().log)

    def test_the_address_counts(self) -> None:
        """Limits and logs are about who is behind the proxy, not about the proxy."""
        with self.watched(), ExitStack() as stack:
            for number in range(MOST_OF_ONE):
                browser = self.behind(SCHEMES[number % 2], v1())
                stack.enter_context(browser).enter(HTTP)
            for scheme in SCHEMES:
                self.assertEqual(self.outcome(scheme, v1()), refused(429))
                self.assertEqual(self.outcome(scheme, v1("203.0.113.8")), SERVED)
                self.assertEqual(self.outcome(scheme, v2(b"", 0x20, 0x00)), SERVED)
        news = self.news()
        self.assertEqual(news.refused, {"address_full": 2})
        self.assertIn(f"refusing {CLIENT} of shop1: 429 address_full", news.log)
        self.assertIn(f"browser {CLIENT} of shop1 is in", news.log)

    def test_silence_behind_it(self) -> None:
        """A header does not make the deadline any longer."""
        with self.watched(), ExitStack() as stack:
            attackers = [
                stack.enter_context(
                    Attacker(
                        replace(self.targets[scheme], source=PROXY, preface=v1(), tls=None),
                        PATIENCE,
                    )
                )
                for scheme in SCHEMES
            ]
            for attacker in attackers:
                self.assertEqual(attacker.outcome(4 + SOON, hang_up=False), CUT)
        self.assertEqual(self.news().refused, {"handshake_timeout": 2})
