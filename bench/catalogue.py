"""The gateways there are, each with how it is had and started."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from string import Template

from attrs import field, frozen
from cryptography.hazmat.primitives.serialization import (
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)
from cryptography.x509 import load_pem_x509_certificate

from bench.frames import Framing, Len32Framing
from bench.gateways import CHECKOUT, Gateway, Missing, Place, output, package_version, program
from bench.scenarios import KIB

PEERS = CHECKOUT / "bench/peers"
NODE_MODULES = CHECKOUT / ".venv-bench/node/node_modules"
"""Where `make bench` has npm put what `peers/package.json` names."""

RUNGS = ("stock", "portable", "full")
"""The values of the gateway's ``performance``, where it has one."""

_PASSWORD = b"bench"


@frozen(kw_only=True)
class Orion(Gateway):
    """
    This gateway.

    Attributes:
        tenant: lines of its settings file, for the tenant.
        flags: of ``twistd orion-bridge``.
        checkout: the folder whose gateway it is.
    """

    tenant: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    checkout: Path = field(default=CHECKOUT)

    def environment(self) -> Mapping[str, str]:
        return {"PYTHONPATH": str(self.checkout)}

    def version(self) -> str:
        code = "import orion_twisted as o; print(o.__version__)"
        version = output([sys.executable, "-c", code], self.environment()).strip()
        git = ["git", "-C", str(self.checkout)]
        try:
            commit = output([*git, "rev-parse", "--short", "HEAD"]).strip()
            changed = output([*git, "status", "--porcelain", "--", "orion_twisted"]).strip()
        except Missing:
            return version  # no checkout: an unpacked archive
        return f"{version} ({commit}{', changed' if changed else ''})"

    def command(self, place: Place) -> list[str]:
        settings = place.folder / "orion-bridge.toml"
        settings.write_text(
            "\n".join(
                [
                    f'listen = ["tls:{place.port}:interface=127.0.0.1"]',
                    f'certificates = "{place.certificates}"',
                    'fallback = "localhost"',
                    "[limits]",
                    'message = "4 MiB"',
                    "connections_per_ip = 20000",
                    "connect_rate_per_ip = 0",
                    "pending_handshakes_per_ip = 512",
                    "[tenant.bench]",
                    'hosts = ["*"]',
                    f'backend = ["tcp:127.0.0.1:{place.backend}"]',
                    *self.tenant,
                    "",
                ]
            )
        )
        twistd = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()"]
        help_text = output([*twistd, "orion-bridge", "--help"], self.environment())
        for flag in (each.partition("=")[0] for each in self.flags):
            if flag not in help_text:
                raise Missing(f"this version has no {flag}")
        check = [sys.executable, "-m", "orion_twisted.cli", "check", str(settings)]
        output(check, self.environment())
        return [
            *twistd,
            *("-n", "--pidfile=", f"--logfile={place.folder / 'twistd.log'}"),
            *("orion-bridge", f"--config={settings}", *self.flags),
        ]


@frozen(kw_only=True)
class Bridge(Gateway):
    """
    A bridge of `bench.peers`, in Python.

    Attributes:
        module: its name there.
        packages: that it stands on.
    """

    module: str
    packages: tuple[str, ...]

    def version(self) -> str:
        return ", ".join(package_version(each) for each in self.packages)

    def environment(self) -> Mapping[str, str]:
        return {"PYTHONPATH": str(CHECKOUT)}

    def command(self, place: Place) -> list[str]:
        ports = (str(place.port), str(place.backend))
        module = f"bench.peers.{self.module}"
        return [sys.executable, "-m", module, *ports, str(place.certificate)]


@frozen(kw_only=True)
class Node(Gateway):
    """The bridge of `bench.peers` on Node and ws."""

    def version(self) -> str:
        node = output([program("node"), "--version"]).strip()
        if not (NODE_MODULES / "ws").is_dir():
            raise Missing("no ws; `make bench` installs it with npm")
        packages = [each for each in ("ws", "bufferutil") if (NODE_MODULES / each).is_dir()]
        versions = [f"{each} {npm_version(NODE_MODULES / each)}" for each in packages]
        return f"node {node.removeprefix('v')}, {', '.join(versions)}"

    def environment(self) -> Mapping[str, str]:
        return {"NODE_PATH": str(NODE_MODULES)}

    def command(self, place: Place) -> list[str]:
        script = PEERS / "node_ws.cjs"
        ports = (str(place.port), str(place.backend))
        return [program("node"), str(script), *ports, str(place.certificate)]


@frozen(kw_only=True)
class Websockify(Gateway):
    """websockify: a stream, and a process for each connection."""

    def version(self) -> str:
        return package_version("websockify")

    def command(self, place: Place) -> list[str]:
        return [
            *(sys.executable, "-m", "websockify", "--ssl-only", "--ssl-version=tlsv1_2"),
            *(f"--cert={place.certificate}", f"127.0.0.1:{place.port}"),
            f"127.0.0.1:{place.backend}",
        ]


