"""
Nobody keeps everybody else waiting: bursts of frames are taken in turns, and messages in time.

The details of single turns are in `test_browser` and `test_backend`; here are whole bursts.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from orion_twisted.core.errors import CloseCode
from orion_twisted.net.browser import FRAMES_A_TURN
from orion_twisted.net.closing import FAILED_CLOSE_TIMEOUT
from orion_twisted.net.links import PAYLOADS_A_TURN, Loss
from tests.net.test_backend import LinkTestCase, TLSTestCase, frame
from tests.net.test_browser import BrowserTestCase, client_frame
from tests.transports import pending

BURST = 10_000

TEXT, CONTINUATION, PING = 0x1, 0x0, 0x9


def one_turn(clock: Any) -> None:
    """Do what a reactor does in one turn: what is due by now, and not what that asks for."""
    for call in [each for each in clock.getDelayedCalls() if each.getTime() <= clock.seconds()]:
        if call.active():
            clock.calls.remove(call)
            call.called = 1
            call.func(*call.args, **call.kw)


class BrowserBurstTests(BrowserTestCase):
    """10,000 tiny frames of one browser, in one read."""

    def setUp(self) -> None:
        super().setUp()
        self.connect()
        self.messages: list[object] = [str(number) for number in range(BURST)]
        self.burst = b"".join(client_frame(TEXT, b"%d" % number) for number in range(BURST))
        self.timers = len(pending(self.clock))

    def test_turns(self) -> None:
        """They are taken some at a time, in order, with a turn of the reactor after each time."""
        self.say(self.burst)
        heard: list[object] = []
        turns = 0
        while True:
            part = self.owner.forget()
            self.assertLessEqual(len(part), FRAMES_A_TURN)
            heard += part
            if len(heard) == BURST:
                break
            turns += 1
            self.assertFalse(self.wire.reading)
            self.assertEqual(pending(self.clock)[0], 0)
            one_turn(self.clock)
        self.assertEqual(heard, self.messages)
        self.assertEqual(turns, -(-BURST // FRAMES_A_TURN) - 1)
        self.clock.advance(0)
        self.assertTrue(self.wire.reading)

    def test_others_have_theirs(self) -> None:
        """What anybody else wants to do is done after one such time, not after all of them."""
        self.say(self.burst)
        done: list[int] = []
        for _ in range(3):
            self.clock.callLater(0, lambda: done.append(len(self.owner.heard)))
            one_turn(self.clock)
        self.assertEqual(done, [2 * FRAMES_A_TURN, 3 * FRAMES_A_TURN, 4 * FRAMES_A_TURN])

    def test_control_frames_count(self) -> None:
        """Pings are frames as well: a burst of them is answered in turns."""
        self.wire.taken.clear()
        self.say(client_frame(PING, b"x") * BURST)
        self.wire.turn()
        self.assertLessEqual(len(self.wire.taken), 3 * FRAMES_A_TURN)
        self.clock.advance(0)
        self.wire.turn()
        self.assertEqual(len(self.wire.taken), 3 * BURST)

    def test_fragments_count(self) -> None:
        """So are the fragments of one message, empty ones too."""
        empty = client_frame(CONTINUATION, b"", last=False)
        self.say(client_frame(TEXT, b"a", last=False), *[empty] * BURST)
        self.say(client_frame(CONTINUATION, b"b"))
        for _ in range(BURST // FRAMES_A_TURN):
            self.assertFalse(self.wire.reading)
            one_turn(self.clock)
        self.assertEqual((self.owner.forget(), self.wire.reading), ([], True))
        self.wire.turn()
        self.assertEqual(self.owner.forget(), ["ab"])

    def test_paused_again_and_again(self) -> None:
        """An owner that pauses after every few messages gets each once, in order."""

        def pause(_: bytes) -> None:
            if len(self.owner.heard) % 50 == 0:
                self.browser.pauseProducing()

        self.owner.on_message = pause
        self.say(self.burst)
        for _ in range(BURST // 50 + BURST // FRAMES_A_TURN + 2):
            self.browser.resumeProducing()
            one_turn(self.clock)
        self.assertEqual(self.owner.forget(), self.messages)
        self.assertTrue(self.wire.reading)

    def test_paused_for_long(self) -> None:
        """While the owner has paused it nothing is taken, and no turn is waited for."""
        self.say(self.burst)
        self.owner.forget()
        self.browser.pauseProducing()
        self.clock.advance(0)
        self.assertEqual((self.owner.heard, len(pending(self.clock))), ([], self.timers))
        self.browser.resumeProducing()
        self.clock.advance(0)
        self.assertEqual(self.owner.forget(), self.messages[FRAMES_A_TURN:])
        self.assertTrue(self.wire.reading)

    def test_gone(self) -> None:
        """A browser that vanishes before all is taken leaves no timer, and is not heard again."""
        self.say(self.burst)
        one_turn(self.clock)
        self.assertEqual(len(self.owner.forget()), 2 * FRAMES_A_TURN)
        self.wire.breaks()
        self.assertEqual(pending(self.clock), [])
        self.clock.advance(60)
        (end,) = self.owner.heard
        assert isinstance(end, tuple)
        self.assertEqual(end[0], 1006)

    def test_aborted(self) -> None:
        """The same is true of one that the gateway cuts off."""
        self.say(self.burst)
        self.browser.abort()
        self.clock.advance(0)
        self.assertEqual(pending(self.clock), [])
        self.assertEqual(len([each for each in self.owner.heard if isinstance(each, tuple)]), 1)


class LinkBurstTests(LinkTestCase):
    """10,000 tiny frames of one backend, in one read."""

    def setUp(self) -> None:
        super().setUp()
        self.payloads: list[object] = [b"%d" % number for number in range(BURST)]
        self.burst = b"".join(frame(b"%d" % number) for number in range(BURST))

    def delivered(self) -> list[object]:
        return [each for each in self.owner.forget() if isinstance(each, bytes | Loss)]

    def test_turns(self) -> None:
        """They are delivered some at a time, in order, with a turn of the reactor after each."""
        self.bring_up()
        self.wire.hears(self.burst)
        heard: list[object] = []
        turns = 0
        while True:
            part = self.delivered()
            self.assertLessEqual(len(part), PAYLOADS_A_TURN)
            heard += part
            if len(heard) == BURST:
                break
            turns += 1
            self.assertFalse(self.wire.reading)
            one_turn(self.clock)
        self.assertEqual((heard, turns), (self.payloads, -(-BURST // PAYLOADS_A_TURN) - 1))
        self.clock.advance(0)
        self.assertTrue(self.wire.reading)

    def test_paused_again_and_again(self) -> None:
        """An owner that pauses after every few payloads gets each once, in order."""
        link = self.bring_up()

        def pause(_: bytes) -> None:
            if len(self.owner.heard) % 50 == 0:
                link.pauseProducing()

        self.owner.on_payload = pause
        self.wire.hears(self.burst)
        for _ in range(BURST // 50 + BURST // PAYLOADS_A_TURN + 2):
            link.resumeProducing()
            one_turn(self.clock)
        self.assertEqual(self.delivered(), self.payloads)

    def test_ended_meanwhile(self) -> None:
        """A backend's end that comes with its burst, as in TLS, is told after all of it, once."""
        self.bring_up()
        self.wire.hears(self.burst)
        self.wire.connectionLost(Failure(ConnectionDone()))
        self.clock.advance(0)
        self.assertEqual(self.delivered(), [*self.payloads, Loss(clean=True)])
        self.assertTrue(self.waits)

    def test_ended_after_whole_turns(self) -> None:
        """So is one that comes when the last turn has left nothing."""
        self.bring_up()
        payloads = self.payloads[:PAYLOADS_A_TURN]
        self.wire.hears(b"".join(map(frame, payloads)))  # type: ignore[arg-type]
        self.wire.connectionLost(Failure(ConnectionDone()))
        self.clock.advance(0)
        self.assertEqual(self.delivered(), [*payloads, Loss(clean=True)])
        self.assertTrue(self.waits)

    def test_gone_and_not_wanted(self) -> None:
        """A link that is gone, and stopped before all is delivered, leaves no timer."""
        self.bring_up()
        self.wire.hears(self.burst)
        self.wire.breaks()
        self.delivered()
        self.factory.stop()
        one_turn(self.clock)
        self.assertEqual((self.delivered(), pending(self.clock)), ([], []))


