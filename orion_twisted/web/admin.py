"""
What operators and their programs look at: health, metrics, and a page of both.

It has a listener of its own, plain, for a private network: nothing here asks who is asking.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from twisted.web.http import NOT_ALLOWED, NOT_FOUND, OK, SERVICE_UNAVAILABLE
from twisted.web.http import Request as HttpRequest
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from orion_twisted.core.counters import BY_REASON, COUNTERS
from orion_twisted.core.report import Report, SessionStatus, WorkerState, WorkerStatus

METRICS_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
TEXT = b"text/plain; charset=utf-8"
HTML = b"text/html; charset=utf-8"

REFRESH = 2
"""Seconds after which the page asks for itself again."""

HEADERS = (
    (b"Cache-Control", b"no-store"),
    (b"X-Content-Type-Options", b"nosniff"),
    (
        b"Content-Security-Policy",
        b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    ),
)

Counts = Iterable[tuple[str, str, int]]
"""`Counters`, or those of several processes: name, reason (empty for the sum) and number."""


class MetricsCollector(Collector):
    """The counters and the report, in Prometheus's words."""

    def __init__(self, counters: Counts, report: Callable[[], Report]) -> None:
        self._counters = counters
        self._report = report

    def collect(self) -> Iterator[Metric]:
        families = {
            name: CounterMetricFamily(
                f"orion_{name}", text, labels=["reason"] if name in BY_REASON else []
            )
            for name, text in COUNTERS.items()
        }
        for name, reason, count in self._counters:
            # Where reasons are counted their sum says nothing more: Prometheus adds them up.
            if bool(reason) == (name in BY_REASON):
                families[name].add_metric([reason] if reason else [], count)
        yield from families.values()
        report = self._report()
        yield _by_tenant("orion_open_browsers", "open WebSockets", report.browsers)
        yield _by_tenant("orion_open_links", "connections to backends", report.links)
        yield from _of_sessions(report.sessions)
        yield GaugeMetricFamily(
            "orion_pending_handshakes", "connections in their handshake", value=report.pending
        )
        yield GaugeMetricFamily(
            "orion_open_connections", "connections after it", value=report.connections
        )
        yield _of_workers(report.workers)
        yield GaugeMetricFamily("orion_uptime_seconds", "since the start", value=report.uptime)
        yield GaugeMetricFamily("orion_ready", "1 while browsers are welcome", value=report.ready)
        days = GaugeMetricFamily(
            "orion_certificate_days_left", "days until a certificate expires", labels=["file"]
        )
        bad = 0
        for certificate in report.certificates:
            if certificate.days_left is not None:
                days.add_metric([certificate.file], certificate.days_left)
            bad += certificate.problem is not None
        yield days
        yield GaugeMetricFamily(
            "orion_certificates_with_problems", "certificate files with a problem", value=bad
        )


