"""
The backend dialects, as an engine speaks them: docs/wire.md, read a second time.

An engine hears payloads of frames and returns payloads of frames; how they travel is not its
business.
"""

from __future__ import annotations

import json
from typing import Any, Protocol

from attrs import Factory, frozen

from tests.faults.orders import Content, as_binary, dumps, loads

HUGE_ID = 1 << 40
"""Added to an id it makes one that nobody has given out."""


@frozen
class Heard:
    """
    What one frame says.

    Attributes:
        kind: ``request``, ``notify``, ``open``, ``gone``, ``ping``; ``nonsense`` for all else.
        sid: the session; empty where the dialect names none, as on a link per browser.
        id: what the answer has to name; None if none is wanted.
        key: the same whenever the same message comes again, if the dialect has it.
        ttl: milliseconds left, if the dialect has it.
        is_safe: whether it says that it may come twice.
        body: the message's payload.
        is_binary: its type.
        header: all that stood in front of the payload.
    """

    kind: str
    sid: str = ""
    id: Any = None
    key: str | None = None
    ttl: int | None = None
    is_safe: bool = False
    body: bytes = b""
    is_binary: bool = False
    header: Content = Factory(dict)


class Speech(Protocol):
    """A backend dialect."""

    def hear(self, payload: bytes) -> Heard: ...

    def result(
        self, heard: Heard, content: Content, *, ok: bool = True, binary: bool = False
    ) -> bytes:
        """Return the answer to a request."""

    def stray(self, content: Content) -> bytes:
        """Return an answer to a request that there never was."""

    def push(self, sid: str, content: Content) -> bytes: ...

    def push_to_all(self, tenant: str, content: Content) -> bytes | None:
        """Return a push to all of a tenant; None if the dialect has none."""

    def pong(self) -> bytes | None: ...

    def nonsense(self) -> bytes:
        """Return a frame that breaks the contract for its whole link."""


class SpeechV1:
    """``orion.v1``: the JSON object itself."""

    def hear(self, payload: bytes) -> Heard:
        content = loads(payload)
        if content is None or not isinstance(content.get("@MSGID"), int):
            return Heard("nonsense", body=payload)
        return Heard(
            "request", content.get("@SESSION", ""), content["@MSGID"], body=payload, header=content
        )

    def result(
        self, heard: Heard, content: Content, *, ok: bool = True, binary: bool = False
    ) -> bytes:
        answer = {"msgID": heard.id, "success": ok, "message": "", **content}
        return dumps(answer).encode()

    def stray(self, content: Content) -> bytes:
        return dumps({"msgID": HUGE_ID, "success": True, "message": "", **content}).encode()

    def push(self, sid: str, content: Content) -> bytes:
        return dumps({**({"@SESSION": sid} if sid else {}), **content}).encode()

    def push_to_all(self, tenant: str, content: Content) -> None:
        return None

    def pong(self) -> None:
        return None

    def nonsense(self) -> bytes:
        return b"\xff\xfe is no JSON"


class SpeechV2:
    """``orion.v2``: a header line, and a payload behind it."""

    def hear(self, payload: bytes) -> Heard:
        line, _, body = payload.partition(b"\n")
        try:
            header = json.loads(line)
            kind = header["type"]
        except (ValueError, KeyError, TypeError):
            return Heard("nonsense", body=payload)
        if kind not in ("request", "notify", "open", "gone", "ping"):
            return Heard("nonsense", body=payload, header=header)
        return Heard(
            kind,
            header.get("sid", ""),
            header.get("id"),
            header.get("key"),
            header.get("ttl"),
            header.get("repeat") == "safe",
            body,
            header.get("bin", False),
            header,
        )

    def result(
        self, heard: Heard, content: Content, *, ok: bool = True, binary: bool = False
    ) -> bytes:
        header: Content = {"type": "result", "id": heard.id}
        if not ok:
            header["ok"] = False
        return _with_body(header, content, binary)

    def stray(self, content: Content) -> bytes:
        return _with_body({"type": "result", "id": HUGE_ID}, content, False)

    def push(self, sid: str, content: Content) -> bytes:
        return _with_body({"type": "push", "sid": sid}, content, False)

    def push_to_all(self, tenant: str, content: Content) -> bytes:
        return _with_body({"type": "push", "tenant": tenant}, content, False)

    def pong(self) -> bytes:
        return b'{"type":"pong"}'

    def nonsense(self) -> bytes:
        return b"this is no header\n{}"


def _with_body(header: Content, content: Content, binary: bool) -> bytes:
    text = dumps(content)
    if binary:
        header = {**header, "bin": True}
    return dumps(header).encode() + b"\n" + (as_binary(text) if binary else text.encode())


SPEECHES: dict[str, type[SpeechV1] | type[SpeechV2]] = {"orion.v1": SpeechV1, "orion.v2": SpeechV2}
