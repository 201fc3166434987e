"""
A scripted editing conversation with the demo engine, through the gateway, over wss.

It speaks by the ``websockets`` library, which shares no code with the gateway, and checks the
gateway's certificate as a browser would. It blocks: run it in a thread beside the reactor.
"""

import asyncio
import json
import secrets
import ssl
import time
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

TIMEOUT = 10.0
"""Seconds for the opening handshake, and for each answer."""
LONG_TEXT = 200 * 1024
"""Bytes of the long text that goes there and back."""
MAX_ANSWER = 4 * 1024 * 1024
"""Bytes of one answer that are accepted."""

_CLIENT = "conversation"
_TITLE = "Invoice 2041 · 인보이스"

Step = Callable[[str, bool, float], None]
"""Told of each step: its name (and what went wrong), whether it worked, and its seconds."""


class ConversationFailed(Exception):
    """A step did not go as it should; or the conversation cannot be held at all."""


def run_conversation(url: str, ca_file: str, step: Step) -> bool:
    """
    Hold the conversation.

    Args:
        url: the gateway, as ``wss://localhost:8889/ws``.
        ca_file: PEM file of the authority that must have signed its certificate.
        step: called after each step.

    Returns:
        Whether all steps worked. It stops at the first that did not.

    Raises:
        ConversationFailed: the ``websockets`` library is missing, or ``ca_file`` cannot be read.
    """
    try:
        from websockets.asyncio.client import connect as websockets_connect
    except ImportError as error:
        raise ConversationFailed(
            'this needs the websockets library: pip install "orion-twisted[demo]"'
        ) from error
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise ConversationFailed(f"cannot read the authority {ca_file}: {error}") from error

    async def connect() -> Any:
        return await websockets_connect(
            url,
            ssl=context,
            proxy=None,  # the gateway is on this machine: no proxy of the environment
            open_timeout=TIMEOUT,
            close_timeout=TIMEOUT,
            max_size=MAX_ANSWER,
        )

    runner = asyncio.Runner()
    conversation = _Conversation(lambda: _Socket(runner, connect))
    try:
        for name, act in conversation.steps():
            started = time.perf_counter()
            try:
                act()
            except Exception as error:
                # A refused certificate or a wrong answer: whatever it is is the step's outcome.
                reason = str(error) or type(error).__name__
                step(f"{name}: {reason}", False, time.perf_counter() - started)
                return False
            step(name, True, time.perf_counter() - started)
        return True
    finally:
        conversation.abandon()
        runner.close()


class _Socket:
    """
    A WebSocket of the library's asyncio client, whose loop runs while one of its calls does.

    The library's blocking client reads and writes one TLS object in two threads, which OpenSSL
    forbids: about one request in five hundred is never sent.
    """

    def __init__(
        self, runner: asyncio.Runner, connect: Callable[[], Coroutine[Any, Any, Any]]
    ) -> None:
        self._runner = runner
        self._connection = runner.run(connect())

    def send(self, message: str) -> None:
        self._runner.run(self._connection.send(message))

    def receive(self) -> str | bytes:
        received: str | bytes = self._runner.run(
            asyncio.wait_for(self._connection.recv(), TIMEOUT)
        )
        return received

    def close(self) -> int | None:
        """Close, and return the close code that came back."""
        self._runner.run(self._connection.close())
        code: int | None = self._connection.close_code
        return code


