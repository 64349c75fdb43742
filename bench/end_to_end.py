"""From one producer to the last job done: Duly beside the others."""

from collections.abc import Mapping
from functools import partial

from bench.comparison import Comparison, in_turns
from bench.contestants import (
    CELERY,
    CELERY_WITH_RESULTS,
    DRAMATIQ,
    DULY,
    DULY_TUNED,
    PGQUEUER,
    PROCRASTINATE,
)
from bench.runs import throughput
from bench.setting import Bench

PEERS = {
    "Dramatiq": DRAMATIQ,
    "Celery": CELERY,
    "Celery with results": CELERY_WITH_RESULTS,
    "Procrastinate": PROCRASTINATE,
    "PgQueuer": PGQUEUER,
}
Goals = Mapping[str, tuple[float | None, float | None]]
"""For each peer what to reach, and what would be beyond."""
NONE = (None, None)
ONE_EACH: Goals = {
    "Dramatiq": (1, 1.3),
    "Celery": (1.5, 2),
    "Celery with results": (3.5, 5),
    "Procrastinate": (2.6, 4),
    "PgQueuer": NONE,
}
ALONE: Goals = {"Dramatiq": NONE, "Celery": NONE, "PgQueuer": NONE}
HUNDRED: Goals = {
    "Dramatiq": (1.5, 2),
    "Celery": (2.3, 3),
    "Celery with results": (5, 8),
    "Procrastinate": (3, 5),
    "PgQueuer": NONE,
}


def run(bench: Bench) -> list[Comparison]:
    """An order and its job in each transaction; a job alone; an order and a hundred jobs."""
    return [
        *_compare(bench, "order and job", 1500, 1, ONE_EACH),
        *_compare(bench, "job alone", 1500, 1, ALONE, alone=True),
        *_compare(bench, "order and 100 jobs", 2000, 100, HUNDRED),
    ]


def _compare(
    bench: Bench,
    what: str,
    count: int,
    per_transaction: int,
    peers: Goals,
    *,
    alone: bool = False,
) -> list[Comparison]:
    systems = {"Duly": DULY, "Duly, tuned": DULY_TUNED, **{name: PEERS[name] for name in peers}}
    measurements = {
        name: partial(
            throughput, bench, contestant, bench.size(count), per_transaction, alone=alone
        )
        for name, contestant in systems.items()
    }
    rates = in_turns(measurements, bench.rounds, bench.say)
    return [
        Comparison(
            f"{what} ÷ {peer}",
            rates["Duly"],
            rates[peer],
            "jobs/s",
            reach=reach,
            beyond=beyond,
            tuned=rates["Duly, tuned"],
        )
        for peer, (reach, beyond) in peers.items()
    ]
