"""
The pump in C, with everything that it calls played by the test.

What pumps do between real sockets is in `tests.service.test_pump`.
"""

from __future__ import annotations

import gc
import importlib.util
import os
import sys
import weakref
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from unittest import skipIf
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from orion_twisted import net
from orion_twisted.core.tlsrecords import HEADER, MOST_CONTENT
from orion_twisted.core.wsframes import codec
from orion_twisted.net import pumpsides
from orion_twisted.net.eager import EagerServer
from orion_twisted.net.leantls import PIECE
from orion_twisted.net.pumpload import fast
from orion_twisted.net.pumpsides import side_of
from tests.net.test_browser import client_frame

TEXT, PING = 0x1, 0x9
SCRATCH = 100_000
TURN = 4
OVERHEAD = 64
MOST = 50_000


def link_frame(payload: bytes) -> bytes:
    return len(payload).to_bytes(4, "big") + payload


def record(content: bytes, kind: int = 23) -> bytes:
    """Return what `Parts` takes for a record: its content follows the header as it is."""
    return bytes([kind, 3, 3]) + len(content).to_bytes(2, "big") + content


class Parts:
    """
    All that a pump calls, as methods, and all that they were called with.

    Attributes:
        calls: the names of the methods, in order, with their arguments.
        reads: what the socket has to be read, or raises, in order.
        fails: what a method raises, by its name.
        takes: how much the socket takes of each send; None: all.
        seals: how much TLS takes, and makes of it; None: all, and one byte more.
        plain: an attribute that a guard looks at.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.reads: list[bytes | Exception] = []
        self.fails: dict[str, BaseException] = {}
        self.takes: int | None = None
        self.seals: tuple[int, bytes] | None = None
        self.plain: Any = True
        self.reader: Any = codec().frame_reader(MOST, "int32", "text")
        self._records: list[bytes] = []
        self._sealed = b""

    def called(self, name: str) -> list[Any]:
        """Return what a method was called with: the argument of each call, or all of them."""
        found = [call[1:] for call in self.calls if call[0] == name]
        return [each[0] if len(each) == 1 else each for each in found]

    def note(self, name: str, *arguments: Any) -> None:
        self.calls.append((name, *arguments))
        if name in self.fails:
            raise self.fails[name]

    # The socket that is read

    def receive(self, scratch: bytearray) -> int:
        self.note("receive")
        data = self.reads.pop(0)
        if isinstance(data, Exception):
            raise data
        scratch[: len(data)] = data
        return len(data)

    # TLS there

    def give(self, data: bytes) -> int:
        self.note("give", data)
        at = 0
        while at < len(data):
            size = HEADER + int.from_bytes(data[at + 3 : at + 5], "big")
            self._records.append(data[at + HEADER : at + size])
            at += size
        return len(data)

    def open(self, size: int) -> bytes:
        content = self._records.pop(0)
        self.note("open", content)
        assert size >= len(content)
        return content

    # The reader, which is a real one

    def feed(self, data: bytes) -> None:
        self.note("feed", data)
        self.reader.feed(data)

    def take(self, most: int) -> Any:
        self.note("take", most)
        return self.reader.take_framed(most)

    # TLS of the other side, and its socket

    def seal(self, data: bytes) -> int:
        self.note("seal", data)
        taken, self._sealed = (len(data), data + b"!") if self.seals is None else self.seals
        return taken

    def sealed(self, size: int) -> bytes:
        self.note("sealed", size)
        return self._sealed

    def send(self, data: bytes) -> int:
        self.note("send", data)
        return len(data) if self.takes is None else self.takes

    # The way without a pump

    def otherwise(self) -> str:
        self.note("otherwise")
        return "otherwise"

    def arrived(self, data: bytes) -> str:
        self.note("arrived", data)
        return "arrived"

    def broken(self) -> str:
        self.note("broken")
        return "broken"

    def not_opened(self, error: Exception, rest: bytes) -> None:
        self.note("not_opened", error, rest)

    def go_on(self, left: int) -> None:
        self.note("go_on", left)

    def content(self, data: bytes) -> None:
        self.note("content", data)

    def message(self, payload: bytes, is_binary: bool) -> None:
        self.note("message", payload, is_binary)

    def first(self, payload: bytes, is_binary: bool) -> None:
        self.note("first", payload, is_binary)

    def not_sealed(self, data: bytes, error: Exception) -> None:
        self.note("not_sealed", data, error)

    def partly_sealed(self, data: bytes, size: int, sealed: bytes) -> None:
        self.note("partly_sealed", data, size, sealed)

    def write(self, data: bytes) -> None:
        self.note("write", data)

    def left(self, data: bytes, sent: int, error: OSError | None) -> None:
        self.note("left", data, sent, error)


class Looked:
    """What a guard looks at: a function says what it finds."""

    def __init__(self, look: Callable[[], object]) -> None:
        self._look = look

    @property
    def plain(self) -> object:
        return self._look()


@skipIf(fast is None and "CI" not in os.environ, "there is no compiler here")
class PumpTestCase(SynchronousTestCase):
    """A pump, and the parts of its way."""

    def setUp(self) -> None:
        self.parts = Parts()
        self.tally = fast.Tally()

    def build(self, *, opens: bool = False, seals: bool = False, **others: Any) -> Any:
        """Return an open pump, with TLS on the side that is read, or written, or without."""
        parts = self.parts
        arguments: dict[str, Any] = {
            "connection": parts,
            "way": parts,
            "guards": ((parts, "plain", True),),
            "tally": self.tally,
            "is_upwards": True,
            "frames_a_turn": TURN,
            "overhead": OVERHEAD,
            "reader": parts.reader,
            "receive": parts.receive,
            "scratch": bytearray(SCRATCH),
            "give": parts.give if opens else None,
            "open": parts.open if opens else None,
            "feed": parts.feed,
            "take": parts.take,
            "seal": parts.seal if seals else None,
            "sealed": parts.sealed if seals else None,
            "send": parts.send,
            "seconds": None,
        }
        pump = fast.Pump(**{**arguments, **others})
        pump.is_open = True
        return pump

    def carry(self, *reads: bytes | Exception, **options: Any) -> Any:
        """Have a new pump read these, one in each call; return what the last one returns."""
        pump = self.build(**options)
        result = None
        for each in reads:
            self.parts.reads.append(each)
            result = pump()
        return result

    def calls_until_cleared(
        self, name: str, build: Callable[[], Any], data: bytes
    ) -> list[tuple[Any, ...]]:
        """
        Have a new pump be cleared by one of the methods that it calls; it lets go of everything.

        Returns:
            All calls that it has made.
        """
        there, calls = self._clear_in(name, build, data)
        self.parts = Parts()
        gc.collect()
        self.assertIsNone(there(), name)
        return calls

    def _clear_in(
        self, name: str, build: Callable[[], Any], data: bytes
    ) -> tuple[weakref.ref[Parts], list[tuple[Any, ...]]]:
        self.parts = parts = Parts()
        method = getattr(parts, name)

        def clears(*arguments: Any) -> Any:
            pump.clear()
            return method(*arguments)

        setattr(parts, name, clears)
        pump = build()
        parts.reads.append(data)
        self.assertIsNone(pump())
        before = len(parts.calls)
        self.assertIsNone(pump())
        self.assertEqual(len(parts.calls), before)
        return weakref.ref(parts), parts.calls


class PlainTests(PumpTestCase):
    """What a pump does while all is plain."""

    def test_a_message(self) -> None:
        """It is read, framed anew and sent, and no part of the other way is called."""
        self.assertIsNone(self.carry(client_frame(TEXT, b"hello")))
        self.assertEqual(
            [call[0] for call in self.parts.calls], ["receive", "feed", "take", "send"]
        )
        self.assertEqual(self.parts.called("send"), [link_frame(b"hello")])

    def test_over_tls(self) -> None:
        """TLS is asked for just as much as there is, on each side."""
        self.assertIsNone(self.carry(record(client_frame(TEXT, b"hello")), opens=True, seals=True))
        self.assertEqual(
            [call[0] for call in self.parts.calls],
            ["receive", "give", "open", "feed", "take", "seal", "sealed", "send"],
        )
        self.assertEqual(self.parts.called("sealed"), [len(link_frame(b"hello")) + OVERHEAD])
        self.assertEqual(self.parts.called("send"), [link_frame(b"hello") + b"!"])

    def test_counts(self) -> None:
        """Messages and their bytes are counted once, in their direction."""
        frames = client_frame(TEXT, b"one") + client_frame(TEXT, b"four")
        self.carry(frames, frames)
        self.assertEqual(self.tally.take(), (4, 14, 0, 0))
        self.assertEqual(self.tally.take(), (0, 0, 0, 0))
        pump = self.build(is_upwards=False)
        self.parts.reads.append(frames)
        pump()
        self.assertEqual((self.tally.take(), pump.messages), ((0, 0, 2, 7), 2))

    def test_when(self) -> None:
        """The time of the last message is noted where there is a clock, and of nothing else."""
        now = [1.5, 2.5]
        pump = self.build(seconds=lambda: now.pop(0))
        self.assertIsNone(pump.last)
        for data, last in (
            (client_frame(TEXT, b"one"), 1.5),
            (client_frame(TEXT, b"two")[:3], 1.5),
            (client_frame(TEXT, b"two")[3:], 2.5),
        ):
            self.parts.reads.append(data)
            pump()
            self.assertEqual(pump.last, last)

    def test_many_records(self) -> None:
        """Records of one read are given in whole pieces that are no larger than a record may be,
        and what is in them goes out in one."""
        contents = [client_frame(TEXT, b"%d" % number * 9000) for number in range(4)]
        reads = b"".join(map(record, contents))
        self.carry(reads, opens=True)
        pieces = self.parts.called("give")
        self.assertEqual(b"".join(pieces), reads)
        self.assertEqual([len(each) for each in pieces], [len(record(contents[0]))] * 4)
        self.assertLessEqual(max(map(len, pieces)), PIECE)
        self.assertEqual(self.parts.called("feed"), [b"".join(contents)])
        self.assertEqual(len(self.parts.called("send")), 1)

    def test_small_records(self) -> None:
        """As many small ones as there are go into one piece."""
        small = record(client_frame(TEXT, b"x"))
        self.carry(small * 3, opens=True, frames_a_turn=100)
        self.assertEqual(self.parts.called("give"), [small * 3])
        self.assertEqual(self.parts.called("send"), [link_frame(b"x") * 3])

    def test_empty_content(self) -> None:
        """A record may have nothing in it."""
        self.carry(record(b"") + record(client_frame(TEXT, b"x")), opens=True)
        self.assertEqual(self.parts.called("send"), [link_frame(b"x")])


class GuardTests(PumpTestCase):
    """When a pump does not run."""

    def test_values(self) -> None:
        """What has to be so, and is not, has the read done without the pump."""
        for wanted, right, wrong in (
            (True, (True, 1, [0]), (False, 0, [], None)),
            (False, (False, 0, b"", None, []), (True, 1, b"x")),
            (None, (None,), (False, 0, b"")),
            (3, (3, 3.0), (4, None)),
        ):
            for value, holds in [(each, True) for each in right] + [
                (each, False) for each in wrong
            ]:
                self.parts.calls.clear()
                self.parts.plain = value
                result = self.carry(
                    client_frame(TEXT, b"x"), guards=((self.parts, "plain", wanted),)
                )
                self.parts.reads.clear()
                self.assertEqual(result, None if holds else "otherwise", (wanted, value))
                self.assertEqual(len(self.parts.called("receive")), int(holds))

    def test_every_guard(self) -> None:
        """All of them have to hold, whichever does not."""
        for at in range(5):
            owner = Parts()
            guards = [(Parts(), "plain", True) for _ in range(5)]
            guards[at] = (owner, "plain", True)
            pump = self.build(guards=tuple(guards))
            for value, result in ((False, "otherwise"), (True, None)):
                owner.plain = value
                self.parts.reads[:] = [client_frame(TEXT, b"x")]
                self.assertEqual(pump(), result)

    def test_no_attribute(self) -> None:
        """An attribute that is gone is not as it has to be."""
        del self.parts.plain
        self.assertEqual(self.carry(b"x"), "otherwise")

    def test_a_guard_that_raises(self) -> None:
        """Nothing is read then, and who has called hears of it."""
        self.assertRaises(
            ZeroDivisionError, self.carry, b"x", guards=((Looked(lambda: 1 / 0), "plain", True),)
        )
        self.assertEqual(self.parts.calls, [])

    def test_a_guard_that_clears(self) -> None:
        """A pump that is cleared by what it looks at reads nothing, and lets go of everything."""

        def clear() -> int:
            pump.clear()
            return 3

        pump = self.build(guards=((Looked(clear), "plain", 3),))
        there = weakref.ref(self.parts)
        self.assertIsNone(pump())
        self.assertEqual(self.parts.calls, [])
        self.parts = Parts()
        self.assertIsNone(there())

    def test_a_guard_that_shuts_the_gate(self) -> None:
        """Nor does one whose gate is shut meanwhile."""

        class Shuts:
            @property
            def plain(self) -> bool:
                pump.is_open = False
                return True

        pump = self.build(guards=((Shuts(), "plain", True),))
        self.assertEqual(pump(), "otherwise")
        self.assertEqual(self.parts.calls, [("otherwise",)])

    def test_a_guard_that_calls(self) -> None:
        """A call within a guard goes without the pump."""
        results = []

        class Calls:
            @property
            def plain(self) -> bool:
                results.append(pump())
                return True

        pump = self.build(guards=((Calls(), "plain", True),))
        self.parts.reads.append(client_frame(TEXT, b"x"))
        self.assertIsNone(pump())
        self.assertEqual((results, len(self.parts.called("send"))), (["otherwise"], 1))

    def test_the_gate(self) -> None:
        """Shut, nothing is looked at; open again, the pump goes on."""
        pump = self.build()
        pump.is_open = False
        self.assertEqual(pump(), "otherwise")
        pump.is_open = True
        self.parts.reads.append(client_frame(TEXT, b"x"))
        self.assertIsNone(pump())

    def test_within_itself(self) -> None:
        """A call inside a call goes without the pump."""
        results = []

        def feed(data: bytes) -> None:
            results.append(pump())
            self.parts.feed(data)

        pump = self.build(feed=feed)
        self.parts.reads.append(client_frame(TEXT, b"x"))
        self.assertIsNone(pump())
        self.assertEqual((results, len(self.parts.called("send"))), (["otherwise"], 1))


class HandedOverTests(PumpTestCase):
    """What a pump cannot finish."""

    def test_reads(self) -> None:
        """Nothing to read is nothing; a broken socket is told of; anything else is raised."""
        self.assertIsNone(self.carry(BlockingIOError()))
        self.assertEqual(self.carry(ConnectionResetError()), "broken")
        self.assertEqual(self.parts.called("feed"), [])
        self.assertRaises(ZeroDivisionError, self.carry, ZeroDivisionError())

    def test_arrived(self) -> None:
        """The end, very much at once, and what is no whole records of data, is Python's."""
        whole = record(client_frame(TEXT, b"x"))
        for data, options in (
            (b"", {}),
            (bytes(SCRATCH), {}),
            (whole[:-1], {"opens": True}),
            (whole + whole[:4], {"opens": True}),
            (whole + b"x", {"opens": True}),
            (record(b"alert", 21), {"opens": True}),
            (whole + record(b"alert", 21), {"opens": True}),
            (whole[:3] + b"\xff\xff" + bytes(70_000), {"opens": True}),
            (b"GET / HTTP/1.1", {"opens": True}),
        ):
            self.parts.calls.clear()
            self.assertEqual(self.carry(data, **options), "arrived")
            self.assertEqual(self.parts.calls, [("receive",), ("arrived", data)])

    def test_not_opened(self) -> None:
        """What TLS raises is handed over with all that it was not given, and what came before it
        is the reader's."""
        first, second = client_frame(TEXT, b"1" * 9000), client_frame(TEXT, b"2" * 9000)
        whole = record(first) + record(second) + record(first)
        error = ConnectionError("no data")
        for before in (0, 1, 2):
            self.parts.calls.clear()
            pump = self.build(opens=True)
            self.parts.reads.append(whole)
            times = iter(range(3))
            opening = self.parts.open

            def opens(size: int) -> bytes:
                content = opening(size)  # noqa: B023
                if next(times) == before:  # noqa: B023
                    raise error
                return content

            pump = self.build(opens=True, open=opens)
            self.assertIsNone(pump())
            self.assertEqual(
                self.parts.called("feed"),
                [b"".join((first, second)[:before])] if before else [],
            )
            size = len(record(first))
            self.assertEqual(
                self.parts.calls[-1], ("not_opened", error, whole[size * (before + 1) :])
            )
            self.assertEqual(self.parts.called("send"), [])
            self.parts.reader.release()

    def test_half_a_message(self) -> None:
        """What the reader still holds is told of, with what is left of the turn."""
        self.carry(client_frame(TEXT, b"one") + client_frame(TEXT, b"two")[:4])
        self.assertEqual(self.parts.called("send"), [link_frame(b"one")])
        self.assertEqual(self.parts.called("go_on"), [TURN - 1])

    def test_odd(self) -> None:
        """So is a frame that is not the reader's: the messages before it are sent first."""
        self.carry(client_frame(TEXT, b"one") + client_frame(PING))
        self.assertEqual([call[0] for call in self.parts.calls[-2:]], ["send", "go_on"])
        self.assertEqual(self.parts.reader.release(), client_frame(PING))

    def test_a_whole_turn(self) -> None:
        """No more frames go in one call than in a turn."""
        self.carry(client_frame(TEXT, b"x") * (TURN + 2))
        self.assertEqual(self.parts.called("send"), [link_frame(b"x") * TURN])
        self.assertEqual(self.parts.called("go_on"), [0])

    def test_what_the_reader_raises(self) -> None:
        """Who knows what it means takes from the reader again."""
        self.parts.fails["take"] = ValueError("a bad frame")
        self.carry(client_frame(TEXT, b"x"))
        self.assertEqual(self.parts.calls[-1], ("go_on", TURN))
        self.parts.fails["take"] = KeyboardInterrupt()
        self.assertRaises(KeyboardInterrupt, self.carry, client_frame(TEXT, b"x"))
        self.assertEqual(self.parts.calls[-1][0], "take")

    def test_sealed_in_part(self) -> None:
        """What TLS does not take whole, or makes more of than expected, is handed over."""
        frame = link_frame(b"hello")
        room = len(frame) + OVERHEAD
        for seals in ((3, b"abc!"), (len(frame), bytes(room)), (len(frame), bytes(room + 1))):
            self.parts.seals = seals
            self.carry(client_frame(TEXT, b"hello"), seals=True)
            self.assertEqual(self.parts.calls[-1], ("partly_sealed", frame, *seals))
        self.assertEqual(self.parts.called("send"), [])

    def test_not_sealed(self) -> None:
        """What TLS raises then is handed over with the frames."""
        error = self.parts.fails["seal"] = ConnectionError("no")
        self.carry(client_frame(TEXT, b"hello"), seals=True)
        self.assertEqual(self.parts.calls[-1], ("not_sealed", link_frame(b"hello"), error))

    def test_left(self) -> None:
        """What the socket does not take, or its error, is handed over with what was sent."""
        frame = link_frame(b"hello")
        for takes in (0, 1, len(frame) - 1):
            self.parts.takes = takes
            self.carry(client_frame(TEXT, b"hello"))
            self.assertEqual(self.parts.calls[-1], ("left", frame, takes, None))
        for error in (BlockingIOError(), BrokenPipeError()):
            self.parts.fails["send"] = error
            self.carry(client_frame(TEXT, b"hello"), seals=True)
            self.assertEqual(self.parts.calls[-1], ("left", frame + b"!", 0, error))

    def test_raised(self) -> None:
        """Whatever else is raised, in any step, is the caller's, and nothing is done after it."""
        for name in ("give", "feed", "sealed", "send", "go_on", "left"):
            self.parts.calls.clear()
            self.parts.fails = {name: ZeroDivisionError()}
            self.parts.takes = 1 if name == "left" else None
            data = client_frame(TEXT, b"one") + client_frame(TEXT, b"t" * 30)[:20]
            self.assertRaises(ZeroDivisionError, self.carry, record(data), opens=True, seals=True)
            self.assertEqual(self.parts.calls[-1][0], name)
            self.parts.reader.release()

    def test_lies(self) -> None:
        """Parts that say what cannot be are not believed."""
        frame = client_frame(TEXT, b"hello")
        for name, lie in (
            ("receive", lambda _: SCRATCH + 1),
            ("receive", lambda _: -1),
            ("receive", lambda _: "many"),
            ("take", lambda _: None),
            ("take", lambda _: (b"", 1)),
            ("take", lambda _: ("text", 1, 1)),
            ("take", lambda _: (b"x", None, 1)),
            ("take", lambda _: (b"x", -1, 1)),
            ("take", lambda _: (b"x", TURN + 1, 1)),
            ("take", lambda _: (b"x", 1, -1)),
            ("sealed", lambda _: None),
            ("send", lambda _: 100),
        ):
            self.assertRaises(
                (TypeError, ValueError), self.carry, frame, seals=True, **{name: lie}
            )
            self.parts.reads.clear()
        whole = record(frame)
        for lie in (-1, len(whole) - 1, len(whole) + 1, None):
            give = lambda _, lie=lie: lie  # noqa: E731
            self.assertRaises((TypeError, ValueError), self.carry, whole, opens=True, give=give)

    def test_a_scratch_that_shrinks(self) -> None:
        """Nothing is read from behind what the bytes that are read into are by then."""

        def receive(scratch: bytearray) -> int:
            size = len(scratch)
            scratch.clear()
            return size

        self.assertRaises(ValueError, self.build(receive=receive, scratch=bytearray(100)))
        self.assertEqual(self.parts.calls, [])


