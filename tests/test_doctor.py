"""`orion-bridge doctor`: against real gateways, well and ill, and against what is none."""

from __future__ import annotations

import base64
import hashlib
import re
import ssl
import subprocess
import time
from datetime import UTC, datetime
from typing import Any, ClassVar

from twisted.internet import reactor as global_reactor
from twisted.trial.unittest import TestCase

from orion_twisted.cli import TOKEN_VARIABLE
from orion_twisted.client.doctor import Finding, Patient, Verdict, examine
from orion_twisted.client.target import parse_url, read_authorities
from orion_twisted.core.settings import TokenSettings
from orion_twisted.web.token_keys import load_keys, signing_key
from orion_twisted.web.tokens import mint
from tests.certificates import A_DAY, Issued, authority, issue
from tests.client.peer import CLOSE, GUID, PING, PONG, TEXT, frame
from tests.e2e.backends import Backend, Peer, Talk, echo, sends, silent, silent_stream
from tests.harness import (
    Gateway,
    GatewayTestCase,
    environment,
    free_port,
    orion_bridge,
)

reactor: Any = global_reactor

SECRET = "a secret of the tests, of a length that is enough"
WELL = ["name", "tcp", "tls", "chain", "names", "expiry", "sni", "http", "upgrade", "subprotocol"]


class DoctorTestCase(GatewayTestCase, TestCase):
    """Examinations on this process's reactor."""

    timeout = 120

    async def examine(self, url: str, **options: Any) -> list[Finding]:
        """Return what is found; whether it is well has to agree with that."""
        findings: list[Finding] = []
        patient = Patient(parse_url(url), **{"trusted": read_authorities(self.ca_file), **options})
        is_well = await examine(patient, findings.append, reactor)
        self.assertIs(is_well, all(each.verdict is not Verdict.BAD for each in findings))
        for each in findings:
            self.assertEqual(bool(each.advice), each.verdict is not Verdict.GOOD, each)
        return findings

    def steps(self, findings: list[Finding]) -> list[str]:
        return [each.step for each in findings]

    def assert_bad(self, findings: list[Finding], step: str, *words: str) -> Finding:
        """Check that the last finding is the one bad one, and what it says."""
        self.assertEqual(
            [each.step for each in findings if each.verdict is Verdict.BAD], [step], findings
        )
        for word in words:
            self.assertIn(word, f"{findings[-1].text}\n{findings[-1].advice}")
        self.assertEqual(findings[-1].step, step)
        return findings[-1]

    def settings(self, backend: str, more: str = "", top: str = "") -> str:
        path = self.settings_file(
            f'{top}\n[tenant.shop1]\nhosts = ["localhost"]\nbackend = "{backend}"\n{more}\n'
        )
        return f"--config={path}"


class WellTests(DoctorTestCase):
    """Gateways in good health."""

    gateway: ClassVar[Gateway]
    backend: ClassVar[Backend]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.backend = cls.enterClassContext(Backend(echo))
        cls.gateway = cls.start_for_class(f"--backend={cls.backend.endpoint}")

    async def test_relay(self) -> None:
        """Every step is good, and its finding says something that can be checked."""
        findings = await self.examine(self.gateway.url())
        self.assertEqual(self.steps(findings), [*WELL, "ping", "close"])
        said = {each.step: each.text for each in findings}
        for step, words in (
            ("name", "localhost is 127.0.0.1"),
            ("tcp", f"127.0.0.1 port {self.gateway.port} in "),
            ("tls", "TLSv1.3, TLS_AES_"),
            ("tls", "ALPN http/1.1"),
            ("chain", "localhost <- orion-twisted development CA"),
            ("names", "for localhost, 127.0.0.1, ::1"),
            ("sni", "gets the certificate for localhost"),
            ("http", "426 to a plain GET on /ws"),
            ("upgrade", "101 in "),
            ("subprotocol", "none"),
            ("ping", "5 round trips"),
            ("close", "1000, answered with 1000"),
        ):
            with self.subTest(step):
                self.assertIn(words, said[step])
        self.assertRegex(said["expiry"], r"^36\d days left$")

    async def test_by_address(self) -> None:
        """Where there is no name, nothing is said of one."""
        findings = await self.examine(self.gateway.url(host="127.0.0.1"))
        self.assertEqual(self.steps(findings)[:5], ["tcp", "tls", "chain", "names", "expiry"])
        self.assertNotIn("sni", self.steps(findings))

    async def test_session(self) -> None:
        """In session mode it says hello, and bye: no session is left behind."""
        admin = free_port()
        gateway = self.start(
            self.settings(
                self.backend.endpoint,
                'mode = "session"\ndialect = "orion.v2"\nsession = { window = 7 }',
                f'admin = "tcp:{admin}:interface=127.0.0.1"',
            )
        )
        findings = await self.examine(gateway.url())
        self.assertEqual(self.steps(findings), [*WELL, "hello", "ping", "close"])
        said = {each.step: each.text for each in findings}
        self.assertIn("orion.v2", said["subprotocol"])
        self.assertIn("7 messages", said["hello"])
        self.assertIn("kept 120 s", said["hello"])

    async def test_plain(self) -> None:
        """Without TLS everything else is looked at, and that is remarked."""
        gateway = self.start(f"--backend={self.backend.endpoint}", scheme="tcp", fallback=None)
        findings = await self.examine(gateway.url())
        notes = [each.step for each in findings if each.verdict is Verdict.NOTE]
        self.assertEqual(notes, ["tls"])
        self.assertEqual(self.steps(findings)[-2:], ["ping", "close"])

    async def test_strict_sni(self) -> None:
        """A gateway that refuses unknown names is as right as one that has a fallback."""
        gateway = self.start(
            self.settings(self.backend.endpoint, top="strict_sni = true"), fallback=None
        )
        findings = await self.examine(gateway.url())
        (sni,) = [each for each in findings if each.step == "sni"]
        self.assertIn("an unknown name is refused", sni.text)
        self.assertIs(sni.verdict, Verdict.GOOD)


