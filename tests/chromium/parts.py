"""The demo's parts, each in a process that can be killed, and the engine asked directly."""

from __future__ import annotations

import json
import re
import socket
import struct
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from orion_twisted.core.settings import TokenSettings
from orion_twisted.demo.run import EDITOR_HOST, SHOP_HOST, TENANT
from orion_twisted.web.token_keys import load_keys, signing_key
from orion_twisted.web.tokens import mint
from tests.detour import Detour
from tests.harness import PATIENCE, START_TIMEOUT, Process, eventually, free_port, orion_bridge

LINE = re.compile(r"^(\w+) ready on ", re.MULTILINE)
LENGTH = struct.Struct(">I")
TOKEN_LIFE = 600


class Engine:
    """
    The engine without gateway and browser: one connection in `orion.v1` for each question.

    Args:
        port: where it listens.
    """

    def __init__(self, port: int) -> None:
        self._port = port

    def ask(self, cmd: str, /, **fields: Any) -> dict[str, Any]:
        """Return what it answers; `AssertionError` if that is a refusal."""
        with closing(socket.create_connection(("127.0.0.1", self._port), PATIENCE)) as link:
            payload = json.dumps({"@MSGID": 1, "cmd": cmd, **fields}).encode()
            link.sendall(LENGTH.pack(len(payload)) + payload)
            with link.makefile("rb") as stream:
                while True:
                    (length,) = LENGTH.unpack(stream.read(LENGTH.size))
                    answer: dict[str, Any] = json.loads(stream.read(length))
                    if "msgID" in answer:  # else it is an event
                        break
        assert answer["success"], answer
        return answer

    def new(self, name: str, width: int = 595, height: int = 842) -> int:
        """Make an empty document; return its id."""
        made: int = self.ask("new", name=name, width=width, height=height, key=name)["document"]
        return made

    def apply(self, document: int, *changes: object) -> None:
        """Make one edit, as somebody who makes no other one."""
        client = f"test-{time.monotonic_ns()}"
        self.ask("apply", document=document, client=client, edit=1, changes=changes)

    def document(self, document: int) -> dict[str, Any]:
        found: dict[str, Any] = self.ask("open", document=document, client="look")["document"]
        return found

    def objects(self, document: int) -> list[dict[str, Any]]:
        """Return all objects of all pages."""
        return [each for page in self.document(document)["pages"] for each in page["objects"]]

    def listing(self, document: int) -> tuple[int, bool]:
        """Return its revision, and whether it has been changed since."""
        (found,) = (one for one in self.ask("documents")["documents"] if one["id"] == document)
        return found["revision"], found["unsaved"]

    def edits(self, document: int) -> list[dict[str, Any]]:
        """Return the events of all edits that have been done, in their order."""
        answer = self.ask("sync", document=document, client="look", seq=0)
        assert not answer.get("reload"), "the engine has folded its journal"
        edits: list[dict[str, Any]] = answer["edits"]
        return edits


class Parts:
    """
    Engine, gateway and shop. Browsers come to the gateway through a `Detour`.

    Args:
        folder: what the parts share.
        new_folder: returns an empty folder for each process.
    """

    def __init__(self, folder: Path, new_folder: Callable[[], Path]) -> None:
        self.folder = folder
        self._new_folder = new_folder
        self.engine_port, self.gateway_port, self.shop_port = free_port(), free_port(), free_port()
        self.detour = Detour(self.gateway_port)
        self.engine = Engine(self.engine_port)
        self.processes: dict[str, Process] = {}

    @property
    def ca_file(self) -> Path:
        return self.folder / "certs" / "ca.pem"

    @property
    def editor(self) -> str:
        """The editor's origin, as browsers see it."""
        return f"https://{EDITOR_HOST}:{self.detour.port}"

    @property
    def shop(self) -> str:
        return f"https://{SHOP_HOST}:{self.shop_port}"

    def start(self) -> None:
        """Start all of them; they listen when this returns."""
        for part in ("engine", "gateway", "shop"):
            self.begin(part)
        for part in list(self.processes):
            self.wait_for(part)

    def begin(self, part: str, *flags: str, shop_port: int | None = None) -> Process:
        """Start a part, or one more of it, and return at once."""
        # The shop sends browsers to the detour, so that is its gateway.
        port = self.detour.port if part == "shop" else self.gateway_port
        command = orion_bridge(
            "demo",
            f"--folder={self.folder}",
            f"--port={port}",
            f"--shop-port={shop_port or self.shop_port}",
            f"--engine-port={self.engine_port}",
            f"--only={part}",
            *flags,
        )
        process = Process(command, self._new_folder())
        self.processes[part if shop_port is None else f"{part} {shop_port}"] = process
        return process

    def wait_for(self, part: str) -> None:
        """Wait until a part has said that it listens."""
        process = self.processes[part]
        eventually(lambda: LINE.search(process.log) or not process.is_running, part, START_TIMEOUT)
        assert LINE.search(process.log), process.log

    def kill(self, part: str) -> None:
        """End a part as a power cut does."""
        self.processes[part].kill()

    def restart(self, part: str) -> None:
        """Start a part that was killed, where it was; it listens when this returns."""
        self.begin(part)
        self.wait_for(part)

    def token(self, life: int = TOKEN_LIFE, age: int = 0, single_use: bool = False) -> str:
        """Return a token for the editor alone, made so many seconds ago."""
        settings = TokenSettings(key_file=str(self._key_file), most_life=TOKEN_LIFE)
        key = signing_key(load_keys(self._key_file, settings.algorithms), None, None)
        now = time.time() - age
        return mint(TENANT, settings, key, now, life, subject="tester", single_use=single_use)

    @property
    def _key_file(self) -> Path:
        return self.folder / "editor-token.key"

    def stop(self) -> list[str]:
        """End all of them; return what they have logged."""
        for process in self.processes.values():
            process.stop()
        self.detour.close()
        return [process.log for process in self.processes.values()]
