"""What a message comes to when all goes well, and what the backend says on its own."""

from __future__ import annotations

from typing import Any

import msgspec
from attrs import field, frozen


@frozen
class Content:
    """
    A payload that came from the gateway.

    Attributes:
        payload: its bytes.
        is_binary: whether it came as a binary WebSocket message.
    """

    payload: bytes = field(repr=False)
    is_binary: bool

    @property
    def text(self) -> str:
        """The payload as text; `UnicodeDecodeError` if it is none."""
        return self.payload.decode()

    def json(self) -> Any:
        """Return what the payload says as JSON; `msgspec.DecodeError` if it is none."""
        return msgspec.json.decode(self.payload)


@frozen
class Result(Content):
    """
    The answer to a request.

    Attributes:
        ok: False if the backend says that it could not do what was asked.
    """

    ok: bool = True


@frozen
class Push(Content):
    """What the backend says on its own."""


@frozen
class Receipt:
    """
    What became of a notification.

    Attributes:
        stage: ``sent``: it has been sent to the backend; or, in ``orion.v1``, where a backend
            answers everything, ``answered``.
        ok: False if that answer says that it could not be done.
    """

    stage: str
    ok: bool = True


Success = Result | Receipt
