"""What a worker that is told to stop does with what it has in hand."""

import asyncio
import threading
import time
from contextlib import suppress
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from outbox import Actor, Job, Key, Retry
from outbox.worker.runners import tasks
from tests.integration.engine.gate import Gate
from tests.support.engine.line import Line, Note, do_nothing, note_kind, prefetched
from tests.support.engine.rabbit import Rabbit
from tests.support.wait import wait_for


def test_a_worker_that_stops_gives_back_what_it_did_not_begin(
    line: Line, rabbit: Rabbit, queue: str
) -> None:
    kind, gate = note_kind(queue), Gate("a")
    line.start_relay(queue)
    worker = line.start_worker(Actor(kind, gate), threads=1)
    running = line.submit(kind(text="a"))
    wait_for("the job to run", lambda: gate.came)
    waiting = [line.submit(kind(text="waits")) for _ in range(5)]
    wait_for("a prefetched message", lambda: prefetched(worker) == 1)
    threading.Timer(0.2, gate.open).start()
    line.stop_worker(worker)

    assert line.job(running).state == "succeeded"
    assert {line.job(job).state for job in waiting} == {"queued"}
    wait_for("all, the running job's too", lambda: rabbit.depth(queue) == 6)
    line.start_worker(Actor(kind, do_nothing))
    for job in waiting:
        assert line.wait_for(job, "succeeded").attempt == 1


def test_a_worker_that_stops_hands_back_what_it_cannot_finish(line: Line, queue: str) -> None:
    kind, gate = note_kind(queue, retry=Retry(attempts=1)), Gate("a")
    line.start_relay(queue)
    worker = line.start_worker(Actor(kind, gate), threads=1)
    job = line.submit(kind(text="a"))
    wait_for("the job to run", lambda: gate.came)
    with capture_logs() as logs:
        line.stop_worker(worker, grace=timedelta())
    (stopping,) = [each for each in logs if each["event"] == "worker stopping"]
    assert (stopping["running"], stopping["grace_seconds"]) == (1, 0)
    line.start_worker(Actor(kind, lambda *_: "by another"))
    done = line.wait_for(job, "succeeded")
    gate.open()
    assert (done.attempt, done.result) == (1, "by another")
    assert line.attempts(job) == []


def test_a_job_with_a_limit_has_stopped_before_the_next_one_of_its_key_starts(
    line: Line, queue: str
) -> None:
    kind = note_kind(queue, key=Key(lambda _: "one", at_most=1), retry=Retry(attempts=1))
    told: list[str] = []
    finish = threading.Event()

    def work(_: Note, job: Job) -> None:
        told.append("begins")
        try:
            while not finish.is_set():
                time.sleep(0.01)
        finally:
            time.sleep(0.1)
            told.append("ends")

    line.start_relay(queue, kinds=[kind])
    worker = line.start_worker(Actor(kind, work))
    jobs = [line.submit(kind()) for _ in range(2)]
    wait_for("the first job to run", lambda: told)
    line.start_worker(Actor(kind, work))
    line.stop_worker(worker, grace=timedelta())
    wait_for("a job to run elsewhere", lambda: told.count("begins") == 2)
    assert told == ["begins", "ends", "begins"]
    finish.set()
    assert [line.wait_for(job, "succeeded").attempt for job in jobs] == [1, 1]


@pytest.mark.parametrize("is_async", [False, True])
def test_a_worker_that_is_hurried_hands_back_what_runs_at_once(
    line: Line, queue: str, *, is_async: bool
) -> None:
    gate = Gate("a")

    async def wait(_: Note, __: Job) -> None:
        gate.came.append("a")
        await asyncio.Event().wait()

    kind = note_kind(queue)
    line.start_relay(queue)
    worker = line.start_worker(Actor(kind, wait if is_async else gate), threads=1)
    job = line.submit(kind(text="a"))
    wait_for("the job to run", lambda: gate.came)
    with capture_logs() as logs:
        stopping = threading.Thread(target=line.stop_worker, args=[worker, timedelta(hours=1)])
        stopping.start()
        wait_for("it stops", lambda: [each for each in logs if each["event"] == "worker stopping"])
        assert line.job(job).state == "running"
        worker.hurry()
        stopping.join(10)
    assert line.job(job).state == "queued"
    assert line.attempts(job) == []
    gate.open()
    (hurried,) = [each for each in logs if each["event"] == "worker stopping at once"]
    assert hurried["running"] == 1


@pytest.mark.parametrize("fails", [False, True])
def test_an_async_actor_cleans_up_before_its_job_is_handed_back(
    line: Line, queue: str, *, fails: bool
) -> None:
    began, seen = threading.Event(), list[str]()

    async def do(_note: Note, job: Job) -> None:
        began.set()
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(0.1)
            seen.append((await asyncio.to_thread(line.job, job.id)).state)
            if fails:
                raise LookupError

    kind = note_kind(queue, retry=Retry(attempts=1))
    line.start_relay(queue)
    worker = line.start_worker(Actor(kind, do))
    job = line.submit(kind())
    assert began.wait(20)
    line.stop_worker(worker, grace=timedelta())
    assert seen == ["running"]
    assert (line.job(job).state, line.attempts(job)) == ("queued", [])
    line.start_worker(Actor(kind, do_nothing))
    assert line.wait_for(job, "succeeded").attempt == 1


def test_the_job_of_one_that_does_not_end_is_handed_back_nevertheless(
    line: Line, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "CLEANUP_SECONDS", 0.1)
    began = threading.Event()

    async def do(_note: Note, _job: Job) -> None:
        began.set()
        while True:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)

    kind = note_kind(queue)
    line.start_relay(queue)
    worker = line.start_worker(Actor(kind, do))
    job = line.submit(kind())
    assert began.wait(20)
    line.stop_worker(worker, grace=timedelta())
    assert (line.job(job).state, line.attempts(job)) == ("queued", [])
