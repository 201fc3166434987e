"""
What the codec of the data path costs by itself: ``python -m bench.micro_wsframes``.

Nanoseconds of CPU time a message, for what one read brings: a small message alone, sixty at once,
one of 16 KiB in two pieces, as TLS cuts it, and one of 1 MiB in reads of 64 KiB. The least of
several rounds is shown: what disturbs a measurement only adds to it. There are no sockets in this,
and no reactor; `bench/run.py` measures the gateway.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from time import process_time_ns

from attrs import frozen

from bench.frames import TEXT, WebSocketFraming
from orion_twisted.core.wsframes import Codec, codec, why_not_c

KiB = 1024
MiB = 1024 * KiB
READ = 64 * KiB
"""Bytes that one read brings at the most."""
RECORD = 16 * KiB
"""Bytes that one TLS record brings at the most."""
ROUND_NS = 50_000_000
MOST = 64


@frozen
class Load:
    """
    What comes in.

    Attributes:
        name: what it is called in the table.
        payload: of each message.
        count: messages that come at once.
        read: bytes that one read brings at the most.
    """

    name: str
    payload: bytes
    count: int = 1
    read: int = READ


def _text(text: str, size: int) -> bytes:
    """Return so many bytes of a text that is repeated, and filled up with spaces."""
    octets = text.encode()
    return (octets * (size // len(octets))).ljust(size)


ASCII = '{"cmd":"move","id":"f1","x":20,"y":25} '
KOREAN = '{"제목":"주문 확인서","금액":"삼만 원"} '
LOADS = (
    Load("64 B", _text(ASCII, 64)),
    Load("64 B, 60 at once", _text(ASCII, 64), count=60),
    Load("64 B, Korean", _text(KOREAN, 64)),
    Load("16 KiB", _text(ASCII, 16 * KiB), read=RECORD),
    Load("16 KiB, Korean", _text(KOREAN, 16 * KiB), read=RECORD),
    Load("1 MiB", _text(ASCII, MiB)),
    Load("1 MiB, Korean", _text(KOREAN, MiB)),
)


def _reads(stream: bytes, size: int) -> list[bytes]:
    return [stream[at : at + size] for at in range(0, len(stream), size)]


def _requests(load: Load) -> bytes:
    framing = WebSocketFraming()
    return b"".join(framing.request(load.payload, TEXT) for _ in range(load.count))


def from_browser(chosen: Codec, load: Load) -> Callable[[], None]:
    """Return what takes a browser's messages as frames for a link."""
    reads = _reads(_requests(load), load.read)
    reader = chosen.frame_reader(MiB, "int32", "text")

    def run() -> None:
        for data in reads:
            reader.feed(data)
            _, count, _ = reader.take_framed(MOST)
        assert count

    return run


def to_session(chosen: Codec, load: Load) -> Callable[[], None]:
    """Return what takes a browser's messages, each by itself."""
    reads = _reads(_requests(load), load.read)
    reader = chosen.frame_reader(MiB)

    def run() -> None:
        for data in reads:
            reader.feed(data)
            taken = reader.take(MOST)
        assert taken

    return run


def from_link(chosen: Codec, load: Load) -> Callable[[], None]:
    """Return what takes a link's frames as a server's."""
    frame = len(load.payload).to_bytes(4) + load.payload
    reads = _reads(frame * load.count, READ)
    reader = chosen.link_reader(MiB, "int32", "text")

    def run() -> None:
        for data in reads:
            reader.feed(data)
            _, count, _ = reader.take(MOST)
        assert count

    return run


def from_session(chosen: Codec, load: Load) -> Callable[[], None]:
    """Return what frames messages for a browser, one by one."""
    message_frame, payload, count = chosen.message_frame, load.payload, load.count

    def run() -> None:
        for _ in range(count):
            message_frame(payload, False)

    return run


WAYS = {
    "browser to link": from_browser,
    "browser to session": to_session,
    "link to browser": from_link,
    "session to browser": from_session,
}


def measure(run: Callable[[], None], rounds: int) -> float:
    """Return how many nanoseconds one run takes, at the least."""
    run()
    least, times = float("inf"), 1
    while rounds:
        began = process_time_ns()
        for _ in range(times):
            run()
        took = process_time_ns() - began
        if took < ROUND_NS // 2:
            times *= 2  # too short to say much
            continue
        least = min(least, took / times)
        rounds -= 1
    return least


def main() -> None:
    """Print a table."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[2])
    arguments.add_argument("--rounds", type=int, default=5, help="of 50 ms, for each figure")
    options = arguments.parse_args()
    codecs = [codec(portable=True)]
    if why_not_c() is None:
        codecs.insert(0, codec())
    else:
        print(f"no codec in C: {why_not_c()}")
    print(f"{'ns a message':40}" + "".join(f"{each.name:>12}" for each in codecs))
    for way, prepare in WAYS.items():
        for load in LOADS:
            figures = [
                measure(prepare(each, load), options.rounds) / load.count for each in codecs
            ]
            print(f"{way + ', ' + load.name:40}" + "".join(f"{one:12,.0f}" for one in figures))


if __name__ == "__main__":
    main()
