"""What people and scrapes ask of the database reads a bounded part of it, whatever it holds."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from dev.servers import Servers
from outbox import Key, Kinds, Rate
from outbox.http import readiness
from outbox.operations import jobs, overdue, status
from outbox.operations.jobs import JobFilter
from outbox.postgres.address import sqlalchemy_url
from tests.support.engine.line import note_kind
from tests.support.servers.databases import new_database

KINDS = Kinds(note_kind("q1"))
LIMITED = Kinds(
    note_kind("q1", key=Key(lambda _: "x", at_most=1, rate=Rate(1, timedelta(hours=1))))
)
SILENCE = timedelta(seconds=30)
EACH = 30_000
"""Rows of each sort: enough for the planner to read a table from end to end where it may."""
JOBS = """
INSERT INTO duly.jobs (id, kind, queue, priority, payload, state, attempt_limit, attempt_budget,
                       subject, parent_id, batch_id, worker, run_at, started_at)
SELECT lpad(to_hex(n), 32, '0')::uuid, 'test.note', 'q' || n % 3, n % 2, '{}',
       CASE WHEN n <= {each} AND n % 50 = 48 THEN 'dead'
            WHEN n <= {each} AND n % 50 = 49 THEN 'cancelled'
            WHEN n <= {each} THEN 'succeeded' WHEN n % 100 = 1 THEN 'running' ELSE 'queued' END,
       3, 3, 'subject:' || n % 2, lpad(to_hex(n % 2), 32, '0')::uuid,
       lpad(to_hex(n % 2), 32, '0')::uuid, 'w1', now() - interval '1 hour', now()
FROM generate_series(1, 3 * {each}) AS n
"""
FILL = """
INSERT INTO duly.outbox_events (job_id, dispatch, kind, queue, priority, available_at, keys)
SELECT id, dispatch, kind, queue, priority, run_at,
       CASE queue WHEN 'q2' THEN ARRAY['key:' || right(id::text, 1)] END
FROM duly.jobs WHERE state = 'queued' AND id < lpad(to_hex(2 * {each}), 32, '0')::uuid;
INSERT INTO duly.publications (queue, job_ids, dispatches)
SELECT queue, ARRAY[id], ARRAY[dispatch]
FROM duly.jobs WHERE state = 'queued' AND id >= lpad(to_hex(2 * {each}), 32, '0')::uuid;
INSERT INTO duly.dead_letters (kind, queue, reason, error_message, closed_at)
SELECT 'test.note', 'q' || n % 3, 'refused', 'no', CASE WHEN n % 2 = 0 THEN now() END
FROM generate_series(1, {each}) AS n;
INSERT INTO duly.outgoing_messages (id, exchange, routing_key, type, properties, body, sent_at)
SELECT lpad(to_hex(n), 32, '0')::uuid, 'x', 'k', 't', '', '', CASE WHEN n % 2 = 0 THEN now() END
FROM generate_series(1, {each}) AS n;
INSERT INTO duly.refusals SELECT id, dispatch, now() - interval '1 h', 'new' FROM duly.jobs
WHERE state = 'queued' LIMIT 100;
INSERT INTO duly.key_holders SELECT 'key:' || right(id::text, 1), id, dispatch FROM duly.jobs
WHERE state = 'running' LIMIT 100;
"""
LARGE = ("jobs", "outbox_events", "publications", "dead_letters", "attempts", "outgoing_messages")
READS_ALL = re.compile(rf"Seq Scan on ({'|'.join(LARGE)})\b")
ID = UUID(int=1)
NOTHING = {"kind": "none"}
FILTERS = [
    {"state": state, **more}
    for state in ("scheduled", "queued", "running", "succeeded", "dead", "cancelled")
    for more in ({}, {"kind": "none"}, {"queue": "none"}, {"subject": "subject:1"})
] + [
    {},
    {"queue": "none"},
    {"subject": "none"},
    {"subject": "subject:1", "kind": "none"},
    {"parent_id": ID, "state": "queued", "kind": "none"},
    {"batch_id": ID, "state": "dead", "kind": "none"},
]
LOOKS: dict[str, Callable[[Session], object]] = {
    "status": lambda session: status.read(session, KINDS, SILENCE),
    "queues": lambda session: status.queues(session, KINDS, SILENCE),
    "queues with limits": lambda session: status.queues(session, LIMITED, SILENCE),
    "overdue": lambda session: overdue.find(session, KINDS, silence=SILENCE),
    "readiness": lambda session: session.execute(readiness.OLDEST_DUE, {"queues": ["q0", "q1"]}),
} | {
    f"jobs {wanted}": lambda session, wanted=wanted: jobs.find_page(session, JobFilter(**wanted))
    for wanted in FILTERS
}


@pytest.fixture(scope="module")
def large(servers: Servers, template: str) -> Iterator[Engine]:
    """A database with many rows of each sort, whose planner knows that."""
    with new_database(servers.database_url, make_url(template).database or "") as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(JOBS.replace("{each}", str(EACH)).encode())
            connection.execute(FILL.replace("{each}", str(EACH)).encode())
            connection.execute("VACUUM ANALYZE")
        engine = create_engine(sqlalchemy_url(url), poolclass=NullPool)
        yield engine
        engine.dispose()


def explained(engine: Engine, look: Callable[[Session], object]) -> str:
    """The plans of what the look executes."""
    plans: list[str] = []

    def explain(
        connection: Connection, cursor: Any, statement: str, parameters: Any, *_: object
    ) -> None:
        with cursor.connection.cursor() as other:
            other.execute("EXPLAIN " + statement, parameters)
            plans.extend(row[0] for row in other)

    with Session(engine) as session:
        event.listen(engine, "before_cursor_execute", explain)
        try:
            look(session)
        finally:
            event.remove(engine, "before_cursor_execute", explain)
    return "\n".join(plans)


@pytest.mark.parametrize("look", LOOKS)
def test_no_look_reads_a_table_from_end_to_end(large: Engine, look: str) -> None:
    plans = explained(large, LOOKS[look])
    assert "Scan" in plans
    assert not READS_ALL.findall(plans), plans
    assert "JIT" not in plans


@pytest.mark.parametrize("table", ["jobs", "outbox_events", "dead_letters", "publications"])
def test_the_planner_reads_a_table_from_end_to_end_where_it_may(large: Engine, table: str) -> None:
    """A look that counts all by queue would be found."""
    count = text(f"SELECT queue, count(*) FROM duly.{table} GROUP BY queue")
    assert READS_ALL.findall(explained(large, lambda session: session.execute(count)))
