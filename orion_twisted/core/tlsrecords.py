"""
Where the records of TLS begin and end.

A record has a header of five bytes, which nobody ever encrypts: its type, a version in two bytes,
and the length of what follows in two (RFC 8446, section 5.1).
"""

from __future__ import annotations

HEADER = 5
MOST_CONTENT = 1 << 14
"""Bytes of content in a record, at most."""
MOST_ENCRYPTED = MOST_CONTENT + 256
"""Bytes that a record announces, at most (RFC 8446, section 5.2)."""

_DATA_HEADER = bytes((23, 3, 3))
"""What a record begins with that carries data, and in TLS 1.3 every encrypted one."""
_TYPES = range(20, 24)
_MAJOR_VERSION = 3


class RecordCount:
    """
    Counts the records of a stream as it comes, however it is cut.

    Attributes:
        left: 0 where the next byte begins a record.
        is_lost: what has come is no record, or none that is expected; nobody counts any more.
    """

    __slots__ = ("_header", "is_lost", "left")

    def __init__(self) -> None:
        self.left = 0  # bytes of a record that are to come; less than 0: what there is of a header
        self.is_lost = False
        self._header = b""

    def feed(self, data: bytes, only_data: bool) -> list[int]:
        """
        Take what comes next; return where in it records end.

        Args:
            data: the bytes.
            only_data: anything but records that carry data is unexpected.
        """
        ends: list[int] = []
        if self.is_lost:
            return ends
        size = len(data)
        at = self.left  # where the next record begins; before the data if its header is cut
        if 0 < at <= size:
            ends.append(at)
        while at + HEADER <= size:
            header = data[at : at + HEADER] if at >= 0 else self._header + data[: at + HEADER]
            length = header[3] << 8 | header[4]
            if length > MOST_ENCRYPTED or not (
                header[:3] == _DATA_HEADER if only_data else _may_be_record(header)
            ):
                self.is_lost = True
                self.left = -1
                return ends
            at += HEADER + length
            if at <= size:
                ends.append(at)
        if at < size:
            self._header = data[at:] if at >= 0 else self._header + data
        self.left = at - size
        return ends


def _may_be_record(header: bytes) -> bool:
    return header[0] in _TYPES and header[1] == _MAJOR_VERSION
