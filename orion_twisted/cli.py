"""The console script `orion-bridge`: try it, check settings, make and show certificates."""

from __future__ import annotations

import os
import platform
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from twisted.internet.defer import Deferred

from orion_twisted import __version__
from orion_twisted.client.doctor import Finding, Patient, Verdict, examine
from orion_twisted.client.target import parse_url, read_authorities
from orion_twisted.core.config import advice, describe
from orion_twisted.core.problems import ConfigError, Problem
from orion_twisted.core.units import parse_duration
from orion_twisted.net.certfiles import read_folder, show_table
from orion_twisted.net.devca import DevCertificatesError, make_dev_certificates, trust_help
from orion_twisted.service.performance import steps
from orion_twisted.service.startup import prepare, read_settings
from orion_twisted.web.token_keys import load_keys, signing_key
from orion_twisted.web.tokens import mint

LIBRARIES = (
    "twisted",
    "autobahn",
    "pyopenssl",
    "cryptography",
    "service-identity",
    "h11",
    "pyjwt",
)
"""Whose versions `orion-bridge version` names."""

TOKEN_VARIABLE = "ORION_TOKEN"
"""Of the environment: where a token may be that is for no file."""

MARKS = {Verdict.GOOD: ("✓", "green"), Verdict.NOTE: ("!", "yellow"), Verdict.BAD: ("✗", "red")}
PLAIN_MARKS = {Verdict.GOOD: "ok", Verdict.NOTE: "!", Verdict.BAD: "NO"}
"""Where the terminal's encoding has no ticks."""

INSECURE = (
    "INSECURE: whoever answers is believed, and shown the token. Never use this to decide "
    "whether a gateway can be trusted."
)
"""Said loudly."""

FEW_DAYS = 21
"""Days left from which on a certificate is shown in yellow."""

