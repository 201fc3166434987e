"""Where passwords are looked for, and what else belongs to a certificate's file."""

from __future__ import annotations

import os
from pathlib import Path
from unittest.mock import patch
from warnings import catch_warnings, simplefilter

from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import crypto

from orion_twisted.net.certchecks import choose_all
from orion_twisted.net.certfiles import CertificateFile, read_file, read_folder, show_table
from orion_twisted.net.certreaders import belongings, password_variable
from orion_twisted.net.tlspolicy import refusal_of
from tests.certificates import A_DAY, CertificateFolderTestCase, authority, issue


class EnvironmentTests(CertificateFolderTestCase):
    """Passwords from the environment."""

    def environment(self, **variables: str) -> None:
        patcher = patch.dict(os.environ, variables)
        patcher.start()
        self.addCleanup(patcher.stop)

    def test_pfx(self) -> None:
        """A .pfx opens with the password of its name's variable."""
        path = self.put("shop.example.pfx", issue(["shop.example"]).pfx(b"a secret"))
        self.assert_bad(path, "shop.example.password or ORION_CERT_PASSWORD_SHOP_EXAMPLE")
        self.environment(ORION_CERT_PASSWORD_SHOP_EXAMPLE="a secret")
        self.assertEqual(self.read_only().names, ("shop.example",))

    def test_encrypted_keys(self) -> None:
        """So does an encrypted key, also certbot's, which goes by its folder's name."""
        shop = issue(["shop.example"])
        key = shop.encrypted_key_pem("säkret".encode())
        self.environment(ORION_CERT_PASSWORD_SHOP_1="säkret")
        for name, files in {
            "shop-1.pem": {"shop-1.pem": shop.certificate_pem + key},
            "shop-1.crt": {"shop-1.crt": shop.certificate_pem, "shop-1.key": key},
            "shop-1/fullchain.pem": {
                "shop-1/fullchain.pem": shop.certificate_pem,
                "shop-1/privkey.pem": key,
            },
        }.items():
            with self.subTest(name):
                for file, content in files.items():
                    self.put(file, content)
                self.assertIsInstance(read_file(self.folder / name, self.now), CertificateFile)

    def test_wrong(self) -> None:
        """A wrong one is told by the variable's name; neither it nor the right one is shown."""
        self.environment(ORION_CERT_PASSWORD_SHOP="guessed")
        path = self.put("shop.pfx", issue(["shop.example"]).pfx(b"a secret"))
        self.assert_bad(path, "the password in ORION_CERT_PASSWORD_SHOP does not open it")
        self.assertNotIn("guessed", str(read_file(path, self.now)))

    def test_file_first(self) -> None:
        """The file beside it is closer than the environment."""
        self.environment(ORION_CERT_PASSWORD_SHOP="guessed")
        self.put("shop.pfx", issue(["shop.example"]).pfx(b"a secret"))
        self.put("shop.password", b"a secret\n")
        self.assertEqual(self.read_only().names, ("shop.example",))

    def test_names(self) -> None:
        """The rule of the names is one that a shell and systemd can live with."""
        for path, variable in (
            ("certs/shop.pfx", "SHOP"),
            ("certs/Web-Edit 01.example.key", "WEB_EDIT_01_EXAMPLE"),
            ("certs/_wildcard.shop.example.pem", "_WILDCARD_SHOP_EXAMPLE"),
            ("live/shop.example/privkey.pem", "SHOP_EXAMPLE"),
        ):
            self.assertEqual(password_variable(Path(path)), f"ORION_CERT_PASSWORD_{variable}")


class BelongingsTests(CertificateFolderTestCase):
    """The files whose change is a change of the certificate."""

    def test_each_form(self) -> None:
        """They are the certificate, its key, and the passwords of either."""
        for source, others in (
            ("shop.pem", "shop.key shop.pem.password shop.password shop.key.password"),
            ("shop.crt", "shop.key shop.crt.password shop.password shop.key.password"),
            ("shop.pfx", "shop.pfx.password shop.password"),
            ("shop.P12", "shop.P12.password shop.password"),
            (
                "x/fullchain.pem",
                "x/privkey.pem x/fullchain.pem.password x/fullchain.password"
                " x/privkey.pem.password x/privkey.password",
            ),
        ):
            found = belongings(Path(source))
            self.assertEqual(found, (Path(source), *map(Path, others.split())))


class StrengthTests(CertificateFolderTestCase):
    """What OpenSSL would refuse to send is told when it is read."""

    def test_weak_issuer(self) -> None:
        """An issuer with a short RSA key is refused with its name."""
        issuing = authority("Weak CA", authority(), key="rsa1024")
        shop = issue(["shop.example"], issuing)
        path = self.put("shop.pem", shop.pem, issuing.certificate_pem)
        self.assert_bad(path, "RSA key of Weak CA has 1024 bits, fewer than 2048")

    def test_weak_signature(self) -> None:
        """A certificate signed with SHA-1 is refused; one that signed itself that way is not."""
        issuing = authority("Old CA")
        for ca, words in (
            (issuing, "shop.example is signed with sha1, which clients"),
            (None, ""),
        ):
            shop = issue(["shop.example"], ca)
            weak = crypto.X509.from_cryptography(shop.certificate)
            key = crypto.PKey.from_cryptography_key((ca or shop).key)
            with catch_warnings():
                simplefilter("ignore", DeprecationWarning)  # only a test signs like this
                weak.sign(key, "sha1")
            certificate = weak.to_cryptography().public_bytes(Encoding.PEM)
            path = self.put("shop.pem", certificate, shop.key_pem)
            if words:
                self.assert_bad(path, words)
            else:
                self.assertIsNone(refusal_of(self.read_only()))

    def test_link_to_itself(self) -> None:
        """A link that leads to itself is a bad file, and hides no good one."""
        self.put("good.pem", issue(["shop.example"]).pem)
        (self.folder / "loop.pem").symlink_to("loop.pem")
        (good,), (bad,) = read_folder(self.folder, self.now)
        self.assertEqual(good.names, ("shop.example",))
        self.assertIn("loop.pem cannot be read", bad.problem)


class SideBySideTests(CertificateFolderTestCase):
    """Certificates of several key types for one name, in the list that an operator sees."""

    def test_fallback_marks(self) -> None:
        """All that answer unknown names are marked: one of each key type, while it is valid."""
        for kind in ("ec", "rsa"):
            self.put(f"{kind}.pem", issue(["a.example"], key=kind).pem)
        self.put("short.pem", issue(["a.example"], not_after=self.now + A_DAY).pem)
        old = {"not_before": self.now - 9 * A_DAY, "not_after": self.now - A_DAY}
        self.put("old.pem", issue(["a.example"], key="ed25519", **old).pem)
        good, bad = read_folder(self.folder, self.now)
        rows = show_table(good, bad, "a.example", self.now)
        marked = [row.file for row in rows if "fallback" in row.marks]
        self.assertEqual(marked, ["ec.pem", "rsa.pem"])

    def test_nothing_valid(self) -> None:
        """If none is valid they are served all the same: a warning is better than no answer."""
        old = {"not_before": self.now - 9 * A_DAY, "not_after": self.now - A_DAY}
        for kind in ("ec", "rsa"):
            self.put(f"{kind}.pem", issue(["a.example"], key=kind, **old).pem)
        good, _ = read_folder(self.folder, self.now)
        self.assertEqual(set(choose_all(good, "a.example", self.now)), set(good))
        self.assertEqual(choose_all(good, "b.example", self.now), ())
