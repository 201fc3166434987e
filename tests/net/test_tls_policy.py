"""What the server agrees to in a TLS handshake: a scan, as a scanner would make it, in memory."""

from __future__ import annotations

import ssl
from unittest.mock import patch

from cryptography import x509
from cryptography.x509.oid import ExtensionOID
from OpenSSL import SSL
from twisted.logger import LogEvent, globalLogPublisher

from orion_twisted.net import libssl
from orion_twisted.net.certchecks import Unusable
from orion_twisted.net.certfiles import read_folder
from orion_twisted.net.clientca import ClientAuthority, read_client_ca
from orion_twisted.net.tls import CertificateTable, Scope, scope_of
from orion_twisted.net.tlspolicy import ALPN, CIPHERS, TLS13_CIPHERS, refusal_of
from tests.certificates import A_DAY, CertificateFolderTestCase, Issued, authority, issue
from tests.net.handshakes import (
    TLS12,
    TLS13,
    PlainClient,
    Refused,
    Server,
    client_context,
    plain_context,
    visit,
)


class TableTestCase(CertificateFolderTestCase):
    """A table made of what the test has put into its folder."""

    def table(self, fallback: str | None = None, **options: object) -> CertificateTable:
        good, bad = read_folder(self.folder, self.now)
        self.assertEqual(bad, ())
        return CertificateTable(good, fallback, self.now, **options)

    def assert_refused(self, reason: str, *arguments: object, **options: object) -> None:
        with self.assertRaises(Refused) as caught:
            visit(*arguments, **options)
        self.assertIn(reason, str(caught.exception))