@frozen(kw_only=True)
class Websocat(Gateway):
    """websocat, with its frames of four bytes' length."""

    def version(self) -> str:
        return output([program("websocat"), "--version"]).strip()

    def command(self, place: Place) -> list[str]:
        archive = place.folder / "localhost.p12"
        archive.write_bytes(as_pkcs12(place.certificate.read_bytes()))
        return [
            *(program("websocat"), "--binary", "--exit-on-eof", "-q"),
            *(f"--pkcs12-der={archive}", f"--pkcs12-passwd={_PASSWORD.decode()}"),
            f"wss-listen:127.0.0.1:{place.port}",
            f"lengthprefixed:tcp:127.0.0.1:{place.backend}",
        ]


@frozen(kw_only=True)
class HAProxy(Gateway):
    """HAProxy, which ends TLS and passes on bytes: there is no WebSocket in it."""

    def version(self) -> str:
        text = output([program("haproxy"), "-v"])
        found = re.match(r"HAProxy version (\S+)", text)
        return f"haproxy {found[1] if found else ''}"

    def command(self, place: Place) -> list[str]:
        settings = place.folder / "haproxy.cfg"
        template = Template((PEERS / "haproxy.cfg").read_text())
        settings.write_text(
            template.substitute(
                port=place.port, backend=place.backend, certificate=place.certificate
            )
        )
        return [program("haproxy"), "-db", "-f", str(settings)]

    def framing(self) -> Framing:
        return Len32Framing()


def npm_version(folder: Path) -> str:
    found = re.search(r'"version":\s*"([^"]+)"', (folder / "package.json").read_text())
    return found[1] if found else "unknown"


def as_pkcs12(pem: bytes) -> bytes:
    """Return a certificate and its key, PEM, as a PKCS#12 archive."""
    # websocat opens it anew for every connection: a slow key derivation would be its cost.
    once = PrivateFormat.PKCS12.encryption_builder().kdf_rounds(1).build(_PASSWORD)
    return pkcs12.serialize_key_and_certificates(
        b"localhost",
        load_pem_private_key(pem, None),  # type: ignore[arg-type]
        load_pem_x509_certificate(pem),
        None,
        once,
    )


_RELAY = ('mode = "relay"', 'framing = "int32"', 'message_type = "binary"')
_SESSION = ('mode = "session"', 'framing = "int32"', 'links = "per-browser"')


def _rungs() -> list[Gateway]:
    return [
        Orion(
            name=f"orion-{rung}",
            about=f"this gateway, performance = {rung}",
            tenant=_RELAY,
            flags=(f"--performance={rung}",),
        )
        for rung in RUNGS
    ]


def _sessions() -> list[Gateway]:
    return [
        Orion(
            name=f"orion-{dialect.removeprefix('orion.')}",
            about=f"this gateway, session mode, {dialect} on both sides",
            backend=dialect,
            tenant=(*_SESSION, f'dialect = "{dialect}"'),
            subprotocol=dialect,
            only=("rr-64", "pipe-64"),
        )
        for dialect in ("orion.v1", "orion.v2")
    ]


GATEWAYS: dict[str, Gateway] = {
    each.name: each
    for each in (
        Orion(name="orion", about="this gateway, relay mode", tenant=_RELAY),
        *_rungs(),
        *_sessions(),
        Orion(
            name="orion-workers",
            about="this gateway, relay mode, two workers",
            tenant=_RELAY,
            flags=("--workers=2",),
        ),
        Orion(
            name="orion-tunnel",
            about="this gateway, tunnel mode: a stream",
            tenant=('mode = "tunnel"',),
            keeps_messages=False,
        ),
        Bridge(
            name="autobahn",
            about="stock Twisted and Autobahn, 80 lines",
            module="autobahn_bridge",
            packages=("autobahn", "twisted"),
        ),
        Bridge(
            name="picows",
            about="picows on uvloop, C",
            module="picows_bridge",
            packages=("picows", "aiofastnet", "uvloop"),
        ),
        Bridge(
            name="websockets",
            about="websockets on uvloop",
            module="websockets_bridge",
            packages=("websockets", "uvloop"),
        ),
        Node(name="node", about="ws on Node"),
        Websocat(
            name="websocat",
            about="websocat, Rust; TLS 1.2 is all it has",
            has_tls_1_3=False,
            most_size=16 * KIB,
        ),
        Websockify(
            name="websockify",
            about="websockify: a stream, a process for each connection",
            keeps_messages=False,
            most_connections=100,
        ),
        HAProxy(name="haproxy", about="HAProxy, TLS to TCP: no WebSocket in it"),
    )
}
"""All gateways by their names, in the order in which they are run and shown."""
