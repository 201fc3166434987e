"""From a file and flags to a gateway: every mistake of the file, and of the machine, at once."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.problems import ConfigError
from orion_twisted.core.settings import Settings
from orion_twisted.service.gateway import Gateway
from orion_twisted.service.startup import MAX_SETTINGS_FILE, prepare, read_settings
from tests.certificates import empty_folder, issue

LEAST = """
[tenant.shop]
hosts = ["*"]
backend = "tcp:127.0.0.1:7000"
"""


class StartupTestCase(SynchronousTestCase):
    """A folder with a settings file and what it names."""

    def setUp(self) -> None:
        self.folder = empty_folder(self)
        self.file = self.folder / "orion-bridge.toml"
        self.reactor: Any = MemoryReactorClock()

    def write(self, text: str) -> Path:
        self.file.write_text(text, encoding="utf-8")
        return self.file

    def read(self, text: str, flags: Mapping[str, object] | None = None) -> Settings:
        return read_settings(self.write(text), flags or {})

    def certificates(self, *names: str) -> None:
        """Put a certificate for each name into the folder ``certs``."""
        (self.folder / "certs").mkdir(exist_ok=True)
        for name in names:
            (self.folder / "certs" / f"{name}.pem").write_bytes(issue([name]).pem)

    def prepared(self, text: str) -> Gateway:
        return prepare(self.read(text), self.reactor)

    def lines(self, attempt: Any, *arguments: Any) -> list[str]:
        """Return the problems that an attempt is refused with."""
        error = self.assertRaises(ConfigError, attempt, *arguments)
        return [str(problem) for problem in error.problems]


class ReadTests(StartupTestCase):
    """`read_settings`."""

    def test_a_file(self) -> None:
        """A settings file is TOML in UTF-8."""
        settings = self.read(LEAST + 'path = "/größe"\n'.replace("ö", "o").replace("ß", "ss"))
        self.assertEqual(settings.tenants[0].path, "/grosse")

    def test_flags_alone(self) -> None:
        """Flags say the same without a file."""
        flags = {"tenant": {"default": {"backend": ["tcp:127.0.0.1:7000"]}}}
        settings = read_settings(None, flags)
        (tenant,) = settings.tenants
        self.assertEqual((tenant.name, tenant.hosts), ("default", ("*",)))
        self.assertEqual(settings.certificates, "certs")

    def test_a_flag_wins(self) -> None:
        """Where both say something, the flag wins; all else of the file stays."""
        settings = self.read(
            'fallback = "a.example"\n[limits]\nmessage = "2 MiB"\ndrain = "1 s"\n' + LEAST,
            {"fallback": "b.example", "limits": {"message": "1 KiB"}},
        )
        self.assertEqual(settings.fallback, "b.example")
        self.assertEqual((settings.limits.message, settings.limits.drain), (1024, 1.0))

    def test_folders_of_the_file(self) -> None:
        """Folders in a file are relative to where the file is, wherever it is read from."""
        settings = self.read('certificates = "keys"\n' + LEAST + 'site = "../pages"\n')
        self.assertEqual(settings.certificates, str(self.folder / "keys"))
        self.assertEqual(settings.tenants[0].site, str(self.folder / "../pages"))

    def test_key_files_of_the_file(self) -> None:
        """So are the files of keys and tokens, which stand in tables of a tenant."""
        settings = self.read(
            'dial_in = "tcp:8887"\n'
            + LEAST.replace("tcp:127.0.0.1:7000", "dial-in")
            + 'mode = "session"\nclient_ca = "ca.pem"\n'
            'token = { key_file = "keys/shop" }\ndial_in = { token_file = "keys/orion" }\n'
        )
        (tenant,) = settings.tenants
        assert tenant.token is not None
        assert tenant.dial_in is not None
        self.assertEqual(
            [tenant.client_ca, tenant.token.key_file, tenant.dial_in.token_file],
            [str(self.folder / name) for name in ("ca.pem", "keys/shop", "keys/orion")],
        )

    def test_the_default_folder(self) -> None:
        """So is the folder that is meant when the file names none."""
        self.assertEqual(self.read(LEAST).certificates, str(self.folder / "certs"))

    def test_absolute_folders(self) -> None:
        """Absolute folders stay what they are."""
        settings = self.read('certificates = "/etc/keys"\n' + LEAST + 'site = "/srv/pages"\n')
        self.assertEqual(
            (settings.certificates, settings.tenants[0].site), ("/etc/keys", "/srv/pages")
        )

    def test_folders_of_flags(self) -> None:
        """Folders in flags are relative to where the command is given."""
        flags = {"certificates": "keys", "tenant": {"default": {"site": "pages"}}}
        settings = self.read('certificates = "x"\n' + LEAST.replace("shop", "default"), flags)
        self.assertEqual((settings.certificates, settings.tenants[0].site), ("keys", "pages"))

    def test_folders_that_are_none(self) -> None:
        """What is no folder at all is a mistake of the file, not a traceback."""
        lines = self.lines(
            self.read, 'certificates = 5\n[tenant.shop]\nsite = ["a"]\n' + LEAST[15:]
        )
        self.assertEqual(
            [line.partition(":")[0] for line in lines], ["certificates", "tenant.shop.site"]
        )
        lines = self.lines(self.read, 'tenant = "shop"\n')
        self.assertEqual([line.partition(":")[0] for line in lines], ["tenant"])

    def test_no_such_file(self) -> None:
        """A file that is not there is named."""
        path = self.folder / "missing.toml"
        self.assertEqual(
            self.lines(read_settings, path, {}), [f"cannot read {path}: No such file or directory"]
        )

    def test_a_folder_instead(self) -> None:
        """A folder is no settings file."""
        self.assertEqual(
            self.lines(read_settings, self.folder, {}),
            [f"cannot read {self.folder}: Is a directory"],
        )

    def test_not_ours_to_read(self) -> None:
        """A file that may not be read is named."""
        path = self.write(LEAST)

        def refuse(*_: Any) -> None:
            raise PermissionError(13, "Permission denied")

        self.patch(Path, "open", refuse)  # root may read whatever its mode says
        self.assertEqual(
            self.lines(read_settings, path, {}), [f"cannot read {path}: Permission denied"]
        )

    def test_no_toml(self) -> None:
        """What is no TOML is refused with the place of the mistake."""
        (line,) = self.lines(self.read, "[tenant.shop\n")
        self.assertRegex(line, r"orion-bridge\.toml is no TOML: .*line 1")

    def test_odd_toml(self) -> None:
        """Whatever the reader of TOML stumbles over is a mistake, and no traceback."""
        for text in (b"\xff\xfe", b"a = " + b"9" * 5000, b"a = " + b"[" * 100_000, b"\0"):
            with self.subTest(f"{text!r:.20}"):
                self.file.write_bytes(text)
                (line,) = self.lines(read_settings, self.file, {})
                self.assertIn("orion-bridge.toml is no TOML: ", line)

    def test_too_large(self) -> None:
        """A file beyond any sense is not read to its end."""
        self.file.write_bytes(b"#" * (MAX_SETTINGS_FILE + 1))
        (line,) = self.lines(read_settings, self.file, {})
        self.assertRegex(line, f"orion-bridge.toml is larger than {MAX_SETTINGS_FILE} bytes")
        self.write("#" * (MAX_SETTINGS_FILE - len(LEAST)) + LEAST)
        self.assertEqual(len(read_settings(self.file, {}).tenants), 1)

    def test_every_mistake(self) -> None:
        """Mistakes of the file and of the flags come together."""
        lines = self.lines(
            self.read, 'lissten = ["tls:1"]\n' + LEAST + 'mode = "rely"\n', {"workers": 0}
        )
        self.assertEqual(
            [line.partition(":")[0] for line in lines], ["lissten", "tenant.shop.mode", "workers"]
        )


class PrepareTests(StartupTestCase):
    """`prepare`."""

    def test_ready(self) -> None:
        """With all that the settings name there is a gateway, and nothing listens yet."""
        self.certificates("localhost", "shop.example")
        (self.folder / "pages").mkdir()
        gateway = self.prepared('fallback = "localhost"\n' + LEAST + 'site = "pages"\n')
        self.assertIsInstance(gateway, Gateway)
        self.assertEqual((gateway.ports, self.reactor.tcpServers), ([], []))

    def test_no_tls_no_certificates(self) -> None:
        """Where nothing listens with TLS nobody asks for certificates."""
        self.prepared('listen = ["tcp:8888"]\n' + LEAST)

    def test_no_folder(self) -> None:
        """A folder of certificates that is not there is named, with what makes one."""
        (line,) = self.lines(self.prepared, LEAST)
        self.assertRegex(
            line,
            r"\Acertificates: cannot read the folder .*certs: No such file or directory \(orion",
        )

    def test_an_empty_folder(self) -> None:
        """A folder without a certificate is as good as none."""
        self.certificates()
        (line,) = self.lines(self.prepared, LEAST)
        self.assertRegex(line, r"\Acertificates: no usable certificate in .*certs\Z")

    def test_nothing_usable(self) -> None:
        """What is wrong with each of the files is said."""
        self.certificates()
        lone = issue(["a.example"]).certificate_pem
        (self.folder / "certs" / "broken.pem").write_bytes(lone)
        (line,) = self.lines(self.prepared, LEAST)
        self.assertRegex(line, r"\Acertificates: no usable certificate in .*certs \(broken\.pem: ")

    def test_some_bad(self) -> None:
        """One bad file among good ones keeps nobody from starting."""
        self.certificates("localhost")
        (self.folder / "certs" / "broken.pem").write_bytes(issue(["a.example"]).certificate_pem)
        self.assertIsInstance(self.prepared(LEAST), Gateway)

    def test_no_fallback(self) -> None:
        """A fallback that no certificate has is named, with the names that there are."""
        self.certificates("localhost", "shop.example")
        (line,) = self.lines(self.prepared, 'fallback = "other.example"\n' + LEAST)
        self.assertRegex(
            line,
            r"\Afallback: no certificate for other\.example in .*certs "
            r"\(there are some for localhost, shop\.example\)\Z",
        )

    def test_no_site(self) -> None:
        """A folder of pages has to be there, and to be a folder."""
        self.certificates("localhost")
        (self.folder / "page").write_text("hello")
        for site in ("missing", "page"):
            (line,) = self.lines(self.prepared, LEAST + f'site = "{site}"\n')
            self.assertRegex(line, rf"\Atenant\.shop\.site: there is no folder .*{site}\Z")

    def test_trust_roots(self) -> None:
        """What a `tls:` backend names has to be there, too."""
        self.certificates("localhost")
        backend = "tls:orion.example:7001:trustRoots=/missing/roots"
        (line,) = self.lines(self.prepared, LEAST.replace("tcp:127.0.0.1:7000", backend))
        self.assertEqual(
            line,
            "tenant.shop.backend: cannot read /missing/roots: No such file or directory",
        )

    def test_a_client_certificate(self) -> None:
        """So has the certificate that it shows to its backend."""
        self.certificates("localhost")
        backend = "tls:orion.example:7001:certificate=/missing/orion.pem"
        (line,) = self.lines(self.prepared, LEAST.replace("tcp:127.0.0.1:7000", backend))
        self.assertEqual(
            line,
            "tenant.shop.backend: cannot read /missing/orion.pem: No such file or directory",
        )

    def test_files_that_are_none(self) -> None:
        """What a `tls:` backend names has to be of use, and it is said which tenant's is not."""
        self.certificates("localhost")
        (self.folder / "odd.pem").write_text("odd")
        for part in ("trustRoots", "certificate"):
            path = self.folder if part == "trustRoots" else self.folder / "odd.pem"
            backend = f"tls:orion.example:7001:{part}={path}"
            (line,) = self.lines(self.prepared, LEAST.replace("tcp:127.0.0.1:7000", backend))
            self.assertRegex(
                line, r"\Atenant\.shop\.backend: a file that it names is of no use: ."
            )

    def test_no_socket_of_systemd(self) -> None:
        """A socket that systemd does not hand over is a mistake, and no traceback."""
        self.patch(os, "environ", {})
        (line,) = self.lines(
            self.prepared, 'listen = ["tcp:8888", "systemd:domain=INET:index=0"]\n' + LEAST
        )
        self.assertRegex(line, r"\Alisten\[1\]: ")

    def test_every_mistake_of_the_machine(self) -> None:
        """All that is missing is said at once, each with its path."""
        backend = "tls:orion.example:7001:trustRoots=/missing"
        text = LEAST.replace("tcp:127.0.0.1:7000", backend) + 'site = "missing"\n'
        lines = self.lines(self.prepared, text)
        self.assertEqual(
            [line.partition(":")[0] for line in lines],
            ["certificates", "tenant.shop.site", "tenant.shop.backend"],
        )


