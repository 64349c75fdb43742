import threading
from collections.abc import Callable
from contextlib import suppress

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from outbox import Actor, Job, Retry, submit
from outbox.operations import jobs
from outbox.operations.jobs import JobFilter
from tests.support.engine.by_hand import ByHand
from tests.support.engine.effects import Effects
from tests.support.engine.line import Line, Note, do_nothing, note_kind


def test_effect_completion_and_what_follows_are_one_commit(
    line: Line, by_hand: ByHand, effects: Effects, queue: str, new_queue: Callable[[], str]
) -> None:
    """They carry the same transaction id."""
    first, second = note_kind(queue), note_kind(new_queue(), "test.second")

    def do(note: Note, job: Job) -> None:
        with job.transaction() as tx:
            effects.add(tx, job.id)
            submit(tx, second())
            job.result = {"said": note.text}

    line.start_worker(Actor(first, do))
    line.start_relay(queue)
    job = line.wait_for(line.submit(first(text="hello")), "succeeded")

    assert job.result == {"said": "hello"}
    assert effects.of(job.id) == ["done"]
    (effect,) = by_hand.take("SELECT xmin::text FROM effects")
    (done,) = by_hand.take("SELECT xmin::text FROM duly.jobs WHERE kind = 'test.note'")
    (follows,) = by_hand.take("SELECT xmin::text FROM duly.jobs WHERE kind = 'test.second'")
    assert effect == done == follows


def test_an_error_after_a_partial_effect_leaves_nothing_of_it(
    line: Line, engine: Engine, effects: Effects, queue: str
) -> None:
    first, second = note_kind(queue), note_kind(queue, "test.second")

    def do(note: Note, job: Job) -> None:
        with job.transaction() as tx:
            effects.add(tx, job.id, f"attempt {job.attempt}")
            submit(tx, second())
            if job.attempt == 1:
                raise ValueError("half way")

    line.start_relay(queue)
    line.start_worker(Actor(first, do), Actor(second, do_nothing))
    job = line.submit(first())
    line.wait_for(job, "succeeded")

    assert effects.of(job) == ["attempt 2"]
    assert [attempt.error_message for attempt in line.attempts(job)] == ["half way"]
    with Session(engine) as session:
        assert len(jobs.find(session, JobFilter(kind="test.second"))) == 1


def test_a_dead_jobs_effect_never_happened(line: Line, effects: Effects, queue: str) -> None:
    def do(note: Note, job: Job) -> None:
        with job.transaction() as tx:
            effects.add(tx, job.id)
            raise ValueError("half way")

    kind = note_kind(queue)
    line.start_relay(queue)
    line.start_worker(Actor(kind, do))
    line.wait_for(line.submit(kind()), "dead")
    assert effects.all() == []


def test_an_error_after_the_transaction_changes_nothing(
    line: Line, effects: Effects, queue: str
) -> None:
    def do(note: Note, job: Job) -> None:
        with job.transaction() as tx:
            effects.add(tx, job.id)
        raise ValueError("too late")

    kind = note_kind(queue)
    line.start_relay(queue)
    line.start_worker(Actor(kind, do))
    job = line.submit(kind())
    line.wait_for(job, "succeeded")
    line.stop()
    assert line.job(job).state == "succeeded"
    assert line.attempts(job) == []
    assert effects.of(job) == ["done"]


def test_a_second_transaction_is_refused(line: Line, effects: Effects, queue: str) -> None:
    refused = threading.Event()

    def do(note: Note, job: Job) -> None:
        with job.transaction() as tx:
            effects.add(tx, job.id, "first")
        try:
            with job.transaction() as tx:
                effects.add(tx, job.id, "second")
        except RuntimeError:
            refused.set()

    kind = note_kind(queue)
    line.start_relay(queue)
    line.start_worker(Actor(kind, do))
    job = line.submit(kind())
    line.wait_for(job, "succeeded")
    assert refused.wait(10)
    assert effects.of(job) == ["first"]


def commit_session(tx: Session) -> None:
    """As one does elsewhere."""
    tx.commit()


def commit_all(tx: Session) -> None:
    """From within a savepoint."""
    tx.begin_nested()
    tx.commit()


def commit_connection(tx: Session) -> None:
    """Behind the session's back."""
    tx.connection().commit()