class ScanTests(TableTestCase):
    """Every version, suite and group that a client may offer by itself."""

    def setUp(self) -> None:
        super().setUp()
        for kind in ("ec", "rsa"):
            self.put(f"{kind}.pem", issue(["shop.example"], key=kind).pem)
        self.served = self.table()

    def is_accepted(self, **abilities: object) -> bool:
        try:
            visit(self.served, "shop.example", **abilities)
        except Refused:
            return False
        return True

    def test_versions(self) -> None:
        """TLS 1.2 and 1.3 are spoken, and nothing older, whatever the client makes of itself."""
        versions = {
            "1.0": SSL.TLS1_VERSION,
            "1.1": SSL.TLS1_1_VERSION,
            "1.2": TLS12,
            "1.3": TLS13,
        }
        accepted = [name for name, each in versions.items() if self.is_accepted(version=each)]
        self.assertEqual(accepted, ["1.2", "1.3"])
        self.assertEqual(visit(self.served, "shop.example").version, "TLSv1.3")

    def test_suites_of_tls12(self) -> None:
        """Of all suites that OpenSSL knows, those of the policy are accepted, and no others."""
        every = SSL.Connection(client_context(version=TLS12), None).get_cipher_list()
        offered = [name for name in every if not name.startswith("TLS_")]
        self.assertGreater(len(offered), 30)
        accepted = [name for name in offered if self.is_accepted(version=TLS12, ciphers=name)]
        self.assertCountEqual(accepted, CIPHERS.decode().split(":"))

    def test_suites_of_tls13(self) -> None:
        """The three suites that everybody has are accepted, those for small devices are not."""
        offered = [*TLS13_CIPHERS.decode().split(":"), "TLS_AES_128_CCM_SHA256"]
        accepted = [name for name in offered if self.is_accepted(version=TLS13, ciphers13=name)]
        self.assertEqual(accepted, offered[:3])

    def test_groups(self) -> None:
        """Keys are agreed on by X25519, P-256 and P-384, and by no other group."""
        offered = ["X25519", "P-256", "P-384", "P-521", "X448", "brainpoolP256r1"]
        for version, others in ((TLS12, []), (TLS13, ["ffdhe2048", "X25519MLKEM768"])):
            accepted = [
                name for name in offered + others if self.is_accepted(version=version, groups=name)
            ]
            self.assertEqual(accepted, ["X25519", "P-256", "P-384"])

    def test_second_choice_of_group(self) -> None:
        """A client that begins with a group we do not have is asked for another."""
        seen = visit(self.served, "shop.example", groups="P-521:P-384")
        self.assertEqual(seen.group, "secp384r1")

    def test_order_is_the_clients(self) -> None:
        """The client knows which suite is fast on it: its order decides."""
        suites = ["ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"]
        for order in (suites, suites[::-1]):
            seen = visit(self.served, "shop.example", version=TLS12, ciphers=":".join(order))
            self.assertEqual(seen.cipher, order[0])
        for first, second in (("P-384", "X25519"), ("X25519", "P-384")):
            seen = visit(self.served, "shop.example", groups=f"{first}:{second}")
            self.assertEqual(seen.group, {"P-384": "secp384r1", "X25519": "x25519"}[first])

    def test_alpn(self) -> None:
        """http/1.1 is chosen where it is offered; who offers only others is served without."""
        for name in ("shop.example", "other.example"):
            table = self.table("shop.example")
            self.assertEqual(visit(table, name, alpn=[b"h2", ALPN]).alpn, ALPN)
            self.assertEqual(visit(table, name, alpn=[b"h2"]).alpn, b"")
            self.assertEqual(visit(table, name).alpn, b"")

    def test_no_compression(self) -> None:
        """Nothing is compressed below HTTP, as what is secret would show in the lengths."""
        client = PlainClient(self.served, plain_context(), "shop.example")
        self.assertIsNone(client.tls.compression())

    def test_no_renegotiation(self) -> None:
        """A client of TLS 1.2 that begins a second handshake is refused; nothing goes on."""
        seen = visit(self.served, "shop.example", version=TLS12)
        self.assertTrue(seen.client.renegotiate())
        with self.assertRaises(Refused) as caught:
            seen.pump()
        self.assertIn("no renegotiation", str(caught.exception))
        self.assertEqual(seen.server.connection.total_renegotiations(), 0)

    def test_what_is_no_tls(self) -> None:
        """Plain HTTP, noise and ancient hellos end with an alert, or nothing, and are closed."""
        for noise in (
            b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n",
            b"\x00" * 100,
            b"\x16\x03\x01\x00\x04\x02\x00\x00\x00",  # a ServerHello
            bytes.fromhex("802e0100020015000000100100800300800700c0") + b"\x00" * 28,  # SSL 2
        ):
            with self.subTest(noise[:8]):
                server = Server(self.served)
                answer = server.exchange(noise)
                self.assertTrue(server.is_closed)
                self.assertIn(answer[:1], (b"", b"\x15"))
                self.assertLess(len(answer), 10)

    def test_in_small_pieces(self) -> None:
        """A hello that comes byte by byte is understood like any other."""
        client = SSL.Connection(client_context(), None)
        client.set_connect_state()
        client.set_tlsext_host_name(b"shop.example")
        with self.assertRaises(SSL.WantReadError):
            client.do_handshake()
        hello = client.bio_read(2**16)
        server = Server(self.served)
        for position in range(len(hello) - 1):
            self.assertEqual(server.exchange(hello[position : position + 1]), b"")
        self.assertEqual(server.exchange(hello[-1:])[:1], b"\x16")


