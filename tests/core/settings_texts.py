"""Texts of settings that tests of them begin with, and what `load_settings` makes of one."""

import tomllib
from typing import Any

from orion_twisted.core.config import (
    ConfigError,
    Settings,
    load_settings,
)

MIB = 1024 * 1024
GIB = 1024 * MIB
LEAST = """
[tenant.default]
hosts = ["*"]
backend = "tcp:127.0.0.1:7000"
"""
DIALS_IN = """
dial_in = "tcp:8887"
[tenant.default]
hosts = ["*"]
mode = "session"
backend = "dial-in"
dial_in = { token_file = "keys/orion" }
"""
FULL = r"""
listen       = ["tls:8889", 'tcp:8888:interface=127.0.0.1', "unix:/run/orion.sock:mode=660"]
certificates = "/etc/orion/certs"
fallback     = "LOCALHOST"
strict_sni   = true
admin        = "tcp:8890:interface=127.0.0.1"
proxy_protocol_from = ["10.0.0.0/8", "2001:db8::/32"]
dial_in      = ["tcp:8887:interface=127.0.0.1", "unix:/run/dial.sock", "ws:/orion"]
workers      = 1

[limits]
message = "4 MiB"
header = "8 KiB"
connections = 1000
connections_per_ip = 20
pending_handshakes = 51
pending_handshakes_per_ip = 3
handshake = "2500 ms"
connect_rate_per_ip = 50
message_time = "30 s"
message_rate = 100
byte_rate = "1 MiB"
ping_every = "25 s"
ping_timeout = 11
idle = "10 min"
drain = "0 s"
memory = "2 GiB"
held = 300000
sessions = 50000

[tenant.shop1]
hosts = ["WebEdit01.example.com.", "*.shop1.example"]
path = "/orion/ws"
backend = ["tcp:10.1.0.5:7000", "tls:orion.example:7001:timeout=3"]
mode = "relay"
framing = "int16"
message_type = "tagged"
subprotocols = ["orion.v1"]
link_grace = "1 min"
dial_timeout = "2 s"
compression = true
site = "frontend/editor/dist"
origins = ["https://WebEdit01.example.com", "null"]
allow_no_origin = true
embed_in = ["https://Shop1.cafe24.com", "https://*.shop1.example"]
token = { algorithms = ["HS256", "EdDSA"], key_file = "keys/shop1", most_life = "5 min" }
client_ca = "clients.pem"
session = { window_bytes = "2 MiB" }
limits = { connections = 500, message = "1 MiB" }

[tenant.Vnc_2]
hosts = ["webedit01.example.com"]
path = "/vnc"
backend = "unix:/run/vnc.sock"
mode = "tunnel"
text = "utf-8"

[tenant.shop2]
hosts = ["shop2.example"]
backend = "tcp:10.1.0.6:7000"
mode = "session"
dialect = "orion.v2"
links = 4
framing = "int32le"
link_grace = "1 min"
subprotocols = ["orion.v2"]
session = { ttl = "5 min", window = 100, window_bytes = "4 MiB", deadline = "10 s" }
limits = { memory = "64 MiB", held = 5000, sessions = 600 }

[tenant.shop3]
hosts = ["shop3.example"]
backend = "dial-in"
mode = "session"
dial_in = { token_file = "keys/orion-shop3" }
"""


def load(text: str) -> Settings:
    """Load settings from TOML."""
    return load_settings(tomllib.loads(text))


def problems(raw: Any) -> list[tuple[str, str, str | None]]:
    """Return what is wrong: path, text and hint of each problem."""
    try:
        load_settings(raw)
    except ConfigError as error:
        return [(each.path, each.text, each.hint) for each in error.problems]
    return []