class TlsLinkBurstTests(TLSTestCase):
    """The same over TLS, which may bring its end while a link rests."""

    def test_ended_while_resting(self) -> None:
        """All that came before TLS's end is delivered, turn by turn, and then the end, once."""
        for count in (PAYLOADS_A_TURN, PAYLOADS_A_TURN + 1, 10 * PAYLOADS_A_TURN):
            self.setUp()
            self.bring_up()
            payloads = [b"%d" % number for number in range(count)]
            self.server.write(b"".join(map(frame, payloads)))
            self.server.loseConnection()
            self.server_wire.turn()
            one_turn(self.clock)
            self.server_wire.turn()
            self.wire.hears(bytes(self.server_wire.taken))
            self.server_wire.taken.clear()
            heard = [each for each in self.owner.heard if isinstance(each, bytes)]
            self.assertEqual(heard, payloads[:PAYLOADS_A_TURN])
            self.exchange()
            heard = [each for each in self.owner.forget() if isinstance(each, bytes)]
            self.assertEqual(heard, payloads)

    def test_end_is_told_last(self) -> None:
        """The owner hears of the end after the last payload, and that nothing was cut off."""
        self.bring_up()
        payloads: list[object] = [b"%d" % number for number in range(3 * PAYLOADS_A_TURN + 5)]
        self.server.write(b"".join(map(frame, payloads)))  # type: ignore[arg-type]
        self.server.loseConnection()
        self.exchange()
        self.wire.breaks()
        self.exchange()
        heard = [each for each in self.owner.forget() if isinstance(each, bytes | Loss)]
        self.assertEqual(heard[:-1], payloads)
        self.assertIsInstance(heard[-1], Loss)
        self.assertTrue(self.waits)


