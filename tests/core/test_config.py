"""Settings: what a file may say, and what it means."""

from ipaddress import ip_network

from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.config import (
    DialInPlace,
    DialInSettings,
    Limits,
    Listener,
    SessionSettings,
    Settings,
    Tenant,
    TenantLimits,
    TokenSettings,
    describe,
    effective_message_limit,
    load_settings,
    merge,
)
from orion_twisted.core.settings import (
    MAX_LINK_HEADER,
    MAX_REWRITTEN,
    SESSION_SUBPROTOCOLS,
    TUNNEL_SUBPROTOCOLS,
    link_overhead,
)
from tests.core.settings_texts import DIALS_IN, FULL, GIB, LEAST, MIB, load


class LoadTests(SynchronousTestCase):
    """`load_settings`, of what is right."""

    def test_defaults(self) -> None:
        """What is not set is as the contract's table has it."""
        self.assertEqual(
            load(LEAST),
            Settings(
                listen=(Listener("tls", 8889, "", "tcp:8889", True),),
                certificates="certs",
                fallback=None,
                workers=1,
                limits=Limits(
                    message=1 * MIB,
                    header=16 * 1024,
                    connections=20000,
                    connections_per_ip=200,
                    pending_handshakes=512,
                    pending_handshakes_per_ip=32,
                    handshake=5.0,
                    connect_rate_per_ip=1000,
                    message_time=120.0,
                    message_rate=0,
                    byte_rate=0,
                    ping_every=20.0,
                    ping_timeout=10.0,
                    idle=0.0,
                    drain=30.0,
                    memory=1 * GIB,
                    held=200_000,
                    sessions=40_000,
                ),
                dial_in=(),
                tenants=(
                    Tenant(
                        name="default",
                        hosts=("*",),
                        path="/ws",
                        backend=("tcp:127.0.0.1:7000",),
                        dial_in=None,
                        mode="relay",
                        dialect="orion.v1",
                        links=0,
                        framing="int32",
                        message_type="text",
                        subprotocols=(),
                        text="refuse",
                        link_grace=30.0,
                        dial_timeout=5.0,
                        compression=False,
                        site=None,
                        session=SessionSettings(
                            ttl=120.0, window=64, window_bytes=1 * MIB, deadline=30.0
                        ),
                        limits=TenantLimits(
                            message=None, connections=None, memory=None, held=None, sessions=None
                        ),
                    ),
                ),
            ),
        )

    def test_everything(self) -> None:
        """Every setting there is arrives as its class says: bytes, seconds, one spelling."""
        self.assertEqual(
            load(FULL),
            Settings(
                listen=(
                    Listener("tls", 8889, "", "tcp:8889", True),
                    Listener("tcp", 8888, "127.0.0.1", "tcp:8888:interface=127.0.0.1", False),
                    Listener(
                        "unix", None, "/run/orion.sock", "unix:/run/orion.sock:mode=660", False
                    ),
                ),
                certificates="/etc/orion/certs",
                fallback="localhost",
                strict_sni=True,
                admin=Listener("tcp", 8890, "127.0.0.1", "tcp:8890:interface=127.0.0.1", False),
                proxy_protocol_from=(ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")),
                dial_in=(
                    DialInPlace("tcp", description="tcp:8887:interface=127.0.0.1"),
                    DialInPlace("unix", description="unix:/run/dial.sock"),
                    DialInPlace("ws", path="/orion"),
                ),
                limits=Limits(
                    message=4 * MIB,
                    header=8 * 1024,
                    connections=1000,
                    connections_per_ip=20,
                    pending_handshakes=51,
                    pending_handshakes_per_ip=3,
                    handshake=2.5,
                    connect_rate_per_ip=50,
                    message_time=30.0,
                    message_rate=100,
                    byte_rate=1 * MIB,
                    ping_every=25.0,
                    ping_timeout=11.0,
                    idle=600.0,
                    drain=0.0,
                    memory=2 * GIB,
                    held=300_000,
                    sessions=50_000,
                ),
                tenants=(
                    Tenant(
                        name="shop1",
                        hosts=("webedit01.example.com", "*.shop1.example"),
                        path="/orion/ws",
                        backend=("tcp:10.1.0.5:7000", "tls:orion.example:7001:timeout=3"),
                        framing="int16",
                        message_type="tagged",
                        subprotocols=("orion.v1",),
                        link_grace=60.0,
                        dial_timeout=2.0,
                        compression=True,
                        site="frontend/editor/dist",
                        origins=("https://webedit01.example.com:443", "null"),
                        allow_no_origin=True,
                        embed_in=("https://shop1.cafe24.com", "https://*.shop1.example"),
                        token=TokenSettings(
                            algorithms=("HS256", "EdDSA"),
                            key_file="keys/shop1",
                            required=True,
                            audience="orion-bridge",
                            most_life=300.0,
                        ),
                        client_ca="clients.pem",
                        session=SessionSettings(window_bytes=2 * MIB),
                        limits=TenantLimits(message=1 * MIB, connections=500),
                    ),
                    Tenant(
                        name="Vnc_2",
                        hosts=("webedit01.example.com",),
                        path="/vnc",
                        backend=("unix:/run/vnc.sock",),
                        mode="tunnel",
                        text="utf-8",
                        subprotocols=("binary", "mqtt"),
                    ),
                    Tenant(
                        name="shop2",
                        hosts=("shop2.example",),
                        backend=("tcp:10.1.0.6:7000",),
                        mode="session",
                        dialect="orion.v2",
                        links=4,
                        framing="int32le",
                        link_grace=60.0,
                        subprotocols=("orion.v2",),
                        session=SessionSettings(
                            ttl=300.0, window=100, window_bytes=4 * MIB, deadline=10.0
                        ),
                        limits=TenantLimits(memory=64 * MIB, held=5000, sessions=600),
                    ),
                    Tenant(
                        name="shop3",
                        hosts=("shop3.example",),
                        backend=("dial-in",),
                        mode="session",
                        dial_in=DialInSettings(token_file="keys/orion-shop3"),
                        subprotocols=("orion.v2", "orion.v1"),
                    ),
                ),
            ),
        )

    def test_usual_subprotocols(self) -> None:
        """Silence means those that a mode has; an empty list means none."""
        for mode, usual in (
            ("relay", ()),
            ("tunnel", TUNNEL_SUBPROTOCOLS),
            ("session", SESSION_SUBPROTOCOLS),
        ):
            with self.subTest(mode):
                (tenant,) = load(f'{LEAST}mode = "{mode}"').tenants
                self.assertEqual(tenant.subprotocols, usual)
                (tenant,) = load(f'{LEAST}mode = "{mode}"\nsubprotocols = []').tenants
                self.assertEqual(tenant.subprotocols, ())

    def test_links(self) -> None:
        """A browser has its own link, or sessions share some; those that dial in are shared."""
        for lines, links, shares in (
            ("", 0, False),
            ('links = "per-browser"', 0, False),
            ("links = 1", 1, True),
            ("links = 1024", 1024, True),
        ):
            with self.subTest(lines):
                (tenant,) = load(f'{LEAST}mode = "session"\n{lines}').tenants
                found = (tenant.links, tenant.shares_links, tenant.dials_in)
                self.assertEqual(found, (links, shares, False))
        (tenant,) = load(DIALS_IN).tenants
        self.assertEqual((tenant.links, tenant.shares_links, tenant.dials_in), (0, True, True))

    def test_dial_in(self) -> None:
        """One place is a string, several are a list; a backend may be a list of one, too."""
        for lines, places in (
            ('"tcp:8887"', ["tcp:8887"]),
            ('["tcp:0", "tcp:0"]', ["tcp:0", "tcp:0"]),
            ('"unix:/run/dial.sock"', ["unix:/run/dial.sock"]),
        ):
            with self.subTest(lines):
                loaded = load(DIALS_IN.replace('"tcp:8887"', lines))
                self.assertEqual([str(place) for place in loaded.dial_in], places)
        for listen in ('["tcp:8888"]', '["tls:1", "unix:/a"]', '["systemd:INET:index=0"]'):
            with self.subTest(listen):
                text = DIALS_IN.replace('"tcp:8887"', f'"ws:/orion"\nlisten = {listen}')
                self.assertEqual(load(text).dial_in, (DialInPlace("ws", path="/orion"),))
        self.assertEqual(
            load(DIALS_IN.replace('"dial-in"', '["dial-in"]')).tenants, load(DIALS_IN).tenants
        )

    def test_the_system_chooses_ports(self) -> None:
        """Port 0 may be listened on twice, since it means two different ports."""
        listen = load('listen = ["tcp:0", "tls:0"]' + LEAST).listen
        self.assertEqual([each.port for each in listen], [0, 0])

    def test_same_port_on_other_interfaces(self) -> None:
        """One port may be listened on at several addresses, and several inherited sockets."""
        load(
            r"""listen = ['tcp:80:interface=127.0.0.1', 'tls:80:interface=\:\:1', "unix:/a",
            "unix:/b", "systemd:INET:index=0", "systemd:INET:index=1"]"""
            + LEAST
        )

    def test_no_certificates_without_tls(self) -> None:
        """Certificates may be left empty where no listener speaks TLS."""
        self.assertEqual(load('listen = ["tcp:80"]\ncertificates = ""' + LEAST).certificates, "")


class MessageLimitTests(SynchronousTestCase):
    """`effective_message_limit`."""

    def test_the_least_of_all(self) -> None:
        """A message is bounded by the node, the tenant, and what a frame can say."""
        for node, settings_of_tenant, limit in (
            ("1 MiB", "", MIB),
            ("1 MiB", 'limits = { message = "64 KiB" }', 65536),
            ("1 MiB", 'framing = "int16"', 65535),
            ("1 MiB", 'framing = "int16"\nmessage_type = "tagged"', 65534),
            ("1 MiB", 'framing = "int16"\nlimits = { message = 100 }', 100),
            ("8 GiB", 'framing = "int32"\nmessage_type = "tagged"', 2**32 - 2),
            ("8 GiB", 'framing = "netstring"\nmessage_type = "tagged"', 8 * 1024 * MIB),
            ("8 GiB", 'mode = "tunnel"', 8 * 1024 * MIB),
            ("1 MiB", 'mode = "session"', MIB),
            ("1 MiB", 'mode = "session"\nframing = "int16"', 65407),
            (
                "1 MiB",
                'mode = "session"\nframing = "int16"\nsubprotocols = ["orion.v1"]',
                65535,
            ),
            (
                "1 MiB",
                'mode = "session"\nframing = "int16"\nsubprotocols = ["orion.v1"]\nlinks = 1',
                65407,
            ),
            ("1 MiB", 'mode = "session"\nframing = "int16"\ndialect = "orion.v2"', 64511),
            (
                "1 MiB",
                'mode = "session"\nframing = "int16"\ndialect = "orion.v2"\nlinks = 9',
                64511,
            ),
            ("8 GiB", 'mode = "session"', 2**32 - 1 - 128),
            ("8 GiB", 'mode = "session"\nframing = "netstring"\nlinks = 2', 8 * GIB),
        ):
            with self.subTest(settings_of_tenant):
                loaded = load(f'{LEAST}{settings_of_tenant}\n[limits]\nmessage = "{node}"')
                self.assertEqual(effective_message_limit(loaded, loaded.tenants[0]), limit)

    def test_frames_are_longer_than_messages(self) -> None:
        """What a link adds is known, so that it may take frames of the largest message."""
        for lines, longer in (
            ('mode = "tunnel"', 0),
            ("", 0),
            ('message_type = "tagged"', 1),
            ('mode = "session"\nsubprotocols = []', 0),
            ('mode = "session"\nsubprotocols = []\nlinks = 1', MAX_REWRITTEN),
            ('mode = "session"\nsubprotocols = ["orion.v2"]', MAX_REWRITTEN),
            ('mode = "session"\nsubprotocols = []\ndialect = "orion.v2"', MAX_LINK_HEADER),
        ):
            with self.subTest(lines):
                self.assertEqual(link_overhead(load(LEAST + lines).tenants[0]), longer)


class MergeTests(SynchronousTestCase):
    """`merge`."""

    def test_flags_win(self) -> None:
        """Tables are merged at any depth; lists and values are replaced by the flag's."""
        file = {
            "listen": ["tls:1", "tls:2"],
            "fallback": "a",
            "limits": 5,
            "tenant": {"default": {"path": "/a", "hosts": ["x"]}, "shop": {"path": "/b"}},
        }
        flags = {
            "listen": ["tcp:3"],
            "limits": {"idle": 1},
            "tenant": {"default": {"path": "/c", "mode": "relay"}, "new": {"path": "/d"}},
        }
        before = repr((file, flags))
        self.assertEqual(
            merge(file, flags),
            {
                "listen": ["tcp:3"],
                "fallback": "a",
                "limits": {"idle": 1},
                "tenant": {
                    "default": {"path": "/c", "hosts": ["x"], "mode": "relay"},
                    "shop": {"path": "/b"},
                    "new": {"path": "/d"},
                },
            },
        )
        self.assertEqual(repr((file, flags)), before)

    def test_flags_alone(self) -> None:
        """Flags without a file mean what a file with the same settings means."""
        flags = {"tenant": {"default": {"hosts": ("*",), "backend": ("tcp:127.0.0.1:7000",)}}}
        self.assertEqual(load_settings(merge({}, flags)), load(LEAST))


class DescribeTests(SynchronousTestCase):
    """`describe`."""

    def test_least(self) -> None:
        """The shortest file is described without a word on what was not said."""
        self.assertEqual(
            describe(load(LEAST)),
            [
                "listen          tls:8889 (TLS)",
                "certificates    certs (fallback: none)",
                "tenant default",
                "  hosts         *",
                "  path          /ws",
                "  mode          relay (framing int32, text messages)",
                "  backend       tcp:127.0.0.1:7000",
            ],
        )

    def test_full(self) -> None:
        """Listeners, tenants, and the limits that differ from the default are told."""
        self.assertEqual(
            describe(load(FULL)),
            [
                "listen          tls:8889 (TLS)",
                "listen          tcp:8888:interface=127.0.0.1 (plain)",
                "listen          unix:/run/orion.sock:mode=660 (plain)",
                "certificates    /etc/orion/certs (fallback: none, strict_sni)",
                "proxies         10.0.0.0/8, 2001:db8::/32 (with a PROXY header)",
                "dial-in         tcp:8887:interface=127.0.0.1, unix:/run/dial.sock, ws:/orion",
                "admin           tcp:8890:interface=127.0.0.1",
                "limits          message 4 MiB, header 8 KiB, connections 1000, "
                "connections_per_ip 20, connect_rate_per_ip 50, pending_handshakes 51, "
                "pending_handshakes_per_ip 3, handshake 2500 ms, message_time 30 s, "
                "message_rate 100, byte_rate 1 MiB, ping_every 25 s, ping_timeout 11 s, "
                "idle 10 min, drain 0 s, memory 2 GiB, held 300000, sessions 50000",
                "tenant shop1",
                "  hosts         webedit01.example.com, *.shop1.example",
                "  path          /orion/ws",
                "  mode          relay (framing int16, tagged messages)",
                "  backend       tcp:10.1.0.5:7000, tls:orion.example:7001:timeout=3",
                "  subprotocols  orion.v1",
                "  origins       https://webedit01.example.com:443, null",
                "  embed in      https://shop1.cafe24.com, https://*.shop1.example",
                "  token         required, HS256, EdDSA, keys/shop1",
                "  client CA     clients.pem",
                "  site          frontend/editor/dist",
                "  compression   permessage-deflate",
                "  limits        link_grace 1 min, dial_timeout 2 s, window_bytes 2 MiB, "
                "message 1 MiB, connections 500",
                "tenant Vnc_2",
                "  hosts         webedit01.example.com",
                "  path          /vnc",
                "  mode          tunnel (text messages: utf-8)",
                "  backend       unix:/run/vnc.sock",
                "  subprotocols  binary, mqtt",
                "tenant shop2",
                "  hosts         shop2.example",
                "  path          /ws",
                "  mode          session (dialect orion.v2, framing int32le, links 4)",
                "  backend       tcp:10.1.0.6:7000",
                "  subprotocols  orion.v2",
                "  limits        link_grace 1 min, ttl 5 min, window 100, window_bytes 4 MiB, "
                "deadline 10 s, memory 64 MiB, held 5000, sessions 600",
                "tenant shop3",
                "  hosts         shop3.example",
                "  path          /ws",
                "  mode          session (dialect orion.v1, framing int32)",
                "  backend       dial-in",
                "  dial-in       token in keys/orion-shop3",
                "  subprotocols  orion.v2, orion.v1",
            ],
        )

    def test_plain(self) -> None:
        """Certificates are not mentioned where none are used."""
        lines = describe(load('listen = ["tcp:80"]' + LEAST))
        self.assertEqual(lines[:2], ["listen          tcp:80 (plain)", "tenant default"])

    def test_workers(self) -> None:
        """The number of processes is told where it is not one."""
        for value, line in (
            ("4", "workers         4"),
            ('"auto"', "workers         auto, one for each CPU"),
        ):
            self.assertIn(line, describe(load(f"workers = {value}{LEAST}")))
        self.assertNotIn("workers", "".join(describe(load(f"workers = 1{LEAST}"))))

    def test_session(self) -> None:
        """A session's own links are told as they are written."""
        lines = describe(load(LEAST + 'mode = "session"\nframing = "line"'))
        self.assertIn(
            "  mode          session (dialect orion.v1, framing line, links per-browser)", lines
        )
