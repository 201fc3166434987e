"""What may change under a running gateway: certificates on their own, and all files on SIGHUP."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attrs import frozen
from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from orion_twisted.core.counters import Counters
from orion_twisted.core.secrets import Secrets, read_secrets
from orion_twisted.core.settings import TokenSettings
from orion_twisted.net.certwatch import CertificateWatcher
from orion_twisted.service.dial_in import DialIns
from orion_twisted.service.signals import OnSignal
from orion_twisted.web.token_keys import TokenKeys, load_keys
from orion_twisted.web.tokens import TokenCheck

MAX_SECRETS_FILE = 64 * 1024
"""Bytes of a file with the secrets of backends."""


@frozen
class TokenFiles:
    """Where the keys of one tenant's tokens come from, and where they go."""

    tenant: str
    settings: TokenSettings
    check: TokenCheck


@frozen
class DialInFiles:
    """Where the secrets of one tenant's backends come from, and where they go."""

    tenant: str
    path: Path
    door: DialIns


def load_secrets(path: Path) -> Secrets:
    """
    Read the secrets of a file.

    Raises:
        ValueError: what is wrong with it.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MAX_SECRETS_FILE + 1)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    if len(text) > MAX_SECRETS_FILE:
        raise ValueError(f"{path} is larger than {MAX_SECRETS_FILE} bytes")
    try:
        return read_secrets(text.decode("utf-8-sig"))  # with the mark that Windows's editors put
    except UnicodeDecodeError:
        raise ValueError(f"{path} is no UTF-8") from None
    except ValueError as error:
        raise ValueError(f"{path} {error}") from None


class Reload(Service):
    """
    Watch the certificates, and read all files again on SIGHUP.

    What cannot be read leaves in service what was there, is logged and counted.

    Args:
        watcher: of the certificates; None where no listener speaks TLS.
        tokens: the keys that SIGHUP reads again.
        counters: what to add to.
        reactor: for its threads.
        dial_ins: the secrets that SIGHUP reads again.
    """

    _log = Logger()
    name = "reload"

    def __init__(
        self,
        watcher: CertificateWatcher | None,
        tokens: Sequence[TokenFiles],
        counters: Counters,
        reactor: Any,
        dial_ins: Sequence[DialInFiles] = (),
    ) -> None:
        self._dial_ins = dial_ins
        self._watcher = watcher
        self._tokens = tokens
        self._counters = counters
        self._reactor = reactor
        self._hangup = OnSignal(signal.SIGHUP, self.reload, reactor)

    def startService(self) -> None:
        super().startService()
        if self._watcher is not None:
            self._watcher.start()
        self._hangup.start()

    def stopService(self) -> Deferred[None]:
        """
        Watch no more.

        Returns:
            A Deferred that fires when no file is being read any more.
        """
        super().stopService()
        self._hangup.stop()
        return succeed(None) if self._watcher is None else self._watcher.stop()

    def reload(self) -> Deferred[None]:
        """
        Read all files again.

        Returns:
            A Deferred that fires when what has changed is in service; it never fails.
        """
        self._log.info("reading certificates, token keys and secrets again")
        work: list[Deferred[Any]] = [self._reload_keys(each) for each in self._tokens]
        work += [self._reload_secrets(each) for each in self._dial_ins]
        if self._watcher is not None:
            work.append(self._watcher.reload())
        return DeferredList(work).addCallback(lambda _: None)

    def _reload_secrets(self, files: DialInFiles) -> Deferred[None]:
        def loaded(secrets: Secrets) -> None:
            name = files.tenant.lower()
            if files.door.secrets.get(name) != secrets:
                files.door.secrets[name] = secrets
                self._log.info("new secrets for the backends of {tenant}", tenant=files.tenant)

        def failed(failure: Failure) -> None:
            self._stay("secrets for the backends", files.tenant, failure)

        pool = self._reactor.getThreadPool()
        reading = deferToThreadPool(self._reactor, pool, load_secrets, files.path)
        return reading.addCallbacks(loaded, failed)

    def _stay(self, what: str, tenant: str, failure: Failure) -> None:
        self._counters.add("token_keys_bad")
        self._log.error(
            "the {what} of {tenant} stay as they were: {problem}",
            what=what,
            tenant=tenant,
            problem=failure.getErrorMessage(),
        )

    def _reload_keys(self, files: TokenFiles) -> Deferred[None]:
        def loaded(keys: TokenKeys) -> None:
            if files.check.keys != keys:
                files.check.keys = keys
                self._log.info("new token keys for {tenant}", tenant=files.tenant)

        def failed(failure: Failure) -> None:
            self._stay("token keys", files.tenant, failure)

        reading = deferToThreadPool(
            self._reactor,
            self._reactor.getThreadPool(),
            load_keys,
            files.settings.key_file,
            files.settings.algorithms,
        )
        return reading.addCallbacks(loaded, failed)
