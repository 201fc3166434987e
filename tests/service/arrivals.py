"""What holds for backends that dial in, by TCP and by WebSocket: each kind's tests take it up."""

from __future__ import annotations

import json
import struct
from typing import Any

import txaio
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.backend_v2 import MAX_HELLO
from orion_twisted.core.secrets import read_secrets
from orion_twisted.net.links import FINISH_TIME, PAYLOADS_A_TURN
from orion_twisted.service import dial_in
from orion_twisted.service.dial_in import HELLO_TIME, MOST_ARRIVALS
from tests.service.dialling import (
    OTHER_SECRET,
    SECRET,
    Browser,
    House,
    SocketBackend,
    TcpBackend,
)

TOKEN = {"type": "hello", "tenant": "shop", "token": SECRET}


def framed(payload: bytes) -> bytes:
    """Return a payload as it stands on TCP."""
    return struct.pack(">I", len(payload)) + payload


class DialInTestCase(SynchronousTestCase):
    """A gateway in memory."""

    def setUp(self) -> None:
        self.house = self.new_house()

    def new_house(self, **limits: Any) -> House:
        clock = MemoryReactorClock()
        self.patch(txaio.config, "loop", clock)
        house = House(clock, **limits)
        self.addCleanup(self._empty, house)
        return house

    def _empty(self, house: House) -> None:
        house.empty()
        self.assertEqual(house.clock.getDelayedCalls(), [])
        self.assertEqual((house.at_the_door, house.gateway._links.total()), (0, 0))
        self.assertEqual([len(each.backends) for each in house.gateway._sessions.values()], [0, 0])

    def lines(self, logs: list[Any]) -> list[str]:
        """Return what was logged of backends, as an operator reads it."""
        texts = [formatEvent(each) for each in logs]
        return [each for each in texts if "backend" in each]


class Promises(DialInTestCase):
    """A gateway, and backends of one kind."""

    kind: type[Any]

    def come(self, **more: Any) -> Any:
        """Return a backend that has connected."""
        return self.kind(self.house, **more)

    def come_in(self, **more: Any) -> Any:
        """Return one that is in."""
        backend = self.come(**more)
        backend.hello()
        assert backend.heard == ["ping"], backend.heard
        return backend


