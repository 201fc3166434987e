"""What a supervisor and its workers say to each other, byte by byte."""

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from orion_twisted.core.report import CertificateStatus, Report, WorkerState, WorkerStatus
from orion_twisted.core.spent_tokens import Use
from orion_twisted.core.worker_wire import (
    MAX_FRAME,
    MOST_FIELD_TEXT,
    MOST_FIELDS,
    MOST_TEXT,
    Begin,
    Drain,
    FromWorker,
    Incoming,
    Logged,
    Reload,
    Socket,
    Spend,
    Spent,
    Status,
    ToWorker,
    WireError,
    encode,
    logged,
)

REPORT = Report(
    version="1.2.3",
    ready=True,
    browsers={"shop": 3},
    links={"shop": 4},
    sessions={},
    pending=2,
    connections=5,
    uptime=1.5,
    certificates=(CertificateStatus("old.pem", ("a", "b"), None, "no key"),),
    workers=(WorkerStatus(1, None, WorkerState.DOWN, 0, 0, 0.0, 2),),
)
SETTINGS: dict[str, Any] = {
    "listen": ["tls:8889"],
    "limits": {"idle": 1.5, "connections": 7},
    "tenant": {"shop": {"hosts": ["*"], "compression": True, "path": "/größe"}},
}
TO_WORKER: list[ToWorker] = [
    Begin("1.2.3", 2, 4, SETTINGS, (Socket(4, 2), Socket(5, 10))),
    Drain(),
    Reload(),
    *(Spent(number, use) for number, use in enumerate(Use)),
]
FROM_WORKER: list[FromWorker] = [
    Status((("refused", "", 3), ("refused", "origin", 3)), REPORT, 1.0),
    Logged("warn", "orion_twisted", "a\nb", {"peer": "::1", "n": 1, "x": 1.5, "y": None}),
    Spend(1, "shop", "an id", 1_800_000_000.5),
]


class WireTests(SynchronousTestCase):
    """`encode` and `Incoming`."""

    def test_there_and_back(self) -> None:
        """Each message arrives as it was, in order."""
        for kind, messages in ((ToWorker, TO_WORKER), (FromWorker, FROM_WORKER)):
            incoming: Incoming[Any] = Incoming(kind)
            stream = b"".join(map(encode, messages))
            self.assertEqual(incoming.receive_data(stream), messages)

    @given(st.lists(st.integers(0, 2000)))
    def test_any_cut(self, cuts: list[int]) -> None:
        """However the pipe cuts the bytes, the messages are the same."""
        stream = b"".join(map(encode, FROM_WORKER))
        places = sorted({0, len(stream), *(cut % len(stream) for cut in cuts)})
        incoming: Incoming[FromWorker] = Incoming(FromWorker)
        found = []
        for start, end in pairwise(places):
            found += incoming.receive_data(stream[start:end])
        self.assertEqual(found, FROM_WORKER)

    def test_the_wrong_direction(self) -> None:
        """What a worker says is no order, and the other way about."""
        self.assertRaises(WireError, Incoming(ToWorker).receive_data, encode(FROM_WORKER[0]))
        self.assertRaises(WireError, Incoming(FromWorker).receive_data, encode(Drain()))

    def test_nonsense(self) -> None:
        """Bytes that are no message end the conversation, whatever comes behind them."""
        for data in (b"\0\0\0\1\xc1", b"\0\0\0\1\x81", b"\0\0\0\1\x01", b"\xff\xff\xff\xff"):
            incoming: Incoming[FromWorker] = Incoming(FromWorker)
            self.assertRaises(WireError, incoming.receive_data, data)

    def test_too_large(self) -> None:
        """A message beyond the limit is neither said nor waited for."""
        text = "x" * MAX_FRAME
        self.assertRaises(WireError, encode, Logged("info", "", text, {}))
        announcement = (MAX_FRAME + 1).to_bytes(4, "big")
        self.assertRaises(WireError, Incoming(FromWorker).receive_data, announcement)


class LoggedTests(SynchronousTestCase):
    """`logged`."""

    def test_a_usual_event(self) -> None:
        """An event travels with its plain fields; of anything else there is its text."""
        event = logged("info", "a.b", "hello", {"peer": "::1", "ok": True, "it": object()})
        self.assertEqual(event, Logged("info", "a.b", "hello", {"peer": "::1", "ok": True}))

    def test_bounds(self) -> None:
        """A long text is cut, so are long fields; of many fields the first ones go."""
        fields: dict[str, object] = {f"f{number}": number for number in range(40)}
        event = logged("info", "", "x" * (MOST_TEXT + 1), {"long": "y" * 1000, **fields})
        self.assertEqual(event.text, "x" * MOST_TEXT + "…")
        self.assertEqual(event.fields["long"], "y" * MOST_FIELD_TEXT)
        self.assertEqual(len(event.fields), MOST_FIELDS)

    def test_always_encodable(self) -> None:
        """Whatever fields an event has, it can be said."""
        huge: dict[str, object] = {"huge": 1 << 70, "low": -(2**63 - 1), "nan": float("nan")}
        event = logged("info", "", "\ud800", {**huge, "half": "a\udcff", "bytes": b"x"})
        (back,) = Incoming[FromWorker](FromWorker).receive_data(encode(event))
        assert isinstance(back, Logged)
        self.assertEqual(set(back.fields), {"low", "nan", "half"})
        self.assertEqual((back.text, back.fields["half"]), (r"\ud800", r"a\udcff"))
