"""
The demo engine as a process of its own::

    python -m orion_twisted.demo.engine --port 7000 --database documents.sqlite

It prints one line when it listens, and ends with SIGTERM or SIGINT. Nothing imports this module.
"""

import sys
from typing import Any

import click
from twisted.internet import reactor as global_reactor
from twisted.internet.error import CannotListenError
from twisted.logger import (
    FilteringLogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    globalLogBeginner,
    textFileLogObserver,
)

from orion_twisted.demo.documents import EngineError
from orion_twisted.demo.service import engine_service

reactor: Any = global_reactor


@click.command()
@click.option("--port", default=7000, show_default=True, help="Where to listen; 0: a free port.")
@click.option("--interface", default="127.0.0.1", show_default=True, help="The address of it.")
@click.option("--database", default=":memory:", show_default=True, help="File of the documents.")
@click.option(
    "--empty", is_flag=True, help="Start an empty database without documents to look at."
)
@click.option("--fsync", is_flag=True, help="Have each edit survive a power failure, too.")
def main(port: int, interface: str, database: str, empty: bool, fsync: bool) -> None:
    """Keep reports, draw them and print them, for whoever speaks orion.v1 or orion.v2."""
    observer = textFileLogObserver(sys.stderr)
    predicate = LogLevelFilterPredicate(defaultLogLevel=LogLevel.warn)
    globalLogBeginner.beginLoggingTo(
        [FilteringLogObserver(observer, [predicate])], redirectStandardIO=False
    )
    service = engine_service(reactor, port, interface, database, not empty, fsync)
    try:
        service.startService()
    except (EngineError, CannotListenError) as error:
        raise click.ClickException(str(error)) from error
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    # Once it runs: whoever reads the line may send a signal, which has to end it in order.
    reactor.callWhenRunning(click.echo, f"engine listening on {interface}:{service.port}")
    reactor.run()


if __name__ == "__main__":
    main()
