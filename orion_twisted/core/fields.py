"""
How one setting is read: types for the fields of the settings' classes.

``Size`` is an ``int`` to whoever uses it; beside that it carries, by ``Annotated``, the function
that makes one from what the file says, or says in one line why it cannot.
"""

import re
from collections.abc import Callable, Iterable
from functools import partial
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Literal, TypeAlias, get_args

from attrs import frozen

from orion_twisted.core.addresses import (
    DIAL_IN,
    DialInPlace,
    Listener,
    check_backend,
    check_path,
    parse_dial_in,
    parse_listener,
)
from orion_twisted.core.frames import FRAMINGS
from orion_twisted.core.hostnames import EVERYTHING, normalise_pattern
from orion_twisted.core.messages import MESSAGE_TYPES
from orion_twisted.core.origins import ANY_ORIGIN, NULL_ORIGIN, normalise_origin
from orion_twisted.core.problems import MOST_SHOWN, BadValue, listing, near_miss, quoted, shown
from orion_twisted.core.units import format_duration, format_size, parse_duration, parse_size

LEAST_HEADER = parse_size("1 KiB")
"""Bytes; a browser's own handshake, cookies aside, has about half of that."""

LONGEST_DURATION = parse_duration("7 d")
"""Seconds; the reactor's poll can wait for 24 days at most."""

ALGORITHMS = ("HS256", "RS256", "ES256", "EdDSA")
"""How a token may be signed (RFC 7518 section 3.1, RFC 8037)."""

PER_BROWSER = "per-browser"
"""What ``links`` says where each browser has its own; a 0 inside the program."""

MOST_LINKS = 1024
"""Of one tenant, shared; each is a socket, and a backend has one for each gateway."""

AUTO = "auto"
"""What ``workers`` says for as many as there are CPUs; a 0 inside the program."""

MOST_WORKERS = 256

# RFC 6455 section 4.1 wants subprotocols to be tokens; RFC 9110 section 5.6.2 says what they are.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


@frozen
class Reads:
    """
    How the setting of an ``Annotated`` type is read.

    Attributes:
        read: takes what the file says, gives what the setting is; raises ``ValueError`` with a
            line for the operator, often a `BadValue` with a hint.
    """

    read: Callable[[object], object]


def _text(raw: object) -> str:
    if not isinstance(raw, str):
        raise BadValue(f"expected a string, got {shown(raw)}")
    return raw


def _folder(raw: object) -> str:
    text = _text(raw)
    if not text.isprintable():
        raise BadValue(f"{quoted(text)} has control characters")
    return text


def _site(raw: object) -> str:
    text = _folder(raw)
    if not text:
        raise BadValue("is empty: expected a folder with pages")
    return text


def _file(raw: object) -> str:
    text = _folder(raw)
    if not text:
        raise BadValue("is empty: expected a file")
    return text


def _name(raw: object) -> str:
    text = _text(raw)
    if not (text and text.isprintable()):
        raise BadValue(f"{quoted(text)} is empty or has control characters")
    return text


def _flag(raw: object) -> bool:
    if not isinstance(raw, bool):
        raise BadValue(f"expected true or false, got {shown(raw)}")
    return raw


def _count(raw: object) -> int:
    if not isinstance(raw, int) or isinstance(raw, bool):
        raise BadValue(f"expected a whole number, got {shown(raw)}")
    if raw < 1:
        raise BadValue(f"{shown(raw)} is too few: at least 1")
    return raw


def _workers(raw: object) -> int:
    if raw == AUTO:
        return 0
    if not isinstance(raw, int) or isinstance(raw, bool):
        hint = near_miss(raw, (AUTO,)) if isinstance(raw, str) else None
        raise BadValue(f"expected a whole number or {quoted(AUTO)}, got {shown(raw)}", hint)
    if not 1 <= raw <= MOST_WORKERS:
        raise BadValue(
            f"{shown(raw)} is too few: at least 1"
            if raw < 1
            else f"{shown(raw)} is too many: at most {MOST_WORKERS}"
        )
    return raw


