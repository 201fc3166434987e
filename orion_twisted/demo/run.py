"""
The demo: certificates, the engine, the gateway in front of it, and a shop that embeds the editor.

It stands above the rooms: like a user's own settings file would, it only says what to start. All
parts run in one process, or, with `run_part`, each in its own, so that one can be ended and
started again while the others go on.
"""

from __future__ import annotations

import fcntl
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import click
from attrs import evolve, frozen
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
from orion_twisted.core.settings import TokenSettings
from orion_twisted.demo.conversation import run_conversation
from orion_twisted.demo.service import EngineService, engine_service
from orion_twisted.demo.shop import ShopService, Stand, origin_of
from orion_twisted.net.devca import make_dev_certificates, trust_help
from orion_twisted.service.gateway import Gateway
from orion_twisted.service.startup import prepare
from orion_twisted.web.token_keys import load_keys, signing_key
from orion_twisted.web.tokens import mint

CONSOLE = Path(__file__).parent / "console"
"""The folder of the console page."""
EDITOR = Path(__file__).parent / "pages"
"""The folder of the Web Editor, where its build has put it."""

EDITOR_HOST = "editor.localhost"
SHOP_HOST = "shop.localhost"
TENANT = "editor"
"""What the gateway calls the shop."""
LOOPBACK = "127.0.0.1"

PARTS = ("engine", "gateway", "shop")
DRAIN = "2 s"
"""How long Ctrl-C waits for browsers: those who come back find the next demo."""
DEVELOPER_LIFE = 12 * 3600
"""Seconds that the printed address of the editor alone is good for."""

NOT_BUILT = (
    "The Web Editor is not built, so there is only the engine's console. In a checkout "
    "`make pages` builds it, a wheel has it."
)


@frozen
class Plan:
    """
    Where everything is.

    Attributes:
        folder: of certificates, of the key of tokens, and of documents.
        port: the gateway's; 0 takes a free one, also for the others.
        engine_port: the engine's.
        shop_port: the shop's.
        shop_host: the shop's name. Under another one the page is a stranger's: the gateway lets
            `SHOP_HOST` alone embed the editor.
    """

    folder: Path
    port: int
    engine_port: int
    shop_port: int
    shop_host: str = SHOP_HOST

    @property
    def editor_origin(self) -> str:
        return origin_of(EDITOR_HOST, self.port)

    @property
    def shop_origin(self) -> str:
        """Of the one shop that may embed the editor."""
        return origin_of(SHOP_HOST, self.shop_port)


@frozen
class Material:
    """What the parts share on disk."""

    ca_file: Path
    certificates: Path
    key_file: Path
    documents: Path


def _begin_logging(level: LogLevel) -> None:
    observer = textFileLogObserver(sys.stderr)
    predicate = LogLevelFilterPredicate(defaultLogLevel=level)
    globalLogBeginner.beginLoggingTo(
        [FilteringLogObserver(observer, [predicate])], redirectStandardIO=False
    )


