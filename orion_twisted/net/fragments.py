"""
What Autobahn keeps of a message that is not whole yet: no more than the message may be large.

That is its frame loop's way. Plain frames do not come here (`orion_twisted.net.hotpath`): what
does is cut into pieces, or compressed, or comes where the loop was at work already.
"""

from __future__ import annotations

from typing import Any, cast

from orion_twisted.net.closing import ClosingSocket
from orion_twisted.net.deflate import deflated_at_worst

MOST_PIECES = 64
"""How many pieces of a message are kept apart, until they are put together: each takes 35 bytes
and more beside what is in it, and there may be as many of them as bytes."""


class PiecewiseSocket(ClosingSocket):
    """A WebSocket whose frames are bounded in what they inflate to, and in how many they are."""

    current_frame: Any
    message_data: Any
    message_data_total_length: int
    frame_data: Any

    def onMessageFrameBegin(self, length: int) -> None:
        if not self._isMessageCompressed:
            super().onMessageFrameBegin(length)
            return
        # Not counted before it is here, and then as what it inflates to: else a message close to
        # the limit would be too large, or not, by how its bytes are cut.
        super().onMessageFrameBegin(0)
        most = deflated_at_worst(self.maxMessagePayloadSize)
        if length > most and not self.failedByMe:
            self._max_message_size_exceeded(length, most, "a frame is too large")

    def onFrameData(self, payload: bytes) -> bool | None:
        if self._drops_data:
            return None
        if self.current_frame.opcode <= 7 and self._isMessageCompressed:
            self.message_data_total_length += len(payload)  # which Autobahn takes off again
        return cast("bool | None", super().onFrameData(payload))

    def onFrameEnd(self) -> bool | None:
        if not self._drops_data:
            return cast("bool | None", super().onFrameEnd())
        if self.current_frame.fin:
            self.inside_message = False
            self.message_data = None
        self.frame_data = None
        self.current_frame = None
        return None

    @property
    def _drops_data(self) -> bool:
        """
        Whether this is a data frame after the end has begun on our side.

        Autobahn would inflate it, and keep what it then cannot go on with.
        """
        return (self._closing or self.failedByMe) and bool(self.current_frame.opcode <= 7)

    def onMessageFrameData(self, payload: bytes) -> None:
        super().onMessageFrameData(payload)
        _put_together(self.frame_data)

    def onMessageFrame(self, payload: list[bytes]) -> None:
        super().onMessageFrame(payload)
        _put_together(self.message_data)


def _put_together(pieces: Any) -> None:
    """Join the pieces of a message if they are very many; the cost is linear in its bytes."""
    if len(pieces) > MOST_PIECES:
        whole = pieces[0] if isinstance(pieces[0], bytearray) else bytearray(pieces[0])
        whole += b"".join(pieces[1:])
        pieces[:] = [whole]
