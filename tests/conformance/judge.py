"""Run a case against a server and give the verdict."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum

from tests.conformance.case import (
    AwaitMessages,
    AwaitPongs,
    Case,
    End,
    ExpectFailureByNow,
    Outcome,
    Script,
    Send,
)
from tests.conformance.frames import Close, Message, Opcode, close_frame, frame
from tests.conformance.handshakes import HandshakeCase, Upgraded
from tests.conformance.wire import (
    Client,
    Target,
    WireError,
    complaint_about_upgrade,
    request_octets,
)

FAIL_FAST = 5.0  # seconds in which a strict server notices that a message has gone bad
PROBE = b"still there?"


class Behaviour(Enum):
    """The verdicts, with the words of the well-known suite."""

    OK = "OK"
    NON_STRICT = "NON-STRICT"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a server did in one case; ``reason`` is "" when it is OK."""

    behaviour: Behaviour
    reason: str = ""


@dataclass(slots=True)
class Transcript:
    """
    What happened in one case.

    Attributes:
        messages: data messages from the server.
        pongs: payloads of its pongs.
        close: its close frame.
        closed_by_client: whether our side closed first because all had been answered.
        ended: how TCP ended: "eof", "reset", or "" when it did not end in time.
        errors: what no outcome allows: broken framing, a server that stalls, a missing answer.
        late: the server had every reason to fail the connection, and waited for more.
    """

    messages: list[Message] = field(default_factory=list)
    pongs: list[bytes] = field(default_factory=list)
    close: Close | None = None
    closed_by_client: bool = False
    ended: str = ""
    errors: list[str] = field(default_factory=list)
    late: bool = False

    def __str__(self) -> str:
        parts = [
            f"messages {self.messages[:5]}" + (" …" if len(self.messages) > 5 else ""),
            f"pongs {self.pongs[:5]}" + (" …" if len(self.pongs) > 5 else ""),
            f"close {self.close}",
            f"TCP {self.ended or 'still open'}",
        ]
        return "; ".join(parts)


def run(case: Case | HandshakeCase, target: Target) -> Verdict:
    """Run one case on a connection of its own."""
    if isinstance(case, HandshakeCase):
        return run_handshake(case, target)
    script, transcript = case.script(), Transcript()
    with _noting_errors(transcript), Client(target, case.patience) as client:
        client.open()
        try:
            _perform(script, client, transcript)
        finally:
            client.frames.finish()
            transcript.messages = client.messages
            transcript.pongs = client.pongs
            transcript.close = client.server_close
            transcript.ended = client.ended
            transcript.errors += client.frames.violations
    return judge(script.outcomes, transcript)


def run_handshake(case: HandshakeCase, target: Target) -> Verdict:
    """Send the request as it stands; after a right upgrade, an echo must work."""
    transcript = Transcript()
    with _noting_errors(transcript), Client(target) as client:
        response = client.request(request_octets(target, case.request), case.chop)
        match case.want:
            case Upgraded(subprotocols):
                if complaint := complaint_about_upgrade(response, subprotocols):
                    raise WireError(complaint)
                client.send(frame(Opcode.TEXT, PROBE) + close_frame(1000))
                client.read_until(lambda: bool(client.ended))
                transcript.errors += client.frames.violations
                if client.server_close is None or not client.ended:
                    transcript.errors.append("no closing handshake after the upgrade")
            case refused:
                if response.status not in refused.statuses:
                    raise WireError(
                        f"status {response.status}, not one of {set(refused.statuses)}"
                    )
                if refused.version and "13" not in ",".join(
                    response.values("sec-websocket-version")
                ).replace(" ", "").split(","):
                    transcript.errors.append("the refusal does not name version 13")
    if transcript.errors:
        return Verdict(Behaviour.FAILED, "; ".join(transcript.errors))
    return Verdict(Behaviour.OK)


