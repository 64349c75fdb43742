"""What the window costs and what it gives: workers' speed, and how soon an urgent job starts.

The backlog is in Postgres and workers are waiting when the relay begins, with the default window
and with an open one: the work is the same, and all of it counts from the first job's start.
"""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial

import pika
import psycopg
from pika.exceptions import ChannelClosedByBroker

from bench.backlogs import FILL, fill
from bench.comparison import Comparison, in_turns
from bench.contestants import DULY, DULY_RELAY, DULY_WORKER, WORKERS
from bench.crew import Crew, crew, wait_for
from bench.runs import NANOSECOND
from bench.setting import Bench
from dev.wait import wait_until
from outbox.amqp.connection import parameters
from outbox.kinds import Priority
from outbox.submission.wake_up import NOTIFY

BACKLOG = 100_000
OPEN = 2**30
DEFAULT = 1000
BEGUN = 1000
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
    with _relayed(bench, DEFAULT) as own:
        seconds = _overtake(own, bench.size(BEGUN))
        return Found(_rate(own, bench.size(BACKLOG)), seconds)


def _open(bench: Bench) -> Found:
    with _relayed(bench, OPEN) as own:
        return Found(_rate(own, bench.size(BACKLOG)))


@contextmanager
def _relayed(bench: Bench, window: int) -> Iterator[Crew]:
    """A backlog, workers that wait for it, and a relay that begins with it."""
    environment = {"BENCH_WINDOW": str(window)}
    with crew(bench.database_url, bench.amqp_url, "window", DULY.queues, **environment) as own:
        DULY.create_tables(own.database_url)
        fill(own.database_url, bench.size(BACKLOG))
        _start_workers(own)
        own.start(*DULY_RELAY)
        yield own


def _start_workers(own: Crew) -> None:
    for _ in range(WORKERS):
        own.start(*DULY_WORKER)
    with closing(pika.BlockingConnection(parameters(own.amqp_url))) as connection:
        consumers = partial(_consumers, connection)
        if not wait_until(lambda: consumers() == WORKERS, PATIENCE_SECONDS):
            raise TimeoutError(f"only {consumers()} of {WORKERS} workers wait for jobs")


def _consumers(connection: pika.BlockingConnection) -> int:
    """How many read Duly's queue; none if nobody has made it yet."""
    (queue,) = DULY.queues
    with suppress(ChannelClosedByBroker), connection.channel() as channel:
        count: int = channel.queue_declare(queue, passive=True).method.consumer_count
        return count
    return 0


def _rate(own: Crew, count: int) -> float:
    """Jobs per second from the first of so many to the last."""
    wait_for("workers", own.tally, count)
    starts = sorted(own.tally.starts().values())[:count]
    return count / ((starts[-1] - starts[0]) * NANOSECOND)


def _overtake(own: Crew, begun: int) -> float:
    """Seconds from the commit of an urgent job to its start, once the others have begun."""
    wait_for("workers", own.tally, begun)
    with psycopg.connect(own.database_url, autocommit=True) as connection:
        connection.execute(FILL, URGENT)
        submitted = time.monotonic_ns()
        connection.execute(NOTIFY)
    if not wait_until(lambda: URGENT["first"] in own.tally.starts(), PATIENCE_SECONDS):
        raise TimeoutError("the urgent job did not start")
    return (own.tally.starts()[URGENT["first"]] - submitted) * NANOSECOND
