"""Hands jobs in to one system: `python -m bench.produce SYSTEM COUNT PER_TRANSACTION RATE`.

Says `ready` once all is warm, waits for a line, hands in job 0 to COUNT - 1 (RATE a second, 0 for
as fast as can be), and says when each was handed in, in nanoseconds of the monotonic clock.
"""

import importlib
import json
import sys
import time
from collections.abc import Callable, Sequence

WARM_UP = range(-20, 0)


def main(system: str, count: str, per_transaction: str, rate: str) -> None:
    """Wait and go."""
    hand_in = importlib.import_module(f"bench.systems.{system}").hand_in
    hand_in(WARM_UP, 1)
    print("ready", flush=True)
    sys.stdin.readline()
    numbers = range(int(count))
    if float(rate):
        json.dump(_at_rate(hand_in, numbers, float(rate)), sys.stdout)
    else:
        started = time.monotonic_ns()
        hand_in(numbers, int(per_transaction))
        json.dump([started, time.monotonic_ns()], sys.stdout)


def _at_rate(
    hand_in: Callable[[Sequence[int], int], None], numbers: Sequence[int], rate: float
) -> list[int]:
    """Hand in one by one, each at its time; returns when each was handed in for good."""
    handed_in = []
    start = time.monotonic()
    for number in numbers:
        time.sleep(max(0, start + number / rate - time.monotonic()))
        hand_in([number], 1)
        handed_in.append(time.monotonic_ns())
    return handed_in


if __name__ == "__main__":
    main(*sys.argv[1:])
