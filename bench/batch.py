"""A batch of 10,000 beside as many jobs without one: what a member costs, and when it settles."""

import time
from dataclasses import dataclass
from functools import partial
from typing import Any

import psycopg
from pydantic import BaseModel
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from bench.comparison import Comparison, in_turns
from bench.contestants import DULY
from bench.crew import Crew, crew, wait_for
from bench.setting import Bench
from dev.wait import wait_until
from outbox import Kind, batch, submit, submit_all
from outbox.postgres.address import sqlalchemy_url

MEMBERS = 10_000
UNDONE = "SELECT count(*) FROM duly.jobs WHERE state <> 'succeeded'"
TOOK = """
SELECT extract(epoch FROM max(finished_at) - min(started_at))::float8 FROM duly.jobs
WHERE subject = 'bench'
"""
SETTLED_AFTER = """
SELECT extract(epoch FROM max(settled_at) - (SELECT max(finished_at) FROM duly.jobs
                                             WHERE subject = 'bench'))::float8
FROM duly.batches
"""
WRITES = """
SELECT sum(n_tup_ins + n_tup_upd + n_tup_del)::float8 FROM pg_stat_user_tables
WHERE schemaname = 'duly' AND relname NOT IN ('workers')
"""


class Number(BaseModel):
    """The payload."""

    number: int


NOTHING = Kind("bench.nothing", Number, queue="bench.duly")


@dataclass(frozen=True)
class Run:
    """So many jobs on the whole line, with one relay and one worker process."""

    submitted: float
    """Seconds for the transaction that submits all."""
    rate: float
    """Jobs a second, from the first start to the last end on record."""
    writes: float
    """Rows inserted, updated and deleted for each job."""
    settled: float
    """Milliseconds from the end of the last member until the batch has settled."""

    def __str__(self) -> str:
        return (
            f"submitted in {self.submitted:.2f} s, {self.rate:,.0f} jobs/s, "
            f"{self.writes:.2f} row writes a job, settled after {self.settled:.0f} ms"
        )


def run(bench: Bench) -> list[Comparison]:
    """The same jobs in a batch with a callback, and without."""
    count = bench.size(MEMBERS)
    found = in_turns(
        {
            "batch": partial(_measured, bench, count, grouped=True),
            "jobs": partial(_measured, bench, count, grouped=False),
        },
        *(bench.rounds, bench.say, str),
    )
    ours, theirs = found["batch"], found["jobs"]
    return [
        Comparison(
            "members ÷ jobs", [r.rate for r in ours], [r.rate for r in theirs], "jobs/s", 0.9
        ),
        _less("submitting members ÷ jobs", ours, theirs, "submitted", "s", 1.3),
        _less("row writes ÷ a job's", ours, theirs, "writes", "rows", 1.1),
        Comparison(
            "settled after the last ÷ 1 s",
            [each.settled for each in ours],
            [1000.0] * len(ours),
            *("ms", 0.6),
            less_is_better=True,
        ),
    ]


def _less(
    what: str, ours: list[Run], theirs: list[Run], name: str, unit: str, reach: float
) -> Comparison:
    values = [getattr(each, name) for each in ours], [getattr(each, name) for each in theirs]
    return Comparison(what, *values, unit, reach, less_is_better=True)


def _measured(bench: Bench, count: int, *, grouped: bool) -> Run:
    with crew(bench.database_url, bench.amqp_url, "batch", DULY.queues) as own:
        DULY.create_tables(own.database_url)
        processes = [own.start(*command) for command in DULY.processes]
        _submit(own.database_url, 1, grouped=False)  # warms the line up: two jobs
        wait_for("batch", own.tally, 2)
        with psycopg.connect(own.database_url, autocommit=True) as database:
            submitted = _submit(own.database_url, count, grouped=grouped)
            _wait_until_done(own, database, count)
            (took,) = database.execute(TOOK).fetchone() or (0,)
            (settled,) = database.execute(SETTLED_AFTER).fetchone() or (None,)
            for process in processes:  # what they wrote is counted once their connections end
                process.terminate()
                process.wait()
            (writes,) = database.execute(WRITES).fetchone() or (0,)
    return Run(submitted, count / took, writes / count, (settled or 0) * 1000)


def _submit(database_url: str, count: int, *, grouped: bool) -> float:
    works = [NOTHING(number=number) for number in range(count)]
    engine = create_engine(sqlalchemy_url(database_url))
    subject = "bench" if count > 1 else None
    with Session(engine) as session:
        session.connection()
        began = time.monotonic()
        if grouped:
            with batch(session, on_success=NOTHING(number=count)):
                submit_all(session, works, subject=subject)
        else:
            submit_all(session, works, subject=subject)
            submit(session, NOTHING(number=count))
        session.commit()
        took = time.monotonic() - began
    engine.dispose()
    return took


def _wait_until_done(own: Crew, database: "psycopg.Connection[Any]", count: int) -> None:
    """Until all have succeeded, and what follows the batch."""
    wait_for("batch", own.tally, 2 + count + 1)

    def is_done() -> bool:
        (undone,) = database.execute(UNDONE).fetchone() or (1,)
        return undone == 0

    if not wait_until(is_done, 60):
        raise TimeoutError(f"not all of {count} jobs succeeded")