class _Conversation:
    """The steps, and what the later ones need to know of the earlier ones."""

    def __init__(self, connect: Callable[[], _Socket]) -> None:
        self._connect = connect
        self._sockets: list[_Socket] = []
        self._message_id = 0
        self._document = 0
        self._edit = 0
        self._key = secrets.token_hex(8)
        self._long = ("0123456789abcde\n" * (LONG_TEXT // 16))[:LONG_TEXT]

    def steps(self) -> list[tuple[str, Callable[[], None]]]:
        """Return the conversation in order."""
        return [
            ("connect, with the certificate checked", self._open_socket),
            ("ask for the version", self._version),
            ("list the documents", self._list),
            ("make a document", self._new),
            ("ask for it again with the same key: it is the same one", self._new_again),
            ("open it", self._open),
            ("insert a text and a rectangle", self._insert),
            ("move the text and change what it says", self._change),
            ("the same edit once more: it is not done twice", self._change_again),
            ("an edit that cannot be done is refused", self._refuse),
            ("render the page: it shows the text", self._render),
            ("render it for a row of data: the cell is in its place", self._render_row),
            ("print it", self._print),
            ("an unknown command gets an error answer", self._bad_command),
            ("a text of 200 KiB goes there and back", self._long_text),
            ("save the document", self._save),
            ("open it on a second connection: all is there", self._reopen),
            ("an edit there is told to the first one", self._tell),
            ("delete it again", self._delete),
            ("close both connections with 1000", self._close),
        ]

    def abandon(self) -> None:
        """Close what is still open; nothing is checked."""
        for socket in self._sockets:
            socket.close()
        self._sockets.clear()

    def _open_socket(self) -> None:
        self._sockets.append(self._connect())

    def _version(self) -> None:
        answer = self._ask("hello")
        _check(isinstance(answer.get("version"), str), "the answer has no version")

    def _list(self) -> None:
        answer = self._ask("documents")
        _check(isinstance(answer.get("documents"), list), "the answer has no list")

    def _new(self) -> None:
        self._document = self._ask("new", name=_TITLE, key=self._key)["document"]

    def _new_again(self) -> None:
        answer = self._ask("new", name=_TITLE, key=self._key)
        _equal(answer["document"], self._document, "document")

    def _open(self) -> None:
        answer = self._ask("open", document=self._document, client=_CLIENT)
        _equal(answer["document"]["name"], _TITLE, "name")
        _equal((answer["seq"], answer["applied"]), (0, 0), "seq and applied")

    def _insert(self) -> None:
        text = {"kind": "text", "id": "t1", "x": 40, "y": 40, "width": 400, "height": 40}
        rectangle = {"kind": "rectangle", "id": "r1", "x": 40, "y": 120, "width": 300}
        self._apply(
            {"op": "insert", "page": "p1", "object": {**text, "text": "draft"}},
            {"op": "insert", "page": "p1", "object": {**rectangle, "height": 90}},
        )

    def _change(self) -> None:
        self._apply(
            {"op": "set", "id": "t1", "set": {"x": 72.5, "y": 60}},
            {"op": "set", "id": "t1", "set": {"text": _TITLE, "weight": "bold"}},
        )
        found = self._find("t1")
        _equal((found["x"], found["y"], found["text"]), (72.5, 60, _TITLE), "text object")

    def _change_again(self) -> None:
        before = self._ask("sync", document=self._document, client=_CLIENT, seq=0)["seq"]
        self._edit -= 1
        self._apply({"op": "remove", "id": "t1"})
        answer = self._ask("sync", document=self._document, client=_CLIENT, seq=0)
        _equal((answer["seq"], answer["applied"]), (before, self._edit), "seq and applied")

    def _refuse(self) -> None:
        self._edit += 1
        change = {"op": "set", "id": "gone", "set": {"x": 1}}
        answer = self._exchange(self._request_to_apply(change))
        _equal((answer["success"], answer["applied"]), (False, self._edit), "success and applied")

    def _render(self) -> None:
        _check(_TITLE in self._drawn(), f"the drawing commands do not write {_TITLE!r}")

    def _render_row(self) -> None:
        data = {"columns": ["name"], "rows": [["Kim"], ["이서연"]]}
        self._apply(
            {"op": "data", "data": data},
            {"op": "set", "id": "t1", "set": {"text": "Dear {{name}}"}},
        )
        _check("Dear 이서연" in self._drawn(row=1), "the row's cell is not drawn")

    def _print(self) -> None:
        answer = self._ask("pdf", document=self._document, rows="all")
        _check(answer["bytes"] > 0, "there are no bytes in the PDF")

    def _bad_command(self) -> None:
        answer = self._exchange({"cmd": "rendr", "page": 1})
        _equal(answer.get("success"), False, "success")
        _check("render" in answer["message"], f"the message names no command: {answer['message']}")

    def _long_text(self) -> None:
        self._apply({"op": "set", "id": "t1", "set": {"text": self._long}})
        _check(self._find("t1")["text"] == self._long, "it came back changed")

    def _save(self) -> None:
        _equal(self._ask("save", document=self._document)["revision"], 2, "revision")

    def _reopen(self) -> None:
        self._open_socket()
        answer = self._ask("open", document=self._document)
        objects = answer["document"]["pages"][0]["objects"]
        _equal([each["id"] for each in objects], ["t1", "r1"], "objects")
        _check(objects[0]["text"] == self._long, "the long text is not there")
        _equal((answer["people"], answer["unsaved"]), (2, False), "people and unsaved")

    def _tell(self) -> None:
        changes = [{"op": "rename", "name": "Told"}]
        self._ask("apply", document=self._document, client="second", edit=1, changes=changes)
        while True:
            event = json.loads(self._sockets[0].receive())
            if event.get("event") == "applied" and event.get("client") == "second":
                break
        _equal(event["changes"], changes, "changes")

    def _delete(self) -> None:
        self._ask("delete", document=self._document)

    def _close(self) -> None:
        codes = [socket.close() for socket in self._sockets]
        _equal(codes, [1000, 1000], "close codes")

    def _request_to_apply(self, *changes: Mapping[str, object]) -> dict[str, object]:
        of: dict[str, object] = {"document": self._document, "client": _CLIENT}
        return {"cmd": "apply", **of, "edit": self._edit, "changes": changes}

    def _apply(self, *changes: Mapping[str, object]) -> None:
        self._edit += 1
        answer = self._exchange(self._request_to_apply(*changes))
        _check(answer["success"] is True, f"the edit was refused: {answer['message']}")
        _equal(answer["applied"], self._edit, "applied")

    def _find(self, object_id: str) -> dict[str, Any]:
        answer = self._ask("open", document=self._document, client=_CLIENT)
        for found in answer["document"]["pages"][0]["objects"]:
            if found["id"] == object_id:
                return dict(found)
        raise ConversationFailed(f"there is no object {object_id!r}")

    def _drawn(self, **fields: object) -> list[str]:
        answer = self._ask("render", document=self._document, page="p1", **fields)
        return [command[1] for command in answer["commands"] if command[0] == "fillText"]

    def _ask(self, command: str, **fields: object) -> dict[str, Any]:
        answer = self._exchange({"cmd": command, **fields})
        if answer.get("success") is not True:
            raise ConversationFailed(f"{command} was refused: {answer.get('message')}")
        return answer

    def _exchange(self, message: dict[str, object]) -> dict[str, Any]:
        """Send one message on the newest connection and return its answer, passing over events."""
        self._message_id += 1
        socket = self._sockets[-1]
        socket.send(json.dumps({"@MSGID": self._message_id, **message}))
        while True:
            received = socket.receive()
            _check(isinstance(received, str), "the answer is a binary message")
            answer = json.loads(received)
            if "msgID" in answer:
                break
        _equal(answer["msgID"], self._message_id, "msgID")
        return dict(answer)


def _check(holds: bool, complaint: str) -> None:
    if not holds:
        raise ConversationFailed(complaint)


def _equal(found: object, wanted: object, what: str) -> None:
    if found != wanted:
        raise ConversationFailed(f"{what}: {found!r} instead of {wanted!r}")