class GroupsFallbackTests(TableTestCase):
    """Where OpenSSL cannot be reached below pyOpenSSL."""

    def setUp(self) -> None:
        super().setUp()
        self.put("shop.pem", issue(["shop.example"]).pem)
        self.events: list[LogEvent] = []
        globalLogPublisher.addObserver(self.events.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)
        for each in (libssl.groups_can_be_set, libssl._has):
            each.cache_clear()
            self.addCleanup(each.cache_clear)

    def warnings(self) -> list[str]:
        return [event["missing"] for event in self.events if "missing" in event]

    def test_within_reach(self) -> None:
        """With the libraries of today it works, and nothing is said."""
        self.assertTrue(libssl.groups_can_be_set())
        self.assertEqual(self.warnings(), [])

    def assert_only_p256(self, missing: str) -> None:
        table = self.table()
        for group in ("X25519", "P-384", "P-521"):
            self.assert_refused("handshake failure", table, "shop.example", groups=group)
        self.assertEqual(visit(table, "shop.example", groups="P-256").group, "secp256r1")
        (said,) = self.warnings()
        self.assertIn(missing, said)

    def test_out_of_reach(self) -> None:
        """Without the binding P-256 is left, which is public, and one warning says what lacks."""
        with patch.object(libssl, "_lib", return_value=None):
            self.assert_only_p256("out of reach")

    def test_no_handle(self) -> None:
        """If pyOpenSSL keeps its handle elsewhere one day, it is the same."""
        with patch.object(libssl, "_handle", return_value=None):
            self.assert_only_p256("out of reach")

    def test_no_effect(self) -> None:
        """A setter that does nothing is found out by a handshake."""

        class Idle:
            def SSL_CTX_set1_curves_list(self, context: object, groups: bytes) -> int:
                return 1

        with patch.object(libssl, "_lib", return_value=Idle()):
            self.assert_only_p256("no effect")


class TwoKeysTests(TableTestCase):
    """ECDSA and RSA for the same name."""

    def setUp(self) -> None:
        super().setUp()
        root = authority()
        self.issuers = {kind: authority(f"{kind} CA", root) for kind in ("ec", "rsa")}
        self.leaves = {kind: self.add(kind) for kind in ("ec", "rsa")}

    def add(self, kind: str, name: str = "shop.example", **options: object) -> Issued:
        issuer = self.issuers[kind]
        one = issue([name], issuer, key=kind, **options)
        self.put(f"{kind}.pem", one.pem, issuer.certificate_pem)
        return one

    def assert_chain(self, kind: str, table: CertificateTable, **abilities: object) -> None:
        seen = visit(table, "shop.example", **abilities)
        expected = (self.leaves[kind].certificate, self.issuers[kind].certificate)
        self.assertEqual(seen.chain, expected)

    def test_by_what_the_client_can_do(self) -> None:
        """Each client gets what it can use, with the whole chain of that one and of no other."""
        table = self.table()
        for kind, suite, signature in (
            ("ec", "ECDHE-ECDSA-AES128-GCM-SHA256", "ecdsa_secp256r1_sha256"),
            ("rsa", "ECDHE-RSA-AES128-GCM-SHA256", "rsa_pss_rsae_sha256"),
        ):
            with self.subTest(kind):
                self.assert_chain(kind, table, version=TLS12, ciphers=suite)
                self.assert_chain(kind, table, version=TLS13, signatures=signature)

    def test_by_what_the_client_prefers(self) -> None:
        """A client that can use both gets what it would rather have."""
        table = self.table()
        both = ["ecdsa_secp256r1_sha256", "rsa_pss_rsae_sha256"]
        self.assert_chain("ec", table, signatures=":".join(both))
        self.assert_chain("rsa", table, signatures=":".join(both[::-1]))

    def test_client_authority_is_not_sent(self) -> None:
        """What clients' certificates are checked against does not get into a chain."""
        own = authority("Own CA")
        self.put("solo.pem", issue(["solo.example"], own).pem)
        table = self.table(client_ca={"solo.example": ClientAuthority("solo", (own.certificate,))})
        somebody = issue(["somebody"], own, for_servers=False)
        self.assertEqual(len(visit(table, "solo.example", certificate=somebody).chain), 1)

    def test_one_has_run_out(self) -> None:
        """An expired one of the two is not sent, not even to those who would prefer it."""
        self.add("ec", not_before=self.now - 9 * A_DAY, not_after=self.now - A_DAY)
        table = self.table()
        self.assert_chain("rsa", table)
        self.assert_refused(
            "handshake failure", table, "shop.example", signatures="ecdsa_secp256r1_sha256"
        )

    def test_wildcard_fills_in(self) -> None:
        """A kind that the exact name has no certificate of may come from its wildcard."""
        self.leaves["rsa"] = self.add("rsa", "*.example")
        table = self.table()
        self.assert_chain("rsa", table, signatures="rsa_pss_rsae_sha256")
        self.assert_chain("ec", table, signatures="ecdsa_secp256r1_sha256")

    def test_later_expiry_of_a_kind(self) -> None:
        """Of two with one kind of key, the valid one that lasts longer is sent."""
        self.put("short.pem", issue(["shop.example"], not_after=self.now + 9 * A_DAY).pem)
        future = {"not_before": self.now + A_DAY, "not_after": self.now + 200 * A_DAY}
        self.put("future.pem", issue(["shop.example"], **future).pem)
        self.assert_chain("ec", self.table(), signatures="ecdsa_secp256r1_sha256")

    def test_both_answer_unknown_names(self) -> None:
        """The fallback, too, has both."""
        table = self.table("shop.example")
        for kind, signature in (("ec", "ecdsa_secp256r1_sha256"), ("rsa", "rsa_pss_rsae_sha256")):
            for name in (None, "unknown.example"):
                seen = visit(table, name, signatures=signature)
                self.assertEqual(seen.leaf, self.leaves[kind].certificate)

    def test_without_files_in_memory(self) -> None:
        """Where there is no /proc, chains are handed over in a temporary file."""
        with patch("orion_twisted.net.tlspolicy.sys.platform", "darwin"):
            table = self.table()
            table.context_for("shop.example")
        self.assert_chain("rsa", table, signatures="rsa_pss_rsae_sha256")


