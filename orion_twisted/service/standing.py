"""How parts of the gateway stand, in the words of a report (`orion_twisted.core.report`)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from orion_twisted.core.report import CertificateStatus, SessionStatus
from orion_twisted.net.certchecks import problem_of
from orion_twisted.net.certfiles import file_name
from orion_twisted.net.tls import CertificateTable
from orion_twisted.service.sessions import Sessions


def session_status(sessions: Sessions) -> SessionStatus:
    """Return how the sessions of a tenant stand."""
    backends = sessions.backends
    return SessionStatus(
        attached=len(sessions) - sessions.waiting,
        waiting=sessions.waiting,
        messages=sessions.budget.messages,
        size=sessions.budget.bytes,
        backends=backends.links if sessions.around.tenant.dials_in else None,
    )


def certificate_statuses(table: CertificateTable) -> Iterator[CertificateStatus]:
    """Yield how each certificate in service stands, and each file that cannot be."""
    now = datetime.now(UTC)
    for each in table.certificates:
        left = (each.not_after - now).total_seconds() / 86400
        yield CertificateStatus(file_name(each.source), each.names, left, problem_of(each, now))
    for bad in table.bad:
        yield CertificateStatus(file_name(bad.source), (), None, bad.problem)
