"""Renewals by certbot's way and its like, whose files are links."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from unittest.mock import patch

from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from orion_twisted.core.counters import Counters
from orion_twisted.net import folderevents
from orion_twisted.net.certfolder import load_folder, look
from orion_twisted.net.certwatch import CertificateWatcher
from orion_twisted.net.tls import CertificateTable
from tests.certificates import Issued, empty_folder, issue
from tests.documents import read_page
from tests.net.handshakes import visit
from tests.net.watching import SHORTLY, WatcherTestCase

(HOOK,) = (each.text for each in read_page("docs/operate.md").blocks if each.kind == "deploy-hook")
"""The page's deploy hook, for a gateway that may not read certbot's own folders."""
FOLDER = "/etc/orion/certs"
"""Where the page has the certificates."""


class CertbotTests(WatcherTestCase):
    """Certbot's folders: links from live/ into archive/."""

    def setUp(self) -> None:
        super().setUp()
        self.archive = empty_folder(self)
        self.lineage = self.folder / "a.example"
        self.lineage.mkdir()
        self.put("README", b"This directory contains your keys and certificates.")
        self.old = self.renew(1)

    def renew(self, number: int) -> Issued:
        """Do what certbot does: new files in the archive, then one link after the other."""
        one = issue(["a.example"])
        for name, content in (("fullchain", one.certificate_pem), ("privkey", one.key_pem)):
            target = self.archive / f"{name}{number}.pem"
            target.write_bytes(content)
            link = self.lineage / f"{name}.pem"
            link.unlink(missing_ok=True)
            link.symlink_to(target)
        return one

    def test_renewed(self) -> None:
        """Links that lead to new files are followed."""
        self.start()
        self.assert_serves("a.example", self.old)
        new = self.renew(2)
        self.wait()
        self.assert_serves("a.example", new)
        self.assertEqual(self.bad_count(), 0)

    def test_written_in_place(self) -> None:
        """So are files that are written anew behind links that stay."""
        self.start()
        new = issue(["a.example"])
        (self.archive / "fullchain1.pem").write_bytes(new.certificate_pem)
        (self.archive / "privkey1.pem").write_bytes(new.key_pem + b"\n")
        self.wait()
        self.assert_serves("a.example", new)

    def test_deploy_hook(self) -> None:
        """A deploy hook that copies what certbot has renewed is all that is needed."""
        live = empty_folder(self) / "b.example"
        live.mkdir()
        hook = empty_folder(self) / "deploy-hook"
        # Who runs the tests is nobody's group but his own.
        hook.write_text(HOOK.replace(FOLDER, str(self.folder)).replace(" -g orion", ""))
        hook.chmod(0o755)
        self.start()
        for _ in range(2):
            new = issue(["b.example"])
            (live / "fullchain.pem").write_bytes(new.certificate_pem)
            (live / "privkey.pem").write_bytes(new.key_pem)
            subprocess.run([hook], check=True, env={**os.environ, "RENEWED_LINEAGE": str(live)})
            self.wait()
            self.assert_serves("b.example", new)
        self.assertEqual(self.bad_count(), 0)
        self.assertEqual(
            sorted(each.name for each in (self.folder / "b.example").iterdir()),
            ["fullchain.pem", "privkey.pem"],
        )
        key = self.folder / "b.example" / "privkey.pem"
        self.assertEqual(key.stat().st_mode & 0o777, 0o640)

    def test_first_one(self) -> None:
        """A folder that certbot makes while the gateway runs is found."""
        shutil.rmtree(self.lineage)
        self.start()
        self.assert_serves("a.example", None)
        self.lineage.mkdir()
        (self.lineage / "README").write_bytes(b"This directory contains your keys.")
        self.wait()
        new = self.renew(2)
        self.wait()
        self.assert_serves("a.example", new)

    def test_deleted(self) -> None:
        """What `certbot delete` has taken away stays in service until a reload."""
        self.start()
        shutil.rmtree(self.lineage)
        self.wait()
        self.assert_serves("a.example", self.old)
        self.watcher.reload()
        self.wait()
        self.assert_serves("a.example", None)

    def test_locked(self) -> None:
        """A folder that may not be entered is a bad file, and is tried again when that changes."""
        real = os.scandir

        def scandir(path: Any) -> Iterator[Any]:
            if str(path) == str(self.lineage):
                raise PermissionError(13, "Permission denied")
            return real(path)

        self.start()
        with patch("os.scandir", scandir):
            self.assertIn(str(self.lineage / "fullchain.pem"), look(self.folder).files)
            self.wait()
        self.assert_serves("a.example", self.old)

    def test_kubernetes(self) -> None:
        """A volume of Kubernetes', whose files are links through one link that is swapped."""
        pem = {}
        for version in ("..1", "..2"):
            one = pem[version] = issue(["b.example"])
            self.put(f"{version}/tls.crt", one.certificate_pem)
            self.put(f"{version}/tls.key", one.key_pem)
        data = self.folder / "..data"
        data.symlink_to("..1")
        for name in ("tls.crt", "tls.key"):
            (self.folder / name).symlink_to(f"..data/{name}")
        self.start()
        self.assert_serves("b.example", pem["..1"])
        other = self.folder / "..data_tmp"
        other.symlink_to("..2")
        other.rename(data)
        self.wait()
        self.assert_serves("b.example", pem["..2"])


class RealTests(TestCase):
    """The whole of it, with the reactor, its threads, and its clock."""

    async def test_with_the_reactor(self) -> None:
        """A renewal by certbot's way is in service within two seconds, events or not."""
        for module in (folderevents.inotify, None):
            with patch.object(folderevents, "inotify", module):
                await self.renew()

    async def renew(self) -> None:
        folder = empty_folder(self)
        (folder / "a.example").mkdir()
        old, new = issue(["a.example"]), issue(["a.example"])
        for name, content in (("fullchain", old.certificate_pem), ("privkey", old.key_pem)):
            (folder / "a.example" / f"{name}.pem").write_bytes(content)
        state = load_folder(folder, datetime.now().astimezone())
        table = CertificateTable(
            state.certificates.values(), "a.example", datetime.now().astimezone()
        )
        watcher = CertificateWatcher(state, table, Counters(), reactor)
        watcher.start()
        try:
            await deferLater(reactor, 0.3)
            self.assertEqual(visit(table, None).leaf, old.certificate)
            begin = reactor.seconds()
            for name, content in (("fullchain", new.certificate_pem), ("privkey", new.key_pem)):
                fresh = folder / f"{name}2.txt"
                fresh.write_bytes(content)
                link = folder / "a.example" / f"{name}.pem"
                link.unlink()
                link.symlink_to(fresh)
            while visit(table, None).leaf != new.certificate:
                self.assertLess(reactor.seconds() - begin, SHORTLY)
                await deferLater(reactor, 0.05)
        finally:
            await watcher.stop()