class StrictNamesTests(TableTestCase):
    """Names that nobody answers, and clients that ask for none."""

    def setUp(self) -> None:
        super().setUp()
        self.put("shop.pem", issue(["shop.example", "*.shop.example"]).pem)

    def assert_strict(self, table: CertificateTable) -> None:
        for name in ("other.example", "x.y.shop.example", None):
            for version in (TLS12, TLS13):
                self.assert_refused("unrecognized name", table, name, version=version)
            with self.assertRaises(ssl.SSLError) as caught:
                PlainClient(table, plain_context(), name)
            self.assertIn("UNRECOGNIZED_NAME", str(caught.exception))
        for name in ("shop.example", "SHOP.example", "www.shop.example"):
            self.assertEqual(visit(table, name).server.heard, b"")

    def test_strict(self) -> None:
        """With strict_sni they hear the alert unrecognized_name, in spite of the fallback."""
        self.assert_strict(self.table("shop.example", strict_sni=True))

    def test_no_fallback(self) -> None:
        """Without a fallback it is the same."""
        self.assert_strict(self.table())

    def test_fallback(self) -> None:
        """With a fallback they are served."""
        table = self.table("shop.example")
        for name in ("other.example", None):
            self.assertEqual(len(visit(table, name).chain), 1)

    def test_closed_after_the_alert(self) -> None:
        """The alert is all that is sent, and the connection is closed."""
        server = Server(self.table())
        client = SSL.Connection(client_context(), None)
        client.set_connect_state()
        with self.assertRaises(SSL.WantReadError):
            client.do_handshake()
        self.assertEqual(server.exchange(client.bio_read(2**16)).hex(), "15030300020270")
        self.assertTrue(server.is_closed)
        self.assertEqual(server.exchange(b"what is this?"), b"")

    def test_configure(self) -> None:
        """The settings may change while the gateway runs; a fallback that is not there may not."""
        table = self.table()
        table.configure("shop.example")
        visit(table, None)
        with self.assertRaises(LookupError):
            table.configure("other.example", strict_sni=True)
        visit(table, None)
        table.configure("shop.example", strict_sni=True)
        self.assert_strict(table)


