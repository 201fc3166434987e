"""Mode ``relay``, without a socket: what waits, what is written, how long patience lasts."""

from itertools import product

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.errors import BackendError, InvalidPayload, LocalError
from orion_twisted.core.frames import FrameUnencodable, encoder
from orion_twisted.core.messages import message_codec
from orion_twisted.core.relay import MESSAGE_COST, TRANSITIONS, LinkEvent, LinkState, Relay

WINDOW = 1000
GRACE = 30.0

WAYS: dict[LinkState, list[LinkEvent]] = {
    LinkState.DOWN: [],
    LinkState.UP: [LinkEvent.CONNECTED],
    LinkState.PROVED: [LinkEvent.CONNECTED, LinkEvent.PROOF],
    LinkState.STOPPED: [LinkEvent.STOP],
}
"""How a relay comes into each state."""


def relay(
    *events: LinkEvent,
    message_type: str = "text",
    framing: str = "line",
    window_bytes: int = WINDOW,
    grace: float = GRACE,
) -> Relay:
    """Return a relay to which these events have happened, all at second 0."""
    made = Relay(
        message_codec(message_type), encoder(framing), window_bytes=window_bytes, grace=grace
    )
    for event in events:
        made.feed(event, 0.0)
    return made


def written(from_relay: Relay) -> list[bytes]:
    """Pull all that may be written now."""
    frames = []
    while (frame := from_relay.next_for_backend()) is not None:
        frames.append(frame)
    return frames


class TransitionTests(SynchronousTestCase):
    """The table of states and events."""

    def test_every_state_with_every_event(self) -> None:
        """What a link may do in each state is in the table; anything else is a bug of ours."""
        allowed = {
            (LinkState.DOWN, LinkEvent.CONNECTED): LinkState.UP,
            (LinkState.UP, LinkEvent.PROOF): LinkState.PROVED,
            (LinkState.UP, LinkEvent.LOST): LinkState.DOWN,
            (LinkState.PROVED, LinkEvent.LOST): LinkState.DOWN,
            **{(state, LinkEvent.STOP): LinkState.STOPPED for state in LinkState},
        }
        self.assertEqual(TRANSITIONS, allowed)
        for state, event in product(LinkState, LinkEvent):
            with self.subTest(f"{event.name} while {state.name}"):
                one = relay(*WAYS[state])
                self.assertIs(one.state, state)
                if (state, event) in allowed:
                    one.feed(event, 1.0)
                    self.assertIs(one.state, allowed[state, event])
                else:
                    error = self.assertRaises(LocalError, one.feed, event, 1.0)
                    self.assertEqual(str(error), f"{event.name} while the link is {state.name}")
                    self.assertIs(one.state, state)

    def test_an_event_that_cannot_be_changes_nothing(self) -> None:
        """A bug in the shell does not make the patience longer."""
        one = relay(LinkEvent.CONNECTED, LinkEvent.LOST)
        self.assertRaises(LocalError, one.feed, LinkEvent.LOST, 20.0)
        self.assertRaises(LocalError, one.feed, LinkEvent.PROOF, 20.0)
        self.assertEqual((one.state, one.deadline), (LinkState.DOWN, GRACE))


