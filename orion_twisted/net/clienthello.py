"""
The server's name in a client's first message, read before OpenSSL sees it.

OpenSSL asks for a context only after it has looked at the client's ticket; to bind tickets to
names, the context has to be there first. What this module does not understand is no error here:
OpenSSL gets the same bytes, and says what is wrong with them.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

MAX_HELLO = 16 * 1024
"""Bytes of a first message, records and all; 4 KiB is much for one with tickets and large keys."""

_HANDSHAKE_RECORD: Final = 22
_CLIENT_HELLO: Final = 1
_SERVER_NAME: Final = 0
_HOST_NAME: Final = 0

_MAJOR_VERSION: Final = 3  # in records of all versions of TLS
_RECORD_HEADER = Struct("!BHH")  # RFC 8446, section 5.1: type, version, length
_EXTENSION_HEADER = Struct("!HH")  # section 4.2: type, length
_NAME_HEADER = Struct("!HBH")  # RFC 6066, section 3: length of the list, kind, length of the name
_MESSAGE_HEADER = 4  # RFC 8446, section 4: type, length in three bytes
_VERSION_AND_RANDOM = 2 + 32


class NoClientHello(Exception):
    """What has arrived is no TLS, or not as RFC 8446 has it."""


class ClientHelloReader:
    """
    Collect a client's first message, from records and segments of any size.

    Attributes:
        arrived: all bytes so far; no more than `MAX_HELLO` are waited for.
    """

    def __init__(self) -> None:
        self.arrived = bytearray()
        self._message = bytearray()
        self._position = 0  # of the first record that is not in the message yet

    def feed(self, data: bytes) -> bytes | None:
        """
        Take some bytes.

        Returns:
            None until the message is whole; then the name that it asks for, as it is, or nothing
            in place of a name if it asks for none.

        Raises:
            NoClientHello: it will never be one.
        """
        self.arrived += data
        if self.arrived and self.arrived[0] != _HANDSHAKE_RECORD:
            raise NoClientHello  # plain HTTP, say, which has no header to wait for
        while (fragment := self._next_fragment()) is not None:
            self._message += fragment
            if self._message[0] != _CLIENT_HELLO:
                raise NoClientHello
            if len(self._message) < _MESSAGE_HEADER:
                continue
            end = _MESSAGE_HEADER + int.from_bytes(self._message[1:_MESSAGE_HEADER])
            if len(self._message) >= end:
                return server_name(bytes(self._message[_MESSAGE_HEADER:end]))
        if len(self.arrived) > MAX_HELLO:
            raise NoClientHello
        return None

    def _next_fragment(self) -> bytes | None:
        """Return the content of the next record, once it is whole."""
        begin = self._position + _RECORD_HEADER.size
        if len(self.arrived) < begin:
            return None
        kind, version, length = _RECORD_HEADER.unpack_from(self.arrived, self._position)
        if kind != _HANDSHAKE_RECORD or version >> 8 != _MAJOR_VERSION or length == 0:
            raise NoClientHello
        if len(self.arrived) < begin + length:
            return None
        self._position = begin + length
        return bytes(self.arrived[begin : self._position])


def server_name(hello: bytes) -> bytes:
    """
    Return the name that a ClientHello asks for, or nothing if it asks for none.

    Args:
        hello: the message without its header.

    Raises:
        NoClientHello: it is malformed on the way to the name, or in it.
    """
    # Each connection comes this way: the lengths are added up here, without an object for each.
    end = len(hello)
    try:
        at = _VERSION_AND_RANDOM
        at += 1 + hello[at]  # session id
        at += 2 + (hello[at] << 8 | hello[at + 1])  # cipher suites
        at += 1 + hello[at]  # compression methods
        if at == end:
            return b""  # TLS 1.2 without extensions
        end = at + 2 + (hello[at] << 8 | hello[at + 1])
    except IndexError:
        raise NoClientHello from None
    if end > len(hello):
        raise NoClientHello
    at += 2
    found = b""
    while at < end:
        begin = at + _EXTENSION_HEADER.size
        if begin > end:
            raise NoClientHello
        kind, length = _EXTENSION_HEADER.unpack_from(hello, at)
        at = begin + length
        if at > end:
            raise NoClientHello
        if kind == _SERVER_NAME:
            if found:
                raise NoClientHello
            found = _host_name(hello[begin:at])
    return found


def _host_name(extension: bytes) -> bytes:
    # RFC 6066, section 3, as narrow as OpenSSL takes it: one name, of the one kind there is.
    if len(extension) < _NAME_HEADER.size:
        raise NoClientHello
    length_of_list, kind, length = _NAME_HEADER.unpack_from(extension)
    begin = _NAME_HEADER.size
    end = begin + length
    if kind != _HOST_NAME or not length or length_of_list != 3 + length or end > len(extension):
        raise NoClientHello
    return extension[begin:end]
