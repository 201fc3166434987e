"""Certificates that change on disk while the gateway runs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

from twisted.internet.defer import Deferred, execute

from orion_twisted.net import certfolder
from orion_twisted.net.certwatch import POLL, SETTLE
from tests.certificates import A_DAY, Issued, authority, empty_folder, issue
from tests.net.handshakes import visit
from tests.net.watching import WatcherTestCase


class ChangeTests(WatcherTestCase):
    """Files that come, change and go."""

    def test_nothing_happens(self) -> None:
        """While nothing changes nothing is read, and every context stays the same object."""
        self.add("a.example")
        self.start()
        before = self.table.context_for("a.example")
        with patch.object(certfolder, "read_file") as read:
            self.wait(10)
        read.assert_not_called()
        self.assertIs(self.table.context_for("a.example"), before)
        self.assertEqual(self.said(), [])

    def test_renewed(self) -> None:
        """A renewed certificate is in service within two seconds; the others are left alone."""
        self.add("a.example")
        other = self.add("b.example")
        self.start()
        kept = self.table.context_for("b.example")
        open_one = visit(self.table, "a.example")
        new = self.add("a.example")
        with patch.object(certfolder, "read_file", wraps=certfolder.read_file) as read:
            self.wait()
        self.assertEqual([call.args[0].name for call in read.mock_calls], ["a.example.pem"])
        self.assert_serves("a.example", new)
        self.assert_serves("b.example", other)
        self.assertIs(self.table.context_for("b.example"), kept)
        open_one.client.send(b"still here")
        open_one.pump()
        self.assertEqual(open_one.server.heard, b"still here")
        (line,) = self.said()
        self.assertIn("a.example.pem for a.example is in service, valid until", line)

    def test_new(self) -> None:
        """A file that was not there before is served."""
        self.start()
        self.assert_serves("a.example", None)
        self.assert_serves("a.example", self.add_and_wait("a.example"))

    def add_and_wait(self, name: str, **options: Any) -> Issued:
        one = self.add(name, **options)
        self.wait()
        return one

    def test_touched(self) -> None:
        """A file that was written anew with the same content keeps its context."""
        one = self.add("a.example")
        self.start()
        before = self.table.context_for("a.example")
        self.put("a.example.pem", one.pem)
        self.wait()
        self.assertIs(self.table.context_for("a.example"), before)
        self.assertEqual(self.said(), [])

    def test_pair(self) -> None:
        """Of a certificate and its key, whichever comes first, no mixture is ever served."""
        old, new = issue(["a.example"]), issue(["a.example"])
        self.put("a.crt", old.certificate_pem)
        self.put("a.key", old.key_pem)
        self.start()
        self.put("a.crt", new.certificate_pem)
        self.wait()
        self.assert_serves("a.example", old)
        self.put("a.key", new.key_pem)
        self.wait()
        self.assert_serves("a.example", new)
        self.assertEqual(self.table.bad, ())

    def test_password(self) -> None:
        """A password that comes after its file opens it."""
        one = issue(["a.example"])
        self.put("a.pfx", one.pfx(b"a secret"))
        self.start()
        self.assertEqual(len(self.table.bad), 1)
        self.put("a.password", b"a secret")
        self.wait()
        self.assert_serves("a.example", one)
        self.assertEqual(self.table.bad, ())

    def test_better_one(self) -> None:
        """Of two files for one name, the valid one with the later expiry is served."""
        short = self.add("a.example", "short.pem", not_after=self.now + 9 * A_DAY)
        self.start()
        self.assert_serves("a.example", short)
        self.add("a.example", "shorter.pem", not_after=self.now + 3 * A_DAY)
        long = self.add("a.example", "long.pem")
        self.wait()
        self.assert_serves("a.example", long)

    def test_second_key_type(self) -> None:
        """An RSA certificate that joins an ECDSA one is served beside it."""
        old = self.add("a.example")
        self.start()
        rsa = self.add("a.example", "rsa.pem", key="rsa")
        self.wait()
        seen = visit(self.table, "a.example", signatures="rsa_pss_rsae_sha256")
        self.assertEqual(seen.leaf, rsa.certificate)
        seen = visit(self.table, "a.example", signatures="ecdsa_secp256r1_sha256")
        self.assertEqual(seen.leaf, old.certificate)


class HalfWrittenTests(WatcherTestCase):
    """Files that are bad, or are being written."""

    def test_writer_at_work(self) -> None:
        """A file that is growing is left alone until it is at rest; nothing is said of it."""
        old = self.add("a.example")
        self.start()
        new = issue(["a.example"])
        for end in range(50, len(new.pem), 50):
            self.put("a.example.pem", new.pem[:end])
            self.wait(SETTLE * 0.75)
            self.assert_serves("a.example", old)
        self.put("a.example.pem", new.pem)
        self.wait(3 * SETTLE)
        self.assert_serves("a.example", new)
        self.assertEqual(len(self.said()), 1)

    def test_writer_does_not_hold_up_others(self) -> None:
        """A file that never comes to rest delays no other file."""
        self.start()
        new = self.add("b.example")
        for end in range(20):
            self.put("a.pem", bytes(end))
            self.wait(0.1)
        self.assert_serves("b.example", new)

    def test_bad_file(self) -> None:
        """A bad file leaves the old certificate in service; it is told, and counted once."""
        old = self.add("a.example")
        self.start()
        self.put("a.example.pem", old.pem[:300])
        self.wait(10)
        self.assert_serves("a.example", old)
        self.assertEqual(self.bad_count(), 1)
        (problem,) = self.table.bad
        self.assertIn("cut off", problem.problem)
        self.assertEqual(
            self.said(),
            [f"certificate a.example.pem: {problem.problem}; the old one stays in service"],
        )

    def test_bad_again(self) -> None:
        """Each change to another bad file is counted; the mended file ends it."""
        self.add("a.example")
        self.start()
        for content in (b"hello", b"", b"nonsense"):
            self.put("a.example.pem", content)
            self.wait()
        self.assertEqual(self.bad_count(), 3)
        new = self.add("a.example")
        self.wait()
        self.assert_serves("a.example", new)
        self.assertEqual((self.table.bad, self.bad_count()), ((), 3))

    def test_bad_from_the_start(self) -> None:
        """What is bad at the start is counted; it is served as soon as it is whole."""
        new = issue(["a.example"])
        self.put("a.example.pem", new.pem[:300])
        self.start()
        self.assertEqual((len(self.table.bad), self.bad_count()), (1, 1))
        self.put("a.example.pem", new.pem)
        self.wait()
        self.assert_serves("a.example", new)

    def test_refused_by_openssl(self) -> None:
        """What OpenSSL does not take never replaces what it has taken."""
        old = self.add("a.example")
        self.start()
        with patch.object(certfolder, "refusal_of", return_value="OpenSSL refuses it: why"):
            self.add("a.example")
            self.wait()
        self.assert_serves("a.example", old)
        self.assertEqual(self.table.bad[0].problem, "OpenSSL refuses it: why")

    def test_readable_again(self) -> None:
        """A file that may be read at last is read, though its content has not changed."""
        new = issue(["a.example"])
        path = self.put("a.example.pem", new.pem)
        with patch.object(certfolder, "_mark", return_value=(0, 0, 0, 0)):
            with patch.object(Path, "open", side_effect=PermissionError(13, "Permission denied")):
                self.start()
            self.assertIn("Permission denied", self.table.bad[0].problem)
        os.chmod(path, 0o600)
        self.wait()
        self.assert_serves("a.example", new)

    def test_link_to_nowhere(self) -> None:
        """A link that leads nowhere is a bad file, until its target is there."""
        new = issue(["a.example"])
        target = self.folder / "later.txt"
        (self.folder / "a.pem").symlink_to(target)
        self.start()
        self.assertIn("No such file", self.table.bad[0].problem)
        target.write_bytes(new.pem)
        self.wait()
        self.assert_serves("a.example", new)

    def test_authority_in_its_place(self) -> None:
        """A file that has become an authority's is treated like one that is gone."""
        old = self.add("a.example")
        self.start()
        self.put("a.example.pem", authority().pem)
        self.put("other-ca.pem", authority().pem)
        self.wait()
        self.assert_serves("a.example", old)
        self.assertEqual((len(self.said()), self.bad_count()), (1, 0))

    def test_too_many(self) -> None:
        """More files than are read are mentioned once."""
        self.add("a.example")
        self.start()
        with patch("orion_twisted.net.certfiles.MAX_FILES", 1):
            self.add("b.example")
            self.wait(5)
        self.assertEqual([each.source for each in self.table.bad], [self.folder])
        self.assertEqual(self.bad_count(), 1)