class OrderTests(SynchronousTestCase):
    """Messages on their way to the backend."""

    def test_waits_for_the_link(self) -> None:
        """What a browser says while the link is down goes out in order once it is up."""
        one = relay()
        for message in (b"a", b"b", b"c"):
            one.from_browser(message, False)
        self.assertEqual((one.waiting, written(one)), (3, []))
        one.feed(LinkEvent.CONNECTED, 1.0)
        self.assertEqual((written(one), one.waiting), ([b"a\n", b"b\n", b"c\n"], 0))

    def test_a_link_need_not_have_proved_itself(self) -> None:
        """A backend that speaks only when spoken to is spoken to at once."""
        for events in ([LinkEvent.CONNECTED], [LinkEvent.CONNECTED, LinkEvent.PROOF]):
            one = relay(*events)
            one.from_browser(b"a", False)
            self.assertEqual(written(one), [b"a\n"])

    def test_written_once(self) -> None:
        """What was written to a link that broke is not written to the next one."""
        one = relay(LinkEvent.CONNECTED)
        one.from_browser(b"render page 1", False)
        self.assertEqual(one.next_for_backend(), b"render page 1\n")
        one.from_browser(b"render page 2", False)
        one.feed(LinkEvent.LOST, 1.0)
        one.feed(LinkEvent.CONNECTED, 2.0)
        self.assertEqual(written(one), [b"render page 2\n"])

    def test_a_full_link_is_not_written_to(self) -> None:
        """While the link's buffer is full its messages wait, and go on when there is room."""
        one = relay(LinkEvent.CONNECTED)
        one.from_browser(b"a", False)
        one.from_browser(b"b", False)
        self.assertEqual(one.next_for_backend(), b"a\n")
        one.link_full(True)
        self.assertEqual((one.next_for_backend(), one.waiting), (None, 1))
        one.link_full(False)
        self.assertEqual(one.next_for_backend(), b"b\n")

    def test_a_new_link_is_not_full(self) -> None:
        """That the old link was full says nothing of the new one."""
        one = relay(LinkEvent.CONNECTED)
        one.link_full(True)
        one.from_browser(b"a", False)
        one.feed(LinkEvent.LOST, 1.0)
        self.assertTrue(one.may_read_browser)
        one.feed(LinkEvent.CONNECTED, 2.0)
        self.assertEqual(written(one), [b"a\n"])

    def test_message_types(self) -> None:
        """Each message is framed by the tenant's message type and framing, both ways."""
        table = [
            ("text", "int32", b"hi", False, b"\x00\x00\x00\x02hi"),
            ("text", "netstring", b"hi", True, b"2:hi,"),
            ("binary", "nul", b"hi", True, b"hi\x00"),
            ("binary", "nul", b"hi", False, b"hi\x00"),
            ("tagged", "int16", b"hi", False, b"\x00\x03Thi"),
            ("tagged", "line", b"hi", True, b"Bhi\n"),
        ]
        for message_type, framing, payload, is_binary, frame in table:
            with self.subTest(f"{message_type} {framing} {is_binary}"):
                one = relay(LinkEvent.CONNECTED, message_type=message_type, framing=framing)
                one.from_browser(payload, is_binary)
                self.assertEqual(written(one), [frame])
        answers = [
            ("text", b"hi", (b"hi", False)),
            ("binary", b"hi", (b"hi", True)),
            ("tagged", b"Thi", (b"hi", False)),
            ("tagged", b"B\xff", (b"\xff", True)),
        ]
        for message_type, payload, message in answers:
            with self.subTest(f"{message_type} {payload!r}"):
                self.assertEqual(relay(message_type=message_type).from_backend(payload), message)

    def test_what_cannot_be_carried(self) -> None:
        """A message that the link cannot say is an error of the browser, and takes no room."""
        for payload, is_binary, error in (
            (b"\xff", True, InvalidPayload),
            (b"two\nlines", False, FrameUnencodable),
        ):
            one = relay(LinkEvent.CONNECTED)
            self.assertRaises(error, one.from_browser, payload, is_binary)
            self.assertEqual((one.waiting, one.next_for_backend()), (0, None))

    def test_a_backend_that_breaks_its_type(self) -> None:
        """Text that is no UTF-8, or a frame without a tag, is an error of the backend."""
        self.assertRaises(BackendError, relay().from_backend, b"\xff")
        self.assertRaises(BackendError, relay(message_type="tagged").from_backend, b"")


