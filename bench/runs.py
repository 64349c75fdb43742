"""One run of one system: from nothing to the last job, and what it took."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from bench.contestants import Contestant
from bench.crew import Crew, crew, wait_for
from bench.produce import WARM_UP
from bench.setting import Bench
from bench.systems.shop import CREATE_ORDERS
from dev.wait import wait_until

NANOSECOND = 1e-9
UNRECORDED = "SELECT count(*) FROM duly.jobs WHERE state <> 'succeeded'"
SINCE_RECORDED = "SELECT extract(epoch FROM clock_timestamp() - max(finished_at)) FROM duly.jobs"


@contextmanager
def warm(
    bench: Bench,
    contestant: Contestant,
    *,
    per_transaction: int = 1,
    count: int,
    rate: float = 0,
    alone: bool = False,
) -> Iterator[tuple[Crew, "subprocess.Popen[str]"]]:
    """A system whose workers have done a few jobs, and a producer that waits for a line.

    Jobs handed in `alone` are what is in their transaction; else it has an order's row too.
    """
    environment = {**contestant.environment, **({"BENCH_ALONE": "1"} if alone else {})}
    name = contestant.module
    with crew(bench.database_url, bench.amqp_url, name, contestant.queues, **environment) as own:
        contestant.create_tables(own.database_url)
        with psycopg.connect(own.database_url, autocommit=True) as connection:
            connection.execute(CREATE_ORDERS)
        for command in contestant.processes:
            own.start(*command)
        producer = own.start(
            *("bench.produce", contestant.module, str(count), str(per_transaction), str(rate)),
            asks=True,
        )
        assert producer.stdout
        if producer.stdout.readline() != "ready\n":
            raise RuntimeError(f"the producer of {name} ended; see .bench/{name}.log")
        wait_for(name, own.tally, len(WARM_UP))
        yield own, producer


def throughput(
    bench: Bench,
    contestant: Contestant,
    count: int,
    per_transaction: int = 1,
    *,
    alone: bool = False,
) -> float:
    """Jobs per second from the first submission until all have run, and are recorded as done."""
    handed_in = warm(bench, contestant, count=count, per_transaction=per_transaction, alone=alone)
    with handed_in as (own, producer):
        begun: tuple[int, int] = go(producer)
        wait_for(contestant.module, own.tally, count + len(WARM_UP))
        last = max(own.tally.starts().values())
        if contestant.module == "duly":
            last = max(last, _recorded(own.database_url))
    return count / ((last - begun[0]) * NANOSECOND)


def latencies(
    bench: Bench, contestant: Contestant, count: int, rate: float, *, from_call: bool = False
) -> list[float]:
    """Seconds to the start of each job's actor, from when it was handed in for good, alone.

    Or from the call, where the message may be read before the call returns.
    """
    with warm(bench, contestant, count=count, rate=rate, alone=True) as (own, producer):
        moments: list[tuple[int, int]] = go(producer)
        wait_for(contestant.module, own.tally, count + len(WARM_UP))
        starts = own.tally.starts()
    return [
        (starts[number] - (called if from_call else returned)) * NANOSECOND
        for number, (called, returned) in enumerate(moments)
    ]


def go(producer: "subprocess.Popen[str]") -> Any:
    """Let the producer begin; returns what it says when all is handed in."""
    said, _ = producer.communicate("go\n")
    return json.loads(said)


def _recorded(database_url: str) -> int:
    """When the last job was on record as succeeded, by the monotonic clock, in nanoseconds."""
    with psycopg.connect(database_url, autocommit=True) as connection:

        def ask(query: str) -> float:
            row = connection.execute(query).fetchone()
            assert row
            return float(row[0])

        wait_until(lambda: ask(UNRECORDED) == 0, 60)
        return time.monotonic_ns() - int(ask(SINCE_RECORDED) / NANOSECOND)
