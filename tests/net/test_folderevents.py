"""Word from the system that something has changed; the file system is a real one."""

from __future__ import annotations

import shutil
from unittest.mock import patch

from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import LogEvent, formatEvent, globalLogPublisher

from orion_twisted.net import folderevents
from orion_twisted.net.certfolder import look
from orion_twisted.net.folderevents import FolderEvents
from tests.certificates import CertificateFolderTestCase, empty_folder


class FolderEventsTests(CertificateFolderTestCase):
    """Word from the system; the reactor is the test's, the file system is real."""

    def setUp(self) -> None:
        super().setUp()
        if folderevents.inotify is None:
            self.skipTest("this system has no inotify")
        self.reactor = MemoryReactorClock()
        self.heard = 0
        self.events = FolderEvents(self.reactor, self.hear)
        self.addCleanup(self.end)
        self.watch()

    def end(self) -> None:
        self.events.close()
        self.reactor.advance(1)
        self.assertEqual(self.reactor.getReaders(), [])

    def hear(self) -> None:
        self.heard += 1

    def watch(self) -> None:
        self.events.watch(look(self.folder).folders)

    def is_heard(self) -> bool:
        """Let the reactor read what there is."""
        before = self.heard
        for reader in self.reactor.getReaders():
            reader.doRead()
        self.reactor.advance(0.01)
        return self.heard > before

    def test_changes(self) -> None:
        """Files that come, change, are linked, renamed, opened up and go are heard of."""
        self.assertFalse(self.is_heard())
        path = self.folder / "a.pem"
        for change in (
            lambda: path.write_bytes(b"one"),
            lambda: path.write_bytes(b"two"),
            lambda: path.chmod(0o600),
            lambda: path.rename(self.folder / "b.pem"),
            lambda: path.symlink_to("b.pem"),
            lambda: path.unlink(),
        ):
            change()
            self.assertTrue(self.is_heard())
        self.assertFalse(self.is_heard())

    def test_reading_is_no_change(self) -> None:
        """To read a file, or to look at it, is nothing to hear of; else we would never rest."""
        path = self.put("a.pem", b"hello")
        self.is_heard()
        path.read_bytes()
        look(self.folder)
        self.assertFalse(self.is_heard())

    def test_certbots_folders(self) -> None:
        """Folders in the folder are watched as soon as they have certificates."""
        self.put("a.example/fullchain.pem", b"")
        self.watch()
        self.is_heard()
        self.put("a.example/privkey.pem", b"")
        self.assertTrue(self.is_heard())

    def test_deleted_folder(self) -> None:
        """One folder that is deleted does not end the watching of the others."""
        self.put("a.example/fullchain.pem", b"")
        self.watch()
        shutil.rmtree(self.folder / "a.example")
        self.assertTrue(self.is_heard())
        self.assertEqual(self.reactor.getReaders(), [])  # Twisted's way: all or nothing
        self.watch()
        self.put("b.pem", b"")
        self.assertTrue(self.is_heard())

    def test_replaced_folder(self) -> None:
        """A folder that takes another's place is watched in its stead."""
        self.folder.rename(empty_folder(self) / "old")
        self.assertTrue(self.is_heard())
        self.folder.mkdir()
        self.watch()
        self.put("a.pem", b"")
        self.assertTrue(self.is_heard())

    def test_link_to_a_folder(self) -> None:
        """Where the folder is a link, the folder that it leads to now is watched."""
        link = empty_folder(self) / "current"
        for name in ("old", "new"):
            (self.folder / name).mkdir()
        link.symlink_to(self.folder / "old")
        self.events.watch(look(link).folders)
        link.unlink()
        link.symlink_to(self.folder / "new")
        self.events.watch(look(link).folders)
        self.is_heard()
        self.put("old/a.pem", b"")
        self.assertFalse(self.is_heard())
        self.put("new/a.pem", b"")
        self.assertTrue(self.is_heard())

    def test_no_more_watches(self) -> None:
        """If the system gives no more watches, that is logged once; the poll is still there."""
        events: list[LogEvent] = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)
        self.put("a.example/fullchain.pem", b"")
        refusal = folderevents.inotify.INotifyError("No space left on device")
        with patch.object(folderevents.inotify.INotify, "watch", side_effect=refusal):
            for _ in range(3):
                self.watch()
        said = [formatEvent(event) for event in events]
        self.assertEqual(said, ["no word of changes in folders: No space left on device"])

    def test_without_inotify(self) -> None:
        """Where there is no inotify, or no reactor that reads files, there is silence."""
        with patch.object(folderevents, "inotify", None):
            FolderEvents(self.reactor, self.hear).watch(look(self.folder).folders)
        FolderEvents(Clock(), self.hear).watch(look(self.folder).folders)
        self.assertEqual(len(self.reactor.getReaders()), 1)
