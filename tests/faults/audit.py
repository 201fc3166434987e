"""
The promise of session mode, held against what happened.

    for line in audit(evidence): ...

Each check is a function that yields what must not be, a line each; an empty audit is a kept
promise. `tally` says in numbers what happened, so that one sees that there was something to check.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator

from tests.faults.books import Message
from tests.faults.browsers import HEARTBEAT
from tests.faults.doors import CLOSE_WITHIN
from tests.faults.evidence import Arrival, Evidence

NOT_DONE = frozenset({"EXPIRED", "BACKEND_DOWN", "BAD_MESSAGE", "REUSED_ID"})
"""Outcomes that say that the engine has never seen the message."""

IN_TIME = 0.5
"""Seconds before a deadline until which an answer is surely in time."""

TRANSIT = 4.0
"""Seconds that bytes may be on their way to an engine: the longest stall, and some more."""


TOLD_WITHIN = 1.5
"""Seconds within which a browser learns of an end whose socket nothing holds up."""

SHELL = 200
"""Bytes that an answer has around its filling, at most."""


def complaints(evidence: Evidence) -> Iterator[str]:
    """What the browsers themselves have noticed."""
    for book in evidence.books:
        yield from book.complaints


def without_outcome(evidence: Evidence) -> Iterator[str]:
    """Every message has an outcome, unless its session ended before it."""
    for message in evidence.messages.values():
        if message.outcome is None and not message.lost_with:
            yield f"{message.order.id} ({message.order.do}) has no outcome"


def pings_unanswered(evidence: Evidence) -> Iterator[str]:
    """A browser whose socket carries what it sends gets its pongs in time."""
    for book in evidence.books:
        for at, port in book.unanswered:
            # It has waited for the end of the socket, too, before it noted that.
            held_up = evidence.held_up(port, at - HEARTBEAT - CLOSE_WITHIN, at)
            if held_up + evidence.slack < HEARTBEAT - IN_TIME:
                yield (
                    f"browser {book.name}: a ping was not answered within {HEARTBEAT} s, on a"
                    f" socket that was held up for {held_up:.2f} s"
                )


def sent_twice(evidence: Evidence) -> Iterator[str]:
    """A message that may not be repeated comes to an engine once at most."""
    for id_, arrivals in evidence.arrivals.items():
        message = evidence.messages.get(id_)
        if message is None:
            yield f"{id_} came to an engine, and nobody has handed it over"
        elif len(arrivals) > 1 and not message.wish.is_safe:
            links = ", ".join(arrival.link for arrival in arrivals)
            yield f"{id_} came to an engine {len(arrivals)} times: on {links}"


def strange(evidence: Evidence) -> Iterator[str]:
    """Engines get nothing but what browsers have handed over, in words of their dialect."""
    for event in evidence.events:
        if event["e"] == "got" and event["id"] is None:
            yield f"a message came on {event['link']} that asks for nothing: key {event['key']}"
        elif event["e"] == "bad":
            yield f"a frame came on {event['link']} that is none of the dialect: {event['what']}"


def told_untruly(evidence: Evidence) -> Iterator[str]:
    """An outcome says truly whether the engine has, may have or has not seen the message."""
    for message in evidence.messages.values():
        outcome, id_ = message.outcome, message.order.id
        if outcome is None:
            continue
        arrived = bool(evidence.arrivals.get(id_))
        if outcome.name in NOT_DONE and arrived:
            yield f"{id_} ended as {outcome.name}, but it came to an engine"
        elif outcome.kind == "result":
            serials = evidence.tried.get(id_, set())
            if outcome.serial not in serials:
                yield f"{id_} has result {outcome.serial}, and the engine wrote {serials}"
        elif outcome.name == "OUTCOME_UNKNOWN":
            if not evidence.some_link_broke(message.handed, outcome.at):
                yield f"{id_} ended as OUTCOME_UNKNOWN, though no link broke"
        elif outcome.name == "sent" and not arrived:
            if not evidence.some_link_broke(message.handed, outcome.at + TRANSIT):
                yield f"{id_} was told as sent, and never came, though no link broke"
        elif outcome.name in ("TIMEOUT", "EXPIRED"):
            early = message.handed + evidence.time_of(message) - outcome.at
            if early > 0.05:
                yield f"{id_} ended as {outcome.name} {early:.2f} s before its time was over"


def told_late(evidence: Evidence) -> Iterator[str]:
    """When its time is over a message has ended, and a browser that is there learns it."""
    for book in evidence.books:
        for message in book.messages:
            outcome = message.outcome
            # What was sent again may have come late to the gateway.
            if outcome is None or message.again or not book.had_socket(message.handed, outcome.at):
                continue
            late = outcome.at - message.handed - evidence.time_of(message)
            if late > TOLD_WITHIN + evidence.slack:  # nearly none is
                # The message may have been held up on its way, and its end, too.
                port = book.port_at(message.handed)
                late -= evidence.held_up(port, message.handed, outcome.at)
            if late > TOLD_WITHIN + evidence.slack:
                yield f"{message.order.id} ended as {outcome.name} {late:.1f} s after its time"


def results_lost(evidence: Evidence) -> Iterator[str]:
    """What an engine answers in time, on a link that does not break, is what the browser gets."""
    for id_, writes in evidence.answers.items():
        message = evidence.messages.get(id_)
        if message is None or message.outcome is None or not message.wish.wants_result:
            continue
        if message.outcome.name == "TOO_LARGE" and message.order.answer + SHELL > evidence.limit:
            continue
        deadline = message.handed + evidence.time_of(message)
        in_time = deadline - IN_TIME - evidence.slack
        for write in writes if message.outcome.kind != "result" else ():
            arrival = evidence.arrival(write)
            if write.is_first and arrival is not None and arrival < in_time:
                yield (
                    f"{id_} ended as {message.outcome.name}, but was answered on"
                    f" {write.link.name}, {deadline - arrival:.2f} s before its time was over"
                )


def out_of_order(evidence: Evidence) -> Iterator[str]:
    """Messages of a session come to the engines in the order of their numbers."""
    by_session: dict[str, list[tuple[Arrival, Message]]] = defaultdict(list)
    for id_, arrivals in evidence.arrivals.items():
        message = evidence.messages.get(id_)
        if message is not None:
            for arrival in arrivals:
                by_session[message.session].append((arrival, message))
    for found in by_session.values():
        found.sort(key=lambda each: each[0].at)
        yield from _out_of_order(found)


def _out_of_order(found: list[tuple[Arrival, Message]]) -> Iterator[str]:
    on_link: dict[str, Message] = {}
    highest: tuple[Arrival, Message] | None = None
    for arrival, message in found:
        n, id_ = message.n, message.order.id
        before = on_link.get(arrival.link)
        if before is not None and n <= before.n:
            yield f"{id_} came after {before.order.id}, both on {arrival.link}"
        on_link[arrival.link] = message
        # What is read from a link that the gateway has given up already has no place in time.
        if arrival.late:
            continue
        if highest is not None and n < highest[1].n and not message.wish.is_safe:
            kind = "request" if message.wish.wants_result else "notification"
            ended = "nothing" if message.outcome is None else message.outcome.name
            yield (
                f"{id_}, a {kind} which ended as {ended}, came on {arrival.link}"
                f" {arrival.at - highest[0].at:.2f} s after {highest[1].order.id}"
                f" on {highest[0].link}"
            )
        if highest is None or n > highest[1].n:
            highest = arrival, message


def keys_wrong(evidence: Evidence) -> Iterator[str]:
    """The same message has the same key whenever it comes, and no two have the same."""
    message_of: dict[str, str] = {}
    for id_, arrivals in evidence.arrivals.items():
        keys = {arrival.key for arrival in arrivals if arrival.key is not None}
        if len(keys) > 1:
            yield f"{id_} came with the keys {keys}"
        for key in keys:
            other = message_of.setdefault(key, id_)
            if other != id_:
                yield f"{id_} and {other} came with the same key {key}"


def pushes_lost(evidence: Evidence) -> Iterator[str]:
    """What an engine pushes on a link that does not break comes, or is told as lost."""
    for book, session in evidence.sessions():
        arrived = set(session.pushes)
        missing = []
        for label in (session.label, "*"):
            for write in evidence.pushes.get(label, ()):
                arrival = evidence.arrival(write)
                if arrival is None or write.serial in arrived:
                    continue
                # To all of a tenant: to those whose session was there, beyond doubt.
                if session.began > write.at - 1.0 and label == "*":
                    continue
                # A session without a resume is over before its browser knows it.
                lasts = 1.0 if session.sid else TRANSIT
                if session.ended is not None and session.ended < arrival + lasts:
                    continue
                missing.append(write)
        if len(missing) > session.lost:
            serials = [write.serial for write in missing[:5]]
            links = sorted({write.link.name for write in missing})
            yield (
                f"{len(missing)} pushes for {session.label} of browser {book.name} never came,"
                f" {session.lost} were told as lost: {serials} on {links}"
            )


CHECKS: tuple[Callable[[Evidence], Iterator[str]], ...] = (
    complaints,
    without_outcome,
    pings_unanswered,
    strange,
    sent_twice,
    told_untruly,
    told_late,
    results_lost,
    out_of_order,
    keys_wrong,
    pushes_lost,
)


def audit(evidence: Evidence) -> list[str]:
    """Return everything that must not be."""
    return [line for check in CHECKS for line in check(evidence)]


def tally(evidence: Evidence) -> list[str]:
    """Return what happened, in lines of numbers."""
    messages = evidence.messages.values()
    outcomes = Counter(
        "none: " + each.lost_with if each.outcome is None else each.outcome.name
        for each in messages
    )
    seen: Counter[str] = sum((book.seen for book in evidence.books), Counter())
    repeats = sum(len(arrivals) - 1 for arrivals in evidence.arrivals.values())
    owed = sum(
        write.is_first and evidence.arrival(write) is not None
        for writes in evidence.answers.values()
        for write in writes
    )
    pushed = sum(map(len, evidence.pushes.values()))
    taken = sum(len(session.pushes) for _, session in evidence.sessions())
    lost = sum(session.lost for _, session in evidence.sessions())
    broken = sum(link.broke_at is not None for link in evidence.links.values())
    return [
        f"messages   {len(messages)}: {_listed(outcomes)}",
        f"at engines {len(evidence.arrivals)} came, {repeats} of them again;"
        f" {sum(map(len, evidence.answers.values()))} answers written, {owed} sure to arrive",
        f"pushes     {pushed} written, {taken} taken, {lost} told as lost",
        f"links      {len(evidence.links)}, of which {broken} broke",
        f"browsers   {sum(1 for _ in evidence.sessions())} sessions; {_listed(seen)}",
    ]


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {what}" for what, count in counts.most_common())
