"""Keys for tests of tokens: made once for a run, written to files where a test wants them."""

from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from orion_twisted.web.token_keys import PrivateKey

SECRET = b"swordfish, which only tests believe in"
OTHER_SECRET = b"marlin, which the same tests believe in"


@cache
def private_key(name: str) -> PrivateKey:
    """Return the key of a name that begins with its algorithm: ``RS256``, ``RS256 other``."""
    match name.split()[0]:
        case "RS256":
            return rsa.generate_private_key(65537, 2048)
        case "ES256":
            return ec.generate_private_key(ec.SECP256R1())
    return ed25519.Ed25519PrivateKey.generate()


AnyKey = PrivateKey | ed448.Ed448PrivateKey


def public_pem(key: AnyKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def private_pem(key: AnyKey, password: bytes | None = None) -> bytes:
    encryption: KeySerializationEncryption = NoEncryption()
    if password:
        encryption = BestAvailableEncryption(password)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


def verifying_data(name: str) -> bytes:
    """Return what the gateway's file of a key holds."""
    return SECRET + b"\n" if name == "HS256" else public_pem(private_key(name))


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path
