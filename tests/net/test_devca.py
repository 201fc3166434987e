"""The development CA: clients verify what it makes, and nothing of value is ever overwritten."""

import os
import ssl
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.net.certfiles import CertificateFile, read_folder
from orion_twisted.net.devca import (
    CA_LIFE,
    LEAF_LIFE,
    RENEW_BEFORE,
    DevCertificates,
    DevCertificatesError,
    make_dev_certificates,
    trust_help,
)
from tests.certificates import A_DAY, authority, empty_folder, issue


class DevTestCase(SynchronousTestCase):
    """A folder that is not there yet, and the time."""

    def setUp(self) -> None:
        self.now = datetime.now(UTC)
        self.folder = empty_folder(self) / "certs"

    def make(
        self, *names: str, now: datetime | None = None, renew: bool = False
    ) -> DevCertificates:
        return make_dev_certificates(self.folder, names, now or self.now, renew=renew)

    def certificates(self) -> dict[str, CertificateFile]:
        """Return what the gateway would serve, by file name; there is no bad file."""
        good, bad = read_folder(self.folder, self.now)
        self.assertEqual(bad, ())
        return {one.source.name: one for one in good}

    def contents(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.folder.iterdir()}

    def assert_refused(self, words: str, *names: str, now: datetime | None = None) -> None:
        """Check that nothing is made, and that what is there stays as it is."""
        before = self.contents() if self.folder.exists() else {}
        with self.assertRaises(DevCertificatesError) as caught:
            self.make(*names, now=now)
        self.assertIn(words, str(caught.exception))
        self.assertEqual(self.contents() if self.folder.exists() else {}, before)


class TrustTests(DevTestCase):
    """What clients that trust the CA make of the certificates."""

    def handshake(self, file_name: str, server_name: str) -> str:
        """Return the protocol that a strict client and a server in memory agree on."""
        server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server_context.load_cert_chain(self.folder / file_name)
        client_context = ssl.create_default_context(cafile=str(self.folder / "ca.pem"))
        client_context.verify_flags |= ssl.VERIFY_X509_STRICT
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = client_context.wrap_bio(to_client, to_server, server_hostname=server_name)
        server = server_context.wrap_bio(to_server, to_client, server_side=True)
        waiting = [client, server]
        for _ in range(6):  # flights; TLS 1.2, the longer one, has four
            for side in tuple(waiting):
                try:
                    side.do_handshake()
                    waiting.remove(side)
                except ssl.SSLWantReadError:
                    pass
        self.assertEqual(waiting, [])
        return client.version() or ""

    def test_localhost(self) -> None:
        """A client that trusts the CA takes the server by name and by both of its addresses."""
        self.make("localhost")
        for name in ("localhost", "127.0.0.1", "::1"):
            with self.subTest(name=name):
                self.assertEqual(self.handshake("localhost.pem", name), "TLSv1.3")

    def test_wildcard(self) -> None:
        """A wildcard's certificate serves one label, and no other name."""
        self.make("*.Shop.example")
        self.assertEqual(self.handshake("_wildcard.shop.example.pem", "a.shop.example"), "TLSv1.3")
        for name in ("shop.example", "a.b.shop.example"):
            with self.assertRaises(ssl.SSLCertVerificationError):
                self.handshake("_wildcard.shop.example.pem", name)

    def test_address(self) -> None:
        """An address gets its own certificate, IPv6 in a file that any system can store."""
        self.make("192.0.2.7", "2001:db8::0007")
        self.assertEqual(self.handshake("192.0.2.7.pem", "192.0.2.7"), "TLSv1.3")
        self.assertEqual(self.handshake("2001-db8--7.pem", "2001:db8::7"), "TLSv1.3")

    def test_other_ca(self) -> None:
        """A client that trusts another CA refuses, though it has the same name to the eye."""
        self.make("localhost")
        (self.folder / "ca.pem").write_bytes(authority().certificate_pem)
        with self.assertRaises(ssl.SSLCertVerificationError):
            self.handshake("localhost.pem", "localhost")

    def test_browser_rules(self) -> None:
        """A verifier with the rules of the web's CAs, stricter than OpenSSL, takes it too."""
        self.make("shop.example")
        ca = x509.load_pem_x509_certificate((self.folder / "ca.pem").read_bytes())
        verifier = (
            PolicyBuilder()
            .store(Store([ca]))
            .time(self.now)
            .build_server_verifier(x509.DNSName("shop.example"))
        )
        leaf = self.certificates()["shop.example.pem"].chain[0]
        self.assertEqual(verifier.verify(leaf, []), [leaf, ca])

    def test_long_name(self) -> None:
        """A name too long for a common name is served all the same."""
        name = ".".join(["a" * 40] * 3) + ".example"
        self.make(name)
        self.assertEqual(self.handshake(f"{name}.pem", name), "TLSv1.3")


