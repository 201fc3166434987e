"""A bridge under any order of events, beside what must be true of it at every moment."""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from orion_twisted.core.errors import CloseCode
from orion_twisted.service.bridge import Bridge
from tests.service.fakes import LinkWire, Scene


class BridgeMachine(RuleBasedStateMachine):
    """
    Both sides do what they like, as far as real ones could.

    Messages are lines of text with a number, so that each can be found again on the other side.
    """

    kind: Callable[..., Bridge]

    @initialize(
        idle=st.sampled_from([0.0, 20.0]),
        rate=st.sampled_from([0, 0, 2]),
        grace=st.sampled_from([0.0, 3.0, 30.0]),
    )
    def begin(self, idle: float, rate: int, grace: float) -> None:
        limits = {"idle": idle, "message_rate": rate}
        self.scene = Scene(type(self).kind, limits, link_grace=grace, text="utf-8")
        self.has_rate = bool(rate)
        self.dialled = self.scene.dial(opens=True).addErrback(lambda _: None)
        self.said = 0
        self.accepted: list[str] = []
        self.backend_said = 0
        self.browser_full = False

    @property
    def browser(self) -> Any:
        """The browser's socket, if it is open."""
        browser = self.scene.browser
        return browser if browser is not None and not browser.gone else None

    @property
    def link(self) -> Any:
        """The link in use, if there is one."""
        links: list[LinkWire] = self.scene.backend.wires
        return links[-1] if links and not (links[-1].lost or links[-1].aborted) else None

    @rule(seconds=st.sampled_from([0.0, 0.05, 0.2, 1.0, 5.0, 10.0, 31.0]))
    def time_passes(self, seconds: float) -> None:
        self.scene.clock.advance(seconds)

    @precondition(lambda self: self.scene.backend.dialling)
    @rule(stalls=st.booleans())
    def backend_accepts(self, stalls: bool) -> None:
        self.scene.backend.stalls = stalls
        self.scene.backend.accept()

    @precondition(lambda self: self.scene.backend.dialling)
    @rule()
    def backend_refuses(self) -> None:
        self.scene.backend.refuse()

    @precondition(lambda self: not self.dialled.called)
    @rule()
    def gate_cancels(self) -> None:
        self.dialled.cancel()

    # The browser

    @precondition(lambda self: self.browser and not self.browser.paused)
    @rule(size=st.integers(4, 300), times=st.integers(1, 5))
    def browser_says(self, size: int, times: int) -> None:
        for _ in range(times):
            if self.browser.paused:
                return
            message = str(self.said).ljust(size, ".")
            self.said += 1
            if self.browser.told is None:
                self.accepted.append(message)
            self.browser.say(f"{message}\n" if self.scene.bridge_is_a_stream else message)

    @precondition(lambda self: self.browser and not self.browser.paused)
    @rule()
    def browser_says_what_cannot_be_carried(self) -> None:
        if not self.scene.bridge_is_a_stream:
            self.browser.say(b"\xff")

    @precondition(lambda self: self.browser)
    @rule(full=st.booleans())
    def browser_fills_or_drains(self, full: bool) -> None:
        self.browser_full = full
        self.scene.bridge.browser_full(full)

    @precondition(lambda self: self.browser)
    @rule()
    def browser_leaves(self) -> None:
        self.browser.leave()

    # The backend

    def numbered(self, data: bytes) -> bytes:
        for _ in range(data.count(b"%d")):
            data = data.replace(b"%d", b"%d" % self.backend_said, 1)
            self.backend_said += 1
        return data

    @precondition(lambda self: self.link and not self.link.paused)
    @rule(data=st.sampled_from([b"%d\n", b"%d\npart of", b"%d\n%d\n", b"part of"]))
    def backend_says(self, data: bytes) -> None:
        self.link.answer(self.numbered(data))

    @precondition(lambda self: self.link and not self.link.paused)
    @rule()
    def backend_breaks_the_rules(self) -> None:
        self.link.answer(b"\n\xff\n")

    @precondition(lambda self: self.link and self.link.paused)
    @rule(ends=st.booleans())
    def tls_hands_over_what_it_has(self, ends: bool) -> None:
        self.link.answer_late(self.numbered(b"%d\n%d\n"))
        if ends and self.link:
            self.link.end()

    @precondition(lambda self: self.link)
    @rule(how=st.sampled_from(["fin", "reset", "stall", "read"]))
    def backend_does(self, how: str) -> None:
        getattr(self.link, how)()

    # The gateway

    @rule()
    def gateway_drains(self) -> None:
        if self.scene.ended == 0:
            self.scene.bridge.close(CloseCode.GOING_AWAY, "draining")

    @rule()
    def gateway_cuts_off(self) -> None:
        if self.scene.ended == 0:
            self.scene.bridge.abort()

    # What must be true

    @invariant()
    def ends_once(self) -> None:
        assert self.scene.ended <= 1
        gone = self.scene.browser is not None and self.scene.browser.gone
        never = self.scene.browser is None and self.dialled.called
        assert self.scene.ended == int(gone or never)

    @invariant()
    def each_message_once_and_in_order(self) -> None:
        """What was written is the beginning of what was said, over all links together."""
        written = b"".join(each.written for each in self.scene.backend.wires)
        lines = written.decode().splitlines()
        assert lines == self.accepted[: len(lines)]

    @invariant()
    def nothing_is_written_to_the_dead(self) -> None:
        """A message is not taken for written when its link was cut, or lost, before."""
        assert not any(each.written_too_late for each in self.scene.backend.wires)

    @invariant()
    def each_answer_once_and_in_order(self) -> None:
        if self.scene.browser is not None and not self.scene.bridge_is_a_stream:
            numbers = [int(payload) for payload, _ in self.scene.browser.got if payload.isdigit()]
            assert numbers == sorted(set(numbers))

    @invariant()
    def who_is_read(self) -> None:
        if (
            self.browser
            and self.browser.told is None
            and self.link
            and not self.link.disconnecting
        ):
            assert self.link.paused == self.browser_full
            if self.link.is_full:
                assert self.browser.paused
            elif len(self.accepted) == self.link_lines() and not self.has_rate:
                assert not self.browser.paused

    def link_lines(self) -> int:
        return sum(each.written.count(b"\n") for each in self.scene.backend.wires)

    def teardown(self) -> None:
        if not self.dialled.called:
            self.dialled.cancel()
        self.scene.finish()
        assert self.scene.ended == 1
        assert self.scene.clock.getDelayedCalls() == []
        assert not self.scene.backend.dialling