class WindowTests(SynchronousTestCase):
    """How much may wait."""

    def test_full_at_the_mark(self) -> None:
        """The browser is read until what waits reaches ``window_bytes``, and no further."""
        one = relay(framing="int32")
        cost = 4 + MESSAGE_COST
        one.from_browser(b"x" * (WINDOW - cost - 1), False)
        self.assertTrue(one.may_read_browser)
        one.from_browser(b"", False)
        self.assertFalse(one.may_read_browser)

    def test_exactly_full(self) -> None:
        """A window filled to the byte is full."""
        one = relay(framing="int32")
        one.from_browser(b"x" * (WINDOW - 4 - MESSAGE_COST), False)
        self.assertFalse(one.may_read_browser)

    def test_empty_messages_fill_it(self) -> None:
        """Messages of no bytes cannot pile up without end."""
        one = relay(framing="int32")
        taken = 0
        while one.may_read_browser:
            one.from_browser(b"", False)
            taken += 1
        self.assertEqual(taken, -(-WINDOW // (4 + MESSAGE_COST)))

    def test_room_comes_back(self) -> None:
        """Once the link has taken enough, the browser is read again."""
        one = relay()
        one.from_browser(b"x" * WINDOW, False)
        self.assertFalse(one.may_read_browser)
        one.feed(LinkEvent.CONNECTED, 1.0)
        self.assertFalse(one.may_read_browser)
        one.next_for_backend()
        self.assertTrue(one.may_read_browser)

    def test_a_full_link_stops_the_browser(self) -> None:
        """A backend that does not read is felt by the browser at once, window or not."""
        one = relay(LinkEvent.CONNECTED)
        one.link_full(True)
        self.assertFalse(one.may_read_browser)
        one.link_full(False)
        self.assertTrue(one.may_read_browser)


class PatienceTests(SynchronousTestCase):
    """How long a browser is kept without a proved link."""

    def test_none_before_the_first_link(self) -> None:
        """The first dial has its own limit; this one does not run yet."""
        self.assertIsNone(relay().deadline)

    def test_from_the_loss(self) -> None:
        """The browser is told BACKEND_DOWN ``link_grace`` after the link went away."""
        one = relay(LinkEvent.CONNECTED, LinkEvent.PROOF)
        self.assertIsNone(one.deadline)
        one.feed(LinkEvent.LOST, 100.0)
        self.assertEqual(one.deadline, 100.0 + GRACE)

    def test_a_link_stops_the_clock(self) -> None:
        """While there is a link, proved or not, no browser is closed."""
        one = relay(LinkEvent.CONNECTED, LinkEvent.LOST, LinkEvent.CONNECTED)
        self.assertIsNone(one.deadline)

    def test_flapping_does_not_extend_it(self) -> None:
        """A backend that accepts and dies, over and over, holds a browser for one grace only."""
        one = relay(LinkEvent.CONNECTED, LinkEvent.PROOF)
        for second in range(10, 100, 10):
            one.feed(LinkEvent.LOST, float(second))
            self.assertEqual(one.deadline, 10.0 + GRACE)
            one.feed(LinkEvent.CONNECTED, float(second))

    def test_proof_makes_it_whole(self) -> None:
        """A link that has proved itself earns the next loss a whole grace."""
        one = relay(LinkEvent.CONNECTED)
        one.feed(LinkEvent.LOST, 10.0)
        one.feed(LinkEvent.CONNECTED, 20.0)
        one.feed(LinkEvent.PROOF, 21.0)
        one.feed(LinkEvent.LOST, 30.0)
        self.assertEqual(one.deadline, 30.0 + GRACE)

    def test_a_grace_of_nothing(self) -> None:
        """With ``link_grace`` 0 the browser goes with its link."""
        one = relay(LinkEvent.CONNECTED, grace=0.0)
        one.feed(LinkEvent.LOST, 7.0)
        self.assertEqual(one.deadline, 7.0)


class StopTests(SynchronousTestCase):
    """The end, from every state."""

    def test_from_everywhere(self) -> None:
        """Whatever the link was doing, afterwards nothing waits, is taken, or has a deadline."""
        for state, events in WAYS.items():
            with self.subTest(state.name):
                one = relay(*events)
                one.from_browser(b"a", False)
                one.feed(LinkEvent.STOP, 1.0)
                self.assertEqual((one.waiting, one.deadline, written(one)), (0, None, []))
                one.from_browser(b"b", False)
                self.assertEqual((one.waiting, written(one)), (0, []))

    def test_while_the_link_is_away(self) -> None:
        """The patience ends with the relay."""
        one = relay(LinkEvent.CONNECTED, LinkEvent.LOST)
        one.feed(LinkEvent.STOP, 1.0)
        self.assertIsNone(one.deadline)


class RelayMachine(RuleBasedStateMachine):
    """
    Any order of events, beside the simplest thing that could be right.

    The model keeps whole lists: what was accepted, what was handed out. The shell is an honest
    one: it takes a message only while the browser may be read.
    """

    def __init__(self) -> None:
        super().__init__()
        self.relay = relay(framing="int16", window_bytes=WINDOW)
        self.now = 0.0
        self.accepted: list[bytes] = []
        self.handed_out: list[bytes] = []
        self.link = False
        self.full = False
        self.proved = False
        self.unproved_since: float | None = None
        self.longest = 0

    @property
    def kept(self) -> list[bytes]:
        return self.accepted[len(self.handed_out) :]

    @rule(seconds=st.floats(0, 20))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: not self.link)
    @rule()
    def link_comes(self) -> None:
        self.relay.feed(LinkEvent.CONNECTED, self.now)
        self.link, self.full, self.proved = True, False, False

    @precondition(lambda self: self.link and not self.proved)
    @rule()
    def link_proves_itself(self) -> None:
        self.relay.feed(LinkEvent.PROOF, self.now)
        self.proved = True
        self.unproved_since = None

    @precondition(lambda self: self.link)
    @rule()
    def link_goes(self) -> None:
        self.relay.feed(LinkEvent.LOST, self.now)
        self.link = False
        if self.unproved_since is None:
            self.unproved_since = self.now

    @precondition(lambda self: self.link)
    @rule(full=st.booleans())
    def link_fills_or_drains(self, full: bool) -> None:
        self.relay.link_full(full)
        self.full = full

    @precondition(lambda self: self.relay.may_read_browser)
    @rule(size=st.integers(0, WINDOW + 50))
    def browser_speaks(self, size: int) -> None:
        message = b"%d" % len(self.accepted)
        self.relay.from_browser(message.ljust(size, b"."), False)
        self.accepted.append(message.ljust(size, b"."))
        self.longest = max(self.longest, len(self.accepted[-1]))

    @rule(most=st.integers(1, 4))
    def shell_pulls(self, most: int) -> None:
        for _ in range(most):
            frame = self.relay.next_for_backend()
            if frame is None:
                assert not self.kept or not self.link or self.full
                return
            assert self.link
            assert not self.full
            self.handed_out.append(frame[2:])

    @invariant()
    def each_message_once_and_in_order(self) -> None:
        """What was handed out and what waits make up what was accepted; nothing is in both."""
        assert self.accepted[: len(self.handed_out)] == self.handed_out
        assert self.relay.waiting == len(self.kept)

    @invariant()
    def window_is_bounded(self) -> None:
        held = sum(2 + len(message) + MESSAGE_COST for message in self.kept)
        assert held < WINDOW + 2 + self.longest + MESSAGE_COST
        is_full = self.link and self.full
        assert self.relay.may_read_browser == (held < WINDOW and not is_full)

    @invariant()
    def patience_is_from_the_first_unproved_loss(self) -> None:
        waits = not self.link and self.unproved_since is not None
        expected = (
            self.unproved_since + GRACE if waits and self.unproved_since is not None else None
        )
        assert self.relay.deadline == expected

    def teardown(self) -> None:
        self.relay.feed(LinkEvent.STOP, self.now)
        assert (self.relay.waiting, self.relay.deadline) == (0, None)
        assert self.relay.next_for_backend() is None


class AnyOrderTests(SynchronousTestCase):
    """No order of events breaks the promise."""

    def test_any_order(self) -> None:
        """Links may come, go, fill and prove themselves at any time: each message, once."""
        run_state_machine_as_test(
            RelayMachine,
            settings=settings(deadline=None, max_examples=150, stateful_step_count=60),
        )
