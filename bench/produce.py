"""Hands jobs in to one system: `python -m bench.produce SYSTEM COUNT PER_TRANSACTION RATE`.

Says `ready` once all is warm, waits for a line, hands in job 0 to COUNT - 1 (RATE a second on
average, 0 for as fast as can be), and says when each was handed in, in nanoseconds of the monotonic
clock. At a rate they come as requests do, each at a random moment, but at the same for each system:
a system may rest after a job, and would look better than it is if the next never came meanwhile.
"""

import importlib
import json
import sys
import time
from collections.abc import Sequence
from itertools import accumulate
from math import inf
from random import Random
from types import ModuleType

WARM_UP = range(-20, 0)


def main(system: str, count: str, per_transaction: str, rate: str) -> None:
    """Wait and go."""
    contestant = importlib.import_module(f"bench.systems.{system}")
    _one_by_one(contestant, WARM_UP)
    print("ready", flush=True)
    sys.stdin.readline()
    numbers = range(int(count))
    if float(rate):
        json.dump(_one_by_one(contestant, numbers, float(rate)), sys.stdout)
        return
    started = time.monotonic_ns()
    if int(per_transaction) == 1:
        _one_by_one(contestant, numbers)
    else:
        contestant.hand_in(numbers, int(per_transaction))
    json.dump([started, time.monotonic_ns()], sys.stdout)


def _one_by_one(
    contestant: ModuleType, numbers: Sequence[int], rate: float = inf
) -> list[tuple[int, int]]:
    """Hand in each at its time, and nudge; returns when each call began and when it returned."""
    nudge = getattr(contestant, "nudge", None)
    handed_in = []
    start = time.monotonic()
    chance = Random(0)
    after = accumulate(chance.expovariate(rate) for _ in numbers)
    for number, seconds in zip(numbers, after, strict=True):
        if (early := start + seconds - time.monotonic()) > 0:
            time.sleep(early)  # not for no time: that alone would be a tenth of what a job costs
        called = time.monotonic_ns()
        contestant.hand_in([number], 1)
        handed_in.append((called, time.monotonic_ns()))
        if nudge:
            nudge()
    return handed_in


if __name__ == "__main__":
    main(*sys.argv[1:])
