"""
TLS as a scanner sees it: sslyze, with Mozilla's recommendations ("intermediate") as the measure.

sslyze wants an older `cryptography` than the gateway's OpenSSL comes with, so it has a virtual
environment of its own beside the checkout's, made once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import unittest
from pathlib import Path
from typing import Any, ClassVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.certificates import Issued, issue
from tests.harness import REPOSITORY, GatewayTestCase, free_port, make_certificates

SSLYZE = "sslyze >= 6.3, < 7"
ENVIRONMENT = REPOSITORY / ".venv-sslyze"
INSTALL_TIMEOUT = 300.0
"""Seconds for making the environment, once."""
SCAN_TIMEOUT = 120.0
"""Seconds for one scan, which takes one or two."""


def sslyze(test: unittest.TestCase) -> str:
    """Return the interpreter that has sslyze; end the test if it cannot be had."""
    python = ENVIRONMENT / "bin" / "python"
    complete = ENVIRONMENT / "complete"
    if complete.exists() and complete.read_text() == SSLYZE:
        return str(python)
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for command in (
        [sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)],
        [*install, SSLYZE],
    ):
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=INSTALL_TIMEOUT,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            text = f"sslyze cannot be installed: {done.stderr.strip()[-300:]}"
            if os.environ.get("CI") == "true":
                test.fail(text)
            test.skipTest(text)
    complete.write_text(SSLYZE)
    return str(python)


def authority_of(ca_file: Path) -> Issued:
    """Return the development authority, to issue certificates of another life and kind."""
    key = load_pem_private_key(ca_file.with_suffix(".key").read_bytes(), None)
    return Issued(x509.load_pem_x509_certificate(ca_file.read_bytes()), key)  # type: ignore[arg-type]


class ScanTests(GatewayTestCase):
    """One scan of a gateway with ECDSA and RSA certificates of 90 days side by side."""

    report: ClassVar[dict[str, Any]]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        python = sslyze(cls("test_mozilla_intermediate"))
        make_certificates(cls.certificates, "localhost")
        ca = authority_of(cls.ca_file)
        for kind in ("ec", "rsa"):
            names = ["localhost", "127.0.0.1"]
            (cls.certificates / f"{kind}.pem").write_bytes(issue(names, ca, key=kind).pem)
        (cls.certificates / "localhost.pem").unlink()
        gateway = cls.start_for_class(
            f"--backend=tcp:127.0.0.1:{free_port()}",
            # A scanner is impatient, and comes with many connections at once.
            "--limit=pending_handshakes_per_ip=500",
        )
        found = cls.new_folder() / "report.json"
        done = subprocess.run(
            [
                python,
                "-W",
                "ignore",
                "-m",
                "sslyze",
                "--mozilla_config=intermediate",
                "--certinfo",
                f"--certinfo_ca_file={cls.ca_file}",
                "--elliptic_curves",
                "--reneg",
                "--compression",
                "--early_data",
                "--heartbleed",
                "--openssl_ccs",
                "--robot",
                "--fallback",
                "--ems",
                "--resum",
                f"--json_out={found}",
                f"localhost:{gateway.port}",
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SCAN_TIMEOUT,
            text=True,
            check=False,
        )
        cls.output = done.stdout + done.stderr
        cls.status = done.returncode
        (result,) = json.loads(found.read_text())["server_scan_results"]
        cls.report = result["scan_result"]

    output: ClassVar[str]
    status: ClassVar[int]

    def result(self, name: str) -> Any:
        """Return what one of the scanner's commands has found."""
        attempt = self.report[name]
        self.assertEqual(attempt["status"], "COMPLETED", attempt)
        return attempt["result"]

    def test_mozilla_intermediate(self) -> None:
        """Mozilla's recommendations are met, with certificates as Let's Encrypt issues them."""
        self.assertEqual(self.status, 0, self.output[-3000:])
        self.assertIn("OK - Compliant", self.output)

    def test_both_certificates(self) -> None:
        """The scanner is shown the ECDSA and the RSA certificate, and each chain is in order."""
        found = self.result("certificate_info")["certificate_deployments"]
        kinds = {
            each["received_certificate_chain"][0]["public_key"]["algorithm"] for each in found
        }
        self.assertEqual(kinds, {"ECPublicKey", "RSAPublicKey"})
        for each in found:
            self.assertTrue(each["received_chain_has_valid_order"])
            self.assertFalse(each["received_chain_contains_anchor_certificate"])

    def test_groups(self) -> None:
        """The groups are X25519, P-256 and P-384, and no others."""
        found = self.result("elliptic_curves")["supported_curves"]
        self.assertEqual({each["name"] for each in found}, {"X25519", "secp256r1", "secp384r1"})

    def test_no_renegotiation(self) -> None:
        """No client can make the gateway negotiate again; the safe form is known all the same."""
        found = self.result("session_renegotiation")
        self.assertFalse(found["is_vulnerable_to_client_renegotiation_dos"])
        self.assertTrue(found["supports_secure_renegotiation"])

    def test_no_compression(self) -> None:
        """TLS compression is off."""
        self.assertFalse(self.result("tls_compression")["supports_compression"])

    def test_no_early_data(self) -> None:
        """Nothing is taken before the handshake is done: it could be replayed."""
        self.assertFalse(self.result("tls_1_3_early_data")["supports_early_data"])

    def test_versions(self) -> None:
        """TLS 1.2 and 1.3 are spoken, and nothing older."""
        for name in ("ssl_2_0", "ssl_3_0", "tls_1_0", "tls_1_1"):
            found = self.result(f"{name}_cipher_suites")["accepted_cipher_suites"]
            self.assertEqual(found, [], name)
        for name in ("tls_1_2", "tls_1_3"):
            found = self.result(f"{name}_cipher_suites")["accepted_cipher_suites"]
            suites = [each["cipher_suite"]["name"] for each in found]
            self.assertTrue(suites)
            for suite in suites:
                self.assertRegex(suite, "GCM|CHACHA20")

    def test_old_attacks(self) -> None:
        """The attacks that have names find nothing."""
        self.assertFalse(self.result("heartbleed")["is_vulnerable_to_heartbleed"])
        self.assertFalse(self.result("openssl_ccs_injection")["is_vulnerable_to_ccs_injection"])
        self.assertIn("NOT_VULNERABLE", self.result("robot")["robot_result"])
        self.assertTrue(self.result("tls_fallback_scsv")["supports_fallback_scsv"])
        self.assertTrue(self.result("tls_extended_master_secret")["supports_ems_extension"])
