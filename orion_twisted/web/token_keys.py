"""
The keys of a tenant's tokens: read from files, checked, and each bound to its one algorithm.

What a key is decides what it verifies: a secret HS256, an RSA key RS256, a P-256 key ES256, an
Ed25519 key EdDSA. So no token can have a public key taken for a secret, whatever its header says.

Reading blocks: on a running gateway, call it from a thread. The errors of this module are
``ValueError`` with a line for the operator, in which nothing of a key appears.
"""

import os
import re
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

import jwt
from attrs import field, frozen
from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    load_pem_private_key,
    load_pem_public_key,
)

MAX_KEYS = 16
"""Keys of one tenant: also the most signatures that one token without ``kid`` is checked with."""

MAX_KEY_FILE = 16 * 1024
"""Bytes of one file; the PEM of an RSA key of 8192 bits has about 7000, a private one included."""

LEAST_SECRET = 32
"""Bytes: RFC 7518 section 3.2 wants as many as the hash has."""

RSA_BITS = range(2048, 8192 + 1)
"""RFC 7518 section 3.3 wants 2048; verification with larger ones costs ever more time."""

SUFFIXES = frozenset({"", ".pem", ".pub", ".key", ".txt"})
"""What a key file's name may have after the key's id."""

_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
# What a damaged key is answered with; the last is for what OpenSSL finds out late.
_NO_KEY = (ValueError, UnsupportedAlgorithm, InternalError)
_PEM_MARK = re.compile(rb"-----(?:BEGIN|END) ([A-Z0-9 ]*)-----")

PublicKey: TypeAlias = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey
PrivateKey: TypeAlias = RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey


@frozen
class TokenKey:
    """
    A key that verifies tokens.

    Attributes:
        key_id: what ``kid`` calls it; None for a key that is a file of its own.
        algorithm: the one that it is for.
        material: the secret, or the public key.
    """

    key_id: str | None
    algorithm: str
    material: bytes | PublicKey = field(repr=False)


@frozen
class SigningKey:
    """A key that signs tokens; what is true of `TokenKey` is true of it."""

    key_id: str | None
    algorithm: str
    material: bytes | PrivateKey = field(repr=False)


@frozen
class TokenKeys:
    """All keys of a tenant, in the order of their ids. Equal if they verify the same."""

    keys: tuple[TokenKey, ...]

    def candidates(self, algorithm: object, key_id: str | None) -> list[TokenKey]:
        """
        Return the keys that may have signed a token, by what its header says.

        A key that is a file of its own has no id, and answers for every one. A token that names
        no key may be of any.
        """
        return [
            key
            for key in self.keys
            if key.algorithm == algorithm
            and (key_id is None or key.key_id is None or key.key_id == key_id)
        ]


def load_keys(path: Path | str, algorithms: Iterable[str]) -> TokenKeys:
    """
    Read the key of a file, or those of a folder.

    In a folder every file is a key, and its name without the suffix is the key's id; files whose
    names begin with a dot are left alone.

    Args:
        path: of the file or the folder.
        algorithms: of which each key has to be for one.

    Raises:
        ValueError: the first thing that is wrong, with the name of its file.
    """
    path = Path(path)
    algorithms = tuple(algorithms)
    try:
        is_folder = stat.S_ISDIR(path.stat().st_mode)
        names = _listed(path) if is_folder else []
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    if not is_folder:
        return TokenKeys((_verifying_key(path, None, algorithms),))
    if not names:
        raise ValueError(f"{path} has no keys in it")
    if len(names) > MAX_KEYS:
        raise ValueError(f"{path} has more than {MAX_KEYS} keys in it")
    keys: dict[str, TokenKey] = {}
    for name in sorted(names):
        key_id = _id_of(path / name)
        if key_id in keys:
            raise ValueError(f"{path} has two files for the key {key_id}")
        keys[key_id] = _verifying_key(path / name, key_id, algorithms)
    return TokenKeys(tuple(keys.values()))


def signing_key(
    keys: TokenKeys, path: Path | str | None = None, key_id: str | None = None
) -> SigningKey:
    """
    Return a key that makes tokens which ``keys`` verify.

    Args:
        keys: what the gateway has.
        path: a private key in PEM form; None to sign with a secret, which ``keys`` has.
        key_id: which secret, where there are several.

    Raises:
        ValueError: there is no such key, or the gateway has not the public one that belongs to it.
    """
    if path is not None:
        return _matching(_private_key(Path(path)), Path(path), keys.keys)
    secrets = {key.key_id: key.material for key in keys.keys if isinstance(key.material, bytes)}
    if not secrets:
        raise ValueError("only public keys are here: name the file of a private one")
    if key_id is not None:
        if key_id not in secrets:
            raise ValueError(f"there is no secret with the id {key_id}")
    elif len(secrets) > 1:
        ids = ", ".join(str(each) for each in secrets)
        raise ValueError(f"there are several secrets, choose one: {ids}")
    else:
        (key_id,) = secrets
    return SigningKey(key_id, "HS256", secrets[key_id])


