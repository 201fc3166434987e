"""How a target cuts its input into the parts that it needs."""

from __future__ import annotations

from collections.abc import Iterator


class Taking:
    """
    Numbers and pieces, taken from the front of an input; what is not taken is `rest`.

    An input that is too short gives zeros, so that every input means something.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def number(self, below: int) -> int:
        """Take a byte, or two for larger numbers."""
        size = 1 if below <= 256 else 2
        piece = self._data[self._at : self._at + size]
        self._at += size
        return int.from_bytes(piece) % below

    @property
    def rest(self) -> bytes:
        return self._data[self._at :]


def pieces(data: bytes, sizes: bytes) -> Iterator[bytes]:
    """Cut bytes into pieces of these sizes, again and again; of one byte where there are none."""
    at, number = 0, 0
    while at < len(data):
        size = sizes[number % len(sizes)] % 40 + 1 if sizes else 1
        yield data[at : at + size]
        at += size
        number += 1