class FilesTests(DevTestCase):
    """What is written, where, and who may read it."""

    def test_made(self) -> None:
        """A folder gets the CA and one file for each name, in the order of the names."""
        made = self.make("shop.example", "*.shop.example", "localhost", "SHOP.example.")
        names = ["shop.example.pem", "_wildcard.shop.example.pem", "localhost.pem"]
        self.assertEqual(
            made,
            DevCertificates(
                ca_file=self.folder / "ca.pem",
                is_new_ca=True,
                made=tuple(self.folder / name for name in names),
                kept=(),
            ),
        )
        self.assertEqual({*self.contents()}, {"ca.pem", "ca.key", *names})

    def test_names(self) -> None:
        """Each certificate has its name, localhost also its addresses; letters become xn--."""
        self.make("localhost", "*.shop.example", "bücher.example")
        self.assertEqual(
            {name: one.names for name, one in self.certificates().items()},
            {
                "localhost.pem": ("localhost", "127.0.0.1", "::1"),
                "_wildcard.shop.example.pem": ("*.shop.example",),
                "xn--bcher-kva.example.pem": ("xn--bcher-kva.example",),
            },
        )

    def test_modes(self) -> None:
        """Only the owner gets into the folder and at the keys, whatever the umask."""
        for mask in (0o000, 0o022):
            with self.subTest(mask=mask):
                self.folder = empty_folder(self) / "certs"
                old = os.umask(mask)
                try:
                    self.make("localhost")
                finally:
                    os.umask(old)
                modes = {path.name: path.stat().st_mode & 0o777 for path in self.folder.iterdir()}
                self.assertEqual(self.folder.stat().st_mode & 0o777, 0o700)
                self.assertEqual(modes, {"ca.pem": 0o644, "ca.key": 0o600, "localhost.pem": 0o600})

    def test_ca_file_is_public(self) -> None:
        """The file to be trusted holds no private key."""
        self.make("localhost")
        self.assertNotIn(b"PRIVATE KEY", (self.folder / "ca.pem").read_bytes())

    def test_lives(self) -> None:
        """A certificate lives 365 days at most and the CA ten years, from an hour ago."""
        self.make("localhost")
        leaf = self.certificates()["localhost.pem"]
        ca = x509.load_pem_x509_certificate((self.folder / "ca.pem").read_bytes())
        self.assertLessEqual(leaf.not_after - leaf.not_before, LEAF_LIFE)
        self.assertEqual(leaf.days_left(self.now), 364)
        self.assertLessEqual(leaf.not_before, self.now - timedelta(hours=1))
        self.assertEqual((ca.not_valid_after_utc - self.now).days, CA_LIFE.days - 1)

    def test_failed_write(self) -> None:
        """A full disk leaves the old certificate in place and no crumbs."""
        self.make("localhost")
        before = self.contents()
        with patch("os.fsync", side_effect=OSError("disk full")), self.assertRaises(OSError):
            self.make("localhost", renew=True)
        self.assertEqual(self.contents(), before)


