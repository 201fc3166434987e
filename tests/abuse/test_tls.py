"""TLS for names that nobody has, and for tenants whose clients have to show a certificate."""

from __future__ import annotations

import ctypes
import os
import ssl
import struct
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import ClassVar

from tests.abuse.attack import SOON
from tests.abuse.attacker import CUT, SERVED, Attacker, Outcome, refused
from tests.abuse.siege import MARK, SiegeTestCase
from tests.abuse.test_stalls import HELLO
from tests.certificates import Issued, authority, issue
from tests.conformance.wire import Target, WireError
from tests.e2e.answers import upgrade
from tests.harness import PATIENCE, eventually

OPEN, CLOSED, OTHER = "localhost", "closed.example", "other.example"
"""Hosts of tenants: one that anybody may come to, and two with authorities of their own."""
ALERT = b"\x15\x03"
"""How an alert's record begins."""


class StrictNameTests(SiegeTestCase):
    """With ``strict_sni`` nobody gets a certificate that was not asked for by its name."""

    schemes = ("wss",)
    fallback = None
    settings = """
        strict_sni = true
        [tenant.shop1]
        hosts = ["localhost"]
        backend = "{backend}"
        """

    def refusal(self, name: str | None) -> str:
        """Return what OpenSSL's client says of a handshake for this name."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with self.gateway.dial() as raw:
            try:
                context.wrap_socket(raw, server_hostname=name).close()
            except OSError as error:
                return str(error).lower()
        return ""

    def test_unknown_names(self) -> None:
        """Names that nobody has, and handshakes without a name, end in an alert that says so."""
        names = [f"{MARK}.example", "localhost.example", "127.0.0.1", "xn--a.example", None]
        with self.watched():
            for name in names:
                with self.subTest(name):
                    self.assertRegex(self.refusal(name), "unrecognized.name")
        self.assertEqual(self.news().refused, {"tls_handshake": len(names)})

    def test_spellings(self) -> None:
        """Letter case means nothing."""
        for name in ("localhost", "LOCALHOST", "LocalHost"):
            self.assertEqual(self.refusal(name), "")

    def test_what_is_no_name(self) -> None:
        """Bytes that no host name has end the handshake, whatever they would mean elsewhere."""
        names = [
            b"loc\0lhost",
            b"../../../",
            b"*.example",
            b"localhos\xff",
            b"\xff" * 9,
            b"localhos.",
            b"local\nost",
        ]
        with self.watched():
            for name in names:
                with self.subTest(name):
                    self.assertEqual(len(name), len("localhost"))
                    plain = replace(self.targets["wss"], tls=None)
                    with Attacker(plain, PATIENCE) as attacker:
                        attacker.send(HELLO.replace(b"localhost", name))
                        outcome = attacker.outcome(SOON, hang_up=False)
                        self.assertEqual((outcome.status, outcome.ended), (None, True))
                        self.assertEqual(bytes(attacker.received[:2]), ALERT)
        self.assertEqual(self.news().refused, {"tls_handshake": len(names)})

    def test_very_many_names(self) -> None:
        """Names that are asked for once are not remembered."""
        with self.watched():
            for number in range(500):
                self.refusal(f"{MARK}-{number}.example")


class Opened:
    """
    What is opened or read in a folder, by anybody (inotify(7)).

    Args:
        folder: its files, and the folder itself, which is listed by opening it.
    """

    IN_ACCESS, IN_OPEN, IN_ISDIR = 0x1, 0x20, 0x40000000
    EVENT = struct.Struct("iIII")
    """Watch, what, cookie, and the length of the name that follows."""

    def __init__(self, folder: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._events = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        wanted = self.IN_ACCESS | self.IN_OPEN
        if libc.inotify_add_watch(self._events, os.fsencode(folder), wanted) < 0:
            raise OSError(ctypes.get_errno(), "inotify_add_watch")

    def close(self) -> None:
        os.close(self._events)

    def take(self) -> Counter[str]:
        """Return how often each file was since the last look; the folder's own name is empty."""
        found: Counter[str] = Counter()
        with suppress(BlockingIOError):
            while data := os.read(self._events, 65536):
                at = 0
                while at < len(data):
                    _, _, _, size = self.EVENT.unpack_from(data, at)
                    begin = at + self.EVENT.size
                    at = begin + size
                    found[os.fsdecode(data[begin:at].rstrip(b"\0"))] += 1
        return found


