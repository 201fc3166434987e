"""
TLS for many names behind one port.

A handshake finds its certificates by a look-up of the name that the client asked for, and never
costs a disk access. A context is built once for each set of certificates, when it is first asked
for; a reload swaps the whole table, keeps the contexts of what has not changed, and leaves open
connections as they are.

A ticket is good for the name that it was made for, and for the client certificates that were
asked for then; under any other name the client goes through a full handshake.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime

from attrs import Factory, define, field, frozen
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from orion_twisted.core.hostnames import NameTable, normalise
from orion_twisted.net.certchecks import CertificateFile, choose_all
from orion_twisted.net.certfiles import BadCertificateFile
from orion_twisted.net.clientca import ClientAuthority
from orion_twisted.net.libssl import bind_sessions
from orion_twisted.net.tlsarrival import UNRECOGNIZED_NAME, ServerConnection
from orion_twisted.net.tlspolicy import ALPN, CIPHERS, asks_for, said_by, server_context

__all__ = [
    "ALPN",
    "CIPHERS",
    "CertificateTable",
    "Prepared",
    "Scope",
    "scope_of",
    "server_context",
]


@frozen
class Scope:
    """
    What a handshake is made for.

    Attributes:
        name: the name that the client asked for, in its one spelling; None if it asked for none,
            or for what is no host name.
        client_ca: the authority whose certificate the client has to show, or None.
    """

    name: str | None
    client_ca: ClientAuthority | None


@define(eq=False)
class _Entry:
    """Certificates that answer a name side by side, and their contexts."""

    certificates: tuple[CertificateFile, ...]
    contexts: dict[ClientAuthority | None, SSL.Context] = Factory(dict)

    def context(self, authority: ClientAuthority | None) -> SSL.Context:
        """Return the context for clients of an authority."""
        context = self.contexts.get(authority)
        if context is None:
            context = self.contexts[authority] = server_context(self.certificates, authority)
        return context

    def forget_others(self, authorities: Iterable[ClientAuthority]) -> None:
        """Drop the contexts for clients of authorities that are no longer asked for."""
        kept = {None, *authorities}
        self.contexts = {each: self.contexts[each] for each in self.contexts if each in kept}


@frozen
class Prepared:
    """Certificates that can be put into service at once."""

    certificates: tuple[CertificateFile, ...]
    bad: tuple[BadCertificateFile, ...]
    entries: Mapping[tuple[CertificateFile, ...], _Entry] = field(repr=False)
    names: NameTable[_Entry] = field(repr=False)


@implementer(IOpenSSLServerConnectionCreator)
class CertificateTable:
    """
    The certificates in service.

    Args:
        certificates: those that may be served.
        fallback: a name whose certificates answer clients that ask for an unknown name or for
            none; without it such handshakes end with the alert ``unrecognized_name``.
        now: aware; where several certificates have the same name, it decides which are valid.
        strict_sni: unknown names, and none, are refused in spite of the fallback.
        client_ca: whose certificates clients have to show, by patterns of host names.
        bad: the files that cannot be used, for those who ask.

    Attributes:
        fallback: as given last.

    Raises:
        LookupError: there is no certificate for ``fallback``.
    """

    _log = Logger()

    def __init__(
        self,
        certificates: Iterable[CertificateFile],
        fallback: str | None,
        now: datetime,
        *,
        strict_sni: bool = False,
        client_ca: Mapping[str, ClientAuthority] | None = None,
        bad: Iterable[BadCertificateFile] = (),
    ) -> None:
        # Every connection begins with the entrance's context, which has no certificate. Tickets
        # are made and opened with its keys.
        self._entrance = server_context()
        self._in_service = Prepared((), (), {}, NameTable({}))
        self._in_service = self.prepare(certificates, now, bad=bad)
        self.configure(fallback, strict_sni=strict_sni, client_ca=client_ca)

    def configure(
        self,
        fallback: str | None,
        *,
        strict_sni: bool = False,
        client_ca: Mapping[str, ClientAuthority] | None = None,
    ) -> None:
        """
        Change the settings; the arguments are those of the table.

        Raises:
            LookupError: there is no certificate for the fallback; nothing has been changed.
        """
        entry = _look_up(fallback, self._in_service)
        self.fallback, self._strict_sni, self._fallback_entry = fallback, strict_sni, entry
        client_ca = client_ca or {}
        self._authorities = NameTable(client_ca)
        for each in self._in_service.entries.values():
            each.forget_others(client_ca.values())

    def prepare(
        self,
        certificates: Iterable[CertificateFile],
        now: datetime,
        *,
        gone: Iterable[CertificateFile] = (),
        bad: Iterable[BadCertificateFile] = (),
    ) -> Prepared:
        """
        Get other certificates ready for `install`; this may be done in a thread.

        Args:
            certificates, now, bad: as for the table.
            gone: certificates that answer a name only where no other does.
        """
        certificates, gone = tuple(certificates), tuple(gone)
        sets = _sets_by_pattern(certificates, gone, now)
        before = self._in_service.entries
        entries = {each: before.get(each) or _Entry(each) for each in sets.values()}
        names = NameTable({pattern: entries[each] for pattern, each in sets.items()})
        return Prepared((*certificates, *gone), tuple(bad), entries, names)

    def install(self, prepared: Prepared) -> None:
        """
        Put certificates into service; handshakes that have begun are not disturbed.

        Raises:
            LookupError: there is none for the fallback; nothing has been changed.
        """
        self._fallback_entry = _look_up(self.fallback, prepared)
        self._in_service = prepared

    @property
    def certificates(self) -> tuple[CertificateFile, ...]:
        """What is in service, also of files that have gone."""
        return self._in_service.certificates

    @property
    def bad(self) -> tuple[BadCertificateFile, ...]:
        """The files that cannot be used as they are; there may be an old certificate for them."""
        return self._in_service.bad

    def context_for(self, name: str) -> SSL.Context:
        """
        Return the context that answers a name in any spelling; empty for no name.

        For a name that nobody answers it is one without a certificate.
        """
        entry = self._answering(name)
        return self._entrance if entry is None else entry.context(self._authorities.lookup(name))

    def serverConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """Return a connection that has no certificate yet."""
        return ServerConnection(self._entrance, self._arrived)

    def may_carry(self, connection: SSL.Connection | None, host: str) -> bool:
        """
        Say whether requests for a host may come over a connection whose handshake is done.

        They may not if the host asks for client certificates, and the handshake was made for a
        name that asks for none, or for another tenant's: the answer to such a request is 421.

        Args:
            connection: what the TLS transport's ``getHandle()`` returns; None for plain TCP.
            host: from the request, in any spelling, without a port.
        """
        wanted = self._authorities.lookup(host)
        scope = scope_of(connection)
        return wanted is None or (scope is not None and scope.client_ca == wanted)

    def _answering(self, name: str) -> _Entry | None:
        entry = self._in_service.names.lookup(name)
        return self._fallback_entry if entry is None and not self._strict_sni else entry

    def _arrived(self, connection: ServerConnection, asked_for: bytes) -> None:
        """Give a connection its context, as soon as the name is known that its client wants."""
        name = normalise(asked_for.decode("ascii", "replace"))
        entry = self._answering(name or "")
        if entry is None:
            connection.refuse(UNRECOGNIZED_NAME)
            return
        authority = self._authorities.lookup(name or "")
        try:
            context = entry.context(authority)
        except SSL.Error as error:
            # What was read by `certfolder` never gets here: it was tried out there.
            files = ", ".join(str(each.source) for each in entry.certificates)
            self._log.error("cannot serve {files}: {reason}", files=files, reason=said_by(error))
            connection.refuse(UNRECOGNIZED_NAME)
            return
        trust = () if authority is None else (authority.tenant, authority.digest)
        bind_sessions(context, name or "", *trust)
        connection.set_context(context)
        connection.set_verify(asks_for(authority))
        connection.set_app_data(Scope(name, authority))


def scope_of(connection: SSL.Connection | None) -> Scope | None:
    """Return what a connection's handshake is made for; None before its first message."""
    scope = None if connection is None else connection.get_app_data()
    return scope if isinstance(scope, Scope) else None


def _look_up(fallback: str | None, prepared: Prepared) -> _Entry | None:
    if fallback is None:
        return None
    entry = prepared.names.lookup(fallback)
    if entry is None:
        raise LookupError(fallback)
    return entry


def _sets_by_pattern(
    certificates: Iterable[CertificateFile], gone: Iterable[CertificateFile], now: datetime
) -> dict[str, tuple[CertificateFile, ...]]:
    """Return for each pattern the certificates that answer it side by side."""
    present, past = _by_pattern(certificates), _by_pattern(gone)
    sets = {}
    for pattern in {**past, **present}:
        wider = f"*.{pattern.partition('.')[2]}"
        found = [*present.get(pattern, ()), *present.get(wider, ())]
        found = found or [*past.get(pattern, ()), *past.get(wider, ())]
        sets[pattern] = choose_all(found, pattern, now)
    return sets


def _by_pattern(certificates: Iterable[CertificateFile]) -> dict[str, list[CertificateFile]]:
    found: defaultdict[str, list[CertificateFile]] = defaultdict(list)
    for each in certificates:
        for pattern in each.names:
            found[pattern].append(each)
    return dict(found)
