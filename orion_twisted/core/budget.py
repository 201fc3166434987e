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

    Attributes:
        is_full: whether this one, or what it is a part of, has no room. Looked at for each
            message, so it is kept, not worked out.
    """

    __slots__ = (
        "_is_over",
        "_most_bytes",
        "_most_messages",
        "_parts",
        "_waiting",
        "_whole",
        "bytes",
        "is_full",
        "messages",
    )

    def __init__(self, most_messages: int, most_bytes: int, whole: Budget | None = None) -> None:
        self.messages = 0
        self.bytes = 0
        self.is_full: bool = whole is not None and whole.is_full
        self._is_over = False
        self._most_messages = most_messages
        self._most_bytes = most_bytes
        self._whole = whole
        self._parts: list[Budget] = []
        self._waiting: dict[Callable[[], None], None] = {}
        if whole is not None:
            whole._parts.append(self)

    def change(self, messages: int, size: int) -> None:
        """Take so many messages and bytes, or give them back if the numbers are negative."""
        each: Budget | None = self
        turned: list[Budget] | None = None
        while each is not None:
            each.messages = count = each.messages + messages
            each.bytes = much = each.bytes + size
            is_over = much >= each._most_bytes or count >= each._most_messages
            if is_over is not each._is_over:
                each._is_over = is_over
                turned = [each, *(turned or ())]
            each = each._whole
        if turned is not None:
            for each in turned:  # the whole first: it says of its parts whether they are full
                each._look()

    def _look(self) -> None:
        """Find out whether it is full now, and tell the parts, and who waits for room."""
        whole = self._whole
        self.is_full = self._is_over or (whole is not None and whole.is_full)
        for part in self._parts:
            part._look()
        if self._waiting and not self.is_full:
            waiting, self._waiting = self._waiting, {}
            for callback in waiting:
                if self.is_full:  # one of those before has filled it again
                    self.when_room(callback)
                else:
                    callback()

    def when_room(self, callback: Callable[[], None]) -> None:
        """Have a function called once, from `change`, when there is room; asked twice is once."""
        self._waiting[callback] = None

    def forget(self, callback: Callable[[], None]) -> None:
        """Take back what was asked of `when_room`."""
        self._waiting.pop(callback, None)
