"""The pump in C, as `orion_twisted.net.pump` describes it."""

from collections.abc import Callable
from typing import Any, final

VERSION: int

@final
class Tally:
    def take(self) -> tuple[int, int, int, int]: ...

@final
class Pump:
    is_open: bool
    def __init__(
        self,
        *,
        connection: object,
        way: Any,
        guards: tuple[tuple[object, str, object], ...],
        tally: Tally | None,
        is_upwards: bool,
        frames_a_turn: int,
        overhead: int,
        reader: object | None,
        receive: Callable[[bytearray], int],
        scratch: bytearray,
        give: Callable[[bytes], object] | None,
        open: Callable[[int], bytes] | None,
        feed: Callable[[bytes], None] | None,
        take: Callable[[int], tuple[bytes, int, int] | list[tuple[bytes, bool]]] | None,
        seal: Callable[[bytes], int] | None,
        sealed: Callable[[int], bytes] | None,
        send: Callable[[bytes], int] | None,
        seconds: Callable[[], float] | None,
    ) -> None: ...
    def __call__(self) -> Any: ...
    def clear(self) -> None: ...
    @property
    def messages(self) -> int: ...
    @property
    def last(self) -> float | None: ...

@final
class Writer:
    def __init__(
        self,
        *,
        way: Any,
        guards: tuple[tuple[object, str, object], ...],
        overhead: int,
        frame: Callable[[bytes, bool], bytes] | None,
        seal: Callable[[bytes], int] | None,
        sealed: Callable[[int], bytes] | None,
        send: Callable[[bytes], int],
    ) -> None: ...
    def __call__(self, *arguments: Any) -> None: ...
    def clear(self) -> None: ...

@final
class Pumps:
    def add(self, descriptor: int, pump: Pump, /) -> None: ...
    def disturb(self) -> None: ...
    def run(
        self, events: list[tuple[int, int]], at: int, selectables: dict[int, Any], /
    ) -> Any: ...
    @property
    def at(self) -> int: ...
    @property
    def connection(self) -> Any: ...
