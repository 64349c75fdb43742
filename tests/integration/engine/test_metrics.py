"""What a relay and a worker count while jobs succeed, fail, die and are handed back."""

import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from outbox import Actor, Actors, Job, Key, Retry, Snooze, submit
from outbox.metrics.processes import RelayMetrics, WorkerMetrics
from outbox.metrics.registry import Metrics
from outbox.operations.jobs import JobRecord
from outbox.worker.runners import loop_watch
from outbox.worker.worker import Worker
from tests.support.engine.line import AT_ONCE, Line, Note, do_nothing, note_kind
from tests.support.network.proxy import Proxy
from tests.support.wait import wait_for

DIED_BEFORE = text(
    "UPDATE duly.dead_letters SET died_at = died_at - CAST(:ago AS interval) WHERE id = :id"
)


@pytest.fixture
def worker_metrics() -> Iterator[WorkerMetrics]:
    metrics = WorkerMetrics()
    yield metrics
    metrics.close()


@pytest.fixture
def relay_metrics() -> Iterator[RelayMetrics]:
    metrics = RelayMetrics()
    yield metrics
    metrics.close()


def value(metrics: Metrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(name, labels) or 0


def test_attempts_are_counted_as_they_end(
    line: Line, queue: str, worker_metrics: WorkerMetrics, relay_metrics: RelayMetrics
) -> None:
    kind = note_kind(queue)

    def act(note: Note, job: Job) -> None:
        if note.text == "fail" or (note.text == "fail once" and job.attempt == 1):
            raise ValueError(note.text)
        if note.text == "follow":
            with job.transaction() as tx:
                submit(tx, kind(text=""))

    line.start_relay(queue)
    worker_metrics.state.watch(line.start_worker(Actor(kind, act), threads=3, tasks=7))
    fine = [line.submit(kind()) for _ in range(3)]
    again = line.submit(kind(text="fail once"))
    follow = line.submit(kind(text="follow"))
    dead = line.submit(kind(text="fail"))
    for job in (*fine, again, follow):
        line.wait_for(job, "succeeded")
    line.wait_for(dead, "dead")
    wait_for(
        "the follower too",
        lambda: outcomes(worker_metrics, succeeded=6, failed=1 + AT_ONCE.attempts),
    )

    labels = {"kind": kind.name}
    assert value(worker_metrics, "duly_retries_total", **labels) == 1 + AT_ONCE.attempts - 1
    assert value(worker_metrics, "duly_dead_total", **labels, reason="exhausted") == 1
    assert value(worker_metrics, "duly_wasted_attempts_total", **labels) == 1 + AT_ONCE.attempts
    attempts = 7 + AT_ONCE.attempts
    assert value(worker_metrics, "duly_claims_total", queue=queue) == attempts
    assert value(worker_metrics, "duly_run_seconds_count", **labels) == attempts
    assert value(worker_metrics, "duly_start_delay_seconds_count", **labels) == 7
    assert value(worker_metrics, "duly_group_commit_jobs_sum", statement="claim") == attempts
    # All but the one that its own transaction has completed.
    assert value(worker_metrics, "duly_group_commit_jobs_sum", statement="outcome") == attempts - 1
    assert value(worker_metrics, "duly_submitted_total", **labels) == 7
    for name in ("duly_published_total", "duly_confirmed_total"):
        assert value(relay_metrics, name, queue=queue) == attempts
    assert value(relay_metrics, "duly_returned_total", queue=queue) == 0
    assert value(relay_metrics, "duly_confirm_seconds_count") >= 1


def test_a_fix_takes_from_the_first_death_to_the_success(
    line: Line, queue: str, worker_metrics: WorkerMetrics, session: Session
) -> None:
    is_mended = threading.Event()

    def act(note: Note, job: Job) -> None:
        if note.text == "fail" and not is_mended.is_set():
            raise ValueError(note.text)
        if note.text == "fail":
            with job.transaction():
                """It completes the job itself."""

    kind = note_kind(queue)
    line.start_relay(queue)
    worker_metrics.state.watch(line.start_worker(Actor(kind, act)))
    fine, dead = line.submit(kind()), line.submit(kind(text="fail"))
    for ago in ("1 hour", "1 minute"):
        line.wait_for(dead, "dead")
        letter, *_ = line.letters()
        session.execute(DIED_BEFORE, {"ago": ago, "id": letter.id})
        session.commit()
        if ago == "1 minute":
            is_mended.set()
        line.replay(letter.id)
    for job in (fine, dead):
        line.wait_for(job, "succeeded")
    assert value(worker_metrics, "duly_fix_seconds_count") == 1
    assert 3600 < value(worker_metrics, "duly_fix_seconds_sum") < 3660


def outcomes(metrics: Metrics, **expected: int) -> bool:
    return all(
        value(metrics, "duly_attempts_total", kind="test.note", outcome=outcome) == count
        for outcome, count in expected.items()
    )


def test_a_worker_tells_when_it_has_lost_the_broker_and_when_it_is_back(
    line: Line, queue: str, proxy: Proxy, amqp_url: str, worker_metrics: WorkerMetrics
) -> None:
    def is_up(number: int) -> bool:
        return value(worker_metrics, "duly_up", server="broker") == number

    worker = line.start_worker(
        Actor(note_kind(queue), lambda _note, _job: None), amqp_url=proxy.url(amqp_url)
    )
    worker_metrics.state.watch(worker)
    wait_for("the queue is consumed", lambda: is_up(1))
    proxy.refuse()
    wait_for("the loss is told", lambda: is_up(0))
    proxy.admit()
    wait_for("it is back", lambda: is_up(1))


def test_a_worker_says_nothing_of_the_broker_before_it_has_tried_it(
    queue: str, database_url: str, amqp_url: str, worker_metrics: WorkerMetrics
) -> None:
    def up(server: str) -> float | None:
        return worker_metrics.registry.get_sample_value("duly_up", {"server": server})

    actors = Actors([Actor(note_kind(queue), do_nothing)])
    worker = Worker(actors, database_url, amqp_url, queues=None, threads=1)
    worker_metrics.state.watch(worker)
    worker.register()
    assert worker.is_registered(10)
    wait_for("Postgres is reached", lambda: up("postgres") == 1)
    assert up("broker") is None
    worker.start()
    wait_for("the queue is consumed", lambda: up("broker") == 1)
    worker.stop(timedelta(0))


def test_the_state_of_a_worker_is_that_of_the_scrape(
    line: Line, queue: str, worker_metrics: WorkerMetrics
) -> None:
    began, go_on = threading.Barrier(3), threading.Event()

    def wait(_note: Note, _job: Job) -> None:
        began.wait(10)
        go_on.wait(10)

    kind = note_kind(queue)
    line.start_relay(queue)
    worker = line.start_worker(Actor(kind, wait), threads=4, tasks=7)
    worker_metrics.state.watch(worker)
    jobs = [line.submit(kind()) for _ in range(2)]
    began.wait(10)
    assert slots(worker_metrics) == {"busy": 2, "free": 2}
    assert value(worker_metrics, "duly_slots", sort="task", state="free") == 7
    assert value(worker_metrics, "duly_up", server="broker") == 1
    assert value(worker_metrics, "duly_up", server="postgres") == 1
    go_on.set()
    for job in jobs:
        line.wait_for(job, "succeeded")
    wait_for("all are free", lambda: slots(worker_metrics) == {"busy": 0, "free": 4})
    line.stop_worker(worker)  # which closes its consumers: nobody is to be woken up by that
    assert value(worker_metrics, "duly_up", server="broker") == 1


def slots(metrics: Metrics) -> dict[str, float]:
    return {
        state: value(metrics, "duly_slots", sort="thread", state=state)
        for state in ("busy", "free")
    }


def test_an_actor_that_blocks_the_event_loop_is_seen_as_its_lag(
    line: Line, queue: str, worker_metrics: WorkerMetrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop_watch, "BLOCKED_SECONDS", 0.05)

    async def block(_note: Note, _job: Job) -> None:
        time.sleep(0.5)  # noqa: ASYNC251 - what no actor should do

    kind = note_kind(queue)
    line.start_relay(queue)
    worker_metrics.state.watch(line.start_worker(Actor(kind, block)))
    line.wait_for(line.submit(kind()), "succeeded")
    assert 0.3 < value(worker_metrics, "duly_event_loop_lag_seconds") < 5


def test_a_snooze_is_no_waste_and_starts_another_first_attempt(
    line: Line, queue: str, worker_metrics: WorkerMetrics
) -> None:
    snoozed: list[int] = []

    def snooze_once(_note: Note, job: Job) -> None:
        if not snoozed:
            snoozed.append(job.attempt)
            raise Snooze(timedelta(seconds=0.1))

    kind = note_kind(queue)
    line.start_relay(queue)
    line.start_worker(Actor(kind, snooze_once))
    line.wait_for(line.submit(kind()), "succeeded")
    wait_for("both are counted", lambda: outcomes(worker_metrics, snoozed=1, succeeded=1))
    assert value(worker_metrics, "duly_wasted_attempts_total", kind=kind.name) == 0
    assert value(worker_metrics, "duly_start_delay_seconds_count", kind=kind.name) == 2


def test_jobs_that_are_held_back_by_a_limit_are_counted(
    line: Line, queue: str, relay_metrics: RelayMetrics
) -> None:
    go_on = threading.Event()

    def wait(_note: Note, _job: Job) -> None:
        go_on.wait(20)

    kind = note_kind(queue, key=Key(lambda note: queue + note.text, at_most=1))
    line.start_relay(queue, kinds=[kind])
    line.start_worker(Actor(kind, wait))
    jobs = [line.submit(kind()) for _ in range(2)]
    wait_for(
        "one is held back", lambda: value(relay_metrics, "duly_held_back_total", queue=queue) >= 1
    )
    go_on.set()
    for job in jobs:
        line.wait_for(job, "succeeded")


def test_the_delay_is_from_when_the_job_is_due(
    line: Line, queue: str, worker_metrics: WorkerMetrics
) -> None:
    kind = note_kind(queue, retry=Retry(attempts=1))
    jobs = [line.submit(kind()) for _ in range(2)]
    line.start_relay(queue)
    line.start_worker(Actor(kind, do_nothing))
    for job in jobs:
        line.wait_for(job, "succeeded")
    waited = sum(waited_seconds(line.job(job)) for job in jobs)
    told = value(worker_metrics, "duly_start_delay_seconds_sum", kind=kind.name)
    assert waited <= told < waited + 2


def waited_seconds(job: JobRecord) -> float:
    assert job.started_at
    return (job.started_at - job.created_at).total_seconds()
