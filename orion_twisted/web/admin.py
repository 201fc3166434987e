"""
What operators and their programs look at: health, metrics, and a page of both.

It has a listener of its own, plain, for a private network: nothing here asks who is asking.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import Any

from attrs import frozen
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from orion_twisted.core.counters import COUNTERS, Counters

METRICS_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
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


@frozen
class CertificateStatus:
    """
    A certificate in service, or a file that cannot be.

    Attributes:
        file: its name.
        names: what it answers.
        days_left: until it expires; None for a file that cannot be used.
        problem: what is wrong with it, or None.
    """

    file: str
    names: tuple[str, ...]
    days_left: float | None
    problem: str | None


@frozen
class Report:
    """
    How the gateway stands at one moment.

    Attributes:
        version: the program's.
        ready: whether new browsers are welcome.
        browsers: open WebSockets, by tenant.
        pending: connections in their handshake.
        connections: all that are through it, pages included.
        uptime: seconds since the start.
        certificates: those in service, and files that cannot be.
    """

    version: str
    ready: bool
    browsers: dict[str, int]
    pending: int
    connections: int
    uptime: float
    certificates: tuple[CertificateStatus, ...]


class _Gathered(Collector):
    """The counters and the report, in Prometheus's words."""

    def __init__(self, counters: Counters, report: Callable[[], Report]) -> None:
        self._counters = counters
        self._report = report

    def collect(self) -> Iterator[Metric]:
        families: dict[str, CounterMetricFamily] = {}
        reasons: set[str] = {name for name, reason, _ in self._counters if reason}
        for name, text in COUNTERS.items():
            labels = ["reason"] if name in reasons else []
            families[name] = CounterMetricFamily(f"orion_{name}", text, labels=labels)
        for name, reason, count in self._counters:
            # Where reasons are counted their sum says nothing more: Prometheus adds them up.
            if bool(reason) == (name in reasons):
                families[name].add_metric([reason] if reason else [], count)
        yield from families.values()
        report = self._report()
        browsers = GaugeMetricFamily("orion_open_browsers", "open WebSockets", labels=["tenant"])
        for tenant, count in report.browsers.items():
            browsers.add_metric([tenant], count)
        yield browsers
        yield GaugeMetricFamily(
            "orion_pending_handshakes", "connections in their handshake", value=report.pending
        )
        yield GaugeMetricFamily(
            "orion_open_connections", "connections after it", value=report.connections
        )
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


class _Answer(Resource):
    """A page made anew for each request."""

    isLeaf = True

    def __init__(self, content_type: bytes, make: Callable[[], tuple[int, bytes]]) -> None:
        super().__init__()
        self._content_type = content_type
        self._make = make

    def render_GET(self, request: Request) -> bytes:
        status, body = self._make()
        request.setResponseCode(status)
        request.setHeader(b"Content-Type", self._content_type)
        for name, value in HEADERS:
            request.setHeader(name, value)
        request.responseHeaders.removeHeader(b"server")
        return body


def admin_site(counters: Counters, report: Callable[[], Report], reactor: Any) -> Site:
    """
    Return the site: ``/healthz``, ``/readyz``, ``/metrics`` and, at ``/``, the page.

    Args:
        counters: what is counted.
        report: asked at each request.
        reactor: for timers.
    """
    registry = CollectorRegistry()
    registry.register(_Gathered(counters, report))
    text = b"text/plain; charset=utf-8"

    def ready() -> tuple[int, bytes]:
        return (200, b"ready\n") if report().ready else (503, b"draining\n")

    root = Resource()
    root.putChild(b"healthz", _Answer(text, lambda: (200, b"ok\n")))
    root.putChild(b"readyz", _Answer(text, ready))
    root.putChild(b"metrics", _Answer(METRICS_TYPE, lambda: (200, generate_latest(registry))))
    page = _Answer(b"text/html; charset=utf-8", lambda: (200, dashboard(counters, report())))
    root.putChild(b"", page)
    site = Site(root, reactor=reactor)
    site.displayTracebacks = False
    site.noisy = False
    return site


def dashboard(counters: Counters, report: Report) -> bytes:
    """Return the page: what is open, what has been counted, and the certificates."""
    tenants = [(name, str(count)) for name, count in report.browsers.items()]
    counted = [
        (name.replace("_", " ") + (f", {reason}" if reason else ""), f"{count:,}")
        for name, reason, count in counters
        if count
    ]
    certificates = [
        (
            each.file,
            ", ".join(each.names),
            "" if each.days_left is None else f"{each.days_left:.0f}",
            each.problem or "",
        )
        for each in report.certificates
    ]
    state = "ready" if report.ready else "draining"
    body = "".join(
        (
            f"<header><h1>orion-bridge</h1><span class={state}>{state}</span>"
            f"<span>{escape(report.version)}, up {_span(report.uptime)}</span></header>",
            _tiles(report),
            _table("Browsers", ("tenant", "open"), tenants),
            _table("Certificates", ("file", "names", "days left", "problem"), certificates),
            _table("Since the start", ("what", "count"), counted),
        )
    )
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        f"<meta http-equiv=refresh content={REFRESH}>"
        "<meta name=viewport content='width=device-width,initial-scale=1'>"
        f"<title>orion-bridge: {state}</title><style>{STYLE}</style><main>{body}</main></html>"
    ).encode()


def _tiles(report: Report) -> str:
    tiles = (
        ("browsers", sum(report.browsers.values())),
        ("connections", report.connections),
        ("in handshake", report.pending),
    )
    cells = "".join(f"<div><b>{count:,}</b>{name}</div>" for name, count in tiles)
    return f"<section class=tiles>{cells}</section>"


def _table(title: str, heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    if not rows:
        return f"<h2>{title}</h2><p>none</p>"
    head = "".join(f"<th scope=col>{each}</th>" for each in heads)
    lines = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<h2>{title}</h2><table><tr>{head}</tr>{lines}</table>"


def _span(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return (f"{days} d " if days else "") + f"{hours:02}:{minutes:02}:{seconds:02}"


STYLE = """
:root{color-scheme:light dark;--line:#8884;--soft:#8882}
body{font:15px/1.5 system-ui,sans-serif;margin:0}
main{max-width:60rem;margin:2rem auto;padding:0 1rem}
header{display:flex;gap:1rem;align-items:baseline;flex-wrap:wrap}h1{margin:0;font-size:1.5rem}
h2{font-size:1rem;margin:2rem 0 .5rem}
.ready,.draining{padding:.1rem .6rem;border-radius:1rem;background:#16a34a;color:#fff}
.draining{background:#b45309}
.tiles{display:grid;grid-template-columns:repeat(3,1fr);gap:1rem;margin-top:1.5rem}
.tiles div{background:var(--soft);border-radius:.5rem;padding:.8rem 1rem}
.tiles b{display:block;font-size:1.6rem;font-variant-numeric:tabular-nums}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid var(--line)}
td:last-child{font-variant-numeric:tabular-nums}
"""
