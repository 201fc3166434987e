"""Mode ``tunnel``: a stream of bytes, which ends when either side ends it."""

from __future__ import annotations

from collections.abc import Callable

from orion_twisted.core.errors import CloseCode, UnsupportedMessage
from orion_twisted.net.links import BackendLink, Loss, StreamLink
from orion_twisted.service.bridge import Bridge
from orion_twisted.service.browser_end import BrowserEnd
from orion_twisted.service.surroundings import Surroundings


class TunnelBridge(Bridge):
    """Carries bytes both ways; a broken stream cannot be continued, so nothing reconnects."""

    def __init__(
        self, around: Surroundings, peer: str, ended: Callable[[BrowserEnd], None]
    ) -> None:
        super().__init__(around, peer, ended)
        self._text = around.tenant.text == "utf-8"
        self._link_full = False

    def _build_link(self) -> BackendLink:
        return StreamLink(self._around.max_message)

    def _from_browser(self, payload: bytes, is_binary: bool) -> None:
        if not is_binary and not self._text:
            raise UnsupportedMessage("a text message on a tunnel, which carries bytes")
        if self._link is not None:
            self._link.send(payload)

    def _from_backend(self, payload: bytes) -> tuple[bytes, bool]:
        return payload, True

    def _may_read_browser(self) -> bool:
        return not self._link_full

    def link_full(self, full: bool) -> None:
        self._link_full = full
        self._settle()

    def link_proved(self) -> None:
        """Of no use here: a stream that breaks is not dialled again."""

    def _take_link(self) -> None:
        self._links.reconnects = False

    def _lost_link(self, loss: Loss) -> None:
        if loss.clean:
            self.close(CloseCode.NORMAL, "")
        else:
            self.close(CloseCode.INTERNAL_ERROR, "the backend's connection broke")
