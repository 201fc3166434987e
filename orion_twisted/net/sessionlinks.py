"""Links of session mode, on which one frame comes at a time more often than not."""

from __future__ import annotations

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from orion_twisted.core.errors import BackendError
from orion_twisted.core.frames import FrameDecoder
from orion_twisted.net.eager import Guards
from orion_twisted.net.links import FramedLink
from orion_twisted.net.pump import READS_BEFORE_PUMPS, Tap, tap_link


class SessionLink(FramedLink):
    """
    A framed link that hands over a read which is one whole frame in one step.

    Args:
        has_pumps: whether it is read and written by a `Tap` as soon as that is worth it.
    """

    def __init__(self, decoder: FrameDecoder, has_pumps: bool = False) -> None:
        super().__init__(decoder)
        self._reads_left = READS_BEFORE_PUMPS if has_pumps else 0
        self._tap: Tap | None = None

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        tap, self._tap = self._tap, None
        if tap is not None:
            tap.part()
        super().connectionLost(reason)

    def guards_of_reading(self) -> Guards:
        """Nothing has to be so: `dataReceived` looks itself."""
        return ()

    def guards_of_writing(self) -> Guards:
        """Nothing, but what the connection says: frames go there as they are."""
        return ()

    def dataReceived(self, data: bytes) -> None:
        if self._paused or self._ended or self._error is not None or self._resting is not None:
            super().dataReceived(data)
            return
        payload = self._decoder.only_payload(data)
        if payload is None:
            super().dataReceived(data)
            return
        if not self._proved:
            self._prove()
        owner = self.factory.owner
        try:
            owner.link_payload(payload)
        except BackendError as error:
            self.fail(error)
        owner.link_rests()
        if self._reads_left:
            self._reads_left -= 1
            if not self._reads_left and not self._ended and not self._gone:
                self._tap = tap_link(self)