class MessageTimeTests(BrowserTestCase):
    """The limit ``message_time``: from a message's first byte to its last."""

    TIME = 30.0

    def setUp(self) -> None:
        super().setUp()
        # Pings would end a browser that stalls as well; here they are out of the way.
        self.connect(self.factory(message_time=self.TIME, ping_every=600.0))
        self.timers = len(pending(self.clock))

    def codes(self) -> list[object]:
        return [each[1] for each in self.visitor.heard if isinstance(each, tuple)]

    def test_never_finished(self) -> None:
        """A message that begins and never ends closes its browser: TOO_SLOW, so it may return."""
        self.say(client_frame(TEXT, b"begun", last=False))
        self.advance(self.TIME - 1)
        self.assertEqual(self.codes(), [])
        self.advance(2)
        self.assertEqual(self.codes(), [4008])
        self.assertEqual((self.owner.heard, pending(self.clock)), ([(4008, "TOO_SLOW")], []))

    def test_never_finished_byte_by_byte(self) -> None:
        """It does not help to send a byte, or an empty fragment, now and then."""
        for data in (
            client_frame(TEXT, b"x" * 100),
            client_frame(TEXT, b"x", last=False)
            + 50 * (client_frame(CONTINUATION, b"", last=False)),
        ):
            self.setUp()
            for at in range(int(self.TIME + FAILED_CLOSE_TIMEOUT) + 3):
                if self.codes():
                    break
                self.say(data[at + 5 : at + 6] if at else data[:6])
                self.advance(1)
            self.assertEqual(self.codes(), [int(CloseCode.TOO_SLOW)])

    def test_slow_but_in_time(self) -> None:
        """A slow message within the time arrives, and the next one has its own time."""
        for _ in range(3):
            self.say(client_frame(TEXT, b"begun ", last=False))
            self.advance(self.TIME - 1)
            self.say(client_frame(CONTINUATION, b"and done"))
        self.advance(3 * self.TIME)
        self.assertEqual(self.owner.heard, ["begun and done"] * 3)
        self.assertEqual((self.codes(), len(pending(self.clock))), ([], self.timers))

    def test_many_quick_ones(self) -> None:
        """A browser that is always in the middle of some message, but of no slow one, stays."""
        for _ in range(4 * int(self.TIME)):
            self.say(client_frame(TEXT, b"a", last=False))
            self.advance(0.5)
            self.say(client_frame(CONTINUATION, b"b"), client_frame(TEXT, b"c", last=False))
            self.advance(0.5)
            self.say(client_frame(CONTINUATION, b"d"))
        self.assertEqual((self.codes(), len(self.owner.heard)), ([], 8 * int(self.TIME)))

    def test_time_that_we_take(self) -> None:
        """Time does not run while it is we who do not read."""
        self.say(client_frame(TEXT, b"begun ", last=False))
        self.advance(1)
        self.browser.pauseProducing()
        self.advance(10 * self.TIME)
        self.browser.resumeProducing()
        self.advance(self.TIME - 2)
        self.assertEqual(self.codes(), [])
        self.say(client_frame(CONTINUATION, b"and done"))
        self.assertEqual(self.owner.heard, ["begun and done"])

    def test_paused_until_just_before(self) -> None:
        """A pause that ends just before the time is up does not leave a moment for the rest."""
        self.say(client_frame(TEXT, b"begun ", last=False))
        self.browser.pauseProducing()
        self.advance(self.TIME - 1)
        self.browser.resumeProducing()
        self.advance(self.TIME / 2)
        self.assertEqual(self.codes(), [])
        self.say(client_frame(CONTINUATION, b"and done"))
        self.assertEqual(self.owner.heard, ["begun and done"])

    def test_stalled_after_a_pause(self) -> None:
        """After a pause the time runs again."""
        self.say(client_frame(TEXT, b"begun ", last=False))
        self.browser.pauseProducing()
        self.advance(2 * self.TIME)
        self.browser.resumeProducing()
        self.advance(2 * self.TIME)
        self.assertEqual(self.codes(), [4008])

    def test_gone(self) -> None:
        """A browser that leaves in the middle of a message leaves no timer."""
        self.say(client_frame(TEXT, b"begun", last=False))
        self.assertGreater(len(pending(self.clock)), self.timers)
        self.wire.breaks()
        self.assertEqual(pending(self.clock), [])