def _size(raw: object, least: int = 1) -> int:
    if not isinstance(raw, str | int) or isinstance(raw, bool) or _is_long(raw):
        raise BadValue(f'expected a size such as "16 KiB", got {shown(raw)}')
    size = parse_size(raw)
    if size < least:
        raise BadValue(f"{shown(raw)} is too small: at least {quoted(format_size(least))}")
    return size


def _duration(raw: object, may_be_zero: bool = False) -> float:
    if not isinstance(raw, str | int | float) or isinstance(raw, bool) or _is_long(raw):
        raise BadValue(f'expected a duration such as "20 s", got {shown(raw)}')
    seconds = parse_duration(raw)
    if not (seconds or may_be_zero):
        raise BadValue(f"{shown(raw)} is too short: it has to be more than zero")
    if seconds > LONGEST_DURATION:
        most = quoted(format_duration(LONGEST_DURATION))
        raise BadValue(f"{shown(raw)} is too long: at most {most}")
    return seconds


def _is_long(raw: object) -> bool:
    return isinstance(raw, str) and len(raw) > MOST_SHOWN


def _choice(raw: object, words: Iterable[str]) -> str:
    text = _text(raw)
    if text not in words:
        raise BadValue(f"{quoted(text)} is none of {listing(words)}", near_miss(text, words))
    return text


def _links(raw: object) -> int:
    if raw == PER_BROWSER:
        return 0
    if not isinstance(raw, int) or isinstance(raw, bool) or not 1 <= raw <= MOST_LINKS:
        raise BadValue(
            f"expected {quoted(PER_BROWSER)}, or a number of shared links from 1 to {MOST_LINKS},"
            f" got {shown(raw)}",
            near_miss(raw, (PER_BROWSER,)) if isinstance(raw, str) else None,
        )
    return raw


def _listener(raw: object) -> Listener:
    return parse_listener(_text(raw))


def _backend(raw: object) -> str:
    text = _text(raw)
    if text == DIAL_IN:
        return text
    try:
        return check_backend(text)
    except BadValue as error:
        raise BadValue(str(error), error.hint or near_miss(text, (DIAL_IN,))) from None


def _dial_in_place(raw: object) -> DialInPlace:
    return parse_dial_in(_text(raw))


def _host(raw: object) -> str:
    text = _text(raw)
    host = normalise_pattern(text)
    if host is None:
        hint = "only the name: no scheme, port or path" if re.search("[:/]", text) else None
        raise BadValue(f'{quoted(text)} is no host name, "*.suffix" or "*"', hint)
    return host


def _certificate_name(raw: object) -> str:
    host = _host(raw)
    if host == EVERYTHING:
        raise BadValue('"*" is no name: expected that of the certificate to fall back to')
    return host


def _url_path(raw: object) -> str:
    return check_path(_text(raw))


def _token(raw: object) -> str:
    text = _text(raw)
    if not _TOKEN.fullmatch(text):
        raise BadValue(f"{quoted(text)} is no subprotocol: expected a token as of RFC 6455")
    return text


def _rate(raw: object) -> int:
    if raw == 0 and not isinstance(raw, bool):
        return 0
    return _count(raw)


def _size_or_zero(raw: object) -> int:
    return _size(raw, least=0)


def _origin(raw: object) -> str:
    text = _text(raw)
    if text in (ANY_ORIGIN, NULL_ORIGIN):
        return text
    origin = normalise_origin(text)
    if origin is None:
        raise BadValue(
            f'{quoted(text)} is no origin: expected scheme://host[:port], "null" or "*"',
            None if "://" in text else f"did you mean {quoted(f'https://{text}')}?",
        )
    return origin