class RefusedTests(DoctorTestCase):
    """A gateway that does not let everybody in."""

    async def test_path(self) -> None:
        """A wrong path is seen twice, and the setting is named."""
        with Backend(echo) as backend:
            gateway = self.start(f"--backend={backend.endpoint}")
            findings = await self.examine(gateway.url("/socket"))
        bad = [each for each in findings if each.verdict is Verdict.BAD]
        self.assertEqual([each.step for each in bad], ["http", "upgrade"])
        for each in bad:
            self.assertIn("404", each.text)
            self.assertIn("`path`", each.advice)

    async def test_host(self) -> None:
        """A host that no tenant has."""
        with Backend(echo) as backend:
            gateway = self.start(self.settings(backend.endpoint))
            findings = await self.examine(gateway.url(host="127.0.0.1"))
        self.assertIn("421", findings[-1].text)
        self.assertIn("`hosts`", findings[-1].advice)

    async def test_no_backend(self) -> None:
        """The gateway is well, and what is behind it is not there."""
        gateway = self.start(self.settings(f"tcp:127.0.0.1:{free_port()}"))
        findings = await self.examine(gateway.url())
        self.assert_bad(findings, "upgrade", "503", "`backend`")

    async def test_origin(self) -> None:
        """A page's origin that is not listed, and one that is."""
        with Backend(echo) as backend:
            gateway = self.start(
                self.settings(backend.endpoint, 'origins = ["https://shop.example"]')
            )
            findings = await self.examine(gateway.url(), origin="https://other.example")
            self.assert_bad(findings, "upgrade", "403", "--origin")
            findings = await self.examine(gateway.url(), origin="https://shop.example")
            self.assertEqual(findings[-1].step, "close")

    async def test_token(self) -> None:
        """None, a bad one, a good one; before the upgrade or in the hello."""
        keys = self.new_folder() / "key"
        keys.write_text(SECRET)
        with Backend(silent) as backend:
            for mode, step, words in (
                ('mode = "relay"', "upgrade", "401"),
                ('mode = "session"\ndialect = "orion.v2"', "hello", "4508 (UNAUTHORIZED)"),
            ):
                more = f'{mode}\ntoken = {{ key_file = "{keys}" }}'
                gateway = self.start(self.settings(backend.endpoint, more))
                findings = await self.examine(gateway.url())
                self.assert_bad(findings, step, words, "--token-file", "ORION_TOKEN")
                findings = await self.examine(gateway.url(), token="not.a.token")
                self.assert_bad(findings, "upgrade", "401", "--token-file")
                settings = TokenSettings(key_file=str(keys))
                key = signing_key(load_keys(str(keys), settings.algorithms), None, None)
                token = mint("shop1", settings, key, time.time(), 60.0)
                findings = await self.examine(gateway.url(), token=token)
                self.assertEqual(findings[-1].step, "close")

    def test_what_would_not_arrive(self) -> None:
        """A token or an origin that could change the request is not sent."""
        for options in ({"token": "a\r\nX: y"}, {"origin": "https://a\nX: y"}):
            with self.assertRaises(ValueError) as caught:
                Patient(parse_url("ws://localhost/"), **options)
            self.assertNotIn("X: y", str(caught.exception))