class GoneTests(WatcherTestCase):
    """Files that go away."""

    def test_stays(self) -> None:
        """The certificate of a file that is gone stays in service, and that is said once."""
        old = self.add("a.example")
        self.start()
        (self.folder / "a.example.pem").unlink()
        self.wait(10)
        self.assert_serves("a.example", old)
        (line,) = self.said()
        self.assertIn("a.example.pem is gone: it stays in service where no other", line)

    def test_gives_way(self) -> None:
        """It gives way to any other that answers its name, however short that one lasts."""
        self.add("a.example")
        short = self.add("a.example", "short.pem", not_after=self.now + A_DAY)
        self.start()
        (self.folder / "a.example.pem").unlink()
        self.wait()
        self.assert_serves("a.example", short)

    def test_gives_way_to_a_wildcard(self) -> None:
        """A wildcard's certificate is such another."""
        self.add("a.shop.example")
        wide = self.add("*.shop.example", "wide.pem")
        self.start()
        (self.folder / "a.shop.example.pem").unlink()
        self.wait()
        self.assert_serves("a.shop.example", wide)

    def test_comes_back(self) -> None:
        """A file that comes back is what counts again."""
        self.add("a.example")
        self.start()
        (self.folder / "a.example.pem").unlink()
        self.wait()
        new = self.add("a.example", not_after=self.now + A_DAY)
        self.wait()
        self.assert_serves("a.example", new)

    def test_expires(self) -> None:
        """When it has run out it goes out of service."""
        self.add("a.example", not_after=self.now + A_DAY)
        self.start()
        (self.folder / "a.example.pem").unlink()
        self.wait()
        self.time += 2 * A_DAY
        self.wait()
        self.assert_serves("a.example", None)
        self.assertIn("certificate a.example.pem is out of service", self.said())

    def test_folder_gone(self) -> None:
        """If the folder itself goes, everything stays in service, and it is watched when back."""
        old = self.add("a.example")
        self.start()
        shelter = empty_folder(self) / "certs"
        self.folder.rename(shelter)
        self.wait(10)
        self.assert_serves("a.example", old)
        (line,) = self.said()
        self.assertIn("No such file or directory; its certificates stay in service", line)
        shelter.rename(self.folder)
        new = self.add("b.example")
        self.wait()
        self.assert_serves("a.example", old)
        self.assert_serves("b.example", new)

    def test_names_dropped(self) -> None:
        """Names that a new certificate no longer has are no longer answered."""
        self.put("a.pem", issue(["a.example", "b.example"]).pem)
        self.start()
        new = issue(["a.example"])
        self.put("a.pem", new.pem)
        self.wait()
        self.assert_serves("a.example", new)
        self.assert_serves("b.example", None)

    def test_fallback_dropped(self) -> None:
        """The fallback's is kept, whatever comes in its file's place: it is said, as an error."""
        old = self.add("a.example", "a.pem")
        self.start("a.example")
        self.add("b.example", "a.pem")
        self.wait()
        self.assert_serves("unknown.example", old)
        self.assertIn("no certificate for the fallback a.example is left", self.said()[0])
        new = self.add("a.example")
        self.wait()
        self.assert_serves("unknown.example", new)


