"""How a gateway stands: of several processes, as one."""

from itertools import product

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.report import (
    CertificateStatus,
    Report,
    WorkerState,
    WorkerStatus,
    together,
)

CERTIFICATE = CertificateStatus("shop.pem", ("shop.example",), 61.0, None)
ONE = Report(
    version="1.2.3",
    ready=True,
    browsers={"shop": 3, "other": 0},
    links={"shop": 4, "other": 0},
    sessions={},
    pending=2,
    connections=5,
    uptime=10.0,
    certificates=(CERTIFICATE,),
)
WORKER = WorkerStatus(1, 4711, WorkerState.UP, 3, 5, 10.0, 0)


def states(*names: str) -> tuple[WorkerStatus, ...]:
    return tuple(
        evolve(WORKER, number=number, state=WorkerState(name))
        for number, name in enumerate(names, 1)
    )


class TogetherTests(SynchronousTestCase):
    """`together`."""

    def add(self, workers: tuple[WorkerStatus, ...], *reports: Report) -> Report:
        return together("1.2.3", ["shop", "other"], 99.0, workers, reports)

    def test_sums(self) -> None:
        """Browsers, links and connections are those of all; each tenant is there."""
        two = evolve(ONE, browsers={"shop": 1, "other": 7}, links={"shop": 2}, pending=1)
        report = self.add(states("up", "up"), ONE, two)
        self.assertEqual(report.browsers, {"shop": 4, "other": 7})
        self.assertEqual(report.links, {"shop": 6, "other": 0})
        self.assertEqual((report.pending, report.connections, report.uptime), (3, 10, 99.0))

    def test_certificates(self) -> None:
        """All watch one folder: what is in it is told once."""
        self.assertEqual(self.add(states("up", "up"), ONE, ONE).certificates, (CERTIFICATE,))

    def test_nothing_yet(self) -> None:
        """Before any worker has said a word every tenant is there, with nothing."""
        report = self.add(states("starting", "down"))
        self.assertEqual(report.browsers, {"shop": 0, "other": 0})
        self.assertEqual((report.certificates, report.ready), ((), False))

    def test_ready(self) -> None:
        """Ready when all are up that should be, and not before."""
        for pair in product([each.value for each in WorkerState], repeat=2):
            self.assertEqual(self.add(states(*pair), ONE, ONE).ready, pair == ("up", "up"))


class StateTests(SynchronousTestCase):
    """`Report.state`, for people."""

    def test_one_process(self) -> None:
        """One that is not ready drains."""
        self.assertEqual(ONE.state, "ready")
        self.assertEqual(evolve(ONE, ready=False).state, "draining")

    def test_several(self) -> None:
        """Of several some may be missing while the others go on."""
        for names, state in (
            (("up", "down"), "workers missing"),
            (("silent", "up"), "workers missing"),
            (("starting", "starting"), "workers missing"),
            (("draining", "draining"), "draining"),
            (("draining", "up"), "draining"),
        ):
            report = evolve(ONE, ready=False, workers=states(*names))
            self.assertEqual(report.state, state, names)
