"""
An echo backend: TCP frames with a 32-bit big-endian length, each sent back as it came.

It shares no code with the gateway. ``python -m tests.conformance.echo PORT`` runs it by itself;
port 0 means any free one, and the line printed says which.
"""

import socketserver
import struct
import sys
import threading
from typing import Self

PREFIX = struct.Struct("!I")
MAX_FRAME = 64 << 20  # octets; a length above this is taken for a broken peer


class _Echo(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    rbufsize = 1 << 16

    def handle(self) -> None:
        try:
            while len(prefix := self.rfile.read(PREFIX.size)) == PREFIX.size:
                (size,) = PREFIX.unpack(prefix)
                if size > MAX_FRAME:
                    return
                payload = self.rfile.read(size)
                if len(payload) < size:
                    return
                self.request.sendall(prefix + payload)
        except OSError:
            return  # the gateway has gone; there is nobody to tell


class EchoBackend(socketserver.ThreadingTCPServer):
    """
    A threaded echo server on 127.0.0.1.

    Attributes:
        port: the TCP port it listens on.
    """

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 512

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Echo)
        self.port: int = self.server_address[1]

    def start(self) -> Self:
        """Serve from a thread of its own until ``stop``."""
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self) -> None:
        """Stop accepting; connections end when their peers do."""
        self.shutdown()
        self.server_close()


def main() -> None:
    """Serve on the port named on the command line until interrupted."""
    if len(sys.argv) != 2 or not sys.argv[1].isdigit():
        raise SystemExit("usage: python -m tests.conformance.echo PORT")
    with EchoBackend(int(sys.argv[1])) as backend:
        print(f"echo backend on 127.0.0.1:{backend.port}", flush=True)
        backend.serve_forever()


if __name__ == "__main__":
    main()