class CertificateTests(DoctorTestCase):
    """TLS as it should not be."""

    def serve(self, *chain: Issued) -> str:
        """Let somebody answer 426 by TLS, with a certificate and what is sent with it."""
        file = self.new_folder() / "server.pem"
        parts = [chain[0].key_pem, *(each.certificate_pem for each in chain)]
        file.write_bytes(b"".join(parts))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        answer = b"HTTP/1.1 426 No\r\nContent-Length: 0\r\n\r\n"
        backend = self.enterContext(Backend(sends(answer), tls=context))
        return f"wss://localhost:{backend.port}/ws"

    def setUp(self) -> None:
        super().setUp()
        self.root = authority("Root")
        self.trusted = self.new_folder() / "root.pem"
        self.trusted.write_bytes(self.root.certificate_pem)

    async def look(self, *chain: Issued, **options: Any) -> list[Finding]:
        return await self.examine(
            self.serve(*chain), trusted=read_authorities(self.trusted), **options
        )

    def bad(self, findings: list[Finding]) -> dict[str, Finding]:
        return {each.step: each for each in findings if each.verdict is Verdict.BAD}

    async def test_not_trusted(self) -> None:
        """An authority that is not ours: --ca is what helps; nothing more is tried."""
        findings = await self.look(issue(["localhost"], authority("Somebody else")))
        bad = self.bad(findings)
        self.assertEqual(list(bad), ["chain"])
        self.assertIn("localhost <- Somebody else: from an authority", bad["chain"].text)
        self.assertIn("--ca", bad["chain"].advice)
        self.assertNotIn("http", self.steps(findings))

    async def test_no_intermediate(self) -> None:
        """A chain with a hole, which other browsers may mend and some do not."""
        issuing = authority("Issuing", self.root)
        leaf = issue(["localhost"], issuing)
        bad = self.bad(await self.look(leaf))
        self.assertIn("intermediate", bad["chain"].advice)
        findings = await self.look(leaf, issuing)
        (chain,) = [each for each in findings if each.step == "chain"]
        self.assertEqual(chain.text, "localhost <- Issuing <- Root")
        self.assertIs(chain.verdict, Verdict.GOOD)

    async def test_self_signed(self) -> None:
        """One that has signed itself."""
        bad = self.bad(await self.look(issue(["localhost"])))
        self.assertIn("localhost: self-signed", bad["chain"].text)

    async def test_expired(self) -> None:
        """One that was good once."""
        now = datetime.now(UTC)
        leaf = issue(["localhost"], self.root, not_before=now - 9 * A_DAY, not_after=now - A_DAY)
        findings = await self.look(leaf)
        bad = self.bad(findings)
        self.assertEqual(list(bad), ["chain"])
        self.assertIn("expired", bad["chain"].text)
        self.assertIn("certs show", bad["chain"].advice)
        self.assertNotIn("expiry", self.steps(findings))

    async def test_soon_expired(self) -> None:
        """One that is good for a few more days is remarked, and no failure."""
        leaf = issue(["localhost"], self.root, not_after=datetime.now(UTC) + 5.5 * A_DAY)
        findings = await self.look(leaf)
        (expiry,) = [each for each in findings if each.step == "expiry"]
        self.assertEqual((expiry.verdict, expiry.text), (Verdict.NOTE, "5 days left"))
        self.assertIn("http", self.steps(findings))

    async def test_another_name(self) -> None:
        """A fallback that answers for what the gateway does not know."""
        findings = await self.look(issue(["shop.example", "192.0.2.1"], self.root))
        bad = self.bad(findings)
        self.assertEqual(list(bad), ["names"])
        self.assertEqual(bad["names"].text, "for shop.example, 192.0.2.1, and not for localhost")
        self.assertNotIn("http", self.steps(findings))

    async def test_no_names(self) -> None:
        """A certificate of the old kind, with its name in the subject alone."""
        leaf = issue([], self.root, common_name="localhost")
        self.assertIn("no name at all", self.bad(await self.look(leaf))["names"].text)

    async def test_insecure(self) -> None:
        """Whoever insists goes on; what was bad is remarked."""
        findings = await self.look(issue(["shop.example"]), is_insecure=True)
        notes = [each.step for each in findings if each.verdict is Verdict.NOTE]
        self.assertEqual(notes, ["chain", "names"])
        self.assertIn("http", self.steps(findings))
        self.assert_bad(findings, "upgrade", "426")

    async def test_of_the_system(self) -> None:
        """Without --ca the authorities are those of the system: ours is none of them."""
        findings = await self.examine(self.serve(issue(["localhost"], self.root)), trusted=None)
        self.assertEqual(list(self.bad(findings)), ["chain"])


