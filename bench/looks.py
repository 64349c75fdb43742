"""What people and scrapes ask of Postgres, beside a large backlog and many finished jobs."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import partial

import psycopg
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from bench.backend_cpu import milliseconds
from bench.comparison import Comparison, in_turns
from bench.contestants import DULY
from bench.crew import fresh_database
from bench.looked_at import fill
from bench.setting import Bench
from outbox import Kinds
from outbox.http import readiness
from outbox.maintenance.sampling import totals
from outbox.maintenance.sampling.promises import PromiseMeter
from outbox.maintenance.sampling.sampler import INTERVAL_SECONDS, Sampler
from outbox.operations import jobs, overdue, status
from outbox.operations.jobs import JobFilter
from outbox.postgres.address import sqlalchemy_url

QUEUED = 1_000_000
FINISHED = 10_000_000
MOST_MILLISECONDS = 50.0
SILENCE = timedelta(seconds=30)
REPEATS = 5
"""In a round; the first one of a look may find its pages on the disk."""

Look = Callable[[Session], object]


def _list(wanted: JobFilter) -> Look:
    return lambda session: jobs.find_page(session, wanted)


LOOKS: Mapping[str, Look] = {
    "duly status": lambda session: status.read(session, Kinds(), SILENCE),
    "/v1/queues": lambda session: status.queues(session, Kinds(), SILENCE),
    "a relay's sample": lambda session: Sampler("", Kinds(), SILENCE).read(session),
    "its totals": totals.read,
    "its promises": lambda session: PromiseMeter(SILENCE, INTERVAL_SECONDS).look(session),
    "/v1/overdue-jobs": lambda session: overdue.find(session, Kinds(), silence=SILENCE),
    "/readyz": lambda session: session.execute(
        readiness.OLDEST_DUE, {"queues": [f"bench.q{n}" for n in range(8)]}
    ),
    "/v1/jobs": _list(JobFilter()),
    **{
        f"/v1/jobs?state={state}": _list(JobFilter(state=state))
        for state in ("scheduled", "queued", "running", "succeeded", "dead", "cancelled")
    },
    "state=queued&kind=none": _list(JobFilter(state="queued", kind="none")),
    "state=succeeded&queue=none": _list(JobFilter(state="succeeded", queue="none")),
    "state=dead&kind=none": _list(JobFilter(state="dead", kind="none")),
    "subject=many": _list(JobFilter(subject="customer:1")),
    "subject=many&state=running": _list(JobFilter(subject="customer:1", state="running")),
    "subject=none": _list(JobFilter(subject="none")),
}


def run(bench: Bench) -> list[Comparison]:
    """Milliseconds of a processor that the server's process took for each, beside what it may."""
    with _sessions(bench) as session:
        measured = {name: partial(milliseconds, session, look) for name, look in LOOKS.items()}
        found = in_turns(measured, bench.rounds * REPEATS, bench.say)
    return [
        Comparison(
            f"{name} ÷ {MOST_MILLISECONDS:.0f} ms",
            values,
            [MOST_MILLISECONDS] * len(values),
            "ms",
            reach=1,
            less_is_better=True,
        )
        for name, values in found.items()
    ]


@contextmanager
def _sessions(bench: Bench) -> Iterator[Session]:
    """A session on a database that holds all that."""
    queued, finished = bench.size(QUEUED), bench.size(FINISHED)
    with fresh_database(bench.database_url) as url:
        DULY.create_tables(url)
        bench.say(f"filling in {queued:,} queued and {finished:,} finished jobs")
        with psycopg.connect(url, autocommit=True) as connection:
            fill(connection, queued, finished)
        engine = create_engine(sqlalchemy_url(url), poolclass=NullPool)
        with Session(engine) as session:
            yield session
        engine.dispose()
