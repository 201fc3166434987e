"""A bridge on picows and uvloop: python -m bench.peers.picows_bridge PORT BACKEND CERTIFICATE"""

import asyncio
import ssl
import sys
from collections.abc import Sequence
from struct import Struct

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

LENGTH = Struct("!I")
MOST_MESSAGE = 4 * 1024 * 1024


class Browser(WSListener):
    """Frames for the backend are joined as long as one read goes on bringing more."""

    def __init__(self, backend: int) -> None:
        self._backend = backend
        self._link: asyncio.Transport | None = None
        self._waiting: list[bytes] = []
        self._fragments: list[bytes] = []
        self._dialling: asyncio.Task[None] | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport
        self._dialling = asyncio.create_task(self._dial())

    async def _dial(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            link, _ = await loop.create_connection(
                lambda: Link(self.transport), "127.0.0.1", self._backend
            )
        except OSError:
            self.transport.disconnect()
            return
        if self.transport.is_disconnected:
            link.close()
            return
        self._link = link
        self._flush()

    def _flush(self) -> None:
        if self._link is not None and self._waiting:
            self._link.write(b"".join(self._waiting))
            self._waiting.clear()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if kind in (WSMsgType.BINARY, WSMsgType.TEXT, WSMsgType.CONTINUATION):
            payload = frame.get_payload_as_bytes()
            if not frame.fin or self._fragments:
                self._fragments.append(payload)
                if not frame.fin:
                    return
                payload = b"".join(self._fragments)
                self._fragments.clear()
            self._waiting += (LENGTH.pack(len(payload)), payload)
            if frame.last_in_buffer:
                self._flush()
        elif kind == WSMsgType.CLOSE:
            self._flush()
            transport.send_close(frame.get_close_code())
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if self._link is not None:
            self._link.close()

    def pause_writing(self) -> None:
        if self._link is not None:
            self._link.pause_reading()

    def resume_writing(self) -> None:
        if self._link is not None:
            self._link.resume_reading()


class Link(asyncio.Protocol):
    """The backend's side of one browser."""

    def __init__(self, browser: WSTransport) -> None:
        self._browser = browser
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
        at = 0
        view = memoryview(data)
        while len(data) - at >= 4:
            end = at + 4 + LENGTH.unpack_from(data, at)[0]
            if len(data) < end:
                break
            self._browser.send(WSMsgType.BINARY, view[at + 4 : end])
            at = end
        self._rest = data[at:]

    def connection_lost(self, error: Exception | None) -> None:
        self._browser.disconnect()

    def pause_writing(self) -> None:
        self._browser.underlying_transport.pause_reading()

    def resume_writing(self) -> None:
        self._browser.underlying_transport.resume_reading()


async def serve(port: int, backend: int, certificate: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def listener(request: WSUpgradeRequest) -> Browser:
        return Browser(backend)

    server = await ws_create_server(
        listener,
        "127.0.0.1",
        port,
        ssl=context,
        backlog=4096,
        max_frame_size=MOST_MESSAGE,
        enable_auto_ping=True,
    )
    await server.serve_forever()


def main(arguments: Sequence[str]) -> None:
    port, backend, certificate = arguments
    uvloop.run(serve(int(port), int(backend), certificate))


if __name__ == "__main__":
    main(sys.argv[1:])
