"""Keys of tokens: what is read, what is refused, and which key is for which token."""

import os
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.fields import ALGORITHMS
from orion_twisted.net.devca import make_dev_certificates
from orion_twisted.web.token_keys import (
    MAX_KEY_FILE,
    MAX_KEYS,
    TokenKey,
    TokenKeys,
    load_keys,
    signing_key,
)
from tests.web.signers import (
    OTHER_SECRET,
    SECRET,
    private_key,
    private_pem,
    public_pem,
    verifying_data,
    write,
)

PUBLIC = ("RS256", "ES256", "EdDSA")
ED25519, ED448 = b"K2Vw", b"K2Vx"
"""What a key is, in base64: keys of the two have different lengths."""


class KeysTestCase(SynchronousTestCase):
    """Tests with a folder for keys."""

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory(prefix="orion-keys-")))

    def write(self, name: str, data: bytes) -> Path:
        return write(self.folder / name, data)

    def refusal(self, path: Path, algorithms: Sequence[str] = ALGORITHMS) -> str:
        """Return why keys cannot be read; the text names a file and shows no key."""
        text = str(self.assertRaises(ValueError, load_keys, path, algorithms))
        self.assertIn(str(self.folder), text)
        self.assertNotIn(SECRET.decode()[:8], text)
        return text.replace(f"{self.folder}/", "").replace(str(self.folder), "FOLDER")


class OneFileTests(KeysTestCase):
    """A file with one key."""

    def test_each_kind(self) -> None:
        """A key is for the algorithm of its kind, whatever else is allowed."""
        for name in ALGORITHMS:
            with self.subTest(name):
                path = self.write(name, verifying_data(name))
                for algorithms in ([name], ALGORITHMS):
                    (key,) = load_keys(path, algorithms).keys
                    self.assertEqual((key.algorithm, key.key_id), (name, None))

    def test_path_as_text(self) -> None:
        """Settings hold a text."""
        path = self.write("key", SECRET)
        self.assertEqual(load_keys(str(path), ["HS256"]), load_keys(path, ["HS256"]))

    def test_newline(self) -> None:
        """The newline that editors and `openssl rand` end a secret with is not part of it."""
        for data, secret in (
            (SECRET, SECRET),
            (SECRET + b"\n", SECRET),
            (SECRET + b"\r\n", SECRET),
            (SECRET + b"\n\n", SECRET + b"\n"),
            (SECRET + b"\r", SECRET + b"\r"),
            (SECRET + b" \n", SECRET + b" "),
            (bytes(range(255, 200, -1)), bytes(range(255, 200, -1))),
        ):
            with self.subTest(data):
                (key,) = load_keys(self.write("key", data), ["HS256"]).keys
                self.assertEqual(key.material, secret)

    def test_refused(self) -> None:
        """Each mistake has a line that says what to do."""
        other_curve = public_pem(ec.generate_private_key(ec.SECP384R1()))
        ed448_key = public_pem(ed448.Ed448PrivateKey.generate())
        small = public_pem(rsa.generate_private_key(65537, 1024))
        dsa_key = dsa.generate_private_key(2048).public_key()
        dsa_pem = dsa_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        two = verifying_data("RS256") + verifying_data("ES256")
        public = private_key("ES256").public_key()
        der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        ssh = public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
        for data, algorithms, text in (
            (b"", ALGORITHMS, "key holds a secret of 0 bytes: at least 32"),
            (b"x" * 31 + b"\n", ALGORITHMS, "key holds a secret of 31 bytes: at least 32"),
            (b"x" * (MAX_KEY_FILE + 1), ALGORITHMS, "key is larger than 16 KiB"),
            (SECRET, PUBLIC, "key holds no public key in PEM form"),
            (
                verifying_data("RS256"),
                ["HS256"],
                "key holds an RSA key for RS256, which is not in algorithms",
            ),
            (
                verifying_data("ES256"),
                ["RS256"],
                "key holds a P-256 key for ES256, which is not in algorithms",
            ),
            (
                verifying_data("EdDSA"),
                ["ES256"],
                "key holds an Ed25519 key for EdDSA, which is not in algorithms",
            ),
            (small, ALGORITHMS, "key holds an RSA key of 1024 bits: 2048 to 8192"),
            (other_curve, ALGORITHMS, "key holds a key of the curve secp384r1: ES256 needs P-256"),
            (ed448_key, ALGORITHMS, "key holds a public key that is damaged, or of an unknown"),
            (dsa_pem, ALGORITHMS, "key holds a public key that is damaged, or of an unknown"),
            (
                verifying_data("ES256").replace(b"M", b"N", 1),
                ALGORITHMS,
                "key holds a public key that is damaged, or of an unknown",
            ),
            (
                verifying_data("EdDSA").replace(ED25519, ED448, 1),
                ALGORITHMS,
                "key holds a public key that is damaged, or of an unknown",
            ),
            (two, ALGORITHMS, "key holds more than one key, or a part of one"),
            (
                verifying_data("ES256").rpartition(b"-----END")[0],
                ALGORITHMS,
                "key holds more than one key, or a part of one",
            ),
            (
                verifying_data("ES256").partition(b"\n")[2],
                ALGORITHMS,
                "key holds more than one key, or a part of one",
            ),
            (der, ALGORITHMS, "key holds a key of another kind (DER, SSH or JWK), not a secret"),
            (ssh, ALGORITHMS, "key holds a key of another kind (DER, SSH or JWK), not a secret"),
            (
                b'{"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"}',
                ALGORITHMS,
                "key holds a key of another kind (DER, SSH or JWK), not a secret",
            ),
        ):
            with self.subTest(text):
                self.assertIn(text, self.refusal(self.write("key", data), algorithms))

    def test_private_key(self) -> None:
        """A private key does not belong on the gateway, beside the public one or alone."""
        for data in (
            private_pem(private_key("ES256")),
            private_pem(private_key("RS256"), b"password"),
            public_pem(private_key("EdDSA")) + private_pem(private_key("EdDSA")),
        ):
            text = self.refusal(self.write("key", data))
            self.assertIn("key holds a private key: put only the public key there", text)
            self.assertIn("openssl pkey -pubout", text)

    def test_certificate(self) -> None:
        """A certificate is not taken for its key: nobody would check its dates."""
        make_dev_certificates(self.folder / "certs", ["localhost"], datetime.now(UTC))
        data = (self.folder / "certs" / "ca.pem").read_bytes()
        self.assertIn("key holds a certificate", self.refusal(self.write("key", data)))

    def test_unreadable(self) -> None:
        """What is no file, or cannot be read, is said; a FIFO does not make anybody wait."""
        self.assertEqual(
            self.refusal(self.folder / "absent"),
            "absent cannot be read: No such file or directory",
        )
        os.mkfifo(self.folder / "pipe")
        self.assertEqual(self.refusal(self.folder / "pipe"), "pipe is no regular file")
        self.write("file", SECRET)
        self.assertEqual(
            self.refusal(self.folder / "file" / "key"), "file/key cannot be read: Not a directory"
        )

    def test_unreadable_after_all(self) -> None:
        """A file that goes between two looks at it is a mistake like any other."""
        os.symlink("nowhere", self.folder / "key")
        self.assertEqual(
            self.refusal(self.folder), "key cannot be read: No such file or directory"
        )

    def test_repr_is_silent(self) -> None:
        """Keys that are printed by accident show their ids and algorithms."""
        keys = load_keys(self.write("key", SECRET), ["HS256"])
        self.assertEqual(repr(keys), "TokenKeys(keys=(TokenKey(key_id=None, algorithm='HS256'),))")
        self.assertNotIn("secret", repr(signing_key(keys)))


