"""The console script `orion-bridge`, all but its demo."""

import time
from pathlib import Path

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted import __version__, cli
from orion_twisted.cli import LIBRARIES, main
from orion_twisted.core.bearer import TokenRefused
from orion_twisted.service import performance
from orion_twisted.service.startup import read_settings
from orion_twisted.web.token_keys import load_keys
from orion_twisted.web.tokens import TokenCheck
from tests.certificates import A_DAY, authority, empty_folder, issue

LEAST = '[tenant.shop]\nhosts = ["shop.example"]\nbackend = "tcp:127.0.0.1:7000"\n'


class CommandTestCase(SynchronousTestCase):
    """A folder, and commands given in it."""

    def setUp(self) -> None:
        self.folder = empty_folder(self)
        self.certificates = self.folder / "certs"

    def run_command(self, *arguments: str) -> Result:
        result = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1"}).invoke(main, arguments)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def settings(self, text: str) -> str:
        path = self.folder / "orion-bridge.toml"
        path.write_text(text)
        return str(path)

    def put(self, name: str, content: bytes) -> Path:
        self.certificates.mkdir(exist_ok=True)
        path = self.certificates / name
        path.write_bytes(content)
        return path


class HelpTests(CommandTestCase):
    """What the script says of itself."""

    def test_commands(self) -> None:
        """Every command is named, and how the gateway itself is started."""
        result = self.run_command("--help")
        self.assertEqual(result.exit_code, 0)
        words = ("check", "certs", "demo", "doctor", "version")
        for word in (*words, "twistd -n orion-bridge --config"):
            self.assertIn(word, result.output)

    def test_short(self) -> None:
        """Each command has a help, also by -h."""
        for command in ("check", "certs", "certs dev", "certs show", "demo", "doctor"):
            result = self.run_command(*command.split(), "-h")
            self.assertEqual((result.exit_code, result.stderr), (0, ""))
            self.assertRegex(result.output, r"\AUsage: .*\n\n  [A-Z]")


class CheckTests(CommandTestCase):
    """`orion-bridge check FILE`."""

    def test_good(self) -> None:
        """A good file is described, and the exit status is 0."""
        file = self.settings('listen = ["tcp:8888"]\n' + LEAST)
        result = self.run_command("check", file)
        self.assertEqual((result.exit_code, result.stderr), (0, ""))
        lines = result.stdout.splitlines()
        self.assertEqual(lines[-1], f"{file} is good.")
        self.assertIn("tenant shop", lines)

    def test_with_certificates(self) -> None:
        """With TLS the folder of certificates is looked into."""
        self.put("localhost.pem", issue(["localhost"]).pem)
        result = self.run_command("check", self.settings('fallback = "localhost"\n' + LEAST))
        self.assertEqual((result.exit_code, result.stderr), (0, ""))

    def test_advice(self) -> None:
        """What is no mistake, but hardly meant, is said; the file is good nevertheless."""
        file = self.settings('listen = ["tcp:1"]\n' + LEAST + 'limits = { message = "9 GiB" }\n')
        result = self.run_command("check", file)
        self.assertEqual(result.exit_code, 0)
        self.assertIn("tenant.shop.limits.message: the node's 1 MiB is lower", result.stdout)

    def test_mistakes(self) -> None:
        """Every mistake is printed with its path, then their number; the status is 1."""
        file = self.settings('listen = "tcp:1"\nfallbak = "a"\n' + LEAST + 'mode = "rely"\n')
        result = self.run_command("check", file)
        self.assertEqual((result.exit_code, result.stdout), (1, ""))
        lines = result.stderr.splitlines()
        self.assertEqual(
            [line.partition(":")[0] for line in lines],
            ["listen", "fallbak", "tenant.shop.mode", "3 mistakes."],
        )
        self.assertIn('did you mean "fallback"?', lines[1])

    def test_one_mistake(self) -> None:
        """One mistake is one mistake."""
        result = self.run_command("check", self.settings(LEAST + 'mode = "rely"\n'))
        self.assertEqual(result.stderr.splitlines()[1:], ["1 mistake."])

    def test_the_machine(self) -> None:
        """What this machine does not have is a mistake, too: all of it is said."""
        result = self.run_command("check", self.settings(LEAST + 'site = "missing"\n'))
        self.assertEqual((result.exit_code, result.stdout), (1, ""))
        self.assertEqual(
            [line.partition(":")[0] for line in result.stderr.splitlines()],
            ["certificates", "tenant.shop.site", "2 mistakes."],
        )

    def test_no_file(self) -> None:
        """A file that is not there is a mistake like others."""
        result = self.run_command("check", str(self.folder / "missing.toml"))
        self.assertEqual(result.exit_code, 1)
        self.assertRegex(result.stderr, r"\Acannot read .*missing\.toml: No such file")

    def test_no_argument(self) -> None:
        """Without a file the usage is shown, with the status that shells expect."""
        self.assertEqual(self.run_command("check").exit_code, 2)


