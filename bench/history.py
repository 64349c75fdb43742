"""History: jobs a second beside many that have finished, and while a day of them is deleted."""

import asyncio
import itertools
import multiprocessing
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import psycopg
from uuid_utils.compat import uuid7

from bench.backlogs import JOB, UUID7
from bench.comparison import Comparison, in_turns
from bench.contestants import DULY
from bench.crew import fresh_database
from bench.setting import Bench
from outbox.maintenance.pruning.pruner import Pruner
from outbox.postgres.session_settings import TRANSITION_SETTINGS, connect
from outbox.store import transitions
from outbox.submission.pending import submissions
from outbox.submission.rows import Row

GROUP = 100
"""Jobs with each statement and commit, as `submit_all` and the group commit write them."""
DAYS = 180
SLICES = 3
"""Of a round, so that what else the machine does hits both of a pair alike."""
QUIET_SECONDS = 2
"""About as long as it takes to delete a day."""
FINISHED = f"""
INSERT INTO duly.jobs (id, kind, queue, priority, payload, state, attempt, attempt_limit,
                       attempt_budget, worker, result, subject, created_at, run_at, started_at,
                       finished_at)
SELECT {UUID7},
       'bench.nothing', 'bench.duly', 1, jsonb_build_object('number', number), 'succeeded', 1, 8,
       8, 'bench', 'null', 'invoice:' || number, made, made, made, made
FROM generate_series(1, %(count)s) AS number
CROSS JOIN LATERAL (
    SELECT now() - %(days)s * interval '1 day' * (1 - number::float8 / %(count)s) AS made
) AS moment
"""


def run(bench: Bench) -> list[Comparison]:
    """The same steps on a table that holds no finished jobs, and on one that holds many."""
    jobs = bench.size(10_000)
    with _table(bench, 0) as bare, _table(bench, bench.size(2_000_000)) as full:
        measured: Mapping[str, Callable[[], float]] = {
            "submit": partial(_submit_rate, full, jobs),
            "submit, no history": partial(_submit_rate, bare, jobs),
            "claim": partial(_claim_rate, full, jobs),
            "claim, no history": partial(_claim_rate, bare, jobs),
        }
        rates = in_turns(measured, bench.rounds * SLICES, bench.say)
        days = itertools.count(1)
        loads: Mapping[str, Callable[[], float]] = {
            "while pruning": lambda: _pruning_rate(full, DAYS - next(days)),
            "quiet": partial(_quiet_rate, full),
        }
        rates |= in_turns(loads, bench.rounds * SLICES, bench.say)
    return [
        _comparison("submit, history ÷ none", rates, "submit", "submit, no history"),
        _comparison("claim and complete, history ÷ none", rates, "claim", "claim, no history"),
        _comparison("jobs while a day is deleted ÷ quiet", rates, "while pruning", "quiet"),
    ]


def _comparison(what: str, rates: dict[str, list[float]], ours: str, beside: str) -> Comparison:
    return Comparison(what, rates[ours], rates[beside], "jobs/s", 0.9)


@contextmanager
def _table(bench: Bench, finished: int) -> Iterator[str]:
    """A database with so many finished jobs, as many of each day, and statistics of them."""
    with fresh_database(bench.database_url) as url:
        DULY.create_tables(url)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(FINISHED, {"count": finished, "days": DAYS})
            connection.execute("VACUUM ANALYZE duly.jobs")
            connection.execute("CHECKPOINT")
        yield url


def _submit_rate(url: str, count: int) -> float:
    with _submitter(url) as submitter:
        began = time.monotonic()
        for _ in range(0, count, GROUP):
            _submit(submitter)
        return count / (time.monotonic() - began)


def _claim_rate(url: str, count: int) -> float:
    with _submitter(url) as submitter, _group_commit(url) as group_commit:
        groups = [_submit(submitter) for _ in range(0, count, GROUP)]
        began = time.monotonic()
        for ids in groups:
            _claim_and_complete(group_commit, ids)
        return count / (time.monotonic() - began)


def _quiet_rate(url: str) -> float:
    end = time.monotonic() + QUIET_SECONDS
    return _whole_lives(url, lambda: time.monotonic() < end)


def _pruning_rate(url: str, keep_days: int) -> float:
    """While the pruner deletes the oldest day that there still is."""
    pruning = multiprocessing.get_context("fork").Process(target=_prune, args=[url, keep_days])
    pruning.start()
    rate = _whole_lives(url, pruning.is_alive)
    if pruning.exitcode != 0:
        raise RuntimeError("the pruner failed")
    return rate


def _prune(url: str, keep_days: int) -> None:
    async def walk() -> None:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            await Pruner(url, timedelta(days=keep_days)).walk(connection)

    asyncio.run(walk())


def _whole_lives(url: str, goes_on: Callable[[], bool]) -> float:
    """Jobs a second from their submission to their success, for as long as it goes on."""
    done = 0
    began = time.monotonic()
    with _submitter(url) as submitter, _group_commit(url) as group_commit:
        while goes_on():
            _claim_and_complete(group_commit, _submit(submitter))
            done += GROUP
    return done / (time.monotonic() - began)


def _submitter(url: str) -> "psycopg.Connection[Any]":
    """As an application connects."""
    return psycopg.connect(url, autocommit=True)


def _group_commit(url: str) -> "psycopg.Connection[Any]":
    """As the group commit connects."""
    return connect(url, TRANSITION_SETTINGS)


def _submit(connection: "psycopg.Connection[Any]") -> list[UUID]:
    """What `submit_all` does, and the relay once the broker has confirmed."""
    ids = [uuid7() for _ in range(GROUP)]
    jobs: list[Row] = [JOB | {"id": str(id_), "subject": f"invoice:{id_}"} for id_ in ids]
    for each in submissions(jobs):
        connection.execute(each.transition, each.parameters)
    connection.execute(transitions.DELETE_EVENTS, {"job_id": ids, "dispatch": [1] * GROUP})
    return ids


def _claim_and_complete(connection: "psycopg.Connection[Any]", ids: list[UUID]) -> None:
    """What the group commit does, with a commit for either step."""
    which: dict[str, Any] = {"id": ids, "dispatch": [1] * GROUP, "worker": "bench"}
    connection.execute(transitions.CLAIM, which | {"kind": ["bench.nothing"] * GROUP})
    done = {"attempt": [1] * GROUP, "result": ["null"] * GROUP}
    connection.execute(transitions.SUCCEED, which | done)
