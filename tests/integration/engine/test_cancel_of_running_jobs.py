"""A cancel reaches the actor that runs, and leaves no half of an effect."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from outbox import Actor, Job, JobCancelled
from outbox.events import Cancelled, on
from tests.support.engine.effects import Effects
from tests.support.engine.line import Line, Note, note_kind
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
