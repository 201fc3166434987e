"""What a certificate has to stand up to: its names, its key, its chain and its dates."""

from datetime import timedelta

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from orion_twisted.net.certchecks import CertificateFile, choose, problem_of
from orion_twisted.net.certfiles import read_folder
from tests.certificates import A_DAY, CertificateFolderTestCase, Issued, authority, issue


class NamesTests(CertificateFolderTestCase):
    """The names that a certificate answers."""

    def names_of(self, shop: Issued) -> tuple[str, ...]:
        self.put("shop.pem", shop.pem)
        return self.read_only().names

    def test_one_spelling(self) -> None:
        """Names are lower case without a trailing dot, each once; addresses are as text."""
        names = ["Shop.Example", "*.SHOP.example", "shop.example.", "127.0.0.1", "0::1"]
        self.assertEqual(
            self.names_of(issue(names)), ("shop.example", "*.shop.example", "127.0.0.1", "::1")
        )

    def test_common_name(self) -> None:
        """The common name counts only where there is no SAN at all."""
        self.assertEqual(self.names_of(issue([], common_name="Shop.example")), ("shop.example",))
        self.assertEqual(
            self.names_of(issue(["a.example"], common_name="b.example")), ("a.example",)
        )

    def test_none(self) -> None:
        """A certificate for no host is refused, and `*` is not taken for every host."""
        for names, common_name in (([], None), ([], "The Shop"), (["*", "w*.shop.example"], "x")):
            with self.subTest(names=names, common_name=common_name):
                path = self.put("shop.pem", issue(names, common_name=common_name).pem)
                self.assert_bad(path, "names no host")

    def test_covers(self) -> None:
        """A certificate covers its names in any spelling, and one label in a wildcard's place."""
        self.put("shop.pem", issue(["shop.example", "*.b.example", "10.0.0.1"]).pem)
        found = self.read_only()
        for name in ("SHOP.example.", "x.b.example", "*.b.example", "10.0.0.1"):
            self.assertTrue(found.covers(name), name)
        for name in ("b.example", "x.y.b.example", "*.shop.example", "10.0.0.2", "*", "", "a b"):
            self.assertFalse(found.covers(name), name)


class KeyTests(CertificateFolderTestCase):
    """The key, its kind, and whether it belongs to the certificate."""

    def test_kinds(self) -> None:
        """EC, RSA and Ed25519 keys are served, and named in the list."""
        for kind, text in (("ec", "EC P-256"), ("rsa", "RSA 2048"), ("ed25519", "Ed25519")):
            with self.subTest(kind=kind):
                self.put("shop.pem", issue(["shop.example"], key=kind).pem)
                self.assertEqual(self.read_only().key_type, text)

    def test_kinds_that_clients_refuse(self) -> None:
        """A short RSA key or an odd curve is refused here, not by every browser later."""
        path = self.put("shop.pem", issue(["shop.example"], key="rsa1024").pem)
        self.assert_bad(path, "1024 bits, fewer than 2048")
        self.put("shop.pem", issue(["shop.example"], key="secp256k1").pem)
        self.assert_bad(path, "a kind that TLS servers do not use")

    def test_key_of_another_certificate(self) -> None:
        """A key that does not belong to the certificate is refused, in each form and kind."""
        shop = issue(["shop.example"])
        for other in (issue(["shop.example"]), issue(["shop.example"], key="rsa")):
            path = self.put("shop.pem", shop.certificate_pem, other.key_pem)
            self.assert_bad(path, "the private key belongs to another certificate")

    def test_key_of_the_issuer(self) -> None:
        """The issuer's key is not the certificate's, even with the issuer in the file."""
        ca = authority()
        path = self.put("shop.pem", issue(["shop.example"], ca).certificate_pem, ca.pem)
        self.assert_bad(path, "the private key belongs to another certificate")

    def test_no_key(self) -> None:
        """A certificate without a key says which file could have it."""
        path = self.put("shop.example.crt", issue(["shop.example"]).certificate_pem)
        self.assert_bad(path, "no private key", "shop.example.key")

    def test_two_keys(self) -> None:
        """Two keys in a file are refused: which one is meant?"""
        shop = issue(["shop.example"])
        path = self.put("shop.pem", shop.pem, issue(["shop.example"]).key_pem)
        self.assert_bad(path, "shop.pem holds 2 private keys")

    def test_never_shown(self) -> None:
        """The key does not get into a log by way of the certificate's repr."""
        self.put("shop.pem", issue(["shop.example"]).pem)
        self.assertNotIn("private_key", repr(self.read_only()))

    def test_unchanged_files_are_equal(self) -> None:
        """The same file read again is equal to what it was, so that a reload can tell."""
        self.put("shop.pem", issue(["shop.example"]).pem)
        before = self.read_only()
        self.assertEqual(before, self.read_only())
        self.put("shop.pem", issue(["shop.example"]).pem)
        self.assertNotEqual(before, self.read_only())

    def test_shared_key(self) -> None:
        """A certificate renewed with its old key is served, but not the two in one file."""
        key = generate_private_key(SECP256R1())
        old, new = (issue(["shop.example"], key=key) for _ in range(2))
        path = self.put("shop.pem", old.certificate_pem, new.pem)
        self.assert_bad(path, "2 server certificates")
        self.put("shop.pem", new.pem)
        self.assertEqual(self.read_only().chain, (new.certificate,))


