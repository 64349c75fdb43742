"""`async def` actors: tasks of one event loop, under the rules of threads."""

import asyncio
import threading
from contextlib import suppress
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from structlog.testing import capture_logs

from outbox import Actor, Job, Retry, Snooze, Uncertain, submit_all
from outbox.release import release
from outbox.worker.runners import loop_watch
from outbox.worker.worker import Worker
from tests.support.engine.by_hand import ByHand
from tests.support.engine.effects import Effects
from tests.support.engine.line import Line, Note, do_nothing, note_kind
from tests.support.wait import wait_for

SHORT = timedelta(milliseconds=50)
ONCE = Retry(attempts=1)


async def add(tx: AsyncSession, job: Job, what: str = "done") -> None:
    """Have an effect, in the transaction."""
    effect = text("INSERT INTO effects VALUES (:job, :what)")
    await tx.execute(effect, {"job": job.id, "what": what})


def stuck_jobs(worker: Worker) -> list[UUID]:
    """The jobs for which the worker would have to be replaced."""
    return [each.attempt.job.id for each in worker.stuck(timedelta())]


def test_an_effect_its_completion_its_result_and_what_follows_are_one_commit(
    line: Line, by_hand: ByHand, effects: Effects, queue: str
) -> None:
    kind, second = note_kind(queue), note_kind(queue, "test.second")

    async def do(note: Note, job: Job) -> None:
        async with job.transaction() as tx:
            await add(tx, job, note.text)
            await tx.run_sync(submit_all, [second()])
            job.result = {"said": note.text}

    line.start_relay(queue)
    line.start_worker(Actor(kind, do), Actor(second, do_nothing))
    job = line.wait_for(line.submit(kind(text="hello"), subject="greeting"), "succeeded")
    assert (job.result, effects.of(job.id)) == ({"said": "hello"}, ["hello"])
    (child,) = by_hand.take("SELECT id, subject FROM duly.jobs WHERE parent_id = %(id)s", id=job.id)
    assert child["subject"] == "greeting"
    line.wait_for(child["id"], "succeeded")


def test_more_of_them_run_at_once_than_there_are_threads(
    line: Line, by_hand: ByHand, queue: str
) -> None:
    running: set[str] = set()
    all_run = asyncio.Event()

    async def do(note: Note, _job: Job) -> str:
        running.add(note.text)
        if len(running) == 40:
            all_run.set()
        await all_run.wait()
        return note.text

    kind = note_kind(queue)
    line.start_relay(queue)
    line.start_worker(Actor(kind, do), threads=1, tasks=40)
    jobs = [line.submit(kind(text=str(number))) for number in range(40)]
    assert {line.wait_for(job, "succeeded").result for job in jobs} == running
    (shown,) = by_hand.take("SELECT threads, tasks, code FROM duly.workers")
    code = {"release": release(), "kinds": [kind.name]}
    assert shown == {"threads": 1, "tasks": 40, "code": code}


def test_a_queue_may_have_actors_of_both_sorts(line: Line, queue: str) -> None:
    """Whoever fills all threads holds up no task."""
    slow, quick, go_on = note_kind(queue), note_kind(queue, "test.quick"), threading.Event()

    async def do(_note: Note, _job: Job) -> str:
        return threading.current_thread().name

    line.start_relay(queue)
    held = Actor(slow, lambda _note, _job: go_on.wait(20))
    line.start_worker(held, Actor(quick, do), threads=1)
    blocked = [line.submit(slow()) for _ in range(3)]
    assert line.wait_for(line.submit(quick()), "succeeded").result == "event loop"
    assert line.job(blocked[2]).state == "queued"
    go_on.set()
    line.wait_for(blocked[2], "succeeded")


def test_failures_are_recorded_and_retried_until_the_job_is_dead(line: Line, queue: str) -> None:
    async def do(_note: Note, job: Job) -> None:
        await asyncio.sleep(0)
        raise ValueError(f"attempt {job.attempt}")

    kind = note_kind(queue)
    line.start_relay(queue)
    line.start_worker(Actor(kind, do))
    job = line.wait_for(line.submit(kind()), "dead")
    assert line.letters()[0].reason == "exhausted"
    attempts = line.attempts(job.id)
    assert [each.error_message for each in attempts] == [f"attempt {n}" for n in (1, 2, 3)]
    for each in attempts:
        assert each.traceback
        assert 'raise ValueError(f"attempt' in each.traceback
        assert "outbox/worker" not in each.traceback


def test_a_snooze_costs_no_attempt(line: Line, queue: str) -> None:
    async def do(_note: Note, job: Job) -> int:
        if job.dispatch < 3:
            raise Snooze(timedelta())
        return job.attempt

    kind = note_kind(queue, retry=ONCE)
    line.start_relay(queue)
    line.start_worker(Actor(kind, do))
    job = line.wait_for(line.submit(kind()), "succeeded")
    assert (job.dispatch, job.attempt, job.result) == (3, 1, 1)


def test_an_uncertain_outcome_is_repeated_as_often_as_the_kind_says(line: Line, queue: str) -> None:
    async def do(_note: Note, _job: Job) -> None:
        raise Uncertain("the answer is lost")

    kind = note_kind(queue, retry=Retry(attempts=9, first=timedelta(), uncertain=1))
    line.start_relay(queue)
    line.start_worker(Actor(kind, do))
    job = line.wait_for(line.submit(kind()), "dead")
    assert [each.outcome for each in line.attempts(job.id)] == ["uncertain"] * 2
    assert line.letters()[0].reason == "uncertain"