class ClientCertificateTests(TableTestCase):
    """Tenants whose clients have to show a certificate."""

    def setUp(self) -> None:
        super().setUp()
        self.put("bank.pem", issue(["bank.example", "*.bank.example"]).pem)
        self.put("shop.pem", issue(["shop.example"]).pem)
        self.ca = authority("Bank clients")
        self.other_ca = authority("Vault clients")
        self.clients = {
            "bank": ClientAuthority("bank", (self.ca.certificate,)),
            "vault": ClientAuthority("vault", (self.other_ca.certificate,)),
        }
        self.served = self.table(
            "shop.example",
            client_ca={
                "bank.example": self.clients["bank"],
                "vault.bank.example": self.clients["vault"],
            },
        )
        self.somebody = issue(["somebody"], self.ca, for_servers=False)

    def test_required(self) -> None:
        """Who shows none, or a stranger's, is refused; who shows one signed by it gets in."""
        strangers = [
            issue(["stranger"], self.other_ca, for_servers=False),
            issue(["stranger"], authority("Bank clients"), for_servers=False),
            issue(["stranger"], for_servers=False),
            issue(["server"], self.ca),
            issue(["old"], self.ca, for_servers=False, not_after=self.now - A_DAY / 2),
        ]
        for version in (TLS12, TLS13):
            with self.assertRaises(Refused):
                visit(self.served, "bank.example", version=version)
            for stranger in strangers:
                with self.assertRaises(Refused):
                    visit(self.served, "bank.example", version=version, certificate=stranger)
            seen = visit(self.served, "bank.example", version=version, certificate=self.somebody)
            shown = seen.server.connection.get_peer_certificate(as_cryptography=True)
            self.assertEqual(shown, self.somebody.certificate)

    def test_not_asked_elsewhere(self) -> None:
        """Clients of other names are not asked, so that no browser shows a dialog."""
        for name in ("shop.example", "www.bank.example", "unknown.example", None):
            seen = visit(self.served, name, certificate=self.somebody)
            self.assertIsNone(seen.server.connection.get_peer_certificate())
            self.assertEqual(seen.client.get_client_ca_list(), [])

    def test_hint(self) -> None:
        """The server says whose certificates it takes, so that a browser offers the right one."""
        seen = visit(self.served, "bank.example", certificate=self.somebody, version=TLS12)
        (name,) = seen.client.get_client_ca_list()
        self.assertEqual(name.CN, "Bank clients")

    def test_issuing_authority_alone(self) -> None:
        """An issuing authority may be given without its root; its root's others do not get in."""
        issuing = authority("Issuing", self.ca)
        own = ClientAuthority("bank", (issuing.certificate,))
        self.served.configure("shop.example", client_ca={"bank.example": own})
        insider = issue(["insider"], issuing, for_servers=False)
        visit(self.served, "bank.example", certificate=insider)
        with self.assertRaises(Refused):
            visit(self.served, "bank.example", certificate=self.somebody)

    def test_host_of_another_name(self) -> None:
        """A request for a tenant's host may come over its own handshake only."""
        bank = visit(self.served, "bank.example", certificate=self.somebody).server.connection
        shop = visit(self.served, "shop.example").server.connection
        nameless = visit(self.served, None).server.connection
        self.assertEqual(scope_of(bank), Scope("bank.example", self.clients["bank"]))
        self.assertEqual(scope_of(shop), Scope("shop.example", None))
        self.assertEqual(scope_of(nameless), Scope(None, None))
        for connection, host, may in (
            (bank, "BANK.example.", True),
            (bank, "vault.bank.example", False),
            (bank, "shop.example", True),
            (shop, "bank.example", False),
            (shop, "www.bank.example", True),
            (nameless, "bank.example", False),
            (None, "bank.example", False),
            (None, "shop.example", True),
        ):
            with self.subTest(connection=scope_of(connection), host=host):
                self.assertEqual(self.served.may_carry(connection, host), may)

    def test_authority_changed(self) -> None:
        """What was shown under another authority is worth nothing to the new one."""
        old = visit(self.served, "bank.example", certificate=self.somebody).server.connection
        new_ca = ClientAuthority("bank", (authority("Bank clients").certificate,))
        self.served.configure("shop.example", client_ca={"bank.example": new_ca})
        self.assertFalse(self.served.may_carry(old, "bank.example"))
        with self.assertRaises(Refused):
            visit(self.served, "bank.example", certificate=self.somebody)

    def test_every_host(self) -> None:
        """A tenant that answers every host asks everybody."""
        self.served.configure("shop.example", client_ca={"*": self.clients["bank"]})
        for name in ("shop.example", "unknown.example", None):
            with self.assertRaises(Refused):
                visit(self.served, name)
            visit(self.served, name, certificate=self.somebody)


