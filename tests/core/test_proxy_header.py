"""PROXY headers, against the examples and the rules of the specification."""

from struct import pack

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.proxy_header import (
    V1_LONGEST,
    V2_LONGEST,
    V2_START,
    BadProxyHeader,
    Behind,
    read_proxy_header,
)

V1 = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n"
V1_6 = b"PROXY TCP6 2001:db8::7 2001:db8::1 56324 443\r\n"
ADDRESSES4 = bytes([192, 0, 2, 7, 198, 51, 100, 1]) + pack("!HH", 56324, 443)
ADDRESSES6 = bytes.fromhex("20010db8" + "00" * 11 + "07") * 2 + pack("!HH", 56324, 443)


def v2(command: int, family: int, addresses: bytes) -> bytes:
    """Return a header of version 2."""
    return V2_START + pack("!BBH", command, family, len(addresses)) + addresses


GOOD = {
    V1: Behind("192.0.2.7", 56324, len(V1)),
    V1_6: Behind("2001:db8::7", 56324, len(V1_6)),
    b"PROXY UNKNOWN\r\n": Behind(None, 0, 15),
    b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n": Behind(None, 0, 35),
    v2(0x21, 0x11, ADDRESSES4): Behind("192.0.2.7", 56324, 28),
    v2(0x21, 0x21, ADDRESSES6): Behind("2001:db8::7", 56324, 52),
    v2(0x21, 0x11, ADDRESSES4 + b"\x03\x00\x04abcd"): Behind("192.0.2.7", 56324, 35),
    v2(0x20, 0x00, b""): Behind(None, 0, 16),
    v2(0x20, 0x11, ADDRESSES4): Behind(None, 0, 28),
}

BAD = (
    b"GET / HTTP/1.1\r\n",
    b"\x16\x03\x01",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 56324\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443 5\r\n",
    b"PROXY  TCP4 192.0.2.7 198.51.100.1 56324 443\r\n",
    b"PROXY TCP4 192.0.2.777 198.51.100.1 56324 443\r\n",
    b"PROXY TCP4 2001:db8::7 2001:db8::1 56324 443\r\n",
    b"PROXY TCP4 192.0.2.7\xff 198.51.100.1 56324 443\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 65536 443\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 -1 443\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 123456 443\r\n",
    b"PROXY UDP4 192.0.2.7 198.51.100.1 1 2\r\n",
    b"PROXY\r\n",
    b"PROXY \r\n",
    b"PROXY " + b"x" * 200,
    v2(0x31, 0x11, ADDRESSES4),
    v2(0x22, 0x11, ADDRESSES4),
    v2(0x21, 0x12, ADDRESSES4),
    v2(0x21, 0x31, bytes(216)),
    v2(0x21, 0x11, ADDRESSES4[:-1]),
    v2(0x21, 0x11, bytes(V2_LONGEST)),
)


class ProxyHeaderTests(SynchronousTestCase):
    """`read_proxy_header`."""

    def test_good(self) -> None:
        """Both versions are read; health checks and unknown families speak for the proxy."""
        for header, behind in GOOD.items():
            with self.subTest(header):
                self.assertEqual(read_proxy_header(header), behind)
                self.assertEqual(read_proxy_header(header + b"\x16\x03\x01"), behind)

    def test_cut_anywhere(self) -> None:
        """A header that is not whole yet is waited for."""
        for header in GOOD:
            for end in range(len(header)):
                with self.subTest(header[:end]):
                    self.assertIsNone(read_proxy_header(header[:end]))

    def test_bad(self) -> None:
        """What is no header, or says nothing that can be used, is refused."""
        for header in BAD:
            with self.subTest(header), self.assertRaises(BadProxyHeader):
                read_proxy_header(header)

    def test_longest_line(self) -> None:
        """A line is waited for up to its longest, and no further."""
        self.assertIsNone(read_proxy_header(b"PROXY ".ljust(V1_LONGEST - 1, b"x")))
        with self.assertRaises(BadProxyHeader):
            read_proxy_header(b"PROXY ".ljust(V1_LONGEST, b"x"))

    @settings(deadline=None)
    @given(
        st.binary(max_size=200)
        | st.builds(
            lambda start, rest: start + rest, st.sampled_from([V2_START, b"PROXY "]), st.binary()
        )
    )
    def test_any_bytes(self, data: bytes) -> None:
        """Any bytes are a header, the beginning of one, or refused."""
        try:
            behind = read_proxy_header(data)
        except BadProxyHeader:
            return
        if behind is not None:
            self.assertLessEqual(behind.length, len(data))
