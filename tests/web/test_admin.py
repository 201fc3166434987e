"""The pages for operators: health, metrics in Prometheus's words, and a page to look at."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

from attrs import evolve
from prometheus_client.parser import text_string_to_metric_families
from twisted.internet.defer import succeed
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.counters import BY_REASON, COUNTERS, Counters
from orion_twisted.core.report import (
    CertificateStatus,
    Report,
    SessionStatus,
    WorkerState,
    WorkerStatus,
)
from orion_twisted.core.settings import Settings
from orion_twisted.service.gateway import Gateway
from orion_twisted.web.admin import REFRESH, admin_site, dashboard
from tests.service.test_gateway import SHOP, Node, Port
from tests.transports import Pipe
from tests.web.door import Answer

REPORT = Report(
    version="1.2.3",
    ready=True,
    browsers={"shop": 3, "other": 0},
    links={"shop": 4, "other": 0},
    sessions={
        "shop": SessionStatus(attached=3, waiting=1250, messages=17, size=65536, backends=None),
        "other": SessionStatus(attached=0, waiting=0, messages=0, size=0, backends=2),
    },
    pending=2,
    connections=5,
    uptime=93784.0,
    certificates=(
        CertificateStatus("shop.pem", ("shop.example", "*.shop.example"), 61.25, None),
        CertificateStatus("old.pem", (), None, "its key belongs to another certificate"),
    ),
)

WORKERS = (
    WorkerStatus(1, 4711, WorkerState.UP, 3, 1200, 93784.0, 0),
    WorkerStatus(2, None, WorkerState.DOWN, 0, 0, 0.0, 7),
    WorkerStatus(3, 4713, WorkerState.UP, 0, 0, 5.0, 1),
)

SAMPLES = dict[tuple[str, tuple[tuple[str, str], ...]], float]


class AdminTestCase(SynchronousTestCase):
    """The site on connections in memory."""

    def setUp(self) -> None:
        self.clock: Any = MemoryReactorClock()
        self.counters = Counters()
        self.report = REPORT
        self.site = admin_site(self.counters, lambda: self.report, self.clock)

    def ask(self, path: str, method: str = "GET", body: str = "") -> Answer:
        wire = Pipe(self.clock)
        wire.connect(self.site.buildProtocol(wire.getPeer()))
        lines = [f"{method} {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", "", body]
        wire.hears("\r\n".join(lines).encode())
        self.clock.advance(0)
        wire.turn()
        return Answer(wire.taken, to_head=method == "HEAD")

    def samples(self) -> SAMPLES:
        text = self.ask("/metrics").body.decode()
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }


class HealthTests(AdminTestCase):
    """For whoever decides whether to send browsers here, or to start the process again."""

    def test_alive(self) -> None:
        """/healthz is 200 for as long as anything answers, also while the gateway drains."""
        for ready in (True, False):
            self.report = evolve(REPORT, ready=ready)
            answer = self.ask("/healthz")
            self.assertEqual((answer.code, answer.body), (b"200", b"ok\n"))

    def test_ready(self) -> None:
        """/readyz is 200 while browsers are welcome, and 503 once the gateway drains."""
        self.assertEqual(self.ask("/readyz").code, b"200")
        self.report = evolve(REPORT, ready=False)
        answer = self.ask("/readyz")
        self.assertEqual((answer.code, answer.body), (b"503", b"draining\n"))

    def test_workers_missing(self) -> None:
        """With several processes /readyz says whether it is for want of one of them."""
        self.report = evolve(REPORT, ready=False, workers=WORKERS)
        answer = self.ask("/readyz")
        self.assertEqual((answer.code, answer.body), (b"503", b"workers missing\n"))

    def test_until_the_drain_ends(self) -> None:
        """Who watches a gateway drain can ask until the last browser is gone."""
        node = Node()
        port: Any = Port()
        admin: Any = Port()
        gateway = Gateway(
            Settings(tenants=(SHOP,)),
            [lambda factory: succeed(port)],
            {"shop": []},
            node.clock,
            admin=lambda: succeed(admin),
        )
        gateway.privilegedStartService()
        gateway.startService()
        self.assertEqual((gateway.port, gateway.report().ready), (8889, True))
        gate = gateway._build_gate()
        wire = Pipe(node.clock)
        wire.connect(gate)
        stopped = gateway.stopService()
        self.assertEqual((port.stopped, admin.stopped), (1, 0))
        self.assertFalse(gateway.report().ready)
        port.gone.callback(None)
        wire.turn()
        self.assertEqual(admin.stopped, 1)
        self.assertNoResult(stopped)
        admin.gone.callback(None)
        self.successResultOf(stopped)


class MetricsTests(AdminTestCase):
    """/metrics, read by Prometheus's own parser."""

    def test_every_counter(self) -> None:
        """Every counter is there from the start, with what it counts, and the right type."""
        text = self.ask("/metrics").body.decode()
        families = {each.name: each for each in text_string_to_metric_families(text)}
        for name, line in COUNTERS.items():
            with self.subTest(name):
                family = families[f"orion_{name}"]
                self.assertEqual((family.type, family.documentation), ("counter", line))
        samples = self.samples()
        for name in COUNTERS.keys() - BY_REASON:
            self.assertEqual(samples[f"orion_{name}_total", ()], 0)

    def test_which_have_reasons(self) -> None:
        """A counter has a reason always or never, so that sums over it never count twice."""
        for name in sorted(BY_REASON):
            self.assertNotIn((f"orion_{name}_total", ()), self.samples())
            self.counters.add(name, 2, reason="one")
            self.counters.add(name, 3, reason="other")
        samples = self.samples()
        for name in sorted(BY_REASON):
            found = {labels: value for (each, labels), value in samples.items() if name in each}
            found = {labels: value for labels, value in found.items() if value in (2, 3, 5)}
            self.assertEqual(found, {(("reason", "one"),): 2, (("reason", "other"),): 3})

    def test_counts(self) -> None:
        """What is counted is what is told."""
        self.counters.add("connections", 7)
        self.assertEqual(self.samples()["orion_connections_total", ()], 7)

    def test_gauges(self) -> None:
        """What is open now, how long it has been up, and what the certificates are like."""
        samples = self.samples()
        for name, labels, value in (
            ("orion_open_browsers", (("tenant", "shop"),), 3),
            ("orion_open_browsers", (("tenant", "other"),), 0),
            ("orion_open_links", (("tenant", "shop"),), 4),
            ("orion_open_links", (("tenant", "other"),), 0),
            ("orion_open_sessions", (("state", "attached"), ("tenant", "shop")), 3),
            ("orion_open_sessions", (("state", "waiting"), ("tenant", "shop")), 1250),
            ("orion_open_sessions", (("state", "waiting"), ("tenant", "other")), 0),
            ("orion_held_messages", (("tenant", "shop"),), 17),
            ("orion_held_bytes", (("tenant", "shop"),), 65536),
            ("orion_held_bytes", (("tenant", "other"),), 0),
            ("orion_dialled_in_backends", (("tenant", "other"),), 2),
            ("orion_pending_handshakes", (), 2),
            ("orion_open_connections", (), 5),
            ("orion_uptime_seconds", (), 93784),
            ("orion_ready", (), 1),
            ("orion_certificate_days_left", (("file", "shop.pem"),), 61.25),
            ("orion_certificates_with_problems", (), 1),
        ):
            with self.subTest(name, labels=labels):
                self.assertEqual(samples[name, labels], value)
        self.assertNotIn(("orion_certificate_days_left", (("file", "old.pem"),)), samples)
        self.assertNotIn(("orion_dialled_in_backends", (("tenant", "shop"),)), samples)

    def test_no_sessions(self) -> None:
        """A tenant in another mode has no sessions, and none are told of."""
        self.report = evolve(REPORT, sessions={})
        names = {name for name, _ in self.samples()}
        for name in ("open_sessions", "held_messages", "held_bytes", "dialled_in_backends"):
            self.assertNotIn(f"orion_{name}", names)
        self.assertIn("orion_open_links", names)

    def test_workers(self) -> None:
        """Worker processes are counted by state, those of no worker as 0; one process has none."""
        names = {name for name, _ in self.samples()}
        self.assertNotIn("orion_workers", names)
        self.report = evolve(REPORT, workers=WORKERS)
        samples = self.samples()
        self.assertEqual(
            {
                each.value: samples["orion_workers", (("state", each.value),)]
                for each in WorkerState
            },
            {"up": 2, "down": 1, "starting": 0, "silent": 0, "draining": 0},
        )

    def test_names_are_told_once(self) -> None:
        """No name stands for two things: Prometheus would refuse them all."""
        text = self.ask("/metrics").body.decode()
        names = [family.name for family in text_string_to_metric_families(text)]
        self.assertEqual(len(names), len(set(names)))

    def test_odd_names(self) -> None:
        """A name with quotes, a backslash or a line's end breaks no line."""
        odd = 'a"b\\c\nd<e>'
        self.report = evolve(REPORT, browsers={odd: 4}, links={odd: 5})
        samples = self.samples()
        for name, value in (("browsers", 4), ("links", 5)):
            self.assertEqual(samples[f"orion_open_{name}", (("tenant", odd),)], value)

    def test_its_type(self) -> None:
        """It says which of Prometheus's formats it is."""
        self.assertEqual(
            self.ask("/metrics")[b"content-type"], b"text/plain; version=0.0.4; charset=utf-8"
        )


