"""
Run the tables against any echo server: ``python -m tests.conformance URL [--large] [CASE…]``.

A CASE is an id or the start of one: ``6.4`` runs all cases below it. The exit status is 1 if a
case failed.
"""

import sys
import time
from collections import Counter

from tests.conformance.cases import CASES, LARGE_CASES
from tests.conformance.judge import Behaviour, run
from tests.conformance.wire import Target, WireError


def main(arguments: list[str]) -> int:
    """Print what is not OK and, in the end, how often each behaviour was seen."""
    large = "--large" in arguments
    words = [word for word in arguments if word != "--large"]
    if not words or words[0].startswith("-"):
        print(__doc__)
        return 2
    try:
        target = Target.from_url(words[0])
    except WireError as error:
        print(error)
        return 2
    cases = LARGE_CASES if large else CASES
    counts: Counter[Behaviour] = Counter()
    for case in cases:
        if words[1:] and not any(f"{case.id}.".startswith(f"{word}.") for word in words[1:]):
            continue
        started = time.monotonic()
        verdict = run(case, target)
        counts[verdict.behaviour] += 1
        took = time.monotonic() - started
        if verdict.behaviour is not Behaviour.OK or took > 1:
            print(f"{case.id:8} {verdict.behaviour.value:10} {took:5.1f} s  {case.description}")
        if verdict.reason:
            print(f"{'':8} {verdict.reason}")
    print(", ".join(f"{behaviour.value} {counts[behaviour]}" for behaviour in Behaviour))
    return 1 if counts[Behaviour.FAILED] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