class CertsDevTests(CommandTestCase):
    """`orion-bridge certs dev NAME...`."""

    def dev(self, *arguments: str) -> Result:
        return self.run_command("certs", "dev", "--folder", str(self.certificates), *arguments)

    def test_makes(self) -> None:
        """Certificates are made for all names, and how to trust them is told."""
        result = self.dev("localhost", "*.shop1.localhost")
        self.assertEqual((result.exit_code, result.stderr), (0, ""))
        made = [line for line in result.stdout.splitlines() if line.startswith("made ")]
        self.assertEqual(len(made), 2)
        for name in ("Debian", "macOS", "Windows", "Chromium"):
            self.assertIn(name, result.stdout)
        with_keys = [
            path for path in self.certificates.iterdir() if b"PRIVATE KEY" in path.read_bytes()
        ]
        self.assertEqual(len(with_keys), 3)  # theirs, and that of the authority
        for path in with_keys:
            self.assertEqual(path.stat().st_mode & 0o777, 0o600, path)

    def test_keeps(self) -> None:
        """What is still good is kept, and made anew only when asked."""
        self.dev("localhost")
        again = self.dev("localhost")
        self.assertEqual(again.exit_code, 0)
        self.assertNotIn("made ", again.stdout)
        self.assertIn("(still good; --renew makes it anew)", again.stdout)
        self.assertRegex(self.dev("--renew", "localhost").stdout, r"made .*localhost")

    def test_bad_names(self) -> None:
        """A name that is none is refused in a line, with status 1."""
        result = self.dev("not a name")
        self.assertEqual((result.exit_code, result.stdout), (1, ""))
        self.assertRegex(result.stderr, r"\AError: .*not a name")

    def test_no_names(self) -> None:
        """Nothing is made for nobody."""
        self.assertEqual(self.dev().exit_code, 2)
        self.assertFalse(self.certificates.exists())

    def test_a_folder_that_is_none(self) -> None:
        """Where a file is in the way, that is said in a line."""
        self.certificates.write_text("in the way")
        result = self.dev("localhost")
        self.assertEqual(result.exit_code, 1)
        self.assertRegex(result.stderr, r"\AError: .*certs")


class CertsShowTests(CommandTestCase):
    """`orion-bridge certs show`."""

    def show(self, *arguments: str) -> Result:
        return self.run_command("certs", "show", "--folder", str(self.certificates), *arguments)

    def test_lists(self) -> None:
        """Every file is listed with its names, the days left, and which is the fallback."""
        ca = authority()
        self.put("shop.pem", issue(["shop.example", "*.shop.example"], ca).pem)
        self.put("localhost.pem", issue(["localhost"], ca).pem)
        result = self.show("--fallback", "localhost")
        self.assertEqual((result.exit_code, result.stderr), (0, ""))
        text = result.stdout
        for word in (
            "shop.pem",
            "shop.example",
            "*.shop.example",
            "localhost.pem",
            "89",
            "EC P-256",
        ):
            self.assertIn(word, text)
        (line,) = (line for line in text.splitlines() if "localhost.pem" in line)
        self.assertIn("fallback", line)
        self.assertEqual(sum("fallback" in line for line in text.splitlines()), 1)

    def test_few_days(self) -> None:
        """A certificate that ends soon, or has ended, is told by its days."""
        ca = authority()
        now = ca.certificate.not_valid_before_utc + A_DAY
        self.put("soon.pem", issue(["soon.example"], ca, not_after=now + 5.5 * A_DAY).pem)
        result = self.show()
        self.assertRegex(result.stdout, r"soon\.pem.* 5 ")

    def test_bad_files(self) -> None:
        """A file that cannot be used is listed with what is wrong; the status is 1."""
        self.put("good.pem", issue(["good.example"]).pem)
        self.put("lone.pem", issue(["lone.example"]).certificate_pem)
        result = self.show()
        self.assertEqual(result.exit_code, 1)
        self.assertIn("good.pem", result.stdout)
        (line,) = (line for line in result.stdout.splitlines() if "lone.pem" in line)
        self.assertIn("key", line)

    def test_nothing(self) -> None:
        """An empty folder is told, with what makes a certificate."""
        self.certificates.mkdir()
        result = self.show()
        self.assertEqual(result.exit_code, 0)
        self.assertRegex(result.stdout, r"\ANo certificates in .*certs dev localhost makes one")

    def test_no_folder(self) -> None:
        """A folder that is not there is a mistake."""
        result = self.show()
        self.assertEqual((result.exit_code, result.stdout), (1, ""))
        self.assertRegex(result.stderr, r"\Acertificates: cannot read the folder .*: No such file")

    def test_by_settings(self) -> None:
        """The folder and the fallback may come from a settings file."""
        self.put("shop.pem", issue(["shop.example"]).pem)
        file = self.settings('fallback = "shop.example"\n' + LEAST)
        result = self.run_command("certs", "show", "--config", file)
        self.assertEqual(result.exit_code, 0)
        self.assertRegex(result.stdout, "shop.pem.*fallback")
        result = self.run_command("certs", "show", "--config", self.settings("workers = 0\n"))
        self.assertEqual(result.exit_code, 1)
        self.assertIn("workers: ", result.stderr)


