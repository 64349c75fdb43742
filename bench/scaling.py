"""Drains jobs with workers that an autoscaler starts and stops, beside workers that all stay."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import psycopg
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from bench.autoscaler import Autoscaler
from bench.backlogs import fill
from bench.comparison import Comparison, in_turns
from bench.contestants import DULY, DULY_RELAY, DULY_WORKER
from bench.crew import Crew, crew
from bench.setting import Bench
from outbox import Kinds
from outbox.operations import status
from outbox.postgres.address import sqlalchemy_url

JOBS = 100_000
MOST_WORKERS = 4
WAVES = 2
"""The jobs come in so many parts, each once the one before is done: workers go and come again."""
POLL_SECONDS = 1.0
PATIENCE_SECONDS = 1800
GRACE_SECONDS = 1
"""For how long a worker that is stopped waits for its jobs: less than the longest take."""
SILENCE = timedelta(seconds=30)
LEFT = "SELECT count(*) FROM duly.jobs WHERE state IN ('queued', 'running')"
SPENT = """
SELECT (SELECT count(*) FROM duly.jobs WHERE attempt <> 1 OR state <> 'succeeded')
       + (SELECT count(*) FROM duly.attempts)
"""
HANDED_BACK = "SELECT count(*) FROM duly.jobs WHERE dispatch > 1"


@dataclass(frozen=True)
class Drain:
    """What it took."""

    seconds: float
    worker_seconds: float
    started: int
    stopped: int
    handed_back: int

    def __str__(self) -> str:
        """In one line."""
        return (
            f"{self.seconds:.0f} s, {self.worker_seconds:.0f} worker seconds, "
            f"{self.started} workers started, {self.stopped} stopped meanwhile, "
            f"{self.handed_back} running jobs handed back, no attempt spent"
        )


def run(bench: Bench) -> list[Comparison]:
    """The time to the last job, and the time that workers were there for it."""
    measured: dict[str, Callable[[], Drain]] = {
        "scaled": partial(_drain, bench, is_scaled=True),
        "fixed": partial(_drain, bench, is_scaled=False),
    }
    found = in_turns(measured, bench.rounds, bench.say, str)
    return [
        Comparison(
            f"{what}, scaled ÷ {MOST_WORKERS} workers",
            [getattr(each, name) for each in found["scaled"]],
            [getattr(each, name) for each in found["fixed"]],
            "s",
            reach=None,
            less_is_better=True,
        )
        for what, name in (("time to drain", "seconds"), ("worker seconds", "worker_seconds"))
    ]


def _drain(bench: Bench, *, is_scaled: bool) -> Drain:
    """Run all jobs. Raises RuntimeError if one was lost, ran twice in vain or spent an attempt."""
    environment = {"BENCH_ACTOR": "pause", "BENCH_GRACE": str(GRACE_SECONDS)}
    with crew(bench.database_url, bench.amqp_url, "scaling", DULY.queues, **environment) as own:
        DULY.create_tables(own.database_url)
        own.start(*DULY_RELAY)
        scaler = Autoscaler(lambda: own.start(*DULY_WORKER), MOST_WORKERS)
        began = time.monotonic()
        for wave in range(WAVES):
            size = bench.size(JOBS) // WAVES
            fill(own.database_url, size, first=1 + wave * size)
            _work_off(own, scaler, is_scaled=is_scaled)
        seconds, stopped = time.monotonic() - began, scaler.stopped
        if any(codes := scaler.end()):
            raise RuntimeError(f"workers ended with {codes}; see .bench/scaling.log")
        if spent := _ask(own, SPENT):
            raise RuntimeError(f"{spent} jobs did not succeed at their first attempt")
        handed_back = _ask(own, HANDED_BACK)
        return Drain(seconds, scaler.worker_seconds, scaler.started, stopped, handed_back)


def _work_off(own: Crew, scaler: Autoscaler, *, is_scaled: bool) -> None:
    """Until no job is left. Raises TimeoutError."""
    engine = create_engine(sqlalchemy_url(own.database_url))
    end = time.monotonic() + PATIENCE_SECONDS
    while _ask(own, LEFT):
        if time.monotonic() > end:
            raise TimeoutError("not all jobs were worked off; see .bench/scaling.log")
        with Session(engine) as session:
            queues = status.queues(session, Kinds(), SILENCE)
        work = sum(queue.work for queue in queues)
        scaler.step(work if is_scaled else JOBS)
        time.sleep(POLL_SECONDS)
    engine.dispose()


def _ask(own: Crew, query: str) -> int:
    with psycopg.connect(own.database_url, autocommit=True) as connection:
        row = connection.execute(query).fetchone()
    assert row
    return int(row[0])