def judge(outcomes: tuple[Outcome, ...], transcript: Transcript) -> Verdict:
    """Compare what happened with what may happen."""
    if transcript.errors:
        return Verdict(Behaviour.FAILED, f"{'; '.join(transcript.errors)} ({transcript})")
    complaints = []
    for outcome in outcomes:
        complaint = _mismatch(outcome, transcript)
        if complaint:
            complaints.append(complaint)
        elif transcript.late:
            return Verdict(Behaviour.NON_STRICT, "failed only after the rest had been sent")
        elif outcome.strict:
            return Verdict(Behaviour.OK)
        else:
            return Verdict(Behaviour.NON_STRICT, f"{complaints[0]} ({transcript})")
    return Verdict(Behaviour.FAILED, f"{complaints[0]} ({transcript})")


@contextmanager
def _noting_errors(transcript: Transcript) -> Iterator[None]:
    try:
        yield
    except WireError as error:
        transcript.errors.append(str(error))


def _perform(script: Script, client: Client, transcript: Transcript) -> None:
    def is_over() -> bool:
        return client.server_close is not None or bool(client.ended or client.frames.violations)

    def await_all(what: str, have: Callable[[], int], count: int) -> None:
        client.read_until(lambda: have() >= count or is_over())
        if have() < count:
            transcript.errors.append(f"{have()} of {count} {what} came in time")

    for step in script.steps:
        match step:
            case Send(octets, chop):
                client.send(octets, chop)
            case AwaitPongs(count):
                await_all("pongs", lambda: len(client.pongs), count)
            case AwaitMessages(count):
                await_all("messages", lambda: len(client.messages), count)
            case ExpectFailureByNow():
                transcript.late |= not client.read_until(is_over, FAIL_FAST)
    expected = script.outcomes[0]

    def is_answered() -> bool:
        answered = len(client.messages) >= len(expected.messages)
        last_pong = expected.pongs[-1:] == tuple(client.pongs[-1:])
        return answered and last_pong

    if expected.end is End.OPEN:
        client.read_until(lambda: is_answered() or is_over())
        transcript.closed_by_client = not is_over()
        client.send(close_frame(1000))
    else:
        # A server that does not end this by itself has until now; only then it hears from us.
        client.read_until(is_over)
        if expected.end is not End.CLOSED and not client.ended:
            client.send(close_frame(client.server_close.code if client.server_close else 1000))
    client.read_until(lambda: bool(client.ended or client.frames.violations))


def _mismatch(outcome: Outcome, transcript: Transcript) -> str:
    """Say in what the transcript differs from the outcome; "" when it does not."""
    complaint = _answers_mismatch(outcome, transcript)
    if complaint:
        return complaint
    if not transcript.ended:
        return "the server did not end TCP"
    if outcome.end is End.DROPPED:
        return "a close frame came" if transcript.close else ""
    if transcript.close is None:
        return f"TCP ended ({transcript.ended}) without a close frame"
    if transcript.close.code not in outcome.codes:
        return f"close code {transcript.close.code}, not one of {set(outcome.codes)}"
    if outcome.end is End.OPEN and not transcript.closed_by_client:
        return "the server closed first"
    if outcome.end is End.OPEN and transcript.ended != "eof":
        return f"TCP ended by {transcript.ended} after a clean close"
    return ""


def _answers_mismatch(outcome: Outcome, transcript: Transcript) -> str:
    wanted, got = list(outcome.messages), transcript.messages
    if outcome.end is not End.OPEN:
        wanted = wanted[: len(got)]
    if got != wanted:
        return f"{len(got)} messages, expected {outcome.messages[:5]} ({len(outcome.messages)})"
    remaining = iter(outcome.pongs)
    if not all(pong in remaining for pong in transcript.pongs):
        return f"pongs are not those of {outcome.pongs}"
    if outcome.end is End.OPEN and outcome.pongs[-1:] != tuple(transcript.pongs[-1:]):
        return f"the last ping is not answered: {outcome.pongs}"
    return ""