class TokenTests(CommandTestCase):
    """`orion-bridge token`."""

    def setUp(self) -> None:
        super().setUp()
        (self.folder / "key").write_text("a secret of at least thirty-two bytes")
        self.config = self.settings(f'{LEAST}token = {{ key_file = "key" }}')

    def test_mints(self) -> None:
        """It prints a token that lets a browser in, once."""
        result = self.run_command("token", "shop", "--config", self.config, "--subject", "me")
        self.assertEqual(result.exit_code, 0)
        settings = read_settings(Path(self.config), {}).tenants[0].token
        assert settings is not None
        check = TokenCheck("shop", settings, load_keys(settings.key_file, settings.algorithms))
        identity = check.check(result.stdout.strip(), time.time())
        self.assertEqual(identity.subject, "me")
        with self.assertRaises(TokenRefused):
            check.check(result.stdout.strip(), time.time())

    def test_mistakes(self) -> None:
        """What keeps it from minting is said in a line, and nothing else is printed."""
        plain = self.folder / "plain.toml"
        plain.write_text(LEAST)
        for arguments, text in (
            (("nobody", "--config", self.config), "no tenant nobody; it has shop"),
            (("shop", "--config", str(plain)), "has no token settings"),
            (("shop", "--config", str(self.folder / "none")), "cannot read"),
            (("shop", "--config", self.config, "--life", "soon"), "no duration"),
            (("shop", "--config", self.config, "--life", "9 h"), ""),
        ):
            with self.subTest(arguments):
                result = self.run_command("token", *arguments)
                self.assertEqual((result.exit_code, result.stdout), (1, ""))
                self.assertIn(text, result.stderr)


class VersionTests(CommandTestCase):
    """`orion-bridge version`."""

    def test_versions(self) -> None:
        """Ours comes first, then Python's and those of the libraries."""
        result = self.run_command("version")
        lines = result.stdout.splitlines()
        self.assertEqual((result.exit_code, lines[0]), (0, f"orion-twisted {__version__}"))
        versions = [line for line in lines if not line.startswith("data path: ")]
        names = [line.split(" ")[0] for line in versions[1:]]
        self.assertEqual(names, ["python", *LIBRARIES])
        for line in versions:
            self.assertRegex(line, r"\A[a-z0-9-]+ \d+\.\d+\S*\Z")

    def test_a_missing_library(self) -> None:
        """A library that is not installed is said to be missing."""
        self.patch(cli, "LIBRARIES", ("twisted", "orion-no-such-library"))
        lines = self.run_command("version").stdout.splitlines()
        self.assertIn("orion-no-such-library is missing", lines)

    def test_the_data_path(self) -> None:
        """Which parts carry messages; and of what is missing, why."""
        self.patch(performance.wsframes, "_WHY_NOT_C", "no such file")
        lines = self.run_command("version").stdout.splitlines()
        self.assertEqual(
            [line for line in lines if "data path" in line],
            [
                "data path: frames read and written in C: not in use, no such file",
                "data path: pumps from socket to socket",
                "data path: frames past Autobahn's loop",
                "data path: eager writes",
                "data path: direct dials",
                "data path: lean TLS",
                "data path: light sockets",
                "data path: rare collections of cycles",
                "data path: a heap kept for large messages",
                "data path: lean reactor",
            ],
        )
