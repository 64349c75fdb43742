"""The relay alone: rows a second, confirmed by a quorum queue, beside the client's own limit."""

import json
from functools import partial

from bench.backlogs import fill, relayed
from bench.comparison import Comparison, in_turns
from bench.contestants import CELERY, DRAMATIQ, DULY, DULY_RELAY, Contestant
from bench.crew import crew
from bench.runs import NANOSECOND
from bench.setting import Bench


def run(bench: Bench) -> list[Comparison]:
    """A backlog with an open window, and as many messages by other ways."""
    rates = in_turns(
        {
            "Duly's relay": partial(relay, bench, bench.size(50_000)),
            "bare pika": partial(_bare_pika, bench, bench.size(50_000)),
            "Dramatiq send": partial(_send, bench, DRAMATIQ, bench.size(2000)),
            "Celery delay": partial(_send, bench, CELERY, bench.size(1000)),
        },
        bench.rounds,
        bench.say,
    )
    ours = rates["Duly's relay"]
    return [
        Comparison("relay ÷ bare pika", ours, rates["bare pika"], "messages/s", 0.9, 1.3),
        Comparison("relay ÷ Dramatiq send", ours, rates["Dramatiq send"], "messages/s", 10),
        Comparison("relay ÷ Celery delay", ours, rates["Celery delay"], "messages/s", 18),
    ]


def relay(bench: Bench, count: int) -> float:
    """Rows per second of one relay, from its first batch to its last."""
    with crew(
        bench.database_url, bench.amqp_url, "relay", DULY.queues, BENCH_WINDOW=str(2**30)
    ) as own:
        DULY.create_tables(own.database_url)
        fill(own.database_url, count)
        own.start(*DULY_RELAY)
        return relayed(own.database_url, count)


def _bare_pika(bench: Bench, count: int) -> float:
    with crew(bench.database_url, bench.amqp_url, "pika", ["bench.pika"]) as own:
        said, _ = own.start("bench.systems.pika", str(count), asks=True).communicate()
    rate: float = json.loads(said)
    return rate


def _send(bench: Bench, contestant: Contestant, count: int) -> float:
    """Messages per second of one producer that only sends, while nobody takes them."""
    name = contestant.module
    with crew(bench.database_url, bench.amqp_url, name, contestant.queues, BENCH_ALONE="1") as own:
        producer = own.start("bench.produce", name, str(count), "1", "0", asks=True)
        assert producer.stdout
        producer.stdout.readline()
        said, _ = producer.communicate("go\n")
    moments: list[int] = json.loads(said)
    return count / ((moments[1] - moments[0]) * NANOSECOND)
