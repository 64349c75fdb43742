"""Runs what is queued in Postgres as a worker would, without RabbitMQ, relay and worker."""

import asyncio
from collections.abc import Iterable
from contextlib import closing
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row
from sqlalchemy import Engine, create_engine
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from outbox.actors import Actor, Actors
from outbox.amqp.messages import Dispatch
from outbox.maintenance.batch_folder import NIL, fold_parameters
from outbox.operations import jobs
from outbox.operations.jobs import JobRecord
from outbox.postgres.address import sqlalchemy_url
from outbox.postgres.session_settings import connect
from outbox.store import transitions
from outbox.testing.admission import ADMIT_ALONE
from outbox.testing.inline_worker import InlineWorker

NEXT = """
SELECT job_id::text AS id, dispatch, kind, queue,
       greatest(available_at - now(), interval '0') AS ahead
FROM duly.outbox_events AS event
WHERE kind = ANY (%(kinds)s) AND available_at <= coalesce(%(until)s::timestamptz, now())
  AND (position IS NULL OR NOT EXISTS (
      SELECT FROM duly.outbox_events AS earlier
      WHERE earlier.position < event.position AND earlier.keys[1] = event.keys[1]
  ))
ORDER BY greatest(available_at, now()), priority, available_at
LIMIT 1
"""
MAKE_DUE = """
UPDATE duly.jobs SET run_at = now()
WHERE id = %(id)s AND dispatch = %(dispatch)s AND state = 'queued' AND run_at > now()
"""
MOVE_CLOCKS = """
UPDATE duly.key_clocks SET tat = tat - %(ahead)s, not_before = not_before - %(ahead)s
WHERE key IN (SELECT unnest(keys) FROM duly.jobs WHERE id = %(id)s)
"""
"""A job whose time is said to have come finds the permits of that time."""
TAKE_EVENT = "DELETE FROM duly.outbox_events WHERE job_id = %(id)s AND dispatch = %(dispatch)s"
PUT_OFF_AHEAD = """
WITH job AS (
    UPDATE duly.jobs SET run_at = run_at + %(ahead)s
    WHERE id = %(id)s AND state = 'queued'
    RETURNING id, run_at
)
UPDATE duly.outbox_events SET available_at = job.run_at FROM job WHERE job_id = job.id
"""
"""A job that ran before its time counts its next delay from that time."""


def drain(
    actors: Actors | Iterable[Actor[Any, Any]],
    where: str | Engine | AsyncEngine,
    *,
    until: datetime | None = None,
) -> list[JobRecord]:
    """Run all jobs of these actors that are due, one at a time, until none is.

    Returns what has become of each, in the order of their first runs. They are claimed, and their
    outcomes recorded, by a worker's own code: retries, dead letters and time limits are real. A
    retry waits for its whole backoff, without jitter. Jobs that are submitted meanwhile run too.
    With `until`, so do those that are due until then, as if their time had come: delayed jobs, and
    retries after their backoff. Other kinds' jobs stay. Before each run, jobs that have expired are
    cancelled, as relays do. Jobs of keys with rates take permits, which come with the time.

    It sees only what is committed, over connections of its own to the database of `where`, an
    address or an engine. No relay or worker may serve that database at the same time. It blocks,
    so an async test has to `await asyncio.to_thread(drain, ...)`; called on an event loop's thread
    it raises RuntimeError.

    Raises RuntimeError for a result that is returned after the job was completed, ValueError for an
    `until` without time zone, GroupCommitClosed if Postgres is unavailable, and psycopg's errors.
    If it raises or the process dies, the job that it was running may be left `running`.
    """
    if _is_on_a_loop():
        raise RuntimeError("drain blocks: await asyncio.to_thread(drain, ...) in an async test")
    if until is not None and until.utcoffset() is None:
        raise ValueError("until needs a time zone")
    given = actors.values() if isinstance(actors, Actors) else actors
    database_url = where if isinstance(where, str) else _address(where)
    with (
        closing(connect(database_url)) as connection,
        InlineWorker.open(given, database_url) as worker,
    ):
        ran = _run_all(connection, worker, until)
    return _records(database_url, ran)


def _is_on_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _run_all(
    connection: psycopg.Connection[Any], worker: InlineWorker, until: datetime | None
) -> list[UUID]:
    """Run what is due; returns the jobs' ids, each once."""
    rows = connection.cursor(row_factory=dict_row)
    wanted = {"kinds": [*worker.actors], "until": until}
    ran: dict[UUID, None] = {}
    while event := _next(rows, wanted):
        if event["ahead"]:
            rows.execute(MAKE_DUE, event)
            rows.execute(MOVE_CLOCKS, event)
        rows.execute(TAKE_EVENT, event)
        rows.execute(ADMIT_ALONE, event)
        worker.run(Dispatch(event["id"], event["dispatch"], event["kind"], event["queue"]))
        if event["ahead"]:
            rows.execute(PUT_OFF_AHEAD, event)
        ran[UUID(event["id"])] = None
    return [*ran]


def _next(rows: psycopg.Cursor[dict[str, Any]], wanted: dict[str, Any]) -> dict[str, Any] | None:
    """The next event, once jobs have expired and batches are counted as by a relay."""
    rows.execute(transitions.EXPIRE, {"only": None})
    while changed := rows.execute(transitions.CHANGED_BATCHES, {"after": NIL}).fetchall():
        ids = [each["batch_id"] for each in changed]
        with rows.connection.transaction():
            rows.execute(transitions.LOCK_BATCHES, {"ids": ids})
            rows.execute(transitions.FOLD, fold_parameters(ids))
        rows.execute(transitions.CANCEL_MEMBERS)
    return rows.execute(NEXT, wanted).fetchone()


def _records(database_url: str, ids: Iterable[UUID]) -> list[JobRecord]:
    engine = create_engine(sqlalchemy_url(database_url), poolclass=NullPool)
    with Session(engine) as session:
        found = [jobs.get(session, id_) for id_ in ids]
    return [record for record in found if record]


def _address(engine: Engine | AsyncEngine) -> str:
    """The address of the engine's database; of a driver's own parameters only psycopg's stay."""
    url = engine.url.set(drivername="postgresql")
    if not engine.dialect.driver.startswith("psycopg"):
        url = url.set(query={})
    return url.render_as_string(hide_password=False)
