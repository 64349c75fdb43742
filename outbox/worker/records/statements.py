"""The statements of a worker's group commit."""

from collections.abc import Collection, Mapping

from outbox.listeners.measures import Sort
from outbox.postgres.replication import WRITE_WAL
from outbox.postgres.round_trip import PreparedStatement
from outbox.store import transitions
from outbox.worker.records.claims import ASYNC_CLAIMS

PROBE = "UPDATE duly.jobs SET id = id WHERE false RETURNING 1 AS n"
"""Writes nothing, but fails where Postgres takes no writes."""
RUNNING = """
SELECT 1 AS n, coalesce(jsonb_agg(jsonb_build_array(id, dispatch, attempt)), '[]') AS running
FROM duly.jobs WHERE state = 'running' AND worker = %(worker)s
"""
"""The jobs that this worker runs according to Postgres: job, dispatch and attempt of each."""
STATEMENTS = {
    statement: PreparedStatement(name, statement)
    for name, statement in {
        "claim": transitions.CLAIM,
        "claim_limited": transitions.CLAIM_LIMITED,
        "claim_unique": transitions.CLAIM_UNIQUE,
        "claim_unique_limited": transitions.CLAIM_UNIQUE_LIMITED,
        "claim_rated": transitions.CLAIM_RATED,
        "claim_unique_rated": transitions.CLAIM_UNIQUE_RATED,
        "claim_async_commit": ASYNC_CLAIMS[transitions.CLAIM],
        "claim_unique_async_commit": ASYNC_CLAIMS[transitions.CLAIM_UNIQUE],
        "succeed": transitions.SUCCEED,
        "succeed_member": transitions.SUCCEED_MEMBER,
        "snooze": transitions.SNOOZE,
        "rate_limited": transitions.RATE_LIMITED,
        "retry": transitions.RETRY,
        "die": transitions.DIE,
        "count_uncertain": transitions.COUNT_UNCERTAIN,
        "put_off": transitions.POSTPONE,
        "bury": transitions.DIE_UNCLAIMED,
        "keep_foreign": transitions.KEEP_FOREIGN,
        "save_progress": transitions.SAVE_PROGRESS,
        "jobs_to_cancel": transitions.JOBS_TO_CANCEL,
        "stop": transitions.STOP,
        "probe": PROBE,
        "running": RUNNING,
        "write_wal": WRITE_WAL,
    }.items()
}
"""Every statement that it can send."""
_CLAIMS = frozenset(
    {
        *(transitions.CLAIM, transitions.CLAIM_LIMITED, transitions.CLAIM_RATED),
        *(transitions.CLAIM_UNIQUE, transitions.CLAIM_UNIQUE_LIMITED),
        *(transitions.CLAIM_UNIQUE_RATED, *ASYNC_CLAIMS.values()),
    }
)
_OUTCOMES = frozenset(
    {
        *(transitions.SUCCEED, transitions.SUCCEED_MEMBER, transitions.RETRY, transitions.DIE),
        *(transitions.SNOOZE, transitions.RATE_LIMITED, transitions.STOP, transitions.POSTPONE),
    }
)
SORTS: Mapping[Sort, Collection[str]] = {"claim": _CLAIMS, "outcome": _OUTCOMES}
"""Those that start an attempt, and those that record how one ended."""
