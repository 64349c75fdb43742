"""From one producer to the last job done: Duly beside the others."""

from collections.abc import Mapping
from functools import partial

from bench.comparison import Comparison, in_turns
from bench.contestants import CELERY, CELERY_WITH_RESULTS, DRAMATIQ, DULY, PROCRASTINATE
from bench.runs import throughput
from bench.setting import Bench

PEERS = {
    "Dramatiq": DRAMATIQ,
    "Celery": CELERY,
    "Celery with results": CELERY_WITH_RESULTS,
    "Procrastinate": PROCRASTINATE,
}
ONE_EACH: Mapping[str, tuple[float, float]] = {
    "Dramatiq": (1, 1.3),
    "Celery": (1.5, 2),
    "Celery with results": (3.5, 5),
    "Procrastinate": (2.6, 4),
}
HUNDRED: Mapping[str, tuple[float, float]] = {
    "Dramatiq": (1.5, 2),
    "Celery": (2.3, 3),
    "Celery with results": (5, 8),
    "Procrastinate": (3, 5),
}


def run(bench: Bench) -> list[Comparison]:
    """One commit for each job, and a hundred jobs in each transaction."""
    return [
        *_compare(bench, "one job per commit", bench.size(1500), 1, ONE_EACH),
        *_compare(bench, "100 jobs per transaction", bench.size(2000), 100, HUNDRED),
    ]


def _compare(
    bench: Bench,
    what: str,
    count: int,
    per_transaction: int,
    goals: Mapping[str, tuple[float, float]],
) -> list[Comparison]:
    measurements = {
        name: partial(throughput, bench, contestant, count, per_transaction)
        for name, contestant in {"Duly": DULY, **PEERS}.items()
    }
    rates = in_turns(measurements, bench.rounds, bench.say)
    return [
        Comparison(f"{what} ÷ {peer}", rates["Duly"], rates[peer], "jobs/s", *goals[peer])
        for peer in PEERS
    ]
