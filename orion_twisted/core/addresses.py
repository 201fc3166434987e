"""
Where the gateway listens, for browsers and for backends that dial in, and where those are that it
dials: strings like those of Twisted's endpoints.

Parts stand between colons, the first names the kind, ``key=value`` is a named part, and a
backslash takes a colon or an equals sign literally, as in ``tcp:\\:\\:1:7000``. Everything that
Twisted would stumble over later, with an error that names no setting, is refused here.
"""

import re
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Literal, TypeAlias

from attrs import frozen

from orion_twisted.core.hostnames import normalise
from orion_twisted.core.problems import BadValue, listing, near_miss, quoted

MAX_SOCKET_PATH = 107
"""Longest path of a UNIX socket, in bytes: ``sun_path`` of Linux, without its final NUL."""

MAX_PORT = 65535
DIAL_IN = "dial-in"
"""What stands for the address of a backend that connects to the gateway."""
MAX_TIMEOUT = 3600
"""Longest ``timeout`` of a backend, in seconds."""

OTHER_WORDS = {"ssl": "tls", "https": "tls", "wss": "tls", "http": "tcp", "ws": "tcp"}
"""Words of other programs for the kinds of this one."""

PLAIN_LABEL = re.compile(r"[a-z0-9-]+", re.IGNORECASE | re.ASCII)
WHOLE = re.compile(r"[0-9]{1,9}")
OCTAL = re.compile(r"[0-7]{3,4}")
URL_PATH = re.compile(r"/[!\"$->@-~]*")
"""As it travels: visible ASCII without what ends the path."""

Kind: TypeAlias = Literal["tls", "tcp", "unix", "systemd"]
Check: TypeAlias = Callable[[str], None]


@frozen
class Listener:
    """
    One place where the gateway listens.

    Attributes:
        kind: the word the setting starts with.
        port: 0 lets the system choose one; None where there is no such thing.
        interface: the IP address it is bound to, or the path of a ``unix`` socket; empty for all
            of IPv4, and for ``systemd``.
        description: Twisted's server endpoint string, without TLS: that is wrapped around it.
        secure: whether TLS is spoken.
    """

    kind: Kind
    port: int | None
    interface: str
    description: str
    secure: bool

    def __str__(self) -> str:
        """Return it as the setting has it."""
        return self.kind + self.description[self.description.index(":") :]


@frozen
class DialInPlace:
    """
    One place where backends dial in.

    Attributes:
        kind: the word the setting starts with.
        description: Twisted's server endpoint string, which `parse_listener` reads too; empty for
            ``ws``.
        path: of ``ws``, the path of a WebSocket on the listeners without TLS, as it travels;
            empty for the others.
    """

    kind: Literal["tcp", "unix", "ws"]
    description: str = ""
    path: str = ""

    def __str__(self) -> str:
        """Return it as the setting has it."""
        return self.description or f"{self.kind}:{self.path}"


@frozen
class _Form:
    """
    One kind of address: how it is written, and how each of its parts is checked.

    The required parts may stand without their names, in this order; the others need theirs.
    """

    usage: str
    required: Mapping[str, Check]
    optional: Mapping[str, Check]


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_host(text: str) -> bool:
    return normalise(text) is not None or _is_address(text)  # an address may have a zone


def _host(text: str) -> None:
    if not _is_host(text):
        raise BadValue(f"{quoted(text)} is no host name or address")


def _is_certified(name: str) -> bool:
    """Say whether Twisted checks certificates for a host: names of IDNA 2008, and IPv4."""
    return all(
        PLAIN_LABEL.fullmatch(label) and (label[2:4] != "--" or label[:2].lower() == "xn")
        for label in name.removesuffix(".").split(".")
    )


def _tls_host(text: str) -> None:
    _host(text)
    if not _is_certified(text):
        name = normalise(text)
        hint = f"did you mean {quoted(name)}?" if name and _is_certified(name) else None
        raise BadValue(f"{quoted(text)} is no name that a certificate is checked against", hint)


