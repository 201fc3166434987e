"""Settings: every mistake in a file, all of them at once."""

import tomllib

from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.config import (
    ConfigError,
    Limits,
    Problem,
    TenantLimits,
    advice,
    effective_message_limit,
    load_settings,
)
from orion_twisted.core.structure import keys_of
from tests.core.settings_texts import DIALS_IN, LEAST, load, problems


class MistakeTests(SynchronousTestCase):
    """`load_settings`, of what is wrong."""

    def expect(self, text: str, *expected: tuple[str, str, str | None]) -> None:
        """Check what is wrong with a TOML text."""
        with self.subTest(text):
            self.assertEqual(problems(tomllib.loads(text)), list(expected))

    def test_whole_node(self) -> None:
        """A mistake above the tenants is named with its path and what was meant."""
        tenant = LEAST
        for text, path, words, hint in (
            ('listen = "tls:1"', "listen", 'expected a list, got "tls:1"', 'write ["tls:1"]'),
            ("listen = 8889", "listen", "expected a list, got 8889", None),
            ("listen = []", "listen", "names no listener", 'such as listen = ["tls:8889"]'),
            ("listen = [1]", "listen[0]", "expected a string, got 1", None),
            (
                'listen = ["tls:1", "tpc:2"]',
                "listen[1]",
                'unknown kind "tpc": expected one of "tls", "tcp", "unix", "systemd"',
                'did you mean "tcp"?',
            ),
            (
                'listen = ["tls:1", "tcp:2", "tcp:1:interface=0.0.0.0"]',
                "listen[2]",
                "is where listen[0] listens already",
                None,
            ),
            (
                'listen = ["unix:/a", "unix:/a:mode=660"]',
                "listen[1]",
                "is where listen[0] listens already",
                None,
            ),
            (
                'listen = ["systemd:INET:index=0", "systemd:INET:index=0"]',
                "listen[1]",
                "is where listen[0] listens already",
                None,
            ),
            (
                'certificates = ""',
                "certificates",
                'is empty, and "tls:8889" needs a folder with certificates',
                None,
            ),
            (
                'listen = ["tcp:1", "tls:2:interface=127.0.0.1"]\ncertificates = ""',
                "certificates",
                'is empty, and "tls:2:interface=127.0.0.1" needs a folder with certificates',
                None,
            ),
            (r'certificates = "a\nb"', "certificates", r'"a\nb" has control characters', None),
            ("certificates = []", "certificates", "expected a string, got a list", None),
            (
                'fallback = "local host"',
                "fallback",
                '"local host" is no host name, "*.suffix" or "*"',
                None,
            ),
            (
                'fallback = "*"',
                "fallback",
                '"*" is no name: expected that of the certificate to fall back to',
                None,
            ),
            ('strict_sni = "yes"', "strict_sni", 'expected true or false, got "yes"', None),
            (
                'admin = "tls:8890"',
                "admin",
                '"tls:8890" is neither tcp: nor unix:',
                None,
            ),
            (
                'proxy_protocol_from = ["10.0.0.1/8"]',
                "proxy_protocol_from[0]",
                '"10.0.0.1/8" is no network: 10.0.0.1/8 has host bits set',
                "such as 10.0.0.0/8",
            ),
            ("workers = 0", "workers", "0 is too few: at least 1", None),
            ("workers = 257", "workers", "257 is too many: at most 256", None),
            (
                "workers = true",
                "workers",
                'expected a whole number or "auto", got true',
                None,
            ),
            (
                'workers = "Auto"',
                "workers",
                'expected a whole number or "auto", got "Auto"',
                'did you mean "auto"?',
            ),
            ("limits = 5", "limits", "expected a table, got 5", None),
            ("lisen = 1", "lisen", "unknown setting", 'did you mean "listen"?'),
            ("hosts = []", "hosts", "unknown setting", "it belongs in [tenant.NAME]"),
            ("drain = 1", "drain", "unknown setting", "it belongs in [limits]"),
            ("zzz = 'secret'", "zzz", "unknown setting", None),
            ("since = 1979-05-27", "since", "unknown setting", None),
            ("fallback = 1979-05-27", "fallback", "expected a string, got a date", None),
        ):
            self.expect(text + tenant, (path, words, hint))

    def test_limits(self) -> None:
        """Sizes, times and counts of the node are checked, each by its own rule."""
        for setting, words, hint in (
            ("message = 0", '0 is too small: at least "1 B"', None),
            ('header = "1000 B"', '"1000 B" is too small: at least "1 KiB"', None),
            ("message = 1.5", 'expected a size such as "16 KiB", got 1.5', None),
            ("message = true", 'expected a size such as "16 KiB", got true', None),
            ("message = []", 'expected a size such as "16 KiB", got a list', None),
            (
                f'message = "{"1" * 70}"',
                f'expected a size such as "16 KiB", got "{"1" * 59}…"',
                None,
            ),
            ("connections = 0", "0 is too few: at least 1", None),
            ("connections = 1.0", "expected a whole number, got 1.0", None),
            ('connections = "5"', 'expected a whole number, got "5"', None),
            (
                'handshake = "0 s"',
                '"0 s" is too short: it has to be more than zero',
                None,
            ),
            ('idle = "8 d"', '"8 d" is too long: at most "7 d"', None),
            ("idle = true", 'expected a duration such as "20 s", got true', None),
            ("idle = {}", 'expected a duration such as "20 s", got a table', None),
            ("memory = 0", '0 is too small: at least "1 B"', None),
            ("held = 0", "0 is too few: at least 1", None),
            ("sessions = 1.5", "expected a whole number, got 1.5", None),
            ("memry = 1", "unknown setting", 'did you mean "memory"?'),
            ("ping = 1", "unknown setting", None),
            ("handshakes = 1", "unknown setting", 'did you mean "handshake"?'),
            ("workers = 1", "unknown setting", "it belongs at the top, above the first [table]"),
            ("link_grace = 1", "unknown setting", "it belongs in [tenant.NAME]"),
        ):
            path = f"limits.{setting.partition(' ')[0]}"
            self.expect(f"{LEAST}\n[limits]\n{setting}", (path, words, hint))

    def test_rates(self) -> None:
        """A rate of 0 is none; anything else has to be a whole number of units."""
        rates = "connect_rate_per_ip = 0\nmessage_rate = 0\nbyte_rate = 0"
        limits = load(f"{LEAST}\n[limits]\n{rates}").limits
        self.assertEqual((limits.connect_rate_per_ip, limits.message_rate), (0, 0))
        self.expect(
            f"{LEAST}\n[limits]\nmessage_rate = false",
            ("limits.message_rate", "expected a whole number, got false", None),
        )
        token = 'token = { key_file = "k", audience = "shop", required = false }'
        (tenant,) = load(f"{LEAST}{token}").tenants
        assert tenant.token is not None
        self.assertEqual((tenant.token.audience, tenant.token.required), ("shop", False))

    def test_units(self) -> None:
        """What is no size or duration is refused with how one is written."""
        for setting in ('message = "1 MB"', 'idle = "soon"', "idle = -1", "drain = inf"):
            ((path, text, _),) = problems(tomllib.loads(f"{LEAST}\n[limits]\n{setting}"))
            with self.subTest(setting):
                self.assertEqual(path, f"limits.{setting.partition(' ')[0]}")
                self.assertIn("s, min" if "message" not in setting else "MiB", text)

    def test_tenants(self) -> None:
        """A mistake of a tenant is named with its path and what was meant."""
        for setting, words, hint in (
            (
                'path = "ws"',
                '"ws" is no path: a slash, then ASCII without spaces, query or fragment',
                'did you mean "/ws"?',
            ),
            *(
                (
                    f'path = "{path}"',
                    f'"{path}" is no path: a slash, then ASCII without spaces, query or fragment',
                    None,
                )
                for path in ("/a b", "/a?b", "/a#b", "/é")
            ),
            (
                'mode = "tunel"',
                '"tunel" is none of "relay", "tunnel", "session"',
                'did you mean "tunnel"?',
            ),
            ("mode = 1", "expected a string, got 1", None),
            (
                'framing = "int64"',
                '"int64" is none of "int32", "int32le", "int16", "netstring", "line", "nul"',
                'did you mean "int16"?',
            ),
            (
                'message_type = "txt"',
                '"txt" is none of "text", "binary", "tagged"',
                'did you mean "text"?',
            ),
            ('link_grace = "x" ', None, None),
            ('text = "refuse"', 'means nothing in mode "relay"', 'it belongs to mode "tunnel"'),
            ('compression = "yes"', 'expected true or false, got "yes"', None),
            ('site = ""', "is empty: expected a folder with pages", None),
            ('client_ca = ""', "is empty: expected a file", None),
            (
                "allow_no_origin = true",
                "means nothing without origins: then such clients are let in",
                None,
            ),
            ("token = 1", "expected a table, got 1", None),
            ("key_file = 1", "unknown setting", "it belongs in the token of [tenant.NAME]"),
            (
                'subprotocols = "mqtt"',
                'expected a list, got "mqtt"',
                'write ["mqtt"]',
            ),
            ("dial_timeout = 0", "0 is too short: it has to be more than zero", None),
            ('bakend = "x"', "unknown setting", 'did you mean "backend"?'),
            ('name = "x"', "unknown setting", None),
            ("idle = 1", "unknown setting", "it belongs in [limits]"),
            ("listen = []", "unknown setting", "it belongs at the top, above the first [table]"),
            ("message = 1", "unknown setting", "it belongs in the limits of [tenant.NAME]"),
            ("window_bytes = 1", "unknown setting", "it belongs in the session of [tenant.NAME]"),
            ("session = 1", "expected a table, got 1", None),
            ("limits = []", "expected a table, got a list", None),
        ):
            path = f"tenant.default.{setting.partition(' ')[0]}"
            found = problems(tomllib.loads(LEAST + setting))
            with self.subTest(setting):
                self.assertEqual(len(found), 1)
                self.assertEqual(found[0], (path, words or found[0][1], hint))

    def test_within_lists_and_tables(self) -> None:
        """Paths lead into lists and nested tables."""
        for setting, path, words, hint in (
            (
                'subprotocols = ["a", "a b", "A", "a"]',
                "subprotocols[1]",
                '"a b" is no subprotocol: expected a token as of RFC 6455',
                None,
            ),
            (
                'origins = ["https://a.example", "b.example"]',
                "origins[1]",
                '"b.example" is no origin: expected scheme://host[:port], "null" or "*"',
                'did you mean "https://b.example"?',
            ),
            (
                'origins = ["ftp://a.example"]',
                "origins[0]",
                '"ftp://a.example" is no origin: expected scheme://host[:port], "null" or "*"',
                None,
            ),
            (
                'embed_in = ["shop1.cafe24.com"]',
                "embed_in[0]",
                '"shop1.cafe24.com" is no page\'s origin: expected scheme://host[:port] or '
                "scheme://*.suffix",
                'did you mean "https://shop1.cafe24.com"?',
            ),
            (
                """embed_in = ["https://a.example; script-src *"]""",
                "embed_in[0]",
                '"https://a.example; script-src *" is no page\'s origin: expected '
                "scheme://host[:port] or scheme://*.suffix",
                None,
            ),
            ("token = {}", "token.key_file", "is missing", 'such as key_file = "keys/shop1"'),
            (
                'token = { key_file = "k", algorithms = ["none"] }',
                "token.algorithms[0]",
                '"none" is none of "HS256", "RS256", "ES256", "EdDSA"',
                None,
            ),
            (
                'token = { key_file = "k", audience = "" }',
                "token.audience",
                '"" is empty or has control characters',
                None,
            ),
            (
                "session = { window_bytes = 0 }",
                "session.window_bytes",
                '0 is too small: at least "1 B"',
                None,
            ),
            (
                "session = { tll = 0 }",
                "session.tll",
                "unknown setting",
                'did you mean "ttl"?',
            ),
            (
                "session = { message = 0 }",
                "session.message",
                "unknown setting",
                "it belongs in [limits]",
            ),
            (
                "session = { link_grace = 0 }",
                "session.link_grace",
                "unknown setting",
                "it belongs in [tenant.NAME]",
            ),
            (
                "limits = { mesage = 1 }",
                "limits.mesage",
                "unknown setting",
                'did you mean "message"?',
            ),
            (
                "limits = { idle = 1 }",
                "limits.idle",
                "unknown setting",
                "it belongs in [limits]",
            ),
        ):
            found = problems(tomllib.loads(LEAST + setting))
            with self.subTest(setting):
                self.assertEqual(found[0], (f"tenant.default.{path}", words, hint))

    def test_higher_limit_is_advised_against(self) -> None:
        """A tenant's limit above the node's is taken, has no effect, and is spoken of."""
        self.assertEqual(advice(load(LEAST + 'limits = { message = "1 MiB" }')), [])
        loaded = load(LEAST + 'limits = { message = "2 MiB", connections = 20001 }')
        self.assertEqual(effective_message_limit(loaded, loaded.tenants[0]), 1024 * 1024)
        self.assertEqual(
            advice(loaded),
            [
                "tenant.default.limits.message: the node's 1 MiB is lower, and holds"
                " (lower this one, or raise limits.message)",
                "tenant.default.limits.connections: the node's 20000 is lower, and holds"
                " (lower this one, or raise limits.connections)",
            ],
        )

    def test_one_address_for_all_is_advised_against(self) -> None:
        """A limit for each address that is no lower than that for all protects nobody."""
        limits = "[limits]\npending_handshakes = 32"
        (line,) = advice(load(f"{LEAST}\n{limits}"))
        self.assertIn("one address may fill all 32 places", line)
        self.assertEqual(advice(load(f"{LEAST}\n{limits}\npending_handshakes_per_ip = 31")), [])

    def test_a_rate_below_the_message_limit_is_advised_against(self) -> None:
        """A message that takes longer than a browser may wait can never arrive."""
        (line,) = advice(load(f'{LEAST}\n[limits]\nbyte_rate = "10 KiB"'))
        self.assertIn("no message above 112640 bytes", line)
        self.assertEqual(advice(load(f'{LEAST}\n[limits]\nbyte_rate = "100 KiB"')), [])

    def test_hosts(self) -> None:
        """Hosts have to be there, to be names, and to be said once."""
        backend = 'backend = "tcp:h:1"'
        nothing = 'such as hosts = ["shop.example.com"], or ["*"] for every host'
        for hosts, path, words, hint in (
            ("", "hosts", "is missing", nothing),
            ("hosts = []", "hosts", "is an empty list", nothing),
            (
                'hosts = "a.example"',
                "hosts",
                'expected a list, got "a.example"',
                'write ["a.example"]',
            ),
            (
                'hosts = ["a.example", "a_.example/"]',
                "hosts[1]",
                '"a_.example/" is no host name, "*.suffix" or "*"',
                "only the name: no scheme, port or path",
            ),
            (
                'hosts = ["a.*.example"]',
                "hosts[0]",
                '"a.*.example" is no host name, "*.suffix" or "*"',
                None,
            ),
            (
                'hosts = ["a.example", "b.example", "A.example."]',
                "hosts[2]",
                '"a.example" is in the list twice',
                None,
            ),
        ):
            self.expect(f"[tenant.t]\n{hosts}\n{backend}", (f"tenant.t.{path}", words, hint))

    def test_backends(self) -> None:
        """Backends have to be there, as one string or a list, each one that Twisted takes."""
        nothing = 'such as backend = "tcp:127.0.0.1:7000"'
        for backend, path, words, hint in (
            ("", "backend", "is missing", nothing),
            ("backend = []", "backend", "is an empty list", nothing),
            ("backend = 5", "backend", "expected a list, got 5", None),
            ('backend = "tcp:h"', "backend", "port missing: expected tcp:HOST:PORT", None),
            (
                'backend = ["tcp:h:1", "h:1"]',
                "backend[1]",
                "does not say how to connect",
                'did you mean "tcp:h:1"?',
            ),
        ):
            self.expect(f'[tenant.t]\nhosts = ["*"]\n{backend}', (f"tenant.t.{path}", words, hint))

    def test_modes(self) -> None:
        """A setting that means nothing in the tenant's mode is an error, not ignored."""
        for mode, setting, path, others in (
            ("tunnel", 'framing = "int32"', "framing", '"relay" or "session"'),
            ("tunnel", 'message_type = "text"', "message_type", '"relay"'),
            ("session", 'message_type = "text"', "message_type", '"relay"'),
            ("tunnel", 'link_grace = "30 s"', "link_grace", '"relay" or "session"'),
            ("session", 'text = "refuse"', "text", '"tunnel"'),
            ("relay", 'text = "refuse"', "text", '"tunnel"'),
            ("tunnel", "session = {}", "session", '"relay" or "session"'),
            ("tunnel", "session = { ttl = 1 }", "session", '"relay" or "session"'),
            ("relay", "session = { ttl = 1 }", "session.ttl", '"session"'),
            ("relay", "session = { window = 1 }", "session.window", '"session"'),
            ("relay", "session = { deadline = 1 }", "session.deadline", '"session"'),
            ("relay", 'dialect = "orion.v1"', "dialect", '"session"'),
            ("tunnel", 'dialect = "orion.v1"', "dialect", '"session"'),
            ("relay", 'links = "per-browser"', "links", '"session"'),
            ("tunnel", "links = 2", "links", '"session"'),
            ("relay", 'dial_in = { token_file = "k" }', "dial_in", '"session"'),
            ("relay", "limits = { memory = 1 }", "limits.memory", '"session"'),
            ("tunnel", "limits = { held = 1 }", "limits.held", '"session"'),
            ("relay", "limits = { sessions = 1 }", "limits.sessions", '"session"'),
        ):
            self.expect(
                f'{LEAST}mode = "{mode}"\n{setting}',
                (
                    f"tenant.default.{path}",
                    f'means nothing in mode "{mode}"',
                    f"it belongs to mode {others}",
                ),
            )

    def test_all_of_a_session(self) -> None:
        """What means something in a mode is taken in it; relays share some with sessions."""
        for mode, lines in (
            ("relay", 'session = { window_bytes = 1 }\nframing = "nul"\nlink_grace = 0'),
            ("session", 'framing = "line"\nlink_grace = 0\nlinks = 2\ndialect = "orion.v1"'),
            ("session", 'framing = "netstring"\ndialect = "orion.v2"'),
            (
                "session",
                "session = { ttl = 0, window = 1, window_bytes = 1, deadline = 0.5 }\n"
                "limits = { memory = 1, held = 1, sessions = 1 }",
            ),
        ):
            self.expect(f'{LEAST}mode = "{mode}"\n{lines}')

    def test_sessions(self) -> None:
        """A mistake of a tenant in session mode is named with its path and what was meant."""
        links = 'expected "per-browser", or a number of shared links from 1 to 1024, got '
        delimited = "its frames hold newlines and arbitrary bytes"
        dialects = '"orion.v2", "orion.v1"'
        for lines, path, words, hint in (
            (
                'dialect = "orion.2"',
                "dialect",
                '"orion.2" is none of "orion.v1", "orion.v2"',
                'did you mean "orion.v2"?',
            ),
            ("dialect = 2", "dialect", "expected a string, got 2", None),
            ('links = "shared"', "links", f'{links}"shared"', None),
            ('links = "4"', "links", f'{links}"4"', None),
            (
                'links = "per_browser"',
                "links",
                f'{links}"per_browser"',
                'did you mean "per-browser"?',
            ),
            ("links = 0", "links", f"{links}0", None),
            ("links = -1", "links", f"{links}-1", None),
            ("links = 1025", "links", f"{links}1025", None),
            ("links = true", "links", f"{links}true", None),
            ("links = 1.0", "links", f"{links}1.0", None),
            (
                'dialect = "orion.v2"\nframing = "line"',
                "framing",
                '"line" cannot carry dialect "orion.v2"',
                delimited,
            ),
            (
                'framing = "nul"\nlinks = 2\ndialect = "orion.v2"',
                "framing",
                '"nul" cannot carry dialect "orion.v2"',
                delimited,
            ),
            (
                'subprotocols = ["orion.v2", "mqtt"]',
                "subprotocols[1]",
                f'"mqtt" is no dialect of a session: it is one of {dialects}',
                None,
            ),
            (
                'subprotocols = ["orion.2"]',
                "subprotocols[0]",
                f'"orion.2" is no dialect of a session: it is one of {dialects}',
                'did you mean "orion.v2"?',
            ),
            (
                'subprotocols = ["orion.v1", "orion.v1"]',
                "subprotocols[1]",
                '"orion.v1" is in the list twice',
                None,
            ),
            ("session = { ttl = -1 }", "session.ttl", None, None),
            ("session = { window = 0 }", "session.window", "0 is too few: at least 1", None),
            (
                "session = { deadline = 0 }",
                "session.deadline",
                "0 is too short: it has to be more than zero",
                None,
            ),
            ("ttl = 1", "ttl", "unknown setting", "it belongs in the session of [tenant.NAME]"),
            ("held = 1", "held", "unknown setting", "it belongs in the limits of [tenant.NAME]"),
            (
                'token_file = "k"',
                "token_file",
                "unknown setting",
                "it belongs in the dial_in of [tenant.NAME]",
            ),
            (
                'dial_in = { token_file = "k" }',
                "dial_in",
                'means nothing without backend = "dial-in"',
                None,
            ),
        ):
            found = problems(tomllib.loads(f'{LEAST}mode = "session"\n{lines}'))
            with self.subTest(lines):
                self.assertEqual(len(found), 1)
                self.assertEqual(found[0], (f"tenant.default.{path}", words or found[0][1], hint))

    def test_a_backend_that_dials_in(self) -> None:
        """It needs a place, a token and its framing; each that is missing or odd is named."""
        nowhere = (
            "tenant.default.backend",
            "nothing says where backends dial in",
            'such as dial_in = "tcp:8887" at the top, above the first [table]',
        )
        table = 'dial_in = { token_file = "keys/orion" }'
        backend = 'such as backend = "tcp:127.0.0.1:7000"'
        for old, new, path, words, hint in (
            ('dial_in = "tcp:8887"', "", *nowhere),
            ('dial_in = "tcp:8887"', "dial_in = []", *nowhere),
            (
                table,
                "",
                "tenant.default.dial_in",
                'is missing: backend "dial-in" needs it',
                'such as dial_in = { token_file = "keys/orion-shop1" }',
            ),
            (
                table,
                "dial_in = {}",
                "tenant.default.dial_in.token_file",
                "is missing",
                'such as token_file = "keys/orion-shop1"',
            ),
            (
                table,
                'dial_in = { token_file = "" }',
                "tenant.default.dial_in.token_file",
                "is empty: expected a file",
                None,
            ),
            (
                table,
                'dial_in = "tcp:8887"',
                "tenant.default.dial_in",
                'expected a table, got "tcp:8887"',
                'such as dial_in = { token_file = "keys/orion-shop1" }; where that is, the dial_in'
                " at the top says",
            ),
            (
                table,
                f"{table}\nlinks = 4",
                "tenant.default.links",
                'means nothing with backend "dial-in"',
                "each backend that dials in is one shared link",
            ),
            (
                table,
                f'{table}\nframing = "netstring"',
                "tenant.default.framing",
                '"netstring" is not how backends that dial in frame',
                'it is "int32" for all of them',
            ),
            (
                table,
                f'{table}\nframing = "line"\ndialect = "orion.v2"',
                "tenant.default.framing",
                '"line" is not how backends that dial in frame',
                'it is "int32" for all of them',
            ),
            (
                '"dial-in"',
                '["tcp:h:1", "dial-in"]',
                "tenant.default.backend[1]",
                '"dial-in" stands alone: no address and no other beside it',
                None,
            ),
            (
                '"dial-in"',
                '["dial-in", "dial-in"]',
                "tenant.default.backend[0]",
                '"dial-in" stands alone: no address and no other beside it',
                None,
            ),
            (
                '"dial-in"',
                '"dial_in"',
                "tenant.default.backend",
                'unknown kind "dial_in": expected one of "tcp", "tls", "unix"',
                'did you mean "dial-in"?',
            ),
            (
                'backend = "dial-in"',
                "",
                "tenant.default.backend",
                "is missing",
                backend,
            ),
            ('"dial-in"', "[]", "tenant.default.backend", "is an empty list", backend),
        ):
            with self.subTest(new or old):
                text = DIALS_IN.replace(old, new)
                self.assertNotEqual(text, DIALS_IN)
                self.assertEqual(problems(tomllib.loads(text)), [(path, words, hint)])

    def test_dial_in_belongs_to_sessions(self) -> None:
        """A relay and a tunnel have no backend that dials in."""
        for mode in ("relay", "tunnel"):
            self.expect(
                LEAST.replace("tcp:127.0.0.1:7000", "dial-in") + f'mode = "{mode}"',
                (
                    "tenant.default.backend",
                    f'"dial-in" means nothing in mode "{mode}"',
                    'it belongs to mode "session"',
                ),
            )

    def test_workers(self) -> None:
        """Several processes, or as many as there are CPUs."""
        for value, workers in (("1", 1), ("256", 256), ('"auto"', 0)):
            self.assertEqual(load(f"workers = {value}{LEAST}").workers, workers)

    def test_workers_and_sessions(self) -> None:
        """A session lives in one process: with several, a browser would not find it again."""
        session = 'mode = "session"\n'
        mistake = (
            "workers",
            '2 do not go with tenant "default" in mode "session": a browser that comes back would'
            " not find its session in another process",
            "workers = 1, or a gateway of its own for that tenant",
        )
        self.expect(f"workers = 1\n{LEAST}{session}")
        self.expect(f"workers = 2\n{LEAST}{session}", mistake)
        # How many that is depends on the machine: whoever knows it says so.
        self.expect(f'workers = "auto"\n{LEAST}{session}')

    def test_workers_and_dialling_in(self) -> None:
        """A backend that dials in reaches one process, and the others would not know of it."""
        self.expect(
            f'workers = 2\ndial_in = "tcp:8887"\n{LEAST}',
            (
                "workers",
                "2 do not go with dial_in: a backend that dials in reaches one process alone",
                "workers = 1, or a gateway of its own for such backends",
            ),
        )

    def test_places_to_dial_in(self) -> None:
        """A place is one that nobody else has, and that can be reached."""
        reach = (
            "is a path on the listeners without TLS, and there is none",
            'such as "tcp:8888:interface=127.0.0.1" in listen',
        )
        browsers = (
            'tenant "default" has the path "/ws" for browsers',
            "give one of them another path",
        )
        for lines, path, words, hint in (
            ("dial_in = 8887", "dial_in", "expected a list, got 8887", None),
            (
                'dial_in = "8887"',
                "dial_in",
                'unknown kind "8887": expected one of "tcp", "unix", "ws"',
                'did you mean "tcp:8887"?',
            ),
            (
                'dial_in = ["tcp:8887", "tls:8886"]',
                "dial_in[1]",
                'unknown kind "tls": expected one of "tcp", "unix", "ws"',
                None,
            ),
            ("dial_in = [1]", "dial_in[0]", "expected a string, got 1", None),
            (
                'dial_in = "tcp:1"\nlisten = ["tls:1"]',
                "dial_in",
                "is where listen[0] listens already",
                None,
            ),
            (
                'dial_in = ["unix:/b", "unix:/a"]\nlisten = ["unix:/a"]',
                "dial_in[1]",
                "is where listen[0] listens already",
                None,
            ),
            (
                'dial_in = ["tcp:1", "tcp:1"]',
                "dial_in[1]",
                "is where dial_in[0] listens already",
                None,
            ),
            ('dial_in = "ws:/orion"', "dial_in", *reach),
            ('dial_in = ["ws:/orion"]\nlisten = ["tls:1"]', "dial_in[0]", *reach),
            (
                'dial_in = ["ws:/o", "tcp:0", "ws:/o"]\nlisten = ["tcp:1"]',
                "dial_in[2]",
                '"ws:/o" is in the list twice',
                None,
            ),
            ('dial_in = "ws:/ws"\nlisten = ["tcp:1"]', "dial_in", *browsers),
            # The listener that is wrong may be the one that was meant.
            (
                'dial_in = "ws:/o"\nlisten = ["tls:1", "tpc:1"]',
                "listen[1]",
                'unknown kind "tpc": expected one of "tls", "tcp", "unix", "systemd"',
                'did you mean "tcp"?',
            ),
            ('dial_in = "ws:/o"\nlisten = 5', "listen", "expected a list, got 5", None),
        ):
            with self.subTest(lines):
                text = DIALS_IN.replace('dial_in = "tcp:8887"', lines)
                self.assertEqual(problems(tomllib.loads(text)), [(path, words, hint)])

    def test_one_path_for_two_tenants_and_backends(self) -> None:
        """The first tenant whose path the backends take is named; another path is nobody's."""
        text = f'dial_in = "ws:/b"\nlisten = ["tcp:1"]\n{LEAST}'
        two = '[tenant.two]\nhosts = ["two.example"]\nbackend = "tcp:h:1"\npath = "/b"\n'
        three = two.replace("two", "three")
        self.expect(text)
        self.expect(
            text + two + three,
            (
                "dial_in",
                'tenant "two" has the path "/b" for browsers',
                "give one of them another path",
            ),
        )

    def test_every_limit_of_a_tenant_is_of_the_node(self) -> None:
        """A tenant's limit is a lower one of the node's, by the same name."""
        self.assertLessEqual(set(keys_of(TenantLimits)), set(keys_of(Limits)))

    def test_higher_limits_of_sessions_are_advised_against(self) -> None:
        """Those of sessions have no effect above the node's, either."""
        more = 'mode = "session"\nlimits = { memory = "2 GiB", held = 200001, sessions = 40001 }'
        self.assertEqual(
            advice(load(LEAST + more)),
            [
                f"tenant.default.limits.{name}: the node's {most} is lower, and holds"
                f" (lower this one, or raise limits.{name})"
                for name, most in (("memory", "1 GiB"), ("held", "200000"), ("sessions", "40000"))
            ],
        )

    def test_a_place_for_nobody_is_advised_against(self) -> None:
        """A place to dial in is no mistake where no tenant's backend does, but not of use."""
        self.assertEqual(
            advice(load('dial_in = "tcp:8887"' + LEAST)),
            ['dial_in: no tenant has backend = "dial-in", so whatever dials in is refused'],
        )
        self.assertEqual(advice(load(DIALS_IN)), [])

    def test_memory_below_a_message_is_advised_against(self) -> None:
        """A message that is larger than all that sessions may hold can never be taken."""
        for tenant, node, lines in (
            (
                "",
                'memory = "512 KiB"',
                [
                    "limits.memory: a message of tenant default may have 1 MiB, and none above"
                    " 512 KiB is ever taken"
                ],
            ),
            (
                'limits = { memory = "64 KiB" }',
                "",
                [
                    "tenant.default.limits.memory: a message of tenant default may have 1 MiB, and"
                    " none above 64 KiB is ever taken"
                ],
            ),
            ('limits = { memory = "64 KiB", message = "64 KiB" }', "", []),
            ("", 'memory = "1 MiB"', []),
        ):
            with self.subTest(f"{tenant} {node}"):
                text = f'{LEAST}mode = "session"\n{tenant}\n[limits]\n{node}'
                self.assertEqual(advice(load(text)), lines)
        self.assertEqual(advice(load(f'{LEAST}[limits]\nmemory = "1 KiB"')), [])  # a relay's

    def test_subprotocols_are_unique(self) -> None:
        """A subprotocol is listed once; letter case counts."""
        self.expect(
            LEAST + 'subprotocols = ["mqtt", "MQTT", "mqtt"]',
            ("tenant.default.subprotocols[2]", '"mqtt" is in the list twice', None),
        )

    def test_two_tenants_claim_one_place(self) -> None:
        """Host and path lead to one tenant; the error names both."""
        one = '[tenant.one]\nhosts = ["a.example", "*"]\nbackend = "tcp:h:1"\n'
        two = '[tenant.two]\nhosts = ["b.example", "A.EXAMPLE", "*"]\nbackend = "tcp:h:1"\n'
        other = "give one of them another path"
        self.expect(
            one + two,
            (
                "tenant.two.hosts[1]",
                'tenant "one" has "a.example" with path "/ws" already',
                other,
            ),
            ("tenant.two.hosts[2]", 'tenant "one" has "*" with path "/ws" already', other),
        )
        self.expect(one + two + 'path = "/two"')
        self.expect(
            one + two + 'path = "two"',
            (
                "tenant.two.path",
                '"two" is no path: a slash, then ASCII without spaces, query or fragment',
                'did you mean "/two"?',
            ),
        )

    def test_two_sites_for_one_host(self) -> None:
        """One host's pages are those of one tenant; the other's would never be seen."""
        one = '[tenant.one]\nhosts = ["a.example"]\nbackend = "tcp:h:1"\nsite = "x"\n'
        two = '[tenant.two]\nhosts = ["a.example"]\npath = "/b"\nbackend = "tcp:h:1"\n'
        self.expect(one + two)
        self.expect(
            one + two + 'site = "y"',
            ("tenant.two.site", 'tenant "one" shows the pages of "a.example" already', None),
        )

    def test_names(self) -> None:
        """A tenant's name fits into logs and metrics, and no two differ in letter case only."""
        rest = 'backend = "tcp:h:1"\n'
        words = "is no name for a tenant: 1 to 64 letters, digits, - and _"
        long = "x" * 65
        for key, path, shown in (
            ('"a b"', 'tenant."a b"', '"a b"'),
            ('"ä"', 'tenant."ä"', '"ä"'),
            ('""', 'tenant.""', '""'),
            (long, f'tenant."{"x" * 59}…"', f'"{"x" * 59}…"'),
        ):
            self.expect(f'[tenant.{key}]\nhosts = ["x"]\n{rest}', (path, f"{shown} {words}", None))
        self.expect(
            f'[tenant.shop]\nhosts = ["x"]\n{rest}[tenant.Shop]\nhosts = ["y"]\n{rest}',
            (
                "tenant.Shop",
                'differs from tenant "shop" in upper and lower case only',
                None,
            ),
        )

    def test_no_tenant(self) -> None:
        """Without a tenant there is nothing to do, and the error says how to have one."""
        words = "no tenant is configured; add [tenant.NAME] or pass --backend"
        self.expect("", ("tenant", words, None))
        self.expect("[tenant]", ("tenant", words, None))

    def test_tenants_that_are_no_tables(self) -> None:
        """A tenant without a name of its own is told how tenants are written."""
        hint = "a tenant is a table, [tenant.NAME]"
        self.expect("tenant = 5", ("tenant", "expected a table, got 5", hint))
        self.expect(
            '[tenant]\nbackend = "tcp:h:1"',
            ("tenant.backend", 'expected a table, got "tcp:h:1"', hint),
        )

    def test_no_table_at_all(self) -> None:
        """What is no table is refused as a whole."""
        self.assertEqual(problems([1]), [("", "expected a table, got a list", None)])

    def test_a_bug_is_no_mistake(self) -> None:
        """An error that no check has made is not blamed on the file."""

        class Broken(dict[str, object]):
            def __getitem__(self, key: str) -> object:
                raise TypeError("a bug")

        self.assertRaises(TypeError, load_settings, Broken(fallback="localhost"))

    def test_all_at_once(self) -> None:
        """One look at a bad file shows all that is wrong with it, in its own order."""
        error = self.assertRaises(
            ConfigError,
            load,
            """
            listen = ["tls:8889", "tcp:8889", "tls:99999"]
            fallbak = "localhost"
            workers = 0
            message = "1 MiB"
            certificates = ""
            [limits]
            idle = "-1 s"
            conections = 3
            header = 10
            [tenant.shop1]
            hosts = ["a.example", "https://x/"]
            bakend = "tcp:1.2.3.4:5"
            mode = "tunel"
            framing = "int23"
            limits = { connections = 30000, message = true }
            [tenant.shop2]
            compression = { key = "secret" }
            hosts = ["A.example"]
            backend = ["tcp:h:1", "ssl:h:1"]
            mode = "tunnel"
            link_grace = "9 d"
            """,
        )
        self.assertEqual(
            [str(problem) for problem in error.problems],
            [
                "listen[1]: is where listen[0] listens already",
                'listen[2]: port: "99999" is no number from 0 to 65535',
                'fallbak: unknown setting (did you mean "fallback"?)',
                "workers: 0 is too few: at least 1",
                "message: unknown setting (it belongs in [limits])",
                'certificates: is empty, and "tls:8889" needs a folder with certificates',
                "limits.idle: '-1 s' is no duration: write a number and one of ms, s, min, h, d, "
                'as in "20 s"',
                'limits.conections: unknown setting (did you mean "connections"?)',
                'limits.header: 10 is too small: at least "1 KiB"',
                'tenant.shop1.hosts[1]: "https://x/" is no host name, "*.suffix" or "*" '
                "(only the name: no scheme, port or path)",
                'tenant.shop1.bakend: unknown setting (did you mean "backend"?)',
                'tenant.shop1.mode: "tunel" is none of "relay", "tunnel", "session" '
                '(did you mean "tunnel"?)',
                'tenant.shop1.framing: "int23" is none of "int32", "int32le", "int16", '
                '"netstring", "line", "nul" (did you mean "int32"?)',
                'tenant.shop1.limits.message: expected a size such as "16 KiB", got true',
                'tenant.shop1.backend: is missing (such as backend = "tcp:127.0.0.1:7000")',
                "tenant.shop2.compression: expected true or false, got a table",
                'tenant.shop2.hosts[0]: tenant "shop1" has "a.example" with path "/ws" already '
                "(give one of them another path)",
                'tenant.shop2.backend[1]: unknown kind "ssl": expected one of "tcp", "tls", '
                '"unix" (did you mean "tls"?)',
                'tenant.shop2.link_grace: "9 d" is too long: at most "7 d"',
                'tenant.shop2.link_grace: means nothing in mode "tunnel" '
                '(it belongs to mode "relay" or "session")',
            ],
        )
        self.assertEqual(str(error).split("\n"), [str(each) for each in error.problems])
        self.assertIsInstance(error.problems[0], Problem)
