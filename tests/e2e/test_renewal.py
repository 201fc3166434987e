"""Certificates and token keys that change under a running gateway, in certbot's layout."""

from __future__ import annotations

import os
import re
import shutil
import signal
import ssl
import subprocess
import time
from pathlib import Path
from typing import ClassVar
from urllib.request import urlopen

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from orion_twisted.core.settings import TokenSettings
from orion_twisted.web.token_keys import load_keys, signing_key
from orion_twisted.web.tokens import mint
from tests.certificates import Issued, issue
from tests.e2e.answers import read_answer, upgrade
from tests.e2e.backends import Backend, echo
from tests.e2e.browsers import receive
from tests.harness import (
    PATIENCE,
    Gateway,
    GatewayTestCase,
    client_context,
    environment,
    eventually,
    free_port,
    orion_bridge,
)

SHORTLY = 2.0
"""Seconds within which a change is in service."""

KINDS = ("cert", "privkey", "chain", "fullchain")
"""Certbot's four files, in the order in which it moves their links."""

NAMES = ("localhost", "a.example", "b.example", "c.example", "d.example", "gone.example")


class RenewalTestCase(GatewayTestCase):
    """``/etc/letsencrypt`` in small: links in ``live/`` lead to files in ``archive/``."""

    gateway: ClassVar[Gateway]
    ca: ClassVar[Issued]
    archive: ClassVar[Path]
    keys: ClassVar[Path]
    admin: ClassVar[int]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        key = load_pem_private_key((cls.certificates / "ca.key").read_bytes(), None)
        authority = x509.load_pem_x509_certificate(cls.ca_file.read_bytes())
        cls.ca = Issued(authority, key)  # type: ignore[arg-type]
        letsencrypt = cls.new_folder()
        cls.archive, live = letsencrypt / "archive", letsencrypt / "live"
        live.mkdir()
        (live / "README").write_text("This directory contains your keys and certificates.")
        shutil.copy(cls.ca_file, live)
        cls.certificates = live
        cls.issued = {name: cls.renew(name, 1) for name in NAMES}
        cls.keys = cls.new_folder()
        (cls.keys / "k1").write_text("the first secret, of a length that is enough")
        cls.admin = free_port()
        backend = cls.enterClassContext(Backend(echo))
        settings = cls.settings_file(
            f"""
            admin = "tcp:{cls.admin}:interface=127.0.0.1"
            [tenant.guarded]
            hosts = ["localhost"]
            path = "/guarded"
            backend = "{backend.endpoint}"
            token = {{ key_file = "{cls.keys}" }}
            [tenant.open]
            hosts = ["*"]
            backend = "{backend.endpoint}"
            """
        )
        cls.gateway = cls.start_for_class(f"--config={settings}")

    issued: ClassVar[dict[str, Issued]]

    @classmethod
    def renew(cls, name: str, number: int, one: Issued | None = None) -> Issued:
        """Do what certbot does: write new files, then move one link after the other."""
        one = one or issue([name], cls.ca)
        cls.write(name, number, one.certificate_pem, one.key_pem)
        cls.move_links(name, number)
        return one

    @classmethod
    def write(cls, name: str, number: int, certificate: bytes, key: bytes) -> None:
        folder = cls.archive / name
        folder.mkdir(parents=True, exist_ok=True)
        chain = cls.ca.certificate_pem
        for kind, data in zip(KINDS, (certificate, key, chain, certificate + chain), strict=True):
            (folder / f"{kind}{number}.pem").write_bytes(data)

    @classmethod
    def move_links(cls, name: str, number: int) -> None:
        live = cls.certificates / name
        live.mkdir(exist_ok=True)
        for kind in KINDS:
            link = live / f"{kind}.pem"
            link.unlink(missing_ok=True)
            link.symlink_to(f"../../archive/{name}/{kind}{number}.pem")

    def handshake(self, name: str) -> ssl.SSLSocket:
        context = client_context(self.ca_file)
        context.check_hostname = False
        raw = self.gateway.dial()
        self.addCleanup(raw.close)
        connection = context.wrap_socket(raw, server_hostname=name)
        self.addCleanup(connection.close)
        return connection

    def serves(self, name: str, one: Issued) -> bool:
        """Say whether a new handshake gets a certificate."""
        with self.handshake(name) as connection:
            shown = connection.getpeercert(binary_form=True)
        return shown == one.certificate.public_bytes(Encoding.DER)

    def assert_serves_shortly(self, name: str, one: Issued) -> None:
        eventually(lambda: self.serves(name, one), f"{name} renewed", SHORTLY)

    def hang_up(self) -> None:
        os.kill(self.gateway.pid, signal.SIGHUP)

    def metric(self, name: str) -> float:
        with urlopen(f"http://127.0.0.1:{self.admin}/metrics", timeout=PATIENCE) as answer:
            text = answer.read().decode()
        match = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
        self.assertIsNotNone(match, name)
        return float(match[1]) if match else 0.0

    def show(self) -> tuple[int, str]:
        """Return the status of ``orion-bridge certs show``, and what it prints."""
        done = subprocess.run(
            orion_bridge("certs", "show", f"--folder={self.certificates}"),
            env={**environment(), "COLUMNS": "200"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr


class RenewalTests(RenewalTestCase):
    """Certificates."""

    def test_without_a_signal(self) -> None:
        """A renewed certificate is in service within 2 s; who is connected notices nothing."""
        self.assertTrue(self.serves("a.example", self.issued["a.example"]))
        with self.gateway.browser(host="a.example") as browser:
            browser.send("before")
            self.assertEqual(receive(browser, 1), ["before"])
            for number in (2, 3):
                self.assert_serves_shortly("a.example", self.renew("a.example", number))
            browser.send("after")
            self.assertEqual(receive(browser, 1), ["after"])
        with self.gateway.browser(host="a.example") as browser:
            browser.send("again")
            self.assertEqual(receive(browser, 1), ["again"])
        self.assertTrue(self.serves("localhost", self.issued["localhost"]))

    def test_with_a_signal(self) -> None:
        """So is one after SIGHUP, which also takes out of service what is gone."""
        gone, fallback = self.issued["gone.example"], self.issued["localhost"]
        self.assertTrue(self.serves("gone.example", gone))
        shutil.rmtree(self.certificates / "gone.example")
        text = "gone.example/fullchain.pem is gone"
        eventually(lambda: text in self.gateway.log, "a line about the file that is gone")
        self.assertTrue(self.serves("gone.example", gone))
        new = self.renew("b.example", 2)
        with self.gateway.browser(host="b.example") as browser:
            self.hang_up()
            self.assert_serves_shortly("b.example", new)
            self.assert_serves_shortly("gone.example", fallback)
            browser.send("still here")
            self.assertEqual(receive(browser, 1), ["still here"])

    def assert_old_stays(self, name: str, why: str, before: float) -> None:
        """Check that a file that cannot be used is told everywhere, and that the old serves."""
        eventually(
            lambda: self.metric("orion_certificates_bad_total") > before, "counted", SHORTLY
        )
        self.assertTrue(self.serves(name, self.issued[name]))
        self.assertRegex(
            self.gateway.log, rf"{name}/fullchain\.pem: .*{why}.*; the old one stays in service"
        )
        self.assertGreaterEqual(self.metric("orion_certificates_with_problems"), 1)
        status, shown = self.show()
        self.assertEqual(status, 1)
        self.assertRegex(shown, rf"{name}/fullchain\.pem.*{why}")

    def test_half_written(self) -> None:
        """A file that was written halfway leaves the old one in service until it is whole."""
        name, new = "c.example", issue(["c.example"], self.ca)
        before = self.metric("orion_certificates_bad_total")
        self.write(name, 2, new.certificate_pem[:300], new.key_pem)
        (self.archive / name / "fullchain2.pem").write_bytes(new.certificate_pem[:300])
        self.move_links(name, 2)
        self.assert_old_stays(name, "cut off", before)
        self.write(name, 2, new.certificate_pem, new.key_pem)
        self.assert_serves_shortly(name, new)

    def test_wrong_key(self) -> None:
        """So does a key that belongs to another certificate, also on SIGHUP."""
        name, new = "d.example", issue(["d.example"], self.ca)
        before = self.metric("orion_certificates_bad_total")
        self.write(name, 2, new.certificate_pem, issue([name], self.ca).key_pem)
        self.move_links(name, 2)
        self.assert_old_stays(name, "key", before)
        self.hang_up()
        time.sleep(0.3)  # that nothing happens cannot be waited for
        self.assertTrue(self.serves(name, self.issued[name]))
        self.renew(name, 3, new)
        self.assert_serves_shortly(name, new)


class TokenKeyTests(RenewalTestCase):
    """Token keys."""

    def status(self, key_id: str) -> int:
        """Return the answer to a browser with a new token of a key."""
        settings = TokenSettings(key_file=str(self.keys))
        key = signing_key(load_keys(self.keys, ["HS256"]), key_id=key_id)
        token = mint("guarded", settings, key, time.time(), 60.0)
        with self.gateway.dial_tls() as connection:
            protocols = f"Sec-WebSocket-Protocol: orion.bearer.{token}"
            connection.sendall(upgrade("/guarded", protocols))
            return read_answer(connection).status

    def test_rotation(self) -> None:
        """A new key is taken on SIGHUP, beside the old one, and the old one goes with its file."""
        self.assertEqual(self.status("k1"), 101)
        (self.keys / "k2").write_text("the second secret, of a length that is enough")
        self.assertEqual(self.status("k2"), 401)
        self.hang_up()
        eventually(lambda: self.status("k2") == 101, "the new key", SHORTLY)
        self.assertEqual(self.status("k1"), 101)

        (self.keys / "k2").write_text("too short")
        before = self.metric("orion_token_keys_bad_total")
        self.hang_up()
        eventually(
            lambda: self.metric("orion_token_keys_bad_total") == before + 1, "counted", SHORTLY
        )
        self.assertIn("the token keys of guarded stay as they were", self.gateway.log)
        self.assertNotIn("too short", self.gateway.log)
        (self.keys / "k2").write_text("the second secret, of a length that is enough")
        self.assertEqual((self.status("k1"), self.status("k2")), (101, 101))

        old = self.keys.with_name("old")
        (self.keys / "k1").rename(old)
        self.hang_up()
        eventually(lambda: self.gateway.log.count("new token keys for guarded") == 2, "replaced")
        old.rename(self.keys / "k1")
        self.assertEqual((self.status("k1"), self.status("k2")), (401, 101))
