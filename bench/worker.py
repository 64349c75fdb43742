"""Workers alone: they drain what waits for them, and nobody adds to it."""

from functools import partial

from bench.backlogs import fill, relayed
from bench.comparison import Comparison, in_turns
from bench.contestants import (
    CELERY,
    DRAMATIQ,
    DULY,
    DULY_RELAY,
    DULY_TUNED,
    DULY_WORKER,
    PGQUEUER,
    PROCRASTINATE,
    WORKERS,
    Contestant,
)
from bench.crew import Crew, crew, wait_for
from bench.runs import NANOSECOND
from bench.setting import Bench

SETTLED_SHARE = 0.1


def run(bench: Bench) -> list[Comparison]:
    """Two processes each. Celery and Dramatiq record nothing of what became of a job."""
    fast, slow = bench.size(20_000), bench.size(5000)
    rates = in_turns(
        {
            "Duly": partial(drained, bench, DULY, fast),
            "Duly, tuned": partial(drained, bench, DULY_TUNED, fast),
            "Celery": partial(_peer, bench, CELERY, fast),
            "Dramatiq": partial(_peer, bench, DRAMATIQ, fast),
            "Procrastinate": partial(_peer, bench, PROCRASTINATE, slow),
            "PgQueuer": partial(_peer, bench, PGQUEUER, slow),
        },
        bench.rounds,
        bench.say,
    )
    ours, tuned = rates.pop("Duly"), rates.pop("Duly, tuned")
    return [
        Comparison(
            f"workers ÷ {peer}'s",
            ours,
            theirs,
            "jobs/s",
            reach=2 if peer == "Celery" else None,
            beyond=3 if peer == "Celery" else None,
            tuned=tuned,
        )
        for peer, theirs in rates.items()
    ]


def drained(bench: Bench, duly: Contestant, count: int) -> float:
    """Jobs per second of Duly's workers, which find so many published."""
    environment = {"BENCH_WINDOW": str(2**30), **duly.environment}
    with crew(bench.database_url, bench.amqp_url, "worker", duly.queues, **environment) as own:
        duly.create_tables(own.database_url)
        fill(own.database_url, count)
        relay = own.start(*DULY_RELAY)
        relayed(own.database_url, count)
        relay.terminate()
        relay.wait()
        for _ in range(WORKERS):
            own.start(*DULY_WORKER)
        return rate(own, count)


def _peer(bench: Bench, peer: Contestant, count: int) -> float:
    """Its own producer fills its queue, a hundred at a time and with no confirms."""
    environment = {"BENCH_UNCONFIRMED": "1", "BENCH_ALONE": "1", **peer.environment}
    with crew(bench.database_url, bench.amqp_url, peer.module, peer.queues, **environment) as own:
        peer.create_tables(own.database_url)
        producer = own.start("bench.produce", peer.module, str(count), "100", "0", asks=True)
        producer.communicate("go\n")
        for command in peer.processes:
            own.start(*command)
        return rate(own, count)


def rate(own: Crew, count: int) -> float:
    """Jobs per second of so many, without the first tenth: processes start at different times."""
    wait_for("workers", own.tally, count)
    starts = sorted(own.tally.starts().values())
    begun = int(count * SETTLED_SHARE)
    return (count - begun) / ((starts[count - 1] - starts[begun]) * NANOSECOND)
