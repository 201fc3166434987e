"""Links of session mode, on which one frame comes at a time more often than not."""

from __future__ import annotations

from orion_twisted.core.errors import BackendError
from orion_twisted.net.links import FramedLink


class SessionLink(FramedLink):
    """A framed link that hands over a read which is one whole frame in one step."""

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