class ChainTests(CertificateFolderTestCase):
    """The chain that clients are sent."""

    def setUp(self) -> None:
        super().setUp()
        self.root = authority("Root CA")
        self.policy = authority("Policy CA", self.root)
        self.issuing = authority("Issuing CA", self.policy)
        self.shop = issue(["shop.example"], self.issuing)
        self.whole = (
            self.shop.certificate,
            self.issuing.certificate,
            self.policy.certificate,
        )

    def test_in_order_whatever_the_file_says(self) -> None:
        """The leaf comes first, then issuer by issuer; a root is left out, a copy ignored."""
        for order in (
            "shop issuing policy root",
            "root issuing shop shop policy",
            "policy issuing shop",
        ):
            with self.subTest(order=order):
                parts = [getattr(self, name).certificate_pem for name in order.split()]
                self.put("shop.pem", self.shop.key_pem, *parts)
                self.assertEqual(self.read_only().chain, self.whole)

    def test_self_signed(self) -> None:
        """A certificate that signed itself is its own chain."""
        own = issue(["shop.example"])
        self.put("shop.pem", own.pem)
        self.assertEqual(self.read_only().chain, (own.certificate,))

    def test_stranger(self) -> None:
        """A certificate that has nothing to do with the chain is a mistake."""
        path = self.put("shop.pem", self.shop.pem, authority("Strange CA").certificate_pem)
        self.assert_bad(path, "no part of the chain", "Strange CA")

    def test_gap(self) -> None:
        """A chain with its middle missing is a mistake."""
        path = self.put("shop.pem", self.shop.pem, self.policy.certificate_pem)
        self.assert_bad(path, "no part of the chain", "Policy CA")

    def test_issuer_of_the_same_name(self) -> None:
        """An issuer of the right name that did not sign the certificate breaks the chain."""
        impostor = authority("Issuing CA", self.policy)
        path = self.put("shop.pem", self.shop.pem, impostor.certificate_pem)
        self.assert_bad(path, "chain breaks", "Issuing CA did not sign shop.example")

    def test_two_leaves(self) -> None:
        """Two servers' certificates in a file are refused, and named."""
        path = self.put("shop.pem", self.shop.pem, issue(["other.example"]).certificate_pem)
        self.assert_bad(path, "2 server certificates", "shop.example", "other.example")

    def test_issuer_with_two_certificates(self) -> None:
        """Of an issuer's old and new certificate the valid one is sent."""
        expired = authority(
            "Issuing CA",
            self.policy,
            key=self.issuing.key,
            not_before=self.now - 20 * A_DAY,
            not_after=self.now - A_DAY,
        )
        for issuers in ((expired, self.issuing), (self.issuing, expired)):
            pems = [one.certificate_pem for one in issuers]
            self.put("shop.pem", self.shop.pem, *pems, self.policy.certificate_pem)
            self.assertEqual(self.read_only().chain, self.whole)

    def test_cross_signed_root(self) -> None:
        """A root that an older root vouches for is sent in that form, for old clients."""
        older = authority("Older Root CA")
        crossed = authority("Root CA", older, key=self.root.key)
        parts = (self.issuing, self.policy, self.root, crossed)
        self.put("shop.pem", self.shop.pem, *(one.certificate_pem for one in parts))
        self.assertEqual(self.read_only().chain, (*self.whole, crossed.certificate))

    def test_nameless(self) -> None:
        """Certificates without a common name are told apart by their host names."""
        one, two = (issue([f"{name}.example"], common_name="") for name in ("one", "two"))
        path = self.put("shop.pem", one.pem, two.certificate_pem)
        self.assert_bad(path, "(one.example, two.example)")

    def test_bare(self) -> None:
        """An old certificate that does not say what it is for is a server's."""
        shop = issue(["shop.example"], self.issuing, bare=True)
        self.put("shop.pem", shop.pem)
        self.assertEqual(self.read_only().chain, (shop.certificate,))

    def test_for_clients(self) -> None:
        """A client's certificate is refused: no browser would take it from a server."""
        path = self.put("shop.pem", issue(["shop.example"], for_servers=False).pem)
        self.assert_bad(path, "not for servers", "serverAuth")


