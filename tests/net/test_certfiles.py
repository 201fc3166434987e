"""Reading a folder of certificates: what is served, what is refused, and in what words."""

import os
from datetime import timedelta
from errno import EACCES
from pathlib import Path
from ssl import DER_cert_to_PEM_cert
from unittest.mock import patch

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, pkcs12
from cryptography.x509.oid import ExtensionOID

from orion_twisted.net import certfiles
from orion_twisted.net.certfiles import (
    BadCertificateFile,
    CertificateFile,
    CertificateRow,
    read_file,
    read_folder,
    show_table,
)
from tests.certificates import A_DAY, CertificateFolderTestCase, authority, empty_folder, issue

VERSION_3, VERSION_107 = b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x6a"
"""A certificate's version in DER, and one that there is not."""


class FormsTests(CertificateFolderTestCase):
    """The forms in which a certificate may lie in the folder."""

    def test_one_file_with_certificate_and_key(self) -> None:
        """NAME.pem with certificate and key is read, and says all that `certs show` tells."""
        shop = issue(["shop.example"], authority("Root CA"))
        path = self.put("shop.pem", shop.pem)
        found = self.read_only()
        self.assertEqual(
            (found.source, found.names, found.key_type, found.issuer, found.chain),
            (path, ("shop.example",), "EC P-256", "Root CA", (shop.certificate,)),
        )
        self.assertEqual(found.not_before, shop.certificate.not_valid_before_utc)
        self.assertEqual(found.not_after, shop.certificate.not_valid_after_utc)
        self.assertEqual(found.private_key.public_key(), shop.key.public_key())
        self.assertRegex(found.fingerprint, "^[0-9a-f]{64}$")

    def test_key_first(self) -> None:
        """The key may stand before the certificate, and other blocks and remarks around them."""
        shop = issue(["shop.example"])
        remark = (
            b"-----BEGIN EC PARAMETERS-----\r\nBggqhkjOPQMBBw==\r\n-----END EC PARAMETERS-----\n"
        )
        self.put("shop.pem", remark, shop.key_pem, b"subject: the shop\n", shop.certificate_pem)
        self.assertEqual(self.read_only().names, ("shop.example",))

    def test_windows_line_ends(self) -> None:
        """A file written by Windows is read like any other."""
        self.put("shop.pem", issue(["shop.example"]).pem.replace(b"\n", b"\r\n"))
        self.assertEqual(self.read_only().names, ("shop.example",))

    def test_pairs(self) -> None:
        """NAME.crt, or NAME.pem without a key, takes its key from NAME.key."""
        for name in ("one.example.crt", "two.example.pem", "three.example.CRT"):
            shop = issue([name[:-4]])
            self.put(name, shop.certificate_pem)
            self.put(f"{name[:-4]}.key", shop.key_pem)
        good, bad = read_folder(self.folder, self.now)
        self.assertEqual(bad, ())
        self.assertEqual(
            [(one.source.name, *one.names) for one in good],
            [
                ("one.example.crt", "one.example"),
                ("three.example.CRT", "three.example"),
                ("two.example.pem", "two.example"),
            ],
        )

    def test_certbot(self) -> None:
        """Certbot's folder is read as it is, through its links, and its README is no problem."""
        root = authority()
        issuing = authority("R11", root)
        shop = issue(["shop.example"], issuing)
        archive = empty_folder(self)
        (archive / "fullchain1.pem").write_bytes(shop.certificate_pem + issuing.certificate_pem)
        (archive / "privkey1.pem").write_bytes(shop.key_pem)
        self.put("README", b"This directory contains your keys and certificates.")
        lineage = self.folder / "shop.example"
        lineage.mkdir()
        for name in ("fullchain", "privkey"):
            (lineage / f"{name}.pem").symlink_to(archive / f"{name}1.pem")
        found = self.read_only()
        self.assertEqual(found.source, lineage / "fullchain.pem")
        self.assertEqual(found.chain, (shop.certificate, issuing.certificate))

    def test_certbot_without_its_key(self) -> None:
        """A folder of certbot's that lacks the key says so by the name that certbot uses."""
        path = self.put("shop.example/fullchain.pem", issue(["shop.example"]).certificate_pem)
        self.assert_bad(path, "no private key", "privkey.pem")

    def test_certbot_with_dangling_links(self) -> None:
        """A link of certbot's that leads nowhere is reported, not passed over."""
        path = self.folder / "shop.example" / "fullchain.pem"
        path.parent.mkdir()
        path.symlink_to("nowhere.pem")
        self.assert_bad(path, "fullchain.pem cannot be read", "No such file")

    def test_certbot_without_permission(self) -> None:
        """A folder of certbot's that only root may enter is reported, not passed over."""
        path = self.put("shop.example/fullchain.pem", b"")
        refusal = PermissionError(EACCES, "Permission denied")
        with (
            patch.object(Path, "lstat", side_effect=refusal),
            patch.object(Path, "stat", side_effect=refusal),
        ):
            self.assert_bad(path, "fullchain.pem cannot be read: Permission denied")

    def test_pfx(self) -> None:
        """A .pfx or .p12 is read without a password, and with one from the file beside it."""
        issuing = authority("Issuing CA", authority())
        for name, password_file in (
            ("one.pfx", None),
            ("two.p12", "two.p12.password"),
            ("three.pfx", "three.password"),
        ):
            with self.subTest(name=name):
                shop = issue(["shop.example"], issuing)
                password = None if password_file is None else b"a secret"
                path = self.put(name, shop.pfx(password, [issuing.certificate]))
                if password_file is not None:
                    self.put(password_file, b"a secret\r\n")
                found = read_file(path, self.now)
                self.assertIsInstance(found, CertificateFile)
                self.assertEqual(found.chain, (shop.certificate, issuing.certificate))

    def test_pfx_that_does_not_open(self) -> None:
        """A .pfx without its password, or with a wrong one, says where it is looked for."""
        path = self.put("shop.pfx", issue(["shop.example"]).pfx(b"a secret"))
        self.assert_bad(path, "needs its password in shop.password")
        self.put("shop.pfx.password", b"guessed")
        self.assert_bad(path, "the password in shop.pfx.password does not open it")

    def test_pfx_without_a_key(self) -> None:
        """A .pfx with certificates only, or with nothing at all, says what it lacks."""
        shop = issue(["shop.example"])
        for others, words in (([shop.certificate], "no private key"), ([], "no certificate")):
            key = shop.key if not others else None
            content = pkcs12.serialize_key_and_certificates(
                b"shop", key, None, others, NoEncryption()
            )
            self.assert_bad(self.put("shop.pfx", content), words)

    def test_encrypted_keys(self) -> None:
        """An encrypted key, of the new or the old kind, opens with the password beside it."""
        shop = issue(["shop.example"])
        self.put("shop.crt", shop.certificate_pem)
        self.put("shop.password", b"a secret\n")
        for old_style in (False, True):
            with self.subTest(old_style=old_style):
                self.put("shop.key", shop.encrypted_key_pem(b"a secret", old_style=old_style))
                self.assertEqual(self.read_only().names, ("shop.example",))

    def test_encrypted_keys_that_do_not_open(self) -> None:
        """A missing, empty or wrong password is told apart from a damaged key, and never shown."""
        shop = issue(["shop.example"])
        path = self.put("shop.pem", shop.certificate_pem, shop.encrypted_key_pem(b"a secret"))
        self.assert_bad(path, "encrypted, with no password in shop.password")
        self.put("shop.password", b"\n")
        self.assert_bad(path, "encrypted, with no password in shop.password")
        self.put("shop.password", b"guessed")
        self.assert_bad(path, "the password in shop.password does not open the private key")
        self.assertNotIn("guessed", str(read_file(path, self.now)))

    def test_what_is_no_certificate_is_left_alone(self) -> None:
        """Lone keys, hidden files and what else lies there are neither served nor a problem."""
        shop = issue(["shop.example"])
        self.put("shop.key", shop.key_pem)
        self.put(".shop.pem.f00", shop.pem[:200])
        self.put("README.md", b"# certs")
        self.put("old/shop.pem", shop.pem)
        self.assert_nothing()

    def test_no_folder(self) -> None:
        """A folder that is not there is an error of the settings, not an empty folder."""
        with self.assertRaises(FileNotFoundError):
            read_folder(self.folder / "missing", self.now)