class HelloPromises(Promises):
    """Who is let in."""

    def test_in(self) -> None:
        """The right hello is answered with a ping before all else; messages that wait follow."""
        browser = Browser(self.house)
        browser.request(1, "draw")
        backend = self.come()
        self.assertEqual(backend.heard, [])
        with capturedLogs() as logs:
            backend.hello()
        self.assertEqual(backend.heard, ["ping", "open", "request 1: draw"])
        backend.say(backend.result(1, "drawn"))
        self.assertEqual(browser.told, ["result 1: drawn"])
        self.assertEqual(self.lines(logs), ["backend 192.0.2.9 of Shop is in"])
        self.assertEqual((self.house.counted("dial_ins"), self.house.refused()), (1, 0))
        self.assertEqual((self.house.counted("links"), self.house.at_the_door), (1, 0))

    def test_orion_v1(self) -> None:
        """In ``orion.v1`` nothing answers a hello; messages come with their session's name."""
        browser = Browser(self.house, "depot.example")
        browser.request(1, '{"cmd":"draw"}')
        backend = self.come()
        backend.hello("depot", OTHER_SECRET)
        (asked,) = [json.loads(each) for each in backend.payloads]
        self.assertEqual(set(asked), {"@SESSION", "@MSGID", "cmd"})
        backend.say({"msgID": asked["@MSGID"], "success": True})
        self.assertEqual(browser.told, ['result 1: {"msgID": 1, "success": true}'])

    def test_names_in_any_case(self) -> None:
        """A tenant's name is the same in capitals, as everywhere."""
        backend = self.come()
        backend.hello("SHOP")
        self.assertEqual(backend.heard, ["ping"])

    def test_each_of_several_secrets(self) -> None:
        """While one secret replaces another both let in."""
        self.house.gateway.dial_ins.secrets["shop"] = read_secrets(f"{SECRET}\n{OTHER_SECRET}\n")
        for secret in (SECRET, OTHER_SECRET):
            backend = self.come()
            backend.hello(token=secret)
            self.assertEqual(backend.heard, ["ping"])

    def assert_refused(self, backend: Any, reason: str, code: int = 4508) -> None:
        """Check that a backend has been refused, once, and that nothing is kept of it."""
        if isinstance(backend, SocketBackend):
            self.assertEqual(backend.closed_with, code)
        self.house.turn()
        self.assertTrue(backend.gone)
        self.assertEqual(backend.payloads, [])
        counted = (self.house.refused(reason), self.house.refused(), self.house.at_the_door)
        self.assertEqual(counted, (1, 1, 0))

    def test_not_who_it_says(self) -> None:
        """A wrong token, another tenant's, a tenant that is not there, or that nobody dials in
        for: one answer for all, and the log says neither token nor what was asked."""
        for tenant, token in (
            ("shop", "a-guess-of-sixteen-chars"),
            ("shop", ""),
            ("shop", OTHER_SECRET),
            ("shop", SECRET + "\n"),
            ("nobody", SECRET),
            ("tunnel", SECRET),
            ("", ""),
        ):
            with self.subTest(tenant=tenant, token=token):
                self.house = self.new_house()
                backend = self.come()
                with capturedLogs() as logs:
                    backend.hello(tenant, token)
                self.assert_refused(backend, "unauthorized")
                self.assertEqual(
                    self.lines(logs), ["refusing the backend at 192.0.2.9: unauthorized"]
                )
                self.assertNotIn(SECRET, str(logs))
                self.assertFalse(token and token in str(logs))

    def test_no_hello(self) -> None:
        """Anything else as the first frame is refused; a hello has no payload."""
        for first in (
            "",
            "hello",
            "[]",
            "{}",
            '{"type":"pong"}',
            '{"type":"hello","tenant":"shop"}',
            '{"type":"hello","token":"x"}',
            '{"type":"hello","tenant":"shop","token":7}',
            '{"type":"hello","tenant":null,"token":"x"}',
            '{"type":"hello","tenant":["shop"],"token":"x"}',
            json.dumps({**TOKEN, "token": "\ud800" + SECRET}),
            json.dumps(TOKEN) + "\nand more",
            json.dumps(TOKEN)[:-1],
            "[" * 4000,
        ):
            with self.subTest(first[:60]):
                self.house = self.new_house()
                backend = self.come()
                backend.say(first)
                self.assert_refused(backend, "hello_malformed")

    def test_a_large_hello(self) -> None:
        """A hello may have 8,192 bytes: what is larger is refused before it is buffered."""
        hello = json.dumps(TOKEN)
        backend = self.come()
        backend.say(hello[:-1] + " " * (MAX_HELLO - len(hello)) + "}")
        self.assertEqual(backend.heard, ["ping"])
        for size in (MAX_HELLO + 1, 1_000_000):
            self.house = self.new_house()
            backend = self.come()
            backend.say(hello[:-1] + " " * (size - len(hello)) + "}")
            self.assert_refused(backend, "hello_malformed", 1009)

    def test_the_second_hello_counts_for_nothing(self) -> None:
        """Who was refused is not listened to: no guess after a guess on one connection."""
        backend = self.come()
        backend.say({**TOKEN, "token": "a-guess-of-sixteen-chars"}, TOKEN, TOKEN)
        self.assert_refused(backend, "unauthorized")
        self.assertEqual(self.house.counted("dial_ins"), 0)

    def test_too_late(self) -> None:
        """A hello has 5 s from the connection on; half of one is none."""
        backend, silent = self.come(), self.come()
        self.house.advance(HELLO_TIME - 0.1)
        backend.hello()
        self.assertFalse(silent.gone)
        self.house.advance(0.1)
        self.assert_refused(silent, "hello_timeout", 4008)
        self.house.advance(60)
        self.assertFalse(backend.gone)

    def test_goes_before_it_says_hello(self) -> None:
        """Who connects and goes, as probes do, is no refusal, and leaves no timer."""
        for go in ("leave", "breaks"):
            getattr(self.come(), go)()
            self.assertEqual((self.house.at_the_door, self.house.refused()), (0, 0))
            self.assertEqual(self.house.clock.getDelayedCalls(), [])

    def test_a_crowd(self) -> None:
        """Only so many may stand at the door: the next is sent away, until there is a place."""
        crowd = [self.come() for _ in range(MOST_ARRIVALS)]
        late = self.come()
        self.house.turn()
        self.assertTrue(late.gone)
        if isinstance(late, SocketBackend):
            self.assertEqual((late.status, self.house.counted("refused", "crowd")), (503, 1))
        else:
            self.assertEqual(self.house.refused("crowd"), 1)
        crowd[0].hello()
        crowd[1].leave()
        self.come_in()
        self.come_in()

    def test_who_was_refused_keeps_its_place(self) -> None:
        """A refused one counts until it is gone: bad tokens do not make more room for more."""
        backend = self.come()
        backend.wire.room = 0  # and it does not read its answer
        backend.wire.hears(self.bytes_of_a_guess(backend))
        self.assertEqual((self.house.refused("unauthorized"), self.house.at_the_door), (1, 1))
        self.house.advance(10)
        self.assertEqual((backend.gone, self.house.at_the_door), (True, 0))

    def test_refused_before_the_end(self) -> None:
        """Who was refused, and is not gone yet, is not refused again when the gateway stops."""
        backend = self.come()
        backend.wire.room = 0
        backend.wire.hears(self.bytes_of_a_guess(backend))
        self.house.stop()
        self.assertEqual(self.house.refused(), 1)

    def bytes_of_a_guess(self, backend: Any) -> bytes:
        guess = json.dumps({**TOKEN, "token": "a-guess"}).encode()
        if isinstance(backend, SocketBackend):
            backend.client.send_text(guess)
            return b"".join(backend.client.data_to_send())
        return framed(guess)

    def test_too_many_instances(self) -> None:
        """A tenant has so many instances at the most; when one has left there is room."""
        self.patch(dial_in, "MOST_INSTANCES", 2)
        first, _ = self.come_in(), self.come_in()
        late = self.come()
        late.hello()
        self.assert_refused(late, "too_many", 4012)
        first.leave()
        self.come_in()

    def test_an_address_of_no_kind(self) -> None:
        """On a UNIX socket nobody has an address, and all else is the same."""
        backend = self.come(address="")
        backend.hello()
        self.assertEqual(backend.heard, ["ping"])


