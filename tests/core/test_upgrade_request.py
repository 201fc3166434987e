"""The handshake once more, for the WebSocket library."""

import re

import h11
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.handshake import (
    Upgrade,
    decide,
    upgrade_request,
)
from tests.core.requests import KEY, ROUTES, SHOP, request


class UpgradeRequestTests(SynchronousTestCase):
    """The handshake once more, for the WebSocket library."""

    def parsed(self, upgrade: Upgrade, compression: bool) -> dict[bytes, bytes]:
        """Return the headers, as h11 reads them."""
        connection = h11.Connection(h11.SERVER)
        connection.receive_data(upgrade_request(upgrade, compression))
        event = connection.next_event()
        assert isinstance(event, h11.Request)
        self.assertEqual((event.method, event.target, event.http_version), (b"GET", b"/", b"1.1"))
        self.assertEqual(connection.trailing_data, (b"", False))
        headers = [(bytes(name), bytes(value)) for name, value in event.headers]
        self.assertEqual(len(dict(headers)), len(headers))
        return dict(headers)

    def test_least(self) -> None:
        """Only what the RFC asks for is in it, with the browser's key."""
        self.assertEqual(
            self.parsed(Upgrade(SHOP, KEY), True),
            {
                b"host": b"localhost",
                b"upgrade": b"websocket",
                b"connection": b"Upgrade",
                b"sec-websocket-version": b"13",
                b"sec-websocket-key": KEY,
            },
        )

    def test_subprotocol(self) -> None:
        """Of the subprotocols only the chosen one is in it: no token beside it goes on."""
        headers = self.parsed(Upgrade(SHOP, KEY, "orion.v2"), False)
        self.assertEqual(headers[b"sec-websocket-protocol"], b"orion.v2")

    def test_extensions(self) -> None:
        """Extensions are offered to the library only where the tenant wants compression."""
        upgrade = Upgrade(SHOP, KEY, None, b"permessage-deflate")
        self.assertNotIn(b"sec-websocket-extensions", self.parsed(upgrade, False))
        self.assertEqual(
            self.parsed(upgrade, True)[b"sec-websocket-extensions"], b"permessage-deflate"
        )

    @settings(deadline=None)
    @given(
        st.lists(st.binary(max_size=30), max_size=3),
        st.lists(st.binary(max_size=30), max_size=3),
        st.lists(
            st.tuples(
                st.sampled_from([b"origin", b"x-forwarded-for", b"cookie", b"sec-websocket-key"]),
                st.binary(max_size=30),
            ),
            max_size=3,
        ),
    )
    def test_nothing_odd_gets_through(
        self, extensions: list[bytes], subprotocols: list[bytes], others: list[tuple[bytes, bytes]]
    ) -> None:
        """Whatever bytes a peer sends, the library reads just the headers that we wrote."""
        decision = decide(
            request(
                *((b"sec-websocket-extensions", value) for value in extensions),
                *((b"sec-websocket-protocol", value) for value in subprotocols),
                *others,
            ),
            ROUTES,
        )
        if isinstance(decision, Upgrade):
            again = upgrade_request(decision, True)
            known = {
                "GET / HTTP/1.1",
                "",
                "Host",
                "Upgrade",
                "Connection",
                "Sec-WebSocket-Version",
                "Sec-WebSocket-Key",
                "Sec-WebSocket-Protocol",
                "Sec-WebSocket-Extensions",
            }
            # As Autobahn splits it: at every byte that is a line's end to Python.
            lines = again.decode("iso-8859-1").splitlines()
            self.assertLessEqual({re.sub(":.*", "", line) for line in lines}, known)