def answers(
    *frames: bytes,
    pongs: bool = True,
    subprotocol: str | None = "orion.v2",
    closes: bytes | None = None,
) -> Talk:
    """Return a talk that lets everybody in, sends frames after the first, and goes on."""

    def talk(peer: Peer) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            data = peer.read()
            if not data:
                return
            head += data
        key = re.search(rb"Sec-WebSocket-Key: (\S+)", head)
        if key is None:
            peer.send(b"HTTP/1.1 426 No\r\nContent-Length: 0\r\n\r\n")
            return
        accept = base64.b64encode(hashlib.sha1(key[1] + GUID).digest())
        agreed = f"Sec-WebSocket-Protocol: {subprotocol}\r\n" if subprotocol else ""
        peer.send(
            b"HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n" + agreed.encode() + b"\r\n"
        )
        if subprotocol:
            peer.read()  # hello
        for each in frames:
            peer.send(each)
        while data := peer.read():
            # Pings are short, and come one at a time: 0x89, a mask of 4 bytes, digits.
            if pongs and data[0] == 0x80 | PING:
                mask, body = data[2:6], data[6:]
                peer.send(frame(PONG, bytes(a ^ mask[at % 4] for at, a in enumerate(body))))
            if closes is not None and data[0] == 0x80 | CLOSE:
                peer.send(frame(CLOSE, closes))

    return talk


class StrangeTests(DoctorTestCase):
    """What answers is no gateway, or an ill one."""

    async def look(self, talk: Talk, scheme: str = "ws", **options: Any) -> list[Finding]:
        with Backend(talk) as backend:
            url = f"{scheme}://localhost:{backend.port}/ws"
            return await self.examine(url, **{"patience": 0.5, **options})

    async def test_no_name(self) -> None:
        """A name that is none."""
        findings = await self.examine("wss://nowhere.invalid/ws")
        self.assert_bad(findings, "name", "nowhere.invalid does not resolve", "spelt")
        self.assertEqual(len(findings), 1)

    async def test_nobody(self) -> None:
        """A port on which nobody listens."""
        findings = await self.examine(f"wss://localhost:{free_port()}/ws")
        self.assert_bad(findings, "tcp", "refused", "`listen`", "firewall")

    async def test_no_tls(self) -> None:
        """TLS on a port that has none, silent or speaking something else."""
        findings = await self.look(sends(b"HTTP/1.1 400 No\r\n\r\n"), "wss")
        self.assert_bad(findings, "tls", "no TLS", "ws:")
        findings = await self.look(silent_stream, "wss")
        self.assert_bad(findings, "tls", "nothing came in time")

    async def test_no_http(self) -> None:
        """Something else altogether, silence, an end."""
        for talk, words in (
            (sends(b"SSH-2.0-OpenSSH_9\r\n"), "no HTTP"),
            (sends(b"x" * 20_000), "no HTTP"),
            (silent_stream, "nothing came in time"),
            (lambda peer: None, "the connection was c"),
        ):
            findings = await self.look(talk)
            self.assert_bad(findings, "http", words)

    async def test_other_answers(self) -> None:
        """A page, a redirect, a proxy."""
        for status, words in ((200, "a page"), (301, "redirect"), (502, "proxy"), (418, "proxy")):
            talk = sends(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status)
            findings = await self.look(talk)
            bad = [each for each in findings if each.verdict is Verdict.BAD]
            self.assertEqual([each.step for each in bad], ["http", "upgrade"])
            for each in bad:
                self.assertIn(str(status), each.text)
                self.assertIn(words, f"{each.text} {each.advice}")

    async def test_no_welcome(self) -> None:
        """Something else, nothing, an end: each by its name."""
        for talk, words in (
            (answers(frame(TEXT, b"hi")), "a header that cannot be read"),
            (answers(frame(TEXT, b'{"type":"ack","ack":0}')), "before the welcome"),
            (answers(), "nothing came in time"),
            (answers(frame(CLOSE, b"\x0f\xacfull")), "closed with 4012 (OVER_BUDGET): full"),
        ):
            findings = await self.look(talk)
            bad = [each for each in findings if each.verdict is Verdict.BAD]
            self.assertIn(words, bad[-1].text)

    async def test_no_pong(self) -> None:
        """A proxy that swallows pings, and a gateway that ends in the middle."""
        findings = await self.look(answers(pongs=False, subprotocol=None))
        self.assert_bad(findings, "ping", "no pong", "proxy")
        findings = await self.look(
            answers(frame(CLOSE, b"\x03\xe9bye"), pongs=False, subprotocol=None)
        )
        self.assert_bad(findings, "ping", "1001 (GOING_AWAY)", "try again")

    async def test_no_close(self) -> None:
        """A close that is not answered is remarked."""
        findings = await self.look(answers(subprotocol=None))
        self.assertEqual((findings[-1].step, findings[-1].verdict), ("close", Verdict.NOTE))
        self.assertIn("1000, not answered", findings[-1].text)
        findings = await self.look(answers(subprotocol=None, closes=b"\x0f\xa0why"))
        self.assertEqual(findings[-1].text, "1000, answered with 4000: why")