class AuthorityTests(CertificateFolderTestCase):
    """Certificate authorities in the folder."""

    def test_skipped(self) -> None:
        """The development CA may lie in the same folder: it is not served and no problem."""
        ca = authority()
        self.put("ca.pem", ca.certificate_pem)
        self.put("ca.key", ca.encrypted_key_pem(b"never read"))
        self.put("both.pem", ca.pem)
        self.put("bundle.crt", ca.certificate_pem, authority("Another CA").certificate_pem)
        self.put("ca.pfx", ca.pfx())
        self.assert_nothing()

    def test_with_host_names(self) -> None:
        """What a bare `openssl req -x509` makes is explained, as its owner means to serve it."""
        path = self.put("localhost.pem", authority("localhost", names=["localhost"]).pem)
        self.assert_bad(path, "CA:TRUE", "localhost", "basicConstraints=critical,CA:FALSE")


class DamageTests(CertificateFolderTestCase):
    """Files that are half there, or no certificates at all."""

    def test_half_written(self) -> None:
        """Cut anywhere, a file is reported and never served."""
        pem = issue(["shop.example"], authority()).pem
        for length in range(0, len(pem) - 2, 61):
            with self.subTest(length=length):
                self.assert_bad(self.put("shop.pem", pem[:length]))

    def test_words_for_damage(self) -> None:
        """Each kind of damage has its own words."""
        shop = issue(["shop.example"])
        ed25519 = issue(["shop.example"], key="ed25519").key_pem
        garbled = shop.certificate_pem.replace(b"\nMII", b"\nAII")
        der = shop.certificate.public_bytes(Encoding.DER)
        odd_version = DER_cert_to_PEM_cert(der.replace(VERSION_3, VERSION_107, 1)).encode()
        for words, content in (
            ("shop.pem is empty", b""),
            ("no certificate in PEM form", b"hello"),
            ("no certificate in PEM form", der),
            ("a private key, but no certificate", shop.key_pem),
            ("cut off or damaged", shop.pem[:300]),
            ("certificate 1 in shop.pem is damaged", garbled + shop.key_pem),
            ("certificate 1 in shop.pem is damaged", odd_version + shop.key_pem),
            (
                "private key in shop.pem is damaged",
                shop.certificate_pem + shop.key_pem.replace(b"\nMI", b"\nAI"),
            ),
            (
                "private key in shop.pem is damaged",  # it says Ed448, and is too short for that
                shop.certificate_pem + ed25519.replace(b"K2Vw", b"K2Vx", 1),
            ),
        ):
            with self.subTest(words=words):
                self.assert_bad(self.put("shop.pem", content), words)

    def test_damaged_pfx(self) -> None:
        """A damaged .pfx is reported like any other file."""
        path = self.put("shop.pfx", issue(["shop.example"]).pfx()[:-40])
        self.assert_bad(path, "is damaged")

    def test_damaged_inside(self) -> None:
        """A certificate whose inside cannot be read is reported, and no traceback."""
        nonsense = x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, b"\x30\x05ab")
        path = self.put("shop.pem", issue([], common_name="shop.example", extra=[nonsense]).pem)
        self.assert_bad(path, "cannot be understood")
        odd = issue(["shop.example"], common_name="0shop")
        text, bits = b"\x0c\x050shop", b"\x03\x05\x00shop"
        der = odd.certificate.public_bytes(Encoding.DER).replace(text, bits)
        path = self.put("shop.pem", DER_cert_to_PEM_cert(der).encode(), odd.key_pem)
        self.assert_bad(path, "cannot be understood")

    def test_bad_files_do_not_hide_good_ones(self) -> None:
        """A bad file leaves the others in service."""
        self.put("a.pem", b"hello")
        self.put("b.pem", issue(["b.example"]).pem)
        good, bad = read_folder(self.folder, self.now)
        self.assertEqual([one.names for one in good], [("b.example",)])
        self.assertEqual([one.source.name for one in bad], ["a.pem"])

    def test_too_large(self) -> None:
        """A file above the limit is not read into memory: neither certificate nor key."""
        shop = issue(["shop.example"])
        padding = b"#" * certfiles.MAX_FILE
        path = self.put("shop.crt", shop.certificate_pem, padding)
        self.put("shop.key", shop.key_pem)
        self.assert_bad(path, "shop.crt is larger than 256 KiB")
        self.put("shop.crt", shop.certificate_pem)
        self.put("shop.key", shop.key_pem, padding)
        self.assert_bad(path, "shop.key is larger than 256 KiB")

    def test_no_regular_file(self) -> None:
        """A pipe is reported, and nobody waits for its writer."""
        os.mkfifo(self.folder / "shop.pem")
        self.assert_bad(self.folder / "shop.pem", "no regular file")

    def test_a_folder_instead_of_a_key(self) -> None:
        """A key that cannot be read is reported under its name."""
        path = self.put("shop.crt", issue(["shop.example"]).certificate_pem)
        (self.folder / "shop.key").mkdir()
        self.assert_bad(path, "shop.key is no regular file")

    def test_too_many(self) -> None:
        """Beyond the limit the first files by name are served, and the others are mentioned."""
        self.patch(certfiles, "MAX_FILES", 2)
        for name in ("c", "a", "b"):
            self.put(f"{name}.pem", issue([f"{name}.example"]).pem)
        good, (bad,) = read_folder(self.folder, self.now)
        self.assertEqual([one.source.name for one in good], ["a.pem", "b.pem"])
        self.assertEqual(bad.source, self.folder)
        self.assertIn("more than 2 certificates: those after b.pem", bad.problem)


