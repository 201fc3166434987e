"""Tickets: clients come back quickly, under the name that they came under before."""

from __future__ import annotations

import ssl
from pathlib import Path
from unittest.mock import patch

from OpenSSL import SSL

from orion_twisted.net import libssl
from orion_twisted.net.certfiles import read_folder
from orion_twisted.net.clientca import ClientAuthority
from orion_twisted.net.tls import CertificateTable, scope_of
from tests.certificates import CertificateFolderTestCase, authority, issue
from tests.net.handshakes import (
    TLS12,
    TLS13,
    PlainClient,
    Refused,
    Server,
    client_context,
    plain_context,
    pump,
    visit,
)

VERSIONS = (TLS12, TLS13)


class TicketTestCase(CertificateFolderTestCase):
    """Two names with a certificate each, and two that share one."""

    def setUp(self) -> None:
        super().setUp()
        self.root = authority()
        for names in (["a.example"], ["b.example"], ["c.example", "d.example", "*.c.example"]):
            self.put(f"{names[0]}.pem", issue(names, self.root).pem)
        self.served = CertificateTable(self.read(), "a.example", self.now)

    def read(self) -> tuple:
        good, bad = read_folder(self.folder, self.now)
        self.assertEqual(bad, ())
        return good

    def is_resumed(
        self, first: str | None, second: str | None, context: SSL.Context, **options: object
    ) -> bool:
        """Visit one name, come back under another with the ticket, and check who answers."""
        session = visit(self.served, first, context=context).leave()
        again = visit(self.served, second, context=context, session=session, **options)
        scope = scope_of(again.server.connection)
        self.assertEqual(scope.name, second)
        return again.is_resumed


class NameTests(TicketTestCase):
    """A ticket is good for the name that it was made for."""

    def test_same_name(self) -> None:
        """Who comes back under the same name, in any spelling, is spared the full handshake."""
        for version in VERSIONS:
            context = client_context(version=version)
            for name in ("a.example", "d.example", "x.c.example"):
                self.assertTrue(self.is_resumed(name, name, context))
            self.assertTrue(self.is_resumed("unknown.example", "unknown.example", context))
            self.assertTrue(self.is_resumed(None, None, context))

    def test_spelling(self) -> None:
        """Upper case is no other name."""
        for version in VERSIONS:
            context = client_context(version=version)
            session = visit(self.served, "a.example", context=context).leave()
            again = visit(self.served, "A.Example", context=context, session=session)
            self.assertTrue(again.is_resumed)

    def test_other_name(self) -> None:
        """Under any other name there is a full handshake, even if they share a certificate."""
        for version in VERSIONS:
            context = client_context(version=version)
            for first, second in (
                ("a.example", "b.example"),
                ("c.example", "d.example"),
                ("x.c.example", "y.c.example"),
                ("a.example", "unknown.example"),
                ("unknown.example", "a.example"),
                ("a.example", None),
                (None, "a.example"),
            ):
                with self.subTest(version=version, first=first, second=second):
                    self.assertFalse(self.is_resumed(first, second, context))

    def test_certificate_after_another_name(self) -> None:
        """The full handshake is a good one: the other name's own certificate is sent."""
        for version in VERSIONS:
            context = client_context(version=version)
            session = visit(self.served, "a.example", context=context).leave()
            again = visit(self.served, "b.example", context=context, session=session)
            self.assertEqual(again.leaf.subject.rfc4514_string(), "CN=b.example")
            third = visit(self.served, "b.example", context=context, session=again.leave())
            self.assertTrue(third.is_resumed)

    def test_another_implementation(self) -> None:
        """It is the same for Python's own `ssl`, whose OpenSSL is another one."""
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = plain_context(version, [self.root])
            first = PlainClient(self.served, context, "c.example")
            session = first.tls.session
            self.assertIsNotNone(session)
            self.assertTrue(session.has_ticket)
            for name, expected in (("c.example", True), ("d.example", False)):
                again = PlainClient(self.served, context, name, session)
                self.assertEqual(again.read, b"hello")
                self.assertEqual(again.tls.session_reused, expected)

    def test_table_of_another_process(self) -> None:
        """A ticket that was made elsewhere is worth nothing, and does no harm."""
        other = CertificateTable(self.read(), "a.example", self.now)
        for version in VERSIONS:
            context = client_context(version=version)
            session = visit(other, "a.example", context=context).leave()
            again = visit(self.served, "a.example", context=context, session=session)
            self.assertFalse(again.is_resumed)

    def test_without_tickets(self) -> None:
        """For a client of TLS 1.2 without tickets nothing is kept in memory."""
        context = client_context(version=TLS12)
        context.set_options(SSL.OP_NO_TICKET)
        self.assertFalse(self.is_resumed("a.example", "a.example", context))

    def test_out_of_reach(self) -> None:
        """Where OpenSSL is out of reach, a ticket is bound to the certificates at least."""
        with patch.object(libssl, "_lib", return_value=None):
            for each in (libssl.groups_can_be_set, libssl._has):
                each.cache_clear()
                self.addCleanup(each.cache_clear)
            self.served = CertificateTable(self.read(), "a.example", self.now)
            for version in VERSIONS:
                context = client_context(version=version)
                self.assertTrue(self.is_resumed("a.example", "a.example", context))
                self.assertFalse(self.is_resumed("a.example", "b.example", context))