MOST_PORT = 65535
PORT = click.IntRange(0, MOST_PORT)
"""The type of a flag for a port; 0 is a free one."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """
    Put a TCP application into a web page: a WebSocket gateway with TLS for many names.

    The gateway itself runs under twistd:

    \b
      twistd -n orion-bridge --config orion-bridge.toml
      twistd -n orion-bridge --help

    To see it at work, with an embedded application: orion-bridge demo
    """


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
def check(file: Path) -> None:
    """
    Check a settings file, and what it needs on this machine.

    Prints every mistake at once, each with the path of its setting, and exits with 1. Without a
    mistake it prints what the settings come to. Nothing is started.
    """
    from twisted.internet import reactor

    try:
        settings = read_settings(file, {})
        prepare(settings, reactor)
    except ConfigError as error:
        _fail(error)
    for line in describe(settings):
        click.echo(line)
    for line in advice(settings):
        click.secho(line, fg="yellow")
    click.secho(f"{file} is good.", fg="green")


def _fail(error: ConfigError) -> None:
    for problem in error.problems:
        click.secho(str(problem), fg="red", err=True)
    count = len(error.problems)
    click.echo(f"{count} mistake{'s' if count > 1 else ''}.", err=True)
    raise SystemExit(1)


@main.group()
def certs() -> None:
    """Make certificates for development, and look at those in service."""


FOLDER = click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=Path("certs"),
    show_default=True,
    help="Folder of certificates.",
)


@certs.command("dev")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@FOLDER
@click.option("--renew", is_flag=True, help="Make them anew even if the old ones are still good.")
def certs_dev(names: tuple[str, ...], folder: Path, renew: bool) -> None:
    """
    Make certificates for NAMEs, signed by a certificate authority for development.

    A NAME is a host name such as localhost or shop1.localhost, or a wildcard such as
    '*.shop1.localhost'. The authority is made once and kept in the folder. Its key, and theirs,
    can be read by their owner alone; keep the folder out of version control.
    """
    try:
        result = make_dev_certificates(folder, names, datetime.now(UTC), renew=renew)
    except (DevCertificatesError, OSError) as error:
        raise click.ClickException(str(error)) from None
    for path in result.made:
        click.secho(f"made    {path}", fg="green")
    for path in result.kept:
        click.echo(f"kept    {path} (still good; --renew makes it anew)")
    click.echo()
    click.echo(trust_help(result.ca_file))


@certs.command("show")
@FOLDER
@click.option("--fallback", help="Name whose certificate answers unknown names.")
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="Take the folder and the fallback from this settings file.",
)
def certs_show(folder: Path, fallback: str | None, config: Path | None) -> None:
    """
    List the files of the folder: their names, the days left, which one is the fallback.

    Exits with 1 if any of them cannot be used.
    """
    if config is not None:
        try:
            settings = read_settings(config, {})
        except ConfigError as error:
            _fail(error)
        folder, fallback = Path(settings.certificates), settings.fallback
    now = datetime.now(UTC)
    try:
        good, bad = read_folder(folder, now)
    except OSError as error:
        problem = Problem("certificates", f"cannot read the folder {folder}: {error.strerror}")
        _fail(ConfigError([problem]))
    rows = show_table(good, bad, fallback, now)
    if not rows:
        click.echo(f"No certificates in {folder}. orion-bridge certs dev localhost makes one.")
        return
    table = Table("file", "names", "key", "days left", "remarks")
    for row in rows:
        days = "" if row.days_left is None else str(row.days_left)
        style = None
        if row.problem is not None:
            style = "red"
        elif row.days_left is not None and row.days_left < FEW_DAYS:
            style = "yellow"
        remarks = [*row.marks, *([row.problem] if row.problem else [])]
        table.add_row(
            row.file, "\n".join(row.names), row.key_type, days, "; ".join(remarks), style=style
        )
    Console(soft_wrap=False).print(table)
    if bad:
        raise SystemExit(1)


@main.command()
@click.argument("tenant")
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    default=Path("orion-bridge.toml"),
    show_default=True,
    help="Settings file.",
)
@click.option("--key", type=click.Path(path_type=Path), help="Private key, if it is not a secret.")
@click.option("--kid", help="Id of the key, where there are several.")
@click.option("--life", default="60 s", show_default=True, help="How long the token is good.")
@click.option("--subject", help="Whom the token is for, as logs call it.")
@click.option("--parent-origin", help="The page that embeds: one of the tenant's embed_in.")
@click.option("--reusable", is_flag=True, help="Good for any number of connections in its life.")
def token(
    tenant: str,
    config: Path,
    key: Path | None,
    kid: str | None,
    life: str,
    subject: str | None,
    parent_origin: str | None,
    reusable: bool,
) -> None:
    """
    Mint a token that lets a browser of TENANT in, for trying.

    The token alone is printed on standard output. In a page it goes into the subprotocols:
    new WebSocket(url, ["orion.v1", "orion.bearer." + token]).
    """
    try:
        settings = read_settings(config, {})
    except ConfigError as error:
        _fail(error)
    found = next((each for each in settings.tenants if each.name == tenant), None)
    if found is None:
        names = ", ".join(each.name for each in settings.tenants)
        raise click.ClickException(f"{config} has no tenant {tenant}; it has {names}")
    if found.token is None:
        raise click.ClickException(f"tenant {tenant} has no token settings: add token = {{...}}")
    try:
        keys = load_keys(found.token.key_file, found.token.algorithms)
        click.echo(
            mint(
                tenant,
                found.token,
                signing_key(keys, key, kid),
                time.time(),
                parse_duration(life),
                parent_origin=parent_origin,
                subject=subject,
                single_use=not reusable,
            )
        )
    except ValueError as error:
        raise click.ClickException(str(error)) from None


@main.command()
@click.argument("url")
@click.option(
    "--ca",
    type=click.Path(path_type=Path),
    help="Trust the authorities in this PEM file, and no others.",
)
@click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    help=f"Show the token in this file; without it, the one in ${TOKEN_VARIABLE}.",
)
@click.option("--origin", help="Say that the page came from here, as https://shop1.example.")
@click.option("--insecure", is_flag=True, help="Go on where the certificate cannot be trusted.")
def doctor(
    url: str, ca: Path | None, token_file: Path | None, origin: str | None, insecure: bool
) -> None:
    """
    Try the gateway at URL from here, step by step, as a browser would.

    URL is the WebSocket's, as wss://shop1.example/ws. Each step says what was found, and what to
    do if it is not well: the name, TCP, TLS and its certificates, HTTP, the upgrade, the
    subprotocol, hello and welcome in orion.v2, the time of a round trip, the close. Nothing is
    changed; a backend sees a client come and go. The exit status is 1 if a step fails.

    \b
      orion-bridge doctor wss://localhost:8889/ws --ca demo-data/certs/ca.pem
      ORION_TOKEN=$(orion-bridge token shop1) orion-bridge doctor wss://shop1.example/ws
    """
    from twisted.internet.task import react

    try:
        token = token_file.read_text().strip() if token_file else os.environ.get(TOKEN_VARIABLE)
        patient = Patient(
            parse_url(url),
            None if ca is None else read_authorities(ca),
            token=token or None,
            origin=origin,
            is_insecure=insecure,
        )
    except OSError as error:
        raise click.ClickException(f"cannot read {token_file}: {error.strerror}") from None
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    if insecure:
        click.secho(INSECURE, fg="red", bold=True, err=True)

    async def run(reactor: object) -> None:
        if not await examine(patient, _show_finding, reactor):
            raise SystemExit(1)

    react(lambda reactor: Deferred.fromCoroutine(run(reactor)))


def _show_finding(finding: Finding) -> None:
    mark, color = MARKS[finding.verdict]
    try:
        mark.encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        mark = PLAIN_MARKS[finding.verdict]
    click.secho(f"{mark:2} {finding.step:11} {finding.text}", fg=color)
    if finding.advice:
        click.echo(f"{'':14} {finding.advice}")


@main.command()
@click.option("--port", type=PORT, default=8889, show_default=True, help="Port of https and wss.")
@click.option("--shop-port", type=PORT, help="Port of the shop; if none is given, PORT + 2.")
@click.option(
    "--engine-port", type=PORT, default=0, help="Port of the engine; if none is given, a free one."
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=Path("demo-data"),
    show_default=True,
    help="Where certificates and documents are kept.",
)
@click.option("--check", "is_check", is_flag=True, help="Run a scripted conversation, and exit.")
@click.option(
    "--only",
    type=click.Choice(["engine", "gateway", "shop"]),
    help="Run this part alone, to end and start parts one by one.",
)
@click.option(
    "--shop-host",
    default="shop.localhost",
    show_default=True,
    help="With --only shop: its name. The gateway lets no other one embed the editor.",
)
def demo(
    port: int,
    shop_port: int | None,
    engine_port: int,
    folder: Path,
    is_check: bool,
    only: str | None,
    shop_host: str,
) -> None:
    """
    Show the gateway at work: a shop that embeds a Web Editor, and a report engine.

    Makes certificates for localhost, starts a small Orion engine on TCP, the gateway in front of
    it, and a shop under an origin of its own whose product page has the Web Editor in it; prints
    the addresses to open. With --check a client edits a document through the gateway instead; each
    step is printed, and the exit status says whether all went well.

    With --only each part is a process of its own, given the same folder and ports as the others:

    \b
      orion-bridge demo --engine-port 7000 --only engine
      orion-bridge demo --engine-port 7000 --only gateway
      orion-bridge demo --only shop
    """
    from twisted.internet.error import CannotListenError

    from orion_twisted.demo.documents import EngineError
    from orion_twisted.demo.run import Plan, run_check, run_demo, run_part

    if is_check:
        raise SystemExit(run_check())
    if shop_port is None:
        shop_port = port + 2 if 0 < port < MOST_PORT - 1 else 0
    if only not in (None, "shop") and engine_port == 0:
        raise click.UsageError(f"--only {only} needs --engine-port")
    plan = Plan(folder, port, engine_port, shop_port, shop_host)
    try:
        run_demo(plan) if only is None else run_part(only, plan)
    except (ConfigError, CannotListenError) as error:
        advice = "Is another demo running? --port, --shop-port and --engine-port name other ports."
        raise click.ClickException(f"{error}\n{advice}") from None
    except EngineError as error:
        advice = "--folder names another folder for documents and certificates."
        raise click.ClickException(f"{error}\n{advice}") from None
    except OSError as error:
        raise click.ClickException(f"{folder}: {error}") from None


@main.command("version")
def show_version() -> None:
    """Print the version, those of the libraries that it stands on, and which parts carry messages.

    The last lines are the steps of performance = "full" on this machine. One that cannot be had
    says why; the part of Twisted or Autobahn below it is used instead.
    """
    click.echo(f"orion-twisted {__version__}")
    click.echo(f"python {platform.python_version()}")
    for name in LIBRARIES:
        try:
            click.echo(f"{name} {version(name)}")
        except PackageNotFoundError:
            click.echo(f"{name} is missing")
    for step in steps("full"):
        click.echo(f"data path: {step}")


if __name__ == "__main__":
    main()
