"""Heads of requests: there is one way to read them, whichever way they are read."""

from __future__ import annotations

import re
from unittest.mock import patch

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.handshake import Refused, Request
from orion_twisted.web import heads
from orion_twisted.web.heads import read_head

NOTHING = re.compile(rb"(?!)")

LINES = (
    b"Host: shop.example:8889",
    b"HOST: shop.example",
    b"Upgrade: websocket",
    b"Connection: keep-alive, Upgrade",
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    b"Content-Length: 0",
    b"Content-Length: 5",
    b"transfer-encoding: chunked",
    b"Expect: 100-continue",
    b"X-Empty:",
    b"X-Spaces:   a  b ",
    b"X-Tab: a\tb",
    b"X-\xe4: a",
    b"X-Latin: \xe4",
    b"No colon",
    b"Two words: a",
    b": no name",
    b"Colons: a:b: c",
)
FIRST_LINES = (
    b"GET /ws?token=x HTTP/1.1",
    b"GET / HTTP/1.1",
    b"GET /a?b?c#d HTTP/1.1",
    b"GET http://other.example/ws HTTP/1.1",
    b"HEAD / HTTP/1.1",
    b"GET / HTTP/1.0",
    b"GET /a b HTTP/1.1",
    b"GET  / HTTP/1.1",
)


def both(head: bytes) -> tuple[Request | Refused, Request | Refused]:
    """Read a head as it is read, and by h11 alone."""
    with patch.object(heads, "_PLAIN_HEAD", NOTHING):
        by_h11 = read_head(head)
    return read_head(head), by_h11


class OneLookTests(SynchronousTestCase):
    """Plain heads are read at one look."""

    @settings(deadline=None, max_examples=400)
    @given(
        st.sampled_from(FIRST_LINES),
        st.lists(st.sampled_from(LINES), max_size=6),
        st.binary(max_size=3),
        st.integers(0, 200),
    )
    @example(FIRST_LINES[0], [LINES[0], LINES[2], LINES[3], LINES[4]], b"", 0)
    def test_like_h11(self, first: bytes, lines: list[bytes], noise: bytes, at: int) -> None:
        """It is what h11 makes of them: the same request, or the same refusal."""
        head = b"\r\n".join([first, *lines, b"", b""])
        head = head[:at] + noise + head[at:]
        if head.find(b"\r\n\r\n") == len(head) - 4:  # the gate gives nothing else
            ours, by_h11 = both(head)
            self.assertEqual(ours, by_h11)

    def test_without_h11(self) -> None:
        """A browser's head needs no second look."""
        head = b"GET /ws?a=b HTTP/1.1\r\nHost: shop.example\r\nUpgrade: websocket\r\n\r\n"
        with patch.object(heads.h11, "Connection", None):
            request = read_head(head)
        fields = ((b"host", b"shop.example"), (b"upgrade", b"websocket"))
        self.assertEqual(request, Request("GET", "/ws", "a=b", fields))
