"""From settings to one gateway or to a supervisor, and what a worker makes of its sockets."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs

from orion_twisted.core.config import load_settings
from orion_twisted.core.fields import MOST_WORKERS
from orion_twisted.core.settings import Settings
from orion_twisted.core.shares import share_of
from orion_twisted.core.worker_wire import Socket
from orion_twisted.service.gateway import Gateway
from orion_twisted.service.startup import build, prepare, workers_of
from orion_twisted.service.workers import Supervisor
from tests.service.test_startup import LEAST, StartupTestCase

PLAIN = f'listen = ["tcp:8888", "tcp:8889"]\n{LEAST}'
SESSION = f'{PLAIN}mode = "session"\n'


class BuildTestCase(StartupTestCase):
    def built(self, text: str, **flags: object) -> Any:
        return build(self.write(text), flags, self.reactor)

    def cpus(self, count: int) -> None:
        """Let this process be allowed to use so many."""
        self.patch(os, "sched_getaffinity", lambda _: set(range(count)))


class WorkersOfTests(BuildTestCase):
    """`workers_of`."""

    def test_auto(self) -> None:
        """One for each CPU that this process may use, within the limit of the setting."""
        for cpus, workers in ((1, 1), (6, 6), (500, MOST_WORKERS)):
            self.cpus(cpus)
            self.assertEqual(workers_of(Settings(workers=0)), workers)

    def test_a_system_that_does_not_say(self) -> None:
        """Where it is not known which it may use, it is all that there are, or one."""
        self.patch(os, "sched_getaffinity", None)
        for cpus, workers in ((4, 4), (None, 1)):
            self.patch(os, "cpu_count", lambda cpus=cpus: cpus)
            self.assertEqual(workers_of(Settings(workers=0)), workers)

    def test_a_number(self) -> None:
        """A number is what it says, however many CPUs there are."""
        self.cpus(1)
        self.assertEqual(workers_of(Settings(workers=3)), 3)


class BuildTests(BuildTestCase):
    """`build`."""

    def test_one(self) -> None:
        """One process needs no supervisor, also if there is one CPU."""
        self.cpus(1)
        for line in ("", "workers = 1\n", 'workers = "auto"\n'):
            self.assertIsInstance(self.built(line + PLAIN), Gateway)

    def test_several(self) -> None:
        """Several have one, which is told all that the file and the flags say."""
        self.cpus(2)
        for line in ("workers = 2\n", 'workers = "auto"\n'):
            supervisor = self.built(line + PLAIN, limits={"idle": "7 s"})
            self.assertIsInstance(supervisor, Supervisor)
            self.assertEqual(len(supervisor.report().workers), 2)
            settings = load_settings(supervisor._raw)
            self.assertEqual(settings.limits.idle, 7.0)
            self.assertEqual([str(each) for each in settings.listen], ["tcp:8888", "tcp:8889"])

    def test_folders(self) -> None:
        """Wherever a worker runs, it finds the same folders, those of flags as well."""
        pages = self.folder / "pages"
        pages.mkdir()
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.folder)
        tenant = {"backend": "tcp:127.0.0.1:7000", "site": "pages"}
        flags = {"workers": 2, "listen": ["tcp:8888"], "tenant": {"default": tenant}}
        supervisor: Any = build(None, flags, self.reactor)
        settings = load_settings(supervisor._raw)
        self.assertTrue(Path(settings.certificates).is_absolute())
        self.assertTrue(os.path.samefile(cast(str, settings.tenants[0].site), pages))

    def test_every_mistake(self) -> None:
        """What only workers will need is looked at before any of them starts."""
        lines = self.lines(self.built, f"workers = 2\n{PLAIN}" + 'site = "missing"\n')
        self.assertEqual([line.partition(":")[0] for line in lines], ["tenant.shop.site"])

    def test_sessions(self) -> None:
        """More than one CPU is no reason to lose sessions: ``auto`` is refused, and says why."""
        self.cpus(1)
        self.assertIsInstance(self.built(f'workers = "auto"\n{SESSION}'), Gateway)
        self.cpus(4)
        for text in (
            f"workers = 4\n{SESSION}",
            f'workers = "auto"\n{SESSION}',
            f'workers = "auto"\ndial_in = "tcp:8887"\n{PLAIN}',
        ):
            (line,) = self.lines(self.built, text)
            self.assertRegex(line, r"^workers: .* do not go with .* \(workers = 1, or ")
        self.assertIn('"auto", which is 4 here, do not go with dial_in', line)


class WorkerTests(BuildTestCase):
    """`prepare`, in a worker."""

    def test_its_own_sockets(self) -> None:
        """It binds nothing: it accepts from what it has inherited, in the order of ``listen``."""
        adopted = []

        class Reactor(MemoryReactorClock):
            def adoptStreamPort(self, fd: int, family: int, factory: Any) -> Any:
                adopted.append((os.fstat(fd).st_ino, family))
                return self.listenTCP(0, factory)

        self.reactor = Reactor()
        files = [os.open(os.devnull, os.O_RDONLY), os.open(self.write(PLAIN), os.O_RDONLY)]
        inodes = [os.fstat(fd).st_ino for fd in files]
        settings = share_of(self.read(PLAIN), 2)
        gateway = prepare(settings, self.reactor, [Socket(fd, 2) for fd in files])
        gateway.privilegedStartService()
        self.assertEqual(adopted, [(inode, 2) for inode in inodes])
        self.assertEqual(len(gateway.ports), 2)
        for fd in files:
            self.assertRaises(OSError, os.fstat, fd)  # the port has a copy

    def test_advice(self) -> None:
        """What is hardly meant is said once, by the supervisor, of the undivided limits."""
        text = f"limits = {{ pending_handshakes = 10, pending_handshakes_per_ip = 20 }}\n{PLAIN}"
        settings = self.read(text)
        for sockets, said in ((None, 1), ([Socket(4, 2)] * 2, 0)):
            with capturedLogs() as events:
                prepare(settings, self.reactor, sockets)
            advice = [event for event in events if "advice" in event]
            self.assertEqual(len(advice), said)