class LinePromises(Promises):
    """Backends that are in."""

    def browsers(self, count: int) -> list[Browser]:
        return [Browser(self.house) for _ in range(count)]

    def test_as_large_as_the_tenant_allows(self) -> None:
        """Once it is in, frames may be of the tenant's size, both ways, in the same read even."""
        self.house = self.new_house(message=100_000)
        browser = Browser(self.house)
        browser.request(1, "x" * 100_000)
        backend = self.come()
        backend.say(TOKEN, '{"type":"push","tenant":"shop"}\n' + "y" * 50_000)
        self.assertEqual(backend.heard, ["ping", "open", "request 1: " + "x" * 100_000])
        backend.say(backend.result(1, "z" * 100_000))
        self.assertEqual(browser.told, ["push: " + "y" * 50_000, "result 1: " + "z" * 100_000])

    def test_larger(self) -> None:
        """A larger frame is dropped on its announcement, with its link, and that is counted."""
        self.house = self.new_house(message=1000)
        backend = self.come_in()
        with capturedLogs() as logs:
            backend.say(backend.result(1, "x" * 3000))
        self.assertTrue(backend.gone)
        self.assertEqual(self.house.counted("links_lost", "BACKEND_ERROR"), 1)
        self.assertEqual(len([line for line in self.lines(logs) if "dropping" in line]), 1)

    def test_out_of_the_dialect(self) -> None:
        """What breaks the dialect drops the link, with a line that says why; others go on."""
        other = self.come_in()
        backend = self.come_in()
        with capturedLogs() as logs:
            backend.say("{}", '{"type":"push","tenant":"shop"}\nlate')
        lines = self.lines(logs)
        self.assertIn("dropping the backend 192.0.2.9 of Shop: a header that cannot", lines[0])
        self.assertEqual(lines[1], "backend 192.0.2.9 of Shop is gone")
        self.assertTrue(backend.gone)
        counted = [self.house.counted(name) for name in ("backend_errors", "links_lost", "pushes")]
        self.assertEqual((counted, other.gone), ([1, 1, 0], False))
        self.assertTrue(backend.wire.aborted)

    def test_a_second_hello(self) -> None:
        """Who is in has nothing to say hello for."""
        backend = self.come_in()
        backend.hello()
        self.assertTrue(backend.gone)

    def test_pushes(self) -> None:
        """An instance pushes to any session of its tenant, whoever serves it, or to all."""
        self.come_in()
        one, other = self.browsers(2)
        late = self.come_in()
        sid = json.loads(one.frames[0][0])["sid"]
        late.say(
            f'{{"type":"push","sid":"{sid}"}}\nto one', '{"type":"push","tenant":"shop"}\nall'
        )
        self.assertEqual((one.told, other.told), (["push: to one", "push: all"], ["push: all"]))

    def test_sessions_are_spread(self) -> None:
        """Sessions go to the instance with the fewest; one that comes later gets its share of
        those that wait for nothing."""
        first, second = self.come_in(), self.come_in()
        browsers = self.browsers(4)
        for number, browser in enumerate(browsers, 1):
            browser.request(1, f"from {number}")
        for each, ones in ((first, (1, 3)), (second, (2, 4))):
            said = [f"request {call}: from {number}" for call, number in enumerate(ones, 1)]
            self.assertEqual(each.heard, ["ping", "open", said[0], "open", said[1]])
        first.say(first.result(1, "done"))
        third = self.come_in()
        for browser in browsers:
            browser.request(2, "more")
        self.assertEqual(third.heard, ["ping", "open", "request 1: more"])
        self.assertEqual(first.heard[-2:], ["gone", "request 3: more"])

    def test_who_moves(self) -> None:
        """A session moves to another instance only if its last message was answered: what is read
        late must not be done after what follows it, though nobody waits for it any more."""
        first = self.come_in()
        notifies, asks, answered = self.browsers(3)
        notifies.say({"type": "notify", "n": 1}, "note")
        asks.request(1, "too late", ttl=100)
        answered.say({"type": "notify", "n": 1}, "note")
        answered.request(2, "read")
        first.say(first.result(2, "yes"))
        self.house.advance(1)
        self.assertEqual(asks.told, ["error 1 TIMEOUT"])
        seconds = [self.come_in() for _ in range(2)]
        for number, browser in ((2, notifies), (2, asks), (3, answered)):
            browser.request(number, str(number))
        self.assertEqual([each.partition(": ")[2] for each in first.heard[-2:]], ["2", "2"])
        self.assertEqual([each.heard[1:] for each in seconds], [["open", "request 1: 3"], []])

    def test_one_leaves(self) -> None:
        """An instance that leaves hands its sessions on: what it had is unknown, what is safe to
        repeat is sent again under its key, and what comes later goes to the other."""
        first = self.come_in()
        browser = Browser(self.house)
        browser.request(1, "done before")
        first.say(first.result(1, "yes"))
        browser.request(2, "under way")
        browser.request(3, "look", repeat="safe")
        second = self.come_in()
        self.assertEqual(second.heard, ["ping"])
        with capturedLogs() as logs:
            first.leave()
        self.assertIn("backend 192.0.2.9 of Shop is gone", self.lines(logs))
        self.assertTrue(first.gone)
        browser.request(4, "next")
        self.assertEqual(second.heard, ["ping", "open", "request 1: look", "request 2: next"])
        keys = [each["key"] for each in (first.headers[-1], second.headers[2])]
        self.assertEqual(keys[0], keys[1])
        second.say(second.result(1, "seen"), second.result(2, "so"))
        self.assertEqual(
            browser.told,
            ["result 1: yes", "error 2 OUTCOME_UNKNOWN", "result 3: seen", "result 4: so"],
        )
        self.assertEqual(self.house.counted("links_lost", "ended"), 1)

    def test_the_last_one_leaves(self) -> None:
        """Without any instance messages wait for one, for as long as the tenant allows."""
        first = self.come_in()
        browser = Browser(self.house)
        first.breaks()
        self.assertEqual(self.house.counted("links_lost", "broken"), 1)
        browser.request(1, "waits")
        second = self.come_in_waited(5)
        self.assertEqual(second.heard, ["ping", "open", "request 1: waits"])
        second.breaks()
        browser.request(2, "waits in vain", ttl=90_000)
        self.house.advance(31)
        self.assertEqual(browser.told, ["error 1 OUTCOME_UNKNOWN", "error 2 BACKEND_DOWN"])

    def come_in_waited(self, seconds: float) -> Any:
        self.house.advance(seconds)
        backend = self.come()
        backend.hello()
        return backend

    def test_leaves_behind_many_answers(self) -> None:
        """What an instance has said before it leaves is heard, however much of it came at once."""
        backend = self.come_in()
        browser = Browser(self.house)
        numbers = range(1, 3 * PAYLOADS_A_TURN + 2)
        for number in numbers:
            browser.request(number, "x")
        self.assertEqual(len(backend.payloads), 2 + len(numbers))
        answers = [backend.result(number, "done").encode() for number in numbers]
        if isinstance(backend, SocketBackend):
            for answer in answers:
                backend.client.send_text(answer)
            backend.client.send_close(1000)
            backend.wire.hears(b"".join(backend.client.data_to_send()))
        else:
            backend.wire.hears(b"".join(map(framed, answers)))
            backend.wire.hears_end()
        self.house.advance(1)
        self.assertEqual(browser.told, [f"result {number}: done" for number in numbers])
        self.assertTrue(backend.gone)
        self.assertEqual(len(self.house.gateway._sessions["Shop"].backends), 0)

    def test_hangs(self) -> None:
        """An instance that answers no ping is taken for dead: it is cut off, so that it does
        nothing of what it has not read, and its sessions go on at once."""
        hung = self.come_in()
        hung.hangs = True
        browser = Browser(self.house)
        browser.request(1, "look", repeat="safe", ttl=60_000)
        other = self.come_in()
        self.house.advance(20 + 10 - 1)
        self.assertEqual(other.heard, ["ping"] * 2)
        hung.wire.room = 0
        self.house.advance(1)
        self.assertEqual(other.heard[2:4], ["open", "request 1: look"])
        self.assertTrue(hung.wire.aborted)
        self.assertEqual(self.house.counted("links_lost", "BACKEND_ERROR"), 1)

    def test_full(self) -> None:
        """An instance that does not read is not sent more than its buffer takes; when it reads
        again it gets the rest, in order."""
        backend = self.come_in()
        backend.wire.room = 0
        browser = Browser(self.house)
        texts = [str(number) * 30_000 for number in range(1, 9)]
        for number, text in enumerate(texts, 1):
            browser.request(number, text)
        self.assertLess(len(backend.wire.dataBuffer) + backend.wire._tempDataLen, 200_000)
        backend.wire.room = 1 << 40
        for _ in texts:
            self.house.turn()
        self.assertEqual(
            backend.heard[2:],
            [f"request {number}: {text}" for number, text in enumerate(texts, 1)],
        )