class FolderTests(KeysTestCase):
    """A folder of keys."""

    def test_ids(self) -> None:
        """Each file is a key; its name without the suffix is the id."""
        for name, data in (
            ("2026-01.pem", verifying_data("RS256")),
            ("b_2.pub", verifying_data("ES256")),
            ("c.key", SECRET),
            ("d.txt", OTHER_SECRET),
            ("E", verifying_data("EdDSA")),
            (".hidden", b"?"),
        ):
            self.write(name, data)
        found = {key.key_id: key.algorithm for key in load_keys(self.folder, ALGORITHMS).keys}
        self.assertEqual(
            found,
            {"2026-01": "RS256", "E": "EdDSA", "b_2": "ES256", "c": "HS256", "d": "HS256"},
        )

    def test_mounted(self) -> None:
        """A folder as Kubernetes mounts it, links into a hidden folder, is read."""
        (self.folder / "..2026").mkdir()
        write(self.folder / "..2026" / "a", SECRET)
        os.symlink("..2026", self.folder / "..data")
        os.symlink("..data/a", self.folder / "a")
        self.assertEqual([key.key_id for key in load_keys(self.folder, ["HS256"]).keys], ["a"])

    def test_refused(self) -> None:
        """What is in the folder and is no key is a mistake, not left out in silence."""
        self.assertEqual(self.refusal(self.folder), "FOLDER has no keys in it")
        for name in ("2026.05", "a b", "a.pem.bak", "a~", "x" * 65, "한국.pem", "a.PEM"):
            with self.subTest(name):
                path = self.write(name, SECRET)
                self.assertIn("is not named after a key", self.refusal(self.folder))
                path.unlink()
        (self.folder / "old").mkdir()
        self.assertEqual(self.refusal(self.folder), "old is no regular file")
        (self.folder / "old").rmdir()
        self.write("a.pem", verifying_data("RS256"))
        self.write("a.key", SECRET)
        self.assertEqual(self.refusal(self.folder), "FOLDER has two files for the key a")

    def test_too_many(self) -> None:
        """The number of keys has a limit; it is looked at before any is read."""
        for number in range(MAX_KEYS):
            self.write(f"key{number}", SECRET + b"%d" % number)
        self.assertEqual(len(load_keys(self.folder, ["HS256"]).keys), MAX_KEYS)
        self.write("one-more", b"")
        self.write("and-one", b"")
        self.assertEqual(self.refusal(self.folder), "FOLDER has more than 16 keys in it")

    def test_read_again(self) -> None:
        """Keys that are read again are equal if nothing has changed: a reload can tell."""
        for name in ALGORITHMS:
            self.write(name, verifying_data(name))
        before = load_keys(self.folder, ALGORITHMS)
        self.assertEqual(load_keys(self.folder, ALGORITHMS), before)
        self.write("HS256", OTHER_SECRET)
        self.assertNotEqual(load_keys(self.folder, ALGORITHMS), before)