class ReloadTests(TicketTestCase):
    """Tickets when certificates change."""

    def reload(self) -> None:
        self.served.install(self.served.prepare(self.read(), self.now))

    def test_renewed(self) -> None:
        """A renewal does not send everybody through a full handshake."""
        for version in VERSIONS:
            context = client_context(version=version)
            session = visit(self.served, "a.example", context=context).leave()
            self.put("a.example.pem", issue(["a.example"], self.root).pem)
            before = self.served.context_for("a.example")
            self.reload()
            self.assertIsNot(self.served.context_for("a.example"), before)
            again = visit(self.served, "a.example", context=context, session=session)
            self.assertTrue(again.is_resumed)

    def test_unchanged(self) -> None:
        """What has not changed keeps its context; open connections live on with the old one."""
        open_one = visit(self.served, "a.example")
        kept = self.served.context_for("b.example")
        self.put("a.example.pem", issue(["a.example"], self.root).pem)
        self.reload()
        self.assertIs(self.served.context_for("b.example"), kept)
        self.assertIsNot(
            self.served.context_for("a.example"), open_one.server.connection.get_context()
        )
        open_one.client.send(b"still here")
        open_one.pump()
        self.assertEqual(open_one.server.heard, b"still here")

    def test_in_the_middle(self) -> None:
        """A handshake that has begun when the table is swapped goes on."""
        client = SSL.Connection(client_context(version=TLS12), None)
        client.set_connect_state()
        client.set_tlsext_host_name(b"a.example")
        server = Server(self.served)
        with self.assertRaises(SSL.WantReadError):
            client.do_handshake()
        client.bio_write(server.exchange(client.bio_read(2**16)))
        Path(self.folder, "a.example.pem").unlink()
        self.served.configure(None)
        self.reload()
        self.assertEqual(pump(client, server), b"hello")
        with self.assertRaises(Refused):
            visit(self.served, "a.example")


class ClientCertificateTests(TicketTestCase):
    """Tickets of clients that have shown a certificate."""

    def setUp(self) -> None:
        super().setUp()
        self.ca = authority("Clients")
        self.somebody = issue(["somebody"], self.ca, for_servers=False)
        self.configure(d="bank", x="vault")

    def configure(self, ca: object = None, **tenants: str) -> None:
        certificate = (ca or self.ca).certificate
        names = {"d": "d.example", "x": "x.c.example", "c": "c.example"}
        self.served.configure(
            "a.example",
            client_ca={
                names[key]: ClientAuthority(tenant, (certificate,))
                for key, tenant in tenants.items()
            },
        )

    def test_same_name(self) -> None:
        """Who has shown a certificate comes back without showing it, and is still known by it."""
        for version in VERSIONS:
            context = client_context(version=version, certificate=self.somebody)
            session = visit(self.served, "d.example", context=context).leave()
            again = visit(self.served, "d.example", context=context, session=session)
            self.assertTrue(again.is_resumed)
            shown = again.server.connection.get_peer_certificate(as_cryptography=True)
            self.assertEqual(shown, self.somebody.certificate)

    def test_ticket_of_an_open_name(self) -> None:
        """A ticket from a name that asks for nothing opens no name that asks for a certificate."""
        for version in VERSIONS:
            context = client_context(version=version)
            for name in ("c.example", "a.example", "unknown.example", None):
                session = visit(self.served, name, context=context).leave()
                with self.assertRaises(Refused):
                    visit(self.served, "d.example", context=context, session=session)

    def test_ticket_of_another_tenant(self) -> None:
        """Not even if both tenants trust the same authority."""
        for version in VERSIONS:
            context = client_context(version=version, certificate=self.somebody)
            self.assertFalse(self.is_resumed("d.example", "x.c.example", context))
            self.assertFalse(self.is_resumed("d.example", "c.example", context))

    def test_asked_since(self) -> None:
        """A ticket from before a name asked for certificates is worth nothing to it."""
        for version in VERSIONS:
            self.configure(d="bank")
            context = client_context(version=version)
            session = visit(self.served, "c.example", context=context).leave()
            self.configure(d="bank", c="bank")
            with self.assertRaises(Refused):
                visit(self.served, "c.example", context=context, session=session)

    def test_authority_replaced(self) -> None:
        """A ticket from under the old authority is worth nothing under the new one."""
        for version in VERSIONS:
            self.configure(d="bank")
            context = client_context(version=version, certificate=self.somebody)
            session = visit(self.served, "d.example", context=context).leave()
            self.configure(authority("New clients"), d="bank")
            with self.assertRaises(Refused):
                visit(self.served, "d.example", context=context, session=session)


class LifeTests(TicketTestCase):
    """How long a ticket lasts."""

    def test_hint(self) -> None:
        """A client is told two hours."""
        client = PlainClient(
            self.served, plain_context(ssl.TLSVersion.TLSv1_3, [self.root]), "a.example"
        )
        self.assertEqual(client.tls.session.ticket_lifetime_hint, 7200)
