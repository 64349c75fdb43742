"""What the window costs and what it gives: workers' speed, and how soon an urgent job starts.

With the window open the whole backlog is in RabbitMQ before the workers begin, so that they have
the machine for themselves; with the default one the relay works beside them.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import psycopg

from bench.backlogs import FILL, batches, fill
from bench.comparison import Comparison, in_turns
from bench.contestants import DULY, DULY_RELAY, DULY_WORKER, WORKERS
from bench.crew import Crew, crew
from bench.runs import NANOSECOND
from bench.setting import Bench
from bench.worker import rate
from dev.wait import wait_until
from outbox.kinds import Priority
from outbox.nudge import NOTIFY

BACKLOG = 100_000
MEASURED = 15_000
"""So many of the backlog's jobs are waited for."""
OPEN = 2**30
DEFAULT = 1000
URGENT = {"first": -1, "count": 1, "priority": Priority.HIGH}
PATIENCE_SECONDS = 300


@dataclass(frozen=True)
class Found:
    """Jobs a second, and seconds until the urgent job started, where one was submitted."""

    rate: float
    seconds: float = 0

    def __str__(self) -> str:
        return f"{self.rate:,.0f} jobs/s" + (f", {self.seconds:.2f} s" if self.seconds else "")


def run(bench: Bench) -> list[Comparison]:
    """The default window beside an open one; the urgent job is for the default one."""
    found = in_turns(
        {
            "default window": partial(_default, bench),
            "window open": partial(_open, bench),
        },
        *(bench.rounds, bench.say, str),
    )
    default, opened = ([each.rate for each in values] for values in found.values())
    urgent = [each.seconds for each in found["default window"]]
    return [
        Comparison("default window ÷ open", default, opened, "jobs/s", 0.97),
        Comparison(
            *("an urgent job starts ÷ 1 s", urgent, [1.0] * len(urgent), "s", 3, 1),
            less_is_better=True,
        ),
    ]


def _default(bench: Bench) -> Found:
    with _working(bench, DEFAULT) as own:
        return Found(rate(own, bench.size(MEASURED)), _overtake(own))


def _open(bench: Bench) -> Found:
    with _working(bench, OPEN) as own:
        return Found(rate(own, bench.size(MEASURED)))


@contextmanager
def _working(bench: Bench, window: int) -> Iterator[Crew]:
    """Workers that have begun with a backlog."""
    count = bench.size(BACKLOG)
    environment = {"BENCH_WINDOW": str(window)}
    with crew(bench.database_url, bench.amqp_url, "window", DULY.queues, **environment) as own:
        DULY.create_tables(own.database_url)
        fill(own.database_url, count)
        own.start(*DULY_RELAY)
        if window >= count:
            batches(own.database_url, count)
        for _ in range(WORKERS):
            own.start(*DULY_WORKER)
        yield own


def _overtake(own: Crew) -> float:
    """Seconds from the commit of an urgent job to its start."""
    with psycopg.connect(own.database_url, autocommit=True) as connection:
        connection.execute(FILL, URGENT)
        submitted = time.monotonic_ns()
        connection.execute(NOTIFY)
    if not wait_until(lambda: URGENT["first"] in own.tally.starts(), PATIENCE_SECONDS):
        raise TimeoutError("the urgent job did not start")
    return (own.tally.starts()[URGENT["first"]] - submitted) * NANOSECOND