def test_an_attempt_past_its_time_limit_is_cancelled_and_retried(line: Line, queue: str) -> None:
    ended: list[int] = []

    async def do(_note: Note, job: Job) -> str:
        try:
            await asyncio.sleep(3600 if job.attempt == 1 else 0)
        finally:
            ended.append(job.attempt)
        return "in time"

    kind = note_kind(queue, time_limit=SHORT)
    line.start_relay(queue)
    line.start_worker(Actor(kind, do))
    job = line.wait_for(line.submit(kind()), "succeeded")
    (attempt,) = line.attempts(job.id)
    assert (attempt.outcome, attempt.error_type) == ("timed_out", "TimeLimitExceeded")
    assert "asyncio.sleep(3600" in (attempt.traceback or "")
    assert ended == [1, 2]


def test_the_time_limit_counts_from_the_start_of_an_actor_that_blocks_first(
    line: Line, effects: Effects, queue: str
) -> None:
    async def do(_note: Note, job: Job) -> None:
        threading.Event().wait(0.2)
        async with job.transaction() as tx:
            await add(tx, job)

    kind = note_kind(queue, time_limit=SHORT, retry=ONCE)
    line.start_relay(queue)
    line.start_worker(Actor(kind, do))
    job = line.wait_for(line.submit(kind()), "dead")
    assert [each.outcome for each in line.attempts(job.id)] == ["timed_out"]
    assert effects.all() == []


def test_an_actor_that_cancels_itself_has_failed(line: Line, queue: str) -> None:
    async def do(_note: Note, job: Job) -> str:
        if job.attempt == 1:
            raise asyncio.CancelledError
        return "well"

    kind = note_kind(queue)
    line.start_relay(queue)
    worker = line.start_worker(Actor(kind, do))
    job = line.wait_for(line.submit(kind()), "succeeded")
    assert [each.error_type for each in line.attempts(job.id)] == ["RuntimeError"]
    assert worker.is_whole


def test_an_exit_of_the_process_is_recorded_and_ends_no_loop(line: Line, queue: str) -> None:
    async def do(_note: Note, _job: Job) -> None:
        raise SystemExit(1)

    kind = note_kind(queue, retry=ONCE)
    line.start_relay(queue)
    worker = line.start_worker(Actor(kind, do))
    line.wait_for(line.submit(kind()), "dead")
    assert line.letters()[0].error_type == "SystemExit"
    assert worker.is_whole


def test_one_whose_job_another_worker_has_is_interrupted(
    line: Line, by_hand: ByHand, queue: str
) -> None:
    began, ended = threading.Event(), threading.Event()

    async def do(_note: Note, _job: Job) -> None:
        began.set()
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()

    kind = note_kind(queue)
    line.start_relay(queue)
    line.start_worker(Actor(kind, do))
    job = line.submit(kind())
    assert began.wait(20)
    by_hand.beat("another")
    by_hand.take("UPDATE duly.jobs SET worker = 'another' WHERE id = %(job)s", job=job)
    assert ended.wait(20)
    assert (line.job(job).state, line.attempts(job)) == ("running", [])


def test_one_that_swallows_its_cancellation_is_stuck(line: Line, queue: str) -> None:
    go_on = asyncio.Event()

    async def do(_note: Note, _job: Job) -> str:
        while not go_on.is_set():
            with suppress(asyncio.CancelledError):
                await go_on.wait()
        return "at last"

    kind = note_kind(queue, time_limit=SHORT)
    line.start_relay(queue)
    worker = line.start_worker(Actor(kind, do))
    job = line.submit(kind())
    (stuck,) = wait_for("a stuck attempt", lambda: worker.stuck(timedelta(seconds=0.2)))
    assert stuck.run
    assert "go_on.wait" in stuck.run.where()
    worker._tasks._loop.call_soon_threadsafe(go_on.set)
    assert line.wait_for(job, "succeeded").result == "at last"


@pytest.mark.parametrize("in_own_task", [False, True])
def test_one_that_blocks_the_loop_is_logged_and_stuck_and_not_those_that_it_holds_up(
    line: Line, queue: str, monkeypatch: pytest.MonkeyPatch, *, in_own_task: bool
) -> None:
    monkeypatch.setattr(loop_watch, "BLOCKED_SECONDS", 0.1)
    began, go_on = threading.Event(), threading.Event()

    async def wait(_note: Note, _job: Job) -> None:
        began.set()
        await asyncio.sleep(30)

    async def wait_blocking() -> None:
        go_on.wait(20)

    async def block(_note: Note, _job: Job) -> None:
        await (asyncio.create_task(wait_blocking()) if in_own_task else wait_blocking())

    held_up = note_kind(queue, time_limit=timedelta(seconds=3))
    blocking = note_kind(queue, "test.blocking")
    line.start_relay(queue)
    with capture_logs() as logs:
        worker = line.start_worker(Actor(held_up, wait), Actor(blocking, block))
        line.submit(held_up())
        assert began.wait(20)
        job = line.submit(blocking())
        wait_for("it to be blamed alone", lambda: stuck_jobs(worker) == [job])
    (logged,) = [each for each in logs if "blocks the event loop" in each["event"]]
    assert "go_on.wait" in logged["stack"]
    assert (logged["job"], logged["kind"]) == (str(job), "test.blocking")
    go_on.set()
    line.wait_for(job, "succeeded")
