"""Files of keys for tokens: taken for what they are, or refused in words that tell nothing."""

from __future__ import annotations

import atexit
import re
from base64 import encodebytes
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from fuzz.taking import Taking
from orion_twisted.web.token_keys import TokenKeys, load_keys, signing_key

ALGORITHMS = ("HS256", "RS256", "ES256", "EdDSA")
LABELS = (b"", b"PUBLIC KEY", b"PRIVATE KEY", b"RSA PUBLIC KEY", b"CERTIFICATE")
"""What the bytes are wrapped in, as PEM; the first one stands for nothing."""
NAMES = ("key", "k1.pem", "k1", "k.1")

_folder = TemporaryDirectory(prefix="orion-fuzz-")
atexit.register(_folder.cleanup)
FOLDER = Path(_folder.name)

_PRIVATE = (
    ec.generate_private_key(ec.SECP256R1()),
    ed25519.Ed25519PrivateKey.generate(),
    rsa.generate_private_key(65537, 2048),
)
SEEDS = (
    b"\x00\x00\x00" + b"a secret of at least thirty-two bytes\n",
    b"\x01\x00\x0f" + b"a short one",
    *(
        b"\x02\x01\x0f"
        + key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        for key in _PRIVATE
    ),
    *(
        b"\x02\x02\x0f" + key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        for key in _PRIVATE
    ),
    b"\x03\x00\x0f-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n",
)
WORD = re.compile(rb"[!-~]{12,}")


def check(data: bytes) -> None:
    taking = Taking(data)
    name = NAMES[taking.number(len(NAMES))]
    label = LABELS[taking.number(len(LABELS))]
    wanted = taking.number(256)
    algorithms = [each for bit, each in enumerate(ALGORITHMS) if wanted >> bit & 1]
    content = taking.rest
    if label:
        content = b"-----BEGIN %s-----\n%s-----END %s-----\n" % (
            label,
            encodebytes(content),
            label,
        )
    path = FOLDER / "keys" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    try:
        for place in (path, path.parent):
            check_keys(place, algorithms or ["HS256"], content)
    finally:
        path.unlink()


def check_keys(place: Path, algorithms: list[str], content: bytes) -> None:
    try:
        keys = load_keys(place, algorithms)
    except ValueError as error:
        keys = TokenKeys(())
        check_words(str(error), content)
    for key in keys.keys:
        assert key.algorithm in algorithms
        assert isinstance(key.material, bytes) == (key.algorithm == "HS256")
        assert str(key.material) not in repr(key)
    try:
        signing_key(keys, None if place.is_dir() else place)
    except ValueError as error:
        check_words(str(error), content)


def check_words(text: str, content: bytes) -> None:
    """Nothing of a file is in what is said about it."""
    for word in WORD.findall(content):
        assert word.decode("ascii") not in text, text