class ClientAuthorityFileTests(CertificateFolderTestCase):
    """Reading `client_ca`."""

    def test_read(self) -> None:
        """A file with several authorities is read; equal ones of one tenant are equal."""
        one, two = authority("one"), authority("two")
        path = self.put("clients.pem", one.certificate_pem, two.certificate_pem, one.pem)
        found = read_client_ca(path, "bank")
        self.assertEqual(found.certificates, (one.certificate, two.certificate))
        same = ClientAuthority("bank", (two.certificate, one.certificate))
        self.assertEqual(found, same)
        self.assertNotEqual(found, ClientAuthority("shop", found.certificates))
        self.assertNotEqual(found, ClientAuthority("bank", (one.certificate,)))

    def test_mistakes(self) -> None:
        """What is no authority is refused, as is a file that cannot be read, in plain words."""
        missing = self.folder / "missing.pem"
        with self.assertRaisesRegex(Unusable, "missing.pem cannot be read"):
            read_client_ca(missing, "bank")
        leaf = issue(["somebody"], for_servers=False)
        nonsense = x509.UnrecognizedExtension(ExtensionOID.BASIC_CONSTRAINTS, b"nonsense")
        strange = issue(["somebody"], bare=True, extra=[nonsense])
        x400 = x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, b"\x30\x02\xa3\0")
        stranger = issue([], common_name="somebody", bare=True, extra=[x400])
        for words, content in (
            ("no certificate in PEM form", authority().key_pem),
            ("no certificate authority: CN=somebody", leaf.certificate_pem),
            ("cannot be understood", strange.certificate_pem),
            ("cannot be understood", stranger.certificate_pem),
        ):
            with self.assertRaisesRegex(Unusable, words):
                read_client_ca(self.put("clients.pem", content), "bank")


class RefusalTests(CertificateFolderTestCase):
    """What OpenSSL itself thinks of a certificate."""

    def test_fit(self) -> None:
        """A certificate that passed the checks is taken by OpenSSL as well."""
        for kind in ("ec", "rsa", "ed25519"):
            self.put("shop.pem", issue(["shop.example"], key=kind).pem)
            self.assertIsNone(refusal_of(self.read_only()))

    def test_refused(self) -> None:
        """What OpenSSL does not take is told in its words, and a name with it is not answered."""
        self.put("shop.pem", issue(["shop.example"]).pem)
        certificate = self.read_only()
        error = SSL.Error([("SSL routines", "", "ca md too weak")])
        with patch("orion_twisted.net.tlspolicy._use", side_effect=error):
            self.assertEqual(refusal_of(certificate), "OpenSSL refuses it: ca md too weak")
            table = CertificateTable([certificate], None, self.now)
            with self.assertRaisesRegex(Refused, "unrecognized name"):
                visit(table, "shop.example")
        self.assertEqual(len(self.flushLoggedErrors()), 0)