def _listed(folder: Path) -> list[str]:
    """Return the names in a folder, of which there may be many: no more than say that."""
    names = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith("."):
                names.append(entry.name)
                if len(names) > MAX_KEYS:
                    break
    return names


def _id_of(path: Path) -> str:
    # An unknown suffix is no suffix: a key called 2024.05 must not become the key 2024.
    if path.suffix not in SUFFIXES or not _KEY_ID.fullmatch(path.stem):
        suffixes = ", ".join(sorted(SUFFIXES - {""}))
        raise ValueError(
            f"{path} is not named after a key: letters, digits, - and _,"
            f" and nothing more than one of {suffixes}"
        )
    return path.stem


def _verifying_key(path: Path, key_id: str | None, algorithms: Sequence[str]) -> TokenKey:
    data = _read(path)
    labels = set(_PEM_MARK.findall(data))
    if labels:
        material: bytes | PublicKey = _public_key(path, data, labels)
    elif "HS256" in algorithms:
        material = _secret(path, data)
    else:
        raise ValueError(f"{path} holds no public key in PEM form")
    algorithm, kind = _bound(path, material)
    if algorithm not in algorithms:
        raise ValueError(f"{path} holds {kind} for {algorithm}, which is not in algorithms")
    return TokenKey(key_id, algorithm, material)


def _read(path: Path) -> bytes:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # to open a FIFO would wait for its writer
            raise ValueError(f"{path} is no regular file")
        with path.open("rb") as file:
            data = file.read(MAX_KEY_FILE + 1)
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    if len(data) > MAX_KEY_FILE:
        raise ValueError(f"{path} is larger than {MAX_KEY_FILE // 1024} KiB")
    return data


def _secret(path: Path, data: bytes) -> bytes:
    secret = data.removesuffix(b"\n").removesuffix(b"\r") if data.endswith(b"\n") else data
    if len(secret) < LEAST_SECRET:
        raise ValueError(
            f"{path} holds a secret of {len(secret)} bytes: at least {LEAST_SECRET},"
            " such as those of: openssl rand -base64 48"
        )
    try:
        jwt.get_algorithm_by_name("HS256").prepare_key(secret)
    except jwt.InvalidKeyError:
        problem = f"{path} holds a key of another kind (DER, SSH or JWK), not a secret"
    else:
        return secret
    raise ValueError(problem)


def _public_key(path: Path, data: bytes, labels: set[bytes]) -> PublicKey:
    if any(label.endswith(b"PRIVATE KEY") for label in labels):
        raise ValueError(
            f"{path} holds a private key: put only the public key there,"
            " as made by: openssl pkey -pubout"
        )
    if any(label.endswith(b"CERTIFICATE") for label in labels):
        raise ValueError(
            f"{path} holds a certificate: put its public key there,"
            " as made by: openssl x509 -noout -pubkey"
        )
    if len(_PEM_MARK.findall(data)) != 2:
        raise ValueError(f"{path} holds more than one key, or a part of one")
    try:
        key = load_pem_public_key(data)
    except _NO_KEY:
        key = None
    if not isinstance(key, PublicKey):
        raise ValueError(f"{path} holds a public key that is damaged, or of an unknown kind")
    return key


def _bound(path: Path, key: bytes | PublicKey) -> tuple[str, str]:
    """Return the one algorithm that a key is for, and what to call the key."""
    if isinstance(key, bytes):
        return "HS256", "a secret"
    if isinstance(key, Ed25519PublicKey):
        return "EdDSA", "an Ed25519 key"
    if isinstance(key, RSAPublicKey):
        if key.key_size not in RSA_BITS:
            raise ValueError(
                f"{path} holds an RSA key of {key.key_size} bits:"
                f" {RSA_BITS.start} to {RSA_BITS.stop - 1}"
            )
        return "RS256", "an RSA key"
    if not isinstance(key.curve, SECP256R1):
        raise ValueError(f"{path} holds a key of the curve {key.curve.name}: ES256 needs P-256")
    return "ES256", "a P-256 key"


def _private_key(path: Path) -> PrivateKey:
    data = _read(path)
    try:
        key = load_pem_private_key(data, None)
    except TypeError:
        problem = f"{path} is encrypted: decrypt it first, as with: openssl pkey"
    except _NO_KEY:
        problem = f"{path} holds no private key in PEM form"
    else:
        if isinstance(key, PrivateKey):
            return key
        problem = f"{path} holds a private key of an unknown kind"
    raise ValueError(problem)  # out here: the error's context is that of a secret


def _matching(private: PrivateKey, path: Path, keys: Iterable[TokenKey]) -> SigningKey:
    public = private.public_key()
    for key in keys:
        if key.material == public:
            return SigningKey(key.key_id, key.algorithm, private)
    raise ValueError(f"the public key of {path} is none of those that verify tokens")