class DatesTests(CertificateFolderTestCase):
    """A certificate's life; one that has run out is served and reported."""

    def read_with(self, before: timedelta, after: timedelta) -> CertificateFile:
        life = {"not_before": self.now + before, "not_after": self.now + after}
        self.put("shop.pem", issue(["shop.example"], **life).pem)
        return self.read_only()

    def test_valid(self) -> None:
        """Whole days are counted, and there is nothing to report."""
        found = self.read_with(-A_DAY, 30 * A_DAY - timedelta(seconds=1))
        self.assertEqual((found.days_left(self.now), problem_of(found, self.now)), (29, None))

    def test_expired(self) -> None:
        """An expired certificate is still one to be served, with a problem to be shown."""
        found = self.read_with(-9 * A_DAY, -timedelta(hours=1))
        self.assertEqual(found.days_left(self.now), -1)
        self.assertEqual(problem_of(found, self.now), f"expired on {found.not_after:%Y-%m-%d}")

    def test_not_yet_valid(self) -> None:
        """A certificate of the future is reported with the time at which it begins."""
        found = self.read_with(A_DAY, 9 * A_DAY)
        self.assertEqual(
            problem_of(found, self.now), f"not valid before {found.not_before:%Y-%m-%d %H:%M} UTC"
        )

    def test_expired_issuer(self) -> None:
        """An issuer in the chain that has run out is reported by its name."""
        life = {"not_before": self.now - 9 * A_DAY, "not_after": self.now - A_DAY}
        issuing = authority("Issuing CA", authority(), **life)
        self.put("shop.pem", issue(["shop.example"], issuing).pem, issuing.certificate_pem)
        self.assertIn("its issuer Issuing CA: expired on", problem_of(self.read_only(), self.now))


class ChooseTests(CertificateFolderTestCase):
    """Which of several certificates answers a name."""

    def choice(self, name: str) -> str | None:
        good, _ = read_folder(self.folder, self.now)
        chosen = choose(good, name, self.now)
        return None if chosen is None else chosen.source.name

    def test_exact_before_wildcard(self) -> None:
        """The exact name wins, though the wildcard's certificate lasts longer."""
        self.put("exact.pem", issue(["a.shop.example"]).pem)
        self.put("wild.pem", issue(["*.shop.example"], not_after=self.now + 300 * A_DAY).pem)
        self.assertEqual(self.choice("a.shop.example"), "exact.pem")
        self.assertEqual(self.choice("b.shop.example"), "wild.pem")
        self.assertIsNone(self.choice("shop.example"))

    def test_valid_then_later(self) -> None:
        """Of two for one name, the valid one with the later expiry wins."""
        future = {"not_before": self.now + 9 * A_DAY, "not_after": self.now + 99 * A_DAY}
        self.put("future.pem", issue(["shop.example"], **future).pem)
        self.put("short.pem", issue(["shop.example"], not_after=self.now + 9 * A_DAY).pem)
        self.assertEqual(self.choice("shop.example"), "short.pem")
        self.put("long.pem", issue(["shop.example"], not_after=self.now + 19 * A_DAY).pem)
        self.assertEqual(self.choice("shop.example"), "long.pem")