def _by_tenant(name: str, text: str, counts: Mapping[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=["tenant"])
    for tenant, count in counts.items():
        family.add_metric([tenant], count)
    return family


def _of_sessions(sessions: Mapping[str, SessionStatus]) -> Iterator[Metric]:
    states = GaugeMetricFamily(
        "orion_open_sessions",
        "sessions, by whether they have their browser or wait for it",
        labels=["tenant", "state"],
    )
    for tenant, each in sessions.items():
        states.add_metric([tenant, "attached"], each.attached)
        states.add_metric([tenant, "waiting"], each.waiting)
    yield states
    yield _by_tenant(
        "orion_held_messages",
        "messages that sessions hold",
        {tenant: each.messages for tenant, each in sessions.items()},
    )
    yield _by_tenant(
        "orion_held_bytes",
        "bytes of those",
        {tenant: each.size for tenant, each in sessions.items()},
    )
    yield _by_tenant(
        "orion_dialled_in_backends",
        "backends that have dialled in",
        {tenant: each.backends for tenant, each in sessions.items() if each.backends is not None},
    )


def _of_workers(workers: Sequence[WorkerStatus]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "orion_workers", "worker processes, by what is known of them", labels=["state"]
    )
    states = [each.state for each in workers]
    for state in WorkerState if workers else ():
        family.add_metric([state], states.count(state))
    return family


class _Answer(Resource):
    """A page made anew for each request."""

    def __init__(self, content_type: bytes, make: Callable[[], tuple[int, bytes]]) -> None:
        super().__init__()
        self._content_type = content_type
        self._make = make

    def render(self, request: Request) -> bytes:
        if request.method in (b"GET", b"HEAD"):
            status, body = self._make()
            content_type = self._content_type
        else:
            status, body, content_type = NOT_ALLOWED, b"Method Not Allowed\n", TEXT
            request.setHeader(b"Allow", b"GET, HEAD")
        request.setResponseCode(status)
        request.setHeader(b"Content-Type", content_type)
        for name, value in HEADERS:
            request.setHeader(name, value)
        request.responseHeaders.removeHeader(b"server")
        return body


class AdminSite(Site):
    """
    A few pages, each at its one path.

    Args:
        pages: by path.
        reactor: for timers.
    """

    noisy = False
    displayTracebacks = False

    def __init__(self, pages: Mapping[bytes, Resource], reactor: Any) -> None:
        super().__init__(Resource(), reactor=reactor)
        self._pages = pages
        self._nothing = _Answer(TEXT, lambda: (NOT_FOUND, b"Not Found\n"))

    def getResourceFor(self, request: Request) -> Resource:
        return self._pages.get(request.path, self._nothing)

    def log(self, request: HttpRequest) -> None:
        """Write no access log: what a scraper asks for every few seconds is no event."""


def admin_site(counters: Counts, report: Callable[[], Report], reactor: Any) -> AdminSite:
    """
    Return the site: ``/healthz``, ``/readyz``, ``/metrics`` and, at ``/``, the page.

    Args:
        counters: what has been counted.
        report: says how the gateway stands.
        reactor: for timers.
    """
    registry = CollectorRegistry()
    registry.register(MetricsCollector(counters, report))

    def ready() -> tuple[int, bytes]:
        now = report()
        return OK if now.ready else SERVICE_UNAVAILABLE, f"{now.state}\n".encode()

    return AdminSite(
        {
            b"/": _Answer(HTML, lambda: (OK, dashboard(counters, report()))),
            b"/healthz": _Answer(TEXT, lambda: (OK, b"ok\n")),
            b"/readyz": _Answer(TEXT, ready),
            b"/metrics": _Answer(METRICS_TYPE, lambda: (OK, generate_latest(registry))),
        },
        reactor,
    )


def dashboard(counters: Counts, report: Report) -> bytes:
    """Return the page: what is open, what has been counted, and the certificates."""
    tenants = [
        (name, f"{count:,}", f"{report.links[name]:,}", "")
        for name, count in report.browsers.items()
    ]
    counted = [
        (reason or COUNTERS[name], f"{count:,}", "part" if reason else "")
        for name, reason, count in counters
        if count
    ]
    certificates = [
        (
            each.file,
            ", ".join(each.names),
            "" if each.days_left is None else f"{each.days_left:.0f}",
            each.problem or "",
            "bad" if each.problem else "",
        )
        for each in report.certificates
    ]
    state, kind = report.state, "ready" if report.ready else "draining"
    body = "".join(
        (
            f'<header><h1>orion-bridge</h1><strong class="{kind}">{state}</strong>'
            f"<span>{escape(report.version)}, up {_span(report.uptime)}</span></header>",
            _tiles(report),
            _workers(report.workers) if report.workers else "",
            _table("Tenants", ("tenant", "#browsers", "#links"), tenants),
            _sessions(report.sessions) if report.sessions else "",
            _table("Certificates", ("file", "names", "#days left", "problem"), certificates),
            _table("Since the start", ("what", "#count"), counted),
        )
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="refresh" content="{REFRESH}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>orion-bridge: {state}</title><style>{STYLE}</style></head>"
        f"<body><main>{body}</main></body></html>\n"
    ).encode()


def _sessions(sessions: Mapping[str, SessionStatus]) -> str:
    rows = [
        (
            tenant,
            f"{each.attached:,}",
            f"{each.waiting:,}",
            f"{each.messages:,}",
            f"{each.size:,}",
            "" if each.backends is None else f"{each.backends:,}",
            "",
        )
        for tenant, each in sessions.items()
    ]
    heads = ("tenant", "#attached", "#waiting", "#messages held", "#bytes", "#dialled in")
    return _table("Sessions", heads, rows)


def _workers(workers: Sequence[WorkerStatus]) -> str:
    rows = [
        (
            str(each.number),
            each.state,
            "" if each.pid is None else str(each.pid),
            _span(each.uptime),
            f"{each.browsers:,}",
            f"{each.connections:,}",
            f"{each.lost:,}",
            "" if each.state is WorkerState.UP else "part",
        )
        for each in workers
    ]
    heads = ("worker", "state", "#process", "#up", "#browsers", "#connections", "#lost before")
    return _table("Workers", heads, rows)


def _tiles(report: Report) -> str:
    tiles = (
        ("browsers", sum(report.browsers.values())),
        ("links", sum(report.links.values())),
        ("connections", report.connections),
        ("in their handshake", report.pending),
    )
    cells = "".join(f"<div><b>{count:,}</b>{name}</div>" for name, count in tiles)
    return f'<section class="tiles">{cells}</section>'


def _table(title: str, heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Return a table; a head with ``#`` is one of numbers, and a row's last part is its class."""
    if not rows:
        return f"<h2>{title}</h2><p>none</p>"
    kinds = [' class="number"' if each.startswith("#") else "" for each in heads]
    head = "".join(
        f'<th scope="col"{kind}>{each.removeprefix("#")}</th>'
        for each, kind in zip(heads, kinds, strict=True)
    )
    lines = []
    for *cells, kind in rows:
        line = "".join(
            f"<td{number}>{escape(cell)}</td>" for cell, number in zip(cells, kinds, strict=True)
        )
        lines.append(f'<tr class="{kind}">{line}</tr>' if kind else f"<tr>{line}</tr>")
    return (
        f"<h2>{title}</h2><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table>"
    )


def _span(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return (f"{days} d " if days else "") + f"{hours:02}:{minutes:02}:{seconds:02}"


STYLE = """
:root{color-scheme:light dark;--ground:#fff;--ink:#1d2530;--quiet:#5a6675;--line:#dde2e8;
--tile:#f4f6f8;--good:#137a3e;--warn:#9a4a00;--bad:#b3261e}
@media (prefers-color-scheme:dark){:root{--ground:#14181d;--ink:#e4e8ec;--quiet:#9aa6b3;
--line:#2d353e;--tile:#1d232a;--good:#5ccb8b;--warn:#f0a35e;--bad:#ff8a80}}
*{box-sizing:border-box}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:56rem;margin:0 auto;padding:2rem 1rem 3rem}
header{display:flex;gap:.5rem 1rem;align-items:baseline;flex-wrap:wrap}
h1{margin:0;font-size:1.5rem;font-weight:600}
header span,p,th,.tiles div{color:var(--quiet)}
.ready{color:var(--good)}.draining{color:var(--warn)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:1rem;
margin-top:1.5rem}
.tiles div{background:var(--tile);border-radius:.5rem;padding:.8rem 1rem}
.tiles b{display:block;color:var(--ink);font-size:1.6rem;line-height:1.3;font-weight:600;
font-variant-numeric:tabular-nums}
h2{margin:2rem 0 .4rem;font-size:1.05rem;font-weight:600}p{margin:0}
table{width:100%;border-collapse:collapse}
th,td{padding:.35rem 1rem .35rem 0;border-bottom:1px solid var(--line);text-align:left;
vertical-align:top;overflow-wrap:anywhere}
th{font-weight:400;font-size:.9rem}
th:last-child,td:last-child{padding-right:0}
.number{width:7rem;text-align:right;font-variant-numeric:tabular-nums;overflow-wrap:normal}
.part td{color:var(--quiet)}.part td:first-child{padding-left:1.5rem}
.bad td:last-child{color:var(--bad)}
"""
