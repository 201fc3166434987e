"""
Compressed messages (permessage-deflate, RFC 7692), inflated within limits, whatever is in them.

Autobahn's own inflating keeps all that comes behind a final block, for as long as the connection
lives, and takes a message for whole whose last bytes did not fit into the limit.
"""

from __future__ import annotations

import zlib
from typing import Any

from autobahn.exception import PayloadCorruptError, PayloadExceededError
from autobahn.websocket.compress_deflate import PerMessageDeflate

FLUSHED = b"\x00\x00\xff\xff"
"""What a sender cuts off the end of each message (RFC 7692 section 7.2.1)."""
BEHIND_FINAL_BLOCK = (b"", b"\x00")
"""What a message may have behind a final block: the head of an empty one, whose other bytes are
those that are cut off (section 7.2.3.4)."""


def deflated_at_worst(size: int) -> int:
    """Return how many bytes a message of so many may take when it does not compress."""
    return size + (size >> 8) + 64  # zlib adds 5 to each 2 KiB at worst


class BoundedDeflate(PerMessageDeflate):
    """What has been agreed on with a browser: inflates its messages, and deflates ours."""

    _decompressor: Any
    _behind: bytes | None = None
    """What has come of this message behind its final block; None while there was none."""

    @classmethod
    def like(cls, agreed: PerMessageDeflate) -> BoundedDeflate:
        """Return the same agreement, before any message."""
        return cls(
            True,
            agreed.server_no_context_takeover,
            agreed.client_no_context_takeover,
            agreed.server_max_window_bits,
            agreed.client_max_window_bits,
            agreed.mem_level,
        )

    def start_decompress_message(self) -> None:
        super().start_decompress_message()
        self._behind = None

    def decompress_message_data(self, data: bytes, max_output_len: int = 0) -> bytes:
        """
        Inflate a part of a message.

        Args:
            data: some of its bytes.
            max_output_len: how many more bytes the message may have.

        Raises:
            PayloadExceededError: it has more.
            PayloadCorruptError: it cannot be inflated.
        """
        if self._behind is not None:
            self._go_on_behind(data)
            return b""
        most = max(max_output_len, 0)
        # One byte more than there may be: at the limit itself zlib would keep the rest for later.
        inflated = self._inflate(data, most + 1)
        if len(inflated) > most:
            raise PayloadExceededError(f"a message inflates to more than {most} bytes")
        if self._decompressor.eof:
            self._behind = b""
            self._go_on_behind(self._decompressor.unused_data)
        return inflated

    def end_decompress_message(self) -> None:
        if self._behind is not None:
            self._decompressor = None  # the next one begins anew
        elif self._inflate(FLUSHED, 1):
            raise PayloadCorruptError("a message does not end where its sender has flushed it")

    def _go_on_behind(self, data: bytes) -> None:
        self._behind = (self._behind or b"") + data
        if self._behind not in BEHIND_FINAL_BLOCK:
            raise PayloadCorruptError("a message goes on behind its final block")

    def _inflate(self, data: bytes, most: int) -> bytes:
        try:
            inflated: bytes = self._decompressor.decompress(data, most)
        except zlib.error as error:
            raise PayloadCorruptError(str(error)) from error
        return inflated
