"""Steps: a part of the work and the place to go on from are one commit, and happen once."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from outbox import Actor, Job, JobCancelled, Superseded, submit
from tests.support.engine.by_hand import ByHand
from tests.support.engine.effects import Effects
from tests.support.engine.line import Line, Note, do_nothing, note_kind
from tests.support.wait import wait_for

Do = Callable[[Note, Job], Any]
STEPS = 5
FAILS_AFTER = 3


async def add(tx: AsyncSession, job: Job, what: str) -> None:
    """Have an effect, in the transaction."""
    effect = text("INSERT INTO effects VALUES (:job, :what)")
    await tx.execute(effect, {"job": job.id, "what": what})


def numbers(job: Job) -> Iterator[int]:
    """What is left to do; the first attempt does not get far."""
    for number in range(job.checkpoint or 0, STEPS):
        if job.attempt == 1 and number == FAILS_AFTER:
            raise ValueError("half way")
        yield number


def by_thread(_note: Note, job: Job) -> int | None:
    """Take the steps."""
    begins_at: int | None = job.checkpoint
    for number in numbers(job):
        with job.step(number + 1) as tx:
            Effects.add(tx, job.id, f"{number}")
        assert job.checkpoint == number + 1
    return begins_at


async def by_task(_note: Note, job: Job) -> int | None:
    """Take the steps."""
    begins_at: int | None = job.checkpoint
    for number in numbers(job):
        async with job.step(number + 1) as tx:
            await add(tx, job, f"{number}")
    return begins_at


@pytest.mark.parametrize("do", [by_thread, by_task])
def test_the_next_attempt_goes_on_at_the_last_checkpoint(
    line: Line, effects: Effects, queue: str, do: Do
) -> None:
    kind = note_kind(queue)
    line.start_relay(queue)
    line.start_worker(Actor(kind, do))
    job = line.wait_for(line.submit(kind()), "succeeded")
    assert (job.attempt, job.result) == (2, FAILS_AFTER)
    assert effects.of(job.id) == [f"{number}" for number in range(STEPS)]


def test_what_a_step_submits_follows_the_job(line: Line, by_hand: ByHand, queue: str) -> None:
    kind, second = note_kind(queue), note_kind(queue, "test.second")

    def do(_note: Note, job: Job) -> None:
        with job.step("first") as tx:
            submit(tx, second())
        with job.transaction() as tx:
            submit(tx, second())

    line.start_relay(queue)
    line.start_worker(Actor(kind, do), Actor(second, do_nothing))
    job = line.submit(kind())
    line.wait_for(job, "succeeded")
    children = by_hand.take("SELECT id FROM duly.jobs WHERE parent_id = %(id)s", id=job)
    assert len(children) == 2
    for child in children:
        line.wait_for(child["id"], "succeeded")


def test_a_step_of_a_worker_that_was_replaced_is_rolled_back(
    line: Line, by_hand: ByHand, effects: Effects, queue: str
) -> None:
    refused = threading.Event()

    def do(_note: Note, job: Job) -> None:
        by_hand.beat("another")
        by_hand.take("UPDATE duly.jobs SET worker = 'another' WHERE id = %(id)s", id=job.id)
        try:
            with job.step("there") as tx:
                effects.add(tx, job.id)
        except Superseded:
            assert job.checkpoint is None
            refused.set()
            raise

    kind = note_kind(queue)
    line.start_relay(queue)
    line.start_worker(Actor(kind, do))
    job = line.submit(kind())
    assert refused.wait(20)
    assert effects.all() == []
    assert by_hand.job(job)["checkpoint"] is None


@pytest.mark.parametrize(
    "checkpoint", ["x" * 65536, {1, 2}, float("nan"), "a\0b"], ids=["long", "set", "nan", "nul"]
)
def test_what_is_no_checkpoint_is_refused_before_anything_is_written(
    line: Line, effects: Effects, queue: str, checkpoint: Any
) -> None:
    def do(_note: Note, job: Job) -> str:
        try:
            with job.step(checkpoint) as tx:
                effects.add(tx, job.id)
        except ValueError as error:
            return str(error)
        return "not refused"

    kind = note_kind(queue)
    line.start_relay(queue)
    line.start_worker(Actor(kind, do))
    job = line.wait_for(line.submit(kind()), "succeeded")
    assert "checkpoint" in job.result
    assert effects.all() == []


def test_a_step_commits_by_itself_and_comes_before_the_completion(
    line: Line, effects: Effects, queue: str
) -> None:
    refusals: list[str] = []

    def do(_note: Note, job: Job) -> None:
        try:
            with job.step("never") as tx:
                effects.add(tx, job.id)
                tx.commit()
        except RuntimeError as error:
            refusals.append(str(error))
        with job.transaction() as tx:
            effects.add(tx, job.id, "completed")
        with pytest.raises(RuntimeError, match="steps come before"), job.step("late"):
            """Not reached."""

    kind = note_kind(queue)
    line.start_relay(queue)
    line.start_worker(Actor(kind, do))
    job = line.wait_for(line.submit(kind()), "succeeded")
    assert refusals == ["the job's transaction commits by itself when its block ends"]
    assert effects.of(job.id) == ["completed"]


def cancelled_in_a_step(line: Line, queue: str, do: Do, in_step: threading.Event) -> UUID:
    """The job that was cancelled while it was in a step, once it has ended."""
    kind = note_kind(queue)
    line.start_relay(queue)
    line.start_worker(Actor(kind, do))
    job = line.submit(kind())
    assert in_step.wait(20)
    line.cancel(job)
    line.wait_for(job, "cancelled")
    return job


def test_a_cancel_arrives_at_the_end_of_the_step_and_not_inside(
    line: Line, by_hand: ByHand, effects: Effects, queue: str
) -> None:
    in_step = threading.Event()
    heard: list[str] = []

    def do(_note: Note, job: Job) -> None:
        try:
            with job.step("one") as tx:
                effects.add(tx, job.id, "whole")
                in_step.set()
                wait_for("the cancel", lambda: job.cancelled)
                heard.append("in the step")
            heard.append("not reached")
        except JobCancelled:
            heard.append("after it")
            raise

    job = cancelled_in_a_step(line, queue, do, in_step)
    assert heard == ["in the step", "after it"]
    assert effects.of(job) == ["whole"]
    assert by_hand.job(job)["checkpoint"] == "one"


def test_a_task_is_cancelled_at_the_end_of_its_step_and_not_inside(
    line: Line, by_hand: ByHand, effects: Effects, queue: str
) -> None:
    in_step = threading.Event()
    heard: list[str] = []

    async def do(_note: Note, job: Job) -> None:
        async with job.step("one") as tx:
            in_step.set()
            await asyncio.to_thread(wait_for, "the cancel", lambda: job.cancelled)
            await add(tx, job, "whole")
            heard.append("in the step")
        await asyncio.sleep(0)
        heard.append("not reached")

    job = cancelled_in_a_step(line, queue, do, in_step)
    assert heard == ["in the step"]
    assert effects.of(job) == ["whole"]
    assert by_hand.job(job)["checkpoint"] == "one"
