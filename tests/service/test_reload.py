"""SIGHUP, and what is read again: token keys, backends' secrets, the watcher's certificates."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import LogLevel, capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.bearer import TokenRefused
from orion_twisted.core.counters import Counters
from orion_twisted.core.settings import TokenSettings
from orion_twisted.net.certwatch import CertificateWatcher
from orion_twisted.service.dial_in import DialIns
from orion_twisted.service.reload import (
    MAX_SECRETS_FILE,
    DialInFiles,
    Reload,
    TokenFiles,
    load_secrets,
)
from orion_twisted.web.token_keys import load_keys, signing_key
from orion_twisted.web.tokens import TokenCheck, mint
from tests.certificates import empty_folder
from tests.web.signers import OTHER_SECRET, SECRET, write

NOW = 1_800_000_000.0


class Pool:
    """A reactor's threads, whose work the test does."""

    def __init__(self) -> None:
        self.work: list[Callable[[], None]] = []

    def callInThreadWithCallback(
        self, done: Callable[[bool, Any], None], function: Callable[..., Any], *arguments: Any
    ) -> None:
        def work() -> None:
            try:
                result = function(*arguments)
            except Exception:
                done(False, Failure())
            else:
                done(True, result)

        self.work.append(work)


class ThreadedReactor(MemoryReactorClock):
    """A reactor with threads and calls from them."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = Pool()
        self.called: list[Callable[[], object]] = []

    def getThreadPool(self) -> Pool:
        return self.pool

    def callFromThread(self, call: Callable[..., object], *arguments: Any) -> None:
        self.called.append(lambda: call(*arguments))

    def turn(self) -> None:
        """Let the threads and the reactor work until there is nothing to do."""
        while self.pool.work or self.called:
            work, self.pool.work = self.pool.work, []
            for each in work:
                each()
            called, self.called = self.called, []
            for call in called:
                call()


class Watcher:
    """In place of a `CertificateWatcher`: it says what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.stopped: Deferred[None] = Deferred()
        self.reloaded: Deferred[None] = Deferred()

    def start(self) -> None:
        self.told.append("start")

    def stop(self) -> Deferred[None]:
        self.told.append("stop")
        return self.stopped

    def reload(self) -> Deferred[None]:
        self.told.append("reload")
        return self.reloaded


class ReloadTestCase(SynchronousTestCase):
    """A tenant with a file of one key."""

    def setUp(self) -> None:
        self.reactor: Any = ThreadedReactor()
        self.counters = Counters()
        self.watcher = Watcher()
        self.file = write(empty_folder(self) / "shop", SECRET + b"\n")
        self.check = self.check_of("shop", self.file)
        self.reload = self.service([TokenFiles("shop", self.settings(self.file), self.check)])

    def settings(self, path: Path) -> TokenSettings:
        return TokenSettings(key_file=str(path))

    def check_of(self, tenant: str, path: Path) -> TokenCheck:
        return TokenCheck(tenant, self.settings(path), load_keys(path, ["HS256"]))

    def service(
        self,
        tokens: list[TokenFiles],
        *,
        tls: bool = True,
        dial_ins: Sequence[DialInFiles] = (),
    ) -> Reload:
        watcher = cast(CertificateWatcher, self.watcher) if tls else None
        return Reload(watcher, tokens, self.counters, self.reactor, dial_ins)

    def start(self) -> None:
        self.reload.startService()
        self.addCleanup(self.stop)

    def stop(self) -> None:
        if self.reload.running:
            self.reload.stopService()

    def hang_up(self) -> None:
        """Send this process what `kill -HUP` sends, and let the reactor see it."""
        os.kill(os.getpid(), signal.SIGHUP)
        self.reactor.turn()

    def token(self, secret: bytes, tenant: str = "shop") -> str:
        path = write(self.file.with_name("signs"), secret)
        key = signing_key(load_keys(path, ["HS256"]))
        return mint(tenant, self.settings(path), key, NOW, 60.0)

    def lets_in(self, secret: bytes) -> bool:
        try:
            self.check.check(self.token(secret), NOW)
        except TokenRefused:
            return False
        return True


