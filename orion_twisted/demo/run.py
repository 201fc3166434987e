"""
The demo as one process: certificates, the engine, and the gateway in front of it.

It stands above the rooms: like a user's own settings file would, it only says what to start.
"""

from __future__ import annotations

import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from twisted.internet.defer import inlineCallbacks
from twisted.internet.threads import deferToThread
from twisted.logger import (
    FilteringLogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    globalLogBeginner,
    textFileLogObserver,
)

from orion_twisted.core.config import load_settings
from orion_twisted.demo.conversation import run_conversation
from orion_twisted.demo.service import EngineService, engine_service
from orion_twisted.net.devca import make_dev_certificates, trust_help
from orion_twisted.service.gateway import Gateway
from orion_twisted.service.startup import prepare

CONSOLE = Path(__file__).parent / "console"
"""The folder of the console page."""


def _begin_logging(level: LogLevel) -> None:
    observer = textFileLogObserver(sys.stderr)
    predicate = LogLevelFilterPredicate(defaultLogLevel=level)
    globalLogBeginner.beginLoggingTo(
        [FilteringLogObserver(observer, [predicate])], redirectStandardIO=False
    )


def _start(reactor: Any, port: int, folder: Path) -> tuple[EngineService, Gateway, Path]:
    """Start the engine and the gateway; return them, and the file of the authority."""
    folder.mkdir(parents=True, exist_ok=True)
    certificates = folder / "certs"
    made = make_dev_certificates(certificates, ["localhost"], datetime.now(UTC))
    engine = engine_service(reactor, database=str(folder / "documents.sqlite"))
    engine.startService()
    gateway = prepare(
        load_settings(
            {
                "listen": [f"tls:{port}:interface=127.0.0.1"],
                "certificates": str(certificates),
                "fallback": "localhost",
                "tenant": {
                    "demo": {
                        "hosts": ["*"],
                        "backend": [f"tcp:127.0.0.1:{engine.port}"],
                        "mode": "relay",
                        "framing": "int32",
                        "site": str(CONSOLE),
                    }
                },
            }
        ),
        reactor,
    )
    gateway.privilegedStartService()
    gateway.startService()
    reactor.addSystemEventTrigger("before", "shutdown", engine.stopService)
    reactor.addSystemEventTrigger("before", "shutdown", gateway.stopService)
    return engine, gateway, made.ca_file


def run_demo(port: int, folder: Path) -> None:
    """Run until interrupted."""
    from twisted.internet import reactor

    _begin_logging(LogLevel.info)
    engine, gateway, ca_file = _start(reactor, port, folder)
    click.echo(trust_help(ca_file))
    click.echo()
    click.secho(f"  https://localhost:{gateway.port}/", fg="green", bold=True)
    click.echo(f"  the engine listens on 127.0.0.1:{engine.port}; end with Ctrl-C")
    click.echo()
    reactor.run()


def run_check() -> int:
    """Run the scripted conversation against a gateway of its own; return the exit status."""
    from twisted.internet import reactor

    _begin_logging(LogLevel.warn)
    status = 1

    def step(name: str, is_good: bool, seconds: float) -> None:
        mark = click.style("ok  ", fg="green") if is_good else click.style("FAIL", fg="red")
        click.echo(f"{mark} {seconds * 1000:8.2f} ms  {name}")

    @inlineCallbacks
    def check(folder: Path) -> Any:
        nonlocal status
        try:
            _, gateway, ca_file = _start(reactor, 0, folder)
            url = f"wss://localhost:{gateway.port}/ws"
            click.echo(f"editing a document through {url}")
            is_good = yield deferToThread(run_conversation, url, str(ca_file), step)
            status = 0 if is_good else 1
        except Exception as error:
            click.secho(f"FAIL {error}", fg="red")
        finally:
            reactor.stop()

    with tempfile.TemporaryDirectory() as folder:
        reactor.callWhenRunning(check, Path(folder))
        reactor.run()
    click.echo("all steps went well" if status == 0 else "something went wrong")
    return status