@pytest.mark.parametrize("commit", [commit_session, commit_all, commit_connection])
@pytest.mark.parametrize("refusal", ["raised", "swallowed"])
def test_a_commit_inside_is_refused(
    line: Line, effects: Effects, queue: str, commit: Callable[[Session], None], refusal: str
) -> None:
    def do(note: Note, job: Job) -> None:
        with job.transaction() as tx:
            effects.add(tx, job.id)
            try:
                commit(tx)
            except RuntimeError:
                if refusal == "raised":
                    raise

    kind = note_kind(queue)
    line.start_relay(queue)
    line.start_worker(Actor(kind, do))
    line.wait_for(line.submit(kind()), "dead")
    assert effects.all() == []


@pytest.mark.parametrize("commit", [commit_session, commit_all, commit_connection])
def test_no_later_job_commits_what_a_refused_commit_left(
    line: Line, effects: Effects, queue: str, commit: Callable[[Session], None]
) -> None:
    """Both jobs use the one connection of the one thread."""
    early, late = note_kind(queue, retry=Retry(attempts=1)), note_kind(queue, "test.second")

    def commit_early(note: Note, job: Job) -> None:
        with job.transaction() as tx:
            effects.add(tx, job.id, "early")
            commit(tx)

    def add(note: Note, job: Job) -> None:
        with job.transaction() as tx:
            effects.add(tx, job.id, "late")

    line.start_relay(queue)
    line.start_worker(Actor(early, commit_early), Actor(late, add), threads=1)
    line.wait_for(line.submit(early()), "dead")
    job = line.submit(late())
    line.wait_for(job, "succeeded")
    assert effects.all() == [(job, "late")]


def test_commits_inside_are_refused_though_threads_begin_and_end_others(
    line: Line, effects: Effects, queue: str
) -> None:
    kind = note_kind(queue, retry=Retry(attempts=1))

    def do(note: Note, job: Job) -> None:
        for _ in range(10):
            with suppress(RuntimeError), job.transaction() as tx:
                effects.add(tx, job.id)
                tx.commit()
        raise ValueError(f"{job.completed}")

    line.start_relay(queue)
    line.start_worker(Actor(kind, do), threads=8)
    jobs = [line.submit(kind()) for _ in range(24)]
    for job in jobs:
        line.wait_for(job, "dead")
        assert [attempt.error_message for attempt in line.attempts(job)] == ["False"]
    assert effects.all() == []


def test_a_savepoint_inside_is_not(line: Line, effects: Effects, queue: str) -> None:
    def do(note: Note, job: Job) -> None:
        with job.transaction() as tx:
            with tx.begin_nested():
                effects.add(tx, job.id, "kept")
            with suppress(ValueError), tx.begin_nested():
                effects.add(tx, job.id, "undone")
                raise ValueError

    kind = note_kind(queue)
    line.start_relay(queue)
    line.start_worker(Actor(kind, do))
    job = line.submit(kind())
    line.wait_for(job, "succeeded")
    assert effects.of(job) == ["kept"]


def test_a_transaction_that_failed_may_be_tried_again_in_the_same_attempt(
    line: Line, effects: Effects, queue: str
) -> None:
    def do(note: Note, job: Job) -> None:
        for time in ("first", "second"):
            with suppress(ValueError), job.transaction() as tx:
                effects.add(tx, job.id, time)
                if time == "first":
                    raise ValueError("once more")

    kind = note_kind(queue, retry=Retry(attempts=1))
    line.start_relay(queue)
    line.start_worker(Actor(kind, do))
    job = line.submit(kind())
    line.wait_for(job, "succeeded")
    assert effects.of(job) == ["second"]


def test_a_replaced_workers_effect_is_rolled_back(
    line: Line, effects: Effects, by_hand: ByHand, queue: str
) -> None:
    """The job is rescued while its first worker, believed dead, is about to commit."""
    replaced = threading.Event()

    def do(note: Note, job: Job) -> None:
        with job.transaction() as tx:
            effects.add(tx, job.id, f"attempt {job.attempt}")
            if job.attempt == 1:
                by_hand.take("DELETE FROM duly.workers")
                assert [row["id"] for row in by_hand.rescue()] == [job.id]
                replaced.set()

    kind = note_kind(queue)
    line.start_worker(Actor(kind, do))
    line.start_relay(queue)
    job = line.submit(kind())

    assert line.wait_for(job, "succeeded").attempt == 2
    assert replaced.is_set()
    assert effects.of(job) == ["attempt 2"]
    assert [attempt.outcome for attempt in line.attempts(job)] == ["crashed"]
