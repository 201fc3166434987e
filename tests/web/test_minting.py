"""docs/tokens.md: its programs make tokens that let in, and its tables are those of the code."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from unittest import TestCase

from attrs import NOTHING, fields

from orion_twisted.core import bearer, spent_tokens
from orion_twisted.core.bearer import REFUSALS, TokenRefused
from orion_twisted.core.fields import ALGORITHMS
from orion_twisted.core.settings import TokenSettings
from orion_twisted.web import token_keys, tokens
from orion_twisted.web.token_keys import load_keys, signing_key
from orion_twisted.web.tokens import TokenCheck, mint
from tests.documents import Block, code_in, read_page

PAGE = read_page("docs/tokens.md")
SECRET = b"swordfish, which only tests believe in"
PARENT = "https://shop1.cafe24.com"


def program(case: TestCase, name: str, package: str) -> str:
    """Return the path of a program; without it the test is left out, where CI=true it fails."""
    path = shutil.which(name)
    if path is None:
        why = f"there is no {name} (on Debian: apt-get install {package})"
        if os.environ.get("CI") == "true":
            case.fail(why)
        case.skipTest(why)
    return path


def only(kind: str) -> Block:
    """Return the one block of a kind."""
    (block,) = (each for each in PAGE.blocks if each.kind == kind)
    return block


class ExampleTests(TestCase):
    """What an integrator copies works as it stands."""

    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory(prefix="orion-mint-")))

    def run_program(self, command: list[str], key_file: Path | None = None) -> str:
        environment = {**os.environ, "ORION_TOKEN_KEY": str(key_file)}
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def check_example(self, kind: str, suffix: str, command: list[str]) -> None:
        """A token of the example is taken once, whatever the secret's file ends with."""
        script = self.folder / f"mint{suffix}"
        script.write_text(only(kind).text)
        key_file = self.folder / "secret"
        for data in (SECRET, SECRET + b"\n", SECRET + b"\r\n", bytes(range(255, 191, -1))):
            with self.subTest(data):
                key_file.write_bytes(data)
                printed = self.run_program([*command, str(script)], key_file)
                self.assertTrue(printed.endswith("\n"))
                settings = TokenSettings(key_file=str(key_file))
                keys = load_keys(key_file, settings.algorithms)
                check = TokenCheck("shop1", settings, keys, [PARENT])
                now = time.time()
                identity = check.check(printed.strip(), now)
                self.assertEqual(identity.subject, "customer-7")
                self.assertEqual(identity.parent_origin, f"{PARENT}:443")
                self.assertAlmostEqual(identity.expires, now + 60, delta=30)
                with self.assertRaises(TokenRefused) as caught:
                    check.check(printed.strip(), now)
                self.assertEqual(caught.exception.reason, "token_replayed")

    def test_php(self) -> None:
        """PHP, without any framework."""
        self.check_example("mint-php", ".php", [program(self, "php", "php-cli")])

    def test_node(self) -> None:
        """Node, without any package."""
        self.check_example("mint-node", ".mjs", [program(self, "node", "nodejs")])

    def test_python(self) -> None:
        """Python, with PyJWT."""
        self.check_example("mint-python", ".py", [sys.executable])

    def test_keys(self) -> None:
        """The key pair that the page has one make: the public half verifies, the private signs."""
        program(self, "openssl", "openssl")
        self.run_program(["sh", "-e", "-c", only("token-keys").text])
        keys = load_keys(self.folder / "keys" / "shop1", ["EdDSA"])
        key = signing_key(keys, self.folder / "shop1-private.pem")
        self.assertEqual(key.key_id, "2026-01")
        settings = TokenSettings(key_file="keys/shop1", algorithms=("EdDSA",))
        token = mint("shop1", settings, key, 1000, 60)
        self.assertEqual(TokenCheck("shop1", settings, keys).check(token, 1000).key_id, "2026-01")


class TableTests(TestCase):
    """The page says what the code does."""

    def test_refusals(self) -> None:
        """Every reason is explained, with its status, and no others."""
        documented = {
            code_in(reason)[0]: int(status)
            for reason, status, _ in PAGE.table("Why a token was refused")
        }
        self.assertEqual(documented, {reason: int(status) for reason, status in REFUSALS.items()})

    def test_settings(self) -> None:
        """Every key of `token` is there, with its default."""
        documented = {code_in(key)[0]: default for key, default, _ in PAGE.table("Settings")}
        written = {"required": NOTHING, '`["HS256"]`': ("HS256",), "`true`": True}
        written |= {'`"orion-bridge"`': "orion-bridge", '`"1 h"`': 3600.0}
        self.assertEqual(
            {key: written[default] for key, default in documented.items()},
            {each.name: each.default for each in fields(TokenSettings)},
        )

    def test_numbers(self) -> None:
        """The limits are those of the code."""
        for limit, text in (
            (tokens.MAX_TOKEN, "longer than {} characters"),
            (tokens.MAX_SUBJECT, "`sub` has more than {} characters"),
            (tokens.MAX_TOKEN_ID, "`jti` more than {}"),
            (int(tokens.LEEWAY), "Clocks may differ by {} seconds"),
            (token_keys.MAX_KEYS, "holds up to {} keys"),
            (token_keys.LEAST_SECRET, "at least {} bytes"),
            (token_keys.RSA_BITS.start, "RSA key ({} to "),
            (token_keys.RSA_BITS.stop - 1, " to {} bits)"),
        ):
            self.assertIn(text.format(limit), " ".join(PAGE.text.split()))
        self.assertIn(f"up to {spent_tokens.MOST_SPENT:,} at a time", PAGE.text)
        for word in (*ALGORITHMS, *token_keys.SUFFIXES - {""}):
            self.assertIn(f"`{word}`", PAGE.text)

    def test_places(self) -> None:
        """A page puts its token where the gateway looks for it."""
        self.assertIn(f"`{bearer.BEARER_PREFIX}${{token}}`", PAGE.text)
        self.assertIn(f"?{bearer.QUERY_NAME}=TOKEN", PAGE.text)