class TokenKeyTests(ReloadTestCase):
    """The keys of tokens."""

    def test_replaced(self) -> None:
        """After SIGHUP the new key signs tokens, and the old one does not."""
        self.start()
        self.assertEqual((self.lets_in(SECRET), self.lets_in(OTHER_SECRET)), (True, False))
        write(self.file, OTHER_SECRET)
        self.assertFalse(self.lets_in(OTHER_SECRET))  # nobody has said so yet
        with capturedLogs() as logs:
            self.hang_up()
        self.assertEqual((self.lets_in(SECRET), self.lets_in(OTHER_SECRET)), (False, True))
        self.assertEqual(self.counters.get("token_keys_bad"), 0)
        self.assertIn("shop", [event.get("tenant") for event in logs])

    def test_what_was_used_stays_used(self) -> None:
        """A token for a single use is not good again because the keys were read again."""
        key = signing_key(load_keys(self.file, ["HS256"]))
        token = mint("shop", self.settings(self.file), key, NOW, 60.0)
        self.start()
        self.check.check(token, NOW)
        write(self.file.with_name("unused"), OTHER_SECRET)
        self.hang_up()
        error = self.assertRaises(TokenRefused, self.check.check, token, NOW)
        self.assertEqual(error.reason, "token_replayed")

    def test_unchanged(self) -> None:
        """Keys that are as they were are left alone, and not a line is written on them."""
        self.start()
        keys = self.check.keys
        with capturedLogs() as logs:
            self.hang_up()
        self.assertIs(self.check.keys, keys)
        self.assertEqual([event for event in logs if "tenant" in event], [])

    def test_bad(self) -> None:
        """A file that is of no use leaves the old keys in service, is logged and counted."""
        self.start()
        for number, data in enumerate((b"short", b"", SECRET * 1000), 1):
            write(self.file, data)
            with capturedLogs() as logs:
                self.hang_up()
            (event,) = (each for each in logs if each["log_level"] is LogLevel.error)
            self.assertIn(str(self.file), event["problem"])
            self.assertNotIn(SECRET.decode(), str(event))
            self.assertEqual(self.counters.get("token_keys_bad"), number)
            self.assertTrue(self.lets_in(SECRET))
        self.file.unlink()
        self.hang_up()
        self.assertEqual(self.counters.get("token_keys_bad"), 4)
        self.assertTrue(self.lets_in(SECRET))

    def test_good_again(self) -> None:
        """A file that has been mended is taken the next time."""
        self.start()
        write(self.file, b"short")
        self.hang_up()
        write(self.file, OTHER_SECRET)
        self.hang_up()
        self.assertTrue(self.lets_in(OTHER_SECRET))

    def test_each_tenant_on_its_own(self) -> None:
        """A tenant's bad file is nobody else's."""
        other = write(self.file.with_name("other"), SECRET)
        check = self.check_of("other", other)
        self.reload = self.service(
            [
                TokenFiles("other", self.settings(other), check),
                TokenFiles("shop", self.settings(self.file), self.check),
            ]
        )
        self.start()
        write(other, b"short")
        write(self.file, OTHER_SECRET)
        self.hang_up()
        self.assertTrue(self.lets_in(OTHER_SECRET))
        check.check(self.token(SECRET, "other"), NOW)

    def test_told_when_all_is_done(self) -> None:
        """Whoever asks for it in the program is told when keys and certificates are in service."""
        self.start()
        write(self.file, OTHER_SECRET)
        done = self.reload.reload()
        self.assertNoResult(done)
        self.reactor.turn()
        self.assertNoResult(done)
        self.watcher.reloaded.callback(None)
        self.assertIsNone(self.successResultOf(done))
        self.assertTrue(self.lets_in(OTHER_SECRET))

    def test_told_even_if_it_fails(self) -> None:
        """It is told, too, when nothing could be read."""
        self.reload = self.service(
            [TokenFiles("shop", self.settings(self.file), self.check)], tls=False
        )
        self.start()
        self.file.unlink()
        done = self.reload.reload()
        self.reactor.turn()
        self.assertIsNone(self.successResultOf(done))


class SecretsTests(ReloadTestCase):
    """The secrets of backends that dial in."""

    ONE = "an-engine-shows-this-3f1a"
    OTHER = "another-one-shows-that-77"

    def setUp(self) -> None:
        super().setUp()
        self.file = self.file.with_name("engines")
        self.file.write_text(f"{self.ONE}\n")
        secrets = {"shop": load_secrets(self.file)}
        self.door = DialIns({}, secrets, self.counters, self.reactor)
        self.reload = self.service([], dial_ins=[DialInFiles("Shop", self.file, self.door)])
        self.start()

    def let_in(self) -> list[str]:
        return [each for each in (self.ONE, self.OTHER) if self.door.secrets["shop"].match(each)]

    def test_replaced(self) -> None:
        """After SIGHUP the secrets of the file are those that let in, and no others."""
        for text, wanted in (
            (f"{self.ONE}\n{self.OTHER}\n", [self.ONE, self.OTHER]),
            (f"{self.OTHER}\n", [self.OTHER]),
        ):
            before = self.let_in()
            self.file.write_text(text)
            self.assertEqual(self.let_in(), before)  # nobody has said so yet
            with capturedLogs() as logs:
                self.hang_up()
            self.assertEqual(self.let_in(), wanted)
            self.assertEqual([each["tenant"] for each in logs if "tenant" in each], ["Shop"])
            self.assertNotIn(self.OTHER, str(logs))
        self.assertEqual(self.counters.get("token_keys_bad"), 0)

    def test_unchanged(self) -> None:
        """A file that says the same is no news."""
        secrets = self.door.secrets["shop"]
        self.file.write_text(f"# the same\n{self.ONE}\n")
        with capturedLogs() as logs:
            self.hang_up()
        self.assertIs(self.door.secrets["shop"], secrets)
        self.assertEqual([each for each in logs if "tenant" in each], [])

    def test_bad(self) -> None:
        """A file that is of no use leaves the old secrets in service, is logged and counted."""
        for number, data in enumerate((b"", b"short\n", b"\xff" * 20, b"# none\n"), 1):
            self.file.write_bytes(data)
            with capturedLogs() as logs:
                self.hang_up()
            (event,) = (each for each in logs if each["log_level"] is LogLevel.error)
            self.assertIn(str(self.file), event["problem"])
            self.assertEqual(event["tenant"], "Shop")
            self.assertEqual(
                (self.counters.get("token_keys_bad"), self.let_in()), (number, [self.ONE])
            )
        self.file.unlink()
        self.hang_up()
        self.assertEqual(self.let_in(), [self.ONE])
        self.file.write_text(f"{self.OTHER}\n")
        self.hang_up()
        self.assertEqual(self.let_in(), [self.OTHER])


