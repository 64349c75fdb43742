"""What happens to a worker's jobs when its servers go away under it."""

from collections.abc import Callable
from uuid import UUID

import dramatiq.worker
import psycopg
import pytest
from sqlalchemy import text

from outbox import Actor, Job, Retry
from tests.integration.engine.gate import Gate
from tests.support.engine.by_hand import ByHand
from tests.support.engine.effects import Effects
from tests.support.engine.line import Line, Note, note_kind, prefetched
from tests.support.engine.rabbit import Rabbit
from tests.support.network.proxy import Proxy
from tests.support.servers.read_only import read_only
from tests.support.wait import wait_for


def test_a_running_job_survives_the_loss_of_the_broker(
    line: Line, rabbit: Rabbit, proxy: Proxy, amqp_url: str, queue: str
) -> None:
    kind, gate = note_kind(queue), Gate("a")
    line.start_relay(queue)
    line.start_worker(Actor(kind, gate), amqp_url=proxy.url(amqp_url))
    job = line.submit(kind(text="a"))
    wait_for("the job to run", lambda: gate.came)
    proxy.cut()
    after = line.submit(kind(text="after"))
    line.wait_for(after, "succeeded")
    gate.open()
    line.wait_for(job, "succeeded")
    line.stop()
    assert gate.came == ["a", "after"]
    assert (rabbit.depth(queue), line.attempts(job)) == (0, [])


def test_the_next_node_is_tried_where_the_first_is_away(
    line: Line, proxy: Proxy, amqp_url: str, queue: str
) -> None:
    nodes = f"{proxy.url(amqp_url)};{amqp_url}"
    kind, gate = note_kind(queue), Gate()
    line.start_relay(queue, amqp_url=nodes)
    line.start_worker(Actor(kind, gate), amqp_url=nodes)
    line.wait_for(line.submit(kind(text="first")), "succeeded")
    proxy.refuse()
    line.wait_for(line.submit(kind(text="second")), "succeeded")
    assert proxy.refused