class DrainPromises(Promises):
    """The gateway stops."""

    def test_who_stands_at_the_door(self) -> None:
        """Who has not said hello is sent away, and may come back; nobody is let in any more."""
        waiting = self.come()
        stopped = self.house.stop()
        if isinstance(waiting, SocketBackend):
            self.assertEqual(waiting.closed_with, 1001)
        self.house.turn()
        self.assertTrue(waiting.gone)
        self.assertEqual(self.house.refused("draining"), 1)
        self.assertEqual([port.stopped for port in self.house.ports], [1, 1])
        self.successResultOf(stopped)

    def test_after_the_last_browser(self) -> None:
        """An instance serves until the browsers have gone; then it is ended in good order, which
        is no loss, and waited for."""
        backend = self.come_in()
        browser = Browser(self.house)
        browser.request(1, "the last")
        stopped = self.house.stop()
        self.assertEqual(backend.heard[1:], ["open", "request 1: the last"])
        backend.say(backend.result(1, "done"))
        self.assertEqual(browser.told, ["drain", "result 1: done"])
        self.assertEqual(browser.closed_with, 1001)
        self.house.turn()
        if isinstance(backend, SocketBackend):
            self.assertNoResult(stopped)
            self.assertEqual(backend.closed_with, 1001)
        self.house.turn()
        self.assertEqual(backend.heard[-1], "gone")
        self.successResultOf(stopped)
        if isinstance(backend, TcpBackend):
            self.assertTrue(backend.wire.heard_end)
            backend.leave()
        self.assertEqual(self.house.counted("links_lost"), 0)

    def test_one_that_does_not_end(self) -> None:
        """An instance that keeps its side open is cut off after a while."""
        backend = self.come_in()
        self.house.stop()
        if isinstance(backend, SocketBackend):
            return
        self.house.advance(FINISH_TIME)
        self.assertTrue(backend.wire.aborted)
