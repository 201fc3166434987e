"""
The PROXY protocol's header, versions 1 and 2: who is behind a proxy.

The rules are those of the specification that HAProxy keeps (``doc/proxy-protocol.txt``, sections
2.1 and 2.2). Bytes are pushed in; what comes out is an address, or that the proxy speaks for
itself, or that this is no such header.
"""

from ipaddress import IPv4Address, IPv6Address, ip_address
from struct import Struct

from attrs import frozen

V1_START = b"PROXY "
V1_LONGEST = 107
"""Bytes of a version 1 header, line end included."""

V2_START = b"\r\n\r\n\x00\r\nQUIT\n"
V2_LONGEST = 1024
"""Bytes of a version 2 header that are read: the addresses, and what the proxy adds behind."""

_V2_REST = Struct("!BBH")
_V2_INET = Struct("!4s4sHH")
_V2_INET6 = Struct("!16s16sHH")
_COMMAND_LOCAL, _COMMAND_PROXY = 0x20, 0x21
_INET_STREAM, _INET6_STREAM = 0x11, 0x21


class BadProxyHeader(Exception):
    """The connection does not begin with a PROXY header that can be read."""


@frozen
class Behind:
    """
    Who the connection is made for.

    Attributes:
        host: the client's IP address; None where the proxy speaks for itself (health checks).
        port: the client's TCP port.
        length: bytes of the header; what follows them belongs to the connection.
    """

    host: str | None
    port: int
    length: int


def read_proxy_header(data: bytes) -> Behind | None:
    """
    Read a header from the beginning of a connection.

    Args:
        data: all that has come so far.

    Returns:
        What the header says, or None until more of it is there.

    Raises:
        BadProxyHeader: this is none, or one that is too long.
    """
    if data.startswith(V2_START):
        return _read_v2(data)
    if data.startswith(V1_START):
        return _read_v1(data)
    if V2_START.startswith(data) or V1_START.startswith(data):
        return None
    raise BadProxyHeader("the connection does not begin with a PROXY header")


def _read_v1(data: bytes) -> Behind | None:
    end = data.find(b"\r\n", 0, V1_LONGEST)
    if end < 0:
        if len(data) >= V1_LONGEST:
            raise BadProxyHeader("a PROXY line without an end")
        return None
    parts = data[:end].split(b" ")
    length = end + 2
    if len(parts) >= 2 and parts[1] == b"UNKNOWN":
        return Behind(None, 0, length)
    if len(parts) != 6 or parts[1] not in (b"TCP4", b"TCP6"):
        raise BadProxyHeader("a PROXY line for something other than TCP")
    kind = IPv4Address if parts[1] == b"TCP4" else IPv6Address
    try:
        host, _ = (kind(part.decode("ascii")) for part in parts[2:4])
    except ValueError:  # UnicodeDecodeError is one
        raise BadProxyHeader("a PROXY line with a bad address") from None
    return Behind(str(host), _port(parts[4]), length)


def _port(text: bytes) -> int:
    if not (text.isdigit() and len(text) <= 5 and int(text) <= 65535):
        raise BadProxyHeader("a PROXY line with a bad port")
    return int(text)


def _read_v2(data: bytes) -> Behind | None:
    begin = len(V2_START) + _V2_REST.size
    if len(data) < begin:
        return None
    command, family, size = _V2_REST.unpack_from(data, len(V2_START))
    length = begin + size
    if length > V2_LONGEST:
        raise BadProxyHeader(f"a PROXY header of {length} bytes; at most {V2_LONGEST}")
    if command not in (_COMMAND_LOCAL, _COMMAND_PROXY):
        raise BadProxyHeader("a PROXY header of an unknown version or command")
    if len(data) < length:
        return None
    if command == _COMMAND_LOCAL:
        return Behind(None, 0, length)
    form = {_INET_STREAM: _V2_INET, _INET6_STREAM: _V2_INET6}.get(family)
    if form is None or size < form.size:
        raise BadProxyHeader("a PROXY header for something other than TCP")
    source, _, port, _ = form.unpack_from(data, begin)
    return Behind(str(ip_address(source)), port, length)