class ReloadTests(WatcherTestCase):
    """SIGHUP."""

    def test_at_once(self) -> None:
        """Everything is read at once, without waiting for a poll or for rest."""
        self.add("a.example")
        self.start()
        new = self.add("a.example")
        done = self.watcher.reload()
        self.clock.advance(0)
        self.assertIsNone(self.successResultOf(done))
        self.assert_serves("a.example", new)

    def test_forgets_what_is_gone(self) -> None:
        """What is gone goes out of service: that is how an operator withdraws a certificate."""
        self.add("a.example")
        self.add("b.example")
        self.start()
        for name in ("a.example", "b.example"):
            (self.folder / f"{name}.pem").unlink()
            self.wait(POLL + 3 * SETTLE if name == "a.example" else 0)
        self.watcher.reload()
        self.clock.advance(0)
        self.assert_serves("a.example", None)
        self.assert_serves("b.example", None)

    def test_bad_file(self) -> None:
        """A bad file keeps its old certificate in service over a reload as well."""
        old = self.add("a.example")
        self.start()
        self.put("a.example.pem", b"hello")
        for _ in range(3):
            self.watcher.reload()
            self.wait()
        self.assert_serves("a.example", old)
        self.assertEqual(self.bad_count(), 1)

    def test_unchanged(self) -> None:
        """What has not changed keeps its context."""
        self.add("a.example")
        self.start()
        before = self.table.context_for("a.example")
        self.watcher.reload()
        self.wait()
        self.assertIs(self.table.context_for("a.example"), before)

    def test_fallback_stays(self) -> None:
        """The fallback stays in service even then, and the log says so."""
        old = self.add("a.example")
        self.start("a.example")
        (self.folder / "a.example.pem").unlink()
        self.watcher.reload()
        self.wait(10)
        self.assert_serves("unknown.example", old)
        self.assertIn("a.example.pem stays in service", self.said()[0])

    def test_folder_gone(self) -> None:
        """A reload that cannot look ends all the same, and says why each time."""
        self.add("a.example")
        self.start()
        self.folder.rename(empty_folder(self) / "certs")
        for _ in range(2):
            done = self.watcher.reload()
            self.clock.advance(0)
            self.successResultOf(done)
        self.assertEqual(len(self.said()), 2)
        self.folder.mkdir()

    def test_not_running(self) -> None:
        """A watcher that does not run reloads nothing, and leaves nobody waiting."""
        self.start()
        waiting = self.watcher.reload()
        self.watcher.stop()
        self.successResultOf(waiting)
        self.successResultOf(self.watcher.reload())
        self.assertEqual(self.clock.getDelayedCalls(), [])


