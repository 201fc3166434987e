"""
The demo Orion engine: one message in, exactly one answer out, no I/O.

A message is a JSON object with an integer ``"@MSGID"``, a ``"cmd"`` and the fields of that command
(commands.py). The answer, an ApiResult, repeats the number::

    {"@MSGID": 7, "cmd": "move", "id": "t1", "x": 20, "y": 25}
    {"msgID": 7, "success": true, "message": "t1 moved on page 1", "id": "t1", "page": 1, ...}

What has no usable number is answered with ``"msgID": null``. Other fields that start with ``@``
belong to whoever carries the message and are passed over.
"""

import difflib
import re
from collections.abc import Iterable

import msgspec

from orion_twisted.demo.commands import COMMANDS, MAX_FRAME
from orion_twisted.demo.desk import Desk
from orion_twisted.demo.documents import KINDS, CommandRefused, DocumentStore, EngineError

MAX_MESSAGE_ID = 2**53 - 1
"""The largest integer that a browser's numbers hold exactly."""
MAX_COMPLAINT = 400
"""Characters of an error message: it may quote what the client sent."""

Answer = dict[str, object]

_encoder = msgspec.json.Encoder()
_PATH = re.compile(r"^(?P<what>.*) - at `\$\.?(?P<path>[^`]*)`$", re.DOTALL)
_UNKNOWN_FIELD = re.compile(r"^Object contains unknown field `(?P<field>.*)`", re.DOTALL)
# What a regular expression means, in words; by the last part of the path.
_FORMS = {
    "color": 'must be a colour like "#1f6feb"',
    "fill": 'must be a colour like "#1f6feb", or "none"',
    "stroke": 'must be a colour like "#1f6feb"',
    "id": "must start with a letter, then letters, digits, - and _, 32 characters at most",
}


class Editor:
    """
    The engine as one connection sees it: a desk of its own over the common store.

    Args:
        store: where documents are kept.
    """

    def __init__(self, store: DocumentStore) -> None:
        self._store = store
        self._desk = Desk()

    def answer(self, message: object) -> Answer:
        """Carry out one decoded message. Returns its answer and never raises for bad input."""
        if not isinstance(message, dict):
            return _failure(None, "a message must be a JSON object")
        message_id = message.get("@MSGID")
        if (
            not isinstance(message_id, int)
            or isinstance(message_id, bool)
            or not 0 <= message_id <= MAX_MESSAGE_ID
        ):
            return _failure(None, f'"@MSGID" must be an integer from 0 to {MAX_MESSAGE_ID}')
        try:
            return {"msgID": message_id, "success": True, **self._carry_out(message)}
        except EngineError as error:
            return _failure(message_id, str(error))
        except msgspec.ValidationError as error:
            return _failure(message_id, _in_words(str(error)))
        except UnicodeError:
            return _failure(message_id, "the message has half a surrogate pair in a string")
        except RecursionError:
            return _failure(message_id, "the message is nested too deeply")

    def answer_payload(self, payload: bytes) -> bytes:
        """Carry out one message of JSON bytes. Returns the answer, at most MAX_FRAME bytes."""
        try:
            message = msgspec.json.decode(payload)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            return _encoder.encode(_failure(None, f"not valid JSON: {error}"))
        answer = self.answer(message)
        encoded = _encoder.encode(answer)
        if len(encoded) > MAX_FRAME:
            reason = f"the answer would take {len(encoded)} bytes; {MAX_FRAME} is the most"
            encoded = _encoder.encode(_failure(answer["msgID"], reason))
        return encoded

    def _carry_out(self, message: dict[object, object]) -> Answer:
        name = message.get("cmd")
        if not isinstance(name, str):
            raise CommandRefused('"cmd" must be the name of a command, as in "cmd": "hello"')
        if name not in COMMANDS:
            raise CommandRefused(_near(f"unknown command {name[:40]!r}", name, COMMANDS))
        kind, carry_out = COMMANDS[name]
        given = {
            key: value
            for key, value in message.items()
            if not (isinstance(key, str) and (key == "cmd" or key.startswith("@")))
        }
        try:
            fields = msgspec.convert(given, kind)
        except msgspec.ValidationError as error:
            unknown = _UNKNOWN_FIELD.match(str(error))
            if unknown and " - at " not in str(error):
                field = unknown["field"]
                raise CommandRefused(
                    _near(f"{name} has no field {field[:40]!r}", field, kind.__struct_fields__)
                ) from None
            raise
        return carry_out(self._desk, self._store, fields)


def _failure(message_id: object, message: str) -> Answer:
    # Half a surrogate pair cannot be sent as JSON.
    text = message[:MAX_COMPLAINT].encode("utf-8", "replace").decode("utf-8")
    return {"msgID": message_id, "success": False, "message": text}


def _near(complaint: str, given: str, known: Iterable[str]) -> str:
    names = list(known)
    # A name longer than any of ours is no typing mistake, and costly to compare.
    close = difflib.get_close_matches(given[:40].lower(), names, n=1)
    if close:
        return f"{complaint}; did you mean {close[0]!r}?"
    return f"{complaint}; there are {', '.join(names)}" if names else complaint


def _in_words(complaint: str) -> str:
    """Turn msgspec's "... - at `$.object.x`" into "object.x: ..."."""
    found = _PATH.match(complaint)
    what, path = (found["what"], found["path"]) if found else (complaint, "")
    last = path.rpartition(".")[2]
    if "matching regex" in what:
        what = _FORMS.get(last, what)
    elif last == "kind" and what.startswith("Invalid value"):
        what = f"must be one of {', '.join(KINDS)}"
    what = what.replace("Object missing required field", "misses").replace(
        "Object contains unknown field", "has no field"
    )
    what = what[:1].lower() + what[1:]
    return f"{path}: {what}" if path else what
