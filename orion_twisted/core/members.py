"""
Members of a JSON object, read and replaced without touching the rest of its bytes.

Numbers of other people's messages have to be changed on links that many share. The usual object
is changed in place; one whose spelling could deceive that (the name in escapes, or twice) is
taken apart and put together again, with every other value as it was, to the byte. A name that
such an object has twice is left with its last value, as JSON's readers have it.
"""

from __future__ import annotations

import re
from typing import Generic, TypeVar

import msgspec

MAX_NUMBER = 2**53 - 1
"""The largest integer that a browser's numbers hold exactly."""

_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.encode
UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)
"""What msgspec raises for what it cannot read."""
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")


class NoObject(ValueError):
    """The payload is no JSON object, or the member that is looked for is not what it has to be."""


def _escaped(name: str) -> re.Pattern[bytes]:
    """
    Return what finds an escape of one of a name's characters: without any, there is no other
    spelling of the name. (Escapes of other characters are common: some write no umlaut without.)
    """
    escapes = {rf"{ord(each):02x}" for each in name}
    return re.compile(rb"(?i)\\u00(?:%b)" % "|".join(sorted(escapes)).encode())


class Member:
    """
    A member with a whole number for its value, such as ``"@MSGID"``.

    Args:
        name: ASCII, without anything that JSON escapes.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._quoted = b'"%b"' % name.encode("ascii")
        self._escaped = _escaped(name)
        self._in_place = re.compile(
            rb'"%b"[ \t\n\r]*:[ \t\n\r]*(-?[0-9]+)(?=[ \t\n\r]*[,}])' % re.escape(name.encode())
        )

    def replace(self, payload: bytes, number: int) -> bytes:
        """Return a JSON object, which has this member, with its number changed."""
        if payload.count(self._quoted) == 1 and not self._may_be_escaped(payload):
            found = self._in_place.search(payload)
            if found is not None:
                start, end = found.span(1)
                return b"%b%d%b" % (payload[:start], number, payload[end:])
        return _rebuilt(payload, self.name, number)

    def put(self, payload: bytes, number: int) -> bytes:
        """Return a JSON object with this member, whatever was there under its name."""
        if self._quoted not in payload and not self._may_be_escaped(payload):
            return _put_first(payload, b"%b:%d" % (self._quoted, number))
        return _rebuilt(payload, self.name, number)

    def _may_be_escaped(self, payload: bytes) -> bool:
        return b"\\u" in payload and self._escaped.search(payload) is not None


class Text:
    """
    A member with a text for its value, which is put in front of all others.

    Args:
        name: ASCII, without anything that JSON escapes.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._bare = name.encode("ascii")
        self._escaped = _escaped(name)

    def put(self, payload: bytes, value: str) -> bytes:
        """Return a JSON object with this member in front, in place of any that it has."""
        if self._bare not in payload and not (b"\\u" in payload and self._escaped.search(payload)):
            return _put_first(payload, b'"%b":%b' % (self._bare, _encode(value)))
        return _rebuilt(payload, self.name, value)


def _put_first(payload: bytes, member: bytes) -> bytes:
    """Return a JSON object with one more member, in front of the others."""
    start = payload.index(b"{") + 1
    rest = payload[start:]
    comma = b"" if rest.lstrip(b" \t\n\r").startswith(b"}") else b","
    return b"%b%b%b%b" % (payload[:start], member, comma, rest)


def _rebuilt(payload: bytes, name: str, value: int | str) -> bytes:
    """Return an object put together again, with one member changed, or put in front."""
    try:
        members = _decode_members(payload)
    except UNREADABLE as error:
        raise NoObject(str(error)) from None
    raw = msgspec.Raw(_encode(value))
    if name in members and isinstance(value, int):
        members[name] = raw
        return _encode(members)
    members.pop(name, None)
    return _encode({name: raw, **members})


Kind = TypeVar("Kind", bound=msgspec.Struct)


class Reader(Generic[Kind]):
    """
    Reads the members of an object which a class names, and checks it all.

    Attributes:
        decode: reads at once what nearly all objects are; raises one of `UNREADABLE` for those
            that are for `read`.
    """

    def __init__(self, kind: type[Kind]) -> None:
        self.decode = msgspec.json.Decoder(kind).decode

    def read(self, payload: bytes) -> Kind:
        """
        Read any object.

        Raises:
            NoObject: it is no JSON object, or has such a member of another type.
        """
        try:
            return self.decode(payload)
        except UNREADABLE as error:
            # Half a surrogate pair, which JavaScript writes and reads, msgspec does not.
            whole = _SURROGATE.sub(rb"\\ufffd", payload)
            if whole != payload:
                return self.read(whole)
            raise NoObject(str(error)) from None
