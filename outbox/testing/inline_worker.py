"""A worker for one job at a time, which the caller's thread waits for."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import copy_context
from datetime import timedelta
from functools import partial
from time import sleep
from typing import Any
from uuid import UUID, uuid4

import psycopg
from sqlalchemy.orm import sessionmaker

from outbox.actors import Actor
from outbox.amqp.messages import Dispatch
from outbox.job import Claim, Job
from outbox.store import transitions
from outbox.submission.pending import WAKE_UP
from outbox.submission.sessions import job_sessions
from outbox.testing.late_result import refuse_late_result
from outbox.values.result import UnstorableResult
from outbox.worker.attempts.attempt import Attempt, Pause, Row, Write, take
from outbox.worker.job_watch import JobWatch
from outbox.worker.records.claims import claim_of, rates_of
from outbox.worker.records.group_commit import GroupCommit
from outbox.worker.runners.engines import engine_for_tasks, engine_for_threads
from outbox.worker.runners.tasks import Outcome, TaskRun, outcome_of
from outbox.worker.runners.time_limit import TimeLimits

NO_PATIENCE = timedelta(0)
"""A payload that is invalid here is invalid for good: no other worker runs in a test."""


class InlineWorker:
    """Claims and runs jobs by a worker's own rules: only threads and RabbitMQ are missing."""

    def __init__(
        self, actors: Iterable[Actor[Any, Any]], database_url: str, runner: asyncio.Runner
    ) -> None:
        self.actors = {actor.kind.name: actor for actor in actors}
        self._name = f"outbox.testing-{uuid4().hex[:8]}"
        self._runner = runner
        self._limits = TimeLimits()
        self._group_commit = GroupCommit(database_url, self._name)
        self._running: list[Attempt] = []
        self._job_watch = JobWatch(self._group_commit, lambda: [*self._running])
        self._engine = engine_for_threads(database_url, 1, lambda: self._group_commit.lost_at)
        self._async_engine = engine_for_tasks(database_url, lambda: self._group_commit.lost_at)
        options: Any = {"expire_on_commit": False, "info": {WAKE_UP: _wake_nobody}}
        self._sessions = sessionmaker(self._engine, **options)
        self._async_sessions = job_sessions(self._async_engine, **options)

    @classmethod
    @contextmanager
    def open(cls, actors: Iterable[Actor[Any, Any]], database_url: str) -> Iterator["InlineWorker"]:
        """A worker that ends with the block, together with its threads and connections."""
        with asyncio.Runner() as runner, ExitStack() as last:
            worker = cls(actors, database_url, runner)
            worker._group_commit.start()
            worker._limits.start()
            worker._job_watch.start()
            last.callback(worker._group_commit.close)
            last.callback(worker._job_watch.close)
            last.callback(worker._limits.close)
            last.callback(worker._engine.dispose)
            last.callback(lambda: runner.run(worker._async_engine.dispose()))
            worker._group_commit.stop_waiting()  # an unavailable Postgres fails the test
            yield worker

    def run(self, dispatch: Dispatch) -> None:
        """Claim the job, run its actor and record the outcome. Does nothing if it is not queued."""
        id_, number, kind, _ = dispatch
        actor = self.actors[kind]
        row = {"id": id_, "dispatch": number, "kind": kind, **rates_of(actor.kind)}
        claim = self._group_commit.write(claim_of(actor.kind), row)
        if claim is not None:
            self._run(self._attempt(dispatch, actor, claim))

    def _run(self, attempt: Attempt) -> None:
        attempt.events.claimed()
        self._running = [attempt]
        with attempt.events.told():
            self._run_and_record(attempt)

    def _run_and_record(self, attempt: Attempt) -> None:
        try:
            returned = self._call(attempt)
            row = attempt.succeeded(returned)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - an attempt can end in SystemExit, too
            take(attempt.failed(error), self._answer)
        else:
            refuse_late_result(attempt.job, returned)
            self._succeed(attempt, row)

    def _succeed(self, attempt: Attempt, row: Row | None) -> None:
        if row is None:
            return
        if report := attempt.job.reports.take_last():
            self._group_commit.ask(transitions.SAVE_PROGRESS, attempt.progress_row(report))
        answer = self._group_commit.ask(attempt.job.success, row)
        if isinstance(answer, psycopg.Error):
            take(attempt.failed(UnstorableResult(str(answer))), self._answer)
        elif isinstance(answer, Exception):
            raise answer
        else:
            attempt.answered(is_ours=answer is not None)

    def _call(self, attempt: Attempt) -> Any:
        """Call the actor within its time limit."""
        if attempt.actor.is_async:
            returned, error = self._runner.run(_await(attempt), context=copy_context())
            if error is not None:
                raise error
            return returned
        with self._limits.limit(attempt.kind.time_limit) as watch:
            attempt.job.cancellation.run_by(partial(self._limits.cancel, watch))
            attempt.events.started()
            return attempt.actor(attempt.payload(), attempt.job)

    def _answer(self, step: Write | Pause) -> Any:
        if isinstance(step, Write):
            return self._group_commit.ask(step.statement, step.row)
        return sleep(step.seconds)

    def _attempt(self, dispatch: Dispatch, actor: Actor[Any, Any], claim: Claim) -> Attempt:
        id_, number, kind, queue = dispatch
        job = Job.claimed(UUID(id_), number, kind, claim, self._name)
        if actor.is_async:
            job.open_async_session = self._async_sessions
        else:
            job.open_session = self._sessions
        return Attempt(
            actor, job, queue, claim, self._group_commit, NO_PATIENCE, uniform=_whole_backoff
        )


async def _await(attempt: Attempt) -> Outcome:
    """The actor's outcome within its time limit, without asyncio's frames in its error."""
    loop, limit = asyncio.get_running_loop(), attempt.kind.time_limit
    run = TaskRun(loop, partial(outcome_of, attempt), attempt.job, limit)
    try:
        return await run.result(), None
    except BaseException as error:  # noqa: BLE001 - the caller raises it
        return None, error


def _whole_backoff(_: float, bound: float) -> float:
    """No jitter: whether a retry is due already must not be a matter of luck."""
    return bound


def _wake_nobody(_: str) -> None:
    """No relay runs in a test."""
