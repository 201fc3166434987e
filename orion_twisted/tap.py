"""
`twistd orion-bridge`: flags and a file in, a service out.

Every flag stands for a setting of the file, and means the same. Those of a tenant make one tenant
named ``default``, which answers every host.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from twisted.application.service import IService
from twisted.python import usage

from orion_twisted.core.problems import ConfigError
from orion_twisted.service.startup import build

NODE_FLAGS = ("certificates", "fallback", "admin", "performance")
TENANT_FLAGS = (
    "path",
    "mode",
    "dialect",
    "framing",
    "message-type",
    "text",
    "link-grace",
    "dial-timeout",
    "site",
    "client-ca",
)
SESSION_FLAGS = {
    "session-ttl": "ttl",
    "window": "window",
    "window-bytes": "window_bytes",
    "deadline": "deadline",
}
"""Flags of the tenant's table ``session``, and what they are called there."""


class Options(usage.Options):
    """What may stand behind `twistd orion-bridge`."""

    synopsis = "[--config FILE] [--listen WHERE]... [--backend ENDPOINT]... [options]"
    longdesc = (
        "Put a TCP application into a web page: a WebSocket gateway with TLS for many names. "
        "Settings come from a TOML file, from flags, or from both; a flag wins over the file. "
        "Flags below --backend describe one tenant, named default, which answers every host. "
        "Try: orion-bridge demo"
    )
    optParameters = [
        ["config", "c", None, "TOML file with the settings; `orion-bridge check FILE` checks it."],
        ["certificates", None, None, "Folder of certificates. [default: certs]"],
        ["fallback", None, None, "Name whose certificate answers unknown and missing names."],
        ["workers", None, None, "Number of processes, or auto: one for each CPU. [default: 1]"],
        [
            "performance",
            None,
            None,
            "Which parts carry messages: full, portable or stock. [default: full]",
        ],
        ["path", None, None, "Path of the WebSocket. [default: /ws]"],
        ["mode", None, None, "relay, tunnel or session. [default: relay]"],
        [
            "dialect",
            None,
            None,
            "What the backend speaks: orion.v1, orion.v2. [default: orion.v1]",
        ],
        ["links", None, None, "per-browser, or a number of shared links. [default: per-browser]"],
        ["framing", None, None, "int32, int32le, int16, netstring, line, nul. [default: int32]"],
        ["message-type", None, None, "text, binary or tagged. [default: text]"],
        ["text", None, None, "Text messages on a tunnel: refuse or utf-8. [default: refuse]"],
        ["link-grace", None, None, 'How long a broken link may take to return. [default: "30 s"]'],
        ["dial-timeout", None, None, 'How long the first dial may take. [default: "5 s"]'],
        [
            "session-ttl",
            None,
            None,
            'How long a session waits for its browser. [default: "2 min"]',
        ],
        ["window", None, None, "Messages that are held for a session. [default: 64]"],
        ["window-bytes", None, None, 'Bytes held for it, or a broken link. [default: "1 MiB"]'],
        ["deadline", None, None, 'How long a message without a time may take. [default: "30 s"]'],
        ["dial-in-token-file", None, None, "File with the token of backends that dial in."],
        ["site", None, None, "Folder of pages."],
        ["token-keys", None, None, "Key file, or folder of keys, of the tokens that let in."],
        ["client-ca", None, None, "File of authorities whose certificates clients have to show."],
        ["admin", None, None, "Where health and metrics are: tcp:PORT[:interface=ADDR]."],
    ]
    optFlags = [
        ["compression", None, "Agree to permessage-deflate when a browser offers it."],
        ["strict-sni", None, "Refuse unknown and missing names, instead of falling back."],
        ["allow-no-origin", None, "With --origin: let clients in that are no browsers."],
    ]
    compData = usage.Completions(
        optActions={"config": usage.CompleteFiles("*.toml"), "certificates": usage.CompleteDirs()}
    )

    def __init__(self) -> None:
        super().__init__()
        self["listen"] = []
        self["backend"] = []
        self["dial-in"] = []
        self["subprotocol"] = []
        self["origin"] = []
        self["embed-in"] = []
        self["proxy-protocol-from"] = []
        self["limits"] = {}

    def opt_listen(self, where: str) -> None:
        """
        Where to listen: tls:PORT[:interface=ADDR], tcp:PORT[:interface=ADDR] (plain, for a proxy
        that terminates TLS) or unix:PATH. May be given several times. [default: tls:8889]
        """
        self["listen"].append(where)

    def opt_backend(self, endpoint: str) -> None:
        """
        The TCP application: tcp:HOST:PORT, tls:HOST:PORT (verified) or unix:PATH. Given several
        times, the least busy one is dialled first. Or dial-in: it connects to the gateway.
        """
        self["backend"].append(endpoint)

    def opt_dial_in(self, where: str) -> None:
        """
        Where backends dial in: tcp:PORT[:interface=ADDR], unix:PATH, or ws:/PATH on the listeners
        without TLS. May be given several times.
        """
        self["dial-in"].append(where)

    def opt_subprotocol(self, name: str) -> None:
        """A WebSocket subprotocol that may be agreed to. May be given several times."""
        self["subprotocol"].append(name)

    def opt_origin(self, origin: str) -> None:
        """
        An origin whose pages may connect, as https://HOST[:PORT]. May be given several times.
        [default: that of the request's own host]
        """
        self["origin"].append(origin)

    def opt_embed_in(self, origin: str) -> None:
        """An origin whose pages may show ours in a frame. May be given several times."""
        self["embed-in"].append(origin)

    def opt_proxy_protocol_from(self, network: str) -> None:
        """
        A network of proxies that begin each connection with a PROXY header, as 10.0.0.0/8. May be
        given several times.
        """
        self["proxy-protocol-from"].append(network)

    def opt_limit(self, setting: str) -> None:
        """
        One of [limits], as NAME=VALUE, such as message=16MiB or ping_every=5s. May be given
        several times.
        """
        name, equals, value = setting.partition("=")
        if not equals:
            raise usage.UsageError("--limit wants NAME=VALUE, such as message=16MiB")
        self["limits"][name.strip()] = _number_or_text(value.strip())

    def settings(self) -> dict[str, Any]:
        """Return the flags that were given, in the shape of the settings file."""
        raw: dict[str, Any] = {name: self[name] for name in NODE_FLAGS if self[name] is not None}
        if self["workers"] is not None:
            raw["workers"] = _number_or_text(self["workers"])
        if self["listen"]:
            raw["listen"] = self["listen"]
        if self["dial-in"]:
            raw["dial_in"] = self["dial-in"]
        if self["limits"]:
            raw["limits"] = self["limits"]
        if self["strict-sni"]:
            raw["strict_sni"] = True
        if self["proxy-protocol-from"]:
            raw["proxy_protocol_from"] = self["proxy-protocol-from"]
        tenant: dict[str, Any] = {
            name.replace("-", "_"): self[name] for name in TENANT_FLAGS if self[name] is not None
        }
        if self["backend"]:
            tenant["backend"] = self["backend"]
        if self["subprotocol"]:
            tenant["subprotocols"] = self["subprotocol"]
        if self["origin"]:
            tenant["origins"] = self["origin"]
        if self["embed-in"]:
            tenant["embed_in"] = self["embed-in"]
        for flag in ("compression", "allow-no-origin"):
            if self[flag]:
                tenant[flag.replace("-", "_")] = True
        if self["token-keys"] is not None:
            tenant["token"] = {"key_file": self["token-keys"]}
        if self["dial-in-token-file"] is not None:
            tenant["dial_in"] = {"token_file": self["dial-in-token-file"]}
        if self["links"] is not None:
            tenant["links"] = _number_or_text(self["links"])
        session = {
            name: _number_or_text(self[flag])
            for flag, name in SESSION_FLAGS.items()
            if self[flag] is not None
        }
        if session:
            tenant["session"] = session
        if tenant:
            raw["tenant"] = {"default": tenant}
        return raw


def _number_or_text(value: str) -> int | str:
    """Return what a value would be in the file."""
    try:
        return int(value)
    except ValueError:
        return value


def makeService(options: Options, reactor: Any = None) -> IService:
    """
    Return the gateway that the options describe, or the supervisor of its workers.

    Raises:
        SystemExit: they describe none; every mistake has been printed, and the status is 1.
    """
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _say_plainly
    if reactor is None:
        from twisted.internet import reactor
    try:
        path = Path(options["config"]) if options["config"] is not None else None
        return build(path, options.settings(), reactor)
    except ConfigError as error:
        # Not an exception: twistd would print a traceback around it.
        raise SystemExit(_cannot_start(error)) from None


def _cannot_start(error: ConfigError) -> str:
    return f"orion-bridge: cannot start\n{error}"


def _say_plainly(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    """
    Print the exception that ends the process.

    One that comes when twistd starts the service, as where a port is taken, has to be raised
    through twistd, which takes the PID file away and tells the process that waits for a daemon.
    """
    if isinstance(error, ConfigError):
        print(_cannot_start(error), file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, traceback)