class HalfTests(PumpTestCase):
    """A pump without another socket: messages, or what was read, are handed over."""

    def half(self, *, reads: bool = True, **others: Any) -> Any:
        """Return a pump with a reader, or without."""
        parts = self.parts
        parts.take = self.take  # type: ignore[method-assign]
        nothing = None if not reads else parts
        return self.build(
            **{
                "tally": None,
                "frames_a_turn": 1,
                "overhead": 0,
                "send": None,
                "reader": nothing and parts.reader,
                "feed": nothing and parts.feed,
                "take": nothing and parts.take,
                **others,
            }
        )

    def take(self, most: int) -> Any:
        self.parts.note("take", most)
        return self.parts.reader.take(most)

    def read(self, data: bytes, **options: Any) -> Any:
        pump = self.half(**options)
        self.parts.reads.append(data)
        return pump()

    def test_the_one_message(self) -> None:
        """It is handed over as it is, and as what it is."""
        for opcode, is_binary in ((TEXT, False), (0x2, True)):
            for opens in (False, True):
                self.parts.calls.clear()
                frame = client_frame(opcode, b"hello")
                self.assertIsNone(self.read(record(frame) if opens else frame, opens=opens))
                self.assertEqual(self.parts.calls[-1], ("message", b"hello", is_binary))
                self.assertEqual(self.parts.called("take"), [1])

    def test_the_first_of_several(self) -> None:
        """So is it with word that there is more: a message, half of one, or something odd."""
        for more in (client_frame(TEXT, b"two"), client_frame(TEXT, b"two")[:3], b"\xff\xff"):
            self.assertIsNone(self.read(client_frame(TEXT, b"one") + more))
            self.assertEqual(self.parts.calls[-1], ("first", b"one", False))
            self.assertEqual(self.parts.reader.release(), more)

    def test_no_message(self) -> None:
        """What is none yet, or never will be, is the reader's, and is told of."""
        for data in (client_frame(TEXT, b"one")[:3], client_frame(PING)):
            self.assertIsNone(self.read(record(data), opens=True))
            self.assertEqual(self.parts.calls[-1], ("go_on", 1))
            self.assertEqual(self.parts.reader.release(), data)

    def test_cut_at_every_byte(self) -> None:
        """Each message is handed over once, whole, or left with the reader."""
        stream = client_frame(TEXT, b"one") + client_frame(TEXT, b"two")
        for cut in range(1, len(stream)):
            self.parts.calls.clear()
            pump = self.half()
            for data in (stream[:cut], stream[cut:]):
                self.parts.reads.append(data)
                self.assertIsNone(pump())
            taken = self.parts.called("message") + self.parts.called("first")
            taken += self.parts.reader.take(9)
            self.assertEqual(sorted(taken), [(b"one", False), (b"two", False)], cut)

    def test_without_a_reader(self) -> None:
        """What was read is handed over, out of its records if there are any, in one piece."""
        for data, options in (
            (b"any bytes", {}),
            (record(b"any ") + record(b"bytes"), {"opens": True}),
        ):
            self.assertIsNone(self.read(data, reads=False, **options))
            self.assertEqual(self.parts.calls[-1], ("content", b"any bytes"))
        self.assertEqual(self.read(b"", reads=False), "arrived")
        self.assertEqual(self.read(record(b"x", 21), reads=False, opens=True), "arrived")

    def test_not_opened(self) -> None:
        """What came before an error of TLS is handed over before it."""
        error = ConnectionError("no data")
        opening = self.parts.open

        def opens(size: int) -> bytes:
            content = opening(size)
            if content == b"bad":
                raise error
            return content

        bad = record(b"good") + record(b"bad")
        self.assertIsNone(self.read(bad, reads=False, opens=True, open=opens))
        self.assertEqual(self.parts.calls[-2:], [("content", b"good"), ("not_opened", error, b"")])

    def test_raised(self) -> None:
        """What is raised is the caller's, and nothing is done after it."""
        for name in ("feed", "take", "message"):
            self.parts.calls.clear()
            self.parts.fails = {name: ZeroDivisionError()}
            self.assertRaises(ZeroDivisionError, self.read, client_frame(TEXT, b"one"))
            self.assertEqual(self.parts.calls[-1][0], name)
            self.parts.reader.release()

    def test_lies(self) -> None:
        """A reader that gives what are no messages is not believed."""
        for lie in (None, (), [1], [(b"x",)], [(b"x", True), (b"y", True)]):
            self.assertRaises(
                TypeError, self.read, client_frame(TEXT, b"x"), take=lambda _, lie=lie: lie
            )
            self.parts.reader.release()

    def test_a_message_that_is_taken_back(self) -> None:
        """A message stays what it is, whatever becomes of the list that it came in."""
        taken = [tuple([b"hello", False])]  # noqa: C409 - nobody else has it

        class Reader:
            @property
            def pending(self) -> bool:
                taken.clear()
                self.kept = (bytes(5), True)
                return False

        self.read(client_frame(TEXT, b"x"), reader=Reader(), take=lambda _: taken)
        self.assertEqual(self.parts.calls[-1], ("message", b"hello", False))

    def test_cleared_in_the_middle(self) -> None:
        """A call that clears it comes to its end first."""
        for name in ("receive", "feed", "message", "content"):
            calls = self.calls_until_cleared(
                name,
                lambda name=name: self.half(reads=name != "content"),
                client_frame(TEXT, b"x"),
            )
            self.assertIn(calls[-1][0], ("message", "content"))

    def test_a_group_looks_again(self) -> None:
        """What a message is handed to may change anything: guards are looked at after it."""
        there = Guarded()
        group = fast.Pumps()
        pump = self.half(guards=((there, "plain", True),))
        group.add(5, pump)
        for _ in range(3):
            self.parts.reads.append(client_frame(TEXT, b"x"))
            group.run([(5, 1)], 0, {5: self.parts})
        self.assertEqual((there.looks, len(self.parts.called("message"))), (3, 3))