def test_a_job_that_ends_without_the_broker_holds_up_no_other(
    line: Line, proxy: Proxy, amqp_url: str, queue: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dramatiq would try again to acknowledge, and keep the thread from the next message."""
    monkeypatch.setattr(dramatiq.worker, "POST_PROCESS_MESSAGE_RETRY_DELAY_SECS", 60)
    kind, gate = note_kind(queue), Gate("a")
    line.start_relay(queue)
    worker = line.start_worker(Actor(kind, gate), threads=1, amqp_url=proxy.url(amqp_url))
    a = line.submit(kind(text="a"))
    wait_for("the job to run", lambda: gate.came)
    b = line.submit(kind(text="b"))
    wait_for("a prefetched message", lambda: prefetched(worker) == 1)
    proxy.refuse()
    wait_for("another try", lambda: proxy.refused)
    gate.open()
    for job in (a, b):
        line.wait_for(job, "succeeded")
    proxy.admit()


def test_an_acknowledgement_from_before_a_reconnect_hits_no_other_message(
    line: Line, rabbit: Rabbit, proxy: Proxy, amqp_url: str, queue: str
) -> None:
    """Tags begin at 1 on each connection: the old tag of one job is the new one of the next."""
    kind, first, second = note_kind(queue), Gate("a"), Gate("b")

    def do(note: Note, job: Job) -> None:
        (second if note.text == "b" else first)(note, job)

    line.start_relay(queue)
    worker = line.start_worker(Actor(kind, do), threads=1, amqp_url=proxy.url(amqp_url))
    line.wait_for(line.submit(kind(text="takes the tag 1")), "succeeded")
    a = line.submit(kind(text="a"))
    wait_for("a to run", lambda: "a" in first.came)
    line.submit(kind(text="b"))
    wait_for("a prefetched message", lambda: prefetched(worker) == 1)
    proxy.cut()
    wait_for("b as before, then a and b again", lambda: prefetched(worker) == 3)

    first.open()
    line.wait_for(a, "succeeded")
    wait_for("b to run", lambda: second.came)
    proxy.refuse()
    wait_for("both messages", lambda: rabbit.depth(queue) == 2)
    second.open()


def test_no_attempt_is_spent_and_no_effect_doubled_when_postgres_goes_away(
    line: Line, effects: Effects, cut_postgres: Callable[[], int], queue: str
) -> None:
    kind = note_kind(queue, retry=Retry(attempts=1))

    def do(note: Note, job: Job) -> None:
        with job.transaction() as tx:
            effects.add(tx, job.id)

    line.start_relay(queue)
    line.start_worker(Actor(kind, do))
    line.start_worker(Actor(kind, do))
    jobs: list[UUID] = []
    for _ in range(4):
        before = len(jobs)
        jobs += [line.submit(kind()) for _ in range(30)]
        wait_for("another effect", lambda: len(effects.all()) > before)  # noqa: B023 - called in this round only
        assert cut_postgres() > 0
    for job in jobs:
        line.wait_for(job, "succeeded")
    assert sorted(job for job, _ in effects.all()) == sorted(jobs)
    assert [line.attempts(job) for job in jobs] == [[]] * len(jobs)


def test_connections_that_were_lost_between_two_jobs_cost_no_attempt(
    line: Line, effects: Effects, cut_postgres: Callable[[], int], queue: str
) -> None:
    """The group commit makes its own anew when it claims: so do the actors, whose pool is older."""
    kind = note_kind(queue, retry=Retry(attempts=1))

    def do(note: Note, job: Job) -> None:
        with job.transaction() as tx:
            effects.add(tx, job.id)

    line.start_relay(queue)
    line.start_worker(Actor(kind, do))
    for _ in range(3):
        line.wait_for(line.submit(kind()), "succeeded")
        assert cut_postgres() > 0
    line.wait_for(line.submit(kind()), "succeeded")


def test_sessions_that_are_read_only_cost_no_attempt_and_are_replaced(
    line: Line, effects: Effects, sql_now: psycopg.Connection, queue: str
) -> None:
    """The group commit's is none of them: the actors' pool alone has led to a standby."""
    kind, gate = note_kind(queue, retry=Retry(attempts=1)), Gate("a")

    def do(note: Note, job: Job) -> None:
        gate(note, job)
        with job.transaction() as tx:
            effects.add(tx, job.id)

    line.start_relay(queue)
    line.start_worker(Actor(kind, do))
    job = line.submit(kind(text="a"))
    wait_for("the job to run", lambda: gate.came)
    with read_only(sql_now):
        gate.open()
        wait_for("the job to run again", lambda: len(gate.came) > 1)
    line.wait_for(job, "succeeded")
    assert line.attempts(job) == []


@pytest.mark.parametrize("state", ["40001", "40P01"])
def test_a_transaction_that_is_rolled_back_for_another_costs_no_attempt(
    line: Line, effects: Effects, queue: str, state: str
) -> None:
    kind = note_kind(queue, retry=Retry(attempts=1))

    def do(_note: Note, job: Job) -> None:
        with job.transaction() as tx:
            effects.add(tx, job.id)
            if job.dispatch == 1:
                tx.execute(text(f"DO $$ BEGIN RAISE 'lost' USING ERRCODE = '{state}'; END $$"))

    line.start_relay(queue)
    line.start_worker(Actor(kind, do))
    job = line.submit(kind())
    line.wait_for(job, "succeeded")
    assert (line.attempts(job), effects.of(job), line.job(job).attempt) == ([], ["done"], 1)


def test_two_workers_and_two_relays_do_each_job_once(
    line: Line, effects: Effects, by_hand: ByHand, queue: str
) -> None:
    kind = note_kind(queue)

    def do(note: Note, job: Job) -> None:
        with job.transaction() as tx:
            effects.add(tx, job.id)

    jobs = [line.submit(kind()) for _ in range(200)]
    for _ in range(2):
        line.start_relay(queue)
        line.start_worker(Actor(kind, do), threads=8)
    unfinished = "SELECT 1 FROM duly.jobs WHERE state <> 'succeeded'"
    wait_for("all jobs to succeed", lambda: not by_hand.take(unfinished))
    line.stop()
    assert sorted(job for job, _ in effects.all()) == sorted(jobs)
    assert by_hand.take("SELECT 1 FROM duly.jobs WHERE attempt <> 1") == []
