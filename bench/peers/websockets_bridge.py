"""A bridge on websockets and uvloop: python -m bench.peers.websockets_bridge PORT BACKEND PEM"""

import asyncio
import ssl
import sys
from collections.abc import Sequence
from contextlib import suppress
from struct import Struct

import uvloop
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

LENGTH = Struct("!I")
MOST_MESSAGE = 4 * 1024 * 1024


async def upstream(browser: ServerConnection, link: asyncio.StreamWriter) -> None:
    async for message in browser:
        payload = message.encode() if isinstance(message, str) else message
        link.write(LENGTH.pack(len(payload)) + payload)
        await link.drain()


async def downstream(link: asyncio.StreamReader, browser: ServerConnection) -> None:
    while True:
        (size,) = LENGTH.unpack(await link.readexactly(4))
        await browser.send(await link.readexactly(size))


async def run(port: int, backend: int, certificate: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    async def bridge(browser: ServerConnection) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", backend)
        tasks = [
            asyncio.create_task(upstream(browser, writer)),
            asyncio.create_task(downstream(reader, browser)),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            writer.close()
            for task in tasks:
                task.cancel()
                with suppress(ConnectionClosed, OSError, EOFError, asyncio.CancelledError):
                    await task

    server = await serve(
        bridge,
        "127.0.0.1",
        port,
        ssl=context,
        compression=None,
        max_size=MOST_MESSAGE,
        backlog=4096,
    )
    await server.serve_forever()


def main(arguments: Sequence[str]) -> None:
    port, backend, certificate = arguments
    uvloop.run(run(int(port), int(backend), certificate))


if __name__ == "__main__":
    main(sys.argv[1:])