class WriterTestCase(PumpTestCase):
    """A writer, and the parts of its way."""

    def frame(self, payload: bytes, is_binary: bool) -> bytes:
        self.parts.note("frame", payload, is_binary)
        return b"<" + payload + b">"

    def writer(self, *, seals: bool = False, **others: Any) -> Any:
        parts = self.parts
        arguments: dict[str, Any] = {
            "way": SimpleNamespace(
                otherwise=lambda *given: parts.note("otherwise", *given),
                not_sealed=parts.not_sealed,
                partly_sealed=parts.partly_sealed,
                write=parts.write,
                left=parts.left,
            ),
            "guards": ((parts, "plain", True),),
            "overhead": OVERHEAD,
            "frame": self.frame,
            "seal": parts.seal if seals else None,
            "sealed": parts.sealed if seals else None,
            "send": parts.send,
        }
        return fast.Writer(**{**arguments, **others})


class WriterTests(WriterTestCase):
    """What makes a frame of a message, and sends it."""

    def test_a_message(self) -> None:
        """It is framed, sealed where there is TLS, and sent."""
        self.assertIsNone(self.writer()(b"hello", True))
        self.assertEqual(self.parts.calls, [("frame", b"hello", True), ("send", b"<hello>")])
        self.parts.calls.clear()
        self.assertIsNone(self.writer(seals=True)(b"hello", False))
        self.assertEqual(
            [call[0] for call in self.parts.calls], ["frame", "seal", "sealed", "send"]
        )
        self.assertEqual(self.parts.called("send"), [b"<hello>!"])

    def test_frames(self) -> None:
        """Without anything to make frames it is given some, and joins them."""
        writer = self.writer(frame=None)
        for frames in ([b"one"], [b"one", b"two"]):
            writer(frames)
        writer([])
        writer([b""])
        self.assertEqual(self.parts.called("send"), [b"one", b"onetwo"])
        for wrong in (b"one", ([b"one"], 1), ["one"], [b"one", "two"], [bytearray(b"x")]):
            given = wrong if isinstance(wrong, tuple) else (wrong,)
            self.assertRaises(TypeError, writer, *given)

    def test_not_plain(self) -> None:
        """Where a guard does not hold it is written in the other way, and that is all."""
        self.parts.plain = False
        self.assertIsNone(self.writer()(b"hello", True))
        self.assertEqual(self.parts.calls, [("otherwise", b"hello", True)])
        self.parts.fails["otherwise"] = ZeroDivisionError()
        self.assertRaises(ZeroDivisionError, self.writer(), b"hello", True)

    def test_a_guard_that_raises(self) -> None:
        """Nothing is written, and whoever writes hears of it."""
        writer = self.writer(guards=((Looked(lambda: 1 / 0), "plain", True),))
        self.assertRaises(ZeroDivisionError, writer, b"hello", True)
        self.assertEqual(self.parts.calls, [])

    def test_a_guard_that_clears(self) -> None:
        """Nothing is written by a writer that is cleared by what it looks at."""

        def clear() -> int:
            writer.clear()
            return 3

        writer = self.writer(guards=((Looked(clear), "plain", 3),))
        self.assertIsNone(writer(b"hello", True))
        self.assertEqual(self.parts.calls, [])

    def test_handed_over(self) -> None:
        """So is what TLS or the socket does not take whole, or refuses."""
        frame = b"<hello>"
        for takes in (0, 1, len(frame) - 1):
            self.parts.takes = takes
            self.writer()(b"hello", True)
            self.assertEqual(self.parts.calls[-1], ("left", frame, takes, None))
        self.parts.takes = None
        for error in (BlockingIOError(), BrokenPipeError()):
            self.parts.fails = {"send": error}
            self.writer(seals=True)(b"hello", True)
            self.assertEqual(self.parts.calls[-1], ("left", frame + b"!", 0, error))
        self.parts.fails = {"seal": ConnectionError()}
        self.writer(seals=True)(b"hello", True)
        self.assertEqual(self.parts.calls[-1], ("not_sealed", frame, self.parts.fails["seal"]))
        self.parts.fails = {}
        for seals in ((3, b"abc!"), (len(frame), bytes(len(frame) + OVERHEAD))):
            self.parts.seals = seals
            self.writer(seals=True)(b"hello", True)
            self.assertEqual(self.parts.calls[-1], ("partly_sealed", frame, *seals))

    def test_raised(self) -> None:
        """Whatever else is raised is the caller's."""
        for name in ("frame", "sealed", "send"):
            self.parts.fails = {name: ZeroDivisionError()}
            self.assertRaises(ZeroDivisionError, self.writer(seals=True), b"hello", True)
            self.assertEqual(self.parts.calls[-1][0], name)
        self.parts.fails = {}
        self.assertRaises(TypeError, self.writer(frame=lambda *_: None), b"hello", True)
        self.assertRaises(TypeError, self.writer(), b"hello", is_binary=True)

    def test_within_itself(self) -> None:
        """A write inside a write goes the other way."""

        def send(data: bytes) -> int:
            writer(b"inner", False)
            return self.parts.send(data)

        writer = self.writer(send=send)
        writer(b"outer", True)
        self.assertEqual(self.parts.called("otherwise"), [(b"inner", False)])
        self.assertEqual(self.parts.called("send"), [b"<outer>"])

    def test_cleared(self) -> None:
        """It does nothing more, and lets go of everything, even if cleared in the middle."""
        for name in ("frame", "seal", "send", "otherwise"):
            there = weakref.ref(self.clear_in(name))
            self.parts = Parts()
            gc.collect()
            self.assertIsNone(there(), name)

    def clear_in(self, name: str) -> Parts:
        """Have a writer be cleared by one of the methods that it calls; return its parts."""
        self.parts = parts = Parts()
        parts.plain = name != "otherwise"
        note = parts.note

        def clears(called: str, *arguments: Any) -> None:
            if called == name:
                writer.clear()
            note(called, *arguments)

        parts.note = clears  # type: ignore[method-assign]
        writer = self.writer(seals=True)
        writer(b"hello", True)
        self.assertEqual(parts.calls[-1][0], "send" if parts.plain else name)
        before = len(parts.calls)
        writer(b"hello", True)
        self.assertEqual(len(parts.calls), before)
        return parts

    def test_nothing_is_kept(self) -> None:
        """Neither data nor errors stay behind, whichever way a call ends."""
        for fails in ({}, {"seal": ConnectionError()}, {"send": BrokenPipeError()}):
            self.parts.fails = fails
            writer = self.writer(seals=True)

            def rounds(number: int) -> int:
                for _ in range(number):
                    writer(b"hello", True)  # noqa: B023
                    self.parts.calls.clear()
                    for error in fails.values():  # noqa: B023
                        error.__traceback__ = None
                gc.collect()
                return len(gc.get_objects())

            rounds(10)
            before = rounds(10)
            self.assertLess(rounds(200) - before, 20, fails)

    def test_arguments(self) -> None:
        """What it cannot work with is refused when it is made."""
        for wrong in (
            {"guards": (1,)},
            {"guards": []},
            {"overhead": -1},
            {"odd": 1},
            {"way": None},
            {"send": None},
            {"seal": self.parts.seal},
            {"sealed": self.parts.sealed},
        ):
            self.assertRaises((TypeError, ValueError), self.writer, **wrong)


