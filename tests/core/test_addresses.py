"""Listeners, backends, places to dial in: what they may look like, and that Twisted agrees."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet import endpoints
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.addresses import (
    MAX_SOCKET_PATH,
    DialInPlace,
    Listener,
    check_backend,
    parse_dial_in,
    parse_listener,
    split,
)
from orion_twisted.core.problems import BadValue

LISTENERS = {
    "tls:8889": Listener("tls", 8889, "", "tcp:8889", True),
    "tls:8889:interface=127.0.0.1": Listener(
        "tls", 8889, "127.0.0.1", "tcp:8889:interface=127.0.0.1", True
    ),
    r"tls:443:interface=\:\:": Listener("tls", 443, "::", r"tcp:443:interface=\:\:", True),
    r"tcp:0:interface=0\:0\:0\:0\:0\:0\:0\:1": Listener(
        "tcp", 0, "::1", r"tcp:0:interface=0\:0\:0\:0\:0\:0\:0\:1", False
    ),
    "tcp:8888:interface=10.0.0.1:backlog=1000": Listener(
        "tcp", 8888, "10.0.0.1", "tcp:8888:interface=10.0.0.1:backlog=1000", False
    ),
    "tcp:port=65535": Listener("tcp", 65535, "", "tcp:port=65535", False),
    "unix:/run/orion.sock": Listener(
        "unix", None, "/run/orion.sock", "unix:/run/orion.sock", False
    ),
    r"unix:/run/a\:b:mode=660:lockfile=0": Listener(
        "unix", None, "/run/a:b", r"unix:/run/a\:b:mode=660:lockfile=0", False
    ),
    "systemd:domain=INET:index=0": Listener(
        "systemd", None, "", "systemd:domain=INET:index=0", False
    ),
    "systemd:INET6:name=web": Listener("systemd", None, "", "systemd:INET6:name=web", False),
}

USAGE = "tcp:PORT[:interface=ADDRESS]"
KINDS = 'expected one of "tls", "tcp", "unix", "systemd"'
BAD_LISTENERS = {
    "": (f'unknown kind "": {KINDS}', None),
    "8889": ('"8889" does not say how to listen', 'did you mean "tls:8889"?'),
    "tsl:8889": (f'unknown kind "tsl": {KINDS}', 'did you mean "tls"?'),
    "TLS:8889": (f'unknown kind "TLS": {KINDS}', 'did you mean "tls"?'),
    "ssl:8889": (f'unknown kind "ssl": {KINDS}', 'did you mean "tls"?'),
    "https:8889": (f'unknown kind "https": {KINDS}', 'did you mean "tls"?'),
    "ws:8889": (f'unknown kind "ws": {KINDS}', 'did you mean "tcp"?'),
    "port=8889": (f'unknown kind "port=8889": {KINDS}', None),
    "port=8889:tls": (f'unknown kind "port=8889": {KINDS}', None),
    r"\tls:8889": (rf'unknown kind "\\tls": {KINDS}', 'did you mean "tls"?'),
    "tcp": (f"port missing: expected {USAGE}", None),
    "tcp:": ('port: "" is no number from 0 to 65535', None),
    "tcp:65536": ('port: "65536" is no number from 0 to 65535', None),
    "tcp:-1": ('port: "-1" is no number from 0 to 65535', None),
    "tcp:٣": ('port: "٣" is no number from 0 to 65535', None),
    "tcp:80:interface=localhost": (
        'interface: "localhost" is no IP address',
        'did you mean "127.0.0.1"?',
    ),
    "tcp:80:interface=eth0": ('interface: "eth0" is no IP address', None),
    "tcp:80:interface=::1": (
        f"has too many parts: expected {USAGE}",
        r"a colon inside a part is written \:",
    ),
    "tcp:80:interfase=1.2.3.4": ('unknown part "interfase"', 'did you mean "interface"?'),
    "tcp:80:port=81": ("port is given twice", None),
    "tcp:80:backlog=0": ('backlog: "0" is no number from 1 to 65535', None),
    "tcp:80\\": ("ends in a backslash that escapes nothing", None),
    "tcp:80:interface=1\\": ("ends in a backslash that escapes nothing", None),
    "unix:": ('address: "" is empty or has control characters', None),
    "unix:/a\0": (r'address: "/a\x00" is empty or has control characters', None),
    "unix:/a:mode=888": ('mode: "888" is no octal file mode such as 660', None),
    "unix:/a:lockfile=no": ('lockfile: "no" is none of "0", "1"', None),
    "systemd:domain=INET": (
        "needs either index or name: expected systemd:domain=INET:index=0, "
        "or name=NAME for the index",
        None,
    ),
    "systemd:domain=INET:index=0:name=x": (
        "needs either index or name: expected systemd:domain=INET:index=0, "
        "or name=NAME for the index",
        None,
    ),
    "systemd:domain=inet:index=0": (
        'domain: "inet" is none of "INET", "INET6", "UNIX"',
        'did you mean "INET"?',
    ),
    "systemd:index=0": (
        "domain missing: expected systemd:domain=INET:index=0, or name=NAME for the index",
        None,
    ),
}

BACKENDS = (
    "tcp:127.0.0.1:7000",
    "tcp:orion-1.example:7000",
    r"tcp:\:\:1:7000:timeout=3",
    r"tcp:fe80\:\:1%eth0:7000",
    "tcp:host=localhost:port=1:bindAddress=127.0.0.1",
    "tls:orion.example:7000",
    "tls:Orion-1.xn--bcher-kva.example.:7000",
    "tls:10.1.0.5:7000:timeout=10",
    r"tls:orion.example:7000:endpoint=tcp\:127.0.0.1\:8443",
    "unix:/run/orion.sock",
    "unix:/run/orion.sock:timeout=5:lockfile=1",
)

BAD_BACKENDS = {
    "dial-in": ('unknown kind "dial-in": expected one of "tcp", "tls", "unix"', None),
    "127.0.0.1:7000": ("does not say how to connect", 'did you mean "tcp:127.0.0.1:7000"?'),
    "orion:7000": ("does not say how to connect", 'did you mean "tcp:orion:7000"?'),
    "https://user:secret@orion.example:7000": (
        'unknown kind "https": expected one of "tcp", "tls", "unix"',
        'did you mean "tls"?',
    ),
    "tcp:7000": ("port missing: expected tcp:HOST:PORT", None),
    "tcp:timeout=5": ("host and port missing: expected tcp:HOST:PORT", None),
    "tcp:h:0": ('port: "0" is no number from 1 to 65535', None),
    "tcp::7000": ('host: "" is no host name or address', None),
    "tcp:a b:7000": ('host: "a b" is no host name or address', None),
    "tcp:::1:7000": (
        "has too many parts: expected tcp:HOST:PORT",
        r"a colon inside a part is written \:",
    ),
    "tcp:h:1:tiemout=3": ('unknown part "tiemout"', 'did you mean "timeout"?'),
    "tcp:h:1:timeout=3601": ('timeout: "3601" is no number from 1 to 3600', None),
    "tcp:h:1:trustRoots=/ca": ('unknown part "trustRoots"', None),
    "tls:bücher.example:1": (
        'host: "bücher.example" is no name that a certificate is checked against',
        'did you mean "xn--bcher-kva.example"?',
    ),
    "tls:a_b:1": ('host: "a_b" is no name that a certificate is checked against', None),
    "tls:x.ab--c:1": ('host: "x.ab--c" is no name that a certificate is checked against', None),
    r"tls:\:\:1:1": ('host: "::1" is no name that a certificate is checked against', None),
    "tls:h:1:trustRoots=": ('trustRoots: "" is empty or has control characters', None),
    r"tls:h:1:endpoint=tpc\:h\:1": (
        'endpoint: unknown kind "tpc": expected one of "tcp", "tls", "unix"',
        'did you mean "tcp"?',
    ),
}

DIAL_IN_PLACES = {
    "tcp:8887": DialInPlace("tcp", description="tcp:8887"),
    r"tcp:0:interface=\:\:1": DialInPlace("tcp", description=r"tcp:0:interface=\:\:1"),
    "unix:/run/orion.sock:mode=660": DialInPlace(
        "unix", description="unix:/run/orion.sock:mode=660"
    ),
    "ws:/orion": DialInPlace("ws", path="/orion"),
    "ws:/a:b=c%20d": DialInPlace("ws", path="/a:b=c%20d"),
}

NO_PATH = "is no path: a slash, then ASCII without spaces, query or fragment"
BAD_DIAL_IN_PLACES = {
    "8887": (
        'unknown kind "8887": expected one of "tcp", "unix", "ws"',
        'did you mean "tcp:8887"?',
    ),
    "tls:8887": ('unknown kind "tls": expected one of "tcp", "unix", "ws"', None),
    "wss:/orion": (
        'unknown kind "wss": expected one of "tcp", "unix", "ws"',
        'did you mean "ws"?',
    ),
    "tpc:8887": ('unknown kind "tpc": expected one of "tcp", "unix", "ws"', 'did you mean "tcp"?'),
    "systemd:INET:index=0": (
        'unknown kind "systemd": expected one of "tcp", "unix", "ws"',
        None,
    ),
    "": ('unknown kind "": expected one of "tcp", "unix", "ws"', None),
    "tcp:65536": ('port: "65536" is no number from 0 to 65535', None),
    "tcp": ("port missing: expected tcp:PORT[:interface=ADDRESS]", None),
    "unix:": ('address: "" is empty or has control characters', None),
    "ws:orion": (f'"orion" {NO_PATH}', 'did you mean "/orion"?'),
    "ws:/a?b": (f'"/a?b" {NO_PATH}', None),
    "ws": (f'"" {NO_PATH}', 'did you mean "/"?'),
}

# Parts of addresses in any order, so that some come out right, and some of those are touched.
PART = st.sampled_from(
    ["port=1", "h", "1", "0", "/a", "interface=1.2.3.4", "timeout=5", "mode=660"]
)
ADDRESS = st.builds(
    lambda kind, parts, place, extra: (
        (whole := ":".join([kind, *parts]))[:place] + extra + whole[place:]
    ),
    st.sampled_from(["tls", "tcp", "unix", "tls", "tcp", "systemd", "ws", ""]),
    st.lists(PART, max_size=3),
    st.integers(0, 20),
    st.just("") | st.text(max_size=2) | st.sampled_from([":", "=", "\\", "\\:"]),
)


class ListenerTests(SynchronousTestCase):
    """`parse_listener`."""

    def test_what_there_is(self) -> None:
        """Every kind is read, and written again as the setting had it."""
        for text, listener in LISTENERS.items():
            with self.subTest(text):
                self.assertEqual(parse_listener(text), listener)
                self.assertEqual(str(listener), text)

    def test_twisted_agrees(self) -> None:
        """The description of a listener is one that Twisted makes an endpoint of."""
        for text, listener in LISTENERS.items():
            if listener.kind != "systemd":  # Twisted looks for that descriptor at once
                with self.subTest(text):
                    endpoints.serverFromString(MemoryReactorClock(), listener.description)

    def test_mistakes(self) -> None:
        """A mistake is named, with what was probably meant."""
        for text, (words, hint) in BAD_LISTENERS.items():
            with self.subTest(text):
                error = self.assertRaises(BadValue, parse_listener, text)
                self.assertEqual((str(error), error.hint), (words, hint))

    def test_long_socket_path(self) -> None:
        """A path that the system has no room for is refused before it is bound."""
        path = "/" + "é" * ((MAX_SOCKET_PATH - 1) // 2)
        self.assertEqual(parse_listener(f"unix:{path}").interface, path)
        error = self.assertRaises(BadValue, parse_listener, f"unix:{path}é")
        self.assertIn("longer than the 107 bytes", str(error))

    @given(ADDRESS)
    @settings(deadline=None)
    def test_any_text(self, text: str) -> None:
        """Any text is a listener that Twisted takes, or is refused with a reason."""
        try:
            listener = parse_listener(text)
        except BadValue as error:
            self.assertTrue(str(error).isprintable())
        else:
            if listener.kind != "systemd":
                endpoints.serverFromString(MemoryReactorClock(), listener.description)


class BackendTests(SynchronousTestCase):
    """`check_backend`."""

    def test_what_there_is(self) -> None:
        """Every kind is taken as it is, and Twisted makes an endpoint of it."""
        for text in BACKENDS:
            with self.subTest(text):
                self.assertEqual(check_backend(text), text)
                endpoints.clientFromString(MemoryReactorClock(), text)

    def test_certificates(self) -> None:
        """A TLS backend may be given its trust and our own certificate."""
        text = "tls:h:1:trustRoots=/ca:certificate=/c.pem:privateKey=/k.pem:bindAddress=10.0.0.1"
        self.assertEqual(check_backend(text), text)

    def test_mistakes(self) -> None:
        """A mistake is named, with what was probably meant."""
        for text, (words, hint) in BAD_BACKENDS.items():
            with self.subTest(text):
                error = self.assertRaises(BadValue, check_backend, text)
                self.assertEqual((str(error), error.hint), (words, hint))

    @given(ADDRESS)
    @settings(deadline=None)
    def test_any_text(self, text: str) -> None:
        """Any text is a backend that Twisted takes, or is refused with a reason."""
        try:
            check_backend(text)
        except BadValue as error:
            self.assertTrue(str(error).isprintable())
        else:
            endpoints.clientFromString(MemoryReactorClock(), text)


class DialInTests(SynchronousTestCase):
    """`parse_dial_in`."""

    def test_what_there_is(self) -> None:
        """Every kind is read, and written again as the setting had it."""
        for text, place in DIAL_IN_PLACES.items():
            with self.subTest(text):
                self.assertEqual(parse_dial_in(text), place)
                self.assertEqual(str(place), text)

    def test_mistakes(self) -> None:
        """A mistake is named, with what was probably meant."""
        for text, (words, hint) in BAD_DIAL_IN_PLACES.items():
            with self.subTest(text):
                error = self.assertRaises(BadValue, parse_dial_in, text)
                self.assertEqual((str(error), error.hint), (words, hint))

    @given(ADDRESS)
    @settings(deadline=None)
    def test_any_text(self, text: str) -> None:
        """Any text is a place that Twisted can listen at, or a path, or refused with a reason."""
        try:
            place = parse_dial_in(text)
        except BadValue as error:
            self.assertTrue(str(error).isprintable())
        else:
            self.assertNotEqual(bool(place.description), bool(place.path))
            if place.description:
                endpoints.serverFromString(MemoryReactorClock(), place.description)


class SplitTests(SynchronousTestCase):
    """`split`."""

    def test_as_twisted(self) -> None:
        """Parts, names and escapes are taken as Twisted takes them."""
        for text in ("", "a", "a:b", "a::b:", r"a\:b:c\=d:e=f=g:h=\\", "=", "a=b:c", r"\a"):
            with self.subTest(text):
                unnamed, named = split(text)
                self.assertEqual((unnamed, dict(named)), endpoints._parse(text))