class UnknownNameTests(SiegeTestCase):
    """Where unknown names have the fallback's certificate, they cost no more than known ones."""

    schemes = ("wss",)

    def test_no_file_is_opened(self) -> None:
        """However many names are asked for, no file is opened and no folder listed for them."""
        names = 400
        opened = Opened(self.certificates)
        self.addCleanup(opened.close)
        with self.watched():
            opened.take()
            for number in range(names):
                with self.gateway.dial() as raw:
                    anonymous().wrap_socket(raw, server_hostname=f"a{number}.example").close()
            taken = opened.take()
        # The folder is listed every second, whoever comes.
        self.assertLess(taken.pop("", 0), names // 10)
        self.assertEqual(taken, {})
        (self.certificates / "new.pem").write_bytes(issue(["new.example"]).pem)
        # Our own writing is one of these times.
        eventually(lambda: taken.update(opened.take()) or taken["new.pem"] > 1, "a reader of it")


client = partial(issue, ["client.example"], for_servers=False)
"""Makes a client's certificate, by an authority or by itself."""


def client_files(folder: Path, name: str, issued: Issued, *issuers: Issued) -> ssl.SSLContext:
    """Return a client's context with a certificate of its own; the server's is not looked at."""
    path = folder / f"{name}.pem"
    path.write_bytes(issued.pem + b"".join(each.certificate_pem for each in issuers))
    context = anonymous()
    context.load_cert_chain(path)
    return context


def anonymous() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class ClientCertificateTests(SiegeTestCase):
    """A tenant with ``client_ca`` is reached with a certificate of that authority, and by its name
    alone."""

    schemes = ("wss",)
    names = (OPEN, CLOSED, OTHER)
    settings = """
        [tenant.open]
        hosts = ["localhost"]
        backend = "{backend}"
        [tenant.closed]
        hosts = ["closed.example"]
        backend = "{backend}"
        client_ca = "{authorities}/closed.pem"
        [tenant.other]
        hosts = ["other.example"]
        backend = "{backend}"
        client_ca = "{authorities}/other.pem"
        """
    authorities: ClassVar[dict[str, Issued]]

    @classmethod
    def places(cls) -> dict[str, str]:
        folder = cls.new_folder()
        cls.authorities = {}
        for name in ("closed", "other", "foreign"):
            cls.authorities[name] = authority(f"{name} clients")
            (folder / f"{name}.pem").write_bytes(cls.authorities[name].certificate_pem)
        return {**super().places(), "authorities": str(folder)}

    def come(
        self, context: ssl.SSLContext, name: str = CLOSED, host: str | None = None
    ) -> Outcome:
        """Ask for a WebSocket of a host, over TLS for a name."""
        target = Target(name, self.gateway.port, "/ws", context, "127.0.0.1")
        try:
            with Attacker(target, PATIENCE) as attacker:
                attacker.send(upgrade(f"/ws?{MARK}", host=host or name))
                outcome = attacker.outcome(SOON, b"hello")
                # In TLS 1.3 a client hears only afterwards that its certificate will not do.
                return CUT if attacker.ended and outcome.status is None else outcome
        except WireError:
            return CUT

    def test_certificates(self) -> None:
        """Nobody comes in without a certificate, or with one that somebody else has issued."""
        folder = self.new_folder()
        ca = self.authorities["closed"]
        long_ago = datetime.now(UTC) - timedelta(days=30)
        contexts = {
            "none": anonymous(),
            "self-signed": client_files(folder, "self", client()),
            "a foreign authority": client_files(
                folder, "foreign", client(self.authorities["foreign"])
            ),
            "another tenant's": client_files(folder, "other", client(self.authorities["other"])),
            "an authority of the same name": client_files(
                folder, "same", client(authority("closed clients"))
            ),
            "the authority itself, without its key": client_files(folder, "no-key", client()),
            "expired": client_files(
                folder,
                "expired",
                client(ca, not_before=long_ago, not_after=long_ago + timedelta(days=1)),
            ),
        }
        with self.watched():
            for name, context in contexts.items():
                for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                    context.minimum_version = context.maximum_version = version
                    with self.subTest(name, version=version.name):
                        self.assertEqual(self.come(context), CUT)
        self.assertEqual(self.news().refused, {"tls_handshake": 2 * len(contexts)})

    def good(self, name: str = "closed") -> ssl.SSLContext:
        issued = client(self.authorities[name])
        return client_files(self.new_folder(), "good", issued)

    def test_a_good_one(self) -> None:
        """Who has one comes in, with either version of TLS."""
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = self.good()
            context.minimum_version = context.maximum_version = version
            self.assertEqual(self.come(context), SERVED)

    def test_by_another_name(self) -> None:
        """A connection for one name does not ask for another name's tenant."""
        misdirected = refused(421)
        with self.watched():
            self.assertEqual(self.come(anonymous(), OPEN, CLOSED), misdirected)
            self.assertEqual(self.come(anonymous(), "unknown.example", CLOSED), misdirected)
            self.assertEqual(self.come(self.good("other"), OTHER, CLOSED), misdirected)
            self.assertEqual(self.come(self.good("closed"), CLOSED, OTHER), misdirected)
            self.assertEqual(self.come(anonymous(), OPEN), SERVED)
        self.assertEqual(sum(self.news().refused.values()), 4)

    def test_resumed_by_another_name(self) -> None:
        """A session that was begun for one name opens no other name's door."""
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = anonymous()
            context.minimum_version = context.maximum_version = version
            session = self.session(context, OPEN)
            with self.subTest(version.name), self.gateway.dial() as raw:
                try:
                    tls = context.wrap_socket(raw, server_hostname=CLOSED, session=session)
                    tls.sendall(upgrade(host=CLOSED))
                    self.assertEqual(tls.recv(100), b"")
                except OSError:
                    pass  # an alert is an answer, too

    def session(self, context: ssl.SSLContext, name: str) -> ssl.SSLSession:
        with self.gateway.dial() as raw:
            tls = context.wrap_socket(raw, server_hostname=name)
            tls.sendall(upgrade(host=name))
            tls.recv(100)
            session = tls.session
            assert session is not None
            tls.close()
            return session
