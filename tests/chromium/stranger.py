"""A server of somebody else, with one page, under ``https://localhost``."""

from __future__ import annotations

import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from tests.harness import PATIENCE


class Stranger:
    """
    Serves one page, without any policy.

    Args:
        certificate: a PEM file with the certificate and the key for ``localhost``.
        body: the page.

    Attributes:
        origin: where it is.
    """

    def __init__(self, certificate: Path, body: str) -> None:
        content = body.encode()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = self.path == "/"
                self.send_response(200 if found else 204)
                self.send_header("Content-Type", "text/html")
                if found:
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if found:
                    self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.origin = f"https://localhost:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()