class CommandTests(GatewayTestCase):
    """The command itself, in a process of its own."""

    gateway: ClassVar[Gateway]

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        backend = cls.enterClassContext(Backend(echo))
        cls.gateway = cls.start_for_class(f"--backend={backend.endpoint}")

    def doctor(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            orion_bridge("doctor", *arguments),
            env={**environment(), "PYTHONIOENCODING": "utf-8", **variables},
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )

    def test_well(self) -> None:
        """A tick for each step, nothing to do, and status 0."""
        done = self.doctor(self.gateway.url(), "--ca", str(self.ca_file))
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        lines = done.stdout.splitlines()
        self.assertEqual(
            [line.split()[:2] for line in lines],
            [["✓", step] for step in (*WELL, "ping", "close")],
        )

    def test_ill(self) -> None:
        """A cross, what to do below it, and status 1."""
        done = self.doctor(self.gateway.url())
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout, r"(?m)^✗  chain .*\n {15}--ca FILE")
        self.assertNotIn("Traceback", done.stderr)

    def test_insecure(self) -> None:
        """It says so loudly."""
        done = self.doctor(self.gateway.url(), "--insecure")
        self.assertEqual(done.returncode, 0)
        self.assertIn("INSECURE", done.stderr)
        self.assertRegex(done.stdout, r"(?m)^!  chain ")

    def test_without_ticks(self) -> None:
        """A terminal that has no ticks gets letters."""
        done = self.doctor(self.gateway.url(), PYTHONIOENCODING="ascii")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout, r"(?m)^ok name ")
        self.assertRegex(done.stdout, r"(?m)^NO chain ")

    def test_token(self) -> None:
        """From a file or the environment; it is never printed."""
        file = self.new_folder() / "token"
        file.write_text("a.secret.token\n")
        for done in (
            self.doctor(self.gateway.url(), "--insecure", "--token-file", str(file)),
            self.doctor(self.gateway.url(), "--insecure", **{TOKEN_VARIABLE: "a.secret.token"}),
        ):
            self.assertEqual(done.returncode, 0, done.stdout)
            self.assertNotIn("secret", done.stdout + done.stderr)

    def test_mistakes(self) -> None:
        """What cannot be examined is said in one line."""
        for arguments, words in (
            (["https://localhost/"], "wss://"),
            (["wss://localhost/", "--ca", "/nowhere"], "cannot read /nowhere"),
            (["wss://localhost/", "--token-file", "/nowhere"], "cannot read /nowhere"),
            (["wss://localhost/", "--origin", "a b"], "origin"),
        ):
            done = self.doctor(*arguments)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertRegex(done.stderr, rf"\AError: .*{words}.*\n\Z")

    def test_help(self) -> None:
        """The help says what is tried, and how a token is given."""
        done = self.doctor("--help")
        for words in (
            "wss://",
            "--ca",
            "--token-file",
            TOKEN_VARIABLE,
            "--insecure",
            "exit status",
        ):
            self.assertIn(words, done.stdout)
