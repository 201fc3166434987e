"""
Word from the system that something in a folder has changed.

It makes a look at the folder come sooner, no more: events get lost, and some file systems have
none, so nobody may rely on them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.interfaces import IReactorFDSet
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.filepath import FilePath

try:
    from twisted.internet import inotify
except ImportError:  # not Linux
    inotify = None  # type: ignore[assignment]

Identities = Mapping[str, tuple[int, int]]
"""Device and inode of folders, by path."""


class FolderEvents:
    """
    Watch folders by inotify, where there is such a thing.

    Args:
        reactor: one that reads file descriptors; with any other there are no events.
        notice: is called whenever something has changed, often several times for one change.
    """

    _log = Logger()

    def __init__(self, reactor: Any, notice: Callable[[], None]) -> None:
        self._reactor = reactor
        self._notice = notice
        self._source: _Source | None = None
        self._watched: dict[str, tuple[int, int]] = {}
        self._is_able = inotify is not None and IReactorFDSet.providedBy(reactor)

    def watch(self, folders: Identities) -> None:
        """
        Watch these folders, and no others.

        A folder that has been put in the place of another is watched anew. One that cannot be
        watched is left alone, until it changes or others do.
        """
        if not self._is_able or folders == self._watched:
            return
        try:
            if self._source is None:
                self._source = _Source(self._reactor, self._notice, self._lost)
            for path in self._watched.keys() | folders.keys():
                if self._watched.get(path) != folders.get(path):
                    self._source.replace(path, path in folders)
        except inotify.INotifyError as error:
            # A common reason is fs.inotify.max_user_watches.
            self._log.warn("no word of changes in folders: {error}", error=str(error))
        self._watched = dict(folders)

    def close(self) -> None:
        """Watch nothing any more."""
        self._is_able = False
        if self._source is not None:
            self._source.loseConnection()

    def _lost(self) -> None:
        self._source = None
        self._watched = {}
        if self._is_able:
            self._notice()


_Base: Any = object if inotify is None else inotify.INotify


class _Source(_Base):
    """Twisted's INotify, which closes itself when one of its folders is deleted."""

    def __init__(self, reactor: Any, notice: Callable[[], None], lost: Callable[[], None]) -> None:
        super().__init__(reactor)
        self._on_event = notice
        self._on_lost = lost
        self.startReading()

    def replace(self, path: str, is_wanted: bool) -> None:
        """Stop to watch a path, if it is watched, and begin anew if it is wanted."""
        folder = FilePath(path)
        if self._isWatched(folder):
            self.ignore(folder)
        if is_wanted:
            self.watch(folder, _MASK, callbacks=[self._heard])

    def _heard(self, watch: object, path: object, mask: int) -> None:
        self._on_event()
        if mask & inotify.IN_MOVE_SELF:
            self.loseConnection()  # what it watches is not at that path any more

    def connectionLost(self, reason: Failure) -> None:
        super().connectionLost(reason)
        self._on_lost()


_MASK = 0
if inotify is not None:
    _MASK = (
        inotify.IN_CLOSE_WRITE
        | inotify.IN_CREATE  # links come without being written
        | inotify.IN_DELETE
        | inotify.IN_MOVED_FROM
        | inotify.IN_MOVED_TO
        | inotify.IN_ATTRIB  # somebody lets us read it
        | inotify.IN_MOVE_SELF
    )