class Reader(HTMLParser):
    """Reads a page, and checks that every element that begins has an end, in order."""

    NO_END = frozenset({"meta"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.attributes: dict[str, str | None] = {}
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        self.attributes.update(attrs)
        if tag not in self.NO_END:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += f"{data}|"


class PageTests(AdminTestCase):
    """The page."""

    def read(self, report: Report = REPORT) -> Reader:
        reader = Reader()
        reader.feed(dashboard(self.counters, report).decode())
        reader.close()
        self.assertEqual(reader.open, [])
        return reader

    def test_what_it_shows(self) -> None:
        """Tenants, their sessions, certificates with their problems, and what has happened, each
        in a table."""
        self.counters.add("connections", 1234567)
        self.counters.add("refused", 2, reason="token_replayed")
        text = self.read().text
        for part in (
            "|ready|1.2.3, up 1 d 02:03:04|",
            "|browsers|4|links|",
            "|tenant|browsers|links|shop|3|4|other|0|0|",
            "|attached|waiting|messages held|bytes|dialled in|shop|3|1,250|17|65,536|",
            "|other|0|0|0|0|2|",
            "|shop.pem|shop.example, *.shop.example|61|",
            "|its key belongs to another certificate|",
            "|connections accepted by a listener|1,234,567|",
            "|requests and connections refused, by reason|2|token_replayed|2|",
        ):
            self.assertIn(part, text)
        self.assertNotIn("received", text)  # of which there was nothing

    def test_workers(self) -> None:
        """Of several processes each has a line; of one there is no table."""
        self.assertNotIn("Workers", self.read().text)
        text = self.read(evolve(REPORT, ready=False, workers=WORKERS)).text
        for part in (
            "|workers missing|1.2.3,",
            "|worker|state|process|up|browsers|connections|lost before|",
            "|1|up|4711|1 d 02:03:04|3|1,200|0|",
            "|2|down|00:00:00|0|0|7|",
        ):
            self.assertIn(part, text)

    def test_nothing_yet(self) -> None:
        """A gateway without TLS that has just started has a page as well."""
        nothing = evolve(REPORT, ready=False, browsers={}, links={}, sessions={}, certificates=())
        text = self.read(nothing).text
        self.assertEqual((text.count("|none|"), text.count("Sessions")), (3, 0))
        self.assertIn("|draining|", text)

    def test_odd_names(self) -> None:
        """What others have named is shown as it is, and is never part of the page."""
        odd = "<script>alert('&quot;\"')</script>"
        reader = self.read(
            evolve(
                REPORT,
                version=odd,
                browsers={odd: 1},
                links={odd: 1},
                sessions={odd: SessionStatus(1, 0, 0, 0, None)},
                certificates=(CertificateStatus(odd, (odd,), 1.0, odd),),
            )
        )
        self.assertNotIn("script", reader.seen)
        self.assertEqual(reader.text.count(odd), 6)

    def test_how_it_is_answered(self) -> None:
        """It may load nothing, be shown in no frame, be kept by nobody, and renews itself."""
        answer = self.ask("/")
        self.assertEqual(answer.code, b"200")
        self.assertIn(b"default-src 'none'", answer[b"content-security-policy"])
        self.assertIn(b"frame-ancestors 'none'", answer[b"content-security-policy"])
        self.assertEqual(answer[b"cache-control"], b"no-store")
        self.assertEqual(answer[b"content-type"], b"text/html; charset=utf-8")
        self.assertIn(f'http-equiv="refresh" content="{REFRESH}"', answer.body.decode())


class RequestTests(AdminTestCase):
    """What else may be asked."""

    def test_no_version_is_told(self) -> None:
        """No answer names the server."""
        for path in ("/", "/healthz", "/readyz", "/metrics", "/nothing"):
            for method in ("GET", "HEAD", "POST"):
                self.assertNotIn(b"server", self.ask(path, method))

    def test_unknown_paths(self) -> None:
        """Any other path is 404, in words that are always the same."""
        for path in ("/nothing", "/healthz/", "/metrics/x", "//", "/%2e", "/index.html"):
            with self.subTest(path):
                answer = self.ask(path)
                self.assertEqual((answer.code, answer.body), (b"404", b"Not Found\n"))

    def test_a_query(self) -> None:
        """A query changes nothing."""
        self.assertEqual(self.ask("/healthz?x=1").code, b"200")

    def test_other_methods(self) -> None:
        """Whatever would change something is 405."""
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "BREW"):
            with self.subTest(method):
                answer = self.ask("/metrics", method, "x")
                self.assertEqual((answer.code, answer[b"allow"]), (b"405", b"GET, HEAD"))

    def test_head(self) -> None:
        """HEAD is GET without the page."""
        answer = self.ask("/healthz", "HEAD")
        self.assertEqual((answer.code, answer[b"content-length"]), (b"200", b"3"))
        self.assertEqual(answer.rest, b"")

    def test_nothing_is_logged(self) -> None:
        """A scraper that asks every few seconds fills no log."""
        self.site.doStart()
        self.addCleanup(self.site.doStop)
        with capturedLogs() as logs:
            for path in ("/", "/metrics", "/nothing"):
                self.ask(path)
        self.assertEqual(logs, [])
