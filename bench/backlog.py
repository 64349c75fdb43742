"""The relay and its backlog: what it costs that there is much of it, and that nothing is vacuumed.

RabbitMQ's queue is emptied all the time, as its own backlog is not what is measured. Messages that
vanish are what the relay would publish again before long, so it is told to be patient.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from threading import Event, Thread

import pika
import psycopg

from bench.backlogs import batches, fill, rate
from bench.comparison import Comparison, in_turns
from bench.contestants import DULY, DULY_RELAY
from bench.crew import crew
from bench.setting import Bench
from outbox.amqp import topology
from outbox.amqp.connection import parameters

SMALL = 10_000
LARGE = 1_000_000
LARGE_TURNS = 2
MIDDLE = 100_000
"""For what an open transaction costs: a million would take too long."""
PURGE_SECONDS = 0.5
TENTH = 0.1


@dataclass(frozen=True)
class Drain:
    """How one relay emptied the outbox."""

    rate: float
    first_tenth: float
    last_tenth: float
    megabytes: float

    def __str__(self) -> str:
        return (
            f"{self.rate:,.0f} rows/s, at first {self.first_tenth:,.0f}, at last "
            f"{self.last_tenth:,.0f}; at most {self.megabytes:.1f} MB"
        )


def run(bench: Bench) -> list[Comparison]:
    """What a transaction that is left open costs, and then what the size does."""
    held = _held(bench)
    return [*_sizes(bench), held]


def _held(bench: Bench) -> Comparison:
    count = bench.size(MIDDLE)
    plain, held = in_turns(
        {
            f"{count:,} rows": partial(_drain, bench, count),
            f"{count:,} rows, a transaction open": partial(_drain, bench, count, held=True),
        },
        *(bench.rounds, bench.say, str),
    ).values()
    return Comparison("a transaction open ÷ none", _rates(held), _rates(plain), "rows/s", 0.8)


def _sizes(bench: Bench) -> list[Comparison]:
    """The large one takes long and is drained but twice, with small ones before and after it."""
    small, large = bench.size(SMALL), bench.size(LARGE)
    little, big = _drains(bench, small, bench.rounds), []
    for _ in range(LARGE_TURNS):
        big += _drains(bench, large, 1)
        little += _drains(bench, small, bench.rounds)
    usual = [median(_rates(little))] * LARGE_TURNS
    most = [median(each.megabytes for each in little)] * LARGE_TURNS
    tenths = [each.last_tenth for each in big], [each.first_tenth for each in big]
    return [
        Comparison(f"{large:,} rows ÷ {small:,}", _rates(big), usual, "rows/s", 0.9),
        Comparison("last tenth ÷ first tenth", *tenths, "rows/s", 0.9),
        Comparison(
            f"peak memory at {large:,} rows ÷ {small:,}",
            [each.megabytes for each in big],
            *(most, "MB", 1.1),
            less_is_better=True,
        ),
    ]


def _drains(bench: Bench, count: int, turns: int) -> list[Drain]:
    turn = {f"{count:,} rows": partial(_drain, bench, count)}
    (drains,) = in_turns(turn, turns, bench.say, str).values()
    return drains


def _rates(drains: Sequence[Drain]) -> list[float]:
    return [each.rate for each in drains]


def _drain(bench: Bench, count: int, *, held: bool = False) -> Drain:
    environment = {"BENCH_WINDOW": str(2**30), "BENCH_PATIENCE": "3600"}
    with crew(bench.database_url, bench.amqp_url, "backlog", DULY.queues, **environment) as own:
        DULY.create_tables(own.database_url)
        fill(own.database_url, count)
        held_open = _transaction(own.database_url) if held else nullcontext()
        with held_open, _purging(bench.amqp_url):
            relay = own.start(*DULY_RELAY)
            found = batches(own.database_url, count)
            megabytes = _peak_megabytes(relay.pid)
    tenth = int(len(found) * TENTH) + 3
    return Drain(rate(found), rate(found[:tenth]), rate(found[-tenth:]), megabytes)


@contextmanager
def _transaction(database_url: str) -> Iterator[None]:
    """One that has begun and does not end: no row that dies meanwhile can be cleared away."""
    with psycopg.connect(database_url) as connection:
        connection.execute("SELECT txid_current()")
        yield


@contextmanager
def _purging(amqp_url: str) -> Iterator[None]:
    """Empty Duly's queue again and again."""
    stopped = Event()
    thread = Thread(target=_purge, args=(amqp_url, stopped))
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def _purge(amqp_url: str, stopped: Event) -> None:
    (queue,) = DULY.queues
    with closing(pika.BlockingConnection(parameters(amqp_url))) as connection:
        channel = connection.channel()
        channel.queue_declare(queue, durable=True, arguments=topology.work_queue(queue))
        while not stopped.wait(PURGE_SECONDS):
            channel.queue_purge(queue)


def _peak_megabytes(pid: int) -> float:
    """The most memory that the process has had, as Linux counts it."""
    status = Path(f"/proc/{pid}/status").read_text()
    (kilobytes,) = re.findall(r"VmHWM:\s+(\d+) kB", status)
    return int(kilobytes) / 1024