class ShowTableTests(CertificateFolderTestCase):
    """The rows that `certs show` prints."""

    def rows(self, fallback: str | None) -> list[CertificateRow]:
        return show_table(*read_folder(self.folder, self.now), fallback, self.now)

    def test_rows(self) -> None:
        """Good and bad files stand in one list, in the order of their names."""
        ca = authority()
        ends = {"not_after": self.now + 50 * A_DAY + timedelta(hours=1)}
        shop = issue(["shop.example", "*.shop.example"], ca, **ends)
        self.put("shop/fullchain.pem", shop.certificate_pem)
        self.put("shop/privkey.pem", shop.key_pem)
        self.put("broken.pem", b"")
        self.put("old.pem", issue([], common_name="old.example", **ends).pem)
        self.assertEqual(
            self.rows("x.shop.example"),
            [
                CertificateRow("broken.pem", (), "", None, (), "broken.pem is empty"),
                CertificateRow(
                    "old.pem",
                    ("old.example",),
                    "EC P-256",
                    50,
                    ("self-signed", "common name only"),
                    None,
                ),
                CertificateRow(
                    "shop/fullchain.pem",
                    ("shop.example", "*.shop.example"),
                    "EC P-256",
                    50,
                    ("fallback",),
                    None,
                ),
            ],
        )

    def test_one_fallback(self) -> None:
        """Only the certificate that answers is marked, and none where none is set or fits."""
        for days in (9, 19):
            self.put(f"{days}.pem", issue(["a.example"], not_after=self.now + days * A_DAY).pem)
        marked = [row.file for row in self.rows("a.example") if "fallback" in row.marks]
        self.assertEqual(marked, ["19.pem"])
        for fallback in (None, "b.example"):
            self.assertFalse([row for row in self.rows(fallback) if "fallback" in row.marks])

    def test_expired(self) -> None:
        """An expired certificate is listed with days below zero and its problem."""
        life = {"not_before": self.now - 9 * A_DAY, "not_after": self.now - 3 * A_DAY}
        self.put("shop.pem", issue(["shop.example"], **life).pem)
        (row,) = self.rows(None)
        self.assertEqual(row.days_left, -3)
        self.assertIn("expired on", row.problem or "")


class ReadFileTests(CertificateFolderTestCase):
    """Reading one file by itself."""

    def test_outcomes(self) -> None:
        """A file is a certificate, a bad file, or nothing to a server."""
        good = self.put("good.pem", issue(["a.example"]).pem)
        bad = self.put("bad.pem", b"hello")
        ca = self.put("ca.pem", authority().certificate_pem)
        self.assertIsInstance(read_file(good, self.now), CertificateFile)
        self.assertIsInstance(read_file(bad, self.now), BadCertificateFile)
        self.assertIsNone(read_file(ca, self.now))

    def test_gone(self) -> None:
        """A file that has gone away is a bad file, not an exception."""
        gone = read_file(self.folder / "gone.pem", self.now)
        self.assertEqual(
            gone,
            BadCertificateFile(
                self.folder / "gone.pem", "gone.pem cannot be read: No such file or directory"
            ),
        )
