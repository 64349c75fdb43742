"""`async with job.transaction()`: effect, completion and what follows are one commit."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from structlog.testing import capture_logs

from outbox import Actor, Job, Retry
from outbox.events import Succeeded, Superseded
from outbox.worker.runners import engines
from tests.support.engine.by_hand import ByHand
from tests.support.engine.effects import Effects
from tests.support.engine.line import Line, Note, note_kind
from tests.support.wait import wait_for

ONCE = Retry(attempts=1)


async def add(tx: AsyncSession, job: Job, what: str = "done") -> None:
    """Have an effect, in the transaction."""
    effect = text("INSERT INTO effects VALUES (:job, :what)")
    await tx.execute(effect, {"job": job.id, "what": what})


def test_an_error_after_a_partial_effect_leaves_nothing_of_it(
    line: Line, effects: Effects, queue: str
) -> None:
    async def do(_note: Note, job: Job) -> None:
        async with job.transaction() as tx:
            await add(tx, job, f"attempt {job.attempt}")
            if job.attempt == 1:
                raise ValueError("half way")

    kind = note_kind(queue)
    line.start_relay(queue)
    line.start_worker(Actor(kind, do))
    job = line.wait_for(line.submit(kind()), "succeeded")
    assert effects.of(job.id) == ["attempt 2"]
    assert [attempt.error_message for attempt in line.attempts(job.id)] == ["half way"]


async def commit_session(tx: AsyncSession) -> None:
    """As one does elsewhere."""
    await tx.commit()


async def commit_connection(tx: AsyncSession) -> None:
    """Behind the session's back."""
    await (await tx.connection()).commit()