class AgainTests(DevTestCase):
    """Running the command once more."""

    def test_kept(self) -> None:
        """What is there and good enough stays, so nobody has to trust anything again."""
        first = self.make("localhost", "*.shop.example")
        before = self.contents()
        again = self.make("*.shop.example", "localhost", now=self.now + 300 * A_DAY)
        self.assertEqual(self.contents(), before)
        self.assertEqual((again.made, again.kept), ((), first.made[::-1]))
        self.assertFalse(again.is_new_ca)

    def test_more_names(self) -> None:
        """A new name gets its certificate from the same CA."""
        self.make("localhost")
        before = self.contents()
        again = self.make("localhost", "shop.example")
        self.assertEqual(again.made, (self.folder / "shop.example.pem",))
        self.assertEqual(again.kept, (self.folder / "localhost.pem",))
        self.assertEqual({**self.contents(), **before}, self.contents())

    def test_renew(self) -> None:
        """On demand the certificate is made anew, by the same CA."""
        self.make("localhost")
        before = self.contents()
        again = self.make("localhost", renew=True)
        after = self.contents()
        self.assertEqual(again.made, (self.folder / "localhost.pem",))
        self.assertEqual(
            {name for name in after if after[name] != before[name]}, {"localhost.pem"}
        )

    def test_running_out(self) -> None:
        """A certificate with thirty days left or fewer is made anew, an expired one too."""
        self.make("localhost")
        end = self.certificates()["localhost.pem"].not_after
        self.assertEqual(self.make("localhost", now=end - RENEW_BEFORE - A_DAY).made, ())
        for now in (end - RENEW_BEFORE, end + A_DAY):
            self.make("localhost", renew=True)
            self.assertEqual(len(self.make("localhost", now=now).made), 1)

    def test_new_ca(self) -> None:
        """Certificates of a CA that is gone are made anew: the new one is what gets trusted."""
        self.make("localhost")
        for name in ("ca.pem", "ca.key"):
            (self.folder / name).unlink()
        again = self.make("localhost")
        self.assertTrue(again.is_new_ca)
        self.assertEqual(again.made, (self.folder / "localhost.pem",))

    def test_names_missing(self) -> None:
        """A certificate that lacks one of localhost's addresses is made anew."""
        self.make("shop.example")
        (self.folder / "shop.example.pem").rename(self.folder / "localhost.pem")
        self.assertEqual(len(self.make("localhost").made), 1)
        self.assertEqual(
            self.certificates()["localhost.pem"].names, ("localhost", "127.0.0.1", "::1")
        )

    def test_ca_of_ones_own(self) -> None:
        """A CA that was put there signs, and its certificates are kept as our own would be."""
        self.folder.mkdir()
        for kind in ("ec", "rsa"):
            with self.subTest(kind=kind):
                ca = authority("Our Own CA", key=kind, not_after=self.now + 200 * A_DAY)
                (self.folder / "ca.pem").write_bytes(ca.certificate_pem)
                (self.folder / "ca.key").write_bytes(ca.key_pem)
                self.assertEqual(len(self.make("localhost", renew=kind == "ec").made), 1)
                leaf = self.certificates()["localhost.pem"]
                self.assertEqual(leaf.issuer, "Our Own CA")
                self.assertLess(leaf.not_after, ca.certificate.not_valid_after_utc)
                self.assertEqual(len(self.make("localhost").kept), 1)
                (self.folder / "localhost.pem").unlink()