class CandidatesTests(SynchronousTestCase):
    """`TokenKeys.candidates`."""

    def test_by_id_and_algorithm(self) -> None:
        """A key is for its own algorithm and its own id; without an id any may be meant."""
        a, b = TokenKey("a", "HS256", b""), TokenKey("b", "HS256", b"")
        c = TokenKey("c", "ES256", b"")
        keys = TokenKeys((a, b, c))
        for algorithm, key_id, found in (
            ("HS256", "a", [a]),
            ("HS256", "b", [b]),
            ("HS256", None, [a, b]),
            ("ES256", None, [c]),
            ("ES256", "a", []),
            ("HS256", "c", []),
            ("HS256", "A", []),
            ("HS256", "", []),
            ("HS256", "../a", []),
            ("hs256", "a", []),
            ("none", None, []),
            (None, None, []),
            (["HS256"], "a", []),
        ):
            with self.subTest(algorithm=algorithm, key_id=key_id):
                self.assertEqual(keys.candidates(algorithm, key_id), found)

    def test_a_single_file_has_no_id(self) -> None:
        """Servers may name their key before the operator has made a folder of it."""
        key = TokenKey(None, "HS256", b"")
        for key_id in (None, "a", ""):
            self.assertEqual(TokenKeys((key,)).candidates("HS256", key_id), [key])


class SigningKeyTests(KeysTestCase):
    """`signing_key`."""

    def test_secret(self) -> None:
        """The one secret that the gateway has signs, with its id."""
        (self.folder / "keys").mkdir()
        write(self.folder / "keys" / "a", SECRET)
        write(self.folder / "keys" / "z.pem", verifying_data("ES256"))
        key = signing_key(load_keys(self.folder / "keys", ALGORITHMS))
        self.assertEqual((key.key_id, key.algorithm, key.material), ("a", "HS256", SECRET))

    def test_several_secrets(self) -> None:
        """Which of several signs has to be said."""
        self.write("a", SECRET)
        self.write("b", OTHER_SECRET)
        keys = load_keys(self.folder, ["HS256"])
        error = self.assertRaises(ValueError, signing_key, keys)
        self.assertEqual(str(error), "there are several secrets, choose one: a, b")
        self.assertEqual(signing_key(keys, key_id="b").material, OTHER_SECRET)
        error = self.assertRaises(ValueError, signing_key, keys, key_id="c")
        self.assertEqual(str(error), "there is no secret with the id c")

    def test_private_keys(self) -> None:
        """A private key signs under the id of the public key that belongs to it."""
        (self.folder / "keys").mkdir()
        for name in ALGORITHMS:
            write(self.folder / "keys" / name, verifying_data(name))
        keys = load_keys(self.folder / "keys", ALGORITHMS)
        for name in PUBLIC:
            path = self.write("private", private_pem(private_key(name)))
            key = signing_key(keys, path)
            self.assertEqual((key.key_id, key.algorithm), (name, name))

    def test_refused(self) -> None:
        """A key whose tokens would be refused does not sign, nor one that cannot be read."""
        keys = load_keys(self.write("public", verifying_data("ES256")), ["ES256"])
        error = self.assertRaises(ValueError, signing_key, keys)
        self.assertEqual(str(error), "only public keys are here: name the file of a private one")
        for data, text in (
            (private_pem(private_key("ES256 other")), "is none of those that verify tokens"),
            (private_pem(private_key("RS256")), "is none of those that verify tokens"),
            (private_pem(private_key("ES256"), b"password"), "private is encrypted"),
            (verifying_data("ES256"), "private holds no private key in PEM form"),
            (SECRET, "private holds no private key in PEM form"),
            (
                private_pem(private_key("EdDSA")).replace(ED25519, ED448, 1),
                "private holds no private key in PEM form",
            ),
            (private_pem(ed448.Ed448PrivateKey.generate()), "of an unknown kind"),
        ):
            with self.subTest(text):
                path = self.write("private", data)
                error = self.assertRaises(ValueError, signing_key, keys, path)
                self.assertIn(text, str(error))
                self.assertIsNone(error.__context__)