@pytest.mark.parametrize("commit", [commit_session, commit_connection])
@pytest.mark.parametrize("refusal", ["raised", "swallowed"])
def test_no_later_job_commits_what_a_refused_commit_left(
    line: Line,
    effects: Effects,
    queue: str,
    commit: Callable[[AsyncSession], Awaitable[None]],
    refusal: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All use one connection."""
    monkeypatch.setattr(engines, "TASKS_CONNECTIONS", 1)
    early, late = note_kind(queue, retry=ONCE), note_kind(queue, "test.second")

    async def commit_early(_note: Note, job: Job) -> None:
        async with job.transaction() as tx:
            await add(tx, job, "early")
            try:
                await commit(tx)
            except RuntimeError:
                if refusal == "raised":
                    raise

    async def do(_note: Note, job: Job) -> None:
        async with job.transaction() as tx:
            await add(tx, job, "late")

    line.start_relay(queue)
    line.start_worker(Actor(early, commit_early), Actor(late, do))
    line.wait_for(line.submit(early()), "dead")
    job = line.wait_for(line.submit(late()), "succeeded")
    assert effects.all() == [(job.id, "late")]


def test_what_is_returned_after_the_transaction_is_an_error_and_changes_nothing(
    line: Line, effects: Effects, queue: str
) -> None:
    async def do(_note: Note, job: Job) -> str:
        async with job.transaction() as tx:
            await add(tx, job)
            job.result = "first"
        return "second"

    kind = note_kind(queue)
    line.start_relay(queue)
    with capture_logs() as logs:
        line.start_worker(Actor(kind, do))
        job = line.wait_for(line.submit(kind()), "succeeded")
        line.stop()
    assert (job.result, effects.of(job.id), line.attempts(job.id)) == ("first", ["done"], [])
    errors = [each["event"] for each in logs if each["log_level"] == "error"]
    assert errors == ["returned a result after its transaction had completed the job"]


def test_a_result_set_after_the_transaction_is_refused(line: Line, queue: str) -> None:
    refused = threading.Event()

    async def do(_note: Note, job: Job) -> None:
        async with job.transaction():
            job.result = "first"
        try:
            job.result = "second"
        except RuntimeError:
            refused.set()

    kind = note_kind(queue)
    line.start_relay(queue)
    line.start_worker(Actor(kind, do))
    assert line.wait_for(line.submit(kind()), "succeeded").result == "first"
    assert refused.wait(10)


@pytest.mark.parametrize("way", ["transaction", "sessions"])
def test_the_wrong_with_is_an_error_that_says_so(line: Line, queue: str, way: str) -> None:
    async def wrong(_note: Note, job: Job) -> None:
        with getattr(job, way)():
            pytest.fail("entered")

    def wrong_too(_note: Note, job: Job) -> None:
        async def enter() -> None:
            async with getattr(job, way)():
                pytest.fail("entered")

        asyncio.run(enter())

    first, second = note_kind(queue, retry=ONCE), note_kind(queue, "test.second", retry=ONCE)
    line.start_relay(queue)
    line.start_worker(Actor(first, wrong), Actor(second, wrong_too))
    for kind in (first, second):
        line.wait_for(line.submit(kind()), "dead")
    said = {letter.kind: letter.error_message for letter in line.letters()}
    assert said == {
        first.name: "an `async def` actor enters this by `async with`",
        second.name: "a `def` actor enters this by `with`",
    }


def test_a_replaced_workers_effect_is_rolled_back(
    line: Line, effects: Effects, by_hand: ByHand, queue: str
) -> None:
    async def do(_note: Note, job: Job) -> None:
        async with job.transaction() as tx:
            await add(tx, job, f"attempt {job.attempt}")
            if job.attempt == 1:
                by_hand.take("DELETE FROM duly.workers")
                by_hand.rescue()

    kind = note_kind(queue)
    line.start_worker(Actor(kind, do))
    line.start_relay(queue)
    job = line.wait_for(line.submit(kind()), "succeeded")
    assert (job.attempt, effects.of(job.id)) == (2, ["attempt 2"])
    assert [attempt.outcome for attempt in line.attempts(job.id)] == ["crashed"]


def test_tasks_wait_for_their_few_connections_as_long_as_it_takes(
    line: Line, effects: Effects, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "TASKS_CONNECTIONS", 2)

    async def do(_note: Note, job: Job) -> None:
        async with job.transaction() as tx:
            await tx.execute(text("SELECT pg_sleep(0.02)"))
            await add(tx, job)

    kind = note_kind(queue, retry=ONCE)
    line.start_relay(queue)
    line.start_worker(Actor(kind, do))
    jobs = [line.submit(kind()) for _ in range(60)]
    for job in jobs:
        done = line.wait_for(job, "succeeded")
        assert (done.attempt, done.dispatch, effects.of(job)) == (1, 1, ["done"])


def test_one_that_waits_for_a_connection_past_its_time_limit_is_timed_out(
    line: Line, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "TASKS_CONNECTIONS", 1)
    go_on = threading.Event()

    async def hold(_note: Note, job: Job) -> None:
        async with job.transaction():
            while not go_on.is_set():  # noqa: ASYNC110 - another thread sets it
                await asyncio.sleep(0.01)

    async def want(_note: Note, job: Job) -> None:
        async with job.transaction():
            pytest.fail("entered")

    holding = note_kind(queue)
    wanting = note_kind(queue, "test.want", retry=ONCE, time_limit=timedelta(seconds=0.1))
    line.start_relay(queue)
    worker = line.start_worker(Actor(holding, hold), Actor(wanting, want))
    held = line.submit(holding())
    line.wait_for(held, "running")
    job = line.wait_for(line.submit(wanting()), "dead")
    assert [each.outcome for each in line.attempts(job.id)] == ["timed_out"]
    go_on.set()
    line.wait_for(held, "succeeded")
    assert worker.is_whole


def test_no_attempt_is_spent_and_no_effect_doubled_when_postgres_goes_away(
    line: Line, effects: Effects, cut_postgres: Callable[[], int], queue: str
) -> None:
    async def do(_note: Note, job: Job) -> None:
        async with job.transaction() as tx:
            await add(tx, job)
            await asyncio.sleep(0.01)

    kind = note_kind(queue, retry=ONCE)
    line.start_relay(queue)
    line.start_worker(Actor(kind, do))
    jobs: list[UUID] = []
    for _ in range(4):
        before = len(jobs)
        jobs += [line.submit(kind()) for _ in range(30)]
        wait_for("another effect", lambda: len(effects.all()) > before)  # noqa: B023 - in this round
        assert cut_postgres() > 0
    for job in jobs:
        assert line.wait_for(job, "succeeded").attempt == 1
        assert (effects.of(job), line.attempts(job)) == (["done"], [])


@pytest.mark.parametrize("has_transaction", [True, False])
def test_a_worker_that_stops_lets_tasks_finish_or_hands_them_back(
    line: Line, effects: Effects, queue: str, *, has_transaction: bool
) -> None:
    go_on, ended = threading.Event(), threading.Event()

    async def do(note: Note, job: Job) -> None:
        try:
            while not go_on.is_set() or note.text == "endless":  # noqa: ASYNC110 - the same
                await asyncio.sleep(0.01)
        finally:
            if note.text == "endless":
                ended.set()
        if has_transaction:
            async with job.transaction() as tx:
                await add(tx, job)

    kind = note_kind(queue)
    line.start_relay(queue)
    worker = line.start_worker(Actor(kind, do))
    quick, endless = line.submit(kind(text="quick")), line.submit(kind(text="endless"))
    for job in (quick, endless):
        line.wait_for(job, "running")
    threading.Timer(0.2, go_on.set).start()
    line.stop_worker(worker, timedelta(seconds=2))
    assert ended.is_set()
    assert line.job(quick).state == "succeeded"
    handed_back: Any = line.job(endless)
    assert (handed_back.state, handed_back.attempt, handed_back.dispatch) == ("queued", 0, 2)
    assert effects.all() == ([(quick, "done")] if has_transaction else [])


def test_a_transaction_that_failed_may_be_tried_again_in_the_same_attempt(
    line: Line, effects: Effects, queue: str
) -> None:
    async def do(_note: Note, job: Job) -> None:
        for which in ("first", "second"):
            with suppress(ValueError):
                async with job.transaction() as tx:
                    await add(tx, job, which)
                    if which == "first":
                        raise ValueError("once more")

    kind = note_kind(queue, retry=ONCE)
    line.start_relay(queue)
    line.start_worker(Actor(kind, do))
    job = line.wait_for(line.submit(kind()), "succeeded")
    assert effects.of(job.id) == ["second"]


SLOW_COMMITS = """
CREATE FUNCTION pg_temp.dawdle() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_sleep(1); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER dawdle AFTER INSERT ON effects DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION pg_temp.dawdle()
"""


def test_a_commit_that_outlasts_the_time_limit_is_not_cancelled(
    line: Line, effects: Effects, by_hand: ByHand, queue: str, heard: list[Any]
) -> None:
    async def do(_note: Note, job: Job) -> None:
        async with job.transaction() as tx:
            await add(tx, job)

    by_hand.connection.execute(SLOW_COMMITS)
    kind = note_kind(queue, time_limit=timedelta(seconds=0.5))
    line.start_relay(queue)
    try:
        line.start_worker(Actor(kind, do))
        job = line.wait_for(line.submit(kind()), "succeeded")
        line.stop()
    finally:
        by_hand.connection.execute("DROP TRIGGER dawdle ON effects")
    assert (effects.of(job.id), line.attempts(job.id)) == (["done"], [])
    ended = [each for each in heard if isinstance(each, Succeeded | Superseded)]
    assert [type(each) for each in ended] == [Succeeded]
