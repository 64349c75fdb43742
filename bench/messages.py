"""Messages to other services: how many a second one relay sends, beside the jobs it publishes."""

from datetime import UTC, datetime
from functools import partial
from uuid import UUID

import pika
import psycopg

from bench.backlogs import PATIENCE_SECONDS, UUID7, rate
from bench.comparison import Comparison, in_turns
from bench.contestants import DULY, DULY_RELAY
from bench.crew import crew
from bench.relay import relay
from bench.setting import Bench
from dev.wait import wait_until
from outbox.amqp import outgoing, topology
from outbox.amqp.connection import parameters
from outbox.publishing import cloud_events

FILL = f"""
INSERT INTO duly.outgoing_messages (id, exchange, routing_key, type, properties, body)
SELECT {UUID7}, '', %(queue)s, 'bench.nothing', %(properties)s, '{{"number":1}}'
FROM generate_series(1, %(count)s) AS number
CROSS JOIN LATERAL (SELECT now() + number * interval '1 millisecond' AS made) AS moment
ORDER BY number
"""
LEFT = "SELECT FROM duly.outgoing_messages WHERE sent_at IS NULL LIMIT 1"
BATCHES = """
SELECT extract(epoch FROM min(sent_at))::float8, count(*)
FROM (SELECT sent_at, (row_number() OVER (ORDER BY sent_at) - 1) / 1000 AS n
      FROM duly.outgoing_messages) AS sent
GROUP BY n ORDER BY n
"""


def run(bench: Bench) -> list[Comparison]:
    """A backlog of messages with all headers, and one of jobs."""
    rates = in_turns(
        {
            "messages": partial(_messages, bench, bench.size(50_000)),
            "jobs": partial(relay, bench, bench.size(50_000)),
        },
        bench.rounds,
        bench.say,
    )
    return [Comparison("messages ÷ jobs of one relay", rates["messages"], rates["jobs"], "/s", 0.8)]


def _messages(bench: Bench, count: int) -> float:
    """Messages per second of one relay, from its second batch to its last."""
    (queue,) = DULY.queues
    with crew(bench.database_url, bench.amqp_url, "messages", [queue]) as own:
        DULY.create_tables(own.database_url)
        _declare(bench.amqp_url, queue)
        with psycopg.connect(own.database_url, autocommit=True) as connection:
            given = {"queue": queue, "properties": _properties(), "count": count}
            connection.execute(FILL, given)
            connection.execute("VACUUM ANALYZE duly.outgoing_messages")
            connection.execute("CHECKPOINT")
            own.start(*DULY_RELAY)
            if not wait_until(lambda: not connection.execute(LEFT).rowcount, PATIENCE_SECONDS):
                raise TimeoutError(f"not all of {count} messages were sent")
            return rate(connection.execute(BATCHES).fetchall())


def _properties() -> bytes:
    about = {"type_": "bench.nothing", "source": "bench", "subject": "bench:1"}
    attributes = cloud_events.headers(UUID(int=1), **about, time=datetime.now(UTC))
    trace = {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01"}
    return outgoing.encode(
        message_id=str(UUID(int=1)),
        delivery_mode=2,
        type="bench.nothing",
        content_type="application/json",
        headers=attributes | trace,
    )


def _declare(amqp_url: str, queue: str) -> None:
    with pika.BlockingConnection(parameters(amqp_url)) as connection:
        connection.channel().queue_declare(
            queue, durable=True, arguments=topology.work_queue(queue)
        )
