"""
A scripted editing conversation with the demo engine, through the gateway, over wss.

It speaks by the ``websockets`` library, which shares no code with the gateway, and checks the
gateway's certificate as a browser would. It blocks: run it in a thread beside the reactor.
"""

import asyncio
import json
import ssl
import time
from collections.abc import Callable, Coroutine
from typing import Any

TIMEOUT = 10.0
"""Seconds for the opening handshake, and for each answer."""
LONG_TEXT = 200 * 1024
"""Bytes of the long text that goes there and back."""
MAX_ANSWER = 4 * 1024 * 1024
"""Bytes of one answer that are accepted."""

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
        self._text = ""
        self._rectangle = ""
        self._long = ("0123456789abcde\n" * (LONG_TEXT // 16))[:LONG_TEXT]

    def steps(self) -> list[tuple[str, Callable[[], None]]]:
        """Return the conversation in order."""
        return [
            ("connect, with the certificate checked", self._open_socket),
            ("ask for the version", self._version),
            ("list the documents", self._list),
            ("make a document", self._new),
            ("insert a text", self._insert_text),
            ("insert a rectangle", self._insert_rectangle),
            ("move the text", self._move),
            ("resize the rectangle", self._resize),
            ("edit the text", self._edit),
            ("render the page: it shows the text", self._render),
            ("an unknown command gets an error answer", self._bad_command),
            ("a text of 200 KiB goes there and back", self._long_text),
            ("save and close the document", self._save),
            ("open it on a second connection: all is there", self._reopen),
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
        answer = self._ask("version")
        _check(isinstance(answer.get("version"), str), "the answer has no version")

    def _list(self) -> None:
        answer = self._ask("documents")
        _check(isinstance(answer.get("documents"), list), "the answer has no list")

    def _new(self) -> None:
        answer = self._ask("new", name=_TITLE, pages=2)
        self._document = answer["document"]["id"]
        _equal(answer["document"]["name"], _TITLE, "name")

    def _insert_text(self) -> None:
        text = {"kind": "text", "x": 40, "y": 40, "width": 400, "text": "draft", "size": 20}
        self._text = self._ask("insert", page=1, object=text)["id"]

    def _insert_rectangle(self) -> None:
        rectangle = {"kind": "rectangle", "x": 40, "y": 120, "fill": "#eff4ff"}
        self._rectangle = self._ask("insert", page=1, object=rectangle)["id"]

    def _move(self) -> None:
        self._ask("move", id=self._text, x=72.5, y=60)
        found = self._find(self._text)
        _equal((found["x"], found["y"]), (72.5, 60), "place")

    def _resize(self) -> None:
        self._ask("resize", id=self._rectangle, width=300, height=90)
        found = self._find(self._rectangle)
        _equal((found["width"], found["height"]), (300, 90), "size")

    def _edit(self) -> None:
        self._ask("edit", id=self._text, set={"text": _TITLE, "weight": "bold"})
        _equal(self._find(self._text)["text"], _TITLE, "text")

    def _render(self) -> None:
        commands = self._ask("render", page=1)["commands"]
        drawn = [command[1] for command in commands if command[0] == "fillText"]
        _check(_TITLE in drawn, f"the drawing commands do not write {_TITLE!r}")

    def _bad_command(self) -> None:
        answer = self._exchange({"cmd": "rendr", "page": 1})
        _equal(answer.get("success"), False, "success")
        _check("render" in answer["message"], f"the message names no command: {answer['message']}")

    def _long_text(self) -> None:
        long = {"kind": "text", "id": "long", "x": 40, "y": 40, "text": self._long}
        self._ask("insert", page=2, object=long)
        _check(self._find("long", page=2)["text"] == self._long, "it came back changed")

    def _save(self) -> None:
        answer = self._ask("save")
        _equal(answer["unsaved"], False, "unsaved")
        self._ask("close")

    def _reopen(self) -> None:
        self._open_socket()
        answer = self._ask("open", document=self._document)
        _equal([page["objects"] for page in answer["document"]["pages"]], [2, 1], "objects")
        _equal(self._find(self._text)["text"], _TITLE, "text")
        _equal(self._find(self._rectangle)["width"], 300, "width")

    def _delete(self) -> None:
        self._ask("delete", document=self._document)

    def _close(self) -> None:
        codes = [socket.close() for socket in self._sockets]
        _equal(codes, [1000, 1000], "close codes")

    def _find(self, object_id: str, page: int = 1) -> dict[str, Any]:
        for found in self._ask("objects", page=page)["objects"]:
            if found["id"] == object_id:
                return dict(found)
        raise ConversationFailed(f"there is no object {object_id!r} on page {page}")

    def _ask(self, command: str, **fields: object) -> dict[str, Any]:
        answer = self._exchange({"cmd": command, **fields})
        if answer.get("success") is not True:
            raise ConversationFailed(f"{command} was refused: {answer.get('message')}")
        return answer

    def _exchange(self, message: dict[str, object]) -> dict[str, Any]:
        """Send one message on the newest connection and return its answer."""
        self._message_id += 1
        socket = self._sockets[-1]
        socket.send(json.dumps({"@MSGID": self._message_id, **message}))
        received = socket.receive()
        _check(isinstance(received, str), "the answer is a binary message")
        answer = json.loads(received)
        _equal(answer.get("msgID"), self._message_id, "msgID")
        return dict(answer)


def _check(holds: bool, complaint: str) -> None:
    if not holds:
        raise ConversationFailed(complaint)


def _equal(found: object, wanted: object, what: str) -> None:
    if found != wanted:
        raise ConversationFailed(f"{what}: {found!r} instead of {wanted!r}")
