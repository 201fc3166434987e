"""HTTP answers, read by the standard library's client from bytes that a test wrote itself."""

from __future__ import annotations

import base64
import os
import socket
from http.client import HTTPResponse

from attrs import frozen


@frozen
class Answer:
    """
    One HTTP answer.

    Attributes:
        status: such as 404.
        headers: by lower-case name.
        body: whole, as far as the header said.
    """

    status: int
    headers: dict[str, str]
    body: bytes


def read_answer(connection: socket.socket) -> Answer:
    """Read one answer from a connection that stays open for more."""
    response = HTTPResponse(connection)
    response.begin()
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, headers, response.read())


def head(line: str, *headers: str, host: str | None = "localhost") -> bytes:
    """Return a request's head."""
    named = [f"Host: {host}"] if host is not None else []
    return "\r\n".join([line, *named, *headers, "", ""]).encode("latin-1")


def upgrade(path: str = "/ws", *headers: str, host: str = "localhost") -> bytes:
    """Return a WebSocket's opening handshake, as a browser sends it."""
    key = base64.b64encode(os.urandom(16)).decode()
    return head(
        f"GET {path} HTTP/1.1",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Key: {key}",
        *headers,
        host=host,
    )
