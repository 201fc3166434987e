"""Files of certificates: read, checked, or refused with a reason; never a traceback."""

from __future__ import annotations

import atexit
from base64 import encodebytes
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from fuzz.taking import Taking
from orion_twisted.net.certchecks import Unusable
from orion_twisted.net.certfiles import BadCertificateFile, CertificateFile, read_folder
from orion_twisted.net.clientca import read_client_ca
from orion_twisted.net.devca import make_dev_certificates
from orion_twisted.net.tlspolicy import refusal_of

NOW = datetime.now(UTC)
NAMES = (
    "shop.pem",
    "shop.crt",
    "shop.key",
    "shop.pfx",
    "shop.pfx.password",
    "a.example/fullchain.pem",
    "a.example/privkey.pem",
)

_folder = TemporaryDirectory(prefix="orion-fuzz-")
atexit.register(_folder.cleanup)
FOLDER = Path(_folder.name) / "certs"
_made = make_dev_certificates(Path(_folder.name) / "dev", ["shop.example"], NOW)
PEM = (_made.ca_file.parent / "shop.example.pem").read_bytes()
CHAIN, _, _KEY = PEM.partition(b"-----BEGIN PRIVATE KEY-----")
KEY = b"-----BEGIN PRIVATE KEY-----" + _KEY
SHORT_KEY = ed25519.Ed25519PrivateKey.generate().private_bytes(
    Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
)


def der(pem: bytes) -> bytes:
    return x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)


def key_der(pem: bytes) -> bytes:
    key = load_pem_private_key(pem, None)
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


# The first byte says which file it is, the second one how it is wrapped.
SEEDS = (
    b"\x00\x00" + PEM,
    b"\x00\x00" + KEY + CHAIN,
    b"\x00\x00" + CHAIN,
    b"\x00\x00" + _made.ca_file.read_bytes(),
    b"\x00\x01" + der(CHAIN),
    b"\x05\x01" + der(CHAIN),
    b"\x00\x01" + der(_made.ca_file.read_bytes()),
    b"\x00\x02" + key_der(KEY),
    b"\x00\x02" + key_der(SHORT_KEY),
    b"\x01\x00" + CHAIN,
    b"\x02\x00" + KEY,
    b"\x03\x00" + b"0\x82\x01\x00\x02\x01\x03",
    b"\x04\x00" + b"password\r\n",
    b"\x05\x00" + CHAIN + CHAIN,
    b"\x06\x00" + KEY,
)


def check(data: bytes) -> None:
    taking = Taking(data)
    path = FOLDER / NAMES[taking.number(len(NAMES))]
    wrapped = taking.number(3)
    content = taking.rest
    if wrapped == 1:
        content = in_pem(b"CERTIFICATE", content) + KEY
    elif wrapped == 2:
        content = CHAIN + in_pem(b"PRIVATE KEY", content)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    try:
        check_folder()
        with suppress(Unusable):
            read_client_ca(path, "shop")
    finally:
        path.unlink()


def in_pem(label: bytes, content: bytes) -> bytes:
    return b"-----BEGIN %s-----\n%s-----END %s-----\n" % (label, encodebytes(content), label)


def check_folder() -> None:
    good, bad = read_folder(FOLDER, NOW)
    assert len(good) + len(bad) <= 1
    for one in good:
        assert isinstance(one, CertificateFile)
        assert one.names
        refusal_of(one)
    for other in bad:
        assert isinstance(other, BadCertificateFile)
        assert other.problem
        assert "PRIVATE" not in other.problem