def _address(text: str) -> None:
    if not _is_address(text):
        hint = 'did you mean "127.0.0.1"?' if text == "localhost" else None
        raise BadValue(f"{quoted(text)} is no IP address", hint)


def _number(least: int, most: int) -> Check:
    def check(text: str) -> None:
        if not (WHOLE.fullmatch(text) and least <= int(text) <= most):
            raise BadValue(f"{quoted(text)} is no number from {least} to {most}")

    return check


def _one_of(*words: str) -> Check:
    def check(text: str) -> None:
        if text not in words:
            raise BadValue(f"{quoted(text)} is none of {listing(words)}", near_miss(text, words))

    return check


def _mode(text: str) -> None:
    if not OCTAL.fullmatch(text):
        raise BadValue(f"{quoted(text)} is no octal file mode such as 660")


def _name(text: str) -> None:
    if not (text and text.isprintable()):
        raise BadValue(f"{quoted(text)} is empty or has control characters")


def _socket_path(text: str) -> None:
    _name(text)
    if len(text.encode("utf-8")) > MAX_SOCKET_PATH:
        raise BadValue(f"{quoted(text)} is longer than the {MAX_SOCKET_PATH} bytes of a socket")


def _inner_backend(text: str) -> None:
    check_backend(text)  # looked up late: it is defined below


_BACKLOG = _number(1, MAX_PORT)
_TIMEOUT = _number(1, MAX_TIMEOUT)
_FLAG = _one_of("0", "1")

LISTENERS: Mapping[str, _Form] = {
    "tls": _Form(
        "tls:PORT[:interface=ADDRESS]",
        {"port": _number(0, MAX_PORT)},
        {"interface": _address, "backlog": _BACKLOG},
    ),
    "tcp": _Form(
        "tcp:PORT[:interface=ADDRESS]",
        {"port": _number(0, MAX_PORT)},
        {"interface": _address, "backlog": _BACKLOG},
    ),
    "unix": _Form(
        "unix:PATH[:mode=660]",
        {"address": _socket_path},
        {"mode": _mode, "backlog": _BACKLOG, "lockfile": _FLAG},
    ),
    "systemd": _Form(
        "systemd:domain=INET:index=0, or name=NAME for the index",
        {"domain": _one_of("INET", "INET6", "UNIX")},
        {"index": _number(0, MAX_PORT), "name": _name},
    ),
}

BACKENDS: Mapping[str, _Form] = {
    "tcp": _Form(
        "tcp:HOST:PORT",
        {"host": _host, "port": _number(1, MAX_PORT)},
        {"timeout": _TIMEOUT, "bindAddress": _address},
    ),
    "tls": _Form(
        "tls:HOST:PORT",
        {"host": _tls_host, "port": _number(1, MAX_PORT)},
        {
            "timeout": _TIMEOUT,
            "bindAddress": _address,
            "certificate": _name,
            "privateKey": _name,
            "trustRoots": _name,
            "endpoint": _inner_backend,
        },
    ),
    "unix": _Form(
        "unix:PATH",
        {"path": _socket_path},
        {"timeout": _TIMEOUT, "lockfile": _FLAG},
    ),
}


def parse_listener(text: str) -> Listener:
    """
    Read one string of ``listen``.

    Raises:
        BadValue: it is none of the four kinds, or one of its parts is wrong.
    """
    if WHOLE.fullmatch(text):
        raise BadValue(
            f"{quoted(text)} does not say how to listen", f"did you mean {quoted(f'tls:{text}')}?"
        )
    kind, parts = _read(text, LISTENERS)
    if kind == "systemd" and ("index" in parts) == ("name" in parts):
        raise BadValue(f"needs either index or name: expected {LISTENERS[kind].usage}")
    interface = parts.get("interface")
    secure = kind == "tls"
    return Listener(
        kind=kind,  # type: ignore[arg-type]  # the keys of LISTENERS are the four
        port=int(parts["port"]) if "port" in parts else None,
        interface=str(ip_address(interface)) if interface else parts.get("address", ""),
        description=f"tcp{text[len(kind) :]}" if secure else text,
        secure=secure,
    )