class DatesTests(WatcherTestCase):
    """Certificates that begin and end while the gateway runs."""

    def test_begins(self) -> None:
        """A certificate of the future takes over when its time has come, with no file touched."""
        today = self.add("a.example", "today.pem", not_after=self.now + 30 * A_DAY)
        tomorrow = self.add(
            "a.example",
            "tomorrow.pem",
            not_before=self.now + A_DAY,
            not_after=self.now + 90 * A_DAY,
        )
        self.start()
        self.assert_serves("a.example", today)
        self.time += 2 * A_DAY
        self.wait()
        self.assert_serves("a.example", tomorrow)

    def test_ends(self) -> None:
        """When the best of two ends before the other, the other takes over."""
        future = {"not_before": self.now + 5 * A_DAY, "not_after": self.now + 90 * A_DAY}
        self.add("a.example", "first.pem", not_after=self.now + 20 * A_DAY)
        second = self.add("a.example", "second.pem", **future)
        self.start()
        self.time += 30 * A_DAY
        self.wait()
        self.assert_serves("a.example", second)


class ThreadTests(WatcherTestCase):
    """What goes on while a thread reads."""

    def setUp(self) -> None:
        super().setUp()
        self.at_work: list[tuple[Deferred[Any], Callable[[], Any]]] = []
        self.is_slow = False

    def in_thread(self, work: Callable[[], Any]) -> Deferred[Any]:
        if not self.is_slow:
            return execute(work)
        done: Deferred[Any] = Deferred()
        self.at_work.append((done, work))
        return done

    def finish(self) -> None:
        done, work = self.at_work.pop()
        done.callback(work())

    def test_one_at_a_time(self) -> None:
        """However slow the disk is, one thread reads at a time, and nothing is missed."""
        self.add("a.example")
        self.start()
        self.is_slow = True
        self.wait(60)
        self.assertEqual(len(self.at_work), 1)
        done = self.watcher.reload()
        self.wait(60)
        new = self.add("a.example")
        self.assertEqual(len(self.at_work), 1)
        self.finish()
        self.assertNoResult(done)
        self.clock.advance(0)
        self.finish()
        self.successResultOf(done)
        self.assert_serves("a.example", new)

    def test_stopped_meanwhile(self) -> None:
        """What a thread brings after the watcher has stopped is left alone."""
        old = self.add("a.example")
        self.start()
        self.is_slow = True
        self.add("a.example")
        self.wait()
        waiting, stopped = self.watcher.reload(), self.watcher.stop()
        self.assertNoResult(stopped)
        self.finish()
        self.successResultOf(stopped)
        self.successResultOf(waiting)
        self.assert_serves("a.example", old)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_bug(self) -> None:
        """A bug on the way is logged with its traceback, and does not end the watching."""
        self.start()
        with patch.object(certfolder, "read_file", side_effect=ZeroDivisionError):
            new = self.add("a.example")
            self.wait(POLL + 2 * SETTLE)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.wait()
        self.assert_serves("a.example", new)