DIALLED = """
listen = ["tcp:8888"]
dial_in = ["tcp:8887:interface=127.0.0.1", "unix:/run/engines.sock:mode=660", "ws:/orion"]

[tenant.Shop]
hosts = ["*"]
backend = "dial-in"
mode = "session"
dial_in = { token_file = "keys/engines" }
"""
SECRET = "an-engine-shows-this-3f1a"


class DialInTests(StartupTestCase):
    """Backends that dial in."""

    def secrets(self, text: str) -> Path:
        """Write the file of secrets."""
        file = self.folder / "keys" / "engines"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def test_secrets(self) -> None:
        """What lets backends in is read at the start, whatever the case of the tenant's name."""
        self.secrets(f"{SECRET}\n")
        gateway = self.prepared(DIALLED)
        self.assertEqual(list(gateway.dial_ins.secrets), ["shop"])
        self.assertTrue(gateway.dial_ins.secrets["shop"].match(SECRET))

    def test_no_secrets(self) -> None:
        """A file that is missing, or of no use, is named, and nothing starts."""
        path = self.folder / "keys" / "engines"
        line = f"tenant.Shop.dial_in.token_file: {path} cannot be read: No such file or directory"
        self.assertEqual(self.lines(self.prepared, DIALLED), [line])
        for text, why in (("", "no secret in it"), ("short", "less than 16 characters")):
            self.secrets(text)
            (line,) = self.lines(self.prepared, DIALLED)
            self.assertRegex(line, rf"\Atenant\.Shop\.dial_in\.token_file: {path} has .*{why}\Z")

    def test_listeners(self) -> None:
        """Backends have listeners of their own, opened with those for browsers; a path of a
        WebSocket has none."""
        self.secrets(SECRET)
        gateway = self.prepared(DIALLED)
        gateway.privilegedStartService()
        kinds = {
            server[0]: type(server[1]).__name__
            for server in (*self.reactor.tcpServers, *self.reactor.unixServers)
        }
        self.assertEqual(
            kinds,
            {8888: "GateFactory", 8887: "DialInFactory", "/run/engines.sock": "DialInFactory"},
        )
        self.assertEqual([server[3] for server in self.reactor.tcpServers], ["", "127.0.0.1"])

    def test_read_again(self) -> None:
        """SIGHUP reads the file again, and what it says then is what lets in."""
        file = self.secrets(SECRET)
        gateway = self.prepared(DIALLED)
        reload: Any = gateway.getServiceNamed("reload")
        (files,) = reload._dial_ins
        self.assertEqual((files.tenant, files.path, files.door), ("Shop", file, gateway.dial_ins))