def parse_dial_in(text: str) -> DialInPlace:
    """
    Read one string of ``dial_in``.

    Raises:
        BadValue: it is none of the three kinds, or one of its parts is wrong.
    """
    kind, _, rest = text.partition(":")
    match kind:
        case "ws":
            return DialInPlace("ws", path=check_path(rest))
        case "tcp" | "unix":
            return DialInPlace(kind, description=parse_listener(text).description)
    kinds = ("tcp", "unix", "ws")
    hint = near_miss({"wss": "ws"}.get(kind, OTHER_WORDS.get(kind, kind)), kinds)
    if WHOLE.fullmatch(text):
        hint = f"did you mean {quoted(f'tcp:{text}')}?"
    raise BadValue(f"unknown kind {quoted(kind)}: expected one of {listing(kinds)}", hint)


def check_path(text: str) -> str:
    """
    Return the path of a URL as it is, once it is one.

    Raises:
        BadValue: it is none.
    """
    if not URL_PATH.fullmatch(text):
        raise BadValue(
            f"{quoted(text)} is no path: a slash, then ASCII without spaces, query or fragment",
            None if text.startswith("/") else f"did you mean {quoted(f'/{text}')}?",
        )
    return text


def check_backend(text: str) -> str:
    """
    Return a backend's address as it is, once Twisted's client endpoints would take it.

    Raises:
        BadValue: it is none of the three kinds, or one of its parts is wrong.
    """
    host, _, port = text.rpartition(":")
    if host not in BACKENDS and ":" not in host and _is_host(host) and WHOLE.fullmatch(port):
        raise BadValue("does not say how to connect", f"did you mean {quoted(f'tcp:{text}')}?")
    _read(text, BACKENDS)
    return text


def _read(text: str, forms: Mapping[str, _Form]) -> tuple[str, Mapping[str, str]]:
    """Return the kind of an address and its parts by name, each of them checked."""
    kind = text.partition(":")[0]  # unescaped: a kind is one of these words, and comes first
    form = forms.get(kind)
    if form is None:
        hint = near_miss(OTHER_WORDS.get(kind, kind), forms)
        raise BadValue(f"unknown kind {quoted(kind)}: expected one of {listing(forms)}", hint)
    (_, *unnamed), named = split(text)
    if len(unnamed) > len(form.required):
        raise BadValue(
            f"has too many parts: expected {form.usage}", r"a colon inside a part is written \:"
        )
    checks = {**form.required, **form.optional}
    parts: dict[str, str] = {}
    for name, value in [*zip(form.required, unnamed, strict=False), *named]:
        if name not in checks:
            raise BadValue(f"unknown part {quoted(name)}", near_miss(name, checks))
        if name in parts:
            raise BadValue(f"{name} is given twice")
        parts[name] = value
    missing = [name for name in form.required if name not in parts]
    if missing:
        raise BadValue(f"{' and '.join(missing)} missing: expected {form.usage}")
    for name, value in parts.items():
        try:
            checks[name](value)
        except BadValue as error:
            raise BadValue(f"{name}: {error}", error.hint) from None
    return kind, parts


def split(text: str) -> tuple[list[str], list[tuple[str, str]]]:
    r"""
    Take an address apart the way Twisted does.

    Returns:
        The parts without a name and those with one: ``a:b\:c:d=e=f`` is ``["a", "b:c"]`` and
        ``[("d", "e=f")]``.

    Raises:
        BadValue: it ends within an escape.
    """
    unnamed: list[str] = []
    named: list[tuple[str, str]] = []
    name: str | None = None
    part = ""
    letters = iter(f"{text}:")  # one more colon ends the last part
    for letter in letters:
        if letter == ":":
            if name is None:
                unnamed.append(part)
            else:
                named.append((name, part))
            name, part = None, ""
        elif letter == "=" and name is None:
            name, part = part, ""
        elif letter == "\\":
            part += next(letters)
        else:
            part += letter
    if part:  # a backslash at the very end has escaped that colon
        raise BadValue("ends in a backslash that escapes nothing")
    return unnamed, named
