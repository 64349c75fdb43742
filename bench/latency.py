"""From a job's submission to the start of its actor, at an easy pace."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median, quantiles

from bench.comparison import Comparison, in_turns
from bench.contestants import DRAMATIQ, DULY, PROCRASTINATE, Contestant
from bench.runs import latencies
from bench.setting import Bench

RATE = 50
SECONDS = 7
MILLISECOND = 1e-3


@dataclass(frozen=True)
class Latency:
    """In milliseconds."""

    p50: float
    p99: float

    def __str__(self) -> str:
        return f"p50 {self.p50:.1f} ms, p99 {self.p99:.1f} ms"


def run(bench: Bench) -> list[Comparison]:
    """50 jobs a second; from the commit, or from Dramatiq's `send`, which its worker may outrun."""
    found = in_turns(
        {
            "Duly": partial(_latency, bench, DULY),
            "Procrastinate": partial(_latency, bench, PROCRASTINATE),
            "Dramatiq": partial(_latency, bench, DRAMATIQ, from_call=True),
        },
        *(bench.rounds, bench.say, str),
    )
    p50s = {name: [each.p50 for each in latencies] for name, latencies in found.items()}
    p99s = [each.p99 for each in found["Duly"]]
    return [
        _less("p50 ÷ Procrastinate's", p50s["Duly"], p50s["Procrastinate"], 0.8, 0.5),
        _less("p50 ÷ Dramatiq's", p50s["Duly"], p50s["Dramatiq"], 2.5, 1.5),
        _less("p99 ÷ p50", p99s, p50s["Duly"], 5),
    ]


def _latency(bench: Bench, contestant: Contestant, *, from_call: bool = False) -> Latency:
    seconds = latencies(bench, contestant, bench.size(SECONDS * RATE), RATE, from_call=from_call)
    return Latency(median(seconds) / MILLISECOND, quantiles(seconds, n=100)[98] / MILLISECOND)


def _less(
    what: str,
    ours: Sequence[float],
    theirs: Sequence[float],
    reach: float,
    beyond: float | None = None,
) -> Comparison:
    return Comparison(what, list(ours), list(theirs), "ms", reach, beyond, less_is_better=True)