class RefusalTests(DevTestCase):
    """What is not done, and in what words."""

    def test_names(self) -> None:
        """All that is no name is listed at once, and not even a folder is made."""
        self.assert_refused("'*', 'a b', ''", "localhost", "*", "a b", "")
        self.assertFalse(self.folder.exists())

    def test_names_with_another_use(self) -> None:
        """A host cannot take the CA's file, or that of a wildcard."""
        self.assert_refused("'ca'", "CA")
        self.assert_refused("'_wildcard.shop.example'", "_wildcard.shop.example")

    def test_certificate_of_someone_else(self) -> None:
        """A bought certificate is never overwritten: its key exists nowhere else."""
        self.make("localhost")
        path = self.folder / "shop.example.pem"
        for content, words in (
            (issue(["shop.example"], authority("Bought CA")).pem, "its issuer is Bought CA"),
            (issue(["shop.example"]).pem[:300], "cut off or damaged"),
            (authority().pem, "a certificate authority"),
        ):
            with self.subTest(words=words):
                path.write_bytes(content)
                self.assert_refused(words, "new.example", "shop.example")
                self.assert_refused("shop.example.pem was not made here", "shop.example")

    def test_half_a_ca(self) -> None:
        """A CA without its key, or a key without its CA, is not replaced behind one's back."""
        for lost, left in (("ca.pem", "ca.key"), ("ca.key", "ca.pem")):
            self.folder = empty_folder(self) / "certs"
            self.make("localhost")
            (self.folder / lost).unlink()
            self.assert_refused(f"{left} is there without the other half", "localhost")

    def test_unusable_ca(self) -> None:
        """A CA that cannot sign is refused: wrong key, no CA at all, damage, an encrypted key."""
        self.folder.mkdir()
        ca = authority()
        leaf = issue(["shop.example"])
        for certificate, key in (
            (ca.certificate_pem, authority().key_pem),
            (leaf.certificate_pem, leaf.key_pem),
            (b"hello", ca.key_pem),
            (ca.certificate_pem, b"hello"),
            (ca.certificate_pem, ca.encrypted_key_pem(b"a secret")),
        ):
            (self.folder / "ca.pem").write_bytes(certificate)
            (self.folder / "ca.key").write_bytes(key)
            self.assert_refused("no usable CA: move ca.pem and ca.key away", "localhost")

    def test_ca_at_its_end(self) -> None:
        """A CA that is about to expire signs nothing more, and says what to do."""
        self.make("localhost")
        now = self.now + CA_LIFE - timedelta(days=20)
        self.assert_refused("move ca.pem and ca.key away", "localhost", now=now)

    def test_last_year_of_the_ca(self) -> None:
        """No certificate outlives its CA."""
        self.make()
        self.now += CA_LIFE - timedelta(days=100)
        self.make("localhost")
        leaf = self.certificates()["localhost.pem"]
        ca = x509.load_pem_x509_certificate((self.folder / "ca.pem").read_bytes())
        self.assertLessEqual(leaf.not_after, ca.not_valid_after_utc)
        self.assertEqual(leaf.days_left(self.now), 99)


class TrustHelpTests(DevTestCase):
    """What `certs dev` prints about trusting the CA."""

    def test_systems(self) -> None:
        """Every system has its command with this CA's file, and the way back."""
        ca_file = self.make().ca_file
        text = trust_help(ca_file)
        for words in (
            f"sudo cp {ca_file.absolute()} /usr/local/share/ca-certificates/",
            "update-ca-certificates --fresh",
            f'nssdb -A -t "C,," -n orion-twisted-dev -i {ca_file.absolute()}',
            "certutil -d sql:$HOME/.pki/nssdb -D -n orion-twisted-dev",
            "security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain",
            "security delete-certificate -Z ",
            f'certutil -addstore -f Root "{ca_file.absolute()}"',
            "certutil -delstore Root ",
            "Firefox",
        ):
            self.assertIn(words, text)
        self.assertEqual(text.count("undo:"), 5)

    def test_odd_folder(self) -> None:
        """A folder with a space or a quote in its name is quoted for the shell."""
        self.folder = self.folder.parent / "it's mine"
        quoted = trust_help(self.make().ca_file)
        self.assertIn("it'\"'\"'s mine/ca.pem' /usr/local/share", quoted)
