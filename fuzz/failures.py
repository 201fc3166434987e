"""What a bug does where a framework calls us: it is logged, and the connection goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from zope.interface import provider


@contextmanager
def none_logged() -> Iterator[None]:
    """
    Look at the log while something is done.

    Raises:
        AssertionError: it has told of a bug.
    """
    told: list[LogEvent] = []

    @provider(ILogObserver)
    def observer(event: LogEvent) -> None:
        if event.get("log_level") is LogLevel.critical:
            told.append(event)

    globalLogPublisher.addObserver(observer)
    try:
        yield
    finally:
        globalLogPublisher.removeObserver(observer)
    for event in told:
        failure = event.get("log_failure")
        text = failure.getTraceback() if isinstance(failure, Failure) else ""
        raise AssertionError(f"in the log: {formatEvent(event)}\n{text}")
