"""Hands jobs in to one system: `python -m bench.produce SYSTEM COUNT PER_TRANSACTION RATE`.

Says `ready` once all is warm, waits for a line, hands in job 0 to COUNT - 1, PER_TRANSACTION at a
time (RATE times a second on average, 0 for as fast as can be), and says when, in nanoseconds of the
monotonic clock: each of them at a rate, or else when it began and ended. At a rate they come as
requests do, each at a random moment, but at the same for each system: a system may rest after a
job, and would look better than it is if the next never came meanwhile.
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
    _hand_in(contestant, [[number] for number in WARM_UP])
    numbers, size, pace = range(int(count)), int(per_transaction), float(rate)
    batches = [numbers[first : first + size] for first in range(0, len(numbers), size)]
    print("ready", flush=True)
    sys.stdin.readline()
    started = time.monotonic_ns()
    moments = _hand_in(contestant, batches, pace or inf)
    json.dump(moments if pace else [started, time.monotonic_ns()], sys.stdout)


def _hand_in(
    contestant: ModuleType, batches: Sequence[Sequence[int]], rate: float = inf
) -> list[tuple[int, int]]:
    """Hand in each at its time; returns when each call began and ended."""
    handed_in = []
    start = time.monotonic()
    chance = Random(0)
    after = accumulate(chance.expovariate(rate) for _ in batches)
    for batch, seconds in zip(batches, after, strict=True):
        if (early := start + seconds - time.monotonic()) > 0:
            time.sleep(early)  # not for no time: that alone would be a tenth of what a job costs
        called = time.monotonic_ns()
        contestant.hand_in(batch)
        handed_in.append((called, time.monotonic_ns()))
    return handed_in


if __name__ == "__main__":
    main(*sys.argv[1:])