class LoadSecretsTests(SynchronousTestCase):
    """`load_secrets`."""

    def setUp(self) -> None:
        self.file = empty_folder(self) / "engines"

    def assertRefused(self, why: str) -> None:
        error = self.assertRaises(ValueError, load_secrets, self.file)
        self.assertEqual(str(error), f"{self.file} {why}")

    def test_as_editors_write_it(self) -> None:
        """The mark that Windows's editors begin a file with is no part of a secret."""
        self.file.write_bytes(b"\xef\xbb\xbf" + SECRET + b"\r\n")
        self.assertTrue(load_secrets(self.file).match(SECRET.decode()))

    def test_what_is_wrong(self) -> None:
        """The file is named, with what is wrong, and with nothing that is in it."""
        self.assertRefused("cannot be read: No such file or directory")
        self.file.mkdir()
        self.assertRefused("cannot be read: Is a directory")
        self.file.rmdir()
        for data, why in (
            (b"", "has no secret in it"),
            (b"0123456789abcde", "has a secret of less than 16 characters"),
            (b"\xff" + SECRET, "is no UTF-8"),
            (b"#" * (MAX_SECRETS_FILE + 1), f"is larger than {MAX_SECRETS_FILE} bytes"),
        ):
            with self.subTest(why):
                self.file.write_bytes(data)
                self.assertRefused(why)
        self.file.write_bytes(SECRET + b"\n" + b"#" * (MAX_SECRETS_FILE - len(SECRET) - 1))
        self.assertTrue(load_secrets(self.file).match(SECRET.decode()))


class SignalTests(ReloadTestCase):
    """The signal itself."""

    def test_installed_and_restored(self) -> None:
        """The gateway takes the signal while it runs, and gives it back."""
        before = signal.getsignal(signal.SIGHUP)
        self.start()
        self.assertNotEqual(signal.getsignal(signal.SIGHUP), before)
        self.stop()
        self.assertEqual(signal.getsignal(signal.SIGHUP), before)

    def test_no_work_inside_the_signal(self) -> None:
        """A signal comes in the middle of anything: the work is left to the reactor."""
        self.start()
        os.kill(os.getpid(), signal.SIGHUP)
        self.assertEqual((self.watcher.told, self.reactor.pool.work), (["start"], []))
        self.reactor.turn()
        self.assertEqual(self.watcher.told, ["start", "reload"])

    def test_outside_of_the_main_thread(self) -> None:
        """Whoever runs a gateway in another thread has no signals, and is not bothered."""
        before = signal.getsignal(signal.SIGHUP)
        errors: list[BaseException] = []

        def run() -> None:
            try:
                self.reload.startService()
                self.reload.stopService()
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join(10)
        self.assertEqual((errors, self.watcher.told), ([], ["start", "stop"]))
        self.assertEqual(signal.getsignal(signal.SIGHUP), before)


class WatcherTests(ReloadTestCase):
    """The watcher of certificates."""

    def test_from_start_to_stop(self) -> None:
        """It watches while the gateway runs; the end waits until it reads no more."""
        self.assertEqual(self.watcher.told, [])
        self.reload.startService()
        self.assertEqual(self.watcher.told, ["start"])
        stopped = self.reload.stopService()
        self.assertEqual(self.watcher.told, ["start", "stop"])
        self.assertNoResult(stopped)
        self.watcher.stopped.callback(None)
        self.assertIsNone(self.successResultOf(stopped))

    def test_without_tls(self) -> None:
        """A gateway without certificates has nothing to watch, but takes the signal."""
        self.reload = self.service([], tls=False)
        self.start()
        self.hang_up()
        self.assertIsNone(self.successResultOf(self.reload.stopService()))
        self.assertEqual(self.watcher.told, [])