def _embedder(raw: object) -> str:
    text = _text(raw)
    scheme, _, rest = text.partition("://")
    if normalise_origin(f"{scheme}://{rest.removeprefix('*.')}") is None:
        raise BadValue(
            f"{quoted(text)} is no page's origin: expected scheme://host[:port] or"
            " scheme://*.suffix",
            None if "://" in text else f"did you mean {quoted(f'https://{text}')}?",
        )
    return text.lower()


def _network(raw: object) -> IPv4Network | IPv6Network:
    text = _text(raw)
    try:
        return ip_network(text)
    except ValueError as error:
        raise BadValue(f"{quoted(text)} is no network: {error}", "such as 10.0.0.0/8") from None


def _admin(raw: object) -> Listener:
    listener = _listener(raw)
    if listener.kind not in ("tcp", "unix"):
        raise BadValue(f"{quoted(str(listener))} is neither tcp: nor unix:")
    return listener


Performance: TypeAlias = Literal["stock", "portable", "full"]
Mode: TypeAlias = Literal["relay", "tunnel", "session"]
Dialect: TypeAlias = Literal["orion.v1", "orion.v2"]
TextRule: TypeAlias = Literal["refuse", "utf-8"]

Folder: TypeAlias = Annotated[str, Reads(_folder)]
SiteFolder: TypeAlias = Annotated[str, Reads(_site)]
Flag: TypeAlias = Annotated[bool, Reads(_flag)]
Count: TypeAlias = Annotated[int, Reads(_count)]
Workers: TypeAlias = Annotated[int, Reads(_workers)]
Size: TypeAlias = Annotated[int, Reads(_size)]
HeaderSize: TypeAlias = Annotated[int, Reads(partial(_size, least=LEAST_HEADER))]
Duration: TypeAlias = Annotated[float, Reads(_duration)]
DurationOrZero: TypeAlias = Annotated[float, Reads(partial(_duration, may_be_zero=True))]
ListenerField: TypeAlias = Annotated[Listener, Reads(_listener)]
Backend: TypeAlias = Annotated[str, Reads(_backend)]
HostPattern: TypeAlias = Annotated[str, Reads(_host)]
CertificateName: TypeAlias = Annotated[str, Reads(_certificate_name)]
UrlPath: TypeAlias = Annotated[str, Reads(_url_path)]
Token: TypeAlias = Annotated[str, Reads(_token)]
Rate: TypeAlias = Annotated[int, Reads(_rate)]
SizeOrZero: TypeAlias = Annotated[int, Reads(_size_or_zero)]
Origin: TypeAlias = Annotated[str, Reads(_origin)]
Embedder: TypeAlias = Annotated[str, Reads(_embedder)]
Network: TypeAlias = Annotated[IPv4Network | IPv6Network, Reads(_network)]
AdminListener: TypeAlias = Annotated[Listener, Reads(_admin)]
Name: TypeAlias = Annotated[str, Reads(_name)]
File: TypeAlias = Annotated[str, Reads(_file)]
Algorithm: TypeAlias = Annotated[str, Reads(partial(_choice, words=ALGORITHMS))]
PerformanceName: TypeAlias = Annotated[
    Performance, Reads(partial(_choice, words=get_args(Performance)))
]
ModeName: TypeAlias = Annotated[Mode, Reads(partial(_choice, words=get_args(Mode)))]
DialectName: TypeAlias = Annotated[Dialect, Reads(partial(_choice, words=get_args(Dialect)))]
Links: TypeAlias = Annotated[int, Reads(_links)]
DialInField: TypeAlias = Annotated[DialInPlace, Reads(_dial_in_place)]
FramingName: TypeAlias = Annotated[str, Reads(partial(_choice, words=tuple(FRAMINGS)))]
MessageType: TypeAlias = Annotated[str, Reads(partial(_choice, words=MESSAGE_TYPES))]
TextRuleName: TypeAlias = Annotated[TextRule, Reads(partial(_choice, words=get_args(TextRule)))]
