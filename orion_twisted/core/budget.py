"""How much is held, in messages and bytes: of a tenant, within the node."""

from __future__ import annotations

from collections.abc import Callable


class Budget:
    """
    Messages and bytes that are held, with a limit for each.

    Taking never fails: what has arrived is here. Whoever takes looks at `is_full` first, and asks
    by `when_room` to be called once there is room again.

    Args:
        most_messages, most_bytes: above this it is full.
        whole: what this one is a part of: all that is taken here is taken there, too.
    """

    __slots__ = ("_most_bytes", "_most_messages", "_waiting", "_whole", "bytes", "messages")

    def __init__(self, most_messages: int, most_bytes: int, whole: Budget | None = None) -> None:
        self.messages = 0
        self.bytes = 0
        self._most_messages = most_messages
        self._most_bytes = most_bytes
        self._whole = whole
        self._waiting: dict[Callable[[], None], None] = {}

    @property
    def is_full(self) -> bool:
        """Whether this one, or what it is a part of, has no room."""
        return (
            self.bytes >= self._most_bytes
            or self.messages >= self._most_messages
            or (self._whole is not None and self._whole.is_full)
        )

    def change(self, messages: int, size: int) -> None:
        """Take so many messages and bytes, or give them back if the numbers are negative."""
        self.messages += messages
        self.bytes += size
        if self._whole is not None:
            self._whole.change(messages, size)
        if self._waiting and not self._is_full_itself():
            waiting, self._waiting = self._waiting, {}
            for callback in waiting:
                if self.is_full:  # the whole is, or one of those before has filled it again
                    self.when_room(callback)
                else:
                    callback()

    def when_room(self, callback: Callable[[], None]) -> None:
        """Have a function called once, from `change`, when there is room; asked twice is once."""
        full = self if self._is_full_itself() or self._whole is None else self._whole
        full._waiting[callback] = None

    def forget(self, callback: Callable[[], None]) -> None:
        """Take back what was asked of `when_room`."""
        self._waiting.pop(callback, None)
        if self._whole is not None:
            self._whole.forget(callback)

    def _is_full_itself(self) -> bool:
        return self.bytes >= self._most_bytes or self.messages >= self._most_messages
