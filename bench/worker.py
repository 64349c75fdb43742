"""Workers alone: they drain what waits in RabbitMQ, and nobody adds to it."""

from functools import partial

from bench.backlogs import fill, relayed
from bench.comparison import Comparison, in_turns
from bench.contestants import (
    CELERY,
    CELERY_WORKER,
    DULY,
    DULY_RELAY,
    DULY_WORKER,
    WORKERS,
)
from bench.crew import Crew, crew, wait_for
from bench.runs import NANOSECOND
from bench.setting import Bench

SETTLED_SHARE = 0.1


def run(bench: Bench) -> list[Comparison]:
    """Two processes each; Duly's record every job, and Celery's nothing."""
    count = bench.size(20_000)
    rates = in_turns(
        {"Duly": partial(_duly, bench, count), "Celery": partial(_celery, bench, count)},
        bench.rounds,
        bench.say,
    )
    return [Comparison("workers ÷ Celery's", rates["Duly"], rates["Celery"], "jobs/s", 2, 3)]


def _duly(bench: Bench, count: int) -> float:
    environment = {"BENCH_WINDOW": str(2**30)}
    with crew(bench.database_url, bench.amqp_url, "worker", DULY.queues, **environment) as own:
        DULY.create_tables(own.database_url)
        fill(own.database_url, count)
        relay = own.start(*DULY_RELAY)
        relayed(own.database_url, count)
        relay.terminate()
        relay.wait()
        for _ in range(WORKERS):
            own.start(*DULY_WORKER)
        return rate(own, count)


def _celery(bench: Bench, count: int) -> float:
    environment = {"BENCH_UNCONFIRMED": "1"}
    with crew(bench.database_url, bench.amqp_url, "celery", CELERY.queues, **environment) as own:
        own.start("bench.produce", "celery", str(count), "100", "0", asks=True).communicate("go\n")
        own.start(*CELERY_WORKER)
        return rate(own, count)


def rate(own: Crew, count: int) -> float:
    """Jobs per second of so many, without the first tenth: processes start at different times."""
    wait_for("workers", own.tally, count)
    starts = sorted(own.tally.starts().values())
    begun = int(count * SETTLED_SHARE)
    return (count - begun) / ((starts[count - 1] - starts[begun]) * NANOSECOND)
