"""A cancel reaches the actor that runs, and leaves no half of an effect."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from structlog.testing import capture_logs

from outbox import Actor, Job, JobCancelled
from outbox.events import Cancelled, on
from outbox.store import transitions
from outbox.worker import job_watch
from outbox.worker.records.group_commit import GroupCommit
from outbox.worker.records.statements import RUNNING
from tests.support.engine.by_hand import WAITING, ByHand
from tests.support.engine.effects import Effects
from tests.support.engine.line import Line, Note, do_nothing, note_kind
from tests.support.wait import wait_for

Start = Callable[[Callable[[Note, Job], Any]], Any]
"""Submits a job for the actor; returns its id once the actor runs."""


@pytest.fixture
def began() -> threading.Event:
    """Set by an actor once it runs."""
    return threading.Event()


@pytest.fixture
def start(line: Line, queue: str, began: threading.Event) -> Start:
    """Starts the line and one job."""

    def start(do: Callable[[Note, Job], Any]) -> Any:
        kind = note_kind(queue)
        line.start_relay(queue)
        line.start_worker(Actor(kind, do))
        job = line.submit(kind())
        wait_for("the actor", began.is_set)
        return job

    return start


@pytest.fixture
def told() -> Iterator[list[Cancelled]]:
    """The events of cancels."""
    told: list[Cancelled] = []
    end = on(Cancelled, told.append)
    yield told
    end()


def test_a_thread_is_interrupted_within_a_second(
    line: Line, start: Start, began: threading.Event, told: list[Cancelled]
) -> None:
    heard: list[float] = []

    def do(_note: Note, job: Job) -> None:
        began.set()
        try:
            while True:
                time.sleep(0.01)
        except JobCancelled:
            heard.append(time.monotonic())
            assert job.cancelled
            raise

    job = start(do)
    asked = time.monotonic()
    assert line.cancel(job) == "running"
    ended = line.wait_for(job, "cancelled")
    assert heard[0] - asked < 1
    assert line.attempts(job) == []
    assert line.letters() == []
    assert ended.finished_at
    wait_for("the news", lambda: told)  # told after the commit
    assert [(each.job_id, each.kind, each.by) for each in told] == [(job, "test.note", None)]


def test_a_task_gets_its_cancelled_error_within_a_second(
    line: Line, start: Start, began: threading.Event, told: list[Cancelled]
) -> None:
    heard: list[float] = []

    async def do(_note: Note, _job: Job) -> None:
        began.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            heard.append(time.monotonic())
            raise

    job = start(do)
    asked = time.monotonic()
    assert line.cancel(job) == "running"
    line.wait_for(job, "cancelled")
    assert heard[0] - asked < 1
    wait_for("the news", lambda: told)
    assert [each.job_id for each in told] == [job]
    assert line.attempts(job) == []


def test_an_interrupted_transaction_leaves_no_effect(
    line: Line, start: Start, began: threading.Event, effects: Effects
) -> None:
    def do(_note: Note, job: Job) -> None:
        with job.transaction() as tx:
            effects.add(tx, job.id)
            began.set()
            while True:
                time.sleep(0.01)

    job = start(do)
    line.cancel(job)
    line.wait_for(job, "cancelled")
    assert effects.all() == []


def test_an_actor_that_returns_all_the_same_has_succeeded(
    line: Line, start: Start, began: threading.Event
) -> None:
    def do(_note: Note, _job: Job) -> str:
        began.set()
        with suppress(JobCancelled):
            while True:
                time.sleep(0.01)
        return "done"

    job = start(do)
    line.cancel(job)
    assert line.wait_for(job, "succeeded").result == "done"


HELD_COMMIT = """
CREATE OR REPLACE FUNCTION pg_temp.hold() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_advisory_xact_lock(43); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER hold AFTER INSERT ON effects DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION pg_temp.hold()
"""


def thread_commits(jobs: list[Job]) -> Callable[[Note, Job], Any]:
    """Completes the job in a transaction."""

    def do(_note: Note, job: Job) -> None:
        jobs.append(job)
        with job.transaction() as tx:
            Effects.add(tx, job.id)

    return do


def task_commits(jobs: list[Job]) -> Callable[[Note, Job], Any]:
    """The same."""

    async def do(_note: Note, job: Job) -> None:
        jobs.append(job)
        async with job.transaction() as tx:
            await tx.run_sync(Effects.add, job.id)

    return do


@pytest.mark.parametrize("actor", [thread_commits, task_commits])
def test_a_commit_is_not_interrupted(
    line: Line,
    queue: str,
    by_hand: ByHand,
    effects: Effects,
    actor: Callable[[list[Job]], Callable[[Note, Job], Any]],
) -> None:
    by_hand.connection.execute(HELD_COMMIT)
    by_hand.take("SELECT pg_advisory_lock(43)")
    running: list[Job] = []
    kind = note_kind(queue)
    with capture_logs() as logs:
        line.start_relay(queue)
        line.start_worker(Actor(kind, actor(running)))
        job = line.submit(kind())
        wait_for("its commit", lambda: by_hand.take(WAITING))
        running[0].cancellation.ask()  # as the worker does that heard of it before, and was slow
        by_hand.take("SELECT pg_advisory_unlock(43)")
        line.wait_for(job, "succeeded")
        line.stop()
    by_hand.connection.execute("DROP TRIGGER hold ON effects")
    assert effects.of(job) == ["done"]
    of_the_worker = [each for each in logs if "duty" not in each]
    assert [each for each in of_the_worker if each["log_level"] in ("warning", "error")] == []


def test_an_actor_may_stop_itself_once_it_was_asked(
    line: Line, start: Start, began: threading.Event
) -> None:
    def do(_note: Note, job: Job) -> None:
        began.set()
        with job.shield():
            wait_for("the cancel", lambda: job.cancelled)
            job.cancellation.end()
            raise JobCancelled

    job = start(do)
    line.cancel(job)
    line.wait_for(job, "cancelled")
    assert line.attempts(job) == []


def test_one_that_stops_itself_unasked_has_failed(line: Line, queue: str) -> None:
    def do(_note: Note, _job: Job) -> None:
        raise JobCancelled

    kind = note_kind(queue)
    line.start_relay(queue)
    line.start_worker(Actor(kind, do))
    job = line.submit(kind())
    line.wait_for(job, "dead")
    assert [each.error_type for each in line.attempts(job)] == ["JobCancelled"]


def test_one_that_fails_after_it_was_asked_is_cancelled_with_its_error(
    line: Line, start: Start, began: threading.Event
) -> None:
    def do(_note: Note, job: Job) -> None:
        began.set()
        with job.shield():
            wait_for("the cancel", lambda: job.cancelled)
            job.cancellation.end()
            raise ValueError("no")

    job = start(do)
    line.cancel(job)
    line.wait_for(job, "cancelled")
    assert [each.error_message for each in line.attempts(job)] == ["no"]
    assert line.letters() == []


def test_a_cancel_of_what_has_just_ended_says_so(line: Line, queue: str) -> None:
    kind = note_kind(queue)
    line.start_relay(queue)
    line.start_worker(Actor(kind, do_nothing))
    job = line.submit(kind())
    line.wait_for(job, "succeeded")
    assert line.cancel(job) is None
    assert line.job(job).state == "succeeded"


def test_a_worker_asks_only_while_a_job_runs_and_a_job_costs_two_statements(
    line: Line, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    posted: list[str] = []
    post = GroupCommit.post

    def note(group_commit: GroupCommit, statement: str, *rest: Any) -> None:
        posted.append(statement)
        post(group_commit, statement, *rest)

    monkeypatch.setattr(job_watch, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(GroupCommit, "post", note)
    kind = note_kind(queue)
    line.start_relay(queue)
    line.start_worker(Actor(kind, do_nothing))
    wait_for("comparisons", lambda: posted.count(RUNNING) > 2)
    assert {*posted} == {RUNNING}
    line.wait_for(line.submit(kind()), "succeeded")
    of_the_job = [each for each in posted if each not in (RUNNING, transitions.JOBS_TO_CANCEL)]
    assert of_the_job == [transitions.CLAIM, transitions.SUCCEED]