class SeveralRecordsTests(WriterTestCase):
    """Frames that take more than one record of TLS."""

    def write(self, frames: bytes, *answers: tuple[int, bytes] | Exception | None) -> None:
        """
        Write frames, at once.

        Args:
            frames: whole ones.
            answers: of TLS, for one record after the other: how much it takes and what it makes
                of that, or what it raises; None: it does as it should.
        """
        left = list(answers)

        def seal(data: bytes) -> int:
            answer = left.pop(0) if left else None
            if isinstance(answer, Exception):
                self.parts.fails["seal"] = answer
            self.parts.seals = answer  # type: ignore[assignment]
            return self.parts.seal(data)

        self.writer(frame=None, seals=True, seal=seal)([frames])

    def test_sent_in_one_piece(self) -> None:
        """Each record is sealed by itself, and all are sent together."""
        for size in (MOST_CONTENT, MOST_CONTENT + 1, 2 * MOST_CONTENT, 4 * MOST_CONTENT):
            self.parts.calls.clear()
            frames = bytes(range(256)) * (size // 256 + 1)
            frames = frames[:size]
            pieces = [frames[at : at + MOST_CONTENT] for at in range(0, size, MOST_CONTENT)]
            self.write(frames)
            self.assertEqual(self.parts.called("seal"), pieces)
            rooms = [len(piece) + OVERHEAD for piece in pieces]
            self.assertEqual(self.parts.called("sealed"), rooms)
            sent = b"".join(piece + b"!" for piece in pieces)
            self.assertEqual(self.parts.called("send"), [sent])
            self.assertEqual(self.parts.calls[-1][0], "send")

    def test_of_a_pump(self) -> None:
        """A pump does the same, with a frame that is just too long for one."""
        size = MOST_CONTENT - 3
        self.carry(client_frame(TEXT, b"x" * size), seals=True)
        frame = link_frame(b"x" * size)
        pieces = [frame[:MOST_CONTENT], frame[MOST_CONTENT:]]
        self.assertEqual(self.parts.called("seal"), pieces)
        self.assertEqual(self.parts.called("send"), [pieces[0] + b"!" + pieces[1] + b"!"])

    def test_too_many(self) -> None:
        """More than four are written in Python."""
        frames = bytes(4 * MOST_CONTENT + 1)
        self.write(frames)
        self.assertEqual(self.parts.calls, [("write", frames)])

    def test_sealed_in_part(self) -> None:
        """What TLS does not take whole, or makes more of, is handed over with what it has made of
        the records before, in one piece; nothing is sent in between."""
        frames = bytes(2 * MOST_CONTENT + 10)
        first = frames[:MOST_CONTENT] + b"!"
        for taken, sealed in (
            (3, b"abc!"),
            (MOST_CONTENT - 1, b"x"),
            (MOST_CONTENT, bytes(MOST_CONTENT + OVERHEAD)),
        ):
            for before in range(2):
                self.parts.calls.clear()
                self.write(frames, *[None] * before, (taken, sealed))
                rest = frames[before * MOST_CONTENT :]
                self.assertEqual(
                    self.parts.calls[-1], ("partly_sealed", rest, taken, first * before + sealed)
                )
                self.assertEqual(self.parts.called("send"), [])
                self.assertEqual(len(self.parts.called("seal")), before + 1)

    def test_not_sealed(self) -> None:
        """Where TLS raises something, what is sealed is sent, and the rest is handed over."""
        frames = bytes(2 * MOST_CONTENT + 10)
        error = ConnectionError("no")
        for before in range(3):
            self.parts = Parts()
            self.write(frames, *[None] * before, error)
            rest = frames[before * MOST_CONTENT :]
            self.assertEqual(self.parts.calls[-1], ("not_sealed", rest, error))
            sent = (frames[:MOST_CONTENT] + b"!") * before
            self.assertEqual(self.parts.called("send"), [sent] if sent else [])

    def test_left(self) -> None:
        """What the socket does not take is handed over first, and then what TLS does not."""
        frames = bytes(MOST_CONTENT + 1)
        sealed = frames[:MOST_CONTENT] + b"!" + frames[MOST_CONTENT:] + b"!"
        self.parts.takes = 5
        self.write(frames)
        self.assertEqual(self.parts.calls[-1], ("left", sealed, 5, None))
        error = ConnectionError("no")
        self.write(frames, None, error)
        self.assertEqual(
            self.parts.calls[-2:],
            [
                ("left", frames[:MOST_CONTENT] + b"!", 5, None),
                ("not_sealed", frames[MOST_CONTENT:], error),
            ],
        )

    def test_raised(self) -> None:
        """Whatever else is raised is the caller's."""
        frames = bytes(MOST_CONTENT + 10)
        for name in ("sealed", "send", "left", "partly_sealed", "not_sealed"):
            self.parts = Parts()
            self.parts.fails = {name: ZeroDivisionError()}
            self.parts.takes = 1 if name == "left" else None
            answers = {"partly_sealed": (1, b"x"), "not_sealed": ConnectionError()}
            answer = answers.get(name)
            with self.subTest(name), self.assertRaises(ZeroDivisionError):
                self.write(frames, *([] if answer is None else [None, answer]))  # type: ignore[list-item]
            self.assertEqual(self.parts.calls[-1][0], name)

    def test_cleared(self) -> None:
        """A pump that is cleared by one of its parts has done all the same what it has begun."""
        size = MOST_CONTENT + 1000
        for name in ("seal", "sealed", "send"):
            calls = self.calls_until_cleared(
                name, lambda: self.build(seals=True), client_frame(TEXT, b"x" * size)
            )
            self.assertEqual(calls[-1][0], "send")


class LifeTests(PumpTestCase):
    """What a pump keeps, and for how long."""

    def test_cleared(self) -> None:
        """It does nothing more, and has let go of everything."""
        pump = self.build()
        parts = weakref.ref(self.parts)
        pump.clear()
        self.parts = Parts()
        self.assertIsNone(parts())
        self.assertIsNone(pump())
        pump.clear()

    def test_cleared_in_the_middle(self) -> None:
        """A call that clears it comes to its end first, wherever that is."""
        for name in ("receive", "feed", "take", "send", "go_on"):
            data = client_frame(TEXT, b"x") + client_frame(PING)
            calls = self.calls_until_cleared(name, self.build, data)
            self.assertEqual(calls.count(("send", link_frame(b"x"))), 1, name)

    def test_a_cycle(self) -> None:
        """The collector finds it in a cycle."""
        parts = self.parts
        parts.pump = self.build()  # type: ignore[attr-defined]
        there = weakref.ref(parts)
        self.parts = Parts()
        del parts
        gc.collect()
        self.assertIsNone(there())

    def test_a_cycle_through_the_time(self) -> None:
        """So it does one through what the clock has said."""

        def pumps_there() -> int:
            gc.collect()
            return sum(type(each) is fast.Pump for each in gc.get_objects())

        before = pumps_there()
        said: list[Any] = []
        pump = self.build(seconds=lambda: (said.pop(),))
        said.append(pump)
        self.parts.reads.append(client_frame(TEXT, b"x"))
        pump()
        self.assertIs(pump.last[0], pump)
        del pump
        self.assertEqual(pumps_there(), before)

    def test_of_one_class_for_good(self) -> None:
        """A writer cannot be made a pump, which it has no parts for."""
        pump, pumps = self.build(), fast.Pumps()
        for made, other in ((pump, fast.Writer), (self.tally, fast.Pump), (pumps, fast.Pump)):
            with self.assertRaises(TypeError):
                made.__class__ = other
        with self.assertRaises(TypeError):
            fast.Pump.clear = None

    def test_nothing_is_kept(self) -> None:
        """Neither data nor errors stay behind, whichever way a call ends."""
        frame = client_frame(TEXT, b"x" * 50)
        ways: list[tuple[dict[str, Any], dict[str, Exception]]] = [
            ({}, {}),
            ({"opens": True, "seals": True}, {}),
            ({"opens": True}, {"open": ConnectionError()}),
            ({"seals": True}, {"seal": ConnectionError()}),
            ({}, {"send": BrokenPipeError()}),
            ({}, {"take": ValueError()}),
        ]
        for options, fails in ways:
            pump = self.build(**options)
            data = record(frame) if "opens" in options else frame

            def rounds(number: int) -> int:
                for _ in range(number):
                    self.parts.fails = fails  # noqa: B023
                    self.parts.reads.append(data)  # noqa: B023
                    pump()  # noqa: B023
                    self.parts.calls.clear()
                    self.parts.reader.release()
                    for error in fails.values():  # noqa: B023
                        error.__traceback__ = None
                gc.collect()
                return len(gc.get_objects())

            rounds(10)
            before = rounds(10)
            self.assertLess(rounds(200) - before, 20, (options, fails))

    def test_arguments(self) -> None:
        """What it cannot work with is refused when it is made."""
        for wrong in (
            {"guards": ((self.parts, "plain"),)},
            {"guards": ("plain",)},
            {"guards": [(self.parts, "plain", True)]},
            {"tally": None},
            {"scratch": b"bytes"},
            {"scratch": bytearray()},
            {"way": None},
            {"receive": None},
            {"give": self.parts.give},
            {"open": self.parts.open},
            {"feed": None},
            {"take": None},
            {"reader": None},
            {"seal": self.parts.seal},
            {"sealed": self.parts.sealed},
            {"frames_a_turn": 0},
            {"overhead": -1},
            {"odd": 1},
        ):
            self.assertRaises((TypeError, ValueError), self.build, **wrong)
        self.assertRaises(TypeError, self.build(), 1)
        self.assertRaises(TypeError, self.build(), way=1)
        pump = self.build()
        pump.clear()
        nothing: dict[str, Any] = {}
        self.assertIsNone(pump(**nothing))


class Guarded:
    """
    What a guard looks at.

    Attributes:
        value: what it finds.
        looks: how often it has looked.
    """

    def __init__(self) -> None:
        self.value = True
        self.looks = 0

    @property
    def plain(self) -> bool:
        self.looks += 1
        return self.value


class PumpsTests(PumpTestCase):
    """The pumps of a reactor."""

    def setUp(self) -> None:
        super().setUp()
        self.pumps = fast.Pumps()
        self.guarded = Guarded()
        self.selectables: dict[int, Any] = {}
        self.members = [self.member(number) for number in range(3)]

    def member(self, number: int) -> tuple[Parts, Any]:
        """Add a pump whose connection has a descriptor; return its parts, and it."""
        self.parts = parts = Parts()
        pump = self.build(guards=((self.guarded, "plain", True),))
        self.pumps.add(number, pump)
        self.selectables[number] = parts
        return parts, pump

    def run_pumps(self, *numbers: int, at: int = 0, mask: int = 1) -> Any:
        """Have these be readable; return what the run returns."""
        for number in numbers[at:]:
            if number < len(self.members) and not self.members[number][0].reads:
                self.members[number][0].reads.append(client_frame(TEXT, b"x"))
        return self.pumps.run([(each, mask) for each in numbers], at, self.selectables)

    def carried(self) -> list[int]:
        return [len(parts.called("send")) for parts, _ in self.members]

    def test_all_of_them(self) -> None:
        """All events are the pumps', and each reads once."""
        self.assertIsNone(self.run_pumps(0, 1, 2))
        self.assertEqual((self.pumps.at, self.carried()), (3, [1, 1, 1]))
        self.assertIsNone(self.run_pumps())
        self.assertEqual(self.pumps.at, 0)

    def test_guards_that_have_held(self) -> None:
        """They are looked at once for each pump, as long as nothing but pumps runs."""
        for _ in range(3):
            self.run_pumps(0, 1, 2)
        self.assertEqual((self.guarded.looks, self.carried()), (3, [3, 3, 3]))

    def test_whatever_runs(self) -> None:
        """After anything else has run, they are looked at again, whoever has called it."""

        def is_told() -> None:
            self.pumps.disturb()

        def is_for_others() -> None:
            self.run_pumps(7)

        def is_handed_over() -> None:
            self.members[0][0].reads.append(client_frame(PING))
            self.run_pumps(0)
            self.members[0][0].reader.release()

        def calls_otherwise() -> None:
            self.members[0][1].is_open = False
            self.members[0][1]()
            self.members[0][1].is_open = True

        for something in (is_told, is_for_others, is_handed_over, calls_otherwise):
            self.run_pumps(0, 1, 2)
            something()
            looks = self.guarded.looks
            self.run_pumps(1, 2)
            self.run_pumps(2, 1)
            self.assertEqual(self.guarded.looks - looks, 2, something.__name__)

    def test_in_the_middle(self) -> None:
        """A pump that hands something over has those after it look again, in the same run."""
        self.run_pumps(0, 1, 2)
        self.members[0][0].reads.append(client_frame(PING))
        there = self.guarded

        def changes(left: int) -> None:
            there.value = False

        self.members[0][0].go_on = changes  # type: ignore[method-assign]
        self.assertIsNone(self.run_pumps(0, 1, 2))
        self.assertEqual((self.pumps.at, self.carried()), (1, [1, 1, 1]))

    def test_for_others(self) -> None:
        """It stops where an event is for others, and goes on behind it."""
        for numbers in ((0, 7, 2), (0, 1, 2)):
            before = self.carried()
            if numbers[1] == 1:
                self.selectables[1] = "another one with its number"
            self.assertIsNone(self.run_pumps(*numbers))
            self.assertEqual(self.pumps.at, 1)
            self.assertIsNone(self.run_pumps(*numbers, at=2))
            self.assertEqual(self.pumps.at, 3)
            after = self.carried()
            self.assertEqual([x - y for x, y in zip(after, before, strict=True)], [1, 0, 1])

    def test_not_now(self) -> None:
        """A pump does not run for anything but a read, nor shut, nor closed, nor cleared."""
        self.run_pumps(1, mask=0x11)
        self.members[0][1].is_open = False
        self.run_pumps(0)
        del self.selectables[1]
        self.run_pumps(1)
        self.members[2][1].clear()
        self.run_pumps(2)
        self.guarded.value = False
        self.member(3)
        self.run_pumps(3)
        self.assertEqual(self.carried(), [0, 0, 0])
        self.assertEqual(self.pumps.at, 0)

    def test_a_guard_that_clears(self) -> None:
        """A pump that is cleared by what it looks at does not read, nor one whose gate is shut."""

        class Changes:
            @property
            def plain(self) -> int:
                change()
                return 3

        for number, name in ((4, "clear"), (5, "shut")):
            self.parts = parts = Parts()
            pump = self.build(guards=((Changes(), "plain", 3),))
            self.pumps.add(number, pump)
            self.selectables[number] = parts
            parts.reads.append(client_frame(TEXT, b"x"))

            def change(pump: Any = pump, name: str = name) -> None:
                if name == "clear":
                    pump.clear()
                pump.is_open = False

            self.assertIsNone(self.run_pumps(number))
            self.assertEqual((self.pumps.at, parts.calls), (0, []), name)

    def test_a_run_within_a_run(self) -> None:
        """Who has others run in between may change anything after that: guards are looked at."""
        self.run_pumps(0, 1, 2)
        self.members[0][0].reads.append(client_frame(PING))
        guarded = self.guarded

        def runs(left: int) -> None:
            self.assertIsNone(self.run_pumps(1, 2))
            guarded.value = False
            self.assertIsNone(self.run_pumps(2, 7))

        self.members[0][0].go_on = runs  # type: ignore[method-assign]
        self.assertIsNone(self.run_pumps(0, 1, 2))
        self.assertEqual((self.pumps.at, self.carried()), (1, [1, 2, 2]))

    def test_where_a_run_within_a_run_has_ended(self) -> None:
        """That is of no matter to the one around it."""

        def runs(left: int) -> None:
            self.assertIsNone(self.run_pumps(1, 2, 7))
            raise ZeroDivisionError

        self.members[0][0].go_on = runs  # type: ignore[method-assign]
        self.members[0][0].reads.append(client_frame(PING))
        self.assertRaises(ZeroDivisionError, self.run_pumps, 0, 1, 2)
        self.assertEqual((self.pumps.at, self.pumps.connection), (0, self.members[0][0]))

    def test_events_that_change(self) -> None:
        """A list of events that is emptied meanwhile is at its end."""

        class Readable:
            def __index__(self) -> int:
                events.clear()
                self.others = [number + each for each in range(1, 9)]  # where that was, perhaps
                return 1

        number = 100_000
        self.parts = parts = Parts()
        self.pumps.add(number, self.build())
        self.selectables[number] = parts
        events: list[Any] = [tuple([int("100000"), Readable()]), (0, 1)]  # noqa: C409
        parts.reads.append(client_frame(TEXT, b"x"))
        self.assertIsNone(self.pumps.run(events, 0, self.selectables))
        self.assertEqual((self.pumps.at, len(parts.called("send"))), (1, 1))

    def test_added_within(self) -> None:
        """A pump that takes another's number is in its place before that one goes."""
        new = self.build()
        again: list[Exception] = []

        class Adds:
            def __del__(self) -> None:
                try:
                    pumps.add(9, new)
                except ValueError as error:
                    again.append(error)

        pumps = self.pumps
        self.pumps.add(4, self.build(guards=((Adds(), "plain", True),)))
        self.pumps.add(4, new)
        self.assertEqual(len(again), 1)

    def test_a_read_that_is_the_end(self) -> None:
        """What a read returns, or raises, is told with its connection; the next run goes on."""
        self.members[1][0].reads.append(ConnectionResetError())
        self.assertEqual(self.run_pumps(0, 1, 2), "broken")
        self.assertEqual((self.pumps.at, self.pumps.connection), (1, self.members[1][0]))
        self.members[1][0].reads.append(ZeroDivisionError())
        self.assertRaises(ZeroDivisionError, self.run_pumps, 0, 1, 2)
        self.assertEqual((self.pumps.at, self.pumps.connection), (1, self.members[1][0]))
        self.assertIsNone(self.run_pumps(0, 1, 2, at=2))
        self.assertEqual((self.pumps.at, self.pumps.connection), (3, None))

    def test_a_guard_that_raises(self) -> None:
        """That is for whoever calls the pump by itself."""
        del self.guarded.looks
        self.assertIsNone(self.run_pumps(0))
        self.assertEqual(self.pumps.at, 0)
        self.guarded.looks = 0

    def test_the_same_number(self) -> None:
        """A pump that goes does not take one with it that has its number by now."""
        old = self.members[0][1]
        self.members[0] = self.member(0)
        old.clear()
        self.run_pumps(0)
        self.assertEqual(self.carried()[0], 1)
        self.members[0][1].clear()
        self.run_pumps(0)
        self.assertEqual((self.pumps.at, self.carried()[0]), (0, 1))

    def test_life(self) -> None:
        """A pump that is cleared is kept by nobody, and the collector finds those that are not."""
        there = weakref.ref(self.members[0][0])
        self.members[0][1].clear()
        self.members[0] = self.members[1]
        del self.selectables[0]
        self.assertIsNone(there())
        there = weakref.ref(self.members[1][0])
        self.members[1][0].group = self.pumps  # type: ignore[attr-defined]
        self.members, self.selectables, self.parts = [], {}, Parts()
        del self.pumps
        gc.collect()
        self.assertIsNone(there())

    def test_arguments(self) -> None:
        """What it cannot work with is refused."""
        pumps, (_, pump) = self.pumps, self.members[0]
        self.assertRaises(ValueError, pumps.add, 9, pump)
        pump.clear()
        self.assertRaises(ValueError, pumps.add, 9, pump)
        for wrong in (("1", self.build()), (1, None), (1,)):
            self.assertRaises(TypeError, pumps.add, *wrong)
        for wrong in (((), 0, {}), ([], 0, None), ([], None, {}), ([1], 0, {}), ([(1,)], 0, {})):
            self.assertRaises(TypeError, pumps.run, *wrong)
        self.assertRaises(TypeError, fast.Pumps, 1)


class AvailableTests(SynchronousTestCase):
    """Whether pumps can be had."""

    def setUp(self) -> None:
        pumpsides.why_not.cache_clear()
        self.addCleanup(pumpsides.why_not.cache_clear)

    def load(self, module: Any) -> Any:
        """Return `pumpload` as it is where this is the extension."""
        with patch.dict(sys.modules, {"orion_twisted.net._pump": module}):
            vars(net).pop("_pump", None)
            spec = importlib.util.find_spec("orion_twisted.net.pumpload")
            assert spec is not None
            assert spec.loader is not None
            loaded = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(loaded)
            return loaded

    def test_not_compiled(self) -> None:
        """Where there is no compiler, that is the reason."""
        loaded = self.load(None)
        self.assertIsNone(loaded.fast)
        self.assertIn("_pump", loaded.why_not_c)
        with (
            patch.object(pumpsides, "fast", None),
            patch.object(pumpsides, "why_not_c", "no _pump"),
        ):
            self.assertEqual(pumpsides.why_not(), "no _pump")

    def test_an_older_one(self) -> None:
        """One that is left over from another version is not used."""
        loaded = self.load(SimpleNamespace(VERSION=1))
        self.assertEqual((loaded.fast, loaded.why_not_c), (None, "it has version 1, not 3"))

    def test_cut_off(self) -> None:
        """Where something else reads in the place of a connection, as once it is cut off, none is
        put over that."""
        self.patch(pumpsides, "why_not", lambda: None)
        connection: Any = object.__new__(EagerServer)
        end: Any = SimpleNamespace(transport=connection)
        side = side_of(end)
        assert side is not None
        self.assertIs(side.connection, connection)
        connection.doRead = None
        self.assertIsNone(side_of(end))

    def test_what_they_stand_on(self) -> None:
        """Without eager writes, or lean TLS, there are none."""
        for name in ("eager", "leantls"):
            pumpsides.why_not.cache_clear()
            with (
                patch.object(pumpsides, "fast", SimpleNamespace()),
                patch.object(getattr(pumpsides, name), "why_not", lambda: "it is another Twisted"),
            ):
                self.assertEqual(pumpsides.why_not(), "it is another Twisted")