class ListenTests(StartupTestCase):
    """What listens, once it starts."""

    def test_listeners(self) -> None:
        """Every listener of the settings is opened, on its interface."""
        self.certificates("localhost")
        gateway = self.prepared(
            'listen = ["tls:8889", "tcp:8888:interface=127.0.0.1", "unix:/run/orion.sock"]\n'
            + LEAST
        )
        gateway.privilegedStartService()
        self.assertEqual(
            [(server[0], server[3]) for server in self.reactor.tcpServers],
            [(8889, ""), (8888, "127.0.0.1")],
        )
        self.assertEqual([server[0] for server in self.reactor.unixServers], ["/run/orion.sock"])

    def test_tls_or_plain(self) -> None:
        """TLS is spoken by the listeners that say so, and by no other."""
        self.certificates("localhost")
        gateway = self.prepared('listen = ["tls:8889", "tcp:8888"]\n' + LEAST)
        gateway.privilegedStartService()
        names = [type(server[1]).__name__ for server in self.reactor.tcpServers]
        self.assertEqual(len(set(names)), 2, names)

    def test_private_keys_stay_private(self) -> None:
        """Starting changes nothing in the folder of certificates."""
        self.certificates("localhost")
        path = self.folder / "certs" / "localhost.pem"
        path.chmod(0o600)
        before = sorted(os.listdir(path.parent)), path.stat().st_mtime_ns
        self.prepared(LEAST)
        self.assertEqual(before, (sorted(os.listdir(path.parent)), path.stat().st_mtime_ns))
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o600)
