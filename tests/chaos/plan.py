"""When what goes wrong: drawn from the seed, the same for every system."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from random import Random

from tests.chaos.faults import Fault

INTERVAL_SECONDS = 5
MORE_KILLS = 2
"""How many times more than other faults come those that kill a process."""


@dataclass(frozen=True)
class Blow:
    """One fault at its moment, in seconds from the start; `luck` seeds whom it hits."""

    at: float
    fault: Fault
    luck: float


def draw(random: Random, faults: Sequence[Fault], seconds: float) -> list[Blow]:
    """Every fault before any comes again, in an order and at moments that are drawn.

    In a short time none is left out: they follow each other more closely.
    """
    kills = [fault for fault in faults if fault.is_kill]
    round_ = [*faults, *kills * MORE_KILLS]
    interval = min(INTERVAL_SECONDS, seconds / (len(round_) + 1))
    moments = [(n + random.random()) * interval for n in range(int(seconds / interval))]
    rounds = chain.from_iterable(random.sample(round_, len(round_)) for _ in moments)
    return [Blow(at, fault, random.random()) for at, fault in zip(moments, rounds, strict=False)]