def make_material(plan: Plan) -> Material:
    """
    Make sure that certificates and the key of tokens are there.

    Parts that begin at the same moment in the same folder wait for each other here.
    """
    plan.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    certificates = plan.folder / "certs"
    key_file = plan.folder / "editor-token.key"
    with (plan.folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        names = ["localhost", EDITOR_HOST, plan.shop_host]
        made = make_dev_certificates(certificates, names, datetime.now(UTC))
        if not key_file.exists():
            key_file.touch(mode=0o600)
            key_file.write_text(token_urlsafe(48))
    return Material(made.ca_file, certificates, key_file, plan.folder / "documents.sqlite")


def is_built() -> bool:
    """Say whether the Web Editor's pages are there."""
    return (EDITOR / "index.html").is_file()


def _tenants(plan: Plan, material: Material) -> dict[str, Mapping[str, Any]]:
    backend = {"backend": [f"tcp:{LOOPBACK}:{plan.engine_port}"], "framing": "int32"}
    return {
        "console": {**backend, "hosts": ["*"], "mode": "relay", "site": str(CONSOLE)},
        TENANT: {
            **backend,
            **({"site": str(EDITOR)} if is_built() else {}),
            "hosts": [EDITOR_HOST],
            "mode": "session",
            "dialect": "orion.v2",
            "embed_in": [plan.shop_origin],
            "token": {
                "key_file": str(material.key_file),
                "algorithms": ["HS256"],
                "most_life": f"{DEVELOPER_LIFE} s",
            },
        },
    }


def start_engine(reactor: Any, plan: Plan, material: Material) -> EngineService:
    """Start the engine; it listens when this returns, and is stopped with the reactor."""
    engine = engine_service(
        reactor, port=plan.engine_port, interface=LOOPBACK, database=str(material.documents)
    )
    engine.startService()
    reactor.addSystemEventTrigger("before", "shutdown", engine.stopService)
    return engine


def start_gateway(reactor: Any, plan: Plan, material: Material) -> Gateway:
    """Start the gateway; it listens when this returns, and is stopped with the reactor."""
    gateway = prepare(
        load_settings(
            {
                "listen": [f"tls:{plan.port}:interface={LOOPBACK}"],
                "certificates": str(material.certificates),
                "fallback": "localhost",
                "limits": {"drain": DRAIN},
                "tenant": _tenants(plan, material),
            }
        ),
        reactor,
    )
    gateway.privilegedStartService()
    gateway.startService()
    reactor.addSystemEventTrigger("before", "shutdown", gateway.stopService)
    return gateway


def start_shop(reactor: Any, plan: Plan, material: Material) -> ShopService:
    """Start the shop; it listens when this returns, and is stopped with the reactor."""
    stand = Stand(
        host=plan.shop_host,
        port=plan.shop_port,
        interface=LOOPBACK,
        certificate=material.certificates / f"{plan.shop_host}.pem",
        tenant=TENANT,
        key_file=material.key_file,
    )
    shop = ShopService(reactor, stand)
    shop.startService()
    shop.shop.editor_origin = plan.editor_origin
    reactor.addSystemEventTrigger("before", "shutdown", shop.stopService)
    return shop


def developers_address(plan: Plan, material: Material) -> str:
    """
    Return an address of the editor without a shop around it, for `DEVELOPER_LIFE` seconds.

    The token stands behind ``#``: browsers send that to no server, and pages may read it.
    """
    settings = TokenSettings(key_file=str(material.key_file), most_life=DEVELOPER_LIFE)
    key = signing_key(load_keys(material.key_file, settings.algorithms), None, None)
    token = mint(
        TENANT,
        settings,
        key,
        time.time(),
        DEVELOPER_LIFE,
        subject="developer",
        single_use=False,
    )
    return f"{plan.editor_origin}/#token={token}"


def _start(reactor: Any, plan: Plan) -> tuple[Plan, Material]:
    """Start all parts; return where they are, and what they share."""
    material = make_material(plan)
    plan = evolve(plan, engine_port=start_engine(reactor, plan, material).port)
    shop = start_shop(reactor, plan, material)
    plan = evolve(plan, shop_port=shop.port)
    plan = evolve(plan, port=start_gateway(reactor, plan, material).port)
    shop.shop.editor_origin = plan.editor_origin
    return plan, material


def run_demo(plan: Plan) -> None:
    """Run all parts until interrupted."""
    from twisted.internet import reactor

    _begin_logging(LogLevel.info)
    plan, material = _start(reactor, plan)
    click.echo(trust_help(material.ca_file))
    click.echo()
    if is_built():
        _show(plan.shop_origin, "a shop with the Web Editor in its page")
        _show(developers_address(plan, material), "the editor alone, for 12 hours")
    else:
        click.secho(NOT_BUILT, fg="yellow")
    _show(f"https://localhost:{plan.port}/", "the engine's console")
    click.echo(f"  The engine listens on {LOOPBACK}:{plan.engine_port}; end with Ctrl-C.")
    click.echo()
    reactor.run()


def _show(address: str, what: str) -> None:
    click.echo(f"  {what}")
    click.secho(f"    {address}", fg="green", bold=True)


def run_part(part: str, plan: Plan) -> None:
    """Run one of `PARTS` until interrupted; it prints one line when it listens."""
    from twisted.internet import reactor

    _begin_logging(LogLevel.info)
    material = make_material(plan)
    match part:
        case "engine":
            where = f"tcp:{LOOPBACK}:{start_engine(reactor, plan, material).port}"
        case "gateway":
            if not is_built():
                click.secho(NOT_BUILT, fg="yellow", err=True)
            where = origin_of(EDITOR_HOST, start_gateway(reactor, plan, material).port)
        case _:
            where = start_shop(reactor, plan, material).shop.origin
    click.echo(f"{part} ready on {where}")
    sys.stdout.flush()
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
            plan, material = _start(reactor, Plan(folder, 0, 0, 0))
            url = f"wss://localhost:{plan.port}/ws"
            click.echo(f"editing a document through {url}")
            is_good = yield deferToThread(run_conversation, url, str(material.ca_file), step)
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
